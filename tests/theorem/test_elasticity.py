"""Theorem 4.2 against (1 - S) / T in plain Fractions, straight from the rows and sizes as given."""

import dataclasses
import importlib
import math
import re
from fractions import Fraction

import mpmath
import numpy as np
import pytest
from hypothesis import HealthCheck, assume, example, given, settings, strategies as st
from tests.exact import joint

from tokentree.codes import huffman_lengths
from tokentree.mixtures import Mixture, Rows
from tokentree.strategies import mixtures
from tokentree.theorem import (
    elasticity,
    published_change,
    published_derivatives,
    published_form,
    response_curve,
    three_dataset_form,
)
from tokentree.trees import TokenTree, leaf_distributions

# The package exports the function under the module's name.
module = importlib.import_module("tokentree.theorem.signs")
integers = importlib.import_module("tokentree.mixtures.excess")

U = Fraction(1, 2**53)
SMALLEST = Fraction(1, 2**1074)
LARGE = 10**15
FLOAT, EXACT, UNDECIDED = "floating-point bound", "exact rational", "undecided at this precision"


class Exact:
    """Every row over its exact sum, and what follows, per block and in nats."""

    def __init__(self, rows, sizes):
        self.p, self.n, self.total, self.q = joint(rows, sizes)
        floats = any(isinstance(x, float) for row in rows for x in row)
        self.eta = max(abs(sum(map(Fraction, row)) - 1) for row in rows) + 2 * U if floats else 4 * U

    def overlap(self, i, t):
        return sum(a * b / q for a, b, q in zip(self.p[i], self.p[t], self.q, strict=True) if q)

    def slope(self, i, a, t):
        """d gamma_i / dl with l = n_t / n_a."""
        return self.n[a] * (1 - self.overlap(i, t)) / self.total

    def slack(self, i, a, t):
        """Error allowed to a slope summed in floating point: the module's bound, with |d_i| at most h_i."""
        count = len(self.p)
        c = (2 * count - 1) * (count + 3) * U + Fraction(101, 100) * self.eta
        # rho, the sum over leaves, and 8 roundings from the sum to the slope.
        factor = 2 * c + c * c + 2 * self.eta + (2 * (count + 8) + len(self.q) + 1 + 8) * U
        h = []
        for j in (i, t):
            others = [s for s in range(count) if s != j]
            h.append(
                [
                    sum(self.n[s] * (self.p[s][x] + self.p[j][x]) for s in others) / self.total
                    for x in range(len(self.q))
                ]
            )
        scale = sum(a * b / q for a, b, q in zip(*h, self.q, strict=True) if q)
        return Fraction(101, 100) * factor * scale * self.n[a] / self.total + 2 * SMALLEST


def sign(number):
    return (number > 0) - (number < 0)


def methods(found):
    return re.fullmatch("pretrain: (.*); align: (.*)", found.certificate).groups()


def assert_exact(found, exact, roles, unit=1):
    """Certified, every sign right, every figure within its documented error."""
    p, a, t = roles
    slopes = [exact.slope(i, a, t) for i in roles]
    assert found.certified
    assert found.signs == (sign(slopes[0]), sign(slopes[1]))
    assert found.holds == (slopes[0] < 0 < slopes[1])
    assert (found.k, found.l) == (float(exact.n[p] / exact.n[a]), float(exact.n[t] / exact.n[a]))
    values = [
        Fraction(x) * Fraction(unit)
        for x in (found.dgamma_pretrain, found.dgamma_align, found.dgamma_perturb)
    ]
    errors = [abs(value - slope) for value, slope in zip(values, slopes, strict=True)]
    for bounds, value, slope, method in zip(found.bounds, values, slopes[:2], methods(found), strict=False):
        lower, upper = (Fraction(end) * Fraction(unit) for end in bounds)
        assert lower <= slope <= upper
        assert lower <= value <= upper
        if abs(slope) > 2.0**-1000:
            assert sign(lower) == sign(upper) == sign(slope)
        if method != FLOAT:
            assert upper - lower <= 2.0**-46 * abs(slope) + 16 * SMALLEST * Fraction(unit)
    for i, slope, error, method in zip(roles, slopes, errors, (*methods(found), FLOAT), strict=True):
        # In integers only the result is rounded, and w_a, the unit and their product and quotient.
        allowed = exact.slack(i, a, t) if method == FLOAT else 10 * U * abs(slope)
        assert error <= allowed + 2 * SMALLEST * Fraction(unit)
    for value, i in ((found.overlap_pretrain, p), (found.overlap_align, a)):
        # Nothing cancels: N + 2 roundings in q, M in the sum, the rest a term; eta in p_i, p_t and q.
        overlap = exact.overlap(i, t)
        allowed = ((len(exact.p) + len(exact.q) + 20) * U + 4 * exact.eta) * overlap
        assert abs(Fraction(value) - overlap) <= allowed + 2 * SMALLEST
    if slopes[0] == 0:
        assert found.dgamma_pretrain == 0
        assert math.isnan(found.ratio) if slopes[1] == 0 else found.ratio == math.inf
    elif min(abs(found.dgamma_pretrain), abs(found.dgamma_align)) > 2.0**-1000:
        # Three roundings here, one in each derivative, and k's own.
        ratio = Fraction(found.dgamma_align) / Fraction(found.dgamma_pretrain) / Fraction(found.k)
        assert abs(Fraction(found.ratio) + ratio) <= 6 * U * abs(ratio)
    elif found.dgamma_pretrain:
        assert not math.isnan(found.ratio)
    lengths = exact.slope(a, a, a) * exact.slope(t, a, t)
    if lengths:
        # Of the two lengths half of the relative errors, then five roundings.
        cosine = -float(slopes[1]) / math.sqrt(lengths) if lengths > SMALLEST else math.nan
        relative = [exact.slack(i, a, i) / abs(exact.slope(i, a, i)) for i in (a, t)]
        if max(relative) < 0.1 and not math.isnan(cosine):
            allowed = exact.slack(a, a, t) / Fraction(math.sqrt(lengths)) + sum(relative) + 8 * U
            assert abs(found.cosine - cosine) <= allowed


sizes_of_data = st.one_of(
    st.integers(1, 20),
    st.sampled_from([1, LARGE, Fraction(1, 3), 0.1, 1e12, 10**6]),
    st.fractions(Fraction(1, 50), 100, max_denominator=50),
    st.floats(1e-3, 1e6),
)


