r"""The mixture that codes a target best: Cover's log-optimal portfolio, with bounds and a prior.

Shares w of N datasets are sought that minimise

    f(w) = -sum_x t_x log(sum_j w_j p_jx) + c KL(w || prior)

over a polytope: w >= 0, sum w = 1, and any further rows of A w >= b. f is convex, so the Frank-Wolfe gap,
grad f(w) . w - min_v grad f(w) . v over the same polytope, bounds the distance of f(w) from its minimum. The
minimum over v is found at the vertices: the certificate does not depend on how w was found. A primal-dual
interior-point method finds w in about twenty Newton steps of size N.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from jaxtyping import Float

from .._lib import checks
from .._lib.checks import Numbers
from .._lib.results import Result

_STEPS = 200
"""Newton steps after which the method is declared not to converge; about twenty are usual."""

_GAP = 1e-11
"""Gap relative to the weight of the target at which the method stops."""

_SLACK = 1e-12
"""By how much upper bounds may sum to less than 1, for rounding."""

Bound = float | Mapping[str, float] | Annotated[Numbers, "datasets"] | None
"""One bound for all datasets, bounds for some by name, or one per dataset."""


@dataclass(frozen=True, eq=False, repr=False)
class BestSizes(Result):
    """The best mixture for a target, with a certificate. Made by ``best_sizes``.

    Attributes
    ----------
    names : tuple of str
        The datasets.
    sizes : float array, shape (N,)
        Their sizes, which sum to the requested total.
    value : float
        Weighted sum of the target's rates at these sizes, plus the pull to the prior.
    gap : float
        No sizes within the bounds have a value below ``value - gap``. For the worst mixture, no mixture found
        has a larger value, and the gap is 0 if every vertex was tried, otherwise NaN.
    """

    names: tuple[str, ...]
    sizes: Float[np.ndarray, "datasets"]
    value: float
    gap: float

    def __repr__(self) -> str:
        shares = zip(self.names, self.sizes / self.sizes.sum(), strict=True)
        shown = ", ".join(f"{name} {share:.3g}" for name, share in shares)
        return f"BestSizes({shown}; value {self.value:.6g}, gap {self.gap:.1e})"

    def _columns(self) -> tuple[Mapping[str, Any], *tuple[str, ...]]:
        sizes = self.sizes
        return {"dataset": self.names, "size": sizes, "share": sizes / sizes.sum()}, "dataset"


@dataclass(frozen=True)
class Polytope:
    """Allowed shares: w >= lower, w <= upper, A w >= 0, sum w = 1."""

    lower: Float[np.ndarray, "datasets"]
    upper: Float[np.ndarray, "datasets"]
    rows: Float[np.ndarray, "rows datasets"]

    def among(self, sources: Collection[int]) -> "Polytope":
        """The same polytope with no share for other datasets."""
        on = np.isin(np.arange(len(self.upper)), list(sources))
        allowed = Polytope(self.lower * on, self.upper * on, self.rows)
        if not allowed.upper.sum() * (1 + _SLACK) >= 1:
            raise ValueError(_no_room(allowed))
        return allowed

    @property
    def _along(self) -> float:
        """How far from the lower to the upper bounds shares lie that sum to 1, if all lie equally far."""
        room = float((self.upper - self.lower).sum())
        return float(1 - self.lower.sum()) / room if room else 0.0

    @property
    def is_point(self) -> bool:
        """Whether the bounds leave only one choice, within their tolerance."""
        few = np.count_nonzero(self.upper > self.lower) < 2
        return bool(few) or not _SLACK < self._along < 1 - _SLACK

    def inside(self) -> Float[np.ndarray, "datasets"]:
        """A point strictly between the bounds, where they differ and leave a choice."""
        inside: Float[np.ndarray, "datasets"] = self.lower + (self.upper - self.lower) * self._along
        return inside


def _no_room(allowed: Polytope) -> str:
    total = f"sum to at least {allowed.lower.sum():g} and at most {allowed.upper.sum():g}"
    return f"the shares would {total}: they must sum to 1"


def share_bounds(
    names: Sequence[str],
    lower: Bound,
    upper: Bound,
    available: Mapping[str, float] | Numbers | None,
    repetitions: float,
    total: float,
) -> Polytope:
    """The shares that the bounds and the available data allow."""
    n = len(names)
    if not (checks.is_number(total) and 0 < total < np.inf):
        raise ValueError(f"total = {total!r}: must be finite and > 0")
    if not (checks.is_number(repetitions) and repetitions > 0):
        raise ValueError(f"repetitions = {repetitions!r}: must be > 0")
    low, high = _spread("lower", lower, names, 0.0), _spread("upper", upper, names, 1.0)
    if available is not None:
        stock = _spread("available", available, names, np.inf)
        high = np.minimum(high, repetitions * stock / total)
    for i in range(n):
        if not 0 <= low[i] <= high[i]:
            would = f"the share of {names[i]!r} would be at least {low[i]:g} and at most {high[i]:g}"
            raise ValueError(f"{would}: no share is; shares lie between 0 and 1")
    high = np.minimum(high, 1.0)
    allowed = Polytope(low, high, np.zeros((0, n)))
    if not low.sum() <= 1 <= high.sum() * (1 + _SLACK):
        raise ValueError(_no_room(allowed))
    return allowed


def _spread(name: str, value: Any, names: Sequence[str], default: float) -> Float[np.ndarray, "datasets"]:
    """A value for every dataset."""
    array = checks.float_array(
        name, checks.by_name(name, default if value is None else value, names, default)
    )
    if array.shape not in ((), (len(names),)):
        raise ValueError(f"{name} has shape {array.shape}: must be one number, or ({len(names)},)")
    spread = np.broadcast_to(array, (len(names),)).copy()
    if not (spread >= 0).all():
        checks.fail_at(name, spread, ~(spread >= 0), "must be >= 0")
    return spread


def target_weights(target: str | Mapping[str, float], losses: Sequence[str]) -> Float[np.ndarray, "losses"]:
    """The target's weight on every loss."""
    given = {target: 1.0} if isinstance(target, str) else target
    if not isinstance(given, Mapping):
        raise TypeError(f"target is a {type(target).__name__}: must be one name, or map names to weights")
    weights = np.zeros(len(losses))
    for name, weight in given.items():
        if name not in losses:
            raise ValueError(f"target names {name!r}: must be one of {', '.join(map(repr, losses))}")
        if not checks.is_number(weight) or not 0 <= weight < np.inf:
            raise ValueError(f"target[{name!r}] = {weight!r}: must be finite and >= 0")
        weights[list(losses).index(name)] = weight
    if not weights.any():
        raise ValueError("target has no weight: give at least one loss a weight > 0")
    return weights


