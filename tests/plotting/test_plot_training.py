"""Pictures of training runs: what is drawn is what was computed."""

import numpy as np
import pytest
from matplotlib import pyplot as plt
from tests.drawing import labelled, labels

from tokentree import Mixture
from tokentree.mixtures import BestSizes
from tokentree.plotting import (
    plot_balance,
    plot_best_sizes,
    plot_fisher_triangle,
    plot_law_response,
    plot_predictions,
    plot_regret,
)
from tokentree.training import MixingLaw, TrainingRuns

NAMES = ("web", "code", "talk")


def runs_of(n, n_datasets=3, seed=0, **options):
    """Runs of exact minimisers: of token trees."""
    rng = np.random.default_rng(seed)
    mixture = Mixture(rng.dirichlet(np.ones(6), size=n_datasets), np.ones(n_datasets))
    sizes = rng.dirichlet(np.ones(n_datasets), size=n)
    rates = [mixture.with_sizes(each).rates(np.e) for each in sizes.tolist()]
    return TrainingRuns(sizes, rates, options.pop("names", NAMES[:n_datasets]), **options)


@pytest.fixture(scope="module")
def runs():
    return runs_of(20)


@pytest.fixture(scope="module")
def law(runs):
    return MixingLaw.fit(runs, n_leaves=6, scales="shared", smoothing=1e-4)


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def cells(ax):
    """What the picture shows."""
    return ax.images[0].get_array()


def test_every_plot_takes_an_axes_and_returns_it(runs, law):
    for draw in (
        lambda ax: plot_predictions(law, runs, ax),
        lambda ax: plot_regret(runs, ax),
        lambda ax: plot_law_response(law, [1, 1, 1], ax),
        lambda ax: plot_law_response(law, law.best_sizes("web"), ax),
        lambda ax: plot_balance(runs_of(5, 2), 0, 1, ax),
        lambda ax: plot_best_sizes(law.best_sizes("web"), ax),
    ):
        ax = plt.figure().subplots()
        assert draw(ax) is ax
        assert ax.get_xlabel()
        ax.get_figure().canvas.draw()


# Predictions


def test_predictions_are_the_laws_beside_the_runs(law):
    others = runs_of(9, seed=0).subset(slice(3, 9))
    ax = plot_predictions(law, others)
    for i, line in enumerate(ax.get_lines()[:3]):
        np.testing.assert_array_equal(line.get_xdata(), law.predict(others.sizes)[:, i])
        np.testing.assert_array_equal(line.get_ydata(), others.rates[:, i])
    r2 = law.score(others).r2
    assert labels(ax) == [
        *(f"{name}, $R^2 = {x:.3f}$" for name, x in zip(NAMES, r2, strict=True)),
        "as predicted",
    ]
    assert len({line.get_marker() for line in ax.get_lines()[:3]}) == 3


def test_predictions_of_runs_in_another_order(runs, law):
    order = [2, 0, 1]
    turned = TrainingRuns(runs.sizes[:, order], runs.rates[:, order], [NAMES[k] for k in order])
    ax, same = plot_predictions(law, turned), plot_predictions(law, runs)
    for one, other in zip(ax.get_lines()[:3], same.get_lines()[:3], strict=True):
        np.testing.assert_array_equal(one.get_xydata(), other.get_xydata())


def test_some_losses_alone(runs, law):
    ax = plot_predictions(law, runs, losses=["talk"])
    assert len(ax.get_lines()) == 2
    assert labels(ax)[0].startswith("talk")
    with pytest.raises(ValueError, match="losses names 'none': must be one of 'web'"):
        plot_predictions(law, runs, losses=["none"])
    with pytest.raises(ValueError, match="none to draw"):
        plot_predictions(law, runs, losses=[])


def test_many_losses_are_one_cloud():
    names = [f"d{k}" for k in range(7)]
    runs = runs_of(20, 7, names=names)
    law = MixingLaw.fit(runs, n_leaves=6, scales="shared", smoothing=1e-4)
    ax = plot_predictions(law, runs)
    assert labels(ax)[0] == f"7 losses, mean $R^2 = {law.score(runs).r2.mean():.3f}$"
    assert len({line.get_marker() for line in ax.get_lines()[:7]}) == 1


# Regret


def test_regret_is_that_of_the_runs_per_token(runs):
    ax = plot_regret(runs)
    np.testing.assert_array_equal(cells(ax), np.maximum(runs.regret(), 0) / runs.sizes.sum(axis=1)[:, None])
    assert ax.get_legend() is None
    assert "nats per token" in ax.get_figure().axes[1].get_ylabel()


def test_violations_are_marked_and_what_is_not_known_is_hatched():
    runs = TrainingRuns(
        [[2, 0, 0], [2, 2, 0], [0, 1, 1]], [[1, 2, np.nan], [0.5, 2, np.nan], [1, 1.5, np.nan]]
    )
    ax = plot_regret(runs)
    crosses = next(line for line in ax.get_lines() if line.get_marker() == "x")
    # Run 1's model is better on run 0's data, by 0.5 nats per token; on run 1's own, run 2's is not.
    np.testing.assert_array_equal(crosses.get_xydata(), [[1, 0]])
    assert cells(ax).mask.all(axis=1).tolist() == [False, False, True]
    assert labels(ax) == ["not measured", "1 run beaten on its own data, by up to $0.5$"]


