"""
The front door, measured: durable answers per second on 16 connections, beside an echo server that does nothing.

    echo        bare Trio + httptools: reads a request, answers 200; no walls, no limits, no log
    door        POST /webhook/github to a source that does nothing: what the door itself costs
    log         the same, to one that makes an event and waits for its sync
    webhook     the same, to a whole runtime: a source, a route, an actor
    events      POST /api/v1/events, strict JSON, to that runtime

Each server is a process of its own, the load another: a loop over ``select`` that sends one request per connection and
waits for its answer, so that the client is not what is measured. The two share the cores of the machine.
"""

from __future__ import annotations

import argparse
import gc
import json
import multiprocessing
import os
import selectors
import socket
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import attrs
import trio

from orgloop.bus import FileBus
from orgloop.event import Event
from orgloop.http.asgi import nothing_here
from orgloop.http.front import FrontSpec, serve_front
from orgloop.http.ingest import Intake
from orgloop.runtime.runtime import open_runtime
from orgloop.sdk import Delivered, Delivery, Outcome, Received, Request, Response, Settlement
from orgloop.wal import RealDisk, open_wal

CONNECTIONS = 16
TOKEN = b"0123456789abcdef" * 4
DONE = Delivered()
HEARD = Response()
TEXT = "x" * 200


# -- the servers -------------------------------------------------------------------------------------------------------


class _Echo:
    """Answers each request on one connection."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self.stream = stream
        self.complete = 0

    def on_message_complete(self) -> None:
        self.complete += 1

    async def serve(self) -> None:
        import httptools

        parser = httptools.HttpRequestParser(self)
        while data := await self.stream.receive_some(65536):
            parser.feed_data(data)
            if self.complete:
                self.complete = 0
                await self.stream.send_all(
                    b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 11\r\n\r\n{"ok":true}'
                )


async def serve_echo(ready: Connection) -> None:
    """The bare server."""

    async def serve(stream: trio.SocketStream) -> None:
        try:
            await _Echo(stream).serve()
        except trio.BrokenResourceError:
            return

    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(trio.serve_tcp, serve, 0)
        ready.send(listeners[0].socket.getsockname()[1])


@attrs.define
class Log:
    """A source on the log: an event of each request, durable before the answer."""

    bus: FileBus

    async def receive(self, source: str, request: Request, *, module: str | None = None) -> Response:
        """Make the event, and wait until it is on disk."""
        payload = json.loads(request.body)
        await self.bus.publish([Event(source, "resource.changed", {"platform": "webhook"}, payload)])
        return Response()

    async def inject(self, events: Sequence[Mapping[str, Any]], *, module: str | None = None) -> list[int]:
        """Not asked for here."""
        raise NotImplementedError

    async def settle(self) -> None:
        """Take what was admitted off the log again, now and then: a commit for each would be of nothing else."""
        while True:
            await trio.sleep(0.05)
            admitted = await self.bus.receive()
            self.bus.settle([Settlement(outcome="no_route", sequences=[one.sequence for one in admitted])])


class Nothing:
    """A source that has always heard it."""

    async def receive(self, source: str, request: Request, *, module: str | None = None) -> Response:
        """Say so."""
        return HEARD

    async def inject(self, events: Sequence[Mapping[str, Any]], *, module: str | None = None) -> list[int]:
        """Not asked for here."""
        raise NotImplementedError


async def serve_door(ready: Connection) -> None:
    """The front door, and nothing behind it."""
    async with trio.open_nursery() as nursery:
        await nursery.start(_open_door, Nothing(), ready)


async def serve_log(ready: Connection) -> None:
    """The front door, and the log behind it."""
    with tempfile.TemporaryDirectory() as home:
        async with open_wal(RealDisk(Path(home))) as wal, trio.open_nursery() as nursery:
            intake = Log(FileBus(wal))
            nursery.start_soon(intake.settle)
            await nursery.start(_open_door, intake, ready)


class Told:
    """A source that makes an event of each request."""

    async def receive(self, request: Request) -> Received:
        """Make it."""
        payload = json.loads(request.body)
        return Received([Event("github", "resource.changed", {"platform": "webhook"}, payload)])


class Idle:
    """An actor that has always done its work."""

    async def deliver(self, delivery: Delivery) -> Outcome:
        """Say so."""
        return DONE


async def serve_runtime(ready: Connection) -> None:
    """The front door, and a runtime behind it."""
    module = {
        "metadata": {"name": "m"},
        "sources": [{"id": "github", "connector": "given"}],
        "actors": [{"id": "a", "connector": "given"}],
        "routes": [
            {
                "name": "r",
                "when": {"source": "github", "events": ["resource.changed"]},
                "then": {"actor": "a", "delivery": {"overflow": "block"}},
            }
        ],
    }
    with tempfile.TemporaryDirectory() as home:
        async with open_runtime(home=home) as runtime, trio.open_nursery() as nursery:
            await runtime.load_module(module, sources={"github": Told()}, actors={"a": Idle()})
            await nursery.start(_open_door, runtime, ready)


async def _open_door(intake: Intake, ready: Connection, *, task_status: trio.TaskStatus[None]) -> None:
    def tell(phase: str, **fields: Any) -> None:
        if phase == "system.error":
            print(phase, fields)

    async with trio.open_nursery() as nursery:

        async def serve(*, task_status: trio.TaskStatus[Any]) -> None:
            spec = FrontSpec(token=TOKEN, port=0)
            await serve_front(intake, lambda _: nothing_here, spec, tell=tell, task_status=task_status)

        addresses = await nursery.start(serve)
        gc.collect()
        gc.freeze()
        ready.send(addresses[0].port)
        task_status.started()


def run(server: Callable[[Connection], Any], ready: Connection) -> None:
    """A server's process."""
    gc.set_threshold(50_000, 20, 20)
    trio.run(server, ready)


