"""Plots of Theorem 4.2: rates against the perturbation, overlaps against depth."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from ..theorem import DepthCurve, ResponseCurve, published_change
from ._style import DASHES, GREYS, _legend, alike, axes, instance, line, mark, plain

_SIGNS = {-1: ("v", "the rate falls"), 1: ("^", "the rate rises"), 0: (".", "zero or not proved")}
"""Marker of the sign of a rate's derivative, and its name."""


def plot_rate_change(
    curves: Sequence[ResponseCurve] | ResponseCurve,
    dataset: str,
    ax: Axes | None = None,
    *,
    parts: int | None = None,
    unit: str = "bits per block",
) -> Axes:
    r"""Change of one dataset's rate as the perturbation grows, for several k.

    Changes are inversely proportional to the sizes. So those of gamma_a are in units of 1 / (k + 1) bits per
    block, and those of gamma_p in units of 1 / (k (k + 1)) bits per block. In these units, curves of large k
    coincide if the theorem's proportion holds.

    Parameters
    ----------
    curves : ResponseCurve, or a sequence of them
        One curve for each k.
    dataset : {"pretrain", "align"}
        The dataset whose rate is drawn.
    ax : Axes, optional
        Default: a new figure's.
    parts : int, optional
        Draw the closed form of the published form with this many disjoint parts, and mark its limit l = 1/(m
        - 1), where gamma_p has its minimum.
    unit : str
        Unit of the curves' rates, for the axis label.

    Returns
    -------
    Axes
        Indistinguishable curves over the same l are drawn once, and named together.

    Raises
    ------
    ValueError
        If `curves` is empty or `dataset` unknown.

    Examples
    --------
    >>> from tokentree import published_form, response_curve
    >>> mixture = published_form([[1, 0, 0], [0, 1, 0], [0, 0, 1]], k=100, l=1)
    >>> ax = plot_rate_change([response_curve(mixture, [0.1, 0.5, 1])], "pretrain", parts=3)
    >>> ax.get_xlabel()
    'size of the perturbation, $l = |D_t|\\,/\\,|D_a|$'
    """
    if not isinstance(curves, Sequence):
        instance("curves", curves, ResponseCurve, "response_curve(mixture, l)")
        curves = [curves]
    if not curves:
        raise ValueError("curves is empty: at least one curve is needed")
    for i, curve in enumerate(curves):
        instance(f"curves[{i}]", curve, ResponseCurve, "response_curve(mixture, l)")
    if dataset not in ("pretrain", "align"):
        raise ValueError(f"dataset = {dataset!r}: must be 'pretrain' or 'align'")
    ax = axes(ax)
    which = ("pretrain", "align").index(dataset)
    scales = [(curve.k + 1) * (curve.k if dataset == "pretrain" else 1) for curve in curves]
    changes = [
        scale * (curve.rates[:, which] - curve.start[which])
        for scale, curve in zip(scales, curves, strict=True)
    ]
    one_grid = all(np.array_equal(curve.l, curves[0].l) for curve in curves)
    groups = alike(np.array(changes)) if one_grid else [[i] for i in range(len(curves))]
    for nth, group in enumerate(groups):
        curve, label = curves[group[0]], ",\\ ".join(_number(curves[i].k) for i in group)
        change = np.append(0, changes[group[0]])
        ax.plot(np.append(0, curve.l), change, **line(nth), label=f"$k = {label}$")
        if parts is not None:
            every = slice(nth, None, max(1, len(curve.l) // 12))
            closed = scales[group[0]] * np.asarray(published_change(parts, curve.k, curve.l)[which])
            last = "closed form" if nth == len(groups) - 1 else None
            ax.plot(curve.l[every], closed[every], "o", color="0.0", markerfacecolor="none", ms=4, label=last)
    if parts is not None and dataset == "pretrain":
        limit: dict[str, Any] = {"color": "0.5", "linewidth": 0.8, "linestyle": ":", "zorder": 0}
        ax.axvline(1 / (parts - 1), label=f"$l = 1/{parts - 1}$", **limit)
    ax.axhline(0, color="0.8", linewidth=0.8, zorder=0)
    ax.set_xlabel(r"size of the perturbation, $l = |D_t|\,/\,|D_a|$")
    letter, factor = ("p", r"[k\,(k+1)]") if dataset == "pretrain" else ("a", "(k+1)")
    ax.set_ylabel(rf"change $\Delta\gamma_{letter}$ of the rate" + f"\nin units of $1\\,/\\,{factor}$ {unit}")
    ax.set_xlim(0, max(curve.l.max() for curve in curves))
    title = r"sizes of the pre-training data, $k = |D_p|\,/\,|D_a|$"
    _legend(ax, title=title, unexpanded=max(curve.unexpanded for curve in curves))
    return ax


def plot_depth_curve(curve: DepthCurve, ax: Axes | None = None, *, unit: str = "symbols") -> Axes:
    r"""S_pt and S_at against the depth to which the joint tree is pruned, with Theorem 4.2's verdict.

    A triangle pointing down means that the rate falls as D_t grows (S > 1), one pointing up that it rises,
    and a dot that the sign is zero or was not proved. Depths at which the
    theorem's signs hold are shaded.

    Parameters
    ----------
    curve : DepthCurve
    ax : Axes, optional
        Default: a new figure's.
    unit : str
        Unit of depth, for the axis label.

    Returns
    -------
    Axes

    Examples
    --------
    >>> from tokentree import TokenTree
    >>> from tokentree.theorem import depth_curve
    >>> trees = [TokenTree.from_leaves({leaf: 1}, depth=2) for leaf in ("01", "10", "00")]
    >>> plot_depth_curve(depth_curve(trees)).get_xlabel()
    'depth $d$ (symbols)'
    """
    instance("curve", curve, DepthCurve, "depth_curve([a, b, c])")
    ax = axes(ax)
    for i, (letter, name) in enumerate(zip("pa", curve.elasticities[0].names, strict=False)):
        found = [(each.overlap_pretrain, each.overlap_align)[i] for each in curve.elasticities]
        signs = [each.signs[i] for each in curve.elasticities]
        grey = GREYS[2 * i]
        named = f"$S_{{{letter}t}}$, {plain(name)}"
        ax.plot(curve.depths, found, color=grey, linestyle=DASHES[i], label=named)
        for depth, overlap, sign in zip(curve.depths, found, signs, strict=True):
            ax.plot(depth, overlap, _SIGNS[sign or 0][0], color=grey, ms=5)
    for depth, holds in zip(curve.depths, curve.holds, strict=True):
        if holds:
            ax.axvspan(depth - 0.5, depth + 0.5, color="0.88", linewidth=0, zorder=0)
    ax.axhline(1, color="0.6", linewidth=0.8, zorder=1)
    ax.set(xlabel=f"depth $d$ ({unit})", ylabel=r"overlap $S_{it} = \Sigma_x\, p_i\, p_t\, /\, q$")
    ax.set_xlim(curve.depths.min() - 0.5, curve.depths.max() + 0.5)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    handles, _ = ax.get_legend_handles_labels()
    seen = {sign or 0 for each in curve.elasticities for sign in each.signs}
    handles += [mark(*_SIGNS[sign], color="0.0", ms=5) for sign in sorted(seen, key=abs, reverse=True)]
    if any(curve.holds):
        handles.append(Patch(facecolor="0.88", label="the theorem's signs hold"))
    _legend(ax, handles=handles, unexpanded=float(curve.unexpanded.max()))
    return ax


def _number(k: float) -> str:
    return f"{k:,.0f}".replace(",", r"\,") if k == round(k) else f"{k:.4g}"
