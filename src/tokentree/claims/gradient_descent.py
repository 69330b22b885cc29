"""Section 5 by gradient descent: small transformers pre-trained, aligned and trained back.

The measurements are kept in a table (`experiments.fine_tuned`), with standard errors over six seeds. A
difference counts if it exceeds two of them.
"""

import math
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import NamedTuple

from .evidence import Evidence
from .experiments import FineTuned, fine_tuned
from .ledger import Figure, Finding, Verdict
from .witness import witness

_ERRORS = 2.0
_SIZES = (1000, 2000, 5000, 10000)
"""Positive examples."""
_GROUNDS = (
    "on the cases tried: transformers of 2 layers on Python's own text, six seeds each, as kept in "
    "fine_tuning.csv, made by notebooks/fine_tuning.py"
)


class _Setting(NamedTuple):
    """The data that models were aligned on, and how the models were trained."""

    positive: str
    method: str
    optimizer: str
    rate: float

    def __str__(self) -> str:
        how = f"{self.optimizer} {self.rate:g}"
        return f"{self.positive}, {how if self.method == 'SFT' else f'{self.method} by {how}'}"


class _Table:
    """The rows by setting, measure and case."""

    def __init__(self, rows: list[FineTuned]) -> None:
        self.rows = [row for row in rows if row.method != "tree"]

    def found(self, experiment: str, measure: str, examples: int | None = None) -> Iterator[FineTuned]:
        for row in self.rows:
            asked = row.experiment == experiment and row.measure == measure
            if asked and examples in (None, row.examples):
                yield row

    def settings(
        self, experiment: str, measure: str, examples: int | None = None
    ) -> dict[_Setting, dict[str, FineTuned]]:
        """Rows by setting, then by case."""
        found: dict[_Setting, dict[str, FineTuned]] = {}
        for row in self.found(experiment, measure, examples):
            setting = _Setting(row.positive, row.method, row.optimizer, row.rate)
            found.setdefault(setting, {})[row.case] = row
        return found


def resistance_by_descent(evidence: Evidence) -> Finding:
    """Table 1: training losses of forward and inverse alignment."""
    del evidence
    table = _Table(fine_tuned())
    figures: dict[str, Figure] = {}
    losses, entropies = (table.settings("resistance", f"{name}_gap") for name in ("loss", "entropy"))
    clear = agree = easier = 0
    for setting, gaps in losses.items():
        figures[f"{setting}: gaps of training loss, pairs {', '.join(gaps)}"] = _listed(gaps.values())
        for pair, gap in gaps.items():
            if _sign(gap):
                clear += 1
                easier += gap.mean > 0
                agree += (gap.mean > 0) == (entropies[setting][pair].mean > 0)
    excess = list(table.found("resistance", "excess_gap"))
    figures["pairs whose gap of training loss is beyond two errors"] = clear
    figures["of these, inverse alignment is easier"] = easier
    figures["of these, as the entropies of the targets say"] = agree
    figures["pairs whose gap of excess loss is beyond two errors, and above zero"] = (
        f"{sum(map(bool, map(_sign, excess)))}, {sum(_sign(row) > 0 for row in excess)}"
    )
    figures["pairs in all"] = sum(map(len, losses.values()))
    decided = 0 < easier < clear and agree == clear
    return Finding(
        "section-5.1/gradient-descent",
        "Inverse alignment has the lower training loss for every pair of slices of a real model.",
        "Section 5.1, Table 1",
        Verdict.UNDER_A_CONDITION if decided else Verdict.UNDECIDED,
        "The entropies of the targets decide, as in the token tree. Where alignment made the answers less "
        "varied, inverse alignment has the higher loss; where it made them more varied, one pair of one "
        "text shows the paper's direction beyond two standard errors, about as many as chance would give. "
        "With the entropies subtracted, no pair shows resistance.",
        f"{_GROUNDS}; gaps are forward minus inverse, in nats per window, with standard errors",
        figures,
        witness("section-5.1/gradient-descent"),
        short=f"the entropies decide {agree} of {clear} pairs",
    )


