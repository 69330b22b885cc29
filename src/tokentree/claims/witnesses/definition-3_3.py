# Responses 00 and 01 make a tree of two leaves at depth 2: codewords 0 and 1 are all there are.
leaves = {(0, 0): "0", (0, 1): "1"}
assert (1, 1) not in leaves and sum(2.0 ** -len(word) for word in leaves.values()) == 1
