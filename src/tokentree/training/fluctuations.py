r"""The response of models trained at a temperature, from the covariances of their losses.

Let theta be drawn from exp(-F_n / tau) with F_n = sum n_i L_i, as by noisy training, and let G be -tau log of
the integral of that density. Then the rates are gamma_i = E[L_i] = dG/dn_i, and their response is, exactly
and without a Hessian,

    R_it = d gamma_i / d n_t = -Cov(L_i, L_t) / tau.

G is homogeneous of degree 1 in n and tau together, and dG/dtau is minus the entropy S, so the balance
contains an entropy term: sum_i n_i R_it = tau dS/dn_t. As tau goes to 0, R becomes -G^T H^{-1} G.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from jaxtyping import Float
from scipy import fft

from .._lib import checks
from .._lib.checks import Numbers
from .._lib.results import Result, points

_FEWEST = 8
"""Fewest draws of a chain: each half needs some to estimate autocorrelations."""


@dataclass(frozen=True, eq=False, repr=False)
class FluctuationResponse(Result):
    r"""Response of models drawn at a temperature; made by `fluctuation_response`.

    Attributes
    ----------
    names : tuple of N str
        The datasets.
    rates, rate_errors : float array, shape (N,)
        Means of the losses in the requested unit, and their standard errors.
    response, standard_errors : float array, shape (N, N)
        R_it = -Cov(L_i, L_t) / tau, exactly symmetric and negative semidefinite up to rounding, and the
        standard error of each entry.
    effective_draws : float array, shape (N, N)
        Number of independent draws that would give the same standard error; NaN if a loss does not vary.
    balance, balance_errors : float array, shape (N,), or None
        sum_i n_i R_it. If the losses make up all of F_n this is tau dS/dn_t, the entropy term, and not an
        error; an omitted regulariser lambda Omega adds -lambda dE[Omega]/dn_t. None without sizes.

    Notes
    -----
    `to_frame` has one row per entry of the response; its index is (loss, grown).
    """

    names: tuple[str, ...]
    rates: Float[np.ndarray, "datasets"]
    rate_errors: Float[np.ndarray, "datasets"]
    response: Float[np.ndarray, "datasets datasets"]
    standard_errors: Float[np.ndarray, "datasets datasets"]
    effective_draws: Float[np.ndarray, "datasets datasets"]
    balance: Float[np.ndarray, "datasets"] | None = None
    balance_errors: Float[np.ndarray, "datasets"] | None = None

    def _columns(self) -> tuple[Mapping[str, Any], *tuple[str, ...]]:
        columns = {
            "response": self.response,
            "standard_error": self.standard_errors,
            "effective_draws": self.effective_draws,
        }
        return points({"loss": self.names, "grown": self.names}, **columns)


def fluctuation_response(
    losses: Annotated[Numbers, "*chains draws datasets"],
    temperature: float,
    sizes: Annotated[Numbers, "datasets"] | Mapping[str, float] | None = None,
    *,
    names: Iterable[str] | None = None,
    base: float = 2,
) -> FluctuationResponse:
    r"""Response of rates to sizes, from losses of models drawn at a temperature.

    Parameters
    ----------
    losses : array_like, shape (S, N) or (C, S, N)
        Losses in nats on N datasets of S models, in the order in which a chain drew them from exp(-F_n / tau)
        after burn-in, or of C such chains. S must be 8 or more. A regulariser is one more loss, with its
        strength as size.
    temperature : float
        tau, finite and > 0.
    sizes : array_like, shape (N,), or a mapping of names to sizes, optional
        The sizes n in F_n = sum n_i L_i, >= 0 and not all 0. Without them there is no `balance`.
    names : N distinct strings, optional
        Names of the datasets. Default: "D1", "D2", ...
    base : float
        2 for bits, ``math.e`` for nats: the unit of all results.

    Returns
    -------
    FluctuationResponse

    Raises
    ------
    ValueError
        If a loss is NaN or infinite, a shape is wrong, a chain has fewer than 8 draws, the temperature is not
        finite and > 0, or a size is negative or not finite, or all sizes are 0.
    TypeError
        If an array holds no real numbers.

    Notes
    -----
    A covariance is the mean of products (L_i - mean L_i)(L_t - mean L_t), with the mean over all chains, and
    its standard error is that of this mean. Draws of a chain are correlated, so the autocorrelations of the
    products are summed over Geyer's (1992) initial monotone sequence, and pooled over halves of chains as in
    Vehtari et al. (2021, section 3.2), where differences between halves and chains count as correlation.
    Ranks, used in that work, are not, since this mean itself is wanted. That this asymptotically does not
    underestimate the error is proved for reversible chains; a chain that stays at one mode reveals nothing of
    the others.

    Errors are first-order. On normal posteriors with ten parameters, intervals of 1.96 standard errors on
    each side contained the true response in 93 to 96 % of repetitions with a thousand effective draws or
    more, for independent and for correlated draws; in 88 to 94 % at 120; in 78 to 92 % at 40, where the
    covariance itself was 4 to 7 % too small. O(N^2 C S log S) time, O(N C S) memory.

    References
    ----------
    Geyer (1992), "Practical Markov chain Monte Carlo", Statistical Science 7(4), section 3.3.
    Vehtari, Gelman, Simpson, Carpenter and Bürkner (2021), "Rank-normalization, folding, and localization",
    Bayesian Analysis 16(2). Kreer et al. (2025) call this covariance the Bayesian influence function.

    Examples
    --------
    One parameter with F = 3 theta^2 / 2 + (theta - 1)^2 / 2 has R = [[-9/64, 27/64], [27/64, -81/64]] at a
    temperature of nearly 0.

    >>> import math
    >>> rng, tau = np.random.default_rng(0), 1e-4
    >>> theta = 0.25 + math.sqrt(tau / 4) * rng.standard_normal(4000)
    >>> losses = np.column_stack([theta**2 / 2, (theta - 1) ** 2 / 2])
    >>> found = fluctuation_response(losses, tau, sizes=[3, 1], base=math.e)
    >>> exact = np.array([[-1, 3], [3, -9]]) / 64
    >>> bool((abs(found.response - exact) < 3 * found.standard_errors).all())
    True
    """
    unit = checks.log_base(base)
    given = checks.finite("losses", losses)
    if given.ndim not in (2, 3) or not given.size:
        rule = "(draws, N) or (chains, draws, N), none of them 0"
        raise ValueError(f"losses has shape {given.shape}: must be {rule}")
    draws = given.reshape(-1, *given.shape[-2:])
    if draws.shape[1] < _FEWEST:
        raise ValueError(f"losses has {draws.shape[1]} draws of a chain: must be {_FEWEST} or more")
    tau = checks.positive("temperature", temperature)
    if tau.shape != ():
        raise ValueError(f"temperature has shape {tau.shape}: must be one number")
    n = draws.shape[2]
    labels = checks.distinct_names(names, n, "loss", "D")
    counts = (
        None
        if sizes is None
        else _sizes(checks.by_name("sizes", sizes, None if names is None else labels), n)
    )
    # A constant loss is then exactly zero, and large ones keep their digits.
    start = draws[0, 0]
    rates, rate_errors, _ = _means(draws - start)
    centred = draws - start - rates
    factor = float(tau) * unit
    response, errors, effective = np.empty((3, n, n))
    for i in range(n):
        found = _covariances(centred[:, :, i], centred[:, :, i:])
        response[i, i:], errors[i, i:], effective[i, i:] = found
        response[i:, i], errors[i:, i], effective[i:, i] = found
    balance = balance_errors = None
    if counts is not None:
        covariance, error, _ = _covariances(centred @ counts, centred)
        balance, balance_errors = 0.0 - covariance / factor, error / factor
    return FluctuationResponse(
        labels,
        (start + rates) / unit,
        rate_errors / unit,
        0.0 - response / factor,
        errors / factor,
        effective,
        balance,
        balance_errors,
    )


def _sizes(sizes: Numbers, n: int) -> Float[np.ndarray, "datasets"]:
    counts = checks.float_array("sizes", sizes)
    if counts.shape != (n,):
        raise ValueError(f"sizes has shape {counts.shape}: must be ({n},), one for each loss")
    checks.nonnegative("sizes", counts)
    if not counts.any():
        raise ValueError("sizes sums to 0: a model is trained on some data")
    return counts


def _covariances(
    one: Float[np.ndarray, "chains draws"], others: Float[np.ndarray, "chains draws k"]
) -> tuple[Float[np.ndarray, "k"], Float[np.ndarray, "k"], Float[np.ndarray, "k"]]:
    """Covariances of a centred loss with others, their standard errors, and effective draws."""
    total = one.size
    mean, error, effective = _means(one[:, :, None] * others)
    return mean * (total / (total - 1)), error, effective


def _means(
    series: Float[np.ndarray, "chains draws k"],
) -> tuple[Float[np.ndarray, "k"], Float[np.ndarray, "k"], Float[np.ndarray, "k"]]:
    """Means over draws of chains, their standard errors, and the equivalent numbers of independent draws."""
    chains, draws = series.shape[:2]
    half = draws // 2
    # A drift along a chain shows as a difference between its halves.
    parts = np.concatenate([series[:, :half], series[:, draws - half :]])
    means = parts.mean(axis=1)
    length = fft.next_fast_len(2 * half, real=True)
    spectrum = fft.rfft(parts - means[:, None], length, axis=1)
    power = (spectrum.real**2 + spectrum.imag**2).mean(axis=0)
    covariances = fft.irfft(power, length, axis=0)[:half] / half
    variance = covariances[0] + means.var(axis=0, ddof=1)
    varies = variance > 0
    variance = np.where(varies, variance, 1)
    correlations = 1 - (covariances[0] * half / (half - 1) - covariances) / variance
    correlations[0] = 1
    pairs = correlations[: half // 2 * 2].reshape(half // 2, 2, -1).sum(axis=1)
    before = np.logical_and.accumulate(pairs > 0, axis=0)
    time = 2 * np.where(before, np.minimum.accumulate(pairs, axis=0), 0).sum(axis=0) - 1
    total = chains * draws
    # Anticorrelated chains can appear to have no error at all.
    time = np.maximum(time, 1 / np.log10(total))
    error = np.where(varies, np.sqrt(variance * time / total), 0)
    return series.mean(axis=(0, 1)), error, np.where(varies, total / time, np.nan)
