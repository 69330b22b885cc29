"""Counting trees from weighted responses, or from the blocks of bits or bytes of one long response."""

import os
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Literal

import numpy as np
from jaxtyping import Num

from .._lib import checks
from .._lib.checks import Numbers
from . import bands, runs
from .bands import Bands, Parts
from .growing import grow
from .responses import flattened
from .tokens import _MAX_ALPHABET, _MAX_COUNT

Alphabet = Literal["bits", "bytes"]


def count_sequences(sequences: Any, weights: Numbers | None, alphabet_size: int, depth: int | None) -> Parts:
    """Parts of the tree of `TokenTree.from_sequences`."""
    q = checks.integer("alphabet_size", alphabet_size, at_least=1)
    if q > _MAX_ALPHABET:
        raise ValueError(f"alphabet_size = {q}: must be at most 2**31")
    cap = None if depth is None else checks.integer("depth", depth, at_least=1)
    flat, lengths = flattened("sequences", sequences, q, pass_size=True)
    return _parts(q, grow(flat, lengths, _sequence_weights(weights, len(lengths)), q, cap))


def _sequence_weights(weights: Numbers | None, n: int) -> Num[np.ndarray, "n"] | None:
    if weights is None:
        return None
    array = checks.real_array("weights", weights)
    if array.shape != (n,):
        raise ValueError(f"weights has shape {array.shape}: must be ({n},), one per response")
    checks.nonnegative("weights", array)
    # A float sum suffices to see that 2**63 is near; the exact sum follows only if it may matter.
    with np.errstate(over="ignore"):
        total = float(array.sum(dtype=np.float64))
    if array.dtype.kind == "i" and total > 2.0**62 and sum(array.tolist()) > _MAX_COUNT:
        rule = "counts must stay below 2**63; to use masses, pass floats"
        raise ValueError(f"weights add up to {sum(array.tolist())}: {rule}")
    if not 0 < total < np.inf:
        raise ValueError(f"weights add up to {total}: the total must be finite and > 0")
    return array


def count_bytes(name: str, data: bytes | bytearray | memoryview, depth: int, alphabet: Alphabet) -> Parts:
    """Parts of the tree of `TokenTree.from_bytes`."""
    try:
        view = memoryview(data).cast("B")
    except TypeError as error:
        how = "use from_text for a str" if isinstance(data, str) else error
        raise TypeError(f"{name} is a {type(data).__name__}: must be contiguous bytes ({how})") from None
    depth, bits = _block_of(depth, alphabet)
    if not len(view):
        raise ValueError(f"{name} is empty: a dataset needs at least one byte")
    size = runs.batch_bytes(depth * bits)
    return _count_pieces((view[at : at + size] for at in range(0, len(view), size)), depth, bits)


def count_file(
    path: str | os.PathLike[str],
    depth: int,
    alphabet: Alphabet,
    progress: Callable[[int], object] | None,
    start: int,
    stop: int | None,
) -> Parts:
    """Parts of the tree of `TokenTree.from_file`."""
    depth, bits = _block_of(depth, alphabet)
    width, name = depth * bits, f"file {os.fspath(path)!r}"
    start = checks.integer("start", start, at_least=0)
    stop = None if stop is None else checks.integer("stop", stop, at_least=0)
    with open(path, "rb") as file:
        first, limit, left, seen = 0, None, None, 0
        # A stream without seek, such as a pipe, can still be read from start to end.
        if start or stop is not None:
            seen = file.seek(0, os.SEEK_END)
            first, limit, left = _blocks_in(start, stop, width, seen, name)
            file.seek(first * width // 8)

        def pieces() -> Iterator[memoryview]:
            nonlocal left, seen
            most = runs.batch_bytes(width)
            while piece := file.read(most if left is None else min(most, left)):
                left = None if left is None else left - len(piece)
                seen += len(piece)
                if progress is not None:
                    progress(len(piece))
                yield memoryview(piece)

        parts = _count_pieces(pieces(), depth, bits, first * width % 8, limit)
    if left:
        raise OSError(f"{name} lost the last {left} bytes of the range while it was read")
    if not seen:
        raise ValueError(f"{name} is empty: a dataset needs at least one byte")
    return parts


def _block_of(depth: int, alphabet: Alphabet) -> tuple[int, int]:
    """A block's length in symbols, and the number of bits per symbol."""
    depth = checks.integer("depth", depth, at_least=1)
    if alphabet not in ("bits", "bytes"):
        raise ValueError(f"alphabet = {alphabet!r}: must be 'bits' or 'bytes'")
    return depth, 1 if alphabet == "bits" else 8


def _blocks_in(
    start: int, stop: int | None, width: int, size: int, name: str
) -> tuple[int, int | None, int | None]:
    """The first block that begins in a range of a file, the number of blocks, and the bytes that hold them.

    None means all up to the end of the file.
    """
    first, limit, left = -(-8 * start // width), None, None
    if stop is not None:
        # A file that grows meanwhile is read to its former end.
        left = max(0, size - first * width // 8)
        if stop < size:
            limit = -(-8 * stop // width) - first
            left = min(left, -(-(first + limit) * width // 8) - first * width // 8)
    if size and (first > 8 * size // width or (limit is not None and limit <= 0)):
        raise ValueError(f"no block begins in bytes {start} to {stop} of the {size} of {name}")
    return first, limit, left


def _count_pieces(
    pieces: Iterable[memoryview], depth: int, bits: int, skip: int = 0, limit: int | None = None
) -> Parts:
    """The tree of consecutive blocks of a stream; its last one closes unless `limit` blocks come first."""
    q, width, low = 1 << bits, depth * bits, depth.bit_length()
    words, counts, tail = runs.count(pieces, width, skip, limit)
    last = np.packbits(tail) if bits == 8 and tail is not None else tail
    if not len(words) and last is not None:
        return count_sequences(last[None, :], None, q, depth)
    if width <= runs.WIDEST:
        # In place, because these may take almost all the memory.
        words <<= np.uint64(low)
        words |= np.uint64(depth)
        if last is not None:
            digits = "".join(f"{symbol:0{bits}b}" for symbol in last.tolist()).ljust(width, "0")
            word = np.uint64((int(digits, 2) << low) + len(last))
            at = np.searchsorted(words, word)
            words, counts = np.insert(words, at, word), np.insert(counts, at, 1)
        source = bands.one_band((words, counts), np.min_scalar_type(-q), depth, depth, bits, low)
    else:
        rows = runs.symbols(words, width, bits)
        lengths = np.full(len(rows), depth)
        if last is not None:
            rows = np.append(rows, np.pad(last, (0, depth - len(last)))[None], axis=0)
            lengths, counts = np.append(lengths, len(last)), np.append(counts, 1)
        source = grow(rows, lengths, counts, q, depth)
    return _parts(q, source)


def _parts(q: int, source: Bands) -> Parts:
    return q, None, source
