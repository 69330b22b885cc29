"""Arithmetic inside a block of leaves: scaled, compensated, by rows."""

from collections.abc import Iterable

import numpy as np
from jaxtyping import Float

BLOCK = 2**13
"""Leaves visited at once."""

_FEW = 8
"""Datasets up to which dot products one by one beat a matrix product, which is made for squarer matrices."""

SCALE = 2.0**512
"""Exact factor on masses inside a block."""


def _gram(
    rows: Float[np.ndarray, "datasets block"], q: Float[np.ndarray, "block"]
) -> Float[np.ndarray, "datasets datasets"]:
    """Sum of rows_i rows_t / q over the block."""
    # Where q = 0 every mass is 0 too; nowhere else is it as small, for masses times SCALE.
    scale = 1 / np.maximum(q, 2.0**-1020)
    gram: Float[np.ndarray, "datasets datasets"] = np.empty((len(rows), len(rows)))
    if len(rows) > _FEW:
        np.matmul(rows, (rows * scale).T, out=gram)
        gram += gram.T.copy()
        gram /= 2
    else:
        for i, row in enumerate(rows):
            gram[i, i:] = gram[i:, i] = np.vecdot(row * scale, rows[i:])
    return gram


def inverse_root(q: Float[np.ndarray, "block"]) -> Float[np.ndarray, "block"]:
    """1 / sqrt(q), and 1 where q = 0 and every mass is 0 too."""
    return 1 / np.sqrt(np.where(q > 0, q, 1.0))


def _compensated_sum(parts: Iterable[Float[np.ndarray, "*shape"]]) -> Float[np.ndarray, "*shape"]:
    """Sum of arrays to about the last digit of the sum of their sizes (Neumaier 1974)."""
    total = lost = np.zeros(())
    for part in parts:
        new = total + part
        shadow = new - total
        lost = lost + ((total - (new - shadow)) + (part - shadow))
        total = new
    return total + lost
