"""The published forms of Theorem 4.2 in symbols."""

from dataclasses import dataclass, fields

import sympy as sp

from .._lib import checks
from .proof import latex_lines

k, l = sp.symbols("k l", positive=True)
"""|D_p| / |D_a| and |D_t| / |D_a|."""

m = sp.Symbol("m", integer=True, positive=True)
"""Number of parts of the published form; at least 3."""

a = sp.Symbol("a", positive=True)
"""alpha - 1, with alpha > 1 the Pareto exponent."""


@dataclass(frozen=True)
class Form:
    """One form of Theorem 4.2 in terms of `k` and `l`, with |D_a| = 1; notebooks show it as formulas.

    Attributes
    ----------
    rate_pretrain, rate_align, rate_perturb : sympy expression
        gamma_p, gamma_a, gamma_t. An h with an index is the entropy of that part, or dataset, by itself.
    dgamma_pretrain, dgamma_align, dgamma_perturb : sympy expression
        gamma_p', gamma_a', gamma_t': their derivatives with respect to l.
    ratio : sympy expression
        r = -gamma_a' / (k gamma_p').
    ratio_small_l, ratio_large_k : sympy expression
        Limits of r for l -> 0 and for k -> oo.
    condition : sympy Boolean
        The condition for gamma_p' < 0 < gamma_a': true, false, or an inequality for l, solved by SymPy.
    """

    rate_pretrain: sp.Expr
    rate_align: sp.Expr
    rate_perturb: sp.Expr
    dgamma_pretrain: sp.Expr
    dgamma_align: sp.Expr
    dgamma_perturb: sp.Expr
    ratio: sp.Expr
    ratio_small_l: sp.Expr
    ratio_large_k: sp.Expr
    condition: sp.Basic

    @property
    def conservation(self) -> sp.Eq:
        """The law k gamma_p' + gamma_a' + l gamma_t' = 0."""
        moves = k * self.dgamma_pretrain + self.dgamma_align + l * self.dgamma_perturb
        return sp.Eq(moves, 0, evaluate=False)

    def _repr_latex_(self) -> str:
        names = (
            *(rf"\gamma_{part}{prime} =" for prime in ("", "'") for part in "pat"),
            *("r =", r"\lim_{l \to 0} r =", r"\lim_{k \to \infty} r =", r"\gamma_p' < 0 < \gamma_a' \iff"),
        )
        values = (sp.latex(getattr(self, field.name)) for field in fields(self))
        return latex_lines(f"{name} {value}" for name, value in zip(names, values, strict=True))


def published_rates(parts: int | sp.Symbol = m) -> Form:
    r"""Theorem 4.2 as published, for m disjoint parts of any distributions, derived from the rates.

    Parameters
    ----------
    parts : int or the symbol `m`
        m >= 3, the number of equal parts of D_p. D_a is distributed as the second, D_t as the third.

    Returns
    -------
    Form
        The rate of part j is h_j - log s_j, with s_j the part's share of q: (k/m + 1) / T for the second,
        (k/m + l) / T for the third, and (k/m) / T for the m - 2 others, whose sum SymPy evaluates for
        symbolic m.

    Raises
    ------
    ValueError
        If `parts` is an integer below 3.
    TypeError
        If `parts` is neither an integer nor `m`.

    Notes
    -----
    Theorem 4.2 of the paper; theory.md, section "Theorem 4.2 in the published form". About 0.1 s.

    Examples
    --------
    >>> form = published_rates()
    >>> form.dgamma_align, form.dgamma_pretrain
    (1/(k + l + 1), (l*m - l - 1)/((k + l*m)*(k + l + 1)))
    >>> form.condition, form.ratio_small_l, form.ratio_large_k
    (l < 1/(m - 1), 1, -1/(l*m - l - 1))
    >>> published_rates(3).condition
    l < 1/2
    """
    count = m if parts is m else sp.Integer(checks.integer("parts", parts, 3))
    total = k + 1 + l
    h, j = sp.IndexedBase("h", real=True), sp.Symbol("j", integer=True, positive=True)

    align = _block_rate(h[2], (k / count + 1) / total)
    perturb = _block_rate(h[3], (k / count + l) / total)
    other = _block_rate(h[j], k / count / total)
    others = other.subs(j, 1) + sp.Sum(other, (j, 4, count)).doit()
    return _form((others + align + perturb) / count, align, perturb)


