"""Section 5 by gradient descent: small transformers pre-trained, aligned, and trained back, on one CPU core.

    python notebooks/fine_tuning.py src/tokentree/claims/fine_tuning.csv

Texts are Python's own (`tokentree.claims.evidence.python_text`) in 16 symbols; an example is a window of 12
symbols, and a prompt is nothing but the beginning of one. Two worlds mirror the paper's set-up, in which
pre-training has seen both of two opposite kinds that fine-tuning then plays off against each other:

- *kinds*: pre-training on equal parts of help topics, sources and tables of encodings. Sources are more
  varied than the whole and encodings less so. Each is once the positive kind and once the negative.
- *directions*: pre-training on equal parts of help topics read forwards and read backwards. The two kinds
  share their letters and their entropy, and nothing is pre-trained beside them.

Pre-training reads seven tenths of the text and fine-tuning the rest. All seeds of a setting are trained at
once, stacked along the first axis: the optimisers work by element, so no seed sees another. A learning rate
is constant, and an optimiser starts afresh in every phase. Seeds differ by the weights drawn, by the order
of the data and by what is sampled. The first learning rate of `RATES` is that of 1, 3, 10, ... which, in a
pilot on *kinds*, left the least held-out loss after 5000 windows, of sources and of encodings together.

The table holds means over seeds and their standard errors; a seed for which a value does not exist (a level
never reached) is left out and not counted. `experiment` is one of

- resistance: `case` is a pair of slices, `examples` those of retraining. Losses in nats per window, means
  over the retraining; gaps are forward less inverse, positive where inverse alignment is easier.
- rebound: `case` is the number of positive examples, `examples` that of negative ones. `share` is that of
  samples judged positive, `score` their mean probability of being positive, distances are in nats per
  window. `needed` examples bring a score back to that of the base, or a distance down to 0.8 of what the
  fewest positive examples made it, `fraction` ones to 0.8 of what it was itself; `least` is the least
  distance at any number looked at. (At the paper's 1/20 no mean arrives.)
- factors: the same, for other widths and amounts of pre-training; the largest of each are under rebound.

A case such as "10000-1000" is the difference of two cases within a seed. The method "tree" is
`tokentree.alignment` on the first `width` symbols of the same windows; `pretrained` counts windows.
"""

import csv
import itertools
import math
import platform
import re
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import astuple, dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from tokentree import Mixture
from tokentree.alignment import simulate_rebound, simulate_resistance
from tokentree.claims.evidence import python_text

LETTERS = b"etaoinsrhldc"
"""Symbols of their own; then any other letter, digits, whitespace, and anything else."""

SYMBOLS, BEGIN, WINDOW, BLOCK = len(LETTERS) + 4, len(LETTERS) + 4, 12, 1000
SEEDS, LAYERS, WIDTHS, MAIN = 6, 2, (8, 16, 32), 32
PRETRAIN, PRETRAIN_BATCH, PRETRAIN_RATE = (250, 750, 2250), 64, 3e-3
"""Steps of pre-training at which models are kept, as TinyLlama's were, and windows in each."""

BATCH = 10
RATES = {"SGD": (0.03, 0.01), "Adam": (3e-4, 1e-4)}
"""The first is the main one; the other shows what depends on it."""

SLICE, SLICES = 2000, 3
POSITIVE, NEGATIVE = (1000, 2000, 5000, 10000), (0, 100, 200, 500, 1000, 2000)
FEW, BEYOND = (1000, 5000), (20, 50, 150, 300)
"""Positive examples where a factor is varied; negative ones looked at besides, to see a level crossed."""

SAMPLED, BETA, LEVEL = 1000, 0.1, 0.8
"""Windows sampled for each score; strength of the reference in DPO; share of a distance to come down to."""

DEPTHS = (2, 3, 4)
"""Of the token trees."""

WORLDS = {"kinds": ("topics", "sources", "encodings"), "directions": ("topics", "backwards")}
ALIGNMENTS = (
    ("kinds", "sources", "encodings"),
    ("kinds", "encodings", "sources"),
    ("directions", "topics", "backwards"),
)
"""World, positive kind, negative kind."""

