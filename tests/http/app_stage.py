"""A runtime in memory with one module, its application behind a front door on a free port, and who asks it things."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
import trio

from orgloop.http.app import Control, make_app
from orgloop.http.front import FrontSpec, serve_front
from orgloop.http.sockets import Address
from orgloop.runtime.runtime import Runtime, open_runtime
from orgloop.sdk import Actor, Notice
from orgloop.testing import FakeActor, FakePolledSource
from tests.http.server import AUTH, TOKEN, Answered, answered, read_all, request

SECRET = "hunter2-is-a-secret"
CHANGE = {"source": "github", "type": "resource.changed", "payload": {"pr": 7}}

MODULE: dict[str, Any] = {
    "metadata": {"name": "engineering"},
    "sources": [{"id": "github", "connector": "given", "description": "the code", "poll": {"interval": "1h"}}],
    "actors": [{"id": "agent", "connector": "given"}],
    "routes": [
        {
            "name": "review",
            "when": {"source": "github", "events": ["resource.changed"], "filter": {"payload.pr": 7}},
            "then": {"actor": "agent", "delivery": {"retry": {"max_attempts": 1}}},
        }
    ],
}

WITH_INBOX: dict[str, Any] = {
    **MODULE,
    "metadata": {"name": "letters"},
    "routes": [
        {
            "name": "review",
            "when": {"source": "github", "events": ["resource.changed"]},
            "then": {"actor": "agent", "config": {"inbox": True, "session_key": "pr:{{payload.pr}}"}},
        }
    ],
}

HOLDING: dict[str, Any] = {
    **MODULE,
    "metadata": {"name": "careful"},
    "routes": [
        {
            "name": "review",
            "when": {"source": "github", "events": ["resource.changed"]},
            "then": {"actor": "agent"},
            "audit": {"hold_on": "critical"},
        }
    ],
}

PROJECT = """\
apiVersion: orgloop/v1alpha1
kind: Project
metadata: {name: NAME}
sources: [{id: clock, connector: ./clock.py}]
actors: [{id: agent, connector: ./clock.py, config: {token: "${SECRET}"}}]
routes:
  - name: tick
    when: {source: clock, events: [resource.changed]}
    then: {actor: agent}
