"""A lane that leaves what it has to another of the same route, as when a route is changed while it is busy."""

from __future__ import annotations

from trio.testing import MockClock, wait_all_tasks_blocked

from orgloop.delivery.mailbox import Mailbox
from orgloop.sdk import Failed
from orgloop.testing import FakeActor
from tests.delivery.stage import Around, lane, offer, work_off


async def test_what_waits_goes_on_in_the_other_lane_and_ahead_of_what_waits_there(autojump_clock: MockClock) -> None:
    """In the order in which it was admitted."""
    around, actor = Around(), FakeActor()
    before, after = lane(around), lane(around)
    await offer(around, before, "a", "b")
    await offer(around, after, "c")
    before.hand_on(after)
    await work_off(after, actor)

    assert [delivery.event.payload for delivery in actor.deliveries] == ["a", "b", "c"]
    assert before.in_flight == 0


async def test_both_lanes_count_as_one(autojump_clock: MockClock) -> None:
    """So that what was admitted is what has ended and what has not, whoever ends it."""
    around = Around()
    before, after = lane(around), lane(around)
    await offer(around, before, "a", "b")
    before.hand_on(after)
    await offer(around, after, "c")
    await work_off(after, FakeActor())

    assert after.counts is before.counts
    assert after.counts == {"admitted": 3, "delivered": 3}


async def test_attempts_are_counted_on(autojump_clock: MockClock) -> None:
    """An attempt that has failed in one lane is not made again as the first in the other."""
    around = Around()
    before, after = lane(around), lane(around)
    await offer(around, before, "a")
    (first,) = [await before.take()]
    before._tries.fail(first.sequence, before._tries.of(first), Failed("503"))
    before.queue.put_back([first])
    before._taken.clear()
    before.hand_on(after)
    actor = FakeActor()
    await work_off(after, actor)

    assert [delivery.attempt for delivery in actor.deliveries] == [2]


async def test_what_is_under_way_stays(autojump_clock: MockClock) -> None:
    """It ends where it began."""
    around = Around()
    before, after = lane(around), lane(around)
    await offer(around, before, "a", "b")
    await before.take()
    before.hand_on(after)

    assert (before.in_flight, after.in_flight) == (1, 1)


async def test_what_is_too_much_is_buried_by_the_heir_once_nobody_works_here(autojump_clock: MockClock) -> None:
    """It is neither lost nor buried twice."""
    around = Around()
    before = lane(around, queue_depth=1)
    after = lane(around, queue_depth=1)
    mailbox = Mailbox()
    mailbox.add(before)
    await offer(around, before, "a", "b")
    before.hand_on(after)
    assert (before.in_flight, after.in_flight) == (1, 1)
    await mailbox.remove(before.spec.route)
    before.hand_on(after)
    await work_off(after, FakeActor())
    await wait_all_tasks_blocked()

    assert around.outcomes() == {1: "dead_letter(backpressure)", 2: "delivered"}
