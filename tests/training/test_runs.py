"""Training runs as arrays: what the law says of them."""

import math
import pickle
import tracemalloc
from fractions import Fraction
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, strategies as st

from tokentree import Mixture
from tokentree.training import Monotonicity, TrainingRuns, pairs

NAN = math.nan

SMALL = TrainingRuns(
    [[3, 1, 0], [2, 2, 0], [0, 1, 4]],
    [[1.0, 2.0, NAN, 0.5], [1.25, 1.5, NAN, 0.25], [1.5, 1.25, NAN, -1.0]],
    ["web", "code", "forum"],
    tasks=["quiz"],
)


@st.composite
def tables(draw, errors=False):
    """Runs of small integers and eighths, so that exact sums are far from zero or are zero."""
    runs, datasets = draw(st.integers(1, 5)), draw(st.integers(1, 4))
    row = st.lists(st.integers(0, 3), min_size=datasets, max_size=datasets).filter(any)
    loss = st.integers(-8, 40).map(lambda x: x / 8)
    losses = st.lists(
        st.just(NAN) | loss if draw(st.booleans()) else loss, min_size=datasets, max_size=datasets
    )
    sizes, rates = (draw(st.lists(each, min_size=runs, max_size=runs)) for each in (row, losses))
    parameters = draw(st.none() | st.lists(st.sampled_from([1, 2]), min_size=runs, max_size=runs))
    spread = np.array(draw(st.lists(losses, min_size=runs, max_size=runs)))
    return {
        "sizes": np.array(sizes, np.float64),
        "rates": np.array(rates),
        "parameters": parameters,
        "errors": np.nan_to_num(np.abs(spread)) if errors else None,
    }


def certified(runs, a, b):
    """Whether b has the losses of all of a's data."""
    return all(not n or not math.isnan(g) for n, g in zip(runs.sizes[a], runs.rates[b], strict=False))


def exact_regret(runs, a, b):
    if not (certified(runs, a, a) and certified(runs, a, b)):
        return None
    rows = zip(runs.sizes[a], runs.rates[a], runs.rates[b], strict=False)
    return sum(Fraction(n) * (Fraction(h) - Fraction(g)) for n, g, h in rows if n)


def comparable(runs, a, b):
    return runs.parameters is None or runs.parameters[a] == runs.parameters[b]


def spread(runs, steps, a, b):
    if runs.errors is None:
        return 0.0
    rows = zip(steps, runs.errors[a], runs.errors[b], strict=True)
    return math.sqrt(sum(n * n * (e * e + f * f) for n, e, f in rows if n))


def exact_gap(runs, a, z):
    if not certified(runs, a, a):
        return None
    others = [b for b in range(runs.n_runs) if comparable(runs, a, b) and certified(runs, a, b)]
    found = (float(-exact_regret(runs, a, b)) - z * spread(runs, runs.sizes[a], a, b) for b in others)
    return max(0.0, *found)


def exact_monotone(runs, sure, z):
    """Sums over the pairs that can be compared, less their errors."""
    found = {}
    for a, b in combinations(range(runs.n_runs), 2):
        known = ~np.isnan(runs.rates[[a, b]]).any(axis=0)
        needed = (runs.sizes[[a, b]] > 0).any(axis=0)
        if comparable(runs, a, b) and (not (needed & ~known).any() if sure else known.any()):
            steps = np.where(known, runs.sizes[b] - runs.sizes[a], 0)
            rows = zip(steps, runs.rates[a], runs.rates[b], strict=True)
            total = sum(Fraction(n) * (Fraction(h) - Fraction(g)) for n, g, h in rows if n)
            found[a, b] = float(total) - z * spread(runs, steps, a, b)
    return found


@given(tables())
def test_regret_is_what_another_model_would_cost(table):
    runs = TrainingRuns(**table)
    regret = runs.regret()
    for a in range(runs.n_runs):
        for b in range(runs.n_runs):
            exact = exact_regret(runs, a, b)
            if exact is None:
                assert np.isnan(regret[a, b])
            else:
                assert regret[a, b] == pytest.approx(float(exact), abs=1e-13)


