r"""Published mixing laws with the interface of `MixingLaw`, and a comparison of laws.

All but the capacity law state, separately for each loss,

    gamma_i = c_i + k_i f_i(w),

with shares w and a function f_i that differs between the laws. For given f_i the rest is linear, so it is
solved for at every step (variable projection), and SciPy's Levenberg-Marquardt method fits the parameters of
f_i, with analytic derivatives, starting from a linear fit and from points around it. As in `MixingLaw`,
errors are in units of each loss's standard deviation over the runs, and a smoothing multiplies the sum of
squares of the parameters of f_i, so that they stay finite when runs are few.

If runs differ in model size and tokens, A_i N^-alpha_i + B_i D^-beta_i is added, as in the joint law of
Shukor et al. (2025) for the additive law, with the prior of `MixingLaw` on the exponents.
"""

import time
from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, TypeVar

import numpy as np
from jaxtyping import Bool, Float, Int

from .._lib import checks, display
from .._lib.checks import Numbers
from .._lib.results import Result, few
from ..mixtures import BestSizes
from . import fitting
from .fitting import Data
from .law import _data
from .runs import TrainingRuns, checked_runs
from .scores import Law, LawScore, in_order, score, scored, shares_of, size_of

_Law = TypeVar("_Law", bound="_LossByLoss")

_STEPS = 100
"""Largest number of function evaluations per start."""

_LARGEST = 60.0
"""Largest exponent: e to this power exceeds any loss, without overflow."""


@dataclass(frozen=True, eq=False, repr=False)
class _Fitted(Result):
    """Base class of laws fitted to runs."""

    names: tuple[str, ...]
    tasks: tuple[str, ...]
    rows: Int[np.ndarray, "losses"]

    @property
    def losses(self) -> tuple[str, ...]:
        """The measured losses, in the order in which `predict` returns them."""
        every = (*self.names, *self.tasks)
        return tuple(every[row] for row in self.rows)

    def predict(
        self,
        sizes: Annotated[Numbers, "*runs datasets"] | Mapping[str, float] | BestSizes,
        *,
        parameters: float | Annotated[Numbers, "runs"] | None = None,
        tokens: float | Annotated[Numbers, "runs"] | None = None,
    ) -> Float[np.ndarray, "*runs losses"]:
        """Rates of a model trained on the given sizes, in nats; NaN where the law is undefined.

        Parameters, errors and shapes are those of `MixingLaw.predict`.
        """
        shares, single = shares_of(sizes, self.names)
        rates = self._rates(shares, parameters, tokens)
        return rates[0] if single else rates

    def score(self, runs: TrainingRuns) -> LawScore:
        """How well the law predicts runs, over the rates that it can predict; see `MixingLaw.score`."""
        return score(self, runs)

    @abstractmethod
    def _rates(
        self, shares: Float[np.ndarray, "runs datasets"], parameters: Any, tokens: Any
    ) -> Float[np.ndarray, "runs losses"]: ...

    def __repr__(self) -> str:
        tasks = f", tasks: {few(self.tasks)}" if self.tasks else ""
        datasets = f"{len(self.names)} datasets ({few(self.names)})"
        return f"{type(self).__name__}({datasets}, {len(self.losses)} losses{tasks})"


