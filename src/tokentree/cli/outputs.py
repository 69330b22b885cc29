"""Output files of a command, checked before the work."""

import argparse
import contextlib
import os
import stat
import sys
from collections.abc import Collection, Iterator
from itertools import chain
from pathlib import Path

from .inputs import given

MEASURED_PICTURES = ("rates.png", "rate-changes.png", "overlap.png")
"""The figures of ``tokentree measure``."""

DEPTHS_PICTURE = "depths.png"
"""The additional figure if there are several depths."""

RUNS_PICTURES = ("predictions.png", "response.png", "best-sizes.png", "regret.png")
"""The figures of ``tokentree runs``."""

FORMATS = ("pdf", "png", "svg")
"""Formats of figures."""

_Identity = tuple[int, int] | Path


def check(options: argparse.Namespace) -> None:
    """Refuse outputs that cannot be written, or that would overwrite an input or each other."""
    inputs = {_identity(path) for path in chain(given(options).values(), *options.files)}
    taken = _printed()
    if not inputs.isdisjoint(taken):
        raise ValueError("standard output: would overwrite the data to be measured")
    for option, folder, path in _outputs(options):
        what, real = f"{option} {folder or path}", Path(os.path.realpath(path))
        if not inputs.isdisjoint(map(_identity, (real, *real.parents))):
            raise ValueError(f"{what}: {path} would overwrite, or be among, the data to be measured")
        _check_kind(option, folder, path)
        # A device or a pipe may be given twice.
        if path.is_file() or not path.exists():
            other = taken.setdefault(_identity(real), option)
            if other != option:
                raise ValueError(f"{what}: {path} is the same file as that of {other}")
        _check_writable(what, path, real)


def _identity(path: Path) -> _Identity:
    """A key shared by all names of one file; a future file has only its name."""
    try:
        found = path.stat()
    except OSError:
        return path
    return found.st_dev, found.st_ino


def _printed() -> dict[_Identity, str]:
    """The file to which standard output is written, if it is one."""
    with contextlib.suppress(OSError):
        found = os.fstat(sys.stdout.fileno())
        if stat.S_ISREG(found.st_mode):
            return {(found.st_dev, found.st_ino): "standard output"}
    return {}


def _outputs(options: argparse.Namespace) -> Iterator[tuple[str, Path | None, Path]]:
    """Every file that will be written: the option that requests it, its directory if given, and its path."""
    for name in ("json", "markdown", "figures", "out"):
        path: Path | None = getattr(options, name, None)
        if path is None:
            continue
        if name == "figures" or options.command == "figures":
            yield from (
                (f"--{name}", path, path / in_format(picture, options.format))
                for picture in _pictures(options)
            )
        else:
            yield f"--{name}", None, path


def in_format(name: str, format: str) -> str:
    """A figure's file name in the given format; animations keep theirs."""
    return f"{name.removesuffix('.png')}.{format}" if name.endswith(".png") else name


def _pictures(options: argparse.Namespace) -> Collection[str]:
    if options.command == "measure":
        return [*MEASURED_PICTURES, *[DEPTHS_PICTURE] * (len(options.depth) > 1)]
    if options.command == "runs":
        return RUNS_PICTURES
    from . import figures

    return figures.gallery().keys()


def _check_kind(option: str, folder: Path | None, path: Path) -> None:
    what = f"{option} {folder or path}"
    if folder is not None and not folder.is_dir() and (format := folder.suffix[1:].lower()) in FORMATS:
        meant = f"{option} {folder.with_suffix('')} --format {format}"
        raise ValueError(f"{what}: must be a directory; for {format.upper()} files write {meant}")
    if folder is not None and folder.exists() and not folder.is_dir():
        raise ValueError(f"{what}: is a file, must be a directory")
    if folder is None and (path.is_dir() or not path.parent.is_dir()):
        raise ValueError(f"{what}: must be a file in a directory that exists")


def _check_writable(what: str, path: Path, real: Path) -> None:
    from .._lib.archives import probe

    # A new directory can be made where a file could.
    place = path if path.exists() else next(each for each in real.parents if each.exists()) / real.name
    try:
        probe(place)
    except OSError as error:
        raise ValueError(f"{what}: cannot be written: {error.strerror}") from None
