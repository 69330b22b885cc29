"""Completions APIs: answers written from a known model, in every shape, and read back."""

import asyncio
import copy
import gc
import json
import math
import os
import pickle
import re
import signal
import sys
import time
import warnings
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from fractions import Fraction
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, strategies as st

from tokentree import LeafKind
from tokentree.adapters import (
    CompletionsServer,
    ReadError,
    Recording,
    posting,
    read_model,
)
from tokentree.adapters.answers import ROUNDING, read

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


def wrapped(write):
    return lambda positions: {"object": "text_completion", "choices": [write(positions)]}


SHAPES = {
    "legacy": wrapped(legacy),
    "token ids": wrapped(lambda positions: legacy(positions, lambda i: f"token_id:{IDS[i]}")),
    "chat": wrapped(chat),
    "llama.cpp": wrapped(partial(chat, ids=True)),
    "ollama": lambda positions: {"response": "...", "logprobs": chat(positions)["logprobs"]["content"]},
}


def key(shape, i):
    return IDS[i] if shape in ("token ids", "llama.cpp") else NAMES[i].encode()


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


def told(response, where="it"):
    """What the library reads in an answer."""
    return read(json.dumps(response).encode(), where)


@given(st.sampled_from(sorted(SHAPES)), samples())
def test_every_shape_is_read(shape, drawn):
    _, answers = drawn
    for positions in answers:
        for i, (_, known) in enumerate(positions):
            found = told(SHAPES[shape](positions[i:]))
            expected = {key(shape, token): x for token, x in known.items()}
            assert {token.key: x for token, x in found.items()} == pytest.approx(expected, rel=1e-12)
            names = {token.raw for token in found}
            assert names == ({None} if shape == "token ids" else {NAMES[token].encode() for token in known})


def test_an_echoed_prompt_has_no_first_probability():
    response = SHAPES["legacy"]([(0, {0: -1.0}), (1, {1: -0.5, 2: -1.0})])
    response["choices"][0]["logprobs"]["token_logprobs"][0] = None
    response["choices"][0]["logprobs"]["top_logprobs"][0] = None
    assert told(response) == {}


def one(**fields):
    """A chat answer of one position."""
    return {"choices": [{"logprobs": {"content": [{"token": "a", "logprob": -1.0} | fields]}}]}


def known(response):
    return {token.key: x for token, x in told(response).items()}


# What a token is


def test_same_text_different_ids_stay_apart():
    tops = [{"token": "a", "id": i, "logprob": -i} for i in (1, 2)]
    assert known(one(id=2, logprob=-2.0, top_logprobs=tops)) == {1: -1.0, 2: -2.0}
    tops = [{"token": "�", "bytes": [raw], "logprob": -2.0} for raw in (0xE2, 0x80)]
    assert known(one(top_logprobs=tops)) == {b"a": -1.0, b"\xe2": -2.0, b"\x80": -2.0}


def test_same_bytes_are_the_same_token_whatever_the_text():
    tops = [{"token": "é", "bytes": [195, 169], "logprob": -2.0}]
    answer = one(token="\\xc3\\xa9", bytes=[195, 169], logprob=-2.0, top_logprobs=tops)
    assert known(answer) == {"é".encode(): -2.0}


def test_tokens_that_cannot_be_told_apart_add_up():
    lost = "�".encode()
    tops = [{"token": "�", "logprob": math.log(p)} for p in (0.25, 0.125)]
    answer = one(token="�", logprob=math.log(0.25), top_logprobs=tops)
    assert known(answer) == {lost: pytest.approx(math.log(0.375))}
    # The chosen token is not the alternative of that name: its probability is another.
    answer = one(token="�", logprob=math.log(0.0625), top_logprobs=tops)
    assert known(answer) == {lost: pytest.approx(math.log(0.4375))}


@given(
    st.sampled_from(["id", "token_id", "bytes", "text"]),
    st.lists(st.integers(0, 4), min_size=1, max_size=8),
    st.integers(0, 4),
    st.integers(0, 99),
)
def test_lists_with_repetitions_tell_what_sets_do(kind, listed, chosen, seed):
    def named(i):
        """The i-th token in one of four ways; without ids, the last two are named alike."""
        text = "abc��"[i]
        return {
            "id": {"token": "x", "id": i},
            "token_id": {"token": "x", "token_id": i},
            "bytes": {"token": "x", "bytes": list(text.encode())},
            "text": {"token": text},
        }[kind]

    # The probabilities of two tokens differ by far more than rounding.
    p = np.random.default_rng(seed).permutation([0.4, 0.2, 0.1, 0.05, 0.025])
    tops = [named(i) | {"logprob": math.log(p[i])} for i in listed]
    found = known(one(**named(chosen), logprob=math.log(p[chosen]), top_logprobs=tops))
    expected = {}
    for i in {*listed, chosen}:
        name = i if "id" in kind else "abc��"[i].encode()
        expected[name] = expected.get(name, 0.0) + p[i]
    assert {name: math.exp(x) for name, x in found.items()} == pytest.approx(expected, rel=1e-12)


