"""Training runs and trained models: tests of the law on them, and the token tree as a mixing law."""

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
from .trained import Balance, Residual, TrainedMixture
from .tree_losses import ids_loss, tree_loss

__all__ = ["AdditiveLaw", "Balance", "BiMixLaw", "CapacityLaw", "Choice", "Comparison", "ExponentialLaw"]
__all__ += ["FineTuningResponse", "FluctuationResponse", "Law", "LawScore", "LinearLaw", "LogLaw"]
__all__ += ["MixingLaw", "Monotonicity", "PowerLaw", "Residual", "TrainedMixture", "TrainingRuns"]
__all__ += ["adam_preconditioner", "compare", "fine_tuning_response", "fluctuation_response", "ids_loss"]
__all__ += ["own_runs", "tree_loss"]
__dir__ = __all__.copy
