"""Reading models into trees, against trees written out by hand from the same model."""

import itertools
import math
import re
import sys
import warnings
import zlib
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given, strategies as st
from tests.toys import Toy, build, data_for, models, responses

from tokentree import (
    EOS,
    BlockCodec,
    LeafKind,
    Mixture,
    TokenTree,
    cross_entropy,
    elasticity,
    kl_divergence,
    leaf_distributions,
    merge,
    model_rates,
    modelled_depth,
    unexpanded_bounds,
)
from tokentree._lib import progress as progress_bars
from tokentree.adapters import ReadError, read_along, read_model
from tokentree.trees import REST
from tokentree.trees.files import validate


def written_out(model, depth, prompt=()):
    """Every leaf of the model's tree with its mass, as a Fraction."""
    leaves = {}

    def walk(prefix, mass):
        if len(prefix) == depth:
            leaves[prefix] = mass
            return
        end = Fraction(0)
        for token, chance in enumerate(model.row(tuple(prompt) + prefix)):
            if token in model.eos:
                end += chance
            elif chance:
                walk((*prefix, token), mass * chance)
        if end:
            leaves[(*prefix, EOS)] = mass * end

    walk((), Fraction(1))
    return leaves


def leaf_masses(tree):
    """Leaves of a tree as `written_out` writes them, unexpanded ones closed by `REST`."""
    close = {LeafKind.EOS: (EOS,), LeafKind.CUT: (), LeafKind.UNEXPANDED: (REST,)}
    return {leaf.prefix + close[leaf.kind]: leaf.weight for leaf in tree.leaves()}


def valid(tree):
    validate(tree.alphabet_size, tree.offsets, tree.symbols, tree.parents, tree.weights)
    assert tree.total_weight == 1
    assert math.isclose(tree.leaf_probabilities.sum(), 1, abs_tol=1e-12)


@given(models, st.integers(1, 4), st.lists(st.integers(0, 4), max_size=2), st.integers(1, 70))
def test_leaves_are_products_of_the_models_probabilities(arguments, depth, prompt, batch_size):
    model = build(arguments)
    tree = read_model(model, depth, prompt=prompt, batch_size=batch_size)
    valid(tree)
    expected = written_out(model, depth, prompt)
    found = leaf_masses(tree)
    assert found.keys() == expected.keys()
    for path, mass in expected.items():
        assert math.isclose(found[path], mass, rel_tol=1e-14)
    assert tree.unexpanded_weight == 0
    assert max(map(len, model.asked)) <= batch_size


@given(models, st.integers(1, 4), st.integers(2, 90), st.sampled_from([None, 1, 2, 3]), st.floats(0, 0.5))
def test_a_budget_keeps_the_most_probable_prefixes(arguments, depth, max_nodes, top_k, least):
    model = build(arguments)

    def children(prefix):
        row = model.row(prefix)
        ids = [t for t in range(model.width) if row[t] and t not in model.eos]
        ids = sorted(sorted(ids, key=lambda t: (-row[t], t))[:top_k])
        end = sum(row[t] for t in model.eos)
        return ids, end, 1 - end - sum(row[t] for t in ids)

    # One prefix at a time, the most probable first, until the next one does not fit.
    mass, expanded, nodes = {(): 1.0}, [], 2
    while frontier := [p for p in mass if p not in expanded and len(p) < depth and mass[p] >= least]:
        prefix = min(frontier, key=lambda p: (-mass[p], p))
        ids, end, rest = children(prefix)
        nodes += len(ids) * (1 + (len(prefix) + 1 < depth)) + (end > 0) + (rest > 0) - 1
        if nodes > max_nodes:
            break
        expanded.append(prefix)
        # The same float products as the reader's, so that ties are the same ties.
        row = np.exp(model([prefix])[0])
        row /= row.sum()
        mass |= {(*prefix, t): mass[prefix] * row[t] for t in ids}
    model.asked.clear()
    trees = []
    for batch_size in (1, 3, 64):
        arguments = {"max_nodes": max_nodes, "top_k": top_k, "min_probability": least}
        if not expanded:
            with pytest.raises(ReadError, match=r"max_nodes = \d+: the first expansion makes \d+"):
                read_model(model, depth, batch_size=batch_size, **arguments)
            continue
        trees.append(read_model(model, depth, batch_size=batch_size, **arguments))
    for tree in trees:
        valid(tree)
        assert tree == trees[0]
        assert tree.n_nodes <= max_nodes
        rest = {p[:-1] for p in leaf_masses(tree) if p[-1] == REST}
        unexpanded = {p for p in mass if len(p) < depth and p not in expanded}
        missing = {p for p in expanded if children(p)[2] > 0}
        assert rest == unexpanded | missing
        expected = sum(mass[p] for p in unexpanded) + sum(mass[p] * children(p)[2] for p in missing)
        assert math.isclose(tree.unexpanded_weight, expected, abs_tol=1e-14)


