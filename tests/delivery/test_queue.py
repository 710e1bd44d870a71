"""What waits in a lane: its order, its depth, and how little of it is in memory."""

from __future__ import annotations

import math
from collections.abc import Sequence

import attrs
import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from orgloop.delivery.queue import READ_AT_ONCE, Queue
from orgloop.delivery.room import Room
from orgloop.sdk import Admitted
from orgloop.testing import event

EVENT = event()
ALONE = 256
"""How many events a queue holds that is alone in the room of these tests."""


@attrs.define(eq=False)
class Store:
    """Where events are read back from, at most ``most`` at a time."""

    unreadable: set[int] = attrs.field(factory=set)
    reads: list[list[int]] = attrs.field(factory=list)
    given_up: list[int] = attrs.field(factory=list)
    stuck: bool = False
    most: int = READ_AT_ONCE
    size_bytes: int = 0
    room: Room = attrs.field(factory=lambda: Room(events=2 * ALONE))

    async def read(self, sequences: Sequence[int]) -> list[Admitted]:
        self.reads.append(list(sequences))
        await trio.sleep(math.inf if self.stuck else 0)
        found = [sequence for sequence in sequences if sequence not in self.unreadable]
        return [Admitted(sequence, EVENT, size_bytes=self.size_bytes) for sequence in found[: self.most]]

    def queue(self, depth: float = float("inf"), *, drop_oldest: bool = True) -> Queue:
        return Queue(self.read, self.given_up.append, depth, drop_oldest=drop_oldest, room=self.room)

    def fill(self, queue: Queue, sequences: range) -> list[int | None]:
        return [queue.offer(Admitted(sequence, EVENT, size_bytes=self.size_bytes)) for sequence in sequences]


def fill(queue: Queue, sequences: range) -> list[int | None]:
    return [queue.offer(Admitted(sequence, EVENT)) for sequence in sequences]


async def take(queue: Queue, count: int) -> list[int]:
    return [(await queue.take()).sequence for _ in range(count)]


@pytest.fixture
def store() -> Store:
    return Store()


async def test_what_was_offered_first_is_taken_first(store: Store) -> None:
    """Also beyond what is held in memory."""
    queue = store.queue()
    fill(queue, range(2000))

    assert await take(queue, 2000) == list(range(2000))
    assert len(queue) == 0


async def test_never_more_events_are_held_than_may_be(store: Store) -> None:
    """Offered and taken in turns, so that events are read back while others come."""
    queue = store.queue()
    taken = []
    for start in range(0, 5000, 100):
        fill(queue, range(start, start + 100))
        taken += await take(queue, 60)
        assert queue.held == 2 * ALONE - store.room.events <= ALONE
    while len(queue):
        taken += await take(queue, 1)
        assert queue.held == 2 * ALONE - store.room.events <= ALONE

    assert taken == list(range(5000))


async def test_what_is_few_is_never_read_back(store: Store) -> None:
    """A lane that keeps up does not touch the log."""
    queue = store.queue()
    fill(queue, range(ALONE))
    await take(queue, ALONE)

    assert store.reads == []


async def test_reading_back_is_done_in_batches(store: Store) -> None:
    """One read for many positions."""
    queue = store.queue()
    fill(queue, range(ALONE + 2 * READ_AT_ONCE))
    await take(queue, ALONE + 2 * READ_AT_ONCE)

    assert list(map(len, store.reads)) == [READ_AT_ONCE, READ_AT_ONCE]


async def test_a_queue_leaves_room_for_the_next(store: Store) -> None:
    """Each may hold as much as is still free, so the tenth to be stuck holds something too."""
    queues = [store.queue() for _ in range(10)]
    for queue in queues:
        fill(queue, range(1000))

    assert [queue.held for queue in queues] == [256, 128, 64, 32, 16, 8, 4, 2, 1, 1]


async def test_large_events_are_held_by_their_size(store: Store) -> None:
    """Though they are few."""
    store.room.bytes, store.size_bytes = 1000, 100
    queue = store.queue()
    store.fill(queue, range(20))
    assert queue.held == 5

    assert await take(queue, 20) == list(range(20))
    assert store.room == Room(events=2 * ALONE, bytes=1000)


async def test_without_any_room_a_queue_still_gets_on(store: Store) -> None:
    """One event at a time."""
    store.room.events, store.room.bytes = 0, 0
    queue = store.queue()
    fill(queue, range(3))

    assert await take(queue, 3) == [0, 1, 2]
    assert store.reads == [[0], [1], [2]]


async def test_the_room_is_given_back_whichever_way_a_queue_is_left(store: Store) -> None:
    """Taken, put back, handed out as too much, put behind others, and emptied."""
    store.size_bytes = 7
    before = attrs.evolve(store.room)
    queue = store.queue(4)
    store.fill(queue, range(6))
    queue.put_back([await queue.take()])
    queue.put_first([100, 101])
    store.fill(queue, range(6, 9))
    queue.empty()

    assert store.room == before


async def test_what_is_not_read_in_one_go_is_read_in_the_next(store: Store, autojump_clock: MockClock) -> None:
    """A bus gives no more than fits, and what comes behind is neither lost nor told to be unreadable."""
    store.room.events, store.most, store.unreadable = 32, 3, {20, 25, 39}
    queue = store.queue()
    fill(queue, range(40))

    assert await take(queue, 37) == [n for n in range(40) if n not in store.unreadable]
    with trio.move_on_after(1):
        await queue.take()
    assert store.given_up == [20, 25, 39]


