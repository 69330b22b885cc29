from fractions import Fraction

# D_1 lies on leaf 0, and D_2 evenly on leaves 1 and 2: H(p_2) is 1 bit for all sizes.
for n_1, bits in (1, 2), (2**20 - 1, 21):
    q = Fraction(1, n_1 + 1) / 2  # share of leaf 1 in the joint tree, with n_2 = 1
    assert q == Fraction(1, 2**bits)  # so a response of D_2 costs this many bits: 1 + log2(1 / w_2)
