"""Rates of data under models."""

import math
import re

import numpy as np
import pytest
from hypothesis import given, strategies as st
from tests.toys import Toy, build, data_for, models, responses

from tokentree import TokenTree, model_rates, modelled_depth
from tokentree.adapters import read_along, read_model


@given(models, responses, st.integers(1, 4))
def test_log_loss_is_the_sum_over_the_tokens_of_the_data(arguments, rows, depth):
    model = build(arguments)
    data = data_for(model, rows, depth)
    along = read_along(model, data)
    rates = model_rates(along, data, arithmetic=True)
    ids = [token for token in range(model.width) if token not in model.eos]
    for d, loss, tokens in zip(rates.depths.tolist(), rates.log_loss, rates.tokens, strict=True):
        bits = length = 0.0
        for row in rows:
            row = [ids[token % len(ids)] for token in row]
            for i in range(min(d, len(row) + 1)):
                chances = model.row(tuple(row[:i]))
                chance = chances[row[i]] if i < len(row) else sum(chances[t] for t in model.eos)
                bits -= math.log2(chance) if chance else -math.inf
                length += 1
        assert loss == pytest.approx(bits / len(rows), rel=1e-12, abs=1e-12)
        assert tokens == pytest.approx(length / len(rows), rel=1e-14)
    finite = np.isfinite(rates.log_loss)
    assert np.array_equal(np.isfinite(rates.huffman), finite)
    assert (rates.huffman >= rates.entropy - 1e-9)[finite].all()
    gap = (rates.arithmetic - rates.log_loss)[finite]
    assert ((gap > -1e-3) & (gap <= 64 / len(rows) + 0.02)).all()
    divergence = modelled_depth(along, data, 0).upper
    assert np.allclose((rates.log_loss - rates.entropy)[finite], divergence[finite], atol=1e-12)


def test_the_bits_of_a_coin():
    data = TokenTree.from_leaves({"00": 3, "01": 1, "1": 4}, depth=3)
    coin = read_along(lambda prefixes: np.log(np.full((len(prefixes), 3), 1 / 3)), data, eos=[2])
    rates = model_rates(coin, data, base=3)
    assert np.allclose(rates.log_loss, rates.tokens)
    assert rates.tokens.tolist() == [1, 2, 2.5]
    assert np.isnan(rates.arithmetic).all()
    assert model_rates(coin, data, depths=[2]).depths.tolist() == [2]


def test_codes_come_close_where_the_data_are_the_models_own():
    counts = np.random.default_rng(0).integers(1, 10**4, 64)
    data = TokenTree.from_sequences((np.arange(64)[:, None] >> np.arange(6)[::-1]) & 1, counts, depth=6)
    rates = model_rates(data, data, arithmetic=True)
    assert np.allclose(rates.log_loss, rates.entropy, rtol=1e-13)
    assert (rates.huffman >= rates.log_loss).all()
    assert (rates.huffman < rates.log_loss + 1).all()
    assert np.allclose(rates.arithmetic, rates.log_loss, atol=0.006)


def test_every_column_by_hand():
    # The model's code has lengths 1, 2, 3, 3; the data like its longest codewords best.
    data = TokenTree.from_leaves({"00": 1, "01": 1, "10": 2, "11": 4}, depth=2)
    model = TokenTree.from_leaves({"00": 8, "01": 4, "10": 2, "11": 2}, depth=2)
    bits = model_rates(model, data, depths=[2], arithmetic=True)
    nats = model_rates(model, data, depths=[2], arithmetic=True, base=math.e)
    row = bits.to_frame().loc[2].to_dict()
    assert row.pop("arithmetic") == bits.arithmetic[0]
    assert row == {
        "tokens": 2,
        "entropy": 1.75,
        "log_loss": 1 / 8 + 2 / 8 + 6 / 8 + 12 / 8,
        "log_loss_lower": 1 / 8 + 2 / 8 + 6 / 8 + 12 / 8,
        "unlisted": 0,
        "huffman": 21 / 8,
    }
    for name in ("entropy", "log_loss", "huffman", "arithmetic"):
        assert getattr(nats, name)[0] == pytest.approx(getattr(bits, name)[0] * math.log(2), rel=1e-14)
    assert bits.arithmetic[0] * 8 % 32 == 0


