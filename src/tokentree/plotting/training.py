"""Plots of training runs: tests of the law, and predictions of the token tree fitted to them."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Annotated, Any

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.patches import Patch
from matplotlib.patheffects import withStroke
from matplotlib.ticker import FuncFormatter, MaxNLocator

from .._lib import checks
from .._lib.checks import Numbers
from ..mixtures import BestSizes
from ..training import MixingLaw, TrainingRuns
from ._grid import response_grid
from ._style import GREYS, MARKERS, _legend, _legend_above, axes, instance, listed, mark, number, plain

_APART = 6
"""Number of losses distinguished by their markers; more are drawn as one cloud."""

_SHORT = 4
"""Characters of a label up to which it fits below the columns of a grid."""

MOST_RUNS = 600
"""Number of runs whose regrets can be distinguished in a plot."""


def plot_predictions(
    law: MixingLaw, runs: TrainingRuns, ax: Axes | None = None, *, losses: Sequence[str] | None = None
) -> Axes:
    r"""Measured rates against the predictions of a law, with the line of equality.

    Parameters
    ----------
    law : MixingLaw
    runs : TrainingRuns
        Runs on the law's datasets, in any order: those it was fitted to or, better, others.
    ax : Axes, optional
        Default: a new figure's.
    losses : sequence of str, optional
        Losses to draw. Default: all that the law and the runs have in common. Up to six have their own
        markers, with their R2 in the legend; more are one cloud, with the mean of their R2.

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        If the law lacks a dataset of the runs, or either lacks a loss, or no loss is left.

    Examples
    --------
    >>> from tokentree import Mixture
    >>> mixture = Mixture([[3, 1], [1, 3]], [1, 1])
    >>> sizes = [[share, 1 - share] for share in np.linspace(0.2, 0.8, 9)]
    >>> runs = TrainingRuns(sizes, [mixture.with_sizes(n).rates(np.e) for n in sizes])
    >>> law = MixingLaw.fit(runs, n_leaves=2, scales="shared", smoothing=1e-4)
    >>> plot_predictions(law, runs).get_xlabel()
    'predicted rate $\\gamma_i$ (nats per token)'
    """
    instance("law", law, MixingLaw, "MixingLaw.fit(runs)")
    instance("runs", runs, TrainingRuns, "TrainingRuns(sizes, rates)")
    r2 = law.score(runs).r2
    sizes = np.zeros((runs.n_runs, len(law.names)))
    for j, name in enumerate(runs.names):
        sizes[:, law.names.index(name)] = runs.sizes[:, j]
    predicted = law.predict(sizes, parameters=runs.parameters, tokens=runs.tokens)
    known = [loss for loss in law.losses if loss in runs.losses and runs.measured[runs.losses.index(loss)]]
    for loss in losses or ():
        if loss not in known:
            raise ValueError(f"losses names {loss!r}: must be one of {', '.join(map(repr, known))}")
    shown = known if losses is None else list(losses)
    if not shown:
        raise ValueError("losses: none to draw, because law and runs have none in common")
    ax = axes(ax)
    apart, handles, ends = len(shown) <= _APART, [], []
    for i, loss in enumerate(shown):
        at = law.losses.index(loss)
        x, y = predicted[:, at], runs.rates[:, runs.losses.index(loss)]
        style: dict[str, Any] = {"marker": ".", "color": "0.35", "markersize": 3}
        if apart:
            face = GREYS[i % 4] if i < 4 else "1.0"
            style = {
                "marker": MARKERS[i % 4],
                "color": GREYS[i % 4],
                "markerfacecolor": face,
                "markersize": 4,
            }
            handles.append(mark(label=f"{listed(plain(loss))}, {_fit(r2[at])}", **style))
        ax.plot(x, y, linestyle="", **style)
        ends += [x[np.isfinite(y)], y[np.isfinite(y)]]
    if not apart:
        mean = np.nanmean(r2[[law.losses.index(loss) for loss in shown]])
        handles.append(mark(".", f"{len(shown)} losses, mean {_fit(mean)}", color="0.35", markersize=6))
    every = np.concatenate(ends)
    handles.append(ax.axline((every.min(),) * 2, slope=1, color="0.0", linewidth=0.8, label="as predicted"))
    ax.set_xlabel(r"predicted rate $\gamma_i$ (nats per token)")
    ax.set_ylabel(r"measured rate $\gamma_i$ (nats per token)")
    _legend(ax, handles=handles)
    return ax


def _fit(r2: float) -> str:
    return f"$R^2 = {r2:.3f}$" if np.isfinite(r2) else "$R^2$ undefined"


def plot_regret(runs: TrainingRuns, ax: Axes | None = None) -> Axes:
    r"""What each run would lose with each other run's model; the law fails where it would gain.

    Darker cells are larger losses. A cross marks where run a is beaten on its own data by run b's model, by
    more than rounding and, if the rates have standard errors, by more than two of them: the one-sided test of
    `TrainingRuns.gaps`. Hatched cells are unknown, because data of run a have no measured loss. The axes show
    the labels of the runs or, without labels, their positions.

    Parameters
    ----------
    runs : TrainingRuns
        At most 600 runs, of one model size and number of tokens: a larger model that is better does not
        violate the law.
    ax : Axes, optional
        Default: a new figure's.

    Returns
    -------
    Axes
        The grey scale is the regret per token, n^a . (g^b - g^a) / T^a.

    Raises
    ------
    ValueError
        If there are more runs, or their models differ in size or tokens.

    Examples
    --------
    >>> runs = TrainingRuns([[3, 1], [2, 2], [1, 3]], [[1, 2], [1.25, 1.5], [1.5, 1.3]])
    >>> plot_regret(runs).get_xlabel()
    'run $b$ (model)'
    """
    instance("runs", runs, TrainingRuns, "TrainingRuns(sizes, rates)")
    if runs.n_runs > MOST_RUNS:
        raise ValueError(f"runs has {runs.n_runs:,} runs: must be at most {MOST_RUNS}; take a subset")
    for name, values in (("parameters", runs.parameters), ("tokens", runs.tokens)):
        if values is not None and np.ptp(values) > 0:
            raise ValueError(f"{name} of these runs differ: must be the same for all; take a subset")
    regret = runs.regret() / runs.sizes.sum(axis=1, keepdims=True)
    violated = regret < -_allowed(runs)
    ax = axes(ax)
    unknown = np.isnan(regret)
    ax.set_facecolor("1.0")
    most = float(np.nanmax(regret, initial=0.0)) or 1.0
    # A square root shows small and large regrets together, and zero as white.
    image = ax.imshow(
        np.ma.array(np.maximum(regret, 0), mask=unknown),
        cmap="Greys",
        norm=PowerNorm(0.5, 0, most),
        interpolation="nearest",
        zorder=2,
    )
    handles: list[Any] = []
    if unknown.any():
        low, high = -0.5, runs.n_runs - 0.5
        hatched: dict[str, Any] = {"facecolor": "0.95", "edgecolor": "0.5", "hatch": "///", "linewidth": 0}
        ax.fill_between([low, high], low, high, **hatched)
        handles.append(Patch(label="not measured", **hatched))
    if violated.any():
        a, b = np.nonzero(violated)
        halo = [withStroke(linewidth=3, foreground="1.0")]
        style: dict[str, Any] = {
            "color": "0.0",
            "markersize": 7 if runs.n_runs <= 40 else 3,
            "path_effects": halo,
        }
        ax.plot(b, a, "x", zorder=3, **style)
        worst = number(float(-regret[violated].min()), 2)
        beaten = len(set(a.tolist()))
        runs_are = "run beaten on its" if beaten == 1 else "runs beaten on their"
        handles.append(mark("x", f"{beaten} {runs_are} own data, by up to ${worst}$", **style))
    figure = ax.get_figure(root=True)
    assert figure is not None
    figure.colorbar(image, ax=ax, label=r"$n^a \cdot (\gamma^b - \gamma^a)\,/\,T^a$ (nats per token)")
    ax.set(xlabel="run $b$ (model)", ylabel="run $a$ (data)")
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(MaxNLocator(integer=True))
        if runs.labels is not None:
            axis.set_major_formatter(FuncFormatter(partial(_label, runs.labels)))
    if runs.labels is not None and max(map(len, runs.labels)) > _SHORT:
        ax.tick_params(axis="x", rotation=90)
    if handles:
        _legend_above(ax, handles, 1)
    return ax


def _label(labels: Sequence[str], at: float, _: int | None = None) -> str:
    """The label of the run at a tick, which may lie outside the runs."""
    return plain(labels[int(at)]) if 0 <= at < len(labels) and at == int(at) else ""


def _allowed(runs: TrainingRuns) -> Float[np.ndarray, "runs runs"]:
    """How far below zero rounding and two standard errors allow the regret per token to be."""
    n = runs.n_datasets
    rates, weights = np.nan_to_num(runs.rates[:, :n]), runs.weights**2
    rounding = (4 * n + 8) * np.finfo(np.float64).eps * np.abs(rates).max()
    allowed = np.full((runs.n_runs, runs.n_runs), rounding)
    if runs.errors is not None:
        squares = np.nan_to_num(runs.errors[:, :n]) ** 2
        allowed += 2 * np.sqrt(weights @ squares.T + (weights * squares).sum(axis=1, keepdims=True))
    return allowed


def plot_law_response(
    law: MixingLaw,
    sizes: Annotated[Numbers, "datasets"] | Mapping[str, float] | BestSizes,
    ax: Axes | None = None,
    *,
    parameters: float | None = None,
    tokens: float | None = None,
) -> Axes:
    r"""Response of every loss to the growth of every dataset: size in grey, sign in the cell.

    A question mark marks datasets unknown to the law.

    Parameters
    ----------
    law : MixingLaw
    sizes : array_like, shape (N,), a mapping of names to sizes, or BestSizes
        The mixture at which the response is taken; only proportions matter.
    ax : Axes, optional
        Default: a new figure's.
    parameters, tokens : float, optional
        As for `MixingLaw.response`, with the same errors.

    Returns
    -------
    Axes
        The grey scale is T times the response: nats per token, per share of the mixture by which t grows.

    Examples
    --------
    >>> from tokentree import Mixture
    >>> mixture = Mixture([[3, 1], [1, 3]], [1, 1])
    >>> sizes = [[share, 1 - share] for share in np.linspace(0.2, 0.8, 9)]
    >>> runs = TrainingRuns(sizes, [mixture.with_sizes(n).rates(np.e) for n in sizes])
    >>> law = MixingLaw.fit(runs, n_leaves=2, scales="shared", smoothing=1e-4)
    >>> [text.get_text() for text in plot_law_response(law, [1, 1]).texts]
    ['−', '+', '+', '−']
    """
    instance("law", law, MixingLaw, "MixingLaw.fit(runs)")
    if isinstance(sizes, BestSizes):
        sizes = dict(zip(sizes.names, sizes.sizes.tolist(), strict=True))
    given: Any = sizes if isinstance(sizes, Mapping) else checks.float_array("sizes", sizes)
    response = law.response(given, parameters=parameters, tokens=tokens)
    response = response * float(sum(given.values() if isinstance(sizes, Mapping) else given))
    ax = response_grid(response, law.losses, law.names, axes(ax), "nats per token")
    ax.set_ylabel("loss $i$")
    return ax


def plot_balance(runs: TrainingRuns, i: int | str, j: int | str, ax: Axes | None = None) -> Axes:
    r"""Gain of one rate against the loss of the other, along the runs of two datasets alone.

    From the smallest share of i to the largest, gamma_i falls and gamma_j rises. The sums of n_j dgamma_j and
    of -n_i dgamma_i grow together, and are equal for minimisers (Gibbs-Duhem): the path follows the line.

    Parameters
    ----------
    runs : TrainingRuns
    i, j : int or str
        Positions or names of two datasets.
    ax : Axes, optional
        Default: a new figure's.

    Returns
    -------
    Axes
        The legend gives the ratio of the two sums, `TrainingRuns.balance`. Both use shares as sizes, so are
        in nats per token.

    Raises
    ------
    ValueError
        As for `TrainingRuns.balance`.

    Examples
    --------
    >>> from tokentree import Mixture
    >>> mixture = Mixture([[3, 1], [1, 3]], [1, 1])
    >>> sizes = [[share, 1 - share] for share in np.linspace(0.25, 0.75, 50)]
    >>> runs = TrainingRuns(sizes, [mixture.with_sizes(n).rates(np.e) for n in sizes])
    >>> plot_balance(runs, "D1", "D2").get_legend().get_texts()[0].get_text()
    '50 mixtures, ratio 1.000'
    """
    instance("runs", runs, TrainingRuns, "TrainingRuns(sizes, rates)")
    ratio = runs.balance(i, j)
    weights, rates = runs.path(i, j)
    share = weights[:, 0]
    steps = (weights[1:] + weights[:-1]) / 2 * np.diff(rates, axis=0)
    paid, won = np.vstack([np.zeros(2), np.cumsum(steps, axis=0)]).T
    ax = axes(ax)
    label = f"{len(share)} mixtures, ratio {ratio:.3f}"
    marker: dict[str, Any] = {"marker": "o", "markersize": 4, "markerfacecolor": "1.0"}
    ax.plot(-paid, won, color="0.0", linewidth=1, label=label, zorder=3, **marker)
    ax.axline((0, 0), slope=1, color="0.5", linewidth=0.8, linestyle="--", label="the law")
    one, other = (plain(each if isinstance(each, str) else runs.names[each]) for each in (i, j))
    ends = {0: (8, -3), len(share) - 1: (8, -8)}
    for at, offset in ends.items():
        ax.annotate(
            f"{share[at]:.0%} {one}",
            (-paid[at], won[at]),
            xytext=offset,
            textcoords="offset points",
            fontsize="small",
        )
    ax.margins(x=0.25)
    ax.set_xlabel(rf"sum of $-w\,d\gamma$ of {one} (nats per token)")
    ax.set_ylabel(rf"sum of $w\,d\gamma$ of {other} (nats per token)")
    _legend(ax)
    return ax


def plot_best_sizes(
    best: BestSizes,
    ax: Axes | None = None,
    *,
    low: Annotated[Numbers, "datasets"] | Mapping[str, float] | None = None,
    high: Annotated[Numbers, "datasets"] | Mapping[str, float] | None = None,
) -> Axes:
    r"""The shares of the best mixture as bars, with intervals if given.

    Parameters
    ----------
    best : BestSizes
    ax : Axes, optional
        Default: a new figure's.
    low, high : array_like, shape (N,), or mappings of names to numbers, optional
        Ends of an interval for each size, in the unit of ``best.sizes``, as returned by ``law.interval(lambda
        law: law.best_sizes(target).sizes)``.

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        If only one of `low` and `high` is given, their shape is wrong, or an end is not finite, or a lower
        end is above its upper end.

    Examples
    --------
    >>> best = BestSizes(("web", "code"), np.array([3.0, 1.0]), 2.5, 0.0)
    >>> [float(bar.get_width()) for bar in plot_best_sizes(best).patches]
    [0.75, 0.25]
    """
    instance("best", best, BestSizes, "law.best_sizes(target)")
    total, n = float(best.sizes.sum()), len(best.names)
    if (low is None) != (high is None):
        raise ValueError("low, high: give both ends of the intervals, or neither")
    ax = axes(ax)
    rows = np.arange(n)
    ax.barh(rows, best.sizes / total, color="0.75", edgecolor="0.3", linewidth=0.8, label="best mixture")
    most = float(best.sizes.max() / total)
    if low is not None and high is not None:
        given = {"low": low, "high": high}
        by_name = {name: checks.by_name(name, each, best.names) for name, each in given.items()}
        ends = np.stack([checks.float_array(name, each) for name, each in by_name.items()]) / total
        if ends.shape != (2, n) or not np.isfinite(ends).all() or (ends[0] > ends[1]).any():
            raise ValueError(f"low, high: must be {n} finite numbers each, low at most high")
        ax.hlines(rows, *ends, color="0.0", linewidth=1.2)
        ax.plot(ends, np.stack([rows, rows]), "|", color="0.0", markersize=7)
        most = max(most, float(ends.max()))
        handles = [ax.containers[0], mark("_", "interval", color="0.0", markersize=12)]
        _legend_above(ax, handles, 2)
    ax.set_yticks(rows, labels=[plain(name) for name in best.names])
    ax.invert_yaxis()
    ax.set_xlim(0, 1.05 * most)
    ax.set_xlabel("share of the mixture")
    ax.spines[["top", "right"]].set_visible(False)
    return ax
