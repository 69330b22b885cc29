"""Answers of a completions API: log-probabilities of the next token, checked as they are read.

Two shapes are read: the lists of legacy completions, ``logprobs`` with ``tokens``, ``token_logprobs`` and
``top_logprobs``, as OpenAI and vLLM write them; and the objects in ``logprobs.content`` of chat completions,
which llama.cpp and Ollama write in both places, llama.cpp with ids. A token is identified by its id if the
answer gives one (``id``, ``token_id``, or vLLM's text ``"token_id:123"``), else by its bytes, else by its
text.

Logarithms are natural. A value above 0 by at most `ROUNDING` is read as 0. Null, -inf and values of at most
-9999.0, which OpenAI writes for "very unlikely" and vLLM for -inf, are read as unknown.

The k probabilities after one prefix may add up to (1 + `ROUNDING`) (1 - 2^-24)^-k. Servers divide by a sum
computed in float32. Each addition loses at most a factor 1 - 2^-24, and adding the unlisted terms makes no
sum smaller. So the divisor, whatever the order of summation, is at least (1 - 2^-24)^k times the sum of the
listed terms. `ROUNDING` allows for exponentials and logarithms. A sum above 1 within this bound is divided
out.
"""

import math
import re
import reprlib
from collections.abc import Iterable
from typing import Annotated, Any, NamedTuple

import numpy as np
from pydantic import AliasChoices, BaseModel, ConfigDict, Field, ValidationError

ROUNDING = 1e-5
"""How far a probability may be above 1, as `read_model` allows in rows of float32."""

_UNLIKELY = -9999.0

_TOKEN_ID = re.compile(r"token_id:(\d{1,7})")

# OpenAI's legacy format for a token that is not a whole number of characters.
_ESCAPED = re.compile(r"bytes:( ?)((?:\\x[0-9a-fA-F]{2})+)")


class Token(NamedTuple):
    """The key of a token, its id or else its bytes; and the bytes, None if they are not given."""

    key: int | bytes
    raw: bytes | None


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True)


class _Entry(_Strict):
    token: str
    logprob: float | None
    id: int | None = Field(None, validation_alias=AliasChoices("id", "token_id"), ge=0, lt=2**24)
    bytes: list[Annotated[int, Field(ge=0, lt=256)]] | None = None
    top_logprobs: list["_Entry"] | None = None


class _Logprobs(_Strict):
    content: list[_Entry] | None = None
    tokens: list[str] | None = None
    token_logprobs: list[float | None] | None = None
    top_logprobs: list[dict[str, float | None] | None] | None = None


class _Choice(_Strict):
    logprobs: _Logprobs | None = None
    text: str | None = None
    message: dict[str, Any] | None = None


class _Answer(_Strict):
    choices: list[_Choice] = Field(min_length=1)


def read(answer: bytes, where: str) -> dict[Token, float]:
    """Log-probabilities in an answer; a ValueError gives the place of what is malformed.

    There may be none if the text is empty, or is U+FFFD for an incomplete character.
    """
    try:
        choice = _Answer.model_validate_json(answer).choices[0]
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in first["loc"])
        raise ValueError(f"{where}{place} = {reprlib.repr(first['input'])}: {first['msg']}") from None
    held, where = choice.logprobs or _Logprobs(), f"{where}.choices[0].logprobs"
    if held.content:
        item = held.content[0]
        return _together(map(_named, (item, *(item.top_logprobs or ()))), f"{where}.content[0]")
    if held.tokens:
        numbers = held.token_logprobs or [None] * len(held.tokens)
        tops = held.top_logprobs or [None] * len(held.tokens)
        if not len(numbers) == len(tops) == len(held.tokens):
            raise ValueError(f"{where}: tokens, token_logprobs and top_logprobs differ in length")
        listed = (held.tokens[0], numbers[0]), *(tops[0] or {}).items()
        return _together([(_token(text), number) for text, number in listed], f"{where}.tokens[0]")
    text = choice.text if choice.message is None else choice.message.get("content")
    # llama.cpp holds back the log-probabilities of such tokens until the character is complete.
    if not isinstance(text, str) or text.strip("\ufffd"):
        raise ValueError(f"{where}: holds the text {text!r} without tokens; request log-probabilities")
    return {}


def _named(entry: _Entry) -> tuple[Token, float | None]:
    return _token(entry.token, None if entry.bytes is None else bytes(entry.bytes), entry.id), entry.logprob


def _token(text: str, raw: bytes | None = None, number: int | None = None) -> Token:
    if match := _TOKEN_ID.fullmatch(text):
        return Token(int(match[1]) if number is None else number, raw)
    if raw is None:
        match = _ESCAPED.fullmatch(text)
        raw = match[1].encode() + bytes.fromhex(match[2].replace("\\x", "")) if match else text.encode()
    # llama.cpp writes special tokens as empty text.
    return Token(raw if number is None else number, raw or None)


def _together(entries: Iterable[tuple[Token, float | None]], where: str) -> dict[Token, float]:
    """Entries by token; a token listed twice counts once."""
    tokens: dict[int | bytes, Token] = {}
    parts: dict[int | bytes, list[float]] = {}
    for token, value in entries:
        tokens[token.key] = token
        if value is None or value <= _UNLIKELY:
            continue
        if not value <= ROUNDING:
            raise ValueError(f"{where}: the log-probability of {token.key!r} is {value}: must be at most 0")
        held = parts.setdefault(token.key, [])
        if all(abs(value - before) > ROUNDING for before in held):
            held.append(min(value, 0.0))
            if len(held) > 1 and isinstance(token.key, int):
                raise ValueError(f"{where}: the token with id {token.key} has log-probabilities {held}")
    # Tokens with the same text, which the answer does not distinguish, are one here.
    known = {tokens[key]: float(np.logaddexp.reduce(values)) for key, values in parts.items()}
    total, most = math.fsum(map(math.exp, known.values())), (1 + ROUNDING) * (1 - 2.0**-24) ** -len(known)
    if total > most:
        raise ValueError(
            f"{where}: the known probabilities add up to {total:.9g}, which is more than 1; "
            f"rounding of {len(known)} explains {most:.9g}"
        )
    return {token: value - math.log(max(1.0, total)) for token, value in known.items()}
