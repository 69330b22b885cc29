"""Trees on disk: their arrays, and the checks of these, whoever wrote the file."""

import operator
import os
from typing import Any

import numpy as np
import numpy.typing as npt

from .._lib import checks, log_masses
from .._lib.archives import intact, load_arrays, save_arrays
from .bands import Parts
from .runs import run_starts
from .tokens import _MAX_ALPHABET, REST, Nodes

_FORMAT = "tokentree.TokenTree"

_VERSION = 1

_PARTS = ("alphabet_size", "offsets", "symbols", "parents", "weights")

_SLAB = 1 << 16
"""Nodes checked at a time, so that checking takes little memory; a level is not divided."""


def write_tree(path: str | os.PathLike[str], q: int, offsets: npt.NDArray[Any], nodes: Nodes) -> None:
    """Write the file of `TokenTree.save`."""
    symbols, parents, weights = nodes
    save_arrays(
        path,
        _FORMAT,
        _VERSION,
        alphabet_size=q,
        symbols=symbols,
        parents=parents,
        weights=weights,
        offsets=offsets,
    )


def read_tree(path: str | os.PathLike[str]) -> Parts:
    """Parts of the tree of `TokenTree.load`."""
    with open(path, "rb") as file, intact(path, _FORMAT):
        arrays = load_arrays(file, _FORMAT, _VERSION, _PARTS)
        q, offsets = operator.index(arrays["alphabet_size"]), arrays["offsets"]
        nodes = arrays["symbols"], arrays["parents"], arrays["weights"]
        validate(q, offsets, *nodes)
    return q, offsets, nodes


def validate(
    q: int,
    offsets: npt.NDArray[Any],
    symbols: npt.NDArray[Any],
    parents: npt.NDArray[Any],
    weights: npt.NDArray[Any],
) -> None:
    """Refuse arrays that break an invariant of a tree."""
    _check_types(q, offsets, symbols, parents, weights)
    if symbols[0] != 0 or parents[0] != 0 or (symbols < REST).any() or (symbols >= q).any():
        raise ValueError("a symbol is outside the alphabet")
    # Only a mass below the range of float64, or by rounding just above it, is stored as its logarithm.
    positive = (weights >= 0) & (weights < np.inf)
    faint = (weights > -np.inf) & (weights < -708) & (weights.dtype.kind == "f")
    if not (positive | faint).all() or not weights[0] > 0:
        raise ValueError("a weight is negative or not finite, or the total is zero")
    # Many levels at once, because those of a deep tree are short; not all, which would take much memory.
    begin = 1
    while begin < len(offsets) - 1:
        end = max(begin + 1, int(np.searchsorted(offsets, offsets[begin] + _SLAB, side="right")) - 1)
        _check_levels(offsets[begin - 1 : end + 1], begin, symbols, parents, weights)
        begin = end


def _check_types(
    q: int,
    offsets: npt.NDArray[Any],
    symbols: npt.NDArray[Any],
    parents: npt.NDArray[Any],
    weights: npt.NDArray[Any],
) -> None:
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
        raise ValueError("level offsets do not increase from 0 to the number of nodes")


def _check_levels(
    edges: npt.NDArray[Any],
    depth: int,
    symbols: npt.NDArray[Any],
    parents: npt.NDArray[Any],
    weights: npt.NDArray[Any],
) -> None:
    """Refuse nodes from `depth` on that do not fit those above them; `edges` has the level above, too."""

    def refuse(bad: npt.NDArray[np.bool_], nodes: npt.NDArray[Any] | range, what: str, down: int = 0) -> None:
        if bad.any():
            level = int(np.searchsorted(edges, nodes[int(np.argmax(bad))], side="right")) - 2 + depth + down
            raise ValueError(what.format(level))

    here, above = range(edges[1], edges[-1]), range(edges[0], edges[-2])
    sizes = np.diff(edges)
    up, token, weight = (array[here.start : here.stop] for array in (parents, symbols, weights))
    # A level by itself may be large, and needs no array for a single number.
    many = len(sizes) > 2
    size = np.repeat(sizes[:-1], sizes[1:]) if many else sizes[0]
    hang = "nodes at depth {} have the wrong parents"
    refuse((up < 0) | (up >= size), here, hang)
    if many:
        up = up + np.repeat(edges[:-2] - above.start, sizes[1:])
    steps = np.diff(up)
    disorder = (steps < 0) | ((steps == 0) & (np.diff(token) <= 0))
    refuse(disorder, here[1:], "nodes at depth {} are out of order")
    first = np.flatnonzero(run_starts(up))
    # The root's symbol is 0, so that it may have children like every symbol.
    inner = symbols[above.start : above.stop] >= 0
    has = np.zeros(len(above), dtype=bool)
    has[up[first]] = True
    refuse(inner != has, above, hang, down=1)
    off = _uneven(weight, first, weights[above.start : above.stop][inner])
    refuse(off, first + here.start, "weights at depth {} do not add up")


def _uneven(
    weight: npt.NDArray[Any], first: npt.NDArray[Any], expected: npt.NDArray[Any]
) -> npt.NDArray[np.bool_]:
    """Whether the weights from each of `first` to the next differ in sum from what is expected."""
    # Masses add up to within rounding of their sums; counts exactly, without wrapping round 2**64.
    with np.errstate(over="ignore", invalid="ignore"):
        sums = np.add.reduceat(weight, first, dtype=np.float64)
        off: npt.NDArray[np.bool_] = ~(np.abs(sums - expected) <= checks.SUM_TOLERANCE * expected)
        if (weight < 0).any():
            sums = log_masses.logs(log_masses.segment_sums(weight, first))
            logs = log_masses.logs(expected)
            # Logarithms of long paths have themselves a larger rounding error.
            slack = checks.SUM_TOLERANCE + 2.0**-50 * np.abs(logs)
            off = ~((np.abs(sums - logs) <= slack) & (logs > -np.inf) | (sums == logs))
    if weight.dtype == np.int64:
        off |= np.add.reduceat(weight, first) != expected
    return off
