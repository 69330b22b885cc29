"""Losses of trees and of batches, against sums written out, and with modules of other people."""

import math

import numpy as np
import pytest

from tokentree import TokenTree
from tokentree.adapters import read_model
from tokentree.training import TrainedMixture, ids_loss, tree_loss

torch = pytest.importorskip("torch")

RESPONSES = ["", "0", "01", "01", "100", "2", "212"]


class Fixed(torch.nn.Module):
    """Logits that are random functions of the row."""

    def __init__(self, outputs=4, every=False, named=False):
        super().__init__()
        self.scale = torch.nn.Parameter(torch.ones((), dtype=torch.float64))
        self.outputs, self.every, self.named = outputs, every, named
        self.asked = []

    def row(self, prefix):
        seed = int("1" + "".join(map(str, prefix)))
        return np.random.default_rng(seed).standard_normal(self.outputs)

    def forward(self, prefixes):
        self.asked.append(prefixes)
        ends = [prefixes.shape[1]] if not self.every else range(1, prefixes.shape[1] + 1)
        rows = [[self.row(row[:end]) for end in ends] for row in prefixes.tolist()]
        logits = self.scale * torch.tensor(np.array(rows))
        logits = logits if self.every else logits[:, 0]
        return type("Output", (), {"logits": logits})() if self.named else logits


def log_softmax(row):
    return row - np.logaddexp.reduce(row)


def written_out(model, responses, width, depth=None):
    """Sum of -log p over the tokens of every response, the end being symbol 3, over their number."""
    total = 0.0
    for response in responses:
        tokens = [*map(int, response), 3][:depth]
        for at, token in enumerate(tokens):
            row = [3] * (width - at) + tokens[:at]
            total -= log_softmax(model.row(row))[token]
    return total / len(responses)


@pytest.mark.parametrize("every", [False, True])
@pytest.mark.parametrize("named", [False, True])
@pytest.mark.parametrize("width", [None, 6])
def test_a_tree_costs_what_its_responses_cost(every, named, width):
    model = Fixed(every=every, named=named)
    tree = TokenTree.from_sequences(RESPONSES, alphabet_size=3)
    loss = tree_loss(tree, width)
    assert loss(model).item() == pytest.approx(written_out(model, RESPONSES, width or 4), rel=1e-12)
    (asked,) = model.asked
    assert asked.dtype == torch.int64
    # Of "", 0, 01, 1, 10, 100, 2, 21 and 212, each once.
    assert len({tuple(row) for row in asked.tolist()}) == len(asked) == 9
    assert (asked[:, 0] == 3).all()


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_a_pruned_tree_costs_what_its_blocks_cost(depth):
    model = Fixed()
    tree = TokenTree.from_sequences(RESPONSES, alphabet_size=3).prune(depth)
    expected = written_out(model, RESPONSES, depth, depth)
    assert tree_loss(tree)(model).item() == pytest.approx(expected, rel=1e-12)


def test_a_tree_whose_responses_do_not_end_needs_no_logit_for_the_end():
    tree = TokenTree.from_sequences(["00", "01", "11"], depth=2)
    assert tree_loss(tree)(Fixed(2)).item() > 0
    with pytest.raises(
        ValueError, match=r"logits of shape \(3, 1\): must be \(3, V\) or \(3, 2, V\), V >= 2"
    ):
        tree_loss(tree)(Fixed(1))
    ending = TokenTree.from_sequences(["0", "01", "11"], depth=2)
    with pytest.raises(ValueError, match=r"V >= 3"):
        tree_loss(ending)(Fixed(2))


def test_masses_are_as_good_as_counts():
    model = Fixed()
    counted = TokenTree.from_leaves({"0": 3, "12": 1}, alphabet_size=3)
    masses = TokenTree.from_leaves({"0": 0.75, "12": 0.25}, alphabet_size=3)
    assert tree_loss(counted)(model).item() == pytest.approx(tree_loss(masses)(model).item(), rel=1e-14)


def test_a_tree_that_is_not_known_has_no_loss():
    def coin(prefixes):
        return np.log(np.full((len(prefixes), 2), 0.5))

    with pytest.raises(ValueError, match=r"tree has an unexpanded share of 0\.5: a loss needs all"):
        tree_loss(read_model(coin, depth=2, max_nodes=6))


@pytest.mark.parametrize(
    ("call", "kind", "text"),
    [
        (lambda: tree_loss([1]), TypeError, "tree is a list: must be a TokenTree"),
        (
            lambda: tree_loss(TokenTree.from_sequences(["00"]), 2),
            ValueError,
            "width = 2: must be an integer >= 3",
        ),
        (lambda: ids_loss([[1], [2]]), ValueError, r"batch has shape \(2, 1\): must be \(B, L\)"),
        (lambda: ids_loss([1, 2]), ValueError, r"batch has shape \(2,\)"),
        (lambda: ids_loss([[1, -2]]), ValueError, r"batch\[0, 1\] = -2"),
        (lambda: ids_loss([[1, 2], [3]]), ValueError, "batch is ragged"),
        (lambda: ids_loss([[0.5, 2]]), TypeError, "batch has dtype float64"),
        (lambda: ids_loss([[0, 4]])(Fixed(every=True)), ValueError, r"must be \(1, 2, V\), V > 4"),
        (lambda: ids_loss([[0, 1]])(Fixed()), ValueError, r"logits of shape \(1, 4\): must be \(1, 2, V\)"),
    ],
)
def test_errors_say_what_is_allowed(unchecked, call, kind, text):
    with pytest.raises(kind, match=text):
        call()


@pytest.mark.parametrize("read", [np.array, torch.tensor, list])
def test_a_batch_costs_what_its_ids_cost_after_the_first(read):
    model = Fixed(every=True)
    batch = [[0, 1, 3], [2, 2, 0]]
    expected = 0.0
    for row in batch:
        for at in (1, 2):
            expected -= log_softmax(model.row(row[:at]))[row[at]] / 2
    assert ids_loss(read(batch))(model).item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.slow
def test_a_causal_model_of_transformers_responds():
    """With tied embeddings, and attention that torch would compute by a kernel of one derivative."""
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = transformers.GPT2Config(vocab_size=5, n_positions=6, n_embd=4, n_layer=1, n_head=1)
    model = transformers.GPT2LMHeadModel(config).eval()
    rng = np.random.default_rng(0)
    losses = [ids_loss(rng.choice(5, size=(20, 6), p=rng.dirichlet(np.ones(5)))) for _ in range(3)]

    def decay(module):
        return sum((each**2).sum() for each in module.parameters()) / 2

    trained = TrainedMixture(model, losses, [3, 1, 0.5], regularizers=[(decay, 1.0)]).train()
    assert trained.n_parameters == sum(each.numel() for each in model.parameters())
    response = trained.response(math.e)
    assert np.linalg.eigvalsh(response).max() < 1e-12
    balance = trained.balance(math.e)
    assert balance.defect == pytest.approx(balance.regularizers, abs=1e-7)
    more, less = (trained.with_sizes([3, n, 0.5]).rates(math.e) for n in (1.001, 0.999))
    assert (more - less) / 0.002 == pytest.approx(response[:, 1], rel=1e-3)
