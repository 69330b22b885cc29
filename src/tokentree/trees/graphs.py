"""Trees as graphs of networkx and graphviz."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Int, Num

from .._lib.frames import optional
from .tokens import EOS, REST

if TYPE_CHECKING:
    import graphviz
    import networkx

_KINDS = {EOS: "eos", REST: "unexpanded"}


def networkx_graph(
    depths: Int[np.ndarray, "nodes"],
    parents: Int[np.ndarray, "nodes"],
    symbols: Int[np.ndarray, "nodes"],
    weights: Num[np.ndarray, "nodes"],
) -> "networkx.DiGraph":
    """The graph of `TokenTree.to_networkx`."""
    graph: "networkx.DiGraph" = optional("networkx", "graph", "to_networkx").DiGraph()
    nodes = zip(depths.tolist(), parents.tolist(), symbols.tolist(), weights.tolist(), strict=True)
    for node, (depth, parent, symbol, weight) in enumerate(nodes):
        if not node:
            # No token leads to the root.
            graph.add_node(0, weight=weight, depth=0, kind="inner")
            continue
        kind = _KINDS.get(symbol, "cut" if depth == depths[-1] else "inner")
        graph.add_node(node, symbol=symbol, weight=weight, depth=depth, kind=kind)
        graph.add_edge(parent, node)
    return graph


def graphviz_graph(
    parents: Int[np.ndarray, "nodes"],
    symbols: Int[np.ndarray, "nodes"],
    weights: Num[np.ndarray, "nodes"],
    leaves: Int[np.ndarray, "leaves"],
    token: Callable[[int], str],
) -> "graphviz.Digraph":
    """The graph of `TokenTree.to_graphviz`."""
    gv = optional("graphviz", "graph", "to_graphviz")
    graph: "graphviz.Digraph" = gv.Digraph(
        graph_attr={"rankdir": "LR"}, node_attr={"shape": "point"}, edge_attr={"arrowhead": "none"}
    )
    ends, shares = set(leaves.tolist()), weights / weights[0]
    nodes = zip(parents.tolist(), symbols.tolist(), shares.tolist(), strict=True)
    for node, (parent, symbol, share) in enumerate(nodes):
        if node in ends:
            graph.node(str(node), f"{share:.3g}", shape="ellipse" if symbol == EOS else "box")
        else:
            graph.node(str(node))
        if node:
            text = gv.escape(token(symbol)) if symbol >= 0 else ""
            graph.edge(str(parent), str(node), text, style="dotted" if symbol == REST else "solid")
    return graph
