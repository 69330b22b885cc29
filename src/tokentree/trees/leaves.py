"""The leaves of a tree."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int, Num

from .._lib.results import Result, span
from .tokens import EOS, LeafKind


class Leaf(NamedTuple):
    """One leaf of a pruned tree."""

    prefix: tuple[int, ...]
    depth: int
    kind: LeafKind
    weight: int | float
    probability: float


@dataclass(frozen=True, eq=False, repr=False)
class Leaves(Result, Sequence[Leaf]):
    """The leaves of a tree in lexicographic order, as parallel arrays and as a sequence of `Leaf`.

    Notes
    -----
    A table has one row per leaf: prefix (a tuple of symbols), depth, kind (its name), weight and probability.
    It takes O(M depth).

    Examples
    --------
    >>> from tokentree import TokenTree
    >>> frame = TokenTree.from_sequences(["0", "01", "01", "11"]).prune(1).leaves().to_frame()
    >>> dict(zip(frame["prefix"], frame["weight"].tolist(), strict=True))
    {(0,): 3, (1,): 1}
    """

    node: Int[np.ndarray, "leaves"]
    """Index of the leaf among all nodes of the tree."""
    depth: Int[np.ndarray, "leaves"]
    kind: Int[np.ndarray, "leaves"]
    weight: Num[np.ndarray, "leaves"]
    probability: Float[np.ndarray, "leaves"]
    symbols: Int[np.ndarray, "leaves depth"]
    """The path to each leaf, closed by `EOS` or, if unexpanded, `REST`; padded with `EOS`."""

    def __len__(self) -> int:
        return len(self.node)

    def __getitem__(self, i: Any) -> Any:
        if isinstance(i, slice):
            return [self[j] for j in range(*i.indices(len(self)))]
        kind = LeafKind(int(self.kind[i]))
        depth = int(self.depth[i])
        prefix = tuple(self.symbols[i, : depth - (kind is not LeafKind.CUT)].tolist())
        return Leaf(prefix, depth, kind, self.weight[i].item(), float(self.probability[i]))

    def __repr__(self) -> str:
        kinds = [f"{np.count_nonzero(self.kind == kind)} {kind.name}" for kind in LeafKind]
        present = ", ".join(kind for kind in kinds if not kind.startswith("0 "))
        return f"Leaves({present}, depth {span(self.depth)})"

    def _columns(self) -> tuple[Mapping[str, Any]]:
        lengths = self.depth - (self.kind != LeafKind.CUT)
        prefixes = zip(self.symbols.tolist(), lengths.tolist(), strict=True)
        return (
            {
                "prefix": [tuple(path[:length]) for path, length in prefixes],
                "depth": self.depth,
                "kind": np.array([kind.name for kind in LeafKind], dtype=object)[self.kind],
                "weight": self.weight,
                "probability": self.probability,
            },
        )


def leaf_nodes(
    offsets: Int[np.ndarray, "edges"], symbols: Int[np.ndarray, "nodes"], parents: Int[np.ndarray, "nodes"]
) -> Int[np.ndarray, "leaves"]:
    """Index of each leaf among all nodes, in lexicographic order."""
    where = np.flatnonzero(_is_leaf(offsets, symbols))
    nodes = np.empty(len(where), dtype=np.int64)
    nodes[leaves_before(offsets, symbols, parents)[where]] = where
    return nodes


def leaves_before(
    offsets: Int[np.ndarray, "edges"], symbols: Int[np.ndarray, "nodes"], parents: Int[np.ndarray, "nodes"]
) -> Int[np.ndarray, "nodes"]:
    """Number of leaves that precede each node and its descendants, in lexicographic order."""
    levels = [slice(first, end) for first, end in pairwise(offsets.tolist())]
    # Count the leaves below each node upwards, then assign positions downwards.
    below = _is_leaf(offsets, symbols).astype(np.int64)
    before: list[Int[np.ndarray, "..."]] = []
    for above, here in reversed(list(pairwise(levels))):
        cumulative = np.concatenate([[0], np.cumsum(below[here])])
        first = np.searchsorted(parents[here], np.arange(above.stop - above.start + 1))
        below[above] += np.diff(cumulative[first])
        before.append(cumulative[:-1] - cumulative[first][parents[here]])
    place = np.zeros(len(symbols), dtype=np.int64)
    for above, here in pairwise(levels):
        place[here] = place[above][parents[here]] + before.pop()
    return place


def _is_leaf(
    offsets: Int[np.ndarray, "edges"], symbols: Int[np.ndarray, "nodes"]
) -> Bool[np.ndarray, "nodes"]:
    leaf = symbols < 0
    leaf[offsets[-2] :] = True
    return leaf


def paths(
    offsets: Int[np.ndarray, "edges"],
    symbols: Int[np.ndarray, "nodes"],
    parents: Int[np.ndarray, "nodes"],
    nodes: Int[np.ndarray, "n"],
) -> Int[np.ndarray, "n depth"]:
    """Tokens on the path to each of the given nodes, padded with `EOS`."""
    deepest = len(offsets) - 2
    depth = np.searchsorted(offsets, nodes, side="right") - 1
    found = np.full((len(nodes), deepest), EOS, dtype=symbols.dtype)
    at = nodes.copy()
    for level in range(deepest, 0, -1):
        here = np.flatnonzero(depth >= level)
        found[here, level - 1] = symbols[at[here]]
        at[here] = offsets[level - 1] + parents[at[here]]
    return found
