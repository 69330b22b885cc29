"""Pareto masses against mpmath's integrals, and against the law they are drawn from."""

import math
import sys
from dataclasses import FrozenInstanceError
from inspect import unwrap

import mpmath
import numpy as np
import pytest
from hypothesis import given, strategies as st
from scipy import stats

from tokentree.information import entropy
from tokentree.pareto import ParetoMass
from tokentree.pareto.expint import expint

EPS = sys.float_info.epsilon

ACCURACY = 1e-14
"""Of E_v(x): the series adds eight rounded terms below 1.3 to a value above 0.14, and the rest is milder."""


def expected_laplace(alpha, s, n):
    """E[Y^n exp(-s Y)] by quadrature, from Y = x_m exp(W / alpha), W exponential."""
    with mpmath.workdps(30):
        alpha, s = mpmath.mpf(alpha), mpmath.mpf(s)
        scale = (alpha - 1) / alpha

        def integrand(w):
            y = scale * mpmath.exp(w / alpha)
            return y**n * mpmath.exp(-s * (y - scale) - w)

        # The integrand falls off at the rate 1 + s x_m / alpha or faster.
        breaks = [w / (1 + s * scale / alpha) for w in (0, 0.3, 1, 3, 8, 16, 32, 100)]
        value, error = mpmath.quad(integrand, breaks, error=True)
        assert error < 1e-16 * value
        return mpmath.exp(-s * scale) * value


def relative_error(value, expected):
    with mpmath.workdps(40):
        return float(abs(mpmath.mpf(float(value)) / expected - 1))


def assert_expint(order, x):
    for value, point in zip(expint(order, x), x.tolist(), strict=True):
        # At fewer digits mpmath 1.3 gives a wrong E_51(296).
        with mpmath.workdps(80):
            expected = mpmath.expint(mpmath.mpf(order), mpmath.mpf(point))
        assert relative_error(value, expected) < ACCURACY, (order, point)


@pytest.mark.parametrize(
    "order", [1e-12, 0.05, 0.499, 0.5, 1 - 1e-9, 1.0, 1 + 1e-12, 1.05, 1.5, 2.2, 2.5, 8.0, 19.99, 20.0, 51.0]
)
def test_exponential_integral_of_real_order(order):
    edges = [np.nextafter(1, 0), 1.0]
    assert_expint(
        order, np.array([1e-300, 1e-30, 1e-8, 1e-3, 0.1, 0.5, 0.9, *edges, 2.5, 20.0, 300.0, 700.0])
    )


@given(st.floats(0.01, 60), st.floats(-300, math.log10(700)))
def test_exponential_integral_anywhere(order, exponent):
    assert_expint(order, np.array([10.0**exponent]))


@given(st.floats(1.05, 60), st.floats(1e-3, 700))
def test_exponential_integral_obeys_its_recurrence(order, x):
    # Where the two sides come from the fraction and from the series, the seams would show.
    point = np.array([x])
    left, right = order * expint(order + 1, point) + x * expint(order, point), np.exp(-point)
    assert left == pytest.approx(right, rel=2 * ACCURACY, abs=0)


@pytest.mark.parametrize("n", [0, 1, 2])
@pytest.mark.parametrize("alpha", [1.05, 2.0, 2.5, 17.0, 1e4, 1e8])
def test_laplace_transform_is_the_expectation(alpha, n):
    s = np.array([0.05, 0.7, 1.3, 30.0, 400.0])
    values = ParetoMass(alpha).laplace(s, derivative=n)
    for value, point in zip(values, s.tolist(), strict=True):
        # Rounding s x_m moves the result by that relative error times s.
        assert relative_error(value, expected_laplace(alpha, point, n)) < ACCURACY + 2 * EPS * point


@pytest.mark.parametrize(
    ("alpha", "second"), [(1.05, math.inf), (2.0, math.inf), (2.5, 1.8), (49.0, 2304 / 2303)]
)
def test_laplace_transform_at_zero_gives_the_moments(alpha, second):
    pareto = ParetoMass(alpha)
    assert pareto.laplace(0) == pareto.laplace(0, derivative=1) == 1.0
    assert pareto.laplace(0.0, derivative=2) == pytest.approx(second, rel=4 * EPS)
    # Continuous from the right: |phi(s) - 1| <= s.
    assert pareto.laplace(1e-300) == pytest.approx(1.0, rel=4 * EPS)


