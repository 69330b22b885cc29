"""The power law with an exponential cut-off."""

import math
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
from jaxtyping import Float

from .exponential import Exponential
from .law import Alternative, Pareto, Tail, log_steps

_LEAST_CUTOFF = 1e-6
"""Smallest rate of a truncated power law that is tried: below it, the data show no cutoff."""


@dataclass(frozen=True)
class TruncatedPowerLaw(Alternative):
    """Density of x, or mass function, proportional to x^-s exp(-rate x / most), most being the largest value.

    An exponential family: the likelihood has one maximum, and so has its profile over the rate. If the tail
    has an upper end, s is any real number.
    """

    nested: ClassVar[bool] = True
    s: float
    rate: float
    """Zero for the Pareto law."""

    @classmethod
    def fit(cls, tail: Tail, alpha: float) -> "TruncatedPowerLaw":
        from scipy import optimize

        first, size = tail.mean(tail.ratios), tail.mean(tail.excess / tail.most)
        grid, span = _Grid.above(tail.threshold, tail), math.log(tail.most) - math.log(tail.threshold)

        def off(s: float, log_rate: float) -> float:
            return grid.log_sum(s, log_rate - span)[1] - first

        ended = tail.length < math.inf
        most = alpha + 1 + 1e-3 * abs(alpha + 1) + (1e-6 if ended else 0.0)

        def most_likely(log_rate: float) -> float:
            # A cutoff lowers the mean of log x, and a smaller s than the Pareto law's raises it again.
            least, step = min(0.0, alpha), 1.0
            if not ended and off(least, log_rate) <= 0:
                return least
            while off(least, log_rate) < 0:
                least, step = least - step, 2 * step
            return float(optimize.brentq(off, least, most, args=(log_rate,), xtol=1e-14))

        def cost(log_rate: float) -> float:
            s = most_likely(log_rate)
            return s * first + math.exp(log_rate) * size + grid.log_sum(s, log_rate - span)[0]

        bounds = (math.log(_LEAST_CUTOFF), 0.0)
        if ended:
            while cost(bounds[1] + 1) < cost(bounds[1]):
                bounds = (bounds[0], bounds[1] + 1)
            bounds = (bounds[0], bounds[1] + 1)
        else:
            # With s = 0 it is the exponential law, with the largest rate.
            bounds = (bounds[0], math.log(1.01 * Exponential.fit(tail, alpha).rate))
        found = optimize.minimize_scalar(cost, bounds=bounds, method="bounded", options={"xatol": 1e-8})
        pareto = Pareto(alpha).log_density(tail) - (0.0 if tail.discrete else tail.logs)
        if found.fun >= -tail.mean(pareto):
            return cls(alpha + 1, 0.0)
        return cls(most_likely(found.x), math.exp(found.x))

    def log_density(self, tail: Tail) -> Float[np.ndarray, " values"]:
        if not self.rate:
            return Pareto(self.s - 1).log_density(tail)
        s = self.s if tail.discrete else self.s - 1
        cutoff = self.rate * (tail.excess / tail.most)
        return -s * tail.ratios - cutoff - self._log_rest(tail, tail.threshold)

    def _log_rest(self, tail: Tail, x: float) -> float:
        """Logarithm of the mass from x on over the density at x; if continuous, times 1 / x."""
        log_rate = math.log(self.rate) + math.log(x) - math.log(tail.most)
        return _Grid.above(x, tail).log_sum(self.s, log_rate)[0]

    def log_survival(self, tail: Tail, x: Float[np.ndarray, " points"]) -> Float[np.ndarray, " points"]:
        if not self.rate:
            return Pareto(self.s - 1).log_survival(tail, x)
        # No mass of a density is left at the upper end.
        ended = (x >= tail.upper) & (not tail.discrete)
        rests = np.array(
            [
                -np.inf if at else self._log_rest(tail, each)
                for each, at in zip(x.tolist(), ended, strict=True)
            ]
        )
        s = self.s if tail.discrete else self.s - 1
        ratios: Float[np.ndarray, " points"] = np.log(x) - math.log(tail.threshold)
        cutoff = self.rate * ((x - tail.threshold) / tail.most)
        return rests - self._log_rest(tail, tail.threshold) - s * ratios - cutoff

    def parameters(self, tail: Tail) -> dict[str, float]:
        return {"density_exponent": self.s, "lambda": self.rate / tail.most}


_GAUSS_12 = np.polynomial.legendre.leggauss(12)

