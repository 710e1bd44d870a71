"""A scope for many attempts: when its deadline moves, when it is over, and what that costs those who share it."""

from __future__ import annotations

import math

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from orgloop.delivery.lane import Lane, LaneSpec
from orgloop.delivery.mailbox import Mailbox
from orgloop.delivery.retry import RetryConfig
from orgloop.delivery.turn import EARLY_S, YIELD_AFTER, Turn
from orgloop.event import Event
from orgloop.sdk import Admitted, Delivered, Delivery, Outcome
from orgloop.testing import FakeActor, event
from tests.delivery.stage import Around, Doing, lane, offer, step, work_off
from tests.delivery.test_mailbox import route, serving

RETRY = RetryConfig(max_attempts=2, initial_delay_s=5, jitter=0)


class Late:
    """An actor that answers after a while, even when it is cancelled."""

    def __init__(self, takes_s: float) -> None:
        self.takes_s, self.events = takes_s, list[Event]()

    async def deliver(self, delivery: Delivery) -> Outcome:
        self.events.append(delivery.event)
        with trio.CancelScope(shield=True):
            await trio.sleep(self.takes_s)
        return Delivered()


async def test_a_deadline_moves_with_each_attempt(autojump_clock: MockClock) -> None:
    """To the time of the attempt and what it may take."""
    turn = Turn()
    deadlines = []
    for _ in range(3):
        turn.move(30)
        deadlines.append(turn.scope.deadline - trio.current_time())
        await trio.sleep(7)

    assert deadlines == [30, 30, 30]


@pytest.mark.parametrize(("timeout_s", "early_s"), [(30, EARLY_S), (0.01, 0.0001)])
async def test_a_deadline_stays_while_nobody_could_tell(
    mock_clock: MockClock, timeout_s: float, early_s: float
) -> None:
    """It may be early by a millisecond or a hundredth, whichever is less, and is never late."""
    turn = Turn()
    turn.move(timeout_s)
    first = turn.scope.deadline
    mock_clock.jump(0.9 * early_s)
    turn.move(timeout_s)
    assert turn.scope.deadline == first

    mock_clock.jump(0.2 * early_s)
    turn.move(timeout_s)
    assert turn.scope.deadline == trio.current_time() + timeout_s


async def test_a_shorter_time_moves_the_deadline_back(autojump_clock: MockClock) -> None:
    """Two lanes may allow their actor different times."""
    turn = Turn()
    turn.move(30)
    turn.move(1)

    assert turn.scope.deadline == trio.current_time() + 1


async def test_a_cleared_turn_does_not_expire(autojump_clock: MockClock) -> None:
    """Whoever waits for anything but an actor may wait as long as that takes."""
    turn = Turn()
    turn.move(1)
    turn.clear()
    with turn.scope:
        await trio.sleep(1000)

    assert turn.scope.deadline == math.inf
    assert not turn.is_over


async def test_a_turn_that_was_ended_has_not_expired(autojump_clock: MockClock) -> None:
    """What was under way has not taken too long; but nothing more begins."""
    turn = Turn()
    turn.move(30)
    turn.end("the route is leaving")

    assert turn.is_over
    assert not turn.has_expired


def test_others_run_after_some_obligations() -> None:
    """Over lanes, for each may have only one."""
    turn = Turn()

    assert [n for n in range(1, 200) if turn.count()] == [n for n in range(1, 200) if n % YIELD_AFTER == 0]


async def test_transforms_are_not_asked_again_after_a_deadline(autojump_clock: MockClock) -> None:
    """The second attempt has the event as they have left it."""
    around, asked = Around(), list[Event]()

    def renamed(before: Event) -> Event:
        asked.append(before)
        return event("changed", id=before.id)

    one = lane(around, steps=[step(Doing(renamed))], retry=RETRY, timeout_s=3)
    await offer(around, one, "x")
    actor = FakeActor(math.inf, Delivered())
    await work_off(one, actor)

    assert len(asked) == 1
    assert [delivery.event.payload for delivery in actor.deliveries] == ["changed", "changed"]
    assert [delivery.attempt for delivery in actor.deliveries] == [1, 2]
    assert trio.current_time() == 8


async def test_a_deadline_ends_nothing_but_its_own_attempt(autojump_clock: MockClock) -> None:
    """Others of the same lane behind it, and of the next lane, are delivered, each at its first attempt."""
    around, mailbox = Around(), Mailbox()
    one, two = route(around, "one"), route(around, "two")
    mailbox.add(one)
    mailbox.add(two)
    await offer(around, one, 1, 2)
    await offer(around, two, 3)
    actor = FakeActor(31.0, Delivered())
    async with serving(mailbox, actor):
        await trio.sleep(100)

    assert around.outcomes() == {1: "delivered", 2: "delivered", 3: "delivered"}
    assert sorted((d.event.payload, d.attempt) for d in actor.deliveries) == [(1, 1), (1, 2), (2, 1), (3, 1)]


