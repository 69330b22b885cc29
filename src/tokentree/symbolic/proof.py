"""Proofs: deciding relations by normal forms, and collections of laws.

**What counts as a proof.** For an equation, left - right is written over one denominator, and its numerator
is expanded as a polynomial in its generators: symbols, logarithms, sums. If it is zero, the equation is an
identity, whatever relations hold between the generators. For rational functions the converse is true as well:
a nonzero numerator means that the law is false. Logarithms are split only where the assumptions on the
symbols allow it. For an inequality, left - right is factored, and its sign must follow from the assumptions
on the factors. Symbols for probabilities are positive; by continuity an equation also holds for zeros,
wherever q > 0.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import sympy as sp


def residual(law: sp.Rel) -> sp.Expr | sp.MatrixBase:
    """Left side minus right side in the normal form that `proved` uses: 0 if an equation holds.

    Parameters
    ----------
    law : sympy relation
        A relation between expressions, or an equation between matrices.

    Returns
    -------
    sympy expression or matrix
        For an equation, an expanded numerator over a product of denominators, nan if one of these is zero.
        For an inequality, the factored difference.

    Raises
    ------
    TypeError
        If `law` is not a relation. SymPy evaluates relations that it can decide at once to true or false;
        build them with ``evaluate=False``.

    Notes
    -----
    The cost is that of expanding the numerator, which grows with the product of the numbers of terms in all
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
    """Whether SymPy proves a relation; the module's docstring defines what counts as a proof.

    Parameters
    ----------
    law : sympy relation
        As for `residual`.

    Returns
    -------
    bool
        True is a proof. False disproves an equation between rational functions; for other laws it means only
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
        # Split sums, take out factors that do not depend on the index, and give every index its standard
        # name.
        expression = sp.factor_terms(sp.expand(expression)).as_dummy()
    numerator, denominator = sp.fraction(sp.together(expression))
    if any(_expanded(factor) == 0 for factor in sp.Mul.make_args(denominator)):
        return sp.nan
    return _expanded(numerator) / denominator


def _expanded(expression: sp.Expr) -> sp.Expr:
    """Sum of monomials by ring arithmetic: many times faster than `sympy.expand`, and equally exact."""
    indeterminates = sorted(_indeterminates(expression), key=sp.default_sort_key)
    if not indeterminates:
        return sp.expand(expression)
    polynomials, *_ = sp.ring(indeterminates, sp.QQ)
    return polynomials.from_expr(expression).as_expr()


def _indeterminates(expression: sp.Expr) -> set[sp.Expr]:
    """The generators in which the expression is a polynomial."""
    if expression.is_Add or expression.is_Mul:
        return set().union(*map(_indeterminates, expression.args))
    if expression.is_Pow and expression.exp.is_Integer and expression.exp > 1:
        return _indeterminates(expression.base)
    return set() if expression.is_Rational else {expression}


@dataclass(frozen=True)
class Laws(Mapping[str, sp.Rel]):
    """Laws by name; notebooks show them as formulas.

    Examples
    --------
    >>> from tokentree.symbolic import gibbs_duhem
    >>> laws = gibbs_duhem(2, 2)
    >>> list(laws)
    ['response', 'reciprocity', 'Gibbs-Duhem', 'conservation']
    >>> laws.proved
    True
    """

    laws: dict[str, sp.Rel]

    @property
    def proved(self) -> bool:
        """Whether SymPy proves all of the laws."""
        return all(map(proved, self.laws.values()))

    def __getitem__(self, name: str) -> sp.Rel:
        return self.laws[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.laws)

    def __len__(self) -> int:
        return len(self.laws)

    def _repr_latex_(self) -> str:
        return latex_lines((rf"\text{{{name}:}}\quad {sp.latex(law)}") for name, law in self.laws.items())


def latex_lines(lines: Iterable[str]) -> str:
    """Formulas one below another, as notebooks show them."""
    return r"$\displaystyle\begin{gathered}" + r" \\ ".join(lines) + r"\end{gathered}$"
