"""The table of errors.

    python -m benchmarks.accuracy              print it, with the errors at 10^7 leaves
    python -m benchmarks.accuracy --small      leave those out
    python -m benchmarks.accuracy --markdown   rewrite docs/accuracy.csv, and the table of docs/accuracy.md

A minute.
"""

import argparse

from . import rows
from .table import HEADINGS, cells, write_page


def main() -> None:
    parser = argparse.ArgumentParser("python -m benchmarks.accuracy", description=__doc__.splitlines()[0])
    parser.add_argument("--small", action="store_true", help="leave out 10^7 leaves")
    parser.add_argument("--markdown", action="store_true", help="rewrite docs/accuracy.csv and .md")
    asked = parser.parse_args()
    found = rows(not asked.small, progress=True)
    table = [HEADINGS, *([cell.strip("`") for cell in cells(r)] for r in found)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for line in table:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
    if asked.markdown:
        write_page(found)


if __name__ == "__main__":
    main()
