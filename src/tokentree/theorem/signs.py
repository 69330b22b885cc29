r"""Deciding Theorem 4.2: how rates change as the perturbation grows, with a proof for every sign.

Three datasets of a mixture are the pre-training data p, the alignment data a and the perturbation t; there
may be others. k = n_p / n_a, l = n_t / n_a, and a prime is d/dl with every size but n_t fixed, so gamma_i' =
n_a R_it. The theorem's signs are gamma_p' < 0 < gamma_a'. With S_it = sum_x p_i p_t / q,

    gamma_i' = w_a (1 - S_it) = -w_a sum_x (p_i - q)(p_t - q) / q,

so the signs hold if and only if S_pt > 1 > S_at; and k gamma_p' + gamma_a' + l gamma_t' = 0 (Gibbs-Duhem).

**What is certified.** Every dataset has an exact reading pi_i: integer and Fraction rows divided by their
totals, float64 rows as dyadic rationals divided by their exact sums. Sizes are exact too. So 1 - S_it is a
rational number, and three methods of increasing cost decide its sign. The first to succeed is named in
`Elasticity.certificate`.

**1. A floating-point bound**, O(N M). Let u = 2^-53, g_n = n u / (1 - n u), N the number of datasets, and p
the float64 view of pi. In the steps below, h_i is sum_{j != i} w_j (p_i + p_j), the scale of d_i = pi_i - q.

- Input. p = pi (1 + e) with |e| <= eta: eta is 4 u for integers (count, total and quotient are each rounded)
  and the distance of the row's exact sum from 1 for floats. Hence the exact d_i differs from
  sum_{j != i} w_j (p_i - p_j) by at most eta / (1 - eta) h_i.
- Differences. With r the largest dataset, m = sum_{j != r} w_j (p_j - p_r) has N - 1 terms, each with a
  rounded weight, difference and product, so its error is at most g_{N+1} sum_{j != r} w_j |p_j - p_r|. Then
  d_i = (p_i - p_r) - m has error at most g_{N+2} (|p_i - p_r| + sum_{j != r} w_j |p_j - p_r|). For i = r the
  bracket is at most h_r. For other i, w_i <= 1/2 and w_r >= 1/N, so it is at most (1 + w_i) p_i + (2 - w_r)
  p_r + sum_{j != i, r} w_j p_j <= (2 N - 1) h_i. Together: |error of d_i| <= c h_i with c = (2 N - 1)
  g_{N+2} + eta / (1 - eta).
- Rows of counts that nearly coincide. If p_i - p_r is corrected for the rounding of both masses, every
  difference has one more rounding, and the input's contribution to the error shrinks to at most u h_i. The
  code's c is (2 N - 1) (N + 3) u + 1.01 eta, which bounds both cases.
- Terms. The computed q is off by a factor within (1 +- eta)(1 +- g_{N+1}), and y_i = d_i q^(-1/2) takes three
  more roundings, so a product y_i y_t of computed values is off by a factor within 1 +- rho, rho = 2 eta + 2
  (N + 8) u, in addition to the errors of d_i and d_t.
- Sum. A dot product over a block of n leaves, in any order, fused or not, has error at most g_n sum |y_i
  y_t|, and the block sums are added by math.fsum, which rounds once.
- Underflow. Masses are scaled by 2^512, and sizes lie between 2^-200 and 2^200. So w_j p_j >= 2^-962 / N is
  normal, |y| <= 2^467, sums and differences are exact where they are subnormal, and the only underflow is in
  y and in products of two of them: together less than 2^-600 per leaf.

With z_i = h_i q^(-1/2) the error of the sum is therefore at most

    sum_x [ (rho + g_{n+1}) |y_i y_t| + c (z_i |y_t| + |y_i| z_t) + c^2 z_i z_t ] + 2^-600 M,

up to a factor for evaluating this bound itself with computed y and z. All its terms are positive, so the
factor is 1 + O(n u + rho); 1.01 covers it if c + rho + g_n < 10^-3, and otherwise the bound is not used.

**2. An integer bound.** With integer rows c_i, totals C_i and coprime integers a_j such that q is
proportional to Q = sum a_j c_j, that is C_j a_j = G n_j for one rational G,

    S_it = F sum_x c_i c_t / Q,     F = G T / (C_i C_t).

Each quotient is homogeneous of degree 1 in the leaf's column of counts, so leaves with proportional columns
are merged first. The remaining quotients are computed in integers with B fractional bits and rounded down, so
the sum is short by less than one unit in the last place per term. B doubles until the interval for 1 - S_it
excludes zero and is narrow enough to give the derivative to the last digit of a float64.

**3. The exact rational**, by adding fractions in pairs. Only this method can prove that a derivative is zero.
It is tried before the integer bound if few quotients remain, and otherwise after it, within a limit on the
digits. Beyond the limit the sign is "undecided at this precision".

If the first method proves a sign but the sum cancels to less than 2^-10 of sum h_i h_t / q, the value is
still taken from the other two, up to 2^17 leaves. They are used for signs up to 2^22 leaves.

**Partly read trees.** Their mixture is one of many that the trees allow, so proofs by the three methods do
not cover the others. Here a sign is certified if bounds like those of `unexpanded_bounds` give it in every
completion, and undecided otherwise.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, NoReturn, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float

from .._lib import checks, display
from .._lib.frames import optional
from .._lib.results import Result, tally
from ..mixtures import (
    BLOCK,
    EXACT_LEAVES,
    INTEGER_LEAVES,
    SCALE,
    STEADY,
    Completions,
    Mixture,
    integer_excess,
    interval_sign,
    inverse_root,
    no_mixture,
    signs_hold,
)

Sign = Literal[-1, 0, 1] | None

_ROLES = ("pretrain", "align", "perturb")

_MOVES = {-1: "falls", 0: "stays", 1: "rises", None: "undecided"}

_HOLDS = {True: "hold", False: "fail", None: "undecided"}


@dataclass(frozen=True, eq=False, repr=False)
class Elasticity(Result):
    r"""The verdict on Theorem 4.2 for one mixture. Made by `elasticity`.

    Attributes
    ----------
    k, l : float
        Sizes of the pre-training and the perturbation dataset divided by that of the alignment dataset.
    dgamma_pretrain, dgamma_align, dgamma_perturb : float
        gamma_p', gamma_a', gamma_t': derivatives of the rates (ideal code, normalised or not) with respect to
        l.
    bounds : tuple of two (lower, upper)
        Proved bounds of gamma_p' and of gamma_a', of every completion if trees were read in part; infinite
        where nothing is proved, as for a model that is not a `Mixture`.
    ratio : float
        -gamma_a' / (k gamma_p'), near 1 according to the theorem; inf or nan if gamma_p' is 0 or underflows.
    overlap_pretrain, overlap_align : float
        S_pt and S_at; nan for a model without leaves.
    cosine : float
        Cosine of the angle between alignment and perturbation, -R_at / (R_aa R_tt)^(1/2): the theorem needs
        an obtuse angle. nan if one of the two does not respond to itself.
    signs : tuple of two
        Signs of gamma_p' and gamma_a', each -1, 0 or 1 and proved, or None if undecided. For partly read
        trees they are proved for every completion of the unexpanded mass. For a model that is not a `Mixture`
        they are the signs of the computed numbers.
    holds : bool or None
        Whether gamma_p' < 0 < gamma_a'; None if the signs leave it open.
    certified : bool
        Whether both signs are proved.
    certificate : str
        How each sign was decided, or why it was not.
    names : tuple of 3 strings
        The names of D_p, D_a and D_t.

    Notes
    -----
    The repr gives the bounds in parentheses, as one number where they agree to four digits. `to_frame` has
    one row, with the names as pretrain, align and perturb, the signs as sign_pretrain and sign_align, and the
    bounds as lower_pretrain, upper_pretrain, lower_align and upper_align.
    """

    k: float
    l: float
    dgamma_pretrain: float
    dgamma_align: float
    dgamma_perturb: float
    bounds: tuple[tuple[float, float], tuple[float, float]]
    ratio: float
    overlap_pretrain: float
    overlap_align: float
    cosine: float
    signs: tuple[Sign, Sign]
    holds: bool | None
    certified: bool
    certificate: str
    names: tuple[str, ...]

    def __bool__(self) -> NoReturn:
        raise TypeError("an Elasticity is neither true nor false: ask for .holds, which is None if undecided")

    def __repr__(self) -> str:
        perturb = self.names[2]
        each = zip(self.names, self.signs, self.bounds, strict=False)
        moves = (f"{name} {_MOVES[sign]}{_between(*bounds)}" for name, sign, bounds in each)
        return (
            f"Elasticity(signs {_HOLDS[self.holds]}{', certified' if self.certified else ''}: "
            f"{', '.join(moves)} as {perturb} grows; k={self.k:.6g}, l={self.l:.6g}, "
            f"ratio={self.ratio:.6g}{'' if self.certified else f', certificate={self.certificate!r}'})"
        )

    def _repr_html_(self) -> str:
        return display.pairs(vars(self), "Elasticity: Theorem 4.2 says gamma_p' < 0 < gamma_a'")

    def _columns(self) -> tuple[Mapping[str, Any], *tuple[str, ...]]:
        apart = ("signs", "bounds", "names")
        row = {name: [value] for name, value in vars(self).items() if name not in apart}
        row |= {role: [name] for role, name in zip(_ROLES, self.names, strict=True)}
        for role, (lower, upper) in zip(_ROLES, self.bounds, strict=False):
            row |= {f"lower_{role}": [lower], f"upper_{role}": [upper]}
        signs = dict(zip(("sign_pretrain", "sign_align"), self.signs, strict=True))
        return (row | verdicts([self]) | {name: _nullable([sign], "Int64") for name, sign in signs.items()},)


def _between(lower: float, upper: float) -> str:
    """An interval in a few characters; nothing if it has no ends."""
    if math.isinf(lower) and math.isinf(upper):
        return ""
    ends = f"{lower:.4g}", f"{upper:.4g}"
    return f" ({' to '.join(ends if ends[0] != ends[1] else ends[:1])})"


@runtime_checkable
class Responding(Protocol):
    """Datasets whose rates respond to their sizes: the interface of a model that is not a `Mixture`.

    It suffices for `elasticity`, `response_curve` and the plots of rates and responses. `TrainedMixture`, at
    a minimum of its losses, provides it.
    """

    @property
    def n_datasets(self) -> int:
        """Number N of datasets."""

    @property
    def names(self) -> tuple[str, ...]:
        """The datasets' names."""

    @property
    def sizes(self) -> Any:
        """The sizes n_i, shape (N,)."""

    @property
    def residual(self) -> Any:
        """Distance from a minimum: ``residual.relative`` is the norm of the gradient over the total size."""

    def index(self, dataset: int | str, name: str = "dataset") -> int:
        """Position of a dataset given by position or name; `name` is what errors call it."""

    def roles(self, **datasets: int | str) -> list[int]:
        """Positions of several datasets, all different."""

    def with_sizes(self, sizes: Any) -> "Responding":
        """The same datasets with other sizes, again at a minimum."""

    def rates(self, base: float = 2) -> Float[np.ndarray, "datasets"]:
        """The rates gamma_i."""

    def response(self, base: float = 2) -> Float[np.ndarray, "datasets datasets"]:
        """R[i, t] = d gamma_i / d n_t."""


