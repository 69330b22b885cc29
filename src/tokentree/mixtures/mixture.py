r"""Joint compression: datasets merged into one token tree and coded together.

A mixture consists of the datasets' leaf distributions p_i, which are fixed, and their sizes n_i > 0, which
vary. With T = sum n_i and w_i = n_i / T the model trained on the union is q = sum w_i p_i, and everything
here follows from one function of the sizes, the joint length Phi(n) = T H(q):

- the rate of dataset i is its slope, gamma_i = dPhi/dn_i = -sum p_i log q, a cross-entropy;
- Phi is homogeneous of degree 1 and concave, so sum n_i gamma_i = Phi (Euler), the response
  R_it = d gamma_i / d n_t is symmetric and negative semidefinite, and R n = 0 (Gibbs-Duhem).
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from copy import copy
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple, NoReturn

import numpy as np
from jaxtyping import Float, Int

from .._lib import checks
from .._lib.checks import Numbers
from .._lib.display import table, text_table
from .._lib.frames import frame
from .._lib.results import span
from ..information import divergence_terms
from ..trees import TokenTree, checked_trees, joint_leaves, one_after_another
from .blocks import SCALE, compensated_sum, leaf_blocks
from .coding import codeword_lengths, ideal_lengths, joint_counts, power_mean
from .response import CentredBlock, centred_blocks, centred_gram, gram
from .rows import SIZE_RANGE, Rows, dataset_index, exact_number, exact_sizes, frozen
from .shares import BestSizes, Bound, best_shares, share_bounds, target_weights

if TYPE_CHECKING:
    import pandas


RATED = 2**22
"""Largest number of masses for which a display computes rates."""


class Unread(NamedTuple):
    """What a mixture keeps of its trees if part of their mass is unexpanded."""

    trees: tuple[TokenTree, ...]
    """The trees, pruned to the mixture's depth."""
    means: tuple[tuple[Fraction, ...], ...] | None = None
    """Share of every tree in each dataset; None if dataset i is tree i."""

    @property
    def shares(self) -> Float[np.ndarray, "datasets"]:
        """Share of each dataset's mass that is unexpanded."""
        shares = np.array([tree.unexpanded_weight / tree.total_weight for tree in self.trees])
        return shares if self.means is None else np.array(self.means, np.float64) @ shares


