r"""Shannon and Rényi entropies, and Kullback-Leibler and Rényi divergences, of distributions over leaves.

Every measure is taken over the last axis, in bits by default (`base`). The convention is 0 log 0 = 0, and a
code without a codeword for something that occurs has infinite cost: p log(1/0) = inf for p > 0. Of a model
that was read in part a row does not tell zero from unknown: `leaf_distributions` warns where that matters,
and an unexpanded leaf counts as one, so that entropies are lower bounds.
"""

from collections.abc import Callable
from functools import partial
from typing import Annotated

import numpy as np
import scipy
from jaxtyping import Float

from ._lib import checks
from ._lib.checks import Numbers

__all__ = ["cross_entropy", "entropy", "jensen_shannon_divergence", "kl_divergence", "renyi_divergence"]
__all__ += ["renyi_entropy"]
__dir__ = __all__.copy

# z**3 * polyval(_ATANH, z**2) = atanh(z) - z to the last digit for |z| <= 1/4.
_ATANH = np.array([1.0 / n for n in range(25, 2, -2)])

_BLOCK = 2**14
"""Number of leaves with a dozen intermediate results that fit in cache."""


def entropy(
    p: Annotated[Numbers, "*batch leaves"], base: float = 2
) -> Float[np.ndarray, "*batch"] | np.float64:
    r"""Shannon entropy H(p) = -sum p log p.

    Parameters
    ----------
    p : array_like, shape (..., M)
        Probabilities; each row sums to 1.
    base : float
        Base of the logarithm: 2 for bits, ``math.e`` for nats.

    Returns
    -------
    float64 or ndarray, shape (...)
        Entropy per block, in units of ``log(base)``.

    Raises
    ------
    ValueError
        If an entry is negative or not finite, a row does not sum to 1, or ``base <= 1``.

    Notes
    -----
    One pass, O(M) per row. Shannon (1948); Cover and Thomas, *Elements of Information Theory*, section 2.1.

    Examples
    --------
    >>> entropy([0.5, 0.25, 0.125, 0.125])
    np.float64(1.75)
    """
    scale = checks.log_base(base)
    return _total(scipy.special.entr(checks.distributions("p", p)), scale)


def cross_entropy(
    p: Annotated[Numbers, "*#batch leaves"],
    q: Annotated[Numbers, "*#batch leaves"],
    base: float = 2,
) -> Float[np.ndarray, "*batch"] | np.float64:
    r"""Cross-entropy -sum p log q: the mean length of the ideal code for q on data distributed as p.

    Parameters
    ----------
    p, q : array_like, shape (..., M)
        Distributions of the data and of the model; leading axes broadcast.
    base : float
        Base of the logarithm: 2 for bits, ``math.e`` for nats.

    Returns
    -------
    float64 or ndarray, shape (...)
        Cross-entropy per block; ``inf`` if q = 0 for some leaf with p > 0.

    Raises
    ------
    ValueError
        If an entry is negative or not finite, a row does not sum to 1, the numbers of leaves differ, or
        ``base <= 1``.

    Notes
    -----
    One pass, O(M) per row. Cover and Thomas, section 5.4 (wrong code).

    Examples
    --------
    >>> cross_entropy([0.5, 0.5, 0.0], [0.25, 0.25, 0.5])
    np.float64(2.0)
    """
    scale = checks.log_base(base)
    p, q = _pair(p, q)
    return _total(-scipy.special.xlogy(p, q), scale)


def kl_divergence(
    p: Annotated[Numbers, "*#batch leaves"],
    q: Annotated[Numbers, "*#batch leaves"],
    base: float = 2,
) -> Float[np.ndarray, "*batch"] | np.float64:
    r"""Kullback-Leibler divergence D(p || q) = sum p log(p / q), never negative.

    Parameters
    ----------
    p, q : array_like, shape (..., M)
        Distributions of the data and of the model; leading axes broadcast.
    base : float
        Base of the logarithm: 2 for bits, ``math.e`` for nats.

    Returns
    -------
    float64 or ndarray, shape (...)
        Divergence per block; ``inf`` if q = 0 for some leaf with p > 0.

    Raises
    ------
    ValueError
        If an entry is negative or not finite, a row does not sum to 1, the numbers of leaves differ, or
        ``base <= 1``.

    Notes
    -----
    Summed as p log(p / q) - p + q, which gives the same sum because p - q sums to zero, and each term is
    nonnegative. No terms cancel, so distributions that agree in all but the last digits still give their
    divergence to nearly full relative precision. One pass, O(M) per row. Kullback and Leibler (1951).

    Examples
    --------
    >>> kl_divergence([1.0, 0.0], [0.5, 0.5])
    np.float64(1.0)
    >>> kl_divergence([0.5, 0.5], [1.0, 0.0])
    np.float64(inf)
    """
    scale = checks.log_base(base)
    return _total(_in_blocks(lambda a, b: divergence_terms(a, b, a - b), *_pair(p, q)), scale)


