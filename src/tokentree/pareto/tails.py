r"""Heavy tails: a Pareto law fitted to masses or counts, tested, and compared with four other laws.

The method is that of Clauset, Shalizi and Newman, *Power-law distributions in empirical data*, SIAM Review 51
(2009), 661-703, "CSN" below: maximum likelihood above a threshold, the threshold of least Kolmogorov-Smirnov
distance, a bootstrap p-value, and Vuong's likelihood ratios.

**Two exponents.** `exponent` is that of the survival function, P(X >= x) = (x / x_m)^-alpha, as in Assumption
A.7 and `ParetoMass`. CSN and most software name the exponent of the density, alpha + 1: `density_exponent`.
For counts the law is x^-(alpha + 1) / zeta(alpha + 1, x_m) on the integers from x_m on.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any

import numpy as np
from jaxtyping import Bool, Float, Int, Num

from .._lib import checks
from .._lib.checks import Numbers
from .._lib.results import Result, plain
from .exponential import Exponential, StretchedExponential
from .law import Alternative, Law, Pareto, Tail
from .lognormal import Lognormal
from .truncated import TruncatedPowerLaw

LAWS: dict[str, type[Alternative]] = {
    "lognormal": Lognormal,
    "exponential": Exponential,
    "stretched exponential": StretchedExponential,
    "truncated power law": TruncatedPowerLaw,
}

ALTERNATIVES = tuple(LAWS)
"""The laws with which a Pareto tail is compared."""

SIGNIFICANCE = 0.1
"""Smaller p-values reject a Pareto tail, or settle the sign of a likelihood ratio (CSN, 4.1 and 5.1)."""


@dataclass(frozen=True, eq=False, repr=False)
class TailBootstrap(Result):
    """Fits to replicates of the data under the fitted tail; made by `fit_tail`.

    Attributes
    ----------
    distances, exponents, thresholds : float arrays, shape (B,)
        As in `TailFit`, one per replicate.
    """

    distances: Float[np.ndarray, "replicates"]
    exponents: Float[np.ndarray, "replicates"]
    thresholds: Float[np.ndarray, "replicates"]


@dataclass(frozen=True, eq=False, repr=False)
class TailComparison(Result):
    """A Pareto tail compared with another law above the same threshold, both fitted by maximum likelihood.

    `to_frame` has one row, with the winner and a column per parameter.

    Attributes
    ----------
    name : str
        The other law, one of `ALTERNATIVES`.
    parameters : dict of str to float
        Its parameters, in units of the masses: see `fit_tail`.
    log_likelihood_ratio : float
        Log-likelihood of the Pareto law minus that of the other, in nats: below zero, the other fits better.
    statistic : float
        The ratio divided by its standard deviation, Vuong's statistic; standard normal if both laws are
        equally close to the truth. Zero if the ratio is no larger than the rounding of its terms.
    p_value : float
        Two-sided p-value of the sign of the ratio; if the Pareto law is a special case of the other, of the
        chi-square test with one degree of freedom. 1 if the ratio is within rounding.
    nested : bool
        Whether the Pareto law is a special case of the other.
    """

    name: str
    parameters: dict[str, float]
    log_likelihood_ratio: float
    statistic: float
    p_value: float
    nested: bool

    @classmethod
    def of(cls, name: str, law: Alternative, tail: Tail, alpha: float) -> "TailComparison":
        """The comparison with the law of this name; `alpha` is the most likely Pareto exponent."""
        pareto, other = Pareto(alpha).log_density(tail), law.log_density(tail)
        ratios = pareto - other
        total, n = float(tail.counts @ ratios), float(tail.counts.sum())
        deviation = math.sqrt(float(tail.counts @ (ratios - total / n) ** 2))
        statistic = total / deviation if deviation else 0.0
        # From the chi-square law with one degree of freedom at twice the ratio, or from the normal law.
        p = math.erfc(math.sqrt(abs(total)) if law.nested else abs(statistic) / math.sqrt(2))
        # For nearly equal masses: a ratio within a few roundings of its terms, or of 1, has no sign.
        size = float(tail.counts @ (1 + np.abs(pareto) + np.abs(other)))
        if abs(total) <= 4 * np.finfo(np.float64).eps * size:
            statistic, p = 0.0, 1.0
        return cls(name, law.parameters(tail), total, statistic, p, law.nested)

    @property
    def winner(self) -> str:
        """Which law fits better: "pareto", the other's name, or "undecided" if p_value >= 0.1."""
        if self.p_value >= SIGNIFICANCE:
            return "undecided"
        return "pareto" if self.log_likelihood_ratio > 0 else self.name

    def to_dict(self) -> dict[str, Any]:
        """The attributes and the winner, ready for JSON; an infinite parameter is None."""
        return super().to_dict() | {"winner": self.winner}

    def _columns(self) -> tuple[Mapping[str, Any], *tuple[str, ...]]:
        found = vars(self) | self.parameters | {"winner": self.winner}
        return {name: value for name, value in found.items() if name != "parameters"}, "name"


