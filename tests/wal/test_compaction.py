"""Segments come and go: the log takes little more room than what lives in it, and loses none of that."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from orgloop.sdk import Note
from orgloop.wal import Wal, WalLimits, open_wal
from orgloop.wal.compaction import choose
from orgloop.wal.findings import Segment
from orgloop.wal.segment import SegmentName
from tests.wal.disk import MemoryDisk
from tests.wal.stage import ROUTES, SMALL, event, events, open_events, payloads, settled


@pytest.fixture
def disk() -> MemoryDisk:
    return MemoryDisk()


async def fill(wal: Wal, numbers: range, *, keep: int = 0, each: int = 1) -> list[int]:
    """Append so many events, and settle all but every ``keep``-th at once; the sequences that are kept."""
    kept = []
    for number in numbers:
        sequences = await wal.append([event(number * each + n) for n in range(each)])
        if keep and number % keep == 0:
            kept += sequences
        else:
            wal.settle(settled(*sequences))
    await wal.flush()
    return kept


def segments(disk: MemoryDisk) -> list[int]:
    return [int(name[:10]) for name in disk.contents() if not name.startswith(".")]


# -- rotation ----------------------------------------------------------------------------------------------------------


async def test_a_full_segment_is_followed_by_another(disk: MemoryDisk) -> None:
    """Full is by size; the batch that fills it is not split."""
    async with open_wal(disk, limits=SMALL) as wal:
        await wal.append(events(range(30)))
        assert len(segments(disk)) == 1
        await wal.append([event(30)])
        assert len(segments(disk)) == 2


@pytest.mark.parametrize(("age_s", "begun"), [(9.0, 1), (11.0, 2)])
async def test_an_old_segment_is_followed_by_another(disk: MemoryDisk, age_s: float, begun: int) -> None:
    """So that what is settled does not stay for ever where there is little to do."""
    clock = [1000.0]
    async with open_wal(disk, limits=WalLimits(segment_age_s=10), now_s=lambda: clock[0]) as wal:
        wal.settle(settled(*await wal.append([event(1)])))
        await wal.flush()
        clock[0] += age_s
        await wal.append([event(2)])

        assert wal.status().bytes > 0
        assert segments(disk) == [begun]


async def test_an_old_segment_without_events_stays(disk: MemoryDisk) -> None:
    """There is nothing to be got rid of."""
    clock = [1000.0]
    async with open_wal(disk, limits=WalLimits(segment_age_s=10), now_s=lambda: clock[0]) as wal:
        clock[0] += 11
        wal.settle([], notes=[("a", "k", 1)])
        await wal.flush()

        assert segments(disk) == [1]


async def test_a_clock_that_was_set_back_does_no_harm(disk: MemoryDisk) -> None:
    """By a year."""
    clock = [1e9]
    async with open_wal(disk, limits=SMALL, now_s=lambda: clock[0]) as wal:
        await wal.append([event(1)])
        clock[0] -= 3e7
        await wal.append([event(2)])

    assert await open_events(disk) == {1: 1, 2: 2}


# -- what goes ---------------------------------------------------------------------------------------------------------


async def test_what_is_settled_is_removed(disk: MemoryDisk) -> None:
    """Of a thousand settled events little is left."""
    async with open_wal(disk, limits=SMALL) as wal:
        await fill(wal, range(1000))

        assert sum(map(len, disk.contents().values())) < 3 * SMALL.segment_bytes


async def test_an_open_event_outlives_its_segment(disk: MemoryDisk) -> None:
    """Under its number, whatever has been written since."""
    async with open_wal(disk, limits=SMALL) as wal:
        await wal.append([event(-1)])
        await fill(wal, range(100))
        assert segments(disk)[0] > 1
        assert await payloads(wal) == {1: -1}

    assert await open_events(disk) == {1: -1}


async def test_an_open_event_that_was_carried_is_behind_younger_ones(disk: MemoryDisk) -> None:
    """Its segment went, the next, in which more lives, stayed: both come back."""
    async with open_wal(disk, limits=SMALL) as wal:
        kept = await fill(wal, range(16), keep=15)
        kept += await fill(wal, range(16, 40), keep=2)
        assert min(kept) < min(s.first for s in wal._store.segments), "the first one was carried"

    async with open_wal(disk, limits=SMALL) as wal:
        assert [sequence for sequence, _ in wal.unsettled()] == kept
        assert wal.status().state == "ok"


async def test_a_carried_event_can_be_settled(disk: MemoryDisk) -> None:
    """For good."""
    async with open_wal(disk, limits=SMALL) as wal:
        await wal.append([event(-1)])
        await fill(wal, range(100))
        wal.settle(settled(1))

    assert await open_events(disk) == {}


async def test_what_was_settled_of_an_event_is_carried_with_it(disk: MemoryDisk) -> None:
    """I6: not even compaction makes one route's delivery happen twice."""
    async with open_wal(disk, limits=SMALL) as wal:
        await wal.append([event(-1)])
        wal.settle(settled(1, still_open=[1], route=ROUTES[1]))
        await fill(wal, range(100))
        assert segments(disk)[0] > 1
    async with open_wal(disk, limits=SMALL) as wal:
        assert list(wal.unsettled()) == [(1, frozenset([ROUTES[1]]))]


