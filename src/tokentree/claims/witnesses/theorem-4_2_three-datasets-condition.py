from excess import Fraction, excess

rows = [[2, 1, 0], [0, 1, 1], [2, 1, 0]]
for k, l in (10, Fraction(3, 5)), (10**9, Fraction(1, 1000)):
    sizes = [k, 1, l]
    assert excess(rows, sizes, 0) < 0 < excess(rows, sizes, 1)
    assert -excess(rows, sizes, 1) / (k * excess(rows, sizes, 0)) == (k + l) / k
