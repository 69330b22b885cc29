"""Codes for several leaves at once, and arithmetic coding."""

import heapq
import math
import pickle
import sys
from fractions import Fraction
from itertools import count, product

import matplotlib as mpl
import numpy as np
import pytest
from hypothesis import given, strategies as st
from matplotlib import pyplot as plt
from tests.exact import joint

from tokentree import Mixture, huffman_lengths
from tokentree.claims import text_corpus
from tokentree.codes import ArithmeticModel, arithmetic_decode, arithmetic_encode
from tokentree.plotting import plot_extension_gap

LOG2_PHI = math.log2((1 + math.sqrt(5)) / 2)


@st.composite
def small_mixtures(draw):
    m = draw(st.integers(1, 3))
    row = st.lists(st.integers(0, 4), min_size=m, max_size=m).filter(any)
    rows = draw(st.lists(row, min_size=1, max_size=3))
    sizes = draw(st.lists(st.integers(1, 6), min_size=len(rows), max_size=len(rows)))
    return rows, sizes, draw(st.integers(1, 3))


def power(p, b):
    return [math.prod(block, start=Fraction(1)) for block in product(p, repeat=b)]


def optimal_cost(weights):
    """Mean length of a Huffman code by its textbook definition: the sum of all merged weights."""
    order = count()
    heap = [(weight, next(order)) for weight in weights]
    heapq.heapify(heap)
    cost = Fraction(0)
    while len(heap) > 1:
        merged = heapq.heappop(heap)[0] + heapq.heappop(heap)[0]
        cost += merged
        heapq.heappush(heap, (merged, next(order)))
    return cost


@given(small_mixtures())
def test_joint_length_is_optimal_and_within_one_over_b(case):
    rows, sizes, b = case
    q = [mass for mass in joint(rows, sizes)[-1] if mass]
    cost = optimal_cost(power(q, b))
    found = Mixture(rows, sizes).potential(code="huffman", extension=b)
    # Contracting at most 27 lengths b times: under a hundred roundings, all of positive terms.
    assert found == pytest.approx(float(sum(sizes) * cost / b), rel=100 * 2**-53)
    # b H(q) <= cost < b H(q) + 1, exactly: with q = c / C, both sides to the power C^b are integers.
    whole = math.lcm(*(mass.denominator for mass in q))
    if whole**b <= 4000:
        entropy = math.prod((1 / mass) ** int(mass * whole * b * whole ** (b - 1)) for mass in q)
        length = 2 ** int(cost * whole**b)
        assert entropy <= length < entropy * 2**whole**b


@given(small_mixtures())
def test_rates_are_the_codes_mean_over_each_dataset(case):
    rows, sizes, b = case
    q = joint(rows, sizes)[-1]
    support = [x for x, mass in enumerate(q) if mass]
    lengths = huffman_lengths(np.array(power([q[x] for x in support], b), dtype=object)).tolist()
    mixture = Mixture(rows, sizes)
    rates = mixture.rates(code="huffman", extension=b)
    ideal = mixture.rates()
    for i, row in enumerate(rows):
        p = [Fraction(row[x], sum(row)) for x in support]
        exact = sum(l * mass for l, mass in zip(lengths, power(p, b), strict=True)) / b
        assert rates[i] == pytest.approx(float(exact), rel=100 * 2**-53)
        # The guarantees of a single dataset; 1e-12 is far above the rounding of a few bits.
        assert rates[i] >= (ideal - mixture.kl())[i] - 1e-12
        assert rates[i] <= 1 / b + ideal[i] / LOG2_PHI + 1e-12
    if b == 1:
        work = sum(
            Fraction(n, sum(sizes))
            * sum(l * Fraction(row[x], sum(row)) for l, x in zip(lengths, support, strict=True))
            for n, row in zip(sizes, rows, strict=True)
        )
        assert work == optimal_cost([q[x] for x in support])


def test_guarantee_of_the_joint_data_is_not_one_of_the_datasets():
    lone = Mixture([[1, 0], [0, 1]], [3, 1])
    assert lone.rates(code="huffman", extension=2).tolist() == [0.5, 1.5]
    # 3/4 < H(1/4) = 2 - 3/4 log2 3, that is 3^3 < 2^5.
    assert lone.weights @ lone.rates(code="huffman", extension=2) == 0.75
    assert 3**3 < 2**5
    before, after = (lone.with_sizes(n).rates(code="huffman", extension=2) for n in ([2, 3], [2, 4]))
    assert [2, 3] @ (after - before) == -0.5


