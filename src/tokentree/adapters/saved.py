r"""Next-token probabilities from a file: a Markov table, or the recorded answers of another model.

What a file holds is told by its arrays' names, so that any program can write one with NumPy alone:

- ``probabilities`` or ``log_probabilities`` (natural logarithms), a row over the vocabulary for each context;
- ``prefixes``, if the rows are recorded answers, in whose order they stand; otherwise they are a table;
- ``eos``, the symbols that end a sequence, if there are any;
- ``vocabulary``, if the symbols stand for a server's tokens: for each symbol, as bytes of JSON, a list of the
  token's text, its bytes in hexadecimal and its id, null where the server does not say.

A lone array (.npy) is a table of probabilities. A model that runs on one machine only can be recorded there
and read anywhere. What `record` writes has a format, a version and a SHA-256 besides, which are checked.
"""

import os
import time
from collections.abc import Collection, Iterable, Sequence
from typing import Annotated, Any

import numpy as np
from jaxtyping import Float, Int, Shaped

from .. import _checks
from .._checks import Numbers
from .._files import load_arrays, read_array, save_arrays
from .completions import Vocabulary, warn_of_ends
from .reader import _ROUNDING, _SAME, NextTokenModel, Prefix, _bar

_FORMAT = "tokentree.SavedModel"
_VERSION = 1
_INTERVAL = 60.0
"""Seconds between two writings of a recording under way."""
_NAMES = ("probabilities", "log_probabilities", "prefixes", "eos", "vocabulary")
_PAD = -1
_FLOATS = (np.float16, np.float32, np.float64)


