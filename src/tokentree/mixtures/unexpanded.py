r"""The effect of unexpanded mass: guaranteed bounds on rates, overlaps and signs.

A tree read from a language model knows only part of its mass. The rest is in `LeafKind.UNEXPANDED` leaves,
the *pools*. A *completion* is a set of full trees of depth d, one per dataset, that agree with every listed
weight: the mass of each pool goes to leaves below the pool's parent, at or below tokens that its own tree
does not list there. The bounds hold in every completion.

At a leaf x of a completion the mass of dataset i is either known, a_i, or an unknown part b_i of one pool.
q_a = sum w_c a_c is the known part of q. ``docs/models.md`` proves the following two facts.

**One pool.** Let leaf x have pull m and base q. Spread a budget B over the leaves, with beta_x on leaf x.
Then

    sum_x (m^2 / q) beta / (q + beta)  <=  B z^2 + sum_x max(0, m / sqrt q - z sqrt q)^2,

for every z >= 0. Both sides are equal at the water level, where q + beta = m / z on the leaves with beta > 0.
Likewise sum_x m log(1 + beta / q) <= B z + sum (m log(m / (z q)) - m + z q), the last sum over the leaves
with m > z q, and with equality at the same level.

- The pools of a third dataset c reduce S_it by at most the first sum, with m^2 = a_i a_t, B = w_c r_c.
- They reduce gamma_i by at most the second sum, with m = a_i.
- A pool of t adds to S_it, where the mass of i is known, at most 1 / w_t of the first, with m^2 = a_i q_a.

**Two pools.** Where the masses of both i and t are unknown, p_i p_t / q <= y^2 b_i + z^2 b_t whenever
sqrt(w_i) z + sqrt(w_t) y >= 1; less than 1 suffices where other datasets are known to have mass. So the
prices z of the pools of t, and y of those of i, are raised from their water levels until this holds for every
two that share a leaf.

Finally, sum_j w_j S_ij = 1 in every completion, so each S_it is also bounded through the others. If dataset t
is nearly all of the mixture, this keeps the digits of 1 - S_it.

**Rounding.** Every bound is widened by a bound on its own rounding error. With u = 2^-53, N datasets and M
leaves: masses, weights and q are accurate within (N + 5) u, and pairwise sums add at most (log2 M + 19) u, so
sums over known leaves are within (N + 64) 2^-52. In the sums over pools m is first raised and q lowered by
more than their errors; then only sequential sums can round down, by at most (M + 100) 2^-52. Masses are
multiplied by 2^512, which is exact, so underflow is far below 2^-250.
"""

import math
import operator
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Annotated, Any

import numpy as np
from jaxtyping import Float

from .._lib import checks
from .._lib.checks import Numbers
from .._lib.results import Result, few, points, span
from ..trees import TokenTree, checked_trees, one_after_another
from .blocks import SCALE, inverse_root
from .mixture import Unread
from .pools import _U, _error, _Known, _known, _lengths, _pools, _ratio, _sums, _within
from .rows import dataset_index, exact_sizes


