"""The lognormal tail.

For continuous data it is an exponential family in u = log(x / x_m) and u^2: the likelihood has one maximum.
"""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy import special

from .law import Alternative, Pareto, Tail, climb


@dataclass(frozen=True)
class Lognormal(Alternative):
    """Density of v as exp(-slope v - v^2 / 2 sigma^2), v the logarithm above the tail's centre."""

    slope: float
    sigma: float
    """Infinite for the Pareto law."""

    @classmethod
    def fit(cls, tail: Tail, alpha: float) -> "Lognormal":
        ended = tail.length < math.inf
        if ended and not tail.discrete and tail.ends_heavy(alpha):
            return cls(alpha, math.inf)
        law = cls._most_likely(tail, 1 / tail.centre if ended else alpha)
        if not tail.discrete and not ended:
            return law
        # In units of the data. Beyond the bound the law equals the Pareto law to rounding.
        scale = math.sqrt(tail.mean(tail.offsets**2))
        bound = math.log(1e4 * tail.length if ended else 1e4 / alpha)
        starts = [(law.slope, min(math.log(law.sigma), bound))]
        starts.append((alpha, math.log(tail.length)) if ended else (alpha / 2, -math.log(alpha)))
        return climb(
            lambda slope, log_sigma: cls(slope / scale, math.exp(log_sigma)),
            tail,
            [(slope * scale, log_sigma) for slope, log_sigma in starts],
            [(None, None), (None, bound)],
        )

    @classmethod
    def _most_likely(cls, tail: Tail, alpha: float) -> "Lognormal":
        """By matching mean and variance of a normal law cut at 0; for integers, those of cell middles."""
        from scipy import optimize

        middles = tail.offsets + tail.widths / 2
        shift = tail.mean(middles)
        first, variance = tail.centre + shift, tail.mean((middles - shift) ** 2)

        def off(z: float) -> float:
            mean, spread, _ = _normal_excess(z)
            return spread / mean**2 - variance / first**2

        if variance >= first**2 or off(1e6) < 0:
            return cls(alpha, math.inf)
        z = -first / math.sqrt(variance)
        if z > -40:
            z = float(optimize.brentq(off, z - 10, 1e6, xtol=1e-12, rtol=1e-14))
        # Otherwise the mass removed by the cut is not a number.
        mean, _, hazard = _normal_excess(z)
        sigma = first / mean
        return cls(hazard / sigma - shift / sigma**2, sigma)

    def log_density(self, tail: Tail) -> Float[np.ndarray, " values"]:
        if math.isinf(self.sigma):
            return Pareto(self.slope).log_density(tail)
        whole = float(self._log_from(tail, np.array([-tail.centre]))[0])
        if not tail.discrete:
            return self._log_drop(tail.offsets) - math.log(self.sigma) - whole
        return self._log_cells(tail.offsets, tail.widths) - whole

    def _log_cells(
        self, v: Float[np.ndarray, " cells"], widths: Float[np.ndarray, " cells"]
    ) -> Float[np.ndarray, " cells"]:
        """As `_log_above`, for integrals from v to v + widths."""
        z, width = self._z(v), widths / self.sigma
        # A cell left of the mode is the integral over its mirror image.
        mirrored = z + width / 2 < 0
        edges = np.where(mirrored, v + widths, v)
        logs: Float[np.ndarray, " cells"] = self._log_drop(edges) + _log_cell(
            np.where(mirrored, -(z + width), z), width
        )
        return logs

    def _log_from(self, tail: Tail, v: Float[np.ndarray, " points"]) -> Float[np.ndarray, " points"]:
        """As `_log_above`, for integrals from v to the tail's end."""
        if tail.length == math.inf:
            return self._log_above(v)
        with np.errstate(divide="ignore"):
            return self._log_cells(v, np.maximum(tail.length - tail.centre - v, 0.0))

    def _z(self, v: Float[np.ndarray, " points"]) -> Float[np.ndarray, " points"]:
        return self.slope * self.sigma + v / self.sigma

    def _log_drop(self, v: Float[np.ndarray, " points"]) -> Float[np.ndarray, " points"]:
        drop: Float[np.ndarray, " points"] = -v * (self.slope + v / self.sigma / (2 * self.sigma))
        return drop

    def _log_above(self, v: Float[np.ndarray, " points"]) -> Float[np.ndarray, " points"]:
        """Logarithm of the integral from v on, over sigma times the integrand at 0."""
        z = self._z(v)
        # Left of the mode the two terms on the right are large and cancel.
        left = special.log_ndtr(-z) + (self.slope * self.sigma) ** 2 / 2 + math.log(2 * math.pi) / 2
        above: Float[np.ndarray, " points"] = np.where(
            z < 0, left, self._log_drop(v) + _log_mills(np.maximum(z, 0.0))
        )
        return above

    def log_survival(self, tail: Tail, x: Float[np.ndarray, " points"]) -> Float[np.ndarray, " points"]:
        u = tail.points(x)
        if math.isinf(self.sigma):
            return Pareto(self.slope).log_survival(tail, x)
        start = np.array([-tail.centre])
        return self._log_from(tail, u - tail.centre) - float(self._log_from(tail, start)[0])

    def parameters(self, tail: Tail) -> dict[str, float]:
        mu = math.log(tail.start) + tail.centre - self.slope * self.sigma**2
        return {"mu": mu, "sigma": self.sigma}


def _log_mills(z: Float[np.ndarray, "*points"]) -> Float[np.ndarray, "*points"]:
    """Logarithm of the integral of exp(-z t - t^2 / 2) over t > 0."""
    right, left = np.maximum(z, 0.0), np.minimum(z, 0.0)
    logs: Float[np.ndarray, "*points"] = np.where(
        z > 0,
        np.log(math.sqrt(math.pi / 2) * special.erfcx(right / math.sqrt(2))),
        special.log_ndtr(-left) + left**2 / 2 + math.log(2 * math.pi) / 2,
    )
    return logs


def _normal_excess(z: float) -> tuple[float, float, float]:
    """Mean and variance of Z - z given Z > z, for a standard normal Z, and the mean of Z."""
    if z < 3:
        hazard = math.exp(-float(_log_mills(np.array(z))))
        first = hazard - z
        return first, 1 - first * hazard, hazard
    # Laplace's continued fraction, which subtracts nothing.
    rest = 0.0
    for i in range(150, 1, -1):
        rest = i / (z + rest)
    first = 1 / (z + rest)
    return first, first * (rest - first), z + first


_GAUSS_5 = np.polynomial.legendre.leggauss(5)


def _log_cell(
    z: Float[np.ndarray, " cells"], width: Float[np.ndarray, " cells"]
) -> Float[np.ndarray, " cells"]:
    """Logarithm of the integral of exp(-z t - t^2 / 2) over 0 < t < width, for z >= -width / 2."""
    logs = np.empty_like(z)
    narrow = width * (1 + np.abs(z)) < 1
    t = width[narrow, None] * (_GAUSS_5[0] + 1) / 2
    logs[narrow] = np.log(width[narrow] * (np.exp(-(z[narrow, None] + t / 2) * t) @ (_GAUSS_5[1] / 2)))
    z, width = z[~narrow], width[~narrow]
    whole = _log_mills(z)
    logs[~narrow] = whole + np.log(-np.expm1(_log_mills(z + width) - whole - (z + width / 2) * width))
    return logs
