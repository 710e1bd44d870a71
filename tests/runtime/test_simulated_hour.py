"""An hour of an organisation in seconds: polls, crashes, retries and power cuts in virtual time; its sums are exact."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import attrs
import pytest
import trio
from trio.testing import MockClock

from orgloop.bus import FileBus
from orgloop.delivery.dead_letters import DeadLetter
from orgloop.runtime.runtime import Runtime, open_runtime
from orgloop.sdk import Delivered, Delivery, EventBus, Failed, Outcome, Polled, PollFailed, Rejected
from orgloop.testing import event
from orgloop.wal import open_wal
from tests.wal.disk import MemoryDisk

HOUR_S = 3600
END_NAMES = ("delivered", "dropped", "dead")
MODULES, EVERY_S = 3, 5
RESTARTS = {"backoff": {"initial": "100ms", "maximum": "2s"}}


@attrs.define
class Feed:
    """A polled source with a number for a checkpoint, of which one poll in ten fails and one in fifty crashes."""

    chance: random.Random
    closed: bool = False

    async def poll(self, checkpoint: str | None) -> Polled:
        """One to three numbers."""
        await trio.sleep(self.chance.uniform(0, 0.5))
        lot, first = self.chance.random(), int(checkpoint or 0)
        if self.closed:
            return Polled()
        if lot < 0.1:
            raise PollFailed("503", retry_after_s=1)
        if lot < 0.12:
            raise OSError("the feed crashed")
        numbers = range(first, first + self.chance.randint(1, 3))
        return Polled([event(number, source="feed") for number in numbers], str(numbers.stop))


@attrs.define
class Worker:
    """An actor that does with a number what the number says, now and then crashes, and takes its time."""

    chance: random.Random
    delivered: Counter[int] = attrs.field(factory=Counter)

    async def deliver(self, delivery: Delivery) -> Outcome:
        """Every tenth number is dropped before; of the others some are refused, some never work, some work later."""
        number = delivery.event.payload
        await trio.sleep(self.chance.uniform(0, 0.3))
        if self.chance.random() < 0.02:
            raise OSError("the worker crashed")
        match number % 10:
            case 1:
                return Rejected("not this")
            case 2:
                return Failed("it never works")
            case 3 if delivery.attempt == 1:
                return Failed("not yet")
        self.delivered[number] += 1
        return Delivered()


def config(name: str) -> dict[str, Any]:
    """A module of the organisation."""
    when = {"source": "feed", "events": ["resource.changed"]}
    # A crash is a failed attempt, and there are to be enough of them for all that works in the end.
    delivery = {"retry": {"max_attempts": 8, "max_delay": "5s"}, "circuit_breaker": {"failure_threshold": 1000}}
    return {
        "metadata": {"name": name},
        "sources": [{"id": "feed", "connector": "given", "poll": {"interval": f"{EVERY_S}s"}, "supervision": RESTARTS}],
        "actors": [{"id": "worker", "connector": "given", "supervision": RESTARTS}],
        "transforms": [{"name": "no-tens", "type": "filter", "config": {"exclude": {"payload": "/0$/"}}}],
        "routes": [
            {"name": "r", "when": when, "transforms": ["no-tens"], "then": {"actor": "worker", "delivery": delivery}}
        ],
    }


async def load(runtime: Runtime, seed: int) -> dict[str, tuple[Feed, Worker]]:
    """All modules, by name."""
    parts = {}
    for number in range(MODULES):
        feed, worker = Feed(random.Random(seed + number)), Worker(random.Random(seed - number))
        name = await runtime.load_module(config(f"m{number}"), sources={"feed": feed}, actors={"worker": worker})
        parts[name] = feed, worker
    return parts


async def close_feeds(runtime: Runtime, parts: dict[str, tuple[Feed, Worker]]) -> None:
    """No more events, and time for those that there are."""
    for feed, _ in parts.values():
        feed.closed = True
    await trio.sleep(300)
    assert await runtime.drain(timeout_s=3000)


def ends(numbers: int) -> Counter[str]:
    """How the obligations of so many numbers end."""
    names = {0: "dropped", 1: "dead", 2: "dead"}
    return Counter(names.get(number % 10, "delivered") for number in range(numbers))


@pytest.mark.slow
async def test_an_hour_of_polls_crashes_and_retries_adds_up(autojump_clock: MockClock) -> None:
    """Every number was admitted once and had its end once, for each module, and nothing is in flight."""
    emitted = Counter[str]()
    async with open_runtime() as runtime:
        runtime.on("source.emit", lambda notice: emitted.update([notice.module or ""]))
        parts = await load(runtime, seed=1)
        await trio.sleep(HOUR_S)
        await close_feeds(runtime, parts)
        modules = {module.name: module for module in runtime.statistics().modules}
        letters = Counter(one.module for one in runtime.dead_letters(limit=10**6) if isinstance(one, DeadLetter))

    for name, (_, worker) in parts.items():
        counts = modules[name].routes["r"]
        expected = ends(counts.admitted)
        assert counts.admitted == emitted[name] > HOUR_S / EVERY_S
        assert (counts.delivered, counts.dropped, counts.dead) == tuple(expected[end] for end in END_NAMES)
        assert counts.in_flight == 0
        assert set(worker.delivered.values()) == {1}
        assert worker.delivered.total() == counts.delivered
        assert letters[name] == counts.dead
        assert modules[name].state == "active"


@pytest.mark.slow
async def test_an_hour_in_which_the_power_goes_every_five_minutes_adds_up(autojump_clock: MockClock) -> None:
    """Each start goes on where it was durable: all numbers of every feed, none left out, few delivered twice."""
    disk, delivered = MemoryDisk(), {f"m{number}": Counter[int]() for number in range(MODULES)}
    for life in range(12):
        async with open_wal(disk) as wal, open_runtime(bus=FileBus(wal)) as runtime:
            parts = await load(runtime, seed=life)
            await trio.sleep(HOUR_S / 12)
            durable = MemoryDisk.of({name: file.durable for name, file in disk.files.items()})
            collect(delivered, parts)
        disk = durable
    async with open_wal(disk) as wal:
        bus: EventBus = FileBus(wal)
        async with open_runtime(bus=bus) as runtime:
            parts = await load(runtime, seed=99)
            await close_feeds(runtime, parts)
            collect(delivered, parts)
            assert bus.status()["open_events"] == 0
        checkpoints = {name: int(wal.note("checkpoint", f"{name}/feed")["checkpoint"]) for name in delivered}

    for name, numbers in delivered.items():
        assert set(numbers) == {number for number in range(checkpoints[name]) if number % 10 > 2}
        assert checkpoints[name] > HOUR_S / EVERY_S
        assert numbers.total() - len(numbers) <= 12 * 10, "of each life no more than what was not yet durable"


def collect(delivered: dict[str, Counter[int]], parts: dict[str, tuple[Feed, Worker]]) -> None:
    """What the workers of a life have delivered."""
    for name, (_, worker) in parts.items():
        delivered[name] += worker.delivered
