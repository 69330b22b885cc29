"""Tails with an upper end: against definitions summed or integrated, mpmath, SciPy's simplex and powerlaw."""

import json
import math
import warnings
from typing import Any

import mpmath as mp
import numpy as np
import powerlaw
import pytest
from hypothesis import assume, example, given, strategies as st
from scipy import optimize, stats

from tokentree.pareto import bounded, fit_tail
from tokentree.pareto.tails import ALTERNATIVES
from tokentree.pareto.zeta import zeta_draws, zeta_exponents, zeta_sums

EXPONENTS = (3.0, 1.5, 0.4, 0.0, -0.6, -1.0, -2.5)

floats = st.lists(st.floats(1, 50).map(lambda x: round(x, 6)), min_size=2, max_size=30)
tied = st.lists(st.sampled_from([1.0, 1.25, 3.0, 7.5, 49.0, 50.0]), min_size=2, max_size=30)
integers = st.lists(st.one_of(st.integers(1, 8), st.integers(1, 60)), min_size=2, max_size=30)


def draws(alpha: float, n: int, seed: int, upper: float = 50.0) -> np.ndarray:
    """By inversion of P(X >= x), as a formula with powers has it."""
    u = np.random.default_rng(seed).random(n)
    return upper**u if alpha == 0 else (1 - u * (1 - upper**-alpha)) ** (-1 / alpha)


def whole_draws(alpha: float, n: int, seed: int, upper: int = 50) -> np.ndarray:
    x = np.arange(1, upper + 1)
    p = x ** -(alpha + 1.0)
    return np.random.default_rng(seed).choice(x, n, p=p / p.sum())


# --- The law of logarithms, and the zeta law that ends.


@pytest.mark.parametrize("y", [0.0, 1e-12, 0.3, 1.99, 2.0, 2.01, 30.0, 800.0, 1e9])
def test_moments_have_all_digits(y):
    mean, variance = bounded.moments(np.array(y))
    with mp.workdps(80):
        exact = (mp.mpf(1) / 2, mp.mpf(1) / 12)
        if y:
            exact = (
                1 / mp.mpf(y) - 1 / mp.expm1(y),
                1 / mp.mpf(y) ** 2 - 1 / (4 * mp.sinh(mp.mpf(y) / 2) ** 2),
            )
        assert float(mean) == pytest.approx(float(exact[0]), rel=1e-14)
        assert float(variance) == pytest.approx(float(exact[1]), rel=1e-14)


@given(st.floats(-1e6, 1e6), st.floats(0.01, 700))
@example(1e-9, 1.0)
@example(-1.0, 1.0)
@example(0.0, 3.0)
def test_rates_are_where_the_mean_is_that_of_the_law(y, length):
    assume(y == 0 or abs(y) > 1e-20)
    with mp.workdps(90):
        share = 1 / mp.mpf(y) - 1 / mp.expm1(y) if y else mp.mpf(1) / 2
        ends = (float(share * length), float((1 - share) * length))
    (found,) = bounded.rates(*(np.array([end]) for end in ends)) * length
    assert found == pytest.approx(y, rel=1e-13, abs=1e-14)


S = (-2000.0, -300.0, -40.5, -3.3, -1.0, -1e-9, 0.0, 0.5, 1 - 1e-9, 1.0, 1 + 1e-9, 1.7, 3.0, 30.0, 900.0)


@pytest.mark.parametrize("q", [1, 2, 60, 999, 10**5])
@pytest.mark.parametrize("n", [0, 1, 5, 19, 20, 39, 40, 41, 400])
def test_finite_sums_have_all_digits(q, n):
    found = zeta_sums(np.array(S), np.full(len(S), float(q)), moments=True, upper=float(q + n))
    for s, sums in zip(S, found.T, strict=True):
        with mp.workdps(50):
            logs = [mp.log(mp.mpf(x) / (q + n if s < 0 else q)) for x in range(q, q + n + 1)]
            terms = [mp.exp(-mp.mpf(s) * log) for log in logs]
            exact = [float(mp.fsum(t * log**k for t, log in zip(terms, logs, strict=True))) for k in range(3)]
        # A logarithm of a ratio has an error of 1e-16 of it, and s times that in its power.
        np.testing.assert_allclose(sums, exact, rtol=1e-12, atol=1e-300)


