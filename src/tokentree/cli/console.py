"""What is said beside the results."""

import contextlib
import sys


def say(line: str) -> None:
    """Print the line to standard error, if anybody listens."""
    with contextlib.suppress(OSError):
        print(line, file=sys.stderr)