@st.composite
def tables(draw, n_min=3, n_max=6, m_max=6):
    """Rows of counts, of Fractions or of floats, some far from summing to 1 and some with faint masses."""
    n, m = draw(st.integers(n_min, n_max)), draw(st.integers(1, m_max))
    largest = draw(st.sampled_from([1, 3, 30, 10**6, 2**70]))
    row = st.lists(st.integers(0, largest), min_size=m, max_size=m).filter(any)
    rows = draw(st.lists(row, min_size=n, max_size=n))
    if draw(st.booleans()):
        # Alike datasets: derivatives cancel.
        rows[draw(st.integers(0, n - 1))] = rows[draw(st.integers(0, n - 1))]
    kind = draw(st.sampled_from(["counts", "fractions", "floats"]))
    if kind == "fractions":
        rows = [[Fraction(x, sum(row)) for x in row] for row in rows]
    if kind == "floats":
        off = draw(st.lists(st.sampled_from([0, 0, 5e-10, -9e-10]), min_size=n, max_size=n))
        faint = st.sampled_from([0.0, 0.0, 5e-324, 1e-300, 3e-300])
        rows = [
            [x / sum(row) * (1 + e) or draw(faint) for x in row] for row, e in zip(rows, off, strict=True)
        ]
    return rows, draw(st.lists(sizes_of_data, min_size=n, max_size=n))


@st.composite
def cases(draw, **kwargs):
    rows, sizes = draw(tables(**kwargs))
    return rows, sizes, draw(st.permutations(range(len(rows))))[:3]


# The decision


@given(cases())
@settings(max_examples=2 * settings.default.max_examples)
@example(([[1.0, 1e-300], [1.0, 2e-300], [1.0, 4e-300]], [3, 1, 1], [0, 1, 2]))
@example(([[1.0, 5e-324], [1.0, 5e-324], [1.0, 1e-323]], [LARGE, 1, 1], [0, 1, 2]))
@example(([[0.5, 0.5, 0.0], [0.5, 0.5, 0.0], [0.5, 0.5, 5e-324]], [1, LARGE, 1], [0, 1, 2]))
@example(([[1, 1, 0], [1, 0, 1], [0, 1, 1]], [LARGE, 1, 1], [0, 1, 2]))
def test_decision_is_that_of_the_exact_rational(case):
    rows, sizes, roles = case
    assert_exact(elasticity(Mixture(rows, sizes), *roles, base=math.e), Exact(rows, sizes), roles)


@given(cases())
def test_integer_bound_never_errs(case):
    rows, sizes, roles = case
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(integers, "EARLY_BITS", -1)
        patch.setattr(integers, "PRECISIONS", (1, 16, 61, 64, 70, 4096))
        patch.setattr(module, "_float_sums", unproved)
        found = elasticity(Mixture(rows, sizes), *roles, base=math.e)
    assert_exact(found, Exact(rows, sizes), roles)
    for method, proved in zip(methods(found), found.signs, strict=True):
        assert re.fullmatch(r"integer bound, \d+ bits|exact rational", method)
        # An interval never proves a zero.
        assert proved or method == EXACT


float_sums = module._float_sums


def unproved(mixture, a, t):
    return float_sums(mixture, a, t)._replace(sign=np.zeros(mixture.n_datasets))


# A falling rate is not rare, but a run of cases without one is no fault.
@given(cases(n_min=3, n_max=3))
@settings(suppress_health_check=[HealthCheck.filter_too_much])
def test_with_three_datasets_a_falling_rate_decides_the_theorem(case):
    # gamma_a' = -k gamma_p' - l gamma_t' and gamma_t' <= 0.
    rows, sizes, roles = case
    p, a, t = roles
    exact = Exact(rows, sizes)
    assume(exact.slope(p, a, t) < 0)
    found = elasticity(Mixture(rows, sizes), *roles, base=math.e)
    assert found.signs == (-1, 1)
    assert found.holds is True
    fall, rise = -exact.n[p] / exact.n[a] * exact.slope(p, a, t), exact.slope(a, a, t)
    assert rise >= fall
    # The ratio is 1 or more up to the errors of its two derivatives and 3 roundings.
    relative = exact.slack(p, a, t) / -exact.slope(p, a, t) + exact.slack(a, a, t) / rise
    if relative < Fraction(1, 100) and abs(found.dgamma_pretrain) > 2.0**-1000:
        assert Fraction(found.ratio) >= 1 - Fraction(11, 10) * relative - 30 * U
    elif found.dgamma_pretrain:
        assert found.ratio > 0


@given(cases())
def test_conservation_law_of_the_definition(case):
    rows, sizes, (_, a, t) = case
    exact = Exact(rows, sizes)
    assert sum(n * exact.slope(i, a, t) for i, n in enumerate(exact.n)) == 0


@given(cases(n_min=3, n_max=3))
def test_conservation_law(case):
    rows, sizes, (p, a, t) = case
    exact = Exact(rows, sizes)
    found = elasticity(Mixture(rows, sizes), p, a, t, base=math.e)
    k, l = exact.n[p] / exact.n[a], exact.n[t] / exact.n[a]
    moved = k * Fraction(found.dgamma_pretrain) + Fraction(found.dgamma_align)
    moved += l * Fraction(found.dgamma_perturb)
    assert abs(moved) <= k * exact.slack(p, a, t) + exact.slack(a, a, t) + l * exact.slack(t, a, t)


@given(cases(), st.randoms(use_true_random=False))
def test_order_of_leaves_and_of_datasets_does_not_matter(case, random):
    rows, sizes, roles = case
    leaves, datasets = [*range(len(rows[0]))], [*range(len(rows))]
    random.shuffle(leaves)
    random.shuffle(datasets)
    moved = Mixture([[rows[i][x] for x in leaves] for i in datasets], [sizes[i] for i in datasets])
    found = elasticity(moved, *(datasets.index(i) for i in roles), base=math.e)
    assert_exact(found, Exact(rows, sizes), roles)


@given(cases(), st.sampled_from([1.5, 2, 10, math.e]), st.integers(1, 40))
def test_names_units_and_tokens(case, base, depth):
    rows, sizes, roles = case
    names = [f"dataset {i}" for i in range(len(rows))]
    mixture = Mixture(rows, sizes, names=names, depth=depth)
    named = elasticity(mixture, *(names[i] for i in roles), base=base, per="token")
    # repr, because nan is no equal of itself.
    assert repr(named) == repr(elasticity(mixture, *roles, base=base, per="token"))
    assert_exact(named, Exact(rows, sizes), roles, unit=math.log(base) * depth)
    assert_exact(elasticity(mixture, *roles), Exact(rows, sizes), roles, unit=math.log(2))


def test_defaults_are_the_first_three_datasets():
    mixture = Mixture([[3, 1, 0], [0, 2, 1], [1, 0, 1], [1, 1, 1]], [9, 2, 1, 5])
    assert elasticity(mixture) == elasticity(mixture, 0, 1, 2, base=2, per="block")
    assert elasticity(mixture) != elasticity(mixture, 3, 1, 2)
    with pytest.raises(dataclasses.FrozenInstanceError):
        elasticity(mixture).k = 3


# Where terms cancel