@given(st.integers(0, 2**32), st.integers(1, 5))
def test_no_tree_of_as_many_expansions_has_more_probable_ones(seed, n):
    # All trees of n inner nodes, written out; coins of depth 3.
    model = Toy(2, seed=seed, zeros=False)
    inner = [prefix for depth in range(3) for prefix in itertools.product((0, 1), repeat=depth)]
    mass = {p: float(math.prod(model.row(p[:i])[p[i]] for i in range(len(p)))) for p in inner}
    most = max(
        sum(mass[p] for p in chosen)
        for chosen in itertools.combinations(inner, n)
        if all(p == () or p[:-1] in chosen for p in chosen)
    )
    # An expansion adds three nodes above the last level, and one on it.
    for max_nodes in range(5, 17):
        tree = read_model(model, 3, max_nodes=max_nodes)
        expanded = {leaf.prefix[:i] for leaf in tree.leaves() for i in range(len(leaf.prefix))}
        if len(expanded) == n:
            assert math.isclose(sum(mass[p] for p in expanded), most, rel_tol=1e-12)


def test_ties_at_the_cut_of_top_k_go_to_the_lower_ids():
    tree = read_model(lambda prefixes: np.log(np.full((len(prefixes), 8), 1 / 8)), 1, top_k=3)
    assert leaf_masses(tree) == {(REST,): 0.625, (0,): 0.125, (1,): 0.125, (2,): 0.125}


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_rows_are_read_in_their_own_precision(dtype):
    model = Toy(5, dtype=dtype)
    tree = read_model(model, 3)
    valid(tree)
    expected = written_out(Toy(5), 3)
    for path, mass in leaf_masses(tree).items():
        assert math.isclose(mass, expected[path], rel_tol=40 * float(np.finfo(dtype).eps))


def test_trailing_end_tokens_are_not_in_the_alphabet():
    assert read_model(Toy(4, eos=[3], zeros=False), 2).alphabet_size == 3
    assert read_model(Toy(4, eos=[1], zeros=False), 2).alphabet_size == 4
    assert read_model(Toy(3, zeros=False), 2, eos=[1, 2]).alphabet_size == 1


# What unexpanded leaves do in a tree


def small():
    """Half of the mass looked at: 0, 00, 01 and the end after 0 are known, 1 is not expanded."""
    rows = {(): [0.5, 0.5, 0.0], (0,): [0.25, 0.5, 0.25], (1,): [0.5, 0.5, 0.0]}

    def model(prefixes):
        with np.errstate(divide="ignore"):
            return np.log([rows[p] for p in prefixes])

    return read_model(model, 3, eos=[2], min_probability=0.5, max_nodes=9)


def test_unexpanded_leaves_are_leaves_of_their_own_kind():
    tree = small()
    assert [(leaf.prefix, leaf.kind, leaf.weight) for leaf in tree.leaves()] == [
        ((0,), LeafKind.EOS, 0.125),
        ((0, 0), LeafKind.UNEXPANDED, 0.125),
        ((0, 1), LeafKind.UNEXPANDED, 0.25),
        ((1,), LeafKind.UNEXPANDED, 0.5),
    ]
    assert (tree.n_leaves, tree.depth, tree.is_cut, tree.unexpanded_weight) == (4, 3, False, 0.875)
    assert tree.weight("01") == 0.25
    with pytest.raises(ValueError, match=r"prefix = '10' was not expanded below depth 1"):
        tree.weight("10")
    with pytest.raises(ValueError, match="below depth 2"):
        tree.weight("01", eos=True)
    assert tree.weight("0", eos=True) == 0.125


def test_pruning_above_what_is_unexpanded_hides_it():
    pruned = small().prune(1)
    assert leaf_masses(pruned) == {(0,): 0.5, (1,): 0.5}
    assert pruned.unexpanded_weight == 0


def test_unexpanded_leaves_survive_saving(tmp_path):
    tree = small()
    tree.save(tmp_path / "tree.npz")
    assert TokenTree.load(tmp_path / "tree.npz") == tree


def test_merging_adds_what_both_have_or_have_not_looked_at():
    both = merge([small(), small(), TokenTree.from_leaves({"0": 0.5}, depth=3)])
    assert leaf_masses(both) == {
        (0, EOS): 0.75,
        (0, 0, REST): 0.25,
        (0, 1, REST): 0.5,
        (1, REST): 1.0,
    }


