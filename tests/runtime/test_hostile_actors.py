"""Actors that hang, always fail, or are far too slow: others go on, memory stays, and nothing is lost."""

from __future__ import annotations

import resource
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from orgloop.delivery.dead_letters import Damaged, DeadLetter
from orgloop.runtime.runtime import Runtime, open_runtime
from orgloop.runtime.statistics import RouteCounts
from orgloop.sdk import Actor, Delivered, Delivery, Failed, Outcome
from orgloop.testing import FakePolledSource

CHANGE = {"source": "source", "type": "resource.changed"}
STEADY_S = 0.05
"""What the latency of another actor may be, in virtual time."""


class Timed:
    """An actor that is quick, and remembers when it was reached after the event was made."""

    def __init__(self) -> None:
        self.latencies_s: list[float] = []

    async def deliver(self, delivery: Delivery) -> Outcome:
        self.latencies_s.append(trio.current_time() - delivery.event.payload)
        return Delivered()


class Slow:
    """An actor that takes its time."""

    def __init__(self, takes_s: float) -> None:
        self.takes_s = takes_s
        self.delivered = 0

    async def deliver(self, delivery: Delivery) -> Outcome:
        await trio.sleep(self.takes_s)
        self.delivered += 1
        return Delivered()


class Failing:
    """An actor that never succeeds."""

    async def deliver(self, delivery: Delivery) -> Outcome:
        await trio.lowlevel.checkpoint()
        return Failed("no connection")


async def load(runtime: Runtime, actors: dict[str, Actor], **delivery: Any) -> None:
    """A module in which changes go to all of these actors, messages to ``steady``; the options are for the others."""
    routes = []
    for id_ in actors:
        types = ["resource.changed", "message.received"] if id_ == "steady" else ["resource.changed"]
        options = {"overflow": "block"} if id_ == "steady" else delivery
        when, then = {"source": "source", "events": types}, {"actor": id_, "delivery": options}
        routes.append({"name": id_, "when": when, "then": then})
    config = {
        "metadata": {"name": "m"},
        "sources": [{"id": "source", "connector": "given"}],
        "actors": [{"id": id_, "connector": "given"} for id_ in actors],
        "routes": routes,
    }
    await runtime.load_module(config, sources={"source": FakePolledSource()}, actors=actors)


async def send(runtime: Runtime, events: int, *, every_s: float = 0.1) -> None:
    """Events at a steady pace, each with the time at which it was made."""
    for _ in range(events):
        await runtime.inject({**CHANGE, "payload": trio.current_time()})
        await trio.sleep(every_s)


def counts(runtime: Runtime) -> dict[str, RouteCounts]:
    """The counts of every route."""
    (module,) = runtime.statistics().modules
    return dict(module.routes)


def reasons(letters: Sequence[DeadLetter | Damaged]) -> Counter[tuple[str, str]]:
    """How many dead letters there are, by reason and last error."""
    return Counter((one.reason, one.last_error) for one in letters if isinstance(one, DeadLetter))


async def test_an_actor_that_hangs_is_given_up_on_and_others_go_on(autojump_clock: MockClock) -> None:
    """Every attempt ends at its deadline, every event in the dead letters, and nobody else waits for it."""
    steady = Timed()
    async with open_runtime() as runtime:
        once = {"max_attempts": 1}
        await load(runtime, {"steady": steady, "hangs": Slow(10**9)}, timeout="2s", retry=once)
        await send(runtime, 20)
        await trio.sleep(1000)
        found, letters = counts(runtime), runtime.dead_letters()

    assert len(steady.latencies_s) == 20
    assert max(steady.latencies_s) <= STEADY_S
    assert (found["hangs"].admitted, found["hangs"].dead, found["hangs"].in_flight) == (20, 20, 0)
    assert reasons(letters) == {("retries_exhausted", "no answer within 2 s"): 20}


async def test_an_actor_that_always_fails_ends_in_the_dead_letters_and_others_go_on(autojump_clock: MockClock) -> None:
    """All of its events, each after its attempts, with what the actor has said."""
    steady = Timed()
    async with open_runtime() as runtime:
        await load(runtime, {"steady": steady, "fails": Failing()}, retry={"initial_delay": "10ms"})
        await send(runtime, 20)
        await trio.sleep(3000)
        found, letters = counts(runtime), runtime.dead_letters()

    assert max(steady.latencies_s) <= STEADY_S
    assert (found["fails"].admitted, found["fails"].dead, found["fails"].in_flight) == (20, 20, 0)
    assert reasons(letters) == {("retries_exhausted", "no connection"): 20}
    assert {one.attempts for one in letters if isinstance(one, DeadLetter)} == {3}


