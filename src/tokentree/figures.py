"""The gallery that the command line draws: whole figures, made of the plots of `plotting`."""

import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .claims import text_corpus
from .depth import depth_curve
from .elasticity import ResponseCurve, published_form, response_curve
from .pareto import pareto_convergence
from .plotting import plot_depth_curve, plot_pareto_convergence, plot_rate_change, plot_sign_map
from .signmap import sign_map


def rate_changes(rows: Mapping[str, list[ResponseCurve]], parts: int | None = None) -> Figure:
    """Change of gamma_a and of gamma_p, a row for each kind of data; `parts` is of the first row."""
    figure = Figure(figsize=(9, 3.7 * len(rows)), layout="constrained")
    axes = figure.subplots(len(rows), 2, squeeze=False)
    for row, (title, curves) in zip(axes, rows.items(), strict=True):
        plot_rate_change(curves, "align", row[0], parts).set_title(f"alignment data{title}")
        plot_rate_change(curves, "pretrain", row[1], parts).set_title(f"pre-training data{title}")
        # Only the first row's datasets are disjoint, as the closed form asks.
        parts = None
    return figure


def published() -> Figure:
    """Theorem 4.2 in the published form on real text."""
    corpus, grid = text_corpus(), np.linspace(0.02, 1, 50)
    rows = {", disjoint": corpus.disjoint, ", overlapping": corpus.counts}
    curves = {
        title: [response_curve(published_form(counts, k, 1), grid) for k in (10, 100, 10_000)]
        for title, counts in rows.items()
    }
    return rate_changes(curves, parts=3)


def map_of_signs(form: Literal["published", "three-dataset"]) -> Figure:
    """Where the signs hold under Assumption A.7, in the limit of many leaves, over k and l."""
    figure, ax = _one()
    found = sign_map(np.geomspace(0.1, 1e6, 71), np.geomspace(1e-3, 10, 61)[:, None], form=form)
    plot_sign_map(found, ax=ax)
    return figure


def depths() -> Figure:
    """Overlaps and verdict against depth, on real text in blocks of 24 bits."""
    figure, ax = _one()
    plot_depth_curve(depth_curve(text_corpus(24).trees), ax, unit="bits")
    return figure


def convergence(seed: int = 0) -> Figure:
    """Finite Pareto trees against the limit of many leaves, with the spread over ten seeds."""
    figure, ax = _one()
    seeds = range(seed, seed + 10)
    found = {
        rf"$\alpha = {alpha:g}$": pareto_convergence(alpha, [100, 1, 1], [10**3, 10**4, 10**5], seeds)
        for alpha in (1.5, 2.5, 4)
    }
    plot_pareto_convergence(found, 1, ax)
    return figure


def _one() -> tuple[Figure, Axes]:
    figure = Figure(figsize=(6, 4.2), layout="constrained")
    return figure, figure.subplots()


def gallery(seed: int = 0) -> dict[str, Callable[[], Figure]]:
    """Figures by name, drawn when called for."""
    return {
        "published-form": published,
        "sign-map-published": partial(map_of_signs, "published"),
        "sign-map-restated": partial(map_of_signs, "three-dataset"),
        "depth": depths,
        "convergence": partial(convergence, seed),
    }


def save(directory: Path, figures: Mapping[str, Callable[[], Figure]]) -> None:
    """Draw each figure into the directory as PNG and name it on standard error."""
    directory.mkdir(parents=True, exist_ok=True)
    for name, draw in figures.items():
        path = directory / f"{name}.png"
        draw().savefig(path, dpi=120)
        print(f"drawn: {path}", file=sys.stderr)
