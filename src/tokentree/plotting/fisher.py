"""The plane of up to three datasets in the Fisher metric, with their forces on the model."""

import math
from collections.abc import Iterator
from itertools import combinations
from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Arc
from matplotlib.transforms import ScaledTranslation

from ..mixtures import Mixture
from ..springs import FisherSprings
from ._plane import _diameter, _frame, _free_direction, _label, _name_anchors, _plane
from ._style import axes, dataset_names, line, listed, mark, number, plain, uncertain

NO_FORCE = 1e-12
"""Share of the largest force below which a force has no direction: forces balance to about 1e-15."""


def plot_fisher_triangle(mixture: Mixture | FisherSprings, ax: Axes | None = None) -> Axes:
    r"""Datasets, the model q where their forces balance, and the angles that decide which rates rise.

    The affine plane of three distributions is drawn to scale in the Fisher metric at q: lengths are sqrt(sum
    u^2 / q), and angles come from the inner product sum u v / q, for all u and v between the p_i and q. So
    S_it - 1 = sum (p_i - q)(p_t - q) / q is the product of two drawn lengths and the cosine of the angle
    between them: an obtuse angle means S_it < 1, so that each of the two rates rises as the other's data
    grow.

    Parameters
    ----------
    mixture : Mixture or FisherSprings
        A mixture of at most three datasets, because the plot is a plane.
    ax : Axes, optional
        Default: a new figure's.

    Returns
    -------
    Axes
        The longest side is horizontal. Arrows are the forces n_i (p_i - q), which add up to zero; they have
        their own scale, given in the legend. The origin is q. If trees were read in part, a statement of the
        legend about two rates is marked unless it holds wherever the unexpanded mass lies.

    Raises
    ------
    ValueError
        If there are more than three datasets.
    TypeError
        If `mixture` is neither of the two.

    Notes
    -----
    Three angles at q add up to 360 degrees, so of three datasets at most one pair has S_it > 1. O(M).

    Examples
    --------
    >>> ax = plot_fisher_triangle(Mixture([[8, 1, 1], [1, 8, 1], [2, 5, 3]], [3, 1, 1]))
    >>> print(ax.get_legend().get_texts()[2].get_text())
    D2, D3: $S = 1.5 > 1$, acute, rates fall
    """
    springs = mixture if isinstance(mixture, FisherSprings) else FisherSprings(mixture)
    mixture = springs.mixture
    points = _plane(springs)
    ax = axes(ax)
    forces = springs.stiffness[:, None] * points
    sizes = np.hypot(*forces.T)
    pulled = sizes > NO_FORCE * sizes.max()
    reach = _diameter(points)
    scale = 0.35 * reach / sizes.max() if pulled.any() else 1.0

    ax.add_line(Line2D(*np.vstack([points, points[:1]]).T, color="0.8", linewidth=0.8, zorder=0))
    for point in points:
        ax.add_line(Line2D(*np.stack([np.zeros(2), point]).T, color="0.55", linewidth=0.8, linestyle=":"))
    if pulled.any():
        _draw_forces(ax, forces, scale)
    ax.plot(*points.T, "s", color="0.0", ms=6, zorder=4, label="datasets")
    ax.plot(0, 0, "o", color="0.0", markerfacecolor="1.0", ms=7, zorder=5, label="model")
    sized = zip(dataset_names(mixture), springs.stiffness.tolist(), strict=True)
    labels = [f"{plain(name)}, $n = {number(n)}$" for name, n in sized]
    past = (scale * sizes > np.hypot(*points.T))[:, None]
    _name_anchors(ax, points, labels, ends=np.where(past, scale * forces, points))

    angles = np.arctan2(points[:, 1], points[:, 0])
    _label(ax, np.zeros(2), _free_direction(angles[pulled]), "$q$", away=12, centred=True)
    handles = []
    for nth, (i, t, verdict) in enumerate(_verdicts(mixture)):
        style = {**line(nth), "linewidth": 1.2}
        pair = f"{plain(mixture.names[i])}, {plain(mixture.names[t])}"
        handles.append(Line2D([], [], label=listed(f"{pair}: {verdict}"), **style))
        if pulled[i] and pulled[t]:
            ax.add_patch(_arc(ax, float(angles[i]), float(angles[t]), 22 + 6 * nth, **style))
    note = (
        f"largest ${number(sizes.max(), 3)}$ blocks" if pulled.any() else "none: the distributions are equal"
    )
    arrow = f"forces $n_i\\,(p_i - q)$, {note}"
    handles.append(mark(r"$\rightarrow$", arrow, color="0.25", markersize=14))
    ax.legend(handles=handles, loc="lower center", bbox_to_anchor=(0.5, 1.0), frameon=False, handlelength=2.6)

    seen = np.vstack([points, scale * forces, np.zeros((1, 2))])
    _frame(ax, seen, reach)
    ax.set_xlabel(r"Fisher length $(\sum u^2/q)^{1/2}$ along the longest side")
    ax.set_ylabel("Fisher length perpendicular to it")
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def _draw_forces(ax: Axes, forces: Float[np.ndarray, "datasets 2"], scale: float) -> None:
    ax.quiver(
        *np.zeros((2, len(forces))),
        *forces.T,
        angles="xy",
        scale_units="xy",
        scale=1 / scale,
        units="inches",
        width=0.022,
        color="0.25",
        zorder=3,
    )


def _arc(ax: Axes, first: float, second: float, radius: float, **style: Any) -> Arc:
    """The angle at the origin, at most 180 degrees, drawn at a radius in points."""
    swept = (second - first) % (2 * math.pi)
    begin, end = (first, first + swept) if swept <= math.pi else (second, second + 2 * math.pi - swept)
    figure = ax.get_figure(root=True)
    assert figure is not None
    inches = figure.dpi_scale_trans + ScaledTranslation(0, 0, ax.transData)  # type: ignore[arg-type]  # stubs ask for more
    angles = {"theta1": math.degrees(begin), "theta2": math.degrees(end)}
    return Arc((0, 0), radius / 36, radius / 36, transform=inches, **angles, **style)


def _verdicts(mixture: Mixture) -> Iterator[tuple[int, int, str]]:
    """Every pair of datasets, and what their overlap implies for the two rates."""
    overlap, excess = mixture.overlap(), -mixture.total_size * mixture.response(base=math.e)
    open_ = uncertain(mixture)
    for i, t in combinations(range(mixture.n_datasets), 2):
        verdict = _verdict(float(overlap[i, t]), float(excess[i, t]))
        yield i, t, verdict + (" as read, not certain" if open_[i, t] else "")


def _verdict(overlap: float, excess: float) -> str:
    """What S, and S - 1 to full precision, imply for two rates."""
    if excess == 0:
        return "$S = 1$, neither rate moves"
    sign, angle, rates = (">", "acute", "fall") if excess > 0 else ("<", "obtuse", "rise")
    value = number(overlap, 3)
    if value == "1":
        value += f" {'+' if excess > 0 else '-'} {number(abs(excess), 2)}"
    return f"$S = {value} {sign} 1$, {angle}, rates {rates}"
