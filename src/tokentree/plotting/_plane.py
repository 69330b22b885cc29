"""Up to three datasets as labelled points of a plane."""

import math
from itertools import combinations

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes

from ..mixtures import inverse_root
from ..springs import FisherSprings

FEW = 4
"""Number of lines distinguished by dashes; of more lines, only the extremes are named."""


def _plane(springs: FisherSprings) -> Float[np.ndarray, "datasets 2"]:
    """The p_i - q as vectors of a plane that has the Fisher metric at q; the longest side is horizontal."""
    mixture = springs.mixture
    n = mixture.n_datasets
    if n > 3:
        raise ValueError(f"mixture has {n} datasets: a plane shows at most 3")
    scaled = springs.forces / springs.stiffness[:, None] * inverse_root(springs.node)
    largest = int(mixture.weights.argmax())
    others = np.delete(np.arange(n), largest)
    points = np.zeros((n, 2))
    _, upper = np.linalg.qr(scaled[others].T)
    points[others, : len(upper)] = upper.T
    # By the balance of forces. Computed directly, it would have the rounding error of the others.
    points[largest] = -(mixture.weights[others] @ points[others]) / mixture.weights[largest]

    sides = list(combinations(range(n), 2))
    if sides:
        i, t = max(sides, key=lambda side: float(np.hypot(*(points[side[1]] - points[side[0]]))))
        angle = math.atan2(*(points[t] - points[i])[::-1])
        turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
        points = points @ turn
        above = points[:, 1] - points[i, 1]
        points[:, 1] *= math.copysign(1.0, above[np.abs(above).argmax()])
    return points


def _diameter(points: Float[np.ndarray, "datasets 2"]) -> float:
    """Largest distance, and 1 if all points coincide."""
    apart = points[:, None] - points
    return float(np.hypot(apart[..., 0], apart[..., 1]).max()) or 1.0


def _free_direction(angles: Float[np.ndarray, "arms"]) -> float:
    """Middle of the widest gap between directions; downwards if there is none."""
    if not angles.size:
        return -math.pi / 2
    ordered = np.sort(angles)
    gaps = np.diff(ordered, append=ordered[0] + 2 * math.pi)
    widest = int(gaps.argmax())
    return float(ordered[widest] + gaps[widest] / 2)


def _name_anchors(
    ax: Axes, points: Float[np.ndarray, "datasets 2"], names: list[str], ends: Float[np.ndarray, "datasets 2"]
) -> None:
    """Names at the ends of the lines to the anchors, or next to the anchors if all lie on one line.

    Anchors that coincide share a label.
    """
    reach = _diameter(points)
    flat = np.ptp(points[:, 1]) < 0.05 * reach
    left = list(range(len(points)))
    while left:
        here = [i for i in left if math.dist(points[i], points[left[0]]) <= 1e-6 * reach]
        farthest = max(here, key=lambda i: math.hypot(*ends[i]))
        outward = ends[farthest] - (0 if (ends != points)[farthest].any() else points.mean(axis=0))
        place, direction = ends[farthest], math.atan2(outward[1], outward[0])
        if flat:
            # Alternately below and above, so that neighbours do not overlap; below for an anchor at q.
            rank = int((points[:, 0] < points[farthest, 0]).sum())
            up = rank % 2 or not points[farthest].any()
            place, direction = points[farthest], math.pi / 2 * (1 if up else -1)
        _label(ax, place, direction, "\n".join(names[i] for i in here), away=9)
        left = [i for i in left if i not in here]


def _label(
    ax: Axes, point: Float[np.ndarray, "2"], direction: float, text: str, away: float, centred: bool = False
) -> None:
    across, up = math.cos(direction), math.sin(direction)
    sides = ("center", "center")
    if not centred:
        sides = (
            "left" if across > 0.3 else "right" if across < -0.3 else "center",
            "bottom" if up > 0.3 else "top" if up < -0.3 else "center",
        )
    ax.annotate(
        text,
        (float(point[0]), float(point[1])),
        (away * across, away * up),
        textcoords="offset points",
        horizontalalignment=sides[0],
        verticalalignment=sides[1],
        zorder=6,
        bbox={"facecolor": "1.0", "edgecolor": "none", "pad": 0.5},
    )


def _frame(ax: Axes, seen: Float[np.ndarray, "points 2"], reach: float) -> None:
    """Equal scales on both axes, and room for the labels."""
    room = np.array([0.6, 0.2]) * reach
    ax.update_datalim([seen.min(axis=0) - room, seen.max(axis=0) + room])
    ax.margins(0)
    ax.set_aspect("equal", adjustable="datalim")
