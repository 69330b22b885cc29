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
from collections.abc import Generator, Iterable, Sequence
from itertools import islice
from typing import Any, NamedTuple, TypeVar

import numpy as np
from jaxtyping import Float, Int, Num

from .._lib.progress import tracked
from .law import log_steps
from .tails import TailBootstrap
from .zeta import zeta_draws, zeta_exponents, zeta_sums

_AT_ONCE = 2**17
"""Pairs of a threshold and a point that are worked out at once."""

Found = TypeVar("Found")

Steps = Generator[tuple[Float[np.ndarray, " points"], Float[np.ndarray, " points"]], Any, Found]
"""What comes to a result and asks for `zeta_sums` on its way: it yields exponents plus 1, and points."""


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
        return samples([(values, steps, counts)], discrete)[0]

    def differences(self, i: Any, j: Any) -> Steps[Any]:
        """Of data and law from x_i on, in P(X >= x | X >= x_i), at both ends of the step at x_j."""
        law = np.exp(self.exponents[i] * (self.logs[i] - self.logs[j]))
        beyond = law
        if self.sums is not None:
            # As if continuous, but for what a sum is to its integral.
            points = np.broadcast_to(self.values[j], law.shape)
            sums = yield np.broadcast_to(self.exponents[i] + 1, law.shape), points
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


def samples(
    data: Sequence[tuple[Float[np.ndarray, "_"], Float[np.ndarray, "_"], Int[np.ndarray, "_"]]],
    discrete: bool,
) -> list[Sample]:
    """Samples of values, steps and counts as `Sample.of` has them, with all exponents found at once."""
    known, means = [], []
    for values, steps, counts in data:
        at_least = counts[::-1].cumsum()[::-1].astype(np.float64)
        # The sum of log(x / x_m) over a tail, as spacings times the points beyond: nothing is subtracted.
        means.append((at_least[1:] * steps)[::-1].cumsum()[::-1] / at_least[:-1])
        # At a threshold that was given there may be no point.
        step_ends = at_least - (counts if discrete else np.maximum(counts - 1, 0))
        known.append((values, np.append(0.0, steps.cumsum()), at_least, step_ends))
    if not discrete:
        return [Sample(*each, 1 / mean, None) for each, mean in zip(known, means, strict=True)]
    starts = np.concatenate([values[:-1] for values, *_ in known])
    exponents = zeta_exponents(starts, np.concatenate(means))
    sums = zeta_sums(exponents + 1, starts)[0]
    ends = np.cumsum([len(mean) for mean in means])[:-1]
    parts = zip(known, np.split(exponents, ends), np.split(sums, ends), strict=True)
    return [Sample(*each, *found) for each, *found in parts]


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
    return together([_least_distance(sample, candidates)])[0]


def _least_distance(sample: Sample, candidates: Int[np.ndarray, " candidates"]) -> Steps[tuple[int, float]]:
    # Points beyond which there is a half of the data, a quarter, and so on.
    halves = sample.at_least[0] / 2.0 ** np.arange(1, 1 + math.log2(sample.at_least[0]))
    witnesses = np.unique(np.searchsorted(-sample.at_least, -halves).clip(1, len(sample.values) - 1))
    bounds = np.zeros(len(candidates))
    # A few at a time: with many candidates, all of these would take more memory than the data.
    for some in np.array_split(witnesses, 1 + len(witnesses) * len(candidates) // _AT_ONCE):
        which, witness = np.nonzero(candidates[:, None] < some)
        found = yield from sample.differences(candidates[which], some[witness])
        np.maximum.at(bounds, which, found)

    place, least = -1, math.inf
    while len(candidates):
        lowest = int(bounds.argmin())
        i = int(candidates[lowest])
        differences = yield from sample.differences(i, slice(i, None))
        place, least = min((place, least), (i, float(differences.max())), key=lambda each: (each[1], each[0]))
        bounds[lowest] = math.inf
        left = bounds <= least
        candidates, bounds = candidates[left], bounds[left]
        worst = i + int(differences.argmax())
        below = int(np.searchsorted(candidates, worst))
        if below:
            found = yield from sample.differences(candidates[:below], worst)
            np.maximum(bounds[:below], found, out=bounds[:below])
    return place, least


def together(searches: Iterable[Steps[Found]]) -> list[Found]:
    """Results of searches that ask for `zeta_sums`, which are worked out for all of them at once."""
    found: dict[int, Found] = {}
    waiting: list[tuple[int, Steps[Found], Any]] = [
        (number, search, None) for number, search in enumerate(searches)
    ]
    while waiting:
        asking = []
        for number, search, answer in waiting:
            try:
                asking.append((number, search, search.send(answer)))
            except StopIteration as ended:
                found[number] = ended.value
        if not asking:
            break
        exponents, points = (np.concatenate([each[2][k] for each in asking]) for k in (0, 1))
        answers = np.split(
            zeta_sums(exponents, points)[0], np.cumsum([len(each[2][0]) for each in asking])[:-1]
        )
        waiting = [
            (number, search, answer) for (number, search, _), answer in zip(asking, answers, strict=True)
        ]
    return [found[number] for number in sorted(found)]


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
    """Replicates of the data, each fitted anew, many at a time."""
    discrete = sample.sums is not None
    # Continuous data in logarithms, which no draw can overflow.
    points = sample.values if discrete else sample.logs
    sizes = -np.diff(sample.at_least, append=0.0).astype(np.int64)
    body = np.repeat(points[:place], sizes[:place])
    alpha, start, n = float(sample.exponents[place]), points[place], int(sample.at_least[0])

    def draw() -> tuple[Any, ...]:
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
            if np.count_nonzero(counts) >= 2:
                return values, log_steps(values) if discrete else np.diff(values), counts

    rounds = tracked(range(n_bootstrap), "Replicating", progress)
    found: list[tuple[float, float, float]] = []
    # So many at once that the arrays of all are long, and not larger than those of large data.
    while drawn := [draw() for _ in islice(rounds, max(1, _AT_ONCE // (16 * len(points))))]:
        while drawn:
            again = samples(drawn, discrete)
            candidates = [search.candidates(each) for each in again]
            fitted = [k for k, each in enumerate(candidates) if len(each)]
            least = together(_least_distance(again[k], candidates[k]) for k in fitted)
            found += [
                (distance, float(again[k].exponents[at]), float(again[k].values[at]))
                for k, (at, distance) in zip(fitted, least, strict=True)
            ]
            drawn = [draw() for _ in range(len(again) - len(fitted))]
    distances, exponents, thresholds = np.array(found).T
    if not discrete:
        thresholds = np.exp(math.log(sample.values[0]) + thresholds)
    return TailBootstrap(distances, exponents, thresholds)
