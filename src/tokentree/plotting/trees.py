"""Pictures of trees, of codes for them, and of the rates that joint compression gives."""

import math
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from itertools import zip_longest
from typing import Annotated, Any, Literal

import numpy as np
from jaxtyping import Float, Int
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import LinearSegmentedColormap, LogNorm
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.patheffects import withStroke
from matplotlib.ticker import MaxNLocator

from .. import _checks, _masses
from .._bands import EOS, REST
from .._checks import Numbers
from .._html import node_rows
from ..elasticity import elasticity, published_closed_form, published_form
from ..huffman import HuffmanCode
from ..information import entropy
from ..mixture import Mixture, exact_number
from ..tree import LeafKind, TokenTree
from ._style import DASHES, axes, line, listed, plain

_LEAVES = {
    LeafKind.EOS: ("o", "0.0", "end of sequence"),
    LeafKind.CUT: ("s", "1.0", "cut here"),
    LeafKind.UNEXPANDED: (">", "0.75", "unexpanded"),
}
"""Marker, face and name of each kind of leaf."""

_CIRCLES = 200
"""Codeword lengths: so many different leaves are drawn one by one, more as a histogram."""

_VERDICTS = {True: ("0.0", "the signs hold"), False: ("1.0", "they fail"), None: ("0.6", "not decided")}
"""Face of a marker, and its name, by whether the signs of Theorem 4.2 hold."""

_POINTS = 3000
"""Points of a line that look like all of them."""


