"""Optimal codeword lengths: for few symbols, for many, for many vectors at once, and with a limit."""

import math
from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable
from functools import reduce
from operator import add
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
from jaxtyping import Int, Shaped, UInt8

from .._lib import checks
from .._lib.checks import Numbers
from .limited import limited_lengths
from .together import lengths_together

_ROOM = {"i": 2.0**62, "f": 2.0**1022, "O": math.inf}
"""Totals below this, and sums of two of them, do not overflow."""

_INSERTED = 200
"""Number of leaves up to which merged weights are inserted among them, one by one."""

_NESTED = 16
"""Largest number of weights added by nested iterators."""

_ROUND = 64
"""Number of symbols that a loop merges in the time of one round over arrays."""

_OUTLIERS = 256
"""This share of the weights, one in so many at either end, is ignored in estimating the rounds."""

_FEW = 64
"""Number of thresholds up to which comparing with each is faster than sorting."""

_SHORT = 1000
"""Number of weights up to which a search for each is faster than either."""

_BLOCK = 2**14
"""Weights compared at once."""


def huffman_lengths(
    weights: Annotated[Numbers, "*batch leaves"], *, arity: int = 2, limit: int | None = None
) -> Int[np.ndarray, "*batch leaves"]:
    r"""Codeword lengths of an optimal prefix code.

    The lengths l minimise sum w l over all prefix codes with a codeword for every symbol, including symbols
    of weight zero. No optimal code has a shorter longest codeword. Among symbols of equal weight, an earlier
    one never gets the longer codeword.

    Parameters
    ----------
    weights : array_like, shape (..., M)
        Weights >= 0, with any total; each row gets its own code. Arithmetic is exact for integers of any
        size, and for integers and Fractions together. With floats every merged weight is rounded to float64,
        so the cost may exceed the optimum, by a factor of at most about 1 + (arity - 1) M / 2**52. If all
        weights are zero every complete code is optimal, and the lengths differ by at most one.
    arity : int
        Size of the code's alphabet, at least 2: 2 for bits.
    limit : int, optional
        Longest codeword allowed, in digits; the code is optimal among those within it. Ties are then broken
        in no specified way.

    Returns
    -------
    ndarray of int64, shape (..., M)
        Lengths in digits. A single symbol gets length 0.

    Raises
    ------
    ValueError
        If there are no weights, or one is negative, not finite or masked; if an integer among floats is not a
        float64; if ``arity < 2``, or there are fewer than M codewords of `limit` digits.
    TypeError
        If a weight is not an int, float or Fraction, or Fractions are mixed with floats.

    Notes
    -----
    O(M log M). The weights are sorted once; only short codes and codes of more than 64 levels sort the
    symbols too. Weights are merged in about as many vectorised rounds as the longest codeword has bits, or in
    a plain loop if that is faster; integers beyond int64 and Fractions take a few microseconds each. Many
    short rows are merged together. The result depends neither on this nor on the machine. Huffman (1952)
    merges `arity` weights at a time after adding zeros; the two queues are due to van Leeuwen (1976). With a
    limit, O(limit M) more if it binds: package-merge, Larmore and Hirschberg (1990).

    Examples
    --------
    >>> huffman_lengths([0.25, 0.25, 0.2, 0.15, 0.15])
    array([2, 2, 2, 3, 3])
    >>> huffman_lengths([[1, 1, 2, 3, 5, 8], [1, 1, 1, 1, 1, 1]])
    array([[5, 5, 4, 3, 2, 1],
           [2, 2, 3, 3, 3, 3]])
    >>> huffman_lengths([1, 1, 2, 3, 5, 8], arity=3)
    array([3, 3, 2, 2, 1, 1])
    >>> huffman_lengths([1, 1, 2, 3, 5, 8], limit=3)
    array([3, 3, 3, 3, 2, 2])
    """
    values = checks.exact_array("weights", weights)
    if limit is None and arity == 2 and values.ndim == 1 and 0 < values.size <= _INSERTED:
        order, light = _ranked(values)
        # In order, the first and the last weight clear all others; what they do not is looked at below.
        if light[0] >= 0 and light[-1] * len(light) < _ROOM[values.dtype.kind]:
            return _inserted(order, light, 2)
    if values.ndim == 0 or not values.shape[-1]:
        raise ValueError(f"weights has shape {values.shape}: its last axis needs at least one weight")
    checks.nonnegative("weights", values)
    size = values.shape[-1]
    arity = checks.integer("arity", arity, at_least=2)
    if limit is not None:
        limit = checks.integer("limit", limit, at_least=0)
        least = _digits(size, arity)
        if limit < least:
            raise ValueError(f"limit = {limit}: {size} symbols need codewords of {least} digits")
    if values.ndim == 1:
        return _row(values, arity, limit)
    rows = values.reshape(-1, size)
    if arity == 2 and limit is None and rows.size and _small_sums(values, size):
        together = lengths_together(rows)
        if together is not None:
            return together.reshape(values.shape)
    lengths = np.empty(values.shape, np.int64)
    for row, into in zip(rows, lengths.reshape(-1, size), strict=True):
        into[:] = _row(row, arity, limit)
    return lengths


