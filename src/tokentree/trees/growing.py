"""Sorting responses into the bands of a counted tree."""

import sys
from collections.abc import Callable, Iterable

import numpy as np
from jaxtyping import Int, Num, Shaped, UInt

from .bands import _PIECE, Band, Bands, _pieces
from .responses import FEW

_ONE_ROUND = 58
"""Bits that a word holds together with their number."""

_POWERS = np.uint64(1) << np.arange(63, -1, -1, dtype=np.uint64)


def grow(
    flat: Shaped[np.ndarray, "..."],
    lengths: Int[np.ndarray, "n"],
    weights: Num[np.ndarray, "n"] | None,
    q: int,
    cap: int | None,
) -> Bands:
    """Sort the responses, at most `cap` tokens deep.

    `flat` holds their symbols, as one row or as a matrix with one row each; only the last may be shorter.
    """
    bits = max(1, (q - 1).bit_length())
    if flat.ndim == 2:
        longest, shortest = flat.shape[1], int(lengths[-1])
        at = np.arange(len(lengths)) * longest
    else:
        shortest, longest = int(lengths.min()), int(lengths.max())
        at = np.cumsum(lengths) - lengths
    depth = longest + 1
    if cap is not None and cap < depth:
        depth, shortest, longest, lengths = (
            cap,
            min(shortest, cap),
            min(longest, cap),
            np.minimum(lengths, cap),
        )
    total = np.array([len(lengths) if weights is None else weights.sum()])
    read = _reader(flat, bits)
    bands: list[Band] = []
    group, n_groups, base = np.zeros(0, np.uint64), 1, 0
    while base < depth:
        room = 64 - (n_groups - 1).bit_length()
        s, height, low = _span(shortest, longest, bits, room, depth - base)
        key = read(at, s, base)
        if low:
            _close(key, np.minimum(lengths, s), s, bits, low)
        if n_groups > 1:
            key |= group << np.uint64(s * bits + low)
        base += height
        if weights is None and base == depth:
            key.sort()
        else:
            order = np.argsort(key)
            key = key[order]
            weights = None if weights is None else weights[order]
        # With one entry more than `run_starts` gives, so that the last word has an end too.
        new = np.ones(len(key) + 1, dtype=bool)
        np.not_equal(key[1:], key[:-1], out=new[1:-1])
        (first,) = new.nonzero()
        words = key[new[:-1]]
        ends = (words & np.uint64(2**low - 1)).astype(np.int8) if low else np.array([s], np.int8)
        bands.append(Band(words, ends, *_weighed(weights, first), s, height, bits, low))
        if base < depth:
            on = np.broadcast_to(ends == height, words.shape)
            label = np.cumsum(new[:-1]) - 1
            go = on[label]
            order, n_groups = order[go], int(np.count_nonzero(on))
            at, lengths, longest = at[order] + height, lengths[order] - height, longest - height
            shortest = int(lengths.min(initial=longest))
            weights = None if weights is None else weights[go]
            group = (np.cumsum(on) - 1)[label[go]].astype(np.uint64)
    return Bands(tuple(bands), np.min_scalar_type(-q), total)


def _span(shortest: int, longest: int, bits: int, room: int, left: int) -> tuple[int, int, int]:
    """Symbols in the next words of `room` bits, levels that they span, and bits for how many they are.

    No bits are needed for that number if no response ends among these symbols.
    """
    s, low = min(room // bits, left, longest), 0
    if shortest < s:
        while s * bits + s.bit_length() > room:
            s -= 1
        low = s.bit_length()
    # If no symbol is left below these, the next level is all end-of-sequence: include it.
    return s, s + (s == longest and s < left), low


def _close(key: UInt[np.ndarray, "n"], local: Int[np.ndarray, "n"], s: int, bits: int, low: int) -> None:
    """In each word of s symbols, replace those after the response's own by the number of its own."""
    behind = ((s - local) * bits).astype(np.uint64)
    key >>= behind
    key <<= behind + np.uint64(low)
    key |= local.astype(np.uint64)


def _weighed(
    weights: Num[np.ndarray, "n"] | None, first: Int[np.ndarray, "edges"]
) -> tuple[Int[np.ndarray, "edges"] | None, Num[np.ndarray, "words"] | None]:
    """The weight of each word, as a band keeps it: counts before each word, or masses."""
    if weights is None:
        return first, None
    if weights.dtype.kind == "i":
        return np.append(0, np.cumsum(weights))[first], None
    return None, np.add.reduceat(weights, first[:-1])


def _reader(
    flat: Shaped[np.ndarray, "..."], bits: int
) -> Callable[[Int[np.ndarray, "n"], int, int], UInt[np.ndarray, "n"]]:
    """A function that packs the next s symbols of each response, given their positions and depth."""
    if bits == 1 and flat.ndim == 2 and len(flat) <= FEW and flat.shape[1] <= _ONE_ROUND:
        return lambda at, s, _: flat[:, :s] @ _POWERS[64 - s :]
    if bits == 1:
        stream = _stream(flat)
        return lambda at, s, _: _windows(stream, at, s)
    row = flat.ravel()

    def read(at: Int[np.ndarray, "n"], s: int, depth: int) -> UInt[np.ndarray, "n"]:
        # At the root a matrix has them in columns already.
        if depth == 0 and flat.ndim == 2:
            return _pack(flat.T[:s], len(at), bits)
        return _pack((row.take(at + j, mode="clip") for j in range(s)), len(at), bits)

    return read


def _pack(columns: Iterable[UInt[np.ndarray, "n"]], n: int, bits: int) -> UInt[np.ndarray, "n"]:
    """Columns of symbols as one unsigned number per row, first symbol most significant."""
    word = np.zeros(n, dtype=np.uint64)
    for column in columns:
        word <<= np.uint64(bits)
        word |= column
    return word


def _stream(flat: UInt[np.ndarray, "..."]) -> UInt[np.ndarray, "words"]:
    """Bits in one row, 64 per word, with room to read two words anywhere."""
    row, stream = flat.ravel(), np.empty(flat.size // 64 + 2, dtype=np.uint64)
    octets = stream.view(np.uint8)
    octets[flat.size // 8 :] = 0
    # In pieces, because short-lived large arrays cost more than the work on them.
    for first in range(0, len(row), 8 * _PIECE):
        packed = np.packbits(row[first : first + 8 * _PIECE])
        octets[first // 8 : first // 8 + len(packed)] = packed
    return stream.byteswap(inplace=True) if sys.byteorder == "little" else stream


def _windows(stream: UInt[np.ndarray, "words"], at: Int[np.ndarray, "n"], s: int) -> UInt[np.ndarray, "n"]:
    """The s <= 64 bits of the stream from each position on."""
    windows = np.zeros(len(at), dtype=np.uint64)
    if not s:
        return windows
    for first, end in _pieces(0, len(at)):
        word, skip = at[first:end] >> 6, (at[first:end] & 63).astype(np.uint64)
        bits = stream[word] << skip
        if skip.max() > 64 - s:
            # A shift by 64 is undefined, so it is done in two steps.
            bits |= stream[word + 1] >> np.uint64(1) >> (np.uint64(63) - skip)
        np.right_shift(bits, np.uint64(64 - s), out=windows[first:end])
    return windows
