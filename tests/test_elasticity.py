import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokentree.elasticity import (
    elasticity,
    published_closed_form,
    published_form,
    three_dataset_form,
)
from tokentree.mixture import BLOCK, Mixture

U = 2.0**-53
DISJOINT = [[1, 0, 0], [0, 1, 0], [0, 0, 1]]


def exact_excess(rows, sizes, i, t):
    """1 - S_it from the definition, in Fractions."""
    totals = [sum(map(Fraction, row)) for row in rows]
    p = [[Fraction(c) / total for c in row] for row, total in zip(rows, totals, strict=True)]
    n = list(map(Fraction, sizes))
    overlap = Fraction(0)
    for x in range(len(rows[0])):
        q = sum(s * row[x] for s, row in zip(n, p, strict=True)) / sum(n)
        if q:
            overlap += p[i][x] * p[t][x] / q
    return 1 - overlap


def sign(value):
    return (value > 0) - (value < 0)


def check_against_rationals(rows, sizes, found):
    """Proved signs are the true ones; `holds` and `certified` follow from them."""
    truth = [exact_excess(rows, sizes, i, 2) for i in (0, 1)]
    for decided, value in zip(found.signs, truth, strict=True):
        assert decided is None or decided == sign(value)
    assert found.certified == (None not in found.signs)
    if found.holds is not None:
        assert found.holds == (truth[0] < 0 < truth[1])
    return truth


row = st.lists(st.integers(0, 12), min_size=5, max_size=5).filter(any)
float_row = st.lists(st.floats(0, 1), min_size=5, max_size=5).filter(lambda r: sum(r) > 1e-3).map(
    lambda r: [x / math.fsum(r) for x in r]
)
size = st.one_of(
    st.integers(1, 20),
    st.sampled_from([1, 10**15, Fraction(1, 3), 0.1, 1e12]),
    st.fractions(Fraction(1, 50), 100, max_denominator=50),
)
sizes = st.lists(size, min_size=3, max_size=3)


# Certified signs


@given(st.lists(row, min_size=3, max_size=3), sizes)
def test_integer_counts_are_always_decided_and_rightly(rows, sizes):
    found = elasticity(Mixture(rows, sizes), base=math.e)
    truth = check_against_rationals(rows, sizes, found)
    assert found.certified
    weight = Fraction(sizes[1]) / sum(map(Fraction, sizes))
    for derivative, value in zip((found.dgamma_pretrain, found.dgamma_align), truth, strict=True):
        assert sign(derivative) == sign(value)
        if value == 0:
            assert derivative == 0.0
        elif "floating" not in found.certificate:
            assert derivative == pytest.approx(float(weight * value), rel=8 * U, abs=0)


@given(st.lists(float_row, min_size=3, max_size=3), sizes)
def test_float_rows_are_decided_on_their_exact_reading(rows, sizes):
    found = elasticity(Mixture(rows, sizes))
    check_against_rationals(rows, sizes, found)
    assert found.certified


@given(
    st.lists(row, min_size=3, max_size=3),
    st.integers(1, 30),
    st.sampled_from([0, 1, -1]),
    st.integers(10, 120),
)
def test_signs_next_to_the_root_are_never_wrong(parts, k, side, digits):
    # S_pt - 1 falls as l grows; bisect for the root and then step off it by ever less than a float resolves.
    rows = published_form(parts, k, 1).rows.values.tolist()

    def excess(l):  # noqa: E741
        return exact_excess(rows, (k, 1, l), 0, 2)

    low, high = Fraction(1, 2**20), Fraction(2**20)
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if excess(middle) < 0 else (low, middle)
    l = low * (1 + Fraction(side, 10**digits))  # noqa: E741
    if l <= 0:
        return
    found = elasticity(Mixture(rows, (k, 1, l)))
    check_against_rationals(rows, (k, 1, l), found)
    assert found.certified