@dataclass(frozen=True, eq=False, repr=False)
class UnexpandedBounds(Result):
    """Intervals that hold for every completion of the unexpanded mass; made by `unexpanded_bounds`.

    Attributes
    ----------
    rates_lower, rates_upper : float array, shape (N,)
        gamma_i = CE(p_i, q) per block, in the unit of `base`.
    overlap_lower, overlap_upper : float array, shape (N, N)
        S_it = sum p_i p_t / q.
    response_lower, response_upper : float array, shape (N, N)
        R_it = d gamma_i / d n_t = (1 - S_it) / T, per block and per unit of size.
    unexpanded : float array, shape (N,)
        Share of each dataset's mass that is unexpanded at this depth.
    names : tuple of N strings
        The datasets' names.

    Notes
    -----
    `to_frame` has one row per pair of datasets: index (i, t), their names; values that depend on i alone
    are repeated for every t.

    Examples
    --------
    >>> trees = [TokenTree.from_leaves({"0": 1.0}), TokenTree.from_leaves({"1": 1.0})]
    >>> unexpanded_bounds(trees).to_frame()["overlap_lower"].round(3).to_dict()
    {('D1', 'D1'): 2.0, ('D1', 'D2'): 0.0, ('D2', 'D1'): 0.0, ('D2', 'D2'): 2.0}
    """

    rates_lower: Float[np.ndarray, "datasets"]
    rates_upper: Float[np.ndarray, "datasets"]
    overlap_lower: Float[np.ndarray, "datasets datasets"]
    overlap_upper: Float[np.ndarray, "datasets datasets"]
    response_lower: Float[np.ndarray, "datasets datasets"]
    response_upper: Float[np.ndarray, "datasets datasets"]
    unexpanded: Float[np.ndarray, "datasets"]
    names: tuple[str, ...]

    def __repr__(self) -> str:
        return f"UnexpandedBounds({few(self.names)}: unexpanded share {span(self.unexpanded)})"

    def sign(self, i: int | str, t: int | str) -> int:
        """Sign of R_it in every completion: 1 (rate i rises as t grows), -1, or 0 if undecided.

        Parameters
        ----------
        i, t : int or str
            Positions or names of two datasets.

        Returns
        -------
        int

        Examples
        --------
        >>> web, chat = TokenTree.from_leaves({"0": 1.0}), TokenTree.from_leaves({"1": 1.0})
        >>> bounds = unexpanded_bounds({"web": web, "chat": chat})
        >>> bounds.sign("web", "chat"), bounds.sign(0, 0)
        (1, -1)
        """
        i, t = self._index("i", i), self._index("t", t)
        return interval_sign(self.response_lower[i, t], self.response_upper[i, t])

    def holds(self, pretrain: int | str = 0, align: int | str = 1, perturb: int | str = 2) -> bool | None:
        """Whether Theorem 4.2's signs, S_pt > 1 > S_at, hold in every completion (True) or in none (False).

        None if the bounds leave it open.

        Parameters
        ----------
        pretrain, align, perturb : int or str
            Positions or names of D_p, D_a and D_t.

        Returns
        -------
        bool or None

        Examples
        --------
        >>> trees = [TokenTree.from_leaves({"0": a, "1": 1 - a}) for a in (0.5, 1.0, 0.0)]
        >>> unexpanded_bounds(trees, sizes=[10, 1, 0.5]).holds()
        True
        """
        given = {"pretrain": pretrain, "align": align, "perturb": perturb}
        p, a, t = checks.different(given, lambda each, role: self._index(role, each))
        return signs_hold(self.sign(p, t) or None, self.sign(a, t) or None)

    def _index(self, name: str, dataset: int | str) -> int:
        return dataset_index(name, dataset, len(self.names), self.names)

    def _columns(self) -> tuple[Mapping[str, Any], *tuple[str, ...]]:
        arrays = {name: each for name, each in vars(self).items() if name != "names"}
        pairs = {name: each if each.ndim == 2 else each[:, None] for name, each in arrays.items()}
        return points({"i": self.names, "t": self.names}, **pairs)


