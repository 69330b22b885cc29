r"""What pruning does: rates, response and Theorem 4.2's signs against the depth of the joint tree.

Pruning merges leaves, and so does every coarser reading of the same data. Let f_i = p_i / q on the fine
leaves, and C the cell that a leaf is merged into. The merged f_i is E_q[f_i | C], so by the law of total
covariance

    S_fine - S_coarse = E_q[ Cov(f_i, f_t | C) ],

which is positive semidefinite. Merging two leaves x and y takes v_i v_t q(x) q(y) / (q(x) + q(y)) off S_it,
with v = f(x) - f(y). So as depth grows, for the same datasets and sizes,

- -R and S - 1 grow in the Loewner order: diagonals, eigenvalues, the norm of S - 1;
- rates, entropies, KL(p_i || q) and Phi grow;
- a single S_it may go either way, and cross 1: the verdict may flip, in both directions. It moves by at most
  the root of what S_ii and S_tt grow by, multiplied.

Proofs and the smallest witnesses are in ``docs/depth.md``.
"""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from . import _checks, _interop, _masses
from ._bands import REST
from ._checks import Numbers
from .elasticity import Elasticity, elasticity
from .information import divergence_terms
from .mixture import Mixture
from .tree import TokenTree, _union

if TYPE_CHECKING:
    import pandas

_ROUNDING = 2.0**-40
"""Nats that rounding cannot add to a divergence: its terms are right to some units in the last place."""


@_interop.comparable
class DepthCurve(NamedTuple):
    """A mixture at several depths; made by `depth_curve`.

    Attributes
    ----------
    depths : int array, shape (D,)
        Depths d that the joint tree is pruned to.
    leaves : int array, shape (D,)
        Number M of joint leaves.
    rates, normalized_rates : float array, shape (D, N)
        As `Mixture.rates` and `Mixture.normalized_rates` give them.
    response : float array, shape (D, N, N)
        R, the derivatives of the rates by the sizes.
    overlap : float array, shape (D, N, N)
        S; R has the sign of 1 - S.
    elasticities : tuple of D `Elasticity`
        Theorem 4.2 at each depth, its signs certified.
    """

    depths: Int[np.ndarray, "depths"]
    leaves: Int[np.ndarray, "depths"]
    rates: Float[np.ndarray, "depths datasets"]
    normalized_rates: Float[np.ndarray, "depths datasets"]
    response: Float[np.ndarray, "depths datasets datasets"]
    overlap: Float[np.ndarray, "depths datasets datasets"]
    elasticities: tuple[Elasticity, ...]

    @property
    def holds(self) -> tuple[bool | None, ...]:
        """Whether Theorem 4.2's signs hold at each depth; None where they could not be proved."""
        return tuple(found.holds for found in self.elasticities)

    def __repr__(self) -> str:
        datasets = f"{self.rates.shape[1]} datasets"
        return f"DepthCurve({datasets}, depth {_interop.span(self.depths)}, {_interop.tally(self.holds)})"

    def to_frame(self) -> "pandas.DataFrame":
        """The curve as a pandas table, one row a depth; `response` and `overlap` are not in it.

        Returns
        -------
        pandas.DataFrame
            Index depth; columns leaves, rate_1 to rate_N and normalized_rate_1 to normalized_rate_N in the
            order of the trees, the derivatives dgamma_*, ratio, holds (missing where undecided) and
            certified.

        Raises
        ------
        ImportError
            If pandas is not installed.

        Examples
        --------
        >>> trees = [TokenTree.from_leaves({leaf: 1}, depth=2) for leaf in ("01", "10", "00")]
        >>> depth_curve(trees).to_frame()["holds"].to_dict()
        {1: True, 2: False}
        """
        columns = {"depth": self.depths, "leaves": self.leaves}
        for name, rates in (("rate", self.rates), ("normalized_rate", self.normalized_rates)):
            columns |= {f"{name}_{i}": column for i, column in enumerate(rates.T, start=1)}
        return _interop.frame(columns | _interop.verdicts(self.elasticities), "depth")


