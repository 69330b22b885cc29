"""Codes and trees."""

import heapq
from collections.abc import Iterator, Sequence
from fractions import Fraction

import mpmath
import numpy as np

import tokentree as tt

from .table import DIGITS, Row, fractions, row


def optimal_cost(weights: Sequence[Fraction]) -> Fraction:
    heap, cost = sorted(weights), Fraction(0)
    while len(heap) > 1:
        pair = heapq.heappop(heap) + heapq.heappop(heap)
        heapq.heappush(heap, pair)
        cost += pair
    return cost


def code_rows() -> Iterator[Row]:
    rng = np.random.default_rng(5)
    yield from huffman_rows(rng)
    yield from ideal_rows()
    yield from tree_rows(rng)


def huffman_rows(rng: np.random.Generator) -> Iterator[Row]:
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


def ideal_rows() -> Iterator[Row]:
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


def tree_rows(rng: np.random.Generator) -> Iterator[Row]:
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
    yield row("leaf_distributions", f"{name}, and counts to 1e18", "rational", aligned, exact)
