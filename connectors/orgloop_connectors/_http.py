"""
The ground on which every connector that speaks HTTP stands: a client with limits, and what its answers mean.

    async with open_client(secrets=[token]) as client:
        reply = await client.request("POST", url, json={"text": "hello"})
    return outcome_of(reply, who="Slack")                  # an actor
    page = json_of(reply, who="GitHub")                    # a source: the JSON, or PollFailed

Law: what comes of a request is a value, an :class:`Answer` or :class:`NoAnswer`; nothing that the far side sends makes
it raise. Redirects are not followed, the environment's proxies and certificates are not asked unless that is said,
certificates are always checked, and no answer is read further than a limit.
"""

from __future__ import annotations

import json
import re
import ssl
import time
import zlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from functools import lru_cache, partial
from types import TracebackType
from typing import TYPE_CHECKING, Self

import attrs
import trio

from orgloop_connectors._egress import Refused, check_allowed, url_faults, walled
from orgloop_connectors._verdict import (
    MAX_EXCERPT_CHARS,
    Answer,
    NoAnswer,
    Reply,
    json_of,
    outcome_of,
    poll_failure,
    retry_after_s,
)

if TYPE_CHECKING:
    import httpx2

__all__ = [
    "Answer",
    "Client",
    "Limits",
    "NoAnswer",
    "Online",
    "Refused",
    "Reply",
    "json_of",
    "open_client",
    "outcome_of",
    "poll_failure",
    "retry_after_s",
    "url_faults",
]

MIN_SECRET_CHARS = 4
"""A shorter text is no secret, and blotting it out would spoil every sentence."""

MAX_HEADER_CHARS = 8192
"""How much of a header of an answer is kept."""


@attrs.frozen(kw_only=True)
class Limits:
    """How long a request may take, and how much an answer may say."""

    connect_s: float = 10.0
    """To connect, TLS included."""
    read_s: float = 30.0
    """Between two pieces of an answer."""
    total_s: float = 60.0
    """In all. For an actor the route's ``timeout`` usually comes first, and is the runtime's."""
    body_bytes: int = 10 * 1024 * 1024
    """Of an answer's body, before and after it is unpacked; the rest is not read."""
    connections: int = 10
    """At once; whoever comes later waits for one."""


@asynccontextmanager
async def open_client(
    *,
    limits: Limits | None = None,
    secrets: Collection[str] = (),
    allowed_hosts: Collection[str] = (),
    environment: bool = False,
    tls: ssl.SSLContext | None = None,
    uds: str | None = None,
) -> AsyncGenerator[Client]:
    """
    Open a client; its connections end with it.

    ``secrets`` are blotted out of whatever it says. ``allowed_hosts`` are those that an event may name (``host``, or
    ``host:port`` for a port that is not the usual one). ``environment`` asks HTTP_PROXY and its like, and
    SSL_CERT_FILE, too. ``uds`` is the path of a Unix socket, through which every request then goes.
    """
    from http.cookiejar import CookieJar, DefaultCookiePolicy

    import httpx2

    limits = limits or Limits()
    make = partial(
        httpx2.AsyncClient,
        headers={"user-agent": _user_agent(), "accept": "*/*", "accept-encoding": "gzip"},
        timeout=httpx2.Timeout(limits.read_s, connect=limits.connect_s, pool=None),
        # A cookie of one answer is nothing to the next request.
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
    )
    verify = tls or _tls(environment)
    pool = httpx2.Limits(max_connections=limits.connections, max_keepalive_connections=limits.connections)
    transport = httpx2.AsyncHTTPTransport(verify=verify, limits=pool, uds=uds) if uds else None
    # Of its own, and without a memory: a connection to an address is never used again for another name.
    unkept = httpx2.AsyncHTTPTransport(verify=verify, limits=httpx2.Limits(max_keepalive_connections=0))
    async with (
        make(verify=verify, limits=pool, transport=transport, trust_env=environment) as operators,
        make(transport=walled(unkept), trust_env=False) as events,
    ):
        yield Client(operators, events, limits, tuple(secrets), frozenset(allowed_hosts))


@lru_cache
def _user_agent() -> str:
    from importlib.metadata import version

    return f"orgloop/{version('orgloop')}"


@lru_cache
def _tls(environment: bool) -> ssl.SSLContext:
    """One for all clients: it is the same for each, and takes 17 ms to make."""
    import httpx2

    return httpx2.create_ssl_context(trust_env=environment)


