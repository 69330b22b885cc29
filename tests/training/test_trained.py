"""Trained modules held against closed forms, token trees and retraining; and what must not be answered."""

import math

import numpy as np
import pytest
from scipy.special import softmax, xlogy

from tokentree import Mixture, TokenTree
from tokentree.training import TrainedMixture, tree_loss

torch = pytest.importorskip("torch")

NAMES = ("web", "code", "chat")
SIZES = [3.0, 1.0, 0.5]
TEXTS = (
    "the trees bend and the tide turns, and then the sea is still and the tree stands",
    "def bend(tree): return tree if tree else bend(bend) # and then 0, 1, 00, 01, 11",
    "0 1 00 01 11 10 0 0 1 1 01 10 00 11 - bits of tide and tree, in and out of time",
)
CLASSES = ("aeiou", "tnshrd", " ", "01", "bcfgjklmpqvwxyz")


def classes(text):
    """Characters as six symbols."""
    return [next((i for i, some in enumerate(CLASSES) if c in some), 5) for c in text]


def trees(depth, texts=TEXTS):
    """Blocks at every position of each text, counted."""
    rows = [classes(text) for text in texts]
    blocks = [[row[i : i + depth] for i in range(len(row) - depth + 1)] for row in rows]
    return [TokenTree.from_sequences(each, alphabet_size=6, depth=depth) for each in blocks]


class Table(torch.nn.Module):
    """A row of logits for every prefix: the token tree as a module."""

    def __init__(self, q, width, outputs):
        super().__init__()
        self.register_buffer("places", (q + 1) ** torch.arange(width))
        self.logits = torch.nn.Parameter(torch.zeros((q + 1) ** width, outputs))

    def forward(self, prefixes):
        return self.logits[prefixes @ self.places.long()]


class Point(torch.nn.Module):
    """Free parameters, all zero."""

    def __init__(self, *shape, start=0.0):
        super().__init__()
        self.x = torch.nn.Parameter(torch.full(shape, start))


class Tanh(torch.nn.Module):
    """Two symbols to the next one, by one hidden layer."""

    def __init__(self, q=6, hidden=36, seed=0):
        super().__init__()
        torch.manual_seed(seed)
        self.q = q
        self.inner = torch.nn.Linear(2 * (q + 1), hidden)
        self.outer = torch.nn.Linear(hidden, q)

    def forward(self, prefixes):
        fed = torch.nn.functional.one_hot(prefixes[:, -2:], self.q + 1).flatten(1)
        return self.outer(torch.tanh(self.inner(fed.to(self.inner.weight.dtype))))


def decay(module):
    """Half the sum of squares."""
    return sum((each**2).sum() for each in module.parameters()) / 2


def tensor(values):
    return torch.tensor(np.asarray(values), dtype=torch.float64)


def quadratic(centre, weights=1.0):
    centre, weights = tensor(centre), tensor(weights)
    return lambda module: (weights * (module.x - centre) ** 2).sum()


def moved(trained, t, step, tolerance):
    """Rates in nats after retraining at sizes moved by step, each way, over the distance."""
    ends = []
    for sign in (-1, 1):
        sizes = trained.sizes.copy()
        sizes[t] += sign * step
        ends.append(trained.with_sizes(sizes, tolerance=tolerance).rates(math.e))
    return (ends[1] - ends[0]) / (2 * step)


# Closed forms


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_logits_for_every_prefix_are_the_token_tree(depth):
    found = trees(depth)
    mixture = Mixture.from_trees(found, SIZES)
    trained = TrainedMixture(Table(6, depth, 6), list(map(tree_loss, found)), SIZES).train()
    assert trained.rates() == pytest.approx(mixture.rates(), abs=1e-9)
    assert trained.response() == pytest.approx(mixture.response(), abs=1e-9)
    assert trained.potential() == pytest.approx(mixture.potential(), abs=1e-9)
    # No regularizer and no residual: the balance of the token tree itself.
    assert np.abs(trained.balance().defect).max() < 1e-9


def test_an_exponential_family_responds_by_its_fisher_information():
    rng = np.random.default_rng(0)
    features = rng.standard_normal((9, 4))
    means = rng.dirichlet(np.ones(9), size=3) @ features

    def loss(mean):
        return lambda module: torch.logsumexp(tensor(features) @ module.x, 0) - module.x @ tensor(mean)

    trained = TrainedMixture(Point(4), map(loss, means), SIZES).train()
    q = softmax(features @ trained.module.x.detach().numpy())
    mean = trained.weights @ means
    assert q @ features == pytest.approx(mean, abs=1e-9)
    information = (features - mean).T @ (q[:, None] * (features - mean))
    apart = means - mean
    expected = -apart @ np.linalg.solve(information, apart.T) / sum(SIZES)
    assert trained.response(math.e) == pytest.approx(expected, abs=1e-9)


