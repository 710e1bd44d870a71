"""What has waited for too long ends as expired, wherever it waits, and not without a word."""

from __future__ import annotations

import math

import pytest
import trio
from trio.testing import MockClock

from orgloop.delivery.retry import RetryConfig
from orgloop.delivery.room import Room
from orgloop.sdk import Failed
from orgloop.testing import FakeActor
from tests.delivery.stage import Around, lane, offer, until, work_off, working

RETENTION_S = 100.0


async def let_age(around: Around, *, next_sequence: int, age_s: float) -> None:
    """Look at what there is, and let it grow older."""
    around.ages.look(next_sequence, trio.current_time())
    await trio.sleep(age_s)


@pytest.mark.parametrize("held", [0, 2, math.inf])
async def test_what_waits_in_a_queue_expires(held: float, autojump_clock: MockClock) -> None:
    """In memory or as a position in the log; what is not as old stays."""
    around = Around(room=Room(events=5 if held == 2 else int(min(held, 1000))))
    one, actor = lane(around, retention_s=RETENTION_S), FakeActor()
    await offer(around, one, *range(5))
    await let_age(around, next_sequence=6, age_s=RETENTION_S)
    await offer(around, one, 5, 6)
    one.look_for_expired()
    assert (one.counts["expired"], one.in_flight) == (5, 2)
    await work_off(one, actor)

    assert [one.payload for one in actor.events] == [5, 6]
    assert around.outcomes() == {**dict.fromkeys(range(1, 6), "expired"), 6: "delivered", 7: "delivered"}
    (told,) = around.phases("deliver.expired")
    assert told["metadata"] == {"count": 5, "first": 1, "last": 5}


async def test_what_is_too_old_when_it_comes_expires_at_once(autojump_clock: MockClock) -> None:
    """It has waited for its module."""
    around = Around()
    around.ages.look(3, trio.current_time())
    await trio.sleep(RETENTION_S)
    one = lane(around, retention_s=RETENTION_S)
    await offer(around, one, *range(3))

    assert (one.counts["admitted"], one.counts["expired"], one.in_flight) == (3, 2, 1)
    assert len(around.phases("deliver.expired")) == 2


async def test_what_waits_for_its_next_attempt_expires_before_it(autojump_clock: MockClock) -> None:
    """The one that is under way may still succeed."""
    around = Around()
    retry = RetryConfig(initial_delay_s=60.0, max_delay_s=60.0, jitter=0)
    one, actor = lane(around, retention_s=RETENTION_S, retry=retry), FakeActor(Failed("busy"), Failed("busy"))
    await offer(around, one, 0)
    around.ages.look(2, trio.current_time())
    async with working(one, actor):
        await trio.sleep(RETENTION_S)
        one.look_for_expired()
        await until(lambda: not one.in_flight)

    assert len(actor.deliveries) == 2
    assert around.outcomes() == {1: "expired"}


async def test_what_is_under_way_is_left_to_end(autojump_clock: MockClock) -> None:
    """An attempt has its own deadline."""
    around = Around()
    one, actor = lane(around, retention_s=RETENTION_S, timeout_s=1000.0), FakeActor(500.0)
    await offer(around, one, 0)
    around.ages.look(2, trio.current_time())
    async with working(one, actor):
        await trio.sleep(RETENTION_S)
        one.look_for_expired()
        await until(lambda: not one.in_flight)

    assert around.outcomes() == {1: "delivered"}


async def test_without_a_retention_it_waits_for_ever(autojump_clock: MockClock) -> None:
    """As if nobody looked."""
    around, actor = Around(), FakeActor()
    one = lane(around)
    await offer(around, one, 0)
    await let_age(around, next_sequence=2, age_s=1e9)
    one.look_for_expired()
    await work_off(one, actor)

    assert around.outcomes() == {1: "delivered"}
