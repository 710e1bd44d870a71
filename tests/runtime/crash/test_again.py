"""What the kills have found, each in its smallest form; what is marked is not kept yet."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import trio
from trio.testing import MockClock

from orgloop.bus import FileBus, MemoryBus
from orgloop.runtime.runtime import Runtime, open_runtime
from orgloop.sdk import Admitted, Delivered, Delivery, Outcome, Polled
from orgloop.testing import FakeActor, FakePolledSource, event
from orgloop.wal import open_wal
from tests.wal.disk import MemoryDisk

CHANGE = {"source": "source", "type": "resource.changed"}


def config() -> dict[str, Any]:
    """A module with one route."""
    when = {"source": "source", "events": ["resource.changed"]}
    then = {"actor": "actor", "delivery": {"timeout": "2000s"}}
    return {
        "metadata": {"name": "m"},
        "sources": [{"id": "source", "connector": "given", "poll": {"interval": "100ms"}}],
        "actors": [{"id": "actor", "connector": "given"}],
        "routes": [{"name": "r", "when": when, "then": then}],
    }


async def load(runtime: Runtime, actor: Any, *found: Polled) -> None:
    """Load it, with this for an actor, and with what its source finds."""
    await runtime.load_module(config(), sources={"source": FakePolledSource(*found)}, actors={"actor": actor})


async def test_what_waited_for_its_module_comes_before_what_comes_now(autojump_clock: MockClock) -> None:
    """I9: also what is admitted while the module is being loaded, and while its events are read back."""

    class Slow(MemoryBus):
        async def read(self, sequences: Sequence[int]) -> list[Admitted]:
            await trio.sleep(1)
            return await super().read(sequences)

    actor = FakeActor()
    async with open_runtime(bus=Slow()) as runtime:
        await load(runtime, FakeActor(1000.0))
        await runtime.inject({**CHANGE, "payload": "waited"})
        await trio.sleep(1)
        assert await runtime.unload_module("m", drain_s=0) == 1
        await load(runtime, actor, Polled([event("new", source="source")], "1"))
        await trio.sleep(10)

    assert [one.payload for one in actor.events] == ["waited", "new"]


async def test_a_drain_waits_for_what_an_earlier_run_has_left(autojump_clock: MockClock) -> None:
    """All of it, also what has not come from the bus yet, because a disk takes its time."""
    disk, actor = MemoryDisk(), FakeActor()
    async with open_wal(disk) as wal, open_runtime(bus=FileBus(wal)) as runtime:
        await load(runtime, FakeActor(1000.0))
        await runtime.inject([CHANGE] * 3)
    disk.delay_s = 1
    async with open_wal(disk) as wal, open_runtime(bus=FileBus(wal)) as runtime:
        await load(runtime, actor)
        assert await runtime.drain(timeout_s=100)
        assert len(actor.events) == 3


async def test_each_life_that_tries_has_a_higher_number_of_attempt(autojump_clock: MockClock) -> None:
    """I8: whatever was durable when the power went."""
    disk, attempts = MemoryDisk(), list[int]()
    for _ in range(4):
        disk, attempt = await one_attempt(disk)
        attempts.append(attempt)

    assert attempts == sorted(set(attempts))


async def test_a_stop_in_order_counts_what_it_has_cut_short_once(autojump_clock: MockClock) -> None:
    """However often the runtime is stopped before the attempt has ended."""
    disk, attempts = MemoryDisk(), list[list[int]]()
    for _ in range(3):
        actor = FakeActor(1000.0)
        async with open_wal(disk) as wal, open_runtime(bus=FileBus(wal)) as runtime:
            await load(runtime, actor)
            if not attempts:
                await runtime.inject([CHANGE] * 2)
            await trio.sleep(1)
        attempts.append([delivery.attempt for delivery in actor.deliveries])

    assert attempts == [[1], [2], [3]]


async def test_what_a_run_has_not_tried_begins_with_its_first_attempt(autojump_clock: MockClock) -> None:
    """That it has waited behind something else is no attempt."""
    disk, actor = MemoryDisk(), FakeActor()
    async with open_wal(disk) as wal, open_runtime(bus=FileBus(wal)) as runtime:
        await load(runtime, FakeActor(1000.0))
        await runtime.inject([CHANGE] * 2)
        await trio.sleep(1)
    async with open_wal(disk) as wal, open_runtime(bus=FileBus(wal)) as runtime:
        await load(runtime, actor)
        assert await runtime.drain(timeout_s=100)

    assert [delivery.attempt for delivery in actor.deliveries] == [2, 1]


async def one_attempt(disk: MemoryDisk) -> tuple[MemoryDisk, int]:
    """Let a runtime live until it has begun an attempt at its one event; what is durable then, and which it was."""
    left: list[tuple[MemoryDisk, int]] = []

    class Watched:
        async def deliver(self, delivery: Delivery) -> Outcome:
            durable = {name: file.durable for name, file in disk.files.items()}
            left.append((MemoryDisk.of(durable), delivery.attempt))
            return Delivered()

    async with open_wal(disk) as wal, open_runtime(bus=FileBus(wal)) as runtime:
        is_first = not wal.status().open_events
        await load(runtime, Watched())
        if is_first:
            await runtime.inject(CHANGE)
        await trio.sleep(1)
    return left[0]


async def test_what_a_crash_has_left_of_a_dead_letter_is_swept(tmp_path: Path) -> None:
    """By the next start, before anything is written there."""
    left_over = leave_behind(tmp_path / "data" / "dead-letters")
    async with open_runtime(home=tmp_path):
        pass

    assert not left_over.exists()


def leave_behind(directory: Path) -> Path:
    """The beginning of a file, under the name that it has until it is whole."""
    directory.mkdir(parents=True)
    left_over = directory / ".00000000000000000001-0123456789abcdef.json.0123456789abcdef.tmp"
    left_over.write_bytes(b"{")
    return left_over
