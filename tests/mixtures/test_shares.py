"""The best mixture for a target, against exact answers, brute force, and its own certificate."""

import numpy as np
import pytest
from hypothesis import given, strategies as st

from tokentree.information import cross_entropy
from tokentree.mixtures import BestSizes, Mixture, best_shares, share_bounds, target_weights

NAMES = ("web", "books", "code")


def free(n):
    return share_bounds([str(i) for i in range(n)], None, None, None, 1.0, 1.0)


def value(target, rows, w):
    return -float(target @ np.log(w @ rows))


@st.composite
def problems(draw, least=2, most=6):
    n, m = draw(st.integers(least, most)), draw(st.integers(2, 8))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    concentration = draw(st.sampled_from([0.1, 1.0, 10.0]))
    rows = rng.dirichlet(np.full(m, concentration), size=n) + 1e-6
    rows /= rows.sum(axis=1, keepdims=True)
    return rng.dirichlet(np.ones(m)) * draw(st.sampled_from([1e-3, 1.0, 1e3])), rows, rng


@given(problems())
def test_no_shares_are_better_by_more_than_the_gap(problem):
    target, rows, rng = problem
    found = best_shares(target, rows, free(len(rows)))
    assert found.shares.min() > 0
    assert found.shares.sum() == pytest.approx(1, rel=1e-12)
    assert found.gap <= 1e-9 * target.sum()
    # The value has the rounding of its own sum, which the gap does not count.
    rounding = 1e-13 * target.sum() * (1 + np.abs(np.log(rows)).max())
    assert found.value == pytest.approx(value(target, rows, found.shares), abs=rounding)
    for w in rng.dirichlet(np.full(len(rows), 0.5), size=200):
        assert value(target, rows, w) >= found.value - found.gap - rounding


@given(problems())
def test_the_optimum_is_covers(problem):
    """Kuhn and Tucker: sum_x t_x p_jx / q_x is the target's weight where w_j > 0, and no more anywhere."""
    target, rows, _ = problem
    found = best_shares(target, rows, free(len(rows)))
    growth = rows @ (target / (found.shares @ rows)) / target.sum()
    assert (growth <= 1 + 1e-9).all()
    assert np.abs(found.shares * (growth - 1)).max() < 1e-9


@given(st.integers(2, 8), st.integers(0, 2**32))
def test_disjoint_datasets_get_the_targets_own_shares(n, seed):
    target = np.random.default_rng(seed).dirichlet(np.ones(n))
    assert best_shares(target, np.eye(n), free(n)).shares == pytest.approx(target, abs=1e-9)


@given(problems(least=3), st.floats(0.0, 0.25), st.floats(0.4, 0.9))
def test_bounds_are_kept_and_the_certificate_knows_them(problem, low, high):
    target, rows, rng = problem
    n = len(rows)
    allowed = share_bounds([str(i) for i in range(n)], low / n, {"0": high}, None, 1.0, 1.0)
    found = best_shares(target, rows, allowed)
    assert (found.shares >= low / n - 1e-12).all()
    assert found.shares[0] <= high + 1e-12
    assert found.gap <= 1e-9 * target.sum()
    for w in rng.dirichlet(np.ones(n), size=200):
        w = low / n + (1 - low) * w
        if w[0] <= high:
            assert value(target, rows, w) >= found.value - found.gap - 1e-9 * target.sum()


@given(problems(), st.integers(0, 2**32))
def test_stiffness_and_its_bounds(problem, seed):
    target, rows, rng = problem
    n = len(rows)
    each = np.exp(np.random.default_rng(seed).normal(size=n))
    allowed = share_bounds([str(i) for i in range(n)], 0.05, 0.8, None, 1.0, 1.0)
    found = best_shares(target, rows, allowed, stiffness=each)
    assert (found.shares >= 0.05 - 1e-9).all()
    assert (found.shares <= 0.8 + 1e-9).all()
    assert found.gap <= 1e-8 * target.sum()

    def stiff(w):
        return value(target, rows, w * each / (w @ each))

    assert found.value == pytest.approx(stiff(found.shares), rel=1e-9, abs=1e-9 * target.sum())
    for w in rng.dirichlet(np.ones(n), size=200):
        w = 0.05 + (1 - 0.05 * n) * w
        if w.max() <= 0.8:
            assert stiff(w) >= found.value - found.gap - 1e-9 * target.sum()


