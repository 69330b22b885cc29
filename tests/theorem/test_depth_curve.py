"""Depth: exact monotonicity, the witnesses that single overlaps need not follow, and the curve itself."""

import math
from collections import Counter
from fractions import Fraction
from itertools import combinations, product

import matplotlib as mpl
import numpy as np
import pytest
from hypothesis import given, strategies as st
from matplotlib import pyplot as plt
from tests.drawing import labels
from tests.exact import joint, overlaps

from tokentree import Mixture, TokenTree, elasticity
from tokentree.plotting import plot_depth_curve
from tokentree.theorem import depth_curve

ZERO = Fraction(0)


def coarse(rows, cells):
    """Counts of the cells; cells[x] is the cell of leaf x."""
    return [
        [sum(c for c, cell in zip(row, cells, strict=True) if cell == j) for j in sorted(set(cells))]
        for row in rows
    ]


def psd(matrix):
    """All principal minors are nonnegative."""

    def determinant(rows):
        if not rows:
            return Fraction(1)
        return sum(
            (-1) ** j * rows[0][j] * determinant([row[:j] + row[j + 1 :] for row in rows[1:]])
            for j in range(len(rows))
        )

    n = len(matrix)
    return all(
        determinant([[matrix[i][j] for j in chosen] for i in chosen]) >= 0
        for size in range(1, n + 1)
        for chosen in combinations(range(n), size)
    )


@st.composite
def merged_counts(draw):
    n, m = draw(st.integers(1, 4)), draw(st.integers(2, 6))
    rows = [draw(st.lists(st.integers(0, 6), min_size=m, max_size=m).filter(any)) for _ in range(n)]
    sizes = draw(st.lists(st.fractions(Fraction(1, 9), 1000, max_denominator=9), min_size=n, max_size=n))
    cells = draw(st.lists(st.integers(0, 3), min_size=m, max_size=m))
    return rows, sizes, cells


@given(merged_counts())
def test_coarse_graining_shrinks_the_overlap_in_the_loewner_order(case):
    rows, sizes, cells = case
    fine, merged = overlaps(rows, sizes), overlaps(coarse(rows, cells), sizes)
    n = range(len(rows))
    within = [[fine[i][t] - merged[i][t] for t in n] for i in n]
    assert psd(within)
    assert psd([[merged[i][t] - 1 for t in n] for i in n])
    assert all(1 <= merged[i][i] <= fine[i][i] for i in n)
    assert all(within[i][t] ** 2 <= within[i][i] * within[t][t] for i, t in product(n, n))
    assert sum((merged[i][t] - 1) ** 2 for i, t in product(n, n)) <= sum(
        (fine[i][t] - 1) ** 2 for i, t in product(n, n)
    )
    if len(rows) == 2:
        assert 0 <= (1 - merged[0][1]) <= (1 - fine[0][1])


@given(merged_counts())
def test_what_is_lost_is_the_covariance_inside_cells(case):
    rows, sizes, cells = case
    fine, merged = overlaps(rows, sizes), overlaps(coarse(rows, cells), sizes)
    p, _, _, q = joint(rows, sizes)
    for i, t in product(range(len(rows)), repeat=2):
        inside = ZERO
        for cell in set(cells):
            leaves = [x for x, c in enumerate(cells) if c == cell and q[x]]
            mass = sum(q[x] for x in leaves)
            # Summed over pairs of leaves, a form that needs no mean.
            for x, y in combinations(leaves, 2):
                spread = [row[x] / q[x] - row[y] / q[y] for row in (p[i], p[t])]
                inside += q[x] * q[y] / mass * spread[0] * spread[1]
        assert fine[i][t] - merged[i][t] == inside


@given(merged_counts())
def test_rates_entropies_and_divergences_do_not_grow(case):
    # Every comparison of sums of logarithms of rationals is one of products of powers: exact.
    rows, sizes, cells = case
    counts = coarse(rows, cells)

    def products(rows):
        *_, q = joint(rows, sizes)
        for row in rows:
            used = [(count, mass) for count, mass in zip(row, q, strict=True) if count]
            likelihood = math.prod((mass**count for count, mass in used), start=Fraction(1))
            own = math.prod((Fraction(count, sum(row)) ** count for count, _ in used), start=Fraction(1))
            yield likelihood, own, own / likelihood

    for fine, merged in zip(products(rows), products(counts), strict=True):
        assert fine[0] <= merged[0]  # rate
        assert fine[1] <= merged[1]  # entropy
        assert fine[2] >= merged[2] >= 1  # divergence


