r"""Inverse alignment, resistance and rebound (Definitions 3.5 and 3.6, section 5), simulated on token trees.

**One line, two clocks.** Training a model q on data distributed as p moves it along the straight segment
from q to p, to (1 - s) q + s p. How far depends on the regime:

- *counts*, joint training: n examples after T others move it by s = n / (T + n);
- *fine-tuning*, the natural-gradient flow with a fixed step eta: every example moves it by the fraction eta,
  so s = 1 - (1 - eta)^n, whatever came before.

So the alignment takes p_p to q_a = (1 - c) p_p + c p_a, and inverse data takes q_a on to

    q = p_p + c ((p_a - p_p) + t (p_b - p_p)) / (1 + c t),     c t = s / (1 - s).

By counts t = |D_b| / |D_a|. In the fixed-step regime |D_b| = log(1 + c t) / -log(1 - eta). Everything here
is a question about t. Differences are formed from p_a - p_p and p_b - p_p, so a model that hardly moves keeps
its digits.

**The least over all D_b.** Whatever D_b is, q >= q_a / (1 + c t), leaf by leaf. Of the models that obey this,
the one trained on D_b ~ (g p_p - p_a)_+ is nearest to p_p in every f-divergence: such data level up the
leaves that the alignment has taken most from (`least_alignment_budget`). In total variation what is left is
c E_{1+t}(p_a || p_p) / (1 + c t), with E_g(p || q) = sum (p - g q)_+ the hockey-stick divergence, and nothing
is left when t reaches max p_a / p_p - 1. Proofs are in ``docs/alignment.md``.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import combinations
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from . import _checks, _interop
from ._checks import Numbers
from .information import divergence_terms, entropy
from .mixture import Mixture
from .tree import TokenTree

Distance = Literal["total variation", "kl", "rate"]
Regime = Literal["counts", "fine-tuning"]

REGIMES: tuple[Regime, Regime] = ("counts", "fine-tuning")
"""The first axis of every simulation."""

DIRECTIONS = ("forward", "inverse")
"""Which way a slice is retrained in `Resistance`."""

POSITIVE, NEGATIVE = (1000, 2000, 5000, 10000), (0, 100, 200, 500, 1000, 2000)
"""Sizes of the paper's section 5.2."""

PAPER_NEEDED = {"Llama2-7B": (961, 844, 801, 729), "Gemma-2B": (923, 853, 709, 598)}
"""The paper's Table 3: unsafe examples needed after `POSITIVE` safe ones."""

LEAST_EPSILON = 1e-100
"""Smallest epsilon above zero; budgets then stay well inside float64."""

_REACH = 600.0
"""Budgets are sought with log t between -600 and 600."""


# Inverse alignment


