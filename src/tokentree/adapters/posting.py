"""Requests to a server over HTTP: retried if it is busy, bounded in time, and never revealing the key."""

import asyncio
import json
import math
import os
import re
import threading
import time
import weakref
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cache
from itertools import count
from typing import Any, NoReturn

from .._lib.frames import optional

_BUSY = (408, 429, 502, 503, 504)
"""Statuses after which the same request may succeed later."""

_BREAKS = 2
"""Number of retries after a failed connection."""

_WAIT = 0.5
"""Seconds before the first retry. Each wait is twice the one before, unless the server gives a time."""


class _Post:
    """A server: each call sends a JSON body to one of its addresses, and returns the answer.

    Every error is an OSError. Its message starts with the address, and never contains the key.
    """

    def __init__(self, url: str, api_key: str | None, timeout: float, patience: float, proxies: bool) -> None:
        if not isinstance(url, str) or not url.startswith(("http://", "https://")):
            raise ValueError(f"url = {url!r}: must start with http:// or https://")
        if any(mark in url for mark in "@?#"):
            raise ValueError(
                "url has a user name, a query or a fragment: must have none; pass a key as api_key"
            )
        if api_key is not None and not re.fullmatch("[!-~]+", api_key):
            raise ValueError(
                "api_key is empty, or has a space, a line break or another character not allowed in a header "
                "(not shown here): .strip() a key that was read from a file"
            )
        for name, value, least in (("timeout", timeout, 1e-3), ("patience", patience, 0)):
            if not (isinstance(value, int | float) and least <= value < math.inf):
                raise ValueError(f"{name} = {value!r}: must be finite seconds, at least {least:g}")
        self._httpx = optional("httpx2", "server", "asking a server")
        try:
            self._httpx.URL(url)
        except self._httpx.InvalidURL as error:
            raise ValueError(f"url = {url!r}: {error}") from None
        self._key, self._timeout, self._patience = api_key, timeout, patience
        # The system's certificates are read once, because that takes longer than many requests.
        tls = self._httpx.create_ssl_context()
        self._options = {"timeout": None, "verify": tls, "trust_env": proxies, "follow_redirects": False}
        self._client: Any = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "a reader of a server may hold a key and cannot be pickled: make it in the process that uses it"
        )

    def __call__(
        self, url: str, body: Mapping[str, Any], method: str = "POST", absent: tuple[int, ...] = ()
    ) -> bytes | None:
        """The answer's bytes; None where its status is in `absent`."""
        content, waited, broken = json.dumps(body).encode(), 0.0, 0
        for tries in count(1):
            status, headers, text = self._send(method, url, content)
            if 200 <= status < 300:
                return text
            if status in absent:
                return None
            broken += status == 0
            again = status in _BUSY or (status == 0 and broken <= _BREAKS)
            # Bounded, because floats end at 2^1024.
            wait = max(_WAIT, _retry_after(headers, otherwise=_WAIT * 2 ** min(tries - 1, 30)))
            if not again or waited + wait > self._patience:
                break
            time.sleep(wait)
            waited += wait
        # Hidden before it is cut, so that no part of a key is left.
        said = self.hidden(text.decode(errors="replace"))[:500]
        reason = said if status == 0 else f"answered {status}: {said}"
        if 300 <= status < 400:
            reason = f"answered {status}, location {headers.get('location')}: not followed, give that address"
        top = body.get("top_logprobs", body.get("logprobs"))
        if status in (400, 422) and top and "logprob" in said:
            reason += f"; the request had logprobs = {top}, which servers cap: try a smaller top"
        if tries > 1 or status in _BUSY:
            reason += f"; tried {tries} times, waiting {waited:g} s, with patience = {self._patience:g}"
        raise OSError(self.hidden(f"{url} {reason}"))

    def _send(self, method: str, url: str, content: bytes) -> tuple[int, Mapping[str, str], bytes]:
        """Status, headers and text of the answer; status 0 and what happened if there is none."""
        headers = {"Content-Type": "application/json"}
        if self._key is not None:
            headers["Authorization"] = f"Bearer {self._key}"
        loop = _event_loop()
        if loop is not self._loop:
            self._loop, self._client = loop, self._httpx.AsyncClient(**self._options)
            weakref.finalize(self, _close, loop, self._client)

        async def ask() -> Any:
            # A limit on the whole request, because the client's own limits apply to single steps.
            try:
                async with asyncio.timeout(self._timeout):
                    return await self._client.request(method, url, content=content, headers=headers)
            except TimeoutError:
                return None

        asked = asyncio.run_coroutine_threadsafe(ask(), loop)
        # The client's errors hold the request and its headers, and none of them is raised or a cause.
        try:
            answer = asked.result()
        except self._httpx.HTTPError as error:
            cause: BaseException = error
            while (deeper := cause.__cause__ or cause.__context__) is not None:
                cause = deeper
            failed = "cannot be reached" if isinstance(error, self._httpx.ConnectError) else "broke off"
            return 0, {}, f"{failed}: {type(cause).__name__}: {cause}".encode()
        finally:
            # Ctrl-C also ends the request.
            asked.cancel()
        if answer is None:
            raise TimeoutError(f"{url} gave no complete answer within timeout = {self._timeout:g} s")
        return answer.status_code, answer.headers, answer.content

    def hidden(self, text: str) -> str:
        """`text` without the key."""
        return text.replace(self._key, "[hidden]") if self._key else text


@cache
def _event_loop() -> asyncio.AbstractEventLoop:
    """An event loop in a thread of its own, because a notebook runs one in the main thread.

    It goes on between requests, so that connections are reused: making one takes longer than many answers.
    """
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, daemon=True).start()
    return loop


if hasattr(os, "register_at_fork"):
    # Threads do not go on in the child, nor can it share connections.
    os.register_at_fork(after_in_child=_event_loop.cache_clear)


def _close(loop: asyncio.AbstractEventLoop, client: Any) -> None:
    asyncio.run_coroutine_threadsafe(client.aclose(), loop)


def _retry_after(headers: Mapping[str, str], otherwise: float) -> float:
    """Seconds that a busy server asks to wait; negative for a time that is past."""
    text = headers.get("retry-after", "").strip()
    try:
        if text[:1].isdigit():
            return float(text)
        when = parsedate_to_datetime(text)
    except ValueError:
        return otherwise
    return (when.replace(tzinfo=when.tzinfo or UTC) - datetime.now(UTC)).total_seconds()
