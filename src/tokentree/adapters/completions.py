"""Models behind a completions API: recorded answers, and a server asked as the tree grows.

An API tells the log-probabilities of the few most likely tokens and hides the rest. So these models are
partial: what the answers do not say is -inf in a row, and becomes mass that the tree reports as unexpanded.
What an answer says, and how it is read, is in `responses`.
"""

import math
import reprlib
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from .._lib import checks
from .answers import Choice, Position, Token, _check_sum, _log_sum, _parse
from .asking import Prefix
from .vocabulary import Vocabulary


class _Answers:
    """What is known after each prefix."""

    partial = True

    def __init__(self, vocabulary: Vocabulary | None, eos: Iterable[str | int]) -> None:
        if isinstance(eos, str):
            raise TypeError(f"eos = {eos!r} is one token: pass a list of tokens")
        self.vocabulary = Vocabulary() if vocabulary is None else vocabulary
        self._ends: dict[str | int, int] = {}
        for i, name in enumerate(eos):
            if not isinstance(name, str | int) or isinstance(name, bool):
                raise TypeError(f"eos[{i}] = {name!r}: must be a token's text or its id")
            token = Token(name) if isinstance(name, str) else Token(None, id=name)
            self._ends[name] = self.vocabulary.add(token)
        self._met: set[str | int] = set()
        self._stops: dict[Token, None] = {}

    def _known(self, prefix: Prefix) -> Mapping[int, float]:
        """Log-probabilities by symbol after `prefix`."""
        raise NotImplementedError

    @property
    def eos(self) -> frozenset[int]:
        """Symbols that end a sequence."""
        return frozenset(self._ends.values())

    def _symbol(self, token: Token) -> int:
        for name in (token.id, token.text):
            if name is not None and name in self._ends:
                self._met.add(name)
                return self._ends[name]
        return self.vocabulary.add(token)

    def _check_end(self, position: Position, where: str) -> None:
        """Refuse an end that has an id where it is chosen, and none where it is an alternative."""
        if position.id in self._ends:
            self._met.add(position.id)
            if self._ends.keys().isdisjoint((position.token.id, position.token.text)):
                raise ValueError(
                    f"{where}: the token of id {position.id} is in eos, and the answer has ids for chosen "
                    f"tokens only: add its name {position.token.key!r} to eos, or ask for ids"
                )

    def _note(self, choice: Choice) -> None:
        """Keep in mind what an answer ended with, if it shows."""
        if choice.positions and choice.finish_reason in ("stop", "eos"):
            last = choice.positions[-1].token
            if not last.text or len(choice.positions) == 1:
                self._stops[last] = None

    def _warn_of_ends(self) -> None:
        """Tell of ends that no answer has named."""
        if never := [name for name in self._ends if name not in self._met]:
            warn_of_ends(never, [token for token in self._stops if self._symbol(token) not in self.eos])

    def _row(self, position: Position) -> dict[int, float]:
        """Log-probabilities by symbol; tokens of one end-of-sequence symbol add up."""
        parts: dict[int, list[float]] = {}
        for token, logprob in position.known.items():
            parts.setdefault(self._symbol(token), []).append(logprob)
        return {symbol: min(_log_sum(values), 0.0) for symbol, values in parts.items()}

    def _spell(self, prefix: Sequence[int]) -> str:
        # As many as reprlib shows, and one more for the dots.
        return reprlib.repr([self.vocabulary[symbol].key for symbol in prefix[:7]])

    def _dense(self, prefixes: Sequence[Prefix]) -> Float[np.ndarray, "batch vocabulary"]:
        # The precision that servers compute in, which tells the reader how far a sum may be off.
        rows = np.full((len(prefixes), len(self.vocabulary)), -np.inf, dtype=np.float32)
        for row, prefix in zip(rows, prefixes, strict=True):
            known = self._known(prefix)
            if known:
                values = np.fromiter(known.values(), dtype=np.float64, count=len(known))
                row[list(known)] = values - max(0.0, math.log(np.exp(values).sum()))
        return rows


