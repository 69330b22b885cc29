"""The limit of many leaves against mpmath's integrals of the plain formulas, and against finite trees."""

import math
import sys
from inspect import unwrap

import mpmath
import numpy as np
import pytest
from hypothesis import given, strategies as st

from tokentree.pareto import ParetoMass, pareto_asymptotics, pareto_convergence, pareto_limit
from tokentree.pareto.limit import limits

EPS = sys.float_info.epsilon

# Ten times better than promised in general, and relative also where 1 - S is 1e-21.
ACCURACY = 1e-11


def reference(alphas, sizes, merged=1, digits=45):
    """S and gamma - log M by the integrals of products of phi, -phi' and phi'', as they stand.

    S_ij over phi_i' phi_j' (or phi_i'') and the other phi; gamma_i - log M over (phi_i' prod phi - e^-s) / s.
    With s = u^(1 / rate) the integrands are smooth enough at 0 for mpmath's own double-exponential rule.
    """
    with mpmath.workdps(digits):
        alphas, sizes = [mpmath.mpf(a) for a in alphas], [mpmath.mpf(n) for n in sizes]
        weights = [n / sum(sizes) for n in sizes]
        count = len(weights)
        rate = min(mpmath.mpf(1), min(alphas) - 1)

        def transforms(alpha, s):
            scale = (alpha - 1) / alpha
            x = scale * s / merged
            # One evaluation; E_{v+1} = (e^-x - x E_v) / v gives the next two.
            lowest = mpmath.expint(alpha - 1, x)
            middle = (mpmath.exp(-x) - x * lowest) / (alpha - 1)
            phi = mpmath.exp(-x) - x * middle
            first, second = alpha * scale * middle, alpha * scale**2 * lowest
            power = phi ** (merged - 1)
            curved = power * second / merged
            if merged > 1:
                curved += (merged - 1) * phi ** (merged - 2) * first**2 / merged
            return phi * power, first * power, curved

        known = {}

        def table(u):
            if u not in known:
                s = u ** (1 / rate)
                known[u] = s, [transforms(a, w * s) for a, w in zip(alphas, weights, strict=True)]
            return known[u]

        def overlap(i, j):
            def integrand(u):
                value = u ** (1 / rate - 1) / rate
                for c, values in enumerate(table(u)[1]):
                    value *= values[(c == i) + (c == j)]
                return value

            return integrand

        def rates(i):
            def integrand(u):
                s, values = table(u)
                product = mpmath.fprod(v[c == i] for c, v in enumerate(values))
                return (product - mpmath.exp(-s)) * u ** (1 / rate - 1) / rate / s

            return integrand

        end = 2.2 * digits / sum(w * (a - 1) / a for a, w in zip(alphas, weights, strict=True))
        breaks = sorted({mpmath.mpf(min(x, end)) ** rate for x in (0, 1, 4, 15, 50, end)})
        found = [[mpmath.quad(overlap(*sorted((i, j))), breaks) for j in range(count)] for i in range(count)]
        for i in range(count):
            # The integrals check themselves: sum_j w_j S_ij = 1.
            assert abs(mpmath.fdot(weights, found[i]) - 1) < mpmath.mpf(10) ** (5 - digits)
        return found, [mpmath.quad(rates(i), breaks) for i in range(count)]


def assert_close(values, expected, accuracy=ACCURACY):
    for value, exact in zip(np.ravel(values), np.ravel(expected), strict=True):
        assert abs(mpmath.mpf(float(value)) / exact - 1) < accuracy, (value, exact)


def assert_limit(alphas, sizes, merged=1, digits=45):
    limit = pareto_limit(alphas, sizes, base=math.e, merged=merged)
    overlap, rates = reference(np.broadcast_to(alphas, len(sizes)).tolist(), sizes, merged, digits)
    with mpmath.workdps(digits):
        assert_close(limit.overlap, overlap)
        assert_close(limit.excess, [[1 - s for s in row] for row in overlap])
        assert_close(limit.normalized_rates, rates)


