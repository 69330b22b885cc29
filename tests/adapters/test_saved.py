"""Saved models against direct look-ups; files that hold none."""

import json
import os
import re
import subprocess
import sys
import textwrap
from itertools import product

import numpy as np
import pytest
from hypothesis import given, strategies as st
from hypothesis.extra import numpy as hnp

from tokentree.adapters import (
    CompletionsServer,
    Recording,
    SavedModel,
    Vocabulary,
    read_along,
    read_model,
    record,
    recording,
)
from tokentree.adapters.answers import Token
from tokentree.trees import TokenTree


def dirichlet(seed, *shape):
    return np.random.default_rng(seed).dirichlet(np.ones(shape[-1]), shape[:-1])


@given(st.integers(1, 4), st.integers(0, 3), st.integers(0, 99), st.sampled_from(["f2", "f4", "f8"]))
def test_a_table_answers_by_the_last_symbols(size, order, seed, dtype):
    table = dirichlet(seed, *[size] * order, size).astype(dtype)
    model = SavedModel.from_arrays(table)
    assert (model.order, model.vocabulary_size, model.partial) == (order, size, False)
    prefixes = [p for n in range(order, order + 2) for p in product(range(size), repeat=n)]
    rows = model(prefixes)
    assert rows.dtype == dtype
    for prefix, row in zip(prefixes, rows, strict=True):
        np.testing.assert_array_equal(row, np.log(table[prefix[len(prefix) - order :]]))


@given(st.integers(0, 99))
def test_a_bigram_table_read_into_a_tree(seed):
    p = dirichlet(seed, 3, 3)
    tree = read_model(SavedModel.from_arrays(p), depth=3, prompt=(2,))
    for a, b, c in product(range(3), repeat=3):
        assert tree.weight([a, b, c]) == pytest.approx(p[2, a] * p[a, b] * p[b, c], rel=1e-13)


@st.composite
def recordings(draw):
    """Distinct prefixes of any lengths, in any order, and a row for each."""
    size = draw(st.integers(1, 5))
    symbols = st.lists(st.integers(0, size - 1), max_size=4).map(tuple)
    prefixes = draw(st.lists(symbols, min_size=1, max_size=8, unique=True))
    return prefixes, dirichlet(draw(st.integers(0, 99)), len(prefixes), size)


def padded(prefixes, spare=0):
    rows = np.full((len(prefixes), max(map(len, prefixes)) + spare), -1)
    for row, prefix in zip(rows, prefixes, strict=True):
        row[: len(prefix)] = prefix
    return rows


@given(recordings(), st.integers(0, 2), st.lists(st.integers(0, 4), max_size=5).map(tuple))
def test_recorded_answers_are_looked_up(recording, spare, stranger):
    prefixes, p = recording
    model = SavedModel.from_arrays(p, prefixes=padded(prefixes, spare))
    assert (model.order, model.partial) == (None, True)
    np.testing.assert_array_equal(model(prefixes), np.log(p))
    assert model([]).shape == (0, p.shape[1])
    if stranger not in prefixes:
        assert (model([stranger]) == -np.inf).all()


def test_no_answers_at_all():
    model = SavedModel.from_arrays(np.zeros((0, 3)), prefixes=np.zeros((0, 0), int))
    assert (model([(), (1,)]) == -np.inf).all()


@pytest.fixture
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("saved")


@given(recordings(), st.booleans(), st.booleans(), st.integers(1, 3))
def test_record_and_load_give_the_answers_back(tmp_path_factory, recording, single, logs, batch_size):
    prefixes, p = recording
    p = p.astype(np.float32) if single else p
    values = {"log_probabilities": np.log(p)} if logs else {"probabilities": p}
    model = SavedModel.from_arrays(**values, prefixes=padded(prefixes), eos=[0])
    path = tmp_path_factory.mktemp("record") / "answers.npz"
    asked = [*prefixes, *prefixes, (0,) * 9]
    kept = record(model, asked, path, batch_size=batch_size)
    for copy in (kept, SavedModel.load(path)):
        assert (copy.eos, copy.partial) == ({0}, True)
        np.testing.assert_array_equal(copy(asked), model(asked))
        assert copy(asked).dtype == p.dtype
    assert os.listdir(path.parent) == ["answers.npz"]


