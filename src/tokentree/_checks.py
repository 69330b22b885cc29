"""Validation shared by every public door: say which argument, which entry, and what is allowed."""

import math
import operator
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any, NoReturn, TypeVar

import numpy as np
import numpy.typing as npt
from jaxtyping import Bool, Float, Int, Num, Shaped

Item = TypeVar("Item")

SUM_TOLERANCE = 1e-9
"""How far a distribution's sum may be from 1: the worst rounding of a sum of 10^7 float64 terms."""


def fail_at(
    name: str, values: Shaped[np.ndarray, "..."], bad: Bool[np.ndarray, "..."] | np.bool_, rule: str
) -> NoReturn:
    """Raise a ValueError naming the first entry of `values` where `bad` is true."""
    where = tuple(int(i) for i in np.argwhere(bad)[0])
    place = name + (f"[{', '.join(map(str, where))}]" if where else "")
    value = values[where]
    raise ValueError(f"{place} = {value.item() if isinstance(value, np.generic) else value}: {rule}")


def log_base(base: float) -> float:
    """Natural logarithm of `base`, the factor from nats to the caller's unit."""
    if not (isinstance(base, int | float | np.integer | np.floating) and 1 < base < math.inf):
        raise ValueError(f"base = {base!r}: the base of a logarithm must be finite and > 1")
    return math.log(base)


def integer(name: str, value: Any, at_least: int) -> int:
    """`value` as an int no smaller than `at_least`."""
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} = {value!r}: must be an integer >= {at_least}") from None
    if isinstance(value, bool | np.bool_) or number < at_least:
        raise ValueError(f"{name} = {value!r}: must be an integer >= {at_least}")
    return number


def real_array(name: str, value: npt.ArrayLike) -> Num[np.ndarray, "..."]:
    """`value` as an array of int64 or float64, exactly; other dtypes of numbers are widened."""
    try:
        array = np.asarray(value)
    except ValueError:
        raise ValueError(f"{name} is ragged: its rows must have equal lengths") from None
    if array.dtype.kind in "iu":
        if array.dtype == np.uint64 and (array > np.iinfo(np.int64).max).any():
            fail_at(name, array, array > np.iinfo(np.int64).max, "integers must be below 2**63")
        return array.astype(np.int64, copy=False)
    if array.dtype.kind == "f" and array.dtype.itemsize <= 8:
        return array.astype(np.float64, copy=False)
    raise TypeError(f"{name} has dtype {array.dtype}: must be real numbers that fit int64 or float64")


def nonnegative(name: str, array: Num[np.ndarray, "..."]) -> None:
    """Refuse negative, NaN and infinite entries."""
    # One reduction each: NaN propagates through min and max, so two comparisons clear the whole array.
    if array.size and not (array.min() >= 0 and array.max() < np.inf):
        fail_at(name, array, ~((array >= 0) & (array < np.inf)), "must be finite and >= 0")


def positive(name: str, value: npt.ArrayLike) -> Float[np.ndarray, "..."]:
    """`value` as finite float64 numbers above zero."""
    array = real_array(name, value).astype(np.float64, copy=False)
    bad = ~((array > 0) & (array < np.inf))
    if bad.any():
        fail_at(name, array, bad, "must be finite and > 0")
    return array


def distributions(name: str, value: npt.ArrayLike) -> Float[np.ndarray, "*batch leaves"]:
    """`value` as float64 probabilities that sum to one over the last axis, up to rounding."""
    array = real_array(name, value).astype(np.float64, copy=False)
    if array.ndim == 0 or array.shape[-1] == 0:
        raise ValueError(f"{name} has shape {array.shape}: its last axis needs at least one leaf")
    nonnegative(name, array)
    with np.errstate(over="ignore"):
        sums = np.asarray(array.sum(axis=-1))
    off = ~(np.abs(sums - 1.0) <= SUM_TOLERANCE)
    if off.any():
        fail_at(f"{name}.sum(axis=-1)", sums, off, f"probabilities must sum to 1 within {SUM_TOLERANCE:g}")
    return array


