"""Looking back: what is still in the log is found, however it came to stand where it stands."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock

from orgloop.errors import WalFailed
from orgloop.event import Event
from orgloop.sdk import End, Query, Recorded, Settlement
from orgloop.sdk.bus import MAX_FOUND_BYTES
from orgloop.wal import Disk, RealDisk, Wal, WalLimits, history, open_wal
from orgloop.wal.store import DEFAULT_LIMITS
from tests.wal.disk import MemoryDisk, refused
from tests.wal.stage import ROUTES, SMALL, event, events, play, settled

DELIVERED = tuple(End(*route, "delivered") for route in ROUTES)


@asynccontextmanager
async def open_log(disk: Disk, limits: WalLimits = DEFAULT_LIMITS) -> AsyncGenerator[Wal]:
    async with open_wal(disk, limits=limits) as wal:
        yield wal


def numbers(found: list[Recorded]) -> list[int]:
    """Which they are, by their payloads."""
    return [one.event.payload["i"] for one in found]


async def test_what_was_settled_before_a_restart_is_found_while_its_segment_is_there() -> None:
    """An open event keeps its segment."""
    disk = MemoryDisk()
    async with open_log(disk) as wal:
        await wal.append(events(range(3)))
        wal.settle(settled(1, 2))
    async with open_log(disk) as wal:
        await wal.append([event(3)])
        found = await wal.history(Query())

    assert numbers(found) == [3, 2, 1, 0]
    assert [one.ends for one in found] == [(), (), DELIVERED[:1], DELIVERED[:1]]
    assert [one.is_open for one in found] == [True, True, False, False]


async def test_what_was_carried_forward_stands_at_its_number() -> None:
    """And what had ended of it is still known, if not how."""
    disk = MemoryDisk()
    async with open_log(disk, SMALL) as wal:
        await wal.append(events(range(2)))
        wal.settle(settled(1, still_open=[1]) + settled(2))
        for number in range(2, 60):
            (sequence,) = await wal.append([event(number)])
            if number < 59:
                wal.settle(settled(sequence))
        oldest = (await wal.history(Query(limit=1000)))[-1]
        page = await wal.history(Query(limit=2))

    assert oldest == Recorded(1, event(0), (End(*ROUTES[0], "carried"),), is_open=True)
    assert numbers(page) == [59, 58]


async def test_damaged_lines_are_passed_over() -> None:
    """One that is an event, and one that says how another ended."""
    disk = MemoryDisk()
    async with open_log(disk) as wal:
        await wal.append(events(range(3)))
        wal.settle(settled(1, still_open=[1]))
        await wal.flush()
        (file,) = disk.files.values()
        for text in (b'"i":1', b'"delivered"'):
            file.content[file.content.index(text) + len(text) - 1] ^= 1
        found = await wal.history(Query())

    assert numbers(found) == [2, 0]
    assert found[-1].ends == ()


async def test_a_line_that_goes_over_many_blocks_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever a block ends."""
    async with open_log(MemoryDisk()) as wal:
        await wal.append([event(0), event(1, text="x" * 1000), event(2)])
        wal.settle(settled(2))
        await wal.flush()
        for block_bytes in (7, 64, 500, 1000, 1001):
            monkeypatch.setattr(history, "BLOCK_BYTES", block_bytes)
            found = await wal.history(Query())
            assert numbers(found) == [2, 1, 0]
            assert found[1].ends == DELIVERED[:1]


async def test_large_events_come_in_several_goes() -> None:
    """No more than may be in memory at once, unless it is a single one."""
    text = "x" * (MAX_FOUND_BYTES // 2 + 1)
    async with open_log(MemoryDisk()) as wal:
        await wal.append([event(number, text=text) for number in range(3)])
        pages, before = list[list[int]](), None
        while page := await wal.history(Query(before=before)):
            pages.append(numbers(page))
            before = page[-1].sequence

    assert pages == [[2], [1], [0]]


async def test_what_is_settled_meanwhile_is_settled(autojump_clock: MockClock) -> None:
    """Never is an event neither open nor ended."""
    disk = MemoryDisk()
    async with open_log(disk) as wal:
        await wal.append(events(range(3)))
        disk.delay_s = 1.0
        wal.settle(settled(1))
        await trio.sleep(0.5)  # the commit is under way when the look begins, and done when it ends
        found = await wal.history(Query())

    assert [(one.is_open, one.ends) for one in found] == [(True, ()), (True, ()), (False, DELIVERED[:1])]


async def test_what_compaction_moves_meanwhile_is_found(autojump_clock: MockClock) -> None:
    """The look begins anew."""
    disk = MemoryDisk()
    async with open_log(disk, SMALL) as wal:
        await wal.append([event(0)])
        looked: list[list[Recorded]] = []
        for number in range(1, 40):
            (sequence,) = await wal.append([event(number)])
            wal.settle(settled(sequence))
            disk.delay_s = 1.0
            async with trio.open_nursery() as nursery:
                nursery.start_soon(wal.flush)

                async def look() -> None:
                    looked.append(await wal.history(Query(id="evt_0")))

                nursery.start_soon(look)
            disk.delay_s = 0.0

    assert [numbers(found) for found in looked] == [[0]] * 39


async def test_a_disk_that_cannot_be_read_is_an_error() -> None:
    """And not an empty past."""

    class Unreadable(MemoryDisk):
        def read(self, name: str, start: int, length: int) -> bytes:
            raise refused()

    async with open_log(Unreadable()) as wal:
        await wal.append([event(0)])
        with pytest.raises(WalFailed, match="cannot be read at present"):
            await wal.history(Query())


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 4), st.lists(st.integers(1, 40), max_size=4), st.booleans()), max_size=20),
    st.integers(1, 8),
)
def test_page_by_page_is_all_of_it(steps: list[tuple[int, list[int], bool]], limit: int) -> None:
    """Whatever was settled, carried and restarted in between: nothing open is missing, nothing comes twice."""

    async def story() -> None:
        disk, count, open_ = MemoryDisk(), 0, set[int]()
        for admitted, ended, _ in steps:
            async with open_log(disk, SMALL) as wal:
                open_.update(await wal.append(events(range(count, count + admitted))))
                count += admitted
                wal.settle(settled(*open_.intersection(ended)))
                open_.difference_update(ended)
                await wal.flush()
                found, before = list[Recorded](), None
                while page := await wal.history(Query(limit=limit, before=before)):
                    assert len(page) <= limit
                    found += page
                    before = page[-1].sequence
                sequences = [one.sequence for one in found]
                assert sequences == sorted(set(sequences), reverse=True)
                assert {one.sequence for one in found if one.is_open} == open_
                assert all(one.is_open or one.ends for one in found)

    play(story)


@pytest.mark.slow
async def test_a_log_of_many_events_answers_for_a_trace_within_a_second(tmp_path: Path) -> None:
    """A hundred thousand, of which one is meant that is far back."""
    texts, wanted = {"text": "x" * 200, "repo": "o/r"}, event(0)
    async with open_log(RealDisk(tmp_path)) as wal:
        for batch in range(100):
            made = [Event("s", "resource.changed", {"platform": "t"}, {"i": batch, **texts}) for _ in range(1000)]
            sequences = await wal.append(made)
            wanted = made[0] if batch == 1 else wanted
            wal.settle([Settlement(outcome="delivered", sequences=sequences, module="m", route="r1")])
        await wal.flush()
        began_s = time.perf_counter()
        found = await wal.history(Query(trace_id=wanted.trace_id))
        took_s = time.perf_counter() - began_s

    assert [one.event for one in found] == [wanted]
    assert took_s <= 1.0
