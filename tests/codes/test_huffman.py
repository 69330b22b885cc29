"""Huffman lengths and codes against exhaustive search, exact integers, and two peer libraries."""

import heapq
import itertools
import pickle
import re
from collections import Counter
from fractions import Fraction
from math import prod
from unittest import mock

import constriction
import numpy as np
import pytest
from bitarray.util import huffman_code
from hypothesis import given, strategies as st
from hypothesis.extra import numpy as hnp

from tokentree.codes import HuffmanCode, huffman_lengths, lengths as lengths_module
from tokentree.strategies import distributions, pareto_masses
from tokentree.trees import TokenTree

# Few values make many ties; the wide range makes deep trees.
counts = st.one_of(st.integers(0, 4), st.integers(0, 10**6), st.integers(0, 60).map(lambda e: 2**e))
count_lists = st.lists(counts, min_size=1, max_size=60)
fractions = st.fractions(0, 10, max_denominator=50)


def exact(values):
    return np.array(values, dtype=object)


def cost(weights, lengths):
    """Total sum w l, exactly: a float is the Fraction it stands for."""
    pairs = zip(np.asarray(weights).tolist(), np.asarray(lengths).tolist(), strict=True)
    return sum(Fraction(w) * length for w, length in pairs)


def one_by_one(weights):
    """Cost and height of the code that merges two at a time, with the lower tree first on ties."""
    heap = [(w, 0) for w in weights]
    heapq.heapify(heap)
    total = 0
    while len(heap) > 1:
        (a, low), (b, high) = heapq.heappop(heap), heapq.heappop(heap)
        total += a + b
        heapq.heappush(heap, (a + b, 1 + max(low, high)))
    return total, heap[0][1]


def fibonacci(n):
    numbers = [1, 1]
    while len(numbers) < n:
        numbers.append(numbers[-1] + numbers[-2])
    return numbers[:n]


def random_code(rng, size, depth_bias):
    """Complete code grown by splitting leaves; a large bias splits the newest leaf over and over."""
    lengths = [0]
    while len(lengths) < size:
        i = len(lengths) - 1 if rng.random() < depth_bias else int(rng.integers(len(lengths)))
        lengths[i] += 1
        lengths.append(lengths[i])
    return HuffmanCode(rng.permutation(lengths))


# --- optimality


def feasible(n):
    """All multisets of n lengths that some prefix code has: Kraft's inequality."""
    return [
        lengths
        for lengths in itertools.combinations_with_replacement(range(n + 1), n)
        if sum(Fraction(1, 2**length) for length in lengths) <= 1
    ]


FEASIBLE = {n: feasible(n) for n in range(1, 8)}


@given(st.lists(st.one_of(fractions, st.integers(0, 5)), min_size=1, max_size=7))
def test_no_prefix_code_is_cheaper_and_no_optimal_one_is_flatter(weights):
    heaviest_first = sorted(weights, reverse=True)
    costs = [(cost(exact(heaviest_first), ls), max(ls)) for ls in FEASIBLE[len(weights)]]
    lengths = huffman_lengths(exact(weights))
    assert (cost(exact(weights), lengths), lengths.max()) == min(costs)


@given(count_lists)
def test_agrees_with_merging_one_pair_at_a_time(weights):
    lengths = huffman_lengths(weights)
    assert (cost(weights, lengths), lengths.max()) == one_by_one(weights)


@pytest.mark.parametrize("size", [1000, 20_000])
@pytest.mark.parametrize("exponent", [0.3, 1.2, 4.0])
def test_agrees_with_merging_one_pair_at_a_time_at_size(size, exponent):
    weights = (np.random.default_rng(size).pareto(exponent, size) * 10).clip(max=1e12).astype(np.int64)
    lengths = huffman_lengths(weights)
    assert (int(weights @ lengths), lengths.max()) == one_by_one(weights.tolist())


@given(st.lists(counts, min_size=2, max_size=60))
def test_costs_what_bitarray_costs(weights):
    peer = huffman_code(dict(enumerate(weights)))
    lengths = [len(peer[i]) for i in range(len(weights))]
    assert cost(weights, huffman_lengths(weights)) == cost(weights, lengths)


