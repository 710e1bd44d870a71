"""
A whole daemon as a process of its own, on a home that a test chooses, and what it takes of the machine.

    with open_daemon(tmp_path, project) as daemon:
        daemon.client.get("/control/status")     # as the command line asks
        daemon.footprint()                       # descriptors, tasks, memory
        with open_clients(daemon, path, per_s=50, clients=2) as clients: ...
"""

from __future__ import annotations

import http.client
import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import attrs

from orgloop.cli.client import Client, client_of
from orgloop.daemon import Home

PROGRAM = [sys.executable, "-m", "orgloop"]
PATIENCE_S = 60.0

_FRAME = re.compile(r"^[│ ]*at /")
_TIMES = re.compile(r" for \S+ (ms|s|m|h|d)\b")


def until(fact: Callable[[], bool], *, what: str, patience_s: float = PATIENCE_S) -> float:
    """Wait for a fact; how long it took."""
    began_s = time.monotonic()
    while not fact():
        assert time.monotonic() - began_s < patience_s, what
        time.sleep(0.002)
    return time.monotonic() - began_s


@attrs.frozen
class Footprint:
    """What a daemon takes of the machine."""

    descriptors: int
    sockets: int
    tasks: int
    """Lines of its tree: a supervisor has two, every other child one."""
    rss_mib: float


@attrs.define
class Daemon:
    """A daemon that is ready."""

    process: subprocess.Popen[bytes]
    home: Home
    said: Path
    """Standard output and standard error."""
    ready_s: float
    """From its start until it was ready."""

    @property
    def client(self) -> Client:
        """Asks it, as the command line does."""
        return client_of(self.home, environ={})

    @property
    def port(self) -> int:
        return int(self.home.port.read_text())

    @property
    def children(self) -> list[str]:
        """The lines of its tree, without where in the code each child is just now, and without any times."""
        lines = str(self.client.get("/control/tree")["text"]).splitlines()
        return [_TIMES.sub("", line) for line in lines if not _FRAME.search(line)]

    @property
    def rss_mib(self) -> float:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        (line,) = (line for line in status.splitlines() if line.startswith("VmRSS:"))
        return int(line.split()[1]) / 1024

    @property
    def descriptors(self) -> list[str]:
        """What each open descriptor leads to."""
        found = []
        for path in Path(f"/proc/{self.process.pid}/fd").iterdir():
            try:
                found.append(os.readlink(path))
            except FileNotFoundError:  # closed meanwhile
                continue
        return sorted(found)

    def footprint(self) -> Footprint:
        """Now; the connection that asks for the tree is gone again by then."""
        tasks = len(self.children)
        opened = self.descriptors
        sockets = sum(one.startswith("socket:") for one in opened)
        return Footprint(len(opened), sockets, tasks, self.rss_mib)

    def module(self, name: str) -> Any:
        """What it says of a module."""
        return self.client.get(f"/control/module/status/{name}")

    def load(self, project: Path) -> Any:
        """Load a project from its file."""
        return self.client.post(
            "/control/module/load-project", {"configPath": str(project), "projectDir": str(project.parent)}
        )

    def settled(self, name: str) -> bool:
        """Whether nothing is in flight there."""
        return bool(self.module(name)["counts"]["in_flight"] == 0)


@contextmanager
def open_daemon(directory: Path, *projects: Path, variables: Mapping[str, str] | None = None) -> Iterator[Daemon]:
    """A daemon with these projects, until the block ends; it has to end tidily."""
    home, said = Home(directory / "home"), directory / "said.txt"
    environ = os.environ | {"ORGLOOP_HOME": str(home.path), "HOME": str(directory)} | dict(variables or {})
    began_s = time.monotonic()
    with said.open("ab") as out:
        process = subprocess.Popen(
            [*PROGRAM, "serve", "--port", "0"], cwd=directory, env=environ, stdout=out, stderr=out
        )
    try:
        until(lambda: home.pid.exists() or process.poll() is not None, what="it is not ready")
        assert process.poll() is None, said.read_text()
        daemon = Daemon(process, home, said, time.monotonic() - began_s)
        for project in projects:
            daemon.load(project)
        yield daemon
        process.terminate()
        assert process.wait(PATIENCE_S) == 0, said.read_text()
    finally:
        process.kill()
        process.wait()


# -- the outside -------------------------------------------------------------------------------------------------------


