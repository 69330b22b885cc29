r"""The effect of pruning: rates, response and Theorem 4.2's signs as functions of the joint tree's depth.

Pruning merges leaves, as does every coarser reading of the same data. Let f_i = p_i / q on the fine leaves,
and C the cell into which a leaf is merged. The merged f_i is E_q[f_i | C], so by the law of total covariance

    S_fine - S_coarse = E_q[ Cov(f_i, f_t | C) ],

which is positive semidefinite. Merging two leaves x and y reduces S_it by v_i v_t q(x) q(y) / (q(x) + q(y)),
with v = f(x) - f(y). So as depth grows, for the same datasets and sizes,

- -R and S - 1 grow in the Loewner order: diagonals, eigenvalues, the norm of S - 1;
- rates, entropies, KL(p_i || q) and Phi grow;
- a single S_it may go either way, and cross 1: the verdict may flip in either direction. It changes by at
  most the square root of the product of the increases of S_ii and S_tt.

Proofs and minimal witnesses are in ``docs/depth.md``.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
from jaxtyping import Float, Int

from .._lib import checks
from .._lib.checks import Numbers
from .._lib.results import Result, few, span
from ..mixtures import Mixture
from ..trees import TokenTree, checked_trees, one_after_another
from .signs import Elasticity, decided_at, elasticity, verdicts


@dataclass(frozen=True, eq=False, repr=False)
class DepthCurve(Result):
    """A mixture at several depths; made by `depth_curve`.

    Attributes
    ----------
    depths : int array, shape (D,)
        Depths d to which the joint tree is pruned.
    leaves : int array, shape (D,)
        Number M of joint leaves.
    rates, normalized_rates : float array, shape (D, N)
        As in `Mixture.rates` and `Mixture.normalized_rates`.
    response : float array, shape (D, N, N)
        R, the derivatives of the rates with respect to the sizes.
    overlap : float array, shape (D, N, N)
        S; R has the sign of 1 - S.
    unexpanded : float array, shape (D,)
        Largest unexpanded share of a dataset. Where it is > 0, all figures but the signs and their bounds are
        those of the reading of `Mixture.from_trees`.
    elasticities : tuple of D `Elasticity`
        Theorem 4.2 at each depth, with certified signs.
    names : tuple of N strings
        The datasets' names.

    Notes
    -----
    `to_frame` has one row per depth, without `response` and `overlap`: index depth; columns leaves,
    unexpanded, rate_NAME and normalized_rate_NAME for each dataset, in the order of the trees, the
    derivatives dgamma_*, ratio, holds (missing where undecided) and certified.

    Examples
    --------
    >>> trees = [TokenTree.from_leaves({leaf: 1}, depth=2) for leaf in ("01", "10", "00")]
    >>> depth_curve(trees).to_frame()["holds"].to_dict()
    {1: True, 2: False}
    """

    depths: Int[np.ndarray, "depths"]
    leaves: Int[np.ndarray, "depths"]
    rates: Float[np.ndarray, "depths datasets"]
    normalized_rates: Float[np.ndarray, "depths datasets"]
    response: Float[np.ndarray, "depths datasets datasets"]
    overlap: Float[np.ndarray, "depths datasets datasets"]
    unexpanded: Float[np.ndarray, "depths"]
    elasticities: tuple[Elasticity, ...]
    names: tuple[str, ...]

    @property
    def holds(self) -> tuple[bool | None, ...]:
        """Whether Theorem 4.2's signs hold at each depth; None where this could not be proved."""
        return tuple(found.holds for found in self.elasticities)

    def __repr__(self) -> str:
        return f"DepthCurve({few(self.names)}: {decided_at(self.elasticities)}; depth {span(self.depths)})"

    def _columns(self) -> tuple[Mapping[str, Any], *tuple[str, ...]]:
        columns = {"depth": self.depths, "leaves": self.leaves, "unexpanded": self.unexpanded}
        for name, rates in (("rate", self.rates), ("normalized_rate", self.normalized_rates)):
            columns |= {f"{name}_{of}": column for of, column in zip(self.names, rates.T, strict=True)}
        return columns | verdicts(self.elasticities), "depth"


