"""Codes of any lengths, and coding in words and segments, against codewords put together as text."""

import itertools
import re
from fractions import Fraction
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, strategies as st
from hypothesis.extra import numpy as hnp

from tokentree.codes import HuffmanCode, PrefixCode, huffman_lengths, prefix, reading
from tokentree.information import entropy


def kraft(lengths):
    return sum(Fraction(1, 2**length) for length in lengths)


codes = st.one_of(
    st.lists(st.integers(1, 12), min_size=1, max_size=4).filter(lambda lengths: kraft(lengths) <= 1),
    # Huffman's lengths for these weights; with one bit more each, half of all bits mean nothing.
    st.tuples(st.lists(st.integers(1, 1000), min_size=2, max_size=40), st.booleans()),
)


def lengths_of(case):
    return (huffman_lengths(case[0]) + case[1]).tolist() if isinstance(case, tuple) else case


@given(codes | st.just([0]))
def test_codewords_are_a_canonical_prefix_code(case):
    lengths = lengths_of(case)
    code = PrefixCode(lengths)
    assert code.kraft_sum == kraft(lengths)
    assert [len(word) for word in code.codewords] == lengths
    ordered = sorted(code.codewords)
    assert not any(b.startswith(a) for a, b in itertools.pairwise(ordered))
    assert ordered == [code.codewords[i] for i in sorted(range(len(lengths)), key=lambda i: (lengths[i], i))]
    # The lexicographically first code with these lengths: each codeword follows from the one before.
    number = previous = 0
    for word in ordered:
        number = number << (len(word) - previous)
        assert int(word or "0", 2) == number
        number, previous = number + 1, len(word)


def in_segments(**sizes):
    """Reading in several segments from the first bit on."""
    return mock.patch.multiple(reading, **{"_LEAST": 0, "_SEGMENT": 40, "_AHEAD": 0} | sizes)


@given(
    codes,
    st.lists(st.integers(0, 10**6), max_size=400),
    st.integers(0, 60),
    st.integers(20, 90),
    st.sampled_from([0, 200]),
)
def test_round_trip_in_segments(case, message, ahead, segment, few):
    lengths = lengths_of(case)
    code = PrefixCode(lengths)
    symbols = np.array(message, np.int64) % len(lengths)
    with mock.patch.object(prefix, "_FEW", few):
        bits, packed = code.encode(symbols), code.encode(symbols, packed=True)
    assert "".join(map(str, bits)) == "".join(code.codewords[s] for s in symbols)
    assert packed == np.packbits(bits).tobytes()
    with in_segments(_AHEAD=ahead, _SEGMENT=segment):
        assert code.decode(bits).tolist() == symbols.tolist()
        assert code.decode(packed, len(message)).tolist() == symbols.tolist()
        assert code.decode(bits, len(message) // 2).tolist() == symbols[: len(message) // 2].tolist()


@given(
    codes,
    hnp.arrays(np.uint8, st.integers(0, 400), elements=st.integers(0, 1)),
)
def test_any_bits_decode_or_are_refused_where_they_go_wrong(case, bits):
    code = PrefixCode(lengths_of(case))
    book = {word: symbol for symbol, word in enumerate(code.codewords)}
    symbols, start, message = [], 0, None
    while start < bits.size and message is None:
        ends = range(start + 1, bits.size + 1)
        word = next((w for e in ends if (w := "".join(map(str, bits[start:e]))) in book), None)
        if word is not None:
            symbols.append(book[word])
            start += len(word)
        elif any(w.startswith("".join(map(str, bits[start:]))) for w in book):
            message = f"bits end at {bits.size}, inside the codeword that begins at bits[{start}]"
        else:
            message = f"bits[{start}] begins no codeword"
    for segments in (mock.patch.multiple(reading, _LEAST=10**9), in_segments()):
        with segments:
            if message is None:
                assert code.decode(bits).tolist() == symbols
            else:
                with pytest.raises(ValueError, match=re.escape(message)):
                    code.decode(bits)
            assert code.decode(bits, len(symbols)).tolist() == symbols


@pytest.mark.parametrize("lengths", [[2] * 4, [8] * 256, [3] * 5, [2, 2, 3, 3, 3, 3], [1], [18] * 2**18])
def test_codes_that_hardly_come_into_step(lengths):
    code = PrefixCode(lengths)
    symbols = np.random.default_rng(0).integers(0, len(lengths), 60_000)
    assert np.array_equal(code.decode(code.encode(symbols)), symbols)


@pytest.mark.parametrize("longest", [1, 8, 11, 16, 17, 31, 32, 33, 63, 64, 65, 200])
def test_codewords_of_every_width(longest):
    code = HuffmanCode([*range(1, longest + 1), longest])
    symbols = np.random.default_rng(longest).integers(0, longest + 1, 40_000 // longest + 500)
    bits = code.encode(symbols)
    text = "".join(code.codewords[s] for s in symbols)
    assert (bits + ord("0")).tobytes().decode() == text
    assert code.decode(bits).tolist() == symbols.tolist()


def test_long_messages_of_large_alphabets():
    rng = np.random.default_rng(0)
    weights = rng.pareto(0.5, 300_000) + 1e-9
    code = HuffmanCode.from_weights(weights)
    symbols = np.append(rng.choice(weights.size, 30_000, p=weights / weights.sum()), np.argmin(weights))
    assert np.array_equal(code.decode(code.encode(symbols)), symbols)


def test_padding_and_what_follows_is_left_alone():
    code = HuffmanCode([1, 2, 2])
    assert code.decode([0, 1, 1, 1], 2).tolist() == [0, 2]
    assert code.decode(code.encode([2, 2, 1], packed=True) + b"\xff", 3).tolist() == [2, 2, 1]
    assert code.decode([], 0).tolist() == code.decode(b"", 0).tolist() == []


@given(st.lists(st.integers(1, 1000), min_size=1, max_size=30))
def test_redundancy_and_efficiency(weights):
    code, p = HuffmanCode.from_weights(weights), np.array(weights) / sum(weights)
    spent, ideal = code.expected_length(p), entropy(p)
    assert 0 <= code.redundancy(p) < 1
    assert code.redundancy(p) == pytest.approx(spent - ideal, abs=1e-14)
    assert code.efficiency(p) == pytest.approx(ideal / spent if spent else 1, rel=1e-14)
    assert code.efficiency([p, p]).shape == code.redundancy([p, p]).shape == (2,)


def test_what_a_prefix_code_is():
    code = PrefixCode([1, 3, 3])
    assert repr(code) == "<PrefixCode: 3 symbols, 1 to 3 bits>"
    assert code == PrefixCode(np.array([1, 3, 3]))
    assert PrefixCode([1, 2, 2]) == HuffmanCode([1, 2, 2])
    with pytest.raises(
        ValueError, match=r"lengths have a Kraft sum 0.25 above 1: a prefix code has at most 1"
    ):
        PrefixCode([1, 1, 2])
    with pytest.raises(ValueError, match=re.escape("lengths[0] = -1: lengths are 0 to 65535")):
        PrefixCode([-1])
    with pytest.raises(ValueError, match="bits hold 0 bits and n_symbols = None: the one symbol"):
        PrefixCode([0]).decode([])
