"""Tokens that are no symbols of the alphabet, the kinds of leaves, and the limits of both."""

from enum import IntEnum

import numpy as np
from jaxtyping import Int, Num

EOS = -1
"""The end-of-sequence token as it stands in symbol arrays."""

REST = -2
"""Stands for every continuation of a prefix that was not looked at; only trees read from models have it."""

Nodes = tuple[Int[np.ndarray, "_"], Int[np.ndarray, "_"], Num[np.ndarray, "_"]]
"""Token, parent inside the level above, and weight of each node."""

_MAX_COUNT = 2**63 - 1

_MAX_ALPHABET = 2**31


class LeafKind(IntEnum):
    """Why a leaf of the pruned tree has no children."""

    EOS = 0
    """The response ends here."""
    CUT = 1
    """Pruning cut the tree here; the leaf carries its whole subtree's weight."""
    UNEXPANDED = 2
    """Not one response: all continuations of its parent that were not looked at, and their weight."""
