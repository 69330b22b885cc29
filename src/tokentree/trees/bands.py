"""The compact form of a counted tree: sorted words, and the positions at which neighbours first differ.

Responses advance together, one 64-bit word at a time::

    [ index of the prefix so far | next s symbols | how many they are ]

Sorted words are in lexicographic order, and a node begins wherever a word shares fewer symbols with its
predecessor than the depth of the node. A band keeps the distinct words of one round, and on demand lays out
the `height` levels of nodes that the round spans. Deep levels of a large tree are mostly unary paths: the
words take a tenth of the memory of their nodes, and sorting them takes a tenth of the time of writing those
nodes.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Int, Integer, Num, UInt

from .runs import Run, union
from .tokens import EOS, Nodes

_PIECE = 1 << 16
"""Words processed at a time, so that working memory stays in cache and does not grow with the tree."""


@dataclass(frozen=True, eq=False)
class Band:
    """Distinct sorted words of s symbols, and the `height` levels they span."""

    words: UInt[np.ndarray, "words"]
    ends: Int[np.ndarray, "ends"]
    """Number of symbols of each word, or the common number of all."""
    edges: Int[np.ndarray, "edges"] | None
    """Count of the responses before each word: weights are differences, exactly."""
    masses: Num[np.ndarray, "words"] | None
    """Weight of each word if weights are floats, which are summed, never subtracted."""
    s: int
    height: int
    bits: int
    low: int
    """Lowest bits of a word that hold its length; zero if all have one length."""

    @cached_property
    def shared(self) -> Int[np.ndarray, "words"]:
        """Number of symbols each word shares with its predecessor; -1 if the prefix differs."""
        shared = np.full(len(self.words), -1, dtype=np.int8)
        for first, end in _pieces(1, len(shared)):
            # Clearing every bit that has a neighbour above it keeps the top one, and stops the conversion to
            # float64 from rounding up to the next power of two.
            differ = self.words[first:end] ^ self.words[first - 1 : end - 1]
            top = ((differ & ~(differ >> np.uint64(1))).astype(np.float64).view(np.int64) >> 52) - 1023
            shared[first:end] = np.clip((self.s * self.bits + self.low - 1 - top) // self.bits, -1, self.s)
        if self.low:
            np.minimum(shared[1:], self.ends[1:], out=shared[1:])
            np.minimum(shared[1:], self.ends[:-1], out=shared[1:])
        return shared

    @cached_property
    def last(self) -> Int[np.ndarray, "ends"]:
        """Level of each word's last node: one below its last symbol if the response ends there."""
        return (self.ends + (self.ends < self.height)).astype(np.int8)

    @cached_property
    def sizes(self) -> Int[np.ndarray, "levels"]:
        """Number of nodes on each level."""
        levels = np.arange(1, self.height + 1)
        begun = np.cumsum(_histogram(self.shared + 1, self.height + 1))[levels]
        if self.low:
            # A word of a response that ended higher up still bounds its neighbours, but has no node here.
            begun -= np.cumsum(_histogram(self.last, self.height + 1))[levels - 1]
        sizes: Int[np.ndarray, "levels"] = begun
        return sizes

    def level(self, level: int, above: Int[np.ndarray, "above"], nodes: Nodes) -> None:
        """Write the nodes of one level to `nodes`, given the tokens of the level above."""
        open_above = np.flatnonzero(above != EOS).astype(np.int32) if (above == EOS).any() else None
        done, up = 0, -1
        for first, end in self._segments(level):
            if self.masses is not None:
                weights = np.add.reduceat(self.masses[first[0] : end[-1]], first - first[0])
            elif self.edges is not None:
                weights = self.edges[end] - self.edges[first]
            if self.low:
                on = self.last[first] >= level
                first, weights = first[on], weights[on]
            if level > self.s:
                symbols = np.full(len(first), EOS, dtype=above.dtype)
            else:
                shift = np.uint64((self.s - level) * self.bits + self.low)
                symbols = (self.words[first] >> shift & np.uint64(2**self.bits - 1)).astype(above.dtype)
                if self.low:
                    symbols[self.ends[first] < level] = EOS
            parents = np.cumsum(self.shared[first] < level - 1, dtype=np.int32)
            parents += up
            up = int(parents[-1]) if len(parents) else up
            if open_above is not None:
                parents = open_above[parents]
            for array, part in zip(nodes, (symbols, parents, weights), strict=True):
                array[done : done + len(part)] = part
            done += len(first)

    def _segments(self, level: int) -> Iterator[tuple[Int[np.ndarray, "_"], Int[np.ndarray, "_"]]]:
        """First word below each node of a level, and the first one after it, in batches of nodes."""
        begun = np.zeros(0, dtype=np.int64)
        for first, end in _pieces(0, len(self.words)):
            begun = np.append(begun, np.flatnonzero(self.shared[first:end] < level) + first)
            if len(begun) > 1:
                yield begun[:-1], begun[1:]
            begun = begun[-1:]
        yield begun, np.array([len(self.words)])

    def prune(self, level: int) -> "Band":
        """The first `level` levels, fewer than all."""
        at = np.flatnonzero(self.shared < level)
        words = self.words[at] >> np.uint64(self.low + (self.s - level) * self.bits)
        ends = np.minimum(self.ends, np.int8(level))
        if self.low:
            ends = ends[at]
            words = words << np.uint64(self.low) | ends.astype(np.uint64)
        edges = None if self.edges is None else np.append(self.edges[at], self.edges[-1:])
        masses = None if self.masses is None else np.add.reduceat(self.masses, at)
        return Band(words, ends, edges, masses, level, level, self.bits, self.low)

    def __reduce__(self) -> tuple[Any, ...]:
        # Steps from word to word and counts are small, and are pickled as small numbers.
        steps = _narrow(np.diff(self.words))
        counts = None if self.edges is None else _narrow(np.diff(self.edges))
        rest = (self.masses, self.s, self.height, self.bits, self.low)
        return _unpickled, (int(self.words[0]), steps, None if self.low else self.ends, counts, *rest)