@pytest.mark.parametrize("digits", [3, 9, 12, 14, 16, 30, 100, 1000])
@pytest.mark.parametrize("side", [1, -1])
def test_either_side_of_one_half(digits, side):
    # Dense parts with proportional columns only within a part: the root is at 1/2 exactly.
    parts = np.zeros((3, 300), int)
    for i in range(3):
        parts[i, i::3] = np.arange(1, 101) + i
    l = Fraction(1, 2) + Fraction(side, 10**digits)  # noqa: E741
    found = elasticity(published_form(parts, 10**9, l))
    assert found.signs == (side, 1)
    assert found.certified
    assert found.certificate.startswith("pretrain: floating-point bound" if digits < 9 else "pretrain: ")
    margin = -2 * Fraction(side, 10**digits)
    expected = -margin / ((10**9 + 3 * l) * (10**9 + 1 + l))
    if digits < 300:
        # Beyond 10^-12 of cancellation the value comes from integers, to the last digits.
        rel = 1e-6 if digits < 9 else 1e-2 if "pretrain: floating" in found.certificate else 8 * U
        assert found.dgamma_pretrain == pytest.approx(float(expected) / math.log(2), rel=rel, abs=0)


def test_exact_zero_is_certified_as_zero():
    found = elasticity(published_form([[3, 1, 0, 0], [0, 0, 2, 0], [0, 0, 0, 7]], 1000, Fraction(1, 2)))
    assert (found.signs, found.holds, found.certified) == ((0, 1), False, True)
    assert found.dgamma_pretrain == 0.0
    assert found.ratio == math.inf
    assert found.certificate == "pretrain: exact rational; align: floating-point bound"
    # All alike: nothing moves.
    still = elasticity(Mixture([[1, 2]] * 3, [5, 1, 1]))
    assert still.signs == (0, 0)
    assert (still.dgamma_pretrain, still.dgamma_align) == (0.0, 0.0)
    assert math.isnan(still.ratio)


def crowd(leaves):
    """Rows whose columns are all different in direction, so that no early exact sum is possible."""
    rng = np.random.default_rng(3)
    return rng.integers(1, 1000, (3, leaves))


def test_integer_bound_decides_what_floats_cannot():
    rows = crowd(3000)
    p = published_form(rows, 7, 1).rows.values.tolist()
    low, high = Fraction(1, 100), Fraction(10)
    # A root of an algebraic function of l, found to 2^-60 with the module's own signs and then checked exactly.
    for _ in range(60):
        middle = (low + high) / 2
        signs = elasticity(published_form(rows, 7, middle)).signs
        low, high = (middle, high) if signs[0] == -1 else (low, middle)
    below, above = (elasticity(published_form(rows, 7, l)) for l in (low, high))
    assert below.signs[0] == -1
    assert above.signs[0] == 1
    assert "integer bound, 128 bits" in below.certificate
    assert exact_excess([r[:] for r in p], (7, 1, low), 0, 2) < 0 < exact_excess(p, (7, 1, high), 0, 2)


def test_a_root_too_costly_to_prove_is_left_undecided(monkeypatch):
    monkeypatch.setattr("tokentree.elasticity._EARLY_BITS", 0)
    monkeypatch.setattr("tokentree.elasticity._LAST_BITS", 1)
    half = published_form(DISJOINT, 10, Fraction(1, 2))
    found = elasticity(half)
    assert (found.signs, found.holds, found.certified) == ((None, 1), None, False)
    assert found.certificate == "pretrain: undecided at this precision; align: floating-point bound"
    # One proved sign can be enough to refuse the theorem, but not to certify both.
    turned = elasticity(half, pretrain=1, align=0)
    assert (turned.signs, turned.holds, turned.certified) == ((1, None), False, False)
    monkeypatch.setattr("tokentree.elasticity._INTEGER_LEAVES", 2)
    assert elasticity(half).signs == (None, 1)
    # The same root by the last resort: an exact sum after the integer bound has given up.
    monkeypatch.undo()
    monkeypatch.setattr("tokentree.elasticity._EARLY_BITS", 0)
    assert elasticity(half).signs == (0, 1)