def partitions(n):
    """Every assignment of n leaves to cells, in restricted-growth form."""
    grown = [[0]]
    for _ in range(n - 1):
        grown = [[*cells, j] for cells in grown for j in range(max(cells) + 2)]
    return grown


def compositions(total, cells):
    if cells == 1:
        yield (total,)
        return
    for first in range(total + 1):
        for rest in compositions(total - first, cells - 1):
            yield (first, *rest)


def moves(most):
    """Which moves of S_pt some three datasets of at most `most` responses in all show, sizes their counts."""
    shown = Counter()
    for total in range(3, most + 1):
        for counts in compositions(total, 3 * total):
            rows = [counts[i * total : (i + 1) * total] for i in range(3)]
            # Leaves in some fixed order, used ones first: the others are the same case again.
            columns = list(zip(*rows, strict=True))
            if not all(map(any, rows)) or columns != sorted(columns, reverse=True):
                continue
            before = overlaps(rows, [sum(row) for row in rows])[0][2]
            for cells in partitions(total):
                after = overlaps(coarse(rows, cells), [sum(row) for row in rows])[0][2]
                shown["leaves 1"] += before == 1 != after
                shown["moves away"] += (before - 1) * (after - 1) > 0 and abs(after - 1) > abs(before - 1)
                shown["crosses 1 from above"] += before > 1 > after
                shown["crosses 1 from below"] += before < 1 < after
    return {move for move, count in shown.items() if count}


def test_witnesses_are_the_smallest():
    assert moves(3) == {"crosses 1 from below"}
    assert moves(4) == {"crosses 1 from below", "leaves 1"}


WITNESSES = [
    (("01", "1", "00 01"), Fraction(1), Fraction(4, 3)),
    (("00 01", "1 1", "00"), Fraction(5, 4), Fraction(5, 3)),
    (("01 01", "00", "01 1"), Fraction(5, 6), Fraction(5, 8)),
    (("01", "1", "00"), Fraction(0), Fraction(3, 2)),
    (("01 01 1", "00", "01"), Fraction(10, 9), Fraction(5, 6)),
]


@pytest.mark.parametrize(("datasets", "deep", "shallow"), WITNESSES)
def test_witnesses_as_token_trees(datasets, deep, shallow):
    responses = [text.split() for text in datasets]
    trees = [TokenTree.from_sequences(each, depth=2) for each in responses]
    curve = depth_curve(trees)
    for depth, expected, place in ((2, deep, 1), (1, shallow, 0)):
        # The same in plain Python, from the responses.
        leaves = sorted({text[:depth] for each in responses for text in each})
        rows = [[sum(text[:depth] == leaf for text in each) for leaf in leaves] for each in responses]
        assert overlaps(rows, [len(each) for each in responses])[0][2] == expected
        assert curve.overlap[place, 0, 2] == pytest.approx(float(expected), rel=1e-15)
        assert curve.elasticities[place].signs[0] == (expected < 1) - (expected > 1)
    assert curve.holds == (shallow > 1, deep > 1)


@pytest.mark.parametrize(
    ("datasets", "holds"), [(WITNESSES[3][0], (True, False)), (WITNESSES[4][0], (False, True))]
)
def test_verdict_flips_whatever_the_size_of_pretraining(datasets, holds):
    trees = [TokenTree.from_sequences(text.split(), depth=2) for text in datasets]
    for k in (3, 1000, 10**12):
        assert depth_curve(trees, sizes=[k, 1, 1]).holds == holds


def test_entropy_gap_to_uniform_moves_either_way():
    def gap(row):
        mixture = Mixture([row], [1])
        return -mixture.normalized_rates()[0]

    assert gap([2, 1, 1]) > 0.08
    assert gap([2, 2]) == 0
    assert gap([1, 1, 1]) == pytest.approx(0, abs=1e-15)
    assert gap([1, 2]) > 0.08


TEXTS = ["the quick brown fox " * 30, "GOOD MORNING! HOW CAN I HELP? " * 10, "the brown quick fox " * 5]


@pytest.fixture(scope="module")
def trees():
    return [TokenTree.from_text(text, depth=12) for text in TEXTS]


