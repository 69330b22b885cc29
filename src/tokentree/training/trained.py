r"""A trained model as a mixture: rates, and how they respond to the sizes of the data.

The token tree is free to take any distribution over its leaves. A module has parameters theta instead, a loss
L_i(theta) on every dataset, and is trained on

    F(theta) = sum_i n_i L_i(theta) + sum_k lambda_k Omega_k(theta).

At a minimum with the Hessian H of F, and with g_i the gradient of L_i, columns of G,

    R = -G^T H^{-1} G,    R_it = d gamma_i / d n_t:

the minimum moves by -H^{-1} g_t as n_t grows (Koh and Liang 2017, the influence function). So R is symmetric
and negative semidefinite, as that of a `Mixture` is. A regularizer is one more dataset, of size lambda: its
loss responds too. So what sum_i n_i R_it lacks of zero is

    sum_i n_i R_it = -sum_k lambda_k dOmega_k/dn_t - e^T H^{-1} g_t,

where e is the gradient of F, not zero where training stopped early. With e held fixed as sizes change, R is
still -G^T H^{-1} G there, and the two parts add up exactly.
"""

from collections.abc import Iterable
from copy import copy, deepcopy
from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple

import numpy as np
from jaxtyping import Float

from .._lib import checks, display
from .._lib.checks import Numbers
from .._lib.progress import counter
from .._lib.results import Result
from ..mixtures import dataset_index
from .curvature import DENSE, slack
from .minimising import curvature, minimise
from .modules import Loss, float64_copy, refuse_random, torch_for
from .terms import Terms

_TOLERANCE, _STEPS = 1e-10, 3000


@dataclass(frozen=True, eq=False, repr=False)
class Residual(Result):
    """What training left of the gradient of F. Made by `TrainedMixture.residual`.

    Attributes
    ----------
    gradient : float array, shape (P,)
        e, of F by every parameter, in nats.
    norm : float
        Its length.
    relative : float
        That over the total size: what `TrainedMixture.train` makes small.
    """

    gradient: Float[np.ndarray, "parameters"]
    norm: float
    relative: float

    def _columns(self) -> tuple[dict[str, Any]]:
        return ({"norm": [self.norm], "relative": [self.relative]},)


@dataclass(frozen=True, eq=False, repr=False)
class Balance(Result):
    """What sum_i n_i R_it lacks of zero, and why. Made by `TrainedMixture.balance`.

    Attributes
    ----------
    names : tuple of str
        The datasets, t.
    defect : float array, shape (N,)
        sum_i n_i R_it, from the response itself.
    regularizers : float array, shape (N,)
        -sum_k lambda_k dOmega_k/dn_t, the part of the regularizers.
    residual : float array, shape (N,)
        -e^T H^{-1} g_t, the part of a gradient e of F that is not zero.

    Notes
    -----
    The two parts add up to the defect, up to rounding. `to_frame` has a row for each dataset.
    """

    names: tuple[str, ...]
    defect: Float[np.ndarray, "datasets"]
    regularizers: Float[np.ndarray, "datasets"]
    residual: Float[np.ndarray, "datasets"]

    def _columns(self) -> tuple[dict[str, Any], str]:
        parts = {name: getattr(self, name) for name in ("defect", "regularizers", "residual")}
        return {"dataset": self.names, **parts}, "dataset"


class _Here(NamedTuple):
    """Derivatives at one point."""

    version: Any
    gradients: Float[np.ndarray, "parameters terms"]
    moved: Float[np.ndarray, "parameters datasets"]
    """H^+ G."""
    inner: Float[np.ndarray, "datasets datasets"]
    """G^T H^+ G."""