@given(tables() | tables(errors=True), st.sampled_from([0, 1, 2.5]))
def test_gaps_are_the_largest_certified_differences(table, z):
    runs = TrainingRuns(**table)
    exact = [exact_gap(runs, a, z) for a in range(runs.n_runs)]
    assert np.isnan(runs.gaps(z)).tolist() == [gap is None for gap in exact]
    assert np.allclose(
        runs.gaps(z), [NAN if gap is None else gap for gap in exact], atol=1e-6, equal_nan=True
    )
    if runs.errors is None:
        assert [gap > 0 for gap in runs.gaps()] == [gap is not None and gap > 0 for gap in exact]


@given(tables())
def test_the_symmetric_test_holds_where_no_run_is_beaten(table):
    runs = TrainingRuns(**table)
    assert runs.monotone().holds or (runs.gaps() > 0).any()


def test_a_gap_keeps_its_digits_beside_much_larger_sums():
    # A bound that is above the difference by rounding would not be certified.
    gaps = TrainingRuns([[1, 1e12], [1, 1e12], [1, 1]], [[1 / 3, 1.1], [0, 1.1], [0, 6]]).gaps()
    assert gaps[:2].tolist() == [1 / 3, 0]


@given(tables(), st.sampled_from([1e9, 1e15, 1e300]))
def test_a_run_that_diverged_changes_nothing_between_others(table, loss):
    table |= {"parameters": None, "tasks": ()}
    n = table["sizes"].shape[1]
    alone = TrainingRuns(table["sizes"], table["rates"][:, :n])
    sizes, rates = np.vstack([alone.sizes, np.full(n, 4)]), np.vstack([alone.rates, np.full(n, loss)])
    diverged = TrainingRuns(sizes, rates)
    np.testing.assert_array_equal(diverged.regret()[:-1, :-1], alone.regret())
    np.testing.assert_array_equal(diverged.gaps()[:-1], alone.gaps())
    # More data of every kind and a larger loss.
    before, after = alone.monotone(), diverged.monotone()
    assert after.violated - before.violated == after.pairs - before.pairs


@given(st.floats(1e-9, 1e-6), st.floats(0, 0.25))
def test_errors_of_runs_of_nearly_equal_sizes(more, worse):
    # 2 standard errors are 0.28 times the step.
    runs = TrainingRuns([[1, 1], [1 + more, 1]], [[1, 2], [1 + worse, 2]], errors=np.full((2, 2), 0.1))
    assert runs.monotone().holds
    assert not runs.monotone(z=0).holds or worse < 1e-6


@given(tables() | tables(errors=True), st.booleans(), st.sampled_from([0, 2]))
def test_monotone_counts_the_pairs_that_disobey(table, sure, z):
    runs = TrainingRuns(**table)
    exact, found = exact_monotone(runs, sure, z), runs.monotone(sure, z=z)
    assert found.pairs == len(exact)
    assert found.certified == sure
    if not exact:
        assert math.isnan(found.worst)
        assert found.worst_pair is None
        assert found.holds
        return
    assert found.worst == pytest.approx(max(exact.values()), abs=1e-6)
    assert exact[found.worst_pair] == pytest.approx(found.worst, abs=1e-6)
    clear = [value for value in exact.values() if abs(value) > 1e-6 or runs.errors is None]
    assert (
        sum(value > 0 for value in clear) <= found.violated <= len(exact) - sum(value <= 0 for value in clear)
    )


@given(tables(errors=True))
def test_blocks_of_rows_change_nothing(table):
    runs = TrainingRuns(**table)
    whole = runs.gaps(), runs.regret(), runs.monotone(), runs.monotone(False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pairs, "_BLOCK", 2)
        parts = runs.gaps(), runs.regret(), runs.monotone(), runs.monotone(False)
    for one, other in zip(whole[:2], parts[:2], strict=True):
        assert np.allclose(one, other, rtol=1e-12, atol=1e-12, equal_nan=True)
    assert [found.pairs for found in whole[2:]] == [found.pairs for found in parts[2:]]


# Exact minimisers


def of_mixtures(rng, runs=60):
    """Rates of joint compression at random sizes, some of them zero: q is free, so these are minimisers."""
    mixture = Mixture(rng.dirichlet(np.ones(12), 4), np.ones(4))
    sizes = rng.dirichlet(np.ones(4), runs) * 10 ** rng.uniform(-3, 12, (runs, 1))
    rates = np.array([mixture.with_sizes(n).rates(math.e) for n in sizes])
    return TrainingRuns(sizes, rates)


