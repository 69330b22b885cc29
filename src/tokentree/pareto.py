r"""Assumption A.7: the masses of the leaves are independent Pareto draws, normalised.

A draw X exceeds x with probability (x / x_m)^-alpha for x >= x_m. Normalising M draws cancels the scale x_m,
so the exponent alpha is all there is; alpha > 1 makes the mean finite, and then Y = M p has mean 1 and
x_m = (alpha - 1) / alpha as M grows. Every limit of many leaves is an integral of the Laplace transform of Y
and its derivatives, and those are generalised exponential integrals E_v(x) of real order
(Olver and others, *NIST Handbook of Mathematical Functions*, section 8.19).
"""

import math
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import numpy.typing as npt
from jaxtyping import Float
from scipy import special

from . import _checks
from .information import divergence_terms

# polyval(_LOG_GAMMA, d) = log(Gamma(1 + d)) / d to the last digit for |d| <= 1/2.
_LOG_GAMMA = np.array([*((-1.0) ** n * special.zeta(n) / n for n in range(52, 1, -1)), -np.euler_gamma])

# x * polyval(_EXPONENTIAL, x) = e^-x - 1 to the last digit for 0 <= x < 1.
_POWERS = np.arange(18, 0, -1)
_EXPONENTIAL = (-1.0) ** _POWERS / special.factorial(_POWERS)


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
        O(M). For ``alpha < 2`` the largest mass is a sizeable share of the whole, and one sample says little:
        look at the spread over seeds.

        Examples
        --------
        >>> masses = ParetoMass(1.2).sample(1000, rng=7)
        >>> masses.shape, bool(abs(masses.sum() - 1) < 1e-12)
        ((1000,), True)
        """
        n_leaves = _checks.integer("n_leaves", n_leaves, at_least=1)
        if not isinstance(rng, np.random.Generator):
            if isinstance(rng, bool) or not isinstance(rng, int | np.integer):
                raise TypeError(f"rng = {rng!r}: must be a numpy.random.Generator or an integer seed >= 0")
            rng = np.random.default_rng(_checks.integer("rng", rng, at_least=0))
        draws = 1.0 + rng.pareto(self.alpha, n_leaves)
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
        With r = 1 / (alpha - 1) it is log(1 + r) - r, which cancels as alpha grows; summed here as a
        divergence, which does not. O(1).

        Examples
        --------
        >>> round(ParetoMass(2.5).normalized_self_rate(base=math.e), 5)
        -0.15584
        """
        scale = _checks.log_base(base)
        one = np.ones(1)
        r = one / (self.alpha - 1)
        return -float(divergence_terms(one, one + r, -r)[0]) / scale

    def laplace(
        self, s: Annotated[npt.ArrayLike, "..."], derivative: int = 0
    ) -> Float[np.ndarray, "..."] | np.float64:
        r"""Laplace transform phi(s) = E[exp(-s Y)] of a leaf's mass Y, scaled to mean 1.

        Parameters
        ----------
        s : array_like of any shape
            Finite and >= 0.
        derivative : {0, 1, 2}
            How many times to differentiate. The sign is dropped: 1 gives -phi'(s) = E[Y exp(-s Y)], and
            2 gives phi''(s) = E[Y^2 exp(-s Y)], infinite at s = 0 for ``alpha <= 2``.

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
        alpha x_m^n E_{alpha + 1 - n}(x_m s) for the n-th derivative. The relative error is about 1e-14, plus
        what rounding s itself does: s times 2e-16. O(1) per entry, about a hundred divisions at most.

        Examples
        --------
        >>> ParetoMass(2.5).laplace([0.0, 1.0]).round(6)
        array([1.      , 0.412595])
        """
        derivative = _checks.integer("derivative", derivative, at_least=0)
        if derivative > 2:
            raise ValueError(f"derivative = {derivative}: must be 0, 1 or 2")
        points = _checks.real_array("s", s).astype(np.float64, copy=False)
        _checks.nonnegative("s", points)
        alpha = self.alpha
        scale = (alpha - 1) / alpha
        x = scale * points
        moments = (1.0, 1.0, (alpha - 1) * scale / (alpha - 2) if alpha > 2 else math.inf)
        values = np.full(x.shape, moments[derivative])
        positive = x > 0
        values[positive] = alpha * scale**derivative * _expint(alpha + 1 - derivative, x[positive])
        # A 0-d array becomes a number.
        result: Float[np.ndarray, "..."] | np.float64 = values[()]
        return result


def _expint(order: float, x: Float[np.ndarray, " points"]) -> Float[np.ndarray, " points"]:
    """Generalised exponential integral E_v(x): exp(-x t) t^-v integrated over t > 1, for v > 0 and x > 0.

    The continued fraction reaches the last digit in 90 terms from x = 1 on for every v, and in 40 terms from
    v = 20 on for every x. In the corner that is left, the power series serves. SciPy's ``expn`` takes integer
    orders only; its ``hyperu`` gives E_v(x) = exp(-x) U(1, 2 - v, x), but to four digits near v = 1.
    """
    if order >= 20:
        return _expint_fraction(order, x, terms=40)
    values = np.empty_like(x)
    small = x < 1
    values[small] = _expint_series(order, x[small])
    values[~small] = _expint_fraction(order, x[~small], terms=90)
    return values


def _expint_fraction(
    order: float, x: Float[np.ndarray, " points"], terms: int
) -> Float[np.ndarray, " points"]:
    """Contracted continued fraction of E_v, from the innermost term out."""
    tail = np.zeros_like(x)
    for i in range(terms, 0, -1):
        tail = i * ((order - 1 + i) / (x + (order + 2 * i) - tail))
    value: Float[np.ndarray, " points"] = np.exp(-x) / (x + order - tail)
    return value


def _expint_series(order: float, x: Float[np.ndarray, " points"]) -> Float[np.ndarray, " points"]:
    """Power series of E_v for v <= 3/2, then v E_{v+1} = e^-x - x E_v upward, which is stable for x < 1.

    Two terms of the series have poles at v = 1 that cancel: with d = 1 - v they add up to
    (Gamma(1 + d) x^-d - 1) / d, formed as one number near the pole.
    """
    steps = max(0, round(order - 1))
    v = order - steps
    d = 1 - v
    slope = np.polyval(_LOG_GAMMA, d) if abs(d) <= 1 / 2 else math.lgamma(1 + d) / d
    y = slope - np.log(x)
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        head = np.where(
            np.abs(d * y) < 1 / 2, y * special.exprel(d * y), (math.gamma(1 + d) * x**v / x - 1) / d
        )
    value: Float[np.ndarray, " points"] = head - x * np.polyval(_EXPONENTIAL / (_POWERS + d), x)
    for i in range(steps):
        value = (np.exp(-x) - x * value) / (v + i)
    return value
