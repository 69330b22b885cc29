r"""Models behind a completions API: recorded answers, and a server asked as the tree grows.

An API tells the log-probabilities of the few most likely tokens and hides the rest. So these models are
partial: what the answers do not say is -inf in a row, and becomes mass that the tree reports as unexpanded.

Four shapes of answer are read, as OpenAI, vLLM and the server of llama.cpp write them:

- legacy completions, ``choices[].logprobs`` with ``tokens``, ``token_logprobs`` and ``top_logprobs``;
- chat completions, ``choices[].logprobs.content[]``, with or without ids (llama.cpp gives ids, and this
  shape on both of its OpenAI-compatible endpoints);
- llama.cpp's own ``completion_probabilities[]``, with ``logprob`` and ``top_logprobs``, or ``prob`` and
  ``top_probs`` where the server was asked for probabilities after sampling;
- vLLM's ``return_tokens_as_token_ids``, which writes ``"token_id:123"`` for the token of that id.

A token is its id where the answer gives one (``id`` or ``token_id``), else its bytes, else its text. Tokens
of one text and different ids stay apart. One token may be listed twice, as vLLM lists the one that it chose:
entries of one name whose log-probabilities differ by at most `ROUNDING` are one token and count once. One id
with two log-probabilities is an error. A name without an id that has two log-probabilities stands for tokens
that the answer cannot tell apart, as are the pieces of a character that vLLM writes as U+FFFD: they are one
token here, and their probabilities add up.

Logarithms are natural. A number is read as follows.

- Above 0 by at most `ROUNDING`: 0. Above that, or NaN: an error.
- null, -inf, or at most -9999.0, which OpenAI writes for "very unlikely" and vLLM for -inf: not known.

The k probabilities after one prefix may add up to (1 + `ROUNDING`) (1 - 2^-24)^-k; more is an error.
Servers divide by a sum in float32. An addition loses at most the factor 1 - 2^-24, and adding what is not
listed makes no sum smaller. So the divisor, in whatever order it was added, is at least (1 - 2^-24)^k times
what is listed. `ROUNDING` is for the exponentials and logarithms. What such a sum is above 1 is divided out
of the rows of a model; `parse_response` returns what the answer says.
"""

import json
import math
import re
import reprlib
import time
import warnings
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from itertools import count
from typing import Any, NamedTuple, NoReturn
from urllib.parse import urlsplit

import numpy as np
from jaxtyping import Float, Shaped

from .. import _checks
from .._interop import optional
from .reader import Prefix

ROUNDING = 1e-5
"""How far a probability may be above 1, as `read_model` allows in rows of float32."""

_UNIT = 2.0**-24
"""Relative rounding of one addition in float32."""

_UNLIKELY = -9999.0
_TOKEN_ID = re.compile(r"token_id:(\d{1,18})")
_ESCAPED = re.compile(r"bytes:( ?)((?:\\x[0-9a-fA-F]{2})+)")


@dataclass(frozen=True, eq=False)
class Token:
    r"""A token as an answer names it. Two are equal if their keys are.

    Attributes
    ----------
    text : str or None
        None where the answer gives an id only.
    raw : bytes or None
        Its bytes, where the answer gives them.
    id : int or None
        The server's own number for it.

    Examples
    --------
    >>> Token("é", b"\xc3\xa9") == Token("�", b"\xc3\xa9"), Token("a", id=1) == Token("a", id=2)
    (True, False)
    """

    text: str | None
    raw: bytes | None = None
    id: int | None = None

    @property
    def key(self) -> int | bytes | str | None:
        """What identifies the token: its id, else its bytes, else its text."""
        if self.id is not None:
            return self.id
        return self.text if self.raw is None else self.raw

    def __eq__(self, other: object) -> bool:
        return self.key == other.key if isinstance(other, Token) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.key)


class Position(NamedTuple):
    """One token of an answer.

    Attributes
    ----------
    token : Token
        The token chosen.
    logprob : float or None
        Its log-probability in nats, None if not known.
    known : dict of Token to float
        Log-probabilities in nats of all tokens that the answer tells, the chosen one's included.
    id : int or None
        The chosen token's id by a list ``token_ids`` that the answer has, as vLLM gives it on request. It is
        also the token's own where the answer names no other tokens, or all by ids.
    """

    token: Token
    logprob: float | None
    known: dict[Token, float]
    id: int | None = None


