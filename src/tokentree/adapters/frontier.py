"""Which prefixes are expanded next, and how many."""

import heapq
import math
from collections.abc import Iterator

import numpy as np
from jaxtyping import Bool, Float, Int

from .._lib import log_masses
from .asking import Prefix

Entry = tuple[float, Prefix, int]
"""A prefix's key, the prefix, and the number of its node."""

_NEAR = 16
"""How many children of a prefix are sorted at first."""


class Frontier:
    """The most probable prefixes within a number of nodes, ties in lexicographic order.

    A prefix's key is minus its mass or, below the range of float64, minus its logarithm, which is positive;
    so the order is that of the masses throughout. Only the first sibling not yet taken is in the heap.
    """

    def __init__(self, least: float, max_nodes: int, depth: int) -> None:
        """Prefixes of mass zero or below `least`, or of `depth` tokens, are left out."""
        self.last = -least if least >= log_masses.LEAST else -math.log(least) if least > 0 else math.inf
        self.max_nodes, self.depth = max_nodes, depth
        # The root and its unexpanded leaf.
        self.n_nodes = 2
        self.expanded: list[tuple[Entry, int]] = []
        """What was expanded, and how many nodes that adds."""
        self.floor: Entry = (math.inf, (), 0)
        """The first expansion that does not fit, in order of probability."""
        self.heap: list[tuple[Entry, Iterator[Entry]]] = []
        self._advance(iter([(-1.0, (), 0)]))

    def _advance(self, line: Iterator[Entry]) -> None:
        if first := next(line, None):
            heapq.heappush(self.heap, (first, line))

    def pop(self, n: int) -> list[Entry]:
        """Take at most `n` prefixes that come before `floor`."""
        taken: list[Entry] = []
        while self.heap and len(taken) < n and self.heap[0][0] < self.floor:
            entry, line = heapq.heappop(self.heap)
            taken.append(entry)
            self._advance(line)
        return taken

    def add(
        self,
        entry: Entry,
        size: int,
        tokens: Int[np.ndarray, "n"],
        keys: Float[np.ndarray, "n"],
        numbers: Int[np.ndarray, "n"],
    ) -> None:
        """Count an expansion of `size` children, and add those that are prefixes."""
        prefix = entry[1]
        inner = len(prefix) + 1 < self.depth
        # A prefix that may be expanded later reserves the place of its unexpanded leaf until then.
        added = size - 1 + (len(tokens) if inner else 0)
        self.expanded.append((entry, added))
        self.n_nodes += added
        if inner:
            may = np.flatnonzero((keys <= min(self.last, self.floor[0])) & (keys != 0))
            order = (may[i] for i in _in_order(keys[may]))
            self._advance((float(keys[i]), (*prefix, int(tokens[i])), int(numbers[i])) for i in order)

    def cut(self) -> None:
        """Drop the least probable expansions that do not fit."""
        if self.n_nodes > self.max_nodes:
            self.expanded.sort()
            n_nodes = 2 + np.cumsum([0, *(added for _, added in self.expanded)])
            fits = int(np.searchsorted(n_nodes, self.max_nodes, side="right")) - 1
            self.floor, self.n_nodes = self.expanded[fits][0], int(n_nodes[fits])
            del self.expanded[fits:]

    def kept(self) -> list[int]:
        """Numbers of the expanded nodes."""
        self.cut()
        return [number for (*_, number), _ in self.expanded]


def _in_order(keys: Float[np.ndarray, "n"]) -> Iterator[int]:
    """Positions of the keys in order, sorted only as far as needed."""
    left, n = np.arange(len(keys)), _NEAR
    while len(left) > n:
        line = keys[left]
        near = line <= np.partition(line, n)[n]
        yield from left[near][np.argsort(line[near], kind="stable")].tolist()
        left, n = left[~near], 4 * n
    yield from left[np.argsort(keys[left], kind="stable")].tolist()


def largest(ids: Float[np.ndarray, "batch vocabulary"], k: int) -> Bool[np.ndarray, "batch vocabulary"]:
    """Mark the k most probable ids of each row that are possible, ties by the lower id."""
    if k >= ids.shape[1]:
        return ids > 0
    least = np.partition(ids, -k, axis=1)[:, -k, None]
    above, tied = ids > least, (ids == least) & (least > 0)
    spare = k - np.count_nonzero(above, axis=1, keepdims=True)
    above |= tied & (np.cumsum(tied, axis=1) <= spare)
    return above
