"""Section 5.3: rebound as a function of depth and of the amount of pre-training data."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Annotated, Any

import numpy as np
from jaxtyping import Bool, Float

from .._lib import checks
from .._lib.checks import Numbers
from .._lib.results import Result, points
from ..mixtures import Mixture
from ..trees import TokenTree, checked_trees
from .rebound import NEGATIVE, POSITIVE, Rebound, simulate_rebound
from .regimes import REGIMES, Regime, growing, roles_of


@dataclass(frozen=True, eq=False, repr=False)
class PowerLaw(Result):
    """R = amplitude * x^exponent by least squares on logarithms; made by `ReboundFactor.fit`.

    Attributes
    ----------
    amplitude, exponent : float
        NaN where some R is not positive.
    amplitude_error, exponent_error : float
        Standard errors. They measure deviations from a power law, not noise: the model has none.
    """

    amplitude: float
    exponent: float
    amplitude_error: float
    exponent_error: float


@dataclass(frozen=True, eq=False, repr=False)
class ReboundFactor(Result):
    """Rebound as a function of depth or |D_p|; made by `rebound_by_depth` and `rebound_by_pretraining`.

    Arrays have axes regime, value, positive, negative in this order; regimes are `REGIMES`. `to_frame` has
    one row per point of these axes, in which `unexpanded` is repeated; the values are named after the factor.

    Attributes
    ----------
    factor : "depth" or "pretrain size"
        The factor that is varied.
    values : float array, shape (V,)
        Its values.
    positive, negative : float arrays, shapes (P,) and (N,)
        As in `Rebound`.
    score, drop : float arrays, shape (2, V, P, N)
    fall : float array, shape (2, V, P, N - 1)
        As in `Rebound`.
    unexpanded : float array, shape (V,)
        As in `Rebound`, for each value.
    """

    factor: str
    values: Float[np.ndarray, "values"]
    positive: Float[np.ndarray, "positive"]
    negative: Float[np.ndarray, "negative"]
    score: Float[np.ndarray, "2 values positive negative"]
    drop: Float[np.ndarray, "2 values positive negative"]
    fall: Float[np.ndarray, "2 values positive steps"]
    unexpanded: Float[np.ndarray, "values"]

    @property
    def first_drop(self) -> Float[np.ndarray, "2 values positive"]:
        """R: how far the score falls over the first negative examples."""
        return np.asarray(self.fall[..., 0])

    @property
    def last_drop(self) -> Float[np.ndarray, "2 values positive"]:
        """How far the score falls over the last negative examples, from 1000 to 2000 in the paper."""
        return np.asarray(self.fall[..., -1])

    @property
    def grows(self) -> Bool[np.ndarray, "2 positive"]:
        """Whether R grows with every step of the factor, as the paper claims."""
        return np.asarray((np.diff(self.first_drop, axis=1) > 0).all(axis=1))

    @property
    def later_slower(self) -> Bool[np.ndarray, "2 positive"]:
        """Whether the last drop shrinks with every step of the factor, as the paper claims."""
        return np.asarray((np.diff(self.last_drop, axis=1) < 0).all(axis=1))

    def fit(self, regime: Regime, positive: int = 0) -> PowerLaw:
        """R = a Size^b, or c Data^d, by least squares on logarithms (section 5.3).

        Parameters
        ----------
        regime : {"counts", "fine-tuning"}
            The regime.
        positive : int
            Index into `positive`. Default: the fewest.

        Returns
        -------
        PowerLaw

        Raises
        ------
        ValueError
            If there are fewer than three values, or the regime or index is unknown.
        """
        if self.values.size < 3:
            raise ValueError(f"values = {self.values.tolist()}: a fit with errors needs at least 3")
        if regime not in REGIMES:
            raise ValueError(f"regime = {regime!r}: must be 'counts' or 'fine-tuning'")
        if not 0 <= positive < self.positive.size:
            raise ValueError(f"positive = {positive}: must be below {self.positive.size}")
        drops = self.first_drop[REGIMES.index(regime), :, positive]
        if not (drops > 0).all():
            return PowerLaw(math.nan, math.nan, math.nan, math.nan)
        x, y = np.log(self.values), np.log(drops)
        spread = ((x - x.mean()) ** 2).sum()
        exponent = float((x - x.mean()) @ (y - y.mean()) / spread)
        intercept = float(y.mean() - exponent * x.mean())
        misfit = ((y - intercept - exponent * x) ** 2).sum() / (x.size - 2)
        amplitude, error = math.exp(intercept), math.sqrt(misfit / spread)
        return PowerLaw(amplitude, exponent, amplitude * error * math.sqrt((x**2).mean()), error)

    def _columns(self) -> tuple[Mapping[str, Any], *tuple[str, ...]]:
        ends = {"positive": self.positive, "negative": self.negative}
        unexpanded = self.unexpanded[:, None, None]
        axes = {"regime": REGIMES, self.factor: self.values} | ends
        return points(axes, score=self.score, drop=self.drop, unexpanded=unexpanded)


def rebound_by_depth(
    trees: Sequence[TokenTree] | Mapping[str, TokenTree],
    pretrain: int | str = 0,
    align: int | str = 1,
    perturb: int | str = 2,
    *,
    depths: Annotated[Numbers, "depths"] | None = None,
    positive: Annotated[Numbers, "positive"] = POSITIVE,
    negative: Annotated[Numbers, "negative"] = NEGATIVE,
    step: float = 1e-3,
) -> ReboundFactor:
    r"""Section 5.3: rebound as a function of the depth d that the model knows, a measure of model size.

    Parameters
    ----------
    trees : sequence of at least three TokenTrees, or a mapping from names to them
        One per dataset; sizes are their total weights.
    pretrain, align, perturb : int or str
        As in `simulate_rebound`, whose errors this shares.
    depths : array_like of int, shape (V,), optional
        Increasing, at least two. Default: 1 to the depth of the deepest tree.
    positive, negative, step
        As in `simulate_rebound`.

    Returns
    -------
    ReboundFactor

    Raises
    ------
    ValueError, TypeError
        If `depths` is not increasing or has fewer than two entries, and as for `Mixture.from_trees`.

    Notes
    -----
    Assumption 3.2 links model size to depth. Pruning merges leaves and can only bring the scores of p_a and
    p_t closer together. O(V (nodes log nodes + M)).

    Examples
    --------
    >>> trees = [TokenTree.from_leaves(leaves) for leaves in ({"00": 9, "01": 9}, {"00": 1}, {"01": 1})]
    >>> found = rebound_by_depth(trees)
    >>> found.first_drop[1, :, 0].round(4)
    array([0.    , 0.0777, 0.0777])
    """
    _, names = checks.named(trees, None)
    named = checked_trees(trees)
    if depths is None:
        depths = list(range(1, max(tree.depth for tree in named.values()) + 1))
    listed = checks.array("depths", depths)
    grid = growing("depths", listed)
    more, less = growing("positive", positive), growing("negative", negative)
    levels = [checks.integer(f"depths[{i}]", depth, 1) for i, depth in enumerate(listed.tolist())]
    mixtures = [Mixture._of_trees(named, None, depth, names) for depth in levels]
    found = [
        simulate_rebound(each, pretrain, align, perturb, positive=more, negative=less, step=step)
        for each in mixtures
    ]
    return _factor("depth", grid, found)


def rebound_by_pretraining(
    mixture: Mixture,
    pretrain: int | str = 0,
    align: int | str = 1,
    perturb: int | str = 2,
    *,
    sizes: Annotated[Numbers, "sizes"] | None = None,
    positive: Annotated[Numbers, "positive"] = POSITIVE,
    negative: Annotated[Numbers, "negative"] = NEGATIVE,
    step: float = 1e-3,
) -> ReboundFactor:
    r"""Section 5.3: rebound as a function of the amount of pre-training data.

    Parameters
    ----------
    mixture : Mixture
        As in `simulate_rebound`.
    pretrain, align, perturb : int or str
        As in `simulate_rebound`, whose errors this shares.
    sizes : array_like, shape (V,), optional
        |D_p|, increasing, at least two. Default: 1, 1.25 and 1.5 times that of the mixture, like the paper's
        2.0T, 2.5T and 3.0T tokens.
    positive, negative, step
        As in `simulate_rebound`.

    Returns
    -------
    ReboundFactor

    Notes
    -----
    With fixed steps |D_p| has no effect: R is constant and its exponent 0.

    Examples
    --------
    >>> from tokentree import published_form
    >>> thirds = published_form([[1, 0, 0], [0, 1, 0], [0, 0, 1]], k=10**9, l=1)
    >>> found = rebound_by_pretraining(thirds)
    >>> [round(found.fit(regime).exponent, 3) for regime in REGIMES]
    [-1.0, 0.0]
    """
    p = roles_of(mixture, pretrain, align, perturb)[0]
    listed = list(mixture.exact_sizes)
    grid = growing("sizes", float(listed[p]) * np.array([1, 1.25, 1.5]) if sizes is None else sizes)
    more, less = growing("positive", positive), growing("negative", negative)
    found = []
    for size in grid.tolist():
        listed[p] = Fraction(size)
        resized = mixture.with_sizes(listed)
        found.append(
            simulate_rebound(resized, pretrain, align, perturb, positive=more, negative=less, step=step)
        )
    return _factor("pretrain size", grid, found)


def _factor(factor: str, values: Float[np.ndarray, "values"], found: list[Rebound]) -> ReboundFactor:
    names = ("score", "drop", "fall")
    score, drop, fall = (np.stack([getattr(each, name) for each in found], axis=1) for name in names)
    shares = np.array([each.unexpanded for each in found])
    return ReboundFactor(factor, values, found[0].positive, found[0].negative, score, drop, fall, shares)