def test_sloppy_rows_and_vanishing_counts_skip_the_float_bound():
    # Sums 3e-10 off one: read as given by floats, divided by their exact sums by the certificate.
    sloppy = np.array([[0.6, 0.2, 0.2 + 3e-10], [0.2, 0.6, 0.2], [0.2, 0.2, 0.6 - 3e-10]])
    found = elasticity(Mixture(sloppy, [10**12, 1, 1]))
    check_against_rationals(sloppy.tolist(), [10**12, 1, 1], found)
    assert found.certified
    tiny = [[10**400, 1, 0], [1, 1, 0], [0, 1, 10**400]]
    found = elasticity(Mixture(tiny, [5, 1, 1]))
    check_against_rationals(tiny, [5, 1, 1], found)
    assert found.certified
    assert "floating" not in found.certificate


@pytest.mark.parametrize("mass", [1e-300, 5e-324])
def test_faint_differences_have_certified_signs(mass):
    # Only the faint leaves differ. S_pt - 1 is about as small as they are.
    rows = [[1.0, mass, 0.0], [1.0, 0.0, mass], [1.0, mass, 0.0]]
    found = elasticity(Mixture(rows, [10**6, 1, 1]))
    check_against_rationals(rows, [10**6, 1, 1], found)
    assert found.signs == (-1, 1)
    assert found.holds


def test_many_blocks_are_certified_by_floats_alone():
    rng = np.random.default_rng(5)
    parts = rng.pareto(1.5, (3, 2 * BLOCK + 5)) + 1
    parts /= parts.sum(axis=1, keepdims=True)
    found = elasticity(published_form(parts, 1e9, 0.1))
    assert found.certificate == "pretrain: floating-point bound; align: floating-point bound"
    counted = elasticity(published_form(rng.integers(0, 9, (3, 2 * BLOCK + 5)), 1e9, 0.1))
    assert counted.certificate == "pretrain: floating-point bound; align: floating-point bound"


# The law and the definitions


@given(st.lists(row, min_size=4, max_size=4), st.lists(size, min_size=4, max_size=4), st.permutations(range(4)))
def test_conservation_law_among_others(rows, sizes, roles):
    mixture = Mixture(rows, sizes)
    p, a, t = roles[:3]
    found = elasticity(mixture, p, a, t, base=math.e)
    n = mixture.exact_sizes
    assert found.k == float(n[p] / n[a])
    assert found.l == float(n[t] / n[a])
    response = mixture.response(base=math.e)
    size_a = float(n[a])
    floats = "exact" not in found.certificate and "integer" not in found.certificate
    if floats:
        np.testing.assert_allclose(
            [found.dgamma_pretrain, found.dgamma_align, found.dgamma_perturb],
            size_a * response[[p, a, t], t],
            rtol=1e-9,
        )
    # With only these three, k gamma_p' + gamma_a' + l gamma_t' = 0; the truth of it is a rational identity.
    weight = [n[i] / n[a] for i in range(4)]
    assert sum(w * exact_excess(rows, sizes, i, t) for i, w in enumerate(weight)) == 0
    overlap = mixture.overlap()
    np.testing.assert_allclose(
        [found.overlap_pretrain, found.overlap_align], overlap[[p, a], t], rtol=64 * U, atol=0
    )


@given(st.lists(row, min_size=3, max_size=3), sizes)
def test_conservation_law_of_the_three(rows, sizes):
    found = elasticity(Mixture(rows, sizes), base=math.e)
    terms = [found.k * found.dgamma_pretrain, found.dgamma_align, found.l * found.dgamma_perturb]
    n = [Fraction(s) for s in sizes]
    # Each derivative is within (c + ...) of the scale w_a sum h_i h_t / q <= w_a (1 + 1 / w_t) of its terms; see the
    # bound in the module's docstring, with 200 u for its factor and h_i <= 2 max(p_i, q).
    w = [s / sum(n) for s in n]
    scale = float(sum(n[i] / n[1] * w[1] * h_bound(rows, n, i) for i in range(3)))
    assert abs(math.fsum(terms)) <= 200 * U * scale + 8 * U * sum(map(abs, terms))


