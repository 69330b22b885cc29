"""Language models into token trees.

A model is anything that turns prefixes into next-token distributions; the mass of a node is the product of
the model's probabilities along its path, or its logarithm where the product is below the range of float64
(`_masses`). A whole tree has V^d leaves, so a read looks at the most probable
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
from itertools import islice, pairwise
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float, Int

from .. import _checks, _masses
from .._bands import EOS, REST, Nodes
from ..tree import TokenTree, _join

Prefix = tuple[int, ...]

_ROUNDING = {2: 1e-2, 4: 1e-5, 8: 1e-9}
"""How far a row's sum may be from 1, by the bytes of its numbers: the rounding of a softmax of 10^5 terms."""

_SAME = 1e-3
"""Total variation between two answers to one question that rounding explains."""

_TINY = 5e-324
"""The least positive number."""

_LONG = 16
"""Prefixes on one path that are worth a question of their own."""

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

    So is a method, ``along(sequence, start, stop)``: the answers to ``sequence[:i]`` for i from `start` to
    ``stop - 1``, a row each, where stop is at most ``len(sequence) + 1``. A transformer has them in one
    forward pass. `read_along` then hands over a long document once and asks for its rows piece by piece,
    instead of handing over all its prefixes, which together are as long as the square of the document.
    """

    def __call__(self, prefixes: Sequence[Prefix], /) -> Float[np.ndarray, "batch vocabulary"]:
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
        a row that does not sum to one; if it answers the first question otherwise when asked again, at once
        and at the end (no other question is put twice); if an `eos` id is outside the vocabulary; or if one
        expansion alone exceeds `max_nodes`. Its `tree` holds what was read before.
    ValueError, TypeError
        If an argument is not as above.

    Notes
    -----
    Beside the model: O(V log V) and one heap operation an expansion, and memory for the nodes written down.
    Leaf masses are products of float64 probabilities, within about depth * V * 2^-53 of exact. Where one is
    below 2^-1022 its natural logarithm is kept instead, as exactly: see `TokenTree.log_weights`. An id of
    probability below 2^-1074 counts as impossible. Definition 3.1 of the paper, with a model in the place of
    the data.

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
    frontier = _Frontier(min_probability)

    with reading.guard(budget.kept, keep_on_interrupt), _bar(progress) as show:
        while batch := frontier.pop(reading.batch_size, budget.floor):
            prefixes = [prefix for _, prefix, _ in batch]
            answer = reading.ask(prefixes)
            listed = np.flatnonzero(answer.ids if width is None else _largest(answer.ids, width))
            where = [(up, prefix[-1] if prefix else 0, len(prefix)) for _, prefix, up in batch]
            numbers = range(reading.count, reading.count + len(batch))
            tokens, chances, ends = reading.expand(np.array(where, np.int64).T, answer, listed)
            weights = np.repeat([-key for key, _, _ in batch], np.diff(ends, prepend=0))
            keys = -_masses.product(weights, chances)
            for number, (key, prefix, _), start, end in zip(numbers, batch, [0, *ends], ends, strict=False):
                first = start + int(np.searchsorted(tokens[start:end], 0))
                inner = len(prefix) + 1 < depth
                # A prefix that may be expanded later holds the place of its unexpanded leaf until then.
                budget.add(key, prefix, end - start - 1 + (end - first if inner else 0), number)
                if inner:
                    frontier.push(number, prefix, tokens[first:end], keys[first:end])
            budget.cut()
            if not budget.expansions:
                needs = 1 + len(tokens) + (int(np.count_nonzero(tokens >= 0)) if depth > 1 else 0)
                raise _Refused(
                    f"max_nodes = {max_nodes}: the first expansion makes {needs}; raise it, or give top_k"
                )
            show(reading.count)
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
    One question for each prefix of the data that goes on, ``n_nodes - n_leaves`` of them; the first up to
    three times. Beside the model the work is linear in the nodes, but for one thing: the n prefixes of a
    document of n tokens have n^2 / 2 tokens, and handing them over copies these, a batch at a time. A model
    with the method ``along`` of `NextTokenModel` is handed the document once.

    Masses below 2^-1022 are kept as logarithms (`TokenTree.log_weights`), also where it is one probability
    that is as small. They are right within about n * V * 2^-53 nats at depth n, and so is a log-loss.

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
    depths, above = tree._depths_and_parents()
    symbols = tree.symbols.astype(np.int64)
    number = np.zeros(tree.n_nodes, np.int64)
    # All nodes but the root are the children of those that go on, in the same order.
    counts = np.bincount(above[1:], minlength=tree.n_nodes)
    begin = 1 + np.cumsum(counts) - counts
    guard = reading.guard(lambda: range(reading.count), keep_on_interrupt, tree.alphabet_size)
    with guard, _bar(progress) as show:
        for nodes, prefixes in _questions(tree, np.flatnonzero(counts), above, reading):
            answer = reading.ask(prefixes)
            rows = np.repeat(np.arange(len(nodes)), counts[nodes])
            first = np.cumsum(counts[nodes]) - counts[nodes]
            ids = symbols[np.arange(len(rows)) + (begin[nodes] - first)[rows]]
            if (most := int(ids.max())) >= reading.width:
                raise _Refused(f"tree holds {most}: the model's ids end at {reading.width - 1}")
            if final := set(reading.eos).intersection(ids.tolist()):
                raise _Refused(
                    f"tree holds {min(final)}, which ends a response: leave it to the tree's own end"
                )
            number[nodes] = np.arange(reading.count, reading.count + len(nodes))
            listed = (rows * reading.width + ids)[ids >= 0]
            where = np.stack([number[above[nodes]], symbols[nodes], depths[nodes]])
            reading.expand(where, answer, listed, np.unique(rows[ids < 0]))
            show(reading.count)
        reading.check()
    return reading.tree(range(reading.count), tree.alphabet_size)


def _questions(
    tree: TokenTree, inner: Int[np.ndarray, "inner"], above: Int[np.ndarray, "nodes"], reading: "_Reading"
) -> Iterator[tuple[Int[np.ndarray, "batch"], Sequence[Prefix]]]:
    """The nodes that go on and their prefixes, some at a time, none before its parent."""
    size = reading.batch_size
    # Paths that begin at the root or beside a path, and go on from child to first child.
    heir = np.full(tree.n_nodes, -1)
    heir[above[inner[:0:-1]]] = inner[:0:-1]
    heads = np.append(0, inner[1:][heir[above[inner[1:]]] != inner[1:]])
    if not hasattr(reading.model, "along") or len(inner) < _LONG * len(heads):
        prefixes = _prefixes(tree)
        for start, stop in _batches(0, len(inner), size):
            yield inner[start:stop], list(islice(prefixes, stop - start))
        return
    heirs, parents, symbols = heir.tolist(), above.tolist(), tree.symbols.tolist()
    skip = len(reading.prompt)
    for head in heads.tolist():
        path = [head]
        while path[-1]:
            path.append(parents[path[-1]])
        path.reverse()
        first = len(path) - 1
        while (node := heirs[path[-1]]) >= 0:
            path.append(node)
        sequence = reading.prompt + tuple(symbols[node] for node in path[1:])
        for start, stop in _batches(first, len(path), size):
            yield np.array(path[start:stop]), _Positions(sequence, skip + start, skip + stop, skip)


def _batches(start: int, stop: int, size: int) -> Iterator[tuple[int, int]]:
    """Spans of at most `size`. The first question of all is put alone, as it is when it is put again."""
    if not start:
        yield 0, 1
        start = 1
    for i in range(start, stop, size):
        yield i, min(i + size, stop)


def _prefixes(tree: TokenTree) -> Iterator[Prefix]:
    """Prefixes of the nodes that go on, level by level."""
    above: list[Prefix] = []
    for depth in range(tree.depth):
        here = tree.level(depth)
        symbols = tree.symbols[here].tolist()
        if depth:
            parents = tree.parents[here].tolist()
            above = [(*above[up], token) for up, token in zip(parents, symbols, strict=True)]
        else:
            above = [()]
        yield from (prefix for prefix, token in zip(above, symbols, strict=True) if token >= 0)


class _Positions(Sequence[Prefix]):
    """The prefixes of a sequence from one length to another, made when they are looked at."""

    def __init__(self, sequence: Prefix, start: int, stop: int, skip: int) -> None:
        self.sequence, self.start, self.stop = sequence, start, stop
        self.skip = skip
        """Length of the prompt, which the sequence begins with and the prefixes do not."""

    def __len__(self) -> int:
        return self.stop - self.start

    def __getitem__(self, i: Any) -> Any:
        return self.sequence[self.skip : range(self.start, self.stop)[i]]


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
        self.sure = True
        self.room = np.empty((0, 0))
        self.count = 0
        """Expansions so far; each has a number, in the order in which they were asked for."""
        self.where: list[Int[np.ndarray, "3 _"]] = []
        """Of every expansion: the number of the one above it, its last token, and its depth."""
        self.children: list[tuple[Int[np.ndarray, "_"], Float[np.ndarray, "_"], Int[np.ndarray, "_"]]] = []
        """Their children, one expansion's after the other's: tokens, probabilities, and how many."""

    def _call(self, prefixes: Sequence[Prefix]) -> Any:
        if isinstance(prefixes, _Positions):
            along: Any = getattr(self.model, "along")  # noqa: B009 (the protocol need not have it)
            return along(prefixes.sequence, prefixes.start, prefixes.stop)
        return self.model([self.prompt + prefix for prefix in prefixes])

    def ask(self, prefixes: Sequence[Prefix]) -> "_Answer":
        """The checked answer to one question. The next answer overwrites its `ids`."""
        answer = self._put(prefixes)
        if self.first is None:
            self.first = answer.row(0)
            # Better known now than after the whole read.
            answer = self._put(prefixes)
            self._compare(answer)
        self._doubt(answer)
        return answer

    def _put(self, prefixes: Sequence[Prefix]) -> "_Answer":
        """Put one question to the model, and check the answer."""
        try:
            rows = _checks.array("its answer", self._call(prefixes))
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
        divisors = np.where(whole, sums, 1)
        known /= divisors[:, None]
        final = [token for token in self.eos if token < self.width]
        ends = known[:, final].sum(axis=1)
        checked = _Answer(np.where(whole, 0, 1 - sums), ends, known, rows, divisors)
        known[:, final] = 0
        return checked

    def _refuse(
        self,
        rows: Float[np.ndarray, "batch vocabulary"],
        sums: Float[np.ndarray, "batch"],
        low: float,
        slack: float,
        prefixes: Sequence[Prefix],
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
        where: Int[np.ndarray, "3 batch"],
        answer: "_Answer",
        listed: Int[np.ndarray, "listed"],
        ending: Int[np.ndarray, "ending"] | None = None,
    ) -> tuple[Int[np.ndarray, "n"], Float[np.ndarray, "n"], list[int]]:
        """Write down the listed ids, end-of-sequence, and all else as `REST`.

        `where` is as in `self.where`, `listed` are places in the answer's flattened ids, `ending` the rows
        that show their end-of-sequence even where it is impossible. Gives the token and probability of every
        child, and where each row's end.
        """
        ids = answer.ids.ravel()
        rows, columns = np.divmod(listed, self.width)
        chances, closing = ids[listed], answer.ends
        # What is left of the answer is not listed; summed by itself it keeps its digits.
        ids[listed] = 0
        rest = answer.unknown + answer.ids.sum(axis=1)
        has_rest, has_end = rest > 0, closing > 0
        if ending is not None:
            has_end[ending] = True
        if chances.min(initial=1) < _masses.LEAST:
            faint = np.flatnonzero(chances < _masses.LEAST)
            chances[faint] = _masses.of_logs(answer.logs(rows[faint], columns[faint]))
        if self.eos and (faint := np.flatnonzero(has_end & (closing < _masses.LEAST))).size:
            final = [token for token in self.eos if token < self.width]
            closing[faint] = _masses.of_logs(np.logaddexp.reduce(answer.logs(faint[:, None], final), axis=1))
        extra = np.cumsum(has_rest.astype(np.int64) + has_end)
        at = np.arange(len(listed)) + extra[rows]
        stops = extra + np.cumsum(np.bincount(rows, minlength=len(rest)))
        starts = np.append(0, stops[:-1])
        tokens, found = np.empty(stops[-1], np.int32), np.empty(stops[-1])
        tokens[at], found[at] = columns, chances
        tokens[starts[has_rest]], found[starts[has_rest]] = REST, rest[has_rest]
        at = (starts + has_rest)[has_end]
        tokens[at], found[at] = EOS, closing[has_end]
        self.where.append(where)
        self.children.append((tokens, found, stops - starts))
        self.count += len(stops)
        return tokens, found, stops.tolist()

    def check(self) -> None:
        """Ask the first question once more at the end, if there were others."""
        if self.count > 1:
            self._compare(self._put([()]))

    def _compare(self, answer: "_Answer") -> None:
        """Refuse a model that answers the first question otherwise now."""
        if self.first is None:
            return
        # A partial model may have met new tokens since; none of them can be known to it here.
        apart = float(np.abs(answer.row(0)[: len(self.first)] - self.first).sum() / 2)
        if apart > self.same:
            raise _Refused(
                f"the model changed its answer: two of its answers to the first question are {apart:.2g} "
                f"apart in total variation, and rounding explains {self.same:g}; is dropout on? If it rounds "
                "like that, say so in its attribute `rounding`"
            )

    def _doubt(self, answer: "_Answer") -> None:
        """Warn of a server that is certain of every token: it may report what it has drawn."""
        # What renormalising makes certain says nothing, and neither does a model that gives whole rows.
        self.sure &= self.partial and not self.renormalize
        if not self.sure:
            return
        self.sure = bool((np.maximum(answer.ends, answer.ids.max(axis=1)) == 1).all())
        # The first may well be so, and what follows it is on one path.
        if self.sure and self.count:
            self.sure = False
            warnings.warn(
                "the model is certain of the first token and of the next: so answers a server that reports "
                "probabilities after it has drawn at temperature 0, and the tree is a single path. Ask it at "
                "temperature 1, for probabilities before sampling. If the model is as certain as that, "
                "warnings.filterwarnings('ignore', 'the model is certain') silences this",
                stacklevel=4,
            )

    def tree(self, kept: Collection[int], alphabet_size: int | None = None) -> TokenTree:
        """The tree of the expansions in `kept`; every other prefix gets its mass as an unexpanded leaf."""
        q = alphabet_size or max(1, self.width)
        while alphabet_size is None and q > 1 and q - 1 in self.eos:
            q -= 1
        token = np.min_scalar_type(-q)
        levels: list[Nodes] = [(np.zeros(1, token), np.zeros(1, np.int32), np.ones(1))]
        if not self.count:
            return _join(q, [*levels, (np.full(1, REST, token), np.zeros(1, np.int32), np.ones(1))])
        # Masses are numbers times powers of 2 until all are there.
        scales = [np.zeros(1)]
        up, last, depths = np.concatenate(self.where, axis=1)
        symbols, chances, sizes = (np.concatenate(column) for column in zip(*self.children, strict=True))
        chances, powers = _masses.scaled(chances)
        begin = np.cumsum(sizes) - sizes
        expanded = np.fromiter(kept, np.int64, len(kept))
        expanded = expanded[np.argsort(depths[expanded], kind="stable")]
        ends = np.searchsorted(depths[expanded], np.arange(self.depth + 1), side="right").tolist()
        # The place of each expansion in its level.
        node = np.zeros(self.count, np.int64)
        here = expanded[: ends[0]]
        for end, next_end in pairwise(ends):
            above, _, weights = levels[-1]
            inner = above >= 0
            if not inner.any():
                break
            count = inner.astype(np.int64)
            count[node[here]] = sizes[here]
            first = np.cumsum(count) - count
            parents = np.repeat(np.arange(len(above), dtype=np.int32), count)
            tokens, found = np.full(len(parents), REST, token), weights[parents]
            scale = scales[-1][parents]
            # Child i of an expansion goes to place i of its node's children.
            counts = sizes[here]
            place = np.arange(counts.sum())
            before = np.cumsum(counts) - counts
            into = place + np.repeat(first[node[here]] - before, counts)
            out_of = place + np.repeat(begin[here] - before, counts)
            tokens[into] = symbols[out_of]
            found[into] *= chances[out_of]
            scale[into] += powers[out_of]
            found, shift = _masses.scaled(found)
            levels.append((tokens, parents, found))
            scales.append(scale + shift)
            here = expanded[end:next_end]
            keys = parents * np.int64(q - REST) + (tokens - np.int64(REST))
            node[here] = np.searchsorted(keys, node[up[here]] * (q - REST) + last[here] - REST)
        offsets = np.cumsum([0, *map(len, scales)])
        tokens, parents, numbers = (np.concatenate(column) for column in zip(*levels, strict=True))
        return TokenTree(q, offsets, (tokens, parents, _masses.of_scaled(numbers, np.concatenate(scales))))

    @contextmanager
    def guard(
        self,
        kept: Callable[[], Collection[int]],
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
    rows: Float[np.ndarray, "batch vocabulary"]
    """The logarithms that the model gave, end-of-sequence included; valid until the next question."""
    divisors: Float[np.ndarray, "batch"]
    """What their exponentials were divided by."""

    def logs(
        self, rows: Int[np.ndarray, "*n"], columns: Int[np.ndarray, "*n"] | list[int]
    ) -> Float[np.ndarray, "..."]:
        """Logarithms of probabilities that are too small for float64."""
        found: Float[np.ndarray, "..."] = self.rows[rows, columns] - np.log(self.divisors[rows])
        return found

    def row(self, i: int) -> Float[np.ndarray, "tokens"]:
        """One row of all three, copied."""
        return np.concatenate([self.unknown[i : i + 1], self.ends[i : i + 1], self.ids[i]])


class _Refused(Exception):
    """Why a read cannot go on."""


class _Frontier:
    """Prefixes to expand, the most probable first, ties in lexicographic order.

    A prefix's key is minus its mass; below the range of float64 minus its logarithm, which is positive, so
    that the order is that of the masses all the way down. The children of a prefix wait in line: only the
    first of each family is in the heap, and only as many are put in order as come near it.
    """

    def __init__(self, least: float) -> None:
        """Prefixes that weigh less than `least`, or nothing, are left out."""
        self.last = -least if least >= _masses.LEAST else -math.log(least) if least > 0 else math.inf
        self.heap: list[tuple[float, Prefix, int, int]] = [(-1.0, (), -1, 0)]
        self.families: dict[int, tuple[Prefix, list[tuple[float, int]], Any]] = {}

    def push(
        self, number: int, prefix: Prefix, tokens: Int[np.ndarray, "n"], keys: Float[np.ndarray, "n"]
    ) -> None:
        """Add the children of `prefix`, the expansion of that number."""
        may = (keys <= self.last) & (keys != 0)
        self.families[number] = (prefix, [], (tokens[may], keys[may]))
        self._next(number, 0)

    def _next(self, family: int, rank: int) -> None:
        prefix, line, (tokens, keys) = self.families[family]
        if rank == len(line):
            if not len(tokens):
                del self.families[family]
                return
            n = 4 * rank + _NEAR - 1
            near = keys < np.partition(keys, n)[n] if n < len(keys) - 1 else np.ones(len(tokens), dtype=bool)
            if not near.any():
                near[:] = True
            order = np.flatnonzero(near)[np.argsort(keys[near], kind="stable")]
            line.extend(zip(keys[order].tolist(), tokens[order].tolist(), strict=True))
            self.families[family] = (prefix, line, (tokens[~near], keys[~near]))
        key, token = line[rank]
        heapq.heappush(self.heap, (key, (*prefix, token), family, rank))

    def pop(self, n: int, floor: tuple[float, Prefix]) -> list[tuple[float, Prefix, int]]:
        """Take at most `n` prefixes that come before `floor`, with the expansion above each."""
        taken: list[tuple[float, Prefix, int]] = []
        while self.heap and len(taken) < n and self.heap[0][:2] < floor:
            key, prefix, family, rank = heapq.heappop(self.heap)
            taken.append((key, prefix, family))
            if family >= 0:
                self._next(family, rank + 1)
        return taken


class _Budget:
    """The most probable expansions that a number of nodes allows."""

    def __init__(self, max_nodes: int) -> None:
        self.max_nodes = max_nodes
        # The root and its unexpanded leaf.
        self.nodes = 2
        self.expansions: list[tuple[float, Prefix, int, int]] = []
        self.floor: tuple[float, Prefix] = (math.inf, ())
        """The first expansion that does not fit, in order of probability."""

    def add(self, key: float, prefix: Prefix, nodes: int, number: int) -> None:
        """Count an expansion and the nodes that it adds."""
        self.expansions.append((key, prefix, nodes, number))
        self.nodes += nodes

    def cut(self) -> None:
        """Drop the least probable expansions that do not fit."""
        if self.nodes > self.max_nodes:
            self.expansions.sort()
            nodes = 2 + np.cumsum([added for *_, added, _ in self.expansions])
            fits = int(np.searchsorted(nodes, self.max_nodes, side="right"))
            self.floor = self.expansions[fits][:2]
            del self.expansions[fits:]
            self.nodes = int(nodes[fits - 1]) if fits else 2

    def kept(self) -> list[int]:
        """Numbers of the expansions that fit."""
        self.cut()
        return [number for *_, number in self.expansions]


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