def test_a_recorded_model_gives_the_tree_of_the_model(tmp_path):
    model = SavedModel.from_arrays(dirichlet(1, 3, 3), eos=[2])
    data = TokenTree.from_sequences([[0, 1], [1, 1], []], alphabet_size=2)
    inner = [(), (0,), (1,), (0, 1), (1, 1)]
    recorded = record(model, [(0, *prefix) for prefix in inner], tmp_path / "answers.npz")
    found, expected = (read_along(each, data, prompt=(0,)) for each in (recorded, model))
    for prefix in inner:
        assert found.weight(prefix) == pytest.approx(expected.weight(prefix), rel=1e-14)
    assert found.unexpanded_weight == pytest.approx(expected.unexpanded_weight, abs=1e-15)
    beyond = read_model(recorded, depth=9, prompt=(0,))
    # Unexpanded are the four prefixes of three symbols and the two of two that were not recorded.
    last = [(0, 0), (1, 0), (0, 1, 0), (0, 1, 1), (1, 1, 0), (1, 1, 1)]
    assert beyond.unexpanded_weight == pytest.approx(sum(map(beyond.weight, last)), rel=1e-12)


def test_rows_that_get_wider(tmp_path):
    class Growing:
        partial = True
        width = 1

        def __call__(self, prefixes):
            self.width += 1
            return np.full((len(prefixes), self.width), np.log(1 / self.width))

    kept = record(Growing(), [(), (0,), (1,)], tmp_path / "answers.npz", batch_size=1)
    half, third, quarter = np.log([1 / 2, 1 / 3, 1 / 4])
    expected = [[half, half, -np.inf, -np.inf], [third, third, third, -np.inf], [quarter] * 4]
    np.testing.assert_array_equal(kept([(), (0,), (1,)]), expected)


@pytest.mark.parametrize("error", [KeyboardInterrupt, ConnectionError, None])
def test_a_recording_cut_short_is_written(tmp_path, error):
    coin = np.log([[0.5, 0.5]])

    def model(prefixes):
        if prefixes == [(1,)]:
            if error is None:
                return coin * np.nan
            raise error
        return coin

    with pytest.raises(error or ValueError):
        record(model, [(), (0,), (1,), (1, 1)], tmp_path / "answers.npz", batch_size=1)
    kept = SavedModel.load(tmp_path / "answers.npz")
    np.testing.assert_array_equal(kept([(), (0,)]), [coin[0]] * 2)
    assert (kept([(1,), (1, 1)]) == -np.inf).all()


def test_a_model_that_uses_its_memory_again(tmp_path):
    memory = np.zeros((1, 2))

    def model(prefixes):
        memory[:] = np.log([0.25, 0.75] if prefixes == [()] else [0.5, 0.5])
        return memory

    kept = record(model, [(), (0,)], tmp_path / "answers.npz", batch_size=1)
    np.testing.assert_array_equal(kept([()]), np.log([[0.25, 0.75]]))


def test_nothing_answered_writes_nothing(tmp_path):
    def model(prefixes):
        raise ConnectionError

    with pytest.raises(ConnectionError):
        record(model, [()], tmp_path / "answers.npz")
    assert os.listdir(tmp_path) == []


