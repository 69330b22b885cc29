"""Plots of rebound: scores, examples needed, and the dependence of the first fall."""

import math
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from ..alignment import PAPER_NEEDED, POSITIVE, REGIMES, Rebound, ReboundFactor, Regime
from ._style import (
    DASHES,
    GREYS,
    MARKERS,
    _edges,
    _legend,
    _regime,
    _ticks,
    alike,
    axes,
    instance,
    line,
    mark,
    number,
)


def plot_rebound(
    rebound: Rebound,
    ax: Axes | None = None,
    *,
    regime: Regime = "fine-tuning",
    show: Literal["score", "drop"] = "score",
) -> Axes:
    r"""Section 5.2: score under negative examples, for every number of positive ones.

    Parameters
    ----------
    rebound : Rebound
    ax : Axes, optional
        Default: a new figure's.
    regime : {"counts", "fine-tuning"}
        Regime of training.
    show : {"score", "drop"}
        The score, or its fall, which separates lines if scores hardly change.

    Returns
    -------
    Axes
        Simulated points are marked, and joined by straight lines; indistinguishable lines are drawn once, and
        named together. With the score, a thin line marks `Rebound.level`.

    Raises
    ------
    ValueError
        If the regime or `show` is unknown.

    Examples
    --------
    >>> from tokentree import published_form, simulate_rebound
    >>> found = simulate_rebound(published_form([[1, 0, 0], [0, 1, 0], [0, 0, 1]], k=10**6, l=1))
    >>> [line.get_label() for line in plot_rebound(found).get_lines()]
    ['1000', '2000', '5000, 10000', 'target level, 0.5']
    """
    instance("rebound", rebound, Rebound, "simulate_rebound(mixture)")
    r = _regime(regime)
    if show not in ("score", "drop"):
        raise ValueError(f"show = {show!r}: must be 'score' or 'drop'")
    ax = axes(ax)
    values = (rebound.score if show == "score" else rebound.drop)[r]
    for nth, group in enumerate(alike(values)):
        label = ", ".join(f"{n:.12g}" for n in rebound.positive[group])
        ax.plot(rebound.negative, values[group[0]], **line(nth), marker=MARKERS[nth % 4], ms=4, label=label)
    if show == "score":
        label = f"target level, {rebound.level:.3g}"
        ax.axhline(rebound.level, color="0.6", linewidth=0.8, linestyle=":", zorder=0, label=label)
    ax.set_xlabel("negative examples (blocks)")
    score = "score, share of $D_a$ in the model's mass"
    ax.set_ylabel(score if show == "score" else "fall of the score")
    _legend(ax, title="positive examples (blocks)", unexpanded=rebound.unexpanded)
    return ax


def plot_needed(rebound: Rebound, ax: Axes | None = None, *, paper: bool = True) -> Axes:
    r"""Negative examples needed to undo the positive ones, in both regimes, with the paper's Table 3.

    Parameters
    ----------
    rebound : Rebound
    ax : Axes, optional
        Default: a new figure's.
    paper : bool
        Whether to draw the paper's values too.

    Returns
    -------
    Axes
        Both axes are logarithmic. A triangle on the upper edge means that the score never falls to the level,
        one on the lower edge that it is there already.

    Examples
    --------
    >>> from tokentree import published_form, simulate_rebound
    >>> found = simulate_rebound(published_form([[1, 0, 0], [0, 1, 0], [0, 0, 1]], k=10**6, l=1))
    >>> [text.get_text() for text in plot_needed(found).get_legend().get_texts()]
    ['counts', 'fine-tuning', 'paper, Llama2-7B', 'paper, Gemma-2B']
    """
    instance("rebound", rebound, Rebound, "simulate_rebound(mixture)")
    ax = axes(ax)
    ax.set_xscale("log")
    # An axis without a positive number cannot be logarithmic.
    if paper or ((rebound.needed > 0) & (rebound.needed < np.inf)).any():
        ax.set_yscale("log")
    ends = np.zeros(2, np.bool_)
    for r, regime in enumerate(REGIMES):
        needed = rebound.needed[r]
        finite = (needed > 0) & (needed < np.inf)
        ax.plot(rebound.positive[finite], needed[finite], **line(r), marker=MARKERS[r], ms=5, label=regime)
        ends |= _edges(ax, rebound.positive, needed, GREYS[r])
    if paper:
        for nth, (model, table) in enumerate(PAPER_NEEDED.items(), start=2):
            style = {**line(nth), "marker": MARKERS[nth], "markerfacecolor": "1.0", "ms": 6}
            ax.plot(POSITIVE, table, **style, label=f"paper, {model}")
    ax.set_xlabel("positive examples (blocks)")
    ax.set_ylabel("negative examples needed (blocks)")
    _ticks(ax, rebound.positive)
    _legend(ax, ends, "level never reached", "none needed", unexpanded=rebound.unexpanded)
    return ax


