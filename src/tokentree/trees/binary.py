"""Trees over two symbols: every symbol written in bits (Definition 3.1)."""

import numpy as np
from jaxtyping import Int

from .._lib import log_masses
from .leaves import paths
from .runs import run_starts
from .tokens import REST, Nodes


def binary_levels(q: int, offsets: Int[np.ndarray, "edges"], nodes: Nodes) -> list[Nodes]:
    """Nodes of the tree of `TokenTree.binarize`, level by level."""
    width = (q - 1).bit_length()
    symbols, parents, weights = nodes
    levels = [(symbols[:1].astype(np.int8), parents[:1], weights[:1])]
    # Position in the new tree of each node of the old level above.
    above = np.zeros(1, dtype=np.int32)
    for depth in range(1, len(offsets) - 1):
        here = slice(*offsets[[depth, depth + 1]].tolist())
        token, up, weight = symbols[here], parents[here], weights[here]
        mixed = np.intersect1d(up[token == REST], up[token >= 0])
        if len(mixed):
            path = paths(offsets, symbols, parents, offsets[depth - 1 : depth] + mixed[:1])[0, : depth - 1]
            raise ValueError(
                f"after prefix {tuple(path.tolist())} some symbols are known and others unexpanded: "
                "the weights of the bits that they share are unknown"
            )
        above = above[up]
        for shift in range(width - 1, -1, -1):
            ends = token < 0
            # An end-of-sequence or unexpanded leaf takes one token only.
            on = ~ends if shift < width - 1 else np.ones_like(ends)
            word, stem = np.where(ends, token, token >> shift)[on], above[on]
            new = run_starts(word, stem)
            first = np.flatnonzero(new)
            bit = np.where(word[first] < 0, word[first], word[first] & 1).astype(np.int8)
            levels.append((bit, stem[first], log_masses.segment_sums(weight[on], first)))
            above[on] = (np.cumsum(new) - 1).astype(np.int32)
    while len(levels[-1][0]) == 0:
        levels.pop()
    return levels
