"""Decoding a stream of bits in many places at once.

The start of a codeword is known only when all before it are read. But a reader that begins anywhere usually
synchronises with the true one after a few codewords. So the stream is cut into segments, and all are read at
once, each starting some way before its beginning. Then segments are joined: each must begin where the
preceding one ended. If it does not, codewords are read one by one from the true position until the two meet.

A table gives the contents of a window of bits: all codewords that lie in it completely or, near the end of a
segment, the first. Either is the index of a row of symbols, and the rows are concatenated at the end.
"""

import math
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
from jaxtyping import Bool, Int, Shaped, UInt, UInt8

_SEGMENT = 1000
"""Smallest number of bits of a segment."""

_SEGMENTS = 4096
"""Largest number of segments read at once."""

_AHEAD = 300
"""Number of bits before a segment at which its reading starts."""

_LEAST = 16_000
"""Number of bits from which segments are faster than reading one by one."""

_ROW = 8
"""Largest number of bytes of symbols per row."""

Follow = Callable[[memoryview, int], tuple[int, int]]


@dataclass(frozen=True, eq=False)
class Table:
    """The codeword at the beginning of each window of `width` bits."""

    width: int
    symbols: Int[np.ndarray, "windows"]
    lengths: Int[np.ndarray, "windows"]
    """Length of the codeword; 0 if it is longer than the window."""
    size: int
    """Number of symbols; used as a symbol, a bit that begins no codeword."""
    step: int
    """Greatest common divisor of all lengths: codewords begin at multiples of it."""
    follow: Follow
    """Symbol and length of a longer codeword, given the bytes and its start in them."""

    codewords: Int[np.ndarray, "symbols_1"]
    """Length of each symbol's codeword."""

    @property
    def first(self) -> int:
        """Row of the symbol 0 alone; after the windows, and before rows of a long and an empty codeword."""
        return 1 << self.width

    @property
    def empty(self) -> int:
        """The empty row."""
        return self.first + self.size + 2

    @cached_property
    def longest(self) -> int:
        """Largest number of bits per row."""
        return max(self.width, int(self.codewords.max()))

    @cached_property
    def longer(self) -> bool:
        """Whether some codewords are longer than the window."""
        return not self.lengths.all()

    @property
    def dtype(self) -> np.dtype[Any]:
        """The narrowest dtype for the symbols."""
        return np.min_scalar_type(self.size)

    @cached_property
    def _windows(
        self,
    ) -> tuple[Int[np.ndarray, "windows"], Shaped[np.ndarray, "k windows"], Bool[np.ndarray, "k windows"]]:
        """Bits of all codewords that lie completely in a window; their symbols, and which count."""
        # As many as random bits contain on average, up to twice as many.
        usual = 1 << math.ceil(math.log2(self.width / max(1.0, float(self.lengths.mean()))))
        k = min(usual, _ROW // self.dtype.itemsize)
        symbols, counted = np.zeros((k, self.first), self.dtype), np.zeros((k, self.first), bool)
        spans, window = np.zeros(self.first, np.int64), np.arange(self.first)
        for i in range(k):
            length = self.lengths[window]
            counted[i] = (length > 0) & (spans + length <= self.width)
            symbols[i] = self.symbols[window]
            # A truncated codeword stays in place, so that none after it is taken.
            length *= counted[i]
            spans += length
            window = window << length & (self.first - 1)
        return spans, symbols, counted

    @cached_property
    def spans(self) -> Int[np.ndarray, "rows"]:
        """Bits of each row."""
        return np.concatenate((self._windows[0], self.codewords, [0, 0]))

    @cached_property
    def rows(self) -> tuple[UInt[np.ndarray, "rows"], UInt[np.ndarray, "rows"]]:
        """The symbols of each row, and which of them count, as the bytes of one number each."""
        _, *found = self._windows
        k = len(found[0])
        symbols, counted = np.zeros((self.spans.size, k), self.dtype), np.zeros((self.spans.size, k), bool)
        symbols[: self.first], counted[: self.first] = (each.T for each in found)
        symbols[self.first : -2, 0], counted[self.first : -2, 0] = np.arange(self.size + 1), True
        return symbols.view(f"u{k * self.dtype.itemsize}").ravel(), counted.view(f"u{k}").ravel()


def read(
    octets: UInt8[np.ndarray, "bytes"], size: int, table: Table
) -> tuple[Int[np.ndarray, "message"], int]:
    """Symbols of the codewords that begin in the first `size` bits, and where the last of them ends.

    After the bits, zeros are read.
    """
    stream = _Stream(octets, table)
    if size < _LEAST:
        one_by_one, end = stream.walk(0, size)
        return np.array(one_by_one, np.int64), end
    segments = max(1, min(size // _SEGMENT, _SEGMENTS))
    bounds = np.arange(segments + 1) * size // segments // table.step * table.step
    bounds[-1] = size
    ahead = -(-_AHEAD // table.step) * table.step
    begins, _ = stream.run(np.maximum(bounds[:-1] - ahead, 0), bounds[:-1])
    ends, rows = stream.run(begins, bounds[1:])

    missed: list[tuple[int, list[int]]] = []
    late = (np.flatnonzero(begins[1:] != ends[:-1]) + 1)[::-1].tolist()
    while late:
        at = late.pop()
        places = begins[at] + np.append(0, table.spans[rows[at]].cumsum())
        walked, met = stream.walk(int(ends[at - 1]), int(bounds[at + 1]), set(places.tolist()))
        missed.append((at, walked))
        rows[at, places[:-1] < met] = table.empty
        if met >= bounds[at + 1] and met != ends[at]:
            ends[at] = met
            late += [at + 1] if at + 1 < segments and at + 1 not in late[-1:] else []

    symbols, counted = table.rows
    # A third of the time of indexing with booleans.
    numbers = np.compress(counted.take(rows.ravel()).view(bool), symbols.take(rows.ravel()).view(table.dtype))
    message: npt.NDArray[np.int64] = numbers.astype(np.int64)
    if missed:
        own = np.append(0, counted[rows].view(bool).reshape(segments, -1).sum(axis=1).cumsum())
        places = np.repeat([own[at] for at, _ in missed], [len(walked) for _, walked in missed])
        message = np.insert(message, places, [symbol for _, walked in missed for symbol in walked])
    return message, int(ends[-1])


class _Stream:
    """Bits, and the table of codewords that they may begin."""

    def __init__(self, octets: UInt8[np.ndarray, "bytes"], table: Table) -> None:
        self.octets = octets.data
        self.table = table
        # The 32 bits from each byte on.
        fours = octets.size // 4 + 1
        padded = np.append(octets, np.zeros(8, np.uint8))
        self.words = np.empty(4 * fours, np.uint32)
        for skip in range(4):
            self.words[skip::4] = padded[skip : skip + 4 * fours].view(">u4")

    def walk(self, position: int, stop: int, met: Collection[int] = ()) -> tuple[list[int], int]:
        """Symbols from a position on, one by one, up to a stop or to one of the meeting points."""
        table, words = self.table, self.words.data
        last, mask = 32 - table.width, table.first - 1
        symbol_of, length_of = table.symbols.data, table.lengths.data
        symbols = []
        while position < stop and position not in met:
            window = words[position >> 3] >> (last - (position & 7)) & mask
            symbol, length = symbol_of[window], length_of[window]
            if not length:
                symbol, length = table.follow(self.octets, position)
            symbols.append(symbol)
            position += length
        return symbols, position

    def run(
        self, position: Int[np.ndarray, "segments"], stop: Int[np.ndarray, "segments"]
    ) -> tuple[Int[np.ndarray, "segments"], Int[np.ndarray, "segments steps"]]:
        """Ends of the codewords that begin between each position and its stop, and their rows."""
        table, rows = self.table, []
        # No reader reaches its stop in this many steps.
        while (safe := int((stop - position).min()) // table.longest) > 0:
            for _ in range(safe):
                row = self._windows(position)
                position = position + self._spans(row, position)
                rows.append(row)
        for whole in (True, False):
            while (going := position + (table.width if whole else 1) <= stop).any():
                row = self._windows(position)
                row = np.where(going, row if whole else table.symbols[row] + table.first, table.empty)
                position = position + self._spans(row, position)
                rows.append(row)
        return position, np.array(rows, np.int64).reshape(len(rows), position.size).T.copy()

    def _windows(self, position: Int[np.ndarray, "segments"]) -> Int[np.ndarray, "segments"]:
        """Contents of the window at each position; arbitrary beyond the bits, where it is not used."""
        window = self.words.take(position >> 3, mode="clip").astype(np.int64)
        window >>= (32 - self.table.width) - (position & 7)
        window &= self.table.first - 1
        return window

    def _spans(
        self, row: Int[np.ndarray, "segments"], position: Int[np.ndarray, "segments"]
    ) -> Int[np.ndarray, "segments"]:
        """Bits of each row; a row that begins with a codeword longer than its window is replaced."""
        table = self.table
        span: Int[np.ndarray, "segments"] = table.spans.take(row)
        if table.longer:
            for at in np.flatnonzero((span == 0) & (row != table.empty)).tolist():
                symbol, span[at] = table.follow(self.octets, int(position[at]))
                row[at] = table.first + symbol
        return span