def depth_curve(
    trees: Sequence[TokenTree],
    depths: Annotated[Numbers, "depths"] | None = None,
    sizes: Annotated[Numbers, "datasets"] | None = None,
    pretrain: int | str = 0,
    align: int | str = 1,
    perturb: int | str = 2,
    base: float = 2,
    per: Literal["block", "token"] = "block",
    names: Iterable[str] | None = None,
) -> DepthCurve:
    r"""Rates, response and certified signs with the joint tree pruned to one depth after another.

    Parameters
    ----------
    trees : sequence of N >= 3 TokenTrees
        One tree a dataset. Trees of blocks (`TokenTree.from_bytes`) keep their blocks: depth d is then the
        first d symbols of every block.
    depths : array_like of int, shape (D,), optional
        Default: 1 to the depth of the deepest tree.
    sizes : sequence of N numbers, optional
        The |D_i|, the same at every depth. Default: the trees' total weights.
    pretrain, align, perturb, base, per
        As in `elasticity`.
    names : sequence of N distinct strings, optional
        As in `Mixture`.

    Returns
    -------
    DepthCurve

    Raises
    ------
    ValueError
        If `depths` is empty or not one-dimensional, a depth is below 1 or runs below a cut, or as for
        `Mixture.from_trees` and `elasticity`.
    TypeError
        If a depth is not an integer, or as for `Mixture.from_trees`.

    Notes
    -----
    O(D (nodes log nodes + N^2 M)). Per block, everything on the diagonal moves one way with depth (see the
    module); per token it need not. Definition 3.3a and Theorem 4.2.

    Examples
    --------
    >>> first, second, third = (TokenTree.from_leaves({leaf: 1}, depth=2) for leaf in ("01", "10", "00"))
    >>> curve = depth_curve([first, second, third])
    >>> curve.holds
    (True, False)
    >>> curve.overlap[:, 0, 2]
    array([1.5, 0. ])
    """
    trees = list(trees)
    if depths is None:
        grid = list(range(1, max((tree.depth for tree in trees), default=1) + 1))
    else:
        listed = _checks.array("depths", depths)
        if listed.ndim != 1 or not listed.size:
            raise ValueError(f"depths has shape {listed.shape}: must be one-dimensional and not empty")
        grid = [_checks.integer(f"depths[{i}]", depth, 1) for i, depth in enumerate(listed.tolist())]
    mixtures: list[Mixture] = []
    for depth in grid:
        mixtures.append(Mixture.from_trees(trees, sizes, depth, names))
        # What was an iterator is at its end now.
        sizes, names = mixtures[0].exact_sizes, mixtures[0].names
    return DepthCurve(
        np.array(grid),
        np.array([mixture.n_leaves for mixture in mixtures]),
        np.array([mixture.rates(base, per=per) for mixture in mixtures]),
        np.array([mixture.normalized_rates(base, per=per) for mixture in mixtures]),
        np.array([mixture.response(base, per) for mixture in mixtures]),
        np.array([mixture.overlap() for mixture in mixtures]),
        tuple(elasticity(mixture, pretrain, align, perturb, base, per) for mixture in mixtures),
    )


@_interop.comparable
class ModelledDepth(NamedTuple):
    """How deep a model knows the token tree of some data; made by `modelled_depth`.

    Attributes
    ----------
    depth : int
        Largest d at which the model is within tolerance whatever its unexpanded mass is; 0 if it is not even
        at depth 1.
    possible : int
        Largest d at which it may be; `depth` if there is no unexpanded mass.
    depths : int array, shape (D,)
        1, ..., D.
    lower, upper : float array, shape (D,)
        Least and largest KL(data || model) of the trees pruned to each depth that the model's unexpanded
        mass allows; equal where the data have nothing there.
    """

    depth: int
    possible: int
    depths: Int[np.ndarray, "depths"]
    lower: Float[np.ndarray, "depths"]
    upper: Float[np.ndarray, "depths"]


def modelled_depth(
    model_tree: TokenTree, data_tree: TokenTree, tolerance: float, base: float = 2
) -> ModelledDepth:
    r"""Depth d to which a model knows the token tree of some data, as Assumption 3.2 has it.

    The paper lets a finite model know the top d layers. Measured: the largest d at which coding the data's
    blocks of d tokens with the model costs at most `tolerance` more than their entropy,
    KL(data \|\| model) <= tolerance. By the chain rule this never decreases with d, so one depth is it.

    Parameters
    ----------
    model_tree : TokenTree
        The model's masses: `adapters.read_model`, or `adapters.read_along` the data, which leaves nothing
        open.
    data_tree : TokenTree
        Counts or masses over the same alphabet, none of them unexpanded.
    tolerance : float
        In bits per block for base 2, at least 0. A divergence above it by less than 2^-40 nats, far more than
        rounding makes, is within it.
    base : float
        2 for bits, ``math.e`` for nats.

    Returns
    -------
    ModelledDepth
        Up to the depth at which the shallower tree is cut.

    Raises
    ------
    ValueError
        If alphabets differ, the data have unexpanded mass, or the tolerance is negative or NaN.

    Notes
    -----
    O(nodes log nodes) for all depths together. Masses below the range of float64, as those of long documents
    are, enter by their logarithms. Where the model has not looked, the log-sum inequality gives the lower
    bound P log(P / Q) from the data's mass P there and the model's Q; there is no upper one, for the data may
    stand where the model has nothing. The data are the empirical distribution: the divergence contains their
    sampling error, and a model that memorises them may beat their source. Assumption 3.2.

    Examples
    --------
    >>> data = TokenTree.from_leaves({"00": 1, "01": 1, "11": 2}, depth=2)
    >>> first_symbol_only = TokenTree.from_leaves({"00": 1, "01": 1, "10": 1, "11": 1}, depth=2)
    >>> found = modelled_depth(first_symbol_only, data, tolerance=0.1)
    >>> found.depth, found.upper
    (1, array([0. , 0.5]))
    """
    unit = _checks.log_base(base)
    if not (isinstance(tolerance, int | float | np.number) and tolerance >= 0):
        raise ValueError(f"tolerance = {tolerance!r}: must be a number >= 0")
    _refuse_open(data_tree)
    trees = [model_tree, data_tree]
    deepest = min((t.depth for t in trees if t.is_cut), default=max(t.depth for t in trees))
    lower, upper = (bound / unit for bound in Joined.of(model_tree, data_tree, deepest).divergences())
    least, most = (int(np.count_nonzero(bound <= tolerance + _ROUNDING / unit)) for bound in (upper, lower))
    return ModelledDepth(least, most, np.arange(1, len(lower) + 1), lower, upper)


