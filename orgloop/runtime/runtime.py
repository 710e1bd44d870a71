"""
The composition root: builds the parts, hands each what it uses, and hosts modules.

    orgloop                       rest_for_one
    ├── loggers                   one_for_one: those that hear of everything, from the first moment to the last
    ├── services                  rest_for_one: settler, scheduler, undertaker, inbox, router, retention, audit
    └── modules                   one_for_one, never gives up: a module can take down nobody but itself
        └── <module>              see module.py

State that must survive a crash of any of these (the bus, the lanes, the parking) is made here and outlives them.
"""

from __future__ import annotations

import math
import time
from collections.abc import AsyncGenerator, Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import trio

from orgloop.bus import MemoryBus
from orgloop.config.module import ModuleConfig, read_module
from orgloop.config.plan import Plan
from orgloop.config.project import Project
from orgloop.delivery.dead_letters import Damaged, DeadLetter, DeadLetters, Which
from orgloop.delivery.lane import Lane
from orgloop.delivery.settler import Settler
from orgloop.errors import Closed, ModuleError, UnknownSource
from orgloop.event import Event
from orgloop.runtime.admission import event_of
from orgloop.runtime.asking import Examined, Explained, explained
from orgloop.runtime.audit import AuditPage, AuditQuery
from orgloop.runtime.checkpoints import checkpoint_in
from orgloop.runtime.containment import repr_of
from orgloop.runtime.crashes import counted
from orgloop.runtime.history import Trace, trace_of
from orgloop.runtime.holds import Held
from orgloop.runtime.inbox import Drained, Session
from orgloop.runtime.kept import open_kept
from orgloop.runtime.loops import Loops
from orgloop.runtime.module import Objects, Origin
from orgloop.runtime.modules import DRAIN_S, Modules
from orgloop.runtime.notices import Notices
from orgloop.runtime.progress import Progress
from orgloop.runtime.projects import Projects
from orgloop.runtime.pushed import Desk
from orgloop.runtime.replays import Replays
from orgloop.runtime.retention import Retention, ages_in
from orgloop.runtime.router import Router
from orgloop.runtime.scheduler import Scheduler
from orgloop.runtime.services import Graveyard, MemoryGraveyard, Services, at_once
from orgloop.runtime.statistics import ModuleStatus, Statistics
from orgloop.sdk import INFO, EventBus, Logger, Notice, Query, Recorded, Request, Response, Takes
from orgloop_supervisors import ChildSpec, Shutdown, Strategy, Supervisor, SupervisorSpec, open_supervisor
from orgloop_supervisors import Event as TreeEvent

Config = ModuleConfig | Mapping[str, Any] | Project | Path | str
"""A module: as values, as a mapping, or as a project on disk."""

LOGGER_S = 10.0
"""How long a logger may take at the end for what still waits for it, and to close."""

LOOK_AGAIN_S = 0.05
"""How often a drain looks for itself."""


@asynccontextmanager
async def open_runtime(
    *,
    home: Path | str | None = None,
    bus: EventBus | None = None,
    loggers: Mapping[str, Logger] | None = None,
    log_level: int = INFO,
    now_s: Callable[[], float] = time.time,
) -> AsyncGenerator[Runtime]:
    """
    Run a runtime around a block; leaving the block stops sources first, then actors, and commits what was settled.

    With a ``home`` events are durable and dead letters are files below it; without, both are in memory. A ``bus`` of
    one's own takes the place of either. ``loggers`` hear of all modules what is at least as grave as ``log_level``.
    Modules are loaded into it afterwards; what an earlier run has left for them waits until they are.
    """
    async with AsyncExitStack() as stack:
        directory = None if home is None else Path(home)
        chosen: EventBus
        if bus is not None or directory is None:
            chosen = bus or MemoryBus()
        else:
            chosen = await stack.enter_async_context(open_kept(directory, now_s=now_s))
        notices = Notices(now_s)
        settler = Settler(lambda settlements, notes: chosen.settle(settlements, notes=notes))
        in_thread = at_once if directory is None else trio.to_thread.run_sync
        graveyard: Graveyard = MemoryGraveyard()
        if directory is not None:
            graveyard = letters = DeadLetters(directory / "data" / "dead-letters")
            await in_thread(letters.sweep)
        runs = await stack.enter_async_context(counted(chosen, settler))
        services = Services(chosen, settler, notices, graveyard, now_s, in_thread, directory, runs=runs)
        services.ages = ages_in(services)
        runtime = Runtime(services, loggers=loggers or {}, log_level=log_level)
        runtime.root = await stack.enter_async_context(open_supervisor(runtime.tree_spec()))
        try:
            yield runtime
        finally:
            runtime.is_open = False


