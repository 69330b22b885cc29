r"""Entropy, cross-entropy and Kullback-Leibler divergence of distributions over leaves.

Every measure runs over the last axis and reports bits unless `base` says otherwise. The convention is
0 log 0 = 0, and a code that gives no codeword to something that occurs costs infinitely much:
p log(1/0) = inf for p > 0.
"""

from typing import Annotated

import numpy as np
import scipy
from jaxtyping import Float

from ._lib import checks
from ._lib.checks import Numbers

__all__ = ["cross_entropy", "entropy", "kl_divergence"]

# z**3 * polyval(_ATANH, z**2) = atanh(z) - z to the last digit for |z| <= 1/4.
_ATANH = np.array([1.0 / n for n in range(25, 2, -2)])

_BLOCK = 2**13
"""Leaves whose dozen intermediate results stay in cache."""


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
    r"""Cross-entropy -sum p log q: the mean length of the ideal code for q when the data follow p.

    Parameters
    ----------
    p, q : array_like, shape (..., M)
        Distributions of the data and of the model; leading axes broadcast.
    base : float
        Base of the logarithm: 2 for bits, ``math.e`` for nats.

    Returns
    -------
    float64 or ndarray, shape (...)
        Cross-entropy per block; ``inf`` where some p > 0 meets q = 0.

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
        Divergence per block; ``inf`` where some p > 0 meets q = 0.

    Raises
    ------
    ValueError
        If an entry is negative or not finite, a row does not sum to 1, the numbers of leaves differ, or
        ``base <= 1``.

    Notes
    -----
    Summed as p log(p / q) - p + q, which is the same number because p - q sums to zero, and each term is
    nonnegative. No terms cancel, so distributions that agree in all but the last digits still give
    their divergence to nearly full relative precision. One pass, O(M) per row. Kullback and Leibler (1951).

    Examples
    --------
    >>> kl_divergence([1.0, 0.0], [0.5, 0.5])
    np.float64(1.0)
    >>> kl_divergence([0.5, 0.5], [1.0, 0.0])
    np.float64(inf)
    """
    scale = checks.log_base(base)
    p, q = _pair(p, q)
    terms = np.empty(np.broadcast_shapes(p.shape, q.shape))
    for start in range(0, p.shape[-1], _BLOCK):
        leaves = slice(start, start + _BLOCK)
        a, b = p[..., leaves], q[..., leaves]
        terms[..., leaves] = divergence_terms(a, b, a - b)
    return _total(terms, scale)


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
    # Ratios beyond a float64, as of 1 and 1e-310, are rare enough for SciPy's slower logarithm.
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
        raise ValueError(f"p has {p.shape[-1]} leaves and q has {q.shape[-1]}: the last axes must match")
    try:
        np.broadcast_shapes(p.shape, q.shape)
    except ValueError:
        shapes = f"p has shape {p.shape} and q has shape {q.shape}"
        raise ValueError(f"{shapes}: leading axes must broadcast") from None
    return p, q


def _total(
    terms: Float[np.ndarray, "*batch leaves"], scale: float
) -> Float[np.ndarray, "*batch"] | np.float64:
    # NumPy adds to 0.0, so the cross-entropy of a sure thing is 0.0 and not -0.0. It adds in pairs only along
    # what is contiguous.
    total: Float[np.ndarray, "*batch"] | np.float64 = np.ascontiguousarray(terms).sum(axis=-1) / scale
    return total


def log_ratio(
    over: Float[np.ndarray, "*#rows block"],
    under: Float[np.ndarray, "block"],
    difference: Float[np.ndarray, "*#rows block"],
) -> Float[np.ndarray, "*rows block"]:
    """log(over / under), given their difference more exactly; 0 where both are 0."""
    safe = np.where(under > 0, under, 1.0)
    relative = difference / safe
    near = np.abs(relative) < 1 / 2
    ratio = np.where(near | (under == 0), 1.0, over / safe)
    logs: Float[np.ndarray, "*rows block"] = np.where(
        near, np.log1p(np.where(near, relative, 0.0)), np.log(ratio)
    )
    return logs
