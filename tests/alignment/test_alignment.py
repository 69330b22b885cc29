"""Inverse alignment, resistance and rebound: against exact rationals, linear programming and closed forms."""

import json
import math
from collections import Counter
from fractions import Fraction
from itertools import pairwise

import mpmath
import numpy as np
import pytest
from hypothesis import assume, example, given, strategies as st
from scipy.optimize import linprog
from scipy.stats import linregress

from tokentree import Mixture, TokenTree, cross_entropy, entropy, kl_divergence, published_form
from tokentree.adapters import read_model
from tokentree.alignment import (
    DIRECTIONS,
    NEGATIVE,
    PAPER_NEEDED,
    POSITIVE,
    REGIMES,
    inverse_alignment_budget,
    least_alignment_budget,
    rebound_by_depth,
    rebound_by_pretraining,
    simulate_rebound,
    simulate_resistance,
)
from tokentree.alignment.distances import align_model
from tokentree.claims import pareto_corpus, text_corpus

DISTANCES = ("total variation", "kl", "rate")
THIRDS = [[1, 0, 0], [0, 1, 0], [0, 0, 1]]
HALF = Fraction(1, 2)

size = st.one_of(st.integers(1, 50), st.sampled_from([1000, 10**6, Fraction(1, 3)]))


@st.composite
def cases(draw, n=3, smallest=0):
    m = draw(st.integers(2, 5))
    row = st.lists(st.integers(smallest, 9), min_size=m, max_size=m).filter(any)
    return draw(st.lists(row, min_size=n, max_size=n)), draw(st.lists(size, min_size=n, max_size=n))


def shares(rows):
    return [[Fraction(c, sum(row)) for c in row] for row in rows]


def blend(p, q, s):
    return [(1 - s) * a + s * b for a, b in zip(p, q, strict=True)]


def models(rows, sizes, n_b):
    """Before, and after D_a and n_b examples of D_b, by counts: straight from the definition."""
    p, a, b = shares(rows)
    n_p, n_a, n_b = Fraction(sizes[0]), Fraction(sizes[1]), Fraction(n_b)
    total = n_p + n_a + n_b
    return p, a, [(n_p * x + n_a * y + n_b * z) / total for x, y, z in zip(p, a, b, strict=True)]


def apart(distance, p, a, q):
    """The distance of q from p by its definition, in nats or as a share, to 40 digits."""
    if distance == "total variation":
        return mpmath.mpf(1) * sum(abs(x - y) for x, y in zip(p, q, strict=True)) / 2
    weights = p if distance == "kl" else a
    with mpmath.workdps(40):
        terms = [
            w.numerator
            * mpmath.log(mpmath.mpf(x.numerator) * y.denominator / x.denominator / y.numerator)
            / w.denominator
            if x
            else mpmath.inf
            for w, x, y in zip(weights, p, q, strict=True)
            if w
        ]
        return abs(mpmath.fsum(terms))


def budget(rows, sizes, epsilon, **options):
    return inverse_alignment_budget(Mixture(rows, sizes), epsilon, base=math.e, **options)


# Inverse alignment


@given(
    cases(), st.sampled_from(DISTANCES), st.fractions(Fraction(1, 20), Fraction(19, 20), max_denominator=20)
)
@example(([[0, 1, 0], [0, 0, 1], [1, 1, 0]], [1, 1000, 1]), "kl", Fraction(1, 20))
def test_budget_is_the_least_size_within_epsilon(case, distance, fraction):
    rows, sizes = case
    p, a, aligned = models(rows, sizes, 0)
    before = apart(distance, p, a, aligned)
    assume(0 < before < mpmath.inf)
    epsilon = float(before) * float(fraction)
    found = budget(rows, sizes, epsilon, distance=distance)
    assert found.before == pytest.approx(float(before), rel=1e-10)
    if found.reachable:
        reached = apart(distance, *models(rows, sizes, found.size))
        assert float(reached) == pytest.approx(epsilon, rel=1e-9)
        tried = [found.size * x for x in (0.01, 0.3, 0.9, 0.999)]
        assert all(apart(distance, *models(rows, sizes, n)) > epsilon for n in tried)
    else:
        assert found.size == found.ratio == math.inf
        assert found.limit > epsilon * (1 - 1e-9)
        scale = float(sizes[0]) + float(sizes[1])
        tried = [scale * 10.0**x for x in range(-6, 7)]
        assert all(apart(distance, *models(rows, sizes, n)) >= found.limit * (1 - 1e-9) for n in tried)


@given(cases(), st.sampled_from(DISTANCES))
def test_limit_is_where_it_is_said_to_be(case, distance):
    rows, sizes = case
    found = budget(rows, sizes, 0, distance=distance)
    assume(found.limit < math.inf)
    if found.limit_size < math.inf:
        reached = apart(distance, *models(rows, sizes, found.limit_size))
        assert float(reached) == pytest.approx(found.limit, rel=1e-9, abs=1e-14)
    else:
        p, a, b = shares(rows)
        assert float(apart(distance, p, a, b)) == pytest.approx(found.limit, rel=1e-9, abs=1e-14)


@given(cases(), st.sampled_from(DISTANCES), st.lists(st.floats(1e-6, 1.5), min_size=4, max_size=4))
def test_smaller_epsilon_needs_no_less(case, distance, fractions):
    rows, sizes = case
    before = budget(rows, sizes, 0, distance=distance).before
    assume(0 < before < math.inf)
    needed = [budget(rows, sizes, before * x, distance=distance).size for x in sorted(fractions)]
    assert all(more >= less for more, less in pairwise(needed))
    assert budget(rows, sizes, before, distance=distance).size == 0


@given(cases(), st.sampled_from(DISTANCES), st.floats(0.05, 0.95), st.floats(1e-4, 0.4))
def test_regimes_agree_where_s_agrees(case, distance, fraction, step):
    rows, sizes = case
    n_p, n_a = map(float, sizes[:2])
    counts = budget(rows, sizes, 0, distance=distance)
    assume(0 < counts.before < math.inf)
    epsilon = counts.before * fraction
    counts = budget(rows, sizes, epsilon, distance=distance)
    speed = -math.log1p(-step)
    # As many fixed steps as move the model as far as D_a does by counts.
    steps = math.log1p(n_a / n_p) / speed
    fixed = budget(rows, [n_p, steps, 1], epsilon, distance=distance, regime="fine-tuning", step=step)
    assert fixed.reachable == counts.reachable
    assert fixed.limit == pytest.approx(counts.limit, rel=1e-8, abs=1e-12)
    if counts.reachable:
        assert -math.expm1(-fixed.size * speed) == pytest.approx(
            counts.size / (n_p + n_a + counts.size), rel=1e-8
        )


