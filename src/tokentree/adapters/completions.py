"""Models behind a completions API: a server that is asked as the tree grows, and recorded answers.

An API tells the log-probabilities of the few most likely tokens and hides the rest. So these models are
partial: what the answers do not say is -inf in a row, and becomes mass that the tree reports as unexpanded.
"""

import json
import math
import re
import reprlib
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import numpy as np
from jaxtyping import Float

from .._lib import checks
from .._lib.frames import optional
from .asking import Prefix, spelled, warn_of_ends
from .posting import _Post

if TYPE_CHECKING:
    from .answers import Position


class _Completions:
    """What answers say, by symbol: a token's id or, where they have none, its number by appearance."""

    partial = True
    rounding = 0.05

    def __init__(self, eos: Iterable[str | int] | None) -> None:
        if isinstance(eos, str):
            raise TypeError(f"eos = {eos!r} is one token: pass a list of tokens")
        self._ends = None if eos is None else tuple(eos)
        for i, name in enumerate(self._ends or ()):
            if not isinstance(name, str | int) or isinstance(name, bool):
                raise TypeError(f"eos[{i}] = {name!r}: must be a token's text or its id")
        optional("pydantic", "server", "reading answers of a server")
        from .answers import read

        self._read = read
        self.tokens: dict[int, bytes] = {}
        """What symbols stand for, as far as it is known."""
        self._symbols: dict[bytes, int] = {}
        self._width = 1

    def learn(self, tokens: Mapping[int, bytes]) -> None:
        """Take up what symbols stood for in another process."""
        if self._by_ids():
            self.tokens = {**tokens, **self.tokens}
            return
        for symbol, raw in sorted(tokens.items()):
            if self._symbol(raw, raw, "tokens") != symbol:
                raise ValueError(f"symbol {symbol} is {raw!r} there, and {self.tokens.get(symbol)!r} here")

    def text(self, symbols: int | Iterable[int]) -> str:
        r"""Text of a symbol or of several; ``\xc3`` is what is no text, and ``<17>`` what has none."""
        return spelled(self.tokens, symbols)

    def _by_ids(self) -> bool:
        """Whether symbols are ids."""
        raise NotImplementedError

    def _symbol(self, key: int | bytes, raw: bytes | None, where: str) -> int:
        if isinstance(key, int) != self._by_ids():
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

    def _row(self, position: "Position", where: str) -> dict[int, float]:
        """Log-probabilities by symbol after a prefix."""
        return {self._symbol(key, position.tokens[key], where): p for key, p in position.known.items()}

    def _dense(self, rows: Sequence[Mapping[int, float]]) -> Float[np.ndarray, "batch vocabulary"]:
        # The precision that servers compute in, which tells the reader how far a sum may be off.
        found = np.full((len(rows), self._width), -np.inf, dtype=np.float32)
        for out, row in zip(found, rows, strict=True):
            if row:
                values = np.fromiter(row.values(), dtype=np.float64, count=len(row))
                out[list(row)] = values - max(0.0, math.log(np.exp(values).sum()))
        return found


