r"""Arithmetic coding, which attains the length -sum log2 p(x).

Section 3.1 of the paper takes the length of a text to be its log-loss, -log2 of the probability that the
model gives it. An arithmetic coder attains that length: it narrows an interval by the factor p(x) for every
symbol x and then writes one point of it. Nothing is rounded to whole bits on the way, so the overhead is per
message, not per symbol.

The coder is constriction's range coder, the form of arithmetic coding that moves 32 bits at a time. It needs
the extra ``coding``.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, Literal, overload

import numpy as np
import numpy.typing as npt
from jaxtyping import Float, Int, Shaped, UInt8

from .._lib import checks
from .._lib.checks import Numbers
from .prefix import octets_of, whole_numbers

_PRECISION = 24
"""Bits of precision of the coder's probabilities."""

Following = Callable[[Sequence[int]], Numbers]
"""Probabilities of the next symbol, given those before it."""


@dataclass(frozen=True, init=False, eq=False, repr=False)
class ArithmeticModel:
    """Probabilities prepared for `arithmetic_encode` and `arithmetic_decode`, in place of an array.

    Parameters
    ----------
    p : array_like, shape (M,) or (n, M)
        One distribution for all symbols of a message, or one per symbol.

    Attributes
    ----------
    p : ndarray of float64
        Read-only.

    Raises
    ------
    ValueError
        If `p` has another shape, a negative entry, or a row that does not sum to 1, or if one distribution
        for all symbols has more than 2^24 positive entries.

    Notes
    -----
    O(M log M) for one distribution, once. Objects of constriction are made on first use.

    Examples
    --------
    >>> model = ArithmeticModel([0.9, 0.1])
    >>> [arithmetic_encode(model, message).size for message in ([0] * 100, [1] * 100)]
    [32, 352]
    """

    p: Float[np.ndarray, "*rows leaves"]

    def __init__(self, p: Annotated[Numbers, "*rows leaves"]) -> None:
        rows: Float[np.ndarray, "..."] = checks.distributions("p", p)
        if rows.ndim > 2:
            raise ValueError(f"p has shape {rows.shape}: must have one axis or two")
        if rows.ndim == 1 and np.count_nonzero(rows) > 2**_PRECISION:
            raise ValueError(
                f"p is positive on {np.count_nonzero(rows)} symbols: at most 2**{_PRECISION} can be coded"
            )
        rows = rows.copy()
        rows.setflags(write=False)
        object.__setattr__(self, "p", rows)

    def __repr__(self) -> str:
        *rows, leaves = self.p.shape
        each = f", {rows[0]:,} distributions" if rows else ""
        return f"<ArithmeticModel: {leaves:,} symbols{each}>"

    def __reduce__(self) -> tuple[Any, ...]:
        # Objects of constriction cannot be pickled.
        return ArithmeticModel, (self.p,)

    @cached_property
    def _support(self) -> Int[np.ndarray, "symbols"]:
        """Symbols that may occur: all of them if each symbol of the message has its own distribution."""
        return np.flatnonzero(self.p) if self.p.ndim == 1 else np.arange(self.p.shape[-1])

    @cached_property
    def _place(self) -> Int[np.ndarray, "leaves"]:
        """Index of each symbol among them, and -1 for the others."""
        place = np.full(self.p.shape[-1], -1, np.int32)
        place[self._support] = np.arange(self._support.size)
        return place

    @cached_property
    def _coder(self) -> Any:
        """The coder's model."""
        categorical = _constriction().stream.model.Categorical
        if self.p.ndim == 2:
            return categorical(perfect=False)
        # The coder gives every symbol a share of its range, so impossible symbols are left out.
        return categorical(self.p[self._support], perfect=True)

    def _rows(self, n: int) -> tuple[Any, ...]:
        """Arguments of the coder for `n` symbols."""
        return (self._coder,) if self.p.ndim == 1 else (self._coder, self.p[:n])

    def _places(self, message: Shaped[np.ndarray, "message"]) -> Int[np.ndarray, "message"]:
        """The message in the coder's numbering of symbols."""
        inside = (message >= 0) & (message < self._place.size)
        if not inside.all():
            checks.fail_at("symbols", message, ~inside, "must be a symbol of positive probability")
        places: npt.NDArray[np.int32] = self._place[message]
        bad = places < 0 if self.p.ndim == 1 else self.p[np.arange(message.size), message] <= 0
        if bad.any():
            checks.fail_at("symbols", message, bad, "must be a symbol of positive probability")
        return places


