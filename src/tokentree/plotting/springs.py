"""Pictures of section 4.3: springs in series, and the spring system that joint compression is."""

import math
from fractions import Fraction
from itertools import combinations
from typing import Annotated, Any

import numpy as np
from jaxtyping import Float
from matplotlib.animation import FuncAnimation
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.patches import Arc
from matplotlib.transforms import ScaledTranslation

from .. import _checks
from .._checks import Numbers
from ..mixture import Mixture, inverse_root
from ..springs import ChainMotion, FisherSprings, SpringChain
from ..unexpanded import Completions
from ._style import GREYS, axes, line, listed, mark, number, plain

FEW = 4
"""Lines told apart by dashes; of more, only the extremes are named."""

NO_FORCE = 1e-12
"""Share of the largest force below which one has no direction: forces balance to about 1e-15."""


def plot_fisher_triangle(mixture: Mixture | FisherSprings, ax: Axes | None = None) -> Axes:
    r"""Datasets, the model q where their forces balance, and the angles that decide which rates rise.

    The affine plane of three distributions is drawn true to scale in the Fisher metric at q: every length is
    sqrt(sum u^2 / q) and every angle that of sum u v / q, for all u and v between the p_i and q. So
    S_it - 1 = sum (p_i - q)(p_t - q) / q is the product of two drawn lengths and the cosine between them: an
    obtuse angle is S_it < 1, where each of the two rates rises as the other's data grow.

    Parameters
    ----------
    mixture : Mixture or FisherSprings
        Of at most three datasets: a plane holds no more.
    ax : Axes, optional
        Default: a new figure's.

    Returns
    -------
    Axes
        The longest side lies level. Arrows are the forces n_i (p_i - q); they add up to zero. Their scale is
        its own, and is named. The origin is q. Where trees were read in part, what the legend says of two
        rates is marked unless it holds wherever the unexpanded mass lies.

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
        ax.quiver(
            *np.zeros((2, len(points))),
            *forces.T,
            angles="xy",
            scale_units="xy",
            scale=1 / scale,
            units="inches",
            width=0.022,
            color="0.25",
            zorder=3,
        )
    ax.plot(*points.T, "s", color="0.0", ms=6, zorder=4, label="datasets")
    ax.plot(0, 0, "o", color="0.0", markerfacecolor="1.0", ms=7, zorder=5, label="model")
    sized = zip(mixture.names, springs.stiffness.tolist(), strict=True)
    labels = [f"{plain(name)}, $n = {number(n)}$" for name, n in sized]
    past = (scale * sizes > np.hypot(*points.T))[:, None]
    _name_anchors(ax, points, labels, ends=np.where(past, scale * forces, points))

    angles = np.arctan2(points[:, 1], points[:, 0])
    _label(ax, np.zeros(2), _free_direction(angles[pulled]), "$q$", away=12, centred=True)
    handles = []
    overlap, excess = mixture.overlap(), -mixture.total_size * mixture.response(base=math.e)
    uncertain = np.zeros(overlap.shape, dtype=bool)
    if mixture.unread is not None:
        low, high = Completions(mixture.unread).excess(mixture.exact_sizes)
        uncertain = (low <= 0) & (high >= 0)
    for nth, (i, t) in enumerate(combinations(range(len(points)), 2)):
        style = {**line(nth), "linewidth": 1.2}
        pair = f"{plain(mixture.names[i])}, {plain(mixture.names[t])}"
        verdict = _verdict(float(overlap[i, t]), float(excess[i, t]))
        verdict += " as read, not certain" if uncertain[i, t] else ""
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
    ax.set_xlabel(r"Fisher length at $q$, $(\sum u^2/q)^{1/2}$ (no unit)")
    ax.set_ylabel("the same, across (no unit)")
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def plot_force_extension(
    chain: SpringChain,
    ax: Axes | None = None,
    force: float = 1.0,
    units: tuple[str, str] = ("units of length", "units of force"),
) -> Axes:
    r"""Force against extension: every spring, and the whole chain with the equivalent stiffness.

    Parameters
    ----------
    chain : SpringChain
    ax : Axes, optional
        Default: a new figure's.
    force : float
        Largest force drawn, > 0. Marks show what each spring and the chain extend by then.
    units : (str, str)
        Of length and of force, for the axes.

    Returns
    -------
    Axes
        Logarithmic both ways if stiffnesses differ by more than a factor of 100. Of more than four springs,
        the softest and the stiffest are named.

    Raises
    ------
    ValueError
        If the force is not finite and > 0.

    Examples
    --------
    >>> ax = plot_force_extension(SpringChain([1, 3]), force=3, units=("cm", "N"))
    >>> ax.get_lines()[0].get_xdata(), ax.get_xlabel()
    (array([0., 4.]), 'extension (cm)')
    """
    largest = float(_checks.positive("force", force))
    ax = axes(ax)
    k = chain.stiffness
    wide = k.max() > 100 * k.min()
    forces = largest * np.array([1e-2 if wide else 0.0, 1.0])
    extensions = chain.extensions(forces)
    total = forces / chain.equivalent_stiffness
    label = rf"chain, $k_\mathrm{{eff}} = {number(chain.equivalent_stiffness)}$"
    ax.plot(total, forces, color="0.0", linewidth=2.2, marker="o", markevery=[1], label=label)
    few = k.size <= FEW
    named = list(range(k.size)) if few else [int(k.argmin()), int(k.argmax())]
    for i in range(k.size):
        style: dict[str, Any] = {"color": "0.85", "linewidth": 0.6, "zorder": 1}
        if i in named:
            label = f"{listed(plain(chain.names[i]))}, $k = {number(k[i])}$"
            marks = {"marker": "o", "markevery": [1], "markersize": 4, "markerfacecolor": "1.0"}
            style = {**line(1 + named.index(i)), **marks, "label": label}
        ax.plot(extensions[:, i], forces, **style)
    if wide:
        ax.set(xscale="log", yscale="log")
    else:
        ax.set(xlim=(0, None), ylim=(0, None))
    ax.set(xlabel=f"extension ({units[0]})", ylabel=f"force ({units[1]})")
    title = None if few else f"{k.size:,} springs in series"
    ax.legend(frameon=False, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, title=title)
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def plot_chain_motion(
    motion: ChainMotion,
    ax: Axes | None = None,
    units: tuple[str, str] = ("units of time", "units of length"),
) -> Axes:
    r"""Displacement of every node against time, and where the load is in balance.

    Parameters
    ----------
    motion : ChainMotion
        From `SpringChain.simulate`.
    ax : Axes, optional
        Default: a new figure's.
    units : (str, str)
        Of time and of length, for the axes.

    Returns
    -------
    Axes
        Thin dotted lines are the nodes at rest under the load. Of more than four nodes, the first and the
        last are named and their rest drawn.

    Examples
    --------
    >>> motion = SpringChain([4, 1]).simulate(np.linspace(0, 9, 50), load=2, mass_damping=0.5)
    >>> [line.get_label() for line in plot_chain_motion(motion, units=("s", "cm")).get_lines()[::2]]
    ['node 1', 'node 2']
    """
    ax = axes(ax)
    order = motion.times.argsort()
    times, nodes = motion.times[order], motion.rest.size
    named = range(nodes) if nodes <= FEW else [0, nodes - 1]
    if nodes > FEW:
        ax.plot(times, motion.displacements[order, 1:-1], color="0.8", linewidth=0.6, zorder=1)
    for place, j in enumerate(named):
        ax.plot(times, motion.displacements[order, j], **line(place), label=f"node {j + 1}")
        ax.axhline(motion.rest[j], color=GREYS[place], linewidth=0.8, linestyle=":", zorder=0)
    ax.set(xlabel=f"time ({units[0]})", ylabel=f"displacement ({units[1]})")
    ax.legend(frameon=False, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=FEW)
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def plot_invariant(
    mixture: Mixture | FisherSprings,
    dataset: int | str,
    sizes: Annotated[Numbers, "sizes"],
    ax: Axes | None = None,
    base: float = 2,
) -> Axes:
    r"""Section 4.3's |D_i| x Delta KL of every dataset as one of them grows, in both directions of the KL.

    Parameters
    ----------
    mixture : Mixture or FisherSprings
        Where changes start from.
    dataset : int or str
        Index or name of D_t, which grows or shrinks.
    sizes : array_like, shape (L,)
        Its sizes, finite and > 0.
    ax : Axes, optional
        Default: a new figure's.
    base : float
        2 for bits, ``math.e`` for nats.

    Returns
    -------
    Axes
        Lines are n_i Delta KL(p_i || q), which is n_i Delta gamma_i, and those with open circles the paper's
        n_i Delta KL(q || p_i). Where that is infinite before and after there is no line, and the legend says
        so. The thin line is T KL(q || q'), exactly the sum of the plain ones.

    Raises
    ------
    ValueError, TypeError
        If a size is not as above, and as in `FisherSprings.invariant`.

    Notes
    -----
    Two springs in series would have two lines that mirror one another. O(L N^2 M).

    Examples
    --------
    >>> from tokentree import published_form
    >>> thirds = published_form([[1, 0, 0], [0, 1, 0], [0, 0, 1]], k=100, l=0.01)
    >>> ax = plot_invariant(thirds, "perturb", [0.01, 0.05, 0.1])
    >>> print(ax.get_legend().get_texts()[3].get_text())
    align, KL$(q\,\Vert\,p)$: infinite
    """
    springs = mixture if isinstance(mixture, FisherSprings) else FisherSprings(mixture)
    mixture = springs.mixture
    t = mixture.index(dataset)
    grid = _sizes(sizes)
    start = mixture.exact_sizes[t]
    found = [springs.invariant(t, Fraction(size) - start, base) for size in grid.tolist()]
    forward, reverse = (np.array([getattr(each, name) for each in found]) for name in ("forward", "reverse"))
    ax = axes(ax)
    ax.axhline(0, color="0.8", linewidth=0.8, zorder=0)
    handles = []
    every = max(1, grid.size // 10)
    for i, name in enumerate(listed(plain(name)) for name in mixture.names):
        handles += ax.plot(grid, forward[:, i], **line(i), label=rf"{name}, KL$(p\,\Vert\,q)$")
        label = rf"{name}, KL$(q\,\Vert\,p)$"
        if np.isnan(reverse[:, i]).all():
            handles.append(mark(r"$\infty$", f"{label}: infinite", color="0.0", markersize=9))
        else:
            handles += ax.plot(
                grid,
                reverse[:, i],
                **line(i),
                linewidth=0.8,
                marker="o",
                markerfacecolor="1.0",
                markersize=5,
                markevery=every,
                label=label,
            )
    handles += ax.plot(
        grid,
        [each.remainder for each in found],
        color="0.5",
        linewidth=0.8,
        label=r"sum of KL$(p\,\Vert\,q)$ lines",
    )
    ax.set_xlabel(f"size of {plain(mixture.names[t])}, $|D_t|$ (blocks)")
    ax.set_ylabel(rf"$|D_i|\,\Delta$KL ({_unit(base)})")
    ax.legend(
        handles=handles, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, frameon=False, fontsize=8
    )
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def animate_springs(
    mixture: Mixture,
    perturb: int | str,
    sizes: Annotated[Numbers, "frames"],
    interval: float = 100,
    base: float = 2,
) -> FuncAnimation:
    r"""The springs as |D_t| grows: the node q on its way, and the invariant beside it.

    Parameters
    ----------
    mixture : Mixture
        Of at most three datasets: a plane holds no more.
    perturb : int or str
        Index or name of D_t.
    sizes : array_like, shape (frames,)
        |D_t| in every frame, finite and > 0.
    interval : float
        Milliseconds a frame, > 0.
    base : float
        2 for bits, ``math.e`` for nats.

    Returns
    -------
    FuncAnimation
        On a figure of its own. Left, the plane of `plot_fisher_triangle` for the first frame, kept for all of
        them: the anchors stay, and q is where the weights put it. Springs get wider with log n_i. Right,
        n_i Delta gamma_i since the first frame, n_i being the sizes then. Sizes and rates stand above.

    Raises
    ------
    ValueError, TypeError
        If there are more than three datasets, or a size, the interval, the base or the dataset is not as
        above.

    Notes
    -----
    ``animation.save("springs.gif", writer="pillow")`` writes a GIF, ``animation.save("springs.mp4")`` a film
    where ffmpeg is installed, and ``animation.to_jshtml()`` a player for a notebook. Lengths and angles are
    true in the Fisher metric of the first frame. O(frames N^2 M), and about 0.1 s to draw a frame.

    Examples
    --------
    >>> thirds = Mixture([[1, 0, 0], [0, 1, 0], [0, 0, 1]], [4, 1, 1])
    >>> animate_springs(thirds, 2, [1, 2, 4]).to_jshtml().count("data:image/png")
    3
    """
    grid = _sizes(sizes)
    wait = float(_checks.positive("interval", interval))
    if not isinstance(mixture, Mixture):
        raise TypeError(f"mixture is a {type(mixture).__name__}: must be a Mixture")
    t = mixture.index(perturb, "perturb")
    frames = [_resized(mixture, t, size) for size in grid.tolist()]
    springs = FisherSprings(frames[0])
    points = _plane(springs)
    start = frames[0].exact_sizes[t]
    changes = np.array([springs.invariant(t, Fraction(size) - start, base).forward for size in grid.tolist()])
    rates = [frame.rates(base) for frame in frames]
    stiffness = np.array([frame.sizes for frame in frames])
    nodes = np.array([frame.weights for frame in frames]) @ points
    spread = np.log(stiffness / stiffness.min())
    widths = 0.7 + 2.3 * spread / (spread.max() or 1.0)

    figure = Figure(figsize=(9, 4.4))
    figure.set_layout_engine("none")
    left, right = figure.subplots(1, 2, width_ratios=[1.25, 1])
    reach = _diameter(points)
    left.add_line(Line2D(*np.vstack([points, points[:1]]).T, color="0.85", linewidth=0.8, zorder=0))
    coils = [
        left.plot([], [], color=grey, solid_joinstyle="round", label=plain(name))[0]
        for grey, name in zip(("0.0", "0.35", "0.6"), mixture.names, strict=False)
    ]
    (trail,) = left.plot([], [], color="0.0", linewidth=0.8, linestyle=":", zorder=4, label="its path")
    left.plot(*points.T, "s", color="0.0", ms=7, zorder=4, label="datasets")
    (node,) = left.plot([], [], "o", color="0.0", markerfacecolor="1.0", ms=9, zorder=5, label="model $q$")
    _name_anchors(left, points, [plain(name) for name in mixture.names], points)
    _frame(left, np.vstack([points, nodes]), reach)
    left.legend(handles=[node, trail], loc="lower center", ncols=2, frameon=False)
    left.set_xlabel("Fisher length at the first $q$ (no unit)")
    left.set_ylabel("the same, across (no unit)")

    right.axhline(0, color="0.8", linewidth=0.8, zorder=0)
    for i, name in enumerate(map(plain, mixture.names)):
        right.plot(grid, changes[:, i], **line(i), label=listed(name))
    (now,) = right.plot([], [], "o", color="0.0", markerfacecolor="1.0", zorder=5, label="now")
    right.set_xlabel(f"size of {plain(mixture.names[t])}, $|D_t|$ (blocks)")
    right.set_ylabel(rf"$|D_i|\,\Delta\gamma_i$ since the first frame ({_unit(base)})")
    right.legend(*(each[:-1] for each in right.get_legend_handles_labels()), frameon=False)
    for each in (left, right):
        each.spines[["top", "right"]].set_visible(False)
    text, longest = figure.suptitle("", fontsize=9, family="monospace"), max(map(len, mixture.names))

    def show(frame: int) -> list[Artist]:
        for coil, anchor, width in zip(coils, points, widths[frame], strict=True):
            coil.set_data(*_zigzag(nodes[frame], anchor, 0.018 * reach).T)
            coil.set_linewidth(float(width))
        trail.set_data(*nodes[: frame + 1].T)
        node.set_data(*nodes[frame : frame + 1].T)
        now.set_data(np.full(len(points), grid[frame]), changes[frame])
        rows = zip(mixture.names, stiffness[frame], rates[frame], strict=True)
        text.set_text(
            "\n".join(
                f"{plain(name):>{longest}}{n:>12.5g} blocks{rate:>12.6f} {_unit(base)} per block"
                for name, n, rate in rows
            )
        )
        return [*coils, trail, node, now, text]

    # One layout for all frames: the axes stand still, and no frame is drawn twice.
    show(0)
    ConstrainedLayoutEngine().execute(figure)
    return FuncAnimation(figure, show, frames=grid.size, interval=wait)


def _plane(springs: FisherSprings) -> Float[np.ndarray, "datasets 2"]:
    """The p_i - q as vectors of the plane, with the Fisher metric at q as its own; the longest side level."""
    mixture = springs.mixture
    n = mixture.n_datasets
    if n > 3:
        raise ValueError(f"mixture has {n} datasets: a plane holds at most 3")
    scaled = springs.forces / springs.stiffness[:, None] * inverse_root(springs.node)
    largest = int(mixture.weights.argmax())
    others = np.delete(np.arange(n), largest)
    points = np.zeros((n, 2))
    _, upper = np.linalg.qr(scaled[others].T)
    points[others, : len(upper)] = upper.T
    # By the balance of forces. As a vector of its own it would be known to the rounding of the others only.
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
    """Largest distance, and 1 where all points are one."""
    apart = points[:, None] - points
    return float(np.hypot(apart[..., 0], apart[..., 1]).max()) or 1.0


def _zigzag(
    start: Float[np.ndarray, "2"], end: Float[np.ndarray, "2"], amplitude: float, turns: int = 5
) -> Float[np.ndarray, "corners 2"]:
    """A drawn spring; straight at both ends, flat where it has no length."""
    along = end - start
    length = math.hypot(*along)
    across = np.array([-along[1], along[0]]) / (length or 1.0)
    corners = np.concatenate([[0, 0.12], 0.12 + 0.76 * (np.arange(2 * turns) + 0.5) / (2 * turns), [0.88, 1]])
    swing = np.zeros(corners.size)
    swing[2:-2] = min(amplitude, length / 8) * (-1.0) ** np.arange(2 * turns)
    spring: Float[np.ndarray, "corners 2"] = start + corners[:, None] * along + swing[:, None] * across
    return spring


def _arc(ax: Axes, first: float, second: float, radius: float, **style: Any) -> Arc:
    """The angle at the origin, not above 180 degrees, drawn at a radius in points."""
    swept = (second - first) % (2 * math.pi)
    begin, end = (first, first + swept) if swept <= math.pi else (second, second + 2 * math.pi - swept)
    figure = ax.get_figure(root=True)
    assert figure is not None
    inches = figure.dpi_scale_trans + ScaledTranslation(0, 0, ax.transData)  # type: ignore[arg-type]  # stubs ask for more
    angles = {"theta1": math.degrees(begin), "theta2": math.degrees(end)}
    return Arc((0, 0), radius / 36, radius / 36, transform=inches, **angles, **style)


def _free_direction(angles: Float[np.ndarray, "arms"]) -> float:
    """Middle of the widest gap between directions; down if there is none."""
    if not angles.size:
        return -math.pi / 2
    ordered = np.sort(angles)
    gaps = np.diff(ordered, append=ordered[0] + 2 * math.pi)
    widest = int(gaps.argmax())
    return float(ordered[widest] + gaps[widest] / 2)


def _name_anchors(
    ax: Axes, points: Float[np.ndarray, "datasets 2"], names: list[str], ends: Float[np.ndarray, "datasets 2"]
) -> None:
    """Names where the lines to the anchors end, or beside the anchors if all lie on one line.

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
            # Below and above by turns, so that neighbours do not meet; an anchor at q has q's name below.
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
    """Equal scales both ways, and room for the labels."""
    room = np.array([0.6, 0.2]) * reach
    ax.update_datalim([seen.min(axis=0) - room, seen.max(axis=0) + room])
    ax.margins(0)
    ax.set_aspect("equal", adjustable="datalim")


def _verdict(overlap: float, excess: float) -> str:
    """What S, and S - 1 to all its digits, say of two rates."""
    if excess == 0:
        return "$S = 1$, neither rate moves"
    sign, angle, rates = (">", "acute", "fall") if excess > 0 else ("<", "obtuse", "rise")
    value = number(overlap, 3)
    if value == "1":
        value += f" {'+' if excess > 0 else '-'} {number(abs(excess), 2)}"
    return f"$S = {value} {sign} 1$, {angle}, rates {rates}"


def _resized(mixture: Mixture, t: int, size: float) -> Mixture:
    sizes = list(mixture.exact_sizes)
    sizes[t] = Fraction(size)
    return mixture.with_sizes(sizes)


def _sizes(sizes: Numbers) -> Float[np.ndarray, "sizes"]:
    grid = _checks.positive("sizes", sizes)
    if grid.ndim != 1 or grid.size == 0:
        raise ValueError(f"sizes has shape {grid.shape}: must be one-dimensional, with at least one entry")
    return grid


def _unit(base: float) -> str:
    return {2: "bits", math.e: "nats"}.get(base, f"log base {base:g}")
