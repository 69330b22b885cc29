"""Joint compression from its definitions, in rational numbers."""

from fractions import Fraction

import mpmath
import numpy as np


def mp(value):
    """An int, float or Fraction as mpmath's number."""
    exact = isinstance(value, Fraction)
    return mpmath.mpf(value.numerator) / value.denominator if exact else mpmath.mpf(value)


def joint(rows, sizes):
    """p, n, T, q: every row over its sum, the sizes, their sum, and the mean of the rows."""
    listed = [[*map(Fraction, row.tolist() if isinstance(row, np.ndarray) else row)] for row in rows]
    p = [[x / total for x in row] for row, total in zip(listed, map(sum, listed), strict=True)]
    n = [Fraction(size) for size in sizes]
    q = [sum(s * x for s, x in zip(n, column, strict=True)) / sum(n) for column in zip(*p, strict=True)]
    return p, n, sum(n), q


def overlaps(rows, sizes):
    """S_it, the sum of p_i p_t / q."""
    p, _, _, q = joint(rows, sizes)
    return [[sum(a * b / c for a, b, c in zip(x, y, q, strict=True) if c) for y in p] for x in p]