def test_bytes_as_legacy_answers_write_them():
    logprobs = {
        "tokens": ["bytes:\\xe2\\x80", "bytes: \\x99"],
        "token_logprobs": [-1, -1],
        "top_logprobs": None,
    }
    whole = told({"choices": [{"logprobs": logprobs}]})
    del logprobs["tokens"][0], logprobs["token_logprobs"][0]
    rest = told({"choices": [{"logprobs": logprobs}]})
    assert [*whole, *rest] == [(b"\xe2\x80", b"\xe2\x80"), (b" \x99", b" \x99")]


# Ends


def test_an_end_without_a_text():
    # So llama.cpp writes where it ends: an id, an empty text, and no bytes.
    end, a = ({"token": text, "bytes": list(text.encode()), "id": i, "logprob": math.log(p)}
              for text, i, p in [("", 2, 0.5), ("a", 7, 0.25)])  # fmt: skip
    answer = one(**end, top_logprobs=[end, a])
    answer["choices"][0] |= {"text": "", "finish_reason": "stop"}
    assert told(answer) == {(2, None): math.log(0.5), (7, b"a"): math.log(0.25)}


# Numbers


@pytest.mark.parametrize("value", [None, -9999, -9999.0, -1e5, -math.inf, -3.4e38])
def test_what_counts_as_not_known(value):
    response = one(logprob=value, top_logprobs=[{"token": "b", "logprob": value}])
    assert known(response) == {}


def test_rounding_above_zero_is_zero():
    assert known(one(logprob=1e-6)) == {b"a": 0.0}
    assert known(one(logprob=-9998.5)) == {b"a": -9998.5}


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
        told(top(listed))


def test_rows_that_add_up_to_more_than_one_are_divided(unchecked):
    # Each term after the first is just too small to change the sum, and so the first stays 1.
    n = 4000
    p = in_float32(np.float32([1, *[0.999 * 2**-24] * n]))
    total = p.sum(dtype=np.float64)
    assert total > 1 + 10 * ROUNDING
    with served(lambda body: top(p)) as (url, _):
        model = CompletionsServer(url, ids=True)
        rows = model([()]).astype(np.float64)
        np.testing.assert_allclose(np.exp(rows[0]), p / total, rtol=1e-5)
        assert read_model(model, depth=1).unexpanded_weight == 0
    # Three times as much is no rounding.
    p[1:] *= 3
    with pytest.raises(
        ValueError, match=r"add up to 1\.0007.* which is more than 1; rounding of 4001 explains 1\.00024"
    ):
        told(top(p))


def test_choices_without_tokens():
    empty = [{"text": "", "logprobs": None}, {"message": {"content": ""}, "finish_reason": "stop"},
             {"text": "\ufffd", "logprobs": None}]  # fmt: skip
    assert [told({"choices": [choice]}) for choice in empty] == [{}, {}, {}]


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
    message = "it.choices[0].logprobs: holds the text 'Hello' without tokens"
    with pytest.raises(ValueError, match=re.escape(message)):
        told({"choices": [choice]})


# What bad input gets

FINE = {"tokens": ["a"], "token_logprobs": [-1.0], "top_logprobs": [{"a": -1.0, "b": -2.0}]}


def fine(**fields):
    return {"choices": [{"logprobs": FINE | fields}]}


