"""The proofs: against closed forms written here, against exact fractions, and with laws that are false."""

import math
from fractions import Fraction
from inspect import unwrap

import mpmath
import numpy as np
import pytest
import sympy as sp
from hypothesis import assume, given, settings, strategies as st
from tests.exact import overlaps

from tokentree import (
    ParetoMass,
    elasticity,
    entropy,
    published_form as published_mixture,
    symbolic,
    three_dataset_form as three_dataset_mixture,
)
from tokentree.mixtures import Mixture
from tokentree.symbolic import (
    a,
    covariance_form,
    euler,
    gibbs_duhem,
    hooke,
    k,
    l,
    leaf_laws,
    m,
    one_sign_decides,
    pareto_self_rate,
    proved,
    published_rates,
    residual,
    three_dataset_rates,
)
from tokentree.theorem import published_derivatives as float_closed_form

SHAPES = [(1, 1), (1, 3), (2, 2), (3, 2), (2, 3)]
LARGE = [pytest.param(*shape, marks=pytest.mark.slow) for shape in ((3, 3), (3, 4), (4, 2))]

positive = st.fractions(min_value=Fraction(1, 1000), max_value=1000, max_denominator=1000)


def equation(left, right):
    return sp.Eq(left, right, evaluate=False)


def rational(fraction):
    return sp.Rational(fraction.numerator, fraction.denominator)


def fraction(number):
    assert number.is_Rational
    return Fraction(int(number.p), int(number.q))


# The judge.


def test_residual_is_the_normal_form_of_the_difference():
    x, y = sp.symbols("x y", positive=True)
    assert residual(equation((x + y) ** 3, x**3 + 3 * x**2 * y + 3 * x * y**2)) == y**3
    assert residual(equation(1 / x, 1 / y)) == (y - x) / (x * y)
    assert residual(sp.Ge((x - y) ** 2, 0, evaluate=False)) == (x - y) ** 2
    assert residual(equation(sp.ImmutableMatrix([x, y]), sp.ImmutableMatrix([x, x]))) == sp.Matrix([0, y - x])
    assert residual(equation(sp.Integer(3), 2)) == 1


expressions = st.recursive(
    st.sampled_from([*sp.symbols("x y z", positive=True), *map(sp.Integer, (-2, 1, 3))]),
    lambda inner: (
        st.builds(lambda op, u, v: op(u, v), st.sampled_from([sp.Add, sp.Mul]), inner, inner)
        | inner.filter(lambda u: u != 0).map(lambda u: 1 / u)
    ),
    max_leaves=8,
)


@given(expressions, expressions, expressions)
def test_ring_laws_are_proved_and_their_negations_are_not(u, v, w):
    left, right = u * (v + w), sp.factor(u * v) + sp.together(u * w)
    assume(residual(equation(left, 0)) is not sp.nan)
    assume(not right.has(sp.zoo, sp.nan))
    assert proved(equation(left, right))
    assert not proved(equation(left, right + 1))


def test_nothing_is_proved_of_a_quotient_by_zero():
    x, y = sp.symbols("x y", positive=True)
    nothing = (x + y) ** 2 - x**2 - 2 * x * y - y**2
    assert residual(equation(x / nothing, y)) is sp.nan
    assert not proved(equation(nothing / nothing**2, nothing / nothing**2 + x))


def test_logarithms_are_split_only_where_assumptions_allow():
    x, y, z = sp.Symbol("x", positive=True), sp.Symbol("y", positive=True), sp.Symbol("z")
    assert proved(equation(sp.log(x / y), sp.log(x) - sp.log(y)))
    assert not proved(equation(sp.log(z**2), 2 * sp.log(z)))


def test_inequalities_follow_from_assumptions_or_not_at_all():
    x, y = sp.symbols("x y", positive=True)
    assert proved(sp.Gt(x * y + x, x * y, evaluate=False))
    assert not proved(sp.Gt(x, y, evaluate=False))
    assert not proved(sp.Lt(x, 0, evaluate=False))
    assert proved(sp.Ge(x**2 + y**2, 2 * x * y, evaluate=False))
    assert not proved(sp.Gt(x**2 + y**2, 2 * x * y, evaluate=False))


