"""Responses at a temperature against distributions that are known, and against a Hessian."""

import math
import pickle
from functools import cache

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.signal import lfilter

from tokentree.training import fluctuation_response

LEVEL = math.erf(1.96 / math.sqrt(2))
"""How often a normal variable is within 1.96 standard errors."""


def gaussian(seed=0, parameters=10):
    """Losses sum_p a_ip (theta_p - b_ip)^2 / 2 on three datasets, and sizes."""
    rng = np.random.default_rng(seed)
    a, b = rng.uniform(0.5, 2, (3, parameters)), rng.normal(size=(3, parameters))
    return a, b, np.array([3.0, 1.0, 0.5])


def losses_of(a, b, theta):
    return 0.5 * (theta**2 @ a.T - 2 * theta @ (a * b).T + (a * b * b).sum(axis=1))


def moments(a, b, sizes, tau):
    """Mean and variance of every parameter, mean losses, and minus their covariance over tau."""
    stiffness = sizes @ a
    mean, variance = sizes @ (a * b) / stiffness, tau / stiffness
    slopes = a * (mean - b)
    rates = 0.5 * (a * ((mean - b) ** 2 + variance)).sum(axis=1)
    covariance = (slopes * variance) @ slopes.T + 0.5 * (a * variance**2) @ a.T
    return mean, variance, rates, -covariance / tau


def chain(rng, shape, memory):
    """Standard normal numbers, each memory times the one before it and something new."""
    z = rng.standard_normal(shape)
    z[:, 1:] *= math.sqrt(1 - memory**2)
    return lfilter([1], [1, -memory], z, axis=1)


# A posterior in closed form


@pytest.mark.parametrize(
    ("memory", "chains", "draws"), [(0, 1, 1000), (0.5, 4, 1000), (0.9, 4, 2000), (-0.5, 4, 2000)]
)
def test_standard_errors_cover_what_is_known(unchecked, memory, chains, draws):
    a, b, sizes = gaussian()
    tau, repetitions = 0.7, 150
    mean, variance, rates, response = moments(a, b, sizes, tau)
    rng = np.random.default_rng(5)
    within = []
    for _ in range(repetitions):
        theta = mean + np.sqrt(variance) * chain(rng, (chains, draws, len(mean)), memory)
        found = fluctuation_response(losses_of(a, b, theta), tau, sizes, base=math.e)
        off = [
            *((found.response - response) / found.standard_errors)[np.triu_indices(3)],
            *(found.balance - sizes @ response) / found.balance_errors,
            *(found.rates - rates) / found.rate_errors,
        ]
        within.append(np.abs(off) < 1.96)
    # Twelve shares at once: with 3.5 deviations of the binomial a true one is missed in 1 of 180 such tests.
    allowed = 3.5 * math.sqrt(LEVEL * (1 - LEVEL) / repetitions)
    assert (np.abs(np.mean(within, axis=0) - LEVEL) < allowed).all()


def test_standard_errors_are_as_long_as_the_chain_remembers(unchecked):
    a, tau, draws, memory = np.array([[1.0, -2.0]]), 0.5, 4000, 0.9
    rng = np.random.default_rng(2)
    errors, effective = [], []
    for _ in range(60):
        theta = math.sqrt(tau) * chain(rng, (1, draws, 2), memory)
        found = fluctuation_response(theta @ a.T, tau, base=math.e)
        errors.append(found.standard_errors[0, 0])
        effective.append(found.effective_draws[0, 0])
    # Products of normal numbers with autocorrelation m^k have m^2k and twice the squared variance.
    time = (1 + memory**2) / (1 - memory**2)
    exact = 5 * math.sqrt(2 * time / draws)
    for found, known in ((errors, exact), (effective, draws / time)):
        spread = np.std(found) / known
        assert spread < 0.2
        # As many chains show their mean; its own bias, of one part in the effective draws, is less.
        assert np.mean(found) == pytest.approx(known, rel=4 * spread / math.sqrt(60))


def plainly(chains):
    """Standard error of the mean of chains and effective draws, a lag at a time as Vehtari et al. write."""
    half = len(chains[0]) // 2
    parts = [np.array(part) for chain in chains for part in (chain[:half], chain[len(chain) - half :])]
    within = np.mean([part.var(ddof=1) for part in parts])
    pooled = within * (half - 1) / half + np.var([part.mean() for part in parts], ddof=1)

    def correlation(lag):
        if not lag:
            return 1
        shifted = [((p - p.mean())[: half - lag] * (p - p.mean())[lag:]).sum() / half for p in parts]
        return 1 - (within - np.mean(shifted)) / pooled

    time, last = -1, math.inf
    for lag in range(0, half - 1, 2):
        pair = correlation(lag) + correlation(lag + 1)
        if pair <= 0:
            break
        last = min(last, pair)
        time += 2 * last
    total = len(chains) * len(chains[0])
    effective = min(total / time if time > 0 else math.inf, total * math.log10(total))
    return math.sqrt(pooled / effective), effective


