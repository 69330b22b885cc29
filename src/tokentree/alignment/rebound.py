"""Section 5.2: rebound after alignment, simulated."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from jaxtyping import Bool, Float

from .._lib.checks import Numbers
from .._lib.results import Result, points
from ..mixtures import Mixture
from .regimes import REGIMES, growing, move, roles_of, speed_of

POSITIVE, NEGATIVE = (1000, 2000, 5000, 10000), (0, 100, 200, 500, 1000, 2000)
"""Sizes of the paper's section 5.2."""

PAPER_NEEDED = {"Llama2-7B": (961, 844, 801, 729), "Gemma-2B": (923, 853, 709, 598)}
"""The paper's Table 3: unsafe examples needed after `POSITIVE` safe ones."""

_ROUNDING = 2.0**-50
"""Magnitude of a mean relative to that of its terms, below which it counts as zero."""


@dataclass(frozen=True, eq=False, repr=False)
class Rebound(Result):
    """Score of an aligned model under negative data; made by `simulate_rebound`.

    Arrays have axes regime, positive, negative in this order; regimes are `REGIMES`. `to_frame` has one row
    per point of these axes, in which `needed` is repeated.

    Attributes
    ----------
    positive, negative : float arrays, shapes (P,) and (N,)
        Examples distributed as D_a that the model was aligned on, then as D_t.
    score, drop : float arrays, shape (2, P, N)
        Share of D_a in the model, and its decrease from that without negative data; the drop is formed
        without cancellation, and is negative where the score rises.
    fall : float array, shape (2, P, N - 1)
        Decrease from each number of negative examples to the next, likewise.
    needed : float array, shape (2, P)
        Negative examples that bring the score down to `level`: 0 if it is there already, inf if it stays
        above. Scores that agree within rounding count as equal.
    level : float
        The score before the alignment, unless given.
    score_pretrain, score_align, score_perturb : float
        Scores of p_p, p_a and p_t themselves; the first is NaN if D_p has no leaf of D_a or D_t.
    step : float
        Step size of the fixed-step regime.
    unexpanded : float
        As in `AlignmentBudget`: if > 0, scores are those of the part that was read, and none is certain.
    """

    positive: Float[np.ndarray, "positive"]
    negative: Float[np.ndarray, "negative"]
    score: Float[np.ndarray, "2 positive negative"]
    drop: Float[np.ndarray, "2 positive negative"]
    fall: Float[np.ndarray, "2 positive steps"]
    needed: Float[np.ndarray, "2 positive"]
    level: float
    score_pretrain: float
    score_align: float
    score_perturb: float
    step: float
    unexpanded: float

    @property
    def first_drop(self) -> Float[np.ndarray, "2 positive"]:
        """R: the fall of the score over the first negative examples, 100 in the paper."""
        return np.asarray(self.fall[..., 0])

    @property
    def falls_faster(self) -> Bool[np.ndarray, "2"]:
        """Rebound: whether more positive examples always make the first drop larger."""
        return np.asarray((np.diff(self.first_drop, axis=1) > 0).all(axis=1))

    @property
    def levels_off(self) -> Bool[np.ndarray, "2"]:
        """Whether the score falls, and the more slowly per example, the farther it has fallen.

        The second follows from the first: lambda is strictly concave in the number of negative examples, in
        both regimes (docs/alignment.md). Differences of drops would not show this if D_p is very large.
        """
        return np.asarray((self.drop[..., -1] > 0).all(axis=1))

    @property
    def needed_falls(self) -> Bool[np.ndarray, "2"]:
        """Whether fewer negative examples suffice after more positive data, as in the paper's Table 3."""
        return np.asarray((self.needed[:, 1:] < self.needed[:, :-1]).all(axis=1))

    def _columns(self) -> tuple[Mapping[str, Any], *tuple[str, ...]]:
        axes = {"regime": REGIMES, "positive": self.positive, "negative": self.negative}
        return points(axes, score=self.score, drop=self.drop, needed=self.needed[..., None])


