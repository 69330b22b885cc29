from fractions import Fraction
from math import prod


def entropy_is_below(bits, counts):
    """H < bits, in integers: n^n < 2^(n bits) prod c^c, both to the power of bits' denominator."""
    n, a, b = sum(counts), bits.numerator, bits.denominator
    return n ** (n * b) < 2 ** (n * a) * prod(c**c for c in counts) ** b


# Masses 1/2, 1/4, 1/4: H = 1/2 + 2/4 + 2/4, and Huffman's lengths 1, 2, 2 give the same.
masses, lengths = [Fraction(1, 2), Fraction(1, 4), Fraction(1, 4)], [1, 2, 2]
assert all(p == Fraction(1, 2**bits) for p, bits in zip(masses, lengths))
# Counts 1, 1, 1 and 7, 1, 1 also have Huffman lengths 1, 2, 2: above H, and below H + 1.
for counts in [1, 1, 1], [7, 1, 1]:
    length = Fraction(sum(c * bits for c, bits in zip(counts, lengths)), sum(counts))
    assert entropy_is_below(length, counts) and not entropy_is_below(length - 1, counts)
# Blocks that are not distributed as the leaves: 0011 has one leaf at depth 2 and H = 0, but three blocks.
tokens = [0, 0, 1, 1, "end"]
assert len({tuple(tokens[i : i + 2]) for i in range(0, len(tokens), 2)}) == 3
