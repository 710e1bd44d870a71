"""The runtime as a whole: modules, events on their way, crashes, and what is left when it is opened again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from orgloop.bus import MemoryBus
from orgloop.delivery.dead_letters import Damaged, DeadLetter
from orgloop.errors import ConfigError, EventError, ModuleError
from orgloop.event import MAX_HOPS, Event, follow
from orgloop.runtime.runtime import Runtime, open_runtime
from orgloop.sdk import Actor, Delivered, Delivery, Failed, Note, Notice, Outcome, Polled, Rejected, Settlement
from orgloop.testing import FakeActor, FakePolledSource, event


def config(name: str = "m", **changes: Any) -> dict[str, Any]:
    """A module with one source, one actor and the route between them."""
    return {
        "metadata": {"name": name},
        "sources": [{"id": "github", "connector": "given", "poll": {"interval": "1s"}}],
        "actors": [{"id": "agent", "connector": "given"}],
        "routes": [
            {"name": "r", "when": {"source": "github", "events": ["resource.changed"]}, "then": {"actor": "agent"}}
        ],
        **changes,
    }


def delivery(**options: Any) -> list[dict[str, Any]]:
    """The route, with this under ``then.delivery``."""
    then = {"actor": "agent", "delivery": options}
    return [{"name": "r", "when": {"source": "github", "events": ["resource.changed"]}, "then": then}]


async def load(runtime: Runtime, actor: Actor, source: FakePolledSource | None = None, **changes: Any) -> str:
    """Load such a module, with these for its source and actor."""
    given = {"github": source or FakePolledSource()}
    return await runtime.load_module(config(**changes), sources=given, actors={"agent": actor})


def only(letters: Sequence[DeadLetter | Damaged]) -> DeadLetter:
    """The one dead letter that there is."""
    (letter,) = letters
    assert isinstance(letter, DeadLetter)
    return letter


async def until(true: Callable[[], bool]) -> None:
    """Wait for what others bring about in real time, at most five seconds."""
    with trio.fail_after(5):
        while not true():  # noqa: ASYNC110 - that it comes about is what is tested, by whatever event
            await trio.sleep(0.01)


CHANGE = {"source": "github", "type": "resource.changed"}


async def test_an_injected_event_reaches_the_actor_of_its_route() -> None:
    """By way of bus, router, lane and mailbox."""
    actor = FakeActor()
    async with open_runtime() as runtime:
        await load(runtime, actor)
        await runtime.inject({**CHANGE, "payload": {"n": 1}})
        assert await runtime.drain(timeout_s=5)

    assert [one.payload for one in actor.events] == [{"n": 1}]


async def test_a_polled_event_reaches_the_actor(autojump_clock: MockClock) -> None:
    """Polled, published, routed, delivered."""
    actor = FakeActor()
    source = FakePolledSource(Polled([event("x")], "c1"))
    async with open_runtime() as runtime:
        await load(runtime, actor, source)
        await trio.sleep(5)

    assert [one.payload for one in actor.events] == ["x"]


async def test_what_an_actor_emits_is_an_event_of_its_trace() -> None:
    """The organisation loops: the end of the work is the beginning of another."""

    class Emitting:
        seen: list[Event]

        def __init__(self) -> None:
            self.seen = []

        async def deliver(self, delivery: Delivery) -> Outcome:
            self.seen.append(delivery.event)
            if not delivery.event.ancestors:
                await delivery.emit([event("follows")])
            return Delivered()

    actor = Emitting()
    async with open_runtime() as runtime:
        await load(runtime, actor)
        await runtime.inject({**CHANGE, "payload": "first"})
        assert await runtime.drain(timeout_s=5)

    first, second = actor.seen
    assert (second.payload, second.trace_id, second.ancestors) == ("follows", first.trace_id, (first.id,))


async def test_a_chain_that_is_too_long_ends_in_the_dead_letters_with_its_path(autojump_clock: MockClock) -> None:
    """An organisation that talks to itself for ever is stopped, and can be looked at."""
    last = event("x")
    for _ in range(MAX_HOPS + 1):
        last = follow(event("x"), last)
    async with open_runtime() as runtime:
        await load(runtime, FakeActor())
        await runtime.inject(last)
        await trio.sleep(1)
        letter = only(runtime.dead_letters())

    assert letter.reason == "loop"
    assert " > ".join(last.ancestors) in letter.last_error


async def test_a_rejected_event_ends_in_the_dead_letters() -> None:
    """At once, with the reason."""
    async with open_runtime() as runtime:
        await load(runtime, FakeActor(Rejected("no such repository")))
        await runtime.inject(CHANGE)
        assert await runtime.drain(timeout_s=5)
        letter = only(runtime.dead_letters())

    assert (letter.reason, letter.last_error) == ("rejected", "no such repository")


async def test_every_obligation_is_accounted_for(autojump_clock: MockClock) -> None:
    """Admitted is what was delivered, dropped, given up, and is still under way."""
    actor = FakeActor(Delivered(), Rejected("no"), Failed("later"), 1000.0)
    async with open_runtime() as runtime:
        await load(runtime, actor, routes=delivery(retry={"max_attempts": 1}, timeout="2000s"))
        await runtime.inject([CHANGE] * 5)
        await trio.sleep(1)
        (module,) = runtime.statistics().modules
        counts = module.routes["r"]

    assert (counts.admitted, counts.delivered, counts.dead, counts.in_flight) == (5, 1, 2, 2)


# -- modules -----------------------------------------------------------------------------------------------------------


async def test_every_fault_of_a_module_is_told_and_nothing_is_loaded() -> None:
    """What cannot be found, built or compiled, with its path."""
    changes = config(transforms=[{"name": "t", "type": "no-such"}])
    changes["routes"][0] |= {"transforms": ["t"], "then": {"actor": "agent", "delivery": {"queue_dept": 3}}}
    async with open_runtime() as runtime:
        with pytest.raises(ConfigError) as caught:
            await runtime.load_module(changes)
        assert runtime.modules() == ()

    assert "queue_depth" in str(caught.value)
    assert {fault.path[0] for fault in caught.value.faults} == {"actors", "routes", "sources"}


async def test_a_name_is_loaded_once() -> None:
    """The second is refused, the first goes on."""
    async with open_runtime() as runtime:
        await load(runtime, FakeActor())
        with pytest.raises(ModuleError, match="'m' is loaded already"):
            await load(runtime, FakeActor())
        assert [module.state for module in runtime.modules()] == ["active"]


async def test_a_module_that_does_not_start_leaves_nothing_behind(autojump_clock: MockClock) -> None:
    """An actor that cannot be entered: no module, no route, and the name is free."""

    class Unenterable(FakeActor):
        async def __aenter__(self) -> None:
            raise OSError("no connection")

        async def __aexit__(self, *_: object) -> None: ...

    async with open_runtime() as runtime:
        with pytest.raises(ModuleError, match="no connection"):
            await load(runtime, Unenterable())
        assert runtime.modules() == ()
        assert await load(runtime, FakeActor()) == "m"


async def test_what_a_module_has_not_done_waits_for_the_next_of_its_name(autojump_clock: MockClock) -> None:
    """Unloaded with three obligations open, loaded again, all three are delivered, in order."""
    stuck, actor = FakeActor(10_000.0), FakeActor()
    async with open_runtime() as runtime:
        await load(runtime, stuck, routes=delivery(timeout="20000s"))
        await runtime.inject([{**CHANGE, "payload": number} for number in range(3)])
        await trio.sleep(1)
        assert await runtime.unload_module("m", drain_s=2) == 3
        assert runtime.statistics().parked == {"m": 3}
        await load(runtime, actor)
        assert await runtime.drain(timeout_s=5)

    assert [one.payload for one in actor.events] == [0, 1, 2]


async def test_an_unload_lets_what_is_under_way_end(autojump_clock: MockClock) -> None:
    """It has the time that it is given."""
    actor = FakeActor(3.0)
    async with open_runtime() as runtime:
        await load(runtime, actor)
        await runtime.inject(CHANGE)
        await trio.sleep(1)
        assert await runtime.unload_module("m", drain_s=5) == 0

    assert len(actor.events) == 1


async def test_an_event_that_is_none_admits_nothing() -> None:
    """All of a batch, or none of it, and every fault is named."""
    async with open_runtime() as runtime:
        await load(runtime, FakeActor())
        with pytest.raises(EventError, match="type must be one of"):
            await runtime.inject([CHANGE, {"source": "github", "type": "weather"}])
        (module,) = runtime.statistics().modules
        assert module.routes["r"].admitted == 0


# -- crashes -----------------------------------------------------------------------------------------------------------

CRASHES = [
    OSError("plain"),
    ExceptionGroup("several", [OSError("a"), ValueError("b")]),
    SystemExit(3),
    KeyboardInterrupt(),
    BaseExceptionGroup("mixed", [OSError("a"), SystemExit(3)]),
]


@pytest.mark.parametrize("crash", CRASHES, ids=repr)
async def test_an_actor_that_crashes_in_any_way_takes_down_nobody_else(
    crash: BaseException, autojump_clock: MockClock
) -> None:
    """It is restarted, its event is delivered in the next life, and the other module does not notice."""
    crashing, steady = FakeActor(crash), FakeActor()
    async with open_runtime() as runtime:
        await load(runtime, crashing)
        await load(runtime, steady, metadata={"name": "n"})
        await runtime.inject(CHANGE, module="m")
        await runtime.inject(CHANGE, module="n")
        await trio.sleep(30)
        assert [module.state for module in runtime.modules()] == ["active", "active"]

    assert (len(crashing.events), len(steady.events)) == (2, 1)


@pytest.mark.parametrize("crash", CRASHES, ids=repr)
async def test_a_source_that_crashes_in_any_way_is_polled_again(
    crash: BaseException, autojump_clock: MockClock
) -> None:
    """From where it was."""
    actor = FakeActor()
    source = FakePolledSource(crash, Polled([event("x")], "c1"))
    async with open_runtime() as runtime:
        await load(runtime, actor, source)
        await trio.sleep(30)

    assert len(actor.events) == 1


async def test_a_module_that_gives_up_is_failed_and_tried_again(autojump_clock: MockClock) -> None:
    """Its obligations are kept, and the other module does not notice."""

    class Hopeless:
        mended = False
        delivered = 0

        async def deliver(self, delivery: Delivery) -> Outcome:
            if not self.mended:
                raise OSError("hopeless")
            self.delivered += 1
            return Delivered()

    hopeless, steady = Hopeless(), FakeActor()
    async with open_runtime() as runtime:
        await load(runtime, steady, metadata={"name": "n"})
        lasting = {"max_attempts": 1000, "initial_delay": "1ms", "max_delay": "1ms"}
        await load(runtime, hopeless, routes=delivery(retry=lasting), supervision={"intensity": 0})
        await runtime.inject(CHANGE, module="m")
        await trio.sleep(0.5)
        assert {module.name: module.state for module in runtime.modules()} == {"n": "active", "m": "failed"}

        hopeless.mended = True
        await trio.sleep(1000)
        assert {module.name: module.state for module in runtime.modules()} == {"n": "active", "m": "active"}
    assert hopeless.delivered == 1


# -- again -------------------------------------------------------------------------------------------------------------


async def test_what_was_not_settled_is_delivered_by_the_next_run(tmp_path: Path) -> None:
    """And what was is not: same key, one attempt more."""
    first, second = FakeActor(Delivered(), 10_000.0), FakeActor()
    async with open_runtime(home=tmp_path) as runtime:
        await load(runtime, first)
        await runtime.inject([{**CHANGE, "payload": number} for number in range(3)])
        await until(lambda: len(first.events) >= 2)
    async with open_runtime(home=tmp_path) as runtime:
        await load(runtime, second)
        await until(lambda: len(second.events) >= 2)

    assert [one.payload for one in second.events] == [1, 2]
    assert second.deliveries[0].idempotency_key == first.deliveries[1].idempotency_key
    assert second.deliveries[0].attempt > first.deliveries[1].attempt


async def test_a_source_goes_on_where_it_was_durable(tmp_path: Path) -> None:
    """The checkpoint of the last run is what the next one polls from."""
    first = FakePolledSource(Polled([event("x")], "c1"))
    second = FakePolledSource()
    actor = FakeActor()
    async with open_runtime(home=tmp_path) as runtime:
        await load(runtime, actor, first)
        await until(lambda: bool(actor.events))
    async with open_runtime(home=tmp_path) as runtime:
        await load(runtime, FakeActor(), second)
        await until(lambda: bool(second.checkpoints))

    assert second.checkpoints[0] == "c1"


async def test_callbacks_hear_the_phases_that_they_asked_for() -> None:
    """One phase, or a family of them."""
    heard: list[str] = []

    def hear(notice: Notice) -> None:
        heard.append(notice.phase)

    async with open_runtime() as runtime:
        runtime.on("route.match", hear)
        runtime.on("deliver.", hear)
        await load(runtime, FakeActor())
        await runtime.inject(CHANGE)
        assert await runtime.drain(timeout_s=5)

    assert heard == ["route.match", "deliver.attempt", "deliver.success"]


async def test_what_the_block_raises_comes_out_as_it_is(tmp_path: Path) -> None:
    """No nursery of ours puts a group around it."""
    error = ValueError("the block's own")

    with pytest.raises(ValueError, match="the block's own") as caught:
        async with open_runtime(home=tmp_path):
            raise error

    assert caught.value is error


async def test_a_module_cannot_have_a_bus_of_its_own() -> None:
    """One that is written, and is not what runs, would be ignored in silence."""
    async with open_runtime() as runtime:
        with pytest.raises(ConfigError, match="share its bus, which is memory"):
            await load(runtime, FakeActor(), bus="file")
        await load(runtime, FakeActor(), bus="memory")


class Told(MemoryBus):
    """A bus that remembers in which order it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []

    def settle(self, settlements: Sequence[Settlement], *, notes: Sequence[Note] = ()) -> None:
        self.asked += [settlement.outcome for settlement in settlements]

    async def flush(self) -> None:
        self.asked.append("flush")
        await super().flush()


async def test_what_a_drain_has_said_to_be_done_is_durable(autojump_clock: MockClock) -> None:
    """Also if it looks in the very moment between an end and its being handed to the log."""
    bus = Told()
    async with open_runtime(bus=bus) as runtime:
        bus.asked.clear()
        runtime._services.settler.end(1, "no_route")
        assert await runtime.drain(timeout_s=5)

        assert bus.asked == ["no_route", "flush"]
