"""Language models into token trees.

A model is anything that turns prefixes into next-token distributions; the mass of a node is the product of
the model's probabilities along its path. A whole tree has V^d leaves, so a read looks at the most probable
prefixes first and stops at a budget. What it did not look at stays in the tree, as unexpanded leaves with
their mass.

Best first: no prefix is more probable than what it begins with, so the most probable prefixes are a tree, and
of all trees with as many expansions this one has the most probable expansions. In other words, a response
drawn from the model passes through as many expanded prefixes as can be, on average. It need not leave the
least mass unexpanded: that only falls where a prefix one level above the last is expanded, or responses end.
"""

import heapq
import math
import sys
import time
import warnings
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
from jaxtyping import Bool, Float, Int

from .. import _checks
from .._bands import EOS, REST, Nodes
from ..tree import TokenTree, _join

Prefix = tuple[int, ...]

_ROUNDING = {2: 1e-2, 4: 1e-5, 8: 1e-9}
"""How far a row's sum may be from 1, by the bytes of its numbers: the rounding of a softmax of 10^5 terms."""

_SAME = 1e-3
"""Total variation between two answers to one question that rounding explains."""

_TINY = 5e-324
"""The least positive number."""

_NEAR = 16
"""How many children of a prefix are put in order at first."""

_PATIENCE = 2.0
"""Seconds before a read shows its progress."""


@runtime_checkable
class NextTokenModel(Protocol):
    """A batch of prefixes in, log-probabilities of the next token out; any callable of this kind will do.

    Three attributes are optional. `eos`: the token ids that end a response. `partial`: True where rows may
    sum to less than one because -inf means "not known" and not "impossible"; such a model may also return
    wider rows as it meets new tokens. `rounding`: the total variation between two answers to one question
    that its rounding explains, 0.001 unless it says otherwise.
    """

    def __call__(self, prefixes: Sequence[Prefix], /) -> npt.NDArray[np.floating[Any]]:
        """Answer B prefixes, of any lengths, with natural logarithms of shape (B, V)."""


class ReadError(ValueError):
    """A model failed, or answered with something that is no distribution.

    Attributes
    ----------
    tree : TokenTree
        What was read before, a valid tree.
    """

    def __init__(self, message: str, tree: TokenTree) -> None:
        super().__init__(message)
        self.tree = tree


