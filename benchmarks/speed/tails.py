"""Fits of tails beside powerlaw, and their p-values beside igraph."""

import math
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tokentree import ParetoMass, fit_tail

from .timing import duration, table


def words(rng: np.random.Generator, n: int) -> npt.NDArray[np.int64]:
    """Counts of about n words, the r-th of them drawn with probability as 1 / r."""
    ranks = np.floor(np.exp(rng.random(5 * n) * math.log(5 * n))).astype(np.int64)
    return rng.permutation(np.unique(ranks, return_counts=True)[1])


SHAPES: dict[str, Callable[[np.random.Generator, int], npt.NDArray[Any]]] = {
    "Pareto": lambda rng, n: 1 + rng.pareto(1.5, n),
    "lognormal": lambda rng, n: rng.lognormal(0, 1, n),
    "exponential": lambda rng, n: rng.exponential(1, n),
    "Zipf words": words,
    "zeta": lambda rng, n: rng.zipf(2.1, n),
    "rounded lognormal": lambda rng, n: np.ceil(rng.lognormal(2, 1, n)).astype(np.int64),
}


def print_table(quick: bool, figures: Path) -> None:
    """Fits beside powerlaw's. By default it approximates integers from 10 on; ours approximates nothing."""
    import powerlaw

    rows = []
    for shape, draw in SHAPES.items():
        data = draw(np.random.default_rng(0), 10**3 if quick else 20_000)
        theirs_at, ours_at = [], []
        for _ in range(1 if quick else 3):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                start = time.perf_counter()
                theirs = powerlaw.Fit(data, discrete=data.dtype.kind == "i", verbose=0)
                theirs_at.append(time.perf_counter() - start)
            start = time.perf_counter()
            ours = ParetoMass.fit(data, max_exponent=2.0)
            ours_at.append(time.perf_counter() - start)
            if theirs_at[0] > 5:
                break
        ratios = sorted(slow / fast for slow, fast in zip(theirs_at, ours_at, strict=True))
        rows.append(
            [
                shape,
                f"{data.size:,}",
                duration(sorted(ours_at)[len(ours_at) // 2]),
                duration(sorted(theirs_at)[len(theirs_at) // 2]),
                f"{ratios[len(ratios) // 2]:.0f} ({ratios[0]:.0f} to {ratios[-1]:.0f})",
                f"{abs(ours.threshold / theirs.xmin - 1):.0e}",
                f"{abs(ours.density_exponent / theirs.alpha - 1):.0e}",
            ]
        )
    heads = [
        "data",
        "points",
        "tokentree",
        "powerlaw",
        "times faster (range)",
        "threshold off by",
        "exponent off by",
    ]
    print("### Pareto fit\n\n" + table(heads, rows), end="\n\n", flush=True)
    print_p_values(quick)


def print_p_values(quick: bool) -> None:
    """Bootstrap p-values of 547 masses, of which igraph makes as many replicates for the same precision."""
    heads = ["data", "replicates", "tokentree", "igraph", "times faster", ""]
    precision = 0.05 if quick else 0.01
    replicates = round(0.25 / precision**2)
    rows = []
    for shape, draw in SHAPES.items():
        data = draw(np.random.default_rng(0), 547)[:547]
        start = time.perf_counter()
        fit_tail(data, n_bootstrap=replicates, rng=0)
        ours = time.perf_counter() - start
        try:
            import igraph
        except ImportError:
            rows.append([shape, f"{replicates:,}", duration(ours), "not installed", "", ""])
            continue
        start = time.perf_counter()
        kind = "discrete" if data.dtype.kind == "i" else "continuous"
        igraph.power_law_fit(data.tolist(), method=kind, p_precision=precision)
        theirs = time.perf_counter() - start
        note = "WE LOSE" if theirs < ours else ""
        rows.append(
            [shape, f"{replicates:,}", duration(ours), duration(theirs), f"{theirs / ours:.3g}", note]
        )
    print("### Bootstrap p-value of 547 masses\n\n" + table(heads, rows), end="\n\n", flush=True)
