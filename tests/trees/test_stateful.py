"""Token trees built, merged, pruned, binarised, saved, loaded and copied in any order, beside a dictionary.

The model of a tree maps the path to every leaf to its weight, in plain Python. A path ends with
end-of-sequence or, where the tree is cut, with its last symbol. Masses are multiples of 1/8, so their sums
are exact as well.
"""

import copy
import math
import pickle
import tempfile
from collections import Counter
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import note, settings, strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, multiple, rule

from tokentree import EOS, LeafKind, TokenTree, leaf_distributions, merge

MOST = 2**63 - 1
ALPHABETS = [2, 2, 3, 1]
STEMS = [0, 0, 0, 0, 62]
"""How many symbols all responses of a tree begin with: some do not fit a machine word."""


@dataclass(frozen=True)
class Model:
    """What a tree should be."""

    q: int
    masses: bool
    paths: dict

    @classmethod
    def of(cls, q, masses, weighted):
        paths = {}
        for path, weight in weighted:
            paths[path] = paths.get(path, 0) + weight
        return cls(q, masses, paths)

    @property
    def depth(self):
        return max(map(len, self.paths))

    @property
    def total(self):
        return sum(self.paths.values())

    @property
    def is_cut(self):
        return any(path[-1] != EOS for path in self.paths)

    @property
    def nodes(self):
        nodes = {}
        for path, weight in self.paths.items():
            for end in range(len(path) + 1):
                nodes[path[:end]] = nodes.get(path[:end], 0) + weight
        return nodes

    def pruned(self, depth):
        return Model.of(self.q, self.masses, ((path[:depth], w) for path, w in self.paths.items()))

    def binary(self):
        width = (self.q - 1).bit_length()
        if self.q <= 2:
            return Model(2, self.masses, self.paths)

        def bits(symbol):
            return [EOS] if symbol == EOS else [int(b) for b in format(symbol, f"0{width}b")]

        spelled = ((tuple(b for s in path for b in bits(s)), w) for path, w in self.paths.items())
        return Model.of(2, self.masses, spelled)


def is_share(found, weight, total):
    """The quotient to its last digit; of numbers beyond 2^53, which are rounded first, to three roundings."""
    if total < 2**53:
        return found == weight / total
    exact = Fraction(weight) / Fraction(total)
    return abs(Fraction(found) - exact) <= Fraction(3.01 * 2.0**-53) * exact


def check(tree, model):
    """The tree is what the model says, in all that it tells about itself."""
    leaves = sorted(model.paths)
    found = tree.leaves()
    nodes = model.nodes
    assert tree.alphabet_size == model.q
    assert tree.weights.dtype == (np.float64 if model.masses else np.int64)
    assert (tree.depth, tree.is_cut) == (model.depth, model.is_cut)
    assert (tree.n_leaves, tree.n_nodes, len(found)) == (len(leaves), len(nodes), len(leaves))
    assert tree.total_weight == model.total
    assert tree.unexpanded_weight == 0
    levels = Counter(map(len, nodes))
    assert np.diff(tree.offsets).tolist() == [levels[depth] for depth in range(model.depth + 1)]
    for leaf, path in zip(found, leaves, strict=True):
        ends = path[-1] == EOS
        assert leaf.prefix == (path[:-1] if ends else path)
        assert leaf.depth == len(path)
        assert leaf.kind == (LeafKind.EOS if ends else LeafKind.CUT)
        assert leaf.weight == model.paths[path]
        assert is_share(leaf.probability, model.paths[path], model.total)
    for path, weight in nodes.items():
        ends = path[-1:] == (EOS,)
        assert tree.weight(path[:-1] if ends else path, eos=ends) == weight


def clash(models):
    """What `merge` should say of trees that it cannot add, or None."""
    deepest = max(model.depth for model in models)
    first = models[0]
    for model in models:
        if model.q != first.q:
            return "they must agree; count again"
        if model.masses != first.masses:
            return "mix counts and masses"
        if model.is_cut and model.depth < deepest:
            return "is cut at depth"
    if not first.masses and sum(model.total for model in models) > MOST:
        return r"counts must stay below 2\*\*63"
    return None


LARGE = [1, 1, 2**53 + 1, 2**62 + 1]
"""Added to one count: beyond what a float64 holds, and beyond int64 when two of them meet."""


