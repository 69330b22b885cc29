"""Assumption A.7: Pareto masses of leaves, their limits, and heavy tails fitted to data."""

from .asymptotics import ParetoAsymptotics, pareto_asymptotics
from .convergence import ParetoConvergence, pareto_convergence
from .fit import fit_tail
from .limit import ALPHA_RANGE as ALPHA_RANGE, ParetoLimit, pareto_limit
from .mass import ParetoMass
from .signs import SignMap, sign_map
from .tails import ALTERNATIVES as ALTERNATIVES, TailBootstrap, TailComparison, TailFit

__all__ = ["ParetoAsymptotics", "ParetoConvergence", "ParetoLimit", "ParetoMass", "SignMap"]
__all__ += ["TailBootstrap", "TailComparison", "TailFit", "fit_tail", "pareto_asymptotics"]
__all__ += ["pareto_convergence", "pareto_limit", "sign_map"]
__dir__ = __all__.copy