@pytest.mark.parametrize(
    ("response", "message"),
    [
        ([one()], " = [{"),
        ({"error": {"message": "no"}}, ".choices = {'error': {'message': 'no'}}: Field required"),
        ({"choices": None}, ".choices = None: "),
        ({"choices": [[]]}, ".choices[0] = []: "),
        ({"choices": [{}]}, ".choices[0].logprobs: holds the text None without tokens"),
        ({"choices": [{"logprobs": []}]}, ".choices[0].logprobs = []: "),
        ({"choices": [{"logprobs": {"content": 1}}]}, ".choices[0].logprobs.content = 1: "),
        (one(logprob=0.5), ".choices[0].logprobs.content[0].logprob = 0.5: Input should be less than or eq"),
        (one(logprob=math.nan), "content[0].logprob = nan: Input should be less than or equal to 0.00001"),
        (one(logprob=math.inf), "content[0].logprob = inf: Input should be less than or equal to 0.00001"),
        (one(logprob="-1"), ".choices[0].logprobs.content[0].logprob = '-1': Input should be a valid number"),
        (one(logprob=True), "content[0].logprob = True: Input should be a valid number"),
        (one(token=None), "content[0].token = None: Input should be a valid string"),
        (one(id="1"), "content[0].id = '1': Input should be a valid integer"),
        (one(id=True), "content[0].id = True: Input should be a valid integer"),
        (one(id=-1), "content[0].id = -1: Input should be greater than or equal to 0"),
        (one(bytes=[97, None]), "content[0].bytes[1] = None: Input should be a valid integer"),
        (one(bytes=[256]), "content[0].bytes[0] = 256: Input should be less than 256"),
        (one(top_logprobs={}), "content[0].top_logprobs = {}: Input should be a valid array"),
        (one(top_logprobs=[{"token": "a"}]), "content[0].top_logprobs[0].logprob = {'token': 'a'}: Field re"),
        (one(top_logprobs=[{"token": "b", "logprob": -0.1}]), "content[0]: the known probabilities add up t"),
        (one(id=1, top_logprobs=[{"token": "b", "id": 1, "logprob": -2}]),
         "content[0]: the token with id 1 has log-probabilities [-1.0, -2.0]"),
        (fine(tokens=["a", "b"]), "logprobs: tokens, token_logprobs and top_logprobs differ in length"),
        (fine(tokens="a"), ".choices[0].logprobs.tokens = 'a': Input should be a valid array"),
        (fine(token_logprobs=[0.5]), ".choices[0].logprobs.token_logprobs[0] = 0.5: Input should be less"),
        (fine(top_logprobs=[{"a": []}]), ".choices[0].logprobs.top_logprobs[0].a = []: Input should be a va"),
        (fine(top_logprobs=[{"a": 0.0}]), "tokens[0]: the known probabilities add up to 1.3"),
    ],
)  # fmt: skip
def test_bad_answers_are_refused_with_their_place(unchecked, response, message):
    with pytest.raises(ValueError, match="^it.*" + re.escape(message)):
        told(response)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: CompletionsServer("http://a", top=0), ValueError, "top = 0: must be an integer >= 1"),
        (lambda: CompletionsServer("http://a", eos="</s>"), TypeError, "eos = '</s>' is a single token"),
        (lambda: CompletionsServer("http://a", eos=[b"a"]), TypeError, "eos[0] = b'a': must be a token's te"),
        (lambda: CompletionsServer("http://a", eos=[True]), TypeError, "eos[0] = True: must be a token's te"),
        (lambda: CompletionsServer("http://a", body={"echo": True}), ValueError, "body['echo'] is set: the "),
        (lambda: CompletionsServer("file:///etc/passwd"), ValueError, "url = 'file:///etc/passwd': must sta"),
        (lambda: CompletionsServer("http://localhost:x/"), ValueError, "url = 'http://localhost:x/': Invali"),
        (lambda: CompletionsServer(7), ValueError, "url = 7: must start with http"),
        (lambda: CompletionsServer("http://me:it@localhost"), ValueError, "url has a user name, a query or"),
        (lambda: CompletionsServer("http://localhost?key=it"), ValueError, "url has a user name, a query or"),
        (lambda: CompletionsServer("http://a", timeout=0), ValueError, "timeout = 0: must be finite seconds"),
        (lambda: CompletionsServer("http://a", patience=-1), ValueError, "patience = -1: must be finite sec"),
    ],
)  # fmt: skip
def test_bad_input(unchecked, call, error, message):
    with pytest.raises(error, match=re.escape(message)) as caught:
        call()
    assert "it@" not in str(caught.value)
    assert "=it" not in str(caught.value)


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
        found = told(response)
    except ValueError as error:
        found, reason = {}, str(error)
    else:
        reason = "it"
    assert reason.startswith("it")
    assert all(logprob <= 0 for logprob in found.values())
    assert sum(map(math.exp, found.values())) <= 1 + 1e-12


# A server


@contextmanager
def served(answer, special=None):
    """A local server, its address, and the bodies it got.

    It answers a body with JSON or bytes, with a status, a text and headers, or by a function of its handler.
    `special` answers the paths of `/tokenize` and its like; without it there are none.
    """
    bodies = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if self.path.startswith("/v1/completions"):
                bodies.append(body)
                found = answer(body)
            else:
                found = special(self.path, body) if special else (404, "no such path")
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

        do_GET = do_POST

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1", bodies
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


def tokenizer(path, body):
    """As llama.cpp has it."""
    if path == "/tokenize":
        return {"tokens": {"Say: ": [7, 8], "</s>": [2], "a": [10]}[body["content"]]}
    if path == "/detokenize":
        names = dict(zip(IDS, NAMES, strict=True))
        return {"content": "".join(names.get(token, "?") for token in body["tokens"])}
    if path == "/v1/models":
        return {"object": "list", "data": [{"id": "m", "meta": {"n_vocab": 20, "n_ctx_train": 64}}]}
    assert path == "/props"
    return {"eos_token": "</s>"}