def read_model(
    model: NextTokenModel,
    depth: int,
    *,
    prompt: Sequence[int] = (),
    eos: Collection[int] | None = None,
    min_probability: float = 0.0,
    max_nodes: int = 10**6,
    top_k: int | None = None,
    batch_size: int = 64,
    renormalize: bool = False,
    progress: bool = True,
    keep_on_interrupt: bool | None = None,
) -> TokenTree:
    """Token tree of a language model's responses, the most probable prefixes first.

    Parameters
    ----------
    model : NextTokenModel
    depth : int
        Tokens to read at most; the tree is cut there.
    prompt : sequence of int
        Token ids that every response follows. The tree begins after them.
    eos : collection of int, optional
        Ids whose mass becomes end-of-sequence leaves. Default: the model's own `eos`, or none.
    min_probability : float
        Leave prefixes less probable than this unexpanded.
    max_nodes : int
        Largest number of nodes of the tree.
    top_k : int, optional
        Keep the k most probable tokens after each prefix, beside end-of-sequence; the mass of the others is
        one unexpanded leaf. Default: all.
    batch_size : int
        Prefixes in one call of the model. It does not change the tree.
    renormalize : bool
        Divide every row by its sum, whatever it is. Otherwise a row may be off by the rounding of its dtype
        only, which is divided out.
    progress : bool
        Show a progress bar on stderr once the read has taken two seconds.
    keep_on_interrupt : bool, optional
        What Ctrl-C does to the read: True warns and returns what it has, the rest unexpanded; False raises
        KeyboardInterrupt, as it does elsewhere. Default: True at a prompt or in a notebook, where a person
        reads the warning, and False in a program, which would go on with half a tree.

    Returns
    -------
    TokenTree
        Masses (float64) of total weight 1 over the alphabet of all ids but the trailing end-of-sequence ones.
        `TokenTree.unexpanded_weight` is the mass not looked at.

    Raises
    ------
    ReadError
        A ValueError. If the model fails, or answers with a wrong shape, a positive or NaN log-probability or
        a row that does not sum to one; if it answers the first question otherwise at the end than at the
        beginning (no other question is put twice); if an `eos` id is outside the vocabulary; or if one
        expansion alone exceeds `max_nodes`. Its `tree` holds what was read before.
    ValueError, TypeError
        If an argument is not as above.

    Notes
    -----
    Beside the model: O(V log V) and one heap operation an expansion, and memory for the nodes written down.
    Leaf masses are products of float64 probabilities, within about depth * V * 2^-53 of exact. Definition 3.1
    of the paper, with a model in the place of the data.

    Examples
    --------
    >>> def alternate(prefixes):  # never three times the same token
    ...     chances = {(0, 0): [0.0, 1.0], (1, 1): [1.0, 0.0]}
    ...     with np.errstate(divide="ignore"):
    ...         return np.log([chances.get(prefix[-2:], [0.5, 0.5]) for prefix in prefixes])
    >>> tree = read_model(alternate, depth=3)
    >>> tree.n_leaves, tree.weight("001"), tree.unexpanded_weight
    (6, 0.25, 0.0)
    """
    depth = _checks.integer("depth", depth, at_least=1)
    max_nodes = _checks.integer("max_nodes", max_nodes, at_least=2)
    width = None if top_k is None else _checks.integer("top_k", top_k, at_least=1)
    if not (isinstance(min_probability, int | float | np.number) and 0 <= min_probability <= 1):
        raise ValueError(f"min_probability = {min_probability!r}: must lie in [0, 1]")
    reading = _Reading(model, prompt, eos, batch_size, renormalize, depth)
    budget = _Budget(max_nodes)
    frontier = _Frontier()

    with reading.guard(budget.kept, keep_on_interrupt), _bar(progress) as show:
        while batch := frontier.pop(reading.batch_size, budget.floor):
            prefixes = [prefix for _, prefix in batch]
            answer = reading.ask(prefixes)
            listed = np.flatnonzero(answer.ids if width is None else _largest(answer.ids, width))
            tokens, masses, ends = reading.expand(
                prefixes, np.array([-key for key, _ in batch]), answer, listed
            )
            for (key, prefix), start, end in zip(batch, [0, *ends], ends, strict=False):
                first = start + int(np.searchsorted(tokens[start:end], 0))
                inner = len(prefix) + 1 < depth
                # A prefix that may be expanded later holds the place of its unexpanded leaf until then.
                budget.add(key, prefix, end - start - 1 + (end - first if inner else 0))
                if inner:
                    frontier.push(prefix, tokens[first:end], masses[first:end], min_probability)
            budget.cut()
            if not budget.expansions:
                needs = 1 + len(tokens) + (int(np.count_nonzero(tokens >= 0)) if depth > 1 else 0)
                raise _Refused(
                    f"max_nodes = {max_nodes}: the first expansion makes {needs}; raise it, or give top_k"
                )
            show(len(reading.answers))
        reading.check()
    return reading.tree(budget.kept())