def unexpanded_bounds(
    trees: Sequence[TokenTree] | Mapping[str, TokenTree] | TokenTree,
    *more: Any,
    sizes: Annotated[Numbers, "datasets"] | Mapping[str, float] | None = None,
    depth: int | None = None,
    base: float = 2,
    vocabulary_size: int | None = None,
    names: Iterable[str] | None = None,
) -> UnexpandedBounds:
    r"""Bound the rates, overlaps and response of datasets whose trees have unexpanded leaves.

    Parameters
    ----------
    trees : sequence of N TokenTrees, or a mapping of names to them
        As in `Mixture.from_trees`; leaf weights are divided by their sum.
    *more : TokenTree
        As in `Mixture.from_trees`: further trees, or the sizes after a sequence or a mapping.
    sizes : sequence of N numbers, or a mapping of names to them, optional
        Default: the trees' total weights.
    depth : int, optional
        Depth d of the joint tree; unexpanded mass may lie down to it. Default: that of the deepest tree.
    base : float
        Unit of the rates: 2 for bits, ``math.e`` for nats.
    vocabulary_size : int, optional
        Number of symbols that unexpanded mass may lie on. Default: the trees' alphabet size. A tree from
        `read_along`, or of a model that returns only its likely tokens, needs the vocabulary size of the
        model: the tree's alphabet omits ids that its unexpanded leaves represent.
    names : sequence of N distinct strings, optional
        Default: those of a mapping, else "D1", "D2", ...

    Returns
    -------
    UnexpandedBounds
        Guaranteed for every completion. Without unexpanded mass the intervals contain the values of
        `Mixture`, and are as wide as rounding: about (N + 64) 2^-51 of the value, and 2^-249 where it is 0.

    Raises
    ------
    ValueError, TypeError
        As for `Mixture.from_trees`; if ``base <= 1``; if `vocabulary_size` is below the alphabet size; or if
        a tree has unexpanded mass, beyond rounding, after a prefix for which it lists every token.

    Notes
    -----
    `Mixture.from_trees` reads each unexpanded leaf as one leaf, the same for all trees that have it. That is
    a completion, and so within the bounds, if after each such prefix some token is listed by no tree.

    Two to three sorts of the joint tree's nodes and O(N^2 nodes), plus for every pair the leaves at which a
    third dataset is unknown. ``docs/models.md`` discusses how tight the bounds are.

    Examples
    --------
    Two coins; of the second, three prefixes were expanded.

    >>> from tokentree.adapters import read_model
    >>> fair, loaded = (lambda prefixes, p=p: np.log([[p, 1 - p]] * len(prefixes)) for p in (0.5, 0.9))
    >>> trees = [read_model(fair, depth=3), read_model(loaded, depth=3, max_nodes=10)]
    >>> bounds = unexpanded_bounds(trees)
    >>> print(bounds.unexpanded.round(3), bounds.rates_lower.round(3), bounds.rates_upper.round(3))
    [0.   0.19] [3.321 1.765] [3.563 2.419]
    >>> print(bounds.overlap_lower.round(2)[0], bounds.overlap_upper.round(2)[0])
    [1.39 0.31] [1.69 0.61]
    """
    unit = checks.log_base(base)
    _, names = checks.named(trees, names)
    listed, sizes = one_after_another(trees, more, "sizes", sizes)
    named = checked_trees(listed)
    n = len(named)
    labels = checks.distinct_names(names, n, "dataset", "D")
    totals = [tree.total_weight for tree in named.values()]
    exact = exact_sizes(totals if sizes is None else sizes, n, None if names is None else labels)
    w = _weights(exact)
    least = next(iter(named.values())).alphabet_size
    q = least if vocabulary_size is None else checks.integer("vocabulary_size", vocabulary_size, least)
    known = _known(named, depth, q)
    rates = _rates(known, w) / unit
    overlap = _overlaps(known, w)
    excess = _conserve(_from_one(overlap), w)
    response = excess / (float(sum(exact)) * unit)
    low, high = _from_one(excess)
    return UnexpandedBounds(
        rates[0] * (1 - 2 * _U),
        rates[1] * (1 + 2 * _U),
        np.maximum(overlap[0], low),
        np.minimum(overlap[1], high),
        response[0] - 4 * _U * np.abs(response[0]),
        response[1] + 4 * _U * np.abs(response[1]),
        known.rest.sum(axis=1) / SCALE,
        labels,
    )


def interval_sign(lower: float, upper: float) -> int:
    """The sign of all values between two bounds; 0 if they differ."""
    return int(lower > 0) - int(upper < 0)


def signs_hold(pretrain: int | None, align: int | None) -> bool | None:
    """Whether gamma_p' < 0 < gamma_a', from proved signs; None if unproved signs leave it open."""
    if pretrain in (0, 1) or align in (0, -1):
        return False
    return None if pretrain is None or align is None else True


