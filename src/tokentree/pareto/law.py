"""A tail above one threshold, the interface of its laws, and the Pareto law, all by maximum likelihood.

For integers the lognormal, exponential and stretched exponential laws are those of a continuous variable from
x_m - 1/2 on, rounded to the nearest integer: mass functions are differences of survival functions, and their
sum is exactly 1. The truncated power law is a formula for the mass function, divided by its sum.

In continuous data write u = log(x / x_m). Lognormal and stretched exponential laws have the Pareto law as a
limit, and the likelihood grows away from it if and only if the mean of u^2 is below twice the squared mean of
u. It has one maximum, as their modules explain.

A tail may have an upper end, x_M. Its laws are then those of x_m <= x <= x_M, or for integers of a continuous
variable from x_m - 1/2 to x_M + 1/2, rounded.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
from jaxtyping import Float, Int, Num

from . import bounded
from .zeta import zeta_sums


def log_steps(values: Num[np.ndarray, " values"], shift: float = 0.0) -> Float[np.ndarray, " steps"]:
    """Logarithms of the ratios of neighbours in an ascending row less a shift, to the last digit."""
    edges = values.astype(np.float64) - shift
    with np.errstate(over="ignore"):
        # From the values themselves: integers may be too large for floats to distinguish.
        growth = np.diff(values) / edges[:-1]
    steps: Float[np.ndarray, " steps"] = np.where(
        growth < np.inf, np.log1p(growth), np.log(edges[1:]) - np.log(edges[:-1])
    )
    return steps


class Tail(NamedTuple):
    """Data from a threshold on. The start is the threshold, or for integers 1/2 below it."""

    discrete: bool
    threshold: float
    start: float
    values: Float[np.ndarray, " values"]
    counts: Float[np.ndarray, " values"]
    logs: Float[np.ndarray, " values"]
    """Logarithms of the values over the start, or for integers of the lower edges of their cells."""
    widths: Float[np.ndarray, " values"]
    """Widths of the cells, in the same logarithms; zero for continuous data."""
    excess: Float[np.ndarray, " values"]
    """Differences between the values and the threshold."""
    centre: float
    """Mean of the logs."""
    offsets: Float[np.ndarray, " values"]
    """Logs minus their centre, to the last digit even for closely spaced data far above the start."""
    upper: float
    """The upper end; infinite if there is none."""
    length: float
    """Logarithm of the upper end over the start, or for integers of the upper edge of its cell."""

    @classmethod
    def above(
        cls,
        threshold: float,
        values: Num[np.ndarray, " values"],
        counts: Int[np.ndarray, " values"],
        discrete: bool,
        upper: float = math.inf,
    ) -> "Tail":
        kept = values >= threshold
        shift = 0.5 if discrete else 0.0
        row = np.concatenate([[threshold], values[kept]])
        steps, start, edges = log_steps(row, shift), float(threshold) - shift, values[kept] - shift
        weights = counts[kept].astype(np.float64)
        above_first = np.append(0.0, steps[1:].cumsum())
        mean = float(weights @ above_first / weights.sum())
        return cls(
            discrete,
            threshold,
            start,
            values[kept].astype(np.float64),
            weights,
            steps.cumsum(),
            np.log1p(1 / edges) if discrete else np.zeros(len(edges)),
            (values[kept] - threshold).astype(np.float64),
            float(steps[0]) + mean,
            above_first - mean,
            float(upper),
            math.inf
            if upper == math.inf
            else float(log_steps(np.array([threshold, upper + 2 * shift]), shift)[0]),
        )

    @property
    def most(self) -> float:
        return float(self.values[-1])

    @property
    def ratios(self) -> Float[np.ndarray, " values"]:
        """Logarithms of the values over the threshold."""
        if not self.discrete:
            return self.logs
        ratios: Float[np.ndarray, " values"] = np.log1p(self.excess / self.threshold)
        return ratios

    def mean(self, rows: Float[np.ndarray, " values"]) -> float:
        return float(self.counts @ rows / self.counts.sum())

    def ends_heavy(self, alpha: float) -> bool:
        """Whether the logs vary at least as much as under the most likely Pareto law."""
        variance = self.centre**2
        if self.length < math.inf:
            variance = self.length**2 * float(bounded.moments(np.array(abs(alpha) * self.length))[1])
        return self.mean(self.offsets**2) >= variance

    def points(self, x: Float[np.ndarray, " points"]) -> Float[np.ndarray, " points"]:
        """Logarithms above the start of points of the support, or of the lower edges of their cells."""
        logs: Float[np.ndarray, " points"] = np.log(x - 0.5 if self.discrete else x) - math.log(self.start)
        return logs


class Law(ABC):
    """One law of a tail."""

    @abstractmethod
    def log_density(self, tail: Tail) -> Float[np.ndarray, " values"]:
        """Log density of log x, or for integers log mass function, at the values."""

    @abstractmethod
    def log_survival(self, tail: Tail, x: Float[np.ndarray, " points"]) -> Float[np.ndarray, " points"]:
        """Log P(X >= x) at points of the support."""


class Alternative(Law):
    """An alternative law, with parameters relative to the tail so that no power of a mass overflows."""

    nested: ClassVar[bool] = False
    """Whether the Pareto law is a special case, for integers too."""

    @classmethod
    @abstractmethod
    def fit(cls, tail: Tail, alpha: float) -> "Alternative":
        """The most likely law of this kind; `alpha` is the most likely Pareto exponent."""

    @abstractmethod
    def parameters(self, tail: Tail) -> dict[str, float]:
        """The parameters in units of the masses."""


_L = TypeVar("_L", bound=Law)


def climb(
    law: Callable[[float, float], _L],
    tail: Tail,
    starts: list[tuple[float, float]],
    bounds: list[tuple[float | None, float | None]],
) -> _L:
    """The most likely two-parameter law, from several starts: likelihoods are flat far from the data."""
    from scipy import optimize

    def cost(at: npt.NDArray[np.float64]) -> float:
        value = -tail.mean(law(float(at[0]), float(at[1])).log_density(tail))
        return value if math.isfinite(value) else math.inf

    options: Any = {"ftol": 1e-13, "gtol": 1e-9, "maxiter": 200}
    # Far from the data, densities may leave the range of float64.
    with np.errstate(all="ignore"):
        found = [
            optimize.minimize(
                cost, np.array(start), method="L-BFGS-B", jac="3-point", bounds=bounds, options=options
            )
            for start in starts
        ]
    best = min(found, key=lambda each: float(each.fun)).x
    return law(float(best[0]), float(best[1]))


@dataclass(frozen=True)
class Pareto(Law):
    """The Pareto law, and for integers the zeta law."""

    alpha: float

    def log_density(self, tail: Tail) -> Float[np.ndarray, " values"]:
        if not tail.discrete:
            if tail.length == math.inf:
                return math.log(self.alpha) - self.alpha * tail.logs
            size, logs = abs(self.alpha), tail.logs if self.alpha >= 0 else tail.length - tail.logs
            whole = float(bounded.log_integral(np.array(size * tail.length)))
            return -size * logs - math.log(tail.length) - whole
        s, ratios = self.alpha + 1, tail.ratios
        scale = zeta_sums(np.array([s]), np.array([float(tail.threshold)]), upper=tail.upper)[0, 0]
        if s < 0:
            ratios = np.log1p((tail.values - tail.upper) / tail.upper)
        return -s * ratios - math.log(scale)

    def log_survival(self, tail: Tail, x: Float[np.ndarray, " points"]) -> Float[np.ndarray, " points"]:
        u = np.log(x) - math.log(tail.threshold)
        if not tail.discrete and tail.length < math.inf:
            length = np.array(tail.length)
            with np.errstate(divide="ignore"):
                return np.asarray(
                    np.log(bounded.survival(np.array(self.alpha), np.minimum(u, length), length))
                )
        values: Float[np.ndarray, " points"] = -self.alpha * u
        if tail.discrete:
            # A sum over x is zeta(s, x) x^(s - 1) in units where an integral is 1 / alpha.
            s, ends = np.full(len(x) + 1, self.alpha + 1), np.append(x, float(tail.threshold))
            sums = zeta_sums(s, np.minimum(ends, tail.upper), upper=tail.upper)[0]
            if self.alpha < -1:
                # In units of the last term.
                return np.asarray(np.log(sums[:-1] / sums[-1]))
            sums = sums / ends
            values = values + np.log(sums[:-1] / sums[-1])
        return values