def of_few_models(rng, runs=60):
    """The best of twenty models, whatever their losses are."""
    losses = rng.normal(size=(20, 4))
    sizes = rng.dirichlet(np.full(4, 0.3), runs) * rng.uniform(0.1, 10, (runs, 1))
    sizes[rng.random(sizes.shape) < 0.2] = 0
    sizes[:, 0] += 1e-3
    return TrainingRuns(sizes, losses[(sizes @ losses.T).argmin(axis=1)])


@pytest.mark.parametrize("make", [of_mixtures, of_few_models])
@pytest.mark.parametrize("seed", range(5))
def test_minimisers_left_nothing(make, seed):
    rng = np.random.default_rng(seed)
    runs = make(rng)
    assert (runs.gaps() == 0).all()
    assert (runs.regret() >= -1e-14 * runs.sizes.sum(axis=1, keepdims=True)).all()
    for found in (runs.monotone(), runs.monotone(certified=False)):
        assert found.holds
        assert found.pairs == 60 * 59 // 2
    # Beside the minimiser itself, a run that is worse left what was added to its losses.
    added = rng.random((60, 4))
    worse = TrainingRuns(np.vstack([runs.sizes] * 2), np.vstack([runs.rates, runs.rates + added]))
    left = (runs.sizes * added).sum(axis=1)
    assert np.allclose(worse.gaps()[60:], left, rtol=1e-9)
    assert (worse.gaps()[:60] == 0).all()
    assert not worse.monotone().holds or not worse.monotone().pairs


def test_losses_out_of_order_break_the_law():
    runs = of_mixtures(np.random.default_rng(1))
    turned = TrainingRuns(runs.weights, np.roll(runs.rates, 1, axis=1)).monotone()
    assert 0.2 * turned.pairs < turned.violated < 0.8 * turned.pairs


def test_equal_runs_and_one_run():
    twice = TrainingRuns([[1e9, 3]] * 3, [[0.1, 0.7]] * 3)
    assert twice.monotone() == Monotonicity(3, 0, 0.0, (0, 1), True)
    assert (twice.gaps() == 0).all()
    assert (twice.regret() == 0).all()
    one = TrainingRuns([[1, 0, 0, 0]], [[0.0, NAN, NAN, NAN]])
    assert one.gaps().tolist() == [0]
    assert one.monotone() == Monotonicity(0, 0, NAN, None, True)
    assert one.monotone(False).pairs == 0


def test_only_runs_of_one_model_size_are_compared():
    sizes, rates = [[1, 1]] * 4, [[3, 3], [2, 2], [3, 3], [2.5, 2.5]]
    assert TrainingRuns(sizes, rates).gaps().tolist() == [2, 0, 2, 1]
    large = {"parameters": [1e6, 1e7, 1e6, 1e6]}
    assert TrainingRuns(sizes, rates, **large).gaps().tolist() == [1, 0, 1, 0]
    assert TrainingRuns(sizes, rates, **large, tokens=[1, 1, 2, 1]).gaps().tolist() == [1, 0, 0, 0]
    assert TrainingRuns(sizes, rates, **large).monotone().pairs == 3
    assert TrainingRuns(sizes, rates, tokens=[1, 2, 3, 4]).monotone().pairs == 0


def test_a_violation_within_the_error_is_none():
    sizes, rates = [[3, 1], [1, 3]], [[1.1, 2.0], [1.0, 1.9]]
    assert TrainingRuns(sizes, rates).gaps() == pytest.approx([0.4, 0])
    errors = np.full((2, 2), 0.05)
    runs = TrainingRuns(sizes, rates, errors=errors)
    one = 0.05 * math.sqrt(2 * (9 + 1))
    assert runs.gaps(z=1) == pytest.approx([0.4 - one, 0])
    assert runs.gaps().tolist() == [0, 0]
    upward = TrainingRuns(sizes, [[1.1, 1.9], [1.0, 2.0]], errors=errors)
    found = upward.monotone(z=0)
    assert (found.pairs, found.violated, found.worst_pair, found.holds) == (1, 1, (0, 1), False)
    assert found.worst == pytest.approx(0.4)
    assert upward.monotone().holds
    with pytest.raises(ValueError, match=r"z = -1: a number of standard errors must be finite and >= 0"):
        upward.gaps(-1)
    with pytest.raises(ValueError, match="z = nan"):
        upward.monotone(z=NAN)


