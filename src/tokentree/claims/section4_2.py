"""Section 4.2 of the paper: what it concludes from Theorem 4.2, for two datasets and for each."""

from fractions import Fraction
from itertools import product

import numpy as np

from ..mixtures import Mixture
from ..theorem import elasticity, published_form
from .evidence import Evidence
from .ledger import Figure, Finding, Verdict
from .theorem_4_2 import _CLOSE, _relative
from .witness import witness


def section_4_2(evidence: Evidence) -> Finding:
    """Section 4.2's example: 10^9 tokens against 10^6."""
    figures: dict[str, Figure] = {}
    worst = 0.0
    for corpus, tokens in product(evidence.corpora, (10**3, 10**5, 4 * 10**5)):
        l = Fraction(tokens, 10**6)
        found = elasticity(published_form(corpus.disjoint, 1000, l))
        moves = found.dgamma_align / found.dgamma_pretrain
        worst = max(worst, _relative(moves, -1000 * float((1 + 3 * l / 1000) / (1 - 2 * l))))
        figures[f"{corpus.name}, |D_t| = {tokens}: gamma_a' / gamma_p'"] = moves
    figures["it is -1000 (1 + 3l/k) / (1 - 2l) to 10^-9"] = worst < _CLOSE
    return Finding(
        "section-4.2/example",
        "With 10^9 pre-training and 10^6 alignment tokens, the changes of the rates are in the ratio 10^3.",
        "Section 4.2",
        Verdict.IN_A_LIMIT if worst < _CLOSE else Verdict.FAILS,
        "In magnitude, as l -> 0, in the published form with disjoint parts. The signs are opposite, which "
        "the printed ratio does not show, and at |D_t| = 4 10^5 the ratio is already 5 times larger.",
        "proof (closed form); measured",
        figures,
        witness("section-4.2/example"),
        short="-1002 at |D_t| = 10^3, -5006 at 4 10^5",
        theorems=("PublishedForm.published_ratio", "PublishedForm.published_signs"),
    )


def every_dataset(evidence: Evidence) -> Finding:
    """Sections 1, 4.2 and 6: whether every dataset's change is a constant divided by its size."""
    figures: dict[str, Figure] = {}
    equal = True
    for corpus in evidence.corpora:
        pretrain, align, perturb = corpus.counts
        mixture = Mixture(np.stack([pretrain, align, align, perturb]), [10**6, 10, 1, 1e-3])
        moves = mixture.response()[:, 3]
        equal &= bool(_relative(moves[1], float(moves[2])) < _CLOSE and moves[1] != 0)
        parts = mixture.sizes * moves / np.abs(mixture.sizes * moves).max()
        figures[f"{corpus.name}: |D_i| gamma_i' over the largest, |D_i| = 10^6, 10, 1, 0.001"] = ", ".join(
            f"{part:.4f}" for part in parts
        )
    figures["alignment sets of 10 and 1, same distribution: gamma' equal to 10^-9"] = equal
    return Finding(
        "section-4.2/every-dataset",
        "Under perturbation the rate of every dataset changes by Delta gamma_i = k / |D_i|, with one "
        "constant k.",
        "Sections 1, 4.2 and 6",
        Verdict.FAILS if equal else Verdict.UNDECIDED,
        "The change of a rate depends on the distribution of D_i and on the mixture, and not otherwise on "
        "|D_i|: two datasets with the same distribution and sizes 10 and 1 change by the same amount, and "
        "every dataset disjoint from the perturbation changes by 1/T per response, in nats. The constant "
        "takes both signs, for the weighted changes sum to 0.",
        "proof (dgamma_i / dn_t = (1 - S_it) / T contains n_i only through q and T); exact counterexample "
        "in the witness; measured on both corpora",
        figures,
        witness("section-4.2/every-dataset"),
        short="a law about the ratio of two datasets",
        charitable="It is a law about two datasets: if there are only D_p, D_a and a small perturbation, "
        "and one of the two has every leaf of the perturbation, their changes are in inverse proportion to "
        "their sizes, with opposite signs, to first order in the size of the perturbation.",
        theorems=("RateDerivatives.rate_derivative", "Response.balance", "ThreeDatasets.ratio_law"),
    )


def smaller_moves_more(evidence: Evidence) -> Finding:
    """Section 4.2: whether smaller datasets change more."""
    figures: dict[str, Figure] = {}
    still = True
    for corpus in evidence.corpora:
        sizes = corpus.counts.sum(axis=1)
        # A dataset of size 1 distributed as all data has the distribution of the model, before and after it
        # is added.
        mixture = Mixture(np.stack([*corpus.counts, corpus.counts.sum(axis=0)]), [*sizes.tolist(), 1])
        moves = np.abs(mixture.response()[:, 2])
        still &= bool(moves[3] < _CLOSE * moves[:3].min())
        figures[f"{corpus.name}: |gamma_i'| over the largest, |D_i| = {', '.join(map(str, sizes))}, 1"] = (
            ", ".join(f"{move:.4f}" for move in moves / moves.max())
        )
    figures["the dataset of size 1 moves by less than 10^-9 of any other"] = still
    return Finding(
        "section-4.2/smaller-moves-more",
        "The smaller a dataset, the larger the change of its rate under perturbation.",
        "Section 4.2",
        Verdict.FAILS if still else Verdict.UNDECIDED,
        "The rate of a dataset that is distributed as the model does not change at all, however small the "
        "dataset, and that of one disjoint from the perturbation changes equally at any size for a given "
        "total. Of several alignment sets the smallest need not change most.",
        "exact computation (a counterexample); measured on both corpora with a dataset of size 1, "
        "distributed as all data",
        figures,
        witness("section-4.2/smaller-moves-more"),
        short="one of size 1 need not move",
        charitable="For two datasets alone, one of them growing, the smaller changes more, exactly in "
        "inverse proportion: n_1 gamma_1' = -n_2 gamma_2'. The same is true of D_p and D_a if the signs of "
        "Theorem 4.2 hold: |gamma_a'| >= k |gamma_p'|.",
        theorems=("Response.balance", "ThreeDatasets.ratio_ge1"),
    )
