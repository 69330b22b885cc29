from fractions import Fraction as F

# L_i = (x - c_i)^2, and x is not optimal: F' = 2 sum n_i (x - c_i) = e there, fixed as n_t grows.
c, n, x = [F(1), F(3)], [F(4), F(2)], F(2)
h = 2 * sum(n)
g = [2 * (x - y) for y in c]
e = sum(k * slope for k, slope in zip(n, g))
assert e != 0
step = F(1, 10**9)
for t in range(2):
    grown = [n[i] + step * (i == t) for i in range(2)]
    y = (e / 2 + sum(k * z for k, z in zip(grown, c))) / sum(grown)
    moved = [((y - z) ** 2 - (x - z) ** 2) / step for z in c]
    assert abs(sum(k * d for k, d in zip(n, moved)) + e * g[t] / h) < F(1, 10**6)
    assert all(abs(d + slope * g[t] / h) < F(1, 10**6) for d, slope in zip(moved, g))