@dataclass(frozen=True)
class Found:
    """Shares, their value in nats, and a bound on its distance from the minimum."""

    shares: Float[np.ndarray, "datasets"]
    value: float
    gap: float


def best_shares(
    target: Float[np.ndarray, "leaves"],
    rows: Float[np.ndarray, "datasets leaves"],
    allowed: Polytope,
    *,
    prior: Any = None,
    pull: float | None = None,
    stiffness: Float[np.ndarray, "datasets"] | None = None,
    names: Sequence[str] = (),
    worst: bool = False,
) -> Found:
    """The shares of least f, or with `worst` of the largest f found.

    With a stiffness, q ~ sum s_j w_j p_j. Then f is convex in the shares u_j ~ s_j w_j of q, and bounds on w
    are linear in u.
    """
    if pull is not None and not (checks.is_number(pull) and 0 <= pull < np.inf):
        raise ValueError(f"pull = {pull!r}: must be finite and >= 0")
    if prior is not None and pull is None:
        raise ValueError("prior: without a pull it has no effect; give pull, as in pull=0.1")
    given, pull = None, float(pull or 0)
    if pull or prior is not None:
        if prior is None:
            raise ValueError(f"pull = {pull}: needs a prior to pull to")
        given = _spread("prior", prior, names, 0.0)
        without = np.flatnonzero((allowed.upper > 0) & ~(given > 0)).tolist()
        if without:
            which = ", ".join(repr(names[i]) for i in without)
            rule = "every dataset that may have a share needs a weight > 0; for no share, set upper to 0"
            raise ValueError(f"prior gives {which} no weight: {rule}")
    each = np.ones(len(rows)) if stiffness is None else stiffness
    seen = target > 0
    t, p = target[seen], rows[:, seen]
    problem = Problem(t, p, None if given is None else _weighted(given, each), pull)
    if worst:
        return _worst(problem, allowed, each)
    inside = _weighted(allowed.inside(), each)
    if not p[inside > 0].any(axis=0).all():
        raise ValueError("target has mass where no dataset with a share can have any: its rate is infinite")
    polytope = allowed if stiffness is None else _stiff(allowed, each)
    # Newton steps need room between the bounds.
    u = inside if allowed.is_point else problem.least(polytope, inside)
    value, slope = problem.value_and_slope(u)
    return Found(_weighted(u, 1 / each), value, _gap(slope, u, allowed, each))


