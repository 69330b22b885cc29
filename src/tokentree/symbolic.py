r"""The laws of joint compression as SymPy proves them: derived by differentiation, checked by arithmetic.

Each function builds both sides of a law separately, the left side from the definition of the rate,

    gamma_i = -sum_x p_i log q,     q = sum_j n_j p_j / T,     T = sum_j n_j,

by SymPy's own differentiation, and returns the law as a SymPy relation that has not been simplified. `proved`
then decides it. Nothing here is sampled, and no step is taken over from the closed forms of `elasticity`.

**What counts as a proof.** For an equation, left - right is written over one denominator, and its numerator
is expanded in the ring of polynomials in whatever it is a polynomial in: symbols, logarithms, sums. Zero
there is an identity, whatever relations hold between those. For rational functions the converse is true as
well: a numerator other than zero means that the law is false. Logarithms are split only where the
assumptions on the symbols allow it. For an inequality, left - right is factored, and its sign must follow
from the assumptions on the factors. Symbols for probabilities are positive; by continuity an equation holds
for zeros too, wherever q > 0.

The module imports SymPy, which takes a while, so `import tokentree` leaves it out. Rates and derivatives are
in nats per block.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from typing import NamedTuple

import sympy as sp

from . import _checks

k, l = sp.symbols("k l", positive=True)
"""|D_p| / |D_a| and |D_t| / |D_a|."""

m = sp.Symbol("m", integer=True, positive=True)
"""Number of parts of the published form; at least 3."""

a = sp.Symbol("a", positive=True)
"""alpha - 1, with alpha > 1 the Pareto exponent."""


def residual(law: sp.Rel) -> sp.Expr | sp.MatrixBase:
    """Left side less right side in the normal form that `proved` judges: 0 where an equation holds.

    Parameters
    ----------
    law : sympy relation
        Between expressions, or an equation between matrices.

    Returns
    -------
    sympy expression or matrix
        For an equation an expanded numerator over a product of denominators, nan if one of them is zero. For
        an inequality the difference in factors.

    Raises
    ------
    TypeError
        If `law` is not a relation. SymPy turns relations that it decides at once into true or false; build
        them with ``evaluate=False``.

    Notes
    -----
    The cost is that of expanding the numerator: it grows with the product of the numbers of terms in all
    denominators.

    Examples
    --------
    >>> x = sp.Symbol("x", positive=True)
    >>> residual(sp.Eq(sp.log(1 / x), -sp.log(x), evaluate=False))
    0
    >>> residual(sp.Eq(1 / (x + 1), 1 / x, evaluate=False))
    -1/(x*(x + 1))
    """
    if not isinstance(law, sp.Rel):
        raise TypeError(f"law = {law!r}: must be a SymPy relation, built with evaluate=False")
    normal = _normal if isinstance(law, sp.Eq) else sp.factor
    difference = law.lhs - law.rhs
    return difference.applyfunc(normal) if isinstance(difference, sp.MatrixBase) else normal(difference)


def proved(law: sp.Rel) -> bool:
    """Whether SymPy proves a relation; the module's docstring says what counts as a proof.

    Parameters
    ----------
    law : sympy relation
        As for `residual`.

    Returns
    -------
    bool
        True is a proof. False disproves an equation between rational functions; of other laws it says only
        that this method does not prove them.

    Raises
    ------
    TypeError
        As for `residual`.

    Examples
    --------
    >>> x = sp.Symbol("x", positive=True)
    >>> proved(sp.Eq((x**2 - 1) / (x + 1), x - 1, evaluate=False)), proved(sp.Gt(x - 1, 0, evaluate=False))
    (True, False)
    """
    difference = residual(law)
    entries = difference if isinstance(difference, sp.MatrixBase) else [difference]
    return all(law.func(entry, 0) is sp.true for entry in entries)


def _normal(expression: sp.Expr) -> sp.Expr:
    """Expanded numerator over the denominators."""
    expression = sp.expand_log(expression)
    if expression.has(sp.Sum):
        # Split sums, take out what does not depend on the index, and give every index its standard name.
        expression = sp.factor_terms(sp.expand(expression)).as_dummy()
    numerator, denominator = sp.fraction(sp.together(expression))
    if any(_expanded(factor) == 0 for factor in sp.Mul.make_args(denominator)):
        return sp.nan
    return _expanded(numerator) / denominator


def _expanded(expression: sp.Expr) -> sp.Expr:
    """Sum of monomials, by ring arithmetic: many times faster than `sympy.expand`, and just as exact."""
    indeterminates = sorted(_indeterminates(expression), key=sp.default_sort_key)
    if not indeterminates:
        return sp.expand(expression)
    polynomials, *_ = sp.ring(indeterminates, sp.QQ)
    return polynomials.from_expr(expression).as_expr()


def _indeterminates(expression: sp.Expr) -> set[sp.Expr]:
    """What the expression is a polynomial in."""
    if expression.is_Add or expression.is_Mul:
        return set().union(*map(_indeterminates, expression.args))
    if expression.is_Pow and expression.exp.is_Integer and expression.exp > 1:
        return _indeterminates(expression.base)
    return set() if expression.is_Rational else {expression}


@dataclass(frozen=True)
class Laws(Mapping[str, sp.Rel]):
    """Laws by name; a notebook shows them as formulas.

    Examples
    --------
    >>> laws = gibbs_duhem(2, 2)
    >>> list(laws)
    ['response', 'reciprocity', 'Gibbs-Duhem', 'conservation']
    >>> laws.proved
    True
    """

    laws: dict[str, sp.Rel]

    @property
    def proved(self) -> bool:
        """Whether SymPy proves every one of them."""
        return all(map(proved, self.laws.values()))

    def __getitem__(self, name: str) -> sp.Rel:
        return self.laws[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.laws)

    def __len__(self) -> int:
        return len(self.laws)

    def _repr_latex_(self) -> str:
        return _latex((rf"\text{{{name}:}}\quad {sp.latex(law)}") for name, law in self.laws.items())


@dataclass(frozen=True)
class Form:
    """One form of Theorem 4.2 in terms of `k` and `l`, with |D_a| = 1; a notebook shows it as formulas.

    Attributes
    ----------
    rate_pretrain, rate_align, rate_perturb : sympy expression
        gamma_p, gamma_a, gamma_t. An h with an index is the entropy of that part, or dataset, alone.
    dgamma_pretrain, dgamma_align, dgamma_perturb : sympy expression
        gamma_p', gamma_a', gamma_t': their derivatives with respect to l.
    ratio : sympy expression
        r = -gamma_a' / (k gamma_p').
    ratio_small_l, ratio_large_k : sympy expression
        Limits of r for l -> 0 and for k -> oo.
    condition : sympy Boolean
        When gamma_p' < 0 < gamma_a': true, false, or an inequality for l, solved by SymPy.
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
        return _latex(f"{name} {value}" for name, value in zip(names, values, strict=True))