def three_dataset_rates(alike: bool = False) -> Form:
    r"""Theorem 4.2 for three separate datasets, all disjoint or with D_3 distributed as D_1.

    Parameters
    ----------
    alike : bool
        False: all three are disjoint. True: D_3 is distributed as D_1, and D_2 is disjoint from both.

    Returns
    -------
    Form
        D_1, D_2, D_3 are the pre-training, alignment and perturbation data. The theorem's signs never hold in
        the first case, and always in the second.

    Notes
    -----
    Section 4.1 of the paper; theory.md, section "Theorem 4.2 for three separate datasets".

    Examples
    --------
    >>> disjoint, alike = three_dataset_rates(), three_dataset_rates(alike=True)
    >>> disjoint.dgamma_pretrain, disjoint.dgamma_align, disjoint.condition
    (1/(k + l + 1), 1/(k + l + 1), False)
    >>> alike.dgamma_pretrain, alike.dgamma_align, alike.condition
    (-1/((k + l)*(k + l + 1)), 1/(k + l + 1), True)
    >>> alike.ratio
    (k + l)/k
    """
    total = k + 1 + l
    h = sp.IndexedBase("h", real=True)
    align = _block_rate(h[2], 1 / total)
    if alike:
        same = _block_rate(h[1], (k + l) / total)
        return _form(same, align, same)
    return _form(_block_rate(h[1], k / total), align, _block_rate(h[3], l / total))


def _block_rate(entropy: sp.Expr, share: sp.Expr) -> sp.Expr:
    """Rate of a distribution p on whose leaves all other datasets are proportional to p: q = share p."""
    leaf, leaves = sp.symbols("x M", integer=True, positive=True)
    p, s = sp.IndexedBase("p", positive=True), sp.Dummy(positive=True)
    all_leaves = (leaf, 1, leaves)
    rate = sp.Sum(-p[leaf] * sp.log(s * p[leaf]), all_leaves)
    rate = sp.factor_terms(sp.expand(sp.expand_log(rate)))
    known = {sp.Sum(p[leaf], all_leaves): 1, sp.Sum(p[leaf] * sp.log(p[leaf]), all_leaves): -entropy}
    return rate.xreplace(known).subs(s, share)


def _form(pretrain: sp.Expr, align: sp.Expr, perturb: sp.Expr) -> Form:
    """Derivatives, ratio, limits and condition, derived from the rates alone."""
    dp, da, dt = (sp.factor(sp.diff(rate, l).doit()) for rate in (pretrain, align, perturb))
    ratio = sp.factor(-da / (k * dp))
    return Form(
        *(pretrain, align, perturb, dp, da, dt, ratio),
        ratio_small_l=sp.factor(sp.limit(ratio, l, 0)),
        ratio_large_k=sp.factor(sp.limit(ratio, k, sp.oo)),
        condition=sp.And(_negative(dp), _negative(-da)),
    )


def _negative(expression: sp.Expr) -> sp.Basic:
    """The condition for a fraction to be negative, solved for l; its denominator must be positive, m >= 3."""
    beyond = sp.Dummy(integer=True, nonnegative=True)
    numerator, denominator = sp.fraction(sp.factor(expression.subs(m, beyond + 3)))
    assert denominator.is_positive
    below = sp.Lt(numerator, 0)
    return below if below in (sp.true, sp.false) else sp.solve(below, l).subs(beyond, m - 3)