# Gregory's formula: a sum from K on is the integral from K on plus these times the function at K, K + 1, ...
_GREGORY_NUMBERS = (1 / 2, -1 / 12, 1 / 24, -19 / 720, 3 / 160, -863 / 60480, 275 / 24192, -33953 / 3628800)

_GREGORY = np.array(
    [
        sum(g * (-1) ** (m - i) * math.comb(m, i) for m, g in enumerate(_GREGORY_NUMBERS) if m >= i)
        for i in range(len(_GREGORY_NUMBERS))
    ]
)

_DIRECT_TERMS = 512


def _panels(
    edges: Float[np.ndarray, " edges"],
) -> tuple[Float[np.ndarray, " nodes"], Float[np.ndarray, " nodes"]]:
    """Nodes and weights of Gauss's rule between neighbouring edges."""
    half = np.diff(edges)[:, None] / 2
    return (edges[:-1, None] + half * (_GAUSS_12[0] + 1)).ravel(), (half * _GAUSS_12[1]).ravel()


class _Grid(NamedTuple):
    """Nodes t and weights: an integral over t > 1, or for integers a sum over t = 1, 1 + 1/q, 1 + 2/q, ..."""

    logs: Float[np.ndarray, " nodes"]
    """Logarithms of the nodes."""
    weights: Float[np.ndarray, " nodes"]
    log_factors: Float[np.ndarray, " nodes"]
    """Logarithms of further factors of the weights; dt = t d(log t) may be out of range."""

    @classmethod
    def above(cls, first: float, tail: Tail) -> "_Grid":
        if tail.length < math.inf:
            return cls._between(first, tail.upper, tail.discrete)
        # Panels for every scale, up to where the weakest cutoff leaves nothing: exp(-750) is zero.
        reach = max(math.log(tail.most) - math.log(first), 0.0) + math.log(750 / _LEAST_CUTOFF)
        edges = np.concatenate([[0.0], 2.0 ** np.arange(-60, 0), np.arange(1.0, reach + 1, 0.5)])
        logs, weights = _panels(edges)
        if not tail.discrete:
            return cls(logs, weights, logs)
        end = first + _DIRECT_TERMS
        whole = np.log((first + np.arange(_DIRECT_TERMS + len(_GREGORY))) / first)
        return cls(
            np.concatenate([whole, math.log(end / first) + logs]),
            np.concatenate([np.ones(_DIRECT_TERMS), _GREGORY, weights]),
            np.concatenate([np.zeros(len(whole)), math.log(end) + logs]),
        )

    @classmethod
    def _between(cls, first: float, upper: float, discrete: bool) -> "_Grid":
        """Panels for every scale from either end; for integers, many terms there one by one."""
        apart = _DIRECT_TERMS if discrete else 0
        if discrete and upper - first < 4 * apart:
            whole = np.log1p(np.arange(upper - first + 1) / first)
            return cls(whole, np.ones(len(whole)), np.zeros(len(whole)))
        low, high = first + apart, upper - apart
        length = float(log_steps(np.array([low, high]))[0])
        scales = length * 2.0 ** np.arange(-60, 0)
        even = np.linspace(0.0, length, 2 + int(2 * length))
        logs, weights = _panels(np.unique(np.concatenate([even, scales, length - scales])))
        if not discrete:
            return cls(logs, weights, logs)
        ends = np.arange(apart + len(_GREGORY))
        whole = np.log1p((np.concatenate([first + ends, upper - ends]) - first) / first)
        single = np.concatenate([np.ones(apart), _GREGORY])
        return cls(
            np.concatenate([whole, math.log1p(apart / first) + logs]),
            np.concatenate([single, single, weights]),
            np.concatenate([np.zeros(len(whole)), math.log(low) + logs]),
        )

    def log_sum(self, s: float, log_rate: float) -> tuple[float, float]:
        """Logarithm of the sum of t^-s exp(-rate (t - 1)), and the mean of log t under it."""
        rate = math.exp(log_rate)
        with np.errstate(over="ignore", under="ignore"):
            near = rate * np.expm1(np.minimum(self.logs, 1.0))
            fall = np.where(self.logs < 1, near, np.exp(self.logs + log_rate) - rate)
            logs = self.log_factors - s * self.logs - fall
            terms = self.weights * np.exp(logs - logs.max())
        total = float(terms.sum())
        return math.log(total) + float(logs.max()), float(terms @ self.logs) / total
