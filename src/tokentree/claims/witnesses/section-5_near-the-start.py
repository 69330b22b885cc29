from fractions import Fraction

p_p, p_a = [Fraction(1, 2), Fraction(1, 2), 0], [0, 0, 1]


def after(share):
    return [(1 - share) * p + share * a for p, a in zip(p_p, p_a)]


def largest(share):
    return max(abs(x - p) for x, p in zip(after(share), p_p))


for n_p, n_a in (1000, 1), (10**6, 1000), (5, 5):
    assert largest(Fraction(n_a, n_p + n_a)) == Fraction(n_a, n_p + n_a)  # by counts, exactly
# With fixed steps of 1/10 it is near 1 after 100 examples, for any pre-training.
assert largest(1 - Fraction(9, 10)) == Fraction(1, 10)
assert largest(1 - Fraction(9, 10) ** 100) > Fraction(9999, 10**4)
