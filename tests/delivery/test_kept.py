"""What a lane keeps for somebody else than its actor: open, in nobody's way, and ended in one of a few ways."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs
import pytest
from trio.testing import MockClock

from orgloop.delivery.ages import Ages
from orgloop.delivery.config import DeliveryConfig
from orgloop.delivery.lane import Lane, LaneSpec
from orgloop.event import Event
from orgloop.sdk import Admitted
from orgloop.testing import FakeActor
from tests.delivery.stage import Around, Doing, lane, offer, step, until, work_off, working


@attrs.define(eq=False)
class Odd:
    """Keeps odd payloads, as long as it is to."""

    ttl_s: float | None = None
    is_keeping: bool = True
    gone: list[tuple[int, bool]] = attrs.field(factory=list)

    def wants(self, lane: Lane, admitted: Admitted, event: Event) -> bool:
        return self.is_keeping and bool(event.payload % 2)

    def let_go(self, lane: Lane, sequence: int, *, has_ended: bool) -> None:
        self.gone.append((sequence, has_ended))


def keeping(around: Around, keeper: Odd, *, steps: Sequence[Any] = (), **delivery: Any) -> Lane:
    """A lane with such a keeper."""
    spec = LaneSpec(
        module="m", route="r", actor="a", steps=steps, keepers=[keeper], delivery=DeliveryConfig(**delivery)
    )
    return Lane(spec, around)


async def test_what_is_kept_is_open_and_holds_up_nothing(autojump_clock: MockClock) -> None:
    """Its lane has nothing to do, and nobody counts it among what is to be waited for."""
    around, actor = Around(), FakeActor()
    one = keeping(around, Odd())
    around.settler.expect(1, 1)
    around.settler.expect(2, 1)
    await offer(around, one, 1, 2)
    await work_off(one, actor)

    assert [event.payload for event in actor.events] == [2]
    assert (one.in_flight, one.in_motion, around.settler.open) == (1, 0, 0)
    assert around.outcomes() == {2: "delivered"}


@pytest.mark.parametrize("concurrency", [1, 4])
async def test_a_lane_with_several_tasks_ends_when_all_that_is_left_is_kept(
    autojump_clock: MockClock, concurrency: int
) -> None:
    """Or its worker would never take another lane."""
    around = Around()
    one = keeping(around, Odd(), concurrency=concurrency)
    await offer(around, one, *range(10))
    await work_off(one, FakeActor())

    assert set(one.kept) == {2, 4, 6, 8, 10}


async def test_what_is_kept_is_ended_by_whom_it_waited_for(autojump_clock: MockClock) -> None:
    """Once, and its keeper is told."""
    around, keeper = Around(), Odd()
    one = keeping(around, keeper)
    await offer(around, one, 1)
    await work_off(one, FakeActor())
    one.end_kept(1, "delivered", "delivered")

    assert (around.outcomes(), one.in_flight, keeper.gone) == ({1: "delivered"}, 0, [(1, True)])


async def test_what_is_resumed_is_asked_about_again_before_what_waits(autojump_clock: MockClock) -> None:
    """In its old place, ahead of what came later."""
    around, keeper, actor = Around(), Odd(), FakeActor()
    one = keeping(around, keeper)
    await offer(around, one, 1)
    await work_off(one, actor)
    await offer(around, one, 2)
    keeper.is_keeping = False
    one.resume(1)
    await work_off(one, actor)

    assert [event.payload for event in actor.events] == [1, 2]
    assert keeper.gone == [(1, False)]


async def test_what_is_given_up_is_buried_with_its_reason(autojump_clock: MockClock) -> None:
    """As anything else that a lane gives up."""
    around = Around()
    one = keeping(around, Odd())
    await offer(around, one, 1)
    await work_off(one, FakeActor())
    one.give_up(1, "rejected", "no")
    await work_off(one, FakeActor())

    assert [(letter.reason, letter.last_error) for letter in around.letters] == [("rejected", "no")]
    assert around.outcomes() == {1: "dead_letter(rejected)"}


@pytest.mark.parametrize(
    ("overflow", "left"), [("drop_oldest", [5, 7]), ("dead_letter", [1, 3]), ("block", [1, 3, 5, 7])]
)
async def test_what_is_too_much_to_keep_goes_the_way_of_what_is_too_much(
    autojump_clock: MockClock, overflow: Any, left: list[int]
) -> None:
    """By ``queue_depth`` and ``overflow``, as in the queue."""
    around, actor = Around(), FakeActor()
    one = keeping(around, Odd(), queue_depth=2, overflow=overflow)
    async with working(one, actor):
        for payload in (1, 3, 5, 7):
            await offer(around, one, payload)
            await until(lambda: not one.in_motion)

    sequences = {payload: sequence for sequence, payload in enumerate((1, 3, 5, 7), start=1)}
    assert list(one.kept) == [sequences[payload] for payload in left]
    assert {letter.reason for letter in around.letters} <= {"backpressure"}
    assert one.counts["admitted"] == one.counts["dead"] + one.in_flight


async def test_what_is_kept_longer_than_its_keeper_keeps_anything_expires(autojump_clock: MockClock) -> None:
    """The rest of the lane has its own time."""
    around = Around(ages=Ages())
    one = keeping(around, Odd(ttl_s=10))
    around.ages.look(2, -100.0)
    await offer(around, one, 1)
    await offer(around, one, 3)
    await work_off(one, FakeActor())
    one.look_for_expired()

    assert (around.outcomes(), list(one.kept)) == ({1: "expired"}, [2])
    assert [fields["metadata"]["count"] for fields in around.phases("deliver.expired")] == [1]


async def test_a_lane_that_is_left_gives_away_what_it_keeps(autojump_clock: MockClock) -> None:
    """Nothing of it has ended."""
    around, keeper = Around(), Odd()
    one = keeping(around, keeper)
    await offer(around, one, 1, 3)
    await work_off(one, FakeActor())

    assert (one.leave(), one.in_flight, one.counts["admitted"]) == ([1, 2], 0, 0)
    assert keeper.gone == [(1, False), (2, False)]


async def test_an_heir_asks_again_what_is_to_be_kept(autojump_clock: MockClock) -> None:
    """It may keep nothing."""
    around, actor = Around(), FakeActor()
    one, heir = keeping(around, Odd()), lane(around)
    await offer(around, one, 1, 3)
    await work_off(one, actor)
    one.hand_on(heir)
    await work_off(heir, actor)

    assert [event.payload for event in actor.events] == [1, 3]
    assert (one.in_flight, heir.in_flight, around.settler.open) == (0, 0, -2)


async def test_a_keeper_is_asked_about_what_the_transforms_have_made(autojump_clock: MockClock) -> None:
    """And sees that again when it looks."""
    around = Around()
    plus_one = step(Doing(lambda event: attrs.evolve(event, payload=event.payload + 1)))
    one = keeping(around, Odd(), steps=[plus_one])
    await offer(around, one, 2)
    await work_off(one, FakeActor())
    (admitted,) = await around.read([1])
    seen = await one.look(admitted)

    assert list(one.kept) == [1]
    assert isinstance(seen, Event)
    assert seen.payload == 3
