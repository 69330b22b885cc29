"""Optional packages, and tables made with one of them."""

from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas


def optional(package: str, extra: str, wanted: str) -> Any:
    """The optional package that `wanted` needs."""
    try:
        return import_module(package)
    except ImportError as error:
        install = f"pip install {package.partition('.')[0]}"
        raise ImportError(f"{wanted} needs {package}: {install} (extra {extra!r})") from error


def frame(columns: Mapping[str, Any], *index: str) -> "pandas.DataFrame":
    """Table of the columns, some of which may be the index; with one row if no column is longer."""
    one = all(isinstance(value, str) or not hasattr(value, "__len__") for value in columns.values())
    make = optional("pandas", "pandas", "to_frame").DataFrame
    table: "pandas.DataFrame" = make(dict(columns), index=[0] if one else None)
    return table.set_index(list(index)) if index else table
