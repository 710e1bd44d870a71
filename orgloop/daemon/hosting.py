"""
What the daemon serves: a runtime on the home, its modules, and the faces in front of them.

    serve_home            opens the runtime, restores what was loaded, loads what is given, opens the door; then ready
    └── orgloop
        ├── loggers       the log file of the home, which hears of everything
        ├── services
        ├── modules
        └── faces         one_for_one
            ├── http      the front door, on a port and on a socket in the home
            ├── spool     takes in what hooks have left while no daemon ran
            └── watcher   with ``watches``: reloads what changes

To stop: the door is closed first, then what is under way has a few seconds to end, then the tree is stopped, sources
first. What has not ended by then is in the log, and is delivered by the next run.
"""

from __future__ import annotations

import grp
import os
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import attrs
import trio

from orgloop.config.workspace import DEFAULT
from orgloop.daemon.home import Home
from orgloop.daemon.launch import Doorway, Launch
from orgloop.daemon.serving import Limits, Serve, Serving
from orgloop.daemon.taking import Taker
from orgloop.daemon.token import ensure_token
from orgloop.errors import ConfigError, Fault, HomeError, ModuleError, OrgLoopError
from orgloop.http.app import Control, make_app
from orgloop.http.front import FrontSpec, MakeApp, serve_front
from orgloop.http.limits import Limits as DoorLimits
from orgloop.http.sockets import Address, listen_tcp
from orgloop.http.walls import Terms
from orgloop.loggers import File, FileConfig
from orgloop.runtime.runtime import Runtime, open_runtime
from orgloop.runtime.watch import Watched, watch
from orgloop.sdk import DEBUG, INFO
from orgloop_supervisors import Backoff, ChildSpec, Shutdown, Strategy, SupervisorError, SupervisorSpec

DOOR_S = 3.0
"""How long requests under way may take once the daemon stops; of the 10 s that it has in all."""

DRAIN_S = 3.0
"""How long deliveries under way may take after that."""

STOP_S = Limits().stop_s
"""How long a stop may take that was asked for over HTTP; one that a signal asks for has its deadline from outside."""

LONGEST_SOCKET = 100
"""Bytes of a path that the kernel takes for a unix socket, on every system that we know."""

MAX_BODY_BYTES = 25 * 1024 * 1024
"""No source may ask for longer bodies than these: as long as GitHub's can be."""

_BACKOFF = Backoff(initial=0.05, maximum=10.0, jitter=0.2)


Compose = Callable[[Runtime, Home, Control], MakeApp]
"""Makes what stands behind the door."""


async def serve_home(
    home: Home,
    *,
    projects: Sequence[Path] = (),
    workspace: str = DEFAULT,
    watches: bool = False,
    doorway: Doorway | None = None,
    compose: Compose | None = None,
    log_level: int = INFO,
    environ: Mapping[str, str] = os.environ,
    when_ready: Callable[[Runtime, Serving], None] | None = None,
    task_status: trio.TaskStatus[Serving] = trio.TASK_STATUS_IGNORED,
) -> None:
    """
    Run a daemon on a home until it is asked to stop, or cancelled; to be wrapped for :func:`run_daemon`.

    A project of ``projects`` that cannot be loaded ends it, with :class:`ConfigError` for every fault or
    :class:`ModuleError`; one that was loaded when the last run ended is told of, and tried again at the next start.
    """
    doorway = doorway or Doorway()
    await _refuse_if_taken(doorway)
    with trio.CancelScope() as whole:
        async with _runtime_on(home, log_level=log_level) as runtime:
            hosted = _Hosted(runtime, home, environ, whole)
            await hosted.load(projects, workspace=workspace)
            addresses = await hosted.open_faces(doorway, compose or app_of, watches=watches)
            serving = hosted.serving(addresses)
            task_status.started(serving)
            if when_ready is not None:
                when_ready(runtime, serving)
            await hosted.stopping.wait()
            await runtime.root.terminate_child("faces")
            await runtime.drain(timeout_s=DRAIN_S)
    if hosted.forgets:
        home.remove(home.modules)


