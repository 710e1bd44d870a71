"""
Notices to a syslog server, by RFC 5424: over UDP, TCP, TLS, or the socket of this machine.

A line that breaks is opened again, later and later up to half a minute; meanwhile notices wait, up to
``max_queue_size``, the oldest going first. UDP says nothing of what it loses, and a TCP connection that dies takes
with it what the system had already accepted: what must not be missing belongs in a file.
"""

from __future__ import annotations

import errno
import os
import random
import socket
import ssl
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress
from types import TracebackType
from typing import Literal, Protocol, Self

import attrs
import trio

from orgloop.sdk import Checked, Notice, Offer, Place, timestamp_of
from orgloop_connectors.loggers._outbox import Outbox, emptied, waits_s
from orgloop_connectors.loggers._rfc5424 import FACILITIES, Sender, message, printable

DATAGRAM_BYTES = 2048
"""How long a message in a datagram may be: what every receiver should take (RFC 5426, 3.2)."""

STREAM_BYTES = 8192
"""And one in a stream (RFC 6587 and 5425 name the same)."""

BATCH = 1024
"""How many messages are sent in one go."""

PATIENCE_S = 10.0
"""How long connecting, or one sending, may take."""

LOOK_S = 0.001
"""How long a stream is listened to before it is written to: its end, if it has come, is there at once."""

MAX_WORDS = 300
"""How much of an error is kept."""

MAX_SAID_BYTES = 65536
"""How much a server, which has nothing to say, may say before its connection is ended."""


@attrs.frozen(kw_only=True)
class SyslogConfig:
    """Where to, and how messages are marked."""

    transport: Literal["udp", "tcp", "tls", "unix"] = attrs.field(default="udp", metadata={"aliases": ("protocol",)})
    host: str = "127.0.0.1"
    port: int | None = None
    """514, and 6514 with TLS."""
    path: str = attrs.field(default="/dev/log", metadata={"path": True})
    """Of the socket, for ``unix``."""
    tls: bool = False
    """With ``transport: tcp``, the same as ``transport: tls``."""
    ca_file: str | None = attrs.field(default=None, metadata={"path": True})
    """Who signs the certificate of the server, if nobody whom this machine trusts does."""
    framing: Literal["octet-counting", "newline"] = "octet-counting"
    """How messages in a stream are told apart (RFC 6587)."""
    format: Literal["rfc5424"] = "rfc5424"
    facility: str = "local0"
    app_name: str = "orgloop"
    hostname: str | None = None
    """That of the machine."""
    include_structured_data: bool = True
    max_queue_size: int = 10_000
    """How many messages may wait for a server that is not there."""

    @property
    def secure(self) -> bool:
        """Whether TLS is spoken."""
        return self.tls or self.transport == "tls"

    @property
    def port_number(self) -> int:
        """The port that is meant."""
        return self.port if self.port is not None else 6514 if self.secure else 514