class Trees(RuleBasedStateMachine):
    trees = Bundle("trees")

    def __init__(self):
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.saved = {}
        self.made = []

    def teardown(self):
        # Nothing that was done later has changed a tree.
        for tree, model in self.made:
            check(tree, model)
        self.folder.cleanup()

    def keep(self, tree, model):
        check(tree, model)
        self.made.append((tree, model))
        return tree, model

    # Building

    @initialize(target=trees, q=st.sampled_from(ALPHABETS), large=st.sampled_from(LARGE))
    def begin(self, q, large):
        # Responses that end at several depths: there always is something to merge, to prune and to save.
        tree = TokenTree.from_sequences([(), (0,), (0, q - 1)], [large, 1, 1], alphabet_size=q)
        return self.keep(tree, Model.of(q, False, [((EOS,), large), ((0, EOS), 1), ((0, q - 1, EOS), 1)]))

    @rule(target=trees, q=st.sampled_from(ALPHABETS), masses=st.booleans(), data=st.data())
    def build(self, q, masses, data):
        row = st.lists(st.integers(0, q - 1), max_size=4).map(tuple)
        rows = data.draw(st.lists(row, min_size=1, max_size=6), label="responses")
        stem = data.draw(st.sampled_from(STEMS), label="stem")
        rows = [(q - 1,) * stem + row for row in rows]
        small = st.lists(st.integers(0, 4), min_size=len(rows), max_size=len(rows))
        weights = data.draw(small, label="weights")
        if masses:
            weights = [weight / 8 for weight in weights]
        else:
            weights[0] += data.draw(st.sampled_from(LARGE), label="large")
        depth = data.draw(st.one_of(st.none(), st.integers(1, stem + 5)), label="depth")
        array = np.array(weights, dtype=np.float64 if masses else np.int64)
        if not any(weights):
            with pytest.raises(ValueError, match="weights add up to"):
                TokenTree.from_sequences(rows, array, alphabet_size=q, depth=depth)
            return multiple()
        paths = (((*r, EOS)[:depth], w) for r, w in zip(rows, weights, strict=True))
        return self.keep(
            TokenTree.from_sequences(rows, array, alphabet_size=q, depth=depth), Model.of(q, masses, paths)
        )

    @rule(target=trees, kept=trees)
    def build_from_its_own_leaves(self, kept):
        tree, model = kept
        if model.is_cut:
            # Cut leaves beside ended ones: as responses, and counted no deeper than where they are cut.
            rows = [path[:-1] if path[-1] == EOS else path for path in model.paths]
            again = TokenTree.from_sequences(
                rows, list(model.paths.values()), alphabet_size=model.q, depth=model.depth
            )
        else:
            again = TokenTree.from_leaves({path[:-1]: w for path, w in model.paths.items()}, model.q)
        assert again == tree
        return self.keep(again, model)

    # Changing

    @rule(target=trees, kept=trees, depth=st.one_of(st.integers(1, 5), st.integers(1, 70)))
    def prune(self, kept, depth):
        tree, model = kept
        pruned = tree.prune(depth)
        assert (pruned is tree) == (depth >= model.depth)
        return self.keep(pruned, model.pruned(depth))

    @rule(target=trees, kept=trees)
    def binarize(self, kept):
        tree, model = kept
        binary = tree.binarize()
        assert binary.leaf_probabilities.tolist() == tree.leaf_probabilities.tolist()
        return self.keep(binary, model.binary())

    @rule(target=trees, several=st.lists(trees, min_size=2, max_size=4), order=st.randoms())
    def merge(self, several, order):
        return self.sum_of(several, order)

    @rule(target=trees, kept=trees, most=st.integers(2, 6), order=st.randoms())
    def merge_what_goes_together(self, kept, most, order):
        alike = [(t, m) for t, m in self.made if (m.q, m.masses) == (kept[1].q, kept[1].masses)][-most:]
        depth = min((model.depth for _, model in alike if model.is_cut), default=70)
        return self.sum_of([(tree.prune(depth), model.pruned(depth)) for tree, model in alike], order)

    @rule(target=trees, kept=trees, less=st.integers(1, 2), order=st.randoms())
    def merge_with_its_pruning(self, kept, less, order):
        tree, model = kept
        depth = max(1, model.depth - less)
        return self.sum_of([kept, (tree.prune(depth), model.pruned(depth))], order)

    def sum_of(self, several, order):
        trees, models = zip(*several, strict=True)
        reason = clash(models)
        note(f"merge of {len(several)}: {reason}")
        if reason is not None:
            with pytest.raises(ValueError, match=reason):
                merge(trees)
            return multiple()
        merged = merge(trees)
        assert merge(order.sample(trees, len(trees))) == merged
        assert merge([trees[0], *([merge(trees[1:])] if trees[1:] else [])]) == merged
        weighted = [item for model in models for item in model.paths.items()]
        return self.keep(merged, Model.of(models[0].q, models[0].masses, weighted))

    @rule(pair=st.tuples(trees, trees), depth=st.integers(1, 6))
    def leaf_distributions(self, pair, depth):
        (_, one), (_, two) = pair
        short = [model for model in (one, two) if model.is_cut and model.depth < depth]
        if one.q != two.q or short:
            with pytest.raises(ValueError, match="they must agree" if not short else "is cut at depth"):
                leaf_distributions([tree for tree, _ in pair], depth)
            return
        pruned = [model.pruned(depth).paths for model in (one, two)]
        leaves = sorted({*pruned[0], *pruned[1]})
        rows = leaf_distributions([tree for tree, _ in pair], depth).tolist()
        for row, paths, (_, model) in zip(rows, pruned, pair, strict=True):
            for found, leaf in zip(row, leaves, strict=True):
                assert is_share(found, paths.get(leaf, 0), model.total)

    # Keeping

    @rule(kept=trees, name=st.sampled_from("ab"))
    def save(self, kept, name):
        tree, model = kept
        path = Path(self.folder.name, name)
        tree.save(path)
        self.saved[name] = model
        assert TokenTree.load(path) == tree

    @rule(target=trees, name=st.sampled_from("ab"))
    def load(self, name):
        path = Path(self.folder.name, name)
        if name not in self.saved:
            with pytest.raises(FileNotFoundError):
                TokenTree.load(path)
            return multiple()
        return self.keep(TokenTree.load(path), self.saved[name])

    @rule(name=st.sampled_from("ab"), place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
    def load_damaged(self, name, place, bit):
        if name not in self.saved:
            return
        whole = Path(self.folder.name, name).read_bytes()
        path, at = Path(self.folder.name, "damaged"), math.floor(place * len(whole))
        path.write_bytes(whole[:at])
        with pytest.raises(ValueError, match="is not an intact file"):
            TokenTree.load(path)
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1 << bit]) + whole[at + 1 :])
        # A date in the archive may be wrong, the tree may not.
        try:
            tree = TokenTree.load(path)
        except ValueError:
            return
        check(tree, self.saved[name])

    @rule(target=trees, kept=trees, protocol=st.integers(0, pickle.HIGHEST_PROTOCOL))
    def pickle(self, kept, protocol):
        tree, model = kept
        copied = pickle.loads(pickle.dumps(tree, protocol))
        assert copied == tree == copy.deepcopy(tree)
        return self.keep(copied, model)

    # Asking

    @rule(kept=trees, prefix=st.lists(st.integers(0, 3), max_size=6).map(tuple), eos=st.booleans())
    def weight(self, kept, prefix, eos):
        tree, model = kept
        nodes, path = model.nodes, (*prefix, EOS) if eos else prefix
        ancestors = [path[:end] for end in range(len(path) + 1)]
        outside = [symbol for symbol in prefix if symbol >= model.q]
        # It runs below a cut if all nodes down to the last level are there.
        below = len(path) > model.depth and ancestors[model.depth] in nodes
        if outside:
            with pytest.raises(ValueError, match=f"= {outside[0]}: symbols must lie in 0"):
                tree.weight(prefix, eos)
        elif below:
            with pytest.raises(ValueError, match=f"runs below depth {model.depth}"):
                tree.weight(prefix, eos)
        else:
            assert tree.weight(prefix, eos) == nodes.get(path, 0)

    @rule(pair=st.tuples(trees, trees))
    def equal(self, pair):
        (one, model), (two, other) = pair
        assert (one == two) == (model == other)

    @invariant()
    def files_are_those_that_were_written(self):
        files = {path.name for path in Path(self.folder.name).iterdir()} - {"damaged"}
        assert files == set(self.saved)


Trees.TestCase.settings = settings(stateful_step_count=30)
TestTrees = Trees.TestCase
