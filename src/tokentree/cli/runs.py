"""``tokentree runs``: training runs of the user."""

import argparse
import json
import re
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from jaxtyping import Float

from .._lib.results import few, plain
from ..mixtures import BestSizes, target_weights
from ..training import Choice, LawScore, MixingLaw, Monotonicity, TrainingRuns
from .console import say
from .outputs import RUNS_PICTURES
from .screen import Screen
from .writing import draw, write

_NAMED = re.compile(
    r"(?<![\w'-])(n_leaves|(?:sizes|rates|run|parameters|tokens|smoothing|target)"
    r"(?= ?[=:]| and rates | both have | names | has no |\[))"
)
"""A Python parameter in an error, as it is told from the same word elsewhere."""

_MAPPED = re.compile(r"name (?:it|them|its loss) with \w+=\{.*\}")
"""What is written in Python and has no option."""

_FEW = 6
"""Number of datasets up to which the whole response is printed."""

_EQUAL = 1e-9
"""Shares that differ by less are equal."""


@dataclass(frozen=True)
class _Found:
    """All printed and written results."""

    runs: TrainingRuns
    certified: Monotonicity
    uncertified: Monotonicity
    gaps: Float[np.ndarray, "runs"]
    law: MixingLaw
    choice: Choice | None
    score: LawScore
    model: Mapping[str, Any]
    """Model size and tokens at which the joint law is evaluated."""
    mean: Float[np.ndarray, "datasets"]
    response: Float[np.ndarray, "losses datasets"]
    target: Mapping[str, float]
    best: BestSizes
    worst: BestSizes

    def value(self, sizes: Float[np.ndarray, "datasets"]) -> float:
        """Predicted value of the target."""
        weights = target_weights(self.target, self.law.losses)
        return float(weights @ self.law.predict(sizes, **self.model))


def runs(options: argparse.Namespace) -> int:
    """Read the runs, test and fit the law, write the requested files, and print the results."""
    with _in_options():
        given = _read(options)
        target = _target(options.target, given)
        found = _found(given, target, options)
    contents = {}
    if options.json is not None:
        contents[options.json] = f"{json.dumps(_report(found, options), indent=2)}\n".encode()
    drawn = {} if options.figures is None else draw(options.figures, _pictures(found), False, options.format)
    write(contents, drawn)
    screen = Screen()
    _print_runs(screen, given)
    _print_obeyed(screen, found)
    _print_law(screen, found)
    _print_response(screen, found)
    _print_best(screen, found)
    return 0


@contextmanager
def _in_options() -> Iterator[None]:
    """Errors that name options instead of Python's parameters, and warnings as lines like those of errors."""
    try:
        with warnings.catch_warnings(record=True, action="always", category=UserWarning) as caught:
            yield
    except ValueError as error:
        text = _MAPPED.sub("rename the column in the file", str(error))
        raise ValueError(_option_names(text)) from error
    for each in caught:
        say(f"tokentree runs: {_option_names(str(each.message))}")


def _option_names(text: str) -> str:
    return _NAMED.sub(lambda found: f"--{'leaves' if found[1] == 'n_leaves' else found[1]}", text)


def _read(options: argparse.Namespace) -> TrainingRuns:
    if (options.parameters is None) != (options.tokens is None):
        raise ValueError("--parameters and --tokens: the law is joint in both; give both or neither")
    return TrainingRuns.from_csv(
        options.sizes_path,
        options.losses_path,
        sizes=options.sizes,
        rates=options.rates,
        run=options.run,
        parameters=options.parameters,
        tokens=options.tokens,
    )


