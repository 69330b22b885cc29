"""Huffman lengths beside constriction's Huffman tree, on the same weights in the same run.

    python benchmarks/bench_huffman.py

Each figure is the median of several runs, ours and the peer's in turn, so that both meet the same machine.
"""

import statistics
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import constriction
import numpy as np
import numpy.typing as npt

from tokentree.huffman import huffman_lengths


class Case(NamedTuple):
    """Weights to code, how often to time each side, and how many times as fast as the peer we must be."""

    name: str
    weights: npt.NDArray[Any]
    repeats: int
    bar: float | None


class Row(NamedTuple):
    """Medians in seconds; `theirs` and `ratio` are None where the peer does not take such weights."""

    name: str
    ours: float
    theirs: float | None
    ratio: float | None
    bar: float | None


def cases(seed: int = 0) -> list[Case]:
    """Return the weights of the table: heavy-tailed, very deep, and beyond float64."""
    rng = np.random.default_rng(seed)
    fibonacci = [1, 1]
    while len(fibonacci) < 1400:
        fibonacci.append(fibonacci[-1] + fibonacci[-2])
    return [
        Case("10^4 Pareto(1.2)", 1 + rng.pareto(1.2, 10**4), 51, 1.0),
        Case("10^6 Pareto(1.2)", 1 + rng.pareto(1.2, 10**6), 5, 6.0),
        Case("10^6 from exp(0) to exp(-700)", np.exp(-np.linspace(0, 700, 10**6)), 5, 1.0),
        Case("1,400 Fibonacci, exact integers", np.array(fibonacci, dtype=object), 11, None),
    ]


def compare(case: Case) -> Row:
    """Time both sides in turn."""
    ours, theirs = [], []
    for _ in range(case.repeats):
        ours.append(seconds(huffman_lengths, case.weights))
        if case.weights.dtype != object:
            theirs.append(seconds(constriction.symbol.huffman.EncoderHuffmanTree, case.weights))
    mine, peer = statistics.median(ours), statistics.median(theirs) if theirs else None
    return Row(case.name, mine, peer, peer / mine if peer else None, case.bar)


def seconds(call: Callable[[npt.NDArray[Any]], object], weights: npt.NDArray[Any]) -> float:
    start = time.perf_counter()
    call(weights)
    return time.perf_counter() - start


def table(rows: list[Row]) -> str:
    """Return the rows as aligned text, milliseconds throughout."""
    lines = [f"{'weights':32}{'huffman_lengths':>16}{'constriction':>16}{'times faster':>14}{'bar':>6}"]
    for row in rows:
        theirs = "-" if row.theirs is None else f"{1e3 * row.theirs:.2f} ms"
        ratio = "-" if row.ratio is None else f"{row.ratio:.1f}"
        bar = "-" if row.bar is None else f"{row.bar:.0f}"
        ours = f"{1e3 * row.ours:.2f} ms"
        lines.append(f"{row.name:32}{ours:>16}{theirs:>16}{ratio:>14}{bar:>6}")
    return "\n".join(lines)


if __name__ == "__main__":
    print(table([compare(case) for case in cases()]))
