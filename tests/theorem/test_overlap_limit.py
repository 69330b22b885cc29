"""The limit l* on the perturbation where parts overlap: against rationals, and the signs on either side."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, example, given, strategies as st

from tokentree.pareto import sign_map
from tokentree.plotting import plot_sign_map
from tokentree.theorem import elasticity, overlap_limit, published_form
from tokentree.trees import TokenTree

EYE = np.eye(4, dtype=int)


@st.composite
def tables(draw):
    """Counts of three to five parts over up to six leaves."""
    m, width = draw(st.integers(3, 5)), draw(st.integers(2, 6))
    rows = st.lists(st.integers(0, 9), min_size=width, max_size=width).filter(any)
    parts = draw(st.lists(rows, min_size=m, max_size=m))
    used = [x for x in range(width) if any(row[x] for row in parts)]
    return [[row[x] for x in used] for row in parts]


class Exact:
    """A_at and A_tt - 1 of the definition, and the size of the terms that are summed."""

    def __init__(self, parts):
        p = [[Fraction(x, sum(row)) for x in row] for row in parts]
        self.a, self.t = p[1:3]
        self.mean = [sum(column) / len(p) for column in zip(*p, strict=True)]
        self.of_align = sum(a * t / q for a, t, q in zip(self.a, self.t, self.mean, strict=True))
        self.own = sum(t * t / q for t, q in zip(self.t, self.mean, strict=True)) - 1
        deviations = zip(self.a, self.t, self.mean, strict=True)
        self.scale = sum(abs((a - q) * (t - q)) / q for a, t, q in deviations)

    @property
    def limit(self):
        return (1 - self.of_align) / self.own

    def enough(self, l):
        """A k from which on the signs fail, for an l beyond the limit."""
        square = sum(t * ((a + l * t) / q) ** 2 for a, t, q in zip(self.a, self.t, self.mean, strict=True))
        return math.ceil(square / (self.of_align + l * (self.own + 1) - 1 - l))


@given(tables())
@example([[9, 1, 1], [1, 1, 1], [1, 1, 2]])
def test_it_is_that_of_the_definition(parts):
    exact = Exact(parts)
    found = overlap_limit(parts)
    if exact.own == 0:
        assert found == math.inf or (exact.a == exact.mean and math.isnan(found))
        return
    # As accurate as the response, whose entries are sums of terms of either sign.
    slack = 1e-13 * (exact.scale + abs(exact.limit) * exact.own)
    assert abs(Fraction(found) - exact.limit) * exact.own <= slack
    trees = [
        TokenTree.from_sequences([[x] for x in range(len(row))], row, alphabet_size=len(row)) for row in parts
    ]
    assert overlap_limit(trees) == found


@given(tables(), st.fractions(Fraction(1, 100), 2))
def test_the_signs_turn_at_it(parts, away):
    exact = Exact(parts)
    assume(exact.own > 0)
    below, beyond = exact.limit - away, max(exact.limit, 0) + away
    if below > 0:
        for k in (1, 10, 10**6, 10**12):
            assert elasticity(published_form(parts, k, below)).holds
    for k in (exact.enough(beyond), 10 * exact.enough(beyond)):
        found = elasticity(published_form(parts, k, beyond))
        assert (found.certified, found.holds) == (True, False)


def test_parts_for_which_no_perturbation_is_small_enough():
    # D_a is nearer to D_t than to the other parts.
    parts = [[9, 1, 0], [1, 4, 5], [1, 5, 4]]
    assert overlap_limit(parts) < 0
    exact = Exact(parts)
    for l in (Fraction(1, 10**9), Fraction(1, 100), 1):
        assert elasticity(published_form(parts, exact.enough(l), l)).holds is False


@pytest.mark.parametrize("m", [3, 4])
def test_disjoint_parts_and_one_that_is_their_mean(m):
    assert overlap_limit(EYE[:m]) == pytest.approx(1 / (m - 1), rel=1e-15)
    assert overlap_limit([[2, 0], [0, 2], [1, 1]]) == math.inf
    assert math.isnan(overlap_limit([[1, 1], [1, 1], [1, 1]]))


@pytest.mark.parametrize(
    ("parts", "error", "message"),
    [
        (EYE[:2], ValueError, "parts has 2 rows: the published form needs at least 3"),
        ([[1], [0], [1]], ValueError, r"parts\[1\] sums to 0"),
        (3, ValueError, r"parts = 3: must be \(m, M\), or m trees"),
    ],
)
def test_bad_parts(unchecked, parts, error, message):
    with pytest.raises(error, match=message):
        overlap_limit(parts)


def test_the_map_of_signs_has_it_as_a_line():
    found = sign_map(np.geomspace(1, 1e6, 5), np.geomspace(0.01, 10, 9)[:, None], parts=5)
    assert found.limit == 1 / 4
    (line,) = plot_sign_map(found).get_lines()
    assert set(line.get_ydata()) == {1 / 4}
    (line,) = plot_sign_map(found, "l", "k").get_lines()
    assert line.get_xdata()[0] == 1 / 4
    restated = sign_map([1, 10, 100], [[0.1], [1]], form="three-dataset")
    assert math.isnan(restated.limit)
    assert not plot_sign_map(restated).get_lines()
    over = sign_map([1, 10, 100], 0.1, [[2], [3]])
    assert not plot_sign_map(over, "k", "alpha").get_lines()