def test_a_loss_never_measured_certifies_nothing():
    sizes = [[1, 1], [2, 0], [0, 1]]
    runs = TrainingRuns(sizes, [[1, NAN], [2, NAN], [3, NAN]])
    assert runs.gaps()[1] == 2
    assert np.isnan(runs.gaps()[[0, 2]]).all()
    assert runs.monotone().pairs == 0
    assert runs.monotone(False).pairs == 3
    assert np.isnan(runs.regret()).tolist() == [[True] * 3, [False] * 3, [True] * 3]


# Balance


def path(steps, ends=(0.1, 0.9)):
    mixture = Mixture([[5, 2, 1], [1, 2, 5], [1, 1, 1]], [1, 1, 1])
    sizes = [[7 * w, 7 * (1 - w), 0] for w in np.linspace(*ends, steps)]
    q = np.array(sizes) @ mixture.distributions / 7
    return TrainingRuns(sizes, -np.log(q) @ mixture.distributions.T, ["a", "b", "c"])


def test_balance_of_minimisers_is_one():
    for steps, within in ((5, 0.03), (50, 3e-4), (500, 3e-6)):
        runs = path(steps)
        assert runs.balance("a", "b") == pytest.approx(1, abs=within)
        assert runs.balance("b", 0) == pytest.approx(1 / runs.balance(0, 1))
    assert path(500, (0, 1)).balance("a", "b") == pytest.approx(1, abs=1e-3)


def test_balance_of_a_path_by_hand():
    sizes, rates = [[3, 1], [2, 2], [1, 3]], [[1.0, 2.0], [1.25, 1.5], [1.5, 1.0]]
    # From a share of 1/4 up: code's loss rises by 1/2 and 1/2, web's falls by 1/4 and 1/4.
    by_hand = (0.5 * (5 / 8) + 0.5 * (3 / 8)) / (0.25 * (3 / 8) + 0.25 * (5 / 8))
    assert TrainingRuns(sizes, rates).balance(0, 1) == by_hand == 2
    # Other amounts, another order, a third dataset, and a run of its own data change nothing.
    wide = [[20, 20, 0], [1, 3, 0], [0.75, 0.25, 0], [1, 0, 1], [1, 1, 0]]
    losses = [[1.25, 1.5, 9], [1.5, 1.0, NAN], [1.0, 2.0, 7], [0, 0, 0], [NAN, 1, 1]]
    assert TrainingRuns(wide, losses).balance(0, 1) == 2
    # Two runs of one mixture are averaged, in whatever order they come.
    pair = [[1, 1], [3, 1], [1, 1], [1, 3]]
    assert TrainingRuns(pair, [[1.0, 1.25], [1, 2], [1.5, 1.75], [1.5, 1]]).balance(0, 1) == 2
    assert math.isnan(TrainingRuns(sizes, [[1, 1]] * 3).balance(0, 1))
    assert TrainingRuns(sizes, [[1, 2], [1, 1.5], [1, 1]]).balance(0, 1) in (math.inf, -math.inf)


def test_balance_needs_a_path():
    runs = path(3)
    with pytest.raises(ValueError, match=r"i, j = 'a' and 'c': 0 mixtures found, must be two or more"):
        runs.balance("a", "c")
    with pytest.raises(ValueError, match=r"i, j = 'a' and 'b': 1 mixtures found"):
        runs.subset([0, 0]).balance("a", "b")
    with pytest.raises(ValueError, match=r"i, j = 'b', 1: must be different datasets"):
        runs.balance("b", 1)
    with pytest.raises(ValueError, match=r"j = 'd': must be one of 'a', 'b', 'c'"):
        runs.balance("a", "d")
    with pytest.raises(ValueError, match=r"i = 3: must be below the number of datasets, 3"):
        runs.balance(3, "a")
    mixed = TrainingRuns(runs.sizes, runs.rates, parameters=[1, 1, 2])
    with pytest.raises(ValueError, match=r"parameters of these runs are 1 to 2: must be the same"):
        mixed.balance(0, 1)
    assert mixed.subset([0, 1]).balance(0, 1) > 0


