"""Pareto tails: against definitions tried out in full, brute-force sums, SciPy, mpmath, and powerlaw."""

import dataclasses
import json
import math
import warnings
from importlib import resources
from itertools import pairwise
from typing import Any

import mpmath as mp
import numpy as np
import powerlaw
import pytest
from hypothesis import assume, example, given, settings, strategies as st
from scipy import integrate, special, stats

from tokentree import ParetoMass
from tokentree.pareto import TailBootstrap, TailFit, fit_tail
from tokentree.pareto.exponential import Exponential, StretchedExponential
from tokentree.pareto.law import Pareto, Tail
from tokentree.pareto.lognormal import Lognormal
from tokentree.pareto.tails import ALTERNATIVES, LAWS
from tokentree.pareto.truncated import TruncatedPowerLaw
from tokentree.pareto.zeta import zeta_draws, zeta_exponents, zeta_sums

floats = st.lists(st.floats(1e-3, 1e3).map(lambda x: round(x, 6)), min_size=2, max_size=40)
# Few different values, so that ties are common.
tied = st.lists(st.sampled_from([0.1, 0.5, 1.0, 1.25, 3.0, 7.5, 100.0]), min_size=2, max_size=40)
integers = st.lists(st.one_of(st.integers(1, 8), st.integers(1, 10_000)), min_size=2, max_size=40)


def draws(name: str, n: int, seed: int) -> np.ndarray:
    """The shapes of data on which the peer is met."""
    rng = np.random.default_rng(seed)
    if name == "pareto":
        return 1 + rng.pareto(1.5, n)
    if name == "lognormal":
        return rng.lognormal(0, 1, n)
    if name == "exponential":
        return rng.exponential(1, n)
    if name == "zeta":
        return rng.zipf(2.1, n)
    if name == "geometric":
        return rng.geometric(0.05, n)
    if name == "rounded lognormal":
        return np.ceil(rng.lognormal(2, 1, n)).astype(np.int64)
    # Counts of words in a text, the r-th word being drawn with probability as 1 / r.
    words = np.floor(np.exp(rng.random(n) * math.log(1e5))).astype(np.int64)
    return np.unique(words, return_counts=True)[1]


CONTINUOUS = ("pareto", "lognormal", "exponential")
DISCRETE = ("zeta", "words", "geometric", "rounded lognormal")


# --- The zeta law.


@given(st.floats(0.01, 200), st.integers(1, 5000))
@example(0.02, 1)
@example(100.0, 999)
@example(100.0, 1001)
@settings(max_examples=8)
def test_zeta_sums_have_all_digits(alpha, q):
    s = 1 + alpha
    found = zeta_sums(np.array([s]), np.array([float(q)]), moments=True)[:, 0]
    with mp.workdps(60 + int(s * math.log10(q + 10))):
        scale, log_q = mp.mpf(q) ** s, mp.log(q)
        # With k-th derivatives of zeta, by d/ds of (q + k)^-s; binomials move log q out.
        z, z1, z2 = (mp.zeta(mp.mpf(s), q, n) * scale for n in range(3))
        exact = [float(z), float(-z1 - log_q * z), float(z2 + 2 * log_q * z1 + log_q**2 * z)]
    np.testing.assert_allclose(found, exact, rtol=1e-13)


@given(integers)
def test_zeta_exponent_is_where_the_likelihood_is_largest(data):
    q = min(data)
    assume(max(data) > q)
    mean = np.mean(np.log(np.array(data) / q))

    def cost(s):
        with mp.workdps(30):
            return float(mp.log(mp.zeta(s, q) * mp.mpf(q) ** s) + s * mean)

    alpha = float(zeta_exponents(np.array([float(q)]), np.array([mean]))[0])
    for other in (alpha * 0.999, alpha * 1.001, alpha / 2, alpha * 2):
        assert cost(1 + alpha) < cost(1 + other)
    zeroth, first = zeta_sums(np.array([1 + alpha]), np.array([float(q)]), moments=True)[:2, 0]
    assert first / zeroth == pytest.approx(mean, rel=1e-12)


@pytest.mark.parametrize(("alpha", "q"), [(0.4, 1), (1.2, 1), (1.2, 7), (30.0, 5)])
def test_zeta_draws_follow_the_law(alpha, q):
    n = 20_000
    found = zeta_draws(alpha, float(q), n, np.random.default_rng(5))
    assert found.min() >= q
    assert (found == np.floor(found)).all()
    cells = np.arange(q, q + 6)
    expected = n * special.zeta(1 + alpha, np.append(cells, q + 6)) / special.zeta(1 + alpha, q)
    expected[:-1] -= expected[1:]
    observed = np.append([np.sum(found == x) for x in cells], np.sum(found >= q + 6))
    seen = expected > 5
    statistic = np.sum((observed - expected)[seen] ** 2 / expected[seen])
    assert stats.chi2.sf(statistic, seen.sum()) > 1e-4


# --- Exponent, threshold and distance, by definition.


def by_definition(data: np.ndarray, discrete: bool) -> list[tuple[float, float, float]]:
    """Threshold, exponent and distance of every candidate: point by point, or over every integer."""
    rows = []
    for x_m in np.unique(data)[:-1].tolist():
        tail = np.sort(data[data >= x_m])
        mean = np.mean(np.log(tail / x_m))
        if discrete:
            alpha = float(zeta_exponents(np.array([float(x_m)]), np.array([mean]))[0])
            points = np.arange(x_m, tail[-1] + 2)
            whole = special.zeta(alpha + 1, x_m)
            # Numbers below lose digits.
            masses = points ** -(alpha + 1) / (whole if whole > 1e-290 else np.nan)
            law = 1 - np.append(0, masses.cumsum()[:-1])
            share = 1 - np.searchsorted(tail, points) / len(tail)
        else:
            alpha = 1 / mean
            law = (tail / x_m) ** -alpha
            share = 1 - np.arange(len(tail)) / len(tail)
        rows.append((x_m, alpha, float(np.abs(law - share).max())))
    return rows


