import copy
import itertools
import math
import pickle
from fractions import Fraction

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from scipy.optimize import minimize
from tests.exact import joint, mp, overlaps

from tokentree import (
    EOS,
    LeafKind,
    Mixture,
    TokenTree,
    elasticity,
    leaf_distributions,
    published_form,
    response_curve,
)
from tokentree.adapters import read_along, read_model
from tokentree.mixtures import unexpanded_bounds
from tokentree.mixtures.unexpanded import Completions
from tokentree.theorem import depth_curve
from tokentree.trees import REST, tree_of_levels

U = 2.0**-53


def universe(q, depth):
    """Paths of all leaves of the full tree."""
    paths, growing = [], [()]
    for _ in range(depth):
        paths += [(*path, EOS) for path in growing]
        growing = [(*path, token) for path in growing for token in range(q)]
    return paths + growing


def cut_down(rng, q, depth, masses, keep, whole, tokens=None):
    """Part of the tree with the given leaf masses; the masses that it knows; its pools and their leaves.

    A node is expanded whole, or not at all, or in part. Tokens from `tokens` on are never listed.
    """
    paths = universe(q, depth)
    known, pools = np.zeros_like(masses), []
    levels = [(np.zeros(1, np.min_scalar_type(-q)), np.zeros(1, np.int32), masses.sum(keepdims=True))]
    growing = {0: ()}
    while growing:
        level, grown = [], {}
        for parent, prefix in growing.items():
            kind = rng.choice(3, p=[whole, (1 - whole) / 3, 2 * (1 - whole) / 3])
            hidden, d = [], len(prefix)
            for token in range(EOS, q):
                below = [x for x, path in enumerate(paths) if path[: d + 1] == (*prefix, token)]
                mass = masses[below].sum()
                if mass == 0 or kind == 1 or (kind == 2 and rng.random() > keep) or token >= (tokens or q):
                    hidden += below
                    continue
                if token >= 0 and d + 1 < depth:
                    grown[len(level)] = (*prefix, token)
                else:
                    known[below] = masses[below]
                level.append((token, parent, mass))
            if masses[hidden].sum() > 0:
                pools.append((masses[hidden].sum(), hidden))
                level.append((REST, parent, masses[hidden].sum()))
        # Children in order; the nodes still to be grown move with them.
        order = sorted(range(len(level)), key=lambda x: (level[x][1], level[x][0]))
        growing = {order.index(x): prefix for x, prefix in grown.items()}
        token, parent, mass = zip(*(level[x] for x in order), strict=True)
        types = levels[0][0].dtype, np.int32, masses.dtype
        levels.append(tuple(np.array(c, t) for c, t in zip((token, parent, mass), types, strict=True)))
    return tree_of_levels(q, levels), known, pools


class Case:
    """Random datasets whose trees know part of their masses, and their completions."""

    def __init__(self, seed, n=None, tokens=None, q=None, total=2520):
        self.rng = rng = np.random.default_rng(seed)
        self.n = n or int(rng.integers(1, 4))
        self.q = q or int(rng.integers(1, 4))
        self.depth = int(rng.integers(1, 3 if self.q > 1 else 5))
        leaves = len(universe(self.q, self.depth))
        self.trees, self.known, self.pools, self.truth = [], [], [], []
        for _ in range(self.n):
            masses = rng.multinomial(total, rng.dirichlet(np.full(leaves, rng.choice([0.2, 1.0]))))
            tree, known, pools = cut_down(rng, self.q, self.depth, masses, *rng.random(2), tokens)
            for own, value in zip(
                (self.trees, self.known, self.pools, self.truth), (tree, known, pools, masses), strict=True
            ):
                own.append(value)
        self.sizes = [
            Fraction(int(rng.integers(1, 10)), 1) * 10 ** int(rng.integers(0, 4)) for _ in self.trees
        ]

    def bounds(self, **kwargs):
        return unexpanded_bounds(self.trees, self.sizes, depth=self.depth, **kwargs)

    def completion(self, even):
        """Pools spread evenly at random, or each put whole on one leaf."""
        rows = np.array(self.known)
        for row, pools in zip(rows, self.pools, strict=True):
            for mass, leaves in pools:
                shares = (
                    np.full(len(leaves), 1 / len(leaves))
                    if even
                    else self.rng.dirichlet(np.full(len(leaves), 0.05))
                )
                row[leaves] += self.rng.multinomial(mass, shares)
        return rows

    def worst(self, i, t, sign):
        """Pools moved one by one to the single leaf that makes S_it largest (smallest), until none moves."""
        w = np.array([float(size / sum(self.sizes)) for size in self.sizes])[:, None]
        rows = self.completion(even=False).astype(float)
        at = {}
        for row, (known, pools) in enumerate(zip(self.known, self.pools, strict=True)):
            rows[row] = known
            for k, (mass, leaves) in enumerate(pools):
                at[row, k] = leaves[int(self.rng.integers(len(leaves)))]
                rows[row, at[row, k]] += mass
        for _ in range(3):
            for (row, k), leaf in at.items():
                mass, leaves = self.pools[row][k]
                rows[row, leaf] -= mass
                gains = []
                for x in leaves:
                    rows[row, x] += mass
                    q = (w * rows).sum(axis=0)
                    gains.append(sign * (rows[i] * rows[t] / np.where(q > 0, q, 1)).sum())
                    rows[row, x] -= mass
                at[row, k] = leaves[int(np.argmax(gains))]
                rows[row, at[row, k]] += mass
        return np.rint(rows).astype(np.int64)


