from excess import Fraction, excess

sizes = [Fraction(1, 100), 1, 10, 10**3, 10**6, 10**9]


def held(rows, l):  # whether the signs hold, for each amount of pre-training data
    return [excess(rows, [k, 1, l], 0) < 0 < excess(rows, [k, 1, l], 1) for k in sizes]


# Published form, disjoint parts: the perturbation decides.
rows = [[1, 1, 1], [0, 1, 0], [0, 0, 1]]
assert all(held(rows, Fraction(49, 100))) and not any(held(rows, Fraction(51, 100)))
# D_3 almost like D_1: with more pre-training data elasticity ends, and does not return.
rows = [[1000, 1000], [1, 0], [1001, 999]]
assert held(rows, Fraction(1, 10)) == [True, True, True, False, False, False]
# In no case does it begin with more pre-training data.
masses = [[a, b, c] for a in range(3) for b in range(3) for c in range(3) if a + b + c]
for one in masses[::4]:
    for two in masses[::5]:
        for three in masses[::2]:
            found = held([one, two, three], Fraction(1, 4))
            assert found == sorted(found, reverse=True)
