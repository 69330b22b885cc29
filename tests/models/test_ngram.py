"""N-gram models against the recursion they are defined by, in fractions."""

import math
import pickle
import sys
from collections import Counter
from dataclasses import FrozenInstanceError
from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from hypothesis import given, strategies as st

from tokentree import TokenTree
from tokentree.adapters import read_model
from tokentree.models import NGramModel

EPS = sys.float_info.epsilon

SMOOTHINGS = ["witten-bell", "kneser-ney"]


class Definition:
    """The model as Witten and Bell, and Chen and Goodman, define it: windows in a Counter, no trie."""

    def __init__(self, sequences, order, q, smoothing, begin, end):
        self.order, self.smoothing, self.begin, self.end = order, smoothing, begin, end
        self.vocabulary = [*range(q), *(["end"] if end else [])]
        padded = [["begin"] * begin + list(map(int, s)) + ["end"] * end for s in sequences]
        self.windows = {
            k: Counter(
                tuple(s[i : i + k]) for s in padded for i in range(len(s) - k + 1) if s[i + k - 1] != "begin"
            )
            for k in range(1, order + 1)
        }
        self.tables = {k: self.counts(k) for k in self.windows}
        self.discounts = {k: self.discount(table) for k, table in self.tables.items()}

    def counts(self, k):
        if self.smoothing == "witten-bell" or k == self.order:
            return dict(self.windows[k])
        lefts = Counter(longer[1:] for longer in self.windows[k + 1])
        return {g: lefts[g] or self.windows[k][g] for g in self.windows[k]}

    @staticmethod
    def discount(table):
        n = Counter(table.values())
        if all(n[i] for i in (1, 2, 3, 4)):
            y = Fraction(n[1], n[1] + 2 * n[2])
            ds = [i - (i + 1) * y * Fraction(n[i + 1], n[i]) for i in (1, 2, 3)]
            if min(ds) > 0:
                return ds
        return [Fraction(1, 2), Fraction(1), Fraction(3, 2)]

    def probability(self, token, prefix):
        return self.interpolated(token, (("begin",) * self.begin + tuple(prefix))[::-1][: self.order - 1])

    def interpolated(self, token, newest_first):
        lower = (
            self.interpolated(token, newest_first[:-1]) if newest_first else Fraction(1, len(self.vocabulary))
        )
        context = newest_first[::-1]
        table = self.tables[len(context) + 1]
        after = {w: table[(*context, w)] for w in self.vocabulary if (*context, w) in table}
        if not after:
            return lower
        total = sum(after.values())
        if self.smoothing == "witten-bell":
            return (after.get(token, 0) + len(after) * lower) / (total + len(after))
        ds = self.discounts[len(context) + 1]
        taken = {w: ds[min(c, 3) - 1] for w, c in after.items()}
        return (after.get(token, 0) - taken.get(token, 0) + sum(taken.values()) * lower) / total

    @property
    def cancellation(self):
        """How much c - D enlarges the rounding of D."""
        return max(float(i / (i - d)) for ds in self.discounts.values() for i, d in enumerate(ds, 1))


def assert_defined(model, definition, prefixes):
    """Two roundings a level in the weight, a few in each a(u w), each relative to a logarithm."""
    rows = model(prefixes)
    assert rows.shape == (len(prefixes), len(definition.vocabulary))
    assert rows.dtype == np.float64
    for row, prefix in zip(rows.tolist(), prefixes, strict=True):
        for value, token in zip(row, definition.vocabulary, strict=True):
            exact = definition.probability(token, prefix)
            expected = math.log(exact.numerator) - math.log(exact.denominator)
            scale = math.log(exact.numerator) + math.log(exact.denominator) + definition.cancellation
            assert abs(value - expected) <= 2 * (model.order + 3) * EPS * scale


@st.composite
def datasets(draw, longest=7):
    q = draw(st.integers(1, 3))
    sequence = st.lists(st.integers(0, q - 1), max_size=longest)
    return draw(st.lists(sequence, min_size=1, max_size=6).filter(any)), q


order = st.integers(1, 9)
smoothing = st.sampled_from(SMOOTHINGS)


@given(datasets(), order, smoothing, st.booleans(), st.booleans(), st.data())
def test_model_is_the_recursion(dataset, order, smoothing, begin, end, data):
    sequences, q = dataset
    model = NGramModel.fit(sequences, order, q, smoothing, begin=begin, end=end)
    prefix = st.lists(st.integers(0, q - 1), max_size=10).map(tuple)
    prefixes = [(), tuple(sequences[0]), *data.draw(st.lists(prefix, max_size=4))]
    definition = Definition(sequences, order, q, smoothing, begin, end)
    assert_defined(model, definition, prefixes)
    assert model.n_parameters == sum(map(len, definition.windows.values()))