@pytest.mark.parametrize("chains", [1, 3])
@pytest.mark.parametrize("draws", [8, 9, 47, 200])
@pytest.mark.parametrize("memory", [-0.8, 0, 0.8])
def test_standard_errors_are_those_of_the_sequence_as_it_is_printed(chains, draws, memory):
    rng = np.random.default_rng([chains, draws])
    losses = chain(rng, (chains, draws, 3), memory) + rng.normal(size=3)
    found = fluctuation_response(losses, 0.5, [1, 2, 3], base=math.e)
    centred = losses - losses.mean(axis=(0, 1))
    for i in range(3):
        assert found.rate_errors[i] == pytest.approx(plainly(losses[:, :, i])[0], rel=1e-9)
        error, _ = plainly(centred[:, :, i] * (centred @ [1, 2, 3]))
        assert found.balance_errors[i] == pytest.approx(2 * error, rel=1e-9)
        for t in range(3):
            error, effective = plainly(centred[:, :, i] * centred[:, :, t])
            assert found.standard_errors[i, t] == pytest.approx(2 * error, rel=1e-9)
            assert found.effective_draws[i, t] == pytest.approx(effective, rel=1e-9)


def test_the_response_is_minus_the_covariance_over_the_temperature():
    rng = np.random.default_rng(3)
    losses = rng.normal(size=(50, 4)) @ rng.normal(size=(4, 4)) + 1e6
    sizes = [3, 0, 1, 0.25]
    found = fluctuation_response(losses, 0.25, sizes, names=["a", "b", "c", "d"])
    exact = -np.cov(losses.T) / 0.25 / math.log(2)
    assert found.response == pytest.approx(exact, rel=1e-9)
    assert (found.response == found.response.T).all()
    assert np.linalg.eigvalsh(found.response).max() < 1e-12
    assert found.balance == pytest.approx(sizes @ found.response, rel=1e-9)
    assert found.rates == pytest.approx(losses.mean(axis=0) / math.log(2), rel=1e-14)
    nats = fluctuation_response(losses, 0.25, base=math.e)
    assert nats.balance is nats.balance_errors is None
    for name in ("rates", "rate_errors", "response", "standard_errors"):
        assert getattr(found, name) * math.log(2) == pytest.approx(getattr(nats, name), rel=1e-12)
    assert found.effective_draws == pytest.approx(nats.effective_draws)
    assert pickle.loads(pickle.dumps(found)) == found
    frame = found.to_frame()
    assert frame.loc[("b", "d"), "response"] == found.response[1, 3]
    assert list(frame.columns) == ["response", "standard_error", "effective_draws"]


def test_one_chain_may_come_with_or_without_its_axis():
    losses = np.random.default_rng(4).normal(size=(31, 2))
    assert fluctuation_response(losses, 1, [1, 1]) == fluctuation_response(losses[None], 1, [1, 1])
    assert fluctuation_response(losses.tolist(), 1).names == ("D1", "D2")


def test_chains_that_lie_apart_have_large_errors():
    rng = np.random.default_rng(6)
    losses = rng.normal(size=(4, 500, 2))
    together = fluctuation_response(losses, 1)
    losses[:2] += 4
    apart = fluctuation_response(losses, 1)
    # Two modes and four chains: no more is known of how they weigh than four draws tell.
    assert (apart.effective_draws[together.effective_draws > 0] < 2000).all()
    assert apart.rate_errors == pytest.approx([4 / math.sqrt(12) / math.log(2)] * 2, rel=0.1)
    assert (apart.rate_errors > 20 * together.rate_errors).all()


def test_a_chain_that_drifts_has_a_large_error():
    rng = np.random.default_rng(7)
    losses = rng.normal(size=(1000, 1))
    still = fluctuation_response(losses, 1)
    drifting = fluctuation_response(losses + np.linspace(0, 5, 1000)[:, None], 1)
    assert drifting.rate_errors[0] > 10 * still.rate_errors[0]
    widening = fluctuation_response(losses * np.linspace(0, 3, 1000)[:, None], 1)
    assert widening.effective_draws[0, 0] < 0.1 * still.effective_draws[0, 0]


