"""The compact form of a counted tree: sorted words, and where neighbours first differ.

Responses advance together, one 64-bit word at a time::

    [ index of the prefix so far | next s symbols | how many they are ]

Sorted words stand in lexicographic order, and a node begins wherever a word shares fewer symbols with its
predecessor than the node is deep. A band keeps the distinct words of one round, and from them lays out the
`height` levels of nodes that the round spans, when somebody asks. Deep levels of a large tree are mostly
unary paths: the words take a tenth of the memory of the nodes they stand for, and sorting them takes a tenth
of the time of writing those nodes down.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Int, Num, Shaped, UInt

EOS = -1
"""The end-of-sequence token as it stands in symbol arrays."""

REST = -2
"""Stands for every continuation of a prefix that was not looked at; only trees read from models have it."""

Nodes = tuple[Int[np.ndarray, "_"], Int[np.ndarray, "_"], Num[np.ndarray, "_"]]
"""Token, parent inside the level above, and weight of each node."""


@dataclass(frozen=True, eq=False)
class Band:
    """Distinct sorted words of s symbols, and the `height` levels they span."""

    words: UInt[np.ndarray, "words"]
    ends: Int[np.ndarray, "ends"]
    """Symbols in each word, or the one number that all share."""
    edges: Int[np.ndarray, "edges"] | None
    """Count of the responses before each word: weights are differences, exactly."""
    masses: Num[np.ndarray, "words"] | None
    """Weight of each word where weights are floats, which are summed, never subtracted."""
    s: int
    height: int
    bits: int
    low: int
    """Bits at the bottom of a word that hold its length; zero where all are of one length."""

    @cached_property
    def shared(self) -> Int[np.ndarray, "words"]:
        """How many symbols each word shares with its predecessor; -1 where the prefix differs."""
        # Clearing every bit that has a neighbour above it keeps the top one, and stops the conversion to
        # float64 from rounding up to the next power of two.
        differ = self.words[1:] ^ self.words[:-1]
        top = ((differ & ~(differ >> np.uint64(1))).astype(np.float64).view(np.int64) >> 52) - 1023
        shared = np.full(len(self.words), -1, dtype=np.int8)
        shared[1:] = np.clip((self.s * self.bits + self.low - 1 - top) // self.bits, -1, self.s)
        if self.low:
            shared[1:] = np.minimum(shared[1:], np.minimum(self.ends[1:], self.ends[:-1]))
        return shared

    @cached_property
    def last(self) -> Int[np.ndarray, "ends"]:
        """Level of each word's last node: one below its last symbol where the response ends there."""
        return (self.ends + (self.ends < self.height)).astype(np.int8)

    @cached_property
    def sizes(self) -> list[int]:
        """Number of nodes on each level."""
        levels = np.arange(1, self.height + 1)
        begun = np.cumsum(np.bincount(self.shared + 1, minlength=self.height + 1))[levels]
        if self.low:
            # A word whose response ended higher up still bounds its neighbours, but has no node here.
            begun -= np.cumsum(np.bincount(self.last, minlength=self.height + 1))[levels - 1]
        sizes: list[int] = begun.tolist()
        return sizes

    def level(self, level: int, above: Int[np.ndarray, "above"]) -> Nodes:
        """Nodes of one level, given the tokens of the level above."""
        at = np.flatnonzero(self.shared < level)
        if self.masses is not None:
            weights = np.add.reduceat(self.masses, at)
        elif self.edges is not None:
            weights = np.diff(self.edges[at], append=self.edges[-1:])
        if self.low:
            on = self.last[at] >= level
            at, weights = at[on], weights[on]
        if level > self.s:
            symbols = np.full(len(at), EOS, dtype=above.dtype)
        else:
            shift = np.uint64((self.s - level) * self.bits + self.low)
            symbols = (self.words[at] >> shift & np.uint64(2**self.bits - 1)).astype(above.dtype)
            if self.low:
                symbols[self.ends[at] < level] = EOS
        parents = np.cumsum(self.shared[at] < level - 1, dtype=np.int32)
        parents -= 1
        closed = above == EOS
        if closed.any():
            parents = np.flatnonzero(~closed).astype(np.int32)[parents]
        return symbols, parents, weights


