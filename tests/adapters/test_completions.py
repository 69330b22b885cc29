"""Completions APIs: answers written from a known model, in every shape, and read back."""

import asyncio
import copy
import json
import math
import os
import pickle
import re
import signal
import sys
import time
import tracemalloc
import warnings
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from fractions import Fraction
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, strategies as st

from tokentree.adapters import (
    CompletionsServer,
    ReadError,
    RecordedCompletions,
    Recording,
    Vocabulary,
    http_post,
    parse_response,
    posting,
    read_model,
)
from tokentree.adapters.answers import ROUNDING, Token

NAMES = ["a", "b", "é", "</s>"]
IDS = [10, 11, 12, 2]


def truth(seed, prefix):
    """Log-probabilities of a model that has a distribution of its own after each prefix."""
    rng = np.random.default_rng([seed, *prefix, len(prefix)])
    return np.log(rng.dirichlet(np.ones(len(NAMES)))).tolist()


# An answer is a list of positions: the index of the chosen token, and log-probabilities of the known ones.


def legacy(positions, name=NAMES.__getitem__):
    return {
        "text": "".join(name(chosen) for chosen, _ in positions),
        "logprobs": {
            "tokens": [name(chosen) for chosen, _ in positions],
            "token_logprobs": [known[chosen] for chosen, known in positions],
            "top_logprobs": [{name(i): logprob for i, logprob in known.items()} for _, known in positions],
            "text_offset": list(range(len(positions))),
        },
        "finish_reason": "length",
    }


def entry(i, logprob, ids):
    fields = {"token": NAMES[i], "logprob": logprob, "bytes": list(NAMES[i].encode())}
    return fields | ({"id": IDS[i]} if ids else {})


def chat(positions, ids=False):
    content = [
        entry(chosen, known[chosen], ids) | {"top_logprobs": [entry(i, x, ids) for i, x in known.items()]}
        for chosen, known in positions
    ]
    return {"message": {"content": "..."}, "logprobs": {"content": content}, "finish_reason": "stop"}


def native(positions, sampled=False):
    items = chat(positions, ids=True)["logprobs"]["content"]
    if sampled:
        for item in items:
            item["top_probs"] = item.pop("top_logprobs")
            for each in (item, *item["top_probs"]):
                each["prob"] = math.exp(each.pop("logprob"))
    return {"content": "...", "completion_probabilities": items, "stop_type": "limit"}


def wrapped(write):
    return lambda positions: {"object": "text_completion", "choices": [write(positions)]}


SHAPES = {
    "legacy": wrapped(legacy),
    "token ids": wrapped(lambda positions: legacy(positions, lambda i: f"token_id:{IDS[i]}")),
    "chat": wrapped(chat),
    "llama.cpp": wrapped(partial(chat, ids=True)),
    "native": native,
    "after sampling": partial(native, sampled=True),
}
FINISH = {"legacy": "length", "token ids": "length", "native": "limit", "after sampling": "limit"}


def key(shape, i):
    if shape == "legacy":
        return NAMES[i]
    return NAMES[i].encode() if shape == "chat" else IDS[i]


@st.composite
def samples(draw):
    """Answers to one prompt, drawn from a true model, each telling the top k and the chosen token."""
    seed, top = draw(st.integers(0, 99)), draw(st.integers(0, 4))
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(draw(st.integers(1, 5))):
        prefix, positions = (), []
        for _ in range(draw(st.integers(1, 4))):
            logprobs = truth(seed, prefix)
            chosen = int(rng.choice(len(NAMES), p=np.exp(logprobs)))
            best = sorted(range(len(NAMES)), key=lambda i: -logprobs[i])[:top]
            positions.append((chosen, {i: logprobs[i] for i in {*best, chosen}}))
            prefix = (*prefix, chosen)
        found.append(positions)
    return seed, found


@given(st.sampled_from(sorted(SHAPES)), samples())
def test_every_shape_is_read(shape, drawn):
    _, answers = drawn
    for positions in answers:
        [choice] = parse_response(json.loads(json.dumps(SHAPES[shape](positions))))
        assert choice.finish_reason == FINISH.get(shape, "stop")
        for (chosen, known), found in zip(positions, choice.positions, strict=True):
            assert found.token.key == key(shape, chosen)
            assert found.logprob == pytest.approx(known[chosen], rel=1e-12)
            assert {token.key: x for token, x in found.known.items()} == pytest.approx(
                {key(shape, i): x for i, x in known.items()}, rel=1e-12
            )


@given(st.sampled_from(sorted(SHAPES)), samples(), st.randoms(use_true_random=False))
def test_recorded_answers_tell_the_model_where_they_went(shape, drawn, random):
    seed, answers = drawn
    known = {}
    for positions in answers:
        prefix = ()
        for chosen, tops in positions:
            known.setdefault(prefix, set()).update(tops)
            prefix = (*prefix, chosen)
    responses = [SHAPES[shape](positions) for positions in answers]
    random.shuffle(responses)
    vocabulary = Vocabulary()
    model = RecordedCompletions(responses, vocabulary)
    symbols = {token.key: symbol for symbol, token in enumerate(vocabulary)}
    indices = {symbols[key(shape, i)]: i for i in range(4) if key(shape, i) in symbols}
    assert len(indices) == len(vocabulary)
    # Every prefix that was met, one token beyond, and nothing else is known.
    asked = {prefix + more for prefix in known for more in [(), *[(i,) for i in indices.values()]]}
    back = {i: symbol for symbol, i in indices.items()}
    for prefix in asked:
        [row] = model([tuple(back[i] for i in prefix)])
        expected = np.full(len(vocabulary), -np.inf)
        for i in known.get(prefix, ()):
            expected[back[i]] = truth(seed, prefix)[i]
        np.testing.assert_allclose(row, expected, rtol=1e-6)
    assert model([]).shape == (0, len(vocabulary))


@pytest.mark.filterwarnings("ignore:eos =")
@given(samples())
def test_a_recorded_model_is_read_into_a_tree(drawn):
    seed, answers = drawn
    model = RecordedCompletions([SHAPES["llama.cpp"](positions) for positions in answers], eos=[IDS[3]])
    tree = read_model(model, depth=4)
    known = {i for positions in answers for i in positions[0][1]}
    first = np.exp(truth(seed, ()))
    for i in known - {3}:
        symbol = model.vocabulary.add(Token(None, id=IDS[i]))
        assert tree.weight([symbol]) == pytest.approx(first[i], rel=1e-5)
    assert tree.total_weight == 1
    assert tree.unexpanded_weight >= 1 - first[sorted(known)].sum() - 1e-5


