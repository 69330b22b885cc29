"""What is drawn is valid, shrinks to what can be read, and serves to test the laws."""

import importlib
import math
import random
import re
import subprocess
import sys
from fractions import Fraction

import pytest
from hypothesis import Phase, find, given, settings, strategies as st
from tests.exact import overlaps

from tokentree.information import entropy
from tokentree.mixtures import Mixture
from tokentree.strategies import distributions, mixtures, pareto_masses, size_vectors, token_trees
from tokentree.theorem import elasticity, published_form
from tokentree.trees import TokenTree, merge

KINDS = ["counts", "fractions", "floats"]
OVERLAPS = ["any", "shared", "disjoint"]
TYPES = {"counts": int, "fractions": Fraction, "floats": float}


# Nothing is explained, for that takes most of the time, and nothing remembered from other runs.
SHRINK = settings(database=None, max_examples=2000, phases=[Phase.generate, Phase.shrink])


def smallest(strategy, condition=lambda _: True, seed=None):
    return find(strategy, condition, settings=SHRINK, random=None if seed is None else random.Random(seed))


def given_rows(mixture):
    """The arguments that make an exact mixture, in plain lists."""
    return mixture.rows.values.tolist(), mixture.exact_sizes


# What is drawn


@given(st.data(), st.sampled_from(KINDS), st.booleans(), st.integers(1, 6), st.integers(0, 4))
def test_distributions(data, kind, zeros, least, more):
    row = data.draw(distributions(min_leaves=least, max_leaves=least + more, kind=kind, zeros=zeros))
    assert least <= len(row) <= least + more
    assert {type(entry) for entry in row} == {TYPES[kind]}
    assert min(row) >= 0 if zeros else min(row) > 0
    if kind == "counts":
        assert sum(row) > 0
    elif kind == "fractions":
        assert sum(row) == 1
    else:
        # A rounding in each quotient and one in the total; math.fsum adds exactly.
        assert abs(math.fsum(row) - 1) <= 3 * 2.0**-53
        # No mass is subnormal.
        assert all(mass == 0 or mass >= sys.float_info.min for mass in row)
        assert 0 <= entropy(row) <= math.log2(len(row)) * (1 + 1e-15)
    assert len(data.draw(distributions(least, kind=kind))) == least


@given(st.data(), st.integers(1, 5), st.sampled_from([1, 2, 9, 10, 10**6, 2**200]))
def test_size_vectors(data, n, ratio):
    sizes = data.draw(size_vectors(n, ratio))
    assert len(sizes) == n
    assert max(sizes) <= ratio * min(sizes)
    assert Mixture([[1]] * n, sizes).exact_sizes == tuple(sizes)


@given(st.data(), st.sampled_from(KINDS), st.sampled_from(OVERLAPS), st.integers(1, 3), st.integers(0, 2))
def test_mixtures(data, kind, overlap, least, more):
    mixture = data.draw(
        mixtures(
            min_datasets=least,
            max_datasets=least + more,
            min_leaves=4,
            max_leaves=6,
            kind=kind,
            overlap=overlap,
            max_ratio=100,
        )
    )
    assert least <= mixture.n_datasets <= least + more
    assert 4 <= mixture.n_leaves <= 6
    assert max(mixture.exact_sizes) <= 100 * min(mixture.exact_sizes)
    assert (mixture.rows.values.dtype == float) == (kind == "floats")
    owners = (mixture.rows.values > 0).sum(axis=0)
    if overlap == "shared":
        assert (owners == mixture.n_datasets).all()
    elif overlap == "disjoint":
        assert (owners == 1).all()
    assert data.draw(mixtures(least, kind=kind, overlap=overlap)).n_datasets == least