class Client:
    """Sends requests, and gives back what came of each; made by :func:`open_client`."""

    def __init__(
        self,
        operators: httpx2.AsyncClient,
        events: httpx2.AsyncClient,
        limits: Limits,
        secrets: Sequence[str],
        allowed_hosts: frozenset[str],
    ) -> None:
        self._operators, self._events = operators, events
        self._limits, self._allowed_hosts = limits, allowed_hosts
        known = {form for secret in secrets for form in (secret, json.dumps(secret)[1:-1])}
        # The longest first: one may be part of another.
        self._secrets = sorted((form for form in known if len(form) >= MIN_SECRET_CHARS), key=len, reverse=True)

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
        json: object = None,
        content: bytes | None = None,
        event_made: bool = False,
    ) -> Reply:
        """
        Send one request, and read its answer.

        ``event_made`` must be said when scheme, host or port came from an event: the host must then be allowed. A path
        or a query may always be made of an event, percent-encoded by whoever makes it.
        """
        import httpx2

        client = self._events if event_made else self._operators
        begun = _Begun()
        try:
            if len(url) > MAX_HEADER_CHARS:
                raise Refused(f"a URL of {len(url)} characters is refused")
            request = client.build_request(method, url, headers=headers, params=params, json=json, content=content)
            self._check(request.url, event_made=event_made)
            # Whoever calls may have a nearer deadline; this one ends what nobody else does.
            with trio.move_on_after(self._limits.total_s):
                return await self._exchange(client, request, begun)
        except (Refused, httpx2.UnsupportedProtocol, httpx2.LocalProtocolError, httpx2.InvalidURL, ValueError) as exc:
            return NoAnswer(self._masked(str(exc)), final=True)
        except httpx2.HTTPError as exc:
            return self._broken(begun, _words(exc))
        return self._broken(begun, f"no answer within {self._limits.total_s:g} s")

    def _check(self, url: httpx2.URL, *, event_made: bool) -> None:
        if event_made:
            check_allowed(url.scheme, url.host, url.port, url.userinfo, self._allowed_hosts)
        elif faults := url_faults(str(url)):
            raise Refused(f"the URL {faults[0]}")

    async def _exchange(self, client: httpx2.AsyncClient, request: httpx2.Request, begun: _Begun) -> Answer:
        begun.response = response = await client.send(request, stream=True)
        try:
            begun.body = _Body(response.headers.get("content-encoding", ""), self._limits.body_bytes)
            await begun.body.read(response.aiter_raw())
            return self._answer(begun)
        finally:
            with trio.move_on_after(1, shield=True):
                await response.aclose()

    def _broken(self, begun: _Begun, reason: str) -> Reply:
        """What is left when a connection ended before the answer did: a status, once heard, has been said."""
        if begun.response is None or begun.body is None:
            return NoAnswer(self._masked(reason))
        begun.body.fault = begun.body.fault or f"the body broke off: {reason}"
        return self._answer(begun)

    def _answer(self, begun: _Begun) -> Answer:
        assert begun.response is not None
        assert begun.body is not None
        body = bytes(begun.body.kept)
        return Answer(
            status=begun.response.status_code,
            headers={name.lower(): value[:MAX_HEADER_CHARS] for name, value in begun.response.headers.items()},
            body=body,
            fault=begun.body.fault,
            excerpt=self.excerpt(body),
            at_s=time.time(),
        )

    def excerpt(self, text: bytes) -> str:
        """The beginning of what the far side said, on one line, harmless to a terminal, without secrets."""
        # Masked before it is cut, or the first half of a secret would stay.
        said = self._masked(text[: 64 * MAX_EXCERPT_CHARS].decode("utf-8", "replace"))
        line = " ".join("".join(c if c.isprintable() else " " for c in said).split())
        return line if len(line) <= MAX_EXCERPT_CHARS else f"{line[:MAX_EXCERPT_CHARS]}…"

    def _masked(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return text


class Online:
    """What a source or an actor inherits to have a client, from when it is entered until it is left."""

    def __init__(self, open_: Callable[[], AbstractAsyncContextManager[Client]]) -> None:
        self._open, self._stack = open_, AsyncExitStack()
        self._client: Client | None = None

    @property
    def client(self) -> Client:
        """The client; RuntimeError outside."""
        if self._client is None:
            raise RuntimeError(f"{type(self).__name__} has a client only while it is entered: async with it")
        return self._client

    async def __aenter__(self) -> Self:
        self._client = await self._stack.enter_async_context(self._open())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client = None
        await self._stack.__aexit__(kind, error, trace)


class _Begun:
    """How far an exchange has come."""

    response: httpx2.Response | None = None
    body: _Body | None = None


class _Body:
    """Takes in the pieces of a body, unpacked if need be, up to a limit."""

    def __init__(self, encoding: str, limit_bytes: int) -> None:
        self.kept = bytearray()
        self.fault: str | None = None
        self._limit_bytes, self._came_bytes = limit_bytes, 0
        self._unpack = zlib.decompressobj(wbits=31) if encoding.strip().lower() in ("gzip", "x-gzip") else None
        if self._unpack is None and encoding.strip().lower() not in ("", "identity"):
            self.fault = f"the body is packed as {encoding[:40]!r}, which nobody asked for"

    async def read(self, pieces: AsyncIterator[bytes]) -> None:
        """Read until the end, or until more cannot be kept."""
        # A generator of the client that is left in the middle cannot be closed; one that is cancelled ends by itself.
        with trio.CancelScope() as enough:
            if self.fault is not None:
                return
            async for piece in pieces:
                if not self._take(piece):
                    enough.cancel("no more of this body can be kept")
        if self.fault is None and self._unpack is not None and self._came_bytes and not self._unpack.eof:
            self.fault = "the body is packed, and breaks off"

    def _take(self, piece: bytes) -> bool:
        if self.fault is not None:
            return False
        self._came_bytes += len(piece)
        room_bytes = self._limit_bytes - len(self.kept)
        try:
            # One byte more than there is room for, to know whether there is one.
            self.kept += self._unpack.decompress(piece, room_bytes + 1) if self._unpack else piece[: room_bytes + 1]
        except zlib.error as exc:
            self.fault = f"the body is packed, and damaged: {exc}"
        if len(self.kept) > self._limit_bytes or self._came_bytes > self._limit_bytes:
            del self.kept[self._limit_bytes :]
            self.fault = f"the body is longer than {self._limit_bytes} bytes"
        return self.fault is None


_BARE = re.compile(r"\[Errno -?\d+\] ")


def _words(exc: BaseException) -> str:
    """What an error of the client says; where it says nothing, what it was caused by does."""
    name = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", type(exc).__name__).lower()
    cause: BaseException | None = exc
    while cause is not None and not isinstance(cause, trio.Cancelled):
        if text := _BARE.sub("", str(cause)).strip():
            return f"{name}: {text}"
        cause = cause.__cause__ or cause.__context__
    return name
