"""More than a lane may hold: what becomes of it, and how little memory it takes."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from orgloop.delivery.lane import Lane
from orgloop.delivery.room import HELD, Room
from orgloop.event import Event
from orgloop.sdk import Admitted, Delivered, Delivery, Outcome
from orgloop.testing import FakeActor, event
from tests.delivery.stage import Around, lane, offer, until, work_off, working


async def test_drop_oldest_gives_up_the_oldest(autojump_clock: MockClock) -> None:
    """Into the dead letters, with the reason."""
    around, actor = Around(), FakeActor()
    one = lane(around, queue_depth=2)
    await offer(around, one, *"abcd")
    await work_off(one, actor)

    assert [event.payload for event in actor.events] == ["c", "d"]
    assert [(letter.event.payload, letter.reason) for letter in around.letters] == [
        *(("a", "backpressure"), ("b", "backpressure")),
    ]
    assert around.outcomes() == dict.fromkeys((1, 2), "dead_letter(backpressure)") | dict.fromkeys((3, 4), "delivered")


async def test_dead_letter_gives_up_the_newest(autojump_clock: MockClock) -> None:
    """What waits goes on waiting."""
    around, actor = Around(), FakeActor()
    one = lane(around, queue_depth=2, overflow="dead_letter")
    await offer(around, one, *"abcd")
    await work_off(one, actor)

    assert [event.payload for event in actor.events] == ["a", "b"]
    assert [letter.event.payload for letter in around.letters] == ["c", "d"]


async def test_block_gives_up_nothing(autojump_clock: MockClock) -> None:
    """All wait in the log, beyond any depth."""
    around, actor = Around(), FakeActor()
    one = lane(around, queue_depth=2, overflow="block")
    await offer(around, one, *range(1000))
    await work_off(one, actor)

    assert [event.payload for event in actor.events] == list(range(1000))
    assert not around.letters
    assert not around.phases("pipeline.backpressure")


@pytest.mark.parametrize("overflow", ["drop_oldest", "dead_letter"])
async def test_each_overflow_is_counted_and_noticed(overflow: str, autojump_clock: MockClock) -> None:
    """At once, also while nobody works on the lane."""
    around = Around()
    one = lane(around, queue_depth=3, overflow=overflow)
    await offer(around, one, *range(10))

    assert [fields["queue_depth"] for fields in around.phases("pipeline.backpressure")] == [3] * 7
    assert (one.counts["admitted"], one.in_flight, len(one.queue)) == (10, 10, 3)
    await work_off(one, FakeActor())
    assert one.counts == {"admitted": 10, "delivered": 3, "dead": 7}


async def test_what_is_too_much_is_buried_beside_a_slow_actor(autojump_clock: MockClock) -> None:
    """Nobody waits for the attempt under way."""
    around = Around()
    one = lane(around, queue_depth=1)
    await offer(around, one, *"abc")
    async with working(one, FakeActor(float("inf"))):
        await until(lambda: len(around.letters) == 2)
        await offer(around, one, "d", "e")
        await until(lambda: len(around.letters) == 3)

        assert trio.current_time() < 30
        assert [letter.event.payload for letter in around.letters] == ["a", "b", "d"]


async def test_what_is_too_much_and_cannot_be_read_ends_visibly(autojump_clock: MockClock) -> None:
    """There is nothing to keep for a person, but it does not stay in flight for ever."""
    around = Around(unreadable={1})
    one = lane(around, queue_depth=1)
    await offer(around, one, *"abc")
    await work_off(one, FakeActor())

    assert around.outcomes() == {1: "dead_letter(unreadable)", 2: "dead_letter(backpressure)", 3: "delivered"}


async def test_what_waited_too_long_to_be_read_ends_visibly(autojump_clock: MockClock) -> None:
    """A position in the log that is damaged by the time it is its turn, though it be the last."""
    around = Around(unreadable={300}, room=Room(events=100))
    one = lane(around, overflow="block")
    await offer(around, one, *range(300))
    await work_off(one, FakeActor())

    assert around.outcomes()[300] == "dead_letter(unreadable)"
    assert one.counts == {"admitted": 300, "delivered": 299, "dead": 1}


async def test_what_was_tried_before_it_was_too_much_says_so(autojump_clock: MockClock) -> None:
    """Its dead letter holds the attempts and errors of this run."""
    around = Around()
    one = lane(around, queue_depth=1)
    await offer(around, one, "a")
    with pytest.RaisesGroup(ValueError):
        await one.work(FakeActor(ValueError("bug")))
    await offer(around, one, "b")
    await work_off(one, FakeActor())
    (letter,) = around.letters

    assert (letter.event.payload, letter.reason, letter.attempts) == ("a", "backpressure", 1)
    assert letter.last_error == "the actor crashed: ValueError: bug"


async def test_what_is_too_much_waits_for_room_on_the_disk(autojump_clock: MockClock) -> None:
    """And is given up as soon as there is some; meanwhile the actor works."""
    around = Around(disk_full_until_s=60)
    one = lane(around, queue_depth=1)
    await offer(around, one, *"abc")
    async with working(one, FakeActor()):
        await trio.sleep(30)
        assert (one.counts["delivered"], one.in_flight) == (1, 2)
        await trio.sleep(60)

    assert one.counts == {"admitted": 3, "delivered": 1, "dead": 2}


async def test_a_cancelled_burial_is_made_up_for(autojump_clock: MockClock) -> None:
    """By the next life, once for each."""
    around = Around(disk_full_until_s=10)
    one = lane(around, queue_depth=1)
    await offer(around, one, *"abc")
    with trio.move_on_after(1):
        await one.work(FakeActor())
    await trio.sleep(10)
    await work_off(one, FakeActor())

    assert [letter.event.payload for letter in around.letters] == ["a", "b"]


class Measuring:
    """Keeps the order, and how many events the lane held at most."""

    def __init__(self, one: Lane) -> None:
        self.lane, self.payloads, self.held = one, list[int](), 0

    async def deliver(self, delivery: Delivery) -> Outcome:
        self.payloads.append(delivery.event.payload)
        self.held = max(self.held, self.lane.queue.held + len(self.lane._taken))
        return Delivered()


class OnDisk(Around):
    """Makes events when they are read, as from a disk, and keeps none."""

    async def read(self, sequences: object) -> list[Admitted]:
        await trio.lowlevel.checkpoint()
        return [Admitted(n, numbered(n)) for n in sequences]  # type: ignore[attr-defined]

    def tell(self, phase: str, event: Event | None = None, **fields: object) -> None:
        pass


def numbered(n: int) -> Event:
    return event(n, id=f"evt_{n}", timestamp="2023-11-14T22:13:20.000Z", trace_id="trc_1")


@pytest.mark.slow
async def test_a_hundred_thousand_wait_in_the_log_and_arrive_in_order(autojump_clock: MockClock) -> None:
    """Of those that block, no more than half of the budget is ever in memory."""
    around = OnDisk()
    one = lane(around, overflow="block")
    actor = Measuring(one)
    for n in range(100_000):
        one.offer(Admitted(n, numbered(n)))
    assert one.queue.held <= HELD // 2
    await work_off(one, actor)

    assert actor.payloads == list(range(100_000))
    assert actor.held <= HELD // 2 + 1
