"""The command line's arguments. Imports nothing heavy, so that help and version are shown at once."""

import argparse
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from .. import __version__
from .inputs import ROLES, STANDARD_INPUT, TABLES
from .outputs import FORMATS

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]


class _Parser(argparse.ArgumentParser):
    """A parser that takes no abbreviations, so that options added later change no old command."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(allow_abbrev=False, **settings)

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> tuple[Any, list[str]]:
        """Refuse what is left over here, where the usage shown is that of the command."""
        options, left = super().parse_known_args(args, namespace)
        if left:
            message = f"unrecognized arguments: {' '.join(left)}"
            if depths := re.search(r"--depth[ =](\d+(?: \d+)+)(?!\S)", " ".join(args or ())):
                commas = depths[1].replace(" ", ",")
                message += f"; several depths are written with commas: --depth {commas}"
            self.error(message)
        return options, left

    def error(self, message: str) -> NoReturn:
        """Add an example of what is missing."""
        if re.search(r"are required: (.*, )?--depth$|argument --depth: expected", message):
            message += " (for instance --depth 16, or 4,8,12,16)"
        super().error(message)


def parser() -> argparse.ArgumentParser:
    """The parser of the whole command line."""
    whole: argparse.ArgumentParser = _Parser(
        prog="tokentree", description="Token trees, joint compression, and verdicts on Theorem 4.2."
    )
    whole.add_argument("--version", action="version", version=f"tokentree {__version__}")
    commands = whole.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for add in (_add_verify, _add_measure, _add_runs, _add_figures, _add_explore):
        add(commands)
    return whole


def _add_verify(commands: "Commands") -> None:
    command = commands.add_parser(
        "verify",
        help="decide the paper's claims on real text and on Pareto trees",
        description="Decide the paper's claims on text that comes with Python and on synthetic "
        "Pareto trees. Takes a few seconds.",
        epilog="example: tokentree verify --json ledger.json --figures out",
    )
    _add_seed(command)
    command.add_argument("--markdown", type=Path, metavar="PATH", help="write the ledger as a page to PATH")
    command.add_argument(
        "--map", type=Path, metavar="PATH", help="write the map from the paper's sentences to claims to PATH"
    )
    alone = command.add_mutually_exclusive_group()
    alone.add_argument(
        "--claim", metavar="ID", help="decide and print only this claim, with its figures and witness"
    )
    alone.add_argument("--section", metavar="N", help="decide only the claims on this section, such as 4.2")
    command.add_argument(
        "--full", action="store_true", help="print every claim in this way, before the summary"
    )
    _add_results(command)


def _add_measure(commands: "Commands") -> None:
    command = commands.add_parser(
        "measure",
        help="rates, response and Theorem 4.2 for your own data",
        description="Compress three datasets together and decide which way the rates of PRETRAIN and ALIGN "
        "move when PERTURB grows. Each is a file, or a directory that represents all files below it; every "
        "non-empty file is one response, read once; - is standard input.",
        epilog="example: tokentree measure web.txt chat.txt new.txt --depth 16 --figures out",
    )
    for role in ROLES:
        command.add_argument(role, metavar=role.upper(), type=_dataset)
    command.add_argument(
        "--depth",
        type=_depths,
        required=True,
        metavar="D[,D...]",
        help="symbols per block, at least 1; of several numbers, the last is shown in full",
    )
    command.add_argument(
        "--alphabet", choices=["bits", "bytes"], default="bits", help="symbols: bits (default) or bytes"
    )
    command.add_argument("--full", action="store_true", help="print every table")
    _add_results(command)


def _add_runs(commands: "Commands") -> None:
    command = commands.add_parser(
        "runs",
        help="tests and laws of training runs on mixtures, and the best mixture",
        description="Read training runs: the data of every run, and its losses in nats. Test "
        "whether they obey the law of joint compression, fit the token tree to them as their mixing law, and "
        "find the best mixture for a target. Rows are joined on their first column, or on run or "
        "run_id. Without LOSSES.csv the first file has both, and --sizes or --rates selects columns.",
        epilog="example: tokentree runs mixtures.csv losses.csv --target code=2 web=1 --figures out",
    )
    for name, shown in TABLES.items():
        optional = "?" if name == "losses_path" else None
        command.add_argument(name, metavar=shown, type=Path, nargs=optional)
    command.add_argument(
        "--target",
        nargs="+",
        action="extend",
        metavar="NAME=WEIGHT",
        help="losses to minimise, and their weights (default: all equally)",
    )
    for name, what, such in (("sizes", "sizes", "weight_*"), ("rates", "losses", "*_loss")):
        shown = f"columns of {what}, as in '{such}'; may be repeated"
        command.add_argument(f"--{name}", action="append", metavar="PATTERN", help=shown)
    for name, what in (
        ("run", "the names of the runs"),
        ("parameters", "the size of each model"),
        ("tokens", "the number of its training tokens"),
    ):
        command.add_argument(f"--{name}", metavar="COLUMN", help=f"column with {what}")
    chosen = "(default: cross-validated)"
    command.add_argument("--leaves", type=int, metavar="M", help=f"leaves of the law {chosen}")
    command.add_argument("--smoothing", type=float, metavar="S", help=f"prior on the leaves {chosen}")
    command.add_argument(
        "--scales",
        choices=["own", "shared", "stiffness"],
        help=f"one scale per loss, one for all, or one per dataset {chosen}",
    )
    _add_seed(command, "the law's starts and folds")
    _add_results(command)


def _add_figures(commands: "Commands") -> None:
    command = commands.add_parser(
        "figures",
        help="draw the gallery",
        description="Draw every figure of the gallery, from real text and from synthetic Pareto trees, as "
        "PNG by default (--format); the springs also as an animation. Takes less than a minute.",
        epilog="example: tokentree figures --out figures",
    )
    command.add_argument("--out", type=Path, metavar="DIR", required=True, help="output directory")
    _add_format(command)
    _add_seed(command)


def _add_explore(commands: "Commands") -> None:
    command = commands.add_parser(
        "explore",
        help="write the interactive explorer, one page for the browser",
        description="Write one HTML page with sliders for k, l, alpha, overlap and depth; no server needed.",
        epilog="example: tokentree explore --out explorer.html",
    )
    command.add_argument("--out", type=Path, metavar="PATH", required=True, help="page to write")


def _add_format(command: argparse.ArgumentParser) -> None:
    command.add_argument("--format", choices=FORMATS, default="png", help="of figures (default png)")


def _dataset(text: str) -> Path:
    return STANDARD_INPUT if text == "-" else Path(text)


def _depths(text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r}: must be a number, or several as in 4,8,12") from None


def _add_seed(command: argparse.ArgumentParser, of: str = "the synthetic trees") -> None:
    command.add_argument("--seed", type=int, default=0, help=f"seed of {of} (default 0)")


def _add_results(command: argparse.ArgumentParser) -> None:
    command.add_argument("--json", type=Path, metavar="PATH", help="write all results to PATH")
    command.add_argument("--figures", type=Path, metavar="DIR", help="write figures to DIR")
    _add_format(command)
    command.add_argument("--no-progress", action="store_true", help="show no progress bar")
