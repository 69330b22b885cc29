"""Messages other than results."""

import contextlib
import sys


def say(line: str) -> None:
    """Print the line to standard error, if it is open."""
    with contextlib.suppress(OSError):
        print(line, file=sys.stderr)