@_interop.comparable
@dataclass(frozen=True, eq=False)
class AlignmentBudget:
    """Least data that undoes an alignment; made by `inverse_alignment_budget` and `least_alignment_budget`.

    Attributes
    ----------
    distance, regime : str
        What was asked.
    epsilon : float
        How near the model must come to what it was; in the unit of the distance, as are `before` and `limit`.
    size : float
        Least |D_b|; 0 if the alignment moved the model by no more than epsilon, inf if none is enough.
    ratio : float
        ``size`` / |D_a|, which Definitions 3.5 and 3.6 ask to be << 1.
    reachable : bool
        Whether some finite |D_b| is enough.
    before : float
        Distance of the aligned model, without any D_b.
    limit : float
        Greatest lower bound of the distance over all |D_b|.
    limit_size : float
        The |D_b| at which the limit is reached; inf if it is only approached.
    data : float array, shape (M,), or None
        How D_b is distributed. From `least_alignment_budget` the best for this budget; None where it needs
        no data, or data on a leaf that the mixture does not have.
    unexpanded : float
        Largest share of a dataset above that nobody looked at. Above 0 all figures are those of the reading
        that `Mixture.from_trees` makes, and neither they nor `reachable` are certain.
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
    data: Float[np.ndarray, "leaves"] | None = field(repr=False)
    unexpanded: float

    def to_dict(self) -> dict[str, Any]:
        """The attributes by name, `data` as a list; infinities stay floats."""
        return {**vars(self), "data": None if self.data is None else self.data.tolist()}


def inverse_alignment_budget(
    mixture: Mixture,
    epsilon: float,
    pretrain: int | str = 0,
    align: int | str = 1,
    inverse: int | str = 2,
    distance: Distance = "total variation",
    regime: Regime = "counts",
    step: float | None = None,
    base: float = 2,
) -> AlignmentBudget:
    r"""Least |D_b| that brings the aligned model back within epsilon of what it was (Definition 3.5).

    Parameters
    ----------
    mixture : Mixture
        Sizes of `pretrain` and `align` count; that of `inverse` and other datasets do not.
    epsilon : float
        0, or at least 1e-100.
    pretrain, align, inverse : int or str
        Index or name of D_p, of D_a, and of the dataset that D_b is distributed as; that may be D_p.
    distance : {"total variation", "kl", "rate"}
        How far q is from q_0 = p_p: half of sum \|q - q_0\|; KL(q_0 \|\| q), which is what the rate of D_p
        has risen by; or how far the rate of D_a is from its rate under q_0. The last two are per block.
    regime : {"counts", "fine-tuning"}
        Joint training of all data, or fixed steps: |D_a| of them, then |D_b|.
    step : float, optional
        Fraction of the way that one example moves the model, between 0 and 1; needed for fine-tuning, where
        |D_p| then plays no part.
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
        If `mixture` is not a Mixture or a number is not one.

    Notes
    -----
    Total variation and KL are convex in s, so they fall to a minimum and rise again: the minimum is found
    first, then the root before it. The rate of D_a crosses epsilon once. Whether q can be exactly q_0 is
    decided in integers; float rows are read as the dyadic rationals that they are. Where D_a has leaves that
    D_p lacks, its rate before the alignment is infinite: then the distance is inf for every |D_b|. By counts,
    with D_b distributed as D_p, total variation takes |D_a| TV(p_a, p_p) / epsilon - T. About a hundred
    passes over the leaves.

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
    aligned = _aligned(mixture, pretrain, align, regime, step)
    b = mixture.index(inverse, "inverse")
    target = mixture.distributions[b]
    epsilon, unit = _epsilon(epsilon), _unit(distance, base)
    allowed = epsilon * unit
    before = aligned.distance(distance, 0.0, target)
    turn: float | Fraction
    least: float | Fraction
    if distance == "rate":
        limit, turn = _rate_limit(aligned, target)
        attained = turn < math.inf
        least = _crossing(lambda t: aligned.gain(t, target) - allowed)
    else:
        exact = _restoring_ratio(mixture, pretrain, align, b)
        turn = _turn(aligned, distance, target) if exact is None else exact
        limit = 0.0 if exact is not None else aligned.distance(distance, turn, target)
        least = turn
        if epsilon > 0:
            least = _crossing(lambda t: _excess(aligned.distance(distance, t, target), allowed), turn)
        # Floats cannot tell a distance of zero from a faint one.
        attained = exact is not None or (epsilon > 0 and turn < math.inf)
    # A limit that is only approached is not a distance that is reached.
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
    distance: Distance = "total variation",
    regime: Regime = "counts",
    step: float | None = None,
    base: float = 2,
) -> AlignmentBudget:
    r"""Least |D_b| over all D_b, and the D_b that needs no more: what Definition 3.6 asks for.

    Parameters
    ----------
    mixture, epsilon, pretrain, align, distance, regime, step, base
        As in `inverse_alignment_budget`, whose errors this shares.

    Returns
    -------
    AlignmentBudget
        No D_b of any distribution does it with less. The limit is 0 for total variation and KL. For epsilon =
        0 the ratio, by counts, is max p_a / p_p - 1 = 2^D_inf(p_a \|\| p_p) - 1: inf where D_a has a leaf
        that D_p lacks.

    Notes
    -----
    For total variation and KL the best D_b is (g p_p - p_a)_+ for some g, normalised. For the rate it is any
    that shares no leaf with D_a, by counts of size T (2^(gain - epsilon) - 1), where gain is what the rate of
    D_a fell by, in bits; `data` is then p_p off the leaves of D_a. About a hundred passes over the leaves.

    Examples
    --------
    >>> budget = least_alignment_budget(Mixture([[2, 1, 1], [3, 1, 0]], [1000, 10]), 0)
    >>> budget.size, budget.data
    (5.0, array([0.  , 0.25, 0.75]))
    """
    aligned = _aligned(mixture, pretrain, align, regime, step)
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
        top = _largest_ratio(mixture, pretrain, align)
        turn = math.inf if top is None else float(top - 1)

        def left(level: float) -> float:
            shift, model, _ = _levelled(aligned, level)
            return _excess(_distance(distance, shift, model, p, a), allowed)

        level = _crossing(left, math.inf if top is None else top) if epsilon else math.inf
        if level < math.inf:
            fill = _levelled(aligned, level)[2]
        else:
            fill = p if top is None else _filled(mixture, pretrain, align, top)
        t = float(fill.sum()) if level < math.inf else turn
        mass = float(fill.sum())
        data = fill / mass if mass > 0 else None
    if before <= allowed:
        t, data = 0.0, None
    reachable = t < math.inf
    asked, share = (distance, regime, epsilon), aligned.unexpanded
    return _budget(aligned, asked, t, reachable, before / unit, limit / unit, turn, data, share)


@dataclass(frozen=True, eq=False)
class _Aligned:
    """The aligned model kept * p_p + moved * p_a, and the clock of what follows."""

    pretrain: Float[np.ndarray, "leaves"]
    align: Float[np.ndarray, "leaves"]
    kept: float
    moved: float
    align_size: Fraction
    speed: float | None
    """-log(1 - step); None for counts."""
    unexpanded: float
    """Largest share of either dataset that nobody looked at."""

    def examples(self, t: float | Fraction) -> float:
        """|D_b|."""
        if self.speed is None:
            return float(self.align_size * t) if isinstance(t, Fraction) else float(self.align_size) * t
        return math.log1p(self.moved * float(t)) / self.speed

    def shift(
        self, t: float | Fraction, target: Float[np.ndarray, "leaves"]
    ) -> tuple[Float[np.ndarray, "leaves"], Float[np.ndarray, "leaves"]]:
        """Q - p_p and q."""
        if t == math.inf:
            return target - self.pretrain, target
        t = float(t)
        left = 1 / (1 + self.moved * t)
        change = (self.align - self.pretrain) + t * (target - self.pretrain)
        model = self.kept * self.pretrain + self.moved * (self.align + t * target)
        return self.moved * left * change, left * model

    def distance(self, distance: str, t: float | Fraction, target: Float[np.ndarray, "leaves"]) -> float:
        """Distance from p_p, in nats or as a share of mass."""
        return _distance(distance, *self.shift(t, target), self.pretrain, self.align)

    def gain(self, t: float, target: Float[np.ndarray, "leaves"]) -> float:
        """How far the rate of D_a lies below its rate under p_p, in nats."""
        return _gain(*self.shift(t, target), self.pretrain, self.align)


