"""Plain HTML for notebooks: tables of bounded size, and small trees as pictures.

Every text is escaped. No colour and no font is set, so those of the page show, be it light or dark.
"""

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from html import escape
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, Int

from . import _masses
from ._bands import REST

if TYPE_CHECKING:
    import tokentree.claims.ledger
    import tokentree.huffman
    import tokentree.mixture
    import tokentree.tree

ROWS = 20
"""Rows of a table, unless it says otherwise; of more, the first ones and the last are shown."""

PICTURE = 64
"""Nodes of the largest tree that is drawn; a larger one is summarised level by level."""

RATED = 2**22
"""Masses of the largest mixture whose rates are computed to show it."""


def table(
    header: Sequence[str],
    n: int,
    row: Callable[[int], Sequence[object]],
    caption: str,
    limit: int = ROWS,
) -> str:
    """Table of the rows 0 to n - 1, of which at most `limit` are ever asked for."""
    shown = list(range(n)) if n <= limit else [*range(limit - 1), n - 1]
    body = ["<tr>" + "".join(_cell(value) for value in row(i)) + "</tr>" for i in shown]
    if n > limit:
        gap = f'<td colspan="{len(header)}" style="text-align:center">… {n - limit:,} more …</td>'
        body.insert(-1, f"<tr>{gap}</tr>")
    names = "".join(f'<th scope="col">{escape(name)}</th>' for name in header)
    return f"{_open(caption)}<thead><tr>{names}</tr></thead><tbody>{''.join(body)}</tbody></table>"


def pairs(values: Mapping[str, object], caption: str) -> str:
    """Table of two columns: what, and its value."""
    rows = (
        f'<tr><th scope="row" style="text-align:left">{escape(name)}</th>{_cell(value, "left", 2000)}</tr>'
        for name, value in values.items()
    )
    return f"{_open(caption)}<tbody>{''.join(rows)}</tbody></table>"


def _open(caption: str) -> str:
    return f'<table><caption style="text-align:left;white-space:nowrap">{escape(caption)}</caption>'


def _cell(value: object, align: str = "", longest: int = 200) -> str:
    """One value; of a text longer than `longest` characters, its beginning."""
    number = isinstance(value, int | float | Fraction) and not isinstance(value, bool)
    if isinstance(value, float):
        text = f"{value:.6g}"
    elif number and isinstance(value, int):
        text = f"{value:,}"
    else:
        text = str(value)
    text = text if len(text) <= longest else text[: longest - 1] + "…"
    align = align or ("right" if number else "left")
    return f'<td style="text-align:{align}">{escape(text)}</td>'


def code_html(code: "tokentree.huffman.HuffmanCode") -> str:
    """A small code with its codewords, any other as how many there are of each length."""
    if code.lengths.size <= ROWS:
        words = code.codewords
        return table(
            ["symbol", "bits", "codeword"],
            len(words),
            lambda i: [i, len(words[i]), words[i]],
            f"HuffmanCode: {len(words)} symbols",
        )
    lengths, counts = (found.tolist() for found in np.unique(code.lengths, return_counts=True))
    caption = f"HuffmanCode: {code.lengths.size:,} symbols"
    return table(["bits", "codewords"], len(lengths), lambda i: [lengths[i], counts[i]], caption)


def mixture_html(mixture: "tokentree.mixture.Mixture") -> str:
    """The datasets with their sizes and weights, and their rates unless that would take long."""
    n, m = mixture.n_datasets, mixture.n_leaves
    columns: list[Sequence[object]] = [mixture.names, list(mixture._shown_sizes(n)), mixture.weights.tolist()]
    header = ["dataset", "size", "weight"]
    caption = f"Mixture: {n:,} datasets, {m:,} leaves"
    if mixture.depth is not None:
        caption += f", depth {mixture.depth}"
    if mixture.unread is not None:
        columns.append(mixture.unexpanded.tolist())
        header.append("unexpanded share")
    if n * m <= RATED:
        columns += [mixture.rates().tolist(), mixture.normalized_rates().tolist()]
        header += ["rate", "normalised rate"]
        caption += "; rates in bits per block"
    return table(header, n, lambda i: [column[i] for column in columns], caption)


def finding_html(finding: "tokentree.claims.ledger.Finding") -> str:
    """Everything that is said of one claim, its witness folded away."""
    names = ("claim", "where", "verdict", "reason", "grounds")
    said = {name: getattr(finding, name) for name in names}
    if finding.theorems:
        said["machine-checked"] = ", ".join(finding.theorems)
    about = pairs(said, f"Finding: {finding.id}")
    figures = pairs(finding.figures, "figures") if finding.figures else ""
    witness = finding.witness
    folded = f"<details><summary>witness</summary><pre>{escape(witness)}</pre></details>" if witness else ""
    return f"<div>{about}{figures}{folded}</div>"


