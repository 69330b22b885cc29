"""The depth to which a model knows its data."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from .._lib import checks
from .._lib.results import Result
from ..trees import Joined, TokenTree, checked_tree, refuse_open

_ROUNDING = 2.0**-40
"""Nats, more than rounding in float64 can add to a divergence, and than that in float32 in fifty tokens."""


@dataclass(frozen=True, eq=False, repr=False)
class ModelledDepth(Result):
    """The depth to which a model knows the token tree of some data; made by `modelled_depth`.

    Attributes
    ----------
    depth : int
        Largest d at which the model is within tolerance for every completion of its unexpanded mass; 0 if it
        is not even at depth 1.
    possible : int
        Largest d at which it is so for some completion; equal to `depth` if there is no unexpanded mass.
    depths : int array, shape (D,)
        1, ..., D.
    lower, upper : float array, shape (D,)
        Bounds on KL(data || model) of the trees pruned to each depth, over all completions of the model's
        unexpanded mass; equal if the data have no mass there.

    Notes
    -----
    `to_frame` has one row per depth: index depths; columns lower and upper.
    """

    depth: int
    possible: int
    depths: Int[np.ndarray, "depths"]
    lower: Float[np.ndarray, "depths"]
    upper: Float[np.ndarray, "depths"]

    def _columns(self) -> tuple[Mapping[str, Any], *tuple[str, ...]]:
        return {name: vars(self)[name] for name in ("depths", "lower", "upper")}, "depths"


def modelled_depth(
    model_tree: TokenTree, data_tree: TokenTree, tolerance: float, *, base: float = 2
) -> ModelledDepth:
    r"""Depth d to which a model knows the token tree of some data, in the sense of Assumption 3.2.

    The paper assumes that a finite model knows the top d layers. Here d is the largest depth at which coding
    the data's blocks of d tokens with the model costs at most `tolerance` more than their entropy: KL(data
    \|\| model) <= tolerance. By the chain rule the divergence never decreases with d, so d is well defined.

    Parameters
    ----------
    model_tree : TokenTree
        The model's masses, from `read_model`, or from `read_along` the data, which leaves none of the data
        unread if the model lists all its tokens.
    data_tree : TokenTree
        Counts or masses over the same alphabet, none of them unexpanded.
    tolerance : float
        In bits per block for base 2, at least 0. It has no default, because it has to cover the sampling
        error of the data (see Notes). An excess of less than 2^-40 nats counts as within it, as the rounding
        of a model may cause one.
    base : float
        2 for bits, ``math.e`` for nats.

    Returns
    -------
    ModelledDepth
        For depths up to that at which the shallower tree is cut.

    Raises
    ------
    ValueError
        If alphabets differ, the data have unexpanded mass, or the tolerance is negative or NaN.

    Notes
    -----
    O(nodes log nodes) for all depths together. Masses below the range of float64, as for long documents,
    enter through their logarithms. Where the model is unexpanded, the log-sum inequality gives the lower
    bound P log(P / Q) from the data's mass P there and the model's Q; there is no upper bound, because the
    data may lie where the model has no mass. So for a partly read model `depth` ends where the data first lie
    in its unexpanded mass, at any finite tolerance; `possible` says how far it might reach, and `read_along`
    settles it. Assumption 3.2.

    The data are the empirical distribution: the divergence contains their sampling error, and a model that
    memorises them may do better than their source. For the source itself the divergence is about (M - 1) / (2
    n ln 2) bits if n blocks are many more than the M possible leaves at depth d, and large if they are fewer.
    Rounding matters only at a tolerance of 0. Readers scale rows to sum to one, so errors of
    log-probabilities enter squared: about 1e-14 nats per token for a model in float32, 1e-30 in float64. The
    margin of 2^-40 nats covers some fifty tokens of the former; for longer blocks give 1e-9.

    Examples
    --------
    >>> data = TokenTree.from_leaves({"00": 1, "01": 1, "11": 2}, depth=2)
    >>> first_symbol_only = TokenTree.from_leaves({"00": 1, "01": 1, "10": 1, "11": 1}, depth=2)
    >>> found = modelled_depth(first_symbol_only, data, tolerance=0.1)
    >>> found.depth, found.upper
    (1, array([0. , 0.5]))
    """
    unit = checks.log_base(base)
    if not (isinstance(tolerance, int | float | np.number) and tolerance >= 0):
        raise ValueError(f"tolerance = {tolerance!r}: must be a number >= 0")
    checked_tree("model_tree", model_tree)
    refuse_open(data_tree)
    trees = [model_tree, data_tree]
    deepest = min((t.depth for t in trees if t.is_cut), default=max(t.depth for t in trees))
    lower, upper = (bound / unit for bound in Joined.of(model_tree, data_tree, deepest).divergences())
    least, most = (int(np.count_nonzero(bound <= tolerance + _ROUNDING / unit)) for bound in (upper, lower))
    return ModelledDepth(least, most, np.arange(1, len(lower) + 1), lower, upper)
