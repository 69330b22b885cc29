"""Masses below the range of float64, against exact rationals."""

import copy
import itertools
import math
import pickle
from collections import Counter
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given, strategies as st

from tokentree import (
    BlockCodec,
    HuffmanCode,
    Mixture,
    TokenTree,
    ideal_code_length,
    leaf_distributions,
    merge,
    model_rates,
    modelled_depth,
    unexpanded_bounds,
)
from tokentree._lib import log_masses
from tokentree.adapters import ReadError, read_along, read_model
from tokentree.models import NGramModel, rates
from tokentree.trees.files import validate

LEAST = Fraction(1, 2**1022)


def log(mass):
    """Natural logarithm of a rational of any size."""
    return math.log(mass.numerator) - math.log(mass.denominator) if mass else -math.inf


# Arrays of masses

fractions = st.builds(
    lambda number, power: Fraction(number, 2**power), st.integers(0, 2**53), st.integers(53, 3000)
)


def written(masses):
    return np.array([log(mass) if 0 < mass < LEAST else float(mass) for mass in masses])


def assert_are(found, exact):
    logs = [log(mass) for mass in exact]
    assert log_masses.logs(found).tolist() == pytest.approx(logs, rel=1e-15, abs=1e-12)
    # Which of the two stands there may be a matter of rounding at the border.
    clear = [not 1 - 2**-30 < mass / LEAST < 1 + 2**-30 for mass in exact]
    assert (found < 0)[clear].tolist() == [0 < mass < LEAST for mass in np.array(exact)[clear]]


@given(st.lists(st.tuples(fractions, fractions), min_size=1, max_size=5))
@example([(Fraction(1, 2**2000), Fraction(1, 2**1500))])
def test_products(pairs):
    a, b = zip(*pairs, strict=True)
    assert_are(log_masses.product(written(a), written(b)), [x * y for x, y in pairs])


@given(st.lists(st.tuples(fractions, fractions), min_size=1, max_size=5))
def test_products_of_scaled_numbers(pairs):
    (m, i), (n, j) = (log_masses.scaled(written(masses)) for masses in zip(*pairs, strict=True))
    numbers, shift = log_masses.scaled(m * n)
    assert ((numbers == 0) | ((numbers >= 2.0**-500) & (numbers <= 1))).all()
    assert_are(log_masses.of_scaled(numbers, i + j + shift), [x * y for x, y in pairs])


@given(st.lists(st.lists(fractions, min_size=1, max_size=3), min_size=1, max_size=4))
def test_sums(segments):
    masses = [mass for segment in segments for mass in segment]
    first = np.cumsum([0, *map(len, segments[:-1])])
    assert_are(log_masses.segment_sums(written(masses), first), [sum(segment) for segment in segments])
    totals = [Fraction(0)] * len(masses)
    sums, places = np.zeros(len(masses)), np.arange(len(masses))
    for order in (places, places[::-1]):
        totals = [total + masses[i] for total, i in zip(totals, order.tolist(), strict=True)]
        log_masses.add_to(sums, places, written(masses)[order])
    assert_are(sums, totals)


@given(st.lists(fractions, min_size=1, max_size=5), st.integers(1, 2**60))
def test_shares(masses, total):
    assert_are(
        log_masses.shares(written(masses), float(total)), [mass / int(float(total)) for mass in masses]
    )


def test_counts_and_ordinary_masses_stay_as_they_are():
    for array in (np.array([3, 0, 1]), np.array([0.5, 0.0, 1e-300])):
        assert log_masses.rounded(array) is array
        assert log_masses.segment_sums(array, np.array([0, 1])).dtype == array.dtype
    assert log_masses.rounded(np.array([-720.0, -800.0, 1.0])).tolist() == [math.exp(-720), 0.0, 1.0]


# Models and documents


