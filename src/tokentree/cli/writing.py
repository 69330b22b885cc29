"""Output files of a command, written all together after the work."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from .._lib.archives import replacing
from .console import say
from .outputs import in_format

if TYPE_CHECKING:
    from .figures import Picture


def write(contents: Mapping[Path, bytes], drawn: Mapping[Path, bytes]) -> None:
    """Write all files, or none."""
    every = {**contents, **drawn}
    for folder in {path.parent for path in drawn}:
        Path(os.path.realpath(folder)).mkdir(parents=True, exist_ok=True)
    with replacing(*every) as files:
        for file, content in zip(files, every.values(), strict=True):
            file.write(content)
    for path in drawn:
        say(f"drawn: {path}")


def draw(folder: Path, pictures: "Mapping[str, Picture]", progress: bool, format: str) -> dict[Path, bytes]:
    """Figures by their paths."""
    from . import figures

    named = {in_format(name, format): picture for name, picture in pictures.items()}
    return {folder / name: content for name, content in figures.draw(named, progress).items()}
