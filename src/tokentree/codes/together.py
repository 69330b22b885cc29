"""Codeword lengths of many short vectors of weights, merged step by step together."""

import math

import numpy as np
from jaxtyping import Int, Shaped

_ROWS = 32
"""Number of vectors from which steps over all of them are faster than one vector at a time."""

_LEAVES = 2000
"""Largest number of weights of a vector for which that is so."""

_ENTRIES = 2**16
"""Number of weights at a time, such that queues stay in cache."""


def lengths_together(weights: Shaped[np.ndarray, "rows leaves"]) -> Int[np.ndarray, "rows leaves"] | None:
    """Lengths of a binary code for each row; None if rows are too few, or too long, to gain from it.

    No sum of a row overflows.
    """
    rows, leaves = weights.shape
    if rows < _ROWS or leaves > _LEAVES:
        return None
    lengths = np.empty(weights.shape, np.int64)
    step = max(_ROWS, _ENTRIES // leaves)
    for start in range(0, rows, step):
        lengths[start : start + step] = _block(weights[start : start + step])
    return lengths


def _block(weights: Shaped[np.ndarray, "rows leaves"]) -> Int[np.ndarray, "rows leaves"]:
    rows, size = weights.shape
    backwards = weights[:, ::-1]
    order = backwards.argsort(axis=1)
    leaves = np.take_along_axis(backwards, order, axis=1)
    if (leaves[:, 1:] == leaves[:, :-1]).any():
        # The last of equal weights comes first. Ensuring this takes three times as long.
        order = backwards.argsort(axis=1, kind="stable")
    consumed = _consumed(leaves.T)
    # `inner` nodes lie at a depth or deeper. Their children are the first 2 inner items, and of these the
    # inner nodes and the leaves lie deeper: a leaf's depth is the number of depths above it.
    row, inner = np.arange(rows), np.full(rows, size - 1)
    ends = np.zeros((rows, size + 1), np.int64)
    while inner.any():
        deeper = consumed[inner, row]
        ends[row, 2 * inner - deeper] += 1
        inner = deeper
    depths = ends[:, :0:-1].cumsum(axis=1)[:, ::-1]
    lengths = np.empty_like(depths)
    np.put_along_axis(lengths, order, depths, axis=1)
    return lengths[:, ::-1]


def _consumed(leaves: Shaped[np.ndarray, "leaves rows"]) -> Int[np.ndarray, "leaves rows"]:
    """Number of internal nodes consumed when each is made; two queues in each column."""
    size, rows = leaves.shape
    # Each queue ends with numbers above all weights, with a sum that does not overflow.
    above = math.inf if leaves.dtype.kind == "f" else 2**62 - 1
    light, merged = np.full((2, size + 2, rows), above, leaves.dtype)
    light[:size] = leaves
    light, sums = light.ravel(), merged.ravel()
    leaf, node = np.arange(rows), np.arange(rows)
    consumed = np.zeros((size, rows), np.int64)
    for made in range(size - 1):
        first, second = light[leaf], light[leaf + rows]
        third, fourth = sums[node], sums[node + rows]
        np.minimum(first + np.minimum(second, third), third + fourth, out=merged[made])
        # One of each, unless both come from one queue: leaves, if they weigh the same.
        more = (second <= third).astype(np.int64)
        more -= fourth < first
        consumed[made + 1] = consumed[made] + (1 - more)
        more *= rows
        leaf += rows + more
        node += rows - more
    return consumed
