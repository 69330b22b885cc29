from fractions import Fraction


# Published form, three disjoint parts: the mass on the leaf of D_a, which is also D_2's, after n_t of D_t.
def mass(k, n_t):
    return (Fraction(k, 3) + 1) / (k + 1 + n_t)


# It was 1/3 before the alignment. |D_a| is 1, and it takes exactly 2 to bring the mass back, for every k.
for k in 3, 1000, 10**9:
    assert mass(k, 2) == Fraction(1, 3)
    assert mass(k, Fraction(1, 10)) > Fraction(1, 3)