class CompletionsServer(_Completions):
    """The model behind an OpenAI-compatible completions endpoint, asked for one token after each prefix.

    A partial next-token model: llama.cpp, vLLM, Ollama and others.

    Parameters
    ----------
    url : str
        Such as ``"http://localhost:8000/v1"``, with or without ``/completions``.
    model : str, optional
        Which of the server's models; one that serves a single model needs no name.
    api_key : str, optional
        Sent as a bearer token to this address only. It is in no message, repr or file.
    top : int
        Number of most likely tokens asked for. Servers cap it: OpenAI's at 5, vLLM's and Ollama's at 20,
        llama.cpp's at the vocabulary.
    eos : iterable of str or int, optional
        Tokens that end a sequence, by text, such as ``"<|im_end|>"``, or by id. Default: what llama.cpp says;
        none elsewhere.
    ids : bool, optional
        Whether symbols of the tree are the server's token ids. Then prefixes are sent as ids, exactly, and
        answers must have ids. Default: True if the server has ``/tokenize``, as llama.cpp and vLLM have.
        Otherwise a symbol is a token's number in order of appearance, and prefixes are sent as text.
    body : mapping, optional
        More fields of each request, or other values for ``max_tokens`` (1), ``temperature`` (0) and
        ``logprobs`` (`top`).
    timeout : float
        Seconds for a whole request, from the connection to the last byte of the answer.
    patience : float
        Seconds to wait in all, before a request is given up, for a server that is busy (408, 429, 502, 503,
        504): as long as its Retry-After says, else 0.5, 1, 2, ... seconds. A connection that fails is tried
        again twice.

    Attributes
    ----------
    eos : frozenset of int
        Symbols that end a sequence.
    tokens : dict of int to bytes
        What symbols stand for, as far as answers have told.

    Raises
    ------
    ValueError, TypeError
        If an argument is not as above; when called, if an answer is not as the API says, with its JSON path,
        or its probabilities add up to more than 1, or if nothing stands for a symbol of a prefix.
    OSError
        If the server cannot be reached, redirects, answers with an error, or stays busy; TimeoutError, an
        OSError, after `timeout`. The message starts with the address.
    ImportError
        If the extra `server` is missing.

    Notes
    -----
    A server that tokenizes text anew may take a prefix for other tokens ("un" + "til" comes back as "until"),
    and then the answer is about another path of the tree. Only ids are free of this. As text, a prefix with
    half a character or U+FFFD is not sent, and its row is -inf; tokens of one text are one symbol.

    Temperature 0 makes answers repeatable and leaves log-probabilities alone where they are those before
    sampling; `read_model` warns where they seem not to be. Nothing is kept: see `Recording`. One request
    for a prefix, one at a time. Redirects are not followed. Proxies are taken from the environment.

    Examples
    --------
    >>> CompletionsServer("http://localhost:8000/v1", model="SmolLM2", api_key="sk-123", eos=["<|im_end|>"])
    CompletionsServer('http://localhost:8000/v1', model='SmolLM2', top=20)
    """

    _proxies = True

    def __init__(
        self,
        url: str,
        model: str | None = None,
        *,
        api_key: str | None = None,
        top: int = 20,
        eos: Iterable[str | int] | None = None,
        ids: bool | None = None,
        body: Mapping[str, Any] | None = None,
        timeout: float = 60,
        patience: float = 300,
    ) -> None:
        super().__init__(eos)
        self._post = _Post(url, api_key, timeout, patience, self._proxies)
        url = url.rstrip("/").removesuffix("/completions")
        self._url = url if urlsplit(url).path else f"{url}/v1"
        self._model = {} if model is None else {"model": model}
        self._top = checks.integer("top", top, 1)
        self._body = {"max_tokens": 1, "temperature": 0, "logprobs": self._top, **self._model, **(body or {})}
        if self._body.get("echo"):
            raise ValueError("body['echo'] is set: the answer must hold the next token only")
        self._ids = ids
        self._named: frozenset[int] | None = None

    def __repr__(self) -> str:
        model = "".join(f", model={name!r}" for name in self._model.values())
        return f"{type(self).__name__}({self._url!r}{model}, top={self._top})"

    @property
    def eos(self) -> frozenset[int]:
        """Symbols that end a sequence."""
        if self._named is None:
            ends = self._ends
            if ends is None:
                told = self._beside("/props", method="GET").get("eos_token") if self._by_ids() else None
                ends = (told,) if isinstance(told, str) and told else ()
            self._named = frozenset(map(self._end, ends))
        return self._named

    def _end(self, name: str | int) -> int:
        if not self._by_ids():
            if isinstance(name, int):
                raise ValueError(f"eos has {name}: the server tells texts and no ids; name it by its text")
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
        """Ends that are known by their text only, which `read_model` warns of if no answer has them."""
        return {} if self._by_ids() else {symbol: self.text(symbol) for symbol in self.eos}

    def encode(self, text: str) -> list[int]:
        """Symbols of a prompt: its token ids or, where the server tells none, one symbol for the text."""
        if self._by_ids():
            return self._tokenize(text, special=True)
        # Ends come first, so that symbols do not depend on what is called first.
        self._named = self.eos
        return [self._symbol(text.encode(), None, "prompt")]

    def text(self, symbols: int | Iterable[int]) -> str:
        r"""Text of a symbol or of several; ``\xc3`` is what is no text, and ``<17>`` what has none."""
        symbols = [symbols] if isinstance(symbols, int | np.integer) else symbols
        symbols = [int(symbol) for symbol in symbols]
        for symbol in symbols:
            if symbol >= 0 and symbol not in self.tokens and self._by_ids():
                answer = self._beside("/detokenize", tokens=[symbol])
                said = answer.get("content", answer.get("prompt"))
                self.tokens[symbol] = said.encode() if isinstance(said, str) else b"<%d>" % symbol
        return spelled(self.tokens, symbols)

    def __call__(self, prefixes: Sequence[Prefix], /) -> Float[np.ndarray, "batch vocabulary"]:
        """Natural-log probabilities of the next symbol, one row for each prefix; -inf is "not known"."""
        rows: dict[int, dict[int, float]] = {}
        # Neighbours in the tree one after another: a server goes on from what it has kept of the last one.
        for i, prefix in sorted(enumerate(map(tuple, prefixes)), key=lambda item: item[1]):
            rows[i] = self._ask(prefix, f"prefixes[{i}]")
        return self._dense([rows[i] for i in range(len(prefixes))])

    def _by_ids(self) -> bool:
        if self._ids is None:
            self._ids = "tokens" in self._beside("/tokenize", content="a", prompt="a")
        return self._ids

    def _tokenize(self, text: str, special: bool) -> list[int]:
        # llama.cpp calls the text and the option one thing, and vLLM another.
        answer = self._beside(
            "/tokenize", content=text, prompt=text, add_special=special, add_special_tokens=special
        )
        if "tokens" not in answer:
            raise ValueError(f"{self._url}: the server has no /tokenize: give token ids, not {text!r}")
        return [checks.integer("a token of the server's /tokenize", token, 0) for token in answer["tokens"]]

    def _beside(self, path: str, method: str = "POST", **body: Any) -> Mapping[str, Any]:
        """What the server answers beside its versioned paths; nothing where it has no such path."""
        url = re.sub(r"/v\d+$", "", self._url) + path
        found = self._post(url, {**body, **self._model}, method, absent=(404, 405, 501))
        try:
            answer = {} if found is None else json.loads(found)
        except ValueError:
            answer = {}
        return answer if isinstance(answer, dict) else {}

    def _ask(self, prefix: Prefix, where: str) -> dict[int, float]:
        prompt: str | list[int] = list(prefix)
        if not self._by_ids():
            if strange := [symbol for symbol in prefix if symbol not in self.tokens]:
                raise ValueError(
                    f"{where} holds {strange[0]}: nothing that the server told stands for it. The server "
                    "tells texts: give the prompt as text, or ids=True if it tells ids"
                )
            prompt = b"".join(self.tokens[symbol] for symbol in prefix).decode(errors="replace")
            if "\ufffd" in prompt:
                return {}
        body = {"prompt": prompt, **({"return_tokens_as_token_ids": True} if self._ids else {}), **self._body}
        place = f"{self._url}: the answer after {reprlib.repr(spelled(self.tokens, prefix[-8:]))}"
        answer = self._post(f"{self._url}/completions", body) or b""
        choices, problem = [], f"{place}.choices is empty"
        try:
            choices = self._read(answer, place)
        except ValueError as error:
            problem = str(error)
        if not choices:
            # Outside of the handler, for the first error has what the server said, which may be the key.
            raise ValueError(self._post.hidden(problem))
        return self._row(choices[0][0], place) if choices[0] else {}


