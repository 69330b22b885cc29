"""Section 5.1: resistance to alignment, simulated."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from .._lib import checks
from .._lib.results import Result, points
from ..information import divergence_terms, entropy
from ..mixtures import Mixture
from .regimes import REGIMES, move, roles_of, speed_of

DIRECTIONS = ("forward", "inverse")
"""Which way a slice is retrained in `Resistance`."""


@dataclass(frozen=True, eq=False, repr=False)
class Resistance(Result):
    """Slices of an alignment run retrained on one another's answers; made by `simulate_resistance`.

    Pairs (k, l) have k < l: forward trains theta_k on data distributed as theta_l, inverse the other way
    round. Gaps are forward minus inverse, means over the run: positive where inverse alignment is easier.
    Regimes are `REGIMES`, directions `DIRECTIONS`. `to_frame` has one row per regime, pair, direction and
    number of examples; gaps are repeated in it, and entropies left out, which are of slices.

    Attributes
    ----------
    pairs : tuple of (k, l)
        Slices are counted from 1.
    examples : float array, shape (E,)
        Examples of retraining.
    entropy : float array, shape (2, S)
        Of every slice's answers: no training loss on them is lower. Per block, as are all losses.
    training_loss, excess_loss : float array, shape (2, P, 2, E)
        Axes regime, pair, direction, examples. CE(target, q) and KL(target || q), their difference being the
        target's entropy.
    entropy_gap, excess_gap : float array, shape (2, P)
        H(theta_l) - H(theta_k), formed without cancellation, and the gap of the excess loss.
    step : float
        Of the fixed-step regime.
    unexpanded : float
        As in `AlignmentBudget`: above 0 no gap and no sign of one is certain.
    """

    pairs: tuple[tuple[int, int], ...]
    examples: Float[np.ndarray, "examples"]
    entropy: Float[np.ndarray, "2 slices"]
    training_loss: Float[np.ndarray, "2 pairs 2 examples"]
    excess_loss: Float[np.ndarray, "2 pairs 2 examples"]
    entropy_gap: Float[np.ndarray, "2 pairs"]
    excess_gap: Float[np.ndarray, "2 pairs"]
    step: float
    unexpanded: float

    @property
    def loss_gap(self) -> Float[np.ndarray, "2 pairs"]:
        """Gap of the training loss: the entropies' plus the excess losses'."""
        return np.asarray(self.entropy_gap + self.excess_gap)

    @property
    def inverse_easier_by_loss(self) -> Bool[np.ndarray, "2 pairs"]:
        """Whether the training loss says so, as the paper's Table 1 does for every pair."""
        return self.loss_gap > 0

    @property
    def inverse_easier_by_excess(self) -> Bool[np.ndarray, "2 pairs"]:
        """Whether the excess loss says so, that is training itself."""
        return self.excess_gap > 0

    @property
    def decided_by_entropy(self) -> Bool[np.ndarray, "2 pairs"]:
        """Whether the entropies alone decide the sign of the gap of the training loss."""
        return np.asarray(np.abs(self.entropy_gap) > np.abs(self.excess_gap))

    def _columns(self) -> tuple[Mapping[str, Any], *tuple[str, ...]]:
        # With leading zeros, the order of the words is that of the pairs.
        width = len(str(self.entropy.shape[1]))
        pairs = [f"{k:0{width}}-{l:0{width}}" for k, l in self.pairs]
        return points(
            {"regime": REGIMES, "pair": pairs, "direction": DIRECTIONS, "examples": self.examples},
            training_loss=self.training_loss,
            excess_loss=self.excess_loss,
            entropy_gap=self.entropy_gap[..., None, None],
            excess_gap=self.excess_gap[..., None, None],
        )


