"""The token tree as a mixing law, on runs made from one, and its gradient against differences."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from tokentree.mixtures import BestSizes, Mixture
from tokentree.training import MixingLaw, TrainingRuns, fitting
from tokentree.training.law import _data
from tokentree.training.scores import in_order

NAMES = ("web", "books", "code")


def made(n_runs=60, seed=0, noise=0.0, scale=0.7, tasks=1, sizes=None):
    """Runs whose rates are those of a token tree of five leaves, with one task."""
    rng = np.random.default_rng(seed)
    leaves = rng.dirichlet(np.full(5, 0.5), size=3 + tasks)
    sizes = rng.dirichlet(np.full(3, 0.8), size=n_runs) if sizes is None else sizes
    q = sizes / sizes.sum(axis=1, keepdims=True) @ leaves[:3]
    rates = 2 + scale * -np.log(q) @ leaves.T
    rates += noise * rng.standard_normal(rates.shape)
    return TrainingRuns(sizes, rates, NAMES, tasks=("poems", *map(str, range(1, tasks)))[:tasks]), leaves


@pytest.fixture(scope="module")
def law():
    return MixingLaw.fit(made()[0], 10, "shared", smoothing=1e-5)


@pytest.fixture(scope="module")
def laws():
    return {each: MixingLaw.fit(made(30)[0], 5, each, smoothing=1e-3, starts=1) for each in fitting.SCALES}


@pytest.mark.parametrize("scales", fitting.SCALES)
@pytest.mark.parametrize("joint", [False, True])
@pytest.mark.parametrize("missing", [False, True])
def test_the_gradient_is_that_of_the_value(scales, joint, missing):
    rng = np.random.default_rng(1)
    runs, _ = made(12, noise=0.05)
    rates = np.where(rng.random(runs.rates.shape) < 0.2 * missing, np.nan, runs.rates)
    more = {}
    if joint:
        more = {"parameters": rng.choice([1e6, 3e6, 1e7], 12), "tokens": rng.choice([1e9, 2e9], 12)}
    data, _ = _data(TrainingRuns(runs.sizes, rates, NAMES, tasks=runs.tasks, **more), None)
    objective = fitting.Objective(data, fitting.Shape(3, 1e-2, scales))
    point = objective.start(rng)
    gradient = objective(point)[1]
    for direction in rng.standard_normal((4, len(point))):
        # Small steps of fourth order, for a coefficient that reaches 0 bends the value there.
        h = 1e-5
        values = [objective(point + step * h * direction)[0] for step in (-2, -1, 1, 2)]
        slope = (values[0] - 8 * values[1] + 8 * values[2] - values[3]) / (12 * h)
        assert gradient @ direction == pytest.approx(slope, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("scales", fitting.SCALES)
def test_a_token_tree_is_found_again(unchecked, scales):
    law = MixingLaw.fit(made()[0], 10, scales, smoothing=1e-6)
    unseen, _ = made(sizes=np.random.default_rng(7).dirichlet(np.ones(3), size=50))
    score = law.score(unseen)
    assert score.losses == (*NAMES, "poems")
    assert score.r2.min() > 0.999
    assert score.spearman.min() > 0.99


def test_the_same_seed_gives_the_same_law(unchecked):
    runs, _ = made(30, noise=0.01)
    one, two = (MixingLaw.fit(runs, 6, "own", smoothing=1e-3, seed=3) for _ in range(2))
    assert one == two
    assert one != MixingLaw.fit(runs, 6, "own", smoothing=1e-3, seed=4)


@pytest.mark.parametrize("scales", ["shared", "stiffness"])
@given(sizes=st.lists(st.floats(0.01, 100), min_size=3, max_size=3))
@settings(max_examples=10)
def test_the_response_is_that_of_a_homogeneous_concave_function(laws, scales, sizes):
    law, n = laws[scales], np.array(sizes)
    response = law.response(n)
    own = response[:3]
    assert np.abs(own - own.T).max() <= 1e-12 * np.abs(own).max()
    assert np.abs(response @ n).max() <= 1e-12 * np.abs(response).max() * n.max() * 3
    assert np.linalg.eigvalsh((own + own.T) / 2).max() <= 1e-12 * np.abs(own).max()
    step = 1e-3 * n[1]
    at = [law.predict(n + s * step * np.array([0, 1, 0])) for s in (-2, -1, 1, 2)]
    found = (at[0] - 8 * at[1] + 8 * at[2] - at[3]) / (12 * step)
    # The step's fourth power in shares of the largest slope, and what rounding does to rates of up to 8 nats.
    error = 1e-10 * np.abs(response).max() + 2.0**-48 / step
    assert response[:, 1] == pytest.approx(found, rel=0, abs=error)


def test_the_mixture_has_the_rates_of_the_law(law):
    mixture = law.mixture([3, 2, 1])
    assert isinstance(mixture, Mixture)
    rates = law.predict([3, 2, 1])[:3]
    assert law.offset[:3] + law.scale[:3] * mixture.rates(np.e) == pytest.approx(rates, rel=1e-12)
    assert law.scale[0] * mixture.response(np.e) == pytest.approx(law.response([3, 2, 1])[:3], rel=1e-9)


def test_the_best_sizes_are_the_best(law):
    found = law.best_sizes({"poems": 1.0, "web": 0.5}, total=10)
    assert found.sizes.sum() == pytest.approx(10)
    assert found.gap < 1e-9
    predicted = law.predict(found.sizes)
    assert found.value == pytest.approx(predicted[3] + 0.5 * predicted[0], rel=1e-12)
    for each in (law.predict, law.response):
        assert each(found).tolist() == each(found.sizes).tolist()
    other = BestSizes(("code", "web"), np.array([3.0, 1.0]), 0.0, 0.0)
    assert law.predict(other).tolist() == law.predict([1, 0, 3]).tolist()
    for sizes in np.random.default_rng(0).dirichlet(np.ones(3), size=300):
        rates = law.predict(sizes)
        assert rates[3] + 0.5 * rates[0] >= found.value - 1e-9
    worst = law.best_sizes("poems", worst=True)
    assert worst.value == pytest.approx(max(law.predict(corner)[3] for corner in np.eye(3)))


def test_leaves_are_carried_to_other_models(law):
    other, _ = made(12, seed=5, scale=0.3)
    leaves = made()[1]
    q = other.weights @ leaves[:3]
    other = TrainingRuns(other.sizes, 1.5 - 0.3 * np.log(q) @ leaves.T, NAMES, tasks=("poems",))
    carried = law.transfer(other)
    assert carried.score(other).r2.min() > 0.999
    assert carried.scale == pytest.approx(law.scale * 3 / 7, rel=0.02)
    assert np.array_equal(carried.leaves, law.leaves)


def test_intervals_cover_what_runs_leave_open(unchecked):
    noisy, _ = made(40, noise=0.02)
    law = MixingLaw.fit(noisy, 5, "shared", smoothing=1e-3)
    drawn = law.bootstrap(noisy, 6)
    low, high = drawn.interval(lambda each: each.predict([1, 1, 1]))
    assert (low < high).all()
    truth = made(sizes=np.ones((1, 3)))[0].rates[0]
    assert ((low - 0.02 < truth) & (truth < high + 0.02)).all()
    exact, _ = made(40)
    quiet = MixingLaw.fit(exact, 5, "shared", smoothing=1e-6).bootstrap(exact, 3)
    below, above = quiet.interval(lambda each: each.predict([1, 1, 1]))
    assert (above - below < high - low).all()
    with pytest.raises(ValueError, match="no replicates"):
        law.interval(lambda each: each.scale)


@pytest.mark.slow
def test_the_joint_law_extrapolates(unchecked):
    rng = np.random.default_rng(0)
    base, leaves = made(90, seed=0)
    n, d = rng.choice([1e7, 3e7, 1e8], 90), rng.choice([1e9, 2e9, 4e9], 90)

    def rates(sizes, n, d):
        crossed = -np.log(sizes / sizes.sum(axis=1, keepdims=True) @ leaves[:3]) @ leaves.T
        scale = (n / 1e7) ** -0.05 * (d / 1e9) ** -0.03
        return (
            1 + 2 * (n / 1e7)[:, None] ** -0.3 + (d / 1e9)[:, None] ** -0.3 + 0.5 * scale[:, None] * crossed
        )

    runs = TrainingRuns(base.sizes, rates(base.sizes, n, d), NAMES, tasks=("poems",), parameters=n, tokens=d)
    law = MixingLaw.fit(runs, 6, "shared", smoothing=1e-6, starts=1)
    assert law.exponents["alpha"] == pytest.approx(0.3, abs=0.03)
    assert law.exponents["parameters"] == pytest.approx(-0.05, abs=0.03)
    large = rng.dirichlet(np.ones(3), size=20)
    found = law.predict(large, parameters=1e9, tokens=8e9)
    truth = rates(large, np.full(20, 1e9), np.full(20, 8e9))
    assert np.abs(found / truth - 1).mean() < 0.02
    drawn = law.bootstrap(runs, 5)
    near, far = (
        np.ptp(drawn.interval(lambda law, n=n: law.predict([1, 1, 1], parameters=n, tokens=2e9)), axis=0)
        for n in (3e7, 1e10)
    )
    assert (far > near).all()
    with pytest.raises(ValueError, match="both must be given"):
        law.predict([1, 1, 1], parameters=1e9)


def test_cross_validation_chooses_and_says_what_it_tried(unchecked):
    law = MixingLaw.fit(made(16, noise=0.01)[0], 4, smoothing=1e-3, starts=1, folds=2)
    assert [choice.scales for choice in law.choices] == list(fitting.SCALES)
    best = min(law.choices, key=lambda choice: choice.error)
    assert law.scales == best.scales
    given = MixingLaw.fit(made(24)[0], 5, "own", smoothing=1e-3, starts=1)
    assert given.choices == ()


def test_runs_of_one_mixture_stay_together():
    shares = np.repeat(np.random.default_rng(0).dirichlet(np.ones(3), size=10), 4, axis=0)
    fold = fitting.folds(shares, 5, np.random.default_rng(0))
    assert all(len(set(fold[4 * i : 4 * i + 4])) == 1 for i in range(10))
    assert sorted(np.bincount(fold)) == [8] * 5


def test_a_dataset_without_a_loss_has_leaves():
    runs, _ = made(60)
    rates = runs.rates.copy()
    rates[:, 1] = np.nan
    hidden = TrainingRuns(runs.sizes, rates, NAMES, tasks=("poems",))
    law = MixingLaw.fit(hidden, 10, "own", smoothing=1e-5)
    assert law.losses == ("web", "code", "poems")
    assert law.predict([1, 1, 1]).shape == (3,)
    assert law.response([1, 1, 1]).shape == (3, 3)
    assert law.score(hidden).r2.min() > 0.999


@pytest.mark.parametrize("rows", [slice(0, 1), slice(0, 3)])
def test_few_runs_are_enough_for_an_answer(rows):
    runs, _ = made(5)
    few = TrainingRuns(runs.sizes[rows], runs.rates[rows], NAMES, tasks=("poems",))
    with pytest.warns(UserWarning, match="free parameters"):
        law = MixingLaw.fit(few)
    assert law.choices == ()
    assert np.isfinite(law.predict([1, 1, 1])).all()


@pytest.mark.parametrize(("scales", "linear"), [("own", 4 + 4), ("shared", 4 + 1), ("stiffness", 4 + 4)])
def test_more_parameters_than_numbers_are_told_unless_tested(unchecked, recwarn, scales, linear):
    """Four rows of two or three free masses each, offsets and scales, against four losses per run."""
    few = made(4)[0]
    MixingLaw.fit(few, 3, scales, smoothing=0.1, starts=1)
    assert not recwarn.list
    told = f"{12 + linear} free parameters \\(4 leaves\\) for 16 measured rates of 4 runs"
    with pytest.warns(UserWarning, match=told):
        MixingLaw.fit(few, 4, scales, smoothing=0.1, starts=1)


def test_a_law_that_was_cross_validated_is_not_warned_of(unchecked):
    assert MixingLaw.fit(made(8, noise=0.01)[0], 20, smoothing=1e-3, starts=1, folds=2).choice is not None


@pytest.mark.parametrize("scales", fitting.SCALES)
def test_a_constant_taken_off_every_loss_changes_offsets_alone(scales):
    runs, _ = made(40)
    lower = TrainingRuns(runs.sizes, runs.rates - runs.rates[0], NAMES, tasks=("poems",))
    one, other = (
        fitting.Objective(_data(each, None)[0], fitting.Shape(4, 1e-3, scales)) for each in (runs, lower)
    )
    point = one.start(np.random.default_rng(0))
    assert other(point)[0] == pytest.approx(one(point)[0], rel=1e-11)
    linear, below = (each.fitted(point).linear for each in (one, other))
    assert below[1] == pytest.approx(linear[1], rel=1e-9)
    assert below[0] == pytest.approx(linear[0] - runs.rates[0], rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("scales", ["own", "shared"])
@pytest.mark.parametrize("seed", range(3))
def test_no_task_is_lost_where_only_tasks_are_measured(unchecked, scales, seed):
    """One that starts with a scale of 0 has no slope to leave it by."""
    runs, _ = made(50, seed, tasks=12)
    alone = TrainingRuns(
        runs.sizes, np.hstack([np.full((50, 3), np.nan), runs.rates[:, 3:]]), NAMES, tasks=runs.tasks
    )
    law = MixingLaw.fit(alone, 10, scales, smoothing=1e-4, starts=1, seed=seed)
    assert law.losses == runs.tasks
    assert law.score(alone).r2.min() > 0.98


def test_of_data_in_no_run_and_without_a_loss_nothing_is_said(unchecked, tmp_path):
    runs, _ = made(30)
    names = ("web", "books", "news", "code")
    sizes, rates = np.insert(runs.sizes, 2, 0.0, axis=1), np.insert(runs.rates, 2, np.nan, axis=1)
    law = MixingLaw.fit(TrainingRuns(sizes, rates, names, tasks=runs.tasks), 5, "stiffness", smoothing=1e-3)
    assert law.unknown == ("news",)
    assert np.isnan(law.predict([[1, 1, 1e-9, 1], [1, 1, 0, 1]])).all(axis=1).tolist() == [True, False]
    assert np.isnan(law.response([1, 1, 0, 1])).tolist() == [[False, False, True, False]] * 4
    assert law.best_sizes("poems").sizes[2] == law.best_sizes("poems", worst=True).sizes[2] == 0
    assert law.mixture([1, 1, 0, 1]).names == ("web", "books", "code")
    for refused in (lambda: law.mixture([1, 1, 1, 1]), lambda: law.best_sizes("web", lower={"news": 0.1})):
        with pytest.raises(ValueError, match=r"\[2\] = .*: must be 0: no run contained these data"):
            refused()
    law.save(tmp_path / "law.npz")
    assert MixingLaw.load(tmp_path / "law.npz").unknown == ("news",)

    # Known by its loss alone, or by runs alone, is known.
    rates[:, 2] = 2.0
    assert (
        MixingLaw.fit(TrainingRuns(sizes, rates, names, tasks=runs.tasks), 3, "own", smoothing=1).unknown
        == ()
    )
    sizes[:, 2], rates[:, 2] = 1.0, np.nan
    assert (
        MixingLaw.fit(TrainingRuns(sizes, rates, names, tasks=runs.tasks), 3, "own", smoothing=1).unknown
        == ()
    )


def test_a_law_is_kept_in_a_file(tmp_path, law):
    law.save(tmp_path / "law.npz")
    kept = MixingLaw.load(tmp_path / "law.npz")
    assert kept == law
    assert kept.predict([1, 2, 3]).tolist() == law.predict([1, 2, 3]).tolist()
    (tmp_path / "law.npz").write_bytes((tmp_path / "law.npz").read_bytes()[:-1000])
    with pytest.raises(ValueError, match=r"is not an intact file written by MixingLaw\.save: "):
        MixingLaw.load(tmp_path / "law.npz")


def test_names_say_which_dataset_is_meant(law):
    assert law.predict({"code": 3, "web": 1}).tolist() == law.predict([1, 0, 3]).tolist()
    shuffled = TrainingRuns(np.array([[3.0, 1.0]]), np.array([[2.0, 2.5]]), ("code", "web"))
    again = in_order(shuffled, law.names)
    assert again.sizes.tolist() == [[1, 0, 3]]
    assert again.rates[0, [0, 2]].tolist() == [2.5, 2.0]


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda law: law.predict([1, 2]), r"sizes has shape \(2,\): must be \(3,\)"),
        (lambda law: law.predict([0, 0, 0]), r"sizes\[0\] sums to 0"),
        (lambda law: law.predict([1, -1, 1]), "sizes"),
        (lambda law: law.predict({"news": 1}), "sizes names 'news'"),
        (lambda law: law.mixture([1, 0, 1]), r"sizes\[1\] = 0.0: must be > 0"),
        (lambda law: law.response(np.ones((2, 3))), "one mixture"),
        (lambda law: MixingLaw.fit(made(9)[0], 1), "n_leaves = 1: must be an integer >= 2"),
        (lambda law: MixingLaw.fit(made(9)[0], scales="both"), "scales = 'both': must be one of"),
        (lambda law: MixingLaw.fit(made(9)[0], smoothing=0.0), "smoothing = 0.0"),
        (
            lambda law: MixingLaw.fit(TrainingRuns(np.eye(3), np.full((3, 3), np.nan))),
            "no measured loss",
        ),
        (lambda law: law.score(TrainingRuns(np.eye(2), np.eye(2), ("a", "b"))), "runs has the dataset 'a'"),
        (lambda law: law.best_sizes("news"), "target names 'news'"),
    ],
)
def test_errors_say_what_is_allowed(unchecked, law, call, text):
    with pytest.raises(ValueError, match=text):
        call(law)


def test_the_wrong_kind_of_runs_is_named(unchecked):
    with pytest.raises(TypeError, match="runs is a list: must be TrainingRuns"):
        MixingLaw.fit([[1, 2]])