@given(st.one_of(floats, tied, integers))
@settings(max_examples=3 * settings.default.max_examples)
@example([1, 1, 49])  # The distance is that at 2, where there are no data.
@example([1, 1, 1, 7])  # And here that at 8.
@example([0.5, 0.5, 0.5, 1.0, 3.0])
def test_threshold_has_the_least_distance_of_all(data):
    data = np.array(data)
    assume(len(set(data)) > 1)
    discrete = data.dtype.kind == "i"
    fit = fit_tail(data)
    rows = by_definition(data, discrete)
    assume(all(np.isfinite(distance) for _, _, distance in rows))
    least = min(distance for _, _, distance in rows)
    found = {x_m: (alpha, distance) for x_m, alpha, distance in rows}[fit.threshold]
    assert fit.distance == pytest.approx(least, rel=1e-9, abs=1e-12)
    assert found == pytest.approx((fit.exponent, fit.distance), rel=1e-9, abs=1e-12)
    assert fit.density_exponent == fit.exponent + 1


@pytest.mark.parametrize("name", CONTINUOUS + DISCRETE)
def test_threshold_has_the_least_distance_on_longer_data(name):
    data = draws(name, 500, seed=3)
    rows = by_definition(data, name in DISCRETE)
    fit = fit_tail(data)
    best = min(rows, key=lambda row: row[2])
    assert (fit.threshold, fit.exponent, fit.distance) == pytest.approx(best, rel=1e-9)


@given(floats, st.integers(2, 10), st.floats(0.1, 5))
def test_limits_on_what_is_tried(data, min_tail, max_exponent):
    data = np.array(data)
    assume(len(set(data)) > 1)
    rows = [
        row
        for row in by_definition(data, False)
        if np.sum(data >= row[0]) >= min_tail and row[1] < max_exponent
    ]
    if not rows:
        with pytest.raises(ValueError, match="no threshold leaves min_tail"):
            fit_tail(data, min_tail=min_tail, max_exponent=max_exponent)
        return
    fit = fit_tail(data, min_tail=min_tail, max_exponent=max_exponent)
    assert fit.distance == pytest.approx(min(row[2] for row in rows), rel=1e-9, abs=1e-12)
    assert fit.n_tail >= min_tail
    assert fit.exponent < max_exponent


@given(floats, st.floats(1e-3, 1e3))
def test_given_threshold(data, threshold):
    data = np.array(data)
    tail = data[data >= threshold]
    assume(len(set(tail)) > 1)
    fit = fit_tail(data, threshold)
    assert (fit.threshold, fit.threshold_given, fit.n_tail) == (threshold, True, len(tail))
    assert fit.exponent == pytest.approx(len(tail) / np.log(tail / threshold).sum(), rel=1e-9)
    assert fit.standard_error == pytest.approx(fit.exponent / math.sqrt(len(tail)))
    assert fit.mass_share == pytest.approx(tail.sum() / data.sum())


@given(st.one_of(floats, tied), st.one_of(st.floats(1e-3, 1e3), st.sampled_from([0.1, 0.5, 1.0])))
@example([1.0, 1.0, 1.0, 1.0, 2.0, 3.0], 1.0)
@example([1.15, 1.9], 1.0)  # Nothing lies at the threshold.
def test_the_supremum_over_all_x_is_larger_by_one_nth_at_most(data, threshold):
    """SciPy's looks at all of every step, however many masses are tied there."""
    tail = np.array(data)[np.array(data) >= threshold]
    assume(len(set(tail)) > 1)
    fit = fit_tail(data, threshold)
    supremum = stats.kstest(tail, lambda x: 1 - (x / threshold) ** -fit.exponent).statistic
    assert fit.distance - 1e-9 <= supremum <= fit.distance + 1 / len(tail) + 1e-9


@given(tied)
def test_equal_masses_count_as_masses_that_nearly_coincide(data):
    """Raised by up to 4e-13 of themselves, so that no two are equal and order is kept."""
    assume(len(set(data)) > 1)
    spread = np.sort(data) * (1 + 1e-14 * np.arange(len(data)))
    assert len(set(spread)) == len(data)
    fit, near = fit_tail(data, min(data)), fit_tail(spread, min(data))
    assert (near.exponent, near.distance) == pytest.approx((fit.exponent, fit.distance), rel=1e-9, abs=1e-9)


def test_ties_that_plfit_and_igraph_agree_on():
    """Both give the threshold 2.2 and the distance 0.22665; seen from the left alone 1.1 would be nearer."""
    fit = fit_tail([1.1 * y for y in (1, 1, 1, 1, 2, 3, 5, 9)])
    assert fit.threshold == 2.2
    assert fit.exponent == pytest.approx(4 / math.log(1.5 * 2.5 * 4.5), rel=1e-14)
    assert fit.distance == pytest.approx(0.5 - 2.5**-fit.exponent, rel=1e-13)
    # The other three of the four masses of 1.1 lie as far below the law as they are many.
    assert fit_tail(fit.values.repeat(fit.counts), 1.1).distance == pytest.approx(3 / 8, rel=1e-13)


# --- Clauset, Shalizi and Newman's Table 6.1: eight of its rows, from the data that powerlaw ships.

