"""Responses and verdicts beside the least that they must do."""

import numpy as np

from tokentree import Mixture, elasticity

from .timing import DECADES, Family, Sides


def mixture(n_datasets: int, n: int) -> Mixture:
    masses = 1 + np.random.default_rng(0).pareto(1.2, (n_datasets, n))
    masses /= masses.sum(axis=1, keepdims=True)
    return Mixture(masses, [10.0**i for i in range(n_datasets)])


def response(n: int) -> Sides:
    of = mixture(5, n)
    p = of.distributions
    return {
        "tokentree": lambda: lambda: of.response(),
        "P @ P.T": lambda: lambda: p @ p.T,
        "one pass, P.sum()": lambda: lambda: p.sum(),
    }


def verdict(n: int) -> Sides:
    p = np.random.default_rng(0).pareto(2.5, (3, n))
    p /= p.sum(axis=1, keepdims=True)
    # A new mixture each time, or the work of the first would be kept.
    return {
        "tokentree": lambda: lambda: elasticity(Mixture(p, [10**6, 1, 1])),
        "response alone": lambda: lambda: Mixture(p, [10**6, 1, 1]).response(),
    }


RESPONSE = {
    "response": Family(
        "Response of 5 datasets", "leaves", DECADES, response, 40, frozenset({"P @ P.T", "one pass, P.sum()"})
    )
}
VERDICT = {
    "verdict": Family("Verdict on 3 datasets", "leaves", DECADES, verdict, 24, frozenset({"response alone"}))
}