class SavedModel:
    """A next-token model that looks its answers up. Build one with `from_arrays` or `load`.

    A table of order k answers by the last k symbols of a prefix. Before there are k, it has no answer, and
    asking is an error: give `read_model` a prompt of k symbols. For an initial distribution, add a start
    symbol to the vocabulary and let it be the prompt.

    Recorded answers are a partial model: only the prefixes that were recorded have a row, and after all
    others nothing is known.

    Attributes
    ----------
    vocabulary_size : int
    order : int or None
        Number k of symbols that a table answers by; None for recorded answers.
    eos : frozenset of int
        Symbols that end a sequence.
    partial : bool
        Whether -inf means "not known": True for recorded answers.
    vocabulary : Vocabulary or None
        The tokens that the symbols stand for, if a server's answers were recorded.

    Examples
    --------
    >>> from tokentree.adapters import read_model
    >>> bigram = SavedModel.from_arrays([[0.75, 0.25], [0.5, 0.5]])
    >>> read_model(bigram, depth=2, prompt=(1,)).weight("00")
    0.375
    """

    def __init__(
        self,
        rows: Float[np.ndarray, "contexts vocabulary"],
        eos: frozenset[int],
        order: int | None,
        places: dict[Prefix, int],
        vocabulary: Vocabulary | None = None,
    ) -> None:
        self._rows = rows
        self._places = places
        self.vocabulary_size = int(rows.shape[1])
        self.order = order
        self.eos = eos
        self.partial = order is None
        self.vocabulary = vocabulary

    @staticmethod
    def from_arrays(
        probabilities: Annotated[Numbers, "*contexts vocabulary"] | None = None,
        *,
        log_probabilities: Annotated[Numbers, "*contexts vocabulary"] | None = None,
        prefixes: Annotated[Numbers, "contexts length"] | None = None,
        eos: Collection[int] = (),
    ) -> "SavedModel":
        """A model from a table, or from recorded answers.

        Parameters
        ----------
        probabilities, log_probabilities : array_like
            One of the two; logarithms are natural. A table of order k has shape (V,) * (k + 1), its last axis
            the next symbol and those before it the last k symbols, the latest one last. Recorded answers have
            shape (n, V), and -inf (probability 0) is "not known". Floats keep their precision.
        prefixes : array_like of int, shape (n, L), optional
            The prefix that each row answers, padded with -1 on the right. Makes the rows recorded answers.
        eos : collection of int
            Symbols that end a sequence.

        Raises
        ------
        ValueError
            If not one of the two is given, a shape is not as above, an entry is NaN, negative or above 1, a
            prefix has a symbol outside the vocabulary or one behind padding or stands there twice, or an
            `eos` symbol is outside the vocabulary.
        TypeError
            If an array is not of real numbers, or the prefixes or `eos` are not integers.

        Notes
        -----
        Sums of rows are left for `read_model` to judge, which can renormalize. Logarithms are not copied.
        O(n V).

        Examples
        --------
        >>> model = SavedModel.from_arrays([[0.5, 0.5], [0.0, 1.0]], prefixes=[[-1], [0]])
        >>> model([(), (0,), (1,)])
        array([[-0.69314718, -0.69314718],
               [       -inf,  0.        ],
               [       -inf,        -inf]])
        """
        if (probabilities is None) == (log_probabilities is None):
            raise ValueError("give one of probabilities and log_probabilities")
        if log_probabilities is None:
            name, rows = "probabilities", _floats("probabilities", probabilities)
            bad = ~((rows >= 0) & (rows <= 1 + _ROUNDING[rows.itemsize]))
            rule = "must lie between 0 and 1"
        else:
            name, rows = "log_probabilities", _floats("log_probabilities", log_probabilities)
            bad, rule = ~(rows <= _ROUNDING[rows.itemsize]), "a log-probability is at most 0"
        if bad.any():
            _checks.fail_at(name, rows, bad, rule)
        if log_probabilities is None:
            with np.errstate(divide="ignore"):
                rows = np.log(rows)
        size = rows.shape[-1] if rows.ndim else 0
        if size == 0:
            raise ValueError(f"{name} has shape {rows.shape}: its last axis needs at least one symbol")
        ends = [_checks.integer(f"eos[{i}]", symbol, 0) for i, symbol in enumerate(eos)]
        for i, symbol in enumerate(ends):
            if symbol >= size:
                raise ValueError(f"eos[{i}] = {symbol}: the vocabulary ends at {size - 1}")
        if prefixes is None:
            if set(rows.shape) != {size}:
                raise ValueError(f"{name} has shape {rows.shape}: a table's axes are all of one length")
            return SavedModel(rows.reshape(-1, size), frozenset(ends), rows.ndim - 1, {})
        if rows.ndim != 2:
            raise ValueError(f"{name} has shape {rows.shape}: must be two-dimensional, a row for a prefix")
        return SavedModel(rows, frozenset(ends), None, _places(prefixes, rows.shape))

    @staticmethod
    def load(path: str | os.PathLike[str]) -> "SavedModel":
        """Read a model from an .npy or .npz file; see the module for what it holds.

        Nothing in the file is executed.

        Parameters
        ----------
        path : path-like

        Raises
        ------
        OSError
            If the file cannot be read.
        ValueError
            If it is truncated or damaged, holds other arrays, or `from_arrays` refuses them. The message
            names the path.

        Notes
        -----
        O(size of the arrays). A file is refused before its arrays take more memory than its bytes can fill:
        1032 times its size, the largest ratio of its compression. The model takes a few times as much.
        """
        with open(path, "rb") as file:
            try:
                if file.read(6) == b"\x93NUMPY":
                    size = file.seek(0, os.SEEK_END)
                    file.seek(0)
                    arrays = {"probabilities": read_array(file, size)}
                else:
                    arrays = load_arrays(file, _FORMAT, _VERSION, _NAMES, foreign=True)
                ends = arrays.pop("eos", np.zeros(0, int))
                if ends.ndim != 1:
                    raise ValueError(f"eos has shape {ends.shape}: must be one-dimensional")
                packed = arrays.pop("vocabulary", None)
                # Each symbol once: a list of a billion zeros takes eight times the memory of the array.
                model = SavedModel.from_arrays(**arrays, eos=np.unique(ends).tolist())
                if packed is not None:
                    if packed.shape != (model.vocabulary_size,) or packed.dtype.kind != "S":
                        raise ValueError(
                            f"vocabulary has shape {packed.shape} and dtype {packed.dtype}: must be bytes, "
                            f"of shape ({model.vocabulary_size},)"
                        )
                    model.vocabulary = Vocabulary._unpacked(packed)
                return model
            except MemoryError:
                raise
            # Damaged bytes come out of zipfile, zlib and NumPy as a dozen kinds of error, OSError among them.
            except Exception as error:
                reason = str(error).partition("\n")[0]
                raise ValueError(f"path = {os.fspath(path)!r} holds no saved model: {reason}") from error

    def __call__(self, prefixes: Sequence[Prefix], /) -> Float[np.ndarray, "batch vocabulary"]:
        """Natural-log probabilities of the next symbol, one row for each prefix.

        Raises
        ------
        ValueError
            If a prefix is shorter than a table's order or has a symbol outside its vocabulary.
        """
        if self.order is None:
            places = np.array([self._places.get(tuple(prefix), -1) for prefix in prefixes], dtype=np.int64)
            rows = np.full((len(places), self.vocabulary_size), -np.inf, dtype=self._rows.dtype)
            rows[places >= 0] = self._rows[places[places >= 0]]
            return rows
        return self._rows[[self._context(prefix, i) for i, prefix in enumerate(prefixes)]]

    def _context(self, prefix: Prefix, i: int) -> int:
        """Row of a table that answers `prefix`."""
        k = self.order or 0
        if len(prefix) < k:
            raise ValueError(
                f"prefixes[{i}] = {tuple(prefix)}: a table of order {k} needs {k} symbols; give a prompt"
            )
        place = 0
        for symbol in prefix[len(prefix) - k :]:
            if not 0 <= symbol < self.vocabulary_size:
                raise ValueError(
                    f"prefixes[{i}] = {tuple(prefix)}: the vocabulary ends at {self.vocabulary_size - 1}"
                )
            place = place * self.vocabulary_size + symbol
        return place


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
        rows = np.array(_checks.array("the model's answer", self._model(prefixes)))
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
    size = _checks.integer("batch_size", batch_size, 1)
    wanted = list(
        dict.fromkeys(
            tuple(_checks.integer(f"prefixes[{i}][{j}]", symbol, 0) for j, symbol in enumerate(prefix))
            for i, prefix in enumerate(prefixes)
        )
    )
    if not wanted:
        raise ValueError("prefixes is empty: there is nothing to ask")
    with Recording(model, path) as kept, _bar(progress) as show:
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