def jensen_shannon_divergence(
    distributions: Annotated[Numbers, "*batch datasets leaves"],
    weights: Annotated[Numbers, "datasets"] | None = None,
    base: float = 2,
) -> Float[np.ndarray, "*batch"] | np.float64:
    r"""Jensen-Shannon divergence sum w_i KL(p_i || q) with q = sum w_i p_i: the cost of joint coding.

    Parameters
    ----------
    distributions : array_like, shape (..., N, M)
        The p_i, each row summing to 1.
    weights : array_like, shape (N,), optional
        Nonnegative with a positive sum; only their shares w_i matter. Default: equal weights.
    base : float
        Base of the logarithm: 2 for bits, ``math.e`` for nats.

    Returns
    -------
    float64 or ndarray, shape (...)
        Divergence per block, at most the entropy of the weights. T times it is the energy of the springs of a
        `Mixture` of sizes T w_i.

    Raises
    ------
    ValueError
        If an entry is negative or not finite, a row does not sum to 1, there is not one weight per
        distribution, their sum is 0, or ``base <= 1``.

    Notes
    -----
    Every p_i - q is formed from differences between rows, so nothing cancels if rows nearly agree. O(N M) per
    entry of the batch. Lin (1991).

    Examples
    --------
    >>> jensen_shannon_divergence([[1.0, 0.0], [0.0, 1.0]])
    np.float64(1.0)
    >>> jensen_shannon_divergence([[1.0, 0.0], [0.0, 1.0]], weights=[3, 1]).round(6)
    np.float64(0.811278)
    """
    scale = checks.log_base(base)
    rows = checks.distributions("distributions", distributions)
    if rows.ndim < 2:
        raise ValueError(f"distributions has shape {rows.shape}: must be (..., N, M), one row per dataset")
    n = rows.shape[-2]
    given = np.ones(n) if weights is None else checks.float_array("weights", weights)
    if given.shape != (n,):
        raise ValueError(f"weights has shape {given.shape}: must be ({n},), one per distribution")
    checks.nonnegative("weights", given)
    if not given.max() > 0:
        raise ValueError("weights are all 0: at least one must be > 0")
    if not given.all():
        # Rows of zero weight may have leaves that q lacks.
        rows, given = rows[..., given > 0, :], given[given > 0]
    shares = given / given.max()
    shares = (shares / shares.sum())[:, None]
    heaviest = [int(shares.argmax())]

    def terms(p: Float[np.ndarray, "*batch datasets block"]) -> Float[np.ndarray, "*batch block"]:
        apart = p - p[..., heaviest, :]
        apart -= (shares * apart).sum(axis=-2, keepdims=True)
        mean = (shares * p).sum(axis=-2, keepdims=True)
        each = shares * divergence_terms(p, mean, apart)
        # Where the mean underflows the terms would too, if they were not infinite.
        total: Float[np.ndarray, "*batch block"] = np.where(mean > 0, each, 0.0).sum(axis=-2)
        return total

    return _total(_in_blocks(terms, rows), scale)


