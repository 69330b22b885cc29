"""The data that the claims are decided on: real text, and synthetic Pareto trees."""

import csv
import math
import re
import sysconfig
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from importlib import resources
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from jaxtyping import Int

from ..pareto import ParetoMass
from ..trees import TokenTree, leaf_distributions

TEXT_DEPTH = 16
"""Bits in a block of real text: two bytes."""

PARETO_DEPTH, PARETO_ALPHA, PARETO_COUNT = 12, 2.5, 10**7
"""Depth, exponent and responses of a synthetic tree."""

LETTERS, LETTERS_DEPTH = 2**14, 12
"""Symbols of the text that models of growing size are compared on, and the length of its windows."""

CLASSES = (b"aeiou", b"tnshrdlc", b"bfgjkmpqvwxyz", b"0123456789", b" \t\n\r")
"""Characters that are one symbol each for the trained transformer; all others are the next one."""

CLASSES_LENGTH, CLASSES_DEPTH = 2**19, 4
"""Symbols read of each text that the transformer is trained on, and the length of its windows."""

# Not library code as a reader knows it: test suites, and what only one operating system ships.
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


class Corpus(NamedTuple):
    """Three datasets counted into trees: pre-training, alignment, perturbation."""

    name: str
    trees: tuple[TokenTree, TokenTree, TokenTree]

    @property
    def counts(self) -> Int[np.ndarray, "3 leaves"]:
        """Counts over the leaves of the joint tree."""
        return leaf_distributions(self.trees, weights=True)

    @property
    def disjoint(self) -> Int[np.ndarray, "3 leaves"]:
        """Counts over the joint tree when every dataset is told apart by a first token of its own."""
        from scipy.linalg import block_diag

        return np.asarray(block_diag(*(tree.leaves().weight for tree in self.trees)))


def python_text() -> dict[str, tuple[Path, ...]]:
    """Python's own text: its library's sources, the help topics of `pydoc_data`, and the package `encodings`.

    Returns
    -------
    dict of str to tuple of Path
        Files of "sources", "topics" and "encodings", in the order of their names.

    Raises
    ------
    FileNotFoundError
        If this Python keeps no sources on disk.
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
    """Some thousands of files, so looked for once."""
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
    """All windows of `depth` symbols of the beginning of the help topics, in 27 symbols.

    The letters a to z, whatever their case, are 0 to 25; each run of anything else is one symbol, 26.
    """
    text = b"".join(path.read_bytes() for path in python_text()["topics"]).lower()
    symbols = np.frombuffer(re.sub(rb"[^a-z]+", b"{", text), dtype=np.uint8)[:length] - ord("a")
    return np.lib.stride_tricks.sliding_window_view(symbols.astype(np.int64), depth)


def class_trees() -> dict[str, TokenTree]:
    """Token trees of `python_text` in six classes of characters (`CLASSES`).

    Returns
    -------
    dict of str to TokenTree
        Of "sources", "topics" and "encodings": every window of `CLASSES_DEPTH` symbols of the first
        `CLASSES_LENGTH`, counted. So the three trees weigh the same.
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


class Trained(NamedTuple):
    """A transformer trained from scratch, and how far it is from the data at one depth."""

    width: int
    parameters: int
    depth: int
    kl_bits: float
    entropy_bits: float


def growing_transformers() -> list[Trained]:
    """What ``notebooks/growing_transformers.py`` measured, which takes some minutes, by size and depth."""
    return [Trained(*row) for row in _rows("growing_transformers.csv", Trained.__annotations__)]


Source = Literal["predicted", "retrained", "tree"]
"""Of a response: -G^T H^-1 G, training again, or the token tree."""