@pytest.mark.parametrize("top", [4, 2])
@pytest.mark.parametrize(
    ("shape", "prompt", "parse", "end", "special"),
    [
        ("legacy", "Say: ", from_text, "</s>", None),
        ("chat", "Say: ", from_text, "</s>", None),
        ("llama.cpp", "Say: ", from_ids, None, tokenizer),
        ("llama.cpp", [7, 8], from_ids, "</s>", tokenizer),
    ],
)
def test_a_server_is_read_into_the_tree_of_its_model(shape, prompt, parse, end, special, top):
    with served(answering(SHAPES[shape], parse), special) as (url, bodies):
        model = CompletionsServer(url, "m", top=top, eos=None if end is None else [end], timeout=10)
        tree = read_model(model, depth=3, prompt=prompt)
        fields = {"model": "m", "max_tokens": 1, "temperature": 0, "logprobs": top}
        fields |= {"return_tokens_as_token_ids": True} if special else {}
        assert all(body | {"prompt": 0} == {"prompt": 0, **fields} for body in bodies)
        back = {i: i for i in IDS} if special else {raw: symbol for symbol, raw in model.tokens.items()}
        symbols = {i: back[key(shape, i)] for i in range(4) if key(shape, i) in back}
        assert [model.text(symbol) for symbol in symbols.values()] == [NAMES[i] for i in symbols]
        assert model.alphabet_size == (tree.alphabet_size if special else None)
        assert tree.alphabet_size == (20 if special else len(model.tokens))
    # The rounding of each of three rows is left open where they list these four of more ids.
    leaves, left, rounding = {(): 1.0}, 0.0, 4e-5
    for _ in range(3):
        grown = {}
        for path, mass in leaves.items():
            chances = np.exp(truth(3, path))
            best = np.argsort(-chances)[:top].tolist()
            left += mass * (1 - chances[best].sum())
            grown |= {(*path, i): mass * chances[i] for i in best if i != 3}
            if 3 in best:
                weight = tree.weight([symbols[i] for i in path], eos=True)
                assert weight == pytest.approx(mass * chances[3], rel=rounding)
        leaves = grown
    for path, mass in leaves.items():
        assert tree.weight([symbols[i] for i in path]) == pytest.approx(mass, rel=rounding)
    assert tree.unexpanded_weight == pytest.approx(left, abs=rounding)


def test_real_answers_of_llama_cpp():
    held = json.loads((Path(__file__).parent / "llama.cpp.json").read_text("utf-8"))

    def find(path, prompt=None):
        return next(e["answer"] for e in held if e["path"] == path and e["body"].get("prompt") == prompt)

    def special(path, body):
        return {} if path == "/detokenize" else find(path[1:], body.get("content"))

    with served(lambda body: find("v1/completions", body["prompt"]), special) as (url, _):
        model = CompletionsServer(url, top=6, ids=True)
        tree = read_model(model, depth=3, prompt=held[0]["body"]["prompt"], top_k=2, max_nodes=14)
        assert model.eos == {2}
        assert model.text(2) == "<|im_end|>"
        assert model.alphabet_size == tree.alphabet_size == 49152
    # The end has an id and no text in the answers.
    assert tree.weight([], eos=True) == pytest.approx(math.exp(-3.0137035846710205), rel=1e-6)
    cut = {model.text(leaf.prefix) for leaf in tree.leaves() if leaf.kind is LeafKind.CUT}
    assert cut == {"\n\nThe", "\n\nIn"}


_, *VLLM = json.loads((Path(__file__).parent / "answers_vllm.json").read_text("utf-8"))


@contextmanager
def vllm(key=None):
    """A server that answers as vLLM did, each request of the recording."""

    def find(path, body):
        entry = next(
            entry
            for entry in VLLM
            if (entry["path"], entry.get("key")) == (path, key) and entry["body"].items() <= body.items()
        )
        return entry["status"], json.dumps(entry["answer"])

    def special(path, body):
        # Not recorded: the form is that of its documentation.
        listed = {"object": "list", "data": [{"id": "tiny", "object": "model", "max_model_len": 64}]}
        return listed if path == "/v1/models" else find(path[1:], body)

    with served(partial(find, "v1/completions"), special) as (url, _):
        yield url


def of_vllm(kind):
    """Prompts of a type, and the probabilities that answers tell after them, the chosen token's first."""
    for entry in VLLM:
        prompt = entry["body"].get("prompt")
        if entry["path"] == "v1/completions" and entry["status"] == 200 and isinstance(prompt, kind):
            told = entry["answer"]["choices"][0]["logprobs"]
            chosen = told["tokens"][0], math.exp(told["token_logprobs"][0])
            yield prompt, chosen, {name: math.exp(x) for name, x in told["top_logprobs"][0].items()}


def grown(rows, top_k, depth, end=None, prefix=(), mass=1.0):
    """Leaves of the tree that `rows` make; a prefix without a row is unexpanded."""
    if len(prefix) == depth:
        return {(prefix, LeafKind.CUT): mass}
    row = dict(rows.get(prefix, {}))
    leaves = {(prefix, LeafKind.EOS): mass * row.pop(end)} if end in row else {}
    best = sorted(row, key=lambda token: -row[token])[:top_k]
    for token in best:
        leaves |= grown(rows, top_k, depth, end, (*prefix, token), mass * row[token])
    left = mass * (1 - sum(rows.get(prefix, {}).get(token, 0) for token in [*best, end]))
    return leaves | {(prefix, LeafKind.UNEXPANDED): left}


