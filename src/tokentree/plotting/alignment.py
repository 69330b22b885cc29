"""Plots of inverse alignment: the data that it needs, and resistance."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes

from ..alignment import REGIMES, AlignmentBudget, Regime, Resistance
from ._style import DASHES, GREYS, MARKERS, _edges, _legend, _regime, axes, instance, line, listed, mark


def plot_budget(budgets: Mapping[str, Sequence[AlignmentBudget]], ax: Axes | None = None) -> Axes:
    r"""Least |D_b| / |D_a| that undoes an alignment, against the part of it that may remain.

    Parameters
    ----------
    budgets : mapping of str to sequence of AlignmentBudget
        One line per entry, with its name: a distance, a regime, data for D_b, over several epsilon.
    ax : Axes, optional
        Default: a new figure's.

    Returns
    -------
    Axes
        The horizontal axis is epsilon as a share of the distance of the aligned model, so that distances with
        different units share an axis; it is logarithmic, with a place for 0. Triangles on the upper edge mark
        epsilons that no amount of data reaches, those on the lower edge epsilons that need no data. A dotted
        line marks the infimum of the reachable epsilons if some are unreachable. The horizontal line is |D_b|
        = |D_a|: Definitions 3.5 and 3.6 require values far below it.

    Raises
    ------
    ValueError
        If `budgets` or one of its sequences is empty, or the distance of the aligned model is 0 or infinite,
        so that shares of it are undefined.

    Examples
    --------
    >>> from tokentree import inverse_alignment_budget, published_form
    >>> thirds = published_form([[1, 0, 0], [0, 1, 0], [0, 0, 1]], k=1000, l=1)
    >>> found = [inverse_alignment_budget(thirds, 6e-4 * share, inverse=0) for share in (0.1, 0.5, 1)]
    >>> plot_budget({"$D_b \\sim D_p$": found}).get_yscale()
    'log'
    """
    instance("budgets", budgets, Mapping, "{name: [inverse_alignment_budget(mixture, epsilon)]}")
    if not budgets:
        raise ValueError("budgets is empty: at least one line is needed")
    for name, found in budgets.items():
        if not found:
            raise ValueError(f"budgets[{name!r}] is empty: at least one budget is needed")
        for i, each in enumerate(found):
            made = "inverse_alignment_budget(mixture, epsilon)"
            instance(f"budgets[{name!r}][{i}]", each, AlignmentBudget, made)
            if not 0 < each.before < np.inf:
                rule = "must be finite and > 0: epsilon is drawn as a share of it"
                raise ValueError(f"budgets[{name!r}][{i}].before = {each.before}: {rule}")
    ax = axes(ax)
    shares, ends, limited = [], np.zeros(2, np.bool_), False
    for nth, (name, found) in enumerate(budgets.items()):
        points = sorted((each.epsilon / each.before, each.ratio, each.limit / each.before) for each in found)
        share, ratio, limit = np.array(points).T
        shares.append(share)
        finite = (ratio > 0) & (ratio < np.inf)
        style = line(nth)
        ax.plot(share[finite], ratio[finite], **style, marker=MARKERS[nth % 4], ms=4, label=listed(name))
        ends |= _edges(ax, share, ratio, str(style["color"]))
        if (ratio == np.inf).any() and limit[0] > 0:
            label = None if limited else r"least reachable $\varepsilon$"
            ax.axvline(limit[0], color=style["color"], linewidth=0.8, linestyle=":", zorder=0, label=label)
            limited = True
    ax.axhline(1, color="0.8", linewidth=0.8, zorder=0)
    ax.set_yscale("log")
    every = np.concatenate(shares)
    _share_axis(ax, every)
    ax.set_xlabel(r"$\varepsilon$, as a share of the aligned model's distance")
    ax.set_ylabel("least $|D_b|\\,/\\,|D_a|$ that leaves $\\varepsilon$")
    share = max(each.unexpanded for found in budgets.values() for each in found)
    _legend(ax, ends, "no amount suffices", "none needed", unexpanded=share)
    return ax


def plot_resistance(
    resistance: Resistance,
    ax: Axes | None = None,
    *,
    regime: Regime = "counts",
    loss: Literal["training", "excess"] = "training",
    unit: str = "bits per block",
) -> Axes:
    r"""Section 5.1: loss of every slice retrained on the answers of another slice.

    Parameters
    ----------
    resistance : Resistance
    ax : Axes, optional
        Default: a new figure's.
    regime : {"counts", "fine-tuning"}
        Regime of retraining.
    loss : {"training", "excess"}
        The training loss, with the entropies of the slices as lower bounds, or its excess over them.
    unit : str
        Unit of the losses, for the axis label.

    Returns
    -------
    Axes
        Solid lines are forward, dashed lines inverse; each pair has its own marker. Thin dotted lines are
        entropies.

    Raises
    ------
    ValueError
        If the regime or the loss is unknown.

    Examples
    --------
    >>> from tokentree import Mixture, simulate_resistance
    >>> found = simulate_resistance(Mixture([[8, 1, 1], [1, 1, 1]], [100, 10]))
    >>> ax = plot_resistance(found, loss="excess")
    >>> [line.get_label() for line in ax.get_lines()[:2]]
    ['$\\theta_{1} \\to \\theta_{2}$', '$\\theta_{2} \\to \\theta_{1}$']
    """
    instance("resistance", resistance, Resistance, "simulate_resistance(mixture)")
    r = _regime(regime)
    if loss not in ("training", "excess"):
        raise ValueError(f"loss = {loss!r}: must be 'training' or 'excess'")
    ax = axes(ax)
    losses = resistance.training_loss if loss == "training" else resistance.excess_loss
    every = max(1, resistance.examples.size // 8)
    for nth, pair in enumerate(resistance.pairs):
        for d, (start, end) in enumerate((pair, pair[::-1])):
            ax.plot(
                resistance.examples,
                losses[r, nth, d],
                color=GREYS[nth % 4],
                linestyle=DASHES[d],
                marker=MARKERS[nth % 4],
                markevery=(nth % every, every),
                markerfacecolor="1.0" if d else GREYS[nth % 4],
                ms=5,
                label=rf"$\theta_{{{start}}} \to \theta_{{{end}}}$",
            )
    if loss == "training":
        for s, floor in enumerate(resistance.entropy[r]):
            label = None if s else r"entropies $H(\theta)$"
            ax.axhline(floor, color="0.5", linewidth=0.8, linestyle=":", zorder=0, label=label)
    else:
        ax.set_ylim(0, None)
    ax.set_xlabel("examples of retraining (blocks)")
    ax.set_ylabel(f"{loss} loss ({unit})")
    title = r"$\theta_i \to \theta_j$: slice $i$ retrained on the answers of slice $j$"
    _legend(ax, columns=min(4, len(resistance.pairs)), title=title, unexpanded=resistance.unexpanded)
    return ax


def plot_resistance_gaps(
    resistance: Resistance, ax: Axes | None = None, *, unit: str = "bits per block"
) -> Axes:
    r"""Section 5.1: which direction is easier, and whether the entropies alone decide this.

    Parameters
    ----------
    resistance : Resistance
    ax : Axes, optional
        Default: a new figure's.
    unit : str
        Unit of the losses, for the axis.

    Returns
    -------
    Axes
        Sizes of the gaps, forward minus inverse, for every pair and regime. A triangle pointing left means
        that inverse alignment is easier, one pointing right that forward alignment is; black is the gap of
        the entropies, white that of the excess loss. Their sum is the gap of the training loss. A gap of zero
        is a dot on the left edge.

    Examples
    --------
    >>> from tokentree import Mixture, simulate_resistance
    >>> found = simulate_resistance(Mixture([[8, 1, 1], [1, 1, 1]], [100, 10]))
    >>> [tick.get_text() for tick in plot_resistance_gaps(found).get_yticklabels()][:2]
    ['$\\theta_{1}, \\theta_{2}$, counts', '$\\theta_{1}, \\theta_{3}$, counts']
    """
    instance("resistance", resistance, Resistance, "simulate_resistance(mixture)")
    ax = axes(ax)
    rows = [(r, nth) for r in range(2) for nth in range(len(resistance.pairs))]
    kinds = ((resistance.entropy_gap, "0.0", 9), (resistance.excess_gap, "1.0", 6))
    if any(gaps.any() for gaps, _, _ in kinds):
        ax.set_xscale("log")
    for y, (r, nth) in enumerate(rows):
        for gaps, face, size in kinds:
            gap = float(gaps[r, nth])
            style: dict[str, Any] = {"color": "0.0", "markerfacecolor": face, "linestyle": "", "ms": size}
            if gap:
                ax.plot(abs(gap), y, marker="<" if gap > 0 else ">", **style)
            else:
                ax.plot(0, y, marker="o", transform=ax.get_yaxis_transform(), clip_on=False, **style)
    names = [rf"$\theta_{{{k}}}, \theta_{{{l}}}$" for k, l in resistance.pairs]
    ax.set_yticks(range(len(rows)), labels=[f"{names[nth]}, {REGIMES[r]}" for r, nth in rows])
    ax.set_ylim(len(rows) - 0.5, -0.5)
    ax.set_ylabel("slices and regime")
    ax.set_xlabel(f"size of the gap ({unit})")
    ax.grid(axis="y", color="0.9", linewidth=0.8)
    ax.set_axisbelow(True)
    marks = [("o", "0.0", "entropies"), ("o", "1.0", "excess loss")]
    marks += [("<", "0.6", "inverse is easier"), (">", "0.6", "forward is easier")]
    handles = [mark(marker, label, color="0.0", markerfacecolor=face) for marker, face, label in marks]
    _legend(ax, handles=handles, columns=2, unexpanded=resistance.unexpanded)
    return ax


def _share_axis(ax: Axes, shares: Float[np.ndarray, "points"]) -> None:
    """A logarithmic axis, with a place for zero if it occurs."""
    above = shares[shares > 0]
    if above.size == shares.size:
        ax.set_xscale("log")
    elif above.size:
        least = float(above.min())
        ax.set_xscale("symlog", linthresh=least, linscale=0.5, subs=range(2, 10))
        ax.set_xlim(left=-0.1 * least)
