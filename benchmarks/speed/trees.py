"""Trees beside marisa-trie, pygtrie and a Counter."""

from collections import Counter

import numpy as np
import numpy.typing as npt

from tokentree import TokenTree

from .timing import DECADES, Family, Run, Sides


def sides(n: int, length: int = 32) -> Sides:
    responses = np.random.default_rng(0).integers(0, 2, (n, length), dtype=np.uint8)

    def strings() -> list[str]:
        return as_strings(responses)

    def marisa() -> Run:
        import marisa_trie

        given = strings()
        return lambda: marisa_trie.Trie(given)

    def pygtrie() -> Run:
        from pygtrie import CharTrie

        given = strings()
        return lambda: CharTrie.fromkeys(given, 1)

    def prefixes() -> Run:
        given = strings()
        return lambda: Counter(text[:end] for text in given for end in range(length + 1))

    def floor() -> Run:
        words = np.random.default_rng(1).integers(0, 2**32, n, dtype=np.uint64)
        return lambda: (responses.max(), np.sort(words))

    return {
        "tokentree": lambda: lambda: TokenTree.from_sequences(responses),
        "tokentree, nodes laid out": lambda: lambda: TokenTree.from_sequences(responses).weights,
        "marisa-trie": marisa,
        "pygtrie": pygtrie,
        "Counter of prefixes": prefixes,
        "one pass, one sort": floor,
    }


def as_strings(responses: npt.NDArray[np.uint8]) -> list[str]:
    length = responses.shape[1]
    text = (responses + ord("0")).tobytes().decode("ascii")
    return [text[i : i + length] for i in range(0, len(text), length)]


def from_strings(n: int, length: int = 32) -> Sides:
    """What ours is given is what the peers are."""
    of = sides(n, length)
    given = as_strings(np.random.default_rng(0).integers(0, 2, (n, length), dtype=np.uint8))
    return {
        "tokentree": lambda: lambda: TokenTree.from_sequences(given),
        "marisa-trie": of["marisa-trie"],
        "pygtrie": of["pygtrie"],
    }


def prefixes(n: int, length: int = 32) -> Sides:
    responses = np.random.default_rng(0).integers(0, 2, (n, length), dtype=np.uint8)
    given = as_strings(responses)

    def ours(length: int) -> Run:
        tree, prefix = TokenTree.from_sequences(responses), given[0][:length]
        return lambda: tree.weight(prefix)

    def marisa() -> Run:
        import marisa_trie

        trie, key = marisa_trie.Trie(given), given[0]
        return lambda: key in trie

    def pygtrie() -> Run:
        from pygtrie import CharTrie

        trie, key = CharTrie.fromkeys(given, 1), given[0]
        return lambda: key in trie

    return {
        "tokentree": lambda: ours(length),
        "tokentree, 8 of them": lambda: ours(8),
        "marisa-trie, `in`": marisa,
        "pygtrie, `in`": pygtrie,
    }


STRINGS = {
    "strings": Family("Token tree of strings of 32 digits", "strings", DECADES[:-1], from_strings, 32),
}

PREFIXES = {
    "prefixes": Family(
        "Weight of a prefix of 32 bits", "sequences", (2, 10, 100, 1000, 10**4, 10**5), prefixes, 32
    )
}

FAMILIES = {
    "trees": Family(
        "Token tree of sequences of 32 bits",
        "sequences",
        DECADES,
        sides,
        32,
        frozenset({"one pass, one sort"}),
    )
}