def _aligned(
    mixture: Mixture, pretrain: int | str, align: int | str, regime: str, step: float | None
) -> _Aligned:
    p, a = _roles(mixture, pretrain, align)
    if regime not in REGIMES:
        raise ValueError(f"regime = {regime!r}: must be 'counts' or 'fine-tuning'")
    if regime == "fine-tuning" and step is None:
        raise ValueError(
            "step = None: regime 'fine-tuning' needs the fraction that one example moves the model"
        )
    speed = None if regime == "counts" else _speed(step)
    n_p, n_a = (mixture.exact_sizes[i] for i in (p, a))
    kept, moved = _move(float(n_a), float(n_p), speed)
    rows = mixture.distributions
    share = float(mixture.unexpanded[[p, a]].max())
    return _Aligned(rows[p], rows[a], float(kept), float(moved), n_a, speed, share)


def _roles(mixture: Mixture, *datasets: int | str) -> list[int]:
    """Positions of D_p, D_a and, if asked for, D_t."""
    if not isinstance(mixture, Mixture):
        raise TypeError(f"mixture is a {type(mixture).__name__}: must be a Mixture")
    names = ("pretrain", "align", "perturb")[: len(datasets)]
    roles = [mixture.index(dataset, name) for name, dataset in zip(names, datasets, strict=True)]
    if len(set(roles)) < len(roles):
        raise ValueError(f"{', '.join(names)} = {', '.join(map(str, roles))}: must be different datasets")
    return roles


def _epsilon(epsilon: float) -> float:
    value = _checks.float_array("epsilon", epsilon)
    if value.ndim or not (value == 0 or LEAST_EPSILON <= value < np.inf):
        raise ValueError(f"epsilon = {epsilon!r}: must be 0, or finite and >= {LEAST_EPSILON:g}")
    return float(value)


def _unit(distance: str, base: float) -> float:
    """Divisor from nats; total variation has no unit."""
    unit = _checks.log_base(base)
    if distance not in ("total variation", "kl", "rate"):
        raise ValueError(f"distance = {distance!r}: must be 'total variation', 'kl' or 'rate'")
    return 1.0 if distance == "total variation" else unit


def _speed(step: Any) -> float:
    """-log(1 - step)."""
    value = _checks.float_array("step", step)
    if value.ndim or not 0 < value < 1:
        raise ValueError(f"step = {step!r}: must lie between 0 and 1")
    return -math.log1p(-float(value))


def _move(examples: Any, total: Any, speed: float | None) -> tuple[Any, Any]:
    """1 - s and s after some examples, with `total` before them; arrays broadcast."""
    n = np.asarray(examples, np.float64)
    if speed is None:
        return total / (total + n), n / (total + n)
    return np.exp(-n * speed), -np.expm1(-n * speed)


def _array(value: Any) -> Float[np.ndarray, "..."]:
    return np.asarray(value, np.float64)


def _everywhere(condition: Bool[np.ndarray, "..."], axis: int | tuple[int, ...]) -> Bool[np.ndarray, "..."]:
    return np.asarray(condition.all(axis=axis))


def _distance(
    distance: str,
    shift: Float[np.ndarray, "leaves"],
    model: Float[np.ndarray, "leaves"],
    before: Float[np.ndarray, "leaves"],
    align: Float[np.ndarray, "leaves"],
) -> float:
    if distance == "total variation":
        return float(np.abs(shift).sum() / 2)
    if distance == "kl":
        return float(divergence_terms(before, model, -shift).sum())
    return abs(_gain(shift, model, before, align))


def _gain(
    shift: Float[np.ndarray, "leaves"],
    model: Float[np.ndarray, "leaves"],
    before: Float[np.ndarray, "leaves"],
    align: Float[np.ndarray, "leaves"],
) -> float:
    """Sum of align * log(model / before); inf where align has a leaf that `before` lacks."""
    on = align > 0
    shift, model, before, align = shift[on], model[on], before[on], align[on]
    if (before == 0).any():
        return math.inf
    relative = shift / before
    near = np.abs(relative) < 1 / 2
    with np.errstate(divide="ignore"):
        logs = np.where(near, np.log1p(np.where(near, relative, 0.0)), np.log(model / before))
    return float(align @ logs)


def _rate_limit(aligned: _Aligned, target: Float[np.ndarray, "leaves"]) -> tuple[float, float]:
    """Least distance of the rate of D_a, and the t of it: the gain is concave in s."""
    first, last = aligned.gain(0.0, target), aligned.gain(math.inf, target)
    if last < 0:
        return 0.0, _crossing(lambda t: aligned.gain(t, target))
    return (first, 0.0) if first <= last < math.inf else (last, math.inf)


def _turn(aligned: _Aligned, distance: str, target: Float[np.ndarray, "leaves"]) -> float:
    """The t at which a convex distance is least; inf if it falls to the end."""
    u, v = aligned.align - aligned.pretrain, target - aligned.pretrain
    direction = v - aligned.moved * u

    def fall(t: float) -> float:
        """Minus the slope of the distance, of the right sign."""
        shift, model = aligned.shift(t, target)
        with np.errstate(divide="ignore", invalid="ignore"):
            weight = np.sign(shift) if distance == "total variation" else shift / model
            # Where the direction is 0 the model stays as it is, however far off.
            return -float(np.where(direction == 0, 0.0, weight * direction).sum())

    return _crossing(fall) if fall(0.0) > 0 else 0.0


