r"""Interpolated n-gram models, for studying trees of language models without a neural network.

An n-gram is a context u of n - 1 tokens and the token w after it. With u' for u without its oldest token, an
interpolated model of order n mixes its counts with the model of order n - 1,

    p(w | u) = a(u w) + b(u) p(w | u'),     b(u) = 1 - sum_w a(u w),

down to the empty context, below which p is uniform. A context that was never seen has a = 0 and b = 1.
Elsewhere a, b > 0, so every probability is positive. With c the count of an n-gram, c(u) = sum_w c(u w), and
t(u) the number of different tokens seen after u,

- Witten-Bell: a(u w) = c(u w) / (c(u) + t(u)), so b(u) = t(u) / (c(u) + t(u)).
- Modified Kneser-Ney: a(u w) = (c(u w) - D) / c(u), where D is D_1, D_2 or D_3 for counts 1, 2 and more.
  With n_i the number of n-grams of this order that have count i, D_i = i - (i + 1) n_1 n_(i+1) / ((n_1 + 2
  n_2) n_i). Below the highest order, c is not the number of occurrences of an n-gram but the number of
  different tokens found before it, including the beginning of a sequence if that is a token. An n-gram that
  is never preceded by a token keeps its number of occurrences.

Contexts are kept as a trie from their newest token to their oldest: a context is one 64-bit key, made of the
position of u' among the shorter contexts and the oldest token of u. Keys are sorted, so one binary search per
order finds the contexts of a whole batch. In addition to the symbols 0, ..., q - 1, the token q ends a
sequence and q + 1 begins it. Nothing precedes a beginning, so a short prefix can be padded with it to any
length.

References
----------
I. H. Witten and T. C. Bell, The zero-frequency problem, IEEE Trans. Inform. Theory 37 (1991): method C.
S. F. Chen and J. Goodman, An empirical study of smoothing techniques for language modeling, Computer Speech
and Language 13 (1999).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, Literal, NamedTuple

import numpy as np
from jaxtyping import Float, Int, Shaped

from .._lib import checks
from .._lib.checks import Numbers
from .._lib.progress import tracked
from ..trees import flattened, run_starts

Smoothing = Literal["witten-bell", "kneser-ney"]

_FALLBACK = (0.5, 1.0, 1.5)
"""Discounts if the counts of counts give none, as in KenLM."""

_MAX_ALPHABET = 2**31
"""Largest alphabet, so that the key of a context fits in 64 bits."""


class _Counts(NamedTuple):
    """The distinct n-grams of one order, sorted by context."""

    contexts: Int[np.ndarray, "contexts"]
    """Key of each context."""
    ngrams: Int[np.ndarray, "ngrams"]
    """Position of the context, times the radix, plus the token."""
    counts: Int[np.ndarray, "ngrams"]


class _Order(NamedTuple):
    """The n-grams of one order with their probabilities."""

    contexts: Int[np.ndarray, "contexts"]
    offsets: Int[np.ndarray, "edges"]
    """First n-gram of each context, and the number of n-grams."""
    tokens: Shaped[np.ndarray, "ngrams"]
    log_probability: Float[np.ndarray, "ngrams"]
    """log a(u w)."""
    log_backoff: Float[np.ndarray, "contexts"]
    """log b(u)."""


@dataclass(frozen=True, eq=False, repr=False)
class NGramModel:
    """An interpolated n-gram model: a batch of prefixes in, next-token log-probabilities out.

    Made by `fit`. It is a next-token model that `read_model` accepts.

    Attributes
    ----------
    order : int
        Length n of the longest n-grams: the next token is conditioned on the last n - 1.
    alphabet_size : int
        Number q of symbols, not counting end-of-sequence.
    smoothing : {"witten-bell", "kneser-ney"}
    begin : bool
        Whether contexts include the beginning of a sequence as a token.
    end : bool
        Whether sequences end; the end-of-sequence token is then q.
    n_parameters : int
        Number of n-grams stored, of all orders.

    Examples
    --------
    >>> model = NGramModel.fit(["0101", "01"], order=2)
    >>> model
    NGramModel(order=2, alphabet_size=2, smoothing='witten-bell', n_parameters=7)
    >>> np.exp(model([(), (0,), (0, 1)])).round(3)
    array([[0.788, 0.121, 0.091],
           [0.091, 0.841, 0.068],
           [0.345, 0.145, 0.509]])
    """

    order: int
    alphabet_size: int
    smoothing: Smoothing
    begin: bool
    end: bool
    n_parameters: int
    _log_unigrams: Float[np.ndarray, "vocabulary"]
    _orders: tuple[_Order, ...]
    """Orders from 2, up to the longest contexts in the data."""

    @staticmethod
    def fit(
        sequences: Iterable[str] | Annotated[Numbers, "sequences length"],
        order: int,
        alphabet_size: int = 2,
        smoothing: Smoothing = "witten-bell",
        *,
        begin: bool = True,
        end: bool = True,
        progress: bool = False,
    ) -> "NGramModel":
        """Count n-grams and smooth them.

        Parameters
        ----------
        sequences : iterable of str or of integer sequences, or integer array of shape (n, length)
            As in `TokenTree.from_sequences`.
        order : int
            Length n of the longest n-grams, at least 1; it may exceed the lengths of the sequences.
        alphabet_size : int
            Number q of symbols, at most 2**31; every symbol is in 0, ..., q - 1.
        smoothing : {"witten-bell", "kneser-ney"}
            Interpolated Witten-Bell, or interpolated modified Kneser-Ney.
        begin : bool
            Put a begin-of-sequence token before each sequence: the first tokens then have their own contexts.
            Otherwise they have shorter contexts, as suits sequences cut out of a stream.
        end : bool
            Put the end-of-sequence token q after each sequence. Otherwise sequences never end.
        progress : bool
            Show a progress bar over the orders on stderr.

        Returns
        -------
        NGramModel

        Raises
        ------
        ValueError, TypeError
            If there are no tokens to count, a symbol is outside the alphabet, the alphabet is larger than
            2**31, ``order < 1``, or the smoothing is unknown.

        Notes
        -----
        O(order S log S) time for S tokens; the work space is O(S). The model keeps 9 to 12 bytes for each
        n-gram and 24 for each context. Discounts that the counts of counts n_1, ..., n_4 leave undefined or
        make nonpositive are 0.5, 1 and 1.5, as in KenLM.

        Kneser-Ney's lower orders describe tokens after unseen contexts. Without `begin`, a prefix shorter
        than order - 1 uses them because it has no longer context, and its row then does not match the data's
        frequencies; use Witten-Bell in that case. References are in the module's docstring.

        Examples
        --------
        >>> stream = NGramModel.fit(["0110101"], order=3, smoothing="kneser-ney", begin=False, end=False)
        >>> np.exp(stream([(1, 0)])).round(3)
        array([[0.104, 0.896]])
        """
        order = checks.integer("order", order, at_least=1)
        q = checks.integer("alphabet_size", alphabet_size, at_least=1)
        if q > _MAX_ALPHABET:
            raise ValueError(f"alphabet_size = {q}: must be at most 2**31")
        if smoothing not in ("witten-bell", "kneser-ney"):
            raise ValueError(f"smoothing = {smoothing!r}: must be 'witten-bell' or 'kneser-ney'")
        flat, lengths = flattened("sequences", sequences, q, pass_size=True)
        if not (flat.size or end):
            raise ValueError("sequences hold no symbol: without end-of-sequence there is nothing to count")

        ends = np.cumsum(lengths)
        places = np.stack([ends - lengths, ends][: 1 + end], axis=1)
        marks = np.broadcast_to([q + 1, q][: 1 + end], places.shape)
        stream = np.insert(flat.ravel().astype(np.min_scalar_type(q + 1)), places.ravel(), marks.ravel())
        counted = _count(stream, order, q, begin, progress)
        if smoothing == "kneser-ney":
            counted = _continuations(counted, q + 2)
        orders = [_smooth(level, q + 2, smoothing) for level in counted]
        vocabulary = q + end
        unigrams = np.full(vocabulary, orders[0].log_backoff[0] - np.log(vocabulary))
        seen = orders[0].tokens
        unigrams[seen] = np.logaddexp(unigrams[seen], orders[0].log_probability)
        size = sum(len(level.tokens) for level in orders)
        return NGramModel(order, q, smoothing, begin, end, size, unigrams, tuple(orders[1:]))

    @property
    def eos(self) -> frozenset[int]:
        """The end-of-sequence token q, if sequences end."""
        return frozenset({self.alphabet_size} if self.end else ())

    def __call__(self, prefixes: Sequence[tuple[int, ...]], /) -> Float[np.ndarray, "batch vocabulary"]:
        """Log-probabilities of the token after each prefix.

        Parameters
        ----------
        prefixes : sequence of tuple of int
            The tokens so far, without end-of-sequence.

        Returns
        -------
        ndarray of float64, shape (batch, q + 1), or (batch, q) if sequences never end
            In nats, all finite. Rows sum to one within rounding.

        Raises
        ------
        ValueError, TypeError
            If there are no prefixes, or a token is outside the alphabet.

        Notes
        -----
        O(order log contexts) per prefix of any length, and O(1) per entry and per n-gram that continues the
        prefix. Only the last order - 1 tokens are used.
        """
        radix = self.alphabet_size + 2
        n = len(self._orders)
        try:
            contexts = [prefix[max(0, len(prefix) - n) :] for prefix in prefixes]
            flat, lengths = flattened("prefixes", contexts, self.alphabet_size)
        except (TypeError, ValueError):
            # So that errors give the position in the whole prefix.
            flat, lengths = flattened("prefixes", prefixes, self.alphabet_size)
        back = np.arange(1, n + 1)
        inside = back <= lengths[:, None]
        before = np.full(inside.shape, self.alphabet_size + 1, dtype=np.int64)
        before[inside] = flat.ravel()[(np.cumsum(lengths)[:, None] - back)[inside]]

        rows, place = np.arange(len(lengths)), np.zeros(len(lengths), dtype=np.int64)
        log_weight = np.zeros(len(lengths))
        found = []
        for level, token in zip(self._orders, before.T, strict=True):
            key = place * radix + token[rows]
            place = np.searchsorted(level.contexts, key)
            hit = level.contexts.take(place, mode="clip") == key
            rows, place = rows[hit], place[hit]
            log_weight[rows] += level.log_backoff[place]
            found.append((level, rows, place))

        # Logarithms throughout: products of the weights of many orders underflow float64.
        out: Float[np.ndarray, "batch vocabulary"] = log_weight[:, None] + self._log_unigrams
        log_weight[:] = 0
        for level, rows, place in reversed(found):
            first, sizes = level.offsets[place], level.offsets[place + 1] - level.offsets[place]
            row = np.repeat(rows, sizes)
            ngram = np.arange(len(row)) + np.repeat(first - (np.cumsum(sizes) - sizes), sizes)
            cell = row, level.tokens[ngram]
            out[cell] = np.logaddexp(out[cell], log_weight[row] + level.log_probability[ngram])
            log_weight[rows] += level.log_backoff[place]
        return out

    def along(
        self, sequence: tuple[int, ...], start: int, stop: int, /
    ) -> Float[np.ndarray, "batch vocabulary"]:
        """Log-probabilities of the token after each of ``sequence[:start]`` to ``sequence[:stop - 1]``.

        The same as calling the model, without a copy of every prefix.

        Parameters
        ----------
        sequence : tuple of int
            Symbols.
        start, stop : int
            Lengths of the first prefix, and of the last plus 1.

        Returns
        -------
        ndarray, shape (stop - start, alphabet_size)
            In nats.
        """
        n = len(self._orders)
        return self([sequence[max(0, end - n) : end] for end in range(start, stop)])

    def __repr__(self) -> str:
        return (
            f"NGramModel(order={self.order}, alphabet_size={self.alphabet_size}, "
            f"smoothing={self.smoothing!r}, n_parameters={self.n_parameters})"
        )


def _count(stream: Shaped[np.ndarray, "n"], order: int, q: int, begin: bool, progress: bool) -> list[_Counts]:
    """Occurrences of the n-grams of orders 1 to `order`, or up to the longest contexts in the data."""
    radix = q + 2
    at = np.flatnonzero(stream != q + 1)
    context = np.zeros(len(at), dtype=np.int64)
    contexts = np.zeros(1, dtype=np.int64)
    counted = []
    for back in tracked(range(order), "Counting", progress):
        if back:
            on = stream[at - back + begin] != q + 1
            at, key = at[on], context[on] * radix + stream[at[on] - back]
            if not len(at):
                break
            # Tokens are kept in the order of their contexts, so that equal contexts are adjacent.
            sort = np.argsort(key)
            at, key = at[sort], key[sort]
            new = run_starts(key)
            contexts, context = key[new], np.cumsum(new) - 1
        counted.append(_Counts(contexts, *np.unique(context * radix + stream[at], return_counts=True)))
    return counted


def _continuations(counted: list[_Counts], radix: int) -> list[_Counts]:
    """Kneser-Ney counts: different tokens before an n-gram, or occurrences if there is none."""
    adjusted = []
    for level, longer in pairwise(counted):
        context, token = np.divmod(longer.ngrams, radix)
        suffix = longer.contexts[context] // radix * radix + token
        different = np.bincount(np.searchsorted(level.ngrams, suffix), minlength=len(level.ngrams))
        adjusted.append(level._replace(counts=np.where(different > 0, different, level.counts)))
    return [*adjusted, counted[-1]]


def _smooth(level: _Counts, radix: int, smoothing: Smoothing) -> _Order:
    context, token = np.divmod(level.ngrams, radix)
    offsets = np.searchsorted(context, np.arange(len(level.contexts) + 1))
    totals = np.add.reduceat(level.counts, offsets[:-1])
    if smoothing == "witten-bell":
        kept, left = level.counts, np.diff(offsets)
        totals = totals + left
    else:
        discount = _discounts(level.counts)[np.minimum(level.counts, 3)]
        kept, left = level.counts - discount, np.add.reduceat(discount, offsets[:-1])
    log_probability, log_backoff = np.log(kept / totals[context]), np.log(left / totals)
    return _Order(
        level.contexts, offsets, token.astype(np.min_scalar_type(radix - 1)), log_probability, log_backoff
    )


def _discounts(counts: Int[np.ndarray, "ngrams"]) -> Float[np.ndarray, "4"]:
    """Discounts of modified Kneser-Ney at counts 0, 1, 2, and 3 or more."""
    n = np.bincount(np.minimum(counts, 5), minlength=5).tolist()
    # In integers, so that a discount of zero is recognised.
    above = [i * (n[1] + 2 * n[2]) * n[i] - (i + 1) * n[1] * n[i + 1] for i in (1, 2, 3)]
    below = [(n[1] + 2 * n[2]) * n[i] for i in (1, 2, 3)]
    if 0 in n[1:5] or min(above) <= 0:
        return np.array([0.0, *_FALLBACK])
    return np.array([0.0, *(a / b for a, b in zip(above, below, strict=True))])
