"""Pictures of Theorem 4.2, of its limits, and of heavy tails."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from .. import _checks
from .._checks import Numbers
from ..depth import DepthCurve
from ..elasticity import ResponseCurve, published_closed_change
from ..mixture import Mixture
from ..pareto import ParetoConvergence
from ..signmap import SignMap
from ..tails import ALTERNATIVES, TailFit
from ._style import DASHES, GREYS, axes, listed, plain


def plot_rate_change(
    curves: Sequence[ResponseCurve],
    dataset: str,
    ax: Axes | None = None,
    parts: int | None = None,
    unit: str = "bits per block",
) -> Axes:
    r"""Change of one dataset's rate as the perturbation grows, for several k.

    Inverse proportion makes every curve scale with the sizes. Multiplied by k + 1 for D_a, and by k (k + 1)
    for D_p, curves of large k fall on one another where the theorem's proportion holds.

    Parameters
    ----------
    curves : sequence of ResponseCurve
        One for each k.
    dataset : {"pretrain", "align"}
        Whose rate.
    ax : Axes, optional
        Default: a new figure's.
    parts : int, optional
        Mark the closed form of the published form with this many disjoint parts, and its limit 1/(m - 1) on
        l, where gamma_p turns.
    unit : str
        Unit of the curves' rates, for the axis.

    Returns
    -------
    Axes

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
    if not curves:
        raise ValueError("curves is empty: at least one curve is needed")
    if dataset not in ("pretrain", "align"):
        raise ValueError(f"dataset = {dataset!r}: must be 'pretrain' or 'align'")
    ax = axes(ax)
    which = ("pretrain", "align").index(dataset)
    for i, curve in enumerate(curves):
        scale = (curve.k + 1) * (curve.k if dataset == "pretrain" else 1)
        change = scale * (curve.rates[:, which] - curve.start[which])
        ax.plot(
            np.append(0, curve.l),
            np.append(0, change),
            color=GREYS[i % 4],
            linestyle=DASHES[i % 4],
            label=f"$k = {_number(curve.k)}$",
        )
        if parts is not None:
            every = slice(i, None, max(1, len(curve.l) // 12))
            closed = scale * np.asarray(published_closed_change(parts, curve.k, curve.l)[which])
            label = "closed form" if i == len(curves) - 1 else None
            ax.plot(
                curve.l[every], closed[every], "o", color="0.0", markerfacecolor="none", ms=4, label=label
            )
    if parts is not None and dataset == "pretrain":
        ax.axvline(1 / (parts - 1), color="0.6", linewidth=0.8, linestyle=":", zorder=0)
    ax.axhline(0, color="0.8", linewidth=0.8, zorder=0)
    ax.set_xlabel(r"size of the perturbation, $l = |D_t|\,/\,|D_a|$")
    letter, factor = ("p", "k(k+1)") if dataset == "pretrain" else ("a", "(k+1)")
    ax.set_ylabel(rf"${factor}\,\Delta\gamma_{letter}$ ({unit})")
    ax.set_xlim(0, max(curve.l.max() for curve in curves))
    ax.legend(frameon=False)
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def plot_pareto_convergence(
    found: Mapping[str, ParetoConvergence],
    entry: int | tuple[int, int] = 0,
    ax: Axes | None = None,
    unit: str = "bits per block",
) -> Axes:
    r"""Distance of finite samples from the limit of many leaves, with its spread over seeds.

    Parameters
    ----------
    found : mapping of str to ParetoConvergence
        One line for each, under its name: the median over seeds, in a band from the 10th to the 90th
        percentile.
    entry : int or pair of int
        Which dataset's rate, or which pair's overlap.
    ax : Axes, optional
        Default: a new figure's.
    unit : str
        Unit of the rates, for the axis.

    Returns
    -------
    Axes
        Logarithmic both ways. The thin dotted line falls as M^(-1/2).

    Raises
    ------
    ValueError
        If `found` is empty.

    Examples
    --------
    >>> from tokentree.pareto import pareto_convergence
    >>> found = {"3": pareto_convergence(3, [5, 1], n_leaves=[100, 1000], seeds=range(5))}
    >>> plot_pareto_convergence(found, entry=(0, 1)).get_xlabel()
    'leaves $M$'
    """
    if not found:
        raise ValueError("found is empty: at least one convergence is needed")
    ax = axes(ax)
    for i, (name, one) in enumerate(found.items()):
        if isinstance(entry, tuple):
            off = np.abs(one.excess[:, :, *entry] - one.limit.excess[entry])
        else:
            off = np.abs(one.normalized_rates[:, :, entry] - one.limit.normalized_rates[entry])
        low, median, high = np.quantile(off, (0.1, 0.5, 0.9), axis=1)
        ax.fill_between(one.n_leaves, low, high, color=GREYS[i % 4], alpha=0.15, linewidth=0)
        ax.plot(one.n_leaves, median, color=GREYS[i % 4], linestyle=DASHES[i % 4], label=listed(name))
        if i == len(found) - 1:
            guide = median[0] * np.sqrt(one.n_leaves[0] / one.n_leaves)
            ax.plot(one.n_leaves, guide, color="0.5", linewidth=0.8, linestyle=":", label="$M^{-1/2}$")
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set_xlabel("leaves $M$")
    if isinstance(entry, tuple):
        ax.set_ylabel(rf"$|S_{{{entry[0] + 1}{entry[1] + 1}}} - {{}}$limit$|$")
    else:
        ax.set_ylabel(rf"$|\gamma_{entry + 1} - \log M - {{}}$limit$|$ ({unit})")
    ax.legend(frameon=False)
    ax.spines[["top", "right"]].set_visible(False)
    return ax


_PARAMETERS = {
    "k": r"$k = |D_p|\,/\,|D_a|$",
    "l": r"size of the perturbation, $l = |D_t|\,/\,|D_a|$",
    "alpha": r"Pareto exponent $\alpha$",
    "shared": "share of the mass on common leaves",
    "merged": "leaves merged into one by pruning",
}


def plot_sign_map(
    found: SignMap,
    x: Literal["k", "l", "alpha", "shared", "merged"] = "k",
    y: Literal["k", "l", "alpha", "shared", "merged"] = "l",
    ax: Axes | None = None,
) -> Axes:
    r"""Where Theorem 4.2's signs hold (grey) and fail (hatched), and the line S_pt = 1 between.

    Parameters
    ----------
    found : SignMap
        Over a grid of two axes.
    x, y : {"k", "l", "alpha", "shared", "merged"}
        Which parameters to draw over. Sizes and merged leaves get logarithmic axes.
    ax : Axes, optional
        Default: a new figure's.

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        If the grid is not 2-D, or `x` or `y` is unknown or one parameter twice.

    Examples
    --------
    >>> from tokentree.signmap import sign_map
    >>> found = sign_map(k=[[1, 10, 100]], l=[[0.1], [0.3], [1]])
    >>> plot_sign_map(found).get_xscale()
    'log'
    """
    if x == y or x not in _PARAMETERS or y not in _PARAMETERS:
        raise ValueError(f"x, y = {x!r}, {y!r}: must be two different ones of {', '.join(_PARAMETERS)}")
    if found.holds.ndim != 2 or min(found.holds.shape) < 2:
        raise ValueError(f"found has a grid of shape {found.holds.shape}: must be 2-D, two points each way")
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
    ax.legend(
        handles=[
            Patch(facecolor="0.82", edgecolor="0.0", label="the signs hold"),
            Patch(facecolor="1.0", edgecolor="0.0", hatch="///", label="they fail"),
            Line2D([], [], color="0.0", label="$S_{pt} = 1$"),
        ],
        loc="lower center",
        bbox_to_anchor=(0.5, 1.0),
        ncols=3,
        frameon=False,
    )
    return ax


def plot_depth_curve(curve: DepthCurve, ax: Axes | None = None, unit: str = "symbols") -> Axes:
    r"""S_pt and S_at against the depth that the joint tree is pruned to, with Theorem 4.2's verdict.

    A triangle that points down says that the rate of D_p or D_a falls as D_t grows (S > 1), one that points
    up that it rises, and a dot that the sign is zero or was not proved. Depths where the theorem's signs hold
    are shaded.

    Parameters
    ----------
    curve : DepthCurve
    ax : Axes, optional
        Default: a new figure's.
    unit : str
        What depth is counted in, for the axis.

    Returns
    -------
    Axes

    Examples
    --------
    >>> from tokentree import TokenTree
    >>> from tokentree.depth import depth_curve
    >>> trees = [TokenTree.from_leaves({leaf: 1}, depth=2) for leaf in ("01", "10", "00")]
    >>> plot_depth_curve(depth_curve(trees)).get_xlabel()
    'depth $d$ (symbols)'
    """
    ax = axes(ax)
    for i, letter in enumerate("pa"):
        found = [(each.overlap_pretrain, each.overlap_align)[i] for each in curve.elasticities]
        signs = [each.signs[i] for each in curve.elasticities]
        grey = GREYS[2 * i]
        ax.plot(curve.depths, found, color=grey, linestyle=DASHES[i], label=f"$S_{{{letter}t}}$")
        for depth, overlap, sign in zip(curve.depths, found, signs, strict=True):
            marker = {-1: "v", 1: "^"}.get(sign or 0, ".")
            ax.plot(depth, overlap, marker, color=grey, markerfacecolor="1.0", ms=5)
    for depth, holds in zip(curve.depths, curve.holds, strict=True):
        if holds:
            ax.axvspan(depth - 0.5, depth + 0.5, color="0.88", linewidth=0, zorder=0)
    ax.axhline(1, color="0.6", linewidth=0.8, zorder=1)
    ax.set(xlabel=f"depth $d$ ({unit})", ylabel=r"overlap $S_{it} = \sum_x p_i p_t / q$")
    ax.set_xlim(curve.depths.min() - 0.5, curve.depths.max() + 0.5)
    handles, _ = ax.get_legend_handles_labels()
    marks = {"v": "rate falls", "^": "rate rises"}
    handles += [
        Line2D([], [], color="0.0", linestyle="", marker=marker, markerfacecolor="1.0", ms=5, label=label)
        for marker, label in marks.items()
    ]
    handles.append(Patch(facecolor="0.88", label="the signs hold"))
    ax.legend(handles=handles, frameon=False)
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def plot_extension_gap(
    mixture: Mixture, extensions: Annotated[Numbers, "extensions"] = (1, 2, 3, 4), ax: Axes | None = None
) -> Axes:
    r"""How far Huffman codes for b leaves at once stay above the ideal rate, and the line 1 / b.

    The joint gap, of leaves drawn from q, lies below the line. That of a single dataset is under no such law
    and may be negative; its size is drawn.

    Parameters
    ----------
    mixture : Mixture
    extensions : sequence of int
        The b to try, as in `Mixture.rates`.
    ax : Axes, optional
        Default: a new figure's.

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        If `extensions` is empty, or as in `Mixture.rates`.

    Examples
    --------
    >>> plot_extension_gap(Mixture([[7, 1], [1, 1]], [8, 1]), [1, 2, 4, 8]).get_xscale()
    'log'
    """
    given = enumerate(_checks.items("extensions", extensions))
    tried = [_checks.integer(f"extensions[{i}]", each, 1) for i, each in given]
    if not tried:
        raise ValueError("extensions is empty: at least one is needed")
    ax = axes(ax)
    b = np.array(tried)
    joint = np.array([mixture.potential(code="huffman", extension=each) for each in tried])
    gaps = np.array([mixture.rates(code="huffman", extension=each) for each in tried]) - mixture.rates()
    ax.plot(b, 1 / b, color="0.6", linewidth=0.8, label="$1/b$")
    gap = (joint - mixture.potential()) / mixture.total_size
    ax.plot(b, gap, "o", color="0.0", linestyle="-", label="joint data")
    for i, name in enumerate(mixture.names):
        ax.plot(
            b,
            np.abs(gaps[:, i]),
            color=GREYS[1 + i % 3],
            linestyle=DASHES[1 + i % 3],
            marker="sD^v"[i % 4],
            markerfacecolor="1.0",
            ms=4,
            label=listed(f"{plain(name)}, absolute value"),
        )
    ax.set(xscale="log", yscale="log", xlabel="leaves a codeword, $b$")
    ax.set_xticks(b, labels=[str(each) for each in tried])
    ax.minorticks_off()
    ax.set_ylabel("rate above ideal (bits per block)")
    ax.legend(frameon=False)
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def plot_tail_fit(fit: TailFit, ax: Axes | None = None, unit: str | None = None) -> Axes:
    r"""Survival function of masses or counts, with the Pareto tail and its alternatives above the threshold.

    Parameters
    ----------
    fit : TailFit
    ax : Axes, optional
        Default: a new figure's.
    unit : str, optional
        What x is, for the axis. Default: "mass", or "count" for integers.

    Returns
    -------
    Axes
        Logarithmic both ways. A thin dotted line marks the threshold. A law's line ends a factor of ten below
        the data's last point.

    Examples
    --------
    >>> from tokentree import ParetoMass
    >>> ax = plot_tail_fit(ParetoMass.fit([1.0, 2.0, 3.0, 5.0, 9.0, 30.0], threshold=2))
    >>> ax.get_xlabel()
    'mass $x$'
    """
    ax = axes(ax)
    survival = fit.counts[::-1].cumsum()[::-1] / fit.n
    # A few thousand points, evenly along the curve, look like all of them.
    steps = [np.diff(np.log(each)) / np.ptp(np.log(each)) for each in (fit.values, survival)]
    travelled = np.hypot(*steps).cumsum()
    marks = 1 + np.searchsorted(travelled, np.linspace(0, travelled[-1], 3000))
    shown = np.unique(np.append(0, marks))
    ax.plot(fit.values[shown], survival[shown], ".", color="0.6", ms=4, label="data", zorder=1)

    x = np.geomspace(fit.threshold, fit.values[-1], 200)
    if fit.discrete:
        x = np.unique(np.ceil(x))
    styles = zip((*DASHES, (0, (1, 1))), (*GREYS, "0.0"), (2, 1, 1, 1, 1), strict=True)
    for name, (dashes, grey, width) in zip(("pareto", *ALTERNATIVES), styles, strict=True):
        law = fit.n_tail / fit.n * np.asarray(fit.survival(x, name))
        seen = law >= survival[-1] / 10
        label = rf"Pareto, $\alpha = {fit.exponent:.3g}$" if name == "pareto" else name
        ax.plot(x[seen], law[seen], color=grey, linestyle=dashes, linewidth=width, label=label)
    ax.axvline(fit.threshold, color="0.6", linewidth=0.8, linestyle=":", zorder=0)
    ax.set(xscale="log", yscale="log", xlabel=f"{unit or ('count' if fit.discrete else 'mass')} $x$")
    ax.set_ylabel("share of the data at or above $x$")
    ax.legend(frameon=False)
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def _number(k: float) -> str:
    return f"{k:,.0f}".replace(",", r"\,") if k == round(k) else f"{k:.4g}"
