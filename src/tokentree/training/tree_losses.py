"""Losses of a module that predicts the next symbol: on a counted tree, and on a batch of ids."""

from dataclasses import dataclass, field
from typing import Annotated, Any

import numpy as np
from jaxtyping import Float, Int

from .._lib import checks
from .._lib.checks import Numbers
from ..trees import TokenTree, checked_tree
from .modules import Loss, torch_for

_MAX_VOCABULARY = 2**31


@dataclass(frozen=True, eq=False)
class TreeLoss:
    """The loss of a module on a tree. Made by `tree_loss`."""

    width: int
    alphabet_size: int
    ends: bool
    """Whether responses end inside the tree."""
    prefixes: Int[np.ndarray, "prefixes width"] = field(repr=False)
    rows: Int[np.ndarray, "pairs"] = field(repr=False)
    symbols: Int[np.ndarray, "pairs"] = field(repr=False)
    shares: Float[np.ndarray, "pairs"] = field(repr=False)

    def __call__(self, module: Any) -> Any:
        """Nats per response."""
        torch = torch_for("tree_loss")
        device = next(module.parameters()).device
        prefixes, rows, symbols, shares = (
            torch.as_tensor(each, device=device)
            for each in (self.prefixes, self.rows, self.symbols, self.shares)
        )
        logits = _logits(module, prefixes)
        logits = logits[:, -1] if logits.ndim == 3 else logits
        least = self.alphabet_size + self.ends
        if logits.ndim != 2 or len(logits) != len(prefixes) or logits.shape[1] < least:
            rule = f"({len(prefixes)}, V) or ({len(prefixes)}, {self.width}, V), V >= {least}"
            raise ValueError(f"model gives logits of shape {tuple(logits.shape)}: must be {rule}")
        return -(shares * torch.log_softmax(logits, dim=-1)[rows, symbols]).sum()


@dataclass(frozen=True, eq=False)
class IdsLoss:
    """The loss of a module on a batch of ids. Made by `ids_loss`."""

    ids: Int[np.ndarray, "rows length"] = field(repr=False)

    def __call__(self, module: Any) -> Any:
        """Nats per row."""
        torch = torch_for("ids_loss")
        ids = torch.as_tensor(self.ids, device=next(module.parameters()).device)
        logits = _logits(module, ids)
        if logits.ndim != 3 or logits.shape[:2] != ids.shape or logits.shape[2] <= self.ids.max():
            rule = f"({len(self.ids)}, {self.ids.shape[1]}, V), V > {self.ids.max()}"
            raise ValueError(f"model gives logits of shape {tuple(logits.shape)}: must be {rule}")
        found = torch.log_softmax(logits[:, :-1], dim=-1).gather(2, ids[:, 1:, None])
        return -found.sum() / len(ids)