@given(integers, st.integers(0, 100))
@example([1, 1, 60], 0)
@example([60, 60, 1], 0)
@example([5, 6, 6, 6], 0)
def test_the_exponent_of_integers_is_the_root_of_the_score(data, beyond):
    q, upper = min(data), max(data) + beyond
    assume(max(data) > q)
    mean = np.mean(np.log(np.array(data) / q))
    (alpha,) = zeta_exponents(np.array([float(q)]), np.array([mean]), float(upper))
    with mp.workdps(40):
        logs = [mp.log(mp.mpf(x) / q) for x in range(q, upper + 1)]
        terms = [mp.exp(-(mp.mpf(float(alpha)) + 1) * log) for log in logs]
        weighted = [t * log for t, log in zip(terms, logs, strict=True)]
        of_law = mp.fsum(weighted) / mp.fsum(terms)
        spread = mp.fsum(w * log for w, log in zip(weighted, logs, strict=True)) / mp.fsum(terms) - of_law**2
        # The distance to the root, by Newton's step.
        assert abs(float((of_law - mean) / spread)) < 1e-9 * (1 + abs(alpha))


@pytest.mark.parametrize("alpha", EXPONENTS)
@pytest.mark.parametrize(("q", "upper"), [(1, 12), (7, 300)])
def test_draws_of_integers_follow_the_law(alpha, q, upper):
    n = 20_000
    found = zeta_draws(alpha, float(q), n, np.random.default_rng(5), float(upper))
    x = np.arange(q, upper + 1)
    p = x ** -(alpha + 1.0)
    observed = np.array([np.sum(found == each) for each in x])
    assert observed.sum() == n
    expected = n * p / p.sum()
    seen = expected > 5
    statistic = np.sum((observed - expected)[seen] ** 2 / expected[seen])
    assert stats.chi2.sf(statistic, seen.sum()) > 1e-4


@pytest.mark.parametrize("alpha", EXPONENTS)
def test_draws_follow_the_law(alpha):
    found = np.exp(bounded.draws(alpha, math.log(50), 20_000, np.random.default_rng(2)))
    assert stats.ks_2samp(found, draws(alpha, 20_000, seed=3)).pvalue > 1e-4
    assert found.max() <= 50 * (1 + 1e-15)


# --- Exponent, threshold and distance, by definition.


def by_definition(data: np.ndarray, upper: float, discrete: bool) -> list[tuple[float, float, float]]:
    """Threshold, exponent and distance of every candidate, from the law's shares of all its support."""
    rows = []
    nodes, weights = np.polynomial.legendre.leggauss(200)
    for x_m in np.unique(data[data <= upper])[:-1].tolist():
        if discrete and x_m > upper - 2:
            continue
        tail = np.sort(data[(data >= x_m) & (data <= upper)])
        points = np.arange(x_m, upper + 1) if discrete else x_m * (upper / x_m) ** ((nodes + 1) / 2)
        mean = np.mean(np.log(tail / x_m))

        def shares(alpha, x=points, x_m=x_m):
            logs = -(alpha + discrete) * np.log(x / x_m)
            terms = np.exp(logs - logs.max()) * (1 if discrete else weights)
            return terms / terms.sum()

        def off(alpha, x=points, x_m=x_m, mean=mean):
            return shares(alpha) @ np.log(x / x_m) - mean

        if off(-80) < 0 or off(80) > 0:
            # Beyond what the formulas below can tell.
            rows.append((x_m, math.nan, math.nan))
            continue
        alpha = optimize.brentq(off, -80, 80, xtol=1e-13)
        if discrete:
            law = 1 - np.append(0, shares(alpha).cumsum())
            share = 1 - np.searchsorted(tail, np.append(points, upper + 1)) / len(tail)
        else:
            near = alpha or 1e-12
            law = (tail**-near - upper**-near) / (x_m**-near - upper**-near)
            share = 1 - np.arange(len(tail)) / len(tail)
        rows.append((x_m, alpha, float(np.abs(law - share).max())))
    return rows