def exact_rates(p, q):
    with mpmath.workdps(50):
        logs = [mpmath.log(mp(x), 2) if x else 0 for x in q]
        return [-mpmath.fsum(mp(a) * b for a, b in zip(row, logs, strict=True)) for row in p]


def assert_within(bounds, rows, sizes):
    """The exact overlaps, response and rates of these rows lie in the intervals, with no tolerance at all."""
    overlap, (p, _, _, q) = overlaps(rows, sizes), joint(rows, sizes)
    total = sum(sizes)
    for i, t in itertools.product(range(len(rows)), repeat=2):
        assert Fraction(bounds.overlap_lower[i, t]) <= overlap[i][t] <= Fraction(bounds.overlap_upper[i, t])
        excess = 1 - overlap[i][t]
        with mpmath.workdps(50):
            response = (
                mpmath.mpf(excess.numerator) / excess.denominator / mpmath.log(2) / mpmath.mpf(float(total))
            )
            assert bounds.response_lower[i, t] <= response <= bounds.response_upper[i, t]
        assert bounds.sign(i, t) in (0, (excess > 0) - (excess < 0))
    for low, rate, high in zip(bounds.rates_lower, exact_rates(p, q), bounds.rates_upper, strict=True):
        assert low <= rate <= high


# Certain


@given(st.integers(0, 2**32))
@settings(max_examples=2 * settings.default.max_examples)
def test_truth_and_every_completion_lie_within(seed):
    case = Case(seed)
    bounds = case.bounds()
    assert_within(bounds, case.truth, case.sizes)
    assert_within(bounds, case.completion(even=True), case.sizes)
    for _ in range(3):
        assert_within(bounds, case.completion(even=False), case.sizes)


@given(st.integers(0, 2**32))
def test_completions_made_to_hurt_lie_within(seed):
    case = Case(seed)
    bounds = case.bounds()
    for i, t in itertools.combinations_with_replacement(range(case.n), 2):
        for sign in (1, -1):
            assert_within(bounds, case.worst(i, t, sign), case.sizes)


@given(st.integers(0, 2**32), st.integers(1, 15))
def test_signs_at_extreme_sizes(seed, digits):
    case = Case(seed, n=3, q=2)
    case.sizes = [Fraction(10**digits), Fraction(1), Fraction(1, 7)]
    assert_within(case.bounds(), case.truth, case.sizes)


@given(st.integers(0, 2**32))
def test_share_and_holds(seed):
    case = Case(seed, n=3)
    bounds = case.bounds()
    shares = [sum(mass for mass, _ in pools) / 2520 for pools in case.pools]
    # Two roundings a pool.
    np.testing.assert_allclose(bounds.unexpanded, shares, rtol=100 * U)
    overlap = overlaps(case.truth, case.sizes)
    assert bounds.holds() in (None, overlap[0][2] > 1 > overlap[1][2])


# Exact where everything is known


@given(st.integers(0, 2**32))
def test_whole_trees_give_the_mixture_to_rounding(seed):
    case = Case(seed)
    trees = [
        TokenTree.from_sequences(
            [p[:-1] if p[-1] == EOS else p for p in universe(case.q, case.depth)],
            row,
            alphabet_size=case.q,
            depth=case.depth,
        )
        for row in case.truth
    ]
    bounds = unexpanded_bounds(trees, case.sizes, depth=case.depth)
    assert_within(bounds, case.truth, case.sizes)
    mixture = Mixture.from_trees(trees, case.sizes, depth=case.depth)
    # The documented width on either side, and the roundings of Mixture's own values.
    allowed = (case.n + 64) * 2.0**-51
    for low, value, high, size in [
        (bounds.overlap_lower, mixture.overlap(), bounds.overlap_upper, mixture.overlap()),
        (bounds.rates_lower, mixture.rates(), bounds.rates_upper, mixture.rates() + 4 / math.log(2)),
    ]:
        assert (np.abs(low - value) <= 2 * allowed * size + 2.0**-249).all()
        assert (np.abs(high - value) <= 2 * allowed * size + 2.0**-249).all()
    assert not bounds.unexpanded.any()