def test_known_extension():
    # Cover and Thomas, section 5.4: pairs of an 0.9 / 0.1 source cost 1.29 bits, triples 1.598.
    source = Mixture([[9, 1]], [1])
    assert source.rates(code="huffman", extension=2)[0] == pytest.approx(1.29 / 2, rel=1e-15)
    assert source.rates(code="huffman", extension=3)[0] == pytest.approx(1.598 / 3, rel=1e-15)
    assert source.potential(code="huffman", extension=3) == pytest.approx(1.598 / 3, rel=1e-15)


def test_units_and_normalisation_go_with_an_extension():
    mixture = Mixture([[5, 2, 1, 0], [1, 1, 1, 1]], [2, 1], depth=4)
    bits = mixture.rates(code="huffman", extension=2)
    nats = mixture.rates(math.e, code="huffman", per="token", extension=2)
    np.testing.assert_allclose(nats, bits * math.log(2) / 4, rtol=1e-15)
    np.testing.assert_allclose(
        mixture.normalized_rates(code="huffman", extension=2), bits - np.log2([3, 4]), rtol=1e-14
    )
    np.testing.assert_array_equal(mixture.rates(extension=5), mixture.rates())
    assert mixture.potential(extension=5) == mixture.potential()
    assert mixture.potential(math.e, code="huffman", extension=2) == pytest.approx(
        mixture.potential(code="huffman", extension=2) * math.log(2), rel=1e-15
    )


@pytest.mark.parametrize("rows", [[[2**40, 1, 2**39]], [[1 - 2**-30, 2**-30 - 1e-200, 1e-200]]])
def test_products_beyond_int64_or_float64_stay_exact(rows):
    mixture = Mixture(rows, [1])
    q = [Fraction(mass) for mass in rows[0]]
    cost = optimal_cost(power(q, 2)) / sum(q) ** 2
    assert mixture.potential(code="huffman", extension=2) == pytest.approx(float(cost / 2), rel=1e-14)


def test_bad_extensions():
    mixture = Mixture([[1] * 11], [1])
    message = r"extension = 7: 11 leaves make 11\*\*7 blocks; at most 10000000 can have codewords"
    with pytest.raises(ValueError, match=message):
        mixture.rates(code="huffman", extension=7)
    with pytest.raises(ValueError, match=message):
        mixture.potential(code="huffman", extension=7)
    for call in (mixture.rates, mixture.potential):
        with pytest.raises(ValueError, match="extension = 0: must be an integer >= 1"):
            call(extension=0)


def test_what_annotations_would_catch_is_refused_without_them(unchecked):
    mixture = Mixture([[1, 2]], [1])
    with pytest.raises(ValueError, match="code = 'shannon': must be 'ideal' or 'huffman'"):
        mixture.potential(code="shannon")
    for call in (mixture.rates, mixture.normalized_rates, mixture.potential):
        with pytest.raises(TypeError, match=r"extension = 1.5: must be an integer >= 1"):
            call(code="huffman", extension=1.5)
    with pytest.raises(TypeError, match=r"n_symbols = 1.5: must be an integer >= 0"):
        arithmetic_decode([0.5, 0.5], [0] * 32, 1.5)


def test_gap_picture():
    mpl.use("Agg")
    mixture = Mixture([[7, 2, 1], [1, 1, 8]], [9, 1], names=["web", "chat"])
    figure, ax = plt.subplots()
    try:
        assert plot_extension_gap(mixture, [1, 2, 4], ax) is ax
        bound, joint, web, chat = ax.get_lines()
        np.testing.assert_array_equal(bound.get_ydata(), [1, 0.5, 0.25])
        ideal = mixture.potential() / mixture.total_size
        for b, gap in zip(*joint.get_data(), strict=True):
            found = mixture.potential(code="huffman", extension=int(b)) / mixture.total_size - ideal
            assert gap == pytest.approx(found, abs=1e-14)
            assert 0 <= gap < 1 / b
        for i, line in enumerate((web, chat)):
            gaps = [mixture.rates(code="huffman", extension=b)[i] - mixture.rates()[i] for b in (1, 2, 4)]
            np.testing.assert_array_equal(line.get_ydata(), np.abs(gaps))
        assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
        assert len({str(line.get_linestyle()) + str(line.get_marker()) for line in ax.get_lines()}) == 4
    finally:
        plt.close(figure)
    with pytest.raises(ValueError, match="extensions is empty"):
        plot_extension_gap(mixture, [])


