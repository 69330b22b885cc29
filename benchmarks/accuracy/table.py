"""A row of the table, the exact arithmetic behind it, and the page that the table stands on."""

import csv
import functools
import itertools
import math
import re
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import mpmath
import numpy as np

DIGITS = 60
EPS = 2.0**-52
SMALLEST = 2.0**-1022
PAGE = Path(__file__).parents[2] / "docs" / "accuracy.md"
LEAVES = 10**7
DISTINCT = 1000


class Row(NamedTuple):
    """One function on one hard input."""

    function: str
    hard: str
    reference: str
    error: float
    """Largest relative error of a value."""
    condition: float
    """There: the size of the terms over the size of the value, 1 where nothing cancels."""
    excess: float
    """Largest error over condition, in units of EPS."""


def row(
    function: str, hard: str, reference: str, found: Any, exact: Any, scale: Any = None, floor: float = 0.0
) -> Row:
    """Compare values with exact ones; `scale` is the size of the terms whose sum each value is.

    Errors are relative to the value, or to `floor` times the largest in its array if that is more, and never
    to less than the smallest normal float64.
    """
    values = np.asarray(found, np.float64).ravel().tolist()
    truths = [number(x) for x in flat(exact)]
    scales = truths if scale is None else [number(x) for x in flat(scale)]
    assert len(values) == len(truths) == len(scales), (function, len(values), len(truths), len(scales))
    largest = max(map(abs, truths))
    worst = 0.0, 1.0
    excess = 0.0
    for value, truth, size in zip(values, truths, scales, strict=True):
        if math.isinf(value) or math.isinf(truth):
            assert value == truth, (function, hard, value, truth)
            continue
        unit = max(abs(truth), floor * largest, SMALLEST if truth else 0)
        if not unit:
            # An exact zero, where terms of some size cancel: right only if it is found.
            assert value == 0, (function, hard, value)
            continue
        error = abs(value - truth) / unit
        condition = max(abs(size) / unit, 1)
        worst = max(worst, (float(error), float(condition)))
        excess = max(excess, float(error / condition) / EPS)
    return Row(function, hard, reference, *worst, excess)


def flat(values: Any) -> list[Any]:
    return [x for value in values for x in flat(value)] if isinstance(values, list | tuple) else [values]


def number(value: Any) -> Any:
    """An int, float or Fraction as mpmath's number."""
    if isinstance(value, Fraction):
        return mpmath.mpf(value.numerator) / value.denominator
    return mpmath.mpf(value)


def log(value: Fraction) -> Any:
    """Logarithm to all digits, also near 1."""
    near = abs(value - 1) < Fraction(1, 2)
    return mpmath.log1p(number(value - 1)) if near else mpmath.log(number(value))


def fractions(values: Any) -> list[Fraction]:
    return [Fraction(x) for x in (values.tolist() if isinstance(values, np.ndarray) else values)]


def divergence(p: Sequence[Fraction], q: Sequence[Fraction], times: Sequence[int] | None = None) -> Any:
    """Sum of p log(p / q) - p + q, which is the divergence of rows of the same sum."""
    terms = zip(p, q, times or itertools.repeat(1), strict=times is not None)
    return mpmath.fsum(t * ((number(a) * log(a / b) if a else 0) - number(a - b)) for a, b, t in terms)


# Joint compression