def test_an_echoed_prompt_has_no_first_probability():
    response = SHAPES["legacy"]([(0, {0: -1.0}), (1, {1: -0.5, 2: -1.0})])
    response["choices"][0]["logprobs"]["token_logprobs"][0] = None
    response["choices"][0]["logprobs"]["top_logprobs"][0] = None
    model = RecordedCompletions([response])
    assert [token.text for token in model.vocabulary] == ["a", "b", "é"]
    np.testing.assert_array_equal(model([(), (0,)]), np.float32([[-np.inf] * 3, [-np.inf, -0.5, -1.0]]))


def one(**fields):
    """A chat answer of one position."""
    return {"choices": [{"logprobs": {"content": [{"token": "a", "logprob": -1.0} | fields]}}]}


def known(response):
    [choice] = parse_response(response)
    return {token.key: logprob for token, logprob in choice.positions[0].known.items()}


# What a token is


def test_same_text_different_ids_stay_apart():
    tops = [{"token": "a", "id": i, "logprob": -i} for i in (1, 2)]
    response = one(id=2, logprob=-2.0, top_logprobs=tops)
    assert known(response) == {1: -1.0, 2: -2.0}
    model = RecordedCompletions([response])
    assert len(model.vocabulary) == 2
    tops = [{"token": "�", "bytes": [raw], "logprob": -2.0} for raw in (0xE2, 0x80)]
    assert known(one(top_logprobs=tops)) == {"a": -1.0, b"\xe2": -2.0, b"\x80": -2.0}


def test_same_bytes_are_the_same_token_whatever_the_text():
    tops = [{"token": "é", "bytes": [195, 169], "logprob": -2.0}]
    assert known(one(token="\\xc3\\xa9", bytes=[195, 169], logprob=-2.0, top_logprobs=tops)) == {
        "é".encode(): -2.0
    }


def test_tokens_that_cannot_be_told_apart_add_up():
    tops = [{"token": "�", "logprob": math.log(p)} for p in (0.25, 0.125)]
    assert known(one(token="�", logprob=math.log(0.25), top_logprobs=tops)) == {
        "�": pytest.approx(math.log(0.375))
    }
    # The chosen token is not the alternative of that name: its probability is another.
    chosen = one(token="�", logprob=math.log(0.0625), top_logprobs=tops)
    assert known(chosen) == {"�": pytest.approx(math.log(0.4375))}


def test_a_token_listed_twice_counts_once():
    tops = [{"token": name, "bytes": list(name.encode()), "logprob": x}
            for name, x in [("A", -1.5), ("A", -1.5), ("B", -1.8)]]  # fmt: skip
    [choice] = parse_response(one(token="A", bytes=[65], logprob=-1.5, top_logprobs=tops))
    assert choice.positions[0].known == {Token("A", b"A"): -1.5, Token("B", b"B"): -1.8}
    twice = [{"token": "a", "id": 1, "logprob": -1.0}, {"token": "A", "id": 1, "logprob": -1.0}]
    assert known(one(id=1, top_logprobs=twice)) == {1: -1.0}


def names(kind, i):
    """How the i-th token is named in one of four ways; without ids, the last two are named alike."""
    text = "abc��"[i]
    return {
        "id": {"token": "x", "id": i},
        "token_id": {"token": "x", "token_id": i},
        "bytes": {"token": text, "bytes": list(text.encode())},
        "text": {"token": text},
    }[kind]


@given(
    st.sampled_from(["id", "token_id", "bytes", "text"]),
    st.lists(st.integers(0, 4), min_size=1, max_size=8),
    st.integers(0, 4),
    st.integers(0, 99),
)
def test_lists_with_repetitions_tell_what_sets_do(kind, listed, chosen, seed):
    # The probabilities of two tokens differ by far more than rounding.
    p = np.random.default_rng(seed).permutation([0.4, 0.2, 0.1, 0.05, 0.025])
    tops = [names(kind, i) | {"logprob": math.log(p[i])} for i in listed]
    found = known(one(**names(kind, chosen), logprob=math.log(p[chosen]), top_logprobs=tops))
    expected = {}
    for i in {*listed, chosen}:
        key = i if "id" in kind else "abc??"[i]
        expected[key] = expected.get(key, 0.0) + p[i]
    told = {k if "id" in kind else (k.decode() if kind == "bytes" else k).replace("�", "?"): math.exp(x)
            for k, x in found.items()}  # fmt: skip
    assert told == pytest.approx(expected, rel=1e-12)


def test_bytes_as_legacy_answers_write_them():
    logprobs = {
        "tokens": ["bytes:\\xe2\\x80", "bytes: \\x99"],
        "token_logprobs": [-1, -1],
        "top_logprobs": None,
    }
    [choice] = parse_response({"choices": [{"logprobs": logprobs}]})
    assert [position.token.raw for position in choice.positions] == [b"\xe2\x80", b" \x99"]


def test_vocabulary():
    tokens = [Token("a"), Token("a", b"a"), Token("a", id=1), Token("b", id=1)]
    vocabulary = Vocabulary(tokens)
    assert (len(vocabulary), list(vocabulary)) == (3, tokens[:3])
    assert [vocabulary.add(token) for token in tokens] == [0, 1, 2, 2]
    assert Token("b", id=1) in vocabulary
    assert Token("b") not in vocabulary
    assert Token("a") != "a"


def test_trees_of_one_vocabulary_have_the_same_symbols():
    vocabulary = Vocabulary()
    answers = [one(token="b"), one(token="a", logprob=-2.0, top_logprobs=[{"token": "b", "logprob": -0.5}])]
    models = [RecordedCompletions([answer], vocabulary) for answer in answers]
    trees = [read_model(model, depth=1) for model in models]
    assert {tree.alphabet_size for tree in trees} == {2}
    assert [tree.weight([0]) for tree in trees] == pytest.approx(np.exp([-1.0, -0.5]))


# Ends


@pytest.mark.parametrize("end", ["</s>", 2])
def test_an_end_of_sequence_is_named_by_text_or_id(end):
    response = one(token="</s>", id=2, top_logprobs=[{"token": "a", "id": 10, "logprob": -2.0}])
    model = RecordedCompletions([response], eos=[end])
    assert model.eos == {0}
    np.testing.assert_array_equal(model([()]), np.float32([[-1.0, -2.0]]))
    tree = read_model(model, depth=1)
    assert tree.weight([], eos=True) == pytest.approx(math.exp(-1))


