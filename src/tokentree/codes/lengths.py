"""Optimal codeword lengths, found in batches."""

import math
from bisect import bisect_left
from collections.abc import Callable
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
from jaxtyping import Int, Shaped, UInt8

from .._lib import checks
from .._lib.checks import Numbers

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


def _weights(value: Any) -> Shaped[np.ndarray, "leaves"]:
    """`value` in a dtype whose sums do not overflow: int64, float64, or objects that add exactly."""
    weights = checks.exact_array("weights", value)
    if weights.ndim != 1 or not weights.size:
        raise ValueError(
            f"weights has shape {weights.shape}: must be one-dimensional with at least one weight"
        )
    checks.nonnegative("weights", weights)
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
