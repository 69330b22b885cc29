"""Completions APIs: answers written from a known model, in every shape, and read back."""

import copy
import json
import math
import re
import tracemalloc
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import jaxtyping
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokentree.adapters import read_model
from tokentree.adapters.completions import (
    ROUNDING,
    CompletionsServer,
    RecordedCompletions,
    Token,
    Vocabulary,
    http_post,
    parse_response,
)

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


def test_an_id_has_one_probability():
    twice = [{"token": "a", "id": 1, "logprob": -1.0}, {"token": "A", "id": 1, "logprob": -1.0}]
    assert known(one(id=1, top_logprobs=twice)) == {1: -1.0}


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
    model = RecordedCompletions([response], eos=["</s>"])
    assert (model([(1,)]) == -np.inf).all()
    np.testing.assert_array_equal(model([()]), np.float32([[-np.inf, -1.0]]))


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


def test_choices_without_tokens():
    assert parse_response({"choices": []}) == []
    empty = [{"text": "", "logprobs": None}, {"message": {"content": ""}, "finish_reason": "stop"}]
    assert [choice.positions for choice in parse_response({"choices": empty})] == [(), ()]
    model = RecordedCompletions([{"choices": empty}, one()])
    np.testing.assert_array_equal(model([()]), np.float32([[-1.0]]))


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
def test_bad_answers_are_refused_with_their_place(monkeypatch, response, error, message):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
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
        (lambda: http_post("file:///etc/passwd"), ValueError, "url = 'file:///etc/passwd': must start with"),
    ],
)  # fmt: skip
def test_bad_input(monkeypatch, call, error, message):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
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


def test_the_prefixes_of_a_long_answer_take_no_more_than_the_answer(monkeypatch):
    # The import hook's own memory and time are those of many thousand calls.
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
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
    """A local server that answers a body with JSON, bytes, or a status and a text; and the bodies it got."""
    bodies = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            found = answer(bodies[-1]) if self.headers["X-Key"] != "wrong" else (401, "no such key")
            status, content = found if isinstance(found, tuple) else (200, found)
            content = content.encode() if isinstance(content, str) else content
            content = content if isinstance(content, bytes) else json.dumps(content).encode()
            self.send_response(status)
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
        model = CompletionsServer(http_post(url, timeout=10), prompt, top, {"model": "m"}, eos=[end])
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
        read_model(model, depth=3, batch_size=1)
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


@pytest.mark.parametrize(
    ("answer", "error", "message"),
    [
        ((500, "overloaded"), OSError, "answered 500: overloaded"),
        ((404, b"\xff"), OSError, "answered 404: �"),
        ('{"choices": [', ValueError, "answered with what is no whole JSON: Expecting value"),
        (b"\xff\xfe\xff", ValueError, "answered with what is no whole JSON"),
        ("[" * 10**5, ValueError, "answered with what is no whole JSON"),
        ("short", OSError, "broke off: IncompleteRead(5 bytes read, 5 more expected)"),
    ],
)
def test_servers_that_fail(answer, error, message):
    with served(lambda body: answer) as (url, _), pytest.raises(error, match=re.escape(message)) as caught:
        http_post(url, timeout=10)({"prompt": ""})
    assert str(caught.value).startswith(url)


def test_headers_are_sent_and_never_shown():
    with served(lambda body: one()) as (url, _):
        assert http_post(url, {"X-Key": "right"})({}) == one()
        with pytest.raises(OSError, match="answered 401: no such key") as caught:
            http_post(url, {"X-Key": "wrong"})({})
        assert "wrong" not in str(caught.value)
    with pytest.raises(OSError, match="refused"):
        http_post(url)({})