@asynccontextmanager
async def _runtime_on(home: Home, *, log_level: int) -> AsyncGenerator[Runtime]:
    """A runtime whose log is that of the home; a log that cannot be written is the operator's to put right."""
    loggers = {"orgloop": File(FileConfig(path=str(home.log)))}
    async with AsyncExitStack() as stack:
        opened = open_runtime(home=home.path, loggers=loggers, log_level=log_level)
        try:
            runtime = await stack.enter_async_context(opened)
        except SupervisorError as exc:
            raise _came_of(exc) from exc
        yield runtime


def serve_launch(launch: Launch, *, when_ready: Callable[[Runtime, Serving], None] | None = None) -> Serve:
    """What :func:`run_daemon` is to run for a launch; ``when_ready`` hears of it when it is ready."""
    return partial(
        serve_home,
        projects=launch.projects,
        workspace=launch.workspace,
        watches=launch.watches,
        doorway=launch.doorway,
        log_level=DEBUG if launch.is_verbose else INFO,
        when_ready=when_ready,
    )


def app_of(runtime: Runtime, home: Home, control: Control) -> MakeApp:
    """The application of the control API."""
    return make_app(runtime, control=control, log_file=home.log)


@attrs.define(eq=False)
class _Hosted:
    """A runtime, and what the daemon does with it."""

    runtime: Runtime
    home: Home
    environ: Mapping[str, str]
    whole: trio.CancelScope
    """Around all of it."""
    stopping: trio.Event = attrs.field(factory=trio.Event)
    forgets: bool = False
    _addresses: tuple[Address, ...] = ()
    """Where the door is."""

    def serving(self, addresses: Sequence[Address]) -> Serving:
        """What is reported when it is ready."""
        return Serving(
            port=_port_of(addresses),
            stop=self.stopping.set,
            reload=self.reload,
            is_progressing=self.runtime.is_progressing,
            about=lambda: {"modules": len(self.runtime.modules())},
        )

    # -- modules -------------------------------------------------------------------------------------------------------

    async def load(self, paths: Sequence[Path], *, workspace: str) -> None:
        """Load what was loaded before, and what is given; no module gets an event before all of them are there."""
        runtime = self.runtime
        given = [await runtime.read_project(path, workspace=workspace, environ=self.environ) for path in paths]
        async with runtime.restoring():
            # First, because what is loaded is written down, and what was written down before is lost by that.
            await runtime.restore(but={one.file for project in given for one in (project, *project.modules)})
            for project in given:
                if project.name in {module.name for module in runtime.modules()}:
                    await runtime.reload_module(project.name, project)
                else:
                    await runtime.load_module(project)

    async def reload(self) -> None:
        """Read every project again; one that cannot be read keeps what it has, and the others are reloaded."""
        faults: list[Fault] = []
        lines: list[str] = []
        for name in [module.name for module in self.runtime.modules()]:
            try:
                if self.runtime.project_of(name) is not None:
                    await self.runtime.reload_module(name, environ=self.environ)
            except ModuleError as exc:
                if name in {module.name for module in self.runtime.modules()}:
                    lines.append(f"{name}: {exc}")
            except ConfigError as exc:
                faults += exc.faults
                lines.append(f"{name}: {exc}")
        if lines:
            raise ConfigError("\n".join(lines), faults)

    def shut_down(self, forgets: bool) -> None:
        """As a signal would, in the same time; but it may also be forgotten what was loaded."""
        # Not by a signal to ourselves: that of whoever asked us would then be the second, which ends us untidily.
        self.forgets = forgets
        self.whole.deadline = trio.current_time() + STOP_S
        self.stopping.set()

    # -- faces ---------------------------------------------------------------------------------------------------------

    async def open_faces(self, doorway: Doorway, compose: Compose, *, watches: bool) -> tuple[Address, ...]:
        """Start the faces under the runtime's own supervisor; where the door is."""
        make_app = compose(self.runtime, self.home, Control(shutdown=self.shut_down, reload=self.reload))
        spec = self._front_spec(doorway)
        faces: list[ChildSpec[Any]] = [
            ChildSpec(
                id="http",
                run=partial(self._serve_door, make_app, spec),
                notify=True,
                backoff=_BACKOFF,
                shutdown=Shutdown(grace=DOOR_S + 3.0),
            )
        ]
        taker = Taker(self.home, self.runtime.receive, self.runtime.tell)
        faces.append(ChildSpec(id="spool", run=taker.run, backoff=_BACKOFF))
        if watches:
            watched = Watched(files=self._files, reload=self._reload_one, tell=self.runtime.tell)
            faces.append(ChildSpec(id="watcher", run=watch, args=(watched,), notify=True, backoff=_BACKOFF))
        group = SupervisorSpec(name="faces", strategy=Strategy.ONE_FOR_ONE, children=faces)
        try:
            await self.runtime.root.start_child(group.as_child())
        except SupervisorError as exc:
            raise _came_of(exc) from exc
        return self._addresses

    def _front_spec(self, doorway: Doorway) -> FrontSpec:
        path = self.home.path / "control.sock"
        return FrontSpec(
            token=ensure_token(self.home).encode(),
            host=doorway.host,
            port=doorway.port,
            is_public=doorway.is_public,
            hosts=doorway.hosts,
            socket=path if len(os.fsencode(path)) <= LONGEST_SOCKET else None,
            group_id=_group_id(self.home),
            limits=DoorLimits(stop_s=DOOR_S),
            terms_of=self._terms_of,
        )

    def _terms_of(self, source: str, module: str | None) -> Terms:
        takes = self.runtime.takes(source, module=module)
        return Terms(body_bytes=min(takes.body_bytes, MAX_BODY_BYTES), media_types=takes.media_types)

    async def _serve_door(
        self, make_app: MakeApp, spec: FrontSpec, *, task_status: trio.TaskStatus[tuple[Address, ...]]
    ) -> None:
        if self._addresses:  # opened again, it is where it was
            spec = attrs.evolve(spec, port=_port_of(self._addresses) or spec.port)
        serve = partial(serve_front, self.runtime, make_app, spec, tell=self.runtime.tell)
        async with trio.open_nursery() as nursery:
            self._addresses = await nursery.start(serve)
            task_status.started(self._addresses)

    def _files(self) -> Mapping[str, Sequence[Path]]:
        projects = {module.name: self.runtime.project_of(module.name) for module in self.runtime.modules()}
        return {name: project.files for name, project in projects.items() if project is not None}

    async def _reload_one(self, name: str) -> None:
        await self.runtime.reload_module(name, environ=self.environ)


def _port_of(addresses: Sequence[Address]) -> int | None:
    return next((address.port for address in addresses if address.port), None)


async def _refuse_if_taken(doorway: Doorway) -> None:
    """Before anything is begun: ConfigError if nobody could listen there."""
    if doorway.port:
        for listener in await listen_tcp(doorway.host, doorway.port, is_public=doorway.is_public):
            await listener.aclose()


def _group_id(home: Home) -> int | None:
    if home.group is None:
        return None
    try:
        return grp.getgrnam(home.group).gr_gid
    except KeyError as exc:
        raise HomeError(f"there is no group {home.group!r} on this host; see: getent group") from exc


def _came_of(exc: BaseException) -> BaseException:
    """The fault of the operator that a supervisor has met while starting, if it was one."""
    cause: BaseException | None = exc
    while cause is not None:
        if isinstance(cause, OrgLoopError):
            return cause
        cause = cause.exceptions[0] if isinstance(cause, BaseExceptionGroup) else cause.__cause__
    return exc
