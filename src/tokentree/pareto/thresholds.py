r"""Where a tail begins: the threshold of least distance, the exponent's error there, and the bootstrap.

CSN are Clauset, Shalizi and Newman, as in `tails`.

**Distance.** The largest difference between P(X >= x) in the data and in the law, after Kolmogorov and
Smirnov, taken as in CSN's own programs: for integers over all integers x, also those between the data; of n
continuous masses the i-th smallest is set against 1 - (i - 1) / n. Equal masses are counted one by one, so
that both ends of their step are looked at, and the distance is that of masses which nearly coincide. The
supremum over all x is larger by 1/n at most.

**Every threshold, exactly, without trying all.** Sums over the spacings of logs give every exponent at once.
A distance is a maximum over points, so its value over a few points is a lower bound. Begin with bounds from
tails that halve; work out the candidate with the least bound in full, and let the point where it was worst
raise the bounds of the others; stop when no bound is below the least distance. A handful of candidates is
worked out in full, where trying all costs n^2.
"""

import math
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int, Num

from .._lib.progress import tracked
from .law import log_steps
from .tails import TailBootstrap
from .zeta import zeta_draws, zeta_exponents, zeta_sums


def starting_at(
    start: Num[np.ndarray, ""], values: Num[np.ndarray, " values"], counts: Int[np.ndarray, " values"]
) -> tuple[Num[np.ndarray, " tail"], Int[np.ndarray, " tail"]]:
    """Values from `start` on, and first the start itself, even if it does not occur."""
    kept = values > start
    at_start = counts[values == start].sum()
    return np.append(start, values[kept]), np.append(at_start, counts[kept])


class Sample(NamedTuple):
    """Sorted data, and the most likely exponent from each distinct value on but the last."""

    values: Float[np.ndarray, " values"]
    logs: Float[np.ndarray, " values"]
    """Of each value over the first."""
    at_least: Float[np.ndarray, " values"]
    """Number of points from each value on."""
    step_ends: Float[np.ndarray, " values"]
    """The same at the other end of the step: from the last of equal points on, or for integers beyond."""
    exponents: Float[np.ndarray, " candidates"]
    sums: Float[np.ndarray, " candidates"] | None
    """For integers, `zeta_sums` of each exponent from its value on."""

    @classmethod
    def of(
        cls,
        values: Float[np.ndarray, " values"],
        steps: Float[np.ndarray, " candidates"],
        counts: Int[np.ndarray, " values"],
        discrete: bool,
    ) -> "Sample":
        """The sample of distinct ascending values; `steps` are the logarithms of their neighbours' ratios."""
        at_least = counts[::-1].cumsum()[::-1].astype(np.float64)
        # The sum of log(x / x_m) over a tail, as spacings times the points beyond: nothing is subtracted.
        means = (at_least[1:] * steps)[::-1].cumsum()[::-1] / at_least[:-1]
        logs = np.append(0.0, steps.cumsum())
        if not discrete:
            # At a threshold that was given there may be no point.
            step_ends = at_least - np.maximum(counts - 1, 0)
            return cls(values, logs, at_least, step_ends, 1 / means, None)
        exponents = zeta_exponents(values[:-1], means)
        sums = zeta_sums(exponents + 1, values[:-1])[0]
        return cls(values, logs, at_least, at_least - counts, exponents, sums)

    def differences(self, i: Any, j: Any) -> Float[np.ndarray, " points"]:
        """Of data and law from x_i on, in P(X >= x | X >= x_i), at both ends of the step at x_j."""
        law = np.exp(self.exponents[i] * (self.logs[i] - self.logs[j]))
        beyond = law
        if self.sums is not None:
            # As if continuous, but for what a sum is to its integral.
            points = np.broadcast_to(self.values[j], law.shape)
            sums = zeta_sums(np.broadcast_to(self.exponents[i] + 1, law.shape), points)[0]
            law *= (sums / points) / (self.sums[i] / self.values[i])
            # The first term of each sum is 1, for x_j itself.
            beyond = law - law / sums
        n = self.at_least[i]
        starts, ends = self.at_least[j] / n, self.step_ends[j] / n
        # In place: with a million points, new arrays cost as much as the arithmetic.
        for shares, survival in ((starts, law), (ends, beyond)):
            shares -= survival
            np.abs(shares, out=shares)
        differences: Float[np.ndarray, " points"] = np.maximum(starts, ends, out=starts)
        return differences


