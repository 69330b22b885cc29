from tokentree import Mixture

mixture = Mixture([[7, 2, 1], [1, 1, 8]], [9, 1])
for b in (1, 2, 4):
    gap = (mixture.potential(code="huffman", extension=b) - mixture.potential()) / mixture.total_size
    assert 0 <= gap < 1 / b