def _floats(name: str, value: Any) -> Shaped[np.ndarray, "..."]:
    """`value` as floats of its own precision, float64 for other numbers."""
    given = _checks.array(name, value)
    return given if given.dtype in _FLOATS else _checks.float_array(name, given)


def _places(prefixes: Numbers, shape: tuple[int, ...]) -> dict[Prefix, int]:
    """Row of each prefix."""
    array = _checks.integer_array("prefixes", prefixes)
    if array.ndim != 2 or len(array) != shape[0]:
        raise ValueError(
            f"prefixes has shape {array.shape}: must be ({shape[0]}, length), a row for each answer"
        )
    if array.dtype == np.bool_:
        raise TypeError("prefixes has dtype bool: must be integers")
    bad = (array < _PAD) | (array >= shape[1])
    if bad.any():
        _checks.fail_at("prefixes", array, bad, f"must lie in 0..{shape[1] - 1}, or be the padding -1")
    bad = np.zeros(array.shape, dtype=bool)
    bad[:, 1:] = (array[:, 1:] >= 0) & (array[:, :-1] < 0)
    if bad.any():
        _checks.fail_at("prefixes", array, bad, "stands behind padding")
    lengths = np.count_nonzero(array >= 0, axis=1)
    places: dict[Prefix, int] = {}
    # Row by row, for a list of all padding would take far more memory than the array.
    for i, (row, length) in enumerate(zip(array, lengths.tolist(), strict=True)):
        prefix = tuple(row[:length].tolist())
        if places.setdefault(prefix, i) != i:
            raise ValueError(f"prefixes[{i}] = {prefix}: stands there twice")
    return places
