"""The datasets or tables given to a command."""

import argparse
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

ROLES = ("pretrain", "align", "perturb")

STANDARD_INPUT = Path("/dev/stdin")
"""The path meant by -."""

_LONGEST = 30
"""Largest number of characters of a name in a table."""

_HEAD = 4096
"""Bytes at the beginning of a file that identify its format."""

_COMPRESSED = {
    b"\x1f\x8b": "gzip",
    b"PK\x03\x04": "zip",
    b"(\xb5/\xfd": "zstd",
    b"\xfd7zXZ\x00": "xz",
    b"BZh": "bzip2",
}

TABLES = {"sizes_path": "SIZES.csv", "losses_path": "LOSSES.csv"}
"""Names of the tables in the usage of `tokentree runs`."""


def given(options: argparse.Namespace) -> dict[str, Path]:
    """The file or directory of every dataset or table, by its name in the usage."""
    called = {role: role.upper() for role in ROLES} | TABLES
    return {
        shown: path for name, shown in called.items() if (path := getattr(options, name, None)) is not None
    }


def files(path: Path, called: str) -> list[Path]:
    """The file, or all files below the directory, in order of their names."""
    if not path.exists():
        raise ValueError(f"{called} = {str(path)!r}: no such file or directory")
    if not path.is_dir():
        return [path]
    if called in TABLES.values():
        raise ValueError(f"{called} = {str(path)!r} is a directory: must be one file")
    found = sorted(file for file in path.rglob("*") if file.is_file() and file.stat().st_size)
    if not found:
        raise ValueError(f"{called} = {str(path)!r} is a directory without non-empty files")
    return found


def labels(paths: Sequence[Path]) -> list[str]:
    """Names of the datasets on screen and in figures: the shortest names that differ."""
    short = [
        _printable("standard input" if path == STANDARD_INPUT else path.name or str(path)) for path in paths
    ]
    named = [f"{name} ({role})" for name, role in zip(short, ROLES, strict=True)]
    for names in (short, [_printable(str(path)) for path in paths]):
        if len(set(names)) == len(names):
            return names
    return named


def _printable(name: str) -> str:
    # Whatever the name of a file, a line on the screen remains one line.
    shown = "".join(each if each.isprintable() else ascii(each)[1:-1] for each in name)
    return shown if len(shown) <= _LONGEST else f"…{shown[1 - _LONGEST :]}"


def hints(label: str, files: Sequence[Path]) -> list[str]:
    """Notes on inputs that are probably unintended: compressed files, or UTF-16."""
    found = Counter(
        kind for file in files if file.is_file() and file != STANDARD_INPUT and (kind := _kind(file))
    )
    some = "" if len(files) == 1 else f"{{}} of the {len(files):,} files of "
    return [f"{some.format(f'{count:,}')}{label}: {kind}." for kind, count in found.items()]


def _kind(file: Path) -> str | None:
    with open(file, "rb") as opened:
        head = opened.read(_HEAD)
    for magic, name in _COMPRESSED.items():
        if head.startswith(magic):
            return f"compressed ({name}), so that its bytes look random; decompress it first"
    if head.startswith((b"\xff\xfe", b"\xfe\xff")) or 4 * head.count(0) > len(head):
        return "has a byte order mark or many NUL bytes, like UTF-16; convert it to UTF-8 first"
    return None