def plot_tree(
    tree: TokenTree,
    ax: Axes | None = None,
    token: Callable[[int], str] = str,
    unit: str = "symbols",
    max_nodes: int = 150,
) -> Axes:
    r"""A small token tree, root at the left, leaves in lexicographic order from the top.

    Every leaf has a row of its own, and an inner node stands midway between its first and last child, so
    subtrees never overlap. A leaf's marker says why it is one, and beside it stands its probability; lines
    are the wider the more mass passes. The line to a leaf that was not expanded is dotted.

    Parameters
    ----------
    tree : TokenTree
    ax : Axes, optional
        Default: a new figure's, as tall as the leaves need. Deep trees and long names of symbols want a wider
        one.
    token : callable
        Text for a symbol, such as a vocabulary's ``__getitem__``, ``chr``, or ``"ab".__getitem__``.
    unit : str
        What depth is counted in, for the axis.
    max_nodes : int
        Largest tree that is drawn.

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        If the tree has more than `max_nodes` nodes. `plot_tree_levels` draws trees of any size, and
        ``tree.prune(depth)`` makes one smaller.

    Notes
    -----
    Definitions 3.1 and 3.3 of the paper. End-of-sequence is no symbol, so the lines to those leaves have no
    text.

    Examples
    --------
    >>> ax = plot_tree(TokenTree.from_sequences(["0", "01", "01", "11"]).prune(2), token="ab".__getitem__)
    >>> [text.get_text() for text in ax.texts]
    ['a', 'b', 'b', 'b', '0.25', '0.5', '0.25']
    """
    if tree.n_nodes > max_nodes:
        raise ValueError(
            f"tree has {tree.n_nodes:,} nodes: at most max_nodes = {max_nodes} are drawn; prune it, or use "
            "plot_tree_levels"
        )
    leaves = tree.leaves()
    if ax is None:
        ax = plt.subplots(figsize=(6.4, max(3.2, 1.2 + 0.19 * len(leaves))), layout="constrained")[1]
    box = ax.get_window_extent()
    # In points. Text is as large as a row is high and a line is long, within reason.
    row, line = np.array([box.height / len(leaves), box.width / tree.depth]) * 72 / ax.figure.dpi
    size, short = (float(np.clip(0.75 * room, 4, 9)) for room in (row, min(row, line)))
    marked: dict[str, Any] = {"color": "0.0", "ms": min(5.5, 0.7 * float(row))}

    rows = node_rows(tree, leaves.node)
    depths = np.searchsorted(tree.offsets, np.arange(tree.n_nodes), side="right") - 1
    above = tree.offsets[np.maximum(depths - 1, 0)] + tree.parents
    masses = tree.weights / tree.weights[0]
    lines = [[(d - 1, rows[up]), (d - 0.65, y), (d, y)] for d, up, y in zip(depths, above, rows, strict=True)]
    dashes = [DASHES[2] if symbol == REST else DASHES[0] for symbol in tree.symbols]
    widths = 0.5 + 4 * masses
    ax.add_collection(
        LineCollection(lines[1:], colors="0.55", linewidths=widths[1:], linestyles=dashes[1:], zorder=1)
    )
    for depth, y, symbol in zip(depths[1:], rows[1:], tree.symbols[1:].tolist(), strict=True):
        if symbol >= 0:
            ax.text(
                depth - 0.35,
                y,
                token(symbol),
                size=short,
                ha="center",
                va="center",
                parse_math=False,
                bbox={"facecolor": "1.0", "edgecolor": "none", "pad": 0.8},
            )
    inner = np.setdiff1d(np.arange(tree.n_nodes), leaves.node)
    ax.plot(depths[inner], rows[inner], "o", color="0.0", ms=2.5)
    kinds: list[Line2D] = []
    for kind, (marker, face, name) in _LEAVES.items():
        which = leaves.node[leaves.kind == kind]
        if len(which):
            kinds += ax.plot(depths[which], rows[which], marker, markerfacecolor=face, label=name, **marked)
    for node, probability in zip(leaves.node, leaves.probability, strict=True):
        ax.annotate(
            f"{probability:.3g}",
            (depths[node], rows[node]),
            xytext=(6, 0),
            textcoords="offset points",
            size=size,
            va="center",
        )
    ax.set(xlabel=f"depth $d$ ({unit})", xlim=(-0.03 * tree.depth, 1.12 * tree.depth))
    ax.set(ylim=(len(leaves) - 0.4, -0.6), yticks=[])
    ax.set_xticks(range(0, tree.depth + 1, 1 + tree.depth // 20))
    ax.spines[["left", "top", "right"]].set_visible(False)
    _legend_above(ax, kinds, ncols=3, title="leaves, with their probabilities")
    return ax


def plot_tree_levels(tree: TokenTree, ax: Axes | None = None, unit: str = "symbols") -> Axes:
    r"""A token tree of any size, level by level: nodes, leaves, and where the mass is.

    For every depth d, the share of the mass that is closed (the response has ended at depth d or above),
    unexpanded (nobody looked at how it goes on), and open, on the left axis; the three add up to 1. On the
    right axis, logarithmic, the number of nodes at depth d, and of leaves that the tree has when pruned to d.

    Parameters
    ----------
    tree : TokenTree
    ax : Axes, optional
        Default: a new figure's.
    unit : str
        What depth is counted in, for the axis.

    Returns
    -------
    Axes
        That of the mass; that of the counts is its twin, the last of ``ax.figure.axes``.

    Notes
    -----
    O(nodes). Open mass at the last depth is that of the leaves cut there.

    Examples
    --------
    >>> ax = plot_tree_levels(TokenTree.from_sequences(["0", "01", "01", "11"]))
    >>> ax.get_ylabel()
    'share of the mass'
    """
    ax = axes(ax)
    depths = np.arange(tree.depth + 1)
    starts = tree.offsets[:-1]
    ends = np.add.reduceat(tree.symbols < 0, starts, dtype=np.int64)
    nodes = np.diff(tree.offsets)
    weights = _masses.rounded(tree._nodes[2])
    closed, unexpanded = (
        np.cumsum(np.add.reduceat(np.where(tree.symbols == kind, weights, 0), starts)) / weights[0]
        for kind in (EOS, REST)
    )
    known = closed + unexpanded

    edges = np.arange(tree.depth + 2) - 0.5
    shares = [ax.stairs(closed, edges, fill=True, color="0.75", label="closed")]
    if unexpanded.any():
        hatched: dict[str, Any] = {"facecolor": "1.0", "edgecolor": "0.5", "hatch": "////", "linewidth": 0}
        shares.append(ax.stairs(known, edges, baseline=closed, fill=True, label="unexpanded", **hatched))
    ones = np.ones(len(depths))
    shares.append(ax.stairs(ones, edges, baseline=known, fill=True, color="0.95", label="open"))
    ax.set(xlabel=f"depth $d$ ({unit})", xlim=(edges[0], edges[-1]), ylabel="share of the mass", ylim=(0, 1))
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))

    twin = ax.twinx()
    sized = [4.0, 7.0] if tree.depth <= 40 else [0.0, 0.0]
    line: dict[str, Any] = {"color": "0.0", "marker": "o", "markerfacecolor": "1.0"}
    # A leaf further up stays one.
    leaves = nodes + np.cumsum(ends) - ends
    name = "leaves, pruned to $d$"
    counts = twin.plot(depths, leaves, linestyle=DASHES[1], ms=sized[1], label=name, **line)
    line["markerfacecolor"] = "0.0"
    counts += twin.plot(depths, nodes, linewidth=1, ms=sized[0], label="nodes at depth $d$", **line)
    twin.set(yscale="log", ylabel="number of nodes or leaves")
    for each in (ax, twin):
        each.spines["top"].set_visible(False)
    # Legends fill column by column: shares in the first row, counts in the second.
    pairs = zip_longest(shares, counts)
    _legend_above(ax, [handle for pair in pairs for handle in pair if handle], ncols=len(shares))
    return ax


