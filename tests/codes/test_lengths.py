"""Lengths of many vectors, of other alphabets, up to a limit, and Shannon's, against exhaustive search."""

import heapq
import itertools
import math
import re
from fractions import Fraction
from unittest import mock

import numpy as np
import pytest
from hypothesis import example, given, strategies as st
from hypothesis.extra import numpy as hnp

from tokentree.codes import (
    HuffmanCode,
    PrefixCode,
    huffman_lengths,
    ideal_code_length,
    lengths as lengths_module,
    shannon_fano_elias_codewords,
    shannon_lengths,
)
from tokentree.trees import TokenTree

small = st.lists(st.integers(0, 9), min_size=1, max_size=6)
counts = st.one_of(st.integers(0, 4), st.integers(0, 60).map(lambda e: 2**e))


def cost(weights, lengths):
    return sum(Fraction(w) * int(l) for w, l in zip(weights, lengths, strict=True))


def kraft(lengths, arity=2):
    return sum(Fraction(1, arity ** int(length)) for length in lengths)


def least(weights, arity, longest):
    """Least cost of all codes, by Kraft's inequality."""
    heaviest = sorted(weights, reverse=True)
    return min(
        cost(heaviest, lengths)
        for lengths in itertools.combinations_with_replacement(range(longest + 1), len(weights))
        if kraft(lengths, arity) <= 1
    )


# --- many vectors


@given(
    st.one_of(
        hnp.arrays(
            np.int64,
            hnp.array_shapes(min_dims=2, max_dims=3, max_side=40),
            elements=st.one_of(st.integers(0, 4), st.integers(0, 2**55)),
        ),
        hnp.arrays(
            np.float64,
            st.tuples(st.integers(32, 40), st.integers(1, 20)),
            elements=st.one_of(st.sampled_from([0.0, 5e-324, 1.0, 2.0]), st.floats(0, 1e307)),
        ),
        hnp.arrays(np.int64, (33, 3), elements=st.integers(0, 2**62)),
        hnp.arrays(object, (2, 3), elements=st.fractions(0, 3)),
    )
)
def test_many_vectors_are_coded_as_each_by_itself(weights):
    lengths = huffman_lengths(weights)
    assert lengths.dtype == np.int64
    assert lengths.shape == weights.shape
    for at in np.ndindex(weights.shape[:-1]):
        assert lengths[at].tolist() == huffman_lengths(weights[at]).tolist()


def test_no_vectors_and_lists_of_them():
    assert huffman_lengths(np.zeros((0, 3))).shape == (0, 3)
    assert huffman_lengths([[1, 1, 2], [2, 1, 1]]).tolist() == [[2, 2, 1], [1, 2, 2]]


def test_vectors_of_more_weights_than_are_merged_together():
    weights = np.random.default_rng(0).pareto(1.2, (40, 2500))
    assert huffman_lengths(weights)[7].tolist() == huffman_lengths(weights[7]).tolist()


# --- other alphabets


@given(small, st.integers(2, 8))
def test_no_code_in_other_digits_is_cheaper(weights, arity):
    lengths = huffman_lengths(weights, arity=arity)
    assert kraft(lengths, arity) <= 1
    assert cost(weights, lengths) == least(weights, arity, 6)


@given(st.lists(st.integers(1, 60), min_size=1, max_size=40), st.integers(2, 8))
def test_theorem_3_4_in_other_digits(weights, arity):
    # H <= L < H + 1 in units of log(arity), times the total, as powers: whole numbers.
    total, lengths = sum(weights), huffman_lengths(weights, arity=arity)
    spent = math.prod(w**w for w in weights) * arity ** int(cost(weights, lengths))
    assert total**total <= spent < total**total * arity**total
    # ceil(H), which Theorem 3.4 gives, is within one digit of a real code's mean.
    tree = TokenTree.from_leaves(
        {(i,): w for i, w in enumerate(weights)}, alphabet_size=len(weights), depth=1
    )
    mean = cost(weights, lengths) / total
    assert abs(ideal_code_length(tree, 1, base=arity) - mean) < 1


@pytest.mark.parametrize("arity", [3, 5, 16, 17, 300])
def test_large_codes_in_other_digits(arity):
    weights = np.random.default_rng(0).integers(0, 2**30, 20_001)
    lengths = huffman_lengths(weights, arity=arity)
    # By definition: the `arity` lightest are joined until one is left; cost is the sum of what is joined.
    heap = [0] * ((1 - weights.size) % (arity - 1)) + weights.tolist()
    heapq.heapify(heap)
    joined = 0
    while len(heap) > 1:
        weight = sum(heapq.heappop(heap) for _ in range(arity))
        joined += weight
        heapq.heappush(heap, weight)
    assert int(weights @ lengths) == joined
    assert kraft(lengths, arity) <= 1
    ranked = lengths[np.lexsort((np.arange(weights.size), -weights))]
    assert (np.diff(ranked) >= 0).all()