def _target(given: list[str] | None, runs: TrainingRuns) -> dict[str, float]:
    """Weights of the measured losses; equal by default."""
    losses = [loss for loss, known in zip(runs.losses, runs.measured.tolist(), strict=True) if known]
    if not losses:
        raise ValueError("no loss was measured: there is nothing to fit")
    if given is None:
        return dict.fromkeys(losses, 1 / len(losses))
    target: dict[str, float] = {}
    for each in given:
        name, _, weight = each.rpartition("=")
        try:
            number = float(weight)
        except ValueError:
            number = np.nan
        if not name or np.isnan(number):
            raise ValueError(f"--target {each!r}: must be NAME=WEIGHT, a loss and a number >= 0")
        if name in target:
            raise ValueError(f"--target names {name!r} twice: one weight for each loss")
        target[name] = number
    target_weights(target, losses)
    return target


def _found(runs: TrainingRuns, target: Mapping[str, float], options: argparse.Namespace) -> _Found:
    shown = not options.no_progress and sys.stderr.isatty()
    law = MixingLaw.fit(
        runs,
        options.leaves,
        options.scales,
        smoothing=options.smoothing,
        seed=options.seed,
        progress=shown,
    )
    model: dict[str, Any] = _largest(runs) if law.reference is not None else {}
    mean = runs.weights.mean(axis=0)
    return _Found(
        runs=runs,
        certified=runs.monotone(),
        uncertified=runs.monotone(certified=False),
        gaps=runs.gaps() / runs.sizes.sum(axis=1),
        law=law,
        choice=law.choice,
        score=law.score(runs),
        model=model,
        mean=mean,
        response=law.response(mean, **model),
        target=target,
        best=law.best_sizes(target, **model),
        worst=law.best_sizes(target, worst=True, **model),
    )


def _largest(runs: TrainingRuns) -> dict[str, float]:
    """The largest model, and the longest of its runs."""
    assert runs.parameters is not None
    assert runs.tokens is not None
    parameters = runs.parameters.max()
    return {
        "parameters": float(parameters),
        "tokens": float(runs.tokens[runs.parameters == parameters].max()),
    }


# Screen output


def _print_runs(screen: Screen, runs: TrainingRuns) -> None:
    known = (~np.isnan(runs.rates)).sum(axis=0)
    named = [*runs.names, *(f"{task} (task)" for task in runs.tasks)]
    screen.table(
        f"{runs.n_runs:,} runs of {runs.n_datasets} datasets",
        ("dataset", "runs", "column of its loss"),
        (
            (name, f"{n:,}", runs.matches.get(loss, "none"))
            for name, loss, n in zip(named, runs.losses, known.tolist(), strict=True)
        ),
    )
    lost = [f"{len(rows):,} of {file} ({few(rows)})" for file, rows in runs.left_out.items() if rows]
    _say(screen, f"Runs left out, because only one table has them: {'; '.join(lost) if lost else 'none'}.")
    if runs.unused:
        _say(screen, f"Columns not read: {few(runs.unused)}.")
    screen.print()


def _print_obeyed(screen: Screen, found: _Found) -> None:
    called = found.runs.labels or tuple(map(str, range(found.runs.n_runs)))
    rows = {"all losses of their data known": found.certified}
    if found.uncertified.pairs != found.certified.pairs:
        rows["over the losses known"] = found.uncertified
    screen.table(
        "The symmetric test: the law asks (n' - n) . (g' - g) <= 0, in nats times the unit of the sizes",
        ("pairs of runs", "pairs", "above 0", "largest sum", "of runs"),
        (
            (
                name,
                f"{each.pairs:,}",
                f"{each.violated:,}",
                f"{each.worst:.4g}" if each.pairs else "none",
                ", ".join(called[a] for a in each.worst_pair or ()),
            )
            for name, each in rows.items()
        ),
    )
    gaps = found.gaps
    known = int(np.isfinite(gaps).sum())
    left = np.flatnonzero(gaps > 0)
    if not known:
        text = (
            "no run has the losses of all its data, so nothing is certified of what they left on the table."
        )
    elif not left.size:
        text = f"none of {known:,} runs is beaten on its own data by another run's model."
    else:
        at = int(np.nanargmax(gaps))
        text = (
            f"{left.size:,} of {known:,} runs {'is' if left.size == 1 else 'are'} beaten on "
            f"{'its' if left.size == 1 else 'their'} own data by another run's model, and so certified to "
            f"have left something on the table. The most is {gaps[at]:.4g} nats per token "
            f"(run {called[at]}), the median of these {np.median(gaps[left]):.4g}."
        )
    if known < found.runs.n_runs:
        text += f" {found.runs.n_runs - known:,} runs contain data without a measured loss."
    _say(screen, f"The one-sided test, which is stronger: {text}")
    if found.runs.labels is None:
        _say(screen, "Runs are numbered from 0, in the order of the file.")
    screen.print()


