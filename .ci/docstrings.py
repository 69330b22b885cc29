"""Check the docstrings of all that is public with numpydoc's validator; for `make lint`."""

import inspect
import pkgutil
import re
import sys
from collections.abc import Iterator
from importlib import import_module

from numpydoc.validate import ERROR_MSGS, validate

import tokentree

# Types stand in signatures, and say all of some arguments and results (PR04, PR06, PR07, RT03). Symbols begin
# sentences in the case that they have (PR08, RT04, SS02). What returns a thing is described by the thing
# (SS05). Not everything needs an extended summary, an example or a reference to others (ES01, EX01, SA01).
EXCEPT = {"PR04", "PR06", "PR07", "RT03", "PR08", "RT04", "SS02", "SS05", "ES01", "EX01", "SA01"}


def public() -> Iterator[tuple[str, object]]:
    """All names of the faces, and of their classes the methods and properties."""
    wings = [each.name for each in pkgutil.iter_modules(tokentree.__path__) if not each.name.startswith("_")]
    seen = set()
    for face in ["tokentree", *(f"tokentree.{wing}" for wing in wings)]:
        module = import_module(face)
        for name in getattr(module, "__all__", ()):
            found = getattr(module, name)
            if not (inspect.isclass(found) or inspect.isroutine(found)) or found in seen:
                continue
            seen.add(found)
            yield f"{face}.{name}", found
            members = vars(found) if inspect.isclass(found) else {}
            for member, value in members.items():
                static = isinstance(value, property | classmethod | staticmethod)
                if not member.startswith("_") and (static or inspect.isroutine(value)):
                    yield f"{face}.{name}.{member}", value


def not_asked(found: object) -> set[str]:
    """What is not asked of this one."""
    text = inspect.getdoc(found) or ""
    described = "Parameters\n---" in text
    # A class of results is made by the library; its attributes are described.
    if inspect.isclass(found):
        return set() if described else {"PR01"}
    # One sentence may say all.
    if "\n" not in text:
        return {"PR01", "RT01"}
    elsewhere = re.search(r"Parameters\b[^.]* (those of|as for|as in) ", text)
    return {"PR01"} if elsewhere and not described else set()


def main() -> int:
    """Print what is wrong, a line each."""
    wrong = 0
    for name, value in public():
        found = validate(name)
        for code, message in found["errors"]:
            if code not in EXCEPT | not_asked(value):
                print(f"{found['file']}:{found['file_line']}: {name}: {code} {message}")
                wrong += 1
    return bool(wrong)


if __name__ == "__main__":
    assert not EXCEPT - ERROR_MSGS.keys()
    sys.exit(main())