def published_form(parts: int | sp.Symbol = m) -> Form:
    r"""Theorem 4.2 as published, for m disjoint parts of any distributions, derived from the rates.

    Parameters
    ----------
    parts : int or the symbol `m`
        m >= 3, the number of equal parts of D_p. D_a is distributed as the second, D_t as the third.

    Returns
    -------
    Form
        The rate of part j is h_j - log s_j with s_j the part's share of q: (k/m + 1) / T for the second,
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
    >>> form = published_form()
    >>> form.dgamma_align, form.dgamma_pretrain
    (1/(k + l + 1), (l*m - l - 1)/((k + l*m)*(k + l + 1)))
    >>> form.condition, form.ratio_small_l, form.ratio_large_k
    (l < 1/(m - 1), 1, -1/(l*m - l - 1))
    >>> published_form(3).condition
    l < 1/2
    """
    count = m if parts is m else sp.Integer(_checks.integer("parts", parts, 3))
    total = k + 1 + l
    h, j = sp.IndexedBase("h", real=True), sp.Symbol("j", integer=True, positive=True)

    align = _block_rate(h[2], (k / count + 1) / total)
    perturb = _block_rate(h[3], (k / count + l) / total)
    other = _block_rate(h[j], k / count / total)
    others = other.subs(j, 1) + sp.Sum(other, (j, 4, count)).doit()
    return _form((others + align + perturb) / count, align, perturb)


