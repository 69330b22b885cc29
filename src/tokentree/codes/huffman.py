r"""Huffman codes: optimal codeword lengths, found in batches, and the complete code with these lengths.

The lengths. Huffman's algorithm merges the two smallest weights until one is left. Keep two queues, the
sorted leaves and the merged (internal) nodes; internal nodes are made in ascending order, so both stay
sorted. If s is the sum of the two smallest weights, every later node weighs at least s. So all items of
weight at most s come before it, and can be paired in one round. Over two rounds the smallest weight at least
doubles, so there are usually a few dozen rounds, and about 3,000 over the range of float64. If a round would
merge too few items, the queues are processed item by item.

The depths. The queues are consumed in one sorted order, leaves before internal nodes in ties (which also
minimises the longest codeword). Items 2k and 2k + 1 of that order are the children of internal node k, so
depth never increases along it, and the position at which each level begins determines the tree.
"""

from dataclasses import dataclass
from typing import Annotated

from .._lib.checks import Numbers
from ..trees import TokenTree, checked_tree
from .lengths import huffman_lengths
from .prefix import PrefixCode, beside_one


@dataclass(frozen=True, init=False, eq=False, repr=False)
class HuffmanCode(PrefixCode):
    r"""A complete canonical prefix code for the symbols 0 to M - 1.

    Parameters
    ----------
    lengths : array_like of int, shape (M,)
        Length of each symbol's codeword in bits. Their Kraft sum must be 1: no prefix code has a larger one,
        and an optimal code has no smaller one. Codewords of the same length are numbered in the order of the
        symbols, and shorter ones come first.

    Attributes
    ----------
    lengths : ndarray of int64, shape (M,)
        Read-only. Two codes are equal when their lengths are.

    Raises
    ------
    ValueError
        If the lengths are not one-dimensional, there are none, one is negative or longer than M - 1, or the
        Kraft sum is not 1.
    TypeError
        If the lengths are not integers.

    Notes
    -----
    A Huffman code uses a whole number of bits for every symbol, so it may lose up to one bit per symbol
    relative to the entropy, and uses at least one bit if there are two or more symbols. If that matters (a
    symbol of probability near 1, a small alphabet, a model that changes from symbol to symbol), use
    arithmetic coding, or encode blocks of symbols. Huffman (1952); Cover and Thomas, *Elements of Information
    Theory*, sections 5.6 to 5.8; canonical codes: Schwartz and Kallick (1964).

    Examples
    --------
    >>> code = HuffmanCode.from_weights([0.25, 0.25, 0.2, 0.15, 0.15])
    >>> code
    <HuffmanCode: 5 symbols, 2 to 3 bits>
    >>> code.codewords
    ('00', '01', '10', '110', '111')
    >>> code.decode(code.encode([3, 0, 4]))
    array([3, 0, 4])
    """

    @staticmethod
    def _allowed(size: int) -> tuple[int, str]:
        return (
            size,
            f"a complete code of {size} symbols has lengths 0 to {size - 1}; from_weights takes weights",
        )

    def _check(self) -> None:
        if self.kraft_sum != 1:
            raise ValueError(
                f"lengths have a Kraft sum {beside_one(self.kraft_sum)}: a complete code has exactly 1"
            )

    @classmethod
    def from_weights(
        cls, weights: Annotated[Numbers, "symbols"], *, limit: int | None = None
    ) -> "HuffmanCode":
        """Optimal code for `weights`; allowed values and errors are those of `huffman_lengths`."""
        lengths = huffman_lengths(weights, limit=limit)
        if lengths.ndim != 1:
            raise ValueError(f"weights has shape {lengths.shape}: must be one-dimensional")
        code = cls.__new__(cls)
        code._set(lengths)
        return code

    @classmethod
    def from_tree(cls, tree: TokenTree) -> "HuffmanCode":
        """Optimal code for the leaves of `tree`, leaf i in lexicographic order being symbol i."""
        return cls.from_weights(checked_tree("tree", tree).weights[tree._leaf_nodes])
