"""One obligation on its way: every outcome an actor can have, and how the obligation ends."""

from __future__ import annotations

import math
from typing import Any

import attrs
import pytest
import trio
from trio.testing import MockClock

from orgloop.delivery.lane import Lane, LaneSpec
from orgloop.delivery.retry import RetryConfig
from orgloop.event import Event
from orgloop.sdk import Delivered, Delivery, Failed, Outcome, Rejected, Skipped
from orgloop.testing import FakeActor, event
from tests.delivery.stage import Around, Doing, lane, offer, step, work_off, working


async def test_a_delivered_event_is_settled_as_that(autojump_clock: MockClock) -> None:
    """Under its sequence, for this module and route."""
    around = Around()
    one = lane(around)
    await offer(around, one, "x")
    await work_off(one, FakeActor())

    assert around.outcomes() == {1: "delivered"}
    assert (around.settled[0].module, around.settled[0].route) == ("m", "r")
    assert one.counts == {"admitted": 1, "delivered": 1}


async def test_a_delivery_says_all_that_an_actor_may_know(autojump_clock: MockClock) -> None:
    """Event, config for it, attempt, and a key that is its own."""
    around, actor = Around(), FakeActor()
    one = Lane(LaneSpec(module="m", route="r", actor="a", config=lambda event: {"n": event.payload}), around)
    await offer(around, one, 1, 2)
    await work_off(one, actor)
    first, second = actor.deliveries

    assert (first.event.payload, first.config, first.attempt, first.prompt) == (1, {"n": 1}, 1, None)
    assert first.idempotency_key.endswith(f"-1-{first.event.id}")
    assert first.idempotency_key != second.idempotency_key


async def test_two_routes_have_keys_of_their_own_for_one_event(autojump_clock: MockClock) -> None:
    """Or one delivery would hide the other."""
    around, actor = Around(), FakeActor()
    await around.bus.publish([event()])
    (admitted,) = await around.bus.receive()
    for route in ("r1", "r2"):
        one = Lane(LaneSpec(module="m", route=route, actor="a"), around)
        one.offer(admitted)
        await work_off(one, actor)

    assert len({delivery.idempotency_key for delivery in actor.deliveries}) == 2


async def test_an_actor_may_publish_what_follows(autojump_clock: MockClock) -> None:
    """With the emit of its delivery."""
    around = Around()

    class Answering:
        async def deliver(self, delivery: Delivery) -> Outcome:
            await delivery.emit([event("answer")])
            return Delivered()

    one = lane(around)
    await offer(around, one, "question")
    await work_off(one, Answering())

    assert [admitted.event.payload for admitted in await around.bus.receive()] == ["answer"]


async def test_a_rejected_event_is_a_dead_letter_at_once(autojump_clock: MockClock) -> None:
    """No second attempt, whatever retry says."""
    around, actor = Around(), FakeActor(Rejected("no such channel"))
    one = lane(around)
    await offer(around, one, "x")
    await work_off(one, actor)
    (letter,) = around.letters

    assert len(actor.deliveries) == 1
    assert (letter.reason, letter.attempts, letter.last_error) == ("rejected", 1, "no such channel")
    assert around.outcomes() == {1: "dead_letter(rejected)"}
    assert one.counts == {"admitted": 1, "dead": 1}


async def test_a_skipped_event_is_settled_and_said_so(autojump_clock: MockClock) -> None:
    """It is dropped, by the actor's own will."""
    around = Around()
    one = lane(around)
    await offer(around, one, "x")
    await work_off(one, FakeActor(Skipped("not mine")))

    assert around.outcomes() == {1: "dropped(skipped)"}
    assert around.phases("deliver.success")[0]["result"] == "skipped: not mine"


async def test_an_attempt_takes_no_longer_than_its_timeout(autojump_clock: MockClock) -> None:
    """After exactly that, it has failed, and says so."""
    around, actor = Around(), FakeActor(math.inf)
    one = lane(around, timeout_s=7.5, retry=RetryConfig(max_attempts=1))
    await offer(around, one, "x")
    await work_off(one, actor)

    assert trio.current_time() == 7.5
    assert around.letters[0].last_error == "no answer within 7.5 s"


async def test_an_answer_within_the_timeout_counts(autojump_clock: MockClock) -> None:
    """However close."""
    around = Around()
    one = lane(around, timeout_s=7.5)
    await offer(around, one, "x")
    await work_off(one, FakeActor(7.25))

    assert around.outcomes() == {1: "delivered"}


async def test_a_dead_letter_is_durable_before_its_obligation_ends(autojump_clock: MockClock) -> None:
    """In this order, or a crash in between would lose it."""
    around = Around()
    one = lane(around)
    await offer(around, one, "x")
    await work_off(one, FakeActor(Rejected("no")))
    around.settler.hand_over()

    assert around.history == [("buried", 1), ("dead_letter(rejected)", 1)]


async def test_a_dead_letter_holds_the_event_as_it_was_admitted(autojump_clock: MockClock) -> None:
    """Replayed, it goes through the transforms again."""
    around = Around()
    one = lane(around, steps=[step(Doing(lambda event: attrs.evolve(event, payload="changed")))])
    await offer(around, one, "x")
    actor = FakeActor(Rejected("no"))
    await work_off(one, actor)

    assert actor.events[0].payload == "changed"
    assert around.letters[0].event.payload == "x"


