"""Training runs: what the law says of them, and the token tree as their mixing law."""

from .law import Choice, MixingLaw
from .laws import (
    AdditiveLaw,
    BiMixLaw,
    CapacityLaw,
    Comparison,
    ExponentialLaw,
    LinearLaw,
    LogLaw,
    PowerLaw,
    compare,
)
from .runs import Monotonicity, TrainingRuns
from .scores import Law, LawScore

__all__ = [
    "AdditiveLaw",
    "BiMixLaw",
    "CapacityLaw",
    "Choice",
    "Comparison",
    "ExponentialLaw",
    "Law",
    "LawScore",
    "LinearLaw",
    "LogLaw",
    "MixingLaw",
    "Monotonicity",
    "PowerLaw",
    "TrainingRuns",
    "compare",
]
