"""The laws that a Pareto tail is compared with, by name."""

from .exponential import Exponential, StretchedExponential
from .law import Alternative
from .lognormal import Lognormal
from .truncated import TruncatedPowerLaw

LAWS: dict[str, type[Alternative]] = {
    "lognormal": Lognormal,
    "exponential": Exponential,
    "stretched exponential": StretchedExponential,
    "truncated power law": TruncatedPowerLaw,
}