@dataclass(frozen=True, eq=False)
class Bands:
    """The compact form of a whole tree: rounds from the root down."""

    bands: tuple[Band, ...]
    token: np.dtype[Any]
    total: Num[np.ndarray, "1"]

    @cached_property
    def offsets(self) -> Int[np.ndarray, "edges"]:
        """First node of each level, the root's included, and the number of nodes."""
        return np.cumsum(np.concatenate([[0, 1], *(band.sizes for band in self.bands)]))

    @property
    def depth(self) -> int:
        """Number of levels below the root."""
        return sum(band.height for band in self.bands)

    @property
    def n_leaves(self) -> int:
        """Distinct responses, as far as they were counted."""
        here = (np.broadcast_to(band.ends < band.height, band.words.shape) for band in self.bands)
        ended = [int(np.count_nonzero(ends)) for ends in here]
        # Responses that have not ended in the last round are cut there.
        return sum(ended[:-1]) + len(self.bands[-1].words)

    def nodes(self, depth: int) -> Nodes:
        """Nodes at depth 0 to `depth`; O(n) for every level."""
        n = int(self.offsets[depth + 1])
        nodes = (np.zeros(n, self.token), np.zeros(n, np.int32), np.empty(n, self.total.dtype))
        nodes[2][:1] = self.total
        # The root stands for every token that may have children.
        above, at = nodes[0][:1], 1
        for band in self.bands:
            for level in range(1, min(band.height, depth) + 1):
                here = slice(at, at + int(band.sizes[level - 1]))
                band.level(level, above, (nodes[0][here], nodes[1][here], nodes[2][here]))
                at, above = here.stop, nodes[0][here]
            depth -= band.height
        return nodes

    def is_cut(self, depth: int) -> bool:
        """Whether some response continues below `depth`, the last level that is kept."""
        for band in self.bands:
            if depth <= band.height:
                break
            depth -= band.height
        return bool((band.ends >= depth).any())

    def prune(self, depth: int) -> "Bands":
        """The first `depth` levels."""
        if depth >= self.depth:
            return self
        bands: list[Band] = []
        for band in self.bands:
            if depth > 0:
                bands.append(band if depth >= band.height else band.prune(depth))
            depth -= band.height
        return Bands(tuple(bands), self.token, self.total)

    def __reduce__(self) -> tuple[Any, ...]:
        return Bands, (self.bands, self.token, self.total)


