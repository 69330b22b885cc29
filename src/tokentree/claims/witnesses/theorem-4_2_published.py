from excess import Fraction, excess

rows = [[1, 1, 1], [0, 1, 0], [0, 0, 1]]
for k in 10, 10**9:
    for l in Fraction(1, 1000), Fraction(49, 100), Fraction(1, 2), Fraction(51, 100):
        sizes = [k, 1, l]
        assert excess(rows, sizes, 0) == -(1 - 2 * l) / (k + 3 * l)  # times n_a / T it is gamma_p'
        assert excess(rows, sizes, 1) == 1
        assert (excess(rows, sizes, 0) < 0) == (l < Fraction(1, 2))
