"""The paper's claims, decided: each one run on real text and on synthetic Pareto trees.

`verify` returns a `Ledger` with one `Finding` per claim. A finding says what is claimed and where, what was
found and on what grounds, the figures, and a witness: a short Python program that shows the finding on its
own and fails if it is wrong.

Grounds are one of three. A *proof* covers every case, and the figures only illustrate it. An *exact
computation* settles the case at hand: a counterexample, or an identity between integers. Everything else is
said to hold *on the cases tried*, never simply to hold. Where Coq has checked a proof, or part of it, the
finding names the theorems.
"""

from .appendix import text_masses as text_masses
from .evidence import (
    TEXT_DEPTH as TEXT_DEPTH,
    Corpus,
    Evidence,
    class_trees as class_trees,
    pareto_corpus,
    python_text,
    text_corpus,
)
from .experiments import fine_tuned as fine_tuned, trained_transformer as trained_transformer
from .ledger import Figure, Finding, Ledger, Verdict, as_json as as_json, shown as shown
from .registry import BY_ID as BY_ID, CLAIMS, verify
from .source import SOURCE as SOURCE, as_map as as_map, in_section as in_section

__all__ = ["CLAIMS", "Corpus", "Evidence", "Figure", "Finding", "Ledger", "Verdict"]
__all__ += ["pareto_corpus", "python_text", "text_corpus", "verify"]
__dir__ = __all__.copy