async def test_with_no_room_for_the_dead_letter_the_obligation_stays(autojump_clock: MockClock) -> None:
    """Nobody forgets it; as soon as there is room it is written, and ends."""
    around = Around(disk_full_until_s=60)
    one = lane(around)
    await offer(around, one, "x", "y")
    async with working(one, FakeActor(Rejected("no"))):
        await trio.sleep(59)
        assert (around.letters, around.outcomes(), one.in_flight) == ([], {}, 2)
        await trio.sleep(11)

    assert around.outcomes() == {1: "dead_letter(rejected)", 2: "delivered"}
    assert "no space left" in around.phases("system.error")[0]["error"]


async def test_what_was_rejected_is_not_tried_again_though_its_dead_letter_waits(autojump_clock: MockClock) -> None:
    """Neither by the actor's next life nor after a restart of the daemon."""
    around, actor = Around(disk_full_until_s=60), FakeActor(Rejected("no"))
    one = lane(around)
    await offer(around, one, "x")
    with trio.move_on_after(1):
        await one.work(actor)
    around.settler.hand_over()
    again = lane(around)
    (admitted,) = await around.bus.read([1])
    again.offer(attrs.evolve(admitted, recovered=True))
    for each in (one, again):
        with trio.move_on_after(1):
            await each.work(actor)
    await trio.sleep(60)
    await work_off(again, actor)

    assert len(actor.deliveries) == 1
    assert [(letter.reason, letter.attempts) for letter in around.letters] == [("rejected", 1)]


async def test_a_dropped_event_never_meets_its_actor(autojump_clock: MockClock) -> None:
    """It is settled with the name of the transform."""
    around, actor = Around(), FakeActor()
    one = lane(around, steps=[step(Doing(lambda event: None), name="filter")])
    await offer(around, one, "x")
    await work_off(one, actor)

    assert around.outcomes() == {1: "dropped(filter)"}
    assert actor.deliveries == []


@pytest.mark.parametrize(
    ("on_error", "outcome", "reasons"),
    [
        ("dead_letter", "dead_letter(transform)", ["transform"]),
        ("halt", "dead_letter(transform_halt)", ["transform_halt"]),
        ("drop", "dropped(t)", []),
        ("pass", "delivered", []),
    ],
)
async def test_a_failed_transform_ends_as_the_route_says(
    on_error: Any, outcome: str, reasons: list[str], autojump_clock: MockClock
) -> None:
    """The next event is not concerned."""
    around = Around()

    def fail_on_one(event: Event) -> Event:
        return event if event.payload else 1 / 0  # type: ignore[return-value]

    one = lane(around, steps=[step(Doing(fail_on_one), on_error=on_error)])
    await offer(around, one, 0, 1)
    await work_off(one, FakeActor())

    assert around.outcomes() == {1: outcome, 2: "delivered"}
    assert [letter.reason for letter in around.letters] == reasons


async def test_a_transform_that_fails_leaves_its_words_in_the_dead_letter(autojump_clock: MockClock) -> None:
    """A person has to find out why; nothing was attempted."""
    around = Around()
    one = lane(around, steps=[step(Doing(lambda event: 7))])
    await offer(around, one, "x")
    await work_off(one, FakeActor())
    (letter,) = around.letters

    assert letter.attempts == 0
    assert letter.first_error == letter.last_error == "TypeError: transform 't' returned int, not an event or None"


async def test_every_attempt_and_its_end_is_noticed(autojump_clock: MockClock) -> None:
    """With module, route and target."""
    around = Around()
    one = lane(around)
    await offer(around, one, "x")
    await work_off(one, FakeActor(Failed("503")))

    assert [phase for phase, _, _ in around.told] == [
        *("deliver.attempt", "deliver.retry", "deliver.attempt", "deliver.success"),
    ]
    assert {(f["module"], f["route"], f["target"]) for _, _, f in around.told} == {("m", "r", "a")}


async def test_working_off_ends_when_nothing_is_left(autojump_clock: MockClock) -> None:
    """Also where there was nothing to begin with; what comes later waits for the next time."""
    around, actor = Around(), FakeActor()
    one = lane(around)
    await one.work_off(actor)
    await offer(around, one, "x")
    await one.work_off(actor)
    await offer(around, one, "y")
    assert one.in_flight == 1
    await one.work_off(actor)

    assert [event.payload for event in actor.events] == ["x", "y"]


async def test_a_lane_says_when_something_is_offered(autojump_clock: MockClock) -> None:
    """So that it needs no task while there is nothing."""
    around, heard = Around(), list[Lane]()
    one = lane(around)
    one.ready = heard.append
    await offer(around, one, "x", "y")

    assert heard == [one, one]


async def test_an_actor_that_never_waits_lets_others_run(autojump_clock: MockClock) -> None:
    """A thousand obligations in a row leave turns to the other tasks."""
    around, turns = Around(), 0

    class Instant:
        async def deliver(self, delivery: Delivery) -> Outcome:
            return Delivered()

    one = lane(around)
    await offer(around, one, *range(192))
    async with working(one, Instant()):
        while one.in_flight:
            turns += 1
            await trio.lowlevel.checkpoint()

    assert turns >= 3
