from excess import Fraction, excess

rows = [[1, 1, 1], [0, 1, 0], [0, 0, 1]]
for l in Fraction(1, 10), Fraction(1, 100), Fraction(1, 1000):
    sizes = [1000, 1, l]
    ratio = -excess(rows, sizes, 1) / (1000 * excess(rows, sizes, 0))
    assert ratio == (1 + 3 * l / 1000) / (1 - 2 * l)
