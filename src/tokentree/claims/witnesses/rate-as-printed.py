from fractions import Fraction

# D_1 lies on leaf 0 and D_2 on leaf 1, so both entropies, and the printed rates, are 0.
for n_1, bits in (1, 1), (2**20 - 1, 20):
    q = Fraction(1, n_1 + 1)  # share of leaf 1 in the joint tree, n_2 being 1
    assert q == Fraction(1, 2**bits)  # so a response of D_2 costs this many bits
