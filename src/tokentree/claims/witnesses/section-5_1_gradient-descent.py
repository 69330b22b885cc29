from itertools import combinations
from math import exp, log

# A model of a coin, q = 1 / (1 + e^-x), trained by gradient descent on probability p: x += rate (p - q).
RATE, STEPS = 0.1, 20


def q(x):
    return 1 / (1 + exp(-x))


def cost(p, x):
    return -p * log(q(x)) - (1 - p) * log(1 - q(x))


def trained(x, p):
    """The model after STEPS steps, and its mean loss on the way."""
    losses = []
    for _ in range(STEPS):
        losses.append(cost(p, x))
        x += RATE * (p - q(x))
    return x, sum(losses) / STEPS


for start, aligned, sign in (0.0, 0.95, -1), (3.0, 0.5, 1):
    slices = [trained(start, aligned)[0]]
    for _ in range(2):
        slices.append(trained(slices[-1], aligned)[0])
    for before, after in combinations(slices, 2):
        gap = trained(before, q(after))[1] - trained(after, q(before))[1]
        varied = cost(q(after), after) - cost(q(before), before)
        assert gap * sign > 0 and varied * sign > 0
