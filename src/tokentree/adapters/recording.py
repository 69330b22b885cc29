"""Keeping a model's answers in a file as they are made."""

import os
import time
from collections.abc import Collection, Iterable, Sequence

import numpy as np
from jaxtyping import Float, Int

from .._lib import checks
from .._lib.archives import save_arrays
from .._lib.progress import counter
from .asking import _SAME, NextTokenModel, Prefix
from .completions import warn_of_ends
from .saved import _FORMAT, _PAD, _VERSION, SavedModel
from .vocabulary import Vocabulary

_INTERVAL = 60.0
"""Seconds between two writings of a recording under way."""


class Recording:
    """A model that keeps another one's answers in a file: it asks for no prefix twice, today or tomorrow.

    So a read of a slow model may be stopped at any moment, even by a power cut. Started again with the same
    file, in the same process or in a new one, it gives what it would have given, and asks for what is missing
    only::

        with Recording(model, "answers.npz") as kept:
            tree = read_model(kept, depth=8)

    Parameters
    ----------
    model : NextTokenModel
    path : path-like
        Its recorded answers are taken up if it is there. Written exactly as named (.npz), atomically: when
        the ``with`` block ends, fails or is interrupted, and about once a minute before that, less often if
        writing takes long.

    Attributes
    ----------
    eos, partial, rounding
        The model's.
    vocabulary : Vocabulary or None
        The model's, if it is a server's. The file holds it, and what the file holds is added to the model's.

    Raises
    ------
    ValueError, TypeError
        If the file holds no recorded answers, those of a model with other `eos`, or symbols that stand for
        other tokens than the model's. When called, if an answer is narrower than one before or refused by
        `SavedModel.from_arrays`, or if the first answer in the file is not the model's: the first call asks
        for it again.
    OSError
        If the file cannot be read or written, or its directory is missing.

    Warns
    -----
    UserWarning
        When the ``with`` block ends, if a model is partial and has given some `eos` no probability at all.

    Notes
    -----
    Rows that get wider as a partial model meets new tokens are filled up with -inf. The last question of
    `read_model`, which is the first one again, is answered from memory. Holds and writes V numbers for each
    prefix. A process that is killed while it writes leaves a second file behind, as with `TokenTree.save`.

    Examples
    --------
    >>> import os, tempfile
    >>> from tokentree.adapters import read_model
    >>> asked = []
    >>> def coin(prefixes):
    ...     asked.extend(prefixes)
    ...     return np.log(np.full((len(prefixes), 2), 0.5))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for depth in (2, 3):
    ...         with Recording(coin, os.path.join(folder, "coin.npz")) as kept:
    ...             tree = read_model(kept, depth)
    >>> asked
    [(), (0,), (1,), (), (0, 0), (0, 1), (1, 0), (1, 1)]
    """

    def __init__(self, model: NextTokenModel, path: str | os.PathLike[str]) -> None:
        self._model = model
        self._path = path
        self.eos = frozenset(getattr(model, "eos", ()))
        self.partial = bool(getattr(model, "partial", False))
        self.rounding = float(getattr(model, "rounding", _SAME))
        vocabulary = getattr(model, "vocabulary", None)
        self.vocabulary = vocabulary if isinstance(vocabulary, Vocabulary) else None
        self._rows: dict[Prefix, Float[np.ndarray, "vocabulary"]] = {}
        self._empty: Float[np.ndarray, "0 vocabulary"] = np.empty((0, 0), np.float16)
        self._unproved = False
        self._changed = False
        self._due = time.monotonic() + _INTERVAL
        name, folder = os.fspath(path), os.path.dirname(os.path.abspath(path))
        if os.path.exists(path):
            held = SavedModel.load(path)
            if not held.partial:
                raise ValueError(f"path = {name!r} holds a table: only recorded answers can be gone on with")
            if held.eos != self.eos:
                raise ValueError(
                    f"path = {name!r} has eos {sorted(held.eos)}, and the model has {sorted(self.eos)}"
                )
            self._join(held.vocabulary)
            self._rows = {prefix: held._rows[place] for prefix, place in held._places.items()}
            self._empty = held._rows[:0]
            self._unproved = bool(self._rows)
        elif not os.path.isdir(folder):
            # Before the work, not after it.
            raise FileNotFoundError(f"path = {name!r}: there is no directory {folder!r}")

    def __enter__(self) -> "Recording":
        return self

    def __exit__(self, *error: object) -> None:
        if self._changed:
            self._write()
        if self.partial and error[0] is None:
            self._warn_of_ends()

    def __call__(self, prefixes: Sequence[Prefix], /) -> Float[np.ndarray, "batch vocabulary"]:
        """Natural-log probabilities of the next symbol, one row for each prefix."""
        if self._unproved:
            self._prove()
        missing = list(dict.fromkeys(prefix for prefix in prefixes if prefix not in self._rows))
        if missing:
            self._rows.update(zip(missing, self._ask(missing), strict=True))
            self._changed = True
            if time.monotonic() >= self._due:
                self._write()
        return self._answers(prefixes)

    def _join(self, held: Vocabulary | None) -> None:
        """Give the model the vocabulary of the file; refuse one that gives tokens other symbols."""
        if self.vocabulary is None:
            self.vocabulary = held
            return
        name = os.fspath(self._path)
        if held is None:
            raise ValueError(f"path = {name!r} holds no vocabulary: what its symbols stand for is not known")
        for symbol, (old, new) in enumerate(zip(held, self.vocabulary, strict=False)):
            if old != new:
                raise ValueError(
                    f"path = {name!r} has the token {old.key!r} for symbol {symbol}, and the model "
                    f"{new.key!r}: give it the same eos, and the vocabulary of SavedModel.load(path) or none"
                )
        for token in held:
            self.vocabulary.add(token)

    def _warn_of_ends(self) -> None:
        """Tell of ends that have had no probability."""
        never = set(self.eos)
        for row in self._rows.values():
            never -= {symbol for symbol in never if symbol < len(row) and row[symbol] > -np.inf}
            if not never:
                return
        vocabulary = self.vocabulary or ()
        warn_of_ends([vocabulary[i].key if i < len(vocabulary) else i for i in sorted(never)])

    def _ask(self, prefixes: list[Prefix]) -> Float[np.ndarray, "batch vocabulary"]:
        # A copy, for a model may use its memory again.
        rows = np.array(checks.array("the model's answer", self._model(prefixes)))
        SavedModel.from_arrays(log_probabilities=rows, prefixes=_padded(prefixes), eos=self.eos)
        width = self._empty.shape[1]
        if rows.shape[1] < width:
            raise ValueError(f"the model answered with {rows.shape[1]} symbols, and before with {width}")
        self._empty = np.empty((0, rows.shape[1]), np.result_type(self._empty, rows))
        return rows

    def _prove(self) -> None:
        """Refuse a model that is not the one that the file was recorded from."""
        first = next(iter(self._rows))
        now = np.exp(self._ask([first])[0], dtype=np.float64)
        now[: len(self._rows[first])] -= np.exp(self._rows[first], dtype=np.float64)
        apart = float(np.abs(now).sum() / 2)
        if apart > self.rounding:
            raise ValueError(
                f"path = {os.fspath(self._path)!r} holds answers of another model: after {first} they are "
                f"{apart:.2g} apart in total variation"
            )
        self._unproved = False

    def _answers(self, prefixes: Collection[Prefix]) -> Float[np.ndarray, "batch vocabulary"]:
        found = np.full((len(prefixes), self._empty.shape[1]), -np.inf, self._empty.dtype)
        for row, prefix in zip(found, prefixes, strict=True):
            row[: len(self._rows[prefix])] = self._rows[prefix]
        return found

    def _write(self) -> None:
        began = time.monotonic()
        prefixes = list(self._rows)
        width = self._empty.shape[1]
        tokens = {} if self.vocabulary is None else {"vocabulary": self.vocabulary._packed(width)}
        save_arrays(
            self._path,
            _FORMAT,
            _VERSION,
            log_probabilities=self._answers(prefixes),
            prefixes=_padded(prefixes),
            eos=np.array(sorted(self.eos), np.int64),
            **tokens,
        )
        self._changed = False
        # A tenth of the time at most goes into writing.
        self._due = time.monotonic() + max(_INTERVAL, 10 * (time.monotonic() - began))


