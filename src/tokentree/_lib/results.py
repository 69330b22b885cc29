"""Common behaviour of results: comparison by value, tables and plain data, and short displays."""

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from . import display, frames

if TYPE_CHECKING:
    import pandas


def same(a: Any, b: Any) -> bool:
    """Whether two results hold the same numbers; NaN, which marks undefined values, equals NaN."""
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        return np.array_equal(a, b, equal_nan=True)
    if isinstance(a, tuple) and type(a) is type(b):
        return len(a) == len(b) and all(map(same, a, b))
    if is_dataclass(a) and type(a) is type(b):
        return all(same(getattr(a, field.name), getattr(b, field.name)) for field in fields(a))
    return bool(a == b or (a != a and b != b))


class Made:
    """Base class of dataclasses whose docstring says what they are made by: so do errors of calls by hand."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        # Copies and pickles are made without arguments.
        if args or kwargs:
            needed = [each for each in fields(cls) if each.default is each.default_factory is MISSING]
            given = len(args) + len(kwargs)
            if given < len(needed):
                maker = re.search("[Mm]ade by `(.+?)`", cls.__doc__ or "")
                how = f"made by {maker[1]}" if maker else "a result"
                raise TypeError(f"{cls.__name__} is {how}: it has {len(needed)} fields, not {given}")
        return super().__new__(cls)


class Result(Made):
    """Base class of results, which are dataclasses with ``frozen=True, eq=False, repr=False``.

    Two results are equal if they have the same class and equal fields, where NaN equals NaN. They have no
    hash, because arrays have none.
    """

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and same(self, other)

    __hash__ = None  # type: ignore[assignment]  # Python's way of saying that there is no hash

    def to_dict(self) -> dict[str, Any]:
        """Every field as plain data for JSON: arrays as lists, and None for values that are not finite."""
        return {field.name: plain(getattr(self, field.name)) for field in fields(self)}

    def to_frame(self) -> "pandas.DataFrame":
        """The result as a pandas table. Needs the extra ``pandas``.

        Raises
        ------
        ImportError
            If pandas is not installed.
        """
        columns, *index = self._columns()
        return frames.frame(columns, *index)

    def _columns(self) -> tuple[Mapping[str, Any], *tuple[str, ...]]:
        """Columns of the table by name, then the names of those that form its index."""
        return ({field.name: getattr(self, field.name) for field in fields(self)},)

    def __repr__(self) -> str:
        shown = (f"{field.name}={short(getattr(self, field.name))}" for field in fields(self))
        return f"{type(self).__name__}({', '.join(shown)})"

    def _repr_html_(self) -> str:
        shown = {field.name: short(getattr(self, field.name)) for field in fields(self)}
        return display.pairs(shown, type(self).__name__)


def points(axes: Mapping[str, Any], **arrays: Any) -> tuple[Mapping[str, Any], *tuple[str, ...]]:
    """Columns with a row per grid point, and the names of the axes; arrays broadcast to the grid."""
    shape = tuple(map(len, axes.values()))
    columns = dict(zip(axes, np.meshgrid(*axes.values(), indexing="ij"), strict=True)) | arrays
    return {name: np.broadcast_to(each, shape).ravel() for name, each in columns.items()}, *axes


def plain(value: Any) -> Any:
    """The value as plain JSON data; exact fractions as text."""
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Result):
        return value.to_dict()
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    return str(value) if isinstance(value, Fraction) else value


def short(value: Any) -> str:
    """The value in a few characters; for an array its range."""
    if isinstance(value, np.ndarray) and value.dtype.kind in "iuf":
        return span(value) if value.ndim else short(value.item())
    if isinstance(value, np.ndarray) or (isinstance(value, tuple) and len(value) > 4):
        return f"{np.size(value) if isinstance(value, np.ndarray) else len(value)} values"
    return f"{value:.6g}" if isinstance(value, float) else repr(value)


def span(values: npt.NDArray[Any]) -> str:
    """The range from the least to the largest value."""
    if not values.size:
        return "none"
    least, most = values.min(), values.max()
    return f"{least:.6g}" if least == most else f"{least:.6g} to {most:.6g}"


def tally(holds: Iterable[bool | None]) -> str:
    """The number of points at which the signs of Theorem 4.2 hold."""
    found = list(holds)
    open_ = f", undecided at {found.count(None)}" if None in found else ""
    return f"signs hold at {found.count(True)} of {len(found)}{open_}"


def few(names: Iterable[str], most: int = 6) -> str:
    """The first names, and how many more there are."""
    listed = list(names)
    more = f" and {len(listed) - most:,} more" if len(listed) > most else ""
    return ", ".join(listed[:most]) + more