def warn_of_ends(names: Sequence[object], stops: Sequence[Token] = ()) -> None:
    """Warn that what should end a sequence has not been met."""
    hint = "a server may write it otherwise, llama.cpp as nothing at all: name it by its id"
    if stops:
        ends = [token.key for token in stops]
        hint = f"the server stopped after {reprlib.repr(ends)} instead: is that the end?"
    warnings.warn(f"eos = {reprlib.repr(list(names))} is in no answer so far; {hint}", stacklevel=4)


class RecordedCompletions(_Answers):
    """The model behind recorded answers to one prompt, as far as they tell it.

    A partial next-token model: the row of a prefix holds the log-probabilities that some answer gives after
    it, -inf for what no answer tells; a prefix that no answer has gets only -inf.

    Parameters
    ----------
    responses : iterable of dict
        Decoded JSON answers as `parse_response` reads them, all to the same prompt. Prefixes start where the
        answers' tokens start: at the prompt's first token if the server was asked to echo it, else behind it.
    vocabulary : Vocabulary, optional
        Where tokens get their symbols. Default: a new one.
    eos : iterable of str or int
        Tokens that end a sequence, by text or by id. A text stands for every token of that text.
    tolerance : float
        Largest difference, in nats, between log-probabilities that two answers give the same token after
        the same prefix; the first one is kept. Servers that compute in 16 bits may differ by more from batch
        to batch.

    Raises
    ------
    ValueError, TypeError
        If an answer is not as `parse_response` asks, with its place; if answers differ by more than
        `tolerance`, or their union after a prefix adds up to more than rounding and `tolerance` explain, with
        the prefix; if an id of `eos` is chosen in an answer that names its alternatives without ids; if no
        answer gives a log-probability.

    Warns
    -----
    UserWarning
        If no answer has a token of `eos`. Servers write ends in their own ways: llama.cpp gives every special
        token the empty text, so only its id names it.

    Notes
    -----
    A finish_reason of "stop" adds nothing: the end-of-sequence token has a probability only where the answer
    gives one. Where the probabilities after a prefix add up to more than 1, within the bounds above, the row
    is divided by their sum. O(size of the answers).

    Examples
    --------
    >>> logprobs = {"tokens": ["a"], "token_logprobs": [-0.5], "top_logprobs": [{"a": -0.5, "</s>": -1.0}]}
    >>> model = RecordedCompletions([{"choices": [{"logprobs": logprobs}]}], eos=["</s>"])
    >>> model([(), (1,)])
    array([[-1. , -0.5],
           [-inf, -inf]], dtype=float32)
    >>> model.eos, [token.text for token in model.vocabulary]
    (frozenset({0}), ['</s>', 'a'])
    """

    def __init__(
        self,
        responses: Iterable[Mapping[str, Any]],
        vocabulary: Vocabulary | None = None,
        *,
        eos: Iterable[str | int] = (),
        tolerance: float = 1e-3,
    ) -> None:
        if isinstance(responses, Mapping):
            raise TypeError("responses is one answer: pass a list of answers")
        if not (isinstance(tolerance, int | float) and 0 <= tolerance < math.inf):
            raise ValueError(f"tolerance = {tolerance!r}: must be finite and >= 0")
        super().__init__(vocabulary, eos)
        # Prefixes as the nodes of a trie: written out, those of one long answer would take its square.
        self._below: dict[tuple[int, int], int] = {}
        self._rows: list[dict[int, float]] = [{}]
        for i, response in enumerate(responses):
            for j, choice in enumerate(_parse(response, f"responses[{i}].")):
                self._note(choice)
                node, path = 0, list[int]()
                for position in choice.positions:
                    where = f"responses[{i}], choice {j}: after {self._spell(path)}"
                    if position.known:
                        self._merge(self._rows[node], self._row(position), where, tolerance)
                    self._check_end(position, where)
                    path.append(self._symbol(position.token))
                    node = self._below.setdefault((node, path[-1]), len(self._rows))
                    if node == len(self._rows):
                        self._rows.append({})
        if not any(self._rows):
            raise ValueError("responses give no log-probability at all")
        self._warn_of_ends()

    def __call__(self, prefixes: Sequence[Prefix], /) -> Float[np.ndarray, "batch vocabulary"]:
        """Natural-log probabilities of the next symbol, one row for each prefix; -inf is "not known"."""
        return self._dense(prefixes)

    def _known(self, prefix: Prefix) -> Mapping[int, float]:
        node = 0
        for symbol in prefix:
            if (node := self._below.get((node, symbol), -1)) < 0:
                return {}
        return self._rows[node]

    def _merge(self, held: dict[int, float], row: dict[int, float], where: str, tolerance: float) -> None:
        for symbol, logprob in row.items():
            if abs(held.setdefault(symbol, logprob) - logprob) > tolerance:
                raise ValueError(
                    f"{where} the token {self.vocabulary[symbol].key!r} has log-probability {logprob}, and "
                    f"{held[symbol]} in an earlier answer: the model changed, or two tokens share that name; "
                    f"ask for ids, or raise tolerance = {tolerance:g}"
                )
        _check_sum(held.values(), where, math.exp(tolerance))