@pytest.mark.parametrize("law", [sp.true, sp.Eq(1, 1), sp.Symbol("x")])
def test_a_law_is_a_relation(law):
    with pytest.raises(TypeError, match=r"law = \w+: must be a SymPy relation, built with evaluate=False"):
        unwrap(residual)(law)


# Theorem 4.2.


def closed_forms(m):
    """theory.md, section 4: gamma_p', gamma_a', gamma_t', r."""
    total = k + 1 + l
    return (
        -(1 - (m - 1) * l) / ((k + m * l) * total),
        1 / total,
        1 / total - m / (k + m * l),
        (1 + m * l / k) / (1 - (m - 1) * l),
    )


def derived(form):
    return form.dgamma_pretrain, form.dgamma_align, form.dgamma_perturb, form.ratio


@pytest.mark.parametrize("parts", [m, 3, 4, 5, 17, 1000])
def test_published_form(parts):
    form = published_rates(parts)
    for found, closed in zip(derived(form), closed_forms(parts), strict=True):
        assert proved(equation(found, closed))
    assert form.dgamma_align.is_positive
    assert form.condition == (l < 1 / (sp.sympify(parts) - 1))
    assert form.ratio_small_l == 1
    assert proved(equation(form.ratio_large_k, 1 / (1 - (parts - 1) * l)))
    assert proved(form.conservation)


@pytest.mark.parametrize("parts", [m, 3])
def test_published_form_with_a_wrong_count_is_refuted(parts):
    for found, closed in zip(derived(published_rates(parts)), closed_forms(parts + 1), strict=True):
        assert proved(equation(found, closed)) == (closed == 1 / (k + 1 + l))


@pytest.mark.parametrize("parts", range(3, 9))
def test_symbolic_number_of_parts_specialises(parts):
    general, special = published_rates(), published_rates(parts)
    for one, other in zip(derived(general), derived(special), strict=True):
        assert proved(equation(one.subs(m, parts), other))
    assert general.condition.subs(m, parts) == special.condition
    for name in ("rate_pretrain", "rate_align", "rate_perturb"):
        assert proved(equation(getattr(general, name).subs(m, parts).doit(), getattr(special, name).doit()))


def test_the_number_of_parts_is_checked():
    with pytest.raises(ValueError, match="parts = 2: must be an integer >= 3"):
        published_rates(2)
    with pytest.raises(TypeError, match="parts = n: must be an integer >= 3"):
        unwrap(published_rates)(sp.Symbol("n"))


def block_parts(counts):
    """Rows with the given counts on disjoint supports."""
    widths = np.cumsum([0, *map(len, counts)])
    rows = np.zeros((len(counts), widths[-1]), dtype=np.int64)
    for row, part, start in zip(rows, counts, widths, strict=False):
        row[start : start + len(part)] = part
    return rows


part_counts = st.lists(st.lists(st.integers(1, 99), min_size=1, max_size=3), min_size=3, max_size=6)


@given(part_counts, positive, positive)
def test_published_form_is_exact_on_fractions(counts, size, growth):
    parts = len(counts)
    mixture = published_mixture(block_parts(counts), k=size, l=growth)
    sizes = (size, Fraction(1), growth)
    overlap = overlaps(mixture.rows.values, sizes)
    at = {k: rational(size), l: rational(growth)}
    form = published_rates(parts)
    expected = [(1 - overlap[i][2]) / sum(sizes) for i in range(3)]
    assert [fraction(found.subs(at)) for found in derived(form)[:3]] == expected

    decided = elasticity(mixture, base=math.e)
    assert bool(form.condition.subs(at)) == decided.holds == (growth < Fraction(1, parts - 1))
    # Both are decided exactly or by sums of like terms, so to the last digits.
    assert decided.dgamma_pretrain == pytest.approx(float(expected[0]), rel=1e-12, abs=0)
    assert decided.dgamma_align == pytest.approx(float(expected[1]), rel=1e-12, abs=0)

    closed = float_closed_form(parts, float(size), float(growth), base=math.e)
    # k and l are rounded on the way in: 1 - (m - 1) l is off by some units of (m - 1) l, the rest of itself.
    unit = 2.0**-52
    off = unit * float(8 * abs(expected[0]) + 4 * parts * growth / ((size + parts * growth) * sum(sizes)))
    assert abs(float(closed.dgamma_pretrain) - float(expected[0])) <= off
    assert float(closed.dgamma_align) == pytest.approx(float(expected[1]), rel=8 * unit, abs=0)