class Table:
    """Rows of rationals down to 2^-40 that depend on the last token and on the length so far."""

    def __init__(self, width, seed, ends=True):
        parts = 2 ** np.random.default_rng(seed).integers(0, 40, (width, 7, width + ends))
        self.exact = [[[Fraction(int(n), int(row.sum())) for n in row] for row in rows] for rows in parts]
        self.logs = np.log(np.array(self.exact, dtype=float))
        self.eos = frozenset({width} if ends else ())

    def __call__(self, prefixes):
        return self.logs[[p[-1] if p else 0 for p in prefixes], [len(p) % 7 for p in prefixes]]

    def chances(self, path):
        """What the model gives each token of a response, closed by -1 if it ends."""
        return [self.exact[path[i - 1] if i else 0][i % 7][token] for i, token in enumerate(path)]


class Positions(Table):
    """The same model, which also answers for all of a sequence."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.asked, self.called = [], []

    def __call__(self, prefixes):
        self.called.extend(prefixes)
        return super().__call__(prefixes)

    def along(self, sequence, start, stop):
        self.asked.append((sequence, start, stop))
        return super().__call__([sequence[:i] for i in range(start, stop)])


def documents(width, seed, lengths):
    """Long responses, each of which begins as the one before it does."""
    rng = np.random.default_rng(seed)
    found = [rng.integers(0, width, lengths[0]).tolist()]
    for length in lengths[1:]:
        shared = found[-1][: rng.integers(0, length + 1)]
        found.append(shared + rng.integers(0, width, max(0, length - len(shared))).tolist())
    return found


corpora = st.tuples(
    st.integers(2, 4), st.integers(0, 2**32), st.lists(st.integers(0, 120), min_size=1, max_size=3)
)


@given(corpora, st.integers(1, 200), st.booleans())
def test_long_documents_have_their_log_loss_at_every_depth(arguments, batch_size, cut):
    width, seed, lengths = arguments
    model, rows = Table(width, seed), documents(width, seed, lengths)
    data = TokenTree.from_sequences(
        rows, alphabet_size=width, depth=max(lengths) if cut and max(lengths) else None
    )
    along = read_along(model, data, batch_size=batch_size)
    validate(along.alphabet_size, along.offsets, along.symbols, along.parents, along._nodes[2])
    paths = [[*row, -1][: data.depth] for row in rows]
    bits = [[-log(chance) / math.log(2) for chance in model.chances(path)] for path in paths]
    for row, path, lost in zip(rows, paths, bits, strict=True):
        found = along.log_weight(row, eos=path[-1] == -1)
        assert found == pytest.approx(-math.fsum(lost) * math.log(2), rel=1e-14, abs=1e-14)
    found, curve = model_rates(along, data, huffman=False), modelled_depth(along, data, 0.0)
    for d in sorted({1, (data.depth + 1) // 2, data.depth}):
        loss = math.fsum(x for lost in bits for x in lost[:d]) / len(rows)
        counts = Counter(tuple(path[:d]) for path in paths).values()
        entropy = math.fsum(n / len(rows) * math.log2(len(rows) / n) for n in counts)
        assert found.log_loss[d - 1] == pytest.approx(loss, rel=1e-14, abs=1e-14)
        assert found.entropy[d - 1] == pytest.approx(entropy, rel=1e-14, abs=1e-14)
        assert found.tokens[d - 1] == sum(len(path[:d]) for path in paths) / len(rows)
        assert curve.upper[d - 1] == pytest.approx(loss - entropy, rel=1e-13, abs=1e-13)
    assert np.array_equal(curve.lower, curve.upper)


@pytest.mark.parametrize("n", [618, 619, 5000])
def test_one_document(n):
    data = TokenTree.from_sequences(np.ones((1, n), int), depth=n)
    row = np.log([[0.7, 0.3]])
    along = read_along(lambda prefixes: row.repeat(len(prefixes), axis=0), data, batch_size=1000)
    bits = n * -math.log2(0.3)
    assert model_rates(along, data, huffman=False).log_loss[-1] == pytest.approx(bits, rel=1e-14)
    assert modelled_depth(along, data, 0.0).upper[-1] == pytest.approx(bits, rel=1e-14)


@given(corpora, st.integers(1, 200))
def test_a_model_that_answers_for_whole_sequences_gives_the_same_tree(arguments, batch_size):
    width, seed, lengths = arguments
    rows = documents(width, seed, lengths)
    data = TokenTree.from_sequences(rows, alphabet_size=width)
    model, prompt = Positions(width, seed), (1, 0)
    found = read_along(model, data, prompt=prompt, batch_size=batch_size)
    assert found == read_along(Table(width, seed), data, prompt=prompt, batch_size=batch_size)
    prefixes = data.n_nodes - data.n_leaves
    # Paths that end where no other response goes on.
    ends = [row for row in map(tuple, rows) if not any(row == tuple(r[: len(row)]) != tuple(r) for r in rows)]
    assert bool(model.asked) == (prefixes >= 16 * len(set(ends)))
    if model.asked:
        # Prefixes by themselves are asked for only to see whether the answer is still the same.
        assert set(model.called) == {prompt}
        assert sum(stop - start for _, start, stop in set(model.asked)) == prefixes
        assert all(2 <= start < stop <= min(start + batch_size, len(p) + 1) for p, start, stop in model.asked)
        assert {p for p, *_ in model.asked} == {(*prompt, *row) for row in ends}
    else:
        assert len(set(model.called)) == prefixes


def test_what_a_model_says_of_positions_is_checked():
    data = TokenTree.from_sequences([[0, 1] * 40])

    class Wrong(Positions):
        def along(self, sequence, start, stop):
            rows = super().along(sequence, start, stop)
            return rows[1:] if self.short else np.where(np.arange(start, stop)[:, None] == 70, np.nan, rows)

    model = Wrong(2, 0)
    for model.short, message in (
        (True, r"answered 1 prefixes with shape \(0, 3\)"),
        (False, "of 0 is nan"),
    ):
        with pytest.raises(ReadError, match=message) as caught:
            read_along(model, data, prompt=[1])
        assert caught.value.tree.prune(1).total_weight == 1
    assert str(caught.value).startswith(f"after prefix {(0, 1) * 34 + (0,)} the log-probability")


def test_n_gram_models_look_at_no_more_than_they_need():
    rng = np.random.default_rng(0)
    model = NGramModel.fit([rng.integers(0, 5, 300).tolist()], order=3, alphabet_size=5)
    document = tuple(rng.integers(0, 5, 40).tolist())
    plain = model([document[:i] for i in range(41)])
    assert np.array_equal(model.along(document, 0, 41), plain)
    assert np.array_equal(model([(0, 7, *document[-2:])]), plain[-1:])
    with pytest.raises(ValueError, match=r"prefixes\[1\]\[3\] = 5"):
        model([(), (0, 0, 0, 5)])


# Single probabilities of that size


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("tiny", [-720.0, -800.0, -1e30])
def test_one_probability_below_the_range_of_floats(dtype, tiny):
    def model(prefixes):
        return np.array([[tiny, 0.0, tiny]] * len(prefixes), dtype)

    data = TokenTree.from_sequences([[0, 1, 0], [1]])
    along = read_along(model, data, eos=[2])
    tiny = float(dtype(tiny))
    assert along.log_weight([0, 1, 0], eos=True) == pytest.approx(3 * tiny, rel=1e-14)
    loss = model_rates(along, data, base=math.e).log_loss
    assert loss.tolist() == pytest.approx(-tiny * np.array([0.5, 1, 1.5, 2]), rel=1e-14)


def test_such_a_probability_is_renormalized():
    data = TokenTree.from_sequences([[0]], depth=1)
    along = read_along(lambda prefixes: np.array([[-801.0, -1.0]] * len(prefixes)), data, renormalize=True)
    assert along.log_weight([0]) == pytest.approx(-800, rel=1e-15)


def test_what_is_impossible_stays_so():
    data = TokenTree.from_sequences([[0] * 120, [0] * 110 + [1]])
    row = [[2.0**-10, 0.0, 1 - 2.0**-10]]
    with np.errstate(divide="ignore"):
        along = read_along(lambda prefixes: np.log(row * len(prefixes)), data, eos=[2])
    assert along.log_weight([0] * 110 + [1]) == -math.inf
    assert model_rates(along, data).log_loss[[109, 110]].tolist() == pytest.approx(
        [1100, math.inf], rel=1e-15
    )
    assert modelled_depth(along, data, 0.0).lower[110] == math.inf


def test_a_read_lists_what_floats_hold():
    tree = read_model(lambda prefixes: np.array([[0.0, -740.0, -800.0]] * len(prefixes)), 2)
    assert tree.log_weight([0, 1]) == pytest.approx(-740, rel=1e-15)
    assert tree.log_weight([1, 1]) == pytest.approx(-1480, rel=1e-15)
    assert tree.log_weight([2]) == -math.inf
    with pytest.raises(
        ValueError, match=r"below 2\*\*-1022 at depth 1, which float64 cannot hold: use log_weights"
    ):
        tree.weights  # noqa: B018 (reading it is what is refused)


# Reading below the range of floats


def narrow(length, beyond):
    """2^-20 for one token and nothing known of the rest, until prefixes are `length` long."""

    def model(prefixes):
        rows = [[2.0**-20, 0, 0] if len(p) < length else beyond[p[length:]] for p in prefixes]
        with np.errstate(divide="ignore"):
            return np.log(rows)

    model.partial = True
    return model


@pytest.mark.parametrize("length", [0, 50, 51, 52, 60, 300])
def test_the_most_probable_prefixes_come_first_all_the_way_down(length):
    rng = np.random.default_rng(0)
    paths = (p for n in range(6) for p in itertools.product(range(3), repeat=n))
    beyond = {p: rng.dirichlet([1, 1, 1]) for p in paths}
    # A prefix of the first part adds its token and what is unexpanded beside it.
    tree = read_model(narrow(length, beyond), length + 6, max_nodes=2 * length + 160)
    other = read_model(narrow(0, beyond), 6, max_nodes=160)
    assert other.n_nodes > 140
    for down in range(1, other.depth + 1):
        here, there = tree.level(length + down), other.level(down)
        assert np.array_equal(tree.symbols[here], other.symbols[there])
        expected = other.log_weights[there] - 20 * length * math.log(2)
        assert np.allclose(tree.log_weights[here], expected, rtol=1e-14, atol=1e-13)


@pytest.mark.parametrize(("least", "last"), [(1e-310, 51), (1e-300, 49), (5e-324, 53), (0.0, 69)])
def test_reads_stop_at_the_least_probability(least, last):
    tree = read_model(narrow(100, {}), 70, min_probability=least)
    # The children of the last prefix, and the unexpanded leaf below.
    assert tree.depth == min(last + 2, 70)
    assert np.count_nonzero(tree.symbols >= 0) == last + 2


# Trees


GOING = 2.0**-8


def spine(depth, going=GOING, other=0.25):
    """A full tree: one token goes on, the rest ends; at the bottom there is another token."""

    def model(prefixes):
        rows = [[0, 0, going, other * (len(p) == depth - 1)] for p in prefixes]
        with np.errstate(divide="ignore"):
            return np.log([[*row, 1 - sum(row)] for row in rows])

    return read_model(model, depth, eos=[4])


@pytest.fixture(scope="module")
def deep():
    return spine(200)


def test_deep_trees_are_kept_saved_and_compared(deep, tmp_path):
    deep.save(tmp_path / "deep")
    for other in (TokenTree.load(tmp_path / "deep"), pickle.loads(pickle.dumps(deep)), copy.deepcopy(deep)):
        assert other == deep
    assert deep != spine(200, other=0.125)
    assert deep.prune(127) == spine(210).prune(127)
    assert deep.prune(127).weights[-1] == pytest.approx(2.0**-1016, rel=1e-13)


@pytest.mark.parametrize(
    ("place", "weight", "message"),
    [
        (-1, -700.0, "a weight is negative"),
        (-1, -math.inf, "a weight is negative"),
        (0, -800.0, "the total is zero"),
        (-1, -1105.0, "weights at depth 200 do not add up"),
        (-1, 0.0, "weights at depth 200 do not add up"),
        (-1, 1e-10, "weights at depth 200 do not add up"),
        (-4, 0.0, "weights at depth 199 do not add up"),
        (-4, 0.5, "weights at depth 199 do not add up"),
        (-5, -1099.0, "weights at depth 199 do not add up"),
    ],
)
def test_damaged_logarithms_are_found_out(deep, tmp_path, place, weight, message):
    weights = deep._nodes[2].copy()
    weights[place] = weight
    TokenTree(4, deep.offsets, (deep.symbols, deep.parents, weights)).save(tmp_path / "bad")
    with pytest.raises(ValueError, match=message):
        TokenTree.load(tmp_path / "bad")


def test_something_below_nothing_is_found_out(deep, tmp_path):
    weights = deep._nodes[2].copy()
    # Two nodes a level: end-of-sequence, and what goes on.
    weights[-5], weights[-4] = weights[-6], 0
    TokenTree(4, deep.offsets, (deep.symbols, deep.parents, weights)).save(tmp_path / "bad")
    with pytest.raises(ValueError, match="weights at depth 200 do not add up"):
        TokenTree.load(tmp_path / "bad")


def test_binary_symbols_share_their_masses(deep):
    binary = deep.binarize()
    validate(2, binary.offsets, binary.symbols, binary.parents, binary._nodes[2])
    assert binary.log_weights[binary._leaf_nodes].tolist() == deep.log_weights[deep._leaf_nodes].tolist()
    # The symbols 2 and 3 begin with the same bit.
    expected = math.log(0.25 + GOING) + 199 * math.log(GOING)
    assert binary.log_weight([1, 0] * 199 + [1]) == pytest.approx(expected, rel=1e-15)


def test_merging_adds_up():
    trees = [spine(200), spine(200, GOING / 2), TokenTree.from_leaves({"22": 2.0}, 4, depth=200)]
    both = merge(trees)
    assert both == merge(trees[::-1])
    assert both.total_weight == 4
    for length in (2, 100, 120, 180):
        exact = Fraction(GOING) ** length + Fraction(GOING / 2) ** length + (2 if length == 2 else 0)
        assert both.log_weight([2] * length) == pytest.approx(log(exact), rel=1e-14)


def test_weights_that_floats_hold_are_given_and_others_refused(deep):
    assert deep.weight([2] * 120) == pytest.approx(2.0**-960, rel=1e-13)
    assert deep.weight([2] * 160 + [3]) == 0
    with pytest.raises(
        ValueError, match=r"the weight is exp\(-887\.22\d+\), which float64 cannot hold: log_weight"
    ):
        deep.weight([2] * 160)
    expected = 160 * math.log(GOING) + math.log1p(-GOING)
    assert deep.log_weight([2] * 160, eos=True) == pytest.approx(expected, rel=1e-15)


@pytest.mark.parametrize(
    "use",
    [
        lambda tree: tree.weights,
        lambda tree: tree.leaves(),
        lambda tree: tree.leaf_probabilities,
        lambda tree: tree.to_networkx(),
        lambda tree: tree.to_graphviz(),
        lambda tree: leaf_distributions([tree, tree]),
        lambda tree: leaf_distributions([tree, tree], weights=True),
        lambda tree: Mixture.from_trees([tree, tree]),
        lambda tree: unexpanded_bounds([tree, tree]),
        lambda tree: HuffmanCode.from_tree(tree),
        lambda tree: BlockCodec(tree),
    ],
)
def test_what_can_only_use_masses_refuses_others(deep, use):
    with pytest.raises(
        ValueError, match=r"has masses below 2\*\*-1022 at depth 128, .*: prune it to depth 127"
    ):
        use(deep)


# Of the number of symbols, 1 to 200, with the last one's split in three.
LENGTHS = [(1 - GOING) * GOING ** (n - 1) for n in range(1, 120)]
BITS = math.fsum(-p * math.log2(p) for p in LENGTHS)


def test_entropies_need_no_masses_below_the_range_of_floats(deep):
    assert model_rates(deep, deep, huffman=False).entropy[-1] == pytest.approx(BITS, rel=1e-14)
    assert ideal_code_length(deep, 200) == 1


def test_deep_trees_are_shown(deep):
    assert "their probability" in deep._repr_html_()
    assert "their probability" in read_model(lambda p: np.array([[0.0, -740.0]] * len(p)), 1)._repr_html_()


def test_unexpanded_masses_below_the_range_of_floats():
    row = np.log([[GOING, 1 - GOING]])
    tree = read_model(lambda prefixes: row.repeat(len(prefixes), axis=0), 180, eos=[1], max_nodes=2 + 2 * 150)
    assert tree.depth == 151
    assert repr(tree).endswith("total_weight=1.0, unexpanded=exp(-832))")
    with pytest.raises(ValueError, match=r"tree has the unexpanded weight exp\(-831\.7\d+\)"):
        tree.unexpanded_weight  # noqa: B018 (reading it is what is refused)
    data = TokenTree.from_sequences([[0] * 180], alphabet_size=1)
    assert model_rates(tree, data, [150], huffman=False).log_loss.tolist() == [1200]
    with pytest.warns(
        UserWarning, match=r"list prefix \(0, 0, 0, 0, \.\.\., 0, 0, 0, 0\) of 151 tokens, where 100% of"
    ):
        assert model_rates(tree, data, [151], huffman=False).log_loss_lower.tolist() == [1200]
    assert modelled_depth(tree, data, 0.0).upper[[149, 150]].tolist() == [1200, math.inf]
    with pytest.raises(ValueError, match="unexpanded weight"):
        modelled_depth(data, tree, 0.0)


# Data that are masses, too


def test_data_of_masses_below_the_range_of_floats(deep):
    model = spine(200, GOING / 2)
    lost = (math.log2(1 - GOING / 2) + 9 * n for n in range(0, -119, -1))
    loss = math.fsum(-p * bits for p, bits in zip(LENGTHS, lost, strict=True))
    assert model_rates(model, deep, huffman=False).log_loss[-1] == pytest.approx(loss, rel=1e-14)
    assert modelled_depth(model, deep, 0.0).upper[-1] == pytest.approx(loss - BITS, rel=1e-11)


def test_rare_data_where_the_model_has_nothing(deep):
    # What occurs once in 2^1400 costs infinitely much where it cannot.
    pruned = deep.prune(175)
    symbols = pruned.symbols.copy()
    symbols[-1] = 3
    other = TokenTree(4, pruned.offsets, (symbols, pruned.parents, pruned._nodes[2]))
    assert model_rates(other, pruned, huffman=False).log_loss[[173, 174]].tolist() == [
        pytest.approx(BITS, rel=1e-14),
        math.inf,
    ]
    assert modelled_depth(other, pruned, 0.0).lower[[173, 174]].tolist() == [0, math.inf]


def test_quotients_below_the_range_of_floats():
    data = TokenTree.from_leaves({"0": 1e300, "1": 1e-300})
    assert model_rates(data, TokenTree.from_leaves({"1": 1}), [1], base=math.e).log_loss[0] == pytest.approx(
        600 * math.log(10), rel=1e-15
    )


# Codes


def test_codes_of_long_documents():
    n = 150
    data = TokenTree.from_sequences([[0] * n], depth=n)
    row = np.log([[2.0**-10, 1 - 2.0**-10]])
    along = read_along(lambda prefixes: row.repeat(len(prefixes), axis=0), data)
    found = model_rates(along, data, [1, 60, n], arithmetic=True)
    assert found.log_loss.tolist() == pytest.approx([10, 600, 1500], rel=1e-15)
    assert found.huffman[:2].tolist() == [1, 60]
    assert np.isnan(found.huffman[2])
    # The coder has no probabilities below 2^-24: see model_rates.
    assert 24 - 1 < found.arithmetic[2] <= 24 + 64 + 1
    assert model_rates(along, data, [60], huffman=True).huffman.tolist() == [60]
    with pytest.raises(
        ValueError, match=r"huffman = True: model_tree has masses below 2\*\*-1022 at depth 150"
    ):
        model_rates(along, data, [60, n], huffman=True)
    assert np.isnan(model_rates(along, data, [60], huffman=False).huffman).all()


def test_many_codes_are_built_on_request(monkeypatch):
    data = TokenTree.from_leaves({"00": 1, "01": 1, "10": 2, "11": 4}, depth=2)
    monkeypatch.setattr(rates, "_CODES", 1)
    assert np.isnan(model_rates(data, data).huffman).all()
    assert model_rates(data, data, [2]).huffman.tolist() == [1.75]
    assert model_rates(data, data, huffman=True).huffman.tolist() == [1, 1.75]
