"""Querying a model, checking its answers, and building a tree from them."""

import reprlib
import sys
import warnings
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float, Int

from .._lib import checks, log_masses
from ..trees import EOS, REST, TokenTree

Prefix = tuple[int, ...]

_ROUNDING = {2: 1e-2, 4: 1e-5, 8: 1e-9}
"""Largest deviation of a row's sum from 1, by bytes per number: the rounding of a softmax of 10^5 terms."""

_SAME = 1e-3
"""Total variation between two answers to one question that rounding explains."""


@runtime_checkable
class NextTokenModel(Protocol):
    """Any callable that maps a batch of prefixes to log-probabilities of the next token.

    Four attributes are optional. `eos`: the token ids that end a response. `partial`: True if rows may sum to
    less than one because -inf means "unknown" rather than "impossible"; such a model may also return wider
    rows as it meets new tokens. `rounding`: the largest total variation between two answers to the same
    question that rounding explains, 0.001 by default. `needs_start`: why an empty prompt is an error; an
    empty text if it is not.

    Three methods are optional too. ``encode(text)`` gives the ids of a text, so that prompts may be text, and
    ``text(ids)`` the text of one or several ids. ``along(sequence, start, stop)`` gives the answers to
    ``sequence[:i]`` for i from `start` to ``stop - 1``, at most ``len(sequence)``, one row each: `read_along`
    then passes a long document once, instead of all its prefixes, whose total length is quadratic in its own.
    """

    def __call__(self, prefixes: Sequence[Prefix], /) -> Float[np.ndarray, "batch vocabulary"]:
        """Natural logarithms of shape (B, V) for B prefixes of any lengths."""


def spelled(tokens: Mapping[int, bytes], symbols: int | Iterable[int]) -> str:
    r"""Text of symbols that stand for bytes; ``\xc3`` is not text, ``<17>`` a symbol without bytes."""
    symbols = [symbols] if isinstance(symbols, int | np.integer) else symbols
    raw = b"".join(tokens.get(int(symbol), b"<%d>" % symbol) for symbol in symbols)
    return raw.decode(errors="backslashreplace")


def checked_model(model: Any) -> None:
    """Refuse what is not a model, and a transformers model without its wrapper."""
    name = type(model).__name__
    if hasattr(model, "config") and hasattr(model, "can_generate"):
        raise TypeError(f"model is a {name}: wrap it, adapters.CausalLM(model, tokenizer)")
    if not callable(model):
        raise TypeError(f"model is a {name}: must be callable on a batch of prefixes")


def prompt_ids(model: Any, prompt: str | Sequence[int]) -> Prefix:
    """The ids of a prompt; a text is encoded by the model's own tokenizer."""
    if not isinstance(prompt, str):
        return tuple(checks.integer(f"prompt[{i}]", token, 0) for i, token in enumerate(prompt))
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


def _slack(rows: Float[np.ndarray, "batch vocabulary"]) -> float:
    return _ROUNDING.get(rows.dtype.itemsize, _ROUNDING[8])