class Choice(NamedTuple):
    """One sampled answer.

    Attributes
    ----------
    positions : tuple of Position
    finish_reason : str or None
        As the server gives it. "stop" says that an end-of-sequence token or a stop word came next; its
        probability is known only if it stands among the positions.
    """

    positions: tuple[Position, ...]
    finish_reason: str | None


def parse_response(response: Mapping[str, Any]) -> list[Choice]:
    """Tokens and log-probabilities of one answer of a completions API.

    Parameters
    ----------
    response : dict
        One decoded JSON answer, of any shape that the module names.

    Returns
    -------
    list of Choice
        One for each of the answer's choices, in its order.

    Raises
    ------
    ValueError, TypeError
        If a field is missing, null where it may not be, of the wrong type or out of range, lists that belong
        together differ in length, one id has two log-probabilities, or probabilities add up to more than 1.
        The message starts with the JSON path.

    Notes
    -----
    A choice without log-probabilities is an error unless its text is empty, or U+FFFD for a character that is
    not whole, where llama.cpp gives none: then it has no positions. The chosen token is usually repeated
    among the alternatives, and counts once. O(size of the answer).

    Examples
    --------
    >>> logprobs = {"tokens": ["a"], "token_logprobs": [-0.5], "top_logprobs": [{"a": -0.5, "b": -1.0}]}
    >>> [choice] = parse_response({"choices": [{"logprobs": logprobs, "finish_reason": "length"}]})
    >>> {token.text: logprob for token, logprob in choice.positions[0].known.items()}
    {'a': -0.5, 'b': -1.0}
    """
    return _parse(response, "")


def _parse(response: Any, root: str) -> list[Choice]:
    if not isinstance(response, Mapping):
        name = root.rstrip(".: ") or "response"
        raise TypeError(f"{name} is a {type(response).__name__}: must be one decoded JSON object")
    if "completion_probabilities" in response:
        where = f"{root}completion_probabilities"
        positions = _entries(_list(response, "completion_probabilities", root), where)
        finish = _optional(response, "stop_type", str, root)
        return [Choice(positions or _nothing(response.get("content"), [], where), finish)]
    if "choices" not in response:
        held = response["error"] if "error" in response else list(response)
        raise ValueError(f"{root}choices is missing; the answer holds {reprlib.repr(held)}")
    found = []
    for i, choice in enumerate(_list(response, "choices", root)):
        where = f"{root}choices[{i}]"
        _expect(choice, dict, where)
        finish = _optional(choice, "finish_reason", str, f"{where}.")
        found.append(Choice(_positions(choice, where), finish))
    return found


def _positions(choice: dict[str, Any], where: str) -> tuple[Position, ...]:
    logprobs = _optional(choice, "logprobs", dict, f"{where}.")
    place = f"{where}.logprobs"
    positions: tuple[Position, ...] = ()
    if logprobs is not None and logprobs.get("content") is not None:
        positions = _entries(_list(logprobs, "content", f"{place}."), f"{place}.content")
    elif logprobs is not None and logprobs.get("tokens") is not None:
        positions = _legacy(logprobs, place)
    if not positions:
        message = choice.get("message")
        text = message.get("content") if isinstance(message, dict) else choice.get("text")
        return _nothing(text, logprobs, place)
    for holder, root in ((logprobs, f"{place}."), (choice, f"{where}.")):
        if ids := _optional(holder or {}, "token_ids", list, root):
            before = _optional(holder or {}, "prompt_token_ids", list, root) or []
            # An echoed prompt stands among the tokens, and its ids in a list of their own.
            ids = [*before, *ids] if len(ids) < len(positions) else ids
            return _numbered(positions, ids, f"{root}token_ids")
    return positions


def _nothing(text: Any, held: Any, where: str) -> tuple[Position, ...]:
    """No positions, which is what an answer of no text has, or of none but a character's beginning."""
    # llama.cpp keeps the log-probabilities of such tokens until the character is whole.
    if isinstance(text, str) and not text.strip("\ufffd"):
        return ()
    beside = "" if text is None else f" beside the text {reprlib.repr(text)}"
    raise ValueError(f"{where} = {reprlib.repr(held)}: holds no tokens{beside}; ask for log-probabilities")