class RecordedCompletions(_Completions):
    """The model behind recorded answers to one prompt, as far as they tell it.

    A partial next-token model: the row of a prefix holds the log-probabilities that some answer gives after
    it, -inf for what no answer tells; a prefix that no answer has gets only -inf.

    Parameters
    ----------
    responses : iterable of dict
        Decoded JSON answers of completions or chat completions with log-probabilities, all to the same
        prompt. Prefixes start where their tokens start.
    eos : iterable of str or int
        Tokens that end a sequence, by text or by id.
    tolerance : float
        Largest difference, in nats, between log-probabilities that two answers give the same token after
        the same prefix; the first one is kept. Servers that compute in 16 bits may differ by more.

    Attributes
    ----------
    eos : frozenset of int
        Symbols that end a sequence.
    tokens : dict of int to bytes
        What symbols stand for. They are ids if the answers have ids, else numbers in order of appearance.

    Raises
    ------
    ValueError, TypeError
        If an answer is not as the API says, with its place; if some tokens have ids and others none; if
        answers differ by more than `tolerance`, or probabilities add up to more than 1 beyond that, with the
        prefix; if no answer gives a log-probability.

    Notes
    -----
    It warns if no answer has a token of `eos`: servers write ends in their own ways, and llama.cpp gives
    every special token the empty text, so that only its id names it. A finish_reason of "stop" adds nothing:
    an end has a probability only where an answer gives one. O(size of the answers).

    Examples
    --------
    >>> logprobs = {"tokens": ["a"], "token_logprobs": [-0.5], "top_logprobs": [{"a": -0.5, "</s>": -1.0}]}
    >>> model = RecordedCompletions([{"choices": [{"logprobs": logprobs}]}], eos=["</s>"])
    >>> model([(), (0,)])
    array([[-0.5, -1. ],
           [-inf, -inf]], dtype=float32)
    >>> model.eos, model.text([0, 1])
    (frozenset({1}), 'a</s>')
    """

    def __init__(
        self,
        responses: Iterable[Mapping[str, Any]],
        *,
        eos: Iterable[str | int] = (),
        tolerance: float = 1e-3,
    ) -> None:
        eos = eos if isinstance(eos, str) else tuple(eos)
        super().__init__(eos)
        if isinstance(responses, Mapping):
            raise TypeError("responses is one answer: pass a list of answers")
        if not (isinstance(tolerance, int | float) and 0 <= tolerance < math.inf):
            raise ValueError(f"tolerance = {tolerance!r}: must be finite and >= 0")
        self._ids: bool | None = None
        # Prefixes as the nodes of a trie: written out, those of one long answer would take its square.
        self._below: dict[tuple[int, int], int] = {}
        self._rows: list[dict[int, float]] = [{}]
        for i, response in enumerate(responses):
            for j, choice in enumerate(self._read(response, f"responses[{i}]")):
                node, path = 0, list[int]()
                for position in choice:
                    where = f"responses[{i}], choice {j}, after {reprlib.repr(self.text(path[:9]))}"
                    if self._ids is None:
                        self._ids = isinstance(position.chosen.key, int)
                    self._merge(self._rows[node], self._row(position, where), where, tolerance)
                    path.append(self._symbol(*position.chosen, where))
                    node = self._below.setdefault((node, path[-1]), len(self._rows))
                    if node == len(self._rows):
                        self._rows.append({})
        if not any(self._rows):
            raise ValueError("responses give no log-probability at all")
        ends, unmet, met = set[int](), [], set[int]().union(*self._rows)
        for name in eos:
            if isinstance(name, int) and not self._ids:
                raise ValueError(
                    f"eos has {name}, and the answers have texts and no ids: name it by its text"
                )
            raw = name.encode() if isinstance(name, str) else None
            found = {name} if isinstance(name, int) else {s for s, held in self.tokens.items() if held == raw}
            ends |= found
            if not found & met:
                unmet.append(name)
        self.eos = frozenset(ends)
        warn_of_ends(unmet)

    def __call__(self, prefixes: Sequence[Prefix], /) -> Float[np.ndarray, "batch vocabulary"]:
        """Natural-log probabilities of the next symbol, one row for each prefix; -inf is "not known"."""
        return self._dense([self._known(prefix) for prefix in prefixes])

    def _by_ids(self) -> bool:
        return bool(self._ids)

    def _known(self, prefix: Prefix) -> Mapping[int, float]:
        node = 0
        for symbol in prefix:
            if (node := self._below.get((node, symbol), -1)) < 0:
                return {}
        return self._rows[node]

    def _merge(self, held: dict[int, float], row: dict[int, float], where: str, tolerance: float) -> None:
        from .answers import check_sum

        for symbol, logprob in row.items():
            if abs(held.setdefault(symbol, logprob) - logprob) > tolerance:
                raise ValueError(
                    f"{where} the token {self.text(symbol)!r} has log-probability {logprob}, and "
                    f"{held[symbol]} in an earlier answer: the model changed, or two tokens share that name; "
                    f"ask for ids, or raise tolerance = {tolerance:g}"
                )
        check_sum(held.values(), where, math.exp(tolerance))
