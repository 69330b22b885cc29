"""Accuracy against exact arithmetic, within bounds derived from the roundings that are made.

Throughout u = 2^-53. A rounded operation is off by a factor within 1 +- u, NumPy's exp, log, log1p and expm1
by one within 1 +- 2 u. NumPy sums in pairs, below 128 terms in eight sequences, so a sum of n terms is off by
at most (log2 n + 12) u times the sum of their sizes. What is nonnegative therefore has a relative error of
(log2 n + 12 + c) u, c being the roundings in a term.
"""

import math
from fractions import Fraction

import mpmath
import numpy as np
import pytest
from benchmarks.accuracy import (
    EXACT,
    flow_rows,
    model_rows,
    rows as table_rows,
    spring_rows,
    table,
    theorem_rows,
    training_rows,
)
from benchmarks.accuracy.pareto import laplace, leading
from hypothesis import given, strategies as st

import tokentree
from tokentree import FisherSprings, HuffmanCode, Mixture, ParetoMass, elasticity
from tokentree.information import cross_entropy, entropy, kl_divergence, log1p_less
from tokentree.mixtures import Rows
from tokentree.pareto import pareto_asymptotics
from tokentree.theorem import published_change, published_derivatives

U = 2.0**-53

mp = table.number


def off(found, exact):
    """Relative error in units of u."""
    return float(abs(mp(float(found)) / mp(exact) - 1)) / U


@pytest.fixture(autouse=True)
def digits():
    with mpmath.workdps(table.DIGITS):
        yield


# Sums over many leaves


@st.composite
def repeated(draw):
    """Two distributions of a few different masses, each repeated up to 2^16 times, and their place."""
    n = draw(st.integers(1, 6))
    times = [2 ** draw(st.integers(0, 16)) for _ in range(n)]
    masses = st.one_of(st.floats(1e-3, 1), st.sampled_from([1e-300, 1e-17, 1e-9]))
    rows = []
    for _ in range(2):
        row = np.array(draw(st.lists(masses, min_size=n, max_size=n)))
        row[draw(st.integers(0, n - 1))] = 1.0
        rows.append(row / math.fsum(row * times))
    if draw(st.booleans()):
        moves = draw(st.lists(st.integers(-4, 4), min_size=n, max_size=n))
        rows[1] = rows[0] * (1 + 1e-12 * np.array(moves))
    order = np.random.default_rng(draw(st.integers(0, 99))).permutation(np.repeat(np.arange(n), times))
    return times, rows, order


@given(repeated())
def test_sums_over_leaves_are_pairwise(case):
    times, (p, q), order = case
    a, b = table.fractions(p), table.fractions(q)
    pairwise = math.log2(len(order)) + 12

    exact = -mpmath.fsum(t * mp(x) * table.log(x) for t, x in zip(times, a, strict=True))
    if exact:
        # Logarithm and product; the division by log e = 1 is exact.
        assert off(entropy(p[order], math.e), exact) <= pairwise + 3
    exact = -mpmath.fsum(t * mp(x) * table.log(y) for t, x, y in zip(times, a, b, strict=True))
    if exact:
        assert off(cross_entropy(p[order], q[order], math.e), exact) <= pairwise + 3
    exact = table.divergence(a, b, times)
    found = kl_divergence(p[order], q[order], math.e)
    # The worst term is two numbers of four roundings, the larger less than five times their difference. Two
    # products of a term may be below a float64.
    below = 2 * len(order) * mp(2) ** -1074
    assert abs(mp(float(found)) - exact) <= (pairwise + 64) * U * exact + below
    assert found >= 0


@given(repeated())
def test_mean_codeword_length_is_pairwise(case):
    times, (p, _), order = case
    code = HuffmanCode.from_weights(p[order])
    # Equal masses may have two lengths.
    totals = [int(code.lengths[order == i].sum()) for i in range(len(times))]
    exact = sum(x * total for x, total in zip(table.fractions(p), totals, strict=True))
    found = code.expected_length(p[order])
    assert off(found, exact) <= math.log2(len(order)) + 13 if exact else found == 0


