from excess import Fraction, excess


def holds(rows, sizes):
    by_signs = excess(rows, sizes, 0) < 0 < excess(rows, sizes, 1)
    # S_23 - 1 < -l (S_33 - 1), with l = n_3 / n_2: the angle between D_2 and D_3.
    assert by_signs == (sizes[1] * -excess(rows, sizes, 1) < sizes[2] * excess(rows, sizes, 2))
    return by_signs


rows = [[2, 1, 0], [0, 1, 1], [2, 1, 0]]
for k, l in (10, Fraction(3, 5)), (10**9, Fraction(1, 1000)):
    sizes = [k, 1, l]
    assert holds(rows, sizes)
    assert -excess(rows, sizes, 1) / (k * excess(rows, sizes, 0)) == (k + l) / k

# Resemblance does not decide: at total variation 5 / 10^5 from D_1 it fails, and at 0.99 it holds.
sizes = [10**6, 1, Fraction(1, 1000)]
near = [[10_000, 10_000], [1, 0], [10_001, 9_999]]
assert not holds(near, sizes) and excess(near, sizes, 0) > 0 > excess(near, sizes, 1)
assert holds([[1] * 100, [1] + [0] * 99, [0] * 99 + [1]], sizes)