# --- Texts ------------------------------------------------------------------------------------------------


def symbols(text: bytes) -> np.ndarray:
    """A text in 16 symbols, in blocks; runs of whitespace, and of digits, count once."""
    text = re.sub(rb"\s+", b" ", re.sub(rb"\d+", b"0", text.lower()))
    kinds = np.full(256, SYMBOLS - 1)
    kinds[np.frombuffer(b"abcdefghijklmnopqrstuvwxyz", np.uint8)] = len(LETTERS)
    kinds[np.frombuffer(LETTERS, np.uint8)] = np.arange(len(LETTERS))
    kinds[ord("0")], kinds[ord(" ")] = SYMBOLS - 3, SYMBOLS - 2
    found = kinds[np.frombuffer(text, np.uint8)]
    return found[: len(found) // BLOCK * BLOCK].reshape(-1, BLOCK)


def texts() -> dict[str, np.ndarray]:
    """Blocks of every kind of text."""
    found = {
        name: symbols(b"\n".join(path.read_bytes() for path in paths))
        for name, paths in python_text().items()
    }
    return {**found, "backwards": found["topics"][:, ::-1]}


class Source:
    """Windows drawn from one kind of text, apart for pre-training and for fine-tuning."""

    def __init__(self, blocks: np.ndarray) -> None:
        apart = np.arange(len(blocks)) % 10 < 7
        self.parts = blocks[apart], blocks[~apart]

    def draw(self, uniforms: np.ndarray, fresh: bool = True) -> np.ndarray:
        """A window for each two uniforms: one that pre-training has not read, or one that it may have."""
        blocks = self.parts[int(fresh)]
        rows, places = (uniforms * [len(blocks), BLOCK - WINDOW + 1]).astype(np.int64).T
        return blocks[rows[:, None], places[:, None] + np.arange(WINDOW)]


class Judge:
    """Log likelihood ratio of two kinds of text, each by what follows up to three symbols of it."""

    def __init__(self, positive: np.ndarray, negative: np.ndarray) -> None:
        chains = zip(self._chain(positive), self._chain(negative), strict=True)
        self.tables = [np.log(ours) - np.log(theirs) for ours, theirs in chains]

    @staticmethod
    def _chain(blocks: np.ndarray) -> list[np.ndarray]:
        """P(symbol | the last 0, 1, 2, 3), every order leaning on the one below by four examples."""
        found = [np.full((1, SYMBOLS), 1 / SYMBOLS)]
        for order in range(4):
            grams = np.lib.stride_tricks.sliding_window_view(blocks, order + 1, axis=1)
            keys = grams.reshape(-1, order + 1) @ SYMBOLS ** np.arange(order, -1, -1)
            counts = np.bincount(keys, minlength=SYMBOLS ** (order + 1)).reshape(-1, SYMBOLS)
            below = np.tile(found[-1], (len(counts) // len(found[-1]), 1))
            found.append((counts + 4 * below) / (counts.sum(axis=1, keepdims=True) + 4))
        return found[1:]

    def __call__(self, windows: np.ndarray) -> np.ndarray:
        """Positive where a window (last axis) rather is of the positive kind."""
        total = np.zeros(windows.shape[:-1])
        for place in range(WINDOW):
            order = min(place, 3)
            seen = windows[..., place - order : place] @ SYMBOLS ** np.arange(order - 1, -1, -1)
            total += self.tables[order][seen, windows[..., place]]
        return total


# --- Transformers, one for each seed, stacked -------------------------------------------------------------

Weights = dict[str, torch.Tensor]


def drawn(width: int, seeds: int) -> Weights:
    """Random weights; the first axis of each is the seed."""
    size = {"embed": (SYMBOLS + 1, width), "place": (WINDOW, width), "head": (width, SYMBOLS)}
    for layer in range(LAYERS):
        size |= {f"qkv{layer}": (width, 3 * width), f"mix{layer}": (width, width)}
        size |= {f"up{layer}": (width, 4 * width), f"down{layer}": (4 * width, width)}
    found = {}
    for name, shape in size.items():
        scale = 0.1 if name in ("embed", "place") else 1 / math.sqrt(shape[0])
        generators = [torch.Generator().manual_seed(seed) for seed in range(seeds)]
        found[name] = scale * torch.stack([torch.randn(shape, generator=each) for each in generators])
        found[f"{name}_bias"] = torch.zeros(seeds, 1, shape[-1])
    del found["embed_bias"], found["place_bias"]
    for layer in range(LAYERS + 1):
        for name in ("attend", "think") if layer < LAYERS else ("read",):
            found[f"{name}{layer}"] = torch.ones(seeds, 1, width)
            found[f"{name}{layer}_bias"] = torch.zeros(seeds, 1, width)
    return found


def logits(weights: Weights, tokens: torch.Tensor, cache: list[torch.Tensor] | None = None) -> torch.Tensor:
    """Of what follows each token, for tokens of shape (seeds, rows, places).

    With a cache, tokens are one place, after those whose keys and values the cache holds.
    """
    seeds, rows, places = tokens.shape
    width = weights["embed"].shape[2]
    heads, begun = max(1, width // 8), cache[0].shape[3] if cache else 0

    def dense(name: str, x: torch.Tensor) -> torch.Tensor:
        return torch.baddbmm(weights[f"{name}_bias"], x, weights[name])

    def norm(name: str, x: torch.Tensor) -> torch.Tensor:
        return F.layer_norm(x, (width,)) * weights[name] + weights[f"{name}_bias"]

    x = weights["embed"][torch.arange(seeds)[:, None, None], tokens]
    x = (x + weights["place"][:, None, begun : begun + places]).reshape(seeds, rows * places, width)
    for layer in range(LAYERS):
        qkv = dense(f"qkv{layer}", norm(f"attend{layer}", x))
        qkv = qkv.view(seeds * rows, places, 3, heads, width // heads).permute(2, 0, 3, 1, 4)
        q, kv = qkv[0], qkv[1:]
        if cache is not None:
            kv = torch.cat([cache[layer], kv], dim=3) if begun else kv
            cache[layer : layer + 1] = [kv]
        attended = F.scaled_dot_product_attention(q, kv[0], kv[1], is_causal=cache is None)
        x = x + dense(f"mix{layer}", attended.transpose(1, 2).reshape(seeds, rows * places, width))
        x = x + dense(f"down{layer}", F.gelu(dense(f"up{layer}", norm(f"think{layer}", x))))
    return dense("head", norm(f"read{LAYERS}", x)).view(seeds, rows, places, SYMBOLS)


def shifted(windows: torch.Tensor) -> torch.Tensor:
    """What a model reads to predict each symbol of a window."""
    return F.pad(windows[..., :-1], (1, 0), value=BEGIN)


def log_likelihood(weights: Weights, windows: torch.Tensor) -> torch.Tensor:
    """Of windows (seeds, rows, places), in nats per window."""
    logs = logits(weights, shifted(windows)).log_softmax(-1)
    return logs.gather(-1, windows[..., None])[..., 0].sum(-1)


@torch.no_grad()
def sample(weights: Weights, uniforms: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """A window for each row of uniforms (seeds, rows, places), and the logarithms it was drawn by."""
    cache: list[torch.Tensor] = []
    tokens = torch.full((*uniforms.shape[:2], 1), BEGIN)
    windows, logs = [], []
    for place in range(WINDOW):
        logs.append(logits(weights, tokens, cache).log_softmax(-1))
        shares = logs[-1].exp().cumsum(-1)
        tokens = torch.searchsorted(shares[:, :, 0], uniforms[..., place, None] * shares[..., -1])
        tokens = tokens.clamp(max=SYMBOLS - 1)
        windows.append(tokens)
    return torch.cat(windows, dim=2), torch.cat(logs, dim=2)


def stacked(models: list[Weights]) -> Weights:
    """Models along the first axis, those of the first entry first."""
    return {name: torch.cat([each[name] for each in models]) for name in models[0]}


Loss = Callable[[Weights, torch.Tensor], torch.Tensor]


def likelihood_loss(weights: Weights, windows: torch.Tensor) -> torch.Tensor:
    """Of each seed, in nats per window."""
    return -log_likelihood(weights, windows).mean(-1)


def preference_loss(base: Weights) -> Loss:
    """DPO: of each pair of windows, the first half preferred to the second; the reference is the base."""

    def loss(weights: Weights, windows: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            before = log_likelihood(base, windows)
        gain = log_likelihood(weights, windows) - before
        better, worse = gain.chunk(2, dim=1)
        return -F.logsigmoid(BETA * (better - worse)).mean(-1)

    return loss


def descend(
    weights: Weights, batches: torch.Tensor, optimizer: str, rate: float, loss: Loss = likelihood_loss
) -> Iterator[tuple[int, Weights, torch.Tensor]]:
    """Steps taken, the weights then, and the loss of each seed before the step.

    Batches have shape (steps, seeds, rows, places). SGD moves per symbol: its loss is divided by the places.
    """
    weights = {name: value.clone().requires_grad_() for name, value in weights.items()}
    if optimizer == "SGD":
        method: torch.optim.Optimizer = torch.optim.SGD(weights.values(), lr=rate)
    else:
        method = torch.optim.Adam(weights.values(), lr=rate)
    for step, batch in enumerate(batches, 1):
        value = loss(weights, batch)
        method.zero_grad()
        (value.sum() / WINDOW).backward()
        method.step()
        yield step, weights, value.detach()


def kept(weights: Weights) -> Weights:
    """A copy that training no longer moves."""
    return {name: value.detach().clone() for name, value in weights.items()}


# --- Pre-training -----------------------------------------------------------------------------------------


def batches(
    sources: list[Source], seed: int, steps: int, rows: int, seeds: int, fresh: bool = True
) -> torch.Tensor:
    """Windows (steps, seeds, rows, places), each batch from all sources in equal parts on average."""
    found = []
    for each in range(seeds):
        # Row by row, so that a longer run begins as a shorter one does.
        uniforms = np.random.default_rng([seed, each]).random((steps * rows, 3))
        choice = (uniforms[:, 0] * len(sources)).astype(np.int64)
        windows = np.zeros((steps * rows, WINDOW), np.int64)
        for i, source in enumerate(sources):
            windows[choice == i] = source.draw(uniforms[choice == i, 1:], fresh)
        found.append(windows.reshape(steps, rows, WINDOW))
    return torch.from_numpy(np.stack(found, axis=1))


def pretrain(sources: list[Source], width: int, steps: tuple[int, ...] = PRETRAIN) -> list[Weights]:
    """Models after so many steps of Adam at a constant rate, reached over the first hundred."""
    weights = {name: value.requires_grad_() for name, value in drawn(width, SEEDS).items()}
    method = torch.optim.Adam(weights.values(), lr=PRETRAIN_RATE)
    found = []
    for step, batch in enumerate(batches(sources, 1, steps[-1], PRETRAIN_BATCH, SEEDS, fresh=False), 1):
        method.param_groups[0]["lr"] = PRETRAIN_RATE * min(1, step / 100)
        method.zero_grad()
        (likelihood_loss(weights, batch).sum() / WINDOW).backward()
        method.step()
        if step in steps:
            found.append(kept(weights))
    return found


# --- The table --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Setting:
    """What the rows of one run share."""

    experiment: str
    positive: str
    method: str
    optimizer: str
    rate: float
    width: int
    pretrained: int

    @property
    def world(self) -> str:
        """The one in which this kind is positive."""
        return next(world for world, positive, _ in ALIGNMENTS if positive == self.positive)


class Table:
    """Writes means over seeds as they come."""

    def __init__(self, file: Any) -> None:
        self.file, self.writer = file, csv.writer(file, lineterminator="\n")
        shared = [field.name for field in fields(Setting)]
        self.writer.writerow([*shared, "case", "examples", "measure", "seeds", "mean", "error"])

    def write(self, setting: Setting, case: str, examples: int, measure: str, values: Any) -> None:
        """One row; seeds without a value are left out of it, and not counted."""
        found = np.asarray(values, np.float64).reshape(-1)
        found = found[np.isfinite(found)]
        n = len(found)
        mean = f"{found.mean():.4g}" if n else "nan"
        error = f"{found.std(ddof=1) / math.sqrt(n):.2g}" if n > 1 else "nan"
        self.writer.writerow([*astuple(setting), case, examples, measure, n, mean, error])
        self.file.flush()


# --- Section 5.1 ------------------------------------------------------------------------------------------


def resistance(
    base: Weights, source: Source, optimizer: str, rate: float
) -> dict[tuple[str, str], np.ndarray]:
    """Losses and gaps of each pair of slices: (case, measure) to values by seed.

    For the excess, what the target itself loses on the very windows of the retraining is subtracted. The
    entropies are of what follows sampled prefixes, twice as many: less noisy than any loss.
    """
    slices = []
    for step, weights, _ in descend(
        base, batches([source], 2, SLICES * SLICE // BATCH, BATCH, SEEDS), optimizer, rate
    ):
        if step % (SLICE // BATCH) == 0:
            slices.append(kept(weights))
    # The same uniforms for every slice: gaps then have less noise.
    uniforms = drawn_uniforms(4, 2 * SLICE)
    answers, entropies, own = [], [], []
    for weights in slices:
        windows, logs = sample(weights, uniforms)
        answers.append(windows[:, :SLICE])
        entropies.append(-(logs.exp() * logs).sum((-1, -2)).mean(-1).numpy())
        with torch.no_grad():
            own.append(-log_likelihood(weights, answers[-1]).mean(-1).numpy())
    runs = [
        (k, l, start, end)
        for k, l in itertools.combinations(range(SLICES), 2)
        for start, end in ((k, l), (l, k))
    ]
    data = torch.cat([answers[end].view(SEEDS, -1, BATCH, WINDOW) for *_, end in runs]).transpose(0, 1)
    models = stacked([slices[start] for _, _, start, _ in runs])
    losses = torch.stack([loss for _, _, loss in descend(models, data, optimizer, rate)]).mean(0)
    by_run = losses.view(len(runs), SEEDS).numpy()
    found: dict[tuple[str, str], np.ndarray] = {}
    for i in range(0, len(runs), 2):
        k, l, *_ = runs[i]
        case, (forward, inverse) = f"{k + 1}-{l + 1}", by_run[i : i + 2]
        found[case, "loss_forward"], found[case, "loss_inverse"] = forward, inverse
        found[case, "loss_gap"] = forward - inverse
        found[case, "entropy_gap"] = entropies[l] - entropies[k]
        found[case, "excess_forward"] = forward - own[l]
        found[case, "excess_gap"] = forward - own[l] - (inverse - own[k])
    return found


def drawn_uniforms(seed: int, rows: int) -> torch.Tensor:
    """Shape (seeds, rows, places)."""
    rngs = [np.random.default_rng([seed, each]) for each in range(SEEDS)]
    return torch.from_numpy(np.stack([rng.random((rows, WINDOW), np.float32) for rng in rngs]))


# --- Sections 5.2 and 5.3 ---------------------------------------------------------------------------------


class Meter:
    """Scores and distances of models from their base, from the same uniforms every time."""

    def __init__(self, base: Weights, judge: Judge, copies: int, distances: bool) -> None:
        self.judge, self.copies = judge, copies
        self.uniforms = drawn_uniforms(5, SAMPLED).repeat(copies, 1, 1)
        self.distances, rows = distances, SAMPLED // 4
        windows, logs = sample(base, drawn_uniforms(6, rows))
        self.windows, self.logs = windows.repeat(copies, 1, 1), logs.repeat(copies, 1, 1, 1)
        self.base, self.rows = stacked([base] * copies), rows

    @torch.no_grad()
    def read(self, weights: Weights) -> dict[str, np.ndarray]:
        """Measures, each of shape (copies, seeds)."""
        windows, logs = sample(weights, self.uniforms)
        ratio = self.judge(windows.numpy())
        found = {"share": (ratio > 0).mean(-1), "score": (1 / (1 + np.exp(-ratio))).mean(-1)}
        if self.distances:
            # Exact for the next symbol after each prefix: only prefixes are sampled.
            theirs = logits(weights, shifted(self.windows)).log_softmax(-1)
            found["kl_base_model"] = self._divergence(self.logs, theirs)
            ours = logits(self.base, shifted(windows[:, : self.rows])).log_softmax(-1)
            found["kl_model_base"] = self._divergence(logs[:, : self.rows], ours)
        return {name: value.reshape(self.copies, SEEDS) for name, value in found.items()}

    @staticmethod
    def _divergence(p: torch.Tensor, q: torch.Tensor) -> np.ndarray:
        return np.asarray((p.exp() * (p - q)).sum((-1, -2)).mean(-1).numpy(), np.float64)


def rebound(
    base: Weights,
    sources: tuple[Source, Source],
    judge: Judge,
    setting: Setting,
    positive: tuple[int, ...],
    negative: tuple[int, ...],
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Measures of the base by seed, and of shape (positive, negative, seeds) after it."""
    good, bad = (batches([source], seed, n[-1] // BATCH, BATCH, SEEDS) for source, seed, n in (
        (sources[0], 7, positive), (sources[1], 8, negative)
    ))  # fmt: skip
    loss = likelihood_loss
    if setting.method == "DPO":
        worse = batches([sources[1]], 9, positive[-1] // BATCH, BATCH, SEEDS)
        good, loss = torch.cat([good, worse], dim=2), preference_loss(base)
    models = [
        kept(model)
        for step, model, _ in descend(base, good, setting.optimizer, setting.rate, loss)
        if step * BATCH in positive
    ]
    whole = setting.experiment == "rebound"
    before = Meter(base, judge, 1, False).read(base)
    meter = Meter(base, judge, len(positive), whole)
    aligned = stacked(models)
    read = [meter.read(aligned)]
    for step, weights, _ in descend(
        aligned, bad.repeat(1, len(positive), 1, 1), setting.optimizer, setting.rate
    ):
        if step * BATCH in negative:
            read.append(meter.read(weights))
    found = {name: np.stack([each[name] for each in read], axis=1) for name in read[0]}
    if not whole:
        del before["share"], found["share"]
    return {name: value[0] for name, value in before.items()}, found


def crossing(examples: tuple[int, ...], path: np.ndarray, level: np.ndarray) -> np.ndarray:
    """Examples after which a path (axis 1) first is at its level or below, by straight lines; else NaN."""
    found = np.full((path.shape[0], path.shape[2]), np.nan)
    for i, s in np.ndindex(found.shape):
        over = path[i, :, s] - np.broadcast_to(level, found.shape)[i, s]
        below = np.flatnonzero(over <= 0)
        if len(below):
            j = below[0]
            found[i, s] = examples[0] if j == 0 else examples[j - 1] + (
                examples[j] - examples[j - 1]
            ) * over[j - 1] / (over[j - 1] - over[j])  # fmt: skip
    return found


def derived(
    before: dict[str, np.ndarray], found: dict[str, np.ndarray], negative: tuple[int, ...]
) -> dict[tuple[int, str], np.ndarray]:
    """What the paper reads off such curves: (examples, measure) to values of shape (positive, seeds)."""
    at = {n: i for i, n in enumerate(negative)}
    out = {}
    if "share" in found:
        out[100, "first_drop_share"] = found["share"][:, 0] - found["share"][:, at[100]]
    path = found["score"]
    for n in (20, 100):
        if n in at:
            out[n, "first_drop_score"] = path[:, 0] - path[:, at[n]]
    out[2000, "last_drop_score"] = path[:, at[1000]] - path[:, at[2000]]
    out[negative[-1], "needed_score"] = crossing(negative, path, before["score"])
    for name in found:
        if name.startswith("kl"):
            path = found[name]
            out[0, name] = path[:, 0]
            out[negative[-1], f"least_{name}"] = path.min(axis=1)
            # A level for all, reachable after the fewest positive examples; and one for each.
            level = np.full(path[:, 0].shape, LEVEL * path[0, 0].mean())
            out[negative[-1], f"needed_{name}"] = crossing(negative, path, level)
            out[negative[-1], f"fraction_{name}"] = crossing(negative, path, LEVEL * path[:, 0])
    return out


def write_rebound(
    table: Table,
    setting: Setting,
    before: dict[str, np.ndarray],
    found: dict[str, np.ndarray],
    positive: tuple[int, ...],
    negative: tuple[int, ...],
) -> None:
    """Curves at the paper's sizes, what is derived from them, and most less fewest positive examples."""
    for name, values in before.items():
        table.write(setting, "0", 0, name, values)
    for name in before:
        for i, n in enumerate(positive):
            for j, m in enumerate(negative):
                if m == 0 or (m in NEGATIVE and name == "score" and setting.experiment == "rebound"):
                    table.write(setting, str(n), m, name, found[name][i, j])
    for (examples, measure), values in derived(before, found, negative).items():
        for n, row in zip(positive, values, strict=True):
            table.write(setting, str(n), examples, measure, row)
        table.write(setting, f"{positive[-1]}-{positive[0]}", examples, measure, values[-1] - values[0])


# --- The same on token trees ------------------------------------------------------------------------------


def distributions(blocks: dict[str, np.ndarray], depth: int) -> dict[str, np.ndarray]:
    """Of the first so many symbols of a window of each kind of text."""
    found = {}
    for name, each in blocks.items():
        grams = np.lib.stride_tricks.sliding_window_view(each, depth, axis=1)
        keys = grams.reshape(-1, depth) @ SYMBOLS ** np.arange(depth)
        counts = np.bincount(keys, minlength=SYMBOLS**depth)
        found[name] = counts / counts.sum()
    return found


def on_trees(table: Table, blocks: dict[str, np.ndarray]) -> None:
    """What `tokentree.alignment` says of the beginnings of the same windows."""
    at_depth = {depth: distributions(blocks, depth) for depth in DEPTHS}
    varied = [(depth, PRETRAIN[-1]) for depth in DEPTHS] + [(DEPTHS[-1], steps) for steps in PRETRAIN[:-1]]
    for (world, positive, negative), (depth, steps) in itertools.product(ALIGNMENTS, varied):
        shares = at_depth[depth]
        p = np.mean([shares[name] for name in WORLDS[world]], axis=0)
        size, main = steps * PRETRAIN_BATCH, (depth, steps) == (DEPTHS[-1], PRETRAIN[-1])
        mixture = Mixture([p, shares[positive], shares[negative]], [size, SLICE * SLICES, 1])
        for r, regime in enumerate(("counts", "fixed steps")):
            setting = Setting("rebound", positive, "tree", regime, math.nan, depth, size)
            if main:
                gaps = simulate_resistance(mixture, slices=SLICES, base=math.e)
                setting = replace(setting, experiment="resistance", rate=gaps.step if r else math.nan)
                for i, (k, l) in enumerate(gaps.pairs):
                    for name in ("loss_gap", "entropy_gap", "excess_gap"):
                        table.write(setting, f"{k}-{l}", SLICE, name, getattr(gaps, name)[r, i])
            examples = POSITIVE if main else FEW
            found = simulate_rebound(mixture, positive=examples, negative=NEGATIVE)
            setting = replace(
                setting, experiment="rebound" if main else "factors", rate=found.step if r else math.nan
            )
            table.write(setting, "0", 0, "score", found.score_pretrain)
            for i, n in enumerate(examples):
                for j, m in enumerate(NEGATIVE):
                    if main or m == 0:
                        table.write(setting, str(n), m, "score", found.score[r, i, j])
                last = found.drop[r, i, -1] - found.drop[r, i, -2]
                table.write(setting, str(n), 100, "first_drop_score", found.first_drop[r, i])
                table.write(setting, str(n), 2000, "last_drop_score", last)
                table.write(setting, str(n), 0, "needed_score", found.needed[r, i])


# --- All of it --------------------------------------------------------------------------------------------


class Laboratory:
    """Models and texts at hand, and what is done with them."""

    def __init__(self, table: Table) -> None:
        self.table, self.begun = table, time.perf_counter()
        self.blocks = texts()
        self.sources = {name: Source(each) for name, each in self.blocks.items()}
        self.judges = {(a, t): Judge(self.blocks[a], self.blocks[t]) for _, a, t in ALIGNMENTS}
        self.bases: dict[tuple[str, int, int], Weights] = {}

    def say(self, *what: Any) -> None:
        """How far the work has got."""
        print(f"{time.perf_counter() - self.begun:6.0f} s", *what, flush=True)

    def pretrain(self, width: int, *worlds: str) -> None:
        """Models by world, width and windows of pre-training."""
        for world in worlds:
            names = WORLDS[world]
            for steps, model in zip(
                PRETRAIN, pretrain([self.sources[name] for name in names], width), strict=True
            ):
                self.bases[world, width, steps * PRETRAIN_BATCH] = model
            self.say("pre-trained", world, width)

    def resistance(self, setting: Setting) -> None:
        """Section 5.1 at one setting."""
        base = self.bases[setting.world, setting.width, setting.pretrained]
        found = resistance(base, self.sources[setting.positive], setting.optimizer, setting.rate)
        for (case, measure), values in found.items():
            self.table.write(setting, case, SLICE, measure, values)
        self.say(*astuple(setting))

    def rebound(self, setting: Setting, negative_kind: str) -> None:
        """Section 5.2 at one setting, or what section 5.3 needs of it."""
        whole = setting.experiment == "rebound"
        positive = POSITIVE if whole else FEW
        negative = tuple(sorted({*NEGATIVE, *BEYOND})) if whole else NEGATIVE
        before, found = rebound(
            self.bases[setting.world, setting.width, setting.pretrained],
            (self.sources[setting.positive], self.sources[negative_kind]),
            self.judges[setting.positive, negative_kind],
            setting,
            positive,
            negative,
        )
        write_rebound(self.table, setting, before, found, positive, negative)
        self.say(*astuple(setting))


def main(path: str) -> None:
    """Train, measure, and write the table."""
    # The models are so small that threads would wait for one another.
    torch.set_num_threads(1)
    with Path(path).open("w", newline="", encoding="utf-8") as file:
        file.write(
            f"# Made by notebooks/fine_tuning.py: text of Python {platform.python_version()}, windows of "
            f"{WINDOW} of {SYMBOLS} symbols, {LAYERS} layers, {SEEDS} seeds, torch {torch.__version__}\n"
        )
        table = Table(file)
        laboratory = Laboratory(table)
        on_trees(table, laboratory.blocks)
        laboratory.say("token trees")
        laboratory.pretrain(MAIN, *WORLDS)
        most = PRETRAIN[-1] * PRETRAIN_BATCH
        runs = list(itertools.product(ALIGNMENTS, RATES.items()))
        for (_, a, t), (optimizer, rates) in runs:
            setting = Setting("resistance", a, "SFT", optimizer, rates[0], MAIN, most)
            laboratory.resistance(setting)
            laboratory.rebound(replace(setting, experiment="rebound"), t)
        for _, a, t in ALIGNMENTS[::2]:
            setting = Setting("rebound", a, "DPO", "Adam", RATES["Adam"][1], MAIN, most)
            laboratory.rebound(setting, t)
        for (_, a, t), (optimizer, rates) in runs:
            for steps in PRETRAIN[:-1]:
                size = steps * PRETRAIN_BATCH
                laboratory.rebound(Setting("factors", a, "SFT", optimizer, rates[0], MAIN, size), t)
        for width in WIDTHS[:-1]:
            laboratory.pretrain(width, "kinds")
            for (_, a, t), (optimizer, rates) in runs[:4]:
                laboratory.rebound(Setting("factors", a, "SFT", optimizer, rates[0], width, most), t)
        for (_, a, t), (optimizer, rates) in itertools.product(ALIGNMENTS[::2], RATES.items()):
            laboratory.rebound(Setting("rebound", a, "SFT", optimizer, rates[1], MAIN, most), t)


if __name__ == "__main__":
    main(sys.argv[1])