@given(cases(), st.sampled_from(["total variation", "kl"]), st.floats(0, 0.99), st.floats(0, 0.99))
def test_distance_is_convex_in_s(case, distance, one, two):
    mixture = Mixture(*case)
    aligned, target = align_model(mixture, 0, 1, "counts", None), mixture.distributions[2]

    def at(s):
        return aligned.distance(distance, s / (1 - s) / aligned.moved, target)

    assert at((one + two) / 2) <= (at(one) + at(two)) / 2 + 1e-13


@pytest.mark.parametrize("sizes", [[1000, 10], [10**12, 1], [1, 10**12], [10**12, 10**12], [HALF, 3]])
@pytest.mark.parametrize("epsilon", [1e-3, 1e-9, 1e-40])
def test_closed_form_of_more_pretraining_data(sizes, epsilon):
    rows = [[5, 3, 2, 0], [1, 1, 4, 4]]
    variation = HALF * sum(abs(x - y) for x, y in zip(*shares(rows), strict=True))
    n_p, n_a = map(Fraction, sizes)
    found = inverse_alignment_budget(Mixture(rows, sizes), epsilon, inverse=0)
    expected = n_a * variation / Fraction(epsilon) - n_p - n_a
    assert found.size == pytest.approx(max(float(expected), 0.0), rel=1e-12)
    assert found.reachable
    assert (found.limit, found.limit_size) == (0, math.inf)
    assert found.before == pytest.approx(float(n_a * variation / (n_p + n_a)), rel=1e-15)
    # Exactly what it was is approached for ever.
    assert not inverse_alignment_budget(Mixture(rows, sizes), 0, inverse=0).reachable


@pytest.mark.parametrize("parts", [3, 4, 7])
@pytest.mark.parametrize("k", [1, 1000, 10**12])
def test_published_form_takes_twice_the_alignment_data(parts, k):
    mixture = published_form(np.eye(parts, dtype=int), k=k, l=1)
    found = inverse_alignment_budget(mixture, 0, distance="rate")
    assert found.ratio == pytest.approx(parts - 1, rel=1e-12)
    assert found.limit == 0
    # No other D_b does it with less: D_t shares no leaf with D_a.
    assert least_alignment_budget(mixture, 0, distance="rate").ratio == pytest.approx(parts - 1, rel=1e-12)
    # The model itself is not what it was: only the rate is.
    assert not inverse_alignment_budget(mixture, 0).reachable
    assert least_alignment_budget(mixture, 0).ratio == parts - 1


@given(st.lists(st.integers(-9, 9), min_size=6, max_size=6), st.integers(0, 3))
def test_rates_keep_their_digits_where_datasets_nearly_coincide(moves, missing):
    counts = [10**6 + move for move in moves]
    rows = [[*counts[:3], missing], [*counts[3:], 0], [*counts[:3], missing]]
    p, a, q = models(rows, [3, 1, 1], 0)
    assume(p != a)
    with mpmath.workdps(60):
        terms = [(x, y / z) for x, y, z in zip(a, q, p, strict=True) if x]
        gain = mpmath.fsum(
            mpmath.mpf(x.numerator) / x.denominator * mpmath.log(mpmath.mpf(y.numerator) / y.denominator)
            for x, y in terms
        )
    found = inverse_alignment_budget(Mixture(rows, [3, 1, 1]), 0, distance="rate", base=math.e)
    assert found.before == pytest.approx(float(gain), rel=1e-8, abs=0)


def test_exact_restoration_is_found_exactly():
    # 7 a + 3 b is proportional to p, as are 7 sevenths of a and 3 thirds of b.
    p, a = [3, 3, 4], [4, 3, 0]
    b = [30 * 3 - 4 * 10, 30 * 3 - 3 * 10, 30 * 4]
    for sizes in ([5, 7, 1], [10**12, 7, 1]):
        mixture = Mixture([p, a, b], sizes)
        for distance in ("total variation", "kl"):
            found = inverse_alignment_budget(mixture, 0, distance=distance)
            n_b = Fraction(7) * sum(b) / 70
            assert found.size == found.limit_size == float(n_b)
            assert (found.reachable, found.limit) == (True, 0)
        # Beside it, rationally near but not equal, nothing restores.
        near = Mixture([p, a, [x * 10**9 + (i == 0) for i, x in enumerate(b)]], sizes)
        missed = inverse_alignment_budget(near, 0)
        assert not missed.reachable
        assert 0 < missed.limit < 1e-8


def test_already_there():
    for distance in DISTANCES:
        same = budget([[1, 2], [1, 2], [1, 2]], [5, 3, 1], 0, distance=distance)
        assert (same.size, same.ratio, same.reachable, same.before, same.limit) == (0, 0, True, 0, 0)
        best = least_alignment_budget(Mixture([[1, 2], [1, 2]], [5, 3]), 0, distance=distance)
        assert (best.size, best.data) == (0, None)
        far = budget([[1, 2], [2, 1], [1, 2]], [10**12, 1, 1], 0.1, distance=distance)
        assert (far.size, far.reachable) == (0, True)


def test_disjoint_supports_keep_their_infinities():
    mixture = Mixture(THIRDS, [8, 2, 1])
    for found in (
        inverse_alignment_budget(mixture, 1, distance="rate"),
        least_alignment_budget(mixture, 1, distance="rate"),
    ):
        # The rate of D_a was infinite, and is again only when nothing of it is left.
        assert not found.reachable
        assert found.size == found.before == found.limit == math.inf
    # New data apart from both push the model farther: the limit is where it is.
    for distance in ("total variation", "kl"):
        away = inverse_alignment_budget(mixture, 1e-3, distance=distance)
        assert (away.reachable, away.limit_size) == (False, 0)
        assert away.limit == away.before
    assert least_alignment_budget(mixture, 0).size == math.inf
    assert least_alignment_budget(mixture, 0.1).size == pytest.approx(10)  # 2 / 0.1 - 10
    # Aligned until nothing of D_p is left in a float64: no budget undoes it unless D_b has those leaves.
    gone = inverse_alignment_budget(mixture, 1, distance="kl", regime="fine-tuning", step=0.4)
    assert 0 < gone.before < math.inf
    gone = inverse_alignment_budget(
        mixture.with_sizes([8, 10**12, 1]), 1, distance="kl", regime="fine-tuning", step=0.4
    )
    assert (gone.before, gone.limit, gone.reachable) == (math.inf, math.inf, False)
    back = inverse_alignment_budget(
        mixture.with_sizes([8, 10**12, 1]), 1, inverse=0, distance="kl", regime="fine-tuning", step=0.4
    )
    # q(first leaf) = s = 1/2 is one bit.
    assert back.size == pytest.approx(math.log(HALF) / math.log(0.6), rel=1e-12)


