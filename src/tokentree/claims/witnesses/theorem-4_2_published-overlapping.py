from excess import Fraction, excess

rows = [[5, 5, 5], [3, 1, 1], [1, 3, 1]]
for l in Fraction(49, 100), Fraction(51, 100):
    sizes = [1000, 1, l]
    assert (excess(rows, sizes, 0) < 0) == (l < Fraction(1, 2)) and excess(rows, sizes, 1) > 0