def h_bound(rows, n, i):
    """Sum of h_i h_t / q over the leaves, t = 2, in Fractions."""
    total = sum(n)
    p = [[Fraction(c, sum(r)) for c in r] for r in rows]
    bound = Fraction(0)
    for x in range(len(rows[0])):
        q = sum(s * r[x] for s, r in zip(n, p, strict=True)) / total
        h = [sum(n[j] * (p[m][x] + p[j][x]) for j in range(3) if j != m) / total for m in (i, 2)]
        bound += h[0] * h[1] / q if q else 0
    return bound


@given(st.lists(row, min_size=3, max_size=3), sizes)
def test_sign_rule(rows, sizes):
    found = elasticity(Mixture(rows, sizes))
    for decided, overlap in zip(found.signs, (found.overlap_pretrain, found.overlap_align), strict=True):
        if abs(overlap - 1) > 1e-9:
            assert decided == sign(1 - overlap)


def test_names_units_and_tokens():
    rows, sizes = [[4, 1, 1, 0], [1, 3, 0, 1], [2, 1, 1, 5]], [10, 2, 3]
    mixture = Mixture(rows, sizes, names=["web", "chat", "spam"], depth=4)
    bits = elasticity(mixture, "web", "chat", "spam")
    assert bits == elasticity(mixture)
    nats = elasticity(mixture, base=math.e)
    token = elasticity(mixture, per="token")
    for name in ("dgamma_pretrain", "dgamma_align", "dgamma_perturb"):
        assert getattr(bits, name) == pytest.approx(getattr(nats, name) / math.log(2), rel=4 * U)
        assert getattr(bits, name) == pytest.approx(4 * getattr(token, name), rel=4 * U)
    assert bits.ratio == pytest.approx(token.ratio, rel=8 * U)
    assert (bits.k, bits.l) == (5.0, 1.5)
    other = elasticity(mixture, pretrain="spam", align=0, perturb="chat")
    expected = exact_excess(rows, sizes, 2, 1) * 10 / 15
    rescaled = other.dgamma_pretrain * math.log(2)
    assert rescaled == pytest.approx(float(expected), rel=200 * U)


# The published form


@pytest.mark.parametrize("l", ["1/1000", "1/10", "1/3", "49/100", "51/100", "3/5"])
@pytest.mark.parametrize("k", [10, 10**3, 10**6, 10**9, 10**12])
def test_published_closed_form_for_disjoint_parts(k, l):  # noqa: E741
    l = Fraction(l)  # noqa: E741
    parts = [[5, 3, 1, 0, 0, 0, 0], [0, 0, 0, 1, 1, 0, 0], [0, 0, 0, 0, 0, 2, 9]]
    found = elasticity(published_form(parts, k, l), base=math.e)
    form = published_closed_form(3, k, float(l), base=math.e)
    assert found.holds == (l < Fraction(1, 2))
    assert found.certified
    # Terms cancel by a factor of at most (1 + 2 l) / |1 - 2 l| <= 120; each is good to 60 u or so.
    cancel = 60 * float((1 + 2 * l) / abs(1 - 2 * l)) * U
    assert found.dgamma_align == pytest.approx(form.dgamma_align, rel=200 * U)
    assert found.dgamma_pretrain == pytest.approx(form.dgamma_pretrain, rel=4 * cancel + 200 * U, abs=0)
    assert found.ratio == pytest.approx(form.ratio, rel=4 * cancel + 200 * U)
    assert found.overlap_align == 0.0


