import numpy as np

from tokentree import huffman_lengths

counts, grown = np.array([8, 4, 2, 1]), np.array([8, 4, 2, 13])
before, after = huffman_lengths(counts), huffman_lengths(grown)
assert 0 <= counts @ (after - before) <= -(grown - counts) @ (after - before)
