"""Response of three Pareto datasets to one another for large D_p, to leading order."""

import math
from dataclasses import dataclass

import numpy as np
from scipy import special

from .._lib import checks
from .._lib.results import Result
from .expint import LOG_GAMMA
from .limit import exponents


@dataclass(frozen=True, eq=False, repr=False)
class ParetoAsymptotics(Result):
    """Leading order of gamma_p', gamma_a' and gamma_t', derivatives in l; made by `pareto_asymptotics`."""

    dgamma_pretrain: float
    dgamma_align: float
    dgamma_perturb: float


def pareto_asymptotics(alpha: float, k: float, l: float = 1, *, base: float = 2) -> ParetoAsymptotics:
    r"""Response of three independent Pareto datasets over the same leaves, to leading order in 1/k.

    Parameters
    ----------
    alpha : float
        Exponent of all three, from 1.05 to 50.
    k, l : float
        |D_p| / |D_a| and |D_t| / |D_a|, finite and > 0.
    base : float
        Base of the logarithm: 2 for bits, ``math.e`` for nats.

    Returns
    -------
    ParetoAsymptotics
        Per block, in units of ``log(base)``. In nats,

        - gamma_a' ~ -1 / (k (alpha^2 - 1)) for every alpha > 1;
        - gamma_t' ~ -(S - 1) / k;
        - gamma_p' ~ (1 / (alpha^2 - 1) + l (S - 1)) / k^2,

        where S - 1 = 2 / ((alpha - 2) (alpha + 1)) for alpha > 2. Below 5/2 the term C (k / l)^(2 - alpha)
        is added, C = pi alpha (alpha - 1) / ((2 alpha - 1) sin(pi (alpha - 1))): below 2 it leads. At 2 the
        two poles cancel and S = (2 / 3) (log(k / l) + 1 / 3).

    Raises
    ------
    TypeError
        If `alpha`, `k` or `l` is not a real number.
    ValueError
        If one of them is out of range or ``base <= 1``.

    Notes
    -----
    Both signs are the reverse of Theorem 4.2's gamma_p' < 0 < gamma_a'. S is S_tt = E[Y_t^2 / Q], in which
    the tail y ~ k / l matters if the variance is infinite; gamma_p' follows from the others by the law k
    gamma_p' + gamma_a' + l gamma_t' = 0. So it is of order k^-2 for alpha > 2, k^-2 log k at 2, and k^-alpha
    below. As k grows, the ratio of exact to leading value tends to 1. O(1).

    Examples
    --------
    >>> from tokentree import pareto_limit
    >>> leading = pareto_asymptotics(4, k=1000, l=1, base=math.e)
    >>> exact = pareto_limit(4, [1000, 1, 1], base=math.e).excess / 1002
    >>> (exact[:2, 2] / [leading.dgamma_pretrain, leading.dgamma_align]).round(2)
    array([0.99, 0.99])
    """
    unit = checks.log_base(base)
    a, k, l = (
        float(exponents("alpha", alpha)),
        float(checks.positive("k", k)),
        float(checks.positive("l", l)),
    )
    d = 2 - a
    if -0.5 < d <= 0.5:
        # The poles of both terms at 2 cancel, which leaves (e^(d L) - 1) / d, the same for
        # c = pi d / sin(pi d) = Gamma(1 + d) Gamma(1 - d), and a quotient of polynomials.
        grown = math.log(k) - math.log(l)
        log_c = np.polyval(LOG_GAMMA, d) - np.polyval(LOG_GAMMA, -d)
        rises = math.exp(d * log_c) * grown * special.exprel(d * grown) + log_c * special.exprel(d * log_c)
        spare = float((2 - d) * (1 - d) * rises - (7 + (d - 6) * d) / (3 - d)) / (3 - 2 * d)
    else:
        spare = 2 / ((a - 2) * (a + 1))
        if d > 0:
            lead = math.pi * a * (a - 1) / ((2 * a - 1) * math.sin(math.pi * (a - 1)))
            spare += lead * (k / l) ** d
    align, perturb = -1 / (k * (a - 1) * (a + 1)), -spare / k
    return ParetoAsymptotics(-(align + l * perturb) / k / unit, align / unit, perturb / unit)
