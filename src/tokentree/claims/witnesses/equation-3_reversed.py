from excess import Fraction, excess

rows = [[1, 1, 1], [0, 1, 0], [0, 0, 1]]
for l in Fraction(1, 10), Fraction(1, 1000):
    sizes = [1000, 1, l]
    assert sum(n * excess(rows, sizes, i) for i, n in enumerate(sizes)) == 0
    pretrain, align = 1000 * excess(rows, sizes, 0), excess(rows, sizes, 1)
    assert abs(pretrain / align + 1) < 3 * l
