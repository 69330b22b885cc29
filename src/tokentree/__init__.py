"""Token trees, joint compression and the elasticity theorem of language models, decided exactly.

The floors, each resting on those above it here: `information`; `tree`, `huffman`, `protocol`; `mixture`,
`pareto`; `elasticity` (Theorem 4.2), `depth`, `signmap`; `springs`, `alignment`; `claims` (the ledger).
`tokentree.adapters` reads language models, `tokentree.plotting` draws and `tokentree.symbolic` proves; import
them by name.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from . import _signals

if _signals.is_command():
    # Before the imports below: they take longest.
    _signals.take_over()

from ._bands import EOS, REST
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
from .protocol import BlockCodec, ideal_code_length
from .tree import Leaf, LeafKind, Leaves, TokenTree, align, merge

if TYPE_CHECKING:
    from .alignment import (
        AlignmentBudget,
        Rebound,
        ReboundFactor,
        Resistance,
        inverse_alignment_budget,
        least_alignment_budget,
        rebound_by_depth,
        rebound_by_pretraining,
        simulate_rebound,
        simulate_resistance,
    )
    from .arithmetic import arithmetic_decode, arithmetic_encode
    from .claims import Finding, Ledger, Verdict, verify
    from .depth import DepthCurve, ModelledDepth, depth_curve, modelled_depth
    from .explorer import Explorer, explore, explorer_mixture, write_explorer
    from .pareto import (
        ParetoAsymptotics,
        ParetoConvergence,
        ParetoLimit,
        ParetoMass,
        pareto_asymptotics,
        pareto_convergence,
        pareto_limit,
    )
    from .rates import ModelRates, model_rates
    from .signmap import SignMap, sign_map
    from .springs import ChainMotion, ChainState, FisherSprings, HookeInvariant, SpringChain
    from .tails import TailComparison, TailFit, fit_tail
    from .unexpanded import UnexpandedBounds, unexpanded_bounds

__version__ = "0.1.0"

__all__ = [
    "EOS",
    "REST",
    "AlignmentBudget",
    "BlockCodec",
    "ChainMotion",
    "ChainState",
    "ClosedForm",
    "DepthCurve",
    "Elasticity",
    "Explorer",
    "Finding",
    "FisherSprings",
    "HookeInvariant",
    "HuffmanCode",
    "Leaf",
    "LeafKind",
    "Leaves",
    "Ledger",
    "Mixture",
    "ModelRates",
    "ModelledDepth",
    "ParetoAsymptotics",
    "ParetoConvergence",
    "ParetoLimit",
    "ParetoMass",
    "Rebound",
    "ReboundFactor",
    "Resistance",
    "ResponseCurve",
    "SignMap",
    "SpringChain",
    "TailComparison",
    "TailFit",
    "TokenTree",
    "UnexpandedBounds",
    "Verdict",
    "align",
    "arithmetic_decode",
    "arithmetic_encode",
    "cross_entropy",
    "depth_curve",
    "elasticity",
    "entropy",
    "explore",
    "explorer_mixture",
    "fit_tail",
    "huffman_lengths",
    "ideal_code_length",
    "inverse_alignment_budget",
    "kl_divergence",
    "least_alignment_budget",
    "merge",
    "model_rates",
    "modelled_depth",
    "pareto_asymptotics",
    "pareto_convergence",
    "pareto_limit",
    "published_closed_change",
    "published_closed_form",
    "published_form",
    "rebound_by_depth",
    "rebound_by_pretraining",
    "response_curve",
    "sign_map",
    "simulate_rebound",
    "simulate_resistance",
    "three_dataset_form",
    "unexpanded_bounds",
    "verify",
    "write_explorer",
]

# Imported when first asked for: what coding data and deciding the theorem can do without. Not `elasticity`:
# importing that module later would put it in the place of the function.
_DEFERRED = {
    "alignment": [
        "AlignmentBudget",
        "Rebound",
        "ReboundFactor",
        "Resistance",
        "inverse_alignment_budget",
        "least_alignment_budget",
        "rebound_by_depth",
        "rebound_by_pretraining",
        "simulate_rebound",
        "simulate_resistance",
    ],
    "arithmetic": ["arithmetic_decode", "arithmetic_encode"],
    "claims": ["Finding", "Ledger", "Verdict", "verify"],
    "depth": ["DepthCurve", "ModelledDepth", "depth_curve", "modelled_depth"],
    "explorer": ["Explorer", "explore", "explorer_mixture", "write_explorer"],
    "pareto": [
        "ParetoAsymptotics",
        "ParetoConvergence",
        "ParetoLimit",
        "ParetoMass",
        "pareto_asymptotics",
        "pareto_convergence",
        "pareto_limit",
    ],
    "rates": ["ModelRates", "model_rates"],
    "signmap": ["SignMap", "sign_map"],
    "springs": ["ChainMotion", "ChainState", "FisherSprings", "HookeInvariant", "SpringChain"],
    "tails": ["TailComparison", "TailFit", "fit_tail"],
    "unexpanded": ["UnexpandedBounds", "unexpanded_bounds"],
}
_MODULES = {name: module for module, names in _DEFERRED.items() for name in names}

if not TYPE_CHECKING:  # a type checker would take it that every name exists

    def __getattr__(name: str) -> object:
        if name in _DEFERRED:
            return import_module(f".{name}", __name__)
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = globals()[name] = getattr(import_module(f".{_MODULES[name]}", __name__), name)
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
