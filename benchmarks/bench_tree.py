"""Token trees beside marisa_trie's, and the response matrix beside one matrix product, in the same run.

    python benchmarks/bench_tree.py

Each time is the median of several runs, ours and the peer's in turn, so that both meet the same machine.
"""

import dataclasses
import statistics
import time
import tracemalloc
from collections.abc import Callable
from typing import Any, NamedTuple

import marisa_trie
import numpy as np
import numpy.typing as npt

from tokentree.tree import TokenTree


class Row(NamedTuple):
    """Medians in seconds; `ratio` is the peer's time over ours, which must reach `bar` where there is one."""

    name: str
    ours: float
    theirs: float
    ratio: float
    bar: float | None


class Size(NamedTuple):
    """Bytes of the arrays that a tree keeps, for each of its nodes."""

    name: str
    nodes: int
    bytes_per_node: float
    bar: float


class Prune(NamedTuple):
    """Median time of pruning, and the memory it takes, for a tree of so many leaves."""

    leaves: int
    laid_out: bool
    seconds: float
    peak_bytes: int


def responses(n: int, length: int, seed: int = 0) -> npt.NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 2, (n, length), dtype=np.uint8)


def versus(
    name: str, ours: Callable[[], object], theirs: Callable[[], object], bar: float | None, repeats: int = 5
) -> Row:
    """Time both sides in turn."""
    times = [(seconds(ours), seconds(theirs)) for _ in range(repeats)]
    mine, peer = (statistics.median(column) for column in zip(*times, strict=True))
    return Row(name, mine, peer, peer / mine, bar)


def seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def building(n: int = 10**6, length: int = 32) -> list[Row]:
    """Return the times to count n responses, with and without laying out the nodes, beside a trie's."""
    array = responses(n, length)
    strings = ["".join(map(str, row)) for row in array.tolist()]

    def trie() -> object:
        return marisa_trie.Trie(strings)

    return [
        versus(f"({n:,}, {length}) counted", lambda: TokenTree.from_sequences(array), trie, 10.0),
        versus("the same, nodes laid out", lambda: TokenTree.from_sequences(array).weights, trie, None),
    ]


def memory(n: int = 10**6, length: int = 32) -> list[Size]:
    """Return the bytes that a tree keeps for each node, before and after its nodes are laid out."""
    tree = TokenTree.from_sequences(responses(n, length))
    nodes = tree.n_nodes
    compact = kept_bytes(tree)
    tree.weights.sum()
    return [
        Size("compact", nodes, compact / nodes, 32.0),
        Size("nodes laid out", nodes, kept_bytes(tree) / nodes, 32.0),
    ]


def kept_bytes(tree: TokenTree) -> int:
    """Return the bytes of every array the tree holds, its caches included, shared ones once."""
    found: dict[int, int] = {}

    def visit(value: Any) -> None:
        if isinstance(value, np.ndarray):
            while isinstance(value.base, np.ndarray):
                value = value.base
            found[id(value)] = value.nbytes
        elif isinstance(value, tuple):
            for item in value:
                visit(item)
        elif dataclasses.is_dataclass(value):
            for item in vars(value).values():
                visit(item)

    visit(tree)
    return sum(found.values())


def pruning(sizes: tuple[int, ...] = (10**4, 10**5, 10**6), repeats: int = 1001) -> list[Prune]:
    """Return the cost of pruning to depth 8 as the number of leaves that are cut grows."""
    rows = []
    for n in sizes:
        tree = TokenTree.from_sequences(responses(n, 40))
        for laid_out in (False, True):
            if laid_out:
                tree.weights.sum()
            median = statistics.median(seconds(lambda tree=tree: tree.prune(8)) for _ in range(repeats))
            tracemalloc.start()
            tree.prune(8)
            rows.append(Prune(n, laid_out, median, tracemalloc.get_traced_memory()[1]))
            tracemalloc.stop()
    return rows


def response(n_datasets: int = 5, n_leaves: int = 10**6, seed: int = 0) -> list[Row]:
    """Return the time of the response matrix beside one product of the distributions with themselves."""
    from tokentree.mixture import Mixture

    masses = 1 + np.random.default_rng(seed).pareto(1.2, (n_datasets, n_leaves))
    p = masses / masses.sum(axis=1, keepdims=True)
    mixture = Mixture(p, [10.0**i for i in range(n_datasets)])
    return [versus(f"response, ({n_datasets}, {n_leaves:,})", mixture.response, lambda: p @ p.T, 0.1, 11)]


def time_table(rows: list[Row], ours: str, theirs: str) -> str:
    """Return the rows as aligned text, milliseconds throughout."""
    lines = [f"{'':32}{ours:>16}{theirs:>16}{'times faster':>14}{'bar':>6}"]
    for row in rows:
        bar = "-" if row.bar is None else f"{row.bar:g}"
        mine, peer = f"{1e3 * row.ours:.2f} ms", f"{1e3 * row.theirs:.2f} ms"
        lines.append(f"{row.name:32}{mine:>16}{peer:>16}{row.ratio:>14.2f}{bar:>6}")
    return "\n".join(lines)


def size_table(rows: list[Size]) -> str:
    """Return the rows as aligned text."""
    lines = [f"{'memory':32}{'nodes':>16}{'bytes per node':>16}{'bar':>20}"]
    lines += [f"{r.name:32}{r.nodes:>16,}{r.bytes_per_node:>16.2f}{r.bar:>20g}" for r in rows]
    return "\n".join(lines)


def prune_table(rows: list[Prune]) -> str:
    """Return the rows as aligned text; the columns must not grow with the leaves."""
    lines = [f"{'prune(8), leaves':32}{'nodes':>16}{'time':>16}{'peak memory':>20}"]
    for row in rows:
        state, took = "laid out" if row.laid_out else "compact", f"{1e6 * row.seconds:.1f} us"
        lines.append(f"{row.leaves:<32,}{state:>16}{took:>16}{f'{row.peak_bytes} bytes':>20}")
    return "\n".join(lines)


def main() -> None:
    print(time_table(building(), "TokenTree", "marisa_trie"), end="\n\n")
    print(size_table(memory()), end="\n\n")
    print(prune_table(pruning()), end="\n\n")
    print(time_table(response(), "response", "P @ P.T"))


if __name__ == "__main__":
    main()