class Runtime:
    """Modules at work, and what can be asked of them; :func:`open_runtime` makes one."""

    def __init__(
        self, services: Services, *, loggers: Mapping[str, Logger] | None = None, log_level: int = INFO
    ) -> None:
        self._services = services
        self._loggers = dict(loggers or {})
        self._log_level = log_level
        self._scheduler = Scheduler()
        self._loops = Loops(services)
        self._router = Router(services.bus, services.settler, services.notices, self._loops.put)
        self._modules = Modules(services, self._router, self._scheduler)
        self._replays = Replays(services, self._modules)
        self._projects = Projects(self._modules, services.home, services.notices.tell)
        self._retention = Retention(services, self._router)
        self._progress = Progress(services, self._router, self._scheduler)
        self.is_open = True

    # -- the tree ------------------------------------------------------------------------------------------------------

    def tree_spec(self) -> SupervisorSpec:
        """The recipe of the whole tree."""
        services = SupervisorSpec(
            name="services",
            strategy=Strategy.REST_FOR_ONE,
            children=[
                ChildSpec(id="settler", run=self._services.settler.run),
                ChildSpec(id="scheduler", run=self._scheduler.run, notify=True),
                ChildSpec(id="undertaker", run=self._loops.bury_all),
                ChildSpec(id="inbox", run=self._services.inbox.run),
                ChildSpec(id="router", run=self._router.run, notify=True),
                ChildSpec(id="retention", run=self._retention.run),
                ChildSpec(id="audit", run=self._services.audit.run),
            ],
        )
        return SupervisorSpec(
            name="orgloop",
            strategy=Strategy.REST_FOR_ONE,
            children=[*self._loggers_child(), services.as_child(), self._modules.child],
            on_event=self._on_event,
        )

    def _loggers_child(self) -> list[ChildSpec[Supervisor]]:
        """None without loggers, so that a tree shows what there is."""
        serve = partial(self._services.notices.serve_logger, level=self._log_level)
        children: list[ChildSpec[None]] = [
            ChildSpec(id=name, run=partial(serve, name, logger), notify=True, shutdown=Shutdown(grace=LOGGER_S))
            for name, logger in self._loggers.items()
        ]
        return [SupervisorSpec(name="loggers", children=children).as_child()] if children else []

    @property
    def root(self) -> Supervisor:
        """The supervisor of everything; more children may be started under it, such as faces."""
        return self._modules.root

    @root.setter
    def root(self, supervisor: Supervisor) -> None:
        self._modules.root = supervisor

    def _on_event(self, event: TreeEvent) -> None:
        """Note in the registry, and tell, what the tree says."""
        phases = {"crashed": "system.error", "gave_up": "module.error", "stuck": "system.error"}
        if event.kind in phases:
            error = f"{'/'.join(event.path)}: {event.stack or '' if event.error is None else _words(event.error)}"
            name = event.path[2] if len(event.path) > 2 and event.path[1] == "modules" else None
            if name in self._modules.loaded:
                self._modules.loaded[name].last_error = error
            self._services.notices.tell(phases[event.kind], module=name, error=error)

    # -- modules -------------------------------------------------------------------------------------------------------

    async def load_module(
        self,
        config: Config,
        *,
        name: str | None = None,
        sources: Mapping[str, Any] | None = None,
        actors: Mapping[str, Any] | None = None,
        transforms: Mapping[str, Any] | None = None,
        loggers: Mapping[str, Any] | None = None,
        base: Path | str = ".",
        workspace: str = "default",
        environ: Mapping[str, str] | None = None,
    ) -> str:
        """
        Load a module beside the others, with the objects that are given for its ids; its name.

        ``config`` is a mapping, whose relative paths begin at ``base``; or a path to a project, which is read with
        the variables of ``environ`` (those of this process, unless given) and with its overlay for ``workspace``.
        Raises :class:`ConfigError` with every fault, :class:`ModuleError` if there is a module of that name or one of
        its children does not start; then nothing has changed.
        """
        self._refuse_if_closed()
        objects = Objects(
            sources=sources or {}, actors=actors or {}, transforms=transforms or {}, loggers=loggers or {}
        )
        if isinstance(config, str | Path):
            config = await self._projects.read(Path(config), workspace=workspace, environ=environ)
        if isinstance(config, Project):
            loaded = await self._projects.load(config, objects, name=name)
        else:
            loaded = await self._modules.load(_origin(config, name, objects, Path(base)))
        await self._projects.remember()
        return loaded.module.name

    async def reload_module(
        self,
        name: str,
        config: Config | None = None,
        *,
        sources: Mapping[str, Any] | None = None,
        actors: Mapping[str, Any] | None = None,
        transforms: Mapping[str, Any] | None = None,
        loggers: Mapping[str, Any] | None = None,
        base: Path | str | None = None,
        environ: Mapping[str, str] | None = None,
        drain_s: float = DRAIN_S,
    ) -> int:
        """
        Give a loaded module another configuration, or other objects; the number of its generation.

        What is left out is as it was, but a project is read again from its files. Sources and actors that are made of
        the same are left alone; what is under way in routes that change has ``drain_s`` to end, and what waits there
        goes on by the new ones. A module that has given up is started again. Raises :class:`ConfigError` or
        :class:`ModuleError`, and then it goes on as it was.
        """
        self._refuse_if_closed()
        loaded = self._modules.find(name)
        before = loaded.origin
        had = before.objects
        objects = Objects(
            sources=had.sources if sources is None else sources,
            actors=had.actors if actors is None else actors,
            transforms=had.transforms if transforms is None else transforms,
            loggers=had.loggers if loggers is None else loggers,
        )
        if config is None and before.project is not None:
            config = before.project.file
        if isinstance(config, str | Path):
            workspace = "default" if before.project is None else before.project.workspace
            config = await self._projects.read(Path(config), workspace=workspace, environ=environ)
        if isinstance(config, Project):
            loaded = await self._projects.reload(loaded, config, objects, drain_s=drain_s)
            await self._projects.remember()
            return loaded.generation
        directory = before.directory if base is None else Path(base)
        origin = _origin(before.config if config is None else config, name, objects, directory)
        return (await self._modules.reload(origin, drain_s=drain_s)).generation

    async def unload_module(self, name: str, *, drain_s: float = DRAIN_S) -> int:
        """
        Take a module out: sources first, then what is under way has ``drain_s`` to end.

        What has not ended waits for the next module of that name; how many obligations that are. The modules that a
        project names, and that were loaded with it, go with it.
        """
        left = await self._projects.unload(name, drain_s=drain_s)
        await self._projects.remember()
        return left

    async def restore(self, *, but: Collection[Path] = ()) -> None:
        """
        Load again the projects that were loaded when the last run on this home ended, but for those in ``but``.

        What cannot be loaded is told as ``module.error``, and does not keep the others from it.
        """
        async with self._modules.restoring():
            await self._projects.restore(but=but)

    def restoring(self) -> AbstractAsyncContextManager[None]:
        """Load several modules that were loaded together before: none gets its events until all are there."""
        return self._modules.restoring()

    def modules(self) -> tuple[ModuleStatus, ...]:
        """What is loaded, in order."""
        return tuple(self._modules.status_of(loaded) for loaded in self._modules.loaded.values())

    def config_of(self, name: str) -> ModuleConfig:
        """The configuration that a module runs with."""
        return self._modules.find(name).origin.config

    def project_of(self, name: str) -> Project | None:
        """The files that a module was read from; None if it was not."""
        return self._modules.find(name).origin.project

    async def read_project(
        self, path: Path | str, *, workspace: str = "default", environ: Mapping[str, str] | None = None
    ) -> Project:
        """A project as it would be loaded now; :class:`ConfigError` with every fault of every file."""
        return await self._projects.read(Path(path), workspace=workspace, environ=environ)

    async def examine(
        self, path: Path | str, *, workspace: str = "default", environ: Mapping[str, str] | None = None
    ) -> Examined:
        """All there is to say of a project, every fault and warning; a variable that is not set is a warning."""
        return await self._projects.examine(Path(path), workspace=workspace, environ=environ)

    def plan(self, project: Project) -> Plan:
        """What loading, or reloading, a project would change of what runs."""
        return self._projects.plan(project)

    # -- events --------------------------------------------------------------------------------------------------------

    async def receive(self, source: str, request: Request, *, module: str | None = None) -> Response:
        """
        Hand a request to a source that is told; its answer, once the events are durable.

        ``module`` may be left out if only one has a source of that name. Raises :class:`UnknownSource`,
        :class:`Unavailable` if the source is not at work just now, and whatever the bus refuses with.
        """
        self._refuse_if_closed()
        return await self._desk(source, module).receive(request)

    def _desk(self, source: str, module: str | None) -> Desk:
        desks = {}
        for name, loaded in self._modules.loaded.items():
            member = loaded.module.members_of_sources().get(source) if module in (None, name) else None
            if member is not None and member.desk is not None:
                desks[name] = member.desk
        if len(desks) > 1:
            raise UnknownSource(f"modules {', '.join(desks)} have a source {source!r}: name one of them")
        if not desks:
            where = "" if module is None else f" in module {module!r}"
            raise UnknownSource(f"there is no source {source!r}{where} that takes requests")
        return next(iter(desks.values()))

    def takes(self, source: str, *, module: str | None = None) -> Takes:
        """What may come through the front door for a source that is told; the usual, if there is none of that name."""
        try:
            return self._desk(source, module).takes
        except UnknownSource:
            return Takes()

    def poll_now(self, source: str, *, module: str) -> bool:
        """Have a source look for itself at once; whether there is one that polls."""
        return self._scheduler.poll_now(f"{module}/{source}")

    def checkpoint(self, source: str, *, module: str) -> str | None:
        """Where a source goes on from, as the bus has noted it; None if it has not."""
        return checkpoint_in(self._services.bus.note, module, source)

    async def inject(
        self, events: Event | Mapping[str, Any] | Sequence[Event | Mapping[str, Any]], *, module: str | None = None
    ) -> list[int]:
        """
        Admit events as if a source of a module had emitted them; their sequence numbers, once they are durable.

        ``module`` may be left out if only one is loaded. A mapping has the fields of :class:`Event`, of which
        ``source`` and ``type`` are needed. Raises :class:`EventError`, naming every fault, and then admits none.
        """
        self._refuse_if_closed()
        name = self._only_module() if module is None else self._modules.find(module).module.name
        batch = [event_of(one, name) for one in ([events] if isinstance(events, Event | Mapping) else events)]
        return await self._services.publish(batch)

    def _only_module(self) -> str:
        names = list(self._modules.loaded)
        if len(names) != 1:
            known = ", ".join(map(repr, names)) or "none"
            raise ModuleError(f"say which module the event is for; loaded are: {known}")
        return names[0]

    async def drain(self, *, timeout_s: float = math.inf) -> bool:
        """Wait until every admitted obligation of a loaded module has ended; whether that came in time."""
        with trio.move_on_after(timeout_s):
            while not self._is_drained():
                with trio.move_on_after(LOOK_AGAIN_S):  # what has no route, or no module, ends without a word
                    await self._services.settler.wait_for_ends()
            self._services.settler.hand_over()  # it may not have had its turn since the last of them ended
            await self._services.bus.flush()
            return True
        return False

    async def wait_until_fewer(self, obligations: int) -> None:
        """Wait while so many obligations, or more, are open: for a publisher that can be told to slow down."""
        while self._services.settler.open >= obligations:
            await self._services.settler.wait_for_ends()

    def _is_drained(self) -> bool:
        services = self._services
        if services.settler.open or self._router.received < services.published:
            return False
        return not services.bus.status().get("left", 0)

    # -- dead letters --------------------------------------------------------------------------------------------------

    def dead_letters(
        self, which: Which | None = None, *, limit: int = 100, after: str | None = None
    ) -> tuple[DeadLetter | Damaged, ...]:
        """
        What was given up, oldest first, beginning after the id ``after``.

        Reads files, so that whoever must not wait calls it in a thread.
        """
        return self._services.graveyard.list(which, limit=limit, after=after)

    async def count_dead_letters(self) -> int:
        """How many there are, damaged ones included."""
        return int(await self._services.in_thread(self._services.graveyard.count))

    def dead_letter(self, id_: str) -> DeadLetter | Damaged | None:
        """One of them; None if there is none of this id. Reads a file."""
        return self._services.graveyard.get(id_)

    async def replay(self, which: str | Which | None = None) -> int:
        """
        Have dead letters delivered again: one by its id, or all that are meant; how many.

        Each goes to the one route that gave it up, as a new obligation with all its attempts; the dead letter goes when
        that is durable. What is meant, but whose route is not there, stays. Raises :class:`ModuleError` for one that
        is named by its id, and whose route is not there.
        """
        self._refuse_if_closed()
        return await self._replays.replay(which)

    async def discard(self, id_: str) -> bool:
        """Forget a dead letter for good; whether it was there."""
        return bool(await self._services.in_thread(self._services.graveyard.discard, id_))

    # -- audit ---------------------------------------------------------------------------------------------------------

    async def audit(self, query: AuditQuery | None = None, *, limit: int = 100, before: str | None = None) -> AuditPage:
        """
        What is on record of deliveries, newest first, beginning behind the record whose id is ``before``.

        There may be fewer than ``limit`` although there are more, if ``next`` says so. ``OSError`` if the files cannot
        be read.
        """
        return await self._services.audit.find(query or AuditQuery(), limit=limit, before=before)

    # -- holds ---------------------------------------------------------------------------------------------------------

    async def holds(
        self, *, module: str | None = None, route: str | None = None, limit: int = 100, after: str | None = None
    ) -> tuple[Held, ...]:
        """
        Deliveries that wait for a person, oldest first, beginning after the id ``after``.

        There may be fewer than ``limit``, so that they fit into memory: what comes behind the last one is to be asked
        for with its id. Raises :class:`OrgLoopError` if they cannot be read just now.
        """
        return await self._services.holds.list(module=module, route=route, limit=limit, after=after)

    async def hold(self, id_: str) -> Held | None:
        """One of them; None if there is none of this id."""
        return await self._services.holds.get(id_)

    def count_holds(self) -> int:
        """How many there are."""
        return self._services.holds.count()

    async def approve(self, id_: str) -> bool:
        """Have a delivery go on that is held; whether it was. The approval outlives a crash."""
        self._refuse_if_closed()
        return await self._services.holds.approve(id_)

    async def edit(self, id_: str, event: Event | Mapping[str, Any]) -> int | None:
        """
        Have another event delivered by the route of one that is held, instead of that; its sequence, None if it is not.

        ``event`` is as for :meth:`inject`, and what a mapping leaves out is as it was. It is looked at like any other,
        so what is still flagged in it is held again.
        """
        self._refuse_if_closed()
        held = await self._services.holds.get(id_)
        if held is None:
            return None
        if not isinstance(event, Event):
            was = {name: getattr(held.event, name) for name in ("source", "type", "provenance", "payload")}
            event = event_of({**was, **event}, held.module)
        return await self._services.holds.edit(id_, event)

    async def reject(self, id_: str, reason: str) -> bool:
        """Give up a delivery that is held: it becomes a dead letter, with the reason; whether it was held."""
        self._refuse_if_closed()
        return await self._services.holds.reject(id_, reason)

    # -- inbox ---------------------------------------------------------------------------------------------------------

    async def inbox_drain(
        self, session_key: str, *, module: str | None = None, limit: int = 100, continuation: str | None = None
    ) -> Drained:
        """
        Give the first events that wait for a session; those of ``continuation`` are acknowledged before.

        What is given stays, and is given again, until its own continuation is passed back, here or to
        :meth:`inbox_ack`. Raises as :meth:`orgloop.runtime.inbox.Inbox.drain`.
        """
        self._refuse_if_closed()
        return await self._services.inbox.drain(session_key, module=module, limit=limit, continuation=continuation)

    async def inbox_ack(self, session_key: str, continuation: str, *, module: str | None = None) -> int:
        """
        Settle as delivered what a drain of a session, in the same module or in all, has given; how many that were.

        It is durable when this returns. Raises :class:`StaleContinuation` if it was not given so in this run.
        """
        self._refuse_if_closed()
        return await self._services.inbox.acknowledge(session_key, continuation, module=module)

    def inbox_status(self, session_key: str, *, module: str | None = None) -> int:
        """How many events wait for a session."""
        return self._services.inbox.pending(session_key, module=module)

    def inbox_list(self, *, module: str | None = None) -> tuple[Session, ...]:
        """The sessions for which something waits, by module and actor, in the order in which it began to."""
        return self._services.inbox.sessions(module=module)

    # -- looking -------------------------------------------------------------------------------------------------------

    def on(self, phase: str, callback: Callable[[Notice], object]) -> Callable[[], None]:
        """
        Call back with every notice of a phase, of a family of phases (``deliver.``), or with all (``*``).

        Gives what ends that.
        """
        return self._services.notices.subscribe(callback, phase)

    def tell(self, phase: str, **fields: Any) -> None:
        """Have all who listen hear what a face has to say; ``fields`` are those of :class:`orgloop.sdk.Notice`."""
        self._services.notices.tell(phase, **fields)

    def explain(self, event: Event | Mapping[str, Any], *, module: str | None = None) -> tuple[Explained, ...]:
        """
        Why each route that may hear of an event's module does, or does not, want the event; nothing is delivered.

        ``event`` and ``module`` are as for :meth:`inject`; an event that names its module needs none.
        """
        named = event.module if isinstance(event, Event) else event.get("module")
        name = module or named or self._only_module()
        one = event_of(event, self._modules.find(name).module.name)
        wires = [wire for loaded in self._modules.loaded.values() for wire in loaded.module.wires.values()]
        return tuple(explained((wire.route for wire in wires if wire.route.origin[0] == name), one))

    async def history(
        self,
        *,
        module: str | None = None,
        source: str | None = None,
        route: str | None = None,
        since: str | None = None,
        until: str | None = None,
        limit: int = 100,
        before: int | None = None,
    ) -> list[Recorded]:
        """
        Events of the past, newest first, as far back as the bus remembers; the fields are those of
        :class:`orgloop.sdk.Query`.

        There may be fewer than ``limit``, so that they fit into memory: what comes behind the last one is to be asked
        for with its sequence as ``before``. If there is none, that was all. A bus that cannot be read just now raises
        :class:`OrgLoopError`, a limit beyond :data:`orgloop.sdk.bus.MAX_FOUND` ``ValueError``.
        """
        query = Query(module=module, source=source, route=route, since=since, until=until, limit=limit, before=before)
        return await self._services.bus.history(query)

    async def trace(self, id: str) -> Trace | None:
        """
        All that followed from one event, by the id of the trace or that of any event in it; None if nothing is known.
        """
        return await trace_of(self._services.bus, id, self._lanes)

    def _lanes(self) -> list[Lane]:
        return [wire.lane for loaded in self._modules.loaded.values() for wire in loaded.module.wires.values()]

    def is_progressing(self) -> bool:
        """Whether router, settler and scheduler have got on since this was last asked, or have nothing to do."""
        return self._progress.look()

    def tree(self) -> str:
        """The supervision tree as it is."""
        return self.root.tree()

    def statistics(self) -> Statistics:
        """A snapshot in which ``admitted = delivered + dropped + dead + expired + in_flight`` holds for every route."""
        return Statistics(
            modules=self.modules(),
            parked=self._router.parking.counts(),
            no_route=dict(self._router.unrouted),
            loops=dict(self._router.looped),
            notices=self._services.notices.statistics(),
            bus=dict(self._services.bus.status()),
            scheduler=self._scheduler.status(),
        )

    def _refuse_if_closed(self) -> None:
        if not self.is_open:
            raise Closed("the runtime is closed")


def _origin(config: ModuleConfig | Mapping[str, Any], name: str | None, objects: Objects, directory: Path) -> Origin:
    where = name or "module"
    values = config if isinstance(config, ModuleConfig) else read_module(config, where=where)
    name = name or values.metadata.name or "default"
    return Origin(name=name, config=values, objects=objects, where=where, directory=directory)


def _words(error: BaseException) -> str:
    """What has gone wrong, and what that came of in the first place."""
    first: BaseException | None = error
    came_of = error
    while first is not None:
        came_of, first = first, first.exceptions[0] if isinstance(first, BaseExceptionGroup) else first.__cause__
    said, because = (repr_of(one) or type(one).__name__ for one in (error, came_of))
    return said if came_of is error else f"{said}, because of {because}"
