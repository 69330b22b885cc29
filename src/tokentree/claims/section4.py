"""Section 4 of the paper beside Theorem 4.2: what lies behind it, and what is read from it."""

import math
from collections.abc import Sequence
from fractions import Fraction
from itertools import product

import numpy as np

from ..information import kl_divergence
from ..mixtures import Mixture
from ..pareto import ParetoMass
from ..theorem import elasticity, published_form
from ..trees import leaf_distributions
from .evidence import PARETO_ALPHA, Evidence
from .ledger import Figure, Finding, Verdict
from .theorem_4_2 import _CLOSE, _relative
from .witness import witness


def thermodynamics(evidence: Evidence) -> Finding:
    """Gibbs-Duhem, reciprocity and concavity of the response."""
    figures: dict[str, Figure] = {}
    holds = True
    for corpus in evidence.corpora:
        mixture = Mixture.from_trees(corpus.trees, depth=4)
        response = mixture.response(base=math.e)
        counts = leaf_distributions(corpus.trees, depth=4, weights=True).tolist()
        sizes = [sum(row) for row in counts]
        exact = _exact_response(counts, sizes)
        worst = max(
            abs(float(Fraction(r) / e - 1))
            for line, exact_line in zip(response.tolist(), exact, strict=True)
            for r, e in zip(line, exact_line, strict=True)
        )
        balance = float(np.max(np.abs(response @ mixture.sizes) / (np.abs(response) @ mixture.sizes)))
        spectrum = np.linalg.eigvalsh(response)
        figures[f"{corpus.name}: largest relative error against rationals"] = worst
        figures[f"{corpus.name}: largest |R n| / (|R| n)"] = balance
        figures[f"{corpus.name}: largest eigenvalue / size of the smallest"] = float(
            spectrum[-1] / -spectrum[0]
        )
        holds &= worst < 1e-12 and balance < 1e-14 and spectrum[-1] < -1e-14 * spectrum[0]
        holds &= bool((response == response.T).all())
        holds &= all(sum(r * n for r, n in zip(line, sizes, strict=True)) == 0 for line in exact)
    return Finding(
        "gibbs-duhem",
        "R = d gamma_i / d n_t is symmetric, negative semidefinite, and R n = 0: sum n_i d gamma_i = 0.",
        "Behind Theorem 4.2",
        Verdict.HOLDS if holds else Verdict.FAILS,
        "gamma is the gradient of T H(q), which is homogeneous of degree 1 and concave in the sizes. So "
        "for any datasets at any depth the moves of the rates, each weighted by its dataset's size, add up"
        " to zero.",
        "proof; the library's R agrees with rationals on both corpora pruned to depth 4",
        figures,
        witness("gibbs-duhem"),
        short="sum n_i dgamma_i = 0, for any datasets",
        theorems=(
            "RateDerivatives.rate_derivative",
            "RateDerivatives.potential_derivative",
            "Response.reciprocity",
            "Response.response_negative_semidefinite",
            "Response.response_sizes",
            "Response.balance",
        ),
    )


def definition_4_1(evidence: Evidence) -> Finding:
    """Definition 4.1: the normalised rate."""
    figures: dict[str, Figure] = {}
    same = True
    for corpus in evidence.corpora:
        mixture = Mixture.from_trees(corpus.trees)
        shift = mixture.rates() - mixture.normalized_rates()
        grown = mixture.perturb(2, mixture.sizes[2])
        same &= bool(np.allclose(grown.rates() - grown.normalized_rates(), shift, rtol=1e-14, atol=0))
        alone = Mixture(corpus.counts[:1], [1]).normalized_rates()[0]
        figures[f"{corpus.name} pretrain: normalised rate of itself alone, bits"] = float(alone)
    figures["Pareto in the limit of many leaves, bits"] = ParetoMass(PARETO_ALPHA).normalized_self_rate()
    return Finding(
        "definition-4.1",
        "The normalised rate gamma_i - log M_i moves as the rate does, M_i being the number of leaves.",
        "Definition 4.1",
        Verdict.HOLDS if same else Verdict.FAILS,
        "M_i does not depend on any size, so every derivative of the normalised rate is that of the rate. "
        "The normalised rate of a dataset alone is minus its divergence from the uniform distribution on "
        "its leaves.",
        "proof; on both corpora the shift stays as the perturbation doubles",
        figures,
        witness("definition-4.1"),
        short="log M_i has no derivative",
    )


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
    figures["largest relative difference from -1000 (1 + 3l/k) / (1 - 2l)"] = worst
    return Finding(
        "section-4.2/example",
        "10^9 pre-training against 10^6 alignment tokens: the rates' changes are in the ratio 10^3.",
        "Section 4.2",
        Verdict.IN_A_LIMIT if worst < _CLOSE else Verdict.FAILS,
        "In magnitude, as l -> 0 in the published form with disjoint parts. The signs are opposite, which "
        "the printed ratio does not show, and at |D_t| = 4 10^5 the ratio is already 5 times larger.",
        "proof (closed form); measured",
        figures,
        witness("section-4.2/example"),
        short="-1002 at |D_t| = 10^3, -5006 at 4 10^5",
        theorems=("PublishedForm.published_ratio", "PublishedForm.published_signs"),
    )


