"""A language model and its data: rates, modelled depth, and n-gram models for comparison."""

from .depth import ModelledDepth, modelled_depth
from .ngram import NGramModel
from .rates import ModelRates, model_rates

__all__ = ["ModelRates", "ModelledDepth", "NGramModel", "model_rates", "modelled_depth"]
__dir__ = __all__.copy
