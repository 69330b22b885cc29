# Responses 00 and 01 give a tree with two leaves at depth 2, so 0 and 1 are the only codewords.
leaves = {(0, 0): "0", (0, 1): "1"}
assert (1, 1) not in leaves and sum(2.0 ** -len(word) for word in leaves.values()) == 1