def test_rates_of_the_published_form_are_the_rates():
    counts = [[5, 2], [3], [1, 1, 4], [7, 9]]
    mixture = published_mixture(block_parts(counts), k=9, l=Fraction(1, 3))
    form = published_rates(4)
    h = {j: float(entropy(np.array(part) / sum(part), base=math.e)) for j, part in enumerate(counts, 1)}
    entropies = {sp.IndexedBase("h", real=True)[j]: value for j, value in h.items()}
    rates = [
        rate.doit().subs({k: 9, l: sp.Rational(1, 3)}).subs(entropies)
        for rate in (form.rate_pretrain, form.rate_align, form.rate_perturb)
    ]
    np.testing.assert_allclose([float(rate) for rate in rates], mixture.rates(math.e), rtol=1e-13)


def test_three_disjoint_datasets_never_show_the_signs():
    form = three_dataset_rates()
    total = k + 1 + l
    closed = 1 / total, 1 / total, 1 / total - 1 / l, -1 / k
    for found, right in zip(derived(form), closed, strict=True):
        assert proved(equation(found, right))
        assert not proved(equation(found, 2 * right))
    assert form.dgamma_pretrain.is_positive
    assert form.condition is sp.false
    assert (form.ratio_small_l, form.ratio_large_k) == (-1 / k, 0)
    assert proved(form.conservation)


def test_three_datasets_with_the_perturbation_like_the_first_always_do():
    form = three_dataset_rates(alike=True)
    total = k + 1 + l
    closed = -1 / ((k + l) * total), 1 / total, -1 / ((k + l) * total), (k + l) / k
    for found, right in zip(derived(form), closed, strict=True):
        assert proved(equation(found, right))
        assert not proved(equation(found, 2 * right))
    assert form.dgamma_pretrain.is_negative
    assert form.dgamma_align.is_positive
    assert form.condition is sp.true
    assert form.ratio_small_l == form.ratio_large_k == 1
    assert proved(form.conservation)


@given(st.booleans(), positive, positive)
def test_three_dataset_form_is_exact_on_fractions(alike, size, growth):
    rows = block_parts([[2, 3], [1, 4], [5]])
    if alike:
        rows[2] = rows[0]
    mixture = three_dataset_mixture(rows, k=size, l=growth)
    sizes = (size, Fraction(1), growth)
    overlap = overlaps(rows, sizes)
    form = three_dataset_rates(alike)
    at = {k: rational(size), l: rational(growth)}
    expected = [(1 - overlap[i][2]) / sum(sizes) for i in range(3)]
    assert [fraction(found.subs(at)) for found in derived(form)[:3]] == expected
    assert elasticity(mixture).holds is alike is bool(form.condition)


# Joint compression.


@pytest.mark.parametrize(("N", "M"), SHAPES + LARGE)
def test_laws_of_joint_compression(N, M):
    assert euler(N, M).proved
    assert gibbs_duhem(N, M).proved
    assert proved(covariance_form(N, M))


def three(values):
    return st.lists(values, min_size=3, max_size=3)


@pytest.mark.slow
@given(three(three(st.integers(1, 99))), three(positive))
@settings(max_examples=8)
def test_both_sides_are_exact_on_fractions(rows, sizes):
    overlap = overlaps(rows, sizes)
    expected = [[(1 - entry) / sum(sizes) for entry in row] for row in overlap]
    at = dict(zip(sp.symbols("n_1:4", positive=True), map(rational, sizes), strict=True))
    for i, row in enumerate(rows):
        for x in range(2):
            at[sp.Symbol(f"p_{{{i + 1},{x + 1}}}", positive=True)] = sp.Rational(row[x], sum(row))
    laws = gibbs_duhem(3, 3)
    for law in laws["response"], covariance_form(3, 3):
        for side in (law.lhs, law.rhs):
            assert [[fraction(v) for v in row] for row in side.subs(at).tolist()] == expected
    assert laws["conservation"].lhs.subs(at) == sp.zeros(1, 3)
    scale = np.abs(np.array(expected, dtype=float)).max()
    response = Mixture(rows, sizes).response(math.e)
    np.testing.assert_allclose(response, np.array(expected, dtype=float), rtol=0, atol=1e-12 * scale)


