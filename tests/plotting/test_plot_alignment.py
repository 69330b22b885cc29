"""Budgets, resistance and rebound drawn: what stands in the Axes is what was simulated."""

import math
from dataclasses import replace

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib import pyplot as plt
from scipy.stats import linregress
from tests.drawing import labelled, labels

from tokentree import (
    Mixture,
    TokenTree,
    inverse_alignment_budget,
    kl_divergence,
    least_alignment_budget,
    published_form,
    rebound_by_depth,
    rebound_by_pretraining,
    simulate_rebound,
    simulate_resistance,
)
from tokentree.alignment import NEGATIVE, PAPER_NEEDED, POSITIVE
from tokentree.plotting import (
    plot_budget,
    plot_needed,
    plot_rebound,
    plot_rebound_factor,
    plot_resistance,
    plot_resistance_gaps,
)

THIRDS = [[1, 0, 0], [0, 1, 0], [0, 0, 1]]


@pytest.fixture(scope="module")
def thirds():
    return published_form(THIRDS, k=1000, l=1)


@pytest.fixture(scope="module")
def rebound():
    return simulate_rebound(published_form(THIRDS, k=10**6, l=1))


@pytest.fixture(scope="module")
def resistance():
    return simulate_resistance(Mixture([[8, 1, 1], [1, 1, 1]], [100, 10]), points=9)


def on_edge(ax, marker):
    """Places of the marks on the upper or the lower edge, in data and in Axes."""
    return [
        (x, y)
        for line in ax.get_lines()
        if line.get_transform() == ax.get_xaxis_transform() and line.get_marker() == marker
        for x, y in zip(*line.get_data(), strict=True)
    ]


# Budgets


def test_budget_of_pretraining_data_is_the_closed_form(thirds):
    # TV = |D_a| TV(p_a, p_p) / (T + |D_b|), with TV(p_a, p_p) = 2/3 and T = 1001.
    shares = np.array([0.5, 0.01, 0.1])
    budgets = [inverse_alignment_budget(thirds, share * 2 / 3 / 1001, inverse=0) for share in shares]
    ax = plot_budget({"more of the same": budgets})
    x, y = labelled(ax, "more of the same").get_data()
    np.testing.assert_allclose(x, np.sort(shares), rtol=1e-12)
    np.testing.assert_allclose(y, 1001 / np.sort(shares) - 1001, rtol=1e-10)
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    assert not on_edge(ax, "^")
    assert not on_edge(ax, "v")
    assert labels(ax) == ["more of the same"]


def test_distances_share_an_axis():
    mixture, found = Mixture([[1, 1, 1], [3, 1, 0], [0, 1, 3]], [5000, 5, 5]), {}
    for distance in ("total variation", "kl", "rate"):
        before = inverse_alignment_budget(mixture, 0, distance=distance).before
        found[distance] = [
            least_alignment_budget(mixture, share * before, distance=distance) for share in (0.1, 0.3)
        ]
    ax = plot_budget(found)
    for distance, budgets in found.items():
        x, y = labelled(ax, distance).get_data()
        np.testing.assert_allclose(x, [0.1, 0.3], rtol=1e-12)
        np.testing.assert_allclose(y, [each.size / 5 for each in budgets], rtol=1e-15)
    styles = {(line.get_color(), line.get_marker()) for line in (labelled(ax, name) for name in found)}
    assert len(styles) == 3


def test_unreachable_and_needless_epsilons_are_marked(thirds):
    before = inverse_alignment_budget(thirds, 0).before
    shares = [0, 0.1, 0.5, 0.9, 2]
    ax = plot_budget({"attack": [inverse_alignment_budget(thirds, share * before) for share in shares]})
    # Less than 3/4 of the total variation cannot be left by data of D_t.
    np.testing.assert_allclose(on_edge(ax, "^"), [(0, 1), (0.1, 1), (0.5, 1)], atol=1e-15)
    assert on_edge(ax, "v") == [(pytest.approx(2), 0)]
    np.testing.assert_allclose(labelled(ax, "attack").get_xdata(), [0.9])
    limit = labelled(ax, r"least reachable $\varepsilon$").get_xdata()
    np.testing.assert_allclose(limit, 3 / 4, rtol=1e-3)
    assert labels(ax) == ["attack", r"least reachable $\varepsilon$", "no amount suffices", "none needed"]
    # Zero has a place left of the least share above it.
    assert ax.get_xscale() == "symlog"
    assert ax.get_xlim()[0] < 0
    assert ax.xaxis.get_transform().linthresh == pytest.approx(0.1)
    ax.figure.canvas.draw()


