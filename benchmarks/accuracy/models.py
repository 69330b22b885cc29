"""Data under a model."""

import math
from collections.abc import Iterator
from fractions import Fraction

import mpmath
import numpy as np

import tokentree as tt

from .table import Row, divergence, fractions, log, number, row
from .theorem import counted_trees


def model_rows() -> Iterator[Row]:
    """Models that know the masses of the data up to some error."""
    rng = np.random.default_rng(7)
    _, data, _ = counted_trees(rng)
    for error in (1e-3, 1e-9):
        leaves = data.leaves()
        masses = leaves.weight * (1 + error * rng.standard_normal(len(leaves))) / data.total_weight
        paths = [leaf.prefix for leaf in leaves]
        model = tt.TokenTree.from_sequences(paths, masses, depth=8)
        both = [tt.leaf_distributions([data, model], d, weights=True) for d in range(1, 9)]
        counts, weights = zip(*([fractions(r) for r in pair] for pair in both), strict=True)
        p = [[x / data.total_weight for x in r] for r in counts]
        q = [[x / Fraction(model.total_weight) for x in r] for r in weights]
        kl = [divergence(a, b) for a, b in zip(p, q, strict=True)]
        # Both are divided by their totals first: a rounding each, of the size of the masses.
        scale = [
            mpmath.fsum(abs(number(a - b)) / number(b) * number(a + b) for a, b in zip(x, y, strict=True))
            for x, y in zip(p, q, strict=True)
        ]
        name = f"a model right within {error:g}"
        depths = tt.modelled_depth(model, data, tolerance=1, base=math.e)
        yield row("modelled_depth.lower", name, "60 digits", depths.lower, kl, scale)
        rates = tt.model_rates(model, data, base=math.e)
        entropies = [-mpmath.fsum(number(a) * log(a) for a in r if a) for r in p]
        losses = [
            -mpmath.fsum(number(a) * log(b) for a, b in zip(x, y, strict=True) if a)
            for x, y in zip(p, q, strict=True)
        ]
        yield row("model_rates.entropy", name, "60 digits", rates.entropy, entropies)
        yield row("model_rates.log_loss", name, "60 digits", rates.log_loss, losses)
        yield row("model_rates.tokens", name, "rational", rates.tokens, list(range(1, 9)))
