"""Counting files larger than memory, merging many shards, and what a tree weighs on the wire.

    python benchmarks/bench_scale.py [--gib 4] [--directory PATH]

Each file is counted in a fresh process, whose peak memory is its own. The files are written first, to a
temporary directory, and deleted. Processor seconds are those of one core; wall time also waits for the disk
and for other work. Runs on Linux, which tells a process its own peak.
"""

import argparse
import pickle
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np

from tokentree import TokenTree, merge

CASES = [("random", 24), ("text", 16), ("text", 24), ("text", 32), ("text", 48)]
MIB = 1 << 20


def write(path: Path, size: int, kind: str) -> None:
    """Random bytes, or the standard library's sources over and over."""
    rng = np.random.default_rng(0)
    library = Path(sysconfig.get_path("stdlib"))
    text = b"".join(
        page.read_bytes() for page in sorted(library.glob("**/*.py")) if "site-packages" not in page.parts
    )
    with open(path, "wb") as file:
        while size:
            piece = (rng.bytes(64 * MIB) if kind == "random" else text)[:size]
            size -= file.write(piece)


def peak() -> float:
    """Largest resident memory of this process so far, in MiB."""
    # getrusage would tell that of the process that started this one, if larger.
    (line,) = (
        line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")
    )
    return int(line.split()[1]) / 1024


def cpu(call: Callable[[], Any]) -> tuple[float, float, Any]:
    """Processor seconds, wall seconds and result."""
    wall, start = time.perf_counter(), time.process_time()
    result = call()
    return time.process_time() - start, time.perf_counter() - wall, result


def one_file(path: str, kind: str, block: int) -> None:
    """One row of the table; in a process of its own."""
    mib = Path(path).stat().st_size / MIB
    busy, wall, tree = cpu(lambda: TokenTree.from_file(path, block))
    counted, leaves = peak(), tree.n_leaves
    laid = "-"
    if tree.n_nodes < 50_000_000:
        busy_nodes, _, _ = cpu(lambda: tree.weights)
        laid = f"{busy_nodes:.1f} s, {peak():.0f} MiB"
    print(
        f"{kind:8}{block:6}{busy:9.1f}{mib / busy:9.0f}{mib / wall:9.0f}{counted:10.0f}{leaves:13,}"
        f"{tree.n_nodes:13,}{laid:>20}",
        flush=True,
    )


def files(gib: float, directory: str | None) -> None:
    print(f"{gib:g} GiB files, in bits; memory before counting {peak():.0f} MiB")
    print(
        f"{'data':8}{'block':>6}{'cpu s':>9}{'MiB/cpu s':>9}{'MiB/s':>9}{'peak MiB':>10}{'leaves':>13}"
        f"{'nodes':>13}{'with all nodes':>20}"
    )
    size = int(gib * 1024) * MIB
    with tempfile.TemporaryDirectory(dir=directory) as place:
        if shutil.disk_usage(place).free < 2 * size:
            sys.exit(f"{place} has no room for {gib:g} GiB: choose another with --directory")
        for kind in dict.fromkeys(kind for kind, _ in CASES):
            path = Path(place, kind)
            write(path, size, kind)
            for block in (block for each, block in CASES if each == kind):
                subprocess.run([sys.executable, __file__, "--one", path, kind, str(block)], check=True)
            path.unlink()


def by_fours(trees: list[TokenTree]) -> TokenTree:
    while len(trees) > 1:
        trees = [merge(trees[i : i + 4]) for i in range(0, len(trees), 4)]
    return trees[0]


def shards(n: int = 1000, block: int = 24) -> None:
    """Shards of one text, each with words of its own, as a corpus has."""
    rng = np.random.default_rng(0)
    trees = []
    for _ in range(n):
        # Zipf's law, the r-th block as 1 / r; the inverse is uniform in the exponent.
        ranks = np.floor(2 ** (24 * rng.random(30_000))).astype(np.uint64) - 1
        # Frequent blocks lie apart, as they do in text.
        words = (ranks * 11_400_714 + 12_345) % 2**block
        trees.append(
            TokenTree.from_bytes(words.astype(">u4").view(np.uint8).reshape(-1, 4)[:, 1:].tobytes(), block)
        )
    total = sum(tree.n_leaves for tree in trees)
    ways = {
        "all at once": lambda: merge(trees),
        "four at a time": lambda: by_fours(trees),
        "one after the other": lambda: reduce(lambda left, right: merge([left, right]), trees),
    }
    results = []
    print(f"\n{n:,} shards, {total:,} leaves together, {block} bits")
    for name, way in ways.items():
        busy, wall, tree = cpu(way)
        results.append(tree)
        print(f"{name:22}{busy:8.2f} cpu s{wall:8.2f} s{1e9 * busy / total:8.0f} ns per leaf that comes in")
    assert results[0] == results[1] == results[2]
    whole = results[0]
    sent, _, wire = cpu(lambda: pickle.dumps(whole))
    read, _, again = cpu(lambda: pickle.loads(wire))
    assert again.n_nodes == whole.n_nodes
    print(
        f"pickled: {whole.n_leaves:,} leaves, {whole.n_nodes:,} nodes, "
        f"{len(wire) / whole.n_leaves:.1f} bytes per leaf, {sent:.2f} cpu s to write and {read:.2f} to read"
    )
    laid = [TokenTree(tree.alphabet_size, tree.offsets, tree._nodes) for tree in trees[:100]]
    few = sum(tree.n_leaves for tree in laid)
    compact, _, _ = cpu(lambda: merge(trees[:100]))
    nodes, _, _ = cpu(lambda: merge(laid))
    print(f"100 of them, {few:,} leaves: compact {compact:.2f} cpu s, node by node {nodes:.2f} cpu s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--gib", type=float, default=4)
    parser.add_argument("--directory")
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        path, kind, block = options.one
        one_file(path, kind, int(block))
        return
    files(options.gib, options.directory)
    shards()


if __name__ == "__main__":
    main()
