"""Reading responses: strings of digits, sequences of integers, or a matrix."""

from collections.abc import Iterable, Mapping
from itertools import chain
from typing import Any

import numpy as np
from jaxtyping import Int, Shaped, UInt8

from .._lib.checks import _integers, _listed, array, integer_array, is_array, items


def flattened(
    name: str, value: Any, q: int, single: bool = False, *, pass_size: bool = False
) -> tuple[Shaped[np.ndarray, "..."], Int[np.ndarray, "n"]]:
    """Symbols of all responses, in one row or as a matrix with one row each, and the responses' lengths.

    With `single`, `value` is a list of one response, and errors point into that response. With `pass_size`,
    the caller's caller chose q as alphabet_size, and may be told to choose another.
    """
    if isinstance(value, np.ndarray) or (is_array(value) and getattr(value, "ndim", 0) == 2):
        value = flat = _matrix(name, value)
        lengths = np.full(len(flat), flat.shape[1])
    elif isinstance(value, str | bytes):
        shown = f"{name} = {value!r}" if len(value) < 60 else f"{name}, of {len(value):,} characters,"
        text = "" if not isinstance(value, str) or not value.strip(_DIGITS) else f"; {_no_digits(pass_size)}"
        raise TypeError(f"{shown} is a single response: pass a list of responses{text}")
    else:
        value = _listed_responses(name, value, pass_size)
        digits = _in_digits(value, q)
        if digits is not None:
            lengths = np.fromiter(map(len, value), dtype=np.int64, count=len(value))
            # A few strings of one length form a matrix, which is read faster.
            if len(value) <= FEW and len(set(map(len, value))) == 1:
                digits = digits.reshape(len(value), -1)
            return digits, lengths
        value, flat = _rows(name, value, single)
        lengths = np.fromiter(map(len, value), dtype=np.int64, count=len(value))
    if len(lengths) == 0:
        raise ValueError(f"{name} is empty: a dataset needs at least one response")
    # However large the alphabet, no character of a string but a digit is a symbol.
    end = min(q, 10) if isinstance(value[0], str) else q
    # For unsigned types the maximum suffices.
    if flat.size and (flat.max() >= end or (flat.dtype.kind in "iO" and flat.min() < 0)):
        at = int(np.flatnonzero((flat < 0) | (flat >= end))[0])
        ends = np.cumsum(lengths)
        i = int(np.searchsorted(ends, at, side="right"))
        j = at - int(ends[i] - lengths[i])
        place = f"{name}[{j}]" if single else f"{name}[{i}][{j}]"
        found = value[i][j]
        found = found.item() if isinstance(found, np.generic) else found
        if isinstance(found, str) and found not in _DIGITS:
            raise ValueError(f"{place} = {found!r}: {_no_digits(pass_size)}")
        rule = f"symbols must lie in 0..{q - 1} (alphabet_size = {q})"
        largest = int(flat.max())
        # Beyond the digits, characters of a string are no symbols of any alphabet.
        if pass_size and flat.flat[at] >= q and (largest < 10 or not isinstance(value[i], str)):
            rule += f"; pass alphabet_size=, at least one more than the largest, here {largest + 1}"
        raise ValueError(f"{place} = {found!r}: {rule}")
    return flat.astype(np.min_scalar_type(q - 1), copy=False), lengths


def _listed_responses(name: str, value: Any, counted: bool) -> list[Any]:
    """The responses of anything that lists them."""
    if isinstance(value, Mapping) or not isinstance(value, Iterable):
        weighted = counted and isinstance(value, Mapping)
        how = "; TokenTree.from_leaves takes responses with their weights" if weighted else ""
        raise TypeError(f"{name} is a {type(value).__name__}: must be a list of responses{how}")
    return list(value)


def _no_digits(counted: bool) -> str:
    """What a string may hold, and what to pass for a text."""
    bits = ", or count its bits by TokenTree.from_text(text, depth=16)" if counted else ""
    return (
        "a string holds decimal digits, one for each symbol; of a text, pass the ids of its tokens, "
        f"model.encode(text){bits}"
    )