# Tight


def unread(q, mass=1.0):
    """A tree of which nothing was read."""
    return tree_of_levels(
        q,
        [
            (np.zeros(1, np.min_scalar_type(-q)), np.zeros(1, np.int32), np.array([mass])),
            (np.array([REST], np.min_scalar_type(-q)), np.zeros(1, np.int32), np.array([mass])),
        ],
    )


def test_nothing_known():
    bounds = unexpanded_bounds([unread(3)] * 2, [3, 1], depth=2)
    # Apart, alike, and nothing between is excluded.
    np.testing.assert_allclose(bounds.overlap_lower, [[1, 0], [0, 1]], atol=1e-13)
    np.testing.assert_allclose(bounds.overlap_upper, [[4 / 3, 1], [1, 4]], rtol=1e-12)
    # 13 leaves: end-of-sequence, and end-of-sequence and three symbols below each of three.
    np.testing.assert_allclose(bounds.rates_upper, np.log2([13 / 0.75, 13 / 0.25]), rtol=1e-12)
    np.testing.assert_allclose(bounds.rates_lower, 0, atol=1e-12)
    assert (bounds.unexpanded == 1).all()
    assert bounds.sign(0, 1) == 0
    table = bounds.to_frame()
    assert table.index.names == ["i", "t"]
    assert table.index.tolist() == [("D1", "D1"), ("D1", "D2"), ("D2", "D1"), ("D2", "D2")]
    np.testing.assert_array_equal(table["response_upper"].unstack(), bounds.response_upper)
    np.testing.assert_array_equal(table["rates_lower"].unstack().T, [bounds.rates_lower] * 2)
    three = unexpanded_bounds([unread(3)] * 3)
    np.testing.assert_allclose(three.overlap_lower, np.eye(3), atol=1e-13)
    np.testing.assert_allclose(three.overlap_upper, 1.5 + 1.5 * np.eye(3), rtol=1e-12)


def test_room_of_a_huge_tree():
    q, d = 150_000, 40
    bounds = unexpanded_bounds([unread(q)], depth=d)
    with mpmath.workdps(400):
        leaves = mpmath.log((mpmath.mpf(q) ** (d + 1) - 1) / (q - 1), 2)
    np.testing.assert_allclose(bounds.rates_upper, float(leaves), rtol=1e-13)
    assert math.isfinite(unexpanded_bounds([unread(2**31)], depth=300).rates_upper[0])


def part(q, known, mass):
    """A tree of depth 1 that lists some tokens, and has `mass` left."""
    tokens = sorted(known)
    return tree_of_levels(
        q,
        [
            (np.zeros(1, np.min_scalar_type(-q)), np.zeros(1, np.int32), np.array([1.0])),
            (
                np.array([REST] * (mass > 0) + tokens, np.min_scalar_type(-q)),
                np.zeros(len(tokens) + (mass > 0), np.int32),
                np.array([mass] * (mass > 0) + [known[token] for token in tokens]),
            ),
        ],
    )


def largest(value, known, budget):
    """Maximum of value(b) over b >= 0 that sum to `budget`, one for each known mass, by many searches."""
    rng = np.random.default_rng(0)
    found = []
    for _ in range(20):
        start = rng.dirichlet(np.full(len(known), 0.5))
        search = minimize(
            lambda b: -value(budget * b),
            start,
            method="SLSQP",
            bounds=[(0, 1)] * len(known),
            constraints={"type": "eq", "fun": lambda b: b.sum() - 1},
            options={"ftol": 1e-14},
        )
        found.append(-search.fun)
    return max(found)