# The table


def test_what_was_given_is_kept_and_cannot_be_changed():
    sizes, rates = np.array([[3.0, 1.0], [1.0, 1.0]]), np.array([[0.0, -1.5], [NAN, 2.0]])
    runs = TrainingRuns(
        sizes, rates, parameters=[10, 20], tokens=[5, 5], errors=[[0, 1], [NAN, 2]], labels=["a", "b"]
    )
    before = sizes.copy()
    sizes[:] = 7
    assert np.array_equal(runs.sizes, before)
    for array in (runs.sizes, runs.rates, runs.parameters, runs.tokens, runs.errors):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1
    assert runs.names == ("D1", "D2") == runs.losses
    assert runs.weights.tolist() == [[0.75, 0.25], [0.5, 0.5]]
    assert (runs.n_runs, runs.n_datasets) == (2, 2)
    assert runs.labels == ("a", "b")
    assert (runs.matches, runs.left_out, runs.unused) == ({}, {}, ())
    assert SMALL.losses == ("web", "code", "forum", "quiz")
    assert SMALL.measured.tolist() == [True, True, False, True]
    assert SMALL.parameters is SMALL.tokens is SMALL.errors is SMALL.labels is None


def test_runs_are_equal_if_all_they_hold_is():
    copy = pickle.loads(pickle.dumps(SMALL))
    assert copy == SMALL
    assert TrainingRuns(SMALL.sizes, SMALL.rates, SMALL.names, tasks=["exam"]) != SMALL
    assert SMALL.subset([1, 0, 2]) != SMALL
    assert SMALL != 3
    with pytest.raises(TypeError, match="unhashable"):
        hash(SMALL)


def test_how_runs_show_themselves():
    assert repr(SMALL) == (
        "TrainingRuns(3 runs, 3 datasets (web, code, forum), 3 losses, tasks: quiz; no loss of forum)"
    )
    page = SMALL._repr_html_()
    assert "TrainingRuns: 3 runs" in page
    assert ">task<" in page
    assert "column" not in page
    many = TrainingRuns(np.ones((1, 9)), np.full((1, 9), NAN))
    assert repr(many).endswith("0 losses; no loss of D1, D2, D3, D4, D5, D6 and 3 more)")


def test_subsets():
    runs = TrainingRuns(
        SMALL.sizes,
        SMALL.rates,
        SMALL.names,
        tasks=SMALL.tasks,
        parameters=[1, 2, 3],
        errors=np.ones((3, 4)),
        labels=["x", "y", "z"],
    )
    kept = runs.subset([2, 0])
    assert (kept.labels, kept.parameters.tolist(), kept.tokens) == (("z", "x"), [3, 1], None)
    assert np.array_equal(kept.rates, runs.rates[[2, 0]], equal_nan=True)
    assert runs.subset(slice(None)) == runs == runs.subset(np.ones(3, bool))
    assert runs.subset([True, False, True]) == runs.subset([0, 2]) == runs.subset([-3, -1])
    for rows, message in (
        ([3], r"rows\[0\] = 3: must be a position among 3 runs"),
        ([0, -4], r"rows\[1\] = -4"),
        ([True, False], r"rows has dtype bool and shape \(2,\): must be positions, or a mask of 3 runs"),
        ([[0]], r"shape \(1, 1\)"),
        ([], "rows selects no run"),
        (slice(5, None), "rows selects no run"),
        (np.zeros(3, bool), "rows selects no run"),
    ):
        with pytest.raises(ValueError, match=message):
            runs.subset(rows)
    with pytest.raises(TypeError, match="rows has dtype float64: must be integers"):
        runs.subset([0.0, 1.0])


def test_frames():
    pytest.importorskip("pandas")
    table = SMALL.to_frame()
    assert table.index.name == "run"
    assert table.index.to_list() == [0, 1, 2]
    assert table.columns.to_list() == [
        *("size_web", "size_code", "size_forum"),
        *("loss_web", "loss_code", "loss_forum", "loss_quiz"),
    ]
    assert TrainingRuns.from_frame(table, sizes="size_*", rates="loss_*") == SMALL
    full = TrainingRuns([[1]], [[2]], parameters=[3], tokens=[4], errors=[[5]], labels=["x"]).to_frame()
    assert full.to_dict("index") == {
        "x": {"size_D1": 1, "loss_D1": 2, "error_D1": 5, "parameters": 3, "tokens": 4}
    }


