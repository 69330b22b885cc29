"""Token trees against a dictionary of all prefixes, counted one response at a time in plain Python."""

import copy
import os
import pickle
import re
import tracemalloc
from collections import Counter
from fractions import Fraction
from itertools import pairwise
from unittest import mock

import numpy as np
import pytest
from hypothesis import assume, given, strategies as st

from tokentree._lib.archives import digest
from tokentree.adapters import read_model
from tokentree.trees import (
    EOS,
    LeafKind,
    TokenTree,
    bands,
    leaf_distributions,
    merge,
    runs,
    tree as tree_module,
)

U = Fraction(1, 2**53)
ALPHABETS = [1, 2, 3, 10, 256, 70_000]


def model(responses, weights=None, depth=None):
    """Exact weight of every prefix, end-of-sequence being the token -1."""
    nodes = Counter()
    for response, weight in zip(responses, weights or [1] * len(responses), strict=True):
        path = (*map(int, response), EOS)[:depth]
        for end in range(len(path) + 1):
            nodes[path[:end]] += weight if isinstance(weight, int) else Fraction(weight)
    return nodes


def leaves_of(nodes):
    """Paths that no other path extends, in lexicographic order."""
    inner = {path[:-1] for path in nodes if path}
    return sorted(path for path in nodes if path not in inner)


def nodes_of(tree):
    """Path and weight of every node, from the four public arrays; their order is asserted on the way."""
    symbols, parents, weights = (a.tolist() for a in (tree.symbols, tree.parents, tree.weights))
    assert len(symbols) == len(parents) == len(weights) == tree.n_nodes
    nodes, level = {(): weights[0]}, [()]
    for first, end in pairwise(tree.offsets.tolist()[1:]):
        level = [(*level[parents[i]], symbols[i]) for i in range(first, end)]
        assert level == sorted(set(level))
        nodes.update(zip(level, weights[first:end], strict=True))
    return nodes


def assert_is(tree, nodes, roundings=0):
    """The tree holds just these nodes; sums of nonnegative weights are off by at most so many roundings."""
    found = nodes_of(tree)
    assert found.keys() == nodes.keys()
    for path, weight in nodes.items():
        assert abs(Fraction(found[path]) - weight) <= roundings * U * weight, path
    leaves = leaves_of(nodes)
    assert tree.n_leaves == len(leaves)
    assert tree.n_nodes == len(nodes)
    assert tree.depth == max(map(len, nodes))
    assert tree.total_weight == found[()]
    assert tree.is_cut == any(path[-1] != EOS for path in leaves)