def test_data_where_the_model_has_not_looked():
    part = read_model(lambda prefixes: np.log([[0.6, 0.3, 0.1]] * len(prefixes)), 2, top_k=1)
    data = TokenTree.from_leaves({"00": 1, "01": 1, "": 2}, alphabet_size=3, depth=2)
    with pytest.warns(UserWarning, match=r"^model_tree does not list the end after \(\), where 50% of the"):
        rates = model_rates(part, data, arithmetic=True)
    assert np.isnan([rates.log_loss, rates.huffman, rates.arithmetic]).all()
    assert rates.unlisted.tolist() == [0.5, 0.75]
    # At best the ends take all of the 0.4 left at the root, and the last token all of what is left below.
    bits = [0.5 * math.log2(1 / 0.6) + 0.5 * math.log2(1 / 0.4)]
    bits += [0.25 * math.log2(1 / 0.36) + 0.25 * math.log2(1 / 0.24) + 0.5 * math.log2(1 / 0.4)]
    assert rates.log_loss_lower.tolist() == pytest.approx(bits, rel=1e-14)
    assert repr(rates) == (
        "ModelRates(depth 1 to 2, log-loss 1.02945 to 1.54417 at least, known at 0 of 2 depths)"
    )


def test_depths_above_what_the_model_did_not_list_are_known():
    part = read_model(lambda prefixes: np.log([[0.6, 0.3, 0.1]] * len(prefixes)), 3, top_k=1)
    data = TokenTree.from_leaves({"000": 1, "001": 1, "01": 2}, alphabet_size=3, depth=3)
    assert model_rates(part, data, depths=[1]).log_loss.tolist() == pytest.approx([-math.log2(0.6)])
    message = (
        "model_tree does not list prefix (0, 1), where 50% of the data lie (75% with 1 more): from depth 2 "
        "log_loss is nan, and at least log_loss_lower; read the model along the data, with a larger "
        "top (and a new recording) if it lists only its likeliest tokens"
    )
    with pytest.warns(UserWarning, match=f"^{re.escape(message)}$"):
        rates = model_rates(part, data, [3, 1, 2])
    assert np.isnan(rates.log_loss).tolist() == [True, False, True]
    assert rates.unlisted.tolist() == [0.75, 0, 0.5]
    assert rates.log_loss[1] == rates.log_loss_lower[1]


def test_what_cannot_be_costs_infinitely_much_whatever_is_unlisted():
    def never_twice(prefixes):
        with np.errstate(divide="ignore"):
            return np.log([[1.0, 0.0] if x[-1:] == (1,) else [0.4, 0.6] for x in prefixes])

    model = read_model(never_twice, 2, min_probability=0.5)
    rates = model_rates(model, TokenTree.from_leaves({"11": 1, "00": 1}, depth=2))
    assert rates.log_loss.tolist() == [pytest.approx(-math.log2(0.24) / 2), math.inf]
    assert rates.unlisted.tolist() == [0, 0.5]


def test_a_model_without_the_data():
    data = TokenTree.from_leaves({"0": 1, "11": 1})
    rates = model_rates(TokenTree.from_leaves({"1": 1.0, "0": 1.0}), data, arithmetic=True)
    assert rates.log_loss.tolist() == [1, math.inf, math.inf]
    assert np.isnan(rates.huffman[1:]).all()
    assert np.isnan(rates.arithmetic[1:]).all()


def test_depths_in_any_order_and_below_the_last_leaves():
    data = TokenTree.from_leaves({"0": 1, "11": 1})
    rates = model_rates(data, data, [9, 1, 3], arithmetic=True)
    assert rates.depths.tolist() == [9, 1, 3]
    for column in (rates.entropy, rates.log_loss, rates.huffman):
        assert column.tolist() == [1, 1, 1]
    assert rates.tokens.tolist() == [2.5, 1, 2.5]
    assert rates.arithmetic[0] == rates.arithmetic[2]


def test_bad_arguments():
    data = TokenTree.from_leaves({"0": 1, "11": 1})
    masses = TokenTree.from_leaves({"0": 0.5, "11": 0.5})
    open_ = read_model(Toy(2), 2, max_nodes=5)
    with pytest.raises(ValueError, match="data_tree has the unexpanded weight"):
        model_rates(data, open_)
    with pytest.raises(ValueError, match="arithmetic = True: data_tree holds masses"):
        model_rates(data, masses, arithmetic=True)
    with pytest.raises(ValueError, match="depths is empty"):
        model_rates(data, data, depths=[])
    with pytest.raises(ValueError, match="depths = 0"):
        model_rates(data, data, depths=[0])
    with pytest.raises(ValueError, match="base = 0"):
        model_rates(data, data, base=0)
    with pytest.raises(ValueError, match="depths: 2 is too deep, for model_tree is cut at depth 1"):
        model_rates(data.prune(1), data, depths=[1, 2])