def simulate_resistance(
    mixture: Mixture,
    pretrain: int | str = 0,
    align: int | str = 1,
    *,
    slices: int = 3,
    step: float | None = None,
    points: int = 17,
    base: float = 2,
) -> Resistance:
    r"""Section 5.1: slices of an alignment run, retrained forward and backward.

    The model pre-trained on D_p is aligned on D_a and kept after every |D_a| / slices examples, as theta_1,
    theta_2, and so on. Each is then trained on what another one says, |D_a| / slices examples of it.

    Parameters
    ----------
    mixture : Mixture
        Only D_p and D_a matter.
    pretrain, align : int or str
        Index or name.
    slices : int
        At least 2.
    step : float, optional
        Of the fixed-step regime. Default: 1 / |D_a|, so that the whole run moves the model by about 1 - 1/e
        of the way, but at most 1/2.
    points : int
        Number of points on each path, at least 2.
    base : float
        2 for bits, ``math.e`` for nats.

    Returns
    -------
    Resistance

    Raises
    ------
    ValueError, TypeError
        If a dataset, a number or the base is not as above.

    Notes
    -----
    theta_k says exactly its own distribution q_k: no sampling, no seed. The training loss is H(target) +
    KL(target \|\| q). Between near slices the KL is of second order in the distance and its asymmetry of
    third, the difference of the entropies of first: so as a rule the training loss tells which of two slices
    has the lower entropy. The rule fails where the entropies are nearly equal, and leaves that D_p lacks make
    the asymmetry first order too: see ``docs/alignment.md``. O(points slices^2 M).

    Examples
    --------
    >>> to_uniform = simulate_resistance(Mixture([[8, 1, 1], [1, 1, 1]], [100, 10]))
    >>> to_peak = simulate_resistance(Mixture([[1, 1, 1], [8, 1, 1]], [100, 10]))
    >>> to_uniform.inverse_easier_by_loss[0], to_peak.inverse_easier_by_loss[0]
    (array([ True,  True,  True]), array([False, False, False]))
    """
    p, a = roles_of(mixture, pretrain, align)
    slices, points = checks.integer("slices", slices, 2), checks.integer("points", points, 2)
    unit = checks.log_base(base)
    n_p, n_a = (float(mixture.exact_sizes[i]) for i in (p, a))
    step = min(1 / n_a, 0.5) if step is None else step
    before, after = mixture.distributions[[p, a]]
    u = after - before
    chunk = n_a / slices
    examples = np.linspace(0, chunk, points)
    pairs = tuple(combinations(range(1, slices + 1), 2))
    excess = np.zeros((2, len(pairs), 2, points))
    entropies, entropy_gap = np.zeros((2, slices)), np.zeros((2, len(pairs)))
    for r, speed in enumerate((None, speed_of(step))):
        kept, moved = move(chunk * np.arange(1, slices + 1), n_p, speed)
        models = np.multiply.outer(kept, before) + np.multiply.outer(moved, after)
        entropies[r] = entropy(models, base)
        for i, (k, l) in enumerate(pairs):
            # How much farther theta_l has gone: what theta_k still kept, times the share lost since.
            gap = float(kept[k - 1] * move((l - k) * chunk, n_p + k * chunk, speed)[1])
            for d, (start, end) in enumerate(((k, l), (l, k))):
                target, ahead = models[end - 1], (gap if d == 0 else -gap) * u
                lefts, shares = move(examples, n_p + start * chunk, speed)
                for j, (left, share) in enumerate(zip(lefts, shares, strict=True)):
                    model = left * models[start - 1] + share * target
                    excess[r, i, d, j] = divergence_terms(target, model, left * ahead).sum() / unit
            logs = np.log(models[k - 1], out=np.zeros_like(u), where=models[k - 1] > 0)
            entropy_gap[r, i] = -gap * (u @ logs) / unit - excess[r, i, 0, 0]
    ends = np.array([[l - 1, k - 1] for k, l in pairs])
    means = excess.mean(axis=3)
    return Resistance(
        pairs,
        examples,
        entropies,
        entropies[:, ends][..., None] + excess,
        excess,
        entropy_gap,
        means[:, :, 0] - means[:, :, 1],
        float(step),
        float(mixture.unexpanded[[p, a]].max()),
    )
