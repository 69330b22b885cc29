from math import exp

# The score of a model is q = 1 / (1 + e^-x); an example moves x by rate (share of positives - q).
RATE = 0.01


def first_fall(pretraining):
    """Over 100 negative examples after 1000 positive ones, pre-training being on as many of both."""
    x = 3.0
    for share, examples in (0.5, pretraining), (1.0, 1000):
        for _ in range(examples):
            x += RATE * (share - 1 / (1 + exp(-x)))
    score = 1 / (1 + exp(-x))
    for _ in range(100):
        x -= RATE / (1 + exp(-x))
    return score - 1 / (1 + exp(-x))


# Once the model has learnt the shares, more pre-training changes nothing.
assert first_fall(10**2) < first_fall(10**4)
assert abs(first_fall(10**4) - first_fall(10**5)) < 1e-12
