r"""The motion of a chain of springs: in closed form, with one damped oscillator per mode, or integrated.

Stiffnesses may span eighteen decades, so the matrix K is never formed for the modes: its smallest eigenvalues
would be lost in the rounding of its largest entries. With masses m, spring i between nodes i - 1 and i, and
node 0 the wall,

    M^(-1/2) K M^(-1/2) = B B^T,   B[j, j] = (k_j / m_j)^(1/2),   B[j, j+1] = -(k_{j+1} / m_j)^(1/2),

and the singular values of a bidiagonal matrix, here the frequencies, are determined by its entries to high
relative accuracy, and the implicit QR method finds them so (Demmel and Kahan 1990). A last node held by a
second wall has infinite mass: its row of B is zero.
"""

import math
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import numpy as np
from jaxtyping import Bool, Float

STIFF = 1e4
"""Approximate number of oscillations beyond which the check by integration uses an implicit method."""


class Equation(NamedTuple):
    """M u'' + C u' + K u = f with C = a M + b K, and the state at time 0."""

    stiffness: Float[np.ndarray, "springs"]
    masses: Float[np.ndarray, "nodes"]
    """Masses of the free nodes: one fewer than the springs if a second wall holds the last node."""
    a: float
    b: float
    forces: Float[np.ndarray, "nodes"]
    stretch: Float[np.ndarray, "springs"]
    """Extensions at rest under the forces."""
    rest: Float[np.ndarray, "nodes"]
    """Displacements of the nodes at rest."""
    start: Float[np.ndarray, "nodes"]
    speed: Float[np.ndarray, "nodes"]


def bidiagonal(
    stiffness: Float[np.ndarray, "springs"], masses: Float[np.ndarray, "nodes"]
) -> Float[np.ndarray, "springs springs"]:
    """B of the module's docstring; a node held by a wall has a row of zeros."""
    inverse = np.zeros(stiffness.size)
    inverse[: masses.size] = 1 / np.sqrt(masses)
    root = np.sqrt(stiffness)
    with np.errstate(over="ignore"):
        b = np.diag(root * inverse) - np.diag(root[1:] * inverse[:-1], k=1)
    if not np.isfinite(b).all():
        raise ValueError(
            f"stiffness up to {stiffness.max():g} and masses down to {masses.min():g}: "
            "the frequencies leave the range of float64"
        )
    return b


def closed_form(
    equation: Equation, times: Float[np.ndarray, "times"]
) -> tuple[Float[np.ndarray, "times nodes"], Float[np.ndarray, "times nodes"]]:
    """Displacements and velocities, mode by mode."""
    from scipy import linalg

    k, masses, a, b, forces, _, rest, start, speed = equation
    shapes, omega, _ = linalg.svd(bidiagonal(k, masses), lapack_driver="gesvd")
    shapes, omega = shapes[: masses.size, : masses.size], omega[: masses.size]
    root = np.sqrt(masses)
    # Values outside the range of float64 are refused below. Squares of frequencies are not formed: they may
    # leave that range even if the motion does not.
    with np.errstate(all="ignore"):
        z, v, f = root * start, root * speed, forces / root
        # The rest position of a mode, from the force or from the whole displacement, whichever is more
        # accurate: stiff modes are lost in the displacement of soft ones, and soft modes in the force on
        # stiff ones.
        direct = linalg.norm(f) / omega / omega <= linalg.norm(root * rest)
        away = np.where(direct, f @ shapes / omega / omega, (root * rest) @ shapes) - z @ shapes
        decay = (a + b * omega * omega) / 2
        left, push, brake = _oscillators(omega, decay, times)
        change = push * (v @ shapes) - left * away
        rates = brake * (v @ shapes) + push * omega * (omega * away)
        moved = start + change @ shapes.T / root, rates @ shapes.T / root
    normal = omega.min() >= np.finfo(np.float64).tiny
    if not (normal and all(np.isfinite(found).all() for found in (decay, *moved))):
        raise ValueError(
            f"frequencies from {omega.min():g} to {omega.max():g}, damped at up to {decay.max():g}, and "
            f"times up to {times.max():g}: the motion leaves the range of float64"
        )
    return moved


