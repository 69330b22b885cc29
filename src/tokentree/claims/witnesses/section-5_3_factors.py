from fractions import Fraction


def fall(n_p):  # of the score over 100 negative examples after 1,000 positive ones; half of D_p is good
    before = Fraction(n_p // 2 + 1000, n_p + 1000)
    return before - Fraction(n_p // 2 + 1000, n_p + 1000 + 100)


falls = [fall(n_p) for n_p in (10**4, 10**5, 10**6, 10**7)]
assert falls == sorted(falls, reverse=True)  # slower with more pre-training data: the opposite of the claim