@given(st.one_of(floats, tied, integers), st.sampled_from([20, 50, 60, 300]))
@example([1, 1, 49], 60)
@example([1, 60, 60, 60, 60], 60)
@example([1.0, 50.0, 50.0, 49.0], 50)
def test_threshold_has_the_least_distance_of_all(data, upper):
    data = np.array(data)
    assume(len(set(data[data <= upper])) > 1)
    discrete = data.dtype.kind == "i"
    rows = by_definition(data, upper, discrete)
    assume(rows and all(np.isfinite(distance) for _, _, distance in rows))
    fit = fit_tail(data, upper=upper)
    found = {x_m: (alpha, distance) for x_m, alpha, distance in rows}[fit.threshold]
    assert fit.distance == pytest.approx(min(row[2] for row in rows), rel=1e-7, abs=1e-8)
    assert found == pytest.approx((fit.exponent, fit.distance), rel=1e-7, abs=1e-7)
    assert (fit.n, fit.n_above) == (len(data), np.sum(data > upper))
    assert fit.n_tail == np.sum((data >= fit.threshold) & (data <= upper))
    kept = data[(data >= fit.threshold) & (data <= upper)]
    assert fit.mass_share == pytest.approx(kept.sum() / data.sum())


@pytest.mark.parametrize("alpha", EXPONENTS)
@pytest.mark.parametrize("discrete", [False, True])
def test_known_exponents_come_back(alpha, discrete):
    data = (whole_draws if discrete else draws)(alpha, 4000, seed=1)
    fit = fit_tail(data, 1, upper=50)
    assert abs(fit.exponent - alpha) < 4 * fit.standard_error
    assert fit.n_tail == 4000
    assert "mean and variance finite" in fit.report()
    # Without the end the same masses have another exponent, and fall off at the end.
    if alpha <= 0.4:
        assert fit_tail(data, 1).exponent > alpha + 10 * fit.standard_error


