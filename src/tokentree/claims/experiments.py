"""Tables of experiments too long to repeat whenever a claim is decided, as their scripts wrote them."""

import csv
import math
from collections.abc import Callable, Mapping
from importlib import resources
from typing import Any, Literal, NamedTuple


class Trained(NamedTuple):
    """A transformer trained from scratch, and its distance from the data at one depth."""

    width: int
    parameters: int
    depth: int
    kl_bits: float
    entropy_bits: float


def growing_transformers() -> list[Trained]:
    """The results of ``notebooks/growing_transformers.py``, by size and depth; it takes some minutes."""
    return [Trained(*row) for row in _rows("growing_transformers.csv", Trained.__annotations__)]


class FineTuned(NamedTuple):
    """One measurement on transformers that were pre-trained, aligned and trained back, averaged over seeds.

    The fields are described at the top of ``notebooks/fine_tuning.py``. The rate is NaN for training by
    counts, and the error for a single value. Losses and distances are in nats per window.
    """

    experiment: str
    positive: str
    method: str
    optimizer: str
    rate: float
    width: int
    pretrained: int
    case: str
    examples: int
    measure: str
    seeds: int
    mean: float
    error: float


def fine_tuned() -> list[FineTuned]:
    """The results of ``notebooks/fine_tuning.py`` for section 5; it takes half an hour."""
    return [FineTuned(*row) for row in _rows("fine_tuning.csv", FineTuned.__annotations__)]


Source = Literal["predicted", "retrained", "tree"]
"""Where a response comes from: -G^T H^-1 G, retraining, or the token tree."""


class TransformerResponse(NamedTuple):
    """Responses of the rates to sizes k : 1 : l, of a transformer at its optimum and of the token tree.

    Responses are d gamma_i / d n_t in nats per window of four characters and per unit of size; the alignment
    data are one unit. All are NaN where no minimum was found.

    Attributes
    ----------
    form : "apart" or "overlapping"
        Three separate texts; or all three in equal parts for pre-training, and two of them again.
    pretrain, align, perturb : str
        The texts.
    k, l : float
        Sizes of the pre-training and the perturbation data.
    limit : float
        The limit of l in the overlapping form: below it the token tree has Theorem 4.2's signs, at large k.
        NaN for "apart".
    parameters : int
        Number of parameters of the transformer.
    decay : float
        Weight of the regularizer, which is half the sum of squared parameters.
    status : "minimum", "saddle" or "not converged"
        What training found.
    residual : float
        Norm of the gradient divided by the total size.
    rate_pretrain, rate_align, rate_perturb : float
        The transformer's rates in nats per window.
    tree_rate_pretrain, tree_rate_align, tree_rate_perturb : float
        The token tree's.
    predicted_pp, predicted_pa, predicted_pt, predicted_aa, predicted_at, predicted_tt : float
        Response of the transformer, -G^T H^-1 G.
    retrained_pt, retrained_at, retrained_tt : float
        Response of the transformer, from retraining at two sizes of the perturbation data; NaN where that
        reached no minimum.
    tree_pp, tree_pa, tree_pt, tree_aa, tree_at, tree_tt : float
        Response of the token tree.
    balance_regularizers, balance_residual : float
        Contributions of the weight decay and of the remaining gradient to k R_pt + R_at + l R_tt.
    """

    form: str
    pretrain: str
    align: str
    perturb: str
    k: float
    l: float
    limit: float
    parameters: int
    decay: float
    status: str
    residual: float
    rate_pretrain: float
    rate_align: float
    rate_perturb: float
    tree_rate_pretrain: float
    tree_rate_align: float
    tree_rate_perturb: float
    predicted_pp: float
    predicted_pa: float
    predicted_pt: float
    predicted_aa: float
    predicted_at: float
    predicted_tt: float
    retrained_pt: float
    retrained_at: float
    retrained_tt: float
    tree_pp: float
    tree_pa: float
    tree_pt: float
    tree_aa: float
    tree_at: float
    tree_tt: float
    balance_regularizers: float
    balance_residual: float

    @property
    def found(self) -> bool:
        """Whether there is a minimum, and so a response."""
        return self.status == "minimum"

    def to_perturb(self, source: Source) -> tuple[float, float, float]:
        """R_pt, R_at and R_tt as predicted, from retraining, or of the token tree."""
        pretrain, align, perturb = (float(getattr(self, f"{source}_{role}t")) for role in "pat")
        return pretrain, align, perturb

    def signs(self, source: Source) -> tuple[int, int]:
        """Signs of gamma_p' and gamma_a'; 0 also where they are unknown."""
        pretrain, align, _ = self.to_perturb(source)
        return (pretrain > 0) - (pretrain < 0), (align > 0) - (align < 0)

    def holds(self, source: Source) -> bool:
        """Whether the signs are those of Theorem 4.2: gamma_p' < 0 < gamma_a'."""
        return self.signs(source) == (-1, 1)

    def ratio(self, source: Source) -> float:
        """-gamma_a' / (k gamma_p'), which the theorem says is near 1."""
        pretrain, align, _ = self.to_perturb(source)
        return -align / (self.k * pretrain)

    def inequality(self, source: Literal["predicted", "tree"]) -> bool:
        """Whether <g_a, g_t> < -l <g_t, g_t>: equivalent to `holds` without a regularizer (theorem T6)."""
        _, align, perturb = self.to_perturb(source)
        return -align < self.l * perturb

    def cosine(self, source: Literal["predicted", "tree"]) -> float:
        """Cosine of the angle between the alignment and perturbation gradients, in the metric H^-1."""
        align, perturb = (float(getattr(self, f"{source}_{pair}")) for pair in ("aa", "tt"))
        return -self.to_perturb(source)[1] / math.sqrt(align * perturb)

    @property
    def defect(self) -> float:
        """The sum k R_pt + R_at + l R_tt of the transformer, which is zero for the token tree."""
        pretrain, align, perturb = self.to_perturb("predicted")
        return self.k * pretrain + align + self.l * perturb


