r"""Theorem 4.2 with sliders: a page that computes in the browser, and the mixture it shows.

**The mixture.** The parameters are those of `sign_map`, at a finite depth and without random draws. The tree
has 2^d leaves. The first two symbols of a leaf select one of four blocks of M = 2^(d-2) leaves: one common to
all parts, and one for each part alone. A share sigma of every part's mass lies on the common block, the rest
on its own block. If sigma is 0 the parts are disjoint, as in the published form.

Masses inside a block are the M quantiles of the Pareto law, as counts,

    c_j = floor(2^20 u_j^(-1 / alpha) + 1/2),   u_j = (j + 1/2) / M,   j = 0, ..., M - 1.

Counts are integers, so the page and this module start from the same numbers, and verdicts are exact: at
sigma = 0 and l = 1/2, gamma_p' is zero and not merely small.

On its own block every part has the counts in this order. On the common block the three parts must differ, as
independent draws would: at leaf j part i has c of r_i(j), with r_1 the identity, r_2 the reversal of the
digits of j, and r_3 the exclusive or of v_b over the digits b of j that are 1, v_0 = M / 2 and v_{b+1} = v_b
xor floor(v_b / 2). These are the first three coordinates of Hammersley's points with Sobol's first two
sequences, a (0, d - 2, 3)-net: every box of volume 1 / M with dyadic sides holds exactly one point
(Niederreiter 1992, chapter 4). So sums over leaves are a quasi-Monte Carlo rule for the integrals of
`pareto`, and tend to the limit of many leaves in `sign_map`, the more slowly the heavier the tail.
"""

import html
import json
import os
import re
from dataclasses import dataclass
from fractions import Fraction
from importlib import resources
from typing import Literal

import numpy as np
from jaxtyping import Int

from ._lib import checks
from ._lib.archives import replacing
from .mixtures import Mixture, exact_number
from .pareto import ParetoMass
from .theorem import published_form, three_dataset_form

__all__ = ["Explorer", "explore", "explorer_mixture", "write_explorer"]
__dir__ = __all__.copy

DEPTHS = (2, 12)
"""Least and greatest depth: one leaf per block, and 1024."""


def explorer_mixture(
    k: float | Fraction,
    l: float | Fraction,
    *,
    alpha: float,
    overlap: float | Fraction,
    depth: int,
    form: Literal["published", "three-dataset"] = "published",
) -> Mixture:
    r"""The mixture shown by the explorer: three datasets with Pareto masses over 2^depth leaves.

    Parameters
    ----------
    k, l : int, float or Fraction
        Sizes of D_p and D_t; the size of D_a is 1.
    alpha : float
        Exponent of all masses, finite and > 1.
    overlap : int, float or Fraction
        Share of each part's mass on leaves common to all parts: 0 for disjoint parts, 1 for the same leaves.
    depth : int
        Depth d of the tree, from 2 to 12.
    form : "published" or "three-dataset"
        D_p is three equal parts, of which D_a repeats the second and D_t the third; or the datasets are the
        three parts.

    Returns
    -------
    Mixture
        Datasets "pretrain", "align" and "perturb", with integer rows.

    Raises
    ------
    TypeError
        If an argument is not of the type given above.
    ValueError
        If an argument is out of range, or `form` is unknown.

    Notes
    -----
    Nothing is random: the same arguments give the same integers. The module's docstring has the definition.
    O(2^d), below a millisecond at depth 8. An overlap with a large denominator, as most floats have, turns
    the counts into Python integers: about 15 ms at depth 12, where a Fraction such as 7/20 takes 1 ms.

    Examples
    --------
    >>> from tokentree import elasticity
    >>> mixture = explorer_mixture(k=100, l=0.5, alpha=2.5, overlap=0, depth=8)
    >>> mixture
    Mixture(3 datasets, 256 leaves, depth 8: pretrain 100, align 1, perturb 1/2)
    >>> elasticity(mixture).signs
    (0, 1)
    """
    share = exact_number("overlap", overlap)
    if not 0 <= share <= 1:
        raise ValueError(f"overlap = {overlap}: must lie between 0 and 1")
    depth = checks.integer("depth", depth, at_least=DEPTHS[0])
    if depth > DEPTHS[1]:
        raise ValueError(f"depth = {depth}: must be at most {DEPTHS[1]}")
    if form not in ("published", "three-dataset"):
        raise ValueError(f"form = {form!r}: must be 'published' or 'three-dataset'")
    orders = _net(depth - 2)
    u = (np.arange(orders.shape[1]) + 0.5) / orders.shape[1]
    counts = np.floor(2**20 * u ** (-1 / ParetoMass(alpha).alpha) + 0.5).astype(np.int64)
    on, off = share.numerator, share.denominator - share.numerator
    wide = int(counts.sum()) * share.denominator >= 2**53
    parts = np.zeros((3, 4, len(counts)), object if wide else np.int64)
    parts[:, 0] = counts[orders]
    parts[:, 0] *= on
    for i in range(3):
        parts[i, 1 + i] = counts
        parts[i, 1 + i] *= off
    build = published_form if form == "published" else three_dataset_form
    return build(parts.reshape(3, -1), k, l, names=("pretrain", "align", "perturb"), depth=depth)


