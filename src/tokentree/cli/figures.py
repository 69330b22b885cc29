"""The gallery drawn by the command line: complete figures made from the plots of `plotting`."""

import re
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from functools import partial
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import numpy as np
from jaxtyping import Float
from matplotlib import rc_context
from matplotlib.animation import FuncAnimation, PillowWriter
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure

from .._lib.progress import tracked
from ..alignment import (
    inverse_alignment_budget,
    least_alignment_budget,
    rebound_by_depth,
    rebound_by_pretraining,
    simulate_rebound,
    simulate_resistance,
)
from ..claims import TEXT_DEPTH, Corpus, python_text, text_corpus, text_masses
from ..mixtures import BestSizes, Mixture
from ..pareto import fit_tail, pareto_convergence, sign_map
from ..plotting import (
    animate_springs,
    line,
    listed,
    plain,
    plot_best_sizes,
    plot_budget,
    plot_chain_motion,
    plot_code_lengths,
    plot_depth_curve,
    plot_fisher_triangle,
    plot_force_extension,
    plot_invariant,
    plot_law_response,
    plot_needed,
    plot_pareto_convergence,
    plot_predictions,
    plot_rate_change,
    plot_rates,
    plot_ratio,
    plot_rebound,
    plot_rebound_factor,
    plot_regret,
    plot_resistance,
    plot_resistance_gaps,
    plot_sign_map,
    plot_survival,
    plot_tail_fit,
    plot_tree,
    plot_tree_levels,
)
from ..springs import SpringChain
from ..theorem import DepthCurve, ResponseCurve, depth_curve, published_form, response_curve
from ..training import MixingLaw, TrainingRuns, own_runs
from ..trees import TokenTree

_NAMES = ("pre-training", "alignment", "perturbation")


def rate_changes(rows: Mapping[str, list[ResponseCurve]], parts: int | None = None) -> Figure:
    """Change of gamma_a and of gamma_p, one row per kind of data; `parts` belongs to the first row."""
    figure = Figure(figsize=(9, 0.5 + 3.5 * len(rows)), layout="constrained")
    axes = figure.subplots(len(rows), 2, squeeze=False)
    for row, (title, curves) in zip(axes, rows.items(), strict=True):
        plot_rate_change(curves, "align", row[0], parts=parts).set_title(f"alignment data{title}")
        plot_rate_change(curves, "pretrain", row[1], parts=parts).set_title(f"pre-training data{title}")
        # Only the first row's datasets are disjoint, as the closed form requires.
        parts = None
    # Of the four, the upper right legend has the most entries.
    return _one_legend(figure, axes[0, 1])


def published() -> Figure:
    """Theorem 4.2 in the published form on real text."""
    corpus, grid = text_corpus(), np.linspace(0.02, 1, 50)
    rows = {", disjoint": corpus.disjoint, ", overlapping": corpus.counts}
    curves = {
        title: [response_curve(published_form(counts, k, 1), grid) for k in (1, 4, 1000)]
        for title, counts in rows.items()
    }
    return rate_changes(curves, parts=3)


def map_of_signs(form: Literal["published", "three-dataset"]) -> Figure:
    """Regions of k and l where the signs hold under Assumption A.7, in the limit of many leaves."""
    figure, ax = _one()
    found = sign_map(np.geomspace(0.1, 1e6, 71), np.geomspace(1e-3, 10, 61)[:, None], form=form)
    plot_sign_map(found, ax=ax)
    return figure


def depths() -> Figure:
    """Overlaps and verdict against depth, on real text in blocks of 24 bits."""
    figure, ax = _one()
    plot_depth_curve(depth_curve(text_corpus(24).trees, names=_NAMES), ax, unit="bits")
    return figure


def convergence(seed: int = 0) -> Figure:
    """Finite Pareto trees compared with the limit of many leaves, with the spread over ten seeds."""
    figure, ax = _one()
    seeds = range(seed, seed + 10)
    found = {
        rf"$\alpha = {alpha:g}$": pareto_convergence(alpha, [100, 1, 1], [10**3, 10**4, 10**5], seeds)
        for alpha in (1.5, 2.5, 4)
    }
    plot_pareto_convergence(found, 1, ax)
    return figure


def trees() -> Figure:
    """A pruned tree of data, and a tree read from a model, with unexpanded leaves."""
    from ..adapters import read_model
    from ..models import NGramModel

    titles = "nine responses, pruned to depth 3", "a 3-gram model of them, 24 nodes read"
    figure, (left, right) = _panels(titles, (10, 4.8))
    data = ["0", "00", "0110", "0111", "10", "101", "1100", "1101", "111"]
    plot_tree(TokenTree.from_sequences(data).prune(3), left)
    model = NGramModel.fit(data, order=3)
    plot_tree(read_model(model, 4, max_nodes=24, keep_on_interrupt=False), right)
    return figure