@pytest.mark.parametrize("mass", [0.9, 0.3, 0.01])
def test_one_pool_is_bounded_exactly(mass):
    # Dataset 0 knows tokens 0 to 3, dataset 1 tokens 4 and 5 only, and lists tokens 6 and up to share none.
    a = np.array([0.4, 0.3, 0.2, 0.1])
    q, sizes, w = 1000, [2, 1, 1], np.array([0.5, 0.25, 0.25])
    third = np.array([0.1, 0.2, 0.0, 0.7])
    trees = [
        part(q, dict(enumerate(a)), 0.0),
        part(q, {4: 1 - mass}, mass),
        part(q, {k: m for k, m in enumerate(third) if m}, 0.0),
    ]
    bounds = unexpanded_bounds(trees, sizes)
    base = w[0] * a + w[2] * third
    upper = largest(lambda b: (a * b / (base + w[1] * b)).sum(), a, mass)
    assert bounds.overlap_upper[0, 1] == pytest.approx(upper, rel=1e-6)
    lower = -largest(lambda b: -(a * third / (base + w[1] * b)).sum(), a, mass)
    assert bounds.overlap_lower[0, 2] == pytest.approx(lower, rel=1e-6)
    slowest = -largest(lambda b: (a * np.log2(base + w[1] * b)).sum(), a, mass)
    assert bounds.rates_lower[0] == pytest.approx(slowest, rel=1e-6)
    assert bounds.overlap_upper[0, 2] == pytest.approx((a * third / base).sum(), rel=1e-12)


def test_two_pools_are_bounded_exactly():
    # Nothing is shared but what is unknown: the harmonic mean, at any shares.
    q, sizes = 1000, [3, 1]
    trees = [part(q, {0: 0.8}, 0.2), part(q, {1: 0.3}, 0.7)]
    bounds = unexpanded_bounds(trees, sizes)
    w, r, s = 0.75, 0.2, 0.7

    def overlap(x, y):
        """y of dataset 1's pool on token 0, x of dataset 0's on token 1, the rest on one token for both."""
        return (
            0.8 * y / (w * 0.8 + (1 - w) * y)
            + 0.3 * x / ((1 - w) * 0.3 + w * x)
            + (r - x) * (s - y) / (w * (r - x) + (1 - w) * (s - y))
        )

    grid = max(overlap(x, y) for x in np.linspace(0, r - 1e-9, 400) for y in np.linspace(0, s - 1e-9, 400))
    assert grid <= bounds.overlap_upper[0, 1] <= 1.01 * grid


def search(case, i, t):
    """S_it of what is known alone, and the largest S_it that local searches over completions find."""
    w = np.array([float(size / sum(case.sizes)) for size in case.sizes])
    known = np.array(case.known) / 2520
    blocks = [(row, mass / 2520, at) for row, pools in enumerate(case.pools) for mass, at in pools]
    ends = np.cumsum([len(at) for *_, at in blocks])[:-1]

    def overlap(p):
        q = w @ p
        return (p[i] * p[t] / np.where(q > 0, q, 1)).sum()

    def completed(roots):
        p = known.copy()
        for (row, mass, at), part in zip(blocks, np.split(roots**2 + 1e-12, ends), strict=True):
            p[row, at] += mass * part / part.sum()
        return -overlap(p)

    n = sum(len(at) for *_, at in blocks)
    starts = [case.rng.dirichlet(np.full(n, 0.1)) ** 0.5 for _ in range(12)] if n else []
    found = [-minimize(completed, start, method="L-BFGS-B").fun for start in starts]
    return overlap(known), max(found, default=0.0)


@pytest.mark.slow
def test_bounds_are_close_to_the_worst_completion():
    """docs/models.md has the figures."""
    reached = []
    for seed in range(60):
        case = Case(seed, q=3, n=2 + seed % 2)
        i, t = case.rng.permutation(case.n)[:2]
        upper = case.bounds().overlap_upper[i, t]
        sure, found = search(case, i, t)
        if upper - sure > 1e-6:
            reached.append((found - sure) / (upper - sure))
    assert max(reached) <= 1 + 1e-9
    assert np.median(reached) > 0.95


@given(st.integers(0, 2**32))
def test_overlaps_close_in_linearly(seed):
    """No pool moves an overlap by more than its mass times the steepest slope there is."""
    case = Case(seed)
    bounds, w = case.bounds(), [float(n / sum(case.sizes)) for n in case.sizes]
    r = [sum(mass for mass, _ in pools) / 2520 for pools in case.pools]
    for i, t in itertools.product(range(case.n), repeat=2):
        own = r[i] / w[i] if i == t else r[t] / w[i] + r[i] / w[t]
        # w_i p_i w_t p_t <= q^2 / 4, or q^2 where they are one.
        third = sum(w[c] * r[c] for c in range(case.n) if c not in (i, t)) / (
            w[i] * w[t] * (1 if i == t else 4)
        )
        rounding = 1e-11 * (1 / w[i] + 1 / w[t])
        assert bounds.overlap_upper[i, t] - bounds.overlap_lower[i, t] <= own + third + rounding


# Verdicts


