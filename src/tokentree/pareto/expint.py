"""The generalised exponential integral, to full precision."""

import math

import numpy as np
from jaxtyping import Float
from scipy import special

# polyval(LOG_GAMMA, d) = log(Gamma(1 + d)) / d to the last digit for |d| <= 1/2.
LOG_GAMMA = np.array([*((-1.0) ** n * special.zeta(n) / n for n in range(52, 1, -1)), -np.euler_gamma])

# x * polyval(_EXPONENTIAL, x) = e^-x - 1 to the last digit for 0 <= x < 1.
_POWERS = np.arange(18, 0, -1)

_EXPONENTIAL = (-1.0) ** _POWERS / special.factorial(_POWERS)


def expint(order: float, x: Float[np.ndarray, " points"]) -> Float[np.ndarray, " points"]:
    """Generalised exponential integral E_v(x): exp(-x t) t^-v integrated over t > 1, for v > 0 and x > 0.

    The continued fraction reaches the last digit in 90 terms for x >= 1 and every v, and in 40 terms for v >=
    20 and every x. The power series covers the rest. SciPy's ``expn`` takes integer orders only; its
    ``hyperu`` gives E_v(x) = exp(-x) U(1, 2 - v, x), but only to four digits near v = 1.
    """
    if order >= 20:
        return _expint_fraction(order, x, terms=40)
    values = np.empty_like(x)
    small = x < 1
    values[small] = _expint_series(order, x[small])
    values[~small] = _expint_fraction(order, x[~small], terms=90)
    return values


def _expint_fraction(
    order: float, x: Float[np.ndarray, " points"], terms: int
) -> Float[np.ndarray, " points"]:
    """Contracted continued fraction of E_v, from the innermost term outwards."""
    tail = np.zeros_like(x)
    for i in range(terms, 0, -1):
        tail = i * ((order - 1 + i) / (x + (order + 2 * i) - tail))
    value: Float[np.ndarray, " points"] = np.exp(-x) / (x + order - tail)
    return value


def _expint_series(order: float, x: Float[np.ndarray, " points"]) -> Float[np.ndarray, " points"]:
    """Power series of E_v for v <= 3/2, then v E_{v+1} = e^-x - x E_v upward, which is stable for x < 1.

    Two terms of the series have poles at v = 1 that cancel: with d = 1 - v they add up to
    (Gamma(1 + d) x^-d - 1) / d, formed as one number near the pole.
    """
    steps = max(0, round(order - 1))
    v = order - steps
    d = 1 - v
    slope = np.polyval(LOG_GAMMA, d) if abs(d) <= 1 / 2 else math.lgamma(1 + d) / d
    y = slope - np.log(x)
    with np.errstate(over="ignore", invalid="ignore"):
        head = np.where(
            np.abs(d * y) < 1 / 2, y * special.exprel(d * y), (math.gamma(1 + d) * x**v / x - 1) / d
        )
    value: Float[np.ndarray, " points"] = head - x * np.polyval(_EXPONENTIAL / (_POWERS + d), x)
    for i in range(steps):
        value = (np.exp(-x) - x * value) / (v + i)
    return value