@st.composite
def responses(draw, q, longest=200, most=8):
    """Ragged responses that share stems: prefixes of one another, repeats, lengths around word boundaries."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    lengths = st.one_of(st.integers(0, 5), st.sampled_from([0, 1, 31, 32, 57, 62, 63, 64, 65, 128, 129, 200]))
    stems = []
    for length in draw(st.lists(lengths, min_size=1, max_size=3)):
        extremes = rng.choice([0, q - 1, int(rng.integers(q))], min(length, longest))
        stems.append(extremes.tolist())
    found = []
    for _ in range(draw(st.integers(1, most))):
        stem = draw(st.sampled_from(stems))
        tail = draw(st.lists(st.integers(0, q - 1), max_size=2))
        found.append((*stem[: draw(st.integers(0, len(stem)))], *tail)[:longest])
    return found


def weight_lists(n):
    positive = st.one_of(st.integers(0, 5), st.just(2**40))
    floats = st.one_of(st.floats(0, 10), st.sampled_from([0.0, 1e-300, 5e-324, 0.1, 1e300]))
    return st.one_of(
        st.none(),
        st.lists(positive, min_size=n, max_size=n).filter(any),
        st.lists(floats, min_size=n, max_size=n).filter(any),
    )


@st.composite
def datasets(draw, **kwargs):
    q = draw(st.sampled_from(ALPHABETS))
    rows = draw(responses(q, **kwargs))
    return q, rows, draw(weight_lists(len(rows)))


def small_counts(q=2, most=6):
    return st.lists(st.lists(st.integers(0, q - 1), max_size=4).map(tuple), min_size=1, max_size=most)


def roundings(rows, weights):
    return len(rows) if weights and isinstance(weights[0], float) else 0


# Building


@given(datasets(), st.data())
def test_from_sequences_is_the_dictionary_of_prefixes(dataset, data):
    q, rows, weights = dataset
    forms = {
        "tuples": rows,
        "arrays": [np.array(row, dtype=np.int64) for row in rows],
        "narrow": [np.array(row, dtype=np.min_scalar_type(q - 1)) for row in rows],
        "generator": iter(rows),
    }
    if q <= 10:
        forms["strings"] = ["".join(map(str, row)) for row in rows]
    form = data.draw(st.sampled_from(sorted(forms)))
    tree = TokenTree.from_sequences(forms[form], weights, alphabet_size=q)
    assert_is(tree, model(rows, weights), roundings(rows, weights))
    assert tree.weights.dtype == (np.float64 if roundings(rows, weights) else np.int64)
    assert not tree.is_cut


@given(datasets(), st.integers(1, 202))
def test_depth_is_prune(dataset, depth):
    q, rows, weights = dataset
    nodes, n = model(rows, weights, depth), roundings(rows, weights)
    whole = TokenTree.from_sequences(rows, weights, alphabet_size=q)
    shallow = TokenTree.from_sequences(rows, weights, alphabet_size=q, depth=depth)
    assert_is(shallow, nodes, n)
    assert_is(whole.prune(depth), nodes, n)
    whole.weights.sum()
    assert_is(whole.prune(depth), nodes, n)
    if not n:
        assert whole.prune(depth) == shallow


@st.composite
def matrices(draw):
    dtype = draw(st.sampled_from([np.uint8, np.int64, np.bool_]))
    q = 2 if dtype is np.bool_ else draw(st.sampled_from([1, 2, 3, 10, 256]))
    width = draw(st.sampled_from([0, 1, 7, 8, 9, 31, 63, 64, 65, 130]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    few = rng.integers(0, q, (draw(st.integers(1, 5)), 2 * width))
    few[:, : draw(st.integers(0, width))] = 0
    array = few[rng.integers(0, len(few), 20)].astype(dtype)
    view = draw(st.sampled_from(["C", "F", "sliced", "reversed"]))
    if view == "sliced":
        return q, array[::2, ::2]
    if view == "reversed":
        return q, array[::-1, width - 1 :: -1] if width else array[:, :0]
    return q, np.array(array[:, :width], order=view)


@given(matrices(), st.one_of(st.none(), st.integers(1, 140)))
def test_from_matrix(matrix, depth):
    q, array = matrix
    before = array.copy()
    rows = array.astype(int).tolist()
    assert_is(TokenTree.from_sequences(array, alphabet_size=q, depth=depth), model(rows, depth=depth))
    np.testing.assert_array_equal(array, before)


@given(datasets(), st.randoms(use_true_random=False))
def test_counts_do_not_depend_on_the_order_of_responses(dataset, random):
    q, rows, weights = dataset
    assume(not roundings(rows, weights))
    pairs = list(zip(rows, weights or [1] * len(rows), strict=True))
    random.shuffle(pairs)
    shuffled = TokenTree.from_sequences([row for row, _ in pairs], [w for _, w in pairs], alphabet_size=q)
    assert shuffled == TokenTree.from_sequences(rows, weights, alphabet_size=q)


def test_many_responses_of_many_lengths():
    # Enough prefixes that their index takes a good part of each word.
    rng = np.random.default_rng(1)
    rows = [tuple(rng.integers(0, 2, n).tolist()) for n in rng.integers(0, 100, 400)]
    rows += [row[:50] for row in rows]
    assert_is(TokenTree.from_sequences(rows), model(rows))


def test_words_that_differ_in_every_bit():
    # As a float64 such a difference rounds up to the next power of two.
    for length in range(50, 67):
        for same in (0, 1, 3):
            shared = (0, 1, 0)[:same]
            rows = [shared + (0,) * length, shared + (0,) + (1,) * length, shared + (1,) + (0,) * length]
            assert_is(TokenTree.from_sequences(rows), model(rows))
            one, two = (shared + (bit,) * length for bit in (0, 1))
            assert_is(TokenTree.from_sequences([one, two]), model([one, two]))


def test_from_leaves():
    tree = TokenTree.from_leaves({(): 1, (0,): 2, (1, 0): 3})
    assert_is(tree, model([(), (0,), (1, 0)], [1, 2, 3]))
    assert tree == TokenTree.from_leaves({"": 1, "0": 2, "10": 3})
    assert TokenTree.from_leaves({"0": 0.5, "1": 1}).weights.dtype == np.float64


@pytest.mark.parametrize("q", [127, 128, 129, 32_768, 32_769])
def test_alphabets_at_the_edges_of_a_symbol_type(q):
    rows = [(q - 1,), (q - 1, q - 1, 0), (0, q - 1), ()]
    tree = TokenTree.from_sequences(rows, alphabet_size=q)
    assert_is(tree, model(rows))
    assert [leaf.prefix for leaf in tree.leaves()] == sorted(rows)


def test_largest_alphabet(tmp_path):
    q = 2**31
    rows = [(q - 1, 0), (q - 1, q - 1), (0,), (1, 2, 3), (5,)]
    tree = TokenTree.from_sequences(rows, alphabet_size=q)
    assert_is(tree, model(rows))
    assert_is(merge([tree, tree]), model(rows * 2))
    tree.save(tmp_path / "tree.npz")
    assert_is(TokenTree.load(tmp_path / "tree.npz"), model(rows))


# Reading


@given(datasets())
def test_weights_add_up_at_every_node(dataset):
    q, rows, weights = dataset
    tree = TokenTree.from_sequences(rows, weights, alphabet_size=q)
    # Node and children sum the same responses, each in some order, each within n roundings.
    slack = 2 * roundings(rows, weights) * U
    found = nodes_of(tree)
    sums = Counter()
    for path, weight in found.items():
        if path:
            sums[path[:-1]] += Fraction(weight)
    for path, total in sums.items():
        assert abs(total - Fraction(found[path])) <= slack * total
    assert set(found) - set(sums) == {path for path in found if path and path[-1] == EOS}


@given(datasets(longest=66), st.one_of(st.none(), st.integers(1, 67)), st.data())
def test_weight_of_a_prefix(dataset, depth, data):
    q, rows, weights = dataset
    tree = TokenTree.from_sequences(rows, weights, alphabet_size=q, depth=depth)
    nodes = nodes_of(tree)
    row = data.draw(st.sampled_from(rows))
    prefix = row[: data.draw(st.integers(0, len(row)))]
    prefix += tuple(data.draw(st.lists(st.integers(0, q - 1), max_size=2)))
    for eos in (False, True):
        path = prefix + (EOS,) * eos
        if len(path) > tree.depth and path[: tree.depth] in nodes:
            with pytest.raises(ValueError, match=f"runs below depth {tree.depth}, where the tree was cut"):
                tree.weight(prefix, eos=eos)
        else:
            assert tree.weight(prefix, eos=eos) == nodes.get(path, 0)
            assert tree.weight(np.array(prefix, dtype=np.int64), eos=eos) == nodes.get(path, 0)
            if q <= 10:
                assert tree.weight("".join(map(str, prefix)), eos) == nodes.get(path, 0)


@given(datasets(longest=66), st.one_of(st.none(), st.integers(1, 67)))
def test_leaves(dataset, depth):
    q, rows, weights = dataset
    tree = TokenTree.from_sequences(rows, weights, alphabet_size=q, depth=depth)
    nodes, leaves = nodes_of(tree), tree.leaves()
    expected = leaves_of(nodes)
    assert len(leaves) == len(expected) == tree.n_leaves
    for leaf, path in zip(leaves, expected, strict=True):
        ends = path[-1] == EOS
        assert leaf.prefix == (path[:-1] if ends else path)
        assert leaf.kind is (LeafKind.EOS if ends else LeafKind.CUT)
        assert leaf.depth == len(path)
        assert leaf.weight == nodes[path]
        assert leaf.probability == nodes[path] / tree.total_weight
    padded = [path + (EOS,) * (tree.depth - len(path)) for path in expected]
    np.testing.assert_array_equal(leaves.symbols, np.array(padded).reshape(len(expected), tree.depth))
    np.testing.assert_array_equal(leaves.weight, tree.weights[leaves.node])
    np.testing.assert_array_equal(leaves.probability, tree.leaf_probabilities)


@given(datasets(longest=66), st.one_of(st.none(), st.integers(1, 67)), st.data())
def test_leaves_under_a_prefix(dataset, depth, data):
    q, rows, weights = dataset
    tree = TokenTree.from_sequences(rows, weights, alphabet_size=q, depth=depth)
    every = list(tree.leaves())
    row = data.draw(st.sampled_from(every)).prefix
    absent = (*row[:-1], data.draw(st.integers(0, q - 1))) if row else ()
    for prefix in (row, row[: data.draw(st.integers(0, len(row)))], absent):
        expected = [leaf for leaf in every if leaf.prefix[: len(prefix)] == prefix]
        found = tree.leaves(prefix)
        assert list(found) == expected
        assert sum(found.weight.tolist()) == pytest.approx(tree.weight(prefix))
        assert found.symbols.shape == (len(expected), tree.depth)


def test_leaves_are_a_sequence():
    leaves = TokenTree.from_sequences(["0", "01", "11", "1"], [1, 2, 3, 4]).leaves()
    every = list(leaves)
    assert leaves[-1] == every[3] == ((1, 1), 3, LeafKind.EOS, 3, 0.3)
    assert leaves[::-2] == [every[3], every[1]]
    assert leaves[5:] == []
    assert leaves.index(every[2]) == 2
    assert every[0] in leaves
    with pytest.raises(IndexError):
        leaves[4]


def test_one_leaf():
    tree = TokenTree.from_sequences(["", ""])
    assert (tree.depth, tree.n_nodes, tree.n_leaves, tree.total_weight) == (1, 2, 1, 2)
    assert list(tree.leaves()) == [((), 1, LeafKind.EOS, 2, 1.0)]
    assert tree.weight("") == tree.weight("", eos=True) == 2
    assert tree.weight("0") == 0
    assert tree.prune(9) is tree
    long = TokenTree.from_sequences(["0" * 1000])
    assert (long.depth, long.n_nodes, long.n_leaves) == (1001, 1002, 1)


def test_level_is_the_slice_of_a_depth():
    tree = TokenTree.from_sequences(["0", "01", "1"])
    assert [tree.symbols[tree.level(d)].tolist() for d in range(4)] == [[0], [0, 1], [-1, 1, -1], [-1]]


def test_repr():
    assert repr(TokenTree.from_leaves({"0": 0.5, "1": 0.25})) == (
        "TokenTree(alphabet_size=2, depth=2, n_nodes=5, n_leaves=2, total_weight=0.75)"
    )


def test_repr_of_a_tree_that_was_read_in_part():
    def model(prefixes):
        return np.log(np.tile([0.08126, 0.91874], (len(prefixes), 1)))

    short = read_model(model, 2, max_nodes=6)
    assert repr(short).endswith("n_leaves=3, total_weight=1.0, unexpanded=0.0813)")
    assert "unexpanded" not in repr(short.prune(1))
    assert "unexpanded" not in repr(read_model(model, 2))
    # A share of all weight, not the weight itself.
    assert repr(merge([short, TokenTree.from_leaves({"1": 3.0})])).endswith("=4.0, unexpanded=0.0203)")


def test_arrays_are_read_only():
    counted = TokenTree.from_sequences(["0", "01"])
    for tree in (counted, merge([counted, counted]), counted.prune(1), counted.binarize()):
        leaves = tree.leaves()
        arrays = [tree.symbols, tree.parents, tree.weights, tree.offsets, tree.leaf_probabilities]
        for array in [*arrays, leaves.node]:
            with pytest.raises(ValueError, match="read-only"):
                array[0] = 0
    with pytest.raises(AttributeError):
        counted.alphabet_size = 3


# Pruning


@given(datasets(longest=66), st.integers(1, 67), st.integers(1, 67))
def test_pruning_twice_is_pruning_once(dataset, one, two):
    q, rows, weights = dataset
    tree = TokenTree.from_sequences(rows, weights, alphabet_size=q)
    assert tree.prune(one).prune(two) == tree.prune(min(one, two))


def test_prune_shares_memory():
    rows = np.random.default_rng(0).integers(0, 2, (100, 20))
    counted = TokenTree.from_sequences(rows)
    for tree in (counted, merge([counted, counted]), pickle.loads(pickle.dumps(counted))):
        assert tree.weights.sum() > 0
        pruned = tree.prune(4)
        for name in ("symbols", "parents", "weights", "offsets"):
            assert np.shares_memory(getattr(pruned, name), getattr(tree, name))


def test_prune_lays_out_no_deeper_level(monkeypatch):
    laid = []
    layout = bands.Band.level
    monkeypatch.setattr(
        bands.Band, "level", lambda band, level, *rest: laid.append(level) or layout(band, level, *rest)
    )
    rows = np.random.default_rng(0).integers(0, 2, (1000, 100))
    tree = TokenTree.from_sequences(rows)
    assert (tree.total_weight, tree.depth) == (1000, 101)
    assert laid == []
    pruned = tree.prune(3)
    pruned.leaves()
    assert laid == [1, 2, 3]
    assert_is(pruned, model(rows.tolist(), depth=3))


# Merging and aligning


@given(datasets(longest=66), st.data())
def test_merge_is_the_tree_of_all_responses(dataset, data):
    q, rows, weights = dataset
    cuts = sorted(data.draw(st.lists(st.integers(0, len(rows)), max_size=3)))
    each = weights or [1] * len(rows)
    parts = [
        (rows[a:b], each[a:b]) for a, b in pairwise([0, *cuts, len(rows)]) if any(w > 0 for w in each[a:b])
    ]
    trees = [TokenTree.from_sequences(some, w, alphabet_size=q) for some, w in parts]
    together = [row for some, _ in parts for row in some], [w for _, some in parts for w in some]
    n = roundings(*together)
    assert_is(merge(trees), model(*together), n)
    if not n:
        assert merge(trees) == TokenTree.from_sequences(*together, alphabet_size=q)


@given(small_counts(), small_counts(), small_counts(), st.integers(1, 6))
def test_merging_counts_commutes_associates_and_commutes_with_pruning(a, b, c, depth):
    one, two, three = map(TokenTree.from_sequences, (a, b, c))
    assert merge([one, two]) == merge([two, one])
    assert merge([merge([one, two]), three]) == merge([one, merge([two, three])]) == merge([one, two, three])
    assert merge([one, two]).prune(depth) == merge([one.prune(depth), two.prune(depth)])
    assert merge([one]) == one


def test_levels_too_wide_for_their_childrens_parents_are_refused():
    # Scaled down from 2**31 nodes, which take 34 GiB before they are laid out.
    sequences = ["000", "001", "010", "011", "100"]
    with mock.patch.object(tree_module, "_MAX_PARENTS", 2):
        counted = TokenTree.from_sequences(sequences)
        with pytest.raises(ValueError, match=r"^tree has 3 nodes at depth 2: .* prune to depth 2 or less$"):
            counted.leaves()
        assert counted.prune(2).weights.tolist() == [5, 4, 1, 2, 2, 1]
        # Also where the nodes are there already, with parents that wrapped.
        laid_out = TokenTree.from_sequences(["0", "1", "2", "4"], alphabet_size=8).prune(1).binarize()
        with pytest.raises(ValueError, match="tree has 3 nodes at depth 2"):
            laid_out.leaves()
        assert laid_out.prune(2).weights.tolist() == [4, 3, 1, 2, 1, 1]


def test_merge_is_exact_near_the_largest_count():
    one = TokenTree.from_sequences(["0", "01"], [2**61, 2**61])
    two = TokenTree.from_sequences(["01", "1"], [2**61 - 1, 2**61])
    joint = merge([one, two])
    assert joint.weight("01") == 2**62 - 1
    assert (joint.weight("0"), joint.total_weight) == (3 * 2**61 - 1, 2**63 - 1)
    with pytest.raises(ValueError, match=re.escape(f"trees count {2**63} responses in all: counts must")):
        merge([TokenTree.from_sequences(["0"], [2**62]), TokenTree.from_sequences(["1"], [2**62])])


@st.composite
def several(draw):
    """Datasets over one alphabet, each of counts or of masses."""
    q = draw(st.sampled_from([2, 3, 70_000]))
    sets = []
    for _ in range(draw(st.integers(1, 4))):
        rows = draw(responses(q, longest=66, most=5))
        sets.append((rows, draw(weight_lists(len(rows)))))
    return q, sets


@given(several(), st.one_of(st.none(), st.integers(1, 67)))
def test_align_is_the_table_of_all_leaves(datasets, depth):
    q, sets = datasets
    trees = [TokenTree.from_sequences(rows, weights, alphabet_size=q) for rows, weights in sets]
    models = [nodes_of(tree.prune(depth or 99)) for tree in trees]
    leaves = leaves_of(set().union(*models))
    expected = [[nodes.get(path, 0) for path in leaves] for nodes in models]
    table = leaf_distributions(trees, depth, weights=True)
    np.testing.assert_array_equal(table, np.array(expected))
    counted = all(tree.weights.dtype == np.int64 for tree in trees)
    assert table.dtype == (np.int64 if counted else np.float64)
    shares = leaf_distributions(trees, depth)
    assert shares.dtype == np.float64
    for row, nodes, share in zip(expected, models, shares, strict=True):
        np.testing.assert_array_equal(share, [weight / nodes[()] for weight in row])


def test_align_counts_that_together_exceed_int64():
    one = TokenTree.from_sequences(["0", "1"], [2**62, 1])
    table = leaf_distributions([one, one, one], weights=True)
    assert table.tolist() == [[2**62, 1]] * 3


def test_align_gives_the_mixture_of_the_merged_tree():
    one, two = TokenTree.from_sequences(["0", "01", "1"]), TokenTree.from_sequences(["01", "111"])
    shared = leaf_distributions([one, two], 2, weights=True)
    np.testing.assert_array_equal(shared.sum(axis=0), merge([one, two]).prune(2).leaves().weight)


# Long responses read in blocks


def blocks_of(data, block, alphabet):
    symbols = [int(b) for byte in data for b in f"{byte:08b}"] if alphabet == "bits" else list(data)
    return [symbols[i : i + block] for i in range(0, len(symbols) + 1, block)]


alphabets = st.sampled_from(["bits", "bytes"])


@given(st.binary(min_size=1, max_size=60), st.integers(1, 80), alphabets)
def test_from_bytes_is_split_by_hand(data, block, alphabet):
    tree = TokenTree.from_bytes(data, block, alphabet)
    expected = blocks_of(data, block, alphabet)
    assert_is(tree, model(expected, depth=block))
    assert tree.total_weight == len(data) * (8 if alphabet == "bits" else 1) // block + 1
    assert tree.alphabet_size == (2 if alphabet == "bits" else 256)
    assert TokenTree.from_bytes(bytearray(data), block, alphabet) == tree
    assert TokenTree.from_bytes(memoryview(data), block, alphabet) == tree


def test_the_last_block_closes_even_if_empty():
    even = TokenTree.from_bytes(b"abab", 2, "bytes")
    assert (even.weight(b"ab"), even.weight("", eos=True), even.total_weight) == (2, 1, 3)
    odd = TokenTree.from_bytes(b"aba", 2, "bytes")
    assert (odd.weight(b"ab"), odd.weight(b"a", eos=True), odd.total_weight) == (1, 1, 2)


@given(st.text(min_size=1, max_size=30), st.integers(1, 20), alphabets)
def test_from_text_encodes(text, block, alphabet):
    assert TokenTree.from_text(text, block, alphabet) == TokenTree.from_bytes(text.encode(), block, alphabet)
    utf16 = TokenTree.from_text(text, block, alphabet, encoding="utf-16")
    assert utf16 == TokenTree.from_bytes(text.encode("utf-16"), block, alphabet)


@given(st.binary(min_size=1, max_size=60), st.integers(1, 80), alphabets, st.integers(1, 70))
def test_from_file_is_from_bytes_however_it_is_read(tmp_path_factory, data, block, alphabet, chunk):
    path = tmp_path_factory.getbasetemp() / "data"
    path.write_bytes(data)
    read = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runs, "batch_bytes", lambda width: chunk)
        found = TokenTree.from_file(path, block, alphabet, progress=read.append)
    assert found == TokenTree.from_bytes(data, block, alphabet)
    assert sum(read) == len(data)
    assert max(read) <= chunk


@pytest.mark.parametrize(("block", "alphabet"), [(3, "bytes"), (13, "bits"), (16, "bits")])
def test_from_file_longer_than_one_chunk(tmp_path, block, alphabet, monkeypatch):
    monkeypatch.setattr(runs, "batch_bytes", lambda width: 2**22)
    size = 2**22 + 4099
    data = np.random.default_rng(2).choice(np.frombuffer(b"abc", np.uint8), size).tobytes()
    (tmp_path / "long").write_bytes(data)
    read = []
    found = TokenTree.from_file(str(tmp_path / "long"), block, alphabet, progress=read.append)
    assert found == TokenTree.from_bytes(data, block, alphabet)
    assert sum(read) == size
    assert len(read) == 2
    symbols = (
        np.unpackbits(np.frombuffer(data, np.uint8)) if alphabet == "bits" else np.frombuffer(data, np.uint8)
    )
    whole = symbols[: len(symbols) // block * block].reshape(-1, block)
    counted = Counter(row.tobytes() for row in whole)
    leaves = found.leaves()
    cut = [leaf for leaf in leaves if leaf.kind is LeafKind.CUT]
    assert {bytes(leaf.prefix): leaf.weight for leaf in cut} == counted
    (last,) = (leaf for leaf in leaves if leaf.kind is LeafKind.EOS)
    assert last.prefix == tuple(symbols[whole.size :].tolist())


def test_a_block_longer_than_the_file(tmp_path):
    (tmp_path / "short").write_bytes(b"abc")
    assert TokenTree.from_file(tmp_path / "short", 10**15) == TokenTree.from_bytes(b"abc", 25)


# Binary form


@given(datasets(longest=12), st.one_of(st.none(), st.integers(1, 13)))
def test_binarize(dataset, depth):
    q, rows, weights = dataset
    tree = TokenTree.from_sequences(rows, weights, alphabet_size=q, depth=depth)
    binary = tree.binarize()
    width = max(1, (q - 1).bit_length())
    spelled = [[int(b) for symbol in row for b in f"{symbol:0{width}b}"] for row in rows]
    assert_is(binary, model(spelled, weights, depth and depth * width), 2 * roundings(rows, weights))
    assert binary.alphabet_size == 2
    np.testing.assert_array_equal(binary.leaf_probabilities, tree.leaf_probabilities)
    ours, theirs = binary.leaves(), tree.leaves()
    np.testing.assert_array_equal(ours.kind, theirs.kind)
    for leaf, original in zip(ours, theirs, strict=True):
        assert leaf.prefix == tuple(int(b) for s in original.prefix for b in f"{s:0{width}b}")
    assert binary.binarize() == binary


# Keeping


@given(datasets(longest=66), st.one_of(st.none(), st.integers(1, 67)))
def test_save_load_pickle_and_copy_give_the_tree_back(tmp_path_factory, dataset, depth):
    q, rows, weights = dataset
    path = tmp_path_factory.getbasetemp() / "kept"
    tree = TokenTree.from_sequences(rows, weights, alphabet_size=q, depth=depth)
    tree.save(path)
    loaded = TokenTree.load(path), TokenTree.load(str(path))
    for other in (*loaded, pickle.loads(pickle.dumps(tree)), copy.deepcopy(tree)):
        assert other == tree
        assert other.weights.dtype == tree.weights.dtype
        assert not other.weights.flags.writeable
        assert nodes_of(other) == nodes_of(tree)


def test_equality():
    tree = TokenTree.from_sequences(["0", "01"])
    assert tree == TokenTree.from_sequences(["01", "0"])
    for other in (
        TokenTree.from_sequences(["0", "01"], alphabet_size=3),
        TokenTree.from_sequences(["0", "01"], [1.0, 1.0]),
        TokenTree.from_sequences(["0", "01"], [1, 2]),
        TokenTree.from_sequences(["0", "00"]),
        TokenTree.from_sequences(["1", "01"]),
        tree.prune(1),
        "tree",
    ):
        assert tree != other
    with pytest.raises(TypeError, match="unhashable"):
        hash(tree)


@pytest.fixture(scope="module")
def kept():
    return TokenTree.from_sequences(["00", "01", "1", "01"])


def refused(path, reason=""):
    message = re.escape(f"path = {str(path)!r} is not an intact file written by TokenTree.save: ")
    with pytest.raises(ValueError, match=message) as caught:
        TokenTree.load(path)
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)


def test_truncated_at_any_length(tmp_path, kept):
    kept.save(tmp_path / "whole")
    raw = (tmp_path / "whole").read_bytes()
    for length in [*range(0, len(raw), 37), len(raw) - 1]:
        (tmp_path / "part").write_bytes(raw[:length])
        refused(tmp_path / "part", "it is an archive whose end is missing" if length else "it is empty")


def test_damaged_anywhere(tmp_path, kept):
    kept.save(tmp_path / "whole")
    raw = (tmp_path / "whole").read_bytes()
    refusals = []
    for at in range(0, len(raw), 3):
        (tmp_path / "damaged").write_bytes(raw[:at] + bytes([raw[at] ^ 0xFF]) + raw[at + 1 :])
        try:
            # Some bytes of an archive, such as its dates, mean nothing.
            assert TokenTree.load(tmp_path / "damaged") == kept
        except ValueError as error:
            refusals.append(str(error))
    assert all("is not an intact file written by TokenTree.save: " in r and "\n" not in r for r in refusals)
    assert len(refusals) > len(raw) / 6


class Trap:
    def __reduce__(self):
        return os._exit, (1,)


def test_foreign_files(tmp_path):
    path = tmp_path / "foreign"
    for content in (b"", b"hello\nworld\n", b"\x93NUMPY", bytes(1000), pickle.dumps(Trap())):
        path.write_bytes(content)
        refused(path)
    with open(path, "wb") as file:
        np.save(file, np.arange(3))
    refused(path, r"it is no .npz archive, but begins with b'\x93NUMPY\x01\x00'")
    with open(path, "wb") as file:
        np.savez(file, something=np.arange(3))
    refused(path, "it has no array 'format'")


def archive(path, tree, **changed):
    parts = {
        name: getattr(tree, name) for name in ("alphabet_size", "symbols", "parents", "weights", "offsets")
    }
    parts |= {"format": "tokentree.TokenTree", "version": 1} | changed
    parts = {name: np.asarray(value) for name, value in parts.items()}
    with open(path, "wb") as file:
        np.savez(file, **{"sha256": np.array(digest(parts))} | parts)


def but(array, at, value):
    array = array.copy()
    array[at] = value
    return array


def test_archive_writes_what_load_reads(tmp_path, kept):
    archive(tmp_path / "tree", kept)
    assert TokenTree.load(tmp_path / "tree") == kept


# Nodes of the kept tree: root; 0, 1; 00, 01, 1$; 00$, 01$. Their weights: 4; 3, 1; 1, 2, 1; 1, 2.
@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda t: {"format": "other.Format"}, "its format is other.Format"),
        (lambda t: {"version": 2}, "its version is 2, and this library reads 1"),
        (lambda t: {"version": 1.0}, "integer"),
        (lambda t: {"alphabet_size": np.inf}, "integer"),
        (lambda t: {"alphabet_size": 2.5}, "integer"),
        (lambda t: {"alphabet_size": [2, 2]}, "integer"),
        (lambda t: {"alphabet_size": 0}, "arrays have the wrong shape or type"),
        (lambda t: {"alphabet_size": 2**31 + 1}, "arrays have the wrong shape or type"),
        (lambda t: {"alphabet_size": 70_000}, "arrays have the wrong shape or type"),
        (lambda t: {"alphabet_size": 1}, "a symbol is outside the alphabet"),
        (lambda t: {"symbols": 1}, "arrays have the wrong shape or type"),
        (lambda t: {"offsets": 1}, "arrays have the wrong shape or type"),
        (lambda t: {"symbols": t.symbols[:-1]}, "arrays have the wrong shape or type"),
        (lambda t: {"symbols": t.symbols.astype(float)}, "arrays have the wrong shape or type"),
        (lambda t: {"parents": t.parents.astype(float)}, "arrays have the wrong shape or type"),
        (lambda t: {"parents": t.parents.astype(np.int8)}, "arrays have the wrong shape or type"),
        (lambda t: {"weights": t.weights[:, None]}, "arrays have the wrong shape or type"),
        (lambda t: {"weights": t.weights.astype(np.int32)}, "arrays have the wrong shape or type"),
        (lambda t: {"weights": t.weights.astype(">i8")}, "arrays have the wrong shape or type"),
        (lambda t: {"weights": t.weights.astype(object)}, "it holds Python objects, which are never loaded"),
        (lambda t: {"offsets": t.offsets[:-1]}, "level offsets do not increase"),
        (lambda t: {"offsets": t.offsets[:0]}, "level offsets do not increase"),
        (lambda t: {"offsets": t.offsets + 1}, "level offsets do not increase"),
        (lambda t: {"offsets": but(t.offsets, 2, 1)}, "level offsets do not increase"),
        (lambda t: {"symbols": but(t.symbols, 1, 2)}, "a symbol is outside the alphabet"),
        (lambda t: {"symbols": but(t.symbols, 1, -3)}, "a symbol is outside the alphabet"),
        (lambda t: {"symbols": but(t.symbols, 0, EOS)}, "a symbol is outside the alphabet"),
        (lambda t: {"weights": but(t.weights, 7, -2)}, "a weight is negative or not finite"),
        (lambda t: {"weights": but(t.weights * 1.0, 7, np.nan)}, "a weight is negative or not finite"),
        (lambda t: {"weights": but(t.weights * 1.0, 7, np.inf)}, "a weight is negative or not finite"),
        (lambda t: {"weights": 0 * t.weights}, "the total is zero"),
        (lambda t: {"symbols": but(t.symbols, [1, 2], [1, 0])}, "nodes at depth 1 are out of order"),
        (lambda t: {"symbols": but(t.symbols, 2, 0)}, "nodes at depth 1 are out of order"),
        (lambda t: {"parents": but(t.parents, 4, 1)}, "nodes at depth 2 are out of order"),
        (lambda t: {"parents": but(t.parents, 5, 2)}, "nodes at depth 2 have the wrong parents"),
        (lambda t: {"parents": but(t.parents, 3, -1)}, "nodes at depth 2 have the wrong parents"),
        (lambda t: {"symbols": but(t.symbols, 5, 0)}, "nodes at depth 3 have the wrong parents"),
        (lambda t: {"weights": but(t.weights, 7, 3)}, "weights at depth 3 do not add up"),
        (lambda t: {"weights": but(t.weights, 0, 5)}, "weights at depth 1 do not add up"),
        (lambda t: {"weights": but(t.weights * 1.0, 7, 2 + 1e-7)}, "weights at depth 3 do not add up"),
    ],
)  # fmt: skip
def test_archives_that_hold_no_tree(tmp_path, kept, change, reason):
    archive(tmp_path / "bad", kept, **change(kept))
    refused(tmp_path / "bad", reason)


def test_counts_in_an_archive_add_up_exactly(tmp_path):
    tree = TokenTree.from_sequences(["0"], [2**60])
    archive(tmp_path / "off", tree, weights=but(tree.weights, 2, 2**60 + 1))
    refused(tmp_path / "off", "weights at depth 2 do not add up")


def test_save_is_atomic(tmp_path, monkeypatch, kept):
    path = tmp_path / "tree"
    kept.save(path)

    def fail(file, **arrays):
        file.write(b"half")
        raise OSError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(np, "savez_compressed", fail)
        with pytest.raises(OSError, match="disk full"):
            TokenTree.from_sequences(["1"]).save(path)
        with pytest.raises(OSError, match="disk full"):
            kept.save(tmp_path / "new")
    assert os.listdir(tmp_path) == ["tree"]
    assert TokenTree.load(path) == kept
    TokenTree.from_sequences(["1"]).save(path)
    assert TokenTree.load(path) == TokenTree.from_sequences(["1"])
    assert os.listdir(tmp_path) == ["tree"]


def test_saved_files_are_as_readable_as_any_other(tmp_path, kept):
    before = os.umask(0o022)
    try:
        kept.save(tmp_path / "tree")
    finally:
        os.umask(before)
    assert (tmp_path / "tree").stat().st_mode & 0o777 == 0o644


def test_files_that_cannot_be_opened(tmp_path, kept):
    with pytest.raises(FileNotFoundError):
        TokenTree.load(tmp_path / "missing")
    with pytest.raises(IsADirectoryError):
        TokenTree.load(tmp_path)
    with pytest.raises(FileNotFoundError):
        kept.save(tmp_path / "missing" / "tree")
    with pytest.raises(OSError, match="directory"):
        kept.save(tmp_path)
    assert os.listdir(tmp_path) == []
    with pytest.raises(FileNotFoundError):
        TokenTree.from_file(tmp_path / "missing", 8)


# What bad input gets

SOME = TokenTree.from_sequences(["0", "01"])
CUT = TokenTree.from_sequences(["0", "01"], depth=1)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: TokenTree.from_sequences([]), ValueError, "sequences is empty: a dataset needs at least"),
        (lambda: TokenTree.from_sequences(np.zeros((0, 3), int)), ValueError, "sequences is empty"),
        (lambda: TokenTree.from_sequences("01"), TypeError, "sequences = '01' is a single response: pass"),
        (lambda: TokenTree.from_sequences([3]), TypeError, "sequences[0] = 3: must be a string of digits or"),
        (lambda: TokenTree.from_sequences(["0", "012"]), ValueError,
         "sequences[1][2] = '2': symbols must lie in 0..1 (alphabet_size = 2)"),
        (lambda: TokenTree.from_sequences(["0", "a"]), ValueError, "sequences[1][0] = 'a': a string holds d"),
        (lambda: TokenTree.from_sequences([[0], [], [1, -1]]), ValueError, "sequences[2][1] = -1: symbols"),
        (lambda: TokenTree.from_sequences(np.array([[0, 1], [3, 0]]).T), ValueError, "sequences[0][1] = 3"),
        (lambda: TokenTree.from_sequences([[0.0]]), TypeError, "sequences[0][0] = 0.0: must be an integer"),
        (lambda: TokenTree.from_sequences([[[0, 1], [1, 0]]]), TypeError, "sequences[0][0] = [0, 1]: must"),
        (lambda: TokenTree.from_sequences([np.eye(2, dtype=int)]), TypeError, "sequences[0][0] = [1, 0]"),
        (lambda: TokenTree.from_sequences([[0, [1]]]), TypeError, "sequences[0][1] = [1]: must be an integ"),
        (lambda: TokenTree.from_sequences(["\ud800"]), ValueError, "sequences[0][0] = '\\ud800'"),
        (lambda: TokenTree.from_sequences(np.zeros((2, 2))), TypeError, "shape (2, 2) and dtype float64:"),
        (lambda: TokenTree.from_sequences(np.zeros(2, int)), TypeError, "sequences has shape (2,) and dty"),
        (lambda: TokenTree.from_sequences(["0"], alphabet_size=0), ValueError, "alphabet_size = 0: must b"),
        (lambda: TokenTree.from_sequences(["0"], alphabet_size=2.0), TypeError, "alphabet_size = 2.0: mus"),
        (lambda: TokenTree.from_sequences(["0"], alphabet_size=2**31 + 1), ValueError,
         "alphabet_size = 2147483649: must be at most 2**31"),
        (lambda: TokenTree.from_sequences(["0"], depth=0), ValueError, "depth = 0: must be an integer >= 1"),
        (lambda: TokenTree.from_sequences(["0"], depth=1.5), TypeError, "depth = 1.5: must be an integer"),
        (lambda: TokenTree.from_sequences(["0", "1"], [1, -2]), ValueError, "weights[1] = -2: must be fin"),
        (lambda: TokenTree.from_sequences(["0", "1"], [1, np.nan]), ValueError, "weights[1] = nan: must b"),
        (lambda: TokenTree.from_sequences(["0", "1"], [np.inf, 1]), ValueError, "weights[0] = inf: must b"),
        (lambda: TokenTree.from_sequences(["0", "1"], [0, 0]), ValueError, "the total must be finite and"),
        (lambda: TokenTree.from_sequences(["0", "1"], [1e308] * 2), ValueError, "weights add up to inf: t"),
        (lambda: TokenTree.from_sequences(["0", "1"], [2**62] * 2), ValueError,
         "weights add up to 9223372036854775808: counts must stay below 2**63"),
        (lambda: TokenTree.from_sequences(["0", "1"], [1]), ValueError, "weights has shape (1,): must be"),
        (lambda: TokenTree.from_sequences(["0"], [True]), TypeError, "weights has dtype bool: must be rea"),
        (lambda: TokenTree.from_leaves([("0", 1)]), TypeError, "leaves is a list: must map each response"),
        (lambda: TokenTree.from_bytes("text", 2), TypeError, "data is a str: must be contiguous bytes"),
        (lambda: TokenTree.from_bytes(memoryview(b"abcd")[::2], 2), TypeError, "data is a memoryview: mus"),
        (lambda: TokenTree.from_bytes(b"", 2), ValueError, "data is empty: a dataset needs at least one b"),
        (lambda: TokenTree.from_bytes(b"a", 0), ValueError, "depth = 0: must be an integer >= 1"),
        (lambda: TokenTree.from_bytes(b"a", "8"), TypeError, "depth = '8': must be an integer >= 1"),
        (lambda: TokenTree.from_bytes(b"a", 2, "nibbles"), ValueError,
         "alphabet = 'nibbles': must be 'bits' or 'bytes'"),
        (lambda: TokenTree.from_text(b"a", 2), TypeError, "text is a bytes: must be a str; use from_bytes"),
        (lambda: TokenTree.from_text("", 2), ValueError, "text is empty: a dataset needs at least one byte"),
        (lambda: SOME.prune(0), ValueError, "depth = 0: must be an integer >= 1"),
        (lambda: SOME.prune(True), ValueError, "depth = True: must be an integer >= 1"),
        (lambda: SOME.weight("02"), ValueError, "prefix[1] = '2': symbols must lie in 0..1 (alphabet_size"),
        (lambda: SOME.weight([0, 5]), ValueError, "prefix[1] = 5: symbols must lie in 0..1 (alphabet_size"),
        (lambda: SOME.weight(3), TypeError, "prefix = 3: must be a string of digits or a sequence of inte"),
        (lambda: CUT.weight("01"), ValueError, "prefix = '01' runs below depth 1, where the tree was cut"),
        (lambda: merge([]), ValueError, "trees is empty: at least one tree is needed"),
        (lambda: merge([SOME, "0"]), TypeError, "trees[1] is a str: must be a TokenTree"),
        (lambda: merge([SOME, TokenTree.from_sequences(["0"], alphabet_size=3)]), ValueError,
         "trees[1] has alphabet_size 3 and trees[0] has 2: they must agree; count again"),
        (lambda: merge([SOME, TokenTree.from_sequences(["0"], [0.5])]), ValueError,
         "trees[1] and trees[0] mix counts and masses: all must be of one kind"),
        (lambda: merge([SOME, CUT]), ValueError,
         "trees[1] is cut at depth 1 and another tree reaches depth 3: prune all to depth 1 or less"),
        (lambda: merge([TokenTree.from_sequences(["0"], [1e308])] * 2), ValueError, "trees have total mass"),
        (lambda: leaf_distributions([]), ValueError, "trees is empty: at least one tree is needed"),
        (lambda: leaf_distributions([SOME, 3], depth=1), TypeError, "trees[1] is a int: must be a TokenTree"),
        (lambda: leaf_distributions([SOME], depth=0), ValueError, "depth = 0: must be an integer >= 1"),
        (lambda: leaf_distributions([SOME, CUT]), ValueError, "trees[1] is cut at depth 1 and another tree"),
    ],
)  # fmt: skip
def test_bad_input(unchecked, call, error, message):
    # Users run without the annotations being checked; the messages must be our own.
    with pytest.raises(error, match=re.escape(message)):
        call()


def test_an_empty_file_is_named(tmp_path):
    (tmp_path / "empty").touch()
    with pytest.raises(ValueError, match=r"file '.*empty' is empty: a dataset needs at least one byte"):
        TokenTree.from_file(tmp_path / "empty", 8)


# Size


@pytest.mark.slow
def test_ten_million_responses():
    rng = np.random.default_rng(3)
    values = rng.integers(0, 2**24, 10**7, dtype=np.uint32)
    rows = np.unpackbits(values.astype(">u4").view(np.uint8).reshape(-1, 4), axis=1)[:, 8:]
    tracemalloc.start()
    tree = TokenTree.from_sequences(rows)
    assert (tree.depth, tree.total_weight) == (25, 10**7)
    distinct, counts = np.unique(values, return_counts=True)
    assert tree.n_leaves == len(distinct)
    np.testing.assert_array_equal(tree.weights[tree.level(25)], counts)
    for depth in (1, 5, 12, 24):
        prefixes, counts = np.unique(values >> np.uint32(24 - depth), return_counts=True)
        np.testing.assert_array_equal(tree.weights[tree.level(depth)], counts)
        np.testing.assert_array_equal(tree.symbols[tree.level(depth)], prefixes & 1)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * 2**30


@pytest.mark.parametrize("length", [0, 1, 57, 58, 59, 64, 65])
@pytest.mark.parametrize("last", [1.0, 0.5])
def test_few_responses_are_read_as_many_are(length, last):
    """A few rows of bits take a way of their own; ten times as many, of which some end early, do not."""
    rows = np.random.default_rng(length).integers(0, 2, (9, length))
    few = ["".join(map(str, row)) for row in rows.tolist()]
    few.append(few[0][: int(last * length)])
    trees = [
        TokenTree.from_sequences(few),
        TokenTree.from_sequences([list(map(int, row)) for row in few]),
        TokenTree.from_sequences(few * 10),
    ]
    if last == 1:
        trees.append(TokenTree.from_sequences(np.array([list(row) for row in few], dtype="U1").astype(int)))
    for tree in trees[1:]:
        scale = tree.total_weight // trees[0].total_weight
        np.testing.assert_array_equal(tree.weights, scale * trees[0].weights)
        np.testing.assert_array_equal(tree.offsets, trees[0].offsets)
    for row in few:
        expected = sum(other.startswith(row) for other in few)
        assert trees[0].weight(row) == expected
