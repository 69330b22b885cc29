"""Which prefixes are expanded next, and how many."""

import heapq
import math
from collections.abc import Iterator

import numpy as np
from jaxtyping import Bool, Float, Int

from .._lib import log_masses
from .asking import Prefix

_TINY = 5e-324
"""The smallest positive number."""

_NEAR = 16
"""How many children of a prefix are sorted at first."""


class _Frontier:
    """Prefixes to expand, the most probable first, ties in lexicographic order.

    A prefix's key is minus its mass or, below the range of float64, minus its logarithm, which is positive;
    so the order is that of the masses throughout. Only the first sibling not yet taken is in the heap.
    """

    def __init__(self, least: float) -> None:
        """Prefixes of mass zero or below `least` are left out."""
        self.last = -least if least >= log_masses.LEAST else -math.log(least) if least > 0 else math.inf
        self.heap: list[tuple[float, Prefix, int, Iterator[tuple[float, Prefix]]]] = []
        self._advance(-1, iter([(-1.0, ())]))

    def push(
        self, number: int, prefix: Prefix, tokens: Int[np.ndarray, "n"], keys: Float[np.ndarray, "n"]
    ) -> None:
        """Add the children of `prefix`, the expansion of that number."""
        may = (keys <= self.last) & (keys != 0)
        self._advance(number, _in_order(prefix, tokens[may], keys[may]))

    def _advance(self, family: int, line: Iterator[tuple[float, Prefix]]) -> None:
        if first := next(line, None):
            heapq.heappush(self.heap, (*first, family, line))

    def pop(self, n: int, floor: tuple[float, Prefix]) -> list[tuple[float, Prefix, int]]:
        """Take at most `n` prefixes that come before `floor`, with the expansion above each."""
        taken: list[tuple[float, Prefix, int]] = []
        while self.heap and len(taken) < n and self.heap[0][:2] < floor:
            key, prefix, family, line = heapq.heappop(self.heap)
            taken.append((key, prefix, family))
            self._advance(family, line)
        return taken


def _in_order(
    prefix: Prefix, tokens: Int[np.ndarray, "n"], keys: Float[np.ndarray, "n"]
) -> Iterator[tuple[float, Prefix]]:
    """The children of a prefix, sorted only as far as needed."""
    n = _NEAR
    while len(keys):
        near = keys <= np.partition(keys, n)[n] if n < len(keys) else np.ones(len(keys), dtype=bool)
        order = np.argsort(keys[near], kind="stable")
        for key, token in zip(keys[near][order].tolist(), tokens[near][order].tolist(), strict=True):
            yield key, (*prefix, token)
        tokens, keys, n = tokens[~near], keys[~near], 4 * n


class _Budget:
    """The most probable expansions within a number of nodes: key, prefix, nodes added, number."""

    def __init__(self, max_nodes: int) -> None:
        self.max_nodes = max_nodes
        # The root and its unexpanded leaf.
        self.nodes = 2
        self.expansions: list[tuple[float, Prefix, int, int]] = []
        self.floor: tuple[float, Prefix] = (math.inf, ())
        """The first expansion that does not fit, in order of probability."""

    def add(self, key: float, prefix: Prefix, nodes: int, number: int) -> None:
        self.expansions.append((key, prefix, nodes, number))
        self.nodes += nodes

    def cut(self) -> None:
        """Drop the least probable expansions that do not fit."""
        if self.nodes > self.max_nodes:
            self.expansions.sort()
            nodes = 2 + np.cumsum([added for *_, added, _ in self.expansions])
            fits = int(np.searchsorted(nodes, self.max_nodes, side="right"))
            self.floor = self.expansions[fits][:2]
            del self.expansions[fits:]
            self.nodes = int(nodes[fits - 1]) if fits else 2

    def kept(self) -> list[int]:
        self.cut()
        return [number for *_, number in self.expansions]


def _largest(ids: Float[np.ndarray, "batch vocabulary"], k: int) -> Bool[np.ndarray, "batch vocabulary"]:
    """Mark the k most probable ids of each row, ties by the lower id."""
    spare = ids.shape[1] - k
    if spare <= 0:
        return ids > 0
    least = np.partition(ids, spare, axis=1)[:, spare, None]
    listed = ids >= np.maximum(least, _TINY)
    surplus = np.count_nonzero(listed, axis=1) - k
    for row in np.flatnonzero(surplus > 0):
        listed[row, np.flatnonzero(ids[row] == least[row])[-surplus[row] :]] = False
    return listed