def _print_law(screen: Screen, found: _Found) -> None:
    law, score, choice = found.law, found.score, found.choice
    screen.print(
        f"[bold]The token tree as their mixing law:[/] {law.shape.n_leaves} leaves, "
        f"smoothing {law.shape.smoothing:g}, scales {law.scales}."
    )
    if law.exponents is not None:
        shown = ", ".join(f"{name} {value:.4g}" for name, value in law.exponents.items())
        _say(screen, f"Joint in model size and tokens, with exponents {shown}.")
    if law.unknown:
        text = "so their effect is unknown, and no mixture below contains them"
        _say(screen, f"In no run, and without a loss, {text}: {few(law.unknown)}.")
    if choice is None:
        _say(screen, "Not cross-validated: nothing was left to choose, or there are too few mixtures.")
    else:
        _say(
            screen,
            f"On mixtures left out: mean squared error {choice.error:.4g} +- {choice.standard_error:.2g} of "
            f"the variance of a loss, so R2 {1 - choice.error:.4f}.",
        )
    screen.print()
    columns = (score.r2, score.spearman, score.relative_error)
    rows: list[tuple[str, float, float, float]] = list(zip(score.losses, *columns, strict=True))
    if len(rows) > 1:
        r2, rank, off = map(_mean, columns)
        rows.append(("mean", r2, rank, off))
    screen.table(
        "On the runs it was fitted to",
        ("loss", "R2", "Spearman", "relative error"),
        (
            (name, _number(r2, ".4f"), _number(rank, ".4f"), _number(off, ".2%"))
            for name, r2, rank, off in rows
        ),
    )


def _mean(values: Float[np.ndarray, "losses"]) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if known.size else np.nan


def _number(value: float, how: str) -> str:
    return f"{value:{how}}" if np.isfinite(value) else "undefined"


def _print_response(screen: Screen, found: _Found) -> None:
    names, losses, response = found.runs.names, found.law.losses, found.response
    title = "Response at the mean mixture, T d gamma_i / d n_t, nats per token"
    if found.model:
        title += f", of {found.model['parameters']:.4g} parameters at {found.model['tokens']:.4g} tokens"
    if len(names) <= _FEW:
        screen.table(
            title,
            ("i \\ t", *names),
            (
                [loss, *(_number(entry, "+.4f") for entry in row)]
                for loss, row in zip(losses, response, strict=True)
            ),
        )
        return

    def extreme(row: Float[np.ndarray, "datasets"], at: int) -> str:
        return f"{names[at]} {row[at]:+.3f}"

    rows = []
    for loss, row in zip(losses, response, strict=True):
        own = names.index(loss) if loss in names else None
        others = row.copy()
        if own is not None:
            others[own] = np.nan
        least, most = int(np.nanargmin(others)), int(np.nanargmax(others))
        itself = "task" if own is None else f"{row[own]:+.3f}"
        rows.append((loss, itself, extreme(row, least), extreme(row, most)))
    screen.table(title, ("loss", "own data", "least, of others", "most, of others"), rows)


