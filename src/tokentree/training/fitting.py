r"""Fitting the token tree to training runs: least squares with everything but the leaves solved for.

Given the leaves p_i, the rate of loss i in run a is linear in the remaining parameters: its offset c_i and
its scale s_i, and in the joint law the coefficients of N^-alpha and D^-beta. So these are solved for at every
step (variable projection), and SciPy's L-BFGS minimises a function of the leaves' logits, of the exponents,
and of log s_i where the scale is a stiffness and so part of q. At the optimum of the linear part its
derivative vanishes, so the gradient is that with the linear part held fixed.

Each loss is measured in units of its own standard deviation over the runs, or of the standard errors of its
rates. So the sum of squares is twice the negative logarithm of a Gaussian likelihood, and the smoothing, a
multiple of the sum of squared logits, is that of a prior which pulls every p_i towards equal leaves.
"""

from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Float, Int

Scales = Literal["own", "shared", "stiffness"]

SCALES: tuple[Scales, ...] = ("own", "shared", "stiffness")
"""A scale per loss, one for all, or one per dataset that also weights it in q."""

EXPONENTS = ("alpha", "beta", "parameters", "tokens")
"""Exponents in the joint law: terms N^-alpha and D^-beta, and a scale proportional to N^a D^b."""

PRIOR, PRIOR_WIDTH = np.array([0.3, 0.3, 0.0, 0.0]), np.array([0.05, 0.05, 1.0, 1.0])
"""Means and widths of the prior on the exponents: typical of scaling laws of language models."""

_LEAST_SCALE, _LEAST_MASS = 1e-12, 1e-300
_STIFF = 0.1
"""Smoothing of log s_i relative to that of a logit."""

_DRAWN = 4.0
"""Shift of a task's initial logits from random ones, per unit of correlation."""


@dataclass(frozen=True)
class Data:
    """The data of a fit: shares, rates, and the weight of each rate."""

    shares: Float[np.ndarray, "runs rows"]
    """Share of every row of leaves; 0 for tasks."""
    rates: Float[np.ndarray, "runs losses"]
    weight: Float[np.ndarray, "runs losses"]
    """0 where a rate was not measured."""
    rows: Int[np.ndarray, "losses"]
    """The row of leaves of each loss."""
    size: Float[np.ndarray, "runs 2"] | None = None
    """log N and log D, relative to the median run."""

    @classmethod
    def of(
        cls,
        shares: Float[np.ndarray, "runs datasets"],
        rates: Float[np.ndarray, "runs losses"],
        errors: Float[np.ndarray, "runs losses"] | None = None,
        size: Float[np.ndarray, "runs 2"] | None = None,
    ) -> "Data":
        """The losses measured in any run; the rows of tasks follow those of the datasets."""
        n_rows = rates.shape[1]
        measured = np.isfinite(rates)
        rows = np.flatnonzero(measured.any(axis=0))
        rates, measured = rates[:, rows], measured[:, rows]
        given = np.where(measured, rates, 0.0)
        counts = measured.sum(axis=0)
        means = given.sum(axis=0) / counts
        spread = (measured * (given - means) ** 2).sum(axis=0) / counts
        spread = np.where(spread > 0, spread, 1.0)
        weight = measured / (spread if errors is None else np.maximum(errors[:, rows], 1e-9) ** 2)
        return cls(widened(shares, n_rows), given, weight, rows, size)

    def some(self, runs: Int[np.ndarray, "some"]) -> "Data":
        """The data of these runs alone."""
        size = None if self.size is None else self.size[runs]
        return replace(
            self, shares=self.shares[runs], rates=self.rates[runs], weight=self.weight[runs], size=size
        )


@dataclass(frozen=True)
class Shape:
    """The settings of a law: leaves, smoothing, scales."""

    n_leaves: int
    smoothing: float
    scales: Scales


@dataclass
class Fitted:
    """The parameters of a law."""

    leaves: Float[np.ndarray, "rows leaves"]
    linear: Float[np.ndarray, "terms losses"]
    """Offset, in the joint law also the coefficients of N^-alpha and D^-beta, and last the scale."""
    stiffness: Float[np.ndarray, "rows"] | None
    exponents: Float[np.ndarray, "4"] | None
    misfit: float
    point: Float[np.ndarray, "parameters"] = field(repr=False)

    def rates(
        self,
        shares: Float[np.ndarray, "runs rows"],
        rows: Int[np.ndarray, "losses"],
        size: Float[np.ndarray, "runs 2"] | None,
    ) -> Float[np.ndarray, "runs losses"]:
        """The predicted rates."""
        q = np.maximum(weighted(shares, self.stiffness) @ self.leaves, _LEAST_MASS)
        crossed = -np.log(q) @ self.leaves[rows].T
        if self.exponents is None or size is None:
            rates: Float[np.ndarray, "runs losses"] = self.linear[0] + self.linear[1] * crossed
            return rates
        falls, scale = powers(self.exponents, size)
        offset, first, second, last = self.linear
        rates = offset + falls[:, :1] * first + falls[:, 1:] * second + scale[:, None] * last * crossed
        return rates


