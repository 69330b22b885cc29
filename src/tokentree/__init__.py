"""Token trees, joint compression and the elasticity theorem of language models, decided exactly.

The floors, each resting on those above it here: `information`; `tree`, `huffman`, `protocol`; `mixture`,
`pareto`; `elasticity` (Theorem 4.2); `claims` (the ledger). `tokentree.plotting` draws; import it by name.
"""

from ._bands import EOS
from .claims import Finding, Ledger, Verdict, verify
from .elasticity import (
    ClosedForm,
    Elasticity,
    ResponseCurve,
    elasticity,
    published_closed_change,
    published_closed_form,
    published_form,
    response_curve,
    three_dataset_form,
)
from .huffman import HuffmanCode, huffman_lengths
from .information import cross_entropy, entropy, kl_divergence
from .mixture import Mixture
from .pareto import ParetoMass
from .protocol import BlockCodec, ideal_code_length
from .tree import Leaf, LeafKind, Leaves, TokenTree, align, merge

__version__ = "0.1.0"

__all__ = [
    "EOS",
    "BlockCodec",
    "ClosedForm",
    "Elasticity",
    "Finding",
    "HuffmanCode",
    "Leaf",
    "LeafKind",
    "Leaves",
    "Ledger",
    "Mixture",
    "ParetoMass",
    "ResponseCurve",
    "TokenTree",
    "Verdict",
    "align",
    "cross_entropy",
    "elasticity",
    "entropy",
    "huffman_lengths",
    "ideal_code_length",
    "kl_divergence",
    "merge",
    "published_closed_change",
    "published_closed_form",
    "published_form",
    "response_curve",
    "three_dataset_form",
    "verify",
]
