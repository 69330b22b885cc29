r"""Heavy tails: a Pareto law fitted to masses or counts, tested, and compared with four other laws.

The method is that of Clauset, Shalizi and Newman, *Power-law distributions in empirical data*, SIAM Review 51
(2009), 661-703, below "CSN": maximum likelihood above a threshold, the threshold of least Kolmogorov-Smirnov
distance, a bootstrap p-value, and Vuong's likelihood ratios.

**Two exponents.** `exponent` is that of the survival function, P(X >= x) = (x / x_m)^-alpha, as in Assumption
A.7 and `ParetoMass`. CSN and most software name the exponent of the density, alpha + 1: `density_exponent`.
For counts the law is x^-(alpha + 1) / zeta(alpha + 1, x_m) on the integers from x_m on.

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
from dataclasses import dataclass, field
from functools import cached_property
from typing import Annotated, Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int, Num

from . import _checks, _interop
from ._checks import Numbers
from ._tail_laws import LAWS, Alternative, Law, Pareto, Tail, log_steps
from ._zeta import zeta_draws, zeta_exponents, zeta_sums

ALTERNATIVES = tuple(LAWS)
"""The laws that a Pareto tail is compared with."""

SIGNIFICANCE = 0.1
"""Smaller p-values reject a Pareto tail, or settle the sign of a likelihood ratio (CSN, 4.1 and 5.1)."""


@_interop.comparable
class TailBootstrap(NamedTuple):
    """Fits to replicates of the data under the fitted tail; made by `fit_tail`.

    Attributes
    ----------
    distances, exponents, thresholds : float arrays, shape (B,)
        As in `TailFit`, one for each replicate.
    """

    distances: Float[np.ndarray, "replicates"]
    exponents: Float[np.ndarray, "replicates"]
    thresholds: Float[np.ndarray, "replicates"]


@dataclass(frozen=True)
class TailComparison:
    """A Pareto tail against one other law above the same threshold, both fitted by maximum likelihood.

    Attributes
    ----------
    name : str
        The other law, one of `ALTERNATIVES`.
    parameters : dict of str to float
        Its parameters, in units of the masses: see `fit_tail`.
    log_likelihood_ratio : float
        Of the Pareto law over the other, in nats: below zero, the other fits better.
    statistic : float
        The ratio over its standard deviation, Vuong's statistic; a standard normal number where both laws are
        equally close to the truth. Zero where the ratio is no larger than the rounding of its terms.
    p_value : float
        Two-sided, of the sign of the ratio. Where the Pareto law is a special case of the other, of the
        chi-square test with one degree of freedom. 1 where the ratio is within rounding.
    nested : bool
        Whether that is so.
    """

    name: str
    parameters: dict[str, float]
    log_likelihood_ratio: float
    statistic: float
    p_value: float
    nested: bool
    law: Alternative = field(repr=False, compare=False)

    @classmethod
    def of(cls, name: str, tail: Tail, alpha: float) -> "TailComparison":
        """The comparison with the law of that name; `alpha` is the most likely Pareto exponent."""
        law = LAWS[name].fit(tail, alpha)
        pareto, other = Pareto(alpha).log_density(tail), law.log_density(tail)
        ratios = pareto - other
        total, n = float(tail.counts @ ratios), float(tail.counts.sum())
        deviation = math.sqrt(float(tail.counts @ (ratios - total / n) ** 2))
        statistic = total / deviation if deviation else 0.0
        # Of the chi-square law with one degree of freedom at twice the ratio, or of the normal law.
        p = math.erfc(math.sqrt(abs(total)) if law.nested else abs(statistic) / math.sqrt(2))
        # Of masses that nearly coincide: no more than a few roundings of its terms, or of 1, has a sign.
        size = float(tail.counts @ (1 + np.abs(pareto) + np.abs(other)))
        if abs(total) <= 4 * np.finfo(np.float64).eps * size:
            statistic, p = 0.0, 1.0
        return cls(name, law.parameters(tail), total, statistic, p, law.nested, law)

    @property
    def winner(self) -> str:
        """Which law fits better: "pareto", the other's name, or "undecided" where p_value >= 0.1."""
        if self.p_value >= SIGNIFICANCE:
            return "undecided"
        return "pareto" if self.log_likelihood_ratio > 0 else self.name


