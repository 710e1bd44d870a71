"""
The modules of a runtime: loaded beside each other, changed while they run, and taken out again.

    loading ──▶ active ◀──▶ failed ──▶ unloading ──▶ removed
                  │ reload: a transaction, see swap.py
                  └──▶ the next generation

One change at a time; whoever asks for the next one waits. A change that has begun is not cancelled half-way.
"""

from __future__ import annotations

import contextlib
import hashlib
import math
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager

import attrs
import trio

from orgloop.config.module import ModuleConfig
from orgloop.errors import ConfigError, Fault, ModuleError
from orgloop.event import timestamp_of
from orgloop.runtime.building import build_module
from orgloop.runtime.module import Module, Origin
from orgloop.runtime.parking import Parked
from orgloop.runtime.plugins import Plugins
from orgloop.runtime.router import Router
from orgloop.runtime.scheduler import Scheduler
from orgloop.runtime.services import Services
from orgloop.runtime.statistics import ModuleStatus, SourceStatus, counts_of
from orgloop.runtime.swap import Swap
from orgloop_supervisors import (
    Backoff,
    ChildSpec,
    ChildState,
    Shutdown,
    Supervisor,
    SupervisorError,
    SupervisorSpec,
)

MODULE_BACKOFF = Backoff(initial=1.0, maximum=300.0, jitter=0.2, reset_after=600.0)
"""How a module that has given up is tried again."""

DRAIN_S = 10.0
"""How long a reload or an unload waits for what is under way, unless told otherwise."""


@attrs.define(eq=False)
class Loaded:
    """A module in the registry."""

    module: Module
    origin: Origin
    digest: str
    """Of the configuration."""
    loaded_at: str
    state: str = "loading"
    generation: int = 1
    """Counts the configurations that were applied."""
    last_error: str | None = None
    """What went wrong in it last."""
    child: ChildSpec[Supervisor] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        """Its supervisor is a child of the modules'."""
        self.child = self.module.tree.as_child(backoff=MODULE_BACKOFF)