def test_zero_alone_and_nothing_reachable_can_be_drawn(thirds):
    alone = plot_budget({"exactly": [least_alignment_budget(thirds, 0)]})
    assert labelled(alone, "exactly").get_xydata().tolist() == [[0, 2]]
    never = plot_budget({"never": [inverse_alignment_budget(thirds, 1e-9)]})
    assert len(on_edge(never, "^")) == 1
    for ax in (alone, never):
        ax.figure.canvas.draw()


def test_budget_arguments(thirds):
    with pytest.raises(ValueError, match="budgets is empty"):
        plot_budget({})
    with pytest.raises(ValueError, match=r"budgets\['none'\] is empty"):
        plot_budget({"none": []})
    # D_a has a leaf that D_p lacks: its rate was infinite.
    infinite = least_alignment_budget(Mixture([[1, 0], [1, 1]], [9, 1]), 1, distance="rate")
    with pytest.raises(ValueError, match=r"budgets\['rate'\]\[0\].before = inf: must be finite and > 0"):
        plot_budget({"rate": [infinite]})
    still = least_alignment_budget(Mixture([[1, 1], [1, 1]], [9, 1]), 1)
    with pytest.raises(ValueError, match=r"before = 0.0"):
        plot_budget({"still": [still]})


# Resistance


def retrained(before, after, sizes, slices, start, end, examples):
    """Slices and a model between them, by counts, from the definition."""
    n_p, n_a = sizes

    def at(n):
        return (n_p * np.asarray(before) + n * np.asarray(after)) / (n_p + n)

    first, target = at(start * n_a / slices), at(end * n_a / slices)
    so_far = n_p + start * n_a / slices
    return (so_far * first + examples * target) / (so_far + examples), target


def test_losses_are_cross_entropies_of_retrained_slices(resistance):
    p, a = np.array([8, 1, 1]) / 10, np.ones(3) / 3
    ax, excess = plot_resistance(resistance), plot_resistance(resistance, loss="excess")
    floors = []
    for start, end in ((1, 2), (2, 1), (1, 3), (3, 1), (2, 3), (3, 2)):
        name = rf"$\theta_{{{start}}} \to \theta_{{{end}}}$"
        for drawn, entropy in ((ax, True), (excess, False)):
            line = labelled(drawn, name)
            x, y = line.get_data()
            np.testing.assert_allclose(x, np.linspace(0, 10 / 3, 9))
            for n, loss in zip(x, y, strict=True):
                model, target = retrained(p, a, (100, 10), 3, start, end, n)
                floor = -(target * np.log2(target)).sum()
                exact = kl_divergence(target, model) + (floor if entropy else 0)
                assert loss == pytest.approx(exact, rel=1e-12, abs=1e-15)
            # One marker stands for a pair, open for inverse.
            assert (line.get_markerfacecolor() == "1.0") == (start > end)
            assert line.get_marker() == "osD"[start + end - 3]
        floors.append(floor)
    flat = [line.get_ydata()[0] for line in ax.get_lines() if len(line.get_xdata()) == 2]
    np.testing.assert_allclose(flat, sorted(set(np.round(floors, 14))), rtol=1e-13)
    assert labels(ax)[-1] == r"entropies $H(\theta)$"
    assert len(labels(excess)) == 6
    assert excess.get_ylim()[0] == 0
    assert ax.get_ylabel() == "training loss (bits per block)"


def test_regime_is_the_one_asked_for(resistance):
    counts, steps = (plot_resistance(resistance, regime=r, unit="nats") for r in ("counts", "fine-tuning"))
    for r, ax in enumerate((counts, steps)):
        drawn = [line.get_ydata() for line in ax.get_lines()[:6]]
        np.testing.assert_array_equal(drawn, resistance.training_loss[r].reshape(6, -1))
    assert counts.get_ylabel() == "training loss (nats)"