def ledger_html(ledger: "tokentree.claims.ledger.Ledger") -> str:
    """One row a finding."""
    header = ["id", "claim", "where", "verdict", "short"]

    def row(i: int) -> list[object]:
        return [getattr(ledger.findings[i], name) for name in header]

    return table(header, len(ledger), row, repr(ledger), limit=100)


def tree_html(tree: "tokentree.tree.TokenTree") -> str:
    """A small tree as a picture, any other as a table of its levels."""
    return tree_svg(tree) if tree.n_nodes <= PICTURE and tree._first_faint is None else _levels(tree)


def _levels(tree: "tokentree.tree.TokenTree") -> str:
    def row(depth: int) -> list[object]:
        here = tree.level(depth)
        weights = _masses.rounded(tree._nodes[2][here])
        leaf = (tree.symbols[here] < 0) | (depth == tree.depth)
        return [depth, leaf.size, int(leaf.sum()), float(weights[leaf].sum()) / tree.total_weight]

    return table(["depth", "nodes", "leaves", "their probability"], tree.depth + 1, row, repr(tree))


def tree_svg(tree: "tokentree.tree.TokenTree") -> str:
    """Picture of a tree: root at the left, leaves from the top in lexicographic order."""
    leaves = tree.leaves()
    depths, parents = tree._depths_and_parents()
    step = max(24, min(70, 640 // tree.depth))
    x, y = (8 + step * depths).tolist(), (12 + 20 * node_rows(tree, leaves.node)).tolist()
    width, height = 78 + step * tree.depth, 4 + 20 * len(leaves)
    line, words = 'fill="none" stroke="currentColor"', 'fill="currentColor"'
    parts = []
    symbols, weights = tree.symbols.tolist(), tree.weights.tolist()
    for node in range(1, tree.n_nodes):
        up, symbol = parents[node], symbols[node]
        bend = x[up] + 0.4 * step
        dashes = ' stroke-dasharray="2 3"' if symbol == REST else ""
        look = f'stroke-opacity="0.6" stroke-width="{0.5 + 3 * weights[node] / weights[0]:.2f}"{dashes}'
        parts.append(f'<path d="M{x[up]} {y[up]:g}L{bend:g} {y[node]:g}H{x[node]}" {line} {look}/>')
        if symbol >= 0:
            place = f'x="{bend + 0.3 * step:g}" y="{y[node] - 4:g}" text-anchor="middle"'
            parts.append(f"<text {place} {words}>{symbol}</text>")
    for leaf, node in zip(leaves, leaves.node.tolist(), strict=True):
        left, top = x[node], y[node]
        mark = {
            "EOS": f'<circle cx="{left + 4}" cy="{top:g}" r="4" {words}/>',
            "CUT": f'<path d="M{left} {top - 4:g}h8v8h-8z" {line}/>',
            "UNEXPANDED": f'<path d="M{left} {top - 4:g}v8l8 -4z" {line}/>',
        }[leaf.kind.name]
        label = f'<text x="{left + 12}" y="{top + 4:g}" {words}>{leaf.probability:.3g}</text>'
        title = f"{leaf.kind.name} {leaf.prefix}: weight {leaf.weight:g}"
        parts.append(f"<g><title>{escape(title)}</title>{mark}{label}</g>")
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{escape(repr(tree))}" '
        f'width="{width}" height="{height}" viewBox="0 0 {width} {height}" font-size="11" '
        f'style="max-width:100%;height:auto">{"".join(parts)}</svg>'
    )
    key = "● end of sequence, □ cut, ▷ unexpanded; beside each leaf its probability"
    return f"<div><div>{escape(repr(tree))}</div>{svg}<div>{key}</div></div>"


def node_rows(
    tree: "tokentree.tree.TokenTree", leaves: Int[np.ndarray, "leaves"]
) -> Float[np.ndarray, "nodes"]:
    """Row of each node: leaf i has row i, and a parent is midway between its first and last child."""
    rows = np.empty(tree.n_nodes)
    rows[leaves] = np.arange(len(leaves))
    for depth in range(tree.depth, 0, -1):
        parents, below = tree.parents[tree.level(depth)], rows[tree.level(depth)]
        first = np.flatnonzero(np.diff(parents, prepend=-1))
        last = np.append(first[1:], len(parents)) - 1
        rows[tree.offsets[depth - 1] + parents[first]] = (below[first] + below[last]) / 2
    return rows
