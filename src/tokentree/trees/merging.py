"""Combining trees: their sum, and their distributions over the leaves of the joint tree."""

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Int, Num

from .._lib import checks, log_masses
from . import bands
from .runs import run_starts
from .tokens import _MAX_COUNT, REST
from .tree import TokenTree, tree_of_levels


def merge(trees: Sequence[TokenTree] | Mapping[str, TokenTree] | TokenTree, *more: TokenTree) -> TokenTree:
    """Add trees: the weight of every node of the result is the sum of its weights in `trees`.

    The tree of a union of datasets is the merge of their trees, so a corpus may be counted in shards.

    Parameters
    ----------
    trees : sequence of TokenTree, or the first of them
        Same alphabet; all counts or all masses.
    *more : TokenTree
        The other trees, if they are given one after another, ``merge(a, b, c)``.

    Returns
    -------
    TokenTree

    Raises
    ------
    ValueError
        If `trees` is empty, alphabets differ, counts are mixed with masses, the total is 2**63 or more or
        infinite, or a tree is cut above the depth of another, or has unexpanded mass where another lists
        more: the weights there are then unknown.

    Notes
    -----
    Exact, associative and commutative for counts. Trees of counts with responses that fit one word are merged
    in compact form, as they were counted: O(n log k) for k trees with n distinct responses in all. Others are
    merged node by node: O(nodes log nodes) in their total number of nodes. One call for many trees costs less
    than one call per tree. Section 3.2 of the paper, joint compression.

    Examples
    --------
    >>> one, two = TokenTree.from_sequences(["0", "01"]), TokenTree.from_sequences(["01"])
    >>> merge([one, two]) == TokenTree.from_sequences(["0", "01", "01"])
    True
    """
    named = checked_trees(one_after_another(trees, more)[0])
    trees = list(named.values())
    _agreed(named)
    sources = [tree._source.prune(tree.depth) for tree in trees if isinstance(tree._source, bands.Bands)]
    compact = bands.merge(sources) if len(sources) == len(trees) else None
    if compact is not None:
        return TokenTree(trees[0].alphabet_size, compact.offsets, compact)
    union, places = joint_tree(named)
    rests = np.flatnonzero(union.symbols == REST)
    if len(rests):
        level, above = union._depths_and_parents()
        for (name, tree), place in zip(named.items(), places, strict=True):
            listed = np.zeros(union.n_nodes, dtype=bool)
            listed[place] = True
            unexpanded = np.zeros(union.n_nodes, dtype=bool)
            unexpanded[above[place[tree.symbols == REST]]] = True
            torn = np.flatnonzero(unexpanded[above] & ~listed & (union.symbols != REST))
            if len(torn):
                path = union._paths(above[torn[:1]])[0, : level[torn[0]] - 1]
                raise ValueError(
                    f"{name} has unexpanded mass after prefix {tuple(path.tolist())}, where another tree "
                    f"lists nodes that it lacks: prune all to depth {level[torn[0]] - 1} or less"
                )
    return union


def leaf_distributions(
    trees: Sequence[TokenTree] | Mapping[str, TokenTree], depth: int | None = None, weights: bool = False
) -> Num[np.ndarray, "datasets leaves"]:
    """Leaf distributions of several trees over the leaves of their joint tree, pruned to `depth`.

    Parameters
    ----------
    trees : sequence of TokenTree, or a mapping to them
        As in `merge`, with the same errors; counts and masses may be mixed.
    depth : int, optional
        Prune to this depth first. Default: the depth of the deepest tree.
    weights : bool
        Return leaf weights, integers for counted trees, instead of probabilities.

    Returns
    -------
    ndarray, shape (N, M)
        Row i is tree i's distribution over the M joint leaves in lexicographic order; zero where tree i has
        no response.

    Notes
    -----
    O(nodes log nodes) time, O(N M) memory. Section 3.2 of the paper, joint compression.

    Examples
    --------
    >>> trees = [TokenTree.from_sequences(["0", "1"]), TokenTree.from_sequences(["1", "11"])]
    >>> leaf_distributions(trees, depth=1)
    array([[0.5, 0.5],
           [0. , 1. ]])
    """
    return joint_leaves(checked_trees(trees), depth, weights)


def joint_leaves(
    trees: dict[str, TokenTree], depth: int | None, weights: bool
) -> Num[np.ndarray, "datasets leaves"]:
    """`leaf_distributions` of trees by what errors call them."""
    if depth is not None:
        trees = {name: pruned(tree, depth, name) for name, tree in trees.items()}
    values = [tree._within_range(name) for name, tree in trees.items()]
    union, places = joint_tree(trees, mixed=True)
    rank = np.full(union.n_nodes, -1, dtype=np.int64)
    rank[union._leaf_nodes] = np.arange(union.n_leaves)
    dtype = np.result_type(*values)
    leaves = np.zeros((len(trees), union.n_leaves), dtype=dtype if weights else np.float64)
    for row, value, place in zip(leaves, values, places, strict=True):
        column = rank[place]
        on = column >= 0
        row[column[on]] = value[on] if weights else value[on] / value[0]
    return leaves


def pruned(tree: TokenTree, depth: int, name: str) -> TokenTree:
    """`tree` pruned to `depth`, if it is known to that depth; errors call it `name`."""
    depth = checks.integer("depth", depth, 1)
    if depth > tree.depth and tree.is_cut:
        raise ValueError(f"depth = {depth}: {name} is cut at depth {tree.depth}, and unknown below")
    return tree.prune(depth)


