"""
The front door: listeners, the connections on them, and the application behind them, under one supervisor.

    front           one_for_one
    ├── app         hypercorn with the walled application, on a private unix socket
    └── listener    accepts, serves events itself, tunnels the rest; stopped first, so that what is under way can end
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import attrs
import trio

from orgloop.errors import ConfigError
from orgloop.http.accepting import serve_connections
from orgloop.http.asgi import App, Walled
from orgloop.http.connection import Door
from orgloop.http.guarded import serve_guarded
from orgloop.http.ingest import Ingest, Intake
from orgloop.http.limits import Limits
from orgloop.http.seats import Seats
from orgloop.http.sockets import Address, listen_tcp, listen_unix
from orgloop.http.tellers import Refusals, Tell
from orgloop.http.tunnel import UnixTunnel
from orgloop.http.walls import TermsOf, Walls, usual_terms, walls_of
from orgloop_supervisors import Backoff, ChildSpec, Shutdown, Strategy, SupervisorSpec, open_supervisor
from orgloop_supervisors import Event as TreeEvent

PORT = 4800
LONGEST_PARENT = 80
"""Bytes of a directory in which a unix socket may be: the kernel takes 107 for the whole path."""

_BACKOFF = Backoff(initial=0.05, maximum=10.0, jitter=0.2)


@attrs.frozen(kw_only=True)
class FrontSpec:
    """How the front door is set up."""

    token: bytes = attrs.field(repr=False)
    """What opens everything but webhooks and liveness; at least 32 bytes."""
    host: str | None = "127.0.0.1"
    """None: no TCP at all."""
    port: int = PORT
    is_public: bool = False
    """Whether ``host`` may be an address that others can reach."""
    socket: Path | None = None
    group_id: int | None = None
    """The group that may use the unix socket beside its owner."""
    hosts: frozenset[str] = frozenset()
    """Values of Host that are ours too, such as the name of a proxy in front."""
    origins: frozenset[str] = frozenset()
    terms_of: TermsOf = usual_terms
    limits: Limits = attrs.field(factory=Limits)
    directory: Path | None = None
    """Where the directory of the private socket is made; None, or if too long: where temporary files are."""


@attrs.frozen(kw_only=True)
class FrontStatistics:
    """The front door at one moment."""

    connections: int
    requests_waiting: int
    """For their body, or for the disk."""
    bytes_waiting: int
    refused: Mapping[int, int]
    """How often, by status, since the door opened."""


@attrs.frozen(kw_only=True)
class Behind:
    """What the application behind the door is told."""

    walls: Walls
    limits: Limits
    addresses: tuple[Address, ...]
    stopping: trio.Event
    """Set when the door closes; what streams for ever must end then."""
    statistics: Callable[[], FrontStatistics]


MakeApp = Callable[[Behind], App]


async def serve_front(
    intake: Intake,
    make_app: MakeApp,
    spec: FrontSpec,
    *,
    tell: Tell,
    task_status: trio.TaskStatus[tuple[Address, ...]] = trio.TASK_STATUS_IGNORED,
) -> None:
    """
    Serve until cancelled; then requests under way have ``limits.stop_s`` to end. Reports where it can be reached.

    Raises :class:`ConfigError` if it cannot listen.
    """
    async with _listeners(spec) as listeners, _private_directory(spec.directory) as directory:
        addresses = tuple(map(_address_of, listeners))
        door, behind = _assemble(intake, spec, addresses, directory / "app.sock", tell)
        app = Walled(
            app=make_app(behind), ingest=door.ingest, walls=door.walls, limits=door.limits, refusals=door.refusals
        )
        async with open_supervisor(_tree(app, directory / "app.sock", door, listeners, tell)):
            try:
                task_status.started(addresses)
                await trio.sleep_forever()
            finally:
                door.stopping.set()
                for listener in listeners:
                    _close(listener)


def _assemble(
    intake: Intake, spec: FrontSpec, addresses: tuple[Address, ...], path: Path, tell: Tell
) -> tuple[Door, Behind]:
    """What stands in front of the application, and what that is told of it."""
    limits = spec.limits
    walls = walls_of(
        {address.port for address in addresses if address.port},
        token=spec.token,
        hosts=spec.hosts,
        origins=spec.origins,
        unix=spec.socket is not None,
    )
    door = Door(
        ingest=Ingest(intake=intake, tell=tell, limits=limits, terms_of=spec.terms_of),
        walls=walls,
        tunnel=UnixTunnel(path, limits),
        limits=limits,
        refusals=Refusals(tell, limits.refusals_told_per_s),
        seats=Seats(limits),
        stopping=trio.Event(),
    )

    def statistics() -> FrontStatistics:
        return FrontStatistics(
            connections=len(door.seats.guests),
            requests_waiting=door.ingest.room.requests,
            bytes_waiting=door.ingest.room.bodies_bytes,
            refused=dict(door.refusals.by_status),
        )

    return door, Behind(walls=walls, limits=limits, addresses=addresses, stopping=door.stopping, statistics=statistics)


def _tree(app: Walled, path: Path, door: Door, listeners: list[trio.SocketListener], tell: Tell) -> SupervisorSpec:
    grace_s = door.limits.stop_s + 2.0

    async def serve_app(*, task_status: trio.TaskStatus[None]) -> None:
        await serve_guarded(app, path, limits=door.limits, tell=tell, stopping=door.stopping, task_status=task_status)

    def on_event(event: TreeEvent) -> None:
        if event.kind in {"crashed", "gave_up", "stuck"}:
            tell("system.error", error=f"{'/'.join(event.path)} {event.kind}: {event.error or event.stack!r}")

    return SupervisorSpec(
        name="front",
        strategy=Strategy.ONE_FOR_ONE,
        on_event=on_event,
        children=[
            ChildSpec(id="app", run=serve_app, notify=True, backoff=_BACKOFF, shutdown=Shutdown(grace=grace_s)),
            ChildSpec(
                id="listener",
                run=serve_connections,
                args=(listeners, door, tell),
                backoff=_BACKOFF,
                shutdown=Shutdown(grace=grace_s),
            ),
        ],
    )


@asynccontextmanager
async def _listeners(spec: FrontSpec) -> AsyncGenerator[list[trio.SocketListener]]:
    """The listening sockets; they outlive a restart of who accepts on them."""
    listeners: list[trio.SocketListener] = []
    try:
        if spec.host is not None:
            listeners += await listen_tcp(spec.host, spec.port, is_public=spec.is_public)
        if spec.socket is not None:
            listeners.append(listen_unix(spec.socket, group_id=spec.group_id))
        if not listeners:
            raise ConfigError("http: neither host nor socket is set, so nobody could reach the front door")
        yield listeners
    finally:
        for listener in listeners:
            _close(listener)


def _close(listener: trio.SocketListener) -> None:
    """Stop listening, and take the name of a unix socket away; a second time does nothing."""
    if listener.socket.fileno() < 0:
        return
    name = listener.socket.getsockname()
    listener.socket.close()
    if isinstance(name, str | bytes):
        Path(os.fsdecode(name)).unlink(missing_ok=True)


@asynccontextmanager
async def _private_directory(parent: Path | None) -> AsyncGenerator[Path]:
    if parent is not None and len(os.fsencode(parent)) > LONGEST_PARENT:
        parent = None
    path = Path(tempfile.mkdtemp(prefix="orgloop-", dir=parent))  # 0700, whatever the umask
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def _address_of(listener: trio.SocketListener) -> Address:
    name = listener.socket.getsockname()
    return Address(os.fsdecode(name)) if isinstance(name, str | bytes) else Address(name[0], name[1])
