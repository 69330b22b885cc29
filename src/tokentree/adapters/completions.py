"""Models behind a completions API, queried as the tree grows."""

import json
import re
import reprlib
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from jaxtyping import Float

from .._lib import checks
from .._lib.frames import optional
from .asking import Prefix, checked_ids, checked_prefixes, checked_text, spelled
from .posting import _Post


class CompletionsServer:
    """The model behind an OpenAI-compatible completions endpoint, queried for one token after each prefix.

    A partial next-token model: llama.cpp, vLLM, Ollama and others. An answer has the log-probabilities of a
    few most likely tokens; the mass of the others is unexpanded in the tree.

    Parameters
    ----------
    url : str
        Address, such as ``"http://localhost:8000/v1"``, with or without ``/completions``. Of Ollama, whose
        completions have no log-probabilities, ``"http://localhost:11434/api/generate"``.
    model : str, optional
        Name of the model; not needed if the server has only one.
    api_key : str, optional
        Sent as a bearer token to this address only. It appears in no message, repr or file.
    top : int or None
        Number of most likely tokens requested; None for the whole vocabulary, if the server tells its size,
        as llama.cpp does. Servers cap it: OpenAI at 5, Ollama at 20, vLLM at its ``--max-logprobs`` (20; -1
        is the vocabulary), llama.cpp at the vocabulary size.
    eos : iterable of str or int, optional
        Tokens that end a sequence, by text, such as ``"<|im_end|>"``, or by id. Default: those that llama.cpp
        reports; none for other servers.
    ids : bool, optional
        Whether symbols of the tree are the server's token ids. Answers must then have ids, and prefixes are
        sent exactly, as ids. Default: True if the server has ``/tokenize``, as llama.cpp and vLLM have.
        Otherwise a symbol is a token's number in order of appearance, and prefixes are sent as text.
    body : mapping, optional
        Further fields of each request, or other values of ``max_tokens`` (1), ``temperature`` (0) and
        ``logprobs`` (`top`); for Ollama of ``options`` and ``top_logprobs``.
    timeout : float
        Seconds for a whole request, from the connection to the last byte of the answer.
    patience : float
        Total seconds to wait for a busy server (408, 429, 502, 503, 504): as its Retry-After says, else 0.5,
        1, 2, ... seconds at a time. A failed connection is retried twice.

    Attributes
    ----------
    alphabet_size : int or None
        Number of tokens in the model's vocabulary, as llama.cpp tells it, and so the alphabet size of all
        its trees. None if the server does not tell it (vLLM), or if symbols are texts.
    eos : frozenset of int
        Symbols that end a sequence.
    top : int
        Number of most likely tokens requested.
    tokens : dict of int to bytes
        The bytes of each symbol, as far as answers have given them.

    Raises
    ------
    ValueError, TypeError
        If an argument is invalid; if `top` is None and the server does not tell its vocabulary; when called,
        if an answer breaks the API's format (the message gives its JSON path), if its probabilities add up to
        more than 1, or if a symbol of a prefix is unknown.
    OSError
        If the server cannot be reached, redirects, answers with an error, or stays busy; TimeoutError, an
        OSError, after `timeout`. The message starts with the address.
    ImportError
        If the extra `server` is missing.

    Notes
    -----
    A server that retokenizes text may turn a prefix into other tokens ("un" + "til" becomes "until"), and
    then answers for another path of the tree; only ids avoid this. With text, a prefix that ends within a
    character, contains U+FFFD or ends in a token without text is not sent, and its row is -inf; tokens with
    the same text are one symbol. Ollama tells nothing where the end is most likely: that row is -inf too.

    Temperature 0 makes answers repeatable and does not change log-probabilities computed before sampling;
    `read_model` warns if they seem to be computed after it. vLLM computes them before sampling, unless it
    runs with ``--logprobs-mode processed_logprobs``: then penalties in the model's generation_config.json
    change them, without a warning. Requests are sent one per prefix, one at a time; `Recording` stores
    answers. Proxies are taken from the environment.

    Examples
    --------
    >>> CompletionsServer("http://localhost:8000/v1", model="SmolLM2", api_key="sk-123", eos=["<|im_end|>"])
    CompletionsServer('http://localhost:8000/v1', model='SmolLM2', top=20)
    """

    partial = True
    rounding = 0.05
    _proxies = True

    def __init__(
        self,
        url: str,
        model: str | None = None,
        *,
        api_key: str | None = None,
        top: int | None = 20,
        eos: Iterable[str | int] | None = None,
        ids: bool | None = None,
        body: Mapping[str, Any] | None = None,
        timeout: float = 60,
        patience: float = 300,
    ) -> None:
        if isinstance(eos, str):
            raise TypeError(f"eos = {eos!r} is a single token: pass a list of tokens")
        self._ends = None if eos is None else tuple(eos)
        for i, name in enumerate(self._ends or ()):
            if not isinstance(name, str | int) or isinstance(name, bool):
                raise TypeError(f"eos[{i}] = {name!r}: must be a token's text or its id")
        optional("pydantic", "server", "reading answers of a server")
        self._post = _Post(url, api_key, timeout, patience, self._proxies)
        url = url.rstrip("/").removesuffix("/completions")
        self._url = url if urlsplit(url).path else f"{url}/v1"
        self._model = {} if model is None else {"model": model}
        self._ids = ids
        if top is None and (top := self.alphabet_size) is None:
            raise ValueError(
                f"top = None is the whole vocabulary, whose size {self._url} does not tell: give the size "
                "itself, top=32000 for 32000 tokens, as far as the server allows it"
            )
        self.top = checks.integer("top", top, 1)
        self._endpoint, self.needs_start = f"{self._url}/completions", ""
        request: dict[str, Any] = {"max_tokens": 1, "temperature": 0, "logprobs": self.top}
        if self._url.endswith("/api/generate"):
            self._endpoint, self.needs_start = self._url, "Ollama completes no empty prompt"
            request = {"raw": True, "stream": False, "logprobs": True, "top_logprobs": self.top}
            request["options"] = {"num_predict": 1, "temperature": 0}
        self._body = {**request, **self._model, **(body or {})}
        if self._body.get("echo"):
            raise ValueError("body['echo'] is set: the answer must contain the next token only")
        self.tokens: dict[int, bytes] = {}
        self._symbols: dict[bytes, int] = {}
        """Symbols of texts, in order of appearance, if symbols are not ids."""
        self._width = 1

    def __repr__(self) -> str:
        model = "".join(f", model={name!r}" for name in self._model.values())
        return f"{type(self).__name__}({self._url!r}{model}, top={self.top})"

    @cached_property
    def eos(self) -> frozenset[int]:
        """Symbols that end a sequence."""
        ends = self._ends
        if ends is None:
            told = self._beside("/props", "GET").get("eos_token") if self._by_ids else None
            ends = (told,) if isinstance(told, str) and told else ()
        return frozenset(map(self._end, ends))

    def _end(self, name: str | int) -> int:
        if not self._by_ids:
            if isinstance(name, int):
                raise ValueError(f"eos has {name}: the server gives texts and no ids; name it by its text")
            return self._symbol(name.encode(), None, "eos")
        if isinstance(name, int):
            return name
        found = self._tokenize(name, special=False)
        if len(found) != 1:
            raise ValueError(f"eos has {name!r}: the server's tokens of it are {found}; give the id of one")
        self.tokens[found[0]] = name.encode()
        return found[0]

    @property
    def named_ends(self) -> dict[int, str]:
        """Ends known by their text only; `read_model` warns if no answer contains them."""
        return {} if self._by_ids else {symbol: self.text(symbol) for symbol in self.eos}

    @cached_property
    def alphabet_size(self) -> int | None:
        """Number of tokens in the model's vocabulary; None if the server does not tell it."""
        match self._beside("/v1/models", "GET") if self._by_ids else None:
            # So llama.cpp says it.
            case {"data": [{"meta": {"n_vocab": int(size)}}]} if size > 0:
                return size
        return None

    def encode(self, text: str) -> list[int]:
        """Symbols of a prompt: its token ids or, if the server gives none, one symbol for the text."""
        text = checked_text(text)
        if self._by_ids:
            return self._tokenize(text, special=True)
        # Ends come first, so that symbols do not depend on the order of calls.
        self.eos  # noqa: B018 (reading them names their symbols)
        return [self._symbol(text.encode(), None, "prompt")] if text else []

    def text(self, symbols: int | Iterable[int]) -> str:
        r"""Text of one or several symbols; ``\xc3`` is not text, and symbol 17 without bytes is ``<17>``."""
        symbols = checked_ids(symbols)
        for symbol in symbols:
            if self._by_ids and symbol >= 0 and symbol not in self.tokens:
                self.tokens[symbol] = self._decoded([symbol]).encode() or b"<%d>" % symbol
        text = spelled(self.tokens, symbols)
        # Parts of a character, which only the decoder can put together.
        if self._by_ids and "\ufffd" in text and len(symbols) > 1 and min(symbols) >= 0:
            return self._decoded(symbols) or text
        return text

    def __call__(self, prefixes: Sequence[Prefix], /) -> Float[np.ndarray, "batch vocabulary"]:
        """Natural-log probabilities of the next symbol, one row per prefix; -inf means "unknown"."""
        asked = checked_prefixes(prefixes)
        # Neighbours in the tree one after another: a server reuses what it has cached for the last one.
        order = sorted(range(len(asked)), key=asked.__getitem__)
        rows = {i: self._ask(asked[i], f"prefixes[{i}]") for i in order}
        # The precision of servers, which tells the reader how far a sum may be from 1.
        width = max(self._width, self.alphabet_size or 1)
        found = np.full((len(asked), width), -np.inf, np.float32)
        for i, row in rows.items():
            found[i, list(row)] = list(row.values())
        return found

    def learn(self, tokens: Mapping[int, bytes]) -> None:
        """Restore the meaning of symbols from another process."""
        if self._by_ids:
            self.tokens = {**tokens, **self.tokens}
            return
        for symbol, raw in sorted(tokens.items()):
            if self._symbol(raw, raw, "tokens") != symbol:
                raise ValueError(f"symbol {symbol} is {raw!r} there, and {self.tokens.get(symbol)!r} here")

    def _symbol(self, key: int | bytes, raw: bytes | None, where: str) -> int:
        """The symbol of a token: its id or, if symbols are texts, its number in order of appearance."""
        if isinstance(key, int) != self._by_ids:
            told, meant = ("an id", "texts") if isinstance(key, int) else ("no id", "ids")
            raise ValueError(
                f"{where}: the token {key!r} has {told}, and symbols are {meant}; a CompletionsServer takes "
                "ids=True or ids=False"
            )
        symbol = key if isinstance(key, int) else self._symbols.setdefault(key, len(self._symbols))
        raw = raw if isinstance(key, int) else key
        if raw is not None:
            self.tokens[symbol] = raw
        self._width = max(self._width, symbol + 1)
        return symbol

    @cached_property
    def _by_ids(self) -> bool:
        return bool(self._before) if self._ids is None else self._ids

    def _tokenize(self, text: str, special: bool, needed: bool = True) -> list[int]:
        # llama.cpp and vLLM name the text and the option differently.
        answer = self._beside(
            "/tokenize", content=text, prompt=text, add_special=special, add_special_tokens=special
        )
        if needed and "tokens" not in answer:
            raise ValueError(f"{self._url}: the server has no /tokenize: give token ids, not {text!r}")
        tokens = answer.get("tokens", ())
        return [checks.integer("a token of the server's /tokenize", token, 0) for token in tokens]

    @cached_property
    def _before(self) -> list[int]:
        """Ids of an "a", as some decoders leave out the space before a first word; [] without /tokenize."""
        return self._tokenize("a", special=False, needed=False)

    @cached_property
    def _skip(self) -> int:
        """Length of the text of `_before`."""
        return len(self._decoded([], skip=0)) if self._before else 0

    def _decoded(self, ids: list[int], skip: int | None = None) -> str:
        """Text of ids; empty if the server tells none."""
        answer = self._beside("/detokenize", tokens=self._before + ids)
        return str(answer.get("content", answer.get("prompt", "")))[self._skip if skip is None else skip :]

    def _beside(self, path: str, method: str = "POST", **body: Any) -> Mapping[str, Any]:
        """The server's answer outside its versioned paths; empty if it has no such path."""
        url = re.sub(r"/v\d+$", "", self._url) + path
        found = self._post(url, {**body, **self._model}, method, absent=(404, 405, 501))
        try:
            answer = {} if found is None else json.loads(found)
        except ValueError:
            answer = {}
        return answer if isinstance(answer, dict) else {}

    def _ask(self, prefix: Prefix, where: str) -> dict[int, float]:
        prompt: str | list[int] = list(prefix)
        if not self._by_ids:
            if strange := [symbol for symbol in prefix if symbol not in self.tokens]:
                raise ValueError(
                    f"{where} holds {strange[0]}: the server has given no text for it. It works "
                    "with texts: give the prompt as text, or ids=True if it gives ids"
                )
            texts = [self.tokens[symbol] for symbol in prefix]
            prompt = b"".join(texts).decode(errors="replace")
            # After a token without text the server would answer as it does before it.
            if "\ufffd" in prompt or not all(texts):
                return {}
        body = {
            "prompt": prompt,
            **({"return_tokens_as_token_ids": True} if self._by_ids else {}),
            **self._body,
        }
        place = f"{self._url}: the answer after {reprlib.repr(spelled(self.tokens, prefix[-8:]))}"
        answer = self._post(self._endpoint, body) or b""
        # It needs pydantic.
        from .answers import read

        try:
            return {self._symbol(*token, place): logprob for token, logprob in read(answer, place).items()}
        except ValueError as error:
            problem = self._post.hidden(str(error))
        # Outside the handler, because the first error quotes the server, which may quote the key.
        raise ValueError(problem)
