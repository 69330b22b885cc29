r"""Prefix codes of given lengths: the canonical codewords, coding and decoding.

Only the lengths determine the cost, so the codewords are the canonical ones: on every level of the code tree
the leaves come first, in the order of their symbols, and the internal nodes after them. With c[l] leaves and
i[l] inner nodes at depth l, i[l] = ceil((c[l + 1] + i[l + 1]) / 2), and there is a code of these lengths if
and only if c[0] + i[0] <= 1. Node k of depth l has parent c[l - 1] + k // 2, and inner node k has children 2
(k - c[l]) and 2 (k - c[l]) + 1. No number exceeds the number of symbols, however long the codewords.
"""

import math
import sys
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Annotated, Any, Literal, overload

import numpy as np
import numpy.typing as npt
from jaxtyping import Bool, Float, Int, Shaped, UInt, UInt8

from .._lib import checks
from .._lib.checks import Numbers
from .._lib.display import ROWS, table
from ..information import entropy
from .placing import WORD, placed
from .reading import Table, read

_WINDOWS = (16, 20)
"""Bits of the windows in which codewords are looked up: for small alphabets, and at most."""

_MOST = 2**16
"""Lengths must be below this, because a code is laid out level by level."""


_FEW = 200
"""Number of symbols up to which joining their codewords as text is fastest."""

_SMALL = 10_000
"""Largest code, in symbols, for which codewords are made as text."""


def beside_one(total: Fraction) -> str:
    """Distance of a Kraft sum from 1, even if float64 cannot represent it."""
    gap = abs(total - 1)
    shown = f"{float(gap):.6g}"
    if float(gap) < sys.float_info.min:
        # The denominator is a power of two.
        power = round(math.log2(gap.numerator)) - gap.denominator.bit_length() + 1
        shown = f"{'' if gap.numerator == 1 else 'about '}2^{power}"
    return f"{shown} {'above' if total > 1 else 'below'} 1"