def disjoint(mass):
    """Datasets of the published form with disjoint parts, a share of each of which is unexpanded."""
    rows = [{0: 1 / 3, 1: 1 / 3, 2: 1 / 3}, {1: 1.0}, {2: 1.0}]
    return [part(10**5, {k: m * (1 - mass) for k, m in row.items()}, mass) for row in rows]


def verdict(mass, sizes=(1000, 1, 0.1)):
    return unexpanded_bounds(disjoint(mass), sizes)


def test_theorem_is_certain_until_too_much_is_unexpanded():
    assert verdict(0.0).holds() is True
    assert verdict(1e-5).holds() is True
    assert verdict(0.5).holds() is None
    assert verdict(0.0, sizes=(1000, 1, 0.6)).holds() is False
    assert verdict(1e-5, sizes=(1000, 1, 0.6)).holds() is False


# Beside Mixture.from_trees


@given(st.integers(0, 2**32))
def test_mixture_from_trees_is_a_completion_where_a_token_is_listed_by_nobody(seed):
    case = Case(seed, q=3, tokens=2)
    bounds, mixture = case.bounds(), Mixture.from_trees(case.trees, case.sizes, depth=case.depth)
    # Mixture's sums are right within (3 N + leaves + 20) u of their terms.
    slack = 100 * U
    for low, value, high in [
        (bounds.overlap_lower, mixture.overlap(), bounds.overlap_upper),
        (bounds.rates_lower, mixture.rates(), bounds.rates_upper),
    ]:
        assert (low <= value * (1 + slack)).all()
        assert (value * (1 - slack) <= high).all()


def test_mixture_from_trees_is_none_where_every_token_is_listed():
    # The second tree lists everything, so the first must overlap it somewhere; the mixture says nowhere.
    trees = [unread(1), TokenTree.from_sequences([[], [0]], [0.5, 0.5], alphabet_size=1, depth=1)]
    assert Mixture.from_trees(trees).overlap()[0, 1] == 0
    bounds = unexpanded_bounds(trees, depth=1)
    # All on one leaf: 1 / (1 + 1/2) of the second's half, twice.
    assert bounds.overlap_upper[0, 0] == pytest.approx(4 / 3, rel=1e-12)
    assert Mixture.from_trees(trees).overlap()[0, 0] > bounds.overlap_upper[0, 0]


# What a mixture of such trees certifies


def completions(case):
    """Rows of completions: the truth, random and hurtful ones, and one over more symbols."""
    rows = [case.truth, case.completion(even=True), case.completion(even=False)]
    rows += [case.worst(i, 2, sign) for i in (0, 1) for sign in (1, -1)]
    # Every pool on an id of its own that no tree lists.
    ends = np.cumsum([len(pools) for pools in case.pools])
    apart = np.zeros((case.n, ends[-1]), np.int64)
    for row, (end, pools) in enumerate(zip(ends, case.pools, strict=True)):
        apart[row, end - len(pools) : end] = [mass for mass, _ in pools]
    return [*rows, np.hstack([case.known, apart])]


def exact_excess(rows, sizes, means=None):
    """1 - S_pt and 1 - S_at in rationals, by the first two and the third of the rows, or of means of them."""
    given = [[*map(Fraction, np.asarray(row).tolist())] for row in rows]
    p = [[mass / sum(row) for mass in row] for row in given]
    if means is not None:
        p = [[sum(map(Fraction.__mul__, column, each)) for column in zip(*p, strict=True)] for each in means]
    n = [*map(Fraction, sizes)]
    columns = [column for column in zip(*p, strict=True) if any(column)]
    q = [sum(map(Fraction.__mul__, n, column)) / sum(n) for column in columns]
    return [1 - sum(c[i] * c[2] / mass for c, mass in zip(columns, q, strict=True)) for i in (0, 1)]


def signs_of(excess):
    return tuple((each > 0) - (each < 0) for each in excess)


def assert_certain(found, bounds, excess, sizes):
    """The bounds hold this completion, and nothing is certified that is otherwise in it."""
    # In bits per |D_a|. What rounding adds to the logarithm is less than by what the bounds are widened.
    unit = Fraction(math.log(2)) * sum(map(Fraction, sizes)) / Fraction(sizes[1])
    for (lower, upper), x in zip(found.bounds, excess, strict=True):
        assert Fraction(lower) * unit <= x <= Fraction(upper) * unit
    if bounds is not None:
        low, high = bounds[:, :2, 2].tolist()
        assert all(Fraction(a) <= x <= Fraction(b) for a, x, b in zip(low, excess, high, strict=True))
    signs = signs_of(excess)
    assert all(sure in (None, sign) for sure, sign in zip(found.signs, signs, strict=True))
    assert found.holds in (None, signs == (-1, 1))
    assert found.certified == (None not in found.signs)


