"""The data that the claims are decided on: real text, and synthetic Pareto trees."""

import re
import sysconfig
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

import numpy as np
from jaxtyping import Int

from ..pareto import ParetoMass
from ..trees import TokenTree, leaf_distributions
from .network import DECAY, HIDDEN, SIZES, Optimum, network_of

TEXT_DEPTH = 16
"""Bits per block of real text: two bytes."""

PARETO_DEPTH, PARETO_ALPHA, PARETO_COUNT = 12, 2.5, 10**7
"""Depth, exponent and responses of a synthetic tree."""

LETTERS, LETTERS_DEPTH = 2**14, 12
"""Symbols of the text on which models of growing size are compared, and the length of its windows."""

CLASSES = (b"aeiou", b"tnshrdlc", b"bfgjkmpqvwxyz", b"0123456789", b" \t\n\r")
"""Classes of characters, each one symbol to the trained transformer; all other characters are one more."""

CLASSES_LENGTH, CLASSES_DEPTH = 2**19, 4
"""Symbols read from each text that the transformer is trained on, and the length of its windows."""

# Not ordinary library code: test suites, and what only one operating system ships.
_SKIPPED = {
    "site-packages",
    "dist-packages",
    "test",
    "tests",
    "idlelib",
    "turtledemo",
    "encodings",
    "pydoc_data",
}


@dataclass(frozen=True, eq=False)
class Corpus:
    """Three datasets counted into trees: pre-training, alignment, perturbation."""

    name: str
    trees: tuple[TokenTree, TokenTree, TokenTree]

    @cached_property
    def counts(self) -> Int[np.ndarray, "3 leaves"]:
        """Counts over the leaves of the joint tree."""
        return leaf_distributions(self.trees, weights=True)

    @cached_property
    def disjoint(self) -> Int[np.ndarray, "3 leaves"]:
        """Counts over the joint tree when every dataset has a first token of its own."""
        return apart(*(tree.leaves().weight for tree in self.trees))


def apart(*rows: Int[np.ndarray, "_"]) -> Int[np.ndarray, "datasets leaves"]:
    """Counts over leaves, where no two datasets share a leaf."""
    from scipy.linalg import block_diag

    return np.asarray(block_diag(*rows))


def first_ones(corpus: Corpus) -> tuple[Int[np.ndarray, "3 leaves"], Int[np.ndarray, "leaves"]]:
    """Counts of responses that end with their first 1, or else after d tokens, and their lengths in tokens.

    All blocks but the last have the same length; rates per response and per token differ only through
    lengths.
    """
    depth = corpus.trees[0].depth
    ended = [[tree.weight("0" * j + "1") for j in range(depth)] for tree in corpus.trees]
    rows = [[*row, tree.total_weight - sum(row)] for row, tree in zip(ended, corpus.trees, strict=True)]
    return np.array(rows, dtype=np.int64), np.append(np.arange(1, depth + 1), depth)


def python_text() -> dict[str, tuple[Path, ...]]:
    """Python's own text: its library sources, the help topics of `pydoc_data`, and the package `encodings`.

    Returns
    -------
    dict of str to tuple of Path
        Files of "sources", "topics" and "encodings", in the order of their names.

    Raises
    ------
    FileNotFoundError
        If this Python has no sources on disk.
    """
    library = Path(sysconfig.get_path("stdlib"))
    files = {
        "sources": _sources(library),
        "topics": tuple(sorted(library.glob("pydoc_data/*.py"))),
        "encodings": tuple(sorted(library.glob("encodings/*.py"))),
    }
    for name, found in files.items():
        if not found:
            raise FileNotFoundError(
                f"no {name} under {library}: this Python keeps its library's text elsewhere"
            )
    return files


@cache
def _sources(library: Path) -> tuple[Path, ...]:
    """Found once, for there are thousands of files."""
    return tuple(
        path
        for path in sorted(library.rglob("*.py"))
        if not _SKIPPED.intersection(path.relative_to(library).parts)
    )


def text_corpus(depth: int = TEXT_DEPTH) -> Corpus:
    """Count `python_text` into three trees of `depth` bits; every dataset is one long response."""
    trees = [
        TokenTree.from_bytes(b"".join(path.read_bytes() for path in paths), depth=depth)
        for paths in python_text().values()
    ]
    return Corpus("text", (trees[0], trees[1], trees[2]))


def letter_windows(length: int = LETTERS, depth: int = LETTERS_DEPTH) -> Int[np.ndarray, "windows depth"]:
    """All windows of `depth` symbols from the beginning of the help topics, over 27 symbols.

    The letters a to z, in either case, are 0 to 25; each run of other characters is one symbol, 26.
    """
    text = b"".join(path.read_bytes() for path in python_text()["topics"]).lower()
    symbols = np.frombuffer(re.sub(rb"[^a-z]+", b"{", text), dtype=np.uint8)[:length] - ord("a")
    return np.lib.stride_tricks.sliding_window_view(symbols.astype(np.int64), depth)


def class_trees() -> dict[str, TokenTree]:
    """Token trees of `python_text` in six classes of characters (`CLASSES`).

    Returns
    -------
    dict of str to TokenTree
        Counts of "sources", "topics" and "encodings": every window of `CLASSES_DEPTH` symbols within the
        first `CLASSES_LENGTH`. So the three trees have the same total weight.
    """
    kinds = np.full(256, len(CLASSES), dtype=np.int64)
    for symbol, characters in enumerate(CLASSES):
        kinds[list(characters)] = symbol
    places = (len(CLASSES) + 1) ** np.arange(CLASSES_DEPTH - 1, -1, -1)
    found = {}
    for name, paths in python_text().items():
        text = b"".join(path.read_bytes() for path in paths).lower()[:CLASSES_LENGTH]
        symbols = kinds[np.frombuffer(text, dtype=np.uint8)]
        windows = np.lib.stride_tricks.sliding_window_view(symbols, CLASSES_DEPTH) @ places
        seen, counts = np.unique(windows, return_counts=True)
        found[name] = TokenTree.from_sequences(
            seen[:, None] // places % (len(CLASSES) + 1),
            counts,
            alphabet_size=len(CLASSES) + 1,
            depth=CLASSES_DEPTH,
        )
    return found


def pareto_corpus(rng: np.random.Generator) -> Corpus:
    """Count three datasets with independent Pareto leaf masses (Assumption A.7) over the same leaves."""
    leaves = (np.arange(2**PARETO_DEPTH)[:, None] >> np.arange(PARETO_DEPTH)[::-1]) & 1
    trees = [
        TokenTree.from_sequences(
            leaves,
            rng.multinomial(PARETO_COUNT, ParetoMass(PARETO_ALPHA).sample(len(leaves), rng)),
            depth=PARETO_DEPTH,
        )
        for _ in range(3)
    ]
    return Corpus("Pareto", (trees[0], trees[1], trees[2]))


@dataclass(frozen=True)
class Evidence:
    """The data on which the claims are decided."""

    seed: int = 0

    @cached_property
    def corpora(self) -> tuple[Corpus, Corpus]:
        """Real text, and synthetic Pareto trees."""
        return text_corpus(), pareto_corpus(np.random.default_rng(self.seed))

    @cached_property
    def networks(self) -> dict[str, Optimum]:
        """A small network for each corpus, trained to its optimum."""
        found = {}
        for corpus in self.corpora:
            network = network_of(corpus.trees, HIDDEN)
            found[corpus.name] = Optimum(network, network.trained(SIZES, DECAY), SIZES, DECAY)
        return found
