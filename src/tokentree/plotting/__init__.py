"""Pictures of the theory. Every function draws on the given Axes, or on a new one, and returns it.

Lines differ in dash pattern as well as in grey level, so that they survive a black-and-white printer.
"""

from ._style import line as line, listed as listed, plain as plain
from .alignment import plot_budget, plot_resistance, plot_resistance_gaps
from .chain import animate_springs, plot_chain_motion, plot_force_extension, plot_invariant
from .codes import plot_code_lengths, plot_extension_gap, plot_survival
from .fisher import plot_fisher_triangle
from .mixtures import plot_rates, plot_ratio, plot_response
from .models import plot_log_loss
from .pareto import plot_pareto_convergence, plot_sign_map, plot_tail_fit
from .rebound import plot_needed, plot_rebound, plot_rebound_factor
from .theorem import plot_depth_curve, plot_rate_change
from .training import (
    MOST_RUNS as MOST_RUNS,
    plot_balance,
    plot_best_sizes,
    plot_law_response,
    plot_predictions,
    plot_regret,
)
from .trees import plot_tree, plot_tree_levels

__all__ = ["animate_springs", "plot_balance", "plot_best_sizes", "plot_budget", "plot_chain_motion"]
__all__ += ["plot_code_lengths", "plot_depth_curve", "plot_extension_gap", "plot_fisher_triangle"]
__all__ += ["plot_force_extension", "plot_invariant", "plot_law_response", "plot_log_loss", "plot_needed"]
__all__ += ["plot_pareto_convergence", "plot_predictions", "plot_rate_change", "plot_rates", "plot_ratio"]
__all__ += ["plot_rebound", "plot_rebound_factor", "plot_regret", "plot_resistance", "plot_resistance_gaps"]
__all__ += [
    "plot_response",
    "plot_sign_map",
    "plot_survival",
    "plot_tail_fit",
    "plot_tree",
    "plot_tree_levels",
]
__dir__ = __all__.copy
