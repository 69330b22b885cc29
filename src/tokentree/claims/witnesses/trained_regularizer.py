from fractions import Fraction as F

# L_i = (x - c_i)^2 and Omega = x^2 with weight w: the best x is sum n_i c_i / (w + sum n_i).
c, n, w = [F(1), F(3)], [F(4), F(2)], F(1)


def best(n):
    return sum(k * y for k, y in zip(n, c)) / (w + sum(n))


x, h = best(n), 2 * (w + sum(n))
g = [2 * (x - y) for y in c]
R = [[-one * other / h for other in g] for one in g]
assert R[0][1] == R[1][0] and R[0][0] * R[1][1] >= R[0][1] ** 2
step = F(1, 10**9)
for t in range(2):
    omega = (best([n[i] + step * (i == t) for i in range(2)]) ** 2 - x**2) / step
    defect = sum(n[i] * R[i][t] for i in range(2))
    assert defect != 0 and abs(defect + w * omega) < F(1, 10**6)
