"""Pareto masses, their limits and their tails."""

import itertools
import math
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any

import mpmath
import numpy as np

import tokentree as tt

from .table import Exact, Row, fractions, log, number, row


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
    yield from mass_rows()
    yield from limit_rows()
    yield from asymptotic_rows()
    yield from convergence_rows()
    masses = tt.ParetoMass(1.2).sample(10**4, rng=1)
    found, name = float(sum(fractions(masses))), "10^4 leaves, alpha = 1.2"
    yield row("ParetoMass.sample, its sum", name, "rational", found, 1)


def mass_rows() -> Iterator[Row]:
    alphas = [1.0 + 2.0**-40, 1.0001, 1.2, 2.0, 2.5, 50.0, 1e6, 1e12]
    exact = []
    for a in alphas:
        x = 1 / (number(a) - 1)
        exact.append(mpmath.log1p(x) - x)
    found = [tt.ParetoMass(a).normalized_self_rate(base=math.e) for a in alphas]
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


def limit_rows() -> Iterator[Row]:
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


def asymptotic_rows() -> Iterator[Row]:
    for name, near in (
        ("alpha = 2 and next to it, k to 1e12", [2.0, 2 - 1e-15, 2 + 1e-12, 2 - 1e-8, 2 + 1e-4]),
        ("alpha from 1.05 to 50, k to 1e12", [1.05, 1.5, 1.9, 2.3, 2.4999, 2.5, 3.0, 50.0]),
    ):
        grid = list(itertools.product(near, (1e2, 1e12), (0.5, 1.0)))
        exact = [leading(*point) for point in grid]
        found = [tt.pareto.pareto_asymptotics(*point, base=math.e) for point in grid]
        found = [[x.dgamma_pretrain, x.dgamma_align, x.dgamma_perturb] for x in found]
        yield row("pareto_asymptotics", name, "60 digits", found, exact)


def convergence_rows() -> Iterator[Row]:
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