async def test_an_actor_that_is_ten_times_too_slow_is_behind_and_loses_nothing(autojump_clock: MockClock) -> None:
    """What is not delivered yet is in flight, then it is delivered; the other actor is never behind."""
    steady, slow = Timed(), Slow(1.0)
    async with open_runtime() as runtime:
        await load(runtime, {"steady": steady, "slow": slow})
        await send(runtime, 100)
        behind = counts(runtime)["slow"]
        await trio.sleep(120)
        caught_up = counts(runtime)["slow"]

    assert max(steady.latencies_s) <= STEADY_S
    assert 85 <= behind.in_flight <= 95
    assert behind.delivered + behind.in_flight == behind.admitted == 100
    assert (caught_up.delivered, caught_up.in_flight, slow.delivered) == (100, 0, 100)


async def test_what_a_slow_actor_has_no_room_for_is_kept_with_its_reason(autojump_clock: MockClock) -> None:
    """The oldest that wait go to the dead letters, the rest is delivered, and the sum is exact."""
    slow = Slow(1.0)
    async with open_runtime() as runtime:
        await load(runtime, {"slow": slow}, queue_depth=10)
        await send(runtime, 100)
        await trio.sleep(120)
        found, letters = counts(runtime)["slow"], runtime.dead_letters()

    assert found.delivered + found.dead == found.admitted == 100
    assert found.in_flight == 0
    assert found.delivered == slow.delivered
    assert reasons(letters) == {("backpressure", ""): found.dead}
    assert found.dead > 70


# -- in real time, with a real log -------------------------------------------------------------------------------------

EVENTS, BATCH = 100_000, 500
FLAT_KIB = 8 * 1024
BACKLOG_KIB = 64 * 1024
"""What a backlog of so many may cost: some 500 bytes each, for positions; the events alone have 200 MB."""


class Forgetting:
    """An actor that takes everything, and keeps nothing of it."""

    async def deliver(self, delivery: Delivery) -> Outcome:
        return Delivered()


def peak_kib() -> int:
    """The highest RSS so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


async def flood(runtime: Runtime, events: int, **fields: Any) -> None:
    """So many events, as fast as the steady actor takes them, until it has taken all."""
    batch = [{**CHANGE, "payload": {"pad": "x" * 2000}, **fields}] * BATCH
    before = counts(runtime)["steady"].delivered
    with trio.fail_after(120):
        for sent in range(BATCH, events + 1, BATCH):
            await runtime.inject(batch)
            while sent - (counts(runtime)["steady"].delivered - before) > 4 * BATCH:  # noqa: ASYNC110 - in real time
                await trio.sleep(0.001)
        while counts(runtime)["steady"].delivered < before + events:  # noqa: ASYNC110 - in real time
            await trio.sleep(0.01)


@pytest.mark.slow
async def test_memory_is_flat_over_100_000_events_beside_an_actor_that_hangs(tmp_path: Path) -> None:
    """What it does not take costs what it cost, however much passes by."""
    async with open_runtime(home=tmp_path) as runtime:
        await load(runtime, {"steady": Forgetting(), "hangs": Slow(10**9)}, timeout="1h")
        await flood(runtime, 500)
        await flood(runtime, EVENTS // 10, type="message.received")
        before_kib = peak_kib()
        await flood(runtime, EVENTS, type="message.received")
        found, grown_kib = counts(runtime), peak_kib() - before_kib

    print(f"{EVENTS:,} events passed by: {grown_kib / 1024:.1f} MiB")
    assert (found["hangs"].admitted, found["hangs"].in_flight) == (500, 500)
    assert found["steady"].delivered == 500 + EVENTS // 10 + EVENTS
    assert grown_kib <= FLAT_KIB


@pytest.mark.slow
async def test_a_backlog_of_100_000_events_is_kept_as_positions(tmp_path: Path) -> None:
    """Behind an actor that hangs, while another takes all of them."""
    async with open_runtime(home=tmp_path) as runtime:
        await load(runtime, {"steady": Forgetting(), "hangs": Slow(10**9)}, timeout="1h", overflow="block")
        await flood(runtime, EVENTS // 20)
        before_kib = peak_kib()
        await flood(runtime, EVENTS)
        found, grown_kib = counts(runtime)["hangs"], peak_kib() - before_kib

    print(f"{EVENTS:,} events of 2 KB behind an actor that hangs: {grown_kib / 1024:.0f} MiB")
    assert found.in_flight == found.admitted == EVENTS + EVENTS // 20
    assert grown_kib <= BACKLOG_KIB