async def test_a_full_queue_hands_out_its_oldest(store: Store) -> None:
    """With drop_oldest, what comes is the newest and stays."""
    queue = store.queue(2)

    assert fill(queue, range(4)) == [None, None, 0, 1]
    assert await take(queue, 2) == [2, 3]


async def test_a_full_queue_may_refuse_the_newest(store: Store) -> None:
    """Without drop_oldest, what waits goes on waiting."""
    queue = store.queue(2, drop_oldest=False)

    assert fill(queue, range(4)) == [None, None, 2, 3]
    assert await take(queue, 2) == [0, 1]


async def test_the_oldest_of_a_long_queue_may_be_a_position(store: Store) -> None:
    """Whether an event or its position is at the front makes no difference to what is too much."""
    queue = store.queue(2 * ALONE)
    fill(queue, range(2 * ALONE))

    assert fill(queue, range(2 * ALONE, 6 * ALONE)) == list(range(4 * ALONE))
    assert await take(queue, 2 * ALONE) == list(range(4 * ALONE, 6 * ALONE))


async def test_what_is_put_back_comes_first_and_in_order(store: Store) -> None:
    """However it is put back."""
    queue = store.queue()
    fill(queue, range(5))
    taken = [await queue.take() for _ in range(3)]
    queue.put_back([taken[2], taken[0], taken[1]])

    assert await take(queue, 5) == [0, 1, 2, 3, 4]


async def test_what_is_put_first_comes_before_what_is_held(store: Store) -> None:
    """As when a lane inherits what waited in another."""
    queue = store.queue()
    fill(queue, range(10, 13))
    queue.put_first([1, 2])

    assert await take(queue, 5) == [1, 2, 10, 11, 12]


async def test_putting_back_is_never_too_much(store: Store) -> None:
    """What was taken once is owed, however full the queue has become."""
    queue = store.queue(1)
    fill(queue, range(1))
    taken = await queue.take()
    fill(queue, range(1, 2))
    queue.put_back([taken])

    assert len(queue) == 2
    assert await take(queue, 2) == [0, 1]


async def test_taking_waits_for_an_offer(store: Store, autojump_clock: MockClock) -> None:
    """An offer wakes who waits."""
    queue, taken = store.queue(), list[int]()

    async def waiting() -> None:
        taken.extend(await take(queue, 1))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(waiting)
        await wait_all_tasks_blocked()
        fill(queue, range(7, 8))

    assert taken == [7]


async def test_putting_back_wakes_who_waits(store: Store, autojump_clock: MockClock) -> None:
    """It is as good as an offer."""
    queue, taken = store.queue(), list[int]()

    async def waiting() -> None:
        taken.extend(await take(queue, 1))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(waiting)
        await wait_all_tasks_blocked()
        queue.put_back([Admitted(7, EVENT)])

    assert taken == [7]


@pytest.mark.parametrize("size", [1, ALONE + 1])
async def test_a_cancelled_take_takes_nothing(store: Store, size: int) -> None:
    """Not an event that is held, and not one that has to be read back."""
    queue = store.queue()
    fill(queue, range(size))
    await take(queue, size - 1)
    with trio.CancelScope() as scope:
        scope.cancel()
        await queue.take()

    assert await take(queue, 1) == [size - 1]


async def test_a_take_cancelled_while_reading_back_takes_nothing(store: Store, autojump_clock: MockClock) -> None:
    """The positions stay where they are."""
    queue = store.queue()
    fill(queue, range(ALONE + 10))
    await take(queue, ALONE)
    store.stuck = True
    with trio.move_on_after(1) as scope:
        await queue.take()
    store.stuck = False

    assert scope.cancelled_caught
    assert await take(queue, 10) == list(range(ALONE, ALONE + 10))


async def test_positions_that_cannot_be_read_are_told_and_passed_over(store: Store) -> None:
    """In order, each once."""
    queue = store.queue()
    fill(queue, range(ALONE + 64))
    store.unreadable = {ALONE, ALONE + 7, ALONE + 62}

    assert await take(queue, ALONE + 61) == [n for n in range(ALONE + 64) if n not in store.unreadable]
    assert store.given_up == [ALONE, ALONE + 7, ALONE + 62]


async def test_an_unreadable_position_is_told_though_nothing_follows(store: Store, autojump_clock: MockClock) -> None:
    """Who takes goes on waiting, but nobody waits to hear of it."""
    queue = store.queue()
    fill(queue, range(ALONE + 1))
    store.unreadable = {ALONE}
    await take(queue, ALONE)
    with trio.move_on_after(1):
        await queue.take()

    assert store.given_up == [ALONE]
    assert len(queue) == 0


async def test_what_becomes_too_much_while_it_is_read_back_is_not_taken(store: Store) -> None:
    """The oldest may leave at any time."""
    queue = store.queue(64)
    store.room.events = 0
    fill(queue, range(64))
    store.room.events = 2 * ALONE
    surplus: list[int | None] = []

    async def read(sequences: Sequence[int]) -> list[Admitted]:
        surplus.extend(fill(queue, range(1000, 1002)))
        return await store.read(sequences)

    queue._read = read
    first = await queue.take()

    assert surplus == [0, 1]
    assert first.sequence == 2