def _refuse_open(data_tree: TokenTree) -> None:
    if data_tree._is_open:
        raise ValueError(
            f"data_tree has the unexpanded weight {data_tree.unexpanded_weight}: the data must be known"
        )


class Joined(NamedTuple):
    """A model's tree and a data tree, node by node. Masses are over the totals, written as in `_masses`."""

    union: TokenTree
    """Of both trees, for its shape."""
    model: Float[np.ndarray, "nodes"]
    data: Float[np.ndarray, "nodes"]
    known: Bool[np.ndarray, "nodes"]
    """Whether the model lists the node."""
    data_at: Int[np.ndarray, "data"]
    """Where the data's own nodes stand."""

    @classmethod
    def of(cls, model_tree: TokenTree, data_tree: TokenTree, depth: int) -> "Joined":
        """Both pruned to `depth`."""
        trees = [tree.prune(depth) for tree in (model_tree, data_tree)]
        union, places = _union(trees, mixed=True)
        model, data = np.zeros((2, union.n_nodes))
        model[places[0]], data[places[1]] = (tree._shares for tree in trees)
        known = np.zeros(union.n_nodes, dtype=bool)
        known[places[0]] = True
        return cls(union, model, data, known, places[1])

    def divergences(self) -> tuple[Float[np.ndarray, "depths"], Float[np.ndarray, "depths"]]:
        """Bounds of KL(data || model) in nats, pruned to each depth from 1 on."""
        union, known, occurs = self.union, self.known, self.data != 0
        levels, parents = union._depths_and_parents()
        q, p = _masses.rounded(self.model), _masses.rounded(self.data).copy()

        # Data below a known node but on none of its known children: in its unexpanded leaf, or nowhere.
        rest = np.full(union.n_nodes, -1)
        rest[parents[union.symbols == REST]] = np.flatnonzero(union.symbols == REST)
        strays = np.flatnonzero(~known & known[parents] & occurs)
        inside = rest[parents[strays]] >= 0
        np.add.at(p, rest[parents[strays[inside]]], p[strays[inside]])
        occurs[rest[parents[strays[inside]]]] = True
        lost = strays[~inside]

        terms = np.where(known, divergence_terms(p, q, p - q), 0.0)
        faint = np.flatnonzero(_masses.faint(self.model) & (p > 0))
        terms[faint] = p[faint] * (np.log(p[faint]) - self.model[faint] - 1)
        terms[lost] = np.inf
        # It never decreases; sums of other terms might, in the last digit.
        lower = np.maximum.accumulate(by_depth(union, terms, (union.symbols < 0) | ~known))
        hidden = np.cumsum(np.bincount(levels, (union.symbols == REST) & occurs)) > 0
        return lower, np.where(hidden[1:], np.inf, lower)


def by_depth(
    tree: TokenTree, terms: Float[np.ndarray, "nodes"], closed: Bool[np.ndarray, "nodes"]
) -> Float[np.ndarray, "depths"]:
    """Sum of the terms of the leaves of the tree pruned to each depth from 1 on; closed nodes stay leaves."""
    starts = tree.offsets[:-1]
    here = np.add.reduceat(np.where(closed, 0.0, terms), starts)
    above = np.cumsum(np.add.reduceat(np.where(closed, terms, 0.0), starts))
    sums: Float[np.ndarray, "depths"] = (here + above)[1:]
    return sums
