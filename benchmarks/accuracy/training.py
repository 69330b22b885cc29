"""Training runs, and the token tree as their mixing law."""

import itertools
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import mpmath
import numpy as np

import tokentree as tt

from .table import Row, fractions, log, number, row

NAMES = ("web", "books", "code")


def training_rows() -> Iterator[Row]:
    yield from run_rows()
    yield from law_rows()


def near_runs(moves: float) -> tt.TrainingRuns:
    """Runs whose rates differ in their last digits, on sizes far apart; the first five have two datasets."""
    rng = np.random.default_rng(11)
    sizes = rng.integers(1, 100, (12, 3)).astype(float)
    sizes[:, 0] *= 1e12
    sizes[:5, 2] = 0
    return tt.TrainingRuns(sizes, 2 + moves * rng.standard_normal((12, 3)), NAMES)


def run_rows() -> Iterator[Row]:
    for moves in (1e-12, 1e-6):
        runs, name = near_runs(moves), f"rates that differ by {moves:g}, k = 1e12"
        n, g = [fractions(r) for r in runs.sizes], [fractions(r) for r in runs.rates]
        everyone = range(runs.n_runs)

        def moved(sizes: list[Fraction], a: int, b: int, g: Any = g) -> Fraction:
            return sum((x * (v - u) for x, u, v in zip(sizes, g[a], g[b], strict=True)), Fraction(0))

        def size(sizes: list[Fraction], a: int, b: int, g: Any = g) -> Fraction:
            return sum((abs(x) * (u + v) for x, u, v in zip(sizes, g[a], g[b], strict=True)), Fraction(0))

        regret = [[moved(n[a], a, b) for b in everyone] for a in everyone]
        scale = [[size(n[a], a, b) if a != b else Fraction(0) for b in everyone] for a in everyone]
        yield row("TrainingRuns.regret", name, "rational", runs.regret(), regret, scale)
        best = [min(everyone, key=lambda b, each=each: each[b]) for each in regret]
        gaps = [-regret[a][b] for a, b in enumerate(best)]
        scale = [scale[a][b] for a, b in enumerate(best)]
        yield row("TrainingRuns.gaps", name, "rational", runs.gaps(), gaps, scale)
        pairs = [(a, b) for b in everyone for a in range(b)]
        step = {(a, b): [y - x for x, y in zip(n[a], n[b], strict=True)] for a, b in pairs}
        worst = max(pairs, key=lambda pair: moved(step[pair], *pair))
        found = runs.monotone().worst
        yield row("TrainingRuns.monotone", name, "rational", found, [moved(step[worst], *worst)])
        share = {a: n[a][0] / (n[a][0] + n[a][1]) for a in range(5)}
        path = sorted(share, key=share.__getitem__)
        won = paid = Fraction(0)
        for a, b in itertools.pairwise(path):
            mean = (share[a] + share[b]) / 2
            paid += mean * (g[b][0] - g[a][0])
            won += (1 - mean) * (g[b][1] - g[a][1])
        yield row("TrainingRuns.balance", name, "rational", runs.balance(0, 1), [-won / paid])


def law_rows() -> Iterator[Row]:
    """Of fitted laws, whose numbers are taken as they are."""
    rng = np.random.default_rng(12)
    leaves, shares = rng.dirichlet(np.full(6, 0.3), 3), rng.dirichlet(np.ones(3), 16)
    rates = 2 - np.log(shares @ leaves) @ leaves.T + 0.01 * rng.standard_normal((16, 3))
    for scales in ("own", "stiffness"):
        law = tt.MixingLaw.fit(tt.TrainingRuns(shares, rates, NAMES), 4, scales, smoothing=1e-3, starts=1)
        for k in (1, 10**12):
            yield from one_law_rows(law, k, f"scales {scales!r}, k = {k:g}")


def one_law_rows(law: tt.MixingLaw, k: int, name: str) -> Iterator[Row]:
    p, offset, scale = ([fractions(x) for x in law.leaves], fractions(law.offset), fractions(law.scale))
    stiffness = law.fitted.stiffness
    stiff = [Fraction(1)] * 3 if stiffness is None else fractions(stiffness)
    n = [x * size for x, size in zip(stiff, (k, 1, 1), strict=True)]
    total = sum(n)
    q = [sum(x * y for x, y in zip(n, column, strict=True)) / total for column in zip(*p, strict=True)]
    rates, sizes, response, terms = [], [], [], []
    for own, c, s in zip(p, offset, scale, strict=True):
        crossed = number(s) * mpmath.fsum(-number(x) * log(y) for x, y in zip(own, q, strict=True))
        rates.append(number(c) + crossed)
        sizes.append(abs(number(c)) + crossed)
        for t, grown in enumerate(p):
            moved = [(x - y) * (z - y) / y for x, z, y in zip(own, grown, q, strict=True)]
            response.append(-s * stiff[t] / total * sum(moved))
            terms.append(s * stiff[t] / total * sum(map(abs, moved)))
    yield row("MixingLaw.predict", name, "60 digits", law.predict([k, 1, 1]), rates, sizes)
    yield row("MixingLaw.response", name, "rational", law.response([k, 1, 1]), response, terms)
    best = law.best_sizes({"web": 1, "code": 2}, total=1)
    n = [x * y for x, y in zip(stiff, fractions(best.sizes), strict=True)]
    q = [sum(x * y for x, y in zip(n, column, strict=True)) / sum(n) for column in zip(*p, strict=True)]
    value = [
        weight
        * (number(c) + number(s) * mpmath.fsum(-number(x) * log(y) for x, y in zip(own, q, strict=True)))
        for weight, own, c, s in zip((1, 0, 2), p, offset, scale, strict=True)
    ]
    yield row(
        "BestSizes.value", name, "60 digits at .sizes", best.value, [sum(value)], [sum(map(abs, value))]
    )
