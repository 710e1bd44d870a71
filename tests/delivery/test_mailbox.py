"""The mailbox: lanes that work side by side, leave and come, and outlive their actor."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from orgloop.delivery.lane import Lane, LaneSpec
from orgloop.delivery.mailbox import Mailbox
from orgloop.sdk import Actor, Delivered
from orgloop.testing import FakeActor
from tests.delivery.stage import Around, lane, offer


def route(around: Around, name: str) -> Lane:
    """A lane of that name."""
    return Lane(LaneSpec(module="m", route=name, actor="a"), around)


@asynccontextmanager
async def serving(mailbox: Mailbox, actor: Actor) -> AsyncGenerator[trio.Nursery]:
    """The actor at work while the block runs."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(mailbox.serve, actor)
        await wait_all_tasks_blocked()
        yield nursery
        nursery.cancel_scope.cancel("the test is over")


async def test_a_slow_route_does_not_hold_up_another_to_the_same_actor(autojump_clock: MockClock) -> None:
    """One takes ten seconds, the other is done at once."""
    around, mailbox = Around(), Mailbox()
    slow, quick = route(around, "slow"), route(around, "quick")
    mailbox.add(slow)
    mailbox.add(quick)

    async with serving(mailbox, FakeActor(10.0, Delivered(), Delivered())):
        await offer(around, slow, 1)
        await wait_all_tasks_blocked()
        await offer(around, quick, 2)
        await trio.sleep(1)
        assert (slow.in_flight, quick.in_flight) == (1, 0)


async def test_what_waits_when_the_actor_comes_is_worked_on(autojump_clock: MockClock) -> None:
    """Offered to nobody, it is still there."""
    around = Around()
    mailbox, one = Mailbox(), lane(around)
    mailbox.add(one)
    await offer(around, one, 1, 2, 3)

    async with serving(mailbox, FakeActor()):
        await trio.sleep(1)

    assert around.outcomes() == {1: "delivered", 2: "delivered", 3: "delivered"}


async def test_a_lane_that_is_done_has_no_task(autojump_clock: MockClock) -> None:
    """Ten thousand quiet routes cost no more than their records."""
    around, mailbox = Around(), Mailbox()
    lanes = [route(around, str(number)) for number in range(100)]
    for each in lanes:
        mailbox.add(each)

    async with serving(mailbox, FakeActor()):
        before = trio.lowlevel.current_statistics().tasks_living
        for each in lanes:
            await offer(around, each, 1)
        await trio.sleep(1)
        assert trio.lowlevel.current_statistics().tasks_living == before
    assert sum(each.in_flight for each in lanes) == 0


async def test_a_crash_of_the_actor_leaves_every_lane_what_it_had(autojump_clock: MockClock) -> None:
    """The next life delivers all of it, in order."""
    around = Around()
    mailbox, one = Mailbox(), lane(around)
    mailbox.add(one)
    await offer(around, one, 1, 2)
    with pytest.RaisesGroup(OSError, flatten_subgroups=True):
        await mailbox.serve(FakeActor(OSError("crash")))
    actor = FakeActor()

    async with serving(mailbox, actor):
        await trio.sleep(100)

    assert [delivered.payload for delivered in actor.events] == [1, 2]


async def test_a_lane_that_leaves_in_the_middle_keeps_what_has_not_ended(autojump_clock: MockClock) -> None:
    """The delivery under way is cut off, and belongs to whoever gets the lane."""
    around = Around()
    mailbox, one = Mailbox(), lane(around)
    mailbox.add(one)

    async with serving(mailbox, FakeActor(10.0, Delivered())):
        await offer(around, one, 1, 2)
        await trio.sleep(1)
        gone = await mailbox.remove(one.spec.route)
        assert gone is one
        assert one.in_flight == 2
        await trio.sleep(20)

    assert around.outcomes() == {}


async def test_a_lane_may_come_back_with_what_it_has(autojump_clock: MockClock) -> None:
    """As after a reload that kept its route."""
    around = Around()
    mailbox, one = Mailbox(), lane(around)
    mailbox.add(one)
    await offer(around, one, 1)
    await mailbox.remove(one.spec.route)

    async with serving(mailbox, FakeActor()):
        mailbox.add(one)
        await trio.sleep(1)

    assert around.outcomes() == {1: "delivered"}