@pytest.mark.parametrize("upper", [0.4, 1e-3, 1e-6, 1e-9])
@pytest.mark.parametrize("stiffness", [1e-4, 1e-2, 1.0, 1e2])
def test_the_certificate_knows_a_narrow_bound(upper, stiffness):
    # Only the first dataset has the first leaf, so its share is best at the bound.
    target, rows, each = np.array([0.6, 0.4]), np.array([[0.5, 0.5], [0.0, 1.0]]), np.array([1.0, stiffness])
    allowed = share_bounds("ab", None, {"a": upper}, None, 1.0, 1.0)
    found = best_shares(target, rows, allowed, stiffness=each)
    u = each * [upper, 1 - upper]
    assert value(target, rows, u / u.sum()) >= found.value - found.gap - 1e-14 * abs(found.value)


@given(problems(most=2), st.floats(0.01, 0.9), st.sampled_from(10.0 ** np.arange(-16, -5)), st.booleans())
def test_bounds_with_hardly_any_room(problem, low, room, beside):
    target, rows, _ = problem
    lower = {"a": low, "b": 1 - low - room} if beside else {"a": low}
    found = best_shares(target, rows, share_bounds("ab", lower, {"a": low + room}, None, 1.0, 1.0))
    assert low - 1e-12 <= found.shares[0] <= low + room + 1e-12
    rounding = 1e-13 * target.sum() * (1 + np.abs(np.log(rows)).max())
    for end in (low, low + room):
        assert value(target, rows, np.array([end, 1 - end])) >= found.value - found.gap - rounding


@given(problems(), st.floats(1e-3, 10))
def test_a_pull_is_one_more_spring(problem, pull):
    """At the optimum the slope of the rate balances that of the pull, whatever the dataset."""
    target, rows, _ = problem
    n = len(rows)
    prior = np.arange(1.0, n + 1)
    found = best_shares(target, rows, free(n), prior=prior, pull=pull, names=[str(i) for i in range(n)])
    w, prior = found.shares, prior / prior.sum()
    slope = -rows @ (target / (w @ rows)) + pull * (np.log(w / prior) + 1)
    # The others have a share that is no number apart from 0.
    on = w > 1e-6
    assert np.ptp(slope[on]) < 1e-6 * (target.sum() + pull)
    assert (slope[~on] > slope[on].min() - 1e-6 * (target.sum() + pull)).all()
    assert found.gap <= 1e-9 * (target.sum() + pull)
    near = best_shares(
        target, rows, free(n), prior=prior, pull=1e9 * target.sum(), names=[str(i) for i in range(n)]
    )
    assert near.shares == pytest.approx(prior, abs=1e-6)


@given(problems())
def test_the_worst_mixture_is_a_corner(problem):
    target, rows, rng = problem
    found = best_shares(target, rows, free(len(rows)), worst=True)
    assert sorted(found.shares)[-1] == 1
    assert found.gap == 0
    assert found.value == max(value(target, rows, w) for w in np.eye(len(rows)))
    bounded = share_bounds([str(i) for i in range(len(rows))], 0.1, None, None, 1.0, 1.0)
    inside = best_shares(target, rows, bounded, worst=True)
    assert np.isnan(inside.gap)
    for w in rng.dirichlet(np.full(len(rows), 0.2), size=50):
        w = 0.1 + (1 - 0.1 * len(rows)) * w
        assert value(target, rows, w) <= found.value + 1e-9 * abs(found.value)


def test_shares_that_leave_no_choice():
    rows = np.array([[0.5, 0.5], [0.1, 0.9]])
    only = share_bounds(("a", "b"), {"a": 1.0}, None, None, 1.0, 1.0)
    found = best_shares(np.array([0.0, 1.0]), rows, only)
    assert found.shares.tolist() == [1.0, 0.0]
    assert found.gap == 0
    one = best_shares(np.array([1.0]), np.array([[1.0]]), free(1))
    assert one.shares.tolist() == [1.0]
    shut = share_bounds(("a", "b"), None, {"b": 0.0}, None, 1.0, 1.0)
    assert best_shares(np.array([0.0, 1.0]), rows, shut).shares.tolist() == [1.0, 0.0]


@pytest.mark.parametrize("stiffness", [None, np.array([1.0, 2.0, 3.0])])
@pytest.mark.parametrize(
    "bounds",
    [
        {"lower": [0.5, 0.25, 0.25]},
        {"upper": [0.5, 0.25, 0.25]},
        {"upper": [0.5 - 1e-13, 0.25, 0.25]},
        {"available": [50.0, 25.0, 25.0]},
    ],
    ids=str,
)
def test_bounds_that_sum_to_one_leave_no_choice(bounds, stiffness):
    given = {"lower": None, "upper": None, "available": None} | bounds
    only = share_bounds(NAMES, **given, repetitions=1.0, total=100.0)
    rows = np.array([[0.5, 0.5, 0.0], [0.1, 0.9, 0.0], [0.2, 0.2, 0.6]])
    found = best_shares(np.array([0.2, 0.3, 0.5]), rows, only, stiffness=stiffness)
    assert found.shares == pytest.approx([0.5, 0.25, 0.25], abs=1e-12)
    assert 0 <= found.gap < 1e-6


