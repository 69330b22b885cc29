from math import exp

# The score of a model is q = 1 / (1 + e^-x); an example changes x by rate (share of positives - q).
RATE = 0.01


def falls(start, pretraining):
    """Falls over the first 100 negative examples, and from 1000 to 2000, after 1000 positive ones."""
    x = start
    for share, examples in (0.5, pretraining), (1.0, 1000):
        for _ in range(examples):
            x += RATE * (share - 1 / (1 + exp(-x)))
    scores = [1 / (1 + exp(-x))]
    for _ in range(2000):
        x -= RATE / (1 + exp(-x))
        scores.append(1 / (1 + exp(-x)))
    return scores[0] - scores[100], scores[1000] - scores[2000]


# Pre-training on equally many of both kinds brings any start to a score of 1/2: from above as in the paper,
# from below with both effects reversed.
for start, as_claimed in (3.0, True), (-3.0, False):
    little, much = falls(start, 100), falls(start, 10_000)
    assert (much[0] > little[0]) == (much[1] < little[1]) == as_claimed
