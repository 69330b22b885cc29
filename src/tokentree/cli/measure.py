"""``tokentree measure``: three datasets of the user."""

import argparse
import json
import sys
from collections.abc import Sequence
from functools import partial
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np

from .._lib.progress import bar
from ..mixtures import Mixture
from ..theorem import DepthCurve, Elasticity, ResponseCurve, curve_of, elasticity, response_curve
from ..trees import TokenTree, merge
from .inputs import ROLES, STANDARD_INPUT, hints, labels
from .outputs import DEPTHS_PICTURE, MEASURED_PICTURES
from .screen import Screen, aligned
from .writing import draw, write

_DATA = ("pre-training", "alignment", "perturbation")

_STATED = {True: "hold", False: "fail", None: "are undecided"}

_MOVES = {-1: "falls", 0: "stays as it is", 1: "rises", None: "changes in an unknown direction"}

_BOTH: dict[int | None, str] = {0: "both rates stay as they are", 1: "both rates rise"}
"""They never both fall: n_p S_pt + n_a S_at + n_t S_tt = T, and S_tt is at least 1."""

_ENDS = 1e-3, 10
"""Range of l examined, extended if the present one lies near its ends or outside."""


class _Measured(NamedTuple):
    """The datasets in blocks of one length."""

    depth: int
    mixture: Mixture
    found: Elasticity

    @property
    def mostly_once(self) -> bool:
        return self.mixture.n_leaves > self.mixture.total_size / 2


def measure(options: argparse.Namespace) -> int:
    """Measure the three datasets, write what is asked for, and print it."""
    measured = _measured(options)
    # The full tables are for the last depth.
    last = measured[-1]
    curve = _curve(last, 41)
    notes = [
        hint
        for label, files in zip(last.mixture.names, options.files, strict=True)
        for hint in hints(label, files)
    ]
    contents = {}
    if options.json is not None:
        report = _report(measured, curve, notes, options)
        contents[options.json] = f"{json.dumps(report, indent=2)}\n".encode()
    drawn = {}
    if options.figures is not None:
        drawn = draw(options.figures, _pictures(measured, options), False, options.format)
    write(contents, drawn)
    screen = Screen()
    _print_verdict(screen, measured, curve, options.alphabet)
    if options.full:
        _print_details(screen, measured, curve)
    if deep := [str(each.depth) for each in measured if each.mostly_once]:
        at = "" if len(measured) == 1 else f" at depth {', '.join(deep)}"
        notes.append(f"most blocks occur only once{at}: overlaps say little, so try a smaller depth.")
    for note in notes:
        screen.say(f"Note: {note}")
    if not options.full:
        screen.say("More: --full. Pictures: --figures DIR.")
    return 0 if all(each.found.certified for each in measured) else 1


def _measured(options: argparse.Namespace) -> list[_Measured]:
    """The datasets at every depth, read again for each, because blocks begin where the previous ones end."""
    for depth in options.depth:
        if depth < 1:
            raise ValueError(f"--depth {depth}: must be at least 1")
        if options.depth.count(depth) > 1:
            raise ValueError(f"--depth names {depth} twice: must be different numbers")
    given = [getattr(options, role) for role in ROLES]
    if given.count(STANDARD_INPUT) > 1:
        raise ValueError("- is given twice: standard input can be read once")
    stream = next(
        (f for files in options.files for f in files if f == STANDARD_INPUT or not f.is_file()), None
    )
    if stream is not None and len(options.depth) > 1:
        raise ValueError(f"{stream}: can be read once, so give one --depth, or a file")
    shown = not options.no_progress and sys.stderr.isatty()
    names = labels(given)
    measured = []
    with bar(show=shown) as progress:
        tasks = [
            progress.add_task(
                f"Reading {name}", total=len(options.depth) * sum(f.stat().st_size for f in files) or None
            )
            for name, files in zip(names, options.files, strict=True)
        ]
        for depth in options.depth:
            trees = []
            for task, files in zip(tasks, options.files, strict=True):
                read = partial(TokenTree.from_file, progress=partial(progress.advance, task))
                trees.append(merge([read(file, depth, options.alphabet) for file in files]))
            mixture = Mixture.from_trees(trees, depth=depth, names=names)
            measured.append(_Measured(depth, mixture, elasticity(mixture)))
    return measured


def _curve(measured: _Measured, points: int) -> ResponseCurve:
    """The response as the perturbation grows, with the present l among the points."""
    now = measured.found.l
    grid = np.geomspace(min(_ENDS[0], now / 10), max(_ENDS[1], 10 * now), points)
    return response_curve(measured.mixture, np.unique(np.append(grid, now)))


# Screen output


