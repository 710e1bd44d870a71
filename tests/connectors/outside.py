"""
The outside, as connectors meet it: a real HTTP server on loopback that answers as a test says, and remembers.

    async with open_outside() as outside:
        outside.says(Says(503), Says(200, {"ok": True}))       # the first request, the second; the last one repeats
        outside.at("GET", "/repos/o/r/pulls", Says(200, []))   # for one path: before what is said to all others
        ...                                                    # requests to outside.url
        assert outside.heard[0].json() == {"text": "hello"}

What it can do to a client, each by a field of :class:`Says`: answer late, drip, break off in the middle of a body or
before the first byte, promise more than it sends, never end, say bytes that are no HTTP. ``open_outside(uds=path)``
listens on a Unix socket instead, ``tls=context`` speaks TLS. A path that nobody has said anything about is answered
404, and named in ``outside.strays``.
"""

from __future__ import annotations

import gzip
import json
import socket
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import attrs
import h11
import trio


@attrs.frozen
class Heard:
    """One request, as it came."""

    method: str
    target: str
    """Path and query, as sent."""
    headers: Mapping[str, str]
    """By name, in lower case."""
    body: bytes
    connection: int
    """Which connection it came by, counted from 1."""

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def query(self) -> dict[str, str]:
        return dict(parse_qsl(urlsplit(self.target).query, keep_blank_values=True))

    def json(self) -> Any:
        return json.loads(self.body)


@attrs.frozen
class Says:
    """One answer. ``body`` may be bytes, text, or anything JSON."""

    status: int = 200
    body: Any = b""
    headers: Mapping[str, str] = attrs.field(factory=dict)
    delay_s: float = attrs.field(default=0.0, kw_only=True)
    """Before the first byte; ``math.inf`` never answers."""
    drip_s: float = attrs.field(default=0.0, kw_only=True)
    """Before each byte of the body."""
    cut_after_bytes: int | None = attrs.field(default=None, kw_only=True)
    """Close the connection after so many bytes of a body that was promised whole."""
    endless: bool = attrs.field(default=False, kw_only=True)
    """Repeat the body for as long as somebody reads."""
    packed: bool = attrs.field(default=False, kw_only=True)
    """Send the body as gzip."""
    hangs_up: bool = attrs.field(default=False, kw_only=True)
    """Read the request, then close without a word."""
    raw: bytes | None = attrs.field(default=None, kw_only=True)
    """Exactly these bytes, whatever they are, then close."""

    def text(self) -> bytes:
        """The body, as bytes."""
        body = self.body
        if isinstance(body, str):
            body = body.encode()
        elif not isinstance(body, bytes):
            body = json.dumps(body).encode()
        return gzip.compress(body, mtime=0) if self.packed else body


Answering = Callable[[Heard], Says]


@attrs.define(eq=False)
class Outside:
    """A server that is running; made by :func:`open_outside`."""

    url: str
    """Where it is, without a slash at the end."""
    heard: list[Heard] = attrs.field(factory=list)
    strays: list[str] = attrs.field(factory=list)
    """Requests that nobody has said anything about, as ``GET /path``."""
    connections: int = 0
    arrived: trio.Event = attrs.field(factory=trio.Event)
    """Set when the first request has come whole."""
    _for_all: list[Says] = attrs.field(factory=list)
    _at: dict[str, list[Says]] = attrs.field(factory=dict)
    _by: Answering | None = None

    @property
    def port(self) -> int:
        return urlsplit(self.url).port or 0

    def says(self, *answers: Says) -> None:
        """What to answer to whatever comes, one after the other; the last one repeats."""
        self._for_all = list(answers)

    def at(self, method: str, path: str, *answers: Says) -> None:
        """What to answer at one path (without its query), one after the other; the last one repeats."""
        self._at[f"{method} {path}"] = list(answers)

    def by(self, answering: Answering) -> None:
        """Ask a function, for what neither of the others knows."""
        self._by = answering

    def answer_to(self, heard: Heard) -> Says:
        """Take the next answer to a request."""
        self.heard.append(heard)
        self.arrived.set()
        key = f"{heard.method} {heard.path}"
        left = self._at.get(key) or self._for_all
        if left:
            return left.pop(0) if len(left) > 1 else left[0]
        if self._by is not None:
            return self._by(heard)
        self.strays.append(key)
        return Says(404, {"error": f"nothing is said about {key}"})


