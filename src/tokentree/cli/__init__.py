"""The command ``tokentree``."""

from .command import main

__all__ = ["main"]