class Sink:
    """Where actors post to: remembers how often it was told of each event, on each path."""

    def __init__(self) -> None:
        self.told: Counter[tuple[str, str]] = Counter()
        self.connections = 0
        self.waits = threading.Event()
        """Clear: whoever posts has to wait for its answer."""
        self.waits.set()
        sink = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                sink.connections += 1
                super().setup()

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                sink.told[self.path, self.headers["X-OrgLoop-Event-Id"]] += 1
                sink.waits.wait()
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"

    def at(self, path: str) -> Counter[str]:
        """How often each event came on a path."""
        return Counter({event: count for (where, event), count in list(self.told.items()) if where == path})


@contextmanager
def open_sink() -> Iterator[Sink]:
    """A sink on a free port."""
    sink = Sink()
    thread = threading.Thread(target=sink.server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield sink
    finally:
        sink.waits.set()
        sink.server.shutdown()
        sink.server.server_close()
        thread.join()


@attrs.define(eq=False)
class Clients:
    """What was answered to whoever posts at a steady pace; half of them on a new connection for each request."""

    answers: Counter[str] = attrs.field(factory=Counter)
    """By status, or by the name of what went wrong."""
    accepted: set[str] = attrs.field(factory=set)
    """Ids of events that were acknowledged."""
    slowest_s: float = 0.0
    _stop: threading.Event = attrs.field(factory=threading.Event)
    _lock: threading.Lock = attrs.field(factory=threading.Lock)

    def post_steadily(self, port: int, path: str, *, per_s: float, stays: bool) -> None:
        """Post until stopped."""
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=15)
        due_s = time.monotonic()
        while not self._stop.is_set():
            began_s = time.monotonic()
            status, event = self._post(connection, path)
            with self._lock:
                self.answers[status] += 1
                self.slowest_s = max(self.slowest_s, time.monotonic() - began_s)
                if event is not None:
                    assert event not in self.accepted
                    self.accepted.add(event)
            if not stays:
                connection.close()
            due_s += 1 / per_s
            time.sleep(max(0.0, due_s - time.monotonic()))
        connection.close()

    def _post(self, connection: http.client.HTTPConnection, path: str) -> tuple[str, str | None]:
        try:
            connection.request("POST", path, b'{"what": "happened"}', {"Content-Type": "application/json"})
            answer = connection.getresponse()
            body = answer.read()
        except (OSError, http.client.HTTPException) as exc:
            connection.close()
            return type(exc).__name__, None
        return str(answer.status), json.loads(body)["event_id"] if answer.status == 200 else None

    def stop(self) -> None:
        """Have them end after the request they are at."""
        self._stop.set()


@contextmanager
def open_clients(daemon: Daemon, path: str, *, per_s: float, clients: int) -> Iterator[Clients]:
    """So many clients that post so often in all, for as long as the block runs."""
    posting = Clients()
    threads = [
        threading.Thread(
            target=posting.post_steadily,
            args=(daemon.port, path),
            kwargs={"per_s": per_s / clients, "stays": number % 2 == 0},
        )
        for number in range(clients)
    ]
    for thread in threads:
        thread.start()
    try:
        yield posting
    finally:
        posting.stop()
        for thread in threads:
            thread.join()


def post_pipelined(port: int, path: str, bodies: Iterator[bytes], *, at_a_time: int = 50) -> Counter[str]:
    """Post on one connection, so many requests before the first answer is read; how often each status came."""
    found: Counter[str] = Counter()
    with socket.create_connection(("127.0.0.1", port), timeout=30) as stream, stream.makefile("rb") as answers:
        while some := [body for _, body in zip(range(at_a_time), bodies, strict=False)]:
            heads = (
                f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
                f"Content-Length: {len(body)}\r\n\r\n".encode()
                for body in some
            )
            stream.sendall(b"".join(part for pair in zip(heads, some, strict=True) for part in pair))
            for _ in some:
                found[_status(answers)] += 1
    return found


def _status(answers: Any) -> str:
    status, length = answers.readline().split()[1].decode(), 0
    while (line := answers.readline()) not in (b"\r\n", b""):
        name, _, value = line.partition(b":")
        length = int(value) if name.lower() == b"content-length" else length
    answers.read(length)
    return str(status)


def figure(what: str, *, is_: object, budget: str) -> None:
    """Print a figure beside its budget."""
    print(f"  {what:<58} {is_!s:>24}   {budget}", file=sys.stderr)
