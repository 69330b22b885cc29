"""Pictures of definitions 3.5 and 3.6 and of section 5: budgets, resistance and rebound."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Float
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, NullFormatter, NullLocator

from ..alignment import (
    PAPER_NEEDED,
    POSITIVE,
    REGIMES,
    AlignmentBudget,
    Rebound,
    ReboundFactor,
    Regime,
    Resistance,
)
from ._style import DASHES, GREYS, axes, line, listed, mark, number

MARKERS = "osD^"


def plot_budget(budgets: Mapping[str, Sequence[AlignmentBudget]], ax: Axes | None = None) -> Axes:
    r"""Least |D_b| / |D_a| that undoes an alignment, against how much of it may be left.

    Parameters
    ----------
    budgets : mapping of str to sequence of AlignmentBudget
        One line for each, under its name: a distance, a regime, data for D_b, over several epsilon.
    ax : Axes, optional
        Default: a new figure's.

    Returns
    -------
    Axes
        Across, epsilon as a share of the distance of the aligned model, so that distances with different
        units share an axis; logarithmic, but with a place for 0. Triangles on the upper edge are epsilons
        that no amount of data reaches, those on the lower edge such that need none. A dotted line marks the
        limit that a line with unreachable epsilons has. The level line is |D_b| = |D_a|: Definitions 3.5
        and 3.6 ask to be far below.

    Raises
    ------
    ValueError
        If `budgets` or one of its sequences is empty, or the distance of the aligned model is 0 or infinite,
        so that there is no share of it.

    Examples
    --------
    >>> from tokentree import inverse_alignment_budget, published_form
    >>> thirds = published_form([[1, 0, 0], [0, 1, 0], [0, 0, 1]], k=1000, l=1)
    >>> found = [inverse_alignment_budget(thirds, 6e-4 * share, inverse=0) for share in (0.1, 0.5, 1)]
    >>> plot_budget({"$D_b \\sim D_p$": found}).get_yscale()
    'log'
    """
    if not budgets:
        raise ValueError("budgets is empty: at least one line is needed")
    for name, found in budgets.items():
        if not found:
            raise ValueError(f"budgets[{name!r}] is empty: at least one budget is needed")
        for i, each in enumerate(found):
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
            label = None if limited else "least that can be left"
            ax.axvline(limit[0], color=style["color"], linewidth=0.8, linestyle=":", zorder=0, label=label)
            limited = True
    ax.axhline(1, color="0.8", linewidth=0.8, zorder=0)
    ax.set_yscale("log")
    every = np.concatenate(shares)
    _share_axis(ax, every)
    ax.set_xlabel(r"$\varepsilon$, share of the aligned model's distance (no unit)")
    ax.set_ylabel("least $|D_b|\\,/\\,|D_a|$ (no unit)")
    _legend(ax, ends, "no amount is enough", "none is needed")
    return ax


def plot_resistance(
    resistance: Resistance,
    ax: Axes | None = None,
    regime: Regime = "counts",
    loss: Literal["training", "excess"] = "training",
    unit: str = "bits per block",
) -> Axes:
    r"""Section 5.1: loss of every slice retrained on what another one says.

    Parameters
    ----------
    resistance : Resistance
    ax : Axes, optional
        Default: a new figure's.
    regime : {"counts", "fine-tuning"}
        Which clock.
    loss : {"training", "excess"}
        The training loss, with the entropies of the slices that no loss goes below, or what it is above them.
    unit : str
        Unit of the losses, for the axis.

    Returns
    -------
    Axes
        Solid lines are forward, dashed ones inverse; a pair has one marker. Thin dotted lines are entropies.

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
    _legend(ax, columns=min(4, len(resistance.pairs)))
    return ax


def plot_resistance_gaps(
    resistance: Resistance, ax: Axes | None = None, unit: str = "bits per block"
) -> Axes:
    r"""Section 5.1: which direction is easier, and whether the entropies alone decide it.

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
        Sizes of the gaps, forward minus inverse, for every pair and regime. A triangle that points left says
        that inverse alignment is easier, one that points right that forward is; black is the gap of the
        entropies, white that of the excess loss. Their sum is the gap of the training loss. A gap of zero
        stands on the left edge as a dot.

    Examples
    --------
    >>> from tokentree import Mixture, simulate_resistance
    >>> found = simulate_resistance(Mixture([[8, 1, 1], [1, 1, 1]], [100, 10]))
    >>> [tick.get_text() for tick in plot_resistance_gaps(found).get_yticklabels()][:2]
    ['$\\theta_{1}, \\theta_{2}$, counts', '$\\theta_{1}, \\theta_{3}$, counts']
    """
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
    ax.set_xlabel(f"size of the gap, forward minus inverse ({unit})")
    ax.grid(axis="y", color="0.9", linewidth=0.8)
    ax.set_axisbelow(True)
    marks = [("o", "0.0", "entropies"), ("o", "1.0", "excess loss")]
    marks += [("<", "0.6", "inverse is easier"), (">", "0.6", "forward is easier")]
    handles = [mark(marker, label, color="0.0", markerfacecolor=face) for marker, face, label in marks]
    _legend(ax, handles=handles, columns=2)
    return ax


