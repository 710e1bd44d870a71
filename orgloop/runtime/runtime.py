"""
The composition root: builds the parts, hands each what it uses, and hosts modules.

    orgloop                       rest_for_one
    ├── services                  rest_for_one: settler, scheduler, router
    └── modules                   one_for_one, never gives up: a module can take down nobody but itself
        └── <module>              see module.py

State that must survive a crash of any of these (the bus, the lanes, the parking) is made here and outlives them.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
import msgspec
import trio

from orgloop.bus import FileBus, MemoryBus
from orgloop.config.module import ModuleConfig, read_module
from orgloop.delivery.dead_letters import Damaged, DeadLetter, DeadLetters, Which
from orgloop.delivery.settler import Settler
from orgloop.errors import Closed, EventError, ModuleError
from orgloop.event import Event, faults_of, timestamp_of
from orgloop.runtime.loops import Loops
from orgloop.runtime.module import Module, Objects, build_module
from orgloop.runtime.notices import Notices
from orgloop.runtime.router import Router
from orgloop.runtime.scheduler import Scheduler
from orgloop.runtime.services import Graveyard, MemoryGraveyard, Services, at_once
from orgloop.runtime.statistics import ModuleStatus, Statistics, counts_of
from orgloop.sdk import EventBus, Notice
from orgloop.wal import RealDisk, open_wal
from orgloop_supervisors import (
    Backoff,
    ChildSpec,
    ChildState,
    Shutdown,
    Strategy,
    Supervisor,
    SupervisorError,
    SupervisorSpec,
    open_supervisor,
)
from orgloop_supervisors import Event as TreeEvent

MODULE_BACKOFF = Backoff(initial=1.0, maximum=300.0, jitter=0.2, reset_after=600.0)
"""How a module that has given up is tried again."""

DRAIN_S = 10.0
"""How long an unload waits for what is under way, unless told otherwise."""


@attrs.define(eq=False)
class Loaded:
    """A module in the registry."""

    module: Module
    loaded_at: str
    state: str = "loading"
    spec: ChildSpec[Supervisor] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        """Its supervisor is a child of the modules'."""
        self.spec = self.module.tree.as_child(backoff=MODULE_BACKOFF)


@asynccontextmanager
async def open_runtime(
    *, home: Path | str | None = None, bus: EventBus | None = None, now_s: Callable[[], float] = time.time
) -> AsyncGenerator[Runtime]:
    """
    Run a runtime around a block; leaving the block stops sources first, then actors, and commits what was settled.

    With a ``home`` events are durable and dead letters are files below it; without, both are in memory. A ``bus`` of
    one's own takes the place of either. Modules are loaded into it afterwards; what an earlier run has left for them
    waits until they are.
    """
    async with AsyncExitStack() as stack:
        directory = None if home is None else Path(home)
        chosen = bus or await _bus_of(stack, directory)
        notices = Notices(now_s)
        settler = Settler(lambda settlements, notes: chosen.settle(settlements, notes=notes))
        graveyard: Graveyard = (
            MemoryGraveyard() if directory is None else DeadLetters(directory / "data" / "dead-letters")
        )
        in_thread = at_once if directory is None else trio.to_thread.run_sync
        services = Services(chosen, settler, notices, graveyard, now_s, in_thread)
        runtime = Runtime(services)
        supervisor = await stack.enter_async_context(open_supervisor(runtime.tree_spec()))
        runtime.supervisor = supervisor
        try:
            yield runtime
        finally:
            runtime.is_open = False


async def _bus_of(stack: AsyncExitStack, home: Path | None) -> EventBus:
    if home is None:
        return MemoryBus()
    return FileBus(await stack.enter_async_context(open_wal(RealDisk(home / "data" / "wal"))))


