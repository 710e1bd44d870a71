"""Dead letters that are delivered again, and modules that listen to each other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from trio.testing import MockClock

from orgloop.delivery.dead_letters import DeadLetter, Which
from orgloop.errors import ConfigError, ModuleError
from orgloop.runtime.runtime import Runtime, open_runtime
from orgloop.sdk import Delivered, Rejected
from orgloop.testing import FakeActor, FakePolledSource
from tests.runtime.test_runtime import CHANGE, config, only


def routes(**actors: str) -> list[dict[str, Any]]:
    """A route to each actor, by name."""
    when = {"source": "github", "events": ["resource.changed"]}
    return [{"name": name, "when": when, "then": {"actor": actor}} for name, actor in actors.items()]


async def load(runtime: Runtime, *, name: str = "m", **actors: FakeActor) -> None:
    """A module with a route to each actor, named as it is."""
    values = config(
        name,
        actors=[{"id": id_, "connector": "given"} for id_ in actors],
        routes=routes(**{id_: id_ for id_ in actors}),
    )
    await runtime.load_module(values, sources={"github": FakePolledSource()}, actors=actors)


async def test_a_dead_letter_is_replayed_to_the_route_that_gave_it_up(autojump_clock: MockClock) -> None:
    """The others have had the event, and do not get it again."""
    one, two = FakeActor(), FakeActor(Rejected("no"), Delivered())
    async with open_runtime() as runtime:
        await load(runtime, one=one, two=two)
        await runtime.inject(CHANGE)
        await runtime.drain(timeout_s=5)
        letter = only(runtime.dead_letters())
        assert await runtime.replay(letter.id) == 1
        assert await runtime.drain(timeout_s=5)

        assert (len(one.events), len(two.events)) == (1, 2)
        assert runtime.dead_letters() == ()


async def test_a_replay_that_fails_again_is_another_dead_letter(autojump_clock: MockClock) -> None:
    """Of another sequence; and replaying all comes to an end."""
    async with open_runtime() as runtime:
        await load(runtime, one=FakeActor(*[Rejected("no")] * 9))
        await runtime.inject([CHANGE, CHANGE, CHANGE])
        await runtime.drain(timeout_s=5)
        assert await runtime.replay() == 3
        await runtime.drain(timeout_s=5)

        assert [letter.sequence for letter in runtime.dead_letters() if isinstance(letter, DeadLetter)] == [4, 5, 6]


async def test_dedup_lets_a_replayed_event_pass(autojump_clock: MockClock) -> None:
    """Somebody wants it again; that it was seen is no reason to drop it."""
    actor = FakeActor(Rejected("no"), Delivered())
    once = {"name": "once", "type": "dedup", "config": {"key": ["id"], "window": "5m"}}
    (route,) = routes(r="agent")
    async with open_runtime() as runtime:
        await runtime.load_module(
            config(transforms=[once], routes=[{**route, "transforms": ["once"]}]),
            sources={"github": FakePolledSource()},
            actors={"agent": actor},
        )
        await runtime.inject(CHANGE)
        await runtime.drain(timeout_s=5)
        await runtime.replay()
        await runtime.drain(timeout_s=5)

    assert len(actor.events) == 2


async def test_only_what_is_meant_is_replayed(autojump_clock: MockClock) -> None:
    """By module, route, actor or reason."""
    async with open_runtime() as runtime:
        await load(runtime, one=FakeActor(Rejected("no")), two=FakeActor(Rejected("no")))
        await runtime.inject(CHANGE)
        await runtime.drain(timeout_s=5)
        assert await runtime.replay(Which(route="two")) == 1
        await runtime.drain(timeout_s=5)

        assert only(runtime.dead_letters()).route == "one"


async def test_a_dead_letter_stays_if_its_route_is_gone(autojump_clock: MockClock) -> None:
    """Asked for by its id, that is an error; among others, it is passed by."""
    async with open_runtime() as runtime:
        await load(runtime, one=FakeActor(Rejected("no")))
        await runtime.inject(CHANGE)
        await runtime.drain(timeout_s=5)
        await runtime.reload_module("m", config(routes=[]), actors={"agent": FakeActor()})
        letter = only(runtime.dead_letters())
        with pytest.raises(ModuleError, match="there is no route 'one' in module 'm'"):
            await runtime.replay(letter.id)
        assert await runtime.replay() == 0
        assert runtime.dead_letters() == (letter,)


async def test_what_is_replayed_is_durable(tmp_path: Path) -> None:
    """It survives the runtime, as any event does, and still goes to its one route."""
    async with open_runtime(home=tmp_path) as runtime:
        await load(runtime, one=FakeActor(), two=FakeActor(Rejected("no"), 60.0))
        await runtime.inject(CHANGE)
        await runtime.drain(timeout_s=5)
        await runtime.replay()
    one, two = FakeActor(), FakeActor()
    async with open_runtime(home=tmp_path) as runtime:
        await load(runtime, one=one, two=two)
        assert await runtime.drain(timeout_s=5)

    assert (len(one.events), len(two.events)) == (0, 1)


async def test_a_dead_letter_is_discarded_once(autojump_clock: MockClock) -> None:
    """Then it is gone."""
    async with open_runtime() as runtime:
        await load(runtime, one=FakeActor(Rejected("no")))
        await runtime.inject(CHANGE)
        await runtime.drain(timeout_s=5)
        id_ = only(runtime.dead_letters()).id
        assert [await runtime.discard(id_), await runtime.discard(id_)] == [True, False]
        assert await runtime.replay(id_) == 0


# -- modules that listen to each other ---------------------------------------------------------------------------------


def listening(to: str = "m:github") -> dict[str, Any]:
    """A module without a source of its own."""
    when = {"source": to, "events": ["resource.changed"]}
    return config("n", sources=[], routes=[{"name": "r", "when": when, "then": {"actor": "agent"}}])


async def test_a_module_hears_what_another_exports(autojump_clock: MockClock) -> None:
    """Beside the module whose event it is."""
    mine, theirs = FakeActor(), FakeActor()
    async with open_runtime() as runtime:
        await runtime.load_module(
            config(exports=["github"]), sources={"github": FakePolledSource()}, actors={"agent": theirs}
        )
        await runtime.load_module(listening(), actors={"agent": mine})
        await runtime.inject(CHANGE, module="m")
        assert await runtime.drain(timeout_s=5)

    assert (len(mine.events), len(theirs.events)) == (1, 1)


async def test_a_route_may_not_listen_without_leave(autojump_clock: MockClock) -> None:
    """That is a fault of the module that would."""
    async with open_runtime() as runtime:
        await load(runtime, agent=FakeActor())
        with pytest.raises(ConfigError, match="module 'm' does not export 'github'; it exports: nothing"):
            await runtime.load_module(listening(), actors={"agent": FakeActor()})


async def test_what_a_listener_has_not_done_waits_for_it_alone(autojump_clock: MockClock) -> None:
    """The module whose event it is has had it, and does not get it again."""
    slow, theirs, after = FakeActor(3600.0), FakeActor(), FakeActor()
    async with open_runtime() as runtime:
        await runtime.load_module(
            config(exports=["github"]), sources={"github": FakePolledSource()}, actors={"agent": theirs}
        )
        await runtime.load_module(listening(), actors={"agent": slow})
        await runtime.inject(CHANGE, module="m")
        assert await runtime.unload_module("n", drain_s=1) == 1
        await runtime.load_module(listening(), actors={"agent": after})
        assert await runtime.drain(timeout_s=5)

    assert (len(after.events), len(theirs.events)) == (1, 1)


async def test_modules_that_are_restored_together_are_all_offered_what_was_left(tmp_path: Path) -> None:
    """In whatever order they are loaded."""
    values = config(exports=["github"])
    async with open_runtime(home=tmp_path) as runtime:
        await runtime.load_module(values, sources={"github": FakePolledSource()}, actors={"agent": FakeActor(3600.0)})
        await runtime.load_module(listening(), actors={"agent": FakeActor(3600.0)})
        await runtime.inject(CHANGE, module="m")
    mine, theirs = FakeActor(), FakeActor()
    async with open_runtime(home=tmp_path) as runtime:
        async with runtime.restoring():
            await runtime.load_module(values, sources={"github": FakePolledSource()}, actors={"agent": theirs})
            await runtime.load_module(listening(), actors={"agent": mine})
        assert await runtime.drain(timeout_s=5)

    assert (len(mine.events), len(theirs.events)) == (1, 1)
