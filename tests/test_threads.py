"""Functions are pure: eight threads on shared objects find what one finds alone."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import numpy as np
import pytest

from tokentree import (
    BlockCodec,
    FisherSprings,
    HuffmanCode,
    Mixture,
    ParetoMass,
    TokenTree,
    arithmetic_decode,
    arithmetic_encode,
    cross_entropy,
    depth_curve,
    elasticity,
    entropy,
    fit_tail,
    huffman_lengths,
    ideal_code_length,
    kl_divergence,
    leaf_distributions,
    merge,
    pareto_limit,
    published_form,
    response_curve,
)

THREADS = 8


class Shared:
    """What all threads are given; nothing lazy in it has been asked for yet."""

    def __init__(self) -> None:
        rng = np.random.default_rng(7)
        self.bits = rng.integers(0, 2, (3000, 20), dtype=np.uint8)
        self.trees = [TokenTree.from_sequences(part) for part in np.split(self.bits, 3)]
        self.floats = TokenTree.from_sequences(self.bits, rng.random(3000))
        self.ragged = TokenTree.from_bytes(rng.bytes(2000), 70)
        self.weights = 1 + rng.pareto(1.2, 5000)
        self.code = HuffmanCode.from_weights(self.weights)
        self.codec = BlockCodec(self.trees[0], 8)
        self.p, self.q = rng.dirichlet(np.ones(3000), 2)
        self.counts = rng.integers(0, 50, (3, 700)) + np.eye(3, 700, dtype=np.int64)
        self.mixture = Mixture(self.counts, [1000, 7, 3], depth=4)
        self.masses = Mixture(rng.dirichlet(np.ones(20_000), 3), [10.0**6, 5, 1])
        self.springs = FisherSprings(self.mixture)
        self.message = rng.integers(0, 5000, 400)


WORK: dict[str, Any] = {
    "nodes laid out": lambda s: [(t.symbols, t.parents, t.weights) for t in s.trees],
    "float nodes laid out": lambda s: (s.floats.symbols, s.floats.parents, s.floats.weights),
    "many bands laid out": lambda s: (s.ragged.symbols, s.ragged.parents, s.ragged.weights),
    "prune": lambda s: [s.trees[0].prune(d).leaf_probabilities for d in (3, 9, 20)],
    "leaves": lambda s: [(t.leaves().symbols, t.leaves().weight) for t in s.trees],
    "from_sequences": lambda s: TokenTree.from_sequences(s.bits).weights,
    "merge": lambda s: merge(s.trees).weights,
    "align": lambda s: leaf_distributions(s.trees, 10),
    "huffman_lengths": lambda s: huffman_lengths(s.weights),
    "codewords": lambda s: s.code.codewords,
    "encode": lambda s: s.code.encode(s.message),
    "decode": lambda s: s.code.decode(s.code.encode(s.message)),
    "BlockCodec": lambda s: s.codec.decode(s.codec.encode(s.bits[:50].ravel())),
    "arithmetic": lambda s: arithmetic_decode(s.p, arithmetic_encode(s.p, s.message % 3000), len(s.message)),
    "ideal_code_length": lambda s: ideal_code_length(s.trees[1], 100, 8),
    "entropy": lambda s: entropy(s.p),
    "cross_entropy": lambda s: cross_entropy(s.p, s.q),
    "kl_divergence": lambda s: kl_divergence(s.p, s.q),
    "rates": lambda s: [m.rates(code=code) for m in (s.mixture, s.masses) for code in ("ideal", "huffman")],
    "kl": lambda s: [m.kl() for m in (s.mixture, s.masses)],
    "response": lambda s: [m.response() for m in (s.mixture, s.masses)],
    "overlap": lambda s: [m.overlap() for m in (s.mixture, s.masses)],
    "elasticity": lambda s: [(e.signs, e.certificate) for e in map(elasticity, (s.mixture, s.masses))],
    "published_form": lambda s: elasticity(published_form(s.counts, 10**9, 0.25)).signs,
    "response_curve": lambda s: response_curve(published_form(s.counts, 100, 0.25), [0.1, 0.3]),
    "depth_curve": lambda s: depth_curve(s.trees, [1, 2, 3], sizes=[100, 5, 1]),
    "springs": lambda s: (s.springs.extensions, s.springs.forces, s.springs.kl(reverse=True)),
    "pareto_limit": lambda s: pareto_limit([1.5, 2.5, 5], [1, 0.1, 0.01]),
    "ParetoMass.fit": lambda s: ParetoMass.fit(s.weights),
    "fit_tail": lambda s: fit_tail(s.weights),
}


@pytest.mark.parametrize("name", WORK)
def test_eight_threads_on_shared_objects_find_what_one_finds_alone(name):
    alone, shared = WORK[name](Shared()), Shared()
    barrier = Barrier(THREADS)

    def work(_: int) -> Any:
        barrier.wait()
        return WORK[name](shared)

    with ThreadPoolExecutor(THREADS) as pool:
        for found in pool.map(work, range(THREADS)):
            np.testing.assert_equal(found, alone)


def test_all_functions_at_once_do_not_disturb_each_other():
    alone = {name: work(Shared()) for name, work in WORK.items()}
    shared = Shared()
    with ThreadPoolExecutor(THREADS) as pool:
        running = [(name, pool.submit(WORK[name], shared)) for name in [*WORK, *reversed(WORK)]]
        for name, future in running:
            np.testing.assert_equal(future.result(), alone[name], err_msg=name)