async def test_an_answer_that_comes_too_late_counts_and_ends_the_turn(autojump_clock: MockClock) -> None:
    """An actor that does not heed its cancellation has done its work; the next event is not cancelled for it."""
    around, actor = Around(), Late(5)
    one = lane(around, timeout_s=3)
    await offer(around, one, 1, 2)
    await work_off(one, actor)

    assert around.outcomes() == {1: "delivered", 2: "delivered"}
    assert len(actor.events) == 2


async def test_lanes_that_do_not_wait_share_one_task(autojump_clock: MockClock) -> None:
    """A hundred lanes with one event each are one worker's work."""
    around, mailbox, tasks = Around(), Mailbox(), set[trio.lowlevel.Task]()

    class Quick:
        async def deliver(self, delivery: Delivery) -> Outcome:
            tasks.add(trio.lowlevel.current_task())
            return Delivered()

    lanes = [route(around, str(number)) for number in range(50)]
    for each in lanes:
        mailbox.add(each)
        await offer(around, each, 1)
    async with serving(mailbox, Quick()):
        await trio.sleep(1)

    assert sum(each.in_flight for each in lanes) == 0
    assert len(tasks) == 1


async def test_lanes_that_wait_are_worked_on_at_once(autojump_clock: MockClock) -> None:
    """A hundred lanes take no longer than one."""
    around, mailbox = Around(), Mailbox()
    lanes = [route(around, str(number)) for number in range(100)]
    for each in lanes:
        mailbox.add(each)
        await offer(around, each, 1)

    async with serving(mailbox, Late(10)):
        await trio.sleep(10.5)
        assert sum(each.in_flight for each in lanes) == 0


async def test_a_lane_that_leaves_disturbs_no_other_of_its_worker(autojump_clock: MockClock) -> None:
    """The worker goes on with the next lane, whose event is at its first attempt."""
    around, mailbox = Around(), Mailbox()
    one, two = route(around, "one"), route(around, "two")
    mailbox.add(one)
    await offer(around, one, 1)
    actor = FakeActor(10.0, Delivered())
    async with serving(mailbox, actor):
        mailbox.add(two)
        await offer(around, two, 2)
        await mailbox.remove("one")
        await wait_all_tasks_blocked()

    assert one.in_flight == 1
    assert around.outcomes() == {2: "delivered"}
    assert actor.deliveries[-1].attempt == 1


async def test_a_bus_that_cannot_be_read_is_not_the_actors_crash(autojump_clock: MockClock) -> None:
    """It is asked again, later and later, and told of each time."""
    around, actor = Around(), FakeActor()
    around.room.events = 0
    one = lane(around, overflow="block")
    await offer(around, one, 1, 2)
    around.unreachable = 3
    await work_off(one, actor)

    assert around.outcomes() == {1: "delivered", 2: "delivered"}
    assert len(around.phases("system.error")) == 3
    assert trio.current_time() == 0.5 + 1 + 2


async def test_waiting_for_a_bus_can_be_cancelled(autojump_clock: MockClock) -> None:
    """Nothing is lost by that, nor counted as an attempt."""
    around, actor = Around(), FakeActor()
    around.room.events = 0
    one = lane(around, overflow="block")
    await offer(around, one, 1)
    around.unreachable = 1000
    with trio.move_on_after(100):
        await one.work_off(actor)
    around.unreachable = 0
    await work_off(one, actor)

    assert [delivery.attempt for delivery in actor.deliveries] == [1]


async def test_a_lane_whose_last_cannot_be_read_is_done(autojump_clock: MockClock) -> None:
    """It does not keep its worker waiting for something to come."""
    around = Around(unreadable={1})
    around.room.events = 0
    one = Lane(LaneSpec(module="m", route="r", actor="a"), around)
    await offer(around, one, 1)
    with trio.fail_after(1):
        await one.work_off(FakeActor())

    assert around.outcomes() == {1: "dead_letter(unreadable)"}


def test_what_a_lane_holds_is_counted_in_the_room_of_all() -> None:
    """And given back when it is left to another module."""
    around = Around()
    before = around.room.events
    trio.run(_offered_and_left, around, before)

    assert around.room.events == before


async def _offered_and_left(around: Around, before: int) -> None:
    one = lane(around)
    for sequence in range(10):
        one.offer(Admitted(sequence, event()))
    assert around.room.events == before - 10
    assert one.leave() == list(range(10))
