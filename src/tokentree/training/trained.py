r"""A trained model as a mixture: its rates, and their response to the sizes of the data.

The token tree can represent any distribution over its leaves. A module instead has parameters theta and a
loss L_i(theta) on every dataset, and is trained on

    F(theta) = sum_i n_i L_i(theta) + sum_k lambda_k Omega_k(theta).

At a minimum, with H the Hessian of F and the gradients g_i of L_i as columns of G,

    R = -G^T H^{-1} G,    R_it = d gamma_i / d n_t:

the minimum moves by -H^{-1} g_t as n_t grows (the influence function; Koh and Liang 2017). So R is symmetric
and negative semidefinite, like that of a `Mixture`. A regularizer acts as one more dataset, of size lambda:
its loss responds too. So the balance sum_i n_i R_it is not zero but

    sum_i n_i R_it = -sum_k lambda_k dOmega_k/dn_t - e^T H^{-1} g_t,

where e is the gradient of F, nonzero if training stopped early. If e is held fixed as sizes change, R is
still -G^T H^{-1} G there, and the two parts add up exactly.
"""

from collections.abc import Iterable, Mapping, Sequence
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
    """The gradient of F that remains after training. Made by `TrainedMixture.residual`.

    Attributes
    ----------
    gradient : float array, shape (P,)
        e, the gradient of F, in nats.
    norm : float
        Its norm.
    relative : float
        The norm divided by the total size, which `TrainedMixture.train` makes small.
    """

    gradient: Float[np.ndarray, "parameters"]
    norm: float
    relative: float

    def _columns(self) -> tuple[dict[str, Any]]:
        return ({"norm": [self.norm], "relative": [self.relative]},)