# The best data


@given(cases(2), st.fractions(Fraction(1, 50), Fraction(19, 20), max_denominator=50))
def test_least_budget_solves_the_linear_program(case, fraction):
    rows, sizes = case
    assume(all(float(n) <= 100 for n in sizes))
    mixture = Mixture(rows, sizes)
    before = least_alignment_budget(mixture, 0).before
    assume(before > 0)
    epsilon = before * float(fraction)
    p, a = (np.array(row, float) for row in shares(rows))
    n_p, n_a = map(float, sizes)
    # Masses m of D_b, and e >= n_p p + n_a a + m - (T + sum m) p, at most epsilon (T + sum m) in all.
    leaves, total = len(p), n_p + n_a
    above = np.hstack([np.eye(leaves) - p[:, None], -np.eye(leaves)])
    limit = np.hstack([np.full(leaves, -epsilon), np.ones(leaves)])
    solved = linprog(
        np.r_[np.ones(leaves), np.zeros(leaves)],
        A_ub=np.vstack([above, limit]),
        b_ub=np.r_[-(n_p * p + n_a * a - total * p), epsilon * total],
        method="highs",
    )
    found = least_alignment_budget(mixture, epsilon)
    assert solved.success == found.reachable
    assert found.size == pytest.approx(solved.fun, rel=1e-6, abs=1e-6)


@given(cases(), st.sampled_from(DISTANCES), st.floats(0.02, 0.95), st.sampled_from([None, 0.01]))
def test_no_data_do_better_than_the_best_and_the_best_does(case, distance, fraction, step):
    rows, sizes = case
    options = {"distance": distance, "regime": "fine-tuning" if step else "counts", "step": step}
    mixture = Mixture(rows, sizes)
    before = least_alignment_budget(mixture, 0, **options).before
    assume(1e-9 < before < math.inf)
    epsilon = before * fraction
    best = least_alignment_budget(mixture, epsilon, **options)
    assert best.reachable
    for b in range(3):
        other = inverse_alignment_budget(mixture, epsilon, inverse=b, **options)
        assert other.size >= best.size * (1 - 1e-8)
    if best.data is None:
        # It takes a leaf that neither dataset has.
        assert distance == "rate"
        assert all(c for c, _ in zip(rows[1], rows[0], strict=True) if _)
        rows = [[*row, 0] for row in rows]
        best_rows = [*rows[:2], [0] * (len(rows[0]) - 1) + [1]]
        given_best = Mixture(best_rows, sizes)
    else:
        assert best.data.sum() == pytest.approx(1, abs=1e-12)
        given_best = Mixture([*mixture.distributions[:2], best.data], sizes)
    again = inverse_alignment_budget(given_best, epsilon, **options)
    assert again.size == pytest.approx(best.size, rel=1e-6)


@given(cases(2), st.fractions(Fraction(1, 20), 3, max_denominator=20))
@example(([[0, 1], [1, 0]], [10**6, 1]), Fraction(1, 20))
def test_what_the_best_data_leave_is_a_hockey_stick_divergence(case, t):
    rows, sizes = case
    p, a = shares(rows)
    n_p, n_a = map(Fraction, sizes)
    c = n_a / (n_p + n_a)
    left = c * sum(max(y - (1 + t) * x, 0) for x, y in zip(p, a, strict=True)) / (1 + c * t)
    assume(left > 0)
    found = least_alignment_budget(Mixture(rows, sizes), float(left))
    # What is left falls slowly where c is small, and a few dozen roundings of it move t the further.
    steep = c * (sum(x for x, y in zip(p, a, strict=True) if y > (1 + t) * x) + left) / (1 + c * t)
    off = 32 * np.finfo(float).eps * float(left / steep)
    assert found.ratio == pytest.approx(float(t), rel=1e-8, abs=off)
    # The bound of docs/alignment.md on how much any D_b undoes.
    variation = sum(max(y - x, 0) for x, y in zip(p, a, strict=True))
    kept = left / (c * variation)
    assert t >= (1 - kept) * variation / (1 + kept * c * variation)


@pytest.mark.parametrize(
    ("rows", "data"),
    [
        # 3 and 3 + 1e-17 are one float64.
        ([[10**17, 10**17, 2 * 10**17], [3 * 10**17, 3 * 10**17 + 1, 10**17]], [2e-18, 0, 1]),
        # Rows may sum to a little more or less than 1.
        (
            [[c * (1 - 9e-10) for c in (0.5, 0.3, 0.2)], [c * (1 + 9e-10) for c in (0.2, 0.3, 0.5)]],
            [0.7, 0.3, 0],
        ),
    ],
    ids=["counts", "floats"],
)
def test_exact_restoration_takes_no_negative_data(rows, data):
    found = least_alignment_budget(Mixture(rows, [1000, 10]), 0).data
    assert found.min() >= 0
    # As right as the rows' sums, and zero where it is zero.
    np.testing.assert_allclose(found, data, rtol=4e-9)


@given(cases(2))
def test_exact_restoration_takes_the_largest_likelihood_ratio(case):
    rows, sizes = case
    p, a = shares(rows)
    assume(p != a)
    found = least_alignment_budget(Mixture(rows, sizes), 0)
    if any(y and not x for x, y in zip(p, a, strict=True)):
        assert (found.ratio, found.reachable, found.limit) == (math.inf, False, 0)
        return
    ratio = max(y / x for x, y in zip(p, a, strict=True) if x) - 1
    assert found.ratio == pytest.approx(float(ratio), rel=1e-15)
    # Exact D_b of this size does restore, and is what is returned.
    level = [(1 + ratio) * x - y for x, y in zip(p, a, strict=True)]
    assert min(level) >= 0
    assert sum(level) == ratio
    np.testing.assert_allclose(found.data, [float(x / ratio) for x in level], rtol=1e-12, atol=1e-15)
    n_p, n_a = map(Fraction, sizes)
    restored = [n_p * x + n_a * y + n_a * z for x, y, z in zip(p, a, level, strict=True)]
    assert restored == [x * sum(restored) for x in p]


