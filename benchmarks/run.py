"""The main work beside its peers, in one run: tables of ratios, and curves of time and memory against size.

    python benchmarks/run.py [--quick] [--only PART ...] [--figures FOLDER]

Ours and the peers work on the same data in turn, so that both meet the same machine; a ratio is the median
over the rounds, with the smallest and the largest beside it. A first run, untimed, warms both up. Peers that
take more than ten seconds are not asked for more, and the table says so. A machine with nothing else to do
gives the narrowest ranges.
"""

import argparse
import gzip
import lzma
import math
import subprocess
import sys
import sysconfig
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.stats
from _timing import (
    Family,
    LeftOut,
    Measured,
    Run,
    amount,
    comparison,
    curves,
    duration,
    measure,
    once,
    peak,
    peaks,
    repeated,
    table,
)

from tokentree import (
    BlockCodec,
    HuffmanCode,
    Mixture,
    ParetoMass,
    TokenTree,
    cross_entropy,
    elasticity,
    entropy,
    huffman_lengths,
    kl_divergence,
    pareto_limit,
    published_form,
)

FIGURES = Path(__file__).parent.parent / "docs" / "figures"
DECADES = tuple(10**i for i in range(2, 8))
Sides = dict[str, Callable[[], Run]]


# Huffman codes

LAWS: dict[str, Callable[[np.random.Generator, int], npt.NDArray[np.float64]]] = {
    "Pareto": lambda rng, n: 1 + rng.pareto(1.2, n),
    "Zipf": lambda rng, n: rng.permutation(1 / np.arange(1.0, n + 1)),
    "uniform": lambda rng, n: rng.random(n) + 1e-12,
    "equal": lambda rng, n: np.ones(n),
    # Over most of float64's range, whatever the number of symbols: the codewords are long.
    "geometric": lambda rng, n: rng.permutation(np.exp(-np.linspace(0, 700, n))),
}


def huffman(law: str, n: int) -> Sides:
    weights = LAWS[law](np.random.default_rng(0), n)

    def constriction() -> Run:
        import constriction

        return lambda: constriction.symbol.huffman.EncoderHuffmanTree(weights)

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
        "constriction": constriction,
        "bitarray": bitarray,
        "dahuffman": dahuffman,
        "dit": dit,
        "np.argsort": lambda: lambda: np.argsort(weights),
        "np.sort": lambda: lambda: np.sort(weights),
    }


# Trees


def trees(n: int, length: int = 32) -> Sides:
    responses = np.random.default_rng(0).integers(0, 2, (n, length), dtype=np.uint8)

    def strings() -> list[str]:
        text = (responses + ord("0")).tobytes().decode("ascii")
        return [text[i : i + length] for i in range(0, len(text), length)]

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


# Measures of distributions


def measures(what: str, n: int) -> Sides:
    p, q = 1e-3 + np.random.default_rng(0).random((2, n))
    p, q = p / p.sum(), q / q.sum()

    def dit() -> Run:
        import dit

        # As tuples: their names are what dit sorts and compares.
        one, two = (dit.Distribution([(i,) for i in range(n)], row) for row in (p, q))
        return {
            "entropy": lambda: dit.shannon.entropy(one),
            "cross-entropy": lambda: dit.divergences.cross_entropy(one, two),
            "KL": lambda: dit.divergences.kullback_leibler_divergence(one, two),
        }[what]

    ours, scipys = {
        "entropy": (lambda: entropy(p), lambda: scipy.stats.entropy(p, base=2)),
        "cross-entropy": (
            lambda: cross_entropy(p, q),
            lambda: scipy.stats.entropy(p, base=2) + scipy.stats.entropy(p, q, base=2),
        ),
        "KL": (lambda: kl_divergence(p, q), lambda: scipy.stats.entropy(p, q, base=2)),
    }[what]
    return {"tokentree": lambda: ours, "scipy.stats": lambda: scipys, "dit": dit}


# Mixtures


def mixture(n_datasets: int, n: int) -> Mixture:
    masses = 1 + np.random.default_rng(0).pareto(1.2, (n_datasets, n))
    masses /= masses.sum(axis=1, keepdims=True)
    return Mixture(masses, [10.0**i for i in range(n_datasets)])


