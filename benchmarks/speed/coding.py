"""Lossless coding beside gzip and xz."""

import gzip
import lzma
import sysconfig
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np

from tokentree import BlockCodec, TokenTree, entropy

from .timing import table


def text(size: int) -> bytes:
    """Real text: the source of Python's standard library, modules in the order of their names."""
    modules = sorted(Path(sysconfig.get_path("stdlib")).glob("*.py"))
    return b"".join(module.read_bytes() for module in modules)[:size]


def print_table(quick: bool, figures: Path) -> None:
    """What the protocol costs: bits per byte beside gzip and xz, on text the tree has seen and has not."""
    from matplotlib.figure import Figure

    data = text(20_000 if quick else 1_000_000)
    half = len(data) // 2
    seen, unseen = data[:half], data[half:]
    blocks = {"bits": (4, 8, 12, 16, 20, 24, 32), "bytes": (1, 2, 3, 4)}
    rows, curve = [], []
    for alphabet, depths in blocks.items():
        for depth in depths:
            tree = TokenTree.from_bytes(seen, depth, alphabet)
            made = time.perf_counter()
            codec = BlockCodec(tree)
            made = time.perf_counter() - made
            rates = []
            for part in (seen, unseen):
                symbols = np.frombuffer(part, np.uint8)
                symbols = np.unpackbits(symbols) if alphabet == "bits" else symbols
                q = 2 if alphabet == "bits" else 256
                assert tree.alphabet_size == q
                started = time.perf_counter()
                bits = codec.encode(symbols)
                taken = time.perf_counter() - started
                if quick:
                    assert np.array_equal(codec.decode(bits), symbols)
                rates.append(bits.size / len(part))
            bound = float(entropy(tree.leaf_probabilities)) * tree.total_weight / len(seen)
            with tempfile.TemporaryDirectory() as folder:
                tree.save(Path(folder, "tree"))
                saved = 8 * Path(folder, "tree").stat().st_size / len(seen)
            width = depth if alphabet == "bits" else 8 * depth
            curve.append((width, alphabet, bound, *rates, rates[0] + saved))
            rows.append(
                [
                    f"{depth} {alphabet}",
                    f"{tree.n_leaves:,}",
                    *(f"{rate:.3f}" for rate in (bound, *rates)),
                    f"{saved:.3f}",
                    f"{len(unseen) / taken / 1e6:.1f}",
                ]
            )
    packed = {
        name: [8 * len(pack(part)) / len(part) for part in (seen, unseen)]
        for name, pack in {
            "gzip -9": partial(gzip.compress, mtime=0),
            "xz -9": partial(lzma.compress, preset=9),
        }.items()
    }
    rows += [[name, "", "", *(f"{rate:.3f}" for rate in rates), "0", ""] for name, rates in packed.items()]
    heads = ["block", "leaves", "entropy bound", "text of the tree", "other text", "the tree, saved", "MB/s"]
    print(f"### Lossless coding, bits per byte, {half:,} bytes of Python for the tree and as many others\n")
    print(table(heads, rows))
    print(
        "\ngzip and xz need no tree beforehand and look back over all they have read; a block code knows its "
        "block only.\nWhere the other side lacks the tree, its size comes on top.\n",
        flush=True,
    )

    figure = Figure(figsize=(7, 4.2), layout="constrained")
    axes = figure.subplots()
    lines = {
        "entropy bound, text of the tree": (2, {"color": "0.8", "linewidth": 5}),
        "BlockCodec, text of the tree": (3, {"color": "black", "marker": "o"}),
        "BlockCodec, other text": (4, {"color": "black", "linestyle": "--", "marker": "s"}),
        "text of the tree, and the tree saved": (5, {"color": "0.5", "linestyle": "-.", "marker": "^"}),
    }
    points = sorted(curve)
    for label, (column, style) in lines.items():
        at = [(point[0], point[column]) for point in points if point[1] == "bits"]
        axes.plot(*zip(*at, strict=True), label=label, **style)
    for (name, (rate, _)), side in zip(packed.items(), ("bottom", "top"), strict=True):
        axes.axhline(rate, color="0.5", linewidth=0.8)
        axes.annotate(name, (4, rate), fontsize=8, va=side)
    axes.set_xticks(blocks["bits"])
    axes.set_xlabel("block length (bits)")
    axes.set_ylabel("code length (bits per byte of text)")
    axes.set_ylim(0, 16)
    axes.legend(fontsize=8, frameon=False)
    figure.savefig(figures / "bench-coding.png", dpi=110)