@pytest.mark.parametrize(("leaf", "after"), [("00", "(0, 0)"), ("01", "(0, 1)"), ("1", "(1,)")])
def test_merging_what_only_one_has_looked_at_would_lose_weights(leaf, after):
    # The weight of a listed node would not be all that passes.
    known = TokenTree.from_leaves({leaf: 0.5}, depth=3)
    for trees in ([small(), known], [known, small()]):
        message = f" has unexpanded mass where another tree lists the end after {after}: its mass there is"
        with pytest.raises(ValueError, match=re.escape(message)):
            merge(trees)
    assert merge([small().prune(1), known.prune(1)]).total_weight == 1.5


def test_mixtures_take_unexpanded_leaves_as_they_are():
    known = TokenTree.from_leaves({"1": 0.5, "00": 0.5}, depth=3)
    mixture = Mixture.from_trees([small(), known], sizes=[3, 1])
    assert mixture.n_leaves == 6
    assert np.allclose(mixture.distributions.sum(axis=1), 1, atol=1e-15)


@given(models, st.integers(1, 3), st.integers(4, 40))
def test_binarize_keeps_leaves_and_their_masses(arguments, depth, max_nodes):
    model = build(arguments)
    try:
        tree = read_model(model, depth, max_nodes=max_nodes)
    except ReadError:
        assume(False)
    binary = tree.binarize()
    valid(binary)
    assert [(leaf.kind, leaf.weight) for leaf in binary.leaves()] == [
        (leaf.kind, leaf.weight) for leaf in tree.leaves()
    ]
    bits = max(1, (tree.alphabet_size - 1).bit_length())
    for one, other in zip(binary.leaves(), tree.leaves(), strict=True):
        assert one.prefix == tuple(int(b) for token in other.prefix for b in f"{token:0{bits}b}")


def test_bits_that_known_and_unexpanded_symbols_share_have_no_weight():
    tree = read_model(Toy(4, zeros=False), 2, top_k=2)
    with pytest.raises(ValueError, match=r"after prefix \(\) some symbols are known and others unexpanded"):
        tree.binarize()
    rows = {(): [0, 0, 0, 1], (3,): [0.5, 0.25, 0.25, 0]}
    with np.errstate(divide="ignore"):
        tree = read_model(lambda prefixes: np.log([rows[p] for p in prefixes]), 2, top_k=1)
    with pytest.raises(ValueError, match=r"after prefix \(3,\) some symbols"):
        tree.binarize()


@given(models, st.lists(st.lists(st.integers(0, 4), max_size=7), min_size=1, max_size=4))
def test_a_codec_of_a_model_is_lossless(arguments, responses):
    model = build(arguments)
    tree = read_model(model, 2, top_k=2)
    codec = BlockCodec(tree)
    assert codec.code.kraft_sum == 1
    for response in responses:
        response = [token % tree.alphabet_size for token in response]
        assert codec.decode(codec.encode(response)).tolist() == response


# Along the data


@given(
    models,
    st.lists(st.lists(st.integers(0, 4), max_size=4), min_size=1, max_size=6),
    st.integers(1, 5),
    st.integers(1, 40),
)
def test_along_the_data_every_mass_is_exact(arguments, responses, depth, batch_size):
    model = build(arguments)
    ids = [token for token in range(model.width) if token not in model.eos]
    assume(ids)
    data = TokenTree.from_sequences(
        [[ids[token % len(ids)] for token in response] for response in responses],
        alphabet_size=model.width,
        depth=depth,
    )
    along = read_along(model, data, batch_size=batch_size)
    valid(along)
    assert along.alphabet_size == data.alphabet_size

    def mass(path):
        product = Fraction(1)
        for i, token in enumerate(path):
            row = model.row(tuple(path[:i]))
            product *= sum(row[t] for t in model.eos) if token == EOS else row[token]
        return product

    exact = [mass(list(leaf.prefix) + [EOS] * (leaf.kind is LeafKind.EOS)) for leaf in data.leaves()]
    p, q = leaf_distributions([data, along])
    on = p > 0
    assert np.allclose(q[on], np.array(exact, dtype=float), rtol=1e-13, atol=0)
    # The first question is put twice, and once more at the end if there were others.
    questions = data.n_nodes - data.n_leaves
    assert sum(map(len, model.asked)) == questions + 1 + (questions > 1)
    # The chain rule: the log-loss over the leaves is the sum of the log-losses along the paths.
    loss = (
        math.inf
        if 0 in exact
        else -sum(w * math.log2(m) for w, m in zip(data.leaf_probabilities, exact, strict=True))
    )
    assert cross_entropy(p, q) == pytest.approx(loss, rel=1e-12, abs=1e-12)


