"""The command ``tokentree``: decide the paper's claims, measure three datasets of one's own, draw, explore.

Exit codes: 0 when every verdict was reached, whatever it says; 1 when one is undecided; 2 when the input
cannot be used, which standard error explains; 130 when interrupted; 141 when nobody reads standard output to
its end. Outputs are checked before any work. Files are written all together or not at all, before anything
is printed.
"""

import argparse
import contextlib
import os
import stat
import sys
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from importlib.metadata import version
from itertools import chain
from pathlib import Path

from .._lib import signals
from .._lib.archives import probe
from .console import _say
from .measure import _ROLES, _files, _measure
from .outputs import _draw, _identity, _outputs, _write
from .verify import _verify

_CLOSED_PIPE = 141
"""What shells report of a program that the signal of a closed pipe has ended."""


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
    signals.leave(code)
    return code


def _run(arguments: Sequence[str] | None) -> int:
    options = argparse.Namespace(command="")
    try:
        signals.check()
        options = _parser().parse_args(arguments)
        _check_outputs(options)
        code: int = options.run(options)
        sys.stdout.flush()
        signals.check()
    except BrokenPipeError:
        return _CLOSED_PIPE
    except (OSError, ValueError) as error:
        _say(f"tokentree {options.command}: {error}")
        return 2
    except KeyboardInterrupt:
        return signals.code()
    return code


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


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tokentree", description="Token trees, joint compression, and Theorem 4.2 decided."
    )
    parser.add_argument("--version", action="version", version=f"tokentree {version('tokentree')}")
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
    from ..explorer import write_explorer

    write_explorer(options.out)
    _say(f"written: {options.out}")
    return 0
