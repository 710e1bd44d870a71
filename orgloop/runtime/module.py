"""
One module at work: its lanes and mailboxes, which outlive every crash, and the recipe of its supervision tree.

    <module>              rest_for_one: sources depend on actors, so they are restarted with them
    ├── actors            one_for_one
    │   └── <actor>       serves its mailbox
    ├── loggers           one_for_one
    └── sources           one_for_one
        └── <source>      polls, publishes

Building one touches nothing: it either gives a whole module, or every fault of it.
"""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import attrs
import trio

from orgloop.config import structure
from orgloop.config._codec import refusal
from orgloop.config.module import ModuleConfig, RouteConfig, SourceConfig
from orgloop.config.prompt import read_prompt
from orgloop.config.supervision import SupervisionConfig
from orgloop.delivery.config import DeliveryConfig
from orgloop.delivery.lane import Lane, LaneSpec
from orgloop.delivery.mailbox import Mailbox
from orgloop.delivery.pipeline import Step
from orgloop.errors import OrgLoopError
from orgloop.event import Event
from orgloop.routing import Route, compile_config, compile_path, render_config
from orgloop.runtime import plugins
from orgloop.runtime.checkpoints import BusPlace, fingerprint_of
from orgloop.runtime.containment import contained
from orgloop.runtime.marks import MarkStore
from orgloop.runtime.notices import LEVELS
from orgloop.runtime.plugins import Faults, Given
from orgloop.runtime.scheduler import Scheduler
from orgloop.runtime.services import LaneServices, Services
from orgloop.runtime.sources import SourceSpec, Standing, Surroundings, serve_source
from orgloop.sdk import Actor, Admitted, Context, Logger, Prompt, Transform
from orgloop_supervisors import Backoff, ChildSpec, Restart, Shutdown, Strategy, SupervisorSpec


@attrs.frozen(kw_only=True)
class Objects:
    """Plug-ins that the caller of ``load_module`` brings, by id or name."""

    sources: Given = attrs.field(factory=dict)
    actors: Given = attrs.field(factory=dict)
    transforms: Given = attrs.field(factory=dict)
    loggers: Given = attrs.field(factory=dict)


@attrs.define(eq=False)
class Module:
    """A module that has been built."""

    name: str
    config: ModuleConfig
    tree: SupervisorSpec
    routes: Mapping[Route, Lane]
    mailboxes: Mapping[str, Mailbox]
    standings: Mapping[str, Standing]
    """The health of each source."""
    loggers: Mapping[str, Logger]

    @property
    def in_flight(self) -> int:
        """How many obligations have not ended."""
        return sum(lane.in_flight for lane in self.routes.values())


def build_module(
    name: str,
    config: ModuleConfig,
    objects: Objects,
    services: Services,
    scheduler: Scheduler,
    *,
    where: str,
    bases: tuple[Path, ...] = (Path(),),
) -> Module:
    """
    Make a module of its configuration; nothing runs yet.

    Raises :class:`orgloop.errors.ConfigError` with every fault.
    """
    builder = _Builder(name, config, objects, services, scheduler, Faults(where), bases)
    module = builder.build()
    if builder.faults.found:
        raise refusal(builder.faults.found, where=where)
    return module


