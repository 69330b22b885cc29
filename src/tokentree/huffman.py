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

import math
from array import array
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import numpy.typing as npt
from jaxtyping import Float, Int, Shaped, UInt8

from . import _checks, _html
from ._checks import Numbers

if TYPE_CHECKING:
    import tokentree.tree

_WINDOW = 16
"""Codewords up to this many bits are decoded by one table look-up."""

_ROUND = 64
"""Symbols that a loop merges in the time of one round over arrays."""

_OUTLIERS = 256
"""One weight in so many, at either end, says nothing of how many rounds it takes."""

_FEW = 64
"""Thresholds up to which comparing with each is faster than sorting."""

_SHORT = 1000
"""Weights up to which a search for each is faster than either."""

_BLOCK = 2**14
"""Weights compared at once."""


def huffman_lengths(
    weights: Annotated[Numbers, "leaves"],
) -> Int[np.ndarray, "leaves"]:
    r"""Codeword lengths of an optimal binary prefix code.

    The lengths l minimise sum w l over all prefix codes with a codeword for every symbol, also one of weight
    zero. No optimal code has a shorter longest codeword. Among symbols of equal weight, an earlier one never
    gets the longer codeword.

    Parameters
    ----------
    weights : array_like, shape (M,)
        Weights >= 0, of any total. Integers of any size, and integers and Fractions together, are computed
        with exactly. With floats every merged weight is rounded to float64, so the cost may exceed the
        optimum, by a factor of at most about 1 + M / 2**52. If all weights are zero every complete code is
        optimal, and the lengths differ by at most one.

    Returns
    -------
    ndarray of int64, shape (M,)
        Lengths in bits. A single symbol gets length 0.

    Raises
    ------
    ValueError
        If the weights are not one-dimensional, there are none, or one is negative, not finite or masked; or
        if an integer beside floats is none that float64 has.
    TypeError
        If a weight is no int, float or Fraction, or Fractions stand beside floats.

    Notes
    -----
    O(M log M). One sort of the weights; only codes of more than 64 levels sort the symbols too. Weights are
    merged in about as many vectorised rounds as the longest codeword has bits, or in a plain loop where that
    is the faster; integers beyond int64 and Fractions take the loop, some microseconds each. The result
    depends neither on this nor on the machine. Huffman (1952); the two queues are van Leeuwen's (1976).

    Examples
    --------
    >>> huffman_lengths([0.25, 0.25, 0.2, 0.15, 0.15])
    array([2, 2, 2, 3, 3])
    >>> huffman_lengths([1, 1, 2, 3, 5, 8])
    array([5, 5, 4, 3, 2, 1])
    """
    values = _weights(weights)
    leaves = np.sort(values)
    counts = _level_counts(leaves)
    # The lightest leaves are the deepest, so a weight alone tells its length: levels begin at thresholds.
    ends = np.cumsum(counts[::-1])
    ends = ends[ends < leaves.size]
    thresholds = leaves[ends]
    passed = _passed(thresholds, leaves, values)
    lengths: Int[np.ndarray, "leaves"] = np.subtract(counts.size - 1, passed, dtype=np.int64)
    # Equal weights that fall on several levels: the first symbol stands last among the sorted.
    tied = np.unique(thresholds[leaves[ends - 1] == thresholds])
    order = np.argsort(values, kind="stable") if tied.size > _FEW else None
    for weight in tied:
        begin, stop = leaves.searchsorted(weight), leaves.searchsorted(weight, "right")
        first, last = ends.searchsorted([begin, stop - 1], "right")
        runs = np.diff(ends[first:last], prepend=begin, append=stop)[::-1]
        symbols = values == weight if order is None else order[begin:stop]
        lengths[symbols] = np.repeat(np.arange(counts.size - 1 - last, counts.size - first), runs)
    return lengths


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
    def from_tree(cls, tree: "tokentree.tree.TokenTree") -> "HuffmanCode":
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
        rows = _checks.distributions("p", p)
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
        count = None if n_symbols is None else _checks.integer("n_symbols", n_symbols, at_least=0)
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
        return _html.code_html(self)

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


def _weights(value: Any) -> Shaped[np.ndarray, "leaves"]:
    """`value` in a dtype whose sums do not overflow: int64, float64, or objects that add exactly."""
    weights = _checks.exact_array("weights", value)
    if weights.ndim != 1 or not weights.size:
        raise ValueError(
            f"weights has shape {weights.shape}: must be one-dimensional with at least one weight"
        )
    _checks.nonnegative("weights", weights)
    if weights.dtype == object:
        return weights
    with np.errstate(over="ignore"):
        total = weights.sum(dtype=np.float64)
    if weights.dtype == np.int64:
        return weights if total < 2.0**62 else weights.astype(object)
    # A power of two scales exactly, but for weights some 2**2000 times too small to be noticed in the total.
    return weights if total < 2.0**1022 else np.ldexp(weights, -weights.size.bit_length())


def _level_counts(leaves: Shaped[np.ndarray, "leaves"]) -> Int[np.ndarray, "levels"]:
    """Leaves at every depth of the code tree of the ascending weights `leaves`."""
    consumed = _consumed_in_batches if _worth_batches(leaves) else _consumed_one_by_one
    consumed_at = consumed(leaves)
    # begin[d] inner nodes lie at depth d or more. Their children are the first 2 begin[d] items, and the
    # inner nodes among these are those at depth d + 1 or more.
    begin = [leaves.size - 1]
    while begin[-1]:
        begin.append(consumed_at(begin[-1]))
    inner = -np.diff(begin)
    counts: npt.NDArray[np.int64] = np.append(1, 2 * inner) - np.append(inner, 0)
    return counts