TABLE = {
    # Data: whether integers, n, unit of the threshold; threshold, density exponent, n_tail and p as printed.
    "words": (True, 18_855, 1, "7", "1.95", 2958, 0.49),
    "terrorism": (True, 9101, 1, "12", "2.4", 547, 0.68),
    "blackouts": (False, 211, 1000, "230", "2.3", 59, 0.62),
    "cities": (False, 19_447, 1000, "52.46", "2.37", 580, 0.76),
    "fires": (False, 203_785, 1, "6324", "2.2", 521, 0.05),
    "flares": (False, 12_773, 1, "323", "1.79", 1711, 1.00),
    "quakes": (False, 19_302, 1000, "0.794", "1.64", 11_697, 0.00),
    "surnames": (False, 2753, 1000, "111.92", "2.5", 239, 0.20),
}


def published(name: str) -> np.ndarray:
    path = resources.files(powerlaw) / "reference_data" / f"{name}.txt"
    if not path.is_file():
        pytest.skip(f"this powerlaw has no reference_data/{name}.txt")
    with path.open() as lines:
        return np.loadtxt(lines, dtype=float)


@pytest.mark.parametrize("name", TABLE)
def test_table_of_clauset_shalizi_and_newman(name):
    discrete, n, unit, threshold, exponent, n_tail, _ = TABLE[name]
    fit = fit_tail(published(name), discrete=discrete)
    assert (fit.n, fit.n_tail) == (n, n_tail)

    def printed(value: float, as_in: str) -> str:
        return f"{value:.{len(as_in.partition('.')[2])}f}"

    assert printed(fit.threshold / unit, threshold) == threshold
    assert printed(fit.density_exponent, exponent) == exponent


@pytest.mark.slow
@pytest.mark.parametrize("name", TABLE)
def test_verdicts_of_clauset_shalizi_and_newman(name):
    discrete, *_, p_value = TABLE[name]
    fit = fit_tail(published(name), discrete=discrete, n_bootstrap=400, rng=0)
    assert fit.plausible == (p_value > 0.1)


@given(integers, st.integers(1, 20))
def test_given_threshold_of_integers(data, threshold):
    data = np.array(data)
    tail = data[data >= threshold]
    assume(len(set(tail)) > 1)
    fit = fit_tail(data, threshold)
    assert (fit.threshold, fit.n_tail, fit.discrete) == (threshold, len(tail), True)

    def log_likelihood(s):
        with mp.workdps(30):
            return float(-s * np.log(tail).sum() - len(tail) * mp.log(mp.zeta(s, threshold)))

    s, h = fit.density_exponent, 1e-3 * fit.exponent
    lower, here, upper = log_likelihood(s - h), log_likelihood(s), log_likelihood(s + h)
    assert here == pytest.approx(fit.log_likelihood, rel=1e-9)
    assert max(lower, upper) < here
    assert fit.standard_error == pytest.approx(h / math.sqrt(2 * here - lower - upper), rel=1e-3)


@given(st.one_of(floats, tied), st.integers(-300, 300))
def test_scale_does_not_matter(data, power):
    assume(len(set(data)) > 1)
    fit, scaled = fit_tail(data), fit_tail(np.ldexp(data, power))
    assert scaled.threshold == math.ldexp(fit.threshold, power)
    assert (scaled.exponent, scaled.distance) == (fit.exponent, fit.distance)
    for ours, theirs in zip(fit.comparisons, scaled.comparisons, strict=True):
        assert ours.log_likelihood_ratio == pytest.approx(theirs.log_likelihood_ratio, rel=1e-6, abs=1e-6)


@given(st.one_of(tied, integers), st.randoms())
@settings(max_examples=6)
def test_order_does_not_matter(data, random):
    assume(len(set(data)) > 1)
    mixed = list(data)
    random.shuffle(mixed)
    assert fit_tail(mixed).to_dict() == fit_tail(data).to_dict()


def test_dtype_decides_and_can_be_overruled():
    counts = draws("zeta", 500, seed=1)
    assert fit_tail(counts).discrete
    assert fit_tail(counts.astype(np.uint8) + np.uint8(1)).discrete
    assert not fit_tail(counts.astype(float)).discrete
    assert fit_tail(counts.astype(float), discrete=True).to_dict() == fit_tail(counts).to_dict()
    assert not fit_tail(counts, discrete=False).discrete


def test_pareto_mass_has_the_door():
    masses = ParetoMass(2.5).sample(5000, rng=3)
    fit = ParetoMass.fit(masses)
    assert isinstance(fit, TailFit)
    assert abs(fit.exponent - 2.5) < 4 * fit.standard_error
    assert ParetoMass(fit.exponent).alpha == fit.exponent


# --- The laws, each against its own definition.

TAIL = np.array([3.0, 3.2, 4.0, 4.7, 9.0, 20.0, 33.0, 150.0])
SHAPES = [
    Pareto(1.3),
    Pareto(0.1),
    Lognormal(0.5, 1.0),
    Lognormal(-8.0, 0.4),
    Lognormal(3.0, 5.0),
    Lognormal(1.2, 1e4),
    Exponential(7.0),
    StretchedExponential(1.0, 0.3),
    StretchedExponential(0.02, 2.5),
    StretchedExponential(1.3, 1e-6),
    TruncatedPowerLaw(1.4, 3.0),
    TruncatedPowerLaw(0.0, 20.0),
    TruncatedPowerLaw(2.5, 1e-3),
    TruncatedPowerLaw(2.5, 0.0),
]


def tail_of(values, discrete: bool) -> Tail:
    values = np.array(values, dtype=float)
    return Tail.above(float(values[0]), values, np.ones(len(values), dtype=int), discrete)


def from_start(law, tail):
    """Slope and local exponent are written down at the start; the laws want them at the tail's centre."""
    if isinstance(law, Lognormal):
        return Lognormal(law.slope + tail.centre / law.sigma**2, law.sigma)
    if isinstance(law, StretchedExponential):
        return StretchedExponential(law.rate * math.exp(law.beta * tail.centre), law.beta)
    return law


