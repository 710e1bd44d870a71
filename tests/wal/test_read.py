"""Reading events back: what cannot be read now is not taken for what cannot be read at all."""

from __future__ import annotations

from typing import ClassVar

import attrs
import pytest

from orgloop.errors import EventError, WalFailed
from orgloop.event import Event
from orgloop.wal import open_wal, store
from orgloop.wal.log import READ_BYTES
from tests.wal.disk import MemoryDisk, refused
from tests.wal.oracle import Contents, sample
from tests.wal.stage import SMALL, event, settled


@pytest.fixture(scope="module")
def log() -> Contents:
    return sample()


class Scratched(MemoryDisk):
    """Reads nothing from a moment on."""

    scratched = False

    def read(self, name: str, start: int, length: int) -> bytes:
        if self.scratched:
            raise refused()
        return super().read(name, start, length)


async def test_a_read_error_is_an_error_of_ours(log: Contents) -> None:
    """It says nothing about the events, so they are not left out."""
    disk = Scratched.of(log)
    async with open_wal(disk) as wal:
        disk.scratched = True
        with pytest.raises(WalFailed, match="cannot be read at present"):
            await wal.read([1])


async def test_a_file_that_is_away_is_an_error_of_ours(log: Contents) -> None:
    """It was not compaction that has removed it: perhaps it comes back."""
    disk = MemoryDisk.of(log)
    async with open_wal(disk) as wal:
        away = disk.files.pop(min(log))
        with pytest.raises(WalFailed, match="cannot be read at present"):
            await wal.read([1])
        disk.files[min(log)] = away
        assert len(await wal.read([1])) == 1


async def test_an_event_that_has_become_broken_is_left_out_and_reported(log: Contents) -> None:
    """With its place; the others are read."""
    disk = MemoryDisk.of(log)
    async with open_wal(disk) as wal:
        start = log[min(log)].index(b'{"seq":1,')
        disk.files[min(log)].content[start + 30] ^= 1
        for _ in range(2):
            assert [sequence for sequence, _ in await wal.read([1, 3])] == [3]
        [damage] = wal.status().damages

    assert (damage.segment, damage.start, damage.first, damage.last) == (min(log), start, 1, 1)
    assert damage.text == "event 1 cannot be read any more"


async def test_an_event_that_is_no_event_is_left_out_and_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    """L8: the bytes are as they were written, and still nobody can make anything of them."""

    def refuse(line: bytes) -> Event:
        raise EventError("not an event")

    disk = MemoryDisk()
    async with open_wal(disk) as wal:
        await wal.append([event(1)])
        monkeypatch.setattr(store, "decode", refuse)

        assert await wal.read([1]) == []
        assert wal.status().state == "degraded"


async def test_a_segment_that_cannot_be_read_is_not_compacted(log: Contents) -> None:
    """Nothing is removed; appends go on."""
    disk = Scratched.of(log)
    async with open_wal(disk, limits=SMALL) as wal:
        disk.scratched = True
        oldest = min(disk.contents())
        for number in range(100, 140):
            await wal.append([event(number)])
            wal.settle(settled(wal.status().next_sequence - 1))

        assert oldest in disk.contents()
        assert "not all of its open events can be read: it is kept: [Errno 5] EIO" in wal.status().damages[0].text


class Watched(MemoryDisk):
    """Notes how much it is asked for."""

    reads: ClassVar[list[int]] = []

    def read(self, name: str, start: int, length: int) -> bytes:
        self.reads.append(length)
        return super().read(name, start, length)


async def test_neighbours_are_read_in_one_go() -> None:
    """With what stands between them, if that is little."""
    async with open_wal(Watched()) as wal:
        for number in range(0, 30, 10):
            await wal.append([event(n) for n in range(number, number + 10)])
        Watched.reads.clear()
        found = await wal.read([5, 12, 30, 7])

    assert [sequence for sequence, _ in found] == [5, 12, 30, 7]
    assert len(Watched.reads) == 1


async def test_what_lies_far_apart_is_read_apart() -> None:
    """Nobody reads a megabyte for two lines."""
    async with open_wal(Watched()) as wal:
        await wal.append([event(1), attrs.evolve(event(2), payload="x" * 100_000), event(3)])
        Watched.reads.clear()
        found = await wal.read([1, 3])

    assert [sequence for sequence, _ in found] == [1, 3]
    assert sum(Watched.reads) < 2000


async def test_no_more_is_read_than_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    """The rest is to be asked for again; an event that is larger than that comes alone."""
    large = READ_BYTES // 3
    async with open_wal(MemoryDisk()) as wal:
        await wal.append([attrs.evolve(event(n), payload="x" * large) for n in range(1, 7)])
        await wal.append([attrs.evolve(event(7), payload="x" * 3 * READ_BYTES), event(8)])
        given = [[sequence for sequence, _ in await wal.read(wanted)] for wanted in ([1, 2, 3, 4, 5], [7, 8], [8])]

    assert given == [[1, 2, 3], [7], [8]]


async def test_what_is_gone_does_not_end_a_reading(log: Contents) -> None:
    """If nothing is given, there is nothing, though the broken ones alone were more than fits."""
    disk = MemoryDisk()
    async with open_wal(disk) as wal:
        await wal.append([attrs.evolve(event(n), payload="x" * READ_BYTES) for n in (1, 2)])
        await wal.append([event(3)])
        [file] = disk.files.values()
        for sequence in (b'{"seq":1,', b'{"seq":2,'):
            file.content[file.content.index(sequence) + 30] ^= 1

        assert [sequence for sequence, _ in await wal.read([1, 2, 3])] == [3]
        assert await wal.read([1, 2]) == []


async def test_sizes_are_those_of_what_is_open() -> None:
    """What is settled has none."""
    async with open_wal(MemoryDisk()) as wal:
        await wal.append([event(1), attrs.evolve(event(2), payload="x" * 1000), event(3)])
        wal.settle(settled(3))
        await wal.flush()
        one, two, three = wal.sizes([1, 2, 3])

    assert 100 < one < 1000 < two < 2000
    assert three == 0