@dataclass(frozen=True, eq=False, repr=False)
class _LossByLoss(_Fitted):
    """Laws of the form c_i + k_i f_i(w), fitted to each loss separately.

    Attributes
    ----------
    names, tasks : tuples of str
    rows : int array, shape (L,)
        Index of each loss among the datasets and tasks.
    shape : float array, shape (L, P)
        Parameters of f_i; in the joint law followed by alpha_i and beta_i.
    linear : float array, shape (L, K)
        c_i and k_i; in the joint law followed by A_i and B_i.
    reference : float array, shape (2,), or None
        In the joint law, the logarithms of N and D relative to which those of a run are taken.
    """

    shape: Float[np.ndarray, "losses P"]
    linear: Float[np.ndarray, "losses K"]
    reference: Float[np.ndarray, "2"] | None = None

    joint: ClassVar[bool] = True
    gentle: ClassVar[float] = 1e-3
    """The default smoothing: the best for this law on the runs of RegMix."""

    @classmethod
    def fit(
        cls: type[_Law], runs: TrainingRuns, *, seed: int = 0, starts: int = 2, smoothing: float | None = None
    ) -> _Law:
        """Fit the law to runs by least squares.

        Parameters
        ----------
        runs : TrainingRuns
        seed : int
            Seed of the starts. The same seed gives the same law.
        starts : int
            Number of starting points per loss; the best result is kept.
        smoothing : float, optional
            Multiple of the sum of squares of the parameters of f_i that is added to the squared errors, in
            units of the loss's variance. Default: `gentle`.

        Raises
        ------
        ValueError
            If an argument is out of range, no loss was measured, or runs differ in model size or tokens and
            the law depends on neither.
        """
        smoothing = cls.gentle if smoothing is None else smoothing
        data, reference = _fitting_data(runs, cls, smoothing)
        starts = checks.integer("starts", starts, 1)
        n = runs.n_datasets
        rng = np.random.default_rng(seed)
        found = [_best(_Projection(cls, data, n, at, smoothing), rng, starts) for at in range(len(data.rows))]
        shape, linear = (np.array(part) for part in zip(*found, strict=True))
        return cls(runs.names, runs.tasks, data.rows, shape, linear, reference)

    def _rates(
        self, shares: Float[np.ndarray, "runs datasets"], parameters: Any, tokens: Any
    ) -> Float[np.ndarray, "runs losses"]:
        size = size_of(parameters, tokens, len(shares), self.reference)
        rates = np.full((len(shares), len(self.rows)), np.nan)
        for i, (row, shape, linear) in enumerate(zip(self.rows, self.shape, self.linear, strict=True)):
            on = self._known(shares, int(row))
            if on.any():
                some = None if size is None else size[on]
                rates[on, i] = _columns(type(self), shape, shares[on], int(row), some)[0] @ linear
        return rates

    @classmethod
    def _known(cls, shares: Float[np.ndarray, "runs datasets"], row: int) -> Bool[np.ndarray, "runs"]:
        """Runs in which the law is defined for that loss."""
        return np.ones(len(shares), dtype=bool)

    @classmethod
    def _fixed(cls, shares: Float[np.ndarray, "runs datasets"]) -> Float[np.ndarray, "runs fixed"]:
        """Columns that are linear and have no shape parameters."""
        return np.ones((len(shares), 1))

    @classmethod
    @abstractmethod
    def _centre(cls, n: int) -> Float[np.ndarray, "P"]:
        """The shape towards which smoothing pulls."""

    @classmethod
    def _stiffness(cls, n: int) -> Float[np.ndarray, "P"]:
        """Relative strength of the pull on each shape parameter."""
        return np.ones(len(cls._centre(n)))

    @classmethod
    def _told(cls, slant: Float[np.ndarray, "datasets"]) -> Float[np.ndarray, "some"]:
        """Starting point from a linear fit: the more a dataset helps, the larger its weight."""
        return -slant

    @classmethod
    @abstractmethod
    def _answer(
        cls, shape: Float[np.ndarray, "P"], shares: Float[np.ndarray, "runs datasets"], row: int
    ) -> tuple[Float[np.ndarray, "runs functions"], Float[np.ndarray, "runs P"]]:
        """The function as a column, and its derivatives with respect to the shape."""


class LinearLaw(_LossByLoss):
    """gamma_i = sum_j t_ij w_j: the simplest law, fitted by least squares in one step.

    Attributes
    ----------
    linear : float array, shape (L, N)
        t_ij.

    Examples
    --------
    >>> runs = TrainingRuns([[1, 0], [1, 1], [0, 1]], [[1, 3], [1.5, 2.5], [2, 2]])
    >>> LinearLaw.fit(runs).predict([1, 3]).round(3)
    array([1.75, 2.25])
    """

    @classmethod
    def _fixed(cls, shares: Float[np.ndarray, "runs datasets"]) -> Float[np.ndarray, "runs fixed"]:
        return shares

    @classmethod
    def _centre(cls, n: int) -> Float[np.ndarray, "P"]:
        return np.zeros(0)

    @classmethod
    def _told(cls, slant: Float[np.ndarray, "datasets"]) -> Float[np.ndarray, "some"]:
        return slant[:0]

    @classmethod
    def _answer(
        cls, shape: Float[np.ndarray, "P"], shares: Float[np.ndarray, "runs datasets"], row: int
    ) -> tuple[Float[np.ndarray, "runs functions"], Float[np.ndarray, "runs P"]]:
        return np.zeros((len(shares), 0)), np.zeros((len(shares), 0))