def _weighted(
    shares: Float[np.ndarray, "datasets"], each: Float[np.ndarray, "datasets"]
) -> Float[np.ndarray, "datasets"]:
    weighted = shares * each
    normalised: Float[np.ndarray, "datasets"] = weighted / weighted.sum()
    return normalised


def _stiff(allowed: Polytope, each: Float[np.ndarray, "datasets"]) -> Polytope:
    """Bounds on w_j = (u_j / s_j) / sum_k u_k / s_k, as linear rows in u."""
    n = len(each)
    own, every = np.diag(1 / each), np.ones((n, 1)) / each
    low, high = allowed.lower > 0, (allowed.upper < 1) & (allowed.upper > 0)
    above = own[low] - allowed.lower[low, None] * every[low]
    below = allowed.upper[high, None] * every[high] - own[high]
    none = allowed.upper == 0
    return Polytope(np.zeros(n), np.where(none, 0.0, 1.0), each.min() * np.vstack([above, below]))


def _worst(problem: "Problem", allowed: Polytope, each: Float[np.ndarray, "datasets"]) -> Found:
    """The vertex of largest f: of all, or with bounds of those found by ascent from each dataset."""
    n = len(each)
    free = np.flatnonzero(allowed.upper > allowed.lower)
    every = not allowed.lower.any() and (allowed.upper[free] == 1).all()
    best, at = -np.inf, allowed.inside()
    for first in free if len(free) else [0]:
        slope = np.zeros(n)
        slope[first] = 1.0
        value, corner = -np.inf, at
        while True:
            tried = _corner(slope, allowed)
            u = _weighted(tried, each)
            with np.errstate(divide="ignore", invalid="ignore"):
                reached, towards = problem.value_and_slope(u)
            if not reached > value:
                break
            value, corner = reached, tried
            if every or not np.isfinite(towards).all():
                break
            slope = each * (towards - towards @ u)
        if value > best:
            best, at = value, corner
    return Found(at, best, 0.0 if every else np.nan)


def _gap(
    slope: Float[np.ndarray, "datasets"],
    u: Float[np.ndarray, "datasets"],
    allowed: Polytope,
    each: Float[np.ndarray, "datasets"],
) -> float:
    """How much larger slope . u is than its minimum over the allowed shares.

    A ratio of linear functions of w, so steps to the best vertex for the last ratio (Dinkelbach 1967) end at
    the minimum. Without a stiffness the first step reaches it.
    """
    given = ratio = float(slope @ u)
    least = np.inf
    while ratio < least:
        least = ratio
        ratio = float(slope @ _weighted(_corner(each * (least - slope), allowed), each))
    return given - least


