"""Trained modules held against closed forms, token trees and retraining; and what must not be answered."""

import copy
import math
import sys

import numpy as np
import pytest
from scipy.special import softmax, xlogy

from tokentree import Mixture, TokenTree, elasticity, response_curve
from tokentree._lib import progress
from tokentree.plotting import plot_rates, plot_response
from tokentree.training import TrainedMixture, tree_loss
from tokentree.training.curvature import Krylov

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


def test_losses_and_sizes_by_name():
    losses = dict(zip(NAMES, map(quadratic, [[0.0], [1.0], [3.0]]), strict=True))
    named = TrainedMixture(Point(1), losses, {"code": 1.0, "web": 3.0, "chat": 0.5}).train()
    assert named.names == NAMES
    assert named.sizes.tolist() == SIZES
    assert named.rates() == pytest.approx(TrainedMixture(Point(1), losses.values(), SIZES).train().rates())
    assert named.with_sizes({"chat": 1, "web": 2, "code": 3}).sizes.tolist() == [2, 3, 1]
    assert named.with_sizes({"web": 1}).sizes.tolist() == [1, *SIZES[1:]]
    with pytest.raises(ValueError, match=r"^sizes lacks 'code', 'chat': must have a number for each of"):
        TrainedMixture(Point(1), losses, {"web": 1})
    with pytest.raises(TypeError, match=r"^sizes is a dict, but the datasets have no names"):
        TrainedMixture(Point(1), losses.values(), {"web": 1})


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
    # The penalty is the only reason for a defect.
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
def trained():
    """Of 762 parameters."""
    losses = [tree_loss(tree) for tree in trees(3)]
    return TrainedMixture(Tanh(), losses, SIZES, NAMES, regularizers=[(decay, 0.1)]).train(1e-12)


@pytest.fixture(scope="module")
def small():
    """Of 69 parameters, with two regularizers."""

    def roughness(module):
        return (module.inner.weight**4).sum()

    losses = [tree_loss(tree) for tree in trees(2)]
    given = [(decay, 0.1), (roughness, 0.02)]
    return TrainedMixture(Tanh(hidden=3), losses, SIZES, NAMES, regularizers=given).train(1e-12)


@pytest.mark.slow
def test_a_network_moves_as_it_does_when_it_is_trained_again(trained):
    assert trained.n_parameters == 762
    assert trained.residual.norm < 1e-10
    response = trained.response(math.e)
    for t in range(3):
        # Wrong by the step's square, which is 10^-6 of a size at most, and by the rounding of rates over it.
        assert moved(trained, t, 1e-3, 1e-12) == pytest.approx(response[:, t], rel=1e-5)


@pytest.mark.slow
def test_the_response_of_a_network_is_symmetric_and_balanced(trained):
    assert_sound(trained)


def test_the_response_of_a_small_network_is_symmetric_and_balanced(small):
    assert_sound(small)


def assert_sound(trained):
    terms = trained._terms
    hessian = terms.hessian(trained._all_weights())
    gradients = terms.gradients()[:, :3]
    # Solved for one by one, so that nothing makes it symmetric but the law.
    found = -gradients.T @ np.linalg.solve(hessian, gradients)
    assert np.abs(found - found.T).max() < 1e-12
    response = trained.response(math.e)
    assert np.abs(response - found).max() < 1e-9 * np.abs(found).max()
    assert (response == response.T).all()
    assert np.linalg.eigvalsh(response).max() < 1e-12
    balance = trained.balance(math.e)
    assert balance.defect == pytest.approx(SIZES @ found, abs=1e-9)
    assert balance.defect == pytest.approx(balance.regularizers + balance.residual, abs=1e-9)
    assert np.abs(balance.residual).max() < 1e-9
    assert np.abs(balance.regularizers).min() > 1e-3


def test_what_regularizers_take_from_the_balance_is_how_they_respond(small):
    """By retraining: the part of the regularizers is -lambda dOmega/dn_t."""
    weights = small._strengths
    for t in range(3):
        ends = []
        for sign in (-1, 1):
            sizes = small.sizes.copy()
            sizes[t] += sign * 1e-3
            ends.append(small.with_sizes(sizes)._terms.values()[3:] @ weights)
        slope = (ends[1] - ends[0]) / 2e-3
        assert -slope == pytest.approx(small.balance(math.e).regularizers[t], rel=1e-5)


