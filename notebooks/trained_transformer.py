"""Theorem 4.2 on a transformer that is trained to its optimum, in some minutes of one core.

    python notebooks/trained_transformer.py src/tokentree/claims/trained_transformer.csv

The datasets are token trees: three of Python's own texts in six classes of characters, every window of four
counted (`tokentree.claims.evidence.class_trees`). The model is one block of attention and MLP with three
layer norms and weight decay, of 238 parameters. It learns from the trees' counts, so there is no sampling
noise. Two forms of mixtures, of sizes k : 1 : l:

- "apart": pre-training, alignment and perturbation are the three texts, in all six orders;
- "overlapping": the published form, where the pre-training data are all three texts in equal parts, and the
  others are two of them. l is half, and one and a half times, the limit for the token tree at large k.

The table holds one line for each mixture: how the rates respond to the sizes by theory (-G^T H^-1 G), by
training again with n_t a thousandth smaller and larger, and for the token tree of the same depth. A mixture
for which no minimum was found stands there too, with what was left of the gradient and without a response.
Training goes on from the neighbouring mixture; all of them go back to one model, trained on the texts in
equal parts.
Needs ``tokentree[transformers]``.
"""

import csv
import hashlib
import itertools
import math
import platform
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from tokentree import Mixture, TokenTree
from tokentree.claims.evidence import CLASSES, CLASSES_DEPTH, class_trees
from tokentree.claims.experiments import TransformerResponse
from tokentree.training import TrainedMixture, tree_loss
from tokentree.trees import leaf_distributions, merge

SYMBOLS = len(CLASSES) + 1
WIDTH, SEED = 4, 0
DECAY = 0.01
"""Weight decay over the total size."""
EPSILON = 0.1
"""In the layer norms. Decay shrinks what they normalise; with the usual 1e-5 the loss bends so sharply there
that no minimum is found in minutes."""
TOLERANCE, STEPS, ATTEMPTS, NUDGE = 1e-11, 300, 2, 0.02
STEP = 1e-3
"""Of n_t, up and down, in training again."""
KS, LS = (3, 10, 100), (0.5, 0.2, 0.05)
OVERLAPPING_KS, OF_LIMIT = (10, 100), (0.5, 1.5)


