"""Codes for the leaves of a tree: prefix codes, arithmetic, and the protocol of Definition 3.3."""

from .arithmetic import arithmetic_decode, arithmetic_encode
from .block_codec import BlockCodec, ideal_code_length
from .huffman import HuffmanCode
from .lengths import huffman_lengths
from .prefix import PrefixCode
from .shannon import shannon_fano_elias_codewords, shannon_lengths

__all__ = ["BlockCodec", "HuffmanCode", "PrefixCode", "arithmetic_decode", "arithmetic_encode"]
__all__ += ["huffman_lengths", "ideal_code_length", "shannon_fano_elias_codewords", "shannon_lengths"]
