"""Standard output as people read it."""

import shutil
from collections.abc import Iterable, Sequence
from typing import NoReturn

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.measure import Measurement
from rich.padding import Padding
from rich.table import Table
from rich.text import Text


class Screen(Console):
    """Standard output, on which every digit is seen."""

    def __init__(self) -> None:
        # A pipe or a file has no width of its own, unless the caller says so.
        super().__init__(width=shutil.get_terminal_size((110, 24)).columns, highlight=False)

    def on_broken_pipe(self) -> NoReturn:
        """Raise, where Rich would end the process with the exit code of a verdict."""
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