@pytest.mark.parametrize("discrete", [False, True])
def test_error_and_likelihood_are_those_of_the_definition(discrete):
    data = (whole_draws if discrete else draws)(0.4, 500, seed=2)
    fit = fit_tail(data, 1, upper=50)

    def log_likelihood(alpha):
        with mp.workdps(30):
            s = mp.mpf(alpha) + 1
            whole = (
                mp.fsum(mp.mpf(x) ** -s for x in range(1, 51))
                if discrete
                else (1 - mp.mpf(50) ** (1 - s)) / (s - 1)
            )
            return float(-s * math.fsum(np.log(data)) - len(data) * mp.log(whole))

    a, h = fit.exponent, 1e-3
    lower, here, upper = log_likelihood(a - h), log_likelihood(a), log_likelihood(a + h)
    assert fit.log_likelihood == pytest.approx(here, rel=1e-12)
    assert max(lower, upper) < here
    assert fit.standard_error == pytest.approx(h / math.sqrt(2 * here - lower - upper), rel=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("discrete", [False, True])
def test_an_end_far_away_changes_nothing(discrete):
    rng = np.random.default_rng(0)
    data = rng.zipf(2.6, 600) if discrete else 1 + rng.pareto(1.6, 600)
    free, ended = fit_tail(data), fit_tail(data, upper=10**18 if discrete else 1e300)
    assert ended.threshold == free.threshold
    assert (ended.exponent, ended.distance, ended.standard_error) == pytest.approx(
        (free.exponent, free.distance, free.standard_error), rel=1e-9
    )
    for name in ("pareto", *ALTERNATIVES):
        np.testing.assert_allclose(
            ended.survival(data, name), free.survival(data, name), rtol=2e-4, atol=1e-9, err_msg=name
        )
    for with_end, without in zip(ended.comparisons, free.comparisons, strict=True):
        assert with_end.log_likelihood_ratio == pytest.approx(without.log_likelihood_ratio, abs=1e-4)
    assert fit_tail(data, upper=math.inf).to_dict() == free.to_dict()
    assert (free.upper, free.n_above) == (math.inf, 0)


@given(st.one_of(floats, tied), st.integers(-300, 300))
def test_scale_does_not_matter(data, power):
    assume(len(set(data)) > 1)
    fit, scaled = fit_tail(data, upper=64.0), fit_tail(np.ldexp(data, power), upper=math.ldexp(64.0, power))
    assert scaled.threshold == math.ldexp(fit.threshold, power)
    assert (scaled.exponent, scaled.distance) == (fit.exponent, fit.distance)


# --- The other laws.


def kernel(name: str, x: np.ndarray, a: float, b: float, discrete: bool) -> Any:
    """Log density, or log mass function, up to a constant."""
    with np.errstate(all="ignore"):
        if name == "truncated power law":
            return -a * np.log(x) - abs(b) * x
        if not discrete:
            return {
                "lognormal": lambda: -np.log(x) - (np.log(x) - a) ** 2 / 2 * math.exp(-2 * b),
                "exponential": lambda: -a * x,
                "stretched exponential": lambda: (
                    (math.exp(b) - 1) * np.log(x) - math.exp(a) * x ** math.exp(b)
                ),
            }[name]()
        if name == "lognormal":
            low, high = ((np.log(edge) - a) * math.exp(-b) for edge in (x - 0.5, x + 0.5))
            return np.log(stats.norm.sf(low) - stats.norm.sf(high))
        if name == "exponential":
            return -a * x
        hazard = [math.exp(a) * edge ** math.exp(b) for edge in (x - 0.5, x + 0.5)]
        return np.log(-np.expm1(hazard[0] - hazard[1])) - hazard[0]


STARTS = {
    "lognormal": [(0.0, 0.0), (-2.0, 1.0), (2.0, -0.5), (4.0, 0.0)],
    "exponential": [(0.1, 0.0), (-0.05, 0.0)],
    "stretched exponential": [(0.0, -1.0), (-2.0, 0.0), (-6.0, 0.5)],
    "truncated power law": [(1.0, 0.01), (-1.0, 0.1), (-3.0, 0.3)],
}


def climbed(name: str, data: np.ndarray, upper: int, discrete: bool) -> float:
    """The largest log-likelihood that a simplex finds, with sums or integrals over the whole support."""
    edges = np.linspace(0, math.log(upper), 25)
    nodes, weights = np.polynomial.legendre.leggauss(40)
    if discrete:
        x, log_weights = np.arange(1.0, upper + 1), np.zeros(upper)
    else:
        logs = (edges[:-1, None] + np.diff(edges)[:, None] * (nodes + 1) / 2).ravel()
        x, log_weights = np.exp(logs), logs + np.log(np.tile(weights, 24) * edges[1] / 2)

    def cost(at):
        if name == "stretched exponential" and not (-40 < at[0] < 20 and -9 < at[1] < 2):
            return 1e6
        terms = kernel(name, x, *at, discrete) + log_weights
        value = np.mean(kernel(name, data, *at, discrete)) - np.logaddexp.reduce(terms)
        return -value if np.isfinite(value) else 1e6

    options = {"xatol": 1e-9, "fatol": 1e-12, "maxiter": 3000}
    found = [
        optimize.minimize(cost, start, method="Nelder-Mead", options=options).fun for start in STARTS[name]
    ]
    return -min(found) * len(data)


def shaped(shape: str, discrete: bool) -> np.ndarray:
    rng = np.random.default_rng(1)
    if shape == "power":
        return (whole_draws if discrete else draws)(1.0, 500, seed=1)
    if shape == "rising":
        return (whole_draws if discrete else draws)(-1.5, 500, seed=1)
    data = {
        "exponential": lambda: rng.exponential(15, 1000),
        "lognormal": lambda: rng.lognormal(2.5, 0.7, 700),
        "weibull": lambda: 20 * rng.weibull(2, 700),
    }[shape]()
    data = np.rint(data).astype(int) if discrete else data
    return data[(data >= 1) & (data <= 50)]


SHAPES = ("power", "rising", "exponential", "lognormal", "weibull")


@pytest.mark.parametrize("discrete", [False, True])
@pytest.mark.parametrize(
    "shape",
    [
        each if each in ("power", "lognormal") else pytest.param(each, marks=pytest.mark.slow)
        for each in SHAPES
    ],
)
def test_alternatives_are_the_most_likely_on_the_same_support(shape, discrete):
    data = shaped(shape, discrete)
    fit = fit_tail(data, 1, upper=50)
    for each in fit.comparisons:
        ours = fit.log_likelihood - each.log_likelihood_ratio
        theirs = climbed(each.name, data, 50, discrete)
        # Where the most likely one is a limit, a simplex stays below it.
        assert ours >= theirs - 1e-6, each.name
        assert ours <= theirs + (0.02 if each.winner == "undecided" else 1e-5), each.name
        if not discrete and each.name != "exponential":
            assert each.log_likelihood_ratio <= 1e-9
    if shape not in ("power", "rising"):
        true = "stretched exponential" if shape == "weibull" else shape
        assert true in fit.beaten_by


@pytest.mark.parametrize("discrete", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_survival_is_what_the_density_leaves(shape, discrete):
    """The log-likelihood of one more point, at x, is what it adds to that of the data."""
    fit = fit_tail(shaped(shape, discrete), 1, upper=50)
    x = np.arange(1.0, 51)
    for each in ("pareto", *ALTERNATIVES):
        law = fit.survival(x, each)
        assert law[0] == pytest.approx(1)
        assert (np.diff(law) < 0).all()
        assert fit.survival([50.5, 51.0, 1e9], each).tolist() == [0, 0, 0]
        if discrete:
            assert law[-1] > 0
            assert -np.diff(law, append=0.0).sum() == pytest.approx(1)
            parameters = next((c.parameters for c in fit.comparisons if c.name == each), {})
            masses = -np.diff(law, append=0.0)
            if each == "exponential":
                np.testing.assert_allclose(masses[1:] / masses[:-1], math.exp(-parameters["lambda"]))
            if each == "pareto":
                np.testing.assert_allclose(masses / masses[0], x**-fit.density_exponent)
            if each == "truncated power law":
                expected = x ** -parameters["density_exponent"] * np.exp(-parameters["lambda"] * (x - 1))
                np.testing.assert_allclose(masses / masses[0], expected)
        else:
            assert law[-1] == pytest.approx(0, abs=1e-12)
            assert 0 < fit.survival(49.9, each) < law[-2]


def test_masses_spread_over_many_integers():
    """Sums beyond some thousand terms are integrals with corrections: the same as term by term."""
    rng = np.random.default_rng(4)
    data = np.ceil(rng.exponential(4000, 3000)).astype(int)
    data = data[data <= 20_000]
    fit = fit_tail(data, 1, upper=20_000)
    x = np.arange(1, 20_001)
    truncated = fit.comparisons[-1]
    s, rate = truncated.parameters["density_exponent"], truncated.parameters["lambda"]
    logs = -s * np.log(x) - rate * x
    exact = logs[data - 1].sum() - len(data) * np.logaddexp.reduce(logs)
    assert fit.log_likelihood - truncated.log_likelihood_ratio == pytest.approx(exact, rel=1e-12)
    assert "exponential" in fit.beaten_by


# --- The peer.


@pytest.mark.parametrize("alpha", [1.5, 0.8])
@pytest.mark.parametrize("discrete", [False, True])
def test_agrees_with_powerlaw(alpha, discrete):
    """Of continuous data its closed formula leaves out xmax, so it is asked to climb; it stops 1e-5 short."""
    data = (whole_draws if discrete else draws)(alpha, 1000, seed=3)
    fit = fit_tail(data, 1, upper=50)
    arguments = {"xmin": 1, "xmax": 50, "discrete": discrete, "parameter_ranges": {"alpha": [0, None]}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = powerlaw.Power_Law(data=data, estimate_discrete=False, force_numerical_fit=True, **arguments)
        assert fit.density_exponent == pytest.approx(theirs.alpha, abs=2e-4)
        assert fit.log_likelihood == pytest.approx(theirs.loglikelihoods(data).sum(), abs=1e-4)
        assert fit.log_likelihood >= theirs.loglikelihoods(data).sum() - 1e-9
        if not discrete:
            np.testing.assert_allclose(fit.survival(data), theirs.ccdf(data), atol=1e-5)
            exponential = powerlaw.Fit(data, verbose=0, **arguments).exponential
            ours = fit.comparisons[ALTERNATIVES.index("exponential")]
            assert ours.parameters["lambda"] == pytest.approx(exponential.Lambda, rel=1e-3)
            likelihood = fit.log_likelihood - ours.log_likelihood_ratio
            assert likelihood == pytest.approx(exponential.loglikelihoods().sum(), abs=1e-2)


# --- Verdicts.


@pytest.mark.parametrize("discrete", [False, True])
def test_the_end_decides_the_verdict(discrete):
    data = (whole_draws if discrete else draws)(0.5, 1500, seed=5)
    ended = fit_tail(data, 1, upper=50, n_bootstrap=200, rng=1)
    assert ended.plausible
    assert ended.beaten_by == ()
    assert (ended.bootstrap.thresholds == 1).all()
    assert ended.bootstrap.exponents.mean() == pytest.approx(ended.exponent, abs=0.02)
    assert ended.bootstrap.exponents.std() == pytest.approx(ended.standard_error, rel=0.2)
    free = fit_tail(data, 1, n_bootstrap=100, rng=1)
    assert free.p_value == 0
    assert "truncated power law" in free.beaten_by
    wrong = shaped("lognormal", discrete)
    assert fit_tail(wrong, 1, upper=50, n_bootstrap=100, rng=1).p_value == 0


def test_replicates_keep_the_body_and_leave_out_what_is_above():
    data = np.concatenate([np.full(200, 0.01), draws(0.5, 400, seed=6), np.full(30, 80.0)])
    fit = fit_tail(data, upper=50, n_bootstrap=50, rng=0)
    assert (fit.n, fit.n_above) == (630, 30)
    assert (np.abs(np.log(fit.bootstrap.thresholds / fit.threshold)) < 1.5).mean() > 0.8
    without = fit_tail(data[:600], upper=50, n_bootstrap=50, rng=0)
    assert without.bootstrap == fit.bootstrap


@pytest.mark.slow
@pytest.mark.parametrize("discrete", [False, True])
@pytest.mark.parametrize("alpha", [1.2, -0.5])
def test_p_values_of_true_data_are_uniform(alpha, discrete):
    p_values = []
    for seed in range(100):
        data = (whole_draws if discrete else draws)(alpha, 200, seed)
        p_values.append(fit_tail(data, 1, upper=50, n_bootstrap=100, rng=seed).p_value)
    assert stats.kstest(p_values, "uniform").pvalue > 0.001


# --- Edges.


@pytest.mark.parametrize(
    ("data", "upper"),
    [
        ([1.0, 2.0], 2.0),
        ([5e-324, 1e308], 1e308),
        ([1.0, 1.0 + 2**-52], 3.0),
        ([1, 2**62], 2**62),
        ([7, 8], 9),
        ([933, 934], 1934),
    ],
)
def test_two_points(data, upper):
    fit = fit_tail(data, upper=upper, n_bootstrap=5, rng=0)
    assert (fit.n_tail, fit.threshold, fit.upper) == (2, min(data), upper)
    assert np.isfinite([fit.exponent, fit.log_likelihood, fit.standard_error]).all()
    assert np.isfinite([each.log_likelihood_ratio for each in fit.comparisons]).all()
    for name in ("pareto", *ALTERNATIVES):
        assert 0 <= fit.survival(max(data), name) <= 1
    json.dumps(fit.to_dict(), allow_nan=False)


def test_two_integers_at_the_end_fit_any_exponent_and_are_not_tried():
    data = [1, 1, 1, 2, 3, 49, 49, 50]
    assert fit_tail(data, upper=50).threshold < 49
    assert fit_tail(data, 49, upper=50).distance == pytest.approx(0, abs=1e-12)
    with pytest.raises(ValueError, match="and lies more than 1 below upper = 50"):
        fit_tail([49, 50, 50], upper=50)


def test_what_is_said():
    data = np.append(draws(0.5, 300, seed=0), [70.0, 90.0])
    fit = fit_tail(data, 1.0, upper=50.0, n_bootstrap=20, rng=0)
    assert "upper=50, " in repr(fit)
    assert "upper end    50, 2 above it" in fit.report()
    found = fit.to_dict()
    assert (found["upper"], found["n_above"], found["n"], found["n_tail"]) == (50.0, 2, 302, 300)
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    free = fit_tail(data, 1.0)
    assert free.to_dict()["upper"] is None
    assert "upper" not in repr(free) + free.report()


@pytest.mark.parametrize(
    ("masses", "arguments", "message"),
    [
        ([1.0, 2.0], {"upper": 0.0}, r"upper = 0\.0: must be > 0, or None"),
        ([1.0, 2.0], {"upper": math.nan}, "upper = nan: must be > 0"),
        ([1, 2, 3], {"upper": 2.5}, "upper = 2.5: must be an integer"),
        ([1.0, 2.0, 3.0], {"upper": 1.5}, "masses up to upper = 1.5: 1 different values"),
        (
            [1.0, 2.0, 3.0],
            {"threshold": 2.0, "upper": 2.5},
            "from the threshold 2.0 on up to upper = 2.5: 1 diff",
        ),
        ([1.0, 2.0, 3.0], {"threshold": 5.0, "upper": 4.0}, "0 different values"),
    ],
)
def test_bad_values(masses, arguments, message):
    with pytest.raises(ValueError, match=message):
        fit_tail(masses, **arguments)


def test_an_array_of_ends_is_refused(unchecked):
    with pytest.raises(ValueError, match=r"upper has shape \(1,\): must be one number"):
        fit_tail([1.0, 2.0], upper=[2.0])
