"""What people type at first: it works, or the error says what to type."""

import re

import numpy as np
import pytest

from tokentree import (
    Mixture,
    TokenTree,
    depth_curve,
    elasticity,
    entropy,
    explore,
    fit_tail,
    huffman_lengths,
    kl_divergence,
    merge,
    response_curve,
    write_explorer,
)
from tokentree.plotting import plot_rate_change, plot_tree, plot_tree_levels
from tokentree.trees import leaf_distributions

A = TokenTree.from_sequences(["0101", "0100"], depth=3)
B = TokenTree.from_sequences(["0111"], depth=3)
C = TokenTree.from_sequences(["1111", "0000"], depth=3)
MIXTURE = Mixture.from_trees([A, B, C])


def test_trees_one_after_another_or_by_name(unchecked):
    assert merge(A, B, C) == merge([A, B, C]) == merge({"a": A, "b": B, "c": C})
    named = Mixture.from_trees({"web": A, "chat": B, "new": C})
    assert named.names == ("web", "chat", "new")
    np.testing.assert_array_equal(named.rates(), MIXTURE.rates())
    assert Mixture.from_trees({"web": A, "chat": B}, names=["x", "y"]).names == ("x", "y")
    rows = dict(zip("abc", MIXTURE.distributions, strict=True))
    assert Mixture(rows, [1, 1, 1]).names == ("a", "b", "c")
    assert elasticity(named, "web", "chat", "new") == elasticity(MIXTURE)
    curve, plain = depth_curve({"web": A, "chat": B, "new": C}), depth_curve([A, B, C])
    np.testing.assert_array_equal(curve.overlap, plain.overlap)
    np.testing.assert_array_equal(leaf_distributions({"a": A, "b": B}), leaf_distributions([A, B]))


def test_a_single_curve_is_drawn_as_a_list_of_one(unchecked):
    curve = response_curve(MIXTURE, [0.1, 0.2])
    alone, listed = (plot_rate_change(each, "align") for each in (curve, [curve]))
    np.testing.assert_array_equal(alone.get_lines()[0].get_xydata(), listed.get_lines()[0].get_xydata())


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: leaf_distributions(A, B), TypeError, "write [a, b] for trees a and b"),
        (lambda: Mixture.from_trees(A, B), TypeError, "write [a, b] for trees a and b"),
        (lambda: Mixture.from_trees(MIXTURE), TypeError, "trees is a Mixture: must be the trees that it was"),
        (lambda: depth_curve(MIXTURE), TypeError, "trees is a Mixture: must be the trees that it was"),
        (lambda: TokenTree("hello"), TypeError, "TokenTree.from_text(text, depth=16)"),
        (lambda: entropy(A), TypeError, "p is a TokenTree: must be numbers; pass its leaf_probabilities"),
        (lambda: kl_divergence(A, B), TypeError, "leaf_distributions([a, b]) of several"),
        (lambda: entropy(MIXTURE), TypeError, "p is a Mixture: must be numbers; pass its distributions"),
        (
            lambda: huffman_lengths(A),
            TypeError,
            "weights is a TokenTree: must be numbers; pass its leaf_pr",
        ),
        (lambda: fit_tail(A), TypeError, "masses is a TokenTree: must be numbers; pass its leaf_probabil"),
        (lambda: write_explorer(explore(), "e.html"), TypeError, "write_explorer(path, explorer)"),
        (
            lambda: TokenTree.from_sequences([["the", "cat"]]),
            TypeError,
            "number words first, as {word: i f",
        ),
        (lambda: bool(elasticity(MIXTURE)), TypeError, "ask for .holds, which is None if undecided"),
        (lambda: elasticity([A, B, C]), TypeError, "of trees, Mixture.from_trees([a, b, c])"),
        (lambda: plot_tree(MIXTURE), TypeError, "tree is a Mixture: must be a TokenTree"),
        (lambda: plot_tree_levels(MIXTURE), TypeError, "tree is a Mixture: must be a TokenTree"),
    ],
)
def test_errors_say_what_to_type(unchecked, call, error, message):
    with pytest.raises(error, match=re.escape(message)):
        call()


def test_a_picture_is_no_tree(unchecked, tmp_path):
    (tmp_path / "x.png").write_bytes(b"\x89PNG")
    with pytest.raises(ValueError, match="must be written by save"):
        TokenTree.load(tmp_path / "x.png")
