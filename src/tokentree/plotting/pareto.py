"""Plots of heavy tails: fits, convergence to the limit of many leaves, and its map of signs."""

from collections.abc import Mapping
from typing import Literal

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from ..pareto import ALTERNATIVES, ParetoConvergence, SignMap, TailFit
from ._style import (
    DASHES,
    GREYS,
    MARKERS,
    _legend,
    _legend_above,
    alike,
    axes,
    instance,
    line,
    listed,
    number,
)


def plot_pareto_convergence(
    found: Mapping[str, ParetoConvergence],
    entry: int | tuple[int, int] = 0,
    ax: Axes | None = None,
    *,
    unit: str = "bits per block",
) -> Axes:
    r"""Distance of finite samples from the limit of many leaves, with its spread over seeds.

    Parameters
    ----------
    found : mapping of str to ParetoConvergence
        One line per entry, with its name: the median over seeds, with bars from the 10th to the 90th
        percentile. Each line is shifted slightly to the right of the previous one, so that no bar hides
        another.
    entry : int or pair of int
        The dataset whose rate is drawn, or the pair whose overlap is drawn.
    ax : Axes, optional
        Default: a new figure's.
    unit : str
        Unit of the rates, for the axis label.

    Returns
    -------
    Axes
        Both axes are logarithmic. The thin dotted line falls as M^(-1/2), below all bars.

    Raises
    ------
    ValueError
        If `found` is empty.

    Examples
    --------
    >>> from tokentree.pareto import pareto_convergence
    >>> found = {"3": pareto_convergence(3, [5, 1], n_leaves=[100, 1000], seeds=range(5))}
    >>> plot_pareto_convergence(found, entry=(0, 1)).get_xlabel()
    'number of leaves, $M$'
    """
    instance("found", found, Mapping, "{name: pareto_convergence(alpha, sizes)}")
    if not found:
        raise ValueError("found is empty: at least one convergence is needed")
    for name, one in found.items():
        instance(f"found[{name!r}]", one, ParetoConvergence, "pareto_convergence(alpha, sizes)")
    ax = axes(ax)
    floor = []
    for i, (name, one) in enumerate(found.items()):
        if isinstance(entry, tuple):
            off = np.abs(one.excess[:, :, *entry] - one.limit.excess[entry])
        else:
            off = np.abs(one.normalized_rates[:, :, entry] - one.limit.normalized_rates[entry])
        low, median, high = np.quantile(off, (0.1, 0.5, 0.9), axis=1)
        leaves, style = one.n_leaves * 1.05**i, line(i)
        ax.vlines(leaves, low, high, color=style["color"], linewidth=0.8)
        ax.plot(leaves, median, **style, marker=MARKERS[i % 4], ms=4, label=listed(name))
        floor.append(np.stack([leaves, low])[:, low > 0])
    x, low = np.hstack(floor)
    ends = np.array([x.min(), x.max()])
    guide = 0.5 * (low * np.sqrt(x)).min() / np.sqrt(ends)
    ax.plot(ends, guide, color="0.5", linewidth=0.8, linestyle=":", label=r"falls as $M^{-1/2}$")
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set_xlabel("number of leaves, $M$")
    if isinstance(entry, tuple):
        ax.set_ylabel(rf"distance of the overlap $S_{{{entry[0] + 1}{entry[1] + 1}}}$ from its limit")
    else:
        ax.set_ylabel(rf"distance of $\gamma_{entry + 1} - \log\,M$ from its limit" + f"\n({unit})")
    _legend(ax, title="medians, and bars from the 10th to the 90th percentile")
    return ax


_PARAMETERS = {
    "k": r"$k = |D_p|\,/\,|D_a|$",
    "l": r"size of the perturbation, $l = |D_t|\,/\,|D_a|$",
    "alpha": r"Pareto exponent, $\alpha$",
    "shared": "share of the mass on common leaves",
    "merged": "leaves merged into one by pruning",
}


