"""A small network in NumPy alone, trained to its optimum in milliseconds, to check `TrainedMixture`.

It scores every leaf x of a token tree of depth d by v . tanh(W x + b), x in {-1, 1}^d, and gives it a share
q(x) proportional to the exponential of the score. The loss of a dataset is its cross-entropy. Second
derivatives come from the gradient at imaginary steps, and are exact up to rounding.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Complex, Float
from scipy.optimize import minimize

from ..trees import TokenTree, leaf_distributions, merge

DEPTH, HIDDEN, DECAY = 6, 3, 0.1
SIZES = np.array([10.0, 1.0, 0.3])
"""Sizes of D_p, D_a and D_t."""

STEP = 1e-4
"""Relative change of a dataset's size, up and down, for measuring a response."""

_IMAGINARY = 1e-30
_NEWTON = 30

Rates = Float[np.ndarray, "datasets"]
Parameters = Float[np.ndarray, "parameters"]


@dataclass(frozen=True)
class Network:
    """Hidden units, leaves, and each dataset's distribution over the leaves; rates are in nats per block.

    If `frozen` holds the hidden layer, W and b in one row, only v is trained.
    """

    hidden: int
    bits: Float[np.ndarray, "leaves depth"]
    shares: Float[np.ndarray, "datasets leaves"]
    frozen: Float[np.ndarray, "hidden"] | None = None

    def freeze(self, theta: Parameters) -> "Network":
        """The network that keeps the hidden layer of `theta`."""
        return replace(self, frozen=theta[: -self.hidden])

    @property
    def size(self) -> int:
        """Number of parameters: those of the hidden layer, then v with one entry per hidden unit."""
        return self.hidden * (1 if self.frozen is not None else self.bits.shape[1] + 2)

    def _scored(self, theta: Complex[np.ndarray, "parameters"] | Parameters) -> tuple[np.ndarray, np.ndarray]:
        """Scores of the leaves, and their derivatives with respect to every parameter."""
        x, h = self.bits, self.hidden
        theta = theta if self.frozen is None else np.concatenate([self.frozen, theta])
        inner, bias, outer = np.split(theta, [x.shape[1] * h, (x.shape[1] + 1) * h])
        units = np.tanh(x @ inner.reshape(-1, h) + bias)
        back = outer * (1 - units**2)
        slopes = np.hstack([(x[:, :, None] * back[:, None]).reshape(len(x), -1), back, units])
        return units @ outer, slopes[:, -self.size :]

    def rates(self, theta: Parameters) -> Rates:
        """Cross-entropies."""
        scores, _ = self._scored(theta)
        scores = scores - scores.max()
        return np.asarray(-self.shares @ (scores - np.log(np.exp(scores).sum())))

    def gradients(self, theta: np.ndarray) -> np.ndarray:
        """Gradients of the rates, shape (parameters, datasets)."""
        scores, slopes = self._scored(theta)
        # Only the real part is shifted, so that the step stays imaginary.
        q = np.exp(scores - scores.real.max())
        return np.asarray(slopes.T @ (q / q.sum() - self.shares).T)

    def hessian(
        self, theta: Parameters, sizes: Rates, decay: float
    ) -> Float[np.ndarray, "parameters parameters"]:
        """Hessian of the total loss, which includes `decay` times half the square of theta."""
        steps = theta + 1j * _IMAGINARY * np.eye(self.size)
        found = np.array([(self.gradients(step) @ sizes).imag / _IMAGINARY for step in steps])
        hessian: Float[np.ndarray, "parameters parameters"] = (found + found.T) / 2
        return hessian + decay * np.eye(self.size)

    def slope(self, theta: Parameters, sizes: Rates, decay: float) -> Parameters:
        """Gradient of the total loss."""
        slope: Parameters = self.gradients(theta) @ sizes + decay * theta
        return slope

    def total(self, theta: Parameters, sizes: Rates, decay: float) -> float:
        """The total loss."""
        return float(sizes @ self.rates(theta) + decay * (theta @ theta) / 2)

    def trained(
        self,
        sizes: Rates,
        decay: float,
        start: Parameters | None = None,
        steps: int = 1000,
    ) -> Parameters:
        """Parameters at a minimum of the total loss, or after fewer than 1000 `steps` towards it."""
        theta = 0.5 * np.random.default_rng(0).standard_normal(self.size) if start is None else start
        options = {"maxiter": steps, "gtol": 1e-8 * sizes.sum()}
        given: Any = {"jac": self.slope, "hess": self.hessian, "options": options}
        minimiser: Any = minimize
        found: Parameters = minimiser(self.total, theta, (sizes, decay), method="trust-exact", **given).x
        return self.stationary(sizes, decay, found) if steps >= 1000 else found

    def stationary(
        self,
        sizes: Rates,
        decay: float,
        start: Parameters,
        left: Parameters | float = 0.0,
    ) -> Parameters:
        """Parameters at which the gradient is `left`, by Newton's method."""
        theta = start
        for _ in range(_NEWTON):
            off = self.slope(theta, sizes, decay) - left
            step = np.linalg.solve(self.hessian(theta, sizes, decay), off)
            theta = theta - step
            # The next step would be about the square of this one, below rounding.
            if np.linalg.norm(step) <= 1e-9 * np.linalg.norm(theta):
                break
        return theta


