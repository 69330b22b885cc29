"""Sorting responses into the bands of a counted tree."""

import sys
from collections.abc import Iterable

import numpy as np
from jaxtyping import Int, Num, Shaped, UInt

from .bands import _PIECE, Band, Bands, _pieces


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
    depth = int(lengths.max()) + 1
    at = np.arange(len(lengths)) * flat.shape[1] if flat.ndim == 2 else np.cumsum(lengths) - lengths
    if cap is not None and cap < depth:
        depth, lengths = cap, np.minimum(lengths, cap)
    total = np.full(1, len(lengths) if weights is None else weights.sum())
    stream = _stream(flat) if bits == 1 else flat.ravel()
    bands = []
    group, n_groups, base = np.zeros(0, np.uint64), 1, 0
    while base < depth:
        room = 64 - (n_groups - 1).bit_length()
        longest = int(lengths.max())
        s, low = min(room // bits, depth - base, longest), 0
        ragged = int(lengths.min()) < s
        if ragged:
            while s * bits + s.bit_length() > room:
                s -= 1
            low = s.bit_length()
        # If no symbol is left below these, the next level is all end-of-sequence: take it along.
        height = s + (s == longest and base + s < depth)
        local = np.minimum(lengths, s) if ragged else np.full(1, s)

        if bits == 1:
            key = _windows(stream, at, s)
        elif base == 0 and flat.ndim == 2:
            key = _pack(iter(flat.T[:s]), len(at), bits)
        else:
            key = _pack((stream.take(at + j, mode="clip") for j in range(s)), len(at), bits)
        if ragged:
            # What was read behind a response's end goes.
            behind = ((s - local) * bits).astype(np.uint64)
            key >>= behind
            key <<= behind + np.uint64(low)
            key |= local.astype(np.uint64)
        if n_groups > 1:
            key |= group << np.uint64(s * bits + low)
        if weights is None and base + height == depth:
            key.sort()
        else:
            order = np.argsort(key)
            key = key[order]
            weights = None if weights is None else weights[order]
        new = np.ones(len(key) + 1, dtype=bool)
        np.not_equal(key[1:], key[:-1], out=new[1:-1])
        first = np.flatnonzero(new)
        words = key[new[:-1]]
        ends = (words & np.uint64(2**low - 1)).astype(np.int8) if low else local.astype(np.int8)

        edges, masses = None, None
        if weights is None:
            edges = first
        elif weights.dtype.kind == "i":
            edges = np.append(0, np.cumsum(weights))[first]
        else:
            masses = np.add.reduceat(weights, first[:-1])
        bands.append(Band(words, ends, edges, masses, s, height, bits, low))
        base += height
        if base < depth:
            on = np.broadcast_to(ends == height, words.shape)
            label = np.cumsum(new[:-1]) - 1
            go = on[label]
            order, n_groups = order[go], int(np.count_nonzero(on))
            at, lengths = at[order] + height, lengths[order] - height
            weights = None if weights is None else weights[go]
            group = (np.cumsum(on) - 1)[label[go]].astype(np.uint64)
    return Bands(tuple(bands), np.min_scalar_type(-q), total)


def _pack(columns: Iterable[UInt[np.ndarray, "n"]], n: int, bits: int) -> UInt[np.ndarray, "n"]:
    """Columns of symbols as one unsigned number a row, first symbol most significant."""
    word = np.zeros(n, dtype=np.uint64)
    for column in columns:
        word <<= np.uint64(bits)
        word |= column
    return word


def _stream(flat: UInt[np.ndarray, "..."]) -> UInt[np.ndarray, "words"]:
    """Bits in one row, 64 to a word, with room for two words to be read anywhere."""
    row, stream = flat.ravel(), np.empty(flat.size // 64 + 2, dtype=np.uint64)
    octets = stream.view(np.uint8)
    octets[flat.size // 8 :] = 0
    # In pieces, because large arrays that live for a moment cost more than what is done with them.
    for first in range(0, len(row), 8 * _PIECE):
        packed = np.packbits(row[first : first + 8 * _PIECE])
        octets[first // 8 : first // 8 + len(packed)] = packed
    return stream.byteswap(inplace=True) if sys.byteorder == "little" else stream


def _windows(stream: UInt[np.ndarray, "words"], at: Int[np.ndarray, "n"], s: int) -> UInt[np.ndarray, "n"]:
    """The s <= 64 bits of the stream from each place on."""
    windows = np.zeros(len(at), dtype=np.uint64)
    if not s:
        return windows
    for first, end in _pieces(0, len(at)):
        word, skip = at[first:end] >> 6, (at[first:end] & 63).astype(np.uint64)
        bits = stream[word] << skip
        if skip.max() > 64 - s:
            # A shift by 64 is not defined, so it is made of two.
            bits |= stream[word + 1] >> np.uint64(1) >> (np.uint64(63) - skip)
        np.right_shift(bits, np.uint64(64 - s), out=windows[first:end])
    return windows
