"""Hypothesis strategies for property-based tests of the theory: data of every kind in it.

Hypothesis draws data from these until a property fails, and then shrinks the counterexample: towards few
datasets, few leaves, short responses, small integers and sizes of 1. So a counterexample is a mixture that
fits on a line.

All draws are valid: `Mixture` or `TokenTree` accepts them. Rows and sizes are lists, which Hypothesis reports
in a form that can be pasted into a test.

    from hypothesis import given
    from tokentree.strategies import mixtures

    @given(mixtures(n_datasets=3))
    def test_my_property(mixture): ...

Needs Hypothesis: ``pip install hypothesis``, or the extra ``strategies``. Import it by name.
"""

import inspect
import math
import random
from collections.abc import Callable
from fractions import Fraction
from functools import wraps
from typing import Any, Literal, ParamSpec, TypeVar

from ._lib import checks
from .mixtures import SIZE_RANGE, Mixture
from .pareto import ALPHA_RANGE, ParetoMass
from .trees import TokenTree

try:
    from hypothesis import strategies as st
except ImportError as error:
    raise ImportError("tokentree.strategies needs hypothesis: pip install hypothesis") from error

__all__ = ["distributions", "mixtures", "pareto_masses", "size_vectors", "token_trees"]
__dir__ = __all__.copy

Kind = Literal["counts", "fractions", "floats"]

Overlap = Literal["any", "shared", "disjoint"]

_LARGEST_COUNT = 10**6

_SMALLEST_MASS = 2.0**-1000
"""Range before normalising, so that masses are normal float64 numbers."""


_P = ParamSpec("_P")
_T = TypeVar("_T")


def _says_its_arguments(strategy: Callable[_P, _T]) -> Callable[_P, _T]:
    """Let the error for an unknown argument name those that there are."""
    known = list(inspect.signature(strategy).parameters)

    @wraps(strategy)
    def call(*args: _P.args, **kwargs: _P.kwargs) -> _T:
        for name in kwargs:
            if name not in known:
                meant = [each for each in known if name in each.split("_")] or known
                rule = f"must be {' or '.join(meant)}"
                raise TypeError(f"{strategy.__name__} has no argument {name!r}: {rule}")
        return strategy(*args, **kwargs)

    return call


@_says_its_arguments
def distributions(
    n_leaves: int | None = None,
    *,
    min_leaves: int = 1,
    max_leaves: int = 8,
    kind: Kind = "floats",
    zeros: bool = True,
) -> st.SearchStrategy[list[Any]]:
    """Distributions over leaves.

    Parameters
    ----------
    n_leaves : int, optional
        Number M of leaves. Default: from `min_leaves` to `max_leaves`.
    min_leaves, max_leaves : int
        Bounds on M where `n_leaves` is not given; the first at least 1.
    kind : {"floats", "fractions", "counts"}
        Floats sum to 1 within rounding, and reach from 1 down to about 2^-1000. Fractions sum to 1 exactly.
        Counts are integers up to 10^6, to be divided by their total.
    zeros : bool
        Whether leaves without mass are allowed; at least one leaf has mass.

    Returns
    -------
    strategy of lists of M numbers
        Shrinks towards few leaves and small counts, or ratios of small counts.

    Raises
    ------
    ValueError, TypeError
        If a number of leaves is not an integer or out of order, or the kind is unknown.

    Notes
    -----
    Leaf distributions of the token trees of Definition 3.1, without the trees.

    Examples
    --------
    >>> from hypothesis import find
    >>> find(distributions(), lambda p: len(p) > 1)
    [1.0, 0.0]
    >>> find(distributions(3, kind="counts", zeros=False), lambda counts: sum(counts) > 5)
    [1, 1, 4]
    """
    least, most = _bounds("leaves", n_leaves, min_leaves, max_leaves)
    return _row(st.lists(_entries(kind, zeros), min_size=least, max_size=most), kind)


