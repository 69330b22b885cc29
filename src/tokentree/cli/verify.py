"""``tokentree verify``: the ledger on the terminal."""

import argparse
import sys
from collections import Counter

from rich import box
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from .. import claims
from ..claims import Finding, Ledger, Verdict, as_json, shown
from .screen import Screen
from .writing import draw, write

_STYLES = {
    Verdict.HOLDS: "green",
    Verdict.IN_A_LIMIT: "yellow",
    Verdict.UNDER_A_CONDITION: "yellow",
    Verdict.FAILS: "red",
    Verdict.UNDECIDED: "magenta",
}

_PAGE = """\
# The ledger

Every claim of the paper that the library decides, with its grounds, figures and witness. This page is written
by `tokentree verify --markdown docs/ledger.md`; figures of the text corpora depend on the Python that ran it.
Lengths are in bits per block unless a figure says otherwise.

"Machine-checked" names the theorems that Coq has checked and that a finding, or a part of its proof, rests
on: `File.theorem` is in `docs/proofs/File.v`. Theorems about signs define $\\gamma_i' = n_a R_{it}$ with
$R_{it} = (1 - S_{it}) / T$; that $R_{it}$ is $\\partial \\gamma_i / \\partial n_t$ is
`RateDerivatives.rate_derivative`.

"""

_MAP = """\
# The map of the paper

Every sentence of the paper that can be checked, as a review of it has them and in our words, by section, with
the claims that decide it. In section 5 "fails" says that token trees, or the models tried here, do not show
what the paper measured on others. This page is written by `tokentree verify --map docs/paper-map.md`.

"""

_WIDE = 100
"""Smallest width at which a ledger has room for reasons next to verdicts."""


def verify(options: argparse.Namespace) -> int:
    """Decide the claims, write the requested files, and print the results."""
    names = list(claims.BY_ID)
    if options.claim not in (None, *names):
        listed = "\n  ".join(name for name in names if options.claim in name) or "\n  ".join(names)
        raise ValueError(f"--claim {options.claim}: must be one of\n  {listed}")
    chosen = None if options.claim is None else [options.claim]
    if options.section is not None:
        chosen = list(claims.in_section(options.section))
    if options.map is not None and chosen is not None:
        raise ValueError("--map: cannot be combined with --claim or --section, because it needs every claim")
    shown = not options.no_progress and sys.stderr.isatty()
    ledger = claims.verify(options.seed, shown, chosen)
    contents = {}
    if options.json is not None:
        contents[options.json] = as_json(ledger)
    if options.markdown is not None:
        contents[options.markdown] = (_PAGE + ledger.to_markdown()).encode()
    if options.map is not None:
        contents[options.map] = (_MAP + claims.as_map(ledger)).encode()
    drawn = {}
    if options.figures is not None:
        from . import figures

        drawn = draw(options.figures, figures.gallery(ledger.seed), shown, options.format)
    write(contents, drawn)
    screen = Screen()
    for finding in ledger:
        if options.full or options.claim is not None:
            _print_finding(screen, finding)
    if options.claim is None:
        _print_summary(screen, ledger)
    return 0 if ledger.decided else 1


def _print_finding(screen: Screen, finding: Finding) -> None:
    style = _STYLES[finding.verdict]
    screen.print(f"[bold]{finding.id}[/]  ({finding.where})  [bold {style}]{finding.verdict}[/]")
    screen.print(f"  {escape(finding.claim)}", style="italic")
    screen.print(f"  {escape(finding.reason)}")
    if finding.charitable:
        screen.print(f"  Read charitably: {escape(finding.charitable)}")
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


def _print_summary(screen: Screen, ledger: Ledger) -> None:
    table = Table(box=box.SIMPLE_HEAD, title="The ledger", title_justify="left")
    for name in ("claim", "verdict", "rests on"):
        table.add_column(name, no_wrap=True)
    table.add_column("in short")
    for finding in ledger:
        verdict = Text(finding.verdict, _STYLES[finding.verdict])
        table.add_row(finding.id, verdict, finding.basis.partition(" ")[0], Text(finding.short))
    if screen.width >= _WIDE:
        screen.print(table)
    else:
        screen.print("[italic]The ledger[/]\n")
        for finding in ledger:
            shown_verdict = (finding.verdict, _STYLES[finding.verdict])
            screen.print(Text.assemble(finding.id, "  ", shown_verdict, f" ({finding.basis})"))
            screen.print(Padding(Text(finding.short), (0, 0, 0, 4), expand=False))
        screen.print()
    counts = Counter(str(finding.verdict) for finding in ledger)
    screen.say(f"Verdicts: {', '.join(f'{n} {verdict}' for verdict, n in counts.most_common())}.")
    screen.print("Reasons, figures and witnesses: tokentree verify --claim ID, or --full")
