"""A matrix of responses in grey, with signs in its cells."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm

from ._style import plain


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
    # The square root, because self-responses are often many times the others.
    norm = PowerNorm(0.5, 0, float(np.nanmax(strength)) or 1.0)
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
    figure.colorbar(image, ax=ax, label=rf"$T\,|\partial\gamma_i / \partial n_t|$ ({unit})")
    return ax
