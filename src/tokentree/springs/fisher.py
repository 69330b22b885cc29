"""Joint compression as a system of springs: anchors, stiffnesses and the Fisher metric.

The anchors are p_i, the stiffnesses n_i, and the one node is q = sum n_i p_i / T, at which the forces n_i
(p_i - q) balance. The page docs/springs.md proves where this is Hooke's law exactly, where to first order,
and where it is not.
"""

from fractions import Fraction
from typing import Annotated

import numpy as np
from jaxtyping import Float

from .._lib import checks
from .._lib.checks import Numbers, finite
from ..information import divergence_terms, kl_divergence, log_ratio
from ..mixtures import SCALE, Mixture, exact_number, inverse_root, no_mixture
from .motion import solve
from .states import HookeInvariant


class FisherSprings:
    r"""Joint compression as springs: anchors p_i, stiffnesses n_i, and the model q where they meet.

    Parameters
    ----------
    mixture : Mixture

    Raises
    ------
    TypeError
        If `mixture` is not a Mixture.

    Notes
    -----
    Section 4.3 of the paper. With two datasets this is exactly Hooke's law for two springs in series; see
    docs/springs.md.

    Examples
    --------
    >>> springs = FisherSprings(Mixture([[1, 0], [0, 1]], [3, 1]))
    >>> springs.node
    array([0.75, 0.25])
    >>> springs.forces
    array([[ 0.75, -0.75],
           [-0.75,  0.75]])
    """

    def __init__(self, mixture: Mixture) -> None:
        if not isinstance(mixture, Mixture):
            no_mixture("mixture", mixture)
        self._mixture = mixture

    @property
    def mixture(self) -> Mixture:
        """The mixture."""
        return self._mixture

    @property
    def anchors(self) -> Float[np.ndarray, "datasets leaves"]:
        """The p_i, shape (N, M)."""
        return self._mixture.distributions

    @property
    def stiffness(self) -> Float[np.ndarray, "datasets"]:
        """The n_i. At the node the springs act in parallel, with total stiffness T = sum n_i."""
        return self._mixture.sizes

    @property
    def node(self) -> Float[np.ndarray, "leaves"]:
        """The model q, where the forces balance and the energy is least."""
        return self._mixture.joint

    @property
    def forces(self) -> Float[np.ndarray, "datasets leaves"]:
        """n_i (p_i - q), shape (N, M): the force of dataset i on the node, per leaf.

        p_i - q is formed as in `Mixture.response`, without cancellation. At every leaf the forces sum to zero
        within about 2 N^2 units in the last place of the largest one. O(N M).
        """
        sizes = self.stiffness[:, None]
        return np.concatenate([sizes * d / SCALE for _, _, d in self._mixture.centred_blocks()], axis=1)

    @property
    def extensions(self) -> Float[np.ndarray, "datasets"]:
        """Dimensionless Fisher-metric lengths |p_i - q| = sqrt(sum (p_i - q)^2 / q), shape (N,).

        Their squares are the chi-square divergences, -T R_ii in nats. O(N M).
        """
        blocks = self._mixture.centred_blocks()
        squares = (((d * inverse_root(q)) ** 2).sum(axis=1) for _, q, d in blocks)
        return np.sqrt(sum(squares, np.zeros(self.stiffness.size)) / SCALE)

    def kl(self, base: float = 2, reverse: bool = False) -> Float[np.ndarray, "datasets"]:
        r"""KL(p_i || q) per block, or with `reverse` the paper's KL(q || p_i), shape (N,).

        Parameters
        ----------
        base : float
            2 for bits, ``math.e`` for nats.
        reverse : bool
            Whether to return KL(q \|\| p_i).

        Returns
        -------
        ndarray, shape (N,)
            Forward: finite, at most -log w_i. Reverse: inf if D_i lacks a leaf that another dataset has, and
            so always for disjoint datasets.

        Raises
        ------
        ValueError
            If ``base <= 1``.

        Examples
        --------
        >>> springs = FisherSprings(Mixture([[1, 0], [1, 1]], [1, 1]))
        >>> springs.kl().round(4), springs.kl(reverse=True).round(4)
        (array([0.415 , 0.2075]), array([   inf, 0.1887]))
        """
        if not reverse:
            return self._mixture.kl(base)
        unit = checks.log_base(base) * SCALE
        blocks = self._mixture.centred_blocks()
        terms = (divergence_terms(q, p, -d).sum(axis=1) for p, q, d in blocks)
        return sum(terms, np.zeros(self.stiffness.size)) / unit

    def energy(self, node: Annotated[Numbers, "leaves"] | None = None, base: float = 2) -> float:
        r"""E(x) = sum n_i KL(p_i || x), in units of ``log(base)``.

        Parameters
        ----------
        node : array_like, shape (M,), optional
            A distribution x. Default: q, which minimises the energy.
        base : float
            2 for bits, ``math.e`` for nats.

        Returns
        -------
        float
            inf if x lacks a leaf that a dataset has. At q it is T times the Jensen-Shannon divergence of the
            datasets, the cost of coding them jointly. In general E(x) = E(q) + T KL(q || x).

        Raises
        ------
        ValueError
            If `node` is not a distribution over the leaves, or ``base <= 1``.
        TypeError
            If `node` holds no real numbers.

        Examples
        --------
        >>> springs = FisherSprings(Mixture([[1, 0], [0, 1]], [1, 1]))
        >>> springs.energy(), round(springs.energy([0.75, 0.25]), 4)
        (2.0, 2.415)
        """
        if node is None:
            return float(self.stiffness @ self._mixture.kl(base))
        return float(self.stiffness @ kl_divergence(self.anchors, self._model("node", node), base))

    def invariant(self, dataset: int | str, amount: float | Fraction, base: float = 2) -> HookeInvariant:
        r"""|D_i| x Delta KL in both directions, for data distributed as `dataset` added or removed.

        Parameters
        ----------
        dataset : int or str
            Index or name of D_t.
        amount : int, float or Fraction
            As in `Mixture.perturb`.
        base : float
            2 for bits, ``math.e`` for nats.

        Returns
        -------
        HookeInvariant

        Raises
        ------
        ValueError, TypeError
            As in `Mixture.perturb`, and if ``base <= 1``.

        Notes
        -----
        In the forward direction sum_i n_i Delta KL(p_i || q) = T KL(q || q') exactly, which is of second
        order in the amount: this is the conservation law for a finite perturbation. In the reverse direction
        there is no such law; see docs/springs.md. Changes are not computed as differences of divergences but
        summed from log(q' / q), so they keep their digits however unequal the sizes. So do forward changes
        however small the amount: if it changes no mass of q by more than half, their first order is that of
        `Mixture.response`, exactly zero where R_it is zero. O(N^2 M).

        Examples
        --------
        >>> from tokentree import published_form
        >>> thirds = published_form([[1, 0, 0], [0, 1, 0], [0, 0, 1]], k=1000, l=0.01)
        >>> found = FisherSprings(thirds).invariant("perturb", 0.01)
        >>> (found.forward / found.forward[1]).round(4)
        array([-0.97,  1.  , -0.02])
        >>> bool(abs(found.forward.sum() / found.remainder - 1) < 1e-9)
        True
        """
        unit = checks.log_base(base)
        mixture = self._mixture
        t = mixture.index(dataset)
        after = mixture.perturb(t, amount)
        added = exact_number("amount", amount)
        step = float(added / sum(after.exact_sizes))
        moved = curved = drag = np.zeros(mixture.n_datasets)
        fall = rise = 0.0
        small = True
        for (p, q, d), (_, target, _) in zip(mixture.centred_blocks(), after.centred_blocks(), strict=True):
            change = step * d[t]
            moved = moved + (d * log_ratio(target, q, change)).sum(axis=1)
            falls = divergence_terms(q, target, -change)
            fall = fall + falls.sum()
            small = small and bool((np.abs(change) <= q / 2).all())
            curved = curved + (p * (falls * inverse_root(q) ** 2)).sum(axis=1)
            rise = rise + divergence_terms(target, q, change).sum()
            with np.errstate(divide="ignore", invalid="ignore"):
                drag = drag - (d[t] * log_ratio(p, q, d)).sum(axis=1)
        sizes = mixture.sizes / (SCALE * unit)
        drag = np.where(np.isfinite(drag), drag, np.nan)
        first = float(added / sum(mixture.exact_sizes))
        forward_response = mixture.sizes * mixture.response(base)[:, t] * float(added)
        # The first order apart from the others, which are lost in its rounding error where it cancels.
        expanded = forward_response * float(sum(mixture.exact_sizes) / sum(after.exact_sizes))
        return HookeInvariant(
            forward=expanded + sizes * curved if small else sizes * (fall - moved),
            reverse=sizes * (step * drag + rise),
            forward_response=forward_response,
            # In this order, as sizes * first may underflow.
            reverse_response=sizes * drag * first,
            remainder=mixture.total_size * float(fall) / (SCALE * unit),
        )

    # Dynamics

    def flow(
        self,
        start: Annotated[Numbers, "leaves"],
        tau: Annotated[Numbers, "*batch"],
        *,
        towards: int | str | None = None,
        integrate: bool = False,
    ) -> Float[np.ndarray, "*batch leaves"]:
        r"""Natural-gradient flow of the energy: x(tau) = q + (x_0 - q) e^-tau.

        Parameters
        ----------
        start : array_like, shape (M,)
            The model x_0 at tau = 0.
        tau : array_like, shape (...)
            Times >= 0, in units of the inverse learning rate. k steps of fixed rate eta correspond to tau =
            -k log(1 - eta).
        towards : int or str, optional
            Train on this dataset alone: p_t replaces q. Default: all datasets.
        integrate : bool
            As a check, solve dx/dtau = q - x by `scipy.integrate.solve_ivp` instead.

        Returns
        -------
        ndarray, shape (..., M)

        Raises
        ------
        ValueError
            If `start` is not a distribution over the leaves, a tau is negative or not finite, or the dataset
            is unknown.
        TypeError
            If `start` or `tau` holds no real numbers.
        RuntimeError
            If the integration fails.

        Notes
        -----
        Steepest descent of E(x) / T in the Fisher metric sum u^2 / x. Along the flow the excess energy is T
        KL(q || x(tau)), at most e^-tau times its initial value. O(M) per time.

        Examples
        --------
        >>> import math
        >>> springs = FisherSprings(Mixture([[1, 0], [0, 1]], [3, 1]))
        >>> springs.flow([0, 1], [0, math.log(2)])
        array([[0.   , 1.   ],
               [0.375, 0.625]])
        """
        x = self._model("start", start)
        times = finite("tau", tau)
        checks.nonnegative("tau", times)
        target = self.node if towards is None else self.anchors[self._mixture.index(towards, "towards")]
        if integrate:
            states = solve(lambda _, y: target - y, x, times.ravel(), rtol=1e-12, atol=1e-15)
            return states.reshape(*times.shape, x.size)
        left = times[..., None]
        # A mean with positive weights, so no mass is negative.
        flowed: Float[np.ndarray, "*batch leaves"] = x * np.exp(-left) - target * np.expm1(-left)
        return flowed

    def equivalent_size(self, tau: Annotated[Numbers, "*batch"]) -> Float[np.ndarray, "*batch"] | np.float64:
        r"""T (e^tau - 1): training on D_t alone for tau equals adding this much of it; inf on overflow.

        Parameters
        ----------
        tau : array_like
            Time of training on D_t alone.

        Returns
        -------
        float64 or ndarray
            Size in blocks, of the shape of `tau`.

        Examples
        --------
        >>> import math
        >>> springs = FisherSprings(Mixture([[1, 0], [0, 1]], [3, 1]))
        >>> springs.flow(springs.node, math.log(2), towards=1)
        array([0.375, 0.625])
        >>> springs.mixture.perturb(1, 4).joint, round(springs.equivalent_size(math.log(2)), 12)
        (array([0.375, 0.625]), np.float64(4.0))
        """
        times = finite("tau", tau)
        checks.nonnegative("tau", times)
        with np.errstate(over="ignore"):
            size: Float[np.ndarray, "*batch"] | np.float64 = (self._mixture.total_size * np.expm1(times))[()]
        return size

    def equivalent_time(self, size: Annotated[Numbers, "*batch"]) -> Float[np.ndarray, "*batch"] | np.float64:
        """log(1 + size / T), the inverse of `equivalent_size`."""
        sizes = finite("size", size)
        checks.nonnegative("size", sizes)
        tau: Float[np.ndarray, "*batch"] | np.float64 = np.log1p(sizes / self._mixture.total_size)[()]
        return tau

    def _model(self, name: str, value: Numbers) -> Float[np.ndarray, "leaves"]:
        model = checks.distributions(name, value)
        if model.shape != (self._mixture.n_leaves,):
            raise ValueError(
                f"{name} has shape {model.shape}: must be ({self._mixture.n_leaves},), one entry per leaf"
            )
        return model

    def __repr__(self) -> str:
        return f"FisherSprings({self._mixture!r})"
