"""Joint compression (section 3.2): datasets coded together, their rates, and the response to sizes."""

from .blocks import BLOCK as BLOCK, SCALE as SCALE, inverse_root as inverse_root
from .excess import (
    EXACT_LEAVES as EXACT_LEAVES,
    INTEGER_LEAVES as INTEGER_LEAVES,
    STEADY as STEADY,
    integer_excess as integer_excess,
)
from .mixture import Mixture, Unread as Unread, no_mixture as no_mixture
from .rows import (
    SIZE_RANGE as SIZE_RANGE,
    Rows,
    dataset_index as dataset_index,
    exact_number as exact_number,
)
from .shares import (
    BestSizes,
    best_shares as best_shares,
    share_bounds as share_bounds,
    target_weights as target_weights,
)
from .unexpanded import (
    Completions as Completions,
    UnexpandedBounds,
    interval_sign as interval_sign,
    signs_hold as signs_hold,
    unexpanded_bounds,
)

__all__ = ["BestSizes", "Mixture", "Rows", "UnexpandedBounds", "unexpanded_bounds"]
__dir__ = __all__.copy
