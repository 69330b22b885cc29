"""Small language models trained on mixtures of five real texts that every Python carries.

    python notebooks/training_runs.py src/tokentree/training/own_runs.csv

The texts, each by its first 50,000 symbols of 16: Python's help topics, sources and tables of encodings
(`tokentree.claims.python_text`), the names of Unicode's characters, and the list of HTML's entities. A model
reads three symbols and predicts the next by one hidden layer of tanh units. It learns from the exact
frequencies of what follows the 800 commonest contexts, so there is no sampling noise. Every run goes on from
one model of its size, trained on equal shares, so that runs differ by their shares and not by which of many
minima they fell into. The table holds one line for each run: its shares of the texts, and its loss on each
text in nats per symbol.
"""

import csv
import html.entities
import itertools
import re
import sys
import time
import unicodedata
from pathlib import Path

import numpy as np
from scipy.optimize import minimize

from tokentree.claims import python_text

LETTERS = b"etaoinsrhldc"
"""Symbols of their own; then any other letter, digits, whitespace, and anything else."""

SYMBOLS, SPAN, LENGTH = len(LETTERS) + 4, 3, 50_000
CONTEXTS = 800
WIDTHS, FIRST, STEPS, DECAY = (6, 24), 3000, 400, 1e-6
DIRICHLET, PATH = 60, (0.1, 0.3, 0.5, 0.7, 0.9)


def texts() -> dict[str, bytes]:
    """Five texts of different kinds: prose, programs, tables, names, a list."""
    read = {
        name: b"\n".join(path.read_bytes() for path in paths[:60]) for name, paths in python_text().items()
    }
    names = (unicodedata.name(chr(code), "") for code in range(0x3000))
    return {
        **{name: read[name] for name in ("topics", "sources", "encodings")},
        "names": "\n".join(filter(None, names)).encode(),
        "entities": Path(html.entities.__file__).read_bytes(),
    }


def symbols(text: bytes) -> np.ndarray:
    """The beginning of a text in 16 symbols; runs of whitespace, and of digits, count once."""
    text = re.sub(rb"\s+", b" ", re.sub(rb"\d+", b"0", text.lower()))
    kinds = np.full(256, SYMBOLS - 1)
    kinds[np.frombuffer(b"abcdefghijklmnopqrstuvwxyz", np.uint8)] = len(LETTERS)
    kinds[np.frombuffer(LETTERS, np.uint8)] = np.arange(len(LETTERS))
    kinds[ord("0")], kinds[ord(" ")] = SYMBOLS - 3, SYMBOLS - 2
    return kinds[np.frombuffer(text, np.uint8)][:LENGTH]


def frequencies() -> tuple[list[str], np.ndarray, np.ndarray]:
    """Names of the texts; the contexts, one-hot; and shares (texts, contexts, symbols) of what follows."""
    read = {name: symbols(text) for name, text in texts().items()}
    assert {len(each) for each in read.values()} == {LENGTH}
    windows = [np.lib.stride_tricks.sliding_window_view(each, SPAN + 1) for each in read.values()]
    keys = [each @ SYMBOLS ** np.arange(SPAN, -1, -1) for each in windows]
    counts = np.stack([np.bincount(key, minlength=SYMBOLS ** (SPAN + 1)) for key in keys])
    counts = counts.reshape(len(keys), -1, SYMBOLS)
    seen = np.argsort(counts.sum(axis=(0, 2)), kind="stable")[-CONTEXTS:]
    counts = counts[:, seen]
    places = seen[:, None] // SYMBOLS ** np.arange(SPAN - 1, -1, -1) % SYMBOLS
    contexts = np.eye(SYMBOLS)[places].reshape(len(seen), -1)
    return list(read), contexts, counts / counts.sum(axis=(1, 2), keepdims=True)