@given(
    st.integers(3, 6),
    st.sampled_from([10, 1000, 10**12, Fraction(7, 3)]),
    st.integers(0, 5),
    st.one_of(st.none(), st.integers(6, 40)),
    st.sampled_from([-1, 1]),
)
def test_a_hair_beside_the_published_limit(m, k, shared, digits, side):
    # A leaf that all parts share alike has q = p there and drops out, so the limit is still 1 / (m - 1).
    parts = [[0] * i + [3] + [0] * (m - 1 - i) + [shared] for i in range(m)]
    l = Fraction(1, m - 1) + (side * Fraction(1, 10**digits) if digits else 0)
    mixture = published_form(parts, k, l)
    found = elasticity(mixture, base=math.e)
    assert found.signs == (side if digits else 0, 1)
    exact = Exact(mixture.rows.values.tolist(), [k, 1, l])
    assert exact.slope(0, 1, 2) * (shared + 3) / 3 == (Fraction(m - 1) * l - 1) / ((k + m * l) * (k + 1 + l))
    assert_exact(found, exact, (0, 1, 2))


@given(tables(n_max=5), st.one_of(st.none(), st.integers(6, 40)), st.booleans())
def test_a_perturbation_like_the_mixture_itself(table, digits, as_floats):
    # p_t = q: every derivative is zero. A hair beside, every sign is still right.
    rows, sizes = table
    if as_floats and all(max(map(abs, map(Fraction, row))) < 2**60 for row in rows):
        rows = [[float(x) / float(sum(map(float, row))) for x in row] for row in rows]
        mean = Exact(rows, sizes).q
        mean = [float(x) for x in mean]
        assume(abs(sum(map(Fraction, mean)) - 1) < Fraction(1, 10**9))
    else:
        rows = [[Fraction(x) / sum(map(Fraction, row)) for x in row] for row in rows]
        mean = Exact(rows, sizes).q
    if digits:
        sizes = [Fraction(sizes[0]) * (1 + Fraction(1, 10**digits)), *sizes[1:]]
    rows, sizes = [*rows, mean], [*sizes, Fraction(3, 7)]
    roles = (0, 1, len(rows) - 1)
    found = elasticity(Mixture(rows, sizes), *roles, base=math.e)
    assert_exact(found, Exact(rows, sizes), roles)
    if not digits and not as_floats:
        assert found.signs == (0, 0)
        assert found.holds is False
        assert math.isnan(found.ratio)


def balanced(leaves=600, hair=0):
    """Seven datasets with q = b: b + f, b - f, b - 2 g, b + 2 g, b + g, b - g, b.

    f is odd and b and g are even under a swap of the leaves' halves, so sum f g / b = 0 and S = 1 exactly, in
    terms of which no two are alike. With a hair, the first b - f outweighs b + f by it.
    """
    rng = np.random.default_rng(11)
    b = np.tile(rng.integers(2**39, 2**40, leaves), 2)
    f = np.multiply.outer([1, -1], rng.integers(1, 2**30, leaves)).ravel()
    g = rng.integers(-(2**28), 2**28, leaves)
    g[-1] -= g.sum()
    g = np.tile(g, 2)
    rows = np.array([b + f, b - f, b - 2 * g, b + 2 * g, b + g, b - g, b])
    assert rows.min() > 0
    return rows, [5, 5 * (1 + Fraction(hair)), 1, 1, *[Fraction(1, 3)] * 3]


ODD, LESS, MORE, HALF_MORE, MEAN = 0, 2, 3, 4, 6


def proof_needs(mixture, i, t):
    """What 1 - S_it must exceed to have a sign by the docstring's bound, and 1 - S_it, in rationals."""
    n, eta = mixture.n_datasets, Fraction(mixture.rows.relative_error)
    exact = Exact(mixture.rows.values.tolist(), mixture.exact_sizes)
    c = (2 * n - 1) * (n + 3) * U + Fraction(101, 100) * eta
    rho = 2 * eta + 2 * (n + 8) * U
    w = [size / exact.total for size in exact.n]

    def of(j, x):
        """|d_j| and h_j on a leaf."""
        h = sum(w[s] * (exact.p[s][x] + exact.p[j][x]) for s in range(n) if s != j)
        return abs(exact.p[j][x] - exact.q[x]), h

    total = Fraction()
    for x, q in enumerate(exact.q):
        (d_i, h_i), (d_t, h_t) = of(i, x), of(t, x)
        total += (
            (rho + (module.BLOCK + 2) * U) * d_i * d_t + c * (h_i * d_t + d_i * h_t + c * h_i * h_t)
        ) / q
    return Fraction(101, 100) * total, 1 - exact.overlap(i, t)


@pytest.mark.parametrize("side", [-1, 1])
@pytest.mark.parametrize(
    ("parts", "blurred"),
    [
        # Unlike, so that the sum over leaves makes most of the bound; alike, so that differences make it; and
        # alike to 13 digits, so that errors make some of both factors of a term, also where it is evaluated.
        ([[8, 5, 4, 7], [6, 2, 4, 12], [2, 12, 6, 4]], 1e-6),
        ([[1000, 1001, 1002], [1000, 1002, 1001], [1003, 1000, 1000]], 1e-6),
        ([[LARGE, LARGE + 490], [LARGE + 190, LARGE + 300], [LARGE + 440, LARGE + 50]], 0.01),
    ],
)
def test_a_sign_is_proved_just_where_the_bound_allows(monkeypatch, parts, blurred, side):
    # Few leaves to a sum, so that its error does not drown the others'.
    monkeypatch.setattr(module, "BLOCK", 8)

    def margin(l):
        """1 - S_pt, which rises with l, over its bound."""
        bound, excess = proof_needs(published_form(parts, 20, l), 0, 2)
        return excess / bound

    # Where it is as large as its bound.
    low, high = Fraction(1, 100), Fraction(100)
    assert margin(low) < side < margin(high)
    for _ in range(100):
        middle = Fraction(int((low + high) / 2 * 10**40), 10**40)
        low, high = (middle, high) if margin(middle) < side else (low, middle)
    slope = (margin(low * (1 + Fraction(1, 10**20))) - side) / low * 10**20

    seen = []
    for share in np.linspace(-0.02, 0.02, 101).tolist():
        mixture = published_form(parts, 20, low + Fraction(share) / slope)
        sums = module._float_sums(mixture, 1, 2)
        # The sum as computed, for its own error is of the bound's size.
        over = float(abs(Fraction(float(sums.excess[0]))) / proof_needs(mixture, 0, 2)[0] - 1)
        if abs(over) > blurred:
            assert sums.sign[0] == (side if over > 0 else 0)
            seen.append(over)
    # Both happen next to it.
    assert max(over for over in seen if over < 0) > -blurred - 0.01
    assert min(over for over in seen if over > 0) < blurred + 0.01


