"""Tokens that are not symbols of the alphabet, the kinds of leaves, and the limits of both."""

from enum import IntEnum

import numpy as np
from jaxtyping import Int, Num

EOS = -1
"""The end-of-sequence token in symbol arrays."""

REST = -2
"""Represents all continuations of a prefix that were not read; only trees read from models have it."""

Nodes = tuple[Int[np.ndarray, "_"], Int[np.ndarray, "_"], Num[np.ndarray, "_"]]
"""Token, parent within the level above, and weight of each node."""

_MAX_COUNT = 2**63 - 1

_MAX_ALPHABET = 2**31


class LeafKind(IntEnum):
    """Why a leaf of the pruned tree has no children."""

    EOS = 0
    """The response ends here."""
    CUT = 1
    """Pruning cut the tree here; the leaf has the weight of its whole subtree."""
    UNEXPANDED = 2
    """Not a single response: all continuations of its parent that were not read, with their weight."""