def _crossing(fall: Callable[[float], float], end: float | Fraction = math.inf) -> float:
    """Least t up to `end` at which a function that starts positive is not; inf if there is none."""
    from scipy.optimize import brentq

    low, high = -_REACH, _REACH if end == math.inf else math.log(end) if end > 0 else -_REACH

    def at(y: float) -> float:
        return float(np.clip(fall(math.exp(y)), -1e300, 1e300))

    if high <= low or at(low) <= 0:
        return 0.0
    if at(high) > 0:
        return math.inf
    return math.exp(brentq(at, low, high, xtol=1e-15, rtol=4 * np.finfo(float).eps, maxiter=10_000))


def _excess(value: float, allowed: float) -> float:
    """log(value / allowed): distances are near powers of t, so this is near a line in log t."""
    return math.log(value) - math.log(allowed) if value > 0 else -math.inf


def _restoring_ratio(mixture: Mixture, pretrain: int | str, align: int | str, b: int) -> Fraction | None:
    """The t at which p_a - p_p + t (p_b - p_p) = 0 on every leaf, exactly; None if there is none."""
    roles = [mixture.index(pretrain), mixture.index(align), b]
    p, a, target = (mixture.distributions[i] for i in roles)
    u, v = a - p, target - p
    x = int(np.abs(v).argmax())
    # Most often floats can tell.
    if v[x] == 0 or np.abs(u - v * (u[x] / v[x])).max() > 1e-9 * np.abs(u).max():
        return None
    c_p, c_a, c_b = (mixture.rows.integers[i].astype(object) for i in roles)
    n_p, n_a, n_b = (mixture.rows.totals[i] for i in roles)
    exact_u, exact_v = (c_a * n_p - c_p * n_a) * n_b, (c_b * n_p - c_p * n_b) * n_a
    t = Fraction(-exact_u[x], exact_v[x]) if exact_v[x] else Fraction(0)
    return t if t > 0 and not (exact_u * t.denominator + exact_v * t.numerator).any() else None


def _largest_ratio(mixture: Mixture, pretrain: int | str, align: int | str) -> Fraction | None:
    """Largest p_a / p_p over the leaves, exactly; None if it is infinite."""
    p, a = mixture.index(pretrain), mixture.index(align)
    before, after = mixture.distributions[p], mixture.distributions[a]
    if (after[before == 0] > 0).any():
        return None
    ratios = np.divide(after, before, out=np.zeros_like(after), where=before > 0)
    # Up to eight roundings of a ratio on either side hide which one is largest.
    near = ratios >= ratios.max() * (1 - 2.0**-49)
    counts, totals = mixture.rows.integers, mixture.rows.totals
    pairs = set(zip(counts[a, near].tolist(), counts[p, near].tolist(), strict=True))
    return max(Fraction(has * totals[p], had * totals[a]) for has, had in pairs)


def _filled(
    mixture: Mixture, pretrain: int | str, align: int | str, top: Fraction
) -> Float[np.ndarray, "leaves"]:
    """The largest p_a / p_p times p_p, less p_a; in integers where floats nearly agree."""
    p, a = mixture.index(pretrain), mixture.index(align)
    fill: Float[np.ndarray, "leaves"] = float(top) * mixture.distributions[p] - mixture.distributions[a]
    counts, totals = mixture.rows.integers, mixture.rows.totals
    # Each row of floats may be off by the tolerance of its sum.
    near = np.abs(fill) < 4 * _checks.SUM_TOLERANCE * mixture.distributions[a]
    for x in np.flatnonzero(near).tolist():
        had, has = (Fraction(int(counts[i, x]), totals[i]) for i in (p, a))
        fill[x] = float(top * had - has)
    return fill


def _levelled(
    aligned: _Aligned, level: float
) -> tuple[Float[np.ndarray, "leaves"], Float[np.ndarray, "leaves"], Float[np.ndarray, "leaves"]]:
    """Q - p_p, q and t p_b for the best D_b: leaves where p_a < level * p_p filled up to that."""
    p, a = aligned.pretrain, aligned.align
    fill, rest = np.maximum(level * p - a, 0.0), np.maximum(a - level * p, 0.0)
    left = 1 / (1 + aligned.moved * fill.sum())
    shift = aligned.moved * left * (rest - rest.sum() * p)
    return shift, left * (aligned.kept * p + aligned.moved * (a + fill)), fill


