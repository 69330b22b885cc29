"""The programs that demonstrate findings independently, each a file that runs as it is."""

import re
from importlib import resources


def witness(claim: str) -> str:
    """The program in the claim's file, with the function it imports from ``excess.py`` written out."""
    folder = resources.files(__package__) / "witnesses"
    program = (folder / f"{re.sub(r'[/.]', '_', claim)}.py").read_text(encoding="utf-8")
    shared = (folder / "excess.py").read_text(encoding="utf-8")
    return re.sub(r"^from excess import .*\n", lambda _: shared, program, flags=re.MULTILINE)
