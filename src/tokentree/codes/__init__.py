"""Codes for the leaves of a tree: prefix codes, arithmetic coding, and the protocol of Definition 3.3."""

from .arithmetic import ArithmeticModel, arithmetic_decode, arithmetic_encode
from .block_codec import BlockCodec, ideal_code_length
from .huffman import HuffmanCode
from .lengths import huffman_lengths
from .prefix import PrefixCode
from .shannon import shannon_fano_elias_codewords, shannon_lengths

__all__ = ["ArithmeticModel", "BlockCodec", "HuffmanCode", "PrefixCode", "arithmetic_decode"]
__all__ += ["arithmetic_encode", "huffman_lengths", "ideal_code_length", "shannon_fano_elias_codewords"]
__all__ += ["shannon_lengths"]
__dir__ = __all__.copy
