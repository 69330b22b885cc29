"""Definitions 3.5 and 3.6 and section 5: inverse alignment, resistance and rebound, on token trees."""

from .budget import AlignmentBudget, inverse_alignment_budget, least_alignment_budget
from .factors import PowerLaw, ReboundFactor, rebound_by_depth, rebound_by_pretraining
from .rebound import NEGATIVE, PAPER_NEEDED, POSITIVE, Rebound, simulate_rebound
from .regimes import REGIMES, Regime as Regime
from .resistance import DIRECTIONS, Resistance, simulate_resistance

__all__ = ["DIRECTIONS", "NEGATIVE", "PAPER_NEEDED", "POSITIVE", "AlignmentBudget", "PowerLaw"]
__all__ += ["REGIMES", "Rebound", "ReboundFactor", "Resistance", "inverse_alignment_budget"]
__all__ += ["least_alignment_budget", "rebound_by_depth", "rebound_by_pretraining"]
__all__ += ["simulate_rebound", "simulate_resistance"]
__dir__ = __all__.copy
