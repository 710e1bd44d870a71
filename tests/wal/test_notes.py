"""Values that are noted: the last of each kind and key counts, now and after a restart."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator

import pytest

from orgloop.sdk import Note
from orgloop.wal import open_wal
from tests.wal.disk import MemoryDisk
from tests.wal.stage import SMALL, event, settled


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


def forget(notes: Iterable[Note], open_: Container[int]) -> Iterator[tuple[str, str]]:
    """What says so itself, and what belongs to an event that is not open."""
    return ((kind, key) for kind, key, value in notes if value == "over" or (kind == "of" and int(key) not in open_))


async def test_what_has_outlived_its_use_is_forgotten_by_a_start(disk: MemoryDisk) -> None:
    """Without a word in the log, and again by the next."""
    async with open_wal(disk) as wal:
        await wal.append([event(1), event(2)], notes=[("a", "x", "over"), ("a", "y", "new"), ("of", "1", 1)])
        await wal.append([], notes=[("of", "2", 1)])
        wal.settle(settled(2))
    for _ in range(3):
        async with open_wal(disk, outlived=forget) as wal:
            assert [wal.note("a", "x"), wal.note("a", "y"), wal.note("of", "1"), wal.note("of", "2")] == [
                *(None, "new"),
                *(1, None),
            ]


async def test_who_is_asked_sees_the_newest_first(disk: MemoryDisk) -> None:
    """So that only the last ones may be kept."""
    asked: list[Note] = []
    async with open_wal(disk) as wal:
        for number in range(3):
            await wal.append([], notes=[("a", str(number), number)])

    def ask(notes: Iterable[Note], _: Container[int]) -> list[tuple[str, str]]:
        asked.extend(notes)
        return []

    async with open_wal(disk, outlived=ask):
        pass

    assert asked == [("a", "2", 2), ("a", "1", 1), ("a", "0", 0)]


async def test_what_has_outlived_its_use_is_not_carried_forward(disk: MemoryDisk) -> None:
    """A log that is used for ever takes no more for notes than those that are of use."""
    async with open_wal(disk, limits=SMALL, outlived=forget) as wal:
        sizes = []
        for number in range(200):
            (sequence,) = await wal.append([event(number)], notes=[("a", str(number), "over")])
            wal.settle(settled(sequence))
            sizes.append(wal.status().bytes)
        assert len(wal._store.notes) < 20

    assert max(sizes[100:]) <= max(sizes[:100])
