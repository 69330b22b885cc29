"""Validation shared by all public functions: errors name the argument, the entry, and what is allowed."""

import math
import operator
from array import array as compact_array
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from fractions import Fraction
from itertools import chain
from numbers import Integral, Rational
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt
from jaxtyping import Bool, Float, Int, Num, Shaped

Numbers = npt.ArrayLike | Iterable[Any]
"""Arrays of numbers: everything that NumPy accepts, and anything else that lists numbers in order."""

_INT64_MAX = 2**63 - 1

_EXACT = 2**53
"""Up to this value float64 represents every integer."""

_MOST_AXES = 32

_SHORT = 100
"""Largest number of entries that are checked one by one."""

SUM_TOLERANCE = 1e-9
"""Allowed deviation of a distribution's sum from 1: the worst rounding of a sum of 10^7 float64 terms."""


def fail_at(
    name: str, values: Shaped[np.ndarray, "..."], bad: Bool[np.ndarray, "..."] | np.bool_, rule: str
) -> NoReturn:
    """Raise a ValueError naming the first entry of `values` where `bad` is true."""
    at = int(np.flatnonzero(bad)[0])
    value = values.flat[at]
    value = value.item() if isinstance(value, np.generic) else value
    raise ValueError(f"{_place(name, at, values.shape)} = {value}: {rule}")


def _place(name: str, at: int, shape: tuple[int, ...]) -> str:
    """Entry number `at` of an array, in Python's notation."""
    where = [str(int(i)) for i in np.unravel_index(at, shape)]
    return f"{name}[{', '.join(where)}]" if where else name


def log_base(base: float) -> float:
    """Natural logarithm of `base`, the factor from nats to the caller's unit."""
    if not (isinstance(base, int | float | np.integer | np.floating) and 1 < base < math.inf):
        units = "; 2 for bits, math.e for nats (to select a dataset, index the result)"
        units = units if isinstance(base, str) else ""
        raise ValueError(f"base = {base!r}: the base of a logarithm must be finite and > 1{units}")
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


def items(name: str, value: Any, rule: str = "must be a sequence") -> list[Any]:
    """The entries of an array, or of anything else that lists them in order, unchanged."""
    listed: Any = None if isinstance(value, str | bytes) else _listed(name, value)
    if not isinstance(listed, list | tuple):
        raise ValueError(f"{name} = {value!r}: {rule}")
    kinds = [kind for kind in set(map(type, listed)) if hasattr(kind, "__array__")]
    if all(issubclass(kind, np.generic) for kind in kinds):
        return list(listed)
    return [
        plain_array(f"{name}[{i}]", entry)[()] if is_array(entry) else entry for i, entry in enumerate(listed)
    ]


def array(name: str, value: Any) -> Shaped[np.ndarray, "..."]:
    """`value` as an array. All arrays enter here: no number is rounded, and no masked entry is used.

    Values that no dtype holds exactly become an array of objects. An array of objects is read as a list.
    Arrays are not copied. For a list the types of its entries are checked once in addition to NumPy's check.
    """
    if is_array(value):
        plain = plain_array(name, value)
        return _nested(name, plain.ravel().tolist(), plain.shape) if plain.dtype == object else plain
    if isinstance(value, str | bytes):
        return np.asarray(value)
    _refuse_no_numbers(name, value)
    listed = _listed(name, value)
    return _together(name, [value], ()) if listed is None else _nested(name, listed, (len(listed),))


_INSTEAD = {
    "leaf_probabilities": "its leaf_probabilities, leaves().weight, or leaf_distributions([a, b]) of several",
    "distributions": "its distributions, a row for each dataset, or its joint",
    "regret": "its sizes, or its rates",
}
"""What to pass instead of an object with this attribute; looked up on its class, as some are slow."""


def _refuse_no_numbers(name: str, value: Any) -> None:
    """Raise an error that says what to pass instead of a tree, a mixture or runs."""
    for attribute, instead in _INSTEAD.items():
        if hasattr(type(value), attribute):
            raise TypeError(f"{name} is a {type(value).__name__}: must be numbers; pass {instead}")


