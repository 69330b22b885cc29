"""Huffman codes beside a plain heap, constriction, bitarray, dahuffman and dit."""

import heapq
from collections.abc import Callable
from functools import partial

import numpy as np
import numpy.typing as npt

from tokentree import HuffmanCode, huffman_lengths

from .timing import DECADES, Family, Run, Sides

LAWS: dict[str, Callable[[np.random.Generator, int], npt.NDArray[np.float64]]] = {
    "Pareto": lambda rng, n: 1 + rng.pareto(1.2, n),
    "Zipf": lambda rng, n: rng.permutation(1 / np.arange(1.0, n + 1)),
    "uniform": lambda rng, n: rng.random(n) + 1e-12,
    "equal": lambda rng, n: np.ones(n),
    # Over most of float64's range, whatever the number of symbols: the codewords are long.
    "geometric": lambda rng, n: rng.permutation(np.exp(-np.linspace(0, 700, n))),
}


def by_heap(weights: list[float]) -> list[int]:
    """Lengths by Huffman's algorithm as textbooks write it."""
    heap = [(weight, i) for i, weight in enumerate(weights)]
    heapq.heapify(heap)
    children = {}
    for node in range(len(weights), 2 * len(weights) - 1):
        (light, one), (heavy, other) = heapq.heappop(heap), heapq.heappop(heap)
        children[node] = one, other
        heapq.heappush(heap, (light + heavy, node))
    lengths, below = [0] * len(weights), [(heap[0][1], 0)]
    while below:
        node, depth = below.pop()
        if node in children:
            below += [(child, depth + 1) for child in children[node]]
        else:
            lengths[node] = depth
    return lengths


def sides(law: str, n: int) -> Sides:
    weights = LAWS[law](np.random.default_rng(0), n)

    def constriction() -> Run:
        import constriction

        return lambda: constriction.symbol.huffman.EncoderHuffmanTree(weights)

    def constriction_lengths() -> Run:
        from constriction import symbol as coding

        # Its tree tells no lengths: they are the bits that each symbol takes.
        def lengths() -> list[float]:
            tree, found = coding.huffman.EncoderHuffmanTree(weights), []
            for symbol in range(n):
                encoder = coding.QueueEncoder()
                encoder.encode_symbol(symbol, tree)
                found.append(encoder.get_compressed_and_bitrate()[1])
            return found

        return lengths

    def bitarray() -> Run:
        from bitarray.util import huffman_code

        table = dict(enumerate(weights.tolist()))
        return lambda: huffman_code(table)

    def dahuffman() -> Run:
        from dahuffman import HuffmanCodec

        table = dict(enumerate(weights.tolist()))
        return lambda: HuffmanCodec.from_frequencies(table)

    def dit() -> Run:
        import dit
        import dit.coding

        # Only the probabilities matter, so symbols are told apart by number.
        distribution = dit.Distribution([(i,) for i in range(n)], weights / weights.sum())
        return lambda: dit.coding.huffman(distribution)

    return {
        "tokentree": lambda: lambda: huffman_lengths(weights),
        "tokentree code": lambda: lambda: HuffmanCode.from_weights(weights),
        "heapq": lambda: partial(by_heap, weights.tolist()),
        "constriction": constriction,
        "constriction, lengths": constriction_lengths,
        "bitarray": bitarray,
        "dahuffman": dahuffman,
        "dit": dit,
        "np.argsort": lambda: lambda: np.argsort(weights),
        "np.sort": lambda: lambda: np.sort(weights),
    }


def many(n: int) -> Sides:
    weights = LAWS["Pareto"](np.random.default_rng(0), 64 * n).reshape(n, 64)

    def constriction() -> Run:
        import constriction

        tree = constriction.symbol.huffman.EncoderHuffmanTree
        return lambda: [tree(row) for row in weights]

    return {
        "tokentree": lambda: lambda: huffman_lengths(weights),
        "tokentree, one by one": lambda: lambda: [huffman_lengths(row) for row in weights],
        "heapq": lambda: lambda: [by_heap(row) for row in weights.tolist()],
        "constriction": constriction,
    }


MANY = {
    "many": Family(
        "Huffman lengths of many vectors of 64 weights", "vectors", (10, 100, 1000, 10**4), many, 512
    )
}

FAMILIES = {
    f"huffman {law}": Family(
        f"Huffman lengths, {law} weights",
        "symbols",
        DECADES if law == "Pareto" else (10**2, 10**4, 10**6, 10**7),
        partial(sides, law),
        8,
        frozenset({"np.argsort", "np.sort"}),
    )
    for law in LAWS
}
