"""The durable bus: what an earlier run has left, and what cannot be read any more."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio
import trio.testing

from orgloop.bus import FileBus
from orgloop.bus.file import RECOVERED_AT_ONCE
from orgloop.errors import WalFailed
from orgloop.event import Event
from orgloop.sdk import Admitted, Settlement
from orgloop.testing import event
from orgloop.wal import RealDisk, open_wal


@asynccontextmanager
async def opened(directory: Path) -> AsyncGenerator[FileBus]:
    async with open_wal(RealDisk(directory)) as wal:
        yield FileBus(wal)


async def left(directory: Path, *payloads: Any) -> list[int]:
    """Events that an earlier run has admitted, and not settled; their sequences."""
    async with opened(directory) as bus:
        return await bus.publish([event(payload) for payload in payloads])


async def receive(bus: FileBus, count: int) -> list[Admitted]:
    received: list[Admitted] = []
    with trio.fail_after(5):
        while len(received) < count:
            received += await bus.receive()
    return received


def damage(directory: Path, payload: str) -> None:
    """Change a byte of an event where it lies."""
    for path in directory.iterdir():
        content = path.read_bytes()
        if payload.encode() in content:
            path.write_bytes(content.replace(payload.encode(), b"#" * len(payload)))


def content_of(directory: Path) -> bytes:
    return b"".join(path.read_bytes() for path in directory.iterdir())


async def test_what_an_earlier_run_has_left_comes_back(tmp_path: Path) -> None:
    """The same events, under the same sequences, as recovered."""
    sequences = await left(tmp_path, "a", "b")
    async with opened(tmp_path) as bus:
        received = await receive(bus, 2)

    assert [admitted.sequence for admitted in received] == sequences
    assert [admitted.event.payload for admitted in received] == ["a", "b"]
    assert all(admitted.recovered for admitted in received)


async def test_it_comes_before_what_is_published_now(tmp_path: Path) -> None:
    """In order of sequence, though the new events were published before anybody received."""
    await left(tmp_path, *range(RECOVERED_AT_ONCE + 10))
    async with opened(tmp_path) as bus:
        await bus.publish([event("new")])
        received = await receive(bus, RECOVERED_AT_ONCE + 10)
        await bus.publish([event("newer")])
        received += await receive(bus, 2)

    assert [admitted.event.payload for admitted in received] == [*range(RECOVERED_AT_ONCE + 10), "new", "newer"]
    assert [admitted.recovered for admitted in received[-3:]] == [True, False, False]
    assert [admitted.sequence for admitted in received] == list(range(1, len(received) + 1))


async def test_what_was_settled_does_not_come_back(tmp_path: Path) -> None:
    """Only what has an obligation left."""
    async with opened(tmp_path) as bus:
        one, two, three = await bus.publish([event(n) for n in range(3)])
        bus.settle([Settlement(outcome="no_route", sequences=[two])])
    async with opened(tmp_path) as bus:
        received = await receive(bus, 2)

    assert [admitted.sequence for admitted in received] == [one, three]


async def test_the_obligations_that_have_ended_are_named(tmp_path: Path) -> None:
    """So that the router offers such an event to the other lanes only."""
    async with opened(tmp_path) as bus:
        sequences = await bus.publish([event(), event()])
        for route in ("one", "two"):
            end = Settlement(
                outcome="delivered", module="m", route=route, sequences=sequences[:1], still_open=sequences[:1]
            )
            bus.settle([end])
    async with opened(tmp_path) as bus:
        received = await receive(bus, 2)

    assert [admitted.settled for admitted in received] == [{("m", "one"), ("m", "two")}, set()]


async def test_what_is_read_again_is_still_of_an_earlier_run(tmp_path: Path) -> None:
    """A lane that keeps positions asks for events twice; that they may have been tried must not be forgotten."""
    sequences = await left(tmp_path, "a")
    async with opened(tmp_path) as bus:
        sequences += await bus.publish([event("b")])
        found = await bus.read(sequences)

    assert [(admitted.sequence, admitted.recovered) for admitted in found] == [(1, True), (2, False)]


async def test_notes_survive(tmp_path: Path) -> None:
    """The last of each, and none that was removed."""
    async with opened(tmp_path) as bus:
        await bus.publish([event()], notes=[("checkpoint", "a", "1"), ("checkpoint", "b", "1")])
        bus.settle([], notes=[("checkpoint", "a", "2"), ("checkpoint", "b", None)])
    async with opened(tmp_path) as bus:
        assert [bus.note("checkpoint", "a"), bus.note("checkpoint", "b")] == ["2", None]


async def test_a_recovery_that_is_cancelled_loses_nothing(tmp_path: Path) -> None:
    """Whoever receives next gets what was being read."""
    await left(tmp_path, "a", "b")
    async with opened(tmp_path) as bus:
        with trio.CancelScope() as scope:
            scope.cancel()
            await bus.receive()
        received = await receive(bus, 2)

    assert [admitted.event.payload for admitted in received] == ["a", "b"]


async def test_an_event_that_cannot_be_read_ends_visibly(tmp_path: Path) -> None:
    """It is settled as that, counted, and the status is no longer ok; the others flow."""
    await left(tmp_path, "first", "poison", "third")
    async with opened(tmp_path) as bus:
        damage(tmp_path, "poison")
        received = await receive(bus, 2)
        await bus.flush()
        status = bus.status()
        assert await bus.read([1, 2, 3]) == received

    assert [admitted.event.payload for admitted in received] == ["first", "third"]
    assert (status["state"], status["unreadable"], status["open_events"]) == ("degraded", 1, 2)
    assert b'"settle":"dead_letter(unreadable)","events":[2]' in content_of(tmp_path)


async def test_when_none_can_be_read_the_next_that_is_published_comes(tmp_path: Path) -> None:
    """Damage does not hold up what is new."""
    await left(tmp_path, *["poison"] * (RECOVERED_AT_ONCE + 1))
    async with opened(tmp_path) as bus:
        damage(tmp_path, "poison")
        await bus.publish([event("new")])
        (received,) = await receive(bus, 1)

    assert received.event.payload == "new"
    assert bus.status()["unreadable"] == RECOVERED_AT_ONCE + 1


@attrs.define(eq=False)
class SlowLog:
    """A log that is durable when it is told to be: all who wait are woken at once, in an order of its choosing."""

    next_sequence: int = 1
    waiting: list[trio.Event] = attrs.field(factory=list)
    refused: bool = False
    state: str = "ok"

    async def append(self, events: Any, *, notes: Any = ()) -> list[int]:
        sequences = list(range(self.next_sequence, self.next_sequence + len(events)))
        self.next_sequence += len(events)
        self.waiting.append(trio.Event())
        await self.waiting[-1].wait()
        if self.refused:
            raise WalFailed("nothing was admitted")
        return sequences

    def settle(self, settlements: Any, *, notes: Any = ()) -> None: ...
    async def flush(self) -> None: ...
    def note(self, kind: str, key: str) -> Any: ...

    def unsettled(self) -> Any:
        return iter(())

    async def read(self, sequences: Any) -> list[tuple[int, Event]]:
        return []

    def sizes(self, sequences: Any) -> list[int]:
        return [0 for _ in sequences]

    async def history(self, query: Any) -> list[Any]:
        return []

    def status(self) -> Any:
        return self


async def test_those_who_share_a_commit_are_handed_on_in_the_order_of_the_log(autojump_clock: trio.abc.Clock) -> None:
    """Whoever wakes first: an event is never received before one of a lower sequence."""
    log = SlowLog()
    bus = FileBus(log)
    received: list[Admitted] = []
    async with trio.open_nursery() as nursery:
        for payloads in ([0, 1], [2], [3, 4, 5]):
            nursery.start_soon(bus.publish, [event(payload) for payload in payloads])
            await trio.testing.wait_all_tasks_blocked()
        for place in (2, 0, 1):
            log.waiting[place].set()
            await trio.testing.wait_all_tasks_blocked()
            with trio.move_on_after(0.1):
                received += await bus.receive()

    assert [admitted.event.payload for admitted in received] == list(range(6))
    assert [admitted.sequence for admitted in received] == [1, 2, 3, 4, 5, 6]


async def test_what_becomes_durable_is_handed_on_though_its_publisher_was_cancelled(
    autojump_clock: trio.abc.Clock,
) -> None:
    """It is admitted, and would else wait for the next restart."""
    log = SlowLog()
    bus = FileBus(log)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(bus.publish, [event("a")])
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
        log.waiting[0].set()
    (received,) = await receive(bus, 1)

    assert received.event.payload == "a"


async def test_a_refused_publication_does_not_hold_up_the_next(autojump_clock: trio.abc.Clock) -> None:
    """Its sequences are given again."""
    log = SlowLog()
    bus = FileBus(log)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(refused, bus)
        await trio.testing.wait_all_tasks_blocked()
        log.refused = True
        log.waiting[0].set()
    log.refused, log.next_sequence = False, 1
    async with trio.open_nursery() as nursery:
        nursery.start_soon(bus.publish, [event("b")])
        await trio.testing.wait_all_tasks_blocked()
        log.waiting[1].set()

    assert [admitted.event.payload for admitted in await receive(bus, 1)] == ["b"]


async def refused(bus: FileBus) -> None:
    with pytest.raises(WalFailed):
        await bus.publish([event("a")])