@attrs.define(eq=False)
class _Builder:
    name: str
    config: ModuleConfig
    objects: Objects
    services: Services
    scheduler: Scheduler
    faults: Faults
    bases: tuple[Path, ...]
    """Where relative paths are looked for, first place first."""

    def build(self) -> Module:
        mailboxes = {actor.id: Mailbox() for actor in self.config.actors}
        routes = {}
        for index, route in enumerate(self.config.routes):
            made = self._route(index, route)
            if made is not None:
                lane = routes[made[0]] = made[1]
                mailboxes[route.then.actor].add(lane)
        standings = {source.id: Standing() for source in self.config.sources}
        loggers, tree = self._loggers(), SupervisorSpec(name=self.name)
        try:
            tree = self._tree([self._actors(mailboxes), self._listeners(loggers), self._sources(standings)])
        except ValueError as exc:  # supervision that could never work, in the words of who would have to do it
            self.faults.absorb(("supervision",), exc)
        return Module(self.name, self.config, tree, routes, mailboxes, standings, loggers)

    def _tree(self, trees: list[SupervisorSpec]) -> SupervisorSpec:
        own = self.config.supervision
        return SupervisorSpec(
            name=self.name,
            children=[tree.as_child() for tree in trees],
            strategy=Strategy.REST_FOR_ONE,
            intensity=own.intensity,
            period=own.period_s,
        )

    # -- routes --------------------------------------------------------------------------------------------------------

    def _route(self, index: int, config: RouteConfig) -> tuple[Route, Lane] | None:
        at, when = ("routes", index), config.when
        try:
            route = Route(
                module=self.name,
                name=config.name,
                source=when.source,
                events=when.events,
                filter=when.filter,
                actor=config.then.actor,
            )
            delivery = structure(DeliveryConfig, config.then.delivery, where="")
            spec = LaneSpec(
                module=self.name,
                route=config.name,
                actor=config.then.actor,
                steps=self._steps(index, config),
                config=partial(render_config, compile_config(config.then.config)),
                prompt=self._prompt(config),
                order_key=_finder(delivery.order_by),
                delivery=delivery,
            )
            return route, Lane(spec, LaneServices(self.name, self.services))
        except (ValueError, OrgLoopError) as exc:
            self.faults.absorb(at, exc)
            return None

    def _prompt(self, config: RouteConfig) -> Prompt | None:
        if config.with_ is None:
            return None
        read = read_prompt(config.with_.prompt_file, bases=self.bases)
        return Prompt(read.text, read.file, read.meta)

    def _steps(self, index: int, config: RouteConfig) -> list[Step]:
        known = {transform.name: transform for transform in self.config.transforms}
        steps = []
        for place, ref in enumerate(config.transforms):
            definition = known[ref.ref]
            try:
                made: Transform = plugins.transform(definition, self.objects.transforms, ref.config or {})
            except (ValueError, OrgLoopError) as exc:
                self.faults.absorb(("routes", index, "transforms", place), exc)
                continue
            context = _contexts(self.name, config, ref.ref, self.services)
            on_error = ref.on_error or definition.on_error
            steps.append(Step(name=ref.ref, transform=made, context=context, on_error=on_error))
        return steps

    # -- children ------------------------------------------------------------------------------------------------------

    def _actors(self, mailboxes: Mapping[str, Mailbox]) -> SupervisorSpec:
        children = []
        for index, actor in enumerate(self.config.actors):
            try:
                made = plugins.connector(actor, self.objects.actors, kind="actor")
            except (ValueError, OrgLoopError) as exc:
                self.faults.absorb(("actors", index), exc)
                continue
            run = partial(_serve_actor, actor.id, made, mailboxes[actor.id])
            children.append(_child(actor.id, run, actor.supervision))
        return _group("actors", children, self.config.supervision)

    def _sources(self, standings: Mapping[str, Standing]) -> SupervisorSpec:
        children = []
        for index, source in enumerate(self.config.sources):
            try:
                made = plugins.connector(source, self.objects.sources, kind="source")
            except (ValueError, OrgLoopError) as exc:
                self.faults.absorb(("sources", index), exc)
                continue
            if not hasattr(made, "poll"):
                continue  # it is told, by whoever receives requests
            run = partial(_serve_source, self._source_spec(source, made), standings[source.id], self._around(source))
            children.append(_child(source.id, run, source.supervision))
        return _group("sources", children, self.config.supervision)

    def _source_spec(self, source: SourceConfig, made: Any) -> SourceSpec:
        own_s = source.poll.interval_s if source.poll is not None else None
        interval_s = own_s or self.config.defaults.poll_interval_s
        return SourceSpec(module=self.name, id=source.id, make=lambda: made, interval_s=interval_s)

    def _around(self, source: SourceConfig) -> Surroundings:
        place = BusPlace(
            module=self.name,
            source=source.id,
            fingerprint=fingerprint_of(source.connector, source.config),
            note=self.services.bus.note,
            tell=self.services.notices.tell,
        )
        return Surroundings(
            scheduler=self.scheduler,
            publish=self.services.publish,
            place=place,
            tell=self.services.notices.tell,
            now_s=self.services.now_s,
        )

    def _loggers(self) -> dict[str, Logger]:
        loggers = {}
        for index, config in enumerate(self.config.loggers):
            try:
                loggers[config.name] = plugins.logger(config, self.objects.loggers)
            except (ValueError, OrgLoopError) as exc:
                self.faults.absorb(("loggers", index), exc)
        return loggers

    def _listeners(self, loggers: Mapping[str, Logger]) -> SupervisorSpec:
        levels = {config.name: config.level or self.config.defaults.log_level for config in self.config.loggers}
        children = []
        for name, logger in loggers.items():
            level = LEVELS[levels[name]]
            run = partial(self.services.notices.serve_logger, f"{self.name}/{name}", logger, level=level)
            children.append(_child(name, run, SupervisionConfig(), grace_s=10.0))
        return _group("loggers", children, SupervisionConfig())