@pytest.mark.parametrize(
    ("block", "eta", "used"),
    # 2^43 u is just below 10^-3. c + rho is 3.01 eta, and a little.
    [(2**43, 0, True), (2**44, 0, False), (8, 3.3e-4, True), (8, 3.4e-4, False)],
)
def test_the_bound_is_used_only_where_it_is_small(monkeypatch, block, eta, used):
    monkeypatch.setattr(module, "BLOCK", block)
    monkeypatch.setattr(Rows, "relative_error", eta)
    sums = module._float_sums(Mixture(np.eye(3), [1, 1, 1]), 1, 2)
    # Disjoint: 1 - S_it is 1, far beyond the bound.
    assert sums.sign[:2].tolist() == ([1, 1] if used else [0, 0])


def test_each_method_decides_where_the_one_before_cannot():
    zero = elasticity(Mixture(*balanced()), ODD, LESS, MORE)
    assert methods(zero) == (EXACT, FLOAT)
    assert zero.signs == (0, 1)
    assert (zero.dgamma_pretrain, zero.ratio, zero.holds) == (0.0, math.inf, False)

    for hair in (Fraction(1, 10**14), Fraction(-1, 10**14), Fraction(1, 10**30), Fraction(1, 10**100)):
        rows, sizes = balanced(hair=hair)
        found = elasticity(Mixture(rows, sizes), ODD, LESS, MORE, base=math.e)
        assert re.fullmatch(r"integer bound, \d+ bits", methods(found)[0])
        # q = b - delta f, so to first order S_pt - 1 = delta sum f^2 / b: a heavier b - f makes S_pt > 1.
        assert found.signs == (-1 if hair > 0 else 1, 1)
        assert found.holds == (hair > 0)
        with mpmath.workdps(300):
            n = [mpmath.mpf(Fraction(s).numerator) / Fraction(s).denominator for s in sizes]
            total = sum(rows[0].tolist())
            p = [[mpmath.mpf(x) / total for x in row] for row in rows.tolist()]
            q = [mpmath.fdot(n, column) / mpmath.fsum(n) for column in zip(*p, strict=True)]
            overlap = mpmath.fsum(a * b / c for a, b, c in zip(p[ODD], p[MORE], q, strict=True))
            expected = n[LESS] / mpmath.fsum(n) * (1 - overlap)
            assert abs(found.dgamma_pretrain / expected - 1) <= 10 * 2.0**-53

    # Dominance alone costs the floating-point bound nothing: its scale shrinks with the derivative.
    for parts in (
        np.eye(3, dtype=int),
        [[5, 1, 1], [1, 5, 1], [1, 1, 5]],
        [[0.5, 0.5, 0], [0, 1, 0], [0, 0, 1]],
    ):
        assert methods(elasticity(published_form(parts, LARGE, Fraction(1, 4)))) == (FLOAT, FLOAT)
    few = elasticity(three_dataset_form(np.eye(3, dtype=int), 10, 1))
    assert methods(few) == (FLOAT, FLOAT)
    least = elasticity(published_form(np.eye(3, dtype=int), 10, Fraction(1, 2) + Fraction(1, 10**30)))
    assert methods(least) == (EXACT, FLOAT)


@pytest.mark.parametrize(
    "limits",
    [
        {"INTEGER_LEAVES": 0},
        {"EARLY_BITS": 0, "LAST_BITS": 0, "PRECISIONS": ()},
        {"EARLY_BITS": 0, "LAST_BITS": 0},
        {"EARLY_BITS": 0, "LAST_BITS": 0, "PRECISIONS": (1, 64)},
    ],
)
def test_undecided_is_said_so(monkeypatch, limits):
    for name, value in limits.items():
        monkeypatch.setattr(
            integers if hasattr(integers, name) and not hasattr(module, name) else module, name, value
        )
    mixture = Mixture(*balanced())
    for roles, signs, holds in [
        ((ODD, LESS, MORE), (None, 1), None),
        ((ODD, HALF_MORE, MORE), (None, -1), False),
        ((HALF_MORE, ODD, MORE), (-1, None), None),
        ((LESS, ODD, MORE), (1, None), False),
        ((ODD, 1, MORE), (None, None), None),
    ]:
        found = elasticity(mixture, *roles)
        assert (found.signs, found.holds, found.certified) == (signs, holds, False)
        left = UNDECIDED if "INTEGER_LEAVES" not in limits else "undecided: too many leaves"
        assert methods(found) == tuple(FLOAT if s else left for s in signs)
    # The value that stands in is the rounded sum, here of an exact zero.
    assert abs(elasticity(mixture, ODD, LESS, MORE).dgamma_pretrain) < 1e-12


def test_a_proved_zero_settles_what_another_sign_leaves_open(monkeypatch):
    # With c_a proportional to Q all quotients have one denominator: a few bits are enough.
    monkeypatch.setattr(integers, "EARLY_BITS", 1000)
    monkeypatch.setattr(integers, "LAST_BITS", 1000)
    mixture = Mixture(*balanced())
    for roles, signs in [((ODD, MEAN, MORE), (None, 0)), ((MEAN, ODD, MORE), (0, None))]:
        found = elasticity(mixture, *roles)
        assert (found.signs, found.holds, found.certified) == (signs, False, False)
        assert methods(found) == tuple(UNDECIDED if s is None else EXACT for s in signs)


@pytest.mark.parametrize("off", [2.0**-31, -(2.0**-31)])
def test_rows_that_miss_one_prove_nothing_about_their_exact_reading(off):
    # Read exactly, p_t = q and every derivative is zero. As given, D_3 pulls q, and p_t - q is of order off.
    rows = np.array([[8, 4, 4, 0], [4, 4, 4, 4], [2, 8, 2, 4], [0, 0, 0, 0]]) / 16
    rows[3] = (2 * rows[0] + rows[1] + rows[2]) / 4
    rows[2] *= 1 + off
    mixture = Mixture(rows, [2, 1, 1, 3])
    assert np.abs(mixture.response()[:2, 3]).min() > 1e-12
    found = elasticity(mixture, 0, 1, 3)
    assert (found.signs, methods(found)) == ((0, 0), (EXACT, EXACT))
    assert (found.dgamma_pretrain, found.dgamma_align) == (0, 0)


def test_decided_where_the_limits_just_allow(monkeypatch):
    # S_pt = 23 / 23, and 23 has 5 bits: with 5 the exact sum may run, with 4 not.
    mixture = published_form(np.eye(3, dtype=int), 10, Fraction(1, 2))
    monkeypatch.setattr(integers, "EARLY_BITS", -1)
    monkeypatch.setattr(integers, "LAST_BITS", 5)
    monkeypatch.setattr(module, "INTEGER_LEAVES", 3)
    assert elasticity(mixture).signs == (0, 1)
    monkeypatch.setattr(integers, "LAST_BITS", 4)
    found = elasticity(mixture)
    assert (found.signs, methods(found)) == ((None, 1), (UNDECIDED, FLOAT))
    monkeypatch.setattr(integers, "LAST_BITS", 5)
    monkeypatch.setattr(module, "INTEGER_LEAVES", 2)
    found = elasticity(mixture)
    assert (found.signs, methods(found)) == ((None, 1), ("undecided: too many leaves", FLOAT))


