"""Ends of obligations, gathered: what is closed, what stays open, and how few lines it takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs
import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from orgloop.delivery.settler import Settler
from orgloop.sdk import Note, Settlement


@attrs.define(eq=False)
class Ledger:
    """A bus that keeps what it is told."""

    batches: list[tuple[list[Settlement], list[Note]]] = attrs.field(factory=list)

    def settle(self, settlements: Sequence[Settlement], notes: Sequence[Note]) -> None:
        self.batches.append((list(settlements), list(notes)))

    def records(self) -> list[dict[str, Any]]:
        return [settlement.record() for settlements, _ in self.batches for settlement in settlements]


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


def test_ends_alike_of_one_route_are_one_settlement(ledger: Ledger) -> None:
    """However many there are."""
    settler = Settler(ledger.settle)
    for sequence in (1, 2, 3):
        settler.end(sequence, "delivered", module="m", route="r")
    settler.hand_over()

    assert ledger.records() == [{"settle": "delivered", "module": "m", "route": "r", "events": [1, 2, 3]}]


def test_ends_that_differ_are_told_apart(ledger: Ledger) -> None:
    """By outcome, by route and by module."""
    settler = Settler(ledger.settle)
    settler.end(1, "delivered", module="m", route="r")
    settler.end(2, "dropped(filter)", module="m", route="r")
    settler.end(3, "delivered", module="n", route="r")
    settler.end(4, "no_route")
    settler.hand_over()

    assert [record["events"] for record in ledger.records()] == [[1], [2], [3], [4]]


def test_an_event_is_open_until_its_last_obligation_ends(ledger: Ledger) -> None:
    """Two routes want it: the first end leaves it open, the second closes it."""
    settler = Settler(ledger.settle)
    settler.expect(7, 2)
    settler.end(7, "delivered", module="m", route="a")
    settler.hand_over()
    settler.end(7, "delivered", module="m", route="b")
    settler.hand_over()

    assert [record.get("still_open") for record in ledger.records()] == [[7], None]


def test_what_closes_an_event_comes_behind_what_leaves_it_open(ledger: Ledger) -> None:
    """Two routes that end two events in different orders, in one handing over, do not reopen either."""
    settler = Settler(ledger.settle)
    settler.expect(1, 2)
    settler.expect(2, 2)
    for sequence, route in ((1, "b"), (1, "a"), (2, "a"), (2, "b")):
        settler.end(sequence, "delivered", module="m", route=route)
    settler.hand_over()
    closed: set[int] = set()
    for record in ledger.records():
        assert not closed & set(record["events"])
        closed |= set(record["events"]) - set(record.get("still_open", ()))

    assert closed == {1, 2}


def test_nothing_is_remembered_of_an_event_that_is_closed(ledger: Ledger) -> None:
    """Or the settler would grow with all events ever admitted."""
    settler = Settler(ledger.settle)
    for sequence in range(100):
        settler.expect(sequence, 1 + sequence % 3)
        for _ in range(1 + sequence % 3):
            settler.end(sequence, "delivered", module="m", route="r")
    settler.hand_over()

    assert settler._left == {}


def test_notes_are_handed_over_in_order(ledger: Ledger) -> None:
    """The last one of a kind and key counts, so the order is theirs."""
    settler = Settler(ledger.settle)
    settler.note("attempts", "a", [1])
    settler.note("attempts", "a", None)
    settler.hand_over()

    assert ledger.batches == [([], [("attempts", "a", [1]), ("attempts", "a", None)])]


def test_nothing_is_handed_over_when_there_is_nothing(ledger: Ledger) -> None:
    """No empty line in the log."""
    Settler(ledger.settle).hand_over()

    assert ledger.batches == []


async def test_a_running_settler_gathers_what_comes_at_once(ledger: Ledger, autojump_clock: MockClock) -> None:
    """All that ends before anybody waits is one batch."""
    settler = Settler(ledger.settle)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(settler.run)
        for burst in range(2):
            await wait_all_tasks_blocked()
            for sequence in range(3):
                settler.end(10 * burst + sequence, "delivered", module="m", route="r")
        await wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()

    assert [record["events"] for record in ledger.records()] == [[0, 1, 2], [10, 11, 12]]


async def test_a_note_alone_wakes_a_running_settler(ledger: Ledger, autojump_clock: MockClock) -> None:
    """A retry is noted though nothing has ended."""
    settler = Settler(ledger.settle)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(settler.run)
        await wait_all_tasks_blocked()
        settler.note("attempts", "a", [1])
        await wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()

    assert len(ledger.batches) == 1


async def test_a_cancelled_settler_hands_over_what_it_has(ledger: Ledger) -> None:
    """What has ended before the end is not delivered again after it."""
    settler = Settler(ledger.settle)
    settler.end(1, "delivered", module="m", route="r")
    with trio.CancelScope() as scope:
        scope.cancel()
        await settler.run()

    assert [record["events"] for record in ledger.records()] == [[1]]


def test_what_is_set_aside_keeps_the_event_open_for_those_who_come_back_to_it() -> None:
    """Two of three routes leave with their module; the third ends, and the event waits for the two."""
    settled: list[Settlement] = []
    settler = Settler(lambda settlements, notes: settled.extend(settlements))
    settler.expect(1, 3)
    settler.set_aside(1, 2)
    settler.end(1, "delivered", module="n", route="third")
    settler.hand_over()
    assert [list(settlement.still_open) for settlement in settled] == [[1]]

    settler.expect(1, 2)
    settler.end(1, "delivered", module="m", route="first")
    settler.end(1, "delivered", module="m", route="second")
    settler.hand_over()
    assert [list(settlement.still_open) for settlement in settled[1:]] == [[1], []]


def test_notes_that_are_asked_for_later_come_with_what_has_ended_until_then(ledger: Ledger) -> None:
    """Once for each time that was asked for."""
    settler, marked = Settler(ledger.settle), [1]
    settler.note_later(lambda: [("mark", "k", list(marked))])
    settler.end(1, "delivered", module="m", route="r")
    marked.append(2)
    settler.hand_over()
    settler.hand_over()

    assert [notes for _, notes in ledger.batches] == [[("mark", "k", [1, 2])]]
