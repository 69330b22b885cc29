"""The depth to which a model knows the data, against KL divergences of aligned trees."""

import math

import numpy as np
import pytest
from hypothesis import assume, given, strategies as st
from scipy.special import log_softmax
from tests.toys import Toy, build, data_for, models, responses

from tokentree import TokenTree, kl_divergence, leaf_distributions, merge, modelled_depth
from tokentree.adapters import ReadError, read_along, read_model


@given(models, responses, st.integers(1, 4), st.floats(0, 8))
def test_the_curve_is_the_divergence_at_every_depth(arguments, rows, depth, tolerance):
    model = build(arguments)
    data = data_for(model, rows, depth)
    full = read_model(model, depth)
    if full.alphabet_size != data.alphabet_size:
        full = read_along(model, data)
    for tree in (full, read_along(model, data)):
        found = modelled_depth(tree, data, tolerance)
        divergences = [kl_divergence(*leaf_distributions([data, tree], d)) for d in found.depths.tolist()]
        assert np.allclose(found.upper, divergences, rtol=1e-12, atol=1e-13)
        assert (found.lower == found.upper).all()
        assert found.depth == sum(bound <= tolerance for bound in found.upper)


@given(models, responses, st.integers(1, 4), st.integers(2, 60), st.sampled_from([None, 1, 2]))
def test_bounds_hold_whatever_is_unexpanded(arguments, rows, depth, max_nodes, top_k):
    model = build(arguments)
    data = data_for(model, rows, depth)
    try:
        part, full = read_model(model, depth, max_nodes=max_nodes, top_k=top_k), read_model(model, depth)
    except ReadError:
        assume(False)
    assume(full.alphabet_size == data.alphabet_size)
    bounds, exact = modelled_depth(part, data, 1.0), modelled_depth(full, data, 1.0)
    n = min(len(bounds.depths), len(exact.depths))
    assert (bounds.lower[:n] <= exact.upper[:n] * (1 + 1e-12) + 1e-13).all()
    assert (exact.upper[:n] <= bounds.upper[:n] * (1 + 1e-12) + 1e-13).all()
    assert bounds.depth <= bounds.possible


def test_the_lower_bound_is_reached():
    # The data spread below the unexpanded prefix just as the model does: nothing is lost there.
    model = Toy(3, zeros=False)
    part, full = read_model(model, 3, max_nodes=20), read_model(model, 3)
    assert part.unexpanded_weight > 0
    found = modelled_depth(part, full, 0.5)
    assert np.allclose(found.lower, 0, atol=1e-15)
    assert (found.upper[-1], found.possible) == (math.inf, 3)
    assert found.depth < 3


def test_the_lower_bound_is_that_of_the_log_sum_inequality():
    # Known: 0 with 0.6. Not looked at: 0.4, of which the data have 3/4 on tokens 1 and 2.
    part = read_model(lambda prefixes: np.log([[0.6, 0.3, 0.1]] * len(prefixes)), 1, top_k=1)
    data = TokenTree.from_leaves({"0": 1, "1": 2, "2": 1}, alphabet_size=3, depth=1)
    found = modelled_depth(part, data, 0.2)
    least = 0.25 * math.log2(0.25 / 0.6) + 0.75 * math.log2(0.75 / 0.4)
    assert found.lower.tolist() == pytest.approx([least], rel=1e-14)
    assert (found.upper[0], found.depth, found.possible) == (math.inf, 0, 0)
    # A model that spreads its 0.4 as the data do attains it.
    attained = TokenTree.from_leaves({"0": 0.6, "1": 0.8 / 3, "2": 0.4 / 3}, alphabet_size=3, depth=1)
    assert kl_divergence(*leaf_distributions([data, attained])) == pytest.approx(least, rel=1e-12)
    assert modelled_depth(part, data, least).possible == 1


def test_a_model_of_the_first_symbols_is_known_to_their_depth():
    # Uniform below depth 2: every further symbol of constant data costs one bit.
    data = TokenTree.from_sequences(["0000"], depth=4)
    model = merge([TokenTree.from_leaves({f"00{i:02b}": 1.0}, depth=4) for i in range(4)])
    assert np.allclose(modelled_depth(model, data, 0).upper, [0, 0, 1, 2], atol=0)
    assert [modelled_depth(model, data, t).depth for t in (0, 0.9, 1, 1.5, 2, math.inf)] == [2, 2, 3, 3, 4, 4]
    assert np.allclose(modelled_depth(model, data, 0, base=math.e).upper, np.log([1, 1, 2, 4]))


def test_data_outside_the_model_are_infinitely_far():
    data, model = TokenTree.from_sequences(["01", "1"]), TokenTree.from_sequences(["01", "0"])
    found = modelled_depth(model, data, 100)
    assert (found.depth, found.possible) == (0, 0)
    assert (found.lower == math.inf).all()


@pytest.mark.parametrize("seed", range(3))
def test_rounding_of_a_model_in_float32_is_within_any_tolerance(seed):
    logits = 3 * np.random.default_rng(seed).normal(size=(6, 5))

    def model(dtype):
        rows = log_softmax(logits.astype(dtype), axis=1)
        return lambda prefixes: rows[[prefix[-1] if prefix else 5 for prefix in prefixes]]

    data, single = (read_model(model(dtype), depth=6) for dtype in (np.float64, np.float32))
    found = modelled_depth(single, data, 0)
    assert found.depth == 6
    assert 0 < found.upper[-1] < 6 * 1e-14 / math.log(2)


def test_a_perfect_model_is_as_far_as_its_data_are_few():
    rng, n, p = np.random.default_rng(0), 2000, np.array([0.4, 0.3, 0.2, 0.1])
    model = TokenTree.from_leaves({str(i): float(x) for i, x in enumerate(p)}, alphabet_size=4, depth=1)
    found = [
        modelled_depth(
            model,
            TokenTree.from_leaves({str(i): int(x) for i, x in enumerate(counts)}, alphabet_size=4, depth=1),
            0,
        ).upper[0]
        for counts in rng.multinomial(n, p, size=200)
    ]
    assert np.mean(found) == pytest.approx(3 / (2 * n * math.log(2)), rel=0.2)


def test_the_shallower_cut_counts():
    data, model = TokenTree.from_sequences(["010101"], depth=5), TokenTree.from_sequences(["010101"], depth=3)
    assert modelled_depth(model, data, 0).depths.tolist() == [1, 2, 3]
    assert modelled_depth(data, model, 0).depth == 3


def test_bad_arguments():
    tree = TokenTree.from_sequences(["01"])
    open_ = read_model(Toy(2), 2, max_nodes=5)
    with pytest.raises(ValueError, match="data_tree has the unexpanded weight"):
        modelled_depth(tree, open_, 1)
    with pytest.raises(ValueError, match="tolerance = -1"):
        modelled_depth(tree, tree, -1)
    with pytest.raises(ValueError, match="tolerance = nan"):
        modelled_depth(tree, tree, math.nan)
    with pytest.raises(ValueError, match="alphabet_size"):
        modelled_depth(tree, TokenTree.from_sequences(["01"], alphabet_size=3), 1)
    with pytest.raises(ValueError, match="base = 1"):
        modelled_depth(tree, tree, 1, base=1)
