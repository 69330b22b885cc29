"""The user's module as a float64 copy whose losses are functions of its parameters alone."""

from copy import deepcopy
from typing import Any

from .._lib.frames import optional

WANTED = "TrainedMixture"


def torch_for(wanted: str = WANTED) -> Any:
    """Torch, which `wanted` needs."""
    return optional("torch", "transformers", wanted)


def float64_copy(model: Any) -> Any:
    """A copy with parameters and buffers in float64; the model itself is left as it is."""
    torch = torch_for()
    if not isinstance(model, torch.nn.Module):
        raise TypeError(f"model is a {type(model).__name__}: must be a torch.nn.Module")
    for name, parameter in model.named_parameters():
        if not parameter.is_floating_point():
            raise TypeError(f"model.{name} has dtype {parameter.dtype}: parameters must be real numbers")
    refuse_random(model)
    copied = deepcopy(model).double()
    if not any(parameter.requires_grad for parameter in copied.parameters()):
        raise ValueError("model has no parameter with requires_grad=True: there is nothing to train")
    return copied


def refuse_random(model: Any) -> None:
    """Refuse submodules whose output is drawn at random, or changes with what they were fed before."""
    for name, module in model.named_modules():
        if module.training and (why := _unsteady(module)):
            place = f"model.{name}" if name else "model"
            raise ValueError(
                f"{place} is a {type(module).__name__} in training mode, {why}: call model.eval(), or "
                f"{place}.eval()"
            )


def _unsteady(module: Any) -> str:
    """Why a module in training mode is no function of its parameters and input; empty if it is one."""
    nn = torch_for().nn
    random = "where its output is drawn at random"
    if isinstance(module, nn.modules.dropout._DropoutNd):
        return random if module.p > 0 else ""
    if isinstance(module, nn.modules.batchnorm._NormBase):
        per_batch = isinstance(module, nn.modules.batchnorm._BatchNorm) or module.track_running_stats
        return "where it depends on the rest of the batch and keeps averages" if per_batch else ""
    dropout = getattr(module, "dropout", 0.0)
    drops = isinstance(dropout, float) and dropout > 0
    return random if drops or isinstance(module, nn.RReLU) else ""
