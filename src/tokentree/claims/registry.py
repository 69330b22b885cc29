"""The claims by id, and the function that decides them."""

from collections.abc import Callable, Iterable

from .._lib import checks
from .._lib.progress import tracked
from . import (
    appendix,
    gradient_descent,
    section3,
    section3_1,
    section4,
    section4_2,
    section5,
    theorem_4_2,
    trained,
    training,
)
from .evidence import Evidence
from .ledger import Finding, Ledger

BY_ID: dict[str, Callable[[Evidence], Finding]] = {
    "introduction/springs": section4.springs_in_series,
    "source-coding": section3_1.source_coding,
    "section-3.1/log-loss": section3_1.log_loss,
    "section-3.1/sft-loss": section3_1.sft_loss,
    "section-3.1/loss-and-rate": section3_1.loss_and_rate,
    "section-3.1/extension": section3_1.extension,
    "definition-3.1": section3.definition_3_1,
    "assumption-3.2": section3.assumption_3_2,
    "definition-3.3": section3.definition_3_3,
    "theorem-3.4": section3.theorem_3_4,
    "theorem-3.4/plain-bracket": section3.theorem_3_4_plain,
    "theorem-3.4/within-a-bit": section3.theorem_3_4_within_a_bit,
    "mixture-formula": section3.mixture_formula,
    "rate-as-printed": section3.printed_rate,
    "rate-per-response": section3.rate_per_response,
    "rate-as-it-must-be": section3.rate,
    "rate-per-token": section3.rate_per_token,
    "definition-3.5": section5.definition_3_5,
    "definition-3.6": section5.definition_3_6,
    "section-4/larger-dataset": section4.larger_dataset,
    "definition-4.1": section4.definition_4_1,
    "definition-4.1/comparable": section4.comparable,
    "gibbs-duhem": section4.thermodynamics,
    "theorem-4.2/published": theorem_4_2.published,
    "theorem-4.2/published-overlapping": theorem_4_2.published_overlapping,
    "theorem-4.2/ratio": theorem_4_2.ratio,
    "theorem-4.2/three-datasets": theorem_4_2.three_datasets,
    "theorem-4.2/three-datasets-condition": theorem_4_2.three_datasets_condition,
    "theorem-4.2/many-leaves": theorem_4_2.many_leaves,
    "theorem-4.2/depth": theorem_4_2.depth,
    "theorem-4.2/huffman": theorem_4_2.huffman_inequality,
    "theorem-4.2/any-model": trained.angle,
    "theorem-4.2/trained-transformer": trained.transformer,
    "trained/slopes": trained.slopes,
    "trained/response": trained.response,
    "trained/regularizer": trained.regularizer,
    "trained/stopped-early": trained.stopped_early,
    "trained/temperature": trained.temperature,
    "training-runs/law": training.runs_obey,
    "training-runs/inverse-proportion": training.inverse_proportion,
    "section-4.2/example": section4_2.section_4_2,
    "section-4.2/every-dataset": section4_2.every_dataset,
    "section-4.2/smaller-moves-more": section4_2.smaller_moves_more,
    "equation-3/as-printed": section4.equation_3,
    "equation-3/reversed": section4.equation_3_reversed,
    "section-5/near-the-start": section5.near_the_start,
    "section-5/back-to-the-start": section5.back_to_the_start,
    "section-5.1/resistance": section5.resistance,
    "section-5.1/gradient-descent": gradient_descent.resistance_by_descent,
    "section-5.2/rebound": section5.rebound,
    "section-5.2/gradient-descent": gradient_descent.rebound_by_descent,
    "section-5.2/table-3": section5.needed,
    "section-5.2/table-3-gradient-descent": gradient_descent.needed_by_descent,
    "section-5.3/factors": section5.rebound_factors,
    "section-5.3/gradient-descent": gradient_descent.factors_by_descent,
    "section-5.3/later-decline": section5.later_decline,
    "section-5.3/additive-law": section5.additive_law,
    "trained/le-chatelier": trained.le_chatelier,
    "training-runs/elasticity-and-scale": training.elasticity_and_scale,
    "limitations/threshold": theorem_4_2.threshold,
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
        Ids of the claims to decide; the finding on a claim does not depend on the others. Default: all.

    Returns
    -------
    Ledger
        In the order of the paper.

    Raises
    ------
    ValueError
        If no claim has one of the ids; raised before any claim is decided.
    FileNotFoundError
        If this Python has no sources on disk to read.

    Notes
    -----
    All claims together take some seconds and less than 1 GiB.

    Examples
    --------
    >>> verify(claims=["introduction/springs"])[0].verdict.value
    'holds'
    """
    if isinstance(seed, str):
        raise TypeError(f"seed = {seed!r}: must be an integer >= 0; choose claims by claims=[{seed!r}]")
    evidence = Evidence(checks.integer("seed", seed, at_least=0))
    if isinstance(claims, str):
        raise TypeError(f"claims = {claims!r} is one id: pass a list of ids")
    wanted = list(BY_ID if claims is None else claims)
    for i, name in enumerate(wanted):
        if name not in BY_ID:
            near = [each for each in BY_ID if isinstance(name, str) and name in each] or list(BY_ID)
            raise ValueError(f"claims[{i}] = {name!r}: must be one of {', '.join(near)}")
    chosen = [claim for name, claim in BY_ID.items() if name in wanted]
    found = tuple(claim(evidence) for claim in tracked(chosen, "Deciding", progress))
    return Ledger(found, evidence.seed)