def test_wrong_laws_of_joint_compression_are_refuted():
    sizes, p, total, _, rates, overlap = symbolic.laws._symbols(2, 2)
    response = rates.jacobian(sizes)
    entropies = -sp.Matrix([sum(v * sp.log(v) for v in p.row(i)) for i in range(2)])
    laws = euler(2, 2)
    # The printed rate is an entropy; it is neither the gradient nor does it obey Euler's identity.
    assert not proved(equation((sizes.T * entropies)[0], laws["Euler"].rhs))
    assert not proved(equation(laws["gradient"].lhs, entropies))
    # Rates are not homogeneous of degree 1, and moves do not add up without the sizes.
    assert not proved(equation(response * sizes, rates))
    assert not proved(equation(sp.ones(1, 2) * response, sp.zeros(1, 2)))
    assert not proved(equation(response, (sp.ones(2) + overlap) / total))
    assert not proved(equation(covariance_form(2, 2).lhs, -covariance_form(2, 2).rhs))
    skewed = sp.ImmutableMatrix([[response[0, 0], 2 * response[0, 1]], response[1, :]])
    assert not proved(equation(skewed, skewed.T))


def test_conservation_needs_normalised_rows():
    sizes, p, total, _, _, _ = symbolic.laws._symbols(2, 2)
    loose = p.subs({p[0, 1]: sp.Symbol("z", positive=True)})
    q = loose.T * sizes / total
    response = (-loose * q.applyfunc(sp.log)).jacobian(sizes)
    assert proved(equation(response * sizes, sp.zeros(2, 1)))
    assert not proved(equation(sizes.T * response, sp.zeros(1, 2)))


@pytest.mark.parametrize("function", [euler, gibbs_duhem, covariance_form])
def test_numbers_of_datasets_and_leaves_are_checked(function):
    with pytest.raises(ValueError, match="N = 0: must be an integer >= 1"):
        function(0, 2)
    with pytest.raises(ValueError, match="M = 0: must be an integer >= 1"):
        function(2, 0)


def test_laws_at_a_leaf_hold_for_symbolic_numbers_of_datasets():
    laws = leaf_laws()
    assert laws.proved
    assert {str(s) for s in laws["conservation"].free_symbols} >= {"N", "t", "x"}
    for name, law in laws.items():
        assert not proved(equation(law.lhs, law.rhs + 1)), name
        assert law.rhs == 0 or not proved(equation(law.lhs, 2 * law.rhs)), name
    # Away from the sum over leaves the conservation law has a remainder.
    assert not proved(equation(laws["conservation"].lhs, 0))


@pytest.mark.parametrize("number", [2, 3])
def test_laws_at_a_leaf_agree_with_written_out_sums(number):
    """Sums over N = 2, 3 datasets written out, t = 1: the left side is a derivative of a plain function."""
    N, i, t, x = sp.symbols("N i t x", integer=True, positive=True)
    n, p = sp.IndexedBase("n", positive=True), sp.IndexedBase("p", positive=True)
    datasets = range(1, number + 1)
    sizes, masses = (sp.symbols(f"{name}1:{number + 1}", positive=True) for name in "np")
    plain = {n[j]: sizes[j - 1] for j in datasets} | {p[j, x]: masses[j - 1] for j in datasets}
    length = -sp.log(sum(u * v for u, v in zip(sizes, masses, strict=True)) / sum(sizes))
    moves = sum(u * v * sp.diff(length, sizes[0]) for u, v in zip(sizes, masses, strict=True))
    cost = sum(u * v * length for u, v in zip(sizes, masses, strict=True))
    for name, expected in ("conservation", moves), ("Euler", cost):
        written = leaf_laws()[name].lhs.subs({N: number, t: 1, i: 1}).doit().xreplace(plain)
        assert proved(equation(written, expected)), name


