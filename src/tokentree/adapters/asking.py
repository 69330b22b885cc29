"""Querying a model, checking its answers, and building a tree from them."""

import reprlib
import sys
import warnings
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

from .._lib import checks, log_masses
from .._lib.progress import counter
from ..trees import EOS, REST, Nodes, TokenTree, tree_of_levels

Prefix = tuple[int, ...]

_ROUNDING = {2: 1e-2, 4: 1e-5, 8: 1e-9}
"""Largest deviation of a row's sum from 1, by bytes per number: the rounding of a softmax of 10^5 terms."""

_SAME = 1e-3
"""Total variation between two answers to one question that rounding explains."""


@runtime_checkable
class NextTokenModel(Protocol):
    """Any callable that maps a batch of prefixes to log-probabilities of the next token.

    Six attributes are optional. `eos`: the token ids that end a response. `partial`: True if -inf means
    "unknown" rather than "impossible". Rows may then sum to less than one, and grow wider as the model meets
    new tokens. For ids that a row does not list, the missing mass is left open or, where that is lost in
    rounding, the rounding itself: 1e-9, 1e-5 in float32, 0.01 in float16. `alphabet_size`: the least alphabet
    of the model's trees, even if its rows are not as wide. `rounding`: the largest total variation between
    two answers to the same question that rounding explains, 0.001 by default. `needs_start`: why an empty
    prompt is an error; an empty text if it is not. `top`: how many of the likeliest tokens a row lists, one
    number in all of a `Recording`.

    Three methods are optional too. ``encode(text)`` gives the ids of a text, so that prompts may be text, and
    ``text(ids)`` the text of one or several ids. ``along(sequence, start, stop)`` gives the answers to
    ``sequence[:i]`` for i from `start` to ``stop - 1``, at most ``len(sequence)``, one row each: `read_along`
    then passes a long document once, instead of all its prefixes, whose total length is quadratic in its own.
    """

    def __call__(self, prefixes: Sequence[Prefix], /) -> Float[np.ndarray, "batch vocabulary"]:
        """Natural logarithms of shape (B, V) for B prefixes of any lengths."""


def checked_ids(ids: int | Iterable[int]) -> list[int]:
    """One or several ids as a list; the digits of a text are none."""
    given = list(ids) if isinstance(ids, Iterable) else [ids]
    if texts := [i for i in given if isinstance(i, str)]:
        raise TypeError(
            f"{reprlib.repr(texts[0])} is text: must be token ids, as model.encode(text) gives them"
        )
    return [int(i) for i in given]


def spelled(tokens: Mapping[int, bytes], symbols: int | Iterable[int]) -> str:
    r"""Text of symbols that stand for bytes; ``\xc3`` is not text, ``<17>`` a symbol without bytes."""
    raw = b"".join(tokens.get(symbol, b"<%d>" % symbol) for symbol in checked_ids(symbols))
    return raw.decode(errors="backslashreplace")


def checked_model(model: Any) -> None:
    """Refuse what is not a model, and a transformers model without its wrapper."""
    name = type(model).__name__
    if hasattr(model, "config") and hasattr(model, "can_generate"):
        raise TypeError(f"model is a {name}: wrap it, adapters.CausalLM(model, tokenizer)")
    if not callable(model):
        raise TypeError(f"model is a {name}: must be callable on a batch of prefixes")


def checked_text(text: Any) -> str:
    """One text to be encoded; a tokenizer would join a list of them without a word."""
    if not isinstance(text, str):
        raise TypeError(
            f"text is a {type(text).__name__}: must be a single str; "
            "encode one text at a time, [model.encode(text) for text in texts]"
        )
    return text