def response(n: int) -> Sides:
    of = mixture(5, n)
    p = of.distributions
    return {
        "tokentree": lambda: lambda: of.response(),
        "P @ P.T": lambda: lambda: p @ p.T,
        "one pass, P.sum()": lambda: lambda: p.sum(),
    }


def verdict(n: int) -> Sides:
    p = np.random.default_rng(0).pareto(2.5, (3, n))
    p /= p.sum(axis=1, keepdims=True)
    # A new mixture each time, or the work of the first would be kept.
    return {
        "tokentree": lambda: lambda: elasticity(Mixture(p, [10**6, 1, 1])),
        "response alone": lambda: lambda: Mixture(p, [10**6, 1, 1]).response(),
    }


FAMILIES: dict[str, Family] = {
    **{
        f"huffman {law}": Family(
            f"Huffman lengths, {law} weights",
            "symbols",
            DECADES if law == "Pareto" else (10**2, 10**4, 10**6, 10**7),
            partial(huffman, law),
            8,
            frozenset({"np.argsort", "np.sort"}),
        )
        for law in LAWS
    },
    "trees": Family(
        "Token tree of sequences of 32 bits",
        "sequences",
        DECADES,
        trees,
        32,
        frozenset({"one pass, one sort"}),
    ),
    **{
        f"measures {what}": Family(
            what[0].upper() + what[1:],
            "leaves",
            DECADES,
            partial(measures, what),
            8 if what == "entropy" else 16,
        )
        for what in ("entropy", "cross-entropy", "KL")
    },
    "response": Family(
        "Response of 5 datasets", "leaves", DECADES, response, 40, frozenset({"P @ P.T", "one pass, P.sum()"})
    ),
    "verdict": Family("Verdict on 3 datasets", "leaves", DECADES, verdict, 24, frozenset({"response alone"})),
}


def scaling(names: list[str], quick: bool, figures: Path) -> None:
    """Tables of all `names`, which have the same sides; of the first, memory and curves too."""
    known: dict[str, LeftOut] = {}
    for name in names:
        family = FAMILIES[name]
        if quick:
            family = family._replace(sizes=[n for n in family.sizes if n <= 10**3])
        measured = measure(family, 2 if quick else 5, 0.1 if quick else 10, known)
        print(comparison(measured), end="\n\n", flush=True)
        if name == names[0]:
            known = measured.left_out
            with_memory(name, measured, max(family.sizes) if quick else 10**4, figures)


def with_memory(name: str, measured: Measured, least: int, figures: Path) -> None:
    """Peak memory of every side that was timed, as a table and in the figure."""
    family = measured.family
    memory = {
        size: peaks(name, [side for side in sides if side not in family.floors], size)
        for size, sides in measured.seconds.items()
        if size >= least
    }
    rows = [
        [side, f"{size:,}", amount(taken), f"{taken / size / family.input_bytes:.3g}"]
        for size, sides in memory.items()
        for side, taken in sides.items()
    ]
    heads = ["peak memory beyond the input", family.unit, "peak", "times the input"]
    print(table(heads, rows), end="\n\n", flush=True)
    curves(measured, memory, figures / f"bench-{name.split()[0]}.png")


# Tails


def words(rng: np.random.Generator, n: int) -> npt.NDArray[np.int64]:
    """Counts of about n words, the r-th of them drawn with probability as 1 / r."""
    ranks = np.floor(np.exp(rng.random(5 * n) * math.log(5 * n))).astype(np.int64)
    return rng.permutation(np.unique(ranks, return_counts=True)[1])


SHAPES: dict[str, Callable[[np.random.Generator, int], npt.NDArray[Any]]] = {
    "Pareto": lambda rng, n: 1 + rng.pareto(1.5, n),
    "lognormal": lambda rng, n: rng.lognormal(0, 1, n),
    "exponential": lambda rng, n: rng.exponential(1, n),
    "Zipf words": words,
    "zeta": lambda rng, n: rng.zipf(2.1, n),
    "rounded lognormal": lambda rng, n: np.ceil(rng.lognormal(2, 1, n)).astype(np.int64),
}