Parts = tuple[int, Int[np.ndarray, "edges"] | None, Nodes | Bands]
"""The parts of a `TokenTree`: alphabet size, offsets, nodes; or the compact form, which has the offsets."""


def merge(trees: Sequence[Bands]) -> Bands | None:
    """The sum of counted trees, if the sum fits one band."""
    bands = [tree.bands[0] for tree in trees]
    s, height = max(band.s for band in bands), max(band.height for band in bands)
    alike = all((band.s, band.height, band.low) == (s, height, 0) for band in bands)
    low, bits = 0 if alike else s.bit_length(), bands[0].bits
    if any(len(tree.bands) > 1 for tree in trees) or s * bits + low > 64:
        return None
    runs = []
    for band in bands:
        if band.edges is None:
            return None
        words = band.words
        if (band.s, band.low) != (s, low):
            words = words >> np.uint64(band.low) << np.uint64((s - band.s) * bits + low)
            words |= band.ends.astype(np.uint64)
        runs.append((words, np.diff(band.edges)))
    return one_band(union(runs), trees[0].token, s, height, bits, low)


def one_band(run: Run, token: np.dtype[Any], s: int, height: int, bits: int, low: int) -> Bands:
    """The tree of counted words."""
    words, counts = run
    ends = (words & np.uint64(2**low - 1)).astype(np.int8) if low else np.full(1, s, dtype=np.int8)
    edges = np.zeros(len(words) + 1, dtype=np.int64)
    np.cumsum(counts, dtype=np.int64, out=edges[1:])
    return Bands((Band(words, ends, edges, None, s, height, bits, low),), token, edges[-1:].copy())


def _pieces(first: int, end: int) -> Iterator[tuple[int, int]]:
    for at in range(first, end, _PIECE):
        yield at, min(at + _PIECE, end)


def _histogram(values: Int[np.ndarray, "_"], n: int) -> Int[np.ndarray, "n"]:
    """Occurrences of each number below `n`; in pieces, because bincount converts its input to int64."""
    pieces = (np.bincount(values[first:end], minlength=n) for first, end in _pieces(0, len(values)))
    return sum(pieces, np.zeros(n, np.int64))


def _narrow(values: Integer[np.ndarray, "n"]) -> UInt[np.ndarray, "n"]:
    return values.astype(f"u{np.min_scalar_type(int(values.max(initial=0))).itemsize}")


def _unpickled(
    first: int,
    steps: UInt[np.ndarray, "_"],
    ends: Int[np.ndarray, "1"] | None,
    counts: UInt[np.ndarray, "words"] | None,
    masses: Num[np.ndarray, "words"] | None,
    s: int,
    height: int,
    bits: int,
    low: int,
) -> Band:
    words = np.empty(len(steps) + 1, dtype=np.uint64)
    words[0] = first
    words[1:] = steps
    np.cumsum(words, out=words)
    if ends is None:
        ends = (words & np.uint64(2**low - 1)).astype(np.int8)
    edges = None
    if counts is not None:
        edges = np.zeros(len(counts) + 1, dtype=np.int64)
        np.cumsum(counts, dtype=np.int64, out=edges[1:])
    return Band(words, ends, edges, masses, s, height, bits, low)
