"""What was appended comes back until it is settled."""

from __future__ import annotations

from typing import Any

import pytest

from orgloop.errors import EventError
from orgloop.sdk import Settlement
from orgloop.wal import batch, open_wal
from orgloop.wal.batch import MAX_EVENT_BYTES
from tests.wal.disk import MemoryDisk
from tests.wal.stage import ROUTES, SMALL, event, events, open_events, payloads, settled


@pytest.fixture
def disk() -> MemoryDisk:
    return MemoryDisk()


# -- events ------------------------------------------------------------------------------------------------------------


async def test_a_new_log_holds_nothing(disk: MemoryDisk) -> None:
    """And is well."""
    async with open_wal(disk) as wal:
        status = wal.status()

    assert (status.state, status.open_events, status.next_sequence, status.damages) == ("ok", 0, 1, ())


async def test_sequences_count_from_one(disk: MemoryDisk) -> None:
    """Without a gap, batch after batch."""
    async with open_wal(disk) as wal:
        assert await wal.append(events(range(3))) == [1, 2, 3]
        assert await wal.append(events(range(2))) == [4, 5]


async def test_sequences_go_on_after_a_restart(disk: MemoryDisk) -> None:
    """Also of a log in which all is settled."""
    async with open_wal(disk) as wal:
        wal.settle(settled(*await wal.append(events(range(3)))))
    for expected in (4, 5):
        async with open_wal(disk) as wal:
            assert await wal.append([event(0)]) == [expected]


async def test_what_was_appended_comes_back(disk: MemoryDisk) -> None:
    """As it was, under its number."""
    async with open_wal(disk) as wal:
        await wal.append(events(range(3)))
    async with open_wal(disk) as wal:
        found = await wal.read([1, 2, 3])

    assert found == [(1, event(0)), (2, event(1)), (3, event(2))]


async def test_what_was_appended_can_be_read_at_once(disk: MemoryDisk) -> None:
    """Before any restart."""
    async with open_wal(disk) as wal:
        [sequence] = await wal.append([event(5)])

        assert await wal.read([sequence]) == [(sequence, event(5))]


async def test_events_are_read_in_the_order_that_was_asked_for(disk: MemoryDisk) -> None:
    """Unknown ones are left out."""
    async with open_wal(disk) as wal:
        await wal.append(events(range(3)))

        assert [sequence for sequence, _ in await wal.read([3, 99, 1])] == [3, 1]


async def test_two_events_with_one_id_are_two_events(disk: MemoryDisk) -> None:
    """The number is ours, the id is the sender's."""
    async with open_wal(disk) as wal:
        await wal.append([event(1), event(1)])

    assert await open_events(disk) == {1: 1, 2: 1}


async def test_a_settled_event_does_not_come_back(disk: MemoryDisk) -> None:
    """Nor can it be read any more."""
    async with open_wal(disk) as wal:
        await wal.append(events(range(3)))
        wal.settle(settled(2))
        await wal.flush()
        assert await payloads(wal) == {1: 0, 3: 2}

    assert await open_events(disk) == {1: 0, 3: 2}


async def test_what_is_unsettled_is_listed_oldest_first(disk: MemoryDisk) -> None:
    """By sequence."""
    async with open_wal(disk) as wal:
        await wal.append(events(range(5)))
        wal.settle(settled(1, 3))
        await wal.flush()

        assert [sequence for sequence, _ in wal.unsettled()] == [2, 4, 5]


async def test_one_route_does_not_settle_for_another(disk: MemoryDisk) -> None:
    """I6: of two obligations one has ended; the other one is left, and it is known which."""
    async with open_wal(disk) as wal:
        [sequence] = await wal.append([event(1)])
        wal.settle(settled(sequence, still_open=[sequence], route=ROUTES[1]))
    async with open_wal(disk) as wal:
        assert list(wal.unsettled()) == [(sequence, frozenset([ROUTES[1]]))]


async def test_the_last_obligation_closes_the_event(disk: MemoryDisk) -> None:
    """And what was known of the others is forgotten."""
    async with open_wal(disk) as wal:
        [sequence] = await wal.append([event(1)])
        wal.settle(settled(sequence, still_open=[sequence], route=ROUTES[1]))
    async with open_wal(disk) as wal:
        wal.settle(settled(sequence))
        await wal.flush()
        assert list(wal.unsettled()) == []

    assert await open_events(disk) == {}


async def test_an_event_without_a_route_is_settled_by_nobody(disk: MemoryDisk) -> None:
    """No module, no route."""
    async with open_wal(disk) as wal:
        wal.settle([Settlement(outcome="no_route", sequences=await wal.append([event(1)]))])

    assert await open_events(disk) == {}