def _worth_batches(leaves: Shaped[np.ndarray, "leaves"]) -> bool:
    """Whether rounds over arrays are expected to beat a loop over numbers."""
    if leaves.dtype == object:
        return False
    positive = leaves[leaves.searchsorted(0, "right") :]
    rounds = math.log2(leaves.size)
    if positive.size:
        # The smallest weight about doubles in a round. A few outliers far away take no more rounds than they
        # are.
        spare = positive.size // _OUTLIERS
        rounds += math.log2(positive[-1 - spare]) - math.log2(positive[spare])
    return leaves.size > _ROUND * rounds


def _consumed_one_by_one(leaves: Shaped[np.ndarray, "leaves"]) -> Callable[[int], int]:
    """How many inner nodes are consumed when so many have been made; two queues, taken literally."""
    next_leaf = [math.inf, *leaves[::-1].tolist()].pop
    nodes = [math.inf] * leaves.size
    consumed = [0] * leaves.size
    node = 0
    light, merged = next_leaf(), math.inf
    for made in range(leaves.size - 1):
        if light <= merged:
            weight = light
            light = next_leaf()
        else:
            weight = merged
            node += 1
            merged = nodes[node]
        if light <= merged:
            weight += light
            light = next_leaf()
        else:
            weight += merged
            node += 1
            merged = nodes[node]
        nodes[made] = weight
        if node == made:
            merged = weight
        consumed[made + 1] = node
    return consumed.__getitem__


def _consumed_in_batches(leaves: Shaped[np.ndarray, "leaves"]) -> Callable[[int], int]:
    """The same in rounds, in each of which all pairs are joined whose weights are next in line already."""
    nodes = np.empty(leaves.size - 1, leaves.dtype)
    leaf = node = made = 0
    starts, firsts = [0], [0]
    while made < nodes.size:
        smallest = sorted([*leaves[leaf : leaf + 2].tolist(), *nodes[node : min(node + 2, made)].tolist()])
        bound = smallest[0] + smallest[1]
        to_leaf = leaf + int(leaves[leaf:].searchsorted(bound, "right"))
        to_node = node + int(nodes[node:made].searchsorted(bound, "right"))
        if (to_leaf - leaf + to_node - node) % 2:
            # The largest waits for the next round: the inner node, if a leaf weighs the same.
            if to_node > node and (to_leaf == leaf or nodes[to_node - 1] >= leaves[to_leaf - 1]):
                to_node -= 1
            else:
                to_leaf -= 1
        if to_node == node:
            batch = leaves[leaf:to_leaf]
        else:
            # Two sorted runs, which a stable sort merges in linear time.
            batch = np.concatenate((leaves[leaf:to_leaf], nodes[node:to_node]))
            batch.sort(kind="stable")
        leaf, node, start, made = to_leaf, to_node, made, made + batch.size // 2
        np.add(batch[::2], batch[1::2], out=nodes[start:made])
        starts.append(made)
        firsts.append(node)

    # Read one by one, entries of a memoryview are had in a third of the time.
    light, merged = leaves.data, nodes.data

    def consumed(made: int) -> int:
        # Inner node k comes too late if it has k inner nodes and more than items - 1 - k leaves before it.
        items, turn = 2 * made, bisect_left(starts, made)
        return bisect_left(
            range(firsts[turn]),
            True,
            lo=max(firsts[turn - 1], items - leaves.size),
            key=lambda k: light[items - 1 - k] <= merged[k],
        )

    return consumed


def _passed(
    thresholds: Shaped[np.ndarray, "levels"],
    leaves: Shaped[np.ndarray, "leaves"],
    values: Shaped[np.ndarray, "leaves"],
) -> Int[np.ndarray, "leaves"] | UInt8[np.ndarray, "leaves"]:
    """How many of the ascending `thresholds` each value reaches; `leaves` are the values, sorted."""
    if values.dtype == object or values.size < _SHORT:
        return thresholds.searchsorted(values, "right")
    if thresholds.size > _FEW:
        # A sort takes a third of the time of a search for every value.
        begin = leaves.searchsorted(thresholds)
        sizes = np.diff(begin, prepend=0, append=leaves.size)
        passed = np.empty(values.size, np.int64)
        passed[np.argsort(values)] = np.repeat(np.arange(sizes.size), sizes)
        return passed
    # Comparing every value with every threshold, in cache, beats a search with its unpredictable branches.
    passed = np.zeros(values.size, np.uint8)
    for start in range(0, values.size, _BLOCK):
        count, block = passed[start : start + _BLOCK], values[start : start + _BLOCK]
        for threshold in thresholds:
            count += block >= threshold
    return passed


def _integers(name: str, value: Numbers) -> Shaped[np.ndarray, "entries"]:
    """`value` as a one-dimensional array of whole numbers."""
    entries = _checks.integer_array(name, value)
    if entries.ndim != 1:
        raise ValueError(f"{name} has shape {entries.shape}: must be one-dimensional")
    # An array of booleans would be a mask where it serves as an index.
    return entries.view(np.uint8) if entries.dtype == np.bool_ else entries


def _within(name: str, entries: Shaped[np.ndarray, "entries"], stop: int, rule: str) -> None:
    """Refuse entries outside 0 to `stop` - 1."""
    if entries.size and not (entries.min() >= 0 and entries.max() < stop):
        _checks.fail_at(name, entries, (entries < 0) | (entries >= stop), rule)