@overload
def arithmetic_encode(
    p: ArithmeticModel | Following | Annotated[Numbers, "*rows leaves"],
    symbols: Annotated[Numbers, "message"],
    *,
    packed: Literal[False] = False,
) -> UInt8[np.ndarray, "bits"]: ...


@overload
def arithmetic_encode(
    p: ArithmeticModel | Following | Annotated[Numbers, "*rows leaves"],
    symbols: Annotated[Numbers, "message"],
    *,
    packed: Literal[True],
) -> bytes: ...


def arithmetic_encode(
    p: ArithmeticModel | Following | Annotated[Numbers, "*rows leaves"],
    symbols: Annotated[Numbers, "message"],
    *,
    packed: bool = False,
) -> UInt8[np.ndarray, "bits"] | bytes:
    r"""Bits that hold `symbols`, coded with the probabilities `p`.

    Parameters
    ----------
    p : array_like, shape (M,) or (n, M), or ArithmeticModel, or callable
        Probabilities of the symbols 0 to M - 1, at most 2^24 of them positive. For a mixture,
        ``mixture.joint``. Shape (n, M) has one distribution per symbol of the message. An `ArithmeticModel`
        of either saves repeated preparation. If probabilities depend on the preceding symbols, pass a
        function that maps these to the probabilities of the next one, as a language model does; it is called
        once per symbol.
    symbols : array_like of int, shape (n,)
        The message; ``p > 0`` at each of its symbols.
    packed : bool
        Whether to return bytes, with the first bit in the most significant position.

    Returns
    -------
    ndarray of uint8, or bytes
        Zeros and ones, a multiple of 32 of them, or packed bytes. The excess over -sum log2 p(x) is up to 64
        bits, plus about 10^-4 and at most 0.006 bits per symbol for the rounding of the interval, plus the
        loss from rounding p to multiples of 2^-24, none below 2^-24. With one distribution per symbol, each
        of the M symbols gets at least 2^-24, even those of probability zero. The probabilities of a function
        are rounded faster and less accurately.

    Raises
    ------
    ValueError
        If `p` is not a distribution, or not one per symbol of the message, or has more than 2^24 positive
        entries; or if the message is not one-dimensional or contains a symbol that `p` lacks or that has
        probability zero.
    TypeError
        If the symbols are not integers.
    ImportError
        If constriction is not installed.

    Notes
    -----
    O(M log M + n), O(n) with an `ArithmeticModel`; O(n M) with one distribution per symbol, and also for a
    function, in addition to its calls. Rissanen and Langdon (1979); range coding: Martin (1979); the coder is
    constriction's (Bamler 2022).

    Examples
    --------
    >>> bits = arithmetic_encode([0.9, 0.1], [0] * 900 + [1] * 100)
    >>> bits.size  # the ideal length is 469.0; no prefix code for one symbol at a time is below 1000
    480

    With a model that repeats the last symbol with probability 0.9:

    >>> def again(before):
    ...     return np.roll([0.9, 0.1], before[-1]) if before else [0.5, 0.5]
    >>> arithmetic_encode(again, [0] * 900 + [1] * 100).size
    160
    """
    message = whole_numbers("symbols", symbols)
    if message.dtype == np.uint8 and np.asarray(symbols).dtype == np.bool_:
        raise TypeError("symbols has dtype bool: must be integers")
    encoder = _constriction().stream.queue.RangeEncoder()
    if callable(p):
        _encode_following(encoder, p, message)
    else:
        _encode(encoder, p if isinstance(p, ArithmeticModel) else ArithmeticModel(p), message)
    words: npt.NDArray[np.uint32] = encoder.get_compressed()
    octets = words.astype(">u4").view(np.uint8)
    return octets.tobytes() if packed else np.unpackbits(octets)


def _encode(encoder: Any, model: ArithmeticModel, message: Shaped[np.ndarray, "message"]) -> None:
    if model.p.ndim == 2 and len(model.p) != message.size:
        raise ValueError(
            f"p has shape {model.p.shape} and symbols {message.shape}: must be one distribution per symbol"
        )
    places = model._places(message)
    if model._support.size > 1 and message.size:
        encoder.encode(places, *model._rows(message.size))