def test_fixed_steps_undo_a_long_alignment_with_little():
    rows, step = [[5, 3, 2], [1, 1, 2]], 1e-3
    ratios = []
    for n_a in (1e2, 1e4, 1e6, 1e12):
        mixture = Mixture(rows, [10**9, n_a])
        moved = -math.expm1(n_a * math.log1p(-step))
        found = inverse_alignment_budget(mixture, 1e-3, inverse=0, regime="fine-tuning", step=step)
        # TV(p_a, p_p) = 0.3.
        assert found.size == pytest.approx(math.log(moved * 0.3 / 1e-3) / -math.log1p(-step), rel=1e-10)
        exact = least_alignment_budget(mixture, 0, regime="fine-tuning", step=step)
        # The largest ratio is 5/2.
        assert exact.size == pytest.approx(math.log1p(moved * 1.5) / -math.log1p(-step), rel=1e-12)
        ratios.append(found.ratio)
    assert ratios == sorted(ratios, reverse=True)
    assert ratios[-1] < 1e-8


def test_units():
    mixture = Mixture([[5, 3, 2], [1, 1, 2]], [50, 10])
    for distance in ("kl", "rate"):
        bits = inverse_alignment_budget(mixture, 1e-3, inverse=0, distance=distance)
        nats = inverse_alignment_budget(
            mixture, 1e-3 * math.log(2), inverse=0, distance=distance, base=math.e
        )
        assert bits.size == pytest.approx(nats.size, rel=1e-9)
        assert bits.before * math.log(2) == pytest.approx(nats.before, rel=1e-12)
    # KL is what the rate of D_p has risen by, "rate" what that of D_a has fallen by.
    rise = kl_divergence(mixture.distributions[0], mixture.joint)
    assert inverse_alignment_budget(mixture, 0, inverse=0, distance="kl").before == pytest.approx(rise)
    p, a = mixture.distributions
    fall = cross_entropy(a, p) - cross_entropy(a, mixture.joint)
    assert inverse_alignment_budget(mixture, 0, inverse=0, distance="rate").before == pytest.approx(fall)


def test_budget_as_plain_data():
    found = inverse_alignment_budget(Mixture(THIRDS, [8, 2, 1]), 0.1, inverse="D1")
    plain = found.to_dict()
    assert plain["data"] == [1, 0, 0]
    assert plain["size"] == found.size
    assert json.loads(json.dumps(plain)) == plain
    frame = found.to_frame()
    assert len(frame) == 1
    assert frame["size"].item() == found.size
    assert "data" not in frame
    assert least_alignment_budget(Mixture(THIRDS, [8, 2, 1]), 1).to_dict()["data"] is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epsilon": -1}, "epsilon = -1: must be 0, or finite"),
        ({"epsilon": math.nan}, "epsilon = nan"),
        ({"epsilon": 1e-200}, "epsilon = 1e-200"),
        ({"pretrain": "x"}, "pretrain = 'x'"),
        ({"align": 0}, "pretrain, align = 0, 0: must be different"),
        ({"inverse": 3}, "inverse = 3: must be below"),
        ({"distance": "euclid"}, "distance = 'euclid'"),
        ({"regime": "slow"}, "regime = 'slow'"),
        ({"regime": "fine-tuning"}, "step = None: regime 'fine-tuning' needs"),
        ({"regime": "fine-tuning", "step": 1}, "step = 1: must lie between 0 and 1"),
        ({"base": 1}, "base = 1"),
    ],
)
def test_budget_refuses(options, message, unchecked):
    with pytest.raises(ValueError, match=message):
        inverse_alignment_budget(**{"mixture": Mixture(THIRDS, [1, 1, 1]), "epsilon": 0.1} | options)


def test_what_is_no_mixture_is_refused(unchecked):
    for function in (lambda x: inverse_alignment_budget(x, 0.1), simulate_resistance, simulate_rebound):
        with pytest.raises(TypeError, match="mixture is a list: must be a Mixture"):
            function(THIRDS)


# Resistance


def slice_models(rows, sizes, slices, step):
    """The slices' distributions in both regimes, as rationals; fixed steps only for whole chunks."""
    p, a = shares(rows)
    n_p, chunk = Fraction(sizes[0]), Fraction(sizes[1]) / slices
    counts = [blend(p, a, j * chunk / (n_p + j * chunk)) for j in range(1, slices + 1)]
    fixed = [blend(p, a, 1 - (1 - step) ** int(j * chunk)) for j in range(1, slices + 1)]
    return counts, fixed


@given(cases(2), st.integers(2, 3), st.integers(1, 4))
def test_losses_are_those_of_models_retrained(case, slices, chunk):
    rows, sizes = case
    step = Fraction(1, 8)
    sizes = [sizes[0], slices * chunk]
    found = simulate_resistance(Mixture(rows, sizes), slices=slices, step=float(step), points=chunk + 1)
    np.testing.assert_allclose(found.examples, np.arange(chunk + 1))
    n_p = Fraction(sizes[0])
    for r, thetas in enumerate(slice_models(rows, sizes, slices, step)):
        np.testing.assert_allclose(
            found.entropy[r], [entropy([float(x) for x in q]) for q in thetas], atol=1e-14
        )
        for i, pair in enumerate(found.pairs):
            for d, (start, end) in enumerate((pair, pair[::-1])):
                for n in range(chunk + 1):
                    s = Fraction(n) / (n_p + start * chunk + n) if r == 0 else 1 - (1 - step) ** n
                    q = [float(x) for x in blend(thetas[start - 1], thetas[end - 1], s)]
                    target = [float(x) for x in thetas[end - 1]]
                    assert found.training_loss[r, i, d, n] == pytest.approx(
                        cross_entropy(target, q), abs=1e-13
                    )
                    assert found.excess_loss[r, i, d, n] == pytest.approx(kl_divergence(target, q), abs=1e-14)


@given(cases(2))
def test_gap_of_the_loss_is_the_entropies_gap_and_the_excess_gap(case):
    found = simulate_resistance(Mixture(*case))
    means = found.training_loss.mean(axis=3)
    np.testing.assert_allclose(found.loss_gap, means[:, :, 0] - means[:, :, 1], atol=1e-13)
    ends = np.array(found.pairs) - 1
    differences = found.entropy[:, ends[:, 1]] - found.entropy[:, ends[:, 0]]
    np.testing.assert_allclose(found.entropy_gap, differences, atol=1e-13)
    np.testing.assert_array_equal(found.inverse_easier_by_loss, found.loss_gap > 0)


@pytest.mark.parametrize(
    ("rows", "sizes"),
    [
        ([[5, 3, 2], [1, 1, 2]], [10**12, 3]),
        # From or towards equal answers, where u . log q is of second order.
        ([[1, 1, 1, 1], [8, 1, 1, 0]], [10**15, 1]),
        ([[8, 1, 1, 0], [1, 1, 1, 1]], [1, 10**15]),
        ([[2, 2, 1, 0], [0, 0, 0, 3]], [10**9, 1]),
    ],
)
def test_entropy_gap_keeps_its_digits(rows, sizes):
    found = simulate_resistance(Mixture(rows, sizes), base=math.e)
    with mpmath.workdps(60):
        thetas = slice_models(rows, sizes, 3, 0)[0]
        bits = [
            -mpmath.fsum(
                mpmath.mpf(x.numerator) / x.denominator * mpmath.log(mpmath.mpf(x.numerator) / x.denominator)
                for x in q
                if x
            )
            for q in thetas
        ]
        expected = [float(bits[l - 1] - bits[k - 1]) for k, l in found.pairs]
    np.testing.assert_allclose(found.entropy_gap[0], expected, rtol=1e-12)