def plot_code_lengths(
    p: TokenTree | Annotated[Numbers, "leaves"],
    ax: Axes | None = None,
    code: HuffmanCode | None = None,
) -> Axes:
    r"""Codeword lengths L of a Huffman code against the ideal lengths -log2 p, weighted by mass.

    On the line L = -log2 p a leaf costs what it should. The cross is the mean of all leaves, by mass: its
    height is the expected length, its place across the entropy, and how far it is above the line the
    redundancy.

    Parameters
    ----------
    p : TokenTree or array_like, shape (M,)
        The leaves' distribution.
    ax : Axes, optional
        Default: a new figure's.
    code : HuffmanCode, optional
        For the same leaves. Default: the optimal code of `p`. With that of a model, the redundancy is what
        coding the data with the wrong code costs.

    Returns
    -------
    Axes
        Circles, their areas the masses, where at most 200 leaves differ in p or L; otherwise a histogram with
        a bar for its greys: a hundred columns, and rows of one bit, or more where there would be over 100.

    Raises
    ------
    ValueError, TypeError
        If `p` is no distribution, or `code` is for another number of leaves.

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
    masses = _checks.distributions("p", p)
    if masses.ndim != 1:
        raise ValueError(f"p has shape {masses.shape}: must be one distribution")
    code = HuffmanCode.from_weights(masses) if code is None else code
    mean, least = float(code.expected_length(masses)), float(entropy(masses))
    massive = masses > 0
    p, lengths = masses[massive], code.lengths[massive]
    ideal = -np.log2(p) + 0.0
    # Leaf by leaf, so that a code without redundancy shows none.
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
    unit: str = "leaf mass",
) -> Axes:
    r"""Survival function of leaf masses, both ways logarithmic: a Pareto law is a straight line.

    Parameters
    ----------
    masses : TokenTree, array_like of shape (M,), or mapping of str to either
        One line each. Of a tree, the probabilities of its leaves; arrays are drawn on the scale they have.
    ax : Axes, optional
        Default: a new figure's.
    unit : str
        What x is, for the axis.

    Returns
    -------
    Axes
        A line falls where a mass lies; of more than 3,000 different ones so many are drawn, evenly along it.

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
    'leaf mass $x$'
    """
    named = masses if isinstance(masses, Mapping) else {"masses": masses}
    if not named:
        raise ValueError("masses is empty: at least one dataset is needed")
    survivals = {name: _survival(f"masses[{name!r}]", data) for name, data in named.items()}
    ax = axes(ax)
    for i, (name, (values, survival)) in enumerate(survivals.items()):
        ax.plot(values, survival, drawstyle="steps-pre", label=listed(name), **line(i))
        # A single mass has no length of its own.
        ax.plot(values[-1:], survival[-1:], ".", color=line(i)["color"], ms=4)
    ax.set(xscale="log", yscale="log", xlabel=f"{unit} $x$", ylabel="share of the leaves at or above $x$")
    if isinstance(masses, Mapping):
        ax.legend(frameon=False)
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def _survival(
    name: str, data: TokenTree | Annotated[Numbers, "_"]
) -> tuple[Float[np.ndarray, "points"], Float[np.ndarray, "points"]]:
    """Distinct masses above zero and the share of all at or above each, thinned evenly along the curve."""
    if isinstance(data, TokenTree):
        share = data.unexpanded_weight / data.total_weight
        _checks.whole(
            name, share, "that is the mass of many leaves; prune it, or give the masses that are known"
        )
        array = data.leaf_probabilities
    else:
        array = _checks.real_array(name, data)
    if array.ndim != 1:
        raise ValueError(f"{name} has shape {array.shape}: must be one row of masses")
    _checks.nonnegative(name, array)
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


def plot_rates(
    mixture: Mixture,
    l: Annotated[Numbers, "points"],
    ax: Axes | None = None,
    normalized: bool = False,
    align: int | str = 1,
    perturb: int | str = 2,
    code: Literal["ideal", "huffman"] = "ideal",
    base: float = 2,
    per: Literal["block", "token"] = "block",
) -> Axes:
    r"""Rates of all datasets of a mixture as one of them grows, or normalised rates.

    Parameters
    ----------
    mixture : Mixture
        The size of D_t is replaced by l |D_a|; the others stay.
    l : array_like, shape (L,)
        Values of |D_t| / |D_a|, finite and > 0.
    ax : Axes, optional
        Default: a new figure's.
    normalized : bool
        Draw the rates less the log of the dataset's own number of leaves (Definition 4.1).
    align, perturb : int or str
        Index or name of D_a and D_t.
    code, base, per
        As in `Mixture.rates`, whose errors this shares. Huffman codes make steps.

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        If `align` and `perturb` are one dataset, or `l` is not a sequence of numbers > 0.

    Notes
    -----
    O(L N M). `response_curve` has these rates for three datasets, with their derivatives and certified signs.

    Examples
    --------
    >>> from tokentree import published_form
    >>> mixture = published_form([[2, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]], k=10, l=1)
    >>> plot_rates(mixture, [0.25, 0.5, 1], normalized=True).get_ylabel()
    'normalised rate $\\gamma_i - \\log\\,M_i$ (bits per block)'
    """
    a, t = mixture.index(align, "align"), mixture.index(perturb, "perturb")
    if a == t:
        raise ValueError(f"align, perturb = {a}, {t}: must be two different datasets")
    points = np.atleast_1d(_checks.positive("l", l))
    if points.ndim > 1 or not len(points):
        raise ValueError(f"l has shape {points.shape}: must be a sequence of numbers")
    rates = np.empty((len(points), mixture.n_datasets))
    sizes = list(mixture.exact_sizes)
    for i, point in enumerate(points.tolist()):
        sizes[t] = Fraction(point) * sizes[a]
        grown = mixture.with_sizes(sizes)
        rates[i] = (grown.normalized_rates if normalized else grown.rates)(base, code, per)
    ax = axes(ax)
    for i, (name, rate) in enumerate(zip(mixture.names, rates.T, strict=True)):
        ax.plot(points, rate, label=listed(plain(name)), **line(i))
    information = {2: "bits", math.e: "nats"}.get(base, f"log {base:g}")
    what = r"normalised rate $\gamma_i - \log\,M_i$" if normalized else r"rate $\gamma_i$"
    ax.set(
        xlabel=r"size of the perturbation, $l = |D_t|\,/\,|D_a|$", ylabel=f"{what} ({information} per {per})"
    )
    ax.set_xlim(0, points.max())
    ax.legend(frameon=False)
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def plot_ratio(
    parts: Annotated[Numbers | Sequence[TokenTree], "parts leaves"],
    k: Annotated[Numbers | Fraction, "k"],
    l: Annotated[Numbers | Fraction, "l"],
    ax: Axes | None = None,
) -> Axes:
    r"""The ratio -gamma_a' / (k gamma_p') of Theorem 4.2 against k, in the published form.

    Filled markers are where the theorem's signs hold, gamma_p' < 0 < gamma_a', and open ones where they fail;
    grey ones where that was not decided. Lines are the closed form for disjoint parts, whatever the parts
    are, and the thin one is the ratio that the theorem names, 1.

    Parameters
    ----------
    parts : array_like, shape (m, M), or sequence of m TokenTrees
        As in `published_form`, whose errors this shares.
    k : number or sequence of numbers
        Sizes |D_p| / |D_a|, ints, floats or Fractions.
    l : number or sequence of numbers
        Sizes |D_t| / |D_a|; a line and a shape of marker each.
    ax : Axes, optional
        Default: a new figure's.

    Returns
    -------
    Axes
        A ratio that is infinite, where gamma_p' = 0, is a triangle on the upper edge, and one that is 0 / 0 a
        cross there.

    Raises
    ------
    ValueError
        If `k` or `l` is empty or holds a number that is not finite and > 0.

    Notes
    -----
    One `elasticity` for each k and l. The ratio is a pure number.

    Examples
    --------
    >>> ax = plot_ratio([[1, 0, 0], [0, 1, 0], [0, 0, 1]], k=[10, 100, 1000], l=[0.01, 0.1])
    >>> ax.get_xscale()
    'log'
    """
    ks, ls = _sizes("k", k), _sizes("l", l)
    given = _checks.plain_array("parts", parts) if _checks.is_array(parts) else _checks.items("parts", parts)
    mixture = published_form(given, 1, 1)
    m = len(given)
    found = [[elasticity(mixture.with_sizes([one, 1, each])) for one in ks] for each in ls]
    ax = axes(ax)
    # Past the ends, so that a single k has a line too.
    grid = np.geomspace(float(min(ks)) / 1.2, float(max(ks)) * 1.2, 200)
    marked: dict[str, Any] = {"markeredgecolor": "0.0", "ms": 5}
    upper: dict[str, Any] = {"transform": ax.get_xaxis_transform(), "clip_on": False, **marked}
    handles: list[Any] = []
    for i, (each, row) in enumerate(zip(ls, found, strict=True)):
        shape = "osDv"[i % 4]
        closed = np.asarray(published_closed_form(m, grid, float(each)).ratio)
        # Where the ratio is infinite its line is nowhere, and still has its name.
        finite = np.where(np.isfinite(closed), closed, np.nan)
        ax.plot(grid, finite, linewidth=1, zorder=1, **line(i))
        for x, one in zip(ks, row, strict=True):
            face = _VERDICTS[one.holds][0]
            if math.isfinite(one.ratio):
                ax.plot(float(x), one.ratio, shape, markerfacecolor=face, **marked)
            else:
                off = "x" if math.isnan(one.ratio) else "^"
                ax.plot(float(x), 1, off, markerfacecolor=face, **upper)
        named: dict[str, Any] = {"label": f"$l = {float(each):g}$", "linewidth": 1, **line(i)}
        handles.append(Line2D([], [], marker=shape, markerfacecolor=face, **named, **marked))
    seen = [one for row in found for one in row]
    for holds, (face, label) in _VERDICTS.items():
        if any(one.holds is holds for one in seen):
            handles.append(Patch(facecolor=face, edgecolor="0.0", label=label))
    for off, name, test in (("^", "infinite", math.isinf), ("x", "0 / 0", math.isnan)):
        if any(test(one.ratio) for one in seen):
            handles.append(Line2D([], [], linestyle="", marker=off, color="1.0", label=name, **marked))
    title = "lines: closed form, disjoint parts"
    ax.legend(handles=handles, title=title, alignment="left", frameon=False)
    ax.axhline(1, color="0.7", linewidth=0.8, zorder=0)
    ax.set(xscale="log", xlim=(grid[0], grid[-1]), xlabel=r"$k = |D_p|\,/\,|D_a|$")
    ax.set_ylabel(r"ratio $-\gamma_a'\,/\,(k\,\gamma_p')$")
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def _sizes(name: str, given: Numbers | Fraction) -> list[Any]:
    """One number, or a sequence of them, as it was given: all finite and > 0."""
    sizes = [given] if isinstance(given, Fraction | float | int | np.number) else _checks.items(name, given)
    if not sizes:
        raise ValueError(f"{name} is empty: at least one size is needed")
    for i, size in enumerate(sizes):
        if exact_number(f"{name}[{i}]", size) <= 0:
            raise ValueError(f"{name}[{i}] = {size}: must be finite and > 0")
    return sizes


def _padded(values: Float[np.ndarray, "n"] | Int[np.ndarray, "n"], top: float = 0.05) -> tuple[float, float]:
    """Limits with room around the values, and more above where text stands."""
    low, high = float(values.min()), float(values.max())
    room = max(high - low, 1.0)
    return low - 0.05 * room - 0.5, high + top * room + 0.5


def _legend_above(ax: Axes, handles: list[Any], ncols: int, title: str | None = None) -> None:
    above: dict[str, Any] = {"loc": "lower center", "bbox_to_anchor": (0.5, 1.0), "frameon": False}
    ax.legend(handles=handles, ncols=ncols, title=title, **above)