def codes() -> Figure:
    """The levels of a tree of words, and a text's Huffman code."""
    titles = "words of Python's help topics", "Huffman code of Python's sources, 16 bits per block"
    figure, (left, right) = _panels(titles, (10, 4.4))
    topics = b"".join(path.read_bytes() for path in python_text()["topics"])
    words = [[*word] for word in re.findall(rb"[a-z]+", topics.lower())]
    plot_tree_levels(TokenTree.from_sequences(words, alphabet_size=256), left, unit="letters")
    plot_code_lengths(text_corpus().trees[0], right)
    return figure


def masses(seed: int = 0) -> Figure:
    """Leaf masses of real text, and the fit of a Pareto tail to one dataset."""
    figure, (left, right) = _panels(("three texts", "help topics, blocks of four letters"), (10, 4.4))
    names = "sources", "help topics", "encodings"
    plot_survival(dict(zip(names, text_corpus().trees, strict=True)), left, unit="mass of a 16-bit block")
    letters = text_masses()["4 letters"]
    plot_tail_fit(fit_tail(letters, n_bootstrap=100, rng=seed), right, unit="count of a block")
    return figure


def rates() -> Figure:
    """Rates and normalised rates of real text as the perturbation grows."""
    figure = Figure(figsize=(9, 4), layout="constrained")
    axes = figure.subplots(1, 2)
    mixture = Mixture(text_corpus().counts, [10, 1, 1], names=_NAMES, depth=TEXT_DEPTH)
    for ax, normalized in zip(axes, (False, True), strict=True):
        plot_rates(mixture, np.geomspace(1e-3, 10, 60), ax, normalized=normalized)
    return _one_legend(figure, axes[0])


def ratio() -> Figure:
    """The theorem's ratio against k, for disjoint parts of real text, with the closed form."""
    figure, ax = _one()
    plot_ratio(text_corpus().disjoint, np.geomspace(1, 1e6, 13), (0.01, 0.1, 0.3), ax)
    return figure


def springs() -> Figure:
    """Three datasets and the model between them, for two choices of their sizes."""
    sizes = [2, 1, 1], [100, 10, 1]
    figure, axes = _panels([f"sizes {', '.join(map(str, each))}" for each in sizes], (11.5, 4.8))
    for ax, each in zip(axes, sizes, strict=True):
        plot_fisher_triangle(Mixture(text_corpus().counts, each, names=_NAMES), ax)
    return figure


def hooke() -> Figure:
    """Hooke's law: a mechanical chain, its motion, and the invariant of joint compression."""
    titles = "springs in series", "their motion under a load", "joint compression"
    figure, (first, second, third) = _panels(titles, (13.2, 4.6))
    chain = SpringChain([100, 10, 1], names=_NAMES)
    plot_force_extension(chain, first)
    plot_chain_motion(chain.simulate(np.linspace(0, 30, 600), load=1, mass_damping=0.2), second)
    counts = text_corpus().disjoint
    plot_invariant(published_form(counts, 100, Fraction(1, 100)), 2, np.geomspace(1e-3, 0.3, 40), third)
    return figure


def resistance() -> Figure:
    """Forward compared with inverse alignment, on real text."""
    figure, (left, right) = _panels(("retraining, fixed steps", "forward minus inverse"), (10, 4.6))
    found = simulate_resistance(_aligned(text_corpus()))
    plot_resistance(found, left, regime="fine-tuning")
    plot_resistance_gaps(found, right)
    return figure


def rebound() -> Figure:
    """Rebound on real text in both regimes, and the paper's Table 3 compared with the model."""
    titles = "fixed-step fine-tuning", "joint training by counts", "Table 3"
    figure, (first, second, third) = _panels(titles, (12, 4.4))
    found = simulate_rebound(_aligned(text_corpus()))
    plot_rebound(found, first, regime="fine-tuning")
    plot_rebound(found, second, regime="counts", show="drop")
    plot_needed(found, third)
    return figure


def factors() -> Figure:
    """Dependence of rebound on depth and pre-training data, and the data needed to undo an alignment."""
    titles = "rebound against depth", "rebound against pre-training data", "undoing an alignment, by counts"
    figure, (first, second, third) = _panels(titles, (12, 4.4))
    corpus = text_corpus()
    plot_rebound_factor(rebound_by_depth(corpus.trees, depths=range(3, TEXT_DEPTH + 1)), first, unit="bits")
    mixture = _aligned(corpus)
    data = rebound_by_pretraining(mixture, sizes=np.geomspace(1e5, 1e7, 7))
    plot_rebound_factor(data, second, regime="counts")
    start = least_alignment_budget(mixture, 0).before
    allowed = start * np.geomspace(0.02, 0.95, 12)
    budgets = {
        "the best data": [least_alignment_budget(mixture, each) for each in allowed],
        "pre-training data": [inverse_alignment_budget(mixture, each, inverse=0) for each in allowed],
        "perturbation data": [inverse_alignment_budget(mixture, each) for each in allowed],
    }
    plot_budget(budgets, third)
    return figure