def tails(quick: bool, figures: Path) -> None:
    """Fits beside powerlaw's. By default it approximates integers from 10 on; ours approximates nothing."""
    import powerlaw

    rows = []
    for shape, draw in SHAPES.items():
        data = draw(np.random.default_rng(0), 10**3 if quick else 20_000)
        theirs_at, ours_at = [], []
        for _ in range(1 if quick else 3):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                start = time.perf_counter()
                theirs = powerlaw.Fit(data, discrete=data.dtype.kind == "i", verbose=0)
                theirs_at.append(time.perf_counter() - start)
            start = time.perf_counter()
            ours = ParetoMass.fit(data, max_exponent=2.0)
            ours_at.append(time.perf_counter() - start)
            if theirs_at[0] > 5:
                break
        ratios = sorted(slow / fast for slow, fast in zip(theirs_at, ours_at, strict=True))
        rows.append(
            [
                shape,
                f"{data.size:,}",
                duration(sorted(ours_at)[len(ours_at) // 2]),
                duration(sorted(theirs_at)[len(theirs_at) // 2]),
                f"{ratios[len(ratios) // 2]:.0f} ({ratios[0]:.0f} to {ratios[-1]:.0f})",
                f"{abs(ours.threshold / theirs.xmin - 1):.0e}",
                f"{abs(ours.density_exponent / theirs.alpha - 1):.0e}",
            ]
        )
    heads = [
        "data",
        "points",
        "tokentree",
        "powerlaw",
        "times faster (range)",
        "threshold off by",
        "exponent off by",
    ]
    print("### Pareto fit\n\n" + table(heads, rows), end="\n\n", flush=True)


# Lossless coding


def text(size: int) -> bytes:
    """Real text: the source of Python's standard library, modules in the order of their names."""
    modules = sorted(Path(sysconfig.get_path("stdlib")).glob("*.py"))
    return b"".join(module.read_bytes() for module in modules)[:size]


def coding(quick: bool, figures: Path) -> None:
    """What the protocol costs: bits a byte beside gzip and xz, on text that the tree has seen and has not."""
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
    print(f"### Lossless coding, bits a byte, {half:,} bytes of Python for the tree and as many others\n")
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
    axes.set_xlabel("block in bits")
    axes.set_ylabel("bits for each byte of text")
    axes.set_ylim(0, 16)
    axes.legend(fontsize=8, frameon=False)
    figure.savefig(figures / "bench-coding.png", dpi=110)


# Verdicts in exact arithmetic, and the ledger


def exact(quick: bool, figures: Path) -> None:
    n = 10**3 if quick else 10**5
    rng = np.random.default_rng(0)
    overlapping = (1 + rng.pareto(2.5, (3, n)).round(1) * 10).astype(np.int64)
    disjoint = overlapping * (np.arange(n) % 3 == np.arange(3)[:, None])
    rows = []
    for name, parts, l in (
        ("disjoint, l = 1/2, an exact zero", disjoint, Fraction(1, 2)),
        ("disjoint, l = 1/2 + 10^-40", disjoint, Fraction(1, 2) + Fraction(1, 10**40)),
        ("overlapping, l = 1/2", overlapping, Fraction(1, 2)),
        ("overlapping, l = 10^-3", overlapping, Fraction(1, 1000)),
    ):
        form = published_form(parts, 10**9, l)
        start = time.perf_counter()
        found = elasticity(form)
        taken = time.perf_counter() - start
        signs = " ".join(map(str, found.signs))
        rows.append([f"verdict on counts, {name}", f"{n:,} leaves", duration(taken), f"signs {signs}"])
    start = time.perf_counter()
    pareto_limit([1.05, 2.5, 50], [1, 1e-5, 1e-9])
    rows.append(["pareto_limit", "3 exponents", duration(time.perf_counter() - start), ""])
    if not quick:
        start = time.perf_counter()
        subprocess.run([sys.executable, "-m", "tokentree", "verify"], check=True, stdout=subprocess.DEVNULL)
        rows.append(["tokentree verify", "", duration(time.perf_counter() - start), ""])
    print(
        "### Alone, for nobody else does it\n\n" + table(["work", "size", "takes", ""], rows),
        end="\n\n",
        flush=True,
    )


# Threads


def threads(quick: bool, figures: Path) -> None:
    """The same work twice, one after the other and in two threads: 2 is ideal, 1 means it holds the lock."""
    n = 10**4 if quick else 10**6
    rng = np.random.default_rng(0)
    weights = 1 + rng.pareto(1.2, n)
    bits = rng.integers(0, 2, (n, 32), dtype=np.uint8)
    symbols = rng.integers(0, 256, n).astype(np.uint8)
    of, p = mixture(5, n), weights / weights.sum()
    tree, code = TokenTree.from_sequences(bits), HuffmanCode.from_weights(weights[:1000])
    codec = BlockCodec(TokenTree.from_sequences(symbols.reshape(-1, 2), alphabet_size=256))
    message = rng.integers(0, 1000, n)
    sent = code.encode(message)
    counts = np.ceil(weights).astype(np.int64)
    work: dict[str, Run] = {
        "huffman_lengths": lambda: huffman_lengths(weights),
        "HuffmanCode.encode": lambda: code.encode(message),
        "HuffmanCode.decode": lambda: code.decode(sent),
        "BlockCodec.encode": lambda: codec.encode(symbols),
        "TokenTree.from_sequences": lambda: TokenTree.from_sequences(bits),
        "TokenTree.prune": lambda: [tree.prune(16).weights for _ in range(10)],
        "entropy": lambda: entropy(p),
        "kl_divergence": lambda: kl_divergence(p, p),
        "Mixture.rates": lambda: of.rates(),
        "Mixture.response": lambda: of.response(),
        "elasticity": lambda: elasticity(Mixture(of.distributions, of.exact_sizes)),
        "ParetoMass.fit, masses": lambda: ParetoMass.fit(weights),
        "ParetoMass.fit, counts": lambda: ParetoMass.fit(counts),
    }
    rows = []
    with ThreadPoolExecutor(2) as pool:
        for name, run in work.items():
            run()
            number = max(1, round((0.02 if quick else 0.2) / once(run)))

            def both(run: Run = run, number: int = number) -> None:
                # Half the work in each thread.
                list(pool.map(lambda _: [run() for _ in range(number)], range(2)))

            pairs = [(repeated(run, 2 * number) * 2 * number, once(both)) for _ in range(1 if quick else 5)]
            gains = sorted(serial / parallel for serial, parallel in pairs)
            rows.append(
                [
                    name,
                    duration(min(s for s, _ in pairs) / (2 * number)),
                    f"{gains[len(gains) // 2]:.2f}",
                    f"{gains[0]:.2f} to {gains[-1]:.2f}",
                ]
            )
    print(f"### Two threads on two cores, {n:,} items\n")
    print(
        table(["function", "takes alone", "faster with two threads", "range"], rows), end="\n\n", flush=True
    )


PARTS: dict[str, Callable[[bool, Path], None]] = {
    "huffman": partial(scaling, [name for name in FAMILIES if name.startswith("huffman")]),
    "trees": partial(scaling, ["trees"]),
    "measures": partial(scaling, [name for name in FAMILIES if name.startswith("measures")]),
    "response": partial(scaling, ["response"]),
    "verdict": partial(scaling, ["verdict"]),
    "exact": exact,
    "tails": tails,
    "coding": coding,
    "threads": threads,
}


def main() -> None:
    if sys.argv[1:2] == ["--peak"]:
        name, side, size = sys.argv[2:]
        print(peak(FAMILIES[name], side, int(size)))
        return
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="small sizes only, in about a minute")
    parser.add_argument("--only", nargs="+", choices=list(PARTS), default=list(PARTS), metavar="PART")
    parser.add_argument("--figures", type=Path, default=FIGURES, help="where the figures go")
    given = parser.parse_args()
    given.figures.mkdir(parents=True, exist_ok=True)
    start = time.perf_counter()
    for part in given.only:
        PARTS[part](given.quick, given.figures)
    print(f"In {time.perf_counter() - start:.0f} s altogether.")


if __name__ == "__main__":
    main()