def test_a_policy_that_is_held_by_a_kl_penalty_responds_by_the_covariance_of_rewards():
    rng = np.random.default_rng(1)
    rewards, reference, beta = rng.standard_normal((3, 8)), rng.dirichlet(np.ones(8)), 0.7

    def loss(reward):
        return lambda module: -(torch.softmax(module.x, 0) @ tensor(reward))

    def kl(module):
        return torch.softmax(module.x, 0) @ (torch.log_softmax(module.x, 0) - tensor(np.log(reference)))

    trained = TrainedMixture(Point(8), map(loss, rewards), SIZES, regularizers=[(kl, beta)]).train()
    policy = reference * np.exp(SIZES @ rewards / beta)
    policy /= policy.sum()
    apart = rewards - (rewards @ policy)[:, None]
    expected = -(apart * policy) @ apart.T / beta
    assert trained.response(math.e) == pytest.approx(expected, abs=1e-9)
    # beta KL is minus what the potential lacks: -dKL/dn_t beta, from the logarithm of the partition function.
    balance = trained.balance(math.e)
    assert balance.regularizers == pytest.approx(SIZES @ expected, abs=1e-9)
    assert np.abs(balance.residual).max() < 1e-9


def test_the_published_equation_is_exact_for_models_of_reverse_divergence():
    rng = np.random.default_rng(2)
    p = rng.dirichlet(np.ones(7), size=3)

    def loss(row):
        log_row = tensor(np.log(row))
        return lambda module: torch.softmax(module.x, 0) @ (torch.log_softmax(module.x, 0) - log_row)

    trained = TrainedMixture(Point(7), [loss(row) for row in p], SIZES).train()
    x = softmax(trained.weights @ np.log(p))
    gaps = np.log(x / p)
    divergences = gaps @ x
    assert trained.rates(math.e) == pytest.approx(xlogy(x, x / p).sum(axis=1), abs=1e-9)
    apart = gaps - divergences[:, None]
    response = trained.response(math.e)
    assert response == pytest.approx(-(apart * x) @ apart.T / sum(SIZES), abs=1e-9)
    assert np.abs(SIZES @ response).max() < 1e-9


# A network


@pytest.fixture(scope="module")
def network():
    losses = [tree_loss(tree) for tree in trees(3)]
    return TrainedMixture(Tanh(), losses, SIZES, NAMES, regularizers=[(decay, 0.1)])


@pytest.fixture(scope="module")
def trained(network):
    return network.train(1e-12)


@pytest.mark.slow
def test_a_network_moves_as_it_does_when_it_is_trained_again(trained):
    assert trained.n_parameters == 762
    assert trained.residual.norm < 1e-10
    response = trained.response(math.e)
    for t in range(3):
        # The difference is wrong by the square of the step, and by the rounding of rates over it.
        assert moved(trained, t, 1e-3, 1e-12) == pytest.approx(response[:, t], rel=1e-5)


class Transformer(torch.nn.Module):
    """One block of attention and MLP, each after a layer norm."""

    def __init__(self, q=6, width=4, size=5):
        super().__init__()
        torch.manual_seed(0)
        self.tokens = torch.nn.Embedding(q + 1, size)
        self.places = torch.nn.Parameter(torch.randn(width, size) / 3)
        self.keys = torch.nn.Linear(size, 3 * size, bias=False)
        self.out = torch.nn.Linear(size, size, bias=False)
        self.norms = torch.nn.ModuleList(torch.nn.LayerNorm(size) for _ in range(3))
        self.up, self.down = torch.nn.Linear(size, 2 * size), torch.nn.Linear(2 * size, size)
        self.head = torch.nn.Linear(size, q)

    def forward(self, prefixes):
        x = self.tokens(prefixes) + self.places
        q, k, v = self.keys(self.norms[0](x)).chunk(3, dim=-1)
        attended = torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(attended)
        x = x + self.down(torch.nn.functional.gelu(self.up(self.norms[1](x))))
        return self.head(self.norms[2](x))


def chains(n=3, length=2000, q=6, depth=4):
    """Trees of texts from Markov chains of order 2, each half its own and half what all share."""
    rng = np.random.default_rng(0)
    shared = rng.dirichlet(np.full(q, 0.3), size=(q, q))
    found = []
    for _ in range(n):
        rows = (shared + rng.dirichlet(np.full(q, 0.3), size=(q, q))) / 2
        text = [0, 0]
        for _ in range(length):
            text.append(int(rng.choice(q, p=rows[text[-2], text[-1]])))
        blocks = [text[i : i + depth] for i in range(length - depth)]
        found.append(TokenTree.from_sequences(blocks, alphabet_size=q, depth=depth))
    return found


@pytest.mark.slow
def test_a_transformer_moves_as_it_does_when_it_is_trained_again():
    losses = [tree_loss(tree) for tree in chains()]
    trained = TrainedMixture(Transformer(), losses, [20, 1, 0.2], regularizers=[(decay, 0.3)]).train(1e-11)
    balance = trained.balance(math.e)
    assert np.abs(balance.defect - balance.regularizers).max() < 1e-7
    response = trained.response(math.e)
    for t in range(3):
        found = moved(trained, t, 1e-3, 1e-11)
        assert found == pytest.approx(response[:, t], rel=1e-3)