class Runtime:
    """Modules at work, and what can be asked of them; :func:`open_runtime` makes one."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._scheduler = Scheduler()
        self._loops = Loops(services)
        self._router = Router(services.bus, services.settler, services.notices.tell, self._loops.put)
        self._modules: dict[str, Loaded] = {}
        self._serial = trio.Lock()
        self._host: ChildSpec[Supervisor] = ChildSpec(
            id="modules", run=self._host_modules, notify=True, start_timeout=math.inf, shutdown=Shutdown(grace=math.inf)
        )
        self.supervisor: Supervisor
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
                ChildSpec(id="router", run=self._router.run, notify=True),
            ],
        )
        return SupervisorSpec(
            name="orgloop",
            strategy=Strategy.REST_FOR_ONE,
            children=[services.as_child(), self._host],
            on_event=self._on_event,
        )

    async def _host_modules(self, *, task_status: trio.TaskStatus[Supervisor]) -> None:
        """The modules' supervisor; begun again, it begins with all that are loaded."""
        children = [loaded.spec for loaded in self._modules.values()]
        await SupervisorSpec(name="modules", children=children, intensity=math.inf).run(task_status=task_status)

    def _on_event(self, event: TreeEvent) -> None:
        """Note in the registry, and tell, what the tree says."""
        phases = {"crashed": "system.error", "gave_up": "module.error", "stuck": "system.error"}
        if event.kind in phases:
            error = repr(event.error) if event.error is not None else event.stack or ""
            name = event.path[2] if len(event.path) > 2 and event.path[1] == "modules" else None
            self._services.notices.tell(phases[event.kind], module=name, error=f"{'/'.join(event.path)}: {error}")

    # -- modules -------------------------------------------------------------------------------------------------------

    async def load_module(
        self,
        config: ModuleConfig | Mapping[str, Any],
        *,
        name: str | None = None,
        sources: Mapping[str, Any] | None = None,
        actors: Mapping[str, Any] | None = None,
        transforms: Mapping[str, Any] | None = None,
        loggers: Mapping[str, Any] | None = None,
        base: Path | str = ".",
    ) -> str:
        """
        Load a module beside the others, with the objects that are given for its ids; its name.

        Raises :class:`ConfigError` with every fault, :class:`ModuleError` if there is a module of that name or one of
        its children does not start; then nothing has changed.
        """
        where = name or "module"
        values = config if isinstance(config, ModuleConfig) else read_module(config, where=where)
        name = name or values.metadata.name or "default"
        objects = Objects(
            sources=sources or {}, actors=actors or {}, transforms=transforms or {}, loggers=loggers or {}
        )
        async with self._serial:
            self._refuse_if_closed()
            if name in self._modules:
                raise ModuleError(f"module {name!r} is loaded already; unload it first, or give this one another name")
            module = build_module(
                name, values, objects, self._services, self._scheduler, where=where, bases=(Path(base),)
            )
            await self._start(Loaded(module, timestamp_of(self._services.now_s())))
        return name

    async def _start(self, loaded: Loaded) -> None:
        """Routes in, then the children; undone if they do not start."""
        name, router = loaded.module.name, self._router
        host = await self.supervisor.wait_running(self._host)
        self._services.notices.tell("module.loading", module=name)
        router.table = router.table.with_module(name, loaded.module.routes)
        self._modules[name] = loaded
        try:
            await host.start_child(loaded.spec)
        except SupervisorError as exc:
            del self._modules[name]
            router.table = router.table.without_module(name)
            raise ModuleError(f"module {name!r} did not start: {exc.__cause__ or exc}") from exc
        router.modules.add(name)
        loaded.state = "active"
        async for admitted in router.parking.fetch(name, self._services.bus.read):
            router.route(admitted)
        self._services.notices.tell("module.active", module=name, result=f'module "{name}" loaded')

    async def unload_module(self, name: str, *, drain_s: float = DRAIN_S) -> int:
        """
        Take a module out: sources first, then what is under way has ``drain_s`` to end.

        What has not ended waits for the next module of that name; how many obligations that are.
        """
        async with self._serial:
            loaded = self._find(name)
            loaded.state = "unloading"
            self._services.notices.tell("module.unloading", module=name)
            host = await self.supervisor.wait_running(self._host)
            if _is_up(host, name):
                with contextlib.suppress(SupervisorError):  # it has given up in this very moment
                    await (await host.wait_running(loaded.spec)).terminate_child("sources")
            with trio.move_on_after(drain_s):
                while loaded.module.in_flight:
                    await self._services.settler.wait_for_ends()
            self._router.modules.discard(name)  # from here on, its events wait
            await host.terminate_child(name)
            await host.delete_child(name)
            left = self._park(loaded.module)
            self._router.table = self._router.table.without_module(name)
            del self._modules[name]
            self._services.notices.tell("module.removed", module=name)
            return left

    def _park(self, module: Module) -> int:
        """Leave what a module is still owed in the log, for the next of its name."""
        owed: dict[int, set[tuple[str, str]]] = {}
        routes = {(lane.spec.module, lane.spec.route) for lane in module.routes.values()}
        for lane in module.routes.values():
            for sequence in lane.leave():
                owed.setdefault(sequence, set()).add((lane.spec.module, lane.spec.route))
        for sequence, left in owed.items():
            self._services.settler.set_aside(sequence, len(left))
            self._router.parking.park(module.name, sequence, ended=frozenset(routes - left), recovered=True)
        return sum(map(len, owed.values()))

    def _is_up(self, name: str) -> bool:
        hosts = [info.value for info in self.supervisor.which_children() if info.id == self._host.id]
        return any(isinstance(host, Supervisor) and _is_up(host, name) for host in hosts)

    def _find(self, name: str) -> Loaded:
        if name not in self._modules:
            known = ", ".join(map(repr, self._modules)) or "none"
            raise ModuleError(f"there is no module {name!r}; loaded are: {known}")
        return self._modules[name]

    def modules(self) -> tuple[ModuleStatus, ...]:
        """What is loaded, in order."""
        return tuple(self._status(loaded) for loaded in self._modules.values())

    def _status(self, loaded: Loaded) -> ModuleStatus:
        module = loaded.module
        return ModuleStatus(
            name=module.name,
            state=loaded.state if loaded.state != "active" or self._is_up(module.name) else "failed",
            loaded_at=loaded.loaded_at,
            sources={id_: standing.health for id_, standing in module.standings.items()},
            routes={lane.spec.route: counts_of(lane) for lane in module.routes.values()},
        )

    # -- events --------------------------------------------------------------------------------------------------------

    async def inject(
        self, events: Event | Mapping[str, Any] | Sequence[Event | Mapping[str, Any]], *, module: str | None = None
    ) -> list[int]:
        """
        Admit events as if a source of a module had emitted them; their sequence numbers, once they are durable.

        ``module`` may be left out if only one is loaded. A mapping has the fields of :class:`Event`, of which
        ``source`` and ``type`` are needed. Raises :class:`EventError`, naming every fault, and then admits none.
        """
        self._refuse_if_closed()
        name = module or self._only_module()
        batch = [_event_of(one, name) for one in ([events] if isinstance(events, Event | Mapping) else events)]
        return await self._services.publish(batch)

    def _only_module(self) -> str:
        if len(self._modules) != 1:
            known = ", ".join(map(repr, self._modules)) or "none"
            raise ModuleError(f"say which module the event is for; loaded are: {known}")
        return next(iter(self._modules))

    async def drain(self, *, timeout_s: float = math.inf) -> bool:
        """Wait until every admitted obligation of a loaded module has ended; whether that came in time."""
        with trio.move_on_after(timeout_s):
            while not self._is_drained():
                await self._services.settler.wait_for_ends()
            await self._services.bus.flush()
            return True
        return False

    async def wait_until_fewer(self, obligations: int) -> None:
        """Wait while so many obligations, or more, are open: for a publisher that can be told to slow down."""
        while self._services.settler.open >= obligations:
            await self._services.settler.wait_for_ends()

    def _is_drained(self) -> bool:
        return self._router.received >= self._services.published and not self._services.settler.open

    def dead_letters(self, which: Which | None = None, *, limit: int = 100) -> tuple[DeadLetter | Damaged, ...]:
        """What was given up, oldest first; reads files."""
        return self._services.graveyard.list(which, limit=limit)

    # -- looking -------------------------------------------------------------------------------------------------------

    def on(self, phase: str, callback: Callable[[Notice], object]) -> Callable[[], None]:
        """Call back with every notice of a phase, or of a family of phases (``deliver.``); gives what ends that."""

        def call(notice: Notice) -> None:
            if notice.phase == phase or (phase.endswith(".") and notice.phase.startswith(phase)):
                callback(notice)

        return self._services.notices.subscribe(call)

    def tree(self) -> str:
        """The supervision tree as it is."""
        return self.supervisor.tree()

    def statistics(self) -> Statistics:
        """A snapshot in which ``admitted = delivered + dropped + dead + in_flight`` holds for every route."""
        return Statistics(
            modules=self.modules(),
            parked=self._router.parking.counts(),
            no_route=dict(self._router.unrouted),
            loops=dict(self._router.looped),
            notices=self._services.notices.statistics(),
            bus=dict(self._services.bus.status()),
        )

    def _refuse_if_closed(self) -> None:
        if not self.is_open:
            raise Closed("the runtime is closed")


def _is_up(host: Supervisor, name: str) -> bool:
    return any(info.id == name and info.state is ChildState.RUNNING for info in host.which_children())


def _event_of(given: Event | Mapping[str, Any], module: str) -> Event:
    """An event of a module, from one or from its fields; EventError with every fault."""
    if not isinstance(given, Event):
        given = _event_from({"provenance": {"platform": "api"}, **given})
    event = attrs.evolve(given, module=module)
    faults = faults_of(event)
    if faults:
        raise EventError(f"not an event: {'; '.join(faults)}")
    return event


def _event_from(fields: Mapping[str, Any]) -> Event:
    unknown = set(fields) - {field.name for field in attrs.fields(Event)}
    if unknown:
        raise EventError(f"not an event: unknown fields {', '.join(sorted(map(str, unknown)))}; put them into payload")
    missing = {"source", "type"} - set(fields)
    if missing:
        raise EventError(f"not an event: {', '.join(sorted(missing))} is missing")
    try:
        return msgspec.convert(fields, Event)
    except (msgspec.ValidationError, TypeError) as exc:
        raise EventError(f"not an event: {exc}") from exc
