"""Entropy, cross-entropy and divergence."""

import math
from collections.abc import Iterator

import mpmath
import numpy as np

import tokentree as tt

from .table import DISTINCT, LEAVES, Row, divergence, fractions, log, number, row


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
        yield row("entropy", name, "60 digits", tt.entropy(p, base=math.e), exact)
    half = np.array([0.5, 0.5, 0.0])
    for name, p, q in (
        ("q down to 1e-300", half, np.array([1e-300, 1.0, 0.0])),
        ("q of 1 - 2^-52 on all of p", np.array([0.0, 1.0]), sure),
        ("p = q, 10^4 Pareto masses", pareto, pareto),
    ):
        on = [(a, b) for a, b in zip(fractions(p), fractions(q), strict=True) if a]
        exact = -mpmath.fsum(number(a) * log(b) for a, b in on)
        yield row("cross_entropy", name, "60 digits", tt.cross_entropy(p, q, base=math.e), exact)
    for size in (1e-2, 1e-6, 1e-12, 1e-15):
        moved = pareto * (1 + size * rng.standard_normal(pareto.size))
        moved /= moved.sum()
        exact = divergence(fractions(pareto), fractions(moved))
        yield row(
            "kl_divergence",
            f"q = p (1 + {size:g} z)",
            "60 digits",
            tt.kl_divergence(pareto, moved, base=math.e),
            exact,
        )
    edge = np.array([0.3, 0.7])
    for name, p, q in (
        ("masses down to 1e-300", faint, faint[[1, 0, 3, 2, 4]]),
        ("p / q = 5/3, the end of the series", edge * [5 / 3, 5 / 7], edge),
    ):
        exact = divergence(fractions(p), fractions(q))
        yield row("kl_divergence", name, "60 digits", tt.kl_divergence(p, q, base=math.e), exact)


def large_information_rows() -> Iterator[Row]:
    rng = np.random.default_rng(4)
    times = LEAVES // DISTINCT
    draws = 1 + rng.pareto(1.2, DISTINCT)
    some = draws / draws.sum() / times
    order = rng.permutation(np.repeat(np.arange(DISTINCT, dtype=np.int16), times))
    p, each = some[order], [times] * DISTINCT
    a = fractions(some)
    exact = -times * mpmath.fsum(number(x) * log(x) for x in a)
    yield row("entropy", "10^7 leaves", "60 digits", tt.entropy(p, base=math.e), exact)
    for name, moved in (
        ("10^7 leaves", rng.permutation(some)),
        ("10^7 leaves, q = p (1 + 1e-6 z)", some * (1 + 1e-6 * rng.standard_normal(DISTINCT))),
        ("10^7 leaves, q = p (1 + 1e-12 z)", some * (1 + 1e-12 * rng.standard_normal(DISTINCT))),
    ):
        moved /= moved.sum() * times
        b, q = fractions(moved), moved[order]
        cross = -times * mpmath.fsum(number(x) * log(y) for x, y in zip(a, b, strict=True))
        if moved is not some and "z" not in name:
            yield row("cross_entropy", name, "60 digits", tt.cross_entropy(p, q, base=math.e), cross)
        yield row(
            "kl_divergence", name, "60 digits", tt.kl_divergence(p, q, base=math.e), divergence(a, b, each)
        )
    code = tt.HuffmanCode.from_weights(p)
    # Equal masses may get two lengths: count the symbols of each.
    sums = np.bincount(order, code.lengths, DISTINCT).astype(np.int64)
    exact = sum(x * int(total) for x, total in zip(a, sums, strict=True))
    yield row("HuffmanCode.expected_length", "10^7 leaves", "rational", code.expected_length(p), exact)
