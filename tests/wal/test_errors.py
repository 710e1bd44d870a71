"""The disk refuses, at every operation of a run, once or until it is repaired: no false word, and it heals."""

from __future__ import annotations

import errno

import pytest
import trio

from orgloop.errors import WalFailed
from orgloop.wal import open_wal
from tests.wal.disk import MemoryDisk, refused
from tests.wal.stage import BATCHES, SMALL, Ledger, check, event, play, story
from tests.wal.test_crash import operations

CODES = (errno.EIO, errno.ENOSPC, errno.EMFILE)


async def run_with(disk: MemoryDisk, ledger: Ledger) -> None:
    """The story, on a disk that is repaired after three seconds, by a daemon that is started again if it must."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_repair, disk)
        try:
            await story(disk, ledger)
        except WalFailed:
            await trio.sleep(5)
            await story(disk, ledger)


async def _repair(disk: MemoryDisk) -> None:
    await trio.sleep(3)
    disk.recover()


@pytest.mark.slow
@pytest.mark.parametrize("code", CODES, ids=errno.errorcode.get)
@pytest.mark.parametrize("sticky", [False, True], ids=["once", "for a while"])
@pytest.mark.parametrize("short", [False, True], ids=["at once", "after half a write"])
def test_an_error_at_any_operation(code: int, sticky: bool, short: bool) -> None:
    """What was acknowledged is there, what failed is not touched again, and the last batch is admitted."""
    for at in range(1, operations() + 1):
        disk, ledger = MemoryDisk(), Ledger()
        disk.fail(at=at, error=refused(code), sticky=sticky, short=short)
        try:
            play(run_with, disk, ledger)
            play(check, disk, ledger)
            assert ledger.checkpoint == BATCHES - 1
            assert not disk.broken_rules
            assert disk.open_handles == 0
        except BaseException as exc:
            exc.add_note(f"at operation {at}")
            raise


@pytest.mark.slow
def test_a_short_write_at_any_operation() -> None:
    """The disk takes half and says so: nobody notices."""
    for at in range(1, operations() + 1):
        disk, ledger = MemoryDisk(), Ledger()
        disk.fail(at=at, short=True)
        play(story, disk, ledger)
        play(check, disk, ledger)
        assert len(ledger.acknowledged) == len(ledger.offered)


@pytest.mark.slow
def test_an_error_at_any_operation_of_a_recovery() -> None:
    """It says that it cannot be opened, and the next start is as good as this one would have been."""
    whole = MemoryDisk()
    ledger = Ledger()
    play(story, whole, ledger)
    torn = whole.contents()
    torn[max(torn)] += b'{"seq":'
    disk = MemoryDisk.of(torn)
    play(check, disk, ledger)
    for at in range(1, disk.operations + 1):
        disk = MemoryDisk.of(torn)
        disk.fail(at=at, error=refused(errno.ENOSPC))
        try:
            play(check, disk, ledger)
        except (WalFailed, ExceptionGroup):
            play(check, disk, ledger)
        assert disk.open_handles == 0


@pytest.mark.parametrize("at", [1, 2, 3, 4])
async def test_a_disk_that_refuses_at_the_start_is_named(at: int) -> None:
    """One error of ours, with the system's words."""
    disk = MemoryDisk()
    disk.fail(at=at, error=refused(errno.ENOSPC))

    with pytest.raises(WalFailed, match=r"the log cannot be opened: \[Errno 28\] ENOSPC"):
        async with open_wal(disk, limits=SMALL) as wal:
            await wal.append([event(1)])