def simulate_rebound(
    mixture: Mixture,
    pretrain: int | str = 0,
    align: int | str = 1,
    perturb: int | str = 2,
    *,
    positive: Annotated[Numbers, "positive"] = POSITIVE,
    negative: Annotated[Numbers, "negative"] = NEGATIVE,
    step: float = 1e-3,
    level: float | None = None,
) -> Rebound:
    r"""Section 5.2: how far negative data reduce the score that positive data have raised.

    Parameters
    ----------
    mixture : Mixture
        Only the size of D_p matters, and only in the regime of counts.
    pretrain, align, perturb : int or str
        Index or name of D_p, of the positive data D_a and of the negative data D_t.
    positive, negative : array_like, shapes (P,) and (N,)
        Numbers of examples, at least two each and increasing; positive ones > 0, negative ones >= 0. Default:
        the paper's.
    step : float
        Fraction of the way that one example moves the model in the fixed-step regime.
    level : float, optional
        Target score for `Rebound.needed`. Default: the score before the alignment, or 1/2
        where that is undefined.

    Returns
    -------
    Rebound
        The score is the share of D_a in the model's mass on the leaves of D_a and D_t: a leaf that both have
        counts for D_a with weight p_a / (p_a + p_t).

    Raises
    ------
    ValueError, TypeError
        If a dataset, an array or a number is not as described above.

    Notes
    -----
    The score relaxes to that of p_t: score = score_t + (score_0 - score_t)(1 - lambda), with lambda = s if
    D_p has no leaves other than those of D_a and D_t. By counts, if the score falls under negative data,
    every positive example makes its slope steeper exactly while the score is below 1/2. Nothing is sampled.
    O(M) and then O(P N).

    Examples
    --------
    >>> from tokentree import published_form
    >>> rebound = simulate_rebound(published_form([[1, 0, 0], [0, 1, 0], [0, 0, 1]], k=10**6, l=1))
    >>> rebound.needed.round()
    array([[ 1000.,  2000.,  5000., 10000.],
           [  490.,   623.,   689.,   693.]])
    >>> rebound.falls_faster
    array([False,  True])
    """
    roles = roles_of(mixture, pretrain, align, perturb)
    given = growing("positive", positive), growing("negative", negative)
    if given[0][0] == 0:
        raise ValueError("positive[0] = 0.0: must be > 0")
    positives, negatives = given
    p, a, t = mixture.distributions[roles]
    both = a + t
    # A leaf counts 1/2 + tilt for D_a. Scores minus 1/2 are means of tilts, with the least cancellation.
    tilt = np.divide(a - t, 2 * both, out=np.zeros_like(a), where=both > 0)
    part, ours = float(p[both > 0].sum()), float(p @ tilt)
    # Means over p_a and p_t are equal and opposite, because the mean over their sum is zero.
    top = float(both @ tilt**2)
    # How far p_p scores above p_t, and p_a above p_p, times part.
    above_t, below_a = _mean(p, tilt, part * t), _mean(part * a, tilt, p)
    start = ours / part if part > 0 else math.nan
    # Scores of p_p, p_a and p_t minus the level, the first times part.
    if level is None:
        aim = start if part > 0 else 0.0
        beyond = (0.0, below_a / part, -above_t / part) if part > 0 else (0.0, top, -top)
    elif isinstance(level, int | float | np.number) and 0 <= level <= 1:
        aim = float(level) - 0.5
        beside = np.divide(a, both, out=np.full_like(a, level), where=both > 0) - float(level)
        beyond = _mean(p, beside), _mean(a, beside), _mean(t, beside)
    else:
        raise ValueError(f"level = {level!r}: must lie between 0 and 1")

    n_p = float(mixture.exact_sizes[roles[0]])
    score, drop = np.zeros((2, 2, positives.size, negatives.size))
    fall = np.zeros((2, positives.size, negatives.size - 1))
    needed = np.zeros((2, positives.size))
    for r, speed in enumerate((None, speed_of(step))):
        kept, moved = move(positives, n_p, speed)
        held, total = (kept * part + moved)[:, None], (n_p + positives)[:, None]
        left, share_t = move(negatives, total, speed)
        further = left[..., :-1] * move(np.diff(negatives), total + negatives[:-1], speed)[1]
        gap = (kept * above_t + moved * 2 * top)[:, None] / held
        whole = left * held + share_t
        drop[r] = gap * share_t / whole
        fall[r] = gap * held * further / (whole[:, 1:] * whole[:, :-1])
        score[r] = 0.5 + (kept * ours + moved * top)[:, None] / held - drop[r]
        # At the level, (1 - s) above = s below.
        above, below = kept * beyond[0] + moved * beyond[1], -beyond[2]
        odds = np.where(above > 0, above / below if below > 0 else np.inf, 0.0)
        needed[r] = (n_p + positives) * odds if speed is None else np.log1p(odds) / speed
    aim, start = 0.5 + aim, 0.5 + start
    scores, share = (start, 0.5 + top, 0.5 - top), float(mixture.unexpanded[roles].max())
    return Rebound(positives, negatives, score, drop, fall, needed, aim, *scores, float(step), share)


def _mean(row: Float[np.ndarray, "leaves"], values: Float[np.ndarray, "leaves"], other: Any = 0.0) -> float:
    """Mean of the values over a row minus that over another, or 0 where rounding might decide its sign."""
    mean = float((row - other) @ values)
    return mean if abs(mean) > _ROUNDING * float((row + other) @ np.abs(values)) else 0.0
