"""How fast a lane may go: its breaker, and its rate."""

from __future__ import annotations

from itertools import pairwise

import pytest
import trio
from trio.testing import MockClock

from orgloop.delivery.breaker import BreakerConfig
from orgloop.delivery.retry import RetryConfig
from orgloop.sdk import Delivered, Delivery, Failed, Outcome, Rejected
from orgloop.testing import FakeActor
from tests.delivery.stage import Around, lane, offer, work_off, working

BREAKER = BreakerConfig(failure_threshold=3, cooldown_s=30)
ONCE = RetryConfig(max_attempts=1)


class Steps(trio.abc.Instrument):
    """Counts the steps of all tasks."""

    def __init__(self) -> None:
        self.count = 0

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self.count += 1


class Down:
    """Fails until a time, and keeps when it was asked."""

    def __init__(self, until_s: float, *, takes_s: float = 0) -> None:
        self.until_s, self.takes_s = until_s, takes_s
        self.at_s: list[float] = []

    async def deliver(self, delivery: Delivery) -> Outcome:
        self.at_s.append(trio.current_time())
        await trio.sleep(self.takes_s)
        return Failed("503") if trio.current_time() < self.until_s else Delivered()


async def test_the_breaker_opens_after_failures_in_a_row(autojump_clock: MockClock) -> None:
    """Then nothing is tried until the cooldown is over."""
    around, actor = Around(), Down(60)
    one = lane(around, circuit_breaker=BREAKER, retry=ONCE)
    await offer(around, one, *range(10))
    async with working(one, actor):
        await trio.sleep(29)
        assert (actor.at_s, one.breaker.state) == ([0, 0, 0], "open")
        await trio.sleep(2)
        assert actor.at_s == [0, 0, 0, 30]


async def test_one_success_in_the_trial_closes_it(autojump_clock: MockClock) -> None:
    """The rest goes at once."""
    around, actor = Around(), Down(60)
    one = lane(around, circuit_breaker=BREAKER, retry=ONCE)
    await offer(around, one, *range(10))
    await work_off(one, actor)

    assert actor.at_s == [0, 0, 0, 30, *[60] * 6]
    assert one.breaker.state == "closed"


@pytest.mark.parametrize("concurrency", [2, 8])
async def test_half_open_lets_one_through_however_many_wait(concurrency: int, autojump_clock: MockClock) -> None:
    """The others wait for what comes of it."""
    around, actor = Around(), Down(1000, takes_s=5)
    one = lane(around, concurrency=concurrency, circuit_breaker=BREAKER, retry=ONCE)
    await offer(around, one, *range(30))
    async with working(one, actor):
        await trio.sleep(100)

    first = [at_s for at_s in actor.at_s if at_s > 30]
    assert first == [35, 70] or first == [40, 75]  # after 5 s, or with 2 at once after 10, it opens for 30


@pytest.mark.parametrize("concurrency", [1, 4])
async def test_waiting_for_a_breaker_costs_nothing(concurrency: int, autojump_clock: MockClock) -> None:
    """An hour behind an open breaker is a bounded number of steps, not a busy loop."""
    around, actor, steps = Around(), Down(1e9), Steps()
    one = lane(around, concurrency=concurrency, circuit_breaker=BREAKER, retry=ONCE)
    await offer(around, one, *range(1000))
    trio.lowlevel.add_instrument(steps)
    async with working(one, actor):
        await trio.sleep(3600)
    trio.lowlevel.remove_instrument(steps)

    assert len(actor.at_s) == pytest.approx(3600 / 30, abs=5)
    assert steps.count < 20 * concurrency * len(actor.at_s)


async def test_a_trial_that_is_cancelled_makes_room_for_another(autojump_clock: MockClock) -> None:
    """The actor's next life does not wait for the outcome of the last."""
    around = Around()
    one = lane(around, circuit_breaker=BREAKER, retry=ONCE, timeout_s=1000)
    await offer(around, one, *range(5))
    with trio.move_on_after(40):
        await one.work(FakeActor(*[Failed("503")] * 3, float("inf")))
    await work_off(one, FakeActor())

    assert trio.current_time() == 40
    assert one.breaker.state == "closed"


async def test_a_trial_that_crashes_opens_it_again(autojump_clock: MockClock) -> None:
    """A crash is a failure like any other."""
    around = Around()
    one = lane(around, circuit_breaker=BREAKER, retry=RetryConfig(max_attempts=2, jitter=0))
    await offer(around, one, "x", "y")
    with pytest.RaisesGroup(ValueError):
        await one.work(FakeActor(*[Failed("503")] * 3, ValueError("bug")))

    assert (one.breaker.state, one.breaker.until_s) == ("open", trio.current_time() + 30)


async def test_who_is_cancelled_before_the_attempt_does_not_keep_the_trial(autojump_clock: MockClock) -> None:
    """While it waits for the rate, the breaker is not half-open: nobody would ever close it."""
    around = Around()
    one = lane(
        around, circuit_breaker=BreakerConfig(failure_threshold=1, cooldown_s=30), retry=ONCE, max_rate_per_s=0.01
    )
    await offer(around, one, "x", "y")
    with trio.move_on_after(50):
        await one.work(FakeActor(Failed("503")))
    await work_off(one, FakeActor())

    assert around.outcomes() == {1: "dead_letter(retries_exhausted)", 2: "delivered"}
    assert trio.current_time() == pytest.approx(100)


async def test_what_is_refused_for_good_says_nothing_against_the_far_side(autojump_clock: MockClock) -> None:
    """It was answered, so the breaker stays closed."""
    around = Around()
    one = lane(around, circuit_breaker=BREAKER)
    await offer(around, one, *range(10))
    await work_off(one, FakeActor(*[Rejected("400")] * 10))

    assert (one.breaker.state, trio.current_time()) == ("closed", 0)


@pytest.mark.parametrize("concurrency", [1, 4])
async def test_a_rate_spaces_deliveries(concurrency: int, autojump_clock: MockClock) -> None:
    """After a burst of one second's worth, one at a time."""
    around, actor = Around(), Down(0)
    one = lane(around, max_rate_per_s=2, concurrency=concurrency)
    await offer(around, one, *range(10))
    await work_off(one, actor)

    assert actor.at_s == pytest.approx([0, 0, 0.5, 1, 1.5, 2, 2.5, 3, 3.5, 4], abs=0.01)


async def test_less_than_one_a_second_gets_through(autojump_clock: MockClock) -> None:
    """One an hour, say."""
    around, actor = Around(), Down(0)
    one = lane(around, max_rate_per_s=1 / 3600)
    await offer(around, one, *range(3))
    await work_off(one, actor)

    assert actor.at_s == pytest.approx([0, 3600, 7200], abs=0.01)


async def test_behind_an_open_breaker_no_token_is_spent(autojump_clock: MockClock) -> None:
    """When it closes, the rate still holds: no burst of those who waited with a token in hand."""
    around, actor = Around(), Down(60)
    one = lane(around, max_rate_per_s=1, concurrency=4, circuit_breaker=BREAKER, retry=ONCE)
    await offer(around, one, *range(12))
    await work_off(one, actor)
    after = [at_s for at_s in actor.at_s if at_s > 61]

    assert all(later - earlier >= 0.99 for earlier, later in pairwise(after))