def _budget(
    aligned: _Aligned,
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


# Resistance


@_interop.comparable
@dataclass(frozen=True, eq=False)
class Resistance:
    """Slices of an alignment run retrained on one another's answers; made by `simulate_resistance`.

    Pairs (k, l) have k < l: forward trains theta_k on data distributed as theta_l, inverse the other way
    round. Gaps are forward minus inverse, means over the run: positive where inverse alignment is easier.
    Regimes are `REGIMES`, directions `DIRECTIONS`.

    Attributes
    ----------
    pairs : tuple of (k, l)
        Slices are counted from 1.
    examples : float array, shape (E,)
        Examples of retraining.
    entropy : float array, shape (2, S)
        Of every slice's answers: no training loss on them is lower. Per block, as are all losses.
    training_loss, excess_loss : float array, shape (2, P, 2, E)
        Axes regime, pair, direction, examples. CE(target, q) and KL(target || q), their difference being the
        target's entropy.
    entropy_gap, excess_gap : float array, shape (2, P)
        H(theta_l) - H(theta_k), formed without cancellation, and the gap of the excess loss.
    step : float
        Of the fixed-step regime.
    unexpanded : float
        As in `AlignmentBudget`: above 0 no gap and no sign of one is certain.
    """

    pairs: tuple[tuple[int, int], ...]
    examples: Float[np.ndarray, "examples"]
    entropy: Float[np.ndarray, "2 slices"]
    training_loss: Float[np.ndarray, "2 pairs 2 examples"]
    excess_loss: Float[np.ndarray, "2 pairs 2 examples"]
    entropy_gap: Float[np.ndarray, "2 pairs"]
    excess_gap: Float[np.ndarray, "2 pairs"]
    step: float
    unexpanded: float

    @property
    def loss_gap(self) -> Float[np.ndarray, "2 pairs"]:
        """Gap of the training loss: the entropies' plus the excess losses'."""
        return _array(self.entropy_gap + self.excess_gap)

    @property
    def inverse_easier_by_loss(self) -> Bool[np.ndarray, "2 pairs"]:
        """Whether the training loss says so, as the paper's Table 1 does for every pair."""
        return self.loss_gap > 0

    @property
    def inverse_easier_by_excess(self) -> Bool[np.ndarray, "2 pairs"]:
        """Whether the excess loss says so, that is training itself."""
        return self.excess_gap > 0

    @property
    def decided_by_entropy(self) -> Bool[np.ndarray, "2 pairs"]:
        """Whether the entropies alone decide the sign of the gap of the training loss."""
        return np.asarray(np.abs(self.entropy_gap) > np.abs(self.excess_gap))

    def to_dict(self) -> dict[str, Any]:
        """Axes, arrays and dimensions by name, as ``xarray.Dataset.from_dict`` reads them."""
        axes = ("regime", "pair", "direction", "examples")
        return _dataset(
            {
                "regime": REGIMES,
                "pair": [f"{k}-{l}" for k, l in self.pairs],
                "direction": DIRECTIONS,
                "examples": self.examples,
                "slice": range(1, self.entropy.shape[1] + 1),
            },
            {
                "entropy": (("regime", "slice"), self.entropy),
                "training_loss": (axes, self.training_loss),
                "excess_loss": (axes, self.excess_loss),
                "entropy_gap": (axes[:2], self.entropy_gap),
                "excess_gap": (axes[:2], self.excess_gap),
            },
            {"step": self.step, "unexpanded": self.unexpanded},
        )


def simulate_resistance(
    mixture: Mixture,
    pretrain: int | str = 0,
    align: int | str = 1,
    slices: int = 3,
    step: float | None = None,
    points: int = 17,
    base: float = 2,
) -> Resistance:
    r"""Section 5.1: slices of an alignment run, retrained forward and backward.

    The model pre-trained on D_p is aligned on D_a and kept after every |D_a| / slices examples, as theta_1,
    theta_2, and so on. Each is then trained on what another one says, |D_a| / slices examples of it.

    Parameters
    ----------
    mixture : Mixture
        Only D_p and D_a matter.
    pretrain, align : int or str
        Index or name.
    slices : int
        At least 2.
    step : float, optional
        Of the fixed-step regime. Default: 1 / |D_a|, so that the whole run moves the model by about 1 - 1/e
        of the way, but at most 1/2.
    points : int
        Number of points on each path, at least 2.
    base : float
        2 for bits, ``math.e`` for nats.

    Returns
    -------
    Resistance

    Raises
    ------
    ValueError, TypeError
        If a dataset, a number or the base is not as above.

    Notes
    -----
    theta_k says exactly its own distribution q_k: no sampling, no seed. The training loss is H(target) +
    KL(target \|\| q). Between near slices the KL is of second order in the distance and its asymmetry of
    third, the difference of the entropies of first: so as a rule the training loss tells which of two slices
    has the lower entropy. The rule fails where the entropies are nearly equal, and leaves that D_p lacks make
    the asymmetry first order too: see ``docs/alignment.md``. O(points slices^2 M).

    Examples
    --------
    >>> to_uniform = simulate_resistance(Mixture([[8, 1, 1], [1, 1, 1]], [100, 10]))
    >>> to_peak = simulate_resistance(Mixture([[1, 1, 1], [8, 1, 1]], [100, 10]))
    >>> to_uniform.inverse_easier_by_loss[0], to_peak.inverse_easier_by_loss[0]
    (array([ True,  True,  True]), array([False, False, False]))
    """
    p, a = _roles(mixture, pretrain, align)
    slices, points = _checks.integer("slices", slices, 2), _checks.integer("points", points, 2)
    unit = _checks.log_base(base)
    n_p, n_a = (float(mixture.exact_sizes[i]) for i in (p, a))
    step = min(1 / n_a, 0.5) if step is None else step
    before, after = mixture.distributions[[p, a]]
    u = after - before
    chunk = n_a / slices
    examples = np.linspace(0, chunk, points)
    pairs = tuple(combinations(range(1, slices + 1), 2))
    excess = np.zeros((2, len(pairs), 2, points))
    entropies, entropy_gap = np.zeros((2, slices)), np.zeros((2, len(pairs)))
    for r, speed in enumerate((None, _speed(step))):
        kept, moved = _move(chunk * np.arange(1, slices + 1), n_p, speed)
        models = np.multiply.outer(kept, before) + np.multiply.outer(moved, after)
        entropies[r] = entropy(models, base)
        for i, (k, l) in enumerate(pairs):
            # How much farther theta_l has gone: what theta_k still kept, times the share lost since.
            gap = float(kept[k - 1] * _move((l - k) * chunk, n_p + k * chunk, speed)[1])
            for d, (start, end) in enumerate(((k, l), (l, k))):
                target, ahead = models[end - 1], (gap if d == 0 else -gap) * u
                lefts, shares = _move(examples, n_p + start * chunk, speed)
                for j, (left, share) in enumerate(zip(lefts, shares, strict=True)):
                    model = left * models[start - 1] + share * target
                    excess[r, i, d, j] = divergence_terms(target, model, left * ahead).sum() / unit
            logs = np.log(models[k - 1], out=np.zeros_like(u), where=models[k - 1] > 0)
            entropy_gap[r, i] = -gap * (u @ logs) / unit - excess[r, i, 0, 0]
    ends = np.array([[l - 1, k - 1] for k, l in pairs])
    means = excess.mean(axis=3)
    return Resistance(
        pairs,
        examples,
        entropies,
        entropies[:, ends][..., None] + excess,
        excess,
        entropy_gap,
        means[:, :, 0] - means[:, :, 1],
        float(step),
        float(mixture.unexpanded[[p, a]].max()),
    )


# Rebound


class PowerLaw(NamedTuple):
    """R = amplitude * x^exponent by least squares on logarithms; made by `ReboundFactor.fit`.

    Attributes
    ----------
    amplitude, exponent : float
        NaN where some R is not positive.
    amplitude_error, exponent_error : float
        Standard errors. They measure how far the points are from a power law, not noise: the model has none.
    """

    amplitude: float
    exponent: float
    amplitude_error: float
    exponent_error: float


@_interop.comparable
@dataclass(frozen=True, eq=False)
class Rebound:
    """Score of an aligned model under negative data; made by `simulate_rebound`.

    Arrays have axes regime, positive, negative in this order; regimes are `REGIMES`.

    Attributes
    ----------
    positive, negative : float arrays, shapes (P,) and (N,)
        Examples distributed as D_a that the model was aligned on, then as D_t.
    score, drop : float arrays, shape (2, P, N)
        Share of D_a in the model, and how far it is below that without negative data; the drop is formed
        without cancellation, and is negative where the score rises.
    needed : float array, shape (2, P)
        Negative examples that bring the score down to `level`: 0 where it is there, inf where it stays above.
    level : float
        The score before the alignment unless another was asked for.
    score_pretrain, score_align, score_perturb : float
        Scores of p_p, p_a and p_t themselves; the first NaN where D_p has no leaf of either.
    step : float
        Of the fixed-step regime.
    unexpanded : float
        As in `AlignmentBudget`: above 0 scores are those of what was read, and none is certain.
    """

    positive: Float[np.ndarray, "positive"]
    negative: Float[np.ndarray, "negative"]
    score: Float[np.ndarray, "2 positive negative"]
    drop: Float[np.ndarray, "2 positive negative"]
    needed: Float[np.ndarray, "2 positive"]
    level: float
    score_pretrain: float
    score_align: float
    score_perturb: float
    step: float
    unexpanded: float

    @property
    def first_drop(self) -> Float[np.ndarray, "2 positive"]:
        """R: how far the score falls over the first negative examples, 100 of them in the paper."""
        return _array(self.drop[..., 1] - self.drop[..., 0])

    @property
    def falls_faster(self) -> Bool[np.ndarray, "2"]:
        """Rebound: whether every further positive example makes the first drop larger."""
        return _everywhere(np.diff(self.first_drop, axis=1) > 0, 1)

    @property
    def levels_off(self) -> Bool[np.ndarray, "2"]:
        """Whether the score falls, and more slowly, per example, the farther it has fallen.

        The second follows from the first: lambda is strictly concave in the number of negative examples, in
        both regimes (docs/alignment.md). Differences of drops would not show it where D_p is very large.
        """
        return _everywhere(self.drop[..., -1] > 0, 1)

    @property
    def needed_falls(self) -> Bool[np.ndarray, "2"]:
        """Whether more positive data lets fewer negative examples do, as in the paper's Table 3."""
        return _everywhere(self.needed[:, 1:] < self.needed[:, :-1], 1)

    def to_dict(self) -> dict[str, Any]:
        """Axes, arrays and dimensions by name, as ``xarray.Dataset.from_dict`` reads them."""
        axes = ("regime", "positive", "negative")
        return _dataset(
            {"regime": REGIMES, "positive": self.positive, "negative": self.negative},
            {
                "score": (axes, self.score),
                "drop": (axes, self.drop),
                "needed": (axes[:2], self.needed),
            },
            {
                name: getattr(self, name)
                for name in ("level", "score_pretrain", "score_align", "score_perturb", "step", "unexpanded")
            },
        )


def simulate_rebound(
    mixture: Mixture,
    pretrain: int | str = 0,
    align: int | str = 1,
    perturb: int | str = 2,
    positive: Annotated[Numbers, "positive"] = POSITIVE,
    negative: Annotated[Numbers, "negative"] = NEGATIVE,
    step: float = 1e-3,
    level: float | None = None,
) -> Rebound:
    r"""Section 5.2: how far negative data bring down what positive data have built.

    Parameters
    ----------
    mixture : Mixture
        Only the size of D_p counts, and only in the regime of counts.
    pretrain, align, perturb : int or str
        Index or name of D_p, of the positive data D_a and of the negative data D_t.
    positive, negative : array_like, shapes (P,) and (N,)
        Numbers of examples, at least two each and increasing; positive ones > 0, negative ones >= 0. Default:
        the paper's.
    step : float
        Fraction of the way that one example moves the model in the fixed-step regime.
    level : float, optional
        Score to be brought down to, for `Rebound.needed`. Default: the score before the alignment, or 1/2
        where that is undefined.

    Returns
    -------
    Rebound
        The score is the share of D_a in the model's mass on the leaves of D_a and D_t: a leaf that both have
        counts for D_a with weight p_a / (p_a + p_t).

    Raises
    ------
    ValueError, TypeError
        If a dataset, an array or a number is not as above.

    Notes
    -----
    The score relaxes to that of p_t: score = score_t + (score_0 - score_t)(1 - lambda), with lambda = s if
    D_p has no leaves beside those of the other two. By counts the slope under negative data steepens with
    every positive example exactly while the score is below 1/2. Nothing is sampled. O(M) and then O(P N).

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
    roles = _roles(mixture, pretrain, align, perturb)
    given = _growing("positive", positive), _growing("negative", negative)
    if given[0][0] == 0:
        raise ValueError("positive[0] = 0.0: must be > 0")
    positives, negatives = given
    p, a, t = mixture.distributions[roles]
    both = a + t
    # A leaf counts 1/2 + tilt for D_a. Scores less 1/2 are means of tilts, and cancel as little as can be.
    tilt = np.divide(a - t, 2 * both, out=np.zeros_like(a), where=both > 0)
    part, ours = float(p[both > 0].sum()), float(p @ tilt)
    # Means over p_a and p_t are equal and opposite, for that over their sum is zero.
    top = float(both @ tilt**2)
    start = ours / part if part > 0 else math.nan
    if level is None:
        aim = start if part > 0 else 0.0
    elif isinstance(level, int | float | np.number) and 0 <= level <= 1:
        aim = float(level) - 0.5
    else:
        raise ValueError(f"level = {level!r}: must lie between 0 and 1")

    n_p = float(mixture.exact_sizes[roles[0]])
    score, drop = np.zeros((2, 2, positives.size, negatives.size))
    needed = np.zeros((2, positives.size))
    for r, speed in enumerate((None, _speed(step))):
        kept, moved = _move(positives, n_p, speed)
        held = kept * part + moved
        left, share_t = _move(negatives, (n_p + positives)[:, None], speed)
        gap = (kept * (ours + part * top) + moved * 2 * top) / held
        drop[r] = gap[:, None] * share_t / (left * held[:, None] + share_t)
        score[r] = 0.5 + ((kept * ours + moved * top) / held)[:, None] - drop[r]
        # At the level (1 - s) above = s (aim + top).
        above = kept * (ours - aim * part) + moved * (top - aim)
        odds = np.where(above > 0, above / (aim + top) if aim + top > 0 else np.inf, 0.0)
        needed[r] = (n_p + positives) * odds if speed is None else np.log1p(odds) / speed
    aim, start = 0.5 + aim, 0.5 + start
    scores, share = (start, 0.5 + top, 0.5 - top), float(mixture.unexpanded[roles].max())
    return Rebound(positives, negatives, score, drop, needed, aim, *scores, float(step), share)


@_interop.comparable
@dataclass(frozen=True, eq=False)
class ReboundFactor:
    """Rebound against depth or |D_p|; made by `rebound_by_depth` and `rebound_by_pretraining`.

    Arrays have axes regime, value, positive, negative in this order; regimes are `REGIMES`.

    Attributes
    ----------
    factor : "depth" or "pretrain size"
        What is varied.
    values : float array, shape (V,)
        Its values.
    positive, negative : float arrays, shapes (P,) and (N,)
        As in `Rebound`.
    score, drop : float arrays, shape (2, V, P, N)
        As in `Rebound`.
    unexpanded : float array, shape (V,)
        As in `Rebound`, at each value.
    """

    factor: str
    values: Float[np.ndarray, "values"]
    positive: Float[np.ndarray, "positive"]
    negative: Float[np.ndarray, "negative"]
    score: Float[np.ndarray, "2 values positive negative"]
    drop: Float[np.ndarray, "2 values positive negative"]
    unexpanded: Float[np.ndarray, "values"]

    @property
    def first_drop(self) -> Float[np.ndarray, "2 values positive"]:
        """R: how far the score falls over the first negative examples."""
        return _array(self.drop[..., 1] - self.drop[..., 0])

    @property
    def last_drop(self) -> Float[np.ndarray, "2 values positive"]:
        """How far the score falls over the last negative examples, from 1000 to 2000 in the paper."""
        return _array(self.drop[..., -1] - self.drop[..., -2])

    @property
    def grows(self) -> Bool[np.ndarray, "2 positive"]:
        """Whether R grows with every step of the factor, as the paper has it."""
        return _everywhere(np.diff(self.first_drop, axis=1) > 0, 1)

    @property
    def later_slower(self) -> Bool[np.ndarray, "2 positive"]:
        """Whether the last drop shrinks with every step of the factor, as the paper has it."""
        return _everywhere(np.diff(self.last_drop, axis=1) < 0, 1)

    def fit(self, regime: Regime, positive: int = 0) -> PowerLaw:
        """R = a Size^b, or c Data^d, by least squares on logarithms (section 5.3).

        Parameters
        ----------
        regime : {"counts", "fine-tuning"}
            Which regime.
        positive : int
            Index into `positive`. Default: the fewest.

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

    def to_dict(self) -> dict[str, Any]:
        """Axes, arrays and dimensions by name, as ``xarray.Dataset.from_dict`` reads them."""
        axes = ("regime", self.factor, "positive", "negative")
        coordinates = {
            "regime": REGIMES,
            self.factor: self.values,
            "positive": self.positive,
            "negative": self.negative,
        }
        arrays = {
            "score": (axes, self.score),
            "drop": (axes, self.drop),
            "unexpanded": ((self.factor,), self.unexpanded),
        }
        return _dataset(coordinates, arrays, {})


def rebound_by_depth(
    trees: Sequence[TokenTree],
    depths: Annotated[Numbers, "depths"] | None = None,
    pretrain: int | str = 0,
    align: int | str = 1,
    perturb: int | str = 2,
    positive: Annotated[Numbers, "positive"] = POSITIVE,
    negative: Annotated[Numbers, "negative"] = NEGATIVE,
    step: float = 1e-3,
) -> ReboundFactor:
    r"""Section 5.3: rebound against the depth d that the model knows, Assumption 3.2's measure of its size.

    Parameters
    ----------
    trees : sequence of at least three TokenTrees
        One a dataset; sizes are their total weights.
    depths : array_like of int, shape (V,), optional
        Increasing, at least two. Default: 1 to the depth of the deepest tree.
    pretrain, align, perturb, positive, negative, step
        As in `simulate_rebound`, whose errors this shares.

    Returns
    -------
    ReboundFactor

    Raises
    ------
    ValueError, TypeError
        If `depths` is not as above, and as for `Mixture.from_trees`.

    Notes
    -----
    Pruning merges leaves and can only bring the scores of p_a and p_t nearer to one another. O(V (nodes log
    nodes + M)).

    Examples
    --------
    >>> trees = [TokenTree.from_leaves(leaves) for leaves in ({"00": 9, "01": 9}, {"00": 1}, {"01": 1})]
    >>> found = rebound_by_depth(trees)
    >>> found.first_drop[1, :, 0].round(4)
    array([0.    , 0.0777, 0.0777])
    """
    trees = list(trees)
    if depths is None:
        depths = list(range(1, max((tree.depth for tree in trees), default=1) + 1))
    listed = _checks.array("depths", depths)
    grid = _growing("depths", listed)
    more, less = _growing("positive", positive), _growing("negative", negative)
    levels = [_checks.integer(f"depths[{i}]", depth, 1) for i, depth in enumerate(listed.tolist())]
    mixtures = [Mixture.from_trees(trees, depth=depth) for depth in levels]
    found = [simulate_rebound(each, pretrain, align, perturb, more, less, step) for each in mixtures]
    return _factor("depth", grid, found)


def rebound_by_pretraining(
    mixture: Mixture,
    sizes: Annotated[Numbers, "sizes"] | None = None,
    pretrain: int | str = 0,
    align: int | str = 1,
    perturb: int | str = 2,
    positive: Annotated[Numbers, "positive"] = POSITIVE,
    negative: Annotated[Numbers, "negative"] = NEGATIVE,
    step: float = 1e-3,
) -> ReboundFactor:
    r"""Section 5.3: rebound against the amount of pre-training data.

    Parameters
    ----------
    mixture : Mixture
        As in `simulate_rebound`.
    sizes : array_like, shape (V,), optional
        |D_p|, increasing, at least two. Default: 1, 1.25 and 1.5 times that of the mixture, as the paper's
        2.0T, 2.5T and 3.0T tokens.
    pretrain, align, perturb, positive, negative, step
        As in `simulate_rebound`, whose errors this shares.

    Returns
    -------
    ReboundFactor

    Notes
    -----
    Fixed steps know nothing of |D_p|: there R is constant and its exponent 0.

    Examples
    --------
    >>> from tokentree import published_form
    >>> thirds = published_form([[1, 0, 0], [0, 1, 0], [0, 0, 1]], k=10**9, l=1)
    >>> found = rebound_by_pretraining(thirds)
    >>> [round(found.fit(regime).exponent, 3) for regime in REGIMES]
    [-1.0, 0.0]
    """
    p = _roles(mixture, pretrain, align, perturb)[0]
    listed = list(mixture.exact_sizes)
    grid = _growing("sizes", float(listed[p]) * np.array([1, 1.25, 1.5]) if sizes is None else sizes)
    more, less = _growing("positive", positive), _growing("negative", negative)
    found = []
    for size in grid.tolist():
        listed[p] = Fraction(size)
        resized = mixture.with_sizes(listed)
        found.append(simulate_rebound(resized, pretrain, align, perturb, more, less, step))
    return _factor("pretrain size", grid, found)


def _factor(factor: str, values: Float[np.ndarray, "values"], found: list[Rebound]) -> ReboundFactor:
    score, drop = (np.stack([getattr(each, name) for each in found], axis=1) for name in ("score", "drop"))
    shares = np.array([each.unexpanded for each in found])
    return ReboundFactor(factor, values, found[0].positive, found[0].negative, score, drop, shares)


def _growing(name: str, value: Any) -> Float[np.ndarray, "values"]:
    """At least two finite numbers >= 0, increasing."""
    array = _checks.float_array(name, value)
    if array.ndim != 1 or array.size < 2:
        raise ValueError(f"{name} has shape {array.shape}: must be one-dimensional with at least 2 entries")
    _checks.nonnegative(name, array)
    if not (np.diff(array) > 0).all():
        _checks.fail_at(name, array, np.diff(array, prepend=-1.0) <= 0, "must be larger than the one before")
    return array


def _dataset(
    coordinates: dict[str, Any], variables: dict[str, tuple[tuple[str, ...], Any]], attributes: dict[str, Any]
) -> dict[str, Any]:
    """Named arrays in plain Python, in the layout of ``xarray.Dataset.from_dict``."""
    coords = {
        name: {"dims": [name], "data": np.asarray(values).tolist()} for name, values in coordinates.items()
    }
    data = {name: {"dims": list(dims), "data": array.tolist()} for name, (dims, array) in variables.items()}
    return {"coords": coords, "data_vars": data, "attrs": attributes}