async def test_notes_are_carried(disk: MemoryDisk) -> None:
    """The last of each; what was removed does not come back."""
    noted: list[Note] = [("a", "old", 1), ("a", "gone", 1), ("a", "new", 1)]
    async with open_wal(disk, limits=SMALL) as wal:
        await wal.append([], notes=noted)
        await wal.append([], notes=[("a", "gone", None), ("a", "new", 2)])
        await fill(wal, range(100))
        assert segments(disk)[0] > 1
    for _ in range(2):
        async with open_wal(disk, limits=SMALL) as wal:
            assert [wal.note("a", key) for key in ("old", "gone", "new")] == [1, None, 2]


async def test_an_event_is_found_by_who_was_reading_while_it_was_moved(autojump_clock: MockClock) -> None:
    """Left out, it would be taken for unreadable, and given up on."""
    disk = MemoryDisk()
    async with open_wal(disk, limits=SMALL) as wal, trio.open_nursery() as nursery:
        await wal.append([event(-1)])
        while len(segments(disk)) < 2 or not wal._store.is_full():
            await fill(wal, range(1))
        disk.delay_s = 1
        nursery.start_soon(wal.append, [event(-2)])
        await trio.sleep(0.5)
        assert segments(disk)[0] == 1
        found = await wal.read([1])
        assert segments(disk)[0] > 1

    assert found == [(1, event(-1))]


async def test_an_open_event_that_is_broken_keeps_its_segment(disk: MemoryDisk) -> None:
    """It was whole when the log was opened: nothing is removed, and the status says so."""
    async with open_wal(disk, limits=SMALL) as wal:
        await wal.append([event(-1)])
        [name] = disk.files
        disk.files[name].content[200] ^= 1
        await fill(wal, range(100))

        assert segments(disk)[0] == 1
        assert wal.status().state == "degraded"
        assert "not all of its open events can be read" in wal.status().damages[0].text


# -- which ones go -----------------------------------------------------------------------------------------------------


def segment(number: int, *, bytes_: int = 1000, open_: int = 0) -> Segment:
    return Segment(SegmentName(number, 0), 1, bytes_, events=10, open=open_, open_bytes=open_ * 100)


@pytest.mark.parametrize(
    ("open_", "chosen"),
    [
        ([0], []),  # it is being written
        ([0, 0], [1]),
        ([1, 0], []),  # one segment more than what lives is allowed
        ([1, 0, 0], [1, 2]),
        ([0, 1, 0, 0], [1, 2, 3]),
        ([1, 9, 0], [1]),  # and then it is enough
        ([9, 9, 9, 9, 0], []),  # all of it lives
        ([9, 0, 0, 0], [1, 2, 3]),
        ([9, 9, 9, 0, 0, 0], [1]),  # as much at a time as fits into a segment
    ],
)
def test_which_segments_go(open_: list[int], chosen: list[int]) -> None:
    """Each of a thousand bytes with ten events: so many of them live, oldest segment first; the last was just begun."""
    given_ = [segment(number, open_=count) for number, count in enumerate(open_, start=1)]
    given_[-1].bytes = 100

    assert [one.name.number for one in choose(given_, segment_bytes=1000)] == chosen


def test_what_is_settled_stays_while_it_fits() -> None:
    """Whoever asks what has happened is told of the newest."""
    given_ = [segment(number) for number in range(1, 5)]

    assert [one.name.number for one in choose(given_, segment_bytes=1000, kept_bytes=3000)] == [1]