class Network:
    """One hidden layer of tanh units over one-hot contexts."""

    def __init__(self, width: int, contexts: np.ndarray) -> None:
        self.contexts = contexts
        self.shapes = [(contexts.shape[1], width), (width,), (width, SYMBOLS), (SYMBOLS,)]
        self.ends = np.cumsum([np.prod(shape) for shape in self.shapes])
        self.parameters = int(self.ends[-1])

    def drawn(self, seed: int = 0) -> np.ndarray:
        """Random weights."""
        return 0.3 * np.random.default_rng(seed).standard_normal(self.parameters)

    def read(self, weights: np.ndarray) -> tuple[list[np.ndarray], np.ndarray, np.ndarray]:
        """The weights by layer, the hidden units, and log probabilities of what follows each context."""
        layers = [part.reshape(shape) for part, shape in zip(np.split(weights, self.ends[:-1]), self.shapes)]
        hidden = np.tanh(self.contexts @ layers[0] + layers[1])
        logits = hidden @ layers[2] + layers[3]
        logits -= logits.max(axis=1, keepdims=True)
        logits -= np.log(np.exp(logits).sum(axis=1, keepdims=True))
        return layers, hidden, logits

    def objective(self, weights: np.ndarray, shares: np.ndarray) -> tuple[float, np.ndarray]:
        """Expected loss with a little weight decay, and its gradient."""
        layers, hidden, logs = self.read(weights)
        value = -float((shares * logs).sum()) + DECAY / 2 * float(weights @ weights)
        to_logits = np.exp(logs) * shares.sum(axis=1, keepdims=True) - shares
        to_hidden = (to_logits @ layers[2].T) * (1 - hidden**2)
        parts = [
            self.contexts.T @ to_hidden,
            to_hidden.sum(axis=0),
            hidden.T @ to_logits,
            to_logits.sum(axis=0),
        ]
        return value, np.concatenate([part.ravel() for part in parts]) + DECAY * weights

    def train(self, start: np.ndarray, shares: np.ndarray, steps: int) -> np.ndarray:
        """Weights after so many steps of L-BFGS, or fewer if nothing more is won."""
        options = {"maxiter": steps, "maxfun": 2 * steps, "maxcor": 30, "ftol": 1e-12, "gtol": 1e-8}
        found = minimize(self.objective, start, (shares,), jac=True, method="L-BFGS-B", options=options)
        return found.x


def mixtures(names: list[str]) -> dict[str, np.ndarray]:
    """Shares of the texts by run: drawn at random, then two texts at a time along a path."""
    drawn = np.random.default_rng(0).dirichlet(np.ones(len(names)), DIRICHLET)
    found = {f"random-{a:02d}": shares for a, shares in enumerate(drawn)}
    for i, j in itertools.combinations(range(len(names)), 2):
        for share in PATH:
            weights = np.zeros(len(names))
            weights[[i, j]] = share, 1 - share
            found[f"{names[i]}-{names[j]}-{share:g}"] = weights
    return found


def main(path: str) -> None:
    """Train every run and write the table."""
    names, contexts, frequency = frequencies()
    planned = {name: np.round(weights, 6) for name, weights in mixtures(names).items()}
    with Path(path).open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        columns = [*(f"weight_{name}" for name in names), *(f"loss_{name}" for name in names)]
        table.writerow(["run", "parameters", "tokens", *columns])
        for width in WIDTHS:
            begun, network = time.perf_counter(), Network(width, contexts)
            first = network.train(network.drawn(), frequency.mean(axis=0), FIRST)
            for run, weights in planned.items():
                shares = np.tensordot(weights / weights.sum(), frequency, 1)
                losses = -(frequency * network.read(network.train(first, shares, STEPS))[2]).sum(axis=(1, 2))
                row = [f"{width}-{run}", network.parameters, len(names) * LENGTH]
                table.writerow([*row, *(f"{w:.6g}" for w in weights), *(f"{x:.6f}" for x in losses)])
                file.flush()
            print(
                f"width {width}, {network.parameters} parameters, {len(contexts)} contexts: "
                f"{len(planned)} runs in {time.perf_counter() - begun:.0f} s",
                flush=True,
            )


if __name__ == "__main__":
    main(sys.argv[1])