# The published form


fractions_of_parts = st.integers(3, 6).flatmap(
    lambda m: st.integers(1, 5).flatmap(
        lambda width: st.lists(
            st.lists(st.integers(0, 50), min_size=width, max_size=width).filter(any), min_size=m, max_size=m
        )
    )
)
k_values = st.one_of(st.integers(10, 10**12), st.floats(10, 1e12), st.fractions(10, 10**6))
l_values = st.one_of(
    st.floats(1e-3, 0.6), st.fractions(Fraction(1, 1000), Fraction(3, 5), max_denominator=1000)
)


@given(fractions_of_parts, k_values, l_values, st.sampled_from([int, Fraction, float, "trees"]))
def test_pretraining_data_is_the_mean_of_the_parts(parts, k, l, kind):
    m, width = len(parts), len(parts[0])
    depth = None
    if kind == "trees":
        given_parts = [
            TokenTree.from_sequences([[x] for x in range(width)], part, alphabet_size=width) for part in parts
        ]
        weights = leaf_distributions(given_parts, weights=True)
        assert weights.tolist() == parts
        depth = 2
    elif kind is float:
        given_parts = [[x / sum(part) for x in part] for part in parts]
    elif kind is Fraction:
        given_parts = [[Fraction(x, sum(part)) for x in part] for part in parts]
    else:
        given_parts = parts
    mixture = published_form(given_parts, k, l)
    assert mixture.exact_sizes == (Fraction(k), 1, Fraction(l))
    assert mixture.names == ("pretrain", "align", "perturb")
    assert mixture.depth == depth
    p = Exact(parts, [1] * m).p
    mean = [sum(column) / m for column in zip(*p, strict=True)]
    if kind is float:
        # Parts are given with one rounding; a mean has m - 1 sums and a quotient.
        np.testing.assert_allclose(
            mixture.distributions, [[*map(float, row)] for row in (mean, *p[1:3])], rtol=(m + 2) * 2.0**-53
        )
    else:
        assert Exact(mixture.rows.values.tolist(), [1, 1, 1]).p == [mean, p[1], p[2]]


def test_published_form_passes_names_and_depth_on():
    mixture = published_form(np.eye(4), 3, 1, names=["x", "y", "z"], depth=7)
    assert (mixture.names, mixture.depth) == (("x", "y", "z"), 7)
    trees = [TokenTree.from_sequences([s, s + "00"]) for s in ("00", "01", "11")]
    assert published_form(trees, 3, 1).depth == 5
    pruned = published_form(trees, 3, 1, depth=1)
    assert (pruned.depth, pruned.rows.values.tolist()) == (1, [[4, 2], [2, 0], [0, 2]])
    assert published_form(tuple(trees), 3, 1).rows.values.tolist() == (
        published_form(trees, 3, 1).rows.values.tolist()
    )


disjoint_parts = mixtures(min_datasets=3, max_datasets=6, max_leaves=12, overlap="disjoint").map(
    lambda mixture: mixture.rows.values.tolist()
)


def closed(m, k, l):
    k, l = Fraction(k), Fraction(l)
    margin = 1 - (m - 1) * l
    return (
        -margin / ((k + m * l) * (k + 1 + l)),
        1 / (k + 1 + l),
        (1 + m * l / k) / margin if margin else None,
    )


@given(disjoint_parts, k_values, l_values)
def test_closed_form_of_disjoint_parts(parts, k, l):
    m = len(parts)
    dp, da, ratio = closed(m, k, l)
    mixture = published_form(parts, k, l)
    exact = Exact(mixture.rows.values.tolist(), mixture.exact_sizes)
    assert (exact.slope(0, 1, 2), exact.slope(1, 1, 2)) == (dp, da)
    decided = elasticity(mixture, base=math.e)
    assert_exact(decided, exact, (0, 1, 2))
    assert decided.holds == (l < Fraction(1, m - 1))
    if ratio is not None:
        assert exact.slope(1, 1, 2) / -exact.slope(0, 1, 2) / exact.n[0] == ratio

    k, l = float(k), float(l)
    dp, da, ratio = closed(m, k, l)
    found = published_derivatives(m, k, l, base=math.e)
    assert abs(Fraction(float(found.dgamma_align)) - da) <= 5 * U * da
    # The margin is a difference of 1 and the rounded (m - 1) l; the rest is products of sums.
    off = 2 * U * max(1, (m - 1) * Fraction(l))
    scale = 1 / ((Fraction(k) + m * Fraction(l)) * (Fraction(k) + 1 + Fraction(l)))
    assert abs(Fraction(float(found.dgamma_pretrain)) - dp) <= scale * off + 12 * U * abs(dp)
    margin = abs(1 - (m - 1) * Fraction(l))
    if margin > 100 * off:
        assert abs(Fraction(float(found.ratio)) / ratio - 1) <= Fraction(11, 10) * off / margin + 8 * U


@given(st.integers(3, 6), k_values)
def test_derivative_is_zero_at_the_limit(m, k):
    found = elasticity(published_form(np.eye(m, dtype=int), k, Fraction(1, m - 1)))
    assert (found.signs, found.holds, found.ratio) == ((0, 1), False, math.inf)
    assert math.copysign(1, found.dgamma_pretrain) == 1
    closed_form = published_derivatives(m, float(k), 1 / (m - 1))
    # The float 1 / (m - 1) is the limit only for powers of 2, but the margin rounds to zero for all of these.
    assert closed_form.dgamma_pretrain == 0
    assert not np.signbit(closed_form.dgamma_pretrain)
    assert closed_form.ratio == math.inf


def test_closed_form_near_its_zero_for_three_parts():
    for l in (math.nextafter(0.5, 0), math.nextafter(0.5, 1)):
        found, (dp, _, ratio) = published_derivatives(3, 1000.0, l, base=math.e), closed(3, 1000, l)
        assert abs(Fraction(float(found.dgamma_pretrain)) / dp - 1) <= 12 * U
        assert abs(Fraction(float(found.ratio)) / ratio - 1) <= 8 * U


