"""Leaves in blocks that fit in cache: the work space is O(N) per leaf of one block, for N datasets.

Within a block masses are multiplied by 2^512, which is exact: products of masses down to the smallest float64
and weights down to 2^-400 / N then neither underflow nor lose digits.
"""

from collections.abc import Iterable, Iterator

import numpy as np
from jaxtyping import Float

BLOCK = 2**13
"""Number of leaves per block."""

SCALE = 2.0**512
"""Exact factor on masses within a block."""


def leaf_blocks(n_leaves: int, size: int = BLOCK) -> Iterator[slice]:
    """The leaves of one block after another."""
    return (slice(start, start + size) for start in range(0, n_leaves, size))


def inverse_root(q: Float[np.ndarray, "block"]) -> Float[np.ndarray, "block"]:
    """1 / sqrt(q), and 1 where q and every mass are 0."""
    return 1 / np.sqrt(np.where(q > 0, q, 1.0))


def compensated_sum(parts: Iterable[Float[np.ndarray, "*shape"]]) -> Float[np.ndarray, "*shape"]:
    """Sum of arrays, accurate to about the last digit of the sum of magnitudes (Neumaier 1974)."""
    total = lost = np.zeros(())
    for part in parts:
        new = total + part
        shadow = new - total
        lost = lost + ((total - (new - shadow)) + (part - shadow))
        total = new
    return total + lost
