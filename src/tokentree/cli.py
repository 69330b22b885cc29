"""The command ``tokentree``: decide the paper's claims, measure three datasets of one's own, draw, explore.

Exit codes: 0 when every verdict was reached, whatever it says; 1 when one is undecided; 2 when the input
cannot be used, which standard error explains; 130 when interrupted; 141 when nobody reads standard output to
its end. Outputs are checked before any work. Files are written all together or not at all, before anything
is printed.
"""

import argparse
import contextlib
import json
import math
import os
import shutil
import stat
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import asdict
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.measure import Measurement
from rich.padding import Padding
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

from . import __version__, _signals, claims
from ._files import probe, replacing
from .claims import Finding, Ledger, Verdict
from .claims.ledger import as_json, shown
from .elasticity import Elasticity, ResponseCurve, elasticity, response_curve
from .mixture import Mixture
from .tree import TokenTree, merge

if TYPE_CHECKING:
    from .figures import Picture

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

"Machine-checked" names the theorems that Coq has checked and that a finding, or a part of its proof, rests
on: `File.theorem` is in `docs/proofs/File.v`. Those about signs take gamma_i' to be n_a R_it, where
R_it = (1 - S_it) / T; that this is d gamma_i / d n_t is `RateDerivatives.rate_derivative`.

"""

_RESPONSE = "response.png"

_WIDE = 100
"""Columns from which on a ledger has room for its reasons beside its verdicts."""

_CLOSED_PIPE = 141
"""What shells report of a program that the signal of a closed pipe has ended."""

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
    with contextlib.ExitStack() as streams:
        # Python has no stream of its own in the place of one that was closed when it started.
        if sys.stdout is None:
            streams.enter_context(redirect_stdout(streams.enter_context(open(os.devnull, "w"))))
        if sys.stderr is None:
            streams.enter_context(redirect_stderr(streams.enter_context(open(os.devnull, "w"))))
        streams.callback(_drain)
        code = _run(arguments)
    _signals.leave(code)
    return code


def _run(arguments: Sequence[str] | None) -> int:
    options = argparse.Namespace(command="")
    try:
        _signals.check()
        options = _parser().parse_args(arguments)
        _check_outputs(options)
        code: int = options.run(options)
        sys.stdout.flush()
        _signals.check()
    except BrokenPipeError:
        return _CLOSED_PIPE
    except (OSError, ValueError) as error:
        _say(f"tokentree {options.command}: {error}")
        return 2
    except KeyboardInterrupt:
        return _signals.code()
    return code


def _say(line: str) -> None:
    """Print the line to standard error, if anybody listens."""
    with contextlib.suppress(OSError):
        print(line, file=sys.stderr)


def _drain() -> None:
    """Let go of what cannot be printed, of which Python would complain at its exit."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            with contextlib.suppress(OSError), open(os.devnull, "w") as nothing:
                os.dup2(nothing.fileno(), stream.fileno())


def _check_outputs(options: argparse.Namespace) -> None:
    """Refuse, before any work, outputs that cannot be written, or would overwrite an input or each other."""
    given = [(role, path) for role in _ROLES if (path := getattr(options, role, None)) is not None]
    options.files = [_files(path, role) for role, path in given]
    inputs = {_identity(path) for path in chain((path for _, path in given), *options.files)}
    taken: dict[object, str] = {}
    with contextlib.suppress(OSError):
        printed = os.fstat(sys.stdout.fileno())
        if stat.S_ISREG(printed.st_mode):
            taken[printed.st_dev, printed.st_ino] = "standard output"
    if not inputs.isdisjoint(taken):
        raise ValueError("standard output: is written over the data to be measured")
    for option, folder, path in _outputs(options):
        what, real = f"{option} {folder or path}", Path(os.path.realpath(path))
        if not inputs.isdisjoint(map(_identity, (real, *real.parents))):
            raise ValueError(f"{what}: {path} would be written over, or among, the data to be measured")
        if folder is not None and folder.exists() and not folder.is_dir():
            raise ValueError(f"{what}: is a file, must be a directory")
        if folder is None and (path.is_dir() or not path.parent.is_dir()):
            raise ValueError(f"{what}: must be a file in a directory that exists")
        # A device or a pipe may be given twice.
        if path.is_file() or not path.exists():
            other = taken.setdefault(_identity(real), option)
            if other != option:
                raise ValueError(f"{what}: {path} is the same file as that of {other}")
        try:
            # A new directory can be made where a file could.
            probe(
                path if path.exists() else next(place for place in real.parents if place.exists()) / real.name
            )
        except OSError as error:
            raise ValueError(f"{what}: cannot be written: {error.strerror}") from None


