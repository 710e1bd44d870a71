"""
hypercorn on a private unix socket, where a fault in one connection ends that connection and nothing else.

Without the guard, one request of 170 bytes, a WebSocket upgrade with a byte too many, raises out of ``serve()``
(pgjones/hypercorn#225, still so in 0.18). The name that is replaced is private, so hypercorn is pinned, and the request
stands in the tests. Quart cancels whatever sends the end of an answer once it hears that this was the end; without the
guard every other connection would then be left open.
"""

from __future__ import annotations

import sys
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import trio

from orgloop.http.asgi import App
from orgloop.http.limits import Limits
from orgloop.http.tellers import Tell

if TYPE_CHECKING:
    from hypercorn.config import Config
    from hypercorn.events import Event


@lru_cache(maxsize=1)
def _guard() -> None:
    """Put the guard in hypercorn's place for a connection, for the whole process, once."""
    import hypercorn.trio.run
    from hypercorn.trio.tcp_server import TCPServer

    class GuardedConnection(TCPServer):
        """A connection whose faults end itself."""

        async def run(self) -> None:
            """Serve it; Cancelled passes."""
            try:
                await super().run()
            except* Exception as group:
                await self.config.log.error("a connection ended in %r", group.exceptions[0])

        async def protocol_send(self, event: Event) -> None:
            """Send, or close, to the end: an application that hears of the end of its request may cancel us."""
            with trio.CancelScope(shield=True):
                await super().protocol_send(event)

    setattr(hypercorn.trio.run, "TCPServer", GuardedConnection)  # noqa: B010 - a private name, as said above


def _config_of(path: Path, limits: Limits, tell: Tell) -> Config:
    from hypercorn.config import Config
    from hypercorn.logging import Logger

    class Teller(Logger):
        """What hypercorn has to say becomes notices; nothing is printed."""

        async def critical(self, message: str, *args: Any, **_: Any) -> None:
            await self.error(message, *args)

        async def error(self, message: str, *args: Any, **_: Any) -> None:
            tell("system.error", error=f"hypercorn: {message % args if args else message}")

        async def exception(self, message: str, *args: Any, **_: Any) -> None:
            await self.error(f"{message}: %r", *args, sys.exc_info()[1])

    config = Config()
    config.bind = [f"unix:{path}"]
    config.umask = 0o077
    config.logger_class = Teller
    config.errorlog = None
    config.include_server_header = False
    config.h11_max_incomplete_size = limits.head_bytes
    config.h2_max_concurrent_streams = 1  # spoken by nobody here; see asgi.py, which refuses it
    config.keep_alive_timeout = limits.head_s  # also what the head of a second request may take
    config.graceful_timeout = limits.stop_s
    config.websocket_max_message_size = limits.body_bytes
    config.backlog = limits.connections
    return config


async def serve_guarded(
    app: App,
    path: Path,
    *,
    limits: Limits,
    tell: Tell,
    stopping: trio.Event,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """
    Serve an application on a unix socket at ``path``, whose directory nobody else may enter, until cancelled.

    From ``stopping`` on, requests under way are finished and nothing new is taken.
    """
    from hypercorn.trio import serve

    _guard()
    config = _config_of(path, limits, tell)
    async with trio.open_nursery() as nursery:
        serving: Any = serve  # its types want the scopes of hypercorn's own definition of ASGI

        async def serve_until_stopping(*, task_status: trio.TaskStatus[Any]) -> None:
            await serving(app, config, shutdown_trigger=stopping.wait, mode="asgi", task_status=task_status)

        await nursery.start(serve_until_stopping)
        task_status.started()
        await trio.sleep_forever()
