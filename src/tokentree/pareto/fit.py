"""`fit_tail`: what is asked of data before a Pareto tail is fitted to them, and the fit."""

import math
from typing import Annotated

import numpy as np
from jaxtyping import Int, Num

from .._lib import checks
from .._lib.checks import Numbers
from .law import log_steps
from .tails import TailFit
from .thresholds import Search, least_distance, replicates, samples, standard_error, starting_at


def fit_tail(
    masses: Annotated[Numbers, "points"],
    threshold: float | None = None,
    *,
    upper: float | None = None,
    discrete: bool | None = None,
    min_tail: int = 2,
    max_exponent: float = math.inf,
    n_bootstrap: int = 0,
    rng: np.random.Generator | int | None = None,
    progress: bool = False,
) -> TailFit:
    r"""Pareto tail of masses or counts, by maximum likelihood above a threshold.

    Parameters
    ----------
    masses : array_like, shape (n,)
        Finite and > 0, in any order, on any scale: leaf masses that sum to 1, counts, or others. Leaves of
        mass zero are no draws of a Pareto law; leave them out, and say so.
    threshold : float, optional
        x_m. By default the one of least Kolmogorov-Smirnov distance among the distinct masses but the
        largest; of several, the least.
    upper : float, optional
        x_M, where the law ends; by default nowhere. Masses above it are left out of the tail, as those below
        the threshold are, and so they are where the threshold is looked for. Take it from what the masses
        are, a total of 1 say: the largest of them never lies above the end of their law.
    discrete : bool, optional
        Whether to fit the law of integers. By default, if `masses` has an integer dtype.
    min_tail : int
        Thresholds that leave fewer points are not tried; at least 2.
    max_exponent : float
        Thresholds that leave an exponent of this or more are not tried.
    n_bootstrap : int
        Number of replicates B for the p-value; its standard error is at most 1 / (2 sqrt(B)), so 2,500
        give 0.01. By default none are made.
    rng : numpy.random.Generator or int, optional
        Source of randomness, or a seed >= 0 for a new one. Needed with `n_bootstrap`.
    progress : bool
        Show a progress bar over the replicates on the terminal.

    Returns
    -------
    TailFit

    Raises
    ------
    TypeError
        If `masses` does not hold real numbers, `min_tail` or `n_bootstrap` is not an integer, or `rng` is
        neither a Generator nor an integer.
    ValueError
        If a mass or the threshold is not finite and > 0, or `upper` not > 0, or one of them not whole where
        `discrete`; if the tail has fewer than 2 different masses; if no threshold is left to try; or if
        another argument is out of range.

    Notes
    -----
    *Exponent.* For continuous masses n_tail / sum log(x / x_m), with standard error alpha / sqrt(n_tail); for
    integers the root of the score of the zeta law, with that of the information. With `upper` the law is that
    of x_m <= x <= x_M, P(X >= x) = (x^-alpha - x_M^-alpha) / (x_m^-alpha - x_M^-alpha), and its mass function
    the zeta law's over the sum up to x_M. The exponent is then any real number, which from zero down a tail
    without end cannot have; it is the one root of the score, and the error that of the information.

    *Distance.* The largest difference between P(X >= x) in the tail and in the law, as in CSN's programs: for
    integers over all integers x, also those between the data; of n continuous masses the i-th smallest is set
    against 1 - (i - 1) / n, equal ones one by one, as if they nearly coincided. The supremum over all x, that
    of ``scipy.stats.kstest``, is larger by 1/n at most. Rounded masses are tied and replicates are not, so
    that rounding counts against the law; pass counts as integers, not divided by their total.

    *Threshold.* The exact minimum, though few thresholds are tried: lower bounds on their distances rule out
    the others. Sorting aside, time is about linear in n.

    *p-value* (CSN, section 4.1). A replicate draws each of n points, as many as there are up to `upper`, from
    the fitted tail with probability n_tail / n, and else from the masses below the threshold, and chooses its
    own threshold. Where the threshold was given, it is n_tail points of the tail. A replicate that leaves
    nothing to fit is redrawn.

    *Alternatives* (CSN, table 2.1), conditional on x_m <= x <= x_M: lognormal (mu, sigma of log x),
    exponential (density as exp(-lambda x)), stretched exponential (x^(beta-1) exp(-lambda x^beta)), truncated
    power law (x^-density_exponent exp(-lambda x), density_exponent >= 0). For integers the first three are
    continuous variables from x_m - 1/2 to x_M + 1/2, rounded to the nearest integer, so that mass functions
    are differences of survival functions; the last is the same formula, divided by its sum over all integers
    from x_m to x_M. With `upper`, lambda of the exponential law and density_exponent are any real numbers.

    In continuous data lognormal and stretched exponential have the Pareto law as a limit (mu = -inf, beta =
    0), so they never fit worse: the ratio is at most zero, and zero where the likelihood grows towards that
    limit. The p-value of the truncated power law ignores, as CSN do, that lambda = 0 is the edge of its
    range; half of it would be nearer.

    Examples
    --------
    >>> rng = np.random.default_rng(7)
    >>> fit = fit_tail(1 + rng.pareto(1.5, 2000), n_bootstrap=100, rng=rng)
    >>> fit
    TailFit(exponent=1.52313, threshold=1.11098, distance=0.0133, 1,729 of 2,000 masses,
            p_value=0.55: Pareto tail plausible)
    >>> fit.plausible, fit.beaten_by
    (True, ())

    Exponential masses have no Pareto tail:

    >>> fit_tail(rng.exponential(1, 2000), threshold=0.5).beaten_by[0]
    'truncated power law'
    """
    data = _positive_row(masses, discrete)
    discrete = data.dtype.kind == "i"
    search = Search(
        threshold is not None,
        checks.integer("min_tail", min_tail, at_least=2),
        # Infinity is allowed here, and NaN is not.
        max_exponent if max_exponent == math.inf else float(checks.positive("max_exponent", max_exponent)),
    )
    n_bootstrap = checks.integer("n_bootstrap", n_bootstrap, at_least=0)
    generator = checks.generator(rng) if n_bootstrap else None

    values, counts = np.unique(data, return_counts=True)
    end = _end(upper, discrete)
    within = values <= end
    tail, often = values[within], counts[within]
    if threshold is not None:
        tail, often = _above(threshold, tail, often)
    different = np.count_nonzero(often)
    if different < 2:
        where = "masses" if threshold is None else f"masses from the threshold {threshold!r} on"
        where += "" if end == math.inf else f" up to upper = {upper!r}"
        raise ValueError(f"{where}: {different} different values, and a tail needs at least 2")

    rest = math.inf if end == math.inf else float(log_steps(np.array([tail[-1], end]))[0])
    (sample,) = samples([(tail.astype(np.float64), log_steps(tail), often, rest)], discrete, float(end))
    candidates = search.candidates(sample)
    if not len(candidates):
        raise ValueError(
            f"masses: no threshold leaves min_tail = {search.min_tail} points or more and an exponent below "
            f"max_exponent = {search.max_exponent:g}"
            + (f", and lies more than 1 below upper = {end}" if discrete and end < math.inf else "")
        )
    place, distance = least_distance(sample, candidates)
    bootstrap = None
    if generator is not None:
        bootstrap = replicates(sample, place, search, n_bootstrap, generator, progress)
    return TailFit(
        exponent=float(sample.exponents[place]),
        standard_error=standard_error(sample, place),
        threshold=tail[place].item(),
        threshold_given=search.given,
        distance=distance,
        upper=end,
        discrete=discrete,
        values=values,
        counts=counts,
        bootstrap=bootstrap,
    )