@_interop.comparable
@dataclass(frozen=True, eq=False)
class TailFit:
    """A Pareto tail fitted to data; made by `fit_tail`.

    Attributes
    ----------
    exponent : float
        Of the survival function, alpha > 0. Up to 1 the mean is infinite, and no `ParetoMass` has it.
    standard_error : float
        Of the exponent, for large tails, with the threshold taken as known.
    threshold : float
        x_m, the least mass of the tail.
    threshold_given : bool
        Whether the caller chose it.
    distance : float
        Kolmogorov-Smirnov distance of the tail from the fitted law: see `fit_tail`.
    discrete : bool
        Whether the law is that of integers.
    values, counts : arrays, shape (V,)
        All the data: distinct masses, ascending, and how often each occurs.
    bootstrap : TailBootstrap or None
        The replicates behind the p-value.
    """

    exponent: float
    standard_error: float
    threshold: float
    threshold_given: bool
    distance: float
    discrete: bool
    values: Num[np.ndarray, " values"]
    counts: Int[np.ndarray, " values"]
    bootstrap: TailBootstrap | None = None

    def __repr__(self) -> str:
        kind = "integers" if self.discrete else "masses"
        p = "" if self.p_value is None else f", p_value={self.p_value:.3g}"
        return (
            f"TailFit(exponent={self.exponent:.6g}, threshold={self.threshold:.6g}, "
            f"distance={self.distance:.3g}, {self.n_tail:,} of {self.n:,} {kind}{p})"
        )

    @property
    def density_exponent(self) -> float:
        """Exponent of the density or of the mass function, alpha + 1: the one that CSN write alpha."""
        return self.exponent + 1

    @property
    def n(self) -> int:
        """Number of data points."""
        return int(self.counts.sum())

    @property
    def n_tail(self) -> int:
        """Number of data points in the tail."""
        return int(self.counts[self.values >= self.threshold].sum())

    @property
    def mass_share(self) -> float:
        """Share of the total mass that lies in the tail."""
        shares = self.values / self.values[-1] * self.counts
        return float(shares[self.values >= self.threshold].sum() / shares.sum())

    @property
    def p_value(self) -> float | None:
        """Share of the replicates whose distance is at least the data's; None without a bootstrap."""
        return None if self.bootstrap is None else float(np.mean(self.bootstrap.distances >= self.distance))

    @property
    def p_value_error(self) -> float | None:
        """Largest Monte Carlo standard error of `p_value`, 1 / (2 sqrt(B)); None without a bootstrap."""
        return None if self.bootstrap is None else 0.5 / math.sqrt(len(self.bootstrap.distances))

    @property
    def plausible(self) -> bool | None:
        """Whether a Pareto tail is plausible, a p-value above 0.1; None without a bootstrap."""
        return None if self.p_value is None else self.p_value > SIGNIFICANCE

    @property
    def beaten_by(self) -> tuple[str, ...]:
        """Alternatives that fit significantly better, the best first."""
        found = sorted(self.comparisons, key=lambda each: each.log_likelihood_ratio)
        return tuple(each.name for each in found if each.winner == each.name)

    @cached_property
    def log_likelihood(self) -> float:
        """Logarithm of the tail's likelihood in nats; in continuous data, of densities of x."""
        tail = self._tail()
        value = float(tail.counts @ Pareto(self.exponent).log_density(tail))
        return value if self.discrete else value - float(tail.counts @ np.log(tail.values))

    @cached_property
    def comparisons(self) -> tuple[TailComparison, ...]:
        """The Pareto tail against each of `ALTERNATIVES`; worked out when first asked for, then kept."""
        tail = self._tail()
        return tuple(TailComparison.of(name, tail, self.exponent) for name in ALTERNATIVES)

    def _tail(self) -> Tail:
        return Tail.above(self.threshold, self.values, self.counts, self.discrete)

    def survival(
        self, x: Annotated[Numbers, "..."], model: str = "pareto"
    ) -> Float[np.ndarray, "..."] | np.float64:
        """P(X >= x) inside the tail, under the Pareto law or an alternative.

        Parameters
        ----------
        x : array_like of any shape
            Finite and > 0. Up to the threshold the answer is 1.
        model : str
            "pareto" or one of `ALTERNATIVES`.

        Returns
        -------
        float64 or ndarray, shape of `x`
            Times ``n_tail / n`` it is the share of all data.

        Raises
        ------
        TypeError
            If `x` is not an array of real numbers.
        ValueError
            If an entry of `x` is not finite and > 0, or `model` is unknown.

        Examples
        --------
        >>> fit = fit_tail([1.0, 2.0, 4.0, 8.0], threshold=1)
        >>> fit.survival([0.5, 1, 16]).round(6)
        array([1.      , 1.      , 0.069483])
        """
        laws: dict[str, Law] = {"pareto": Pareto(self.exponent)}
        if model != "pareto":
            laws |= {each.name: each.law for each in self.comparisons}
        if model not in laws:
            raise ValueError(f"model = {model!r}: must be one of {', '.join(('pareto', *ALTERNATIVES))}")
        # A count may lie between two floats.
        given = _checks.real_array("x", x).astype(np.float64, copy=False)
        points = np.maximum(_checks.positive("x", given), self.threshold)
        flat = np.ceil(points.ravel()) if self.discrete else points.ravel()
        values = np.exp(laws[model].log_survival(self._tail(), flat)).reshape(points.shape)
        # A 0-d array becomes a number.
        result: Float[np.ndarray, "..."] | np.float64 = values[()]
        return result

    def report(self) -> str:
        """The fit, the test and the comparisons as text, a few lines."""
        kind = "integers" if self.discrete else "masses"
        how = "given" if self.threshold_given else "of least distance"
        moments = {0: "mean infinite: ParetoMass needs an exponent > 1", 1: "mean finite, variance infinite"}
        lines = [
            f"Pareto tail of {self.n:,} {kind}",
            f"  threshold    {self.threshold:.6g}, {how}",
            f"  tail         {self.n_tail:,} {kind} ({self.n_tail / self.n:.1%}), "
            f"{self.mass_share:.1%} of the mass",
            f"  exponent     {self.exponent:.4g} +- {self.standard_error:.2g} of the survival function, "
            f"{self.density_exponent:.4g} of the density",
            f"  moments      {moments.get(math.ceil(self.exponent) - 1, 'mean and variance finite')}",
            f"  distance     {self.distance:.4g} (Kolmogorov-Smirnov)",
        ]
        if self.bootstrap is None:
            lines.append("  p-value      not asked for (n_bootstrap)")
        else:
            low, high = np.quantile(self.bootstrap.thresholds, (0.05, 0.95))
            lines += [
                f"  p-value      {self.p_value:.3g} +- {self.p_value_error:.2g} "
                f"({len(self.bootstrap.distances):,} replicates): a Pareto tail is "
                f"{'plausible' if self.plausible else 'rejected'} at {SIGNIFICANCE}",
                f"  replicates   exponent +- {np.std(self.bootstrap.exponents):.2g}, "
                f"threshold {low:.4g} to {high:.4g} (middle 90 %)",
            ]
        lines.append("  against                log ratio  statistic    p-value  fits better")
        lines += [
            f"    {each.name:21}{each.log_likelihood_ratio:10.4g}{each.statistic:11.3g}{each.p_value:11.3g}"
            f"  {each.winner}"
            for each in self.comparisons
        ]
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Everything but the data and the replicates, ready for JSON; an infinite parameter is None."""
        return {
            "exponent": self.exponent,
            "density_exponent": self.density_exponent,
            "standard_error": self.standard_error,
            "threshold": self.threshold,
            "threshold_given": self.threshold_given,
            "distance": self.distance,
            "discrete": self.discrete,
            "n": self.n,
            "n_tail": self.n_tail,
            "mass_share": self.mass_share,
            "log_likelihood": self.log_likelihood,
            "p_value": self.p_value,
            "p_value_error": self.p_value_error,
            "n_bootstrap": 0 if self.bootstrap is None else len(self.bootstrap.distances),
            "plausible": self.plausible,
            "beaten_by": list(self.beaten_by),
            "comparisons": [
                {
                    "name": each.name,
                    "parameters": {
                        name: value if math.isfinite(value) else None
                        for name, value in each.parameters.items()
                    },
                    "log_likelihood_ratio": each.log_likelihood_ratio,
                    "statistic": each.statistic,
                    "p_value": each.p_value,
                    "nested": each.nested,
                    "winner": each.winner,
                }
                for each in self.comparisons
            ],
        }


def fit_tail(
    masses: Annotated[Numbers, "points"],
    threshold: float | None = None,
    *,
    discrete: bool | None = None,
    min_tail: int = 2,
    max_exponent: float = math.inf,
    n_bootstrap: int = 0,
    rng: np.random.Generator | int | None = None,
    progress: bool = False,
) -> TailFit:
    r"""Pareto tail of masses or counts, by maximum likelihood above a threshold.

    Parameters
    ----------
    masses : array_like, shape (n,)
        Finite and > 0, in any order, on any scale: leaf masses that sum to 1, counts, or others. Leaves of
        mass zero are no draws of a Pareto law; leave them out, and say so.
    threshold : float, optional
        x_m. By default the one of least Kolmogorov-Smirnov distance among the distinct masses but the
        largest; of several, the least.
    discrete : bool, optional
        Whether to fit the law of integers. By default, if `masses` has an integer dtype.
    min_tail : int
        Thresholds that leave fewer points are not tried; at least 2.
    max_exponent : float
        Thresholds that leave an exponent of this or more are not tried.
    n_bootstrap : int
        Number of replicates B for the p-value; its error is at most 1 / (2 sqrt(B)), so 2,500 give 0.01.
        By default none are made.
    rng : numpy.random.Generator or int, optional
        Source of randomness, or a seed >= 0 for a new one. Needed with `n_bootstrap`.
    progress : bool
        Show a progress bar over the replicates on the terminal.

    Returns
    -------
    TailFit

    Raises
    ------
    TypeError
        If `masses` does not hold real numbers, `min_tail` or `n_bootstrap` is not an integer, or `rng` is
        neither a Generator nor an integer.
    ValueError
        If a mass or the threshold is not finite and > 0, or not whole where `discrete`; if the tail has fewer
        than 2 different masses; if no threshold is left to try; or if another argument is out of range.

    Notes
    -----
    *Exponent.* For continuous masses n_tail / sum log(x / x_m), with standard error alpha / sqrt(n_tail); for
    integers the root of the score of the zeta law, with that of the information.

    *Distance.* The largest difference between P(X >= x) in the tail and in the law, as in CSN's programs: for
    integers over all integers x, also those between the data; of n continuous masses the i-th smallest is set
    against 1 - (i - 1) / n, equal ones one by one, as if they nearly coincided. The supremum over all x, that
    of ``scipy.stats.kstest``, is larger by 1/n at most. Rounded masses are tied and replicates are not, so
    that rounding counts against the law; pass counts as integers, not divided by their total.

    *Threshold.* The exact minimum: see the module's docstring. Sorting aside, time is about linear in n.

    *p-value* (CSN, section 4.1). A replicate draws each of n points from the fitted tail with probability
    n_tail / n, and else from the masses below the threshold, and chooses its own threshold. Where the
    threshold was given, it is n_tail points of the tail. A replicate that leaves nothing to fit is redrawn.

    *Alternatives* (CSN, table 2.1), conditional on x >= x_m: lognormal (mu, sigma of log x), exponential
    (density as exp(-lambda x)), stretched exponential (x^(beta-1) exp(-lambda x^beta)), truncated power law
    (x^-density_exponent exp(-lambda x), density_exponent >= 0). For integers the first three are continuous
    variables from x_m - 1/2 on, rounded to the nearest integer, so that mass functions are differences of
    survival functions; the last is the same formula, divided by its sum over all integers from x_m on.

    In continuous data lognormal and stretched exponential have the Pareto law as a limit (mu = -inf, beta =
    0), so they never fit worse: the ratio is at most zero, and zero where the likelihood grows towards that
    limit. The p-value of the truncated power law ignores, as CSN do, that lambda = 0 is the edge of its
    range; half of it would be nearer.

    Examples
    --------
    >>> rng = np.random.default_rng(7)
    >>> fit = fit_tail(1 + rng.pareto(1.5, 2000), n_bootstrap=100, rng=rng)
    >>> fit
    TailFit(exponent=1.52313, threshold=1.11098, distance=0.0133, 1,729 of 2,000 masses, p_value=0.55)
    >>> fit.plausible, fit.beaten_by
    (True, ())

    Exponential masses have no Pareto tail:

    >>> fit_tail(rng.exponential(1, 2000), threshold=0.5).beaten_by[0]
    'truncated power law'
    """
    data = _checks.real_array("masses", masses)
    if data.ndim != 1:
        raise ValueError(f"masses has shape {data.shape}: must be one row of masses")
    bad = ~((data > 0) & (data < np.inf))
    if bad.any():
        rule = "must be finite and > 0; a leaf of mass zero is outside every Pareto law, leave it out"
        _checks.fail_at("masses", data, bad, rule)
    if discrete is None:
        discrete = data.dtype.kind == "i"
    data = _whole("masses", data) if discrete else data.astype(np.float64, copy=False)
    search = _Search(
        threshold is not None,
        _checks.integer("min_tail", min_tail, at_least=2),
        # Infinity is allowed here, and NaN is not.
        max_exponent if max_exponent == math.inf else float(_checks.positive("max_exponent", max_exponent)),
    )
    n_bootstrap = _checks.integer("n_bootstrap", n_bootstrap, at_least=0)
    generator = _checks.generator(rng) if n_bootstrap else None

    values, counts = np.unique(data, return_counts=True)
    row, where = (values, counts), "masses"
    if threshold is not None:
        start = _checks.real_array("threshold", threshold)
        if start.ndim:
            raise ValueError(f"threshold has shape {start.shape}: must be one number")
        least = _checks.positive("threshold", start.astype(np.float64))
        row = _from(_whole("threshold", start) if discrete else least, values, counts)
        where = f"masses from the threshold {threshold!r} on"
    different = np.count_nonzero(row[1])
    if different < 2:
        raise ValueError(f"{where}: {different} different values, and a tail needs at least 2")

    sample = _Sample.of(row[0].astype(np.float64), log_steps(row[0]), row[1], discrete)
    candidates = search.candidates(sample)
    if not len(candidates):
        raise ValueError(
            f"masses: no threshold leaves min_tail = {search.min_tail} points or more and an exponent below "
            f"max_exponent = {search.max_exponent:g}"
        )
    place, distance = _least_distance(sample, candidates)
    bootstrap = None
    if generator is not None:
        bootstrap = _bootstrap(sample, place, search, n_bootstrap, generator, progress)
    return TailFit(
        exponent=float(sample.exponents[place]),
        standard_error=_standard_error(sample, place),
        threshold=row[0][place].item(),
        threshold_given=search.given,
        distance=distance,
        discrete=discrete,
        values=values,
        counts=counts,
        bootstrap=bootstrap,
    )


def _whole(name: str, array: Num[np.ndarray, "..."]) -> Int[np.ndarray, "..."]:
    """`array` as integers, exactly."""
    if array.dtype.kind == "f":
        bad = np.asarray((array != np.floor(array)) | (array >= 2.0**63))
        if bad.any():
            _checks.fail_at(name, array, bad, "must be a whole number below 2**63, as integers are fitted")
    whole: Int[np.ndarray, "..."] = array.astype(np.int64)
    return whole


def _from(
    start: Num[np.ndarray, ""], values: Num[np.ndarray, " values"], counts: Int[np.ndarray, " values"]
) -> tuple[Num[np.ndarray, " tail"], Int[np.ndarray, " tail"]]:
    """Values from `start` on, and first the start itself, even if it does not occur."""
    kept = values > start
    at_start = counts[values == start].sum()
    return np.append(start, values[kept]), np.append(at_start, counts[kept])


class _Sample(NamedTuple):
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
    ) -> "_Sample":
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


class _Search(NamedTuple):
    """Which thresholds are tried."""

    given: bool
    min_tail: int
    max_exponent: float

    def candidates(self, sample: _Sample) -> Int[np.ndarray, " candidates"]:
        if self.given:
            return np.zeros(1, dtype=np.int64)
        return np.flatnonzero(
            (sample.at_least[:-1] >= self.min_tail) & (sample.exponents < self.max_exponent)
        )


def _least_distance(sample: _Sample, candidates: Int[np.ndarray, " candidates"]) -> tuple[int, float]:
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


def _standard_error(sample: _Sample, place: int) -> float:
    """Of the exponent, from the information: the variance of log x under the law, times the points."""
    alpha = sample.exponents[place : place + 1]
    variance = alpha**-2
    if sample.sums is not None:
        zeroth, first, second = zeta_sums(alpha + 1, sample.values[place : place + 1], moments=True)
        variance = second / zeroth - (first / zeroth) ** 2
    return float(1 / np.sqrt(variance[0] * sample.at_least[place]))


def _bootstrap(
    sample: _Sample,
    place: int,
    search: _Search,
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
                values, counts = _from(np.asarray(start), values, counts)
            if np.count_nonzero(counts) < 2:
                continue
            again = _Sample.of(values, log_steps(values) if discrete else np.diff(values), counts, discrete)
            candidates = search.candidates(again)
            if len(candidates):
                found, distance = _least_distance(again, candidates)
                return distance, float(again.exponents[found]), float(values[found])

    rounds = _checks.tracked(range(n_bootstrap), "Replicating", progress)
    distances, exponents, thresholds = np.array([replicate() for _ in rounds]).T
    if not discrete:
        thresholds = np.exp(math.log(sample.values[0]) + thresholds)
    return TailBootstrap(distances, exponents, thresholds)