def one_after_another(
    trees: Sequence[TokenTree] | Mapping[str, TokenTree] | TokenTree,
    more: Sequence[Any],
    name: str = "",
    second: Any = None,
) -> tuple[Sequence[TokenTree] | Mapping[str, TokenTree], Any]:
    """Trees given as f(a, b, c) or f([a, b, c]), and the second argument.

    `name` is that of the second argument, if there is one: it may be given by position after a sequence.
    """
    if isinstance(trees, TokenTree):
        return [trees, *more], second
    extra = list(more)
    if extra and name and second is None:
        second = extra.pop(0)
    if extra:
        raise TypeError(f"{len(extra)} arguments too many: give trees as [a, b, c] or one after another")
    return trees, second


def checked_tree(name: str, tree: object) -> TokenTree:
    """A tree, or an error that says how to make one from the given object."""
    if isinstance(tree, TokenTree):
        return tree
    how = ""
    if isinstance(tree, str | bytes | list | tuple | os.PathLike):
        how = (
            "; TokenTree.from_sequences makes one from responses, from_text from a text, from_file of a file"
        )
    elif hasattr(type(tree), "distributions"):
        how = "; pass one of the trees it was made from"
    elif callable(tree):
        how = "; for a model, adapters.read_along(model, data_tree) or adapters.read_model(model, depth)"
    raise TypeError(f"{name} is a {type(tree).__name__}: must be a TokenTree{how}")


def checked_trees(
    trees: Sequence[TokenTree] | Mapping[str, TokenTree], name: str = "trees"
) -> dict[str, TokenTree]:
    """The trees, at least one, by what errors call them: ``trees[0]``, or ``trees['web']`` of a mapping."""
    if isinstance(trees, TokenTree):
        raise TypeError(f"{name} is a TokenTree: must be a sequence of them; write [a, b] for trees a and b")
    if hasattr(type(trees), "distributions"):
        raise TypeError(f"{name} is a {type(trees).__name__}: must be the trees it was made from")
    if isinstance(trees, str | bytes) or not isinstance(trees, Iterable):
        checked_tree(name, trees)
    listed = trees.items() if isinstance(trees, Mapping) else enumerate(trees)
    named = {(label := f"{name}[{key!r}]"): checked_tree(label, tree) for key, tree in listed}
    if not named:
        raise ValueError(f"{name} is empty: at least one tree is needed")
    return named


def _agreed(trees: dict[str, TokenTree], mixed: bool = False) -> bool:
    """Refuse incompatible trees; return whether their sum is a tree of counts."""
    (one, first), *_ = trees.items()
    q, depth = first.alphabet_size, max(tree.depth for tree in trees.values())
    kind = type(first.total_weight)
    for name, tree in trees.items():
        if tree.alphabet_size != q:
            raise ValueError(
                f"{name} has alphabet_size {tree.alphabet_size} and {one} has {q}: they must agree; "
                f"count again with alphabet_size={max(q, tree.alphabet_size)}, or binarize() each"
            )
        if type(tree.total_weight) is not kind and not mixed:
            raise ValueError(f"{name} and {one} mix counts and masses: all must be of one kind")
        if tree.is_cut and tree.depth < depth:
            raise ValueError(
                f"{name} is cut at depth {tree.depth} and another tree reaches depth {depth}: prune all "
                f"to depth {tree.depth} or less"
            )
    total = sum(tree.total_weight for tree in trees.values())
    counted = isinstance(total, int)
    if counted and total > _MAX_COUNT and not mixed:
        raise ValueError(f"trees count {total} responses in all: counts must stay below 2**63")
    if not total < np.inf:
        raise ValueError(f"trees have total mass {total}: must be finite")
    return counted and total <= _MAX_COUNT


def joint_tree(
    named: dict[str, TokenTree], mixed: bool = False
) -> tuple[TokenTree, list[Int[np.ndarray, "_"]]]:
    """The merged tree, and for each tree the positions of its nodes in the merged tree."""
    counted, trees = _agreed(named, mixed), list(named.values())
    q, depth = trees[0].alphabet_size, max(tree.depth for tree in trees)
    zero = np.zeros(1, dtype=np.int64)
    places = [[zero] for _ in trees]
    levels = [(zero.astype(trees[0].symbols.dtype), zero.astype(np.int32), zero)]
    for level in range(1, depth + 1):
        keys = []
        for tree, place in zip(trees, places, strict=True):
            if level > tree.depth:
                keys.append(zero[:0])
                continue
            here = tree.level(level)
            up = place[-1][tree.parents[here]]
            keys.append(up * (q - REST) + (tree.symbols[here].astype(np.int64) - REST))
        # np.unique would hash them first, which takes much longer than sorting.
        joint = np.sort(np.concatenate(keys))
        joint = joint[run_starts(joint)]
        for place, key in zip(places, keys, strict=True):
            place.append(np.searchsorted(joint, key))
        up, token = np.divmod(joint, q - REST)
        levels.append(((token + REST).astype(trees[0].symbols.dtype), up.astype(np.int32), joint))
    union = tree_of_levels(q, levels)
    where = [np.concatenate([union.offsets[level] + p for level, p in enumerate(place)]) for place in places]
    weights = np.zeros(union.n_nodes, dtype=np.int64 if counted else np.float64)
    for tree, at in zip(trees, where, strict=True):
        log_masses.add_to(weights, at, tree._nodes[2])
    return TokenTree(q, union.offsets, (union.symbols, union.parents, weights)), where
