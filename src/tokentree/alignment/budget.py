"""Definitions 3.5 and 3.6: the amount of data that undoes an alignment."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal

import numpy as np
from jaxtyping import Float

from .._lib import checks
from .._lib.results import Result
from ..mixtures import Mixture
from .distances import (
    Aligned,
    align_model,
    crossing,
    distance_between,
    filled,
    largest_ratio,
    levelled,
    log_excess,
    rate_limit,
    restoring_ratio,
    turning_point,
)
from .regimes import Regime

Distance = Literal["total variation", "kl", "rate"]

LEAST_EPSILON = 1e-100
"""Smallest epsilon above zero; budgets then stay well within the range of float64."""


@dataclass(frozen=True, eq=False, repr=False)
class AlignmentBudget(Result):
    """Least data that undo an alignment; made by `inverse_alignment_budget` and `least_alignment_budget`.

    `to_frame` has one row, with all fields except `data`.

    Attributes
    ----------
    distance, regime : str
        The requested distance and regime.
    epsilon : float
        Largest allowed distance from the model before alignment, in the unit of the distance, as are `before`
        and `limit`.
    size : float
        Least |D_b|; 0 if the alignment moved the model by no more than epsilon, inf if no size suffices.
    ratio : float
        ``size`` / |D_a|, which is << 1 in Definitions 3.5 and 3.6.
    reachable : bool
        Whether some finite |D_b| suffices.
    before : float
        Distance of the aligned model, without any D_b.
    limit : float
        Greatest lower bound of the distance over all |D_b|.
    limit_size : float
        The |D_b| at which the limit is reached; inf if it is only approached.
    data : float array, shape (M,), or None
        The distribution of D_b. From `least_alignment_budget`, the best one for this budget; None if it needs
        no data, or data on a leaf outside the mixture.
    unexpanded : float
        Largest unexpanded share of D_p, D_a and D_b. If it is > 0, all figures are those of the reading that
        `Mixture.from_trees` makes, and neither they nor `reachable` are certain.
    """

    distance: str
    regime: str
    epsilon: float
    size: float
    ratio: float
    reachable: bool
    before: float
    limit: float
    limit_size: float
    data: Float[np.ndarray, "leaves"] | None
    unexpanded: float

    def _columns(self) -> tuple[Mapping[str, Any], *tuple[str, ...]]:
        return ({name: value for name, value in vars(self).items() if name != "data"},)


def inverse_alignment_budget(
    mixture: Mixture,
    epsilon: float,
    pretrain: int | str = 0,
    align: int | str = 1,
    inverse: int | str = 2,
    *,
    distance: Distance = "total variation",
    regime: Regime = "counts",
    step: float | None = None,
    base: float = 2,
) -> AlignmentBudget:
    r"""Least |D_b| that brings the aligned model back to within epsilon of its start (Definition 3.5).

    Parameters
    ----------
    mixture : Mixture
        The sizes of `pretrain` and `align` matter; those of `inverse` and other datasets do not.
    epsilon : float
        0, or at least 1e-100.
    pretrain, align, inverse : int or str
        Index or name of D_p, of D_a, and of the dataset with the distribution of D_b, which may be D_p.
    distance : {"total variation", "kl", "rate"}
        Distance of q from q_0 = p_p: half of sum \|q - q_0\|; KL(q_0 \|\| q), the increase of the rate of
        D_p; or the difference of the rate of D_a from its rate under q_0. The last two are per block.
    regime : {"counts", "fine-tuning"}
        Joint training of all data, or fixed steps: |D_a| of them, then |D_b|.
    step : float, optional
        Fraction of the way that one example moves the model, between 0 and 1; needed for fine-tuning, where
        |D_p| then has no effect.
    base : float
        2 for bits, ``math.e`` for nats.

    Returns
    -------
    AlignmentBudget
        The size is a real number, not rounded up.

    Raises
    ------
    ValueError
        If `epsilon`, `step` or `base` is out of range, a dataset is unknown, `pretrain` is `align`, or
        `distance` or `regime` is unknown.
    TypeError
        If `mixture` is not a Mixture or an argument is not a number.

    Notes
    -----
    Total variation and KL are convex in s, so they fall to a minimum and rise again: the minimum is found
    first, then the root before it. The rate of D_a crosses epsilon once. Whether q can equal q_0 exactly is
    decided in integers; float rows are read as dyadic rationals. If D_a has leaves that D_p lacks, its rate
    before the alignment is infinite, and the distance is inf for every |D_b|. By counts, with D_b distributed
    as D_p, total variation needs |D_a| TV(p_a, p_p) / epsilon - T. The cost is about a hundred passes over
    the leaves.

    Examples
    --------
    >>> from tokentree import published_form
    >>> thirds = published_form([[1, 0, 0], [0, 1, 0], [0, 0, 1]], k=1000, l=1)
    >>> budget = inverse_alignment_budget(thirds, 0, distance="rate")
    >>> round(budget.ratio, 9)
    2.0
    >>> budget = inverse_alignment_budget(thirds, 1e-4)
    >>> budget.reachable, round(budget.limit / budget.before, 3)
    (False, 0.75)
    """
    aligned = align_model(mixture, pretrain, align, regime, step)
    b = mixture.index(inverse, "inverse")
    target = mixture.distributions[b]
    epsilon, unit = _epsilon(epsilon), _unit(distance, base)
    allowed = epsilon * unit
    before = aligned.distance(distance, 0.0, target)
    turn: float | Fraction
    least: float | Fraction
    if distance == "rate":
        limit, turn = rate_limit(aligned, target)
        attained = turn < math.inf
        least = crossing(lambda t: aligned.gain(t, target) - allowed)
    else:
        exact = restoring_ratio(mixture, pretrain, align, b)
        turn = turning_point(aligned, distance, target) if exact is None else exact
        limit = 0.0 if exact is not None else aligned.distance(distance, turn, target)
        least = turn
        if epsilon > 0:
            least = crossing(lambda t: log_excess(aligned.distance(distance, t, target), allowed), turn)
        # Floats cannot distinguish a distance of zero from a tiny one.
        attained = exact is not None or (epsilon > 0 and turn < math.inf)
    # A limit that is only approached is not reached.
    reachable = before <= allowed or limit < allowed or (limit == allowed and attained)
    t = 0.0 if before <= allowed else min(least, turn) if reachable else math.inf
    asked = distance, regime, epsilon
    share = max(aligned.unexpanded, float(mixture.unexpanded[b]))
    return _budget(aligned, asked, t, reachable, before / unit, limit / unit, turn, target, share)


def least_alignment_budget(
    mixture: Mixture,
    epsilon: float,
    pretrain: int | str = 0,
    align: int | str = 1,
    *,
    distance: Distance = "total variation",
    regime: Regime = "counts",
    step: float | None = None,
    base: float = 2,
) -> AlignmentBudget:
    r"""Least |D_b| over all distributions of D_b, and the D_b that attains it (Definition 3.6).

    Parameters
    ----------
    mixture, epsilon, pretrain, align, distance, regime, step, base
        As in `inverse_alignment_budget`, whose errors this shares.

    Returns
    -------
    AlignmentBudget
        No distribution of D_b needs less. The limit is 0 for total variation and KL. For epsilon = 0 the
        ratio, by counts, is max p_a / p_p - 1 = 2^D_inf(p_a \|\| p_p) - 1: inf if D_a has a leaf that D_p
        lacks.

    Notes
    -----
    For total variation and KL the best D_b is (g p_p - p_a)_+ for some g, normalised. For the rate it is any
    D_b that shares no leaf with D_a, by counts of size T (2^(gain - epsilon) - 1), where gain is the decrease
    of the rate of D_a in bits; `data` is then p_p restricted to leaves outside D_a. The cost is about a
    hundred passes over the leaves.

    Examples
    --------
    >>> budget = least_alignment_budget(Mixture([[2, 1, 1], [3, 1, 0]], [1000, 10]), 0)
    >>> budget.size, budget.data
    (5.0, array([0.  , 0.25, 0.75]))
    """
    aligned = align_model(mixture, pretrain, align, regime, step)
    epsilon, unit = _epsilon(epsilon), _unit(distance, base)
    allowed = epsilon * unit
    p, a = aligned.pretrain, aligned.align
    data: Float[np.ndarray, "leaves"] | None
    if distance == "rate":
        before = abs(aligned.gain(0.0, p))
        turn = math.expm1(before) / aligned.moved if before < 700 else math.inf
        t = math.expm1(before - allowed) / aligned.moved if allowed < before < 700 else math.inf
        elsewhere = np.where(a > 0, 0.0, p)
        mass = float(elsewhere.sum())
        data = elsewhere / mass if mass > 0 else None
        limit = math.inf if before == math.inf else 0.0
    else:
        before, limit = aligned.distance(distance, 0.0, p), 0.0
        top = largest_ratio(mixture, pretrain, align)
        turn = math.inf if top is None else float(top - 1)

        def left(level: float) -> float:
            shift, model, _ = levelled(aligned, level)
            return log_excess(distance_between(distance, shift, model, p, a), allowed)

        level = crossing(left, math.inf if top is None else top) if epsilon else math.inf
        if level < math.inf:
            fill = levelled(aligned, level)[2]
        else:
            fill = p if top is None else filled(mixture, pretrain, align, top)
        t = float(fill.sum()) if level < math.inf else turn
        mass = float(fill.sum())
        data = fill / mass if mass > 0 else None
    if before <= allowed:
        t, data = 0.0, None
    reachable = t < math.inf
    asked, share = (distance, regime, epsilon), aligned.unexpanded
    return _budget(aligned, asked, t, reachable, before / unit, limit / unit, turn, data, share)


def _epsilon(epsilon: float) -> float:
    value = checks.float_array("epsilon", epsilon)
    if value.ndim or not (value == 0 or LEAST_EPSILON <= value < np.inf):
        raise ValueError(f"epsilon = {epsilon!r}: must be 0, or finite and >= {LEAST_EPSILON:g}")
    return float(value)


def _unit(distance: str, base: float) -> float:
    """Divisor from nats; total variation has no unit."""
    unit = checks.log_base(base)
    if distance not in ("total variation", "kl", "rate"):
        raise ValueError(f"distance = {distance!r}: must be 'total variation', 'kl' or 'rate'")
    return 1.0 if distance == "total variation" else unit


def _budget(
    aligned: Aligned,
    asked: tuple[str, str, float],
    t: float | Fraction,
    reachable: bool,
    before: float,
    limit: float,
    turn: float | Fraction,
    data: Float[np.ndarray, "leaves"] | None,
    unexpanded: float,
) -> AlignmentBudget:
    size, last = aligned.examples(t), aligned.examples(turn)
    ratio = size / float(aligned.align_size)
    return AlignmentBudget(*asked, size, ratio, reachable, before, limit, last, data, unexpanded)
