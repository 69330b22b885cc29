r"""How training moves a model: along one line, at two speeds.

Training a model q on data distributed as p moves it along the straight segment from q to p, to
(1 - s) q + s p. The distance depends on the regime:

- *counts*, joint training: n examples after T others move it by s = n / (T + n);
- *fine-tuning*, the natural-gradient flow with a fixed step eta: every example moves it by the fraction eta,
  so s = 1 - (1 - eta)^n, independently of what came before.
"""

import math
from typing import Any, Literal

import numpy as np
from jaxtyping import Float

from .._lib import checks
from ..mixtures import Mixture, no_mixture

Regime = Literal["counts", "fine-tuning"]

REGIMES: tuple[Regime, Regime] = ("counts", "fine-tuning")
"""The first axis of every simulation."""


def roles_of(mixture: Mixture, *datasets: int | str) -> list[int]:
    """Positions of D_p, D_a and, if given, D_t."""
    if not isinstance(mixture, Mixture):
        no_mixture("mixture", mixture)
    return mixture.roles(**dict(zip(("pretrain", "align", "perturb"), datasets, strict=False)))


def speed_of(step: Any) -> float:
    """-log(1 - step)."""
    value = checks.float_array("step", step)
    if value.ndim or not 0 < value < 1:
        raise ValueError(f"step = {step!r}: must lie between 0 and 1")
    return -math.log1p(-float(value))


def move(examples: Any, total: Any, speed: float | None) -> tuple[Any, Any]:
    """1 - s and s after `examples`, with `total` examples before them; arrays broadcast."""
    n = np.asarray(examples, np.float64)
    if speed is None:
        return total / (total + n), n / (total + n)
    return np.exp(-n * speed), -np.expm1(-n * speed)


def growing(name: str, value: Any) -> Float[np.ndarray, "values"]:
    """At least two finite numbers >= 0, increasing."""
    array = checks.float_array(name, value)
    if array.ndim != 1 or array.size < 2:
        raise ValueError(f"{name} has shape {array.shape}: must be one-dimensional with at least 2 entries")
    checks.nonnegative(name, array)
    if not (np.diff(array) > 0).all():
        checks.fail_at(name, array, np.diff(array, prepend=-1.0) <= 0, "must be larger than the one before")
    return array
