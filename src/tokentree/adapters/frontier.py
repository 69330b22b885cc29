"""Which prefixes are expanded next, and how many may be."""

import heapq
import math
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from .._lib import log_masses
from .asking import Prefix

_TINY = 5e-324
"""The least positive number."""

_NEAR = 16
"""How many children of a prefix are put in order at first."""


class _Frontier:
    """Prefixes to expand, the most probable first, ties in lexicographic order.

    A prefix's key is minus its mass; below the range of float64 minus its logarithm, which is positive, so
    that the order is that of the masses all the way down. The children of a prefix wait in line: only the
    first of each family is in the heap, and only as many are put in order as come near it.
    """

    def __init__(self, least: float) -> None:
        """Prefixes that weigh less than `least`, or nothing, are left out."""
        self.last = -least if least >= log_masses.LEAST else -math.log(least) if least > 0 else math.inf
        self.heap: list[tuple[float, Prefix, int, int]] = [(-1.0, (), -1, 0)]
        self.families: dict[int, tuple[Prefix, list[tuple[float, int]], Any]] = {}

    def push(
        self, number: int, prefix: Prefix, tokens: Int[np.ndarray, "n"], keys: Float[np.ndarray, "n"]
    ) -> None:
        """Add the children of `prefix`, the expansion of that number."""
        may = (keys <= self.last) & (keys != 0)
        self.families[number] = (prefix, [], (tokens[may], keys[may]))
        self._next(number, 0)

    def _next(self, family: int, rank: int) -> None:
        prefix, line, (tokens, keys) = self.families[family]
        if rank == len(line):
            if not len(tokens):
                del self.families[family]
                return
            n = 4 * rank + _NEAR - 1
            near = keys < np.partition(keys, n)[n] if n < len(keys) - 1 else np.ones(len(tokens), dtype=bool)
            if not near.any():
                near[:] = True
            order = np.flatnonzero(near)[np.argsort(keys[near], kind="stable")]
            line.extend(zip(keys[order].tolist(), tokens[order].tolist(), strict=True))
            self.families[family] = (prefix, line, (tokens[~near], keys[~near]))
        key, token = line[rank]
        heapq.heappush(self.heap, (key, (*prefix, token), family, rank))

    def pop(self, n: int, floor: tuple[float, Prefix]) -> list[tuple[float, Prefix, int]]:
        """Take at most `n` prefixes that come before `floor`, with the expansion above each."""
        taken: list[tuple[float, Prefix, int]] = []
        while self.heap and len(taken) < n and self.heap[0][:2] < floor:
            key, prefix, family, rank = heapq.heappop(self.heap)
            taken.append((key, prefix, family))
            if family >= 0:
                self._next(family, rank + 1)
        return taken


class _Budget:
    """The most probable expansions that a number of nodes allows."""

    def __init__(self, max_nodes: int) -> None:
        self.max_nodes = max_nodes
        # The root and its unexpanded leaf.
        self.nodes = 2
        self.expansions: list[tuple[float, Prefix, int, int]] = []
        self.floor: tuple[float, Prefix] = (math.inf, ())
        """The first expansion that does not fit, in order of probability."""

    def add(self, key: float, prefix: Prefix, nodes: int, number: int) -> None:
        """Count an expansion and the nodes that it adds."""
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
        """Numbers of the expansions that fit."""
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