def plot_sign_map(
    found: SignMap,
    x: Literal["k", "l", "alpha", "shared", "merged"] = "k",
    y: Literal["k", "l", "alpha", "shared", "merged"] = "l",
    ax: Axes | None = None,
) -> Axes:
    r"""Regions where Theorem 4.2's signs hold (grey) and fail (hatched), and the line S_pt = 1 between them.

    If l is on an axis, a dashed line is the limit l* of this line as k grows. The legend gives the form of
    the model and, if there is only one, the Pareto exponent.

    Parameters
    ----------
    found : SignMap
        A map over a two-dimensional grid.
    x, y : {"k", "l", "alpha", "shared", "merged"}
        Parameters on the two axes. Sizes and merged leaves have logarithmic axes.
    ax : Axes, optional
        Default: a new figure's.

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        If the grid is not 2-D, or `x` or `y` is unknown, or both are the same parameter.

    Examples
    --------
    >>> from tokentree.pareto import sign_map
    >>> found = sign_map(k=[[1, 10, 100]], l=[[0.1], [0.3], [1]])
    >>> plot_sign_map(found).get_xscale()
    'log'
    """
    instance("found", found, SignMap, "sign_map(k=k, l=l)")
    if x == y or x not in _PARAMETERS or y not in _PARAMETERS:
        raise ValueError(
            f"x, y = {x!r}, {y!r}: must be two different parameters among {', '.join(_PARAMETERS)}"
        )
    if found.holds.ndim != 2 or min(found.holds.shape) < 2:
        raise ValueError(
            f"found has a grid of shape {found.holds.shape}: must be 2-D, with two points or more per axis"
        )
    ax = axes(ax)
    across, up = getattr(found, x), getattr(found, y)
    ax.set_facecolor("0.82")
    if not found.holds.all():
        ax.contourf(across, up, found.excess_pretrain, levels=[0, np.inf], colors="1.0", hatches=["///"])
        # Without a change of sign there is no line, and Matplotlib warns.
        if found.holds.any():
            ax.contour(across, up, found.excess_pretrain, levels=[0], colors="0.0", linewidths=1.5)
    scales = ["log" if name in ("k", "l", "merged") else "linear" for name in (x, y)]
    ax.set(xscale=scales[0], xlabel=_PARAMETERS[x], xlim=(across.min(), across.max()))
    ax.set(yscale=scales[1], ylabel=_PARAMETERS[y], ylim=(up.min(), up.max()))
    handles: list[Artist] = [
        Patch(facecolor="0.82", edgecolor="0.0", label="the signs hold"),
        Patch(facecolor="1.0", edgecolor="0.0", hatch="///", label="the signs fail"),
        Line2D([], [], color="0.0", label="$S_{pt} = 1$"),
    ]
    if "l" in (x, y) and np.isfinite(found.limit):
        draw = ax.axvline if x == "l" else ax.axhline
        named = rf"$l^* = {number(found.limit)}$"
        handles.append(draw(found.limit, color="0.4", linestyle="--", linewidth=1, label=named))
    title = f"{found.form} form"
    if np.ptp(found.alpha) == 0:
        title += rf", Pareto exponent $\alpha = {number(found.alpha.flat[0])}$"
    _legend_above(ax, handles, 2, title)
    return ax


def plot_tail_fit(fit: TailFit, ax: Axes | None = None, *, unit: str | None = None) -> Axes:
    r"""Survival function of masses or counts, with the Pareto tail and its alternatives above the threshold.

    Parameters
    ----------
    fit : TailFit
    ax : Axes, optional
        Default: a new figure's.
    unit : str, optional
        Name of x, for the axis label. Default: "mass", or "count" for integers.

    Returns
    -------
    Axes
        Both axes are logarithmic. A thin dotted line marks the threshold. A law's line ends a factor of ten
        below the last point of the data, or at the upper end. Indistinguishable laws share one line, with all
        their names.

    Examples
    --------
    >>> from tokentree import ParetoMass
    >>> ax = plot_tail_fit(ParetoMass.fit([1.0, 2.0, 3.0, 5.0, 9.0, 30.0], threshold=2))
    >>> ax.get_xlabel()
    'mass, $x$'
    """
    instance("fit", fit, TailFit, "fit_tail(masses)")
    ax = axes(ax)
    survival = fit.counts[::-1].cumsum()[::-1] / fit.n
    # A few thousand points, evenly along the curve, look the same as all of them.
    steps = [np.diff(np.log(each)) / np.ptp(np.log(each)) for each in (fit.values, survival)]
    travelled = np.hypot(*steps).cumsum()
    marks = 1 + np.searchsorted(travelled, np.linspace(0, travelled[-1], 3000))
    shown = np.unique(np.append(0, marks))
    ax.plot(fit.values[shown], survival[shown], ".", color="0.6", ms=4, label="data", zorder=1)

    x = np.geomspace(fit.threshold, min(fit.values[-1], fit.upper), 200)
    if fit.discrete:
        x = np.unique(np.ceil(x))
    names = ("pareto", *ALTERNATIVES)
    laws = np.array(
        [(fit.n_above + fit.n_tail * np.asarray(fit.survival(x, name))) / fit.n for name in names]
    )
    named = (rf"Pareto, $\alpha = {fit.exponent:.3g}$", *ALTERNATIVES)
    styles = zip((*DASHES, (0, (1, 1))), (*GREYS, "0.0"), (2, 1, 1, 1, 1), strict=False)
    lowest = survival[-1] / 10
    groups = alike(np.log(np.maximum(laws, lowest)))
    for group, (dashes, grey, width) in zip(groups, styles, strict=False):
        law, label = laws[group[0]], "\n".join(named[i] for i in group)
        seen = law >= lowest
        ax.plot(x[seen], law[seen], color=grey, linestyle=dashes, linewidth=width, label=label)
    ax.axvline(fit.threshold, color="0.6", linewidth=0.8, linestyle=":", zorder=0, label="threshold")
    ax.set(xscale="log", yscale="log", xlabel=f"{unit or ('count' if fit.discrete else 'mass')}, $x$")
    ax.set_ylabel("share of the data at or above $x$")
    _legend(ax)
    return ax
