"""The main work beside its peers, in one run: tables of ratios, and curves of time and memory against size.

    python benchmarks/run.py [--quick] [--only PART ...] [--figures FOLDER]

Ours and the peers work on the same data in turn, so that both meet the same machine; a ratio is the median
over the rounds, with the smallest and the largest beside it. A first run, untimed, warms both up. Peers that
take more than ten seconds are not asked for more, and the table says so. A machine with nothing else to do
gives the narrowest ranges.
"""

import argparse
import sys
import time
from pathlib import Path

from speed import FAMILIES, PARTS
from speed.timing import peak

FIGURES = Path(__file__).parent.parent / "docs" / "figures"


def main() -> None:
    if sys.argv[1:2] == ["--peak"]:
        name, side, size = sys.argv[2:]
        print(peak(FAMILIES[name], side, int(size)))
        return
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="small sizes only, in about a minute")
    parser.add_argument("--only", nargs="+", choices=list(PARTS), default=list(PARTS), metavar="PART")
    parser.add_argument("--figures", type=Path, default=FIGURES, help="where the figures go")
    given = parser.parse_args()
    given.figures.mkdir(parents=True, exist_ok=True)
    start = time.perf_counter()
    for part in given.only:
        PARTS[part](given.quick, given.figures)
    print(f"In {time.perf_counter() - start:.0f} s altogether.")


if __name__ == "__main__":
    main()