def test_ends_of_one_name_add_up():
    tops = [{"token": "</s>", "id": i, "logprob": -2.0} for i in (2, 3)]
    model = RecordedCompletions([one(top_logprobs=tops)], eos=["</s>"])
    np.testing.assert_allclose(model([()]), [[math.log(2) - 2, -1.0]], rtol=1e-6)


def test_a_finish_reason_adds_nothing():
    response = one()
    response["choices"][0]["finish_reason"] = "stop"
    with pytest.warns(
        UserWarning, match=r"eos = \['</s>'\] is in no answer so far; the server stopped after"
    ):
        model = RecordedCompletions([response], eos=["</s>"])
    assert (model([(1,)]) == -np.inf).all()
    np.testing.assert_array_equal(model([()]), np.float32([[-np.inf, -1.0]]))


def llama(p=(0.5, 0.25), stop=True, **fields):
    """What llama.cpp writes where it ends: an id, an empty text, and no bytes."""
    end, a = ({"token": text, "bytes": list(text.encode()), "id": i, "logprob": math.log(x)}
              for text, i, x in zip(["", "a"], [2, 7], p, strict=True))  # fmt: skip
    answer = one(**(end if stop else a), top_logprobs=[end, a])
    answer["choices"][0] |= {"text": "", "finish_reason": "stop" if stop else "length"} | fields
    return answer


def test_an_end_that_no_answer_names_is_told():
    with pytest.warns(UserWarning, match=r"eos = \['<\|im_end\|>'\] is in no .* stopped after \[2\] instead"):
        RecordedCompletions([llama()], eos=["<|im_end|>"])
    with pytest.warns(
        UserWarning, match=r"eos = \[9\] is in no answer .* llama.cpp as nothing at all: name it"
    ):
        RecordedCompletions([llama(stop=False)], eos=[2, 9])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = RecordedCompletions([llama()], eos=[2])
    assert read_model(model, depth=1).weight([], eos=True) == pytest.approx(0.5)


@pytest.mark.parametrize("recorded", [False, True])
def test_a_read_tells_of_an_end_that_no_answer_names(tmp_path, recorded):
    model = CompletionsServer(lambda body: llama(), eos=["<|im_end|>"])

    def read():
        if recorded:
            with Recording(model, tmp_path / "answers.npz") as kept:
                read_model(kept, depth=2)
        else:
            read_model(model, depth=2)

    with pytest.warns(UserWarning, match=r"eos = \['<\|im_end\|>'\] is in no answer so far"):
        read()
    model = CompletionsServer(lambda body: llama(), eos=[2])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tree = read_model(model, depth=2)
    assert tree.weight([], eos=True) == pytest.approx(0.5)


