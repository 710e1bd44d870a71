"""Attempts after attempts: when they are made, how many, and what survives a restart."""

from __future__ import annotations

from typing import Any

import attrs
import msgspec
import pytest
import trio
from trio.testing import MockClock

from orgloop.delivery.lane import Lane
from orgloop.delivery.retry import MAX_RETRY_AFTER_S, RetryConfig
from orgloop.delivery.room import Room
from orgloop.sdk import Failed, Rejected
from orgloop.testing import FakeActor, event
from tests.delivery.stage import Around, lane, offer, work_off

RETRY = RetryConfig(max_attempts=3, initial_delay_s=10, jitter=0)


class Watch(FakeActor):
    """Keeps when each attempt was made."""

    def __init__(self, *script: Any) -> None:
        super().__init__(*script)
        self.at_s: list[float] = []

    async def deliver(self, delivery: Any) -> Any:
        self.at_s.append(trio.current_time())
        return await super().deliver(delivery)


async def restarted(around: Around, sequence: int = 1, **delivery: Any) -> Lane:
    """The lane of the daemon's next life, with the obligation that the last one has left."""
    around.settler.hand_over()
    one = lane(around, **delivery)
    for admitted in await around.bus.read([sequence]):
        one.offer(attrs.evolve(admitted, recovered=True))
    return one


async def test_a_failed_attempt_is_followed_by_another(autojump_clock: MockClock) -> None:
    """After the wait, with the same key and the next number."""
    around, actor = Around(), Watch(Failed("503"), Failed("503"))
    one = lane(around, retry=RETRY)
    await offer(around, one, "x")
    await work_off(one, actor)

    assert actor.at_s == [0, 10, 30]
    assert [delivery.attempt for delivery in actor.deliveries] == [1, 2, 3]
    assert len({delivery.idempotency_key for delivery in actor.deliveries}) == 1
    assert around.outcomes() == {1: "delivered"}


async def test_the_last_failed_attempt_ends_in_the_dead_letters(autojump_clock: MockClock) -> None:
    """At once, with the first error and the last."""
    around, actor = Around(), Watch(Failed("one"), Failed("two"), Failed("three"))
    one = lane(around, retry=RETRY)
    await offer(around, one, "x")
    await work_off(one, actor)
    (letter,) = around.letters

    assert trio.current_time() == 30
    assert (letter.reason, letter.attempts) == ("retries_exhausted", 3)
    assert (letter.first_error, letter.last_error) == ("one", "three")
    assert [fields["error"] for fields in around.phases("deliver.failure")] == ["three"]


async def test_the_far_side_may_ask_for_a_longer_wait(autojump_clock: MockClock) -> None:
    """Retry-After is honoured."""
    around, actor = Around(), Watch(Failed("429", retry_after_s=120))
    one = lane(around, retry=RETRY)
    await offer(around, one, "x")
    await work_off(one, actor)

    assert actor.at_s == [0, 120]


@pytest.mark.parametrize("asked", [-1, 0, float("nan"), "120", None], ids=repr)
async def test_a_wait_that_makes_no_sense_was_not_asked_for(asked: Any, autojump_clock: MockClock) -> None:
    """A plug-in may say anything; the schedule holds."""
    around, actor = Around(), Watch(Failed("429", retry_after_s=asked))
    one = lane(around, retry=RETRY)
    await offer(around, one, "x")
    await work_off(one, actor)

    assert actor.at_s == [0, 10]


@pytest.mark.parametrize("reason", ["\ud800", "x" * 100_000, None, 7], ids=["surrogate", "long", "none", "number"])
async def test_any_reason_can_be_written_down(reason: Any, autojump_clock: MockClock) -> None:
    """What a far side said goes into a note, and a note that cannot be written would stop the log."""
    around = Around()
    one = lane(around, retry=RETRY)
    await offer(around, one, "x")
    await work_off(one, FakeActor(Failed(reason)))
    around.settler.hand_over()

    assert 0 < len(msgspec.json.encode(around.noted)) < 20_000
    assert around.outcomes() == {1: "delivered"}


async def test_attempts_are_noted_until_the_obligation_ends(autojump_clock: MockClock) -> None:
    """And not longer, or notes would pile up."""
    around = Around()
    one = lane(around, retry=RETRY)
    await offer(around, one, "x")
    with trio.move_on_after(1):
        await one.work(FakeActor(Failed("503")))
    around.settler.hand_over()
    assert list(around.bus._notes.values()) == [[1, 0, "503", "503", around.wall_s + 10, "", None]]
    await work_off(one, FakeActor())
    around.settler.hand_over()

    assert around.bus._notes == {}


