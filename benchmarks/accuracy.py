"""Largest relative error of every public numeric function over hard inputs, against exact arithmetic.

    python benchmarks/accuracy.py              print the table, with the errors at 10^7 leaves
    python benchmarks/accuracy.py --small      leave those out
    python benchmarks/accuracy.py --markdown   rewrite the table of docs/accuracy.md

References are Fractions where the value is rational and mpmath with 60 digits where it is not, straight from
the definitions. 10^7 leaves are 10^3 different ones, each 10^4 times and in random order: references count
them, and so are exact there too. Seeds are fixed. A minute.
"""

import argparse
import functools
import heapq
import itertools
import math
import re
import time
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import mpmath
import numpy as np

import tokentree as tt
from tokentree.alignment import REGIMES

DIGITS = 60
EPS = 2.0**-52
SMALLEST = 2.0**-1022
PAGE = Path(__file__).parents[1] / "docs" / "accuracy.md"
LEAVES = 10**7
DISTINCT = 1000

EXACT = {
    "EOS, REST, Leaf, LeafKind, Leaves": "symbols, and a tree's leaves as they are",
    "BlockCodec, arithmetic_decode, arithmetic_encode": "lossless: integers in, the same integers out",
    "Finding, Ledger, Verdict, verify": "verdicts, decided by the functions above",
    "Explorer, explore, explorer_mixture, write_explorer": "integer rows that `Mixture` takes, and pictures",
    "published_form, three_dataset_form": "integer rows and exact sizes",
    "AlignmentBudget, DepthCurve, Elasticity, HookeInvariant, ModelRates, ModelledDepth, "
    "ParetoAsymptotics, ParetoConvergence, ParetoLimit, PublishedDerivatives, "
    "Rebound, ReboundFactor, Resistance, ResponseCurve, "
    "SignMap, TailComparison, TailFit, UnexpandedBounds, ChainMotion, ChainState": "results of the functions "
    "above, measured with them",
}
"""Public names that have no error of their own, and why."""


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


# Mixtures


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


class Case(NamedTuple):
    name: str
    mixture: tt.Mixture
    exact: Exact


def mixtures() -> Iterator[Case]:
    """The hard mixtures of a few hundred leaves."""

    def case(name: str, rows: Any, sizes: Any, given: bool = False) -> Case:
        return Case(name, tt.Mixture(rows, sizes), Exact(rows, sizes, given=given))

    rng = np.random.default_rng(1)
    wide = (1000 * (1 + rng.pareto(1.2, (3, 300)))).astype(np.int64)
    yield case("Pareto counts, k = 1e12", wide, [10**12, 1, 1])
    yield case("Pareto counts, k = 1e12, l = 1e-6", wide, [10**12, 1, Fraction(1, 10**6)])
    base = rng.integers(10**14, 10**15, 300)
    near = base + rng.integers(-500, 501, (3, 300))
    yield case("counts that differ by 1e-12, k = 2", near, [2, 1, 1])
    yield case("counts that differ by 1e-12, k = 1e12", near, [10**12, 1, 1])
    middle = base // 10**9 * 10**9 + rng.integers(-(10**9), 10**9 + 1, (3, 300))
    yield case("counts that differ by 1e-6, k = 1e6", middle, [10**6, 1, 1])
    # Multiples of 2^-50 in pairs that move against each other: the sums are 1 exactly.
    halves = rng.integers(2**41, 2**42, 150)
    moves = rng.integers(-2, 3, (3, 150))
    grid = np.concatenate([halves + moves, halves - moves], axis=1)
    grid[:, -1] += 2**50 - grid.sum(axis=1)
    yield case("floats that differ by 1e-12, k = 2", grid / 2.0**50, [2, 1, 1], given=True)
    faint = np.array(
        [
            [1.0, 1e-300, 1e-200, 0.0, 1e-17],
            [0.5, 0.5, 1e-290, 1e-300, 0.0],
            [1e-300, 1e-250, 1.0, 3e-300, 1e-100],
        ]
    )
    yield case("masses down to 1e-300, k = 1e12", faint, [10**12, 1, 1], given=True)
    sure = [[10**12, 1, 0], [10**12, 0, 1], [10**12, 1, 1]]
    yield case("one leaf of mass 1 - 1e-12, k = 1e6", sure, [10**6, 1, 1])