def _numbered(positions: tuple[Position, ...], ids: list[Any], where: str) -> tuple[Position, ...]:
    """The positions with ids from a list of those of the chosen tokens."""
    if len(ids) != len(positions):
        raise ValueError(f"{where} has {len(ids)} entries, and the answer {len(positions)} tokens")
    # A token that has an id where it is chosen and none where it is not would have two names.
    alone = all(token == position.token for position in positions for token in position.known)
    found = []
    for i, (position, number) in enumerate(zip(positions, ids, strict=True)):
        token, known = position.token, position.known
        _expect(number, int, f"{where}[{i}]")
        if token.id not in (None, number):
            raise ValueError(f"{where}[{i}] = {number}: the token there has id {token.id}")
        if alone:
            token = replace(token, id=number)
            known = dict.fromkeys([token], *known.values()) if known else {}
        found.append(Position(token, position.logprob, known, number))
    return tuple(found)


def _entries(items: list[Any], where: str) -> tuple[Position, ...]:
    """Positions written as objects, each with its alternatives inside."""
    positions = []
    for i, item in enumerate(items):
        place = f"{where}[{i}]"
        token, logprob, _ = _entry(item, place)
        name = "top_logprobs" if item.get("top_logprobs") is not None else "top_probs"
        others = _optional(item, name, list, f"{place}.") or []
        known = [_entry(other, f"{place}.{name}[{j}]") for j, other in enumerate(others)]
        positions.append(_position(token, logprob, known, place))
    return tuple(positions)


def _entry(item: Any, where: str) -> tuple[Token, float | None, str]:
    """A token, its log-probability, and the path of that."""
    _expect(item, dict, where)
    number = _optional(item, "id", int, f"{where}.")
    other = _optional(item, "token_id", int, f"{where}.")
    if None not in (number, other) and number != other:
        raise ValueError(f"{where}.token_id = {other}: its id is {number}")
    number = other if number is None else number
    octets = _optional(item, "bytes", list, f"{where}.")
    if octets is not None:
        for i, octet in enumerate(octets):
            _expect(octet, int, f"{where}.bytes[{i}]")
            if not 0 <= octet < 256:
                raise ValueError(f"{where}.bytes[{i}] = {octet}: a byte lies in 0..255")
    token = _token(
        _required(item, "token", str, f"{where}."), None if octets is None else bytes(octets), number
    )
    for name in ("logprob", "prob"):
        if name in item:
            place = f"{where}.{name}"
            return token, _logprob(item[name], place, name == "prob"), place
    raise ValueError(f"{where}.logprob is missing")


def _legacy(logprobs: dict[str, Any], where: str) -> tuple[Position, ...]:
    """Positions written as parallel lists, the alternatives as objects from text to number."""
    tokens = _list(logprobs, "tokens", f"{where}.")
    numbers = _list(logprobs, "token_logprobs", f"{where}.")
    tops = _optional(logprobs, "top_logprobs", list, f"{where}.")
    for name, other in (("token_logprobs", numbers), ("top_logprobs", tops)):
        if other is not None and len(other) != len(tokens):
            raise ValueError(f"{where}.{name} has {len(other)} entries and tokens has {len(tokens)}")
    positions = []
    for i, text in enumerate(tokens):
        token = _token(_expect(text, str, f"{where}.tokens[{i}]"))
        logprob = _logprob(numbers[i], f"{where}.token_logprobs[{i}]")
        place = f"{where}.top_logprobs[{i}]"
        known = []
        if tops is not None and tops[i] is not None:
            for name, number in _expect(tops[i], dict, place).items():
                at = f"{place}[{reprlib.repr(name)}]"
                known.append((_token(_expect(name, str, f"the name in {at}")), _logprob(number, at), at))
        positions.append(_position(token, logprob, known, place if known else f"{where}.tokens[{i}]"))
    return tuple(positions)


def _token(text: str, raw: bytes | None = None, number: int | None = None) -> Token:
    if match := _TOKEN_ID.fullmatch(text):
        return Token(None, id=int(match[1]) if number is None else number)
    if raw is None and (match := _ESCAPED.fullmatch(text)):
        # So OpenAI's legacy shape writes a token that is no whole character.
        raw = match[1].encode() + bytes.fromhex(match[2].replace("\\x", ""))
    return Token(text, raw, number)


def _position(
    token: Token, logprob: float | None, entries: list[tuple[Token, float | None, str]], where: str
) -> Position:
    """Entries of one token put together, the chosen one among them."""
    parts: dict[Token, list[float]] = {}
    for other, value, place in [*entries, (token, logprob, where)]:
        if value is None:
            continue
        held = parts.setdefault(other, [])
        if any(abs(value - before) <= ROUNDING for before in held):
            continue
        if held and other.id is not None:
            raise ValueError(
                f"{place} = {value}: the token of id {other.id} has {held[0]} at the same position"
            )
        held.append(value)
    sums = {other: _log_sum(values) for other, values in parts.items()}
    _check_sum(sums.values(), where)
    return Position(token, logprob, {other: min(value, 0.0) for other, value in sums.items()})