def _digits(size: int, arity: int) -> int:
    """Smallest length at which there are this many codewords."""
    digits, words = 0, 1
    while words < size:
        digits, words = digits + 1, words * arity
    return digits


def _row(row: Shaped[np.ndarray, "leaves"], arity: int, limit: int | None) -> Int[np.ndarray, "leaves"]:
    """Lengths for one vector of weights."""
    values, arity = _exact_sums(row), max(2, min(arity, row.size))
    if row.size <= _INSERTED and arity <= _NESTED:
        lengths = _inserted(*_ranked(values), arity)
    else:
        lengths = _passing(values, arity)
    return lengths if limit is None or lengths.max() <= limit else limited_lengths(values, arity, limit)


def _small_sums(weights: Shaped[np.ndarray, "..."], size: int) -> bool:
    """Whether `size` weights as large as the largest still add up within the dtype."""
    return weights.dtype != object and float(weights.max()) * size < _ROOM[weights.dtype.kind]


def _exact_sums(weights: Shaped[np.ndarray, "leaves"]) -> Shaped[np.ndarray, "leaves"]:
    """`weights` in a dtype whose sums do not overflow."""
    if weights.dtype == object or _small_sums(weights, weights.size):
        return weights
    with np.errstate(over="ignore"):
        total = weights.sum(dtype=np.float64)
    if total < _ROOM[weights.dtype.kind]:
        return weights
    if weights.dtype == np.int64:
        return weights.astype(object)
    # A power of two scales exactly, but for weights some 2**2000 times too small to be noticed in the total.
    scaled: npt.NDArray[np.float64] = np.ldexp(weights, -weights.size.bit_length())
    return scaled


def _ranked(values: Shaped[np.ndarray, "leaves"]) -> tuple[Int[np.ndarray, "leaves"], list[Any]]:
    """Ascending weights, the last of equal ones first, and their positions counted from the end."""
    backwards = values[::-1]
    order: npt.NDArray[np.int64] = backwards.argsort(kind="stable")
    return order, backwards[order].tolist()


def _inserted(order: Int[np.ndarray, "leaves"], light: list[Any], arity: int) -> Int[np.ndarray, "leaves"]:
    """Lengths for ascending weights: sums are inserted in order in one list."""
    spare = (1 - len(light)) % (arity - 1)
    light = [0] * spare + light
    items = light.copy()
    queue = merged = iter(items)
    for _ in range(arity - 1):
        merged = map(add, merged, queue)
    # The list grows while it is read, always after the position read next.
    for weight in merged:
        insort(items, weight)

    def consumed(made: int) -> int:
        read = arity * made
        last = items[read - 1]
        taken = bisect_right(light, last)
        if items[read] == last:
            # Leaves come before internal nodes of the same weight.
            taken = min(taken, read - bisect_left(items, last) + bisect_left(light, last))
        return read - taken

    counts = _level_counts(consumed, len(light), arity)
    counts[-1] -= spare
    lengths: npt.NDArray[np.int64] = np.empty(order.size, np.int64)
    lengths[order] = np.arange(len(counts) - 1, -1, -1).repeat(counts[::-1])
    return lengths[::-1].copy()