def _encode_following(encoder: Any, p: Following, message: Shaped[np.ndarray, "message"]) -> None:
    """Encode one symbol after the other."""
    said: list[int] = message.tolist()
    for i, symbol in enumerate(said):
        coder, support = _next(p, said[:i])
        place = int(np.searchsorted(support, symbol))
        if place == support.size or support[place] != symbol:
            bad = np.arange(message.size) == i
            checks.fail_at("symbols", message, bad, "must be a symbol of positive probability")
        if coder is not None:
            encoder.encode(np.array([place], np.int32), coder)


def _next(p: Following, said: Sequence[int]) -> tuple[Any, Int[np.ndarray, "symbols"]]:
    """The coder's model of the next symbol, None if it is certain, and the possible symbols."""
    row: Float[np.ndarray, "..."] = checks.distributions("p", p(said))
    if row.ndim != 1:
        raise ValueError(f"p has shape {row.shape}: must be one-dimensional")
    support = np.flatnonzero(row)
    if support.size > 2**_PRECISION:
        raise ValueError(f"p is positive on {support.size} symbols: at most 2**{_PRECISION} can be coded")
    # Optimal rounding takes quadratic time, and is only for probabilities that are reused.
    categorical = _constriction().stream.model.Categorical
    return categorical(row[support], perfect=False) if support.size > 1 else None, support


def arithmetic_decode(
    p: ArithmeticModel | Following | Annotated[Numbers, "*rows leaves"],
    bits: bytes | Annotated[Numbers, "bits"],
    n_symbols: int,
) -> Int[np.ndarray, "message"]:
    """The `n_symbols` symbols that `arithmetic_encode` turned into `bits` with the same `p`.

    Parameters
    ----------
    p : array_like, shape (M,) or (n, M), or ArithmeticModel, or callable
        As given to `arithmetic_encode`, to the last digit. A function must return bit-identical numbers:
        query a language model in the same order, with the same lengths, and with the same number of threads.
    bits : bytes, or array_like of 0 and 1
        The bits, a multiple of 32. Bits not made by `arithmetic_encode` may decode to some message too.
    n_symbols : int
        Length of the message, which the bits do not contain.

    Returns
    -------
    ndarray of int64, shape (n_symbols,)

    Raises
    ------
    ValueError
        If `p` is invalid, the bits are not zeros and ones or not a multiple of 32, ``n_symbols`` is negative
        or exceeds the number of distributions, or the bits cannot come from `p`.
    TypeError
        If the bits are not integers or booleans.
    ImportError
        If constriction is not installed.

    Notes
    -----
    O(M log M + n log M), O(n log M) with an `ArithmeticModel`; O(n M) with one distribution per symbol.

    Examples
    --------
    >>> bits = arithmetic_encode([0.5, 0.0, 0.25, 0.25], [3, 0, 2, 0])
    >>> arithmetic_decode([0.5, 0.0, 0.25, 0.25], bits, 4)
    array([3, 0, 2, 0])
    """
    octets, size = octets_of(bits)
    if size % 32:
        raise ValueError(f"bits has shape ({size},): must be one-dimensional, a multiple of 32 long")
    count = checks.integer("n_symbols", n_symbols, 0)
    decoder = _constriction().stream.queue.RangeDecoder(octets.view(">u4").astype(np.uint32))
    if callable(p):
        said: list[int] = []
        for _ in range(count):
            coder, support = _next(p, said)
            said.append(int(support[0 if coder is None else _decoded(decoder, coder, 1)[0]]))
        return np.array(said, np.int64)
    model = p if isinstance(p, ArithmeticModel) else ArithmeticModel(p)
    if model.p.ndim == 2 and len(model.p) < count:
        raise ValueError(f"p has shape {model.p.shape} and n_symbols = {count}: must have one row per symbol")
    if model._support.size == 1 or not count:
        return np.full(count, model._support[0])
    rest = (count,) if model.p.ndim == 1 else ()
    decoded: npt.NDArray[np.int64] = model._support[_decoded(decoder, *model._rows(count), *rest)]
    return decoded


def _decoded(decoder: Any, *given: Any) -> Int[np.ndarray, "decoded"]:
    """The next symbols in the coder's numbering."""
    try:
        places: npt.NDArray[np.int32] = decoder.decode(*given)
    except AssertionError as error:
        raise ValueError(f"bits cannot come from these probabilities: {error}") from None
    return places


def _constriction() -> Any:
    try:
        import constriction
    except ImportError as error:
        raise ImportError(
            "arithmetic coding needs constriction: pip install constriction (extra 'coding')"
        ) from error
    return constriction
