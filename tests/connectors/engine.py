"""
A container engine that runs nothing: Docker's API over a Unix socket, where a coroutine plays each image.

    async with open_engine(tmp_path) as engine:
        engine.images["acme/review:1"] = review               # async def review(box: Box) -> int
        ...                                                   # requests to engine.socket
        assert engine.asked == ["POST /containers/create", …]

A box is told SIGTERM by :attr:`Box.asked_to_end`, SIGKILL cancels it. ``says`` puts one answer in the way of the next
request to a path, in which ``*`` stands for the name of a container.
"""

from __future__ import annotations

import io
import json
import re
import socket
import struct
import tarfile
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import attrs
import h11
import trio

from tests.connectors.outside import Says

STARTED, ENDED = "2023-11-14T22:13:20.123456789Z", "2023-11-14T22:13:21.5Z"


@attrs.define(eq=False)
class Box:
    """One container."""

    name: str
    config: dict[str, Any]
    status: str = "created"
    exit_status: int = 0
    out_of_memory: bool = False
    stdin: bytearray = attrs.field(factory=bytearray)
    stdin_ended: trio.Event = attrs.field(factory=trio.Event)
    files: dict[str, tuple[int, bytes]] = attrs.field(factory=dict)
    """By path: mode and content."""
    said: list[tuple[int, bytes]] = attrs.field(factory=list)
    started: trio.Event = attrs.field(factory=trio.Event)
    ended: trio.Event = attrs.field(factory=trio.Event)
    asked_to_end: trio.Event = attrs.field(factory=trio.Event)
    scope: trio.CancelScope = attrs.field(factory=trio.CancelScope)

    def say(self, text: str, *, stream: int = 1) -> None:
        """On standard output, or on standard error (2)."""
        self.said.append((stream, text.encode()))

    async def read(self) -> bytes:
        """All of its standard input."""
        await self.stdin_ended.wait()
        return bytes(self.stdin)

    @property
    def env(self) -> dict[str, str]:
        return dict(line.split("=", 1) for line in self.config["Env"])


Program = Callable[[Box], Awaitable[int]]


@attrs.define(eq=False)
class Engine:
    """An engine at work; made by :func:`open_engine`."""

    socket: str
    images: dict[str, Program] = attrs.field(factory=dict)
    """Those that are there."""
    registry: dict[str, Program] = attrs.field(factory=dict)
    """Those that could be fetched."""
    boxes: dict[str, Box] = attrs.field(factory=dict)
    """Those that have not been removed."""
    made: list[Box] = attrs.field(factory=list)
    """All that ever were."""
    asked: list[str] = attrs.field(factory=list)
    begun: trio.Event = attrs.field(factory=trio.Event)
    """Set when the first container has started."""
    _faults: dict[str, list[Says]] = attrs.field(factory=dict)
    _nursery: trio.Nursery | None = None

    def says(self, asked: str, *answers: Says) -> None:
        """What to answer to the next such requests, in place of doing what they ask."""
        self._faults[asked] = list(answers)

    def config(self, **more: Any) -> dict[str, Any]:
        """The least config of an actor that works here."""
        return {"image": "acme/review:1", "socket": self.socket, "grace": "0s", **more}

    # -- what is asked -------------------------------------------------------------------------------------------------

    async def answer(self, method: str, target: str, body: bytes) -> Says:
        parts = urlsplit(target)
        path, query = unquote(parts.path), dict(parse_qsl(parts.query))
        shape = re.sub(r"^/containers/(?!create$)[^/]+", "/containers/*", path)
        self.asked.append(f"{method} {shape}")
        if left := self._faults.get(f"{method} {shape}"):
            return left.pop(0)
        match method, path.strip("/").split("/"):
            case "GET", ["_ping"]:
                return Says(200, "OK")
            case "GET", ["images", *image, "json"]:
                return (
                    Says(200, {})
                    if full_name("/".join(image)) in self.images
                    else Says(404, {"message": "No such image"})
                )
            case "POST", ["images", "create"]:
                return self._fetched(f"{query['fromImage']}:{query['tag']}" if "tag" in query else query["fromImage"])
            case "POST", ["containers", "create"]:
                return self._create(query["name"], json.loads(body))
            case _, ["containers", name, *_] if name not in self.boxes:
                return Says(404, {"message": f"No such container: {name}"})
            case _, ["containers", name, *verb]:
                return await self._of_a_box(method, self.boxes[name], "".join(verb), query, body)
        return Says(400, {"message": f"nobody knows {method} {path}"})

    def _fetched(self, image: str) -> Says:
        if image not in self.registry:
            return Says(404, {"message": f"pull access denied for {image}"})
        self.images[image] = self.registry[image]
        return Says(200, b'{"status":"Pulling"}\r\n{"status":"Status: Downloaded newer image"}\r\n')

    def _create(self, name: str, config: dict[str, Any]) -> Says:
        if full_name(config["Image"]) not in self.images:
            return Says(404, {"message": f"No such image: {config['Image']}"})
        if name in self.boxes:
            return Says(409, {"message": f'Conflict. The container name "/{name}" is already in use'})
        box = self.boxes[name] = Box(name, config)
        self.made.append(box)
        return Says(201, {"Id": f"id-of-{name}", "Warnings": []})

    async def _of_a_box(self, method: str, box: Box, verb: str, query: Mapping[str, str], body: bytes) -> Says:
        match method, verb:
            case "GET", "json":
                return Says(200, self._inspected(box))
            case "PUT", "archive":
                with tarfile.open(fileobj=io.BytesIO(body)) as archive:
                    for entry in archive:
                        packed = archive.extractfile(entry)
                        assert packed is not None
                        box.files[f"/{entry.name}"] = (entry.mode, packed.read())
                return Says(200)
            case "POST", "start":
                return self.start(box)
            case "POST", "wait":
                await box.ended.wait()
                return Says(200, {"StatusCode": box.exit_status})
            case "GET", "logs":
                frames = (struct.pack(">BxxxI", stream, len(text)) + text for stream, text in box.said)
                return Says(200, b"".join(frames))
            case "POST", "stop":
                box.asked_to_end.set()
                with trio.move_on_after(float(query["t"])):
                    await box.ended.wait()
                box.scope.cancel("SIGKILL")
                await box.ended.wait()
                return Says(204)
            case "DELETE", "":
                box.scope.cancel("SIGKILL")
                del self.boxes[box.name]
                return Says(204)
        return Says(400, {"message": f"nobody knows {method} …/{verb}"})

    def _inspected(self, box: Box) -> dict[str, Any]:
        return {
            "Id": f"id-of-{box.name}",
            "State": {
                "Status": box.status,
                "ExitCode": box.exit_status,
                "OOMKilled": box.out_of_memory,
                "StartedAt": STARTED,
                "FinishedAt": ENDED,
            },
            "Config": {"Labels": box.config.get("Labels")},
        }

    def start(self, box: Box) -> Says:
        """Run it, beside the engine."""
        if box.status != "created":
            return Says(304)
        assert self._nursery is not None
        box.status = "running"
        box.started.set()
        self.begun.set()
        self._nursery.start_soon(self._live, box)
        return Says(204)

    async def _live(self, box: Box) -> None:
        box.exit_status = 137
        with box.scope:
            box.exit_status = await self.images[full_name(box.config["Image"])](box)
        box.status = "exited"
        box.ended.set()


