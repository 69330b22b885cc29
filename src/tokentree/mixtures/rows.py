"""The distributions of a mixture in exact form, and its sizes.

Sizes are kept as Fractions, integer rows as integers. Their float64 views come from one correctly rounded
division if the entries fit float64 exactly.
"""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from functools import cached_property
from numbers import Rational
from typing import Any

import numpy as np
from jaxtyping import Float, Shaped

from .._lib import checks

SIZE_RANGE = (Fraction(1, 2**200), Fraction(2**200))
"""Smallest and largest size allowed, so that weights and their products with masses are normal floats."""

INT64_MAX = 2**63 - 1


class Rows:
    """Leaf distributions in exact form: the part of a mixture that is independent of the sizes.

    Row i represents values[i] / totals[i]. Integers and Fractions are exact; a float64 row is a row of dyadic
    rationals, and its exact reading is the row divided by its exact sum. Errors call a row by its place, or
    by the key of a mapping that it comes from.
    """

    def __init__(self, values: Any, name: str = "distributions", keys: Sequence[str] | None = None) -> None:
        array = _read_rows(name, values, keys)
        if array.ndim != 2 or 0 in array.shape:
            raise ValueError(f"{name} has shape {array.shape}: must be (N, M), rows by leaves, neither zero")
        check = checks.distributions if array.dtype == np.float64 else checks.nonnegative
        for place, part in [(name, array)] if keys is None else _placed(name, keys, array):
            check(place, part)
        if array.dtype == object:
            array = _integer_rows(array)
        self.values = frozen(array)
        if array.dtype != np.float64 and 0 in self.totals:
            empty = self.totals.index(0)
            raise ValueError(
                f"{name}[{empty if keys is None else keys[empty]!r}] sums to 0: every row needs some data"
            )

    def __repr__(self) -> str:
        return f"Rows({self.values!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return Rows, (self.values,)

    @cached_property
    def probabilities(self) -> Float[np.ndarray, "datasets leaves"]:
        """The rows as float64 probabilities."""
        if self.values.dtype == np.float64:
            return self.values
        p = np.empty(self.values.shape)
        for row, counts, total in zip(p, self.values, self.totals, strict=True):
            row[:] = _shares(counts, total)
        return frozen(p)

    def rounding(self, leaves: slice) -> Float[np.ndarray, "datasets block"]:
        """Exact masses of counted rows minus `probabilities`."""
        p = self.probabilities[:, leaves]
        lost = np.empty(p.shape)
        mantissas, exponents = np.frexp(p)
        exponents = exponents.astype(np.int64) - 53
        digits = (mantissas * 2.0**53).astype(np.int64)
        for i, total in enumerate(self.totals):
            counts = self.values[i, leaves]
            if counts.dtype == object or total > INT64_MAX // 4:
                exact = zip(counts.tolist(), p[i].tolist(), strict=True)
                lost[i] = [float(Fraction(c, total) - Fraction(mass)) for c, mass in exact]
            else:
                # The result is at most a few totals, so it is right even if both terms overflow.
                rest = (counts << -exponents[i]) - digits[i] * total
                lost[i] = np.ldexp(rest / total, exponents[i])
        return lost

    @cached_property
    def totals(self) -> list[int]:
        """Sum of each row of `integers`."""
        return [_row_sum(row) for row in self.integers]

    @cached_property
    def integers(self) -> Shaped[np.ndarray, "datasets leaves"]:
        """The rows as integers, int64 or Python ints: `values`, or float rows times a power of 2."""
        if self.values.dtype != np.float64:
            return self.values
        rows = np.zeros(self.values.shape, object)
        for row, p in zip(rows, self.values, strict=True):
            mantissa, exponent = np.frexp(p)
            digits = (mantissa * 2.0**53).astype(np.int64)
            shift = exponent - exponent[digits > 0].min()
            row[:] = [d << s if d else 0 for d, s in zip(digits.tolist(), shift.tolist(), strict=True)]
            row //= np.gcd.reduce(row)
        return rows

    @cached_property
    def directions(self) -> dict[tuple[int, ...], int]:
        """Distinct columns of `integers` in lowest terms, each with the sum of its multiples.

        A sum over leaves of any function homogeneous of degree 1 in the column is the sum over these.
        """
        columns = self.integers
        divisors = np.gcd.reduce(columns, axis=0)
        found = divisors > 0
        columns, divisors = columns[:, found], divisors[found]
        directions: Counter[tuple[int, ...]] = Counter()
        lowest = (columns // divisors).T.tolist()
        for column, divisor in zip(map(tuple, lowest), divisors.tolist(), strict=True):
            directions[column] += divisor
        return directions

    @cached_property
    def relative_error(self) -> float:
        """Bound on |p / exact - 1| over all entries of `probabilities`; 1 if an entry underflowed."""
        unit = 2.0**-53
        if self.values.dtype == np.float64:
            # math.fsum rounds once, so the row's exact sum is within one unit of it.
            return max(abs(math.fsum(row) - 1) for row in self.values) + 2 * unit
        if self.values.dtype == object and (self.probabilities < 2.0**-1022)[self.values > 0].any():
            return 1.0
        # Rounding of the count, the total, and their quotient.
        return 4 * unit

    def mean(self) -> Shaped[np.ndarray, "leaves"]:
        """The row of the equal mixture of all rows, exact in integers if they are exact."""
        if self.values.dtype == np.float64:
            average: Float[np.ndarray, "leaves"] = self.values.mean(axis=0)
            return average
        common = math.lcm(*self.totals)
        return combination([common // total for total in self.totals], self.values)

    def complement(self, leaf: int) -> Float[np.ndarray, "datasets"]:
        """1 - p_i at one leaf, without cancellation."""
        if self.values.dtype == np.float64:
            return 1 - self.values[:, leaf]
        counts = self.values[:, leaf].tolist()
        return np.array([(total - c) / total for c, total in zip(counts, self.totals, strict=True)])


def exact_number(name: str, value: Any) -> Fraction:
    """`value`, an int, float or Fraction, as an exact Fraction."""
    if not checks.is_number(value):
        raise TypeError(f"{name} = {value!r}: must be an int, a float or a Fraction")
    if isinstance(value, Rational):
        return Fraction(int(value.numerator), int(value.denominator))
    if not np.isfinite(value):
        raise ValueError(f"{name} = {value}: must be finite")
    # Not float(value), which would round a long double.
    return Fraction(*value.as_integer_ratio())


def exact_sizes(sizes: Any, n: int, names: Sequence[str] | None) -> tuple[Fraction, ...]:
    """The sizes of n datasets, in order or by name, as fractions, each in `SIZE_RANGE`."""
    rule = f"must be a sequence of {n} numbers, one per dataset"
    listed = checks.items("sizes", checks.by_name("sizes", sizes, names, rule="must be > 0"), rule)
    if len(listed) != n:
        raise ValueError(f"sizes = {listed!r}: {rule}")
    keys = names if names and isinstance(sizes, Mapping) else range(n)
    exact = []
    for key, size in zip(keys, listed, strict=True):
        exact.append(exact_number(f"sizes[{key!r}]", size))
        if not SIZE_RANGE[0] <= exact[-1] <= SIZE_RANGE[1]:
            rule = "must be > 0" if exact[-1] <= 0 else "must lie between 2**-200 and 2**200"
            raise ValueError(f"sizes[{key!r}] = {size}: {rule}")
    return tuple(exact)


def dataset_index(name: str, dataset: Any, n: int, names: Sequence[str] = ()) -> int:
    """The position of one of n datasets, given by position or name; errors call the argument `name`."""
    if isinstance(dataset, str) and names:
        if dataset not in names:
            raise ValueError(f"{name} = {dataset!r}: must be one of {', '.join(map(repr, names))}")
        return list(names).index(dataset)
    position = checks.integer(name, dataset, 0)
    if position >= n:
        raise ValueError(f"{name} = {position}: must be below the number of datasets, {n}")
    return position


def _placed(name: str, keys: Iterable[int | str], rows: Iterable[Any]) -> Iterator[tuple[str, Any]]:
    """Each row with what errors call it."""
    return ((f"{name}[{key!r}]", row) for key, row in zip(keys, rows, strict=True))


def _read_rows(name: str, value: Any, keys: Sequence[str] | None) -> Shaped[np.ndarray, "..."]:
    """Rows, each read separately, as an array of int64, of float64, or of ints and Fractions."""
    if checks.is_array(value):
        value = checks.plain_array(name, value)
        if value.dtype != object:
            return checks.exact_array(name, value)
    listed = checks.items(name, value, "must be (N, M), rows by leaves")
    places: Sequence[int | str] = range(len(listed)) if keys is None else keys
    rows = [checks.exact_array(place, row) for place, row in _placed(name, places, listed)]
    if len({row.shape for row in rows}) > 1:
        raise ValueError(f"{name} has rows of different lengths: must be (N, M), rows by leaves")
    if any(row.dtype == np.float64 for row in rows) and rows[0].ndim == 1:
        rows = [
            row if row.dtype == np.float64 else _beside_floats(place, row)
            for place, row in _placed(name, places, rows)
        ]
    return np.stack(rows) if rows else np.zeros(0)


def _beside_floats(name: str, row: Shaped[np.ndarray, "leaves"]) -> Float[np.ndarray, "leaves"]:
    """Masses of a row of counts or Fractions, rounded to float64 like the rows around it."""
    checks.nonnegative(name, row)
    counts = _integer_rows(row[None])[0] if row.dtype == object else row
    total = _row_sum(counts)
    if not total:
        raise ValueError(f"{name} sums to 0: every row needs some data")
    return _shares(counts, total)


def _shares(counts: Shaped[np.ndarray, "leaves"], total: int) -> Float[np.ndarray, "leaves"]:
    # Python's integer division rounds once at any size; so does float64 division below 2^53.
    shares: Float[np.ndarray, "leaves"] = counts / (total if counts.dtype == object else float(total))
    return shares.astype(np.float64, copy=False)


def _integer_rows(values: Shaped[np.ndarray, "datasets leaves"]) -> Shaped[np.ndarray, "datasets leaves"]:
    """Rows of ints and Fractions as proportional rows of ints, int64 if they fit."""
    rows = np.empty(values.shape, object)
    for row, given in zip(rows, values, strict=True):
        common = math.lcm(*(entry.denominator for entry in given))
        row[:] = [entry.numerator * (common // entry.denominator) for entry in given]
    return rows.astype(np.int64) if rows.max() <= INT64_MAX else rows


def combination(
    factors: list[int], rows: Shaped[np.ndarray, "datasets leaves"]
) -> Shaped[np.ndarray, "leaves"]:
    """Sum of factors[i] * rows[i] in integers wide enough for it."""
    largest = sum(f * int(row.max()) for f, row in zip(factors, rows, strict=True))
    dtype = np.int64 if largest <= INT64_MAX and max(factors) <= INT64_MAX else object
    combination: Shaped[np.ndarray, "leaves"] = np.array(factors, dtype) @ rows.astype(dtype, copy=False)
    return combination


def _row_sum(row: Shaped[np.ndarray, "leaves"]) -> int:
    if row.dtype == object:
        return sum(row.tolist())
    # Two halves of 32 bits, so that neither sum can overflow below 2^31 leaves.
    return (int((row >> 32).sum()) << 32) + int((row & 0xFFFFFFFF).sum())


def frozen(array: Shaped[np.ndarray, "*shape"]) -> Shaped[np.ndarray, "*shape"]:
    """A read-only view."""
    view = array.view()
    view.flags.writeable = False
    return view
