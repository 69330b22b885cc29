# Blocks distributed as the leaves: counts 7, 1, 1 need 11/9 bits per block, and ceil(H) = 1.
from fractions import Fraction

assert abs(Fraction(1 * 7 + 2 * 1 + 2 * 1, 9) - 1) < 1
# Blocks that are not: the response 0011 in blocks of two tokens.
tokens = [0, 0, 1, 1, "end"]
blocks = [tuple(tokens[i : i + 2]) for i in range(0, len(tokens), 2)]
leaves = {blocks[0]}  # of this response's tree pruned to depth 2: H = 0, so the formula gives 0 bits
assert len(blocks) == 3 and not leaves.intersection(blocks[1:])
