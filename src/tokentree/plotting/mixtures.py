"""Plots of joint compression: rates as the perturbation grows, and the theorem's ratio."""

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Annotated, Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from .._lib import checks
from .._lib.checks import Numbers
from ..mixtures import Mixture, exact_number
from ..theorem import (
    Responding,
    elasticity,
    perturbations,
    published_derivatives,
    published_form,
    responding,
)
from ..trees import TokenTree
from ._grid import response_grid
from ._style import (
    _legend,
    axes,
    columns,
    dataset_names,
    information_unit,
    line,
    listed,
    mark,
    plain,
    uncertain,
)

_VERDICTS = {True: ("0.0", "the signs hold"), False: ("1.0", "the signs fail"), None: ("0.6", "not decided")}
"""Face colour of a marker, and its name, by whether the signs of Theorem 4.2 hold."""


def plot_rates(
    mixture: Mixture | Responding,
    l: Annotated[Numbers, "points"] | None = None,
    ax: Axes | None = None,
    *,
    normalized: bool = False,
    align: int | str = 1,
    perturb: int | str = 2,
    code: Literal["ideal", "huffman"] = "ideal",
    base: float = 2,
    per: Literal["block", "token"] = "block",
) -> Axes:
    r"""Rates or normalised rates of all datasets of a mixture as one of them grows.

    Parameters
    ----------
    mixture : Mixture or Responding
        The size of D_t is replaced by l |D_a|; the others are fixed. A `TrainedMixture` is trained again at
        every l, each time starting from the previous model.
    l : array_like, shape (L,), optional
        Values of |D_t| / |D_a|, finite and > 0. Default: those of `response_curve`.
    ax : Axes, optional
        Default: a new figure's.
    normalized : bool
        Draw the rates minus the log of the dataset's own number of leaves (Definition 4.1).
    align, perturb : int or str
        Index or name of D_a and D_t.
    code, base, per
        As in `Mixture.rates`, with the same errors. Huffman codes make steps. A `TrainedMixture` has no
        codes, tokens or normalised rates.

    Returns
    -------
    Axes
        Names have the datasets' unexpanded shares beside them. Rates are then those of the reading of
        `Mixture.from_trees`; `unexpanded_bounds` gives their possible values.

    Raises
    ------
    ValueError
        If `align` and `perturb` are the same dataset, or `l` is not a sequence of numbers > 0.

    Notes
    -----
    O(L N M). `response_curve` has these rates for three datasets, with their derivatives and certified signs.

    Examples
    --------
    >>> from tokentree import published_form
    >>> mixture = published_form([[2, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]], k=10, l=1)
    >>> plot_rates(mixture, [0.25, 0.5, 1], normalized=True).get_ylabel()
    'normalised rate $\\gamma_i - \\log\\,M_i$ (bits per block)'
    """
    responding("mixture", mixture)
    a, t = mixture.index(align, "align"), mixture.index(perturb, "perturb")
    if a == t:
        raise ValueError(f"align, perturb = {a}, {t}: must be two different datasets")
    points = perturbations(l)
    if not len(points):
        raise ValueError("l is empty: at least one number is needed")
    rates = np.empty((len(points), mixture.n_datasets))
    if not isinstance(mixture, Mixture) and (normalized or code != "ideal" or per != "block"):
        raise ValueError(
            f"normalized = {normalized}, code = {code!r}, per = {per!r}: must be False, 'ideal' and 'block', "
            "because a model other than a Mixture has no leaves"
        )
    sizes = list(mixture.exact_sizes if isinstance(mixture, Mixture) else mixture.sizes)
    grown = mixture
    for i, point in enumerate(points.tolist()):
        sizes[t] = Fraction(point) * sizes[a]
        grown = grown.with_sizes(sizes)
        if isinstance(grown, Mixture):
            rates[i] = (grown.normalized_rates if normalized else grown.rates)(base, code=code, per=per)
        else:
            rates[i] = grown.rates(base)
    ax = axes(ax)
    for i, (name, rate) in enumerate(zip(dataset_names(mixture), rates.T, strict=True)):
        ax.plot(points, rate, label=listed(plain(name)), **line(i))
    what = r"normalised rate $\gamma_i - \log\,M_i$" if normalized else r"rate $\gamma_i$"
    ax.set(
        xlabel=r"size of the perturbation, $l = |D_t|\,/\,|D_a|$",
        ylabel=f"{what} ({_unit(mixture, base, per)})",
    )
    ax.set_xlim(0, points.max())
    _legend(ax, columns=columns(mixture))
    return ax


def plot_response(mixture: Mixture | Responding, ax: Axes | None = None, *, base: float = 2) -> Axes:
    r"""Response of every rate to the growth of every dataset: size in grey, sign in the cell.

    Parameters
    ----------
    mixture : Mixture or Responding
        A `TrainedMixture` is one of the latter.
    ax : Axes, optional
        Default: a new figure's.
    base : float
        2 for bits, ``math.e`` for nats; errors are those of `Mixture.response`.

    Returns
    -------
    Axes
        The grey scale is T times the response: the change of a rate per share of the mixture by which t
        grows. It is logarithmic, and linear below the smallest response, so that only zero is white, and what
        is below 10^-8 of the largest.

        Of trees read in part, names have the unexpanded share beside them, and a sign that differs between
        completions, or that the bounds leave open, is followed by a question mark.

    See Also
    --------
    plot_law_response : The same plot for a law fitted to training runs.

    Examples
    --------
    >>> ax = plot_response(Mixture([[3, 1], [1, 3]], [1, 1], names=["web", "chat"]))
    >>> [text.get_text() for text in ax.texts]
    ['−', '+', '+', '−']
    """
    responding("mixture", mixture)
    scaled = float(mixture.sizes.sum()) * mixture.response(base)
    grid = dataset_names(mixture), mixture.names, axes(ax), _unit(mixture, base, "block")
    ax = response_grid(scaled, *grid, uncertain=uncertain(mixture) if isinstance(mixture, Mixture) else None)
    ax.set_ylabel("dataset $i$ whose rate changes")
    return ax


