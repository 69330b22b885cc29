"""Information measures against exact counts, mpmath and scipy.stats, and every refusal of the checks."""

import math
import sys
from fractions import Fraction
from inspect import unwrap

import mpmath
import numpy as np
import pytest
from hypothesis import given, strategies as st
from scipy import stats

from tokentree._lib import checks
from tokentree.information import cross_entropy, entropy, kl_divergence, log1p_less

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
    ([0.5, 0.4], ValueError, r"^p\.sum\(axis=-1\) = 0\.9: probabilities must sum to 1 within 1e-09$"),
    ([[1.0], [0.5]], ValueError, r"^p\.sum\(axis=-1\)\[1\] = 0\.5: probabilities must sum to 1"),
    ([1e308, 1e308], ValueError, r"^p\.sum\(axis=-1\) = inf: probabilities must sum to 1"),
    ([3, -2], ValueError, r"^p\[1\] = -2\.0: must be finite and >= 0$"),
    (0.5, ValueError, r"^p has shape \(\): its last axis needs at least one leaf$"),
    ([[]], ValueError, r"^p has shape \(1, 0\): its last axis needs at least one leaf$"),
    ([[0.5, 0.5], [1.0]], ValueError, r"^p is ragged: its rows must have equal lengths$"),
    ([0.5 + 0j, 0.5], TypeError, r"^p has dtype complex128: must be real numbers that fit int64 or float64$"),
    (["0.5", "0.5"], TypeError, r"^p has dtype <U3: must be real numbers"),
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
    with pytest.raises(ValueError, match=r"^p has 1 leaves and q has 2: the last axes must match$"):
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
    with pytest.raises(ValueError, match=r"^base = .*: the base of a logarithm must be finite and > 1$"):
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
