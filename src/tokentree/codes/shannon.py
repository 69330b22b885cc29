"""Shannon and Shannon-Fano-Elias codes, the textbook proofs that H <= L < H + 1 and L < H + 2."""

import math
from fractions import Fraction
from itertools import accumulate
from typing import Annotated, Any

import numpy as np
from jaxtyping import Int, Shaped

from .._lib import checks
from .._lib.checks import Numbers


def shannon_lengths(weights: Annotated[Numbers, "leaves"]) -> Int[np.ndarray, "leaves"]:
    r"""Codeword lengths of Shannon's code, ceil(-log2 p) for a symbol of probability p.

    Their Kraft sum is at most 1, since 2^-length <= p: ``PrefixCode(shannon_lengths(p))`` is such a code.
    Each length is below 1 - log2 p, so the mean length L satisfies H <= L < H + 1; for any other dataset the
    same holds with its cross-entropy relative to p in place of H. Huffman lengths are better on average; a
    single one may be longer.

    Parameters
    ----------
    weights : array_like, shape (M,)
        Weights > 0, with any total; p is a weight's share of it. Nothing is rounded: a float is taken at its
        exact value.

    Returns
    -------
    ndarray of int64, shape (M,)
        Lengths in bits.

    Raises
    ------
    ValueError
        If the weights are not one-dimensional, there are none, or one is not finite and > 0: a symbol of
        weight 0 has no codeword.
    TypeError
        If a weight is not an int, float or Fraction, or Fractions are mixed with floats.

    Notes
    -----
    O(M). Shannon (1948), theorem 9; Cover and Thomas, *Elements of Information Theory*, section 5.4.

    Examples
    --------
    >>> shannon_lengths([0.5, 0.25, 0.25])
    array([1, 2, 2])
    >>> shannon_lengths([9, 1])
    array([1, 4])
    """
    return _lengths(_positive(weights))


def _lengths(values: Shaped[np.ndarray, "leaves"]) -> Int[np.ndarray, "leaves"]:
    # Sums of larger floats might overflow.
    if values.dtype == np.float64 and values.max() <= 2.0**900:
        return _of_floats(values)
    listed = [Fraction(weight) for weight in values.tolist()]
    total = sum(listed)
    # The smallest l with total / weight <= 2^l.
    return np.array([(math.ceil(total / weight) - 1).bit_length() for weight in listed], np.int64)


def shannon_fano_elias_codewords(weights: Annotated[Numbers, "leaves"]) -> tuple[str, ...]:
    r"""Shannon-Fano-Elias codewords, which are in the order of their symbols.

    The interval from 0 to 1 is divided among the symbols in their order. A codeword is the binary expansion
    of the middle of its symbol's interval, cut after ceil(-log2 p) + 1 digits: it still lies inside the
    interval, and so do all numbers that begin with it. So no codeword is a prefix of another, and the mean
    length is below H + 2. Arithmetic coding does the same for whole messages.

    Parameters, errors and exactness are those of `shannon_lengths`.

    Returns
    -------
    tuple of str
        One codeword of 0s and 1s per symbol.

    Notes
    -----
    O(M) operations on Fractions. Cover and Thomas, *Elements of Information Theory*, section 5.9.

    Examples
    --------
    >>> shannon_fano_elias_codewords([0.25, 0.5, 0.125, 0.125])
    ('001', '10', '1101', '1111')
    """
    values = _positive(weights)
    lengths = _lengths(values) + 1
    listed = [Fraction(weight) for weight in values.tolist()]
    *before, total = accumulate(listed, initial=Fraction(0))
    middles = [(start + weight / 2) / total for start, weight in zip(before, listed, strict=True)]
    return tuple(
        f"{math.floor(middle * 2**length):0{length}b}"
        for middle, length in zip(middles, lengths.tolist(), strict=True)
    )


def _positive(weights: Any) -> Shaped[np.ndarray, "leaves"]:
    values = checks.exact_array("weights", weights)
    if values.ndim != 1 or not values.size:
        raise ValueError(
            f"weights has shape {values.shape}: must be one-dimensional with at least one weight"
        )
    if not (values.min() > 0 and values.max() < np.inf):
        checks.fail_at("weights", values, ~((values > 0) & (values < np.inf)), "must be finite and > 0")
    return values


def _of_floats(values: Shaped[np.ndarray, "leaves"]) -> Int[np.ndarray, "leaves"]:
    """The same for floats, with a total that may not be a float."""
    listed = values.tolist()
    total = math.fsum(listed)
    beyond = math.fsum([*listed, -total]) > 0
    # No float lies between the total and the true one. So the true one is at most weight * 2^l if the total
    # is, unless these are equal and it is a little larger.
    (share, power), (most, top) = np.frexp(values), math.frexp(total)
    lengths: Int[np.ndarray, "leaves"] = top - power.astype(np.int64)
    lengths += (most > share) | ((most == share) & beyond)
    return lengths