@given(st.lists(st.integers(0, 2**40), min_size=2, max_size=60))
def test_costs_what_constriction_costs(weights):
    # Below 2**40 each, the sums are exact in the peer's float64 too.
    tree = constriction.symbol.huffman.EncoderHuffmanTree(np.array(weights, dtype=np.float64))
    peer = []
    for i in range(len(weights)):
        coder = constriction.symbol.QueueEncoder()
        coder.encode_symbol(i, tree)
        peer.append(coder.get_compressed()[1])
    assert cost(weights, huffman_lengths(weights)) == cost(weights, peer)


@given(count_lists)
def test_kraft_equality(weights):
    lengths = huffman_lengths(weights).tolist()
    assert sum(Fraction(1, 2**length) for length in lengths) == 1
    assert HuffmanCode(lengths).kraft_sum == 1


@given(st.lists(st.integers(1, 200), min_size=1, max_size=20))
def test_mean_length_is_within_one_bit_above_the_entropy(weights):
    # H <= L < H + 1 times the total T, as powers of 2: whole numbers, so nothing is rounded.
    total = sum(weights)
    spent = prod(w**w for w in weights) * 2 ** int(cost(weights, huffman_lengths(weights)))
    assert total**total <= spent < total**total * 2**total


@given(count_lists, st.randoms(use_true_random=False))
def test_cost_does_not_depend_on_the_order(weights, random):
    shuffled = random.sample(weights, len(weights))
    assert cost(weights, huffman_lengths(weights)) == cost(shuffled, huffman_lengths(shuffled))


@given(count_lists)
def test_heavier_or_earlier_symbols_never_get_longer_codewords(weights):
    lengths = huffman_lengths(weights)
    ranked = sorted(range(len(weights)), key=lambda i: (-weights[i], i))
    assert (np.diff(lengths[ranked]) >= 0).all()


def in_rounds(weights):
    """Lengths from rounds over arrays, also where a loop over numbers is the faster."""
    with mock.patch.multiple(lengths_module, _ROUND=0, _INSERTED=0):
        return huffman_lengths(weights)


@given(
    st.one_of(
        count_lists,
        hnp.arrays(np.float64, st.integers(1, 60), elements=st.just(0.0) | st.floats(5e-324, 1.7e308)),
        st.lists(st.integers(0, 5), min_size=60, max_size=200),
    )
)
def test_rounds_and_a_loop_give_the_same_lengths(weights):
    assert in_rounds(weights).tolist() == huffman_lengths(weights).tolist()


@given(count_lists)
def test_rounds_agree_with_merging_one_pair_at_a_time(weights):
    lengths = in_rounds(weights)
    assert (cost(weights, lengths), lengths.max()) == one_by_one(weights)


@pytest.mark.parametrize("size", [2_000, 200_000])
def test_rounds_and_a_loop_agree_on_codes_of_a_thousand_levels(size):
    # By themselves the 2,000 would be taken one by one, and the 200,000 in rounds.
    weights = np.random.default_rng(0).permutation(np.exp(-np.linspace(0, 700, size)))
    lengths = in_rounds(weights)
    assert lengths.max() > 1000
    with mock.patch.multiple(lengths_module, _ROUND=np.inf, _INSERTED=0):
        assert (lengths == huffman_lengths(weights)).all()


def test_ties_are_settled_the_same_way_at_any_size():
    # 2**17 + 1 equal weights: the last two symbols share the longest codewords.
    lengths = huffman_lengths(np.ones(2**17 + 1))
    assert Counter(lengths.tolist()) == {17: 2**17 - 1, 18: 2}
    assert lengths[-2:].tolist() == [18, 18]


