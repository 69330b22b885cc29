"""Response of rates to sizes: sums over leaves of differences between datasets and mixture.

The response is R_it = -(1/T) sum_x d_i d_t / q with d_i = p_i - q. At k = n_p / n_a = 10^12 the dominant p_p
and q agree to twelve digits, so they are never subtracted. With r the largest dataset,

    m = sum_{j != r} w_j (p_j - p_r) = q - p_r,     d_i = (p_i - p_r) - m,     d_r = -m,

where only given masses are subtracted from one another, and every weight used is at most 1/2. The error of
d_i is within about 2 N^2 units in the last place of sum_{j != i} w_j (p_i + p_j), its natural scale. If rows
of counts nearly coincide, p_i - p_r is corrected for the rounding of each mass, so that d_i and all results
computed from it keep their digits.
"""

from collections.abc import Iterator, Sequence
from fractions import Fraction

import numpy as np
from jaxtyping import Float

from .blocks import BLOCK, SCALE, compensated_sum, leaf_blocks
from .excess import EXACT_LEAVES, STEADY, integer_excess
from .rows import Rows

_MASSES = 2**18
"""Number of masses of one block of the response, which needs fewer arrays than the bounds of its signs do."""

_FEW = 8
"""Number of datasets up to which single dot products are faster than a matrix product."""

CentredBlock = tuple[
    Float[np.ndarray, "datasets block"], Float[np.ndarray, "block"], Float[np.ndarray, "datasets block"]
]
"""p, q and p - q at some of the leaves, times SCALE."""


def centred_blocks(
    rows: Rows, weights: Float[np.ndarray, "datasets"], size: int = BLOCK
) -> Iterator[CentredBlock]:
    """As `Mixture.centred_blocks` gives them."""
    probabilities = rows.probabilities
    n_leaves = probabilities.shape[1]
    largest = int(weights.argmax())
    counted = rows.values.dtype != np.float64
    room = np.empty((2, len(weights), min(size, n_leaves)))
    for leaves in leaf_blocks(n_leaves, size):
        given = probabilities[:, leaves]
        p, centred = room[:, :, : given.shape[1]]
        np.multiply(given, SCALE, out=p)
        np.subtract(p, p[largest], out=centred)
        if counted:
            # If datasets nearly coincide, rounding errors of masses are a large part of a difference. Adding
            # them is always correct, so the heaviest leaf and an eighth of all suffice to decide.
            top = p[largest].argmax()
            extent = np.maximum(np.abs(centred[:, ::8]).max(axis=1), np.abs(centred[:, top]))
            extent[largest] = np.inf
            if extent.min() < STEADY * p[largest, top]:
                lost = rows.rounding(leaves) * SCALE
                centred += lost - lost[largest]
        # The row of the largest dataset is zero here, so its weight does not enter.
        centred -= weights @ centred
        yield p, weights @ p, centred


def centred_gram(
    rows: Rows, sizes: Sequence[Fraction], weights: Float[np.ndarray, "datasets"]
) -> Float[np.ndarray, "datasets datasets"]:
    """Sum of d_i d_t / q over all leaves, which is S_it - 1, times SCALE; in integers where it cancels."""
    total = sum(sizes)
    blocks = centred_blocks(rows, weights, max(BLOCK, _MASSES // len(weights)))
    sums = compensated_sum(gram(d, q) for _, q, d in blocks)
    # h_i is q + (1 - 2 w_i) p_i, so the sum of h_i h_t / q follows from that of d_i d_t / q.
    rest = np.array([float((total - size) / total) for size in sizes])
    lead = rest - weights
    size = 4 * SCALE * np.outer(rest, rest) + np.outer(lead, lead) * sums
    if rows.values.shape[1] <= EXACT_LEAVES and rows.relative_error < 2.0**-50:
        for i, t in np.argwhere(np.triu(np.abs(sums) < STEADY * size)).tolist():
            excess = integer_excess(rows, sizes, i, t)
            if excess is not None:
                sums[i, t] = sums[t, i] = -SCALE * (excess.over / excess.under)
    return sums


def gram(
    rows: Float[np.ndarray, "datasets block"], q: Float[np.ndarray, "block"]
) -> Float[np.ndarray, "datasets datasets"]:
    """Sum of rows_i rows_t / q over the block."""
    # Where q = 0 every mass is 0 too; nowhere else is q this small, since masses are times SCALE.
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