def test_second_derivative_at_a_tiny_argument_of_an_infinite_variance():
    # alpha x_m^2 Gamma(2 - alpha) x^(alpha - 2) leads by far: the next term is 1e-150 of it.
    alpha, s = 1.5, 1e-300
    scale = 1 / 3
    expected = alpha * scale**2 * math.gamma(0.5) * (scale * s) ** -0.5
    assert ParetoMass(alpha).laplace(s, derivative=2) == pytest.approx(expected, rel=8 * EPS)


def test_second_derivative_above_the_largest_float_is_infinite():
    # alpha x_m^2 Gamma(2 - alpha) (x_m s)^(alpha - 2) = 5e315.
    assert ParetoMass(1.001).laplace(1e-319, derivative=2) == math.inf


def test_laplace_transform_keeps_the_shape():
    s = np.array([[0.0, 0.5, 1.0], [5.0, 50.0, 1e4]])
    values = ParetoMass(2.5).laplace(s)
    assert values.shape == (2, 3)
    assert values[1, 2] == 0.0
    assert values[0, 1] == ParetoMass(2.5).laplace(0.5)
    assert isinstance(ParetoMass(2.5).laplace(1), np.float64)
    assert ParetoMass(2.5).laplace([]).shape == (0,)


@given(st.floats(1, 1e8, exclude_min=True))
def test_self_rate_is_the_formula(alpha):
    with mpmath.workdps(60):
        exact = mpmath.mpf(alpha)
        expected = mpmath.log(exact / (exact - 1)) - 1 / (exact - 1)
    rate = ParetoMass(alpha).normalized_self_rate(base=math.e)
    # As in test_information.py: at most 32 roundings in a divergence's term, and three before it.
    assert relative_error(rate, expected) < 35 * EPS
    assert ParetoMass(alpha).normalized_self_rate() == pytest.approx(rate / math.log(2), rel=2 * EPS, abs=0)


@pytest.mark.parametrize(("alpha", "nats"), [(2.5, -0.15584), (4, -0.04565)])
def test_self_rate_known_values(alpha, nats):
    assert round(ParetoMass(alpha).normalized_self_rate(base=math.e), 5) == nats


def test_self_rate_of_large_samples_approaches_the_limit():
    alpha, leaves = 4.0, 10**6

    def moment(k, j):
        """E[X^k log(X)^j] for x_m = 1."""
        return math.factorial(j) * alpha / (alpha - k) ** (j + 1)

    # H(p) - log M = log B - A / B with A, B the means of X log X and X: its standard deviation by the delta
    # method, and its bias of order 1/M is far below that.
    a, b = moment(1, 1), moment(1, 0)
    to_b, to_a = 1 / b + a / b**2, -1 / b
    variance = (
        to_b**2 * (moment(2, 0) - b**2)
        + 2 * to_a * to_b * (moment(2, 1) - a * b)
        + to_a**2 * (moment(2, 2) - a**2)
    )
    bound = 6 * math.sqrt(variance / leaves)
    limit = ParetoMass(alpha).normalized_self_rate(base=math.e)
    assert bound < abs(limit) / 20
    for seed in range(3):
        masses = ParetoMass(alpha).sample(leaves, seed)
        assert abs(entropy(masses, base=math.e) - math.log(leaves) - limit) < bound


@pytest.mark.parametrize("alpha", [1.05, 1.5, 4.0, 50.0])
def test_masses_follow_the_law(alpha):
    masses = ParetoMass(alpha).sample(100_000, 20)
    # Given the smallest of the draws, the others divided by it are independent and Pareto again.
    ratios = np.delete(masses, masses.argmin()) / masses.min()
    assert stats.kstest(ratios, stats.pareto(alpha).cdf).pvalue > 1e-6
    assert stats.kstest(ratios, stats.pareto(1.02 * alpha).cdf).pvalue < 1e-3


