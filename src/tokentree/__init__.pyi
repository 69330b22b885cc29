from . import (
    adapters as adapters,
    alignment as alignment,
    claims as claims,
    cli as cli,
    codes as codes,
    explorer as explorer,
    information as information,
    mixtures as mixtures,
    models as models,
    pareto as pareto,
    plotting as plotting,
    springs as springs,
    strategies as strategies,
    symbolic as symbolic,
    theorem as theorem,
    training as training,
    trees as trees,
)
from .adapters import read_along as read_along, read_model as read_model
from .alignment import (
    inverse_alignment_budget as inverse_alignment_budget,
    least_alignment_budget as least_alignment_budget,
    rebound_by_depth as rebound_by_depth,
    rebound_by_pretraining as rebound_by_pretraining,
    simulate_rebound as simulate_rebound,
    simulate_resistance as simulate_resistance,
)
from .claims import Ledger as Ledger, Verdict as Verdict, verify as verify
from .codes import (
    BlockCodec as BlockCodec,
    HuffmanCode as HuffmanCode,
    arithmetic_decode as arithmetic_decode,
    arithmetic_encode as arithmetic_encode,
    huffman_lengths as huffman_lengths,
    ideal_code_length as ideal_code_length,
)
from .explorer import explore as explore, write_explorer as write_explorer
from .information import cross_entropy as cross_entropy, entropy as entropy, kl_divergence as kl_divergence
from .mixtures import Mixture as Mixture, unexpanded_bounds as unexpanded_bounds
from .models import model_rates as model_rates, modelled_depth as modelled_depth
from .pareto import (
    ParetoMass as ParetoMass,
    fit_tail as fit_tail,
    pareto_limit as pareto_limit,
    sign_map as sign_map,
)
from .springs import FisherSprings as FisherSprings, SpringChain as SpringChain
from .theorem import (
    Elasticity as Elasticity,
    depth_curve as depth_curve,
    elasticity as elasticity,
    published_form as published_form,
    response_curve as response_curve,
    three_dataset_form as three_dataset_form,
)
from .training import MixingLaw as MixingLaw, TrainingRuns as TrainingRuns
from .trees import (
    EOS as EOS,
    REST as REST,
    LeafKind as LeafKind,
    TokenTree as TokenTree,
    leaf_distributions as leaf_distributions,
    merge as merge,
)

__version__: str