class Syslog:
    """
    Sends to one server; an async context manager.

    ``lost`` counts the messages that were given up, ``last_error`` is the last reason for one, or for a line that
    broke. When a line is there again, the first message on it says how many are lost.
    """

    def __init__(self, config: SyslogConfig, place: Place) -> None:  # noqa: ARG002
        """ValueError, a line for each fault."""
        if faults := _faults(config):
            raise ValueError("\n".join(faults))
        self._config = config
        self._sender: Sender | None = None
        self._is_stream = config.transport in ("tcp", "tls")
        self._limit_bytes = STREAM_BYTES if self._is_stream else DATAGRAM_BYTES
        self._outbox: Outbox | None = None
        self._line: _Line | None = None
        self._stack = AsyncExitStack()
        self._lost_before = 0
        self._told_of = 0
        self._last_error: str | None = None
        self._wait_s = waits_s(random.random)

    @property
    def lost(self) -> int:
        """How many messages have been given up."""
        return self._lost_before + (self._outbox.lost if self._outbox is not None else 0)

    @property
    def last_error(self) -> str | None:
        """Why, at the last time."""
        return self._last_error or (self._outbox.last_error if self._outbox is not None else None)

    async def __aenter__(self) -> Self:
        config = self._config
        self._lost_before = self.lost
        self._sender = Sender(
            facility=FACILITIES[config.facility],
            hostname=config.hostname or socket.gethostname(),
            app_name=config.app_name,
            process=str(os.getpid()),
            structured=config.include_structured_data,
        )
        outbox = self._outbox = Outbox(config.max_queue_size)
        await self._stack.enter_async_context(emptied(outbox, self._send, most=BATCH, gather_s=0.0))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Send what waits, if that is quickly done, and hang up."""
        try:
            await self._stack.__aexit__(kind, exc, traceback)
        finally:
            await self._hang_up()

    def log(self, notice: Notice) -> None:
        """Take a notice; it is sent as soon as there is a line."""
        if self._outbox is None:
            self._lost_before += 1
            return
        self._outbox.put(self._message(notice))

    async def _send(self, messages: Sequence[bytes]) -> None:
        """Send for as long as it takes; what a line that broke has not taken goes by the next."""
        rest, failures = list(messages), 0
        while True:
            before = len(rest)
            try:
                with trio.fail_after(PATIENCE_S):
                    line = self._line = self._line or await self.dial()
                    await line.check()
                    await self._confess(line)
                    await line.send(rest)
                return
            except (OSError, trio.BrokenResourceError, trio.TooSlowError) as exc:
                self._last_error = f"{self.where}: {_words(exc)}"
                await self._hang_up()
            failures = failures + 1 if len(rest) == before else 1
            await trio.sleep(self._wait_s(failures))

    async def _confess(self, line: _Line) -> None:
        lost = self.lost
        if lost > self._told_of:
            text = f"{lost} messages to syslog have been lost so far, last because of: {self.last_error}"
            told = Notice(timestamp=timestamp_of(time.time()), phase="system.error", error=text)
            await line.send([self._message(told)])
            self._told_of = lost

    def _message(self, notice: Notice) -> bytes:
        assert self._sender is not None
        return message(notice, self._sender, limit_bytes=self._limit_bytes)

    async def dial(self) -> _Line:
        """Open a line; OSError or BrokenResourceError if there is none."""
        config = self._config
        match config.transport:
            case "unix":
                return await _local(config.path)
            case "udp":
                return await _datagrams(config.host, config.port_number)
        stream: trio.abc.Stream = await trio.open_tcp_stream(config.host, config.port_number)
        if config.secure:
            context = await trio.to_thread.run_sync(_tls, config.ca_file)
            secured = trio.SSLStream(stream, context, server_hostname=config.host)
            try:
                await secured.do_handshake()
            except BaseException:
                await trio.aclose_forcefully(stream)
                raise
            stream = secured
        return _Streaming(stream, octet_counting=config.framing == "octet-counting")

    async def _hang_up(self) -> None:
        line, self._line = self._line, None
        if line is not None:
            with trio.move_on_after(1, shield=True), suppress(OSError, trio.BrokenResourceError):
                await line.aclose()

    @property
    def where(self) -> str:
        """Where to, for people."""
        config = self._config
        where = config.path if config.transport == "unix" else f"{config.host}:{config.port_number}"
        return f"{'tls' if config.secure else config.transport} {where}"


# -- lines -------------------------------------------------------------------------------------------------------------


class _Line(Protocol):
    """A way to a server, while it lasts; what breaks it is raised as OSError or BrokenResourceError."""

    async def check(self) -> None:
        """Raise if the server has hung up: what is written then is accepted by the system, and lost."""

    async def send(self, messages: list[bytes]) -> None:
        """Send messages, and take out of the list what was sent."""

    async def aclose(self) -> None:
        """Hang up."""


class _Datagrams:
    """One message, one datagram."""

    def __init__(self, connected: trio.socket.SocketType) -> None:
        self._socket = connected

    async def check(self) -> None:
        """There is nobody to ask."""

    async def send(self, messages: list[bytes]) -> None:
        while messages:
            await self._socket.send(messages[0])
            del messages[0]

    async def aclose(self) -> None:
        self._socket.close()


class _Streaming:
    """One message after the other: each behind its length, or before a newline."""

    def __init__(self, stream: trio.abc.Stream, *, octet_counting: bool) -> None:
        self._stream, self._octet_counting = stream, octet_counting
        self._said_bytes = 0

    async def check(self) -> None:
        with trio.move_on_after(LOOK_S):
            while said := await self._stream.receive_some(4096):
                self._said_bytes += len(said)
                if self._said_bytes > MAX_SAID_BYTES:
                    break
            raise trio.BrokenResourceError("the server talks" if said else "the server has hung up")

    async def send(self, messages: list[bytes]) -> None:
        await self._stream.send_all(b"".join(map(self._framed, messages)))
        messages.clear()

    def _framed(self, message: bytes) -> bytes:
        return b"%d %b" % (len(message), message) if self._octet_counting else message + b"\n"

    async def aclose(self) -> None:
        await self._stream.aclose()


async def _datagrams(host: str, port: int) -> _Line:
    found = await trio.socket.getaddrinfo(host, port, type=trio.socket.SOCK_DGRAM)
    family, kind, protocol, _, address = found[0]
    return _Datagrams(await _connected(trio.socket.socket(family, kind, protocol), address))


async def _local(path: str) -> _Line:
    """A socket of this machine: of datagrams, as /dev/log usually is, or else a stream with newlines."""
    try:
        return _Datagrams(await _connected(trio.socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM), path))
    except OSError as exc:
        if exc.errno != errno.EPROTOTYPE:
            raise
    connected = await _connected(trio.socket.socket(socket.AF_UNIX, socket.SOCK_STREAM), path)
    return _Streaming(trio.SocketStream(connected), octet_counting=False)


async def _connected(made: trio.socket.SocketType, address: object) -> trio.socket.SocketType:
    try:
        await made.connect(address)
    except BaseException:
        made.close()
        raise
    return made


def _tls(ca_file: str | None) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=ca_file)


# -- what is wrong -----------------------------------------------------------------------------------------------------


def _faults(config: SyslogConfig) -> list[str]:
    faults = []
    if config.facility not in FACILITIES:
        faults.append(f"facility: {config.facility!r} is not known; write one of {', '.join(FACILITIES)}")
    if config.port is not None and not 0 < config.port < 65536:
        faults.append(f"port: {config.port} is no port; write one from 1 to 65535, as in 514")
    if config.tls and config.transport in ("udp", "unix"):
        faults.append(f"tls: there is none over {config.transport}; write transport: tls")
    if config.ca_file is not None and not config.secure:
        faults.append("ca_file: nothing is encrypted; write transport: tls")
    if not config.host:
        faults.append("host: '' names no machine; write its name or address, as in 127.0.0.1")
    if config.max_queue_size < 1:
        faults.append(f"max_queue_size: {config.max_queue_size} holds nothing; write one above 0, as in 10000")
    return faults


def _words(exc: BaseException) -> str:
    if isinstance(exc, trio.TooSlowError):
        return f"nothing went within {PATIENCE_S:g} s"
    # What trio says of several addresses, or of a broken stream, was caused by what there is to know.
    while (cause := exc.__cause__) is not None:
        exc = cause.exceptions[0] if isinstance(cause, BaseExceptionGroup) else cause
    return printable(str(exc)[:MAX_WORDS]) or type(exc).__name__


async def check(config: SyslogConfig, place: Place) -> Sequence[Checked]:
    """Open a line and close it again; nothing is sent."""
    logger = Syslog(config, place)
    where = logger.where
    try:
        with trio.fail_after(PATIENCE_S):
            line = await logger.dial()
            await line.aclose()
    except (OSError, trio.BrokenResourceError, trio.TooSlowError) as exc:
        return [Checked(name="syslog", ok=False, detail=f"{where}: {_words(exc)}; is the server there, and listening?")]
    detail = "has an address; whether anybody listens, UDP never says" if config.transport == "udp" else "is open"
    return [Checked(name="syslog", ok=True, detail=f"{where} {detail}")]


OFFER = Offer(config=SyslogConfig, make=Syslog, check=check)
