"""Shared style of all plots: axes, and lines that differ in dash pattern as well as in grey level."""

import math
from typing import Any

import numpy as np
from jaxtyping import Bool, Float
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, NullFormatter, NullLocator

from .._lib.display import percent
from ..alignment import REGIMES
from ..mixtures import Completions, Mixture
from ..theorem import Responding

DASHES: tuple[tuple[int, tuple[int, ...]], ...] = ((0, ()), (0, (6, 2)), (0, (2, 2)), (0, (7, 2, 1, 2)))
"""Dash patterns of the first, second, ... line; they repeat."""

GREYS = ("0.0", "0.3", "0.45", "0.6")
"""Grey levels that go with them, black first."""

_NOTHING = "\u200b"
"""A zero-width space."""

MARKERS = "osD^"


def axes(ax: Axes | None) -> Axes:
    """`ax`, or the axes of a new figure."""
    if ax is None:
        return plt.subplots(layout="constrained")[1]
    if not isinstance(ax, Axes):
        raise TypeError(f"ax is a {type(ax).__name__}: must be Matplotlib Axes; give options by keyword")
    return ax


def instance(name: str, given: object, kind: type, made: str) -> None:
    """Refuse an object of another class, and name what makes the right one."""
    if not isinstance(given, kind):
        a = "an" if kind.__name__[0] in "AEIOU" else "a"
        raise TypeError(
            f"{name} is a {type(given).__name__}: must be {a} {kind.__name__}, as {made} makes it"
        )


def line(i: int) -> dict[str, Any]:
    """Style of line i: the first sixteen differ."""
    return {"linestyle": DASHES[i % 4], "color": GREYS[(i + i // 4) % 4]}


def mark(marker: str, label: str, **style: Any) -> Line2D:
    """A legend entry for something other than a line."""
    return Line2D([], [], linestyle="", marker=marker, label=label, **style)


def listed(name: object) -> str:
    """A name for a legend, from which Matplotlib omits names that begin with an underscore."""
    return f"{_NOTHING}{name}" if str(name).startswith("_") else str(name)


def alike(lines: Float[np.ndarray, "lines points"]) -> list[list[int]]:
    """Groups of lines that look like one: nowhere further apart than a hundredth of the total height."""
    finite = lines[np.isfinite(lines)]
    least = 0.01 * float(np.ptp(finite)) if finite.size else 0.0
    groups: list[list[int]] = []
    for i, one in enumerate(lines):
        for group in groups:
            other = lines[group[0]]
            same = one == other
            same[~same] = np.abs(one[~same] - other[~same]) <= least
            if same.all():
                group.append(i)
                break
        else:
            groups.append([i])
    return groups


def number(value: float, digits: int = 4) -> str:
    """A number formatted for a formula."""
    figures, _, power = f"{value:.{digits}g}".partition("e")
    if not power:
        return figures
    return rf"{figures} \times 10^{{{int(power)}}}".removeprefix(r"1 \times ")


def plain(name: str) -> str:
    """A name, escaped so that Matplotlib does not read it as a formula."""
    return name.replace("$", r"\$")


def information_unit(base: float) -> str:
    """The unit of information measured in logarithms to a base."""
    return {2: "bits", math.e: "nats"}.get(base, f"log base {base:g}")


def dataset_names(mixture: Mixture | Responding) -> list[str]:
    """Names of the datasets, each with its unexpanded share if there is any."""
    if not isinstance(mixture, Mixture):
        return list(mixture.names)
    return [
        f"{name} ({percent(share)} unexpanded)" if share else name
        for name, share in zip(mixture.names, mixture.unexpanded.tolist(), strict=True)
    ]


def uncertain(mixture: Mixture) -> Bool[np.ndarray, "datasets datasets"]:
    """Where the sign of the response differs between completions, or the bounds leave it open."""
    if mixture.unread is None:
        return np.zeros((mixture.n_datasets, mixture.n_datasets), np.bool_)
    low, high = Completions(mixture.unread).excess(mixture.exact_sizes)
    open_: Bool[np.ndarray, "datasets datasets"] = (low <= 0) & (high >= 0)
    return open_


def columns(mixture: Mixture | Responding) -> int:
    """Number of columns of a legend of datasets: names with a share beside them are long."""
    return 2 if isinstance(mixture, Mixture) and mixture.unread is not None else 3


def _regime(regime: str) -> int:
    if regime not in REGIMES:
        raise ValueError(f"regime = {regime!r}: must be 'counts' or 'fine-tuning'")
    return REGIMES.index(regime)


def _edges(
    ax: Axes, x: Float[np.ndarray, "points"], y: Float[np.ndarray, "points"], color: str
) -> Bool[np.ndarray, "2"]:
    """Mark values off a logarithmic axis, and return whether there were any: infinity, then zero."""
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


def _ticks(ax: Axes, values: Float[np.ndarray, "values"]) -> None:
    """Put ticks at the values themselves on a logarithmic axis if they are few."""
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
    handles: list[Any] | None = None,
    columns: int = 2,
    title: str | None = None,
    unexpanded: float = 0.0,
) -> None:
    """A legend above the axes, where it hides nothing, with the largest unexpanded share if it is above 0."""
    if unexpanded:
        share = f"up to {percent(unexpanded)} of a dataset unexpanded"
        title = share if title is None else f"{title}\n{share}"
    entries: list[Any] = list(ax.get_legend_handles_labels()[0] if handles is None else handles)
    if ends is not None:
        entries += [
            mark(marker, label, color="0.3", markerfacecolor="1.0")
            for marker, label, found in zip("^v", (above, below), ends, strict=True)
            if found
        ]
    _legend_above(ax, entries, columns, title)
    ax.spines[["top", "right"]].set_visible(False)


def _legend_above(ax: Axes, handles: list[Any], ncols: int, title: str | None = None) -> None:
    above: dict[str, Any] = {"loc": "lower center", "bbox_to_anchor": (0.5, 1.0), "frameon": False}
    ax.legend(handles=handles, ncols=ncols, title=title, **above)