@pytest.mark.parametrize("law", SHAPES, ids=str)
def test_continuous_law_is_a_density(law):
    # Densities of log x integrate to the differences of the survival function.
    points = np.geomspace(3, 300, 6)
    tail = Tail.above(3.0, np.array([150.0]), np.array([1]), False)
    law = from_start(law, tail)
    survival = np.exp(law.log_survival(tail, points))
    assert survival[0] == pytest.approx(1, abs=1e-12)

    def density(u):
        # The largest value and the centre set the units of the laws; keep them.
        at = Tail.above(3.0, np.array([3 * math.exp(u), 150.0]), np.array([0, 1]), False)
        return math.exp(law.log_density(at)[0])

    for (x, y), (s, t) in zip(pairwise(points[:5]), pairwise(survival[:5]), strict=True):
        found = integrate.quad(density, math.log(x / 3), math.log(y / 3), epsabs=1e-13, epsrel=1e-11)[0]
        assert found == pytest.approx(s - t, rel=1e-7, abs=1e-12)


@pytest.mark.parametrize("law", SHAPES, ids=str)
@pytest.mark.parametrize("first", [1, 3, 40])
def test_integer_law_is_a_mass_function(law, first):
    tail = tail_of(np.append(np.arange(first, first + 400), 5000), True)
    law = from_start(law, tail)
    mass = np.exp(law.log_density(tail))
    survival = np.exp(law.log_survival(tail, np.arange(first, first + 401).astype(float)))
    assert survival[0] == pytest.approx(1, abs=1e-12)
    np.testing.assert_allclose(mass[:400], survival[:-1] - survival[1:], rtol=1e-6, atol=1e-13)
    assert mass[:400].sum() + survival[-1] == pytest.approx(1, rel=1e-10)


@pytest.mark.parametrize(("s", "rate"), [(1.4, 3.0), (0.0, 20.0), (2.5, 0.5), (3.7, 400.0)])
@pytest.mark.parametrize("first", [1, 17, 900])
def test_truncated_power_law_against_its_whole_sum(s, rate, first):
    most = 3000.0
    tail = tail_of([first, first + 1, first + 50, most], True)
    k = np.arange(first, first + 300_000, dtype=float)
    terms = np.exp(-s * np.log(k / first) - rate * (k - first) / most)
    exact = np.log(terms[[0, 1, 50]] / terms.sum())
    np.testing.assert_allclose(
        TruncatedPowerLaw(s, rate).log_density(tail)[:3], exact, rtol=1e-11, atol=1e-11
    )


@pytest.mark.parametrize(("slope", "sigma"), [(-30.0, 0.2), (-1.0, 1.5), (2.0, 0.7), (1.0, 300.0)])
def test_rounded_lognormal_against_mpmath(slope, sigma):
    values = [2, 3, 10, 40, 41, 1000, 10**6, 10**9]
    tail = tail_of(values, True)
    found = from_start(Lognormal(slope, sigma), tail).log_density(tail)
    with mp.workdps(60):
        mu = mp.log(1.5) - mp.mpf(slope) * mp.mpf(sigma) ** 2

        def above(x):
            return mp.erfc((mp.log(x) - mu) / (mp.mpf(sigma) * mp.sqrt(2)))

        exact = [float(mp.log((above(x - 0.5) - above(x + 0.5)) / above(1.5))) for x in values]
    np.testing.assert_allclose(found, exact, rtol=1e-9, atol=1e-9)


@given(st.one_of(floats, integers))
@settings(max_examples=15)
def test_no_neighbour_is_more_likely(data):
    assume(len(set(data)) > 2)
    fit = fit_tail(data, min(data))
    tail = Tail.above(fit.threshold, fit.values, fit.counts, fit.discrete)

    def likelihood(law):
        return float(tail.counts @ law.log_density(tail))

    for each in fit.comparisons:
        law = LAWS[each.name].fit(tail, fit.exponent)
        best = likelihood(law)
        for name, value in vars(law).items():
            for factor in (0.99, 1.01):
                moved = dataclasses.replace(law, **{name: value * factor})
                with np.errstate(all="ignore"):
                    assert not likelihood(moved) > best + 1e-6 * fit.n_tail, moved
        # In continuous data three laws hold the Pareto law in their closure, in integers one.
        if not (each.name == "exponential" or (fit.discrete and not each.nested)):
            assert each.log_likelihood_ratio <= 1e-9


@given(floats)
def test_limit_is_reached_exactly_where_the_moments_say(data):
    assume(len(set(data)) > 1)
    fit = fit_tail(data, min(data))
    u = np.log(np.array(data) / min(data))
    excess = np.mean(u**2) / (2 * np.mean(u) ** 2)
    assume(abs(excess - 1) > 1e-6)
    found = {each.name: each for each in fit.comparisons}
    for name, at, limit in (("lognormal", "mu", -math.inf), ("stretched exponential", "beta", 0)):
        assert (found[name].parameters[at] == limit) == (excess > 1)
        assert (found[name].log_likelihood_ratio == 0) == (excess > 1)


def test_mixture_of_falls_has_a_tail_cut_off_though_its_moments_say_pareto():
    """Mean square of the logs above twice their squared mean: two laws see no end, the third does."""
    rng = np.random.default_rng(0)
    quick, cut = rng.exponential(1 / 6, 4000), -np.log1p(-rng.random(4000) * -np.expm1(-0.3 * 6)) / 0.3
    u = np.where(rng.random(4000) < 0.3, quick, cut)
    assert np.mean(u**2) > 2 * np.mean(u) ** 2
    fit = fit_tail(np.exp(u), threshold=1.0)
    ratios = {each.name: each.log_likelihood_ratio for each in fit.comparisons}
    assert ratios["lognormal"] == ratios["stretched exponential"] == 0
    assert ratios["truncated power law"] < -10
    assert fit.beaten_by == ("truncated power law",)