def checked_prefixes(prefixes: Any) -> list[Prefix]:
    """Prefixes as tuples; texts and single ids are refused."""
    given = [("prefixes", prefixes)]
    if isinstance(prefixes, Iterable) and not isinstance(prefixes, str):
        given = [(f"prefixes[{i}]", prefix) for i, prefix in enumerate(prefixes)]
    for where, prefix in given:
        if isinstance(prefix, str) or not isinstance(prefix, Iterable):
            raise TypeError(
                f"{where} = {reprlib.repr(prefix)}: a model takes a list of prefixes, each a tuple of token "
                "ids; of a text, model([tuple(model.encode(text))])"
            )
    return [tuple(prefix) for _, prefix in given]


def prompt_ids(model: Any, prompt: str | Sequence[int]) -> Prefix:
    """The ids of a prompt; a text is encoded by the model's own tokenizer."""
    if not isinstance(prompt, str):
        given = checks.items("prompt", prompt, "must be text or a sequence of token ids")
        return tuple(checks.integer(f"prompt[{i}]", token, 0) for i, token in enumerate(given))
    encode = getattr(model, "encode", None)
    if encode is None:
        raise TypeError(
            f"prompt = {reprlib.repr(prompt)} is text, and the model has no method `encode`: give token ids, "
            "or a model with a tokenizer, such as LlamaCpp(path) or CausalLM(model, tokenizer=...)"
        )
    return tuple(encode(prompt))


class ReadError(ValueError):
    """A model failed, or its answer is not a distribution.

    Attributes
    ----------
    tree : TokenTree
        What was read before the failure, a valid tree.
    """

    def __init__(self, message: str, tree: TokenTree) -> None:
        super().__init__(message)
        self.tree = tree


class _Refused(Exception):
    """The reason why a read cannot continue."""


class _Along(NamedTuple):
    """The prefixes of a sequence that have from `start` to ``stop - 1`` tokens."""

    sequence: Prefix
    start: int
    stop: int


class _Answer(NamedTuple):
    """Probabilities after a batch of prefixes."""

    ids: Float[np.ndarray, "batch vocabulary"]
    """Zero if an id ends the sequence."""
    ends: Float[np.ndarray, "batch"]
    """As `log_masses` has them."""
    unknown: Float[np.ndarray, "batch"]
    has_end: Bool[np.ndarray, "batch"]
    """Whether the chance of the end is known."""
    rows: Float[np.ndarray, "batch vocabulary"]
    """The logarithms that the model gave, end-of-sequence included."""
    divisors: Float[np.ndarray, "batch"]
    """The sums by which their exponentials were divided."""


