"""What a chain of springs does: a state of rest, a motion, and the invariant of Hooke's law."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from .._lib.results import comparable, span


@comparable
class ChainState(NamedTuple):
    """A chain at rest, or many; leading axes are those of the forces or distances asked for.

    Attributes
    ----------
    positions : float array, shape (..., n + 1)
        Of the wall at 0 and of every node after it.
    extensions : float array, shape (..., n)
        Of each spring beyond its natural length.
    tensions : float array, shape (..., n)
        Force that each spring pulls with: stiffness times extension.
    energy : float array, shape (...)
        Stored in the springs.
    """

    positions: Float[np.ndarray, "*batch nodes"]
    extensions: Float[np.ndarray, "*batch springs"]
    tensions: Float[np.ndarray, "*batch springs"]
    energy: Float[np.ndarray, "*batch"] | np.float64


@comparable
class ChainMotion(NamedTuple):
    """A chain in motion.

    Attributes
    ----------
    times : float array, shape (L,)
    displacements : float array, shape (L, nodes)
        Of the free nodes, from where they rest without load.
    velocities : float array, shape (L, nodes)
    rest : float array, shape (nodes,)
        Displacements at which the load is in balance.
    """

    times: Float[np.ndarray, "times"]
    displacements: Float[np.ndarray, "times nodes"]
    velocities: Float[np.ndarray, "times nodes"]
    rest: Float[np.ndarray, "nodes"]

    def __repr__(self) -> str:
        return f"ChainMotion({self.rest.size} nodes, time {span(self.times)})"


@comparable
class HookeInvariant(NamedTuple):
    """Section 4.3's |D_i| x Delta KL for one perturbation; made by `FisherSprings.invariant`.

    Attributes
    ----------
    forward : float array, shape (N,)
        n_i Delta KL(p_i || q), the finite change, which is n_i Delta gamma_i.
    reverse : float array, shape (N,)
        n_i Delta KL(q || p_i), the paper's direction; nan where KL(q || p_i) is infinite, before and after.
    forward_response, reverse_response : float arrays, shape (N,)
        The same to first order in the amount of data added.
    remainder : float
        T KL(q || q'), with q' the model after: exactly the sum of `forward`.
    """

    forward: Float[np.ndarray, "datasets"]
    reverse: Float[np.ndarray, "datasets"]
    forward_response: Float[np.ndarray, "datasets"]
    reverse_response: Float[np.ndarray, "datasets"]
    remainder: float
