from fractions import Fraction
from heapq import heappop, heappush
from math import prod


def huffman(counts):
    """Mean length of Huffman's code: every merge adds one bit to the merged weight."""
    heap, total = sorted(counts), 0
    while len(heap) > 1:
        merged = heappop(heap) + heappop(heap)
        heappush(heap, merged)
        total += merged
    return Fraction(total, sum(counts))


def entropy_is_at_most(bits, counts):
    """H <= bits, in integers: n^n <= 2^(n bits) prod c^c."""
    n = sum(counts)
    return n**n <= 2 ** (n * bits) * prod(c**c for c in counts)


# Shorter than printed: 1 < H <= 2, so ceil(H) = 2.
assert not entropy_is_at_most(1, [1, 1, 1]) and entropy_is_at_most(2, [1, 1, 1])
assert huffman([1, 1, 1]) == Fraction(5, 3)
# Longer than printed: 0 < H <= 1, so ceil(H) = 1.
assert entropy_is_at_most(1, [7, 1, 1])
assert huffman([7, 1, 1]) == Fraction(11, 9)