def test_entropies_alone_decide_the_training_loss_both_ways():
    # Aligned towards more varied answers, or fewer: nothing else differs.
    for rows, inverse_easier in (([[8, 1, 1], [1, 1, 1]], True), ([[1, 1, 1], [8, 1, 1]], False)):
        found = simulate_resistance(Mixture(rows, [100, 10]))
        assert found.decided_by_entropy.all()
        assert (found.inverse_easier_by_loss == inverse_easier).all()


@pytest.mark.parametrize(
    ("rows", "sizes", "pair"),
    [
        # One new leaf beside n: the entropies of slices differ least at some n, which depends on the pair.
        *(([[1] * n + [0], [0] * n + [1]], [1000, 1], i) for n, i in ((1220, 2), (1700, 1), (2100, 0))),
        ([[3, 26, 16, 17], [5, 4, 24, 8]], [10, 10], 1),
    ],
)
def test_where_entropies_are_nearly_equal_excess_losses_say_the_opposite(rows, sizes, pair):
    found = simulate_resistance(Mixture(rows, sizes), base=math.e)
    assert not found.decided_by_entropy[0, pair]
    # The whole gap once more, straight from the definition, in 40 digits.
    thetas = slice_models(rows, sizes, 3, 0)[0]
    k, l = found.pairs[pair]
    n_p, chunk = Fraction(sizes[0]), Fraction(sizes[1], 3)
    gaps = [mpmath.mpf(0), mpmath.mpf(0)]
    points = found.examples.size
    with mpmath.workdps(40):
        for sign, start, end in ((1, k, l), (-1, l, k)):
            # Equal leaves count once.
            leaves = Counter(zip(thetas[start - 1], thetas[end - 1], strict=True))
            for j in range(points):
                s = j * chunk / (points - 1) / (n_p + start * chunk + j * chunk / (points - 1))
                for (x, y), times in leaves.items():
                    q, target = ((1 - s) * x + s * y), mpmath.mpf(y.numerator) / y.denominator
                    model = mpmath.mpf(q.numerator) / q.denominator
                    gaps[0] -= sign * times * target * mpmath.log(target) / points
                    gaps[1] += sign * times * target * mpmath.log(target / model) / points
    expected = [float(gap) for gap in gaps]
    assert found.entropy_gap[0, pair] == pytest.approx(expected[0], rel=1e-8)
    assert found.excess_gap[0, pair] == pytest.approx(expected[1], rel=1e-8)
    assert abs(expected[0]) < abs(expected[1])
    assert expected[0] * expected[1] < 0


@pytest.mark.parametrize("k", [10**3, 10**6, 10**9])
def test_new_leaves_make_the_excess_gap_first_order(k):
    found = simulate_resistance(Mixture([[1, 0], [1, 3]], [k, 1]), base=math.e)
    expected = [(0.75 * ((i + j) * math.log(j / i) - 2 * (j - i))) / (3 * k) for i, j in found.pairs]
    # Next order: relative size of the alignment.
    np.testing.assert_allclose(found.excess_gap[0], expected, rtol=10 / k + 1e-9)
    # The entropies are ahead by a logarithm: H' = m log(1 / c) + O(1).
    steps = np.array([(j - i) / (3 * k) for i, j in found.pairs])
    assert np.abs(found.entropy_gap[0] / steps - 0.75 * math.log(k)).max() < 3


@pytest.mark.parametrize(
    ("rows", "inverse_easier"),
    [([[9, 9, 1, 1], [8, 8, 3, 1]], True), ([[9, 1], [99, 1]], False), ([[1, 1, 1], [8, 1, 1]], True)],
)
def test_excess_loss_goes_by_the_skewness_of_the_likelihood_ratio(rows, inverse_easier):
    p, a = shares(rows)
    skewness = sum((y / x - 1) ** 3 * x for x, y in zip(p, a, strict=True))
    assert (skewness > 0) == inverse_easier
    k = 10**4
    found = simulate_resistance(Mixture(rows, [k, 1]), base=math.e)
    apart = np.array([(l - k) / 3 for k, l in found.pairs]) / k
    # Next order: relative size of the alignment.
    np.testing.assert_allclose(found.excess_gap[0], apart**3 * float(skewness) / 6, rtol=100 / k)
    assert (found.inverse_easier_by_excess[0] == inverse_easier).all()


def test_no_alignment_no_resistance():
    found = simulate_resistance(Mixture([[1, 2], [1, 2]], [5, 3]))
    assert not found.excess_loss.any()
    assert not found.loss_gap.any()
    assert not found.inverse_easier_by_loss.any() | found.decided_by_entropy.any()


def test_disjoint_alignment_stays_finite():
    found = simulate_resistance(
        Mixture([[1, 0], [0, 1]], [10**12, 10**12], names=["web", "chat"]), "web", "chat"
    )
    assert np.isfinite(found.training_loss).all()
    assert found.step == 1e-12


def test_what_a_long_alignment_leaves_of_pretraining_alone_stays_finite():
    # Slices keep exp(-j n), n = 333.5, of the first leaf; two of them together are below the least float64.
    n = -math.log1p(-1e-3) * 10**6 / 3
    found = simulate_resistance(Mixture([[1, 1], [0, 1]], [10**12, 10**6]), step=1e-3, base=math.e)
    assert np.isfinite(found.training_loss).all()
    for i, (k, l) in enumerate(found.pairs):
        kept = math.exp(-k * n) / 2
        # KL(q_k || q_l) = kept (log(kept / kept') - 1), but for the much smaller kept'.
        assert found.excess_loss[1, i, 1, 0] == pytest.approx(kept * ((l - k) * n - 1), rel=1e-9, abs=0)
    assert (found.excess_gap[1, :2] < 0).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"slices": 1}, "slices = 1"),
        ({"points": 1}, "points = 1"),
        ({"step": 0.0}, "step = 0.0"),
        ({"align": 0}, "pretrain, align = 0, 0"),
    ],
)
def test_resistance_refuses(options, message):
    with pytest.raises(ValueError, match=message):
        simulate_resistance(Mixture(THIRDS, [1, 1, 1]), **options)


# Rebound


