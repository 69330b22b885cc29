"""Published and own training runs: what joint compression's law says of models that were trained."""

from .runs import Monotonicity, TrainingRuns

__all__ = ["Monotonicity", "TrainingRuns"]