@attrs.define(eq=False)
class Modules:
    """The registry, and the one who changes it."""

    _services: Services
    _router: Router
    _scheduler: Scheduler
    plugins: Plugins = attrs.field(factory=Plugins)
    loaded: dict[str, Loaded] = attrs.field(factory=dict)
    child: ChildSpec[Supervisor] = attrs.field(init=False)
    """The supervisor of all modules."""
    root: Supervisor = attrs.field(init=False)
    """That of the runtime, once it runs."""
    _one_at_a_time: trio.Lock = attrs.field(factory=trio.Lock)
    _restored: list[str] | None = None
    """Modules that were loaded, and whose events wait until all are."""

    def __attrs_post_init__(self) -> None:
        """Begin with none."""
        self.child = ChildSpec(
            id="modules", run=self._host, notify=True, start_timeout=math.inf, shutdown=Shutdown(grace=math.inf)
        )

    async def _host(self, *, task_status: trio.TaskStatus[Supervisor]) -> None:
        """The supervisor of all modules; begun again, it begins with all that are loaded."""
        children = [loaded.child for loaded in self.loaded.values()]
        await SupervisorSpec(name="modules", children=children, intensity=math.inf).run(task_status=task_status)

    # -- load ----------------------------------------------------------------------------------------------------------

    async def load(self, origin: Origin) -> Loaded:
        """
        Load a module beside the others.

        Raises :class:`ConfigError` with every fault, :class:`ModuleError` if there is a module of that name or one of
        its children does not start; then nothing has changed.
        """
        async with self._changing():
            if origin.name in self.loaded:
                advice = "reload it, unload it first, or give this one another name"
                raise ModuleError(f"module {origin.name!r} is loaded already; {advice}")
            module = self._built(origin, beside=None)
            at = timestamp_of(self._services.now_s())
            loaded = Loaded(module, origin, digest_of(origin.config), at)
            await self._start(loaded)
            return loaded

    def _built(self, origin: Origin, *, beside: Module | None) -> Module:
        if origin.project is not None:
            self._services.keep_secret(origin.project.secrets)
        module = build_module(origin, self._services, self._scheduler, self.plugins, beside=beside)
        faults = list(self._faults_between(origin))
        if faults:
            raise ConfigError("\n".join(f"{origin.where}.{_dotted(fault)}: {fault.text}" for fault in faults), faults)
        return module

    def _faults_between(self, origin: Origin) -> Iterator[Fault]:
        """
        What of a module does not go with what runs: another bus, and a route that listens where it is not let.

        A module that is not loaded yet may still export what is wanted of it.
        """
        ours = {"durable": "file", "none": "memory"}.get(self._services.bus.durability)
        if origin.config.bus not in (None, ours):
            text = f"all modules of a runtime share its bus, which is {ours or 'given by its program'}; leave this out"
            yield Fault(("bus",), text)
        for index, route in enumerate(origin.config.routes):
            name, colon, source = route.when.source.partition(":")
            if not colon or name == origin.name:
                continue
            at = ("routes", index, "when", "source")
            if name not in self.loaded:
                text = f"route {route.name!r} listens to module {name!r}, which is not loaded: it hears nothing yet"
                self._services.notices.tell("system.error", module=origin.name, route=route.name, error=text)
            elif source not in (exported := self.loaded[name].module.config.exports):
                known = ", ".join(exported) or "nothing"
                yield Fault(at, f"module {name!r} does not export {source!r}; it exports: {known}")

    async def _start(self, loaded: Loaded) -> None:
        """Routes in, then the children; undone if they do not start."""
        module, router = loaded.module, self._router
        name = module.name
        host = await self.root.wait_running(self.child)
        self._services.notices.tell("module.loading", module=name)
        for wire in module.wires.values():
            wire.actor.mailbox.add(wire.lane)
        router.table = router.table.with_module(name, module.routes, exports=module.config.exports)
        self.loaded[name] = loaded
        try:
            await host.start_child(loaded.child)
        except BaseException as exc:
            del self.loaded[name]
            router.table = router.table.without_module(name)
            self._park(module)  # what other modules' sources have sent it meanwhile
            if isinstance(exc, SupervisorError):
                raise ModuleError(f"module {name!r} did not start: {exc.__cause__ or exc}") from exc
            raise
        loaded.state = "active"
        if self._restored is None:
            await router.release(name)
        else:
            self._restored.append(name)
        self._services.notices.tell("module.active", module=name, result=f'module "{name}" loaded')

    @asynccontextmanager
    async def restoring(self) -> AsyncGenerator[None]:
        """
        Load several modules that were loaded together before: none gets its events until all are there.

        An event that one module's source has emitted, and another one listens to, is then offered to both. Within
        another such block, it is that one's end which counts.
        """
        if self._restored is not None:
            yield
            return
        self._restored = []
        try:
            yield
        finally:
            names, self._restored = self._restored, None
            for name in names:
                await self._router.release(name)

    # -- reload --------------------------------------------------------------------------------------------------------

    async def reload(self, origin: Origin, *, drain_s: float = DRAIN_S) -> Loaded:
        """
        Give a loaded module another configuration.

        Raises :class:`ConfigError` or :class:`ModuleError`, and then it goes on as it was.
        """
        async with self._changing():
            loaded = self.find(origin.name)
            target = self._built(origin, beside=loaded.module)
            digest = digest_of(origin.config)
            has_changed = digest != loaded.digest or _is_other(loaded.module, target)
            is_up = await self._is_up(origin.name)
            if is_up and not has_changed:
                return loaded
            host = await self.root.wait_running(self.child)
            if is_up and not _is_whole(loaded.module, target):
                supervisor = await host.wait_running(loaded.child)
                await self._swap(loaded.module, target, supervisor).run(drain_s=drain_s)
            else:
                await self._replace(host, loaded, target)
            loaded.origin, loaded.digest, loaded.state = origin, digest, "active"
            loaded.generation += has_changed
            loaded.loaded_at = timestamp_of(self._services.now_s())
            result = f'module "{origin.name}" reloaded, generation {loaded.generation}'
            self._services.notices.tell("module.active", module=origin.name, result=result)
            return loaded

    def _swap(self, live: Module, target: Module, supervisor: Supervisor) -> Swap:
        return Swap(live, target, self._router, self._services, supervisor)

    async def _replace(self, host: Supervisor, loaded: Loaded, target: Module) -> None:
        """Stop all of a module, and start it as it is to be; started again as it was if that does not start."""
        name = loaded.module.name
        self._router.hold(name)
        try:
            await self._remove(host, name)
            child = target.tree.as_child(backoff=MODULE_BACKOFF)
            try:
                supervisor = await host.start_child(child)
            except SupervisorError as exc:
                with contextlib.suppress(SupervisorError):  # it was no better before
                    await host.start_child(loaded.child)
                raise ModuleError(f"module {name!r} did not start: {exc.__cause__ or exc}") from exc
            await self._swap(loaded.module, target, supervisor).take_over()
            loaded.module, loaded.child = target, child
        finally:
            await self._router.release(name)

    async def _remove(self, host: Supervisor, name: str) -> None:
        if any(info.id == name for info in host.which_children()):
            await host.terminate_child(name)
            await host.delete_child(name)

    # -- unload --------------------------------------------------------------------------------------------------------

    async def unload(self, name: str, *, drain_s: float = DRAIN_S) -> int:
        """
        Take a module out: sources first, then what is under way has ``drain_s`` to end.

        What has not ended waits for the next module of that name; how many obligations that are.
        """
        async with self._changing():
            loaded = self.find(name)
            module = loaded.module
            loaded.state = "unloading"
            self._services.notices.tell("module.unloading", module=name)
            host = await self.root.wait_running(self.child)
            if await self._is_up(name):
                with contextlib.suppress(SupervisorError):  # it has given up in this very moment
                    supervisor = await host.wait_running(loaded.child)
                    await supervisor.terminate_child(module.sources.child.id)
            with trio.move_on_after(drain_s):
                while module.in_motion:
                    await self._services.settler.wait_for_ends()
            self._router.hold(name)
            await self._remove(host, name)
            self._router.table = self._router.table.without_module(name)
            left = self._park(module)
            del self.loaded[name]
            self._services.notices.tell("module.removed", module=name)
            return left

    def _park(self, module: Module) -> int:
        """Leave what a module is still owed in the log, for the next of its name."""
        owed: dict[int, set[tuple[str, str]]] = {}
        routes = {(module.name, name) for name in module.wires}
        for wire in module.wires.values():
            for sequence in wire.lane.leave():
                owed.setdefault(sequence, set()).add((module.name, wire.lane.spec.route))
        for sequence, left in owed.items():
            self._services.settler.set_aside(sequence, len(left))
            parked = Parked(ended=frozenset(routes - left), recovered=True, is_for_it_alone=True)
            self._router.parking.park(module.name, sequence, parked)
        return sum(map(len, owed.values()))

    # -- looking -------------------------------------------------------------------------------------------------------

    def find(self, name: str) -> Loaded:
        """A loaded module; :class:`ModuleError` if there is none of that name."""
        if name not in self.loaded:
            known = ", ".join(map(repr, self.loaded)) or "none"
            raise ModuleError(f"there is no module {name!r}; loaded are: {known}")
        return self.loaded[name]

    def state_of(self, loaded: Loaded) -> str:
        """``loading``, ``active``, ``unloading``; or ``failed``: it has given up, and is tried again now and then."""
        if loaded.state != "active":
            return loaded.state
        hosts = [info.value for info in self.root.which_children() if info.id == self.child.id]
        is_up = any(isinstance(host, Supervisor) and _is_running(host, loaded.module.name) for host in hosts)
        return "active" if is_up else "failed"

    def status_of(self, loaded: Loaded) -> ModuleStatus:
        """A snapshot of a module."""
        module, state = loaded.module, self.state_of(loaded)
        return ModuleStatus(
            name=module.name,
            state=state,
            generation=loaded.generation,
            digest=loaded.digest,
            loaded_at=loaded.loaded_at,
            cause=loaded.last_error if state == "failed" else None,
            directory=str(loaded.origin.directory),
            sources={
                id_: SourceStatus(
                    connector=member.connector,
                    kind="polling" if member.polls else "webhook",
                    interval_s=member.interval_s if member.polls else None,
                    health=member.standing.health,
                )
                for id_, member in module.members_of_sources().items()
            },
            actors={actor.id: actor.connector for actor in module.config.actors},
            routes={name: counts_of(wire.lane, module.draining) for name, wire in module.wires.items()},
            breakers={name: wire.lane.breaker.state for name, wire in module.wires.items()},
        )

    async def _is_up(self, name: str) -> bool:
        return _is_running(await self.root.wait_running(self.child), name)

    @asynccontextmanager
    async def _changing(self) -> AsyncGenerator[None]:
        """One at a time, and to its end: half a module would be worse than a late answer."""
        async with self._one_at_a_time:
            with trio.CancelScope(shield=True):
                yield


def digest_of(config: ModuleConfig) -> str:
    """A hash of a configuration: the same for the same values."""
    return hashlib.sha256(repr(config).encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _is_running(host: Supervisor, name: str) -> bool:
    return any(info.id == name and info.state is ChildState.RUNNING for info in host.which_children())


def _is_other(live: Module, target: Module) -> bool:
    """Whether anything in it is made of something else, such as another object that the caller has brought."""
    return dict(live.wires) != dict(target.wires) or any(
        group.members != wanted.members for group, wanted in zip(live.groups, target.groups, strict=True)
    )


def _is_whole(live: Module, target: Module) -> bool:
    """Whether what has changed is the frame itself, so that all of the module has to begin again."""
    return live.config.supervision != target.config.supervision or live.files is not target.files


def _dotted(fault: Fault) -> str:
    return ".".join(map(str, fault.path))