def test_along_its_own_tree_a_model_is_at_no_distance():
    model = Toy(3, eos=[2], zeros=False)
    tree = read_model(model, 4)
    p, q = leaf_distributions([tree, read_along(model, tree)])
    assert kl_divergence(p, q) == 0


def test_a_prompt_may_stand_third():
    model = Toy(3, eos=[2], zeros=False)
    tree = read_model(model, 2, [1, 0])
    assert tree == read_model(model, 2, prompt=[1, 0]) != read_model(model, 2)
    assert read_along(model, tree, [1, 0]) == read_along(model, tree, prompt=[1, 0])


@pytest.mark.parametrize("partial", [False, True])
def test_a_model_may_name_more_ids_than_its_rows_have(partial):
    model = Toy(3, eos=[2], zeros=False)
    assert read_model(model, 2).alphabet_size == 2
    model.alphabet_size, model.partial = 7, partial
    tree = read_model(model, 2)
    assert tree.alphabet_size == 7
    # A partial model does not list the other ids.
    assert (tree.unexpanded_weight > 0) == partial
    model.alphabet_size = 2
    assert read_model(model, 2) == read_model(Toy(3, eos=[2], zeros=False), 2)


def test_along_a_tree_of_which_a_part_was_not_read():
    model = Toy(1, zeros=False)
    tree = read_model(model, 3, max_nodes=3)
    assert tree.unexpanded_weight == 1
    assert read_along(model, tree).weight([0]) == 1


def test_data_with_an_id_that_ends_a_response():
    data = TokenTree.from_sequences([[0, 2], [1, 2]], alphabet_size=3)
    with pytest.raises(ReadError, match="tree holds 2, which ends a response"):
        read_along(Toy(3, zeros=False, eos=[2]), data)


def test_data_with_an_id_the_model_lacks():
    data = TokenTree.from_sequences([[0, 7]], alphabet_size=8)
    with pytest.raises(ReadError, match="tree holds 7: the model's ids end at 1"):
        read_along(Toy(2, zeros=False), data)


# Models that know a part


class Growing:
    """Knows 0 and 1 at the root, nothing below 0, and a token more below 1."""

    partial = True
    rows = ([0.5, 0.25], [0.0, 0.0], [0.0, 0.25, 0.5])
    seen = 2

    def __call__(self, prefixes):
        rows = [self.rows[{(): 0, (0,): 1, (1,): 2}[p]] for p in prefixes]
        self.seen = max(self.seen, *map(len, rows))
        with np.errstate(divide="ignore"):
            return np.log([row + [0.0] * (self.seen - len(row)) for row in rows])


def test_what_a_partial_model_does_not_know_is_unexpanded():
    tree = read_model(Growing(), 2)
    valid(tree)
    assert leaf_masses(tree) == {
        (REST,): 0.25,
        (0, REST): 0.5,
        (1, REST): 0.0625,
        (1, 1): 0.0625,
        (1, 2): 0.125,
    }
    assert tree.alphabet_size == 3


class Whole(Toy):
    partial = True


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_a_partial_model_that_lists_every_id_leaves_nothing_open(dtype):
    listed, known = (kind(5, eos=[1, 4], zeros=False, dtype=dtype) for kind in (Whole, Toy))
    assert read_model(listed, 3) == read_model(known, 3)


@pytest.mark.parametrize("hint", [{"eos": [2]}, {"eos": [0, 2]}])
def test_ids_that_no_answer_has_named_yet_are_not_listed(hint):
    tree = read_model(Whole(2, zeros=False), 1, **hint)
    assert tree.unexpanded_weight > 0
    assert all(leaf.kind is not LeafKind.EOS for leaf in tree.leaves())
    # An end that the model does not list is unknown, not impossible.
    data = TokenTree.from_sequences([[1], []], depth=1)
    assert (EOS,) not in leaf_masses(read_along(Whole(2, zeros=False), data, **hint))


class Likeliest(Toy):
    """The likeliest tokens of rows whose probabilities are between 1 and 10^-12, or of random ones."""

    partial = True

    def __init__(self, model, top, dtype):
        super().__init__(model.width, model.seed, model.eos, model.zeros, dtype)
        self.top = top

    def row(self, prefix):
        parts = super().row(prefix)
        rng = np.random.default_rng([1, self.seed, zlib.crc32(repr(prefix).encode())])
        parts = [part / 10 ** int(rng.integers(0, 13)) for part in parts]
        return [part / sum(parts) for part in parts]

    def __call__(self, prefixes):
        rows = super().__call__(prefixes)
        unlisted = np.argsort(-rows, axis=1)[:, self.top :]
        np.put_along_axis(rows, unlisted, -np.inf, axis=1)
        return rows


