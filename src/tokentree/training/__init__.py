"""Training runs: what the law says of them, the token tree as their mixing law, and other laws beside it."""

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
from .own import own_runs
from .runs import Monotonicity, TrainingRuns
from .scores import Law, LawScore

__all__ = ["AdditiveLaw", "BiMixLaw", "CapacityLaw", "Choice", "Comparison", "ExponentialLaw", "Law"]
__all__ += ["LawScore", "LinearLaw", "LogLaw", "MixingLaw", "Monotonicity", "PowerLaw", "TrainingRuns"]
__all__ += ["compare", "own_runs"]