def _identity(path: Path) -> tuple[int, int] | Path:
    """What two names of one file have in common; a file to come has nothing but its name."""
    try:
        found = path.stat()
    except OSError:
        return path
    return found.st_dev, found.st_ino


def _outputs(options: argparse.Namespace) -> Iterator[tuple[str, Path | None, Path]]:
    """Every file that will be written: the option that asks for it, its directory if that is given, path."""
    for name in ("json", "markdown", "figures", "out"):
        path: Path | None = getattr(options, name, None)
        if path is None:
            continue
        if name == "figures" or options.command == "figures":
            yield from ((f"--{name}", path, path / picture) for picture in _pictures(options))
        else:
            yield f"--{name}", None, path


def _pictures(options: argparse.Namespace) -> Collection[str]:
    if options.command == "measure":
        return [_RESPONSE]
    from . import figures

    return figures.gallery().keys()


def _write(contents: Mapping[Path, bytes], drawn: Mapping[Path, bytes]) -> None:
    """Write all files, or none."""
    every = {**contents, **drawn}
    for folder in {path.parent for path in drawn}:
        Path(os.path.realpath(folder)).mkdir(parents=True, exist_ok=True)
    with replacing(*every) as files:
        for file, content in zip(files, every.values(), strict=True):
            file.write(content)
    for path in drawn:
        _say(f"drawn: {path}")


def _draw(folder: Path, pictures: "Mapping[str, Picture]", progress: bool) -> dict[Path, bytes]:
    """Figures by the path that they are for."""
    from . import figures

    return {folder / name: content for name, content in figures.draw(pictures, progress).items()}


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
    decide.add_argument(
        "--claim", metavar="ID", help="decide and print this claim alone, with its figures and witness"
    )
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

    _write({}, _draw(options.out, figures.gallery(options.seed), sys.stderr.isatty()))
    return 0


def _explore(options: argparse.Namespace) -> int:
    from .explorer import write_explorer

    write_explorer(options.out)
    _say(f"written: {options.out}")
    return 0


