"""Information measures against exact counts, mpmath and scipy.stats, and every refusal of the checks."""

import itertools
import math
import sys
import warnings
from fractions import Fraction
from inspect import unwrap

import mpmath
import numpy as np
import pytest
from hypothesis import given, strategies as st
from scipy import stats

from tokentree._lib import checks
from tokentree.information import (
    cross_entropy,
    entropy,
    jensen_shannon_divergence,
    kl_divergence,
    log1p_less,
    renyi_divergence,
    renyi_entropy,
)
from tokentree.mixtures import Mixture
from tokentree.springs import FisherSprings

EPS = sys.float_info.epsilon
DIGITS = 60


def accuracy(leaves):
    """Relative error of a sum of nonnegative terms: one rounding per addition, and at most 32 within a term.

    The worst term is p log(p / q) - (p - q) just outside the series, at |p - q| = (p + q) / 4: two numbers of
    three roundings each are subtracted, and the larger is under five times the difference.
    """
    return (leaves + 32) * EPS


@st.composite
def exact_distributions(draw, rows, scale=2**40):
    """Rows of counts that total a power of two, so that their ratios are floats that sum to 1 exactly."""
    leaves = draw(st.integers(1, 12))
    counts = []
    for _ in range(rows):
        row = draw(st.lists(st.integers(0, scale // 16), min_size=leaves, max_size=leaves))
        row[draw(st.integers(0, leaves - 1))] += scale - sum(row)
        counts.append(row)
    return np.array(counts)


def exact_entropy(counts):
    with mpmath.workdps(DIGITS):
        total = int(counts.sum())
        return mpmath.log(total) - mpmath.fsum(c * mpmath.log(c) for c in counts.tolist() if c) / total


def exact_divergence(p, q):
    """The definition, with p - q added to each term: zero over all leaves when both sum to one."""
    with mpmath.workdps(DIGITS):
        pairs = [(mpmath.mpf(a), mpmath.mpf(b)) for a, b in zip(p.tolist(), q.tolist(), strict=True)]
        if any(a > 0 == b for a, b in pairs):
            return mpmath.inf
        return mpmath.fsum((a * mpmath.log(a / b) if a else 0) - a + b for a, b in pairs)


@given(exact_distributions(rows=1))
def test_entropy_is_the_entropy_of_the_counts(counts):
    p = counts[0] / counts[0].sum()
    expected = float(exact_entropy(counts[0]))
    assert entropy(p, base=math.e) == pytest.approx(expected, rel=accuracy(p.size), abs=0)
    assert entropy(p) == pytest.approx(stats.entropy(p, base=2), rel=accuracy(p.size), abs=0)
    assert 0 <= entropy(p) <= math.log2(p.size) + accuracy(p.size) * math.log2(p.size)


@given(exact_distributions(rows=2))
def test_divergence_is_the_definition_never_negative_and_zero_for_equals(counts):
    p, q = counts / counts.sum(axis=1, keepdims=True)
    measured = kl_divergence(p, q, base=math.e)
    assert measured == pytest.approx(float(exact_divergence(p, q)), rel=accuracy(p.size), abs=0)
    assert measured >= 0
    assert (measured == 0) == np.array_equal(p, q)
    assert kl_divergence(p, p) == 0.0


@given(exact_distributions(rows=2))
def test_cross_entropy_is_entropy_plus_divergence(counts):
    p, q = counts / counts.sum(axis=1, keepdims=True)
    both = entropy(p) + kl_divergence(p, q)
    assert cross_entropy(p, q) == pytest.approx(both, rel=2 * accuracy(p.size), abs=0)
    assert cross_entropy(p, p) == pytest.approx(entropy(p), rel=accuracy(p.size), abs=0)
    assert (cross_entropy(p, q) == math.inf) == bool(((p > 0) & (q == 0)).any())


@given(
    st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=12).filter(
        lambda pairs: all(sum(column) > 1e-3 for column in zip(*pairs, strict=True))
    )
)
def test_divergence_of_any_floats(pairs):
    # Subnormal masses, masses of very different sizes, and sums that are 1 only up to rounding.
    p, q = (np.array(column) / math.fsum(column) for column in zip(*pairs, strict=True))
    expected = float(exact_divergence(p, q))
    # A subnormal mass has no relative precision: allow the spacing of the subnormals, times log p < 800.
    assert kl_divergence(p, q, base=math.e) == pytest.approx(expected, rel=accuracy(p.size), abs=1e-320)


@given(
    st.lists(st.integers(2**29, 2**30), min_size=2, max_size=12),
    st.lists(st.integers(-2, 2), min_size=12, max_size=12),
)
def test_divergence_of_distributions_that_differ_in_the_ninth_digit(counts, moves):
    # The counts and the moved counts have one total, a power of two, so the exact divergence is known.
    counts = np.array([*counts, 2**35 - sum(counts)])
    moves = np.array([*moves[: counts.size - 1]])
    moved = counts + np.append(moves, -moves.sum())
    p, q = counts / 2**35, moved / 2**35
    with mpmath.workdps(DIGITS):
        pairs = zip(counts.tolist(), moved.tolist(), strict=True)
        expected = float(mpmath.fsum(c * mpmath.log(mpmath.mpf(c) / m) for c, m in pairs) / 2**35)
    assert kl_divergence(p, q, base=math.e) == pytest.approx(expected, rel=accuracy(p.size), abs=0)


@pytest.mark.parametrize("ratio", [0.5999, 0.6, 0.6001, 1.6666, 5 / 3, 1.6667])
def test_divergence_keeps_its_digits_where_the_series_ends(ratio):
    p = np.array([0.3 * ratio, 1 - 0.3 * ratio])
    q = np.array([0.3, 0.7])
    expected = float(exact_divergence(p, q))
    assert kl_divergence(p, q, base=math.e) == pytest.approx(expected, rel=accuracy(2), abs=0)


@given(st.floats(0, 1e15))
def test_logarithm_less_its_argument_keeps_its_digits(x):
    with mpmath.workdps(400):
        expected = float(mpmath.log1p(x) - mpmath.mpf(x))
    # A square of a number below 1e-154 is subnormal or zero.
    assert log1p_less(np.array([x]))[0] == pytest.approx(expected, rel=accuracy(1), abs=1e-320)


@pytest.mark.parametrize(
    ("p", "q", "bits"),
    [
        ([1e-20, 1.0], [0.5, 0.5], 1.0),
        ([0.5, 0.5], [1e-300, 1.0], -1 + 150 * math.log2(10)),
        ([0.5, 0.5], [1e-310, 1.0], -1 + 155 * math.log2(10)),
        ([1e-300, 1.0], [2e-300, 1.0], 1e-300 * (1 / math.log(2) - 1)),
        ([1e-300, 1.0], [0.0, 1.0], math.inf),
        ([0.0, 1.0], [1e-300, 1.0], 1e-300 / math.log(2)),
    ],
)
def test_divergence_of_tiny_masses(p, q, bits):
    # 1e-310 is subnormal and carries 13 digits; the entropy of 1e-20 is below the last digit of 1 bit.
    assert kl_divergence(p, q) == pytest.approx(bits, rel=1e-14, abs=0)


def test_tiny_masses_contribute_their_share():
    assert entropy([1e-300, 1.0]) == pytest.approx(1e-300 * 300 * math.log2(10), rel=accuracy(2), abs=0)
    assert cross_entropy([0.0, 1.0], [1e-300, 1.0]) == 0.0
    assert cross_entropy([1.0, 0.0], [1e-300, 1.0]) == pytest.approx(300 * math.log2(10), rel=accuracy(2))


def test_textbook_values():
    # Cover and Thomas, examples 2.1.1, 2.1.2 and 2.3.1.
    assert entropy([1 / 2, 1 / 4, 1 / 8, 1 / 8]) == 1.75
    r, s = 1 / 2, 1 / 4
    assert kl_divergence([1 - r, r], [1 - s, s]) == pytest.approx(0.2075, abs=5e-5)
    assert kl_divergence([1 - s, s], [1 - r, r]) == pytest.approx(0.1887, abs=5e-5)


def test_zero_probability_costs_nothing_and_zero_codewords_cost_everything():
    assert entropy([0.0, 1.0]) == 0.0
    assert entropy([1]) == 0.0
    for measure in (cross_entropy, kl_divergence):
        assert measure([0.0, 1.0], [0.0, 1.0]) == 0.0
        assert measure([0.5, 0.5], [0.0, 1.0]) == math.inf
    # Not minus zero, which would print as -0.0.
    assert math.copysign(1, cross_entropy([1.0, 0.0], [1.0, 0.0])) == 1


@pytest.mark.parametrize("base", [1.5, math.e, 10, np.float64(256), 10**400])
def test_the_base_only_changes_the_unit(base):
    p, q = [0.5, 0.3, 0.2], [0.2, 0.3, 0.5]
    unit = math.log(base)
    assert entropy(p, base=base) * unit == pytest.approx(entropy(p, base=math.e), rel=4 * EPS)
    assert cross_entropy(p, q, base) * unit == pytest.approx(cross_entropy(p, q, math.e), rel=4 * EPS)
    assert kl_divergence(p, q, base) * unit == pytest.approx(kl_divergence(p, q, math.e), rel=4 * EPS)


@pytest.mark.parametrize("measure", [cross_entropy, kl_divergence])
def test_leading_axes_broadcast(measure):
    rng = np.random.default_rng(3)
    p, q = rng.dirichlet(np.ones(4), size=(2, 1)), rng.dirichlet(np.ones(4), size=3)
    measured = measure(p, q)
    assert measured.shape == (2, 3)
    for i in range(2):
        for j in range(3):
            assert measured[i, j] == measure(p[i, 0], q[j])
    assert measure(p[:0], q).shape == (0, 3)


def test_one_distribution_gives_a_number_and_inputs_are_left_alone():
    p = np.array([0.5, 0.5], dtype=np.float32)
    assert isinstance(entropy(p), np.float64)
    assert entropy(np.array([[0.5, 0.5], [0.0, 1.0]])).tolist() == [1.0, 0.0]
    assert p.tolist() == [0.5, 0.5]


BAD = [
    ([0.5, -0.5, 1.0], ValueError, r"^p\[1\] = -0.5: must be finite and >= 0$"),
    ([[0.5, 0.5], [math.nan, 1.0]], ValueError, r"^p\[1, 0\] = nan: must be finite and >= 0$"),
    ([0.5, math.inf], ValueError, r"^p\[1\] = inf: must be finite and >= 0$"),
    (
        [0.5, 0.4],
        ValueError,
        r"^p\.sum\(axis=-1\) = 0\.9: probabilities must sum to 1 within 1e-09; divide others by their sum$",
    ),
    ([[1.0], [0.5]], ValueError, r"^p\.sum\(axis=-1\)\[1\] = 0\.5: probabilities must sum to 1"),
    ([1e308, 1e308], ValueError, r"^p\.sum\(axis=-1\) = inf: probabilities must sum to 1"),
    ([3, -2], ValueError, r"^p\[1\] = -2\.0: must be finite and >= 0$"),
    (0.5, ValueError, r"^p has shape \(\): its last axis needs at least one leaf$"),
    ([[]], ValueError, r"^p has shape \(1, 0\): its last axis needs at least one leaf$"),
    ([[0.5, 0.5], [1.0]], ValueError, r"^p is ragged: its rows must have equal lengths$"),
    ([0.5 + 0j, 0.5], TypeError, r"^p has dtype complex128: must be real numbers that fit int64 or float64$"),
    (["0.5", "0.5"], TypeError, r"^p holds text: must be real numbers"),
    ([True, False], TypeError, r"^p has dtype bool: must be real numbers"),
    ([Fraction(1)], TypeError, r"^p\[0\] = Fraction\(1, 1\): must be an int or a float"),
    (np.array([2**63, 1], dtype=np.uint64), ValueError, r"^p\.sum\(axis=-1\) = 9\.22.*: probabilities must"),
]


@pytest.mark.parametrize(("p", "error", "message"), BAD, ids=[message for *_, message in BAD])
def test_bad_distributions_are_named(p, error, message):
    with pytest.raises(error, match=message):
        entropy(p)
    for measure in (cross_entropy, kl_divergence):
        with pytest.raises(error, match=message):
            measure(p, [1.0])
        with pytest.raises(error, match=message.replace("^p", "^q")):
            measure([1.0], p)


@pytest.mark.skipif(np.finfo(np.longdouble).bits == 64, reason="long double is double here")
def test_wider_floats_are_not_narrowed():
    with pytest.raises(TypeError, match=r"^p has dtype float\d+: must be real numbers that fit"):
        entropy(np.array([0.5, 0.5], dtype=np.longdouble))


def test_sums_within_rounding_are_accepted_and_not_renormalised():
    off = 0.5 * checks.SUM_TOLERANCE
    assert entropy([0.5 + off, 0.5]) != 1.0
    with pytest.raises(ValueError, match="probabilities must sum to 1"):
        entropy([0.5 + 3 * off, 0.5])


@pytest.mark.parametrize("measure", [cross_entropy, kl_divergence])
def test_shapes_that_do_not_match_are_named(measure):
    with pytest.raises(
        ValueError,
        match=r"^p has 1 leaves and q has 2: the last axes must match; of trees a and b, leaf_dist",
    ):
        measure([1.0], [0.5, 0.5])
    with pytest.raises(
        ValueError, match=r"^p has shape \(2, 1\) and q has shape \(3, 1\): leading axes must broadcast$"
    ):
        measure(np.ones((2, 1)), np.ones((3, 1)))


@pytest.mark.parametrize("base", [1, 0, -2, 0.5, math.nan, math.inf, True])
def test_bad_bases_are_named(base):
    with pytest.raises(ValueError, match=rf"^base = {base}: the base of a logarithm must be finite and > 1$"):
        entropy([1.0], base=base)


@pytest.mark.parametrize("base", ["2", None, 2j, np.complex128(2)])
def test_bases_of_another_type_are_named(base):
    # Unwrapped: in the tests, beartype would refuse these before the library sees them.
    with pytest.raises(ValueError, match=r"^base = .*: the base of a logarithm must be finite and > 1"):
        unwrap(checks.log_base)(base)


@pytest.mark.parametrize(
    ("value", "error"),
    [(0, ValueError), (-3, ValueError), (True, ValueError), (1.0, TypeError), ("1", TypeError)],
)
def test_bad_integers_are_named(value, error):
    with pytest.raises(error, match=rf"^depth = {value!r}: must be an integer >= 1$"):
        checks.integer("depth", value, at_least=1)


def test_integers_of_any_make_are_taken():
    assert checks.integer("depth", np.uint8(3), at_least=3) == 3


@pytest.mark.parametrize("dtype", [np.int8, np.uint32, np.uint64, np.int64])
def test_integer_arrays_stay_integers(dtype):
    values = np.array([0, 100], dtype=dtype)
    widened = checks.real_array("counts", values)
    assert widened.dtype == np.int64
    assert np.array_equal(widened, values)


# Rényi's, and Jensen and Shannon's

ORDERS = (0, 1e-3, 0.3, 0.5, 0.7, 1 - 1e-6, 1, 1 + 1e-6, 1.5, 2, 7.5, 100, math.inf)


def exact_renyi_entropy(counts, order):
    with mpmath.workdps(DIGITS):
        p = [mpmath.mpf(c) / int(counts.sum()) for c in counts.tolist() if c]
        if order == 1:
            return -mpmath.fsum(x * mpmath.log(x) for x in p)
        if order == math.inf:
            return -mpmath.log(max(p))
        return mpmath.log(mpmath.fsum(x ** mpmath.mpf(order) for x in p)) / (1 - mpmath.mpf(order))


def exact_renyi_divergence(p, q, order):
    with mpmath.workdps(DIGITS):
        pairs = [(mpmath.mpf(a), mpmath.mpf(b)) for a, b in zip(p.tolist(), q.tolist(), strict=True)]
        if order >= 1 and any(a > 0 == b for a, b in pairs):
            return mpmath.inf
        pairs = [(a, b) for a, b in pairs if a and b]
        if order == 1:
            return mpmath.fsum(a * mpmath.log(a / b) for a, b in pairs)
        if order == math.inf:
            return max(mpmath.log(a / b) for a, b in pairs)
        alpha = mpmath.mpf(order)
        total = mpmath.fsum(a**alpha * b ** (1 - alpha) for a, b in pairs)
        return mpmath.log(total) / (alpha - 1) if total else mpmath.inf


def within(found, exact, leaves, order):
    # Powers take the rounding of a logarithm times the order.
    slack = (leaves + 64) * EPS * (max(1, order) if math.isfinite(order) else 1)
    return found == exact or abs(found - exact) <= slack * abs(exact) + 1e-40


@given(exact_distributions(rows=1), st.sampled_from(ORDERS))
def test_renyi_entropy_is_that_of_the_counts(counts, order):
    found = renyi_entropy(counts[0] / counts[0].sum(), order, base=math.e)
    assert within(found, exact_renyi_entropy(counts[0], order), counts.shape[1], order)


@given(exact_distributions(rows=2), st.sampled_from(ORDERS), st.integers(0, 3))
def test_renyi_divergence_is_that_of_the_counts(counts, order, near):
    total = counts[0].sum()
    if near:
        # All but equal: what is moved is the last few of 2^40.
        counts[1] = counts[0]
        moved = min(near, int(counts[0, 0]))
        counts[1, 0] -= moved
        counts[1, -1] += moved
    p, q = counts / total
    found = renyi_divergence(p, q, order, base=math.e)
    assert within(found, exact_renyi_divergence(p, q, order), counts.shape[1], order)


@given(exact_distributions(rows=2))
def test_renyi_falls_for_entropies_and_rises_for_divergences(counts):
    p, q = counts / counts[0].sum()
    entropies = [float(renyi_entropy(p, order)) for order in ORDERS]
    divergences = [float(renyi_divergence(p, q, order)) for order in ORDERS]
    for low, high in itertools.pairwise(range(len(ORDERS))):
        assert entropies[high] <= entropies[low] * (1 + 1e-13)
        assert divergences[low] <= divergences[high] * (1 + 1e-13)
    assert renyi_entropy(p, 1) == entropy(p)
    assert renyi_divergence(p, q, 1) == kl_divergence(p, q)
    if p.all():
        # Against the uniform distribution, what is lacking of the largest entropy.
        uniform = np.full(p.size, 1 / p.size)
        lacking = np.log2(p.size) - renyi_entropy(p, 2)
        assert renyi_divergence(p, uniform, 2) == pytest.approx(lacking, abs=1e-13)


@pytest.mark.parametrize("least", [1e-300, 1e-310, 5e-324])
@pytest.mark.parametrize("order", [1e-3, 0.5, 1.001, 3, 1e4, math.inf])
def test_renyi_of_masses_that_underflow(order, least):
    # Below 1e-308 their ratio to 1 is beyond float64 too.
    p, q = np.array([1 - least, least]), np.array([least, 1 - least])
    found = renyi_divergence(p, q, order, base=math.e)
    assert found == pytest.approx(float(exact_renyi_divergence(p, q, order)), rel=1e-12)


@pytest.mark.parametrize("common", [1e-9, 1e-17, 1e-300, 5e-324])
def test_divergence_of_order_zero_of_hardly_any_common_mass(common):
    p, q = np.array([1 - common, common, 0]), np.array([0, common, 1 - common])
    assert renyi_divergence(p, q, 0, base=math.e) == pytest.approx(-math.log(common), rel=1e-15)


@pytest.mark.parametrize("order", ORDERS)
def test_what_has_nothing_in_common_is_infinitely_far(order):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert renyi_divergence([1.0, 0.0], [0.0, 1.0], order) == math.inf
        assert renyi_entropy([1.0, 0.0], order) == 0
        assert jensen_shannon_divergence(np.eye(2), [1, 0]) == 0


@pytest.mark.parametrize(
    "measure",
    [
        lambda p, q: kl_divergence(p[:, None], q),
        lambda p, q: jensen_shannon_divergence(np.stack([p, q], axis=1), [0.0, 2.0]),
        lambda p, q: jensen_shannon_divergence(np.stack([p, q], axis=1), [3.0, 1.0]),
        *(lambda p, q, order=order: renyi_divergence(p[:, None], q, order) for order in (0.5, 3, math.inf)),
    ],
)
def test_a_measure_does_not_depend_on_the_blocks(measure, monkeypatch):
    rng = np.random.default_rng(0)
    p, q = rng.pareto(0.5, (2, 4, 13)) * (rng.random((2, 4, 13)) < 0.8)
    # Some pairs of rows have leaves that the other lacks, and the last pair has none.
    q[3] = np.where(p[3] > 0, 1e-200, 0.0)
    p, q = (rows / rows.sum(axis=1, keepdims=True) for rows in (p, q))
    whole = measure(p, q)
    monkeypatch.setattr("tokentree.information._BLOCK", 4)
    np.testing.assert_array_equal(measure(p, q), whole)
    assert np.isfinite(whole).any()


def test_renyi_broadcasts_and_refuses(unchecked):
    p, q = np.array([[0.5, 0.5], [1, 0]]), np.array([0.25, 0.75])
    both = renyi_divergence(p, q, 2)
    assert both.tolist() == [renyi_divergence(row, q, 2) for row in p]
    assert renyi_entropy(p, 2).tolist() == [1, 0]
    for order in (-1, math.nan, [1, 2]):
        with pytest.raises(ValueError, match=r"order = .*: must be one number >= 0"):
            renyi_entropy(p, order)
        with pytest.raises(ValueError, match=r"order = .*: must be one number >= 0"):
            renyi_divergence(p, q, order)


@given(exact_distributions(rows=3), st.lists(st.integers(0, 9), min_size=3, max_size=3).filter(any))
def test_jensen_shannon_divergence_is_the_mean_divergence_from_the_mean(counts, weights):
    rows = counts / counts[0].sum()
    found = jensen_shannon_divergence(rows, weights, base=math.e)
    with mpmath.workdps(DIGITS):
        shares = [mpmath.mpf(w) / sum(weights) for w in weights]
        exact = [[mpmath.mpf(x) for x in row] for row in rows.tolist()]
        q = [
            mpmath.fsum(w * x for w, x in zip(shares, column, strict=True))
            for column in zip(*exact, strict=True)
        ]
        expected = mpmath.fsum(
            w * (x * mpmath.log(x / y) if x else 0)
            for w, row in zip(shares, exact, strict=True)
            for x, y in zip(row, q, strict=True)
            if w
        )
    # Shares are rounded, and so is q: as if each p_i - q were off by some of its scale.
    assert abs(found - expected) <= 1e-14 * (abs(expected) + float(expected) ** 0.5 * 1e-8) + 1e-40
    kept = [i for i, w in enumerate(weights) if w]
    mixture = Mixture(counts[kept], [weights[i] for i in kept])
    assert found * sum(weights) == pytest.approx(FisherSprings(mixture).energy(base=math.e), rel=1e-11)


def test_jensen_shannon_of_rows_that_nearly_agree_keeps_its_digits():
    p = np.array([0.5, 0.25, 0.25])
    shift = 2.0**-40
    pair = np.stack([p, p + np.array([shift, -shift, 0])])
    found = jensen_shannon_divergence(pair, base=math.e)
    with mpmath.workdps(DIGITS):
        rows = [[mpmath.mpf(x) for x in row] for row in pair.tolist()]
        q = [(a + b) / 2 for a, b in zip(*rows, strict=True)]
        terms = [x * mpmath.log(x / y) for row in rows for x, y in zip(row, q, strict=True)]
        exact = mpmath.fsum(terms) / 2
    assert found == pytest.approx(float(exact), rel=1e-13)
    batch = np.stack([np.eye(2), np.full((2, 2), 0.5)])
    assert jensen_shannon_divergence(batch).tolist() == [1, 0]


def test_jensen_shannon_of_weights_and_masses_that_underflow_together():
    rows = [[1.0, 0.0], [1 - 1e-250, 1e-250]]
    assert jensen_shannon_divergence(rows, weights=[1, 1e-100]) == 0


@pytest.mark.parametrize(
    ("rows", "weights", "message"),
    [
        ([0.5, 0.5], None, r"distributions has shape \(2,\): must be \(\.\.\., N, M\)"),
        ([[0.5, 0.5]], [1, 2], r"weights has shape \(2,\): must be \(1,\)"),
        ([[0.5, 0.5]], [0], "weights are all 0"),
        ([[0.5, 0.5]], [-1], r"weights\[0\] = -1"),
    ],
)
def test_jensen_shannon_refuses(unchecked, rows, weights, message):
    with pytest.raises(ValueError, match=message):
        jensen_shannon_divergence(rows, weights)