class Search(NamedTuple):
    """Which thresholds are tried."""

    given: bool
    min_tail: int
    max_exponent: float

    def candidates(self, sample: Sample) -> Int[np.ndarray, " candidates"]:
        """Places of the thresholds; one that was given comes first in its sample."""
        if self.given:
            return np.zeros(1, dtype=np.int64)
        return np.flatnonzero(
            (sample.at_least[:-1] >= self.min_tail) & (sample.exponents < self.max_exponent)
        )


def least_distance(sample: Sample, candidates: Int[np.ndarray, " candidates"]) -> tuple[int, float]:
    """Place and distance of the candidate of least distance, the first of several: see the module."""
    # Points beyond which there is a half of the data, a quarter, and so on.
    halves = sample.at_least[0] / 2.0 ** np.arange(1, 1 + math.log2(sample.at_least[0]))
    witnesses = np.unique(np.searchsorted(-sample.at_least, -halves).clip(1, len(sample.values) - 1))
    bounds = np.zeros(len(candidates))

    def raise_bounds(witness: int) -> None:
        below = int(np.searchsorted(candidates, witness))
        if below:
            found = sample.differences(candidates[:below], witness)
            np.maximum(bounds[:below], found, out=bounds[:below])

    for witness in witnesses:
        raise_bounds(int(witness))
    place, least = -1, math.inf
    while len(candidates):
        lowest = int(bounds.argmin())
        i = int(candidates[lowest])
        differences = sample.differences(i, slice(i, None))
        place, least = min((place, least), (i, float(differences.max())), key=lambda each: (each[1], each[0]))
        bounds[lowest] = math.inf
        left = bounds <= least
        candidates, bounds = candidates[left], bounds[left]
        raise_bounds(i + int(differences.argmax()))
    return place, least


def standard_error(sample: Sample, place: int) -> float:
    """Of the exponent, from the information: the variance of log x under the law, times the points."""
    alpha = sample.exponents[place : place + 1]
    variance = alpha**-2
    if sample.sums is not None:
        zeroth, first, second = zeta_sums(alpha + 1, sample.values[place : place + 1], moments=True)
        variance = second / zeroth - (first / zeroth) ** 2
    return float(1 / np.sqrt(variance[0] * sample.at_least[place]))


def replicates(
    sample: Sample,
    place: int,
    search: Search,
    n_bootstrap: int,
    rng: np.random.Generator,
    progress: bool,
) -> TailBootstrap:
    """Replicates of the data, each fitted anew."""
    discrete = sample.sums is not None
    # Continuous data in logarithms, which no draw can overflow.
    points = sample.values if discrete else sample.logs
    sizes = -np.diff(sample.at_least, append=0.0).astype(np.int64)
    body = np.repeat(points[:place], sizes[:place])
    alpha, start, n = float(sample.exponents[place]), points[place], int(sample.at_least[0])

    def replicate() -> tuple[float, float, float]:
        while True:
            n_tail = int(rng.binomial(n, sample.at_least[place] / n))
            low = body[rng.integers(len(body), size=n - n_tail)] if n_tail < n else body[:0]
            if discrete:
                high = zeta_draws(alpha, float(start), n_tail, rng)
            else:
                high = start + rng.exponential(1 / alpha, n_tail)
            values, counts = np.unique(np.concatenate([low, high]), return_counts=True)
            if search.given:
                values, counts = starting_at(np.asarray(start), values, counts)
            if np.count_nonzero(counts) < 2:
                continue
            again = Sample.of(values, log_steps(values) if discrete else np.diff(values), counts, discrete)
            candidates = search.candidates(again)
            if len(candidates):
                found, distance = least_distance(again, candidates)
                return distance, float(again.exponents[found]), float(values[found])

    rounds = tracked(range(n_bootstrap), "Replicating", progress)
    distances, exponents, thresholds = np.array([replicate() for _ in rounds]).T
    if not discrete:
        thresholds = np.exp(math.log(sample.values[0]) + thresholds)
    return TailBootstrap(distances, exponents, thresholds)
