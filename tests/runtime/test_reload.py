"""A module that is changed while it runs: what changes, what is left alone, and what becomes of what was under way."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Any

import attrs
import pytest
import trio
import trio.testing
from trio.testing import MockClock

from orgloop.errors import ConfigError, ModuleError
from orgloop.runtime.runtime import Runtime, open_runtime
from orgloop.sdk import Delivered, Delivery, Outcome, Polled, Received, Request
from orgloop.testing import FakeActor, FakePolledSource, event
from tests.runtime.test_runtime import CHANGE, config, only

ROUTE = {"name": "r", "when": {"source": "github", "events": ["resource.changed"]}, "then": {"actor": "agent"}}


@attrs.define
class Gate:
    """An actor that holds every event until it is let through."""

    taken: list[Any] = attrs.field(factory=list)
    done: list[Any] = attrs.field(factory=list)
    open: trio.Event = attrs.field(factory=trio.Event)

    async def deliver(self, delivery: Delivery) -> Outcome:
        self.taken.append(delivery.event.payload)
        await self.open.wait()
        self.done.append(delivery.event.payload)
        return Delivered()


@attrs.define
class Alive:
    """A plug-in that counts how often it was entered and left, and does what it is told on entering."""

    entered: int = 0
    left: int = 0
    on_entering: Callable[[], Awaitable[None]] | None = None
    delivered: list[Any] = attrs.field(factory=list)
    polls: int = 0

    async def __aenter__(self) -> Alive:
        if self.on_entering is not None:
            await self.on_entering()
        self.entered += 1
        return self

    async def __aexit__(self, *exc: object) -> None:
        self.left += 1

    async def deliver(self, delivery: Delivery) -> Outcome:
        self.delivered.append(delivery.event.payload)
        return Delivered()

    async def poll(self, checkpoint: str | None) -> Polled:
        self.polls += 1
        return Polled()


@attrs.define
class Told:
    """A source that is told, and does what it is told on entering."""

    on_entering: Callable[[], Awaitable[None]] | None = None

    async def __aenter__(self) -> Told:
        if self.on_entering is not None:
            await self.on_entering()
        return self

    async def __aexit__(self, *exc: object) -> None:
        pass

    async def receive(self, request: Request) -> Received:
        return Received([event()])


async def refuse() -> None:
    raise OSError("no such host")


async def load(runtime: Runtime, source: Any, **actors: Any) -> None:
    """A module with the route, and these for its source and actors."""
    given = {"agent": FakeActor(), **actors}
    await runtime.load_module(config(actors=connectors(*given)), sources={"github": source}, actors=given)


def connectors(*ids: str, **config: Any) -> list[dict[str, Any]]:
    return [{"id": id_, "connector": "given", **config} for id_ in ids]


def changed(**changes: Any) -> dict[str, Any]:
    """The module's configuration with these changes."""
    return config(**{"actors": connectors("agent"), **changes})


# -- what is left alone ------------------------------------------------------------------------------------------------


async def test_what_is_made_of_the_same_keeps_its_task(autojump_clock: MockClock) -> None:
    """Neither the source nor the actor notices that a route was added."""
    source, actor = Alive(), Alive()
    async with open_runtime() as runtime:
        await load(runtime, source, agent=actor)
        second = {**ROUTE, "name": "second"}
        generation = await runtime.reload_module("m", changed(routes=[ROUTE, second]))
        assert (source.entered, source.left, actor.entered, actor.left) == (1, 0, 1, 0)
        await runtime.inject(CHANGE)
        assert await runtime.drain(timeout_s=5)

    assert generation == 2
    assert len(actor.delivered) == 2


async def test_a_reload_that_changes_nothing_is_no_generation(autojump_clock: MockClock) -> None:
    """The same file, read again."""
    async with open_runtime() as runtime:
        await load(runtime, Alive())
        assert await runtime.reload_module("m") == 1


async def test_words_for_people_restart_nobody(autojump_clock: MockClock) -> None:
    """A description is not what a source is made of."""
    source = Alive()
    async with open_runtime() as runtime:
        await load(runtime, source)
        described = [{"id": "github", "connector": "given", "poll": {"interval": "1s"}, "description": "ours"}]
        assert await runtime.reload_module("m", changed(sources=described)) == 2
        assert source.entered == 1