def test_a_model_that_stopped_early_responds_with_its_residual_held_fixed(small):
    early = TrainedMixture(small.module, small._terms.terms[:3], SIZES, regularizers=[(decay, 0.15)])
    residual = early.residual
    assert residual.norm > 0.1
    assert residual.relative == pytest.approx(residual.norm / 4.5)
    balance = early.balance(math.e)
    assert np.abs(balance.residual).min() > 1e-4
    assert balance.defect == pytest.approx(balance.regularizers + balance.residual, abs=1e-12)

    def tilt(module):
        row = torch.cat([each.flatten() for each in module.parameters()])
        return -(tensor(residual.gradient) * row).sum()

    # With the residual as a force of its own the same point is a minimum, which retraining can follow.
    held = TrainedMixture(
        early.module, early._terms.terms[:3], SIZES, regularizers=[(decay, 0.15), (tilt, 1.0)]
    )
    assert held.residual.norm < 1e-12
    assert held.response() == pytest.approx(early.response(), abs=1e-12)
    for t in range(3):
        assert moved(held, t, 1e-3, 1e-12) == pytest.approx(early.response(math.e)[:, t], rel=1e-5)


def test_freezing_parameters_weakens_every_response(small):
    frozen = copy.deepcopy(small.module)
    frozen.inner.requires_grad_(False)
    partly = TrainedMixture(frozen, small._terms.terms[:3], SIZES, regularizers=[(decay, 0.1)])
    assert partly.n_parameters == 24
    apart = partly.response() - small.response()
    assert np.linalg.eigvalsh(apart).min() > -1e-12
    assert np.linalg.eigvalsh(apart).max() > 1e-3


def test_other_sizes_make_another_mixture_and_leave_this_one(small):
    before, rates = small._terms.point, small.rates()
    other = small.with_sizes([1, 1, 1])
    assert (small._terms.point == before).all()
    assert (small.rates() == rates).all()
    assert small.sizes.tolist() == SIZES
    assert other.sizes.tolist() == [1, 1, 1]
    assert other.names == NAMES
    assert other.residual.relative <= 1e-12
    assert other.rates() != pytest.approx(rates, abs=1e-3)
    # Of two minimisers each is the better one on its own data; strictly, for they differ.
    assert (other.sizes - small.sizes) @ (other.rates() - rates) < 0


def test_units_are_those_of_sizes_and_of_the_base(small):
    rates, response = small.rates(math.e), small.response(math.e)
    assert small.rates() == pytest.approx(rates / math.log(2))
    assert small.response(10) == pytest.approx(response / math.log(10))
    assert small.balance(4).defect == pytest.approx(small.balance(math.e).defect / math.log(4))
    assert small.potential(4) == pytest.approx(small.potential(math.e) / math.log(4))
    # All in thousands: the same minimum, and the response to a unit is a thousandth.
    again = [(decay, 100.0), (small._terms.terms[4], 20.0)]
    large = TrainedMixture(
        small.module, small._terms.terms[:3], np.multiply(SIZES, 1000), regularizers=again
    ).train(1e-12)
    assert large.rates(math.e) == pytest.approx(rates, rel=1e-9)
    assert 1000 * large.response(math.e) == pytest.approx(response, rel=1e-9)


# What must be survived, and what must not be answered


class Deep(torch.nn.Module):
    """Logits as a matrix times a vector: far more parameters than they need."""

    def __init__(self, n):
        super().__init__()
        torch.manual_seed(0)
        self.matrix = torch.nn.Parameter(torch.randn(n, n))
        self.vector = torch.nn.Parameter(torch.randn(n))

    @property
    def x(self):
        return self.matrix @ self.vector


def coded(row):
    return lambda module: -(tensor(row) @ torch.log_softmax(module.x, 0))


