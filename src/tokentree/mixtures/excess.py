"""1 - S_it in integers: the second and third methods described and proved in `theorem.signs`.

`Mixture.response` takes entries from here where floating point would lose digits to cancellation.
"""

import math
import operator
from collections import Counter
from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

from .rows import Rows

EXACT_LEAVES = 2**17
"""Number of leaves up to which integers are used for the digits of a value: about a second."""

INTEGER_LEAVES = 2**22
"""Number of leaves up to which integers are used for a sign: some seconds, 100 bytes per leaf."""

STEADY = 2.0**-10
"""Magnitude of a sum relative to that of its terms, down to which float64 keeps 12 digits."""

EARLY_BITS, LAST_BITS = 2**14, 2**24
"""Total bits of all denominators up to which an exact sum is tried first, or at all."""

PRECISIONS = (128, 256, 512, 1024, 2048, 4096)
"""Fractional bits of the integer bound."""


class Excess(NamedTuple):
    """1 - S_it as a fraction of integers, exact or accurate to 60 bits, and the method that gave it."""

    over: int
    under: int
    method: str


def integer_excess(rows: Rows, sizes: Sequence[Fraction], i: int, t: int) -> Excess | None:
    """1 - S_it with its sign proved, or None if that would take too long."""
    factor, quotients = _quotients(rows, sizes, i, t)
    work = sum(denominator.bit_length() for denominator in quotients)
    if work > EARLY_BITS:
        for bits in PRECISIONS:
            bounded = _bounded_excess(factor, quotients, bits)
            if bounded is not None:
                return Excess(*bounded, f"integer bound, {bits} bits")
        if work > LAST_BITS:
            return None
    over, under = _exact_sum(quotients)
    return Excess(
        factor.denominator * under - factor.numerator * over, factor.denominator * under, "exact rational"
    )


def integer_factors(rows: Rows, sizes: Sequence[Fraction]) -> list[int]:
    """Coprime integers a_i such that q is proportional to sum a_i c_i, with integer rows c_i."""
    per_count = [n / total for n, total in zip(sizes, rows.totals, strict=True)]
    common = math.lcm(*(f.denominator for f in per_count))
    factors = [int(f * common) for f in per_count]
    divisor = math.gcd(*factors)
    return [f // divisor for f in factors]


def _quotients(rows: Rows, sizes: Sequence[Fraction], i: int, t: int) -> tuple[Fraction, dict[int, int]]:
    """F and the sum in S_it = F sum c_i c_t / Q, as {denominator: numerator} in lowest terms."""
    totals, factors = rows.totals, integer_factors(rows, sizes)
    quotients: Counter[int] = Counter()
    for column, multiple in rows.directions.items():
        over = multiple * column[i] * column[t]
        if over:
            under = sum(map(operator.mul, factors, column))
            divisor = math.gcd(over, under)
            quotients[under // divisor] += over // divisor
    scale = totals[0] * factors[0] / sizes[0]
    return scale * sum(sizes) / (totals[i] * totals[t]), quotients


def _bounded_excess(factor: Fraction, quotients: dict[int, int], bits: int) -> tuple[int, int] | None:
    """1 - F sum of quotients as a numerator and denominator accurate to 60 bits, or None: method 2."""
    shift = bits + max(0, factor.numerator.bit_length() - factor.denominator.bit_length())
    floored = sum((over << shift) // under for under, over in quotients.items())
    one = factor.denominator << shift
    # Each quotient lost less than one unit, so the excess is greater than `least` and at most `most`.
    most = one - factor.numerator * floored
    least = most - factor.numerator * len(quotients)
    if least < 0 <= most or (most - least) << 60 > min(abs(least), abs(most)):
        return None
    return most, one


def _exact_sum(quotients: dict[int, int]) -> tuple[int, int]:
    """Sum of numerator / denominator, added in pairs so that the factors of products are of similar size."""
    terms = sorted(((over, under) for under, over in quotients.items()), key=lambda term: term[1])
    while len(terms) > 1:
        paired = [(a * d + c * b, b * d) for (a, b), (c, d) in zip(terms[::2], terms[1::2], strict=False)]
        terms = paired + terms[len(paired) * 2 :]
    return terms[0] if terms else (0, 1)