async def test_another_module_notices_nothing(autojump_clock: MockClock) -> None:
    """It keeps its generation and its tasks."""
    mine, theirs = Alive(), Alive()
    async with open_runtime() as runtime:
        await load(runtime, mine)
        await runtime.load_module(config("n"), sources={"github": theirs}, actors={"agent": FakeActor()})
        await runtime.reload_module("m", changed(sources=[*connectors("github", poll={"interval": "2s"})]))
        generations = {module.name: module.generation for module in runtime.modules()}

        assert (mine.entered, theirs.entered) == (2, 1)
        assert generations == {"m": 2, "n": 1}


# -- what changes ------------------------------------------------------------------------------------------------------


async def test_a_changed_source_is_left_before_the_next_is_entered(autojump_clock: MockClock) -> None:
    """Two of them would see everything twice."""
    source = Alive()
    async with open_runtime() as runtime:
        await load(runtime, source)
        await runtime.reload_module("m", changed(sources=connectors("github", poll={"interval": "3s"})))
        assert (source.entered, source.left) == (2, 1)


async def test_a_changed_source_goes_on_from_its_checkpoint(autojump_clock: MockClock) -> None:
    """An interval is no other place in the outside."""
    source = FakePolledSource(Polled([event("x")], "c1"))
    async with open_runtime() as runtime:
        await load(runtime, source)
        await trio.sleep(2)
        await runtime.reload_module("m", changed(sources=connectors("github", poll={"interval": "3s"})))
        await trio.sleep(4)

    assert source.checkpoints[-1] == "c1"


async def test_a_route_that_is_changed_handles_what_comes_next(autojump_clock: MockClock) -> None:
    """By its new actor."""
    one, two = FakeActor(), FakeActor()
    async with open_runtime() as runtime:
        await load(runtime, FakePolledSource(), agent=one, other=two)
        await runtime.inject({**CHANGE, "payload": 1})
        await runtime.drain(timeout_s=5)
        route = {**ROUTE, "then": {"actor": "other"}}
        await runtime.reload_module("m", changed(actors=connectors("agent", "other"), routes=[route]))
        await runtime.inject({**CHANGE, "payload": 2})
        await runtime.drain(timeout_s=5)

    assert ([each.payload for each in one.events], [each.payload for each in two.events]) == ([1], [2])


async def test_other_objects_for_the_same_configuration_are_a_change(autojump_clock: MockClock) -> None:
    """Who brings an object, means it."""
    one, two = Alive(), Alive()
    async with open_runtime() as runtime:
        await load(runtime, FakePolledSource(), agent=one)
        await runtime.reload_module("m", actors={"agent": two})
        await runtime.inject(CHANGE)
        await runtime.drain(timeout_s=5)

    assert (one.left, one.delivered, len(two.delivered)) == (1, [], 1)


async def test_counts_go_on_over_a_reload(autojump_clock: MockClock) -> None:
    """And what was admitted stays the sum of the rest."""
    async with open_runtime() as runtime:
        await load(runtime, FakePolledSource())
        await runtime.inject([CHANGE, CHANGE])
        await runtime.drain(timeout_s=5)
        route = {**ROUTE, "then": {"actor": "agent", "config": {"x": 1}}}
        await runtime.reload_module("m", changed(routes=[route]))
        await runtime.inject(CHANGE)
        await runtime.drain(timeout_s=5)
        counts = runtime.modules()[0].routes["r"]

    assert (counts.admitted, counts.delivered, counts.in_flight) == (3, 3, 0)


# -- what was under way ------------------------------------------------------------------------------------------------


async def test_what_is_under_way_ends_where_it_began(autojump_clock: MockClock) -> None:
    """The first event by the old generation, what waited behind it by the new one, each once."""
    before, after = Gate(), FakeActor()
    async with open_runtime() as runtime, trio.open_nursery() as nursery:
        await load(runtime, FakePolledSource(), agent=before)
        await runtime.inject([{**CHANGE, "payload": number} for number in range(3)])
        await trio.testing.wait_all_tasks_blocked()
        nursery.start_soon(lambda: runtime.reload_module("m", actors={"agent": after}))
        await trio.testing.wait_all_tasks_blocked()
        before.open.set()
        assert await runtime.drain(timeout_s=5)

    assert (before.done, [each.payload for each in after.events]) == ([0], [1, 2])


