"""Section 4.3: the chain of springs, and joint compression as a system of springs."""

from .chain import SpringChain
from .fisher import FisherSprings
from .states import ChainMotion, ChainState, HookeInvariant

__all__ = ["ChainMotion", "ChainState", "FisherSprings", "HookeInvariant", "SpringChain"]
__dir__ = __all__.copy
