from tokentree import HuffmanCode, entropy

p = [0.25, 0.25, 0.2, 0.15, 0.15]
length = HuffmanCode.from_weights(p).expected_length(p)
assert entropy(p) <= length < entropy(p) + 1
