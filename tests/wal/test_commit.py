"""One committer for all who wait: few syncs, no gaps, nothing admitted that was refused."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from orgloop.errors import Closed
from orgloop.wal import Wal, WalLimits, open_wal
from orgloop.wal.batch import Batch
from tests.wal.disk import MemoryDisk
from tests.wal.stage import event, events, open_events, payloads, settled


@pytest.fixture
def disk() -> MemoryDisk:
    return MemoryDisk()


# -- group commit ------------------------------------------------------------------------------------------------------


async def test_who_appends_at_the_same_time_shares_a_sync(disk: MemoryDisk) -> None:
    """A hundred appends, one write and one sync."""
    async with open_wal(disk) as wal:
        before = disk.operations
        async with trio.open_nursery() as nursery:
            for number in range(100):
                nursery.start_soon(wal.append, [event(number)])

        assert disk.operations - before == 2


async def test_who_comes_during_a_sync_shares_the_next(autojump_clock: MockClock) -> None:
    """However many they are."""
    disk = MemoryDisk(delay_s=1)
    async with open_wal(disk) as wal, trio.open_nursery() as nursery:
        nursery.start_soon(wal.append, [event(0)])
        await trio.sleep(0.5)
        before = disk.operations
        for number in range(1, 100):
            nursery.start_soon(wal.append, [event(number)])
        await trio.sleep(2.5)

        assert disk.operations - before == 4, "two writes, two syncs"
        assert len(await payloads(wal)) == 100


async def test_sequences_have_no_gap_whoever_appends(disk: MemoryDisk) -> None:
    """And each caller gets its own."""
    given: dict[int, int] = {}

    async def append(wal: Wal, number: int) -> None:
        [given[number]] = await wal.append([event(number)])

    async with open_wal(disk) as wal, trio.open_nursery() as nursery:
        for number in range(50):
            nursery.start_soon(append, wal, number)

    assert sorted(given.values()) == list(range(1, 51))
    assert await open_events(disk) == {sequence: number for number, sequence in given.items()}


async def test_settlements_ride_along(disk: MemoryDisk) -> None:
    """They cost no sync of their own."""
    async with open_wal(disk) as wal:
        await wal.append(events(range(3)))
        before = disk.operations
        wal.settle(settled(1))
        wal.settle(settled(2))
        await wal.append([event(3)])

        assert disk.operations - before == 2


async def test_an_append_of_nothing_touches_no_disk(disk: MemoryDisk) -> None:
    """No events, no notes."""
    async with open_wal(disk) as wal:
        before = disk.operations

        assert await wal.append([]) == []
        assert disk.operations == before


async def test_flush_waits_for_what_is_being_written(autojump_clock: MockClock) -> None:
    """A settlement that was taken by the committer, and is not yet on the disk, is not durable."""
    disk = MemoryDisk(delay_s=1)
    async with open_wal(disk) as wal:
        await wal.append([event(1)])
        wal.settle(settled(1))
        await trio.sleep(0.5)
        await wal.flush()
        images = list(disk.images())

    for image in images:
        assert await open_events(image) == {}


async def test_flush_waits_for_nothing_if_nothing_waits(disk: MemoryDisk) -> None:
    """All is durable."""
    async with open_wal(disk) as wal:
        await wal.append([event(1)])
        before = disk.operations
        await wal.flush()

        assert disk.operations == before


async def test_appends_wait_while_too_much_waits(autojump_clock: MockClock) -> None:
    """Memory is bounded: what is in the queue, and one batch that is being written."""
    disk, done = MemoryDisk(delay_s=1), list[int]()
    limits = WalLimits(waiting_bytes=10_000)

    async def append(wal: Wal, number: int) -> None:
        await wal.append([event(number, text="x" * 1000)])
        done.append(number)

    async with open_wal(disk, limits=limits) as wal, trio.open_nursery() as nursery:
        for number in range(100):
            nursery.start_soon(append, wal, number)
        await wait_all_tasks_blocked()
        assert wal._batch.waiting_bytes < 12_000
        await trio.sleep(1.5)
        assert 0 < len(done) <= 12

    assert len(done) == 100


# -- the end -----------------------------------------------------------------------------------------------------------


async def test_an_append_after_the_end_is_refused(disk: MemoryDisk) -> None:
    """It would never be written."""
    async with open_wal(disk) as wal:
        pass
    with pytest.raises(Closed):
        await wal.append([event(1)])


async def test_a_flush_after_the_end_does_not_hang(disk: MemoryDisk) -> None:
    """What was settled too late comes back."""
    async with open_wal(disk) as wal:
        pass
    await wal.flush()
    wal.settle(settled(1))
    with pytest.raises(Closed):
        await wal.flush()


async def test_the_end_commits_what_waits(autojump_clock: MockClock) -> None:
    """An append that is under way when the block is left is finished."""
    disk = MemoryDisk(delay_s=1)
    async with trio.open_nursery() as nursery, open_wal(disk) as wal:
        nursery.start_soon(wal.append, [event(1)])
        await wait_all_tasks_blocked()
        nursery.start_soon(wal.append, [event(2)])
        await wait_all_tasks_blocked()

    assert await open_events(disk) == {1: 1, 2: 2}


async def test_an_append_that_found_no_room_before_the_end_is_refused(autojump_clock: MockClock) -> None:
    """Closed, and not admitted."""
    disk = MemoryDisk(delay_s=1)
    with pytest.RaisesGroup(Closed):
        async with trio.open_nursery() as nursery, open_wal(disk, limits=WalLimits(waiting_bytes=1)) as wal:
            nursery.start_soon(wal.append, [event(1)])
            await trio.sleep(0.5)
            nursery.start_soon(wal.append, [event(2)])
            await wait_all_tasks_blocked()
            nursery.start_soon(wal.append, [event(3)])
            await wait_all_tasks_blocked()

    assert await open_events(disk) == {1: 1, 2: 2}


async def test_an_error_of_the_block_comes_out_as_it_is(disk: MemoryDisk) -> None:
    """Not in a group; and what was appended before it is there."""

    async def leave() -> None:
        async with open_wal(disk) as wal:
            await wal.append([event(1)])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await leave()

    assert await open_events(disk) == {1: 1}


async def test_a_fault_of_the_committer_ends_the_block(disk: MemoryDisk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bug of ours: who waits for it is not left waiting."""
    monkeypatch.setattr(Batch, "lines", lambda *args: 1 / 0)
    with pytest.RaisesGroup(ZeroDivisionError):
        async with open_wal(disk) as wal:
            await wal.append([event(1)])


async def test_a_cancelled_block_still_commits(autojump_clock: MockClock) -> None:
    """The committer is closed, not cancelled."""
    disk = MemoryDisk(delay_s=1)
    with trio.CancelScope() as scope:
        async with open_wal(disk) as wal:
            await wal.append([event(1)])
            scope.deadline = trio.current_time() + 0.5
            wal.settle(settled(1))
            await trio.sleep_forever()

    assert await open_events(disk) == {}
