"""Storing a model's answers in a file as they arrive."""

import os
import sqlite3
import weakref
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from .._lib import checks
from .asking import _ROUNDING, _SAME, NextTokenModel, Prefix, checked_model, spelled

_FORM = 0x746F6B65
"""Marks the file as a recording, in SQLite's application id."""

_TABLES = (
    f"PRAGMA application_id = {_FORM}",
    "CREATE TABLE answers (prefix BLOB UNIQUE, width INTEGER, kind TEXT, logs BLOB, symbols BLOB)",
    "CREATE TABLE tokens (symbol INTEGER PRIMARY KEY, raw BLOB)",
    "CREATE TABLE ends (symbol INTEGER PRIMARY KEY)",
)

_KINDS = ("<f2", "<f4", "<f8")

_WIDEST = 2**28
"""No vocabulary is larger; a damaged file must not use up all memory."""


class Recording:
    """A model's answers, stored in a file: no prefix is queried twice, and the file can replace the model.

    So a read of a slow model may be stopped at any moment, even by a power cut. Restarted with the same file,
    also in a new process, it gives the same result, and queries only what is missing.

    Parameters
    ----------
    path : path-like
        An SQLite database. Answers in it are reused; new ones are stored as soon as they are given.
    model : NextTokenModel, optional
        Without it the file must exist and is only read: a partial model, to which the answer after an
        unrecorded prefix is unknown.

    Attributes
    ----------
    alphabet_size, eos, partial, rounding
        The model's, or the file's.
    tokens : dict of int to bytes
        The bytes of each symbol, if the model is a server's, in this process and the next.

    Raises
    ------
    ValueError, TypeError
        If the file is not a recording, or records a model with other `eos` or other tokens for its symbols.
        When called, if an answer is not an array of log-probabilities or is narrower than an earlier one, or
        if the first answer in the file is not the model's, which is tested before the first new question.
    OSError
        If the file is missing, or cannot be read or written.

    Notes
    -----
    The last question of `read_model`, which repeats the first, is answered from the file. The file holds V
    numbers per prefix or, for a partial model, those that are known. Use it in one process at a time.

    Examples
    --------
    >>> import os, tempfile
    >>> from tokentree.adapters import read_model
    >>> asked = []
    >>> def coin(prefixes):
    ...     asked.extend(prefixes)
    ...     return np.log(np.full((len(prefixes), 2), 0.5))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "coin.db")
    ...     for depth in (2, 3):
    ...         with Recording(path, coin) as kept:
    ...             tree = read_model(kept, depth)
    ...     with Recording(path) as kept:
    ...         assert read_model(kept, depth=3) == tree
    >>> asked
    [(), (0,), (1,), (), (0, 0), (0, 1), (1, 0), (1, 1)]
    """

    def __init__(self, path: str | os.PathLike[str], model: NextTokenModel | None = None) -> None:
        if model is not None:
            checked_model(model)
        self._name = os.fspath(path)
        self._model: Any = model
        self.partial = model is None or bool(getattr(model, "partial", False))
        self.rounding = float(getattr(model, "rounding", _SAME))
        if model is None and not Path(path).is_file():
            raise FileNotFoundError(f"path = {self._name!r}: there is no such file, and no model to query")
        try:
            self._file = sqlite3.connect(path, isolation_level=None)
        except sqlite3.Error as error:
            raise OSError(f"path = {self._name!r}: {error}") from None
        self.close = weakref.finalize(self, self._file.close)
        try:
            self._take_up()
        except BaseException:
            self.close()
            raise

    def _take_up(self) -> None:
        model = self._model
        if model is not None and not self._sql("SELECT name FROM sqlite_master"):
            with self._file:
                for command in ("BEGIN", *_TABLES, "COMMIT"):
                    self._sql(command)
        if self._sql("PRAGMA application_id") != [(_FORM,)]:
            raise ValueError(f"path = {self._name!r} holds no recording")
        ((self._width,),) = self._sql(f"SELECT ifnull(max(width), 1) FROM answers WHERE width <= {_WIDEST}")
        ((told,),) = self._sql("PRAGMA user_version")
        if not 0 <= told <= _WIDEST:
            raise ValueError(f"path = {self._name!r} is damaged: its alphabet has {told} symbols")
        self.alphabet_size = (told or None) if model is None else getattr(model, "alphabet_size", None)
        self._unproved = self._sql("SELECT prefix FROM answers ORDER BY rowid LIMIT 1")
        tokens = dict(self._sql("SELECT symbol, raw FROM tokens WHERE typeof(raw) = 'blob'"))
        eos = frozenset(symbol for (symbol,) in self._sql("SELECT symbol FROM ends"))
        if learn := getattr(model, "learn", None):
            try:
                learn(tokens)
            except ValueError as error:
                raise ValueError(f"path = {self._name!r} has other tokens than the model: {error}") from None
        self.tokens: dict[int, bytes] = getattr(model, "tokens", tokens)
        self.eos = eos if model is None else frozenset(getattr(model, "eos", ()))
        if self._unproved and self.eos != eos:
            ours = sorted(self.eos)
            raise ValueError(f"path = {self._name!r} has eos {sorted(eos)}, and the model has {ours}")

    def _sql(self, command: str, rows: Iterable[Sequence[Any]] = ((),)) -> list[Any]:
        """What the command finds, executed for each row of values."""
        try:
            return [found for values in rows for found in self._file.execute(command, values)]
        # SQLite's messages about damage may quote bytes that are not text.
        except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
            kind = OSError if isinstance(error, sqlite3.OperationalError) else ValueError
            reason = " ".join(str(error).split())
            raise kind(f"path = {self._name!r} holds no recording that is usable: {reason}") from None

    def __getattr__(self, name: str) -> Any:
        if name in ("encode", "named_ends", "needs_start") and self._model is not None:
            return getattr(self._model, name)
        raise AttributeError(f"'Recording' has no attribute {name!r}")

    def __enter__(self) -> "Recording":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __call__(self, prefixes: Sequence[Prefix], /) -> Float[np.ndarray, "batch vocabulary"]:
        """Natural-log probabilities of the next symbol, one row per prefix."""
        rows = {prefix: self._row(prefix) for prefix in prefixes}
        missing = [prefix for prefix, row in rows.items() if not row.size]
        if missing and self._model is not None:
            self._prove()
            self._keep(missing, self._ask(missing))
            rows |= {prefix: self._row(prefix) for prefix in missing}
        shape = len(prefixes), self._width
        found = np.full(shape, -np.inf, np.result_type("f2", *rows.values()))
        for out, prefix in zip(found, prefixes, strict=True):
            out[: len(rows[prefix])] = rows[prefix]
        return found

    def text(self, symbols: int | Iterable[int]) -> str:
        """Text of one or several symbols, from the model or the file."""
        text = getattr(self._model, "text", None)
        return str(text(symbols)) if text else spelled(self.tokens, symbols)

    def _row(self, prefix: Prefix) -> Float[np.ndarray, "vocabulary"]:
        """The answer in the file, empty if there is none."""
        command = "SELECT width, kind, logs, symbols FROM answers WHERE prefix = ?"
        for width, kind, logs, symbols in self._sql(command, [[_packed(prefix)]]):
            try:
                if kind not in _KINDS or not 0 < width <= self._width:
                    raise ValueError(f"kind {kind!r}, width {width!r}")
                row = np.full(width, -np.inf, kind)
                known = np.arange(width) if symbols is None else np.frombuffer(symbols, "<i8")
                row[known.astype(np.uint64)] = np.frombuffer(logs, kind)
            except (TypeError, ValueError, IndexError) as error:
                raise ValueError(f"path = {self._name!r} is damaged after {prefix}: {error}") from None
            return row
        return np.empty(0, "f2")

    def _ask(self, prefixes: list[Prefix]) -> Float[np.ndarray, "batch vocabulary"]:
        """The model's answers, in a form that can be stored."""
        given = checks.array("the model's answer", self._model(prefixes))
        size, rows = len(prefixes), given.astype(given.dtype.newbyteorder("<"), copy=False)
        if rows.ndim != 2 or len(rows) != size or rows.shape[1] < self._width or rows.dtype.kind != "f":
            raise ValueError(
                f"the model answered {size} prefixes with shape {rows.shape} and dtype {rows.dtype}: must be "
                f"floats of shape ({size}, vocabulary), no narrower than before, {self._width}"
            )
        bad = ~(rows <= _ROUNDING.get(rows.itemsize, 0))
        if bad.any():
            checks.fail_at("the model's answer", rows, bad, "a log-probability is at most 0")
        self._width = rows.shape[1]
        return rows

    def _keep(self, prefixes: list[Prefix], rows: Float[np.ndarray, "batch vocabulary"]) -> None:
        with self._file:
            self._sql("BEGIN")
            # An integer of SQLite's header, 0 if it is not set.
            self._sql(f"PRAGMA user_version = {self.alphabet_size or 0}")
            self._sql("INSERT OR IGNORE INTO ends VALUES (?)", zip(self.eos, strict=True))
            self._sql("INSERT OR IGNORE INTO tokens VALUES (?, ?)", self.tokens.items())
            self._sql("INSERT INTO answers VALUES (?, ?, ?, ?, ?)", map(self._stored, prefixes, rows))
            self._sql("COMMIT")

    def _stored(self, prefix: Prefix, row: Float[np.ndarray, "vocabulary"]) -> Sequence[Any]:
        known = np.flatnonzero(row > -np.inf).astype("<i8")
        logs, symbols = (row[known], known.tobytes()) if self.partial else (row, None)
        return _packed(prefix), len(row), row.dtype.str, logs.tobytes(), symbols

    def _prove(self) -> None:
        """Refuse a model other than the one recorded in the file."""
        for (key,) in self._unproved:
            first: Prefix = tuple(np.frombuffer(key, "<i8").tolist())
            now, before = (np.exp(row, dtype=np.float64) for row in (self._ask([first])[0], self._row(first)))
            now[: len(before)] -= before
            if (apart := float(np.abs(now).sum() / 2)) > self.rounding:
                raise ValueError(
                    f"path = {self._name!r} holds answers of another model: after {first} they are "
                    f"{apart:.2g} apart in total variation"
                )
        self._unproved = []


def _packed(prefix: Prefix) -> bytes:
    return np.array(prefix, "<i8").tobytes()