def test_closed_forms_broadcast_and_take_a_base():
    k, l = np.array([[10.0], [1000.0]]), np.array([0.1, 0.5, 0.7])
    grid = published_derivatives(3, k, l)
    change = published_change(3, k, l)
    for array in (grid.dgamma_pretrain, grid.dgamma_align, grid.ratio, *change):
        assert array.shape == (2, 3)
    table = grid.to_frame()
    assert table.index.names == ["k", "l"]
    for name in ("dgamma_pretrain", "dgamma_align", "ratio"):
        np.testing.assert_array_equal(table[name].unstack(), getattr(grid, name))
    for i in range(2):
        for j in range(3):
            one = published_derivatives(3, k[i, 0], l[j], base=math.e)
            got = [grid.dgamma_pretrain[i, j], grid.dgamma_align[i, j]]
            # One rounding each for the logarithm and the quotient.
            wanted = [one.dgamma_pretrain, one.dgamma_align]
            np.testing.assert_allclose(np.multiply(got, math.log(2)), wanted, rtol=4 * 2.0**-53)
            assert grid.ratio[i, j] == one.ratio
            moved = published_change(3, k[i, 0], l[j], base=4)
            np.testing.assert_allclose(np.multiply(moved, 2), [c[i, j] for c in change], rtol=4 * 2.0**-53)
    # The rate of D_a does not depend on l beyond the total: its shape is still the grid's.
    assert published_derivatives(3, 10, [0.1, 0.2]).dgamma_align.shape == (2,)
    assert published_derivatives(3, [10, 20], 0.1).dgamma_align.shape == (2,)
    assert isinstance(published_derivatives(3, 10, 1).ratio, np.float64)


@given(st.integers(3, 6), st.floats(10, 1e9), st.floats(1e-3, 0.6))
def test_closed_change_is_the_integral_of_the_closed_form(m, k, l):
    found = published_change(m, k, l, base=math.e)
    with mpmath.workdps(25):

        def slope(name):
            return lambda x: mpmath.mpf(
                float(getattr(published_derivatives(m, k, float(x), base=math.e), name))
            )

        rose, fell = (mpmath.quad(slope(name), [0, l]) for name in ("dgamma_align", "dgamma_pretrain"))
    # The change of D_p is a difference of two logarithms near l / k, each off by a few roundings; the
    # integrand by at most 14, of numbers 1 / k times as large.
    assert abs(found[0] - fell) <= 30 * 2.0**-53 * l / k
    assert abs(found[1] - rose) <= 30 * 2.0**-53 * rose


@given(st.integers(3, 6), st.floats(1e-3, 1e12), st.floats(1e-6, 1e6))
def test_closed_change_is_the_logarithms(m, k, l):
    found = published_change(m, k, l, base=math.e)
    with mpmath.workdps(60):
        own, part = mpmath.mpf(l) / (mpmath.mpf(k) + 1), m * mpmath.mpf(l) / k
        common = mpmath.log1p(own)
        expected = common - mpmath.log1p(part) / m
        # Small changes are summed from numbers of the second order, which is what they are of themselves.
        size = own**2 + part**2 / m + own / k if part < 1 else common + mpmath.log1p(part) / m
    assert abs(found[0] - expected) <= 30 * 2.0**-53 * size
    assert abs(found[1] - common) <= 4 * 2.0**-53 * common


# Three separate datasets


@given(disjoint_parts, k_values, l_values)
def test_disjoint_datasets_rise_alike(rows, k, l):
    mixture = three_dataset_form(rows[:3], k, l)
    exact = Exact(mixture.rows.values.tolist(), mixture.exact_sizes)
    rise = 1 / (Fraction(k) + 1 + Fraction(l))
    assert exact.slope(0, 1, 2) == exact.slope(1, 1, 2) == rise
    found = elasticity(mixture, base=math.e)
    assert_exact(found, exact, (0, 1, 2))
    assert (found.signs, found.holds) == ((1, 1), False)
    assert found.overlap_pretrain == found.overlap_align == 0


@given(disjoint_parts, k_values, l_values)
def test_a_perturbation_like_the_pretraining_data(rows, k, l):
    mixture = three_dataset_form([rows[0], rows[1], rows[0]], k, l, names=["x", "y", "z"], depth=3)
    assert (mixture.names, mixture.depth) == (("x", "y", "z"), 3)
    exact = Exact(mixture.rows.values.tolist(), mixture.exact_sizes)
    k, l = Fraction(k), Fraction(l)
    assert exact.slope(0, 1, 2) == -1 / ((k + l) * (k + 1 + l))
    assert exact.slope(1, 1, 2) == 1 / (k + 1 + l)
    found = elasticity(mixture, base=math.e)
    assert_exact(found, exact, (0, 1, 2))
    assert found.holds is True
    relative = exact.slack(0, 1, 2) / abs(exact.slope(0, 1, 2)) + exact.slack(1, 1, 2) * (k + 1 + l)
    assert abs(Fraction(found.ratio) * k / (k + l) - 1) <= Fraction(11, 10) * relative + 8 * U


@pytest.mark.parametrize("alpha", [2.5, 4.0])
def test_independent_pareto_masses_reverse_both_signs(alpha):
    rng, k, leaves = np.random.default_rng(5), 10**6, 200_000
    p = 1 + rng.pareto(alpha, (3, leaves))
    p /= p.sum(axis=1, keepdims=True)
    found = elasticity(three_dataset_form(p, k, 1), base=math.e)
    assert found.signs == (1, -1)
    assert (found.holds, found.certified) == (False, True)
    # E[Y2 Y3 / Y1] = E[1 / Y1] = alpha^2 / (alpha^2 - 1): five standard errors of its mean over the leaves,
    # and a relative 2 / k for the mixture not being p_1.
    ratios = p[1] * p[2] / p[0] * leaves
    slack = 5 * ratios.std() / math.sqrt(leaves) + 10 / k
    assert abs(-found.dgamma_align * (k + 2) - 1 / (alpha**2 - 1)) <= slack


# The curve


@given(cases(m_max=4), st.lists(st.floats(1e-6, 1e6), min_size=1, max_size=3), st.sampled_from([2, math.e]))
def test_curve_is_the_decision_at_each_point(case, points, base):
    rows, sizes, (p, a, t) = case
    mixture = Mixture(rows, sizes, depth=4)
    curve = response_curve(mixture, points, pretrain=p, align=a, perturb=t, base=base, per="token")
    assert mixture.exact_sizes == tuple(map(Fraction, sizes))
    assert curve.l.tolist() == points
    assert curve.k == float(Fraction(sizes[p]) / Fraction(sizes[a]))
    assert curve.rates.shape == (len(points), 3)
    for point, rates, found in zip(points, curve.rates, curve.elasticities, strict=True):
        grown = [*sizes]
        grown[t] = Fraction(point) * Fraction(sizes[a])
        there = Mixture(rows, grown, depth=4)
        assert repr(found) == repr(elasticity(there, p, a, t, base=base, per="token"))
        np.testing.assert_array_equal(rates, there.rates(base, per="token")[[p, a, t]])


