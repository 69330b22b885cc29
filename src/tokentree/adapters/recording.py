"""Storing a model's answers in a file as they arrive."""

import os
import reprlib
import sqlite3
import weakref
from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from .._lib import checks
from .asking import (
    _ROUNDING,
    _SAME,
    NextTokenModel,
    Prefix,
    checked_model,
    checked_prefixes,
    checked_text,
    spelled,
)

_FORM = 0x746F6B65
"""Marks the file as a recording, in SQLite's application id."""

_TABLES = (
    f"PRAGMA application_id = {_FORM}",
    "CREATE TABLE answers (prefix BLOB UNIQUE, width INTEGER, kind TEXT, logs BLOB, symbols BLOB)",
    "CREATE TABLE tokens (symbol INTEGER PRIMARY KEY, raw BLOB)",
    "CREATE TABLE ends (symbol INTEGER PRIMARY KEY)",
    "CREATE TABLE facts (name TEXT PRIMARY KEY, value INTEGER)",
    "CREATE TABLE texts (raw BLOB PRIMARY KEY, ids BLOB)",
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
    alphabet_size, eos, partial, rounding, top
        The model's, or the file's.
    tokens : dict of int to bytes
        The bytes of each symbol, if the model is a server's, in this process and the next.

    Raises
    ------
    ValueError, TypeError
        If the file is not a recording, or records a model with other `eos`, another `top` or other tokens for
        its symbols. When called, if an answer is not an array of log-probabilities or is narrower than an
        earlier one, or if the first answer in the file is not the model's, which is tested before the first
        new question. From ``encode``, if the file has other ids for the text than the model or, without a
        model, none.
    OSError
        If the file is missing, or cannot be read or written.

    Notes
    -----
    The last question of `read_model`, which repeats the first, is answered from the file. The file holds V
    numbers per prefix or, for a partial model, those that are known. If the model has ``encode``, so has the
    recording, and stores the ids of each text: a program with text prompts runs again without the model. Use
    it in one process at a time.

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
        facts = dict(self._sql("SELECT name, value FROM facts"))
        for name, value in facts.items():
            if value is not None and not (isinstance(value, int) and 0 < value <= _WIDEST):
                known = reprlib.repr(name), reprlib.repr(value)
                raise ValueError(f"path = {self._name!r} is damaged: {' = '.join(known)}")
        self.alphabet_size: int | None = self._fact("alphabet_size", facts)
        self.top: int | None = self._fact("top", facts)
        self._unproved = self._sql("SELECT prefix FROM answers ORDER BY rowid LIMIT 1")
        tokens = dict(self._sql("SELECT symbol, raw FROM tokens WHERE typeof(raw) = 'blob'"))
        eos = frozenset(symbol for (symbol,) in self._sql("SELECT symbol FROM ends"))
        if learn := getattr(model, "learn", None):
            try:
                learn(tokens)
            except ValueError as error:
                raise ValueError(f"path = {self._name!r} has other tokens than the model: {error}") from None
        self.tokens: dict[int, bytes] = getattr(model, "tokens", tokens)
        self._told = 0
        """How many of them, which are only added to, this process has stored."""
        self.eos = eos if model is None else frozenset(getattr(model, "eos", ()))
        if facts and self.eos != eos:
            ours = sorted(self.eos)
            raise ValueError(f"path = {self._name!r} has eos {sorted(eos)}, and the model has {ours}")
        if facts and self.top != facts.get("top"):
            raise ValueError(
                f"path = {self._name!r} was recorded with top={facts.get('top')}, and the model has "
                f"top={self.top}: their answers list different numbers of tokens; record in another file, or "
                "give the model the file's top"
            )

    def _fact(self, name: str, facts: dict[str, Any]) -> int | None:
        value = facts.get(name) if self._model is None else getattr(self._model, name, None)
        return None if value is None else checks.integer(f"model.{name}", value, 0) or None

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
        if name == "encode" and (self._model is None or hasattr(self._model, name)):
            return self._encode
        if name in ("named_ends", "needs_start") and self._model is not None:
            return getattr(self._model, name)
        raise AttributeError(f"'Recording' has no attribute {name!r}")

    def __enter__(self) -> "Recording":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __call__(self, prefixes: Sequence[Prefix], /) -> Float[np.ndarray, "batch vocabulary"]:
        """Natural-log probabilities of the next symbol, one row per prefix."""
        prefixes = checked_prefixes(prefixes)
        rows = {prefix: self._row(prefix) for prefix in prefixes}
        missing = [prefix for prefix, row in rows.items() if not row.size]
        if missing and self._model is not None:
            self._prove()
            new = map(self._stored, missing, self._ask(missing))
            self._keep("INSERT INTO answers VALUES (?, ?, ?, ?, ?)", new)
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

    def _encode(self, text: str) -> list[int]:
        """Ids of a text, from the model or the file."""
        # Python's texts may hold what UTF-8 does not.
        raw = checked_text(text).encode(errors="surrogatepass")
        shown = reprlib.repr(text)
        rows = self._sql("SELECT ids FROM texts WHERE raw = ?", [[raw]])
        found = [self._ids(packed, shown) for (packed,) in rows]
        if self._model is None:
            if not found:
                raise ValueError(
                    f"path = {self._name!r}: {shown} was not encoded when this file was recorded; give its "
                    "token ids, or the model: Recording(path, model)"
                )
            return found[0]
        ids = [int(token) for token in self._model.encode(text)]
        if not found:
            self._prove()
            self._keep("INSERT INTO texts VALUES (?, ?)", [(raw, _packed(ids))])
        elif ids != found[0]:
            raise ValueError(
                f"path = {self._name!r} holds answers of another model: it encoded {shown} as "
                f"{reprlib.repr(found[0])}, and this model as {reprlib.repr(ids)}"
            )
        return ids

    def _ids(self, packed: Any, shown: str) -> list[int]:
        try:
            ids: list[int] = np.frombuffer(packed, "<i8").tolist()
        except (TypeError, ValueError) as error:
            raise ValueError(f"path = {self._name!r} is damaged: ids of {shown}: {error}") from None
        if min(ids, default=0) < 0:
            raise ValueError(f"path = {self._name!r} is damaged: ids of {shown}: {min(ids)} is negative")
        return ids

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

    def _keep(self, command: str, rows: Iterable[Sequence[Any]]) -> None:
        """Store rows, together with what they need to be understood."""
        facts = {"alphabet_size": self.alphabet_size, "top": self.top}
        with self._file:
            self._sql("BEGIN")
            self._sql("INSERT OR REPLACE INTO facts VALUES (?, ?)", facts.items())
            self._sql("INSERT OR IGNORE INTO ends VALUES (?)", zip(self.eos, strict=True))
            new = islice(self.tokens.items(), self._told, None)
            self._sql("INSERT OR IGNORE INTO tokens VALUES (?, ?)", new)
            self._sql(command, rows)
            self._sql("COMMIT")
        self._told = len(self.tokens)

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


def _packed(prefix: Sequence[int]) -> bytes:
    return np.array(prefix, "<i8").tobytes()