def training_runs() -> Figure:
    """A mixing law fitted to every other run of the library's own, and compared with the rest."""
    figure, (first, second) = _panels(("runs left out of the fit", "best mixture"), (10, 4.2))
    small = own_runs().subset(slice(110))
    law = MixingLaw.fit(small.subset(slice(0, None, 2)), n_leaves=8, smoothing=0.01, scales="shared")
    plot_predictions(law, small.subset(slice(1, None, 2)), first)
    plot_best_sizes(law.best_sizes({"sources": 3, "topics": 2, "names": 1}), second)
    return figure


def animation() -> FuncAnimation:
    """The springs of real text as the perturbation grows."""
    mixture = Mixture(text_corpus().counts, [30, 10, 1], names=_NAMES)
    return animate_springs(mixture, _NAMES[2], np.geomspace(0.1, 100, 40))


def measured_rates(curve: ResponseCurve, now: float) -> Figure:
    """Rates of the user's datasets as the third one grows, with its present size marked."""
    figure, ax = _one()
    for i, (name, rates) in enumerate(zip(curve.names, curve.rates.T, strict=True)):
        ax.plot(curve.l, rates, label=listed(plain(name)), **line(i))
    _along_l(ax, curve, now)
    ax.set_ylabel("rate (bits per block)")
    return figure


def measured_rate_changes(curve: ResponseCurve, now: float) -> Figure:
    """Effect of the third dataset on the rates of the other two, and where the theorem's signs hold."""
    figure, ax = _one()
    for i, name in enumerate(curve.names[:2]):
        ax.plot(curve.l, curve.rates[:, i] - curve.start[i], label=listed(plain(name)), **line(i))
    held = np.array([bool(holds.holds) for holds in curve.elasticities])
    # From one point to the next; a point alone has no width.
    if (held[1:] & held[:-1]).any():
        shade: dict[str, Any] = {"color": "0.9", "linewidth": 0, "zorder": 0, "label": "the signs hold"}
        ax.fill_between(curve.l, 0, 1, where=held, transform=ax.get_xaxis_transform(), **shade)
    ax.axhline(0, color="0.6", linewidth=0.8, zorder=1)
    _along_l(ax, curve, now)
    ax.set_ylabel(f"rate minus that without {plain(curve.names[2])}\n(bits per block)")
    return figure


def _along_l(ax: Axes, curve: ResponseCurve, now: float) -> None:
    _, align, perturb = map(plain, curve.names)
    ax.axvline(now, color="0.5", linewidth=1, linestyle=(0, (1, 1)), label="the files as they are")
    ax.set(xscale="log", xlim=(curve.l.min(), curve.l.max()))
    ax.set_xlabel(f"size of {perturb} over that of {align}, $l$")
    ax.legend(frameon=False, ncols=2, loc="lower center", bbox_to_anchor=(0.5, 1))
    ax.spines[["top", "right"]].set_visible(False)


def measured_overlap(mixture: Mixture) -> Figure:
    """Overlaps S_it of the datasets, darker further from 1, the overlap with all data together."""
    figure, ax = _one()
    overlap, names = mixture.overlap(), list(map(plain, mixture.names))
    strength = np.abs(overlap - 1)
    # The square root, because self-overlaps are often many times the others.
    norm = PowerNorm(0.5, 0, float(strength.max()) or 1.0)
    ax.imshow(strength, cmap="Greys", norm=norm, aspect="auto")
    for i, t in np.ndindex(*overlap.shape):
        ink = "1.0" if norm(strength[i, t]) > 0.5 else "0.0"
        ax.text(t, i, f"{overlap[i, t]:.4g}", ha="center", va="center", color=ink)
    ax.set_xticks(range(len(names)), labels=names)
    ax.set_yticks(range(len(names)), labels=names)
    ax.set(xlabel="dataset $t$ that grows", ylabel="dataset $i$ whose rate changes")
    ax.set_title(r"overlap $S_{it} = \sum_x p_i p_t / q$: above 1 the rate falls")
    return figure