class Completions:
    """Bounds on 1 - S_it in every completion of a mixture's trees, at any sizes and over any vocabulary.

    A tree does not determine its vocabulary: its alphabet may omit ids that its unexpanded leaves represent.
    One symbol more than the alphabet can represent all of these, because overlaps do not depend on how many
    leaves a pool may fill. With it the reading of `Mixture.from_trees` is a completion, so a guaranteed sign
    is also that of the mixture's own values. Datasets that are means of trees are bounded through the trees,
    since S is bilinear.
    """

    def __init__(self, unread: Unread) -> None:
        self._known = _known(checked_trees(unread.trees), None, unread.trees[0].alphabet_size + 1)
        self._means = unread.means

    def excess(self, sizes: Sequence[Fraction]) -> Float[np.ndarray, "2 datasets datasets"]:
        """Lower and upper bounds at these sizes; the trees are not sorted again."""
        w = _weights(sizes)
        if self._means is None:
            return _conserve(_from_one(_overlaps(self._known, w)), w)
        amounts = [sum(map(operator.mul, sizes, shares)) for shares in zip(*self._means, strict=True)]
        parts = _weights(amounts)
        found = _conserve(_from_one(_overlaps(self._known, parts)), parts)
        means = np.array(self._means, np.float64)
        slack = (2 * len(parts) + 8) * _U * (means @ np.abs(found).max(axis=0) @ means.T)
        return _conserve(_widened(means @ found @ means.T, slack), w)


def _weights(sizes: Sequence[Fraction]) -> Float[np.ndarray, "datasets"]:
    total = sum(sizes)
    return np.array([float(size / total) for size in sizes])


def _from_one(
    bounds: Float[np.ndarray, "2 datasets datasets"],
) -> Float[np.ndarray, "2 datasets datasets"]:
    """Bounds on 1 - S from those on S, or vice versa."""
    outwards = np.array([-np.inf, np.inf])[:, None, None]
    turned: Float[np.ndarray, "2 datasets datasets"] = np.nextafter(1 - bounds[::-1], outwards)
    return turned


def _rates(known: _Known, w: Float[np.ndarray, "datasets"]) -> Float[np.ndarray, "2 datasets"]:
    """Lower and upper bounds on the rates in nats."""
    p, pool, rest, room = known
    n, q = len(w), w @ p
    lengths = _lengths(q)
    # Upper bound on q at each leaf.
    most = q + sum(w[c] * np.append(rest[c], 0.0)[pool[c]] for c in range(n))
    rates = np.empty((2, n))
    for i in range(n):
        sure = float((p[i] * lengths).sum())
        lost = sum(_pools(known, w, c, p[i], q).logarithmic() for c in range(n) if c != i)
        shortest = _lengths(_within(np.maximum, most, pool[i], rest.shape[1]))
        alone = room[i] + _lengths(w[i] * rest[i])
        others = _within(np.minimum, q, pool[i], rest.shape[1])
        longest = -np.logaddexp(-alone, np.where(others > 0, -_lengths(others), -np.inf))
        low, high = float((rest[i] * shortest).sum()), float((rest[i] * longest).sum())
        slack = _error(n) * (sure + abs(low) + abs(high) + 4 * SCALE)
        rates[:, i] = max(sure + low - lost - slack, 0.0), sure + high + slack
    return rates / SCALE


def _overlaps(known: _Known, w: Float[np.ndarray, "datasets"]) -> Float[np.ndarray, "2 datasets datasets"]:
    """Lower and upper bounds on the overlaps, each separately."""
    p, n, q = known.p, len(w), w @ known.p
    share = p * inverse_root(q) ** 2
    bounds = np.empty((2, n, n))
    for i in range(n):
        for t in range(i, n):
            sure = float((p[i] * share[t]).sum())
            pull = np.sqrt(p[i]) * np.sqrt(p[t])
            lost = sum(_pools(known, w, c, pull, q).hyperbolic() for c in range(n) if c not in (i, t))
            gained = _kept(known, w, q, i) if i == t else _gained(known, w, q, i, t)
            slack = _error(n) * (sure + gained)
            bounds[:, i, t] = bounds[:, t, i] = sure - slack - lost, sure + slack + gained
    bounds = _widened(bounds / SCALE, 2.0**-250)
    # The mean of p_i / q over D_i is at least 1, and no overlap is negative.
    bounds[0] = np.maximum(bounds[0], np.eye(n))
    return bounds


