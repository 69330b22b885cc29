from fractions import Fraction

p = [[Fraction(1, 2), Fraction(1, 4), Fraction(1, 4)], [0, 1, 0], [Fraction(1, 5), 0, Fraction(4, 5)]]
sizes, tokens = [Fraction(1000), Fraction(3), Fraction(1, 7)], [1, 2, 5]
q = [sum(n * mass for n, mass in zip(sizes, leaf)) / sum(sizes) for leaf in zip(*p)]
means = [sum(mass * n for mass, n in zip(row, tokens)) for row in p]
assert len({*means}) == 3
# (1 - S_it) / T is the slope of bits per response in responses; this is that of bits per token in tokens.
slopes = [
    [(1 - sum(a * b / c for a, b, c in zip(one, two, q))) / (sum(sizes) * m * n) for two, n in zip(p, means)]
    for one, m in zip(p, means)
]
for t in range(3):
    assert sum(n * m * row[t] for n, m, row in zip(sizes, means, slopes)) == 0
    assert all(slopes[i][t] == slopes[t][i] for i in range(3)) and slopes[t][t] < 0
# With sizes in responses the sum is not zero.
assert sum(n * row[2] for n, row in zip(sizes, slopes)) != 0