async def test_attempts_survive_a_restart(autojump_clock: MockClock) -> None:
    """The next life goes on counting, and makes no more than are left."""
    around, actor = Around(), Watch(Failed("one"), Failed("two"), Failed("three"))
    first = lane(around, retry=RETRY)
    await offer(around, first, "x")
    with trio.move_on_after(1):
        await first.work(actor)
    await work_off(await restarted(around, retry=RETRY), actor)

    assert actor.at_s == [0, 10, 30]
    assert [delivery.attempt for delivery in actor.deliveries] == [1, 3, 4]
    assert len({delivery.idempotency_key for delivery in actor.deliveries}) == 1
    assert (around.letters[0].attempts, around.letters[0].first_error) == (3, "one")


async def test_what_an_earlier_run_may_have_delivered_has_a_higher_number(autojump_clock: MockClock) -> None:
    """Nobody knows what came of its attempt, so there was one; and each further life adds one."""
    around, numbers = Around(), list[int]()
    await around.bus.publish([event()])
    for _ in range(4):
        actor = FakeActor(float("inf"))
        one = await restarted(around)
        with trio.move_on_after(0.5):
            await one.work(actor)
        numbers.append(actor.deliveries[0].attempt)

    assert numbers == sorted(set(numbers))
    assert numbers[0] == 2


async def test_an_event_of_this_run_has_no_attempts_to_begin_with(autojump_clock: MockClock) -> None:
    """A note of the same number belongs to nobody."""
    around, actor = Around(), FakeActor()
    one = lane(around)
    around.settler.note("attempts", f"{one._key}-1", [5, 0, "old", "old", 0.0, ""])
    around.settler.hand_over()
    await offer(around, one, "x")
    await work_off(one, actor)

    assert actor.deliveries[0].attempt == 1


@pytest.mark.parametrize("jump_s", [-1e9, -3600, 3600, 1e9])
async def test_a_jump_of_the_wall_clock_never_waits_beyond_the_cap(jump_s: float, autojump_clock: MockClock) -> None:
    """Set back, the note lies far ahead; the wait is no longer than any schedule would have."""
    around = Around()
    first = lane(around, retry=RETRY)
    await offer(around, first, "x")
    with trio.move_on_after(1):
        await first.work(FakeActor(Failed("503")))
    around.wall_s += jump_s
    actor = Watch()
    await work_off(await restarted(around, retry=RETRY), actor)

    assert actor.at_s[0] <= 1 + MAX_RETRY_AFTER_S
    assert jump_s < 0 or actor.at_s == [1]


async def test_a_jump_of_the_wall_clock_changes_nothing_in_one_life(autojump_clock: MockClock) -> None:
    """Waits are by Trio's clock."""
    around, actor = Around(), Watch(Failed("503"))
    one = lane(around, retry=RETRY)
    await offer(around, one, "x")
    with trio.move_on_after(1):
        await one.work(actor)
    around.wall_s -= 1e9
    await work_off(one, actor)

    assert actor.at_s == [0, 10]


async def test_what_was_given_up_before_a_restart_is_only_buried_after_it(autojump_clock: MockClock) -> None:
    """The dead letter could not be written before; no attempt is made for that."""
    around, actor = Around(disk_full_until_s=100), FakeActor(Failed("x"), Failed("x"), Failed("x"))
    first = lane(around, retry=RETRY)
    await offer(around, first, "x")
    with trio.move_on_after(50):
        await first.work(actor)
    await trio.sleep(60)
    await work_off(await restarted(around, retry=RETRY), actor)

    assert len(actor.deliveries) == 3
    assert [letter.reason for letter in around.letters] == ["retries_exhausted"]


async def test_a_rejection_after_failures_keeps_the_first_error(autojump_clock: MockClock) -> None:
    """Both attempts count."""
    around = Around()
    one = lane(around, retry=RETRY)
    await offer(around, one, "x")
    await work_off(one, FakeActor(Failed("503"), Rejected("400")))
    (letter,) = around.letters

    assert (letter.attempts, letter.first_error, letter.last_error) == (2, "503", "400")


async def test_what_was_read_back_from_the_log_still_counts_its_attempts(autojump_clock: MockClock) -> None:
    """An event of an earlier run that did not fit into memory comes back as one of that run."""
    around, actor = Around(recovered=True, room=Room(events=100)), FakeActor()
    one = lane(around, overflow="block")
    await offer(around, one, *range(300))
    assert one.queue.held < 300
    await work_off(one, actor)

    assert {delivery.attempt for delivery in actor.deliveries} == {2}