@pytest.mark.parametrize("dense", [2000, 0])
def test_symmetries_of_a_network_do_no_harm(monkeypatch, dense):
    monkeypatch.setattr("tokentree.training.trained.DENSE", dense)
    p = np.random.default_rng(3).dirichlet(np.ones(5), size=3)
    trained = TrainedMixture(Deep(5), map(coded, p), SIZES).train()
    expected = Mixture(p, SIZES).response()
    assert trained.response() == pytest.approx(expected, abs=1e-9)
    hessian = trained._terms.hessian(trained._all_weights())
    # Thirty parameters for four degrees of freedom.
    assert np.linalg.matrix_rank(hessian, tol=1e-9) == 4


@pytest.mark.parametrize("dense", [2000, 0])
def test_symmetries_do_no_harm_where_training_left_a_little(monkeypatch, dense):
    """There they have some curvature, of either sign, which is no sign of a saddle."""
    monkeypatch.setattr("tokentree.training.trained.DENSE", dense)
    p = np.random.default_rng(3).dirichlet(np.ones(5), size=3)
    trained = TrainedMixture(Deep(5), map(coded, p), SIZES).train()
    terms = trained._terms
    terms.point = terms.point + 1e-10 * np.random.default_rng(0).standard_normal(terms.size)
    assert 1e-11 < trained.residual.norm < 1e-8
    values = np.linalg.eigvalsh(terms.hessian(trained._all_weights()))
    assert values[0] < -1e-11
    assert trained.response() == pytest.approx(Mixture(p, SIZES).response(), abs=1e-8)


@pytest.mark.parametrize("dense", [2000, 0])
def test_few_and_many_parameters_give_one_response(monkeypatch, small, dense):
    monkeypatch.setattr("tokentree.training.trained.DENSE", dense)
    again = TrainedMixture(
        small.module,
        small._terms.terms[:3],
        SIZES,
        regularizers=[(decay, 0.1), (small._terms.terms[4], 0.02)],
    )
    assert again.response() == pytest.approx(small.response(), rel=1e-9)
    balance = again.balance()
    assert balance.defect == pytest.approx(balance.regularizers + balance.residual, abs=1e-9)


def test_conjugate_gradients_stop_where_only_rounding_is_left():
    """A gradient near a minimum, with rounding where there is no curvature, which a step would magnify."""
    rng = np.random.default_rng(0)
    vectors = np.linalg.qr(rng.standard_normal((60, 60)))[0][:, :20]
    curved, parts = np.geomspace(1e-3, 1, 20), 1e-9 * rng.standard_normal(20)
    hessian = (vectors * curved) @ vectors.T
    gradient = vectors @ parts + 1e-17 * rng.standard_normal(60)
    solver = Krylov(lambda vector: hessian @ vector.ravel(), 60, length=30.0)
    exact = -vectors @ (parts / curved)
    # 32 units of rounding of |H| |theta|, which is 10^-13, over the least curvature.
    assert np.linalg.norm(solver.newton(gradient) - exact) < 1.1e-13 / 1e-3


def test_conjugate_gradients_that_do_not_end_are_no_answer():
    curved = np.geomspace(1e-10, 1, 200)
    solver = Krylov(lambda vector: curved * vector.ravel(), 200, length=0.0)
    with pytest.raises(ArithmeticError, match=r"left .* of the gradient of web after 2000 steps"):
        solver.solve(np.ones((200, 1)), 0.0, ["web"])


@pytest.mark.parametrize("dense", [2000, 0])
def test_a_gradient_without_curvature_gets_no_response(monkeypatch, dense):
    monkeypatch.setattr("tokentree.training.trained.DENSE", dense)

    def task(module):
        return module.x[1] + module.x[0]

    one = TrainedMixture(Point(2), [quadratic([1, 0], [1, 0]), task], [1, 0], ["web", "quiz"]).train()
    with pytest.raises(ArithmeticError, match=r"^0\.71 of the gradient of losses\[1\] \(quiz\) lies"):
        one.response()
    with pytest.raises(ArithmeticError, match="no minimum responds to the size of these data"):
        one.balance()
    # A regularizer decides what the data leave open: the second derivatives of F are 3 and 1.
    held = TrainedMixture(
        Point(2), [quadratic([1, 0], [1, 0]), task], [1, 0], regularizers=[(decay, 1.0)]
    ).train()
    assert held.response(math.e)[1, 1] == pytest.approx(-(1 / 3 + 1))