def widened(shares: Float[np.ndarray, "runs datasets"], n_rows: int) -> Float[np.ndarray, "runs rows"]:
    """Shares with a column per row of leaves; those of tasks are zero."""
    wide = np.zeros((len(shares), n_rows))
    wide[:, : shares.shape[1]] = shares
    return wide


def weighted(
    shares: Float[np.ndarray, "runs rows"], stiffness: Float[np.ndarray, "rows"] | None
) -> Float[np.ndarray, "runs rows"]:
    """Shares in q."""
    if stiffness is None:
        return shares
    stiff = shares * stiffness
    mixed: Float[np.ndarray, "runs rows"] = stiff / stiff.sum(axis=1, keepdims=True)
    return mixed


def powers(
    exponents: Float[np.ndarray, "4"], size: Float[np.ndarray, "runs 2"]
) -> tuple[Float[np.ndarray, "runs 2"], Float[np.ndarray, "runs"]]:
    """N^-alpha and D^-beta, and N^a D^b."""
    return np.exp(-exponents[:2] * size), np.exp(size @ exponents[2:])


def softmax(logits: Float[np.ndarray, "rows leaves"]) -> Float[np.ndarray, "rows leaves"]:
    """The distributions with these logits."""
    p: Float[np.ndarray, "rows leaves"] = np.exp(logits - logits.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    return p


class Objective:
    """The sum of squares, with the linear parameters solved for, and its gradient."""

    def __init__(self, data: Data, shape: Shape, prior: Float[np.ndarray, "4"] = PRIOR) -> None:
        self.data, self.shape, self.prior = data, shape, prior
        self.n = data.shares.shape[1]
        self.n_logits = self.n * shape.n_leaves
        self.stiff = shape.scales == "stiffness"
        self.joint = data.size is not None

    def start(self, rng: np.random.Generator) -> Float[np.ndarray, "parameters"]:
        """Random leaves, a medium stiffness, and the prior means of the exponents.

        A task is pulled to the leaves whose code lengths correlate with its loss. Where they are
        anticorrelated its scale would be 0, and at scale 0 there is no gradient to leave that point.
        """
        logits = rng.standard_normal((self.n, self.shape.n_leaves))
        d = self.data
        lengths = -np.log(np.maximum(d.shares @ softmax(logits), _LEAST_MASS))
        for loss, row in enumerate(d.rows):
            if not d.shares[:, row].any():
                logits[row] += _DRAWN * _correlation(d.weight[:, loss], d.rates[:, loss], lengths)
        parts = [logits.ravel()]
        if self.stiff:
            parts.append(np.full(self.n, np.log(0.5)))
        if self.joint:
            parts.append(self.prior)
        return np.concatenate(parts)

    def parts(
        self, point: Float[np.ndarray, "parameters"]
    ) -> tuple[Float[np.ndarray, "rows leaves"], Float[np.ndarray, "_"], Float[np.ndarray, "_"]]:
        """Split a point into logits, log stiffness and exponents."""
        after = self.n_logits + (self.n if self.stiff else 0)
        return point[: self.n_logits].reshape(self.n, -1), point[self.n_logits : after], point[after:]

    def __call__(
        self, point: Float[np.ndarray, "parameters"]
    ) -> tuple[float, Float[np.ndarray, "parameters"]]:
        """Value and gradient."""
        d, smoothing = self.data, self.shape.smoothing
        logits, log_stiff, exponents = self.parts(point)
        p = softmax(logits)
        stiffness = np.exp(log_stiff) if self.stiff else None
        mixed = weighted(d.shares, stiffness)
        q = np.maximum(mixed @ p, _LEAST_MASS)
        logs, own = -np.log(q), p[d.rows]
        crossed = logs @ own.T
        falls, power = powers(exponents, d.size) if d.size is not None else (None, np.ones(len(q)))
        linear = self.solve(power[:, None] * crossed, falls, stiffness)

        fitted = linear[0] + (power[:, None] * crossed) * linear[-1]
        if falls is not None:
            fitted = fitted + falls[:, :1] * linear[1] + falls[:, 1:] * linear[2]
        residual = fitted - d.rates
        pulled = 2 * d.weight * residual
        value = 0.5 * float((pulled * residual).sum())

        to_crossed = pulled * linear[-1] * power[:, None]
        to_q = -(to_crossed @ own) / q
        to_p = mixed.T @ to_q
        # Every loss has its own leaves, so no row occurs twice.
        to_p[d.rows] += to_crossed.T @ logs
        to_logits = p * (to_p - (p * to_p).sum(axis=1, keepdims=True))
        value += smoothing * float((logits * logits).sum())
        gradient = [(to_logits + 2 * smoothing * logits).ravel()]
        if self.stiff:
            to_mixed = to_q @ p.T
            through = (mixed * (to_mixed - (mixed * to_mixed).sum(axis=1, keepdims=True))).sum(axis=0)
            through[d.rows] += (to_crossed * crossed).sum(axis=0)
            centred = log_stiff - log_stiff.mean()
            value += _STIFF * smoothing * float(centred @ centred)
            gradient.append(through + 2 * _STIFF * smoothing * centred)
        if d.size is not None and falls is not None:
            to_falls = np.column_stack([pulled @ linear[1], pulled @ linear[2]])
            to_power = (to_crossed * crossed).sum(axis=1)
            through = np.concatenate([-(to_falls * falls * d.size).sum(axis=0), to_power @ d.size])
            off = (exponents - self.prior) / PRIOR_WIDTH
            value += float(off @ off)
            gradient.append(through + 2 * off / PRIOR_WIDTH)
        return value, np.concatenate(gradient)

    def solve(
        self,
        crossed: Float[np.ndarray, "runs losses"],
        falls: Float[np.ndarray, "runs 2"] | None,
        stiffness: Float[np.ndarray, "rows"] | None,
    ) -> Float[np.ndarray, "terms losses"]:
        """Coefficients of least squares; scales and coefficients of decreasing terms are never negative."""
        d = self.data
        total = d.weight.sum(axis=0)
        columns = [d.rates, crossed]
        if falls is not None:
            columns += [np.broadcast_to(fall[:, None], crossed.shape) for fall in falls.T]
        means = np.stack([(d.weight * column).sum(axis=0) / total for column in columns])
        centred = np.stack(columns) - means[:, None]
        products = np.einsum("pal,qal->lpq", centred * d.weight, centred)
        given = None if stiffness is None else stiffness[d.rows]
        shared = self.shape.scales == "shared"
        if falls is None:
            scale = _scale(products[:, 1, 1], products[:, 0, 1], given, shared)
            return np.stack([means[0] - scale * means[1], scale])
        scale, first, second = _falling(products, given, shared)
        offset = means[0] - scale * means[1] - first * means[2] - second * means[3]
        return np.stack([offset, first, second, scale])

    def minimise(self, start: Float[np.ndarray, "parameters"], steps: int) -> Float[np.ndarray, "parameters"]:
        """The point at which L-BFGS ends."""
        from scipy.optimize import minimize

        options = {"maxiter": steps, "maxfun": 2 * steps, "maxcor": 20, "ftol": 1e-12, "gtol": 1e-8}
        minimiser: Any = minimize
        found: Float[np.ndarray, "parameters"] = minimiser(
            self, start, jac=True, method="L-BFGS-B", options=options
        ).x
        return found

    def fitted(self, point: Float[np.ndarray, "parameters"]) -> Fitted:
        """The law at a point."""
        d = self.data
        logits, log_stiff, exponents = self.parts(point)
        leaves = softmax(logits)
        stiffness = np.exp(log_stiff) if self.stiff else None
        q = np.maximum(weighted(d.shares, stiffness) @ leaves, _LEAST_MASS)
        crossed = -np.log(q) @ leaves[d.rows].T
        falls = None
        if d.size is not None:
            falls, power = powers(exponents, d.size)
            crossed = power[:, None] * crossed
        linear = self.solve(crossed, falls, stiffness)
        return Fitted(leaves, linear, stiffness, exponents if self.joint else None, self(point)[0], point)


def _correlation(
    weight: Float[np.ndarray, "runs"],
    rate: Float[np.ndarray, "runs"],
    lengths: Float[np.ndarray, "runs leaves"],
) -> Float[np.ndarray, "leaves"]:
    """Correlation of the rate with each leaf's code length; 0 where one of them is constant."""
    share = weight / weight.sum()
    rate, lengths = rate - share @ rate, lengths - share @ lengths
    size = np.sqrt((share @ rate**2) * (share @ lengths**2))
    found: Float[np.ndarray, "leaves"] = (share * rate) @ lengths
    found = np.divide(found, size, out=np.zeros_like(found), where=size > 0)
    return found


def _scale(
    square: Float[np.ndarray, "losses"],
    product: Float[np.ndarray, "losses"],
    given: Float[np.ndarray, "losses"] | None,
    shared: bool,
) -> Float[np.ndarray, "losses"]:
    """The scales of least squares, one per loss or one for all, unless given."""
    if given is not None:
        return given
    if shared:
        square, product = np.full_like(square, square.sum()), np.full_like(product, product.sum())
    quotient = np.divide(product, square, where=square > 0, out=np.zeros_like(square))
    scale: Float[np.ndarray, "losses"] = np.maximum(quotient, _LEAST_SCALE)
    return scale


def _falling(
    products: Float[np.ndarray, "losses 4 4"], given: Float[np.ndarray, "losses"] | None, shared: bool
) -> tuple[Float[np.ndarray, "losses"], Float[np.ndarray, "losses"], Float[np.ndarray, "losses"]]:
    """Scales and coefficients of the terms decreasing in N and D, for each choice of positive coefficients.

    `products` are inner products of the centred rates, cross-entropies, N^-alpha and D^-beta.
    """
    kept = np.ones((len(products), 2), dtype=bool)
    for _ in range(20):
        # The residuals of rates and cross-entropies after the kept terms give the scale.
        inverse = _inverse(products[:, 2:, 2:], kept)
        left = products[:, :2, :2] - products[:, :2, 2:] @ inverse @ products[:, 2:, :2]
        scale = _scale(left[:, 1, 1], left[:, 0, 1], given, shared)
        towards = products[:, 2:, 0] - scale[:, None] * products[:, 2:, 1]
        best, found = np.full(len(products), -np.inf), np.zeros((len(products), 2))
        for choice in ((True, True), (True, False), (False, True), (False, False)):
            some = np.broadcast_to(choice, kept.shape)
            tried = (_inverse(products[:, 2:, 2:], some) @ towards[:, :, None])[:, :, 0]
            gain = np.where((tried >= 0).all(axis=1), (tried * towards).sum(axis=1), -np.inf)
            better = gain > best
            best[better], found[better] = gain[better], tried[better]
        if np.array_equal(kept, found > 0):
            break
        kept = found > 0
    return scale, found[:, 0], found[:, 1]


def _inverse(
    square: Float[np.ndarray, "losses 2 2"], kept: Bool[np.ndarray, "losses 2"]
) -> Float[np.ndarray, "losses 2 2"]:
    """Inverse on the kept rows and columns, 0 elsewhere; 0 also for terms that are constant over the runs."""
    on = kept & (np.diagonal(square, axis1=1, axis2=2) > 0)
    wanted = square * (on[:, :, None] & on[:, None, :])
    inverse: Float[np.ndarray, "losses 2 2"] = np.linalg.pinv(wanted, rcond=1e-10, hermitian=True)
    return inverse


def fit(
    data: Data,
    shape: Shape,
    rng: np.random.Generator,
    starts: int = 1,
    steps: int = 1000,
    prior: Float[np.ndarray, "4"] = PRIOR,
    near: Float[np.ndarray, "parameters"] | None = None,
) -> Fitted:
    """The best of several starts, each first given a tenth of the steps; or a fit from a nearby point."""
    objective = Objective(data, shape, prior)
    if near is not None:
        return objective.fitted(objective.minimise(near, steps))
    begun = [objective.start(rng) for _ in range(starts)]
    if starts > 1:
        begun = [objective.minimise(point, max(1, steps // 10)) for point in begun]
    best = min(begun, key=lambda point: objective(point)[0]) if starts > 1 else begun[0]
    return objective.fitted(objective.minimise(best, steps))


def drawn_prior(rng: np.random.Generator) -> Float[np.ndarray, "4"]:
    """Equally plausible prior means for alpha and beta; runs determine the other two."""
    drawn: Float[np.ndarray, "4"] = PRIOR.copy()
    drawn[:2] += PRIOR_WIDTH[:2] * rng.standard_normal(2)
    return drawn


def folds(
    shares: Float[np.ndarray, "runs rows"], n: int, rng: np.random.Generator
) -> Int[np.ndarray, "runs"]:
    """Fold of every run; runs of one mixture share a fold, so that no mixture is both fitted and held out."""
    _, mixture = np.unique(shares, axis=0, return_inverse=True)
    mixture = mixture.ravel()
    kinds = int(mixture.max()) + 1
    place = np.arange(kinds) % min(n, kinds)
    rng.shuffle(place)
    return place[mixture]


def left_out_error(
    data: Data, shape: Shape, fold: Int[np.ndarray, "runs"], seed: int, steps: int
) -> Float[np.ndarray, "folds"]:
    """Mean squared error on each fold of a law fitted to the others, in units of the weights."""
    errors = []
    for out in range(int(fold.max()) + 1):
        on, off = np.flatnonzero(fold != out), np.flatnonzero(fold == out)
        fitted = fit(data.some(on), shape, np.random.default_rng(seed), 1, steps)
        test = data.some(off)
        wrong = fitted.rates(test.shares, data.rows, test.size) - test.rates
        counted = test.weight > 0
        errors.append(float((test.weight * wrong * wrong)[counted].mean()) if counted.any() else 0.0)
    return np.array(errors)
