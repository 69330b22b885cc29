from fractions import Fraction

data, model = [Fraction(1, 2), Fraction(1, 2), 0], [Fraction(1, 4), Fraction(1, 4), Fraction(1, 2)]
bits = {Fraction(1, 4): 2, Fraction(1, 2): 1}
assert sum(p * bits[q] for p, q in zip(data, model) if p) == 2  # the loss is finite
assert any(q > 0 == p for p, q in zip(data, model))  # so KL(p_theta || p_SFT) is infinite
