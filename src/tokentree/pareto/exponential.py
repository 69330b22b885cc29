"""The exponential tail, and the stretched one.

In continuous data, with u = log(x / x_m), (exp(beta u) - 1) / beta is log-convex in beta: it is the integral
of exp(beta v) over v from 0 to u. So the profile likelihood of the stretched exponential's beta is concave.
"""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

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

        # Beyond, the largest value weighs exp(600) times any other.
        bound = math.log(600 / float(tail.offsets[-1] + tail.widths[-1] - tail.offsets[0]))

        def most_likely(log_beta: float) -> "StretchedExponential":
            beta = math.exp(log_beta)
            return cls(1 / tail.mean(cls(1.0, beta)._hazard(tail.logs, tail.offsets)), beta)

        def cost(log_beta: float) -> float:
            return -math.log(most_likely(log_beta).rate)

        least = math.log(1e-9 / tail.centre)
        if not tail.discrete and tail.ends_heavy:
            return cls(alpha, 0.0)
        found = optimize.minimize_scalar(
            cost, bounds=(least, bound), method="bounded", options={"xatol": 1e-8}
        )
        law = most_likely(found.x)
        if not tail.discrete:
            return law
        # By the lower edges of the cells.
        low = math.log(1e-6 / tail.centre)
        starts = [(math.log(law.rate), max(math.log(law.beta), low)), (math.log(alpha), low + math.log(1e3))]
        return climb(
            lambda log_rate, log_beta: cls(math.exp(log_rate), math.exp(log_beta)),
            tail,
            starts,
            [(-700.0, 60.0), (low, bound)],
        )

    def _hazard(
        self, u: Float[np.ndarray, " points"], v: Float[np.ndarray, " points"]
    ) -> Float[np.ndarray, " points"]:
        # No difference of large numbers, and no power of the distance to the start.
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
            return log_density
        log_step = math.log(self.rate / self.beta) + growth + np.log(np.expm1(self.beta * tail.widths))
        # log(1 - exp(-step)) is log(step) long before the step underflows.
        share = np.log(-np.expm1(-np.exp(np.maximum(log_step, -40.0))))
        density: Float[np.ndarray, " values"] = np.where(log_step < -40, log_step, share) - hazard
        return density

    def log_survival(self, tail: Tail, x: Float[np.ndarray, " points"]) -> Float[np.ndarray, " points"]:
        u = tail.points(x)
        if not self.beta:
            return -self.rate * u
        with np.errstate(over="ignore", under="ignore"):
            return -self._hazard(u, u - tail.centre)

    def parameters(self, tail: Tail) -> dict[str, float]:
        if not self.beta:
            return {"lambda": math.inf, "beta": 0.0}
        with np.errstate(over="ignore", under="ignore"):
            centre = math.log(tail.start) + tail.centre
            scale = np.exp(math.log(self.rate / self.beta) - self.beta * centre)
        return {"lambda": float(scale), "beta": self.beta}


@dataclass(frozen=True)
class Exponential(Alternative):
    """Density of x as exp(-rate x / most), where most is the largest value: then no sum overflows."""

    rate: float

    @classmethod
    def fit(cls, tail: Tail, alpha: float) -> "Exponential":
        mean = tail.mean(tail.excess / tail.most)
        return cls(tail.most * math.log1p(1 / (mean * tail.most)) if tail.discrete else 1 / mean)

    def log_density(self, tail: Tail) -> Float[np.ndarray, " values"]:
        fall = self.rate * (tail.excess / tail.most)
        if tail.discrete:
            return math.log(-math.expm1(-self.rate / tail.most)) - fall
        density: Float[np.ndarray, " values"] = math.log(self.rate) + (tail.logs - tail.logs[-1]) - fall
        return density

    def log_survival(self, tail: Tail, x: Float[np.ndarray, " points"]) -> Float[np.ndarray, " points"]:
        return -self.rate * ((x - tail.threshold) / tail.most)

    def parameters(self, tail: Tail) -> dict[str, float]:
        return {"lambda": self.rate / tail.most}