def rebound_by_descent(evidence: Evidence) -> Finding:
    """Section 5.2: how fast the score falls at first, and later."""
    del evidence
    table = _Table(fine_tuned())
    figures: dict[str, Figure] = {}
    first = table.settings("rebound", "first_drop_score", 100)
    later = table.settings("rebound", "last_drop_score")
    slower, cases, turns = Counter[str](), Counter[str](), Counter[tuple[str, int]]()
    for setting, drops in first.items():
        figures[f"{setting}: first fall after {_SIZES[0]} and {_SIZES[-1]}"] = _listed(
            drops[str(size)] for size in (_SIZES[0], _SIZES[-1])
        )
        turns[setting.method, _sign(drops[f"{_SIZES[-1]}-{_SIZES[0]}"])] += 1
        for size in map(str, _SIZES):
            cases[setting.method] += 1
            # Per negative example: over the first 100, and over the last 1000 of 2000.
            slower[setting.method] += drops[size].mean / 100 > later[setting][size].mean / 1000
    for method in cases:
        figures[f"{method}: settings and sizes in which the mean fall slows down"] = (
            f"{slower[method]} of {cases[method]}"
        )
        figures[f"{method}: settings in which the first fall is faster after more, slower, neither"] = (
            ", ".join(str(turns[method, sign]) for sign in (1, -1, 0))
        )
    odds = [
        (_odds(table, setting, _SIZES[-1]), _odds(table, setting, _SIZES[0]))
        for setting in first
        if setting.method == "SFT"
    ]
    grown = sum(many > few for many, few in odds)
    figures["SFT: settings in which the first fall of the log-odds of the mean score grows"] = (
        f"{grown} of {len(odds)}"
    )
    both = turns["SFT", 1] > 0 < turns["SFT", -1]
    return Finding(
        "section-5.2/gradient-descent",
        "By gradient descent the score falls faster at first after more positive data, and then more slowly.",
        "Section 5.2",
        Verdict.UNDER_A_CONDITION if slower["SFT"] == cases["SFT"] and both else Verdict.UNDECIDED,
        "After SFT the fall always slows down; after DPO it mostly speeds up, from almost nothing. The "
        "first fall is clearly faster after more positive data in one setting of SFT, as with fixed steps, "
        "and clearly slower in five, as by counts with a score above 1/2; after DPO it is slower.",
        f"{_GROUNDS}; score is the mean probability that samples are of the positive kind, and first falls, "
        "with standard errors, are over 100 negative examples",
        figures,
        witness("section-5.2/gradient-descent"),
        short=f"SFT slows down in {slower['SFT']} of {cases['SFT']}; faster first in {turns['SFT', 1]} of "
        f"{len(odds)} settings",
        charitable="A probability is bounded and must saturate; the paper's cost score is not. In log-odds "
        f"of the mean score the first fall after SFT grows in {grown} of {len(odds)} settings, in many by "
        "less than two standard errors.",
    )


def _odds(table: _Table, setting: _Setting, size: int) -> float:
    """First fall of the log-odds of the mean score."""
    before, after = (
        table.settings("rebound", "score", examples)[setting][str(size)].mean for examples in (0, 100)
    )
    return math.log(before / (1 - before)) - math.log(after / (1 - after))


def needed_by_descent(evidence: Evidence) -> Finding:
    """Table 3: negative examples needed."""
    del evidence
    table = _Table(fine_tuned())
    figures: dict[str, Figure] = {}
    found = table.settings("rebound", "needed_score")
    grows, back, tried, ratios = 0, Counter[str](), Counter[str](), []
    for setting, needs in found.items():
        listed = [needs[str(size)] for size in _SIZES]
        arrived = [row for row in listed if row.seeds]
        figures[f"{setting}: needed after {', '.join(row.case for row in arrived)}"] = _listed(
            arrived, digits=0
        )
        grows += all(one.mean < two.mean for one, two in pairwise(arrived))
        back[setting.method] += sum(row.seeds for row in listed)
        tried[setting.method] += len(listed) * max(row.seeds for row in listed)
        if len(arrived) == len(_SIZES):
            ratios.append(arrived[-1].mean / arrived[0].mean)
    for method in tried:
        figures[f"{method}: models that came back within 2000"] = f"{back[method]} of {tried[method]}"
    most = f"{min(ratios):.1f} to {max(ratios):.1f}"
    figures[f"the number after {_SIZES[-1]} over that after {_SIZES[0]}, where both are known"] = most
    by_kl = table.settings("rebound", "fraction_kl_base_model")
    changes = [_sign(rows[f"{_SIZES[-1]}-{_SIZES[0]}"]) for rows in by_kl.values()]
    figures[
        "by KL to the base model, to 0.8 of where it starts: settings in which it grows, falls, neither"
    ] = ", ".join(str(changes.count(sign)) for sign in (1, -1, 0))
    return Finding(
        "section-5.2/table-3-gradient-descent",
        "By gradient descent, too, after more positive data fewer negative examples bring the model back.",
        "Table 3",
        Verdict.FAILS if grows == len(found) and -1 not in changes else Verdict.UNDECIDED,
        "For a return to the score before alignment, more positive data require more negative data in every "
        "setting: {most} times as many for ten times the positive data, more than fixed steps require of "
        "the token tree and less than counts do. Measured by the KL to the base model, as in the paper, "
        "hardly any of these models comes as close as the paper's do; the number that reduces the KL to "
        "four fifths of its start grows or stays the same.",
        f"{_GROUNDS}; with standard errors over the seeds that arrived within 2000",
        figures,
        witness("section-5.2/table-3-gradient-descent"),
        short=f"more need more, in {grows} of {len(found)} settings",
    )


