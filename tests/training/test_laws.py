"""The laws in print: each found again from its own runs, slopes against differences, and the comparison."""

import numpy as np
import pytest

from tokentree.training import (
    AdditiveLaw,
    BiMixLaw,
    CapacityLaw,
    ExponentialLaw,
    Law,
    LinearLaw,
    LogLaw,
    MixingLaw,
    PowerLaw,
    TrainingRuns,
    compare,
    laws as module,
)

NAMES = ("web", "books", "code")
B = np.array([[3.0, 0.4, 0.2], [0.3, 2.0, 0.1], [0.2, 0.1, 4.0], [1.0, 1.0, 0.5]])
G = np.array([0.3, 0.5, 0.8])
LAWS = (LinearLaw, ExponentialLaw, AdditiveLaw, LogLaw, PowerLaw, BiMixLaw, CapacityLaw)
JOINT = (LinearLaw, ExponentialLaw, AdditiveLaw, LogLaw, PowerLaw)


def capacity(w):
    """By bisection, so that it owes nothing to the code."""
    c, b = np.array([1.0, 0.6, 0.8]), np.array([0.3, 0.4, 0.2])
    low, high = np.full((len(w), 1), -30.0), np.full((len(w), 1), 30.0)
    for _ in range(200):
        middle = (low + high) / 2
        x = (w * c * b / np.exp(middle)) ** (1 / (b + 1))
        over = x.sum(axis=1, keepdims=True) > 1
        low, high = np.where(over, middle, low), np.where(over, high, middle)
    return c * x**-b


RATES = {
    LinearLaw: lambda w: 2 + w @ B.T,
    ExponentialLaw: lambda w: 2 + 0.5 * np.exp(-w @ B.T / 2),
    AdditiveLaw: lambda w: 2 + 1 / (w**G @ B.T),
    LogLaw: lambda w: 2 - 0.3 * np.log(w @ B.T),
    PowerLaw: lambda w: 2 + 0.7 * (w @ B.T) ** -0.4,
    BiMixLaw: lambda w: 2 + 0.3 * w ** -np.array([0.2, 0.3, 0.4]),
    CapacityLaw: lambda w: 2 + capacity(w) + 0.1 * w**-0.2,
}


def shares(n=60, seed=0):
    return 0.97 * np.random.default_rng(seed).dirichlet(np.ones(3), size=n) + 0.01


pytestmark = pytest.mark.usefixtures("unchecked")


def made(law, w):
    rates = RATES[law](w)
    return TrainingRuns(w, rates, NAMES, tasks=("poems",)[: rates.shape[1] - 3])


def some(n=25, seed=2, **more):
    """Noisy runs with a task, zero shares and a missing loss."""
    rng = np.random.default_rng(seed)
    w = np.where(rng.random((n, 3)) < 0.2, 0.0, rng.dirichlet(np.ones(3), size=n)) + np.array([0, 0, 1e-3])
    rates = 2 - 0.3 * np.log(w @ B.T) + 0.01 * rng.standard_normal((n, 4))
    rates[0, 1] = np.nan
    return TrainingRuns(w, rates, NAMES, tasks=("poems",), **more)


@pytest.mark.parametrize("law", LAWS)
def test_a_law_is_found_again_from_its_own_runs(law):
    fitted = law.fit(made(law, shares()), smoothing=1e-8)
    score = fitted.score(made(law, shares(40, 9)))
    assert score.losses == fitted.losses
    assert score.r2.min() > 0.999
    assert isinstance(fitted, Law)


@pytest.mark.parametrize("law", LAWS)
def test_the_same_seed_gives_the_same_law(law):
    assert law.fit(some(), seed=3) == law.fit(some(), seed=3)
    assert law.__name__ in repr(law.fit(some()))


@pytest.mark.parametrize("law", LAWS)
def test_only_proportions_and_names_count(law):
    fitted = law.fit(some())
    one = fitted.predict([1, 2, 3])
    assert one.shape == (4,)
    assert fitted.predict({"code": 6, "books": 4, "web": 2}).tolist() == pytest.approx(
        one.tolist(), nan_ok=True
    )
    assert fitted.predict([[1, 2, 3], [3, 2, 1]])[0].tolist() == pytest.approx(one.tolist(), nan_ok=True)
    with pytest.raises(ValueError, match="sums to 0"):
        fitted.predict([0, 0, 0])
    with pytest.raises(ValueError, match="must be one of"):
        fitted.predict({"poems": 1})


@pytest.mark.parametrize("law", [BiMixLaw, CapacityLaw])
def test_nothing_is_said_of_a_loss_without_a_share(law):
    predicted = law.fit(some()).predict([0, 1, 1])
    assert np.isnan(predicted).tolist() == [True, False, False, True]


@pytest.mark.parametrize("law", [each for each in LAWS if each not in (BiMixLaw, CapacityLaw)])
def test_zero_shares_and_tasks_are_predicted(law):
    assert np.isfinite(law.fit(some()).predict([[0, 1, 1], [0, 0, 1]])).all()


@pytest.mark.parametrize("law", LAWS)
def test_few_runs_and_constant_losses_give_a_law(law):
    assert np.isfinite(law.fit(made(law, shares(1))).predict([1, 1, 1])).all()
    flat = TrainingRuns(shares(5), np.full((5, 3), 2.0), NAMES)
    assert law.fit(flat).predict([1, 1, 1]).tolist() == pytest.approx([2, 2, 2], abs=0.02)


