"""What the command line takes. Imports nothing heavy: help and version are shown at once."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from .. import __version__
from .inputs import ROLES

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]


def parser() -> argparse.ArgumentParser:
    """The parser of the whole command line."""
    whole = argparse.ArgumentParser(
        prog="tokentree", description="Token trees, joint compression, and Theorem 4.2 decided."
    )
    whole.add_argument("--version", action="version", version=f"tokentree {__version__}")
    commands = whole.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for add in (_add_verify, _add_measure, _add_figures, _add_explore):
        add(commands)
    return whole


def _add_verify(commands: "Commands") -> None:
    command = commands.add_parser(
        "verify",
        help="decide the paper's claims on real text and on Pareto trees",
        description="Decide the paper's claims on the text that Python itself carries and on synthetic "
        "Pareto trees. Takes some seconds.",
        epilog="example: tokentree verify --json ledger.json --figures out",
    )
    _add_seed(command)
    command.add_argument("--markdown", type=Path, metavar="PATH", help="write the ledger as a page to PATH")
    command.add_argument(
        "--claim", metavar="ID", help="decide and print this claim alone, with its figures and witness"
    )
    command.add_argument("--full", action="store_true", help="print every claim so, before the summary")
    _add_results(command)


def _add_measure(commands: "Commands") -> None:
    command = commands.add_parser(
        "measure",
        help="rates, response and Theorem 4.2 for your own data",
        description="Compress three datasets together and decide which way the rates of PRETRAIN and ALIGN "
        "move when PERTURB grows. Each is a file, or a directory that stands for all files below it; every "
        "file that is not empty is one response, read once.",
        epilog="example: tokentree measure web.txt chat.txt new.txt --depth 16 --figures out",
    )
    for role in ROLES:
        command.add_argument(role, metavar=role.upper(), type=Path)
    command.add_argument(
        "--depth", type=int, required=True, metavar="D", help="symbols in a block, at least 1"
    )
    command.add_argument(
        "--alphabet", choices=["bits", "bytes"], default="bits", help="symbols: bits (default) or bytes"
    )
    _add_results(command)


def _add_figures(commands: "Commands") -> None:
    command = commands.add_parser(
        "figures",
        help="draw the gallery",
        description="Draw every figure of the gallery, from real text and from synthetic Pareto trees, as "
        "PNG; the springs as an animation too. Takes less than a minute.",
        epilog="example: tokentree figures --out figures",
    )
    command.add_argument("--out", type=Path, metavar="DIR", required=True, help="directory to draw into")
    _add_seed(command)


def _add_explore(commands: "Commands") -> None:
    command = commands.add_parser(
        "explore",
        help="write the interactive explorer, one page for the browser",
        description="Write one HTML page with sliders for k, l, alpha, overlap and depth; no server needed.",
        epilog="example: tokentree explore --out explorer.html",
    )
    command.add_argument("--out", type=Path, metavar="PATH", required=True, help="page to write")


def _add_seed(command: argparse.ArgumentParser) -> None:
    command.add_argument("--seed", type=int, default=0, help="seed of the synthetic trees (default 0)")


def _add_results(command: argparse.ArgumentParser) -> None:
    command.add_argument("--json", type=Path, metavar="PATH", help="write everything found to PATH")
    command.add_argument("--figures", type=Path, metavar="DIR", help="draw the figures into DIR")
    command.add_argument("--no-progress", action="store_true", help="show no progress bar")
