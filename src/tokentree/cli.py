"""The command ``tokentree``: decide the paper's claims, measure three datasets of one's own, draw, explore.

Exit codes: 0 when every verdict was reached, whatever it says; 1 when one is undecided; 2 when the input
cannot be used, which standard error explains; 130 when interrupted.
"""

import argparse
import json
import math
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress
from rich.table import Table

from . import __version__
from .claims import Finding, Ledger, Verdict, verify
from .claims.ledger import shown
from .elasticity import Elasticity, ResponseCurve, elasticity, response_curve
from .mixture import Mixture
from .tree import TokenTree, merge

_STYLES = {
    Verdict.HOLDS: "green",
    Verdict.IN_A_LIMIT: "yellow",
    Verdict.UNDER_A_CONDITION: "yellow",
    Verdict.FAILS: "red",
    Verdict.UNDECIDED: "magenta",
}

_ROLES = ("pretrain", "align", "perturb")
_SIGNS = {-1: "-", 0: "0", 1: "+", None: "undecided"}
_STATED = {True: "holds", False: "fails", None: "is undecided"}
_PAGE = """\
# The ledger

Every claim of the paper that the library decides, with its grounds, figures and witness. This page is written
by `tokentree verify --markdown docs/ledger.md`; figures of the text corpora depend on the Python that ran it.
Lengths are in bits a block unless a figure says otherwise.

"""

