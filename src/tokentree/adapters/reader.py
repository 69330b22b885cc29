"""Reading language models into token trees, the most probable prefixes first.

No prefix is more probable than its own prefixes, so the most probable prefixes form a tree: of all trees with
as many expansions, the one with the most probable expansions.
"""

import reprlib
from collections.abc import Collection, Iterator, Sequence
from itertools import pairwise

import numpy as np
from jaxtyping import Bool, Int

from .._lib import checks, log_masses
from ..trees import TokenTree, checked_tree
from .asking import NextTokenModel, Prefix, _Along, _Reading, _Refused
from .frontier import Frontier, largest

_LONG = 16
"""Number of prefixes on one path from which a separate question pays."""


def read_model(
    model: NextTokenModel,
    depth: int,
    prompt: str | Sequence[int] = (),
    *,
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
        dtype; of a partial model, what it lists is then taken for all.
    progress : bool
        Show a progress bar on stderr once the read has taken two seconds.
    keep_on_interrupt : bool, optional
        Effect of Ctrl-C: True warns and returns what was read, the rest unexpanded; False raises
        KeyboardInterrupt. Default: True at a prompt or in a notebook, False in a program.

    Returns
    -------
    TokenTree
        Masses (float64) of total weight 1. The alphabet is ``model.alphabet_size`` or, without that or with
        wider rows, all ids of the rows except trailing end-of-sequence ids. `TokenTree.unexpanded_weight` is
        the mass not visited.

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
    if isinstance(depth, str):
        given = reprlib.repr(depth)
        raise TypeError(f"depth = {given} is text: write read_model(model, depth=3, prompt={given})")
    depth = checks.integer("depth", depth, at_least=1)
    max_nodes = checks.integer("max_nodes", max_nodes, at_least=2)
    width = None if top_k is None else checks.integer("top_k", top_k, at_least=1)
    if not (isinstance(min_probability, int | float | np.number) and 0 <= min_probability <= 1):
        raise ValueError(f"min_probability = {min_probability!r}: must lie in [0, 1]")
    reading = _Reading(model, prompt, eos, batch_size, renormalize, depth)
    frontier = Frontier(min_probability, max_nodes, depth)

    def steps() -> Iterator[None]:
        found = 1
        while batch := frontier.pop(reading.batch_size):
            above, prefixes, nodes = zip(*batch, strict=True)
            answer = reading.ask(prefixes)
            listed = np.flatnonzero(answer.ids if width is None else largest(answer.ids, width))
            numbers = found + np.arange(len(listed))
            found += len(listed)
            chances, sizes = reading.expand(np.array(nodes), answer, listed, numbers, listed[:0])
            rows, tokens = np.divmod(listed, reading.width)
            keys = -log_masses.product(-np.array(above)[rows], chances)
            spans = np.searchsorted(rows, np.arange(len(batch) + 1)).tolist()
            for i, size in enumerate(sizes.tolist()):
                here = slice(spans[i], spans[i + 1])
                frontier.add(batch[i], size, tokens[here], keys[here], numbers[here])
            frontier.cut()
            if not frontier.expanded:
                needs = 1 + int(sizes[0]) + (len(listed) if depth > 1 else 0)
                raise _Refused(
                    f"max_nodes = {max_nodes}: the first expansion makes {needs}; raise it, or give top_k"
                )
            yield

    return reading.run(steps(), keep_on_interrupt, progress, frontier.kept)


def read_along(
    model: NextTokenModel,
    tree: TokenTree,
    prompt: str | Sequence[int] = (),
    *,
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
    reading = _Reading(model, prompt, eos, batch_size, renormalize, tree.depth, tree.alphabet_size)

    def steps() -> Iterator[None]:
        symbols = tree.symbols.astype(np.int64)
        _, above = tree._depths_and_parents()
        # All nodes except the root are children of internal nodes, in the same order.
        counts = np.bincount(above[1:], minlength=tree.n_nodes)
        begin = 1 + np.cumsum(counts) - counts
        listed = np.ones(tree.n_nodes, bool)
        for nodes, prefixes in _questions(tree, listed, reading):
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
            # After rows without unknown mass, the chances of all tokens are known.
            known = (answer.unknown[rows] == 0) | np.isfinite(answer.rows[rows, np.maximum(ids, 0)])
            listed[children] = known = np.where(ids < 0, answer.has_end[rows], known)
            inner, ending = known & (ids >= 0), known & (ids < 0)
            at = rows[inner] * reading.width + ids[inner]
            reading.expand(nodes, answer, at, children[inner], rows[ending])
            yield

    return reading.run(steps(), keep_on_interrupt, progress)


def _questions(
    tree: TokenTree, listed: Bool[np.ndarray, "nodes"], reading: _Reading
) -> Iterator[tuple[Int[np.ndarray, "batch"], Sequence[Prefix] | _Along]]:
    """Internal nodes and their prefixes in batches, no batch before a parent's, and none that is not listed.

    The very first question is put alone, as it is when repeated.
    """
    depths, above = tree._depths_and_parents()
    inner, size = np.unique(above[1:]), reading.batch_size
    parents, symbols = above.tolist(), tree.symbols.tolist()
    # Paths that begin at the root or at a later child, and continue from child to first child.
    heir = np.full(tree.n_nodes, -1)
    heir[above[inner[:0:-1]]] = inner[:0:-1]
    heads = np.append(0, inner[1:][heir[above[inner[1:]]] != inner[1:]])
    if not hasattr(reading.model, "along") or len(inner) < _LONG * len(heads):
        for start, stop in pairwise([0, *range(1, len(inner), size), len(inner)]):
            nodes = inner[start:stop]
            listed[nodes] &= listed[above[nodes]]
            nodes = nodes[listed[nodes]]
            if nodes.size:
                paths = zip(tree._paths(nodes).tolist(), depths[nodes].tolist(), strict=True)
                yield nodes, [tuple(path[:depth]) for path, depth in paths]
        return
    for head in heads.tolist():
        line = [head]
        while line[-1]:
            line.append(parents[line[-1]])
        line.reverse()
        first = len(line) - 1
        while (node := int(heir[line[-1]])) >= 0:
            line.append(node)
        sequence, skip = reading.prompt + tuple(symbols[node] for node in line[1:]), len(reading.prompt)
        for start, stop in pairwise(sorted({first, *range(first or 1, len(line), size), len(line)})):
            if listed[line[: start + 1]].all():
                yield np.array(line[start:stop]), _Along(sequence, skip + start, skip + stop)
