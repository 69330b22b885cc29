from fractions import Fraction as F
from itertools import product

# L_i = (x - c_i)^2 + (y - d_i)^2, so H is 2 T times the identity and angles are those in the plane.
places = list(product((F(0), F(1), F(3)), repeat=2))
held = failed = 0
for p, a, t in product(places, repeat=3):
    for k, l in product((F(2), F(50)), (F(1, 10), F(1))):
        total = k + 1 + l
        middle = [(k * u + v + l * w) / total for u, v, w in zip(p, a, t)]
        gp, ga, gt = ([2 * (m - z) for m, z in zip(middle, at)] for at in (p, a, t))
        pt, at, tt = (sum(u * v for u, v in zip(g, gt)) / (2 * total) for g in (gp, ga, gt))
        # gamma_p' and gamma_a' have the signs of -pt and -at.
        signs = -pt < 0 < -at
        assert signs == (at < -l * tt)
        held, failed = held + signs, failed + (not signs)
assert held and failed
