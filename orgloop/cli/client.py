"""
Talking to the daemon of a home: the control API over http.client, with the token that lies in the home.

    client_of(home) ──▶ Client       raises NotRunning, with what is known of why
    client.get("/control/status")    the answer as plain data; Refused if the daemon says no, with its four parts
    client.stream("/api/v1/logs")    messages of server-sent events, one after the other

A unix socket in the home is preferred to the TCP port. No event loop: a command asks one thing and ends.
"""

from __future__ import annotations

import json
import socket
import stat
from collections.abc import Iterator, Mapping
from contextlib import closing
from http.client import HTTPConnection, HTTPException, HTTPResponse
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

import attrs

from orgloop.cli.errors import CommandFailed
from orgloop.daemon.home import Home
from orgloop.daemon.owner import Owner, Unseen, find_owner
from orgloop.daemon.token import read_token

SOCKET = "control.sock"
"""The unix socket of a home, for a daemon that listens on one."""

ANSWER_S = 30.0
"""How long an answer may take, if the command says nothing else."""

MAX_ANSWER_BYTES = 64 * 1024 * 1024
MAX_LINE_BYTES = 1024 * 1024
"""Of one line of a stream."""

_JSON = {"Content-Type": "application/json"}
_ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # not bound, only translated


class NotRunning(CommandFailed):
    """No daemon runs on the home, or it cannot be reached."""


class Refused(CommandFailed):
    """The daemon answered with an error; ``status`` is that of HTTP."""

    def __init__(self, status: int, what: str, **parts: Any) -> None:
        super().__init__(what, **parts)
        self.status = status


class Message(NamedTuple):
    """One server-sent event."""

    event: str
    data: str
    id: str | None


@attrs.frozen(kw_only=True)
class Client:
    """Asks the daemon of a home."""

    home: Home
    host: str
    port: int
    socket: Path | None
    """Instead of host and port."""
    token: str | None = attrs.field(repr=False)
    timeout_s: float = ANSWER_S

    def get(self, path: str, /, **query: object) -> Any:
        """The answer to a question; what is None is left out of the query."""
        return self.ask("GET", path, query=query)

    def post(self, path: str, body: Mapping[str, Any] | None = None, /, **query: object) -> Any:
        """The answer to an order."""
        return self.ask("POST", path, body=body or {}, query=query)

    def delete(self, path: str, /, **query: object) -> Any:
        """The answer to having something removed."""
        return self.ask("DELETE", path, query=query)

    def ask(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, Any] | None = None,
        query: Mapping[str, object] | None = None,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        """
        Plain data, or text if the answer is no JSON. Raises :class:`Refused` or :class:`NotRunning`.

        ``content`` is sent as it is, in the place of ``body``, with ``headers`` that say what it is.
        """
        sent = content if body is None else json.dumps(body).encode()
        with (
            closing(self._connection(self.timeout_s)) as connection,
            self._answer(connection, method, path, content=sent, query=query or {}, headers=headers or _JSON) as answer,
        ):
            try:
                received = answer.read(MAX_ANSWER_BYTES + 1)
            except (OSError, HTTPException) as exc:
                raise self._unreachable(exc) from exc
        if len(received) > MAX_ANSWER_BYTES:
            raise CommandFailed(
                f"the answer to {method} {path} is longer than 64 MiB", next="ask for less, with --limit"
            )
        return _read(answer, received, where=f"{method} {path}")

    def stream(self, path: str, /, **query: object) -> Iterator[Message]:
        """Messages as they come, until the daemon ends or nobody asks for more; the stream itself has no deadline."""
        with (
            closing(self._connection(self.timeout_s)) as connection,
            self._answer(connection, "GET", path, query=query, is_stream=True) as answer,
        ):
            if answer.status >= 400:
                _read(answer, answer.read(MAX_ANSWER_BYTES), where=f"GET {path}")
            try:
                yield from _messages(answer)
            except (OSError, HTTPException) as exc:
                raise self._unreachable(exc) from exc

    # -- the connection ------------------------------------------------------------------------------------------------

    def _connection(self, timeout_s: float) -> HTTPConnection:
        if self.socket is not None:
            return _UnixConnection(self.socket, timeout_s)
        return HTTPConnection(self.host, self.port, timeout=timeout_s)

    def _answer(
        self,
        connection: HTTPConnection,
        method: str,
        path: str,
        *,
        query: Mapping[str, object],
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        is_stream: bool = False,
    ) -> HTTPResponse:
        # It is the only request of its connection: said so, the daemon need not wait for the next one.
        said = {"Accept": "text/event-stream" if is_stream else "application/json", "Connection": "close"}
        if self.token is not None:
            said["Authorization"] = f"Bearer {self.token}"
        if content is not None:
            said |= headers or {}
        asked = {key: _written(value) for key, value in query.items() if value is not None}
        target = quote(path, safe="/%:@") + (f"?{urlencode(asked)}" if asked else "")
        try:
            connection.request(method, target, content, said)
            reached = connection.sock  # which the connection lets go of when the answer is to be its last
            answer = connection.getresponse()
            if is_stream and answer.status < 400:
                reached.settimeout(None)
            return answer
        except (OSError, HTTPException) as exc:
            raise self._unreachable(exc) from exc

    def _unreachable(self, exc: Exception) -> NotRunning:
        where = f"unix:{self.socket}" if self.socket is not None else f"http://{self.host}:{self.port}"
        if isinstance(exc, TimeoutError):
            what, step = f"the daemon has not answered within {self.timeout_s:g} s", "orgloop status; orgloop tree"
        else:
            what, step = "the daemon runs, and does not answer", "orgloop status, or orgloop stop --force"
        why = str(exc) or type(exc).__name__
        return NotRunning(what, where=where, why=why, next=step, code="unreachable")


