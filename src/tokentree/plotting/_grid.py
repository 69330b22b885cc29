"""A matrix of responses in grey, with signs in its cells."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float
from matplotlib.axes import Axes
from matplotlib.colors import AsinhNorm
from matplotlib.ticker import NullLocator

from ._style import number, plain


def response_grid(
    response: Float[np.ndarray, "losses datasets"],
    losses: Sequence[str],
    datasets: Sequence[str],
    ax: Axes,
    unit: str,
    uncertain: Bool[np.ndarray, "losses datasets"] | None = None,
) -> Axes:
    """T times the response; a question mark marks NaN, and after a sign that it is not certain."""
    strength = np.abs(response)
    most = float(np.nanmax(strength)) or 1.0
    # Logarithmic, because self-responses are often many times the others, but linear below the smallest, so
    # that zero is white. What is 10^-8 of the largest may be the rounding error of zero.
    least = float(strength[strength > 1e-8 * most].min(initial=most))
    norm = AsinhNorm(least, 0, most)
    ticks = [0.0, *np.geomspace(most, least, 1 + min(int(np.log10(most / least)), 5)).tolist()]
    image = ax.imshow(strength, cmap="Greys", norm=norm, interpolation="nearest", aspect="auto")
    for i, t in np.ndindex(*response.shape):
        sign = {-1.0: "\u2212", 0.0: "0", 1.0: "+"}.get(float(np.sign(response[i, t])), "?")
        ink = "1.0" if norm(strength[i, t]) > 0.5 else "0.0"
        if uncertain is not None and uncertain[i, t]:
            sign += "?"
        ax.text(t, i, sign, ha="center", va="center", color=ink)
    ax.set_xticks(range(len(datasets)), labels=[plain(name) for name in datasets], rotation=90)
    ax.set_yticks(range(len(losses)), labels=[plain(name) for name in losses])
    ax.set_xlabel("dataset $t$ that grows")
    figure = ax.get_figure(root=True)
    assert figure is not None
    bar = figure.colorbar(image, ax=ax, label=rf"$T\,|\partial\gamma_i / \partial n_t|$ ({unit})")
    bar.set_ticks(ticks, labels=[f"${number(tick, 2)}$" for tick in ticks])
    bar.ax.yaxis.set_minor_locator(NullLocator())
    return ax
