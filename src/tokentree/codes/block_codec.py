"""The compression protocol (Definition 3.3) end to end, and its ideal code length (Theorem 3.4).

A model of depth d sees a response in blocks. It descends its token tree, pruned to depth d, to a leaf: d
symbols, or fewer followed by end-of-sequence. The leaf is one symbol of a Huffman code. Then it restarts at
the root, until a block ends with end-of-sequence. A response of n symbols is n + 1 tokens long and takes
ceil((n + 1) / d) blocks.

The q symbols and end-of-sequence also have codewords of their own, which share the weight of a single count.
A block that is not in the tree is spelled in these letters, so the protocol is lossless for every response
over the alphabet, with a single Huffman code.
"""

import math
from typing import Annotated, Literal, overload

import numpy as np
from jaxtyping import Int, Shaped, UInt8

from .._lib import checks, log_masses
from .._lib.checks import Numbers
from ..information import entropy
from ..trees import EOS, LeafKind, TokenTree, checked_tree, flattened, pruned
from .huffman import HuffmanCode


def ideal_code_length(tree: TokenTree, length: int, depth: int | None = None, base: float = 2) -> float:
    r"""Expected ideal code length of a response, as Theorem 3.4 states it.

    E[L(x)] = ceil(\|x\| / d) * ceil(H(p)), p being the distribution over the leaves of the tree pruned to
    depth d. The true expected Huffman length of a block lies in [H, H + 1), and may fall on either side of
    ceil(H): the theorem holds within one bit per block, not as an equality.

    Parameters
    ----------
    tree : TokenTree
    length : int
        Length \|x\| of the response in tokens, at least 1. End-of-sequence is a token: a response of n
        symbols has length n + 1.
    depth : int, optional
        Depth d that the model knows. Default: the depth of the tree.
    base : float
        Size of the code's alphabet: 2 for bits.

    Returns
    -------
    float
        Digits (bits, for base 2) for the whole response.

    Raises
    ------
    ValueError
        If ``length < 1``, ``depth < 1``, ``base <= 1``, the tree is cut above `depth`, or part of its mass
        down to `depth` is unexpanded.

    Notes
    -----
    O(nodes) for the leaves of the pruned tree. An entropy within its rounding error of an integer counts as
    that integer. Theorem 3.4.

    Examples
    --------
    >>> tree = TokenTree.from_leaves({"00": 1, "01": 1, "10": 1, "11": 1})
    >>> ideal_code_length(tree, length=5, depth=2)
    6.0
    """
    length = checks.integer("length", length, at_least=1)
    tree, depth = _pruned(tree, depth)
    share = tree.unexpanded_weight / tree.total_weight
    checks.whole("tree", share, "its entropy is unknown; unexpanded_bounds([tree]) has bounds, its rates")
    # In an entropy, masses below the range of float64 are negligible.
    p = log_masses.rounded(tree._shares[tree._leaf_nodes])
    bits = float(entropy(p, base))
    # Rounding must not lift a whole entropy over itself. Division, logarithm and product lose at most 9 units
    # 2^-53 of sum p (1 + |log p|), NumPy's pairwise sum at most log2 M + 12.
    slack = (bits + 1 / math.log(base)) * (math.log2(len(p)) + 32) * 2.0**-53
    whole = round(bits)
    return float(-(-length // depth) * (whole if abs(bits - whole) <= slack else math.ceil(bits)))


def _pruned(tree: TokenTree, depth: int | None) -> tuple[TokenTree, int]:
    """`tree` pruned to `depth`, and that depth."""
    checked_tree("tree", tree)
    depth = tree.depth if depth is None else checks.integer("depth", depth, at_least=1)
    return pruned(tree, depth, "the tree"), depth


class BlockCodec:
    """Lossless coder for responses: prune, Huffman-code the leaves, block by block (Definition 3.3).

    Parameters
    ----------
    tree : TokenTree
        Counts or masses of the training data.
    depth : int, optional
        Depth d at which the tree is pruned. Default: the depth of the tree.

    Attributes
    ----------
    tree : TokenTree
        The pruned tree.
    depth : int
        Tokens per block, d.
    code : HuffmanCode
        Symbols 0, ..., M - 1 are the leaves in lexicographic order, M, ..., M + q - 1 the letters 0, ...,
        q - 1, and M + q is the letter end-of-sequence.

    Raises
    ------
    ValueError
        If ``depth < 1``, or the tree was cut above `depth`.

    Notes
    -----
    The letters together have the weight of one count (Cleary and Witten's method A, 1984); with masses, the
    weight of all unexpanded mass, or else that of the lightest leaf. A Huffman code loses up to one bit per
    block; if that matters, encode the same blocks arithmetically. Building is O(nodes + M log M). Coding is
    O(bits log M), vectorised over blocks.

    Examples
    --------
    >>> codec = BlockCodec(TokenTree.from_sequences(["0101", "0100", "0101"]), depth=2)
    >>> codec
    BlockCodec(depth=2, alphabet_size=2, n_leaves=1)
    >>> bits = codec.encode("0101101")
    >>> codec.decode(bits)
    array([0, 1, 0, 1, 1, 0, 1])
    """

    def __init__(self, tree: TokenTree, depth: int | None = None) -> None:
        self.tree, _ = _pruned(tree, depth)
        self.depth = self.tree.depth
        q = self.tree.alphabet_size
        leaves = self.tree.leaves()
        known = leaves.kind != LeafKind.UNEXPANDED
        paths, tokens = leaves.symbols[known], leaves.depth[known]
        weights: Shaped[np.ndarray, "leaves"] = leaves.weight[known]
        if weights.dtype.kind == "i":
            # One count shared by q + 1 letters, in Python integers, which do not overflow.
            weights = weights.astype(object) if weights.sum() > 2**62 // (q + 1) else weights
            letters = np.ones(q + 1, dtype=weights.dtype)
            weights = weights * (q + 1)
        else:
            spare = self.tree.unexpanded_weight or weights[weights > 0].min()
            letters = np.full(q + 1, spare / (q + 1))
        self.code = HuffmanCode.from_weights(np.concatenate([weights, letters]))
        self._paths = np.concatenate([paths, np.full((q + 1, self.depth), EOS, paths.dtype)])
        self._paths[len(paths) : -1, 0] = np.arange(q)
        self._tokens = np.concatenate([tokens, np.ones(q + 1, dtype=np.int64)])
        self._closes = ((self._paths == EOS) & (np.arange(self.depth) < self._tokens[:, None])).any(axis=1)
        self._keys = _sortable(paths)

    @overload
    def encode(
        self, sequence: str | Annotated[Numbers, "n"], *, packed: Literal[False] = False
    ) -> UInt8[np.ndarray, "bits"]: ...

    @overload
    def encode(self, sequence: str | Annotated[Numbers, "n"], *, packed: Literal[True]) -> bytes: ...

    def encode(
        self, sequence: str | Annotated[Numbers, "n"], *, packed: bool = False
    ) -> UInt8[np.ndarray, "bits"] | bytes:
        """Encode one response, end-of-sequence included.

        Parameters
        ----------
        sequence : str of digits, or sequence of int, of length n
            Any response over the alphabet, seen or not.
        packed : bool
            Whether to return bytes, packed as by `HuffmanCode.encode`.

        Returns
        -------
        ndarray of uint8, or bytes
            Bits, one per entry, or packed bytes.

        Raises
        ------
        ValueError, TypeError
            If a symbol is outside the alphabet.
        """
        codes = self._codes(sequence)
        return self.code.encode(codes, packed=True) if packed else self.code.encode(codes)

    def code_length(self, sequence: str | Annotated[Numbers, "n"]) -> int:
        """Number of bits of `encode`, without writing them; parameters and errors as for `encode`."""
        return int(self.code.lengths[self._codes(sequence)].sum())

    def decode(self, bits: bytes | Annotated[Numbers, "bits"]) -> Int[np.ndarray, "n"]:
        """The response encoded at the beginning of `bits`; it marks its own end.

        Parameters
        ----------
        bits : bytes, or array_like of 0 and 1
            Packed bits, or one per entry. Bits after the response are ignored.

        Returns
        -------
        ndarray of int64, shape (n,)

        Raises
        ------
        ValueError
            If the bits do not begin with the encoding of a response.
        """
        codes = self.code._begun(bits, self._closes)
        inside = np.arange(self.depth) < self._tokens[codes][:, None]
        tokens: Int[np.ndarray, "tokens"] = self._paths[codes][inside].astype(np.int64)
        if not codes.size or not self._closes[codes[-1]]:
            raise ValueError(
                f"bits hold {len(tokens)} tokens without end-of-sequence: "
                "must be one complete response, ending with end-of-sequence"
            )
        if not np.array_equal(codes, self._codes(tokens[:-1])):
            raise ValueError("bits encode a response in codewords other than those of encode")
        return tokens[:-1]

    def _codes(self, sequence: str | Numbers) -> Int[np.ndarray, "codes"]:
        """Leaves and letters that spell the response."""
        flat, _ = flattened("sequence", [sequence], self.tree.alphabet_size, single=True)
        n, d, n_leaves = flat.size, self.depth, len(self._keys)
        blocks = np.full((n // d + 1, d), EOS, dtype=self._paths.dtype)
        blocks.ravel()[:n] = flat.ravel()
        leaf = np.searchsorted(self._keys, _sortable(blocks))
        seen = leaf < n_leaves
        seen[seen] = (self._paths[leaf[seen]] == blocks[seen]).all(axis=1)
        if seen.all():
            return leaf
        # Column j holds the block's j-th code: its leaf, or the letters of its tokens, end-of-sequence once.
        letters = np.where(blocks == EOS, self.tree.alphabet_size, blocks.astype(np.int64)) + n_leaves
        spelled = np.ones_like(seen)[:, None] & (np.arange(d) < np.where(seen, 1, d)[:, None])
        spelled[-1] &= np.arange(d) <= n % d
        letters[seen, 0] = leaf[seen]
        return letters[spelled]

    def __repr__(self) -> str:
        return (
            f"BlockCodec(depth={self.depth}, alphabet_size={self.tree.alphabet_size}, "
            f"n_leaves={len(self._keys)})"
        )


def _sortable(blocks: Int[np.ndarray, "n d"]) -> Shaped[np.ndarray, "n"]:
    """Rows as byte strings in the tree's order: end-of-sequence is the padding zero."""
    width = blocks.dtype.itemsize
    raw = np.ascontiguousarray((blocks.astype(np.int64) - EOS).astype(f">u{width}"))
    return raw.view(f"S{width * blocks.shape[1]}").ravel()
