"""
One event sent through a project, in a runtime in memory: filters, transforms and deliveries are the real ones.

    try_event(project, event) ──▶ Trial ─┬─ happenings     what the runtime told, in order, events that follow included
                                         ├─ refusals       routes that did not want it, and by which clause
                                         └─ offers         in a dry run: what each actor would have been given

Law: no source is asked for anything and no logger writes, so that beside deliveries nothing happens outside; in a dry
run these too go to nobody.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import attrs
import trio

from orgloop.config.project import Project
from orgloop.event import Event
from orgloop.routing import Clause, Route, explain
from orgloop.runtime.runtime import Runtime, open_runtime
from orgloop.sdk import Delivered, Delivery, Notice, Received, Request, Response

MAX_HAPPENINGS = 10_000
"""What is told beyond that is counted only: actors may cause events without end."""

_FAMILIES = ("source.emit", "route.", "transform.", "deliver.", "loop.", "pipeline.", "system.", "module.error")


@attrs.frozen(kw_only=True)
class Happening:
    """Something that the runtime told."""

    notice: Notice
    at_s: float
    """Since the event was sent."""


@attrs.frozen(kw_only=True)
class Refusal:
    """A route that did not want the event."""

    route: str
    clauses: tuple[Clause, ...]
    """Those that were not met."""


@attrs.frozen(kw_only=True)
class Offered:
    """What an actor would have been given."""

    actor: str
    event_id: str
    config: Mapping[str, Any]
    prompt: str | None


@attrs.frozen(kw_only=True)
class Trial:
    """What came of it."""

    event: Event
    happenings: tuple[Happening, ...]
    refusals: tuple[Refusal, ...]
    offers: tuple[Offered, ...]
    is_finished: bool
    """Whether all that was owed has ended in time."""
    dead: int
    """Obligations that were given up."""
    untold: int = 0

    @property
    def is_good(self) -> bool:
        """Whether nothing was given up, and nothing is still under way."""
        return self.is_finished and not self.dead

    @property
    def matched(self) -> tuple[str, ...]:
        """The routes that wanted the event itself."""
        return tuple(
            one.notice.route or ""
            for one in self.happenings
            if one.notice.phase == "route.match" and one.notice.event_id == self.event.id
        )


def try_event(project: Project, event: Event, *, dry_run: bool, timeout_s: float) -> Trial:
    """Send an event through a project, and wait at most ``timeout_s`` for all that follows from it."""
    return trio.run(partial(_try, project, event, dry_run=dry_run, timeout_s=timeout_s))


async def _try(project: Project, event: Event, *, dry_run: bool, timeout_s: float) -> Trial:
    config, offers = project.config, list[Offered]()
    alone = attrs.evolve(project, modules=())  # those that it names would begin to work, and nobody asked them
    async with open_runtime() as runtime:
        await runtime.load_module(
            alone,
            sources={source.id: _Deaf() for source in config.sources},
            actors={actor.id: _Notebook(actor.id, offers) for actor in config.actors} if dry_run else None,
            loggers={logger.name: _Mute() for logger in config.loggers},
        )
        heard = _Ear(runtime, trio.current_time())
        await runtime.inject(event, module=project.name)
        is_finished = await runtime.drain(timeout_s=timeout_s)
        found = runtime.statistics()
    return Trial(
        event=event,
        happenings=tuple(heard.happenings),
        refusals=_refusals(alone, attrs.evolve(event, module=project.name)),
        offers=tuple(offers),
        is_finished=is_finished,
        dead=sum(found.loops.values()) + sum(route.dead for one in found.modules for route in one.routes.values()),
        untold=heard.untold,
    )


def _refusals(project: Project, event: Event) -> tuple[Refusal, ...]:
    found = []
    for config in project.config.routes:
        route = Route(
            module=project.name,
            name=config.name,
            source=config.when.source,
            events=config.when.events,
            filter=config.when.filter,
            actor=config.then.actor,
        )
        clauses = tuple(clause for clause in explain(route, event) if not clause.matched)
        if clauses:
            found.append(Refusal(route=config.name, clauses=clauses))
    return tuple(found)


class _Ear:
    def __init__(self, runtime: Runtime, began_s: float) -> None:
        self.happenings: list[Happening] = []
        self.untold = 0
        self._began_s = began_s
        for family in _FAMILIES:
            runtime.on(family, self._hear)

    def _hear(self, notice: Notice) -> None:
        if len(self.happenings) >= MAX_HAPPENINGS:
            self.untold += 1
            return
        self.happenings.append(Happening(notice=notice, at_s=trio.current_time() - self._began_s))


class _Deaf:
    """In the place of a source: it looks for nothing, and makes nothing of what it is told."""

    async def receive(self, request: Request) -> Received:  # noqa: ARG002  # the contract's signature
        return Received((), Response(503, {"error": "this is a trial"}))


class _Mute:
    """In the place of a logger."""

    def log(self, notice: Notice) -> None:
        """Say nothing."""


@attrs.frozen
class _Notebook:
    """In the place of an actor: notes what it was given, and has delivered it."""

    _actor: str
    _offers: list[Offered]

    async def deliver(self, delivery: Delivery) -> Delivered:
        await trio.lowlevel.checkpoint()
        prompt = None if delivery.prompt is None else delivery.prompt.text
        offered = Offered(actor=self._actor, event_id=delivery.event.id, config=dict(delivery.config), prompt=prompt)
        self._offers.append(offered)
        return Delivered()


def durations_ms(happenings: Sequence[Happening]) -> list[float | None]:
    """How long each step took, where its beginning was told too: transforms and attempts."""
    began: dict[tuple[str, str | None, str | None, str], float] = {}
    took: list[float | None] = []
    for one in happenings:
        notice = one.notice
        family = notice.phase.partition(".")[0]
        key = (notice.event_id, notice.route, notice.transform, family)
        if notice.phase in ("transform.start", "deliver.attempt"):
            began[key] = one.at_s
            took.append(None)
        else:
            start = began.pop(key, None)
            took.append(None if start is None else (one.at_s - start) * 1000)
    return took
