"""Figures: what is drawn is what was computed."""

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib import pyplot as plt
from tests.drawing import labelled, labels, recorded

from tokentree import ParetoMass, SpringChain, inverse_alignment_budget, published_form, response_curve
from tokentree.cli.figures import rate_changes
from tokentree.pareto import pareto_convergence
from tokentree.pareto.tails import ALTERNATIVES
from tokentree.plotting import (
    animate_springs,
    plot_budget,
    plot_extension_gap,
    plot_fisher_triangle,
    plot_force_extension,
    plot_invariant,
    plot_pareto_convergence,
    plot_rate_change,
    plot_rates,
    plot_survival,
    plot_tail_fit,
)
from tokentree.plotting._style import alike
from tokentree.theorem import published_change

PARTS = [[3, 1, 0, 0, 0], [0, 0, 1, 0, 0], [0, 0, 0, 2, 5]]
GRID = np.linspace(0.05, 1, 20)


@pytest.fixture(scope="module")
def curves():
    return [response_curve(published_form(PARTS, k, 1), GRID) for k in (10, 1000)]


@pytest.mark.parametrize(("dataset", "which"), [("pretrain", 0), ("align", 1)])
def test_lines_are_the_scaled_changes(curves, dataset, which):
    ax = plot_rate_change(curves, dataset)
    for curve, line in zip(curves, ax.get_lines(), strict=False):
        scale = (curve.k + 1) * (curve.k if dataset == "pretrain" else 1)
        closed = scale * published_change(3, curve.k, GRID)[which]
        x, y = line.get_data()
        assert (x[0], y[0]) == (0, 0)
        np.testing.assert_array_equal(x[1:], GRID)
        # Rates of a few bits subtracted: their rounding, scaled up.
        np.testing.assert_allclose(y[1:], closed, rtol=0, atol=scale * 8 * np.finfo(float).eps)


def test_takes_and_returns_an_axes(curves):
    figure, ax = plt.subplots()
    assert plot_rate_change(curves, "align", ax) is ax
    assert plot_rate_change(curves, "align").figure is not figure


def test_closed_form_is_marked_and_named(curves):
    ax = plot_rate_change(curves, "pretrain", parts=3)
    assert labels(ax) == ["$k = 10$", r"$k = 1\,000$", "closed form", "$l = 1/2$"]
    assert labelled(ax, "$l = 1/2$").get_xdata() == [0.5, 0.5]


@pytest.mark.parametrize(("dataset", "factor"), [("pretrain", r"[k\,(k+1)]"), ("align", "(k+1)")])
def test_the_axis_says_in_which_units_changes_are(curves, dataset, factor):
    assert f"in units of $1\\,/\\,{factor}$ bits per block" in plot_rate_change(curves, dataset).get_ylabel()


def test_curves_that_coincide_are_drawn_once():
    curves = [response_curve(published_form(PARTS, k, 1), GRID) for k in (10, 10**6, 10**4, 10**5)]
    ax = plot_rate_change(curves, "align")
    assert labels(ax) == ["$k = 10$", r"$k = 1\,000\,000,\ 10\,000,\ 100\,000$"]
    drawn = [line for line in ax.get_lines() if len(line.get_xdata()) == len(GRID) + 1]
    assert len(drawn) == 2
    # Over different grids nothing is compared.
    curves[1] = response_curve(published_form(PARTS, 10**6, 1), GRID[1:])
    assert len(labels(plot_rate_change(curves, "align"))) == 4


@pytest.mark.parametrize(
    ("lines", "groups"),
    [
        ([[0, 1], [0, 0.991], [0, 0.989]], [[0, 1], [2]]),
        ([[0, np.inf], [0, np.inf], [0, 1]], [[0, 1], [2]]),
        ([[2, 2], [2, 2]], [[0, 1]]),
        ([[np.inf], [np.inf], [-np.inf]], [[0, 1], [2]]),
    ],
)
def test_lines_are_alike_within_a_hundredth_of_the_height(lines, groups):
    assert alike(np.array(lines, np.float64)) == groups


def test_axes_have_units_and_lines_differ_without_colour(curves):
    ax = plot_rate_change(curves, "pretrain", unit="bits per token")
    assert "bits per token" in ax.get_ylabel()
    assert "|D_t|" in ax.get_xlabel()
    assert len({line.get_linestyle() if i else "-" for i, line in enumerate(ax.get_lines()[:2])}) == 2


def test_four_panels_share_one_legend(curves):
    figure = rate_changes({"": curves, ", again": curves}, parts=3)
    assert [ax.get_legend() for ax in figure.axes] == [None] * 4
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == labels(
        plot_rate_change(curves, "pretrain", parts=3)
    )
    assert "|D_p|" in legend.get_title().get_text()


def test_leaves_global_style_alone(curves):
    before = dict(mpl.rcParams)
    plot_rate_change(curves, "align")
    assert dict(mpl.rcParams) == before


def test_bad_arguments(curves):
    with pytest.raises(ValueError, match="curves is empty"):
        plot_rate_change([], "align")
    with pytest.raises(ValueError, match="dataset = 'other'"):
        plot_rate_change(curves, "other")