"""

CLOCK = '''\
"""A source that finds nothing, and an actor that lets slip what it knows."""

import attrs

from orgloop.sdk import Connector, Offer, Polled, Rejected


@attrs.frozen
class Config:
    token: str = "none"


class Clock:
    def __init__(self, config, place):
        pass

    async def poll(self, checkpoint):
        return Polled()


class Agent:
    def __init__(self, config, place):
        self.config = config

    async def deliver(self, delivery):
        return Rejected(f"the far side does not like {self.config.token}")


CONNECTOR = Connector(
    id="clock", summary="Ticks.", source=Offer(config=Config, make=Clock), actor=Offer(config=Config, make=Agent)
)
'''


@attrs.define
class Desk:
    """Asks the application, each time on a connection of its own."""

    runtime: Runtime
    addresses: tuple[Address, ...]
    told: list[Notice]
    stop: trio.CancelScope

    @property
    def port(self) -> int:
        return self.addresses[0].port

    def raw(self, method: str, target: str, body: bytes = b"", /, **headers: str | None) -> bytes:
        return request(method, target, body, **{"Host": f"127.0.0.1:{self.port}", **AUTH, **headers})

    async def send(self, method: str, target: str, body: bytes = b"", /, **headers: str | None) -> Answered:
        """A request, with the token unless it says otherwise."""
        return await self.ask(self.raw(method, target, body, **headers))

    async def ask(self, raw: bytes) -> Answered:
        """Send these bytes, and read what comes until the connection ends."""
        async with await trio.open_tcp_stream("127.0.0.1", self.port) as stream:
            await stream.send_all(raw)
            with trio.fail_after(5):
                return answered(await read_all(stream))

    async def get(self, target: str, status: int = 200) -> Any:
        """What is answered to GET, which has to have this status."""
        got = await self.send("GET", target)
        assert got.status == status, got
        return got.value

    async def post(self, target: str, body: object = None, status: int = 200) -> Any:
        """What is answered to POST, which has to have this status."""
        got = await self.send("POST", target, b"" if body is None else json.dumps(body).encode())
        assert got.status == status, got
        return got.value

    async def inject(self, **changes: Any) -> list[int]:
        """Admit an event, and wait until it has ended."""
        sequences = await self.runtime.inject({**CHANGE, **changes}, module="engineering")
        assert await self.runtime.drain(timeout_s=5)
        return sequences

    def actions(self) -> list[tuple[str, str | None, str | None]]:
        """What was told of control: phase, module, result."""
        return [(one.phase, one.module, one.result) for one in self.told if one.phase.startswith("control.")]


@asynccontextmanager
async def open_desk(
    *,
    actor: Actor | None = None,
    source: FakePolledSource | None = None,
    module: Mapping[str, Any] | None = MODULE,
    control: Control | None = None,
    home: Path | None = None,
    log_file: Path | None = None,
    **options: Any,
) -> AsyncGenerator[Desk]:
    """The application of a real runtime, over the loopback."""
    told: list[Notice] = []
    async with open_runtime(home=home) as runtime:
        runtime.on("*", told.append)
        if module is not None:
            given = {"github": source or FakePolledSource()}
            await runtime.load_module(module, sources=given, actors={"agent": actor or FakeActor()})
        make = make_app(runtime, control=control, log_file=log_file, **options)
        spec = FrontSpec(token=TOKEN, port=0)
        async with trio.open_nursery() as nursery:

            async def serve(*, task_status: trio.TaskStatus[tuple[Address, ...]]) -> None:
                await serve_front(runtime, make, spec, tell=runtime.tell, task_status=task_status)

            addresses = await nursery.start(serve)
            yield Desk(runtime, addresses, told, nursery.cancel_scope)
            nursery.cancel_scope.cancel("the test has ended")


def project(folder: Path, name: str = "clocks") -> Path:
    """A project on disk that loads; its file."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "clock.py").write_text(CLOCK, encoding="utf-8")
    (folder / ".env").write_text(f"SECRET={SECRET}\n", encoding="utf-8")
    file = folder / "orgloop.yaml"
    file.write_text(PROJECT.replace("NAME", name), encoding="utf-8")
    return file


@attrs.define
class Events:
    """Server-sent events as they come."""

    stream: trio.SocketStream
    _rest: bytes = b""
    head: str = ""

    async def begin(self, raw: bytes) -> str:
        """Ask, and read the head of the answer."""
        await self.stream.send_all(raw)
        while b"\r\n\r\n" not in self._rest:
            self._rest += await self.stream.receive_some()
        head, _, self._rest = self._rest.partition(b"\r\n\r\n")
        self.head = head.decode()
        return self.head

    async def next(self) -> dict[str, str]:
        """The next block that is no comment, by its fields."""
        while True:
            block = await self.next_block()
            if not block.startswith(":"):
                return dict(line.split(": ", 1) for line in block.splitlines())

    async def next_block(self) -> str:
        """The next block, whatever it is."""
        with trio.fail_after(5):
            while True:
                while (found := self._split()) is None:
                    data = await self.stream.receive_some()
                    assert data, "the stream has ended"
                    self._rest += data
                return found

    _text: str = ""

    def _split(self) -> str | None:
        """Take the frames of chunks off, then a block."""
        while True:
            size, line, rest = self._rest.partition(b"\r\n")
            if not line or len(rest) < int(size, 16) + 2:
                break
            self._text += rest[: int(size, 16)].decode()
            self._rest = rest[int(size, 16) + 2 :]
        block, end, rest_text = self._text.partition("\n\n")
        if not end:
            return None
        self._text = rest_text
        return block


@asynccontextmanager
async def following(desk: Desk, query: str = "", **headers: str) -> AsyncGenerator[Events]:
    """The stream of notices, once it is listened to."""
    async with await trio.open_tcp_stream("127.0.0.1", desk.port) as stream:
        events = Events(stream)
        head = await events.begin(desk.raw("GET", f"/api/v1/logs{query}", **headers))
        assert " 200 " in head.splitlines()[0], head
        assert await events.next_block() == ": listening"
        yield events