def plot_rebound(
    rebound: Rebound,
    ax: Axes | None = None,
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
        Which clock.
    show : {"score", "drop"}
        The score, or how far it has fallen: that tells lines apart where scores hardly move.

    Returns
    -------
    Axes
        What was simulated is marked, and joined by straight lines. With the score, a thin line marks
        `Rebound.level`.

    Raises
    ------
    ValueError
        If the regime or `show` is unknown.

    Examples
    --------
    >>> from tokentree import published_form, simulate_rebound
    >>> found = simulate_rebound(published_form([[1, 0, 0], [0, 1, 0], [0, 0, 1]], k=10**6, l=1))
    >>> [line.get_label() for line in plot_rebound(found).get_lines()[:4]]
    ['1000', '2000', '5000', '10000']
    """
    r = _regime(regime)
    if show not in ("score", "drop"):
        raise ValueError(f"show = {show!r}: must be 'score' or 'drop'")
    ax = axes(ax)
    values = (rebound.score if show == "score" else rebound.drop)[r]
    for nth, (n, path) in enumerate(zip(rebound.positive, values, strict=True)):
        ax.plot(
            rebound.negative,
            path,
            **line(nth),
            marker=MARKERS[nth % 4],
            ms=4,
            label=f"{n:.12g}",
        )
    if show == "score":
        label = f"level {rebound.level:.3g}"
        ax.axhline(rebound.level, color="0.6", linewidth=0.8, linestyle=":", zorder=0, label=label)
    ax.set_xlabel("negative examples (blocks)")
    ax.set_ylabel("score, share of $D_a$ (no unit)" if show == "score" else "fall of the score (no unit)")
    _legend(ax, title="positive examples (blocks)")
    return ax


def plot_needed(rebound: Rebound, ax: Axes | None = None, paper: bool = True) -> Axes:
    r"""Negative examples that undo the positive ones, in both regimes, beside the paper's Table 3.

    Parameters
    ----------
    rebound : Rebound
    ax : Axes, optional
        Default: a new figure's.
    paper : bool
        Whether to draw the paper's figures too.

    Returns
    -------
    Axes
        Logarithmic both ways. Triangles on the upper edge: the score never comes down to the level; on the
        lower edge: it is there already.

    Examples
    --------
    >>> from tokentree import published_form, simulate_rebound
    >>> found = simulate_rebound(published_form([[1, 0, 0], [0, 1, 0], [0, 0, 1]], k=10**6, l=1))
    >>> [text.get_text() for text in plot_needed(found).get_legend().get_texts()]
    ['counts', 'fine-tuning', 'paper, Llama2-7B', 'paper, Gemma-2B']
    """
    ax = axes(ax)
    ax.set_xscale("log")
    # An axis without a number above zero cannot be logarithmic.
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
    _legend(ax, ends, "level never reached", "none is needed")
    return ax


def plot_rebound_factor(
    factor: ReboundFactor,
    ax: Axes | None = None,
    regime: Regime = "fine-tuning",
    positive: int = 0,
    unit: str = "blocks",
) -> Axes:
    r"""Section 5.3: the first drop R against depth or |D_p|, with the power law fitted to it.

    Parameters
    ----------
    factor : ReboundFactor
        Of at least three values.
    ax : Axes, optional
        Default: a new figure's.
    regime : {"counts", "fine-tuning"}
        Which clock.
    positive : int
        Index into `ReboundFactor.positive`.
    unit : str
        What the factor is counted in, for the axis: "symbols" for depth.

    Returns
    -------
    Axes
        Logarithmic both ways, with the fit and a band of one standard error of the fitted line. The band is
        the misfit of a power law: the simulation has no noise. Where a drop is not positive there is no power
        law; the axes are linear then, and the legend says so.

    Raises
    ------
    ValueError
        As in `ReboundFactor.fit`.

    Examples
    --------
    >>> from tokentree import published_form, rebound_by_pretraining
    >>> thirds = published_form([[1, 0, 0], [0, 1, 0], [0, 0, 1]], k=10**6, l=1)
    >>> found = rebound_by_pretraining(thirds, [1e4, 1e5, 1e6])
    >>> ax = plot_rebound_factor(found, regime="counts")
    >>> print(ax.get_legend().get_texts()[1].get_text())
    fit, exponent $-0.9935 \pm 0.0034$
    """
    r = _regime(regime)
    law = factor.fit(regime, positive)
    ax = axes(ax)
    values, drops = factor.values, factor.first_drop[r, :, positive]
    handles = ax.plot(values, drops, "o", color="0.0", ms=5, label=f"simulated, {regime}", zorder=3)
    if np.isnan(law.exponent):
        at = ", ".join(f"{value:g}" for value in values[drops <= 0])
        handles.append(mark("", f"no power law: $R \\leq 0$ at {at}"))
        ax.axhline(0, color="0.8", linewidth=0.8, zorder=0)
    else:
        x = np.geomspace(values[0], values[-1], 100)
        fitted = law.amplitude * x**law.exponent
        logs = np.log(values)
        # Of the line at x: its error at the mean of log x, and that of the exponent, are independent.
        error = law.exponent_error * np.sqrt(logs.var() + (np.log(x) - logs.mean()) ** 2)
        ax.fill_between(x, fitted * np.exp(-error), fitted * np.exp(error), color="0.85", linewidth=0)
        # To the second figure of the error, but not beyond four decimals.
        decimals = 4 if law.exponent_error < 1e-3 else max(0, 1 - math.floor(math.log10(law.exponent_error)))
        label = rf"fit, exponent ${law.exponent:.{decimals}f} \pm {number(law.exponent_error, 2)}$"
        handles += ax.plot(x, fitted, color="0.3", linestyle=DASHES[1], label=label)
        ax.set(xscale="log", yscale="log")
        _ticks(ax, values)
    ax.set_xlabel(f"{'depth $d$' if factor.factor == 'depth' else '$|D_p|$'} ({unit})")
    first, last = factor.negative[:2]
    ax.set_ylabel(f"$R$, fall of the score from {first:g} to {last:g}\nnegative examples (no unit)")
    _legend(ax, handles=handles, columns=1, title=f"{factor.positive[positive]:g} positive examples")
    return ax


def _regime(regime: str) -> int:
    if regime not in REGIMES:
        raise ValueError(f"regime = {regime!r}: must be 'counts' or 'fine-tuning'")
    return REGIMES.index(regime)


def _edges(
    ax: Axes, x: Float[np.ndarray, "points"], y: Float[np.ndarray, "points"], color: str
) -> Bool[np.ndarray, "2"]:
    """Mark what a logarithmic axis has no room for, and say whether there was any: infinity, then zero."""
    found = np.zeros(2, np.bool_)
    for end, (value, marker, height) in enumerate(((np.inf, "^", 1), (0.0, "v", 0))):
        at = x[y == value]
        found[end] = at.size > 0
        if at.size:
            style: dict[str, Any] = {"color": color, "markerfacecolor": "1.0", "ms": 7, "linestyle": ""}
            ax.plot(
                at,
                np.full(at.size, height),
                marker=marker,
                transform=ax.get_xaxis_transform(),
                clip_on=False,
                **style,
            )
    return found


def _share_axis(ax: Axes, shares: Float[np.ndarray, "points"]) -> None:
    """Logarithmic, with a place for zero if one is there."""
    above = shares[shares > 0]
    if above.size == shares.size:
        ax.set_xscale("log")
    elif above.size:
        least = float(above.min())
        ax.set_xscale("symlog", linthresh=least, linscale=0.5, subs=range(2, 10))
        ax.set_xlim(left=-0.1 * least)


def _ticks(ax: Axes, values: Float[np.ndarray, "values"]) -> None:
    """Name the values themselves on a logarithmic axis where they are few."""
    if values.size <= 6:
        digits = 5 if values[-1] < 1e5 else 3
        ax.set_xticks(values, labels=[f"${number(value, digits)}$" for value in values])
        ax.xaxis.set_minor_locator(NullLocator())
    elif values[-1] < 100 * values[0]:
        ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 3, 5)))
        ax.xaxis.set_major_formatter("{x:g}")
        ax.xaxis.set_minor_formatter(NullFormatter())


def _legend(
    ax: Axes,
    ends: Bool[np.ndarray, "2"] | None = None,
    above: str = "",
    below: str = "",
    handles: list[Line2D] | None = None,
    columns: int = 2,
    title: str | None = None,
) -> None:
    """Over the axes, where it hides nothing."""
    entries: list[Any] = list(ax.get_legend_handles_labels()[0] if handles is None else handles)
    if ends is not None:
        entries += [
            mark(marker, label, color="0.3", markerfacecolor="1.0")
            for marker, label, found in zip("^v", (above, below), ends, strict=True)
            if found
        ]
    place: dict[str, Any] = {"loc": "lower center", "bbox_to_anchor": (0.5, 1.0), "frameon": False}
    ax.legend(handles=entries, ncols=columns, title=title, **place)
    ax.spines[["top", "right"]].set_visible(False)