def test_gaps_show_size_and_sign(resistance):
    other = simulate_resistance(Mixture([[1, 1, 1], [8, 1, 1]], [100, 10]))
    for found in (resistance, other):
        ax = plot_resistance_gaps(found)
        marks = {(line.get_ydata()[0], line.get_markerfacecolor()): line for line in ax.get_lines()}
        assert len(marks) == len(ax.get_lines()) == 12
        losses = found.training_loss.mean(axis=3)
        for y in range(6):
            r, pair = divmod(y, 3)
            entropies, excess = marks[y, "0.0"], marks[y, "1.0"]
            assert (entropies.get_marker() == "<") == (found.entropy_gap[r, pair] > 0)
            assert (excess.get_marker() == "<") == (found.excess_gap[r, pair] > 0)
            signed = [
                line.get_xdata()[0] * (1 if line.get_marker() == "<" else -1) for line in (entropies, excess)
            ]
            gap = losses[r, pair, 0] - losses[r, pair, 1]
            # Losses of two bits subtracted.
            assert sum(signed) == pytest.approx(gap, abs=1e-14)
        ticks = [tick.get_text() for tick in ax.get_yticklabels()]
        assert ticks[0] == r"$\theta_{1}, \theta_{2}$, counts"
        assert ticks[5] == r"$\theta_{2}, \theta_{3}$, fine-tuning"
        assert ax.get_xscale() == "log"


def test_gaps_of_zero_stand_on_the_edge():
    ax = plot_resistance_gaps(simulate_resistance(Mixture([[1, 1], [1, 1]], [9, 9]), slices=2))
    assert len(ax.get_lines()) == 4
    for line in ax.get_lines():
        assert line.get_transform() == ax.get_yaxis_transform()
        assert (line.get_xdata()[0], line.get_marker()) == (0, "o")
    ax.figure.canvas.draw()


# Rebound


@pytest.mark.parametrize("regime", ["counts", "fine-tuning"])
def test_scores_are_shares_of_the_model(regime):
    n_p, step = 3000, 1e-3
    found = simulate_rebound(published_form(THIRDS, k=n_p, l=1), step=step)
    score, drop = (plot_rebound(found, regime=regime, show=show) for show in ("score", "drop"))
    # Of the fine-tuned the last two differ by 0.0045 at most, less than a hundredth of the height.
    together = ["5000, 10000"] if regime == "fine-tuning" else ["5000", "10000"]
    assert labels(score) == ["1000", "2000", *together, "target level, 0.5"]
    assert set(labelled(score, "target level, 0.5").get_ydata()) == {0.5}
    assert labels(drop) == ["1000", "2000", *together]
    for n_a in POSITIVE[: 1 + len(together) + 1]:
        name = next(each for each in labels(drop) if each.startswith(str(n_a)))
        x, y = labelled(score, name).get_data()
        np.testing.assert_array_equal(x, NEGATIVE)
        exact = []
        for n in NEGATIVE:
            if regime == "counts":
                on_a, on_t = n_p / 3 + n_a, n_p / 3 + n
            else:
                left, later = (1 - step) ** n_a, (1 - step) ** n
                on_a = later * (left / 3 + 1 - left)
                on_t = later * left / 3 + 1 - later
            exact.append(on_a / (on_a + on_t))
        np.testing.assert_allclose(y, exact, rtol=1e-12)
        np.testing.assert_allclose(labelled(drop, name).get_ydata(), exact[0] - np.array(exact), atol=1e-14)


def test_needed_beside_table_3(rebound):
    ax = plot_needed(rebound)
    x, y = labelled(ax, "counts").get_data()
    np.testing.assert_array_equal(x, POSITIVE)
    np.testing.assert_allclose(y, POSITIVE, rtol=1e-9)
    # (1 - eta)^n = 1 / (2 - (1 - eta)^n_a) brings disjoint thirds back to a score of one half.
    steps = labelled(ax, "fine-tuning").get_ydata()
    np.testing.assert_allclose(0.999**steps, 1 / (2 - 0.999 ** np.array(POSITIVE)), rtol=1e-9)
    for model, table in (("Llama2-7B", (961, 844, 801, 729)), ("Gemma-2B", (923, 853, 709, 598))):
        assert PAPER_NEEDED[model] == table
        line = labelled(ax, f"paper, {model}")
        assert tuple(line.get_xdata()) == (1000, 2000, 5000, 10000)
        assert tuple(line.get_ydata()) == table
    assert labels(plot_needed(rebound, paper=False)) == ["counts", "fine-tuning"]
    assert [tick.get_text() for tick in ax.get_xticklabels()] == [f"${n}$" for n in POSITIVE]


