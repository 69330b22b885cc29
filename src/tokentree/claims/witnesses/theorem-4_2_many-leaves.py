from itertools import product

from excess import Fraction, excess

# A small model of independent masses over the same leaves: one leaf per triple of masses 1 or 3.
leaves = list(product((1, 3), repeat=3))
one, two, three = zip(*leaves)
for k, l in (1, Fraction(1, 10)), (1000, Fraction(1, 1000)):
    separate, published = [one, two, three], [[sum(leaf) for leaf in leaves], two, three]
    assert not excess(separate, [k, 1, l], 0) < 0 < excess(separate, [k, 1, l], 1)
    assert excess(published, [k, 1, l], 0) < 0 < excess(published, [k, 1, l], 1)
