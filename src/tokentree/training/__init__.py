"""Training runs and trained models: what the law says of them, and the token tree as their mixing law."""

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
__all__ += ["Law", "LawScore", "LinearLaw", "LogLaw", "MixingLaw", "Monotonicity", "PowerLaw", "Residual"]
__all__ += ["TrainedMixture", "TrainingRuns", "compare", "ids_loss", "own_runs", "tree_loss"]