@given(
    st.integers(3, 6),
    st.data(),
    st.fractions(Fraction(1, 100), 10**6, max_denominator=1000),
    st.fractions(Fraction(1, 1000), 2, max_denominator=1000),
)
def test_published_signs_turn_at_one_over_m_less_one(m, data, k, l):  # noqa: E741
    widths = data.draw(st.lists(st.integers(1, 3), min_size=m, max_size=m))
    rows, start = [], 0
    for width in widths:
        weights = data.draw(st.lists(st.integers(1, 40), min_size=width, max_size=width))
        rows.append([0] * start + weights + [0] * (sum(widths) - start - width))
        start += width
    mixture = published_form(rows, k, l)
    found = elasticity(mixture)
    assert found.signs == (-sign(1 - (m - 1) * l), 1)
    at_root = elasticity(published_form(rows, k, Fraction(1, m - 1)))
    assert at_root.signs == (0, 1)
    # The closed form, as an identity between rationals.
    excess = exact_excess(mixture.rows.values.tolist(), (k, 1, l), 0, 2) / (k + 1 + l)
    assert excess == -(1 - (m - 1) * l) / ((k + m * l) * (k + 1 + l))


def test_published_closed_form_broadcasts_and_its_limits():
    k, l = np.array([[10.0], [1e9]]), np.array([1e-12, 0.25, 0.5, 0.6])  # noqa: E741
    form = published_closed_form(3, k, l)
    assert form.ratio.shape == form.dgamma_align.shape == form.dgamma_pretrain.shape == (2, 4)
    assert (form.dgamma_pretrain[:, 2] == 0).all()
    assert (form.ratio[:, 2] == np.inf).all()
    assert (np.sign(form.dgamma_pretrain) == [-1, -1, 0, 1]).all()
    np.testing.assert_allclose(form.ratio[:, 0], 1, atol=1e-11)
    nats = published_closed_form(3, k, l, base=math.e)
    law = k * nats.dgamma_pretrain + nats.dgamma_align
    # gamma_t' from the law is what a lone part feels: -(k + 3) / ... ; for m = 3 it is -S_tt's share below zero.
    assert (law > 0).all()
    np.testing.assert_allclose(form.ratio, np.where(l == 0.5, np.inf, -form.dgamma_align / np.where(
        l == 0.5, 1, k * form.dgamma_pretrain) if True else 0), rtol=1e-12)


def test_section_4_2_example():
    # 10^9 tokens against 10^6: the inverse proportion is the ratio 1 in the published form.
    found = elasticity(published_form(DISJOINT, 1000, Fraction(1, 10**6)), base=math.e)
    assert found.dgamma_align / -found.dgamma_pretrain == pytest.approx(1000, rel=3e-6)


def test_published_form_keeps_counts_exact():
    mixture = published_form([[1, 2, 0], [0, 5, 0], [0, 1, 1]], 4, 0.5, depth=3)
    assert mixture.names == ("pretrain", "align", "perturb")
    assert mixture.depth == 3
    assert mixture.exact_sizes == (4, 1, Fraction(1, 2))
    mean = [Fraction(1, 9), Fraction(2, 9) + Fraction(1, 3) + Fraction(1, 6), Fraction(1, 6)]
    counts, total = mixture.rows.values[0].tolist(), mixture.rows.totals[0]
    assert [Fraction(c, total) for c in counts] == mean
    # Totals with a common multiple beyond int64.
    totals = [2**40 + 15, 2**41 + 27, 2**39 + 3]
    wide = published_form([[1, t - 1, 0] for t in totals], 4, 1)
    assert wide.rows.values.dtype == object
    expected = sum(Fraction(1, t) for t in totals) / 3
    assert Fraction(wide.rows.values[0, 0], wide.rows.totals[0]) == expected
    fractions = published_form([[Fraction(1, 3), Fraction(2, 3)], [1, 0], [0, 1]], 2, 1)
    assert fractions.rows.values.tolist() == [[4, 5], [1, 0], [0, 1]]
    floats = published_form(np.eye(3), 2, 1)
    np.testing.assert_allclose(floats.distributions[0], [1 / 3] * 3, rtol=2 * U)


# Three separate datasets


def test_three_disjoint_datasets_rise_alike():
    found = elasticity(three_dataset_form([[1, 2, 0, 0], [0, 0, 3, 0], [0, 0, 0, 4]], 1000, 0.25), base=math.e)
    assert found.dgamma_pretrain == pytest.approx(1 / 1001.25, rel=200 * U)
    assert found.dgamma_align == pytest.approx(1 / 1001.25, rel=200 * U)
    assert found.signs == (1, 1)
    assert found.holds is False