@pytest.mark.parametrize("base", [1e3, 1e8, 1e12, 1e15])
@pytest.mark.parametrize("discrete", [False, True])
def test_tight_data_far_above_the_threshold(base, discrete):
    """There the cut at the threshold is immaterial: a normal law of log x, and a Weibull law of x."""
    spread = np.random.default_rng(0).integers(0, 50, 50)
    # Cells that are narrow beside the spread, or the laws are those of rounded masses.
    step = 1 if base > 1e5 else 2**-20
    if discrete and step < 1:
        base, step = 2.0**40, 2**20
    data = base + step * spread
    fit = fit_tail(data.astype(np.int64) if discrete else data, threshold=1 if discrete else 1e-3)
    laws = {each.name: each for each in fit.comparisons}
    h = step * (spread - spread.mean()) / (base + step * spread.mean())
    u = np.log1p(h) - np.log1p(h).mean()
    # Rounded to cells of width w the variance is larger by w^2 / 12: half a thousandth of it here.
    rel = 1e-3 if discrete else 1e-6
    assert laws["lognormal"].parameters["sigma"] == pytest.approx(u.std(), rel=rel)
    assert laws["lognormal"].parameters["mu"] == pytest.approx(math.log(base + step * spread.mean()))
    # The most likely shape solves sum(x^b log x) / sum(x^b) - 1/b = mean(log x), here in units of the data.
    beta = laws["stretched exponential"].parameters["beta"]
    powers = np.exp(beta * u)
    assert powers @ u / powers.sum() * beta == pytest.approx(1, rel=1e-2 if discrete else 1e-5)
    density = -np.log(u.std()) - u**2 / (2 * u.var()) - math.log(2 * math.pi) / 2
    if not discrete:
        pareto = len(u) * (math.log(fit.exponent) - 1)
        assert laws["lognormal"].log_likelihood_ratio == pytest.approx(pareto - density.sum(), rel=1e-9)
    assert fit.beaten_by
    assert json.loads(json.dumps(fit.to_dict(), allow_nan=False))["beaten_by"] == list(fit.beaten_by)
    assert (np.diff(fit.survival([base / 2, base + 60 * step], "lognormal")) < 0).all()


def test_stretched_exponential_has_no_bound_in_reach():
    data = np.random.default_rng(0).lognormal(10, 0.01, 1000)
    found = {each.name: each for each in fit_tail(data, threshold=1.0).comparisons}
    shape = stats.weibull_min.fit(data, floc=0)[0]
    assert found["stretched exponential"].parameters["beta"] == pytest.approx(shape, rel=1e-4)


def test_large_integers_are_fitted_as_if_continuous():
    """Of 300 integers near 10^18 the cells are a millionth of the spread."""
    data = 10**18 + np.random.default_rng(0).integers(0, 10**6, 300)
    whole, fine = fit_tail(data, threshold=10**18), fit_tail(data, threshold=10**18, discrete=False)
    for each, other in zip(whole.comparisons, fine.comparisons, strict=True):
        expected = pytest.approx(other.log_likelihood_ratio, rel=1e-3, abs=1e-6)
        assert each.log_likelihood_ratio == expected, each.name


@pytest.mark.parametrize("spread", [1e-15, 1e-14, 1e-13])
@pytest.mark.parametrize("seed", range(3))
def test_rounding_is_no_evidence(spread, seed):
    """So close to 1 the exponential and the Pareto law are one law, to all digits but the last few."""
    many = 1 + spread * np.random.default_rng(seed).random(1000)
    for data in (many, [1.0, 1.0 + 2**-52, 1.0 + 2**-51]):
        found = {each.name: each for each in fit_tail(data, threshold=1.0).comparisons}
        for name in ("exponential", "truncated power law"):
            assert abs(found[name].log_likelihood_ratio) < 1e-9
            assert found[name].winner == "undecided"


@pytest.mark.parametrize("name", ["lognormal", "stretched exponential", "exponential", "truncated power law"])
@pytest.mark.parametrize("discrete", [False, True])
def test_parameters_are_in_units_of_the_masses(name, discrete):
    """Data drawn from a law, fitted from far down, give the law's own numbers back."""
    rng = np.random.default_rng(11)
    n = 40_000
    x, expected = {
        "lognormal": (rng.lognormal(3, 0.5, n), {"mu": 3, "sigma": 0.5}),
        "stretched exponential": (50 * rng.weibull(0.7, n), {"lambda": 50**-0.7, "beta": 0.7}),
        "exponential": (rng.exponential(40, n), {"lambda": 1 / 40}),
        # A gamma law of shape 1/2.
        "truncated power law": (rng.gamma(0.5, 100, n), {"density_exponent": 0.5, "lambda": 0.01}),
    }[name]
    data = np.round(x[x >= 1.5]).astype(int) if discrete else x[x >= 1.5]
    fit = fit_tail(data, 2 if discrete else 1.5)
    found = {each.name: each for each in fit.comparisons}[name]
    assert found.parameters == pytest.approx(expected, rel=0.05)
    assert found.winner == name
    # At the data's own quantiles the law is what the data are.
    at = np.quantile(data, [0.2, 0.5, 0.9], method="higher")
    np.testing.assert_allclose(fit.survival(at, name), [np.mean(data >= q) for q in at], atol=0.01)