def elasticity(
    mixture: Mixture | Responding,
    pretrain: int | str = 0,
    align: int | str = 1,
    perturb: int | str = 2,
    *,
    base: float = 2,
    per: Literal["block", "token"] = "block",
) -> Elasticity:
    r"""Decide Theorem 4.2 for three datasets of a mixture.

    Parameters
    ----------
    mixture : Mixture or Responding
        At least three datasets; the others keep their sizes. For a `TrainedMixture` nothing is certified, and
        `certificate` gives the residual.
    pretrain, align, perturb : int or str
        Index or name of D_p, D_a and D_t, all different.
    base : float
        Unit of the rates: 2 for bits, ``math.e`` for nats.
    per : "block" or "token"
        Rates per leaf, or per token, that is, divided by the depth.

    Returns
    -------
    Elasticity

    Raises
    ------
    ValueError
        If a dataset is unknown or named twice, ``base <= 1``, or `per` is "token" without a depth.
    TypeError
        If a dataset is neither an integer nor a string.

    Notes
    -----
    O(N M) if the floating-point bound decides, as it does unless a derivative is below about 10^-12 of the
    sum of the magnitudes of its terms. Derivatives decided in integers are correct to about the last digit;
    the others are as accurate as `Mixture.response`. Theorem 4.2 of the paper; the module's docstring proves
    the bounds.

    For partly read trees, derivatives, ratio and overlaps are those of the reading of `Mixture.from_trees`.
    Signs are then decided by bounds over every completion and any vocabulary, at the cost of
    `unexpanded_bounds`; a sign that is zero or left open by the bounds is None.

    Examples
    --------
    >>> from fractions import Fraction
    >>> from tokentree import published_form
    >>> decided = elasticity(published_form([[1, 0, 0], [0, 1, 0], [0, 0, 1]], k=1000, l=Fraction(1, 4)))
    >>> decided.holds, decided.certified, round(decided.ratio, 4)
    (True, True, 2.0015)
    >>> elasticity(published_form([[1, 0, 0], [0, 1, 0], [0, 0, 1]], k=1000, l=Fraction(1, 2))).signs
    (0, 1)
    """
    roles = three_roles(mixture, pretrain, align, perturb)
    if not isinstance(mixture, Mixture):
        return responded(mixture, roles, unit_of(base, per))
    unit = checks.log_base(base) * mixture.tokens(per)
    return decided(mixture, roles, unit, completions_of(mixture))