class _Positions(Sequence[Prefix]):
    """The prefixes of a sequence over a range of lengths, created on access."""

    def __init__(self, sequence: Prefix, start: int, stop: int, skip: int) -> None:
        """`skip`: length of the prompt, with which the sequence begins and the prefixes do not."""
        self.sequence, self.start, self.stop, self.skip = sequence, start, stop, skip

    def __len__(self) -> int:
        return self.stop - self.start

    def __getitem__(self, i: Any) -> Any:
        return self.sequence[self.skip : range(self.start, self.stop)[i]]


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
    ) -> None:
        checked_model(model)
        self.model = model
        self.prompt = prompt_ids(model, prompt)
        if not self.prompt and (needs := getattr(model, "needs_start", "")):
            raise ValueError(f"prompt is empty: {needs}")
        eos = getattr(model, "eos", ()) if eos is None else eos
        self.eos = sorted({checks.integer("eos", token, 0) for token in eos})
        self.final: list[int] = []
        """End-of-sequence ids within the width of the model's rows so far."""
        self.partial = bool(getattr(model, "partial", False))
        self.named = dict(getattr(model, "named_ends", {}))
        """Ends that the model knows by their text only, until an answer contains them."""
        self.batch_size = checks.integer("batch_size", batch_size, 1)
        self.renormalize = renormalize
        self.depth = depth
        self.width = 0
        self.same = float(getattr(model, "rounding", _SAME))
        self.first = np.empty(0)
        self.sure = True
        self.room = np.empty((0, 0))
        self.count = 0
        """Expansions so far; each has a number, in the order in which they were asked for."""
        self.where: list[Int[np.ndarray, "3 _"]] = []
        """For every expansion: the number of its parent, its last token, and its depth."""
        self.children: list[tuple[Int[np.ndarray, "_"], Float[np.ndarray, "_"], Int[np.ndarray, "_"]]] = []
        """The children of each expansion in turn: tokens, probabilities, and their number."""

    def ask(self, prefixes: Sequence[Prefix]) -> "_Answer":
        """The checked answer to one question; the first is put twice, to notice a random model at once."""
        answer = self._put(prefixes)
        if not self.count:
            self.first = answer.first()
            answer = self._put(prefixes)
            self._compare(answer)
        return answer

    def _put(self, prefixes: Sequence[Prefix]) -> "_Answer":
        """Put one question to the model, and check the answer."""
        try:
            if isinstance(prefixes, _Positions):
                along: Any = getattr(self.model, "along")  # noqa: B009 (the protocol need not have it)
                given = along(prefixes.sequence, prefixes.start, prefixes.stop)
            else:
                given = self.model([self.prompt + prefix for prefix in prefixes])
            rows = checks.array("its answer", given)
        except Exception as error:
            raise _Refused(f"the model failed: {type(error).__name__}: {error}") from error
        n = len(prefixes)
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
        self.final = [token for token in self.eos if token < self.width]
        if self.room.shape[0] < n or self.room.shape[1] != self.width:
            self.room = np.empty((max(n, min(self.batch_size, 2 * n)), self.width))
        known = self.room[:n]
        with np.errstate(over="ignore", invalid="ignore"):
            np.exp(rows, out=known, dtype=np.float64)
            sums = known.sum(axis=1)
        slack = _slack(rows)
        self._check_rows(rows, sums, slack, prefixes)
        # Mass that a row lacks beyond rounding is unknown; an empty row cannot be divided by its sum.
        whole = (sums >= 1 - slack) | (self.renormalize & (sums > 0))
        self._doubt(bool((whole & (known.max(axis=1) == sums)).all()))
        # A partial model's -inf is unknown too: where no mass is left for it, it may be lost in rounding.
        lacking = self._lacking(rows)
        unknown = np.where(whole, slack * lacking, 1 - sums)
        divisors = np.where(whole, sums + unknown, 1)
        known /= divisors[:, None]
        unknown /= divisors
        self.named = {
            token: name for token, name in self.named.items() if not known[:, token : token + 1].any()
        }
        ends = known[:, self.final].sum(axis=1)
        known[:, self.final] = 0
        # Of several ends a partial model may list some only, and the chance of the end is then unknown.
        closed = ~lacking | (np.isfinite(rows[:, self.final]).sum(axis=1) == len(self.eos))
        unknown += np.where(closed, 0, ends)
        ends[~closed] = 0
        return _Answer(unknown, ends, known, rows, divisors, closed)

    def _lacking(self, rows: Float[np.ndarray, "batch vocabulary"]) -> Bool[np.ndarray, "batch"]:
        """Which rows lack a token. A model that is not partial lists all, and so do rows to renormalise."""
        if not self.partial or self.renormalize:
            return np.zeros(len(rows), bool)
        ids = max([self.width, *(token + 1 for token in self.eos)])
        lacking: Bool[np.ndarray, "batch"] = np.isfinite(rows).sum(axis=1) < ids
        return lacking

    def _check_rows(
        self,
        rows: Float[np.ndarray, "batch vocabulary"],
        sums: Float[np.ndarray, "batch"],
        slack: float,
        prefixes: Sequence[Prefix],
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
                value = rows[row, token].item()
                raise _Refused(
                    f"after prefix {prefixes[row]} the log-probability of {token} is {value}: {wrong}"
                )
        if off.any():
            row = int(np.flatnonzero(off)[0])
            raise _Refused(f"after prefix {prefixes[row]} the probabilities sum to {sums[row]}: {rule}")

    def expand(
        self,
        where: Int[np.ndarray, "3 batch"],
        answer: "_Answer",
        listed: Int[np.ndarray, "listed"],
        ending: Int[np.ndarray, "ending"] | None = None,
    ) -> tuple[Int[np.ndarray, "n"], Float[np.ndarray, "n"], list[int]]:
        """Record listed ids, end-of-sequence, and the rest as `REST`; return tokens, probabilities and ends.

        `where` has the layout of `self.where`, `listed` holds positions in the answer's flattened ids, and
        `ending` the rows that show their end-of-sequence even if it is impossible.
        """
        ids = answer.ids.ravel()
        rows, columns = np.divmod(listed, self.width)
        chances, closing = ids[listed], answer.ends
        # The unlisted remainder is summed by itself, which keeps its digits.
        ids[listed] = 0
        rest = answer.unknown + answer.ids.sum(axis=1)
        has_rest, has_end = rest > 0, closing > 0
        if ending is not None:
            has_end[ending] = True
        if chances.min(initial=1) < log_masses.LEAST:
            faint = np.flatnonzero(chances < log_masses.LEAST)
            chances[faint] = log_masses.of_logs(answer.logs(rows[faint], columns[faint]))
        if self.eos and (faint := np.flatnonzero(has_end & (closing < log_masses.LEAST))).size:
            logs = answer.logs(faint[:, None], self.final)
            closing[faint] = log_masses.of_logs(np.logaddexp.reduce(logs, axis=1))
        extra = np.cumsum(has_rest.astype(np.int64) + has_end)
        at = np.arange(len(listed)) + extra[rows]
        stops = extra + np.cumsum(np.bincount(rows, minlength=len(rest)))
        starts = np.append(0, stops[:-1])
        tokens, found = np.empty(stops[-1], np.int32), np.empty(stops[-1])
        tokens[at], found[at] = columns, chances
        tokens[starts[has_rest]], found[starts[has_rest]] = REST, rest[has_rest]
        at = (starts + has_rest)[has_end]
        tokens[at], found[at] = EOS, closing[has_end]
        self.where.append(where)
        self.children.append((tokens, found, stops - starts))
        self.count += len(stops)
        return tokens, found, stops.tolist()

    def check(self) -> None:
        """Repeat the first question, if there were others, and warn of ends that never occurred."""
        if self.count > 1:
            self._compare(self._put([()]))
        if self.named:
            warnings.warn(
                f"eos = {reprlib.repr(list(self.named.values()))} is in no answer: a server may write it "
                "otherwise, llama.cpp as nothing at all; name it by its id",
                stacklevel=3,
            )

    def _compare(self, answer: "_Answer") -> None:
        """Refuse a model whose answer to the first question has changed."""
        # A partial model may have met new tokens since; the first answer knows none of them.
        apart = float(np.abs(answer.first()[: len(self.first)] - self.first).sum() / 2)
        if apart > self.same:
            raise _Refused(
                f"the model changed its answer: two of its answers to the first question are {apart:.2g} "
                f"apart in total variation, and rounding explains {self.same:g}; is dropout on? If its "
                "rounding is that large, say so in its attribute `rounding`"
            )

    def _doubt(self, certain: bool) -> None:
        """Warn of a server that is certain of every token: it may report the token that it has drawn."""
        # Certainty made by renormalising says nothing, and complete rows need no such warning.
        if not self.sure or not self.partial or self.renormalize:
            return
        self.sure = certain
        # The first token alone may well be certain, and all that follows lies on one path.
        if self.sure and self.count:
            self.sure = False
            warnings.warn(
                "the model is certain of the first token and of the next, as is a server that reports "
                "probabilities after sampling at temperature 0, and the tree is a single path. Query it at "
                "temperature 1, for probabilities before sampling. If the model is really that certain, "
                "warnings.filterwarnings('ignore', 'the model is certain') silences this",
                stacklevel=4,
            )

    def tree(self, kept: Collection[int], alphabet_size: int | None = None) -> TokenTree:
        """The tree of the expansions in `kept`; every other prefix gets its mass as an unexpanded leaf."""
        q = alphabet_size or max(1, self.width)
        while alphabet_size is None and q > 1 and q - 1 in self.eos:
            q -= 1
        token = np.min_scalar_type(-q)
        up, last, depths = np.concatenate([np.empty((3, 0), np.int64), *self.where], axis=1)
        # What is not kept is like the last one: an unread leaf has the whole mass.
        children = [*self.children, (np.array([REST]), np.ones(1), np.ones(1, np.int64))]
        symbols, chances, sizes = (np.concatenate(column) for column in zip(*children, strict=True))
        chances, powers = log_masses.scaled(chances)
        begin = np.cumsum(sizes) - sizes
        expanded = np.fromiter(kept, np.int64, len(kept))
        # Until the end, a mass is a number times a power of 2.
        numbers, scale = np.ones(1), np.zeros(1)
        levels = [(np.zeros(1, token), np.zeros(1, np.int32), numbers, scale)]
        # The place of each expansion in its level.
        node = np.zeros(self.count, np.int64)
        for depth in range(self.depth):
            inner = np.flatnonzero(levels[-1][0] >= 0)
            if not inner.size:
                break
            which = np.full(len(numbers), self.count)
            here = expanded[depths[expanded] == depth]
            which[node[here]] = here
            which = which[inner]
            counts = sizes[which]
            parents = np.repeat(inner, counts)
            out_of = np.arange(len(parents)) + np.repeat(begin[which] - np.cumsum(counts) + counts, counts)
            numbers, shift = log_masses.scaled(numbers[parents] * chances[out_of])
            scale = scale[parents] + powers[out_of] + shift
            levels.append((symbols[out_of].astype(token), parents.astype(np.int32), numbers, scale))
            below = expanded[depths[expanded] == depth + 1]
            keys = parents * (q - REST) + symbols[out_of] - REST
            node[below] = np.searchsorted(keys, node[up[below]] * (q - REST) + last[below] - REST)
        offsets = np.cumsum([0, *(len(tokens) for tokens, *_ in levels)])
        tokens, parents, numbers, scale = (np.concatenate(column) for column in zip(*levels, strict=True))
        return TokenTree(q, offsets, (tokens, parents, log_masses.of_scaled(numbers, scale)))

    @contextmanager
    def guard(
        self,
        kept: Callable[[], Collection[int]],
        keep_on_interrupt: bool | None,
        alphabet_size: int | None = None,
    ) -> Iterator[None]:
        """Keep what was read if the model fails, or if Ctrl-C interrupts an interactive read."""
        try:
            yield
        except KeyboardInterrupt:
            # Python's prompt and IPython set it.
            if not (hasattr(sys, "ps1") if keep_on_interrupt is None else keep_on_interrupt):
                raise
            warnings.warn(f"interrupted after {len(kept())} prefixes: the rest is unexpanded", stacklevel=4)
        except _Refused as error:
            raise ReadError(str(error), self.tree(kept(), alphabet_size)) from error.__cause__


class _Answer(NamedTuple):
    """Probabilities after a batch of prefixes."""

    unknown: Float[np.ndarray, "batch"]
    ends: Float[np.ndarray, "batch"]
    ids: Float[np.ndarray, "batch vocabulary"]
    """Zero if an id ends the sequence; the next answer overwrites them."""
    rows: Float[np.ndarray, "batch vocabulary"]
    """The logarithms that the model gave, end-of-sequence included."""
    divisors: Float[np.ndarray, "batch"]
    """The sums by which their exponentials were divided."""
    closed: Bool[np.ndarray, "batch"]
    """Whether the chance of the end is known."""

    def logs(
        self, rows: Int[np.ndarray, "*n"], columns: Int[np.ndarray, "*n"] | list[int]
    ) -> Float[np.ndarray, "..."]:
        """Logarithms of probabilities that are too small for float64."""
        found: Float[np.ndarray, "..."] = self.rows[rows, columns] - np.log(self.divisors[rows])
        return found

    def first(self) -> Float[np.ndarray, "tokens"]:
        """A copy of the first row of all three."""
        return np.concatenate([self.unknown[:1], self.ends[:1], self.ids[0]])


class _Refused(Exception):
    """The reason why a read cannot continue."""