def _kept(known: _Known, w: Float[np.ndarray, "datasets"], q: Float[np.ndarray, "leaves"], i: int) -> float:
    """Upper bound on what the pools of i add to S_ii: each goes whole to the leaf with least known mass."""
    rest = known.rest[i]
    others = _within(np.minimum, q, known.pool[i], len(rest))
    return float((rest * _ratio(rest, w[i] * rest + others)).sum())


def _gained(
    known: _Known, w: Float[np.ndarray, "datasets"], q: Float[np.ndarray, "leaves"], i: int, t: int
) -> float:
    """Upper bound on what the pools of i and of t add to S_it."""
    p, pool, rest, _ = known
    n = rest.shape[1]
    over_i = _pools(known, w, t, np.sqrt(p[i]) * np.sqrt(q), q)
    over_t = _pools(known, w, i, np.sqrt(p[t]) * np.sqrt(q), q)
    # In units in which two pools that share leaves without any known mass need z + y >= 1.
    units = math.sqrt(w[i]), math.sqrt(w[t])
    z, y = over_i.level() * units[0], over_t.level() * units[1]
    shared = np.flatnonzero((pool[i] >= 0) & (pool[t] >= 0))
    pairs = pool[i][shared] * n + pool[t][shared]
    # Neighbouring leaves mostly share the same two.
    runs = np.flatnonzero(np.diff(pairs, prepend=-1))
    of_i, of_t = np.divmod(pairs[runs], max(n, 1))
    unknown = w[i] * rest[i][of_i] + w[t] * rest[t][of_t]
    others = np.minimum.reduceat(q[shared], runs) if len(runs) else unknown
    need = np.sqrt(unknown / (unknown + others)) + 4 * _error(len(w))
    # Such pools form a group below the highest of them; this is the split within the group alone.
    group = np.minimum(of_i, of_t)
    mass = []
    for c, of in ((i, of_i), (t, of_t)):
        own, first = np.unique(of, return_index=True)
        mass.append(w[c] * _sums(group[first], rest[c][own], n)[group])
    least = y.copy()
    np.maximum.at(y, of_i, need * mass[1] / (mass[0] + mass[1]))
    np.maximum.at(z, of_t, need - y[of_i])
    # Where z has been raised, y need not be.
    np.maximum.at(least, of_i, need - z[of_t])
    return float(over_i.hyperbolic(z / units[0]) / w[t] + over_t.hyperbolic(least / units[1]) / w[i])


def _conserve(
    excess: Float[np.ndarray, "2 datasets datasets"], w: Float[np.ndarray, "datasets"]
) -> Float[np.ndarray, "2 datasets datasets"]:
    """Tighten bounds on 1 - S_it by the law sum_j w_j (1 - S_ij) = 0."""
    others = w / w[:, None]
    np.fill_diagonal(others, 0.0)
    for _ in range(len(w)):
        found = -(excess[::-1] @ others.T)
        found = _widened(found, (len(w) + 8) * _U * (np.abs(excess).max(axis=0) @ others.T))
        for bound in (found, found.transpose(0, 2, 1)):
            excess = np.stack([np.maximum(excess[0], bound[0]), np.minimum(excess[1], bound[1])])
    return excess


def _widened(
    bounds: Float[np.ndarray, "2 *shape"], slack: Float[np.ndarray, "*shape"] | float
) -> Float[np.ndarray, "2 *shape"]:
    """Lower and upper bounds, widened outwards."""
    return np.stack([bounds[0] - slack, bounds[1] + slack])
