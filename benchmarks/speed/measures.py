"""Measures of distributions beside SciPy and dit."""

from functools import partial

import numpy as np
import scipy.stats

from tokentree import cross_entropy, entropy, kl_divergence

from .timing import DECADES, Family, Run, Sides


def sides(what: str, n: int) -> Sides:
    p, q = 1e-3 + np.random.default_rng(0).random((2, n))
    p, q = p / p.sum(), q / q.sum()

    def dit() -> Run:
        import dit

        # As tuples: their names are what dit sorts and compares.
        one, two = (dit.Distribution([(i,) for i in range(n)], row) for row in (p, q))
        return {
            "entropy": lambda: dit.shannon.entropy(one),
            "cross-entropy": lambda: dit.divergences.cross_entropy(one, two),
            "KL": lambda: dit.divergences.kullback_leibler_divergence(one, two),
        }[what]

    ours, scipys = {
        "entropy": (lambda: entropy(p), lambda: scipy.stats.entropy(p, base=2)),
        "cross-entropy": (
            lambda: cross_entropy(p, q),
            lambda: scipy.stats.entropy(p, base=2) + scipy.stats.entropy(p, q, base=2),
        ),
        "KL": (lambda: kl_divergence(p, q), lambda: scipy.stats.entropy(p, q, base=2)),
    }[what]
    return {"tokentree": lambda: ours, "scipy.stats": lambda: scipys, "dit": dit}


FAMILIES = {
    f"measures {what}": Family(
        what[0].upper() + what[1:],
        "leaves",
        DECADES,
        partial(sides, what),
        8 if what == "entropy" else 16,
    )
    for what in ("entropy", "cross-entropy", "KL")
}
