"""Definitions 3.5 and 3.6 and section 5: training after training, by counts and with fixed steps.

The paper measured real language models. What is decided here is what the token-tree model says: whether its
definitions can hold, and whether its findings follow.
"""

from functools import partial

import numpy as np

from ..alignment import (
    PAPER_NEEDED,
    POSITIVE,
    REGIMES,
    inverse_alignment_budget,
    least_alignment_budget,
    rebound_by_depth,
    rebound_by_pretraining,
    simulate_rebound,
    simulate_resistance,
)
from ..mixtures import Mixture
from ..theorem import published_form
from .evidence import Corpus, Evidence
from .ledger import Figure, Finding, Verdict
from .witness import witness

K = 1000
"""|D_p| / |D_a| where a simulation needs one."""


def _aligned(corpus: Corpus) -> Mixture:
    """The corpus with |D_a| = 1000 and |D_p| = K |D_a|."""
    return Mixture(corpus.counts, [K * 1000, 1000, 1000])


def definition_3_5(evidence: Evidence) -> Finding:
    """Definition 3.5: the least data that undo half of the alignment, in total variation."""
    figures: dict[str, Figure] = {}
    costly, cheap = True, True
    for corpus in evidence.corpora:
        mixture = _aligned(corpus)
        half = inverse_alignment_budget(mixture, 0, inverse="D1").before / 2
        own = inverse_alignment_budget(mixture, half, inverse="D1").ratio
        best = least_alignment_budget(mixture, half).ratio
        exact = least_alignment_budget(mixture, 0).ratio
        costly &= best > 0.1 and own > K
        figures[f"{corpus.name}, by counts: |D_b| / |D_a| to undo half, the best D_b"] = best
        figures[f"{corpus.name}, by counts: to undo half, D_b like D_p"] = own
        figures[f"{corpus.name}, by counts: to undo all, the best D_b"] = exact
        for speed in (0.1, 100.0):
            steps = partial(
                inverse_alignment_budget, mixture, inverse="D1", regime="fine-tuning", step=speed / 1000
            )
            ratio = steps(steps(0).before / 2).ratio
            figures[f"{corpus.name}, fixed steps, eta |D_a| = {speed:g}: to undo half, D_b like D_p"] = ratio
        cheap &= ratio < 0.01
    return Finding(
        "definition-3.5",
        "Inverse alignment: some D_b, |D_b| << |D_a|, brings the aligned model back within epsilon.",
        "Definition 3.5",
        Verdict.UNDER_A_CONDITION if costly and cheap else Verdict.UNDECIDED,
        "In total variation. By counts, undoing a share 1 - f of the distance takes every D_b at least "
        "(1 - f) TV / (1 + f TV) of |D_a|, TV being that between p_a and p_p: it can be << |D_a| only if the "
        "two are close. With fixed steps it is, after an alignment that is long beside 1 / eta: the model "
        "forgets.",
        "proof (docs/alignment.md); measured on both corpora",
        figures,
        witness("definition-3.5"),
        short="fixed steps; by counts if p_a is near p_p",
    )


def definition_3_6(evidence: Evidence) -> Finding:
    """Definition 3.6: exact restoration, and the gain of D_a alone."""
    figures: dict[str, Figure] = {}
    for corpus in evidence.corpora:
        ratio = least_alignment_budget(_aligned(corpus), 0).ratio
        figures[f"{corpus.name}: least |D_b| / |D_a| that restores the model exactly, by counts"] = ratio
    thirds = published_form(np.eye(3, dtype=np.int64), K, 1)
    gain = inverse_alignment_budget(thirds, 0, distance="rate").ratio
    figures["published form, disjoint thirds: |D_t| / |D_a| that undoes the gain of gamma_a"] = gain
    away = inverse_alignment_budget(thirds, 0)
    figures["published form: share of the total variation that no amount of D_t undoes"] = (
        away.limit / away.before
    )
    return Finding(
        "definition-3.6",
        "Elasticity: a simple operation with |D_b| << |D_a| undoes the alignment to within a constant.",
        "Definition 3.6",
        Verdict.UNDER_A_CONDITION if abs(gain - 2) < 1e-9 else Verdict.UNDECIDED,
        "By counts exact restoration takes at least max(p_a / p_p) - 1 times |D_a|, with the best of all D_b;"
        " in the published form undoing the gain of gamma_a by D_t takes m - 1 times |D_a|, 2 in the paper, "
        "whatever k. So the theorem's rates do not give the definition. Fixed-step fine-tuning does, once "
        "eta |D_a| >> 1, for a reason of its own.",
        "proof (docs/alignment.md); exact counterexample in the witness",
        figures,
        witness("definition-3.6"),
        short="fixed steps; by counts it takes 2 |D_a|",
        theorems=("EndOfAlignment.exact_restoration", "EndOfAlignment.undoing_the_gain"),
    )