def three_dataset_form(alike: bool = False) -> Form:
    r"""Theorem 4.2 for three separate datasets with disjoint supports, or with D_3 distributed as D_1.

    Parameters
    ----------
    alike : bool
        False: all three are disjoint. True: D_3 is distributed as D_1, and D_2 is disjoint from both.

    Returns
    -------
    Form
        D_1, D_2, D_3 play pre-training, alignment and perturbation. The theorem's signs never hold in the
        first case, and always in the second.

    Notes
    -----
    Section 4.1 of the paper; theory.md, section "Theorem 4.2 for three separate datasets".

    Examples
    --------
    >>> disjoint, alike = three_dataset_form(), three_dataset_form(alike=True)
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
    """Rate of a distribution p whose leaves no other dataset touches but in proportion to p: q = share p."""
    leaf, leaves = sp.symbols("x M", integer=True, positive=True)
    p, s = sp.IndexedBase("p", positive=True), sp.Dummy(positive=True)
    all_leaves = (leaf, 1, leaves)
    rate = sp.Sum(-p[leaf] * sp.log(s * p[leaf]), all_leaves)
    rate = sp.factor_terms(sp.expand(sp.expand_log(rate)))
    known = {sp.Sum(p[leaf], all_leaves): 1, sp.Sum(p[leaf] * sp.log(p[leaf]), all_leaves): -entropy}
    return rate.xreplace(known).subs(s, share)


def _form(pretrain: sp.Expr, align: sp.Expr, perturb: sp.Expr) -> Form:
    """Derivatives, ratio, limits and condition, from the rates alone."""
    dp, da, dt = (sp.factor(sp.diff(rate, l).doit()) for rate in (pretrain, align, perturb))
    ratio = sp.factor(-da / (k * dp))
    return Form(
        *(pretrain, align, perturb, dp, da, dt, ratio),
        ratio_small_l=sp.factor(sp.limit(ratio, l, 0)),
        ratio_large_k=sp.factor(sp.limit(ratio, k, sp.oo)),
        condition=sp.And(_negative(dp), _negative(-da)),
    )


def _negative(expression: sp.Expr) -> sp.Basic:
    """When a fraction is negative, solved for l; its denominator must be positive, m at least 3."""
    beyond = sp.Dummy(integer=True, nonnegative=True)
    numerator, denominator = sp.fraction(sp.factor(expression.subs(m, beyond + 3)))
    assert denominator.is_positive
    below = sp.Lt(numerator, 0)
    return below if below in (sp.true, sp.false) else sp.solve(below, l).subs(beyond, m - 3)


class _Symbols(NamedTuple):
    """Sizes and distributions of N datasets over M leaves, and what follows from them."""

    sizes: sp.Matrix
    p: sp.Matrix
    total: sp.Expr
    q: sp.Matrix
    rates: sp.Matrix
    overlap: sp.Matrix


def _symbols(N: int, M: int) -> _Symbols:
    """Positive symbols n_i and p_ix; the last leaf is eliminated, so that every row sums to 1."""
    N, M = _checks.integer("N", N, 1), _checks.integer("M", M, 1)
    sizes = sp.ImmutableMatrix(sp.symbols(f"n_1:{N + 1}", positive=True))
    free = sp.Matrix(N, M - 1, lambda i, x: sp.Symbol(f"p_{{{i + 1},{x + 1}}}", positive=True))
    p = sp.ImmutableMatrix(free.row_join(sp.ones(N, 1) - free * sp.ones(M - 1, 1)))
    total = sum(sizes)
    q = p.T * sizes / total
    overlap = p * sp.diag(*(1 / mass for mass in q)) * p.T
    return _Symbols(sizes, p, total, q, -p * q.applyfunc(sp.log), overlap)


def euler(N: int, M: int) -> Laws:
    r"""sum_i n_i gamma_i = Phi (Euler), and the rates are the gradient of Phi = T log T - sum_x u log u.

    Parameters
    ----------
    N, M : int
        Numbers of datasets and of leaves, at least 1. Sizes and distributions are symbols.

    Returns
    -------
    Laws
        "Euler" and "gradient"; u = sum_i n_i p_i.

    Raises
    ------
    ValueError
        If N or M is below 1.
    TypeError
        If N or M is not an integer.

    Notes
    -----
    theory.md, section "Joint compression is thermodynamics"; Callen (1985), chapter 3. Less than 0.1 s for
    N = M = 3.

    Examples
    --------
    >>> euler(3, 3).proved
    True
    >>> euler(1, 2)["Euler"].lhs
    n_1*(-p_{1,1}*log(p_{1,1}) + (p_{1,1} - 1)*log(1 - p_{1,1}))
    """
    sizes, p, total, _, rates, _ = _symbols(N, M)
    mass = p.T * sizes
    potential = total * sp.log(total) - sum(u * sp.log(u) for u in mass)
    gradient = sp.ImmutableMatrix([potential]).jacobian(sizes).T
    return Laws(
        {
            "Euler": sp.Eq((sizes.T * rates)[0], potential, evaluate=False),
            "gradient": sp.Eq(gradient, rates, evaluate=False),
        }
    )


def gibbs_duhem(N: int, M: int) -> Laws:
    r"""R n = 0 and n R = 0 for the response R_it = d gamma_i / d n_t, which is symmetric.

    Parameters
    ----------
    N, M : int
        As for `euler`, whose errors this shares.

    Returns
    -------
    Laws
        "response" (R by differentiation is (1 - S) / T), "reciprocity" (R_it = R_ti), "Gibbs-Duhem" (sum_t
        R_it n_t = 0) and "conservation" (sum_i n_i d gamma_i / d n_t = 0), in matrices.

    Notes
    -----
    theory.md, sections "Joint compression is thermodynamics" and "Gibbs-Duhem and the conservation law".
    About a second for N = M = 3. `leaf_laws` has any N and M.

    Examples
    --------
    >>> laws = gibbs_duhem(3, 2)
    >>> laws.proved, proved(laws["conservation"])
    (True, True)
    """
    sizes, _, total, _, rates, overlap = _symbols(N, M)
    response = sp.ImmutableMatrix(rates.jacobian(sizes))
    zero = sp.ImmutableMatrix.zeros(sizes.rows, 1)
    return Laws(
        {
            "response": sp.Eq(response, (sp.ones(sizes.rows) - overlap) / total, evaluate=False),
            "reciprocity": sp.Eq(response, response.T, evaluate=False),
            "Gibbs-Duhem": sp.Eq(response * sizes, zero, evaluate=False),
            "conservation": sp.Eq(sizes.T * response, zero.T, evaluate=False),
        }
    )


def covariance_form(N: int, M: int) -> sp.Eq:
    r"""(1 - S_it) / T = -(1/T) sum_x (p_i - q)(p_t - q) / q, for all i and t in one matrix.

    Parameters
    ----------
    N, M : int
        As for `euler`, whose errors this shares.

    Returns
    -------
    sympy equation

    Notes
    -----
    theory.md, section "Joint compression is thermodynamics". Half a second for N = M = 3.

    Examples
    --------
    >>> proved(covariance_form(2, 3))
    True
    """
    sizes, p, total, q, _, overlap = _symbols(N, M)
    centred = p - sp.ones(sizes.rows, 1) * q.T
    covariance = centred * sp.diag(*(1 / mass for mass in q)) * centred.T
    return sp.Eq((sp.ones(sizes.rows) - overlap) / total, -covariance / total, evaluate=False)


def leaf_laws() -> Laws:
    r"""The laws for any number of datasets and leaves, one leaf at a time.

    Returns
    -------
    Laws
        With lambda = -log q at leaf x, and sums over N datasets, N a symbol:

        - "Gibbs-Duhem": sum_t n_t d lambda / d n_t = 0;
        - "Euler": sum_i n_i p_i lambda = -T q log q;
        - "conservation": sum_i n_i p_i d lambda / d n_t = q - p_t;
        - "covariance": p_i d lambda / d n_t + (p_i - q)(p_t - q) / (T q) = (q - p_t) / T;
        - "normalisation": sum_x sum_j n_j p_j = T for M leaves, M a symbol; that is, sum_x q = 1.

    Notes
    -----
    A rate is gamma_i = sum_x p_i lambda, with p_i fixed. So the sum of each law over the leaves is the law of
    the same name for the rates: the right sides q - p_t add up to 1 - 1 = 0. SymPy checks every line above
    for symbolic N, M, i, t and x. That includes the derivative of a sum with respect to an indexed size, and
    in the last line the exchange of two sums. It is given that t is at most N and that sum_x p_j = 1. Adding
    up the lines over the leaves, and differentiating that finite sum term by term, is left to the reader.

    Examples
    --------
    >>> leaf_laws().proved
    True
    >>> leaf_laws()["conservation"].rhs
    -p[t, x] + Sum(n[j]*p[j, x], (j, 1, N))/Sum(n[j], (j, 1, N))
    """
    i, t, j, x, N, M = sp.symbols("i t j x N M", integer=True, positive=True)
    n, p = sp.IndexedBase("n", positive=True), sp.IndexedBase("p", positive=True)
    total, mass = sp.Sum(n[j], (j, 1, N)), sp.Sum(n[j] * p[j, x], (j, 1, N))
    q = mass / total
    length = -sp.log(q)
    # SymPy asks whether n_t is one of the sizes that are summed: t <= N.
    derivative = sp.diff(length, n[t]).doit().xreplace({sp.Ge(N, t): sp.true})

    # sum_x sum_j = sum_j sum_x, and then the inner sum of a row is 1.
    leafwise = sp.Sum(mass.function, mass.limits[0], (x, 1, M)).reorder((j, x))
    inner, outer = leafwise.limits
    row = sp.factor_terms(sp.Sum(leafwise.function, inner)).xreplace({sp.Sum(p[j, x], (x, 1, M)): sp.S.One})
    laws = {
        "Gibbs-Duhem": (sp.Sum(n[t] * derivative, (t, 1, N)), 0),
        "Euler": (sp.Sum(n[i] * p[i, x] * length, (i, 1, N)), -total * q * sp.log(q)),
        "conservation": (sp.Sum(n[i] * p[i, x] * derivative, (i, 1, N)), q - p[t, x]),
        "covariance": (
            p[i, x] * derivative + (p[i, x] - q) * (p[t, x] - q) / (total * q),
            (q - p[t, x]) / total,
        ),
        "normalisation": (sp.Sum(row, outer), total),
    }
    return Laws({name: sp.Eq(left, right, evaluate=False) for name, (left, right) in laws.items()})


def one_sign_decides() -> Laws:
    r"""With exactly three datasets gamma_p' < 0 alone implies gamma_a' > 0 and r >= 1.

    Returns
    -------
    Laws
        - "concavity": each leaf's term of R_tt = -(1/T) sum_x (p_t - q)^2 / q is <= 0;
        - "alignment": gamma_a', solved from k gamma_p' + gamma_a' + l gamma_t' = 0, is > 0;
        - "ratio": r = -gamma_a' / (k gamma_p') is >= 1.

        The last two assume gamma_p' < 0 and, by the first, gamma_t' <= 0; the symbols carry the assumptions.

    Notes
    -----
    theory.md, section "What Theorem 4.2 asks for". The form of R_tt is `covariance_form`, the law
    `gibbs_duhem`.

    Examples
    --------
    >>> laws = one_sign_decides()
    >>> laws.proved
    True
    >>> laws["alignment"]
    -\gamma_p'*k - \gamma_t'*l > 0
    """
    p, (q, total) = sp.Symbol("p_t", nonnegative=True), sp.symbols("q T", positive=True)
    dp, da = sp.Symbol(r"\gamma_p'", negative=True), sp.Symbol(r"\gamma_a'", real=True)
    dt = sp.Symbol(r"\gamma_t'", nonpositive=True)
    (solved,) = sp.solve(k * dp + da + l * dt, da)
    return Laws(
        {
            "concavity": sp.Le(-((p - q) ** 2) / (q * total), 0, evaluate=False),
            "alignment": sp.Gt(solved, 0, evaluate=False),
            "ratio": sp.Ge(-solved / (k * dp), 1, evaluate=False),
        }
    )


def pareto_self_rate() -> sp.Eq:
    r"""Limit of H(p) - log M under Assumption A.7: -E[Y log Y] = log(alpha / (alpha - 1)) - 1 / (alpha - 1).

    Returns
    -------
    sympy equation
        Left the integral over the Pareto density with least value x_m, where SymPy has solved E[Y] = 1 for
        x_m; right the closed form. Both are in terms of `a`, which is alpha - 1.

    Notes
    -----
    With p = Y / M, H(p) - log M = -sum_x (Y / M) log Y, which tends to -E[Y log Y] by the law of large
    numbers; that step is not SymPy's. Assumption A.7 of the paper. About 0.2 s.

    Examples
    --------
    >>> law = pareto_self_rate()
    >>> proved(law)
    True
    >>> law.rhs.subs(a, sp.Rational(3, 2)).evalf(5)
    -0.15584
    """
    y, x_m, w = sp.symbols("y x_m w", positive=True)
    alpha = 1 + a
    density = alpha * x_m**alpha * y ** (-alpha - 1)

    def mean(of: sp.Expr) -> sp.Expr:
        # SymPy integrates powers with a symbolic exponent once they are exponentials: y = x_m e^w.
        integral = sp.Integral(of * density, (y, x_m, sp.oo)).transform(y, (x_m * sp.exp(w), w))
        return sp.simplify(integral).doit()

    (least,) = sp.solve(sp.Eq(mean(y), 1), x_m)
    closed = sp.log(alpha / (alpha - 1)) - 1 / (alpha - 1)
    return sp.Eq(-mean(y * sp.log(y)).subs(x_m, least), closed, evaluate=False)


def hooke() -> Laws:
    r"""Hooke's law: two springs between fixed walls, the balance of N forces, and springs in series.

    Returns
    -------
    Laws
        Two springs of stiffness n_1, n_2 pull a point q toward walls at p_1, p_2:

        - "rest": the point where their energy is least is the mixture (n_1 p_1 + n_2 p_2) / (n_1 + n_2);
        - "code": on two leaves, n_1 KL(p_1 || q) + n_2 KL(p_2 || q) is stationary there too;
        - "walls": n_1 |q - p_1| = n_2 |q - p_2|;
        - "balance": sum_i n_i (p_i - q) = 0 at any leaf, for any number of datasets.

        Two springs of stiffness k_1, k_2 in series, stretched by X in all with force F = dE/dX:

        - "first", "second": k_1 dl_1 = F and k_2 dl_2 = F;
        - "stiffness": F / X = (1/k_1 + 1/k_2)^-1;
        - "extension": N springs under a force F extend by sum_i F / k_i = F sum_i 1/k_i.

    Notes
    -----
    Section 4.3 of the paper. Extensions are found where the energy, which is convex, is
    stationary. About 0.2 s.

    Examples
    --------
    >>> laws = hooke()
    >>> laws.proved
    True
    >>> laws["walls"]
    Eq(n_1*n_2*Abs(p_1 - p_2)/(n_1 + n_2), n_1*n_2*Abs(p_1 - p_2)/(n_1 + n_2))
    """
    n1, n2, k1, k2, force = sp.symbols("n_1 n_2 k_1 k_2 F", positive=True)
    p1, p2, q, x, stretch = sp.symbols("p_1 p_2 q x X", real=True)

    def stationary(energy: sp.Expr, variable: sp.Symbol) -> sp.Expr:
        (found,) = sp.solve(sp.diff(energy, variable), variable)
        return found

    rest = stationary(n1 * (q - p1) ** 2 / 2 + n2 * (q - p2) ** 2 / 2, q)
    divergences = sum(
        n * (p * sp.log(p / q) + (1 - p) * sp.log((1 - p) / (1 - q))) for n, p in ((n1, p1), (n2, p2))
    )

    first = stationary(k1 * x**2 / 2 + k2 * (stretch - x) ** 2 / 2, x)
    second = stretch - first
    pull = sp.diff(k1 * first**2 / 2 + k2 * second**2 / 2, stretch)

    i, N = sp.symbols("i N", integer=True, positive=True)
    n, p, stiffness = (sp.IndexedBase(name, positive=True) for name in ("n", "p", "k"))
    over = (i, 1, N)
    mixture = sp.Sum(n[i] * p[i], over) / sp.Sum(n[i], over)
    laws = {
        "rest": (rest, (n1 * p1 + n2 * p2) / (n1 + n2)),
        "code": (stationary(divergences, q), (n1 * p1 + n2 * p2) / (n1 + n2)),
        "walls": (n1 * sp.Abs(sp.factor(rest - p1)), n2 * sp.Abs(sp.factor(rest - p2))),
        "balance": (sp.Sum(n[i] * (p[i] - mixture), over), 0),
        "first": (k1 * first, pull),
        "second": (k2 * second, pull),
        "stiffness": (pull / stretch, 1 / (1 / k1 + 1 / k2)),
        "extension": (sp.Sum(force / stiffness[i], over), force * sp.Sum(1 / stiffness[i], over)),
    }
    return Laws({name: sp.Eq(left, right, evaluate=False) for name, (left, right) in laws.items()})


def _latex(lines: Iterable[str]) -> str:
    return r"$\displaystyle\begin{gathered}" + r" \\ ".join(lines) + r"\end{gathered}$"