def tree_loss(tree: TokenTree, width: int | None = None) -> Loss:
    """The loss on a counted tree of a module that predicts the next symbol, in nats per response.

    The whole tree is one batch: every distinct prefix once, with the counts of what follows it. So nothing is
    sampled, and the loss is the cross-entropy of the tree's leaves under the module.

    Parameters
    ----------
    tree : TokenTree
        Counts or masses, none of them unexpanded, over the symbols 0 to q - 1.
    width : int, optional
        Length of the module's input rows, at least the tree's depth, which is the default. Use the same width
        for all trees of a mixture if the module's positions or tables depend on it.

    Returns
    -------
    callable
        From a module to a tensor of one number. The module is called with a LongTensor of shape (B, width): a
        prefix of l symbols is at the end of its row, after width - l copies of the symbol q, with which every
        row therefore begins. The module returns logits of shape (B, V), or (B, width, V), where the last
        position counts, or an object with such ``logits``. Output q is the end of a response: V >= q + 1 if
        responses end inside the tree, else V >= q.

    Raises
    ------
    TypeError
        If `tree` is not a TokenTree, or `width` is not an integer.
    ValueError
        If part of the tree is unexpanded, or `width` is below its depth; when called, if logits have the
        wrong shape.
    ImportError
        When called, if torch is not installed.

    Notes
    -----
    By the chain rule, -sum of p log q over leaves equals the sum over prefixes. For a loss per block of d
    symbols, prune the tree first. O(nodes depth) once, then a forward pass of B rows at each call.

    Examples
    --------
    >>> import torch
    >>> tree = TokenTree.from_sequences(["00", "01", "11", "11"], depth=2)
    >>> class Coin(torch.nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.logits = torch.nn.Parameter(torch.zeros(2, dtype=torch.float64))
    ...     def forward(self, prefixes):
    ...         return self.logits.expand(len(prefixes), 2)
    >>> loss = tree_loss(tree)
    >>> loss.prefixes
    array([[2, 2],
           [2, 0],
           [2, 1]])
    >>> print(round(loss(Coin()).item() / np.log(2), 12))
    2.0
    """
    checked_tree("tree", tree)
    unexpanded = tree.unexpanded_weight / tree.total_weight
    checks.whole("tree", unexpanded, "a loss needs all that follows a prefix")
    width = tree.depth if width is None else checks.integer("width", width, tree.depth)
    q, total = tree.alphabet_size, tree.total_weight
    parents = tree._depths_and_parents()[1][1:]
    # The nodes with children; every node but the root has one parent.
    inner, rows = np.unique(parents, return_inverse=True)
    symbols = tree.symbols[1:].astype(np.int64)
    return TreeLoss(
        width=width,
        alphabet_size=q,
        ends=bool((symbols < 0).any()),
        prefixes=_padded(tree, inner, width),
        rows=rows,
        symbols=np.where(symbols < 0, q, symbols),
        shares=tree.weights[1:] / total,
    )


def ids_loss(batch: Annotated[Numbers, "rows length"]) -> Loss:
    """The loss of a causal language model on a batch of ids, in nats per row.

    Parameters
    ----------
    batch : array_like of int, shape (B, L)
        Rows of equal length, L >= 2, of ids from 0 to below 2^31. The first id of a row is given; the others
        are predicted.

    Returns
    -------
    callable
        From a module to a tensor of one number, the sum of -log p over L - 1 ids, averaged over rows: divide
        sizes or rates by L - 1 for nats per token. The module is called with a LongTensor of shape (B, L) and
        returns logits of shape (B, L, V), or an object with such ``logits``, as causal language models of
        transformers do.

    Raises
    ------
    ValueError
        If the batch is ragged, empty, or of single ids, or an id is out of range; when called, if logits have
        the wrong shape.
    TypeError
        If ids are not integers.
    ImportError
        When called, if torch is not installed.

    Examples
    --------
    >>> import torch
    >>> model = torch.nn.Embedding(4, 4).double()
    >>> _ = torch.nn.init.zeros_(model.weight)
    >>> print(round(ids_loss([[0, 1, 2], [3, 3, 0]])(model).item() / np.log(2), 12))
    4.0
    """
    ids = checks.integer_array("batch", batch)
    if ids.ndim != 2 or len(ids) == 0 or ids.shape[1] < 2:
        raise ValueError(f"batch has shape {ids.shape}: must be (B, L), B >= 1 rows of L >= 2 ids")
    unfit = ~((ids >= 0) & (ids < _MAX_VOCABULARY))
    if unfit.any():
        checks.fail_at("batch", ids, unfit, "must be an id, from 0 to below 2**31")
    return IdsLoss(ids.astype(np.int64))


def _logits(module: Any, ids: Any) -> Any:
    answer = module(ids)
    return getattr(answer, "logits", answer)


def _padded(
    tree: TokenTree, nodes: Int[np.ndarray, "prefixes"], width: int
) -> Int[np.ndarray, "prefixes width"]:
    """Paths to inner nodes, each right-aligned in its row."""
    q = tree.alphabet_size
    depths = np.searchsorted(tree.offsets, nodes, side="right") - 1
    paths = tree._paths(nodes)
    padded = np.full((len(nodes), width), q, np.int64)
    for depth in np.unique(depths):
        here = depths == depth
        padded[here, width - depth :] = paths[here, :depth]
    return padded