def exact_array(name: str, value: Numbers) -> Shaped[np.ndarray, "..."]:
    """`value` as an array of int64 or float64; of ints and Fractions if they are beyond both."""
    given = array(name, value)
    kind, width = given.dtype.kind, given.dtype.itemsize
    if kind == "u" and width == 8 and given.size and given.max() > _INT64_MAX:
        return given.astype(object)
    if kind in "iu":
        return given.astype(np.int64, copy=False)
    if kind == "f" and width <= 8:
        return given.astype(np.float64, copy=False)
    if kind != "O":
        raise TypeError(f"{name} {_held(given)}: must be real numbers that fit int64 or float64")
    entries = given.ravel().tolist()
    return given if set(map(type, entries)) == {int} else _exact(name, entries, given.shape)


def _exact(name: str, entries: list[Any], shape: tuple[int, ...]) -> Shaped[np.ndarray, "..."]:
    """Single entries as ints and Fractions, or as floats: floats and Fractions may not be mixed."""
    loose = None
    for at, entry in enumerate(entries):
        if not is_number(entry):
            _refuse_no_numbers(_place(name, at, shape), entry)
            raise TypeError(f"{_place(name, at, shape)} = {entry!r}: must be an int, a float or a Fraction")
        if isinstance(entry, Rational):
            # NumPy's own integers would overflow.
            exact = Fraction(int(entry.numerator), int(entry.denominator))
            entries[at] = int(exact) if isinstance(entry, Integral) else exact
        elif loose is None:
            loose = at
    if loose is not None and any(isinstance(entry, Fraction) for entry in entries):
        rule = "a float together with a Fraction; make all of them Fractions, or all floats"
        raise TypeError(f"{_place(name, loose, shape)} = {entries[loose]!r}: {rule}")
    return _together(name, entries, shape)


def real_array(name: str, value: Numbers) -> Num[np.ndarray, "..."]:
    """`value` as an array of int64 or float64, exactly; other numeric dtypes are widened."""
    given = exact_array(name, value)
    if given.dtype == object:
        for at, entry in enumerate(given.ravel().tolist()):
            if not isinstance(entry, int):
                _no_fraction(_place(name, at, given.shape), entry)
            if entry > _INT64_MAX:
                rule = "integers must be below 2**63; to use masses, pass floats"
                raise ValueError(f"{_place(name, at, given.shape)} = {entry}: {rule}")
            if entry < -_INT64_MAX - 1:
                raise ValueError(f"{_place(name, at, given.shape)} = {entry}: must not be below -2**63")
    return given


def float_array(name: str, value: Numbers) -> Float[np.ndarray, "..."]:
    """`value` as an array of float64, exactly."""
    given = exact_array(name, value)
    if given.dtype == object or (given.dtype == np.int64 and given.size and not _small(given)):
        for at, entry in enumerate(given.ravel().tolist()):
            if not isinstance(entry, int):
                _no_fraction(_place(name, at, given.shape), entry)
            if not _has_float(entry):
                _would_round(_place(name, at, given.shape), entry)
    return given.astype(np.float64, copy=False)


def integer_array(name: str, value: Numbers) -> Shaped[np.ndarray, "..."]:
    """`value` as an array of integers or booleans; of Python's ints if they are beyond every dtype."""
    given = array(name, value)
    if not given.size:
        return given.astype(np.int64)
    if given.dtype == object:
        entries = given.ravel().tolist()
        for at, entry in enumerate(entries):
            if not isinstance(entry, Integral | np.bool_):
                raise TypeError(f"{_place(name, at, given.shape)} = {entry!r}: must be an integer")
        return _together(name, list(map(int, entries)), given.shape)
    if given.dtype.kind not in "iub":
        raise TypeError(f"{name} {_held(given)}: must be integers")
    return given


def _held(given: Shaped[np.ndarray, "..."]) -> str:
    """What an array holds that are no numbers, in an error."""
    return "holds text" if given.dtype.kind in "US" else f"has dtype {given.dtype}"


def is_number(value: object) -> bool:
    """Whether this is a real number, exact or floating."""
    return isinstance(value, Rational | float | np.floating) and not isinstance(value, bool | np.bool_)


def is_array(value: Any) -> bool:
    """Whether NumPy reads `value` as a whole, by the array protocols; NumPy scalars have them too."""
    return hasattr(value, "__array__") or isinstance(value, memoryview | bytearray | compact_array)


