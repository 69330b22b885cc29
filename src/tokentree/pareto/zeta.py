"""The zeta law of integers, P(X = x) as x^-s from a least integer q on: sums, fits and draws."""

import math
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy import special

# B_2j / (2j)! of the Euler-Maclaurin formula, j = 1 to 4.
_ORDERS = np.arange(2, 9, 2)

_EULER_MACLAURIN = -2 * (-1.0) ** (_ORDERS // 2) * special.zeta(_ORDERS) / (2 * math.pi) ** _ORDERS

_DIRECT_TERMS = 20


def zeta_sums(
    s: Float[np.ndarray, " points"], q: Float[np.ndarray, " points"], moments: bool = False
) -> Float[np.ndarray, "orders points"]:
    """Sum of (1 + k/q)^-s over k >= 0, and with `moments` of it times log(1 + k/q) and the square of that.

    zeta(s, q) q^s and its derivatives, by the Euler-Maclaurin formula, after direct terms where q is not far
    above s. Unlike zeta(s, q) they neither under- nor overflow. The relative error is about 1e-15.
    """
    near = q < 200 + 8 * s
    shift = np.where(near, float(_DIRECT_TERMS), 0.0)
    end = q + shift
    inverse = 1 / (s - 1)
    # What the first term left, (end / q)^-s, is multiplied by, and two derivatives in s: integral, half ...
    value, slope, bend = end * inverse + 0.5, -end * inverse**2, 2 * end * inverse**3
    # ... and the corrections, each a polynomial in s times the last one.
    p, p1, p2 = s / end, 1 / end, np.zeros_like(s)
    for j, coefficient in enumerate(_EULER_MACLAURIN.tolist()):
        value = value + coefficient * p
        if moments:
            slope, bend = slope + coefficient * p1, bend + coefficient * p2
        factor = (s + (2 * j + 1)) * (s + (2 * j + 2)) / end**2
        if moments:
            growth = (2 * s + (4 * j + 3)) / end**2
            p2 = p2 * factor + 2 * p1 * growth + 2 * p / end**2
            p1 = p1 * factor + p * growth
        p = p * factor
    log_end = np.log1p(shift / q)
    rows = [value]
    if moments:
        rows += [value * log_end - slope, (value * log_end - 2 * slope) * log_end + bend]
    sums: Float[np.ndarray, "orders points"] = np.stack(rows) * np.exp(-s * log_end)
    if near.any():
        logs = np.log1p(np.arange(_DIRECT_TERMS) / q[near, None])
        terms = np.exp(-s[near, None] * logs)
        for row in sums:
            row[near] += terms.sum(axis=1)
            terms *= logs
    return sums


def zeta_exponents(
    q: Float[np.ndarray, " points"], means: Float[np.ndarray, " points"]
) -> Float[np.ndarray, " points"]:
    """Most likely s - 1 of zeta laws from q on: those under which log(x / q) has the means given.

    The logarithm of that mean falls in s. It is convex in s and concave in log(s - 1): seen numerically for q
    up to 10^5, not proved. Then Newton's step in s from the left, and in log(s - 1) from the right, stops
    short of the root.
    """
    alpha = 1 / (means + np.log(q / (q - 0.5)))
    # Each by itself: none depends on what else is asked for.
    left = np.arange(len(alpha))
    for _ in range(100):
        zeroth, first, second = zeta_sums(alpha[left] + 1, q[left], moments=True)
        mean = first / zeroth
        step = np.log(mean / means[left]) * mean / (second / zeroth - mean**2) / alpha[left]
        alpha[left] *= np.where(step > 0, 1 + step, np.exp(step))
        left = left[np.abs(step) >= 1e-13]
        if not len(left):
            break
    return alpha


def zeta_draws(alpha: float, q: float, size: int, rng: np.random.Generator) -> Float[np.ndarray, " draws"]:
    """Draws from the zeta law of s = alpha + 1, by rejection from a Pareto draw rounded down.

    The ratio of the two mass functions falls with x, so it is largest at q.
    """

    def ratio(x: Any) -> Any:
        return -1 / (x * np.expm1(-alpha * np.log1p(1 / x)))

    draws = np.empty(0)
    while len(draws) < size:
        # Above e^700, far beyond any integer of the data, floats end.
        powers = np.minimum(rng.exponential(1 / alpha, size), 700.0)
        proposed = np.floor(q * np.exp(powers))
        draws = np.concatenate([draws, proposed[rng.random(size) * ratio(q) < ratio(proposed)]])
    return draws[:size]
