"""Codes for the leaves of a tree: Huffman's, arithmetic, and the protocol of Definition 3.3."""

from .arithmetic import arithmetic_decode, arithmetic_encode
from .block_codec import BlockCodec, ideal_code_length
from .huffman import HuffmanCode
from .lengths import huffman_lengths

__all__ = ["BlockCodec", "HuffmanCode", "arithmetic_decode", "arithmetic_encode", "huffman_lengths"]
__all__ += ["ideal_code_length"]