@given(cases(m_max=4))
def test_curve_starts_where_there_is_no_perturbation(case):
    rows, sizes, (p, a, t) = case
    start = response_curve(Mixture(rows, sizes), 1, pretrain=p, align=a, perturb=t, base=math.e).start
    others = [i for i in range(len(rows)) if i != t]
    without = Mixture([rows[i] for i in others], [sizes[i] for i in others])
    # The same sums, by matrix products of other shapes: M + 2 roundings each.
    expected = without.rates(math.e)[[others.index(p), others.index(a)]]
    np.testing.assert_allclose(start[:2], expected, rtol=2 * (len(rows[0]) + 2) * 2.0**-53, atol=0)
    q = Exact([rows[i] for i in others], [sizes[i] for i in others]).q
    assert (start[2] == math.inf) == any(x and not y for x, y in zip(rows[t], q, strict=True))


def test_curve_is_in_bits_a_block_unless_asked_otherwise():
    mixture = Mixture([[5, 1, 1], [1, 4, 2], [1, 1, 1]], [100, 1, 1], depth=4)
    curve = response_curve(mixture, [0.5])
    np.testing.assert_array_equal(curve.rates, response_curve(mixture, [0.5], base=2, per="block").rates)
    tokens = response_curve(mixture, [0.5], per="token")
    np.testing.assert_array_equal(tokens.rates, curve.rates / 4)
    np.testing.assert_array_equal(tokens.start, curve.start / 4)


def test_curve_leaves_its_start_continuously():
    mixture = Mixture([[5, 1, 1], [1, 4, 2], [1, 1, 1]], [10**6, 1, 1])
    curve = response_curve(mixture, [1e-9, 1e-6], base=math.e)
    slopes = [curve.elasticities[0].dgamma_pretrain, curve.elasticities[0].dgamma_align]
    slopes.append(curve.elasticities[0].dgamma_perturb)
    for point, rates in zip(curve.l, curve.rates, strict=True):
        # To second order in l / T, and the rates' own rounding.
        np.testing.assert_allclose(
            rates, curve.start + point * np.array(slopes), rtol=20 * 2.0**-53, atol=2 * (point / 10**6) ** 2
        )


def test_curve_start_keeps_its_digits():
    # D_p codes itself with log(1 + 1 / k); and q(2) is below the smallest float64 but not zero.
    disjoint = Mixture([[1, 0, 0], [0, 1, 0], [0, 0, 1]], [LARGE, 1, 1])
    start = response_curve(disjoint, 1, base=math.e).start
    assert start[0] == pytest.approx(math.log1p(1 / LARGE), rel=4 * 2.0**-53, abs=0)
    assert start[1] == pytest.approx(math.log1p(LARGE), rel=4 * 2.0**-53)
    assert start[2] == math.inf
    faint = Mixture([[1.0, 0.0], [1.0, 5e-324], [0.5, 0.5]], [LARGE, 1, 1])
    start = response_curve(faint, 1, base=math.e).start
    assert start[2] == pytest.approx((1074 * math.log(2) + math.log1p(LARGE)) / 2, rel=8 * 2.0**-53)
    assert np.isfinite(start).all()


def test_curve_of_one_point_and_of_none():
    mixture = three_dataset_form(np.eye(3, dtype=int), 8, 1)
    one = response_curve(mixture, 1, pretrain="D1", align="D2", perturb="D3", base=math.e)
    assert one.elasticities == (elasticity(mixture, base=math.e),)
    none = response_curve(mixture, [])
    assert (none.l.shape, none.rates.shape, none.elasticities) == ((0,), (0, 3), ())
    assert one.k == 8
    np.testing.assert_allclose(one.start, [math.log(9 / 8), math.log(9), math.inf], rtol=4 * 2.0**-53)


# Real Huffman codes


