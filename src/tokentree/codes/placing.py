"""Concatenation of codewords into a stream of bits."""

import numpy as np
from jaxtyping import Integer, UInt, UInt8

WORD = 64
"""Bits of the words that are filled, and of the longest codeword that is placed at once."""

_BLOCK = 2**15
"""Number of symbols at a time, a power of two, such that their codewords stay in cache."""


def placed(
    message: Integer[np.ndarray, "message"],
    codewords: UInt[np.ndarray, "symbols"],
    lengths: UInt[np.ndarray, "symbols"],
) -> tuple[UInt8[np.ndarray, "bytes"], int]:
    """The codewords of a message as bytes, padded with zeros, and their number of bits.

    The last codeword is empty and belongs to no symbol.
    """
    longest, size = int(lengths.max()), message.size
    words = np.zeros(size * longest // WORD + 2, np.uint64)
    bits = 0
    for start in range(0, size, _BLOCK):
        part = message[start : start + _BLOCK]
        if part.size % WORD and longest <= WORD // 2:
            part = np.append(part, np.full(-part.size % WORD, lengths.size - 1))
        bits = _fill(words, bits, codewords[part], lengths[part], longest)
    octets: UInt8[np.ndarray, "bytes"] = words.astype(">u8").view(np.uint8)[: -(-bits // 8)]
    return octets, bits


def _fill(
    words: UInt[np.ndarray, "words"],
    bits: int,
    code: UInt[np.ndarray, "message"],
    length: UInt[np.ndarray, "message"],
    longest: int,
) -> int:
    """Append codewords to the first `bits` bits, and return the new number of bits."""
    while 2 * longest <= WORD and longest:
        code, length = code[::2] << length[1::2] | code[1::2], length[::2] + length[1::2]
        longest *= 2
    end = length.cumsum()
    end += np.uint64(bits)
    begin = end - length
    word = (begin >> np.uint64(6)).astype(np.int64)
    # Codewords reach up to here in the word in which they begin; NumPy's shifts by 64 or more give zero, and
    # so do those by a number below zero, which has no sign here.
    reach = (begin & np.uint64(63)) + length
    head = code << (np.uint64(64) - reach) | code >> (reach - np.uint64(64))
    first = np.append(0, np.flatnonzero(word[1:] != word[:-1]) + 1)
    words[word[first]] |= np.bitwise_or.reduceat(head, first)
    # Only the last codeword that begins in a word may continue in the next.
    last = np.append(first[1:], word.size) - 1
    words[word[last] + 1] |= code[last] << (np.uint64(128) - reach[last])
    return int(end[-1])
