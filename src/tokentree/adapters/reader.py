"""Reading language models into token trees.

The mass of a node is the product of the model's probabilities along its path; a mass below the range of
float64 is kept as its logarithm (`log_masses`). A complete tree has V^d leaves, so a read visits the most
probable prefixes first and stops at a budget. What it did not visit stays in the tree, as unexpanded leaves.

The search is best first. No prefix is more probable than its own prefixes, so the most probable prefixes form
a tree, and of all trees with as many expansions this one has the most probable expansions. It need not leave
the least mass unexpanded: that mass falls only when a prefix one level above the last is expanded, or when
responses end.
"""

from collections.abc import Collection, Iterator, Sequence
from itertools import islice

import numpy as np
from jaxtyping import Int

from .._lib import checks, log_masses
from .._lib.progress import counter
from ..trees import TokenTree, checked_tree
from .asking import NextTokenModel, Prefix, _Positions, _Reading, _Refused
from .frontier import _Budget, _Frontier, _largest

_LONG = 16
"""Number of prefixes on one path from which a separate question pays."""


def read_model(
    model: NextTokenModel,
    depth: int,
    *,
    prompt: str | Sequence[int] = (),
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
        Largest number of tokens read; the tree is cut there.
    prompt : str or sequence of int
        Context of every response, not part of the tree: token ids, or text if there is a tokenizer.
    eos : collection of int, optional
        Ids whose mass becomes end-of-sequence leaves. Default: the model's own `eos`, or none.
    min_probability : float
        Leave prefixes less probable than this unexpanded.
    max_nodes : int
        Largest number of nodes of the tree.
    top_k : int, optional
        Keep the k most probable tokens after each prefix, in addition to end-of-sequence; the mass of the
        others is one unexpanded leaf. Default: all.
    batch_size : int
        Number of prefixes per call of the model. It does not change the tree.
    renormalize : bool
        Divide every row by its sum, which otherwise may differ from 1 only by the rounding of the row's
        dtype.
    progress : bool
        Show a progress bar on stderr once the read has taken two seconds.
    keep_on_interrupt : bool, optional
        Effect of Ctrl-C: True warns and returns what was read, the rest unexpanded; False raises
        KeyboardInterrupt. Default: True at a prompt or in a notebook, False in a program.

    Returns
    -------
    TokenTree
        Masses (float64) of total weight 1 over the alphabet of all ids except trailing end-of-sequence ids.
        `TokenTree.unexpanded_weight` is the mass not visited.

    Raises
    ------
    ReadError
        A ValueError with attribute `tree`, what was read before. If the model fails, or answers with a wrong
        shape, a positive or NaN log-probability or a row that does not sum to one; if its answer to the first
        question, the only one repeated, changes at once or by the end; if an `eos` id is outside the
        vocabulary; if one expansion alone exceeds `max_nodes`.
    ValueError, TypeError
        If an argument is invalid.

    Notes
    -----
    Cost apart from the model: O(V log V) and one heap operation per expansion, and memory for the nodes of
    the tree. Leaf masses have a relative error of about depth * V * 2^-53 at most; below 2^-1022 this holds
    for their logarithms (`TokenTree.log_weights`). An id of probability below 2^-1074 counts as impossible.
    Definition 3.1 of the paper, with a model in place of the data.

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
    depth = checks.integer("depth", depth, at_least=1)
    max_nodes = checks.integer("max_nodes", max_nodes, at_least=2)
    width = None if top_k is None else checks.integer("top_k", top_k, at_least=1)
    if not (isinstance(min_probability, int | float | np.number) and 0 <= min_probability <= 1):
        raise ValueError(f"min_probability = {min_probability!r}: must lie in [0, 1]")
    reading = _Reading(model, prompt, eos, batch_size, renormalize, depth)
    budget = _Budget(max_nodes)
    frontier = _Frontier(min_probability)

    with reading.guard(budget.kept, keep_on_interrupt), counter(progress) as show:
        while batch := frontier.pop(reading.batch_size, budget.floor):
            prefixes = [prefix for _, prefix, _ in batch]
            answer = reading.ask(prefixes)
            listed = np.flatnonzero(answer.ids if width is None else _largest(answer.ids, width))
            where = [(up, prefix[-1] if prefix else 0, len(prefix)) for _, prefix, up in batch]
            numbers = range(reading.count, reading.count + len(batch))
            tokens, chances, ends = reading.expand(np.array(where, np.int64).T, answer, listed)
            weights = np.repeat([-key for key, _, _ in batch], np.diff(ends, prepend=0))
            keys = -log_masses.product(weights, chances)
            for number, (key, prefix, _), start, end in zip(numbers, batch, [0, *ends], ends, strict=False):
                first = start + int(np.searchsorted(tokens[start:end], 0))
                inner = len(prefix) + 1 < depth
                # A prefix that may be expanded later reserves the place of its unexpanded leaf until then.
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
    prompt: str | Sequence[int] = (),
    eos: Collection[int] | None = None,
    batch_size: int = 64,
    renormalize: bool = False,
    progress: bool = True,
    keep_on_interrupt: bool | None = None,
) -> TokenTree:
    """Token tree of a language model's masses on the nodes of a data tree.

    The model is queried only at the prefixes of the data, and every mass on them is exact. So the
    cross-entropy of the data's leaves under this tree is the model's log-loss on the data, at any depth.
    Tokens of the data that a partial model does not list are unexpanded, with all that follows them: their
    mass is unknown.

    Parameters
    ----------
    model : NextTokenModel
        As in `read_model`.
    tree : TokenTree
        The data, in token ids of the model.
    prompt, eos, batch_size, renormalize, progress, keep_on_interrupt
        As in `read_model`.

    Returns
    -------
    TokenTree
        A tree over the alphabet of `tree`: its nodes, as far as the model lists them, the end-of-sequence
        leaves that the model adds, and after each prefix one unexpanded leaf for all other tokens, including
        those beyond this alphabet.

    Raises
    ------
    ReadError, ValueError, TypeError
        As in `read_model`; also if the data contain an id that the model lacks, or one that ends a response.

    Notes
    -----
    The model gets one question per internal node of `tree`, ``n_nodes - n_leaves`` in all; the first up to
    three times. Apart from the model the work is linear in the nodes, with one exception: the prefixes of a
    document of n tokens have n^2 / 2 tokens, unless the model has the method ``along`` of `NextTokenModel`.
    Logarithms of masses, and so a log-loss, are correct to about n * V * 2^-53 nats at depth n.

    Examples
    --------
    >>> from tokentree import model_rates
    >>> data = TokenTree.from_sequences(["00", "01", "01", "11"], depth=2)
    >>> coin = lambda prefixes: np.log(np.full((len(prefixes), 2), 0.5))
    >>> print(model_rates(read_along(coin, data), data).log_loss)
    [1. 2.]
    """
    tree = checked_tree("tree", tree)
    reading = _Reading(model, prompt, eos, batch_size, renormalize, tree.depth)
    depths, above = tree._depths_and_parents()
    symbols = tree.symbols.astype(np.int64)
    number = np.zeros(tree.n_nodes, np.int64)
    # All nodes except the root are children of internal nodes, in the same order.
    counts = np.bincount(above[1:], minlength=tree.n_nodes)
    begin = 1 + np.cumsum(counts) - counts
    present, asked = np.ones((2, tree.n_nodes), bool)
    asked[:] = False

    def kept() -> list[int]:
        """Numbers of the expansions that the model lists; a batch may have a node and what is below it."""
        for depth in range(1, tree.depth):
            here = tree.level(depth)
            present[here] &= present[above[here]]
        found: list[int] = number[present & asked].tolist()
        return found

    guard = reading.guard(kept, keep_on_interrupt, tree.alphabet_size)
    with guard, counter(progress) as show:
        for nodes, prefixes in _questions(tree, np.flatnonzero(counts), above, reading):
            present[nodes] &= present[above[nodes]]
            if not present[nodes].all():
                prefixes = [prefixes[i] for i in np.flatnonzero(present[nodes]).tolist()]
                nodes = nodes[present[nodes]]
                if not prefixes:
                    continue
            answer = reading.ask(prefixes)
            rows = np.repeat(np.arange(len(nodes)), counts[nodes])
            first = np.cumsum(counts[nodes]) - counts[nodes]
            children = np.arange(len(rows)) + (begin[nodes] - first)[rows]
            ids = symbols[children]
            if (most := int(ids.max())) >= reading.width:
                raise _Refused(f"tree holds {most}: the model's ids end at {reading.width - 1}")
            if final := set(reading.eos).intersection(ids.tolist()):
                raise _Refused(
                    f"tree holds {min(final)}, which ends a response: leave it to the tree's own end"
                )
            number[nodes], asked[nodes] = np.arange(reading.count, reading.count + len(nodes)), True
            known = answer.closed[rows]
            if reading.partial and not reading.renormalize:
                known = np.where(ids < 0, known, np.isfinite(answer.rows[rows, ids]))
            present[children] = known
            rows, ids = rows[known], ids[known]
            listed = (rows * reading.width + ids)[ids >= 0]
            where = np.stack([number[above[nodes]], symbols[nodes], depths[nodes]])
            reading.expand(where, answer, listed, np.unique(rows[ids < 0]))
            show(reading.count)
        reading.check()
    return reading.tree(kept(), tree.alphabet_size)


def _questions(
    tree: TokenTree, inner: Int[np.ndarray, "inner"], above: Int[np.ndarray, "nodes"], reading: "_Reading"
) -> Iterator[tuple[Int[np.ndarray, "batch"], Sequence[Prefix]]]:
    """Internal nodes and their prefixes in batches, none before its parent."""
    size = reading.batch_size
    # Paths that begin at the root or at a later child, and continue from child to first child.
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
    """Spans of at most `size`. The very first question is put alone, as it is when repeated."""
    if not start:
        yield 0, 1
        start = 1
    for i in range(start, stop, size):
        yield i, min(i + size, stop)


def _prefixes(tree: TokenTree) -> Iterator[Prefix]:
    """Prefixes of the internal nodes, level by level."""
    above: list[Prefix] = []
    for depth in range(tree.depth):
        here = tree.level(depth)
        symbols, parents = tree.symbols[here].tolist(), tree.parents[here].tolist()
        nodes = zip(parents, symbols, strict=True)
        above = [(*above[up], token) for up, token in nodes] if depth else [()]
        yield from (prefix for prefix, token in zip(above, symbols, strict=True) if token >= 0)