@given(
    st.data(), st.integers(1, 4), st.integers(1, 5), st.integers(1, 6), st.sampled_from(["counts", "masses"])
)
def test_token_trees(data, q, depth, responses, weights):
    tree = data.draw(token_trees(q, max_depth=depth, max_responses=responses, weights=weights), label="tree")
    assert tree.alphabet_size == q
    assert 1 <= tree.depth <= depth
    assert 1 <= tree.n_leaves <= responses
    assert not tree.is_cut
    assert tree.weights.dtype == (float if weights == "masses" else int)
    assert (tree.weights > 0).all()
    if weights == "counts":
        # Masses would be added in another order.
        assert TokenTree.from_leaves({leaf.prefix: leaf.weight for leaf in tree.leaves()}, q) == tree


@given(st.data(), st.integers(1, 5), st.integers(0, 4))
def test_pareto_masses(data, least, more):
    masses = data.draw(pareto_masses(min_leaves=least, max_leaves=least + more))
    assert least <= len(masses) <= least + more
    assert min(masses) > 0
    assert math.fsum(masses) == pytest.approx(1, rel=(len(masses) + 2) * 2.0**-53)
    assert len(data.draw(pareto_masses(least, alpha=1.5))) == least


def test_pareto_masses_of_one_exponent_are_those_of_the_law():
    # X = (M p) x_m exceeds x with probability (x / x_m)^-alpha: its median is 2^(1/alpha) x_m.
    masses = sorted(smallest(pareto_masses(10**4, alpha=2)))
    # The sample median's deviation is 1 / (2 f sqrt(M)), here 0.7 %; ten of them.
    assert masses[5000] / masses[0] == pytest.approx(math.sqrt(2), rel=0.07)


@pytest.mark.parametrize("ratio", [100, 10**6, 10**12, 2**200])
def test_sizes_far_apart_are_drawn(ratio):
    # About a fifth of the draws are, at whatever ratio.
    apart = ratio // 100
    assert smallest(size_vectors(2, ratio), lambda sizes: sizes[0] > apart * sizes[1]) == [apart + 1, 1]


# Python's random state


@pytest.mark.parametrize("strategy", [mixtures(), token_trees(3), pareto_masses(), distributions()])
def test_drawing_and_showing_leaves_random_alone(strategy):
    # Hypothesis warns of strategies that do not, and warnings are errors here; beartype is at work too.
    states = []

    @given(st.data())
    @settings(max_examples=5, database=None)
    def draws(data):
        before = random.getstate()
        repr(data.draw(strategy))
        states.append(random.getstate() == before)

    draws()
    assert all(states)


# Shrinking


@pytest.mark.parametrize("kind", KINDS)
def test_the_simplest_are_these(kind):
    one = TYPES[kind](1)
    assert smallest(distributions(kind=kind)) == [one]
    assert smallest(size_vectors(3)) == [1, 1, 1]
    for overlap in OVERLAPS:
        mixture = smallest(mixtures(kind=kind, overlap=overlap))
        assert (mixture.rows.values.tolist(), mixture.exact_sizes) == ([[1]], (1,))
    mixture = smallest(mixtures(3, kind=kind, overlap="disjoint"))
    assert mixture.rows.values.tolist() == [[1, 0, 0], [0, 1, 0], [0, 0, 1]]


@pytest.mark.parametrize("weights", ["counts", "masses"])
def test_the_simplest_trees_are_these(weights):
    assert smallest(token_trees(weights=weights)).leaves()[0][:4:3] == ((), 1)
    tree = smallest(token_trees(3, weights=weights), lambda tree: tree.depth == 3)
    assert [leaf.prefix for leaf in tree.leaves()] == [(0, 0)]