def measured_depths(curve: DepthCurve, unit: str) -> Figure:
    """Rates per symbol and the theorem's overlaps against block length."""
    figure, (left, right) = _panels(("rates", "overlaps"), (11, 4.6))
    for i, (name, rates) in enumerate(zip(curve.names, curve.rates.T, strict=True)):
        left.plot(curve.depths, rates, marker=".", label=listed(plain(name)), **line(i))
    left.set(xlabel=f"depth $d$ ({unit})", ylabel=f"rate (bits per {unit.removesuffix('s')})")
    left.legend(frameon=False)
    left.spines[["top", "right"]].set_visible(False)
    plot_depth_curve(curve, right, unit=unit)
    return figure


def predictions(law: MixingLaw, runs: TrainingRuns) -> Figure:
    """Measured rates against those predicted by a law."""
    figure, ax = _one()
    plot_predictions(law, runs, ax)
    return figure


def regret(runs: TrainingRuns) -> Figure:
    """What each run would lose with each other run's model."""
    figure = Figure(figsize=(7, 6), layout="constrained")
    plot_regret(runs, figure.subplots())
    return figure


def law_response(law: MixingLaw, sizes: Float[np.ndarray, "datasets"], model: Mapping[str, float]) -> Figure:
    """Response of every loss to every dataset."""
    size = (3.5 + 0.35 * len(law.names), 2.8 + 0.25 * len(law.losses))
    figure = Figure(figsize=size, layout="constrained")
    plot_law_response(law, sizes, figure.subplots(), **model)
    return figure


def best_sizes(best: BestSizes) -> Figure:
    """Shares of the best mixture."""
    figure = Figure(figsize=(6, 1.6 + 0.22 * len(best.names)), layout="constrained")
    plot_best_sizes(best, figure.subplots())
    return figure


def _aligned(corpus: Corpus) -> Mixture:
    return Mixture(corpus.counts, [10**6, 1000, 1000], depth=TEXT_DEPTH)


def _panels(titles: Sequence[str], size: tuple[float, float]) -> tuple[Figure, list[Axes]]:
    """Plots side by side, with titles above any legends."""
    figure = Figure(figsize=size, layout="constrained")
    axes = []
    for panel, title in zip(figure.subfigures(1, len(titles), squeeze=False)[0], titles, strict=True):
        panel.suptitle(title)
        axes.append(panel.subplots())
    return figure, axes


def _one_legend(figure: Figure, named: Axes) -> Figure:
    """The legend of one plot for all, above the figure."""
    legend = named.get_legend()
    assert legend is not None
    title, handles = legend.get_title().get_text(), list(legend.legend_handles)
    for ax in figure.axes:
        if (own := ax.get_legend()) is not None:
            own.remove()
    figure.legend(handles=handles, loc="outside upper center", ncols=len(handles), title=title, frameon=False)
    return figure


def _one() -> tuple[Figure, Axes]:
    figure = Figure(figsize=(6, 4.2), layout="constrained")
    return figure, figure.subplots()


Picture = Callable[[], Figure] | Callable[[], FuncAnimation]


def gallery(seed: int = 0) -> dict[str, Picture]:
    """Figures by file name, drawn on demand."""
    return {
        "published-form.png": published,
        "sign-map-published.png": partial(map_of_signs, "published"),
        "sign-map-restated.png": partial(map_of_signs, "three-dataset"),
        "depth.png": depths,
        "convergence.png": partial(convergence, seed),
        "trees.png": trees,
        "codes.png": codes,
        "masses.png": partial(masses, seed),
        "rates.png": rates,
        "ratio.png": ratio,
        "fisher-triangle.png": springs,
        "hooke.png": hooke,
        "resistance.png": resistance,
        "rebound.png": rebound,
        "factors.png": factors,
        "training-runs.png": training_runs,
        "springs.gif": animation,
    }


def draw(figures: Mapping[str, Picture], progress: bool = False) -> dict[str, bytes]:
    """The contents of each figure's file; a progress bar on standard error shows the progress."""
    drawn = tracked(list(figures.items()), "Drawing", progress)
    return {name: _drawn(picture(), Path(name).suffix[1:]) for name, picture in drawn}


def _drawn(picture: Figure | FuncAnimation, format: str) -> bytes:
    if isinstance(picture, Figure):
        stream = BytesIO()
        # The same figure gives the same file: no date and no random ids.
        date = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(format, {})
        # Fonts as TrueType, because journals refuse Type 3, the default of PDF.
        with rc_context({"svg.hashsalt": "tokentree", "pdf.fonttype": 42}):
            picture.savefig(stream, format=format, dpi=120, metadata=date)
        return stream.getvalue()
    # An animation can only be written to a named file.
    with TemporaryDirectory() as folder:
        path = Path(folder) / "animation.gif"
        picture.save(path, writer=PillowWriter(fps=10))
        return path.read_bytes()