def test_ids_in_lists_of_their_own():
    def vllm(tops=None, ids=(7, 2), start="a", **more):
        logprobs = {"tokens": [start, "</s>"], "token_logprobs": [-1.0, -0.5], "top_logprobs": tops}
        return {"choices": [{"logprobs": logprobs, "token_ids": ids and [*ids]} | more]}

    for answer in (vllm(), vllm(ids=[2], prompt_token_ids=[7])):
        model = RecordedCompletions([answer], eos=[2])
        assert [(token.id, token.text) for token in model.vocabulary] == [(2, None), (7, "a")]
        np.testing.assert_array_equal(model([(), (1,)]), np.float32([[-np.inf, -1.0], [-0.5, -np.inf]]))
    # In the list's own shape, and where alternatives have no ids: then tokens keep their names.
    answer = vllm(tops=[{"a": -1.0, "b": -2.0}, {"</s>": -0.5}], ids=None)
    answer["choices"][0]["logprobs"]["token_ids"] = [7, 2]
    [choice] = parse_response(answer)
    assert [(position.id, position.token.id) for position in choice.positions] == [(7, None), (2, None)]
    message = (
        "responses[0], choice 0: after ['a']: the token of id 2 is in eos, and the answer has ids for chosen"
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        RecordedCompletions([answer], eos=[2])
    model = RecordedCompletions([answer], eos=[2, "</s>"])
    np.testing.assert_array_equal(model([(2,)])[0, 1], np.float32(-0.5))
    answer = vllm([{"</s>": -1.0, "b": -2.0}, {"</s>": -0.5}], [2, 2], start="</s>")
    with pytest.raises(ValueError, match=re.escape("add its name '</s>' to eos, or ask for ids")):
        CompletionsServer(lambda body: answer, eos=[2])([()])
    for answer, message in [
        (vllm(ids=[7]), "choices[0].token_ids has 1 entries, and the answer 2 tokens"),
        (vllm(ids=[7, "2"]), "choices[0].token_ids[1] = '2': must be of type int"),
        (one(id=7, token_id=8), "choices[0].logprobs.content[0].token_id = 8: its id is 7"),
    ]:
        with pytest.raises((ValueError, TypeError), match=re.escape(message)):
            parse_response(answer)
    answer = one(id=7)
    answer["choices"][0]["token_ids"] = [8]
    with pytest.raises(ValueError, match=re.escape("token_ids[0] = 8: the token there has id 7")):
        parse_response(answer)


# Numbers


@pytest.mark.parametrize("value", [None, -9999, -9999.0, -1e5, -math.inf, -3.4e38, -(10**400)])
def test_what_counts_as_not_known(value):
    response = one(logprob=value, top_logprobs=[{"token": "b", "logprob": value}])
    assert known(response) == {}
    with pytest.raises(ValueError, match="responses give no log-probability at all"):
        RecordedCompletions([response])
    response = {"completion_probabilities": [{"token": "a", "prob": None if value is None else 0}]}
    assert known(response) == {}


def test_rounding_above_zero_is_zero():
    assert known(one(logprob=1e-6)) == {"a": 0.0}
    assert known({"completion_probabilities": [{"token": "a", "prob": 1 + 1e-6}]}) == {"a": 0.0}
    assert known(one(logprob=-9998.5)) == {"a": -9998.5}


def in_float32(terms):
    """Terms over their sum, both as a server of float32 has them."""
    total = np.float32(0)
    for term in terms:
        total += term
    return terms / total


def top(p):
    """An answer that tells these probabilities."""
    logs = np.log(p, where=p > 0, out=np.full(len(p), -np.inf, np.float32))
    items = [{"token": "t", "id": i, "logprob": float(x)} for i, x in enumerate(logs)]
    return {"choices": [{"logprobs": {"content": [items[0] | {"top_logprobs": items}]}}]}


@given(
    st.integers(0, 10**6), st.integers(1, 60), st.floats(0.0, 20.0), st.sampled_from(["down", "up", "any"])
)
def test_any_row_that_was_divided_by_a_sum_in_float32_is_taken(seed, n, spread, order):
    rng = np.random.default_rng(seed)
    terms = np.exp(rng.normal(0, spread, n).astype(np.float32) - np.float32(3 * spread))
    terms = {"down": np.sort(terms)[::-1], "up": np.sort(terms), "any": terms}[order]
    listed = in_float32(terms)[rng.random(n) < 0.7]
    # The bound itself, in exact numbers: a divided term is rounded once more.
    least = Fraction(1) - Fraction(1, 2**24)
    assert sum(map(Fraction, listed.tolist())) <= (1 + Fraction(1, 2**23)) / least ** len(listed)
    if len(listed):
        RecordedCompletions([top(listed)])


def test_rows_that_add_up_to_more_than_one_are_divided(unchecked):
    # Each term after the first is just too small to change the sum, and so the first stays 1.
    n = 4000
    p = in_float32(np.float32([1, *[0.999 * 2**-24] * n]))
    total = p.sum(dtype=np.float64)
    assert total > 1 + 10 * ROUNDING
    model = RecordedCompletions([top(p)])
    rows = model([()]).astype(np.float64)
    np.testing.assert_allclose(np.exp(rows[0]), p / total, rtol=1e-5)
    assert read_model(model, depth=1).unexpanded_weight == 0
    assert sum(map(math.exp, known(top(p)).values())) == pytest.approx(total, rel=1e-6)
    # Three times as much is no rounding.
    p[1:] *= 3
    with pytest.raises(
        ValueError, match=r"add up to 1\.0007.* which is more than 1; rounding of 4001 explains 1\.00024"
    ):
        parse_response(top(p))


def test_answers_within_a_tolerance_may_add_up_to_more_by_it():
    answers = [one(token=name, logprob=math.log(p)) for name, p in [("a", 0.51), ("b", 0.4999)]]
    with pytest.raises(ValueError, match=r"after \[\]: the known probabilities add up to 1.0099"):
        RecordedCompletions(answers)
    [row] = np.exp(RecordedCompletions(answers, tolerance=0.01)([()]))
    np.testing.assert_allclose(row, np.array([0.51, 0.4999]) / 1.0099, rtol=1e-6)


def test_choices_without_tokens():
    assert parse_response({"choices": []}) == []
    empty = [{"text": "", "logprobs": None}, {"message": {"content": ""}, "finish_reason": "stop"},
             {"text": "\ufffd", "logprobs": None}]  # fmt: skip
    assert [choice.positions for choice in parse_response({"choices": empty})] == [(), (), ()]
    model = RecordedCompletions([{"choices": empty}, one()])
    np.testing.assert_array_equal(model([()]), np.float32([[-1.0]]))
    assert parse_response({"content": "", "completion_probabilities": []})[0].positions == ()


@pytest.mark.parametrize(
    "choice",
    [
        {"text": "Hello", "logprobs": {"tokens": [], "token_logprobs": []}},
        {"text": "Hello", "logprobs": {"content": []}},
        {"message": {"content": "Hello"}, "logprobs": {"content": []}},
        {"message": {"content": "Hello"}, "text": "", "logprobs": None},
    ],
)
def test_a_text_without_tokens_is_refused(choice):
    message = (
        re.escape("choices[0].logprobs = ") + ".*holds no tokens beside the text 'Hello'; ask for log-prob"
    )
    with pytest.raises(ValueError, match=message):
        parse_response({"choices": [choice]})
    with pytest.raises(
        ValueError, match=r"completion_probabilities = \[\]: holds no tokens beside the text 'H'"
    ):
        parse_response({"content": "H", "completion_probabilities": []})


def test_a_model_that_changed_its_answer():
    answers = [one(), one(logprob=-1.01)]
    message = (
        "responses[1], choice 0: after [] the token 'a' has log-probability -1.01, and -1.0 in an earlier"
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        RecordedCompletions(answers)
    np.testing.assert_array_equal(RecordedCompletions(answers, tolerance=0.011)([()]), np.float32([[-1.0]]))
    answers = [SHAPES["legacy"]([(0, {0: -1.0}), (1, {1: x})]) for x in (-2.0, -3.0)]
    with pytest.raises(ValueError, match=re.escape("after ['a'] the token 'b' has log-probability -3.0")):
        RecordedCompletions(answers)


def test_answers_that_add_up_to_more_than_one():
    answers = [one(token=name, logprob=math.log(0.6)) for name in "ab"]
    message = "responses[1], choice 0: after []: the known probabilities add up to 1.2"
    with pytest.raises(ValueError, match=re.escape(message)):
        RecordedCompletions(answers)


# What bad input gets

FINE = {"tokens": ["a"], "token_logprobs": [-1.0], "top_logprobs": [{"a": -1.0, "b": -2.0}]}


def fine(**fields):
    return {"choices": [{"logprobs": FINE | fields}]}


def sampled(**fields):
    return {"completion_probabilities": [{"token": "a"} | fields]}


@pytest.mark.parametrize(
    ("response", "error", "message"),
    [
        ([one()], TypeError, "response is a list: must be one decoded JSON object"),
        ({}, ValueError, "choices is missing; the answer holds []"),
        ({"error": {"message": "no"}}, ValueError, "choices is missing; the answer holds {'message': 'no'}"),
        ({"choices": None}, ValueError, "choices is null: must be a list"),
        ({"choices": {}}, TypeError, "choices = {}: must be of type list"),
        ({"choices": [[]]}, TypeError, "choices[0] = []: must be of type dict"),
        ({"choices": [{}]}, ValueError, "choices[0].logprobs = None: holds no tokens; ask for log-prob"),
        ({"choices": [{"logprobs": {}, "text": "a"}]}, ValueError, "choices[0].logprobs = {}: holds no to"),
        ({"choices": [{"logprobs": []}]}, TypeError, "choices[0].logprobs = []: must be of type dict"),
        ({"choices": [{"logprobs": {"content": 1}}]}, TypeError, "choices[0].logprobs.content = 1: must"),
        ({"choices": [{"text": "", "finish_reason": 1}]}, TypeError, "choices[0].finish_reason = 1: must"),
        ({"completion_probabilities": None}, ValueError, "completion_probabilities is null: must be a li"),
        ({"completion_probabilities": [], "stop_type": 1}, TypeError, "stop_type = 1: must be of type str"),
        (one(logprob=0.5), ValueError, "choices[0].logprobs.content[0].logprob = 0.5: a log-probability is"),
        (one(logprob=math.nan), ValueError, "choices[0].logprobs.content[0].logprob = nan: a log-probabil"),
        (one(logprob=math.inf), ValueError, "content[0].logprob = inf: a log-probability is at most 0"),
        (one(logprob=2e-5), ValueError, "content[0].logprob = 2e-05: a log-probability is at most 0"),
        (one(logprob="-1"), TypeError, "content[0].logprob = '-1': must be of type int | float"),
        (one(logprob=True), TypeError, "content[0].logprob = True: must be of type int | float"),
        (one(token=None), ValueError, "content[0].token is null: must be a str"),
        (one(token=1), TypeError, "content[0].token = 1: must be of type str"),
        (one(id="1"), TypeError, "content[0].id = '1': must be of type int"),
        (one(id=True), TypeError, "content[0].id = True: must be of type int"),
        (one(bytes="a"), TypeError, "content[0].bytes = 'a': must be of type list"),
        (one(bytes=[97, None]), TypeError, "content[0].bytes[1] = None: must be of type int"),
        (one(bytes=[256]), ValueError, "content[0].bytes[0] = 256: a byte lies in 0..255"),
        (one(top_logprobs={}), TypeError, "content[0].top_logprobs = {}: must be of type list"),
        (one(top_logprobs=[None]), TypeError, "content[0].top_logprobs[0] = None: must be of type dict"),
        (one(top_logprobs=[{"token": "a"}]), ValueError, "content[0].top_logprobs[0].logprob is missing"),
        (one(top_logprobs=[{"logprob": 0}]), ValueError, "content[0].top_logprobs[0].token is missing"),
        (one(top_logprobs=[{"token": "b", "logprob": -0.1}]), ValueError,
         "choices[0].logprobs.content[0]: the known probabilities add up to 1.272"),
        (one(id=1, top_logprobs=[{"token": "b", "id": 1, "logprob": -2}]), ValueError,
         "choices[0].logprobs.content[0] = -1.0: the token of id 1 has -2.0 at the same position"),
        (one(top_logprobs=[{"token": "b", "id": 1, "logprob": -x} for x in (2, 3)]), ValueError,
         "content[0].top_logprobs[1].logprob = -3.0: the token of id 1 has -2.0 at the same position"),
        (sampled(), ValueError, "completion_probabilities[0].logprob is missing"),
        (sampled(prob=-0.1), ValueError, "completion_probabilities[0].prob = -0.1: a probability lies betw"),
        (sampled(prob=1.1), ValueError, "completion_probabilities[0].prob = 1.1: a probability lies betwee"),
        (sampled(prob=math.nan), ValueError, "completion_probabilities[0].prob = nan: a probability lies b"),
        (sampled(prob=0.5, top_probs=[{"token": "b", "prob": 2}]), ValueError,
         "completion_probabilities[0].top_probs[0].prob = 2: a probability lies between 0 and 1"),
        (fine(tokens=["a", "b"]), ValueError, "logprobs.token_logprobs has 1 entries and tokens has 2"),
        (fine(top_logprobs=[]), ValueError, "logprobs.top_logprobs has 0 entries and tokens has 1"),
        (fine(token_logprobs=None), ValueError, "logprobs.token_logprobs is null: must be a list"),
        (fine(tokens="a"), TypeError, "choices[0].logprobs.tokens = 'a': must be of type list"),
        (fine(tokens=[None]), TypeError, "choices[0].logprobs.tokens[0] = None: must be of type str"),
        (fine(token_logprobs=[0.5]), ValueError, "choices[0].logprobs.token_logprobs[0] = 0.5: a log-prob"),
        (fine(top_logprobs=["a"]), TypeError, "choices[0].logprobs.top_logprobs[0] = 'a': must be of type"),
        (fine(top_logprobs=[{"a": []}]), TypeError, "choices[0].logprobs.top_logprobs[0]['a'] = []: must"),
        (fine(top_logprobs=[{1: -1.0}]), TypeError, "the name in choices[0].logprobs.top_logprobs[0][1] ="),
        (fine(top_logprobs=[{"a": 0.0}]), ValueError, "logprobs[0]: the known probabilities add up to 1.3"),
        (fine(top_logprobs=[{"a": 0.0, "b": -1.0}]), ValueError,
         "choices[0].logprobs.top_logprobs[0]: the known probabilities add up to 1.7"),
    ],
)  # fmt: skip
def test_bad_answers_are_refused_with_their_place(unchecked, response, error, message):
    with pytest.raises(error, match=re.escape(message)) as caught:
        parse_response(response)
    with pytest.raises(error) as placed:
        RecordedCompletions([one(), response])
    if str(caught.value).startswith(("choices", "completion", "stop")):
        assert str(placed.value) == f"responses[1].{caught.value}"


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: RecordedCompletions([]), ValueError, "responses give no log-probability at all"),
        (lambda: RecordedCompletions(one()), TypeError, "responses is one answer: pass a list of answers"),
        (lambda: RecordedCompletions([one(), 3]), TypeError, "responses[1] is a int: must be one decoded"),
        (lambda: RecordedCompletions([one()], eos="</s>"), TypeError, "eos = '</s>' is one token: pass a l"),
        (lambda: RecordedCompletions([one()], eos=[b"a"]), TypeError, "eos[0] = b'a': must be a token's te"),
        (lambda: RecordedCompletions([one()], eos=[True]), TypeError, "eos[0] = True: must be a token's te"),
        (lambda: RecordedCompletions([one()], tolerance=-1), ValueError, "tolerance = -1: must be finite"),
        (lambda: RecordedCompletions([one()], tolerance=math.nan), ValueError, "tolerance = nan: must be f"),
        (lambda: CompletionsServer(dict, top=0), ValueError, "top = 0: must be an integer >= 1"),
        (lambda: CompletionsServer(dict, [1, -1]), ValueError, "prompt[1] = -1: must be an integer >= 0"),
        (lambda: CompletionsServer(dict, body={"echo": True}), ValueError, "body['echo'] is set: the answ"),
        (lambda: CompletionsServer(dict)([(), (0,)]), ValueError, "the answer after []: choices is missing"),
        (lambda: CompletionsServer(lambda body: [])([()]), TypeError, "the answer after [] is a list: must"),
        (lambda: CompletionsServer(lambda body: one())([(), (1,)]), ValueError,
         "prefixes[1] = (1,): the vocabulary holds 1 symbols"),
        (lambda: CompletionsServer(lambda body: one())([(), (-1,)]), ValueError, "prefixes[1] = (-1,): the"),
        (lambda: CompletionsServer(lambda body: {"choices": []})([()]), ValueError,
         "the answer after []: choices is empty"),
        (lambda: CompletionsServer(lambda body: {"choices": [{"text": ""}]})([()]), ValueError,
         "no answer told any token: nothing is known of the model"),
        (lambda: CompletionsServer(lambda body: one(token="token_id:5"))([()]), ValueError,
         "the answer after []: token 5 has an id and no text: give the prompt as ids"),
        (lambda: CompletionsServer(lambda body: one(), [1])([()]), ValueError,
         "the answer after []: token 'a' has no id: give the prompt as text"),
        (lambda: CompletionsServer("http://a/"), TypeError, "post is a str: must be callable"),
        (lambda: http_post("file:///etc/passwd"), ValueError, "url = 'file:///etc/passwd': must start with"),
        (lambda: http_post("http://localhost:x/"), ValueError, "url = 'http://localhost:x/': Invalid"),
        (lambda: http_post("http://me:it@localhost/"), ValueError, "url has a user name or a password"),
        (lambda: http_post("http://a/", timeout=0), ValueError, "timeout = 0: must be seconds, fin"),
        (lambda: http_post("http://a/", patience=-1), ValueError, "patience = -1: must be seconds, f"),
        (lambda: http_post("http://a/", {"X Y": "1"}), ValueError, "the name of a header is none: mus"),
        (lambda: http_post("http://a/", {"X": None}), TypeError, "headers['X'] is a NoneType: must be a str"),
    ],
)  # fmt: skip
def test_bad_input(unchecked, call, error, message):
    with pytest.raises(error, match=re.escape(message)):
        call()


