"""Common parts of mixing laws: reading sizes, and scoring predictions of runs."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float

from .._lib import checks
from .._lib.results import Result
from ..mixtures import BestSizes
from .runs import TrainingRuns, checked_runs


@runtime_checkable
class Law(Protocol):
    """The interface of a mixing law: predicted losses after training on any mixture.

    `MixingLaw` and the published laws have it, so `compare` takes any of them, or your own.
    """

    @property
    def names(self) -> tuple[str, ...]:
        """The datasets."""

    @property
    def losses(self) -> tuple[str, ...]:
        """The losses that the law predicts, in the order of `predict`."""

    def predict(
        self, sizes: Any, *, parameters: Any = None, tokens: Any = None
    ) -> Float[np.ndarray, "*runs losses"]:
        """Rates in nats of models trained on the given sizes; NaN where the law is undefined."""

    def score(self, runs: TrainingRuns) -> "LawScore":
        """How well the law predicts runs."""


@dataclass(frozen=True, eq=False, repr=False)
class LawScore(Result):
    """How well a law predicts runs, for each loss. Made by `MixingLaw.score`.

    Attributes
    ----------
    losses : tuple of str
    r2 : float array, shape (L,)
        Share of the variance over the runs that is explained; negative where the mean would predict better.
    spearman : float array, shape (L,)
        Rank correlation of predicted and measured rates.
    relative_error : float array, shape (L,)
        Mean of ``abs(predicted / measured - 1)``.
    """

    losses: tuple[str, ...]
    r2: Float[np.ndarray, "losses"]
    spearman: Float[np.ndarray, "losses"]
    relative_error: Float[np.ndarray, "losses"]

    def __repr__(self) -> str:
        r2, rank, off = (np.nanmean(x) for x in (self.r2, self.spearman, self.relative_error))
        return (
            f"LawScore({len(self.losses)} losses; means: R2 {r2:.4f}, Spearman {rank:.4f}, "
            f"relative error {off:.2%})"
        )

    def _columns(self) -> tuple[Mapping[str, Any], *tuple[str, ...]]:
        columns = {name: getattr(self, name) for name in ("r2", "spearman", "relative_error")}
        return {"loss": self.losses, **columns}, "loss"


def score(law: Law, runs: TrainingRuns) -> LawScore:
    """How well the law predicts runs; losses that it does not know are ignored."""
    runs = in_order(runs, law.names)
    predicted = law.predict(runs.sizes, parameters=runs.parameters, tokens=runs.tokens)
    measured = np.full_like(predicted, np.nan)
    for i, loss in enumerate(law.losses):
        if loss in runs.losses:
            measured[:, i] = runs.rates[:, runs.losses.index(loss)]
    return scored(law.losses, predicted, measured)


def scored(
    losses: tuple[str, ...],
    predicted: Float[np.ndarray, "runs losses"],
    measured: Float[np.ndarray, "runs losses"],
) -> LawScore:
    """Scores for each loss, over the runs in which it was measured and predicted."""
    from scipy.stats import spearmanr

    found = np.full((3, len(losses)), np.nan)
    for i in range(len(losses)):
        on = np.isfinite(measured[:, i]) & np.isfinite(predicted[:, i])
        y, z = measured[on, i], predicted[on, i]
        spread = ((y - y.mean()) ** 2).sum() if on.any() else 0.0
        if spread > 0:
            found[0, i] = 1 - ((y - z) ** 2).sum() / spread
            found[1, i] = spearmanr(y, z).statistic if np.ptp(z) > 0 else np.nan
        if on.any() and (y != 0).all():
            found[2, i] = np.abs(z / y - 1).mean()
    return LawScore(losses, *found)


def sizes_of(sizes: Any, names: tuple[str, ...]) -> tuple[Float[np.ndarray, "runs datasets"], bool]:
    """Sizes as rows, and whether only one mixture was given."""
    n = len(names)
    if isinstance(sizes, BestSizes):
        sizes = dict(zip(sizes.names, sizes.sizes.tolist(), strict=True))
    given = checks.float_array("sizes", checks.by_name("sizes", sizes, names, 0.0))
    if given.ndim not in (1, 2) or given.shape[-1] != n:
        raise ValueError(f"sizes has shape {given.shape}: must be ({n},) or (A, {n}), one number per dataset")
    checks.nonnegative("sizes", given)
    rows = given.reshape(-1, n)
    empty = ~(rows.sum(axis=1) > 0)
    if empty.any():
        raise ValueError(f"sizes[{int(np.argmax(empty))}] sums to 0: a model is trained on some data")
    return rows, given.ndim == 1


def shares_of(sizes: Any, names: tuple[str, ...]) -> tuple[Float[np.ndarray, "runs datasets"], bool]:
    """Sizes as rows that sum to 1, and whether only one mixture was given."""
    given, single = sizes_of(sizes, names)
    return given / given.sum(axis=1, keepdims=True), single


def size_of(
    parameters: Any, tokens: Any, n: int, reference: Float[np.ndarray, "2"] | None
) -> Float[np.ndarray, "runs 2"] | None:
    """The logarithms of N and D minus the reference, a row per run; None if the law is not joint."""
    if reference is None:
        return None
    if parameters is None or tokens is None:
        raise ValueError("parameters and tokens: the law depends on both, so both must be given")
    logs = []
    for name, value in (("parameters", parameters), ("tokens", tokens)):
        array = checks.positive(name, value)
        if array.shape not in ((), (n,)):
            raise ValueError(f"{name} has shape {array.shape}: must be one number, or ({n},), one per run")
        logs.append(np.broadcast_to(np.log(array), (n,)))
    size: Float[np.ndarray, "runs 2"] = np.column_stack(logs) - reference
    return size


def in_order(runs: TrainingRuns, names: tuple[str, ...]) -> TrainingRuns:
    """The runs with the datasets in the law's order; datasets absent from the runs have size 0."""
    for name in checked_runs(runs).names:
        if name not in names:
            raise ValueError(f"runs has the dataset {name!r}: the law knows {', '.join(map(repr, names))}")
    if runs.names == names:
        return runs
    n = len(runs.names)
    sizes = np.zeros((runs.n_runs, len(names)))
    rates = np.full((runs.n_runs, len(names)), np.nan)
    errors = None if runs.errors is None else np.zeros_like(rates)
    for at, name in enumerate(runs.names):
        to = names.index(name)
        sizes[:, to], rates[:, to] = runs.sizes[:, at], runs.rates[:, at]
        if errors is not None and runs.errors is not None:
            errors[:, to] = runs.errors[:, at]
    rates = np.hstack([rates, runs.rates[:, n:]])
    if errors is not None and runs.errors is not None:
        errors = np.hstack([errors, runs.errors[:, n:]])
    return TrainingRuns(
        sizes,
        rates,
        names,
        tasks=runs.tasks,
        parameters=runs.parameters,
        tokens=runs.tokens,
        errors=errors,
    )