def test_sums_do_not_depend_on_the_layout():
    p = np.random.default_rng(0).dirichlet(np.ones(10**4), 3)
    turned, code = np.asfortranarray(p), HuffmanCode.from_weights(p[0])
    for measure in (entropy, lambda rows: cross_entropy(rows, rows[::-1]), code.expected_length):
        np.testing.assert_array_equal(measure(turned), measure(p))


# Datasets that nearly coincide


@st.composite
def near_counts(draw):
    """Rows of counts that differ in their last digits, of up to fifteen; and sizes."""
    datasets, leaves = draw(st.integers(2, 3)), draw(st.integers(2, 8))
    base = draw(st.lists(st.integers(10**11, 10**14), min_size=leaves, max_size=leaves))
    reach = 10 ** draw(st.integers(1, 6))
    move = st.lists(st.integers(-reach, reach), min_size=leaves, max_size=leaves)
    rows = [[c + m for c, m in zip(base, draw(move), strict=True)] for _ in range(datasets)]
    sizes = st.sampled_from([1, 3, Fraction(1, 7), 10**6, 10**12])
    return rows, draw(st.lists(sizes, min_size=datasets, max_size=datasets))


def differences_error(exact):
    """Bound on the error of every p_i - q.

    With what rounding took from the masses added, p_i - p_r is off by four roundings, and by two roundings of
    a rounding of the masses. The mean over the others adds N + 1 roundings of each of its terms.
    """
    count = len(exact.p)
    r = max(range(count), key=lambda i: exact.n[i])
    bounds = []
    for p in exact.p:
        row = []
        for x, mass in enumerate(p):
            apart = [abs(other[x] - exact.p[r][x]) for other in exact.p]
            mean = sum(w * a for w, a in zip(exact.w, apart, strict=True))
            size = abs(mass - exact.p[r][x]) + mean
            largest = max(other[x] for other in exact.p)
            row.append(float((count + 6) * size * Fraction(U) + 8 * largest * Fraction(U) ** 2))
        bounds.append(row)
    return bounds


@given(near_counts())
def test_divergence_and_forces_of_datasets_that_nearly_coincide(case):
    rows, sizes = case
    mixture, exact = Mixture(rows, sizes), table.Exact(rows, sizes)
    errors = differences_error(exact)
    forces = FisherSprings(mixture).forces
    for i, (found, truth) in enumerate(zip(mixture.kl(math.e), exact.kl(), strict=True)):
        allowed = 0.0
        for x, error in enumerate(errors[i]):
            p, q, d = (float(row[x]) for row in (exact.p[i], exact.q, exact.d[i]))
            # The slope of (p - q) z + 2 p (atanh(z) - z), z = (p - q) / (p + q), is below 4 |z| in p - q.
            allowed += 4 * (abs(d) + error) / (p + q) * error
            assert abs(mp(float(forces[i, x])) / mp(exact.n[i]) - mp(exact.d[i][x])) <= error + 3 * U * abs(d)
        # And the roundings of p, of q and within a term.
        roundings = math.log2(len(rows[0])) + 12 + 64 + 4 * (len(rows) + 8)
        assert abs(mp(float(found)) - truth) <= allowed + roundings * U * truth