FEW = 64
"""Number of responses up to which calls take longer than reading."""

_DIGITS = "0123456789"

_SYMBOLS = bytes(_DIGITS.find(chr(octet)) % 256 for octet in range(256))
"""The digit of each byte; for other bytes, more than any digit."""


def _in_digits(value: list[Any], q: int) -> UInt8[np.ndarray, "_"] | None:
    """Symbols of strings in one row, if all are digits of the alphabet."""
    if set(map(type, value)) != {str}:
        return None
    text = "".join(value)
    if not text.isascii():
        return None
    symbols = np.frombuffer(text.encode().translate(_SYMBOLS), np.uint8)
    return symbols if symbols.max(initial=0) < min(q, 10) else None


def one_response(name: str, value: Any, q: int) -> Iterable[int]:
    """Symbols of one response; errors as in `flattened`."""
    # Plain cases need no array.
    if type(value) is str and not value.strip(_DIGITS[:q]):
        return value.encode().translate(_SYMBOLS)
    if isinstance(value, list | tuple):
        if not value:
            return value
        if set(map(type, value)) == {int} and min(value) >= 0 and max(value) < q:
            return value
    flat, _ = flattened(name, [value], q, single=True)
    symbols: list[int] = flat.ravel().tolist()
    return symbols


def _matrix(name: str, value: Any) -> Shaped[np.ndarray, "n length"]:
    """Responses of one length as a matrix of integers."""
    given = array(name, value)
    if given.ndim != 2 or given.dtype.kind not in "iubO":
        raise TypeError(f"{name} has shape {given.shape} and dtype {given.dtype}: must be 2-D, of integers")
    return integer_array(name, given)


def _rows(name: str, value: list[Any], single: bool) -> tuple[list[Any], Shaped[np.ndarray, "..."]]:
    """Responses as strings, lists or arrays, and the symbols of all in one row."""
    kinds = set(map(type, value))
    if kinds == {np.ndarray} and _alike(value):
        return value, np.concatenate(value)
    if not all(issubclass(kind, str | list | tuple) for kind in kinds):
        value = [_response(name if single else f"{name}[{i}]", row) for i, row in enumerate(value)]
    if all(issubclass(kind, str) for kind in kinds):
        # Code points, so that errors show a character outside ASCII.
        points = np.frombuffer("".join(value).encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
        return value, points.astype(np.int64) - ord("0")
    symbols = list(chain.from_iterable(value))
    kinds = set(map(type, symbols))
    if not all(issubclass(kind, int | np.integer | np.bool_) for kind in kinds):
        symbols = _symbols(name, value, single)
    elif not kinds <= {int}:
        symbols = list(map(int, symbols))
    return value, _integers(symbols)


def _alike(rows: list[Shaped[np.ndarray, "..."]]) -> bool:
    """Whether arrays can be concatenated unchanged: integers of one type."""
    first = rows[0]
    return first.ndim == 1 and first.dtype.kind in "iub" and len({(row.ndim, row.dtype) for row in rows}) == 1


def _response(place: str, row: Any) -> Any:
    """A response as a string or a list."""
    listed = row if isinstance(row, str) else _listed(place, row)
    if not isinstance(listed, str | list | tuple):
        raise TypeError(f"{place} = {row!r}: must be a string of digits or a sequence of integers")
    return listed


def _symbols(name: str, value: list[Any], single: bool) -> list[int]:
    """The symbols of responses that do not all hold plain integers."""
    symbols = []
    for i, row in enumerate(value):
        place = name if single else f"{name}[{i}]"
        for j, symbol in enumerate(row if isinstance(row, str) else items(place, row)):
            if not isinstance(symbol, int | np.integer | np.bool_):
                words = "; number words first, as {word: i for i, word in enumerate(vocabulary)} does"
                raise TypeError(
                    f"{place}[{j}] = {symbol!r}: must be an integer; responses are sequences of integers, or "
                    f"all strings of digits{words if isinstance(symbol, str) else ''}"
                )
            symbols.append(int(symbol))
    return symbols