def _log_sum(values: Sequence[float]) -> float:
    top = max(values)
    return top + math.log(math.fsum(math.exp(value - top) for value in values))


def _check_sum(values: Collection[float], where: str, factor: float = 1.0) -> None:
    """Refuse what adds up to more than `factor` and the rounding of a sum in float32."""
    total = math.fsum(map(math.exp, values))
    most = factor * (1 + ROUNDING) * (1 - _UNIT) ** -len(values)
    if total > most:
        raise ValueError(
            f"{where}: the known probabilities add up to {total:.9g}, which is more than 1; "
            f"rounding of {len(values)} explains {most:.9g}"
        )


def _logprob(value: Any, where: str, linear: bool = False) -> float | None:
    """A log-probability, or with `linear` the logarithm of a probability; None where it is not known."""
    if value is None:
        return None
    _expect(value, int | float, where)
    if linear:
        if not 0 <= value <= 1 + ROUNDING:
            raise ValueError(f"{where} = {value!r}: a probability lies between 0 and 1")
        value = math.log(value) if value else -math.inf
    if not value <= ROUNDING:
        raise ValueError(f"{where} = {value!r}: a log-probability is at most 0")
    # Compared before it is made a float, which the largest integers do not fit.
    return None if value <= _UNLIKELY else min(float(value), 0.0)


def _expect(value: Any, kind: Any, where: str) -> Any:
    """`value`, if it is of this type; a truth value is no number."""
    if not isinstance(value, kind) or isinstance(value, bool):
        name = str(kind) if kind == int | float else kind.__name__
        raise TypeError(f"{where} = {reprlib.repr(value)}: must be of type {name}")
    return value


def _optional(holder: Mapping[str, Any], name: str, kind: type, root: str) -> Any:
    """A field of this type, or None where it is missing or null."""
    value = holder.get(name)
    return None if value is None else _expect(value, kind, root + name)


def _required(holder: Mapping[str, Any], name: str, kind: type, root: str) -> Any:
    if holder.get(name) is None:
        raise ValueError(
            f"{root}{name} is {'null' if name in holder else 'missing'}: must be a {kind.__name__}"
        )
    return _expect(holder[name], kind, root + name)


def _list(holder: Mapping[str, Any], name: str, root: str) -> list[Any]:
    found: list[Any] = _required(holder, name, list, root)
    return found


class Vocabulary(Sequence[Token]):
    """Tokens in the order in which they were first seen; a token's place is its symbol in the tree.

    Give the same one to several readers, and their trees speak of the same symbols. That holds as far as
    their answers name tokens the same way: by ids of one tokenizer, or by bytes, or by text.

    Parameters
    ----------
    tokens : iterable of Token, optional
        Seen beforehand.

    Examples
    --------
    >>> vocabulary = Vocabulary()
    >>> vocabulary.add(Token("a")), vocabulary.add(Token("b")), vocabulary.add(Token("a"))
    (0, 1, 0)
    >>> vocabulary[1].text
    'b'
    """

    def __init__(self, tokens: Iterable[Token] = ()) -> None:
        self._tokens: list[Token] = []
        self._symbols: dict[Token, int] = {}
        for token in tokens:
            self.add(token)

    def add(self, token: Token) -> int:
        """The symbol of `token`, a new one if it was not seen before."""
        symbol = self._symbols.setdefault(token, len(self._tokens))
        if symbol == len(self._tokens):
            self._tokens.append(token)
        return symbol

    def _packed(self, size: int) -> Shaped[np.ndarray, "size"]:
        """The first tokens, each as JSON."""
        return np.array(
            [
                json.dumps([token.text, None if token.raw is None else token.raw.hex(), token.id]).encode()
                for token in self[:size]
            ]
        )

    @staticmethod
    def _unpacked(packed: Shaped[np.ndarray, "size"]) -> "Vocabulary":
        """The tokens of `_packed`."""
        vocabulary = Vocabulary()
        for i, item in enumerate(packed):
            text, raw, number = json.loads(item)
            for value, kind in ((text, str), (raw, str), (number, int)):
                if value is not None:
                    _expect(value, kind, f"vocabulary[{i}]")
            if vocabulary.add(Token(text, None if raw is None else bytes.fromhex(raw), number)) != i:
                raise ValueError(f"vocabulary[{i}] = {item!r}: stands there twice")
        return vocabulary

    def __len__(self) -> int:
        return len(self._tokens)

    def __getitem__(self, i: Any) -> Any:
        return self._tokens[i]

    def __contains__(self, token: object) -> bool:
        return token in self._symbols


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
        self._body = {"max_tokens": 1, "temperature": 0, "logprobs": _checks.integer("top", top, 1)}
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
    return [_checks.integer(f"prompt[{i}]", symbol, 0) for i, symbol in enumerate(prompt)]