# Three datasets.


def test_one_sign_decides():
    assert one_sign_decides().proved


def test_one_sign_does_not_decide_without_concavity():
    free = sp.Symbol("free", real=True)
    for name in ("alignment", "ratio"):
        law = one_sign_decides()[name]
        concave = sp.Symbol(r"\gamma_t'", nonpositive=True)
        assert law.has(concave)
        assert not proved(law.func(law.lhs.xreplace({concave: free}), law.rhs, evaluate=False))


# Pareto.


def test_pareto_self_rate():
    law = pareto_self_rate()
    assert proved(law)
    assert not proved(equation(law.lhs, sp.log((a + 1) / a) + 1 / a))
    assert not proved(equation(law.lhs, sp.log(a / (a + 1)) - 1 / a))


@pytest.mark.parametrize("alpha", ["1.25", "2.5", "4", "50"])
def test_pareto_self_rate_is_the_integral(alpha):
    exact = sp.Rational(alpha)
    law = pareto_self_rate()
    with mpmath.workdps(40):
        big = mpmath.mpf(alpha)
        least = (big - 1) / big
        # y = x_m e^(w / (alpha - 1)) leaves e^-w, so that one breakpoint list serves all exponents.
        expected = -mpmath.quad(
            lambda w: (mpmath.log(least) + w / (big - 1)) * mpmath.exp(-w), [0, 1, 5, 20, 100, mpmath.inf]
        )
        for side in (law.lhs, law.rhs):
            assert abs(mpmath.mpf(sp.N(side.subs(a, exact - 1), 40)) / expected - 1) < mpmath.mpf("1e-25")
    assert float(law.rhs.subs(a, exact - 1)) == pytest.approx(
        ParetoMass(float(alpha)).normalized_self_rate(math.e), rel=1e-14
    )


# Springs.


def test_hooke():
    laws = hooke()
    assert laws.proved
    for name, law in laws.items():
        assert not proved(equation(law.lhs, law.rhs + 1)), name
    n1, n2, k1, k2 = sp.symbols("n_1 n_2 k_1 k_2", positive=True)
    p1, p2 = sp.symbols("p_1 p_2", real=True)
    # A spring's pull is not its energy, the mixture is not the midpoint, and series is not parallel.
    rest = laws["rest"].lhs
    assert not proved(equation(n1 * (rest - p1) ** 2, n2 * (rest - p2) ** 2))
    assert not proved(equation(rest, (p1 + p2) / 2))
    assert not proved(equation(laws["stiffness"].lhs, k1 + k2))
    assert not proved(equation(laws["first"].lhs, k2))


def test_the_springs_rest_where_the_mixture_is():
    laws = hooke()
    mixture = Mixture([[3, 1], [1, 7]], sizes=[5, 2])
    at = dict(zip(sp.symbols("n_1 n_2", positive=True), (5, 2), strict=True))
    at |= dict(zip(sp.symbols("p_1 p_2", real=True), (sp.Rational(3, 4), sp.Rational(1, 8)), strict=True))
    for name in ("rest", "code"):
        assert float(laws[name].lhs.subs(at)) == pytest.approx(mixture.joint[0], rel=1e-15)


# Notebooks.


def test_results_are_relations_and_render_as_formulas():
    for laws in euler(2, 2), gibbs_duhem(2, 2), leaf_laws(), one_sign_decides(), hooke():
        shown = laws._repr_latex_()
        assert len(laws) == len(list(laws)) == shown.count(r"\text{") > 0
        assert all(isinstance(law, sp.Rel) and name in shown for name, law in laws.items())
    for form in published_rates(), three_dataset_rates(), three_dataset_rates(alike=True):
        shown = form._repr_latex_()
        assert shown.count(r"\\") == 9
        assert r"\iff" in shown
    for shown in (published_rates()._repr_latex_(), hooke()._repr_latex_()):
        assert shown.startswith(r"$\displaystyle\begin{gathered}")
        assert shown.endswith(r"\end{gathered}$")
        assert shown.count("{") == shown.count("}")
    assert pareto_self_rate()._repr_latex_().startswith("$")
