r"""Where a tail begins: the threshold of least distance, the exponent's standard error, and the bootstrap.

CSN are Clauset, Shalizi and Newman, as in `tails`.

**Distance.** The largest difference between P(X >= x) in the data and in the law, after Kolmogorov and
Smirnov, computed as in CSN's own programs. For integers it is taken over all integers x, including those
between the data; for n continuous masses the i-th smallest is compared with 1 - (i - 1) / n. Equal masses are
counted one by one, so that both ends of their step are tested, and the distance is that of nearly equal
masses. The supremum over all x is larger by 1/n at most.

**The exact minimum without trying all thresholds.** Sums over the spacings of logs give every exponent at
once. A distance is a maximum over points, so its value over a few points is a lower bound. Begin with bounds
from tails that halve; compute the distance of the candidate with the smallest bound, and use the point where
it was attained to raise the bounds of the others; stop when no bound is below the smallest distance. Only a
few candidates are computed in full, whereas trying all costs n^2.
"""

import math
from collections.abc import Generator, Iterable, Sequence
from itertools import islice
from typing import Any, NamedTuple, TypeVar

import numpy as np
from jaxtyping import Float, Int, Num

from .._lib.progress import tracked
from . import bounded
from .law import log_steps
from .tails import TailBootstrap
from .zeta import zeta_draws, zeta_exponents, zeta_sums

_AT_ONCE = 2**17
"""Pairs of a threshold and a point computed at once."""

_IN_CACHE = 2**14
"""Number of pairs up to which one call is faster than several."""

Found = TypeVar("Found")

Steps = Generator[tuple[Float[np.ndarray, " points"], Float[np.ndarray, " points"]], Any, Found]
"""A computation that requests `zeta_sums` by yielding exponents plus 1, and points."""


def starting_at(
    start: Num[np.ndarray, ""], values: Num[np.ndarray, " values"], counts: Int[np.ndarray, " values"]
) -> tuple[Num[np.ndarray, " tail"], Int[np.ndarray, " tail"]]:
    """The start, even if it does not occur, and the values above it."""
    kept = values > start
    at_start = counts[values == start].sum()
    return np.append(start, values[kept]), np.append(at_start, counts[kept])


class Sample(NamedTuple):
    """Sorted data, and the most likely exponent from each distinct value on except the last."""

    values: Float[np.ndarray, " values"]
    logs: Float[np.ndarray, " values"]
    """Logarithm of each value over the first."""
    at_least: Float[np.ndarray, " values"]
    """Number of points from each value on."""
    step_ends: Float[np.ndarray, " values"]
    """The same at the other end of the step: from the last of equal points on, or for integers beyond."""
    end: float
    """The logarithm of the upper end over the first value; for integers, the upper end itself."""
    exponents: Float[np.ndarray, " candidates"]
    sums: Float[np.ndarray, " candidates"] | None
    """For integers, `zeta_sums` of each exponent from its value on."""

    def differences(self, i: Any, j: Any) -> Steps[Any]:
        """Differences between data and law in P(X >= x | X >= x_i), at both ends of the step at x_j."""
        law, beyond = yield from self._survival(i, j)
        n = self.at_least[i]
        starts, ends = self.at_least[j] / n, self.step_ends[j] / n
        # In place: with a million points, new arrays cost as much as the arithmetic.
        for shares, survival in ((starts, law), (ends, beyond)):
            shares -= survival
            np.abs(shares, out=shares)
        differences: Float[np.ndarray, " points"] = np.maximum(starts, ends, out=starts)
        return differences

    def _survival(self, i: Any, j: Any) -> Steps[Any]:
        """The law's P(X >= x_j | X >= x_i), and the same at the other end of the step."""
        if self.sums is None and self.end < math.inf:
            law = bounded.survival(
                self.exponents[i], self.logs[j] - self.logs[i], np.maximum(self.end - self.logs[i], 0.0)
            )
            return law, law
        s, falls = self.exponents[i] + 1, self.exponents[i] * (self.logs[i] - self.logs[j])
        if self.sums is None:
            law = np.exp(falls)
            return law, law
        # A third of the time of broadcasting.
        zeros = np.zeros_like(falls)
        points, s = self.values[j] + zeros, s + zeros
        sums = yield s, points
        # Sums are in units of their largest term, usually the first, that of x_j itself.
        law = np.exp(np.where(s < 0, self.logs[j] - self.logs[i], falls))
        first = np.exp(np.minimum(s, 0.0) * np.log(self.end / points)) if self.end < math.inf else 1.0
        # As for continuous data, times the ratio of a sum to its integral.
        law *= (sums / points) / (self.sums[i] / self.values[i])
        return law, law - law * first / sums