def _corner(slope: Float[np.ndarray, "datasets"], allowed: Polytope) -> Float[np.ndarray, "datasets"]:
    """The shares of largest slope . w."""
    order = np.argsort(-slope, kind="stable")
    room = (allowed.upper - allowed.lower)[order]
    corner = allowed.lower.copy()
    corner[order] += np.clip(1 - allowed.lower.sum() - (np.cumsum(room) - room), 0, room)
    return corner


@dataclass(frozen=True)
class Problem:
    """The objective f, over leaves on which the target has mass."""

    target: Float[np.ndarray, "leaves"]
    rows: Float[np.ndarray, "datasets leaves"]
    prior: Float[np.ndarray, "datasets"] | None
    pull: float

    def value_and_slope(
        self, w: Float[np.ndarray, "datasets"]
    ) -> tuple[float, Float[np.ndarray, "datasets"]]:
        """Value of f(w), and its gradient."""
        q = w @ self.rows
        value, slope = -float(self.target @ np.log(q)), -(self.rows @ (self.target / q))
        if self.pull and self.prior is not None:
            on = w > 0
            ratio = np.log(w[on] / self.prior[on])
            value += self.pull * float(w[on] @ ratio)
            # At share 0 the slope is minus infinity; the optimum has such a share only because of its bounds.
            slope[on] += self.pull * (ratio + 1)
        return value, slope

    def least(self, allowed: Polytope, start: Float[np.ndarray, "datasets"]) -> Float[np.ndarray, "datasets"]:
        """Primal-dual Newton steps with decreasing products of slack and multiplier."""
        free = np.flatnonzero(allowed.upper > allowed.lower)
        fixed = start.copy()
        fixed[free] = 0
        base, p, weight = fixed @ self.rows, self.rows[free], float(self.target.sum()) + self.pull
        x, n = start[free].copy(), len(free)
        upper = np.flatnonzero(allowed.upper[free] < 1)
        identity = np.eye(n)
        rows = np.vstack([identity, -identity[upper], allowed.rows[:, free]])
        edge = np.concatenate([allowed.lower[free], -allowed.upper[free][upper], -(allowed.rows @ fixed)])
        slack = rows @ x - edge
        if not (slack > 0).all():
            # No float64 lies between the bounds; the gap says what that costs.
            return start
        multiplier = weight / len(slack) / slack
        for _ in range(_STEPS):
            q = base + x @ p
            root = p * (np.sqrt(self.target) / q)
            slope, curve = -(p @ (self.target / q)), root @ root.T
            if self.pull and self.prior is not None:
                slope = slope + self.pull * (np.log(x / self.prior[free]) + 1)
                curve = curve + np.diag(self.pull / x)
            products, dual = float(slack @ multiplier), slope - rows.T @ multiplier
            if products <= _GAP * weight and np.ptp(dual) <= _GAP * max(weight, np.abs(slope).max()):
                fixed[free] = x
                return fixed
            aim = 0.1 * max(products, _GAP * weight) / len(slack)
            system = np.zeros((n + 1, n + 1))
            system[:n, :n] = curve + (rows.T * (multiplier / slack)) @ rows
            system[:n, n] = system[n, :n] = 1
            step = np.linalg.solve(system, np.append(rows.T @ (aim / slack) - slope, 0.0))[:n]
            moved = rows @ step
            turned = aim / slack - multiplier - multiplier / slack * moved
            length = min(1.0, 0.99 * _room(slack, moved), 0.99 * _room(multiplier, turned))
            # Not rows @ x - edge, which is rounded to 0 near a bound.
            x, slack, multiplier = x + length * step, slack + length * moved, multiplier + length * turned
        raise ArithmeticError(f"the best shares were not found in {_STEPS} steps: the gap is {products:.1e}")


def _room(values: Float[np.ndarray, "n"], step: Float[np.ndarray, "n"]) -> float:
    """The fraction of the step that keeps all values positive."""
    down = step < 0
    return float((-values[down] / step[down]).min(initial=np.inf))
