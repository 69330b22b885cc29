"""The datasets, or tables, that a command is given."""

import argparse
from pathlib import Path

ROLES = ("pretrain", "align", "perturb")

TABLES = {"sizes_path": "SIZES.csv", "losses_path": "LOSSES.csv"}
"""What the tables of `tokentree runs` are called in its usage."""


def given(options: argparse.Namespace) -> dict[str, Path]:
    """The file or directory of every dataset or table, by what the usage calls it."""
    called = {role: role.upper() for role in ROLES} | TABLES
    return {
        shown: path for name, shown in called.items() if (path := getattr(options, name, None)) is not None
    }


def files(path: Path, called: str) -> list[Path]:
    """The file, or all files below the directory, in the order of their names."""
    if not path.exists():
        raise ValueError(f"{called} = {str(path)!r}: no such file or directory")
    if not path.is_dir():
        return [path]
    if called in TABLES.values():
        raise ValueError(f"{called} = {str(path)!r} is a directory: must be one file")
    found = sorted(file for file in path.rglob("*") if file.is_file() and file.stat().st_size)
    if not found:
        raise ValueError(f"{called} = {str(path)!r} is a directory without files that hold anything")
    return found