@given(
    st.integers(1, 61).flatmap(
        lambda bits: st.lists(st.integers(0, 2**bits // 8), min_size=8, max_size=8).filter(any)
    )
)
def test_what_rounding_took_from_the_masses(counts):
    rows = Rows([counts, [1] * 8])
    for row, total, found, lost in zip(
        rows.values.tolist(), rows.totals, rows.probabilities, rows.rounding(slice(0, 8)), strict=True
    ):
        for count, mass, rest in zip(row, found.tolist(), lost.tolist(), strict=True):
            exact = Fraction(count, total) - Fraction(mass)
            # What is left and the total are rounded and divided.
            assert abs(Fraction(rest) - exact) <= Fraction(3.01 * U) * abs(exact)


def test_what_rounding_took_from_counts_beyond_int64():
    counts = [10**30 + 7, 3, 10**25 + 1]
    (lost, _) = Rows([counts, [1, 1, 1]]).rounding(slice(0, 3))
    (found, _) = Rows([counts, [1, 1, 1]]).probabilities
    for count, mass, rest in zip(counts, found.tolist(), lost.tolist(), strict=True):
        exact = Fraction(count, sum(counts)) - Fraction(mass)
        assert abs(Fraction(rest) - exact) <= Fraction(U) * abs(exact)


@pytest.mark.parametrize("column", [[0, 0, 0], [1, 2, 3]], ids=["empty", "rare"])
def test_empty_and_rare_leaves_hide_no_coincidence(column):
    rng = np.random.default_rng(0)
    rows = 10**16 + 10**8 * rng.integers(-9, 10, (3, 64))
    rows[:, ::8] = np.array(column)[:, None]
    mixture, exact = Mixture(rows, [100, 1, 1]), table.Exact(rows.tolist(), [100, 1, 1])
    for found, truth in zip(mixture.kl(math.e), exact.kl(), strict=True):
        # As above, for 64 leaves and three datasets.
        assert off(found, truth) <= 6 + 12 + 64 + 4 * (3 + 8)


def test_all_that_rests_on_differences_keeps_its_digits():
    rng = np.random.default_rng(0)
    rows = rng.integers(10**14, 10**15, 20) + rng.integers(-500, 501, (3, 20))
    mixture, exact = Mixture(rows, [10**6, 1, 1]), table.Exact(rows, [10**6, 1, 1])
    response = exact.response()
    total = mp(exact.total)
    for i in range(3):
        truth = mpmath.sqrt(-total * response[i][i])
        # Half of the relative error of a sum of squares of differences with a few roundings each.
        assert off(FisherSprings(mixture).extensions[i], truth) < 64
    assert off(elasticity(mixture, base=math.e).dgamma_perturb, response[2][2]) < 64


# Closed forms


positive = st.floats(-9, 9).map(lambda x: 10.0**x)


@given(st.integers(3, 50), positive, positive)
def test_closed_forms_err_by_the_sizes_of_their_terms(parts, k, l):
    m, a, b = parts, Fraction(k), Fraction(l)
    total, margin = a + 1 + b, 1 - (m - 1) * b
    found = published_derivatives(m, k, l, base=math.e)
    # Two sums and a quotient.
    assert off(found.dgamma_align, 1 / total) <= 4
    # The margin rounds twice, each time by less than u of its terms; four more roundings follow it.
    size = (1 + (m - 1) * b) / ((a + m * b) * total)
    exact = -margin / ((a + m * b) * total)
    assert abs(mp(float(found.dgamma_pretrain)) - mp(exact)) <= 2 * U * mp(size) + 9 * U * abs(mp(exact))


@given(st.integers(3, 50), st.one_of(positive, st.just(1e12)), positive)
def test_closed_change_errs_by_the_sizes_of_its_terms(parts, k, l):
    m, a, b = parts, mp(k), mp(l)
    own, part = b / (a + 1), m * b / a
    exact = mpmath.log1p(own) - mpmath.log1p(part) / m
    found, common = published_change(m, k, l, base=math.e)
    assert off(common, mpmath.log1p(own)) <= 2 + 2
    if part < 1:
        curved = own - mpmath.log1p(own), (part - mpmath.log1p(part)) / m, own / a
        # 64 roundings in a divergence, two in an argument that enters squared.
        assert abs(mp(float(found)) - exact) <= 70 * U * mpmath.fsum(curved)
    else:
        logs = mpmath.log1p(own) + mpmath.log1p(part) / m
        assert abs(mp(float(found)) - exact) <= 8 * U * logs


@given(st.floats(-320, 300).map(lambda x: 10.0**x))
def test_logarithm_without_its_linear_term(x):
    with mpmath.workdps(700):
        exact = mpmath.log1p(mp(x)) - mp(x)
        # x^2 / 2 is below a float64 for x < 1e-154, and has fewer digits for x < 1e-146.
        assert abs(mp(float(log1p_less(np.float64(x)))) - exact) <= 64 * U * abs(exact) + mp(2) ** -1072


@given(
    st.one_of(st.floats(-0.5, 0.5), st.floats(-16, -3).map(lambda x: 10.0**x), st.just(0.0)),
    st.sampled_from([1.0, 1e2, 1e6, 1e12]),
)
def test_asymptotics_keep_their_digits_at_the_pole(away, k):
    alpha = 2 + away
    d, grown = mp(2) - mp(alpha), mpmath.log(mp(k))
    exact = leading(alpha, k, 1.0)
    found = pareto_asymptotics(alpha, k, base=math.e)
    assert off(found.dgamma_align, exact[1]) <= 6
    # Terms of S - 1: two quotients (e^x - 1) / d, and one of polynomials. Each is off by less than 8
    # roundings, and by those of d L in e^(d L); Horner's rule for the two log Gammas by 102 roundings of the
    # sizes of their terms, which are below 2 together.
    rise = abs(grown) * (mpmath.exp(d * grown) + 1)
    size = (8 + abs(d * grown)) * rise + 2 * 102 * 2 * (1 + abs(rise)) + 8 * 7
    assert abs(mp(found.dgamma_perturb) - exact[2]) <= U * size / k + 4 * U * abs(exact[2])


@pytest.mark.parametrize(("k", "l"), [(1e300, 1e-300), (1e-300, 1e300)])
def test_asymptotics_where_the_ratio_of_sizes_is_no_float64(k, l):
    # A few roundings of two logarithms, which do not cancel.
    assert off(pareto_asymptotics(2, k, l, base=math.e).dgamma_perturb, leading(2, k, l)[2]) < 16


@given(st.floats(1.05, 2.0), st.floats(-300, 0).map(lambda x: 10.0**x), st.integers(0, 2))
def test_laplace_transform_is_as_right_as_it_says(alpha, s, derivative):
    exact = laplace(mp(alpha), mp(s))[derivative]
    # The docstring's promise.
    assert off(ParetoMass(alpha).laplace(s, derivative), exact) * U <= 1e-14 + 2.2e-16 * s


# The flow


@given(
    st.lists(st.integers(1, 10**6), min_size=6, max_size=6),
    st.sampled_from([1, 10**6, 10**12]),
    st.floats(-12, 2).map(lambda x: 10.0**x),
)
def test_the_flow_and_its_clock(counts, k, tau):
    rows = [counts[:3], counts[3:]]
    springs, exact = FisherSprings(Mixture(rows, [k, 1])), table.Exact(rows, [k, 1])
    start = np.array([0.5, 0.25, 0.25])
    found = springs.flow(start, tau)
    for x in range(3):
        truth = mp(start[x]) * mpmath.exp(-mp(tau)) - mp(exact.q[x]) * mpmath.expm1(-mp(tau))
        # q: four roundings of a mass, one of a weight, a product and a sum; then expm1, a product and a sum.
        assert off(found[x], truth) <= 7 + 4
    total = mp(exact.total)
    assert off(springs.equivalent_size(tau), total * mpmath.expm1(mp(tau))) <= 4 * (1 + 1e-3)
    assert off(springs.equivalent_time(tau), mpmath.log1p(mp(tau) / total)) <= 4 * (1 + 1e-3)


# The table


def promised(row):
    """Bound on the error over the condition number, in units of 2 u.

    3 datasets over at most 2^14 leaves: (14 + 12) u for the sums and 64 u in a term, unless the docstring
    says otherwise: bounds that hold for certain are widened by (N + 64) 2^-51.
    """
    return 2 * (3 + 64) if row.function.startswith("unexpanded_bounds") else (14 + 12 + 64) / 2


WINGS = (
    *("information", "trees", "codes", "adapters", "mixtures", "theorem", "pareto", "springs", "alignment"),
    *("models", "training", "claims", "explorer"),
)
QUICK = [theorem_rows, model_rows, spring_rows, flow_rows, training_rows]


@pytest.mark.parametrize("group", QUICK, ids=[group.__name__ for group in QUICK])
def test_rows_of_the_table(group):
    for row in group():
        assert row.excess <= promised(row), row


@pytest.mark.slow
def test_the_whole_table_and_that_it_is_whole():
    rows = table_rows(large=False)
    for row in rows:
        assert row.excess <= promised(row), row
    measured = {name for row in rows for name in row.function.replace(",", ".").split(".")[:1]}
    exact = {name for names in EXACT for name in names.split(", ")}
    faces = {name for wing in WINGS for name in getattr(tokentree, wing).__all__}
    assert set(tokentree.__all__) <= measured | exact <= faces
    assert not measured & exact