def _passing(values: Shaped[np.ndarray, "leaves"], arity: int) -> Int[np.ndarray, "leaves"]:
    """Lengths of symbols by the thresholds that their weights pass."""
    leaves = np.sort(values)
    # Zeros, the deepest of all, make the code tree complete.
    spare = (1 - leaves.size) % (arity - 1)
    items = np.concatenate((np.zeros(spare, leaves.dtype), leaves)) if spare else leaves
    if arity > 2 or _worth_batches(leaves):
        consumed = _consumed_in_batches(items, arity)
    else:
        consumed = _consumed_one_by_one(items)
    counts = np.array(_level_counts(consumed, items.size, arity))
    counts[-1] -= spare
    # The lightest leaves are the deepest, so a weight alone tells its length: levels begin at thresholds.
    ends = np.cumsum(counts[::-1])
    ends = ends[ends < leaves.size]
    thresholds = leaves[ends]
    passed = _passed(thresholds, leaves, values)
    lengths: Int[np.ndarray, "leaves"] = np.subtract(counts.size - 1, passed, dtype=np.int64)
    # Equal weights on several levels: the first symbol comes last in sorted order.
    tied = np.unique(thresholds[leaves[ends - 1] == thresholds])
    order = np.argsort(values, kind="stable") if tied.size > _FEW else None
    for weight in tied:
        begin, stop = leaves.searchsorted(weight), leaves.searchsorted(weight, "right")
        first, last = ends.searchsorted([begin, stop - 1], "right")
        runs = np.diff(ends[first:last], prepend=begin, append=stop)[::-1]
        symbols = values == weight if order is None else order[begin:stop]
        lengths[symbols] = np.repeat(np.arange(counts.size - 1 - last, counts.size - first), runs)
    return lengths


def _level_counts(consumed: Callable[[int], int], leaves: int, arity: int) -> list[int]:
    """Leaves at every depth, given the number of internal nodes consumed when each is made."""
    # `inner` nodes lie at this depth or deeper. Their children are the first arity * inner items, and the
    # inner nodes among these are those that lie deeper.
    counts, nodes, inner = [], 1, (leaves - 1) // (arity - 1)
    while inner:
        deeper = consumed(inner)
        counts.append(nodes - (inner - deeper))
        nodes, inner = arity * (inner - deeper), deeper
    return [*counts, nodes]


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
    """Number of internal nodes consumed when each is made; a direct use of the two queues."""
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


def _consumed_in_batches(leaves: Shaped[np.ndarray, "leaves"], arity: int) -> Callable[[int], int]:
    """The same in rounds, each of which merges all items that precede every later node."""
    nodes = np.empty((leaves.size - 1) // (arity - 1), leaves.dtype)
    leaf = node = made = 0
    starts, firsts = [0], [0]
    while made < nodes.size:
        nearest = *leaves[leaf : leaf + arity].tolist(), *nodes[node : min(node + arity, made)].tolist()
        bound = reduce(add, sorted(nearest)[:arity])
        to_leaf = leaf + int(leaves[leaf:].searchsorted(bound, "right"))
        to_node = node + int(nodes[node:made].searchsorted(bound, "right"))
        for _ in range((to_leaf - leaf + to_node - node) % arity):
            # The largest wait for the next round: the inner node, if a leaf weighs the same.
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
        leaf, node, start, made = to_leaf, to_node, made, made + batch.size // arity
        np.add(batch[::arity], batch[1::arity], out=nodes[start:made])
        for i in range(2, arity):
            nodes[start:made] += batch[i::arity]
        starts.append(made)
        firsts.append(node)

    # Entries of a memoryview are read one by one in a third of the time.
    light, merged = (each.tolist() if leaves.dtype == object else each.data for each in (leaves, nodes))

    def consumed(made: int) -> int:
        # Inner node k comes too late if it has k inner nodes and more than items - 1 - k leaves before it.
        items, turn = arity * made, bisect_left(starts, made)
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
        # Sorting takes a third of the time of searching for every value.
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
