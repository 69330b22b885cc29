"""Losses and regularizers of one module, as functions of its flattened parameters.

Derivatives come from autograd at the module's parameters, second ones by differentiating twice. So a loss may
be any callable: it is called with the module, and need not be written for a functional transform.
"""

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

import numpy as np
from jaxtyping import Float

from .modules import Loss, torch_for

Product = Callable[[Float[np.ndarray, "parameters"]], Float[np.ndarray, "parameters"]]
"""Product of the Hessian with a vector."""

_ROWS = 64
"""Number of rows of a Hessian that are computed together."""


class Terms:
    """The terms of the sum, with the names that errors use."""

    def __init__(self, module: Any, terms: Sequence[Loss], labels: Sequence[str]) -> None:
        self.torch = torch_for("TrainedMixture")
        self.module, self.terms, self.labels = module, tuple(terms), tuple(labels)
        # Tied parameters are listed once.
        self.parameters = [each for each in module.parameters() if each.requires_grad]
        self.size: int = sum(each.numel() for each in self.parameters)

    # The point

    @property
    def point(self) -> Float[np.ndarray, "parameters"]:
        """The flattened parameters."""
        return self._row([each.detach() for each in self.parameters])

    @point.setter
    def point(self, row: Float[np.ndarray, "parameters"]) -> None:
        with self.torch.no_grad():
            at = 0
            for each in self.parameters:
                part = self.torch.from_numpy(row[at : at + each.numel()].copy())
                each.copy_(part.view_as(each))
                at += each.numel()

    @property
    def version(self) -> tuple[tuple[int, int], ...]:
        """A key that changes whenever a parameter is written to."""
        return tuple((id(each), each._version) for each in self.parameters)

    # Values and derivatives

    def check(self) -> None:
        """Refuse terms that do not depend on the module, are not finite, or differ from call to call."""
        first, again = self._tensors(), self._tensors()
        for label, one, two in zip(self.labels, first, again, strict=True):
            used = one.requires_grad and any(
                each is not None
                for each in self.torch.autograd.grad(
                    one, self.parameters, allow_unused=True, retain_graph=True
                )
            )
            if not used:
                raise ValueError(
                    f"{label} does not depend on any parameter of the module that it is called with: it must "
                    "compute with its argument, a copy of model, and not under no_grad"
                )
            if one.item() != two.item() and np.isfinite(one.item()):
                raise ValueError(
                    f"{label} = {one.item()}, and {two.item()} when called again: must be a function of the "
                    "module's parameters alone, without dropout or sampling"
                )
        self._finite([one.item() for one in first])

    def values(self) -> Float[np.ndarray, "terms"]:
        """The values of the terms."""
        return self._finite([each.item() for each in self._tensors()])

    def gradients(self) -> Float[np.ndarray, "parameters terms"]:
        """Gradients with a column per term."""
        tensors = self._tensors()
        self._finite([each.item() for each in tensors])
        columns: Float[np.ndarray, "parameters terms"] = np.stack(
            [self._row(self._grad(each, retain_graph=True)) for each in tensors], axis=1
        )
        return columns

    def weighted(self, weights: Float[np.ndarray, "terms"]) -> tuple[float, Float[np.ndarray, "parameters"]]:
        """The weighted sum and its gradient, which need not be finite."""
        total = self._total(weights)
        return total.item(), self._row(self._grad(total))

    def hessian(self, weights: Float[np.ndarray, "terms"]) -> Float[np.ndarray, "parameters parameters"]:
        """Gradient of the weighted sum."""
        slope = self._slope(weights)
        found = np.zeros((self.size, self.size))
        if slope.requires_grad:
            unit = self.torch.eye(self.size, dtype=slope.dtype, device=slope.device)
            for start in range(0, self.size, _ROWS):
                rows = slice(start, start + _ROWS)
                found[rows] = self._rows(slope, unit[rows])
        return (found + found.T) / 2

    def product(self, weights: Float[np.ndarray, "terms"]) -> Product:
        """The Hessian of the weighted sum at this point, as a product with vectors."""
        slope = self._slope(weights)

        def apply(vector: Float[np.ndarray, "parameters"]) -> Float[np.ndarray, "parameters"]:
            if not slope.requires_grad:
                return np.zeros(self.size)
            given = self.torch.as_tensor(np.ascontiguousarray(vector).ravel(), device=slope.device)
            return self._row(self._grad(slope, grad_outputs=given, retain_graph=True))

        return apply

    # Parts

    def _tensors(self) -> list[Any]:
        attention = import_module("torch.nn.attention")
        # Of torch's attention kernels only this one can be differentiated twice.
        with self.torch.enable_grad(), attention.sdpa_kernel(attention.SDPBackend.MATH):
            return [self._scalar(*each) for each in zip(self.labels, self.terms, strict=True)]

    def _scalar(self, label: str, term: Loss) -> Any:
        try:
            value = term(self.module)
        except Exception as error:
            error.add_note(
                f"{label} was called with a float64 copy of model: floating-point data in it must be float64"
            )
            raise
        if not isinstance(value, self.torch.Tensor):
            raise TypeError(f"{label} gives a {type(value).__name__}: must be a tensor of one number")
        if value.numel() != 1:
            raise ValueError(f"{label} gives a tensor of shape {tuple(value.shape)}: must be one number")
        if value.dtype != self.torch.float64:
            raise TypeError(f"{label} gives {value.dtype}: must be torch.float64, as the copy of model is")
        return value.reshape(())

    def _finite(self, values: list[float]) -> Float[np.ndarray, "terms"]:
        for label, value in zip(self.labels, values, strict=True):
            if not np.isfinite(value):
                raise ValueError(f"{label} = {value} at the model's parameters: must be finite")
        return np.array(values)

    def _total(self, weights: Float[np.ndarray, "terms"]) -> Any:
        with self.torch.enable_grad():
            return sum(weight * each for weight, each in zip(weights.tolist(), self._tensors(), strict=True))

    def _slope(self, weights: Float[np.ndarray, "terms"]) -> Any:
        with self.torch.enable_grad():
            parts = self._grad(self._total(weights), create_graph=True)
            return self.torch.cat([each.reshape(-1) for each in parts])

    def _grad(self, output: Any, **options: Any) -> list[Any]:
        """Gradient, zero for parameters that are not used."""
        found = self.torch.autograd.grad(output, self.parameters, allow_unused=True, **options)
        return [
            self.torch.zeros_like(each) if part is None else part
            for each, part in zip(self.parameters, found, strict=True)
        ]

    def _rows(self, slope: Any, unit: Any) -> Float[np.ndarray, "rows parameters"]:
        """Rows of a Hessian, computed together where torch supports it."""
        try:
            found = self.torch.autograd.grad(
                slope, self.parameters, unit, allow_unused=True, retain_graph=True, is_grads_batched=True
            )
        except RuntimeError:
            return np.stack(
                [self._row(self._grad(slope, grad_outputs=each, retain_graph=True)) for each in unit]
            )
        rows = len(unit)
        parts = [
            np.zeros((rows, each.numel())) if part is None else part.reshape(rows, -1).cpu().numpy()
            for each, part in zip(self.parameters, found, strict=True)
        ]
        together: Float[np.ndarray, "rows parameters"] = np.concatenate(parts, axis=1)
        return together

    def _row(self, parts: Sequence[Any]) -> Float[np.ndarray, "parameters"]:
        joined = self.torch.cat([each.detach().reshape(-1) for each in parts])
        row: Float[np.ndarray, "parameters"] = joined.cpu().numpy()
        return row
