from fractions import Fraction

p_a = [0, 1]
for l in Fraction(1, 10), Fraction(1, 5):
    model = [1000 / (1001 + l), 1 - 1000 / (1001 + l)]
    assert any(q > 0 == p for p, q in zip(p_a, model))  # log(q / p) is infinite