def read_along(
    model: NextTokenModel,
    tree: TokenTree,
    *,
    prompt: Sequence[int] = (),
    eos: Collection[int] | None = None,
    batch_size: int = 64,
    renormalize: bool = False,
    progress: bool = True,
    keep_on_interrupt: bool | None = None,
) -> TokenTree:
    """Token tree of a language model's masses on the nodes of a data tree.

    The model is asked for the prefixes of the data only, and every mass on them is exact. So the
    cross-entropy of the data's leaves under this tree is the model's log-loss on the data, at any depth.

    Parameters
    ----------
    model, prompt, eos, batch_size, renormalize, progress, keep_on_interrupt
        As in `read_model`.
    tree : TokenTree
        The data, in token ids of the model.

    Returns
    -------
    TokenTree
        Over the alphabet of `tree`: its nodes, the end-of-sequence leaves that the model adds, and in one
        unexpanded leaf after each prefix all tokens that the data never has there, also those that are beyond
        this alphabet.

    Raises
    ------
    ReadError, ValueError, TypeError
        As in `read_model`; also if the data have an id that the model lacks, or one that ends a response.

    Notes
    -----
    One question for each prefix of the data that goes on: ``n_nodes - n_leaves`` of them.

    Examples
    --------
    >>> from tokentree import align, cross_entropy
    >>> data = TokenTree.from_sequences(["00", "01", "01", "11"], depth=2)
    >>> coin = lambda prefixes: np.log(np.full((len(prefixes), 2), 0.5))
    >>> p, q = align([data, read_along(coin, data)])
    >>> print(cross_entropy(p, q))
    2.0
    """
    reading = _Reading(model, prompt, eos, batch_size, renormalize, tree.depth)
    asked: set[Prefix] = set()
    with reading.guard(lambda: asked, keep_on_interrupt, tree.alphabet_size), _bar(progress) as show:
        masses = np.ones(1)
        for depth in range(tree.depth):
            below = tree.level(depth + 1)
            parents, symbols = tree.parents[below], tree.symbols[below]
            inner = np.flatnonzero(tree.symbols[tree.level(depth)] >= 0)
            paths = tree._paths(tree.offsets[depth] + inner)[:, :depth].tolist()
            found = np.empty(len(parents))
            for start in range(0, len(inner), reading.batch_size):
                nodes = inner[start : start + reading.batch_size]
                prefixes = [tuple(path) for path in paths[start : start + reading.batch_size]]
                children = slice(*np.searchsorted(parents, [nodes[0], nodes[-1] + 1]))
                rows = np.searchsorted(nodes, parents[children])
                ids = symbols[children].astype(np.int64)
                answer = reading.ask(prefixes)
                if (most := int(ids.max())) >= reading.width:
                    raise _Refused(f"tree holds {most}: the model's ids end at {reading.width - 1}")
                if final := set(reading.eos).intersection(ids.tolist()):
                    raise _Refused(
                        f"tree holds {min(final)}, which ends a response: leave it to the tree's own end"
                    )
                chances = np.where(ids < 0, answer.ends[rows], answer.ids[rows, ids])
                found[children] = masses[nodes][rows] * chances
                listed = (rows * reading.width + ids)[ids >= 0]
                reading.expand(prefixes, masses[nodes], answer, listed, np.unique(rows[ids < 0]))
                asked.update(prefixes)
                show(len(asked))
            masses = found
        reading.check()
    return reading.tree(asked, tree.alphabet_size)