@st.composite
def messages(draw):
    # Multiples of 1/4096, which the coder has exactly: nothing but the coder is between bits and ideal.
    cuts = sorted(draw(st.sets(st.integers(1, 4095), max_size=20)))
    p = np.diff([0, *cuts, 4096]) / 4096
    symbols = draw(st.lists(st.integers(0, len(p) - 1), max_size=200))
    zeros = draw(st.integers(0, 3))
    return np.concatenate([np.zeros(zeros), p]), [zeros + symbol for symbol in symbols]


@given(messages())
def test_arithmetic_code_decodes_and_reaches_the_ideal_length(case):
    p, symbols = case
    bits = arithmetic_encode(p, symbols)
    assert bits.size % 32 == 0
    assert arithmetic_decode(p, bits, len(symbols)).tolist() == symbols
    ideal = -np.log2(p[symbols]).sum()
    # The interval keeps 2^32 parts or more and is rounded to a multiple of 2^24: -log2(1 - 2^-8) at most.
    rounding = -math.log2(1 - 2**-8) * len(symbols)
    assert ideal - 64 <= bits.size <= ideal + rounding + 64


@given(messages())
def test_a_model_and_bytes_are_the_same_code(case):
    p, symbols = case
    model = ArithmeticModel(p)
    bits = arithmetic_encode(p, symbols)
    for kept in (model, pickle.loads(pickle.dumps(model))):
        packed = arithmetic_encode(kept, symbols, packed=True)
        assert packed == np.packbits(bits).tobytes()
        assert arithmetic_decode(kept, packed, len(symbols)).tolist() == symbols
        assert arithmetic_decode(kept, bits, len(symbols)).tolist() == symbols