def samples(
    data: Sequence[tuple[Float[np.ndarray, "_"], Float[np.ndarray, "_"], Int[np.ndarray, "_"], float]],
    discrete: bool,
    upper: float = math.inf,
) -> list[Sample]:
    """Samples of distinct ascending values, with all exponents found at once.

    The data of each are its values, the logarithms of the ratios of neighbours, the counts, and the
    logarithmic distance from the last value to the upper end. `upper` is that end, for integers.
    """
    known, means, rests = [], [], []
    for values, steps, counts, rest in data:
        at_least = counts[::-1].cumsum()[::-1].astype(np.float64)
        # The sum of log(x / x_m) over a tail, as spacings times the number of points beyond: no subtraction.
        means.append((at_least[1:] * steps)[::-1].cumsum()[::-1] / at_least[:-1])
        # There may be no point at a given threshold.
        step_ends = at_least - (counts if discrete else np.maximum(counts - 1, 0))
        logs = np.append(0.0, steps.cumsum())
        known.append((values, logs, at_least, step_ends, upper if discrete else float(logs[-1] + rest)))
        if not discrete and rest < math.inf:
            # Likewise the sum of log(end / x).
            to_end = np.append(rest, steps[::-1]).cumsum()[::-1]
            rests.append(((counts * to_end)[::-1].cumsum()[::-1] / at_least)[:-1])
    exponents, sums = _exponents(known, means, rests, discrete, upper)
    ends = np.cumsum([len(mean) for mean in means])[:-1]
    return [
        Sample(*each, found, of)
        for each, found, of in zip(
            known,
            np.split(exponents, ends),
            [None] * len(known) if sums is None else np.split(sums, ends),
            strict=True,
        )
    ]


def _exponents(known: Any, means: Any, rests: Any, discrete: bool, upper: float) -> Any:
    if discrete:
        starts = np.concatenate([values[:-1] for values, *_ in known])
        exponents = zeta_exponents(starts, np.concatenate(means), upper)
        return exponents, zeta_sums(exponents + 1, starts, upper=upper)[0]
    if rests:
        return bounded.rates(np.concatenate(means), np.concatenate(rests)), None
    return 1 / np.concatenate(means), None


class Search(NamedTuple):
    """The thresholds to try."""

    given: bool
    min_tail: int
    max_exponent: float

    def candidates(self, sample: Sample) -> Int[np.ndarray, " candidates"]:
        """Indices of the thresholds; a given one comes first in its sample."""
        if self.given:
            return np.zeros(1, dtype=np.int64)
        tried = (sample.at_least[:-1] >= self.min_tail) & (sample.exponents < self.max_exponent)
        if sample.sums is not None:
            # Any shares of two integers fit some exponent.
            tried &= sample.values[:-1] <= sample.end - 2
        return np.flatnonzero(tried)


def least_distance(sample: Sample, candidates: Int[np.ndarray, " candidates"]) -> tuple[int, float]:
    """Index and distance of the candidate of least distance, the first in a tie, as the module explains."""
    return together([_least_distance(sample, candidates)], sample.end)[0]


