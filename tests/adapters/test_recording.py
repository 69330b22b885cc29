"""Recordings of models: stopped anywhere, gone on with, damaged, and read without the model."""

import os
import re
import sqlite3
import subprocess
import sys
import textwrap
from contextlib import closing
from itertools import product

import numpy as np
import pytest
from hypothesis import given, strategies as st
from test_completions import served
from tests.toys import coin

from tokentree.adapters import CompletionsServer, ReadError, Recording, read_along, read_model
from tokentree.trees import TokenTree


def asked_of(model, path, prefixes, batch_size=9):
    """Answers of a model by way of a file."""
    with Recording(path, model) as kept:
        batches = [prefixes[i : i + batch_size] for i in range(0, len(prefixes), batch_size)]
        return [row for batch in batches for row in kept(batch)]


@st.composite
def answers(draw):
    """Distinct prefixes of any lengths, in any order, and a row for each, some of it unknown."""
    size = draw(st.integers(1, 5))
    symbols = st.lists(st.integers(0, size - 1), max_size=4).map(tuple)
    prefixes = draw(st.lists(symbols, min_size=1, max_size=8, unique=True))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    rows = np.log(rng.dirichlet(np.ones(size), len(prefixes)))
    partial = draw(st.booleans())
    if partial:
        rows[rng.random(rows.shape) < 0.3] = -np.inf
    return prefixes, rows.astype(draw(st.sampled_from(["f2", "f4", "f8", ">f4"]))), partial


@given(answers(), st.integers(1, 3))
def test_answers_are_given_back(tmp_path_factory, drawn, batch_size):
    prefixes, rows, partial = drawn
    held = dict(zip(prefixes, rows, strict=True))
    path = tmp_path_factory.mktemp("recording") / "answers.db"

    def model(batch):
        return np.array([held[prefix] for prefix in batch])

    model.partial, model.eos = partial, [0]
    np.testing.assert_array_equal(asked_of(model, path, [*prefixes, *prefixes], batch_size), [*rows, *rows])
    with Recording(path) as kept:
        assert (kept.eos, kept.partial) == ({0}, True)
        found = kept([*prefixes, (9,)])
        np.testing.assert_array_equal(found[:-1], rows)
        assert (found[-1] == -np.inf).all()
        assert found.dtype == rows.dtype.newbyteorder("=")
    assert os.listdir(path.parent) == ["answers.db"]


def test_rows_that_get_wider(tmp_path):
    class Growing:
        partial = True
        width = 1

        def __call__(self, prefixes):
            self.width += 1
            return np.full((len(prefixes), self.width), np.log(1 / self.width))

    asked_of(Growing(), tmp_path / "answers.db", [(), (0,), (1,)], batch_size=1)
    half, third, quarter = np.log([1 / 2, 1 / 3, 1 / 4])
    expected = [[half, half, -np.inf, -np.inf], [third, third, third, -np.inf], [quarter] * 4]
    with Recording(tmp_path / "answers.db") as kept:
        np.testing.assert_array_equal(kept([(), (0,), (1,)]), expected)


# Stopping and going on


class Slow:
    """A model that counts the batches it is asked, and stops at one of them."""

    eos = frozenset({3})

    def __init__(self, stop=None, error=KeyboardInterrupt):
        self.asked = []
        self.stop = stop
        self.error = error

    def __call__(self, prefixes):
        if len(self.asked) == self.stop:
            raise self.error
        self.asked.append(list(prefixes))
        seeds = [[len(prefix), *prefix] for prefix in prefixes]
        return np.log([np.random.default_rng(seed).dirichlet(np.ones(4)) for seed in seeds])


WANTED = [prefix for length in range(4) for prefix in product(range(3), repeat=length)]


@pytest.mark.parametrize("error", [KeyboardInterrupt, ConnectionError])
@pytest.mark.parametrize("stop", [0, 1, 3, 4])
def test_a_recording_stopped_anywhere_goes_on(tmp_path, stop, error):
    whole, first, second = Slow(), Slow(stop, error), Slow()
    expected = whole(WANTED)
    with pytest.raises(error):
        asked_of(first, tmp_path / "parts.db", WANTED)
    np.testing.assert_array_equal(asked_of(second, tmp_path / "parts.db", WANTED), expected)
    # The first question again, and then each batch that is missing, once.
    batches = [*first.asked, *second.asked[bool(stop) :]]
    assert [prefix for batch in batches for prefix in batch] == WANTED
    assert second.asked[0] == ([()] if stop else WANTED[:9])