def full_name(image: str) -> str:
    """An engine knows an image without a tag as the latest."""
    return image if "@" in image or ":" in image.rpartition("/")[2] else f"{image}:latest"


@asynccontextmanager
async def open_engine(directory: Path) -> AsyncGenerator[Engine]:
    """Serve on a socket in a directory until left."""
    engine = Engine(str(directory / "docker.sock"))
    listening = trio.socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    await listening.bind(engine.socket)
    listening.listen()
    async with trio.open_nursery() as nursery:
        engine._nursery = nursery

        async def serve(stream: trio.abc.Stream) -> None:
            with suppress(trio.BrokenResourceError, trio.ClosedResourceError, h11.RemoteProtocolError):
                await _converse(engine, stream)
            await trio.aclose_forcefully(stream)

        await nursery.start(trio.serve_listeners, serve, [trio.SocketListener(listening)])
        yield engine
        nursery.cancel_scope.cancel("the test has left the engine")


async def _converse(engine: Engine, stream: trio.abc.Stream) -> None:
    connection = h11.Connection(h11.SERVER)
    while (heard := await _hear(connection, stream)) is not None:
        request, body = heard
        method, target = request.method.decode(), request.target.decode()
        if any(name == b"upgrade" for name, _ in request.headers):
            await _hand_over(engine, target, connection, stream)
            return
        says = await engine.answer(method, target, body)
        if says.hangs_up:
            return
        await trio.sleep(says.delay_s)
        content = b"" if says.status in (204, 304) else says.text()
        headers = [] if says.status in (204, 304) else [("content-length", str(len(content)))]
        await stream.send_all(connection.send(h11.Response(status_code=says.status, headers=headers)) or b"")
        await stream.send_all(connection.send(h11.Data(data=content)) or b"")
        await stream.send_all(connection.send(h11.EndOfMessage()) or b"")
        connection.start_next_cycle()


async def _hear(connection: h11.Connection, stream: trio.abc.Stream) -> tuple[h11.Request, bytes] | None:
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
                return request, bytes(body)
            case _:
                return None


async def _hand_over(engine: Engine, target: str, connection: h11.Connection, stream: trio.abc.Stream) -> None:
    """The standard input of a box: what comes after the head is its bytes, to the end."""
    engine.asked.append("POST /containers/*/attach")
    box = engine.boxes[urlsplit(target).path.split("/")[2]]
    if left := engine._faults.get("POST /containers/*/attach"):
        says = left.pop(0)
        if not says.hangs_up:
            await stream.send_all(b"HTTP/1.1 %d Nothing\r\ncontent-length: 0\r\n\r\n" % says.status)
        return
    await stream.send_all(connection.send(h11.InformationalResponse(status_code=101, headers=[])) or b"")
    while piece := await stream.receive_some(4096):
        box.stdin += piece
    box.stdin_ended.set()
