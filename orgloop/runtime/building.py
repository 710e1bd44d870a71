"""
From a configuration to a module: its members, its wires, and every fault of it.

Building touches nothing: it either gives a whole module, or every fault. Built beside another of its name, it takes
over from that every member and every route that is made of the same.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import attrs

from orgloop.config import structure
from orgloop.config._codec import refusal
from orgloop.config.audit import AuditConfig
from orgloop.config.module import ActorConfig, LoggerConfig, ModuleConfig, RouteConfig, SourceConfig
from orgloop.config.prompt import read_prompt
from orgloop.config.supervision import SupervisionConfig
from orgloop.delivery.config import DeliveryConfig
from orgloop.delivery.lane import Lane, LaneSpec
from orgloop.delivery.mailbox import Mailbox
from orgloop.delivery.pipeline import Step
from orgloop.errors import OrgLoopError
from orgloop.routing import Route, compile_path
from orgloop.runtime import members, pushed
from orgloop.runtime.checkpoint_files import CheckpointFiles
from orgloop.runtime.checkpoints import BusPlace, MemoryPlace, Place, fingerprint_of
from orgloop.runtime.keeping import NO_AUDIT, keeping_of
from orgloop.runtime.members import ActorMember, Group, Make, Member, SourceMember, child_of
from orgloop.runtime.module import AT_ONCE, Module, Origin, Wire
from orgloop.runtime.notices import LEVELS
from orgloop.runtime.plugins import Faults, Plugins
from orgloop.runtime.scheduler import Scheduler
from orgloop.runtime.services import LaneServices, Services
from orgloop.runtime.sources import SourceSpec, Standing, Surroundings
from orgloop.sdk import Admitted, Context, Prompt, Takes, Transform
from orgloop.sdk import Place as PluginPlace
from orgloop.transforms import Filter

M = TypeVar("M", bound=Member)

CHECKPOINTS = Path(".orgloop") / "checkpoints"
"""Where the copies of the checkpoints are, in the folder of a module that says nothing else."""


def build_module(
    origin: Origin, services: Services, scheduler: Scheduler, plugins: Plugins, *, beside: Module | None = None
) -> Module:
    """
    Make a module of its configuration; nothing runs yet.

    What is made of the same as in ``beside`` is taken from there, which is not changed by that. Raises
    :class:`orgloop.errors.ConfigError` with every fault.
    """
    builder = _Builder(origin, services, scheduler, plugins, beside, Faults(origin.where))
    module = builder.build()
    if builder.faults.found or module is None:
        raise refusal(builder.faults.found, where=origin.where)
    return module


@attrs.define(eq=False)
class _Builder:
    origin: Origin
    services: Services
    scheduler: Scheduler
    plugins: Plugins
    beside: Module | None
    faults: Faults
    actors: dict[str, ActorMember] = attrs.field(factory=dict)
    around: LaneServices = attrs.field(init=False)
    """Shared by all lanes."""

    def __attrs_post_init__(self) -> None:
        self.around = LaneServices(self.origin.name, self.services)

    @property
    def config(self) -> ModuleConfig:
        return self.origin.config

    def build(self) -> Module | None:
        own = self.config.supervision
        files = self._files()
        actors = Group("actors", own, self._members("actors", self.config.actors, self._actor))
        self.actors = {one.id: one for one in actors.members.values() if isinstance(one, ActorMember)}
        wires = {}
        for index, route in enumerate(self.config.routes):
            made = self._wire(index, route)
            if made is not None:
                wires[route.name] = made
        opened = {step.child.id: step for wire in wires.values() for step in wire.steps}
        loggers = self._members("loggers", self.config.loggers, self._logger)
        sources = self._members("sources", self.config.sources, partial(self._source, files=files))
        try:
            return Module(
                name=self.origin.name,
                config=self.config,
                wires=wires,
                transforms=Group("transforms", own, opened),
                actors=actors,
                loggers=Group("loggers", SupervisionConfig(), loggers),
                sources=Group("sources", own, sources),
                files=files,
            )
        except ValueError as exc:  # supervision that could never work, in the words of who would have to do it
            self.faults.absorb(("supervision",), exc)
            return None

    def _members(self, kind: str, configs: Iterable[Any], make: Callable[[Any], Member]) -> dict[str, Member]:
        members: dict[str, Member] = {}
        for index, config in enumerate(configs):
            try:
                member = make(config)
            except (ValueError, OrgLoopError) as exc:
                self.faults.absorb((kind, index), exc)
                continue
            members[member.child.id] = member
        return members

    def _kept(self, group: str, member: M) -> M:
        """The member as it runs already, if it is made of the same; else a new one, under an id that nobody has."""
        before: dict[str, Member] = {} if self.beside is None else getattr(self.beside, group).members
        for one in before.values():
            if one.id == member.id and one.made_of == member.made_of and isinstance(one, type(member)):
                return one
        return _named(member, before)

    # -- actors and sources --------------------------------------------------------------------------------------------

    def _actor(self, config: ActorConfig) -> Member:
        made = self.plugins.actor(config, self.origin.objects.actors, self._place(config.id))
        mailbox = Mailbox()
        watchdog_s = config.supervision.watchdog_s
        run = partial(members.serve_actor, config.id, made.make, mailbox, watchdog_s=watchdog_s)
        return self._kept(
            "actors",
            ActorMember(
                id=config.id,
                made_of=(_working(config), made.made_of),
                child=child_of(config.id, run, config.supervision),
                mailbox=mailbox,
            ),
        )

    def _source(self, config: SourceConfig, *, files: CheckpointFiles | None) -> Member:
        made = self.plugins.source(config, self.origin.objects.sources, self._place(config.id))
        own_s = config.poll.interval_s if config.poll is not None else None
        interval_s = own_s or self.config.defaults.poll_interval_s
        is_told = hasattr(made.first, "receive")
        polls = hasattr(made.first, "poll") and (own_s is not None or not is_told)
        standing = Standing()
        desk = self._desk(config, standing, getattr(made.first, "takes", None) or Takes()) if is_told else None
        spec = SourceSpec(module=self.origin.name, id=config.id, make=made.make, interval_s=interval_s)
        place = self._checkpoint_place(config, made.identity, files)
        around = self._around(place)
        run: Callable[..., Any]
        watchdog_s = config.supervision.watchdog_s
        if desk is None:
            run = partial(members.serve_polled, spec, standing, around, watchdog_s=watchdog_s)
        elif polls:
            run = partial(members.serve_both, spec, desk, around, watchdog_s=watchdog_s)
        else:
            run = partial(members.serve_pushed, config.id, made.make, desk, watchdog_s=watchdog_s)
        kept_in = (self.config.defaults.checkpoint, self.origin.directory) if polls else None
        return self._kept(
            "sources",
            SourceMember(
                id=config.id,
                made_of=(_working(config), made.made_of, interval_s if polls else None, kept_in),
                child=child_of(config.id, run, config.supervision),
                connector=config.connector,
                polls=polls,
                interval_s=interval_s,
                standing=standing,
                desk=desk,
                place=place,
            ),
        )

    def _desk(self, config: SourceConfig, standing: Standing, takes: Takes) -> pushed.Desk:
        services = self.services
        around = pushed.Surroundings(
            module=self.origin.name,
            source=config.id,
            publish=services.publish,
            noted=services.bus.note,
            tell=services.notices.tell,
            now_s=services.now_s,
        )
        return pushed.Desk(around, standing, takes)

    def _around(self, place: Place) -> Surroundings:
        return Surroundings(
            scheduler=self.scheduler,
            publish=self.services.publish,
            place=place,
            tell=self.services.notices.tell,
            now_s=self.services.now_s,
        )

    def _checkpoint_place(
        self, source: SourceConfig, identity: Mapping[str, Any], files: CheckpointFiles | None
    ) -> Place:
        fingerprint = fingerprint_of(source.connector, identity)
        if self.config.defaults.checkpoint.store == "memory":
            before = None if self.beside is None else self.beside.members_of_sources().get(source.id)
            if before is not None and isinstance(before.place, MemoryPlace) and before.place.fingerprint == fingerprint:
                return before.place
            return MemoryPlace(fingerprint)
        return BusPlace(
            module=self.origin.name,
            source=source.id,
            fingerprint=fingerprint,
            note=self.services.bus.note,
            tell=self.services.notices.tell,
            files=files,
        )

    def _files(self) -> CheckpointFiles | None:
        """Copies are for a runtime that outlives its process."""
        checkpoint = self.config.defaults.checkpoint
        if checkpoint.store == "memory" or self.services.home is None:
            return None
        directory = self.origin.directory / CHECKPOINTS
        if checkpoint.dir:
            directory = self.origin.directory / Path(checkpoint.dir).expanduser()
        elif self.origin.project is None:  # values have no folder of their own
            directory = self.services.home / "modules" / self.origin.name / "checkpoints"
        if self.beside is not None and self.beside.files is not None and self.beside.files.directory == directory:
            return self.beside.files
        return CheckpointFiles(directory, self.services.notices.tell, now_s=self.services.now_s)

    def _logger(self, config: LoggerConfig) -> Member:
        made = self.plugins.logger(config, self.origin.objects.loggers, self._place(config.name))
        level = config.level or self.config.defaults.log_level
        serve = self.services.notices.serve_logger
        run = partial(_serve_logger, serve, f"{self.origin.name}/{config.name}", made.make, level=LEVELS[level])
        child = child_of(config.name, run, SupervisionConfig(), grace_s=10.0)
        return self._kept("loggers", Member(id=config.name, made_of=(config, made.made_of, level), child=child))

    # -- routes --------------------------------------------------------------------------------------------------------

    def _wire(self, index: int, config: RouteConfig) -> Wire | None:
        at = ("routes", index)
        try:
            prompt = self._prompt(config)
            actor = self.actors.get(config.then.actor)
            parts = [self._transform(at, place, ref, config) for place, ref in enumerate(config.transforms)]
            delivery = structure(DeliveryConfig, config.then.delivery, where="")
            made_of = (
                attrs.evolve(config, description=None),
                prompt,
                None if actor is None else actor.mailbox,
                self.config.defaults.event_retention_s,
                self._audit(config),
                tuple(None if part is None else part.made_of for part in parts),
            )
            before = self.beside.wires.get(config.name) if self.beside is not None else None
            if before is not None and before.made_of == made_of:
                return before
            if actor is None or None in parts:
                return None  # that has been told already
            sound = [part for part in parts if part is not None]
            return self._new_wire(config, actor, prompt, sound, delivery, made_of=made_of)
        except (ValueError, OrgLoopError) as exc:
            self.faults.absorb(at, exc)
            return None

    def _new_wire(
        self,
        config: RouteConfig,
        actor: ActorMember,
        prompt: Prompt | None,
        parts: list[_Part],
        delivery: DeliveryConfig,
        *,
        made_of: object,
    ) -> Wire:
        when = config.when
        route = Route(
            module=self.origin.name,
            name=config.name,
            source=when.source,
            events=when.events,
            filter=when.filter,
            actor=config.then.actor,
        )
        steps, opened = self._steps(config, parts)
        keeping = keeping_of(config, self._audit(config), prompt, self.services, module=self.origin.name)
        spec = LaneSpec(
            module=self.origin.name,
            route=config.name,
            actor=config.then.actor,
            steps=steps,
            config=keeping.config,
            prompt=prompt,
            order_key=None if delivery.order_by is None else compile_path(delivery.order_by).find,
            delivery=delivery,
            retention_s=self.config.defaults.event_retention_s,
            keepers=keeping.keepers,
            auditor=keeping.auditor,
            is_own=keeping.is_own,
        )
        lane = Lane(spec, self.around)
        return Wire(route=route, lane=lane, actor=actor, made_of=made_of, steps=opened)

    def _audit(self, config: RouteConfig) -> AuditConfig:
        return config.audit or self.config.defaults.audit or NO_AUDIT

    def _prompt(self, config: RouteConfig) -> Prompt | None:
        if config.with_ is None:
            return None
        read = config.with_.prompt or read_prompt(config.with_.prompt_file, bases=(self.origin.directory,))
        return Prompt(read.text, read.file, read.meta)

    def _transform(self, at: tuple[str | int, ...], place: int, ref: Any, config: RouteConfig) -> _Part | None:
        definition = next(one for one in self.config.transforms if one.name == ref.ref)
        try:
            made = self.plugins.transform(
                definition, self.origin.objects.transforms, ref.config or {}, self._place(ref.ref)
            )
        except (ValueError, OrgLoopError) as exc:
            self.faults.absorb((*at, "transforms", place), exc)
            return None
        on_error = ref.on_error or definition.on_error
        id_ = f"{config.name}/{place + 1} {ref.ref}"
        # A script keeps it itself, and kills all of its processes then.
        timeout_s = math.inf if definition.type == "script" else definition.timeout_ms / 1000
        return _Part(ref.ref, id_, made.make, on_error, timeout_s, (definition, ref, made.made_of))

    def _steps(self, config: RouteConfig, parts: list[_Part]) -> tuple[list[Step], tuple[Member, ...]]:
        steps, opened = [], []
        taken = {} if self.beside is None else self.beside.transforms.members
        for part in parts:
            transform: Transform = part.make()
            context = _contexts(self.origin.name, config, part.name, self.services)
            test = transform.test if isinstance(transform, Filter) else None
            step = Step(
                name=part.name,
                transform=transform,
                context=context,
                on_error=part.on_error,
                timeout_s=part.timeout_s,
                test=test,
            )
            steps.append(step)
            if test is None and hasattr(transform, "__aenter__"):
                run = partial(members.serve_transform, part.id, transform)
                child = child_of(part.id, run, AT_ONCE)
                opened.append(_named(Member(id=part.id, made_of=object(), child=child), taken))
        return steps, tuple(opened)

    def _place(self, id_: str) -> PluginPlace:
        return PluginPlace(module=self.origin.name, id=id_, directory=self.origin.directory)


@attrs.frozen
class _Part:
    """A transform at its place in a route, to be made."""

    name: str
    id: str
    make: Make
    on_error: Any
    timeout_s: float
    made_of: object


def _named(member: M, taken: Mapping[str, Member]) -> M:
    """The member under an id for its child that nobody has."""
    id_, number = member.id, 1
    while id_ in taken:
        number += 1
        id_ = f"{member.id}@{number}"
    return attrs.evolve(member, child=attrs.evolve(member.child, id=id_))


def _working(config: SourceConfig | ActorConfig) -> SourceConfig | ActorConfig:
    """A configuration without what is only for people."""
    return attrs.evolve(config, description=None, labels={})


async def _serve_logger(serve: Callable[..., Any], name: str, make: Make, *, level: int, task_status: Any) -> None:
    """One life of a logger."""
    await serve(name, make(), level=level, task_status=task_status)


def _contexts(module: str, route: RouteConfig, transform: str, services: Services) -> Callable[[Admitted], Context]:
    target, marks = route.then.actor, services.marks_of(module, route.name, transform)

    def context(admitted: Admitted) -> Context:
        now_s = services.now_s()
        event = admitted.event
        return Context(module, route.name, event.source, target, event.type, now_s, marks.of(admitted, now_s))

    return context
