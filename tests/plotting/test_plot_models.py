"""Log-loss by depth drawn: known, bounded and infinite."""

import math
from dataclasses import replace

import matplotlib as mpl
import numpy as np
import pytest
from tests.drawing import labelled, labels

from tokentree import TokenTree, model_rates
from tokentree.adapters import read_model
from tokentree.plotting import plot_log_loss

mpl.use("Agg")

DATA = TokenTree.from_leaves({"000": 6, "001": 1, "101": 1, "110": 2}, depth=3)
UNKNOWN = "log-loss, at least: in part unexpanded"


def loaded(prefixes):
    return np.log(np.tile([0.8, 0.2], (len(prefixes), 1)))


def test_lines_are_the_log_loss_and_the_entropy():
    rates = model_rates(read_model(loaded, depth=3), DATA, [3, 1, 2])
    ax = plot_log_loss(rates)
    p = np.array([6, 1, 1, 2]) / 10
    q = np.array([0.8**3, 0.8**2 * 0.2, 0.8 * 0.2**2, 0.8 * 0.2**2])
    for name, last in ("log-loss of the model", -p @ np.log2(q)), ("entropy of the data", -p @ np.log2(p)):
        depths, values = labelled(ax, name).get_data()
        assert depths.tolist() == [1, 2, 3]
        assert values[-1] == pytest.approx(last, rel=1e-12)
    assert labels(ax) == ["log-loss of the model", "entropy of the data"]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("depth $d$ (tokens)", "rate (bits per block)")
    assert all(tick == round(tick) for tick in ax.get_xticks())
    nats = plot_log_loss(rates, base=math.e, unit="bits")
    assert (nats.get_xlabel(), nats.get_ylabel()) == ("depth $d$ (bits)", "rate (nats per block)")


def test_where_it_is_unknown_the_bound_is_drawn_open():
    with pytest.warns(UserWarning, match="does not list"):
        rates = model_rates(read_model(loaded, depth=3, max_nodes=8), DATA)
    unknown = np.isnan(rates.log_loss)
    assert 0 < unknown.sum() < 3
    ax = plot_log_loss(rates)
    bound = labelled(ax, UNKNOWN)
    np.testing.assert_array_equal(bound.get_data(), (rates.depths[unknown], rates.log_loss_lower[unknown]))
    assert bound.get_markerfacecolor() != labelled(ax, "log-loss of the model").get_markerfacecolor()
    assert UNKNOWN in labels(ax)


def test_an_infinite_loss_is_on_the_edge():
    sure = TokenTree.from_leaves({"000": 1, "001": 1, "10": 1}, depth=3)
    rates = model_rates(sure, DATA)
    assert np.isinf(rates.log_loss).tolist() == [False, True, True]
    ax = plot_log_loss(rates)
    (marks,) = (line for line in ax.get_lines() if line.get_marker() == "^")
    np.testing.assert_array_equal(marks.get_data(), ([2, 3], [1, 1]))
    assert marks.get_transform() == ax.get_xaxis_transform()
    assert labels(ax)[-1] == "infinite"
    # A loss of zero, of a model that is certain, is no edge.
    nothing = replace(rates, **{name: np.zeros(3) for name in ("log_loss", "log_loss_lower", "entropy")})
    assert "v" not in {line.get_marker() for line in plot_log_loss(nothing).get_lines()}