@pytest.mark.parametrize(
    ("alphas", "sizes"),
    [
        (2.0, [0.8, 0.15, 0.05]),
        (3.0, [0.8, 0.15, 0.05]),
        (50.0, [8, 1]),
        (2.5, [0.7, 0.3]),
        ([2.0, 4.0, 10.0], [3, 1, 2]),
    ],
)
def test_limit_is_the_integrals(alphas, sizes):
    assert_limit(alphas, sizes, digits=25)


def test_excess_keeps_its_digits_where_it_is_tiny():
    # 1 - S_11 is 2e-20 here, and 1 - S_12 is 1e-11.
    limit = pareto_limit(10.0, [1, 1e-9])
    assert 0 < -limit.excess[0, 0] < 1e-19
    assert_limit(10.0, [1, 1e-9], digits=40)


def test_merged_leaves_are_means_of_independent_ones():
    assert_limit([3.0, 4.0], [3, 1], merged=3, digits=25)


@pytest.mark.slow
@pytest.mark.parametrize("sizes", [[0.8, 0.15, 0.05], [1 - 1e-9, 1e-9], [1 - 1e-9, 0.4e-9, 0.6e-9]])
@pytest.mark.parametrize("alpha", [1.05, 1.5, 2.0, 2.0000001, 2.5, 3.0, 4.0, 10.0, 50.0])
def test_limit_in_every_corner(alpha, sizes):
    assert_limit(alpha, sizes)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("alphas", "sizes", "merged"),
    [
        (1.05, [0.3, 0.3, 0.2, 0.1, 0.1], 1),
        ([1.05, 50.0, 2.0, 1.5, 3.0], [0.3, 1e-9, 0.2, 0.1, 0.1], 1),
        ([50.0, 1.05], [1, 1e-9], 1),
        ([1.05, 50.0], [1, 1e-9], 1),
        (1.5, [0.8, 0.15, 0.05], 4),
        (2.5, [1, 1e-9], 64),
    ],
)
def test_limit_of_unlike_exponents_many_datasets_and_merged_leaves(alphas, sizes, merged):
    assert_limit(alphas, sizes, merged)


def test_known_values():
    limit = pareto_limit(2.5, [0.80, 0.15, 0.05], base=math.e)
    expected = [
        [1.016909, 0.925153, 0.954002],
        [0.925153, 1.383506, 1.047040],
        [0.954002, 1.047040, 1.594849],
    ]
    np.testing.assert_array_equal(limit.overlap.round(6), expected)
    np.testing.assert_array_equal(limit.normalized_rates.round(6), [-0.146549, 0.008705, 0.051589])


exponents = st.floats(1.05, 50)
shares = st.floats(-9, 0).map(lambda x: 10.0**x)


@given(exponents, st.sampled_from([1, 2**-30, 7.3]))
def test_one_dataset_is_coded_by_itself(alpha, size):
    limit = pareto_limit(alpha, [size])
    assert limit.overlap == pytest.approx(1, rel=1e-12)
    assert limit.excess == 0
    assert limit.normalized_rates == pytest.approx(
        ParetoMass(alpha).normalized_self_rate(), rel=ACCURACY, abs=0
    )


@given(st.lists(st.tuples(exponents, shares), min_size=1, max_size=5), st.sampled_from([1, 5, 2**20]))
def test_laws_of_the_limit(datasets, merged):
    alphas, sizes = np.transpose(datasets)
    limit = pareto_limit(alphas, sizes, merged=merged)
    weights = sizes / sizes.sum()
    # Gibbs-Duhem, for S and for 1 - S to the scale of its terms; symmetric; S_ii >= 1.
    np.testing.assert_allclose(limit.overlap @ weights, 1, rtol=1e-11)
    size = np.sqrt(-np.diag(limit.excess))
    assert (np.abs(limit.excess @ weights) <= ACCURACY * size * (size @ weights)).all()
    assert (np.abs(limit.excess - limit.excess.T) <= ACCURACY * np.outer(size, size)).all()
    assert (np.abs(limit.excess) <= (1 + ACCURACY) * np.outer(size, size)).all()
    np.testing.assert_allclose(1 - limit.excess, limit.overlap, rtol=1e-11)
    assert (limit.overlap > 0).all()
    assert (np.diag(limit.excess) <= 0).all()