@asynccontextmanager
async def open_outside(*, tls: Any = None, uds: Path | None = None) -> AsyncGenerator[Outside]:
    """Serve until left; connections that are open then are dropped."""
    async with trio.open_nursery() as nursery:
        if uds is None:
            listeners: list[Any] = await trio.open_tcp_listeners(0, host="127.0.0.1")
            port = listeners[0].socket.getsockname()[1]
            outside = Outside(f"{'https' if tls else 'http'}://127.0.0.1:{port}")
        else:
            listening = trio.socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            await listening.bind(str(uds))
            listening.listen()
            listeners = [trio.SocketListener(listening)]
            outside = Outside("http://localhost")
        if tls is not None:
            listeners = [trio.SSLListener(listener, tls, https_compatible=True) for listener in listeners]

        async def serve(stream: trio.abc.Stream) -> None:
            outside.connections += 1
            # A client may leave at any time, and in any way: that is often the fact under test.
            with suppress(trio.BrokenResourceError, trio.ClosedResourceError, h11.RemoteProtocolError):
                await _converse(outside, stream, outside.connections)
            with trio.move_on_after(1), suppress(trio.BrokenResourceError):
                await stream.aclose()

        await nursery.start(trio.serve_listeners, serve, listeners)
        yield outside
        nursery.cancel_scope.cancel("the test has left the outside")


def unused_port() -> int:
    """A port of loopback at which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


# -- one connection ----------------------------------------------------------------------------------------------------


async def _converse(outside: Outside, stream: trio.abc.Stream, number: int) -> None:
    connection = h11.Connection(h11.SERVER)
    while True:
        heard = await _hear(connection, stream, number)
        if heard is None or not await _say(outside.answer_to(heard), heard.method, connection, stream):
            return
        connection.start_next_cycle()


async def _hear(connection: h11.Connection, stream: trio.abc.Stream, number: int) -> Heard | None:
    request: h11.Request | None = None
    body = bytearray()
    while True:
        match connection.next_event():
            case h11.NEED_DATA:
                connection.receive_data(bytes(await stream.receive_some(65536)))
            case h11.Request() as request:
                pass
            case h11.Data(data=data):
                body += data
            case h11.EndOfMessage():
                assert request is not None
                headers = {name.decode(): value.decode("latin-1") for name, value in request.headers}
                return Heard(request.method.decode(), request.target.decode(), headers, bytes(body), number)
            case _:
                return None


async def _say(says: Says, method: str, connection: h11.Connection, stream: trio.abc.Stream) -> bool:
    """Answer; whether the connection may be used again."""
    await trio.sleep(says.delay_s)
    if says.hangs_up:
        return False
    if says.raw is not None:
        await stream.send_all(says.raw)
        return False
    body = b"" if method == "HEAD" or says.status in (204, 304) else says.text()
    headers = {"content-type": "application/json", **{name.lower(): value for name, value in says.headers.items()}}
    if says.packed:
        headers.setdefault("content-encoding", "gzip")
    if not says.endless and says.status != 204:
        headers.setdefault("content-length", str(len(body)))
    response = h11.Response(status_code=says.status, headers=list(headers.items()), reason=b"")
    await stream.send_all(connection.send(response) or b"")
    if says.cut_after_bytes is not None:
        await stream.send_all(body[: says.cut_after_bytes])
        return False
    while True:
        for piece in [body[at : at + 1] for at in range(len(body))] if says.drip_s else [body]:
            await trio.sleep(says.drip_s)
            await stream.send_all(connection.send(h11.Data(data=piece)) or b"")
        if not says.endless:
            break
    await stream.send_all(connection.send(h11.EndOfMessage()) or b"")
    return connection.our_state is h11.DONE and connection.their_state is h11.DONE
