"""The map of the source: the checkable statements of each section, and the claims that decide them.

The source is a review of the paper, and some sentences may be the review's own. The wording is ours. A
statement that is repeated is listed once, under the section that states it most precisely; motivation and
reports of others' work are not listed.
"""

from typing import NamedTuple

from .ledger import Ledger, cell
from .notation import as_tex


class Statement(NamedTuple):
    """A sentence of the source, and the ids of the claims that decide it."""

    says: str
    claims: tuple[str, ...]


SOURCE: dict[str, tuple[Statement, ...]] = {
    "1 Introduction": (
        Statement(
            "The change of each dataset's rate is inversely proportional to its size.",
            ("section-4.2/every-dataset",),
        ),
        Statement(
            "Springs in series share one force, and their extensions and compliances add.",
            ("introduction/springs",),
        ),
    ),
    "3.1 Preliminaries": (
        Statement("The SFT loss is KL(p_theta || p_SFT) plus a constant.", ("section-3.1/sft-loss",)),
        Statement("No uniquely decodable code is shorter than the entropy.", ("source-coding",)),
        Statement(
            "Arithmetic coding with a model costs its log-loss.",
            ("section-3.1/log-loss", "section-3.1/extension"),
        ),
        Statement(
            "Minimising the log-loss is minimising the compression rate.", ("section-3.1/loss-and-rate",)
        ),
    ),
    "3.2 The compression protocol": (
        Statement("The weight of a node of a token tree is the sum of its children's.", ("definition-3.1",)),
        Statement(
            "The depth to which a model knows the tree grows with its size (Assumption 3.2).",
            ("assumption-3.2",),
        ),
        Statement(
            "Pruning and Huffman coding is lossless and optimal (Definition 3.3).",
            ("definition-3.3", "source-coding"),
        ),
        Statement(
            "The expected code length of a response is that of Theorem 3.4.",
            ("theorem-3.4", "theorem-3.4/plain-bracket", "theorem-3.4/within-a-bit"),
        ),
        Statement("The joint tree's weights are the mean weighted by size.", ("mixture-formula",)),
        Statement(
            "The compression rate is E[L / |x|], of the order of -sum p_i log p_i / d.",
            ("rate-per-response", "rate-as-printed", "rate-as-it-must-be", "rate-per-token"),
        ),
    ),
    "3.3 The definition of elasticity": (
        Statement(
            "Inverse alignment: some D_b much smaller than D_a undoes the alignment.", ("definition-3.5",)
        ),
        Statement(
            "Elasticity: a simple operation undoes the alignment to within a constant.", ("definition-3.6",)
        ),
    ),
    "4 Why elasticity affects alignment": (
        Statement(
            "Every representative set is likelier under the larger dataset than under the smaller.",
            ("section-4/larger-dataset",),
        ),
        Statement(
            "Some are likelier under the smaller, which makes inverse alignment possible.",
            ("section-4/larger-dataset", "definition-3.5"),
        ),
    ),
    "4.1 Formal derivation": (
        Statement("The normalised rate is gamma_i - log M_i.", ("definition-4.1",)),
        Statement(
            "Normalised rates are comparable across datasets: the smaller, the better compressed.",
            ("definition-4.1/comparable",),
        ),
        Statement(
            "gamma_p' < 0 < gamma_a' for l << 1 << k and Pareto masses (Theorem 4.2).",
            (
                "theorem-4.2/published",
                "theorem-4.2/published-overlapping",
                "theorem-4.2/three-datasets",
                "theorem-4.2/three-datasets-condition",
                "theorem-4.2/many-leaves",
                "theorem-4.2/any-model",
                "theorem-4.2/trained-transformer",
            ),
        ),
        Statement(
            "gamma_a' = Theta(-k gamma_p') (Theorem 4.2).",
            ("theorem-4.2/ratio", "theorem-4.2/huffman", "training-runs/inverse-proportion"),
        ),
    ),
    "4.2 Elasticity and inverse alignment": (
        Statement("The smaller a dataset, the larger its change.", ("section-4.2/smaller-moves-more",)),
        Statement("10^9 tokens and 10^6: the changes are as 1 to 10^3.", ("section-4.2/example",)),
    ),
    "4.3 Elasticity and Hooke's law": (
        Statement(
            "|D_i| times the change of KL(model || D_i), or the KL itself, is the same force for all "
            "(equation 3).",
            ("equation-3/as-printed", "equation-3/reversed"),
        ),
    ),
    "5 How elasticity resists alignment": (
        Statement("A model stays within epsilon of its pre-training.", ("section-5/near-the-start",)),
        Statement(
            "Inverse fine-tuning brings it back, KL(P_t || P_0) -> 0.", ("section-5/back-to-the-start",)
        ),
    ),
    "5.1 Resistance": (
        Statement(
            "Inverse alignment has the lower training loss for every pair of slices (Table 1).",
            ("section-5.1/resistance", "section-5.1/gradient-descent"),
        ),
    ),
    "5.2 Rebound": (
        Statement(
            "After more positive data the first fall is faster, and then slows down.",
            ("section-5.2/rebound", "section-5.2/gradient-descent"),
        ),
        Statement(
            "It levels off because the model approaches its pre-trained state.",
            ("section-5/back-to-the-start",),
        ),
        Statement("Other algorithms, among them DPO, rebound similarly.", ("section-5.2/gradient-descent",)),
        Statement(
            "After more positive data fewer negative examples bring the model back (Table 3).",
            ("section-5.2/table-3", "section-5.2/table-3-gradient-descent"),
        ),
    ),
    "5.3 Internal factors of rebound": (
        Statement(
            "The first fall is faster in larger models and after more pre-training.",
            ("section-5.3/factors", "section-5.3/gradient-descent"),
        ),
        Statement("Their later decline is slower.", ("section-5.3/later-decline",)),
        Statement("R is approximately alpha Size^beta + gamma Data^delta.", ("section-5.3/additive-law",)),
        Statement(
            "Larger models are more elastic.",
            ("section-5.3/factors", "section-5.3/gradient-descent", "training-runs/elasticity-and-scale"),
        ),
        Statement(
            "More pre-training gives a stronger rebound, in agreement with Theorem 4.2.",
            ("theorem-4.2/published", "limitations/threshold", "section-5.3/factors"),
        ),
    ),
    "Limitations": (
        Statement(
            "There may be a threshold of pre-training data above which elasticity appears (future work).",
            ("limitations/threshold",),
        ),
    ),
    "Appendix": (Statement("Leaf masses are Pareto (Assumption A.7).", ("assumption-A.7",)),),
    "What lies behind": (
        Statement("Changes of rates balance, and the response is symmetric.", ("gibbs-duhem",)),
        Statement("Verdicts do not depend on the depth of pruning.", ("theorem-4.2/depth",)),
        Statement("A model that contains another responds at least as strongly.", ("trained/le-chatelier",)),
        Statement(
            "The same holds for any models at their optimum.",
            (
                "trained/slopes",
                "trained/response",
                "trained/regularizer",
                "trained/stopped-early",
                "trained/temperature",
                "training-runs/law",
            ),
        ),
    ),
}
"""Statements by section, in the order of the source; the last section is added by this library."""


