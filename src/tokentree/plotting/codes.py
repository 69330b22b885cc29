"""Plots of codes and of the masses that they encode: lengths, gains of long blocks, tails."""

from collections.abc import Mapping
from typing import Annotated, Any

import numpy as np
from jaxtyping import Float, Int
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, LogNorm
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke
from matplotlib.ticker import MaxNLocator

from .._lib import checks
from .._lib.checks import Numbers
from ..codes import HuffmanCode
from ..information import entropy
from ..mixtures import Mixture
from ..trees import TokenTree
from ._style import DASHES, GREYS, _legend, _legend_above, axes, dataset_names, instance, line, listed, plain


def plot_extension_gap(
    mixture: Mixture, extensions: Annotated[Numbers, "extensions"] = (1, 2, 3, 4), ax: Axes | None = None
) -> Axes:
    r"""Excess of Huffman codes for b leaves at once over the ideal rate, and the line 1 / b.

    The joint gap, for leaves drawn from q, lies below the line. The gap of a single dataset obeys no such law
    and may be negative; its absolute value is drawn.

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
        If `extensions` is empty; otherwise as in `Mixture.rates`.

    Examples
    --------
    >>> plot_extension_gap(Mixture([[7, 1], [1, 1]], [8, 1]), [1, 2, 4, 8]).get_xscale()
    'log'
    """
    instance("mixture", mixture, Mixture, "Mixture.from_trees([a, b, c])")
    given = enumerate(checks.items("extensions", extensions))
    tried = [checks.integer(f"extensions[{i}]", each, 1) for i, each in given]
    if not tried:
        raise ValueError("extensions is empty: at least one is needed")
    ax = axes(ax)
    b = np.array(tried)
    joint = np.array([mixture.potential(code="huffman", extension=each) for each in tried])
    gaps = np.array([mixture.rates(code="huffman", extension=each) for each in tried]) - mixture.rates()
    ax.plot(b, 1 / b, color="0.6", linewidth=0.8, label="$1/b$")
    gap = (joint - mixture.potential()) / mixture.total_size
    ax.plot(b, gap, "o", color="0.0", linestyle="-", label="joint data")
    for i, name in enumerate(dataset_names(mixture)):
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
    ax.set(xscale="log", yscale="log", xlabel="leaves per codeword, $b$")
    # Ticks are labelled if there is room, a fifteenth of the axis.
    room, named = np.log(b.max() / b.min()) / 15, [0]
    for each in np.unique(b).tolist():
        if not named[-1] or np.log(each / named[-1]) >= room:
            named.append(each)
    ax.set_xticks(b, labels=[str(each) if each in named else "" for each in tried])
    ax.minorticks_off()
    ax.set_ylabel("rate above ideal (bits per block)")
    _legend(ax)
    return ax


_CIRCLES = 200
"""Codeword lengths: up to this many different leaves are drawn one by one, more as a histogram."""

_POINTS = 3000
"""Number of points of a line that look like all of them."""


