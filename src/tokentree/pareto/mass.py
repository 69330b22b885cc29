"""Leaf masses drawn from a Pareto law, and their consequences."""

import math
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from jaxtyping import Float

from .._lib import checks
from .._lib.checks import Numbers
from ..information import log1p_less
from .expint import expint
from .fit import fit_tail


@dataclass(frozen=True)
class ParetoMass:
    """Masses of leaves under Assumption A.7.

    Parameters
    ----------
    alpha : float
        Exponent of the tail, finite and > 1. The variance is infinite for ``alpha <= 2``.

    Raises
    ------
    TypeError
        If `alpha` is not a real number.
    ValueError
        If `alpha` is not finite and > 1.

    Examples
    --------
    >>> ParetoMass(2.5)
    ParetoMass(alpha=2.5)
    """

    alpha: float

    def __post_init__(self) -> None:
        if not isinstance(self.alpha, int | float | np.integer | np.floating):
            raise TypeError(f"alpha = {self.alpha!r}: must be a real number, finite and > 1")
        if not 1 < self.alpha < math.inf:
            raise ValueError(f"alpha = {self.alpha!r}: must be finite and > 1")
        object.__setattr__(self, "alpha", float(self.alpha))

    fit = staticmethod(fit_tail)
    """`fit_tail`: whether Assumption A.7 holds for given masses, and with which exponent."""

    def sample(self, n_leaves: int, rng: np.random.Generator | int) -> Float[np.ndarray, " leaves"]:
        """Masses of `n_leaves` independent Pareto draws, normalised to sum to 1.

        Parameters
        ----------
        n_leaves : int
            Number of leaves M, at least 1.
        rng : numpy.random.Generator or int
            Source of randomness, or a seed >= 0 for a new one.

        Returns
        -------
        ndarray, shape (M,)
            Positive masses in the order drawn.

        Raises
        ------
        TypeError
            If `n_leaves` is not an integer or `rng` is neither a Generator nor an integer.
        ValueError
            If ``n_leaves < 1`` or the seed is negative.

        Notes
        -----
        O(M). For ``alpha < 2`` the largest mass is a sizeable share of the total, and a single sample says
        little: use the spread over seeds.

        Examples
        --------
        >>> masses = ParetoMass(1.2).sample(1000, rng=7)
        >>> masses.shape, bool(abs(masses.sum() - 1) < 1e-12)
        ((1000,), True)
        """
        n_leaves = checks.integer("n_leaves", n_leaves, at_least=1)
        draws = 1.0 + checks.generator(rng).pareto(self.alpha, n_leaves)
        masses: Float[np.ndarray, " leaves"] = draws / draws.sum()
        return masses

    def normalized_self_rate(self, base: float = 2) -> float:
        """Limit of H(p) - log M for many leaves: log(alpha / (alpha - 1)) - 1 / (alpha - 1), below zero.

        Parameters
        ----------
        base : float
            Base of the logarithm: 2 for bits, ``math.e`` for nats.

        Returns
        -------
        float
            Normalised rate per block of a dataset compressed by its own code, in units of ``log(base)``.

        Raises
        ------
        ValueError
            If `base` is not finite and > 1.

        Notes
        -----
        With r = 1 / (alpha - 1) it is log(1 + r) - r, which suffers cancellation as alpha grows; it is
        computed as a divergence, which does not. O(1).

        Examples
        --------
        >>> round(ParetoMass(2.5).normalized_self_rate(base=math.e), 5)
        -0.15584
        """
        scale = checks.log_base(base)
        return float(log1p_less(np.float64(1 / (self.alpha - 1)))) / scale

    def laplace(
        self, s: Annotated[Numbers, "..."], derivative: int = 0
    ) -> Float[np.ndarray, "..."] | np.float64:
        r"""Laplace transform phi(s) = E[exp(-s Y)] of a leaf's mass Y, scaled to mean 1.

        Parameters
        ----------
        s : array_like of any shape
            Finite and >= 0.
        derivative : {0, 1, 2}
            Order of the derivative. The sign is dropped: 1 gives -phi'(s) = E[Y exp(-s Y)], and 2 gives
            phi''(s) = E[Y^2 exp(-s Y)], infinite at s = 0 for ``alpha <= 2``.

        Returns
        -------
        float64 or ndarray, shape of `s`
            Values in [0, 1] for ``derivative`` 0 and 1.

        Raises
        ------
        TypeError
            If `s` is not an array of real numbers or `derivative` is not an integer.
        ValueError
            If an entry of `s` is negative or not finite, or `derivative` is not 0, 1 or 2.

        Notes
        -----
        The n-th derivative is alpha x_m^n E_{alpha + 1 - n}(x_m s). The relative error is about 1e-14, plus
        the effect of rounding s itself: s times 2e-16. O(1) per entry, about a hundred divisions at most.

        Examples
        --------
        >>> ParetoMass(2.5).laplace([0.0, 1.0]).round(6)
        array([1.      , 0.412595])
        """
        derivative = checks.integer("derivative", derivative, at_least=0)
        if derivative > 2:
            raise ValueError(f"derivative = {derivative}: must be 0, 1 or 2")
        points = checks.float_array("s", s)
        checks.nonnegative("s", points)
        alpha = self.alpha
        scale = (alpha - 1) / alpha
        x = scale * points
        moments = (1.0, 1.0, (alpha - 1) * scale / (alpha - 2) if alpha > 2 else math.inf)
        values = np.full(x.shape, moments[derivative])
        positive = x > 0
        values[positive] = alpha * scale**derivative * expint(alpha - (derivative - 1), x[positive])
        # A 0-d array becomes a number.
        result: Float[np.ndarray, "..."] | np.float64 = values[()]
        return result
