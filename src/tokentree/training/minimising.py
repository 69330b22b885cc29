"""Training to a small gradient: SciPy's L-BFGS, then its trust-region methods, then Newton steps.

F divided by the total size is minimised, so that a tolerance does not depend on the unit of sizes. Values of
F distinguish points down to a gradient of about the square root of the rounding. Below that, Newton steps
take over, and each is kept only if it halves the gradient.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Float

from .curvature import Dense, Krylov, slack
from .terms import Product, Terms

_EXACT = 1000
"""Number of parameters up to which trust regions use the full Hessian; it is recomputed at every step."""
_NEWTON = 20
"""Newton steps at a time."""
_TARGETS = (1e-4, 1e-6, 1e-8)
"""Gradients at which trust regions give way to Newton steps; they resume where these fail."""
_NEAR = 1e-2
"""Gradient below which Newton steps are tried first: after a small change of sizes a model needs three."""
_SADDLES = 10
"""Largest number of saddles that training leaves."""
_AWAY = (1e-1, 1e-2, 1e-3, 1e-4)
"""Steps from a saddle, relative to the norm of the parameters."""


class Search:
    """F divided by the total size, and the best point seen."""

    def __init__(
        self, terms: Terms, weights: Float[np.ndarray, "terms"], watch: Callable[[float], None]
    ) -> None:
        self.terms, self.weights, self.watch = terms, weights, watch
        self.point = terms.point
        self.value, self.gradient = terms.weighted(weights)
        self._at: tuple[Any, Product] | None = None
        self._down: Float[np.ndarray, "parameters"] | None = None

    @property
    def norm(self) -> float:
        """Norm of the gradient at the best point."""
        return float(np.linalg.norm(self.gradient))

    def at(self, point: Float[np.ndarray, "parameters"]) -> tuple[float, Float[np.ndarray, "parameters"]]:
        """Value and gradient; infinite where a loss is not finite, so that methods step back."""
        self.terms.point = point
        value, gradient = self.terms.weighted(self.weights)
        if not (np.isfinite(value) and np.isfinite(gradient).all()):
            return np.inf, np.zeros_like(gradient)
        return value, gradient

    def __call__(
        self, point: Float[np.ndarray, "parameters"]
    ) -> tuple[float, Float[np.ndarray, "parameters"]]:
        """Value and gradient; the point is kept if it is the best."""
        value, gradient = self.at(point)
        if value < self.value:
            self._keep(point, value, gradient)
        self.watch(self.norm)
        return value, gradient

    def lbfgs(self, tolerance: float, steps: int) -> None:
        """L-BFGS from the best point."""
        options = {"maxiter": steps, "maxfun": 2 * steps, "maxcor": 30, "ftol": 1e-16, "gtol": tolerance / 10}
        self._minimise("L-BFGS-B", options)

    def trust(self, tolerance: float, steps: int) -> None:
        """Trust regions from the best point."""
        options = {"maxiter": steps, "gtol": tolerance}
        if self.terms.size <= _EXACT:
            self._minimise("trust-exact", options, hess=self._hessian)
        else:
            self._minimise("trust-krylov", options, hessp=self._product)

    def newton(self, tolerance: float) -> None:
        """Newton steps from the best point, as long as each halves the gradient.

        Where they are cheap, one more step is taken than the tolerance requires. The error of the response is
        of the order of the gradient, and that step leaves its square.
        """
        done = False
        for _ in range(_NEWTON):
            if done or (self.norm <= tolerance and self.terms.size > _EXACT):
                return
            done = self.norm <= tolerance
            self.watch(self.norm)
            self.terms.point = self.point
            found = curvature(self.terms, self.weights, _EXACT)
            if isinstance(found, Dense):
                allowed = slack(self.norm, self.terms.size, float(np.linalg.norm(self.point)))
                self._down = found.vectors[:, 0] if found.values[0] < -(found.cut + allowed) else None
            point = self.point + found.newton(self.gradient)
            value, gradient = self.at(point)
            climbs = value > self.value + 1e-9 * abs(self.value)
            if climbs or not (np.linalg.norm(gradient) < self.norm / 2 and np.isfinite(value)):
                return
            self._keep(point, value, gradient)

    def leave(self) -> bool:
        """Step down from a saddle; whether the point was one, as far as Newton steps can tell."""
        if self._down is None:
            return False
        reach = max(1.0, float(np.linalg.norm(self.point)))
        for share in _AWAY:
            for sign in (1, -1):
                point = self.point + sign * share * reach * self._down
                value, gradient = self.at(point)
                if value < self.value:
                    self._keep(point, value, gradient)
                    return True
        return False

    def _keep(
        self, point: Float[np.ndarray, "parameters"], value: float, gradient: Float[np.ndarray, "parameters"]
    ) -> None:
        self.point, self.value, self.gradient = point.copy(), value, gradient

    def _minimise(self, method: str, options: dict[str, Any], **second: Any) -> None:
        from scipy.optimize import minimize

        minimiser: Any = minimize
        # Where the gradient is all rounding, trust regions try steps of length zero.
        with np.errstate(invalid="ignore", divide="ignore"):
            minimiser(self, self.point, jac=True, method=method, options=options, **second)

    def _hessian(self, point: Float[np.ndarray, "parameters"]) -> Float[np.ndarray, "parameters parameters"]:
        self.terms.point = point
        return self.terms.hessian(self.weights)

    def _product(
        self, point: Float[np.ndarray, "parameters"], vector: Float[np.ndarray, "parameters"]
    ) -> Float[np.ndarray, "parameters"]:
        # Many vectors are multiplied at one point; a graph does not survive a change of the parameters.
        there = self._at is not None and self._at[0] == self.terms.version
        if self._at is None or not (there and np.array_equal(self.terms.point, point)):
            self.terms.point = point
            self._at = self.terms.version, self.terms.product(self.weights)
        return self._at[1](vector)


def curvature(terms: Terms, weights: Float[np.ndarray, "terms"], dense: int) -> Dense | Krylov:
    """The Hessian of the weighted sum at the module's parameters, as a matrix if they are few."""
    length = float(np.linalg.norm(terms.point))
    if terms.size <= dense:
        return Dense(terms.hessian(weights), length)
    return Krylov(terms.product(weights), terms.size, length)


def minimise(
    terms: Terms,
    weights: Float[np.ndarray, "terms"],
    tolerance: float,
    steps: int,
    watch: Callable[[float], None],
) -> float:
    """Move the module's parameters to a minimum; return the gradient's norm there, possibly too large.

    `watch` is called with the norm at the best point whenever another point was tried.
    """
    search = Search(terms, weights, watch)
    try:
        for _ in range(_SADDLES):
            _descend(search, tolerance, steps)
            if search.norm > tolerance or not search.leave():
                break
    finally:
        # Also after an interrupt.
        terms.point = search.point
    return search.norm


def _descend(search: Search, tolerance: float, steps: int) -> None:
    """Move towards a point where the gradient is below the tolerance."""
    if search.norm <= _NEAR:
        search.newton(tolerance)
    if search.norm > tolerance:
        search.lbfgs(tolerance, steps)
        search.newton(tolerance)
    for target in (max(each, tolerance) for each in (*_TARGETS, tolerance)):
        if search.norm <= tolerance:
            break
        if search.norm > target:
            search.trust(target, max(1, steps // 10))
        search.newton(tolerance)
