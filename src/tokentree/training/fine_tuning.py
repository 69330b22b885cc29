r"""The effect of one short step of fine-tuning on a dataset on the losses on all datasets.

A step of size eta on dataset t changes the parameters by -eta P g_t, with g_t the gradient of its loss and P
the preconditioner, and so changes the loss on dataset i by

    -eta g_i^T P g_t + O(eta^2).

Only gradients are needed, so modules may be of any size.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from .._lib import checks
from .._lib.results import Result, points
from .modules import Loss, loss_at, refuse_random, same_buffers, torch_for, trainable

Preconditioner = Mapping[str, Any] | Callable[[dict[str, Any]], Mapping[str, Any]]
"""A diagonal for each parameter, or a function from gradients to the direction of a step."""

_CHUNK = 2**20
"""Number of gradient entries widened to float64 at a time."""


@dataclass(frozen=True, eq=False, repr=False)
class FineTuningResponse(Result):
    r"""The effect of short steps of fine-tuning on losses; made by `fine_tuning_response`.

    Attributes
    ----------
    names : tuple of N str
        The datasets.
    rates : float array, shape (N,)
        The losses of the module as it is, in the requested unit.
    response : float array, shape (N, N)
        -g_i^T P g_t, with a row per loss and a column per dataset grown: the change of the loss on i per unit
        of step size on t, where steps minimise the loss in nats. In the requested unit.
    norms : float array, shape (N,)
        Norms sqrt(g_i^T P g_i) of the gradients in the metric P, in nats; NaN where the square is negative.
    cosines : float array, shape (N, N)
        Cosines of the angles between gradients in that metric; NaN for a gradient of norm zero.

    Notes
    -----
    `to_frame` has one row per pair, without `rates` and `norms`: its index is (loss, grown).
    """

    names: tuple[str, ...]
    rates: Float[np.ndarray, "datasets"]
    response: Float[np.ndarray, "datasets datasets"]
    norms: Float[np.ndarray, "datasets"]
    cosines: Float[np.ndarray, "datasets datasets"]

    def _columns(self) -> tuple[Mapping[str, Any], *tuple[str, ...]]:
        axes = {"loss": self.names, "grown": self.names}
        return points(axes, response=self.response, cosine=self.cosines)


def fine_tuning_response(
    model: Any,
    losses: Iterable[Loss] | Mapping[str, Loss],
    names: Iterable[str] | None = None,
    *,
    preconditioner: Preconditioner | None = None,
    base: float = 2,
) -> FineTuningResponse:
    r"""How the losses of a torch module respond to one short step of fine-tuning on each dataset.

    A step theta - eta P g_t on dataset t changes the loss on dataset i by eta times the response R_it =
    -g_i^T P g_t, to first order in eta. It is symmetric for symmetric P, and negative semidefinite for P that
    is positive semidefinite. A dataset at its own optimum has g_i = 0: to first order no step changes its
    loss, and a step on it changes none.

    It is not the response of models trained to their optimum, -G^T H^{-1} G: R_it is per unit of step size,
    R n is not 0 for the sizes n of the data, and no conservation law holds in the true sizes.

    Parameters
    ----------
    model : torch.nn.Module
        On any device, in any real dtype. It is left unchanged, gradients and buffers included. Parameters
        that do not require a gradient are left out, and a shared parameter counts once.
    losses : N callables, or a mapping of names to them
        Each takes `model` and returns its loss on a dataset as a scalar tensor in nats, the same at every
        call.
    names : N distinct strings, optional
        Names of the datasets. Default: those of a mapping, else "D1", "D2", ...
    preconditioner : mapping or callable, optional
        P, by default the identity, as for plain gradient descent. A mapping is a diagonal: for the name of
        every parameter that requires a gradient, as ``model.named_parameters()`` has it, a number or a tensor
        of the parameter's shape, finite and >= 0; `adam_preconditioner` makes one. A callable takes a
        dictionary of gradients by these names and returns the direction P g in the same form; it need not be
        linear or symmetric.
    base : float
        2 for bits, ``math.e`` for nats: the unit of `rates` and `response`.

    Returns
    -------
    FineTuningResponse

    Raises
    ------
    ValueError
        If a submodule in training mode has dropout, a loss or a gradient is not finite, a loss is not a
        scalar or has no gradient, no parameter requires a gradient, or the preconditioner lacks a parameter
        or has one of the wrong shape.
    TypeError
        If the model is not a torch module, or a loss is not a callable that returns a real tensor.
    ImportError
        If torch is not installed; the extra ``transformers`` includes it.

    Notes
    -----
    One forward and one backward pass per loss, then O(N^2 P) for P parameters. N gradients are held, in the
    parameters' dtype and on their devices; products are summed in float64. A parameter that a loss does not
    use has gradient zero. Dropout is recognised by its rate, in torch's own modules or as an attribute of
    others; other randomness in a loss is not detected. Modules wrapped to run on several devices at once, as
    in ``DistributedDataParallel``, must be unwrapped.

    Examples
    --------
    >>> import math, torch
    >>> model = torch.nn.Linear(2, 1, bias=False, dtype=torch.float64)
    >>> model.weight.data = torch.tensor([[1.0, 2.0]], dtype=torch.float64)
    >>> losses = [lambda m: (m.weight**2).sum() / 2, lambda m: m.weight[0, 0]]
    >>> found = fine_tuning_response(model, losses, base=math.e)
    >>> found.response
    array([[-5., -1.],
           [-1., -1.]])
    >>> diagonal = {"weight": torch.tensor([[0.0, 0.5]])}
    >>> fine_tuning_response(model, losses, preconditioner=diagonal, base=math.e).response
    array([[-2.,  0.],
           [ 0.,  0.]])
    """
    unit = checks.log_base(base)
    torch = torch_for("fine_tuning_response")
    parameters = trainable(torch, model)
    losses, names = checks.named(losses, names)
    listed = checks.items("losses", losses, "must be a sequence of callables")
    if not listed:
        raise ValueError("losses is empty: must be at least one callable")
    for i, loss in enumerate(listed):
        if not callable(loss):
            raise TypeError(f"losses[{i}] is a {type(loss).__name__}: must be a callable of the module")
    labels = checks.distinct_names(names, len(listed), "loss", "D")
    refuse_random(torch, model, batches=False)
    metric = preconditioner
    if metric is not None and not callable(metric):
        metric = _diagonal(torch, metric, parameters, model)
    rates, gradients = np.empty(len(listed)), []
    # Leaving inference mode also leaves torch.no_grad().
    with torch.inference_mode(False):
        for i, loss in enumerate(listed):
            with same_buffers(torch, model):
                value = loss_at(torch, f"losses[{i}]", loss, model)
                gradients.append(_gradient(torch, f"losses[{i}]", value, parameters))
            rates[i] = value.item()
    with torch.no_grad():
        products = _products(torch, gradients, metric)
    squares = products.diagonal()
    norms = np.sqrt(np.where(squares >= 0, squares, np.nan))
    lengths = np.where(norms > 0, norms, np.nan)
    # Subtracting from zero leaves no -0.0.
    response = 0.0 - products / unit
    return FineTuningResponse(labels, rates / unit, response, norms, products / np.outer(lengths, lengths))


def adam_preconditioner(model: Any, optimizer: Any) -> dict[str, Any]:
    r"""The diagonal by which Adam scales gradients, 1 / (sqrt(v_hat) + eps), from the optimiser's state.

    v_hat are the bias-corrected second moments, or their maxima with ``amsgrad=True``. They are held fixed,
    whereas Adam would first add the square of the new gradient; momentum, weight decay and the learning rate,
    which is the step size eta, are left out. If groups have different learning rates, multiply by these.

    Parameters
    ----------
    model : torch.nn.Module
    optimizer : torch.optim.Adam or AdamW
        Or any other that keeps ``step`` and ``exp_avg_sq`` per parameter, and ``betas`` and ``eps`` per
        group. It must have made a step.

    Returns
    -------
    dict
        For the name of every parameter that requires a gradient, a tensor of its shape, to be passed to
        `fine_tuning_response` as `preconditioner`.

    Raises
    ------
    ValueError
        If the optimiser has no second moments for a parameter that requires a gradient.
    TypeError
        If the model is not a torch module.
    ImportError
        If torch is not installed; the extra ``transformers`` includes it.

    Notes
    -----
    O(P) time and memory. Kingma and Ba (2015), "Adam: a method for stochastic optimization", algorithm 1.

    Examples
    --------
    >>> import torch
    >>> model = torch.nn.Linear(2, 1, bias=False)
    >>> optimizer = torch.optim.Adam(model.parameters(), eps=0)
    >>> (model.weight @ torch.tensor([2.0, -4.0])).sum().backward()
    >>> optimizer.step()
    >>> adam_preconditioner(model, optimizer)
    {'weight': tensor([[0.5000, 0.2500]])}
    """
    torch = torch_for("adam_preconditioner")
    parameters = trainable(torch, model)
    groups = {id(each): group for group in optimizer.param_groups for each in group["params"]}
    diagonal = {}
    for name, each in parameters.items():
        state = optimizer.state.get(each, {})
        moments = state.get("max_exp_avg_sq", state.get("exp_avg_sq"))
        if id(each) not in groups or moments is None:
            raise ValueError(
                f"optimizer has no second moments of {name!r}: it must be an Adam of this model that has "
                "made a step with a gradient of it; freeze what is not trained with requires_grad_(False)"
            )
        group = groups[id(each)]
        bias = 1 - group["betas"][1] ** float(state["step"])
        diagonal[name] = 1 / ((moments.detach() / bias).sqrt() + group["eps"])
    return diagonal


def _gradient(torch: Any, place: str, value: Any, parameters: dict[str, Any]) -> dict[str, Any]:
    """Gradient of the loss by the name of each parameter."""
    found = torch.autograd.grad(value, list(parameters.values()), allow_unused=True)
    gradient = {}
    for (name, each), part in zip(parameters.items(), found, strict=True):
        if part is None:
            part = torch.zeros_like(each)
        part = part.detach()
        gradient[name] = part.to_dense() if part.is_sparse else part
        if not torch.isfinite(gradient[name]).all():
            raise ValueError(f"{place} has a gradient by {name!r} that is not finite: it must be")
    return gradient


def _diagonal(torch: Any, given: Mapping[str, Any], parameters: dict[str, Any], model: Any) -> dict[str, Any]:
    """The preconditioner's diagonal as tensors of the parameters' shapes."""
    known = dict(model.named_parameters(remove_duplicate=False))
    for name in given:
        if name not in known:
            raise ValueError(f"preconditioner has {name!r}: the model has no such parameter")
    diagonal = {}
    for name, each in parameters.items():
        if name not in given:
            raise ValueError(f"preconditioner lacks {name!r}: it must have all parameters that are trained")
        part = torch.as_tensor(given[name], device=each.device).detach()
        if part.shape not in ((), each.shape):
            raise ValueError(
                f"preconditioner[{name!r}] has shape {tuple(part.shape)}: must be () or {tuple(each.shape)}"
            )
        bad = ~((part >= 0) & torch.isfinite(part))
        if bad.any():
            raise ValueError(
                f"preconditioner[{name!r}] has an entry {part[bad][0].item()}: must be finite and >= 0"
            )
        diagonal[name] = part.expand(each.shape)
    return diagonal


def _products(
    torch: Any, gradients: list[dict[str, Any]], metric: Any
) -> Float[np.ndarray, "datasets datasets"]:
    """The matrix with entries g_i^T P g_t."""
    if callable(metric):
        columns = [
            _inner(torch, gradients, [_direction(torch, t, metric, gradient)], None)
            for t, gradient in enumerate(gradients)
        ]
        across: Float[np.ndarray, "datasets datasets"] = np.hstack(columns)
        return across
    products = _inner(torch, gradients, gradients, metric)
    # Rounding may differ between the two halves.
    symmetric: Float[np.ndarray, "datasets datasets"] = (products + products.T) / 2
    return symmetric


def _direction(torch: Any, t: int, metric: Any, gradient: dict[str, Any]) -> Mapping[str, Any]:
    """P g_t, computed from copies, because a preconditioner may work in place."""
    found = metric({name: part.clone() for name, part in gradient.items()})
    if not isinstance(found, Mapping) or set(found) != set(gradient):
        given = sorted(found) if isinstance(found, Mapping) else type(found).__name__
        raise ValueError(f"preconditioner returned {given!r}: must be a mapping with the names it was given")
    for name, part in found.items():
        shape = tuple(gradient[name].shape)
        if not isinstance(part, torch.Tensor) or tuple(part.shape) != shape:
            raise ValueError(f"preconditioner returned no tensor of shape {shape} for {name!r}: it must")
        if not torch.isfinite(part).all():
            raise ValueError(f"preconditioner(gradient of losses[{t}])[{name!r}] is not finite: it must be")
    return found


def _inner(
    torch: Any,
    rows: list[dict[str, Any]],
    columns: list[Mapping[str, Any]] | list[dict[str, Any]],
    diagonal: dict[str, Any] | None,
) -> Float[np.ndarray, "rows columns"]:
    """Inner products of gradients, summed in float64 whatever their dtype."""
    total = np.zeros((len(rows), len(columns)))
    for name in rows[0]:
        flat = [part[name].reshape(-1) for part in rows]
        across = flat if columns is rows else [part[name].reshape(-1) for part in columns]
        scale = None if diagonal is None else diagonal[name].reshape(-1)
        for start in range(0, len(flat[0]), _CHUNK):
            piece = slice(start, start + _CHUNK)
            left = torch.stack([each[piece].double() for each in flat])
            right = left if across is flat else torch.stack([each[piece].double() for each in across])
            scaled = left if scale is None else left * scale[piece].double()
            total += (scaled @ right.T).cpu().numpy()
    return total
