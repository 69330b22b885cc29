"""Answers of a completions API: log-probabilities of the next token, checked as they are read.

Three shapes are read: the lists of legacy completions, ``logprobs`` with ``tokens``, ``token_logprobs`` and
``top_logprobs``, as OpenAI and vLLM write them; the objects in ``logprobs.content`` of chat completions,
which llama.cpp writes in both places, with ids; and Ollama's own, the same objects beside ``response``. A
token is identified by its id if the answer gives one (``id``, ``token_id``, or vLLM's text
``"token_id:123"``), else by its bytes, else by its text.

Logarithms are natural. A value above 0 by at most `ROUNDING` is read as 0. Null, -inf and values of at most
-9999.0, which OpenAI writes for "very unlikely" and vLLM for -inf, are read as unknown.

The k probabilities after one prefix may add up to (1 + `ROUNDING`) (1 - 2^-24)^-k, and a sum above 1 within
this bound is divided out: servers divide by a sum computed in float32, where each addition loses at most a
factor 1 - 2^-24 and unlisted terms make no sum smaller. `ROUNDING` allows for exponentials and logarithms.
"""

import math
import re
import reprlib
from collections.abc import Iterable
from typing import Annotated, Any, NamedTuple

import numpy as np
from pydantic import AliasChoices, BaseModel, Field, ValidationError, model_validator

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


_Logprob = Annotated[float, Field(le=ROUNDING)] | None


class _Entry(BaseModel):
    token: str
    logprob: _Logprob
    id: int | None = Field(None, validation_alias=AliasChoices("id", "token_id"), ge=0, lt=2**24)
    bytes: list[Annotated[int, Field(ge=0, lt=256)]] | None = None
    top_logprobs: list["_Entry"] | None = None


class _Logprobs(BaseModel):
    content: list[_Entry] | None = None
    tokens: list[str] | None = None
    token_logprobs: list[_Logprob] | None = None
    top_logprobs: list[dict[str, _Logprob] | None] | None = None


class _Choice(BaseModel):
    logprobs: _Logprobs | None = None
    text: str | None = None
    message: dict[str, Any] | None = None


class _Answer(BaseModel):
    choices: list[_Choice] = Field(min_length=1)

    @model_validator(mode="before")
    @classmethod
    def _of_ollama(cls, told: Any) -> Any:
        if not isinstance(told, dict) or "response" not in told:
            return told
        return {"choices": [{"text": told["response"], "logprobs": {"content": told.get("logprobs")}}]}


def read(answer: bytes, where: str) -> dict[Token, float]:
    """Log-probabilities in an answer; a ValueError gives the place of what is malformed.

    There may be none if the text is empty, or is U+FFFD for an incomplete character.
    """
    try:
        choice = _Answer.model_validate_json(answer, strict=True).choices[0]
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in first["loc"])
        raise ValueError(f"{where}{place} = {reprlib.repr(first['input'])}: {first['msg']}") from None
    held, where = choice.logprobs or _Logprobs(), f"{where}.choices[0].logprobs"
    if held.content:
        listed = [held.content[0], *(held.content[0].top_logprobs or ())]
        entries = ((_token(each.token, each.bytes, each.id), each.logprob) for each in listed)
        return _together(entries, f"{where}.content[0]")
    if tokens := held.tokens:
        chances = held.token_logprobs or [None] * len(tokens)
        tops = held.top_logprobs or [None] * len(tokens)
        if not len(chances) == len(tops) == len(tokens):
            raise ValueError(f"{where}: tokens, token_logprobs and top_logprobs differ in length")
        named = [(tokens[0], chances[0]), *(tops[0] or {}).items()]
        return _together(((_token(text), chance) for text, chance in named), f"{where}.tokens[0]")
    text = choice.text if choice.message is None else choice.message.get("content")
    # llama.cpp holds back the log-probabilities of such tokens until the character is complete.
    if not isinstance(text, str) or text.strip("\ufffd"):
        raise ValueError(
            f"{where}: holds the text {text!r} without tokens: the server tells no log-probabilities here "
            "(Ollama does at /api/generate)"
        )
    return {}


def _token(text: str, octets: list[int] | None = None, number: int | None = None) -> Token:
    raw = None if octets is None else bytes(octets)
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