@pytest.mark.parametrize("dense", [2000, 0])
def test_a_saddle_is_said_to_be_one_though_no_gradient_points_down(monkeypatch, dense):
    monkeypatch.setattr("tokentree.training.trained.DENSE", dense)
    losses = [lambda module: (module.x[0] - 1) ** 2 + (module.x[1] ** 2 - 1) ** 2, quadratic([0, 0], [1, 0])]
    # With the first entry at its best already.
    saddle = TrainedMixture(Point(2), [losses[0], losses[1]], [1, 1])
    saddle.module.x.data[0] = 0.5
    assert saddle.residual.norm < 1e-10
    with pytest.raises(
        ArithmeticError,
        match=r"^F over the total size has the curvature -\d.*, below zero by more",
    ):
        saddle.response()
    beside = TrainedMixture(Point(2, start=0.1), losses, [1, 1]).train()
    assert beside.module.x.tolist() == pytest.approx([0.5, 1.0])
    assert beside.response(math.e) == pytest.approx(np.array([[-0.25, 0.25], [0.25, -0.25]]))


def test_training_leaves_a_saddle():
    losses = [lambda module: (module.x[0] - 1) ** 2 + (module.x[1] ** 2 - 1) ** 2, quadratic([0, 0], [1, 0])]
    trained = TrainedMixture(Point(2), losses, [1, 1]).train()
    assert np.abs(trained.module.x.tolist()) == pytest.approx([0.5, 1.0])
    top = TrainedMixture(Point(3), [lambda module: (module.x**2 - 1).square().sum()], [2]).train()
    assert np.abs(top.module.x.tolist()) == pytest.approx([1, 1, 1])


def test_a_maximum_is_no_minimum():
    top = TrainedMixture(Point(1), [lambda module: (module.x**2 - 1).square().sum()], [2])
    with pytest.raises(ArithmeticError, match=r"has the curvature -4, .* saddle or a maximum"):
        top.response()
    assert top.rates(math.e).tolist() == [1.0]


def test_training_that_does_not_end_says_what_is_left_and_can_go_on():
    losses = [tree_loss(tree) for tree in trees(2)]
    trained = TrainedMixture(Tanh(hidden=3), losses, SIZES, regularizers=[(decay, 0.1)])
    begun = trained.potential()
    with pytest.raises(ArithmeticError, match=r"gradient of F over the total size is .* again to continue"):
        trained.train(steps=1)
    left = trained.residual.relative
    assert left > 1e-10
    assert trained.potential() < begun
    trained.train()
    assert trained.residual.relative <= 1e-10


@pytest.mark.parametrize("exact", [1000, 0])
def test_trust_regions_find_a_minimum_by_themselves(monkeypatch, small, exact):
    monkeypatch.setattr("tokentree.training.minimising._EXACT", exact)
    monkeypatch.setattr("tokentree.training.minimising.Search.lbfgs", lambda *_: None)
    given = [(decay, 0.1), (small._terms.terms[4], 0.02)]
    trained = TrainedMixture(Tanh(hidden=3), small._terms.terms[:3], SIZES, regularizers=given).train(1e-12)
    assert trained.residual.relative <= 1e-12
    # Wherever it ends, it is a minimum, and responds as one.
    assert np.linalg.eigvalsh(trained.response()).max() < 1e-12


@pytest.mark.parametrize(
    ("layer", "why"),
    [
        (torch.nn.Dropout(0.1), "a Dropout in training mode, where p = 0.1 gives every call a different"),
        (torch.nn.BatchNorm1d(6), "a BatchNorm1d in training mode, where it depends on the rest"),
        (
            torch.nn.MultiheadAttention(6, 1, dropout=0.1),
            "a MultiheadAttention in training mode, where d",
        ),
        (torch.nn.RReLU(), "a RReLU in training mode"),
    ],
)
def test_what_is_drawn_at_random_is_refused_by_name(layer, why):
    model = Tanh(hidden=2)
    model.block = torch.nn.Sequential(torch.nn.Identity(), layer)
    loss = [tree_loss(trees(2)[0])]
    with pytest.raises(ValueError, match=rf"^model\.block\.1 is {why}.*call model\.eval\(\), or model"):
        TrainedMixture(model, loss, [1])
    asleep = TrainedMixture(model.eval(), loss, [1])
    asleep.module.train()
    for ask in (asleep.rates, asleep.response, asleep.train, asleep.potential, lambda: asleep.residual):
        with pytest.raises(ValueError, match=r"model\.block\.1"):
            ask()


