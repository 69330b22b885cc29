from excess import Fraction, excess

sizes = [10**6, 1, Fraction(1, 1000)]
disjoint = [[1, 0, 0], [0, 1, 0], [0, 0, 1]]
assert excess(disjoint, sizes, 0) == excess(disjoint, sizes, 1) == 1  # both rise
reversed_signs = [[2, 1], [1, 2], [1, 3]]
assert excess(reversed_signs, sizes, 0) > 0 > excess(reversed_signs, sizes, 1)