def three_roles(
    mixture: Mixture | Responding, pretrain: int | str, align: int | str, perturb: int | str
) -> list[int]:
    """Positions of D_p, D_a and D_t."""
    responding("mixture", mixture)
    if mixture.n_datasets < 3:
        raise ValueError(f"mixture has {mixture.n_datasets} datasets: Theorem 4.2 needs at least 3")
    roles = mixture.roles(pretrain=pretrain, align=align, perturb=perturb)
    if not (size := float(mixture.sizes[roles[1]])) > 0:
        raise ValueError(
            f"sizes[{roles[1]}] = {size:g}: the alignment data's must be > 0, because k and l are relative "
            "to it"
        )
    return roles


def responding(name: str, model: Any) -> None:
    """Refuse anything that is neither a `Mixture` nor like a `TrainedMixture`."""
    # Checked on the class: the residual itself costs a pass over the data.
    if not isinstance(model, Mixture) and not hasattr(type(model), "residual"):
        no_mixture(name, model, "a Mixture or a TrainedMixture")


def unit_of(base: float, per: str) -> float:
    """Nats per unit of rates, for a model that is not a `Mixture`."""
    if per != "block":
        raise ValueError(f"per = {per!r}: must be 'block', because only a Mixture has a depth")
    return checks.log_base(base)