def exact_score(q, a, t):
    on = [(x, y / (y + z)) for x, y, z in zip(q, a, t, strict=True) if y + z]
    return sum(x * share for x, share in on) / sum(x for x, _ in on)


@given(cases())
def test_scores_are_those_of_the_model(case):
    rows, sizes = case
    p, a, t = shares(rows)
    step, positive, negative = Fraction(1, 16), [1, 3, 40], [0, 1, 7]
    found = simulate_rebound(Mixture(rows, sizes), positive=positive, negative=negative, step=float(step))
    assert found.score_align == pytest.approx(float(exact_score(a, a, t)), abs=1e-14)
    assert found.score_perturb == pytest.approx(float(exact_score(t, a, t)), abs=1e-14)
    n_p = Fraction(sizes[0])
    for i, n in enumerate(positive):
        for j, m in enumerate(negative):
            counts = [n_p * x + n * y + m * z for x, y, z in zip(p, a, t, strict=True)]
            fixed = blend(blend(p, a, 1 - (1 - step) ** n), t, 1 - (1 - step) ** m)
            for r, q in enumerate((counts, fixed)):
                assert found.score[r, i, j] == pytest.approx(float(exact_score(q, a, t)), abs=1e-13)
    np.testing.assert_allclose(found.drop, found.score[..., :1] - found.score, atol=1e-13)


def test_drops_keep_their_digits():
    rows, n_p = [[5, 3, 2], [1, 1, 2], [3, 1, 1]], 10**12
    p, a, t = shares(rows)
    found = simulate_rebound(Mixture(rows, [n_p, 1, 1]))

    def score(n, m):
        return exact_score([n_p * x + n * y + m * z for x, y, z in zip(p, a, t, strict=True)], a, t)

    expected = [[float(score(n, 0) - score(n, m)) for m in NEGATIVE] for n in POSITIVE]
    np.testing.assert_allclose(found.drop[0], expected, rtol=1e-12)


@given(cases(), st.integers(1, 10**15))
def test_drops_keep_their_digits_where_pretraining_data_are_negative_data(case, n_p):
    (a, t, _), _ = case
    found = simulate_rebound(Mixture([t, a, t], [n_p, 1, 1]))
    a, t = shares([a, t])
    rise = 2 * (exact_score(a, a, t) - HALF)
    # The aligned model scores (1 - s) rise above D_t, and so does it after D_t.
    expected = [
        [float(rise * n * m / ((n_p + n) * (n_p + n + m))) for m in NEGATIVE] for n in map(Fraction, POSITIVE)
    ]
    np.testing.assert_allclose(found.drop[0], expected, rtol=1e-12)


@given(cases(), st.sampled_from([1e-3, 0.04, 0.5]))
def test_falls_keep_their_digits_where_the_score_has_levelled_off(case, step):
    found = simulate_rebound(Mixture(*case), step=step)
    np.testing.assert_allclose(found.fall, np.diff(found.drop), atol=1e-15)
    # The last examples divide what is left of the drop by (1 - step)^-1000, less where D_p has other leaves.
    p, a, t = shares(case[0])
    assume(all(y + z or not x for x, y, z in zip(p, a, t, strict=True)))
    gap = found.drop[1, :, -1] / -math.expm1(2000 * math.log1p(-step))
    kept = [math.exp(n * math.log1p(-step)) for n in (1000, 2000)]
    np.testing.assert_allclose(found.fall[1, :, -1], gap * (kept[0] - kept[1]), rtol=1e-11)


@given(cases(), st.integers(0, 9), st.integers(1, 10**15))
def test_the_score_of_negative_data_is_approached_and_never_reached(case, elsewhere, n_p):
    (a, t, _), _ = case
    assume(shares([a]) != shares([t]))
    mixture = Mixture([[*t, elsewhere], [*a, 0], [*t, 0]], [n_p, 1, 1])
    assert (simulate_rebound(mixture).needed == math.inf).all()


@example(([[3, 5, 2], [1, 8, 7, 4], [1]], [1, 1, 1]))
@given(cases())
def test_disjoint_data_score_from_zero_to_one(case):
    (a, t, _), _ = case
    only_a, only_t = [*a, *(0 for _ in t)], [*(0 for _ in a), *t]
    assert (
        simulate_rebound(Mixture([[*a, *t], only_a, only_t], [9, 1, 1]), level=0).needed == math.inf
    ).all()
    assert not simulate_rebound(Mixture([only_a, only_a, only_t], [9, 1, 1]), level=1).needed.any()


@given(cases(), st.floats(0.01, 0.9))
def test_needed_examples_bring_the_score_to_the_level(case, step):
    mixture = Mixture(*case)
    found = simulate_rebound(mixture, positive=[1, 10], step=step)
    for r in range(2):
        for i, n in enumerate(found.positive):
            if 0 < (m := found.needed[r, i]) < math.inf:
                there = simulate_rebound(mixture, positive=[n, n + 1], negative=[0, m], step=step)
                assert there.score[r, 0, 1] == pytest.approx(found.level, abs=1e-9)
            elif m == math.inf:
                assert found.level <= found.score_perturb + 1e-12
            else:
                assert found.score[r, i, 0] <= found.level + 1e-12


@given(cases(), st.integers(1, 1000))
def test_by_counts_the_slope_steepens_exactly_below_one_half(case, n):
    rows, sizes = case
    p, a, t = shares(rows)
    assume(a != t)
    n_p = Fraction(sizes[0])
    score = exact_score([n_p * x + n * y for x, y in zip(p, a, strict=True)], a, t)
    assume(abs(score - HALF) > Fraction(1, 100))
    found = simulate_rebound(Mixture(rows, sizes), positive=[n, n * (1 + 1e-4)], negative=[0, 1e-7])
    assert found.falls_faster[0] == (score < HALF)


@given(cases(smallest=1))
def test_fixed_steps_fall_faster_where_the_alignment_has_raised_the_score(case):
    rows, sizes = case
    p, a, t = shares(rows)
    top, start = exact_score(a, a, t), exact_score(p, a, t)
    assume(top - start > Fraction(1, 10**6) and start > 1 - top)
    found = simulate_rebound(Mixture(rows, sizes))
    # Every leaf is one of D_a's or D_t's, so the score is linear in the model.
    assert found.falls_faster[1]
    assert found.levels_off.all()