def renyi_entropy(
    p: Annotated[Numbers, "*batch leaves"], order: float, base: float = 2
) -> Float[np.ndarray, "*batch"] | np.float64:
    r"""Rényi entropy log(sum p^alpha) / (1 - alpha).

    Parameters
    ----------
    p : array_like, shape (..., M)
        Probabilities; each row sums to 1.
    order : float
        alpha >= 0. At 0 it is the logarithm of the number of leaves with mass, at 1 the Shannon entropy, and
        at ``math.inf`` -log max p, the min-entropy.
    base : float
        Base of the logarithm: 2 for bits, ``math.e`` for nats.

    Returns
    -------
    float64 or ndarray, shape (...)
        Entropy per block, which does not increase with the order.

    Raises
    ------
    ValueError
        If an entry is negative or not finite, a row does not sum to 1, `order` is negative or nan, or ``base
        <= 1``.

    Notes
    -----
    Accurate at orders near 1, where sum p^alpha is near 1. O(M) per row. Rényi (1961).

    Examples
    --------
    >>> p = [0.5, 0.25, 0.25]
    >>> [float(renyi_entropy(p, order).round(4)) for order in (0, 1, 2, float("inf"))]
    [1.585, 1.5, 1.415, 1.0]
    """
    scale = checks.log_base(base)
    alpha = _order(order)
    if alpha == 1:
        return entropy(p, base)
    rows = checks.distributions("p", p)
    if np.isinf(alpha):
        found = -np.log(rows.max(axis=-1))
    elif abs(alpha - 1) < 1 / 2:
        # sum p (p^(alpha - 1) - 1), with terms of one sign.
        with np.errstate(divide="ignore", invalid="ignore"):
            terms = np.where(rows > 0, rows * np.expm1((alpha - 1) * np.log(rows)), 0.0)
        found = np.log1p(np.ascontiguousarray(terms).sum(axis=-1)) / (1 - alpha)
    else:
        # The largest is kept apart, so that the sum of the others keeps its digits. SciPy's logsumexp does so
        # too, and takes ten times as long on a few leaves.
        at = rows.argmax(axis=-1, keepdims=True)
        top = rows.max(axis=-1, keepdims=True)
        others = np.where((rows > 0) & (np.arange(rows.shape[-1]) != at), (rows / top) ** alpha, 0.0)
        found = (alpha * np.log(top[..., 0]) + np.log1p(np.ascontiguousarray(others).sum(axis=-1))) / (
            1 - alpha
        )
    entropies: Float[np.ndarray, "*batch"] | np.float64 = (found / scale + 0.0)[()]
    return entropies


def renyi_divergence(
    p: Annotated[Numbers, "*#batch leaves"],
    q: Annotated[Numbers, "*#batch leaves"],
    order: float,
    base: float = 2,
) -> Float[np.ndarray, "*batch"] | np.float64:
    r"""Rényi divergence log(sum p^alpha q^(1 - alpha)) / (alpha - 1), never negative.

    Parameters
    ----------
    p, q : array_like, shape (..., M)
        Distributions of the data and of the model; leading axes broadcast.
    order : float
        alpha >= 0. At 0 it is -log q(p > 0), at 1 the Kullback-Leibler divergence, and at ``math.inf`` log
        max p / q, which determines how much data undoes an alignment exactly (``docs/alignment.md``).
    base : float
        Base of the logarithm: 2 for bits, ``math.e`` for nats.

    Returns
    -------
    float64 or ndarray, shape (...)
        Divergence per block, which does not decrease with the order; ``inf`` if p and q have no leaf in
        common, and for orders of at least 1 if q = 0 for some leaf with p > 0.

    Raises
    ------
    ValueError
        If an entry is negative or not finite, a row does not sum to 1, the numbers of leaves differ, `order`
        is negative or nan, or ``base <= 1``.

    Notes
    -----
    Summed as an f-divergence, sum q (r^alpha - 1 - alpha (r - 1)) / (alpha (alpha - 1)) with r = p / q and
    nonnegative terms: it is accurate if p and q nearly agree, and at orders near 1. O(M) per row. Rényi
    (1961); van Erven and Harremoës (2014).

    Examples
    --------
    >>> [float(renyi_divergence([0.5, 0.5], [0.25, 0.75], order).round(4)) for order in (0, 1, 2)]
    [0.0, 0.2075, 0.415]
    >>> renyi_divergence([0.5, 0.5], [0.25, 0.75], float("inf"))
    np.float64(1.0)
    """
    scale = checks.log_base(base)
    alpha = _order(order)
    if alpha == 1:
        return kl_divergence(p, q, base)
    p, q = _pair(p, q)
    p, q = np.broadcast_arrays(p, q)
    if alpha == 0:
        shared, missed = (
            np.ascontiguousarray(np.where((p > 0) == on, q, 0.0)).sum(axis=-1) for on in (True, False)
        )
        with np.errstate(divide="ignore"):
            # The smaller of the two masses keeps its digits.
            found = np.where(missed < 1 / 2, -np.log1p(-np.minimum(missed, 0.5)), -np.log(shared))
        return _nonnegative(found, scale)
    if np.isinf(alpha):
        return _nonnegative(_in_blocks(_log_ratios, p, q).max(axis=-1), scale)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        total = np.ascontiguousarray(_in_blocks(partial(_power_terms, alpha), p, q)).sum(axis=-1)
        less = alpha * (alpha - 1) * total
        found = np.log1p(less) / (alpha - 1)
        # Powers beyond float64, or so near zero that one minus them is rounding.
        direct = ~np.isfinite(found) | (less < -1 / 2)
        if direct.any():
            powers = _in_blocks(partial(_log_powers, alpha), p, q)
            found = np.where(direct, scipy.special.logsumexp(powers, axis=-1) / (alpha - 1), found)
    return _nonnegative(found, scale)


