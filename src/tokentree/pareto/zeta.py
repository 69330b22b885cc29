"""The zeta law of integers, P(X = x) proportional to x^-s for x >= q: sums, fits and draws.

With a largest integer as well, s is any real number, and for s < 0 the largest integer is the most likely.
"""

import math
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy import special

from . import bounded

# B_2j / (2j)! of the Euler-Maclaurin formula, j = 1 to 4.
_ORDERS = np.arange(2, 9, 2)

_EULER_MACLAURIN = -2 * (-1.0) ** (_ORDERS // 2) * special.zeta(_ORDERS) / (2 * math.pi) ** _ORDERS

_DIRECT_TERMS = 20


def zeta_sums(
    s: Float[np.ndarray, " points"],
    q: Float[np.ndarray, " points"],
    moments: bool = False,
    upper: float = math.inf,
) -> Float[np.ndarray, "orders points"]:
    """Sum of (1 + k/q)^-s over k >= 0, and with `moments` of it times log(1 + k/q) and the square of that.

    zeta(s, q) q^s and its derivatives, by the Euler-Maclaurin formula, after direct terms if q is not far
    above s. Unlike zeta(s, q) they neither underflow nor overflow. The relative error is about 1e-15.

    With `upper` the sum ends at q + k = `upper`. For s < 0 it is then in units of its last term, and the
    logarithms are those of (q + k) / upper.
    """
    if upper < math.inf:
        return _finite_sums(s, q, upper, moments)
    near = q < 200 + 8 * s
    shift = np.where(near, float(_DIRECT_TERMS), 0.0)
    end = q + shift
    inverse = 1 / (s - 1)
    # The factor of the first remaining term, (end / q)^-s, and two derivatives in s: integral, half ...
    value, slope, bend = end * inverse + 0.5, -end * inverse**2, 2 * end * inverse**3
    # ... and the corrections.
    for whole, part in zip((value, slope, bend), _corrections(s, end, moments), strict=False):
        whole += part
    log_end = np.log1p(shift / q)
    rows = _about(log_end, value, slope, bend)[: 3 if moments else 1]
    sums: Float[np.ndarray, "orders points"] = np.stack(rows) * np.exp(-s * log_end)
    if near.any():
        logs = np.log1p(np.arange(_DIRECT_TERMS) / q[near, None])
        terms = np.exp(-s[near, None] * logs)
        for row in sums:
            row[near] += terms.sum(axis=1)
            terms *= logs
    return sums


def _corrections(
    s: Float[np.ndarray, " points"], end: Float[np.ndarray, " points"], moments: bool
) -> list[Float[np.ndarray, " points"]]:
    """Euler-Maclaurin terms of derivatives at the start of a sum, over x^-s there; and d/ds, d^2/ds^2."""
    value, slope, bend = np.zeros_like(end), np.zeros_like(end), np.zeros_like(end)
    # Each a polynomial in s times the last one.
    p, p1, p2 = s / end, 1 / end, np.zeros_like(s)
    for j, coefficient in enumerate(_EULER_MACLAURIN.tolist()):
        value += coefficient * p
        if moments:
            slope += coefficient * p1
            bend += coefficient * p2
        factor = (s + (2 * j + 1)) * (s + (2 * j + 2)) / end**2
        if moments:
            growth = (2 * s + (4 * j + 3)) / end**2
            p2 = p2 * factor + 2 * p1 * growth + 2 * p / end**2
            p1 = p1 * factor + p * growth
        p = p * factor
    return [value, slope, bend] if moments else [value]


def _about(log_end: Any, value: Any, slope: Any, bend: Any) -> list[Any]:
    """Sums times powers of a logarithm, from d/ds about an end that has this logarithm."""
    return [value, value * log_end - slope, (value * log_end - 2 * slope) * log_end + bend]


def _finite_sums(
    s: Float[np.ndarray, " points"], q: Float[np.ndarray, " points"], upper: float, moments: bool
) -> Float[np.ndarray, "orders points"]:
    """The first and last terms one by one, those between by the Euler-Maclaurin formula."""
    orders = 3 if moments else 1
    unit = np.where(s < 0, upper, q)
    # Terms from `low` to below `high`, possibly none, are left to the formula.
    low = np.minimum(q + _DIRECT_TERMS, upper + 1)
    high = np.maximum(low, upper + 1 - _DIRECT_TERMS)
    steps = np.arange(float(_DIRECT_TERMS))
    x = np.concatenate([q[:, None] + steps, np.broadcast_to(upper - steps, (len(q), _DIRECT_TERMS))], axis=1)
    there = np.concatenate(
        [x[:, :_DIRECT_TERMS] < low[:, None], x[:, _DIRECT_TERMS:] >= high[:, None]], axis=1
    )
    logs = np.log1p((np.where(there, x, unit[:, None]) - unit[:, None]) / unit[:, None])
    terms = np.where(there, np.exp(-s[:, None] * logs), 0.0)
    sums = np.empty((orders, len(q)))
    for row in sums:
        row[:] = terms.sum(axis=1)
        terms *= logs
    low, high = (np.where(low < high, ends, unit) for ends in (low, high))
    # The integral, seen from the end where the integrand times x is largest.
    length, first = np.log1p((high - low) / low), s >= 1
    y, end = np.abs(s - 1) * length, np.where(first, low, high)
    log_end, sign = np.log1p((end - unit) / unit), np.where(first, 1.0, -1.0)
    mean, variance = bounded.moments(y)
    integral = end * length * np.exp(bounded.log_integral(y) - s * log_end)
    mean = log_end + sign * length * mean
    for row, moment in zip(sums, (1.0, mean, mean**2 + length**2 * variance), strict=False):
        row += integral * moment
    ends = []
    for at in (low, high):
        log_at = np.log1p((at - unit) / unit)
        value, *derivatives = _corrections(s, at, moments)
        rows = _about(log_at, value + 0.5, *(derivatives or (0.0, 0.0)))
        ends.append([np.exp(-s * log_at) * row for row in rows])
    for row, from_low, from_high in zip(sums, *ends, strict=False):
        row += from_low - from_high
    return sums


def zeta_exponents(
    q: Float[np.ndarray, " points"], means: Float[np.ndarray, " points"], upper: float = math.inf
) -> Float[np.ndarray, " points"]:
    """Most likely s - 1 of zeta laws from q on: those that give log(x / q) the given means.

    The logarithm of this mean decreases in s. It is convex in s and concave in log(s - 1), as observed
    numerically for q up to 10^5, not proved. Then Newton's step in s from the left, and in log(s - 1) from
    the right, does not overshoot the root. With `upper` the step is in s; a step that would leave the bracket
    is replaced by bisection.
    """
    if upper < math.inf:
        return _finite_exponents(q, means, upper)
    alpha = 1 / (means + np.log(q / (q - 0.5)))
    # Each by itself: no result depends on the others requested.
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


def _finite_exponents(
    q: Float[np.ndarray, " points"], means: Float[np.ndarray, " points"], upper: float
) -> Float[np.ndarray, " points"]:
    lengths = np.log1p((upper - q) / q)
    # As for continuous data, from 1/2 below to 1/2 above.
    s = 1 + bounded.rates(
        means - np.log1p(-0.5 / q), np.maximum(lengths - means, 0.0) + np.log1p(0.5 / upper)
    )
    low, high = np.full(len(q), -np.inf), np.full(len(q), np.inf)
    left = np.arange(len(q))
    for _ in range(200):
        at, goal = s[left], means[left]
        zeroth, first, second = zeta_sums(at, q[left], moments=True, upper=upper)
        mean, variance = first / zeroth, second / zeroth - (first / zeroth) ** 2
        # In units of the last term, logarithms are those of x / upper.
        off = mean - np.where(at < 0, goal - lengths[left], goal)
        low[left], high[left] = (
            np.where(off >= 0, np.maximum(low[left], at), low[left]),
            np.where(off <= 0, np.minimum(high[left], at), high[left]),
        )
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            step = off / variance
        reach = 1 + np.abs(at)
        to = at + np.clip(np.nan_to_num(step), -reach, reach)
        outside = (to <= low[left]) | (to >= high[left])
        with np.errstate(invalid="ignore"):
            middle = (low[left] + high[left]) / 2
        to = np.where(outside & np.isfinite(middle), middle, to)
        s[left] = to
        left = left[np.abs(to - at) >= 1e-13 * reach]
        if not len(left):
            break
    return s - 1


def zeta_draws(
    alpha: float, q: float, size: int, rng: np.random.Generator, upper: float = math.inf
) -> Float[np.ndarray, " draws"]:
    """Draws from the zeta law of s = alpha + 1, by rejection from a Pareto draw rounded down.

    The ratio of the two mass functions decreases in x, so it is largest at q. For s < 0 the draw is rounded
    up, and the ratio again decreases in x.
    """
    rising = alpha < -1

    def ratio(x: Any) -> Any:
        if upper == math.inf:
            return -1 / (x * np.expm1(-alpha * np.log1p(1 / x)))
        # The width of the cell in logarithms, and the integral over it.
        with np.errstate(divide="ignore"):
            width = -np.log1p(-1 / x) if rising else np.log1p(1 / x)
        steep = max(abs(alpha), 1e-280)
        falls = -np.expm1(-steep * width) / steep
        return 1 / (x * (falls if rising or alpha >= 0 else np.expm1(steep * width) / steep))

    def proposals() -> Any:
        if upper == math.inf:
            # Floats end just above e^700, far beyond any integer of the data.
            return np.floor(q * np.exp(np.minimum(rng.exponential(1 / alpha, size), 700.0)))
        if rising:
            length = math.log(upper / (q - 1)) if q > 1 else math.inf
            return np.maximum(np.ceil(upper * np.exp(-bounded.draws(-alpha, length, size, rng))), q)
        length = math.log1p((upper + 1 - q) / q)
        return np.minimum(np.floor(q * np.exp(bounded.draws(alpha, length, size, rng))), upper)

    draws = np.empty(0)
    while len(draws) < size:
        proposed = proposals()
        draws = np.concatenate([draws, proposed[rng.random(size) * ratio(q) < ratio(proposed)]])
    return draws[:size]