def _print_best(screen: Screen, found: _Found) -> None:
    target = found.target
    if len(set(target.values())) == 1 and set(target) == set(found.law.losses):
        what = "all losses equally"
    else:
        what = few(tuple(f"{name} {weight:g}" for name, weight in target.items()))
    best, worst = found.best, found.worst
    least, most = found.runs.weights.min(axis=0), found.runs.weights.max(axis=0)
    screen.table(
        f"Mixtures for the target: {what}",
        ("dataset", "mean of the runs", "least in a run", "most in a run", "best", "worst"),
        (
            (name, *(f"{share:.4f}" for share in shares))
            for name, *shares in zip(
                best.names, found.mean, least, most, best.sizes, worst.sizes, strict=True
            )
        ),
    )
    screen.print(
        f"[bold]Best mixture: {best.value:.6g} nats[/], duality gap {best.gap:.1e}. "
        f"Mean of the runs: {found.value(found.mean):.6g}. Worst mixture, as a control: {worst.value:.6g}."
    )
    screen.print("  If the fitted law is right, no mixture is better by more than the gap.")
    outside = (best.sizes < least - _EQUAL) | (best.sizes > most + _EQUAL)
    if outside.any():
        beyond = few(tuple(name for name, out in zip(best.names, outside.tolist(), strict=True) if out))
        _say(screen, f"  Extrapolated: the best share is outside the range of the runs for {beyond}.")


def _say(screen: Screen, text: str) -> None:
    """Print text in which brackets are not markup."""
    screen.print(text, markup=False)


# Files


def _pictures(found: _Found) -> dict[str, Any]:
    from ..plotting import MOST_RUNS
    from . import figures

    names = iter(RUNS_PICTURES)
    pictures: dict[str, Any] = {
        next(names): partial(figures.predictions, found.law, found.runs),
        next(names): partial(figures.law_response, found.law, found.mean, found.model),
        next(names): partial(figures.best_sizes, found.best),
    }
    compared = _one_size(found)
    if compared.n_runs <= MOST_RUNS:
        pictures[next(names)] = partial(figures.regret, compared)
    else:
        say(f"not drawn: {next(names)}, of {compared.n_runs:,} runs; {MOST_RUNS} are the most")
    return pictures


def _one_size(found: _Found) -> TrainingRuns:
    """The runs of the largest model with the most tokens, if these differ."""
    runs = found.runs
    if not found.model or runs.parameters is None or runs.tokens is None:
        return runs
    same = (runs.parameters == found.model["parameters"]) & (runs.tokens == found.model["tokens"])
    return runs.subset(same)


def _report(found: _Found, options: argparse.Namespace) -> dict[str, Any]:
    """All results as plain data; rates in nats per token."""
    runs, law = found.runs, found.law
    report = {
        "files": {"sizes": str(options.sizes_path), "losses": str(options.losses_path or options.sizes_path)},
        "names": runs.names,
        "tasks": runs.tasks,
        "matches": runs.matches,
        "runs": runs.n_runs,
        "labels": runs.labels,
        "left_out": runs.left_out,
        "unused": runs.unused,
        "certified": found.certified,
        "uncertified": found.uncertified,
        "gaps": found.gaps,
        "law": {
            "losses": law.losses,
            "n_leaves": law.shape.n_leaves,
            "smoothing": law.shape.smoothing,
            "scales": law.scales,
            "seed": options.seed,
            "offset": law.offset,
            "scale": law.scale,
            "exponents": law.exponents,
            "unknown": law.unknown,
        },
        "choices": law.choices,
        "choice": found.choice,
        "score": found.score,
        "model": found.model or None,
        "mean": found.mean,
        "least": found.runs.weights.min(axis=0),
        "most": found.runs.weights.max(axis=0),
        "response": found.response,
        "target": found.target,
        "best": found.best,
        "worst": found.worst,
        "mean_value": found.value(found.mean),
    }
    return {key: plain(value) for key, value in report.items()}
