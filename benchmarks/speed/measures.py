"""Measures of distributions beside SciPy and dit."""

from functools import partial

import numpy as np
import scipy.stats
from scipy.spatial import distance

from tokentree import cross_entropy, entropy, kl_divergence
from tokentree.information import jensen_shannon_divergence, renyi_entropy

from .timing import DECADES, Family, Run, Sides


def sides(what: str, n: int) -> Sides:
    p, q = 1e-3 + np.random.default_rng(0).random((2, n))
    p, q = p / p.sum(), q / q.sum()
    both = np.stack([p, q])

    def dit() -> Run:
        import dit

        # As tuples: their names are what dit sorts and compares.
        one, two = (dit.Distribution([(i,) for i in range(n)], row) for row in (p, q))
        return {
            "entropy": lambda: dit.shannon.entropy(one),
            "cross-entropy": lambda: dit.divergences.cross_entropy(one, two),
            "KL": lambda: dit.divergences.kullback_leibler_divergence(one, two),
            "Jensen-Shannon": lambda: dit.divergences.jensen_shannon_divergence([one, two]),
            "Rényi, order 2": lambda: dit.other.renyi_entropy(one, 2),
        }[what]

    ours, scipys = {
        "entropy": (lambda: entropy(p), lambda: scipy.stats.entropy(p, base=2)),
        "cross-entropy": (
            lambda: cross_entropy(p, q),
            lambda: scipy.stats.entropy(p, base=2) + scipy.stats.entropy(p, q, base=2),
        ),
        "KL": (lambda: kl_divergence(p, q), lambda: scipy.stats.entropy(p, q, base=2)),
        "Jensen-Shannon": (
            lambda: jensen_shannon_divergence(both),
            lambda: distance.jensenshannon(p, q, base=2) ** 2,
        ),
        "Rényi, order 2": (lambda: renyi_entropy(p, 2), lambda: -np.log2(p @ p)),
    }[what]
    least = "p @ p" if what in FLOORS else "scipy.stats"
    return {"tokentree": lambda: ours, least: lambda: scipys, "dit": dit}


FLOORS = frozenset({"Rényi, order 2"})
"""Measures that SciPy lacks."""


FAMILIES = {
    f"measures {what}": Family(
        what[0].upper() + what[1:],
        "leaves",
        DECADES,
        partial(sides, what),
        8 if what in ("entropy", *FLOORS) else 16,
        frozenset({"p @ p"} if what in FLOORS else ()),
    )
    for what in ("entropy", "cross-entropy", "KL", "Jensen-Shannon", *FLOORS)
}
