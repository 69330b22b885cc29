"""Asking a server over HTTP, again where it is busy."""

import json
import math
import re
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from itertools import count
from typing import Any, NoReturn
from urllib.parse import urlsplit

from .._lib.frames import optional

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
    url: str, headers: Mapping[str, str] | None = None, *, timeout: float = 60, patience: float = 300
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