@pytest.mark.parametrize("law", [ExponentialLaw, AdditiveLaw, LogLaw, PowerLaw, BiMixLaw])
def test_the_slopes_are_those_of_the_function(law):
    rng = np.random.default_rng(1)
    w, point = shares(8), law._centre(3) + 0.3 * rng.standard_normal(len(law._centre(3)))
    slopes = law._answer(point, w, 1)[1]
    for p, step in enumerate(1e-6 * np.eye(len(point))):
        ends = [law._answer(point + sign * step, w, 1)[0][:, 0] for sign in (1, -1)]
        assert slopes[:, p] == pytest.approx((ends[0] - ends[1]) / 2e-6, rel=1e-6, abs=1e-8)


def test_the_slopes_of_shared_capacity_are_those_of_the_function():
    rng = np.random.default_rng(1)
    w, own, point = shares(6), np.array([2, 0]), rng.normal(-0.5, 0.5, 10)
    w[0] = [0, 0.4, 0.6]
    slopes = module._capacity(point, w, own)[1]
    for p, step in enumerate(1e-6 * np.eye(10)):
        ends = [module._capacity(point + sign * step, w, own)[0] for sign in (1, -1)]
        assert slopes[1:, :, p] == pytest.approx((ends[0] - ends[1])[1:] / 2e-6, rel=1e-5, abs=1e-8)
        assert slopes[0, 0, p] == pytest.approx((ends[0] - ends[1])[0, 0] / 2e-6, rel=1e-5, abs=1e-8)


def test_capacity_is_shared_as_the_inner_minimum_says():
    from scipy.optimize import minimize

    fitted = CapacityLaw.fit(made(CapacityLaw, shares()))
    w, (c, b) = np.array([0.2, 0.5, 0.3]), np.exp(fitted.capacity)
    noise, power = np.exp(fitted.noise)

    def total(logits):
        x = np.exp(logits) / np.exp(logits).sum()
        return float(w @ (c * x**-b))

    least = minimize(total, np.zeros(3), tol=1e-12).fun
    assert w @ (fitted.predict(w) - fitted.offset - noise * w**-power) == pytest.approx(least, rel=1e-7)


@pytest.mark.parametrize("law", JOINT)
def test_the_joint_law_extrapolates_in_model_size(law):
    w = np.tile(shares(20), (4, 1))
    size, tokens = np.repeat([1e8, 2e8, 4e8, 8e8], 20), np.tile([1e9, 4e9], 40)
    rates = RATES[law](w) + 30 * size[:, None] ** -0.3 + 40 * tokens[:, None] ** -0.25
    tasks = ("poems",)[: rates.shape[1] - 3]
    runs = TrainingRuns(w, rates, NAMES, tasks=tasks, parameters=size, tokens=tokens)
    fitted = law.fit(runs.subset(size < 5e8), smoothing=1e-6)
    assert fitted.score(runs.subset(size > 5e8)).relative_error.max() < 2e-3
    with pytest.raises(ValueError, match="depends on both"):
        fitted.predict([1, 1, 1])


@pytest.mark.parametrize("law", [BiMixLaw, CapacityLaw])
def test_laws_of_one_size_refuse_runs_of_several(law):
    with pytest.raises(ValueError, match="differ in parameters or tokens"):
        law.fit(some(2, parameters=[1e6, 2e6], tokens=[1e9, 1e9]))


@pytest.mark.parametrize("law", LAWS)
def test_what_is_no_fit_is_refused(law):
    with pytest.raises(ValueError, match="no measured loss"):
        law.fit(TrainingRuns([[1, 1]], [[np.nan, np.nan]]))
    with pytest.raises(ValueError, match="smoothing"):
        law.fit(some(), smoothing=0)
    with pytest.raises(ValueError, match="starts"):
        law.fit(some(), starts=0)


def test_laws_are_compared_on_mixtures_left_out():
    def ours(runs):
        return MixingLaw.fit(runs, 5, "own", smoothing=1e-3, starts=1)

    found = compare({"linear": LinearLaw, "BiMix": BiMixLaw, "log": LogLaw, "ours": ours}, some(40))
    assert found.laws == ("linear", "BiMix", "log", "ours")
    assert found.r2.argmax() == 2
    assert found.predicted[0] == found.predicted[2] == found.predicted[3] == 1 > found.predicted[1] > 0.4
    assert (found.seconds > 0).all()
    assert repr(found).split()[:4] == ["law", "R2", "Spearman", "rel."]
    assert "BiMix" in found._repr_html_()
    frame = found.to_frame()
    assert frame.loc["log", "r2"] == found.r2[2]


def test_runs_of_one_mixture_stay_together():
    seen = []

    def noted(runs):
        seen.append({tuple(row) for row in runs.weights.tolist()})
        return LinearLaw.fit(runs)

    w = np.repeat(shares(6), 3, axis=0)
    compare({"noted": noted}, made(LinearLaw, w), folds=3)
    assert [len(each) for each in seen] == [4, 4, 4]
    with pytest.raises(ValueError, match="one mixture"):
        compare({"noted": noted}, made(LinearLaw, np.repeat(shares(1), 3, axis=0)))
    with pytest.raises(ValueError, match="laws is empty"):
        compare({}, some())