@pytest.mark.parametrize("k", [10, 10**6, 10**12])
def test_three_datasets_with_the_perturbation_like_the_pretraining(k):
    l = Fraction(1, 3)  # noqa: E741
    found = elasticity(three_dataset_form([[1, 2, 0], [0, 0, 3], [2, 4, 0]], k, l), base=math.e)
    assert found.holds
    assert found.certified
    assert found.dgamma_pretrain == pytest.approx(float(-1 / ((k + l) * (k + 1 + l))), rel=300 * U, abs=0)
    assert found.dgamma_align == pytest.approx(float(1 / (k + 1 + l)), rel=300 * U)
    assert found.ratio == pytest.approx(float((k + l) / k), rel=600 * U)


def test_independent_pareto_masses_reverse_both_signs():
    rng = np.random.default_rng(11)
    masses = rng.pareto(4, (3, 10**5)) + 1
    masses /= masses.sum(axis=1, keepdims=True)
    k = 100
    found = elasticity(three_dataset_form(masses, k, 0.01), base=math.e)
    assert found.signs == (1, -1)
    assert found.holds is False
    # Leading order: gamma_2' ~ -1 / (k (alpha^2 - 1)) with alpha = 4 here, 1 / k being small beside 1.
    assert found.dgamma_align * k == pytest.approx(-1 / (2 * 4), rel=0.2) or found.dgamma_align < 0


# Bad input


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda m: elasticity(m, 0, 0, 1), ValueError, "pretrain, align, perturb = 0, 0, 1: must be three different"),
        (lambda m: elasticity(m, perturb="D9"), ValueError, "perturb = 'D9': must be one of 'D1', 'D2', 'D3'"),
        (lambda m: elasticity(m, align=3), ValueError, "align = 3: must be below the number of datasets, 3"),
        (lambda m: elasticity(m, base=0.5), ValueError, "base = 0.5"),
        (lambda m: elasticity(m, per="token"), ValueError, "needs the depth of the joint tree"),
        (lambda m: elasticity(Mixture([[1], [1]], [1, 1])), ValueError, "perturb = 2: must be below"),
        (lambda m: published_form([[1, 0], [0, 1]], 1, 1), ValueError, "parts has 2 rows: .* at least 3"),
        (lambda m: published_form([[1, 0], [0, 1], [0, 0]], 1, 1), ValueError, r"parts\[2\] sums to 0"),
        (lambda m: published_form([[1, 0], [0, -1], [0, 1]], 1, 1), ValueError, r"parts\[1, 1\] = -1"),
        (lambda m: published_form(DISJOINT, "1", 1), TypeError, "k = '1': must be an int, a float or a Fraction"),
        (lambda m: published_form(DISJOINT, 1, math.inf), ValueError, "l = inf: must be finite"),
        (lambda m: published_form(DISJOINT, 1, 0), ValueError, r"l = 0: must be > 0"),
        (lambda m: three_dataset_form(DISJOINT, -1, 1), ValueError, r"k = -1: must be > 0"),
        (lambda m: three_dataset_form([[1], [1]], 1, 1), ValueError, "distributions has 2 rows: .* needs 3"),
        (lambda m: published_closed_form(2, 1, 1), ValueError, "parts = 2: must be an integer >= 3"),
        (lambda m: published_closed_form(3, [1, 0], 1), ValueError, r"k\[1\] = 0.0: must be finite and > 0"),
        (lambda m: published_closed_form(3, 1, math.nan), ValueError, "l = nan: must be finite and > 0"),
        (lambda m: published_closed_form(3, 1, 1, base=1), ValueError, "base = 1"),
    ],
)
def test_bad_input_is_refused_by_name(call, error, message):
    with pytest.raises(error, match=message):
        call(Mixture(DISJOINT, [1, 1, 1]))
