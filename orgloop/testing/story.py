"""
A story: what an organisation makes of what happens, told by a real runtime in memory with a cast of fakes.

    async with tell({...}) as story:
        await story.happens({"source": "github", "type": "resource.changed", "payload": {"action": "opened"}})

    assert story.went("triage") == ["delivered"]
    print(story)

Everything of the module is real but its sources and actors: routes, filters, transforms, templates, prompts, retries.
So a project can be tested without its outside, and without waiting: under a mock clock, hours of retries take no time.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import attrs
import trio

from orgloop.config.catalogue import AnyCatalogue
from orgloop.config.module import ModuleConfig, read_module
from orgloop.config.project import examine_project
from orgloop.config.report import refusal_of
from orgloop.delivery.dead_letters import DeadLetter
from orgloop.event import Event
from orgloop.runtime.runtime import Runtime, open_runtime
from orgloop.sdk import Actor, Delivery, Notice
from orgloop.testing.fakes import FakeActor, FakePolledSource

SETTLE_S = 3600.0
"""How long a story may take to settle, by Trio's clock."""


@attrs.define(eq=False)
class Story:
    """What has happened so far, and what came of it."""

    runtime: Runtime
    module: str
    cast: Mapping[str, Actor]
    """The actors, by id; those that were not given are :class:`FakeActor`."""
    events: list[str] = attrs.field(factory=list)
    """The ids of all that were admitted, in order: of what happened, and of what actors made of it."""
    notices: list[Notice] = attrs.field(factory=list)

    def hear(self, notice: Notice) -> None:
        """Take one notice of the runtime."""
        self.notices.append(notice)
        if notice.phase == "source.emit":
            self.events.append(notice.event_id)

    async def happens(self, *events: Event | Mapping[str, Any]) -> None:
        """Have events come from outside, one after the other, each carried to its end before the next."""
        for event in events:
            await self.runtime.inject(event, module=self.module)
            assert await self.runtime.drain(timeout_s=SETTLE_S), f"not settled after {SETTLE_S:g} s:\n{self}"

    def deliveries(self, actor: str) -> list[Delivery]:
        """Every attempt to hand something to an actor of the cast that keeps them, such as a fake."""
        kept: list[Delivery] = getattr(self.cast[actor], "deliveries", [])
        return kept

    def went(self, route: str) -> list[str]:
        """How each obligation of a route ended: ``delivered``, ``skipped``, ``dropped: <by>`` or ``dead: <why>``."""
        dead = {letter.event.id: f"dead: {letter.reason}" for letter in self.dead_letters() if letter.route == route}
        ends: dict[str, str] = {}
        for notice in self.notices:
            if notice.route == route and (end := _end_of(notice)) is not None:
                ends[notice.event_id] = end
        ends |= dead
        return [ends[id_] for id_ in self.events if id_ in ends]

    def dead_letters(self) -> list[DeadLetter]:
        """What was given up."""
        return [letter for letter in self.runtime.dead_letters(limit=10_000) if isinstance(letter, DeadLetter)]

    def __str__(self) -> str:
        """The story, an indented line for each thing that came of an event."""
        return "\n".join(self._lines())

    def _lines(self) -> list[str]:
        lines = []
        for id_ in self.events:
            for notice in self.notices:
                if notice.event_id == id_ and notice.phase == "source.emit":
                    lines.append(f"{notice.source}: {notice.event_type} {id_}")
                elif notice.event_id == id_:
                    said = [notice.route, notice.transform, notice.target, notice.result, notice.error]
                    lines.append(f"    {notice.phase}  {'  '.join(one for one in said if one)}".rstrip())
        return lines


@asynccontextmanager
async def tell(
    config: Mapping[str, Any] | Path | str, *, actors: Mapping[str, Actor] | None = None, **cast: Actor
) -> AsyncGenerator[Story]:
    """
    Open a story on a module, given as a mapping or as a path to a project.

    Every source and every actor is a fake, but for the actors that are given by their ids. The credentials of a project
    are not needed: a variable that is not set is taken for its own name.
    """
    async with open_runtime() as runtime:
        values = await _values(config)
        given = {**(actors or {}), **cast}
        played = {actor.id: given.get(actor.id) or FakeActor() for actor in values.actors}
        strangers = set(given) - set(played)
        assert not strangers, f"there is no actor {', '.join(sorted(strangers))}; there are: {', '.join(played)}"
        silent = attrs.evolve(values, loggers=())  # what is told is told to the story
        sources = {source.id: FakePolledSource() for source in values.sources}
        name = await runtime.load_module(silent, name=values.metadata.name or "story", sources=sources, actors=played)
        story = Story(runtime, name, played)
        stop_listening = runtime.on("*", story.hear)
        try:
            yield story
        finally:
            stop_listening()


async def _values(config: Mapping[str, Any] | Path | str) -> ModuleConfig:
    if isinstance(config, Mapping):
        return read_module(config, where="story")
    examine = partial(examine_project, Path(config), environ={}, catalogue=AnyCatalogue())
    examined = await trio.to_thread.run_sync(examine)
    if examined.faults or examined.project is None:
        raise refusal_of(examined.faults)
    return examined.project.config


def _end_of(notice: Notice) -> str | None:
    match notice.phase:
        case "deliver.success":
            return "skipped" if (notice.result or "").startswith("skipped") else "delivered"
        case "transform.drop" | "transform.error_drop":
            return f"dropped: {notice.transform}"
    return None