@pytest.mark.parametrize("layer", [torch.nn.Dropout(0.0), torch.nn.InstanceNorm1d(6), torch.nn.LSTM(2, 2)])
def test_modules_in_training_mode_are_welcome_where_it_makes_no_difference(layer):
    model = Tanh(hidden=2)
    model.block = layer
    assert TrainedMixture(model, [tree_loss(trees(2)[0])], [1]).n_datasets == 1


def test_a_loss_that_draws_is_found_out():
    def loss(module):
        return (torch.nn.functional.dropout(module.x + 1, 0.5) ** 2).sum()

    with pytest.raises(ValueError, match=r"losses\[0\] \(D1\) = .* when called again"):
        TrainedMixture(Point(40), [loss], [1])


def test_a_float32_model_is_trained_in_float64_and_left_as_it_is():
    model = Tanh(hidden=3)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    trained = TrainedMixture(model, [tree_loss(trees(2)[0])], [1], regularizers=[(decay, 0.3)]).train()
    assert all(value.dtype == torch.float32 for value in model.parameters())
    assert all(value.grad is None for value in model.parameters())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(value.dtype == torch.float64 for value in trained.module.parameters())
    assert trained.residual.relative <= 1e-10


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_is_named(value):
    losses = [quadratic(0), lambda module: module.x.sum() + value]
    with pytest.raises(ValueError, match=rf"^losses\[1\] \(code\) = {value} at the model's parameters"):
        TrainedMixture(Point(), losses, [1, 1], ["web", "code"])
    later = TrainedMixture(Point(start=1.0), [lambda module: module.x.log() ** 2], [1])
    with torch.no_grad():
        later.module.x.fill_(-1.0)
    for ask in (later.rates, later.response, later.train, lambda: later.residual):
        with pytest.raises(ValueError, match=r"losses\[0\] \(D1\) = nan"):
            ask()


def test_training_steps_back_where_a_loss_is_not_finite():
    """The first step of L-BFGS leaves the domain of the logarithm."""
    losses = [lambda module: module.x - module.x.log(), lambda module: 50 * module.x]
    trained = TrainedMixture(Point(start=0.9), losses, [1, 1]).train()
    assert trained.module.x.item() == pytest.approx(1 / 51)


def test_a_parameter_that_no_loss_uses_stays_and_counts_for_nothing():
    class Idle(Point):
        def __init__(self):
            super().__init__(2)
            self.idle = torch.nn.Parameter(torch.ones(3))

    losses = [quadratic([1, 2]), quadratic([0, 1])]
    idle = TrainedMixture(Idle(), losses, [2, 1]).train()
    assert idle.n_parameters == 5
    assert idle.module.idle.tolist() == [1, 1, 1]
    assert idle.response() == pytest.approx(TrainedMixture(Point(2), losses, [2, 1]).train().response())


