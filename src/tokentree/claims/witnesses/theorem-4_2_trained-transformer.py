from fractions import Fraction as F
from itertools import permutations

# L_i = |x - c_i|^2 in the plane, with decay w |x|^2: the best x is a mean, H a multiple of the identity.
places = [(F(0), F(2)), (F(3), F(1)), (F(4), F(-2))]
verdicts = set()
for p, a, t in permutations(places):
    for k, l, w in (F(10), F(1, 10), F(1)), (F(100), F(1, 10), F(1)):
        total = k + 1 + l + w
        best = [(k * u + v + l * z) / total for u, v, z in zip(p, a, t)]
        gp, ga, gt = ([x - c for x, c in zip(best, at)] for at in (p, a, t))
        down, up = (-sum(u * v for u, v in zip(g, gt)) for g in (gp, ga))
        verdicts.add(down < 0 < up)
assert verdicts == {True, False}
