"""What a tree is counted from: weights of responses, and blocks of bits or bytes."""

from typing import Literal

import numpy as np
from jaxtyping import Num

from .._lib import checks
from .._lib.checks import Numbers
from .tokens import _MAX_COUNT

Alphabet = Literal["bits", "bytes"]


def _sequence_weights(weights: Numbers | None, n: int) -> Num[np.ndarray, "n"] | None:
    if weights is None:
        return None
    array = checks.real_array("weights", weights)
    if array.shape != (n,):
        raise ValueError(f"weights has shape {array.shape}: must be ({n},), one for each response")
    checks.nonnegative("weights", array)
    # A float sum is enough to see 2**63 coming; the exact sum follows only where it may matter.
    with np.errstate(over="ignore"):
        total = float(array.sum(dtype=np.float64))
    if array.dtype.kind == "i" and total > 2.0**62 and sum(array.tolist()) > _MAX_COUNT:
        rule = "counts must stay below 2**63; to use masses, pass floats"
        raise ValueError(f"weights add up to {sum(array.tolist())}: {rule}")
    if not 0 < total < np.inf:
        raise ValueError(f"weights add up to {total}: the total must be finite and > 0")
    return array


def _block_of(depth: int, alphabet: Alphabet) -> tuple[int, int]:
    """A block's length in symbols, and the bits of a symbol."""
    depth = checks.integer("depth", depth, at_least=1)
    if alphabet not in ("bits", "bytes"):
        raise ValueError(f"alphabet = {alphabet!r}: must be 'bits' or 'bytes'")
    return depth, 1 if alphabet == "bits" else 8