@pytest.mark.parametrize("paper", [False, True])
def test_levels_never_reached_and_already_there_are_marked(paper):
    far = published_form(THIRDS, k=10**6, l=1)
    never = plot_needed(simulate_rebound(far, level=0), paper=paper)
    assert on_edge(never, "^") == [(n, 1) for n in POSITIVE] * 2
    assert "level never reached" in labels(never)
    already = plot_needed(simulate_rebound(far, level=1), paper=paper)
    assert on_edge(already, "v") == [(n, 0) for n in POSITIVE] * 2
    assert "none needed" in labels(already)
    for ax in (never, already):
        assert not labelled(ax, "counts").get_xdata().size
        ax.figure.canvas.draw()


# Depth and pre-training data


def test_power_law_and_its_band_are_least_squares():
    trees = [
        TokenTree.from_leaves(leaves)
        for leaves in ({"000": 9, "011": 9, "110": 5}, {"000": 3, "010": 1}, {"011": 1, "111": 2, "000": 1})
    ]
    found = rebound_by_depth(trees, depths=[1, 2, 3])
    ax = plot_rebound_factor(found, positive=1, unit="symbols")
    points, line = ax.get_lines()
    np.testing.assert_array_equal(points.get_xdata(), [1, 2, 3])
    drops = found.score[1, :, 1, 0] - found.score[1, :, 1, 1]
    np.testing.assert_allclose(points.get_ydata(), drops, rtol=1e-10)
    fit = linregress(np.log([1, 2, 3]), np.log(drops))
    x, y = line.get_data()
    np.testing.assert_allclose(np.log(y), fit.intercept + fit.slope * np.log(x), rtol=0, atol=1e-8)
    assert (x[0], x[-1]) == pytest.approx((1, 3))
    decimals = max(0, 1 - math.floor(math.log10(fit.stderr)))
    assert labels(ax)[1].startswith(rf"fit, exponent ${fit.slope:.{decimals}f} \pm {fit.stderr:.2g}")

    # The standard error of the line, from the covariance of intercept and slope: X (X'X)^-1 X' s^2.
    design, at = (np.stack([np.ones_like(v), np.log(v)], axis=1) for v in (np.array([1.0, 2, 3]), x))
    misfit = np.log(drops) - fit.intercept - fit.slope * np.log([1, 2, 3])
    covariance = np.linalg.inv(design.T @ design) * (misfit @ misfit)
    error = np.sqrt(np.einsum("ij,jk,ik->i", at, covariance, at))
    (band,) = ax.collections
    outline = band.get_paths()[0].vertices
    for row, (below, above) in zip(x, np.exp(np.log(y)[:, None] + np.outer(error, [-1, 1])), strict=True):
        heights = outline[np.isclose(outline[:, 0], row, rtol=1e-12), 1]
        assert heights.min() == pytest.approx(below, rel=1e-8)
        assert heights.max() == pytest.approx(above, rel=1e-8)
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    assert ax.get_xlabel() == "depth $d$ (symbols)"
    assert "from 0 to 100" in ax.get_ylabel()
    assert ax.get_legend().get_title().get_text() == "2000 positive examples"


def test_pretraining_data_slows_counts_and_leaves_fixed_steps():
    far = published_form(THIRDS, k=10**9, l=1)
    found = rebound_by_pretraining(far, sizes=[1e7, 1e8, 1e9])
    counts, steps = (plot_rebound_factor(found, regime=r) for r in ("counts", "fine-tuning"))
    drops = counts.get_lines()[0].get_ydata()
    np.testing.assert_allclose(drops[1:] / drops[:-1], 0.1, rtol=1e-3)
    assert labels(counts)[1].startswith(r"fit, exponent $-0.999") or "-1.0000" in labels(counts)[1]
    assert np.ptp(steps.get_lines()[0].get_ydata()) == 0
    assert labels(steps)[1].startswith("fit, exponent $0.0000")
    assert counts.get_xlabel() == "$|D_p|$ (blocks)"
    assert [tick.get_text() for tick in counts.get_xticklabels()] == ["$10^{7}$", "$10^{8}$", "$10^{9}$"]
    for ax in (counts, steps):
        ax.figure.canvas.draw()