def test_writing_is_atomic(tmp_path, monkeypatch):
    coin = SavedModel.from_arrays([0.5, 0.5])
    record(coin, [()], tmp_path / "answers.npz")

    def fail(file, **arrays):
        file.write(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(np, "savez_compressed", fail)
    with pytest.raises(OSError, match="disk full"):
        record(coin, [(0,)], tmp_path / "answers.npz")
    assert os.listdir(tmp_path) == ["answers.npz"]
    np.testing.assert_array_equal(SavedModel.load(tmp_path / "answers.npz")([()]), np.log([[0.5, 0.5]]))


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
    record(whole, WANTED, tmp_path / "whole.npz", batch_size=9)
    with pytest.raises(error):
        record(first, WANTED, tmp_path / "parts.npz", batch_size=9)
    found = record(second, WANTED, tmp_path / "parts.npz", batch_size=9)
    assert (tmp_path / "parts.npz").read_bytes() == (tmp_path / "whole.npz").read_bytes()
    np.testing.assert_array_equal(found(WANTED), whole(WANTED))
    # The first question again, and then each batch that is missing, once.
    assert first.asked + second.asked[bool(stop) :] == whole.asked[:-1]
    assert second.asked[0] == ([()] if stop else WANTED[:9])


def test_answers_that_are_there_stay(tmp_path):
    path = tmp_path / "answers.npz"
    record(Slow(), WANTED[5:9], path)
    again = Slow()
    found = record(again, WANTED[3:7], path)
    assert again.asked == [WANTED[5:6], WANTED[3:5]]
    for model in (found, SavedModel.load(path)):
        np.testing.assert_array_equal(model(WANTED[3:9]), Slow()(WANTED[3:9]))
    before = path.stat()
    record(Slow(), WANTED[3:9], path)
    assert path.stat() == before


@pytest.mark.parametrize("stop", [0, 1, 2, 5])
def test_a_read_stopped_anywhere_goes_on(tmp_path, stop):
    path = tmp_path / "answers.npz"
    options = {"max_nodes": 120, "batch_size": 4, "progress": False}
    whole = read_model(Slow(), 4, **options)
    first, second = Slow(stop), Slow()
    with pytest.warns(UserWarning, match="interrupted"), Recording(first, path) as kept:
        assert read_model(kept, 4, **options, keep_on_interrupt=True).n_nodes < whole.n_nodes
    with Recording(second, path) as kept:
        assert read_model(kept, 4, **options) == whole
    questions = [prefix for batch in [*first.asked, *second.asked[bool(stop) :]] for prefix in batch]
    assert len(questions) == len(set(questions))
    data = TokenTree.from_sequences(["01", "2"], alphabet_size=3)
    with Recording(Slow(), path) as kept:
        assert read_along(kept, data) == read_along(Slow(), data)


def test_a_recording_is_written_now_and_then(tmp_path, monkeypatch):
    path = tmp_path / "answers.npz"
    now = 0.0
    monkeypatch.setattr(recording.time, "monotonic", lambda: now)
    written = []

    def write(*arguments, **arrays):
        nonlocal now
        written.append(len(arrays["prefixes"]))
        now += 20

    monkeypatch.setattr(recording, "save_arrays", write)
    with Recording(Slow(), path) as kept:
        for i, prefix in enumerate(WANTED[:30]):
            now = max(now, 15.0 * i)
            kept([prefix])
    # After a minute, then after ten times the twenty seconds that writing took, and at the end.
    assert written == [5, 20, 30]


KILLED = """
    import os, signal, sys, time
    from itertools import count
    from types import SimpleNamespace
    sys.path.insert(0, sys.argv[1])
    from test_saved import Slow, WANTED
    from tokentree.adapters import SavedModel, record, recording

    folder, kills = sys.argv[2], int(sys.argv[3])
    # By this clock it is always time to write.
    recording.time = SimpleNamespace(monotonic=(100.0**k for k in count()).__next__)
    whole, path = os.path.join(folder, "whole.npz"), os.path.join(folder, "killed.npz")
    began = time.monotonic()
    record(Slow(), WANTED, whole, batch_size=4)
    once = time.monotonic() - began
    took = ends = 0
    for kill in range(kills):
        child = os.fork()
        if not child:
            record(Slow(), WANTED, path, batch_size=4)
            os._exit(0)
        time.sleep(once * (kill % 10) / 10)
        os.kill(child, signal.SIGKILL)
        killed = os.WIFSIGNALED(os.waitpid(child, 0)[1])
        if os.path.exists(path):
            held = len(SavedModel.load(path)._places)
            assert held % 4 == 0 or held == len(WANTED), held
            took += killed and 0 < held < len(WANTED)
            if held == len(WANTED):
                ends += 1
                os.unlink(path)
    record(Slow(), WANTED, path, batch_size=4)
    assert open(path, "rb").read() == open(whole, "rb").read()
    print(took, ends)
"""


@pytest.mark.skipif(os.name != "posix", reason="kills and forks")
def test_a_recording_killed_again_and_again_is_that_of_one_that_was_not(tmp_path):
    script = textwrap.dedent(KILLED)
    given = [os.path.dirname(__file__), str(tmp_path), "20"]
    done = subprocess.run([sys.executable, "-c", script, *given], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    took, _ = map(int, done.stdout.split())
    assert took > 0


def test_what_cannot_be_gone_on_with(tmp_path):
    path = tmp_path / "answers.npz"
    record(Slow(), [(1,), (2,)], path)

    def other(prefixes):
        return np.log(np.full((len(prefixes), width), 1 / width))

    with pytest.raises(ValueError, match=re.escape("has eos [3], and the model has []")):
        Recording(other, path)
    other.eos = [3]
    width = 4
    with pytest.raises(ValueError, match=r"holds answers of another model: after \(1,\) they are .* apart"):
        record(other, [(0,)], path)
    width = 3
    other.eos = []
    path.unlink()
    record(other, [(1,)], path)
    width = 2
    with pytest.raises(ValueError, match="the model answered with 2 symbols, and before with 3"):
        record(other, [(0,)], path)
    width = 4
    with pytest.raises(ValueError, match="holds answers of another model"):
        record(other, [(0,)], path)
    other.rounding = 0.3
    record(other, [(0,)], path)
    assert SavedModel.load(path).vocabulary_size == 4
    np.save(tmp_path / "table.npy", [[0.5, 0.5], [0.5, 0.5]])
    with pytest.raises(ValueError, match="holds a table"):
        Recording(other, tmp_path / "table.npy")
    (tmp_path / "damaged.npz").write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match="holds no saved model"):
        Recording(other, tmp_path / "damaged.npz")


SERVER = r"""
    import hashlib, json, math

    NAMES = ["", "\u00e9", "\ud83d", *"abcdefghijklmnopqrstuvwxyz"]

    def answered(prompt):
        # Three tokens after each prompt, other ones each time; the first of all ends.
        known = {}
        for rank in range(3):
            digest = hashlib.sha256(json.dumps([prompt, rank]).encode()).digest()
            token = digest[0] % len(NAMES) if prompt else 2 * rank
            known[token] = math.log(0.4 - 0.1 * rank + digest[1] / 16384)
        return known

    asked = []

    def post(body):
        asked.append(body["prompt"])
        if len(asked) == stop:
            raise KeyboardInterrupt
        top = [{"token": NAMES[i], "id": i, "logprob": x} for i, x in answered(body["prompt"]).items()]
        return {"choices": [{"logprobs": {"content": [top[0] | {"top_logprobs": top}]}}]}
"""

FIRST = """
    import sys, warnings
    from tokentree.adapters import CompletionsServer, Recording, read_model

    stop = int(sys.argv[2])
    model = CompletionsServer(post, [], eos=[0])
    with warnings.catch_warnings(record=True), Recording(model, sys.argv[1]) as kept:
        read_model(kept, 4, max_nodes=150, batch_size=4, progress=False, keep_on_interrupt=True)
    print(json.dumps(asked[:-1]))
"""


def test_a_read_from_a_server_goes_on_in_a_new_process(tmp_path):
    path = tmp_path / "answers.npz"
    script = textwrap.dedent(SERVER) + textwrap.dedent(FIRST)
    done = subprocess.run(
        [sys.executable, "-c", script, str(path), "11"], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    before = json.loads(done.stdout)
    assert len(before) == 10

    here = {"stop": None}
    exec(textwrap.dedent(SERVER), here)
    whole = CompletionsServer(here["post"], [], eos=[0])
    tree = read_model(whole, 4, max_nodes=150, batch_size=4, progress=False)
    here["asked"].clear()
    # What it knows at first is less than what the other process knew at its end.
    model = CompletionsServer(here["post"], [], eos=[0])
    held = SavedModel.load(path)
    assert len(model.vocabulary) < held.vocabulary_size < len(whole.vocabulary)
    with Recording(model, path) as kept:
        assert read_model(kept, 4, max_nodes=150, batch_size=4, progress=False) == tree
    assert list(kept.vocabulary) == list(whole.vocabulary)
    # What was kept is not asked again, but for the first question.
    kept_before = [[held.vocabulary[symbol].id for symbol in prefix] for prefix in held._places]
    assert 1 < len(kept_before) < len(before)
    assert [prompt for prompt in here["asked"] if prompt in kept_before] == [[]]
    loaded = SavedModel.load(path)
    assert read_model(loaded, 4, max_nodes=150, batch_size=4, progress=False) == tree
    assert [vars(token) for token in loaded.vocabulary] == [vars(token) for token in whole.vocabulary]


@given(
    st.lists(
        st.builds(
            Token,
            st.none() | st.text(st.characters(exclude_categories=()), max_size=3),
            st.none() | st.binary(max_size=3),
            st.none() | st.integers(0, 10**18),
        ),
        min_size=1,
        max_size=5,
    )
)
def test_a_recorded_vocabulary_is_read_back(tmp_path_factory, tokens):
    path = tmp_path_factory.mktemp("record") / "answers.npz"

    def model(prefixes):
        return np.zeros((len(prefixes), len(model.vocabulary))) - 9

    model.vocabulary, model.partial = Vocabulary(tokens), True
    recorded = record(model, [()], path)
    assert recorded.vocabulary is model.vocabulary
    loaded = SavedModel.load(path).vocabulary
    assert [vars(token) for token in loaded] == [vars(token) for token in model.vocabulary]


def test_vocabularies_that_do_not_agree(tmp_path):
    path = tmp_path / "answers.npz"

    def model(*names, ids=True):
        def answer(prefixes):
            return np.log(np.full((len(prefixes), 3), 1 / 3))

        answer.vocabulary = Vocabulary(Token(name) for name in names)
        return answer

    record(model("a", "b", "c"), [()], path)
    # The same so far, and more than the file has: its first three stand for the same.
    with Recording(model("a", "b"), path) as kept:
        assert [token.text for token in kept.vocabulary] == ["a", "b", "c"]
    record(model("a", "b", "c", "d"), [(), (0,)], path)
    assert [token.text for token in SavedModel.load(path).vocabulary] == ["a", "b", "c"]
    message = (
        f"path = {str(path)!r} has the token 'b' for symbol 1, and the model 'c': give it the same eos, and"
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        Recording(model("a", "c"), path)
    # A model without names goes on with those of the file.
    with Recording(SavedModel.load(path), path) as kept:
        kept([(1,)])
    assert SavedModel.load(path).vocabulary[2].text == "c"
    np.savez(path, log_probabilities=np.zeros((1, 3)) - 9, prefixes=[[-1]])
    with pytest.raises(ValueError, match="holds no vocabulary: what its symbols stand for is not known"):
        Recording(model("a", "b"), path)


def test_a_recording_tells_of_an_end_without_probability(tmp_path):
    rows = [[-np.inf, -1.0, -1.0], [-np.inf, -1.0, -1.0]]
    model = SavedModel.from_arrays(log_probabilities=rows, prefixes=[[-1], [1]], eos=[0, 1])
    with pytest.warns(UserWarning, match=r"eos = \[0\] is in no answer so far"):
        record(model, [(), (1,)], tmp_path / "answers.npz")


def test_a_recording_is_the_model_to_a_reader(tmp_path):
    model = Slow()
    model.partial, model.rounding = True, 0.5
    with Recording(model, tmp_path / "answers.npz") as kept:
        assert (kept.eos, kept.partial, kept.rounding) == ({3}, True, 0.5)
        rows = kept([(1,), (0,), (1,)])
        np.testing.assert_array_equal(rows[0], rows[2])
        assert kept([]).shape == (0, 4)
    assert model.asked == [[(1,), (0,)]]


# Files


def test_files_of_other_programs(tmp_path):
    p = dirichlet(5, 2, 2, 2)
    np.save(tmp_path / "table.npy", p)
    np.savez(tmp_path / "table.npz", probabilities=p, eos=[1])
    np.savez(tmp_path / "logs.npz", log_probabilities=np.log(p))
    np.savez_compressed(tmp_path / "answers.npz", probabilities=p[0], prefixes=[[-1, -1], [1, 0]])
    for name in ("table.npy", "table.npz", "logs.npz"):
        model = SavedModel.load(tmp_path / name)
        np.testing.assert_array_equal(model([(0, 1), (0, 0, 0)]), np.log(p[[0, 0], [1, 0]]))
        assert model.eos == ({1} if name == "table.npz" else set())
    np.testing.assert_array_equal(SavedModel.load(tmp_path / "answers.npz")([(1, 0), ()]), np.log(p[0, ::-1]))


def test_files_that_cannot_be_opened(tmp_path):
    with pytest.raises(FileNotFoundError):
        SavedModel.load(tmp_path / "missing")
    with pytest.raises(IsADirectoryError):
        SavedModel.load(tmp_path)
    with pytest.raises(FileNotFoundError):
        record(SavedModel.from_arrays([1.0]), [()], tmp_path / "missing" / "answers.npz")


def refused(path, reason=""):
    with pytest.raises(
        ValueError, match=f"^path = {re.escape(repr(str(path)))} holds no saved model: .*{reason}"
    ):
        SavedModel.load(path)


class Bomb:
    def __reduce__(self):
        return os.mkdir, ("executed",)


def test_files_that_hold_no_model(tmp_path, monkeypatch, unchecked):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "bad"

    def save(*table, **arrays):
        with open(path, "wb") as file:
            if arrays:
                np.savez(file, **arrays)
            else:
                np.save(file, *table)
        return path

    coin = np.full((2, 2), 0.5)
    refused(save(np.array([Bomb()], dtype=object)), "Python objects")
    refused(save(probabilities=np.array([Bomb()], dtype=object)), "Python objects")
    assert not os.path.exists("executed")
    refused(save(probabilities=coin, weights=coin), "it has an array 'weights'")
    refused(save(eos=[1]), "give one of")
    refused(save(probabilities=coin, log_probabilities=coin), "give one of")
    refused(
        save(np.log(coin)), re.escape("probabilities[0, 0] = -0.6931471805599453: must lie between 0 and 1")
    )
    refused(save(coin * 1j), "complex128")
    refused(save(np.array(["a"])), "dtype <U1")
    refused(save(probabilities=coin, eos=[0.5]), re.escape("eos[0] = 0.5"))
    refused(save(probabilities=coin, eos=1), re.escape("eos has shape (): must be one-dimensional"))
    refused(save(probabilities=coin, prefixes=[[0.0], [1.0]]), "prefixes has dtype float64")
    names = np.array([b'["a", null, null]', b'["b", "62", 1]'])
    assert save(probabilities=coin, vocabulary=names)
    assert list(SavedModel.load(path).vocabulary) == [Token("a"), Token("b", b"b", 1)]
    bad = "vocabulary has shape (1,) and dtype |S17: must be bytes, of shape (2,)"
    refused(save(probabilities=coin, vocabulary=names[:1]), re.escape(bad))
    refused(
        save(probabilities=coin, vocabulary=[1, 2]), "vocabulary has shape .* and dtype int64: must be bytes"
    )
    refused(save(probabilities=coin, vocabulary=names[[0, 0]]), r"vocabulary\[1\] = .*: stands there twice")
    for item in (b"", b"3", b"[]", b'["a", "6", 1]', b'["a", null, "1"]', b"[1, null, 1]", b"[" * 10**5):
        refused(save(probabilities=coin, vocabulary=np.array([names[0], item])))
    for content in (b"", b"text", b"\x93NUMPY", b"PK\x03\x04"):
        path.write_bytes(content)
        refused(path)


@pytest.mark.parametrize("name", ["table.npy", "answers.npz"])
def test_damaged_files_are_refused_or_change_numbers_only(tmp_path, name):
    p = dirichlet(5, 4, 4)
    if name == "table.npy":
        np.save(tmp_path / name, p)
    else:
        record(SavedModel.from_arrays(p), [(0,), (1, 2)], tmp_path / name)
    whole = (tmp_path / name).read_bytes()
    for end in range(len(whole)):
        (tmp_path / name).write_bytes(whole[:end])
        refused(tmp_path / name)
    rng = np.random.default_rng(7)
    for _ in range(300):
        damaged = bytearray(whole)
        damaged[rng.integers(len(whole))] ^= 1 << rng.integers(8)
        (tmp_path / name).write_bytes(damaged)
        try:
            model = SavedModel.load(tmp_path / name)
        except ValueError:
            refused(tmp_path / name)
        else:
            assert model.vocabulary_size == 4


# What bad input gets

COIN = [[0.5, 0.5], [0.5, 0.5]]
LOGS = np.log(COIN)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: SavedModel.from_arrays(), ValueError, "give one of probabilities and log_probabilities"),
        (lambda: SavedModel.from_arrays(COIN, log_probabilities=LOGS), ValueError, "give one of"),
        (lambda: SavedModel.from_arrays(1.0), ValueError, "probabilities has shape (): its last axis needs"),
        (lambda: SavedModel.from_arrays(np.zeros((3, 0))), ValueError, "probabilities has shape (3, 0): its"),
        (lambda: SavedModel.from_arrays([[0.5, 0.5]]), ValueError, "shape (1, 2): a table's axes are all of"),
        (lambda: SavedModel.from_arrays([[0.5], [0.5, 0.5]]), ValueError, "probabilities is ragged"),
        (lambda: SavedModel.from_arrays(["a"]), TypeError, "probabilities has dtype <U1"),
        (lambda: SavedModel.from_arrays([0.5, np.nan]), ValueError, "probabilities[1] = nan: must lie betwe"),
        (lambda: SavedModel.from_arrays([-0.5, 1.5]), ValueError, "probabilities[0] = -0.5: must lie betwee"),
        (lambda: SavedModel.from_arrays([0, 2]), ValueError, "probabilities[1] = 2.0: must lie between"),
        (lambda: SavedModel.from_arrays(log_probabilities=[0.0, 1e-6]), ValueError,
         "log_probabilities[1] = 1e-06: a log-probability is at most 0"),
        (lambda: SavedModel.from_arrays(log_probabilities=[0.0, np.nan]), ValueError, "[1] = nan: a log"),
        (lambda: SavedModel.from_arrays(log_probabilities=[0.0, np.inf]), ValueError, "[1] = inf: a log"),
        (lambda: SavedModel.from_arrays(COIN, eos=[2]), ValueError, "eos[0] = 2: the vocabulary ends at 1"),
        (lambda: SavedModel.from_arrays(COIN, eos=[-1]), ValueError, "eos[0] = -1: must be an integer >= 0"),
        (lambda: SavedModel.from_arrays(COIN, eos=["a"]), TypeError, "eos[0] = 'a': must be an integer >= 0"),
        (lambda: SavedModel.from_arrays([0.5, 0.5], prefixes=[[0]]), ValueError, "shape (2,): must be two-d"),
        (lambda: SavedModel.from_arrays(COIN, prefixes=[[0]]), ValueError,
         "prefixes has shape (1, 1): must be (2, length)"),
        (lambda: SavedModel.from_arrays(COIN, prefixes=[0, 1]), ValueError, "prefixes has shape (2,): must"),
        (lambda: SavedModel.from_arrays(COIN, prefixes=[[0.0], [1]]), TypeError, "prefixes has dtype float6"),
        (lambda: SavedModel.from_arrays(COIN, prefixes=[[0], [2]]), ValueError, "prefixes[1, 0] = 2: must l"),
        (lambda: SavedModel.from_arrays(COIN, prefixes=np.array([[0], [2**64 - 1]], np.uint64)), ValueError,
         "prefixes[1, 0] = 18446744073709551615: must lie in 0..1"),
        (lambda: SavedModel.from_arrays(COIN, prefixes=[[0], [-2]]), ValueError, "prefixes[1, 0] = -2: must"),
        (lambda: SavedModel.from_arrays(COIN, prefixes=[[0, -1], [-1, 0]]), ValueError,
         "prefixes[1, 1] = 0: stands behind padding"),
        (lambda: SavedModel.from_arrays(COIN, prefixes=[[0, -1], [0, -1]]), ValueError,
         "prefixes[1] = (0,): stands there twice"),
        (lambda: SavedModel.from_arrays(COIN)([(0,), ()]), ValueError,
         "prefixes[1] = (): a table of order 1 needs 1 symbols; give a prompt"),
        (lambda: SavedModel.from_arrays(COIN)([(0, 2)]), ValueError, "prefixes[0] = (0, 2): the vocabulary "),
        (lambda: SavedModel.from_arrays(COIN)([(-1,)]), ValueError, "prefixes[0] = (-1,): the vocabulary en"),
        (lambda: record(SavedModel.from_arrays(COIN), [], "x"), ValueError, "prefixes is empty"),
        (lambda: record(SavedModel.from_arrays(COIN), [(0, -1)], "x"), ValueError, "prefixes[0][1] = -1: mu"),
        (lambda: record(SavedModel.from_arrays(COIN), [(0,)], "x", batch_size=0), ValueError, "batch_size ="),
        (lambda: record(lambda prefixes: np.zeros(3), [()], "x"), ValueError, "shape (3,): must be two-dime"),
        (lambda: record(lambda prefixes: np.zeros((2, 1)), [()], "x"), ValueError, "prefixes has shape (1, "),
        (lambda: record(lambda prefixes: np.zeros((1, 1)), [(3,)], "x"), ValueError, "prefixes[0, 0] = 3: m"),
    ],
)  # fmt: skip
def test_bad_input(monkeypatch, unchecked, tmp_path, call, error, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=re.escape(message)):
        call()
    assert os.listdir(tmp_path) == []


def test_a_model_whose_rows_get_narrower(tmp_path):
    def model(prefixes):
        return np.zeros((1, 1)) if prefixes == [(0,)] else np.log([[0.5, 0.5]])

    with pytest.raises(ValueError, match="the model answered with 1 symbols, and before with 2"):
        record(model, [(), (0,)], tmp_path / "answers.npz", batch_size=1)


@given(hnp.arrays(np.float64, (2, 2), elements=st.floats()))
def test_any_floats_are_probabilities_or_refused(p):
    if ((p >= 0) & (p <= 1)).all():
        np.testing.assert_array_equal(np.exp(SavedModel.from_arrays(p)([(0,), (1,)])) > 0, p > 0)
    elif not ((p >= 0) & (p <= 1 + 1e-9)).all():
        with pytest.raises(ValueError, match="must lie between 0 and 1"):
            SavedModel.from_arrays(p)
