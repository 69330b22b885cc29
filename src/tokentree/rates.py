"""What a dataset costs under a model: log-loss, and the codes that come close to it.

A model's log-loss is the ideal code length of Section 3.1. By the chain rule the loss on the first d tokens
of every response is the cross-entropy of the data's leaves under the model's tree, both pruned to depth d;
what real codes make of it is measured here side by side.
"""

from typing import TYPE_CHECKING, Annotated, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from . import _checks, _interop
from ._checks import Numbers
from .arithmetic import arithmetic_encode
from .depth import modelled_depth
from .huffman import huffman_lengths
from .information import cross_entropy, entropy
from .tree import TokenTree, align

if TYPE_CHECKING:
    import pandas


@_interop.comparable
class ModelRates(NamedTuple):
    """Rates of one dataset under one model, in bits per block unless another base is asked for.

    Attributes
    ----------
    depths : int array, shape (D,)
        Tokens in a block, d.
    tokens : float array, shape (D,)
        Mean number of tokens in a block, end-of-sequence included: divide by it for rates per token.
    entropy : float array, shape (D,)
        Of the data's own pruned tree: the rate of the best model of depth d.
    log_loss : float array, shape (D,)
        Cross-entropy of the data's leaves under the model's; inf where the model has no mass.
    huffman : float array, shape (D,)
        Mean codeword length of the Huffman code built on the model's leaves; NaN where log_loss is inf.
    arithmetic : float array, shape (D,)
        Length of all blocks, coded arithmetically with the model's leaves, over their number; NaN where
        log_loss is inf, or where it was not asked for.
    """

    depths: Int[np.ndarray, "depths"]
    tokens: Float[np.ndarray, "depths"]
    entropy: Float[np.ndarray, "depths"]
    log_loss: Float[np.ndarray, "depths"]
    huffman: Float[np.ndarray, "depths"]
    arithmetic: Float[np.ndarray, "depths"]

    def __repr__(self) -> str:
        return f"ModelRates(depth {_interop.span(self.depths)}, log-loss {_interop.span(self.log_loss)})"

    def to_frame(self) -> "pandas.DataFrame":
        """The rates as a pandas table, one row a depth. Needs the extra ``pandas``.

        Returns
        -------
        pandas.DataFrame
            Columns tokens, entropy, log_loss, huffman and arithmetic; the index is the depth.

        Raises
        ------
        ImportError
            If pandas is not installed.

        Examples
        --------
        >>> data = TokenTree.from_leaves({"00": 6, "01": 1, "11": 1}, depth=2)
        >>> model_rates(data, data).to_frame()["huffman"].tolist()
        [1.0, 1.25]
        """
        return _interop.frame(self._asdict(), "depths")


def model_rates(
    model_tree: TokenTree,
    data_tree: TokenTree,
    depths: Annotated[Numbers, "depths"] | None = None,
    base: float = 2,
    arithmetic: bool = False,
) -> ModelRates:
    r"""Rates of a dataset under a model: its log-loss beside the token tree's own rate and real codes.

    Parameters
    ----------
    model_tree : TokenTree
        The model on the prefixes of the data, from `adapters.read_along`; or any tree over the alphabet.
    data_tree : TokenTree
        Counts or masses, none of them unexpanded.
    depths : sequence of int, optional
        Default: 1 to the depth of the data's tree.
    base : float
        2 for bits, ``math.e`` for nats.
    arithmetic : bool
        Also code all blocks arithmetically; needs counts, and the extra ``coding``.

    Returns
    -------
    ModelRates
        ``log_loss - entropy`` is KL(data \|\| model). ``huffman`` is at least the entropy, and may lie on
        either side of log_loss: its lengths fit the model only on average over the model. ``arithmetic`` is
        within 64 bits in all and 0.006 bits a block of the log-loss with q rounded to multiples of 2^-24,
        none below 2^-24: near log_loss where leaves weigh much more than that.

    Raises
    ------
    ValueError
        If alphabets differ, `depths` is empty, a depth is below 1 or below a cut, the data have unexpanded
        mass, or lie where the model has, or `arithmetic` is asked for masses.
    ImportError
        If `arithmetic` is asked for and constriction is not installed.

    Notes
    -----
    Leaves that only the model has, its unexpanded ones among them, are symbols of its codes too. O(D (nodes
    log nodes)), and O(blocks) for arithmetic coding. Section 3.1 and Definition 3.3 of the paper.

    Examples
    --------
    >>> data = TokenTree.from_leaves({"00": 6, "01": 1, "11": 1}, depth=2)
    >>> coin = TokenTree.from_leaves({"00": 0.25, "01": 0.25, "10": 0.25, "11": 0.25}, depth=2)
    >>> rates = model_rates(coin, data)
    >>> rates.entropy, rates.log_loss
    (array([0.54356444, 1.06127812]), array([1., 2.]))
    """
    unit = _checks.log_base(base) / np.log(2)
    if data_tree.unexpanded_weight:
        raise ValueError(
            f"data_tree has the unexpanded weight {data_tree.unexpanded_weight}: the data must be known"
        )
    if arithmetic and data_tree.weights.dtype.kind != "i":
        raise ValueError("arithmetic = True: data_tree holds masses, and only counted blocks can be coded")
    grid = range(1, data_tree.depth + 1) if depths is None else _checks.items("depths", depths)
    if not len(grid):
        raise ValueError("depths is empty: at least one depth is needed")
    hidden = model_tree.unexpanded_weight and modelled_depth(model_tree, data_tree, 0.0)
    rows = []
    for depth in grid:
        depth = _checks.integer("depths", depth, 1)
        if hidden and not np.array_equal(hidden.lower[:depth], hidden.upper[:depth]):
            raise ValueError(
                f"model_tree has not looked at some of the data within depth {depth}: read_along the data, "
                "or see what modelled_depth can say"
            )
        p, q = align([data_tree, model_tree], depth)
        leaves = data_tree.prune(depth).leaves()
        loss = float(cross_entropy(p, q, base))
        huffman = coded = np.nan
        if np.isfinite(loss):
            huffman = float(p[q > 0] @ huffman_lengths(q[q > 0])) / unit
            if arithmetic:
                # The data's leaves stand among the joint ones in their own order.
                blocks = np.repeat(np.flatnonzero(p), leaves.weight[leaves.weight > 0])
                coded = arithmetic_encode(q, blocks).size / data_tree.total_weight / unit
        rows.append((depth, leaves.depth @ leaves.probability, entropy(p, base), loss, huffman, coded))
    columns = [np.array(column) for column in zip(*rows, strict=True)]
    return ModelRates(*columns)
