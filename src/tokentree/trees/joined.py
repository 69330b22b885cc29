"""Two trees as one, level by level: the masses of one at the nodes of the other."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from .._lib import log_masses
from ..information import divergence_terms
from .merging import checked_tree, joint_tree
from .tokens import REST
from .tree import TokenTree


def refuse_open(data_tree: TokenTree) -> None:
    """Refuse data that are partly unexpanded."""
    if checked_tree("data_tree", data_tree)._is_open:
        raise ValueError(
            f"data_tree has the unexpanded weight {data_tree.unexpanded_weight}: the data must be fully "
            "known; the model's tree comes first"
        )


class Joined(NamedTuple):
    """A model's tree and a data tree, node by node; masses over the totals, stored as in `log_masses`."""

    union: TokenTree
    """The joint tree of both, for its shape."""
    model: Float[np.ndarray, "nodes"]
    data: Float[np.ndarray, "nodes"]
    known: Bool[np.ndarray, "nodes"]
    """Whether the model lists the node."""
    data_at: Int[np.ndarray, "data"]
    """Positions of the data's own nodes."""

    @classmethod
    def of(cls, model_tree: TokenTree, data_tree: TokenTree, depth: int) -> "Joined":
        """Both pruned to `depth`."""
        trees = {"model_tree": model_tree.prune(depth), "data_tree": data_tree.prune(depth)}
        union, places = joint_tree(trees, mixed=True)
        model, data = np.zeros((2, union.n_nodes))
        model[places[0]], data[places[1]] = (tree._shares for tree in trees.values())
        known = np.zeros(union.n_nodes, dtype=bool)
        known[places[0]] = True
        return cls(union, model, data, known, places[1])

    def strays(self) -> tuple[Int[np.ndarray, "strays"], Int[np.ndarray, "strays"]]:
        """Topmost nodes of the data that the model does not list; its unexpanded leaf beside each, or -1."""
        _, parents = self.union._depths_and_parents()
        rest = np.full(self.union.n_nodes, -1)
        rests = np.flatnonzero(self.union.symbols == REST)
        rest[parents[rests]] = rests
        strays = np.flatnonzero(~self.known & self.known[parents] & (self.data != 0))
        return strays, rest[parents[strays]]

    def divergences(self) -> tuple[Float[np.ndarray, "depths"], Float[np.ndarray, "depths"]]:
        """Bounds of KL(data || model) in nats, pruned to each depth from 1 on."""
        union, known, occurs = self.union, self.known, self.data != 0
        levels, _ = union._depths_and_parents()
        q, p = log_masses.rounded(self.model), log_masses.rounded(self.data).copy()

        strays, rests = self.strays()
        inside = rests >= 0
        np.add.at(p, rests[inside], p[strays[inside]])
        occurs[rests[inside]] = True
        lost = strays[~inside]

        terms = np.where(known, divergence_terms(p, q, p - q), 0.0)
        faint = np.flatnonzero(log_masses.faint(self.model) & (p > 0))
        terms[faint] = p[faint] * (np.log(p[faint]) - self.model[faint] - 1)
        terms[lost] = np.inf
        # It never decreases; sums of other terms might decrease in the last digit.
        lower = np.maximum.accumulate(by_depth(union, terms, (union.symbols < 0) | ~known))
        hidden = np.cumsum(np.bincount(levels, (union.symbols == REST) & occurs)) > 0
        return lower, np.where(hidden[1:], np.inf, lower)


def by_depth(
    tree: TokenTree, terms: Float[np.ndarray, "nodes"], closed: Bool[np.ndarray, "nodes"]
) -> Float[np.ndarray, "depths"]:
    """Sum of the terms of the leaves of the tree pruned to each depth from 1 on; closed nodes stay leaves."""
    starts = tree.offsets[:-1]
    here = np.add.reduceat(np.where(closed, 0.0, terms), starts)
    above = np.cumsum(np.add.reduceat(np.where(closed, terms, 0.0), starts))
    sums: Float[np.ndarray, "depths"] = (here + above)[1:]
    return sums
