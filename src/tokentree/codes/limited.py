"""Package-merge: optimal codeword lengths up to a limit.

A codeword of length l costs its weight l times, once for each level that it passes. So take coins: one for
each symbol on each level 1 to L, with value arity^-level and the symbol's weight as its price. The lengths of
a complete code of n symbols are a choice of coins with total value (n - 1) / (arity - 1), and the cheapest
choice is the best code. From the lowest level up, each `arity` coins, the cheapest first, form a package with
the value of one coin of the level above, into which it is sorted.
"""

import numpy as np
from jaxtyping import Int, Shaped


def limited_lengths(
    weights: Shaped[np.ndarray, "leaves"], arity: int, limit: int
) -> Int[np.ndarray, "leaves"]:
    """Lengths of at most `limit` digits; weights are summed unscaled, up to `limit` times each."""
    if weights.dtype == np.int64 and float(weights.sum()) * limit >= 2.0**62:
        weights = weights.astype(object)
    elif weights.dtype == np.float64:
        weights = np.ldexp(weights, -limit.bit_length() * (weights.sum() >= 2.0**900))
    # The last of equal weights comes first; before all, the zeros that make the code complete.
    order = weights[::-1].argsort(kind="stable")
    spare = (1 - weights.size) % (arity - 1)
    coins = np.concatenate((np.zeros(spare, weights.dtype), weights[::-1][order]))
    wanted = arity * ((coins.size - 1) // (arity - 1))
    packages, levels = coins[:0], []
    for _ in range(limit):
        offered = np.concatenate((coins, packages))
        by_cost = offered.argsort(kind="stable")[:wanted]
        levels.append(np.append(0, np.cumsum(by_cost < coins.size)))
        whole = by_cost.size // arity * arity
        chosen = offered[by_cost[:whole]]
        packages = chosen[::arity].copy()
        for i in range(1, arity):
            packages += chosen[i::arity]
    # Coins are taken from the cheapest on, on every level.
    passed = np.zeros(coins.size + 1, np.int64)
    for level in reversed(levels):
        single = int(level[wanted])
        passed[single] += 1
        wanted = arity * (wanted - single)
    depths = passed[:0:-1].cumsum()[::-1][spare:]
    lengths = np.empty_like(depths)
    lengths[order] = depths
    return lengths[::-1].copy()
