from fractions import Fraction


# The fall of the score over 100 negative examples after 1,000 positive ones, by counts. D_p is uniform on two
# leaves, D_a = (a, 1 - a) and D_t = (1 - a, a): the deeper the tree, the larger a.
def fall(a, n_p):
    def score(n):
        more, less = n_p / Fraction(2) + 1000 * a + n * (1 - a), n_p / Fraction(2) + 1000 * (1 - a) + n * a
        return (more * a + less * (1 - a)) / (more + less)

    return score(0) - score(100)


shallow, deep = Fraction(3, 4), Fraction(1)
for less, more in (10**4, 10**6), (10**5, 10**9):
    rows = [[fall(a, n_p) for n_p in (less, more)] for a in (shallow, deep)]
    assert rows[0][0] * rows[1][1] == rows[0][1] * rows[1][0]  # a product
    assert rows[0][0] + rows[1][1] < rows[0][1] + rows[1][0]  # not a sum
# It tends to 0 at every depth, which no sum with a term for depth can do.
assert all(0 < fall(a, n_p) < Fraction(100, n_p) for a in (shallow, deep) for n_p in (10**4, 10**6, 10**9))
