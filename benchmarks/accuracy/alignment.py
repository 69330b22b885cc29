"""Alignment: budgets, resistance and rebound."""

import itertools
import math
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any

import mpmath
import numpy as np

import tokentree as tt
from tokentree.alignment import REGIMES

from .table import Exact, Row, number, row


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


POSITIVE, NEGATIVE, STEP = [1000, 10000], [0, 100, 2000], 1e-3


def rebound_of(rows: Any, sizes: Any) -> tuple[list[Any], ...]:
    """Score, drop, need and the scale of the drop by the definitions, for both regimes."""
    scores, drops, needs, scales = [], [], [], []
    for rate in (None, Fraction(STEP)):
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
        for first in POSITIVE:
            aligned = line.mix(line.p, line.a, line.share(first, n_p))
            path = []
            for second in NEGATIVE:
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
    found = tt.simulate_rebound(mixture, positive=POSITIVE, negative=NEGATIVE)
    scores, drops, needs, scales = rebound_of(rows, sizes)
    for what, values, truth, scale in (
        ("score", found.score, scores, None),
        ("drop", found.drop, drops, scales),
        ("needed", found.needed, needs, None),
    ):
        yield row(f"simulate_rebound.{what}", name, "60 digits", values, truth, scale)
    yield from pretraining_rows(name, rows, sizes)
    if sizes[0] == 10**6:
        yield from depth_rows(rows)


def pretraining_rows(name: str, rows: Any, sizes: Sequence[int]) -> Iterator[Row]:
    grid = [float(sizes[0]) * x for x in (1, 1.25, 1.5)]
    factor = tt.rebound_by_pretraining(tt.Mixture(rows, sizes), positive=POSITIVE, negative=NEGATIVE)
    each = [rebound_of(rows, [g, *sizes[1:]])[1] for g in grid]
    drops = [each[v][2 * r + i] for r in range(2) for v in range(3) for i in range(2)]
    yield row("rebound_by_pretraining.drop", name, "60 digits", factor.drop, drops)
    first = 6 * REGIMES.index("counts")
    heights = [mpmath.log(drops[first + 2 * v][1]) for v in range(3)]
    x = [mpmath.log(number(g)) for g in grid]
    centre = mpmath.fsum(x) / 3
    spread = mpmath.fsum((t - centre) ** 2 for t in x)
    slope = mpmath.fsum((t - centre) * y for t, y in zip(x, heights, strict=True)) / spread
    scale = mpmath.fsum(abs(t - centre) * abs(y) for t, y in zip(x, heights, strict=True)) / spread
    found = factor.fit("counts").exponent
    yield row("rebound_by_pretraining.fit.exponent", name, "60 digits", found, slope, scale)


def depth_rows(rows: Any) -> Iterator[Row]:
    trees = [
        tt.TokenTree.from_leaves({format(i, "06b"): int(c) for i, c in enumerate(r)}, depth=6) for r in rows
    ]
    deep = tt.rebound_by_depth(trees, positive=POSITIVE, negative=NEGATIVE)
    totals = [tree.total_weight for tree in trees]
    each = [rebound_of(tt.leaf_distributions(trees, d, weights=True), totals) for d in range(1, 7)]
    drops, scales = ([x[n][2 * r + i] for r in range(2) for x in each for i in range(2)] for n in (1, 3))
    yield row("rebound_by_depth.drop", "trees of depth 6", "60 digits", deep.drop, drops, scales)