class _Reading:
    """The answers of a model, checked, and the tree that they make."""

    def __init__(
        self,
        model: NextTokenModel,
        prompt: Sequence[int],
        eos: Collection[int] | None,
        batch_size: int,
        renormalize: bool,
        depth: int,
    ) -> None:
        if not callable(model):
            raise TypeError(f"model is a {type(model).__name__}: must be callable on a batch of prefixes")
        self.model = model
        self.prompt = tuple(_checks.integer(f"prompt[{i}]", token, 0) for i, token in enumerate(prompt))
        eos = getattr(model, "eos", ()) if eos is None else eos
        self.eos = sorted({_checks.integer("eos", token, 0) for token in eos})
        self.partial = bool(getattr(model, "partial", False))
        self.batch_size = _checks.integer("batch_size", batch_size, 1)
        self.renormalize = renormalize
        self.depth = depth
        self.width = 0
        self.same = float(getattr(model, "rounding", _SAME))
        self.first: Float[np.ndarray, "tokens"] | None = None
        self.room = np.empty((0, 0))
        self.flat: list[tuple[Int[np.ndarray, "_"], Float[np.ndarray, "_"]]] = []
        self.size = 0
        self.answers: dict[Prefix, tuple[int, int]] = {}
        """Where each prefix's children begin and end in `flat`."""

    def ask(self, prefixes: list[Prefix]) -> "_Answer":
        """Put one question to the model, and check the answer. The next answer overwrites its `ids`."""
        try:
            rows = _checks.array("its answer", self.model([self.prompt + prefix for prefix in prefixes]))
        except Exception as error:
            raise _Refused(f"the model failed: {type(error).__name__}: {error}") from error
        n = len(prefixes)
        if rows.dtype.kind != "f" or rows.ndim != 2 or rows.shape[0] != n or rows.shape[1] == 0:
            raise _Refused(
                f"the model answered {n} prefixes with shape {rows.shape} and dtype {rows.dtype}: "
                f"must be floats of shape ({n}, vocabulary)"
            )
        if self.width and (rows.shape[1] < self.width or (not self.partial and rows.shape[1] > self.width)):
            raise _Refused(f"the model answered with {rows.shape[1]} ids, and before with {self.width}")
        self.width = rows.shape[1]
        if not self.partial and self.eos and self.eos[-1] >= self.width:
            raise _Refused(f"eos = {self.eos[-1]}: the model's ids end at {self.width - 1}")
        if self.room.shape[0] < n or self.room.shape[1] != self.width:
            self.room = np.empty((max(n, min(self.batch_size, 2 * n)), self.width))
        known = self.room[:n]
        with np.errstate(over="ignore", invalid="ignore"):
            np.exp(rows, out=known, dtype=np.float64)
            sums = known.sum(axis=1)
        slack = _ROUNDING.get(rows.dtype.itemsize, _ROUNDING[8])
        low = -np.inf if self.partial else 1 - slack
        if self.renormalize or not ((sums >= low) & (sums <= 1 + slack)).all():
            self._refuse(rows, sums, low, slack, prefixes)
        # What a row lacks beyond rounding is not known; a row of nothing has nothing to divide.
        whole = (sums >= 1 - slack) | (self.renormalize & (sums > 0))
        known /= np.where(whole, sums, 1)[:, None]
        final = [token for token in self.eos if token < self.width]
        checked = _Answer(np.where(whole, 0, 1 - sums), known[:, final].sum(axis=1), known)
        known[:, final] = 0
        if self.first is None:
            self.first = checked.row(0)
        return checked

    def _refuse(
        self,
        rows: npt.NDArray[np.floating[Any]],
        sums: Float[np.ndarray, "batch"],
        low: float,
        slack: float,
        prefixes: list[Prefix],
    ) -> None:
        """Say what is wrong with the first row that is no distribution, if one is."""
        for bad, rule in ((np.isnan(rows), "is no number"), (rows > slack, "must not be above 0")):
            if bad.any():
                row, token = (int(i) for i in np.argwhere(bad)[0])
                value = rows[row, token].item()
                raise _Refused(
                    f"after prefix {prefixes[row]} the log-probability of {token} is {value}: {rule}"
                )
        if self.renormalize:
            bad = ~(sums > 0) & (not self.partial)
            rule = "there is nothing to renormalize"
        else:
            bad = ~((sums >= low) & (sums <= 1 + slack))
            rule = f"must be 1 within {slack:g}; renormalize=True divides by the sum"
        if bad.any():
            row = int(np.flatnonzero(bad)[0])
            raise _Refused(f"after prefix {prefixes[row]} the probabilities sum to {sums[row]}: {rule}")

    def expand(
        self,
        prefixes: list[Prefix],
        weights: Float[np.ndarray, "batch"],
        answer: "_Answer",
        listed: Int[np.ndarray, "listed"],
        ending: Int[np.ndarray, "ending"] | None = None,
    ) -> tuple[Int[np.ndarray, "n"], Float[np.ndarray, "n"], list[int]]:
        """Write down the listed ids, end-of-sequence, and all else as `REST`.

        `listed` are places in the answer's flattened ids, `ending` the rows that show their end-of-sequence
        even where it is impossible. Gives the token and mass of every child, and where each row's end.
        """
        ids = answer.ids.ravel()
        chances = ids[listed]
        # What is left of the answer is not listed; summed by itself it keeps its digits.
        ids[listed] = 0
        rest = answer.unknown + answer.ids.sum(axis=1)
        has_rest, has_end = rest > 0, answer.ends > 0
        if ending is not None:
            has_end[ending] = True
        rows, columns = np.divmod(listed, self.width)
        extra = np.cumsum(has_rest.astype(np.int64) + has_end)
        at = np.arange(len(listed)) + extra[rows]
        stops = extra + np.cumsum(np.bincount(rows, minlength=len(prefixes)))
        starts = np.append(0, stops[:-1])
        tokens, masses = np.empty(stops[-1], np.int32), np.empty(stops[-1])
        tokens[at], masses[at] = columns, chances * weights[rows]
        tokens[starts[has_rest]], masses[starts[has_rest]] = REST, (rest * weights)[has_rest]
        at = (starts + has_rest)[has_end]
        tokens[at], masses[at] = EOS, (answer.ends * weights)[has_end]
        ends = stops.tolist()
        for prefix, start, end in zip(prefixes, [0, *ends], ends, strict=False):
            self.answers[prefix] = (self.size + start, self.size + end)
        self.flat.append((tokens, masses))
        self.size += len(tokens)
        return tokens, masses, ends

    def check(self) -> None:
        """Ask the first question again; refuse a model that answers otherwise now."""
        now = self.ask([()]).row(0)
        if self.first is None:
            return
        # A partial model may have met new tokens since; none of them can be known to it here.
        apart = float(np.abs(now[: len(self.first)] - self.first).sum() / 2)
        if apart > self.same:
            raise _Refused(
                f"the model changed its answer: its first one and its last one to the same question are "
                f"{apart:.2g} apart in total variation; is dropout on?"
            )

    def tree(self, kept: Collection[Prefix], alphabet_size: int | None = None) -> TokenTree:
        """The tree of the expansions in `kept`; every other prefix gets its mass as an unexpanded leaf."""
        q = alphabet_size or max(1, self.width)
        while alphabet_size is None and q > 1 and q - 1 in self.eos:
            q -= 1
        symbols = np.concatenate([tokens for tokens, _ in self.flat]) if self.flat else np.zeros(0, np.int32)
        masses = np.concatenate([mass for _, mass in self.flat]) if self.flat else np.zeros(0)
        by_depth: dict[int, list[Prefix]] = {}
        for prefix in sorted(kept):
            by_depth.setdefault(len(prefix), []).append(prefix)
        token = np.min_scalar_type(-q)
        levels: list[Nodes] = [(np.zeros(1, token), np.zeros(1, np.int32), np.ones(1))]
        nodes: dict[Prefix, int] = {(): 0}
        for depth in range(self.depth):
            above, _, weights = levels[-1]
            inner = above >= 0
            if not inner.any():
                break
            prefixes = by_depth.get(depth, [])
            expanded = np.array([nodes[prefix] for prefix in prefixes], dtype=np.int64)
            spans = np.array([self.answers[prefix] for prefix in prefixes], dtype=np.int64).reshape(-1, 2)
            count = inner.astype(np.int64)
            count[expanded] = spans[:, 1] - spans[:, 0]
            first = np.cumsum(count) - count
            parents = np.repeat(np.arange(len(above), dtype=np.int32), count)
            tokens, found = np.full(len(parents), REST, token), weights[parents]
            # Entry i of a span goes to place i of its prefix's children.
            counts = count[expanded]
            place = np.arange(counts.sum())
            begin = np.cumsum(counts) - counts
            into = place + np.repeat(first[expanded] - begin, counts)
            out_of = place + np.repeat(spans[:, 0] - begin, counts)
            tokens[into], found[into] = symbols[out_of], masses[out_of]
            levels.append((tokens, parents, found))
            below = by_depth.get(depth + 1, [])
            keys = parents * np.int64(q - REST) + (tokens - np.int64(REST))
            wanted = [nodes[prefix[:-1]] * (q - REST) + prefix[-1] - REST for prefix in below]
            nodes = dict(zip(below, np.searchsorted(keys, wanted).tolist(), strict=True))
        return _join(q, levels)

    @contextmanager
    def guard(
        self,
        kept: Callable[[], Collection[Prefix]],
        keep_on_interrupt: bool | None,
        alphabet_size: int | None = None,
    ) -> Iterator[None]:
        """Keep what was read if the model fails, or the keyboard interrupts a read that a person watches."""
        try:
            yield
        except KeyboardInterrupt:
            # Python's prompt and IPython set it, for programs to tell.
            if not (hasattr(sys, "ps1") if keep_on_interrupt is None else keep_on_interrupt):
                raise
            warnings.warn(f"interrupted after {len(kept())} prefixes: the rest is unexpanded", stacklevel=4)
        except _Refused as error:
            raise ReadError(str(error), self.tree(kept(), alphabet_size)) from error.__cause__