def test_curve_is_the_mixture_at_each_depth(trees):
    depths, sizes = [3, 1, 12], [100, 3, Fraction(1, 2)]
    names = ["web", "chat", "new"]
    roles = {"pretrain": "web", "align": "new", "perturb": "chat"}
    curve = depth_curve(trees, depths, sizes=sizes, **roles, base=math.e, per="token", names=names)
    assert curve.depths.tolist() == depths
    for i, depth in enumerate(depths):
        mixture = Mixture.from_trees(trees, sizes, depth=depth, names=names)
        assert curve.leaves[i] == mixture.n_leaves
        np.testing.assert_array_equal(curve.rates[i], mixture.rates(math.e, per="token"))
        np.testing.assert_array_equal(
            curve.normalized_rates[i], mixture.normalized_rates(math.e, per="token")
        )
        np.testing.assert_array_equal(curve.response[i], mixture.response(math.e, per="token"))
        np.testing.assert_array_equal(curve.overlap[i], mixture.overlap())
        found = elasticity(mixture, **roles, base=math.e, per="token")
        assert curve.elasticities[i] == found
        assert curve.holds[i] is found.holds


def test_default_is_every_depth(trees):
    curve = depth_curve(trees)
    assert curve.depths.tolist() == list(range(1, 13))
    assert (np.diff(curve.leaves) >= 0).all()
    assert curve.rates.shape == curve.normalized_rates.shape == (12, 3)
    assert curve.response.shape == curve.overlap.shape == (12, 3, 3)


def test_bad_arguments(trees):
    with pytest.raises(ValueError, match=r"depths has shape \(0,\): must be one-dimensional and not empty"):
        depth_curve(trees, [])
    with pytest.raises(ValueError, match=r"depths has shape \(1, 1\)"):
        depth_curve(trees, [[1]])
    with pytest.raises(ValueError, match=r"depths\[1\] = 0: must be an integer >= 1"):
        depth_curve(trees, [1, 0])
    with pytest.raises(TypeError, match=r"depths\[0\] = 1.5"):
        depth_curve(trees, [1.5])
    cut = {name: tree.prune(3) for name, tree in zip("abc", trees, strict=True)}
    asked = r"depths\[0\] = 1000: trees\['a'\] is cut at depth 3, .* write sizes=\[1000, 10, 1\]"
    with pytest.raises(ValueError, match=asked):
        depth_curve(cut, [1000, 10, 1])
    with pytest.raises(ValueError, match="trees is empty"):
        depth_curve([])
    with pytest.raises(ValueError, match=r"mixture has 2 datasets: Theorem 4\.2 needs at least 3"):
        depth_curve(trees[:2])


def test_picture_shows_overlaps_and_verdicts():
    mpl.use("Agg")
    curve = depth_curve([TokenTree.from_sequences(text.split(), depth=2) for text in WITNESSES[4][0]])
    figure, ax = plt.subplots()
    try:
        assert plot_depth_curve(curve, ax, unit="bits") is ax
        lines = [line for line in ax.get_lines() if line.get_label() in ("$S_{pt}$, D1", "$S_{at}$, D2")]
        assert len(lines) == 2
        for i, line in enumerate(lines):
            np.testing.assert_array_equal(line.get_xdata(), [1, 2])
            # The same sum, rounded in another order.
            np.testing.assert_array_max_ulp(line.get_ydata(), curve.overlap[:, i, 2], maxulp=4)
        assert len({line.get_color() for line in lines}) == 2
        assert ax.get_xlabel() == "depth $d$ (bits)"
        # One shaded depth, where the signs hold: the second.
        shaded = [patch for patch in ax.patches if patch.get_width() == 1]
        assert [patch.get_x() for patch in shaded] == [1.5]
        markers = [line.get_marker() for line in ax.get_lines() if len(line.get_xdata()) == 1]
        signs = [found.signs[i] for i in (0, 1) for found in curve.elasticities]
        assert markers == [{-1: "v", 1: "^"}[sign] for sign in signs]
        faces = {line.get_markerfacecolor() for line in ax.get_lines() if len(line.get_xdata()) == 1}
        assert faces == {line.get_color() for line in lines}
        marks = {"the rate falls": -1 in signs, "the rate rises": 1 in signs, "zero or not proved": False}
        named = labels(ax)
        assert {name: name in named for name in marks} == marks
        assert all(tick == round(tick) for tick in ax.get_xticks())
    finally:
        plt.close(figure)
