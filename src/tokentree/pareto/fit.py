"""`fit_tail`: checks of the data, and the fit of a Pareto tail to them."""

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
        mass zero cannot come from a Pareto law; leave them out, and report this.
    threshold : float, optional
        x_m. By default, the distinct mass below the largest that minimises the Kolmogorov-Smirnov distance;
        in a tie, the smallest.
    upper : float, optional
        x_M, the upper end of the law; by default there is none. Masses above it are excluded from the tail,
        as are those below the threshold, and also from the search for the threshold. Take it from the nature
        of the masses, such as a total of 1, not from the data: the largest mass never lies above the end of
        the law.
    discrete : bool, optional
        Whether to fit the law of integers. Default: whether `masses` has an integer dtype.
    min_tail : int
        Thresholds that leave fewer points are not tried; at least 2.
    max_exponent : float
        Thresholds that leave an exponent of this or more are not tried.
    n_bootstrap : int
        Number of replicates B for the p-value; its standard error is at most 1 / (2 sqrt(B)), so 2,500
        give 0.01. Default: none.
    rng : numpy.random.Generator or int, optional
        Source of randomness, or a seed >= 0 for a new one. Required with `n_bootstrap`.
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
        If a mass or the threshold is not finite and > 0, or `upper` is not > 0, or one of them is not an
        integer although `discrete`; if the tail has fewer than 2 different masses; if no threshold is left to
        try; or if another argument is out of range.

    Notes
    -----
    *Exponent.* For continuous masses n_tail / sum log(x / x_m), with standard error alpha / sqrt(n_tail); for
    integers the root of the score of the zeta law, with the standard error from the information. With `upper`
    the law is that of x_m <= x <= x_M, P(X >= x) = (x^-alpha - x_M^-alpha) / (x_m^-alpha - x_M^-alpha), and
    for integers the zeta law's mass function divided by its sum up to x_M. The exponent is then any real
    number, zero and negative ones included, which a tail without an end excludes; it is the unique root of
    the score, with the standard error from the information.

    *Distance.* The largest difference between P(X >= x) in the tail and in the law, as in CSN's programs. For
    integers it is taken over all integers x, including those between the data. For n continuous masses the
    i-th smallest is compared with 1 - (i - 1) / n, equal masses one by one, as if they nearly coincided. The
    supremum over all x, as in ``scipy.stats.kstest``, is larger by 1/n at most. Rounded masses are tied and
    replicates are not, so that rounding counts against the law; pass counts as integers, not divided by their
    total.

    *Threshold.* The minimum is exact, although few thresholds are tried: lower bounds on the distances rule
    out the others. Apart from sorting, time is about linear in n.

    *p-value* (CSN, section 4.1). A replicate draws each of n points, as many as there are up to `upper`, from
    the fitted tail with probability n_tail / n, otherwise from the masses below the threshold, and chooses
    its own threshold. If the threshold was given, a replicate is n_tail points of the tail. A replicate that
    cannot be fitted is redrawn.

    *Alternatives* (CSN, table 2.1), conditional on x_m <= x <= x_M: lognormal (mu, sigma of log x),
    exponential (density as exp(-lambda x)), stretched exponential (x^(beta-1) exp(-lambda x^beta)), truncated
    power law (x^-density_exponent exp(-lambda x), density_exponent >= 0). For integers the first three are
    continuous variables from x_m - 1/2 to x_M + 1/2, rounded to the nearest integer, so that mass functions
    are differences of survival functions; the last is the same formula, divided by its sum over all integers
    from x_m to x_M. With `upper`, lambda of the exponential law and density_exponent are any real numbers.

    For continuous data the lognormal and the stretched exponential law have the Pareto law as a limit (mu =
    -inf, beta = 0), so they never fit worse: the ratio is at most zero, and is zero if the likelihood grows
    towards that limit. The p-value of the truncated power law ignores, as CSN do, that lambda = 0 is on the
    boundary of its range. Half of it would be more accurate for exponents above 2; below, where the variance
    is infinite and a few masses decide, it is about right as it is.

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
        raise ValueError(f"{where}: {different} different values, but a tail needs at least 2")

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
    """The masses, as integers if the law of integers is fitted."""
    data = checks.real_array("masses", masses)
    if data.ndim != 1:
        raise ValueError(f"masses has shape {data.shape}: must be one row of masses")
    bad = ~((data > 0) & (data < np.inf))
    if bad.any():
        rule = "must be finite and > 0; a leaf of mass zero is outside every Pareto law: leave it out"
        checks.fail_at("masses", data, bad, rule)
    if discrete is None:
        discrete = data.dtype.kind == "i"
    return _whole("masses", data) if discrete else data.astype(np.float64, copy=False)


def _above(
    threshold: float, values: Num[np.ndarray, " values"], counts: Int[np.ndarray, " values"]
) -> tuple[Num[np.ndarray, " tail"], Int[np.ndarray, " tail"]]:
    """Values and counts from a given threshold on; the threshold comes first even if it does not occur."""
    start = checks.real_array("threshold", threshold)
    if start.ndim:
        raise ValueError(f"threshold has shape {start.shape}: must be one number")
    least = checks.positive("threshold", start.astype(np.float64))
    return starting_at(_whole("threshold", start) if values.dtype.kind == "i" else least, values, counts)


def _end(upper: float | None, discrete: bool) -> float | int:
    """The upper end, as an integer for the law of integers."""
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
            checks.fail_at(name, array, bad, "must be an integer below 2**63, because integers are fitted")
    whole: Int[np.ndarray, "..."] = array.astype(np.int64)
    return whole