GOOD = {"sizes": [[1, 2], [3, 4]], "rates": [[1, 2], [3, 4]]}


@pytest.mark.parametrize(
    ("changed", "kind", "message"),
    [
        ({"sizes": [1, 2]}, ValueError, r"sizes has shape \(2,\): must be \(runs, datasets\)"),
        ({"sizes": np.ones((0, 2))}, ValueError, r"sizes has shape \(0, 2\)"),
        ({"sizes": [[1, 2], [3, -1]]}, ValueError, r"sizes\[1, 1\] = -1.0: must be finite and >= 0"),
        ({"sizes": [[1, NAN], [3, 1]]}, ValueError, r"sizes\[0, 1\] = nan"),
        ({"sizes": [[1, 2], [0, 0]]}, ValueError, r"sizes.sum\(axis=1\)\[1\] = 0.0: must be finite and > 0"),
        ({"sizes": [[1e308, 1e308], [1, 1]]}, ValueError, r"sizes.sum\(axis=1\)\[0\] = inf"),
        ({"sizes": [["a", 1], [1, 1]]}, TypeError, "sizes holds text"),
        ({"rates": [[1, 2]]}, ValueError, r"rates has shape \(1, 2\): must be \(2, 2\): a row for each run"),
        ({"rates": [[1, 2, 3]] * 2}, ValueError, r"rates has shape \(2, 3\): must be \(2, 2\)"),
        ({"rates": [[1, math.inf], [3, 4]]}, ValueError, r"rates\[0, 1\] = inf: must be finite, or NaN"),
        ({"names": ["a", "a"]}, ValueError, r"names\[1\] = 'a': already the name of dataset 0"),
        ({"tasks": ["D2"], "rates": np.ones((2, 3))}, ValueError, r"tasks\[0\] = 'D2': already .* dataset 1"),
        ({"tasks": ["t", "t"]}, ValueError, r"tasks\[1\] = 't': already the name of task 0"),
        ({"tasks": "t"}, ValueError, r"tasks = 't': must be strings"),
        ({"parameters": [1, 0]}, ValueError, r"parameters\[1\] = 0.0: must be finite and > 0"),
        ({"parameters": [1]}, ValueError, r"parameters has shape \(1,\): must be \(2,\), one for each run"),
        ({"tokens": [NAN, 1]}, ValueError, r"tokens\[0\] = nan"),
        ({"errors": [[0, 0], [0, -1]]}, ValueError, r"errors\[1, 1\] = -1.0: must be finite and >= 0"),
        ({"errors": [[0, 0], [0, NAN]]}, ValueError, r"errors\[1, 1\] = nan"),
        ({"errors": [[0, 0]]}, ValueError, r"errors has shape \(1, 2\)"),
        ({"labels": ["x"]}, ValueError, r"labels lists 1: must be 2 strings"),
    ],
)
def test_what_is_no_table_of_runs(changed, kind, message):
    with pytest.raises(kind, match=message):
        TrainingRuns(**(GOOD | changed))


def test_names_that_are_no_strings(unchecked):
    with pytest.raises(TypeError, match=r"tasks\[0\] = 3: must be a string"):
        TrainingRuns(**GOOD, tasks=[3])
    with pytest.raises(TypeError, match=r"labels\[1\] = None: must be a string"):
        TrainingRuns(**GOOD, labels=["a", None])


@pytest.mark.slow
def test_ten_thousand_runs_of_twenty_datasets_stay_in_memory():
    rng = np.random.default_rng(0)
    sizes, p = rng.dirichlet(np.full(20, 0.3), 10**4), rng.dirichlet(np.ones(40), 20)
    runs = TrainingRuns(sizes, -np.log(sizes @ p) @ p.T)
    tracemalloc.start()
    try:
        assert (runs.gaps() == 0).all()
        assert runs.monotone().holds
        assert tracemalloc.get_traced_memory()[1] < 2**28
        assert (runs.regret() > -1e-13).all()
        assert tracemalloc.get_traced_memory()[1] < 2**30
    finally:
        tracemalloc.stop()