@pytest.mark.parametrize("dtype", [np.float64, object])
@pytest.mark.parametrize(
    ("base", "powers", "longest"),
    [(2, 20, 40), pytest.param(4, 40, 110, marks=pytest.mark.slow), (4, 200, 450)],
)
def test_ties_on_many_levels_of_a_large_code(base, powers, longest, dtype):
    # More symbols than are compared at once; levels, and then ties, few enough to compare with each, or not.
    steps = np.array([base**i for i in range(powers)], dtype=object)
    weights = np.random.default_rng(0).choice(steps, 20_000).astype(dtype)
    lengths = huffman_lengths(weights)
    least = one_by_one([Fraction(w) for w in weights.tolist()])[0]
    assert least <= cost(weights, lengths) <= least * (1 + Fraction(0 if dtype is object else 20_000, 2**52))
    ranked = sorted(zip((-weights).tolist(), range(weights.size), lengths.tolist(), strict=True))
    assert [length for _, _, length in ranked] == sorted(lengths)
    assert longest / 2 < lengths.max() < longest


def test_cover_and_thomas_example_of_five_symbols():
    p = [0.25, 0.25, 0.2, 0.15, 0.15]
    code = HuffmanCode.from_weights(p)
    assert sorted(code.lengths) == [2, 2, 2, 3, 3]
    assert code.expected_length(p) == pytest.approx(2.3, rel=5 * 2**-53)


def test_cover_and_thomas_two_optimal_sets_of_lengths():
    # (1/3, 1/3, 1/4, 1/12) has the optimal lengths (2, 2, 2, 2) and (1, 2, 3, 3): the flatter ones are ours.
    weights = exact([Fraction(1, 3), Fraction(1, 3), Fraction(1, 4), Fraction(1, 12)])
    assert huffman_lengths(weights).tolist() == [2, 2, 2, 2]
    assert cost(weights, [2, 2, 2, 2]) == cost(weights, [1, 2, 3, 3])


@pytest.mark.parametrize("largest", [5, pytest.param(8, marks=pytest.mark.slow)])
def test_every_six_small_weights_are_coded_at_the_least_cost(largest):
    # A round merges several pairs at once: here are all its ways to end, with a leaf or a node left over.
    for weights in map(np.array, itertools.combinations_with_replacement(range(1, largest + 1), 6)):
        lengths = in_rounds(weights)
        assert lengths @ weights == one_by_one(weights.tolist())[0]
        assert lengths.tolist() == huffman_lengths(weights).tolist()


# --- kinds of weights


@given(st.lists(st.integers(0, 2**20), min_size=1, max_size=40), st.integers(-1074, 1003))
def test_floats_and_integers_agree_where_sums_are_exact(weights, exponent):
    # From subnormal numbers to totals beyond the largest float.
    floats = np.ldexp(np.array(weights, dtype=np.float64), exponent)
    assert np.array_equal(huffman_lengths(floats), huffman_lengths(weights))


def test_floats_are_scaled_only_where_their_total_would_overflow():
    # Any scale down would lose the last bits of the light ones, and which are equal.
    tiny = 5e-324
    for heavy in (3000.0, 1e300):
        assert sorted(huffman_lengths([tiny, tiny, tiny, 3 * tiny, heavy])) == [1, 2, 3, 4, 4]


# Every merge of floats replaces a + b by (a + b)(1 + e) with |e| <= U, and the cost of any code for what is
# left changes by at most that factor. To choose by the rounded cost loses at most (1 + U) / (1 - U) a merge.
U = Fraction(1, 2**53)
LOSS_PER_MERGE = (1 + U) / (1 - U)


@given(
    hnp.arrays(np.float64, st.integers(1, 40), elements=st.just(0.0) | st.floats(1e-290, 1.7e308))
    | distributions(max_leaves=40).map(np.array)
    | pareto_masses(max_leaves=40).map(np.array)
)
def test_floats_are_optimal_up_to_rounding(weights):
    optimum = one_by_one([Fraction(w) for w in weights.tolist()])[0]
    loss = LOSS_PER_MERGE ** (weights.size - 1)
    assert optimum <= cost(weights, huffman_lengths(weights)) <= optimum * loss


