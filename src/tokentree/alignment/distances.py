r"""The distance of an aligned model from its start, as inverse data move it.

The alignment takes p_p to q_a = (1 - c) p_p + c p_a, and inverse data then take q_a to

    q = p_p + c ((p_a - p_p) + t (p_b - p_p)) / (1 + c t),     c t = s / (1 - s).

By counts t = |D_b| / |D_a|. In the fixed-step regime |D_b| = log(1 + c t) / -log(1 - eta). Everything here is
a function of t. Differences are formed from p_a - p_p and p_b - p_p, so the digits are kept even if the model
hardly moves.

**The least over all D_b.** For every D_b, q >= q_a / (1 + c t) on every leaf. Of the models that satisfy
this, the one trained on D_b ~ (g p_p - p_a)_+ is nearest to p_p in every f-divergence: such data refill the
leaves from which the alignment has taken most. The remaining total variation is c E_{1+t}(p_a || p_p) / (1 +
c t), with E_g(p || q) = sum (p - g q)_+ the hockey-stick divergence; it is zero once t reaches max p_a / p_p
- 1. Proofs are in ``docs/alignment.md``.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from jaxtyping import Float

from .._lib import checks
from ..information import divergence_terms, log_ratio
from ..mixtures import Mixture
from .regimes import REGIMES, move, roles_of, speed_of

_REACH = 600.0
"""Budgets are sought with |log t| up to this value."""


@dataclass(frozen=True, eq=False)
class Aligned:
    """The aligned model kept * p_p + moved * p_a, and the regime of what follows."""

    pretrain: Float[np.ndarray, "leaves"]
    align: Float[np.ndarray, "leaves"]
    kept: float
    moved: float
    align_size: Fraction
    speed: float | None
    """-log(1 - step); None for counts."""
    unexpanded: float
    """Largest unexpanded share of either dataset."""

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
        return distance_between(distance, *self.shift(t, target), self.pretrain, self.align)

    def gain(self, t: float, target: Float[np.ndarray, "leaves"]) -> float:
        """Decrease of the rate of D_a from its rate under p_p, in nats."""
        return _gain(*self.shift(t, target), self.pretrain, self.align)


def align_model(
    mixture: Mixture, pretrain: int | str, align: int | str, regime: str, step: float | None
) -> Aligned:
    """The model after D_a, in one of the two regimes."""
    p, a = roles_of(mixture, pretrain, align)
    if regime not in REGIMES:
        raise ValueError(f"regime = {regime!r}: must be 'counts' or 'fine-tuning'")
    if regime == "fine-tuning" and step is None:
        raise ValueError(
            "step = None: regime 'fine-tuning' needs the fraction that one example moves the model"
        )
    speed = None if regime == "counts" else speed_of(step)
    n_p, n_a = (mixture.exact_sizes[i] for i in (p, a))
    kept, moved = move(float(n_a), float(n_p), speed)
    rows = mixture.distributions
    share = float(mixture.unexpanded[[p, a]].max())
    return Aligned(rows[p], rows[a], float(kept), float(moved), n_a, speed, share)


def distance_between(
    distance: str,
    shift: Float[np.ndarray, "leaves"],
    model: Float[np.ndarray, "leaves"],
    before: Float[np.ndarray, "leaves"],
    align: Float[np.ndarray, "leaves"],
) -> float:
    """Distance from the model `before`, given the difference `shift`, in nats or as a share of mass."""
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
    """Sum of align * log(model / before); inf where align has a leaf that `before` lacks.

    With p for `before` it is sum (align - p) log(model / p) minus sum p log(p / model) - p + model over the
    leaves of align, and minus the shift of the others: nothing of first order cancels if all are close.
    """
    on = align > 0
    elsewhere = shift[~on].sum()
    shift, model, before, align = shift[on], model[on], before[on], align[on]
    if (before == 0).any():
        return math.inf
    if (model == 0).any():
        return -math.inf
    fallen = divergence_terms(before, model, -shift).sum() + elsewhere
    return float((align - before) @ log_ratio(model, before, shift) - fallen)


def rate_limit(aligned: Aligned, target: Float[np.ndarray, "leaves"]) -> tuple[float, float]:
    """Least distance of the rate of D_a, and its t: the gain is concave in s."""
    first, last = aligned.gain(0.0, target), aligned.gain(math.inf, target)
    if last < 0:
        return 0.0, crossing(lambda t: aligned.gain(t, target))
    return (first, 0.0) if first <= last < math.inf else (last, math.inf)


def turning_point(aligned: Aligned, distance: str, target: Float[np.ndarray, "leaves"]) -> float:
    """The t at which a convex distance is least; inf if it decreases throughout."""
    u, v = aligned.align - aligned.pretrain, target - aligned.pretrain
    # v - moved * u, with the digits of a part that nearly cancels.
    direction = v - aligned.moved * u if aligned.moved < 1 / 2 else target - aligned.align + aligned.kept * u

    def fall(t: float) -> float:
        """Minus the slope of the distance, up to a positive factor."""
        shift, model = aligned.shift(t, target)
        with np.errstate(divide="ignore", invalid="ignore"):
            # Where D_p has no mass the whole model is shift, also at t = 0, where both are 0.
            apart = np.divide(shift, model, out=np.ones_like(shift), where=shift != model)
            weight = np.sign(shift) if distance == "total variation" else apart
            # Where the direction is 0 the model does not move, however far it is.
            return -float(np.where(direction == 0, 0.0, weight * direction).sum())

    return crossing(fall) if fall(0.0) > 0 else 0.0


def crossing(fall: Callable[[float], float], end: float | Fraction = math.inf) -> float:
    """Least t up to `end` at which an initially positive function is <= 0; inf if there is none."""
    from scipy.optimize import brentq

    low, high = -_REACH, _REACH if end == math.inf else math.log(end) if end > 0 else -_REACH

    def at(y: float) -> float:
        return float(np.clip(fall(math.exp(y)), -1e300, 1e300))

    if high <= low or at(low) <= 0:
        return 0.0
    if at(high) > 0:
        return math.inf
    return math.exp(brentq(at, low, high, xtol=1e-15, rtol=4 * np.finfo(float).eps, maxiter=10_000))


def log_excess(value: float, allowed: float) -> float:
    """log(value / allowed): distances are close to powers of t, so this is nearly linear in log t."""
    return math.log(value) - math.log(allowed) if value > 0 else -math.inf


def restoring_ratio(mixture: Mixture, pretrain: int | str, align: int | str, b: int) -> Fraction | None:
    """The t at which p_a - p_p + t (p_b - p_p) = 0 on every leaf, exactly; None if there is none."""
    roles = [mixture.index(pretrain), mixture.index(align), b]
    p, a, target = (mixture.distributions[i] for i in roles)
    u, v = a - p, target - p
    x = int(np.abs(v).argmax())
    # Floats usually suffice.
    if v[x] == 0 or np.abs(u - v * (u[x] / v[x])).max() > 1e-9 * np.abs(u).max():
        return None
    c_p, c_a, c_b = (mixture.rows.integers[i].astype(object) for i in roles)
    n_p, n_a, n_b = (mixture.rows.totals[i] for i in roles)
    exact_u, exact_v = (c_a * n_p - c_p * n_a) * n_b, (c_b * n_p - c_p * n_b) * n_a
    t = Fraction(-exact_u[x], exact_v[x]) if exact_v[x] else Fraction(0)
    return t if t > 0 and not (exact_u * t.denominator + exact_v * t.numerator).any() else None


def largest_ratio(mixture: Mixture, pretrain: int | str, align: int | str) -> Fraction | None:
    """Largest p_a / p_p over the leaves, exactly; None if it is infinite."""
    p, a = mixture.index(pretrain), mixture.index(align)
    before, after = mixture.distributions[p], mixture.distributions[a]
    if (after[before == 0] > 0).any():
        return None
    ratios = np.divide(after, before, out=np.zeros_like(after), where=before > 0)
    # Up to eight roundings of a ratio on either side can hide which one is largest.
    near = ratios >= ratios.max() * (1 - 2.0**-49)
    counts, totals = mixture.rows.integers, mixture.rows.totals
    pairs = set(zip(counts[a, near].tolist(), counts[p, near].tolist(), strict=True))
    return max(Fraction(has * totals[p], had * totals[a]) for has, had in pairs)


def filled(
    mixture: Mixture, pretrain: int | str, align: int | str, top: Fraction
) -> Float[np.ndarray, "leaves"]:
    """max(p_a / p_p) p_p - p_a; in integers where floats nearly agree."""
    p, a = mixture.index(pretrain), mixture.index(align)
    fill: Float[np.ndarray, "leaves"] = float(top) * mixture.distributions[p] - mixture.distributions[a]
    counts, totals = mixture.rows.integers, mixture.rows.totals
    # Each row of floats may be off by the tolerance on its sum.
    near = np.abs(fill) < 4 * checks.SUM_TOLERANCE * mixture.distributions[a]
    for x in np.flatnonzero(near).tolist():
        had, has = (Fraction(int(counts[i, x]), totals[i]) for i in (p, a))
        fill[x] = float(top * had - has)
    return fill


def levelled(
    aligned: Aligned, level: float
) -> tuple[Float[np.ndarray, "leaves"], Float[np.ndarray, "leaves"], Float[np.ndarray, "leaves"]]:
    """Q - p_p, q and t p_b for the best D_b, which fills leaves with p_a < level * p_p up to that level."""
    p, a = aligned.pretrain, aligned.align
    fill, rest = np.maximum(level * p - a, 0.0), np.maximum(a - level * p, 0.0)
    left = 1 / (1 + aligned.moved * fill.sum())
    shift = aligned.moved * left * (rest - rest.sum() * p)
    return shift, left * (aligned.kept * p + aligned.moved * (a + fill)), fill
