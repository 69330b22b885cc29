"""Pictures of the theory. Every function takes an Axes, or makes one, and returns it.

Lines differ in dash pattern as well as in grey level, so that they survive a black-and-white printer.
"""

from collections.abc import Sequence

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from .elasticity import ResponseCurve, published_closed_change

_DASHES: tuple[tuple[int, tuple[int, ...]], ...] = ((0, ()), (0, (6, 2)), (0, (2, 2)), (0, (7, 2, 1, 2)))
_GREYS = ("0.0", "0.3", "0.45", "0.6")


def plot_rate_change(
    curves: Sequence[ResponseCurve],
    dataset: str,
    ax: Axes | None = None,
    parts: int | None = None,
    unit: str = "bits per block",
) -> Axes:
    r"""Change of one dataset's rate as the perturbation grows, for several k.

    Inverse proportion makes every curve scale with the sizes. Multiplied by k + 1 for D_a, and by k (k + 1)
    for D_p, curves of different k fall on one another where the theorem's proportion holds.

    Parameters
    ----------
    curves : sequence of ResponseCurve
        One for each k.
    dataset : {"pretrain", "align"}
        Whose rate.
    ax : Axes, optional
        Default: a new figure's.
    parts : int, optional
        Mark the closed form of the published form with this many disjoint parts, and its limit 1/(m - 1) on
        l, where gamma_p turns.
    unit : str
        Unit of the curves' rates, for the axis.

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        If `curves` is empty or `dataset` unknown.

    Examples
    --------
    >>> from tokentree import published_form, response_curve
    >>> mixture = published_form([[1, 0, 0], [0, 1, 0], [0, 0, 1]], k=100, l=1)
    >>> ax = plot_rate_change([response_curve(mixture, [0.1, 0.5, 1])], "pretrain", parts=3)
    >>> ax.get_xlabel()
    'size of the perturbation, $l = |D_t|\\,/\\,|D_a|$'
    """
    if not curves:
        raise ValueError("curves is empty: at least one curve is needed")
    if dataset not in ("pretrain", "align"):
        raise ValueError(f"dataset = {dataset!r}: must be 'pretrain' or 'align'")
    ax = plt.subplots()[1] if ax is None else ax
    which = ("pretrain", "align").index(dataset)
    for i, curve in enumerate(curves):
        scale = (curve.k + 1) * (curve.k if dataset == "pretrain" else 1)
        change = scale * (curve.rates[:, which] - curve.start[which])
        ax.plot(
            np.append(0, curve.l),
            np.append(0, change),
            color=_GREYS[i % 4],
            linestyle=_DASHES[i % 4],
            label=f"$k = {_number(curve.k)}$",
        )
        if parts is not None:
            every = slice(i, None, max(1, len(curve.l) // 12))
            closed = scale * np.asarray(published_closed_change(parts, curve.k, curve.l)[which])
            label = "closed form" if i == len(curves) - 1 else None
            ax.plot(
                curve.l[every], closed[every], "o", color="0.0", markerfacecolor="none", ms=4, label=label
            )
    if parts is not None and dataset == "pretrain":
        ax.axvline(1 / (parts - 1), color="0.6", linewidth=0.8, linestyle=":", zorder=0)
    ax.axhline(0, color="0.8", linewidth=0.8, zorder=0)
    ax.set_xlabel(r"size of the perturbation, $l = |D_t|\,/\,|D_a|$")
    letter, factor = ("p", "k(k+1)") if dataset == "pretrain" else ("a", "(k+1)")
    ax.set_ylabel(rf"${factor}\,\Delta\gamma_{letter}$ ({unit})")
    ax.set_xlim(0, max(curve.l.max() for curve in curves))
    ax.legend(frameon=False)
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def _number(k: float) -> str:
    return f"{k:,.0f}".replace(",", r"\,") if k == round(k) else f"{k:.4g}"
