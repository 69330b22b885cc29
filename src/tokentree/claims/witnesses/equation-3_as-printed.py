from fractions import Fraction

p_a = [0, 1]
for l in Fraction(1, 10), Fraction(1, 5):
    model = [1000 / (1001 + l), 1 - 1000 / (1001 + l)]
    assert any(q > 0 == p for p, q in zip(p_a, model))  # log(q / p) is infinite

# The model that minimises sum n_i KL(model || D_i) is the geometric mean. If D_i has masses 2^-a_i / Z_i, it
# has 2^-a / Z with a the mean of the a_i. As D_2 grows, a changes by (a_2 - a) / T.
exponents, sizes = [[1, 4, 5, 9], [4, 1, 5, 3]], [2, 1]
total = sum(sizes)
mean = [sum(n * a for n, a in zip(sizes, leaf)) / Fraction(total) for leaf in zip(*exponents)]
assert all(a.denominator == 1 for a in mean)
model = [Fraction(1, 2**a) for a in mean]
model = [x / sum(model) for x in model]
apart = [[a - b for a, b in zip(row, mean)] for row in exponents]  # log2(model / p_i), up to a constant
shift = sum(x * d for x, d in zip(model, apart[1]))
moved = [-x * (d - shift) / total for x, d in zip(model, apart[1])]
changes = [sum(m * d for m, d in zip(moved, row)) for row in apart]  # of KL(model || D_i), divided by log^2 2
assert sum(moved) == 0 and sizes[0] * changes[0] == -sizes[1] * changes[1] != 0
