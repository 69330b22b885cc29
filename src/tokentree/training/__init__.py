"""Training runs: what the law says of them, and the token tree as their mixing law."""

from .law import Choice, LawScore, MixingLaw
from .own import own_runs
from .runs import Monotonicity, TrainingRuns

__all__ = ["Choice", "LawScore", "MixingLaw", "Monotonicity", "TrainingRuns", "own_runs"]