async def test_what_does_not_end_in_time_goes_on_by_the_new_generation(autojump_clock: MockClock) -> None:
    """As another attempt: somebody may have seen the first."""
    before, after = Gate(), FakeActor()
    async with open_runtime() as runtime:
        await load(runtime, FakePolledSource(), agent=before)
        await runtime.inject(CHANGE)
        await trio.testing.wait_all_tasks_blocked()
        await runtime.reload_module("m", actors={"agent": after}, drain_s=3)
        assert await runtime.drain(timeout_s=5)

    assert (before.done, [delivery.attempt for delivery in after.deliveries]) == ([], [2])


async def test_what_a_removed_route_has_left_becomes_dead_letters(autojump_clock: MockClock) -> None:
    """Nobody is there to carry it, and nothing ends in silence."""
    actor = Gate()
    async with open_runtime() as runtime:
        await load(runtime, FakePolledSource(), agent=actor)
        await runtime.inject(CHANGE)
        await trio.testing.wait_all_tasks_blocked()
        await runtime.reload_module("m", changed(routes=[]), drain_s=1)
        assert await runtime.drain(timeout_s=5)
        letter = only(runtime.dead_letters())

    assert (letter.reason, letter.route) == ("route_removed", "r")


async def test_events_during_a_reload_wait_for_it(autojump_clock: MockClock) -> None:
    """None is refused, none is routed by half a table."""
    source, actor = Alive(), FakeActor()

    async def slowly() -> None:
        await trio.sleep(1)

    async with open_runtime() as runtime, trio.open_nursery() as nursery:
        await load(runtime, source, agent=actor)
        source.on_entering = slowly
        sources = connectors("github", poll={"interval": "3s"})
        nursery.start_soon(lambda: runtime.reload_module("m", changed(sources=sources)))
        await trio.sleep(0.5)
        await runtime.inject(CHANGE)
        await trio.sleep(0.25)
        assert actor.events == []
        await trio.sleep(1)
        assert len(actor.events) == 1


# -- what cannot be ----------------------------------------------------------------------------------------------------


async def test_a_fault_changes_nothing(autojump_clock: MockClock) -> None:
    """The configuration is refused before anything is touched."""
    source = Alive()
    async with open_runtime() as runtime:
        await load(runtime, source)
        with pytest.raises(ConfigError, match="Actor"):
            await runtime.reload_module("m", changed(routes=[{**ROUTE, "then": {"actor": "nobody"}}]))

        (module,) = runtime.modules()
        assert (module.generation, module.state, source.entered) == (1, "active", 1)


@pytest.mark.parametrize("kind", ["actors", "sources"])
async def test_a_plugin_that_does_not_start_is_undone(autojump_clock: MockClock, kind: str) -> None:
    """What was there before goes on, and so do its routes."""
    source, actor, broken = Alive(), FakeActor(), Alive(on_entering=refuse)
    async with open_runtime() as runtime:
        await load(runtime, source, agent=actor)
        ids = {"actors": "agent", "sources": "github"}
        with pytest.raises(ModuleError, match="no such host"):
            await runtime.reload_module("m", **{kind: {ids[kind]: broken}})  # type: ignore[arg-type]
        await runtime.inject(CHANGE)
        assert await runtime.drain(timeout_s=5)
        polls = source.polls
        await trio.sleep(3)

        assert (len(actor.events), runtime.modules()[0].generation) == (1, 1)
        assert source.polls > polls


@pytest.mark.parametrize("entering", [trio.sleep_forever, partial(trio.sleep, 2)], ids=["hangs", "is slow"])
async def test_who_is_told_is_told_while_the_next_one_begins(
    autojump_clock: MockClock, entering: Callable[[], Awaitable[None]]
) -> None:
    """A source that takes long to open, or never does, refuses nobody: the one before it is still there."""
    answers = []

    async def ask() -> None:
        while True:
            answers.append((await runtime.receive("github", Request("POST", "/webhook/github", {}, b"{}"))).status)
            await trio.sleep(0.1)

    async with open_runtime() as runtime, trio.open_nursery() as nursery:
        await load(runtime, Told())
        nursery.start_soon(ask)
        with suppress(ModuleError):
            await runtime.reload_module("m", sources={"github": Told(on_entering=entering)})
        await trio.sleep(1)
        nursery.cancel_scope.cancel("enough was asked")

    assert len(answers) > 20
    assert set(answers) == {200}


