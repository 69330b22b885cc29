"""Plots of a model on data."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from ..models import ModelRates
from ._style import _edges, _legend, axes, information_unit, instance, line


def plot_log_loss(
    rates: ModelRates, ax: Axes | None = None, *, base: float = 2, unit: str = "tokens"
) -> Axes:
    r"""Log-loss of a model on data against depth, and the entropy of the data, below which none can be.

    Parameters
    ----------
    rates : ModelRates
    ax : Axes, optional
        Default: a new figure's.
    base : float
        The base of `rates`, for the axis label: 2 for bits, ``math.e`` for nats.
    unit : str
        Unit of depth, for the axis label.

    Returns
    -------
    Axes
        The distance of the two lines is KL(data \|\| model). Where the model is unexpanded on some of the
        data, an open circle is the lower bound of the log-loss. An infinite one is a triangle on the upper
        edge.

    See Also
    --------
    tokentree.model_rates : Measures these rates.

    Examples
    --------
    >>> from tokentree import TokenTree, model_rates
    >>> data = TokenTree.from_leaves({"00": 6, "01": 1, "11": 1}, depth=2)
    >>> coin = TokenTree.from_leaves({"00": 0.25, "01": 0.25, "10": 0.25, "11": 0.25}, depth=2)
    >>> plot_log_loss(model_rates(coin, data)).get_ylabel()
    'rate (bits per block)'
    """
    instance("rates", rates, ModelRates, "model_rates(model_tree, data_tree)")
    ax = axes(ax)
    order = rates.depths.argsort()
    depths, loss, least = (each[order] for each in (rates.depths, rates.log_loss, rates.log_loss_lower))
    ax.plot(depths, loss, **line(0), marker="o", ms=4, label="log-loss of the model")
    ax.plot(depths, rates.entropy[order], **line(1), marker="s", ms=3, label="entropy of the data")
    if (unknown := np.isnan(loss)).any():
        bound: dict[str, Any] = {"color": "0.0", "markerfacecolor": "1.0", "ms": 5}
        ax.plot(depths[unknown], least[unknown], "o", **bound, label="log-loss, at least: in part unexpanded")
    infinite = np.isinf(loss)
    ends = _edges(ax, depths[infinite].astype(np.float64), loss[infinite], "0.0")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set(xlabel=f"depth $d$ ({unit})", ylabel=f"rate ({information_unit(base)} per block)")
    _legend(ax, ends, above="infinite")
    return ax