def test_a_run_beaten_by_two_counts_once_as_in_the_gaps():
    runs = TrainingRuns([[1, 0], [1, 1], [1, 2]], [[1, 2], [0.5, 2], [0.75, 1.5]])
    beaten = int(np.count_nonzero(runs.gaps()))
    assert (runs.regret() < 0).sum() > beaten == 2
    assert labels(plot_regret(runs)) == ["2 runs beaten on their own data, by up to $0.5$"]


@pytest.mark.parametrize("names", [["7", "8", "9"], ["run seven", "run $8", "run_nine"]])
def test_runs_are_shown_by_their_labels(names):
    ax = plot_regret(TrainingRuns(np.ones((3, 1)), np.ones((3, 1)), labels=names))
    for axis in (ax.xaxis, ax.yaxis):
        shown = [axis.get_major_formatter()(at, 0) for at in (-1, 0, 0.5, 1, 2, 3)]
        assert [each.replace("\\", "") for each in shown] == ["", names[0], "", *names[1:], ""]
    ax.figure.draw_without_rendering()
    assert ax.get_xticklabels()[1].get_rotation() == (0 if len(names[0]) < 5 else 90)


def test_what_two_errors_explain_is_no_violation():
    sizes, rates = [[1, 0], [1, 1]], [[1.0, 2], [0.5, 2]]
    for error, marked in ((0.1, True), (0.5, False)):
        ax = plot_regret(TrainingRuns(sizes, rates, errors=np.full((2, 2), error)))
        assert bool(ax.get_lines()) is marked


def test_regret_refuses_too_many_runs_and_models_of_several_sizes():
    many = TrainingRuns(np.ones((601, 2)), np.ones((601, 2)))
    with pytest.raises(ValueError, match="601 runs: must be at most 600; take a subset"):
        plot_regret(many)
    runs = TrainingRuns(np.ones((2, 2)), np.ones((2, 2)), parameters=[1e6, 2e6])
    with pytest.raises(ValueError, match="parameters of these runs differ"):
        plot_regret(runs)


# Response and springs


def test_response_has_its_signs(law):
    sizes = [3, 1, 2]
    ax = plot_law_response(law, sizes)
    response = law.response(sizes)
    np.testing.assert_allclose(cells(ax), np.abs(6 * response), rtol=1e-14)
    signs = np.array([text.get_text() for text in ax.texts]).reshape(3, 3)
    np.testing.assert_array_equal(signs == "+", response > 0)
    np.testing.assert_array_equal(signs == "\u2212", response < 0)
    assert [label.get_text() for label in ax.get_xticklabels()] == [*NAMES]
    assert [label.get_text() for label in ax.get_yticklabels()] == [*NAMES]
    named = plot_law_response(law, dict(zip(NAMES, sizes, strict=True)))
    np.testing.assert_array_equal(cells(named), cells(ax))


def test_the_springs_of_training_runs(law):
    ax = plot_fisher_triangle(law.mixture([1, 1, 1]))
    shown = " ".join(text.get_text() for text in ax.texts)
    assert all(name in shown for name in NAMES)


# Balance


def test_the_path_ends_at_the_balance():
    mixture = Mixture([[3, 1], [1, 3]], [1, 1])
    shares = np.repeat(np.linspace(0.8, 0.2, 31), 2)
    sizes = np.column_stack([shares, 1 - shares]) * np.tile([[1.0], [4.0]], (31, 1))
    rates = np.array([mixture.with_sizes(n).rates(np.e) for n in sizes.tolist()])
    rates += np.tile([[0.01], [-0.01]], (31, 1))
    runs = TrainingRuns(sizes, rates, ["web", "code"])
    ax = plot_balance(runs, "web", "code")
    path = ax.get_lines()[0].get_xydata()
    assert path.shape == (31, 2)
    assert path[0].tolist() == [0, 0]
    np.testing.assert_allclose(path[-1, 1] / path[-1, 0], runs.balance("web", "code"), rtol=1e-12)
    np.testing.assert_allclose(path[:, 0], path[:, 1], rtol=0.01)
    assert labelled(ax, "the law").get_slope() == 1
    assert labels(ax)[0] == f"31 mixtures, ratio {runs.balance(0, 1):.3f}"
    assert "web" in ax.get_xlabel()
    with pytest.raises(ValueError, match="must be one of"):
        plot_balance(runs, "web", "talk")


# The best mixture


def test_bars_are_shares_and_whiskers_intervals():
    best = BestSizes(NAMES, np.array([5.0, 0, 15]), 2.0, 0.0)
    ax = plot_best_sizes(best, low=[4, 0, 10], high=[8, 1, 16])
    assert [bar.get_width() for bar in ax.patches] == [0.25, 0, 0.75]
    assert labels(ax) == ["best mixture", "interval"]
    ends = [line.get_xdata().tolist() for line in ax.get_lines()]
    assert ends == [[0.2, 0.4], [0, 0.05], [0.5, 0.8]]
    assert ax.get_xlim() == (0, 1.05 * 0.8)


@pytest.mark.parametrize(
    ("low", "high", "message"),
    [
        ([0, 0, 0], None, "both ends"),
        ([0, 0], [1, 1], "must be 3 finite numbers"),
        ([2, 0, 0], [1, 1, 1], "low at most high"),
        ([np.nan, 0, 0], [1, 1, 1], "must be 3 finite"),
    ],
)
def test_intervals_that_are_none(low, high, message):
    best = BestSizes(NAMES, np.array([5.0, 0, 15]), 2.0, 0.0)
    with pytest.raises(ValueError, match=message):
        plot_best_sizes(best, low=low, high=high)
