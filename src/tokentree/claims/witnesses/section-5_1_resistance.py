from fractions import Fraction


def bits(p):
    return [x.denominator.bit_length() - 1 for x in p]


def cross(p, q):
    return sum(x * b for x, b in zip(p, bits(q)))


# Two slices of an alignment run: their masses are powers of 1/2, so all losses are exact binary fractions.
skewed = [Fraction(1, 2), Fraction(1, 4), Fraction(1, 8), Fraction(1, 8)]
even = [Fraction(1, 4)] * 4
for earlier, later, easier in (skewed, even, "inverse"), (even, skewed, "forward"):
    forward, inverse = cross(later, earlier), cross(earlier, later)  # training losses at the start
    assert (inverse < forward) == (easier == "inverse")
    # The excess losses are the same in both directions: only the entropies differ.
    assert forward - cross(later, later) == inverse - cross(earlier, earlier) == Fraction(1, 4)
