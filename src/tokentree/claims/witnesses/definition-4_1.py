from tokentree import Mixture

mixture = Mixture([[1, 1, 1, 1], [0, 0, 1, 1]], [1, 3])
assert (mixture.rates() - mixture.normalized_rates() == [2, 1]).all()
