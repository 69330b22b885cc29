"""States of springs: a chain at rest, a chain in motion, and section 4.3's invariant of a mixture."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from .._lib.results import Result, points, span


@dataclass(frozen=True, eq=False, repr=False)
class ChainState(Result):
    """A chain at rest, or many; leading axes are those of the given forces or distances.

    `to_frame` has one row per state and spring. Springs are counted from 1; leading axes are "dim_0", "dim_1"
    and so on, counted from 0. The position is that of the node after the spring.

    Attributes
    ----------
    positions : float array, shape (..., n + 1)
        Positions of the wall at 0 and of every node after it.
    extensions : float array, shape (..., n)
        Extension of each spring beyond its natural length.
    tensions : float array, shape (..., n)
        Force with which each spring pulls: stiffness times extension.
    energy : float array, shape (...)
        Energy stored in the springs.
    """

    positions: Float[np.ndarray, "*batch nodes"]
    extensions: Float[np.ndarray, "*batch springs"]
    tensions: Float[np.ndarray, "*batch springs"]
    energy: Float[np.ndarray, "*batch"] | np.float64

    def _columns(self) -> tuple[Mapping[str, Any], *tuple[str, ...]]:
        *batch, springs = self.extensions.shape
        axes = {f"dim_{i}": range(length) for i, length in enumerate(batch)}
        return points(
            axes | {"spring": range(1, springs + 1)},
            positions=self.positions[..., 1:],
            extensions=self.extensions,
            tensions=self.tensions,
            energy=np.asarray(self.energy)[..., None],
        )


@dataclass(frozen=True, eq=False, repr=False)
class ChainMotion(Result):
    """A chain in motion.

    `to_frame` has one row per time and node; nodes are counted from 1.

    Attributes
    ----------
    times : float array, shape (L,)
    displacements : float array, shape (L, nodes)
        Displacements of the free nodes from their rest positions without load.
    velocities : float array, shape (L, nodes)
    rest : float array, shape (nodes,)
        Displacements at which the load is balanced.
    """

    times: Float[np.ndarray, "times"]
    displacements: Float[np.ndarray, "times nodes"]
    velocities: Float[np.ndarray, "times nodes"]
    rest: Float[np.ndarray, "nodes"]

    def _columns(self) -> tuple[Mapping[str, Any], *tuple[str, ...]]:
        return points(
            {"time": self.times, "node": range(1, self.rest.size + 1)},
            displacements=self.displacements,
            velocities=self.velocities,
            rest=self.rest,
        )

    def __repr__(self) -> str:
        return f"ChainMotion({self.rest.size} nodes, time {span(self.times)})"


@dataclass(frozen=True, eq=False, repr=False)
class HookeInvariant(Result):
    """Section 4.3's |D_i| x Delta KL for one perturbation; made by `FisherSprings.invariant`.

    Attributes
    ----------
    forward : float array, shape (N,)
        n_i Delta KL(p_i || q), the finite change, which is n_i Delta gamma_i.
    reverse : float array, shape (N,)
        n_i Delta KL(q || p_i), the paper's direction; nan if KL(q || p_i) is infinite, both before and after.
    forward_response, reverse_response : float arrays, shape (N,)
        The same changes to first order in the amount of data added.
    remainder : float
        T KL(q || q') with q' the model afterwards, which is exactly the sum of `forward`.
    """

    forward: Float[np.ndarray, "datasets"]
    reverse: Float[np.ndarray, "datasets"]
    forward_response: Float[np.ndarray, "datasets"]
    reverse_response: Float[np.ndarray, "datasets"]
    remainder: float