def trained_transformer() -> list[TransformerResponse]:
    """The results of ``notebooks/trained_transformer.py``, one row per mixture; it takes some minutes."""
    rows = _rows("trained_transformer.csv", TransformerResponse.__annotations__)
    return [TransformerResponse(*row) for row in rows]


class RealModel(NamedTuple):
    """One measurement on SmolLM2-135M-Instruct, or on an n-gram model for comparison.

    Attributes
    ----------
    assumption : "A.7" or "3.2"
        The assumption of the paper.
    case : str
        "France", "def" or "chat", the prompt; or "fitted", the text that n-gram models were fitted to, or
        "following", the text after it.
    parameters : int
        Number of weights, or of n-grams counted; 0 for A.7.
    subject : str
        "all" or "heaviest" leaves; or the model's name.
    depth : int
        Depth in tokens.
    n : int
        Leaves that the law was fitted to, or windows of the text.
    share : float
        Those leaves' share of the mass; NaN for 3.2.
    exponent : float
        Exponent of the Pareto law; NaN for 3.2.
    distance : float
        Kolmogorov-Smirnov distance between leaves and law; or KL(data || model) in bits per block.
    p_value : float
        The p-value of the law; NaN for 3.2.
    """

    assumption: str
    case: str
    parameters: int
    subject: str
    depth: int
    n: int
    share: float
    exponent: float
    distance: float
    p_value: float


def real_model() -> list[RealModel]:
    """The results of ``notebooks/real_model.py`` on a trained language model; it takes some minutes."""
    return [RealModel(*row) for row in _rows("real_model.csv", RealModel.__annotations__)]


def _rows(name: str, kinds: Mapping[str, Callable[[str], Any]]) -> list[list[Any]]:
    """Rows of a table in this package, each column converted to its type."""
    text = (resources.files(__package__) / name).read_text(encoding="utf-8")
    rows = csv.DictReader(line for line in text.splitlines() if not line.startswith("#"))
    return [[kind(row[field]) for field, kind in kinds.items()] for row in rows]
