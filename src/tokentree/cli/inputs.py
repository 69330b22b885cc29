"""The datasets that a command is given."""

import argparse
from pathlib import Path

ROLES = ("pretrain", "align", "perturb")


def given(options: argparse.Namespace) -> dict[str, Path]:
    """The file or directory of every dataset, by its role."""
    return {role: path for role in ROLES if (path := getattr(options, role, None)) is not None}


def files(path: Path, role: str) -> list[Path]:
    """The file, or all files below the directory, in the order of their names."""
    if not path.exists():
        raise ValueError(f"{role.upper()} = {str(path)!r}: no such file or directory")
    if not path.is_dir():
        return [path]
    found = sorted(file for file in path.rglob("*") if file.is_file() and file.stat().st_size)
    if not found:
        raise ValueError(f"{role.upper()} = {str(path)!r} is a directory without files that hold anything")
    return found
