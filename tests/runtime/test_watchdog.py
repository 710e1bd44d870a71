"""The watchdog of an actor or a source: it strikes when one is busy without a sign of life, and never for idleness."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from trio.testing import MockClock

from orgloop.errors import Unavailable
from orgloop.runtime.runtime import Runtime, open_runtime
from orgloop.sdk import Delivered, Delivery, Outcome, Polled, Received, Request
from orgloop.testing import FakeActor, FakePolledSource, event

CHANGE = {"source": "source", "type": "resource.changed"}
WATCHDOG_S = 30.0
HOURS_S = 6 * 3600.0


def config(**poll: str) -> dict[str, Any]:
    """A module whose source and actor are both watched; their own deadlines are far behind."""
    when = {"source": "source", "events": ["resource.changed"]}
    source = {"id": "source", "connector": "given"}
    return {
        "metadata": {"name": "m"},
        "supervision": {"watchdog": f"{WATCHDOG_S:g}s"},
        "sources": [source | {"poll": poll} if poll else source],
        "actors": [{"id": "actor", "connector": "given"}],
        "routes": [
            {"name": "r", "when": when, "then": {"actor": "actor", "delivery": {"timeout": "1h", "concurrency": 2}}}
        ],
    }


class Opened(FakePolledSource):
    """A source that is entered and left."""

    lives = 0

    async def __aenter__(self) -> Opened:
        self.lives += 1
        return self

    async def __aexit__(self, *exc: object) -> None:
        pass


def restarts(runtime: Runtime) -> int:
    """How often anything was restarted."""
    return sum(" restart" in line for line in runtime.tree().splitlines())


async def test_who_has_nothing_to_do_is_left_alone(autojump_clock: MockClock) -> None:
    """For hours: an actor without events, a source without turns."""
    async with open_runtime() as runtime:
        errors: list[Any] = []
        runtime.on("system.error", errors.append)
        await runtime.load_module(
            config(interval="5h"), sources={"source": FakePolledSource()}, actors={"actor": FakeActor()}
        )
        await trio.sleep(HOURS_S)
        await runtime.inject(CHANGE)
        assert await runtime.drain(timeout_s=5)
        assert restarts(runtime) == 0

    assert errors == []


async def test_an_attempt_that_hangs_ends_a_life_of_the_actor_and_is_made_again(autojump_clock: MockClock) -> None:
    """By the next one, as a second attempt."""
    actor = FakeActor(HOURS_S)
    async with open_runtime() as runtime:
        await runtime.load_module(
            config(interval="5h"), sources={"source": FakePolledSource()}, actors={"actor": actor}
        )
        await trio.sleep(HOURS_S)
        began_s = trio.current_time()
        await runtime.inject(CHANGE)
        assert await runtime.drain(timeout_s=100)
        took_s = trio.current_time() - began_s
        assert restarts(runtime) == 1

    assert [delivery.attempt for delivery in actor.deliveries] == [1, 2]
    assert WATCHDOG_S <= took_s <= WATCHDOG_S + 2


async def test_an_actor_that_is_always_busy_and_gets_on_is_left_alone(autojump_clock: MockClock) -> None:
    """Each attempt takes most of the time that there is, and one is always under way."""

    class Slow:
        deliveries = 0

        async def deliver(self, delivery: Delivery) -> Outcome:
            self.deliveries += 1
            await trio.sleep(WATCHDOG_S - 1)
            return Delivered()

    actor = Slow()
    async with open_runtime() as runtime:
        await runtime.load_module(
            config(interval="5h"), sources={"source": FakePolledSource()}, actors={"actor": actor}
        )
        await runtime.inject([CHANGE] * 50)
        assert await runtime.drain(timeout_s=3600)
        assert restarts(runtime) == 0

    assert actor.deliveries == 50


async def test_a_wait_for_the_next_attempt_is_no_work(autojump_clock: MockClock) -> None:
    """It is the route that waits, not the actor."""
    wired = config(interval="5h")
    wired["routes"][0]["then"]["delivery"]["max_rate"] = "1/h"
    actor = FakeActor()
    async with open_runtime() as runtime:
        await runtime.load_module(wired, sources={"source": FakePolledSource()}, actors={"actor": actor})
        await runtime.inject([CHANGE] * 3)
        assert await runtime.drain(timeout_s=4 * 3600)
        assert restarts(runtime) == 0

    assert len(actor.deliveries) == 3


async def test_a_poll_that_hangs_ends_a_life_of_the_source(autojump_clock: MockClock) -> None:
    """Before its own deadline; what it would have found is found by the next."""
    source = Opened(Polled([event("a", source="source")], "1"), 45.0, Polled([event("b", source="source")], "2"))
    actor = FakeActor()
    async with open_runtime() as runtime:
        await runtime.load_module(config(interval="1h"), sources={"source": source}, actors={"actor": actor})
        await trio.sleep(HOURS_S)
        assert restarts(runtime) == 1

    assert [one.payload for one in actor.events] == ["a", "b"]
    assert source.lives == 2


@pytest.mark.parametrize("polls", [False, True])
async def test_a_request_that_is_answered_is_a_sign_of_life(polls: bool, autojump_clock: MockClock) -> None:
    """Also for a source that looks for itself too."""

    class Told(Opened):
        async def receive(self, request: Request) -> Received:
            await trio.sleep(9)
            return Received([event("told", source="source")])

    source, actor = Told(), FakeActor()
    wired = config(interval="1h") if polls else config()
    wired["supervision"]["watchdog"] = "10s"
    async with open_runtime() as runtime:
        await runtime.load_module(wired, sources={"source": source}, actors={"actor": actor})
        for _ in range(20):
            await runtime.receive("source", Request("POST", "/webhook/source", {}, b""))
        await trio.sleep(HOURS_S)
        assert await runtime.drain(timeout_s=5)
        assert restarts(runtime) == 0

    assert len(actor.events) == 20
    assert bool(source.checkpoints) is polls


async def test_a_request_that_hangs_ends_a_life_of_the_source(autojump_clock: MockClock) -> None:
    """Its sender is told to come again."""

    class Told(Opened):
        async def receive(self, request: Request) -> Received:
            await trio.sleep_forever()
            raise AssertionError

    source, wired = Told(), config()
    wired["supervision"]["watchdog"] = "2s"
    async with open_runtime() as runtime:
        await runtime.load_module(wired, sources={"source": source}, actors={"actor": FakeActor()})
        with pytest.raises(Unavailable):
            await runtime.receive("source", Request("POST", "/webhook/source", {}, b""))
        await trio.sleep(10)
        assert restarts(runtime) >= 1


async def test_an_actor_may_be_entered_and_watched(autojump_clock: MockClock) -> None:
    """It is entered once in each life."""
    lives: list[int] = []

    class Entered:
        async def __aenter__(self) -> Entered:
            lives.append(len(lives))
            return self

        async def __aexit__(self, *exc: object) -> None:
            pass

        async def deliver(self, delivery: Delivery) -> Outcome:
            if len(lives) == 1:
                await trio.sleep_forever()
            return Delivered()

    async with open_runtime() as runtime:
        await runtime.load_module(
            config(interval="5h"), sources={"source": FakePolledSource()}, actors={"actor": Entered()}
        )
        await runtime.inject(CHANGE)
        assert await runtime.drain(timeout_s=100)

    assert lives == [0, 1]
