"""Token trees (Definition 3.1) and their pruning (Definition 3.3a), stored as flat arrays.

A tree counts responses: finite sequences over an alphabet {0, ..., q - 1}, each closed by an end-of-sequence
token. A response of n symbols is the path to a leaf at depth n + 1. The weight of a node is the weight of all
responses that pass through it, so it equals the sum over its children.

Invariants, which every function here may rely on and must keep:

* Nodes are stored level by level, the root first. ``offsets[l]:offsets[l + 1]`` are the nodes at depth l.
* Within a level they are in lexicographic order, `REST` and end-of-sequence before every symbol. So
  ``parents``, the index of the parent within the level above, never decreases.
* A node without children is an end-of-sequence leaf, a `REST` leaf, or lies on the last level. Pruning to
  depth d is therefore the slice of the first d + 1 levels, and copies nothing.
* A `REST` leaf has the weight of its parent minus that of its other children: the mass of continuations
  that were not read. The weight of every other node is known, whatever is missing below it.
* Counts are int64 and are only ever added, so merging is exact, associative and commutative.
* A positive mass below 2^-1022 is stored as its natural logarithm, a negative number (see `log_masses`).
  The root's never is. `weights` refuses such trees, so code that takes masses from it need not know.
* Arrays are read-only and shared between trees.
"""

import math
import os
import warnings
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from jaxtyping import Float, Int, Num

from .._lib import checks, log_masses
from .._lib.checks import Numbers
from . import bands
from .binary import binary_levels
from .counting import Alphabet, count_bytes, count_file, count_sequences
from .files import read_tree, write_tree
from .graphs import graphviz_graph, networkx_graph
from .leaves import Leaves, leaf_nodes, leaves_before, paths
from .picture import PICTURE, node_rows, tree_levels, tree_svg
from .responses import one_response
from .tokens import EOS, REST, LeafKind, Nodes

if TYPE_CHECKING:
    import graphviz
    import networkx


_MAX_PARENTS = 2**31