@pytest.mark.parametrize(
    "dtype", [np.int8, np.uint8, np.int32, np.uint64, np.float16, np.float32, ">i8", "<f8"]
)
def test_every_dtype_of_real_numbers(dtype):
    assert huffman_lengths(np.array([1, 1, 2, 3, 5, 8], dtype=dtype)).tolist() == [5, 5, 4, 3, 2, 1]


@pytest.mark.parametrize(
    "weights",
    [
        np.array([2**63 - 1] * 5),
        np.array([2**64 - 1] * 5, dtype=np.uint64),
        np.array([np.int64(2**63 - 1)] * 5, dtype=object),
        [10**40] * 5,
        [1.7e308] * 5,
        [5e-324] * 5,
        [1e-300] * 5,
        [Fraction(1, 5)] * 5,
        [0] * 5,
        [0.0] * 5,
    ],
)
def test_totals_that_would_overflow_and_other_equal_weights(weights):
    assert huffman_lengths(weights).tolist() == in_rounds(weights).tolist() == [2, 2, 2, 3, 3]


def test_totals_beyond_int64_are_exact():
    # The two lightest differ from the others by one in 2**62.
    weights = [2**62, 2**62 - 1, 2**62, 2**62 - 1, 2**62]
    assert huffman_lengths(weights).tolist() == in_rounds(weights).tolist() == [2, 3, 2, 3, 2]
    # A sum modulo 2**64 would be 1.
    weights = [1, 2**62, 2**62, 2**62, 2**62]
    assert huffman_lengths(weights).tolist() == in_rounds(weights).tolist() == [3, 2, 2, 2, 3]


def test_fibonacci_numbers_make_the_longest_codeword():
    weights = fibonacci(1400)
    lengths = huffman_lengths(weights)
    assert lengths.tolist() == [1399, *range(1399, 0, -1)]
    code = HuffmanCode.from_weights(weights)
    assert code.kraft_sum == 1
    assert code.codewords[0] == "1" * 1398 + "0"
    assert code.codewords[-1] == "0"


def test_fibonacci_floats():
    weights = np.array([float(w) for w in fibonacci(1400)])
    optimum = one_by_one([int(w) for w in weights])[0]
    assert optimum <= cost(weights, huffman_lengths(weights)) <= optimum * LOSS_PER_MERGE**1399


def test_many_zeros():
    weights = np.zeros(100_003, dtype=np.int64)
    weights[[5, 77]] = 3, 4
    lengths = huffman_lengths(weights)
    assert lengths[77] == 1
    assert lengths[5] == 2
    # 100,001 leaves share the remaining quarter of the code space as evenly as they can.
    assert Counter(lengths.tolist()) == {1: 1, 2: 1, 18: 2**17 - 100_001, 19: 2 * (100_001 - 2**16)}


@pytest.mark.parametrize(
    ("weights", "lengths"),
    [([7], [0]), ([0], [0]), ([0.0, 0.0], [1, 1]), ([1e-300, 1.0], [1, 1]), ([0, 0, 1], [2, 2, 1])],
)
def test_few_symbols(weights, lengths):
    result = huffman_lengths(weights)
    assert result.tolist() == lengths
    assert result.dtype == np.int64


def test_weights_are_left_as_they_were():
    weights = np.array([3, 1, 2])
    huffman_lengths(weights)
    assert weights.tolist() == [3, 1, 2]


@pytest.mark.slow
def test_ten_million_leaves():
    weights = np.random.default_rng(0).integers(0, 10**9, 10**7)
    lengths = huffman_lengths(weights)
    ranked = lengths[np.argsort(weights)]
    assert (np.diff(ranked) <= 0).all()
    assert HuffmanCode(lengths).kraft_sum == 1
    # H <= L < H + 1. Both margins are hundredths of a bit or more; H is rounded in the 13th decimal.
    p = weights[weights > 0] / weights.sum()
    entropy = float(-(p * np.log2(p)).sum())
    mean = int(weights @ lengths) / int(weights.sum())
    assert entropy < mean < entropy + 1


# --- codes


