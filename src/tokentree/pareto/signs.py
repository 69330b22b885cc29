r"""Where Theorem 4.2's signs hold for Pareto masses, in the limit of many leaves.

**The model.** Datasets consist of independent components with one exponent: three datasets, or the m parts of
the published form. A share sigma of each component's mass lies on one common block of leaves, with
independent Pareto masses there; the rest lies on the component's own leaves. So p_i = sigma a_i + (1 - sigma)
b_i. On the common block q is sigma sum w_c a_c, on the leaves of i alone it is (1 - sigma) w_i b_i, and

    S_ij = sigma S_ij(common) + (1 - sigma) [i = j] / w_i

exactly: overlaps interpolate between those of independent datasets over the same leaves (`pareto_limit`) and
those of disjoint datasets. So do 1 - S_ij, with disjoint term 1 - 1 / w_i = -(1 - w_i) / w_i on the diagonal
and 1 off it. The distribution of mass over a component's own leaves does not matter.

A dataset that is a mean of components has the mean of their overlaps: S is bilinear. In the published form
D_p is the mean of m parts, D_a is distributed as the second part and D_t as the third. So S_at and S_tt are
entries of the components' S, with sizes k/m + 1 for the second part, k/m + l for the third and k/m for the
others.

**One sign decides both.** There are three datasets, so k (1 - S_pt) + (1 - S_at) + l (1 - S_tt) = 0, and
S_tt >= 1 always. Hence S_pt > 1 implies S_at < 1: the signs hold exactly where gamma_p' < 0.

**Lemma.** For components with the same law, the larger the weight, the smaller the overlap: S_at <= S_bt for
w_a >= w_b and t another component. Swapping Y_a and Y_b turns Q into Q' with Q - Q' = (w_a - w_b)(Y_a - Y_b).
By exchangeability S_at - S_bt = E[Y_t (Y_a - Y_b)(1/Q - 1/Q')] / 2, and the integrand is nowhere positive.
The disjoint term is 0 for both.

**The signs fail for three datasets with the same law at every k >= 1.** By the lemma S_pt <= S_at, which
excludes S_pt > 1 > S_at.

**The signs hold in the published form for every l < 1 / (m - 1)**, whatever k, alpha and sharing, and for
pruning that merges leaves of one block at random. Parts other than the second and third have weights below
w_a, so by the lemma their 1 - S_ct are at most 1 - S_at. Inserting this into sum_c w_c (1 - S_ct) = 0 gives
(k/m + l)(S_tt - 1) <= ((m - 1) k/m + 1)(1 - S_at). Hence l (S_tt - 1) < 1 - S_at if l ((m - 1) k/m + 1) < k/m
+ l, that is, if (m - 1) l < 1; by the conservation law this means S_pt > 1. As k grows all weights tend to
1/m and the inequality becomes an equality, so l < 1 / (m - 1) becomes necessary too, as it is for disjoint
parts at every k.

Parts with unequal exponents are not exchangeable, and can reverse the signs at l << 1 << k; so can pruning
that merges leaves of different parts.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Annotated, Any, Literal

import numpy as np
from jaxtyping import Bool, Float, Int, Num

from .._lib import checks
from .._lib.checks import Numbers
from .._lib.results import Result, span, tally
from .limit import LEAST_WEIGHT, exponents, limits

_CHUNK = 2**10
"""Points of the map integrated at once: tens of megabytes of working memory for three components."""


_PARAMETERS = ("k", "l", "alpha", "shared", "merged")


@dataclass(frozen=True, eq=False, repr=False)
class SignMap(Result):
    """Response of D_p and D_a to D_t over a grid; made by `sign_map`. All arrays have the grid's shape.

    `to_frame` has one row per point, numbered by its parameters, without form and limit.

    Attributes
    ----------
    k, l, alpha, shared : float arrays
    merged : int array
        The point's parameters.
    excess_pretrain, excess_align : float arrays
        1 - S_pt and 1 - S_at. Divided by k + 1 + l they are gamma_p' and gamma_a', in nats per block.
    holds : bool array
        Whether gamma_p' < 0 < gamma_a'.
    form : {"published", "three-dataset"}
        Which form of the theorem.
    limit : float
        l* of `overlap_limit`, 1 / (m - 1) for m parts with one exponent, however they overlap: below it the
        signs hold at every k, above it they fail at every large k. In the restated form they hold for no l,
        and the limit is nan.
    """

    k: Float[np.ndarray, "*grid"]
    l: Float[np.ndarray, "*grid"]
    alpha: Float[np.ndarray, "*grid"]
    shared: Float[np.ndarray, "*grid"]
    merged: Int[np.ndarray, "*grid"]
    excess_pretrain: Float[np.ndarray, "*grid"]
    excess_align: Float[np.ndarray, "*grid"]
    holds: Bool[np.ndarray, "*grid"]
    form: Literal["published", "three-dataset"]
    limit: float

    def _columns(self) -> tuple[Mapping[str, Any], *tuple[str, ...]]:
        columns = [field.name for field in fields(self) if field.name not in ("form", "limit")]
        return {name: getattr(self, name).ravel() for name in columns}, *_PARAMETERS

    def __repr__(self) -> str:
        grid = ", ".join(f"{name} {span(getattr(self, name))}" for name in _PARAMETERS)
        limit = "" if math.isnan(self.limit) else f"; limit of l {self.limit:.6g}"
        return f"SignMap({tally(self.holds.ravel().tolist())} points; {grid}{limit})"


def sign_map(
    k: Annotated[Numbers, "*#grid"],
    l: Annotated[Numbers, "*#grid"],
    alpha: Annotated[Numbers, "*#grid"] = 2.5,
    *,
    form: Literal["published", "three-dataset"] = "published",
    shared: Annotated[Numbers, "*#grid"] = 1.0,
    parts: int = 3,
    merged: Annotated[Numbers, "*#grid"] = 1,
) -> SignMap:
    r"""Decide Theorem 4.2's signs over a grid, for Pareto masses in the limit of many leaves.

    Parameters
    ----------
    k, l : array_like
        |D_p| / |D_a| and |D_t| / |D_a|, finite and > 0. They broadcast with the three arrays below.
    alpha : array_like
        Exponent of every component, from 1.05 to 50.
    form : {"published", "three-dataset"}
        "published": D_p consists of equal parts, and D_a and D_t are copies of its second and third.
        "three-dataset": three separate datasets.
    shared : array_like
        Share of each component's mass on leaves common to all: 0 for disjoint leaves, 1 for the same leaves.
    parts : int
        m >= 3, the number of parts in the published form.
    merged : array_like of int
        Leaves that pruning merges into one, >= 1; only leaves of the same block are merged.

    Returns
    -------
    SignMap

    Raises
    ------
    TypeError
        If an array does not hold real numbers, `merged` or `parts` not integers.
    ValueError
        If an entry or `parts` is out of range, the shapes do not broadcast, `form` is unknown, or a
        component's weight is below 1e-20.

    Notes
    -----
    Excesses are as accurate as those of `pareto_limit`. This map does not decide a sign within 1e-12 of the
    boundary. About 0.2 ms per point for three components. The model and the proofs are in the module's
    docstring.

    Examples
    --------
    >>> found = sign_map(k=1e6, l=[0.4, 0.6], alpha=2.5, shared=[[0.0], [0.5], [1.0]])
    >>> found.holds
    array([[ True, False],
           [ True, False],
           [ True, False]])
    >>> sign_map(k=[1, 1000], l=1, form="three-dataset").holds
    array([False, False])
    """
    if form not in ("published", "three-dataset"):
        raise ValueError(f"form = {form!r}: must be 'published' or 'three-dataset'")
    parts = checks.integer("parts", parts, at_least=3)
    grid = _grid(k, l, alpha, shared, merged)
    ks, ls, tails, share, merges = (values.ravel() for values in grid)
    shape = grid[0].shape

    # D_p's composition, and the sizes of the components.
    mean = np.full(parts, 1 / parts) if form == "published" else np.array([1.0, 0.0, 0.0])
    sizes = ks[:, None] * mean
    sizes[:, 1] += 1
    sizes[:, 2] += ls
    low = sizes.min(axis=1) / sizes.sum(axis=1) < LEAST_WEIGHT
    if low.any():
        rule = f"a component's weight must be at least {LEAST_WEIGHT:g}"
        checks.fail_at("k", grid[0], low.reshape(shape), rule)

    own = np.ones_like(sizes)
    own[:, 2] = -np.delete(sizes, 2, axis=1).sum(axis=1) / sizes[:, 2]
    excess = share[:, None] * _common(sizes, tails, merges) + (1 - share[:, None]) * own

    align = excess[:, 1]
    # The mean over D_p's parts cancels for large k, the conservation law for small k.
    pretrain = np.where(ks > 1, -(align + ls * excess[:, 2]) / ks, excess @ mean)
    found: dict[str, Any] = dict(zip(_PARAMETERS, grid, strict=True))
    found |= {"excess_pretrain": pretrain.reshape(shape), "excess_align": align.reshape(shape)}
    holds = ((pretrain < 0) & (align > 0)).reshape(shape)
    limit = 1 / (parts - 1) if form == "published" else math.nan
    return SignMap(**found, holds=holds, form=form, limit=limit)


def _grid(
    k: Numbers, l: Numbers, alpha: Numbers, shared: Numbers, merged: Numbers
) -> tuple[Num[np.ndarray, "*grid"], ...]:
    """The parameters of every point."""
    given = {
        "k": checks.positive("k", k),
        "l": checks.positive("l", l),
        "alpha": exponents("alpha", alpha),
        "shared": checks.float_array("shared", shared),
        "merged": checks.real_array("merged", merged),
    }
    outside = ~((given["shared"] >= 0) & (given["shared"] <= 1))
    if outside.any():
        checks.fail_at("shared", given["shared"], outside, "must lie between 0 and 1")
    if given["merged"].dtype.kind != "i":
        raise TypeError(f"merged has dtype {given['merged'].dtype}: must be integers >= 1")
    if (given["merged"] < 1).any():
        checks.fail_at("merged", given["merged"], given["merged"] < 1, "must be an integer >= 1")
    try:
        return tuple(np.broadcast_arrays(*given.values()))
    except ValueError:
        shapes = ", ".join(f"{name} {value.shape}" for name, value in given.items())
        raise ValueError(f"shapes must broadcast: {shapes}") from None


def _common(
    sizes: Float[np.ndarray, "points components"],
    alphas: Float[np.ndarray, "points"],
    merged: Int[np.ndarray, "points"],
) -> Float[np.ndarray, "points components"]:
    """1 - S_it for every component i, on the common leaves."""
    excess = np.empty(sizes.shape)
    for alpha, merge in set(zip(alphas.tolist(), merged.tolist(), strict=True)):
        points = np.flatnonzero((alphas == alpha) & (merged == merge))
        for chunk in np.split(points, range(_CHUNK, len(points), _CHUNK)):
            tails = np.full(sizes.shape[1], alpha)
            excess[chunk] = limits(tails, sizes[chunk], int(merge))[1][:, :, 2]
    return excess
