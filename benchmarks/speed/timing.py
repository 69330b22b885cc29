"""Time several sides in turn, measure their peak memory in processes of their own, and lay both out."""

import gc
import math
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

RUN = Path(__file__).parents[1] / "run.py"
DECADES = (2, *(10**i for i in range(1, 8)))
Run = Callable[[], object]
Sides = dict[str, Callable[[], Run]]


class Family(NamedTuple):
    """Several sides that do the same work at several sizes.

    `make` gives for each side a function that prepares its input and returns what is timed. The first side is
    ours; `floors` are not peers but the least that has to be done.
    """

    work: str
    unit: str
    sizes: Sequence[int]
    make: Callable[[int], Sides]
    input_bytes: int
    """Of the input, for each of the units."""
    floors: frozenset[str] = frozenset()


class LeftOut(NamedTuple):
    """The first size at which a side is not measured, and why."""

    size: int
    why: str


class Measured(NamedTuple):
    """Seconds of every side in every round, where it was measured, by size."""

    family: Family
    seconds: dict[int, dict[str, list[float]]]
    left_out: dict[str, LeftOut]


def once(run: Run) -> float:
    gc.collect()
    gc.disable()
    start = time.perf_counter()
    run()
    taken = time.perf_counter() - start
    gc.enable()
    return taken


def repeated(run: Run, number: int) -> float:
    def runs() -> None:
        for _ in range(number):
            run()

    return once(runs) / number


def measure(family: Family, rounds: int, slow: float, known: dict[str, LeftOut]) -> Measured:
    """Time all sides in turn, `rounds` times, at growing sizes.

    A side that took more than `slow` seconds is not measured at larger sizes, nor one that would take twice
    as long, with the making of its input, going by how it grew; `known` are left out already.
    """
    seconds: dict[int, dict[str, list[float]]] = {}
    spent: dict[str, dict[int, float]] = {}
    left_out = dict(known)
    for prepare in family.make(family.sizes[0]).values():
        # Imports are not part of making the input.
        prepare()
    for size in family.sizes:
        seconds[size] = {}
        runs = {}
        for side, prepare in family.make(size).items():
            expected = forecast(size, spent.setdefault(side, {}))
            if expected > 2 * slow:
                left_out.setdefault(side, LeftOut(size, f"about {expected:.0f} s are expected there"))
            if side not in left_out or size < left_out[side].size:
                start = time.perf_counter()
                runs[side] = prepare()
                spent[side][size] = time.perf_counter() - start
        for side, run in list(runs.items()):
            # Caches, lazy imports and the first touch of memory are not what is compared.
            if size <= 10**5:
                try:
                    run()
                except RecursionError:
                    left_out[side] = LeftOut(size, "it recurses deeper than Python allows")
                    del runs[side]
        number = {}
        for turn in range(rounds):
            for side, run in runs.items():
                taken = seconds[size].setdefault(side, [])
                if turn == 0:
                    first = once(run)
                    number[side] = max(1, min(1000, round(0.01 / max(first, 1e-7))))
                    taken.append(first if number[side] == 1 else repeated(run, number[side]))
                elif taken[0] < slow / 2:
                    taken.append(repeated(run, number[side]))
        for side, taken in seconds[size].items():
            spent[side][size] += min(taken)
            if min(taken) > slow:
                left_out.setdefault(side, LeftOut(size + 1, f"{min(taken):.0f} s at {size:,}"))
        del runs
    return Measured(family, seconds, left_out)


def forecast(size: int, seen: dict[int, float]) -> float:
    """Seconds expected at `size` if the last growth goes on, and at least in proportion."""
    if not seen:
        return 0.0
    *_, last = seen
    power = 1.0
    if len(seen) > 1:
        before = list(seen)[-2]
        power = max(1.0, math.log(seen[last] / seen[before]) / math.log(last / before))
    return seen[last] * float(size / last) ** power


