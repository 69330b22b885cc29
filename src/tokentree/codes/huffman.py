r"""Huffman codes: optimal codeword lengths, found in batches, and the canonical code that has them.

The lengths. Huffman's algorithm joins the two smallest weights until one is left. Keep two queues, the
sorted leaves and the merged (inner) nodes; inner nodes are made in ascending order, so both stay sorted. If s
is the sum of the two smallest weights at hand, every node still to come weighs at least s. So whatever weighs
at most s is next in line already, and all of it can be paired up in one go. Over two rounds the smallest
weight at least doubles, so there are a few dozen rounds as a rule, and some 3,000 over the range of float64.
Where a round would join too few to be worth one, the queues are taken item by item.

The depths. The queues are consumed in one sorted order, leaves before inner nodes on ties (which also keeps
the longest codeword shortest). Items 2k and 2k + 1 of that order are the children of inner node k, so depth
never increases along it, and to know the tree is to know where in that order each level begins.

The code. Only the lengths matter to the cost, so the codewords are the canonical ones: on every level of the
code tree the leaves come first, in the order of their symbols, and the inner nodes after them. With c[l]
leaves at depth l, node i of depth l has parent c[l - 1] + i // 2, and inner node i has children 2 (i - c[l])
and 2 (i - c[l]) + 1. No number exceeds the number of symbols, however long the codewords.
"""

from array import array
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
from jaxtyping import Float, Int, Shaped, UInt8

from .._lib import checks
from .._lib.checks import Numbers
from .._lib.display import ROWS, table
from ..trees import TokenTree
from .lengths import huffman_lengths

_WINDOW = 16
"""Codewords up to this many bits are decoded by one table look-up."""