def places(value, path=()):
    """Paths of everything inside a JSON value."""
    yield path
    if isinstance(value, dict | list):
        for name, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places(inner, (*path, name))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.just(10**400) | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=4,
)


@st.composite
def mutants(draw):
    """A valid answer in which some values were replaced, deleted or doubled."""
    _, [positions, *_] = draw(samples())
    response = SHAPES[draw(st.sampled_from(sorted(SHAPES)))](positions)
    for _ in range(draw(st.integers(1, 3))):
        *path, last = draw(st.sampled_from([place for place in places(response) if place] or [(0,)]))
        holder = response
        for name in path:
            holder = holder[name]
        action = draw(st.sampled_from(["replace", "delete", "double"]))
        if action == "replace" and holder:
            holder[last] = draw(JSON)
        elif action == "delete" and holder:
            del holder[last]
        elif isinstance(holder, list) and holder:
            holder.append(copy.deepcopy(holder[last]))
    return response


@given(mutants())
def test_damaged_answers_are_read_or_refused(response):
    try:
        choices = parse_response(response)
    except (ValueError, TypeError) as error:
        reason = str(error)
    else:
        reason = "choices"
        for choice in choices:
            for position in choice.positions:
                assert all(-9999 < x <= 0 for x in position.known.values())
                assert sum(map(math.exp, position.known.values())) <= 1 + 2 * ROUNDING
    assert reason.startswith(("choices", "completion_probabilities", "stop_type"))
    try:
        model = RecordedCompletions([response])
    except (ValueError, TypeError) as error:
        reason = str(error)
    else:
        reason = "responses"
        assert read_model(model, depth=3).total_weight == 1
    assert reason.startswith("responses")


