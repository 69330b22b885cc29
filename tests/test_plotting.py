"""Figures: what is drawn is what was computed."""

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib import pyplot as plt

from tokentree import published_closed_change, published_form, response_curve
from tokentree.plotting import plot_rate_change

PARTS = [[3, 1, 0, 0, 0], [0, 0, 1, 0, 0], [0, 0, 0, 2, 5]]
GRID = np.linspace(0.05, 1, 20)


@pytest.fixture(autouse=True)
def _closed():
    mpl.use("Agg")
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def curves():
    return [response_curve(published_form(PARTS, k, 1), GRID) for k in (10, 1000)]


@pytest.mark.parametrize(("dataset", "which"), [("pretrain", 0), ("align", 1)])
def test_lines_are_the_scaled_changes(curves, dataset, which):
    ax = plot_rate_change(curves, dataset)
    for curve, line in zip(curves, ax.get_lines(), strict=False):
        scale = (curve.k + 1) * (curve.k if dataset == "pretrain" else 1)
        closed = scale * published_closed_change(3, curve.k, GRID)[which]
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
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert labels == ["$k = 10$", r"$k = 1\,000$", "closed form"]


def test_axes_have_units_and_lines_differ_without_colour(curves):
    ax = plot_rate_change(curves, "pretrain", unit="bits per token")
    assert "bits per token" in ax.get_ylabel()
    assert "|D_t|" in ax.get_xlabel()
    assert len({line.get_linestyle() if i else "-" for i, line in enumerate(ax.get_lines()[:2])}) == 2


def test_leaves_global_style_alone(curves):
    before = dict(mpl.rcParams)
    plot_rate_change(curves, "align")
    assert dict(mpl.rcParams) == before


def test_bad_arguments(curves):
    with pytest.raises(ValueError, match="curves is empty"):
        plot_rate_change([], "align")
    with pytest.raises(ValueError, match="dataset = 'other'"):
        plot_rate_change(curves, "other")