@pytest.mark.parametrize("discrete", [False, True])
def test_tail_fit_draws_data_and_every_law(discrete):
    rng = np.random.default_rng(0)
    data = rng.zipf(2.1, 400) if discrete else 1 + rng.pareto(1.5, 400)
    fit = ParetoMass.fit(data, 2)
    ax = plt.subplots()[1]
    assert plot_tail_fit(fit, ax) is ax
    points, *laws, mark = ax.get_lines()
    names = [rf"Pareto, $\alpha = {fit.exponent:.3g}$", *ALTERNATIVES]
    assert sorted("\n".join(labels(ax)).split("\n")) == sorted(["data", *names, "threshold"])
    values, survival = points.get_data()
    # Points closer than can be seen are left out.
    assert 0.9 * len(np.unique(data)) < len(values)
    assert np.isin(values, data).all()
    np.testing.assert_allclose(survival, [np.mean(data >= x) for x in values])
    assert mark.get_xdata() == [2, 2]
    for line in laws:
        x, y = line.get_data()
        assert x[0] == 2
        assert x[-1] <= data.max()
        # Where the tail begins, a law has all of it.
        for i, label in enumerate(line.get_label().split("\n")):
            law = fit.n_tail / 400 * fit.survival(x, label if label in ALTERNATIVES else "pareto")
            # The others on the line are at most a hundredth of the laws' height away.
            apart = 0.01 * np.log(10 * fit.n_tail) if i else 1e-7
            assert np.abs(np.log(y / law)).max() <= apart
        assert y[0] == pytest.approx(np.mean(data >= 2))
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    assert ax.get_xlabel() == ("count, $x$" if discrete else "mass, $x$")


@pytest.mark.parametrize("discrete", [False, True])
def test_laws_end_at_the_upper_end_above_what_lies_beyond(discrete):
    data = np.append(50 ** np.random.default_rng(0).random(300), [70.0, 80.0, 90.0])
    fit = ParetoMass.fit(np.ceil(data) if discrete else data, 2, discrete=discrete, upper=50)
    _, *laws, _ = plot_tail_fit(fit).get_lines()
    assert laws
    for line in laws:
        first = line.get_label().split("\n")[0]
        name = first if first in ALTERNATIVES else "pareto"
        x, y = line.get_data()
        assert x[-1] == 50
        np.testing.assert_allclose(y, (3 + fit.n_tail * fit.survival(x, name)) / 303)
        assert y[0] == pytest.approx(np.mean(fit.values.repeat(fit.counts) >= 2))


def test_tail_fit_thins_what_cannot_be_seen():
    fit = ParetoMass.fit(1 + np.random.default_rng(0).pareto(1.5, 50_000))
    ax = plot_tail_fit(fit, unit="leaf mass")
    x, y = ax.get_lines()[0].get_data()
    assert len(x) <= 3001
    assert (x[0], x[-1]) == (fit.values[0], fit.values[-1])
    assert (y[0], y[-1]) == (1, 1 / 50_000)
    # No gap wider than a thousandth of the figure, either way.
    for each in (x, y):
        steps = np.abs(np.diff(np.log(each))) / np.ptp(np.log(each))
        own = np.abs(np.diff(np.log(fit.values if each is x else np.arange(50_000, 0, -1))))
        assert steps.max() <= 1e-3 + own.max() / np.ptp(np.log(each))
    assert ax.get_xlabel() == "leaf mass, $x$"


def named(names):
    return published_form(PARTS, 10, 1, names=names)


NAMED = {
    plot_budget: lambda names: plot_budget(
        {name: [inverse_alignment_budget(named(names), 0.1)] for name in names}
    ),
    plot_extension_gap: lambda names: plot_extension_gap(named(names), [1, 2]),
    plot_fisher_triangle: lambda names: plot_fisher_triangle(named(names)),
    plot_force_extension: lambda names: plot_force_extension(SpringChain([1, 2, 3], names=names)),
    plot_invariant: lambda names: plot_invariant(named(names), 2, [0.5, 2]),
    plot_pareto_convergence: lambda names: plot_pareto_convergence(
        dict.fromkeys(names, pareto_convergence(3, [5, 1], n_leaves=[10, 100], seeds=range(3))), (0, 1)
    ),
    plot_rates: lambda names: plot_rates(named(names), [0.5, 1]),
    plot_survival: lambda names: plot_survival(dict.fromkeys(names, np.arange(1, 9))),
    animate_springs: lambda names: recorded(
        animate_springs(named(names), 2, [1, 2]), lambda left, right: right
    )[0],
}
"""Every plot that has given names in its legend."""


@pytest.mark.parametrize("plot", NAMED)
def test_a_legend_has_names_that_begin_with_an_underscore(plot):
    names = ["_a", "__b", "c_"]
    legend = NAMED[plot](names).get_legend()
    legend.figure.canvas.draw()
    shown = [text.get_text().lstrip("\u200b") for text in legend.get_texts()]
    plain = labels(NAMED[plot](["x", "y", "z"]))
    assert len(shown) == len(plain)
    for name in names:
        assert any(name in each for each in shown), (name, shown)