class _Answer(NamedTuple):
    """Probabilities after a batch of prefixes."""

    unknown: Float[np.ndarray, "batch"]
    """What the model does not know."""
    ends: Float[np.ndarray, "batch"]
    """End-of-sequence."""
    ids: Float[np.ndarray, "batch vocabulary"]
    """Every id; zero where it ends the sequence."""

    def row(self, i: int) -> Float[np.ndarray, "tokens"]:
        """One row of all three, copied."""
        return np.concatenate([self.unknown[i : i + 1], self.ends[i : i + 1], self.ids[i]])


class _Refused(Exception):
    """Why a read cannot go on."""


class _Frontier:
    """Prefixes to expand, the most probable first, ties in lexicographic order.

    The children of a prefix wait in line: only the first of each family is in the heap, and only as many are
    put in order as come near it.
    """

    def __init__(self) -> None:
        self.heap: list[tuple[float, Prefix, int, int]] = [(-1.0, (), -1, 0)]
        self.families: list[tuple[Prefix, list[tuple[float, int]], Any]] = []

    def push(
        self, prefix: Prefix, tokens: Int[np.ndarray, "n"], masses: Float[np.ndarray, "n"], least: float
    ) -> None:
        """Add the children of `prefix` that weigh `least` or more, and more than nothing."""
        if not masses.min(initial=np.inf) >= max(least, _TINY):
            tokens, masses = tokens[may := masses >= max(least, _TINY)], masses[may]
        self.families.append((prefix, [], (tokens, masses)))
        self._next(len(self.families) - 1, 0)

    def _next(self, family: int, rank: int) -> None:
        prefix, line, (tokens, masses) = self.families[family]
        if rank == len(line):
            if not len(tokens):
                return
            n = len(tokens) - 4 * rank - _NEAR
            near = masses > np.partition(masses, n)[n] if n > 0 else np.ones(len(tokens), dtype=bool)
            if not near.any():
                near[:] = True
            order = np.flatnonzero(near)[np.argsort(-masses[near], kind="stable")]
            line.extend(zip((-masses[order]).tolist(), tokens[order].tolist(), strict=True))
            self.families[family] = (prefix, line, (tokens[~near], masses[~near]))
        key, token = line[rank]
        heapq.heappush(self.heap, (key, (*prefix, token), family, rank))

    def pop(self, n: int, floor: tuple[float, Prefix]) -> list[tuple[float, Prefix]]:
        """Take at most `n` prefixes that come before `floor`."""
        taken: list[tuple[float, Prefix]] = []
        while self.heap and len(taken) < n and self.heap[0][:2] < floor:
            key, prefix, family, rank = heapq.heappop(self.heap)
            taken.append((key, prefix))
            if family >= 0:
                self._next(family, rank + 1)
        return taken


