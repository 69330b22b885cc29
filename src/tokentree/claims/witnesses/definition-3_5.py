from fractions import Fraction


# Total variation from p_p after n_p, n_a, n_b examples of D_p, D_a, D_b; two leaves, all of D_a on one.
def left(n_p, n_a, n_b, share):  # `share` of D_b lies on D_a's leaf
    return abs((n_a + share * n_b) / Fraction(n_p + n_a + n_b))


n_p, n_a = 1000, 10
before = left(n_p, n_a, 0, 0)
# The best D_b has nothing there, and undoing half takes as many examples as all that came before.
assert all(left(n_p, n_a, n_b, 0) > before / 2 for n_b in range(n_p + n_a))
assert left(n_p, n_a, n_p + n_a, 0) == before / 2
# With fixed steps of 1/10, seven examples undo half of any alignment, even one with 1,000 examples.
assert Fraction(9, 10) ** 7 < Fraction(1, 2)