class ExponentialLaw(_LossByLoss):
    """gamma_i = c_i + k_i exp(sum_j t_ij w_j): Data Mixing Laws (Ye et al., ICLR 2025).

    Attributes
    ----------
    shape : float array, shape (L, N)
        t_ij.
    linear : float array, shape (L, 2)
        c_i and k_i.

    Examples
    --------
    >>> shares = np.linspace([1, 0], [0, 1], 5)
    >>> law = ExponentialLaw.fit(TrainingRuns(shares, 2 + np.exp(-shares)), smoothing=1e-8)
    >>> law
    ExponentialLaw(2 datasets (D1, D2), 2 losses)
    >>> bool(abs(law.predict([0.3, 0.7]) - 2 - np.exp([-0.3, -0.7])).max() < 1e-4)
    True
    """

    @classmethod
    def _centre(cls, n: int) -> Float[np.ndarray, "P"]:
        return np.zeros(n)

    @classmethod
    def _told(cls, slant: Float[np.ndarray, "datasets"]) -> Float[np.ndarray, "some"]:
        return slant

    @classmethod
    def _answer(
        cls, shape: Float[np.ndarray, "P"], shares: Float[np.ndarray, "runs datasets"], row: int
    ) -> tuple[Float[np.ndarray, "runs functions"], Float[np.ndarray, "runs P"]]:
        value = _exp(shares @ shape)[:, None]
        return value, value * shares


class AdditiveLaw(_LossByLoss):
    """gamma_i = E_i + 1 / sum_j C_ij w_j^g_ij: Scaling Laws for Optimal Data Mixtures (Shukor et al., 2025).

    If runs differ in model size and tokens, A_i N^-alpha_i + B_i D^-beta_i is added: their joint law.

    Attributes
    ----------
    shape : float array, shape (L, 2 N)
        log k_i C_ij, then log g_ij.
    linear : float array, shape (L, 2)
        E_i and k_i.
    """

    gentle: ClassVar[float] = 1e-1

    @classmethod
    def _centre(cls, n: int) -> Float[np.ndarray, "P"]:
        return np.concatenate([np.zeros(n), np.full(n, np.log(0.5))])

    @classmethod
    def _answer(
        cls, shape: Float[np.ndarray, "P"], shares: Float[np.ndarray, "runs datasets"], row: int
    ) -> tuple[Float[np.ndarray, "runs functions"], Float[np.ndarray, "runs P"]]:
        n = shares.shape[1]
        logs = np.log(shares, where=shares > 0, out=np.zeros_like(shares))
        power = _exp(shape[n:])
        terms = np.where(shares > 0, _exp(shape[:n] + power * logs), 0.0)
        value = 1 / np.maximum(terms.sum(axis=1, keepdims=True), 1e-25)
        slopes = -value * value * terms
        return value, np.hstack([slopes, slopes * power * logs])


class LogLaw(_LossByLoss):
    """gamma_i = c_i - a_i log sum_j b_ij w_j: one logarithm for every loss.

    Attributes
    ----------
    shape : float array, shape (L, N)
        log b_ij.
    linear : float array, shape (L, 2)
        c_i and a_i.
    """

    @classmethod
    def _centre(cls, n: int) -> Float[np.ndarray, "P"]:
        return np.zeros(n)

    @classmethod
    def _answer(
        cls, shape: Float[np.ndarray, "P"], shares: Float[np.ndarray, "runs datasets"], row: int
    ) -> tuple[Float[np.ndarray, "runs functions"], Float[np.ndarray, "runs P"]]:
        terms = shares * _exp(shape)
        mixed = terms.sum(axis=1, keepdims=True)
        return -np.log(mixed), -terms / mixed