@given(st.floats(1.001, 100), st.integers(1, 2000), st.integers(0, 2**63))
def test_masses_are_positive_and_sum_to_one(alpha, leaves, seed):
    masses = ParetoMass(alpha).sample(leaves, seed)
    assert masses.shape == (leaves,)
    assert masses.min() > 0
    # One rounding per addition, one per division.
    assert abs(math.fsum(masses) - 1) <= (leaves + 1) * EPS


def test_seeds_and_generators_are_the_only_randomness():
    pareto = ParetoMass(2)
    first = pareto.sample(5, 7)
    assert np.array_equal(first, pareto.sample(5, np.random.default_rng(7)))
    assert np.array_equal(first, unwrap(ParetoMass.sample)(pareto, np.int64(5), np.uint32(7)))
    generator = np.random.default_rng(7)
    assert np.array_equal(first, pareto.sample(5, generator))
    assert not np.array_equal(first, pareto.sample(5, generator))


def test_the_exponent_is_kept_as_a_float_and_does_not_change():
    pareto = ParetoMass(3)
    assert pareto == ParetoMass(3.0)
    assert type(pareto.alpha) is float
    with pytest.raises(FrozenInstanceError):
        pareto.alpha = 2.0


@pytest.mark.parametrize("alpha", [1, 1.0, 0.5, -2.0, math.nan, math.inf, True])
def test_bad_exponents_are_named(alpha):
    with pytest.raises(ValueError, match=rf"^alpha = {alpha}: must be finite and > 1$"):
        ParetoMass(alpha)


# Unwrapped, here and below: in the tests, beartype would refuse these types before the library sees them.
@pytest.mark.parametrize("alpha", ["2.5", None, 2j, [2.5]])
def test_exponents_of_another_type_are_named(alpha):
    with pytest.raises(TypeError, match=r"^alpha = .*: must be a real number, finite and > 1$"):
        unwrap(ParetoMass.__init__)(object.__new__(ParetoMass), alpha)


@pytest.mark.parametrize("leaves", [0, -1, True])
def test_bad_numbers_of_leaves_are_named(leaves):
    with pytest.raises(ValueError, match=rf"^n_leaves = {leaves}: must be an integer >= 1$"):
        ParetoMass(2).sample(leaves, 0)


def test_numbers_of_leaves_of_another_type_are_named():
    with pytest.raises(TypeError, match=r"^n_leaves = 3\.0: must be an integer >= 1$"):
        unwrap(ParetoMass.sample)(ParetoMass(2), 3.0, 0)


@pytest.mark.parametrize("rng", [None, "7", 7.0, True, np.random.RandomState(7), np.random])
def test_other_sources_of_randomness_are_named(rng):
    with pytest.raises(
        TypeError, match=r"^rng = .*: must be a numpy.random.Generator or an integer seed >= 0$"
    ):
        unwrap(ParetoMass.sample)(ParetoMass(2), 3, rng)


def test_negative_seeds_are_named():
    with pytest.raises(ValueError, match=r"^rng = -1: must be an integer >= 0$"):
        ParetoMass(2).sample(3, -1)


@pytest.mark.parametrize(
    ("s", "error", "message"),
    [
        (-1.0, ValueError, r"^s = -1\.0: must be finite and >= 0$"),
        ([0.0, math.nan], ValueError, r"^s\[1\] = nan: must be finite and >= 0$"),
        ([[1.0, math.inf]], ValueError, r"^s\[0, 1\] = inf: must be finite and >= 0$"),
        ([[1.0], [1.0, 2.0]], ValueError, r"^s is ragged"),
        (["1"], TypeError, r"^s holds text: must be real numbers"),
    ],
)
def test_bad_arguments_of_the_transform_are_named(s, error, message):
    with pytest.raises(error, match=message):
        ParetoMass(2).laplace(s)


@pytest.mark.parametrize(
    ("derivative", "rule"),
    [(-1, "must be an integer >= 0"), (True, "must be an integer >= 0"), (3, "must be 0, 1 or 2")],
)
def test_bad_derivatives_are_named(derivative, rule):
    with pytest.raises(ValueError, match=rf"^derivative = {derivative}: {rule}$"):
        ParetoMass(2).laplace(1.0, derivative=derivative)