@pytest.mark.parametrize("sequence", [2, 99])
async def test_settling_what_is_not_open_changes_nothing(disk: MemoryDisk, sequence: int) -> None:
    """Settled before, or never there: neither now, nor after a restart."""
    async with open_wal(disk) as wal:
        await wal.append(events(range(2)))
        wal.settle(settled(2))
        wal.settle(settled(sequence, still_open=[sequence]))
        await wal.flush()
        assert list(wal.unsettled()) == [(1, frozenset())]

    assert await open_events(disk) == {1: 0}


async def test_leaving_the_block_makes_settlements_durable(disk: MemoryDisk) -> None:
    """Without a flush."""
    async with open_wal(disk) as wal:
        [sequence] = await wal.append([event(1)])
        wal.settle(settled(sequence))

    assert await open_events(disk) == {}


async def test_an_event_full_of_odd_text_comes_back(disk: MemoryDisk) -> None:
    """Newlines, quotes, what looks like a seal, all planes of Unicode."""
    odd = event(1, text='\n\r\u2028"\\\x00\x7f\U0001f600', crc="00000000", **{'a","crc":"9f3a12cd"}': 1})
    async with open_wal(disk) as wal:
        await wal.append([odd])
    async with open_wal(disk) as wal:
        assert await wal.read([1]) == [(1, odd)]


async def test_a_line_of_this_segment_inside_a_payload_is_only_a_payload(disk: MemoryDisk) -> None:
    """Somebody posts a line of the log to us, as JSON."""
    async with open_wal(disk) as wal:
        await wal.append([event(1)])
        wal.settle(settled(1))
        copy = event(2, copy={"settle": "delivered", "events": [2], "crc": "00000000"})
        await wal.append([copy])
    async with open_wal(disk) as wal:
        assert await wal.read([2]) == [(2, copy)]


async def test_very_many_ends_at_once_are_several_lines(disk: MemoryDisk, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line of them all could be longer than a line may be."""
    monkeypatch.setattr(batch, "_MOST_SEQUENCES", 3)
    async with open_wal(disk) as wal:
        await wal.append(events(range(10)))
        wal.settle(settled(*range(1, 11), still_open=[2, 9], route=ROUTES[1]))
    async with open_wal(disk) as wal:
        assert list(wal.unsettled()) == [(2, frozenset([ROUTES[1]])), (9, frozenset([ROUTES[1]]))]


# -- refusals ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("payload", [object(), "\ud800", 10**5000], ids=["object", "surrogate", "number"])
async def test_an_event_that_cannot_be_written_writes_none(disk: MemoryDisk, payload: object) -> None:
    """Not even those before it."""
    async with open_wal(disk) as wal:
        before = disk.contents()
        with pytest.raises(EventError):
            await wal.append([event(1), event(2, bad=payload)], notes=[("checkpoint", "m/s", 1)])

        assert disk.contents() == before
        assert wal.note("checkpoint", "m/s") is None
        assert await wal.append([event(3)]) == [1]


async def test_an_event_that_is_too_large_is_refused(disk: MemoryDisk) -> None:
    """It would not be found again."""
    async with open_wal(disk) as wal:
        with pytest.raises(EventError, match="too large; the limit is 33,554,432"):
            await wal.append([event(1, text="x" * MAX_EVENT_BYTES)])


@pytest.mark.parametrize(
    "note",
    [("a", "b", object()), ("a", "b", "\ud800"), ("a", "\ud800", 1), (None, "b", 1), ("a", ["b"], 1)],
    ids=["object", "surrogate", "key", "kind", "list"],
)
async def test_a_note_that_cannot_be_written_harms_nobody_else(disk: MemoryDisk, note: Any) -> None:
    """It is refused where it is given, and the log goes on."""
    async with open_wal(disk) as wal:
        with pytest.raises(EventError, match="note"):
            await wal.append([event(1)], notes=[note])
        with pytest.raises(EventError, match="note"):
            wal.settle([], notes=[note])
        assert await wal.append([event(2)]) == [1]

    assert await open_events(disk) == {1: 2}


# -- a directory -------------------------------------------------------------------------------------------------------


async def test_every_start_begins_a_segment(disk: MemoryDisk) -> None:
    """What another run has written is never written to again."""
    for number in (1, 2, 3):
        async with open_wal(disk) as wal:
            await wal.append([event(number)])
    assert [name[:10] for name in disk.contents()] == ["0000000001", "0000000002", "0000000003"]


async def test_starts_alone_leave_no_files(disk: MemoryDisk) -> None:
    """A daemon that is restarted a thousand times has one segment for it."""
    for _ in range(9):
        async with open_wal(disk):
            pass
    assert [name[:10] for name in disk.contents()] == ["0000000009"]


async def test_every_segment_has_a_salt_of_its_own(disk: MemoryDisk) -> None:
    """In its name."""
    for number in range(3):
        async with open_wal(disk, limits=SMALL) as wal:
            await wal.append([event(number)])
    assert len({name[11:19] for name in disk.contents()}) == 3