@dataclass(frozen=True, init=False, eq=False, repr=False)
class HuffmanCode:
    r"""A complete canonical prefix code for the symbols 0 to M - 1.

    Parameters
    ----------
    lengths : array_like of int, shape (M,)
        Length of each symbol's codeword in bits. Their Kraft sum must be 1: no prefix code has a larger one,
        and an optimal code wastes nothing. Codewords of the same length are numbered in the order of the
        symbols, and shorter ones come first.

    Attributes
    ----------
    lengths : ndarray of int64, shape (M,)
        Read-only. Two codes are equal when their lengths are.

    Raises
    ------
    ValueError
        If the lengths are not one-dimensional, there are none, one is negative or longer than M - 1, or the
        Kraft sum is not 1.
    TypeError
        If the lengths are not integers.

    Notes
    -----
    A Huffman code spends a whole number of bits on every symbol, so it may lose up to one bit per symbol
    against the entropy, and it never spends less than one bit when there are two symbols or more. Where that
    matters (a symbol of probability near 1, a small alphabet, a model that changes from symbol to symbol) use
    arithmetic coding, or code blocks of symbols. Huffman (1952); Cover and Thomas, *Elements of Information
    Theory*, sections 5.6 to 5.8; canonical codes: Schwartz and Kallick (1964).

    Examples
    --------
    >>> code = HuffmanCode.from_weights([0.25, 0.25, 0.2, 0.15, 0.15])
    >>> code
    <HuffmanCode: 5 symbols, 2 to 3 bits>
    >>> code.codewords
    ('00', '01', '10', '110', '111')
    >>> code.decode(code.encode([3, 0, 4]))
    array([3, 0, 4])
    """

    lengths: Int[np.ndarray, "symbols"]

    def __init__(self, lengths: Annotated[Numbers, "symbols"]) -> None:
        depths = _integers("lengths", lengths)
        if not depths.size:
            raise ValueError("lengths is empty: a code needs at least one symbol")
        longest = depths.size - 1
        _within(
            "lengths",
            depths,
            longest + 1,
            f"a complete code of {depths.size} symbols has lengths 0 to {longest}",
        )
        depths = depths.astype(np.int64)
        depths.setflags(write=False)
        object.__setattr__(self, "lengths", depths)
        if self.kraft_sum != 1:
            side = "above" if self.kraft_sum > 1 else "below"
            gap = float(abs(self.kraft_sum - 1))
            raise ValueError(f"lengths have a Kraft sum {gap:.6g} {side} 1: a complete code has exactly 1")

    @classmethod
    def from_weights(cls, weights: Annotated[Numbers, "symbols"]) -> "HuffmanCode":
        """Optimal code for `weights`: see `huffman_lengths` for what they may be and for what it raises."""
        return cls(huffman_lengths(weights))

    @classmethod
    def from_tree(cls, tree: TokenTree) -> "HuffmanCode":
        """Optimal code for the leaves of `tree`, leaf i in lexicographic order being symbol i."""
        return cls.from_weights(tree.weights[tree._leaf_nodes])

    @cached_property
    def codewords(self) -> tuple[str, ...]:
        """Codewords as strings of 0 and 1, one per symbol: as many characters as `lengths` sum to."""
        text = (self.encode(np.arange(self.lengths.size)) + ord("0")).tobytes().decode("ascii")
        ends = np.cumsum(self.lengths).tolist()
        return tuple(text[start:end] for start, end in zip([0, *ends], ends, strict=False))

    @cached_property
    def kraft_sum(self) -> Fraction:
        """The sum of 2**-length over all codewords, exactly. It is 1: the code is complete."""
        # From the deepest level up; in a complete code every partial sum is a whole number of nodes.
        total = Fraction(0)
        for count in self._counts[::-1].tolist():
            total = count + total / 2
        return total

    def expected_length(
        self, p: Annotated[Numbers, "*batch symbols"]
    ) -> Float[np.ndarray, "*batch"] | np.float64:
        """Mean codeword length when the symbols follow `p`.

        Parameters
        ----------
        p : array_like, shape (..., M)
            Probabilities; each row sums to 1.

        Returns
        -------
        float64 or ndarray, shape (...)
            Bits per block. At least the cross-entropy of p and 2**-lengths, which is what it is equal to.

        Raises
        ------
        ValueError
            If an entry is negative or not finite, a row does not sum to 1, or the last axis is not M long.

        Examples
        --------
        >>> HuffmanCode([1, 2, 2]).expected_length([[0.5, 0.25, 0.25], [0.0, 1.0, 0.0]])
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

    def encode(self, symbols: Annotated[Numbers, "message"]) -> UInt8[np.ndarray, "bits"]:
        """Codewords of `symbols`, one after the other.

        Parameters
        ----------
        symbols : array_like of int, shape (n,)
            Symbols 0 to M - 1.

        Returns
        -------
        ndarray of uint8
            Bits, one per entry. ``np.packbits`` packs them eight to a byte, and
            ``np.unpackbits(packed, count=bits.size)`` brings them back.

        Raises
        ------
        ValueError
            If the symbols are not one-dimensional or one is not in the code.
        TypeError
            If the symbols are not integers.

        Notes
        -----
        O(bits), vectorised over the symbols: in round k, every codeword's k-th bit from the end.

        Examples
        --------
        >>> HuffmanCode([1, 2, 2]).encode([0, 2, 1])
        array([0, 1, 1, 1, 0], dtype=uint8)
        """
        message = _integers("symbols", symbols)
        _within("symbols", message, self.lengths.size, f"symbols are 0 to {self.lengths.size - 1}")
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
        self, bits: Annotated[Numbers, "bits"], n_symbols: int | None = None
    ) -> Int[np.ndarray, "message"]:
        """Symbols whose codewords, one after the other, are `bits`.

        Parameters
        ----------
        bits : array_like of int or bool, shape (n,)
            Zeros and ones, all of which are decoded.
        n_symbols : int, optional
            How many symbols there must be. A code of one symbol, whose codeword is empty, needs it.

        Returns
        -------
        ndarray of int64
            Symbols 0 to M - 1.

        Raises
        ------
        ValueError
            If the bits are not one-dimensional, are not all 0 or 1, end inside a codeword, or do not hold
            `n_symbols` symbols; or if the code has one symbol and `n_symbols` is missing.
        TypeError
            If the bits are not integers or booleans.

        Notes
        -----
        O(bits), about 5 bytes per bit. The 16 bits from each position on are looked up, all at once, for
        the length of the codeword that would begin there; then one pass hops from codeword to codeword. A
        codeword of more bits is followed bit by bit to its end.

        Examples
        --------
        >>> HuffmanCode([1, 2, 2]).decode([0, 1, 1, 1, 0])
        array([0, 2, 1])
        """
        stream = _integers("bits", bits)
        _within("bits", stream, 2, "bits are 0 or 1")
        size = stream.size
        count = None if n_symbols is None else checks.integer("n_symbols", n_symbols, at_least=0)
        if self.lengths.size == 1:
            if count is None or size:
                raise ValueError(
                    f"bits hold {size} bits and n_symbols = {n_symbols}: the one symbol of this code has an "
                    "empty codeword, so there must be no bits, and n_symbols must be given"
                )
            return np.zeros(count, np.int64)

        # Zeros complete a last codeword that is cut short; it then ends beyond the bits.
        padded = np.zeros(size + max(_WINDOW, self._counts.size), np.uint8)
        padded[:size] = stream
        windows: npt.NDArray[np.uint16] = padded[: size + _WINDOW - 1].astype(np.uint16)
        for width in (1, 2, 4, 8):
            windows = np.left_shift(windows[:-width], width) | windows[width:]
        hop_of, symbol_of = self._table
        covered = int(np.count_nonzero(hop_of))
        hops = hop_of[windows].tobytes()

        starts, deep = array("q"), {}
        position = 0
        while position < size:
            hop = hops[position]
            if not hop:
                # Codewords that fit come first among the windows; the rest number the inner nodes below.
                deep[len(starts)], hop = self._follow(padded.data, position, int(windows[position]) - covered)
            starts.append(position)
            position += hop
        if position > size:
            raise ValueError(f"bits end at {size}, inside the codeword that begins at bits[{starts[-1]}]")
        if count is not None and len(starts) != count:
            raise ValueError(f"bits hold {len(starts)} codewords: n_symbols = {count} must match")
        symbols: npt.NDArray[np.int64] = symbol_of[windows[np.array(starts)]]
        symbols[list(deep)] = list(deep.values())
        return symbols

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, HuffmanCode):
            return NotImplemented
        return np.array_equal(self.lengths, other.lengths)

    def __hash__(self) -> int:
        return hash(self.lengths.tobytes())

    def __repr__(self) -> str:
        return (
            f"<HuffmanCode: {self.lengths.size} symbols, {self.lengths.min()} to {self.lengths.max()} bits>"
        )

    def _repr_html_(self) -> str:
        if self.lengths.size <= ROWS:
            words = self.codewords
            return table(
                ["symbol", "bits", "codeword"],
                len(words),
                lambda i: [i, len(words[i]), words[i]],
                f"HuffmanCode: {len(words)} symbols",
            )
        lengths, counts = (found.tolist() for found in np.unique(self.lengths, return_counts=True))
        caption = f"HuffmanCode: {self.lengths.size:,} symbols"
        return table(["bits", "codewords"], len(lengths), lambda i: [lengths[i], counts[i]], caption)

    def __reduce__(self) -> tuple[Any, ...]:
        # The lengths are the code. Tables made for decoding stay here, and the copy is read-only too.
        return HuffmanCode, (self.lengths,)

    @cached_property
    def _counts(self) -> Int[np.ndarray, "levels"]:
        """Leaves at every depth."""
        counts: npt.NDArray[np.int64] = np.bincount(self.lengths)
        return counts

    @cached_property
    def _order(self) -> Int[np.ndarray, "symbols"]:
        """Symbols from the first codeword to the last."""
        # In the narrowest type that holds the lengths NumPy sorts by radix, in linear time.
        narrow = np.min_scalar_type(self._counts.size)
        order: npt.NDArray[np.intp] = np.argsort(self.lengths.astype(narrow), kind="stable")
        return order

    @cached_property
    def _first(self) -> Int[np.ndarray, "levels"]:
        """Where each depth begins in `_order`."""
        first: npt.NDArray[np.int64] = np.cumsum(self._counts) - self._counts
        return first

    @cached_property
    def _nodes(self) -> Int[np.ndarray, "symbols"]:
        """Number of each symbol's leaf on its level."""
        nodes = np.empty_like(self._order)
        nodes[self._order] = np.arange(nodes.size) - np.repeat(self._first, self._counts)
        return nodes

    @cached_property
    def _table(self) -> tuple[UInt8[np.ndarray, "windows"], Int[np.ndarray, "windows"]]:
        """Length and symbol of the codeword that begins each window; both 0 where it is longer."""
        short = self._order[: self._counts[: _WINDOW + 1].sum()]
        spans = 1 << (_WINDOW - self.lengths[short])
        hops, symbols = np.zeros(1 << _WINDOW, np.uint8), np.zeros(1 << _WINDOW, np.int64)
        hops[: spans.sum()] = np.repeat(self.lengths[short], spans)
        symbols[: spans.sum()] = np.repeat(short, spans)
        return hops, symbols

    @cached_property
    def _levels(self) -> list[tuple[int, int]]:
        """`_counts` and `_first` as Python numbers, for a walk down one path."""
        return list(zip(self._counts.tolist(), self._first.tolist(), strict=True))

    def _follow(self, bits: memoryview, start: int, node: int) -> tuple[int, int]:
        """Symbol and length of the codeword at `start` that passes the inner node `node` below the window."""
        depth = _WINDOW
        while True:
            node = 2 * node + bits[start + depth]
            depth += 1
            count, first = self._levels[depth]
            if node < count:
                return int(self._order[first + node]), depth
            node -= count


def _integers(name: str, value: Numbers) -> Shaped[np.ndarray, "entries"]:
    """`value` as a one-dimensional array of whole numbers."""
    entries = checks.integer_array(name, value)
    if entries.ndim != 1:
        raise ValueError(f"{name} has shape {entries.shape}: must be one-dimensional")
    # An array of booleans would be a mask where it serves as an index.
    return entries.view(np.uint8) if entries.dtype == np.bool_ else entries


def _within(name: str, entries: Shaped[np.ndarray, "entries"], stop: int, rule: str) -> None:
    """Refuse entries outside 0 to `stop` - 1."""
    if entries.size and not (entries.min() >= 0 and entries.max() < stop):
        checks.fail_at(name, entries, (entries < 0) | (entries >= stop), rule)