def _positive_row(masses: Numbers, discrete: bool | None) -> Num[np.ndarray, " points"]:
    """The masses, as integers if those are to be fitted."""
    data = checks.real_array("masses", masses)
    if data.ndim != 1:
        raise ValueError(f"masses has shape {data.shape}: must be one row of masses")
    bad = ~((data > 0) & (data < np.inf))
    if bad.any():
        rule = "must be finite and > 0; a leaf of mass zero is outside every Pareto law, leave it out"
        checks.fail_at("masses", data, bad, rule)
    if discrete is None:
        discrete = data.dtype.kind == "i"
    return _whole("masses", data) if discrete else data.astype(np.float64, copy=False)


def _above(
    threshold: float, values: Num[np.ndarray, " values"], counts: Int[np.ndarray, " values"]
) -> tuple[Num[np.ndarray, " tail"], Int[np.ndarray, " tail"]]:
    """Values and counts from a given threshold on, which is the first even if it does not occur."""
    start = checks.real_array("threshold", threshold)
    if start.ndim:
        raise ValueError(f"threshold has shape {start.shape}: must be one number")
    least = checks.positive("threshold", start.astype(np.float64))
    return starting_at(_whole("threshold", start) if values.dtype.kind == "i" else least, values, counts)


def _end(upper: float | None, discrete: bool) -> float | int:
    """The upper end, an integer if it is one of integers."""
    if upper is None:
        return math.inf
    end = checks.real_array("upper", upper)
    if end.ndim:
        raise ValueError(f"upper has shape {end.shape}: must be one number")
    if not end > 0:
        raise ValueError(f"upper = {upper!r}: must be > 0, or None for a law without an upper end")
    found: float | int = (
        _whole("upper", end) if discrete and end < np.inf else end.astype(np.float64)
    ).item()
    return found


def _whole(name: str, array: Num[np.ndarray, "..."]) -> Int[np.ndarray, "..."]:
    """`array` as integers, exactly."""
    if array.dtype.kind == "f":
        bad = np.asarray((array != np.floor(array)) | (array >= 2.0**63))
        if bad.any():
            checks.fail_at(name, array, bad, "must be a whole number below 2**63, as integers are fitted")
    whole: Int[np.ndarray, "..."] = array.astype(np.int64)
    return whole