def depth_curve(
    trees: Sequence[TokenTree] | Mapping[str, TokenTree] | TokenTree,
    *more: Any,
    depths: Annotated[Numbers, "depths"] | None = None,
    sizes: Annotated[Numbers, "datasets"] | Mapping[str, float] | None = None,
    pretrain: int | str = 0,
    align: int | str = 1,
    perturb: int | str = 2,
    base: float = 2,
    per: Literal["block", "token"] = "block",
    names: Iterable[str] | None = None,
) -> DepthCurve:
    r"""Rates, response and certified signs with the joint tree pruned to each of several depths.

    Parameters
    ----------
    trees : sequence of N >= 3 TokenTrees, or a mapping from names to them
        One tree per dataset. Trees of blocks (`TokenTree.from_bytes`) keep their blocks: depth d is then the
        first d symbols of every block.
    *more : TokenTree
        Further trees, if they are given one after another, `depth_curve(a, b, c)`; after a sequence or a
        mapping, the depths may stand here.
    depths : array_like of int, shape (D,), optional
        Default: 1 to the depth of the deepest tree.
    sizes : sequence of N numbers, or a mapping of names to them, optional
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
    O(D (nodes log nodes + N^2 M)). Per block, all diagonal quantities are monotone in depth (see the module's
    docstring); per token they need not be. Definition 3.3a and Theorem 4.2.

    Examples
    --------
    >>> first, second, third = (TokenTree.from_leaves({leaf: 1}, depth=2) for leaf in ("01", "10", "00"))
    >>> curve = depth_curve([first, second, third])
    >>> curve.holds
    (True, False)
    >>> curve.overlap[:, 0, 2]
    array([1.5, 0. ])
    """
    _, names = checks.named(trees, names)
    listed, chosen = one_after_another(trees, more, "depths", depths)
    named = checked_trees(listed)
    if chosen is None:
        grid = list(range(1, max(tree.depth for tree in named.values()) + 1))
    else:
        found = checks.array("depths", chosen)
        if found.ndim != 1 or not found.size:
            raise ValueError(f"depths has shape {found.shape}: must be one-dimensional and not empty")
        grid = [checks.integer(f"depths[{i}]", depth, 1) for i, depth in enumerate(found.tolist())]
        for i, depth in enumerate(grid):
            for name, tree in named.items():
                if tree.is_cut and depth > tree.depth:
                    raise ValueError(
                        f"depths[{i}] = {depth}: {name} is cut at depth {tree.depth}, and unknown below; if "
                        f"these are sizes, write sizes={found.tolist()}"
                    )
    mixtures: list[Mixture] = []
    for depth in grid:
        mixtures.append(Mixture._of_trees(named, sizes, depth, names))
        # Use the copy: an iterator is now exhausted.
        sizes, names = mixtures[0].exact_sizes, mixtures[0].names
    decided = [elasticity(mixture, pretrain, align, perturb, base=base, per=per) for mixture in mixtures]
    return curve_of(grid, mixtures, decided, base, per)


def curve_of(
    depths: Sequence[int],
    mixtures: Sequence[Mixture],
    elasticities: Sequence[Elasticity],
    base: float,
    per: Literal["block", "token"],
) -> DepthCurve:
    """The curve through mixtures that are pruned already, and decided."""
    return DepthCurve(
        np.array(depths),
        np.array([mixture.n_leaves for mixture in mixtures]),
        np.array([mixture.rates(base, per=per) for mixture in mixtures]),
        np.array([mixture.normalized_rates(base, per=per) for mixture in mixtures]),
        np.array([mixture.response(base, per=per) for mixture in mixtures]),
        np.array([mixture.overlap() for mixture in mixtures]),
        np.array([mixture.unexpanded.max() for mixture in mixtures]),
        tuple(elasticities),
        mixtures[0].names,
    )