def plot_code_lengths(
    p: TokenTree | Annotated[Numbers, "leaves"],
    ax: Axes | None = None,
    *,
    code: HuffmanCode | None = None,
) -> Axes:
    r"""Codeword lengths L of a Huffman code against the ideal lengths -log2 p, weighted by mass.

    On the line L = -log2 p a leaf has its ideal cost. The cross is the mean of all leaves, weighted by mass:
    its ordinate is the expected length, its abscissa the entropy, and its height above the line the
    redundancy.

    Parameters
    ----------
    p : TokenTree or array_like, shape (M,)
        The leaves' distribution.
    ax : Axes, optional
        Default: a new figure's.
    code : HuffmanCode, optional
        A code for the same leaves. Default: the optimal code of `p`. With the code of a model, the redundancy
        is the cost of coding the data with the wrong code.

    Returns
    -------
    Axes
        Circles with areas proportional to the masses if at most 200 leaves differ in p or L; otherwise a
        histogram with a grey scale: a hundred columns, and rows of one bit, or more if there would be over
        100.

    Raises
    ------
    ValueError, TypeError
        If `p` is not a distribution, or `code` is for another number of leaves.

    Notes
    -----
    Leaves of mass zero have no ideal length and cost nothing; the text says how many there are. O(M log M).
    Section 3.1 of the paper; Cover and Thomas, *Elements of Information Theory*, sections 5.4 and 5.6.

    Examples
    --------
    >>> print(plot_code_lengths([0.5, 0.25, 0.125, 0.125]).texts[0].get_text())
    expected length  1.7500 bits per block
    entropy  1.7500 bits per block
    redundancy  0.0000 bits per block
    """
    if isinstance(p, TokenTree):
        code = HuffmanCode.from_tree(p) if code is None else code
        p = p.leaf_probabilities
    masses = checks.distributions("p", p)
    if masses.ndim != 1:
        raise ValueError(f"p has shape {masses.shape}: must be one distribution")
    code = HuffmanCode.from_weights(masses) if code is None else code
    mean, least = float(code.expected_length(masses)), float(entropy(masses))
    massive = masses > 0
    p, lengths = masses[massive], code.lengths[massive]
    ideal = -np.log2(p) + 0.0
    # Summed leaf by leaf, so that a code without redundancy shows none.
    redundancy = float(p @ (lengths - ideal))

    ax = axes(ax)
    handles: list[Any] = []
    order = np.lexsort([lengths, ideal])
    ideal, lengths = ideal[order], lengths[order]
    first = np.flatnonzero(np.append(True, (np.diff(ideal) != 0) | (np.diff(lengths) != 0)))
    x, y, mass = ideal[first], lengths[first], np.add.reduceat(p[order], first)
    if len(first) <= _CIRCLES:
        circle: dict[str, Any] = {"marker": "o", "color": "0.85"}
        ax.scatter(x, y, 900 * mass, edgecolor="0.0", linewidth=0.6, **circle)
        name = "leaves, area by mass"
        handles = [Line2D([], [], linestyle="", markeredgecolor="0.0", ms=9, label=name, **circle)]
    else:
        across, step = np.linspace(x[0], x[-1], 101), 1 + (y.max() - y.min()) // 100
        up = np.arange(y.min(), y.max() + step + 1, step) - 0.5
        cells = np.histogram2d(x, y, (across, up), weights=mass)[0].T
        greys = LinearSegmentedColormap.from_list("greys", ["0.88", "0.0"])
        norm = LogNorm(cells[cells > 0].min(), cells.max())
        drawn = np.ma.masked_equal(cells, 0)
        mesh = ax.pcolormesh(across, up, drawn, norm=norm, cmap=greys, rasterized=True)
        ax.figure.colorbar(mesh, ax=ax, label="share of the mass, per cell")
    diagonal: dict[str, Any] = {"color": "0.3", "linewidth": 1, "linestyle": DASHES[1]}
    halo = [withStroke(linewidth=2.5, foreground="1.0")]
    handles.append(ax.axline((0, 0), slope=1, label=r"$L = -\log_2 p$", path_effects=halo, **diagonal))
    handles += ax.plot(least, mean, "X", color="0.0", markeredgecolor="1.0", ms=10, label="mean")
    found = {"expected length": mean, "entropy": least, "redundancy": redundancy}
    text = "\n".join(f"{name}  {bits:z.4f} bits per block" for name, bits in found.items())
    if not massive.all():
        text += f"\nleaves of mass 0, not drawn  {np.count_nonzero(~massive):,}"
    ax.text(0.03, 0.97, text, transform=ax.transAxes, va="top", size="small")
    ax.set(xlabel=r"ideal length $-\log_2 p$ (bits)", ylabel="codeword length $L$ (bits)")
    ax.set(xlim=_padded(x), ylim=_padded(y, top=0.3))
    ax.yaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    _legend_above(ax, handles, ncols=3)
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def plot_survival(
    masses: TokenTree | Annotated[Numbers, "leaves"] | Mapping[str, TokenTree | Annotated[Numbers, "_"]],
    ax: Axes | None = None,
    *,
    unit: str = "leaf mass",
) -> Axes:
    r"""Survival function of leaf masses on logarithmic axes: a Pareto law is a straight line.

    Parameters
    ----------
    masses : TokenTree, array_like of shape (M,), or mapping of str to either
        One line each. For a tree, the probabilities of its leaves; arrays are drawn on their own scale.
    ax : Axes, optional
        Default: a new figure's.
    unit : str
        Name of x, for the axis label.

    Returns
    -------
    Axes
        A line falls at each mass; of more than 3,000 different masses, 3,000 are drawn, evenly along it.

    Raises
    ------
    ValueError
        If there is no data, an entry is negative or not finite, all are zero, or a tree has unexpanded mass.
    TypeError
        If an array does not hold real numbers.

    Notes
    -----
    A leaf of mass zero counts as a leaf but lies left of any logarithmic axis: the line then begins below 1.
    Assumption A.7 of the paper. `plot_tail_fit` draws the laws fitted to one dataset. O(M log M).

    Examples
    --------
    >>> from tokentree import ParetoMass
    >>> drawn = {f"α = {alpha}": ParetoMass(alpha).sample(1000, rng=7) for alpha in (1.5, 3)}
    >>> plot_survival(drawn).get_xlabel()
    'leaf mass, $x$'
    """
    named = masses if isinstance(masses, Mapping) else {"masses": masses}
    if not named:
        raise ValueError("masses is empty: at least one dataset is needed")
    survivals = {name: _survival(f"masses[{name!r}]", data) for name, data in named.items()}
    ax = axes(ax)
    for i, (name, (values, survival)) in enumerate(survivals.items()):
        ax.plot(values, survival, drawstyle="steps-pre", label=listed(name), **line(i))
        # A single mass has no extent.
        ax.plot(values[-1:], survival[-1:], ".", color=line(i)["color"], ms=4)
    ax.set(xscale="log", yscale="log", xlabel=f"{unit}, $x$", ylabel="share of the leaves at or above $x$")
    if isinstance(masses, Mapping):
        _legend(ax, columns=3)
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def _survival(
    name: str, data: TokenTree | Annotated[Numbers, "_"]
) -> tuple[Float[np.ndarray, "points"], Float[np.ndarray, "points"]]:
    """Distinct masses above zero and the share of all at or above each, thinned evenly along the curve."""
    if isinstance(data, TokenTree):
        share = data.unexpanded_weight / data.total_weight
        checks.whole(
            name, share, "that is the mass of many leaves; prune it, or give the masses that are known"
        )
        array = data.leaf_probabilities
    else:
        array = checks.real_array(name, data)
    if array.ndim != 1:
        raise ValueError(f"{name} has shape {array.shape}: must be one row of masses")
    checks.nonnegative(name, array)
    values, counts = np.unique(array[array > 0], return_counts=True)
    if not len(values):
        raise ValueError(f"{name} has no mass above zero: a logarithmic axis needs one")
    survival = counts[::-1].cumsum()[::-1] / len(array)
    values = values.astype(np.float64)
    if len(values) > _POINTS:
        logs = np.log(values), np.log(survival)
        travelled = np.hypot(*(np.diff(each) / np.ptp(each) for each in logs)).cumsum()
        marks = 1 + np.searchsorted(travelled, np.linspace(0, travelled[-1], _POINTS))
        shown = np.unique(np.append(0, marks.clip(max=len(values) - 1)))
        values, survival = values[shown], survival[shown]
    return values, survival


def _padded(values: Float[np.ndarray, "n"] | Int[np.ndarray, "n"], top: float = 0.05) -> tuple[float, float]:
    """Limits with room around the values, and more above for the text."""
    low, high = float(values.min()), float(values.max())
    room = max(high - low, 1.0)
    return low - 0.05 * room - 0.5, high + top * room + 0.5