def bounds_of(mixture):
    return None if mixture.unread is None else Completions(mixture.unread).excess(mixture.exact_sizes)


@given(st.integers(0, 2**32))
def test_certified_signs_are_those_of_every_completion(seed):
    case = Case(seed, n=3)
    mixture = Mixture.from_trees(case.trees, case.sizes, depth=case.depth)
    found, bounds = elasticity(mixture), bounds_of(mixture)
    assert found.certified or bounds is not None
    # The mixture's own reading is a completion over some vocabulary.
    for rows in [*completions(case), mixture.rows.values]:
        assert_certain(found, bounds, exact_excess(rows, case.sizes), case.sizes)


@given(st.integers(0, 2**32), st.integers(3, 4))
def test_certified_signs_of_the_published_form_are_those_of_every_completion(seed, parts):
    case = Case(seed, n=parts, q=2)
    k, l = case.sizes[:2]
    mixture = published_form(case.trees, k, l, depth=case.depth)
    own = [[Fraction(i == part) for i in range(parts)] for part in (1, 2)]
    means = [[Fraction(1, parts)] * parts, *own]
    shares = [sum(mass for mass, _ in pools) / 2520 for pools in case.pools]
    np.testing.assert_allclose(mixture.unexpanded, [np.mean(shares), *shares[1:3]], rtol=100 * U)
    found, bounds = elasticity(mixture), bounds_of(mixture)
    for rows in [case.truth, case.completion(even=True), case.completion(even=False)]:
        assert_certain(found, bounds, exact_excess(rows, [k, 1, l], means), [k, 1, l])
    assert_certain(found, bounds, exact_excess(mixture.rows.values, [k, 1, l]), [k, 1, l])


@given(st.integers(0, 2**32), st.lists(st.fractions(Fraction(1, 100), 100), min_size=1, max_size=2))
def test_points_of_a_curve_are_certified_at_their_own_sizes(seed, points):
    case = Case(seed, n=3, q=2)
    mixture = Mixture.from_trees(case.trees, case.sizes, depth=case.depth)
    curve = response_curve(mixture, [float(l) for l in points])
    for l, found in zip(points, curve.elasticities, strict=True):
        grown = mixture.with_sizes([*case.sizes[:2], Fraction(float(l)) * case.sizes[1]])
        assert found == elasticity(grown)
        for rows in (case.truth, case.completion(even=False)):
            sizes = grown.exact_sizes
            assert_certain(found, bounds_of(grown), exact_excess(rows, sizes), sizes)


def test_bounds_decide_some_of_what_is_read_in_part():
    """So the properties above are not empty."""
    decided = asked = 0
    for seed in range(15):
        case = Case(seed, n=3)
        mixture = Mixture.from_trees(case.trees, case.sizes, depth=case.depth)
        if mixture.unexpanded.any():
            asked += 2
            decided += 2 - elasticity(mixture).signs.count(None)
    assert 0 < decided < asked


@pytest.mark.parametrize(
    ("mass", "l", "holds"), [(1e-5, 0.1, True), (1e-5, 0.6, False), (0.5, 0.1, None), (0.5, 0.6, None)]
)
def test_the_certificate_names_its_reason(mass, l, holds):
    mixture = Mixture.from_trees(disjoint(mass), [1000, 1, l])
    found = elasticity(mixture)
    assert found.holds is holds
    assert found.certified is (holds is not None)
    reason = "bounds over every completion of the unexpanded mass"
    if holds is None:
        reason = "undecided: an unexpanded share of up to 0.5 leaves it open"
        assert f"certificate={found.certificate!r}" in repr(found)
    assert found.certificate == f"pretrain: {reason}; align: {reason}"
    assert ("certificate" in repr(found)) is (holds is None)


def test_what_is_unexpanded_stays_with_the_mixture():
    trees = disjoint(0.25)
    mixture = Mixture.from_trees(trees, [1000, 1, 0.1])
    changed = [
        mixture.with_sizes([10, 1, 1]),
        mixture.perturb(2, 5),
        pickle.loads(pickle.dumps(mixture)),
        copy.copy(mixture),
        copy.deepcopy(mixture),
    ]
    for other in [mixture, *changed]:
        assert other.unexpanded.tolist() == [0.25] * 3
        assert not elasticity(other).certified
        assert ", unexpanded share 0.25: D1" in repr(other)
        assert "unexpanded share" in other._repr_html_()
        assert "not certain: unexpanded_bounds" in other._repr_html_()
        assert other.to_frame()["unexpanded"].tolist() == [0.25] * 3
    assert changed[2] == mixture
    # A pickle of before there was such a thing.
    plain = Mixture([[1, 0]], [1])
    older = Mixture.__new__(Mixture)
    older.__dict__.update({name: value for name, value in plain.__getstate__().items() if name != "_unread"})
    assert older == plain
    with pytest.raises(ValueError, match="read-only"):
        mixture.unread.trees[0].weights[0] = 1