def peaks(name: str, sides: Iterable[str], size: int) -> dict[str, int]:
    """Bytes that each side takes at most, beyond its input, each in a fresh process."""
    found = {}
    for side in sides:
        command = [sys.executable, str(RUN), "--peak", name, side, str(size)]
        found[side] = int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return found


def peak(family: Family, side: str, size: int) -> int:
    """Bytes that `side` takes at most, beyond its input and what a first small run leaves behind (Linux)."""
    family.make(100)[side]()()
    run = family.make(size)[side]()
    gc.collect()
    # Sets the high-water mark back to what is in use.
    Path("/proc/self/clear_refs").write_text("5")
    before = status("VmRSS")
    kept = run()
    after = status("VmHWM")
    del kept
    return after - before


def status(key: str) -> int:
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(key))
    return int(line.split()[1]) * 1024


def slope(sizes: Sequence[int], values: Sequence[float]) -> float:
    """Exponent of the power law fitted to the upper half of the sizes, where overheads no longer count."""
    half = slice(len(sizes) // 2 if len(sizes) > 3 else 0, None)
    if len(sizes[half]) < 2:
        return math.nan
    return float(np.polyfit(np.log(sizes[half]), np.log(values[half]), 1)[0])


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table with aligned columns; all but the first are right-aligned."""
    lines = [list(heads), *map(list, rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]

    def line(cells: Sequence[str]) -> str:
        padded = [cell.rjust(width) for cell, width in zip(cells, widths, strict=True)]
        return " | ".join(["| " + cells[0].ljust(widths[0]), *padded[1:]]) + " |"

    return "\n".join([line(heads), line(rule), *(line(row) for row in lines[1:])])


def duration(seconds: float) -> str:
    for unit, factor in (("s", 1.0), ("ms", 1e3), ("us", 1e6)):
        if seconds * factor >= 1 or unit == "us":
            return f"{seconds * factor:.3g} {unit}"
    raise AssertionError


def amount(count: float) -> str:
    unit = 0
    while abs(count) >= 1024 and unit < 3:
        count, unit = count / 1024, unit + 1
    return f"{count:.3g} {('B', 'KiB', 'MiB', 'GiB')[unit]}"


def scaling(families: dict[str, Family], quick: bool, figures: Path) -> None:
    """Tables of all `families`, which have the same sides; of the first, memory and curves too."""
    first, *_ = families
    known: dict[str, LeftOut] = {}
    for name, family in families.items():
        if quick:
            family = family._replace(sizes=[n for n in family.sizes if n <= 10**3])
        measured = measure(family, 2 if quick else 5, 0.1 if quick else 10, known)
        print(comparison(measured), end="\n\n", flush=True)
        if name == first:
            known = measured.left_out
            with_memory(name, measured, max(family.sizes) if quick else 10**4, figures)


def comparing(families: dict[str, Family], quick: bool, figures: Path) -> None:
    """Tables of times alone, of families whose sides differ."""
    for family in families.values():
        if quick:
            family = family._replace(sizes=[n for n in family.sizes if n <= 10**3])
        print(
            comparison(measure(family, 2 if quick else 5, 0.1 if quick else 10, {})), end="\n\n", flush=True
        )


def with_memory(name: str, measured: Measured, least: int, figures: Path) -> None:
    """Peak memory of every side that was timed, as a table and in the figure."""
    family = measured.family
    memory = {
        size: peaks(name, [side for side in sides if side not in family.floors], size)
        for size, sides in measured.seconds.items()
        if size >= least
    }
    rows = [
        [side, f"{size:,}", amount(taken), f"{taken / size / family.input_bytes:.3g}"]
        for size, sides in memory.items()
        for side, taken in sides.items()
    ]
    heads = ["peak memory beyond the input", family.unit, "peak", "times the input"]
    print(table(heads, rows), end="\n\n", flush=True)
    curves(measured, memory, figures / f"bench-{name.split()[0]}.png")


def comparison(measured: Measured) -> str:
    """Ours beside every other side at every size: times, and the ratio with its range over the rounds."""
    rows = []
    for size, sides in measured.seconds.items():
        ours, *others = sides
        for other in others:
            pairs = zip(sides[ours], sides[other] * len(sides[ours]), strict=False)
            ratios = sorted(theirs / mine for mine, theirs in pairs)
            middle = statistics.median(ratios)
            if other in measured.family.floors:
                note = f"{1 / middle:.1f} times this floor"
            elif other.startswith(ours):
                note = "ours too"
            else:
                note = "WE LOSE" if middle < 1 else ""
            rows.append(
                [
                    f"{size:,}",
                    ours,
                    duration(statistics.median(sides[ours])),
                    other,
                    duration(statistics.median(sides[other])),
                    f"{middle:.3g} ({ratios[0]:.3g} to {ratios[-1]:.3g})",
                    note,
                ]
            )
    heads = [measured.family.unit, "ours", "takes", "beside", "takes", "times faster (range)", ""]
    lines = [f"### {measured.family.work}", "", table(heads, rows)]
    lines += [
        f"\n{side}: left out from {size:,} on ({why})." for side, (size, why) in measured.left_out.items()
    ]
    return "\n".join(lines)


def curves(measured: Measured, memory: dict[int, dict[str, int]], path: Path) -> None:
    """Draw time and peak memory against size, log-log, with fitted slopes; readable in grey."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 5.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    family = measured.family
    timed = {
        n: {side: statistics.median(taken) for side, taken in sides.items()}
        for n, sides in measured.seconds.items()
    }
    for axes, points, factor in ((left, timed, 1.0), (right, memory, 2.0**-20)):
        for side, style in styling(measured).items():
            found = {n: at[side] * factor for n, at in points.items() if at.get(side, 0) > 0}
            if found:
                fitted = slope(list(found), list(found.values()))
                name = side if math.isnan(fitted) else f"{side}: slope {fitted:.2f}"
                axes.loglog(list(found), list(found.values()), label=name, **style)
        axes.set_xlabel(family.unit)
        axes.grid(True, which="major", color="0.85", linewidth=0.6)
    if memory:
        sizes = np.array(list(memory))
        right.loglog(sizes, sizes * family.input_bytes / 2**20, color="0.5", linestyle=":", label="the input")
    left.set_ylabel("time (s)")
    right.set_ylabel("peak memory beyond the input (MiB)")
    for axes in (left, right):
        axes.legend(fontsize=8, frameon=False, ncols=2, loc="upper center", bbox_to_anchor=(0.5, -0.14))
    figure.suptitle(measured.family.work)
    figure.savefig(path, dpi=110)


def styling(measured: Measured) -> dict[str, dict[str, Any]]:
    """Lines told apart by marker and dash as well as by shade; ours are black and solid, floors dotted."""
    sides = list(dict.fromkeys(side for at in measured.seconds.values() for side in at))
    markers, dashes = (
        iter("sD^vPX*"),
        iter(["--", "-.", (0, (5, 1)), (0, (1, 1)), (0, (3, 1, 1, 1, 1, 1))] * 2),
    )
    floors = iter("x+1")
    shades = iter(["0.25", "0.4", "0.5", "0.6", "0.35", "0.55"] * 2)
    styles: dict[str, dict[str, Any]] = {}
    for side in sides:
        if side in measured.family.floors:
            styles[side] = {"color": "0.6", "linestyle": ":", "marker": next(floors), "ms": 5}
        elif side == sides[0]:
            styles[side] = {"color": "black", "linestyle": "-", "marker": "o", "linewidth": 2}
        elif side.startswith(sides[0].split()[0]):
            styles[side] = {
                "color": "black",
                "linestyle": "--",
                "marker": "o",
                "mfc": "white",
                "linewidth": 1.4,
            }
        else:
            styles[side] = {
                "color": next(shades),
                "linestyle": next(dashes),
                "marker": next(markers),
                "ms": 5,
            }
    return styles
