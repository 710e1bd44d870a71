"""The control API of a daemon that owns a home, as a client sees it: real sockets, answers that a test chooses."""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import attrs

from orgloop.daemon import Home, ensure_token, prepare_home
from orgloop.daemon.identity import identity_of
from orgloop.daemon.owner import take_home


@attrs.define
class Control:
    """What is answered, and what was asked."""

    home: Home
    answers: dict[str, tuple[int, Any]] = attrs.field(factory=dict)
    """By method and path; bytes are sent as they are."""
    asked: list[tuple[str, str, Any]] = attrs.field(factory=list)
    tokens: list[str | None] = attrs.field(factory=list)
    hosts: list[str | None] = attrs.field(factory=list)
    silent: threading.Event | None = None
    """Until this is set, nothing is answered."""


class _UnixServer(ThreadingHTTPServer):
    address_family = socket.AF_UNIX

    def server_bind(self) -> None:
        self.socket.bind(self.server_address)


def _handler(control: Control) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = self.rfile.read(length)
            control.asked.append((self.command, self.path, json.loads(body) if body else None))
            control.tokens.append(self.headers.get("Authorization"))
            control.hosts.append(self.headers.get("Host"))
            if control.silent is not None:
                control.silent.wait(30)
                return
            path = self.path.partition("?")[0]
            status, answer = control.answers.get(f"{self.command} {path}", (404, {"error": "Not found"}))
            content = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
            self.send_response(status)
            kind = "text/event-stream" if content.startswith((b"data", b":", b"event", b"id")) else "application/json"
            self.send_header("Content-Type", kind)
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_DELETE = _answer  # noqa: N815  # the names that http.server looks for

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    return Handler


@contextmanager
def serve_control(home_path: Path, *, unix: bool = False, says_port: bool = True) -> Iterator[Control]:
    """A daemon on this home: its lock is held, its port and token are there."""
    home = Home(home_path)
    prepare_home(home)
    control = Control(home)
    lock = take_home(home)
    ensure_token(home)
    me = identity_of(os.getpid())
    assert me is not None
    lock.note(me, me)
    if unix:
        server: ThreadingHTTPServer = _UnixServer(str(home.path / "control.sock"), _handler(control))  # type: ignore[arg-type] # as above
    else:
        server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(control))
        if says_port:
            home.write(home.port, f"{server.server_address[1]}\n".encode())
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield control
    finally:
        if control.silent is not None:
            control.silent.set()
        server.shutdown()
        thread.join()
        server.server_close()
        home.remove(home.port)
        lock.release()
