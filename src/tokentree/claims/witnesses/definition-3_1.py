from tokentree import TokenTree

tree = TokenTree.from_sequences(["", "0", "01", "01", "1"])
assert tree.weight("0") == tree.weight("0", eos=True) + tree.weight("00") + tree.weight("01") == 3
