"""The exponential and stretched exponential tails.

In continuous data, with u = log(x / x_m), (exp(beta u) - 1) / beta is log-convex in beta: it is the integral
of exp(beta v) over v from 0 to u. So the profile likelihood of the stretched exponential's beta is concave.
"""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from . import bounded
from .law import Alternative, Pareto, Tail, climb


@dataclass(frozen=True)
class StretchedExponential(Alternative):
    """P(U > u) = exp(-rate (exp(beta v) - exp(-beta c)) / beta), v = u - c, c the tail's centre."""

    rate: float
    """The local exponent at the centre."""
    beta: float
    """Zero for the Pareto law."""

    @classmethod
    def fit(cls, tail: Tail, alpha: float) -> "StretchedExponential":
        from scipy import optimize

        # Beyond this, the weight of the largest value is exp(600) times any other.
        bound = math.log(600 / float(tail.offsets[-1] + tail.widths[-1] - tail.offsets[0]))

        def most_likely(log_beta: float) -> "StretchedExponential":
            beta = math.exp(log_beta)
            return cls(1 / tail.mean(cls(1.0, beta)._hazard(tail.logs, tail.offsets)), beta)

        def cost(log_beta: float) -> float:
            return -math.log(most_likely(log_beta).rate)

        least = math.log(1e-9 / tail.centre)
        ended = tail.length < math.inf
        if not tail.discrete and not ended and tail.ends_heavy(alpha):
            return cls(alpha, 0.0)
        found = optimize.minimize_scalar(
            cost, bounds=(least, bound), method="bounded", options={"xatol": 1e-8}
        )
        law = most_likely(found.x)
        if not tail.discrete and not ended:
            return law
        # Uses the lower edges of the cells.
        low = math.log(1e-6 / tail.centre)
        starts = [(math.log(law.rate), max(math.log(law.beta), low))]
        if alpha > 0:
            starts.append((math.log(alpha), low + math.log(1e3)))
        if ended:
            # Towards the increasing power law.
            starts.append((math.log(1e-3 / tail.length), math.log(max(-alpha, 1e-3 / tail.length))))
        law = climb(
            lambda log_rate, log_beta: cls(math.exp(log_rate), math.exp(log_beta)),
            tail,
            starts,
            [(-600.0, 60.0), (low, bound)],
        )
        if not tail.discrete and tail.mean(law.log_density(tail) - Pareto(alpha).log_density(tail)) <= 0:
            return cls(alpha, 0.0)
        return law

    def _hazard(
        self, u: Float[np.ndarray, " points"], v: Float[np.ndarray, "..."]
    ) -> Float[np.ndarray, " points"]:
        # Avoids differences of large numbers, and powers of the distance to the start.
        hazard: Float[np.ndarray, " points"] = (
            self.rate * np.exp(self.beta * v) * (-np.expm1(-self.beta * u) / self.beta)
        )
        return hazard

    def log_density(self, tail: Tail) -> Float[np.ndarray, " values"]:
        if not self.beta:
            return Pareto(self.rate).log_density(tail)
        growth, hazard = self.beta * tail.offsets, self._hazard(tail.logs, tail.offsets)
        if not tail.discrete:
            log_density: Float[np.ndarray, " values"] = math.log(self.rate) + growth - hazard
            return log_density - self._log_share(tail)
        log_step = math.log(self.rate / self.beta) + growth + np.log(np.expm1(self.beta * tail.widths))
        # log(1 - exp(-step)) is log(step) long before the step underflows.
        share = np.log(-np.expm1(-np.exp(np.maximum(log_step, -40.0))))
        density: Float[np.ndarray, " values"] = np.where(log_step < -40, log_step, share) - hazard
        return density - self._log_share(tail)

    def _log_share(self, tail: Tail) -> float:
        """Logarithm of the mass of the unbounded law below the tail's end."""
        if tail.length == math.inf:
            return 0.0
        end = np.array([tail.length])
        with np.errstate(over="ignore", under="ignore"):
            return math.log(-math.expm1(-float(self._hazard(end, end - tail.centre)[0])))

    def log_survival(self, tail: Tail, x: Float[np.ndarray, " points"]) -> Float[np.ndarray, " points"]:
        u = tail.points(x)
        if not self.beta:
            return Pareto(self.rate).log_survival(tail, x)
        with np.errstate(over="ignore", under="ignore", divide="ignore"):
            hazard = self._hazard(u, u - tail.centre)
            if tail.length == math.inf:
                return -hazard
            # The mass from x to the end, without the difference of two hazards.
            rest = self._hazard(np.maximum(tail.length - u, 0.0), np.array(tail.length - tail.centre))
            return np.asarray(np.log(-np.expm1(-rest)) - hazard - self._log_share(tail))

    def parameters(self, tail: Tail) -> dict[str, float]:
        if not self.beta:
            # With an upper end there is another limit, as the exponent falls: an increasing power law.
            return {"lambda": math.inf, "beta": 0.0} if self.rate > 0 else {"lambda": 0.0, "beta": -self.rate}
        with np.errstate(over="ignore", under="ignore"):
            centre = math.log(tail.start) + tail.centre
            scale = np.exp(math.log(self.rate / self.beta) - self.beta * centre)
        return {"lambda": float(scale), "beta": self.beta}