class TransformerResponse(NamedTuple):
    """How rates of a transformer at its optimum respond to sizes k : 1 : l, beside the token tree.

    Responses are d gamma_i / d n_t in nats per window of four characters and unit of size, the alignment data
    being one unit. All are NaN where no minimum was found.

    Attributes
    ----------
    form : "apart" or "overlapping"
        Three texts; or all of them in equal parts for pre-training, and two of them.
    pretrain, align, perturb : str
        The texts.
    k, l : float
        Sizes of the pre-training and the perturbation data.
    limit : float
        Of l, in the overlapping form: the token tree has Theorem 4.2's signs below it, at large k. NaN in the
        other.
    parameters : int
        Of the transformer.
    decay : float
        Weight of the regularizer, half the sum of squared parameters.
    status : "minimum", "saddle" or "not converged"
        What training found.
    residual : float
        Length of the gradient over the total size.
    rate_pretrain, rate_align, rate_perturb : float
        The transformer's rates, nats per window.
    tree_rate_pretrain, tree_rate_align, tree_rate_perturb : float
        The token tree's.
    predicted_pp, predicted_pa, predicted_pt, predicted_aa, predicted_at, predicted_tt : float
        Response of the transformer, -G^T H^-1 G.
    retrained_pt, retrained_at, retrained_tt : float
        Response of the transformer, from training again at two sizes of the perturbation data; NaN where that
        came to no minimum.
    tree_pp, tree_pa, tree_pt, tree_aa, tree_at, tree_tt : float
        Response of the token tree.
    balance_regularizers, balance_residual : float
        The parts that weight decay and the gradient left over have in k R_pt + R_at + l R_tt.
    """

    form: str
    pretrain: str
    align: str
    perturb: str
    k: float
    l: float
    limit: float
    parameters: int
    decay: float
    status: str
    residual: float
    rate_pretrain: float
    rate_align: float
    rate_perturb: float
    tree_rate_pretrain: float
    tree_rate_align: float
    tree_rate_perturb: float
    predicted_pp: float
    predicted_pa: float
    predicted_pt: float
    predicted_aa: float
    predicted_at: float
    predicted_tt: float
    retrained_pt: float
    retrained_at: float
    retrained_tt: float
    tree_pp: float
    tree_pa: float
    tree_pt: float
    tree_aa: float
    tree_at: float
    tree_tt: float
    balance_regularizers: float
    balance_residual: float

    @property
    def found(self) -> bool:
        """Whether there is a minimum, and so a response."""
        return self.status == "minimum"

    def to_perturb(self, source: Source) -> tuple[float, float, float]:
        """R_pt, R_at and R_tt as predicted, from training again, or of the token tree."""
        pretrain, align, perturb = (float(getattr(self, f"{source}_{role}t")) for role in "pat")
        return pretrain, align, perturb

    def signs(self, source: Source) -> tuple[int, int]:
        """Of gamma_p' and gamma_a'; 0 also where they are not known."""
        pretrain, align, _ = self.to_perturb(source)
        return (pretrain > 0) - (pretrain < 0), (align > 0) - (align < 0)

    def holds(self, source: Source) -> bool:
        """Whether the signs are those of Theorem 4.2: gamma_p' < 0 < gamma_a'."""
        return self.signs(source) == (-1, 1)

    def ratio(self, source: Source) -> float:
        """-gamma_a' / (k gamma_p'), which the theorem says is near 1."""
        pretrain, align, _ = self.to_perturb(source)
        return -align / (self.k * pretrain)

    def inequality(self, source: Literal["predicted", "tree"]) -> bool:
        """Whether <g_a, g_t> < -l <g_t, g_t>: without a regularizer the same as `holds` (theorem T6)."""
        _, align, perturb = self.to_perturb(source)
        return -align < self.l * perturb

    def cosine(self, source: Literal["predicted", "tree"]) -> float:
        """Of the angle between alignment and perturbation, in the metric H^-1."""
        align, perturb = (float(getattr(self, f"{source}_{pair}")) for pair in ("aa", "tt"))
        return -self.to_perturb(source)[1] / math.sqrt(align * perturb)

    @property
    def defect(self) -> float:
        """What k R_pt + R_at + l R_tt of the transformer lacks of zero, which it is for the token tree."""
        pretrain, align, perturb = self.to_perturb("predicted")
        return self.k * pretrain + align + self.l * perturb


def trained_transformer() -> list[TransformerResponse]:
    """What ``notebooks/trained_transformer.py`` measured, which takes some minutes, one mixture a row."""
    rows = _rows("trained_transformer.csv", TransformerResponse.__annotations__)
    return [TransformerResponse(*row) for row in rows]


def _rows(name: str, kinds: Mapping[str, Callable[[str], Any]]) -> list[list[Any]]:
    """Values of a table of this package, each column in its own type."""
    text = (resources.files(__package__) / name).read_text(encoding="utf-8")
    rows = csv.DictReader(line for line in text.splitlines() if not line.startswith("#"))
    return [[kind(row[field]) for field, kind in kinds.items()] for row in rows]


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
    """What the claims are decided on."""

    seed: int = 0

    @cached_property
    def corpora(self) -> tuple[Corpus, Corpus]:
        """Real text, and synthetic Pareto trees."""
        return text_corpus(), pareto_corpus(np.random.default_rng(self.seed))