@given(
    st.integers(1, 60), st.floats(0, 1), st.integers(0, 2**32), st.lists(st.integers(0, 10**6), max_size=60)
)
def test_round_trip(size, bias, seed, message):
    code = random_code(np.random.default_rng(seed), size, bias)
    symbols = np.array(message, dtype=np.int64) % size
    bits = code.encode(symbols)
    assert bits.dtype == np.uint8
    assert "".join(map(str, bits)) == "".join(code.codewords[s] for s in symbols)
    assert code.decode(bits, n_symbols=len(message)).tolist() == symbols.tolist()
    if size > 1:
        assert code.decode(bits).tolist() == symbols.tolist()


@given(st.integers(1, 60), st.floats(0, 1), st.integers(0, 2**32))
def test_codewords_are_a_canonical_prefix_code(size, bias, seed):
    code = random_code(np.random.default_rng(seed), size, bias)
    assert [len(word) for word in code.codewords] == code.lengths.tolist()
    # In lexicographic order a prefix stands right before a word that it begins.
    ordered = sorted(code.codewords)
    assert not any(b.startswith(a) for a, b in itertools.pairwise(ordered))
    assert ordered == [code.codewords[i] for i in sorted(range(size), key=lambda i: (code.lengths[i], i))]


@given(st.integers(2, 60), st.floats(0, 1), st.integers(0, 2**32), st.lists(st.integers(0, 1), max_size=200))
def test_any_bits_decode_or_end_inside_a_codeword(size, bias, seed, bits):
    code = random_code(np.random.default_rng(seed), size, bias)
    symbols, start, book = [], 0, {word: i for i, word in enumerate(code.codewords)}
    for end in range(1, len(bits) + 1):
        word = "".join(map(str, bits[start:end]))
        if word in book:
            symbols.append(book[word])
            start = end
    if start == len(bits):
        assert code.decode(bits).tolist() == symbols
    else:
        message = f"bits end at {len(bits)}, inside the codeword that begins at bits[{start}]"
        with pytest.raises(ValueError, match=re.escape(message)):
            code.decode(bits)


def test_round_trip_of_codewords_of_1399_bits():
    code = HuffmanCode.from_weights(fibonacci(1400))
    symbols = np.random.default_rng(0).integers(0, 1400, 300)
    bits = code.encode(symbols)
    assert bits.size == code.lengths[symbols].sum()
    assert code.decode(bits).tolist() == symbols.tolist()
    with pytest.raises(ValueError, match=f"bits end at {bits.size - 1}, inside the codeword"):
        code.decode(bits[:-1])


def test_round_trip_of_a_large_alphabet():
    rng = np.random.default_rng(1)
    code = HuffmanCode.from_weights(rng.pareto(1.2, 200_000))
    symbols = rng.integers(0, 200_000, 20_000)
    assert code.lengths.max() > 16
    assert np.array_equal(code.decode(code.encode(symbols)), symbols)


@pytest.mark.parametrize("cut", [1, 15, 16, 17])
def test_bits_that_end_early_in_a_long_codeword(cut):
    code = HuffmanCode(np.full(2**18, 18))
    with pytest.raises(
        ValueError, match=f"bits end at {18 + cut}, inside the codeword that begins at bits.18."
    ):
        code.decode(code.encode([7, 2**18 - 1])[: 18 + cut])


def test_packed_bits_come_back():
    code = HuffmanCode.from_weights([5, 3, 2, 1])
    bits = code.encode([0, 3, 1, 2, 0])
    assert code.decode(np.unpackbits(np.packbits(bits), count=bits.size)).tolist() == [0, 3, 1, 2, 0]


def test_one_symbol_needs_no_bits():
    code = HuffmanCode.from_weights([3])
    assert code.codewords == ("",)
    assert code.kraft_sum == 1
    assert code.expected_length([1.0]) == 0
    bits = code.encode([0, 0, 0])
    assert bits.size == 0
    assert code.decode(bits, n_symbols=3).tolist() == [0, 0, 0]


def test_empty_message():
    code = HuffmanCode([1, 1])
    assert code.encode([]).tolist() == []
    assert code.decode([]).tolist() == []


def test_booleans_are_bits():
    assert HuffmanCode([1, 1]).decode([True, False]).tolist() == [1, 0]


