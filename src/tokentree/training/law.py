r"""The token tree as a mixing law: what rates of models trained on a mixture are, whoever trained them.

Give every dataset, and every task, a distribution p_i over M leaves that nobody has seen, and let

    gamma_i(n) = c_i + s_i CE(p_i, q(n)),    q(n) = sum_j w_j p_j,    w_j = n_j / T.

With one scale s for all, Phi(n) = sum c_i n_i + s T H(q) has these rates as its slopes: it is homogeneous of
degree 1 and concave, so Euler's identity, the symmetry of the response and Gibbs-Duhem hold as they do for a
`Mixture`. So they do with ``scales="stiffness"``, where a token of dataset j weighs s_j in q and counts s_j:
q ~ sum s_j n_j p_j and Phi = sum c_i n_i + T' H(q), T' = sum s_j n_j. With a scale for every loss,
``scales="own"``, the law predicts best and keeps the sign of each response, but it is R_it / s_i that is
symmetric, not R_it.

What data can tell: the rates and their response, at mixtures like those that were trained. What they cannot:
the leaves. Any leaves with the same cross-entropies are as good, so p_i says nothing by itself.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, Literal

import numpy as np
from jaxtyping import Bool, Float, Int

from .._lib import checks
from .._lib.archives import load_arrays, save_arrays
from .._lib.checks import Numbers
from .._lib.progress import tracked
from .._lib.results import Result, few
from ..mixtures import BestSizes, Mixture, best_shares, share_bounds, target_weights
from . import fitting
from .fitting import SCALES, Data, Fitted, Scales, Shape
from .runs import TrainingRuns
from .scores import LawScore, in_order, score, shares_of, size_of, sizes_of

LEAVES, SMOOTHING = (10, 20, 40, 80), (1e-4, 1e-3, 1e-2)
"""What cross-validation chooses among."""

FEW = 8
"""Mixtures below which nothing can be left out to choose by: then 20 leaves, smoothing 1e-3, one scale."""

_UNSEEN = "must be 0: no run had these data, nor was their loss measured"

_ONE = {"parameters": 1.0, "tokens": 1.0}

_FORMAT, _VERSION = "tokentree.MixingLaw", 1
_ARRAYS = ("leaves", "linear", "stiffness", "exponents", "misfit", "point")
_PARTS = ("names", "tasks", "rows", "reference", "shape", "unknown", *_ARRAYS)


@dataclass(frozen=True, eq=False, repr=False)
class Choice(Result):
    """One choice of leaves, smoothing and scales, and its error on runs left out.

    Attributes
    ----------
    n_leaves : int
    smoothing : float
    scales : "own", "shared" or "stiffness"
    error : float
        Mean squared error on mixtures that were left out, over the variance of each loss.
    standard_error : float
        Of that mean, over the folds.
    """

    n_leaves: int
    smoothing: float
    scales: Scales
    error: float
    standard_error: float


@dataclass(frozen=True, eq=False, repr=False)
class MixingLaw:
    """The token tree fitted to training runs. Made by `MixingLaw.fit`; rates are in nats.

    Attributes
    ----------
    names, tasks : tuples of str
        The datasets, and the losses that belong to none.
    losses : tuple of str
        The losses that were measured, in this order: what `predict` gives.
    leaves : float array, shape (N + K, M)
        p_i of every dataset and task. Not identified: only what follows from them is.
    scales : "own", "shared" or "stiffness"
    offset, scale : float arrays, shape (L,)
        c_i and s_i of each loss.
    exponents : dict or None
        Of the joint law, alpha, beta, parameters (a) and tokens (b); None where runs do not differ in size.
    choices : tuple of Choice
        What cross-validation tried, in that order.
    choice : Choice or None
        The one that was taken.
    unknown : tuple of str
        Datasets that are in no run and have no loss. Of a mixture that has them the law predicts NaN.
    replicates : tuple of MixingLaw
        Made by `bootstrap`.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> mixture = Mixture(rng.dirichlet(np.ones(4), size=3), [1, 1, 1])
    >>> sizes = rng.dirichlet(np.ones(3), size=40)
    >>> runs = TrainingRuns(sizes, [2 + mixture.with_sizes(n).rates(np.e) for n in sizes.tolist()])
    >>> law = MixingLaw.fit(runs, n_leaves=10, smoothing=1e-4, scales="shared")
    >>> law
    MixingLaw(3 datasets (D1, D2, D3), 3 losses; 10 leaves, scales shared)
    >>> bool(law.score(runs).r2.min() > 0.99)
    True
    """

    names: tuple[str, ...]
    tasks: tuple[str, ...]
    rows: Int[np.ndarray, "losses"] = field(repr=False)
    shape: Shape
    fitted: Fitted = field(repr=False)
    reference: Float[np.ndarray, "2"] | None = field(default=None, repr=False)
    choices: tuple[Choice, ...] = field(default=(), repr=False)
    unknown: tuple[str, ...] = field(default=(), repr=False)
    replicates: "tuple[MixingLaw, ...]" = field(default=(), repr=False)

    @staticmethod
    def fit(
        runs: TrainingRuns,
        n_leaves: int | None = None,
        scales: Scales | None = None,
        *,
        smoothing: float | None = None,
        starts: int = 2,
        folds: int = 5,
        seed: int = 0,
        progress: bool = False,
    ) -> "MixingLaw":
        r"""Fit the law to runs, by maximum likelihood with a prior on the leaves.

        Parameters
        ----------
        runs : TrainingRuns
            Where `parameters` and `tokens` are given and differ, the joint law is fitted:
            gamma_i = E_i + A_i N^-alpha + B_i D^-beta + s_i N^a D^b CE(p_i, q).
        n_leaves : int, optional
            Number M of leaves. Default: 10, 20, 40 or 80, whichever predicts best what is left out.
        scales : "own", "shared" or "stiffness", optional
            A scale for every loss; one for all; or one for every dataset that also weights it in q. Default:
            what predicts best. Ask for "shared" or "stiffness" where the law itself is wanted: with "own",
            losses of different scale are not reciprocal.
        smoothing : float, optional
            Multiple of the sum of squared logits of the leaves that is added to the squared errors, each in
            units of its loss's variance. Default: 1e-4, 1e-3 or 1e-2, likewise. What is left out is few runs:
            a departure from one scale, 1e-3 and 20 leaves must be better by more than its standard error.
        starts : int
            Random leaves to start from. The best after a tenth of the steps goes on.
        folds : int
            Parts that are left out in turn to choose by; runs of one mixture stay together.
        seed : int
            Of starts and folds. The same seed gives the same law.
        progress : bool
            Show a progress bar while choosing.

        Returns
        -------
        MixingLaw

        Raises
        ------
        ValueError
            If an argument is out of range, or no loss was measured at all.

        Notes
        -----
        A step costs O(A (N + L) M) for A runs of N datasets and L losses; a fit of 512 runs, 17 datasets and
        40 leaves takes a few seconds, the choice about sixty shorter fits. Errors are taken as Gaussian,
        of a variance proportional to that of the loss over the runs, or as `runs.errors` says. The exponents
        of the joint law have a Gaussian prior: 0.3, 0.3, 0, 0 with widths 0.05, 0.05, 1, 1. Where runs have
        only two sizes that prior, and not the runs, decides how losses fall beyond them.
        """
        if not isinstance(runs, TrainingRuns):
            raise TypeError(f"runs is a {type(runs).__name__}: must be TrainingRuns")
        if not runs.measured.any():
            raise ValueError("runs has no measured loss: at least one rate must be a number")
        if scales not in (None, *SCALES):
            raise ValueError(f"scales = {scales!r}: must be one of {', '.join(map(repr, SCALES))}")
        if smoothing is not None and not 0 < smoothing < np.inf:
            raise ValueError(f"smoothing = {smoothing!r}: must be finite and > 0")
        leaves = None if n_leaves is None else checks.integer("n_leaves", n_leaves, 2)
        starts, folds = checks.integer("starts", starts, 1), checks.integer("folds", folds, 2)
        data, reference = _data(runs, None)
        choices: tuple[Choice, ...] = ()
        if None in (leaves, scales, smoothing):
            shape, choices = _chosen(data, leaves, scales, smoothing, folds, seed, progress)
        else:
            shape = Shape(leaves or 0, smoothing or 0.0, scales or "own")
        found = fitting.fit(data, shape, np.random.default_rng(seed), starts)
        seen = (runs.weights > 0).any(axis=0) | runs.measured[: runs.n_datasets]
        unknown = tuple(np.array(runs.names)[~seen].tolist())
        return MixingLaw(runs.names, runs.tasks, data.rows, shape, found, reference, choices, unknown)

    # What it is

    @property
    def losses(self) -> tuple[str, ...]:
        """The losses that were measured."""
        every = (*self.names, *self.tasks)
        return tuple(every[row] for row in self.rows)

    @property
    def choice(self) -> Choice | None:
        """What cross-validation chose, with its error on mixtures left out; None where nothing was chosen."""
        taken = self.shape.n_leaves, self.shape.smoothing, self.scales
        tried = (each for each in self.choices if (each.n_leaves, each.smoothing, each.scales) == taken)
        return next(tried, None)

    @property
    def scales(self) -> Scales:
        """The kind of scales."""
        return self.shape.scales

    @property
    def leaves(self) -> Float[np.ndarray, "rows leaves"]:
        """p_i of every dataset and task."""
        return self.fitted.leaves

    @property
    def offset(self) -> Float[np.ndarray, "losses"]:
        """c_i of each loss."""
        offset: Float[np.ndarray, "losses"] = self.fitted.linear[0]
        return offset

    @property
    def scale(self) -> Float[np.ndarray, "losses"]:
        """s_i of each loss; in the joint law at the size of the middle run."""
        scale: Float[np.ndarray, "losses"] = self.fitted.linear[-1]
        return scale

    @property
    def exponents(self) -> dict[str, float] | None:
        """alpha, beta, a and b of the joint law."""
        if self.fitted.exponents is None:
            return None
        return dict(zip(fitting.EXPONENTS, self.fitted.exponents.tolist(), strict=True))

    # What it says

    def predict(
        self,
        sizes: Annotated[Numbers, "*runs datasets"] | Mapping[str, float],
        *,
        parameters: float | Annotated[Numbers, "runs"] | None = None,
        tokens: float | Annotated[Numbers, "runs"] | None = None,
    ) -> Float[np.ndarray, "*runs losses"]:
        """Rates of a model trained on sizes, in nats.

        Parameters
        ----------
        sizes : array_like, shape (N,) or (A, N), or a mapping of names to sizes
            Of each dataset, at least 0; only proportions count. What a mapping leaves out has none.
        parameters, tokens : float or array_like, shape (A,)
            N and D, needed by the joint law and by no other.

        Returns
        -------
        ndarray, shape (L,) or (A, L)
            One rate for each of `losses`. NaN where a mixture has `unknown` data.

        Raises
        ------
        ValueError
            If the sizes do not fit the datasets, or `parameters` and `tokens` the law.
        """
        shares, single = shares_of(sizes, self.names)
        size = self._size(parameters, tokens, len(shares))
        wide = fitting.widened(shares, len(self.leaves))
        rates = self.fitted.rates(wide, self.rows, size)
        rates[(shares[:, ~self._known] > 0).any(axis=1)] = np.nan
        return rates[0] if single else rates

    def score(self, runs: TrainingRuns) -> LawScore:
        """How well the law predicts runs: on those it was fitted to, or, better, on others.

        Parameters
        ----------
        runs : TrainingRuns
            Of these datasets, in any order. Losses that the law does not know are left out.

        Returns
        -------
        LawScore

        Raises
        ------
        ValueError
            If a dataset is unknown to the law.
        """
        return score(self, runs)

    def response(
        self,
        sizes: Annotated[Numbers, "datasets"] | Mapping[str, float],
        *,
        parameters: float | None = None,
        tokens: float | None = None,
    ) -> Float[np.ndarray, "losses datasets"]:
        """R[i, t] = d gamma_i / d n_t in nats, per unit of size: how loss i moves as dataset t grows.

        NaN for `unknown` data. In the joint law N and D stay as they are. Parameters and errors as for
        `predict`.

        Parameters
        ----------
        sizes, parameters, tokens
            As for `predict`, whose errors this shares.

        Returns
        -------
        ndarray, shape (L, N)
            A row for each loss, a column for each dataset.
        """
        n = self._sizes(sizes)
        stiffness = self.fitted.stiffness
        each = np.ones(len(n)) if stiffness is None else stiffness[: len(n)]
        weight = n * each
        share, known = weight / weight.sum(), self.leaves[: len(n)]
        q = share @ known
        # p_i - q as a mean of p_i - p_j keeps its digits where i has nearly all the weight.
        apart = np.einsum("j,ijx->ix", share, self.leaves[:, None] - known)
        own, grown = apart[self.rows], apart[: len(n)]
        scale = self.scale
        size = self._size(parameters, tokens, 1)
        if size is not None and self.fitted.exponents is not None:
            scale = scale * fitting.powers(self.fitted.exponents, size)[1][0]
        moved = -(own / q) @ grown.T
        response: Float[np.ndarray, "losses datasets"] = scale[:, None] * moved * each / weight.sum()
        response[:, ~self._known] = np.nan
        return response

    def mixture(self, sizes: Annotated[Numbers, "datasets"] | Mapping[str, float]) -> Mixture:
        """The datasets as a `Mixture` over the law's leaves, for all that a mixture can be asked.

        Its rates are those of the law less the offset and over the scale, so the signs of Theorem 4.2,
        springs and budgets are those of the fitted law; with ``scales="stiffness"`` each size is multiplied
        by its dataset's stiffness. What is certified of it is certified of the fitted law, not of the models
        that were trained.

        Parameters
        ----------
        sizes : array_like, shape (N,), or a mapping of names to sizes
            Above 0, but those of `unknown` data, which are left out: 0.

        Returns
        -------
        Mixture
        """
        n = self._sizes(sizes)
        known = self._known
        if (n[~known] > 0).any():
            checks.fail_at("sizes", n, ~known & (n > 0), _UNSEEN)
        if not (n[known] > 0).all():
            checks.fail_at(
                "sizes", n, known & ~(n > 0), "must be > 0 in a Mixture; a very small size is allowed"
            )
        stiffness = self.fitted.stiffness
        weighted = n if stiffness is None else n * stiffness[: len(n)]
        names = [name for name in self.names if name not in self.unknown]
        return Mixture(self.leaves[: len(n)][known], weighted[known], names=names)

    def best_sizes(
        self,
        target: str | Mapping[str, float],
        *,
        total: float = 1.0,
        lower: Any = None,
        upper: Any = None,
        available: Mapping[str, float] | Annotated[Numbers, "datasets"] | None = None,
        repetitions: float = 1.0,
        prior: Annotated[Numbers, "datasets"] | Mapping[str, float] | None = None,
        pull: float = 0.0,
        worst: bool = False,
        parameters: float | None = None,
        tokens: float | None = None,
    ) -> BestSizes:
        r"""The mixture whose model has the least sum of weighted rates, and a proof of it.

        Parameters
        ----------
        target : mapping of losses to weights, or one loss
        total : float
            What the sizes sum to.
        lower, upper : float, mapping or array_like, optional
            Bounds on shares, for all datasets, for some by name, or one each.
        available : mapping or array_like, optional
            Data there are of each dataset, in the unit of `total`.
        repetitions : float
            How often each of them may be seen.
        prior : mapping or array_like, optional
            Mixture that is pulled to. With ``scales="stiffness"`` it and the shares are weighted by
            stiffness.
        pull : float
            Multiple of KL(shares \|\| prior), in nats, that is added.
        worst : bool
            The largest value instead, as a control. It stands at a corner of the bounds. Without bounds every
            corner is tried, each dataset alone; with them those that climbing finds, and the gap is NaN.
        parameters, tokens : float, optional
            N and D, needed by the joint law and by no other.

        Returns
        -------
        BestSizes
            ``.sizes``, ``.value`` in nats and the duality gap ``.gap``.

        Raises
        ------
        ValueError
            If a name is unknown, a weight or bound out of range, or the bounds leave no mixture.

        Notes
        -----
        `unknown` data get no share. Convex: f(w) is minus the logarithm of a portfolio's growth, Cover's
        log-optimal portfolio. O(N^2 M) a step, some twenty steps.
        """
        weights = target_weights(target, self.losses)
        size = self._size(parameters, tokens, 1)
        falls, power = (None, 1.0)
        if size is not None and self.fitted.exponents is not None:
            fall, powers = fitting.powers(self.fitted.exponents, size)
            falls, power = fall[0], float(powers[0])
        linear = self.fitted.linear
        constant = float(weights @ linear[0])
        if falls is not None:
            constant += float(weights @ (falls @ linear[1:3]))
        scale = weights * self.scale * power
        n = len(self.names)
        allowed = share_bounds(self.names, lower, upper, available, repetitions, total)
        if (asked := ~self._known & (allowed.lower > 0)).any():
            checks.fail_at("lower", allowed.lower, asked, _UNSEEN)
        found = best_shares(
            scale @ self.leaves[self.rows],
            self.leaves[:n],
            allowed.among(np.flatnonzero(self._known).tolist()),
            prior=prior,
            pull=pull,
            stiffness=None if self.fitted.stiffness is None else self.fitted.stiffness[:n],
            names=self.names,
            worst=worst,
        )
        return BestSizes(self.names, total * found.shares, constant + found.value, found.gap)

    # Where it comes from

    def transfer(self, runs: TrainingRuns, scales: Literal["own", "shared"] = "own") -> "MixingLaw":
        """The law of other models trained on these datasets: the leaves are kept, the rest refitted.

        Parameters
        ----------
        runs : TrainingRuns
            Of the same datasets; a few are enough, two for every loss.
        scales : "own" or "shared"
            A scale for every loss, or one for all.

        Returns
        -------
        MixingLaw

        Raises
        ------
        ValueError
            If a dataset is unknown to the law, or a loss was not measured when it was fitted.
        """
        if scales not in ("own", "shared"):
            raise ValueError(f"scales = {scales!r}: must be 'own' or 'shared'")
        runs = in_order(runs, self.names)
        data, _ = _data(runs, None)
        every = (*self.names, *self.tasks)
        for row in data.rows:
            name = (*runs.names, *runs.tasks)[row]
            if name not in self.losses:
                raise ValueError(f"runs has the loss {name!r}: the law was fitted without it")
        rows = np.array([every.index((*runs.names, *runs.tasks)[row]) for row in data.rows])
        shares = fitting.widened(data.shares[:, : len(self.names)], len(self.leaves))
        mixed = fitting.weighted(shares, self.fitted.stiffness)
        shape = replace(self.shape, scales=scales)
        objective = fitting.Objective(replace(data, shares=shares, rows=rows, size=None), shape)
        crossed = -np.log(mixed @ self.leaves) @ self.leaves[rows].T
        linear = objective.solve(crossed, None, None)
        kept = replace(self.fitted, linear=linear, exponents=None)
        return replace(self, rows=rows, fitted=kept, reference=None, shape=shape, choices=(), replicates=())

    def bootstrap(
        self, runs: TrainingRuns, n: int = 100, *, seed: int = 0, progress: bool = False
    ) -> "MixingLaw":
        """The law with n replicates, each fitted to runs drawn with replacement, for `interval`.

        Mixtures are drawn, each with all its runs. A replicate starts where this law ended. In the joint law
        the prior of its exponents is drawn as well, so that what only the prior says is uncertain too.

        Parameters
        ----------
        runs : TrainingRuns
            Those that the law was fitted to.
        n : int
            Number of replicates.
        seed : int
            The same seed draws the same runs.
        progress : bool
            Show a progress bar.

        Returns
        -------
        MixingLaw
        """
        n = checks.integer("n", n, 1)
        runs = in_order(runs, self.names)
        data, _ = _data(runs, self.reference)
        rng = np.random.default_rng(seed)
        _, mixture = np.unique(data.shares, axis=0, return_inverse=True)
        groups = [np.flatnonzero(mixture.ravel() == kind) for kind in range(int(mixture.max()) + 1)]
        replicates = []
        for _ in tracked(range(n), "Drawing runs again", progress):
            drawn = np.concatenate([groups[i] for i in rng.integers(len(groups), size=len(groups))])
            prior = fitting.drawn_prior(rng)
            found = fitting.fit(
                data.some(drawn), self.shape, rng, prior=prior, near=self.fitted.point, steps=200
            )
            replicates.append(replace(self, fitted=found, choices=(), replicates=()))
        return replace(self, replicates=tuple(replicates))

    def interval(
        self, of: "Callable[[MixingLaw], Any]", level: float = 0.9
    ) -> tuple[Float[np.ndarray, "*shape"], Float[np.ndarray, "*shape"]]:
        """Lower and upper end of the bootstrap interval of anything that can be computed from a law.

        Parameters
        ----------
        of : callable
            From a law to a number or an array, such as ``lambda law: law.predict(sizes)``.
        level : float
            Share of the replicates inside.

        Returns
        -------
        low : ndarray
            Of the shape that `of` returns.
        high : ndarray
            Likewise.

        Raises
        ------
        ValueError
            If there are no replicates, or the level is not between 0 and 1.
        """
        if not self.replicates:
            raise ValueError("the law has no replicates: use law.bootstrap(runs).interval(...)")
        if not 0 < level < 1:
            raise ValueError(f"level = {level!r}: must be between 0 and 1")
        found = np.array([of(law) for law in self.replicates], dtype=np.float64)
        low, high = np.quantile(found, [(1 - level) / 2, (1 + level) / 2], axis=0)
        return low, high

    def to_frame(self) -> Any:
        """One row per loss as a pandas table: offset and scale. Needs the extra ``pandas``."""
        from .._lib.frames import frame

        return frame({"loss": self.losses, "offset": self.offset, "scale": self.scale}, "loss")

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the law, without its replicates and choices, to one file, as `TokenTree.save` does."""
        none = np.zeros(0)
        fitted = self.fitted
        save_arrays(
            path,
            _FORMAT,
            _VERSION,
            names=np.array(self.names, dtype=str),
            tasks=np.array(self.tasks, dtype=str),
            rows=self.rows,
            leaves=fitted.leaves,
            linear=fitted.linear,
            stiffness=none if fitted.stiffness is None else fitted.stiffness,
            exponents=none if fitted.exponents is None else fitted.exponents,
            reference=none if self.reference is None else self.reference,
            misfit=np.array(fitted.misfit),
            point=fitted.point,
            unknown=np.array(self.unknown, dtype=str),
            shape=np.array([self.shape.n_leaves, self.shape.smoothing, SCALES.index(self.scales)]),
        )

    @staticmethod
    def load(path: str | os.PathLike[str]) -> "MixingLaw":
        """Read a law written by `save`. Nothing in the file is executed.

        Parameters
        ----------
        path : path-like

        Returns
        -------
        MixingLaw

        Raises
        ------
        OSError
            If the file cannot be read.
        ValueError
            If it is truncated, damaged, of another format or version, or does not hold a law.
        """
        with open(path, "rb") as file:
            try:
                a = load_arrays(file, _FORMAT, _VERSION, _PARTS)
                n_leaves, smoothing, scales = a["shape"].tolist()
                given: dict[str, Any] = {n: a[n] if a[n].size else None for n in (*_ARRAYS, "reference")}
                reference = given.pop("reference")
                fitted = Fitted(**given | {"misfit": float(a["misfit"])})
                law = MixingLaw(
                    tuple(a["names"].tolist()),
                    tuple(a["tasks"].tolist()),
                    a["rows"],
                    Shape(int(n_leaves), smoothing, SCALES[int(scales)]),
                    fitted,
                    reference,
                    unknown=tuple(a["unknown"].tolist()),
                )
                law.predict(np.ones(len(law.names)), **({} if reference is None else _ONE))
            except MemoryError:
                raise
            # Damaged bytes come out of zipfile, zlib and NumPy as a dozen kinds of error.
            except Exception as error:
                reason = str(error).partition("\n")[0]
                raise ValueError(
                    f"path = {os.fspath(path)!r} holds no whole {_FORMAT}: {reason}; must be written by save"
                ) from error
        return law

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, MixingLaw):
            return NotImplemented
        same = (self.names, self.tasks, self.shape) == (other.names, other.tasks, other.shape)
        return same and all(
            np.array_equal(getattr(self.fitted, name), getattr(other.fitted, name))
            for name in ("leaves", "linear")
        )

    __hash__ = None  # type: ignore[assignment]  # it holds arrays

    def __repr__(self) -> str:
        joint = "" if self.exponents is None else ", joint in parameters and tokens"
        tasks = f", tasks: {few(self.tasks)}" if self.tasks else ""
        error = "" if self.choice is None else f", R2 {1 - self.choice.error:.4f} on mixtures left out"
        boot = f", {len(self.replicates)} replicates" if self.replicates else ""
        return (
            f"MixingLaw({len(self.names)} datasets ({few(self.names)}), {len(self.losses)} losses{tasks}; "
            f"{self.shape.n_leaves} leaves, scales {self.scales}{joint}{error}{boot})"
        )

    # Inside

    @property
    def _known(self) -> Bool[np.ndarray, "datasets"]:
        return np.array([name not in self.unknown for name in self.names])

    def _sizes(self, sizes: Numbers | Mapping[str, float]) -> Float[np.ndarray, "datasets"]:
        given, single = sizes_of(sizes, self.names)
        if not single:
            raise ValueError(f"sizes has shape {given.shape}: must be ({len(self.names)},), one mixture")
        one: Float[np.ndarray, "datasets"] = given[0]
        return one

    def _size(self, parameters: Any, tokens: Any, n: int) -> Float[np.ndarray, "runs 2"] | None:
        return size_of(parameters, tokens, n, self.reference)


