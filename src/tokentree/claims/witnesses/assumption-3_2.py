from fractions import Fraction
from math import prod

# Maximum-likelihood models fitted to the blocks aa, bb, and tested on the blocks ab, ba.
fitted, new = ["aa", "bb"], ["ab", "ba"]


def chance(block, order):
    def one(i):  # probability of block[i] after the preceding order - 1 symbols
        context = block[max(0, i - order + 1) : i]
        seen = [b[j] for b in fitted for j in range(2) if b[max(0, j - order + 1) : j] == context]
        return Fraction(seen.count(block[i]), len(seen))

    return prod(one(i) for i in range(len(block)))


# On the fitted blocks order 2 is exact, and order 1 gives each half of its probability: one bit away.
assert all(chance(b, 2) == Fraction(1, 2) == 2 * chance(b, 1) for b in fitted)
# On the new blocks order 1 is one bit away, and the larger model gives them probability 0.
assert all(chance(b, 2) == 0 and chance(b, 1) == Fraction(1, 4) for b in new)