def completions_of(mixture: Mixture) -> Completions | None:
    """What is known of the mixture's trees, if part of their mass is unexpanded."""
    return None if mixture.unread is None else Completions(mixture.unread)


def responded(model: Responding, roles: Sequence[int], unit: float) -> Elasticity:
    """`elasticity` from the response alone (theorem T6 of the page on trained models)."""
    p, a, t = roles
    sizes = np.asarray(model.sizes, dtype=np.float64)
    response, step = model.response(math.e), float(sizes[a]) / unit
    k, l = float(sizes[p] / sizes[a]), float(sizes[t] / sizes[a])
    lengths = float(np.sqrt(response[a, a] * response[t, t]))
    pulled, grown = float(response[p, t]), float(response[a, t])
    signs = _sign(int(np.sign(pulled))), _sign(int(np.sign(grown)))
    return Elasticity(
        k=k,
        l=l,
        dgamma_pretrain=step * pulled,
        dgamma_align=step * grown,
        dgamma_perturb=step * float(response[t, t]),
        bounds=((-math.inf, math.inf), (-math.inf, math.inf)),
        ratio=_ratio(pulled, grown, k),
        overlap_pretrain=math.nan,
        overlap_align=math.nan,
        cosine=-grown / lengths if lengths > 0 else math.nan,
        signs=signs,
        holds=signs_hold(*signs),
        certified=False,
        certificate=f"not certified: the gradient of F over the total size is {model.residual.relative:.2g}",
        names=tuple(model.names[i] for i in roles),
    )