@pytest.mark.parametrize("begin", [False, True])
@pytest.mark.parametrize("end", [False, True])
def test_discounts_from_the_counts_of_counts(begin, end):
    # Zipf's law: every count of counts that a discount needs is there.
    sequences = (np.random.default_rng(0).zipf(1.5, (60, 12)) % 12).tolist()
    definition = Definition(sequences, 3, 12, "kneser-ney", begin, end)
    fallback = [Fraction(1, 2), Fraction(1), Fraction(3, 2)]
    assert sum(ds != fallback for ds in definition.discounts.values()) >= 2
    model = NGramModel.fit(sequences, 3, 12, "kneser-ney", begin=begin, end=end)
    assert_defined(model, definition, [p for n in range(3) for p in product(range(12), repeat=n)])


def test_a_discount_of_exactly_zero_falls_back():
    # n_1, ..., n_4 = 4, 3, 5, 1: D_2 = 2 - 3 (4 / 10) (5 / 3) = 0, and floats make it -2e-16 or 4e-16.
    counts = [1] * 4 + [2] * 3 + [3] * 5 + [4]
    sequences = [[token] for token, count in enumerate(counts) for _ in range(count)]
    definition = Definition(sequences, 1, len(counts), "kneser-ney", False, False)
    assert definition.discounts[1] == [Fraction(1, 2), Fraction(1), Fraction(3, 2)]
    model = NGramModel.fit(sequences, 1, len(counts), "kneser-ney", begin=False, end=False)
    assert_defined(model, definition, [()])


@given(datasets(), order, smoothing, st.booleans(), st.booleans())
def test_rows_are_distributions(dataset, order, smoothing, begin, end):
    sequences, q = dataset
    model = NGramModel.fit(sequences, order, q, smoothing, begin=begin, end=end)
    rows = model([tuple(s[:n]) for s in sequences for n in range(len(s) + 1)])
    assert np.isfinite(rows).all()
    # The error of a logarithm as above; a token adds it times p, and the sum of p |log p| is below log 4.
    np.testing.assert_allclose(np.exp(rows).sum(axis=1), 1, rtol=0, atol=8 * (order + 3) * EPS)


@given(datasets(), st.booleans())
def test_unigrams_are_frequencies_up_to_witten_and_bells_share(dataset, end):
    sequences, q = dataset
    tokens = [token for s in sequences for token in [*s, *([q] if end else [])]]
    counts = np.bincount(tokens, minlength=q + end)
    kinds = np.count_nonzero(counts)
    expected = (counts + kinds / (q + end)) / (len(tokens) + kinds)
    model = NGramModel.fit(sequences, 1, q, end=end)
    np.testing.assert_allclose(np.exp(model([(), (0,)])), [expected, expected], rtol=32 * EPS)


@given(datasets(), st.sampled_from([1, 10, 1000]))
def test_high_orders_are_the_token_tree_up_to_witten_and_bells_share(dataset, times):
    sequences, q = dataset
    tree = TokenTree.from_sequences(sequences, [times] * len(sequences), alphabet_size=q)
    model = NGramModel.fit(sequences * times, tree.depth + 1, q)
    for prefix in {tuple(s[:n]) for s in sequences for n in range(len(s) + 1)}:
        counts = [tree.weight([*prefix, w]) if len(prefix) < tree.depth - 1 else 0 for w in range(q)]
        counts = np.array([*counts, tree.weight(prefix, eos=True)])
        kinds = np.count_nonzero(counts)
        share = kinds / (counts.sum() + kinds)
        off = np.abs(np.exp(model([prefix])[0]) - counts / counts.sum())
        assert off.max() <= share + 64 * EPS


@given(datasets(), order, smoothing, st.booleans(), st.booleans(), st.randoms(use_true_random=False))
def test_renaming_symbols_permutes_rows(dataset, order, smoothing, begin, end, random):
    sequences, q = dataset
    names = random.sample(range(q), q)
    renamed = [[names[token] for token in s] for s in random.sample(sequences, len(sequences))]
    model = NGramModel.fit(sequences, order, q, smoothing, begin=begin, end=end)
    other = NGramModel.fit(renamed, order, q, smoothing, begin=begin, end=end)
    columns = [*names, *([q] if end else [])]
    prefixes = [tuple(s[:n]) for s in sequences for n in range(len(s) + 1)]
    answer = other([tuple(names[token] for token in prefix) for prefix in prefixes])
    # The probabilities are the same; the sums inside one context run in another order.
    np.testing.assert_allclose(answer[:, columns], model(prefixes), rtol=0, atol=64 * order * EPS)


