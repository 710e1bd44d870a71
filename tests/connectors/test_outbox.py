"""Between the thread that logs and the task that sends: nothing waits, nothing is lost uncounted."""

from __future__ import annotations

from collections.abc import Sequence

import attrs
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from orgloop_connectors.loggers._outbox import CLOSE_S, LONGEST_WAIT_S, Outbox, emptied, waits_s


@attrs.define
class Sender:
    """Keeps what it is given, and when; it raises, or takes long, if it is told to."""

    sent: list[tuple[float, list[bytes]]] = attrs.field(factory=list)
    raises: list[Exception] = attrs.field(factory=list)
    takes_s: float = 0.0

    async def send(self, pieces: Sequence[bytes]) -> None:
        await trio.sleep(self.takes_s)
        if self.raises:
            raise self.raises.pop()
        self.sent.append((round(trio.current_time(), 3), list(pieces)))


async def test_a_batch_goes_when_it_is_full_or_has_waited(autojump_clock: MockClock) -> None:
    """Whichever comes first, counted from its first piece."""
    outbox, sender, began_s = Outbox(100), Sender(), trio.current_time()
    async with emptied(outbox, sender.send, most=3, gather_s=5):
        outbox.put(b"1")
        await trio.sleep(2)
        outbox.put(b"2")
        await trio.sleep(4)
        for piece in (b"3", b"4", b"5"):
            outbox.put(piece)
        await trio.sleep(1)

    assert [(at_s - began_s, pieces) for at_s, pieces in sender.sent] == [(5, [b"1", b"2"]), (6, [b"3", b"4", b"5"])]


async def test_what_is_left_goes_at_the_end(autojump_clock: MockClock) -> None:
    """At once, in batches."""
    outbox, sender = Outbox(100), Sender()
    async with emptied(outbox, sender.send, most=2, gather_s=60):
        for piece in (b"1", b"2", b"3"):
            outbox.put(piece)

    assert [pieces for _, pieces in sender.sent] == [[b"1", b"2"], [b"3"]]
    assert outbox.lost == 0


async def test_the_end_has_its_time(autojump_clock: MockClock) -> None:
    """Whatever is not sent by then is counted: in the hand, and still waiting."""
    outbox, sender, began_s = Outbox(100), Sender(takes_s=60), trio.current_time()
    async with emptied(outbox, sender.send, most=2, gather_s=0):
        for piece in (b"1", b"2", b"3"):
            outbox.put(piece)
        await wait_all_tasks_blocked()

    assert trio.current_time() - began_s == CLOSE_S
    assert (outbox.lost, len(outbox), sender.sent) == (3, 0, [])


async def test_the_oldest_go_where_there_are_too_many() -> None:
    """And what comes after the end goes nowhere."""
    outbox, sender = Outbox(2), Sender()
    for piece in (b"1", b"2", b"3"):
        outbox.put(piece)
    async with emptied(outbox, sender.send, most=9, gather_s=0):
        pass
    outbox.put(b"4")

    assert [pieces for _, pieces in sender.sent] == [[b"2", b"3"]]
    assert (outbox.lost, outbox.last_error) == (2, "it came after the end")


async def test_a_sender_that_raises_loses_what_it_had_and_goes_on() -> None:
    """Whoever logs is not ended by it."""
    outbox, sender = Outbox(100), Sender(raises=[ValueError("no")])
    async with emptied(outbox, sender.send, most=1, gather_s=0):
        outbox.put(b"1")
        outbox.put(b"2")

    assert [pieces for _, pieces in sender.sent] == [[b"2"]]
    assert (outbox.lost, outbox.last_error) == (1, "ValueError: no")


async def test_threads_put_side_by_side() -> None:
    """Each piece is sent once, or counted."""
    outbox, sender = Outbox(500), Sender()

    def put_many() -> None:
        for _ in range(1000):
            outbox.put(b"x")

    async with emptied(outbox, sender.send, most=64, gather_s=0), trio.open_nursery() as nursery:
        for _ in range(4):
            nursery.start_soon(trio.to_thread.run_sync, put_many)

    assert sum(len(pieces) for _, pieces in sender.sent) + outbox.lost == 4000


def test_a_thread_that_outlives_the_run_raises_nothing() -> None:
    """It was let go in the middle of a call."""

    async def make() -> Outbox:
        outbox = Outbox(1)
        with trio.move_on_after(0.001):
            await outbox.take(1, gather_s=0)
        return outbox

    outbox = trio.run(make)
    outbox.put(b"1")

    assert len(outbox) == 1


def test_waits_grow_up_to_a_bound() -> None:
    """Doubled each time, and shortened by chance."""
    longest, shortest = waits_s(lambda: 1.0), waits_s(lambda: 0.0)

    assert [longest(failures) for failures in (1, 2, 3, 6, 1000)] == [1, 2, 4, LONGEST_WAIT_S, LONGEST_WAIT_S]
    assert shortest(3) == 2