def test_vuong_statistic_by_hand():
    data = draws("lognormal", 300, seed=2)
    fit = fit_tail(data, 1.0)
    tail = data[data >= 1]
    exponential = next(each for each in fit.comparisons if each.name == "exponential")
    rate = 1 / np.mean(tail - 1)
    assert exponential.parameters["lambda"] == pytest.approx(rate)
    ratios = np.log(fit.exponent) - (fit.exponent + 1) * np.log(tail) - np.log(rate) + rate * (tail - 1)
    assert exponential.log_likelihood_ratio == pytest.approx(ratios.sum())
    z = ratios.sum() / (math.sqrt(len(tail)) * ratios.std())
    assert exponential.statistic == pytest.approx(z)
    assert exponential.p_value == pytest.approx(2 * stats.norm.sf(abs(z)))
    truncated = next(each for each in fit.comparisons if each.nested)
    assert truncated.p_value == pytest.approx(stats.chi2.sf(-2 * truncated.log_likelihood_ratio, 1))


# --- The peer.


def peer(data, **arguments):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return powerlaw.Fit(data, verbose=0, **arguments)


def all_but_slow(*slow: str) -> list[Any]:
    """Every shape of data; those on which the peer takes a second or more are marked."""
    return [
        pytest.param(name, marks=pytest.mark.slow) if name in slow else name for name in CONTINUOUS + DISCRETE
    ]


@pytest.mark.parametrize("name", all_but_slow("lognormal", "exponential"))
@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2))])
@pytest.mark.parametrize("bounded", [True, False])
def test_agrees_with_powerlaw(name, seed, bounded):
    """By default powerlaw leaves out density exponents from 3 on. For integers it is asked to be exact.

    It looks at the data only: where values are tied, or integers have gaps that count, it would not agree.
    """
    data = draws(name, 2000, seed)
    arguments = {} if bounded else {"parameter_ranges": {"alpha": [0, None]}}
    theirs = peer(data, discrete=name in DISCRETE, estimate_discrete=False, **arguments)
    ours = fit_tail(data, max_exponent=2 if bounded else math.inf)
    assert ours.threshold == pytest.approx(theirs.xmin, rel=1e-3)
    assert ours.density_exponent == pytest.approx(theirs.alpha, rel=1e-3)
    # Theirs stops within 1e-4 of the most likely exponent.
    assert ours.distance == pytest.approx(theirs.D, abs=1e-3 if name in DISCRETE else 1e-9)


