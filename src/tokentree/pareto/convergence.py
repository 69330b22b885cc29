"""Finite samples of Pareto masses, compared with their limit of many leaves."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from jaxtyping import Float, Int

from .._lib import checks
from .._lib.checks import Numbers
from .._lib.results import Result, points, span
from ..mixtures import Mixture
from .limit import ParetoLimit, exponents, pareto_limit
from .mass import ParetoMass


@dataclass(frozen=True, eq=False, repr=False)
class ParetoConvergence(Result):
    """Finite samples and their limit; made by `pareto_convergence`.

    `to_frame` has one row per number of leaves, sample, and pair of datasets i, j; all but the first are
    counted from 0. The rate is that of i. The limit has its own table.

    Attributes
    ----------
    n_leaves : int array, shape (K,)
        Numbers of leaves M.
    limit : ParetoLimit
        The limit of the samples.
    excess : float array, shape (K, R, N, N)
        1 - S_ij for each of R samples.
    normalized_rates : float array, shape (K, R, N)
        gamma_i - log M for each sample, in the unit of the limit.
    """

    n_leaves: Int[np.ndarray, "trees"]
    limit: ParetoLimit
    excess: Float[np.ndarray, "trees seeds datasets datasets"]
    normalized_rates: Float[np.ndarray, "trees seeds datasets"]

    def _columns(self) -> tuple[Mapping[str, Any], *tuple[str, ...]]:
        samples, datasets = map(range, self.normalized_rates.shape[1:])
        axes = {"n_leaves": self.n_leaves, "sample": samples, "i": datasets, "j": datasets}
        return points(axes, excess=self.excess, normalized_rates=self.normalized_rates[..., None])

    def __repr__(self) -> str:
        _, samples, datasets = self.normalized_rates.shape
        leaves = f"{span(self.n_leaves)} leaves"
        return f"ParetoConvergence({datasets} datasets, {leaves}, {samples} samples of each)"


def pareto_convergence(
    alphas: Annotated[Numbers, "*datasets"],
    sizes: Annotated[Numbers, "datasets"],
    n_leaves: Annotated[Numbers, "trees"],
    seeds: Annotated[Numbers, "seeds"],
    *,
    base: float = 2,
) -> ParetoConvergence:
    r"""Overlaps and rates of sampled finite datasets, every sample kept, with the limit of many leaves.

    Parameters
    ----------
    alphas, sizes : array_like
        As in `pareto_limit`, with the same errors.
    n_leaves : array_like of int, shape (K,)
        Numbers of leaves, each at least 1.
    seeds : array_like of int, shape (R,)
        One sample per seed, >= 0. A seed gives the same sample whatever the other seeds are.
    base : float
        2 for bits, ``math.e`` for nats.

    Returns
    -------
    ParetoConvergence

    Raises
    ------
    TypeError, ValueError
        As for `pareto_limit`, or if a number of leaves or a seed is not an integer in range.

    Notes
    -----
    For ``alpha < 2`` a few leaves dominate the sums, and both the bias and the spread fall more slowly than
    M^(-1/2): use quantiles over seeds. O(R N sum of M).

    Examples
    --------
    >>> found = pareto_convergence(3, [5, 1], n_leaves=[100, 10_000], seeds=range(20))
    >>> off = np.abs(found.normalized_rates - found.limit.normalized_rates)
    >>> bool((np.median(off, axis=1)[1] < np.median(off, axis=1)[0]).all())
    True
    """
    n, alpha = checks.float_array("sizes", sizes), exponents("alphas", alphas)
    limit = pareto_limit(alpha, n, base=base)
    tails = np.broadcast_to(alpha, n.shape)
    given = np.atleast_1d(checks.array("n_leaves", n_leaves), checks.array("seeds", seeds))
    counts = [checks.integer(f"n_leaves[{i}]", m, 1) for i, m in enumerate(given[0].tolist())]
    starts = [checks.integer(f"seeds[{i}]", seed, 0) for i, seed in enumerate(given[1].tolist())]
    excess = np.empty((len(counts), len(starts), len(tails), len(tails)))
    rates = np.empty(excess.shape[:3])
    for i, m in enumerate(counts):
        for j, seed in enumerate(starts):
            rng = np.random.default_rng([seed, m])
            mixture = Mixture([ParetoMass(float(alpha)).sample(m, rng) for alpha in tails], n)
            excess[i, j] = mixture.total_size * mixture.response(base=math.e)
            rates[i, j] = mixture.normalized_rates(base)
    return ParetoConvergence(np.array(counts), limit, excess, rates)