def _in_blocks(
    terms: Callable[..., Float[np.ndarray, "*batch block"]], *rows: Float[np.ndarray, "..."]
) -> Float[np.ndarray, "*batch leaves"]:
    """Terms of every leaf, computed for few leaves at a time."""
    n = rows[0].shape[-1]
    first = terms(*(row[..., :_BLOCK] for row in rows))
    if n <= _BLOCK:
        return first
    every = np.empty((*first.shape[:-1], n))
    every[..., :_BLOCK] = first
    for start in range(_BLOCK, n, _BLOCK):
        block = slice(start, start + _BLOCK)
        every[..., block] = terms(*(row[..., block] for row in rows))
    return every


def _nonnegative(
    nats: Float[np.ndarray, "*batch"] | np.float64, scale: float
) -> Float[np.ndarray, "*batch"] | np.float64:
    """A divergence, set to zero if rounding has left it below."""
    divergence: Float[np.ndarray, "*batch"] | np.float64 = (np.maximum(nats, 0.0) / scale)[()]
    return divergence


def _order(order: float) -> float:
    alpha = checks.float_array("order", order)
    if alpha.ndim or not alpha >= 0:
        raise ValueError(f"order = {order!r}: must be one number >= 0; math.inf is allowed")
    return float(alpha)


def _log_ratios(
    p: Float[np.ndarray, "*batch block"], q: Float[np.ndarray, "*batch block"]
) -> Float[np.ndarray, "*batch block"]:
    """Log p / q; infinite if one is zero, and -inf if both are."""
    both = (p > 0) & (q > 0)
    logs = log_ratio(np.where(both, p, 1.0), np.where(both, q, 1.0), np.where(both, p - q, 0.0))
    return np.where(both, logs, np.where(p > 0, np.inf, -np.inf))


def _log_powers(
    alpha: float, p: Float[np.ndarray, "*batch block"], q: Float[np.ndarray, "*batch block"]
) -> Float[np.ndarray, "*batch block"]:
    """Log p^alpha q^(1 - alpha)."""
    logs = np.log(q) + alpha * _log_ratios(p, q)
    return np.where(q > 0, logs, np.where((p > 0) & (alpha > 1), np.inf, -np.inf))


def _power_terms(
    alpha: float, p: Float[np.ndarray, "*batch block"], q: Float[np.ndarray, "*batch block"]
) -> Float[np.ndarray, "*batch block"]:
    """Q (r^alpha - 1 - alpha (r - 1)) / (alpha (alpha - 1)) with r = p / q."""
    less = np.divide(p - q, q, out=np.full_like(q, np.inf), where=q > 0)
    near = np.abs(less) * max(1.0, alpha) <= 1 / 4
    # The binomial series without its factor alpha (alpha - 1), so no digits are lost at orders near 0 and 1.
    x = np.where(near, less, 0.0)
    term = x * x / 2
    series = term.copy()
    for k in range(2, 40):
        term = term * x * (alpha - k) / (k + 1)
        series += term
    safe = np.where(near | (p == 0) | (q == 0), 0.0, _log_ratios(p, q))
    ratio = np.exp(safe)
    if alpha < 1 / 2:
        far = (np.expm1(alpha * safe) / alpha - (ratio - 1)) / (alpha - 1)
    else:
        far = (ratio * np.expm1((alpha - 1) * safe) / (alpha - 1) - (ratio - 1)) / alpha
    terms = q * np.where(near, series, far)
    # If one of the two is zero, r is 0, or r is infinite and the power vanishes below order 1.
    terms = np.where(p == 0, q / alpha, terms)
    return np.where(q == 0, np.where(p > 0, p / (1 - alpha) if alpha < 1 else np.inf, 0.0), terms)


