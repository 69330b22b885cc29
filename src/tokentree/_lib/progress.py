"""Progress on the terminal, for work that takes more than about two seconds."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

Item = TypeVar("Item")


def tracked(items: Sequence[Item], doing: str, show: bool) -> Iterable[Item]:
    """`items`, with a progress bar on stderr while they are gone through if `show`."""
    if not show:
        # A bar that is only disabled would still print an empty line in older releases of Rich.
        return items
    from rich.console import Console
    from rich.progress import track

    return track(items, doing, console=Console(stderr=True), transient=True)


_PATIENCE = 2.0
"""Seconds before a read shows its progress."""


@contextmanager
def counter(show: bool) -> Iterator[Callable[[int], None]]:
    """A line on stderr that counts prefixes, once a read takes long."""
    begun, bar = time.monotonic(), None

    def update(read: int) -> None:
        nonlocal bar
        if bar is None and show and time.monotonic() - begun > _PATIENCE:
            from rich.console import Console
            from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

            columns = SpinnerColumn(), TextColumn("{task.completed} prefixes read"), TimeElapsedColumn()
            bar = Progress(*columns, console=Console(stderr=True), transient=True)
            bar.add_task("", total=None)
            bar.start()
        if bar is not None:
            bar.update(bar.task_ids[0], completed=read)

    try:
        yield update
    finally:
        if bar is not None:
            bar.stop()
