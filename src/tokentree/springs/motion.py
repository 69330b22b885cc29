"""The motion of a chain: in normal modes, and integrated where friction is not proportional."""

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Float

STIFF = 1e4
"""Oscillations, about, beyond which the check by integration uses an implicit method."""


def _oscillators(
    omega: Float[np.ndarray, "modes"], decay: Float[np.ndarray, "modes"], times: Float[np.ndarray, "times"]
) -> tuple[
    Float[np.ndarray, "times modes"], Float[np.ndarray, "times modes"], Float[np.ndarray, "times modes"]
]:
    """Solutions of z'' + 2 decay z' + omega^2 z = 0: z - 1 from z(0) = 1; z, then z', from z'(0) = 1."""
    t = times[:, None]
    left, push, brake = (np.empty((times.size, omega.size)) for _ in range(3))
    # Roots first: neither the product nor the squares need be within a float64.
    split = np.sqrt(np.abs(decay - omega)) * np.sqrt(decay + omega)

    under: Bool[np.ndarray, "modes"] = decay <= omega
    g, w = decay[under], split[under]
    fade = np.exp(-g * t)
    push[:, under] = fade * t * np.sinc(w * t / np.pi)
    brake[:, under] = fade * np.cos(w * t) - g * push[:, under]
    left[:, under] = np.expm1(-g * t) - 2 * fade * np.sin(w * t / 2) ** 2 + g * push[:, under]

    over = ~under
    g, w = decay[over], split[over]
    # The roots are -slow and -fast; slow is not a difference of large numbers.
    fast = g + w
    slow = omega[over] * (omega[over] / fast)
    push[:, over] = -np.exp(-slow * t) * np.expm1(-2 * w * t) / (2 * w)
    brake[:, over] = np.exp(-fast * t) - slow * push[:, over]
    left[:, over] = np.expm1(-slow * t) + slow * push[:, over]

    # Early on those terms cancel; the power series of z - 1 in t does not.
    early = (decay + omega) * t < 0.1
    x, y = np.where(early, omega * t, 0.0), np.where(early, decay * t, 0.0)
    series, before, term = np.zeros_like(x), np.ones_like(x), np.zeros_like(x)
    for n in range(2, 12):
        before, term = term, -(2 * y * term + x * x * before / (n - 1)) / n
        series += term
    return np.where(early, series, left), push, brake


def _integrate(
    motion: Callable[[float, Any], Any],
    start: Float[np.ndarray, "states"],
    times: Float[np.ndarray, "times"],
    method: Literal["DOP853", "Radau"] = "DOP853",
    **options: Any,
) -> Float[np.ndarray, "times states"]:
    """States at the times, in whatever order."""
    from scipy.integrate import solve_ivp

    ordered, place = np.unique(times, return_inverse=True)
    span = (0.0, float(ordered[-1]) or 1.0)
    found = solve_ivp(motion, span, start, method=method, t_eval=ordered, **options)
    if not found.success:
        raise RuntimeError(f"the integration failed: {found.message}")
    states: Float[np.ndarray, "times states"] = found.y.T[place]
    return states