@pytest.mark.parametrize("stop", [0, 1, 2, 5])
def test_a_read_stopped_anywhere_goes_on(tmp_path, stop):
    path = tmp_path / "answers.db"
    options = {"max_nodes": 120, "batch_size": 4, "progress": False}
    whole = read_model(Slow(), 4, **options)
    first, second = Slow(stop), Slow()
    with pytest.warns(UserWarning, match="interrupted"), Recording(path, first) as kept:
        assert read_model(kept, 4, **options, keep_on_interrupt=True).n_nodes < whole.n_nodes
    with Recording(path, second) as kept:
        assert read_model(kept, 4, **options) == whole
    questions = [prefix for batch in [*first.asked, *second.asked[bool(stop) :]] for prefix in batch]
    assert len(questions) == len(set(questions))
    data = TokenTree.from_sequences(["01", "2"], alphabet_size=3)
    with Recording(path, Slow()) as kept:
        assert read_along(kept, data) == read_along(Slow(), data)
    with Recording(path) as kept:
        assert read_model(kept, 4, **options) == whole


KILLED = """
    import os, signal, sys, time
    sys.path[:0] = sys.argv[1:3]
    from test_recording import Slow, WANTED, asked_of
    from tokentree.adapters import Recording

    path = os.path.join(sys.argv[3], "killed.db")
    expected = Slow()(WANTED)
    took = 0
    for kill in range(20):
        child = os.fork()
        if not child:
            asked_of(Slow(), path, WANTED, 4)
            os._exit(0)
        time.sleep(0.004 * (kill % 10))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        if os.path.exists(path):
            model = Slow()
            with Recording(path, model) as kept:
                assert (kept(WANTED[:8]) == expected[:8]).all()
                took += 0 < len(model.asked) - 1 or len(model.asked) == 0
    assert (asked_of(Slow(), path, WANTED, 4) == expected).all()
    print(took)
"""


