"""Pictures of trees: node by node where they are small, level by level at any size."""

from collections.abc import Callable
from itertools import zip_longest
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from .._lib import log_masses
from ..trees import EOS, REST, LeafKind, Leaves, TokenTree, node_rows
from ._style import DASHES, _legend_above, axes

_LEAVES = {
    LeafKind.EOS: ("o", "0.0", "end of sequence"),
    LeafKind.CUT: ("s", "1.0", "cut here"),
    LeafKind.UNEXPANDED: (">", "0.75", "unexpanded"),
}
"""Marker, face and name of each kind of leaf."""


def plot_tree(
    tree: TokenTree,
    ax: Axes | None = None,
    *,
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
    _a_tree(tree)
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

    rows = node_rows(tree.offsets, tree.parents, leaves.node)
    depths = np.searchsorted(tree.offsets, np.arange(tree.n_nodes), side="right") - 1
    _draw_lines(ax, tree, depths, rows)
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
    kinds = _draw_leaves(ax, leaves, depths, rows, size, min(5.5, 0.7 * float(row)))
    ax.set(xlabel=f"depth $d$ ({unit})", xlim=(-0.03 * tree.depth, 1.12 * tree.depth))
    ax.set(ylim=(len(leaves) - 0.4, -0.6), yticks=[])
    ax.set_xticks(range(0, tree.depth + 1, 1 + tree.depth // 20))
    ax.spines[["left", "top", "right"]].set_visible(False)
    _legend_above(ax, kinds, ncols=3, title="leaves, with their probabilities")
    return ax


def _draw_lines(
    ax: Axes, tree: TokenTree, depths: Int[np.ndarray, "nodes"], rows: Float[np.ndarray, "nodes"]
) -> None:
    """From every node but the root up to its parent, the wider the more mass passes."""
    _, above = tree._depths_and_parents()
    lines = [[(d - 1, rows[up]), (d - 0.65, y), (d, y)] for d, up, y in zip(depths, above, rows, strict=True)]
    dashes = [DASHES[2] if symbol == REST else DASHES[0] for symbol in tree.symbols]
    widths = 0.5 + 4 * (tree.weights / tree.weights[0])
    ax.add_collection(
        LineCollection(lines[1:], colors="0.55", linewidths=widths[1:], linestyles=dashes[1:], zorder=1)
    )


def _draw_leaves(
    ax: Axes,
    leaves: Leaves,
    depths: Int[np.ndarray, "nodes"],
    rows: Float[np.ndarray, "nodes"],
    size: float,
    marker_size: float,
) -> list[Line2D]:
    """Markers by kind, which are returned, and the leaves' probabilities in text of `size` points."""
    kinds: list[Line2D] = []
    for kind, (marker, face, name) in _LEAVES.items():
        which = leaves.node[leaves.kind == kind]
        if len(which):
            style: dict[str, Any] = {"color": "0.0", "markerfacecolor": face, "ms": marker_size}
            kinds += ax.plot(depths[which], rows[which], marker, label=name, **style)
    for node, probability in zip(leaves.node, leaves.probability, strict=True):
        ax.annotate(
            f"{probability:.3g}",
            (depths[node], rows[node]),
            xytext=(6, 0),
            textcoords="offset points",
            size=size,
            va="center",
        )
    return kinds


def plot_tree_levels(tree: TokenTree, ax: Axes | None = None, *, unit: str = "symbols") -> Axes:
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
    _a_tree(tree)
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


def _a_tree(tree: TokenTree) -> None:
    if not isinstance(tree, TokenTree):
        raise TypeError(f"tree is a {type(tree).__name__}: must be a TokenTree")
