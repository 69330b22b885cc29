"""Training runs: what the law says of them, and the token tree as their mixing law."""

from .law import Choice, MixingLaw
from .runs import Monotonicity, TrainingRuns
from .scores import Law, LawScore

__all__ = ["Choice", "Law", "LawScore", "MixingLaw", "Monotonicity", "TrainingRuns"]