def _least_distance(sample: Sample, candidates: Int[np.ndarray, " candidates"]) -> Steps[tuple[int, float]]:
    # Points beyond which lie half of the data, a quarter, and so on.
    halves = sample.at_least[0] / 2.0 ** np.arange(1, 1 + math.log2(sample.at_least[0]))
    witnesses = np.unique(np.searchsorted(-sample.at_least, -halves).clip(1, len(sample.values) - 1))
    bounds = np.zeros(len(candidates))
    # A few at a time, one if there are many candidates: all would take more memory than the data.
    parts = min(len(witnesses), 1 + len(witnesses) * len(candidates) // _IN_CACHE)
    for some in np.array_split(witnesses, parts) if parts > 1 else [witnesses]:
        below = np.searchsorted(candidates, some)
        if len(some) == 1:
            found = yield from sample.differences(candidates[: below[0]], some[0])
        else:
            which = np.concatenate([candidates[:number] for number in below.tolist()])
            found = yield from sample.differences(which, some.repeat(below))
        end = 0
        for number in below.tolist():
            part, end = found[end : end + number], end + number
            np.maximum(bounds[:number], part, out=bounds[:number])

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
        number = int(np.searchsorted(candidates, worst))
        if number:
            found = yield from sample.differences(candidates[:number], worst)
            np.maximum(bounds[:number], found, out=bounds[:number])
    return place, least


def together(searches: Iterable[Steps[Found]], upper: float) -> list[Found]:
    """Results of searches that request `zeta_sums`, which are computed for all of them at once."""
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
            zeta_sums(exponents, points, upper=upper)[0], np.cumsum([len(each[2][0]) for each in asking])[:-1]
        )
        waiting = [
            (number, search, answer) for (number, search, _), answer in zip(asking, answers, strict=True)
        ]
    return [found[number] for number in sorted(found)]


def standard_error(sample: Sample, place: int) -> float:
    """Of the exponent, from the information: the number of points times the variance of log x in the law."""
    alpha = sample.exponents[place : place + 1]
    if sample.sums is not None:
        values = sample.values[place : place + 1]
        zeroth, first, second = zeta_sums(alpha + 1, values, moments=True, upper=sample.end)
        variance = second / zeroth - (first / zeroth) ** 2
    elif sample.end < math.inf:
        length = sample.end - sample.logs[place]
        variance = length**2 * bounded.moments(np.abs(alpha) * length)[1]
    else:
        variance = alpha**-2
    return float(1 / np.sqrt(variance[0] * sample.at_least[place]))


def replicates(
    sample: Sample,
    place: int,
    search: Search,
    n_bootstrap: int,
    rng: np.random.Generator,
    progress: bool,
) -> TailBootstrap:
    """Replicates of the data, each fitted separately, many at a time."""
    discrete = sample.sums is not None
    # Continuous data in logarithms, which no draw can overflow.
    points = sample.values if discrete else sample.logs
    sizes = -np.diff(sample.at_least, append=0.0).astype(np.int64)
    body = np.repeat(points[:place], sizes[:place])
    alpha, start, n = float(sample.exponents[place]), points[place], int(sample.at_least[0])
    end = sample.end

    def draw() -> tuple[Any, ...]:
        while True:
            n_tail = int(rng.binomial(n, sample.at_least[place] / n))
            low = body[rng.integers(len(body), size=n - n_tail)] if n_tail < n else body[:0]
            if discrete:
                high = zeta_draws(alpha, float(start), n_tail, rng, end)
            elif end < math.inf:
                high = np.minimum(start + bounded.draws(alpha, end - start, n_tail, rng), end)
            else:
                high = start + rng.exponential(1 / alpha, n_tail)
            values, counts = np.unique(np.concatenate([low, high]), return_counts=True)
            if search.given:
                values, counts = starting_at(np.asarray(start), values, counts)
            if np.count_nonzero(counts) >= 2:
                steps = log_steps(values) if discrete else np.diff(values)
                return values, steps, counts, end - values[-1]

    rounds = tracked(range(n_bootstrap), "Replicating", progress)
    found: list[tuple[float, float, float]] = []
    # As many at once as make the arrays long, but no larger than those of large data.
    while drawn := [draw() for _ in islice(rounds, max(1, _AT_ONCE // (16 * len(points))))]:
        while drawn:
            again = samples(drawn, discrete, end)
            candidates = [search.candidates(each) for each in again]
            fitted = [k for k, each in enumerate(candidates) if len(each)]
            least = together((_least_distance(again[k], candidates[k]) for k in fitted), end)
            found += [
                (distance, float(again[k].exponents[at]), float(again[k].values[at]))
                for k, (at, distance) in zip(fitted, least, strict=True)
            ]
            drawn = [draw() for _ in range(len(again) - len(fitted))]
    distances, exponents, thresholds = np.array(found).T
    if not discrete:
        thresholds = np.exp(math.log(sample.values[0]) + thresholds)
    return TailBootstrap(distances, exponents, thresholds)
