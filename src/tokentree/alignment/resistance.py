"""Section 5.1: resistance to alignment, simulated."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from .._lib import checks
from .._lib.results import Result, points
from ..information import divergence_terms, entropy, log_ratio
from ..mixtures import Mixture
from .regimes import REGIMES, move, roles_of, speed_of

DIRECTIONS = ("forward", "inverse")
"""Directions of retraining in `Resistance`."""


@dataclass(frozen=True, eq=False, repr=False)
class Resistance(Result):
    """Slices of an alignment run retrained on one another's answers; made by `simulate_resistance`.

    Pairs (k, l) have k < l: forward trains theta_k on data distributed as theta_l, inverse theta_l on data
    distributed as theta_k. Gaps are forward minus inverse, averaged over the run: positive where inverse
    alignment is easier. Regimes are `REGIMES`, directions `DIRECTIONS`. `to_frame` has one row per regime,
    pair, direction and number of examples; gaps are repeated in it, and entropies, one per slice, are left
    out.

    Attributes
    ----------
    pairs : tuple of (k, l)
        Slices are counted from 1.
    examples : float array, shape (E,)
        Examples of retraining.
    entropy : float array, shape (2, S)
        Entropy of every slice's answers, a lower bound on training losses on them. Per block, like all
        losses.
    training_loss, excess_loss : float array, shape (2, P, 2, E)
        Axes regime, pair, direction, examples. CE(target, q) and KL(target || q), which differ by the entropy
        of the target.
    entropy_gap, excess_gap : float array, shape (2, P)
        H(theta_l) - H(theta_k), formed without cancellation, and the gap of the excess loss, which is a
        difference of losses: where a slice changes the model's masses by a fraction f, its relative error is
        about 1e-16 / f.
    step : float
        Step size of the fixed-step regime.
    unexpanded : float
        As in `AlignmentBudget`: if > 0, neither a gap nor its sign is certain.
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
        """Gap of the training loss: the sum of the gaps of entropy and of excess loss."""
        return np.asarray(self.entropy_gap + self.excess_gap)

    @property
    def inverse_easier_by_loss(self) -> Bool[np.ndarray, "2 pairs"]:
        """Whether inverse alignment has the lower training loss, as in the paper's Table 1 for every pair."""
        return self.loss_gap > 0

    @property
    def inverse_easier_by_excess(self) -> Bool[np.ndarray, "2 pairs"]:
        """Whether inverse alignment has the lower excess loss, which measures the training itself."""
        return self.excess_gap > 0

    @property
    def decided_by_entropy(self) -> Bool[np.ndarray, "2 pairs"]:
        """Whether the entropies alone decide the sign of the gap of the training loss."""
        return np.asarray(np.abs(self.entropy_gap) > np.abs(self.excess_gap))

    def _columns(self) -> tuple[Mapping[str, Any], *tuple[str, ...]]:
        # With leading zeros, the alphabetical order is that of the pairs.
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

    The model pre-trained on D_p is aligned on D_a and saved after every |D_a| / slices examples, as theta_1,
    theta_2, and so on. Each is then trained on |D_a| / slices answers of another one.

    Parameters
    ----------
    mixture : Mixture
        Only D_p and D_a matter.
    pretrain, align : int or str
        Index or name.
    slices : int
        At least 2.
    step : float, optional
        Step size of the fixed-step regime. Default: 1 / |D_a|, but at most 1/2, so that the whole run moves
        the model about 1 - 1/e of the way.
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
        If a dataset, a number or the base is not as described above.

    Notes
    -----
    The answers of theta_k follow its distribution q_k exactly: there is no sampling and no seed. The training
    loss is H(target) + KL(target \|\| q). For nearby slices the KL is of second order in the distance and its
    asymmetry of third order, but the difference of entropies is of first order: so the training loss usually
    shows which of two slices has the lower entropy. This fails if the entropies are nearly equal, and leaves
    that D_p lacks make the asymmetry first order too: see ``docs/alignment.md``. O(points slices^2 M).

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
            # How much farther theta_l has moved: the share that theta_k still kept, times the fraction lost
            # since.
            gap = float(kept[k - 1] * move((l - k) * chunk, n_p + k * chunk, speed)[1])
            for d, (start, end) in enumerate(((k, l), (l, k))):
                target, ahead = models[end - 1], (gap if d == 0 else -gap) * u
                lefts, shares = move(examples, n_p + start * chunk, speed)
                for j, (left, share) in enumerate(zip(lefts, shares, strict=True)):
                    model = left * models[start - 1] + share * target
                    terms = divergence_terms(target, model, left * ahead)
                    if speed is not None:
                        # What is left of D_p alone decays too far for float64, its logarithm does not.
                        steps = (start - end) * chunk + examples[j]
                        terms = np.where(np.isinf(terms), target * (speed * steps - 1), terms)
                    excess[r, i, d, j] = terms.sum() / unit
            far = moved[k - 1] > 1 / 2
            logs = _logs(models[k - 1], after if far else before, (-kept if far else moved)[k - 1] * u)
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


def _logs(
    model: Float[np.ndarray, "leaves"], near: Float[np.ndarray, "leaves"], change: Float[np.ndarray, "leaves"]
) -> Float[np.ndarray, "leaves"]:
    """Logarithm of a model up to a constant, by its change from a nearby one, whose own may be constant."""
    on = near > 0
    base = np.where(on, near, model) / near.max()
    logs = np.log(base, out=np.zeros_like(base), where=base > 0)
    return np.asarray(logs + np.where(on, log_ratio(model, near, change), 0.0))
