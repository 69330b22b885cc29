"""The cost of a dataset under a model: log-loss, and the codes that come close to it.

A model's log-loss is the ideal code length of Section 3.1. By the chain rule the loss on the first d tokens
of every response is the cross-entropy of the data's leaves under the model's tree, both pruned to depth d.
The rates of real codes are measured here for comparison.
"""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
import scipy
from jaxtyping import Float, Int

from .._lib import checks, log_masses
from .._lib.checks import Numbers
from .._lib.display import percent
from .._lib.results import Result, span
from ..codes import arithmetic_encode, huffman_lengths
from ..trees import Joined, TokenTree, by_depth, checked_tree, node_name, refuse_open

_CODES = 1000
"""Number of depths up to which Huffman codes are built by default."""


@dataclass(frozen=True, eq=False, repr=False)
class ModelRates(Result):
    """Rates of one dataset under one model, in bits per block unless another base is given.

    Attributes
    ----------
    depths : int array, shape (D,)
        Tokens per block, d.
    tokens : float array, shape (D,)
        Mean number of tokens per block, including end-of-sequence: divide by it for rates per token.
    entropy : float array, shape (D,)
        Entropy of the data's own pruned tree: the rate of the best model of depth d.
    log_loss : float array, shape (D,)
        Cross-entropy of the data's leaves under the model's; inf if the model gives one of them no mass, NaN
        if it is unexpanded on one of them.
    log_loss_lower : float array, shape (D,)
        The log-loss where it is known; elsewhere its lower bound over all completions of the model's tree.
    unlisted : float array, shape (D,)
        Share of the data on which the model is unexpanded.
    huffman : float array, shape (D,)
        Mean codeword length of the Huffman code built on the model's leaves; NaN where log_loss is not finite
        or no code was built (see `model_rates`).
    arithmetic : float array, shape (D,)
        Length of all blocks under arithmetic coding with the model's leaves, divided by their number; NaN
        where log_loss is not finite or it was not requested.

    Notes
    -----
    `to_frame` has one row per depth: index depths; the other fields are its columns.

    Examples
    --------
    >>> data = TokenTree.from_leaves({"00": 6, "01": 1, "11": 1}, depth=2)
    >>> model_rates(data, data).to_frame()["huffman"].tolist()
    [1.0, 1.25]
    """

    depths: Int[np.ndarray, "depths"]
    tokens: Float[np.ndarray, "depths"]
    entropy: Float[np.ndarray, "depths"]
    log_loss: Float[np.ndarray, "depths"]
    log_loss_lower: Float[np.ndarray, "depths"]
    unlisted: Float[np.ndarray, "depths"]
    huffman: Float[np.ndarray, "depths"]
    arithmetic: Float[np.ndarray, "depths"]

    def __repr__(self) -> str:
        known = ~np.isnan(self.log_loss)
        unknown = "" if known.all() else f" at least, known at {known.sum()} of {len(known)} depths"
        return f"ModelRates(depth {span(self.depths)}, log-loss {span(self.log_loss_lower)}{unknown})"

    def _columns(self) -> tuple[Mapping[str, Any], *tuple[str, ...]]:
        return vars(self), "depths"