_CURVE = np.geomspace(1e-3, 10, 41)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    arguments : sequence of str, optional
        Default: those of the process.

    Returns
    -------
    int
        Exit code, as the module says.
    """
    options = _parser().parse_args(arguments)
    try:
        _check_outputs(options)
        code: int = options.run(options)
    except (OSError, ValueError) as error:
        print(f"tokentree {options.command}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return code


def _check_outputs(options: argparse.Namespace) -> None:
    """Refuse, before any work, outputs that cannot be written or that would overwrite an input."""
    inputs = [path.resolve() for role in _ROLES if (path := getattr(options, role, None)) is not None]
    for name in ("json", "markdown", "figures", "out"):
        path = getattr(options, name, None)
        if path is None:
            continue
        target = path.resolve()
        if any(target == given or given in target.parents for given in inputs):
            raise ValueError(f"--{name} {path}: would be written over, or among, the data to be measured")
        directory = name == "figures" or options.command == "figures"
        if directory and path.exists() and not path.is_dir():
            raise ValueError(f"--{name} {path}: is a file, must be a directory")
        if not directory and (path.is_dir() or not target.parent.is_dir()):
            raise ValueError(f"--{name} {path}: must be a file in a directory that exists")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tokentree", description="Token trees, joint compression, and Theorem 4.2 decided."
    )
    parser.add_argument("--version", action="version", version=f"tokentree {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    decide = commands.add_parser(
        "verify",
        help="decide the paper's claims on real text and on Pareto trees",
        description="Decide the paper's claims on the text that Python itself carries and on synthetic "
        "Pareto trees. Takes some seconds.",
        epilog="example: tokentree verify --json ledger.json --figures out",
    )
    decide.add_argument("--seed", type=int, default=0, help="seed of the synthetic trees (default 0)")
    decide.add_argument("--markdown", type=Path, metavar="PATH", help="write the ledger as a page to PATH")
    decide.add_argument("--claim", metavar="ID", help="print this claim alone, with its figures and witness")
    decide.add_argument("--full", action="store_true", help="print every claim so, before the summary")
    decide.set_defaults(run=_verify)

    measure = commands.add_parser(
        "measure",
        help="rates, response and Theorem 4.2 for your own data",
        description="Compress three datasets together and decide which way the rates of PRETRAIN and ALIGN "
        "move when PERTURB grows. Each is a file, or a directory that stands for all files below it; every "
        "file that is not empty is one response, read once.",
        epilog="example: tokentree measure web.txt chat.txt new.txt --depth 16 --figures out",
    )
    for role in _ROLES:
        measure.add_argument(role, metavar=role.upper(), type=Path)
    measure.add_argument(
        "--depth", type=int, required=True, metavar="D", help="symbols in a block, at least 1"
    )
    measure.add_argument(
        "--alphabet", choices=["bits", "bytes"], default="bits", help="symbols: bits (default) or bytes"
    )
    measure.set_defaults(run=_measure)

    draw = commands.add_parser(
        "figures",
        help="draw the gallery",
        description="Draw every figure of the gallery, from real text and from synthetic Pareto trees, as "
        "PNG; the springs as an animation too. Takes less than a minute.",
        epilog="example: tokentree figures --out figures",
    )
    draw.add_argument("--out", type=Path, metavar="DIR", required=True, help="directory to draw into")
    draw.add_argument("--seed", type=int, default=0, help="seed of the synthetic trees (default 0)")
    draw.set_defaults(run=_figures)

    explore = commands.add_parser(
        "explore",
        help="write the interactive explorer, one page for the browser",
        description="Write one HTML page with sliders for k, l, alpha, overlap and depth; no server needed.",
        epilog="example: tokentree explore --out explorer.html",
    )
    explore.add_argument("--out", type=Path, metavar="PATH", required=True, help="page to write")
    explore.set_defaults(run=_explore)

    for command in (decide, measure):
        command.add_argument("--json", type=Path, metavar="PATH", help="write everything found to PATH")
        command.add_argument("--figures", type=Path, metavar="DIR", help="draw the figures into DIR")
        command.add_argument("--no-progress", action="store_true", help="show no progress bar")
    return parser


def _figures(options: argparse.Namespace) -> int:
    from . import figures

    figures.save(options.out, figures.gallery(options.seed))
    return 0


def _explore(options: argparse.Namespace) -> int:
    from .explorer import write_explorer

    write_explorer(options.out)
    print(f"written: {options.out}", file=sys.stderr)
    return 0


def _console() -> Console:
    # A pipe or a file has no width of its own, unless the caller says so.
    wide = None if sys.stdout.isatty() or "COLUMNS" in os.environ else 110
    return Console(width=wide, highlight=False)


def _verify(options: argparse.Namespace) -> int:
    ledger = verify(options.seed, progress=not options.no_progress and sys.stderr.isatty())
    console = _console()
    names = [finding.id for finding in ledger]
    if options.claim not in (None, *names):
        listed = "\n  ".join(name for name in names if options.claim in name) or "\n  ".join(names)
        raise ValueError(f"--claim {options.claim}: must be one of\n  {listed}")
    for finding in ledger:
        if options.full or finding.id == options.claim:
            _print_finding(console, finding)
    if options.claim is None:
        _print_summary(console, ledger)
    if options.json is not None:
        ledger.to_json(options.json)
    if options.markdown is not None:
        options.markdown.write_text(_PAGE + ledger.to_markdown(), encoding="utf-8")
    if options.figures is not None:
        from . import figures

        figures.save(options.figures, figures.gallery(ledger.seed))
    return 0 if ledger.decided else 1


def _print_finding(console: Console, finding: Finding) -> None:
    style = _STYLES[finding.verdict]
    console.print(f"[bold]{finding.id}[/]  ({finding.where})  [bold {style}]{finding.verdict}[/]")
    console.print(f"  {escape(finding.claim)}", style="italic")
    console.print(f"  {escape(finding.reason)}")
    console.print(f"  Grounds: {escape(finding.grounds)}.")
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 4))
    for name, figure in finding.figures.items():
        table.add_row(escape(name), shown(figure))
    console.print(table)
    if finding.witness:
        console.print("  Witness, a program that fails if the finding is wrong:\n")
        console.print(escape(finding.witness), soft_wrap=True)
    console.print()


def _print_summary(console: Console, ledger: Ledger) -> None:
    table = Table(box=box.SIMPLE_HEAD, title="The ledger", title_justify="left")
    table.add_column("claim", no_wrap=True, min_width=max(len(finding.id) for finding in ledger))
    table.add_column("verdict", no_wrap=True)
    # A narrow terminal shows names and verdicts, a line each, rather than a column of single words.
    wide = console.width >= 100
    if wide:
        table.add_column("in short")
    for finding in ledger:
        verdict = f"[{_STYLES[finding.verdict]}]{finding.verdict}[/]"
        table.add_row(finding.id, verdict, *([escape(finding.short)] if wide else []))
    console.print(table)
    console.print("Reasons, figures and witnesses: tokentree verify --claim ID, or --full")


def _measure(options: argparse.Namespace) -> int:
    if options.depth < 1:
        raise ValueError(f"--depth {options.depth}: must be at least 1")
    paths = [_files(getattr(options, role), role) for role in _ROLES]
    shown = not options.no_progress and sys.stderr.isatty()
    trees = []
    with Progress(console=Console(stderr=True), transient=True, disable=not shown) as progress:
        for role, files in zip(_ROLES, paths, strict=True):
            task = progress.add_task(f"Reading {role}", total=sum(file.stat().st_size for file in files))
            advance = partial(progress.advance, task)
            trees.append(
                merge([TokenTree.from_file(f, options.depth, options.alphabet, advance) for f in files])
            )
        progress.add_task("Growing the perturbation", total=None)
        mixture = Mixture.from_trees(trees, depth=options.depth, names=_ROLES)
        found = elasticity(mixture)
        curve = response_curve(mixture, np.unique(np.append(_CURVE, found.l)))
    _print_measurement(_console(), mixture, found, curve)
    if options.json is not None:
        report = _report(mixture, found, curve, options)
        options.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    if options.figures is not None:
        from . import figures

        figures.save(options.figures, {"response": lambda: figures.rate_changes({"": [curve]})})
    return 0 if found.certified else 1


def _files(path: Path, role: str) -> list[Path]:
    """The file, or all files below the directory, in the order of their names."""
    if not path.exists():
        raise ValueError(f"{role.upper()} = {str(path)!r}: no such file or directory")
    if not path.is_dir():
        return [path]
    files = sorted(file for file in path.rglob("*") if file.is_file() and file.stat().st_size)
    if not files:
        raise ValueError(f"{role.upper()} = {str(path)!r} is a directory without files that hold anything")
    return files


def _print_measurement(console: Console, mixture: Mixture, found: Elasticity, curve: ResponseCurve) -> None:
    def start(title: str, *columns: str) -> Table:
        table = Table(
            box=box.SIMPLE_HEAD, title=title, title_justify="left", pad_edge=False, collapse_padding=True
        )
        for name in columns:
            # A terminal too narrow for a number shows it on two lines: no digit is lost.
            table.add_column(name, justify="right" if name != columns[0] else "left", overflow="fold")
        return table

    table = start("Rates, bits per block", "", *mixture.names)
    rows = {
        "size (blocks)": mixture.sizes,
        "leaves": mixture.leaf_counts,
        "ideal": mixture.rates(),
        "Huffman": mixture.rates(code="huffman"),
        "normalised": mixture.normalized_rates(),
        "ideal, per symbol": mixture.rates(per="token"),
    }
    for name, values in rows.items():
        table.add_row(name, *(f"{value:,.6g}" for value in values))
    console.print(table)

    table = start("Response d gamma_i / d n_t, bits per block, per block added", "i \\ t", *mixture.names)
    for name, row in zip(mixture.names, mixture.response(), strict=True):
        table.add_row(name, *(f"{entry:.6g}" for entry in row))
    console.print(table)

    title = f"As the perturbation grows, k = {found.k:.6g}; ' is d/dl, ratio is -gamma_a' / (k gamma_p')"
    table = start(title, "l", "gamma_p'", "gamma_a'", "ratio", "signs")
    shown = sorted({*range(0, len(curve.l), 10), int(np.searchsorted(curve.l, found.l))})
    for point in (curve.elasticities[i] for i in shown):
        table.add_row(
            f"{point.l:.4g}" + (" (now)" if point.l == found.l else ""),
            f"{point.dgamma_pretrain:+.4e}",
            f"{point.dgamma_align:+.4e}",
            f"{point.ratio:.6g}",
            _STATED[point.holds],
        )
    console.print(table)
    console.print(
        f"[bold]Theorem 4.2 {_STATED[found.holds]} for these data[/] at k = {found.k:.6g}, l = {found.l:.6g}."
    )
    console.print(
        "  It asks for gamma_p' < 0 < gamma_a', that is S_pt > 1 > S_at with S_it = sum p_i p_t / q: the "
        "perturbation overlaps the pre-training data more than the mixture does, the alignment data less.\n"
        f"  S_pt = {found.overlap_pretrain:.9g}, S_at = {found.overlap_align:.9g}. "
        f"Signs of gamma_p', gamma_a': {', '.join(_SIGNS[sign] for sign in found.signs)}.\n"
        f"  Certified by: {found.certificate}."
    )
    if mixture.n_leaves > sum(mixture.sizes) / 2:
        console.print(
            "  Note: most blocks were seen only once. At this depth overlaps say little; try a smaller one."
        )


def _report(
    mixture: Mixture, found: Elasticity, curve: ResponseCurve, options: argparse.Namespace
) -> dict[str, Any]:
    """Everything measured, as plain data; lengths in bits per block."""
    return {
        "files": {role: str(getattr(options, role)) for role in _ROLES},
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
        "elasticity": _plain(found),
        "curve": [
            _plain(point) | {"rates": rates}
            for point, rates in zip(curve.elasticities, curve.rates.tolist(), strict=True)
        ],
    }


def _plain(found: Elasticity) -> dict[str, Any]:
    """The verdict as plain data; JSON has no infinity, so an infinite or undefined ratio is null."""
    plain = asdict(found)
    plain["ratio"] = found.ratio if math.isfinite(found.ratio) else None
    return plain
