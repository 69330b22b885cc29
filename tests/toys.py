"""Small models that tests read, and data for them."""

import zlib
from fractions import Fraction

import numpy as np
from hypothesis import assume, strategies as st

from tokentree import TokenTree


def coin(prefixes):
    """Both symbols with one half, after every prefix."""
    return np.log(np.full((len(prefixes), 2), 0.5))


class Toy:
    """A model whose rows are small random fractions, a function of the prefix alone."""

    def __init__(self, width, seed=0, eos=(), zeros=True, dtype=np.float64):
        self.width, self.seed, self.eos, self.zeros, self.dtype = width, seed, frozenset(eos), zeros, dtype
        self.asked = []

    def row(self, prefix):
        rng = np.random.default_rng([self.seed, zlib.crc32(repr(prefix).encode())])
        parts = rng.integers(0 if self.zeros else 1, 9, self.width).tolist()
        parts[len(prefix) % self.width] += 1
        return [Fraction(part, sum(parts)) for part in parts]

    def __call__(self, prefixes):
        self.asked.append(list(prefixes))
        with np.errstate(divide="ignore"):
            return np.log(np.array([self.row(p) for p in prefixes], dtype=float)).astype(self.dtype)


models = st.builds(
    dict,
    width=st.integers(1, 5),
    seed=st.integers(0, 2**32),
    eos=st.sets(st.integers(0, 4), max_size=2),
    zeros=st.booleans(),
)


def build(arguments):
    assume(all(token < arguments["width"] for token in arguments["eos"]))
    return Toy(**arguments)


responses = st.lists(st.lists(st.integers(0, 4), max_size=4), min_size=1, max_size=8)


def data_for(model, responses, depth):
    """A tree of responses whose symbols the model knows and does not end with."""
    ids = [token for token in range(model.width) if token not in model.eos]
    assume(ids)
    rows = [[ids[token % len(ids)] for token in response] for response in responses]
    return TokenTree.from_sequences(rows, alphabet_size=max(ids) + 1, depth=depth)