def test_pareto_masses_shrink():
    assert smallest(pareto_masses()) == [1.0]
    assert len(smallest(pareto_masses(alpha=1.5), lambda masses: max(masses) < 0.5)) == 3


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 5))])
def test_counterexamples_are_small(seed):
    three = smallest(mixtures(), lambda mixture: mixture.n_datasets > 2, seed)
    assert given_rows(three) == ([[1], [1], [1]], (1, 1, 1))
    # D_t is like D_p and unlike D_a; which of the two leaves comes first does not matter.
    holds = smallest(mixtures(3), lambda mixture: elasticity(mixture).holds, seed)
    pretrain, align, perturb = given_rows(holds)[0]
    assert pretrain == perturb == align[::-1]
    assert (sorted(align), holds.exact_sizes) == ([0, 1], (1, 1, 1))
    # D_t is unlike both.
    rise = smallest(mixtures(3), lambda mixture: elasticity(mixture).signs == (1, 1), seed)
    pretrain, align, perturb = given_rows(rise)[0]
    assert pretrain == align == perturb[::-1]
    assert (sorted(align), rise.exact_sizes) == ([0, 1], (1, 1, 1))


def test_shrinking_ends_at_the_threshold_of_the_published_form():
    def fails(case):
        parts, percent = case
        form = published_form(parts.rows.values, k=1000, l=Fraction(percent, 100))
        return not elasticity(form).holds

    parts, percent = smallest(st.tuples(mixtures(3, overlap="disjoint"), st.integers(1, 100)), fails)
    assert percent == 50
    assert given_rows(parts) == ([[1, 0, 0], [0, 1, 0], [0, 0, 1]], (1, 1, 1))


@pytest.mark.parametrize(
    ("strategy", "call"),
    [
        (mixtures(), "Mixture([[1]], [1])"),
        (token_trees(), "TokenTree.from_leaves({(): 1}, alphabet_size=2)"),
        (distributions(kind="counts"), "[1]"),
        (pareto_masses(), "[1.0]"),
    ],
)
def test_failures_are_reported_in_a_form_to_paste(strategy, call):
    @given(strategy)
    @settings(database=None, max_examples=10, phases=[Phase.generate, Phase.shrink])
    def fails(drawn):
        pytest.fail("always")

    with pytest.raises(pytest.fail.Exception) as failure:
        fails()
    assert f"drawn={call}," in "\n".join(failure.value.__notes__)


# The laws


def exact_excess(rows, sizes):
    """1 - S_it for all i and t."""
    return [[1 - entry for entry in row] for row in overlaps(rows, sizes)]


@given(mixtures())
def test_conservation_and_symmetry(mixture):
    excess = exact_excess(*given_rows(mixture))
    for i, row in enumerate(excess):
        assert sum(n * x for n, x in zip(mixture.exact_sizes, row, strict=True)) == 0
        assert row == [other[i] for other in excess]
        assert row[i] <= 0
    response = mixture.response(base=math.e)
    assert (response == response.T).all()
    assert (response.diagonal() <= 0).all()


@given(mixtures(min_datasets=3), st.data())
def test_signs_are_those_of_the_exact_rational(mixture, data):
    p, a, t = data.draw(st.permutations(range(mixture.n_datasets)))[:3]
    found = elasticity(mixture, p, a, t)
    excess = exact_excess(*given_rows(mixture))
    assert found.certified
    assert found.signs == tuple((x > 0) - (x < 0) for x in (excess[p][t], excess[a][t]))
    assert found.holds == (excess[p][t] < 0 < excess[a][t])


@given(mixtures(min_datasets=2, overlap="disjoint"))
def test_disjoint_datasets_push_each_other_alike(mixture):
    excess = exact_excess(*given_rows(mixture))
    assert {excess[i][t] for i in range(len(excess)) for t in range(i)} == {1}
    overlap = mixture.overlap()
    assert (overlap[~(overlap > 1)] == 0).all()


@given(
    mixtures(3, overlap="disjoint"),
    st.integers(1, 10**12),
    st.fractions(Fraction(1, 100), 2, max_denominator=100),
)
def test_published_form_of_disjoint_parts_holds_below_one_half(parts, k, l):
    found = elasticity(published_form(parts.rows.values, k, l))
    assert found.certified
    assert found.holds == (l < Fraction(1, 2))


