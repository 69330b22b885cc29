from fractions import Fraction


# Leaves: D_p's own, and two that it shares with D_a = (0, a, 1 - a) and D_t = (0, 1 - a, a).
# The alignment moves the model one share of the way, and then the negative data another.
def score(own, a, positive, negative):
    p_p, p_a, p_t = [own, (1 - own) / 2, (1 - own) / 2], [0, a, 1 - a], [0, 1 - a, a]
    aligned = [(1 - positive) * x + positive * y for x, y in zip(p_p, p_a)]
    _, more, less = [(1 - negative) * x + negative * y for x, y in zip(aligned, p_t)]
    return (more * a + less * (1 - a)) / (more + less)


def falls(own, a, positive, clock):  # over the first negative examples and over later ones
    at = [score(own, a, positive, clock(n)) for n in (0, 10, 100, 200)]
    return at[0] - at[1], at[2] - at[3]


def steps(n):  # of 1/100
    return 1 - Fraction(99, 100) ** n


none, some = Fraction(0), Fraction(9, 10)
# A deeper tree separates D_a from D_t: after a long alignment both falls are faster.
shallow, deep = (falls(none, a, steps(1000), steps) for a in (Fraction(3, 4), Fraction(1)))
assert shallow[0] < deep[0] and shallow[1] < deep[1]
# By counts with 10^6 examples the later fall is ten times the first, to 1 %, in every tree.
for own, a in (none, Fraction(3, 4)), (none, Fraction(1)), (some, Fraction(1)):
    first, later = falls(own, a, Fraction(100, 10**6), lambda n: Fraction(n, 10**6 + n))
    assert abs(later / first / 10 - 1) < Fraction(1, 100)
# A deeper tree separates D_p from their leaves: after 100 positive examples the claim is true.
shallow, deep = (falls(own, Fraction(1), steps(100), steps) for own in (none, some))
assert shallow[0] < deep[0] and shallow[1] > deep[1]
