"""What a completions API answers: tokens and their log-probabilities, checked as they are read.

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

import math
import re
import reprlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

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
