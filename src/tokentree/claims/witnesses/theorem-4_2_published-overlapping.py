from excess import Fraction, excess

rows = [[5, 5, 5], [3, 1, 1], [1, 3, 1]]
for l in Fraction(49, 100), Fraction(51, 100):
    sizes = [1000, 1, l]
    assert (excess(rows, sizes, 0) < 0) == (l < Fraction(1, 2)) and excess(rows, sizes, 1) > 0

# Parts (1, 0, 0), (0, 3, 2) and (0, 2, 3): D_a and D_t are similar, and no l is small enough.
rows = [[1, 1, 1], [0, 3, 2], [0, 2, 3]]
for l in Fraction(1, 10**9), Fraction(1, 100), Fraction(1):
    assert excess(rows, [10**6, 1, l], 0) > 0
