from tokentree import Mixture, cross_entropy

mixture = Mixture([[2, 1, 1], [0, 1, 1]], [3, 1])
assert abs(mixture.rates()[0] - cross_entropy([0.5, 0.25, 0.25], mixture.joint)) < 1e-15
grown = mixture.perturb(0, 0.01)
assert grown.rates()[0] < (grown.potential() - mixture.potential()) / 0.01 < mixture.rates()[0]