@pytest.mark.filterwarnings("ignore:the model is certain")
@given(
    models.map(build),
    st.integers(1, 3),
    st.integers(1, 5),
    st.sampled_from([np.float16, np.float32, np.float64]),
    st.sampled_from([10**6, 12]),
    st.sampled_from([None, 2]),
)
def test_every_mass_of_a_partial_model_lies_within_its_tree(model, depth, top, dtype, max_nodes, top_k):
    """Leaves have their mass, and unexpanded ones at least what belongs there, to the rounding of rows."""
    model = Likeliest(model, top, dtype)
    truth = written_out(model, depth)
    try:
        tree = read_model(model, depth, max_nodes=max_nodes, top_k=top_k)
    except ReadError:
        assume(False)
    valid(tree)
    seen = leaf_masses(tree)
    eps, slack = float(np.finfo(dtype).eps), {2: 1e-2, 4: 1e-5, 8: 1e-9}[np.dtype(dtype).itemsize]
    hidden = dict.fromkeys((leaf for leaf in seen if leaf[-1:] == (REST,)), 0)
    for path, mass in truth.items():
        if path in seen:
            # What is left for unlisted tokens comes off the listed ones.
            assert seen[path] == pytest.approx(float(mass), rel=depth * (2 * slack + 40 * eps))
            continue
        above = [open_leaf for i in range(len(path)) if (open_leaf := (*path[:i], REST)) in seen]
        assert above, path
        hidden[above[-1]] += mass
    for leaf, mass in hidden.items():
        passes = sum(each for path, each in truth.items() if path[: len(leaf) - 1] == leaf[:-1])
        assert mass <= Fraction(seen[leaf]) * (1 + Fraction(depth * slack)) + passes * Fraction(10 * eps)
    whole = read_model(Likeliest(model, model.width, np.float64), depth)
    if whole.alphabet_size == tree.alphabet_size and dtype is np.float64:
        found, right = (unexpanded_bounds([each, whole], [1, 1]) for each in (tree, whole))
        for end in ("rates", "overlap"):
            assert (getattr(found, f"{end}_lower") <= getattr(right, f"{end}_lower") + 1e-7).all()
            assert (getattr(found, f"{end}_upper") >= getattr(right, f"{end}_upper") - 1e-7).all()


class Hiding(Toy):
    """A model that lists each token after each prefix or not, as a seed has it."""

    partial = True

    def __init__(self, model, share, seed):
        super().__init__(model.width, model.seed, model.eos, model.zeros)
        self.share, self.hidden = share, seed

    def __call__(self, prefixes):
        rows = super().__call__(prefixes)
        for row, prefix in zip(rows, prefixes, strict=True):
            rng = np.random.default_rng([self.hidden, zlib.crc32(repr(tuple(prefix)).encode())])
            row[rng.random(self.width) < self.share] = -np.inf
        return rows


class HidingAlong(Hiding):
    def along(self, sequence, start, stop):
        return self([sequence[:i] for i in range(start, stop)])