@pytest.mark.skipif(os.name != "posix", reason="kills and forks")
def test_a_recording_killed_again_and_again_is_that_of_one_that_was_not(tmp_path):
    here = os.path.dirname(__file__)
    given = [here, os.path.dirname(os.path.dirname(here)), str(tmp_path)]
    script = [sys.executable, "-c", textwrap.dedent(KILLED), *given]
    done = subprocess.run(script, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr


def test_what_cannot_be_gone_on_with(tmp_path):
    path = tmp_path / "answers.db"
    asked_of(Slow(), path, [(1,), (2,)])

    def other(prefixes):
        return np.log(np.full((len(prefixes), width), 1 / width))

    with pytest.raises(ValueError, match=re.escape("has eos [3], and the model has []")):
        Recording(path, other)
    other.eos = [3]
    width = 4
    with pytest.raises(ValueError, match=r"holds answers of another model: after \(1,\) they are .* apart"):
        asked_of(other, path, [(0,)])
    width = 3
    with pytest.raises(ValueError, match=r"shape \(1, 3\) and dtype float64: must be .* before, 4"):
        asked_of(other, path, [(0,)])
    width = 5
    other.rounding = 0.99
    asked_of(other, path, [(0,)])
    with Recording(path) as kept:
        assert kept([(0,), (1,)]).shape == (2, 5)
    assert Recording(path, other).rounding == 0.99


@pytest.mark.parametrize(
    ("answer", "error", "message"),
    [
        ([[0.5, -1.0]], ValueError, r"the model's answer\[0, 0\] = 0.5: a log-probability is at most 0"),
        ([[np.nan, -1.0]], ValueError, r"the model's answer\[0, 0\] = nan: a log-probability"),
        ([-1.0], ValueError, r"answered 1 prefixes with shape \(1,\)"),
        ([[1, 2]], ValueError, "and dtype int64"),
    ],
)
def test_what_is_no_answer_is_not_kept(tmp_path, unchecked, answer, error, message):
    path = tmp_path / "answers.db"
    with pytest.raises(error, match=message):
        asked_of(lambda prefixes: answer, path, [()])
    with Recording(path, coin) as kept:
        assert kept([()]).shape == (1, 2)


# Symbols of a server


def answered(body):
    """Two tokens by text, other ones after each prompt."""
    prompt = body["prompt"]
    names = ["</s>", "abcdefg"[len(prompt) % 7], "\u00e9"][: 2 + (len(prompt) > 3)]
    tops = [{"token": name, "logprob": float(np.log(0.4 - 0.1 * i))} for i, name in enumerate(names)]
    return {"choices": [{"logprobs": {"content": [tops[0] | {"top_logprobs": tops}]}}]}


SECOND = """
    import sys
    from tokentree.adapters import CompletionsServer, Recording, read_model

    with Recording(sys.argv[2], CompletionsServer(sys.argv[1], eos=["</s>"])) as kept:
        tree = read_model(kept, 4, prompt=">", progress=False)
        tree.save(sys.argv[3])
        print(repr(kept.text(range(1, 6))))
"""


def test_a_read_from_a_server_goes_on_in_a_new_process(tmp_path):
    path = tmp_path / "answers.db"
    with served(answered) as (url, bodies):
        model = CompletionsServer(url, eos=["</s>"])
        tree = read_model(model, 4, prompt=">")
        bodies.clear()
        with Recording(path, CompletionsServer(url, eos=["</s>"])) as kept:
            read_model(kept, 2, prompt=">")
        asked = [body["prompt"] for body in bodies]
        bodies.clear()
        script = [sys.executable, "-c", textwrap.dedent(SECOND), url, str(path), str(tmp_path / "tree.npz")]
        done = subprocess.run(script, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        again = [body["prompt"] for body in bodies]
    assert TokenTree.load(tmp_path / "tree.npz") == tree
    assert done.stdout.strip() == repr(model.text(range(1, 6)))
    # What was kept is not asked again, but for the first question.
    assert set(asked) & set(again) == {">"}
    with Recording(path) as kept:
        assert read_model(kept, 4, prompt=[1]) == tree
        assert kept.text(range(1, 6)) == model.text(range(1, 6))


def test_symbols_that_do_not_agree(tmp_path):
    path = tmp_path / "answers.db"
    with served(answered) as (url, _):
        with Recording(path, CompletionsServer(url, eos=["</s>"])) as kept:
            read_model(kept, 2, prompt=">")
        other = CompletionsServer(url, eos=["</s>"])
        other.encode("Another prompt comes first")
        with pytest.raises(ValueError, match="has other tokens than the model: symbol 1 is b'>' there"):
            Recording(path, other)


def test_text_without_a_model_and_of_one(tmp_path):
    model = Slow()
    with Recording(tmp_path / "answers.db", model) as kept:
        kept([()])
        assert kept.text([1, 2]) == "<1><2>"
        with pytest.raises(TypeError, match="prompt = 'a' is text, and the model has no method `encode`"):
            read_model(kept, 1, prompt="a")
        with pytest.raises(AttributeError, match="'Recording' has no attribute 'along'"):
            print(kept.along)
    model.text, model.encode = (lambda symbols: "here"), lambda text: [1]
    with Recording(tmp_path / "answers.db", model) as kept:
        assert kept.text(0) == "here"
        assert read_model(kept, 1, prompt="b") == read_model(Slow(), 1, prompt=[1])


# Texts, and how many tokens are listed


class Spelling(Slow):
    """A model of letters a, b and c, from which its tokens begin."""

    def __init__(self, first=0):
        super().__init__()
        self.first = first

    def encode(self, text):
        return [(ord(letter) + self.first) % 3 for letter in text]


@given(st.lists(st.text(st.characters(codec=None), max_size=5)))
def test_texts_are_kept_with_their_ids(tmp_path_factory, texts):
    path = tmp_path_factory.mktemp("recording") / "answers.db"
    for _ in range(2):
        with Recording(path, Spelling()) as kept:
            assert [kept.encode(text) for text in texts] == [Spelling().encode(text) for text in texts]
    if texts:
        with Recording(path) as kept:
            assert [kept.encode(text) for text in texts] == [Spelling().encode(text) for text in texts]
            with pytest.raises(
                ValueError, match="'123456' was not encoded when this file was recorded; give"
            ):
                kept.encode("123456")


def test_a_program_with_texts_runs_again_without_the_model(tmp_path):
    def program(*model):
        with Recording(tmp_path / "answers.db", *model) as kept:
            data = TokenTree.from_sequences([kept.encode("bacb"), kept.encode("ab")], alphabet_size=3)
            return [read_model(kept, 2, prompt=text) for text in ("abc", "cab")] + [read_along(kept, data)]

    assert program(Spelling()) == program() == program(Spelling())
    never = "'cba' was not encoded when this file was recorded"
    with Recording(tmp_path / "answers.db") as kept, pytest.raises(ValueError, match=never):
        read_model(kept, 2, prompt="cba")


def test_one_text_is_encoded_at_a_time(tmp_path, unchecked):
    several = "text is a list: must be a single str"
    with Recording(tmp_path / "answers.db", Spelling()) as kept, pytest.raises(TypeError, match=several):
        kept.encode(["abc", "cab"])


def test_texts_of_another_model_are_refused_and_not_kept(tmp_path):
    path = tmp_path / "answers.db"
    with Recording(path, Spelling()) as kept:
        read_model(kept, 2, prompt="abc")
    message = (
        r"holds answers of another model: it encoded 'abc' as \[1, 2, 0\], and this model as \[2, 0, 1\]"
    )
    with Recording(path, Spelling(1)) as kept, pytest.raises(ValueError, match=message):
        kept.encode("abc")
    other = Spelling()
    other.__class__ = type("Other", (Spelling,), {"__call__": lambda self, prefixes: np.log([[0.25] * 4])})
    with Recording(path, other) as kept, pytest.raises(ValueError, match="answers of another model: after"):
        kept.encode("cab")
    with Recording(path) as kept, pytest.raises(ValueError, match="'cab' was not encoded"):
        kept.encode("cab")


def test_a_text_that_is_a_symbol_is_one_before_any_answer_is_kept(tmp_path):
    path = tmp_path / "answers.db"
    with served(answered) as (url, _):
        for texts in (["a", "b"], ["c", "b", "a"]):
            with Recording(path, CompletionsServer(url, eos=["</s>"])) as kept:
                found = {text: kept.encode(text) for text in texts}
    assert found == {"a": [1], "b": [2], "c": [3]}
    with Recording(path) as kept:
        assert kept.text([1, 3]) == "ac"


def test_answers_that_list_fewer_tokens_are_not_mixed_with_those_that_list_more(tmp_path):
    path = tmp_path / "answers.db"
    with served(answered) as (url, _):
        few, many = (CompletionsServer(url, ids=False, top=top) for top in (2, 20))
        with Recording(path, few) as kept:
            read_model(kept, 2, prompt=">")
        with pytest.raises(
            ValueError, match=r"was recorded with top=2, and the model has top=20: .* another file"
        ):
            Recording(path, many)
        with pytest.raises(ValueError, match="was recorded with top=2, and the model has top=None"):
            Recording(path, coin)
        assert Recording(path, few).top == 2
    with Recording(path) as kept:
        assert kept.top == 2


@pytest.mark.parametrize("prompt", [[1, 1], ()])
def test_a_prompt_that_was_not_recorded_is_no_tree(tmp_path, prompt):
    path = tmp_path / "answers.db"
    with Recording(path, Spelling()) as kept:
        data = read_model(kept, 2, prompt=[2])
    with Recording(path) as kept:
        for read in (lambda: read_model(kept, 2, prompt), lambda: read_along(kept, data, prompt)):
            with pytest.raises(
                ReadError, match=re.escape(f"nothing is known after prompt = {prompt}: ")
            ) as caught:
                read()
            assert (caught.value.tree.n_nodes, caught.value.tree.unexpanded_weight) == (2, 1)


# Files


def test_files_that_cannot_be_opened(tmp_path, unchecked):
    with pytest.raises(FileNotFoundError, match="there is no such file, and no model to query"):
        Recording(tmp_path / "missing.db")
    with pytest.raises(OSError, match="unable to open database file"):
        Recording(tmp_path / "missing" / "answers.db", coin)
    with pytest.raises(TypeError, match="model is a int: must be callable"):
        Recording(tmp_path / "answers.db", 3)
    assert os.listdir(tmp_path) == []


def test_a_file_that_cannot_be_written(tmp_path):
    path = tmp_path / "answers.db"
    with Recording(path, coin) as kept, closing(sqlite3.connect(path)) as other:
        kept([()])
        kept._file.execute("PRAGMA busy_timeout = 0")
        # Until it is read to its end, the other program holds the file.
        held = other.execute("SELECT prefix FROM answers UNION ALL SELECT prefix FROM answers")
        held.fetchone()
        with pytest.raises(
            OSError, match=r"answers\.db' holds no recording that is usable: database is lock"
        ):
            kept([(0,)])
        held.close()
        assert kept([(0,)]).shape == (1, 2)


def test_files_that_hold_no_recording(tmp_path):
    (tmp_path / "text").write_text("no database at all")
    with closing(sqlite3.connect(tmp_path / "other")) as file:
        file.execute("CREATE TABLE mine (x)")
    (tmp_path / "empty").touch()
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    for name in ("text", "other"):
        for model in (None, coin):
            with pytest.raises(ValueError, match="holds no recording"):
                Recording(tmp_path / name, model)
    with pytest.raises(ValueError, match="holds no recording"):
        Recording(tmp_path / "empty")
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize(
    "change",
    ["width = 2000000000", "width = 'x'", "width = 1", "kind = 'O'", "kind = NULL", "logs = x'00'",
     "logs = 3",      "symbols = x'ffffffffffffffff'", "symbols = x'0900000000000000'", "symbols = x'00'"],
)  # fmt: skip
def test_damaged_answers_are_refused(tmp_path, unchecked, change):
    path = tmp_path / "answers.db"

    def model(prefixes):
        return np.full((len(prefixes), 2), np.log(0.5))

    model.partial = True
    asked_of(model, path, [()])
    with closing(sqlite3.connect(path)) as file, file:
        file.execute(f"UPDATE answers SET {change}")
    with Recording(path) as kept, pytest.raises(ValueError, match=r"is damaged after \(\)"):
        kept([()])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("UPDATE facts SET value = 0 WHERE name = 'top'", "is damaged: 'top' = 0"),
        ("UPDATE facts SET value = 'x'", "is damaged: 'alphabet_size' = 'x'"),
        ("UPDATE facts SET value = 4e9", "is damaged: 'alphabet_size' = 4000000000"),
        ("UPDATE facts SET value = 1.5", "is damaged: 'alphabet_size' = 1.5"),
        ("UPDATE texts SET ids = x'00'", "is damaged: ids of 'abc': buffer size"),
        ("UPDATE texts SET ids = 3", "is damaged: ids of 'abc': a bytes-like object"),
        ("UPDATE texts SET ids = x'ffffffffffffffff'", "is damaged: ids of 'abc': -1 is negative"),
        ("DROP TABLE facts", "holds no recording that is usable: no such table"),
    ],
)
@pytest.mark.parametrize("model", [(), (Spelling(),)])
def test_damaged_facts_and_texts_are_refused(tmp_path, change, message, model):
    path = tmp_path / "answers.db"
    with Recording(path, Spelling()) as kept:
        read_model(kept, 2, prompt="abc")
    with closing(sqlite3.connect(path)) as file, file:
        file.execute(change)
    with pytest.raises((ValueError, OSError), match=message), Recording(path, *model) as kept:
        kept.encode("abc")


@pytest.mark.slow
def test_damaged_files_are_refused_or_change_numbers_only(tmp_path):
    path = tmp_path / "answers.db"
    with Recording(path, Spelling()) as kept:
        kept.encode("abc")
        kept([(), (0,), (1, 0)])
    raw = bytearray(path.read_bytes())
    rng = np.random.default_rng(0)
    for place in rng.choice(8 * len(raw), 400, replace=False):
        raw[place // 8] ^= 1 << place % 8
        path.write_bytes(raw)
        raw[place // 8] ^= 1 << place % 8
        try:
            with Recording(path) as kept:
                assert kept([(), (0,)]).shape[0] == 2
                assert min(kept.encode("abc"), default=0) >= 0
        except (ValueError, OSError) as error:
            reason = str(error)
            assert reason.startswith("path = ")