def record(
    model: NextTokenModel,
    prefixes: Iterable[Prefix],
    path: str | os.PathLike[str],
    *,
    batch_size: int = 64,
    progress: bool = True,
) -> SavedModel:
    """Write a model's answers to a file that `SavedModel.load` reads, and return them as a model.

    Parameters
    ----------
    model : NextTokenModel
    prefixes : iterable of tuple of int
        Prefixes to ask for, prompt included; each once is enough.
    path : path-like
        As for `Recording`: written exactly as named (.npz), atomically, about once a minute. If it is there,
        its answers stay in it and are not asked for again.
    batch_size : int
        Prefixes in one call of the model.
    progress : bool
        Show a progress bar on stderr once it has taken two seconds.

    Returns
    -------
    SavedModel
        All answers in the file, with the model's `eos` and vocabulary.

    Raises
    ------
    ValueError, TypeError
        If there is no prefix or one is not of integers >= 0, or as in `Recording`.
    OSError
        If the file cannot be read or written, or its directory is missing.

    Notes
    -----
    If the model fails or is interrupted, the batches answered before are written, and the error goes on. If
    the process is killed, those of the last minute are lost. To go on, call it again.

    Examples
    --------
    >>> import os, tempfile
    >>> coin = SavedModel.from_arrays([0.5, 0.5])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = os.path.join(folder, "coin.npz")
    ...     kept = record(coin, [(), (0,), (1,)], file)
    ...     SavedModel.load(file)([(1,)])
    array([[-0.69314718, -0.69314718]])
    """
    size = checks.integer("batch_size", batch_size, 1)
    wanted = list(
        dict.fromkeys(
            tuple(checks.integer(f"prefixes[{i}][{j}]", symbol, 0) for j, symbol in enumerate(prefix))
            for i, prefix in enumerate(prefixes)
        )
    )
    if not wanted:
        raise ValueError("prefixes is empty: there is nothing to ask")
    with Recording(model, path) as kept, counter(progress) as show:
        for start in range(0, len(wanted), size):
            kept(wanted[start : start + size])
            show(min(start + size, len(wanted)))
    places = {prefix: i for i, prefix in enumerate(kept._rows)}
    return SavedModel(kept._answers(kept._rows), kept.eos, None, places, kept.vocabulary)


def _padded(prefixes: Sequence[Prefix]) -> Int[np.ndarray, "contexts length"]:
    """Prefixes as rows, with padding on the right."""
    padded = np.full((len(prefixes), max(map(len, prefixes))), _PAD, dtype=np.int64)
    for row, prefix in zip(padded, prefixes, strict=True):
        row[: len(prefix)] = prefix
    return padded
