from itertools import pairwise
from math import exp

# The score of a model is q = 1 / (1 + e^-x). A positive example adds rate (1 - q) to x, a negative one
# subtracts rate q.
RATE = 0.01


def needed(start, positive):
    """Negative examples until the score is back at its start."""
    x = start
    for _ in range(positive):
        x += RATE / (1 + exp(x))
    count = 0
    while x > start:
        x -= RATE / (1 + exp(-x))
        count += 1
    return count


for start in (-1.0, 0.0, 1.0):
    counts = [needed(start, positive) for positive in (1000, 2000, 5000, 10000)]
    assert all(less < more for less, more in pairwise(counts))
