"""
Accepting: a task for each connection, in a nursery that outlives the accepting, so that what is under way can end.

    outer ─┬─ accept_from, one per listener        cancelled first
           └─ the connections                      shielded, until they have ended or their time is over
"""

from __future__ import annotations

import errno
from collections.abc import Awaitable, Callable

import trio

from orgloop.http.connection import Connection, Door, end_the_late
from orgloop.http.sockets import peer_of
from orgloop.http.tellers import Tell

PAUSE_S = 0.1
"""How long accepting pauses when the system has run out of something."""

_SCARCE = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS})


async def serve_connections(listeners: list[trio.SocketListener], door: Door, tell: Tell) -> None:
    """
    Accept and serve until cancelled.

    Then, if the door is closing, what is under way may end in its own time, but not for ever; and at once, if this is
    a crash.
    """

    async def serve(stream: trio.SocketStream) -> None:
        async with stream:
            try:
                await Connection(stream, peer_of(stream), door).serve()
            except OSError:
                return  # gone before it began
            except Exception as exc:
                tell("system.error", error=f"front door: a connection ended in {exc!r}")

    closing = trio.Event()
    async with trio.open_nursery() as outer:
        connections: trio.Nursery = await outer.start(_host_connections, door, closing)
        try:
            async with trio.open_nursery() as nursery:
                for listener in listeners:
                    # A copy for this life, which closes it; the socket itself is there for the next one.
                    copy = trio.SocketListener(listener.socket.dup())
                    nursery.start_soon(accept_from, copy, serve, connections, tell)
        finally:
            closing.set()
            for guest in list(door.seats.waiting):
                guest.leave("the front door is closing")
            most_s = door.limits.stop_s if door.stopping.is_set() else 0
            connections.cancel_scope.deadline = trio.current_time() + most_s


async def accept_from(
    listener: trio.abc.Listener[trio.SocketStream],
    serve: Callable[[trio.SocketStream], Awaitable[None]],
    connections: trio.Nursery,
    tell: Tell,
) -> None:
    """Start a task for each connection; without descriptors or memory, pause instead of trying at full speed."""
    async with listener:
        while True:
            try:
                connections.start_soon(serve, await listener.accept())
            except OSError as exc:
                if exc.errno not in _SCARCE:
                    raise
                tell("system.error", error=f"front door: cannot accept: {exc.strerror}; raise the limit of open files")
                await trio.sleep(PAUSE_S)


async def _host_connections(door: Door, closing: trio.Event, *, task_status: trio.TaskStatus[trio.Nursery]) -> None:
    """A nursery that outlives the cancellation of the accepting, until its own deadline."""
    async with trio.open_nursery() as watch:
        watch.cancel_scope.shield = True
        watch.start_soon(end_the_late, door.seats)
        async with trio.open_nursery() as nursery:
            task_status.started(nursery)
            await closing.wait()
        watch.cancel_scope.cancel("the last connection has ended")