@dataclass(frozen=True, eq=False, repr=False)
class Balance(Result):
    """The deviation of sum_i n_i R_it from zero, and its causes. Made by `TrainedMixture.balance`.

    Attributes
    ----------
    names : tuple of str
        The datasets, t.
    defect : float array, shape (N,)
        sum_i n_i R_it, from the response itself.
    regularizers : float array, shape (N,)
        -sum_k lambda_k dOmega_k/dn_t, the part due to the regularizers.
    residual : float array, shape (N,)
        -e^T H^{-1} g_t, the part due to a nonzero gradient e of F.

    Notes
    -----
    The two parts add up to the defect, up to rounding. `to_frame` has one row per dataset.
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
    r"""Datasets on which a torch module is trained: its rates, and their response to the sizes.

    Parameters
    ----------
    model : torch.nn.Module
        It is copied, with parameters and buffers in float64, and left unchanged: the copy, `module`, is
        trained. Parameters with ``requires_grad=False`` stay frozen; tied ones are one parameter.
    losses : iterable of N callables, or a mapping of names to them
        One per dataset, from the module to a tensor of one number in nats, twice differentiable in the
        parameters and the same at every call: `tree_loss`, `ids_loss`, or your own, with float64 data.
    sizes : array_like, shape (N,), or a mapping of names to sizes
        The n_i in any unit, finite and >= 0, not all zero. A dataset of size zero is a task: it is not
        trained on, but its rate responds.
    names : N distinct strings, optional
        Default: those of a mapping, else "D1", "D2", ...
    regularizers : iterable of (omega, weight) pairs
        Callables as in `losses`, with weights lambda > 0 in the unit of the sizes: weight decay, a KL penalty
        to a reference, an anchor.

    Raises
    ------
    ValueError
        If a size, a weight or a name is not as described above; if a submodule is in training mode with
        dropout or batch normalisation; if a loss is not finite, uses no parameter of the module, does not
        give a single number, or differs from call to call.
    TypeError
        If the model is not a module or has complex parameters, or a loss does not give a float64 tensor.
    ImportError
        If torch is not installed.

    Notes
    -----
    The law of joint compression does not need a token tree: for any model the minimum of F is concave in the
    sizes, and the rates are its slopes. So `rates` and `response` are the analogues of those of `Mixture`, by
    default in bits too, for a module at a minimum. A network's symmetries make H singular but do no harm: the
    pseudo-inverse gives the same R. Every flat direction orthogonal to all gradients is treated as a
    symmetry.

    A model in float32 is converted as it is. A module that computes internally in float32 or less keeps that
    rounding, and its gradient will not fall below about 10^-7 of its terms. Attention is computed by torch's
    plain kernel, since others cannot be differentiated twice. Modules are used in the mode, training or
    evaluation, in which they are given.

    Examples
    --------
    An unconstrained distribution over three symbols is the token tree of depth 1.

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
        losses: Iterable[Loss] | Mapping[str, Loss],
        sizes: Annotated[Numbers, "datasets"] | Mapping[str, float],
        names: Iterable[str] | None = None,
        *,
        regularizers: Iterable[tuple[Loss, float]] = (),
    ) -> None:
        losses, names = checks.named(losses, names)
        listed = _callables("losses", losses)
        if not listed:
            raise ValueError("losses is empty: must be one callable per dataset")
        self._names = checks.distinct_names(names, len(listed), "dataset", "D")
        self._sizes = _checked_sizes(sizes, len(listed), None if names is None else self._names)
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

    # The arguments

    @property
    def module(self) -> Any:
        """The float64 copy that is trained. You may also train it yourself: derivatives follow."""
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
        """Number P of trained parameters."""
        return self._terms.size

    def index(self, dataset: int | str, name: str = "dataset") -> int:
        """Position of a dataset given by position or name; `name` is what errors call it."""
        return dataset_index(name, dataset, self.n_datasets, self._names)

    def roles(self, **datasets: int | str) -> list[int]:
        """Positions of several datasets, all different; as `Mixture.roles`."""
        return checks.different(datasets, self.index)

    # Training

    def train(
        self, tolerance: float = _TOLERANCE, *, steps: int = _STEPS, progress: bool = False
    ) -> "TrainedMixture":
        """Move the module to a minimum of F, from where it is.

        Parameters
        ----------
        tolerance : float
            Largest norm of the gradient of F divided by the total size T.
        steps : int
            Largest number of L-BFGS steps; trust regions take at most a tenth as many each time they are
            used.
        progress : bool
            Show the gradient on stderr once training takes more than two seconds.

        Returns
        -------
        TrainedMixture
            This object.

        Raises
        ------
        ArithmeticError
            If the gradient is larger at the end. The module keeps the best point: call again to continue.
        ValueError
            If `tolerance` is not finite and > 0, ``steps < 1``, or a loss is not finite where training
            starts.

        Notes
        -----
        SciPy's L-BFGS, then its trust-region methods, with the full Hessian up to 1,000 parameters (P
        backpropagations and O(P^3) per step) and its products with vectors beyond, and Newton steps at the
        end. Every step uses all data. Saddles are escaped up to 1,000 parameters; beyond, `response` reports
        if the model is at one. The minimum found is a local one.
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
                f"{tolerance:g} (F's own is {norm * self.total_size:.2g}): call train again to continue from "
                "here, with more steps, a larger tolerance, or a stronger regularizer; response and balance "
                "hold with the remaining gradient held fixed"
            )
        return self

    def with_sizes(
        self,
        sizes: Annotated[Numbers, "datasets"] | Mapping[str, float],
        *,
        tolerance: float | None = None,
        steps: int = _STEPS,
        progress: bool = False,
    ) -> "TrainedMixture":
        """The same datasets with other sizes, trained from this model's parameters; this model is unchanged.

        Parameters
        ----------
        sizes : array_like, shape (N,), or a mapping of names to sizes
            Datasets that a mapping does not name keep their sizes.
        tolerance : float, optional
            Default: that of the last training.
        steps, progress
            As for `train`, including its errors.

        Returns
        -------
        TrainedMixture
            It has its own module; losses and regularizers are shared.
        """
        other = copy(self)
        if isinstance(sizes, Mapping):
            sizes = {**dict(zip(self._names, self._sizes, strict=True)), **sizes}
        other._sizes = _checked_sizes(sizes, self.n_datasets, self._names)
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
        """Losses gamma_i of the module, in bits by default, or in nats with ``base=math.e``.

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
        """F, including regularizers; at a minimum dF/dn_i is the rate of dataset i."""
        unit = checks.log_base(base)
        refuse_random(self._terms.torch, self._module)
        return float(self._all_weights() @ self._terms.values()) / unit

    def response(self, base: float = 2) -> Float[np.ndarray, "datasets datasets"]:
        r"""R[i, t] = d gamma_i / d n_t, how the rate of dataset i changes as dataset t grows.

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
            If F has negative curvature beyond rounding, as at a saddle or a maximum; or if a gradient lies
            outside the Hessian's range, so that there is no minimum to respond to its size.
        ValueError
            If ``base <= 1``, or a loss is not finite.

        Notes
        -----
        The response is -G^T H^{-1} G. Up to 2,000 parameters H is formed by P backpropagations and
        diagonalised in O(P^3). Beyond, each dataset takes a run of conjugate gradients started at zero, with
        one backpropagation through the gradient per step; negative curvature is then detected only along
        their path. If training stopped early, this is the response with the residual held fixed.
        """
        unit = checks.log_base(base)
        response: Float[np.ndarray, "datasets datasets"] = -self._derivatives().inner / unit + 0.0
        return response

    def balance(self, base: float = 2) -> Balance:
        """The balance sum_i n_i R_it for each t, and its parts due to the regularizers and the residual.

        Parameters, errors and cost are those of `response`.

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
        """Derivatives at the module's parameters, cached until these change."""
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


def _checked_sizes(
    value: Numbers | Mapping[str, float], n: int, names: Sequence[str] | None
) -> Float[np.ndarray, "datasets"]:
    sizes = checks.float_array("sizes", checks.by_name("sizes", value, names)).copy()
    if sizes.shape != (n,):
        raise ValueError(f"sizes has shape {sizes.shape}: must be ({n},), one number per loss")
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
