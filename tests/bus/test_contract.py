"""The contract of a bus, kept by each of ours."""

from __future__ import annotations

import itertools
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from orgloop.bus import FileBus, MemoryBus
from orgloop.bus.memory import REMEMBERED
from orgloop.errors import BusFull
from orgloop.sdk import EventBus, Query, Settlement
from orgloop.sdk.bus import MAX_FOUND
from orgloop.testing import OpenBus, bus_contract, event
from orgloop.wal import RealDisk, open_wal


@asynccontextmanager
async def open_memory() -> AsyncGenerator[EventBus]:
    yield MemoryBus()


NAMES = [name for name, _ in bus_contract(open_memory)]


@pytest.fixture
def open_file(tmp_path: Path) -> OpenBus:
    numbers = itertools.count()

    @asynccontextmanager
    async def open_file() -> AsyncGenerator[EventBus]:
        async with open_wal(RealDisk(tmp_path / str(next(numbers)))) as wal:
            yield FileBus(wal)

    return open_file


@pytest.mark.parametrize("name", NAMES)
async def test_the_memory_bus_keeps_the_contract(name: str) -> None:
    """All of it but durability, which it does not claim."""
    await dict(bus_contract(open_memory))[name]()


@pytest.mark.parametrize("name", NAMES)
async def test_the_file_bus_keeps_the_contract(name: str, open_file: OpenBus) -> None:
    """All of it, over a real log."""
    await dict(bus_contract(open_file))[name]()


async def test_a_full_memory_bus_refuses_the_whole_batch() -> None:
    """Nobody waits for room, because the actors that would make it may be those who publish."""
    bus = MemoryBus(max_events=2)
    first, _ = await bus.publish([event(), event()])

    with pytest.raises(BusFull, match="2 events are not settled"):
        await bus.publish([event()])

    bus.settle([Settlement(outcome="no_route", sequences=[first])])
    assert await bus.publish([event()]) == [3]


class Forgetful(MemoryBus):
    """A bus with a known defect: it tells the contract apart from a rubber stamp."""

    async def read(self, sequences: object) -> list[object]:  # type: ignore[override]
        return []


async def test_the_contract_finds_a_bus_that_does_not_keep_it() -> None:
    """A suite that accepts anything would prove nothing."""

    @asynccontextmanager
    async def open_forgetful() -> AsyncGenerator[EventBus]:
        yield Forgetful()  # type: ignore[misc]

    failed = [name for name, check in bus_contract(open_forgetful) if not await _passes(check)]

    assert failed == ["what_is_not_settled_can_be_read_again", "an_event_with_an_obligation_left_stays"]


async def _passes(check: Callable[[], object]) -> bool:
    try:
        await check()  # type: ignore[misc]
    except AssertionError:
        return False
    return True


async def test_a_memory_bus_remembers_the_last_events_and_all_that_are_not_settled() -> None:
    """And no others, or it would be full of what is over."""
    bus = MemoryBus()
    sequences = await bus.publish([event(number) for number in range(REMEMBERED + 10)])
    bus.settle([Settlement(outcome="no_route", sequences=sequences[1:])])
    await bus.publish([event("last")])

    found = await bus.history(Query(limit=MAX_FOUND))
    older = await bus.history(Query(before=found[-1].sequence))
    assert [one.sequence for one in found] == list(range(sequences[-1] + 1, sequences[-1] + 1 - REMEMBERED, -1))
    assert [(one.sequence, one.is_open) for one in older] == [(sequences[0], True)]

    bus.settle([Settlement(outcome="no_route", sequences=sequences[:1])])
    assert await bus.history(Query(before=found[-1].sequence)) == []