def _print_verdict(
    screen: Screen, measured: Sequence[_Measured], curve: ResponseCurve, alphabet: str
) -> None:
    depth, mixture, found = measured[-1]
    if len(measured) > 1:
        _print_depths(screen, measured)
    # Last, so that it is visible on a small screen.
    for line in _verdict(found, "here" if len(measured) == 1 else f"at depth {depth}"):
        screen.say(line)
    columns = {
        "blocks": [f"{size:,.0f}" for size in mixture.sizes],
        "rate": aligned(mixture.rates()),
        "normalised": aligned(mixture.normalized_rates()),
        "overlap": aligned(mixture.overlap()[:, 2]),
        "slope": aligned([found.dgamma_pretrain, found.dgamma_align, found.dgamma_perturb], sign="+"),
    }
    screen.table("", ("dataset", "role", *columns), zip(mixture.names, _DATA, *columns.values(), strict=True))
    pretrain, align, perturb = mixture.names
    screen.terms(
        {
            "block": f"{depth} {alphabet.removesuffix('s') if depth == 1 else alphabet} of a file; "
            "one more marks its end",
            "rate": "mean bits per block in one code for all three together",
            "normalised": "the rate minus log2 of the number of distinct blocks in the dataset; negative if "
            "the code beats a uniform code on the dataset's own blocks",
            "overlap": f"with {perturb}, sum p_i p_t / q: above 1 the rate falls, below 1 it rises",
            "slope": f"change of the rate, in bits per block per unit of l, as {perturb} grows",
            "k": f"size of {pretrain} over that of {align}: {found.k:.5g}",
            "l": f"size of {perturb} over that of {align}: {found.l:.5g}",
        }
    )
    screen.say(_along(curve))


def _verdict(found: Elasticity, where: str) -> list[str]:
    """What the theorem says about these data, and why."""
    names = found.names
    pretrain, align = found.signs
    moved = [f"the rate of {name} {_MOVES[sign]}" for name, sign in zip(names, found.signs, strict=False)]
    both = _BOTH.get(pretrain) if pretrain == align else None
    said = f"as {names[2]} grows, {both or ' and '.join(moved)}"
    if found.holds is None:
        return [f"Whether the signs of Theorem 4.2 hold {where} is undecided: {found.certificate}."]
    if found.holds:
        return [f"The signs of Theorem 4.2 hold {where}: {said} (proved)."]
    wanted = (-1, found.overlap_pretrain, "above"), (1, found.overlap_align, "below")
    because = [
        f"that with {name} is {_beside_one(overlap, sign)} and must be {side} 1"
        for name, sign, (asked, overlap, side) in zip(names, found.signs, wanted, strict=False)
        if sign not in (asked, None)
    ]
    return [
        f"The signs of Theorem 4.2 do not hold {where}: {said}{' (proved)' if found.certified else ''}.",
        f"The reason is the overlap of {names[2]}: {', and '.join(because)}.",
    ]


def _beside_one(overlap: float, sign: int | None) -> str:
    """An overlap, or its distance from 1 if its first digits do not show it."""
    shown = f"{overlap:.4g}"
    return f"1 {overlap - 1:+.1e}" if shown == "1" and sign else shown


def _along(curve: ResponseCurve) -> str:
    """The values of l for which the signs hold."""
    stretches = [
        (holds, [l for l, _ in points])
        for holds, points in groupby(
            zip(curve.l.tolist(), (found.holds for found in curve.elasticities), strict=True),
            key=lambda point: point[1],
        )
    ]
    if len(stretches) == 1:
        [(holds, ls)] = stretches
        everywhere = f"l from {ls[0]:.3g} to {ls[-1]:.3g}"
        return f"At every other size tried ({everywhere}) the signs {_STATED[holds]} too."
    said = [
        f"{_STATED[holds]} for l {f'= {ls[0]:.3g}' if len(ls) == 1 else f'from {ls[0]:.3g} to {ls[-1]:.3g}'}"
        for holds, ls in stretches
    ]
    return f"For other sizes of {curve.names[2]} the signs {', '.join(said)}."


def _print_depths(screen: Screen, measured: Sequence[_Measured]) -> None:
    pretrain, align, _ = measured[0].mixture.names
    columns = {
        "leaves": [f"{each.mixture.n_leaves:,}" for each in measured],
        f"overlap {pretrain}": aligned([each.found.overlap_pretrain for each in measured]),
        f"overlap {align}": aligned([each.found.overlap_align for each in measured]),
        "signs": [_STATED[each.found.holds] for each in measured],
    }
    screen.table(
        "By depth; leaves are distinct blocks",
        ("depth", *columns),
        zip((str(each.depth) for each in measured), *columns.values(), strict=True),
    )


