"""Trees in notebooks: small trees as pictures, others as tables of their levels."""

from collections.abc import Iterator
from html import escape

import numpy as np
from jaxtyping import Float, Int, Num

from .._lib import display, log_masses
from .leaves import Leaves
from .runs import run_starts
from .tokens import REST, Nodes

PICTURE = 64
"""Nodes of the largest tree that is drawn; a larger one is summarised level by level."""


def tree_levels(title: str, offsets: Int[np.ndarray, "edges"], nodes: Nodes) -> str:
    """Table of a tree's levels; masses may be stored as logarithms."""
    symbols, _, weights = nodes
    last = len(offsets) - 2

    def row(depth: int) -> list[object]:
        here = slice(*offsets[[depth, depth + 1]].tolist())
        leaf = (symbols[here] < 0) | (depth == last)
        share = float(log_masses.rounded(weights[here])[leaf].sum()) / weights[0].item()
        return [depth, leaf.size, int(leaf.sum()), share]

    return display.table(["depth", "nodes", "leaves", "their probability"], last + 1, row, title)


def tree_svg(
    title: str,
    places: tuple[Int[np.ndarray, "nodes"], Float[np.ndarray, "nodes"]],
    parents: Int[np.ndarray, "nodes"],
    symbols: Int[np.ndarray, "nodes"],
    weights: Num[np.ndarray, "nodes"],
    leaves: Leaves,
) -> str:
    """Picture of a tree: root at the left, leaves from the top. `places` holds depths and rows of nodes."""
    depths, rows = places
    depth = int(depths[-1])
    step = max(24, min(70, 640 // depth))
    x, y = (8 + step * depths).tolist(), (12 + 20 * rows).tolist()
    width, height = 78 + step * depth, 4 + 20 * len(leaves)
    marks = [*_lines(x, y, step, parents.tolist(), symbols.tolist(), (weights / weights[0]).tolist())]
    marks += _leaves(x, y, leaves)
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{escape(title)}" '
        f'width="{width}" height="{height}" viewBox="0 0 {width} {height}" font-size="11" '
        f'style="max-width:100%;height:auto">{"".join(marks)}</svg>'
    )
    key = "● end of sequence, □ cut, ▷ unexpanded; each leaf with its probability"
    return f"<div><div>{escape(title)}</div>{svg}<div>{key}</div></div>"


_LINE, _WORDS = 'fill="none" stroke="currentColor"', 'fill="currentColor"'


def _lines(
    x: list[int], y: list[float], step: int, parents: list[int], symbols: list[int], shares: list[float]
) -> Iterator[str]:
    for node in range(1, len(x)):
        up, symbol = parents[node], symbols[node]
        bend = x[up] + 0.4 * step
        dashes = ' stroke-dasharray="2 3"' if symbol == REST else ""
        look = f'stroke-opacity="0.6" stroke-width="{0.5 + 3 * shares[node]:.2f}"{dashes}'
        yield f'<path d="M{x[up]} {y[up]:g}L{bend:g} {y[node]:g}H{x[node]}" {_LINE} {look}/>'
        if symbol >= 0:
            place = f'x="{bend + 0.3 * step:g}" y="{y[node] - 4:g}" text-anchor="middle"'
            yield f"<text {place} {_WORDS}>{symbol}</text>"


def _leaves(x: list[int], y: list[float], leaves: Leaves) -> Iterator[str]:
    for leaf, node in zip(leaves, leaves.node.tolist(), strict=True):
        left, top = x[node], y[node]
        mark = {
            "EOS": f'<circle cx="{left + 4}" cy="{top:g}" r="4" {_WORDS}/>',
            "CUT": f'<path d="M{left} {top - 4:g}h8v8h-8z" {_LINE}/>',
            "UNEXPANDED": f'<path d="M{left} {top - 4:g}v8l8 -4z" {_LINE}/>',
        }[leaf.kind.name]
        label = f'<text x="{left + 12}" y="{top + 4:g}" {_WORDS}>{leaf.probability:.3g}</text>'
        title = f"{leaf.kind.name} {leaf.prefix}: weight {leaf.weight:g}"
        yield f"<g><title>{escape(title)}</title>{mark}{label}</g>"


def node_rows(
    offsets: Int[np.ndarray, "edges"], parents: Int[np.ndarray, "nodes"], leaves: Int[np.ndarray, "leaves"]
) -> Float[np.ndarray, "nodes"]:
    """Row of each node: leaf i has row i, and a parent is midway between its first and last child."""
    rows = np.empty(len(parents))
    rows[leaves] = np.arange(len(leaves))
    for depth in range(len(offsets) - 2, 0, -1):
        here = slice(*offsets[[depth, depth + 1]].tolist())
        up, below = parents[here], rows[here]
        first = np.flatnonzero(run_starts(up))
        last = np.append(first[1:], len(up)) - 1
        rows[offsets[depth - 1] + up[first]] = (below[first] + below[last]) / 2
    return rows