def test_bounds_that_leave_a_target_without_data_are_refused():
    only = share_bounds(("a", "b"), {"a": 1.0}, None, None, 1.0, 1.0)
    with pytest.raises(ValueError, match="its rate is infinite"):
        best_shares(np.array([0.5, 0.5]), np.eye(2), only)


def test_data_that_run_out_bound_a_share():
    allowed = share_bounds(NAMES, None, None, {"code": 10.0}, 2.0, 100.0)
    assert allowed.upper.tolist() == [1.0, 1.0, 0.2]


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: share_bounds(NAMES, 0.5, None, None, 1.0, 1.0), "sum to at least 1.5"),
        (lambda: share_bounds(NAMES, None, 0.2, None, 1.0, 1.0), "at most 0.6"),
        (lambda: share_bounds(NAMES, {"code": 0.5}, {"code": 0.2}, None, 1.0, 1.0), "share of 'code'"),
        (
            lambda: share_bounds(NAMES, {"news": 0.5}, None, None, 1.0, 1.0),
            "lower names 'news': must be one of",
        ),
        (lambda: share_bounds(NAMES, [0.1, 0.2], None, None, 1.0, 1.0), r"lower has shape \(2,\)"),
        (lambda: share_bounds(NAMES, -0.1, None, None, 1.0, 1.0), "lower = .*must be >= 0|lower.*>= 0"),
        (lambda: share_bounds(NAMES, None, None, [1, 1, 1], 0.0, 1.0), "repetitions = 0.0: must be > 0"),
        (lambda: target_weights("news", NAMES), "target names 'news'"),
        (lambda: target_weights({"web": -1.0}, NAMES), r"target\['web'\] = -1.0"),
        (lambda: target_weights({}, NAMES), "target has no weight"),
        (lambda: best_shares(np.ones(2), np.eye(3)[:, :2], free(3), pull=1.0), "needs a prior"),
        (lambda: best_shares(np.ones(2), np.eye(2), free(2), pull=-1.0), "pull = -1.0"),
        (lambda: best_shares(np.ones(2), np.eye(2), free(2), prior=[1, 1]), "give pull, as in pull=0.1"),
        (lambda: share_bounds(NAMES, None, None, None, 1.0, 0.0), "total = 0.0: must be finite and > 0"),
        (lambda: share_bounds(NAMES, 20, None, None, 1.0, 1.0), "shares lie between 0 and 1"),
        (lambda: best_shares(np.ones(3), np.eye(3)[:2], free(2)), "its rate is infinite"),
        (
            lambda: best_shares(np.ones(2), np.eye(2), free(2), prior=[1, 0], pull=1.0, names=("0", "1")),
            "prior gives '1' no weight: every dataset",
        ),
    ],
)
def test_errors_say_what_is_allowed(call, text):
    with pytest.raises(ValueError, match=text):
        call()


def test_the_result_shows_shares():
    found = BestSizes(NAMES, np.array([1.0, 1.0, 2.0]), 1.5, 1e-12)
    assert repr(found) == "BestSizes(web 0.25, books 0.25, code 0.5; value 1.5, gap 1.0e-12)"
    assert found.to_dict()["sizes"] == [1.0, 1.0, 2.0]
    assert found.to_frame().loc["code", "share"] == 0.5


@given(problems(least=3), st.sampled_from([2, np.e]))
def test_sources_alone_have_shares(problem, base):
    _, rows, rng = problem
    n = len(rows)
    mixture = Mixture(rows, np.ones(n))
    found = mixture.best_sizes({"D1": 2.0}, sources=range(1, n), total=100, base=base)
    assert found.sizes[0] == 0
    assert found.sizes.sum() == pytest.approx(100)
    assert found.value == pytest.approx(2 * cross_entropy(rows[0], found.sizes @ rows / 100, base), rel=1e-12)
    for w in rng.dirichlet(np.ones(n - 1), size=100):
        assert 2 * cross_entropy(rows[0], w @ rows[1:], base) >= found.value - found.gap - 1e-12
    own = mixture.best_sizes("D1")
    assert own.value == pytest.approx(cross_entropy(rows[0], rows[0]), abs=1e-9)


def test_bounds_of_other_datasets_do_not_count():
    mixture = Mixture(np.eye(3), [1, 1, 1])
    found = mixture.best_sizes({"D2": 1, "D3": 1}, sources=["D2", "D3"], lower={"D2": 0.75})
    assert found.sizes == pytest.approx([0, 0.75, 0.25])
    with pytest.raises(ValueError, match=r"at most 0\.5: they must sum to 1"):
        mixture.best_sizes("D2", sources=["D2"], upper=0.5)