def _print_details(screen: Screen, measured: Sequence[_Measured], curve: ResponseCurve) -> None:
    _, mixture, found = measured[-1]
    columns = {
        "leaves": [f"{count:,}" for count in mixture.leaf_counts],
        "ideal": aligned(mixture.rates(), 6),
        "Huffman": aligned(mixture.rates(code="huffman"), 6),
        "normalised": aligned(mixture.normalized_rates(), 6),
        "per symbol": aligned(mixture.rates(per="token"), 6),
    }
    screen.table(
        "Rates, bits per block; leaves are distinct blocks",
        ("dataset", *columns),
        zip(mixture.names, *columns.values(), strict=True),
    )
    response = np.transpose([aligned(column, sign="+") for column in mixture.response().T])
    screen.table(
        "Response d gamma_i / d n_t, bits per block, per block added",
        ("i \\ t", *mixture.names),
        ([name, *row] for name, row in zip(mixture.names, response.tolist(), strict=True)),
    )
    if len(measured) > 1:
        rates = [aligned(each) for each in np.transpose([m.mixture.rates(per="token") for m in measured])]
        screen.table(
            "Rates by depth, bits per symbol",
            ("depth", *mixture.names),
            zip((str(each.depth) for each in measured), *rates, strict=True),
        )
    shown = [curve.elasticities[i] for i in sorted({*range(0, len(curve.l), 10), _now(curve, found)})]
    curves = {
        "gamma_p'": aligned([point.dgamma_pretrain for point in shown], sign="+"),
        "gamma_a'": aligned([point.dgamma_align for point in shown], sign="+"),
        "ratio": aligned([point.ratio for point in shown], sign="+"),
        "signs": [_STATED[point.holds] for point in shown],
    }
    screen.table(
        "As the perturbation grows; ' is d/dl, ratio is -gamma_a' / (k gamma_p')",
        ("l", *curves),
        zip(
            (f"{point.l:.4g}{' (now)' if point.l == found.l else ''}" for point in shown),
            *curves.values(),
            strict=True,
        ),
    )
    screen.say(
        f"S_pt = {found.overlap_pretrain:.9g}, S_at = {found.overlap_align:.9g}; R_it = (1 - S_it) / T. "
        f"Certified by: {found.certificate}."
    )


def _now(curve: ResponseCurve, found: Elasticity) -> int:
    return int(np.searchsorted(curve.l, found.l))


# Files


def _pictures(measured: Sequence[_Measured], options: argparse.Namespace) -> dict[str, Any]:
    from . import figures

    last = measured[-1]
    curve = _curve(last, 81)
    makers = (
        partial(figures.measured_rates, curve, last.found.l),
        partial(figures.measured_rate_changes, curve, last.found.l),
        partial(figures.measured_overlap, last.mixture),
    )
    pictures: dict[str, Any] = dict(zip(MEASURED_PICTURES, makers, strict=True))
    if len(measured) > 1:
        pictures[DEPTHS_PICTURE] = partial(
            figures.measured_depths, _depth_curve(measured), unit=options.alphabet
        )
    return pictures


def _depth_curve(measured: Sequence[_Measured]) -> DepthCurve:
    """The mixtures as a curve, with rates per symbol."""
    rising = sorted(measured)
    depths, mixtures = [each.depth for each in rising], [each.mixture for each in rising]
    return curve_of(depths, mixtures, [each.found for each in rising], 2, "token")


def _report(
    measured: Sequence[_Measured], curve: ResponseCurve, notes: list[str], options: argparse.Namespace
) -> dict[str, Any]:
    """All measurements as plain data; lengths in bits per block."""
    last = measured[-1]
    return {
        "files": {role: str(getattr(options, role)) for role in ROLES},
        "alphabet": options.alphabet,
        **_at(last),
        "names": ROLES,
        "labels": last.mixture.names,
        "huffman_rates": last.mixture.rates(code="huffman").tolist(),
        "response": last.mixture.response().tolist(),
        "overlap": last.mixture.overlap().tolist(),
        "curve": [
            _plain(point) | {"rates": rates}
            for point, rates in zip(curve.elasticities, curve.rates.tolist(), strict=True)
        ],
        "depths": [_at(each) for each in measured],
        "notes": notes,
    }


def _at(measured: _Measured) -> dict[str, Any]:
    """The data written for each depth."""
    depth, mixture, found = measured
    return {
        "depth": depth,
        "sizes": mixture.sizes.tolist(),
        "leaves": mixture.leaf_counts.tolist(),
        "rates": mixture.rates().tolist(),
        "normalized_rates": mixture.normalized_rates().tolist(),
        "elasticity": _plain(found),
    }


def _plain(found: Elasticity) -> dict[str, Any]:
    return {name: value for name, value in found.to_dict().items() if name != "names"}
