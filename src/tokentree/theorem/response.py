"""Theorem 4.2's rates and signs as the perturbation grows."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Annotated, Any, Literal

import numpy as np
from jaxtyping import Float

from .._lib import checks
from .._lib.checks import Numbers
from .._lib.results import Result, span
from ..mixtures import Mixture
from .signs import (
    Elasticity,
    Responding,
    completions_of,
    decided,
    decided_at,
    responded,
    three_roles,
    unit_of,
    verdicts,
)


@dataclass(frozen=True, eq=False, repr=False)
class ResponseCurve(Result):
    """Rates as the perturbation grows from zero; made by `response_curve`.

    Attributes
    ----------
    l : float array, shape (L,)
        |D_t| / |D_a|.
    k : float
        |D_p| / |D_a|.
    rates : float array, shape (L, 3)
        Rates of D_p, D_a and D_t.
    start : float array, shape (3,)
        Rates at l = 0; that of D_t is inf if it has leaves that the others lack.
    unexpanded : float
        Largest unexpanded share of the three. If it is > 0, all figures but the signs and their bounds are
        those of the reading of `Mixture.from_trees`.
    elasticities : tuple of L `Elasticity`
        Derivatives and certified signs at each l.
    names : tuple of 3 strings
        What D_p, D_a and D_t are called.

    Notes
    -----
    `to_frame` has one row per point, without `start` and `unexpanded`: index l; columns rate_pretrain,
    rate_align and rate_perturb, the derivatives dgamma_*, ratio, holds (missing where undecided) and
    certified.

    Examples
    --------
    >>> from tokentree import published_form
    >>> mixture = published_form([[1, 0, 0], [0, 1, 0], [0, 0, 1]], k=1000, l=1)
    >>> response_curve(mixture, [0.25, 0.5]).to_frame()["holds"].to_dict()
    {0.25: True, 0.5: False}
    """

    l: Float[np.ndarray, "points"]
    k: float
    rates: Float[np.ndarray, "points 3"]
    start: Float[np.ndarray, "3"]
    unexpanded: float
    elasticities: tuple[Elasticity, ...]
    names: tuple[str, ...]

    def __repr__(self) -> str:
        pretrain, align, perturb = self.names
        verdict = f"{pretrain}, {align} as {perturb} grows: {decided_at(self.elasticities)}"
        return f"ResponseCurve({verdict}; k={self.k:.6g}, l {span(self.l)})"

    def _columns(self) -> tuple[Mapping[str, Any], *tuple[str, ...]]:
        rates = zip(("rate_pretrain", "rate_align", "rate_perturb"), self.rates.T, strict=True)
        return {"l": self.l} | dict(rates) | verdicts(self.elasticities), "l"


def response_curve(
    mixture: Mixture | Responding,
    l: Annotated[Numbers, "points"] | None = None,
    *,
    pretrain: int | str = 0,
    align: int | str = 1,
    perturb: int | str = 2,
    base: float = 2,
    per: Literal["block", "token"] = "block",
) -> ResponseCurve:
    r"""Rates, derivatives and certified signs as D_t grows and the other sizes stay fixed.

    Parameters
    ----------
    mixture : Mixture or Responding
        At least three datasets. The size of D_t is replaced by l |D_a|. A `TrainedMixture` is retrained at
        every l, in the given order and each time from the previous model, and once without D_t.
    l : array_like, shape (L,), optional
        Values of |D_t| / |D_a|, finite and > 0. Default: 100 of them, evenly spaced in log l from 0.01 to 10.
    pretrain, align, perturb, base, per
        As in `elasticity`, including its errors.

    Returns
    -------
    ResponseCurve

    Notes
    -----
    O(L N M). For partly read trees, signs are bounded anew at every l, but the trees are sorted once.

    Examples
    --------
    >>> from tokentree import published_form
    >>> mixture = published_form([[1, 0, 0], [0, 1, 0], [0, 0, 1]], k=1000, l=1)
    >>> curve = response_curve(mixture, [0.25, 0.5, 0.75])
    >>> [found.signs for found in curve.elasticities]
    [(-1, 1), (0, 1), (1, 1)]
    """
    p, a, t = roles = three_roles(mixture, pretrain, align, perturb)
    points = perturbations(l)
    if not isinstance(mixture, Mixture):
        return _retrained(mixture, points, roles, unit_of(base, per))
    unit = checks.log_base(base) * mixture.tokens(per)
    completions = completions_of(mixture)
    sizes = list(mixture.exact_sizes)
    rates, elasticities = [], []
    for point in points.tolist():
        sizes[t] = Fraction(point) * sizes[a]
        grown = mixture.with_sizes(sizes)
        rates.append(grown.rates(base, per=per)[roles])
        elasticities.append(decided(grown, roles, unit, completions))
    others = [i for i in range(mixture.n_datasets) if i != t]
    without = Mixture(mixture.rows.values[others], [sizes[i] for i in others])
    lengths = np.where(without.rows.values.any(axis=0), without.ideal_lengths(), np.inf)
    given = mixture.distributions[roles]
    start = np.multiply(given, lengths, out=np.zeros_like(given), where=given > 0).sum(axis=1)
    return ResponseCurve(
        points,
        float(sizes[p] / sizes[a]),
        np.reshape(rates, (len(rates), 3)),
        start / unit,
        float(mixture.unexpanded[roles].max()),
        tuple(elasticities),
        tuple(mixture.names[i] for i in roles),
    )


def perturbations(l: Numbers | None) -> Float[np.ndarray, "points"]:
    """Values of |D_t| / |D_a| as one row; by default from hardly any to ten times the alignment data."""
    if l is None:
        return np.geomspace(0.01, 10, 100)
    points = np.atleast_1d(checks.positive("l", l))
    if points.ndim > 1:
        raise ValueError(f"l has shape {points.shape}: must be a sequence of numbers")
    return points


def _retrained(
    model: Responding, points: Float[np.ndarray, "points"], roles: Sequence[int], unit: float
) -> ResponseCurve:
    """The curve of a model that must be retrained at every point."""
    p, a, t = roles
    sizes = np.array(model.sizes, dtype=np.float64)
    rates, elasticities = [], []
    for point in points:
        sizes[t] = point * sizes[a]
        model = model.with_sizes(sizes)
        rates.append(model.rates(math.e)[roles] / unit)
        elasticities.append(responded(model, roles, unit))
    sizes[t] = 0
    start = model.with_sizes(sizes).rates(math.e)[roles] / unit
    k = float(sizes[p] / sizes[a])
    names = tuple(model.names[i] for i in roles)
    return ResponseCurve(
        points, k, np.reshape(rates, (len(rates), 3)), start, 0.0, tuple(elasticities), names
    )
