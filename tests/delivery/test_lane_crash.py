"""Actors that crash: what they were doing is tried again by their next life, and a poison event is not for ever."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from orgloop.delivery.retry import RetryConfig
from orgloop.errors import PluginError
from orgloop.sdk import Delivered, Delivery, Outcome
from orgloop.testing import FakeActor
from tests.delivery.stage import Around, crash, lane, offer, work_off

RETRY = RetryConfig(max_attempts=3, initial_delay_s=10, jitter=0)


class Poisoned:
    """Crashes over what says so."""

    def __init__(self) -> None:
        self.delivered: list[object] = []

    async def deliver(self, delivery: Delivery) -> Outcome:
        if delivery.event.payload == "poison":
            raise SystemExit(3) if delivery.attempt % 2 else ValueError("poison")
        self.delivered.append(delivery.event.payload)
        return Delivered()


@pytest.mark.parametrize("error", [ValueError("bug"), ExceptionGroup("", [ValueError("bug")]), SystemExit(3)], ids=repr)
@pytest.mark.parametrize("concurrency", [1, 4])
async def test_what_an_actor_raises_comes_out_of_work(
    error: BaseException, concurrency: int, autojump_clock: MockClock
) -> None:
    """It is the supervisor's business."""
    around = Around()
    one = lane(around, concurrency=concurrency)
    await offer(around, one, "x")
    found = await crash(one, FakeActor(error))

    assert found is error or found in getattr(error, "exceptions", ())


async def test_the_next_life_goes_on_where_the_crash_was(autojump_clock: MockClock) -> None:
    """With the same key, one attempt more, and in order."""
    around, first, second = Around(), FakeActor(Delivered(), ValueError("bug")), FakeActor()
    one = lane(around)
    await offer(around, one, "x", "y", "z")
    await crash(one, first)
    assert one.in_flight == 2
    await work_off(one, second)

    assert [event.payload for event in first.events + second.events] == ["x", "y", "y", "z"]
    assert [second.deliveries[0].attempt, second.deliveries[1].attempt] == [2, 1]
    assert first.deliveries[1].idempotency_key == second.deliveries[0].idempotency_key


async def test_a_crash_is_a_failed_attempt(autojump_clock: MockClock) -> None:
    """It is retried by the same schedule, whoever carries it."""
    around = Around()
    one = lane(around, retry=RETRY)
    await offer(around, one, "x")
    await crash(one, FakeActor(ValueError("bug")))
    await work_off(one, FakeActor())

    assert trio.current_time() == 10
    assert around.phases("deliver.retry")[0]["error"] == "the actor crashed: ValueError: bug"


async def test_a_poison_event_ends_in_the_dead_letters(autojump_clock: MockClock) -> None:
    """Its actor crashes as often as there are attempts, and then no more over this one."""
    around, actor = Around(), Poisoned()
    one = lane(around, retry=RETRY)
    await offer(around, one, "poison", "y")
    crashes = [await crash(one, actor) for _ in range(3)]
    await work_off(one, actor)

    assert list(map(type, crashes)) == [SystemExit, ValueError, SystemExit]
    assert around.outcomes() == {1: "dead_letter(retries_exhausted)", 2: "delivered"}
    assert (around.letters[0].attempts, around.letters[0].last_error) == (3, "the actor crashed: SystemExit: 3")


async def test_a_poison_event_leaves_the_others_their_attempts(autojump_clock: MockClock) -> None:
    """Several at once: those that were cancelled by its crashes are delivered all the same."""
    around, actor = Around(), Poisoned()
    one = lane(around, concurrency=4, retry=RETRY)
    await offer(around, one, "a", "poison", "b", "c", "d")
    for _ in range(3):
        await crash(one, actor)
    await work_off(one, actor)

    assert sorted(map(str, actor.delivered)) == ["a", "b", "c", "d"]
    assert around.outcomes()[2] == "dead_letter(retries_exhausted)"


@pytest.mark.parametrize("garbage", [None, True, "ok", Delivered, 200], ids=repr)
async def test_what_is_no_outcome_is_a_crash_of_the_actor(garbage: object, autojump_clock: MockClock) -> None:
    """Forgetting to return one too: it is not taken for an answer that did not come."""

    class Careless:
        async def deliver(self, delivery: Delivery) -> Outcome:
            return garbage  # type: ignore[return-value]

    around = Around()
    one = lane(around, retry=RETRY)
    await offer(around, one, "x")
    found = [await crash(one, Careless()) for _ in range(3)]
    await work_off(one, FakeActor())

    assert [type(error) for error in found] == [PluginError] * 3
    assert str(found[0]) == f"actor 'a' returned {type(garbage).__name__}, which is no outcome"
    assert around.outcomes() == {1: "dead_letter(retries_exhausted)"}


async def test_a_config_that_cannot_be_made_is_not_tried_for_ever(autojump_clock: MockClock) -> None:
    """What goes wrong before the actor is reached counts too."""
    around = Around()
    one = lane(around, retry=RETRY)
    object.__setattr__(one.spec, "config", lambda event: 1 / 0)
    await offer(around, one, "x")
    for _ in range(3):
        await crash(one, FakeActor())
    await work_off(one, FakeActor())

    assert around.outcomes() == {1: "dead_letter(retries_exhausted)"}


async def test_a_cancelled_attempt_is_counted_and_not_held_against_it(autojump_clock: MockClock) -> None:
    """It may have got through, so the next has a higher number; but it has not failed."""
    around, actor = Around(), FakeActor()
    one = lane(around, retry=RetryConfig(max_attempts=1))
    await offer(around, one, "x")
    for _ in range(5):
        with trio.move_on_after(1):
            await one.work(FakeActor(float("inf")))
    await work_off(one, actor)

    assert actor.deliveries[0].attempt == 6
    assert around.outcomes() == {1: "delivered"}


async def test_a_crash_while_being_cancelled_loses_nothing(autojump_clock: MockClock) -> None:
    """An actor that does not go quietly."""

    class Stubborn:
        async def deliver(self, delivery: Delivery) -> Outcome:
            try:
                await trio.sleep_forever()
            finally:
                raise ValueError("cleaning up")

    around = Around()
    one = lane(around)
    await offer(around, one, "x")
    with pytest.RaisesGroup(ValueError, flatten_subgroups=True), trio.move_on_after(1):
        await one.work(Stubborn())
    await work_off(one, FakeActor())

    assert around.outcomes() == {1: "delivered"}


async def test_what_was_under_way_goes_back_in_order(autojump_clock: MockClock) -> None:
    """All of it, in front of what waited."""

    class Crashing:
        async def deliver(self, delivery: Delivery) -> Outcome:
            await trio.sleep(1 if delivery.event.payload == 2 else 10)
            raise ValueError("bug")

    around = Around()
    one = lane(around, concurrency=4)
    await offer(around, one, *range(10))
    await crash(one, Crashing())

    assert one.queue.empty() == list(range(1, 11))