def test_mixtures_differ_where_what_is_unexpanded_does():
    # One row, known to be so or not.
    mixture = Mixture.from_trees(disjoint(0.25))
    known = Mixture(mixture.rows.values, mixture.exact_sizes, depth=mixture.depth)
    assert not known.unexpanded.any()
    assert "unexpanded" not in repr(known) + known._repr_html_()
    assert known != mixture == Mixture.from_trees(disjoint(0.25))
    assert len({known, mixture}) == 2


def test_a_leaf_that_nobody_weighs_leaves_nothing_open():
    whole = disjoint(0.0)
    empty = tree_of_levels(
        2,
        [
            tuple(np.array([x], t) for x, t in zip((0, 0, 1.0), (np.int8, np.int32, float), strict=True)),
            (np.array([REST, 1], np.int8), np.zeros(2, np.int32), np.array([0.0, 1.0])),
        ],
    )
    assert Mixture.from_trees([empty, empty]).unread is None
    assert Mixture.from_trees(whole).unread is None


@given(st.integers(0, 2**32))
def test_what_lies_below_the_depth_does_not_matter(seed):
    """Unexpanded mass after a prefix of d - 1 symbols is open at depth d, and known at depth d - 1."""
    case = Case(seed, n=3, q=1)
    for depth in range(1, case.depth + 1):
        mixture = Mixture.from_trees(case.trees, case.sizes, depth=depth)
        leaves = [tree.prune(depth).leaves() for tree in case.trees]
        open_ = [each.weight[each.kind == LeafKind.UNEXPANDED].sum() for each in leaves]
        np.testing.assert_allclose(mixture.unexpanded, np.array(open_) / 2520, rtol=4 * U)
        found = elasticity(mixture)
        if not any(open_):
            assert found.certified
            assert mixture == Mixture(mixture.rows.values, case.sizes, depth=depth)


def test_depths_at_which_everything_was_read_are_certified():
    rows = np.log(np.random.default_rng(0).dirichlet(np.ones(3), size=(3, 4)))
    said = [lambda prefixes, row=row: row[[x[-1] if x else 3 for x in prefixes]] for row in rows]
    # Four nodes are the root's; the rest of ten are two more expansions.
    trees = [read_model(model, depth=3, max_nodes=12) for model in said]
    curve = depth_curve(trees, sizes=[3, 2, 1])
    assert curve.elasticities[0] == elasticity(Mixture(leaf_distributions(trees, 1), [3, 2, 1]))
    for depth, found in zip(curve.depths.tolist(), curve.elasticities, strict=True):
        mixture = Mixture.from_trees(trees, [3, 2, 1], depth=depth)
        assert found == elasticity(mixture)
        assert mixture.unexpanded.any() == (depth > 1) == ("unexpanded" in found.certificate)


def test_five_symbols_and_a_budget_of_twelve_nodes():
    """What was read alone says (1, 1); the model itself says (-1, 1)."""
    tables = np.random.default_rng(2).dirichlet(np.full(5, 0.5), size=(3, 6))
    tables[0] = tables.mean(axis=0)

    def trees(**limits):
        return [
            read_model(
                lambda prefixes, table=table: np.log(table[[x[-1] if x else 5 for x in prefixes]]),
                3,
                **limits,
            )
            for table in tables
        ]

    sizes = [3, 1, 0.1]
    whole, read = Mixture.from_trees(trees(), sizes), Mixture.from_trees(trees(max_nodes=12), sizes)
    assert elasticity(whole).signs == signs_of(exact_excess(whole.distributions, sizes)) == (-1, 1)
    assert elasticity(Mixture(read.distributions, sizes)).signs == (1, 1)
    found = elasticity(read)
    assert (found.signs, found.holds, found.certified) == ((None, None), None, False)
    assert "undecided: an unexpanded share of up to 1 leaves it open" in repr(found)
    assert "unexpanded share 1" in repr(read)
    assert response_curve(read, [0.1, 1]).to_frame()["certified"].sum() == 0


# Input