@given(st.lists(st.tuples(exponents, shares), min_size=2, max_size=4), st.randoms())
def test_order_and_scale_do_not_matter(datasets, random):
    order = list(range(len(datasets)))
    random.shuffle(order)
    alphas, sizes = np.transpose(datasets)
    one, other = pareto_limit(alphas, sizes), pareto_limit(alphas[order], 1024 * sizes[order])
    np.testing.assert_allclose(other.overlap, one.overlap[np.ix_(order, order)], rtol=1e-12)
    np.testing.assert_allclose(other.normalized_rates, one.normalized_rates[order], rtol=ACCURACY, atol=1e-14)


@given(exponents, st.integers(2, 6))
def test_equal_datasets_are_exchangeable(alpha, n):
    excess = pareto_limit(alpha, np.ones(n)).excess
    np.testing.assert_allclose(excess[~np.eye(n, dtype=bool)], excess[0, 1], rtol=1e-10)
    # Sum of a row is zero.
    np.testing.assert_allclose(np.diag(excess), -(n - 1) * excess[0, 1], rtol=1e-10)


def test_merging_many_leaves_leaves_only_the_variance():
    # As B grows the masses tend to 1 + Gauss / sqrt(B), and 1 - S to minus the covariance of the Y_i - Q.
    alpha, merged = 10.0, 10**9
    weights = np.array([0.8, 0.15, 0.05])
    centre = np.eye(3) - weights
    variance = 1 / (alpha * (alpha - 2)) / merged
    excess = pareto_limit(alpha, weights, merged=merged).excess
    # The next order is 1/B of it, times moments below 10.
    np.testing.assert_allclose(excess, -variance * centre @ centre.T, rtol=100 / merged)


def leading(alpha, k, l, base=2):
    found = pareto_asymptotics(alpha, k, l, base=base)
    return np.array([found.dgamma_pretrain, found.dgamma_align, found.dgamma_perturb])


def test_units():
    bits, nats = pareto_limit(1.5, [3, 1]), pareto_limit(1.5, [3, 1], base=math.e)
    np.testing.assert_allclose(bits.normalized_rates * math.log(2), nats.normalized_rates, rtol=4 * EPS)
    np.testing.assert_array_equal(bits.excess, nats.excess)
    nats = leading(1.5, 100, 2, math.e)
    np.testing.assert_allclose(leading(1.5, 100, 2) * math.log(2), nats, rtol=4 * EPS)
    assert pareto_asymptotics(1.5, 100) == pareto_asymptotics(1.5, 100, 1, base=2)
    finite = [pareto_convergence(1.5, [3, 1], [9], [0], base=base).normalized_rates for base in (2, math.e)]
    np.testing.assert_allclose(finite[0] * math.log(2), finite[1], rtol=16 * EPS)


def test_ranges_include_their_ends():
    light = pareto_limit([1.05, 50], [1, 1e-20])
    # A dataset that is nearly all of the data has its own rate.
    alone = ParetoMass(1.05).normalized_self_rate()
    np.testing.assert_allclose(light.normalized_rates[0], alone, rtol=ACCURACY)