def model_rates(
    model_tree: TokenTree,
    data_tree: TokenTree,
    depths: Annotated[Numbers, "depths"] | None = None,
    *,
    base: float = 2,
    arithmetic: bool = False,
    huffman: bool | None = None,
) -> ModelRates:
    r"""Rates of a dataset under a model: log-loss, compared with the token tree's own rate and real codes.

    Parameters
    ----------
    model_tree : TokenTree
        The model on the prefixes of the data, from `read_along`; or any tree over the alphabet.
    data_tree : TokenTree
        Counts or masses, none of them unexpanded.
    depths : sequence of int, optional
        Default: 1 to the depth of the data's tree.
    base : float
        2 for bits, ``math.e`` for nats.
    arithmetic : bool
        Also code all blocks arithmetically; this needs counts, and the extra ``coding``.
    huffman : bool, optional
        Build the Huffman codes, one per depth. Default: if at most 1,000 depths are requested, and then where
        no leaf of the model weighs less than 2^-1022.

    Returns
    -------
    ModelRates
        ``log_loss - entropy`` is KL(data \|\| model). ``huffman`` is at least the entropy, and may be below
        or above log_loss: its lengths fit the model only on average over the model. ``arithmetic`` is within
        64 bits in total plus 0.006 bits per block of the log-loss with q rounded to multiples of 2^-24, none
        below 2^-24: close to log_loss if leaves weigh much more than that.

    Raises
    ------
    ValueError
        If alphabets differ, `depths` is empty, a depth is below 1 or below a cut, the data have unexpanded
        mass, `arithmetic` is requested for masses, or `huffman` for leaves that weigh less than 2^-1022.
    ImportError
        If `arithmetic` is requested and constriction is not installed.

    Warns
    -----
    UserWarning
        If the log-loss is unknown at a depth; it names the prefix that the model does not list and where most
        of the data lie.

    Notes
    -----
    Leaves that only the model has, including its unexpanded ones, are symbols of its codes too. The columns
    without codes take O(nodes log nodes) for all depths together, and are accurate even if masses are below
    the range of float64, as for documents of a few hundred tokens. Codes take O(M log M) for the M leaves at
    each depth, and O(blocks) for arithmetic coding. Section 3.1 and Definition 3.3 of the paper.

    Examples
    --------
    >>> data = TokenTree.from_leaves({"00": 6, "01": 1, "11": 1}, depth=2)
    >>> coin = TokenTree.from_leaves({"00": 0.25, "01": 0.25, "10": 0.25, "11": 0.25}, depth=2)
    >>> rates = model_rates(coin, data)
    >>> rates.entropy, rates.log_loss
    (array([0.54356444, 1.06127812]), array([1., 2.]))
    """
    scale = checks.log_base(base)
    checked_tree("model_tree", model_tree)
    refuse_open(data_tree)
    if arithmetic and not isinstance(data_tree.total_weight, int):
        raise ValueError("arithmetic = True: data_tree holds masses, and only counted blocks can be coded")
    grid = _grid(model_tree, data_tree, depths)
    joined = Joined.of(model_tree, data_tree, max(grid))
    data = data_tree.prune(max(grid))
    # The leaves at the last depth are those at every greater depth.
    at = np.minimum(grid, data.depth) - 1
    tokens, entropy, loss = (column[at] for column in _ideal(joined, data))
    least, unlisted = loss.copy(), np.zeros(len(grid))
    if model_tree._is_open:
        lower, upper = (bound[at] for bound in joined.divergences())
        unknown = lower != upper
        least[unknown], loss[unknown] = (entropy + lower)[unknown], np.nan
        strays, rests = joined.strays()
        strays = strays[rests >= 0]
        shares = log_masses.rounded(joined.data[strays])
        levels, _ = joined.union._depths_and_parents()
        unlisted[:] = np.cumsum(np.bincount(levels[strays], shares, data.depth + 1))[1:][at]
        if unknown.any():
            first = node_name(joined.union, strays[shares.argmax()])
            _warn_unlisted(first, shares, min(np.array(grid)[unknown].tolist()))
    build = len(grid) <= _CODES if huffman is None else huffman
    lengths, bits = np.full((2, len(grid)), np.nan)
    counts = np.zeros(joined.union.n_nodes, np.int64)
    if arithmetic:
        counts[joined.data_at] = data.weights
    for i, leaves in enumerate(_leaves(joined.union, grid) if build or arithmetic else ()):
        if not np.isfinite(loss[i]):
            continue
        q = joined.model[leaves]
        if build and not log_masses.faint(q).any():
            on = q > 0
            lengths[i] = log_masses.rounded(joined.data[leaves])[on] @ huffman_lengths(q[on])
        elif huffman:
            raise ValueError(
                f"huffman = True: model_tree has masses below 2**-1022 at depth {grid[i]}, which float64 "
                "cannot hold; give smaller depths, or leave huffman out"
            )
        if arithmetic:
            bits[i] = _coded_bits(q, counts[leaves])
    unit = scale / np.log(2)
    return ModelRates(
        depths=np.array(grid),
        tokens=tokens,
        entropy=entropy / scale,
        log_loss=loss / scale,
        log_loss_lower=least / scale,
        unlisted=unlisted,
        huffman=lengths / unit,
        arithmetic=bits / data.total_weight / unit,
    )


