"""
The engine, over its socket: what it can be asked about one container, and what it answers.

    create ── put ── attach ── start ── wait ── state ── logs ── stop ── remove

Paths have no version, which means the engine's own: all of this has been in its API since 1.24. Docker's and Podman's
engines speak it.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

import attrs
import trio

from orgloop_connectors._http import Answer, Client, Limits, NoAnswer, Reply

ANSWER_S = 30.0
"""How long the engine may take for what it does at once."""

RUN_S = 7 * 86_400.0
"""How long anything may take at all; the route's ``timeout`` usually comes first, and is the runtime's."""

LIMITS = Limits(connect_s=5.0, read_s=RUN_S, total_s=RUN_S, connections=1024)

LOG_LINES = 200
"""How many of the last lines of a container are asked for."""

MAX_HEAD_BYTES = 16 * 1024
"""How much the engine may say before it hands a connection over."""

_ROOT = "http://localhost"
_FRAME = struct.Struct(">BxxxI")


class Trouble(Exception):
    """The engine did not do what it was asked; ``reply`` is what it said."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply)
        self.reply = reply


@attrs.frozen
class State:
    """How a container is."""

    id: str
    status: str
    """``created``, ``running``, ``paused``, ``restarting``, ``removing``, ``exited`` or ``dead``."""
    exit_status: int
    out_of_memory: bool
    started_at: str
    ended_at: str
    labels: Mapping[str, str]


@attrs.frozen
class Engine:
    """Asks the engine; :class:`Trouble` for whatever it refuses."""

    client: Client
    socket: str

    async def ping(self) -> Reply:
        """Whether it is there."""
        return await self._ask("GET", "/_ping")

    async def has_image(self, image: str) -> Reply:
        """200 or 404."""
        return await self._ask("GET", f"/images/{quote(image, safe='/:@')}/json")

    async def pull(self, image: str) -> None:
        """Fetch an image."""
        name, tag = split_tag(image)
        params = {"fromImage": name} | ({"tag": tag} if tag else {})
        answer = self._done(await self._ask("POST", "/images/create", params=params, within_s=RUN_S))
        # The engine has said 200 before it has begun; what went wrong since then is the last that it tells.
        if b'"error"' in (last := answer.body.rstrip().rpartition(b"\n")[2]):
            raise Trouble(NoAnswer(f"{image} was not fetched: {self.client.excerpt(last)}"))

    async def create(self, name: str, container: Mapping[str, Any]) -> bool:
        """Make a container; False if there is one of that name."""
        reply = await self._ask("POST", "/containers/create", params={"name": name}, body=container)
        if isinstance(reply, Answer) and reply.status == 409:
            return False
        self._done(reply)
        return True

    async def put(self, name: str, path: str, content: bytes) -> None:
        """Put a file into a container that has not been started; all may read it, root alone write."""
        import tarfile

        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive:
            entry = tarfile.TarInfo(path.lstrip("/"))
            entry.size, entry.mode = len(content), 0o444
            archive.addfile(entry, io.BytesIO(content))
        headers = {"content-type": "application/x-tar"}
        where, params = f"/containers/{name}/archive", {"path": "/"}
        self._done(await self._ask("PUT", where, params=params, content=packed.getvalue(), headers=headers))

    async def attach(self, name: str) -> trio.SocketStream:
        """
        The standard input of a container, as a stream; closing it is the end of the input.

        Spoken by hand: after the head, the connection is a pipe, and no longer HTTP.
        """
        with trio.move_on_after(ANSWER_S):
            try:
                stream = await trio.open_unix_socket(self.socket)
            except OSError as exc:
                raise Trouble(NoAnswer(str(exc))) from exc
            try:
                return await _upgraded(stream, f"/containers/{name}/attach?stream=1&stdin=1")
            except BaseException:
                await trio.aclose_forcefully(stream)
                raise
        raise Trouble(NoAnswer(f"no answer within {ANSWER_S:g} s"))

    async def start(self, name: str) -> None:
        """Begin; one that runs already is left alone."""
        reply = await self._ask("POST", f"/containers/{name}/start")
        if not isinstance(reply, Answer) or reply.status != 304:
            self._done(reply)

    async def wait(self, name: str) -> None:
        """Wait for its end, for as long as it takes."""
        self._done(await self._ask("POST", f"/containers/{name}/wait", within_s=RUN_S))

    async def state(self, name: str) -> State | None:
        """How it is; None if there is none of that name."""
        reply = await self._ask("GET", f"/containers/{name}/json")
        if isinstance(reply, Answer) and reply.status == 404:
            return None
        return _state_of(self._done(reply))

    async def logs(self, name: str) -> tuple[bytes, bytes]:
        """The last that it has said, on its standard output and its standard error; empty if that cannot be had."""
        params = {"stdout": "1", "stderr": "1", "tail": str(LOG_LINES)}
        reply = await self._ask("GET", f"/containers/{name}/logs", params=params)
        return demultiplexed(reply.body) if isinstance(reply, Answer) and reply.ok else (b"", b"")

    async def stop(self, name: str, *, grace_s: float) -> None:
        """End it: SIGTERM, and SIGKILL if it takes longer than ``grace_s``; one that has ended is left alone."""
        within_s, params = grace_s + ANSWER_S, {"t": f"{grace_s:.0f}"}
        reply = await self._ask("POST", f"/containers/{name}/stop", params=params, within_s=within_s)
        if not isinstance(reply, Answer) or reply.status != 304:
            self._done(reply)

    async def remove(self, name: str) -> None:
        """Remove it, and what it has written, running or not; one that is not there is removed."""
        reply = await self._ask("DELETE", f"/containers/{name}", params={"force": "1", "v": "1"})
        if not isinstance(reply, Answer) or reply.status not in (404, 409):  # 409: it is being removed
            self._done(reply)

    async def _ask(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        within_s: float = ANSWER_S,
    ) -> Reply:
        with trio.move_on_after(within_s):
            return await self.client.request(
                method, _ROOT + path, params=params, json=body, content=content, headers=headers
            )
        return NoAnswer(f"no answer within {within_s:g} s")

    @staticmethod
    def _done(reply: Reply) -> Answer:
        if isinstance(reply, NoAnswer) or not reply.ok:
            raise Trouble(reply)
        return reply


