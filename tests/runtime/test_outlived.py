"""Notes that nobody will ask for again leave the log, however often it is opened."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from trio.testing import MockClock

from orgloop.bus import FileBus
from orgloop.runtime import pushed
from orgloop.runtime.marks import MarkBook
from orgloop.runtime.outlived import outlived
from orgloop.runtime.runtime import open_runtime
from orgloop.sdk import Note
from orgloop.wal import Wal, WalLimits, open_wal
from tests.runtime.test_pushed import Told, identified, load, request
from tests.wal.disk import MemoryDisk

NOW_S = 1_700_000_000.0
LIVES, EACH, SEGMENT_BYTES = 30, 20, 4096


def over(*notes: Note, open_: tuple[int, ...] = ()) -> list[str]:
    """The keys of those that are over."""
    return [key for _, key in outlived(notes, open_, now_s=NOW_S)]


@pytest.mark.parametrize(
    ("kind", "key", "value"),
    [
        ("delivery", "m/s/1", ["digest", NOW_S]),
        ("delivery", "m/s/1", "what is this"),
        ("delivery", "m/s/1", {}),
        ("mark", "m/9-5", [["place", "key", 1, NOW_S], ["place", "other", 1, NOW_S - 1]]),
        ("mark", "m/9-5", []),
        ("attempts", "0123456789abcdef-7", [1, 0, "", "", 0.0, ""]),
        ("approved", "00000000000000000007-0123456789abcdef-7", "2026-01-31T12:00:00.000Z"),
        ("inbox", "0123456789abcdef", 7),
        ("inbox", "0123456789abcdef", [7]),
    ],
)
def test_what_is_over(kind: str, key: str, value: Any) -> None:
    """Its time has passed, its event is settled, or nobody could read it."""
    assert over((kind, key, value), open_=(8,)) == [key]


@pytest.mark.parametrize(
    ("kind", "key", "value"),
    [
        ("delivery", "m/s/1", ["digest", NOW_S + 1]),
        ("mark", "m/9-5", [["place", "key", 1, NOW_S - 1], ["place", "other", 1, NOW_S + 1]]),
        ("mark", "m", {"9": [5, 8]}),
        ("attempts", "0123456789abcdef-8", [1, 0, "", "", 0.0, ""]),
        ("approved", "00000000000000000008-0123456789abcdef-8", "2026-01-31T12:00:00.000Z"),
        ("inbox", "0123456789abcdef", 8),
        ("attempts", "what is this", 7),
        ("checkpoint", "m/s", "page 2"),
        ("runs", "all", [0, [], True]),
        ("log", "compacted", 2),
        ("somebody's", "own", 7),
    ],
)
def test_what_is_not(kind: str, key: str, value: Any) -> None:
    """What is of use, and what is not ours to judge."""
    assert over((kind, key, value), open_=(8,)) == []


def test_of_more_deliveries_than_a_source_may_have_the_newest_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each source by itself."""
    monkeypatch.setattr(pushed, "MAX_SEEN", 2)
    notes: list[Note] = [("delivery", f"m/{name}/{n}", ["d", NOW_S + 1]) for n in (3, 2, 1) for name in "st"]

    assert over(*notes) == ["m/s/1", "m/t/1"]


async def test_over_many_restarts_the_log_keeps_what_is_of_use(autojump_clock: MockClock) -> None:
    """Three days of delivery ids; those of the runs before are forgotten by the runs behind."""
    disk, counts, sizes = MemoryDisk(), list[int](), list[int]()
    for life in range(LIVES):
        now_s = NOW_S + life * 86_400.0
        forget = partial(outlived, now_s=now_s)
        async with open_wal(disk, limits=WalLimits(segment_bytes=SEGMENT_BYTES), outlived=forget) as wal:
            async with open_runtime(bus=FileBus(wal), now_s=partial(float, now_s)) as runtime:
                script: list[Any] = [identified(delivery_id=f"{life}-{number}") for number in range(EACH)]
                await load(runtime, Told(script))
                for _ in range(EACH):
                    await runtime.receive("github", request())
                assert await runtime.drain(timeout_s=5)
            counts.append(len(wal._store.notes))
            sizes.append(wal.status().bytes)

    assert max(counts) <= 4 * EACH + 10
    assert max(sizes) <= 3 * SEGMENT_BYTES


async def test_a_book_goes_on_when_some_of_its_groups_are_forgotten() -> None:
    """They were over; what is left of the same shelf still counts."""
    disk, wanted = MemoryDisk(), list[Any]()

    def book(wal: Wal) -> MarkBook:
        return MarkBook("m", wal.note, wanted.append)

    async def mark(book: MarkBook, key: str, *, sequence: int, now_s: float) -> bool:
        first = book.store("r", "t").is_first(key, sequence, now_s=now_s, window_s=100.0)
        for gather in wanted:
            wal.settle([], notes=list(gather()))
        wanted.clear()
        await wal.flush()
        return first

    async with open_wal(disk) as wal:
        one = book(wal)
        assert await mark(one, "old", sequence=1, now_s=NOW_S - 150)
        assert await mark(one, "new", sequence=2, now_s=NOW_S - 60)
    async with open_wal(disk, outlived=partial(outlived, now_s=NOW_S)) as wal:
        again = book(wal)
        assert not await mark(again, "new", sequence=3, now_s=NOW_S)
        assert await mark(again, "old", sequence=3, now_s=NOW_S)
