"""What a language model knows of data: its rates, the depth it models, and n-gram models to compare with."""

from .depth import ModelledDepth, modelled_depth
from .ngram import NGramModel
from .rates import ModelRates, model_rates

__all__ = ["ModelRates", "ModelledDepth", "NGramModel", "model_rates", "modelled_depth"]