@dataclass(frozen=True, eq=False, repr=False)
class TailFit(Result):
    """A Pareto tail fitted to data; made by `fit_tail`.

    `to_frame` has one row, so that tables of many fits can be concatenated.

    Attributes
    ----------
    exponent : float
        Exponent of the survival function, alpha > 0. For alpha <= 1 the mean is infinite, and there is no
        such `ParetoMass`. With an upper end it is any real number, and the mean is finite.
    standard_error : float
        Standard error of the exponent, for large tails, with the threshold taken as known.
    threshold : float
        x_m, the smallest mass of the tail.
    threshold_given : bool
        Whether the caller chose the threshold.
    distance : float
        Kolmogorov-Smirnov distance of the tail from the fitted law: see `fit_tail`.
    discrete : bool
        Whether the law is that of integers.
    values, counts : arrays, shape (V,)
        All the data: distinct masses, ascending, and the multiplicity of each.
    upper : float
        x_M, the upper end of the tail and of the laws; infinite if there is none.
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
    upper: float = math.inf
    bootstrap: TailBootstrap | None = None

    def __repr__(self) -> str:
        kind = "integers" if self.discrete else "masses"
        verdict = f"Pareto tail {'plausible' if self.plausible else 'rejected'}"
        p = "" if self.p_value is None else f", p_value={self.p_value:.3g}: {verdict}"
        upper = "" if self.upper == math.inf else f"upper={self.upper:.6g}, "
        return (
            f"TailFit(exponent={self.exponent:.6g}, threshold={self.threshold:.6g}, {upper}"
            f"distance={self.distance:.3g}, {self.n_tail:,} of {self.n:,} {kind}{p})"
        )

    @property
    def density_exponent(self) -> float:
        """Exponent of the density or of the mass function, alpha + 1, written alpha by CSN."""
        return self.exponent + 1

    @property
    def n(self) -> int:
        """Number of data points."""
        return int(self.counts.sum())

    @property
    def n_tail(self) -> int:
        """Number of data points in the tail."""
        return int(self.counts[self._inside].sum())

    @property
    def mass_share(self) -> float:
        """Share of the total mass in the tail."""
        shares = self.values / self.values[-1] * self.counts
        return float(shares[self._inside].sum() / shares.sum())

    @property
    def n_above(self) -> int:
        """Number of data points above the upper end, which are not in the tail."""
        return int(self.counts[self.values > self.upper].sum())

    @property
    def _inside(self) -> Bool[np.ndarray, " values"]:
        inside: Bool[np.ndarray, " values"] = (self.values >= self.threshold) & (self.values <= self.upper)
        return inside

    @property
    def p_value(self) -> float | None:
        """Share of replicates with at least the distance of the data; None without a bootstrap."""
        return None if self.bootstrap is None else float(np.mean(self.bootstrap.distances >= self.distance))

    @property
    def p_value_error(self) -> float | None:
        """Largest Monte Carlo standard error of `p_value`, 1 / (2 sqrt(B)); None without a bootstrap."""
        return None if self.bootstrap is None else 0.5 / math.sqrt(len(self.bootstrap.distances))

    @property
    def plausible(self) -> bool | None:
        """Whether a Pareto tail is plausible (p-value above 0.1); None without a bootstrap."""
        return None if self.p_value is None else self.p_value > SIGNIFICANCE

    @property
    def beaten_by(self) -> tuple[str, ...]:
        """Alternatives that fit significantly better, best first."""
        found = sorted(self.comparisons, key=lambda each: each.log_likelihood_ratio)
        return tuple(each.name for each in found if each.winner == each.name)

    @cached_property
    def log_likelihood(self) -> float:
        """Log-likelihood of the tail in nats; for continuous data, from densities of x."""
        tail = self._tail()
        value = float(tail.counts @ Pareto(self.exponent).log_density(tail))
        return value if self.discrete else value - float(tail.counts @ np.log(tail.values))

    @cached_property
    def comparisons(self) -> tuple[TailComparison, ...]:
        """The Pareto tail compared with each of `ALTERNATIVES`; computed on first access, then kept."""
        tail = self._tail()
        return tuple(TailComparison.of(name, law, tail, self.exponent) for name, law in self._laws.items())

    @cached_property
    def _laws(self) -> dict[str, Alternative]:
        tail = self._tail()
        return {name: law.fit(tail, self.exponent) for name, law in LAWS.items()}

    def _tail(self) -> Tail:
        inside = self._inside
        return Tail.above(self.threshold, self.values[inside], self.counts[inside], self.discrete, self.upper)

    def survival(
        self, x: Annotated[Numbers, "..."], model: str = "pareto"
    ) -> Float[np.ndarray, "..."] | np.float64:
        """P(X >= x) inside the tail, under the Pareto law or an alternative.

        Parameters
        ----------
        x : array_like of any shape
            Finite and > 0. The result is 1 up to the threshold, and 0 above an upper end.
        model : str
            "pareto" or one of `ALTERNATIVES`.

        Returns
        -------
        float64 or ndarray, shape of `x`
            Multiplied by ``n_tail / n`` it is the share of all data from x on, up to `upper`.

        Raises
        ------
        TypeError
            If `x` is not an array of real numbers.
        ValueError
            If an entry of `x` is not finite and > 0, or `model` is unknown.

        Examples
        --------
        >>> from tokentree import fit_tail
        >>> fit = fit_tail([1.0, 2.0, 4.0, 8.0], threshold=1)
        >>> fit.survival([0.5, 1, 16]).round(6)
        array([1.      , 1.      , 0.069483])
        """
        if model not in ("pareto", *ALTERNATIVES):
            raise ValueError(f"model = {model!r}: must be one of {', '.join(('pareto', *ALTERNATIVES))}")
        law: Law = Pareto(self.exponent) if model == "pareto" else self._laws[model]
        # A count may lie between two floats.
        given = checks.real_array("x", x).astype(np.float64, copy=False)
        points = np.maximum(checks.positive("x", given), self.threshold)
        flat = np.ceil(points.ravel()) if self.discrete else points.ravel()
        values = np.where(
            flat <= self.upper, np.exp(law.log_survival(self._tail(), np.minimum(flat, self.upper))), 0.0
        ).reshape(points.shape)
        # A 0-d array becomes a number.
        result: Float[np.ndarray, "..."] | np.float64 = values[()]
        return result

    def report(self) -> str:
        """The fit, the test and the comparisons as a few lines of text."""
        kind = "integers" if self.discrete else "masses"
        how = "given" if self.threshold_given else "of least distance"
        moments = "mean and variance finite"
        if self.exponent <= 2 and self.upper == math.inf:
            moments = "mean finite, variance infinite"
            if self.exponent <= 1:
                moments = "mean infinite: ParetoMass needs an exponent > 1"
        lines = [
            f"Pareto tail of {self.n:,} {kind}",
            f"  threshold    {self.threshold:.6g}, {how}",
            *(
                []
                if self.upper == math.inf
                else [f"  upper end    {self.upper:.6g}, {self.n_above:,} above it"]
            ),
            f"  tail         {self.n_tail:,} {kind} ({self.n_tail / self.n:.1%}), "
            f"{self.mass_share:.1%} of the mass",
            f"  exponent     {self.exponent:.4g} +- {self.standard_error:.2g} of the survival function, "
            f"{self.density_exponent:.4g} of the density",
            f"  moments      {moments}",
            f"  distance     {self.distance:.4g} (Kolmogorov-Smirnov)",
        ]
        if self.bootstrap is None:
            lines.append("  p-value      not requested (n_bootstrap)")
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
        """Everything except the data and the replicates, ready for JSON; an infinite parameter is None."""
        compared = {"beaten_by": self.beaten_by, "comparisons": self.comparisons}
        return {name: plain(value) for name, value in (self._figures() | compared).items()}

    def _figures(self) -> dict[str, Any]:
        return {
            "exponent": self.exponent,
            "density_exponent": self.density_exponent,
            "standard_error": self.standard_error,
            "threshold": self.threshold,
            "threshold_given": self.threshold_given,
            "upper": None if self.upper == math.inf else self.upper,
            "distance": self.distance,
            "discrete": self.discrete,
            "n": self.n,
            "n_tail": self.n_tail,
            "n_above": self.n_above,
            "mass_share": self.mass_share,
            "log_likelihood": self.log_likelihood,
            "p_value": self.p_value,
            "p_value_error": self.p_value_error,
            "n_bootstrap": 0 if self.bootstrap is None else len(self.bootstrap.distances),
            "plausible": self.plausible,
        }

    def _columns(self) -> tuple[Mapping[str, Any], *tuple[str, ...]]:
        return (self._figures() | {"beaten_by": ", ".join(self.beaten_by)},)
