from fractions import Fraction

counts = {"": 8, "0": 6, "01": 2}
assert Fraction(counts["0"], counts[""]) * Fraction(counts["01"], counts["0"]) == Fraction(2, 8)