class TrainedMixture:
    r"""Datasets that one torch module is trained on: its rates, and how they respond to the sizes.

    Parameters
    ----------
    model : torch.nn.Module
        Copied, with parameters and buffers in float64, and left as it is: what is trained is the copy,
        `module`. Parameters with ``requires_grad=False`` stay frozen, tied ones are one parameter.
    losses : iterable of N callables
        One a dataset, from the module to a tensor of one number in nats, twice differentiable in the
        parameters, the same at every call: `tree_loss`, `ids_loss`, or your own, with float64 data.
    sizes : array_like, shape (N,)
        The n_i in any unit, finite and >= 0, not all zero. A dataset of size zero is a task: not trained on,
        but its rate responds.
    names : N distinct strings, optional
        Default: "D1", "D2", ...
    regularizers : iterable of (omega, weight) pairs
        Callables as for losses, and weights lambda > 0 in the unit of the sizes: weight decay, a KL penalty
        to a reference, an anchor.

    Raises
    ------
    ValueError
        If a size, a weight or a name is not as above; if a submodule is in training mode with dropout or
        batch normalisation; if a loss is not finite, uses no parameter of the module, gives no single number,
        or differs from call to call.
    TypeError
        If the model is no module, has complex parameters, or a loss gives no float64 tensor.
    ImportError
        If torch is not installed.

    Notes
    -----
    Nothing in the law of joint compression needs a token tree: the least F is concave in the sizes for any
    model, and the rates are its slopes. So `rates` and `response` are those of `Mixture`, for a module at a
    minimum. A network's symmetries make H singular and do no harm: the pseudo-inverse gives the same R. Every
    flat direction to which no gradient points is taken for one.

    A model in float32 is converted as it stands. What computes in float32 or less inside itself keeps that
    rounding, and its gradient will not get below about 10^-7 of its parts. Attention is computed by torch's
    plain kernel, for others cannot be differentiated twice. Modules are used in the mode, training or
    evaluation, in which they are given.

    Examples
    --------
    A distribution over three symbols, free to be anything, is the token tree of depth 1.

    >>> import torch
    >>> from tokentree import Mixture
    >>> class Free(torch.nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.logits = torch.nn.Parameter(torch.zeros(3))
    >>> def coded(p):
    ...     p = torch.tensor(p, dtype=torch.float64)
    ...     return lambda module: -(p * torch.log_softmax(module.logits, dim=0)).sum()
    >>> p = [[0.5, 0.25, 0.25], [0, 0.5, 0.5]]
    >>> trained = TrainedMixture(Free(), [coded(p[0]), coded(p[1])], [3, 1], names=["web", "chat"]).train()
    >>> trained
    TrainedMixture(2 datasets, 3 parameters: web 3, chat 1)
    >>> trained.rates()
    array([1.5465547 , 1.67807191])
    >>> bool(abs(trained.response() - Mixture(p, [3, 1]).response()).max() < 1e-12)
    True
    """

    def __init__(
        self,
        model: Any,
        losses: Iterable[Loss],
        sizes: Annotated[Numbers, "datasets"],
        names: Iterable[str] | None = None,
        *,
        regularizers: Iterable[tuple[Loss, float]] = (),
    ) -> None:
        listed = _callables("losses", losses)
        if not listed:
            raise ValueError("losses is empty: must be one callable a dataset")
        self._sizes = _checked_sizes(sizes, len(listed))
        self._names = checks.distinct_names(names, len(listed), "dataset", "D")
        omegas, self._strengths = _pairs(regularizers)
        torch = torch_for("TrainedMixture")
        self._module = float64_copy(torch, model)
        refuse_random(torch, self._module)
        labels = [f"losses[{i}] ({name})" for i, name in enumerate(self._names)]
        labels += [f"regularizers[{k}][0]" for k in range(len(omegas))]
        self._terms = Terms(self._module, [*listed, *omegas], labels)
        self._terms.check()
        self._tolerance = _TOLERANCE
        self._here: _Here | None = None

    # What was given

    @property
    def module(self) -> Any:
        """The float64 copy that is trained. Train it yourself if you like: derivatives follow."""
        return self._module

    @property
    def sizes(self) -> Float[np.ndarray, "datasets"]:
        """The sizes n_i."""
        return self._sizes

    @property
    def total_size(self) -> float:
        """T, the sum of the sizes, without the regularizers' weights."""
        return float(self._sizes.sum())

    @property
    def weights(self) -> Float[np.ndarray, "datasets"]:
        """The w_i = n_i / T."""
        weights: Float[np.ndarray, "datasets"] = self._sizes / self.total_size
        return weights

    @property
    def names(self) -> tuple[str, ...]:
        """The datasets' names."""
        return self._names

    @property
    def n_datasets(self) -> int:
        """Number N of datasets."""
        return len(self._names)

    @property
    def n_parameters(self) -> int:
        """Number P of parameters that are trained."""
        return self._terms.size

    def index(self, dataset: int | str, name: str = "dataset") -> int:
        """Position of a dataset given by position or name; `name` is what errors call it."""
        return dataset_index(name, dataset, self.n_datasets, self._names)

    def roles(self, **datasets: int | str) -> list[int]:
        """Positions of several datasets, all different; as `Mixture.roles`."""
        return checks.different({name: self.index(dataset, name) for name, dataset in datasets.items()})

    # Training

    def train(
        self, tolerance: float = _TOLERANCE, *, steps: int = _STEPS, progress: bool = False
    ) -> "TrainedMixture":
        """Move the module to a minimum of F, from where it is.

        Parameters
        ----------
        tolerance : float
            Largest length of the gradient of F over the total size T.
        steps : int
            At most so many steps of L-BFGS, and a tenth as many with trust regions each time that they are
            called on.
        progress : bool
            Show on stderr how far the gradient is, once training takes more than two seconds.

        Returns
        -------
        TrainedMixture
            This one.

        Raises
        ------
        ArithmeticError
            If the gradient is larger at the end. The module keeps the best point: train again to go on.
        ValueError
            If `tolerance` is not finite and > 0, ``steps < 1``, or a loss is not finite where training
            starts.

        Notes
        -----
        SciPy's L-BFGS, then its trust regions, with the Hessian itself up to 1,000 parameters (P
        backpropagations and O(P^3) a step) and its products with vectors beyond, and Newton's steps at the
        end. All data at every step. A saddle is left again, up to 1,000 parameters; beyond, `response` says
        if the model stands on one. A minimum found so is a local one.
        """
        tolerance = float(checks.per_unit("tolerance", checks.positive("tolerance", tolerance), 1)[0])
        steps = checks.integer("steps", steps, 1)
        refuse_random(self._terms.torch, self._module)
        self._terms.values()
        self._tolerance = tolerance
        with counter(progress, f"gradient {{task.completed:.1e}}, to be {tolerance:g}") as watch:
            norm = minimise(self._terms, self._relative(), tolerance, steps, watch)
        if norm > tolerance:
            raise ArithmeticError(
                f"the gradient of F over the total size is {norm:.2g} after training, above tolerance = "
                f"{tolerance:g} (F's own is {norm * self.total_size:.2g}): call train again to go on from "
                "here, with more steps, a larger tolerance, or a stronger regularizer; response and balance "
                "hold with what is left of the gradient held fixed"
            )
        return self

    def with_sizes(
        self,
        sizes: Annotated[Numbers, "datasets"],
        *,
        tolerance: float | None = None,
        steps: int = _STEPS,
        progress: bool = False,
    ) -> "TrainedMixture":
        """The same datasets with other sizes, trained from where this model is; this one is not changed.

        Parameters
        ----------
        sizes : array_like, shape (N,)
        tolerance : float, optional
            Default: that of the last training.
        steps, progress
            As for `train`, whose errors this shares.

        Returns
        -------
        TrainedMixture
            With a module of its own; losses and regularizers are shared.
        """
        other = copy(self)
        other._sizes = _checked_sizes(sizes, self.n_datasets)
        other._module = deepcopy(self._module)
        other._terms = Terms(other._module, self._terms.terms, self._terms.labels)
        other._here = None
        return other.train(
            self._tolerance if tolerance is None else tolerance, steps=steps, progress=progress
        )

    @property
    def residual(self) -> Residual:
        """The gradient of F at the module's parameters, in nats."""
        refuse_random(self._terms.torch, self._module)
        self._terms.values()
        _, gradient = self._terms.weighted(self._all_weights())
        norm = float(np.linalg.norm(gradient))
        return Residual(gradient, norm, norm / self.total_size)

    # Rates and their response

    def rates(self, base: float = 2) -> Float[np.ndarray, "datasets"]:
        """Losses gamma_i of the module, in bits by default; ``base=math.e`` for nats.

        Parameters
        ----------
        base : float
            2 for bits, ``math.e`` for nats.

        Returns
        -------
        ndarray, shape (N,)

        Raises
        ------
        ValueError
            If ``base <= 1``, or a loss is not finite.
        """
        unit = checks.log_base(base)
        refuse_random(self._terms.torch, self._module)
        rates: Float[np.ndarray, "datasets"] = self._terms.values()[: self.n_datasets] / unit
        return rates

    def potential(self, base: float = 2) -> float:
        """F, regularizers included; at a minimum dF/dn_i is the rate of dataset i."""
        unit = checks.log_base(base)
        refuse_random(self._terms.torch, self._module)
        return float(self._all_weights() @ self._terms.values()) / unit

    def response(self, base: float = 2) -> Float[np.ndarray, "datasets datasets"]:
        r"""R[i, t] = d gamma_i / d n_t, how the rate of dataset i moves as dataset t grows.

        Parameters
        ----------
        base : float
            2 for bits, ``math.e`` for nats.

        Returns
        -------
        ndarray, shape (N, N)
            Exactly symmetric, negative semidefinite up to rounding.

        Raises
        ------
        ArithmeticError
            If F has negative curvature by more than rounding, as at a saddle or a maximum; or if a gradient
            lies outside the Hessian's range, so that no minimum responds to its size.
        ValueError
            If ``base <= 1``, or a loss is not finite.

        Notes
        -----
        -G^T H^{-1} G. Up to 2,000 parameters H is written down, by P backpropagations, and its eigenvalues
        found, O(P^3). Beyond, each dataset takes a run of conjugate gradients started at zero, with one
        backpropagation through the gradient a step. Those see negative curvature only where they go. Where
        training stopped early it is the response with the residual held fixed.
        """
        unit = checks.log_base(base)
        response: Float[np.ndarray, "datasets datasets"] = -self._derivatives().inner / unit + 0.0
        return response

    def balance(self, base: float = 2) -> Balance:
        """What sum_i n_i R_it lacks of zero for each t: parts of the regularizers and of the residual.

        Parameters and errors are those of `response`, and so is the cost.

        Returns
        -------
        Balance

        Examples
        --------
        >>> import torch
        >>> class Point(torch.nn.Module):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.x = torch.nn.Parameter(torch.zeros(()))
        >>> losses = [lambda point: (point.x - 1) ** 2, lambda point: (point.x + 1) ** 2]
        >>> decay = lambda point: point.x**2
        >>> balance = TrainedMixture(Point(), losses, [2, 1], regularizers=[(decay, 1)]).train().balance(np.e)
        >>> balance.defect, balance.regularizers
        (array([-0.09375,  0.15625]), array([-0.09375,  0.15625]))
        """
        unit = checks.log_base(base)
        here = self._derivatives()
        n = self.n_datasets
        weights = self._all_weights()
        pulls = here.gradients[:, n:] @ self._strengths
        return Balance(
            self._names,
            -(self._sizes @ here.inner) / unit,
            pulls @ here.moved / unit,
            -(here.gradients @ weights) @ here.moved / unit,
        )

    # Parts

    def _all_weights(self) -> Float[np.ndarray, "terms"]:
        return np.concatenate([self._sizes, self._strengths])

    def _relative(self) -> Float[np.ndarray, "terms"]:
        relative: Float[np.ndarray, "terms"] = self._all_weights() / self.total_size
        return relative

    def _derivatives(self) -> _Here:
        """At the module's parameters, once for as long as they stay."""
        refuse_random(self._terms.torch, self._module)
        terms = self._terms
        if self._here is None or self._here.version != terms.version:
            gradients, weights = terms.gradients(), self._relative()
            length = float(np.linalg.norm(terms.point))
            residual = float(np.linalg.norm(gradients @ weights))
            allowed = slack(residual, terms.size, length)
            found = curvature(terms, weights, DENSE).solve(
                gradients[:, : self.n_datasets], allowed, terms.labels
            )
            self._here = _Here(terms.version, gradients, *(each / self.total_size for each in found))
        return self._here

    def _summary(self) -> str:
        datasets = "dataset" if self.n_datasets == 1 else "datasets"
        return f"{self.n_datasets} {datasets}, {self.n_parameters:,} parameters"

    def __repr__(self) -> str:
        shown = [f"{name} {size:g}" for name, size in zip(self._names[:6], self._sizes, strict=False)]
        more = f" and {self.n_datasets - 6} more" if self.n_datasets > 6 else ""
        return f"TrainedMixture({self._summary()}: {', '.join(shown)}{more})"

    def _repr_html_(self) -> str:
        return display.table(
            ["dataset", "size"],
            self.n_datasets,
            lambda i: [self._names[i], float(self._sizes[i])],
            f"TrainedMixture: {self._summary()}",
        )