def equation_3(evidence: Evidence) -> Finding:
    """Section 4.3, equation (3), with the divergence as printed."""
    figures: dict[str, Figure] = {}
    for corpus in evidence.corpora:
        for name, rows in (("", corpus.counts), (", disjoint", corpus.disjoint)):
            mixture = Mixture(rows, [1000, 1, 1])
            reverse = kl_divergence(mixture.joint, mixture.distributions[1])
            figures[f"{corpus.name}{name}: KL(model || D_a), bits"] = float(reverse)
            figures[f"{corpus.name}{name}: KL(D_a || model), bits"] = float(mixture.kl()[1])
    infinite = [value == math.inf for name, value in figures.items() if "disjoint: KL(model" in name]
    return Finding(
        "equation-3/as-printed",
        "|D_i| Delta KL(model || D_i) is the same for all datasets.",
        "Section 4.3, equation (3)",
        Verdict.FAILS if all(infinite) else Verdict.UNDECIDED,
        "The model gives mass to leaves that D_i lacks, so KL(model || D_i) is infinite for disjoint "
        "datasets, whatever the sizes, and has no change.",
        "exact computation (a counterexample)",
        figures,
        witness("equation-3/as-printed"),
        short="KL(model || D_i) is infinite",
    )


def equation_3_reversed(evidence: Evidence) -> Finding:
    """Section 4.3, equation (3), with the divergence the right way round."""
    figures: dict[str, Figure] = {}
    tends = True
    for corpus, l in product(evidence.corpora, (0.1, 0.001)):
        before, after = (published_form(corpus.disjoint, 1000, x) for x in (1e-6, 1e-6 + l))
        pull = before.sizes * (after.kl() - before.kl())
        figures[f"{corpus.name}, l = {l}: |D_p| Delta KL_p / (|D_a| Delta KL_a)"] = float(pull[0] / pull[1])
        tends &= abs(pull[0] / pull[1] + 1) < 2 * l
    return Finding(
        "equation-3/reversed",
        "|D_i| Delta KL(D_i || model) is the same for D_p and D_a, up to sign.",
        "Section 4.3, equation (3)",
        Verdict.IN_A_LIMIT if tends else Verdict.FAILS,
        "As l -> 0, in the published form. KL(D_i || model) is gamma_i - H(p_i), so its change is the "
        "rate's, and the conservation law says that the two differ by l gamma_t' alone.",
        "proof (conservation law); measured at k = 1000",
        figures,
        witness("equation-3/reversed"),
        short="KL(D_i || model), as l -> 0",
        theorems=("Rates.rate_split", "ThreeDatasets.law", "PublishedForm.published_ratio"),
    )


def springs_in_series(evidence: Evidence) -> Finding:
    """The introduction's springs in series."""
    del evidence
    return Finding(
        "introduction/springs",
        "Springs in series: extension F sum 1/k_i, stiffness (sum 1/k_i)^-1, and k_1 dl_1 = k_2 dl_2 = F.",
        "Sections 1 and 4.3",
        Verdict.HOLDS,
        "The same force acts in every spring, and extensions add.",
        "proof (Hooke's law)",
        {},
        witness("introduction/springs"),
        short="k_1 dl_1 = k_2 dl_2 = F",
        theorems=(
            "Springs.series_extension",
            "Springs.series_stiffness",
            "Springs.series_inverse_proportion",
        ),
    )


def _exact_response(counts: Sequence[Sequence[int]], sizes: Sequence[int]) -> list[list[Fraction]]:
    """R in nats by its definition (1 - S_it) / T, in rationals."""
    p = [[Fraction(count, sum(row)) for count in row] for row in counts]
    whole = sum(sizes)
    q = [
        sum(n * mass for n, mass in zip(sizes, column, strict=True)) / whole
        for column in zip(*p, strict=True)
    ]
    return [
        [(1 - sum((a * b / c for a, b, c in zip(one, two, q, strict=True)), Fraction())) / whole for two in p]
        for one in p
    ]
