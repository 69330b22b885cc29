from fractions import Fraction as F

# L_i = a_i (x - c_i)^2: the best x is the mean of the c_i with weights n_i a_i, and H = 2 sum n_i a_i.
a, c, n = [F(1), F(3), F(2)], [F(0), F(1), F(5)], [F(4), F(2), F(1)]
three = range(3)


def rates(n):
    x = sum(n[i] * a[i] * c[i] for i in three) / sum(n[i] * a[i] for i in three)
    return x, [a[i] * (x - c[i]) ** 2 for i in three]


x, before = rates(n)
g, h = [2 * a[i] * (x - c[i]) for i in three], 2 * sum(n[i] * a[i] for i in three)
R = [[-g[i] * g[t] / h for t in three] for i in three]
step = F(1, 10**9)
for t in three:
    _, after = rates([n[i] + step * (i == t) for i in three])
    assert all(abs((after[i] - before[i]) / step - R[i][t]) < F(1, 10**6) for i in three)
    assert sum(n[i] * R[i][t] for i in three) == 0 and R[t][t] < 0
