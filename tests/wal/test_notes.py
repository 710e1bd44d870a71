"""Values that are noted: the last of each kind and key counts, now and after a restart."""

from __future__ import annotations

import pytest

from orgloop.wal import open_wal
from tests.wal.disk import MemoryDisk
from tests.wal.stage import event


@pytest.fixture
def disk() -> MemoryDisk:
    return MemoryDisk()


async def test_the_last_note_of_a_key_counts(disk: MemoryDisk) -> None:
    """Now, and after a restart."""
    async with open_wal(disk) as wal:
        await wal.append([event(1)], notes=[("checkpoint", "m/s", "1"), ("checkpoint", "m/t", "x")])
        await wal.append([], notes=[("checkpoint", "m/s", {"page": 2})])
        assert wal.note("checkpoint", "m/s") == {"page": 2}
    async with open_wal(disk) as wal:
        assert wal.note("checkpoint", "m/s") == {"page": 2}
        assert wal.note("checkpoint", "m/t") == "x"
        assert wal.note("mark", "m/s") is None


async def test_the_last_note_counts_whichever_way_it_came(disk: MemoryDisk) -> None:
    """With a settlement, or with events, in one batch."""
    async with open_wal(disk) as wal:
        wal.settle([], notes=[("a", "k", "first")])
        await wal.append([], notes=[("a", "k", "second")])
        assert wal.note("a", "k") == "second"
    async with open_wal(disk) as wal:
        assert wal.note("a", "k") == "second"


async def test_a_note_can_be_removed(disk: MemoryDisk) -> None:
    """For good."""
    async with open_wal(disk) as wal:
        await wal.append([], notes=[("a", "k", 1)])
        wal.settle([], notes=[("a", "k", None)])
        await wal.flush()
        assert wal.note("a", "k") is None
    async with open_wal(disk) as wal:
        assert wal.note("a", "k") is None


async def test_a_removed_note_is_not_remembered_as_removed(disk: MemoryDisk) -> None:
    """Or a million deliveries would leave a million of them in memory, and in every segment to come."""
    async with open_wal(disk) as wal:
        wal.settle([], notes=[("attempts", str(n), 1) for n in range(99)])
        wal.settle([], notes=[("attempts", str(n), None) for n in range(99)])
    async with open_wal(disk) as wal:
        assert wal._store.notes.keys() <= {("log", "compacted")}


async def test_a_note_is_as_it_was_when_it_was_noted(disk: MemoryDisk) -> None:
    """A source may go on with its checkpoint object: what it does to it later is not covered by events."""
    checkpoint = {"page": 1}
    async with open_wal(disk) as wal:
        await wal.append([event(1)], notes=[("checkpoint", "m/s", checkpoint)])
        checkpoint["page"] = 2
        wal.note("checkpoint", "m/s")["page"] = 3

        assert wal.note("checkpoint", "m/s") == {"page": 1}
