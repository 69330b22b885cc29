from math import exp

# The score of a model is q = 1 / (1 + e^-x). A positive example adds rate (1 - q) to x, a negative one
# subtracts rate q.
RATE = 0.01


def q(x):
    return 1 / (1 + exp(-x))


def falls(start, positive):
    """How far the score falls over the first 100 negative examples, and over the last 100 of 1000."""
    x = start
    for _ in range(positive):
        x += RATE * (1 - q(x))
    scores = [q(x)]
    for _ in range(1000):
        x -= RATE * q(x)
        scores.append(q(x))
    return scores[0] - scores[100], scores[900] - scores[1000]


for start, faster in (-2.0, True), (2.0, False):
    few, many = falls(start, 100), falls(start, 300)
    assert (many[0] > few[0]) == faster
    assert few[1] < few[0] and many[1] < many[0]