def _ratio(pretrain: float, align: float, k: float) -> float:
    """-gamma_a' / (k gamma_p'), from derivatives in any unit."""
    if pretrain and k:
        return -align / pretrain / k
    return math.nan if align == 0 else math.inf


def decided(
    mixture: Mixture, roles: Sequence[int], unit: float, completions: Completions | None
) -> Elasticity:
    """`elasticity` for three positions, with rates divided by `unit`."""
    p, a, t = roles
    sizes = mixture.exact_sizes
    k, l = float(sizes[p] / sizes[a]), float(sizes[t] / sizes[a])

    sums = _float_sums(mixture, a, t)
    found = [_decide(mixture, i, t, sums) for i in (p, a)]
    if completions is not None:
        bounds = completions.excess(sizes)
        found = [_certain(mixture, one, bounds[:, i, t]) for one, i in zip(found, (p, a), strict=True)]
    step = float(mixture.weights[a]) / unit
    excess_p, excess_a = found[0].excess, found[1].excess
    signs = found[0].sign, found[1].sign
    return Elasticity(
        k=k,
        l=l,
        dgamma_pretrain=step * excess_p,
        dgamma_align=step * excess_a,
        dgamma_perturb=step * float(sums.excess[t]),
        bounds=(_scaled(step, *found[0].bounds), _scaled(step, *found[1].bounds)),
        # Not from the derivatives: k gamma_p' may underflow.
        ratio=_ratio(excess_p, excess_a, k),
        overlap_pretrain=float(sums.overlap[p]),
        overlap_align=float(sums.overlap[a]),
        cosine=sums.cosine,
        signs=signs,
        holds=signs_hold(*signs),
        certified=None not in signs,
        certificate=f"pretrain: {found[0].method}; align: {found[1].method}",
        names=tuple(mixture.names[i] for i in roles),
    )


class _Sums(NamedTuple):
    """For one t and every i: 1 - S_it, its error and sign if proved, whether it keeps its digits, and S_it.

    Also the cosine of the angle between a and t.
    """

    excess: Float[np.ndarray, "datasets"]
    error: Float[np.ndarray, "datasets"]
    sign: Float[np.ndarray, "datasets"]
    steady: Bool[np.ndarray, "datasets"]
    overlap: Float[np.ndarray, "datasets"]
    cosine: float


class _Decision(NamedTuple):
    sign: Sign
    excess: float
    bounds: tuple[float, float]
    method: str


def _scaled(step: float, lower: float, upper: float) -> tuple[float, float]:
    """Bounds times a factor that is itself rounded, and its unit too; a bound of zero stays exact."""
    lower, upper = (
        end and math.nextafter(end * step * (1 + math.copysign(2.0**-49, out * end)), out * math.inf)
        for end, out in ((lower, -1), (upper, 1))
    )
    return lower, upper