def test_several_sizes_at_once_are_each_alone():
    alphas, sizes = np.array([1.5, 3.0]), np.array([[3.0, 1.0], [10.0, 1.0], [0.2, 0.1]])
    together = limits(alphas, sizes, 2)
    for case, size in enumerate(sizes):
        for found, alone in zip(together, limits(alphas, size[None], 2), strict=True):
            np.testing.assert_allclose(found[case], alone[0], rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("l", [0.1, 1.0, 10.0])
@pytest.mark.parametrize("alpha", [1.2, 1.5, 1.8, 1.99, 2.0, 2.1, 2.49, 2.5, 3.0, 4.0, 10.0, 50.0])
def test_exact_over_leading_order_tends_to_one(alpha, l):
    def distance(k):
        exact = pareto_limit(alpha, [k, 1, l]).excess[:, 2] / (k + 1 + l)
        return np.abs(exact / leading(alpha, k, l, math.e) - 1)

    # The order left out: k^-(alpha-2) from 5/2 to 3 in gamma_p' and gamma_t', else k^-min(1, alpha-1).
    left_out = np.full(3, min(1, alpha - 1))
    left_out[[0, 2]] = min(1, alpha - 2) if alpha >= 2.5 else left_out[1]
    near, far = distance(1e8), distance(1e11)
    assert (far <= np.maximum(1000 ** (-0.9 * left_out) * near, ACCURACY)).all()
    assert (far < 0.03).all()


def test_signs_are_the_reverse_of_the_theorems():
    for alpha in (1.05, 1.5, 2.0, 2.2, 5.0, 50.0):
        for values in (
            leading(alpha, 1e6, 0.5),
            pareto_limit(alpha, [1e6, 1, 0.5]).excess[:, 2],
        ):
            assert values[0] > 0 > values[1]
            assert values[2] < 0


def test_alignment_leads_alike_for_every_exponent():
    # -(1 / k) E[1 / Y - 1]: E[1 / Y] = (1 / x_m) alpha / (alpha + 1).
    for alpha in (1.05, 2.0, 7.0):
        expected = -(alpha / (alpha - 1) * alpha / (alpha + 1) - 1) / 1000
        assert pareto_asymptotics(alpha, 1000, base=math.e).dgamma_align == pytest.approx(
            expected, rel=1e-13, abs=0
        )


@pytest.mark.parametrize("alpha", [2.5, 2.75, 3.0, 3.5])
def test_from_five_halves_on_only_the_moments_lead(alpha):
    # S - 1 = 2 / ((alpha - 2) (alpha + 1)): the tail's own term is of the order that is left out.
    found = pareto_asymptotics(alpha, 100, 2, base=math.e)
    assert found.dgamma_perturb == pytest.approx(-2 / ((alpha - 2) * (alpha + 1)) / 100, rel=4 * EPS, abs=0)


def test_pretraining_leads_as_one_over_k_squared_only_for_a_small_perturbation():
    # 1 / (k^2 (alpha^2 - 1)) as l -> 0. By l = 1 it is 1 + 2 (alpha - 1) / (alpha - 2) times that.
    k, alpha = 1e6, 2.5
    alone = 1 / (k**2 * (alpha**2 - 1))
    assert pareto_asymptotics(3.5, k, 1e-9, base=math.e).dgamma_pretrain * k**2 == pytest.approx(
        1 / 11.25, rel=1e-8
    )
    factor = 1 + 2 * (alpha - 1) / (alpha - 2)
    assert pareto_asymptotics(alpha, k, 1, base=math.e).dgamma_pretrain == pytest.approx(
        factor * alone, rel=1e-12, abs=0
    )


# Finite trees


def test_samples_are_the_definitions():
    found = pareto_convergence([3, 1.5], [2, 1], n_leaves=[7, 50], seeds=[4, 9], base=math.e)
    assert found.excess.shape == (2, 2, 2, 2)
    assert found.n_leaves.tolist() == [7, 50]
    rng = np.random.default_rng([9, 50])
    p = np.array([ParetoMass(3).sample(50, rng), ParetoMass(1.5).sample(50, rng)])
    q = p.T @ [2 / 3, 1 / 3]
    np.testing.assert_allclose(found.excess[1, 1], 1 - (p / q) @ p.T, rtol=1e-9)
    np.testing.assert_allclose(found.normalized_rates[1, 1], -p @ np.log(q) - math.log(50), rtol=1e-9)
    alone = pareto_convergence([3, 1.5], [2, 1], n_leaves=[50], seeds=[9], base=math.e)
    np.testing.assert_array_equal(alone.excess[0, 0], found.excess[1, 1])


def test_samples_surround_the_limit():
    # Finite variance of every sum for alpha = 6: the mean of R samples is within six of its standard errors,
    # and the bias, of order 1/M, is far below that.
    found = pareto_convergence(6, [0.8, 0.15, 0.05], n_leaves=[20_000], seeds=range(40))
    for samples, limit in (
        (found.excess[0], found.limit.excess),
        (found.normalized_rates[0], found.limit.normalized_rates),
    ):
        error = samples.std(axis=0, ddof=1) / math.sqrt(len(samples))
        assert (np.abs(samples.mean(axis=0) - limit) < 6 * error).all()


def test_convergence_is_slow_where_the_variance_is_infinite():
    def gain(alpha):
        found = pareto_convergence(alpha, [0.8, 0.15, 0.05], n_leaves=[100, 10_000], seeds=range(60))
        off = np.median(np.abs(found.normalized_rates - found.limit.normalized_rates), axis=1)
        return off[0] / off[1]

    # A hundred times the leaves: ten times nearer by the central limit theorem, 100^(1 - 1/alpha) = 2.2 times
    # without.
    assert (gain(6) > 6).all()
    assert (gain(1.2) < 3).all()


# Bad arguments


@pytest.mark.parametrize(
    ("alphas", "sizes", "message"),
    [
        (1.04, [1, 2], r"^alphas = 1\.04: must lie between 1\.05 and 50$"),
        ([2, 50.001], [1, 2], r"^alphas\[1\] = 50\.001: must lie between 1\.05 and 50$"),
        ([2, math.nan], [1, 2], r"^alphas\[1\] = nan: must lie between"),
        (
            [2, 3, 4],
            [1, 2],
            r"^alphas has shape \(3,\): must be one number or have the shape of sizes, \(2,\)$",
        ),
        (2, [1, 0], r"^sizes\[1\] = 0\.0: must be finite and > 0$"),
        (2, [1, -3.0], r"^sizes\[1\] = -3\.0: must be finite and > 0$"),
        (2, [math.inf, 1], r"^sizes\[0\] = inf: must be finite and > 0$"),
        (2, [1024, 1024e-21], r"^weights\[1\] = 1e-21: must be at least 1e-20$"),
        (2, [1, 1e-20, 1e-21], r"^weights\[2\] = 1e-21: must be at least 1e-20$"),
        (2, 3, r"^sizes has shape \(\): must be one row with at least one entry$"),
        (2, [], r"^sizes has shape \(0,\): must be one row"),
    ],
)
def test_bad_datasets_are_named(alphas, sizes, message):
    with pytest.raises(ValueError, match=message):
        pareto_limit(alphas, sizes)


def test_other_bad_arguments_are_named():
    with pytest.raises(TypeError, match=r"^alphas holds text: must be real numbers"):
        pareto_limit(["2"], [1])
    with pytest.raises(ValueError, match=r"^merged = 0: must be an integer >= 1$"):
        pareto_limit(2, [1, 2], merged=0)
    with pytest.raises(TypeError, match=r"^merged = 2\.0: must be an integer >= 1$"):
        unwrap(pareto_limit)(2, [1, 2], merged=2.0)
    with pytest.raises(ValueError, match=r"^base = 1: "):
        pareto_limit(2, [1, 2], base=1)
    with pytest.raises(ValueError, match=r"^k = 0\.0: must be finite and > 0$"):
        pareto_asymptotics(2, 0)
    with pytest.raises(ValueError, match=r"^l = -1\.0: must be finite and > 0$"):
        pareto_asymptotics(2, 10, -1)
    with pytest.raises(ValueError, match=r"^alpha = 1\.0: must lie between"):
        pareto_asymptotics(1, 10)
    with pytest.raises(ValueError, match=r"^n_leaves\[1\] = 0: must be an integer >= 1$"):
        pareto_convergence(2, [1, 2], [5, 0], [1])
    with pytest.raises(ValueError, match=r"^seeds\[0\] = -1: must be an integer >= 0$"):
        pareto_convergence(2, [1, 2], [5], [-1])
    with pytest.raises(TypeError, match=r"^seeds\[0\] = 0\.5: must be an integer >= 0$"):
        pareto_convergence(2, [1, 2], [5], [0.5])


def test_tables_give_back_the_arrays():
    limit = pareto_limit([1.5, 2, 3], [3, 1, 2])
    found = pareto_convergence([1.5, 3], [3, 1], [9, 11], range(4))
    for result in (limit, found):
        frame = result.to_frame()
        assert frame.index.is_monotonic_increasing
        for name in frame:
            grid, array = frame[name].to_numpy().reshape(frame.index.levshape), getattr(result, name)
            rates = name == "normalized_rates"
            np.testing.assert_array_equal(
                grid, np.broadcast_to(array[..., None] if rates else array, grid.shape)
            )
    assert frame.index.names == ["n_leaves", "sample", "i", "j"]
    assert found.to_dict()["limit"] == found.limit.to_dict()
