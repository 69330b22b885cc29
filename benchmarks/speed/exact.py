"""Verdicts in exact arithmetic, and the ledger."""

import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path

import numpy as np

from tokentree import elasticity, pareto_limit, published_form

from .timing import duration, table


def print_table(quick: bool, figures: Path) -> None:
    n = 10**3 if quick else 10**5
    rng = np.random.default_rng(0)
    overlapping = (1 + rng.pareto(2.5, (3, n)).round(1) * 10).astype(np.int64)
    disjoint = overlapping * (np.arange(n) % 3 == np.arange(3)[:, None])
    rows = []
    for name, parts, l in (
        ("disjoint, l = 1/2, an exact zero", disjoint, Fraction(1, 2)),
        ("disjoint, l = 1/2 + 10^-40", disjoint, Fraction(1, 2) + Fraction(1, 10**40)),
        ("overlapping, l = 1/2", overlapping, Fraction(1, 2)),
        ("overlapping, l = 10^-3", overlapping, Fraction(1, 1000)),
    ):
        form = published_form(parts, k=10**9, l=l)
        start = time.perf_counter()
        found = elasticity(form)
        taken = time.perf_counter() - start
        signs = " ".join(map(str, found.signs))
        rows.append([f"verdict on counts, {name}", f"{n:,} leaves", duration(taken), f"signs {signs}"])
    start = time.perf_counter()
    pareto_limit([1.05, 2.5, 50], [1, 1e-5, 1e-9])
    rows.append(["pareto_limit", "3 exponents", duration(time.perf_counter() - start), ""])
    if not quick:
        start = time.perf_counter()
        subprocess.run([sys.executable, "-m", "tokentree", "verify"], check=True, stdout=subprocess.DEVNULL)
        rows.append(["tokentree verify", "", duration(time.perf_counter() - start), ""])
    print(
        "### Alone, for nobody else does it\n\n" + table(["work", "size", "takes", ""], rows),
        end="\n\n",
        flush=True,
    )