def many() -> Case:
    """Three datasets over 10^7 leaves."""
    rng = np.random.default_rng(2)
    columns = (1 + rng.pareto(1.2, (3, DISTINCT))).astype(np.int64)
    columns[rng.random((3, DISTINCT)) < 0.3] = 0
    order = rng.permutation(np.repeat(np.arange(DISTINCT, dtype=np.int16), LEAVES // DISTINCT))
    sizes = [10**12, 1, 1]
    exact = Exact(columns, sizes, [LEAVES // DISTINCT] * DISTINCT)
    return Case("10^7 leaves, k = 1e12", tt.Mixture(columns[:, order], sizes), exact)


def mixture_rows(case: Case) -> Iterator[Row]:
    """`Mixture`, and what rests on it, for one mixture."""
    name, mixture, exact = case
    nats = {"base": math.e}
    large = mixture.n_leaves == LEAVES
    yield row("Mixture.weights", name, "rational", mixture.weights, exact.w)
    if large:
        found = [mixture.joint.min(), mixture.joint.max()]
        yield row("Mixture.joint", name, "rational", found, [min(exact.q), max(exact.q)])
    else:
        yield row("Mixture.joint", name, "rational", mixture.joint, exact.q)
    rates, kl, potential = exact.rates(), exact.kl(), exact.potential()
    yield row("Mixture.rates", name, "60 digits", mixture.rates(**nats), rates)
    logs = [mpmath.log(m) for m in exact.leaves]
    yield row(
        "Mixture.normalized_rates",
        name,
        "60 digits",
        mixture.normalized_rates(**nats),
        [a - b for a, b in zip(rates, logs, strict=True)],
        [a + b for a, b in zip(rates, logs, strict=True)],
    )
    yield row("Mixture.potential", name, "60 digits", mixture.potential(**nats), potential)
    yield row("Mixture.kl", name, "60 digits", mixture.kl(**nats), kl)
    response, scale = exact.response(), exact.response_scale()
    yield row("Mixture.response", name, "60 digits", mixture.response(**nats), response, scale)
    yield row("Mixture.overlap", name, "60 digits", mixture.overlap(), exact.gram(exact.p))

    n_a = number(exact.n[1])
    decided = tt.elasticity(mixture, **nats)
    derivatives = [decided.dgamma_pretrain, decided.dgamma_align, decided.dgamma_perturb]
    yield row(
        "elasticity.dgamma",
        name,
        "60 digits",
        derivatives,
        [n_a * r[2] for r in response],
        [n_a * r[2] for r in scale],
    )
    k = exact.n[0] / exact.n[1]
    ratio = -response[1][2] / response[0][2] / number(k)
    # Relative errors of numerator and denominator add up.
    both = abs(ratio) * (scale[1][2] / abs(response[1][2]) + scale[0][2] / abs(response[0][2]))
    yield row("elasticity.ratio", name, "60 digits", decided.ratio, ratio, both)
    springs = tt.FisherSprings(mixture)
    total = number(exact.total)
    yield row(
        "FisherSprings.extensions",
        name,
        "60 digits",
        springs.extensions,
        [mpmath.sqrt(-total * response[i][i]) for i in range(3)],
        [mpmath.sqrt(total * scale[i][i]) for i in range(3)],
    )
    yield row(
        "FisherSprings.energy",
        name,
        "60 digits",
        springs.energy(**nats),
        mpmath.fdot([number(n) for n in exact.n], kl),
    )
    yield row(
        "FisherSprings.kl(reverse)",
        name,
        "60 digits",
        springs.kl(math.e, reverse=True),
        exact.kl(reverse=True),
    )
    if not large:
        forces = [[n * x for x in r] for n, r in zip(exact.n, exact.d, strict=True)]
        sizes = [[n * x for x in r] for n, r in zip(exact.n, exact.h, strict=True)]
        yield row("FisherSprings.forces", name, "rational", springs.forces, forces, sizes)
        yield from invariant_rows(name, springs, exact)
        yield from huffman_rate_rows(name, mixture, exact)


def invariant_rows(name: str, springs: tt.FisherSprings, exact: Exact) -> Iterator[Row]:
    """|D_i| x Delta KL when a little of D_3 is added."""
    amount = Fraction(1, 10**3)
    found = springs.invariant(2, amount, base=math.e)
    after = Exact(exact.p, [*exact.n[:2], exact.n[2] + amount], given=True)
    sizes = [number(n) for n in exact.n]
    ratios = [log(b / a) if a else mpmath.mpf(0) for a, b in zip(exact.q, after.q, strict=True)]
    forward = [-n * after.against(p, ratios) for n, p in zip(sizes, exact.p, strict=True)]
    response = [n * r[2] * number(amount) for n, r in zip(sizes, exact.response(), strict=True)]
    scale = [n * r[2] * number(amount) for n, r in zip(sizes, exact.response_scale(), strict=True)]
    yield row("FisherSprings.invariant.forward", name, "60 digits", found.forward, forward, scale)
    yield row(
        "FisherSprings.invariant.forward_response", name, "60 digits", found.forward_response, response, scale
    )
    remainder = number(exact.total) * divergence(exact.q, after.q)
    yield row("FisherSprings.invariant.remainder", name, "60 digits", found.remainder, remainder)
    kl = zip(exact.kl(reverse=True), after.kl(reverse=True), strict=True)
    finite = [i for i, (a, b) in enumerate(kl) if mpmath.isfinite(a) and mpmath.isfinite(b)]
    before, later = exact.kl(reverse=True), after.kl(reverse=True)
    if finite:
        # The change is step times sum d_t log(q / p_i), and a term of second order.
        step = number(amount / after.total)
        drags = [
            mpmath.fsum(
                abs(number(h)) * abs(log(q / p))
                for h, q, p in zip(exact.h[2], exact.q, exact.p[i], strict=True)
                if q
            )
            for i in finite
        ]
        yield row(
            "FisherSprings.invariant.reverse",
            name,
            "60 digits",
            found.reverse[finite],
            [sizes[i] * (later[i] - before[i]) for i in finite],
            [sizes[i] * step * drag for i, drag in zip(finite, drags, strict=True)],
        )


def huffman_rate_rows(name: str, mixture: tt.Mixture, exact: Exact) -> Iterator[Row]:
    """Rates of real codes: the code is given, so its mean length is rational."""
    found = mixture.rates(code="huffman")
    on = [x for x, q in enumerate(exact.q) if q]
    lengths = tt.huffman_lengths([exact.q[x] for x in on]).tolist()
    rates = [sum(p[x] * length for x, length in zip(on, lengths, strict=True)) for p in exact.p]
    # Ties may fall either way; then only the joint length is the same.
    joint = sum(n * r for n, r in zip(exact.n, rates, strict=True))
    yield row("Mixture.potential(huffman)", name, "rational", mixture.potential(code="huffman"), joint)
    if mixture.rows.values.dtype != np.float64:
        yield row("Mixture.rates(huffman)", name, "rational", found, rates)


# Information


def information_rows() -> Iterator[Row]:
    rng = np.random.default_rng(3)
    faint = np.array([1e-300, 1e-200, 1e-100, 1e-17, 1.0])
    sure = np.array([2.0**-52, 1 - 2.0**-52])
    pareto = 1 + rng.pareto(1.2, 10**4)
    pareto /= pareto.sum()
    for name, p in (
        ("masses down to 1e-300", faint),
        ("a mass of 1 - 2^-52", sure),
        ("10^4 Pareto masses, alpha = 1.2", pareto),
    ):
        exact = -mpmath.fsum(number(x) * log(x) for x in fractions(p))
        yield row("entropy", name, "60 digits", tt.entropy(p, math.e), exact)
    half = np.array([0.5, 0.5, 0.0])
    for name, p, q in (
        ("q down to 1e-300", half, np.array([1e-300, 1.0, 0.0])),
        ("q of 1 - 2^-52 on all of p", np.array([0.0, 1.0]), sure),
        ("p = q, 10^4 Pareto masses", pareto, pareto),
    ):
        on = [(a, b) for a, b in zip(fractions(p), fractions(q), strict=True) if a]
        exact = -mpmath.fsum(number(a) * log(b) for a, b in on)
        yield row("cross_entropy", name, "60 digits", tt.cross_entropy(p, q, math.e), exact)
    for size in (1e-2, 1e-6, 1e-12, 1e-15):
        moved = pareto * (1 + size * rng.standard_normal(pareto.size))
        moved /= moved.sum()
        exact = divergence(fractions(pareto), fractions(moved))
        yield row(
            "kl_divergence",
            f"q = p (1 + {size:g} z)",
            "60 digits",
            tt.kl_divergence(pareto, moved, math.e),
            exact,
        )
    edge = np.array([0.3, 0.7])
    for name, p, q in (
        ("masses down to 1e-300", faint, faint[[1, 0, 3, 2, 4]]),
        ("p / q = 5/3, the end of the series", edge * [5 / 3, 5 / 7], edge),
    ):
        exact = divergence(fractions(p), fractions(q))
        yield row("kl_divergence", name, "60 digits", tt.kl_divergence(p, q, math.e), exact)


def large_information_rows() -> Iterator[Row]:
    rng = np.random.default_rng(4)
    times = LEAVES // DISTINCT
    draws = 1 + rng.pareto(1.2, DISTINCT)
    some = draws / draws.sum() / times
    order = rng.permutation(np.repeat(np.arange(DISTINCT, dtype=np.int16), times))
    p, each = some[order], [times] * DISTINCT
    a = fractions(some)
    exact = -times * mpmath.fsum(number(x) * log(x) for x in a)
    yield row("entropy", "10^7 leaves", "60 digits", tt.entropy(p, math.e), exact)
    for name, moved in (
        ("10^7 leaves", rng.permutation(some)),
        ("10^7 leaves, q = p (1 + 1e-6 z)", some * (1 + 1e-6 * rng.standard_normal(DISTINCT))),
        ("10^7 leaves, q = p (1 + 1e-12 z)", some * (1 + 1e-12 * rng.standard_normal(DISTINCT))),
    ):
        moved /= moved.sum() * times
        b, q = fractions(moved), moved[order]
        cross = -times * mpmath.fsum(number(x) * log(y) for x, y in zip(a, b, strict=True))
        if moved is not some and "z" not in name:
            yield row("cross_entropy", name, "60 digits", tt.cross_entropy(p, q, math.e), cross)
        yield row("kl_divergence", name, "60 digits", tt.kl_divergence(p, q, math.e), divergence(a, b, each))
    code = tt.HuffmanCode.from_weights(p)
    # Equal masses may get two lengths: count the symbols of each.
    sums = np.bincount(order, code.lengths, DISTINCT).astype(np.int64)
    exact = sum(x * int(total) for x, total in zip(a, sums, strict=True))
    yield row("HuffmanCode.expected_length", "10^7 leaves", "rational", code.expected_length(p), exact)


# Codes and trees


def optimal_cost(weights: Sequence[Fraction]) -> Fraction:
    heap, cost = sorted(weights), Fraction(0)
    while len(heap) > 1:
        pair = heapq.heappop(heap) + heapq.heappop(heap)
        heapq.heappush(heap, pair)
        cost += pair
    return cost


def code_rows() -> Iterator[Row]:
    rng = np.random.default_rng(5)
    pareto = 1 + rng.pareto(1.2, 5000)
    geometric = 0.5 ** np.minimum(np.arange(1, 1001), 999)
    for name, weights in (
        ("5000 Pareto masses, alpha = 1.2", pareto / pareto.sum()),
        ("masses 2^-1 to 2^-999", geometric),
        ("1000 masses down to 1e-300", 10.0 ** -np.linspace(0.3, 300, 1000)),
    ):
        lengths = tt.huffman_lengths(weights).tolist()
        exact = fractions(weights)
        cost = sum(w * length for w, length in zip(exact, lengths, strict=True))
        best = optimal_cost(exact)
        found = 1 + float((cost - best) / best)
        yield row("huffman_lengths, cost over the least", name, "rational", found, 1)
        code = tt.HuffmanCode(lengths)
        p = weights / weights.sum()
        mean = sum(w * length for w, length in zip(fractions(p), lengths, strict=True))
        yield row("HuffmanCode.expected_length", name, "rational", code.expected_length(p), mean)
        kraft = sum(Fraction(1, 2**length) for length in lengths)
        yield row("HuffmanCode.kraft_sum", name, "rational", float(code.kraft_sum - kraft) + 1, 1)

    for name, counts in (
        ("2^16 equal leaves", [1] * 2**16),
        ("entropy 1e-9 above 1 bit", [2**30 - 1, 2**30 - 1, 1]),
    ):
        width = max(1, (len(counts) - 1).bit_length())
        tree = tt.TokenTree.from_leaves(
            {format(i, f"0{width}b"): c for i, c in enumerate(counts)}, depth=width
        )
        total = sum(counts)
        bits = mpmath.log(total, 2) - mpmath.fsum(c * mpmath.log(c, 2) for c in counts) / total
        exact = 5 * mpmath.ceil(bits - mpmath.mpf(10) ** (5 - DIGITS))
        yield row("ideal_code_length", name, "60 digits", tt.ideal_code_length(tree, 5 * width, width), exact)

    masses = np.concatenate([10.0 ** -rng.uniform(0, 300, 2**12), 1 + rng.pareto(1.2, 2**17 - 2**12)])
    rows = rng.permuted((np.arange(2**17)[:, None] >> np.arange(16, -1, -1)) & 1, axis=0)
    tree = tt.TokenTree.from_sequences(rows, masses, depth=17)
    total = sum(fractions(masses))
    place = (rows << np.arange(16, -1, -1)).sum(axis=1)
    sums = [Fraction(0)] * 2**17
    for x, mass in zip(place.tolist(), fractions(masses), strict=True):
        sums[x] += mass
    found = [tree.weight(format(i, "03b")) for i in range(8)]
    eighths = [sum(sums[i << 14 : (i + 1) << 14]) for i in range(8)]
    name = "2^17 masses from 1e-300 to 1e4"
    yield row("TokenTree.weight", name, "rational", [tree.total_weight, *found], [total, *eighths])
    leaves = [s / total for s in sums if s]
    yield row("TokenTree.leaf_probabilities", name, "rational", tree.leaf_probabilities, leaves)
    shards = [tt.TokenTree.from_sequences(rows[i::64], masses[i::64], depth=17) for i in range(64)]
    merged = tt.merge(shards)
    found = [merged.weight(format(i, "03b")) for i in range(8)]
    yield row("merge", f"{name}, 64 trees", "rational", [merged.total_weight, *found], [total, *eighths])
    counted = tt.TokenTree.from_leaves({"0": 10**18, "10": 1, "11": 3}, depth=2)
    aligned = tt.leaf_distributions([tree, counted], 2)
    quarters = [sum(sums[i << 15 : (i + 1) << 15]) / total for i in range(4)]
    exact = [[0, *quarters], [Fraction(c, 10**18 + 4) for c in (10**18, 0, 0, 1, 3)]]
    yield row("align", f"{name}, and counts to 1e18", "rational", aligned, exact)


# Theorem 4.2 and trees of several depths


def theorem_rows() -> Iterator[Row]:
    ks = [1e-3, 1.0, 1e3, 1e6, 1e9, 1e12]
    ls = [1e-12, 1e-6, 0.25, 0.4999, 0.5, 0.50001, 3.0, 1e6]
    for parts in (3, 7):
        name = f"{parts} parts, k from 1e-3 to 1e12, l from 1e-12 to 1e6"
        k, l = np.array(list(itertools.product(ks, ls))).T
        found = tt.theorem.published_derivatives(parts, k, l, base=math.e)
        pretrain, align, ratio, scale, ratio_scale = [], [], [], [], []
        change, common, change_scale = [], [], []
        for a, b in zip(fractions(k), fractions(l), strict=True):
            margin = 1 - (parts - 1) * b
            total = a + 1 + b
            pretrain.append(-margin / ((a + parts * b) * total))
            scale.append((1 + (parts - 1) * b) / ((a + parts * b) * total))
            align.append(1 / total)
            ratio.append((1 + parts * b / a) / margin if margin else math.inf)
            ratio_scale.append(
                (1 + parts * b / a) * (1 + (parts - 1) * b) / margin**2 if margin else math.inf
            )
            common.append(mpmath.log1p(number(b / (a + 1))))
            part = mpmath.log1p(number(parts * b / a)) / parts
            change.append(common[-1] - part)
            # What a relative change of k or l does: the size of k, and of l, times the derivative.
            by_l = b / total - b / (a + parts * b)
            by_k = a / total - a / (a + 1) + b / (a + parts * b)
            change_scale.append(abs(by_l) + abs(by_k))
        yield row(
            "published_derivatives.dgamma_pretrain", name, "rational", found.dgamma_pretrain, pretrain, scale
        )
        yield row("published_derivatives.dgamma_align", name, "rational", found.dgamma_align, align)
        yield row("published_derivatives.ratio", name, "rational", found.ratio, ratio, ratio_scale)
        changes = tt.theorem.published_change(parts, k, l, base=math.e)
        yield row("published_change.pretrain", name, "60 digits", changes[0], change, change_scale)
        yield row("published_change.align", name, "60 digits", changes[1], common)

    for name, rows in (
        ("disjoint thirds, k = 1e12", np.eye(3, dtype=int)),
        ("Pareto parts, k = 1e12", (1000 * (1 + np.random.default_rng(6).pareto(1.2, (3, 200)))).astype(int)),
    ):
        form = tt.published_form(rows, k=10**12, l=1)
        points = [1e-9, 0.25, 0.4999]
        curve = tt.response_curve(form, points, base=math.e)
        exact = [Exact(form.rows.values.tolist(), [10**12, 1, Fraction(x)]) for x in points]
        yield row("response_curve.rates", name, "60 digits", curve.rates, [e.rates() for e in exact])
        derivatives = [[x.dgamma_pretrain, x.dgamma_align, x.dgamma_perturb] for x in curve.elasticities]
        yield row(
            "response_curve.dgamma",
            name,
            "60 digits",
            derivatives,
            [[r[2] for r in e.response()] for e in exact],
            [[r[2] for r in e.response_scale()] for e in exact],
        )
        before = Exact(form.rows.values[:2].tolist(), [10**12, 1])
        third = Exact(form.rows.values.tolist(), [1, 1, 1]).p[2]
        starts = [*before.rates()]
        lacking = any(a and not q for a, q in zip(third, before.q, strict=True))
        starts.append(mpmath.inf if lacking else before.against(third, before.lengths))
        yield row("response_curve.start", name, "60 digits", curve.start, starts)

    rng = np.random.default_rng(7)
    trees = [
        tt.TokenTree.from_sequences((rng.random((4000, 8)) < bias).astype(int), depth=8)
        for bias in (0.5, 0.7, 0.4)
    ]
    sizes = [10**12, 1, 1]
    found = tt.depth_curve(trees, sizes=sizes, base=math.e)
    exact = [Exact(tt.leaf_distributions(trees, d, weights=True), sizes) for d in range(1, 9)]
    name = "three counted trees of depth 8, k = 1e12"
    yield row("depth_curve.rates", name, "60 digits", found.rates, [e.rates() for e in exact])
    normalized = [[r - mpmath.log(m) for r, m in zip(e.rates(), e.leaves, strict=True)] for e in exact]
    scale = [[r + mpmath.log(m) for r, m in zip(e.rates(), e.leaves, strict=True)] for e in exact]
    yield row("depth_curve.normalized_rates", name, "60 digits", found.normalized_rates, normalized, scale)
    response, scale = [e.response() for e in exact], [e.response_scale() for e in exact]
    yield row("depth_curve.response", name, "60 digits", found.response, response, scale)
    yield row("depth_curve.overlap", name, "60 digits", found.overlap, [e.gram(e.p) for e in exact])

    bounds = tt.unexpanded_bounds(trees, sizes, depth=8, base=math.e)
    last = exact[-1]
    for what, low, high, truth, size in (
        ("rates", bounds.rates_lower, bounds.rates_upper, last.rates(), None),
        ("overlap", bounds.overlap_lower, bounds.overlap_upper, last.gram(last.p), None),
        ("response", bounds.response_lower, bounds.response_upper, last.response(), last.response_scale()),
    ):
        truths = [float(x) for x in flat(truth)]
        assert (low.ravel() <= truths).all()
        assert (truths <= high.ravel()).all()
        label = f"unexpanded_bounds.{what}, both ends"
        size = size and [size, size]
        yield row(label, f"{name}, nothing unexpanded", "60 digits", [low, high], [truth, truth], size)

    # The model knows the data's masses up to some error.
    data = trees[1]
    for error in (1e-3, 1e-9):
        leaves = data.leaves()
        masses = leaves.weight * (1 + error * rng.standard_normal(len(leaves))) / data.total_weight
        paths = [leaf.prefix for leaf in leaves]
        model = tt.TokenTree.from_sequences(paths, masses, depth=8)
        both = [tt.leaf_distributions([data, model], d, weights=True) for d in range(1, 9)]
        counts, weights = zip(*([fractions(r) for r in pair] for pair in both), strict=True)
        p = [[x / data.total_weight for x in r] for r in counts]
        q = [[x / Fraction(model.total_weight) for x in r] for r in weights]
        kl = [divergence(a, b) for a, b in zip(p, q, strict=True)]
        # Both are divided by their totals first: a rounding each, of the size of the masses.
        scale = [
            mpmath.fsum(abs(number(a - b)) / number(b) * number(a + b) for a, b in zip(x, y, strict=True))
            for x, y in zip(p, q, strict=True)
        ]
        name = f"a model right within {error:g}"
        depths = tt.modelled_depth(model, data, tolerance=1, base=math.e)
        yield row("modelled_depth.lower", name, "60 digits", depths.lower, kl, scale)
        rates = tt.model_rates(model, data, base=math.e)
        entropies = [-mpmath.fsum(number(a) * log(a) for a in r if a) for r in p]
        losses = [
            -mpmath.fsum(number(a) * log(b) for a, b in zip(x, y, strict=True) if a)
            for x, y in zip(p, q, strict=True)
        ]
        yield row("model_rates.entropy", name, "60 digits", rates.entropy, entropies)
        yield row("model_rates.log_loss", name, "60 digits", rates.log_loss, losses)
        yield row("model_rates.tokens", name, "rational", rates.tokens, list(range(1, 9)))


# Pareto masses


def laplace(alpha: Any, s: Any) -> tuple[Any, Any, Any]:
    """phi, -phi' and phi''."""
    scale = (alpha - 1) / alpha
    lowest = mpmath.expint(alpha - 1, scale * s)
    middle = (mpmath.exp(-scale * s) - scale * s * lowest) / (alpha - 1)
    return mpmath.exp(-scale * s) - scale * s * middle, alpha * scale * middle, alpha * scale**2 * lowest


def limit_of(alpha: float, sizes: Sequence[float]) -> tuple[Any, Any]:
    """S and gamma - log M by the integrals of products of transforms, as they stand."""
    a, n = mpmath.mpf(alpha), [number(x) for x in sizes]
    w = [x / mpmath.fsum(n) for x in n]
    rate = min(mpmath.mpf(1), a - 1)
    end = 2.2 * mpmath.mp.dps / ((a - 1) / a)
    table: dict[Any, Any] = {}

    def at(u: Any) -> Any:
        if u not in table:
            s = u ** (1 / rate)
            table[u] = s, u ** (1 / rate - 1) / rate, [laplace(a, x * s) for x in w]
        return table[u]

    def overlap(u: Any, i: int, t: int) -> Any:
        _, value, values = at(u)
        for c, transforms in enumerate(values):
            value *= transforms[(c == i) + (c == t)]
        return value

    def normalized(u: Any, i: int) -> Any:
        s, step, values = at(u)
        return (mpmath.fprod(v[c == i] for c, v in enumerate(values)) - mpmath.exp(-s)) * step / s

    breaks = [mpmath.mpf(x) ** rate for x in (0, 1, 4, 15, 50, end)]
    count = range(len(w))
    found = [
        [mpmath.quad(lambda u, i=i, t=t: overlap(u, i, t), breaks) if i <= t else 0 for t in count]
        for i in count
    ]
    found = [[found[min(i, t)][max(i, t)] for t in count] for i in count]
    return found, [mpmath.quad(lambda u, i=i: normalized(u, i), breaks) for i in count]


def leading(alpha: float, k: float, l: float) -> list[Any]:
    """`pareto_asymptotics` as its docstring prints it; at alpha = 2 as the limit."""
    a, k, l = number(alpha), number(k), number(l)
    if a == 2:
        spare = 2 * (mpmath.log(k / l) + mpmath.mpf(1) / 3) / 3 - 1
    else:
        spare = 2 / ((a - 2) * (a + 1))
        if a < 2.5:
            factor = mpmath.pi * a * (a - 1) / ((2 * a - 1) * mpmath.sinpi(a - 1))
            spare += factor * (k / l) ** (2 - a)
    align = -1 / (k * (a**2 - 1))
    return [(1 / (a**2 - 1) + l * spare) / k**2, align, -spare / k]


def pareto_rows() -> Iterator[Row]:
    alphas = [1.0 + 2.0**-40, 1.0001, 1.2, 2.0, 2.5, 50.0, 1e6, 1e12]
    exact = []
    for a in alphas:
        x = 1 / (number(a) - 1)
        exact.append(mpmath.log1p(x) - x)
    found = [tt.ParetoMass(a).normalized_self_rate(math.e) for a in alphas]
    yield row("ParetoMass.normalized_self_rate", "alpha from 1 + 1e-12 to 1e12", "60 digits", found, exact)
    alphas, points = [1.05, 1.5, 2.0, 2.000001, 3.5, 50.0], [1e-300, 1e-12, 1e-3, 0.5, 1.0, 3.0, 30.0, 300.0]
    for derivative in range(3):
        found = [tt.ParetoMass(a).laplace(points, derivative) for a in alphas]
        # The recurrence loses as many digits as e^-x has zeros.
        with mpmath.workdps(250):
            exact = [[laplace(number(a), number(s))[derivative] for s in points] for a in alphas]
        # A rounding of s is one of s times e^-s.
        scale = [[x * (1 + s) for x, s in zip(r, points, strict=True)] for r in exact]
        name = "alpha from 1.05 to 50, s from 1e-300 to 300"
        yield row(f"ParetoMass.laplace, derivative {derivative}", name, "250 digits", found, exact, scale)
    for a, sizes in ((2.5, [1e12, 1.0, 1.0]), (1.5, [1e3, 1.0, 1.0]), (10.0, [1e12, 1.0])):
        with mpmath.workdps(45):
            overlap, rates = limit_of(a, sizes)
            excess = [[1 - x for x in r] for r in overlap]
            found = tt.pareto_limit(a, sizes, base=math.e)
            name = f"alpha = {a:g}, k = {sizes[0]:g}"
            reference = "integral, 45 digits"
            yield row("pareto_limit.overlap", name, reference, found.overlap, overlap)
            yield row("pareto_limit.excess", name, reference, found.excess, excess)
            yield row("pareto_limit.normalized_rates", name, reference, found.normalized_rates, rates)
            if len(sizes) == 3 and a == 2.5:
                mapped = tt.sign_map(sizes[0], sizes[2], a, form="three-dataset", shared=[0.25, 1.0])
                signs = [[0.25 * x + 0.75, x] for x in (excess[0][2], excess[1][2])]
                pair = [mapped.excess_pretrain, mapped.excess_align]
                yield row("sign_map.excess", f"{name}, shared 1/4 and 1", reference, pair, signs)
    for name, near in (
        ("alpha = 2 and next to it, k to 1e12", [2.0, 2 - 1e-15, 2 + 1e-12, 2 - 1e-8, 2 + 1e-4]),
        ("alpha from 1.05 to 50, k to 1e12", [1.05, 1.5, 1.9, 2.3, 2.4999, 2.5, 3.0, 50.0]),
    ):
        grid = list(itertools.product(near, (1e2, 1e12), (0.5, 1.0)))
        exact = [leading(*point) for point in grid]
        found = [list(vars(tt.pareto.pareto_asymptotics(*point, base=math.e)).values()) for point in grid]
        yield row("pareto_asymptotics", name, "60 digits", found, exact)
    found = tt.pareto.pareto_convergence(3.0, [1e6, 1, 1], [200], [0], base=math.e)
    rng = np.random.default_rng([0, 200])
    sample = Exact([tt.ParetoMass(3.0).sample(200, rng) for _ in range(3)], [1e6, 1, 1], given=True)
    total = number(sample.total)
    excess = [[x * total for x in r] for r in sample.response()]
    scale = [[x * total for x in r] for r in sample.response_scale()]
    name = "200 leaves, k = 1e6"
    yield row("pareto_convergence.excess", name, "60 digits", found.excess, excess, scale)
    rates = [r - mpmath.log(200) for r in sample.rates()]
    scale = [r + mpmath.log(200) for r in sample.rates()]
    yield row("pareto_convergence.normalized_rates", name, "60 digits", found.normalized_rates, rates, scale)
    masses = tt.ParetoMass(1.2).sample(10**4, rng=1)
    yield row(
        "ParetoMass.sample, its sum", "10^4 leaves, alpha = 1.2", "rational", float(sum(fractions(masses))), 1
    )


def tail_rows() -> Iterator[Row]:
    rng = np.random.default_rng(8)
    for name, x in (
        ("5000 masses down to 1e-300", 1e-300 * (1 + rng.pareto(1.2, 5000))),
        ("5000 masses within 1e-9 of one another", 1 + 1e-9 * rng.random(5000)),
    ):
        fit = tt.fit_tail(x, threshold=float(x.min()))
        least = Fraction(float(x.min()))
        logs = mpmath.fsum(log(v / least) for v in fractions(x))
        exponent = len(x) / logs
        yield row("fit_tail.exponent", name, "60 digits", fit.exponent, exponent)
        yield row(
            "fit_tail.standard_error", name, "60 digits", fit.standard_error, exponent / mpmath.sqrt(len(x))
        )
        gaps = [
            abs(number(Fraction(len(x) - i, len(x))) - mpmath.exp(-exponent * log(v / least)))
            for i, v in enumerate(sorted(fractions(x)))
        ]
        yield row("fit_tail.distance", name, "60 digits", fit.distance, max(gaps), 1)
    counts = rng.zipf(2.1, 3000)
    fit = tt.fit_tail(counts, threshold=1)
    mean = mpmath.fsum(mpmath.log(int(c)) for c in counts) / len(counts)
    with mpmath.workdps(30):
        slope = mpmath.findroot(
            lambda s: mpmath.zeta(s, 1, 1) / mpmath.zeta(s) + mean,
            mpmath.mpf(fit.density_exponent),
            tol=1e-40,
        )
    yield row("fit_tail.exponent", "3000 Zipf counts", "zeta, 30 digits", fit.exponent, slope - 1, slope)


# Springs


def spring_rows() -> Iterator[Row]:
    rng = np.random.default_rng(9)
    k = 10.0 ** rng.uniform(-9, 9, 8)
    exact = fractions(k)
    chain = tt.SpringChain(k)
    name = "8 springs over eighteen decades"
    whole = 1 / sum(1 / x for x in exact)
    yield row("SpringChain.equivalent_stiffness", name, "rational", chain.equivalent_stiffness, whole)
    force = Fraction(3.7)
    yield row("SpringChain.extensions", name, "rational", chain.extensions(3.7), [force / x for x in exact])
    yield row("SpringChain.force", name, "rational", chain.force(3.7), force * whole)
    yield row("SpringChain.energy", name, "rational", chain.energy(3.7), force**2 / whole / 2)
    loaded = chain.under_load(3.7, natural_lengths=0.1)
    positions = list(itertools.accumulate(force / x + Fraction(0.1) for x in exact))
    yield row("SpringChain.under_load", name, "rational", loaded.positions[1:], positions)

    pull = rng.standard_normal(7)
    held = chain.between_walls(2.5, natural_lengths=0.1, pull=pull)
    apart = Fraction(2.5) - 8 * Fraction(0.1)
    shares = [whole / x for x in exact]
    before = list(itertools.accumulate(shares))[:-1]
    terms = [
        [whole * apart]
        + [
            f * (1 - b) if i <= p else -f * b
            for p, (f, b) in enumerate(zip(fractions(pull), before, strict=True))
        ]
        for i in range(8)
    ]
    tensions = [sum(t) for t in terms]
    sizes = [sum(map(abs, t)) for t in terms]
    yield row(
        "SpringChain.between_walls.tensions", f"{name}, pulled", "rational", held.tensions, tensions, sizes
    )
    extensions = [t / x for t, x in zip(tensions, exact, strict=True)]
    scale = [t / x for t, x in zip(sizes, exact, strict=True)]
    yield row(
        "SpringChain.between_walls.extensions",
        f"{name}, pulled",
        "rational",
        held.extensions,
        extensions,
        scale,
    )
    positions = list(itertools.accumulate(Fraction(0.1) + x for x in extensions))
    reach = list(itertools.accumulate(Fraction(0.1) + x for x in scale))
    yield row(
        "SpringChain.between_walls.positions",
        f"{name}, pulled",
        "rational",
        held.positions[1:],
        positions,
        reach,
    )
    energy = sum(t * x for t, x in zip(tensions, extensions, strict=True)) / 2
    scale = sum(s * abs(x) for s, x in zip(sizes, extensions, strict=True))
    yield row("SpringChain.between_walls.energy", f"{name}, pulled", "rational", held.energy, energy, scale)

    masses = 10.0 ** rng.uniform(-3, 3, 8)
    m = [number(x) for x in masses]
    with mpmath.workdps(100):
        for wall in (False, True):
            n = 8 - wall
            stiffness = mpmath.zeros(n)
            for i, x in enumerate(map(number, exact)):
                if i < n:
                    stiffness[i, i] += x / m[i]
                if i:
                    stiffness[i - 1, i - 1] += x / m[i - 1]
                if 0 < i < n:
                    stiffness[i, i - 1] = stiffness[i - 1, i] = -x / mpmath.sqrt(m[i] * m[i - 1])
            squares, _ = mpmath.eigsy(stiffness)
            omega = [mpmath.sqrt(x) for x in squares]
            found = chain.frequencies(masses[:n], held=wall)
            where = "between walls" if wall else "free"
            yield row(
                "SpringChain.frequencies",
                f"{name}, {where}",
                "100 digits",
                found,
                sorted(omega, reverse=True),
            )
    soft = tt.SpringChain([1e-3, 1.0, 1e3])
    times = np.array([1e-6, 0.1, 3.0, 40.0])
    motion = soft.simulate(times, masses=[1.0, 2.0, 0.5], load=0.3, mass_damping=0.01, stiffness_damping=1e-4)
    moved, speeds = motion_of([1e-3, 1.0, 1e3], [1.0, 2.0, 0.5], [0, 0, 0.3], 0.01, 1e-4, times)
    name = "3 springs over six decades, damped, t from 1e-6 to 40"
    for what, values, truth in (
        ("displacements", motion.displacements, moved),
        ("velocities", motion.velocities, speeds),
    ):
        label = f"SpringChain.simulate.{what}, over the largest"
        yield row(label, name, "60 digits", values, truth, floor=1)
    exact_rest = [Fraction(0.3) * sum(1 / Fraction(x) for x in [1e-3, 1.0, 1e3][: i + 1]) for i in range(3)]
    yield row("SpringChain.simulate.rest", name, "rational", motion.rest, exact_rest)


def motion_of(
    stiffness: Sequence[float], masses: Sequence[float], load: Sequence[float], a: float, b: float, times: Any
) -> tuple[list[Any], list[Any]]:
    """Displacements and velocities from rest, mode by mode with complex exponents."""
    n = len(stiffness)
    k, m = [number(x) for x in stiffness], [number(x) for x in masses]
    matrix = mpmath.zeros(n)
    for i in range(n):
        matrix[i, i] = (k[i] + (k[i + 1] if i + 1 < n else 0)) / m[i]
        if i:
            matrix[i, i - 1] = matrix[i - 1, i] = -k[i] / mpmath.sqrt(m[i] * m[i - 1])
    squares, shapes = mpmath.eigsy(matrix)
    moved, speeds = [], []
    for t in map(number, times):
        u, v = [mpmath.mpf(0)] * n, [mpmath.mpf(0)] * n
        for j in range(n):
            force = mpmath.fsum(shapes[i, j] * number(load[i]) / mpmath.sqrt(m[i]) for i in range(n))
            decay = (number(a) + number(b) * squares[j]) / 2
            root = mpmath.sqrt(mpmath.mpc(decay**2 - squares[j]))
            one, two = -decay + root, -decay - root
            left = (one * mpmath.exp(two * t) - two * mpmath.exp(one * t)) / (one - two)
            rate = one * two * (mpmath.exp(two * t) - mpmath.exp(one * t)) / (one - two)
            z, w = force / squares[j] * (1 - left.real), -force / squares[j] * rate.real
            for i in range(n):
                u[i] += shapes[i, j] * z / mpmath.sqrt(m[i])
                v[i] += shapes[i, j] * w / mpmath.sqrt(m[i])
        moved.append(u)
        speeds.append(v)
    return moved, speeds


def flow_rows() -> Iterator[Row]:
    rng = np.random.default_rng(10)
    counts = rng.integers(1, 10**6, (3, 50))
    sizes = [10**12, 1, 1]
    springs, exact = tt.FisherSprings(tt.Mixture(counts, sizes)), Exact(counts, sizes)
    start = rng.dirichlet(np.ones(50))
    times = np.array([0.0, 1e-15, 1e-6, 0.5, 30.0, 600.0])
    name = "tau from 1e-15 to 600, k = 1e12"
    paths = [
        [
            number(x) * mpmath.exp(-number(t)) - number(q) * mpmath.expm1(-number(t))
            for x, q in zip(start, exact.q, strict=True)
        ]
        for t in times
    ]
    yield row("FisherSprings.flow", name, "60 digits", springs.flow(start, times), paths)
    node = [number(x) for x in start]
    energy = mpmath.fsum(
        number(n) * divergence(p, fractions(start)) for n, p in zip(exact.n, exact.p, strict=True)
    )
    del node
    yield row(
        "FisherSprings.energy, at a node", "k = 1e12", "60 digits", springs.energy(start, math.e), energy
    )
    total = number(exact.total)
    # e^tau: a rounding of tau is one of tau times the value.
    size = [total * mpmath.expm1(number(t)) for t in times]
    scale = [x * max(1, t) for x, t in zip(size, times.tolist(), strict=True)]
    yield row("FisherSprings.equivalent_size", name, "60 digits", springs.equivalent_size(times), size, scale)
    amounts = np.array([1e-12, 1.0, 1e6, 1e12, 1e30])
    tau = [mpmath.log1p(number(x) / total) for x in amounts]
    yield row(
        "FisherSprings.equivalent_time",
        "k = 1e12, sizes from 1e-12 to 1e30",
        "60 digits",
        springs.equivalent_time(amounts),
        tau,
    )


# Alignment


class Line:
    """The aligned model and what more data of another kind make of it, in exact numbers."""

    def __init__(self, rows: Any, sizes: Any, step: Fraction | None = None):
        exact = Exact(rows, sizes)
        self.p, self.a, self.b = exact.p
        self.n, self.step = exact.n, step

    def share(self, examples: Any, before: Any) -> Any:
        if self.step is None:
            return number(examples) / (number(before) + number(examples))
        return -mpmath.expm1(number(examples) * mpmath.log1p(-number(self.step)))

    @staticmethod
    def mix(p: Sequence[Any], a: Sequence[Any], s: Any) -> list[Any]:
        return [number(x) + s * (number(y) - number(x)) for x, y in zip(p, a, strict=True)]


def alignment_rows() -> Iterator[Row]:
    rng = np.random.default_rng(11)
    wide = (1000 * (1 + rng.pareto(1.5, (3, 40)))).astype(np.int64)
    # Inverse data take from the leaves that D_a has most of.
    shares = wide / wide.sum(axis=1, keepdims=True)
    inverse = np.maximum(2 * shares[0] - shares[1], shares[0] / 10) * rng.uniform(0.9, 1.1, 40)
    undoing = np.concatenate([wide[:2], [(1e9 * inverse).astype(np.int64)]])
    for size in (10**6, 10**12):
        sizes = [size, 10**3, 10**3]
        yield from budget_rows(f"k = {size // 1000:g}", undoing, sizes)
        yield from resistance_rows(f"k = {size // 1000:g}", wide, sizes)
        yield from rebound_rows(f"k = {size // 1000:g}", wide, sizes)


def budget_rows(name: str, rows: Any, sizes: Sequence[int]) -> Iterator[Row]:
    mixture, line = tt.Mixture(rows, sizes), Line(rows, sizes)
    n_p, n_a, _ = (number(n) for n in line.n)
    c = n_a / (n_p + n_a)
    p, a, b = ([number(x) for x in r] for r in (line.p, line.a, line.b))

    def shift(t: Any) -> list[Any]:
        return [c * ((y - x) + t * (z - x)) / (1 + c * t) for x, y, z in zip(p, a, b, strict=True)]

    def far(t: Any) -> Any:
        return mpmath.fsum(map(abs, shift(t))) / 2

    def loss(t: Any) -> Any:
        return mpmath.fsum(-x * mpmath.log1p(s / x) + s for x, s in zip(p, shift(t), strict=True))

    def gain(t: Any) -> Any:
        return mpmath.fsum(y * mpmath.log1p(s / x) for x, y, s in zip(p, a, shift(t), strict=True))

    for distance, function in (("total variation", far), ("kl", loss), ("rate", gain)):
        start = function(mpmath.mpf(0))
        # Within reach: a fifth of the way to the least for the first two, a tenth of the gain for the last.
        budget = tt.inverse_alignment_budget(mixture, 0.0, distance=distance, base=math.e)
        aim = float(budget.limit + (budget.before - budget.limit) * 0.2)
        budget = tt.inverse_alignment_budget(mixture, aim, distance=distance, base=math.e)
        guess = budget.size / float(n_a)
        root = mpmath.findroot(
            lambda t, f=function, aim=aim: mpmath.log(f(t)) - mpmath.log(mpmath.mpf(aim)),
            (mpmath.mpf(guess), mpmath.mpf(guess) * (1 + mpmath.mpf(10) ** -9)),
            tol=mpmath.mpf(10) ** -80,
        )
        # A root moves by the relative error of the function over its slope in log t.
        slope = abs(mpmath.diff(lambda x, f=function: mpmath.log(f(mpmath.exp(x))), mpmath.log(root)))
        label = f"inverse_alignment_budget, {distance}"
        yield row(f"{label}: before", name, "60 digits", budget.before, start)
        yield row(f"{label}: size", name, "60 digits", budget.size, root * n_a, root * n_a * (1 + 1 / slope))

    budget = tt.least_alignment_budget(mixture, 0.0)
    top = max(y / x for x, y in zip(line.p, line.a, strict=True)) - 1
    yield row(
        "least_alignment_budget, total variation: size",
        f"{name}, epsilon = 0",
        "rational",
        budget.size,
        top * line.n[1],
    )
    aim = budget.before / 100
    budget = tt.least_alignment_budget(mixture, aim)

    def left(t: Any) -> Any:
        stick = mpmath.fsum(max(y - (1 + t) * x, 0) for x, y in zip(p, a, strict=True))
        return c * stick / (1 + c * t) - aim

    root = mpmath.findroot(
        left, (mpmath.mpf(0), number(top)), solver="anderson", tol=mpmath.mpf(10) ** -90, maxsteps=500
    )
    slope = abs(mpmath.diff(left, root, direction=1)) * root / aim
    yield row(
        "least_alignment_budget, total variation: size", f"{name}, epsilon = before / 100", "60 digits",
        budget.size, root * n_a, root * n_a * (1 + 1 / slope),
    )  # fmt: skip


def resistance_rows(name: str, rows: Any, sizes: Sequence[int]) -> Iterator[Row]:
    mixture = tt.Mixture(rows, sizes)
    found = tt.simulate_resistance(mixture, step=1e-3, points=3, base=math.e)
    n_p, n_a = (number(n) for n in sizes[:2])
    entropies, losses, excesses, gaps, gap_scale, means = [], [], [], [], [], []
    mean_scale = []
    for step in (None, Fraction(1e-3)):
        line = Line(rows, sizes, step)
        chunk = n_a / 3
        models = [line.mix(line.p, line.a, line.share(chunk * k, n_p)) for k in (1, 2, 3)]
        entropy = [-mpmath.fsum(x * mpmath.log(x) for x in q) for q in models]
        entropies.append(entropy)
        for k, l in itertools.combinations(range(3), 2):
            gaps.append(entropy[l] - entropy[k])
            gap_scale.append(
                mpmath.fsum(abs((x - y) * mpmath.log(y)) for x, y in zip(models[l], models[k], strict=True))
            )
            both = []
            for start, end in ((k, l), (l, k)):
                path = []
                for i in range(3):
                    share = line.share(chunk * i / 2, n_p + chunk * (start + 1))
                    q = line.mix(models[start], models[end], share)
                    path.append(
                        mpmath.fsum(
                            x * mpmath.log1p((x - y) / y) - x + y for x, y in zip(models[end], q, strict=True)
                        )
                    )
                both.append(mpmath.fsum(path) / 3)
                excesses.append(path)
                losses.append([entropy[end] + x for x in path])
            means.append(both[0] - both[1])
            mean_scale.append(both[0] + both[1])
    for what, values, truth, scale in (
        ("entropy", found.entropy, entropies, None),
        ("training_loss", found.training_loss, losses, None),
        ("excess_loss", found.excess_loss, excesses, None),
        ("entropy_gap", found.entropy_gap, gaps, gap_scale),
        ("excess_gap", found.excess_gap, means, mean_scale),
    ):
        yield row(f"simulate_resistance.{what}", name, "60 digits", values, truth, scale)


def rebound_of(rows: Any, sizes: Any, positive: Any, negative: Any, step: float) -> tuple[list[Any], ...]:
    """Score, drop, need and the scale of the drop by the definitions, for both regimes."""
    scores, drops, needs, scales = [], [], [], []
    for rate in (None, Fraction(step)):
        line = Line(rows, sizes, rate)
        both = [
            (x, a / (a + t) if a + t else 0, a + t > 0)
            for x, a, t in zip(line.p, line.a, line.b, strict=True)
        ]

        def parts(q: Sequence[Any], both: Any = both) -> tuple[Any, Any]:
            ours = mpmath.fsum(number(x) * number(s) for x, (_, s, on) in zip(q, both, strict=True) if on)
            return ours, mpmath.fsum(number(x) for x, (_, _, on) in zip(q, both, strict=True) if on)

        ours, all_ = parts(line.p)
        level = ours / all_
        n_p = number(line.n[0])
        for first in positive:
            aligned = line.mix(line.p, line.a, line.share(first, n_p))
            path = []
            for second in negative:
                ours, all_ = parts(line.mix(aligned, line.b, line.share(second, n_p + first)))
                path.append(ours / all_)
            scores.append(path)
            drops.append([path[0] - x for x in path])
            (ours, all_), (low, some) = parts(aligned), parts(line.b)
            # A share of 1 where D_a and D_t differ, and near 1/2 where they do not.
            scales.append([x / (ours / all_ - low / some) for x in drops[-1]])
            odds = (ours - level * all_) / (level * some - low)
            needs.append(
                (n_p + first) * odds if rate is None else mpmath.log1p(odds) / -mpmath.log1p(-number(rate))
            )
    return scores, drops, needs, scales


def rebound_rows(name: str, rows: Any, sizes: Sequence[int]) -> Iterator[Row]:
    mixture = tt.Mixture(rows, sizes)
    positive, negative = [1000, 10000], [0, 100, 2000]
    found = tt.simulate_rebound(mixture, positive=positive, negative=negative)
    scores, drops, needs, scales = rebound_of(rows, sizes, positive, negative, 1e-3)
    for what, values, truth, scale in (
        ("score", found.score, scores, None),
        ("drop", found.drop, drops, scales),
        ("needed", found.needed, needs, None),
    ):
        yield row(f"simulate_rebound.{what}", name, "60 digits", values, truth, scale)
    grid = [float(sizes[0]) * x for x in (1, 1.25, 1.5)]
    factor = tt.rebound_by_pretraining(mixture, positive=positive, negative=negative)
    each = [rebound_of(rows, [g, *sizes[1:]], positive, negative, 1e-3)[1] for g in grid]
    drops = [each[v][2 * r + i] for r in range(2) for v in range(3) for i in range(2)]
    yield row("rebound_by_pretraining.drop", name, "60 digits", factor.drop, drops)
    for regime, r in zip(REGIMES, range(2), strict=True):
        heights = [mpmath.log(drops[6 * r + 2 * v][1]) for v in range(3)]
        x = [mpmath.log(number(g)) for g in grid]
        centre = mpmath.fsum(x) / 3
        spread = mpmath.fsum((t - centre) ** 2 for t in x)
        slope = mpmath.fsum((t - centre) * y for t, y in zip(x, heights, strict=True)) / spread
        sizes_ = mpmath.fsum(abs(t - centre) * abs(y) for t, y in zip(x, heights, strict=True)) / spread
        if regime == "counts":
            yield row(
                "rebound_by_pretraining.fit.exponent",
                name,
                "60 digits",
                factor.fit(regime).exponent,
                slope,
                sizes_,
            )
    trees = [
        tt.TokenTree.from_leaves({format(i, "06b"): int(c) for i, c in enumerate(r)}, depth=6) for r in rows
    ]
    deep = tt.rebound_by_depth(trees, positive=positive, negative=negative)
    totals = [tree.total_weight for tree in trees]
    each = [
        rebound_of(tt.leaf_distributions(trees, d, weights=True), totals, positive, negative, 1e-3)
        for d in range(1, 7)
    ]
    drops, scales = ([x[n][2 * r + i] for r in range(2) for x in each for i in range(2)] for n in (1, 3))
    if sizes[0] == 10**6:
        yield row("rebound_by_depth.drop", "trees of depth 6", "60 digits", deep.drop, drops, scales)


# The table

GROUPS: tuple[Callable[[], Iterator[Row]], ...] = (
    information_rows,
    code_rows,
    lambda: itertools.chain.from_iterable(map(mixture_rows, mixtures())),
    theorem_rows,
    pareto_rows,
    tail_rows,
    spring_rows,
    flow_rows,
    alignment_rows,
)
LARGE: tuple[Callable[[], Iterator[Row]], ...] = (large_information_rows, lambda: mixture_rows(many()))


def rows(large: bool = True, progress: bool = False) -> list[Row]:
    """All rows of the table, in the order of functions."""
    found: list[Row] = []
    with mpmath.workdps(DIGITS):
        for group in (*GROUPS, *(LARGE if large else ())):
            start = time.perf_counter()
            found += group()
            if progress:
                print(f"  {len(found)} rows, {time.perf_counter() - start:.1f} s", flush=True)
    places = {name: i for i, name in enumerate(dict.fromkeys(r.function for r in found))}
    return sorted(found, key=lambda r: places[r.function])


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


HEADINGS = [
    "function", "hard input", "reference", "relative error", "in eps", "condition", "in eps, over condition"
]  # fmt: skip


def markdown(found: list[Row]) -> str:
    """Of every function the hard input with the largest error, and how many there were."""
    lines = [[HEADINGS[0], "inputs", *HEADINGS[1:]], ["---", "---:", "---", "---", *["---:"] * 4]]
    for _, group in itertools.groupby(found, key=lambda r: r.function):
        inputs = list(group)
        name, *rest = cells(max(inputs, key=lambda r: r.error))
        lines.append([name, str(len(inputs)), *rest])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--small", action="store_true", help="leave out 10^7 leaves")
    parser.add_argument("--markdown", action="store_true", help="rewrite the table in docs/accuracy.md")
    asked = parser.parse_args()
    found = rows(not asked.small, progress=True)
    table = [HEADINGS, *([cell.strip("`") for cell in cells(r)] for r in found)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for line in table:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
    if asked.markdown:
        text = PAGE.read_text("utf-8")
        start, end = "<!-- table -->\n", "<!-- end of table -->"
        between = re.compile(f"(?<={start}).*(?={end})", re.DOTALL)
        PAGE.write_text(between.sub(lambda _: markdown(found) + "\n", text), "utf-8")


if __name__ == "__main__":
    main()