class _Budget:
    """The most probable expansions that a number of nodes allows."""

    def __init__(self, max_nodes: int) -> None:
        self.max_nodes = max_nodes
        # The root and its unexpanded leaf.
        self.nodes = 2
        self.expansions: list[tuple[float, Prefix, int]] = []
        self.floor: tuple[float, Prefix] = (math.inf, ())
        """The first expansion that does not fit, in order of probability."""

    def add(self, key: float, prefix: Prefix, nodes: int) -> None:
        """Count an expansion and the nodes that it adds."""
        self.expansions.append((key, prefix, nodes))
        self.nodes += nodes

    def cut(self) -> None:
        """Drop the least probable expansions that do not fit."""
        if self.nodes > self.max_nodes:
            self.expansions.sort()
            nodes = 2 + np.cumsum([added for *_, added in self.expansions])
            fits = int(np.searchsorted(nodes, self.max_nodes, side="right"))
            self.floor = self.expansions[fits][:2]
            del self.expansions[fits:]
            self.nodes = int(nodes[fits - 1]) if fits else 2

    def kept(self) -> set[Prefix]:
        """The expansions that fit."""
        self.cut()
        return {prefix for _, prefix, _ in self.expansions}


def _largest(ids: Float[np.ndarray, "batch vocabulary"], k: int) -> Bool[np.ndarray, "batch vocabulary"]:
    """Mark the k most probable ids of each row, ties by the lower id."""
    spare = ids.shape[1] - k
    if spare <= 0:
        return ids > 0
    least = np.partition(ids, spare, axis=1)[:, spare, None]
    listed = ids >= np.maximum(least, _TINY)
    surplus = np.count_nonzero(listed, axis=1) - k
    for row in np.flatnonzero(surplus > 0):
        listed[row, np.flatnonzero(ids[row] == least[row])[-surplus[row] :]] = False
    return listed


@contextmanager
def _bar(show: bool) -> Iterator[Callable[[int], None]]:
    """A line on stderr that counts prefixes, once a read takes long."""
    begun, bar = time.monotonic(), None

    def update(read: int) -> None:
        nonlocal bar
        if bar is None and show and time.monotonic() - begun > _PATIENCE:
            from rich.console import Console
            from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

            columns = SpinnerColumn(), TextColumn("{task.completed} prefixes read"), TimeElapsedColumn()
            bar = Progress(*columns, console=Console(stderr=True), transient=True)
            bar.add_task("", total=None)
            bar.start()
        if bar is not None:
            bar.update(bar.task_ids[0], completed=read)

    try:
        yield update
    finally:
        if bar is not None:
            bar.stop()