def whole(name: str, unexpanded: float, rule: str) -> None:
    """Refuse a tree with an unexpanded share of mass where a figure would pass it off as one leaf."""
    if unexpanded > 0:
        raise ValueError(f"{name} has an unexpanded share of {unexpanded:.3g}: {rule}")


def generator(rng: Any) -> np.random.Generator:
    """`rng` itself, or a new generator of that seed."""
    if isinstance(rng, np.random.Generator):
        return rng
    if isinstance(rng, bool) or not isinstance(rng, int | np.integer):
        raise TypeError(f"rng = {rng!r}: must be a numpy.random.Generator or an integer seed >= 0")
    return np.random.default_rng(integer("rng", rng, at_least=0))


def tracked(items: Sequence[Item], doing: str, show: bool) -> Iterable[Item]:
    """`items`, with a progress bar on stderr while they are gone through if `show`."""
    if not show:
        # A bar that is only disabled would still print an empty line in older releases of Rich.
        return items
    from rich.console import Console
    from rich.progress import track

    return track(items, doing, console=Console(stderr=True), transient=True)


def sequences(
    name: str, value: Any, q: int, single: bool = False
) -> tuple[Shaped[np.ndarray, "..."], Int[np.ndarray, "n"]]:
    """Symbols of all responses, in one row or as a matrix with a row for each, and the responses' lengths.

    With `single`, `value` is a list of one response and errors point into that one.
    """
    if isinstance(value, np.ndarray):
        if value.ndim != 2 or value.dtype.kind not in "iub":
            raise TypeError(
                f"{name} has shape {value.shape} and dtype {value.dtype}: must be 2-D, of integers"
            )
        flat, lengths = value, np.full(len(value), value.shape[1])
    elif isinstance(value, str | bytes):
        raise TypeError(f"{name} = {value!r} is one response: pass a list of responses")
    else:
        value = list(value)
        for i, row in enumerate(value):
            if not hasattr(row, "__len__"):
                place = name if single else f"{name}[{i}]"
                raise TypeError(f"{place} = {row!r}: must be a string of digits or a sequence of integers")
        lengths = np.fromiter(map(len, value), dtype=np.int64, count=len(value))
        if all(isinstance(row, str) for row in value):
            # Code points, so that a character outside ASCII fails as itself.
            points = np.frombuffer("".join(value).encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
            flat = points.astype(np.int64) - ord("0")
        else:
            symbols = list(chain.from_iterable(value))
            try:
                flat = np.asarray(symbols) if symbols else np.zeros(0, dtype=np.int64)
            except (ValueError, OverflowError) as error:
                raise TypeError(f"{name} holds more than integers or strings of digits: {error}") from None
            if flat.ndim != 1 or flat.dtype.kind not in "iub":
                raise TypeError(
                    f"{name} holds symbols of dtype {flat.dtype} and shape {flat.shape[1:]}: "
                    "each must be one integer, or a digit of a string"
                )
    if len(lengths) == 0:
        raise ValueError(f"{name} is empty: a dataset needs at least one response")
    # The maximum alone clears what has no sign.
    if flat.size and (flat.max() >= q or (flat.dtype.kind == "i" and flat.min() < 0)):
        at = int(np.flatnonzero((flat < 0) | (flat >= q))[0])
        ends = np.cumsum(lengths)
        i = int(np.searchsorted(ends, at, side="right"))
        j = at - int(ends[i] - lengths[i])
        place = f"{name}[{j}]" if single else f"{name}[{i}][{j}]"
        found = value[i][j]
        found = found.item() if isinstance(found, np.generic) else found
        raise ValueError(f"{place} = {found!r}: symbols must lie in 0..{q - 1} (alphabet_size = {q})")
    return flat.astype(np.min_scalar_type(q - 1), copy=False), lengths