def test_figures_of_trees_read_in_part_say_so():
    mixture = published_form([[1, 0, 0], [0, 1, 0], [0, 0, 1]], k=1000, l=1)
    budget = inverse_alignment_budget(mixture, 1e-4, inverse=0)
    resistance, rebound = simulate_resistance(mixture), simulate_rebound(mixture)
    factor = rebound_by_pretraining(mixture, sizes=[1e3, 1e4, 1e5])
    drawn = [
        (lambda found: plot_budget({"web": [budget, found]}), budget),
        (plot_resistance, resistance),
        (plot_resistance_gaps, resistance),
        (plot_rebound, rebound),
        (plot_needed, rebound),
        (plot_rebound_factor, factor),
    ]
    for plot, found in drawn:
        assert "unexpanded" not in plot(found).get_legend().get_title().get_text()
        read = replace(found, unexpanded=found.unexpanded + 0.05)
        title = plot(read).get_legend().get_title().get_text()
        assert title.split("\n")[-1] == "up to 5% of a dataset unexpanded"


def test_no_power_law_through_zero():
    trees = [TokenTree.from_leaves(leaves) for leaves in ({"000": 9, "010": 9}, {"000": 1}, {"010": 1})]
    found = rebound_by_depth(trees)
    ax = plot_rebound_factor(found, unit="symbols")
    assert found.first_drop[1, 0, 0] == 0
    assert labels(ax)[1] == r"no power law: $R \leq 0$ at 1"
    assert all(tick == round(tick) for tick in ax.get_xticks())
    assert ax.get_lines()[0].get_ydata()[0] == 0
    assert (ax.get_xscale(), ax.get_yscale()) == ("linear", "linear")
    assert not ax.collections
    ax.figure.canvas.draw()


def test_many_depths_are_named_along_the_axis():
    trees = [
        TokenTree.from_leaves(leaves)
        for leaves in ({"0" * 12: 9, "0" * 11 + "1": 9, "1": 1}, {"0" * 12: 2, "1": 1}, {"0" * 11 + "1": 1})
    ]
    ax = plot_rebound_factor(rebound_by_depth(trees), unit="symbols")
    ax.figure.canvas.draw()
    low, high = ax.get_xlim()
    shown = [float(tick.get_text()) for tick in ax.get_xticklabels() if low <= tick.get_position()[0] <= high]
    assert shown == [1, 2, 3, 5, 10]


# What all pictures share


def test_unknown_options(unchecked, resistance, rebound):
    factor = rebound_by_pretraining(published_form(THIRDS, k=10**9, l=1))
    for draw, found in (
        (plot_resistance, resistance),
        (plot_rebound, rebound),
        (plot_rebound_factor, factor),
    ):
        with pytest.raises(ValueError, match="regime = 'steps': must be 'counts' or 'fine-tuning'"):
            draw(found, regime="steps")
    with pytest.raises(ValueError, match="loss = 'test': must be 'training' or 'excess'"):
        plot_resistance(resistance, loss="test")
    with pytest.raises(ValueError, match="show = 'fall': must be 'score' or 'drop'"):
        plot_rebound(rebound, show="fall")
    with pytest.raises(ValueError, match="positive = 4: must be below 4"):
        plot_rebound_factor(factor, positive=4)


def test_axes_are_taken_and_style_left_alone(thirds, resistance, rebound):
    before = dict(mpl.rcParams)
    factor = rebound_by_pretraining(published_form(THIRDS, k=10**9, l=1))
    budgets = {"best": [least_alignment_budget(thirds, 1e-4)]}
    for draw in (
        lambda ax: plot_budget(budgets, ax),
        lambda ax: plot_resistance(resistance, ax),
        lambda ax: plot_resistance_gaps(resistance, ax),
        lambda ax: plot_rebound(rebound, ax),
        lambda ax: plot_needed(rebound, ax),
        lambda ax: plot_rebound_factor(factor, ax),
    ):
        figure, ax = plt.subplots()
        assert draw(ax) is ax
        assert draw(None).figure is not figure
        for axis in (ax.xaxis, ax.yaxis):
            assert axis.get_label_text()
    assert dict(mpl.rcParams) == before