@given(st.integers(1, 20), st.integers(0, 200), st.integers(0, 2**32))
def test_a_distribution_for_each_symbol(leaves, n, seed):
    rng = np.random.default_rng(seed)
    # Multiples of 1/4096 and zeros among them, as in `messages`.
    p = rng.multinomial(4096, rng.dirichlet(np.full(leaves, 0.3)), size=n) / 4096
    symbols = [int(rng.choice(leaves, p=row)) for row in p]
    bits = arithmetic_encode(p, symbols)
    assert arithmetic_decode(p, bits, n).tolist() == symbols
    assert arithmetic_decode(ArithmeticModel(p), bits, n // 2).tolist() == symbols[: n // 2]
    ideal = -np.log2(p[range(n), symbols]).sum()
    # Beside the interval's rounding, 20 symbols of 2^-24 take less than 1/2^19 of what is shared out.
    slack = n * (2**-18 - math.log2(1 - 2**-8)) + 64
    assert ideal - 64 - n * 2**-10 <= bits.size <= ideal + slack


def test_what_a_model_is():
    assert repr(ArithmeticModel([0.5, 0.5])) == "<ArithmeticModel: 2 symbols>"
    assert repr(ArithmeticModel([[0.5, 0.5]] * 3)) == "<ArithmeticModel: 2 symbols, 3 distributions>"
    rows = np.array([0.5, 0.5])
    model = ArithmeticModel(rows)
    with pytest.raises(ValueError, match="read-only"):
        model.p[0] = 1
    rows[0] = 1
    assert model.p.tolist() == [0.5, 0.5]


def test_arithmetic_code_on_real_text():
    tree = text_corpus(16).trees[1]
    leaves = tree.leaves()
    p = leaves.probability
    blocks = np.repeat(np.arange(len(leaves)), leaves.weight)
    np.random.default_rng(0).shuffle(blocks)
    bits = arithmetic_encode(p, blocks)
    np.testing.assert_array_equal(arithmetic_decode(p, bits, blocks.size), blocks)
    ideal = -np.log2(p[blocks]).sum()
    # A thousandth of a bit per block is far above the average rounding and far below any prefix code's.
    assert abs(bits.size - ideal) <= 64 + 1e-3 * blocks.size
    prefix = leaves.weight @ huffman_lengths(leaves.weight)
    assert prefix - ideal > 10 * (bits.size - ideal)


@given(messages())
def test_probabilities_may_follow_what_was_said(case):
    p, symbols = case

    def next_one(before):
        # Multiples of 1/4096 again, and a sure thing after every third symbol 0.
        if before[-3:] == [0, 0, 0]:
            return [1.0]
        return np.roll(p, sum(before)) if before else p

    said = []
    for symbol in symbols:
        row = np.asarray(next_one(said))
        support = np.flatnonzero(row)
        said.append(int(support[symbol % len(support)]))
    bits = arithmetic_encode(next_one, said)
    assert arithmetic_decode(next_one, bits, len(said)).tolist() == said
    ideal = -sum(np.log2(np.asarray(next_one(said[:i]))[symbol]) for i, symbol in enumerate(said))
    rounding = -math.log2(1 - 2**-8) * len(said)
    assert ideal - 64 <= bits.size <= ideal + rounding + 64


def test_a_function_that_repeats_itself_is_the_row_itself():
    p, message = [0.25, 0.0, 0.7, 0.05], [2, 0, 3, 2, 2]
    # Up to the rounding of its probabilities, which is faster for a function's.
    bits = arithmetic_encode(lambda before: p, message)
    assert bits.size == arithmetic_encode(p, message).size
    assert arithmetic_decode(lambda before: p, bits, 5).tolist() == message
    with pytest.raises(ValueError, match=r"symbols\[3\] = 1: must be a symbol of positive probability"):
        arithmetic_encode(lambda before: p, [2, 0, 3, 1])
    assert arithmetic_encode(lambda before: p, []).size == 0


def test_sure_things_and_empty_messages():
    bits = arithmetic_encode([0.0, 1.0], [1] * 1000)
    assert bits.size == 0
    assert arithmetic_decode([0.0, 1.0], bits, 1000).tolist() == [1] * 1000
    assert arithmetic_decode([0.5, 0.5], arithmetic_encode([0.5, 0.5], []), 0).tolist() == []


def test_bad_messages():
    with pytest.raises(ValueError, match=r"p has shape \(1, 1, 2\): must have one axis or two"):
        arithmetic_encode([[[0.5, 0.5]]], [0])
    with pytest.raises(
        ValueError, match=r"p has shape \(1, 2\) and symbols \(2,\): must be one distribution"
    ):
        arithmetic_encode([[0.5, 0.5]], [0, 1])
    with pytest.raises(
        ValueError, match=r"p has shape \(1, 2\) and n_symbols = 2: must have one row per symbol"
    ):
        arithmetic_decode([[0.5, 0.5]], [0] * 32, 2)
    with pytest.raises(ValueError, match=r"symbols\[1\] = 0: must be a symbol of positive probability"):
        arithmetic_encode([[0.5, 0.5], [0.0, 1.0]], [0, 0])
    with pytest.raises(TypeError, match="symbols has dtype bool: must be integers"):
        arithmetic_encode([0.5, 0.5], [True])
    with pytest.raises(ValueError, match="probabilities must sum to 1"):
        arithmetic_encode([0.5, 0.4], [0])
    with pytest.raises(ValueError, match=r"symbols has shape \(1, 1\)"):
        arithmetic_encode([0.5, 0.5], [[0]])
    with pytest.raises(TypeError, match="symbols has dtype float64: must be integers"):
        arithmetic_encode([0.5, 0.5], [0.0])
    for symbol in (-1, 1, 3, 10**12):
        with pytest.raises(ValueError, match=rf"symbols\[1\] = {symbol}: must be a symbol of positive"):
            arithmetic_encode([0.5, 0.0, 0.5], [0, symbol])
    with pytest.raises(ValueError, match="p is positive on 16777217 symbols: at most 2"):
        arithmetic_encode(np.full(2**24 + 1, 1 / (2**24 + 1)), [0])
    with pytest.raises(ValueError, match=r"bits has shape \(31,\)"):
        arithmetic_decode([0.5, 0.5], np.zeros(31, int), 1)
    with pytest.raises(ValueError, match=r"bits\[3\] = 2: bits are 0 or 1"):
        arithmetic_decode([0.5, 0.5], [0, 0, 0, 2] * 8, 1)
    with pytest.raises(ValueError, match="bits cannot come from these probabilities"):
        arithmetic_decode([0.3, 0.3, 0.4], [1] * 64, 100)
    with pytest.raises(ValueError, match="n_symbols = -1"):
        arithmetic_decode([0.5, 0.5], [0] * 32, -1)


def test_without_the_extra_the_error_names_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "constriction", None)
    with pytest.raises(ImportError, match=r"pip install constriction \(extra 'coding'\)$"):
        arithmetic_encode([0.5, 0.5], [0])