class _UnixConnection(HTTPConnection):
    def __init__(self, path: Path, timeout_s: float) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self._path = path

    def connect(self) -> None:
        """Connect to the socket instead of to a host."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def client_of(home: Home, *, environ: Mapping[str, str], timeout_s: float = ANSWER_S) -> Client:
    """
    What talks to the daemon of a home.

    Raises :class:`NotRunning` if there is none or it is not ready, :class:`orgloop.errors.HomeError` if its token
    cannot be trusted.
    """
    owner = find_owner(home)
    if not isinstance(owner, Owner):
        raise _nobody(home, owner)
    unix = _socket_of(home)
    if owner.port is None and unix is None:
        raise NotRunning(
            f"OrgLoop is starting: process {owner.process.pid}",
            where=str(home.path),
            why="it has not said yet where it listens",
            next="try again in a moment; orgloop status tells when it is ready",
            code="starting",
        )
    given = environ.get("ORGLOOP_HOST", "127.0.0.1")
    return Client(
        home=home,
        host=_ANYWHERE.get(given, given),
        port=owner.port or 0,
        socket=unix,
        token=read_token(home),
        timeout_s=timeout_s,
    )


def _nobody(home: Home, found: object) -> NotRunning:
    if isinstance(found, Unseen):
        return NotRunning("the daemon cannot be reached", where=str(home.path), why=found.reason, code="unseen")
    why = getattr(found, "reason", None) or "no process owns this home"
    step = "orgloop start; if it runs with another home, set ORGLOOP_HOME"
    return NotRunning("OrgLoop is not running", where=str(home.path), why=why, next=step, code="not_running")


def _socket_of(home: Home) -> Path | None:
    path = home.path / SOCKET
    try:
        return path if stat.S_ISSOCK(path.lstat().st_mode) else None
    except OSError:
        return None


# -- answers -----------------------------------------------------------------------------------------------------------


def _written(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _read(answer: HTTPResponse, content: bytes, *, where: str) -> Any:
    """The plain data of an answer, or its text; raises :class:`Refused` if it is an error."""
    text = content.decode("utf-8", "replace")
    value: Any = text
    if text and "json" in (answer.headers.get("Content-Type") or ""):
        try:
            value = json.loads(text)
        except (ValueError, RecursionError) as exc:
            if answer.status < 400:
                raise CommandFailed(
                    "the daemon's answer is not JSON", where=where, why=str(exc), next="orgloop logs", code="protocol"
                ) from exc
    if answer.status < 400:
        return value
    raise _refusal(answer.status, value, where)


def _refusal(status: int, value: Any, where: str) -> Refused:
    error = value.get("error") if isinstance(value, dict) else None
    if isinstance(error, str):
        detail = value.get("detail")
        error = {**(detail if isinstance(detail, dict) else {}), "what": error}
    if not isinstance(error, dict):
        error = {"what": str(value).strip()[:500] or f"HTTP {status}"}
    step = error.get("next")
    if status == 401 and step is None:
        step = "the token of the home does not fit the daemon: restart it (orgloop stop; orgloop start)"
    faults = [fault for fault in error.get("faults") or () if isinstance(fault, dict)]
    return Refused(
        status,
        str(error.get("what") or f"HTTP {status}"),
        where=error.get("where") or where,
        why=error.get("why"),
        next=step,
        code=str(error.get("code") or f"http_{status}"),
        faults=faults,
    )


def _messages(answer: HTTPResponse) -> Iterator[Message]:
    """Server-sent events; comments, which only show that somebody is there, are passed over."""
    event, id_, lines = "message", None, list[str]()
    while line := answer.readline(MAX_LINE_BYTES):
        text = line.decode("utf-8", "replace").rstrip("\r\n")
        field, _, value = text.partition(":")
        value = value.removeprefix(" ")
        if not text:
            if lines:
                yield Message(event, "\n".join(lines), id_)
            event, lines = "message", []
        elif field == "data":
            lines.append(value)
        elif field == "event":
            event = value
        elif field == "id":
            id_ = value