class CompletionsServer(_Answers):
    """The model behind a completions endpoint, asked for one token after each prefix that is new.

    A partial next-token model, as `RecordedCompletions`. Answers are kept, so an interrupted read that is
    started again asks only for what is missing; a `Recording` keeps them for the next process too.

    Parameters
    ----------
    post : callable from dict to dict
        Sends a request body and returns the decoded JSON answer; see `http_post`. What it raises passes
        through. For an endpoint of another sort, such as chat, let it rewrite the body.
    prompt : str or sequence of int
        What stands before every prefix. Text: prefixes are sent as text. The server's token ids: prefixes
        are sent as ids, and every token in an answer must have one.
    top : int
        Number of most likely tokens asked for. Servers cap it: OpenAI's at 5, vLLM's at 20 unless told
        otherwise, llama.cpp's at the vocabulary.
    body : mapping, optional
        More fields of the request, or other values for ``max_tokens`` (1), ``temperature`` (0) and
        ``logprobs`` (`top`): ``{"model": ...}``; ``{"return_tokens_as_token_ids": True}`` for vLLM to give
        ids; ``{"n_predict": 1, "n_probs": 20}`` for llama.cpp's own endpoint.
    vocabulary, eos
        As for `RecordedCompletions`.

    Raises
    ------
    ValueError, TypeError
        If an argument is not as above; when called, if an answer is not as `parse_response` asks or has no
        choice, a prefix has a symbol outside the vocabulary, or no answer told any token.

    Warns
    -----
    UserWarning
        As `RecordedCompletions`, when it is asked for nothing new, as `read_model` asks at its end.

    Notes
    -----
    Prefixes sent as text are tokenized anew by the server. The tokenization of a prefix need not be the
    tokens it was put together from ("un" + "til" comes back as "until"), and then the answer is about
    another path of the tree. Only ids are free of this. A prefix that is no text (half a character, a token
    written as nothing, or U+FFFD, where the server has lost the bytes) is not sent: its row is -inf.

    Temperature 0 makes the answer repeatable; it leaves the log-probabilities alone on servers that report
    them before sampling, as OpenAI, vLLM and llama.cpp do by default. Where a server writes nothing for an
    end-of-sequence token that is chosen, the row is -inf. One request for each new prefix, one at a time.

    Examples
    --------
    >>> def post(body):
    ...     top = {"a": -0.5, "b": -1.0} if body["prompt"] == "To: " else {"c": 0.0}
    ...     logprobs = {"tokens": [max(top)], "token_logprobs": [None], "top_logprobs": [top]}
    ...     return {"choices": [{"logprobs": logprobs}]}
    >>> model = CompletionsServer(post, "To: ", top=2)
    >>> model([(), (1,)])
    array([[-0.5, -1. , -inf],
           [-inf, -inf,  0. ]], dtype=float32)
    """

    def __init__(
        self,
        post: Callable[[dict[str, Any]], Any],
        prompt: str | Sequence[int] = "",
        *,
        top: int = 20,
        body: Mapping[str, Any] | None = None,
        vocabulary: Vocabulary | None = None,
        eos: Iterable[str | int] = (),
    ) -> None:
        if not callable(post):
            raise TypeError(f"post is a {type(post).__name__}: must be callable on a request; see http_post")
        super().__init__(vocabulary, eos)
        self._rows: dict[Prefix, dict[int, float]] = {}
        self._post = post
        self._prompt = prompt if isinstance(prompt, str) else _ids(prompt)
        self._body = {"max_tokens": 1, "temperature": 0, "logprobs": checks.integer("top", top, 1)}
        self._body.update({} if body is None else body)
        if self._body.get("echo"):
            raise ValueError("body['echo'] is set: the answer must hold the next token only")

    def __call__(self, prefixes: Sequence[Prefix], /) -> Float[np.ndarray, "batch vocabulary"]:
        """Natural-log probabilities of the next symbol, one row for each prefix; -inf is "not known"."""
        asked = len(self._rows)
        for i, prefix in enumerate(prefixes):
            if tuple(prefix) not in self._rows:
                self._rows[tuple(prefix)] = self._ask(tuple(prefix), f"prefixes[{i}]")
        if prefixes and len(self._rows) == asked:
            self._warn_of_ends()
        if not len(self.vocabulary):
            raise ValueError("no answer told any token: nothing is known of the model")
        return self._dense(prefixes)

    def _known(self, prefix: Prefix) -> Mapping[int, float]:
        return self._rows[tuple(prefix)]

    def _ask(self, prefix: Prefix, where: str) -> dict[int, float]:
        for symbol in prefix:
            if not 0 <= symbol < len(self.vocabulary):
                raise ValueError(f"{where} = {prefix}: the vocabulary holds {len(self.vocabulary)} symbols")
        prompt = self._prompted([self.vocabulary[symbol] for symbol in prefix])
        if prompt is None:
            return {}
        root = f"the answer after {self._spell(prefix)}: "
        choices = _parse(self._post({"prompt": prompt, **self._body}), root)
        if not choices:
            raise ValueError(f"{root}choices is empty")
        self._note(choices[0])
        for position in choices[0].positions[:1]:
            for token in position.known:
                if isinstance(self._prompt, str) and token.text is None and token.id not in self._ends:
                    raise ValueError(f"{root}token {token.id} has an id and no text: give the prompt as ids")
                if not isinstance(self._prompt, str) and token.id is None and token.text not in self._ends:
                    raise ValueError(f"{root}token {token.text!r} has no id: give the prompt as text")
            self._check_end(position, root.removesuffix(": "))
            return self._row(position)
        return {}

    def _prompted(self, tokens: list[Token]) -> str | list[int] | None:
        """Prompt and tokens as the server takes them, None where it cannot."""
        if not isinstance(self._prompt, str):
            ids = [token.id for token in tokens if token.id is not None]
            return [*self._prompt, *ids] if len(ids) == len(tokens) else None
        try:
            pieces = [(token.text or "").encode() if token.raw is None else token.raw for token in tokens]
            text = b"".join(pieces).decode()
        except UnicodeError:
            return None
        return self._prompt + text if all(pieces) and "\ufffd" not in text else None


def _ids(prompt: Sequence[int]) -> list[int]:
    return [checks.integer(f"prompt[{i}]", symbol, 0) for i, symbol in enumerate(prompt)]
