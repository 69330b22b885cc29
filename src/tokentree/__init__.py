"""Token trees, joint compression and the elasticity theorem of language models, decided exactly."""

from ._bands import EOS
from .huffman import HuffmanCode, huffman_lengths
from .information import cross_entropy, entropy, kl_divergence
from .protocol import BlockCodec, ideal_code_length
from .tree import Leaf, LeafKind, Leaves, TokenTree, align, merge

__version__ = "0.1.0"

__all__ = [
    "EOS",
    "BlockCodec",
    "HuffmanCode",
    "Leaf",
    "LeafKind",
    "Leaves",
    "TokenTree",
    "align",
    "cross_entropy",
    "entropy",
    "huffman_lengths",
    "ideal_code_length",
    "kl_divergence",
    "merge",
]
