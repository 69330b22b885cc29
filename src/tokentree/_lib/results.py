"""What results share: equality that looks into arrays, and how they say in short what they hold."""

from collections.abc import Iterable
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

_Result = TypeVar("_Result", bound=type)


def same(a: Any, b: Any) -> bool:
    """Whether two results hold the same numbers; NaN is the same as NaN, as what was not defined twice."""
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        return np.array_equal(a, b, equal_nan=True)
    if isinstance(a, tuple) and type(a) is type(b):
        return len(a) == len(b) and all(map(same, a, b))
    if is_dataclass(a) and type(a) is type(b):
        return all(same(getattr(a, field.name), getattr(b, field.name)) for field in fields(a))
    return bool(a == b or (a != a and b != b))


def comparable(result: _Result) -> _Result:
    """Let `==` compare whole results that hold arrays; a tuple of arrays would refuse to."""

    def equal(self: object, other: object) -> bool:
        return type(self) is type(other) and same(self, other)

    def differ(self: object, other: object) -> bool:
        return not equal(self, other)

    # A tuple has an inequality of its own, and arrays have no hash.
    for name, value in {"__eq__": equal, "__ne__": differ, "__hash__": None}.items():
        setattr(result, name, value)
    return result


def span(values: npt.NDArray[Any]) -> str:
    """From the least value to the largest."""
    if not values.size:
        return "none"
    least, most = values.min(), values.max()
    return f"{least:.6g}" if least == most else f"{least:.6g} to {most:.6g}"


def tally(holds: Iterable[bool | None]) -> str:
    """At how many points the signs of Theorem 4.2 hold."""
    found = list(holds)
    open_ = f", undecided at {found.count(None)}" if None in found else ""
    return f"signs hold at {found.count(True)} of {len(found)}{open_}"