@dataclass(frozen=True)
class Optimum:
    """A trained network with its weight decay, at its optimum unless stated otherwise."""

    network: Network
    theta: Parameters
    sizes: Rates
    decay: float

    @property
    def gradients(self) -> Float[np.ndarray, "parameters datasets"]:
        """G."""
        return np.asarray(self.network.gradients(self.theta))

    @property
    def moves(self) -> Float[np.ndarray, "parameters datasets"]:
        """H^{-1} G."""
        hessian = self.network.hessian(self.theta, self.sizes, self.decay)
        return np.linalg.solve(hessian, self.gradients)

    @property
    def response(self) -> Float[np.ndarray, "datasets datasets"]:
        """-G^T H^{-1} G."""
        response: Float[np.ndarray, "datasets datasets"] = -self.gradients.T @ self.moves
        return response

    @property
    def rates(self) -> Rates:
        """The gamma_i."""
        return self.network.rates(self.theta)

    @property
    def penalty(self) -> float:
        """Half the square of theta."""
        return float(self.theta @ self.theta) / 2

    @property
    def least(self) -> float:
        """The total loss."""
        return self.network.total(self.theta, self.sizes, self.decay)

    @cached_property
    def left(self) -> Parameters:
        """The gradient of the total loss; at an optimum, only rounding."""
        return self.network.slope(self.theta, self.sizes, self.decay)

    def beside(self, t: int) -> tuple["Optimum", "Optimum", float]:
        """The models for slightly less and slightly more of D_t, and the difference of its sizes.

        Both are trained to the gradient that remains here.
        """
        step = STEP * self.sizes[t] * np.eye(len(self.sizes))[t]
        found = []
        for sizes in (self.sizes - step, self.sizes + step):
            theta = self.network.stationary(sizes, self.decay, self.theta, self.left)
            found.append(replace(self, theta=theta, sizes=sizes))
        return found[0], found[1], float(found[1].sizes[t] - found[0].sizes[t])

    @cached_property
    def around(self) -> list[tuple["Optimum", "Optimum", float]]:
        """The result of `beside` for every dataset."""
        return [self.beside(t) for t in range(len(self.sizes))]

    @property
    def measured(self) -> Float[np.ndarray, "datasets datasets"]:
        """The response, measured by retraining."""
        return np.stack([(more.rates - less.rates) / apart for less, more, apart in self.around], axis=1)


def network_of(trees: Sequence[TokenTree], hidden: int) -> Network:
    """A network for the first levels of binary trees."""
    pruned = [tree.prune(DEPTH) for tree in trees]
    # Positions after the end of a response are zero.
    bits = [
        [*(2.0 * bit - 1 for bit in leaf.prefix), *[0.0] * (DEPTH - len(leaf.prefix))]
        for leaf in merge(pruned).leaves()
    ]
    return Network(hidden, np.array(bits), leaf_distributions(pruned))