class _Screen(Console):
    """Standard output, on which every digit is seen."""

    def __init__(self) -> None:
        # A pipe or a file has no width of its own, unless the caller says so.
        super().__init__(width=shutil.get_terminal_size((110, 24)).columns, highlight=False)

    def on_broken_pipe(self) -> NoReturn:
        # Rich would end the process, with the exit code of a verdict.
        raise BrokenPipeError

    def table(self, title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        """Print a table of numbers, or a list of them where the table is too wide."""
        rows = list(rows)
        table = Table(
            box=box.SIMPLE_HEAD, title=title, title_justify="left", pad_edge=False, collapse_padding=True
        )
        for name in columns:
            table.add_column(name, justify="right" if name != columns[0] else "left", no_wrap=True)
        for row in rows:
            table.add_row(*row)
        if self.fits(table):
            self.print(table)
            return
        self.print(f"[italic]{escape(title)}[/]\n")
        longest = max(map(len, columns[1:]))
        for first, *others in rows:
            self.print(" ".join([columns[0], first]).strip(), markup=False)
            for name, cell in zip(columns[1:], others, strict=True):
                self.print(Padding(Text(f"{name:{longest}}  {cell}"), (0, 0, 0, 2), expand=False))
        self.print()

    def fits(self, table: Table) -> bool:
        """Whether no cell of the table would be broken."""
        return Measurement.get(self, self.options.update(max_width=10**6), table).maximum <= self.width


def _verify(options: argparse.Namespace) -> int:
    names = list(claims.BY_ID)
    if options.claim not in (None, *names):
        listed = "\n  ".join(name for name in names if options.claim in name) or "\n  ".join(names)
        raise ValueError(f"--claim {options.claim}: must be one of\n  {listed}")
    shown = not options.no_progress and sys.stderr.isatty()
    ledger = claims.verify(options.seed, shown, None if options.claim is None else [options.claim])
    contents = {}
    if options.json is not None:
        contents[options.json] = as_json(ledger)
    if options.markdown is not None:
        contents[options.markdown] = (_PAGE + ledger.to_markdown()).encode()
    drawn = {}
    if options.figures is not None:
        from . import figures

        drawn = _draw(options.figures, figures.gallery(ledger.seed), shown)
    _write(contents, drawn)
    screen = _Screen()
    for finding in ledger:
        if options.full or options.claim is not None:
            _print_finding(screen, finding)
    if options.claim is None:
        _print_summary(screen, ledger)
    return 0 if ledger.decided else 1


def _print_finding(screen: _Screen, finding: Finding) -> None:
    style = _STYLES[finding.verdict]
    screen.print(f"[bold]{finding.id}[/]  ({finding.where})  [bold {style}]{finding.verdict}[/]")
    screen.print(f"  {escape(finding.claim)}", style="italic")
    screen.print(f"  {escape(finding.reason)}")
    screen.print(f"  Grounds: {escape(finding.grounds)}.")
    if finding.theorems:
        screen.print(f"  Machine-checked: {escape(', '.join(finding.theorems))}.")
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 4))
    for name, figure in finding.figures.items():
        table.add_row(escape(name), shown(figure))
    if screen.fits(table):
        screen.print(table)
    else:
        for name, figure in finding.figures.items():
            screen.print(Padding(Text(f"{name}: {shown(figure)}"), (0, 0, 0, 4), expand=False))
    if finding.witness:
        screen.print("  Witness, a program that fails if the finding is wrong:\n")
        screen.print(escape(finding.witness), soft_wrap=True)
    screen.print()


def _print_summary(screen: _Screen, ledger: Ledger) -> None:
    table = Table(box=box.SIMPLE_HEAD, title="The ledger", title_justify="left")
    for name in ("claim", "verdict"):
        table.add_column(name, no_wrap=True)
    table.add_column("in short")
    for finding in ledger:
        table.add_row(finding.id, Text(finding.verdict, _STYLES[finding.verdict]), Text(finding.short))
    if screen.width >= _WIDE:
        screen.print(table)
    else:
        screen.print("[italic]The ledger[/]\n")
        for finding in ledger:
            screen.print(Text.assemble(finding.id, "  ", (finding.verdict, _STYLES[finding.verdict])))
            screen.print(Padding(Text(finding.short), (0, 0, 0, 4), expand=False))
        screen.print()
    screen.print("Reasons, figures and witnesses: tokentree verify --claim ID, or --full")


def _measure(options: argparse.Namespace) -> int:
    if options.depth < 1:
        raise ValueError(f"--depth {options.depth}: must be at least 1")
    shown = not options.no_progress and sys.stderr.isatty()
    trees = []
    with Progress(console=Console(stderr=True), transient=True, disable=not shown) as progress:
        for role, files in zip(_ROLES, options.files, strict=True):
            task = progress.add_task(f"Reading {role}", total=sum(file.stat().st_size for file in files))
            advance = partial(progress.advance, task)
            trees.append(
                merge([TokenTree.from_file(f, options.depth, options.alphabet, advance) for f in files])
            )
        progress.add_task("Growing the perturbation", total=None)
        mixture = Mixture.from_trees(trees, depth=options.depth, names=_ROLES)
        found = elasticity(mixture)
        curve = response_curve(mixture, np.unique(np.append(_CURVE, found.l)))
    contents = {}
    if options.json is not None:
        report = _report(mixture, found, curve, options)
        contents[options.json] = f"{json.dumps(report, indent=2)}\n".encode()
    drawn = {}
    if options.figures is not None:
        from . import figures

        drawn = _draw(options.figures, {_RESPONSE: lambda: figures.rate_changes({"": [curve]})}, False)
    _write(contents, drawn)
    _print_measurement(_Screen(), mixture, found, curve)
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


def _print_measurement(screen: _Screen, mixture: Mixture, found: Elasticity, curve: ResponseCurve) -> None:
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