@dataclass(frozen=True, eq=False)
class Bands:
    """The compact form of a whole tree: rounds from the root down."""

    bands: tuple[Band, ...]
    token: np.dtype[Any]
    total: Num[np.ndarray, "1"]

    @cached_property
    def offsets(self) -> Int[np.ndarray, "edges"]:
        """First node of each level, the root's included, and the number of nodes."""
        return np.cumsum([0, 1, *(size for band in self.bands for size in band.sizes)])

    @property
    def n_leaves(self) -> int:
        """Distinct responses, as far as they were counted."""
        here = (np.broadcast_to(band.ends < band.height, band.words.shape) for band in self.bands)
        ended = [int(np.count_nonzero(ends)) for ends in here]
        # What has not ended in the last round is cut there.
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
                for array, part in zip(nodes, band.level(level, above), strict=True):
                    array[at : at + len(part)] = part
                at, above = at + len(part), nodes[0][at : at + len(part)]
            depth -= band.height
        return nodes


def grow(
    flat: Shaped[np.ndarray, "..."],
    lengths: Int[np.ndarray, "n"],
    weights: Num[np.ndarray, "n"] | None,
    q: int,
    cap: int | None,
) -> Bands:
    """Sort the responses, at most `cap` tokens deep.

    `flat` holds their symbols, as one row or as a matrix with a row for each.
    """
    bits = max(1, (q - 1).bit_length())
    starts = np.cumsum(lengths) - lengths
    depth = int(lengths.max()) + 1
    if cap is not None and cap < depth:
        depth, lengths = cap, np.minimum(lengths, cap)
    bands = []
    active, group, n_groups, base = np.arange(len(lengths)), np.zeros(len(lengths), np.uint64), 1, 0
    while base < depth:
        remaining = lengths[active] - base
        room = 64 - (n_groups - 1).bit_length()
        longest = int(remaining.max())
        s, low = min(room // bits, depth - base, longest), 0
        if remaining.min() < s:
            while s * bits + s.bit_length() > room:
                s -= 1
            low = s.bit_length()
        # If no symbol is left below these, the next level is all end-of-sequence: take it along.
        height = s + (s == longest and base + s < depth)
        local = np.minimum(remaining, s)

        if base == 0 and flat.ndim == 2:
            columns = flat[:, :s]
        else:
            inside = np.arange(s) < local[:, None]
            columns = np.zeros(inside.shape, dtype=flat.dtype)
            columns[inside] = flat.ravel()[((starts[active] + base)[:, None] + np.arange(s))[inside]]
        key = _pack(columns, bits)
        if low:
            key = key << np.uint64(low) | local.astype(np.uint64)
        if n_groups > 1:
            key |= group << np.uint64(s * bits + low)
        if weights is None and base + height == depth:
            key.sort()
        else:
            order = np.argsort(key)
            key, active = key[order], active[order]
        new = np.ones(len(key), dtype=bool)
        np.not_equal(key[1:], key[:-1], out=new[1:])
        first = np.flatnonzero(new)
        words = key[first]
        ends = (words & np.uint64(2**low - 1)).astype(np.int8) if low else local[:1].astype(np.int8)

        edges, masses = None, None
        if weights is None:
            edges = np.append(first, len(key))
        elif weights.dtype.kind == "i":
            edges = np.append(0, np.cumsum(weights[active]))[np.append(first, len(key))]
        else:
            masses = np.add.reduceat(weights[active], first)
        bands.append(Band(words, ends, edges, masses, s, height, bits, low))
        base += height
        if base < depth:
            on = np.broadcast_to(ends == height, words.shape)
            label = np.cumsum(new) - 1
            go = on[label]
            active, n_groups = active[go], int(np.count_nonzero(on))
            group = (np.cumsum(on) - 1)[label[go]].astype(np.uint64)
    total = np.full(1, len(lengths) if weights is None else weights.sum())
    return Bands(tuple(bands), np.min_scalar_type(-q), total)


def _pack(columns: UInt[np.ndarray, "n s"], bits: int) -> UInt[np.ndarray, "n"]:
    """Each row as one unsigned number, first symbol most significant."""
    n, s = columns.shape
    if bits == 1:
        wide = np.zeros((n, 8), dtype=np.uint8)
        wide[:, : -(-s // 8)] = np.packbits(columns, axis=1)
        return wide.view(">u8").ravel().astype(np.uint64) >> np.uint64(64 - s)
    word = np.zeros(n, dtype=np.uint64)
    for column in columns.T:
        word <<= np.uint64(bits)
        word |= column
    return word