@pytest.mark.parametrize("name", all_but_slow("geometric", "rounded lognormal"))
def test_alternatives_are_at_least_as_likely_as_those_of_powerlaw(name):
    data = draws(name, 1000, seed=8)
    threshold = np.quantile(data, 0.4, method="higher").item()
    fit = fit_tail(data, threshold)
    tail = Tail.above(fit.threshold, fit.values, fit.counts, fit.discrete)
    theirs = peer(
        data,
        xmin=threshold,
        discrete=fit.discrete,
        estimate_discrete=False,
        parameter_ranges={"alpha": [0, None], "Lambda": [0, None]},
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        lognormal, stretched = theirs.lognormal, theirs.stretched_exponential
        exponential, truncated = theirs.exponential, theirs.truncated_power_law
        ratio, p = theirs.distribution_compare("power_law", "exponential")
        assert fit.log_likelihood == pytest.approx(theirs.power_law.loglikelihoods().sum(), abs=1e-2)
        like_theirs = {
            "lognormal": (
                lognormal,
                Lognormal((math.log(tail.start) - lognormal.mu) / lognormal.sigma**2, lognormal.sigma),
            ),
            "exponential": (exponential, Exponential(exponential.Lambda * tail.most)),
            "stretched exponential": (
                stretched,
                StretchedExponential(
                    stretched.beta * (stretched.Lambda * tail.start) ** stretched.beta, stretched.beta
                ),
            ),
            "truncated power law": (
                truncated,
                TruncatedPowerLaw(truncated.alpha, truncated.Lambda * tail.most),
            ),
        }
        for each in fit.comparisons:
            their_law, same = like_theirs[each.name]
            same = from_start(same, tail)
            log_mass = same.log_density(tail) - (0 if fit.discrete else np.log(tail.values))
            # Their lognormal is made of erfc, which has fewer and fewer digits from 26 on, and then none.
            if each.name != "lognormal" or (math.log(tail.most) - lognormal.mu) / lognormal.sigma < 35:
                np.testing.assert_allclose(np.log(their_law.likelihoods(tail.values)), log_mass, atol=1e-5)
            assert fit.log_likelihood - each.log_likelihood_ratio >= tail.counts @ log_mass - 1e-6
    compared = next(each for each in fit.comparisons if each.name == "exponential")
    assert compared.log_likelihood_ratio == pytest.approx(ratio, rel=1e-3, abs=1e-2)
    assert compared.p_value == pytest.approx(p, rel=1e-2, abs=1e-6)


# --- Verdicts.


@pytest.mark.parametrize("name", ["pareto", "zeta"])
def test_the_right_model_is_accepted(name):
    fit = fit_tail(draws(name, 2000, seed=0), n_bootstrap=200, rng=1)
    assert fit.plausible
    assert fit.beaten_by == ()
    assert abs(fit.exponent - (1.5 if name == "pareto" else 1.1)) < 4 * fit.standard_error


@pytest.mark.parametrize("name", ["lognormal", "exponential", "geometric", "rounded lognormal"])
def test_the_wrong_model_is_rejected(name):
    data = draws(name, 2000, seed=0)
    fit = fit_tail(
        data, np.median(data).item() if name in CONTINUOUS else int(np.median(data)), n_bootstrap=100, rng=1
    )
    assert fit.p_value == 0
    assert fit.plausible is False
    true = {"geometric": "exponential", "rounded lognormal": "lognormal"}.get(name, name)
    assert true in fit.beaten_by
    # With a threshold of its own choice, and at least half of the data to explain.
    assert fit_tail(data, min_tail=len(data) // 2, n_bootstrap=100, rng=1).p_value == 0


def test_left_free_the_threshold_flees_into_a_tail_too_small_to_reject():
    fit = fit_tail(draws("lognormal", 20_000, seed=0), n_bootstrap=100, rng=1)
    assert fit.n_tail < 0.02 * fit.n
    assert fit.plausible


@pytest.mark.slow
@pytest.mark.parametrize("case", ["continuous", "integers", "given threshold"])
def test_p_values_of_true_pareto_data_are_uniform(case):
    p_values, scores = [], []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        data = rng.zipf(2.2, 200) if case == "integers" else 1 + rng.pareto(1.2, 200)
        fit = fit_tail(data, 1 if case == "given threshold" else None, n_bootstrap=100, rng=rng)
        p_values.append(fit.p_value)
        scores.append((fit.exponent - 1.2) / fit.standard_error)
    assert stats.kstest(p_values, "uniform").pvalue > 0.001
    # Choosing the threshold adds a little to the spread.
    assert 0.85 < np.std(scores) < 1.35


def test_bootstrap_is_reproducible_and_has_the_spread_of_the_exponent():
    data = draws("pareto", 1000, seed=4)
    fit = fit_tail(data, 1, n_bootstrap=300, rng=9)
    again = fit_tail(data, 1, n_bootstrap=300, rng=np.random.default_rng(9))
    assert fit.bootstrap == again.bootstrap
    assert (fit.bootstrap.thresholds == 1).all()
    assert fit.bootstrap.exponents.mean() == pytest.approx(fit.exponent, abs=0.02)
    assert fit.bootstrap.exponents.std() == pytest.approx(fit.standard_error, rel=0.2)
    assert fit.p_value == np.mean(fit.bootstrap.distances >= fit.distance)
    assert fit.p_value_error == pytest.approx(0.5 / math.sqrt(300))


def test_replicates_keep_the_body_and_the_scale():
    rng = np.random.default_rng(0)
    data = np.concatenate([np.full(300, 1e-9), 1e-3 * (1 + rng.pareto(2, 300))])
    fit = fit_tail(data, n_bootstrap=50, rng=0)
    assert (fit.bootstrap.thresholds >= 1e-9 * (1 - 1e-12)).all()
    assert (np.abs(np.log(fit.bootstrap.thresholds / fit.threshold)) < 1).mean() > 0.9
    counts = np.repeat([1, 2, 5, 9], [50, 3, 2, 1])
    assert len(fit_tail(counts, 2, n_bootstrap=20, rng=0).bootstrap.distances) == 20
    # The data only just stay below the bound, so that some replicates do not, and are drawn again.
    bounded = fit_tail([1.0, 2.0, 4.0, 8.0], max_exponent=1.0, n_bootstrap=50, rng=0)
    assert (bounded.bootstrap.exponents < 1).all()


def test_replicates_keep_the_multiplicities_of_the_body():
    """Were each value of the body drawn as often as any other, a Pareto law would reach down to 1."""
    between = 1 / (1 - (np.arange(30) + 0.5) / 60)
    tail = 2 / (1 - np.arange(300) / 300)
    fit = fit_tail(np.concatenate([np.full(270, 1e-9), between, tail]), n_bootstrap=50, rng=0)
    assert fit.threshold > 1.9
    assert (fit.bootstrap.thresholds > 1.9).mean() > 0.9


@pytest.mark.parametrize(("reached", "plausible"), [(6, False), (9, False), (10, False), (11, True)])
def test_plausible_is_a_p_value_above_a_tenth(reached, plausible):
    fit = fit_tail([1.0, 2.0, 4.0])
    distances = np.where(np.arange(100) < reached, fit.distance, fit.distance / 2)
    fit = dataclasses.replace(fit, bootstrap=TailBootstrap(distances, np.ones(100), np.ones(100)))
    assert fit.p_value == reached / 100
    assert fit.plausible is plausible
    assert ("plausible at 0.1" in fit.report()) is plausible


def test_progress_can_be_shown(capsys):
    fit_tail([1.0, 2.0, 3.0], n_bootstrap=3, rng=0, progress=True)
    fit_tail([1.0, 2.0, 3.0], n_bootstrap=3, rng=0)


# --- Edges.


@pytest.mark.parametrize("data", [[1.0, 2.0], [5e-324, 1e308], [1.0, 1.0 + 2**-52], [1, 2**62], [7, 8]])
def test_two_points(data):
    fit = fit_tail(data, n_bootstrap=5, rng=0)
    assert (fit.n_tail, fit.threshold) == (2, min(data))
    assert np.isfinite(fit.exponent)
    assert fit.exponent > 0
    assert np.isfinite([each.log_likelihood_ratio for each in fit.comparisons]).all()
    assert np.isfinite([fit.survival(max(data), name) for name in ("pareto", *ALTERNATIVES)]).all()
    json.dumps(fit.to_dict(), allow_nan=False)


def test_all_scales_at_once():
    data = 10.0 ** np.linspace(-300, 300, 601)
    fit = fit_tail(data, data[0], n_bootstrap=3, rng=0)
    # A tail that even is, on the logarithmic scale, has no mean.
    assert fit.exponent == pytest.approx(1 / (300 * math.log(10)))
    assert "mean infinite" in fit.report()
    assert np.isfinite([each.statistic for each in fit.comparisons]).all()


def test_integers_beyond_the_floats():
    data = 2**60 + np.array([0, 1, 2, 3, 5, 8, 2**58, 2**61])
    fit = fit_tail(data)
    assert fit.threshold in data
    assert fit.n_tail == np.sum(data >= fit.threshold)


def test_a_million_points():
    data = ParetoMass(1.5).sample(10**6, rng=0)
    fit = fit_tail(data)
    assert abs(fit.exponent - 1.5) < 4 * fit.standard_error
    assert fit.n == 10**6
    assert fit.values.sum() == pytest.approx(1)


def test_survival_takes_any_shape():
    fit = fit_tail(draws("zeta", 500, seed=0), 2)
    assert fit.survival(1) == 1
    for name in ("pareto", *ALTERNATIVES):
        grid = fit.survival([[2, 3, 10], [2.5, 9.1, 400]], name)
        assert grid.shape == (2, 3)
        assert grid[0, 1] == pytest.approx(grid[1, 0])
        assert grid[0, 2] == pytest.approx(grid[1, 1])
        assert (grid[:, :-1] > grid[:, 1:]).all()
    exact = special.zeta(fit.density_exponent, 10) / special.zeta(fit.density_exponent, 2)
    assert fit.survival(10) == pytest.approx(exact)


def test_report_and_dict_say_the_same():
    fit = fit_tail(draws("lognormal", 2000, seed=0), 1.0, n_bootstrap=20, rng=0)
    report, found = fit.report(), fit.to_dict()
    assert "rejected at 0.1" in report
    assert "1, given" in report
    assert all(name in report for name in ALTERNATIVES)
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert found["plausible"] is False
    assert found["beaten_by"] == list(fit.beaten_by)
    assert found["beaten_by"]
    assert found["n_bootstrap"] == 20
    assert repr(fit).startswith("TailFit(exponent=")
    frame = fit.to_frame()
    assert frame.iloc[0].to_dict() == {
        **{name: value for name, value in found.items() if name != "comparisons"},
        "beaten_by": ", ".join(fit.beaten_by),
    }
    table = fit.comparisons[0].to_frame()
    assert table.loc["lognormal", ["mu", "winner"]].tolist() == [
        fit.comparisons[0].parameters["mu"],
        fit.comparisons[0].winner,
    ]

    silent = fit_tail([1, 2, 2, 5])
    assert "not requested" in silent.report()
    assert "p_value" not in repr(silent)
    assert silent.plausible is silent.p_value is silent.p_value_error is None


@pytest.mark.parametrize(
    ("masses", "arguments", "message"),
    [
        ([1.0, 0.0, 2.0], {}, r"masses\[1\] = 0.0: must be finite and > 0; a leaf of mass zero"),
        ([1, 2, -3], {}, r"masses\[2\] = -3: must be finite and > 0"),
        ([1.0, math.nan], {}, r"masses\[1\] = nan"),
        ([1.0, math.inf], {}, r"masses\[1\] = inf"),
        ([[1.0, 2.0]], {}, r"masses has shape \(1, 2\): must be one row"),
        (3.0, {}, r"masses has shape \(\)"),
        (np.zeros(0), {}, "masses: 0 different values"),
        ([4, 4, 4], {}, "masses: 1 different values, but a tail needs at least 2"),
        ([1.0, 2.0, 3.0], {"threshold": 2.5}, r"masses from the threshold 2.5 on: 1 different"),
        ([1.0, 2.0], {"threshold": 2.5}, "0 different"),
        ([1.0, 2.0], {"threshold": -1.0}, "threshold = -1.0: must be finite and > 0"),
        ([1, 2], {"threshold": 1.5}, "threshold = 1.5: must be an integer"),
        ([1.0, 2.5], {"discrete": True}, r"masses\[1\] = 2.5: must be an integer"),
        ([1.0, 2.0], {"min_tail": 1}, "min_tail = 1: must be an integer >= 2"),
        ([1.0, 2.0], {"min_tail": 3}, "no threshold leaves min_tail = 3 points"),
        ([1.0, 2.0], {"max_exponent": 0.5}, "below max_exponent = 0.5"),
        ([1.0, 2.0], {"max_exponent": 0.0}, "max_exponent = 0.0: must be finite and > 0"),
        ([1.0, 2.0], {"max_exponent": math.nan}, "max_exponent = nan"),
        ([1.0, 2.0], {"n_bootstrap": -1}, "n_bootstrap = -1"),
        ([1.0, 2.0], {"n_bootstrap": 5, "rng": -1}, "rng = -1"),
    ],
)
def test_bad_values(masses, arguments, message):
    with pytest.raises(ValueError, match=message):
        fit_tail(masses, **arguments)


@pytest.mark.parametrize(
    ("masses", "arguments", "message"),
    [
        (["a"], {}, "masses holds text"),
        ([True, False], {}, "masses has dtype bool"),
        ([1.0, 2.0], {"n_bootstrap": 5}, "rng = None: must be a numpy.random.Generator"),
        ([1.0, 2.0], {"n_bootstrap": 5, "rng": True}, "rng = True"),
        ([1.0, 2.0], {"min_tail": 2.5}, "min_tail = 2.5"),
    ],
)
def test_bad_types(masses, arguments, message, unchecked):
    with pytest.raises(TypeError, match=message):
        fit_tail(masses, **arguments)


def test_bad_survival_arguments():
    fit = fit_tail([1.0, 2.0, 4.0])
    with pytest.raises(ValueError, match=r"model = 'gamma': must be one of pareto, lognormal"):
        fit.survival(1.0, "gamma")
    with pytest.raises(ValueError, match=r"x = 0\.0"):
        fit.survival(0.0)


def test_an_array_of_thresholds_is_refused(unchecked):
    with pytest.raises(ValueError, match=r"threshold has shape \(1,\): must be one number"):
        fit_tail([1.0, 2.0], [1.0])


def test_every_alternative_has_its_law():
    assert tuple(LAWS) == ALTERNATIVES
    assert [law.nested for law in LAWS.values()] == [False, False, False, True]
