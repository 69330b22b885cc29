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
        raise ImportError(f"{wanted} needs {package}: pip install 'tokentree[{extra}]'") from error


def frame(columns: Mapping[str, Any], index: str | None = None) -> "pandas.DataFrame":
    """Table of the columns, one of which may name the rows."""
    table: "pandas.DataFrame" = optional("pandas", "pandas", "to_frame").DataFrame(dict(columns))
    return table if index is None else table.set_index(index)
