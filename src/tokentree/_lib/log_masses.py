"""Masses of any magnitude in float64: products of probabilities along a long path leave its range.

A positive mass below 2^-1022, the smallest normal float64, is replaced by its natural logarithm, which is
negative, as no mass is. The functions below read and write such arrays, and leave arrays of ordinary masses,
including counts, unchanged.
"""

import numpy as np
from jaxtyping import Bool, Float, Int, Num

LEAST = 2.0**-1022
"""Masses from this value on are stored as they are."""

_LOG_2 = float(np.log(2.0))

_LOG_LEAST = -1022 * _LOG_2


def faint(masses: Num[np.ndarray, "*n"]) -> Bool[np.ndarray, "*n"]:
    """Where entries are logarithms."""
    return masses < 0


def logs(masses: Num[np.ndarray, "*n"]) -> Float[np.ndarray, "*n"]:
    """Natural logarithms, -inf of 0."""
    with np.errstate(divide="ignore"):
        found: Float[np.ndarray, "*n"] = np.log(np.maximum(masses, 0), dtype=np.float64)
    np.copyto(found, masses, where=faint(masses))
    return found


def of_logs(found: Float[np.ndarray, "*n"]) -> Float[np.ndarray, "*n"]:
    """The masses with these logarithms."""
    return np.where((found >= _LOG_LEAST) | np.isneginf(found), np.exp(found), found)


def rounded(masses: Num[np.ndarray, "*n"]) -> Num[np.ndarray, "*n"]:
    """Masses as float64 for sums with larger ones, where those below its range count as zero."""
    below = faint(masses)
    return np.where(below, np.exp(np.minimum(masses, 0)), masses) if below.any() else masses


def product(a: Float[np.ndarray, "*n"], b: Float[np.ndarray, "*n"]) -> Float[np.ndarray, "*n"]:
    """Masses times probabilities."""
    with np.errstate(over="ignore"):
        found: Float[np.ndarray, "*n"] = a * b
    # The product of two logarithms is positive.
    if found.size and (found.min() < LEAST or faint(a).any()):
        at = np.flatnonzero(((found < LEAST) | faint(a)) & (a != 0) & (b != 0))
        found[at] = of_logs(logs(a[at]) + logs(b[at]))
    return found


def scaled(masses: Float[np.ndarray, "n"]) -> tuple[Float[np.ndarray, "n"], Float[np.ndarray, "n"]]:
    """Masses as mantissas, 0 or at least 2^-500, and exponents of 2.

    So products of many are as accurate as products of few in float64: two mantissas may be multiplied before
    they are rescaled.
    """
    numbers, exponents = masses.copy(), np.zeros(masses.shape)
    small = np.flatnonzero(masses < 2.0**-500)
    numbers[small], exponents[small] = np.frexp(np.maximum(masses[small], 0))
    below = small[faint(masses[small])]
    bits = masses[below] / _LOG_2
    exponents[below] = np.floor(bits) + 1
    numbers[below] = np.exp2(bits - exponents[below])
    return numbers, exponents


def of_scaled(numbers: Float[np.ndarray, "n"], exponents: Float[np.ndarray, "n"]) -> Float[np.ndarray, "n"]:
    """The masses with these mantissas and exponents of 2."""
    masses = numbers.copy()
    at = np.flatnonzero((exponents != 0) & (numbers > 0))
    masses[at] = np.ldexp(numbers[at], np.maximum(exponents[at], -2000).astype(np.int64))
    below = at[masses[at] < LEAST]
    masses[below] = np.log(numbers[below]) + exponents[below] * _LOG_2
    return masses


def shares(masses: Num[np.ndarray, "n"], total: float) -> Float[np.ndarray, "n"]:
    """Masses divided by a total of at least `LEAST`."""
    found: Float[np.ndarray, "n"] = np.asarray(masses / total)
    if masses.dtype.kind == "f" and found.min(initial=1.0) < LEAST:
        at = np.flatnonzero((found < LEAST) & (masses != 0))
        found[at] = of_logs(logs(masses[at]) - np.log(total))
    return found


def add_to(sums: Num[np.ndarray, "n"], at: Int[np.ndarray, "k"], masses: Num[np.ndarray, "k"]) -> None:
    """Add masses at distinct positions."""
    before = sums[at]
    sums[at] = before + masses
    if sums.dtype.kind == "f":
        below = np.flatnonzero(faint(before) | faint(masses))
        sums[at[below]] = of_logs(np.logaddexp(logs(before[below]), logs(masses[below])))


def segment_sums(masses: Num[np.ndarray, "n"], first: Int[np.ndarray, "k"]) -> Num[np.ndarray, "k"]:
    """Sums of the runs of entries that begin at `first`."""
    if not len(masses):
        return masses
    sums: Num[np.ndarray, "k"] = np.add.reduceat(masses, first)
    below = faint(masses)
    if below.any():
        at = np.flatnonzero(np.logical_or.reduceat(below, first))
        sums[at] = of_logs(np.logaddexp.reduceat(logs(masses), first)[at])
    return sums