class PowerLaw(_LossByLoss):
    """gamma_i = c_i + k_i (sum_j b_ij w_j)^-a_i: one power for every loss.

    Attributes
    ----------
    shape : float array, shape (L, N + 1)
        log b_ij, then log a_i.
    linear : float array, shape (L, 2)
        c_i and k_i.
    """

    gentle: ClassVar[float] = 1e-2

    @classmethod
    def _centre(cls, n: int) -> Float[np.ndarray, "P"]:
        return np.append(np.zeros(n), np.log(0.1))

    @classmethod
    def _stiffness(cls, n: int) -> Float[np.ndarray, "P"]:
        # A large power diverges where there are few runs; a small one approaches a logarithm.
        return np.append(np.ones(n), 10.0)

    @classmethod
    def _answer(
        cls, shape: Float[np.ndarray, "P"], shares: Float[np.ndarray, "runs datasets"], row: int
    ) -> tuple[Float[np.ndarray, "runs functions"], Float[np.ndarray, "runs P"]]:
        terms, power = shares * _exp(shape[:-1]), _exp(shape[-1:])
        mixed = terms.sum(axis=1, keepdims=True)
        value = _exp(-power * np.log(mixed))
        return value, np.hstack([-power * value * terms / mixed, -power * np.log(mixed) * value])


class BiMixLaw(_LossByLoss):
    """gamma_i = C_i + A_i w_i^-alpha_i: BiMix (Ge et al., 2024) at one number of tokens.

    Only the dataset's own share enters. Where it is 0 the law is undefined: such runs are left out of the fit
    of that loss, and `predict` gives NaN, as it does for tasks, which have no share.

    Attributes
    ----------
    shape : float array, shape (L, 1)
        log alpha_i.
    linear : float array, shape (L, 2)
        C_i and A_i; NaN if no run had data of that dataset.
    """

    joint: ClassVar[bool] = False

    @classmethod
    def _known(cls, shares: Float[np.ndarray, "runs datasets"], row: int) -> Bool[np.ndarray, "runs"]:
        return shares[:, row] > 0 if row < shares.shape[1] else np.zeros(len(shares), dtype=bool)

    @classmethod
    def _centre(cls, n: int) -> Float[np.ndarray, "P"]:
        return np.log([0.3])

    @classmethod
    def _told(cls, slant: Float[np.ndarray, "datasets"]) -> Float[np.ndarray, "some"]:
        return slant[:0]

    @classmethod
    def _answer(
        cls, shape: Float[np.ndarray, "P"], shares: Float[np.ndarray, "runs datasets"], row: int
    ) -> tuple[Float[np.ndarray, "runs functions"], Float[np.ndarray, "runs P"]]:
        power, logs = _exp(shape), np.log(shares[:, row, None])
        value = _exp(-power * logs)
        return value, -power * logs * value