@given(st.lists(counts, min_size=190, max_size=230), st.integers(2, 5), st.integers(0, 300))
def test_few_and_many_weights_take_the_same_lengths(weights, arity, inserted):
    found = huffman_lengths(weights, arity=arity)
    with mock.patch.object(lengths_module, "_INSERTED", inserted):
        assert huffman_lengths(weights, arity=arity).tolist() == found.tolist()


# --- a limit


@given(small, st.integers(2, 4), st.integers(0, 6))
def test_no_code_within_the_limit_is_cheaper(weights, arity, limit):
    if arity**limit < len(weights):
        with pytest.raises(ValueError, match=f"limit = {limit}: {len(weights)} symbols need codewords of"):
            huffman_lengths(weights, arity=arity, limit=limit)
        return
    lengths = huffman_lengths(weights, arity=arity, limit=limit)
    assert lengths.max() <= limit
    assert kraft(lengths, arity) <= 1
    assert cost(weights, lengths) == least(weights, arity, limit)


@given(st.lists(counts, min_size=1, max_size=60), st.integers(6, 60))
def test_a_limit_that_does_not_bind_changes_nothing(weights, limit):
    free, bound = huffman_lengths(weights), huffman_lengths(weights, limit=limit)
    if free.max() <= limit:
        assert bound.tolist() == free.tolist()
    assert kraft(bound) == 1
    assert bound.max() <= limit
    # One more digit never costs more.
    assert cost(weights, huffman_lengths(weights, limit=limit + 1)) <= cost(weights, bound)


@pytest.mark.parametrize("scale", [1, 2**55, Fraction(1, 3), 1.0, 2.0**1000, 2.0**-1040])
def test_limits_of_every_kind_of_weights(scale):
    fibonacci = [1, 1, 2, 3, 5, 8, 13, 21]
    lengths = huffman_lengths([weight * scale for weight in fibonacci], limit=4)
    assert lengths.tolist() == huffman_lengths(fibonacci, limit=4).tolist()
    assert HuffmanCode.from_weights(fibonacci, limit=4).lengths.tolist() == lengths.tolist()


# --- Shannon's codes


positive = st.one_of(
    st.lists(st.integers(1, 2**70), min_size=1, max_size=20),
    st.lists(st.fractions(Fraction(1, 99), 9), min_size=1, max_size=20),
    st.lists(
        st.one_of(st.sampled_from([0.5, 0.25, 0.1, 5e-324]), st.floats(5e-324, 1.7e308)),
        min_size=1,
        max_size=20,
    ),
)


@given(positive)
@example([5e-324, 8.452712498170646e270])
def test_shannons_lengths_round_the_information_up(weights):
    lengths = shannon_lengths(np.array(weights, object))
    total = sum(map(Fraction, weights))
    for weight, length in zip(weights, lengths.tolist(), strict=True):
        share = Fraction(weight) / total
        assert Fraction(1, 2**length) <= share < Fraction(2, 2**length)
    assert PrefixCode(lengths).kraft_sum <= 1


@given(st.lists(st.integers(1, 99), min_size=1, max_size=12))
def test_intervals_of_shannon_fano_and_elias(weights):
    words, total = shannon_fano_elias_codewords(weights), sum(weights)
    assert [len(word) for word in words] == (shannon_lengths(weights) + 1).tolist()
    start = Fraction(0)
    for word, weight in zip(words, weights, strict=True):
        begin, end = Fraction(int(word, 2), 2 ** len(word)), Fraction(int(word, 2) + 1, 2 ** len(word))
        assert start <= begin < end <= start + Fraction(weight, total)
        start += Fraction(weight, total)
    assert list(words) == sorted(words)


def test_what_never_occurs_has_no_codeword():
    for door in (shannon_lengths, shannon_fano_elias_codewords):
        with pytest.raises(ValueError, match=re.escape("weights[1] = 0: must be finite and > 0")):
            door([1, 0])
        with pytest.raises(ValueError, match=re.escape("weights[0] = inf: must be finite and > 0")):
            door([math.inf, 1.0])
        with pytest.raises(ValueError, match=re.escape("weights has shape (0,): must be one-dimensional")):
            door([])


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"arity": 1}, ValueError, "arity = 1: must be an integer >= 2"),
        ({"arity": 2.5}, TypeError, "arity = 2.5: must be an integer >= 2"),
        ({"limit": 1}, ValueError, "limit = 1: 3 symbols need codewords of 2 digits"),
        ({"limit": -1}, ValueError, "limit = -1: must be an integer >= 0"),
    ],
)
def test_bad_options(unchecked, options, error, message):
    with pytest.raises(error, match=f"^{re.escape(message)}$"):
        huffman_lengths([1, 2, 3], **options)


def test_places_of_bad_weights_among_many():
    with pytest.raises(ValueError, match=re.escape("weights[1, 0] = -1: must be finite and >= 0")):
        huffman_lengths([[1, 2], [-1, 2]])
    with pytest.raises(ValueError, match=re.escape("weights has shape (2, 2): must be one-dimensional")):
        HuffmanCode.from_weights([[1, 2], [1, 2]])