@pytest.mark.parametrize(("prompt", "end"), [('" H', "</s>"), ([3, 511], 0)])
def test_real_answers_of_vllm(prompt, end):
    with vllm() as url:
        model = CompletionsServer(url, "tiny", top=8, eos=[end])
        tree = read_model(model, depth=3, prompt=prompt, top_k=2)
    rows = {tuple(ids[2:]): {int(name[9:]): p for name, p in row.items()} for ids, _, row in of_vllm(list)}
    leaves = {(leaf.prefix, leaf.kind): leaf.weight for leaf in tree.leaves()}
    assert leaves == pytest.approx(grown(rows, 2, 3, end=0), rel=1e-5)
    assert {prefix for prefix, kind in leaves if kind is LeafKind.EOS} == {(), (74,)}


def test_real_answers_of_vllm_with_texts_for_symbols():
    with vllm() as url:
        model = CompletionsServer(url, "tiny", top=8, ids=False)
        tree = read_model(model, depth=2, prompt="The tree", top_k=3)
    rows = {}
    for prompt, (text, p), row in of_vllm(str):
        # Halves of characters have no text there, and only the last of them is listed beside the chosen.
        together = row[text] if math.isclose(row[text], p, rel_tol=1e-5) else row[text] + p
        rows[(prompt[8:],) if prompt[8:] else ()] = row | {text: together}
    leaves = {(tuple(map(model.text, leaf.prefix)), leaf.kind): leaf.weight for leaf in tree.leaves()}
    assert leaves == pytest.approx(grown(rows, 3, 2), rel=1e-5)
    # After a token without text, the server would answer as it does before it.
    assert {prefix: kind for prefix, kind in leaves if prefix[:1] == ("",)} == {("",): LeafKind.UNEXPANDED}


def test_texts_of_vllm():
    with vllm() as url:
        model = CompletionsServer(url, "tiny")
        assert model.eos == frozenset()
        assert [model.text(token) for token in (258, 129, 104, 5120)] == [" t", "\ufffd", "\ufffd", "<5120>"]
        assert model.text([327, 258, 342]) == "The tree"
        assert model.text([129, 104]) == "é"
        model = CompletionsServer(url, "pieces")
        ids = model.encode("The tree of é")
        assert [model.text(token) for token in ids[:3]] == ["<s>", " The", " t"]
        assert model.text(ids) == "<s> The tree of é"


@pytest.mark.parametrize(
    "entry", [entry for entry in VLLM if entry["path"] == "v1/completions" and entry["status"] >= 400]
)
def test_what_vllm_refuses(entry):
    key, error = entry.get("key"), entry["answer"]["error"]
    sent = {"prompt": [3], "logprobs": 20, "model": "tiny"} | entry["body"]
    with vllm(key) as url, pytest.raises(OSError, match=f"answered {entry['status']}: ") as caught:
        CompletionsServer(url, sent["model"], top=sent["logprobs"], ids=True)([tuple(sent["prompt"])])
    assert (error if key else error["message"]) in str(caught.value)
    assert ("try a smaller top" in str(caught.value)) == (sent["logprobs"] == 21)


def test_ollama_is_asked_where_it_tells_log_probabilities():
    asked, answer = [], answering(SHAPES["ollama"], from_text)

    def special(path, body):
        if path != "/api/generate":
            return 404, "404 page not found"
        asked.append(body)
        return answer(body | {"logprobs": body["top_logprobs"]})

    options = {"top": 2, "eos": ["</s>"]}
    with served(dict, special) as (url, _):
        model = CompletionsServer(url.replace("/v1", "/api/generate"), "m", **options)
        tree = read_model(model, 2, prompt="Say: ")
        with pytest.raises(ValueError, match="prompt is empty: Ollama completes no empty prompt"):
            read_model(model, 2)
    with served(answering(SHAPES["chat"], from_text)) as (url, _):
        assert read_model(CompletionsServer(url, "m", **options), 2, prompt="Say: ") == tree
    fields = {"raw": True, "stream": False, "logprobs": True, "top_logprobs": 2, "model": "m"}
    fields["options"] = {"num_predict": 1, "temperature": 0}
    assert all(body | {"prompt": 0} == {"prompt": 0, **fields} for body in asked)


def test_a_real_answer_of_ollama():
    # Printed in the notes of its release 0.12.11, github.com/ollama/ollama/releases/tag/v0.12.11.
    tops = [("The", -0.8361086845397949), ("Okay", -1.2590975761413574), ("That", -1.2686877250671387)]
    entries = [{"token": text, "logprob": x, "bytes": list(text.encode())} for text, x in tops]
    answer = {"model": "gemma3", "created_at": "2025-11-14T22:26:10.466324Z", "response": "The"}
    answer |= {"done": False, "logprobs": [entries[0] | {"top_logprobs": entries}]}
    assert known(answer) == {text.encode(): x for text, x in tops}
    # After a most likely end, whose log-probability it leaves out.
    assert known({"model": "gemma3", "response": "", "done": True, "done_reason": "stop"}) == {}


