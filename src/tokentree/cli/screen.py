"""Standard output for people."""

import math
import shutil
from collections.abc import Iterable, Mapping, Sequence
from typing import NoReturn

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.measure import Measurement
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

_DECIMALS = 9
"""With more decimals than this, a column is in powers of ten."""


def aligned(values: Iterable[float], digits: int = 4, *, sign: str = "") -> list[str]:
    """Numbers with equal numbers of decimals, so that their decimal points are aligned.

    There are as many as the smallest number needs for `digits` significant digits.
    """
    numbers = list(values)
    powers = [math.floor(math.log10(abs(x))) for x in numbers if x and math.isfinite(x)]
    decimals = max((digits - 1 - power for power in powers), default=0)
    how = f"{sign},.{max(decimals, 0)}f" if decimals <= _DECIMALS else f"{sign}.{digits - 1}e"
    return [f"{x + 0.0:{how}}" for x in numbers]


class Screen(Console):
    """Standard output on which every digit is visible."""

    def __init__(self) -> None:
        # A pipe or a file has no width, unless the caller sets it.
        super().__init__(width=shutil.get_terminal_size((110, 24)).columns, highlight=False)

    def on_broken_pipe(self) -> NoReturn:
        """Raise, because Rich would end the process with the exit code of a verdict."""
        raise BrokenPipeError

    def table(self, title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        """Print a table of numbers, or a list of them if the table is too wide."""
        rows = list(rows)
        table = Table(
            box=box.SIMPLE_HEAD, title=title, title_justify="left", pad_edge=False, collapse_padding=True
        )
        for name in columns:
            words = name in (columns[0], "role", "signs")
            table.add_column(Text(name), justify="left" if words else "right", no_wrap=True)
        for row in rows:
            table.add_row(*map(Text, row))
        if self.fits(table):
            self.print(table)
            return
        if title:
            self.print(f"[italic]{escape(title)}[/]\n")
        longest = max(map(len, columns[1:]))
        for first, *others in rows:
            self.print(f"{columns[0]} {first}".strip(), markup=False)
            for name, cell in zip(columns[1:], others, strict=True):
                self.print(Padding(Text(f"{name:{longest}}  {cell}"), (0, 0, 0, 2), expand=False))
        self.print()

    def terms(self, meanings: Mapping[str, str]) -> None:
        """Print definitions of words."""
        grid = Table.grid(padding=(0, 2, 0, 0))
        grid.add_column(no_wrap=True, style="italic")
        grid.add_column()
        for word, meaning in meanings.items():
            grid.add_row(Text(word), Text(meaning))
        self.print(Padding(grid, (0, 0, 1, 1)))

    def say(self, text: str) -> None:
        """Print text in which brackets are not markup."""
        self.print(text, markup=False)

    def fits(self, table: Table) -> bool:
        """Whether no cell of the table would be broken."""
        return Measurement.get(self, self.options.update(max_width=10**6), table).maximum <= self.width