@dataclass(frozen=True, eq=False, repr=False)
class CapacityLaw(_Fitted):
    r"""Shared capacity and noise: Dai and Zheng (ICML 2026), at one model size and number of tokens.

    gamma_i = E_i + c_i x_i^-b_i + A_i w_i^-a_i, where the shares x of the capacity minimise sum_j w_j c_j
    x_j^-b_j subject to sum_j x_j = 1. So x_j is (w_j b_j c_j / mu)^(1 / (b_j + 1)) with a common multiplier
    mu, found by Newton's method. All losses are fitted together, because they share x.

    A dataset without data has no capacity and its loss is unbounded: such rates are left out of the fit, and
    `predict` gives NaN for them, as it does for tasks, which have no share.

    Attributes
    ----------
    offset : float array, shape (L,)
        E_i; NaN where the law is undefined.
    capacity : float array, shape (2, N)
        log c_j and log b_j, also for datasets whose loss was never measured.
    noise : float array, shape (2, L)
        log A_i and log a_i.
    """

    offset: Float[np.ndarray, "losses"]
    capacity: Float[np.ndarray, "2 datasets"]
    noise: Float[np.ndarray, "2 losses"]

    @staticmethod
    def fit(runs: TrainingRuns, *, seed: int = 0, starts: int = 2, smoothing: float = 1e-3) -> "CapacityLaw":
        """Fit the law to runs by least squares, all losses together.

        Parameters and errors are those of the other laws; smoothing acts on the logarithms, around c = 1, b =
        a = 1/3 and A = 1/10.

        Returns
        -------
        CapacityLaw
        """
        from scipy.optimize import least_squares

        data, _ = _fitting_data(runs, CapacityLaw, smoothing)
        starts = checks.integer("starts", starts, 1)
        n, n_losses = runs.n_datasets, len(data.rows)
        own = np.where(data.rows < n, data.rows, 0)
        shares = data.shares[:, :n]
        weight = np.where((data.rows < n) & (shares[:, own] > 0), data.weight, 0.0)
        reached = (weight > 0).any(axis=0)
        root = np.sqrt(weight)
        counts = np.maximum(weight.sum(axis=0), 1e-300)
        centre = np.repeat([0.0, np.log(1 / 3), np.log(0.1), np.log(1 / 3)], [n, n, n_losses, n_losses])
        pull = np.sqrt(smoothing)

        # The offset is linear: subtracting weighted means from rates and fitted values solves for it.
        def centred(values: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
            w = weight.reshape(weight.shape + (1,) * (values.ndim - 2))
            mean = (w * values).sum(axis=0) / counts.reshape((-1,) + (1,) * (values.ndim - 2))
            left: Float[np.ndarray, "..."] = (values - mean) * np.sqrt(w)
            return left

        def residual(point: Float[np.ndarray, "P"]) -> Float[np.ndarray, "residuals"]:
            wrong = centred(_capacity(point, shares, own)[0] - data.rates)
            return np.concatenate([wrong.ravel(), pull * (point - centre)])

        def slopes(point: Float[np.ndarray, "P"]) -> Float[np.ndarray, "residuals P"]:
            moved = centred(_capacity(point, shares, own)[1]).reshape(root.size, -1)
            return np.vstack([moved, pull * np.eye(len(point))])

        rng = np.random.default_rng(seed)
        ends: list[Any] = []
        for start in range(starts):
            begun = centre + (0.3 * rng.standard_normal(len(centre)) if start else 0)
            found: Any = least_squares(residual, begun, slopes, max_nfev=_STEPS, ftol=1e-7, xtol=1e-7)
            ends.append(found)
        point = min(ends, key=lambda end: float(end.cost)).x
        offset = (weight * (data.rates - _capacity(point, shares, own)[0])).sum(axis=0) / counts
        return CapacityLaw(
            runs.names,
            runs.tasks,
            data.rows,
            np.where(reached, offset, np.nan),
            point[: 2 * n].reshape(2, n),
            point[2 * n :].reshape(2, n_losses),
        )

    def _rates(
        self, shares: Float[np.ndarray, "runs datasets"], parameters: Any, tokens: Any
    ) -> Float[np.ndarray, "runs losses"]:
        n = len(self.names)
        own = np.where(self.rows < n, self.rows, 0)
        point = np.concatenate([self.capacity.ravel(), self.noise.ravel()])
        known = (self.rows < n) & (shares[:, own] > 0)
        rates: Float[np.ndarray, "runs losses"] = np.where(
            known, self.offset + _capacity(point, shares, own)[0], np.nan
        )
        return rates


def _capacity(
    point: Float[np.ndarray, "P"], shares: Float[np.ndarray, "runs datasets"], own: Int[np.ndarray, "losses"]
) -> tuple[Float[np.ndarray, "runs losses"], Float[np.ndarray, "runs losses P"]]:
    """c_i x_i^-b_i + A_i w_i^-a_i and its derivatives; values without a share are arbitrary."""
    (n_runs, n), n_losses = shares.shape, len(own)
    point = np.clip(point, -20, 20)
    log_c, log_b = point[: 2 * n].reshape(2, n)
    log_a, log_power = point[2 * n :].reshape(2, n_losses)
    b, power = np.exp(log_b), np.exp(log_power)
    logs = np.log(shares, where=shares > 0, out=np.full_like(shares, -np.inf))
    u = logs + log_c + log_b
    # The multiplier at which the capacities sum to 1: Newton's method on a convex function, from its left.
    multiplier = (u - np.where(shares > 0, 0.0, np.inf)).max(axis=1, keepdims=True)
    for _ in range(50):
        x = np.exp((u - multiplier) / (b + 1))
        total, stiff = x.sum(axis=1, keepdims=True), (x / (b + 1)).sum(axis=1, keepdims=True)
        step = np.log(total) * total / stiff
        multiplier = multiplier + step
        if np.abs(step).max() < 1e-13:
            break
    log_x = np.where(shares > 0, (u - multiplier) / (b + 1), 0.0)
    x = np.where(shares > 0, np.exp(log_x), 0.0)
    stiff = (x / (b + 1)).sum(axis=1, keepdims=True)
    # Derivatives of log x in log c and log b at a fixed multiplier, and through the multiplier.
    direct = np.stack([np.broadcast_to(1 / (b + 1), x.shape), 1 / (b + 1) - log_x * b / (b + 1)], axis=1)
    through = x[:, None] * direct / stiff[:, :, None]

    bound = _exp((log_c - b * log_x)[:, own])
    noise = _exp(log_a - power * np.where(shares > 0, logs, 0.0)[:, own])
    slopes = np.zeros((n_runs, n_losses, len(point)))
    b_own = b[own]
    at = np.arange(n_losses)
    slopes[:, :, : 2 * n] = (b_own / (b_own + 1))[:, None] * through.reshape(n_runs, 1, 2 * n)
    slopes[:, at, own] += 1 - b_own * direct[:, 0, own]
    slopes[:, at, n + own] += -b_own * log_x[:, own] - b_own * direct[:, 1, own]
    slopes[:, :, : 2 * n] *= bound[:, :, None]
    slopes[:, at, 2 * n + at] = noise
    slopes[:, at, 2 * n + n_losses + at] = -noise * power * np.where(shares > 0, logs, 0.0)[:, own]
    return bound + noise, slopes


def _exp(exponent: Float[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
    value: Float[np.ndarray, "*shape"] = np.exp(np.clip(exponent, -_LARGEST, _LARGEST))
    return value


def _fitting_data(
    runs: TrainingRuns, law: type, smoothing: float
) -> tuple[Data, Float[np.ndarray, "2"] | None]:
    """The runs prepared for fitting, if the law can be fitted to them."""
    checked_runs(runs)
    if not runs.measured.any():
        raise ValueError("runs has no measured loss: at least one rate must be a number")
    if not (checks.is_number(smoothing) and 0 < smoothing < np.inf):
        raise ValueError(f"smoothing = {smoothing!r}: must be finite and > 0")
    data, reference = _data(runs, None)
    if reference is not None and not getattr(law, "joint", False):
        raise ValueError(f"runs differ in parameters or tokens: {law.__name__} must be fitted at one of each")
    return data, reference


def _columns(
    law: type[_LossByLoss],
    point: Float[np.ndarray, "P"],
    shares: Float[np.ndarray, "runs datasets"],
    row: int,
    size: Float[np.ndarray, "runs 2"] | None,
) -> tuple[Float[np.ndarray, "runs K"], Float[np.ndarray, "runs P"]]:
    """The linear columns of the law, and the derivatives of the nonlinear ones at the point."""
    fixed = law._fixed(shares)
    if size is None:
        value, slopes = law._answer(point, shares, row)
        return np.hstack([fixed, value]), slopes
    value, slopes = law._answer(point[:-2], shares, row)
    falls = np.exp(-point[-2:] * size)
    return np.hstack([fixed, value, falls]), np.hstack([slopes, -size * falls])


class _Projection:
    """Residuals of one loss with the linear part solved for, and Kaufman's derivatives of them."""

    def __init__(self, law: type[_LossByLoss], data: Data, n: int, at: int, smoothing: float) -> None:
        self.law, self.row = law, int(data.rows[at])
        self.n_functions = law._answer(law._centre(n), np.ones((1, n)) / n, 0)[0].shape[1]
        shares = data.shares[:, :n]
        on = (data.weight[:, at] > 0) & law._known(shares, self.row)
        self.shares, self.rates = shares[on], data.rates[on, at]
        self.root = np.sqrt(data.weight[on, at])
        self.size = None if data.size is None else data.size[on]
        self.centre = law._centre(n)
        self.n_curved = len(self.centre)
        self.pull = np.sqrt(smoothing) * law._stiffness(n)
        if self.size is not None:
            self.centre = np.append(self.centre, fitting.PRIOR[:2])
            self.pull = np.append(self.pull, 1 / fitting.PRIOR_WIDTH[:2])

    def slant(self) -> Float[np.ndarray, "datasets"]:
        """Coefficients of the shares in a linear law of the loss, in units of their spread over datasets."""
        shares, y = self.shares - self.shares.mean(axis=0), self.rates - self.rates.mean()
        n = shares.shape[1]
        t: Float[np.ndarray, "datasets"] = np.linalg.solve(
            shares.T @ shares + 1e-2 * len(y) / n**2 * np.eye(n), shares.T @ y
        )
        slant: Float[np.ndarray, "datasets"] = (t - t.mean()) / (t.std() or 1.0)
        return slant

    def solved(
        self, point: Float[np.ndarray, "P"]
    ) -> tuple[Float[np.ndarray, "K"], Float[np.ndarray, "runs rank"], Float[np.ndarray, "runs P"]]:
        """The linear part, its column space, and the derivatives."""
        columns, slopes = _columns(self.law, point, self.shares, self.row, self.size)
        u, s, v = np.linalg.svd(self.root[:, None] * columns, full_matrices=False)
        rank = int((s > 1e-10 * s[0]).sum())
        u = u[:, :rank]
        linear: Float[np.ndarray, "K"] = v[:rank].T @ ((u.T @ (self.root * self.rates)) / s[:rank])
        return linear, u, slopes * self.root[:, None]

    def residual(self, point: Float[np.ndarray, "P"]) -> Float[np.ndarray, "residuals"]:
        """Residuals of the rates, then the pull to the centre."""
        _, u, _ = self.solved(point)
        y = self.root * self.rates
        left: Float[np.ndarray, "residuals"] = np.concatenate(
            [u @ (u.T @ y) - y, self.pull * (point - self.centre)]
        )
        return left

    def slopes(self, point: Float[np.ndarray, "P"]) -> Float[np.ndarray, "residuals P"]:
        """Derivatives of the residuals, without the term along them that Kaufman (1975) omits."""
        linear, u, moved = self.solved(point)
        after = 0 if self.size is None else 2
        curved = np.repeat(
            linear[len(linear) - after - self.n_functions : len(linear) - after],
            len(point) - after,
        )
        moved = moved * np.concatenate([curved, linear[len(linear) - after :]])
        return np.vstack([moved - u @ (u.T @ moved), np.diag(self.pull)])


def _best(
    problem: _Projection, rng: np.random.Generator, starts: int
) -> tuple[Float[np.ndarray, "P"], Float[np.ndarray, "K"]]:
    """Shape and linear part of the best of several starts."""
    from scipy.optimize import least_squares

    if not problem.rates.size:
        return problem.centre, np.full(2, np.nan)
    told = problem.law._told(problem.slant())
    begun = np.tile(problem.centre, (starts, 1))
    begun[:, : problem.n_curved] += 0.5 * rng.standard_normal((starts, problem.n_curved))
    begun[:, : len(told)] += told
    ends = []
    for start in begun if problem.centre.size else ():
        found: Any = least_squares(
            problem.residual, start, problem.slopes, method="lm", max_nfev=_STEPS, ftol=1e-7, xtol=1e-7
        )
        ends.append((float(found.cost), found.x))
    shape = min(ends, key=lambda end: end[0])[1] if ends else problem.centre
    return shape, problem.solved(shape)[0]


# Comparison


@dataclass(frozen=True, eq=False, repr=False)
class Comparison(Result):
    """How well laws predict held-out mixtures. Made by `compare`; means over the losses.

    Attributes
    ----------
    laws : tuple of str
    r2, spearman, relative_error : float arrays, shape (laws,)
        As in `LawScore`, over all runs, each predicted by a law that was fitted without its mixture.
    predicted : float array, shape (laws,)
        Share of the measured rates that the law can predict; the rest does not count against it.
    seconds : float array, shape (laws,)
        Mean time of one fit.
    """

    laws: tuple[str, ...]
    r2: Float[np.ndarray, "laws"]
    spearman: Float[np.ndarray, "laws"]
    relative_error: Float[np.ndarray, "laws"]
    predicted: Float[np.ndarray, "laws"]
    seconds: Float[np.ndarray, "laws"]

    def __repr__(self) -> str:
        wide = max(map(len, ("law", *self.laws)))
        lines = [f"{'law':{wide}}       R2  Spearman  rel. error  predicted  seconds"]
        lines += [
            f"{name:{wide}}  {r2:7.4f}  {rank:8.4f}  {off:10.2%}  {known:9.1%}  {taken:7.2f}"
            for name, r2, rank, off, known, taken in self._rows()
        ]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        rows = self._rows()
        header = ("law", "R2", "Spearman", "relative error", "predicted", "seconds")
        return display.table(header, len(rows), rows.__getitem__, "Mixtures left out")

    def _rows(self) -> list[tuple[Any, ...]]:
        columns = (self.r2, self.spearman, self.relative_error, self.predicted, self.seconds)
        return list(zip(self.laws, *(column.tolist() for column in columns), strict=True))

    def _columns(self) -> tuple[Mapping[str, Any], *tuple[str, ...]]:
        columns, *_ = super()._columns()
        return {"law": columns["laws"], **{k: v for k, v in columns.items() if k != "laws"}}, "law"


def compare(
    laws: Mapping[str, Callable[[TrainingRuns], Law] | type],
    runs: TrainingRuns,
    *,
    folds: int = 5,
    seed: int = 0,
) -> Comparison:
    """Cross-validate laws: fit them to runs with some mixtures held out, and predict those.

    Parameters
    ----------
    laws : mapping
        From names to classes with a method `fit`, or to callables that fit a law to runs.
    runs : TrainingRuns
        Runs on at least two mixtures.
    folds : int
        Number of folds, held out in turn; all runs of one mixture are in the same fold.
    seed : int
        Seed of the folds, and of the fits of classes.

    Returns
    -------
    Comparison

    Raises
    ------
    ValueError
        If there are no laws or only one mixture, or a law cannot be fitted.
    TypeError
        If `laws` is no mapping of names to classes or functions, or `runs` are not `TrainingRuns`.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> sizes = rng.dirichlet(np.ones(3), size=30)
    >>> runs = TrainingRuns(sizes, 2 - np.log(sizes @ rng.dirichlet(np.ones(3), size=3)))
    >>> found = compare({"linear": LinearLaw, "log": LogLaw}, runs)
    >>> bool(found.r2[1] > 0.999 > found.r2[0])
    True
    """
    rule = "as {'linear': LinearLaw, 'tree': lambda runs: MixingLaw.fit(runs, n_leaves=20)}"
    if not isinstance(laws, Mapping):
        raise TypeError(f"laws is a {type(laws).__name__}: must map names to laws, {rule}")
    for name, law in laws.items():
        if not callable(law):
            kind = f"laws[{name!r}] is a {type(law).__name__}"
            raise TypeError(f"{kind}: must be a class or a function that fits a law to runs, {rule}")
    if not laws:
        raise ValueError("laws is empty: must name at least one law")
    checked_runs(runs)
    fold = fitting.folds(runs.weights, checks.integer("folds", folds, 2), np.random.default_rng(seed))
    if not fold.any():
        raise ValueError("runs has one mixture: must have at least two, so that one can be left out")
    found = []
    for law in laws.values():
        predicted, seconds = np.full_like(runs.rates, np.nan), []
        for out in range(int(fold.max()) + 1):
            begun = time.perf_counter()
            fitted = _fit(law, runs.subset(fold != out), seed)
            seconds.append(time.perf_counter() - begun)
            asked = in_order(runs.subset(fold == out), fitted.names)
            answer = fitted.predict(asked.sizes, parameters=asked.parameters, tokens=asked.tokens)
            columns = [runs.losses.index(loss) for loss in fitted.losses]
            predicted[np.ix_(fold == out, columns)] = answer
        measured = np.isfinite(runs.rates)
        each = scored(runs.losses, predicted, runs.rates)
        means = [_mean(values) for values in (each.r2, each.spearman, each.relative_error)]
        found.append([*means, float(np.isfinite(predicted)[measured].mean()), float(np.mean(seconds))])
    return Comparison(tuple(laws), *np.array(found).T)


def _fit(law: Any, runs: TrainingRuns, seed: int) -> Law:
    fitted: Law = law.fit(runs, seed=seed) if hasattr(law, "fit") else law(runs)
    return fitted


def _mean(values: Float[np.ndarray, "losses"]) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if known.size else np.nan
