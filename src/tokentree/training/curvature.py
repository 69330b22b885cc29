r"""Solving H x = g at a minimum, where H may be singular.

A network's symmetries leave every loss unchanged. Along them H has no curvature and no gradient has a
component, so the minimum-norm solution gives -g^T H^{-1} g as if they were absent. Harmful cases are refused:
a gradient with a component where F has no curvature, for which there is no minimum, and negative curvature.

Curvature counts as zero if the eigenvalue is within 2 P u times the largest, where u is the unit roundoff,
since rounding can change eigenvalues by that much. The component of a gradient there counts if it would
change the largest response by more than 10^-8 relative, were the curvature as large as that bound; it does
not count if it is within the rounding of the gradient, about u |H| |theta|. Off the minimum, symmetries have
curvature: for a generator A of one, H A theta = -A^T e, at most |e| divided by the length of A theta. So
eigenvalues as negative as |e| over the root mean square of theta do not indicate a saddle if no gradient has
a component along them.
"""

from collections.abc import Sequence
from contextlib import suppress
from typing import NoReturn

import numpy as np
from jaxtyping import Float

from .terms import Product

DENSE = 2000
"""Number of parameters up to which H is formed; above, it is only multiplied by vectors."""

_UNIT = float(np.finfo(np.float64).eps) / 2
_SHARE = 1e-8
"""Largest neglected component, relative to the largest response."""
_NOISE = 32.0
"""Rounding of a gradient, in units of roundoff."""
_CLOSE = 1e-11
"""Residual of conjugate gradients relative to the right-hand side."""
_PROBES = 100
"""Steps in search of negative curvature along directions without gradient."""


def slack(residual: float, size: int, length: float) -> float:
    """Curvature that symmetries may have if this much gradient remains; `length` is |theta|."""
    return residual * float(np.sqrt(size)) / length if length > 0 else 0.0


class Dense:
    """H in its eigenbasis; `length` is |theta|."""

    def __init__(self, hessian: Float[np.ndarray, "parameters parameters"], length: float) -> None:
        self.values, self.vectors = np.linalg.eigh(hessian)
        top = float(np.abs(self.values).max())
        self.cut = len(self.values) * 2 * _UNIT * top
        self.noise = _NOISE * _UNIT * top * length

    def newton(self, gradient: Float[np.ndarray, "parameters"]) -> Float[np.ndarray, "parameters"]:
        """The step to a minimum; along negative curvature, away from the maximum."""
        kept = np.abs(self.values) > self.cut
        vectors = self.vectors[:, kept]
        step: Float[np.ndarray, "parameters"] = -vectors @ (
            (vectors.T @ gradient) / np.abs(self.values[kept])
        )
        return step

    def solve(
        self, gradients: Float[np.ndarray, "parameters datasets"], slack: float, labels: Sequence[str]
    ) -> tuple[Float[np.ndarray, "parameters datasets"], Float[np.ndarray, "datasets datasets"]]:
        """H^+ G and G^T H^+ G, the second exactly symmetric."""
        if self.values[0] < -(self.cut + slack):
            _saddle(self.values[0], self.cut)
        parts = self.vectors.T @ gradients
        kept = self.values > self.cut
        scaled = parts[kept] / np.sqrt(self.values[kept])[:, None]
        inner: Float[np.ndarray, "datasets datasets"] = scaled.T @ scaled
        self._harmless(parts, inner.diagonal().max(initial=0.0), gradients, labels)
        moved: Float[np.ndarray, "parameters datasets"] = self.vectors[:, kept] @ (
            parts[kept] / self.values[kept][:, None]
        )
        return moved, inner

    def _harmless(
        self,
        parts: Float[np.ndarray, "parameters datasets"],
        largest: float,
        gradients: Float[np.ndarray, "parameters datasets"],
        labels: Sequence[str],
    ) -> None:
        """Refuse gradients with a component along zero or negative curvature."""
        flat = np.abs(self.values) <= self.cut
        outside = np.linalg.norm(parts[flat], axis=0)
        bad = (outside**2 > _SHARE * self.cut * largest) & (outside > self.noise)
        if bad.any():
            t = int(np.argmax(bad))
            _outside(labels[t], outside[t] / np.linalg.norm(gradients[:, t]))
        below = self.values < -self.cut
        against = np.abs(parts[below]).max(axis=1, initial=0.0)
        bad = (against**2 > _SHARE * -self.values[below] * largest) & (against > self.noise)
        if bad.any():
            _saddle(self.values[below][bad][0], self.cut)


class _FlatError(Exception):
    """Curvature along a direction is zero or negative."""