def split_tag(image: str) -> tuple[str, str]:
    """
    The name of an image, and its tag: ``latest`` unless there is one, none beside a digest.

    >>> split_tag("registry:5000/acme/reviewer")
    ('registry:5000/acme/reviewer', 'latest')
    """
    if "@" in image:
        return image, ""
    path, slash, last = image.rpartition("/")
    name, _, tag = last.partition(":")
    return f"{path}{slash}{name}", tag or "latest"


def demultiplexed(body: bytes) -> tuple[bytes, bytes]:
    """
    The two streams in a log: frames of eight bytes (1 or 2, three zeros, length), then so many bytes.

    >>> demultiplexed(bytes([1, 0, 0, 0, 0, 0, 0, 2]) + b"hi" + bytes([2, 0, 0, 0, 0, 0, 0, 9]) + b"cut o")
    (b'hi', b'cut o')
    """
    streams: dict[int, bytearray] = {1: bytearray(), 2: bytearray()}
    for kind, piece in _frames(body):
        streams.get(kind, streams[1]).extend(piece)
    return bytes(streams[1]), bytes(streams[2])


def _frames(body: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + _FRAME.size <= len(body):
        kind, size = _FRAME.unpack_from(body, at)
        at += _FRAME.size
        yield kind, body[at : at + size]
        at += size


def _state_of(answer: Answer) -> State:
    try:
        said = answer.json()
        state, config = said["State"], said["Config"]
        return State(
            id=str(said["Id"]),
            status=str(state["Status"]),
            exit_status=int(state["ExitCode"]),
            out_of_memory=bool(state.get("OOMKilled")),
            started_at=_time(state.get("StartedAt")),
            ended_at=_time(state.get("FinishedAt")),
            labels=dict(config.get("Labels") or {}),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as exc:
        raise Trouble(NoAnswer(f"what it says of a container is not understood: {exc!r}")) from exc


def _time(text: object) -> str:
    """Its nanoseconds to our milliseconds."""
    whole, _, fraction = str(text).removesuffix("Z").partition(".")
    return f"{whole}.{fraction[:3]:0<3}Z"


async def _upgraded(stream: trio.SocketStream, target: str) -> trio.SocketStream:
    lines = (f"POST {target} HTTP/1.1", "Host: localhost", "Connection: Upgrade", "Upgrade: tcp", "Content-Length: 0")
    head = bytearray()
    try:
        await stream.send_all("".join(f"{line}\r\n" for line in (*lines, "")).encode())
        while b"\r\n\r\n" not in head and len(head) < MAX_HEAD_BYTES:
            if not (piece := await stream.receive_some(4096)):
                break
            head += piece
    except trio.BrokenResourceError as exc:
        raise Trouble(NoAnswer("the connection broke while it was handed over")) from exc
    words = bytes(head[:64]).split(b" ", 2)
    if len(words) < 2 or not words[1].isdigit():
        raise Trouble(NoAnswer("it does not hand over the standard input"))
    # 200 is what engines say that do not know the upgrade, and hand over all the same.
    if int(words[1]) not in (101, 200):
        raise Trouble(Answer(status=int(words[1])))
    return stream