@pytest.mark.parametrize("n_p", [1, 10**6, 10**12])
def test_published_form_against_table_3(n_p):
    found = simulate_rebound(published_form(THIRDS, k=n_p, l=1))
    assert found.level == found.score_pretrain == 0.5
    np.testing.assert_allclose(found.needed[0], POSITIVE, rtol=1e-9)
    expected = [math.log(2 - 0.999**n) / -math.log(0.999) for n in POSITIVE]
    np.testing.assert_allclose(found.needed[1], expected, rtol=1e-9)
    assert found.needed[1][-1] == pytest.approx(math.log(2) / -math.log(0.999), rel=1e-4)
    assert not found.needed_falls.any()
    assert all(after < before for row in PAPER_NEEDED.values() for before, after in pairwise(row))


def test_disjoint_from_pretraining_the_score_is_a_ratio_of_counts():
    found = simulate_rebound(Mixture(THIRDS, [10**9, 1, 1]))
    assert math.isnan(found.score_pretrain)
    assert found.level == 0.5
    n, m = np.meshgrid(POSITIVE, NEGATIVE, indexing="ij")
    np.testing.assert_allclose(found.score[0], n / (n + m), rtol=1e-15)
    # All positive examples start at 1: fixed steps then fall the more slowly, the more of them there were.
    assert found.falls_faster.tolist() == [False, False]
    assert simulate_rebound(Mixture(THIRDS, [1, 1, 1]), level=0.25).needed[0].tolist() == pytest.approx(
        [3 * n for n in POSITIVE]
    )
    assert (simulate_rebound(Mixture(THIRDS, [1, 1, 1]), level=0).needed == math.inf).all()


@given(cases(), st.sampled_from([1, 1000, 10**18]))
def test_the_score_levels_off_exactly_where_it_falls(case, n_p):
    rows, sizes = case
    p, a, t = shares(rows)
    assume(a != t)

    def slopes(positive):
        scores = [
            exact_score([n_p * x + positive * y + n * z for x, y, z in zip(p, a, t, strict=True)], a, t)
            for n in (0, 3, 10, 40)
        ]
        return [(one - two) / gap for (one, two), gap in zip(pairwise(scores), (3, 7, 30), strict=True)]

    found = simulate_rebound(Mixture(rows, [n_p, *sizes[1:]]), positive=[1, 5], negative=[0, 3, 10, 40])
    falls = [slopes(positive) for positive in (1, 5)]
    assume(all(abs(fall[0]) > Fraction(1, 10**30) for fall in falls))
    assert found.levels_off[0] == all(one > two > three > 0 for one, two, three in falls)


def test_levels_off_beside_endless_pretraining():
    # Differences of drops are rounding here.
    assert simulate_rebound(published_form(THIRDS, k=10**18, l=1)).levels_off.all()


def test_equal_positive_and_negative_data_move_nothing():
    found = simulate_rebound(Mixture([[1, 3], [1, 1], [1, 1]], [10, 1, 1]))
    assert (found.score == 0.5).all()
    assert not found.drop.any() | found.needed.any()
    assert not found.falls_faster.any() | found.levels_off.any()


def test_pretraining_already_worse_than_negative_data_is_never_reached():
    found = simulate_rebound(Mixture([[0, 1], [1, 1], [1, 2]], [10, 1, 1]))
    assert found.score_pretrain < found.score_perturb
    assert (found.needed == math.inf).all()


def tree(counts):
    return TokenTree.from_leaves(counts, depth=2)


def test_rebound_by_depth_prunes():
    trees = [
        tree({"00": 5, "01": 4, "11": 3}),
        tree({"00": 4, "01": 1, "11": 1}),
        tree({"00": 1, "01": 4, "10": 1}),
    ]
    found = rebound_by_depth(trees)
    assert found.values.tolist() == [1, 2]
    for i, depth in enumerate((1, 2)):
        one = simulate_rebound(Mixture.from_trees(trees, depth=depth))
        np.testing.assert_array_equal(found.drop[:, i], one.drop)
        np.testing.assert_array_equal(found.score[:, i], one.score)
    assert found.grows.shape == found.later_slower.shape == (2, 4)
    assert found.unexpanded.tolist() == [0, 0]
    with pytest.raises(ValueError, match="needs at least 3"):
        found.fit("counts")


def test_what_nobody_looked_at_is_said():
    rows = np.log([[0.5, 0.5], [0.75, 0.25], [0.25, 0.75]])
    # Seven nodes are all that there are; with six the less likely symbol is not expanded.
    trees = [
        read_model(lambda prefixes, row=row: np.tile(row, (len(prefixes), 1)), 2, max_nodes=nodes)
        for row, nodes in zip(rows, (7, 6, 6), strict=True)
    ]
    trees.append(trees[0])
    mixture = Mixture.from_trees(trees, [8, 2, 1, 1])
    assert mixture.unexpanded.tolist() == [0, 0.25, 0.25, 0]
    for call, share in (
        (lambda: inverse_alignment_budget(mixture, 0.01, align=3, inverse=0), 0),
        (lambda: inverse_alignment_budget(mixture, 0.01, align=3, inverse=2), 0.25),
        (lambda: inverse_alignment_budget(mixture, 0.01, align=1, inverse=0), 0.25),
        (lambda: least_alignment_budget(mixture, 0.01), 0.25),
        (lambda: least_alignment_budget(mixture, 0.01, align=3), 0),
        (lambda: simulate_resistance(mixture), 0.25),
        (lambda: simulate_resistance(mixture, align=3), 0),
        (lambda: simulate_rebound(mixture, align=3), 0.25),
    ):
        found = call()
        assert found.unexpanded == share
        assert f"unexpanded={found.unexpanded:g}" in repr(found)
        assert found.to_dict()["unexpanded"] == share
    assert rebound_by_depth(trees[:3]).unexpanded.tolist() == [0, 0.25]
    assert rebound_by_pretraining(mixture).unexpanded.tolist() == [0.25] * 3