def resistance(evidence: Evidence) -> Finding:
    """Section 5.1: which direction is easier, by training loss and by excess loss."""
    figures: dict[str, Figure] = {}
    entropies = True
    for corpus in evidence.corpora:
        found = simulate_resistance(_aligned(corpus))
        entropies &= bool(found.decided_by_entropy.all())
        for r, regime in enumerate(REGIMES):
            for k, pair in enumerate(found.pairs):
                figures[
                    f"{corpus.name}, {regime}, {pair[0]} and {pair[1]}: gap of training loss, of excess"
                ] = f"{found.loss_gap[r, k]:+.2g}, {found.excess_gap[r, k]:+.2g}"
    return Finding(
        "section-5.1/resistance",
        "Inverse alignment is easier than forward alignment.",
        "Section 5.1, Table 1",
        Verdict.UNDER_A_CONDITION if entropies else Verdict.UNDECIDED,
        "By training loss, which Table 1 compares, the entropies of the targets decide as a rule: inverse "
        "alignment looks easier where alignment made the answers more varied, and harder where it made them "
        "less. By excess loss, the training itself, it is easier by counts with k >> 1 where D_p has all "
        "leaves of D_a and p_a / p_p is skewed to the right.",
        "proof to leading order (docs/alignment.md); on the cases tried, both corpora, the entropies decide "
        "every pair; gaps in bits per block, positive where inverse alignment is easier",
        figures,
        witness("section-5.1/resistance"),
        short="as a rule the entropies decide",
    )


def rebound(evidence: Evidence) -> Finding:
    """Section 5.2: whether the first fall is faster after more positive data."""
    figures: dict[str, Figure] = {}
    level = True
    for corpus in evidence.corpora:
        found = simulate_rebound(_aligned(corpus))
        level &= bool(found.levels_off.all())
        for r, regime in enumerate(REGIMES):
            drops = ", ".join(f"{drop:.4g}" for drop in found.first_drop[r])
            figures[f"{corpus.name}, {regime}: first fall after {', '.join(map(str, POSITIVE))}"] = drops
        figures[f"{corpus.name}: score before the alignment"] = found.score_pretrain
    return Finding(
        "section-5.2/rebound",
        "The more positive data a model was aligned on, the faster its score falls under negative data, and "
        "then the fall slows down.",
        "Section 5.2",
        Verdict.UNDER_A_CONDITION if level else Verdict.UNDECIDED,
        "The fall slows down in both regimes. By counts more positive data make its beginning faster exactly "
        "while the score is below 1/2, and slower above. With fixed steps they do where D_p has no leaves "
        "beside those of D_a and D_t, and alignment raised the score.",
        "proof (docs/alignment.md); measured on both corpora, score being D_a's share of the model's mass on "
        "the leaves of D_a and D_t",
        figures,
        witness("section-5.2/rebound"),
        short="by counts while the score is below 1/2",
    )


def needed(evidence: Evidence) -> Finding:
    """Table 3: negative examples needed after more positive ones."""
    figures: dict[str, Figure] = {
        f"paper, {model}, after {', '.join(map(str, POSITIVE))}": ", ".join(map(str, examples))
        for model, examples in PAPER_NEEDED.items()
    }
    falls = False
    for corpus in evidence.corpora:
        found = simulate_rebound(_aligned(corpus))
        falls |= bool(found.needed_falls.any())
        for r, regime in enumerate(REGIMES):
            figures[f"{corpus.name}, {regime}"] = ", ".join(f"{n:.0f}" for n in found.needed[r])
    return Finding(
        "section-5.2/table-3",
        "The more positive data a model was aligned on, the fewer negative examples bring it back.",
        "Table 3",
        Verdict.UNDECIDED if falls else Verdict.FAILS,
        "Not reproduced. By counts the number needed is proportional to the positive data; with fixed steps "
        "it grows towards a limit. In neither can it fall, on any data: what makes it fall in the paper's "
        "models is not in the token tree.",
        "proof (docs/alignment.md); measured on both corpora, back to the score before the alignment",
        figures,
        witness("section-5.2/table-3"),
        short="more positive data need more negative",
        theorems=("Star.star_theorem_counts", "Star.star_theorem_fixed_steps"),
    )


def rebound_factors(evidence: Evidence) -> Finding:
    """Section 5.3: rebound against depth and against |D_p|."""
    figures: dict[str, Figure] = {}
    data_grow = False
    for corpus in evidence.corpora:
        deep = rebound_by_depth(corpus.trees, depths=range(3, corpus.trees[0].depth + 1))
        data = rebound_by_pretraining(_aligned(corpus), sizes=[1e5, 1e6, 1e7])
        for regime in REGIMES:
            for name, found in ("depth", deep), ("|D_p|", data):
                law = found.fit(regime)
                figures[f"{corpus.name}, {regime}: exponent of the first fall in {name}"] = (
                    f"{law.exponent:.3f} +- {law.exponent_error:.3f}"
                )
        data_grow |= bool(data.grows.any())
    return Finding(
        "section-5.3/factors",
        "Rebound grows with model size and with pre-training data.",
        "Section 5.3",
        Verdict.UNDECIDED if data_grow else Verdict.FAILS,
        "With pre-training data it does not: by counts the first fall is inversely proportional to |D_p|, "
        "with fixed steps it does not depend on it. With the depth of the tree, for a model's size, it grows "
        "mostly, not at every step.",
        "proof for |D_p| (docs/alignment.md); exact counterexample in the witness; measured on both corpora",
        figures,
        witness("section-5.3/factors"),
        short="the opposite in |D_p|",
    )
