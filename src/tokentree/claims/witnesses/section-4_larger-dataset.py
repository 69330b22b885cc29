from fractions import Fraction
from itertools import combinations

large = [Fraction(1, 2), Fraction(1, 3), Fraction(1, 6)]
small = [Fraction(1, 4), Fraction(1, 2), Fraction(1, 4)]
n_large, n_small = 1000, 7
model = [(n_large * a + n_small * b) / (n_large + n_small) for a, b in zip(large, small)]
sets = [chosen for r in range(4) for chosen in combinations(range(3), r)]


def chance(p, outputs):
    return sum((p[x] for x in outputs), Fraction(0))


at_least = [outputs for outputs in sets if chance(large, outputs) >= chance(small, outputs)]
# A set and its complement are both among them only if the two probabilities are equal.
for outputs in sets:
    both = outputs in at_least and tuple(x for x in range(3) if x not in outputs) in at_least
    assert both == (chance(large, outputs) == chance(small, outputs))
assert 0 < len(at_least) < len(sets)
# What does hold for every set is a balance.
for outputs in sets:
    q = chance(model, outputs)
    assert n_large * (chance(large, outputs) - q) == -n_small * (chance(small, outputs) - q)
