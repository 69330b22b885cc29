"""Chains of springs, and joint compression as springs."""

import itertools
import math
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any

import mpmath
import numpy as np

import tokentree as tt

from .table import Exact, Row, divergence, fractions, number, row

NAME = "8 springs over eighteen decades"


def spring_rows() -> Iterator[Row]:
    rng = np.random.default_rng(9)
    k = 10.0 ** rng.uniform(-9, 9, 8)
    exact, chain = fractions(k), tt.SpringChain(k)
    yield from load_rows(chain, exact)
    yield from wall_rows(chain, exact, pull=rng.standard_normal(7))
    yield from frequency_rows(chain, exact, masses=10.0 ** rng.uniform(-3, 3, 8))
    yield from motion_rows()


def load_rows(chain: tt.SpringChain, exact: list[Fraction]) -> Iterator[Row]:
    whole = 1 / sum(1 / x for x in exact)
    yield row("SpringChain.equivalent_stiffness", NAME, "rational", chain.equivalent_stiffness, whole)
    force = Fraction(3.7)
    yield row("SpringChain.extensions", NAME, "rational", chain.extensions(3.7), [force / x for x in exact])
    yield row("SpringChain.force", NAME, "rational", chain.force(3.7), force * whole)
    yield row("SpringChain.energy", NAME, "rational", chain.energy(3.7), force**2 / whole / 2)
    loaded = chain.under_load(3.7, natural_lengths=0.1)
    positions = list(itertools.accumulate(force / x + Fraction(0.1) for x in exact))
    yield row("SpringChain.under_load", NAME, "rational", loaded.positions[1:], positions)


def wall_rows(chain: tt.SpringChain, exact: list[Fraction], pull: Any) -> Iterator[Row]:
    name, whole = f"{NAME}, pulled", 1 / sum(1 / x for x in exact)
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
    yield row("SpringChain.between_walls.tensions", name, "rational", held.tensions, tensions, sizes)
    extensions = [t / x for t, x in zip(tensions, exact, strict=True)]
    scale = [t / x for t, x in zip(sizes, exact, strict=True)]
    yield row(
        "SpringChain.between_walls.extensions",
        name,
        "rational",
        held.extensions,
        extensions,
        scale,
    )
    positions = list(itertools.accumulate(Fraction(0.1) + x for x in extensions))
    reach = list(itertools.accumulate(Fraction(0.1) + x for x in scale))
    yield row(
        "SpringChain.between_walls.positions",
        name,
        "rational",
        held.positions[1:],
        positions,
        reach,
    )
    energy = sum(t * x for t, x in zip(tensions, extensions, strict=True)) / 2
    scale = sum(s * abs(x) for s, x in zip(sizes, extensions, strict=True))
    yield row("SpringChain.between_walls.energy", name, "rational", held.energy, energy, scale)


def frequency_rows(chain: tt.SpringChain, exact: list[Fraction], masses: Any) -> Iterator[Row]:
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
                f"{NAME}, {where}",
                "100 digits",
                found,
                sorted(omega, reverse=True),
            )


def motion_rows() -> Iterator[Row]:
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
    energy = mpmath.fsum(
        number(n) * divergence(p, fractions(start)) for n, p in zip(exact.n, exact.p, strict=True)
    )
    yield row(
        "FisherSprings.energy, at a node", "k = 1e12", "60 digits", springs.energy(start, base=math.e), energy
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