@pytest.mark.filterwarnings("ignore:the model is certain")
@given(
    models.map(build), responses, st.integers(1, 4), st.sampled_from([0.0, 0.2, 0.7]), st.integers(0, 2**32),
    st.sampled_from([Hiding, HidingAlong]),
)  # fmt: skip
def test_along_data_what_a_partial_model_does_not_list_is_open(model, responses, depth, share, seed, kind):
    """Bounds hold the truth, of which the model lists a part; what it hides is not taken for impossible."""
    data = data_for(model, responses, depth)
    whole = read_along(Toy(model.width, model.seed, model.eos, model.zeros), data)
    hiding = kind(model, share, seed)
    if np.isfinite(hiding([()])).any():
        tree = read_along(hiding, data)
    else:
        with pytest.raises(ReadError, match=r"^nothing is known after prompt = \(\)") as caught:
            read_along(hiding, data)
        tree = caught.value.tree
        assert (tree.n_leaves, tree.unexpanded_weight) == (1, 1)
    valid(tree)
    truth, seen = leaf_masses(whole), leaf_masses(tree)
    # What is listed has its mass, and what is not lies below an unexpanded leaf.
    for prefix, mass in seen.items():
        # To the rounding of a row's sum, which is left for tokens that are not listed.
        assert prefix[-1:] == (REST,) or mass == pytest.approx(truth[prefix], rel=1e-8)
    for prefix in truth.keys() - seen.keys():
        assert any((*prefix[:i], REST) in seen for i in range(len(prefix)))
    sizes = [1, 1]
    found, right = (unexpanded_bounds([each, data], sizes) for each in (tree, whole))
    # The rounding that is left open moves the masses that are known.
    for end in ("rates", "overlap"):
        assert (getattr(found, f"{end}_lower") <= getattr(right, f"{end}_lower") + 1e-7).all()
        assert (getattr(found, f"{end}_upper") >= getattr(right, f"{end}_upper") - 1e-7).all()
    if not share and not model.zeros:
        assert seen == pytest.approx(truth)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        rates = model_rates(tree, data, base=math.e)
    right = model_rates(whole, data, base=math.e).log_loss
    unknown = np.isnan(rates.log_loss)
    np.testing.assert_array_equal(unknown, (rates.unlisted > 0) & np.isfinite(rates.log_loss_lower))
    assert rates.log_loss[~unknown] == pytest.approx(right[~unknown], abs=1e-7)
    assert (rates.log_loss_lower <= right + 1e-7).all()
    assert bool(said) == unknown.any()
    for d in rates.depths.tolist():
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            p, q = leaf_distributions([data, tree], d)
        # Of what the model hides, a row of zeros and ones cannot say that it is unknown.
        assert bool(said) == (rates.unlisted[d - 1] > 0)
        assert said or cross_entropy(p, q, math.e) == pytest.approx(right[d - 1], abs=1e-7)


def test_a_sign_is_not_certified_by_a_token_that_the_model_did_not_list():
    class Model:
        partial = True

        def __call__(self, prefixes):
            with np.errstate(divide="ignore"):
                return np.log([[0.6, 0.0, 0.0, 0.0]] * len(prefixes))

    data = TokenTree.from_sequences([[1]] * 3 + [[0]], alphabet_size=4, depth=1)
    other = TokenTree.from_sequences([[2]] * 3 + [[0]], alphabet_size=4, depth=1)
    tree = read_along(Model(), data)
    assert leaf_masses(tree) == pytest.approx({(REST,): 0.4, (0,): 0.6})
    found = elasticity(Mixture.from_trees([tree, other, data], [5, 1, 1]))
    # The other 0.4 may be the data's token, and then the signs hold, or not.
    assert found.signs[0] is None
    with pytest.warns(
        UserWarning, match=r"does not list prefix \(1,\), where 75% of the data lie: from depth"
    ):
        assert np.isnan(model_rates(tree, data).log_loss).all()
    depth = modelled_depth(tree, data, 1)
    assert (depth.lower[-1], depth.upper[-1]) == (pytest.approx(0.364409, abs=1e-6), math.inf)


def test_a_token_not_listed_is_not_impossible_where_the_rest_is_rounding():
    class Model:
        partial = True

        def __call__(self, prefixes):
            with np.errstate(divide="ignore"):
                return np.log(np.array([[1.0, 0.0, 0.0]] * len(prefixes), np.float32))

    data = TokenTree.from_sequences([[2], [0]], alphabet_size=3, depth=1)
    tree = read_along(Model(), data)
    valid(tree)
    assert 0 < leaf_masses(tree)[(REST,)] <= 1e-5
    assert leaf_masses(tree)[(0,)] == pytest.approx(1, rel=2e-5)


def test_renormalizing_a_partial_model_spreads_what_is_missing():
    tree = read_model(Growing(), 2, renormalize=True)
    assert leaf_masses(tree) == pytest.approx({(0, REST): 2 / 3, (1, 1): 1 / 9, (1, 2): 2 / 9})


# Bad models


