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
from collections.abc import Collection, Sequence
from typing import Annotated, Any

import numpy as np
from jaxtyping import Float, Shaped

from .._lib import checks
from .._lib.archives import load_arrays, read_array
from .._lib.checks import Numbers
from .asking import _ROUNDING, Prefix
from .vocabulary import Vocabulary

_FORMAT = "tokentree.SavedModel"

_VERSION = 1

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
            checks.fail_at(name, rows, bad, rule)
        if log_probabilities is None:
            with np.errstate(divide="ignore"):
                rows = np.log(rows)
        size = rows.shape[-1] if rows.ndim else 0
        if size == 0:
            raise ValueError(f"{name} has shape {rows.shape}: its last axis needs at least one symbol")
        ends = [checks.integer(f"eos[{i}]", symbol, 0) for i, symbol in enumerate(eos)]
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


def _floats(name: str, value: Any) -> Shaped[np.ndarray, "..."]:
    """`value` as floats of its own precision, float64 for other numbers."""
    given = checks.array(name, value)
    return given if given.dtype in _FLOATS else checks.float_array(name, given)


def _places(prefixes: Numbers, shape: tuple[int, ...]) -> dict[Prefix, int]:
    """Row of each prefix."""
    array = checks.integer_array("prefixes", prefixes)
    if array.ndim != 2 or len(array) != shape[0]:
        raise ValueError(
            f"prefixes has shape {array.shape}: must be ({shape[0]}, length), a row for each answer"
        )
    if array.dtype == np.bool_:
        raise TypeError("prefixes has dtype bool: must be integers")
    bad = (array < _PAD) | (array >= shape[1])
    if bad.any():
        checks.fail_at("prefixes", array, bad, f"must lie in 0..{shape[1] - 1}, or be the padding -1")
    bad = np.zeros(array.shape, dtype=bool)
    bad[:, 1:] = (array[:, 1:] >= 0) & (array[:, :-1] < 0)
    if bad.any():
        checks.fail_at("prefixes", array, bad, "stands behind padding")
    lengths = np.count_nonzero(array >= 0, axis=1)
    places: dict[Prefix, int] = {}
    # Row by row, for a list of all padding would take far more memory than the array.
    for i, (row, length) in enumerate(zip(array, lengths.tolist(), strict=True)):
        prefix = tuple(row[:length].tolist())
        if places.setdefault(prefix, i) != i:
            raise ValueError(f"prefixes[{i}] = {prefix}: stands there twice")
    return places
