"""The paper's claims, decided: each one run on real text and on synthetic Pareto trees.

`verify` returns a `Ledger`, one `Finding` a claim. A finding says what is claimed and where, what was found
and on what grounds, the figures, and a witness: a short Python program that shows the finding on its own and
fails if it is wrong.

Grounds are one of three. A *proof* covers every case, and the figures only illustrate it. An *exact
computation* settles the case at hand: a counterexample, or an identity between integers. Everything else is
said to hold *on the cases tried*, and never simply to hold. Where Coq has checked a proof, or a
part of it, the finding names the theorems.

Heavy imports that few functions need stand inside those functions.
"""

from collections.abc import Callable, Iterable

from .. import _checks
from . import appendix, section3, section4, section5
from .evidence import Corpus, Evidence, pareto_corpus, python_text, text_corpus
from .ledger import Figure, Finding, Ledger, Verdict

__all__ = [
    "CLAIMS",
    "Corpus",
    "Evidence",
    "Figure",
    "Finding",
    "Ledger",
    "Verdict",
    "pareto_corpus",
    "python_text",
    "text_corpus",
    "verify",
]

BY_ID: dict[str, Callable[[Evidence], Finding]] = {
    "introduction/springs": section4.springs_in_series,
    "source-coding": section3.source_coding,
    "section-3.1/log-loss": section3.log_loss,
    "section-3.1/sft-loss": section3.sft_loss,
    "section-3.1/extension": section4.extension,
    "definition-3.1": section3.definition_3_1,
    "assumption-3.2": section3.assumption_3_2,
    "definition-3.3": section3.definition_3_3,
    "theorem-3.4": section3.theorem_3_4,
    "theorem-3.4/within-a-bit": section3.theorem_3_4_within_a_bit,
    "mixture-formula": section3.mixture_formula,
    "rate-as-printed": section3.printed_rate,
    "rate-as-it-must-be": section3.rate,
    "definition-3.5": section5.definition_3_5,
    "definition-3.6": section5.definition_3_6,
    "definition-4.1": section4.definition_4_1,
    "gibbs-duhem": section4.thermodynamics,
    "theorem-4.2/published": section4.published,
    "theorem-4.2/published-overlapping": section4.published_overlapping,
    "theorem-4.2/ratio": section4.ratio,
    "theorem-4.2/three-datasets": section4.three_datasets,
    "theorem-4.2/three-datasets-condition": section4.three_datasets_condition,
    "theorem-4.2/many-leaves": section4.many_leaves,
    "theorem-4.2/depth": section4.depth,
    "theorem-4.2/huffman": section4.huffman_inequality,
    "section-4.2/example": section4.section_4_2,
    "equation-3/as-printed": section4.equation_3,
    "equation-3/reversed": section4.equation_3_reversed,
    "section-5.1/resistance": section5.resistance,
    "section-5.2/rebound": section5.rebound,
    "section-5.2/table-3": section5.needed,
    "section-5.3/factors": section5.rebound_factors,
    "assumption-A.7": appendix.assumption_a_7,
}
"""The claims that `verify` decides, by the id of their finding, in the order of the paper."""

CLAIMS: tuple[Callable[[Evidence], Finding], ...] = tuple(BY_ID.values())
"""The claims that `verify` decides, in the order of the paper."""


def verify(seed: int = 0, progress: bool = False, claims: Iterable[str] | None = None) -> Ledger:
    """Decide the paper's claims on real text and on synthetic Pareto trees.

    Parameters
    ----------
    seed : int
        Seed of the synthetic trees.
    progress : bool
        Show a progress bar on the terminal.
    claims : iterable of str, optional
        Ids of the claims to decide. A claim's finding does not depend on which others are decided. Default:
        all.

    Returns
    -------
    Ledger
        In the order of the paper.

    Raises
    ------
    ValueError
        If there is no claim of that id, before any is decided.
    FileNotFoundError
        If this Python keeps no sources on disk to read.

    Notes
    -----
    All claims take some seconds and less than 1 GiB.

    Examples
    --------
    >>> verify(claims=["introduction/springs"])[0].verdict.value
    'holds'
    """
    evidence = Evidence(_checks.integer("seed", seed, at_least=0))
    if isinstance(claims, str):
        raise TypeError(f"claims = {claims!r} is one id: pass a list of ids")
    wanted = list(BY_ID if claims is None else claims)
    for i, name in enumerate(wanted):
        if name not in BY_ID:
            near = [each for each in BY_ID if isinstance(name, str) and name in each] or list(BY_ID)
            raise ValueError(f"claims[{i}] = {name!r}: must be one of {', '.join(near)}")
    chosen = [claim for name, claim in BY_ID.items() if name in wanted]
    found = tuple(claim(evidence) for claim in _checks.tracked(chosen, "Deciding", progress))
    return Ledger(found, evidence.seed)
