from fractions import Fraction

p = [[Fraction(1, 3)] * 3, [0, 1, 0], [0, 0, 1]]
k, l = 1000, Fraction(1, 100)
sizes = [k, 1, l]
q = [sum(n * mass for n, mass in zip(sizes, leaf)) / sum(sizes) for leaf in zip(*p)]


def slope(i, tokens):  # derivative of E[L / |x|] of D_i with respect to |D_t|, in nats
    parts = zip(p[i], p[2], q, tokens)
    return -sum(mass * (new - joint) / joint / n for mass, new, joint, n in parts) / sum(sizes)


blocks = [slope(i, [1, 1, 1]) for i in range(3)]
assert sum(n * x for n, x in zip(sizes, blocks)) == 0 and blocks[0] < 0 < blocks[1]
for tokens in [1, 1, 2], [2, 1, 1]:
    slopes = [slope(i, tokens) for i in range(3)]
    missed = sum((joint - new) / n for joint, new, n in zip(q, p[2], tokens))
    assert sum(n * x for n, x in zip(sizes, slopes)) == missed != 0
assert slope(0, [1, 1, 2]) > 0 < slope(1, [1, 1, 2])  # both rise
ratio = -slope(1, [2, 1, 1]) / (k * slope(0, [2, 1, 1]))
assert 0 < ratio < Fraction(7, 1000) and 1 < -blocks[1] / (k * blocks[0]) < Fraction(103, 100)