@dataclass(frozen=True, eq=False, repr=False)
class TokenTree:
    """A token tree over an alphabet of q symbols (Definition 3.1).

    Build one with `from_sequences`, `from_leaves`, `from_bytes`, `from_text` or `from_file`. The arrays
    represent the tree; they are read-only.

    Attributes
    ----------
    alphabet_size : int
        Number q of symbols, excluding end-of-sequence.
    offsets : int64 array, shape (depth + 2,)
        ``offsets[l]:offsets[l + 1]`` are the nodes at depth l.

    Notes
    -----
    A counted tree is kept as its sorted responses, at most 19 bytes per distinct response and word that it
    fills (64 bits, less the index of its prefix), until its nodes are first used; the nodes then take 13
    bytes each for alphabets of up to 128 symbols, 14 up to 32,768, and 16 beyond. If the tree is pruned
    first, deeper nodes are never laid out.

    Examples
    --------
    >>> tree = TokenTree.from_sequences(["0", "01", "01", "11"])
    >>> tree
    TokenTree(alphabet_size=2, depth=3, n_nodes=8, n_leaves=3, total_weight=4)
    >>> tree.weight("0")
    3
    >>> for leaf in tree.prune(1).leaves():
    ...     print(leaf.prefix, leaf.kind.name, leaf.probability)
    (0,) CUT 0.75
    (1,) CUT 0.25
    """

    alphabet_size: int
    # Without defaults, TokenTree(data) would complain of missing offsets.
    _offsets: Int[np.ndarray, "edges"] | None = None
    """None if they are those of the compact form."""
    _source: Nodes | bands.Bands = None  # type: ignore[assignment]  # None never gets past __post_init__
    """The node arrays, or the compact form that lays them out on first use."""

    def __post_init__(self) -> None:
        if self._source is None:
            raise TypeError(
                "a TokenTree is made by from_sequences, from_leaves, from_bytes, from_text or from_file: "
                "TokenTree.from_text(text, depth=16) for a text"
            )

    @cached_property
    def offsets(self) -> Int[np.ndarray, "edges"]:
        """First node of each level, and the number of nodes."""
        if self._offsets is not None:
            offsets = self._offsets
        else:
            assert isinstance(self._source, bands.Bands)
            offsets = self._source.offsets
        offsets.flags.writeable = False
        return offsets

    @cached_property
    def _nodes(self) -> Nodes:
        widths = np.diff(self.offsets)
        wide = np.flatnonzero(widths[:-1] > _MAX_PARENTS)
        if len(wide):
            raise ValueError(
                f"tree has {widths[wide[0]]} nodes at depth {wide[0]}: at most {_MAX_PARENTS} parents "
                f"are possible on a level; prune to depth {wide[0]} or less"
            )
        nodes = self._source.nodes(self.depth) if isinstance(self._source, bands.Bands) else self._source
        for array in nodes:
            array.flags.writeable = False
        return nodes

    @property
    def symbols(self) -> Int[np.ndarray, "nodes"]:
        """Last token on the path to each node; `EOS` or `REST` at leaves of that kind, 0 at the root."""
        return self._nodes[0]

    @property
    def parents(self) -> Int[np.ndarray, "nodes"]:
        """Index of each node's parent within the level above; 0 at the root."""
        return self._nodes[1]

    @property
    def weights(self) -> Num[np.ndarray, "nodes"]:
        """Count (int64) or mass (float64) of the responses through each node.

        Raises
        ------
        ValueError
            If a positive mass is below 2^-1022, like those of long responses under a model: float64 cannot
            hold it. The message gives the first such depth. `log_weights` and `log_weight` support such
            masses, and so do `prune`, `merge`, `binarize`, `save`, `==`, `model_rates` and `modelled_depth`.
        """
        return self._within_range("tree")

    @cached_property
    def log_weights(self) -> Float[np.ndarray, "nodes"]:
        """Natural logarithm of each node's weight, however small; -inf if the weight is zero.

        Examples
        --------
        >>> from tokentree.adapters import read_along
        >>> coin = lambda prefixes: np.log(np.full((len(prefixes), 2), 0.5))
        >>> document = TokenTree.from_sequences([[0, 1] * 1000], depth=2000)
        >>> bits = -read_along(coin, document).log_weights / np.log(2)
        >>> print(bits.max().round(9))
        2000.0
        """
        logs = log_masses.logs(self._nodes[2])
        logs.flags.writeable = False
        return logs

    @cached_property
    def _first_faint(self) -> int | None:
        """The first node whose mass is below the range of float64."""
        weights = self._nodes[2]
        if isinstance(self._source, bands.Bands) or weights.dtype.kind == "i" or weights.min() >= 0:
            return None
        return int(np.argmax(log_masses.faint(weights)))

    def _within_range(self, name: str) -> Num[np.ndarray, "nodes"]:
        """Weights of all nodes, if float64 can hold them; errors call the tree `name`."""
        if self._first_faint is not None:
            depth = int(np.searchsorted(self.offsets, self._first_faint, side="right")) - 1
            prune = f"prune it to depth {depth - 1} or less, or " if depth > 1 else ""
            raise ValueError(
                f"{name} has masses below 2**-1022 at depth {depth}, which float64 cannot hold: {prune}"
                "use log_weights"
            )
        return self._nodes[2]

    @cached_property
    def _shares(self) -> Float[np.ndarray, "nodes"]:
        """Weights divided by the total weight, stored as in `log_masses`."""
        return log_masses.shares(self._nodes[2], self.total_weight)

    def __reduce__(self) -> tuple[Any, ...]:
        source = self._source
        if isinstance(source, bands.Bands) and self.depth < source.depth:
            # Pruned masses would be added in another order, with other rounding.
            source = source.prune(self.depth) if isinstance(self.total_weight, int) else self._nodes
        return TokenTree, (
            self.alphabet_size,
            self._offsets if source is self._source else self.offsets,
            source,
        )

    # Building

    @staticmethod
    def from_sequences(
        sequences: Iterable[str] | Annotated[Numbers, "sequences length"],
        weights: Annotated[Numbers, "sequences"] | None = None,
        *,
        alphabet_size: int = 2,
        depth: int | None = None,
    ) -> "TokenTree":
        """Count responses into a tree.

        Parameters
        ----------
        sequences : iterable of str or of integer sequences, or integer array of shape (n, length)
            One response each; strings hold decimal digits. Repeats add up; the empty response is allowed.
        weights : array_like, shape (n,), optional
            Weight of each response: integers below 2**63 stay exact counts, floats are masses. Default: 1
            each.
        alphabet_size : int
            Number q of symbols, at most 2**31; every symbol lies in 0, ..., q - 1.
        depth : int, optional
            Count no deeper than this. The result equals ``.prune(depth)`` of the full tree, at lower cost.

        Returns
        -------
        TokenTree

        Raises
        ------
        ValueError, TypeError
            If there is no response, a symbol is outside the alphabet, the alphabet is larger than 2**31, a
            weight is negative, NaN or infinite, all weights are zero, or integer weights add up to 2**63 or
            more.

        Notes
        -----
        Prefixes are packed into 64-bit words and sorted; levels begin where neighbours first differ. O(S log
        n) for S symbols in n responses; memory O(n + nodes). Definition 3.1.

        Examples
        --------
        >>> TokenTree.from_sequences([[0, 2], [1]], weights=[3, 1], alphabet_size=3).leaf_probabilities
        array([0.75, 0.25])
        """
        return TokenTree(*count_sequences(sequences, weights, alphabet_size, depth))

    @staticmethod
    def from_leaves(
        leaves: Mapping[str, float] | Mapping[tuple[int, ...], float],
        alphabet_size: int = 2,
        depth: int | None = None,
    ) -> "TokenTree":
        """Build the tree of the responses and weights given by a mapping.

        Parameters
        ----------
        leaves : mapping from str or tuple of int to number
            Response to weight. All-integer weights are counts.
        alphabet_size, depth : int
            As in `from_sequences`, with the same errors and cost.

        Returns
        -------
        TokenTree

        Examples
        --------
        >>> TokenTree.from_leaves({"0": 0.5, "10": 0.25, "11": 0.25}).leaf_probabilities
        array([0.5 , 0.25, 0.25])
        """
        if not isinstance(leaves, Mapping):
            raise TypeError(f"leaves is a {type(leaves).__name__}: must map each response to its weight")
        return TokenTree.from_sequences(
            list(leaves), list(leaves.values()), alphabet_size=alphabet_size, depth=depth
        )

    @staticmethod
    def from_bytes(
        data: bytes | bytearray | memoryview, depth: int, alphabet: Alphabet = "bits"
    ) -> "TokenTree":
        """Count the consecutive blocks of one long response, as in Definition 3.3.

        Every full block of `depth` symbols is a leaf cut at depth `depth`; the remainder, possibly empty, is
        the last block and ends with end-of-sequence. So the tree contains exactly the blocks that
        `BlockCodec` needs for these data.

        Parameters
        ----------
        data : bytes-like
        depth : int
            Symbols per block: bits or bytes, according to `alphabet`. It is the depth of the tree.
        alphabet : {"bits", "bytes"}
            Read each byte as 8 binary symbols, most significant first, or as one of 256 symbols.

        Returns
        -------
        TokenTree
            Counts; total weight is the number of blocks, ``len // depth + 1``.

        Raises
        ------
        ValueError
            If `data` is empty, ``depth < 1``, or the alphabet is unknown.

        Notes
        -----
        As in `from_file`.

        Examples
        --------
        >>> TokenTree.from_bytes(b"abracadabra", depth=1, alphabet="bytes").weight([ord("a")])
        5
        """
        return TokenTree(*count_bytes("data", data, depth, alphabet))

    @staticmethod
    def from_text(
        text: str, depth: int, alphabet: Alphabet = "bits", *, encoding: str = "utf-8"
    ) -> "TokenTree":
        """Count the consecutive blocks of a text, encoded to bytes.

        Parameters
        ----------
        text : str
        depth, alphabet
            As in `from_bytes`, with the same errors and cost.
        encoding : str
            A codec of the standard library.

        Returns
        -------
        TokenTree

        Warns
        -----
        UserWarning
            If the text is a single line of less than 1,000 characters and the name of a file that exists.

        Examples
        --------
        >>> TokenTree.from_text("to be or not to be", depth=8).n_leaves
        8
        """
        if not isinstance(text, str):
            raise TypeError(f"text is a {type(text).__name__}: must be a str; use from_bytes for bytes")
        if len(text) < 1000 and "\n" not in text and os.path.isfile(text):
            given = f"{text!r}, depth={depth}{'' if alphabet == 'bits' else f', alphabet={alphabet!r}'}"
            warnings.warn(
                f"text is {text!r}, the name of a file: to count the file, "
                f"write TokenTree.from_file({given})",
                stacklevel=2,
            )
        return TokenTree(*count_bytes("text", text.encode(encoding), depth, alphabet))

    @staticmethod
    def from_file(
        path: str | os.PathLike[str],
        depth: int,
        alphabet: Alphabet = "bits",
        *,
        progress: Callable[[int], object] | None = None,
        start: int = 0,
        stop: int | None = None,
    ) -> "TokenTree":
        """Count the consecutive blocks of a file, or of a part of it, in one pass and bounded memory.

        With `start` and `stop`, count the blocks that begin in that range. However a file is split into
        ranges, the trees of the ranges merge into the tree of the file, so they can be counted in several
        processes.

        Parameters
        ----------
        path : path-like
        depth, alphabet
            As in `from_bytes`, which gives the same tree.
        progress : callable, optional
            Called with the number of bytes read after each piece.
        start, stop : int, optional
            Bytes, as in a slice, at least 0; neither need be a multiple of the block. A block that begins in
            the range is read to its end, even beyond `stop`. A range that reaches the end of the file, and no
            other, has the last block, which ends with end-of-sequence and may be empty.

        Returns
        -------
        TokenTree

        Raises
        ------
        OSError
            If the file cannot be read, or with `stop` if it becomes shorter meanwhile.
        ValueError
            If the file is empty, or no block begins in the range.

        Notes
        -----
        Time is linear in the file for blocks of up to 24 bits, which are counted in an array of 128 MiB at
        most; wider ones are sorted. Memory grows with the distinct blocks, not with the file: 18 bytes each,
        and about three times as much while they are counted. Distinct blocks of more than 58 bits take one
        byte per symbol, and several times as much while they are counted.

        Examples
        --------
        >>> from tokentree import merge
        >>> import tempfile
        >>> with tempfile.NamedTemporaryFile() as file:
        ...     _ = file.write(b"abracadabra"), file.flush()
        ...     ranges = [(0, 4), (4, 9), (9, 11)]
        ...     parts = [TokenTree.from_file(file.name, 3, start=start, stop=stop) for start, stop in ranges]
        ...     merge(parts) == TokenTree.from_file(file.name, 3) == TokenTree.from_bytes(b"abracadabra", 3)
        True
        """
        return TokenTree(*count_file(path, depth, alphabet, progress, start, stop))

    # Reading

    @property
    def depth(self) -> int:
        """Depth of the deepest node."""
        source = self._source
        if self._offsets is None and isinstance(source, bands.Bands):
            return source.depth
        return len(self.offsets) - 2

    @property
    def n_nodes(self) -> int:
        """Number of nodes, the root included."""
        return int(self.offsets[-1])

    @cached_property
    def n_leaves(self) -> int:
        """Number M of leaves."""
        if isinstance(self._source, bands.Bands):
            return self._source.prune(self.depth).n_leaves
        last = int(self.offsets[-2])
        return int(np.count_nonzero(self.symbols[:last] < 0)) + self.n_nodes - last

    @property
    def total_weight(self) -> int | float:
        """Weight of the root: the number of responses, or their total mass."""
        # The compact form has it without laying out the nodes.
        source = self._source
        total: int | float = (source.total if isinstance(source, bands.Bands) else source[2])[0].item()
        return total

    @property
    def is_cut(self) -> bool:
        """Whether some response continues below the last level."""
        if isinstance(self._source, bands.Bands):
            return self._source.is_cut(self.depth)
        return bool((self.symbols[self.offsets[-2] :] >= 0).any())

    @cached_property
    def unexpanded_weight(self) -> int | float:
        """Weight of all `LeafKind.UNEXPANDED` leaves; zero for a tree of data.

        Its share of the total weight is in the tree's repr, if it is not zero.

        Examples
        --------
        >>> from tokentree.adapters import read_model
        >>> coin = lambda prefixes: np.log(np.full((len(prefixes), 2), 0.5))
        >>> read_model(coin, depth=2).unexpanded_weight
        0.0
        >>> tree = read_model(coin, depth=2, max_nodes=6)
        >>> tree.unexpanded_weight
        0.5
        >>> tree
        TokenTree(alphabet_size=2, depth=2, n_nodes=6, n_leaves=3, total_weight=1.0, unexpanded=0.5)
        """
        rests = self._nodes[2][self.symbols == REST]
        weight: int | float = log_masses.rounded(rests).sum().item()
        if weight < log_masses.LEAST and log_masses.faint(rests).any():
            raise ValueError(
                f"tree has the unexpanded weight exp({self._log_unexpanded}), which float64 cannot hold: use "
                "log_weights"
            )
        return weight

    @property
    def _log_unexpanded(self) -> float:
        return float(np.logaddexp.reduce(log_masses.logs(self._nodes[2][self.symbols == REST])))

    @cached_property
    def _is_open(self) -> bool:
        """Whether any mass is unexpanded."""
        return bool((self._nodes[2][self.symbols == REST] != 0).any())

    def level(self, depth: int) -> slice:
        """Slice of the node arrays with the nodes at `depth`."""
        return slice(int(self.offsets[depth]), int(self.offsets[depth + 1]))

    def weight(self, prefix: str | Annotated[Numbers, "length"], eos: bool = False) -> int | float:
        """Weight of all responses that begin with `prefix`; with `eos`, of the response `prefix` itself.

        Parameters
        ----------
        prefix : str or sequence of int
            The empty prefix gives the root's weight.
        eos : bool
            Count only the response that ends after `prefix`.

        Returns
        -------
        int or float
            Zero if no response begins with `prefix`.

        Raises
        ------
        ValueError
            If a symbol is outside the alphabet, the prefix is longer than the depth at which the tree was
            cut, or its weight is part of the unexpanded mass, or positive and below 2^-1022.

        Notes
        -----
        O(length log nodes).

        Examples
        --------
        >>> tree = TokenTree.from_sequences(["0", "01", "01"])
        >>> tree.weight("0"), tree.weight("0", eos=True), tree.weight("1")
        (3, 1, 0)
        """
        node = self._find(prefix, eos)
        weight: int | float = 0 if node is None else self._nodes[2][node].item()
        if weight < 0:
            raise ValueError(
                f"the weight is exp({weight}), which float64 cannot hold: log_weight gives its logarithm"
            )
        return weight

    def log_weight(self, prefix: str | Annotated[Numbers, "length"], eos: bool = False) -> float:
        """Natural logarithm of `weight`, however small; -inf if no response begins with `prefix`.

        Parameters, errors and cost are those of `weight`. In a model's tree it is the log-probability of the
        prefix.

        Returns
        -------
        float
            In nats.

        Examples
        --------
        >>> TokenTree.from_leaves({"0": 0.5, "1": 0.5}).log_weight("0")
        -0.6931471805599453
        """
        node = self._find(prefix, eos)
        return -math.inf if node is None else float(self.log_weights[node])

    def _find(self, prefix: str | Numbers, eos: bool) -> int | None:
        """The node of `prefix`, if there is one, or its end-of-sequence leaf."""
        path: Iterable[int] = one_response("prefix", prefix, self.alphabet_size)
        children, symbols = self._children
        node = 0
        for token in chain(path, [EOS]) if eos else path:
            first, last = children[node], children[node + 1]
            # Deep nodes usually have one child.
            child = (
                first
                if first < last and symbols[first] == token
                else bisect_left(symbols, token, first, last)
            )
            if child == last or symbols[child] != token:
                depth = int(self.offsets.searchsorted(node, "right"))
                if depth > self.depth:
                    raise ValueError(
                        f"prefix = {prefix!r} runs below depth {self.depth}, where the tree was cut"
                    )
                if first < last and symbols[first] == REST:
                    raise ValueError(f"prefix = {prefix!r} was not expanded below depth {depth - 1}")
                return None
            node = child
        return node

    @cached_property
    def _children(self) -> tuple[memoryview, memoryview]:
        """The first child of each node, or its would-be position, and an end; and the symbols."""
        _, parents = self._depths_and_parents()
        counts = np.bincount(parents[1:], minlength=self.n_nodes)
        return np.append(1, 1 + counts.cumsum()).data, self.symbols.data

    @cached_property
    def _leaf_nodes(self) -> Int[np.ndarray, "leaves"]:
        nodes = leaf_nodes(self.offsets, self.symbols, self.parents)
        nodes.flags.writeable = False
        return nodes

    def _leaves_before(self) -> Int[np.ndarray, "nodes"]:
        """Number of leaves that precede each node and its descendants, in lexicographic order."""
        return leaves_before(self.offsets, self.symbols, self.parents)

    def _paths(self, nodes: Int[np.ndarray, "leaves"]) -> Int[np.ndarray, "leaves depth"]:
        """Tokens on the path to each of the given nodes, padded with `EOS`."""
        return paths(self.offsets, self.symbols, self.parents, nodes)

    def leaves(self, prefix: str | Annotated[Numbers, "length"] = ()) -> Leaves:
        """Leaves of the tree in lexicographic order, with path, depth, kind, weight and probability.

        Parameters
        ----------
        prefix : str or sequence of int
            Only leaves with paths that begin with it, possibly none. Default: all leaves.

        Returns
        -------
        Leaves
            Parallel arrays over the leaves; indexing or iterating gives `Leaf` tuples. Probabilities are
            relative to the whole tree.

        Raises
        ------
        ValueError
            As for `weight` and `weights`.

        Notes
        -----
        O(nodes + M depth) time and memory, for M leaves in all or below the prefix.

        Examples
        --------
        >>> leaves = TokenTree.from_sequences(["01", "0", "1"], depth=2).leaves()
        >>> leaves[0]
        Leaf(prefix=(0,), depth=2, kind=<LeafKind.EOS: 0>, weight=1, probability=0.3333333333333333)
        >>> leaves.symbols
        array([[ 0, -1],
               [ 0,  1],
               [ 1, -1]], dtype=int8)
        >>> [leaf.prefix for leaf in TokenTree.from_sequences(["01", "00", "1"]).leaves("0")]
        [(0, 0), (0, 1)]
        """
        here = self._leaves_under(self._find(prefix, eos=False))
        nodes = self._leaf_nodes[here]
        kind = np.full(len(nodes), LeafKind.CUT, dtype=np.int8)
        kind[self.symbols[nodes] == EOS] = LeafKind.EOS
        kind[self.symbols[nodes] == REST] = LeafKind.UNEXPANDED
        depth = np.searchsorted(self.offsets, nodes, side="right") - 1
        return Leaves(
            nodes, depth, kind, self.weights[nodes], self.leaf_probabilities[here], self._paths(nodes)
        )

    def _leaves_under(self, node: int | None) -> slice:
        """Which leaves are the given node or lie below it."""
        if not node:
            return slice(0, None if node == 0 else 0)
        children, _ = self._children
        first, last = node, node
        while children[first] < children[first + 1]:
            first = children[first]
        while children[last] < children[last + 1]:
            last = children[last + 1] - 1
        begin, end = (int(np.flatnonzero(self._leaf_nodes == leaf)[0]) for leaf in (first, last))
        return slice(begin, end + 1)

    @cached_property
    def leaf_probabilities(self) -> Float[np.ndarray, "leaves"]:
        """Weight of each leaf over the total, lexicographically; shape (M,). Errors as for `weights`."""
        probabilities: Float[np.ndarray, "leaves"] = self.weights[self._leaf_nodes] / self.weights[0]
        probabilities.flags.writeable = False
        return probabilities

    def _depths_and_parents(self) -> tuple[Int[np.ndarray, "nodes"], Int[np.ndarray, "nodes"]]:
        """Depth of each node, and its parent's index among all nodes; the root is its own."""
        depths = np.repeat(np.arange(self.depth + 1), np.diff(self.offsets))
        return depths, self.parents + self.offsets[np.maximum(depths - 1, 0)]

    # Changing

    def prune(self, depth: int) -> "TokenTree":
        """Keep the nodes at depth <= `depth` (Definition 3.3a).

        Nodes at depth `depth` become leaves with the weight of their whole subtree. A tree that is not deeper
        is returned unchanged.

        Parameters
        ----------
        depth : int
            At least 1.

        Returns
        -------
        TokenTree
            A tree that shares this tree's arrays.

        Raises
        ------
        ValueError
            If ``depth < 1``.

        Notes
        -----
        O(depth) time, without a copy, however much is cut. The paper's layer l, with 2**(l - 1) nodes, is
        depth l - 1.

        Examples
        --------
        >>> TokenTree.from_sequences(["00", "01", "1"]).prune(1).leaf_probabilities
        array([0.66666667, 0.33333333])
        """
        depth = checks.integer("depth", depth, at_least=1)
        if depth >= self.depth:
            return self
        source = self.__dict__.get("_nodes", self._source)
        if not isinstance(source, bands.Bands):
            end = int(self.offsets[depth + 1])
            symbols, parents, weights = source
            source = (symbols[:end], parents[:end], weights[:end])
        return TokenTree(self.alphabet_size, self.offsets[: depth + 2], source)

    def binarize(self) -> "TokenTree":
        """The 0/1 tree of Definition 3.1: every symbol becomes ceil(log2 q) bits, most significant first.

        Leaves, their order and their weights are kept. A response of n symbols becomes n * ceil(log2 q) bits;
        a leaf cut at depth d lies at depth d * ceil(log2 q).

        Returns
        -------
        TokenTree
            A tree with ``alphabet_size == 2``; the tree itself if it is already binary.

        Raises
        ------
        ValueError
            If some symbols after a prefix are known and others unexpanded: the weights of bits that they
            share are then unknown.

        Notes
        -----
        O(nodes log q) time and memory.

        Examples
        --------
        >>> tree = TokenTree.from_leaves({"2": 0.5, "01": 0.5}, alphabet_size=3).binarize()
        >>> [leaf.prefix for leaf in tree.leaves()]
        [(0, 0, 0, 1), (1, 0)]
        """
        if self.alphabet_size <= 2:
            return TokenTree(2, self.offsets, self._source)
        return tree_of_levels(2, binary_levels(self.alphabet_size, self.offsets, self._nodes))

    # For other tools

    def to_networkx(self) -> "networkx.DiGraph":
        """The tree as a NetworkX graph, with an edge from every node to each of its children.

        Returns
        -------
        networkx.DiGraph
            Nodes 0 (the root) to n_nodes - 1, numbered as in the arrays. Each has the attributes weight,
            depth and kind: "inner", "eos", "cut" or "unexpanded". All except the root have a symbol, the last
            token on the path to them: `EOS` or `REST` at leaves of that kind.

        Raises
        ------
        ImportError
            If NetworkX is not installed.

        Notes
        -----
        O(nodes), about one kilobyte per node: prune first.

        Examples
        --------
        >>> graph = TokenTree.from_sequences(["0", "01", "01", "11"]).prune(1).to_networkx()
        >>> list(graph.edges)
        [(0, 1), (0, 2)]
        >>> graph.nodes[1]
        {'symbol': 0, 'weight': 3, 'depth': 1, 'kind': 'cut'}
        """
        return networkx_graph(*self._depths_and_parents(), self.symbols, self.weights)

    def to_graphviz(self, token: Callable[[int], str] = str, max_nodes: int = 500) -> "graphviz.Digraph":
        """The tree as a Graphviz drawing, with the root at the left and children in lexicographic order.

        Lines are labelled with symbols, leaves with probabilities: ellipses if the response ends, boxes if
        the tree is cut, boxes at a dotted line if it was not expanded.

        Parameters
        ----------
        token : callable
            Text for a symbol, such as a vocabulary's ``__getitem__``, ``chr``, or ``"ab".__getitem__``.
        max_nodes : int
            Largest number of nodes drawn.

        Returns
        -------
        graphviz.Digraph
            Notebooks show it if the program ``dot`` is installed; ``source`` is its text.

        Raises
        ------
        ImportError
            If the Python package graphviz is not installed.
        ValueError
            If the tree has more than `max_nodes` nodes.

        Examples
        --------
        >>> drawing = TokenTree.from_sequences(["0", "01", "01", "11"]).prune(1).to_graphviz("ab".__getitem__)
        >>> "0 -> 1 [label=a style=solid]" in drawing.source
        True
        """
        if self.n_nodes > max_nodes:
            raise ValueError(
                f"tree has {self.n_nodes:,} nodes: at most max_nodes = {max_nodes} are drawn; prune it first"
            )
        _, parents = self._depths_and_parents()
        return graphviz_graph(parents, self.symbols, self.weights, self._leaf_nodes, token)

    # Keeping

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the tree to one file, atomically: an interrupted write leaves an older file intact.

        Parameters
        ----------
        path : path-like
            File name, used exactly as given; the format is a compressed NumPy archive (.npz) with a version,
            a CRC-32 per array and a SHA-256 for all.

        Raises
        ------
        OSError
            If the file cannot be written.

        Notes
        -----
        O(nodes). Masses below 2^-1022 are written as their natural logarithms, which are negative. The file
        is on disk when this returns. Links are followed, and the permissions of a replaced file are kept. A
        process killed while writing leaves a second file behind, ``path`` with random digits and ``.part``,
        which may be deleted.
        """
        write_tree(path, self.alphabet_size, self.offsets, self._nodes)

    @staticmethod
    def load(path: str | os.PathLike[str]) -> "TokenTree":
        """Read a tree written by `save`. Nothing in the file is executed.

        Parameters
        ----------
        path : path-like

        Returns
        -------
        TokenTree

        Raises
        ------
        OSError
            If the file cannot be read.
        ValueError
            If the file is truncated, damaged, of another format or version, or does not contain a tree.

        Notes
        -----
        O(nodes). A file is refused before its arrays take more memory than its bytes can fill: 1032 times its
        size, the largest possible compression ratio. Checking takes about as much again.
        """
        return TokenTree(*read_tree(path))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, TokenTree):
            return NotImplemented
        return (
            self.alphabet_size == other.alphabet_size
            and self._nodes[2].dtype == other._nodes[2].dtype
            and np.array_equal(self.offsets, other.offsets)
            and np.array_equal(self.symbols, other.symbols)
            and np.array_equal(self.parents, other.parents)
            and np.array_equal(self._nodes[2], other._nodes[2])
        )

    def __repr__(self) -> str:
        unread = ""
        # The compact form is that of counts, all read; it need not lay out its nodes for this.
        if not isinstance(self._source, bands.Bands) and self._log_unexpanded > -math.inf:
            log_share = self._log_unexpanded - math.log(self.total_weight)
            share = math.exp(log_share)
            unread = f", unexpanded={f'{share:.3g}' if share else f'exp({log_share:.0f})'}"
        return (
            f"TokenTree(alphabet_size={self.alphabet_size}, depth={self.depth}, n_nodes={self.n_nodes}, "
            f"n_leaves={self.n_leaves}, total_weight={self.total_weight}{unread})"
        )

    def _repr_html_(self) -> str:
        if self.n_nodes > PICTURE or self._first_faint is not None:
            return tree_levels(repr(self), self.offsets, self._nodes)
        depths, parents = self._depths_and_parents()
        places = depths, node_rows(self.offsets, self.parents, self._leaf_nodes)
        return tree_svg(repr(self), places, parents, self.symbols, self.weights, self.leaves())


def tree_of_levels(q: int, levels: list[Nodes]) -> TokenTree:
    """The tree of nodes given level by level."""
    symbols, parents, weights = (np.concatenate(column) for column in zip(*levels, strict=True))
    return TokenTree(q, np.cumsum([0, *(len(level[0]) for level in levels)]), (symbols, parents, weights))
