"""A syslog server on a real socket, as loggers meet it; and a reader that follows the grammar of RFC 5424."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from ssl import SSLContext
from typing import Any

import attrs
import trio

_SD_NAME = r"[!#-<>-\\^-~]{1,32}"
_VALUE = r'(?:[^"\\\]]|\\.)*'
_ELEMENT = rf'\[{_SD_NAME}(?: {_SD_NAME}="{_VALUE}")*\]'
_MESSAGE = re.compile(
    r"<(?P<pri>\d{1,3})>1 (?P<at>-|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?(?:Z|[+-]\d\d:\d\d))"
    r" (?P<host>[!-~]{1,255}) (?P<app>[!-~]{1,48}) (?P<process>[!-~]{1,128}) (?P<kind>[!-~]{1,32})"
    rf" (?P<sd>-|(?:{_ELEMENT})+)(?: (?P<text>.*))?",
    re.DOTALL,
)
_PARAM = re.compile(rf' ({_SD_NAME})="({_VALUE})"', re.DOTALL)


@attrs.frozen
class Read:
    """A message, taken apart."""

    priority: int
    at: str
    host: str
    app: str
    process: str
    kind: str
    params: dict[str, str]
    text: str


def read(message: bytes) -> Read:
    """AssertionError if it is none."""
    said = message.decode("utf-8")
    found = _MESSAGE.fullmatch(said)
    assert found is not None, f"this is not RFC 5424: {said[:200]!r}"
    params = {name: re.sub(r"\\(.)", r"\1", value) for name, value in _PARAM.findall(found["sd"])}
    text = (found["text"] or "").removeprefix("\N{ZERO WIDTH NO-BREAK SPACE}")
    return Read(
        int(found["pri"]), found["at"], found["host"], found["app"], found["process"], found["kind"], params, text
    )


@attrs.define(eq=False)
class Server:
    """What came, message by message."""

    port: int
    came: list[bytes] = attrs.field(factory=list)
    connections: int = 0
    _more: trio.Event = attrs.field(factory=trio.Event)
    _streams: list[trio.abc.Stream] = attrs.field(factory=list)

    async def has(self, count: int) -> list[Read]:
        """Wait until so many have come; all of them."""
        with trio.fail_after(5):
            while len(self.came) < count:
                self._more = trio.Event()
                await self._more.wait()
        return [read(message) for message in self.came]

    async def hang_up(self) -> None:
        """End all connections."""
        for stream in self._streams:
            await trio.aclose_forcefully(stream)
        self._streams.clear()

    def take(self, message: bytes) -> None:
        self.came.append(message)
        self._more.set()


@asynccontextmanager
async def open_datagrams(path: Path | None = None, *, port: int = 0) -> AsyncGenerator[Server]:
    """A server of datagrams, on UDP or at a path."""
    family = trio.socket.AF_INET if path is None else trio.socket.AF_UNIX
    with trio.socket.socket(family, trio.socket.SOCK_DGRAM) as listening:
        await listening.bind(("127.0.0.1", port) if path is None else str(path))
        server = Server(listening.getsockname()[1] if path is None else 0)

        async def listen() -> None:
            while True:
                server.take(await listening.recv(65536))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(listen)
            yield server
            nursery.cancel_scope.cancel("the test has left the server")


@asynccontextmanager
async def open_stream(
    path: Path | None = None, *, tls: SSLContext | None = None, port: int = 0, newlines: bool = False
) -> AsyncGenerator[Server]:
    """A server of streams, on TCP, with TLS, or at a path."""
    if path is None:
        listeners: list[Any] = await trio.open_tcp_listeners(port, host="127.0.0.1")
    else:
        listening = trio.socket.socket(trio.socket.AF_UNIX, trio.socket.SOCK_STREAM)
        await listening.bind(str(path))
        listening.listen()
        listeners = [trio.SocketListener(listening)]
    server = Server(listeners[0].socket.getsockname()[1] if path is None else 0)
    if tls is not None:
        listeners = [trio.SSLListener(listener, tls) for listener in listeners]

    async def serve(stream: trio.abc.Stream) -> None:
        server.connections += 1
        server._streams.append(stream)
        with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            rest = b""
            async for piece in stream:
                rest = _taken(server, rest + piece, newlines)
        await trio.aclose_forcefully(stream)

    async with trio.open_nursery() as nursery:
        await nursery.start(trio.serve_listeners, serve, listeners)
        yield server
        nursery.cancel_scope.cancel("the test has left the server")


def _taken(server: Server, held: bytes, newlines: bool) -> bytes:
    """Take the whole messages; what is left of the last."""
    while True:
        if newlines:
            message, newline, rest = held.partition(b"\n")
            if not newline:
                return held
        else:
            length, space, rest = held.partition(b" ")
            if not space or len(rest) < int(length):
                return held
            message, rest = rest[: int(length)], rest[int(length) :]
        server.take(message)
        held = rest