def _unit(mixture: Mixture | Responding, base: float, per: str) -> str:
    """The unit of rates; a module's losses have the unit that the module defines."""
    information = information_unit(base)
    return f"{information} per {per}" if isinstance(mixture, Mixture) else information


def plot_ratio(
    parts: Annotated[Numbers | Sequence[TokenTree], "parts leaves"],
    k: Annotated[Numbers | Fraction, "k"],
    l: Annotated[Numbers | Fraction, "l"],
    ax: Axes | None = None,
) -> Axes:
    r"""The ratio -gamma_a' / (k gamma_p') of Theorem 4.2 against k, in the published form.

    Markers are filled if the theorem's signs hold, gamma_p' < 0 < gamma_a', open if they fail, and grey if
    this was not decided. Lines are the closed form for disjoint parts, whether or not the parts are disjoint;
    the thin line is the theorem's ratio, 1.

    Parameters
    ----------
    parts : array_like, shape (m, M), or sequence of m TokenTrees
        As in `published_form`, with the same errors.
    k : number or sequence of numbers
        Sizes |D_p| / |D_a|, ints, floats or Fractions.
    l : number or sequence of numbers
        Sizes |D_t| / |D_a|; a line and a shape of marker each.
    ax : Axes, optional
        Default: a new figure's.

    Returns
    -------
    Axes
        An infinite ratio (gamma_p' = 0) is a triangle on the upper edge, and the ratio 0 / 0 a cross there.

    Raises
    ------
    ValueError
        If `k` or `l` is empty or contains a number that is not finite and > 0.

    Notes
    -----
    One call of `elasticity` for each k and l. The ratio is dimensionless.

    Examples
    --------
    >>> ax = plot_ratio([[1, 0, 0], [0, 1, 0], [0, 0, 1]], k=[10, 100, 1000], l=[0.01, 0.1])
    >>> ax.get_xscale()
    'log'
    """
    ks, ls = _sizes("k", k), _sizes("l", l)
    given = checks.plain_array("parts", parts) if checks.is_array(parts) else checks.items("parts", parts)
    mixture = published_form(given, 1, 1)
    m = len(given)
    found = [[elasticity(mixture.with_sizes([one, 1, each])) for one in ks] for each in ls]
    ax = axes(ax)
    # Beyond the ends, so that a single k has a line too.
    grid = np.geomspace(float(min(ks)) / 1.2, float(max(ks)) * 1.2, 200)
    marked: dict[str, Any] = {"markeredgecolor": "0.0", "ms": 5}
    upper: dict[str, Any] = {"transform": ax.get_xaxis_transform(), "clip_on": False, **marked}
    handles: list[Any] = []
    for i, (each, row) in enumerate(zip(ls, found, strict=True)):
        shape = "osDv"[i % 4]
        closed = np.asarray(published_derivatives(m, grid, float(each)).ratio)
        # A line with an infinite ratio is nowhere visible, but is still named in the legend.
        finite = np.where(np.isfinite(closed), closed, np.nan)
        ax.plot(grid, finite, linewidth=1, zorder=1, **line(i))
        for x, one in zip(ks, row, strict=True):
            face = _VERDICTS[one.holds][0]
            if math.isfinite(one.ratio):
                ax.plot(float(x), one.ratio, shape, markerfacecolor=face, **marked)
            else:
                off = "x" if math.isnan(one.ratio) else "^"
                ax.plot(float(x), 1, off, markerfacecolor=face, **upper)
        named: dict[str, Any] = {"label": f"$l = {float(each):g}$", "linewidth": 1, **line(i)}
        handles.append(Line2D([], [], marker=shape, markerfacecolor=face, **named, **marked))
    seen = [one for row in found for one in row]
    for holds, (face, label) in _VERDICTS.items():
        if any(one.holds is holds for one in seen):
            handles.append(Patch(facecolor=face, edgecolor="0.0", label=label))
    for off, name, test in (("^", "infinite", math.isinf), ("x", "0 / 0", math.isnan)):
        if any(test(one.ratio) for one in seen):
            handles.append(mark(off, name, color="1.0", **marked))
    handles.append(ax.axhline(1, color="0.7", linewidth=0.8, zorder=0, label="the theorem's ratio, 1"))
    title = "published form; lines: closed form for disjoint parts"
    _legend(ax, handles=handles, title=title, unexpanded=float(mixture.unexpanded.max()))
    ax.set(xscale="log", xlim=(grid[0], grid[-1]), xlabel=r"$k = |D_p|\,/\,|D_a|$")
    ax.set_ylabel(r"ratio $-\gamma_a'\,/\,(k\,\gamma_p')$")
    return ax


def _sizes(name: str, given: Numbers | Fraction) -> list[Any]:
    """One number or a sequence of numbers, unchanged: all finite and > 0."""
    sizes = [given] if isinstance(given, Fraction | float | int | np.number) else checks.items(name, given)
    if not sizes:
        raise ValueError(f"{name} is empty: at least one size is needed")
    for i, size in enumerate(sizes):
        if exact_number(f"{name}[{i}]", size) <= 0:
            raise ValueError(f"{name}[{i}] = {size}: must be finite and > 0")
    return sizes
