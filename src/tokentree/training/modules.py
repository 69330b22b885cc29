"""Checks of a torch module before its losses are differentiated."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from typing import Any

from .._lib.frames import optional

Loss = Callable[[Any], Any]
"""A function from a torch module to a tensor of one number, in nats."""


def torch_for(wanted: str) -> Any:
    """The package torch, loaded when needed."""
    return optional("torch", "transformers", wanted)


def trainable(torch: Any, model: Any) -> dict[str, Any]:
    """The trainable parameters of the module by name; a shared one by its first name."""
    if not isinstance(model, torch.nn.Module):
        raise TypeError(f"model is a {type(model).__name__}: must be a torch.nn.Module")
    found = {name: each for name, each in model.named_parameters() if each.requires_grad}
    if not found:
        raise ValueError("model has no parameter that requires a gradient: at least one must")
    for name, each in found.items():
        if not each.is_floating_point():
            raise TypeError(f"model.{name} has dtype {each.dtype}: parameters must be real")
    return found


def float64_copy(torch: Any, model: Any) -> Any:
    """A copy with parameters and buffers in float64; the model itself is unchanged."""
    trainable(torch, model)
    return deepcopy(model).double()


def refuse_random(torch: Any, model: Any, *, batches: bool = True) -> None:
    """Refuse random submodules and, unless told otherwise, those that depend on the batch."""
    for name, module in model.named_modules():
        if module.training and (
            why := _random(torch, module) or (_batched(torch, module) if batches else "")
        ):
            place = f"model.{name}" if name else "model"
            raise ValueError(
                f"{place} is a {type(module).__name__} in training mode, {why}: call model.eval(), or "
                f"{place}.eval()"
            )


def _random(torch: Any, module: Any) -> str:
    """Why every call of the module gives a different loss; empty if it does not."""
    if isinstance(module, torch.nn.RReLU):
        return "where its slopes are random"
    # Some apply dropout through a function, at a rate kept as a number.
    rates = {key: value for key, value in vars(module).items() if "drop" in key.lower()}
    if isinstance(module, torch.nn.modules.dropout._DropoutNd):
        rates["p"] = module.p
    for key, value in rates.items():
        # At a rate of 1 nothing is random.
        if isinstance(value, float) and 0 < value < 1:
            return f"where {key} = {value} gives every call a different loss"
    return ""


def _batched(torch: Any, module: Any) -> str:
    """Why the module is not a function of its parameters and one input alone; empty if it is."""
    norms = torch.nn.modules.batchnorm
    if not isinstance(module, norms._NormBase):
        return ""
    per_batch = isinstance(module, norms._BatchNorm) or module.track_running_stats
    return "where it depends on the rest of the batch and keeps averages" if per_batch else ""


def loss_at(torch: Any, place: str, loss: Loss, model: Any) -> Any:
    """The loss of the module with its graph: a finite number that depends on parameters."""
    value = loss(model)
    if not isinstance(value, torch.Tensor):
        raise TypeError(f"{place} returned a {type(value).__name__}: must be a scalar tensor")
    if value.shape != ():
        raise ValueError(f"{place} returned a tensor of shape {tuple(value.shape)}: must be a scalar, ()")
    if not value.is_floating_point():
        raise TypeError(f"{place} returned a tensor of {value.dtype}: must be a real number")
    if not torch.isfinite(value):
        raise ValueError(f"{place} = {value.item()}: must be finite")
    if not value.requires_grad:
        raise ValueError(
            f"{place} returned a tensor without a gradient: it must be computed from parameters that require "
            "one, and neither detached nor under torch.no_grad()"
        )
    return value


@contextmanager
def same_buffers(torch: Any, model: Any) -> Iterator[None]:
    """Restore the buffers afterwards: batch normalisation counts every batch that it sees."""
    kept = [
        (module, name, buffer, buffer.detach().clone())
        for module in model.modules()
        for name, buffer in module._buffers.items()
        if buffer is not None
    ]
    try:
        yield
    finally:
        for module, name, buffer, copy in kept:
            # Its version number does not help: batch normalisation bypasses it.
            if not torch.equal(buffer, copy):
                buffer.detach().copy_(copy)
            module._buffers[name] = buffer
