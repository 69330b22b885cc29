r"""Arithmetic coding: the length -sum log2 p(x), reached.

Section 3.1 of the paper takes the length of a text to be its log-loss, -log2 of the probability that the
model gives it. An arithmetic coder turns that number into bits: it narrows an interval by the factor p(x) for
every symbol x and then writes down one point of it. Nothing is rounded to whole bits on the way, so the
overhead belongs to the message and not to the symbol.

The coder is constriction's range coder, the form of arithmetic coding that moves 32 bits at a time. It is an
extra: ``pip install 'tokentree[coding]'``.
"""

from collections.abc import Callable, Sequence
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
from jaxtyping import Float, Int, UInt8

from .._lib import checks
from .._lib.checks import Numbers

_PRECISION = 24
"""Bits of the probabilities that the coder works with."""


def arithmetic_encode(
    p: Annotated[Numbers, "leaves"] | Callable[[Sequence[int]], Numbers],
    symbols: Annotated[Numbers, "message"],
) -> UInt8[np.ndarray, "bits"]:
    r"""Bits that hold `symbols`, each coded with the probabilities `p`.

    Parameters
    ----------
    p : array_like, shape (M,), or callable
        Probabilities of the symbols 0 to M - 1, at most 2^24 of them positive. For a mixture,
        ``mixture.joint``. Where they depend on what came before, a function that takes the symbols so far
        and returns those of the next one, as a language model does; it is called once for each symbol.
    symbols : array_like of int, shape (n,)
        The message; ``p > 0`` at each of its symbols.

    Returns
    -------
    ndarray of uint8
        Zeros and ones, a multiple of 32 of them. Beside -sum log2 p(x): up to 64 bits, about 10^-4 and never
        more than 0.006 bits per symbol for the interval's rounding, and what is lost by rounding p to
        multiples of 2^-24, none below 2^-24. The probabilities of a function are rounded in less time and
        less well.

    Raises
    ------
    ValueError
        If `p` is not one-dimensional, has a negative entry, does not sum to 1 or has more than 2^24 positive
        entries; or if the message is not one-dimensional or holds a symbol that `p` lacks or that has
        probability zero.
    TypeError
        If the symbols are not integers.
    ImportError
        If constriction is not installed.

    Notes
    -----
    O(M log M + n), and O(n M log M) where `p` is a function.

    Rissanen and Langdon (1979); range coding: Martin (1979); the coder is constriction's
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
    message = checks.integer_array("symbols", symbols)
    if message.ndim != 1:
        raise ValueError(f"symbols has shape {message.shape}: must be one-dimensional")
    if message.dtype == np.bool_:
        raise TypeError("symbols has dtype bool: must be integers")
    encoder = _constriction().stream.queue.RangeEncoder()
    # Runs of symbols that are coded alike: all of them, or each by itself.
    runs = [slice(None)] if not callable(p) else [slice(i, i + 1) for i in range(message.size)]
    said: list[int] = message.tolist() if callable(p) else []
    for run in runs:
        model, support = _model(p(said[: run.start]), False) if callable(p) else _model(p, True)
        place = np.searchsorted(support, message[run])
        missed = support[np.minimum(place, support.size - 1)] != message[run]
        if missed.any():
            bad = np.zeros(message.size, np.bool_)
            bad[run] = missed
            checks.fail_at("symbols", message, bad, "must be a symbol of positive probability")
        if model is not None:
            encoder.encode(place.astype(np.int32), model)
    words: npt.NDArray[np.uint32] = encoder.get_compressed()
    return np.unpackbits(words.astype(">u4").view(np.uint8))


def arithmetic_decode(
    p: Annotated[Numbers, "leaves"] | Callable[[Sequence[int]], Numbers],
    bits: Annotated[Numbers, "bits"],
    n_symbols: int,
) -> Int[np.ndarray, "message"]:
    """The `n_symbols` symbols that `arithmetic_encode` turned into `bits` with the same `p`.

    Parameters
    ----------
    p : array_like, shape (M,), or callable
        As given to `arithmetic_encode`, to the last digit. A function must return the same numbers bit for
        bit: ask a language model in the same order, of the same lengths, with as many threads.
    bits : array_like of 0 and 1
        A multiple of 32. Bits that do not come from `arithmetic_encode` give some message too.
    n_symbols : int
        Length of the message, which the bits do not tell.

    Returns
    -------
    ndarray of int64, shape (n_symbols,)

    Raises
    ------
    ValueError
        If `p` is not as there, the bits are not zeros and ones or not a multiple of 32, ``n_symbols < 0``,
        or the bits cannot come from `p`.
    ImportError
        If constriction is not installed.

    Notes
    -----
    O(M log M + n log M), and O(n M log M) where `p` is a function.

    Examples
    --------
    >>> bits = arithmetic_encode([0.5, 0.0, 0.25, 0.25], [3, 0, 2, 0])
    >>> arithmetic_decode([0.5, 0.0, 0.25, 0.25], bits, 4)
    array([3, 0, 2, 0])
    """
    stream = checks.array("bits", bits)
    if stream.ndim != 1 or stream.size % 32:
        raise ValueError(f"bits has shape {stream.shape}: must be one-dimensional, a multiple of 32 long")
    if not np.isin(stream, (0, 1)).all():
        checks.fail_at("bits", stream, ~np.isin(stream, (0, 1)), "bits are 0 or 1")
    count = checks.integer("n_symbols", n_symbols, 0)
    words = np.packbits(stream.astype(np.uint8)).view(">u4").astype(np.uint32)
    decoder = _constriction().stream.queue.RangeDecoder(words)
    if callable(p):
        said: list[int] = []
        for _ in range(count):
            said += _decoded(decoder, *_model(p(said), False), 1).tolist()
        return np.array(said, np.int64)
    return _decoded(decoder, *_model(p, True), count)


def _decoded(
    decoder: Any, model: Any, support: Int[np.ndarray, "symbols"], count: int
) -> Int[np.ndarray, "decoded"]:
    """The next symbols, which all have the same model."""
    if model is None:
        return np.full(count, support[0])
    try:
        places: npt.NDArray[np.int32] = decoder.decode(model, count)
    except AssertionError as error:
        raise ValueError(f"bits cannot come from these probabilities: {error}") from None
    decoded: npt.NDArray[np.int64] = support[places]
    return decoded


def _model(p: Numbers, perfect: bool) -> tuple[Any, Int[np.ndarray, "symbols"]]:
    """The coder's model of the symbols that occur, None for a sure thing, and which symbols they are.

    `perfect` rounding takes the square of their number, and so is for probabilities that are used often.
    """
    row: Float[np.ndarray, "..."] = checks.distributions("p", p)
    if row.ndim != 1:
        raise ValueError(f"p has shape {row.shape}: must be one-dimensional")
    support = np.flatnonzero(row)
    if support.size > 2**_PRECISION:
        raise ValueError(f"p is positive on {support.size} symbols: at most 2**{_PRECISION} can be coded")
    categorical = _constriction().stream.model.Categorical
    # The coder gives every symbol a share of its range, so symbols that cannot occur are left out.
    return categorical(row[support], perfect=perfect) if support.size > 1 else None, support


def _constriction() -> Any:
    try:
        import constriction
    except ImportError as error:
        raise ImportError("arithmetic coding needs constriction: pip install 'tokentree[coding]'") from error
    return constriction
