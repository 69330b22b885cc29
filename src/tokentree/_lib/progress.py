"""Progress on the terminal, for work that takes more than about two seconds."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from rich.progress import Progress, ProgressColumn

Item = TypeVar("Item")


def bar(*columns: "ProgressColumn", show: bool = True) -> "Progress":
    """A transient bar on stderr, with Rich's default columns unless others are given."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    # In a notebook Rich draws by ipywidgets, and without them would leave a warning in the output.
    drawn = not console.is_jupyter or find_spec("ipywidgets") is not None
    return Progress(*columns, console=console, transient=True, disable=not (show and drawn))


def tracked(items: Sequence[Item], doing: str, show: bool) -> Iterator[Item]:
    """`items`, with a progress bar on stderr during iteration if `show`."""
    if not show:
        # A disabled bar would still print an empty line in older releases of Rich.
        yield from items
        return
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn

    # No time to go: items take from milliseconds to seconds each.
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    with bar(*columns) as progress:
        yield from progress.track(items, description=doing)


_PATIENCE = 2.0
"""Seconds before a counter appears."""


@contextmanager
def counter(show: bool, saying: str = "{task.completed} prefixes read") -> Iterator[Callable[[float], None]]:
    """A line on stderr with a running number, shown once the work takes long."""
    begun, shown = time.monotonic(), None

    def update(number: float) -> None:
        nonlocal shown
        if shown is None and show and time.monotonic() - begun > _PATIENCE:
            from rich.progress import SpinnerColumn, TextColumn, TimeElapsedColumn

            shown = bar(SpinnerColumn(), TextColumn(saying), TimeElapsedColumn())
            shown.add_task("", total=None)
            shown.start()
        if shown is not None:
            shown.update(shown.task_ids[0], completed=number)

    try:
        yield update
    finally:
        if shown is not None:
            shown.stop()
