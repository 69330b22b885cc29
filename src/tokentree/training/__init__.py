"""Training runs: what the law says of them, the token tree as their mixing law, and other laws beside it."""

from .fine_tuning import FineTuningResponse, adam_preconditioner, fine_tuning_response
from .fluctuations import FluctuationResponse, fluctuation_response
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

__all__ = ["AdditiveLaw", "BiMixLaw", "CapacityLaw", "Choice", "Comparison", "ExponentialLaw"]
__all__ += ["FineTuningResponse", "FluctuationResponse", "Law", "LawScore", "LinearLaw", "LogLaw"]
__all__ += ["MixingLaw", "Monotonicity", "PowerLaw", "TrainingRuns", "adam_preconditioner", "compare"]
__all__ += ["fine_tuning_response", "fluctuation_response", "own_runs"]