@pytest.mark.parametrize(
    "told",
    [
        {"data": [{"id": "a", "meta": {"n_vocab": 20}}, {"id": "b", "meta": {"n_vocab": 30}}]},
        {"data": [{"id": "a", "meta": {"n_vocab": "20"}}]},
        {"data": [{"id": "a", "meta": {"n_vocab": 0}}]},
        {"data": [{"id": "a"}]},
        {"data": None},
        [],
        (404, "no such path"),
    ],
)
def test_an_alphabet_that_is_not_told(told, tmp_path):
    with served(lambda body: one(id=3), lambda path, body: told) as (url, _):
        model = CompletionsServer(url, ids=True)
        with Recording(tmp_path / "answers.db", model) as kept:
            assert model.alphabet_size is kept.alphabet_size is None
            assert kept([()]).shape == (1, 4)


def test_the_whole_vocabulary_is_asked_for_where_its_size_is_known():
    told = {"data": [{"meta": {"n_vocab": 20}}]}
    with served(lambda body: one(id=3), lambda path, body: told) as (url, asked):
        model = CompletionsServer(url, ids=True, top=None)
        model([(1,)])
        assert model.top == model.alphabet_size == asked[-1]["logprobs"] == 20
        assert repr(model).endswith("top=20)")
    with served(lambda body: one()) as (url, _), pytest.raises(ValueError, match=r"top = None .* top=32000"):
        CompletionsServer(url, top=None)


def test_addresses():
    for url, shown in {
        "http://localhost:8000": "http://localhost:8000/v1",
        "http://localhost:8000/": "http://localhost:8000/v1",
        "https://a.b/api/v1/completions": "https://a.b/api/v1",
        "https://a.b/openai/": "https://a.b/openai",
    }.items():
        assert repr(CompletionsServer(url)) == f"CompletionsServer({shown!r}, top=20)"


def test_neighbours_are_asked_for_one_after_another():
    with served(lambda body: one(id=1)) as (url, bodies):
        rows = CompletionsServer(url, ids=True)([(2, 1), (1, 1), (2,), (1,)])
    np.testing.assert_array_equal(rows, np.float32([[-np.inf, -1.0]] * 4))
    assert [body["prompt"] for body in bodies] == [[1], [1, 1], [2], [2, 1]]


def test_prefixes_that_are_no_text_are_not_sent():
    tops = [
        {"token": "�", "bytes": [0xC3], "logprob": -2.0},
        {"token": "�", "bytes": [0xA9], "logprob": -2.0},
        {"token": "�", "logprob": -2.5},
    ]
    with served(lambda body: one(top_logprobs=tops)) as (url, bodies):
        model = CompletionsServer(url)
        [prompt] = model.encode(">")
        model([(prompt,)])
        symbols = {raw: symbol for symbol, raw in model.tokens.items()}
        a, half, rest, lost = (symbols[raw] for raw in (b"a", b"\xc3", b"\xa9", "�".encode()))
        assert (model([(prompt, half), (prompt, rest), (prompt, lost), (prompt, a, half)]) == -np.inf).all()
        assert len(bodies) == 1
        assert np.isfinite(model([(prompt, half, rest), (prompt, a, half, rest)])).any(axis=1).all()
        assert {body["prompt"] for body in bodies[1:]} == {">aé", ">é"}


def test_an_end_that_is_not_written_leaves_the_row_unknown():
    with served(lambda body: one() if body["prompt"] == "" else {"choices": [{"text": ""}]}) as (url, _):
        model = CompletionsServer(url, ids=False)
        model([()])
        np.testing.assert_array_equal(model([(), (0,)]), np.float32([[-1.0], [-np.inf]]))


def test_only_the_next_token_counts():
    answer = SHAPES["legacy"]([(0, {0: -1.0}), (1, {1: -0.5})])
    with served(lambda body: answer) as (url, bodies):
        model = CompletionsServer(url, body={"max_tokens": 2}, ids=False)
        np.testing.assert_array_equal(model([()]), np.float32([[-1.0]]))
        assert bodies[0]["max_tokens"] == 2


@pytest.mark.parametrize(
    ("answer", "call", "message"),
    [
        ([], lambda model: model([()]), "the answer after '' = []: Input should be"),
        ({"choices": []}, lambda model: model([()]), "the answer after ''.choices = []: List should have at"),
        (
            {"error": "no"},
            lambda model: model([()]),
            "the answer after ''.choices = {'error': 'no'}: Field r",
        ),
        (one(id=1), lambda model: model([()]), "the token 1 has an id, and symbols are texts; a Compl"),
        (one(), lambda model: model([(5,)]), "prefixes[0] holds 5: the server has given no text for"),
        (
            one(),
            lambda model: CompletionsServer(model._url, ids=True)([(5,)]),
            "the token b'a' has no id, an",
        ),
        (
            one(),
            lambda model: CompletionsServer(model._url, ids=True).encode("a"),
            "the server has no /token",
        ),
        (
            one(),
            lambda model: CompletionsServer(model._url, eos=[2]).eos,
            "eos has 2: the server gives texts",
        ),
    ],
)
def test_what_a_server_may_not_answer(unchecked, answer, call, message):
    with served(lambda body: answer) as (url, _):
        model = CompletionsServer(url)
        with pytest.raises(ValueError, match=re.escape(message)):
            call(model)