@dataclass(frozen=True, init=False, eq=False, repr=False)
class PrefixCode:
    r"""The canonical binary prefix code of given lengths, for the symbols 0 to M - 1.

    Parameters
    ----------
    lengths : array_like of int, shape (M,)
        Length of each symbol's codeword in bits, below 2^16. Their Kraft sum, the sum of 2^-length, must be
        at most 1, as for every prefix code. Codewords of the same length are numbered in the order of the
        symbols, and shorter ones come first.

    Attributes
    ----------
    lengths : ndarray of int64, shape (M,)
        Read-only. Two codes are equal when their lengths are.

    Raises
    ------
    ValueError
        If the lengths are not one-dimensional, there are none, one is negative or 2^16 or more, or the Kraft
        sum is above 1.
    TypeError
        If the lengths are not integers.

    Notes
    -----
    A `HuffmanCode` has Kraft sum 1, so that every bit sequence can be decoded. Kraft (1949); Cover and
    Thomas, *Elements of Information Theory*, section 5.2; canonical codes: Schwartz and Kallick (1964).

    Examples
    --------
    >>> code = PrefixCode([1, 3, 3])
    >>> code
    <PrefixCode: 3 symbols, 1 to 3 bits>
    >>> code.codewords, code.kraft_sum
    (('0', '100', '101'), Fraction(3, 4))
    >>> code.decode(code.encode([2, 0, 1]))
    array([2, 0, 1])
    """

    lengths: Int[np.ndarray, "symbols"]

    def __init__(self, lengths: Annotated[Numbers, "symbols"]) -> None:
        depths = whole_numbers("lengths", lengths)
        if not depths.size:
            raise ValueError("lengths is empty: a code needs at least one symbol")
        stop, rule = self._allowed(depths.size)
        within("lengths", depths, stop, rule)
        self._set(depths.astype(np.int64))
        self._check()

    @staticmethod
    def _allowed(size: int) -> tuple[int, str]:
        """The smallest length that is too long, and the rule."""
        return _MOST, f"lengths are 0 to {_MOST - 1}"

    def _check(self) -> None:
        if self.kraft_sum > 1:
            raise ValueError(
                f"lengths have a Kraft sum {beside_one(self.kraft_sum)}: a prefix code has at most 1"
            )

    def _set(self, lengths: Int[np.ndarray, "symbols"]) -> None:
        lengths.setflags(write=False)
        object.__setattr__(self, "lengths", lengths)

    @cached_property
    def codewords(self) -> tuple[str, ...]:
        """Codewords as strings of 0 and 1, one per symbol, with ``lengths.sum()`` characters in all."""
        octets, size = self._coded(np.arange(self.lengths.size))
        text = (np.unpackbits(octets, count=size) + ord("0")).tobytes().decode("ascii")
        ends = np.cumsum(self.lengths).tolist()
        return tuple(text[start:end] for start, end in zip([0, *ends], ends, strict=False))

    @cached_property
    def kraft_sum(self) -> Fraction:
        """The exact sum of 2**-length over all codewords; 1 for a complete code."""
        total = 0
        for count in self._counts.tolist():
            total = 2 * total + count
        return Fraction(total, 1 << (self._counts.size - 1))

    def expected_length(
        self, p: Annotated[Numbers, "*batch symbols"]
    ) -> Float[np.ndarray, "*batch"] | np.float64:
        """Mean codeword length for symbols distributed as `p`.

        Parameters
        ----------
        p : array_like, shape (..., M)
            Probabilities; each row sums to 1.

        Returns
        -------
        float64 or ndarray, shape (...)
            Bits per block, equal to the cross-entropy of p and 2**-lengths.

        Raises
        ------
        ValueError
            If an entry is negative or not finite, a row does not sum to 1, or the last axis is not M long.

        Examples
        --------
        >>> PrefixCode([1, 2, 2]).expected_length([[0.5, 0.25, 0.25], [0.0, 1.0, 0.0]])
        array([1.5, 2. ])
        """
        rows = checks.distributions("p", p)
        if rows.shape[-1] != self.lengths.size:
            raise ValueError(
                f"p has {rows.shape[-1]} leaves and the code {self.lengths.size} symbols: they must match"
            )
        bits = np.multiply(rows, self.lengths, order="C")
        mean: Float[np.ndarray, "*batch"] | np.float64 = bits.sum(axis=-1)
        return mean

    def redundancy(self, p: Annotated[Numbers, "*batch symbols"]) -> Float[np.ndarray, "*batch"] | np.float64:
        """Bits per symbol in excess of the entropy of `p`, the most that a better code could save.

        Parameters, errors and cost are those of `expected_length`. Never negative. For the optimal code of
        `p` it is below 1 (Cover and Thomas, section 5.4).

        Returns
        -------
        float64 or ndarray
            One per distribution.

        Examples
        --------
        >>> PrefixCode([1, 1]).redundancy([0.5, 0.5]), PrefixCode([1, 1]).redundancy([1.0, 0.0])
        (np.float64(0.0), np.float64(1.0))
        """
        rows = np.asarray(checks.distributions("p", p))
        beyond: Float[np.ndarray, "*batch"] | np.float64 = np.maximum(
            self.expected_length(rows) - entropy(rows), 0.0
        )
        return beyond

    def efficiency(self, p: Annotated[Numbers, "*batch symbols"]) -> Float[np.ndarray, "*batch"] | np.float64:
        """Share of the bits that `p` requires: its entropy over the expected length.

        Parameters, errors and cost are those of `expected_length`. From 0 to 1; 1 if no bits are used.

        Returns
        -------
        float64 or ndarray
            One for each distribution.

        Examples
        --------
        >>> PrefixCode([1, 2, 2]).efficiency([0.5, 0.25, 0.25])
        np.float64(1.0)
        """
        rows = np.asarray(checks.distributions("p", p))
        spent = np.asarray(self.expected_length(rows))
        shares = np.divide(entropy(rows), spent, out=np.ones_like(spent), where=spent > 0)
        share: Float[np.ndarray, "*batch"] | np.float64 = np.minimum(shares, 1.0)
        return share

    @overload
    def encode(
        self, symbols: Annotated[Numbers, "message"], *, packed: Literal[False] = False
    ) -> UInt8[np.ndarray, "bits"]: ...

    @overload
    def encode(self, symbols: Annotated[Numbers, "message"], *, packed: Literal[True]) -> bytes: ...

    def encode(
        self, symbols: Annotated[Numbers, "message"], *, packed: bool = False
    ) -> UInt8[np.ndarray, "bits"] | bytes:
        """Concatenated codewords of `symbols`.

        Parameters
        ----------
        symbols : array_like of int, shape (n,)
            Symbols 0 to M - 1.
        packed : bool
            Whether to return bytes, with the first bit in the most significant position; zeros fill the last
            byte.

        Returns
        -------
        ndarray of uint8, or bytes
            Bits, one per entry, or packed bytes.

        Raises
        ------
        ValueError
            If the symbols are not one-dimensional or one is not in the code.
        TypeError
            If the symbols are not integers.

        Notes
        -----
        O(n), vectorised: neighbouring codewords are joined into words of up to 64 bits, which are shifted
        into place. Codes with longer codewords take O(bits).

        Examples
        --------
        >>> code = PrefixCode([1, 2, 2])
        >>> code.encode([0, 2, 1])
        array([0, 1, 1, 1, 0], dtype=uint8)
        >>> code.encode([0, 2, 1], packed=True)
        b'p'
        """
        message = whole_numbers("symbols", symbols)
        within("symbols", message, self.lengths.size, f"symbols are 0 to {self.lengths.size - 1}")
        if message.size <= _FEW and self.lengths.size <= _SMALL:
            text = "".join(map(self.codewords.__getitem__, message.tolist()))
            # The last bit of a digit's character is the digit.
            bits = np.frombuffer(text.encode("ascii"), np.uint8) & 1
            return np.packbits(bits).tobytes() if packed else bits
        octets, size = self._coded(message)
        return octets.tobytes() if packed else np.unpackbits(octets, count=size)

    def _coded(self, message: Shaped[np.ndarray, "message"]) -> tuple[UInt8[np.ndarray, "bytes"], int]:
        """A message packed into bytes, and its bits."""
        if self._counts.size <= WORD + 1:
            return placed(message, *self._codes)
        bits = self._bit_by_bit(message)
        return np.packbits(bits), bits.size

    def _bit_by_bit(self, message: Shaped[np.ndarray, "message"]) -> UInt8[np.ndarray, "bits"]:
        """Codewords of any length: in round k, every codeword's k-th bit from the end."""
        node = self._nodes[message]
        depth = self.lengths[message]
        end = np.cumsum(depth)
        bits = np.empty(int(depth.sum()), np.uint8)
        while (going := depth > 0).any():
            if not going.all():
                node, depth, end = node[going], depth[going], end[going]
            depth, end = depth - 1, end - 1
            bits[end] = node & 1
            node = self._counts[depth] + (node >> 1)
        return bits

    def decode(
        self, bits: bytes | Annotated[Numbers, "bits"], n_symbols: int | None = None
    ) -> Int[np.ndarray, "message"]:
        """Symbols with codewords that concatenate to `bits`.

        Parameters
        ----------
        bits : bytes, or array_like of int or bool, shape (n,)
            Packed bits, or zeros and ones. Without `n_symbols`, all of them are decoded.
        n_symbols : int, optional
            Number of symbols to decode; bits after them are ignored. It is required for packed bits, where
            padding cannot be distinguished from codewords, and for a code with an empty codeword.

        Returns
        -------
        ndarray of int64
            Symbols 0 to M - 1.

        Raises
        ------
        ValueError
            If the bits are not one-dimensional, are not all 0 or 1, end within a codeword, contain fewer than
            `n_symbols` codewords, or begin no codeword at some point; or if `n_symbols` is missing.
        TypeError
            If the bits are not integers or booleans.

        Notes
        -----
        O(bits), vectorised: about a thousand segments of the bits are read at once, codeword by codeword,
        each starting a little before its beginning. By its beginning it has usually synchronised with the
        preceding segment; otherwise the bits are read one codeword at a time until it has. Codewords too long
        for a table of 2^16 windows, or 2^20 for large alphabets, are followed bit by bit.

        Examples
        --------
        >>> code = PrefixCode([1, 2, 2])
        >>> code.decode([0, 1, 1, 1, 0])
        array([0, 2, 1])
        >>> code.decode(b"p", n_symbols=3)
        array([0, 2, 1])
        """
        count = None if n_symbols is None else checks.integer("n_symbols", n_symbols, at_least=0)
        if isinstance(bits, bytes) and count is None:
            raise ValueError(
                f"bits are {len(bits)} bytes: packed bits need n_symbols, the number of symbols in them"
            )
        octets, size = octets_of(bits)
        if self.lengths.size == 1 and not self.lengths[0]:
            if count is None or size:
                raise ValueError(
                    f"bits hold {size} bits and n_symbols = {n_symbols}: the one symbol of this code has an "
                    "empty codeword, so there must be no bits, and n_symbols must be given"
                )
            return np.zeros(count, np.int64)
        if count is not None:
            size = min(size, count * (self._counts.size - 1))
        symbols, whole, end = self._read(octets, size)
        if count is not None and count <= whole:
            return symbols[:count]
        self._refuse(symbols, whole, size, end)
        if count is not None:
            raise ValueError(f"bits hold {whole} codewords: n_symbols = {count} must match")
        return symbols

    def _begun(
        self, bits: bytes | Annotated[Numbers, "bits"], closing: Bool[np.ndarray, "symbols"]
    ) -> Int[np.ndarray, "message"]:
        """Symbols up to the first in `closing`, or all if there is none."""
        octets, size = octets_of(bits)
        symbols, whole, end = self._read(octets, size)
        last = np.flatnonzero(closing[symbols[:whole]])
        if last.size:
            return symbols[: last[0] + 1]
        self._refuse(symbols, whole, size, end)
        return symbols

    def _refuse(self, symbols: Int[np.ndarray, "message"], whole: int, size: int, end: int) -> None:
        """Refuse bits that end within a codeword, or that begin no codeword."""
        if end > size:
            begun = end - int(self._spans[symbols[-1]])
            raise ValueError(f"bits end at {size}, inside the codeword that begins at bits[{begun}]")
        if whole < symbols.size:
            raise ValueError(f"bits[{int(self._spans[symbols[:whole]].sum())}] begins no codeword")

    def _read(
        self, octets: UInt8[np.ndarray, "bytes"], size: int
    ) -> tuple[Int[np.ndarray, "message"], int, int]:
        """Symbols in the first `size` bits, how many are whole codewords, and where the last one ends.

        M stands for a bit that begins no codeword.
        """
        symbols, end = read(octets, size, self._table)
        whole = symbols.size - (end > size)
        if self.kraft_sum < 1:
            strange = np.flatnonzero(symbols == self.lengths.size)
            if strange.size and strange[0] < whole:
                return symbols, int(strange[0]), min(end, size)
        return symbols, whole, end

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, PrefixCode):
            return NotImplemented
        return np.array_equal(self.lengths, other.lengths)

    def __hash__(self) -> int:
        return hash(self.lengths.tobytes())

    def __repr__(self) -> str:
        lengths = self.lengths
        return f"<{type(self).__name__}: {lengths.size} symbols, {lengths.min()} to {lengths.max()} bits>"

    def _repr_html_(self) -> str:
        caption = f"{type(self).__name__}: {self.lengths.size:,} symbols"
        if self.lengths.size <= ROWS:
            words = self.codewords
            return table(
                ["symbol", "bits", "codeword"],
                len(words),
                lambda i: [i, len(words[i]), words[i]],
                caption,
            )
        lengths, counts = (found.tolist() for found in np.unique(self.lengths, return_counts=True))
        return table(["bits", "codewords"], len(lengths), lambda i: [lengths[i], counts[i]], caption)

    def __reduce__(self) -> tuple[Any, ...]:
        # The lengths determine the code. Decoding tables are not pickled, and the copy is read-only too.
        return type(self), (self.lengths,)

    @cached_property
    def _counts(self) -> Int[np.ndarray, "levels"]:
        """Leaves at every depth."""
        counts: npt.NDArray[np.int64] = np.bincount(self.lengths)
        return counts

    @cached_property
    def _order(self) -> Int[np.ndarray, "symbols"]:
        """Symbols in the order of their codewords."""
        # In the narrowest type that holds the lengths, NumPy uses a radix sort, in linear time.
        narrow = np.min_scalar_type(self._counts.size)
        order: npt.NDArray[np.intp] = np.argsort(self.lengths.astype(narrow), kind="stable")
        return order

    @cached_property
    def _nodes(self) -> Int[np.ndarray, "symbols"]:
        """Index of each symbol's leaf on its level."""
        first = np.cumsum(self._counts) - self._counts
        nodes = np.empty_like(self._order)
        nodes[self._order] = np.arange(nodes.size) - np.repeat(first, self._counts)
        return nodes

    @cached_property
    def _codes(self) -> tuple[UInt[np.ndarray, "symbols_1"], UInt[np.ndarray, "symbols_1"]]:
        """Codewords as numbers, and their lengths, followed by an empty codeword."""
        first, firsts = 0, []
        for count in self._counts.tolist():
            firsts.append(first)
            first = 2 * (first + count) % 2**WORD
        codewords = np.array(firsts, np.uint64)[self.lengths] + self._nodes.astype(np.uint64)
        return np.append(codewords, np.uint64(0)), np.append(self.lengths, 0).astype(np.uint64)

    @cached_property
    def _spans(self) -> Int[np.ndarray, "symbols_1"]:
        """Bits read per symbol; one for a bit that begins no codeword."""
        return np.append(self.lengths, 1)

    @cached_property
    def _levels(self) -> list[tuple[int, int, int]]:
        """Leaves and internal nodes of each level, and the start of its leaves in `_order`."""
        counts = self._counts.tolist()
        inner = [0]
        for count in counts[:0:-1]:
            inner.append(-(-(count + inner[-1]) // 2))
        first = (np.cumsum(self._counts) - self._counts).tolist()
        return list(zip(counts, inner[::-1], first, strict=True))

    @cached_property
    def _table(self) -> Table:
        size = self.lengths.size
        low, high = _WINDOWS
        width = max(low, min(high, size.bit_length() + 2))
        short = self._order[: self._counts[: width + 1].sum()]
        spans = 1 << (width - self.lengths[short])
        # First the codewords that fit, then windows that begin longer ones, then those that begin none.
        covered = int(spans.sum())
        longer = covered + (self._levels[width][1] if width < len(self._levels) else 0)
        symbols, lengths = np.full(1 << width, size), np.ones(1 << width, np.int64)
        symbols[:covered], lengths[:covered] = np.repeat(short, spans), np.repeat(self.lengths[short], spans)
        symbols[covered:longer], lengths[covered:longer] = size + 1, 0
        step = math.gcd(*np.flatnonzero(self._counts).tolist())
        return Table(width, symbols, lengths, size, step, self._follow, self._spans)

    def _follow(self, octets: memoryview, start: int) -> tuple[int, int]:
        """Symbol and length of the codeword at bit `start`, by descending the code tree."""
        node = 0
        for depth, (count, inner, first) in enumerate(self._levels):
            if node < count:
                return int(self._order[first + node]), depth
            node -= count
            if node >= inner:
                break
            at, place = divmod(start + depth, 8)
            node = 2 * node + (octets[at] >> (7 - place) & 1 if at < len(octets) else 0)
        return self.lengths.size, 1


def octets_of(bits: Any) -> tuple[UInt8[np.ndarray, "bytes"], int]:
    """Bits packed into bytes, and their number."""
    if isinstance(bits, bytes):
        return np.frombuffer(bits, np.uint8), 8 * len(bits)
    stream = whole_numbers("bits", bits)
    within("bits", stream, 2, "bits are 0 or 1")
    return np.packbits(stream.astype(np.uint8, copy=False)), stream.size


def whole_numbers(name: str, value: Numbers) -> Shaped[np.ndarray, "entries"]:
    """`value` as a one-dimensional array of integers."""
    entries = checks.integer_array(name, value)
    if entries.ndim != 1:
        raise ValueError(f"{name} has shape {entries.shape}: must be one-dimensional")
    # A boolean array used as an index would be a mask.
    return entries.view(np.uint8) if entries.dtype == np.bool_ else entries


def within(name: str, entries: Shaped[np.ndarray, "entries"], stop: int, rule: str) -> None:
    """Refuse entries outside 0 to `stop` - 1."""
    if entries.size and not (entries.min() >= 0 and entries.max() < stop):
        checks.fail_at(name, entries, (entries < 0) | (entries >= stop), rule)