def constant(row, dtype=np.float64):
    def model(prefixes):
        return np.array([row] * len(prefixes), dtype=dtype)

    return model


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (constant([np.nan, 0.0]), r"after prefix \(\) the log-probability of 0 is nan: is not a number"),
        (constant([-np.inf, 0.5]), r"the log-probability of 1 is 0.5: must not be above 0"),
        (constant([np.inf, 0.0]), r"the log-probability of 0 is inf: must not be above 0"),
        (
            constant([-1.0, -1.0]),
            r"after prefix \(\) the probabilities sum to 0.735\d+: must be 1 within 1e-09",
        ),
        (constant([-np.inf, -np.inf]), "the probabilities sum to 0.0"),
        (constant([-1.0, -1.0], np.float32), "must be 1 within 1e-05"),
        (constant([]), r"shape \(1, 0\) and dtype float64: must be floats of shape \(1, vocabulary\)"),
        (lambda prefixes: np.zeros(1), r"answered 1 prefixes with shape \(1,\)"),
        (lambda prefixes: np.zeros((2, 1)), r"answered 1 prefixes with shape \(2, 1\)"),
        (lambda prefixes: np.zeros((1, 1), dtype=int), "dtype int64: must be floats"),
        (lambda prefixes: None, r"shape \(\) and dtype object"),
        (lambda prefixes: [[0.0], [0.0, 0.0]], "the model failed: ValueError: its answer is ragged"),
        (lambda prefixes: 1 / 0, "the model failed: ZeroDivisionError: division by zero"),
    ],
)
def test_what_is_no_distribution_is_refused(model, message):
    with pytest.raises(ReadError, match=message) as caught:
        read_model(model, 2)
    assert caught.value.tree.unexpanded_weight == 1


def test_the_cause_of_a_failure_is_kept():
    with pytest.raises(ReadError) as caught:
        read_model(lambda prefixes: {}[0], 2)
    assert isinstance(caught.value.__cause__, KeyError)


def test_rows_are_renormalized_on_request():
    tree = read_model(constant([-1.0, -1.0]), 2, renormalize=True)
    assert np.allclose(tree.leaf_probabilities, 0.25)
    with pytest.raises(ReadError, match="there is nothing to renormalize"):
        read_model(constant([-np.inf, -np.inf]), 2, renormalize=True)
    with pytest.raises(ReadError, match="must not be above 0"):
        read_model(constant([1.0, 0.0]), 2, renormalize=True)


def test_a_model_that_fails_late_leaves_what_was_read():
    model = Toy(2, zeros=False)

    def failing(prefixes):
        if any(len(prefix) == 3 for prefix in prefixes):
            raise OSError("the line is down")
        return model(prefixes)

    with pytest.raises(ReadError, match="the model failed: OSError: the line is down") as caught:
        read_model(failing, 5, batch_size=1)
    tree = caught.value.tree
    valid(tree)
    assert tree.unexpanded_weight > 0
    assert tree.prune(1) == read_model(model, 1)


@pytest.mark.parametrize("along", [False, True])
@pytest.mark.parametrize(("prompt", "asked"), [(True, None), (False, True)])
def test_an_interrupted_read_returns_what_it_has_at_a_prompt_or_if_asked_to(
    monkeypatch, along, prompt, asked
):
    if prompt:
        monkeypatch.setattr(sys, "ps1", ">>> ", raising=False)
    model, calls = Toy(2, zeros=False), itertools.count()
    data = read_model(model, 4)

    def interrupted(prefixes):
        if next(calls) == 4:
            raise KeyboardInterrupt
        return model(prefixes)

    read, what = (read_along, data) if along else (read_model, 4)
    with pytest.warns(UserWarning, match="interrupted after 3 prefixes: the rest is unexpanded"):
        tree = read(interrupted, what, batch_size=1, keep_on_interrupt=asked)
    valid(tree)
    assert tree.prune(1) == data.prune(1)
    assert tree.unexpanded_weight > 0


@pytest.mark.parametrize(("prompt", "asked"), [(True, False), (False, None)])
def test_an_interrupt_ends_a_read_in_a_program_or_if_asked_to(monkeypatch, prompt, asked):
    if prompt:
        monkeypatch.setattr(sys, "ps1", ">>> ", raising=False)
    data = TokenTree.from_sequences(["00", "01"])

    def interrupted(prefixes):
        raise KeyboardInterrupt

    for read, what in ((read_model, 2), (read_along, data)):
        with pytest.raises(KeyboardInterrupt):
            read(interrupted, what, keep_on_interrupt=asked)


def test_a_model_that_changes_its_answer():
    rng, calls = np.random.default_rng(0), itertools.count()

    def dropout(prefixes):
        next(calls)
        logits = rng.normal(size=(len(prefixes), 5))
        return logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)

    with pytest.raises(
        ReadError, match=r"changed its answer: .* apart in total variation, .*; is dropout on"
    ):
        read_model(dropout, 2)
    # Before the read, and not after it.
    assert next(calls) == 2


def test_a_model_that_changes_while_it_is_read():
    model, calls = Toy(2, zeros=False), itertools.count()

    def trained_meanwhile(prefixes):
        # The first question twice, two more, and the first.
        return model(prefixes) if next(calls) < 4 else np.log([[0.999, 0.001]])

    with pytest.raises(ReadError, match="changed its answer") as caught:
        read_model(trained_meanwhile, 2, batch_size=1)
    assert caught.value.tree == read_model(model, 2)