@given(datasets(), order, smoothing, st.booleans(), st.booleans(), st.integers(1, 5))
def test_batches_and_old_tokens_do_not_matter(dataset, order, smoothing, begin, end, size):
    sequences, q = dataset
    model = NGramModel.fit(sequences, order, q, smoothing, begin=begin, end=end)
    prefixes = [tuple(s[:n]) for s in sequences for n in range(len(s) + 1)]
    rows = model(prefixes)
    parts = [model(prefixes[i : i + size]) for i in range(0, len(prefixes), size)]
    np.testing.assert_array_equal(rows, np.concatenate(parts))
    long = [prefix for prefix in prefixes if len(prefix) >= order]
    if long:
        recent = [(0, *prefix[len(prefix) - order + 1 :]) for prefix in long]
        np.testing.assert_array_equal(model(long), model(recent))


@given(datasets(), smoothing, st.booleans(), st.booleans(), st.integers(1, 20))
def test_orders_above_the_lengths_change_nothing(dataset, smoothing, begin, end, more):
    sequences, q = dataset
    order = max(map(len, sequences)) + begin + end
    prefixes = [tuple(s[:n]) for s in sequences for n in range(len(s) + 1)]
    models = [NGramModel.fit(sequences, n, q, smoothing, begin=begin, end=end) for n in (order, order + more)]
    np.testing.assert_array_equal(models[0](prefixes), models[1](prefixes))
    assert models[0].n_parameters == models[1].n_parameters


@given(datasets(), order, smoothing)
def test_one_more_of_a_seen_unigram_makes_it_more_probable(dataset, order, smoothing):
    # Order 1 and Witten-Bell only: (c + t / V) / (N + t) grows with c when N grows along and t stays.
    sequences, q = dataset
    token = next(s[0] for s in sequences if s)
    before, after = (
        NGramModel.fit(data, 1, q + 1, end=False)([()])[0] for data in (sequences, [*sequences, [token]])
    )
    assert after[token] > before[token]
    assert (np.delete(after, token) < np.delete(before, token)).all()


@pytest.mark.parametrize("smoothing", SMOOTHINGS)
def test_weights_below_the_smallest_float(smoothing):
    # 0 only, so each context has one follower: b(u) = 1 / (c(u) + 1), or D / c(u).
    length, times, order = 150, 100, 120
    model = NGramModel.fit(["0" * length] * times, order, 2, smoothing, begin=False, end=False)
    value = model([(0,) * order])[0, 1]
    occurrences = [times * (length - k) for k in range(order)]
    if smoothing == "witten-bell":
        backoffs = [Fraction(1, c + 1) for c in occurrences]
    else:
        # Nothing but 0 ever stands before a run of zeros.
        backoffs = [*[Fraction(1, 2)] * (order - 1), Fraction(3, 2) / occurrences[-1]]
    expected = math.fsum(math.log(b) for b in backoffs) - math.log(2)
    assert value == pytest.approx(expected, rel=order * EPS)
    if smoothing == "witten-bell":
        assert expected < math.log(5e-324)


def test_begin_is_a_context_and_end_a_token():
    sequences = ["011", "010", "01"]
    model, stream = NGramModel.fit(sequences, 2), NGramModel.fit(sequences, 2, begin=False, end=False)
    assert (model.eos, stream.eos) == (frozenset({2}), frozenset())
    # (3 + 2 / 3 of unigrams) / 4 with a beginning, (3 + 2 / 2) / (6 + 2) of all tokens without.
    assert np.exp(model([()])[0, 0]) == pytest.approx((3 + (4 + 3 / 3) / (11 + 3)) / 4)
    assert np.exp(stream([()])[0, 0]) == pytest.approx((4 + 2 / 2) / (8 + 2))
    assert stream([()]).shape == (1, 2)


def test_empty_responses_are_responses():
    model = NGramModel.fit([[], [], [0]], 2, 1)
    assert np.exp(model([()])[0, 1]) == pytest.approx((2 + 2 * (3 + 2 / 2) / (4 + 2)) / (3 + 2))
    assert np.exp(NGramModel.fit([[]], 3, 1)([()])[0, 1]) > 0.5