def _checked_sizes(value: Numbers, n: int) -> Float[np.ndarray, "datasets"]:
    sizes = checks.float_array("sizes", value).copy()
    if sizes.shape != (n,):
        raise ValueError(f"sizes has shape {sizes.shape}: must be ({n},), one number a loss")
    checks.nonnegative("sizes", sizes)
    with np.errstate(over="ignore"):
        total = sizes.sum()
    if not 0 < total < np.inf:
        raise ValueError(
            f"sizes sums to {total}: must be finite and > 0, for a model is trained on some data"
        )
    sizes.flags.writeable = False
    return sizes


def _callables(name: str, value: Any) -> list[Loss]:
    if callable(value) and not isinstance(value, Iterable):
        raise TypeError(f"{name} is a {type(value).__name__}: must be a sequence of callables")
    listed = list(value)
    for i, each in enumerate(listed):
        if not callable(each):
            raise TypeError(f"{name}[{i}] is a {type(each).__name__}: must be callable with the module")
    return listed


def _pairs(value: Any) -> tuple[list[Loss], Float[np.ndarray, "regularizers"]]:
    """Regularizers and their weights."""
    omegas, weights = [], []
    for k, pair in enumerate(value):
        if not isinstance(pair, tuple | list) or len(pair) != 2 or not callable(pair[0]):
            raise TypeError(f"regularizers[{k}] = {pair!r}: must be a callable and its weight")
        weight = checks.positive(f"regularizers[{k}][1]", pair[1])
        if weight.ndim:
            raise ValueError(f"regularizers[{k}][1] has shape {weight.shape}: must be one number")
        omegas.append(pair[0])
        weights.append(float(weight))
    return omegas, np.array(weights, np.float64)
