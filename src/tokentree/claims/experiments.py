"""Tables of experiments that take too long to repeat when a claim is decided, as their scripts wrote them."""

import csv
import math
from collections.abc import Callable, Mapping
from importlib import resources
from typing import Any, Literal, NamedTuple


class Trained(NamedTuple):
    """A transformer trained from scratch, and how far it is from the data at one depth."""

    width: int
    parameters: int
    depth: int
    kl_bits: float
    entropy_bits: float


def growing_transformers() -> list[Trained]:
    """What ``notebooks/growing_transformers.py`` measured, which takes some minutes, by size and depth."""
    return [Trained(*row) for row in _rows("growing_transformers.csv", Trained.__annotations__)]


class FineTuned(NamedTuple):
    """One measure of transformers that were pre-trained, aligned and trained back, over seeds.

    What stands in each field is said at the top of ``notebooks/fine_tuning.py``. The rate and the error are
    NaN where there is none: by counts, and for a single value. Losses and distances are in nats per window.
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
    """What ``notebooks/fine_tuning.py`` measured of section 5, which takes half an hour."""
    return [FineTuned(*row) for row in _rows("fine_tuning.csv", FineTuned.__annotations__)]


Source = Literal["predicted", "retrained", "tree"]
"""Of a response: -G^T H^-1 G, training again, or the token tree."""


class TransformerResponse(NamedTuple):
    """How rates of a transformer at its optimum respond to sizes k : 1 : l, beside the token tree.

    Responses are d gamma_i / d n_t in nats per window of four characters and unit of size, the alignment data
    being one unit. All are NaN where no minimum was found.

    Attributes
    ----------
    form : "apart" or "overlapping"
        Three texts; or all of them in equal parts for pre-training, and two of them.
    pretrain, align, perturb : str
        The texts.
    k, l : float
        Sizes of the pre-training and the perturbation data.
    limit : float
        Of l, in the overlapping form: the token tree has Theorem 4.2's signs below it, at large k. NaN in the
        other.
    parameters : int
        Of the transformer.
    decay : float
        Weight of the regularizer, half the sum of squared parameters.
    status : "minimum", "saddle" or "not converged"
        What training found.
    residual : float
        Length of the gradient over the total size.
    rate_pretrain, rate_align, rate_perturb : float
        The transformer's rates, nats per window.
    tree_rate_pretrain, tree_rate_align, tree_rate_perturb : float
        The token tree's.
    predicted_pp, predicted_pa, predicted_pt, predicted_aa, predicted_at, predicted_tt : float
        Response of the transformer, -G^T H^-1 G.
    retrained_pt, retrained_at, retrained_tt : float
        Response of the transformer, from training again at two sizes of the perturbation data; NaN where that
        came to no minimum.
    tree_pp, tree_pa, tree_pt, tree_aa, tree_at, tree_tt : float
        Response of the token tree.
    balance_regularizers, balance_residual : float
        The parts that weight decay and the gradient left over have in k R_pt + R_at + l R_tt.
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
        """R_pt, R_at and R_tt as predicted, from training again, or of the token tree."""
        pretrain, align, perturb = (float(getattr(self, f"{source}_{role}t")) for role in "pat")
        return pretrain, align, perturb

    def signs(self, source: Source) -> tuple[int, int]:
        """Of gamma_p' and gamma_a'; 0 also where they are not known."""
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
        """Whether <g_a, g_t> < -l <g_t, g_t>: without a regularizer the same as `holds` (theorem T6)."""
        _, align, perturb = self.to_perturb(source)
        return -align < self.l * perturb

    def cosine(self, source: Literal["predicted", "tree"]) -> float:
        """Of the angle between alignment and perturbation, in the metric H^-1."""
        align, perturb = (float(getattr(self, f"{source}_{pair}")) for pair in ("aa", "tt"))
        return -self.to_perturb(source)[1] / math.sqrt(align * perturb)

    @property
    def defect(self) -> float:
        """What k R_pt + R_at + l R_tt of the transformer lacks of zero, which it is for the token tree."""
        pretrain, align, perturb = self.to_perturb("predicted")
        return self.k * pretrain + align + self.l * perturb


def trained_transformer() -> list[TransformerResponse]:
    """What ``notebooks/trained_transformer.py`` measured, which takes some minutes, one mixture a row."""
    rows = _rows("trained_transformer.csv", TransformerResponse.__annotations__)
    return [TransformerResponse(*row) for row in rows]


class RealModel(NamedTuple):
    """One measure of SmolLM2-135M-Instruct, or of an n-gram model beside it.

    Attributes
    ----------
    assumption : "A.7" or "3.2"
        The paper's.
    case : str
        "France", "def" or "chat", the prompt; or "fitted", the text that n-gram models were fitted to, or
        "following", the text after it.
    parameters : int
        Of the model: weights, or n-grams counted; 0 for A.7.
    subject : str
        "all" or "heaviest" leaves; or the model's name.
    depth : int
        Tokens.
    n : int
        Leaves that the law was fitted to, or windows of the text.
    share : float
        Those leaves' share of the mass; NaN for 3.2.
    exponent : float
        Of the Pareto law; NaN for 3.2.
    distance : float
        Kolmogorov and Smirnov's between leaves and law; or KL(data || model) in bits a block.
    p_value : float
        Of the law; NaN for 3.2.
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
    """What ``notebooks/real_model.py`` measured of a trained language model, which takes some minutes."""
    return [RealModel(*row) for row in _rows("real_model.csv", RealModel.__annotations__)]


def _rows(name: str, kinds: Mapping[str, Callable[[str], Any]]) -> list[list[Any]]:
    """Values of a table of this package, each column in its own type."""
    text = (resources.files(__package__) / name).read_text(encoding="utf-8")
    rows = csv.DictReader(line for line in text.splitlines() if not line.startswith("#"))
    return [[kind(row[field]) for field, kind in kinds.items()] for row in rows]
