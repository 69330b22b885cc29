from fractions import Fraction
from math import prod

# Disjoint leaves, counts 1, 1 and 97, 3, sizes 6 : 4. Rates in bits are 1/100 of log2 of these numbers: -sum
# p log q over 100 responses, minus 100 log2 M.
rows, sizes = [[50, 50], [97, 3]], [6, 4]
spent = [prod((Fraction(10, n) * Fraction(100, c)) ** c for c in row) for row, n in zip(rows, sizes)]
normalised = [x / 2**100 for x in spent]
divergence = [x / prod(Fraction(100, c) ** c for c in row) for x, row in zip(spent, rows)]
assert divergence == [Fraction(10, 6) ** 100, Fraction(10, 4) ** 100]
# The model fits D_1 better, and D_2 has the smaller normalised rate.
assert divergence[0] < divergence[1] and normalised[0] > normalised[1]
# The first dataset is uniform: its normalised rate is its divergence.
assert normalised[0] == divergence[0]