def test_an_end_must_be_one_token():
    with served(dict, lambda path, body: {"tokens": [1, 2]}) as (url, _):
        model = CompletionsServer(url, eos=["xy"])
        with pytest.raises(ValueError, match=re.escape("eos has 'xy': the server's tokens of it are [1, 2]")):
            print(model.eos)


@pytest.mark.parametrize("recorded", [False, True])
def test_a_read_tells_of_an_end_that_no_answer_names(tmp_path, recorded):
    def read(url, **options):
        model = CompletionsServer(url, eos=["</s>"], **options)
        with Recording(tmp_path / "answers.db", model) as kept:
            return read_model(kept if recorded else model, depth=2)

    with (
        served(lambda body: one()) as (url, _),
        pytest.warns(UserWarning, match=r"eos = \['</s>'\] is in no answer"),
    ):
        read(url)
    (tmp_path / "answers.db").unlink()
    with served(lambda body: one(token="</s>")) as (url, _), warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(2):
            # Again in a new process, nothing is asked that the file has.
            assert read(url).weight([], eos=True) == pytest.approx(math.exp(-1))


def test_a_server_that_reports_after_sampling_is_noticed():
    with (
        served(lambda body: one(id=len(body["prompt"]), logprob=0.0)) as (url, _),
        pytest.warns(UserWarning, match="the model is certain of the first token and of the next"),
    ):
        read_model(CompletionsServer(url, ids=True), depth=3, prompt=[1])


@pytest.fixture
def waits(monkeypatch):
    """Waits, which take no time."""
    found = []
    monkeypatch.setattr(posting, "time", SimpleNamespace(sleep=found.append))
    return found


def ask(url, api_key=None, **options):
    return CompletionsServer(url, api_key=api_key, ids=False, **options)([()])


@pytest.mark.parametrize(
    ("answer", "error", "message"),
    [
        ((500, "overloaded"), OSError, "answered 500: overloaded"),
        ((404, b"\xff"), OSError, "answered 404: �"),
        ('{"choices": [', ValueError, "Invalid JSON: EOF"),
        (b"\xff\xfe\xff", ValueError, "Invalid JSON"),
        ("[" * 10**5, ValueError, "Invalid JSON"),
        ("short", OSError, "broke off: RemoteProtocolError: "),
        (
            (400, "logprobs?"),
            OSError,
            "answered 400: logprobs?; the request had logprobs = 20, which servers cap",
        ),
    ],
)
def test_servers_that_fail(answer, error, message):
    with (
        served(lambda body: answer) as (url, bodies),
        pytest.raises(error, match=re.escape(message)) as caught,
    ):
        ask(url, timeout=10, patience=0)
    assert str(caught.value).startswith(url)
    assert len(bodies) == 1


KEY = "sk-0123456789"


def test_a_server_that_is_not_there(waits):
    with served(lambda body: one()) as (url, _):
        assert ask(url, KEY).shape == (1, 1)
    with pytest.raises(OSError, match=f"{url}.* cannot be reached: ConnectionRefusedError: .* tried 3 times"):
        ask(url, KEY)
    assert waits == [0.5, 1.0]


def echoing(status):
    """An answer that repeats the key."""
    return lambda handler: (
        handler.send_response(status),
        handler.send_header("Location", f"/{handler.headers['Authorization'][7:]}"),
        handler.end_headers(),
        handler.wfile.write(f"{'x' * 485}{handler.headers['Authorization']} {handler.path}".encode()),
    )


@pytest.mark.parametrize("status", [None, 200, 302, 400, 401, 429, 500, 503])
def test_a_key_is_in_no_error_and_no_file(status, tmp_path):
    path = tmp_path / "answers.db"
    with served(lambda body: {"error": KEY} if status is None else echoing(status)) as (url, _):
        model = CompletionsServer(url, api_key=KEY, patience=0, ids=False)
        with pytest.raises(ReadError) as caught, Recording(path, model) as kept:
            read_model(kept, depth=1)
    shown, error = [repr(model)], caught.value
    while error is not None:
        shown += [str(error), repr(error), repr(vars(error)), pickle.dumps(error.args).decode("latin-1")]
        error = error.__cause__ or error.__context__
    assert not any(part in text for text in shown for part in (KEY, KEY[:5]))
    assert KEY.encode() not in path.read_bytes()
    with pytest.raises(TypeError, match="may hold a key and cannot be pickled") as refused:
        pickle.dumps(model)
    assert KEY not in str(refused.value)


