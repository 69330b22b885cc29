from excess import Fraction, excess

rows = [[1, 1, 1], [0, 1, 0], [0, 0, 1]]


def ratio(k, l):
    return -excess(rows, [k, 1, l], 1) / (k * excess(rows, [k, 1, l], 0))


for k in 10, 1000, 10**9:
    for l in Fraction(1, 4), Fraction(1, 10), Fraction(1, 1000):
        assert 1 <= ratio(k, l) == (1 + 3 * l / k) / (1 - 2 * l) <= Fraction(215, 100)
assert ratio(10, Fraction(1, 4)) == Fraction(215, 100)
assert ratio(1000, Fraction(1, 10**6)) < 1 + Fraction(3, 10**6)
assert ratio(1000, Fraction(499_999, 10**6)) > 10**5