def _float_sums(mixture: Mixture, a: int, t: int) -> _Sums:
    """Sum over leaves in floating point and bound the error: method 1."""
    n, u = mixture.n_datasets, 2.0**-53
    eta = mixture.rows.relative_error
    c = (2 * n - 1) * (n + 3) * u + 1.01 * eta
    rho = 2 * eta + 2 * (n + 8) * u
    total = sum(mixture.exact_sizes)
    scale = np.tile(mixture.weights, (n, 1))
    np.fill_diagonal(scale, [float((total - size) / total) for size in mixture.exact_sizes])

    blocks = []
    for p, q, d in mixture.centred_blocks():
        root = inverse_root(q)
        x, y, z = p * root, d * root, (scale @ p) * root
        size = np.abs(y)
        error = (rho + (BLOCK + 2) * u) * (size @ size[t]) + c * (z @ (size[t] + c * z[t]) + size @ z[t])
        blocks.append((y @ y[t], error, z @ z[t], x @ x[t], y[a : a + 1] @ y[a]))
    gram, error, scale, overlap, own = (
        np.array([math.fsum(entry) for entry in np.transpose(part)]) for part in zip(*blocks, strict=True)
    )
    lengths = math.sqrt(own[0]) * math.sqrt(gram[t])
    bound = 1.01 * error + 2.0**-600 * mixture.n_leaves
    bound = np.where(c + rho + BLOCK * u < 1e-3, bound, np.inf)
    proved = np.abs(gram) > bound
    # Signs before the scale is removed: a derivative that underflows still has a sign.
    steady = np.abs(gram) >= STEADY * scale
    cosine = float(gram[a]) / lengths if lengths > 0 else math.nan
    sign = np.where(proved, -np.sign(gram), 0.0)
    return _Sums(-gram / SCALE, bound / SCALE, sign, steady, overlap / SCALE, cosine)


def _decide(mixture: Mixture, i: int, t: int, sums: _Sums) -> _Decision:
    """Sign of 1 - S_it by the first of the three methods that proves it, and its value."""
    rounded, sign = float(sums.excess[i]), _sign(int(sums.sign[i]))
    exact = None
    if mixture.n_leaves <= (EXACT_LEAVES if sign else INTEGER_LEAVES) and not (sign and sums.steady[i]):
        exact = integer_excess(mixture.rows, mixture.exact_sizes, i, t)
    value = rounded if exact is None else exact.over / exact.under
    lost = 4 * math.ulp(value) if exact is not None and exact.over else 0.0
    error = float(sums.error[i]) if exact is None else lost
    bounds = value - error, value + error
    if sign:
        return _Decision(sign, value, bounds, "floating-point bound")
    if exact is not None:
        return _Decision(_sign(exact.over), value, bounds, exact.method)
    limit = ": too many leaves" if mixture.n_leaves > INTEGER_LEAVES else " at this precision"
    return _Decision(None, rounded, bounds, f"undecided{limit}")


def _certain(mixture: Mixture, read: _Decision, bounds: Float[np.ndarray, "2"]) -> _Decision:
    """The decision if part of the mass is unexpanded: the part that was read proves nothing by itself."""
    lower, upper = map(float, bounds)
    read = read._replace(sign=_sign(interval_sign(lower, upper)) or None, bounds=(lower, upper))
    if read.sign:
        return read._replace(method="bounds over every completion of the unexpanded mass")
    share = f"an unexpanded share of up to {mixture.unexpanded.max():.3g}"
    return read._replace(method=f"undecided: {share} leaves it open")


def _sign(number: int) -> Sign:
    return 1 if number > 0 else -1 if number < 0 else 0


def decided_at(elasticities: Sequence[Elasticity]) -> str:
    """At how many points the signs hold, and whether that is certified, in a few words."""
    certified = sum(each.certified for each in elasticities)
    if certified == len(elasticities):
        return f"{tally(each.holds for each in elasticities)}, certified"
    return f"{tally(each.holds for each in elasticities)}, certified at {certified}"


def verdicts(elasticities: Iterable[Any]) -> dict[str, Any]:
    """Columns of the verdicts on Theorem 4.2, one row each; `holds` is pandas' missing value if undecided."""
    found = list(elasticities)
    names = ("dgamma_pretrain", "dgamma_align", "dgamma_perturb", "ratio")
    columns: dict[str, Any] = {name: [getattr(e, name) for e in found] for name in names}
    return columns | {
        "holds": _nullable([e.holds for e in found], "boolean"),
        "certified": np.array([e.certified for e in found], dtype=bool),
    }


def _nullable(values: list[Any], dtype: str) -> Any:
    """A pandas column in which values may be missing."""
    return optional("pandas", "pandas", "to_frame").array(values, dtype=dtype)