_BUSY = (408, 429, 502, 503, 504)
"""Statuses that say that the same request may be answered later."""

_BREAKS = 2
"""How often a connection that failed is tried again."""

_WAIT = 0.5
"""Seconds before the first new try. Each wait is twice the one before, unless the server says how long."""

_SHORTEST = 4
"""Characters of the shortest key."""

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_UNFIT = re.compile(r"[^\x20-\x7e]|^ | $")
_SECONDS = re.compile(r"\d+(\.\d+)?", re.ASCII)


def http_post(
    url: str, headers: Mapping[str, str] | None = None, timeout: float = 60, patience: float = 300
) -> Callable[[dict[str, Any]], Any]:
    """A function that posts a JSON body to `url` and returns the decoded answer, for `CompletionsServer`.

    Parameters
    ----------
    url : str
        An http or https address, such as ``"http://localhost:8000/v1/completions"``.
    headers : mapping, optional
        More headers, such as ``{"Authorization": "Bearer ..."}``.
    timeout : float
        Seconds for a whole request, from the connection to the last byte of the answer.
    patience : float
        Seconds to wait in all, before a request is given up, for a server that is busy (408, 429, 502, 503,
        504): as long as its Retry-After says, else 0.5, 1, 2, ... seconds. A connection that fails is tried
        again twice. 0 never tries again.

    Returns
    -------
    callable
        Raises OSError if the server cannot be reached, breaks off, redirects, answers with an error, or is
        busy for longer than `patience`; TimeoutError, an OSError, after `timeout`; ValueError if the answer
        is not JSON. Every message starts with the address. It is not pickled.

    Raises
    ------
    ImportError
        If httpx2 is missing: the extra `http` brings it.
    ValueError, TypeError
        If an argument is not as above, `url` is none or has a user name in it, or a header holds what no
        header can, such as the line break at the end of a key that was read from a file.

    Notes
    -----
    Redirects are not followed, for the headers would go along. What the headers and the query of `url` hold
    is in no message, repr or pickle. Proxies are taken from ``HTTP_PROXY``, ``HTTPS_PROXY``, ``ALL_PROXY``
    and ``NO_PROXY``, certificates from the system or ``SSL_CERT_FILE``. Each request has a connection of its
    own, about 2 ms. The time that the system takes to look up the server's name is not cut short.

    Examples
    --------
    >>> http_post("http://localhost:8000/v1/completions", {"Authorization": "Bearer sk-123"})
    http_post('http://localhost:8000/v1/completions')
    """
    if not url.startswith(("http://", "https://")):
        raise ValueError(f"url = {url!r}: must start with http:// or https://")
    if "@" in urlsplit(url).netloc:
        raise ValueError("url has a user name or a password before its @: give it as a header")
    extra = {} if headers is None else dict(headers)
    for name, value in extra.items():
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise ValueError("the name of a header is none: must be letters, digits and hyphens")
        if not isinstance(value, str):
            raise TypeError(f"headers[{name!r}] is a {type(value).__name__}: must be a string")
        if unfit := _UNFIT.search(value):
            raise ValueError(
                f"headers[{name!r}] has {unfit[0]!r} at place {unfit.start()} of {len(value)}: must be "
                "visible ASCII characters and spaces between them; .strip() a key that was read from a file"
            )
    if not (isinstance(timeout, int | float) and 0 < timeout < math.inf):
        raise ValueError(f"timeout = {timeout!r}: must be seconds, finite and > 0")
    if not (isinstance(patience, int | float) and 0 <= patience < math.inf):
        raise ValueError(f"patience = {patience!r}: must be seconds, finite and >= 0")
    return _Post(url, extra, timeout, patience)