def _grid(
    model_tree: TokenTree, data_tree: TokenTree, depths: Annotated[Numbers, "depths"] | None
) -> list[int]:
    """The requested depths, none of them below a cut."""
    wanted = (
        range(1, data_tree.depth + 1)
        if depths is None
        else checks.items("depths", depths, "must be a sequence, such as [1, 2]")
    )
    grid = [checks.integer("depths", depth, 1) for depth in wanted]
    if not grid:
        raise ValueError("depths is empty: at least one depth is needed")
    for name, tree in (("data_tree", data_tree), ("model_tree", model_tree)):
        if max(grid) > tree.depth and tree.is_cut:
            raise ValueError(f"depths: {max(grid)} is too deep, for {name} is cut at depth {tree.depth}")
    return grid


def _warn_unlisted(first: str, shares: Float[np.ndarray, "strays"], depth: int) -> None:
    """Warn of data on which the model is unexpanded, most of them at one node."""
    most, total = map(percent, (shares.max(), shares.sum()))
    others = "" if len(shares) == 1 else f" ({total} with {len(shares) - 1} more)"
    ends = "; data counted no deeper than they are long have no ends" if first.startswith("the end") else ""
    warnings.warn(
        f"model_tree does not list {first}, where {most} of the data lie{others}: from depth "
        f"{depth} log_loss is nan, and at least log_loss_lower; read the model along the data, with a larger "
        f"top (and a new recording) if it lists only its likeliest tokens{ends}",
        stacklevel=3,
    )


def _ideal(joined: Joined, data: TokenTree) -> tuple[Float[np.ndarray, "depths"], ...]:
    """Tokens per block, entropy and log-loss of the data pruned to each depth from 1, in nats."""
    p, closed = log_masses.rounded(data._shares), data.symbols < 0
    # A response passes through one node on each level that it reaches.
    passing = np.add.reduceat(log_masses.rounded(data._nodes[2]), data.offsets[1:-1])
    losses = -log_masses.logs(joined.model[joined.data_at])
    with np.errstate(invalid="ignore"):
        # A leaf that occurs, however rarely, and has no mass under the model costs infinitely much.
        losses = np.where(data._shares == 0, 0.0, np.where(losses < np.inf, p * losses, np.inf))
    return (
        np.cumsum(passing, dtype=np.float64) / data.total_weight,
        by_depth(data, scipy.special.entr(p), closed),
        by_depth(data, losses, closed),
    )


def _coded_bits(q: Float[np.ndarray, "leaves"], counts: Int[np.ndarray, "leaves"]) -> int:
    """Bits of all blocks under arithmetic coding with the masses of the leaves."""
    # The coder gives at least 2^-24 to every possible leaf, however rare.
    q = np.where(q != 0, np.maximum(log_masses.rounded(q), log_masses.LEAST), 0.0)
    return arithmetic_encode(q, np.repeat(np.arange(len(q)), counts)).size


def _leaves(union: TokenTree, grid: Sequence[int]) -> Iterator[Int[np.ndarray, "leaves"]]:
    """Leaves of the tree pruned to each depth, in lexicographic order."""
    order, closed = union._leaves_before(), np.flatnonzero(union.symbols < 0)
    for depth in grid:
        here = union.level(min(depth, union.depth))
        nodes = np.append(closed[: np.searchsorted(closed, here.start)], np.arange(here.start, here.stop))
        yield nodes[np.argsort(order[nodes])]