def test_a_key_in_the_place_of_a_token_is_hidden():
    with served(lambda body: one(token=KEY)) as (url, _):
        model = CompletionsServer(url, api_key=KEY, ids=True)
        with pytest.raises(ValueError, match=re.escape("the token b'[hidden]' has no id")) as caught:
            model([()])
    # Nor does what the error was raised out of show it, whatever a test runner adds to that.
    error: BaseException | None = caught.value
    while error is not None:
        assert KEY not in repr(error)
        error = error.__cause__ or error.__context__


@pytest.mark.parametrize(
    "value", [f"{KEY}\n", f"{KEY}\r\nX: y", f"{KEY} ", f"\t{KEY}", f"{KEY}\x00", "é" + KEY, ""]
)
def test_a_key_that_is_no_header_is_not_quoted(value):
    with pytest.raises(ValueError, match=re.escape("api_key is empty, or has a space")) as caught:
        CompletionsServer("http://localhost", api_key=value)
    assert KEY[:5] not in str(caught.value)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_not_followed(status):
    with served(lambda body: one()) as (other, reached):
        with served(lambda body: (status, "", {"Location": other})) as (url, _):
            message = f"{url}/completions answered {status}, location {other}: not followed"
            with pytest.raises(OSError, match=re.escape(message)):
                ask(url, KEY)
        assert reached == []


def test_a_busy_server_is_waited_for(waits):
    def later(seconds):
        return format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)

    busy = [(429, "", {"Retry-After": "7"}), (503, ""), (429, "", {"Retry-After": "0"}), (504, ""),
            (502, "", {"Retry-After": "soon"}), (429, "", {"Retry-After": later(90)}),
            (408, "", {"Retry-After": later(-90)}), "short", one()]  # fmt: skip
    answers = iter(busy)
    with served(lambda body: next(answers)) as (url, bodies):
        assert ask(url).shape == (1, 1)
    assert len(bodies) == len(busy)
    assert waits == [7.0, 1.0, 0.5, 4.0, 8.0, pytest.approx(89, abs=1.5), 0.5, 64.0]


def test_a_server_that_stays_busy_is_given_up(waits):
    with served(lambda body: (429, "slow down", {"Retry-After": "40"})) as (url, bodies):
        message = "answered 429: slow down; tried 3 times, waiting 80 s, with patience = 100"
        with pytest.raises(OSError, match=re.escape(message)):
            ask(url, patience=100)
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
        message = f"{url}/completions gave no complete answer within timeout = 0.2 s"
        with pytest.raises(TimeoutError, match=re.escape(message)):
            ask(url, timeout=0.2)
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
                ask(url, timeout=20)
            assert not free.is_set()
            free.set()
    finally:
        signal.signal(signal.SIGUSR1, before)


def on_one_connection(handlers):
    """An answer after which the connection stays open."""

    def answer(handler):
        handlers.append(handler)
        text = json.dumps(one()).encode()
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(text), text))
        handler.close_connection = False

    return answer


def test_requests_share_a_connection_until_the_reader_is_gone():
    handlers, gone = [], Event()
    with served(lambda body: on_one_connection(handlers)) as (url, _):
        model = CompletionsServer(url, "m", ids=False)
        for _ in range(3):
            model([()])
        assert len(handlers) == 3
        assert len({id(handler) for handler in handlers}) == 1
        finish = handlers[0].finish
        handlers[0].finish = lambda: finish() or gone.set()
        del model
        gc.collect()
        assert gone.wait(10)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_reader_goes_on_in_a_forked_process():
    handlers = []
    with served(lambda body: on_one_connection(handlers)) as (url, _):
        model = CompletionsServer(url, "m", ids=False, timeout=10, patience=0)
        before = model([()]).tolist()
        if not (child := os.fork()):
            signal.alarm(20)
            os._exit(model([()]).tolist() != before)
        assert os.waitpid(child, 0)[1] == 0
        assert model([()]).tolist() == before
    # The child has a connection of its own, and leaves the parent's open.
    assert [handlers.index(handler) for handler in handlers] == [0, 1, 0]


def test_a_request_inside_an_event_loop():
    async def notebook(url):
        return ask(url)

    with served(lambda body: one()) as (url, _):
        assert asyncio.run(notebook(url)).shape == (1, 1)


def test_a_proxy_is_taken_from_the_environment(monkeypatch):
    for name in ("http_proxy", "no_proxy", "NO_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    paths = []
    with served(dict, lambda path, body: paths.append(path) or one()) as (url, _):
        monkeypatch.setenv("HTTP_PROXY", url)
        assert ask("http://nowhere.invalid/v1").shape == (1, 1)
    # A proxy is told the whole address.
    assert paths == ["http://nowhere.invalid/v1/completions"]


@pytest.mark.parametrize("missing", ["httpx2", "pydantic"])
def test_the_client_is_asked_for_when_it_is_missing(monkeypatch, missing):
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(ImportError, match=rf"needs {missing}: pip install \w+ \(extra 'server'\)"):
        CompletionsServer("http://localhost/")