@pytest.mark.parametrize("smoothing", SMOOTHINGS)
def test_large_alphabets(smoothing):
    q = 10**6
    rng = np.random.default_rng(0)
    sequences = rng.integers(0, q, (30, 5)) // rng.integers(1, q, (30, 1))
    model = NGramModel.fit(sequences, 4, q, smoothing)
    prefix = tuple(sequences[0, :3].tolist())
    row = model([prefix])[0]
    assert row.shape == (q + 1,)
    definition = Definition(sequences.tolist(), 4, q, smoothing, True, True)
    definition.vocabulary = _Sized(q + 1, [*np.unique(sequences).tolist(), "end"])
    for token in definition.vocabulary:
        expected = math.log(definition.probability(token, prefix))
        assert row[q if token == "end" else token] == pytest.approx(expected, rel=20 * EPS)
    unseen = np.setdiff1d(np.arange(q), sequences)
    assert len(set(row[unseen].tolist())) == 1
    assert np.exp(row).sum() == pytest.approx(1, abs=1e-14)


class _Sized(list):
    """Tokens worth looking at, of a vocabulary of another size."""

    def __init__(self, size, tokens):
        super().__init__(tokens)
        self.size = size

    def __len__(self):
        return self.size


def test_strings_lists_and_arrays_are_one():
    listed = [[0, 1, 1], [1, 0, 1], [0, 0, 1]]
    models = [NGramModel.fit(data, 3) for data in (listed, ["011", "101", "001"], np.array(listed, bool))]
    rows = [model([(), (0,), (0, 1)]) for model in models]
    np.testing.assert_array_equal(rows[0], rows[1])
    np.testing.assert_array_equal(rows[0], rows[2])


def test_tree_of_the_model():
    model = NGramModel.fit(["0110", "011", "10"], 3)
    leaves = read_model(model, 3, progress=False).leaves()
    for leaf in leaves:
        tokens = (*leaf.prefix, *([2] if leaf.kind.name == "EOS" else []))
        expected = sum(model([tokens[:i]])[0, token] for i, token in enumerate(tokens))
        assert math.log(leaf.probability) == pytest.approx(expected, abs=1e-13)


def test_model_is_a_value():
    model = NGramModel.fit(["01"], 2, smoothing="kneser-ney")
    assert repr(model) == ("NGramModel(order=2, alphabet_size=2, smoothing='kneser-ney', n_parameters=6)")
    with pytest.raises(FrozenInstanceError):
        model.order = 3
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model))([(0,)]), model([(0,)]))


def test_progress_is_shown_on_demand(capsys):
    NGramModel.fit(["0110"], 2)
    assert capsys.readouterr() == ("", "")
    NGramModel.fit(["0110"], 2, progress=True)
    out, err = capsys.readouterr()
    assert out == ""
    assert err


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((["01"], 0), ValueError, "order = 0: must be an integer >= 1"),
        ((["01"], 1.5), TypeError, "order = 1.5: must be an integer >= 1"),
        ((["01"], 2, 0), ValueError, "alphabet_size = 0: must be an integer >= 1"),
        ((["01"], 2, 2**31 + 1), ValueError, r"alphabet_size = 2147483649: must be at most 2\*\*31"),
        ((["01"], 2, 2, "laplace"), ValueError, "smoothing = 'laplace': must be 'witten-bell' or"),
        ((["01", "02"], 2), ValueError, r"sequences\[1\]\[1\] = '2': symbols must lie in 0..1"),
        (([], 2), ValueError, "sequences is empty"),
        (("01", 2), TypeError, "sequences = '01' is a single response"),
    ],
)
def test_bad_arguments(arguments, error, message, unchecked):
    with pytest.raises(error, match=message):
        NGramModel.fit(*arguments)


def test_nothing_to_count():
    with pytest.raises(ValueError, match="sequences hold no symbol"):
        NGramModel.fit([[], []], 2, end=False)


@pytest.mark.parametrize(
    ("prefixes", "error", "message"),
    [
        ([(0,), (1, 2)], ValueError, r"prefixes\[1\]\[1\] = 2: symbols must lie in 0..1"),
        ([(0, -1)], ValueError, r"prefixes\[0\]\[1\] = -1"),
        ([], ValueError, "prefixes is empty"),
        ([(0.5,)], TypeError, r"prefixes\[0\]\[0\] = 0.5: must be an integer"),
    ],
)
def test_bad_prefixes(prefixes, error, message, unchecked):
    model = NGramModel.fit(["01"], 3)
    with pytest.raises(error, match=message):
        model(prefixes)