def test_a_loss_that_does_not_vary_answers_nothing():
    losses = np.random.default_rng(8).normal(size=(2, 40, 2))
    losses[:, :, 1] = 0.1
    found = fluctuation_response(losses, 1, [1, 2], base=math.e)
    assert found.rates[1] == 0.1
    assert found.response[1].tolist() == found.standard_errors[1].tolist() == [0, 0]
    assert found.rate_errors[1] == found.balance[1] == found.balance_errors[1] == 0
    assert np.isnan(found.effective_draws).tolist() == [[False, True], [True, True]]
    assert math.copysign(1, found.response[1, 1]) == 1


# At a temperature that is not small


def test_the_response_is_the_derivative_of_mean_losses_and_the_balance_that_of_entropy():
    at = np.linspace(-4, 4, 161)
    x, y = np.meshgrid(at, at)
    slopes = np.array([[1, 2], [-2, 1], [1, -1]])
    logistic = np.log1p(np.exp(-(slopes[:, :1] * x.ravel() + slopes[:, 1:] * y.ravel())))
    losses = np.vstack([logistic, (x.ravel() ** 2 + y.ravel() ** 2) / 2])
    sizes, tau = np.array([2, 1, 1.5, 0.5]), 0.8

    def shares(sizes):
        p = np.exp(-(sizes @ (losses - losses.min(axis=1, keepdims=True))) / tau)
        return p / p.sum()

    def slope(of):
        return np.array([(of(sizes + h) - of(sizes - h)) / 2e-4 for h in 1e-4 * np.eye(4)]).T

    response = slope(lambda n: losses @ shares(n))
    entropic = tau * slope(lambda n: -(shares(n) * np.log(shares(n))).sum())
    drawn = np.random.default_rng(9).choice(len(losses[0]), (2, 10_000), p=shares(sizes))
    found = fluctuation_response(losses.T[drawn], tau, sizes, base=math.e)
    assert (np.abs(found.response - response) < 3 * found.standard_errors).all()
    assert (np.abs(found.balance - entropic) < 3 * found.balance_errors).all()
    # Both are far from nothing, and from the response at the minimum.
    assert (np.abs(response) > 10 * found.standard_errors).any()
    assert (np.abs(entropic) > 10 * found.balance_errors).all()


# A network

INPUTS = np.linspace(-2, 0.5, 12), np.linspace(-0.5, 2, 12), np.linspace(-1, 1, 12)
TARGETS = np.sin(INPUTS[0]), np.sin(INPUTS[1]) + 0.5 * (INPUTS[1] > 0.5), -0.5 * INPUTS[2]
SIZES = np.array([3, 2, 1, 0.3])


def network(theta):
    """Losses of three tanh units on three datasets and their weight decay, with gradients.

    Shapes (..., 9) to (..., 4) and (..., 4, 9).
    """
    slope, shift, out = (theta[..., None, k : k + 3] for k in (0, 3, 6))
    losses, gradients = [], []
    for x, y in zip(INPUTS, TARGETS, strict=True):
        z = np.tanh(x[:, None] * slope + shift)
        off = (z * out).sum(axis=-1) - y
        inner = (1 - z * z) * out * off[..., None] / len(x)
        parts = (inner * x[:, None]).sum(axis=-2), inner.sum(axis=-2), (z * off[..., None]).mean(axis=-2)
        losses.append((off**2).mean(axis=-1) / 2)
        gradients.append(np.concatenate(parts, axis=-1))
    losses.append((theta**2).sum(axis=-1) / 2)
    return np.stack(losses, axis=-1), np.stack([*gradients, theta], axis=-2)


def total(theta):
    losses, gradients = network(theta)
    return losses @ SIZES, np.einsum("...ip,i->...p", gradients, SIZES)


@cache
def minimum():
    """The minimum, a square root of the Hessian's inverse there, and -G^T H^{-1} G."""
    start = np.random.default_rng(3).normal(size=9)
    theta = minimize(total, start, jac=True, method="BFGS", options={"gtol": 1e-6}).x
    for _ in range(5):
        steps = 1e-5 * np.eye(9)
        hessian = np.array([(total(theta + h)[1] - total(theta - h)[1]) / 2e-5 for h in steps])
        hessian = (hessian + hessian.T) / 2
        theta = theta - np.linalg.solve(hessian, total(theta)[1])
    assert np.abs(total(theta)[1]).max() < 1e-12
    assert np.linalg.eigvalsh(hessian).min() > 0
    gradients = network(theta)[1]
    root = np.linalg.cholesky(np.linalg.inv(hessian))
    return theta, root, -gradients @ np.linalg.solve(hessian, gradients.T)