def test_tied_parameters_are_one():
    class Tied(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.x = torch.nn.Parameter(torch.zeros(2))
            self.same = self.x

    losses = [
        lambda module: ((module.x + module.same - 1) ** 2).sum(),
        lambda module: ((module.x * module.same - 4) ** 2).sum(),
    ]
    tied = TrainedMixture(Tied(), losses, [20, 1]).train()
    assert tied.n_parameters == 2
    assert tied.module.x is tied.module.same
    plain = [lambda module: ((2 * module.x - 1) ** 2).sum(), lambda module: ((module.x**2 - 4) ** 2).sum()]
    assert tied.response() == pytest.approx(TrainedMixture(Point(2), plain, [20, 1]).train().response())
    assert (tied.with_sizes([20, 2]).module.x - tied.module.x).abs().min() > 1e-3


def test_attention_can_be_differentiated_twice():
    model = Transformer(width=2, size=2)
    trained = TrainedMixture(model, [tree_loss(chains(1, 50, depth=2)[0])], [1], regularizers=[(decay, 3.0)])
    hessian = trained._terms.hessian(trained._all_weights())
    assert np.isfinite(hessian).all()
    step = np.random.default_rng(0).standard_normal(trained.n_parameters)
    product = trained._terms.product(trained._all_weights())(step)
    assert product == pytest.approx(hessian @ step, rel=1e-9, abs=1e-12)


def test_what_torch_cannot_vectorise_is_differentiated_row_by_row():
    class Square(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        def backward(ctx, grad):
            (x,) = ctx.saved_tensors
            return Twice.apply(x) * grad

    class Twice(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return 2 * x

        @staticmethod
        def backward(ctx, grad):
            return torch.tensor(2.0 * grad.numpy())

    losses = [lambda module: Square.apply(module.x - 1).sum(), lambda module: Square.apply(module.x).sum()]
    trained = TrainedMixture(Point(2), losses, [1, 1]).train()
    plain = TrainedMixture(Point(2), [quadratic([1, 1]), quadratic([0, 0])], [1, 1]).train()
    assert trained.response() == pytest.approx(plain.response())


def test_derivatives_follow_a_module_that_others_train():
    mixture = TrainedMixture(Point(), [quadratic(1.0), lambda module: module.x**4], [1, 1])
    assert mixture.response(math.e)[0, 0] == pytest.approx(-2.0)
    optimizer = torch.optim.SGD(mixture.module.parameters(), lr=0.1)
    mixture._terms.terms[0](mixture.module).backward()
    optimizer.step()
    # At x = 0.2: g = -1.6, H = 2 + 12 x^2.
    assert mixture.response(math.e)[0, 0] == pytest.approx(-(1.6**2) / 2.48)


def test_gradients_may_be_switched_off_around_it():
    with torch.no_grad():
        trained = TrainedMixture(Point(), [quadratic(1.0), quadratic(0.0)], [1, 1]).train()
        assert trained.response(math.e) == pytest.approx(np.array([[-0.25, 0.25], [0.25, -0.25]]))


def test_without_torch_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ImportError, match=r"TrainedMixture needs torch: pip install torch \(extra 'transf"):
        TrainedMixture(None, [quadratic], [1])


def test_results_show_themselves(small):
    assert repr(small) == "TrainedMixture(3 datasets, 69 parameters: web 3, code 1, chat 0.5)"
    assert "<td" in small._repr_html_()
    frame = small.balance().to_frame()
    assert frame.index.tolist() == list(NAMES)
    assert frame.columns.tolist() == ["defect", "regularizers", "residual"]
    assert small.residual.to_frame().columns.tolist() == ["norm", "relative"]
    assert small.index("chat") == 2
    assert small.roles(pretrain="web", align=1) == [0, 1]
    assert small.weights.sum() == pytest.approx(1)


ONE = [quadratic(0.0)]


@pytest.mark.parametrize(
    ("call", "kind", "text"),
    [
        (lambda: TrainedMixture("gpt", ONE, [1]), TypeError, "model is a str: must be a torch.nn.Module"),
        (lambda: TrainedMixture(Point(), [], []), ValueError, "losses is empty"),
        (lambda: TrainedMixture(Point(), quadratic, [1]), TypeError, "losses is a function: must be a seq"),
        (lambda: TrainedMixture(Point(), [1], [1]), TypeError, r"losses\[0\] is a int: must be callable"),
        (lambda: TrainedMixture(Point(), ONE, [1, 2]), ValueError, r"sizes has shape \(2,\): must be \(1,\)"),
        (lambda: TrainedMixture(Point(), ONE, [-1]), ValueError, r"sizes\[0\] = -1"),
        (lambda: TrainedMixture(Point(), ONE, [0]), ValueError, "sizes sums to 0"),
        (lambda: TrainedMixture(Point(), ONE, [1], ["a", "b"]), ValueError, "names"),
        (
            lambda: TrainedMixture(Point(), ONE, [1], regularizers=[quadratic]),
            TypeError,
            r"regularizers\[0\] = <function .*: must be a callable and its weight",
        ),
        (
            lambda: TrainedMixture(Point(), ONE, [1], regularizers=[(ONE[0], 0.0)]),
            ValueError,
            r"regularizers\[0\]\[1\] = 0.0: must be finite and > 0",
        ),
        (lambda: TrainedMixture(Point(), [lambda m: 1.0], [1]), TypeError, "gives a float: must be a tensor"),
        (
            lambda: TrainedMixture(Point(2), [lambda m: m.x], [1]),
            ValueError,
            r"shape \(2,\): must be one",
        ),
        (lambda: TrainedMixture(Point(), [lambda m: m.x.float()], [1]), TypeError, "gives torch.float32"),
        (
            lambda: TrainedMixture(Point(), [lambda m: m.x.detach()], [1]),
            ValueError,
            r"losses\[0\] \(D1\) does not depend on any parameter",
        ),
        (
            lambda: TrainedMixture(Point().requires_grad_(False), ONE, [1]),
            ValueError,
            "model has no parameter that requires a gradient",
        ),
        (lambda: TrainedMixture(Point(), ONE, [1]).train(0.0), ValueError, "tolerance = 0.0"),
        (lambda: TrainedMixture(Point(), ONE, [1]).train(steps=0), ValueError, "steps = 0"),
        (lambda: TrainedMixture(Point(), ONE, [1]).rates(1), ValueError, "base = 1"),
        (
            lambda: TrainedMixture(Point(), ONE, [1]).index("web"),
            ValueError,
            "dataset = 'web': must be one",
        ),
        (lambda: TrainedMixture(Point(), ONE, [1]).with_sizes([1, 2]), ValueError, "sizes has shape"),
    ],
)
def test_errors_say_what_is_allowed(unchecked, call, kind, text):
    with pytest.raises(kind, match=text):
        call()


def test_a_loss_that_fails_on_its_data_is_named():
    data = torch.zeros(3, 2)
    model = torch.nn.Linear(2, 1)
    with pytest.raises(RuntimeError) as caught:
        TrainedMixture(model, [lambda module: module(data).sum()], [1], ["web"])
    assert "losses[0] (web) was called with a float64 copy of model" in caught.value.__notes__[0]


# A transformer


class Transformer(torch.nn.Module):
    """One block of attention and MLP, each after a layer norm."""

    def __init__(self, q=4, width=4, size=5):
        super().__init__()
        torch.manual_seed(0)
        self.tokens = torch.nn.Embedding(q + 1, size)
        self.places = torch.nn.Parameter(torch.randn(width, size) / 3)
        self.keys = torch.nn.Linear(size, 3 * size, bias=False)
        self.out = torch.nn.Linear(size, size, bias=False)
        # Weight decay shrinks what is normalised until this matters; with the usual 1e-5 F bends so sharply
        # there that training takes minutes.
        self.norms = torch.nn.ModuleList(torch.nn.LayerNorm(size, eps=1e-2) for _ in range(3))
        self.up, self.down = torch.nn.Linear(size, 2 * size), torch.nn.Linear(2 * size, size)
        self.head = torch.nn.Linear(size, q)

    def forward(self, prefixes):
        x = self.tokens(prefixes) + self.places
        # With an axis for heads, of which there is one, for only then does torch use its fast kernels.
        q, k, v = self.keys(self.norms[0](x))[:, None].chunk(3, dim=-1)
        attended = torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(attended[:, 0])
        x = x + self.down(torch.nn.functional.gelu(self.up(self.norms[1](x))))
        return self.head(self.norms[2](x))


def chains(n=3, length=2000, q=4, depth=4):
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


class Free(torch.nn.Module):
    """Any distribution over four symbols."""

    def __init__(self):
        super().__init__()
        self.logits = torch.nn.Parameter(torch.zeros(4))


def free(p, sizes, **given):
    """The token tree of depth 1 as a module."""
    losses = [lambda module, row=row: -(tensor(row) * torch.log_softmax(module.logits, 0)).sum() for row in p]
    return TrainedMixture(Free(), losses, sizes, **given)


FOURTHS = np.array([[4, 3, 2, 1], [1, 1, 1, 5], [6, 2, 1, 1]]) / [[10], [8], [10]]


def test_theorem_4_2_is_decided_by_the_response_without_a_proof():
    trained = free(FOURTHS, [20, 1, 0.5]).train()
    for roles in ((0, 1, 2), (0, 2, 1), (1, 0, 2)):
        found, exact = (elasticity(each, *roles) for each in (trained, Mixture(FOURTHS, [20, 1, 0.5])))
        assert (found.signs, found.holds, found.certified) == (exact.signs, exact.holds, False)
        assert f"{trained.residual.relative:.2g}" in found.certificate
        for name in ("k", "l", "dgamma_pretrain", "dgamma_align", "dgamma_perturb", "ratio", "cosine"):
            assert getattr(found, name) == pytest.approx(getattr(exact, name), rel=1e-9)
    with pytest.raises(ValueError, match="per = 'token': must be 'block'"):
        elasticity(trained, per="token")
    with pytest.raises(ValueError, match=r"sizes\[1\] = 0: the alignment data's must be > 0"):
        elasticity(free(FOURTHS, [20, 0, 1]))


@pytest.mark.parametrize("base", [2, math.e])
def test_a_curve_of_modules_is_that_of_the_token_tree(unchecked, base):
    trained, tree = free(FOURTHS, [20, 1, 0.5]).train(), Mixture(FOURTHS, [20, 1, 0.5])
    before = trained.module.logits.detach().clone()
    roles = {"pretrain": 1, "align": 0, "perturb": 2}
    found, exact = (response_curve(each, [0.1, 1, 3], base=base, **roles) for each in (trained, tree))
    assert (found.k, *found.l) == (exact.k, *exact.l)
    np.testing.assert_allclose(found.rates, exact.rates, rtol=1e-9)
    np.testing.assert_allclose(found.start, exact.start, rtol=1e-9)
    for one, other in zip(found.elasticities, exact.elasticities, strict=True):
        assert one.dgamma_align == pytest.approx(other.dgamma_align, rel=1e-9)
        assert (one.signs, one.certified) == (other.signs, False)
    assert torch.equal(trained.module.logits, before)
    with pytest.raises(ValueError, match="per = 'token': must be 'block'"):
        response_curve(trained, [1], per="token")
    with pytest.raises(TypeError, match="mixture is a list: must be a Mixture or a TrainedMixture"):
        response_curve([trained], [1])


def test_rates_and_responses_of_a_module_are_drawn(unchecked):
    trained, tree = free(FOURTHS, [20, 1, 0.5], names=NAMES).train(), Mixture(FOURTHS, [20, 1, 0.5])
    drawn, exact = (plot_rates(each, [0.2, 0.5], base=math.e) for each in (trained, tree))
    assert drawn.get_ylabel() == r"rate $\gamma_i$ (nats)"
    for line, other in zip(drawn.get_lines(), exact.get_lines(), strict=True):
        np.testing.assert_allclose(line.get_ydata(), other.get_ydata(), rtol=1e-9)
    with pytest.raises(ValueError, match="normalized = True, code"):
        plot_rates(trained, [1], normalized=True)
    drawn, exact = plot_response(trained), plot_response(tree)
    (cells,), (expected,) = drawn.get_images(), exact.get_images()
    np.testing.assert_allclose(cells.get_array(), expected.get_array(), rtol=1e-8)
    np.testing.assert_allclose(expected.get_array(), np.abs(21.5 * tree.response()), rtol=1e-14)
    signs = [text.get_text() for text in drawn.texts]
    assert signs == [text.get_text() for text in exact.texts]
    assert signs == list(np.where(tree.response() > 0, "+", "\u2212").ravel())
    assert [label.get_text() for label in drawn.get_yticklabels()] == [*NAMES]
    for plot in (plot_response, lambda model: plot_rates(model, [1])):
        with pytest.raises(TypeError, match="must be a Mixture or a TrainedMixture"):
            plot(np.eye(3))


def test_training_says_how_far_it_is_once_it_takes_long(monkeypatch, capsys):
    monkeypatch.setattr(progress, "_PATIENCE", -1.0)
    monkeypatch.setenv("FORCE_COLOR", "1")
    free(FOURTHS, [20, 1, 0.5]).train(1e-9, progress=True)
    assert "to be 1e-09" in capsys.readouterr().err
    free(FOURTHS, [20, 1, 0.5]).train(1e-9)
    assert capsys.readouterr().err == ""