class Transformer(torch.nn.Module):
    """One block of attention and MLP, each after a layer norm, that predicts what follows a prefix."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(SEED)
        self.tokens = torch.nn.Parameter(torch.randn(SYMBOLS + 1, 1, WIDTH))
        self.places = torch.nn.Parameter(torch.randn(CLASSES_DEPTH, WIDTH) / 3)
        self.query = torch.nn.Linear(WIDTH, WIDTH, bias=False)
        self.keys = torch.nn.Linear(WIDTH, 2 * WIDTH, bias=False)
        self.out = torch.nn.Linear(WIDTH, WIDTH, bias=False)
        self.norms = torch.nn.ModuleList(torch.nn.LayerNorm(WIDTH, eps=EPSILON) for _ in range(3))
        self.up, self.down = torch.nn.Linear(WIDTH, 2 * WIDTH), torch.nn.Linear(2 * WIDTH, WIDTH)
        self.head = torch.nn.Linear(WIDTH, SYMBOLS)

    def forward(self, prefixes: torch.Tensor) -> torch.Tensor:
        # Only the last position is asked for, and a symbol at a place is the same in every prefix.
        embedded = self.tokens + self.places
        normed, last = self.norms[0](embedded), prefixes[:, -1]
        keys, values = self.keys(normed)[prefixes, torch.arange(CLASSES_DEPTH)].chunk(2, dim=-1)
        scores = (keys * self.query(normed[:, -1])[last][:, None]).sum(dim=-1) / math.sqrt(WIDTH)
        attended = (torch.softmax(scores, dim=-1)[..., None] * values).sum(dim=1)
        x = embedded[last, -1] + self.out(attended)
        x = x + self.down(torch.nn.functional.gelu(self.up(self.norms[1](x))))
        return self.head(self.norms[2](x))


def decay(module: torch.nn.Module) -> torch.Tensor:
    """Half the sum of squares."""
    return torch.stack([(each**2).sum() for each in module.parameters()]).sum() / 2


def losses_of(trees: list[TokenTree]) -> list[Callable[[Any], torch.Tensor]]:
    """`tree_loss` of each tree, but one forward pass for all of them: three times as fast."""
    apart = [tree_loss(tree) for tree in trees]
    prefixes, places = np.unique(
        np.concatenate([each.prefixes for each in apart]), axis=0, return_inverse=True
    )
    shares = np.zeros((len(apart), len(prefixes), SYMBOLS))
    ends = np.cumsum([len(each.prefixes) for each in apart])[:-1]
    for row, each, at in zip(shares, apart, np.split(places.ravel(), ends), strict=True):
        row[at[each.rows], each.symbols] = each.shares
    rows, weights = torch.from_numpy(prefixes), torch.from_numpy(shares)
    read: list[torch.Tensor] = []

    def loss(i: int) -> Callable[[Any], torch.Tensor]:
        def of(module: Any) -> torch.Tensor:
            # Losses are always asked for in their order, and at one point.
            if i == 0:
                read[:] = [torch.log_softmax(module(rows), dim=-1)]
            return -(weights[i] * read[0]).sum()

        return of

    return [loss(i) for i in range(len(trees))]


class Case(NamedTuple):
    """A mixture to be trained on."""

    form: str
    names: tuple[str, str, str]
    trees: list[TokenTree]
    k: float
    l: float
    limit: float


def limit_of(trees: list[TokenTree]) -> float:
    """Of l, for the token tree at large k, where the pre-training data contain the others."""
    pretrain, align, perturb = leaf_distributions(trees)
    overlaps = [float((each * perturb / pretrain)[pretrain > 0].sum()) for each in (align, perturb)]
    return (1 - overlaps[0]) / (overlaps[1] - 1)


def cases(texts: dict[str, TokenTree]) -> Iterator[list[Case]]:
    """Mixtures in chains, each next to the one before it."""
    for names in itertools.permutations(texts):
        trees = [texts[name] for name in names]
        yield [
            Case("apart", names, trees, k, l, math.nan)
            for turn, k in enumerate(KS)
            for l in LS[:: 1 if turn % 2 == 0 else -1]
        ]
    everything = merge(list(texts.values()))
    for align, perturb in itertools.permutations(texts, 2):
        trees = [everything, texts[align], texts[perturb]]
        limit = limit_of(trees)
        yield [
            Case("overlapping", ("all", align, perturb), trees, k, part * limit, limit)
            for turn, k in enumerate(OVERLAPPING_KS)
            for part in OF_LIMIT[:: 1 if turn % 2 == 0 else -1]
        ]


def train(model: Any, losses: list[Any], sizes: np.ndarray, names: tuple[str, ...]) -> tuple[Any, str]:
    """The model at a minimum, or how far it came; and "minimum", "saddle" or "not converged"."""
    trained = TrainedMixture(model, losses, sizes, names, regularizers=[(decay, DECAY * sizes.sum())])
    rng, status = np.random.default_rng(SEED), ""
    for attempt in range(ATTEMPTS):
        if attempt:
            with torch.no_grad():
                for each in trained.module.parameters():
                    each += NUDGE * torch.from_numpy(rng.standard_normal(each.shape))
        try:
            trained.train(TOLERANCE, steps=STEPS)
        except ArithmeticError:
            status = "not converged"
            continue
        try:
            trained.response()
        except ArithmeticError:
            status = "saddle"
            continue
        return trained, "minimum"
    return trained, status


def retrained(trained: Any, losses: list[Any]) -> np.ndarray:
    """How the rates respond to n_t, in nats, by training again at two sizes of it; NaN where that fails."""
    weight, rates = DECAY * float(trained.sizes.sum()), []
    # The way to the new minimum, to first order. Training starts there, for Newton's steps from the old one
    # lose their way along the symmetries of attention.
    way = torch.from_numpy(trained._derivatives().moved[:, 2])
    for sign in (-1, 1):
        sizes, change = trained.sizes.copy(), sign * STEP * trained.sizes[2]
        sizes[2] += change
        other = TrainedMixture(trained.module, losses, sizes, trained.names, regularizers=[(decay, weight)])
        with torch.no_grad():
            moved = torch.nn.utils.parameters_to_vector(other.module.parameters()) - change * way
            torch.nn.utils.vector_to_parameters(moved, other.module.parameters())
        try:
            # At a loose tolerance each training is one of Newton's steps. L-BFGS begins with a step of length
            # one, and may stray.
            for _ in range(3):
                other.train(1.0)
            rates.append(other.train(TOLERANCE, steps=STEPS).rates(math.e))
        except ArithmeticError:
            return np.full(3, math.nan)
    return (rates[1] - rates[0]) / (2 * STEP * trained.sizes[2])


def measure(case: Case, losses: list[Any], model: Any) -> tuple[Any, TransformerResponse]:
    """Train on one mixture; its line of the table."""
    sizes = np.array([case.k, 1.0, case.l])
    roles = ("pretrain", "align", "perturb")
    trained, status = train(model, losses, sizes, roles)
    found = status == "minimum"
    nothing = np.full((3, 3), math.nan)
    response = trained.response(math.e) if found else nothing
    tree = Mixture.from_trees(case.trees, sizes, names=roles)
    upper = np.triu_indices(3)
    row = TransformerResponse(
        case.form,
        *case.names,
        case.k,
        case.l,
        case.limit,
        trained.n_parameters,
        DECAY * float(sizes.sum()),
        status,
        trained.residual.relative,
        *map(float, trained.rates(math.e)),
        *map(float, tree.rates(math.e)),
        *map(float, response[upper]),
        *map(float, retrained(trained, losses) if found else nothing[0]),
        *map(float, tree.response(math.e)[upper]),
        float(trained.balance(math.e).regularizers[2]) if found else math.nan,
        float(trained.balance(math.e).residual[2]) if found else math.nan,
    )
    return trained.module, row


def main(path: str) -> None:
    """Train on every mixture and write the table."""
    # The model is so small that threads would wait for one another.
    torch.set_num_threads(1)
    texts = class_trees()
    counts = hashlib.sha256(leaf_distributions(list(texts.values()), weights=True).tobytes()).hexdigest()[:16]
    begun = time.perf_counter()
    base, status = train(Transformer(), losses_of(list(texts.values())), np.ones(3), tuple(texts))
    print(f"equal parts: {status}, {time.perf_counter() - begun:.0f} s", flush=True)
    with Path(path).open("w", newline="", encoding="utf-8") as file:
        file.write(
            f"# Made by notebooks/trained_transformer.py: windows of {CLASSES_DEPTH} classes of characters "
            f"of Python {platform.python_version()} (SHA-256 of the counts {counts}), a transformer of "
            f"{base.n_parameters} parameters, rates and responses in nats per window\n"
        )
        table = csv.writer(file, lineterminator="\n")
        table.writerow(TransformerResponse._fields)
        for chain in cases(texts):
            model, losses = base.module, losses_of(chain[0].trees)
            for case in chain:
                since = time.perf_counter()
                trained, row = measure(case, losses, model)
                if row.status == "minimum":
                    model = trained
                table.writerow([f"{x:.12g}" if isinstance(x, float) else x for x in row])
                file.flush()
                print(
                    f"{case.form} {', '.join(case.names)}, k = {case.k}, l = {case.l:.3g}: {row.status}, "
                    f"{time.perf_counter() - since:.0f} s of {time.perf_counter() - begun:.0f} s",
                    flush=True,
                )


if __name__ == "__main__":
    main(sys.argv[1])