class Mixture:
    r"""Datasets compressed together: leaf distributions and sizes.

    Immutable. Distributions given as float64 or int64 arrays are not copied: do not change them afterwards.

    Parameters
    ----------
    distributions : array_like, shape (N, M), or a mapping from names to rows
        Row i is the distribution of dataset i over the M leaves of the joint tree; each row is read
        separately. A row of integers of any size is read exactly as counts divided by their total; so is a
        row of Fractions. A row of floats is kept as given and must sum to 1 within rounding; if there is one,
        the masses of the other rows are rounded to floats too.
    sizes : array_like or other sequence of N numbers, or a mapping of names to them
        The |D_i|: ints, floats, long doubles or Fractions between 2^-200 and 2^200, kept exactly.
    names : sequence of N distinct strings, optional
        Default: those of a mapping, else "D1", "D2", ...
    depth : int, optional
        Depth d of the joint tree, needed for rates per token.

    Raises
    ------
    ValueError
        If a shape, an entry, a row's sum, a size, the names or the depth is not as described above.
    TypeError
        If an entry, a size, a name or the depth has the wrong type.

    Notes
    -----
    Section 3.2 of the paper, joint compression. O(N M) time; integer rows get a float64 view of the same
    size.

    Examples
    --------
    >>> mixture = Mixture([[2, 1, 1], [0, 1, 1]], [3, 1], names=["web", "chat"])
    >>> mixture
    Mixture(2 datasets, 3 leaves: web 3, chat 1)
    >>> mixture.joint
    array([0.375 , 0.3125, 0.3125])
    >>> mixture.rates()
    array([1.5465547 , 1.67807191])
    """

    _unread: Unread | None = None

    def __init__(
        self,
        distributions: Annotated[Numbers, "datasets leaves"] | Mapping[str, Any],
        # Without a default, Mixture(trees) would complain of missing sizes.
        sizes: Annotated[Numbers, "datasets"] | Mapping[str, float] | None = None,
        *,
        names: Iterable[str] | None = None,
        depth: int | None = None,
    ) -> None:
        keys = list(distributions) if isinstance(distributions, Mapping) else None
        distributions, names = checks.named(distributions, names)
        listed = distributions if isinstance(distributions, list | tuple) else [distributions]
        for given in listed:
            if isinstance(given, str | bytes | TokenTree):
                raise TypeError(
                    f"distributions hold a {type(given).__name__}: must be numbers; a Mixture of texts or "
                    "trees is made by Mixture.from_trees({name: TokenTree.from_text(text, depth=16)})"
                )
        if sizes is None:
            raise TypeError("sizes is missing: must be a sequence of numbers, one per dataset")
        self._rows = Rows(distributions, keys=keys)
        self._names = checks.distinct_names(names, self.n_datasets, "dataset", "D")
        self._sizes = exact_sizes(sizes, self.n_datasets, None if names is None else self._names)
        self._depth = None if depth is None else checks.integer("depth", depth, 1)

    @classmethod
    def from_trees(
        cls,
        trees: Sequence[TokenTree] | Mapping[str, TokenTree] | TokenTree,
        *more: Any,
        sizes: Annotated[Numbers, "datasets"] | Mapping[str, float] | None = None,
        depth: int | None = None,
        names: Iterable[str] | None = None,
    ) -> "Mixture":
        r"""Mixture of the datasets counted in `trees`, over the leaves of their joint tree.

        Parameters
        ----------
        trees : sequence of N TokenTrees, or a mapping from names to them
            One tree per dataset.
        *more : TokenTree
            Further trees, if they are given one after another, `Mixture.from_trees(a, b, c)`; after a
            sequence or a mapping, the sizes may stand here.
        sizes : sequence of N numbers, or a mapping of names to them, optional
            Default: the trees' total weights. A model's tree has total weight 1: give sizes.
        depth : int, optional
            Prune the joint tree to this depth. Default: the depth of the deepest tree.
        names : sequence of N distinct strings, optional
            Default: those of a mapping, else "D1", "D2", ...

        Raises
        ------
        ValueError, TypeError
            As for `Mixture` and `leaf_distributions`.

        Notes
        -----
        Counted trees keep their integer counts, so verdicts on them can be exact. O(nodes log nodes).

        Every unexpanded leaf is read as one leaf, the same for all trees that have it, as if its mass lay on
        one token that no tree lists. Rates, overlaps and all other results are those of that reading.
        Certified signs hold wherever the mass lies (`elasticity`); `unexpanded` gives its amount, and
        `unexpanded_bounds` its possible effect. Rows passed to `Mixture` directly are taken as known.

        Examples
        --------
        >>> web, chat = TokenTree.from_sequences(["0", "0", "1"]), TokenTree.from_sequences(["1"])
        >>> Mixture.from_trees([web, chat], depth=1)
        Mixture(2 datasets, 2 leaves, depth 1: D1 3, D2 1)
        """
        _, names = checks.named(trees, names)
        listed, given = one_after_another(trees, more, "sizes", sizes)
        return cls._of_trees(checked_trees(listed), given, depth, names)

    @classmethod
    def _of_trees(
        cls, trees: dict[str, TokenTree], sizes: Any, depth: int | None, names: Iterable[str] | None
    ) -> "Mixture":
        """`from_trees` of trees by what errors call them."""
        deepest = max(tree.depth for tree in trees.values()) if depth is None else depth
        trees = {name: tree.prune(deepest) for name, tree in trees.items()}
        weights, *_ = joint_leaves(trees, depth, weights=True)
        totals = [tree.total_weight for tree in trees.values()]
        if weights.dtype.kind == "f":
            weights = weights / np.asarray(totals, np.float64)[:, None]
        mixture = cls(weights, totals if sizes is None else sizes, names=names, depth=deepest)
        if any(tree.unexpanded_weight > 0 for tree in trees.values()):
            mixture._unread = Unread(tuple(trees.values()))
        return mixture

    # The data

    @property
    def rows(self) -> "Rows":
        """The datasets' distributions in exact form, without the sizes."""
        return self._rows

    @property
    def distributions(self) -> Float[np.ndarray, "datasets leaves"]:
        """The p_i as float64, read-only, shape (N, M)."""
        return self._rows.probabilities

    @property
    def exact_sizes(self) -> tuple[Fraction, ...]:
        """The sizes n_i, exactly."""
        return self._sizes

    @property
    def sizes(self) -> Float[np.ndarray, "datasets"]:
        """The sizes n_i as float64."""
        return np.array([float(n) for n in self._sizes])

    @property
    def total_size(self) -> float:
        """T, the sum of the sizes."""
        return float(sum(self._sizes))

    @property
    def names(self) -> tuple[str, ...]:
        """The datasets' names."""
        return self._names

    @property
    def depth(self) -> int | None:
        """Depth d of the joint tree, if known."""
        return self._depth

    @property
    def unread(self) -> Unread | None:
        """The trees, if some of their mass is unexpanded."""
        return self._unread

    @property
    def unexpanded(self) -> Float[np.ndarray, "datasets"]:
        """Share of each dataset's mass that is unexpanded at this depth, shape (N,).

        Zero for arrays and for trees counted from data.

        Examples
        --------
        >>> from tokentree.adapters import read_model
        >>> coin = lambda prefixes: np.log(np.full((len(prefixes), 2), 0.5))
        >>> trees = [read_model(coin, depth=2, max_nodes=n) for n in (6, 10)]
        >>> Mixture.from_trees(trees).unexpanded, Mixture.from_trees(trees, depth=1).unexpanded
        (array([0.5, 0. ]), array([0., 0.]))
        """
        return np.zeros(self.n_datasets) if self._unread is None else self._unread.shares

    @property
    def n_datasets(self) -> int:
        """Number N of datasets."""
        return int(self._rows.values.shape[0])

    @property
    def n_leaves(self) -> int:
        """Number M of leaves of the joint tree."""
        return int(self._rows.values.shape[1])

    @property
    def leaf_counts(self) -> Int[np.ndarray, "datasets"]:
        """M_i, the number of leaves of each dataset's own tree: those with p_i > 0."""
        return np.array([np.count_nonzero(row) for row in self._rows.values])

    # The joint model

    @cached_property
    def weights(self) -> Float[np.ndarray, "datasets"]:
        """The w_i = n_i / T, each rounded once."""
        total = sum(self._sizes)
        return frozen(np.array([float(n / total) for n in self._sizes]))

    @cached_property
    def joint(self) -> Float[np.ndarray, "leaves"]:
        """The model q = sum w_i p_i trained on the union, shape (M,)."""
        return frozen(self.weights @ self.distributions)

    def index(self, dataset: int | str, name: str = "dataset") -> int:
        """Position of a dataset given by position or name; `name` is what errors call it."""
        return dataset_index(name, dataset, self.n_datasets, self._names)

    def roles(self, **datasets: int | str) -> list[int]:
        """Positions of several datasets, all different, each given by position or name.

        Errors name each by its keyword.

        Parameters
        ----------
        **datasets : int or str
            Position or name of each, under the word that errors call it by.

        Returns
        -------
        list of int
            In the order of the keywords.

        Examples
        --------
        >>> Mixture([[1, 0], [1, 1]], [3, 1], names=["web", "chat"]).roles(pretrain="web", align=1)
        [0, 1]
        """
        return checks.different(datasets, self.index)

    def with_sizes(self, sizes: Annotated[Numbers, "datasets"] | Mapping[str, float]) -> "Mixture":
        """The same datasets with other sizes; the distributions are shared, not copied.

        Parameters
        ----------
        sizes : array_like, shape (N,), or a mapping of names to sizes
            As for `Mixture`; datasets that a mapping does not name keep their sizes.

        Returns
        -------
        Mixture

        Examples
        --------
        >>> Mixture([[1, 0], [1, 1]], [1, 1]).with_sizes({"D1": 10**15})
        Mixture(2 datasets, 2 leaves: D1 1000000000000000, D2 1)
        """
        other = copy(self)
        if isinstance(sizes, Mapping):
            sizes = {**dict(zip(self._names, self._sizes, strict=True)), **sizes}
        other._sizes = exact_sizes(sizes, self.n_datasets, self._names)
        return other

    def perturb(self, dataset: int | str, amount: float | Fraction) -> "Mixture":
        """The mixture after `amount` of data distributed as `dataset` (index or name) is added or removed.

        Parameters
        ----------
        dataset : int or str
            Position or name.
        amount : int, float or Fraction
            Blocks to add; below 0, to remove.

        Returns
        -------
        Mixture

        Examples
        --------
        >>> Mixture([[1, 0], [1, 1]], [3, 1], names=["web", "chat"]).perturb("chat", 0.5)
        Mixture(2 datasets, 2 leaves: web 3, chat 3/2)
        """
        position = self.index(dataset)
        sizes = list(self._sizes)
        left = sizes[position] + exact_number("amount", amount)
        if not SIZE_RANGE[0] <= left <= SIZE_RANGE[1]:
            rule = "some data" if left <= 0 else "between 2**-200 and 2**200"
            raise ValueError(
                f"amount = {amount}: must leave dataset {position} of size {float(sizes[position]):g} {rule}"
            )
        sizes[position] = left
        return self.with_sizes(sizes)

    # Rates

    def rates(
        self,
        base: float = 2,
        *,
        code: Literal["ideal", "huffman"] = "ideal",
        per: Literal["block", "token"] = "block",
        extension: int = 1,
    ) -> Float[np.ndarray, "datasets"]:
        r"""Compression rate gamma_i of every dataset under the joint model.

        Parameters
        ----------
        base : float
            2 for bits, ``math.e`` for nats.
        code : "ideal" or "huffman"
            Ideal: the cross-entropy -sum p_i log q. Huffman: p_i . lengths for an optimal binary prefix code
            for q on the leaves with q > 0, built from exact integers if rows are exact.
        per : "block" or "token"
            A block is one leaf, of up to d tokens; rates per token are divided by the depth d.
        extension : int
            Number b of leaves per codeword. The Huffman code is then optimal for q^b, and the rate is its
            mean length over b independent leaves of D_i, divided by b. The ideal rate is the same for every
            b.

        Returns
        -------
        ndarray, shape (N,)
            Never infinite: q > 0 wherever p_i > 0.

        Raises
        ------
        ValueError
            If ``base <= 1``, `code` or `per` is unknown, `per` is "token" and the depth is unknown,
            ``extension < 1``, or the Huffman code would have more than 10^7 codewords.

        Notes
        -----
        O(N M); Huffman adds one sort, or takes O(N M^b) with an extension. The relative error is a few units
        in the last place, even where q is within rounding of 1 (there log q is computed from 1 - q).
        Definition 4.1, with the cross-entropy instead of the paper's -sum p_i log p_i.

        Examples
        --------
        >>> mixture = Mixture([[1, 1, 0], [0, 0, 1]], [2, 2], depth=2)
        >>> mixture.rates(), mixture.rates(code="huffman", per="token")
        (array([2., 1.]), array([1. , 0.5]))
        """
        unit = checks.log_base(base) * self.tokens(per)
        extension = checks.integer("extension", extension, 1)
        if code == "huffman":
            support, codewords = self._codewords(extension)
            unit /= math.log(2)
            if extension > 1:
                rows = self.distributions[:, support]
                return np.array([power_mean(codewords, p, extension) for p in rows]) / unit
            lengths = np.zeros(self.n_leaves)
            lengths[support] = codewords
        elif code == "ideal":
            lengths = self.ideal_lengths()
        else:
            raise ValueError(f"code = {code!r}: must be 'ideal' or 'huffman'")
        p = self.distributions
        return compensated_sum(p[:, leaves] @ lengths[leaves] for leaves in leaf_blocks(self.n_leaves)) / unit

    def normalized_rates(
        self,
        base: float = 2,
        *,
        code: Literal["ideal", "huffman"] = "ideal",
        per: Literal["block", "token"] = "block",
        extension: int = 1,
    ) -> Float[np.ndarray, "datasets"]:
        """Rates minus log M_i, the rate of the uniform distribution on the dataset's own leaves.

        Parameters, units and errors are those of `rates`. Definition 4.1.

        Returns
        -------
        ndarray, shape (N,)
            In bits per block by default.

        Examples
        --------
        >>> Mixture([[1, 1, 0], [0, 0, 1]], [2, 2]).normalized_rates()
        array([1., 1.])
        """
        rates = self.rates(base, code=code, per=per, extension=extension)
        rates -= np.log(self.leaf_counts) / (checks.log_base(base) * self.tokens(per))
        return rates

    def potential(
        self, base: float = 2, *, code: Literal["ideal", "huffman"] = "ideal", extension: int = 1
    ) -> float:
        """Phi = T H(q), the ideal length of the joint data; dPhi/dn_i is the rate of dataset i, per block.

        With ``code="huffman"``, T times the mean length of a leaf drawn from q under the code of `rates`. It
        exceeds T H(q) by less than T / b bits, where b is the extension.

        Parameters
        ----------
        base, code, extension
            As in `rates`, whose errors this shares.

        Returns
        -------
        float
            In bits by default, for all blocks together.

        Examples
        --------
        >>> mixture = Mixture([[1, 1, 0], [0, 0, 1]], [1, 8])
        >>> [round(mixture.potential(code="huffman", extension=b), 3) for b in (1, 2, 3, 4)]
        [10.0, 6.778, 5.947, 5.691]
        >>> round(mixture.potential(), 3)
        5.529
        """
        unit = checks.log_base(base)
        extension = checks.integer("extension", extension, 1)
        if code == "huffman":
            support, codewords = self._codewords(extension)
            mean = power_mean(codewords, self.joint[support], extension)
            return self.total_size * mean * math.log(2) / unit
        if code != "ideal":
            raise ValueError(f"code = {code!r}: must be 'ideal' or 'huffman'")
        lengths, q = self.ideal_lengths(), self.joint
        entropy = math.fsum(float(q[leaves] @ lengths[leaves]) for leaves in leaf_blocks(self.n_leaves))
        return self.total_size * entropy / unit

    def kl(self, base: float = 2) -> Float[np.ndarray, "datasets"]:
        """KL(p_i || q), the cost to each dataset of being coded jointly, per block, shape (N,).

        p_i - q is formed as in `response`, so the digits are kept for a dataset that is nearly all of the
        mixture, and for datasets that nearly coincide. O(N M).

        Parameters
        ----------
        base : float
            2 for bits, ``math.e`` for nats.

        Returns
        -------
        ndarray, shape (N,)
            In bits per block by default.

        Examples
        --------
        >>> Mixture([[1, 1, 0], [0, 0, 1]], [2, 2]).kl()
        array([1., 1.])
        """
        unit = checks.log_base(base)
        terms = (divergence_terms(p, q, d).sum(axis=1) for p, q, d in self.centred_blocks())
        return compensated_sum(terms) / (SCALE * unit)

    def tokens(self, per: str) -> int:
        """Divisor that converts a value per block to one per block (1) or per token (the depth)."""
        if per == "block":
            return 1
        if per != "token":
            raise ValueError(f"per = {per!r}: must be 'block' or 'token'")
        if self._depth is None:
            raise ValueError("per = 'token' needs the depth of the joint tree: give Mixture a depth")
        return self._depth

    # Response of the rates

    def response(
        self, base: float = 2, *, per: Literal["block", "token"] = "block"
    ) -> Float[np.ndarray, "datasets datasets"]:
        r"""R[i, t] = d gamma_i / d n_t, how the rate of dataset i changes as dataset t grows.

        Parameters
        ----------
        base : float
            2 for bits, ``math.e`` for nats.
        per : "block" or "token"
            As in `rates`.

        Returns
        -------
        ndarray, shape (N, N)
            Exactly symmetric; negative semidefinite and R n = 0 up to rounding.

        Raises
        ------
        ValueError
            As in `rates`.

        Notes
        -----
        R_it = -(1/T) sum_x (p_i - q)(p_t - q) / q. In floating point its error is a few units in the last
        place of (1/T) sum_x h_i h_t / q, with h_i = sum_{j != i} w_j (p_i + p_j). That is a small relative
        error of R_it itself however unequal the sizes, unless distributions nearly coincide, or positive and
        negative leaves cancel, as they must where R_it changes sign. Entries that cancel to less than 2^-10
        of that scale are computed in integers instead, and are then accurate to about the last digit, and
        exactly zero where R_it is zero. This applies up to 2^17 leaves, and to float rows only if they sum to
        1 exactly or nearly so. O(N^2 M) time, and up to a second for every entry computed in integers.

        Examples
        --------
        >>> Mixture([[1, 0], [0, 1]], [1, 1]).response(base=math.e)
        array([[-0.5,  0.5],
               [ 0.5, -0.5]])
        """
        unit = checks.log_base(base) * self.tokens(per)
        scaled = centred_gram(self._rows, self._sizes, self.weights)
        # Adding zero turns -0.0 into 0.0.
        response: Float[np.ndarray, "datasets datasets"] = scaled / (-SCALE * self.total_size * unit) + 0.0
        return response

    def overlap(self) -> Float[np.ndarray, "datasets datasets"]:
        """S[i, t] = sum p_i p_t / q: 0 for disjoint datasets, sum_j w_j S_ij = 1, R = (1 - S) / T in nats.

        O(N^2 M). For 1 - S use `response`, which avoids cancellation.

        Returns
        -------
        ndarray, shape (N, N)

        Examples
        --------
        >>> Mixture([[1, 0], [0, 1]], [1, 1]).overlap()
        array([[2., 0.],
               [0., 2.]])
        """
        return compensated_sum(gram(p, q) for p, q, _ in self.centred_blocks()) / SCALE

    def centred_blocks(self) -> Iterator[CentredBlock]:
        """Blocks of p, q and p - q over the leaves, times SCALE; p - q is formed without cancellation.

        The next block overwrites p and p - q, so finish with each before requesting another: allocating
        memory would take longer than the work.

        Returns
        -------
        iterator of CentredBlock
        """
        return centred_blocks(self._rows, self.weights)

    def ideal_lengths(self) -> Float[np.ndarray, "leaves"]:
        """-log q in nats, and 0 where q = 0."""
        return ideal_lengths(self._rows, self.weights, self.joint)

    def _codewords(self, extension: int) -> tuple[Int[np.ndarray, "support"], Int[np.ndarray, "codewords"]]:
        """Leaves where q > 0, and lengths of an optimal code for q^b on their blocks, last leaf fastest."""
        counted = self._rows.values.dtype != np.float64
        weights = joint_counts(self._rows, self._sizes) if counted else self.joint
        support = np.flatnonzero(self._rows.values.any(axis=0))
        return support, codeword_lengths(weights[support], extension)

    # The best sizes

    def best_sizes(
        self,
        target: str | Mapping[str, float],
        *,
        sources: Iterable[int | str] | None = None,
        total: float = 1.0,
        lower: Bound = None,
        upper: Bound = None,
        available: Mapping[str, float] | Annotated[Numbers, "datasets"] | None = None,
        repetitions: float = 1.0,
        prior: Mapping[str, float] | Annotated[Numbers, "datasets"] | None = None,
        pull: float | None = None,
        worst: bool = False,
        base: float = 2,
    ) -> BestSizes:
        r"""Sizes of the datasets whose joint model codes a target best, with a proof of optimality.

        Parameters
        ----------
        target : mapping of names to weights, or one name
            Rates in the objective, each times its weight.
        sources : iterable of int or str, optional
            Datasets that may have a share, by position or name. Default: all. A target that is among the
            sources is coded best by itself alone, so leave it out if others are to replace it.
        total : float
            Sum of the sizes.
        lower, upper : float, mapping or array_like, optional
            Bounds on shares: for all datasets, for some by name, or one per dataset.
        available : mapping or array_like, optional
            Amount of each dataset, in the unit of `total`: give both.
        repetitions : float
            How often each may be seen.
        prior, pull : array_like or mapping, float
            A mixture towards which `pull` times KL(shares \|\| prior) pulls.
        worst : bool
            Find the largest value instead, as a control.
        base : float
            Unit of the value, the gap and the pull: 2 for bits, ``math.e`` for nats.

        Returns
        -------
        BestSizes
            Sizes, their value and the duality gap. A tiny share means none.

        Raises
        ------
        ValueError
            If a name is unknown, a weight or bound is out of range, no mixture satisfies the bounds, or the
            target has mass where no source has any, so that its rate is infinite.

        Notes
        -----
        min over w of sum_i v_i CE(p_i, sum_j w_j p_j) is Cover's log-optimal portfolio, convex in w. A Newton
        step costs O(N^2 M), and about twenty are needed. For language models read along a target's data this
        is the MixMin problem (Thudi et al. 2025).

        Examples
        --------
        >>> mixture = Mixture([[1, 1, 0], [0, 1, 1], [2, 3, 1]], [1, 1, 1], names=["web", "code", "chat"])
        >>> found = mixture.best_sizes("chat", sources=["web", "code"], total=3)
        >>> found.sizes.round(6), round(found.value, 6), found.gap < 1e-9
        (array([2., 1., 0.]), 1.459148, True)
        """
        nats = checks.log_base(base)
        allowed = share_bounds(self._names, lower, upper, available, repetitions, total)
        if isinstance(sources, str):
            raise TypeError(f"sources = {sources!r}: must list datasets; write [{sources!r}] for one")
        if sources is not None:
            allowed = allowed.among({self.index(each, "sources") for each in sources})
        weights = target_weights(target, self._names)
        given = self.distributions
        found = best_shares(
            weights @ given, given, allowed, prior=prior, pull=pull, names=self._names, worst=worst
        )
        return BestSizes(self._names, total * found.shares, found.value / nats, found.gap / nats)

    # Conversion

    def to_frame(self, base: float = 2, *, per: Literal["block", "token"] = "block") -> "pandas.DataFrame":
        """The datasets as a pandas table, one row each, by name.

        Parameters
        ----------
        base, per
            Unit of the rates, as in `rates`, including its errors.

        Returns
        -------
        pandas.DataFrame
            Index dataset; columns size, weight, leaves (M_i), unexpanded (a share of the mass), rate and
            normalized_rate, of the ideal code.

        Raises
        ------
        ImportError
            If pandas is not installed.

        Notes
        -----
        O(N M).

        Examples
        --------
        >>> mixture = Mixture([[2, 1, 1], [0, 1, 1]], [3, 1], names=["web", "chat"])
        >>> mixture.to_frame().loc["chat", ["size", "weight", "leaves"]].to_list()
        [1.0, 0.25, 2.0]
        """
        columns = {
            "dataset": list(self._names),
            "size": self.sizes,
            "weight": self.weights,
            "leaves": self.leaf_counts,
            "unexpanded": self.unexpanded,
            "rate": self.rates(base, per=per),
            "normalized_rate": self.normalized_rates(base, per=per),
        }
        return frame(columns, "dataset")

    def __eq__(self, other: object) -> bool:
        """Whether the data are equal: rows in the same form, exact sizes, names, depth and unread trees."""
        if not isinstance(other, Mixture):
            return NotImplemented
        return (
            (self._sizes, self._names, self._depth) == (other._sizes, other._names, other._depth)
            and self._rows.values.dtype == other._rows.values.dtype
            and np.array_equal(self._rows.values, other._rows.values)
            and self._unread == other._unread
        )

    def __hash__(self) -> int:
        return hash((self._sizes, self._names, self._depth))

    def __getstate__(self) -> dict[str, Any]:
        # The data, without values computed from them.
        return {name: getattr(self, name) for name in ("_rows", "_sizes", "_names", "_depth", "_unread")}

    def _repr_html_(self) -> str:
        return table(*self._table())

    def __str__(self) -> str:
        return text_table(*self._table())

    def _table(self) -> tuple[Sequence[str], int, Callable[[int], Sequence[object]], str]:
        """Header, number of rows, each row and caption of what is shown."""
        n, m = self.n_datasets, self.n_leaves
        columns: list[Sequence[object]] = [self.names, list(self._shown_sizes(n)), self.weights.tolist()]
        header = ["dataset", "size", "weight"]
        caption = f"Mixture: {n:,} datasets, {m:,} leaves"
        if self.depth is not None:
            caption += f", depth {self.depth}"
        if self.unread is not None:
            columns.append(self.unexpanded.tolist())
            header.append("unexpanded share")
        if n * m <= RATED:
            columns += [self.rates().tolist(), self.normalized_rates().tolist()]
            header += ["rate", "normalised rate"]
            caption += "; rates in bits per block"
            if self.unread is not None:
                caption += ", not certain: unexpanded_bounds has their range"
        return header, n, lambda i: [column[i] for column in columns], caption

    def _shown_sizes(self, first: int) -> Iterator[float | Fraction]:
        """The first few sizes; one like 0.1 is shown as 0.1, not as its dyadic rational."""
        # Not a list: type checkers would choose one of its items by `random`, which the reprs of Hypothesis's
        # examples must not use.
        return (
            float(n) if n.denominator > 10**6 and Fraction(float(n)) == n else n for n in self._sizes[:first]
        )

    def __repr__(self) -> str:
        shown = [f"{name} {n}" for name, n in zip(self._names[:6], self._shown_sizes(6), strict=True)]
        more = ["..."] if self.n_datasets > 6 else []
        depth = "" if self._depth is None else f", depth {self._depth}"
        shares = "" if self._unread is None else f", unexpanded share {span(self.unexpanded)}"
        shape = f"{self.n_datasets} datasets, {self.n_leaves} leaves{depth}{shares}"
        return f"Mixture({shape}: {', '.join(shown + more)})"


def no_mixture(name: str, given: object, kinds: str = "a Mixture") -> NoReturn:
    """Refuse what is no mixture, and say how trees become one."""
    trees = isinstance(given, list | tuple | Mapping | TokenTree)
    how = "; of trees, Mixture.from_trees([a, b, c])" if trees else ""
    if hasattr(type(given), "mixture"):
        how = "; of a law, law.mixture(sizes)"
    raise TypeError(f"{name} is a {type(given).__name__}: must be {kinds}{how}")