async def _serve_actor(
    id_: str, actor: Actor, mailbox: Mailbox, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
) -> None:
    """One life of an actor: entered, if it holds something open, then at work until cancelled."""
    with contained(f"actor {id_!r}"):
        async with _entered(actor), _transforms_entered(mailbox):
            task_status.started()
            await mailbox.serve(actor)


async def _serve_source(
    spec: SourceSpec,
    standing: Standing,
    around: Surroundings,
    *,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """One life of a polled source."""
    with contained(f"source {spec.id!r}"):
        await serve_source(spec, standing, around, task_status=task_status)


@asynccontextmanager
async def _entered(plugin: Any) -> AsyncGenerator[None]:
    if hasattr(plugin, "__aenter__"):
        async with plugin:
            yield
    else:
        yield


@asynccontextmanager
async def _transforms_entered(mailbox: Mailbox) -> AsyncGenerator[None]:
    """The transforms of all lanes that hold something open, such as a worker process."""
    async with AsyncExitStack() as stack:
        for lane in mailbox.lanes.values():
            for step in lane.spec.steps:
                await stack.enter_async_context(_entered(step.transform))
        yield


def _child(
    id_: str, run: Callable[..., Any], own: SupervisionConfig, *, grace_s: float | None = None
) -> ChildSpec[Any]:
    waits, ends = own.backoff, own.shutdown
    return ChildSpec(
        id=id_,
        run=run,
        notify=True,
        restart=Restart(own.restart),
        watchdog=math.inf if own.watchdog_s is None else own.watchdog_s,
        shutdown=Shutdown(grace=ends.grace_s if grace_s is None else grace_s),
        backoff=Backoff(
            initial=waits.initial_s,
            maximum=waits.maximum_s,
            factor=waits.factor,
            jitter=waits.jitter,
            reset_after=waits.reset_after_s,
        ),
    )


def _group(name: str, children: list[ChildSpec[Any]], own: SupervisionConfig) -> SupervisorSpec:
    return SupervisorSpec(name=name, children=children, intensity=own.intensity, period=own.period_s)


def _contexts(module: str, route: RouteConfig, transform: str, services: Services) -> Callable[[Admitted], Context]:
    marks = MarkStore(module, route.name, transform, services.bus.note, services.settler.note)
    target = route.then.actor

    def context(admitted: Admitted) -> Context:
        now_s = services.now_s()
        event = admitted.event
        return Context(module, route.name, event.source, target, event.type, now_s, marks.of(admitted, now_s))

    return context


def _finder(order_by: str | None) -> Callable[[Event], object] | None:
    return None if order_by is None else compile_path(order_by).find
