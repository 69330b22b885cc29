r"""Arithmetic coding: the length -sum log2 p(x), reached.

Section 3.1 of the paper takes the length of a text to be its log-loss, -log2 of the probability that the
model gives it. An arithmetic coder turns that number into bits: it narrows an interval by the factor p(x) for
every symbol x and then writes down one point of it. Nothing is rounded to whole bits on the way, so the
overhead belongs to the message and not to the symbol.

The coder is constriction's range coder, the form of arithmetic coding that moves 32 bits at a time. It is an
extra ``coding``.
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
"""Bits of the probabilities that the coder works with."""

Following = Callable[[Sequence[int]], Numbers]
"""Probabilities of the next symbol, given those before it."""


@dataclass(frozen=True, init=False, eq=False, repr=False)
class ArithmeticModel:
    """Probabilities made ready for `arithmetic_encode` and `arithmetic_decode`, which take it in their place.

    Parameters
    ----------
    p : array_like, shape (M,) or (n, M)
        As there.

    Attributes
    ----------
    p : ndarray of float64
        Read-only.

    Raises
    ------
    ValueError
        If `p` has another shape, a negative entry, a row that does not sum to 1, or one distribution for all
        symbols more than 2^24 positive entries.

    Notes
    -----
    O(M log M) for one distribution, once. Objects of constriction are made when they are first used.

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
        each = f", a distribution for each of {rows[0]:,}" if rows else ""
        return f"<ArithmeticModel: {leaves:,} symbols{each}>"

    def __reduce__(self) -> tuple[Any, ...]:
        # What constriction makes cannot be pickled.
        return ArithmeticModel, (self.p,)

    @cached_property
    def _support(self) -> Int[np.ndarray, "symbols"]:
        """Symbols that may occur; one distribution for each of the message may have them all."""
        return np.flatnonzero(self.p) if self.p.ndim == 1 else np.arange(self.p.shape[-1])

    @cached_property
    def _place(self) -> Int[np.ndarray, "leaves"]:
        """Where each symbol stands among those, and -1 where it does not."""
        place = np.full(self.p.shape[-1], -1, np.int32)
        place[self._support] = np.arange(self._support.size)
        return place

    @cached_property
    def _coder(self) -> Any:
        """The coder's model."""
        categorical = _constriction().stream.model.Categorical
        if self.p.ndim == 2:
            return categorical(perfect=False)
        # The coder gives every symbol a share of its range, so symbols that cannot occur are left out.
        return categorical(self.p[self._support], perfect=True)

    def _rows(self, n: int) -> tuple[Any, ...]:
        """What the coder takes for `n` symbols."""
        return (self._coder,) if self.p.ndim == 1 else (self._coder, self.p[:n])

    def _places(self, message: Shaped[np.ndarray, "message"]) -> Int[np.ndarray, "message"]:
        """The message as the coder numbers symbols."""
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
        ``mixture.joint``. Or a distribution for each symbol of the message. An `ArithmeticModel` of either
        saves what they cost again and again. Where they depend on what came before, a function that takes the
        symbols so far and returns those of the next one, as a language model does; it is called once for each
        symbol.
    symbols : array_like of int, shape (n,)
        The message; ``p > 0`` at each of its symbols.
    packed : bool
        Whether to give bytes, the first bit in the highest place.

    Returns
    -------
    ndarray of uint8, or bytes
        Zeros and ones, a multiple of 32 of them, unless they are packed. Beside -sum log2 p(x): up to 64
        bits, about 10^-4 and never more than 0.006 bits per symbol for the interval's rounding, and what is
        lost by rounding p to multiples of 2^-24, none below 2^-24. One distribution for each symbol leaves
        2^-24 to every one of the M symbols, also to those that it gives nothing. The probabilities of a
        function are rounded in less time and less well.

    Raises
    ------
    ValueError
        If `p` is no distribution, or not one for each symbol of the message, or has more than 2^24 positive
        entries; or if the message is not one-dimensional or holds a symbol that `p` lacks or that has
        probability zero.
    TypeError
        If the symbols are not integers.
    ImportError
        If constriction is not installed.

    Notes
    -----
    O(M log M + n), O(n) with an `ArithmeticModel`; O(n M) for a distribution each, and as much beside the
    calls of a function. Rissanen and Langdon (1979); range coding: Martin (1979); the coder is constriction's
    (Bamler 2022).

    Examples
    --------
    >>> bits = arithmetic_encode([0.9, 0.1], [0] * 900 + [1] * 100)
    >>> bits.size  # the ideal length is 469.0; no prefix code for one symbol at a time is below 1000
    480

    With a model that says what it said last, nine times in ten:

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
            f"p has shape {model.p.shape} and symbols {message.shape}: must be a distribution for each symbol"
        )
    places = model._places(message)
    if model._support.size > 1 and message.size:
        encoder.encode(places, *model._rows(message.size))


def _encode_following(encoder: Any, p: Following, message: Shaped[np.ndarray, "message"]) -> None:
    """One symbol after the other."""
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
    """The coder's model of the next symbol, None for a sure thing, and which symbols may be next."""
    row: Float[np.ndarray, "..."] = checks.distributions("p", p(said))
    if row.ndim != 1:
        raise ValueError(f"p has shape {row.shape}: must be one-dimensional")
    support = np.flatnonzero(row)
    if support.size > 2**_PRECISION:
        raise ValueError(f"p is positive on {support.size} symbols: at most 2**{_PRECISION} can be coded")
    # Perfect rounding takes the square of their number, and so is for probabilities that are used often.
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
        As given to `arithmetic_encode`, to the last digit. A function must return the same numbers bit for
        bit: ask a language model in the same order, of the same lengths, with as many threads.
    bits : bytes, or array_like of 0 and 1
        A multiple of 32. Bits that do not come from `arithmetic_encode` give some message too.
    n_symbols : int
        Length of the message, which the bits do not tell.

    Returns
    -------
    ndarray of int64, shape (n_symbols,)

    Raises
    ------
    ValueError
        If `p` is not as there, the bits are not zeros and ones or not a multiple of 32, ``n_symbols < 0`` or
        more than there are distributions, or the bits cannot come from `p`.
    TypeError
        If the bits are not integers or booleans.
    ImportError
        If constriction is not installed.

    Notes
    -----
    O(M log M + n log M), O(n log M) with an `ArithmeticModel`; O(n M) for a distribution each.

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
        raise ValueError(f"p has shape {model.p.shape} and n_symbols = {count}: must have a row for each")
    if model._support.size == 1 or not count:
        return np.full(count, model._support[0])
    rest = (count,) if model.p.ndim == 1 else ()
    decoded: npt.NDArray[np.int64] = model._support[_decoded(decoder, *model._rows(count), *rest)]
    return decoded


def _decoded(decoder: Any, *given: Any) -> Int[np.ndarray, "decoded"]:
    """The next symbols as the coder numbers them."""
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