@_says_its_arguments
def size_vectors(n: int, max_ratio: int = 10**12) -> st.SearchStrategy[list[int]]:
    """Sizes |D_i| of n datasets.

    Parameters
    ----------
    n : int
        Number of datasets, at least 1.
    max_ratio : int
        Largest ratio of two sizes; from 1 to 2^200.

    Returns
    -------
    strategy of lists of n ints
        From 1 to `max_ratio`, similar in some draws and of very different magnitudes in others. Rates depend
        only on ratios of sizes, and integers give every rational ratio. Shrinks towards all 1.

    Raises
    ------
    ValueError, TypeError
        If `n` or `max_ratio` is not an integer in its range.

    Examples
    --------
    >>> from hypothesis import find
    >>> find(size_vectors(3), lambda sizes: sizes[0] >= 1000 * sizes[1])
    [1000, 1, 1]
    """
    n = checks.integer("n", n, 1)
    max_ratio = checks.integer("max_ratio", max_ratio, 1)
    if max_ratio > SIZE_RANGE[1]:
        raise ValueError(f"max_ratio = {max_ratio}: must be at most 2**200")
    # Hypothesis prefers the low end of a wide range, so the high end is a separate range.
    alike, any_size = st.integers(1, min(9, max_ratio)), st.integers(1, max_ratio)
    size = alike | any_size | st.integers(-(-max_ratio // 10), max_ratio)
    return st.lists(size, min_size=n, max_size=n)


@_says_its_arguments
def mixtures(
    n_datasets: int | None = None,
    *,
    min_datasets: int = 1,
    max_datasets: int = 4,
    min_leaves: int = 1,
    max_leaves: int = 8,
    kind: Kind = "counts",
    overlap: Overlap = "any",
    max_ratio: int = 10**12,
) -> st.SearchStrategy[Mixture]:
    """Mixtures of datasets, their distributions and their sizes.

    Parameters
    ----------
    n_datasets : int, optional
        Number N of datasets. Default: from `min_datasets` to `max_datasets`.
    min_datasets, max_datasets : int
        Bounds on N where `n_datasets` is not given; the first at least 1.
    min_leaves, max_leaves : int
        Bounds on the number of leaves of the joint tree.
    kind : {"counts", "fractions", "floats"}
        Type of the rows, as in `distributions`. The first two are exact, and so are verdicts on them.
    overlap : {"any", "shared", "disjoint"}
        Any: a leaf has mass in some datasets or in none. Shared: every leaf has mass in every dataset.
        Disjoint: every leaf has mass in exactly one dataset.
    max_ratio : int
        Largest ratio of two sizes, which are drawn from `size_vectors`.

    Returns
    -------
    strategy of Mixture
        Shrinks towards few datasets, then few leaves, small counts and sizes of 1.

    Raises
    ------
    ValueError, TypeError
        If a number is not an integer or out of order, `kind` or `overlap` is unknown, or disjoint datasets
        could outnumber the leaves.

    Notes
    -----
    Section 3.2 of the paper, joint compression. Hypothesis reports a mixture as the call that makes it.

    Examples
    --------
    >>> from hypothesis import find
    >>> from tokentree import elasticity
    >>> find(mixtures(3, overlap="disjoint"), lambda mixture: not elasticity(mixture).holds).distributions
    array([[1., 0., 0.],
           [0., 1., 0.],
           [0., 0., 1.]])
    """
    fewest, largest = _bounds("datasets", n_datasets, min_datasets, max_datasets)
    least, most = _bounds("leaves", None, min_leaves, max_leaves)
    entry = _entries(kind, zeros=overlap == "any")
    if overlap not in ("any", "shared", "disjoint"):
        raise ValueError(f"overlap = {overlap!r}: must be 'any', 'shared' or 'disjoint'")
    disjoint = overlap == "disjoint"
    if disjoint and most < largest:
        raise ValueError(f"max_leaves = {most}: {largest} disjoint datasets need as many leaves")
    build = _calm(Mixture, "Mixture")
    # One strategy per number, made once: many times faster than making them as numbers are drawn.
    by_number = {
        n: st.builds(build, _tables(n, least, most, entry, kind, disjoint), size_vectors(n, max_ratio))
        for n in range(fewest, largest + 1)
    }
    # The number is drawn, not one of the strategies: Hypothesis would shrink a draw from one_of by its value,
    # computing its repr while it draws, and a checked repr changes the state that `_calm` keeps.
    return st.integers(fewest, largest).flatmap(by_number.__getitem__)


@_says_its_arguments
def token_trees(
    alphabet_size: int = 2,
    *,
    max_depth: int = 4,
    max_responses: int = 8,
    weights: Literal["counts", "masses"] = "counts",
) -> st.SearchStrategy[TokenTree]:
    """Token trees of complete responses; prune them for cut leaves.

    Parameters
    ----------
    alphabet_size : int
        Number q of symbols, at least 1.
    max_depth : int
        Bound on the depth, at least 1. A response has one symbol fewer, as its end takes a level.
    max_responses : int
        Bound on the number of distinct responses, at least 1.
    weights : {"counts", "masses"}
        Integers up to 10^6, or floats.

    Returns
    -------
    strategy of TokenTree
        Shrinks towards few and short responses of the symbol 0, each counted once.

    Raises
    ------
    ValueError, TypeError
        If a number is not an integer or too small, or `weights` is unknown.

    Notes
    -----
    Definition 3.1. Some responses of a tree are prefixes of others, so inner nodes have their own ends.

    Examples
    --------
    >>> from hypothesis import find
    >>> find(token_trees(), lambda tree: tree.prune(2).is_cut).leaves()[0].prefix
    (0, 0)
    """
    q = checks.integer("alphabet_size", alphabet_size, 1)
    length = checks.integer("max_depth", max_depth, 1) - 1
    most = checks.integer("max_responses", max_responses, 1)
    kinds: dict[str, Kind] = {"counts": "counts", "masses": "floats"}
    if weights not in kinds:
        raise ValueError(f"weights = {weights!r}: must be 'counts' or 'masses'")
    # With one symbol, or none at all, there are few possible responses.
    available = length + 1 if q == 1 else (q ** min(length + 1, 64) - 1) // (q - 1)
    response = st.lists(st.integers(0, q - 1), max_size=length).map(tuple)
    leaves = st.dictionaries(
        response, _entries(kinds[weights], zeros=False), min_size=1, max_size=min(most, available)
    )
    build = _calm(TokenTree.from_leaves, "TokenTree.from_leaves")
    return st.builds(build, leaves, alphabet_size=st.just(q))


@_says_its_arguments
def pareto_masses(
    n_leaves: int | None = None,
    *,
    min_leaves: int = 1,
    max_leaves: int = 100,
    alpha: float | None = None,
) -> st.SearchStrategy[list[float]]:
    """Leaf masses under Assumption A.7: samples of `ParetoMass`.

    Parameters
    ----------
    n_leaves : int, optional
        Number M of leaves. Default: from `min_leaves` to `max_leaves`.
    min_leaves, max_leaves : int
        Bounds on M where `n_leaves` is not given; the first at least 1.
    alpha : float, optional
        Exponent of the tail, finite and > 1. Default: from 1.05 to 50.

    Returns
    -------
    strategy of lists of M floats
        Positive, with sum 1 within rounding. Shrinks towards few leaves, seed 0 and an integer exponent.

    Raises
    ------
    ValueError, TypeError
        If a number of leaves is not an integer or out of order, or `alpha` is not finite and > 1.

    Notes
    -----
    Hypothesis chooses the seed and prefers small ones; the draws of one seed are independent. A property that
    holds only with high probability fails for some seed, and Hypothesis is good at finding it.

    Examples
    --------
    >>> from hypothesis import find
    >>> masses = find(pareto_masses(alpha=1.5), lambda p: max(p) > 0.5 and len(p) > 1)
    >>> len(masses), min(masses) > 0
    (2, True)
    """
    leaves = _bounds("leaves", n_leaves, min_leaves, max_leaves)
    law = st.floats(*ALPHA_RANGE).map(ParetoMass) if alpha is None else st.just(ParetoMass(alpha))
    return _sample(law, *leaves)


def _bounds(what: str, exactly: int | None, least: int, most: int) -> tuple[int, int]:
    """Bounds on the number of `what`, from its three arguments."""
    if exactly is not None:
        n = checks.integer(f"n_{what}", exactly, 1)
        return n, n
    least = checks.integer(f"min_{what}", least, 1)
    return least, checks.integer(f"max_{what}", most, least)


def _entries(kind: Kind, zeros: bool) -> st.SearchStrategy[Any]:
    """Unnormalised weights of leaves."""
    small, large = st.integers(0 if zeros else 1, 9), st.integers(1, _LARGEST_COUNT)
    if kind == "floats":
        return small.map(float) | large.map(float) | st.floats(_SMALLEST_MASS, 1)
    if kind not in ("counts", "fractions"):
        raise ValueError(f"kind = {kind!r}: must be 'floats', 'fractions' or 'counts'")
    return small | large


def _tables(
    n: int, least: int, most: int, entry: st.SearchStrategy[Any], kind: Kind, disjoint: bool
) -> st.SearchStrategy[list[Any]]:
    """Rows of n datasets over at least `least` and at most `most` leaves."""
    if not disjoint:
        return _rows(least, most, (), st.tuples(*[entry] * n), kind)

    def owned_by(i: int) -> st.SearchStrategy[Any]:
        return entry.map(lambda weight: tuple(weight if j == i else 0 * weight for j in range(n)))

    # One leaf for each dataset, then leaves of any dataset.
    owned = tuple(owned_by(i) for i in range(n))
    return _rows(max(least, n), most, owned, st.one_of(owned), kind)


# Composites, because Hypothesis reports their results by value, but results of `map` by a call of ours.


@st.composite
def _row(draw: Callable[..., Any], entries: st.SearchStrategy[Any], kind: Kind) -> list[Any]:
    return _normalized(draw(entries), kind)


@st.composite
def _rows(
    draw: Callable[..., Any], least: int, most: int, first: Any, column: st.SearchStrategy[Any], kind: Kind
) -> list[Any]:
    # Leaf by leaf, after their number, so that Hypothesis can shrink to fewer.
    n_leaves = draw(st.integers(least, most))
    columns = [draw(each) for each in first] + [draw(column) for _ in range(n_leaves - len(first))]
    return [_normalized(list(row), kind) for row in zip(*columns, strict=True)]


@st.composite
def _sample(draw: Callable[..., Any], law: st.SearchStrategy[ParetoMass], least: int, most: int) -> Any:
    sample = _calm(draw(law).sample, "sample")
    return sample(draw(st.integers(least, most)), draw(st.integers(0, 2**32 - 1))).tolist()


def _normalized(row: list[Any], kind: Kind) -> list[Any]:
    # Without rejection of draws, which would be slow for many datasets.
    if not any(row):
        row = [row[0] + 1, *row[1:]]
    if kind == "counts":
        return row
    total = math.fsum(row) if kind == "floats" else Fraction(sum(row))
    return [entry / total for entry in row]


def _calm(build: Callable[..., Any], name: str) -> Callable[..., Any]:
    """`build` with a name for Hypothesis to report, leaving Python's random state unchanged.

    Run-time type checkers such as beartype choose the items to check by `random`. Hypothesis warns about
    strategies that change its state.
    """

    def calm(*args: Any, **kwargs: Any) -> Any:
        state = random.getstate()
        try:
            return build(*args, **kwargs)
        finally:
            random.setstate(state)

    calm.__name__ = name
    return calm