def integrated(
    equation: Equation, times: Float[np.ndarray, "times"]
) -> tuple[Float[np.ndarray, "times nodes"], Float[np.ndarray, "times nodes"]]:
    """Displacements and velocities, integrated step by step from the forces of the springs.

    The variables are extensions and velocities. With displacements instead, the tension of a stiff spring at
    the end of soft ones would be a difference of large numbers.
    """
    from scipy import sparse

    k, masses, a, b, _, stretch, _, start, speed = equation
    free = masses.size
    strain = sparse.eye_array(k.size, free) - sparse.eye_array(k.size, free, k=-1)
    pull = (sparse.diags_array(-1 / masses) @ strain.T @ sparse.diags_array(k)).tocsr()
    drag = b * (pull @ strain) - a * sparse.eye_array(free)
    motion = sparse.block_array([[None, strain], [pull, drag]]).tocsc()

    extensions = strain @ start - stretch
    energy = (k * extensions**2).sum() / 2 + (masses * speed**2).sum() / 2
    if energy == 0:
        return np.tile(start, (times.size, 1)), np.zeros((times.size, free))
    # The energy bounds each extension and each velocity, which sets the scale of their errors.
    scales = np.sqrt(2 * energy / np.concatenate([k, masses]))
    fastest = 2 * math.sqrt(abs(pull).max())
    stiff = times.max() * (fastest + a + b * fastest**2) > STIFF
    options: dict[str, Any] = {"method": "Radau", "jac": motion, "rtol": 1e-10} if stiff else {"rtol": 1e-12}
    state = np.concatenate([extensions, speed])
    states = solve(lambda _, y: motion @ y, state, times, atol=1e-16 * scales, **options)
    return np.cumsum(stretch + states[:, : k.size], axis=1)[:, :free], states[:, k.size :]


def _oscillators(
    omega: Float[np.ndarray, "modes"], decay: Float[np.ndarray, "modes"], times: Float[np.ndarray, "times"]
) -> tuple[
    Float[np.ndarray, "times modes"], Float[np.ndarray, "times modes"], Float[np.ndarray, "times modes"]
]:
    """Solutions of z'' + 2 decay z' + omega^2 z = 0: z - 1 from z(0) = 1; z, then z', from z'(0) = 1."""
    t = times[:, None]
    left, push, brake = (np.empty((times.size, omega.size)) for _ in range(3))
    # Square roots first: the product and the squares may overflow.
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

    # At small t those terms cancel; the power series of z - 1 in t does not.
    early = (decay + omega) * t < 0.1
    x, y = np.where(early, omega * t, 0.0), np.where(early, decay * t, 0.0)
    series, before, term = np.zeros_like(x), np.ones_like(x), np.zeros_like(x)
    for n in range(2, 12):
        before, term = term, -(2 * y * term + x * x * before / (n - 1)) / n
        series += term
    return np.where(early, series, left), push, brake


def solve(
    motion: Callable[[float, Any], Any],
    start: Float[np.ndarray, "states"],
    times: Float[np.ndarray, "times"],
    method: Literal["DOP853", "Radau"] = "DOP853",
    **options: Any,
) -> Float[np.ndarray, "times states"]:
    """States at the times, in any order."""
    from scipy.integrate import solve_ivp

    ordered, place = np.unique(times, return_inverse=True)
    span = (0.0, float(ordered[-1]) or 1.0)
    found = solve_ivp(motion, span, start, method=method, t_eval=ordered, **options)
    if not found.success:
        raise RuntimeError(f"the integration failed: {found.message}")
    states: Float[np.ndarray, "times states"] = found.y.T[place]
    return states