def plain_array(name: str, value: Any) -> Shaped[np.ndarray, "..."]:
    """An array, or an object that offers one, as a plain ndarray."""
    if type(value) is np.ndarray:
        return value
    # In this order, because naming numpy.ma loads the module.
    if isinstance(value, np.ndarray) and isinstance(value, np.ma.MaskedArray):
        mask = np.ma.getmaskarray(value)
        if mask.any():
            place = _place(name, int(np.flatnonzero(mask)[0]), mask.shape)
            rule = "give it a value with .filled(...), or leave masked entries out with .compressed()"
            raise ValueError(f"{place} is masked: {rule}")
    try:
        return np.asarray(value)
    except Exception as error:
        # The error of a tensor that has a gradient or is on a GPU says what to do.
        raise TypeError(f"{name} is a {type(value).__name__} that NumPy does not read: {error}") from None


def _listed(name: str, value: Any) -> Any:
    """`value` as a list; unchanged if it is a list or a tuple, and None if it has no entries."""
    if isinstance(value, list | tuple):
        return value
    if is_array(value):
        return plain_array(name, value).tolist()
    if isinstance(value, Mapping):
        raise TypeError(f"{name} is a {type(value).__name__}: must be a sequence; pass its .values()")
    if isinstance(value, set | frozenset):
        raise TypeError(f"{name} is a {type(value).__name__}, which has no order: must be a sequence")
    try:
        return list(value)
    except TypeError:
        return None


def _nested(name: str, listed: Sequence[Any], shape: tuple[int, ...]) -> Shaped[np.ndarray, "..."]:
    """Array of this shape from entries in its order, with more axes if the entries have them."""
    if len(shape) > _MOST_AXES:
        raise ValueError(f"{name} is nested more than {_MOST_AXES} deep: must be an array of numbers")
    kinds = set(map(type, listed))
    if not any(map(_holds_numbers, kinds)):
        return _together(name, listed, shape, kinds)
    if kinds <= {list, tuple}:
        lengths = set(map(len, listed))
        if len(lengths) > 1:
            _ragged(name)
        return _nested(name, list(chain.from_iterable(listed)), (*shape, *lengths))
    rows = [array(_place(name, i, shape), row) for i, row in enumerate(listed)]
    inner = {row.shape for row in rows}
    if len(inner) > 1:
        _ragged(name)
    shape += inner.pop()
    if rows[0].dtype != object and len({row.dtype for row in rows}) == 1:
        return np.stack(rows).reshape(shape)
    return _together(name, list(chain.from_iterable(row.ravel().tolist() for row in rows)), shape)


def _holds_numbers(kind: type) -> bool:
    """Whether an entry of this type is a list of more."""
    if issubclass(kind, np.generic | str | bytes):
        return False
    return hasattr(kind, "__iter__") or hasattr(kind, "__array__")


def _together(
    name: str, listed: Sequence[Any], shape: tuple[int, ...], kinds: set[type] | None = None
) -> Shaped[np.ndarray, "..."]:
    """Array of this shape from single entries of these types, in its order."""
    kinds = set(map(type, listed)) if kinds is None else kinds
    flat: Shaped[np.ndarray, "n"]
    if kinds <= {float}:
        flat = np.fromiter(listed, np.float64, len(listed))
    elif all(map(_is_integer, kinds)):
        flat = _integers(listed if kinds == {int} else list(map(int, listed)))
    elif all(_is_integer(kind) or _is_float(kind) for kind in kinds):
        large: Iterable[int] = range(len(listed))
        with suppress(OverflowError):
            flat = np.array(listed, np.float64)
            large = np.flatnonzero(~(np.abs(flat) < _EXACT)).tolist()
        for at in large:
            if _is_integer(type(listed[at])) and not _has_float(int(listed[at])):
                _would_round(_place(name, at, shape), int(listed[at]))
    else:
        # If NumPy reads these as numbers, some are booleans or were rounded.
        flat = _objects(listed)
        try:
            found = np.asarray(listed)
        except (TypeError, ValueError, OverflowError):
            found = flat
        if found.shape == flat.shape and (found.dtype.kind not in "iuf" or found.dtype.itemsize > 8):
            flat = found
    return flat.reshape(shape)