def test_counts_and_masses_side_by_side():
    rng = np.random.default_rng(1)
    counted, known, pools = cut_down(rng, 2, 2, np.array([0, 3, 4, 5, 0, 6, 2]), 0.5, 0.0)
    whole = TokenTree.from_leaves({"0": 0.25, "1": 0.75}, depth=2)
    bounds = unexpanded_bounds([counted, whole])
    assert bounds.unexpanded[0] == pytest.approx(sum(mass for mass, _ in pools) / 20)
    assert known.sum() < 20


def test_rounding_left_over_has_one_leaf_of_its_own():
    tree = part(2, {EOS: 0.5, 0: 0.25, 1: 0.25}, 1e-17)
    bounds = unexpanded_bounds([tree, tree])
    np.testing.assert_allclose(bounds.rates_lower, 1.5, rtol=1e-12)
    np.testing.assert_allclose(bounds.rates_upper, 1.5, rtol=1e-12)


@pytest.mark.parametrize("sizes", [[1, 1], [2.0**190, 2.0**-190]])
def test_a_leaf_of_hardly_any_mass_loosens_no_bound(sizes):
    half = part(2, {0: 0.5}, 0.5)
    faint, without = (
        unexpanded_bounds([half, part(2, {0: 1.0} | other, 0)], sizes) for other in ({1: 1e-300}, {})
    )
    np.testing.assert_allclose(faint.rates_lower, without.rates_lower, rtol=1e-12)


def test_unexpanded_mass_without_room():
    with pytest.raises(
        ValueError, match=r"trees\[1\] holds unexpanded mass 0.25 after prefix \(\), although it lists"
    ):
        unexpanded_bounds([unread(2), part(2, {EOS: 0.5, 0: 0.125, 1: 0.125}, 0.25)])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"trees": []}, "trees is empty"),
        ({"trees": [unread(2), unread(3)]}, r"trees\[1\] has alphabet_size 3"),
        ({"depth": 3}, r"depth = 3: trees\[0\] is cut at depth 2"),
        ({"depth": 0}, "depth = 0: must be an integer >= 1"),
        ({"base": 1}, "base = 1"),
        ({"vocabulary_size": 0}, "vocabulary_size = 0: must be an integer >= 2"),
        ({"sizes": [1]}, "sizes = .* must be a sequence of 2 numbers"),
        ({"sizes": [1, 0]}, r"sizes\[1\] = 0: must be > 0"),
        (
            {
                "trees": [
                    TokenTree.from_sequences(["000"], depth=1),
                    unread(2),
                    TokenTree.from_sequences(["00"]),
                ]
            },
            r"trees\[0\] is cut at depth 1",
        ),
    ],
)
def test_refusals(change, message):
    cut = TokenTree.from_sequences(["000", "01"], depth=2)
    given = {"trees": [cut, cut]} | change
    with pytest.raises(ValueError, match=message):
        unexpanded_bounds(**given)


def test_wrong_types(unchecked):
    with pytest.raises(TypeError, match=r"trees\[1\] is a str: must be a TokenTree"):
        unexpanded_bounds([unread(2), "tree"])
    with pytest.raises(TypeError, match=r"depth = 1.5: must be an integer"):
        unexpanded_bounds([unread(2)], depth=1.5)


def test_indices_are_checked():
    bounds = verdict(0.1)
    with pytest.raises(ValueError, match="t = 3: must be below the number of datasets, 3"):
        bounds.sign(0, 3)
    with pytest.raises(ValueError, match="align = 5: must be below"):
        bounds.holds(align=5)
    with pytest.raises(ValueError, match="must be different datasets"):
        bounds.holds(perturb=1)


def test_pools_of_more_ids_than_the_alphabet():
    # Half of the model's mass is spread over 999 ids that the data's alphabet does not have.
    rows = np.log([[0.5] + [0.5 / 999] * 999])
    along = read_along(
        lambda prefixes: np.repeat(rows, len(prefixes), axis=0), TokenTree.from_leaves({"0": 1}, 2, 1)
    )
    truth = 0.5 + 0.5 * math.log2(999 / 0.5)
    assert unexpanded_bounds([along]).rates_upper[0] < truth
    bounds = unexpanded_bounds([along], vocabulary_size=1000)
    assert bounds.rates_lower[0] <= truth <= bounds.rates_upper[0] * (1 + 1e-12)
    other = TokenTree.from_leaves({"": 0.5, "1": 0.5}, 2, 1)
    bounds = unexpanded_bounds([along, other], vocabulary_size=1000)
    # The model may have all of its unknown mass elsewhere than on 1.
    assert bounds.overlap_lower[0, 1] == 0
    assert bounds.overlap_upper[0, 0] >= 2
    with pytest.raises(ValueError, match="vocabulary_size = 1"):
        unexpanded_bounds([along], vocabulary_size=1)