def plot_rebound_factor(
    factor: ReboundFactor,
    ax: Axes | None = None,
    *,
    regime: Regime = "fine-tuning",
    positive: int = 0,
    unit: str = "blocks",
) -> Axes:
    r"""Section 5.3: the first drop R against depth or |D_p|, with the power law fitted to it.

    Parameters
    ----------
    factor : ReboundFactor
        A factor with at least three values.
    ax : Axes, optional
        Default: a new figure's.
    regime : {"counts", "fine-tuning"}
        Regime of training.
    positive : int
        Index into `ReboundFactor.positive`.
    unit : str
        Unit of the factor, for the axis label: "symbols" for depth.

    Returns
    -------
    Axes
        Both axes are logarithmic, with the fit and a band of one standard error of the fitted line. The band
        shows the misfit of a power law, since the simulation has no noise. If a drop is not positive there is
        no power law; the axes are then linear, and the legend says so.

    Raises
    ------
    ValueError
        As in `ReboundFactor.fit`.

    Examples
    --------
    >>> from tokentree import published_form, rebound_by_pretraining
    >>> thirds = published_form([[1, 0, 0], [0, 1, 0], [0, 0, 1]], k=10**6, l=1)
    >>> found = rebound_by_pretraining(thirds, sizes=[1e4, 1e5, 1e6])
    >>> ax = plot_rebound_factor(found, regime="counts")
    >>> print(ax.get_legend().get_texts()[1].get_text())
    fit, exponent $-0.9935 \pm 0.0034$
    """
    instance("factor", factor, ReboundFactor, "rebound_by_depth([a, b, c])")
    r = _regime(regime)
    law = factor.fit(regime, positive)
    ax = axes(ax)
    values, drops = factor.values, factor.first_drop[r, :, positive]
    handles = ax.plot(values, drops, "o", color="0.0", ms=5, label=f"simulated, {regime}", zorder=3)
    if np.isnan(law.exponent):
        at = ", ".join(f"{value:g}" for value in values[drops <= 0])
        handles.append(mark("", f"no power law: $R \\leq 0$ at {at}"))
        ax.axhline(0, color="0.8", linewidth=0.8, zorder=0)
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    else:
        x = np.geomspace(values[0], values[-1], 100)
        fitted = law.amplitude * x**law.exponent
        logs = np.log(values)
        # Variance of the line at x: its error at the mean of log x and that of the exponent are independent.
        error = law.exponent_error * np.sqrt(logs.var() + (np.log(x) - logs.mean()) ** 2)
        ax.fill_between(x, fitted * np.exp(-error), fitted * np.exp(error), color="0.85", linewidth=0)
        # To the second digit of the error, but to at most four decimals.
        decimals = 4 if law.exponent_error < 1e-3 else max(0, 1 - math.floor(math.log10(law.exponent_error)))
        label = rf"fit, exponent ${law.exponent:.{decimals}f} \pm {number(law.exponent_error, 2)}$"
        handles += ax.plot(x, fitted, color="0.3", linestyle=DASHES[1], label=label)
        ax.set(xscale="log", yscale="log")
        _ticks(ax, values)
    ax.set_xlabel(f"{'depth $d$' if factor.factor == 'depth' else '$|D_p|$'} ({unit})")
    first, last = factor.negative[:2]
    ax.set_ylabel(f"$R$, fall of the score from {first:g} to {last:g}\nnegative examples")
    title = f"{factor.positive[positive]:g} positive examples"
    _legend(ax, handles=handles, columns=1, title=title, unexpanded=float(factor.unexpanded.max()))
    return ax
