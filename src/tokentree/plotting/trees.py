"""Plots of trees: small trees node by node, trees of any size level by level."""

from collections.abc import Callable
from functools import cache
from itertools import zip_longest
from typing import Any, Literal, NamedTuple

import numpy as np
from jaxtyping import Float, Int
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from .._lib import log_masses
from .._lib.display import percent
from ..trees import EOS, REST, TokenTree, checked_tree
from ._style import DASHES, _legend_above, axes

_OTHERS = min(EOS, REST) - 1
"""Takes the place of a symbol for children that are drawn as one."""

_LEAVES = {
    EOS: ("o", "0.0", "end of sequence"),
    0: ("s", "1.0", "cut here"),
    REST: (">", "0.75", "unexpanded"),
    _OTHERS: ("D", "0.75", "others"),
}
"""Marker, face colour and name of each kind of leaf, by its code, 0 for all symbols."""


def plot_tree(
    tree: TokenTree,
    ax: Axes | None = None,
    *,
    token: Callable[[int], str] = str,
    order: Literal["symbols", "mass"] = "symbols",
    fold: float = 0.0,
    unit: str = "symbols",
    max_nodes: int = 150,
) -> Axes:
    r"""A small token tree, or the heavy part of a large one, with the root at the left.

    Every leaf has its own row, and subtrees never overlap. A leaf's marker shows why it is a leaf, with its
    probability next to it; the width of a line increases with the mass below it. The line to an unexpanded
    leaf, or to folded children, is dotted.

    Parameters
    ----------
    tree : TokenTree
    ax : Axes, optional
        Default: a new figure's, as tall as the leaves need. Deep trees and long names of symbols need a wider
        one.
    token : callable
        Text for a symbol, such as a model's ``text``, a vocabulary's ``__getitem__``, ``chr``, or
        ``"ab".__getitem__``. Spaces are drawn as ``␣``; characters that are invisible or missing from the
        font as escapes, such as ``\n``.
    order : "symbols" or "mass"
        "symbols": leaves in lexicographic order from the top, and an internal node midway between its first
        and last child. "mass": the heaviest child first and level with its parent, so that the top row is the
        path of the most probable symbol at each step; folded and unexpanded children come last.
    fold : float
        Share of the tree's mass. The children of a node with less than this are drawn as one mark, "others",
        with their total mass.
    unit : str
        Unit of depth, for the axis label.
    max_nodes : int
        Largest number of nodes drawn.

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        If there are more than `max_nodes` nodes to draw. `plot_tree_levels` draws trees of any size;
        ``tree.prune(depth)`` and `fold` make one smaller. Also if `order` or `fold` is invalid.

    Notes
    -----
    Definitions 3.1 and 3.3 of the paper. End-of-sequence is not a symbol; its line is labelled "end".

    Examples
    --------
    >>> ax = plot_tree(TokenTree.from_sequences(["0", "01", "01", "11"]).prune(2), token="ab".__getitem__)
    >>> [text.get_text() for text in ax.texts]
    ['a', 'b', 'end', 'b', 'b', '0.25', '0.5', '0.25']

    A model's tree, with branches of less than a hundredth of the mass combined:

    >>> from tokentree.adapters import read_model
    >>> from tokentree.models import NGramModel
    >>> model = NGramModel.fit([b"ab", b"abc", b"ca"], order=2, alphabet_size=256)
    >>> ax = plot_tree(read_model(model, depth=3), token=chr, order="mass", fold=0.01)
    """
    checked_tree("tree", tree)
    if order not in ("symbols", "mass"):
        raise ValueError(f"order = {order!r}: must be 'symbols' or 'mass'")
    if not (isinstance(fold, int | float | np.number) and 0 <= fold <= 1):
        raise ValueError(f"fold = {fold!r}: must lie in [0, 1]")
    nodes = _drawn(tree, float(fold), max_nodes)
    leaves, rows = _layout(nodes, by_mass=order == "mass")
    if ax is None:
        ax = plt.subplots(figsize=(6.4, max(3.2, 1.2 + 0.19 * len(leaves))), layout="constrained")[1]
    box = ax.get_window_extent()
    # In points. Within bounds, the text size follows the height of a row and the length of a line.
    row, line = np.array([box.height / len(leaves), box.width / tree.depth]) * 72 / ax.figure.dpi
    size, short = (float(np.clip(0.75 * room, 4, 9)) for room in (row, min(row, line)))

    _draw_lines(ax, nodes, rows)
    for depth, y, symbol in zip(nodes.depths[1:], rows[1:], nodes.symbols[1:].tolist(), strict=True):
        if symbol >= 0 or symbol == EOS:
            ax.text(
                depth - 0.35,
                y,
                _readable(token(symbol)) if symbol >= 0 else "end",
                size=short,
                style="normal" if symbol >= 0 else "italic",
                ha="center",
                va="center",
                parse_math=False,
                bbox={"facecolor": "1.0", "edgecolor": "none", "pad": 0.8},
            )
    inner = np.setdiff1d(np.arange(len(rows)), leaves)
    ax.plot(nodes.depths[inner], rows[inner], "o", color="0.0", ms=2.5)
    kinds = _draw_leaves(ax, nodes, leaves, rows, size, min(5.5, 0.7 * float(row)))
    ax.set(xlabel=f"depth $d$ ({unit})", xlim=(-0.03 * tree.depth, 1.12 * tree.depth))
    ax.set(ylim=(len(leaves) - 0.4, -0.6), yticks=[])
    ax.set_xticks(range(0, tree.depth + 1, 1 + tree.depth // 20))
    ax.spines[["left", "top", "right"]].set_visible(False)
    _legend_above(ax, kinds, ncols=4 if fold else 3, title="leaves, with their probabilities")
    return ax


class _Nodes(NamedTuple):
    """The drawn nodes of a tree, parents first, siblings in lexicographic order."""

    depths: Int[np.ndarray, "nodes"]
    above: Int[np.ndarray, "nodes"]
    """Indices of the parents."""
    symbols: Int[np.ndarray, "nodes"]
    """Symbols of the tree, or `_OTHERS`."""
    shares: Float[np.ndarray, "nodes"]


def _drawn(tree: TokenTree, fold: float, max_nodes: int) -> _Nodes:
    """The nodes with at least a given share of the mass, and one more per node for its other children."""
    depths, above = (each.astype(np.int64) for each in tree._depths_and_parents())
    shares = np.asarray(tree.weights / tree.weights[0], np.float64)
    # No child is heavier than its parent, so the kept nodes form a tree.
    kept = shares >= fold
    kept[0] = True
    folded = ~kept & kept[above]
    parents, which = np.unique(above[folded], return_inverse=True)
    if (count := int(np.count_nonzero(kept)) + len(parents)) > max_nodes:
        raise ValueError(
            f"tree has {count:,} nodes{f' of at least fold = {fold:g}' if fold else ''}: at most max_nodes = "
            f"{max_nodes} are drawn; prune it, fold more, or use plot_tree_levels"
        )
    place = np.cumsum(kept) - 1
    nodes = np.flatnonzero(kept)
    return _Nodes(
        np.append(depths[nodes], depths[parents] + 1),
        np.append(place[above[nodes]], place[parents]),
        np.append(tree.symbols[nodes].astype(np.int64), np.full(len(parents), _OTHERS)),
        np.append(shares[nodes], np.bincount(which, shares[folded], minlength=len(parents))),
    )


def _layout(nodes: _Nodes, by_mass: bool) -> tuple[Int[np.ndarray, "leaves"], Float[np.ndarray, "nodes"]]:
    """The leaves from the top, one per row, and the row of each node."""
    children: list[list[int]] = [[] for _ in nodes.depths]
    for node, up in enumerate(nodes.above[1:].tolist(), start=1):
        children[up].append(node)
    if by_mass:
        last = (nodes.symbols == REST) + 2 * (nodes.symbols == _OTHERS)
        for below in children:
            below.sort(key=lambda node: (last[node], -nodes.shares[node]))
    todo, order = [0], list[int]()
    while todo:
        order.append(todo.pop())
        todo += reversed(children[order[-1]])
    leaves = [node for node in order if not children[node]]
    rows = np.zeros(len(children))
    rows[leaves] = np.arange(len(leaves))
    for node in reversed(order):
        if below := children[node]:
            rows[node] = rows[below[0]] if by_mass else (rows[below[0]] + rows[below[-1]]) / 2
    return np.array(leaves), rows


def _readable(text: str) -> str:
    """A token's text in readable form: spaces visible, and characters without a glyph escaped."""
    faces = _faces(tuple(FontProperties().get_family()), tuple(plt.rcParams["font.sans-serif"]))
    return "".join(
        "␣"
        if char == " "
        else char
        if char.isprintable() and any(face.get_char_index(ord(char)) for face in faces)
        else char.encode("unicode_escape").decode()
        for char in text
    )


@cache
def _faces(families: tuple[str, ...], sans_serif: tuple[str, ...]) -> list[Any]:
    """Fonts for texts; each character uses the first that has it."""
    del sans_serif
    return [get_font(findfont(FontProperties(family=[family]))) for family in families]


def _draw_lines(ax: Axes, nodes: _Nodes, rows: Float[np.ndarray, "nodes"]) -> None:
    """Lines from every node except the root up to its parent, wider for more mass."""
    places = zip(nodes.depths, nodes.above, rows, strict=True)
    lines = [[(d - 1, rows[up]), (d - 0.65, y), (d, y)] for d, up, y in places]
    dashes = [DASHES[2] if symbol in (REST, _OTHERS) else DASHES[0] for symbol in nodes.symbols]
    widths = 0.5 + 4 * nodes.shares
    ax.add_collection(
        LineCollection(lines[1:], colors="0.55", linewidths=widths[1:], linestyles=dashes[1:], zorder=1)
    )


def _draw_leaves(
    ax: Axes,
    nodes: _Nodes,
    leaves: Int[np.ndarray, "leaves"],
    rows: Float[np.ndarray, "nodes"],
    size: float,
    marker_size: float,
) -> list[Line2D]:
    """Draw markers by kind, which are returned, and the leaves' probabilities in text of `size` points."""
    kinds: list[Line2D] = []
    symbols = np.minimum(nodes.symbols[leaves], 0)
    for kind, (marker, face, name) in _LEAVES.items():
        which = leaves[symbols == kind]
        if len(which):
            style: dict[str, Any] = {"color": "0.0", "markerfacecolor": face, "ms": marker_size}
            kinds += ax.plot(nodes.depths[which], rows[which], marker, label=name, **style)
    for node in leaves:
        ax.annotate(
            f"{nodes.shares[node]:.3g}",
            (nodes.depths[node], rows[node]),
            xytext=(6, 0),
            textcoords="offset points",
            size=size,
            va="center",
        )
    return kinds


def plot_tree_levels(tree: TokenTree, ax: Axes | None = None, *, unit: str = "symbols") -> Axes:
    r"""A token tree of any size, level by level: nodes, leaves, and mass.

    For every depth d, the share of the mass that is closed (the response has ended at depth d or above),
    unexpanded (its continuation was not read), and open, on the left axis; the three add up to 1. On the
    right axis, logarithmic, the number of nodes at depth d, and of leaves of the tree pruned to d.

    Parameters
    ----------
    tree : TokenTree
    ax : Axes, optional
        Default: a new figure's.
    unit : str
        Unit of depth, for the axis label.

    Returns
    -------
    Axes
        The axes of the mass; those of the counts are its twin, the last of ``ax.figure.axes``.

    Notes
    -----
    O(nodes). Open mass at the last depth is the mass of the leaves cut there.

    Examples
    --------
    >>> ax = plot_tree_levels(TokenTree.from_sequences(["0", "01", "01", "11"]))
    >>> ax.get_ylabel()
    'share of the mass'
    """
    checked_tree("tree", tree)
    ax = axes(ax)
    depths = np.arange(tree.depth + 1)
    starts = tree.offsets[:-1]
    ends = np.add.reduceat(tree.symbols < 0, starts, dtype=np.int64)
    nodes = np.diff(tree.offsets)
    weights = log_masses.rounded(tree._nodes[2])
    closed, unexpanded = (
        np.cumsum(np.add.reduceat(np.where(tree.symbols == kind, weights, 0), starts)) / weights[0]
        for kind in (EOS, REST)
    )
    known = closed + unexpanded

    edges = np.arange(tree.depth + 2) - 0.5
    shares = []
    if closed.any():
        # With its amount, which may be too small to be seen.
        ended = f"closed: {percent(closed[-1])} have ended"
        shares.append(ax.stairs(closed, edges, fill=True, color="0.75", label=ended))
    if unexpanded.any():
        hatched: dict[str, Any] = {"facecolor": "1.0", "edgecolor": "0.5", "hatch": "////", "linewidth": 0}
        shares.append(ax.stairs(known, edges, baseline=closed, fill=True, label="unexpanded", **hatched))
    ones = np.ones(len(depths))
    shares.append(
        ax.stairs(ones, edges, baseline=known, fill=True, color="0.95", label="open: goes on or is cut")
    )
    ax.set(xlabel=f"depth $d$ ({unit})", xlim=(edges[0], edges[-1]), ylabel="share of the mass", ylim=(0, 1))
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))

    twin = ax.twinx()
    sized = [4.0, 7.0] if tree.depth <= 40 else [0.0, 0.0]
    line: dict[str, Any] = {"color": "0.0", "marker": "o", "markerfacecolor": "1.0"}
    # A leaf further up remains a leaf.
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
