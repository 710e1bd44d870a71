"""What the front door listens on: TCP ports, and a unix socket for the users of this host."""

from __future__ import annotations

import errno
import os
import socket
import stat
import struct
from pathlib import Path

import attrs
import trio

from orgloop.errors import ConfigError

BACKLOG = 1024
"""Connections that the kernel may hold until they are accepted."""

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


@attrs.frozen
class Address:
    """Where the front door can be reached: a host and a port, or the path of a unix socket."""

    host: str
    port: int = 0

    def __str__(self) -> str:
        if not self.port:
            return f"unix:{self.host}"
        return f"http://[{self.host}]:{self.port}" if ":" in self.host else f"http://{self.host}:{self.port}"


async def listen_tcp(host: str, port: int, *, is_public: bool) -> list[trio.SocketListener]:
    """
    Listen on a port; 0 takes a free one.

    Raises :class:`ConfigError` if that cannot be, or if others could reach it and nobody has said that they may.
    """
    if host not in _LOOPBACK and not is_public:
        raise ConfigError(
            f"http.host: {host!r} can be reached from elsewhere. The front door speaks no TLS: put a proxy that does "
            "in front of it and listen on 127.0.0.1, or set http.public (--public, ORGLOOP_PUBLIC=1) if the network is "
            "trusted"
        )
    try:
        return list(await trio.open_tcp_listeners(port, host=host, backlog=BACKLOG))
    except OSError as exc:
        if exc.errno == errno.EADDRINUSE:
            raise ConfigError(
                f"http.port: {port} is in use on {host}. A daemon may be running (orgloop status), or another program; "
                "stop it, or choose another port with ORGLOOP_PORT"
            ) from exc
        raise ConfigError(f"http.host: cannot listen on {host}, port {port}: {exc.strerror or exc}") from exc


def listen_unix(path: Path, *, group_id: int | None = None) -> trio.SocketListener:
    """
    Listen on a unix socket that its owner may use, and a group if one is given.

    A socket that nobody listens on any more is replaced; anything else in its place is left there, and is a
    :class:`ConfigError`.
    """
    _clear(path)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        before = os.umask(0o177)  # nobody else gets in between bind and the mode below
        try:
            listening.bind(os.fspath(path))
        finally:
            os.umask(before)
        if group_id is not None:
            os.chown(path, -1, group_id)
            os.chmod(path, 0o660)
        listening.listen(BACKLOG)
    except OSError as exc:
        listening.close()
        raise ConfigError(f"http.socket: cannot listen on {path}: {exc.strerror or exc}") from exc
    return trio.SocketListener(trio.socket.from_stdlib_socket(listening))


def _clear(path: Path) -> None:
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return
    except OSError as exc:
        raise ConfigError(f"http.socket: cannot look at {path}: {exc.strerror or exc}") from exc
    if not stat.S_ISSOCK(found.st_mode):
        raise ConfigError(f"http.socket: {path} is there already, and is no socket; move it away")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as caller:
        try:
            caller.connect(os.fspath(path))
        except ConnectionRefusedError:
            os.unlink(path)
            return
        except OSError as exc:
            raise ConfigError(f"http.socket: {path} is somebody else's: {exc.strerror or exc}") from exc
    raise ConfigError(f"http.socket: another process listens on {path}; stop it, or choose another path")


def peer_of(stream: trio.SocketStream) -> str:
    """Who is at the other end: an address, or ``uid:1000``; raises :class:`OSError` if it has gone."""
    if stream.socket.family == socket.AF_UNIX:
        option = getattr(socket, "SO_PEERCRED", None)
        if option is None:  # where the kernel does not say, all users of the socket are one peer
            return "unix"
        credentials = stream.socket.getsockopt(socket.SOL_SOCKET, option, struct.calcsize("3i"))
        _process, user, _group = struct.unpack("3i", credentials)
        return f"uid:{user}"
    return str(stream.socket.getpeername()[0])
