import numpy as np

from tokentree import Mixture

mixture = Mixture([[3, 1, 0], [1, 1, 2], [0, 1, 5]], [1000, 10, 1])
response = mixture.response()
assert (response == response.T).all()
assert np.linalg.eigvalsh(response).max() < 1e-14 * np.abs(response).max()
assert (abs(response @ mixture.sizes) < 1e-14 * (np.abs(response) @ mixture.sizes)).all()