def test_booleans_are_symbols_not_a_mask():
    code = HuffmanCode([1, 2, 2])
    assert code.encode([True, False, True, True]).tolist() == code.encode([1, 0, 1, 1]).tolist()


@given(st.lists(st.integers(1, 1000), min_size=1, max_size=30), st.integers(0, 2**32))
def test_expected_length(weights, seed):
    code = HuffmanCode.from_weights(weights)
    p = np.random.default_rng(seed).dirichlet(np.ones(len(weights)), size=(2, 3))
    means = code.expected_length(p)
    assert means.shape == (2, 3)
    for row, mean in zip(p.reshape(6, -1), means.ravel(), strict=True):
        # A sum of M products of numbers >= 0 is within M roundings each way of the exact sum.
        assert abs(Fraction(float(mean)) - cost(row, code.lengths)) <= len(weights) * Fraction(mean) / 2**52


def test_code_of_a_tree():
    tree = TokenTree.from_sequences(["00", "00", "01", "1", "1", "1", "1", "0"])
    code = HuffmanCode.from_tree(tree)
    assert code == HuffmanCode.from_weights(tree.leaves().weight)
    assert code.lengths.size == tree.n_leaves


def test_equality_hash_and_repr():
    code = HuffmanCode([1, 2, 2])
    assert code == HuffmanCode.from_weights([5, 1, 1])
    assert hash(code) == hash(HuffmanCode.from_weights([5, 1, 1]))
    assert code != HuffmanCode([2, 1, 2])
    assert code != HuffmanCode([1, 1])
    assert code != "code"
    assert repr(code) == "<HuffmanCode: 3 symbols, 1 to 2 bits>"
    assert pickle.loads(pickle.dumps(code)) == code


def test_codes_are_immutable():
    lengths = np.array([1, 2, 2])
    code = HuffmanCode(lengths)
    lengths[0] = 9
    assert code.lengths.tolist() == [1, 2, 2]
    with pytest.raises(ValueError, match="read-only"):
        code.lengths[0] = 3
    with pytest.raises(AttributeError, match="cannot assign"):
        code.lengths = lengths


# --- what bad input gets


@pytest.mark.parametrize(
    ("weights", "error", "message"),
    [
        ([], ValueError, "weights has shape (0,): its last axis needs at least one weight"),
        (3, ValueError, "weights has shape (): its last axis needs at least one weight"),
        ([1, 2, -3], ValueError, "weights[2] = -3: must be finite and >= 0"),
        ([1.0, -0.5], ValueError, "weights[1] = -0.5: must be finite and >= 0"),
        ([1.0, float("nan")], ValueError, "weights[1] = nan: must be finite and >= 0"),
        ([float("inf"), 1.0], ValueError, "weights[0] = inf: must be finite and >= 0"),
        ([2**70, -1], ValueError, "weights[1] = -1: must be finite and >= 0"),
        ([Fraction(1, 2), Fraction(-1, 2)], ValueError, "weights[1] = -1/2: must be finite and >= 0"),
        (
            [Fraction(1), 0.5],
            TypeError,
            "weights[1] = 0.5: a float together with a Fraction; make all of them Fractions, or all floats",
        ),
        (exact([1, None]), TypeError, "weights[1] = None: must be an int, a float or a Fraction"),
        (["1", "2"], TypeError, "weights holds text: must be real numbers that fit int64 or float64"),
        ([1j, 2], TypeError, "weights has dtype complex128: must be real numbers that fit int64 or float64"),
    ],
)
def test_bad_weights(weights, error, message):
    for door in (huffman_lengths, HuffmanCode.from_weights):
        with pytest.raises(error, match=f"^{re.escape(message)}$"):
            door(weights)