@given(
    st.integers(2, 5).flatmap(
        lambda m: st.lists(
            st.lists(st.integers(0, 40), min_size=m, max_size=m).filter(any), min_size=2, max_size=4
        )
    ),
    st.data(),
)
def test_huffman_rates_move_against_one_another(rows, data):
    amounts = st.lists(st.integers(1, LARGE), min_size=len(rows), max_size=len(rows))
    common = math.lcm(*map(sum, rows))

    def rates(n):
        """Rates in bits with an optimal code on the exact integer weights of the joint data."""
        scales = [s * (common // sum(row)) for s, row in zip(n, rows, strict=True)]
        joint = [
            sum(s * x for s, x in zip(scales, column, strict=True)) for column in zip(*rows, strict=True)
        ]
        lengths = huffman_lengths(np.array(joint, object)).tolist()
        return [Fraction(sum(map(int.__mul__, row, lengths)), sum(row)) for row in rows]

    n, other = data.draw(amounts), data.draw(amounts)
    before, after = rates(n), rates(other)
    moves = [y - x for x, y in zip(before, after, strict=True)]
    assert sum(map(Fraction.__rmul__, moves, n)) >= 0 >= sum(map(Fraction.__rmul__, moves, other))

    t, delta = data.draw(st.integers(0, len(rows) - 1)), data.draw(st.integers(1, LARGE))
    grown = rates([s + delta * (i == t) for i, s in enumerate(n)])
    moves = [y - x for x, y in zip(before, grown, strict=True)]
    assert 0 <= sum(map(Fraction.__rmul__, moves, n)) <= -delta * moves[t]


# What is refused


EYE = np.eye(3, dtype=int)
MIXTURE = Mixture(EYE, [2, 1, 1])
TREE = TokenTree.from_sequences(["0"])


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: elasticity(MIXTURE, "D4"), ValueError, "pretrain = 'D4': must be one of 'D1', 'D2', 'D3'"),
        (lambda: elasticity(MIXTURE, align=3), ValueError, "align = 3: must be below the number of dat"),
        (lambda: elasticity(MIXTURE, perturb=-1), ValueError, "perturb = -1: must be an integer >= 0"),
        (lambda: elasticity(MIXTURE, 0.5), TypeError, "pretrain = 0.5: must be an integer >= 0"),
        (lambda: elasticity(MIXTURE, True), ValueError, "pretrain = True: must be an integer >= 0"),
        (lambda: elasticity(Mixture(EYE[:2], [1, 1])), ValueError, "mixture has 2 datasets: Theorem 4.2"),
        (lambda: elasticity(MIXTURE, 0, 0, 2), ValueError,
         "pretrain, align, perturb = 0, 0, 2: must be different datasets"),
        (lambda: elasticity(MIXTURE, "D1", 1, "D2"), ValueError,
         "pretrain, align, perturb = 'D1', 1, 'D2': must be different datasets"),
        (lambda: elasticity(MIXTURE, base=1), ValueError, "base = 1: the base of a logarithm"),
        (lambda: elasticity(MIXTURE, per="token"), ValueError, "per = 'token' needs the depth of the joint"),
        (lambda: elasticity(MIXTURE, per="leaf"), ValueError, "per = 'leaf': must be 'block' or 'token'"),
        (lambda: published_derivatives(2, 1, 1), ValueError, "parts = 2: must be an integer >= 3"),
        (lambda: published_derivatives(3.0, 1, 1), TypeError, "parts = 3.0: must be an integer >= 3"),
        (lambda: published_derivatives(3, [1, 0], 1), ValueError, "k[1] = 0.0: must be finite and > 0"),
        (lambda: published_derivatives(3, 1, math.nan), ValueError, "l = nan: must be finite and > 0"),
        (lambda: published_derivatives(3, math.inf, 1), ValueError, "k = inf: must be finite and > 0"),
        (lambda: published_derivatives(3, 1, "x"), TypeError, "l holds text: must be real numbers"),
        (lambda: published_derivatives(3, 1, 1, base=0.5), ValueError, "base = 0.5: the base of a logarithm"),
        (lambda: published_change(2, 1, 1), ValueError, "parts = 2: must be an integer >= 3"),
        (lambda: published_change(3, -1, 1), ValueError, "k = -1.0: must be finite and > 0"),
        (lambda: published_change(3, 1, [[1, -2]]), ValueError, "l[0, 1] = -2.0: must be finite and"),
        (lambda: published_change(3, 1, 1, base=math.inf), ValueError, "base = inf: the base of a lo"),
        (lambda: published_form(EYE[:2], 1, 1), ValueError,
         "parts has 2 rows: the published form needs at least 3"),
        (lambda: published_form([TREE, TREE], 1, 1), ValueError, "parts has 2 rows: the published form"),
        (lambda: published_form([TREE, [1], [1]], 1, 1), TypeError, "parts[1] is a list: must be a Tok"),
        (lambda: published_form([1, 2, 3], 1, 1), ValueError, "parts has shape (3,): must be (N, M), row"),
        (lambda: published_form([[1], [1, 2], [1]], 1, 1), ValueError, "parts has rows of different lengths"),
        (lambda: published_form([[1], [0], [1]], 1, 1), ValueError, "parts[1] sums to 0: every row needs"),
        (lambda: published_form([[0.5], [1.0], [1.0]], 1, 1), ValueError, "parts.sum(axis=-1)[0] = 0.5"),
        (lambda: published_form(EYE, "3", 1), TypeError, "k = '3': must be an int, a float or a Fraction"),
        (lambda: published_form(EYE, 1, math.nan), ValueError, "l = nan: must be finite"),
        (lambda: published_form(EYE, 0, 1), ValueError, "k = 0: must be > 0"),
        (lambda: published_form(EYE, 1, -0.5), ValueError, "l = -1/2: must be > 0"),
        (lambda: published_form(EYE, 1, 1, names=["a", "b"]), ValueError, "names = ['a', 'b']: must be 3 s"),
        (lambda: published_form(EYE, 1, 1, depth=0), ValueError, "depth = 0: must be an integer >= 1"),
        (lambda: three_dataset_form(EYE, True, 1), TypeError, "k = True: must be an int, a float or a Fract"),
        (lambda: three_dataset_form(EYE, 1, math.inf), ValueError, "l = inf: must be finite"),
        (lambda: three_dataset_form([[1], [-1], [1]], 1, 1), ValueError, "distributions[1, 0] = -1: must be"),
        (lambda: three_dataset_form(EYE[:2], 1, 1), ValueError, "distributions has 2 rows: this form"),
        (lambda: response_curve(MIXTURE, [0.5, 0]), ValueError, "l[1] = 0.0: must be finite and > 0"),
        (lambda: response_curve(MIXTURE, [[0.5], [1]]), ValueError, "l has shape (2, 1): must be a sequence"),
        (lambda: response_curve(MIXTURE, 1e300), ValueError, "must lie between 2**-200 and 2**200"),
        (lambda: response_curve(MIXTURE, 1, pretrain="x"), ValueError, "pretrain = 'x': must be one of 'D1'"),
        (lambda: response_curve(MIXTURE, 1, align=0), ValueError, "pretrain, align, perturb = 0, 0, 2: must"),
        (lambda: response_curve(MIXTURE, 1, base=1), ValueError, "base = 1: the base of a logarithm"),
        (lambda: response_curve(MIXTURE, 1, per="token"), ValueError, "per = 'token' needs the depth"),
    ],
)  # fmt: skip
def test_bad_input(unchecked, call, error, message):
    # Users run without the annotations being checked; the messages must be our own.
    with pytest.raises(error, match=re.escape(message)):
        call()


def test_a_verdict_is_one_row_and_plain_data():
    found = elasticity(published_form(np.eye(3, dtype=int), 9, Fraction(1, 2)))
    row = found.to_frame().iloc[0].to_dict()
    assert (row.pop("sign_pretrain"), row.pop("sign_align")) == found.signs == (0, 1)
    plain = found.to_dict()
    assert (plain.pop("signs"), plain.pop("ratio")) == ([0, 1], None)
    plain |= dict(zip(("pretrain", "align", "perturb"), plain.pop("names"), strict=True))
    for role, bounds in zip(("pretrain", "align"), plain.pop("bounds"), strict=True):
        assert [row.pop(f"lower_{role}"), row.pop(f"upper_{role}")] == bounds
    assert row == plain | {"ratio": math.inf}
    undecided = dataclasses.replace(found, signs=(None, 1), holds=None)
    assert undecided.to_frame()[["sign_pretrain", "holds"]].isna().all(axis=None)


def test_what_is_no_mixture_of_three_is_said_so(unchecked):
    with pytest.raises(TypeError, match="mixture is a list: must be a Mixture"):
        elasticity([[2, 1], [1, 3]])
    with pytest.raises(ValueError, match="mixture has 2 datasets: Theorem 4\\.2 needs at least 3"):
        elasticity(Mixture([[2, 1], [1, 3]], [1, 1]))


@given(cases())
@example(
    ([[1, 1, 1, 1, 1], [0, 1, 1, 1, 2], [1, 1, 3, 2, 1]], [972920244002, 1, Fraction(47, 177)], [0, 1, 2])
)
def test_derivatives_have_twelve_digits(case):
    rows, sizes, roles = case
    assume(Mixture(rows, sizes).rows.relative_error < 2.0**-50)
    found = elasticity(Mixture(rows, sizes), *roles, base=math.e)
    exact = Exact(rows, sizes)
    p, a, t = roles
    for value, i in ((found.dgamma_pretrain, p), (found.dgamma_align, a)):
        expected = exact.slope(i, a, t)
        # Subnormal derivatives have fewer digits.
        assert abs(Fraction(value) - expected) <= Fraction(10) ** -12 * abs(expected) + Fraction(2) ** -1070
