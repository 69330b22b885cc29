from fractions import Fraction as F

# L_i = (x - a_i)^2 + (y - b_i)^2; the smaller class fixes y at its optimum.
a, b, n = [F(0), F(4), F(1)], [F(2), F(0), F(5)], [F(3), F(2), F(1)]
total = sum(n)
x, y = (sum(k * z for k, z in zip(n, c)) / total for c in (a, b))
g = [(2 * (x - u), 2 * (y - v)) for u, v in zip(a, b)]
whole = [[-(s[0] * t[0] + s[1] * t[1]) / (2 * total) for t in g] for s in g]
part = [[-s[0] * t[0] / (2 * total) for t in g] for s in g]
for v in ((1, 0, 0), (0, 1, 0), (0, 0, 1), (1, -2, 3), (2, 1, -1)):
    forms = [sum(v[i] * R[i][t] * v[t] for i in range(3) for t in range(3)) for R in (whole, part)]
    assert forms[0] <= forms[1] <= 0
assert all(whole[i][i] < part[i][i] for i in range(3))
