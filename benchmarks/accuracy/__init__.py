"""Largest relative error of every public numeric function over hard inputs, against exact arithmetic.

References are Fractions where the value is rational and mpmath with 60 digits where it is not, straight from
the definitions. 10^7 leaves are 10^3 different ones, each 10^4 times and in random order: references count
them, and so are exact there too. Seeds are fixed.
"""

import time
from collections.abc import Callable, Iterator

import mpmath

from .alignment import alignment_rows
from .codes import code_rows
from .information import information_rows, large_information_rows
from .mixtures import large_mixture_rows, mixture_rows
from .models import model_rows
from .pareto import pareto_rows, tail_rows
from .springs import flow_rows, spring_rows
from .table import DIGITS, Row
from .theorem import theorem_rows
from .training import training_rows

EXACT = {
    "EOS, REST, Leaf, LeafKind, Leaves": "symbols, and a tree's leaves as they are",
    "read_along, read_model": "a model's own numbers, divided by the sums of their rows",
    "BlockCodec, arithmetic_decode, arithmetic_encode": "lossless: integers in, the same integers out",
    "Finding, Ledger, Verdict, verify": "verdicts, decided by the functions above",
    "Explorer, explore, explorer_mixture, write_explorer": "integer rows that `Mixture` takes, and pictures",
    "published_form, three_dataset_form": "integer rows and exact sizes",
    "AlignmentBudget, DepthCurve, Elasticity, HookeInvariant, ModelRates, ModelledDepth, "
    "ParetoAsymptotics, ParetoConvergence, ParetoLimit, PublishedDerivatives, "
    "Rebound, ReboundFactor, Resistance, ResponseCurve, "
    "SignMap, TailComparison, TailFit, UnexpandedBounds, ChainMotion, ChainState": "results of the functions "
    "above, measured with them",
}
"""Public names that have no error of their own, and why."""


Group = Callable[[], Iterator[Row]]
GROUPS: tuple[Group, ...] = (
    information_rows,
    code_rows,
    mixture_rows,
    theorem_rows,
    model_rows,
    pareto_rows,
    tail_rows,
    spring_rows,
    flow_rows,
    alignment_rows,
    training_rows,
)
LARGE: tuple[Group, ...] = (large_information_rows, large_mixture_rows)


def rows(large: bool = True, progress: bool = False) -> list[Row]:
    """All rows of the table, in the order of functions."""
    found: list[Row] = []
    with mpmath.workdps(DIGITS):
        for group in (*GROUPS, *(LARGE if large else ())):
            start = time.perf_counter()
            found += group()
            if progress:
                print(f"  {len(found)} rows, {time.perf_counter() - start:.1f} s", flush=True)
    places = {name: i for i, name in enumerate(dict.fromkeys(r.function for r in found))}
    return sorted(found, key=lambda r: places[r.function])