def _is_integer(kind: type) -> bool:
    return issubclass(kind, int | np.integer) and kind is not bool


def _is_float(kind: type) -> bool:
    return issubclass(kind, float | np.floating) and np.dtype(kind).itemsize <= 8


def _integers(listed: Sequence[int]) -> Shaped[np.ndarray, "n"]:
    """As int64, or as Python ints if one is out of its range."""
    try:
        return np.fromiter(listed, np.int64, len(listed))
    except OverflowError:
        return _objects(listed)


def _objects(listed: Sequence[Any]) -> Shaped[np.ndarray, "n"]:
    objects = np.empty(len(listed), object)
    objects[:] = listed
    return objects


def _small(given: Int[np.ndarray, "..."]) -> bool:
    return bool(given.min() >= -_EXACT and given.max() <= _EXACT)


def _has_float(whole: int) -> bool:
    """Whether float64 represents this integer."""
    try:
        return float(whole) == whole
    except OverflowError:
        return False


def _would_round(place: str, whole: int) -> NoReturn:
    raise ValueError(f"{place} = {whole}: float64 has no such integer; round it with float(...)")


def _no_fraction(place: str, entry: Fraction) -> NoReturn:
    raise TypeError(f"{place} = {entry!r}: must be an int or a float; round it with float(...)")


def _ragged(name: str) -> NoReturn:
    raise ValueError(f"{name} is ragged: its rows must have equal lengths")


def nonnegative(name: str, values: Shaped[np.ndarray, "..."]) -> None:
    """Refuse negative, NaN and infinite entries."""
    # One reduction each: NaN propagates through min and max, so two comparisons clear the whole array.
    if values.size and not (values.min() >= 0 and values.max() < np.inf):
        fail_at(name, values, ~((values >= 0) & (values < np.inf)), "must be finite and >= 0")


def positive(name: str, value: Numbers) -> Float[np.ndarray, "..."]:
    """`value` as finite float64 numbers above zero."""
    numbers = float_array(name, value)
    bad = ~((numbers > 0) & (numbers < np.inf))
    if bad.any():
        fail_at(name, numbers, bad, "must be finite and > 0")
    return numbers


def distributions(name: str, value: Numbers) -> Float[np.ndarray, "*batch leaves"]:
    """`value` as float64 probabilities that sum to one over the last axis, up to rounding."""
    p = float_array(name, value)
    if p.ndim == 0 or p.shape[-1] == 0:
        raise ValueError(f"{name} has shape {p.shape}: its last axis needs at least one leaf")
    if p.ndim == 1 and p.size <= _SHORT:
        # For a few numbers, a list is checked in the time of one reduction. NaN fails the sum.
        listed = p.tolist()
        if abs(sum(listed) - 1.0) <= SUM_TOLERANCE and min(listed) >= 0:
            return p
    nonnegative(name, p)
    with np.errstate(over="ignore"):
        sums = np.asarray(p.sum(axis=-1))
    off = ~(np.abs(sums - 1.0) <= SUM_TOLERANCE)
    if off.any():
        rule = f"probabilities must sum to 1 within {SUM_TOLERANCE:g}; divide others by their sum"
        fail_at(f"{name}.sum(axis=-1)", sums, off, rule)
    return p


def whole(name: str, unexpanded: float, rule: str) -> None:
    """Refuse a tree with unexpanded mass where a result would treat that mass as one leaf."""
    if unexpanded > 0:
        raise ValueError(f"{name} has an unexpanded share of {unexpanded:.3g}: {rule}")


def generator(rng: Any) -> np.random.Generator:
    """`rng` itself, or a new generator of that seed."""
    if isinstance(rng, np.random.Generator):
        return rng
    if isinstance(rng, bool) or not isinstance(rng, int | np.integer):
        raise TypeError(f"rng = {rng!r}: must be a numpy.random.Generator or an integer seed >= 0")
    return np.random.default_rng(integer("rng", rng, at_least=0))


def finite(name: str, value: Numbers) -> Float[np.ndarray, "*shape"]:
    array: Float[np.ndarray, "*shape"] = float_array(name, value)
    if not np.isfinite(array).all():
        fail_at(name, array, ~np.isfinite(array), "must be finite")
    return array