class Krylov:
    """H through its products with vectors, by SciPy's conjugate gradients started at zero."""

    def __init__(self, product: Product, size: int, length: float) -> None:
        self.product, self.size, self.length = product, size, length
        self.lowest, self.top = np.inf, 0.0
        self.flat: Float[np.ndarray, "parameters"] | None = None

    def newton(self, gradient: Float[np.ndarray, "parameters"]) -> Float[np.ndarray, "parameters"]:
        """The step to a minimum, as far as conjugate gradients got."""
        return -self._conjugate(gradient, 2 * self.size)[0]

    def solve(
        self, gradients: Float[np.ndarray, "parameters datasets"], slack: float, labels: Sequence[str]
    ) -> tuple[Float[np.ndarray, "parameters datasets"], Float[np.ndarray, "datasets datasets"]]:
        """H^+ G and G^T H^+ G, the second exactly symmetric, with the squared error of the first."""
        # A saddle that no gradient reveals shows up along a random direction.
        self._conjugate(np.random.default_rng(0).standard_normal(self.size), _PROBES)
        moved, images = np.zeros_like(gradients), np.zeros_like(gradients)
        for t in range(gradients.shape[1]):
            column = gradients[:, t]
            if (length := float(np.linalg.norm(column))) <= self._noise():
                continue
            moved[:, t], off = self._conjugate(column, 10 * self.size)
            if self.lowest < -(self._cut() + slack):
                break
            if off > np.sqrt(_SHARE) + self._noise() / length:
                self._unsolved(labels[t], off, column / length)
            images[:, t] = self.product(moved[:, t])
        if self.lowest < -(self._cut() + slack):
            _saddle(self.lowest, self._cut())
        crossed = gradients.T @ moved
        inner = crossed + crossed.T - moved.T @ images
        return moved, (inner + inner.T) / 2

    def _unsolved(self, label: str, off: float, along: Float[np.ndarray, "parameters"]) -> NoReturn:
        if self.flat is not None:
            _outside(label, abs(self.flat @ along))
        raise ArithmeticError(
            f"conjugate gradients left {off:.2g} of the gradient of {label} after {10 * self.size} steps: "
            "the curvature of F differs too much between directions; add a stronger regularizer"
        )

    def _cut(self) -> float:
        return self.size * 2 * _UNIT * self.top

    def _noise(self) -> float:
        return _NOISE * _UNIT * self.top * self.length

    def _conjugate(
        self, target: Float[np.ndarray, "parameters"], steps: int
    ) -> tuple[Float[np.ndarray, "parameters"], float]:
        """A solution and its relative residual; records the curvature along every direction."""
        from scipy.sparse.linalg import LinearOperator, cg

        found, self.flat = np.zeros(self.size), None

        def apply(direction: Float[np.ndarray, "..."]) -> Float[np.ndarray, "parameters"]:
            image = self.product(direction)
            length = float(np.linalg.norm(direction))
            if length == 0:
                return image
            curvature = float(direction.ravel() @ image) / length**2
            self.lowest = min(self.lowest, curvature)
            self.top = max(self.top, float(np.linalg.norm(image)) / length)
            if curvature <= self._cut():
                # The next step would be dominated by rounding.
                self.flat = direction.ravel() / length
                raise _FlatError
            return image

        def keep(point: Float[np.ndarray, "parameters"]) -> None:
            found[:] = point

        operator = LinearOperator((self.size, self.size), matvec=apply, dtype=np.float64)
        # Below the rounding of the target only its noise would be solved for.
        self.top = max(self.top, float(np.linalg.norm(self.product(target)) / np.linalg.norm(target)))
        with suppress(_FlatError):
            cg(operator, target, rtol=_CLOSE, atol=self._noise(), maxiter=steps, callback=keep)
        off = np.linalg.norm(self.product(found) - target) / np.linalg.norm(target)
        return found, float(off)


def _saddle(value: float, cut: float) -> NoReturn:
    raise ArithmeticError(
        f"F over the total size has the curvature {value:.3g}, below zero by more than rounding ({cut:.1g}): "
        "the model is at a saddle or a maximum, or far from any minimum, and its rates have no response: "
        "train it, from other parameters if it does not leave this point, or with a stronger regularizer"
    )


def _outside(label: str, share: float) -> NoReturn:
    raise ArithmeticError(
        f"{share:.2g} of the gradient of {label} lies where F has no curvature, outside the range of its "
        "Hessian: no minimum responds to the size of these data; train to a smaller residual, add a "
        "regularizer, or freeze the parameters that the data leave open"
    )