# -- the load ----------------------------------------------------------------------------------------------------------


def load(port: int, path: str, body: bytes, seconds: float) -> tuple[float, list[float]]:
    """Answers per second, and how long each took, in seconds; anything but 2xx is an error."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
        f"User-Agent: orgloop-bench\r\nAccept: */*\r\nAuthorization: Bearer {TOKEN.decode()}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    request = head.encode() + body
    took_s: list[float] = []
    with selectors.DefaultSelector() as selector:
        sent: dict[socket.socket, float] = {}
        for _ in range(CONNECTIONS):
            connection = socket.create_connection(("127.0.0.1", port))
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            selector.register(connection, selectors.EVENT_READ)
            sent[connection] = time.perf_counter()
            connection.sendall(request)
        began_s = time.perf_counter()
        while (now_s := time.perf_counter()) < began_s + seconds:
            for key, _ in selector.select():
                client = key.fileobj
                assert isinstance(client, socket.socket)
                answer = client.recv(65536)  # every answer here is smaller than a segment
                if answer[9:10] != b"2":
                    raise SystemExit(f"refused: {answer[:300]!r}")
                now_s = time.perf_counter()
                took_s.append(now_s - sent[client])
                sent[client] = now_s
                client.sendall(request)
        elapsed_s = time.perf_counter() - began_s
        for connection in sent:
            connection.close()
    return len(took_s) / elapsed_s, took_s


@attrs.frozen
class Figures:
    """Of one server, in one run."""

    rate: float
    """Answers per second."""
    p50_ms: float
    p99_ms: float
    cpu_us: float
    """Of the server's process, per answer: says more than the rate when the machine has other things to do."""


def cpu_s(pid: int) -> float:
    """What a process has used, of itself and of the kernel."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(server: Callable[[Connection], Any], path: str, body: bytes, seconds: float) -> Figures:
    """The figures of a server, warm."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=run, args=(server, theirs), daemon=True)
    process.start()
    theirs.close()  # so that the end of the process is the end of waiting for it
    try:
        port = ours.recv()
        load(port, path, body, seconds / 4)
        assert process.pid is not None
        before_s = cpu_s(process.pid)
        rate, took_s = load(port, path, body, seconds)
        used_s = cpu_s(process.pid) - before_s
    finally:
        process.kill()
        process.join()
    cuts = statistics.quantiles(took_s, n=100)
    return Figures(rate, cuts[49] * 1000, cuts[98] * 1000, used_s / len(took_s) * 1e6)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="Measure the front door")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3.0)
    options = parser.parse_args()
    payload = {"action": "opened", "number": 1, "text": TEXT}
    event = {"source": "github", "type": "resource.changed", "payload": payload}
    servers: list[tuple[str, Callable[[Connection], Any], str, dict[str, Any]]] = [
        ("echo", serve_echo, "/webhook/github", payload),
        ("door", serve_door, "/webhook/github", payload),
        ("log", serve_log, "/webhook/github", payload),
        ("webhook", serve_runtime, "/webhook/github", payload),
        ("events", serve_runtime, "/api/v1/events", event),
    ]
    found: dict[str, list[Figures]] = {name: [] for name, *_ in servers}
    for _ in range(options.runs):  # in turns, so that a busy moment of the machine meets all of them
        for name, server, path, body in servers:
            found[name].append(measure(server, path, json.dumps(body).encode(), options.seconds))
    columns = ("answers/s", "of echo", "p50 ms", "p99 ms", "cpu us", "of echo")
    print(f"{f'{CONNECTIONS} connections':<14}{columns[0]:>16}" + "".join(f"{column:>10}" for column in columns[1:]))
    medians = {
        name: Figures(*map(statistics.median, zip(*map(attrs.astuple, runs), strict=True)))
        for name, runs in found.items()
    }
    echo = medians["echo"]
    for name, got in medians.items():
        print(
            f"{name:<14}{got.rate:>16,.0f}{got.rate / echo.rate:>10.2f}{got.p50_ms:>10.2f}{got.p99_ms:>10.2f}"
            f"{got.cpu_us:>10.0f}{echo.cpu_us / got.cpu_us:>10.2f}"
        )


if __name__ == "__main__":
    main()