def per_unit(name: str, array: Float[np.ndarray, "..."], n: int) -> Float[np.ndarray, "n"]:
    """A single number for each of n, or n numbers."""
    if array.shape not in ((), (n,)):
        raise ValueError(f"{name} has shape {array.shape}: must be one number or ({n},)")
    return np.full(n, array)


def distinct_names(names: Iterable[str] | None, n: int, thing: str, letter: str) -> tuple[str, ...]:
    """The names of n things, all different; by default a letter and a number each."""
    if names is None:
        return tuple(f"{letter}{i + 1}" for i in range(n))
    rule = f"must be {n} strings, one per {thing}"
    listed = items("names", names, rule)
    if len(listed) != n:
        raise ValueError(f"names = {listed!r}: {rule}")
    for i, name in enumerate(listed):
        if not isinstance(name, str):
            raise TypeError(f"names[{i}] = {name!r}: must be a string")
        if name in listed[:i]:
            raise ValueError(f"names[{i}] = {name!r}: already the name of {thing} {listed.index(name)}")
    return tuple(listed)


def named(things: Any, names: Iterable[str] | None) -> tuple[Any, Iterable[str] | None]:
    """Things that a mapping gives by name as a list, with those names unless others are given."""
    if not isinstance(things, Mapping):
        return things, names
    return list(things.values()), things.keys() if names is None else names


def by_name(
    name: str,
    value: Any,
    names: Sequence[str] | None,
    otherwise: float | None = None,
    rule: str = "must be >= 0",
) -> Any:
    """Numbers in the order of `names`, if a mapping gives them by name; anything else unchanged.

    So does a Series, or a data frame by its columns, with a name among its labels. Without `otherwise` every
    name needs a number. `names` is None if none were given.
    """
    if isinstance(value, str) and value in (names or ()):
        raise TypeError(f"{name} = {value!r}: must have numbers in order or by name, as {{{value!r}: 1}}")
    labels = labels_of(value)
    if any(label in (names or ()) for label in labels):
        for at, label in enumerate(labels):
            if label in labels[:at]:
                raise ValueError(f"{name} has the label {label!r} twice: labels must differ")
        given = plain_array(name, value)
        if given.ndim > 1:
            at_end = None if otherwise is None else len(labels)
            places = by_name(name, dict(zip(labels, range(len(labels)), strict=True)), names, at_end)
            rest = np.full((len(given), 1), otherwise, object)
            return np.hstack([given.astype(object), rest])[:, places]
        value = dict(zip(labels, given.tolist(), strict=True))
    if not isinstance(value, Mapping):
        return value
    if names is None:
        raise TypeError(
            f"{name} is a {type(value).__name__}, but the datasets have no names: must be a sequence; or "
            "give names, by names= or a mapping of names to the datasets"
        )
    known = ", ".join(map(repr, names))
    for key, each in value.items():
        if key not in names:
            raise ValueError(f"{name} names {key!r}: must be one of {known}")
        if not is_number(each):
            raise TypeError(f"{name}[{key!r}] = {each!r}: must be a number")
        if not each >= 0:
            raise ValueError(f"{name}[{key!r}] = {each}: {rule}")
    missing = [] if otherwise is not None else [each for each in names if each not in value]
    if missing:
        raise ValueError(
            f"{name} lacks {', '.join(map(repr, missing))}: must have a number for each of {known}"
        )
    return [value.get(each, otherwise) for each in names]


def labels_of(value: Any) -> list[Any]:
    """The labels of a Series, or of the columns of a data frame."""
    if type(value) is np.ndarray or not hasattr(value, "__array__"):
        return []
    labels = getattr(value, "columns", getattr(value, "index", ()))
    return [] if callable(labels) else list(labels)


def different(given: Mapping[str, Any], index: Callable[[Any, str], int]) -> list[int]:
    """The positions of datasets given by position or name, all different; `index` finds one."""
    positions = [index(dataset, role) for role, dataset in given.items()]
    if len(set(positions)) < len(positions):
        told = f"{', '.join(given)} = {', '.join(map(repr, given.values()))}"
        raise ValueError(f"{told}: must be different datasets")
    return positions