def divergence_terms(
    p: Float[np.ndarray, "*#batch leaves"],
    q: Float[np.ndarray, "*#batch leaves"],
    difference: Float[np.ndarray, "*#batch leaves"],
) -> Float[np.ndarray, "*batch leaves"]:
    """Terms p log(p / q) - p + q in nats, given `difference` = p - q more exactly than p and q.

    With z = (p - q) / (p + q), log(p / q) = 2 atanh(z) and the term is (p - q) z + 2 p (atanh(z) - z):
    nothing cancels where p and q are close.
    """
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        z = difference / (p + q)
        ratio = p / q
    near = np.abs(z) <= 1 / 4
    square = z * z
    series = difference * z + 2 * p * (z * square * np.polyval(_ATANH, square))
    whole = p * np.log(np.where(p > 0, ratio, 1.0)) - difference
    terms: Float[np.ndarray, "*batch leaves"] = np.where(near, series, whole)
    # Ratios beyond float64, as of 1 and 1e-310, are rare enough for SciPy's slower logarithm.
    steep = np.isinf(ratio) & (q > 0)
    if steep.any():
        terms[steep] = (scipy.special.rel_entr(p, q) - difference)[steep]
    return terms


def log1p_less(x: Float[np.ndarray, "*batch"] | np.float64) -> Float[np.ndarray, "*batch"] | np.float64:
    """log(1 + x) - x for x >= 0, minus the divergence of 1 from 1 + x, without cancellation."""
    over = np.asarray(x)[..., None]
    less: Float[np.ndarray, "*batch"] | np.float64
    less = -divergence_terms(np.ones_like(over), 1 + over, -over)[..., 0]
    return less


def _pair(p: Numbers, q: Numbers) -> tuple[Float[np.ndarray, "..."], Float[np.ndarray, "..."]]:
    p, q = checks.distributions("p", p), checks.distributions("q", q)
    if p.shape[-1] != q.shape[-1]:
        raise ValueError(
            f"p has {p.shape[-1]} leaves and q has {q.shape[-1]}: the last axes must match; of trees a and "
            "b, leaf_distributions([a, b]) has both over the same leaves"
        )
    try:
        np.broadcast_shapes(p.shape, q.shape)
    except ValueError:
        shapes = f"p has shape {p.shape} and q has shape {q.shape}"
        raise ValueError(f"{shapes}: leading axes must broadcast") from None
    return p, q


def _total(
    terms: Float[np.ndarray, "*batch leaves"], scale: float
) -> Float[np.ndarray, "*batch"] | np.float64:
    # NumPy adds to 0.0, so the cross-entropy of a certain outcome is 0.0, not -0.0. Its pairwise sum needs
    # contiguous data.
    total: Float[np.ndarray, "*batch"] | np.float64 = np.ascontiguousarray(terms).sum(axis=-1) / scale
    return total


def log_ratio(
    over: Float[np.ndarray, "*#rows block"],
    under: Float[np.ndarray, "*#rows block"],
    difference: Float[np.ndarray, "*#rows block"],
) -> Float[np.ndarray, "*rows block"]:
    """log(over / under), given their difference more exactly; 0 where both are 0."""
    safe = np.where(under > 0, under, 1.0)
    with np.errstate(over="ignore"):
        relative = difference / safe
        near = np.abs(relative) < 1 / 2
        ratio = np.where(near | (under == 0), 1.0, over / safe)
    logs: Float[np.ndarray, "*rows block"] = np.where(
        near, np.log1p(np.where(near, relative, 0.0)), np.log(ratio)
    )
    # Ratios beyond float64, as of 1 and 1e-310.
    steep = np.isinf(ratio)
    if steep.any():
        logs[steep] = (np.log(np.where(steep, over, 1.0)) - np.log(safe))[steep]
    return logs
