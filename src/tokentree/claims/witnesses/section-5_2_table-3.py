from fractions import Fraction

# D_p is uniform on two leaves; positive data lie on the first, negative data on the second. With the share a
# on the first, KL(D_p || model) = -log(4 a (1 - a)) / 2 nats, which is below 0.0102 if 4 a (1 - a) >= 49/50.


def counts(positive, n):  # joint training by counts on 100 examples of D_p and the others
    return Fraction(50 + positive, 100 + positive + n)


def steps(positive, n):  # fixed steps of 1/100
    keep = Fraction(99, 100)
    return (1 - keep**positive / 2) * keep**n


def needed(share, positive, enough):
    n = 0
    while not enough(share(positive, n)):
        n += 1
    return n


def near(a):
    return 4 * a * (1 - a) >= Fraction(49, 50)


def back(a):  # at the score before the alignment, or below
    return a <= Fraction(1, 2)


for share, enough in (counts, near), (counts, back), (steps, near), (steps, back):
    examples = [needed(share, positive, enough) for positive in (50, 100, 250, 500)]
    assert examples == sorted(examples) and examples[0] < examples[-1]  # in Table 3 they fall
    assert share is steps or examples[-1] >= 10 * examples[0]  # by counts at least in proportion