def in_section(section: str) -> tuple[str, ...]:
    """Claims of the sections whose number begins with `section`, or whose heading contains it.

    Raises
    ------
    ValueError
        If there is none.
    """
    wanted = section.lower().strip()
    found = [
        heading
        for heading in SOURCE
        if _number(heading) == wanted or _number(heading).startswith(f"{wanted}.")
    ] or [heading for heading in SOURCE if wanted[:1].isalpha() and wanted in heading.lower()]
    if not found:
        raise ValueError(f"section = {section!r}: must be one of {', '.join(map(repr, SOURCE))}")
    return tuple(dict.fromkeys(id for heading in found for each in SOURCE[heading] for id in each.claims))


def as_map(ledger: Ledger) -> str:
    """The map as a page of documentation: every statement with the verdicts on it."""
    lines = []
    for heading, statements in SOURCE.items():
        lines += [f"## {heading}", "", "| it says | decided by | verdict |", "| --- | --- | --- |"]
        for says, claims in statements:
            rows = [ledger[each] for each in claims]
            links = "<br>".join(f"[{row.id}](ledger.md#{row.anchor})" for row in rows)
            verdicts = "<br>".join(row.verdict for row in rows)
            lines.append(f"| {cell(as_tex(says))} | {links} | {verdicts} |")
        lines.append("")
    return "\n".join(lines)


def _number(heading: str) -> str:
    """The number of a section, or its first word."""
    return heading.split()[0].lower()
