"""What a tree's arrays must be, whoever wrote the file that they come from."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from .._lib import checks, log_masses
from .tokens import _MAX_ALPHABET, REST

_SLAB = 1 << 16


def validate(
    q: int,
    offsets: npt.NDArray[Any],
    symbols: npt.NDArray[Any],
    parents: npt.NDArray[Any],
    weights: npt.NDArray[Any],
) -> None:
    """Refuse arrays that break an invariant of this module."""
    if not (
        1 <= q <= _MAX_ALPHABET
        and offsets.ndim == 1
        and symbols.shape == parents.shape == weights.shape == (symbols.size,)
        and symbols.dtype == np.min_scalar_type(-q)
        and offsets.dtype == np.int64
        and parents.dtype == np.int32
        and weights.dtype in (np.int64, np.float64)
    ):
        raise ValueError("arrays have the wrong shape or type")
    if not (
        len(offsets) >= 3
        and (offsets[0], offsets[1], offsets[-1]) == (0, 1, symbols.size)
        and (np.diff(offsets) > 0).all()
    ):
        raise ValueError("level offsets do not rise from 0 to the number of nodes")
    if symbols[0] != 0 or parents[0] != 0 or (symbols < REST).any() or (symbols >= q).any():
        raise ValueError("a symbol is outside the alphabet")
    # As its logarithm stands no mass but one that is below the range of float64, or by rounding just above.
    positive = (weights >= 0) & (weights < np.inf)
    faint = (weights > -np.inf) & (weights < -708) & (weights.dtype.kind == "f")
    if not (positive | faint).all() or not weights[0] > 0:
        raise ValueError("a weight is negative or not finite, or the total is zero")

    def refuse(
        bad: npt.NDArray[Any], nodes: Sequence[int] | npt.NDArray[Any], what: str, down: int = 0
    ) -> None:
        if bad.any():
            depth = int(np.searchsorted(offsets, nodes[int(np.argmax(bad))], side="right")) - 1 + down
            raise ValueError(what.format(depth))

    # Many levels at once, for those of a deep tree are short; not all, for that would take much memory.
    begin = 1
    while begin < len(offsets) - 1:
        end = max(begin + 1, int(np.searchsorted(offsets, offsets[begin] + _SLAB, side="right")) - 1)
        here = range(*offsets[[begin, end]].tolist())
        above = range(*offsets[[begin - 1, end - 1]].tolist())
        up, token, weight = (array[here.start : here.stop] for array in (parents, symbols, weights))
        size: Any = len(above)
        if end > begin + 1:
            sizes = np.diff(offsets[begin - 1 : end + 1])
            size = np.repeat(sizes[:-1], sizes[1:])
        hang = "nodes at depth {} hang from the wrong parents"
        refuse((up < 0) | (up >= size), here, hang)
        if end > begin + 1:
            up = up + np.repeat(offsets[begin - 1 : end - 1] - above.start, sizes[1:])
        steps = np.diff(up)
        disorder = (steps < 0) | ((steps == 0) & (np.diff(token) <= 0))
        refuse(disorder, here[1:], "nodes at depth {} are out of order")
        first = np.flatnonzero(np.append(True, steps))
        # The root's symbol is 0, so that it may have children as every symbol may.
        inner = symbols[above.start : above.stop] >= 0
        has = np.zeros(len(above), dtype=bool)
        has[up[first]] = True
        refuse(inner != has, above, hang, down=1)
        expected = weights[above.start : above.stop][inner]
        # Masses add up to the rounding of their sums; counts exactly, and that not by wrapping round 2**64.
        with np.errstate(over="ignore", invalid="ignore"):
            sums = np.add.reduceat(weight, first, dtype=np.float64)
            off = ~(np.abs(sums - expected) <= checks.SUM_TOLERANCE * expected)
            if (weight < 0).any():
                sums, expected = (
                    log_masses.logs(log_masses.segment_sums(weight, first)),
                    log_masses.logs(expected),
                )
                # Logarithms of long paths are themselves rounded by more than that.
                slack = checks.SUM_TOLERANCE + 2.0**-50 * np.abs(expected)
                off = ~((np.abs(sums - expected) <= slack) & (expected > -np.inf) | (sums == expected))
        if weights.dtype == np.int64:
            off |= np.add.reduceat(weight, first) != expected
        refuse(off, first + here.start, "weights at depth {} do not add up")
        begin = end
