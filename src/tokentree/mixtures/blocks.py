"""Leaves in blocks that stay in cache: the work space is O(N) per leaf of one block, for N datasets.

Inside a block masses are multiplied by 2^512, which is exact: products of masses down to the smallest float64
and weights down to 2^-400 / N then neither underflow nor lose digits.
"""

from collections.abc import Iterable, Iterator

import numpy as np
from jaxtyping import Float

BLOCK = 2**13
"""Leaves visited at once."""

SCALE = 2.0**512
"""Exact factor on masses inside a block."""


def leaf_blocks(n_leaves: int) -> Iterator[slice]:
    """The leaves of one block after another."""
    return (slice(start, start + BLOCK) for start in range(0, n_leaves, BLOCK))


def inverse_root(q: Float[np.ndarray, "block"]) -> Float[np.ndarray, "block"]:
    """1 / sqrt(q), and 1 where q = 0 and every mass is 0 too."""
    return 1 / np.sqrt(np.where(q > 0, q, 1.0))


def compensated_sum(parts: Iterable[Float[np.ndarray, "*shape"]]) -> Float[np.ndarray, "*shape"]:
    """Sum of arrays to about the last digit of the sum of their sizes (Neumaier 1974)."""
    total = lost = np.zeros(())
    for part in parts:
        new = total + part
        shadow = new - total
        lost = lost + ((total - (new - shadow)) + (part - shadow))
        total = new
    return total + lost
