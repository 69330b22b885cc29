"""Files that a command writes: whether it may, before the work, and all of them after it."""

import argparse
import os
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from .._lib.archives import replacing
from .console import _say

if TYPE_CHECKING:
    from .figures import Picture

_RESPONSE = "response.png"


def _identity(path: Path) -> tuple[int, int] | Path:
    """What two names of one file have in common; a file to come has nothing but its name."""
    try:
        found = path.stat()
    except OSError:
        return path
    return found.st_dev, found.st_ino


def _outputs(options: argparse.Namespace) -> Iterator[tuple[str, Path | None, Path]]:
    """Every file that will be written: the option that asks for it, its directory if that is given, path."""
    for name in ("json", "markdown", "figures", "out"):
        path: Path | None = getattr(options, name, None)
        if path is None:
            continue
        if name == "figures" or options.command == "figures":
            yield from ((f"--{name}", path, path / picture) for picture in _pictures(options))
        else:
            yield f"--{name}", None, path


def _pictures(options: argparse.Namespace) -> Collection[str]:
    if options.command == "measure":
        return [_RESPONSE]
    from . import figures

    return figures.gallery().keys()


def _write(contents: Mapping[Path, bytes], drawn: Mapping[Path, bytes]) -> None:
    """Write all files, or none."""
    every = {**contents, **drawn}
    for folder in {path.parent for path in drawn}:
        Path(os.path.realpath(folder)).mkdir(parents=True, exist_ok=True)
    with replacing(*every) as files:
        for file, content in zip(files, every.values(), strict=True):
            file.write(content)
    for path in drawn:
        _say(f"drawn: {path}")


def _draw(folder: Path, pictures: "Mapping[str, Picture]", progress: bool) -> dict[Path, bytes]:
    """Figures by the path that they are for."""
    from . import figures

    return {folder / name: content for name, content in figures.draw(pictures, progress).items()}
