"""Codes for the joint model: ideal lengths, and codewords for several leaves at once."""

import math
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
from jaxtyping import Float, Int, Shaped

from ..codes import huffman_lengths
from .blocks import SCALE
from .excess import integer_factors
from .rows import INT64_MAX, Rows, combination

EXTENSION_LIMIT = 10**7
"""Largest number of blocks of leaves to which `Mixture` assigns codewords."""


def ideal_lengths(
    rows: Rows, weights: Float[np.ndarray, "datasets"], joint: Float[np.ndarray, "leaves"]
) -> Float[np.ndarray, "leaves"]:
    """-log q in nats, and 0 where q = 0; accurate even where q underflows or is nearly 1."""
    lengths: Float[np.ndarray, "leaves"] = -np.log(joint, out=np.zeros_like(joint), where=joint > 0)
    faint = np.flatnonzero(joint < 2.0**-960)
    scaled = weights @ (rows.probabilities[:, faint] * SCALE)
    lengths[faint[scaled > 0]] = math.log(SCALE) - np.log(scaled[scaled > 0])
    top = int(joint.argmax())
    if joint[top] > 0.5:
        lengths[top] = -math.log1p(-float(weights @ rows.complement(top)))
    return lengths


def joint_counts(rows: Rows, sizes: Sequence[Fraction]) -> Shaped[np.ndarray, "leaves"]:
    """Integers proportional to q, for rows of counts."""
    return combination(integer_factors(rows, sizes), rows.values)


def codeword_lengths(weights: Shaped[np.ndarray, "support"], extension: int) -> Int[np.ndarray, "codewords"]:
    """Lengths of an optimal code for blocks of `extension` leaves, last leaf fastest."""
    if extension > 1 and weights.size**extension > EXTENSION_LIMIT:
        raise ValueError(
            f"extension = {extension}: {weights.size} leaves make {weights.size}**{extension} blocks; "
            f"at most {EXTENSION_LIMIT} can have codewords"
        )
    # Products are kept exact, or normal floats.
    if weights.dtype == np.int64 and int(weights.max()) ** extension > INT64_MAX:
        weights = weights.astype(object)
    elif weights.dtype == np.float64 and float(weights.min()) ** extension < 2.0**-1022:
        weights = np.array([Fraction(weight) for weight in weights.tolist()], dtype=object)
    power = weights
    for _ in range(extension - 1):
        power = np.multiply.outer(power, weights).ravel()
    return huffman_lengths(power)


def power_mean(lengths: Int[np.ndarray, "blocks"], p: Float[np.ndarray, "leaves"], extension: int) -> float:
    """Mean length per leaf of blocks of `extension` leaves that are independent and distributed as p."""
    mean = lengths.astype(np.float64)
    for _ in range(extension):
        mean = mean.reshape(-1, p.size) @ p
    return float(mean[0]) / extension
