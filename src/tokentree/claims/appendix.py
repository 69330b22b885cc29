"""The paper's appendix: what the proof of Theorem 4.2 assumes of leaf masses."""

import re
from collections import Counter

import numpy as np
from jaxtyping import Num

from ..pareto import fit_tail
from ..trees import TokenTree
from .evidence import Evidence, letter_windows, python_text
from .experiments import real_model
from .ledger import Figure, Finding, Verdict
from .witness import witness

REPLICATES = 50
"""Bootstrap replicates per fit, for its p-value."""


def text_masses() -> dict[str, Num[np.ndarray, "leaves"]]:
    """Leaf masses of Python's help, as letters, bits and words, and of a 3-gram model of its letters."""
    from ..adapters import read_model
    from ..models import NGramModel

    windows = letter_windows(2**17, 4)
    letters = TokenTree.from_sequences(windows, alphabet_size=27)
    topics = b"".join(path.read_bytes() for path in python_text()["topics"])
    bits = TokenTree.from_bytes(topics, depth=24)
    model = NGramModel.fit(windows, order=3, alphabet_size=27, end=False)
    words = Counter(re.findall(rb"[a-z]+", topics.lower()))
    return (
        {f"{depth} letters": letters.prune(depth).leaves().weight for depth in (1, 2, 3, 4)}
        | {f"{depth} bits": bits.prune(depth).leaves().weight for depth in (8, 16, 24)}
        | {"words": np.array(list(words.values()))}
        | {
            "3-gram model, 3 letters": read_model(
                model, 3, progress=False, keep_on_interrupt=False
            ).leaf_probabilities
        }
    )


def assumption_a_7(evidence: Evidence) -> Finding:
    """Assumption A.7, as stated on all leaves, and on the heaviest alone."""
    rng = np.random.default_rng(evidence.seed)
    figures: dict[str, Figure] = {}
    exponents, rejected, plausible = [], 0, 0
    masses = text_masses()
    for name, values in masses.items():
        every = fit_tail(values, threshold=float(values.min()), n_bootstrap=REPLICATES, rng=rng)
        tail = fit_tail(values, min_tail=10, n_bootstrap=REPLICATES, rng=rng)
        figures[f"{name}, all {every.n:,} leaves"] = (
            f"alpha {every.exponent:.2f}, distance {every.distance:.2f}, p {every.p_value:.2f}"
        )
        figures[f"{name}, the heaviest {tail.n_tail:,}, {tail.mass_share:.0%} of the mass"] = (
            f"alpha {tail.exponent:.2f} +- {tail.standard_error:.2f}, p {tail.p_value:.2f}"
        )
        exponents.append(every.exponent)
        rejected += every.plausible is False
        plausible += bool(tail.plausible)
    figures["trees on which a Pareto tail is plausible"] = plausible
    kept = {(row.case, row.depth, row.subject): row for row in real_model() if row.assumption == "A.7"}
    for (case, depth, subject), every_leaf in kept.items():
        if subject == "all":
            heaviest = kept[case, depth, "heaviest"]
            known = "all" if every_leaf.share == 1 else f"{every_leaf.share:.0%} of the mass known,"
            figures[f"SmolLM2 after {case!r}, depth {depth}, {known} {every_leaf.n:,} leaves"] = (
                f"alpha {every_leaf.exponent:.2f}, distance {every_leaf.distance:.2f}, "
                f"p {every_leaf.p_value:.2f}; the heaviest {heaviest.n:,}, {heaviest.share:.0%} of the "
                f"mass: alpha {heaviest.exponent:.2f}, p {heaviest.p_value:.2f}"
            )
    infinite = sum(alpha <= 1 for alpha in exponents)
    fails = rejected == infinite == len(masses)
    return Finding(
        "assumption-A.7",
        "Leaf masses of real datasets follow a Pareto distribution.",
        "Assumption A.7",
        Verdict.FAILS if fails else Verdict.UNDECIDED,
        "On the cases tried. Fitted to all observed leaves, as stated, a Pareto law is rejected on every "
        "tree tried, and its exponent is at most 1, so that its mean is infinite. Fitted to the heaviest "
        "leaves alone it is mostly not rejected, which says little where the tail has only ten leaves. Over "
        "a trained model's whole vocabulary it is rejected after each of three prompts; over the tokens "
        "with nearly all the mass it is plausible after two of them, with an exponent below 1.",
        "on the cases tried: trees of one text, Python's help, and of a model of it; maximum likelihood, "
        f"Kolmogorov-Smirnov distance, p-value of {REPLICATES} replicates (Clauset, Shalizi and Newman "
        "2009); SmolLM2-135M-Instruct as kept in real_model.csv, made by notebooks/real_model.py",
        figures,
        witness("assumption-A.7"),
        short=f"on the cases tried: rejected on {rejected} of {len(masses)} trees of real text",
    )