def hamiltonian(tau, chains=64, draws=300, forgotten=50, seed=1):
    """Losses of networks drawn from exp(-F / tau) by Hamiltonian Monte Carlo, and the share accepted."""
    theta, root, _ = minimum()
    rng = np.random.default_rng(seed)

    def energy(z):
        value, gradient = total(theta + z @ root.T)
        return value, gradient @ root

    z = math.sqrt(tau) * rng.standard_normal((chains, 9))
    value, force = energy(z)
    found, accepted = [], 0.0
    for draw in range(forgotten + draws):
        start = math.sqrt(tau) * rng.standard_normal((chains, 9))
        step = rng.uniform(0.3, 0.6, (chains, 1))
        there, speed, pull = z, start, force
        for _ in range(3):
            speed = speed - step / 2 * pull
            there = there + step * speed
            level, pull = energy(there)
            speed = speed - step / 2 * pull
        rise = level - value + ((speed**2).sum(axis=1) - (start**2).sum(axis=1)) / 2
        taken = np.log(rng.random(chains)) * tau < -rise
        z, force = np.where(taken[:, None], there, z), np.where(taken[:, None], pull, force)
        value = np.where(taken, level, value)
        accepted += taken.mean()
        if draw >= forgotten:
            found.append(network(theta + z @ root.T)[0])
    return np.stack(found, axis=1), accepted / (forgotten + draws)


@pytest.mark.slow
def test_a_network_that_cools_answers_as_its_hessian_says(unchecked):
    _, _, response = minimum()
    assert np.abs(response @ SIZES).max() < 1e-9
    off, apart = {}, {}
    for tau in (1e-2, 1e-3, 1e-4, 1e-5):
        losses, accepted = hamiltonian(tau)
        assert accepted > 0.5
        found = fluctuation_response(losses, tau, SIZES, base=math.e)
        off[tau] = np.abs(found.response - response)
        apart[tau] = off[tau] / found.standard_errors
        assert found.effective_draws.min() > 1000
    scale = np.sqrt(np.outer(*[-np.diag(response)] * 2))
    assert (found.standard_errors < 0.02 * scale).all()
    assert apart[1e-4].max() < 3
    assert apart[1e-5].max() < 3
    # Where it is warm the two differ, and by more than the error.
    assert apart[1e-2].max() > 10
    assert off[1e-3].max() < 0.5 * off[1e-2].max()


# What is refused


def test_losses_that_tell_too_little():
    one = np.ones((1, 2))
    cases = [
        (one, 1, r"losses has 1 draws of a chain: must be 8 or more"),
        (np.ones((100, 7, 2)), 1, r"losses has 7 draws of a chain"),
        (np.ones(9), 1, r"losses has shape \(9,\): must be \(draws, N\) or \(chains, draws, N\)"),
        (np.ones((9, 0)), 1, r"losses has shape \(9, 0\)"),
        (np.ones((0, 9, 2)), 1, r"losses has shape \(0, 9, 2\)"),
        ([[0, 1]] * 8 + [[0, math.nan]], 1, r"losses\[8, 1\] = nan: must be finite"),
        ([[0, math.inf]] * 8, 1, r"losses\[0, 1\] = inf"),
        (np.ones((9, 2)), 0, r"temperature = 0.0: must be finite and > 0"),
        (np.ones((9, 2)), -1, r"temperature = -1"),
        (np.ones((9, 2)), math.nan, r"temperature = nan"),
        (np.ones((9, 2)), math.inf, r"temperature = inf"),
    ]
    for losses, tau, text in cases:
        with pytest.raises(ValueError, match=text):
            fluctuation_response(losses, tau)


def test_sizes_names_and_base_that_are_none():
    losses = np.ones((9, 2))
    for sizes, text in [
        ([1], r"sizes has shape \(1,\): must be \(2,\)"),
        ([1, -1], r"sizes\[1\] = -1.0: must be finite and >= 0"),
        ([0, 0], "sizes sums to 0"),
    ]:
        with pytest.raises(ValueError, match=text):
            fluctuation_response(losses, 1, sizes)
    with pytest.raises(ValueError, match="names"):
        fluctuation_response(losses, 1, names=["a"])
    with pytest.raises(ValueError, match="base = 1"):
        fluctuation_response(losses, 1, base=1)


@pytest.mark.usefixtures("unchecked")
def test_a_temperature_is_one_number():
    with pytest.raises(ValueError, match=r"temperature has shape \(2,\): must be one number"):
        fluctuation_response(np.ones((9, 2)), [1, 2])
    with pytest.raises(TypeError, match="temperature holds text"):
        fluctuation_response(np.ones((9, 2)), "warm")


def test_the_fewest_draws_are_answered_without_a_warning():
    losses = np.random.default_rng(0).normal(size=(8, 2))
    found = fluctuation_response(losses, 1, [1, 1])
    assert np.isfinite(found.standard_errors).all()
    assert (found.standard_errors > 0).all()
