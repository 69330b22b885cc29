"""The tables that `run.py` prints, a file for each kind of work."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from . import coders, coding, exact, huffman, measures, mixtures, startup, tails, threads, trees
from .timing import comparing, scaling

FAMILIES = huffman.FAMILIES | trees.FAMILIES | measures.FAMILIES | mixtures.RESPONSE | mixtures.VERDICT
PARTS: dict[str, Callable[[bool, Path], None]] = {
    "huffman": partial(scaling, huffman.FAMILIES),
    "many": partial(comparing, huffman.MANY),
    "coders": partial(comparing, coders.FAMILIES),
    "trees": partial(scaling, trees.FAMILIES),
    "strings": partial(comparing, trees.STRINGS),
    "prefixes": partial(comparing, trees.PREFIXES),
    "measures": partial(scaling, measures.FAMILIES),
    "response": partial(scaling, mixtures.RESPONSE),
    "verdict": partial(scaling, mixtures.VERDICT),
    "exact": exact.print_table,
    "tails": tails.print_table,
    "coding": coding.print_table,
    "threads": threads.print_table,
    "startup": startup.print_table,
}
"""Each prints its tables, quick or in full, and leaves its figures in a folder."""