def test_rebound_by_pretraining_and_its_fit():
    mixture = published_form(THIRDS, k=10**6, l=1)
    sizes = [1e5, 3e5, 1e6, 1e7]
    found = rebound_by_pretraining(mixture, sizes=sizes, positive=[1000, 3000])
    for i, n_p in enumerate(sizes):
        one = simulate_rebound(mixture.with_sizes([n_p, 1, 1]), positive=[1000, 3000])
        np.testing.assert_array_equal(found.drop[:, i], one.drop)
    for positive in (0, 1):
        peer = linregress(np.log(sizes), np.log(found.first_drop[0, :, positive]))
        fit = found.fit("counts", positive)
        assert fit.exponent == pytest.approx(peer.slope)
        assert fit.exponent_error == pytest.approx(peer.stderr)
        assert fit.amplitude == pytest.approx(math.exp(peer.intercept))
        assert fit.amplitude_error == pytest.approx(fit.amplitude * peer.intercept_stderr)
        # R = 100 (2 / 3 n_p ...) / n_p^2: it falls like 1 / |D_p|.
        assert -1.01 < fit.exponent < -0.9
    assert found.fit("fine-tuning").exponent == pytest.approx(0, abs=1e-12)
    assert not found.grows.any()
    # A rising score has no power law.
    worse = rebound_by_pretraining(Mixture([[0, 1], [1, 1], [1, 2]], [10**6, 1, 1]))
    assert math.isnan(worse.fit("counts").exponent)
    assert worse.values.tolist() == [1e6, 1.25e6, 1.5e6]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"positive": [0, 1]}, r"positive\[0\] = 0"),
        ({"positive": [1]}, r"positive has shape \(1,\)"),
        ({"negative": [0, 2, 2]}, r"negative\[2\] = 2.0: must be larger"),
        ({"negative": [-1, 2]}, r"negative\[0\] = -1.0"),
        ({"step": 1.0}, "step = 1.0"),
        ({"level": 2.0}, "level = 2.0: must lie between 0 and 1"),
        ({"perturb": 1}, "pretrain, align, perturb = 0, 1, 1"),
    ],
)
def test_rebound_refuses(options, message):
    with pytest.raises(ValueError, match=message):
        simulate_rebound(Mixture(THIRDS, [1, 1, 1]), **options)


def test_factors_refuse(unchecked):
    trees = [tree({"00": 1}), tree({"01": 1}), tree({"11": 1})]
    with pytest.raises(ValueError, match=r"depths\[1\] = 1.0: must be larger"):
        rebound_by_depth(trees, depths=[2, 1])
    with pytest.raises(TypeError, match=r"depths\[0\] = 1.5"):
        rebound_by_depth(trees, depths=[1.5, 2])
    with pytest.raises(ValueError, match=r"sizes has shape"):
        rebound_by_pretraining(Mixture(THIRDS, [1, 1, 1]), sizes=5.0)
    found = rebound_by_pretraining(Mixture(THIRDS, [1, 1, 1]))
    with pytest.raises(ValueError, match="positive = 4: must be below 4"):
        found.fit("counts", 4)
    with pytest.raises(ValueError, match="regime = 'slow'"):
        found.fit("slow")


FEWER_AXES = {
    "entropy_gap": ("direction", "examples"),
    "excess_gap": ("direction", "examples"),
    "needed": ("negative",),
    "unexpanded": ("regime", "positive", "negative"),
}


@pytest.mark.parametrize(
    "found",
    [
        simulate_resistance(Mixture(THIRDS, [1, 1, 1])),
        simulate_resistance(Mixture(THIRDS, [1, 1, 1]), slices=11),
        simulate_rebound(Mixture(THIRDS, [1, 1, 1])),
        rebound_by_pretraining(Mixture(THIRDS, [1, 1, 1])),
    ],
    ids=["resistance", "many slices", "rebound", "factor"],
)
def test_tables_give_back_the_arrays(found):
    frame = found.to_frame()
    assert frame.index.is_unique
    assert frame.index.is_monotonic_increasing
    regimes, *axes = frame.index.levels
    assert tuple(regimes) == REGIMES
    # An axis is the field of that name, or what is varied; pairs and directions have their words.
    for axis in axes:
        if axis.name == "pair":
            assert [tuple(map(int, pair.split("-"))) for pair in axis] == list(found.pairs)
        elif axis.name == "direction":
            assert tuple(axis) == DIRECTIONS
        else:
            name = "values" if axis.name == getattr(found, "factor", None) else axis.name
            np.testing.assert_array_equal(axis, getattr(found, name))
    for name in frame:
        grid, array = frame[name].to_numpy().reshape(frame.index.levshape), getattr(found, name)
        missing = [axis for axis in FEWER_AXES.get(name, ()) if axis in frame.index.names]
        places = [frame.index.names.index(axis) for axis in missing]
        np.testing.assert_array_equal(grid, np.broadcast_to(np.expand_dims(array, places), grid.shape))
    assert json.loads(json.dumps(found.to_dict(), allow_nan=False))


# On data


@pytest.fixture(scope="module")
def corpora():
    return text_corpus(), pareto_corpus(np.random.default_rng(0))


def test_definition_3_6_on_data(corpora):
    for corpus in corpora:
        # |D_p| = 1000 |D_a|, and the best of all D_b.
        mixture = Mixture.from_trees(corpus.trees).with_sizes([10**9, 10**6, 1])
        before = least_alignment_budget(mixture, 0).before
        half = least_alignment_budget(mixture, before / 2)
        assert half.ratio > 0.5
        # More pre-training data: T to halve what is left.
        more = inverse_alignment_budget(mixture, before / 2, inverse=0)
        assert more.ratio == pytest.approx(1001, rel=1e-9)
        # Fixed steps, ten times as many as it takes to forget.
        fixed = least_alignment_budget(mixture, 0.05, regime="fine-tuning", step=1e-5)
        assert 0 < fixed.ratio < 0.2


def test_resistance_on_data(corpora):
    directions = []
    for corpus in corpora:
        found = simulate_resistance(Mixture.from_trees(corpus.trees).with_sizes([10**9, 10**6, 1]))
        assert found.decided_by_entropy.all()
        assert found.inverse_easier_by_excess[0].all()
        directions.append(np.unique(found.inverse_easier_by_loss).tolist())
    # Text becomes less varied as it is aligned; these Pareto trees become more so.
    assert directions == [[False], [True]]


def test_rebound_on_data(corpora):
    for corpus in corpora:
        found = simulate_rebound(Mixture.from_trees(corpus.trees))
        assert found.falls_faster.tolist() == [False, True]
        assert found.levels_off.all()
        assert not found.needed_falls.any()
        factor = rebound_by_pretraining(Mixture.from_trees(corpus.trees))
        assert factor.fit("counts").exponent == pytest.approx(-1, abs=1e-3)
        assert factor.fit("fine-tuning").exponent == pytest.approx(0, abs=1e-9)
        by_depth = rebound_by_depth(corpus.trees, depths=range(3, corpus.trees[0].depth + 1))
        assert by_depth.fit("fine-tuning").exponent > 0
        assert not by_depth.later_slower.any()


def test_a_model_that_kept_hardly_anything_is_turned_at_the_same_point():
    # After 40,000 steps of 1e-3 the model has kept 4e-18 of p_p, which 1 - 4e-18 = 1 must not lose.
    mixture = Mixture([[1, 2, 1], [0, 1, 2], [0, 2, 1]], [1, 10**5, 1])
    found = inverse_alignment_budget(mixture, 36.02, distance="kl", regime="fine-tuning", step=1e-3)
    assert found.limit < 36.02 < found.before
    assert found.reachable
    assert 0 < found.size < found.limit_size < 200
