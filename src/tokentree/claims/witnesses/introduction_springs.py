from fractions import Fraction

force, stiffness = Fraction(7), [Fraction(2), Fraction(3), Fraction(6)]
extensions = [force / k for k in stiffness]
assert all(k * x == force for k, x in zip(stiffness, extensions))
assert sum(extensions) == force * sum(1 / k for k in stiffness) == force / Fraction(1)