def _net(digits: int) -> Int[np.ndarray, "3 points"]:
    """Coordinates of a (0, digits, 3)-net in base 2, times 2^digits."""
    points = np.arange(2**digits)
    net = np.stack([points, np.zeros_like(points), np.zeros_like(points)])
    second = third = 2**digits >> 1
    for digit in range(digits):
        one = points >> digit & 1
        net[1] ^= one * second
        net[2] ^= one * third
        second, third = second >> 1, third ^ third >> 1
    return net


@dataclass(frozen=True)
class Explorer:
    """The interactive page, made by `explore` and shown by notebooks.

    Attributes
    ----------
    page : str
        HTML of the whole page. It loads nothing from outside.
    height : int
        Height of the frame in a notebook, in pixels.
    """

    page: str
    height: int

    def __repr__(self) -> str:
        return f"Explorer({len(self.page)} characters of HTML; write_explorer saves them as a page)"

    def _repr_html_(self) -> str:
        # A page in its own frame does not affect the notebook's style, and runs wherever scripts may.
        return (
            f'<iframe srcdoc="{html.escape(self.page)}" sandbox="allow-scripts" '
            f'title="Theorem 4.2 as springs" style="width:100%;height:{self.height}px;border:0"></iframe>'
        )


def explore(
    k: float | Fraction = 100,
    l: float | Fraction = 0.25,
    *,
    alpha: float = 2.5,
    overlap: float | Fraction = 0.25,
    depth: int = 8,
    form: Literal["published", "three-dataset"] = "published",
    height: int = 900,
) -> Explorer:
    r"""Sliders for k, l, alpha, overlap and depth, with springs, curves and numbers that follow them.

    Parameters
    ----------
    k, l, alpha, overlap, depth, form
        Initial values of the sliders, as in `explorer_mixture`, including its errors. A value between two
        steps of its slider is kept until that slider is moved.
    height : int
        Height of the frame in a notebook, in pixels.

    Returns
    -------
    Explorer
        A notebook shows it as the last value of a cell. `write_explorer` saves it.

    Notes
    -----
    The numbers on the page are those of `Mixture.rates`, `elasticity`, `response_curve` and `FisherSprings`
    for `explorer_mixture(...)`, within a relative error of 1e-9. Signs are those of float64 numbers, without
    a certificate. No other package and no server is needed.

    Examples
    --------
    >>> explore(k=1000, l=0.1).page.startswith("<!doctype html>")
    True
    """
    explorer_mixture(k, l, alpha=alpha, overlap=overlap, depth=depth, form=form)
    height = checks.integer("height", height, at_least=1)
    start = {
        "k": float(k),
        "l": float(l),
        "alpha": float(alpha),
        "overlap": float(overlap),
        "depth": int(depth),
        "form": form,
    }
    template = resources.files(__package__).joinpath("explorer.html").read_text(encoding="utf-8")
    page = re.sub(r'(?<=id="start">).*?(?=</script>)', json.dumps(start), template, count=1)
    return Explorer(page, height)


def write_explorer(path: str | os.PathLike[str], explorer: Explorer | None = None) -> None:
    r"""Save the explorer as one HTML page that any browser opens, without a server or a network.

    Parameters
    ----------
    path : str or path
        File to write. An existing file is replaced only once the whole page is on disk.
    explorer : Explorer, optional
        Default: ``explore()``.

    Raises
    ------
    OSError
        If the file cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_explorer(os.path.join(folder, "explorer.html"), explore(k=1000))
    """
    if isinstance(path, Explorer):
        raise TypeError(
            "path is an Explorer: must be the file to write, as in write_explorer(path, explorer)"
        )
    if not isinstance(explorer, Explorer | None):
        raise TypeError(
            f"explorer is a {type(explorer).__name__}: must be an Explorer, as explore(k=1000) makes it"
        )
    page = (explore() if explorer is None else explorer).page
    with replacing(path) as (file,):
        file.write(page.encode())
