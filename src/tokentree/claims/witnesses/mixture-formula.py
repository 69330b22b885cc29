from tokentree import TokenTree, leaf_distributions, merge

one, two = TokenTree.from_sequences(["0", "01", "01"]), TokenTree.from_sequences(["01", "1"])
assert merge([one, two]) == TokenTree.from_sequences(["0", "01", "01", "01", "1"])
assert (merge([one, two]).leaves().weight == leaf_distributions([one, two], weights=True).sum(axis=0)).all()