class _Post:
    """What `http_post` returns."""

    def __init__(self, url: str, headers: Mapping[str, str], timeout: float, patience: float) -> None:
        self._httpx = optional("httpx2", "http", "http_post")
        self._anyio = optional("anyio", "http", "http_post")
        self._threads = optional("anyio.from_thread", "http", "http_post")
        try:
            self._httpx.URL(url)
        except self._httpx.InvalidURL as error:
            raise ValueError(f"url = {url!r}: {error}") from None
        self._url, self._timeout, self._patience = url, timeout, patience
        self._headers = self._httpx.Headers({"Content-Type": "application/json"})
        self._headers.update(headers)
        # Once, for reading the system's certificates takes longer than many a request.
        self._tls = self._httpx.create_ssl_context()
        values = [*headers.values(), *(part.partition("=")[2] for part in urlsplit(url).query.split("&"))]
        words = {word for value in values for word in (value, *value.split()[-1:]) if len(word) >= _SHORTEST}
        # The longest first, for one may hold another.
        self._secrets = sorted(words, key=len, reverse=True)

    def __repr__(self) -> str:
        return self._hidden(f"http_post({self._url!r})")

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"{self!r} may hold a key and is not pickled: make it in the process that asks")

    def __call__(self, body: dict[str, Any]) -> Any:
        content, waited, broken = json.dumps(body).encode(), 0.0, 0
        for tries in count(1):
            status, headers, text = self._send(content)
            asked = _retry_after(headers)
            # Bounded, for a float ends at 2^1024.
            wait = _WAIT * 2 ** min(tries - 1, 30) if asked is None else max(asked, _WAIT)
            broken += status == 0
            if status not in ((0, *_BUSY) if broken <= _BREAKS else _BUSY) or waited + wait > self._patience:
                break
            time.sleep(wait)
            waited += wait
        if 200 <= status < 300:
            try:
                return json.loads(text)
            except (ValueError, RecursionError) as error:
                reason = f"answered with what is no whole JSON: {error}"
            raise ValueError(self._hidden(f"{self._url} {reason}"))
        reason = text.decode(errors="replace") if status == 0 else f"answered {status}"
        if 300 <= status < 400:
            reason += f", location {headers.get('location')}: not followed, for the headers would go along"
        elif status:
            # Hidden before it is cut, so that no half of a key is left.
            reason += f": {self._hidden(text.decode(errors='replace'))[:500]}"
        if status in (400, 422) and "logprobs" in body:
            reason += f"; asked for logprobs = {body['logprobs']!r}: servers cap it, so try a smaller top"
        if status in _BUSY or tries > 1:
            reason += f"; tried {tries} times, with {waited:g} s of waiting"
        if status in _BUSY:
            reason += f", and {wait:g} s more exceed patience = {self._patience:g}"
        raise OSError(self._hidden(f"{self._url} {reason}"))

    def _send(self, content: bytes) -> tuple[int, Mapping[str, str], bytes]:
        """Status, headers and text of the answer; status 0 and what happened if there is none."""

        async def ask() -> Any:
            # Cut as a whole, for the client's own limits are of one step each.
            with self._anyio.fail_after(self._timeout):
                async with self._httpx.AsyncClient(timeout=None, verify=self._tls) as client:
                    return await client.post(
                        self._url, content=content, headers=self._headers, follow_redirects=False
                    )

        # The errors hold the request and its headers: raised anew, outside of their handlers.
        try:
            # In a thread, for a notebook has an event loop running in this one.
            with self._threads.start_blocking_portal() as portal:
                answer = portal.call(ask)
            return answer.status_code, answer.headers, answer.content
        except TimeoutError:
            reason = f"gave no whole answer within timeout = {self._timeout:g} s"
        except self._httpx.HTTPError as error:
            cause: BaseException = error
            while (deeper := cause.__cause__ or cause.__context__) is not None:
                cause = deeper
            reached = not isinstance(error, self._httpx.ConnectError)
            reason = f"{'broke off' if reached else 'cannot be reached'}: {type(cause).__name__}: {cause}"
            return 0, {}, reason.encode()
        raise TimeoutError(self._hidden(f"{self._url} {reason}"))

    def _hidden(self, text: str) -> str:
        """`text` without what the headers and the query of the address hold."""
        for secret in self._secrets:
            text = text.replace(secret, "[hidden]")
        return text


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that a busy server asks to wait, None if it does not say."""
    text = headers.get("retry-after", "").strip()
    if _SECONDS.fullmatch(text):
        return float(text)
    try:
        when = parsedate_to_datetime(text)
    except ValueError:
        return None
    when = when.replace(tzinfo=UTC) if when.tzinfo is None else when
    return max(0.0, (when - datetime.now(UTC)).total_seconds())
