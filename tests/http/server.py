"""An intake that admits at will, a small application, a front door on a free port, and clients that speak bytes."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import attrs
import trio

from orgloop.errors import UnknownSource
from orgloop.http.asgi import App, Message, Receive, Scope, Send
from orgloop.http.front import Behind, FrontSpec, serve_front
from orgloop.http.limits import Limits
from orgloop.http.sockets import Address
from orgloop.sdk import Request, Response

TOKEN = b"0123456789abcdef" * 4
AUTH = {"Authorization": f"Bearer {TOKEN.decode()}"}
EVENT = {"source": "github", "type": "resource.changed", "payload": {"n": 1}}


@attrs.define
class Intake:
    """Admits everything, unless it is told otherwise; knows one source, ``github``."""

    received: list[Request] = attrs.field(factory=list)
    injected: list[Mapping[str, Any]] = attrs.field(factory=list)
    modules: list[str | None] = attrs.field(factory=list)
    response: Response = attrs.field(factory=Response)
    fault: BaseException | None = None
    before: Callable[[], Awaitable[None]] | None = None

    async def receive(self, source: str, request: Request, *, module: str | None = None) -> Response:
        if source != "github":
            raise UnknownSource(f"there is no source {source!r}; loaded are: 'secret-name'")
        await self._gate(module)
        self.received.append(request)
        return self.response

    async def inject(self, events: Sequence[Mapping[str, Any]], *, module: str | None = None) -> list[int]:
        await self._gate(module)
        self.injected.extend(events)
        return list(range(1, len(events) + 1))

    async def _gate(self, module: str | None) -> None:
        await trio.lowlevel.checkpoint()
        self.modules.append(module)
        if self.before is not None:
            await self.before()
        if self.fault is not None:
            raise self.fault

    def __len__(self) -> int:
        return len(self.received) + len(self.injected)


async def echo_app(scope: Scope, receive: Receive, send: Send) -> None:
    """Says what it was asked, as JSON; ``/boom`` raises, ``/slow`` waits, ``/big`` answers a megabyte."""
    if scope["type"] == "lifespan":
        while (await receive())["type"] != "lifespan.shutdown":
            await send({"type": "lifespan.startup.complete"})
        await send({"type": "lifespan.shutdown.complete"})
        return
    if scope["type"] == "websocket":
        await _echo_websocket(receive, send)
        return
    message: Message = await receive()
    if scope["path"] == "/boom":
        raise RuntimeError("a bug of the application")
    if scope["path"] == "/slow":
        await trio.sleep(0.05)
    body = (
        b"x" * 1_000_000
        if scope["path"] == "/big"
        else json.dumps({"path": scope["path"], "method": scope["method"], "body": message["body"].decode()}).encode()
    )
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _echo_websocket(receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": message["text"]})


@attrs.define
class Front:
    """A front door that is open."""

    intake: Intake
    addresses: tuple[Address, ...]
    told: list[tuple[str, dict[str, Any]]]
    behind: Behind

    @property
    def port(self) -> int:
        return self.addresses[0].port

    async def connect(self) -> trio.SocketStream:
        if not self.port:
            return await trio.open_unix_socket(self.addresses[0].host)
        return await trio.open_tcp_stream("127.0.0.1", self.port)

    async def ask(self, raw: bytes, *, ends: bool = False) -> Answered:
        """Send these bytes on a connection of their own, and read what comes until it ends."""
        async with await self.connect() as stream:
            await send_what_it_takes(stream, raw)
            if ends:
                await stream.send_eof()
            return answered(await read_all(stream))

    def request(self, method: str, target: str, body: bytes = b"", /, **headers: str | None) -> bytes:
        return request(method, target, body, Host=f"127.0.0.1:{self.port}", **headers)

    @property
    def errors(self) -> list[str]:
        return [fields["error"] for phase, fields in self.told if phase == "system.error"]


@asynccontextmanager
async def open_front(
    intake: Intake | None = None, *, app: App = echo_app, limits: Limits | None = None, **spec: Any
) -> AsyncGenerator[Front]:
    """A front door on a free port of the loopback."""
    chosen = Intake() if intake is None else intake
    told: list[tuple[str, dict[str, Any]]] = []

    def tell(phase: str, **fields: Any) -> None:
        told.append((phase, fields))

    seen: list[Behind] = []

    def make_app(behind: Behind) -> App:
        seen.append(behind)
        return app

    values = FrontSpec(token=TOKEN, limits=limits or Limits(), **{"port": 0, **spec})
    async with trio.open_nursery() as nursery:

        async def serve(*, task_status: trio.TaskStatus[tuple[Address, ...]]) -> None:
            await serve_front(chosen, make_app, values, tell=tell, task_status=task_status)

        addresses = await nursery.start(serve)
        yield Front(chosen, addresses, told, seen[0])
        nursery.cancel_scope.cancel("the test has ended")


@attrs.frozen
class Answered:
    """The answers on one connection, in order."""

    statuses: tuple[int, ...]
    bodies: tuple[bytes, ...]
    heads: tuple[str, ...]

    @property
    def status(self) -> int:
        """The only one's."""
        (status,) = self.statuses
        return status

    @property
    def value(self) -> Any:
        """The only one's body."""
        (body,) = self.bodies
        return json.loads(body)


def request(method: str, target: str, body: bytes = b"", /, **headers: str | None) -> bytes:
    """A request, with what JSON in a body needs; a header that is None is left out, ``_`` in a name is a dash."""
    fields: dict[str, str | None] = {"Connection": "close"}
    if body:
        fields |= {"Content-Type": "application/json", "Content-Length": str(len(body))}
    fields |= {name.replace("_", "-"): value for name, value in headers.items()}
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items() if value is not None)
    return f"{method} {target} HTTP/1.1\r\n{lines}\r\n".encode("latin-1") + body


async def send_what_it_takes(stream: trio.abc.SendStream, raw: bytes) -> None:
    """Send, and do not mind that the other side has had enough."""
    try:
        await stream.send_all(raw)
    except trio.BrokenResourceError:
        return


async def read_all(stream: trio.abc.ReceiveStream) -> bytes:
    """All that comes; a reset is an end."""
    pieces = []
    try:
        while data := await stream.receive_some(65536):
            pieces.append(data)
    except trio.BrokenResourceError:
        pass
    return b"".join(pieces)


async def read_answer(stream: trio.abc.ReceiveStream) -> Answered:
    """The next answer, of a known length."""
    raw = b""
    while True:
        data = await stream.receive_some(65536)
        raw += data
        head, end, body = raw.partition(b"\r\n\r\n")
        lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        if not data or (end and (not lengths or len(body) >= int(lengths[0].split(b":")[1]))):
            return answered(raw)


def answered(raw: bytes) -> Answered:
    """The answers in these bytes; 100 Continue is passed over."""
    statuses, bodies, heads = [], [], []
    while raw:
        head, _, raw = raw.partition(b"\r\n\r\n")
        text = head.decode("latin-1")
        status = int(text.split(" ")[1])
        if status == 100:
            continue
        lengths = [line for line in text.lower().split("\r\n") if line.startswith("content-length:")]
        length = int(lengths[0].split(":")[1]) if lengths else 0
        statuses.append(status)
        bodies.append(raw[:length])
        heads.append(text)
        raw = raw[length:]
    return Answered(tuple(statuses), tuple(bodies), tuple(heads))
