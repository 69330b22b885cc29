"""``tokentree measure``: three datasets of one's own."""

import argparse
import json
import sys
from functools import partial
from typing import Any

import numpy as np

from .._lib.progress import bar
from ..mixtures import Mixture
from ..theorem import Elasticity, ResponseCurve, elasticity, response_curve
from ..trees import TokenTree, merge
from .inputs import ROLES
from .outputs import RESPONSE
from .screen import Screen
from .writing import draw, write

_SIGNS = {-1: "-", 0: "0", 1: "+", None: "undecided"}

_STATED = {True: "holds", False: "fails", None: "is undecided"}

_CURVE = np.geomspace(1e-3, 10, 41)


def measure(options: argparse.Namespace) -> int:
    """Measure the three datasets, write what is asked for, and print it."""
    if options.depth < 1:
        raise ValueError(f"--depth {options.depth}: must be at least 1")
    shown = not options.no_progress and sys.stderr.isatty()
    trees = []
    with bar(show=shown) as progress:
        for role, files in zip(ROLES, options.files, strict=True):
            task = progress.add_task(f"Reading {role}", total=sum(file.stat().st_size for file in files))
            advance = partial(progress.advance, task)
            trees.append(
                merge(
                    [TokenTree.from_file(f, options.depth, options.alphabet, progress=advance) for f in files]
                )
            )
        progress.add_task("Growing the perturbation", total=None)
        mixture = Mixture.from_trees(trees, depth=options.depth, names=ROLES)
        found = elasticity(mixture)
        curve = response_curve(mixture, np.unique(np.append(_CURVE, found.l)))
    contents = {}
    if options.json is not None:
        report = _report(mixture, found, curve, options)
        contents[options.json] = f"{json.dumps(report, indent=2)}\n".encode()
    drawn = {}
    if options.figures is not None:
        from . import figures

        drawn = draw(options.figures, {RESPONSE: lambda: figures.rate_changes({"": [curve]})}, False)
    write(contents, drawn)
    _print_measurement(Screen(), mixture, found, curve)
    return 0 if found.certified else 1


def _print_measurement(screen: Screen, mixture: Mixture, found: Elasticity, curve: ResponseCurve) -> None:
    rows = {
        "size (blocks)": mixture.sizes,
        "leaves": mixture.leaf_counts,
        "ideal": mixture.rates(),
        "Huffman": mixture.rates(code="huffman"),
        "normalised": mixture.normalized_rates(),
        "ideal, per symbol": mixture.rates(per="token"),
    }
    screen.table(
        "Rates, bits per block",
        ("", *mixture.names),
        ([name, *(f"{value:,.6g}" for value in values)] for name, values in rows.items()),
    )
    screen.table(
        "Response d gamma_i / d n_t, bits per block, per block added",
        ("i \\ t", *mixture.names),
        (
            [name, *(f"{entry:.6g}" for entry in row)]
            for name, row in zip(mixture.names, mixture.response(), strict=True)
        ),
    )
    shown = sorted({*range(0, len(curve.l), 10), int(np.searchsorted(curve.l, found.l))})
    screen.table(
        f"As the perturbation grows, k = {found.k:.6g}; ' is d/dl, ratio is -gamma_a' / (k gamma_p')",
        ("l", "gamma_p'", "gamma_a'", "ratio", "signs"),
        (
            (
                f"{point.l:.4g}" + (" (now)" if point.l == found.l else ""),
                f"{point.dgamma_pretrain:+.4e}",
                f"{point.dgamma_align:+.4e}",
                f"{point.ratio:.6g}",
                _STATED[point.holds],
            )
            for point in (curve.elasticities[i] for i in shown)
        ),
    )
    screen.print(
        f"[bold]Theorem 4.2 {_STATED[found.holds]} for these data[/] at k = {found.k:.6g}, l = {found.l:.6g}."
    )
    screen.print(
        "  It asks for gamma_p' < 0 < gamma_a', that is S_pt > 1 > S_at with S_it = sum p_i p_t / q: the "
        "perturbation overlaps the pre-training data more than the mixture does, the alignment data less.\n"
        f"  S_pt = {found.overlap_pretrain:.9g}, S_at = {found.overlap_align:.9g}. "
        f"Signs of gamma_p', gamma_a': {', '.join(_SIGNS[sign] for sign in found.signs)}.\n"
        f"  Certified by: {found.certificate}."
    )
    if mixture.n_leaves > sum(mixture.sizes) / 2:
        screen.print(
            "  Note: most blocks were seen only once. At this depth overlaps say little; try a smaller one."
        )


def _report(
    mixture: Mixture, found: Elasticity, curve: ResponseCurve, options: argparse.Namespace
) -> dict[str, Any]:
    """Everything measured, as plain data; lengths in bits per block."""
    return {
        "files": {role: str(getattr(options, role)) for role in ROLES},
        "alphabet": options.alphabet,
        "depth": options.depth,
        "names": mixture.names,
        "sizes": mixture.sizes.tolist(),
        "leaves": mixture.leaf_counts.tolist(),
        "rates": mixture.rates().tolist(),
        "huffman_rates": mixture.rates(code="huffman").tolist(),
        "normalized_rates": mixture.normalized_rates().tolist(),
        "response": mixture.response().tolist(),
        "overlap": mixture.overlap().tolist(),
        "elasticity": found.to_dict(),
        "curve": [
            point.to_dict() | {"rates": rates}
            for point, rates in zip(curve.elasticities, curve.rates.tolist(), strict=True)
        ],
    }
