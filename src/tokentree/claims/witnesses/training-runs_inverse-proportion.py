from fractions import Fraction
from itertools import pairwise


def ratio(steps, model, weigh):  # of n_2 dg_2 to -n_1 dg_1 along the path from share 1/10 to 9/10
    path = [Fraction(1, 10) + Fraction(8 * a, 10 * steps) for a in range(steps + 1)]
    paid = won = 0
    for a, b in pairwise(path):
        w = weigh(a, b)
        (g1, g2), (h1, h2) = model(a), model(b)
        paid, won = paid + w * (h1 - g1), won + (1 - w) * (h2 - g2)
    return -won / paid


# One number x to fit, with losses x^2 and (1 - x)^2: w x^2 + (1 - w) (1 - x)^2 is least at x = 1 - w.
def fitted(w):
    return (1 - w) ** 2, w**2


for steps in 4, 40, 400:
    before, after = ratio(steps, fitted, lambda a, b: a), ratio(steps, fitted, lambda a, b: b)
    assert after < 1 < before
assert max(before - 1, 1 - after) < Fraction(1, 50)  # in the limit, inverse proportion


def half_trained(w):  # it stops halfway from 0
    x = (1 - w) / 2
    return x**2, (1 - x) ** 2


assert ratio(400, half_trained, lambda a, b: (a + b) / 2) > 2  # without an optimum, no inverse proportion
