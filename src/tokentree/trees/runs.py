"""Counting the words of a long stream: sorted runs of distinct words with their counts.

A block of up to 58 bits is a 64-bit word, a wider one a byte string. The words of a few megabytes are sorted
and counted into a run. Whenever the later runs together outgrow the first, all are merged into one. So every
word is moved about twice, and at most about twice the distinct words are kept. If there are few possible
words, they index an array of counts instead, and nothing is sorted.
"""

from collections.abc import Iterable, Sequence
from math import gcd

import numpy as np
from jaxtyping import Bool, Int, Shaped, UInt

Run = tuple[Shaped[np.ndarray, "_"], Int[np.ndarray, "_"]]
"""Distinct words in order, and their counts."""

WIDEST = 58
"""Bits of a block that leave room in a word for its length, and for the bits before it in its byte: six at
most, because blocks that all begin at multiples of 58 bits of a file begin at even bits."""

_DENSE = 24
"""Bits of the widest block that indexes an array: 128 MiB of counts."""

_SLICE = 1 << 18
"""Number of words merged at once when runs are merged."""


def run_starts(*columns: Shaped[np.ndarray, "n"]) -> Bool[np.ndarray, "n"]:
    """Whether each entry differs, in some column, from the one before it."""
    starts = np.ones(len(columns[0]), dtype=bool)
    np.not_equal(columns[0][1:], columns[0][:-1], out=starts[1:])
    for column in columns[1:]:
        starts[1:] |= column[1:] != column[:-1]
    return starts


def batch_bytes(width: int) -> int:
    """Bytes of the stream to count at once: a word array that stays in cache, or a run worth sorting."""
    return ((1 << 20) if width <= _DENSE else (1 << 22)) * min(width, 64) // 8


def count(
    pieces: Iterable[memoryview], width: int, skip: int = 0, limit: int | None = None
) -> tuple[Shaped[np.ndarray, "n"], Int[np.ndarray, "n"], UInt[np.ndarray, "bits"] | None]:
    """Count the consecutive blocks of `width` bits in a stream, from bit `skip` on, `limit` at most.

    Returns the distinct words, their counts, and the bits after the last complete block, or None if `limit`
    blocks came first.
    """
    dense: Int[np.ndarray, "words"] | None = None
    runs: list[Run] = []
    rest = np.zeros(0, dtype=np.uint8)
    for piece in pieces:
        data = np.concatenate([rest, np.frombuffer(piece, dtype=np.uint8), np.zeros(8, dtype=np.uint8)])
        n = (8 * (len(data) - 8) - skip) // width
        n = n if limit is None else min(n, limit)
        if n:
            words = _words(data, skip, width, n)
            if dense is None and width <= _DENSE and 16 * n >= 1 << width:
                dense = np.zeros(1 << width, dtype=np.int64)
            if dense is not None:
                np.add.at(dense, words.view(np.int64), 1)
            else:
                words.sort()
                first = np.flatnonzero(run_starts(words))
                runs.append((words[first], np.diff(first, append=n)))
                if sum(len(run[0]) for run in runs[1:]) > len(runs[0][0]):
                    runs = [union(runs)]
        used, skip = divmod(skip + n * width, 8)
        rest = data[used:-8]
        if limit is not None:
            limit -= n
            if not limit:
                break
    tail = None if limit == 0 else np.unpackbits(rest)[skip:]
    if dense is None:
        words, counts = union(runs) if runs else (np.zeros(0, np.uint64), np.zeros(0, np.int64))
        return words, counts, tail
    for words, counts in runs:
        dense[words] += counts
    words = np.flatnonzero(dense).view(np.uint64)
    return words, dense[words], tail


def symbols(words: Shaped[np.ndarray, "n"], width: int, bits: int) -> UInt[np.ndarray, "n block"]:
    """Blocks wider than a word as rows of symbols of 1 or 8 bits."""
    rows = words.view(np.uint8).reshape(len(words), -1)
    return rows if bits == 8 else np.unpackbits(rows, axis=1, count=width)


def union(runs: Sequence[Run]) -> Run:
    """The sum of runs; O(n log k) for k of them with n words together."""
    if len(runs) == 1:
        return runs[0]
    # One slice of the order at a time, so that working memory stays small, cut at words of the runs.
    step = max(1, _SLICE // len(runs))
    cuts = np.sort(np.concatenate([words[step::step] for words, _ in runs]))[:: len(runs)]
    places = [[0, *np.searchsorted(words, cuts).tolist(), len(words)] for words, _ in runs]
    sums = []
    for i in range(len(cuts) + 1):
        parts = [
            (words[place[i] : place[i + 1]], counts[place[i] : place[i + 1]])
            for (words, counts), place in zip(runs, places, strict=True)
        ]
        words, counts = (np.concatenate(column) for column in zip(*parts, strict=True))
        if len(words):
            # Consecutive sorted runs are merged, not sorted again.
            order = np.argsort(words, kind="stable")
            words = words[order]
            first = np.flatnonzero(run_starts(words))
            sums.append((words[first], np.add.reduceat(counts[order], first)))
    words, counts = (np.concatenate(column) for column in zip(*sums, strict=True))
    return words, counts


def _words(data: UInt[np.ndarray, "bytes"], skip: int, width: int, n: int) -> Shaped[np.ndarray, "n"]:
    """The first n blocks of `width` bits after `skip`; the data extend eight bytes beyond them."""
    period = 8 // gcd(width, 8)
    stride = width * period // 8
    size = -(-width // 8)
    words = np.empty(n, dtype=np.uint64 if width <= WIDEST else f"S{size}")
    # Blocks that begin at the same bit of a byte are equally spaced.
    for i in range(min(period, n)):
        at, shift = divmod(skip + i * width, 8)
        some = words[i::period]
        if width <= WIDEST:
            some[:] = np.ndarray(len(some), ">u8", data, at, (stride,))
            if shift:
                some <<= np.uint64(shift)
            some >>= np.uint64(64 - width)
        else:
            rows = np.ndarray((len(some), size + 1), np.uint8, data, at, (stride, 1))
            bytes_ = rows[:, :-1]
            if shift:
                bytes_ = bytes_ << shift | rows[:, 1:] >> (8 - shift)
            if width % 8:
                bytes_ = np.append(bytes_[:, :-1], bytes_[:, -1:] & (0xFF00 >> width % 8 & 0xFF), axis=1)
            some[:] = np.ascontiguousarray(bytes_).view(words.dtype)[:, 0]
    return words