def server(rows, partial=True):
    """A model that answers with what stands in `rows` for the length of a prefix."""

    def answer(prefixes):
        with np.errstate(divide="ignore"):
            return np.log([rows[len(prefix)] for prefix in prefixes])

    answer.partial = partial
    return answer


DRAWN = [[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]


@pytest.mark.parametrize("eos", [(), (0,), (2,)])
def test_a_server_that_reports_what_it_has_drawn(eos):
    with pytest.warns(
        UserWarning, match="certain of the first token and of the next.* temperature 1"
    ) as caught:
        tree = read_model(server(DRAWN), 3, eos=eos)
    assert len(caught) == 1
    # The rounding of the row is left for the tokens that it does not list.
    assert tree.weight([1]) == pytest.approx(1, rel=2e-9)
    with pytest.warns(UserWarning, match="certain of the first"):
        read_along(server(DRAWN), TokenTree.from_sequences([[1, 0], [1, 2]], alphabet_size=3, depth=2))


@pytest.mark.parametrize(
    ("rows", "options"),
    [
        # Certain of the first token, or of all but that; not certain, for there is more that is not known.
        ([[0.0, 1.0, 0.0], [0.5, 0.25, 0.0]], {}),
        ([[0.5, 0.5, 0.0], [1.0, 0.0, 0.0]], {}),
        ([[0.0, 0.9, 0.0], [0.9, 0.0, 0.0]], {}),
        ([[0.0, 0.9, 0.0], [0.9, 0.0, 0.0]], {"renormalize": True}),
    ],
)
def test_a_server_that_leaves_doubt_is_not_warned_of(rows, options):
    read_model(server(rows), 2, **options)


def test_a_model_that_gives_whole_rows_may_be_certain():
    assert read_model(server(DRAWN, partial=False), 3).weight([1, 0, 2]) == 1


@pytest.mark.parametrize(("drift", "noticed"), [(0.9e-3, False), (1.1e-3, True)])
def test_drift_is_measured_in_total_variation(drift, noticed):
    calls = itertools.count()

    def drifting(prefixes):
        return np.log([[0.5 + drift, 0.5 - drift] if next(calls) else [0.5, 0.5] for _ in prefixes])

    if noticed:
        with pytest.raises(ReadError, match="changed its answer"):
            read_model(drifting, 1)
    else:
        read_model(drifting, 1)


def test_a_model_that_changes_its_width():
    def wider(prefixes):
        width = 2 if prefixes[0] == () else 3
        return np.full((len(prefixes), width), -math.log(width))

    with pytest.raises(ReadError, match="answered with 3 ids, and before with 2"):
        read_model(wider, 2)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"depth": 0}, ValueError, "depth = 0"),
        ({"max_nodes": 1}, ValueError, "max_nodes = 1"),
        ({"top_k": 0}, ValueError, "top_k = 0"),
        ({"batch_size": 0}, ValueError, "batch_size = 0"),
        ({"min_probability": 1.5}, ValueError, r"min_probability = 1.5: must lie in \[0, 1\]"),
        ({"min_probability": math.nan}, ValueError, "min_probability = nan"),
        ({"prompt": [0, -1]}, ValueError, r"prompt\[1\] = -1"),
        ({"prompt": [0.5]}, TypeError, r"prompt\[0\] = 0.5"),
        ({"prompt": 7}, ValueError, "prompt = 7: must be text or a sequence of token ids"),
        (
            {"depth": "The capital of"},
            TypeError,
            r"depth = 'The capital of' is text: .* read_model\(model, depth=3, prompt='The capital of'\)",
        ),
        ({"eos": [-1]}, ValueError, "eos = -1"),
        ({"eos": [2]}, ReadError, "eos = 2: the model's ids end at 1"),
        ({"model": 3}, TypeError, "model is a int: must be callable"),
    ],
)
def test_bad_arguments(unchecked, arguments, error, message):
    with pytest.raises(error, match=message):
        read_model(**{"model": Toy(2), "depth": 2, **arguments})


def test_long_reads_show_their_progress(monkeypatch, capsys):
    monkeypatch.setattr(progress_bars, "_PATIENCE", -1.0)
    shown = []
    from rich import progress

    monkeypatch.setattr(progress.Progress, "update", lambda self, task, completed: shown.append(completed))
    read_model(Toy(2, zeros=False), 4, batch_size=2)
    assert shown[-1] == 15
    assert capsys.readouterr().out == ""
    shown.clear()
    read_model(Toy(2), 4, progress=False)
    assert not shown