@dataclass(frozen=True)
class Exponential(Alternative):
    """Density of x as exp(-rate x / most), where most is the largest value: then no sum overflows."""

    rate: float
    """Any real number if the tail has an upper end."""

    @classmethod
    def fit(cls, tail: Tail, alpha: float) -> "Exponential":
        mean = tail.mean(tail.excess / tail.most)
        if tail.length < math.inf:
            return cls._ended(tail, mean)
        return cls(tail.most * math.log1p(1 / (mean * tail.most)) if tail.discrete else 1 / mean)

    @classmethod
    def _ended(cls, tail: Tail, mean: float) -> "Exponential":
        from scipy import optimize

        span = cls._span(tail)
        # The distance to the end, for continuous data or for the middles of cells.
        half = 0.5 / tail.most if tail.discrete else 0.0
        rest = tail.mean((tail.upper - tail.values) / tail.most)
        rate = float(bounded.rates(np.array([mean + half]), np.array([rest + half]))[0])
        if not tail.discrete:
            return cls(rate)

        def off(y: float) -> float:
            # The mean of a variable rounded down is its own mean minus the mean of the fraction cut off.
            whole, cell = (
                float(bounded.moments(np.array(abs(y) * part))[0]) for part in (1.0, half / span * 2)
            )
            low = whole * span - cell * 2 * half
            return low - mean if y >= 0 else rest - low

        # Means of middles have an error of less than half a cell.
        y, reach = rate * span, 1.0
        while off(y - reach) < 0 or off(y + reach) > 0:
            reach *= 2
        return cls(float(optimize.brentq(off, y - reach, y + reach, xtol=1e-13)) / span)

    @staticmethod
    def _span(tail: Tail) -> float:
        """Length from start to end, in units of the largest value."""
        return (tail.upper - tail.threshold + (1 if tail.discrete else 0)) / tail.most

    def log_density(self, tail: Tail) -> Float[np.ndarray, " values"]:
        size, cell = abs(self.rate), 1 / tail.most
        fall = size * ((tail.excess if self.rate >= 0 else tail.upper - tail.values) / tail.most)
        whole = -math.log(size) if tail.length == math.inf else _log_integral(size, self._span(tail))
        if tail.discrete:
            return _log_integral(size, cell) - whole - fall
        density: Float[np.ndarray, " values"] = (tail.logs - tail.logs[-1]) - fall - whole
        return density

    def log_survival(self, tail: Tail, x: Float[np.ndarray, " points"]) -> Float[np.ndarray, " points"]:
        beyond = (x - tail.threshold) / tail.most
        if tail.length == math.inf:
            return -self.rate * beyond
        span = self._span(tail)
        shares = bounded.survival(self.rate, np.minimum(beyond, span), span)
        with np.errstate(divide="ignore"):
            return np.asarray(np.log(shares))

    def parameters(self, tail: Tail) -> dict[str, float]:
        return {"lambda": self.rate / tail.most}


def _log_integral(rate: float, length: float) -> float:
    """Logarithm of the integral of exp(-rate u) over 0 < u < length."""
    return math.log(length) + float(bounded.log_integral(np.array(rate * length)))
