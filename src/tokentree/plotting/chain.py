"""Plots of springs in series: mechanical chains, their motion, and joint compression as a chain."""

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Annotated, Any

import numpy as np
from jaxtyping import Float
from matplotlib.animation import FuncAnimation
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D

from .._lib import checks
from .._lib.checks import Numbers
from ..mixtures import Mixture
from ..springs import ChainMotion, FisherSprings, SpringChain
from ._plane import FEW, _diameter, _frame, _name_anchors, _plane
from ._style import (
    GREYS,
    _legend,
    axes,
    columns,
    dataset_names,
    information_unit,
    instance,
    line,
    listed,
    mark,
    number,
    plain,
)


def plot_force_extension(
    chain: SpringChain,
    ax: Axes | None = None,
    *,
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
        Largest force drawn, > 0. Marks show the extensions of each spring and of the chain at this force.
    units : (str, str)
        Units of length and of force, for the axis labels.

    Returns
    -------
    Axes
        Both axes are logarithmic if stiffnesses differ by more than a factor of 100. Of more than four
        springs, only the softest and the stiffest are named.

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
    instance("chain", chain, SpringChain, "SpringChain(stiffness)")
    largest = float(checks.positive("force", force))
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
    _legend(ax, title=title)
    return ax


def plot_chain_motion(
    motion: ChainMotion,
    ax: Axes | None = None,
    *,
    units: tuple[str, str] = ("units of time", "units of length"),
) -> Axes:
    r"""Displacement of every node against time, and the equilibrium under the load.

    Parameters
    ----------
    motion : ChainMotion
        From `SpringChain.simulate`.
    ax : Axes, optional
        Default: a new figure's.
    units : (str, str)
        Units of time and of length, for the axis labels.

    Returns
    -------
    Axes
        Thin dotted lines are the nodes at rest under the load. Of more than four nodes, only the first and
        the last are named, and only their rest positions drawn.

    Examples
    --------
    >>> motion = SpringChain([4, 1]).simulate(np.linspace(0, 9, 50), load=2, mass_damping=0.5)
    >>> [line.get_label() for line in plot_chain_motion(motion, units=("s", "cm")).get_lines()[::2]]
    ['node 1', 'node 2']
    """
    instance("motion", motion, ChainMotion, "SpringChain(stiffness).simulate(times)")
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
    rest = Line2D([], [], color="0.3", linewidth=0.8, linestyle=":", label="at rest under the load")
    _legend(ax, handles=[*ax.get_legend_handles_labels()[0], rest])
    return ax


def plot_invariant(
    mixture: Mixture | FisherSprings,
    dataset: int | str,
    sizes: Annotated[Numbers, "sizes"],
    ax: Axes | None = None,
    *,
    base: float = 2,
) -> Axes:
    r"""Section 4.3's |D_i| x Delta KL of every dataset as one of them grows, for both directions of the KL.

    Parameters
    ----------
    mixture : Mixture or FisherSprings
        The state from which changes are counted.
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
        Plain lines are n_i Delta KL(p_i || q), which is n_i Delta gamma_i; lines with open circles are the
        paper's n_i Delta KL(q || p_i). If that is infinite before and after, there is no line, and the legend
        says so. The thin line is T KL(q || q'), exactly the sum of the plain lines.

    Raises
    ------
    ValueError, TypeError
        If a size is not finite and > 0; otherwise as in `FisherSprings.invariant`.

    Notes
    -----
    Two springs in series would give two lines that mirror each other. O(L N^2 M).

    Examples
    --------
    >>> from tokentree import published_form
    >>> thirds = published_form([[1, 0, 0], [0, 1, 0], [0, 0, 1]], k=100, l=0.01)
    >>> ax = plot_invariant(thirds, "perturb", [0.01, 0.05, 0.1])
    >>> print(ax.get_legend().get_texts()[3].get_text())
    align, $q\,\Vert\,p$: infinite
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
    for i, name in enumerate(listed(plain(name)) for name in dataset_names(mixture)):
        handles += ax.plot(grid, forward[:, i], **line(i), label=rf"{name}, $p\,\Vert\,q$")
        label = rf"{name}, $q\,\Vert\,p$"
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
        label=r"sum of $p\,\Vert\,q$",
    )
    ax.set_xlabel(f"size of {plain(mixture.names[t])}, $|D_t|$ (blocks)")
    ax.set_ylabel(rf"$|D_i|\,\Delta$KL ({information_unit(base)})")
    _legend(ax, handles=handles, title="dataset, and direction of the divergence")
    return ax


def animate_springs(
    mixture: Mixture,
    perturb: int | str,
    sizes: Annotated[Numbers, "frames"],
    *,
    interval: float = 100,
    base: float = 2,
) -> FuncAnimation:
    r"""The springs as |D_t| grows: the path of the node q, and the invariant next to it.

    Parameters
    ----------
    mixture : Mixture
        A mixture of at most three datasets, because the plot is a plane.
    perturb : int or str
        Index or name of D_t.
    sizes : array_like, shape (frames,)
        |D_t| in every frame, finite and > 0.
    interval : float
        Milliseconds per frame, > 0.
    base : float
        2 for bits, ``math.e`` for nats.

    Returns
    -------
    FuncAnimation
        An animation in a new figure. Left, the plane of `plot_fisher_triangle` for the first frame, kept for
        all frames: the anchors are fixed, and the weights determine q. The width of a spring increases with
        log n_i. Right, n_i Delta gamma_i since the first frame, with the sizes n_i of the first frame. Sizes
        and rates are given above.

    Raises
    ------
    ValueError, TypeError
        If there are more than three datasets, or a size, the interval, the base or the dataset is invalid.

    Notes
    -----
    ``animation.save("springs.gif", writer="pillow")`` writes a GIF, ``animation.save("springs.mp4")`` a video
    if ffmpeg is installed, and ``animation.to_jshtml()`` makes a player for a notebook. Lengths and angles
    are those of the Fisher metric of the first frame. O(frames N^2 M), and about 0.1 s of drawing per frame.

    Examples
    --------
    >>> thirds = Mixture([[1, 0, 0], [0, 1, 0], [0, 0, 1]], [4, 1, 1])
    >>> animate_springs(thirds, 2, [1, 2, 4]).to_jshtml().count("data:image/png")
    3
    """
    grid = _sizes(sizes)
    wait = float(checks.positive("interval", interval))
    if not isinstance(mixture, Mixture):
        raise TypeError(f"mixture is a {type(mixture).__name__}: must be a Mixture")
    t = mixture.index(perturb, "perturb")
    frames = [_resized(mixture, t, size) for size in grid.tolist()]
    springs = FisherSprings(frames[0])
    points = _plane(springs)
    start = frames[0].exact_sizes[t]
    changes = np.array([springs.invariant(t, Fraction(size) - start, base).forward for size in grid.tolist()])

    figure = Figure(figsize=(10, 4.6))
    figure.set_layout_engine("none")
    left, right = figure.subplots(1, 2, width_ratios=[1.25, 1])
    panels = (
        _springs_panel(left, frames, points),
        _invariant_panel(right, mixture, t, grid, changes, base),
        _readings(figure, frames, base),
    )
    for each in (left, right):
        each.spines[["top", "right"]].set_visible(False)

    def show(frame: int) -> list[Artist]:
        return [artist for panel in panels for artist in panel(frame)]

    # One layout for all frames: the axes do not move, and no frame is drawn twice.
    show(0)
    ConstrainedLayoutEngine().execute(figure)
    # Its equal scales were fitted to the axes before the layout.
    left.margins(0)
    left.apply_aspect()
    return FuncAnimation(figure, show, frames=grid.size, interval=wait)


_Show = Callable[[int], list[Artist]]
"""Updates a part of the figure to a frame, and returns the artists that it changed."""


def _springs_panel(ax: Axes, frames: list[Mixture], points: Float[np.ndarray, "datasets 2"]) -> _Show:
    """The fixed anchors, and the model on its springs."""
    names = [plain(name) for name in frames[0].names]
    nodes = np.array([frame.weights for frame in frames]) @ points
    stiffness = np.array([frame.sizes for frame in frames])
    spread = np.log(stiffness / stiffness.min())
    widths = 0.7 + 2.3 * spread / (spread.max() or 1.0)
    reach = _diameter(points)
    ax.add_line(Line2D(*np.vstack([points, points[:1]]).T, color="0.85", linewidth=0.8, zorder=0))
    coils = [
        ax.plot([], [], color=grey, solid_joinstyle="round", label=name)[0]
        for grey, name in zip(("0.0", "0.35", "0.6"), names, strict=False)
    ]
    (trail,) = ax.plot([], [], color="0.0", linewidth=0.8, linestyle=":", zorder=4, label="its path")
    ax.plot(*points.T, "s", color="0.0", ms=7, zorder=4, label="datasets")
    (node,) = ax.plot([], [], "o", color="0.0", markerfacecolor="1.0", ms=9, zorder=5, label="model $q$")
    _name_anchors(ax, points, names, points)
    _frame(ax, np.vstack([points, nodes]), reach)
    ax.legend(handles=[node, trail], loc="lower center", ncols=2, frameon=False)
    ax.set_xlabel("Fisher length at the first $q$, along the longest side")
    ax.set_ylabel("Fisher length perpendicular to it")

    def show(frame: int) -> list[Artist]:
        for coil, anchor, width in zip(coils, points, widths[frame], strict=True):
            coil.set_data(*_zigzag(nodes[frame], anchor, 0.018 * reach).T)
            coil.set_linewidth(float(width))
        trail.set_data(*nodes[: frame + 1].T)
        node.set_data(*nodes[frame : frame + 1].T)
        return [*coils, trail, node]

    return show


def _invariant_panel(
    ax: Axes,
    mixture: Mixture,
    t: int,
    grid: Float[np.ndarray, "frames"],
    changes: Float[np.ndarray, "frames datasets"],
    base: float,
) -> _Show:
    """Lines of n_i Delta gamma_i, each with a mark that moves along it."""
    ax.axhline(0, color="0.8", linewidth=0.8, zorder=0)
    for i, name in enumerate(map(plain, dataset_names(mixture))):
        ax.plot(grid, changes[:, i], **line(i), label=listed(name))
    (now,) = ax.plot([], [], "o", color="0.0", markerfacecolor="1.0", zorder=5, label="now")
    ax.set_xlabel(f"size of {plain(mixture.names[t])}, $|D_t|$ (blocks)")
    ax.set_ylabel(rf"$|D_i|\,\Delta\gamma_i$ since the first frame ({information_unit(base)})")
    _legend(ax, handles=ax.get_legend_handles_labels()[0][:-1], columns=columns(mixture))

    def show(frame: int) -> list[Artist]:
        now.set_data(np.full(changes.shape[1], grid[frame]), changes[frame])
        return [now]

    return show


def _readings(figure: Figure, frames: list[Mixture], base: float) -> _Show:
    """Sizes and rates, above the figure."""
    names, rates = dataset_names(frames[0]), [frame.rates(base) for frame in frames]
    text, longest = figure.suptitle("", fontsize=9, family="monospace"), max(map(len, names))

    def show(frame: int) -> list[Artist]:
        text.set_text(
            "\n".join(
                f"{plain(name):>{longest}}{n:>12.5g} blocks{rate:>12.6f} {information_unit(base)} per block"
                for name, n, rate in zip(names, frames[frame].sizes, rates[frame], strict=True)
            )
        )
        return [text]

    return show


def _zigzag(
    start: Float[np.ndarray, "2"], end: Float[np.ndarray, "2"], amplitude: float, turns: int = 5
) -> Float[np.ndarray, "corners 2"]:
    """The corners of a drawn spring; straight at both ends, flat if it has no length."""
    along = end - start
    length = math.hypot(*along)
    across = np.array([-along[1], along[0]]) / (length or 1.0)
    corners = np.concatenate([[0, 0.12], 0.12 + 0.76 * (np.arange(2 * turns) + 0.5) / (2 * turns), [0.88, 1]])
    swing = np.zeros(corners.size)
    swing[2:-2] = min(amplitude, length / 8) * (-1.0) ** np.arange(2 * turns)
    spring: Float[np.ndarray, "corners 2"] = start + corners[:, None] * along + swing[:, None] * across
    return spring


def _resized(mixture: Mixture, t: int, size: float) -> Mixture:
    sizes = list(mixture.exact_sizes)
    sizes[t] = Fraction(size)
    return mixture.with_sizes(sizes)


def _sizes(sizes: Numbers) -> Float[np.ndarray, "sizes"]:
    grid = checks.positive("sizes", sizes)
    if grid.ndim != 1 or grid.size == 0:
        raise ValueError(f"sizes has shape {grid.shape}: must be one-dimensional, with at least one entry")
    return grid
