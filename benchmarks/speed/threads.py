"""Two threads beside one."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from tokentree import (
    BlockCodec,
    HuffmanCode,
    Mixture,
    ParetoMass,
    TokenTree,
    elasticity,
    entropy,
    huffman_lengths,
    kl_divergence,
)

from .mixtures import mixture
from .timing import Run, duration, once, repeated, table


def print_table(quick: bool, figures: Path) -> None:
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
