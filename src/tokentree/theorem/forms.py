"""The datasets of Theorem 4.2 as the paper states them, and its derivatives in closed form."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Annotated, Any

import numpy as np
from jaxtyping import Float

from .._lib import checks
from .._lib.checks import Numbers
from .._lib.results import Result
from ..information import log1p_less
from ..mixtures import Mixture, Rows, Unread, exact_number
from ..trees import TokenTree, checked_trees


@dataclass(frozen=True, eq=False, repr=False)
class PublishedDerivatives(Result):
    """Theorem 4.2 in the published form with disjoint parts, per block; made by `published_derivatives`.

    Attributes
    ----------
    k, l : float or float array
        |D_p| / |D_a| and |D_t| / |D_a|, as given.
    dgamma_pretrain, dgamma_align : float or float array
        gamma_p' and gamma_a', the derivatives with respect to l; k and l broadcast.
    ratio : float or float array
        -gamma_a' / (k gamma_p').

    Notes
    -----
    `to_frame` has one row per point; its index is (k, l).

    Examples
    --------
    >>> published_derivatives(3, k=[[10], [1000]], l=[0.25, 0.5]).to_frame()["ratio"].to_dict()
    {(10.0, 0.25): 2.15, (10.0, 0.5): inf, (1000.0, 0.25): 2.0015, (1000.0, 0.5): inf}
    """

    k: Float[np.ndarray, "..."] | np.float64
    l: Float[np.ndarray, "..."] | np.float64
    dgamma_pretrain: Float[np.ndarray, "..."] | np.float64
    dgamma_align: Float[np.ndarray, "..."] | np.float64
    ratio: Float[np.ndarray, "..."] | np.float64

    def _columns(self) -> tuple[Mapping[str, Any], *tuple[str, ...]]:
        points = np.broadcast_arrays(*vars(self).values())
        return dict(zip(vars(self), map(np.ravel, points), strict=True)), "k", "l"


def published_derivatives(
    parts: int,
    k: Annotated[Numbers, "*#grid"],
    l: Annotated[Numbers, "*#grid"],
    *,
    base: float = 2,
) -> PublishedDerivatives:
    r"""Derivatives and ratio of the published form with m disjoint parts of any distributions.

    Parameters
    ----------
    parts : int
        m >= 3, the number of equal parts of D_p.
    k, l : array_like
        |D_p| / |D_a| and |D_t| / |D_a|, finite and > 0; they broadcast.
    base : float
        Unit of the rates: 2 for bits, ``math.e`` for nats.

    Returns
    -------
    PublishedDerivatives
        gamma_a' = 1 / (k + 1 + l), gamma_p' = -(1 - (m - 1) l) / ((k + m l)(k + 1 + l)), both per block, and
        the ratio -gamma_a' / (k gamma_p') = (1 + m l / k) / (1 - (m - 1) l), inf where gamma_p' = 0. The
        theorem's signs hold if and only if l < 1 / (m - 1).

    Raises
    ------
    ValueError
        If ``parts < 3``, an entry is not finite and > 0, or ``base <= 1``.
    TypeError
        If `parts` is not an integer, or `k` or `l` holds no real numbers.

    Notes
    -----
    Theorem 4.2 of the paper, including the dependence on l that it omits.

    Examples
    --------
    >>> published_derivatives(3, k=1000, l=[0.001, 0.25, 0.5]).ratio
    array([1.00200701, 2.0015    ,        inf])
    """
    m = checks.integer("parts", parts, 3)
    unit = checks.log_base(base)
    k, l = checks.positive("k", k), checks.positive("l", l)
    # For m = 3 this is exact near its zero at l = 1/2.
    margin = 1 - (m - 1) * l
    total = k + 1 + l
    with np.errstate(divide="ignore"):
        ratio = (1 + m * l / k) / margin
    return PublishedDerivatives(
        k=k[()],
        l=l[()],
        dgamma_pretrain=0.0 - margin / ((k + m * l) * total) / unit,
        dgamma_align=np.ones_like(l) / total / unit,
        ratio=ratio,
    )


def published_form(
    parts: Annotated[Numbers | Sequence[TokenTree], "parts leaves"],
    k: float | Fraction,
    l: float | Fraction,
    *,
    names: Iterable[str] = ("pretrain", "align", "perturb"),
    depth: int | None = None,
) -> Mixture:
    r"""Theorem 4.2 as published: D_p has m equal parts; D_a is more of the second, D_t more of the third.

    Parameters
    ----------
    parts : array_like, shape (m, M), or sequence of m TokenTrees
        The distributions of the parts, m >= 3, read like rows of `Mixture`.
    k, l : int, float or Fraction
        Sizes of D_p and D_t; the size of D_a is 1.
    names : sequence of three strings
        Names of D_p, D_a and D_t.
    depth : int, optional
        Depth d of the joint tree, to which trees are pruned. Default for trees: that of the deepest.

    Returns
    -------
    Mixture
        Datasets D_p, D_a, D_t of sizes k, 1, l. If the parts are exact so is their mean. Mass that is
        unexpanded in a part is so in every dataset that contains the part, and lies in the same place in all.

    Raises
    ------
    ValueError, TypeError
        As for `Mixture`, and if there are fewer than three parts.

    Notes
    -----
    O(m M). Section 4 of the paper.

    Examples
    --------
    >>> mixture = published_form([[1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 5]], k=9, l=Fraction(1, 3))
    >>> mixture
    Mixture(3 datasets, 4 leaves: pretrain 9, align 1, perturb 1/3)
    >>> mixture.rows.values
    array([[ 5,  5, 10, 10],
           [ 0,  0,  1,  0],
           [ 0,  0,  0,  5]])
    """
    rows, depth, unread = _parts(parts, depth)
    distributions = np.concatenate([rows.mean()[None], rows.values[1:3]])
    mixture = Mixture(distributions, _sizes(k, l), names=names, depth=depth)
    if unread is not None:
        m = len(unread.trees)
        own = [tuple(Fraction(i == part) for i in range(m)) for part in (1, 2)]
        mixture._unread = unread._replace(means=((Fraction(1, m),) * m, *own))
    return mixture


def _parts(
    parts: Numbers | Sequence[TokenTree], depth: int | None = None
) -> tuple[Rows, int | None, Unread | None]:
    """The rows of the parts, their depth, and what is known of partly read trees."""
    given = (
        parts
        if checks.is_array(parts)
        else checks.items("parts", parts, "must be (m, M), or m trees as [a, b, c]")
    )
    unread = None
    if isinstance(given, list) and any(isinstance(part, TokenTree) for part in given):
        mixture = Mixture._of_trees(checked_trees(given, "parts"), None, depth, None)
        rows, depth, unread = mixture.rows, mixture.depth, mixture.unread
    else:
        rows = Rows(given, "parts")
    if len(rows.values) < 3:
        raise ValueError(f"parts has {len(rows.values)} rows: the published form needs at least 3")
    return rows, depth, unread


def overlap_limit(parts: Annotated[Numbers | Sequence[TokenTree], "parts leaves"]) -> float:
    r"""The limit l* on |D_t| / |D_a| in the published form, for parts with any overlap.

    Parameters
    ----------
    parts : array_like, shape (m, M), or sequence of m TokenTrees
        As for `published_form`: D_p is their mean, D_a the second and D_t the third.

    Returns
    -------
    float
        (1 - A_at) / (A_tt - 1), where A_jt = sum p_j p_t / p_p. The theorem's signs hold at every k for l
        below it, and fail at every sufficiently large k for l above it; so they fail for every l if it is <=
        0, that is, if A_at >= 1 and p_t is not p_p. It is 1 / (m - 1) for disjoint parts, inf if p_t = p_p,
        and nan if p_a = p_p too and no rate changes.

    Raises
    ------
    ValueError, TypeError
        As for `published_form`.

    Notes
    -----
    Computed as -R_at / R_tt from the response of a mixture of the parts at equal sizes, and so without
    cancellation: theorem T6 for k -> infinity. A_tt - 1 is also the sum of 1 - A_jt over the other parts. The
    proof and the sufficient k are in ``docs/theory.md``, checked by Coq
    (OverlapLimit.overlapping_parts_limit). O(m M). For partly read trees it is the limit for the reading of
    `Mixture.from_trees`.

    Examples
    --------
    >>> overlap_limit([[1, 0, 0], [0, 1, 0], [0, 0, 1]])
    0.5
    >>> round(overlap_limit([[2, 1, 1], [3, 1, 0], [0, 1, 1]]), 6)
    0.833333
    """
    rows, _, _ = _parts(parts)
    response = Mixture(rows.values, [1] * len(rows.values)).response(math.e)
    if response[2, 2] == 0:
        return math.inf if response[1, 1] else math.nan
    return float(-response[1, 2] / response[2, 2])


def three_dataset_form(
    distributions: Annotated[Numbers, "datasets leaves"],
    k: float | Fraction,
    l: float | Fraction,
    *,
    names: Iterable[str] = ("D1", "D2", "D3"),
    depth: int | None = None,
) -> Mixture:
    r"""Three separate datasets, D_1 for pre-training, D_2 for alignment, D_3 the perturbation; sizes k, 1, l.

    Parameters
    ----------
    distributions : array_like, shape (3, M)
        The distributions of the datasets, read like rows of `Mixture`.
    k, l : int, float or Fraction
        Sizes of D_1 and D_3; the size of D_2 is 1.
    names : sequence of three strings
        Names of the datasets.
    depth : int, optional
        Depth d of the joint tree.

    Returns
    -------
    Mixture

    Raises
    ------
    ValueError, TypeError
        As for `Mixture`.

    Notes
    -----
    Theorem 4.2 as it is often restated. Its signs do not hold in general; for disjoint datasets both rates
    rise equally, with derivative 1 / (k + 1 + l).

    Examples
    --------
    >>> import math
    >>> from tokentree import elasticity
    >>> mixture = three_dataset_form([[1, 0, 0], [0, 1, 0], [0, 0, 1]], k=8, l=1)
    >>> elasticity(mixture, base=math.e).dgamma_pretrain
    0.1
    """
    rows = Rows(distributions)
    if len(rows.values) != 3:
        raise ValueError(f"distributions has {len(rows.values)} rows: this form has exactly 3")
    return Mixture(rows.values, _sizes(k, l), names=names, depth=depth)


def _sizes(k: float | Fraction, l: float | Fraction) -> tuple[Fraction, int, Fraction]:
    """Sizes of D_p, D_a and D_t in units of |D_a|."""
    given = {"k": exact_number("k", k), "l": exact_number("l", l)}
    for name, size in given.items():
        if size <= 0:
            raise ValueError(f"{name} = {size}: must be > 0")
    return given["k"], 1, given["l"]


def published_change(
    parts: int,
    k: Annotated[Numbers, "*#grid"],
    l: Annotated[Numbers, "*#grid"],
    *,
    base: float = 2,
) -> tuple[Float[np.ndarray, "..."] | np.float64, Float[np.ndarray, "..."] | np.float64]:
    r"""Changes of gamma_p and gamma_a from l = 0, in the published form with disjoint parts.

    Parameters and errors are those of `published_derivatives`; these are the integrals of its derivatives.

    Returns
    -------
    tuple of two float64 or ndarray
        Delta gamma_p = log((k + 1 + l) / (k + 1)) - log(1 + m l / k) / m and Delta gamma_a =
        log((k + 1 + l) / (k + 1)), per block.

    Notes
    -----
    The first is zero near l = 2 / (m - 1). Elsewhere it keeps its digits: both logarithms are close to l / k
    for large k, and are computed without their linear terms, whose difference is -l / (k (k + 1)).

    Examples
    --------
    >>> change = published_change(3, k=1000, l=0.5)
    >>> [float(f"{x:.6g}") for x in change]
    [-3.60073e-07, 0.000720447]
    """
    m = checks.integer("parts", parts, 3)
    unit = checks.log_base(base)
    k, l = checks.positive("k", k), checks.positive("l", l)
    own, part = l / (k + 1), m * l / k
    common = np.log1p(own)
    curved = log1p_less(own) - log1p_less(part) / m - own / k
    return np.where(part < 1, curved, common - np.log1p(part) / m)[()] / unit, common / unit