class _Reading:
    """The checked answers of a model, and the tree built from them."""

    def __init__(
        self,
        model: NextTokenModel,
        prompt: str | Sequence[int],
        eos: Collection[int] | None,
        batch_size: int,
        renormalize: bool,
        depth: int,
        alphabet_size: int | None = None,
    ) -> None:
        checked_model(model)
        self.model = model
        self.prompt = prompt_ids(model, prompt)
        self.shown = reprlib.repr(prompt)
        if not self.prompt and (needs := getattr(model, "needs_start", "")):
            raise ValueError(f"prompt is empty: {needs}")
        eos = getattr(model, "eos", ()) if eos is None else eos
        self.eos = sorted({checks.integer("eos", token, 0) for token in eos})
        self.partial = bool(getattr(model, "partial", False))
        self.named = dict(getattr(model, "named_ends", {}))
        """Ends that the model knows by their text only, until an answer contains them."""
        self.batch_size = checks.integer("batch_size", batch_size, 1)
        self.renormalize, self.depth, self.alphabet_size = renormalize, depth, alphabet_size
        self.least = checks.integer("model.alphabet_size", getattr(model, "alphabet_size", None) or 0, 0)
        self.width = 0
        self.same = float(getattr(model, "rounding", _SAME))
        self.first: Float[np.ndarray, "tokens"] | None = None
        # Certainty made by renormalising says nothing, and complete rows need no such warning.
        self.sure = self.partial and not renormalize
        self.count = 0
        """Expansions so far."""
        first = np.array([REST]), np.ones(1), np.zeros(1, np.int64), np.array([-1]), np.ones(1, np.int64)
        self.expansions: list[tuple[Shaped[np.ndarray, "_"], ...]] = [first]
        """Tokens, probabilities and numbers of children; numbers of the nodes, and their counts of children.

        The root has number 0, other nodes what the reader calls them. The first entry stands for every node
        that is not expanded: its unexpanded leaf has the whole mass.
        """

    def ask(self, prefixes: Sequence[Prefix] | _Along) -> _Answer:
        """The checked answer to one question; the first is put twice, to notice a random model at once."""
        # A tree of unexpanded mass alone would say nothing, and pass for an answer.
        if not self.count and not np.isfinite(self._put(prefixes).rows).any():
            raise _Refused(
                f"nothing is known after prompt = {self.shown}: the model lists no token there. If it is a "
                "Recording without its model, this prompt was not recorded: give one that was, or the model, "
                "Recording(path, model)"
            )
        return self._put(prefixes)

    def _put(self, asked: Sequence[Prefix] | _Along) -> _Answer:
        """Put one question to the model, and check the answer."""
        n = asked.stop - asked.start if isinstance(asked, _Along) else len(asked)
        try:
            if isinstance(asked, _Along):
                along: Any = getattr(self.model, "along")  # noqa: B009 (the protocol need not have it)
                given = along(*asked)
            else:
                given = self.model([self.prompt + prefix for prefix in asked])
            rows = checks.array("its answer", given)
        except Exception as error:
            raise _Refused(f"the model failed: {type(error).__name__}: {error}") from error
        self._check_shape(rows, n)
        with np.errstate(over="ignore", invalid="ignore"):
            known = np.exp(rows, dtype=np.float64)
            sums = known.sum(axis=1)
        slack = _ROUNDING.get(rows.dtype.itemsize, _ROUNDING[8])
        self._check_rows(rows, sums, slack, asked)
        # Mass that a row lacks beyond rounding is unknown; an empty row cannot be divided by its sum.
        whole = (sums >= 1 - slack) | (self.renormalize & (sums > 0))
        if self.sure:
            self._doubt(bool((whole & (known.max(axis=1) == sums)).all()))
        # A partial model's -inf is unknown too: where no mass is left for it, it may be lost in rounding.
        ids = max([self.width, self.least, *(token + 1 for token in self.eos)])
        lacking = self.partial and not self.renormalize and np.isfinite(rows).sum(axis=1) < ids
        unknown = np.where(whole, slack * lacking, 1 - sums)
        divisors = np.where(whole, sums + unknown, 1)
        known /= divisors[:, None]
        unknown /= divisors
        # The root is asked about first and last.
        if self._prefix(asked, 0) == ():
            self._compare(known[0].copy())
        self.named = {
            token: name for token, name in self.named.items() if not known[:, token : token + 1].any()
        }
        final = [token for token in self.eos if token < self.width]
        ends, listed = known[:, final].sum(axis=1), np.isfinite(rows[:, final]).sum(axis=1)
        known[:, final] = 0
        # Of several ends a partial model may list some only, and the chance of the end is then unknown.
        has_end = (unknown == 0) | (listed == len(self.eos))
        unknown += np.where(has_end, 0, ends)
        logs = np.logaddexp.reduce(rows[:, final].astype(np.float64), axis=1) - np.log(divisors)
        ends = np.where(ends < log_masses.LEAST, log_masses.of_logs(logs), ends)
        return _Answer(known, np.where(has_end, ends, 0), unknown, has_end, rows, divisors)

    def _prefix(self, asked: Sequence[Prefix] | _Along, i: int) -> Prefix:
        if isinstance(asked, _Along):
            return asked.sequence[len(self.prompt) : asked.start + i]
        return asked[i]

    def _check_shape(self, rows: Shaped[np.ndarray, "..."], n: int) -> None:
        if rows.dtype.kind != "f" or rows.ndim != 2 or rows.shape[0] != n or rows.shape[1] == 0:
            raise _Refused(
                f"the model answered {n} prefixes with shape {rows.shape} and dtype {rows.dtype}: "
                f"must be floats of shape ({n}, vocabulary)"
            )
        if self.width and (rows.shape[1] < self.width or (not self.partial and rows.shape[1] > self.width)):
            raise _Refused(f"the model answered with {rows.shape[1]} ids, and before with {self.width}")
        self.width = rows.shape[1]
        if not self.partial and self.eos and self.eos[-1] >= self.width:
            raise _Refused(f"eos = {self.eos[-1]}: the model's ids end at {self.width - 1}")

    def _check_rows(
        self,
        rows: Float[np.ndarray, "batch vocabulary"],
        sums: Float[np.ndarray, "batch"],
        slack: float,
        asked: Sequence[Prefix] | _Along,
    ) -> None:
        """Report what is wrong with the first row that is not a distribution, if any."""
        low = -np.inf if self.partial else 1 - slack
        off = ~((sums >= low) & (sums <= 1 + slack))
        if not self.renormalize and not off.any():
            return
        rule = f"must be 1 within {slack:g}; renormalize=True divides by the sum"
        if self.renormalize:
            off, rule = ~(sums > 0) & (not self.partial), "there is nothing to renormalize"
        for bad, wrong in ((np.isnan(rows), "is not a number"), (rows > slack, "must not be above 0")):
            if bad.any():
                row, token = (int(i) for i in np.argwhere(bad)[0])
                value, prefix = rows[row, token].item(), self._prefix(asked, row)
                raise _Refused(f"after prefix {prefix} the log-probability of {token} is {value}: {wrong}")
        if off.any():
            row = int(np.flatnonzero(off)[0])
            prefix = self._prefix(asked, row)
            raise _Refused(f"after prefix {prefix} the probabilities sum to {sums[row]}: {rule}")

    def _compare(self, now: Float[np.ndarray, "tokens"]) -> None:
        """Refuse a model whose answer to the first question has changed."""
        if self.first is None:
            self.first = now
        # A partial model may have met new tokens since. What it does not list counts as one token more.
        change = now[: len(self.first)] - self.first
        apart = float(np.abs(change).sum() + abs(change.sum())) / 2
        if apart > self.same:
            raise _Refused(
                f"the model changed its answer: two of its answers to the first question are {apart:.2g} "
                f"apart in total variation, and rounding explains {self.same:g}; is dropout on? If its "
                "rounding is that large, say so in its attribute `rounding`"
            )

    def _doubt(self, certain: bool) -> None:
        """Warn of a server that is certain of every token: it may report the token that it has drawn."""
        # The first token alone may well be certain, and all that follows lies on one path.
        self.sure = certain and not self.count
        if certain and self.count:
            warnings.warn(
                "the model is certain of the first token and of the next, as is a server that reports "
                "probabilities after sampling at temperature 0, and the tree is a single path. Query it at "
                "temperature 1, for probabilities before sampling. If the model is really that certain, "
                "warnings.filterwarnings('ignore', 'the model is certain') silences this",
                stacklevel=7,
            )

    def expand(
        self,
        nodes: Int[np.ndarray, "batch"],
        answer: _Answer,
        listed: Int[np.ndarray, "listed"],
        numbers: Int[np.ndarray, "listed"],
        ending: Int[np.ndarray, "ending"],
    ) -> tuple[Float[np.ndarray, "listed"], Int[np.ndarray, "batch"]]:
        """Record listed ids, end-of-sequence, and the rest as `REST`.

        `listed` holds positions in the answer's flattened ids, `numbers` those of their nodes, and `ending`
        the rows that show their end-of-sequence even if it is impossible. The result is the probabilities of
        listed ids, as `log_masses` has them, and how many children each of `nodes` has.
        """
        rows, columns = np.divmod(listed, self.width)
        chances = answer.ids.ravel()[listed]
        faint = np.flatnonzero(chances < log_masses.LEAST)
        logs = answer.rows[rows[faint], columns[faint]] - np.log(answer.divisors[rows[faint]])
        chances[faint] = log_masses.of_logs(logs)
        # The unlisted remainder is summed by itself, which keeps its digits.
        answer.ids.ravel()[listed] = 0
        rest = answer.unknown + answer.ids.sum(axis=1)
        shown = log_masses.rounded(answer.ends) > 0
        shown[ending] = True
        pools, ends = np.flatnonzero(rest > 0), np.flatnonzero(shown)
        others = np.append(pools, ends)
        order = np.argsort(others, kind="stable")
        starts = np.searchsorted(rows, others[order])
        marks = np.repeat([REST, EOS], [len(pools), len(ends)])
        tokens = np.insert(columns.astype(np.int32), starts, marks[order])
        masses = np.insert(chances, starts, np.append(rest[pools], answer.ends[ends])[order])
        sizes = np.bincount(rows, minlength=len(nodes)) + (rest > 0) + shown
        self.expansions.append((tokens, masses, np.insert(numbers, starts, 0), nodes, sizes))
        self.count += len(nodes)
        return chances, sizes

    def tree(self, kept: Collection[int] | None = None) -> TokenTree:
        """The tree in which these nodes, by default all, are expanded, and others have an unexpanded leaf."""
        q = self.alphabet_size or max(1, self.width, self.least)
        while self.alphabet_size is None and q > max(1, self.least) and q - 1 in self.eos:
            q -= 1
        token = np.min_scalar_type(-q)
        columns = (np.concatenate(each) for each in zip(*self.expansions, strict=True))
        tokens, chances, numbers, nodes, sizes = columns
        chances, powers = log_masses.scaled(chances)
        begin = np.cumsum(sizes) - sizes
        which = np.flatnonzero(nodes >= 0 if kept is None else np.isin(nodes, list(kept)))
        expansion = np.zeros(1 + max(nodes.max(), numbers.max(), 0), np.int64)
        expansion[nodes[which]] = which
        # The root has the number of the first entry.
        at = np.zeros(1, np.int64)
        # Until the end, a mass is a number times a power of 2.
        mantissas, exponents = np.ones(1), np.zeros(1)
        levels: list[Nodes] = [(np.zeros(1, token), np.zeros(1, np.int32), mantissas)]
        for _ in range(self.depth):
            inner = np.flatnonzero(levels[-1][0] >= 0)
            if not inner.size:
                break
            which = expansion[numbers[at[inner]]]
            counts = sizes[which]
            parents = np.repeat(inner, counts)
            at = np.arange(len(parents)) + np.repeat(begin[which] - np.cumsum(counts) + counts, counts)
            mantissas, shift = log_masses.scaled(mantissas[parents] * chances[at])
            exponents = exponents[parents] + powers[at] + shift
            masses = log_masses.of_scaled(mantissas, exponents)
            levels.append((tokens[at].astype(token), parents.astype(np.int32), masses))
        return tree_of_levels(q, levels)

    def run(
        self,
        steps: Iterator[None],
        keep_on_interrupt: bool | None,
        progress: bool,
        kept: Callable[[], Collection[int]] | None = None,
    ) -> TokenTree:
        """The tree after these steps; what was read, if the model fails or Ctrl-C ends an interactive read.

        `kept` gives the nodes that are expanded in it.
        """
        try:
            with counter(progress) as show:
                for _ in steps:
                    show(self.count)
                if self.count > 1:
                    self._put([()])
        except KeyboardInterrupt:
            # Python's prompt and IPython set it.
            if not (hasattr(sys, "ps1") if keep_on_interrupt is None else keep_on_interrupt):
                raise
            read = self.count if kept is None else len(kept())
            warnings.warn(f"interrupted after {read} prefixes: the rest is unexpanded", stacklevel=3)
        except _Refused as error:
            raise ReadError(str(error), self.tree(kept and kept())) from error.__cause__
        else:
            if self.named:
                warnings.warn(
                    f"eos = {reprlib.repr(list(self.named.values()))} is in no answer: a server may write it "
                    "otherwise, llama.cpp as nothing at all; name it by its id",
                    stacklevel=3,
                )
        return self.tree(kept and kept())