async def test_nothing_is_left_of_what_was_undone(autojump_clock: MockClock) -> None:
    """A new actor that had started beside a source that did not, is gone again."""
    started = Alive()
    async with open_runtime() as runtime:
        await load(runtime, Alive())
        before = runtime.tree()
        with pytest.raises(ModuleError):
            await runtime.reload_module(
                "m",
                changed(actors=connectors("agent", "more")),
                sources={"github": Alive(on_entering=refuse)},
                actors={"agent": FakeActor(), "more": started},
            )

        assert (started.entered, started.left) == (1, 1)
        assert [line.split()[1] for line in runtime.tree().splitlines()] == [
            line.split()[1] for line in before.splitlines()
        ]


async def test_a_module_that_is_not_there_cannot_be_reloaded(autojump_clock: MockClock) -> None:
    """It says what is."""
    async with open_runtime() as runtime:
        with pytest.raises(ModuleError, match="there is no module 'm'; loaded are: none"):
            await runtime.reload_module("m")


# -- a module that has given up, and the frame itself ------------------------------------------------------------------


async def test_a_module_that_has_given_up_is_started_by_a_reload(autojump_clock: MockClock) -> None:
    """At once, and what had waited for it is delivered."""
    broken, actor = Alive(), FakeActor()

    class Crashing:
        async def deliver(self, delivery: Delivery) -> Outcome:
            raise RuntimeError("always")

    tight = {"intensity": 0, "backoff": {"initial": "1h", "maximum": "1h"}}
    async with open_runtime() as runtime:
        await runtime.load_module(changed(supervision=tight), sources={"github": broken}, actors={"agent": Crashing()})
        await runtime.inject(CHANGE)
        await trio.sleep(0.5)
        (module,) = runtime.modules()
        assert module.state == "failed"
        assert "always" in (module.cause or "")
        await runtime.reload_module("m", actors={"agent": actor})
        assert await runtime.drain(timeout_s=5)

        assert (len(actor.events), runtime.modules()[0].state) == (1, "active")


async def test_another_frame_begins_the_module_again(autojump_clock: MockClock) -> None:
    """Its supervision is that of all its members."""
    source, actor = Alive(), FakeActor()
    async with open_runtime() as runtime:
        await load(runtime, source, agent=actor)
        await runtime.reload_module("m", changed(supervision={"intensity": 2}))
        await runtime.inject(CHANGE)
        assert await runtime.drain(timeout_s=5)

        assert (source.entered, source.left, len(actor.events)) == (2, 1, 1)


async def test_a_frame_that_does_not_start_is_undone(autojump_clock: MockClock) -> None:
    """The module is started again as it was."""
    source, actor = Alive(), FakeActor()
    async with open_runtime() as runtime:
        await load(runtime, source, agent=actor)
        with pytest.raises(ModuleError, match="no such host"):
            await runtime.reload_module(
                "m", changed(supervision={"intensity": 2}), sources={"github": Alive(on_entering=refuse)}
            )
        await runtime.inject(CHANGE)
        assert await runtime.drain(timeout_s=5)

        assert (source.entered, source.left, len(actor.events)) == (2, 1, 1)
        assert runtime.modules()[0].generation == 1


async def test_two_hundred_reloads_lose_nothing_and_leave_nothing(autojump_clock: MockClock) -> None:
    """Each event once, and the tree is as it was."""
    actor = FakeActor()
    async with open_runtime() as runtime:
        await load(runtime, Alive(), agent=actor)
        before = len(runtime.tree().splitlines())
        for number in range(200):
            await runtime.inject({**CHANGE, "payload": number})
            route = {**ROUTE, "then": {"actor": "agent", "config": {"n": number}}}
            await runtime.reload_module("m", changed(routes=[route]))
        assert await runtime.drain(timeout_s=5)

        assert [each.payload for each in actor.events] == list(range(200))
        assert len(runtime.tree().splitlines()) == before
        assert runtime.modules()[0].generation == 201


async def test_a_place_in_memory_is_kept_too(autojump_clock: MockClock) -> None:
    """It is forgotten with the process, and not with a generation."""
    source = FakePolledSource(Polled([event("x")], "c1"))
    defaults = {"checkpoint": {"store": "memory"}}
    async with open_runtime() as runtime:
        await runtime.load_module(config(defaults=defaults), sources={"github": source}, actors={"agent": FakeActor()})
        await trio.sleep(2)
        sources = connectors("github", poll={"interval": "3s"})
        await runtime.reload_module("m", config(defaults=defaults, sources=sources))
        await trio.sleep(4)

    assert source.checkpoints[-1] == "c1"
