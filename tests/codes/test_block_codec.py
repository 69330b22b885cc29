"""The block codec and Theorem 3.4 against exact arithmetic."""

import math
import re
from fractions import Fraction
from itertools import count

import mpmath
import numpy as np
import pytest
from hypothesis import given, strategies as st
from tests.toys import coin

from tokentree.adapters import read_model
from tokentree.codes import BlockCodec, HuffmanCode, huffman_lengths, ideal_code_length
from tokentree.mixtures import unexpanded_bounds
from tokentree.trees import EOS, LeafKind, TokenTree

REFUSED = r"inside the codeword|must be one complete response|in codewords other"


@st.composite
def datasets(draw):
    q = draw(st.sampled_from([1, 2, 3, 10, 128, 256, 70_000]))
    symbol = st.one_of(st.integers(0, q - 1), st.sampled_from([0, q - 1]))
    rows = draw(st.lists(st.lists(symbol, max_size=7), min_size=1, max_size=8))
    n = len(rows)
    counts = st.one_of(st.integers(0, 5), st.just(2**62 // n))
    masses = st.one_of(st.floats(0, 10), st.sampled_from([0.0, 5e-324, 1e-300, 1e300]))
    weights = draw(
        st.one_of(
            st.none(),
            st.lists(counts, min_size=n, max_size=n).filter(any),
            st.lists(masses, min_size=n, max_size=n).filter(any),
        )
    )
    cap = draw(st.one_of(st.none(), st.integers(1, 9)))
    return rows, symbol, weights, {"alphabet_size": q, "depth": cap}


@given(datasets(), st.one_of(st.none(), st.integers(1, 9)), st.data())
def test_any_response_comes_back(dataset, depth, data):
    rows, symbol, weights, options = dataset
    tree = TokenTree.from_sequences(rows, weights, **options)
    codec = BlockCodec(tree, min(depth, tree.depth) if depth and tree.is_cut else depth)
    leaves = {leaf.prefix + (EOS,) * (leaf.kind is LeafKind.EOS) for leaf in codec.tree.leaves()}
    unseen = data.draw(st.lists(symbol, max_size=20))
    for response in (*rows, unseen, rows[0] + unseen, unseen + rows[-1]):
        bits = codec.encode(response)
        assert codec.decode(bits).tolist() == response
        assert codec.code_length(response) == len(bits)
        # One codeword for a block that is a leaf, one for each token of any other.
        tokens, d = (*response, EOS), codec.depth
        blocks = [tokens[i : i + d] for i in range(0, len(tokens), d)]
        spelled = [len(block) for block in blocks if block not in leaves]
        assert len(codec.code.decode(bits)) == sum(spelled) + len(blocks) - len(spelled)
        assert set(bits.tolist()) <= {0, 1}
        if tree.alphabet_size <= 10:
            np.testing.assert_array_equal(codec.encode("".join(map(str, response))), bits)
        np.testing.assert_array_equal(codec.encode(np.array(response, dtype=np.int64)), bits)
        packed = codec.encode(response, packed=True)
        assert packed == np.packbits(bits).tobytes()
        assert codec.decode(packed).tolist() == response


@given(datasets(), st.one_of(st.none(), st.integers(1, 9)), st.data())
def test_damaged_bits_are_refused_or_another_response(dataset, depth, data):
    rows, symbol, weights, options = dataset
    tree = TokenTree.from_sequences(rows, weights, **options)
    codec = BlockCodec(tree, min(depth, tree.depth) if depth and tree.is_cut else depth)
    response = data.draw(st.one_of(st.sampled_from(rows), st.lists(symbol, max_size=12)))
    bits = codec.encode(response)
    with pytest.raises(ValueError, match=REFUSED):
        codec.decode(bits[: data.draw(st.integers(0, len(bits) - 1))])
    behind = data.draw(st.lists(st.integers(0, 1), max_size=40))
    assert codec.decode(np.append(bits, np.array(behind, np.uint8))).tolist() == response
    flipped = bits.copy()
    flipped[data.draw(st.integers(0, len(bits) - 1))] ^= 1
    for noise in (flipped, data.draw(st.lists(st.integers(0, 1), max_size=40))):
        try:
            found = codec.decode(noise).tolist()
        except ValueError as refusal:
            found, reason = None, str(refusal)
        if found is None:
            assert re.search(REFUSED, reason)
        else:
            again = codec.encode(found)
            np.testing.assert_array_equal(again, noise[: len(again)])


@given(st.binary(min_size=1, max_size=40), st.integers(1, 20), st.sampled_from(["bits", "bytes"]))
def test_every_training_block_takes_one_codeword_of_about_its_information(data, block, alphabet):
    tree = TokenTree.from_bytes(data, block, alphabet)
    codec = BlockCodec(tree)
    message = np.frombuffer(data, np.uint8)
    if alphabet == "bits":
        message = np.unpackbits(message)
    codes = codec.code.decode(codec.encode(message))
    blocks, q = tree.total_weight, tree.alphabet_size
    assert len(codes) == blocks == len(message) // block + 1
    assert codes.max() < tree.n_leaves
    np.testing.assert_array_equal(np.bincount(codes, minlength=tree.n_leaves), tree.leaves().weight)
    assert len(codec.code.lengths) == tree.n_leaves + q + 1

    # The leaves' codewords are part of a prefix code, so H <= L. The whole code is optimal for the leaves, of
    # weight 1 - e, and the letters, of weight e = 1 / (T + 1). With h the binary entropy and l >= log(q + 1)
    # the letters' mean length, (1 - e) L + e l < h(e) + (1 - e) H + e log(q + 1) + 1.
    with mpmath.workdps(50):
        shares = [mpmath.mpf(c) / blocks for c in tree.leaves().weight.tolist()]
        entropy = -mpmath.fsum(p * mpmath.log(p, 2) for p in shares)
        e = mpmath.mpf(1) / (blocks + 1)
        binary = -e * mpmath.log(e, 2) - (1 - e) * mpmath.log(1 - e, 2)
        mean = mpmath.mpf(codec.code_length(message)) / blocks
        assert entropy <= mean < entropy + (1 + binary) / (1 - e)


def test_codec_of_a_known_code():
    # Leaves weigh 6 * 3 = 18 and 2 * 3 = 6, the letters 0, 1 and end-of-sequence 1 each.
    codec = BlockCodec(TokenTree.from_sequences(["00"] * 6 + ["01"] * 2), depth=2)
    assert codec.code.lengths.tolist() == [1, 2, 3, 4, 4]
    assert repr(codec) == "BlockCodec(depth=2, alphabet_size=2, n_leaves=2)"
    assert "".join(map(str, codec.encode("0001"))) == "0" + "10" + "1111"
    assert "".join(map(str, codec.encode("110"))) == "1110" + "1110" + "110" + "1111"


def test_codec_prunes_to_its_depth():
    tree = TokenTree.from_sequences(["0011", "0101", "0"])
    codec = BlockCodec(tree, depth=2)
    assert codec.tree == tree.prune(2)
    assert (codec.depth, BlockCodec(tree).depth, BlockCodec(tree, 99).depth) == (2, 5, 5)


@pytest.mark.parametrize("weights", [[1e-300, 1.0], [5e-324, 5e-324], [1e300, 1e-300], [2**62, 2**62 - 1]])
def test_codec_of_extreme_weights(weights):
    codec = BlockCodec(TokenTree.from_sequences(["01", "1"], weights))
    for response in ("01", "1", "", "000111"):
        assert "".join(map(str, codec.decode(codec.encode(response)))) == response


# Theorem 3.4


def ceil_entropy(counts):
    """Smallest m with H <= m, in whole numbers: H <= m iff T^T <= 2^(m T) prod c^c."""
    total, own = sum(counts), math.prod(c**c for c in counts)
    return next(m for m in count() if total**total <= 2 ** (m * total) * own)


def tree_of(counts):
    """Tree of depth 1 whose cut leaves have these counts."""
    leaves = {(i,): c for i, c in enumerate(counts)}
    return TokenTree.from_leaves(leaves, alphabet_size=len(counts), depth=1)


@given(st.lists(st.integers(1, 40), min_size=1, max_size=8), st.integers(1, 30))
def test_ideal_code_length(counts, length):
    assert ideal_code_length(tree_of(counts), length) == length * ceil_entropy(counts)


@st.composite
def dyadic(draw):
    """Depths of the leaves of a random full binary tree."""
    depths = [0]
    for _ in range(draw(st.integers(0, 60))):
        at = draw(st.integers(0, len(depths) - 1))
        if depths[at] < 50:
            depths[at] += 1
            depths.append(depths[at])
    return depths


@given(dyadic(), st.integers(1, 30), st.booleans())
def test_ideal_code_length_of_dyadic_leaves_is_exact(depths, length, counted):
    p = [Fraction(1, 2**depth) for depth in depths]
    entropy = sum(share * depth for share, depth in zip(p, depths, strict=True))
    weights = [int(share * 2**50) if counted else float(share) for share in p]
    tree = tree_of(weights)
    assert HuffmanCode.from_weights(weights).expected_length(tree.leaf_probabilities) == float(entropy)
    assert ideal_code_length(tree, length) == length * math.ceil(entropy)
    assert ideal_code_length(tree, length, base=4) == length * math.ceil(entropy / 2)


@pytest.mark.parametrize("n", range(1, 17))
def test_rounding_does_not_lift_a_whole_entropy(n):
    # The sum for 2^9 equal leaves, among others, exceeds the whole number in its last digit.
    symbols = np.arange(2**n)[:, None] >> np.arange(n)[::-1] & 1
    assert ideal_code_length(TokenTree.from_sequences(symbols, depth=n), 7 * n) == 7 * n
    if n <= 8:
        assert ideal_code_length(tree_of([1] * 3**n), 1, base=3) == n


def test_ideal_code_length_counts_blocks():
    tree = TokenTree.from_leaves({"00": 1, "01": 1, "10": 1, "11": 1})
    assert [ideal_code_length(tree, n, depth=2) for n in (1, 2, 3, 4, 5)] == [2, 2, 4, 4, 6]
    assert ideal_code_length(tree, 4) == ideal_code_length(tree, 4, depth=3) == 4
    assert ideal_code_length(tree, 12, depth=6) == 4
    assert ideal_code_length(TokenTree.from_sequences([""]), 100) == 0


def compare(counts):
    """Expected Huffman length, exactly, and the theorem's ceil(H)."""
    lengths = huffman_lengths(counts).tolist()
    return Fraction(sum(c * n for c, n in zip(counts, lengths, strict=True)), sum(counts)), ceil_entropy(
        counts
    )


def partitions(total, largest):
    if total == 0:
        yield []
    for first in range(min(total, largest), 0, -1):
        for rest in partitions(total - first, first):
            yield [first, *rest]


def test_witnesses_on_both_sides_of_theorem_3_4():
    """The smallest trees, by total count, whose Huffman length differs from ceil(H) on either side."""
    above = TokenTree.from_sequences(["", "0", "1"], [7, 1, 1], depth=1)
    below = TokenTree.from_sequences(["", "0", "1"], depth=1)
    for tree, length, ceiling in ((above, Fraction(11, 9), 1), (below, Fraction(5, 3), 2)):
        assert compare(tree.leaves().weight.tolist()) == (length, ceiling)
        assert ideal_code_length(tree, 1) == ceiling
        mean = HuffmanCode.from_tree(tree).expected_length(tree.leaf_probabilities)
        assert mean == pytest.approx(float(length), rel=8 * 2**-53, abs=0)
    smaller = [compare(counts) for total in range(1, 9) for counts in partitions(total, total)]
    assert all(length <= ceiling for length, ceiling in smaller)
    assert all(compare(counts)[0] == compare(counts)[1] for counts in ([1], [2], [1, 1]))


# What bad input gets

SOME = TokenTree.from_sequences(["0", "01"])
CUT = TokenTree.from_sequences(["00", "01"], depth=2)
READ = read_model(coin, depth=2, max_nodes=6)
CODEC = BlockCodec(SOME)


def test_code_length_where_all_is_known():
    assert ideal_code_length(READ, 1, depth=1) == 1
    bounds = unexpanded_bounds([READ])
    # What the error points to: the whole tree's entropy is 2 bits.
    assert bounds.rates_lower[0] < 2 < bounds.rates_upper[0]


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: BlockCodec("tree"), TypeError, "tree is a str: must be a TokenTree"),
        (lambda: BlockCodec(SOME.prune(1), 2), ValueError, "depth = 2: the tree is cut at depth 1"),
        (lambda: BlockCodec(SOME, 0), ValueError, "depth = 0: must be an integer >= 1"),
        (lambda: BlockCodec(SOME, 1.0), TypeError, "depth = 1.0: must be an integer >= 1"),
        (lambda: CODEC.encode("02"), ValueError, "sequence[1] = '2': symbols must lie in 0..1"),
        (lambda: CODEC.encode([0, 1, -1]), ValueError, "sequence[2] = -1: symbols must lie in 0..1"),
        (lambda: CODEC.code_length([5]), ValueError, "sequence[0] = 5: symbols must lie in 0..1"),
        (lambda: CODEC.encode([0.0]), TypeError, "sequence[0] = 0.0: must be an integer"),
        (lambda: CODEC.encode(7), TypeError, "sequence = 7: must be a string of digits or a sequence"),
        (lambda: CODEC.decode([]), ValueError, "bits hold 0 tokens without end-of-sequence: must be one"),
        (lambda: CODEC.decode([0, 2]), ValueError, "bits[1] = 2: bits are 0 or 1"),
        (lambda: CODEC.decode([0.5]), TypeError, "bits has dtype float64: must be integers"),
        (lambda: ideal_code_length("tree", 1), TypeError, "tree is a str: must be a TokenTree"),
        (lambda: ideal_code_length(SOME, 0), ValueError, "length = 0: must be an integer >= 1"),
        (lambda: ideal_code_length(SOME, 1, depth=0), ValueError, "depth = 0: must be an integer >= 1"),
        (lambda: ideal_code_length(SOME, 1, base=1), ValueError, "base = 1: the base of a logarithm must be"),
        (
            lambda: ideal_code_length(READ, 1),
            ValueError,
            "tree has an unexpanded share of 0.5: its entropy is",
        ),
        (lambda: ideal_code_length(CUT, 1, depth=3), ValueError, "depth = 3: the tree is cut at depth 2"),
    ],
)
def test_bad_input(unchecked, call, error, message):
    # Users run without the annotations being checked; the messages must be our own.
    with pytest.raises(error, match=re.escape(message)):
        call()