def _data(
    runs: TrainingRuns, reference: Float[np.ndarray, "2"] | None
) -> tuple[Data, Float[np.ndarray, "2"] | None]:
    """The runs as they are fitted, and the logarithms of N and D that sizes are measured from."""
    size = None
    if runs.parameters is not None and runs.tokens is not None:
        logs = np.log(np.column_stack([runs.parameters, runs.tokens]))
        if reference is not None or np.ptp(logs, axis=0).any():
            reference = logs.mean(axis=0) if reference is None else reference
            size = logs - reference
    return Data.of(runs.weights, runs.rates, runs.errors, size), reference


def _chosen(
    data: Data,
    n_leaves: int | None,
    scales: Scales | None,
    smoothing: float | None,
    folds: int,
    seed: int,
    progress: bool,
) -> tuple[Shape, tuple[Choice, ...]]:
    """What predicts best what is left out: first the scales, then the smoothing, then the leaves."""
    shape = Shape(n_leaves or 20, smoothing or 1e-3, scales or "shared")
    if len(np.unique(data.shares, axis=0)) < FEW:
        return shape, ()
    fold = fitting.folds(data.shares, folds, np.random.default_rng(seed))
    tried: dict[Shape, Float[np.ndarray, "folds"]] = {}

    def best(taken: Shape, doing: str, **options: Sequence[Any]) -> Shape:
        """The option that predicts best; the one taken so far unless that is worse by a standard error."""
        ((name, values),) = options.items()
        shapes = [replace(taken, **{name: value}) for value in values]
        for each in tracked([shape for shape in shapes if shape not in tried], doing, progress):
            tried[each] = fitting.left_out_error(data, each, fold, seed, 300)
        found = min(shapes, key=lambda shape: tried[shape].mean())
        if taken not in tried:
            return found
        better = tried[taken] - tried[found]
        return found if better.mean() > _spread(better) else taken

    if scales is None:
        shape = best(shape, "Choosing the scales", scales=SCALES)
    if smoothing is None:
        shape = best(shape, "Choosing the smoothing", smoothing=SMOOTHING)
    if n_leaves is None:
        shape = best(shape, "Choosing the leaves", n_leaves=LEAVES)
        if smoothing is None:
            # More leaves may ask for more smoothing.
            shape = best(shape, "Choosing the smoothing again", smoothing=SMOOTHING)
    return shape, tuple(
        Choice(each.n_leaves, each.smoothing, each.scales, float(errors.mean()), _spread(errors))
        for each, errors in tried.items()
    )


def _spread(errors: Float[np.ndarray, "folds"]) -> float:
    """Standard error of their mean."""
    return float(errors.std(ddof=1) / np.sqrt(len(errors))) if len(errors) > 1 else np.nan
