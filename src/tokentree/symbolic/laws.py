r"""The laws of joint compression, proved by SymPy: derived by differentiation, checked by arithmetic.

Each function builds both sides of a law separately, the left side from the definition of the rate,

    gamma_i = -sum_x p_i log q,     q = sum_j n_j p_j / T,     T = sum_j n_j,

by SymPy's own differentiation, and returns the law as an unsimplified SymPy relation. `proved` then decides
it. Nothing here is sampled, and no step uses the closed forms of `elasticity`.

The module imports SymPy, which takes a while, so `import tokentree` does not import it. Rates and derivatives
are in nats per block.
"""

from typing import NamedTuple

import sympy as sp

from .._lib import checks
from .forms import a, k, l
from .proof import Laws


class _Symbols(NamedTuple):
    """Sizes and distributions of N datasets over M leaves, and quantities derived from them."""

    sizes: sp.Matrix
    p: sp.Matrix
    total: sp.Expr
    q: sp.Matrix
    rates: sp.Matrix
    overlap: sp.Matrix


def _symbols(N: int, M: int) -> _Symbols:
    """Positive symbols n_i and p_ix; the last leaf is eliminated, so that every row sums to 1."""
    N, M = checks.integer("N", N, 1), checks.integer("M", M, 1)
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
        As for `euler`, including its errors.

    Returns
    -------
    Laws
        "response" (R by differentiation is (1 - S) / T), "reciprocity" (R_it = R_ti), "Gibbs-Duhem" (sum_t
        R_it n_t = 0) and "conservation" (sum_i n_i d gamma_i / d n_t = 0), in matrices.

    Notes
    -----
    theory.md, sections "Joint compression is thermodynamics" and "Gibbs-Duhem and the conservation law".
    About a second for N = M = 3. `leaf_laws` covers any N and M.

    Examples
    --------
    >>> from tokentree.symbolic import proved
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
        As for `euler`, including its errors.

    Returns
    -------
    sympy equation

    Notes
    -----
    theory.md, section "Joint compression is thermodynamics". Half a second for N = M = 3.

    Examples
    --------
    >>> from tokentree.symbolic import proved
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
    A rate is gamma_i = sum_x p_i lambda, with p_i fixed. So summing each law over the leaves gives the law of
    the same name for the rates: the right sides q - p_t sum to 1 - 1 = 0. SymPy checks every line above for
    symbolic N, M, i, t and x, including the derivative of a sum with respect to an indexed size and, in the
    last line, the exchange of two sums. It is assumed that t is at most N and that sum_x p_j = 1. Summing the
    lines over the leaves, and differentiating that finite sum term by term, is left to the reader.

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
    # SymPy must know that n_t is one of the summed sizes: t <= N.
    derivative = sp.diff(length, n[t]).doit().xreplace({sp.Ge(N, t): sp.true})

    # sum_x sum_j = sum_j sum_x, and the inner sum of a row is 1.
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
    r"""With exactly three datasets, gamma_p' < 0 alone implies gamma_a' > 0 and r >= 1.

    Returns
    -------
    Laws
        - "concavity": each leaf's term of R_tt = -(1/T) sum_x (p_t - q)^2 / q is <= 0;
        - "alignment": gamma_a', solved from k gamma_p' + gamma_a' + l gamma_t' = 0, is > 0;
        - "ratio": r = -gamma_a' / (k gamma_p') is >= 1.

        The last two assume gamma_p' < 0 and, by the first, gamma_t' <= 0; the symbols carry these
        assumptions.

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
        On the left the integral over the Pareto density with minimum x_m, where SymPy has solved E[Y] = 1 for
        x_m; on the right the closed form. Both are in terms of `a` = alpha - 1.

    Notes
    -----
    With p = Y / M, H(p) - log M = -sum_x (Y / M) log Y, which tends to -E[Y log Y] by the law of large
    numbers; SymPy does not prove that step. Assumption A.7 of the paper. About 0.2 s.

    Examples
    --------
    >>> from tokentree.symbolic import proved
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
        # SymPy integrates powers with a symbolic exponent after the substitution y = x_m e^w.
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
        Two springs of stiffness n_1, n_2 pull a point q towards walls at p_1, p_2:

        - "rest": the point of least energy is the mixture (n_1 p_1 + n_2 p_2) / (n_1 + n_2);
        - "code": on two leaves, n_1 KL(p_1 || q) + n_2 KL(p_2 || q) is also stationary there;
        - "walls": n_1 |q - p_1| = n_2 |q - p_2|;
        - "balance": sum_i n_i (p_i - q) = 0 at any leaf, for any number of datasets.

        Two springs of stiffness k_1, k_2 in series, stretched by X in total with force F = dE/dX:

        - "first", "second": k_1 dl_1 = F and k_2 dl_2 = F;
        - "stiffness": F / X = (1/k_1 + 1/k_2)^-1;
        - "extension": N springs under a force F extend by sum_i F / k_i = F sum_i 1/k_i.

    Notes
    -----
    Section 4.3 of the paper. Extensions are the stationary point of the energy, which is convex. About 0.2 s.

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
