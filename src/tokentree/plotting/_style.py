"""What all pictures share: lines that differ in dash pattern as well as in grey, and axes of their own."""

from typing import Any

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

DASHES: tuple[tuple[int, tuple[int, ...]], ...] = ((0, ()), (0, (6, 2)), (0, (2, 2)), (0, (7, 2, 1, 2)))
"""Dash patterns of the first, second, ... line; they repeat."""

GREYS = ("0.0", "0.3", "0.45", "0.6")
"""Grey levels beside them, black first."""

_NOTHING = "\u200b"
"""A space without width."""


def axes(ax: Axes | None) -> Axes:
    """`ax`, or those of a new figure."""
    return plt.subplots(layout="constrained")[1] if ax is None else ax


def line(i: int) -> dict[str, Any]:
    """Style of line i: the first sixteen differ."""
    return {"linestyle": DASHES[i % 4], "color": GREYS[(i + i // 4) % 4]}


def mark(marker: str, label: str, **style: Any) -> Line2D:
    """What stands in the legend for something that is no line."""
    return Line2D([], [], linestyle="", marker=marker, label=label, **style)


def listed(name: object) -> str:
    """A name as it stands in a legend, from which Matplotlib leaves out what begins with an underscore."""
    return f"{_NOTHING}{name}" if str(name).startswith("_") else str(name)


def number(value: float, digits: int = 4) -> str:
    """As it stands in a formula."""
    figures, _, power = f"{value:.{digits}g}".partition("e")
    if not power:
        return figures
    return rf"{figures} \times 10^{{{int(power)}}}".removeprefix(r"1 \times ")


def plain(name: str) -> str:
    """A name that Matplotlib does not read as a formula."""
    return name.replace("$", r"\$")
