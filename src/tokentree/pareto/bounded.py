"""Exponential laws on a segment: the logarithms of a Pareto law with an upper end.

Their density falls as exp(-rate u) over 0 <= u <= length. The rate is any real number: if it is negative, the
density grows, and the law is that of -rate reflected about the middle. The shape parameter is y = rate times
length.
"""

from typing import Any

import numpy as np
from jaxtyping import Float
from scipy import special

# B_2j / (2j)!, j = 1 to 17: enough for |y| < 2 of a series that converges for |y| < 2 pi.
_ORDERS = np.arange(2, 36, 2)

_BERNOULLI = -2 * (-1.0) ** (_ORDERS // 2) * special.zeta(_ORDERS) / (2 * np.pi) ** _ORDERS

_LEAST = 1e-280
"""Replaces a rate of zero, with the same results to the last digit, and can be divided by."""


def moments(
    y: Float[np.ndarray, "*shapes"],
) -> tuple[Float[np.ndarray, "*shapes"], Float[np.ndarray, "*shapes"]]:
    """Mean and variance over a segment of length 1, for y >= 0.

    They are 1/y - 1/(e^y - 1) and 1/y^2 - 1/(4 sinh^2(y/2)), or their power series where those cancel.
    """
    square, large = np.minimum(y, 2.0) ** 2, np.maximum(y, 2.0)
    series = np.polynomial.polynomial.polyval
    with np.errstate(over="ignore"):
        mean = np.where(
            y < 2, 0.5 - np.minimum(y, 2.0) * series(square, _BERNOULLI), 1 / large - 1 / np.expm1(large)
        )
        variance = np.where(
            y < 2,
            series(square, _BERNOULLI * (_ORDERS - 1)),
            1 / large**2 - 1 / (2 * np.sinh(large / 2)) ** 2,
        )
    return mean, variance


def log_integral(y: Float[np.ndarray, "*shapes"]) -> Float[np.ndarray, "*shapes"]:
    """Logarithm of the integral of exp(-y v) over 0 < v < 1, for y >= 0."""
    least = np.maximum(y, _LEAST)
    return np.asarray(np.log(-np.expm1(-least) / least))


def survival(rate: Any, u: Float[np.ndarray, "*points"], length: Any) -> Float[np.ndarray, "*points"]:
    """P(U >= u), for one law or one law per point."""
    size = np.maximum(np.abs(rate), _LEAST)
    falls = np.exp(-np.maximum(rate, 0.0) * u)
    return np.asarray(falls * np.expm1(-size * (length - u)) / np.expm1(-size * length))


def rates(
    below: Float[np.ndarray, " points"], above: Float[np.ndarray, " points"]
) -> Float[np.ndarray, " points"]:
    """Most likely rates, from the mean distances to either end of the segment.

    The mean falls in y and is convex for y >= 0, so that Newton's method from the left does not overshoot.
    """
    length = below + above
    share, gap = np.minimum(below, above) / length, np.abs(above - below) / (2 * length)
    # Far from the other end, beyond which lies e^-700 of the mass, the mean is 1 / y.
    y = 1 / share
    ended = y < 700
    share, far = share[ended], y[ended]
    # Left of the root: the tangent at 0, and the zero of the tangent at 1 / share, which is right of it.
    near = np.maximum(12 * gap[ended], far - 1 / (np.expm1(far) * moments(far)[1]))
    for _ in range(60):
        mean, variance = moments(near)
        step = (mean - share) / variance
        near = np.maximum(near + step, 0.0)
        if (np.abs(step) <= 1e-13 * near + 1e-15).all():
            break
    y[ended] = near
    found: Float[np.ndarray, " points"] = np.where(below <= above, y, -y) / length
    return found


def draws(rate: float, length: float, size: int, rng: np.random.Generator) -> Float[np.ndarray, " draws"]:
    """Draws by inversion, from the end where the density is largest."""
    steep = max(abs(rate), _LEAST)
    near = np.minimum(-np.log1p(rng.random(size) * np.expm1(-steep * length)) / steep, length)
    found: Float[np.ndarray, " draws"] = near if rate >= 0 else length - near
    return found