@pytest.mark.parametrize(
    ("lengths", "error", "message"),
    [
        ([], ValueError, "lengths is empty: a code needs at least one symbol"),
        ([[1, 1]], ValueError, "lengths has shape (1, 2): must be one-dimensional"),
        ([1.0, 1.0], TypeError, "lengths has dtype float64: must be integers"),
        (
            [1, -1],
            ValueError,
            "lengths[1] = -1: a complete code of 2 symbols has lengths 0 to 1; from_weights takes weights",
        ),
        (
            [1, 2, 3],
            ValueError,
            "lengths[2] = 3: a complete code of 3 symbols has lengths 0 to 2; from_weights takes weights",
        ),
        (
            [1],
            ValueError,
            "lengths[0] = 1: a complete code of 1 symbols has lengths 0 to 0; from_weights takes weights",
        ),
        ([1, 1, 2], ValueError, "lengths have a Kraft sum 0.25 above 1: a complete code has exactly 1"),
        ([2, 2, 2], ValueError, "lengths have a Kraft sum 0.25 below 1: a complete code has exactly 1"),
        ([0, 1], ValueError, "lengths have a Kraft sum 0.5 above 1: a complete code has exactly 1"),
    ],
)
def test_bad_lengths(lengths, error, message):
    with pytest.raises(error, match=f"^{re.escape(message)}$"):
        HuffmanCode(lengths)


@pytest.mark.parametrize(
    ("symbols", "error", "message"),
    [
        ([0, 1, 3], ValueError, "symbols[2] = 3: symbols are 0 to 2"),
        ([0, -1], ValueError, "symbols[1] = -1: symbols are 0 to 2"),
        ([[0]], ValueError, "symbols has shape (1, 1): must be one-dimensional"),
        ([0.0], TypeError, "symbols has dtype float64: must be integers"),
    ],
)
def test_bad_symbols(symbols, error, message):
    with pytest.raises(error, match=f"^{re.escape(message)}$"):
        HuffmanCode([1, 2, 2]).encode(symbols)


ONE_SYMBOL = (
    "the one symbol of this code has an empty codeword, so there must be no bits, and n_symbols must be given"
)


@pytest.mark.parametrize(
    ("lengths", "bits", "n_symbols", "error", "message"),
    [
        ([1, 2, 2], [0, 1, 2], None, ValueError, "bits[2] = 2: bits are 0 or 1"),
        ([1, 2, 2], [-1], None, ValueError, "bits[0] = -1: bits are 0 or 1"),
        ([1, 2, 2], [0.5], None, TypeError, "bits has dtype float64: must be integers"),
        ([1, 2, 2], [[0]], None, ValueError, "bits has shape (1, 1): must be one-dimensional"),
        ([1, 2, 2], [0, 1], None, ValueError, "bits end at 2, inside the codeword that begins at bits[1]"),
        ([1, 2, 2], [0, 0], 3, ValueError, "bits hold 2 codewords: n_symbols = 3 must match"),
        (
            [1, 2, 2],
            b"",
            None,
            ValueError,
            "bits are 0 bytes: packed bits need n_symbols, the number of symbols in them",
        ),
        ([1, 2, 2], b"p", 9, ValueError, "bits hold 6 codewords: n_symbols = 9 must match"),
        ([1, 2, 2], [0], -1, ValueError, "n_symbols = -1: must be an integer >= 0"),
        ([0], [], None, ValueError, f"bits hold 0 bits and n_symbols = None: {ONE_SYMBOL}"),
        ([0], [0], 1, ValueError, f"bits hold 1 bits and n_symbols = 1: {ONE_SYMBOL}"),
    ],
)
def test_bad_bits(lengths, bits, n_symbols, error, message):
    with pytest.raises(error, match=f"^{re.escape(message)}$"):
        HuffmanCode(lengths).decode(bits, n_symbols)


@pytest.mark.parametrize(
    ("p", "message"),
    [
        ([0.5, 0.5], "p has 2 leaves and the code 3 symbols: they must match"),
        (
            [[0.5, 0.6, 0.5]],
            "p.sum(axis=-1)[0] = 1.6: probabilities must sum to 1 within 1e-09; divide others by their sum",
        ),
        ([0.5, -0.5, 1.0], "p[1] = -0.5: must be finite and >= 0"),
    ],
)
def test_bad_probabilities(p, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        HuffmanCode([1, 2, 2]).expected_length(p)
