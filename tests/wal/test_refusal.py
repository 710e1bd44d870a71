"""A disk that refuses: nothing is admitted that was not written, and all goes on when it can."""

from __future__ import annotations

import errno

import pytest
import trio
from trio.testing import MockClock

from orgloop.errors import WalFailed
from orgloop.wal import Wal, WalLimits, open_wal
from tests.wal.disk import MemoryDisk, MemoryHandle, refused
from tests.wal.stage import SMALL, event, events, open_events, settled


@pytest.fixture
def disk() -> MemoryDisk:
    return MemoryDisk()


async def test_a_refused_append_is_not_admitted(autojump_clock: MockClock, disk: MemoryDisk) -> None:
    """Neither now nor after a restart, and its number goes to another."""
    async with open_wal(disk, limits=SMALL) as wal:
        disk.fail(at=2, error=refused())
        with pytest.raises(WalFailed, match=r"nothing was admitted: \[Errno 5\] EIO"):
            await wal.append([event(1)], notes=[("checkpoint", "m/s", 1)])
        await trio.sleep(1)
        assert await wal.append([event(2)]) == [1]
        assert wal.note("checkpoint", "m/s") is None

    assert await open_events(disk) == {1: 2}


async def test_who_waits_behind_a_refused_batch_is_refused_too(autojump_clock: MockClock) -> None:
    """Its numbers would have a gap before them."""
    disk = MemoryDisk(delay_s=1)
    refusals = []

    async def append(wal: Wal, number: int) -> None:
        try:
            await wal.append([event(number)])
        except WalFailed as exc:
            refusals.append(exc)

    async with open_wal(disk) as wal, trio.open_nursery() as nursery:
        disk.fail(error=refused())
        nursery.start_soon(append, wal, 1)
        await trio.sleep(0.5)
        nursery.start_soon(append, wal, 2)

    assert len(refusals) == 2


async def test_while_it_is_failed_it_says_so(autojump_clock: MockClock, disk: MemoryDisk) -> None:
    """State, reason, and a refusal at once."""
    async with open_wal(disk, limits=SMALL) as wal:
        disk.fail(error=refused(errno.ENOSPC), sticky=True)
        for _ in range(2):
            with pytest.raises(WalFailed, match="ENOSPC"):
                await wal.append([event(1)])
        wal.settle(settled(1))
        with pytest.raises(WalFailed, match="ENOSPC"):
            await wal.flush()

        assert (wal.status().state, wal.status().error) == ("failed", "[Errno 28] ENOSPC")
        disk.recover()


async def test_it_heals_when_the_disk_does(autojump_clock: MockClock, disk: MemoryDisk) -> None:
    """By itself, in a new segment, within the time that it tries again after."""
    async with open_wal(disk, limits=WalLimits(heal_every_s=1)) as wal:
        disk.fail(error=refused(), sticky=True)
        with pytest.raises(WalFailed):
            await wal.append([event(1)])
        await trio.sleep(100)
        disk.recover()
        await trio.sleep(1)

        assert await wal.append([event(2)]) == [1]
        assert wal.status().state == "ok"
        assert wal.status().segments == 2


async def test_settlements_outlive_a_refusal(autojump_clock: MockClock, disk: MemoryDisk) -> None:
    """They are written with the first commit after it, and their notes with them."""
    async with open_wal(disk, limits=SMALL) as wal:
        await wal.append([event(1)])
        disk.fail(error=refused())
        wal.settle(settled(1), notes=[("mark", "k", 1)])
        with pytest.raises(WalFailed):
            await wal.flush()
        await trio.sleep(1)

    async with open_wal(disk) as wal:
        assert list(wal.unsettled()) == []
        assert wal.note("mark", "k") == 1


async def test_half_a_write_is_finished(disk: MemoryDisk) -> None:
    """A disk that takes less than it is given is asked again."""
    async with open_wal(disk) as wal:
        disk.fail(short=True, sticky=True)
        await wal.append(events(range(5)))

    assert len(await open_events(disk)) == 5


async def test_a_disk_that_takes_nothing_is_refusing(autojump_clock: MockClock) -> None:
    """Or the committer would ask for ever."""

    class Deaf(MemoryHandle):
        def write(self, content: bytes) -> int:
            return super().write(content) if content.startswith(b'{"segment"') else 0

    class DeafDisk(MemoryDisk):
        def create(self, name: str) -> MemoryHandle:
            return Deaf(self, super().create(name)._file, name)

    async with open_wal(DeafDisk(), limits=SMALL) as wal:
        with pytest.raises(WalFailed, match="takes nothing"):
            await wal.append([event(1)])


async def test_a_file_that_somebody_else_changes_is_left_alone(autojump_clock: MockClock, disk: MemoryDisk) -> None:
    """Its end is not where it should be: nothing more is acknowledged from it."""
    async with open_wal(disk, limits=SMALL) as wal:
        await wal.append([event(1)])
        [name] = disk.files
        disk.files[name].content += b"{}\n"
        with pytest.raises(WalFailed, match="changed, or replaced, by somebody else"):
            await wal.append([event(2)])
        await trio.sleep(1)
        await wal.append([event(3)])

    assert await open_events(disk) == {1: 1, 2: 3}


async def test_a_file_that_somebody_removes_is_not_written_to(autojump_clock: MockClock, disk: MemoryDisk) -> None:
    """What is written into it would be gone with it."""
    async with open_wal(disk, limits=SMALL) as wal:
        disk.files.clear()
        with pytest.raises(WalFailed, match="No such file"):
            await wal.append([event(1)])
        await trio.sleep(1)
        assert await wal.append([event(2)]) == [1]
