"""The command ``tokentree``."""

from .command import main

__all__ = ["main"]
__dir__ = __all__.copy
