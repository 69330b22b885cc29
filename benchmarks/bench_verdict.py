"""Time exact and certified verdicts, and the accuracy of the response, against their bars.

python benchmarks/bench_verdict.py
"""

import time
from fractions import Fraction

import numpy as np

from tokentree import Mixture, elasticity, pareto_limit, published_form


def exact_verdicts(n_leaves: int = 10**5, seed: int = 0) -> None:
    rng = np.random.default_rng(seed)
    counts = 1 + rng.pareto(2.5, (3, n_leaves)).round(1) * 10
    overlapping = counts.astype(np.int64)
    disjoint = overlapping * (np.arange(n_leaves) % 3 == np.arange(3)[:, None])
    half = Fraction(1, 2)
    for name, parts, l in (
        ("disjoint, l = 1/2, an exact zero", disjoint, half),
        ("disjoint, l = 1/2 + 10^-40", disjoint, half + Fraction(1, 10**40)),
        ("overlapping, l = 1/2", overlapping, half),
        ("overlapping, l = 10^-3", overlapping, Fraction(1, 1000)),
    ):
        start = time.perf_counter()
        found = elasticity(published_form(parts, 10**9, l))
        took = time.perf_counter() - start
        print(f"{name:38}{took:8.2f} s (bar 5)  signs {found.signs}, {found.certificate}")


def certified(n_leaves: int = 10**7, seed: int = 0) -> None:
    p = np.random.default_rng(seed).pareto(2.5, (3, n_leaves))
    p /= p.sum(axis=1, keepdims=True)
    mixture = Mixture(p, [10**6, 1, 1])
    start = time.perf_counter()
    found = elasticity(mixture)
    print(f"{'float leaves, 10^7':38}{time.perf_counter() - start:8.2f} s (bar 30) signs {found.signs}")
    start = time.perf_counter()
    mixture.response()
    print(f"{'response, (3, 10^7)':38}{time.perf_counter() - start:8.2f} s")


def accuracy(cases: int = 2000, seed: int = 0) -> None:
    """Largest relative error of R against rationals where R is not zero."""
    rng = np.random.default_rng(seed)
    worst, entries = 0.0, 0
    for _ in range(cases):
        n, m = rng.integers(2, 5), rng.integers(2, 7)
        rows = rng.integers(0, 5, (n, m))
        rows[:, 0] += rows.sum(axis=1) == 0
        k = [
            Fraction(int(10 ** rng.uniform(0, 12))),
            *(Fraction(int(a), int(b)) for a, b in rng.integers(1, 500, (n - 1, 2))),
        ]
        response = Mixture(rows, k).response(base=np.e)
        p = [[Fraction(int(c), int(row.sum())) for c in row] for row in rows]
        q = [sum(s * x for s, x in zip(k, leaf, strict=True)) / sum(k) for leaf in zip(*p, strict=True)]
        for i in range(n):
            for t in range(n):
                s = sum(a * b / c for a, b, c in zip(p[i], p[t], q, strict=True) if c)
                exact = (1 - s) / sum(k)
                if exact:
                    entries += 1
                    worst = max(worst, float(abs(Fraction(response[i, t]) / exact - 1)))
                elif response[i, t]:
                    worst = np.inf
    print(
        f"response against rationals, k to 10^12: largest relative error {worst:.1e} "
        f"of {entries} entries (bar 1e-12)"
    )


def limit(repeats: int = 50) -> None:
    start = time.perf_counter()
    for _ in range(repeats):
        pareto_limit([1.05, 2.5, 50], [1, 1e-5, 1e-9])
    print(f"pareto_limit, three exponents: {1e3 * (time.perf_counter() - start) / repeats:.2f} ms a matrix")


def main() -> None:
    exact_verdicts()
    certified()
    accuracy()
    limit()


if __name__ == "__main__":
    main()
