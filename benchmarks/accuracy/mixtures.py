"""Joint compression, and what rests on a mixture alone."""

import math
from collections.abc import Iterator
from fractions import Fraction
from typing import Any, NamedTuple

import mpmath
import numpy as np

import tokentree as tt

from .table import DISTINCT, LEAVES, Exact, Row, divergence, log, number, row


class Case(NamedTuple):
    name: str
    mixture: tt.Mixture
    exact: Exact


def hard() -> Iterator[Case]:
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


def mixture_rows() -> Iterator[Row]:
    for case in hard():
        yield from case_rows(case)
        yield from force_rows(*case)
        yield from invariant_rows(*case)
        yield from huffman_rate_rows(*case)


def large_mixture_rows() -> Iterator[Row]:
    yield from case_rows(many())


def case_rows(case: Case) -> Iterator[Row]:
    yield from joint_rows(*case)
    yield from elasticity_rows(*case)
    yield from spring_rows(*case)


def joint_rows(name: str, mixture: tt.Mixture, exact: Exact) -> Iterator[Row]:
    yield row("Mixture.weights", name, "rational", mixture.weights, exact.w)
    if mixture.n_leaves == LEAVES:
        found = [mixture.joint.min(), mixture.joint.max()]
        yield row("Mixture.joint", name, "rational", found, [min(exact.q), max(exact.q)])
    else:
        yield row("Mixture.joint", name, "rational", mixture.joint, exact.q)
    rates, kl, potential = exact.rates(), exact.kl(), exact.potential()
    yield row("Mixture.rates", name, "60 digits", mixture.rates(base=math.e), rates)
    logs = [mpmath.log(m) for m in exact.leaves]
    yield row(
        "Mixture.normalized_rates",
        name,
        "60 digits",
        mixture.normalized_rates(base=math.e),
        [a - b for a, b in zip(rates, logs, strict=True)],
        [a + b for a, b in zip(rates, logs, strict=True)],
    )
    yield row("Mixture.potential", name, "60 digits", mixture.potential(base=math.e), potential)
    yield row("Mixture.kl", name, "60 digits", mixture.kl(base=math.e), kl)
    response, scale = exact.response(), exact.response_scale()
    yield row("Mixture.response", name, "60 digits", mixture.response(base=math.e), response, scale)
    yield row("Mixture.overlap", name, "60 digits", mixture.overlap(), exact.gram(exact.p))


def elasticity_rows(name: str, mixture: tt.Mixture, exact: Exact) -> Iterator[Row]:
    response, scale = exact.response(), exact.response_scale()
    n_a = number(exact.n[1])
    decided = tt.elasticity(mixture, base=math.e)
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


def spring_rows(name: str, mixture: tt.Mixture, exact: Exact) -> Iterator[Row]:
    springs, response, scale = tt.FisherSprings(mixture), exact.response(), exact.response_scale()
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
        springs.energy(base=math.e),
        mpmath.fdot([number(n) for n in exact.n], exact.kl()),
    )
    yield row(
        "FisherSprings.kl(reverse)",
        name,
        "60 digits",
        springs.kl(base=math.e, reverse=True),
        exact.kl(reverse=True),
    )


def force_rows(name: str, mixture: tt.Mixture, exact: Exact) -> Iterator[Row]:
    forces = [[n * x for x in r] for n, r in zip(exact.n, exact.d, strict=True)]
    sizes = [[n * x for x in r] for n, r in zip(exact.n, exact.h, strict=True)]
    yield row("FisherSprings.forces", name, "rational", tt.FisherSprings(mixture).forces, forces, sizes)


def invariant_rows(name: str, mixture: tt.Mixture, exact: Exact) -> Iterator[Row]:
    """|D_i| x Delta KL when a little of D_3 is added."""
    amount = Fraction(1, 10**3)
    found = tt.FisherSprings(mixture).invariant(2, amount, base=math.e)
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