def factors_by_descent(evidence: Evidence) -> Finding:
    """Section 5.3: sizes of the model and of its pre-training."""
    del evidence
    rows = [row for row in fine_tuned() if row.method == "SFT" and row.case == "1000"]
    figures: dict[str, Figure] = {}
    first = _by_factor([row for row in rows if row.measure == "first_drop_score" and row.examples == 100])
    last = _by_factor([row for row in rows if row.measure == "last_drop_score"])
    for name, series in first.items():
        figures[f"{name}: first fall"] = _listed(series.values())
    steps = sum(_grows(one, two) > 0 for series in first.values() for one, two in pairwise(series.values()))
    shrinks = sum(_grows(one, two) < 0 for series in first.values() for one, two in pairwise(series.values()))
    figures["first fall: steps of a series up, down, neither"] = (
        f"{steps}, {shrinks}, {2 * len(first) - steps - shrinks}"
    )
    ends = {}
    for name, found in ("first fall", first), ("later decline", last):
        ends[name] = [_grows(*_ends(series)) for series in found.values()]
        figures[f"{name}, from the smallest to the largest: series up, down, neither"] = ", ".join(
            str(ends[name].count(sign)) for sign in (1, -1, 0)
        )
    later = ends["later decline"]
    agrees = ends["first fall"].count(1) > len(first) / 2 and -1 not in ends["first fall"]
    return Finding(
        "section-5.3/gradient-descent",
        "By gradient descent rebound grows with the model and with its pre-training, and the later decline "
        "is slower.",
        "Section 5.3",
        Verdict.FAILS if agrees and later.count(1) > 0 == later.count(-1) else Verdict.UNDECIDED,
        "The first half agrees from end to end: the first fall is faster for the largest model, and after "
        "the longest pre-training, than for the smallest and shortest, though not at every step. The second "
        "half does not: no later decline is clearly slower, and some are clearly faster. Pre-training also "
        "moves the score from which both begin.",
        f"{_GROUNDS}; after 1000 positive examples, widths 8 to 32 and 16,000 to 144,000 windows; "
        "differences count beyond two standard errors, taken as independent",
        figures,
        witness("section-5.3/gradient-descent"),
        short="the first fall agrees, the later decline does not",
    )


def _grows(one: FineTuned, two: FineTuned) -> int:
    """Sign of the difference of two means, or 0 within two standard errors."""
    return _sign(two._replace(mean=two.mean - one.mean, error=math.hypot(one.error, two.error)))


def _ends(series: dict[int, FineTuned]) -> tuple[FineTuned, FineTuned]:
    smallest, *_, largest = series.values()
    return smallest, largest


def _by_factor(rows: list[FineTuned]) -> dict[str, dict[int, FineTuned]]:
    """Rows over widths, and over pre-training sizes, grouped by what they have in common."""
    widest, most = max(row.width for row in rows), max(row.pretrained for row in rows)
    found: dict[str, dict[int, FineTuned]] = {}
    for row in sorted(rows, key=lambda row: (row.width, row.pretrained)):
        setting = f"{row.positive}, {row.optimizer} {row.rate:g}"
        if row.pretrained == most:
            found.setdefault(f"{setting}, width", {})[row.width] = row
        if row.width == widest:
            found.setdefault(f"{setting}, pre-training", {})[row.pretrained] = row
    return {
        f"{name} {', '.join(map(str, series))}": series for name, series in found.items() if len(series) > 2
    }


def _sign(row: FineTuned) -> int:
    """Sign of a mean, or 0 within two standard errors."""
    return (row.mean > _ERRORS * row.error) - (row.mean < -_ERRORS * row.error)


def _listed(rows: Iterable[FineTuned], digits: int = 3) -> str:
    return ", ".join(f"{row.mean:.{digits}f} +- {row.error:.{digits}f}" for row in rows)