@given(st.lists(token_trees(), min_size=1, max_size=3))
def test_joint_tree_has_the_joint_model(trees):
    mixture = Mixture.from_trees(trees)
    joint = merge(trees)
    total = sum(tree.total_weight for tree in trees)
    assert mixture.n_leaves == joint.n_leaves
    # Each weight, mass, product and partial sum is rounded once.
    allowed = (2 * len(trees) + 2) * 2.0**-53
    for mass, leaf in zip(mixture.joint, joint.leaves(), strict=True):
        assert abs(Fraction(float(mass)) - Fraction(leaf.weight, total)) <= allowed * Fraction(
            leaf.weight, total
        )


# What is refused


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: distributions(0), ValueError, "n_leaves = 0: must be an integer >= 1"),
        (lambda: distributions(2.5), TypeError, "n_leaves = 2.5: must be an integer >= 1"),
        (lambda: distributions(min_leaves=0), ValueError, "min_leaves = 0: must be an integer >= 1"),
        (lambda: distributions(min_leaves=9), ValueError, "max_leaves = 8: must be an integer >= 9"),
        (lambda: distributions(kind="exact"), ValueError, "kind = 'exact': must be 'floats', 'fractions' or"),
        (lambda: size_vectors(0), ValueError, "n = 0: must be an integer >= 1"),
        (lambda: size_vectors(1, 0), ValueError, "max_ratio = 0: must be an integer >= 1"),
        (lambda: size_vectors(1, 2**200 + 1), ValueError, "must be at most 2**200"),
        (lambda: size_vectors(1, 1e12), TypeError, "max_ratio = 1000000000000.0: must be an integer"),
        (lambda: mixtures(0), ValueError, "n_datasets = 0: must be an integer >= 1"),
        (lambda: mixtures(min_datasets=5), ValueError, "max_datasets = 4: must be an integer >= 5"),
        (lambda: mixtures(max_leaves=0), ValueError, "max_leaves = 0: must be an integer >= 1"),
        (lambda: mixtures(kind="exact"), ValueError, "kind = 'exact': must be 'floats', 'fractions' or"),
        (lambda: mixtures(overlap="none"), ValueError, "overlap = 'none': must be 'any', 'shared' or 'disj"),
        (lambda: mixtures(9, overlap="disjoint"), ValueError, "max_leaves = 8: 9 disjoint datasets need as"),
        (lambda: mixtures(max_ratio=0), ValueError, "max_ratio = 0: must be an integer >= 1"),
        (lambda: token_trees(0), ValueError, "alphabet_size = 0: must be an integer >= 1"),
        (lambda: token_trees(max_depth=0), ValueError, "max_depth = 0: must be an integer >= 1"),
        (lambda: token_trees(max_responses=0), ValueError, "max_responses = 0: must be an integer >= 1"),
        (lambda: token_trees(weights="floats"), ValueError, "weights = 'floats': must be 'counts' or 'mas"),
        (lambda: pareto_masses(0), ValueError, "n_leaves = 0: must be an integer >= 1"),
        (lambda: pareto_masses(alpha=1), ValueError, "alpha = 1: must be finite and > 1"),
        (lambda: pareto_masses(alpha="2"), TypeError, "alpha = '2': must be a real number"),
    ],
)  # fmt: skip
def test_bad_input(unchecked, call, error, message):
    # Users run without the annotations being checked; the messages must be our own.
    with pytest.raises(error, match=re.escape(message)):
        call()


def test_without_hypothesis_the_import_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "hypothesis", None)
    monkeypatch.delitem(sys.modules, "tokentree.strategies")
    with pytest.raises(ImportError, match=r"needs hypothesis: pip install hypothesis$"):
        importlib.import_module("tokentree.strategies")


@pytest.mark.slow
def test_examples_hold_where_nothing_is_checked(tmp_path):
    # As users run them: the other doctests run with every annotation checked.
    code = (
        "import doctest; from tokentree import strategies; found = doctest.testmod(strategies);"
        "raise SystemExit(found.failed or not found.attempted)"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, cwd=tmp_path)


def test_the_package_does_not_import_hypothesis():
    code = "import sys, tokentree; sys.exit('hypothesis' in sys.modules)"
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)