# A server


def test_the_prefixes_of_a_long_answer_take_no_more_than_the_answer(unchecked):
    # The import hook's own memory and time are those of many thousand calls.
    n = 1500
    logprobs = {"tokens": ["a", "b"] * (n // 2), "token_logprobs": [-0.5] * n}
    tracemalloc.start()
    try:
        model = RecordedCompletions([{"choices": [{"logprobs": logprobs}]}])
        # Its n prefixes, written out, are n^2 / 2 symbols: 9 MB.
        assert tracemalloc.get_traced_memory()[1] < 2000 * n
    finally:
        tracemalloc.stop()
    rows = model([(0, 1) * (n // 2 - 1), (0, 1) * (n // 2), (1,)])
    np.testing.assert_array_equal(rows, np.float32([[-0.5, -np.inf], [-np.inf] * 2, [-np.inf] * 2]))


@contextmanager
def served(answer):
    """A local server, and the bodies it got.

    It answers a body with JSON or bytes, with a status, a text and headers, or by a function of its handler.
    """
    bodies = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            found = answer(bodies[-1]) if self.headers["X-Key"] != "wrong" else (401, "no such key: wrong")
            if callable(found):
                found(self)
                return
            status, content, *headers = found if isinstance(found, tuple) else (200, found)
            content = content.encode() if isinstance(content, str) else content
            content = content if isinstance(content, bytes) else json.dumps(content).encode()
            self.send_response(status)
            for name, value in (headers[0] if headers else {}).items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content) + 5 * content.startswith(b"short")))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1/completions", bodies
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def answering(write, parse, seed=3):
    """What a server of the true model says to a body; `parse` turns its prompt into a path."""

    def answer(body):
        logprobs = truth(seed, parse(body["prompt"]))
        best = sorted(range(len(NAMES)), key=lambda i: -logprobs[i])[: body["logprobs"]]
        return write([(best[0], {i: logprobs[i] for i in best})])

    return answer


def from_text(prompt):
    assert prompt.startswith("Say: ")
    return tuple(NAMES.index(name) for name in prompt[5:])


def from_ids(prompt):
    assert prompt[:2] == [7, 8]
    return tuple(IDS.index(i) for i in prompt[2:])


@pytest.mark.parametrize("top", [4, 2])
@pytest.mark.parametrize(
    ("shape", "prompt", "parse", "end"),
    [
        ("legacy", "Say: ", from_text, "</s>"),
        ("chat", "Say: ", from_text, "</s>"),
        ("llama.cpp", "Say: ", from_text, 2),
        ("llama.cpp", [7, 8], from_ids, "</s>"),
        ("token ids", [7, 8], from_ids, 2),
        ("native", [7, 8], from_ids, 2),
    ],
)
def test_a_server_is_read_into_the_tree_of_its_model(shape, prompt, parse, end, top):
    with served(answering(SHAPES[shape], parse)) as (url, bodies):
        model = CompletionsServer(http_post(url, timeout=10), prompt, top=top, body={"model": "m"}, eos=[end])
        tree = read_model(model, depth=3)
        asked = len(bodies)
        assert all(body | {"prompt": 0} == {"prompt": 0, "model": "m", "max_tokens": 1, "temperature": 0,
                                            "logprobs": top} for body in bodies)  # fmt: skip
        # A second read asks for nothing.
        assert read_model(model, depth=3) == tree
        assert len(bodies) == asked
    symbols = {i: symbol for symbol, token in enumerate(model.vocabulary) for i in range(3)
               if token.key == key(shape, i)}  # fmt: skip
    leaves, left = {(): 1.0}, 0.0
    for _ in range(3):
        grown = {}
        for path, mass in leaves.items():
            chances = np.exp(truth(3, path))
            best = np.argsort(-chances)[:top].tolist()
            left += mass * (1 - chances[best].sum())
            grown |= {(*path, i): mass * chances[i] for i in best if i != 3}
            if 3 in best:
                weight = tree.weight([symbols[i] for i in path], eos=True)
                assert weight == pytest.approx(mass * chances[3], rel=1e-5)
        leaves = grown
    for path, mass in leaves.items():
        assert tree.weight([symbols[i] for i in path]) == pytest.approx(mass, rel=1e-5)
    assert tree.unexpanded_weight == pytest.approx(left, abs=1e-5)


def test_an_interrupted_read_goes_on_where_it_stopped():
    truthful, calls = answering(SHAPES["legacy"], from_text), []

    def post(body):
        calls.append(body["prompt"])
        if len(calls) == 4:
            raise KeyboardInterrupt
        return truthful(body)

    model = CompletionsServer(post, "Say: ", eos=["</s>"])
    with pytest.warns(UserWarning, match="interrupted"):
        read_model(model, depth=3, batch_size=1, keep_on_interrupt=True)
    read_model(model, depth=3)
    # The one that was interrupted is asked again.
    assert sorted(calls) == sorted([*{*calls}, calls[3]])


def test_prefixes_that_are_no_text_are_not_sent():
    tops = [
        {"token": "�", "bytes": [0xC3], "logprob": -2.0},
        {"token": "�", "bytes": [0xA9], "logprob": -2.0},
        {"token": "�", "logprob": -2.5},
        {"token": "", "logprob": -3.0},
        {"token": "\ud800", "logprob": -3.0},
    ]
    sent = []

    def post(body):
        sent.append(body["prompt"])
        return one(top_logprobs=tops)

    model = CompletionsServer(post, ">")
    model([()])
    symbols = {token.key: symbol for symbol, token in enumerate(model.vocabulary)}
    half, rest = symbols[b"\xc3"], symbols[b"\xa9"]
    lost = [(half,), (rest,), (symbols["�"],), (symbols[""],), (symbols["\ud800"],), (symbols["a"], half)]
    assert (model(lost) == -np.inf).all()
    assert sent == [">"]
    assert np.isfinite(model([(half, rest), (symbols["a"], half, rest)])).any(axis=1).all()
    assert sent[1:] == [">é", ">aé"]


def test_tokens_of_other_readers_may_have_no_id():
    vocabulary = Vocabulary([Token("a"), Token("a", id=1)])
    sent = []

    def post(body):
        sent.append(body["prompt"])
        return one(id=1)

    model = CompletionsServer(post, [7], vocabulary=vocabulary)
    assert (model([(0,), (1, 0)]) == -np.inf).all()
    np.testing.assert_array_equal(model([(1, 1)]), np.float32([[-np.inf, -1.0]]))
    assert sent == [[7, 1, 1]]


def test_an_end_that_is_not_written_leaves_the_row_unknown():
    def post(body):
        return one() if body["prompt"] == "" else {"choices": [{"text": "", "logprobs": None}]}

    np.testing.assert_array_equal(CompletionsServer(post)([(), (0,)]), np.float32([[-1.0], [-np.inf]]))


def test_only_the_next_token_counts():
    answer = SHAPES["legacy"]([(0, {0: -1.0}), (1, {1: -0.5})])
    model = CompletionsServer(lambda body: answer, body={"max_tokens": 2})
    np.testing.assert_array_equal(model([()]), np.float32([[-1.0]]))


@pytest.fixture
def waits(monkeypatch):
    """Waits, which take no time."""
    found = []
    monkeypatch.setattr(posting, "time", SimpleNamespace(sleep=found.append))
    return found


@pytest.mark.parametrize(
    ("answer", "error", "message"),
    [
        ((500, "overloaded"), OSError, "answered 500: overloaded"),
        ((404, b"\xff"), OSError, "answered 404: �"),
        ('{"choices": [', ValueError, "answered with what is no whole JSON: Expecting value"),
        (b"\xff\xfe\xff", ValueError, "answered with what is no whole JSON"),
        ("[" * 10**5, ValueError, "answered with what is no whole JSON"),
        ("short", OSError, "broke off: RemoteProtocolError: "),
        (
            (400, "too many"),
            OSError,
            "answered 400: too many; asked for logprobs = 20: servers cap it, so try",
        ),
    ],
)
def test_servers_that_fail(answer, error, message):
    with (
        served(lambda body: answer) as (url, bodies),
        pytest.raises(error, match=re.escape(message)) as caught,
    ):
        http_post(url, timeout=10, patience=0)({"prompt": "", "logprobs": 20})
    assert str(caught.value).startswith(f"{url} ")
    assert len(bodies) == 1


def test_headers_are_sent_and_never_shown(waits):
    with served(lambda body: one()) as (url, _):
        assert http_post(url, {"X-Key": "right"})({}) == one()
        with pytest.raises(OSError, match=re.escape("answered 401: no such key: [hidden]")) as caught:
            http_post(url, {"X-Key": "wrong"})({})
        assert "wrong" not in str(caught.value)
    with pytest.raises(OSError, match=f"{url} cannot be reached: ConnectionRefusedError: .* tried 3 times"):
        http_post(url)({})
    assert waits == [0.5, 1.0]


KEY = "sk-0123456789"


def echoing(status):
    """An answer that repeats the key."""
    return lambda handler: (
        handler.send_response(status),
        handler.send_header("Location", handler.path + "&again"),
        handler.end_headers(),
        handler.wfile.write(f"{'x' * 485}{handler.headers['Authorization']} {handler.path}".encode()),
    )


@pytest.mark.parametrize("status", [200, 302, 400, 401, 429, 500, 503])
def test_a_key_is_in_no_error(status, tmp_path):
    with served(lambda body: echoing(status)) as (url, _):
        post = http_post(f"{url}?v=1&key={KEY[::-1]}", {"Authorization": f"Bearer {KEY}"}, patience=0)
        model = CompletionsServer(post)
        with pytest.raises(ReadError) as caught, Recording(model, tmp_path / "answers.npz") as kept:
            read_model(kept, depth=1)
    shown, error = [repr(post)], caught.value
    while error is not None:
        shown += [str(error), repr(error), repr(vars(error)), pickle.dumps(error.args).decode("latin-1")]
        error = error.__cause__ or error.__context__
    assert not any(part in text for text in shown for part in (KEY, KEY[::-1], KEY[:5]))
    assert f"{url}?v=1&key=[hidden]" in shown[1]
    for holder in (post, model):
        with pytest.raises(TypeError, match="may hold a key and is not pickled") as refused:
            pickle.dumps(holder)
        assert KEY not in str(refused.value)


def test_a_key_is_in_no_recording(tmp_path):
    path = tmp_path / "answers.npz"
    with served(lambda body: one()) as (url, _):
        model = CompletionsServer(http_post(url, {"Authorization": f"Bearer {KEY}"}))
        with Recording(model, path) as kept:
            read_model(kept, depth=1)
    with np.load(path) as arrays:
        assert not any(KEY.encode() in array.tobytes() for array in arrays.values())


@pytest.mark.parametrize(
    "value", [f"{KEY}\n", f"Bearer {KEY}\r\nX: y", f"{KEY} ", f"\t{KEY}", f"{KEY}\x00", "é" + KEY]
)
def test_a_key_that_is_no_header_is_not_quoted(value):
    with pytest.raises(
        ValueError, match=r"headers\['Authorization'\] has '.*' at place \d+ of \d+: must"
    ) as caught:
        http_post("http://localhost/", {"Authorization": value})
    assert KEY[:5] not in str(caught.value)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_not_followed(status):
    with served(lambda body: one()) as (other, reached):
        with served(lambda body: (status, "", {"Location": other})) as (url, _):
            message = f"{url} answered {status}, location {other}: not followed"
            with pytest.raises(OSError, match=re.escape(message)):
                http_post(url, {"Authorization": f"Bearer {KEY}"})({})
        assert reached == []


def test_a_busy_server_is_waited_for(waits):
    def later(seconds):
        return format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)

    busy = [(429, "", {"Retry-After": "7"}), (503, ""), (429, "", {"Retry-After": "0"}), (504, ""),
            (502, "", {"Retry-After": "soon"}), (429, "", {"Retry-After": later(90)}),
            (408, "", {"Retry-After": later(-90)}), "short", one()]  # fmt: skip
    answers = iter(busy)
    with served(lambda body: next(answers)) as (url, bodies):
        assert http_post(url)({"prompt": "x"}) == one()
    assert bodies == [{"prompt": "x"}] * len(busy)
    assert waits == [7.0, 1.0, 0.5, 4.0, 8.0, pytest.approx(89, abs=1.5), 0.5, 64.0]


def test_a_server_that_stays_busy_is_given_up(waits):
    with served(lambda body: (429, "slow down", {"Retry-After": "40"})) as (url, bodies):
        message = (
            "answered 429: slow down; tried 3 times, with 80 s of waiting, and 40 s more exceed patience"
        )
        with pytest.raises(OSError, match=re.escape(message)):
            http_post(url, patience=100)({})
    assert (len(bodies), waits) == (3, [40.0, 40.0])


def dripping(headers):
    """A whole answer, a byte every 20 ms: no single wait is long."""

    def drip(handler):
        text = json.dumps(one()).encode()
        head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(text)
        try:
            handler.wfile.write(b"" if headers else head)
            for octet in head + text if headers else text:
                time.sleep(0.02)
                handler.wfile.write(bytes([octet]))
        except OSError:
            pass

    return drip


@pytest.mark.parametrize("headers", [False, True])
def test_a_timeout_is_a_whole_requests(headers):
    with served(lambda body: dripping(headers)) as (url, bodies):
        message = f"{url} gave no whole answer within timeout = 0.2 s"
        with pytest.raises(TimeoutError, match=re.escape(message)):
            http_post(url, timeout=0.2)({})
    assert len(bodies) == 1


@pytest.mark.skipif(os.name != "posix", reason="an alarm")
def test_a_request_is_interrupted():
    reached, free = Event(), Event()

    def hang(handler):
        reached.set()
        free.wait(10)

    def interrupt(number, frame):
        raise KeyboardInterrupt

    def alarm():
        reached.wait(10)
        os.kill(os.getpid(), signal.SIGUSR1)

    before = signal.signal(signal.SIGUSR1, interrupt)
    try:
        with served(lambda body: hang) as (url, _):
            Thread(target=alarm).start()
            with pytest.raises(KeyboardInterrupt):
                http_post(url, timeout=20)({})
            assert not free.is_set()
            free.set()
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_a_request_inside_an_event_loop():
    async def notebook(url):
        return http_post(url)({})

    with served(lambda body: one()) as (url, _):
        assert asyncio.run(notebook(url)) == one()


def test_a_proxy_is_taken_from_the_environment(monkeypatch):
    for name in ("http_proxy", "no_proxy", "NO_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with served(lambda body: one()) as (url, bodies):
        monkeypatch.setenv("HTTP_PROXY", url)
        assert http_post("http://nowhere.invalid/v1/completions")({"prompt": "x"}) == one()
    assert bodies == [{"prompt": "x"}]


def test_the_client_is_asked_for_when_it_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "httpx2", None)
    with pytest.raises(ImportError, match=re.escape("http_post needs httpx2: pip install 'tokentree[http]'")):
        http_post("http://localhost/")