class Exact:
    """Joint compression from the definitions; leaf x stands for times[x] equal leaves."""

    def __init__(self, rows: Any, sizes: Any, times: Sequence[int] | None = None, given: bool = False):
        listed = [fractions(r) for r in rows]
        self.times = list(times or [1] * len(listed[0]))
        self.n = fractions(sizes)
        self.total = sum(self.n)
        self.w = [n / self.total for n in self.n]
        # Float rows are taken as given, not over their sums.
        totals = [1 if given else sum(map(Fraction.__mul__, r, fractions(self.times))) for r in listed]
        self.p = [[x / total for x in r] for r, total in zip(listed, totals, strict=True)]
        self.q = self.mean(self.p)
        self.d = [[a - b for a, b in zip(r, self.q, strict=True)] for r in self.p]
        # Scale of each difference: sum of w_j (p_i + p_j) over the others.
        self.h = [
            [(1 - 2 * w) * a + b for a, b in zip(r, self.q, strict=True)]
            for w, r in zip(self.w, self.p, strict=True)
        ]
        self.leaves = [sum(t for x, t in zip(r, self.times, strict=True) if x) for r in self.p]

    def mean(self, rows: list[list[Fraction]]) -> list[Fraction]:
        return [sum(w * x for w, x in zip(self.w, column, strict=True)) for column in zip(*rows, strict=True)]

    def gram(self, rows: list[list[Fraction]]) -> list[list[Any]]:
        parts = list(zip(self.times, self.q, strict=True))
        return [
            [
                mpmath.fsum(
                    t * number(x) * number(y) / number(q)
                    for (t, q), x, y in zip(parts, a, b, strict=True)
                    if q
                )
                for b in rows
            ]
            for a in rows
        ]

    @functools.cached_property
    def lengths(self) -> list[Any]:
        return [-log(q) if q else mpmath.mpf(0) for q in self.q]

    def against(self, p: list[Fraction], lengths: Sequence[Any]) -> Any:
        return mpmath.fsum(t * number(a) * b for t, a, b in zip(self.times, p, lengths, strict=True))

    def rates(self) -> list[Any]:
        return [self.against(p, self.lengths) for p in self.p]

    def potential(self) -> Any:
        return number(self.total) * self.against(self.q, self.lengths)

    def kl(self, reverse: bool = False) -> list[Any]:
        def one(p: list[Fraction]) -> Any:
            if reverse and any(q and not a for a, q in zip(p, self.q, strict=True)):
                return mpmath.inf
            return divergence(self.q, p, self.times) if reverse else divergence(p, self.q, self.times)

        return [one(p) for p in self.p]

    def response(self) -> list[list[Any]]:
        return [[-x / number(self.total) for x in r] for r in self.gram(self.d)]

    def response_scale(self) -> list[list[Any]]:
        return [[x / number(self.total) for x in r] for r in self.gram(self.h)]


# The page


HEADINGS = [
    "function", "hard input", "reference", "relative error", "in eps", "condition", "in eps, over condition"
]  # fmt: skip


COLUMNS = 0, 1, 3, 5, 6
SHOWN = 8


def cells(r: Row) -> list[str]:
    condition = "1" if r.condition < 10 else f"{r.condition:.0e}"
    return [
        f"`{r.function}`",
        r.hard,
        r.reference,
        f"{r.error:.1e}" if r.error else "0",
        f"{r.error / EPS:.3g}",
        condition,
        f"{r.excess:.2g}",
    ]


def worst(found: list[Row]) -> list[tuple[Row, int]]:
    """Of every function the hard input with the largest error, and how many there were."""
    groups = [list(group) for _, group in itertools.groupby(found, key=lambda r: r.function)]
    return [(max(inputs, key=lambda r: r.error), len(inputs)) for inputs in groups]


def markdown(found: list[Row]) -> str:
    """The functions that lose more than SHOWN units in the last place by themselves."""
    lines = [[HEADINGS[i] for i in COLUMNS], ["---", "---", *["---:"] * 3]]
    for r, _ in worst(found):
        if r.excess > SHOWN:
            given = cells(r)
            lines.append([given[i] for i in COLUMNS])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def write_page(found: list[Row]) -> None:
    """Put the table where it stands in docs/accuracy.md, and all of it into the file beside."""
    text = PAGE.read_text("utf-8")
    start, end = "<!-- table -->\n", "<!-- end of table -->"
    between = re.compile(f"(?<={start}).*(?={end})", re.DOTALL)
    PAGE.write_text(between.sub(lambda _: markdown(found) + "\n", text), "utf-8")
    with PAGE.with_suffix(".csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([*HEADINGS, "inputs"])
        for r, inputs in worst(found):
            name, *rest = cells(r)
            writer.writerow([name.strip("`"), *rest, inputs])
