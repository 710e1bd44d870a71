"""Cancelled anywhere, restarted any number of times: nothing is lost, and nothing ends twice."""

from __future__ import annotations

from functools import partial
from typing import Any

import attrs
import pytest
import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock

from orgloop.delivery.lane import Lane
from orgloop.delivery.retry import RetryConfig
from orgloop.event import Event
from orgloop.sdk import Delivered, Delivery, Failed, Outcome, Rejected, Skipped
from orgloop.testing import event
from tests.delivery.stage import Around, Doing, lane, step

RETRY = RetryConfig(max_attempts=2, initial_delay_s=1, jitter=0)


@attrs.define(eq=False)
class ByPayload:
    """Does with an event what its payload says; keeps what it has begun, and what it has said."""

    begun: list[Delivery] = attrs.field(factory=list)

    async def deliver(self, delivery: Delivery) -> Outcome:
        self.begun.append(delivery)
        await trio.lowlevel.checkpoint()
        match delivery.event.payload:
            case "fail":
                return Failed("503")
            case "once" if delivery.attempt == 1:
                return Failed("503")
            case "reject":
                return Rejected("400")
            case "skip":
                return Skipped("not mine")
            case "crash":
                raise ValueError("bug")
            case "slow":
                await trio.sleep(5)
            case "never":
                await trio.sleep_forever()
        return Delivered()


class CancelAt(trio.abc.Instrument):
    """Cancels a scope as soon as the tasks below a name have taken a number of steps."""

    def __init__(self, at: int, scope: trio.CancelScope) -> None:
        self.left, self.scope = at, scope

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self.left -= 1
        if self.left == 0:
            self.scope.cancel("this step")


def is_accounted_for(one: Lane) -> bool:
    """The law of conservation; what is in flight is counted where it is."""
    ended = sum(one.counts[end] for end in ("delivered", "dropped", "dead", "expired"))
    return one.counts["admitted"] == ended + one.in_flight


async def offer_quietly(around: Around, one: Lane, payloads: Any) -> None:
    await around.bus.publish([event(payload) for payload in payloads])
    for admitted in await around.bus.receive():
        one.offer(admitted)
        assert is_accounted_for(one)


async def live(one: Lane, actor: ByPayload, at: int) -> bool:
    """Work until nothing is left, or until a number of steps was taken; whether that came first."""
    with trio.CancelScope() as scope:
        instrument = CancelAt(at, scope)
        trio.lowlevel.add_instrument(instrument)
        try:
            await one.work_off(actor)
        except* ValueError:
            pass
        finally:
            trio.lowlevel.remove_instrument(instrument)
    assert is_accounted_for(one)
    return scope.cancelled_caught


async def sweep(at: int, *, concurrency: int, overflow: Any) -> bool:
    """Cancel two lives at one step, then let the next ones finish; whether the step was reached at all."""
    around, actor = Around(disk_full_until_s=3), ByPayload()
    waiting = step(Doing(pausing))
    one = lane(
        around, steps=[waiting], concurrency=concurrency, retry=RETRY, queue_depth=4, overflow=overflow, timeout_s=2
    )
    await offer_quietly(around, one, ["ok", "drop", "once", "fail", "reject", "slow", "skip", "ok", "crash"])
    cancelled = await live(one, actor, at)
    await live(one, actor, at)
    with trio.fail_after(1000):
        while one.in_flight:
            await live(one, actor, 10**9)
    outcomes = around.outcomes()
    assert list(outcomes) == list(range(1, 10)), "each ended, once"
    buried = [letter.sequence for letter in around.letters]
    assert sorted(buried) == [n for n, outcome in outcomes.items() if outcome.startswith("dead")], "one letter for each"
    assert (one._tries._kept, around.bus.status()["open_events"]) == ({}, 0)
    keys = [(delivery.idempotency_key, delivery.attempt) for delivery in actor.begun]
    assert len(keys) == len(set(keys)), "no attempt has the number of another"
    return cancelled


async def pausing(event: Event) -> Event | None:
    await trio.lowlevel.checkpoint()
    return None if event.payload == "drop" else event


@pytest.mark.parametrize("overflow", ["block", "drop_oldest"])
@pytest.mark.parametrize("concurrency", [1, 3])
def test_cancelled_at_any_step_nothing_is_lost_or_ends_twice(concurrency: int, overflow: str) -> None:
    """Every step of every task of the lane, one after the other, until there are no more."""
    at = 1
    while trio.run(
        partial(sweep, at, concurrency=concurrency, overflow=overflow), clock=MockClock(autojump_threshold=0)
    ):
        at += 1

    assert at > 20


KINDS = st.sampled_from(["ok", "ok", "drop", "once", "fail", "reject", "slow", "never", "skip", "crash", "broken"])


async def random_run(
    lives: list[tuple[list[str], int]], *, concurrency: int, overflow: Any, depth: int, unreadable: set[int]
) -> None:
    around, actor = Around(unreadable=unreadable, disk_full_until_s=2), ByPayload()
    steps = [step(Doing(lambda event: 7 if event.payload == "broken" else event)), step(Doing(pausing))]
    one = lane(
        around,
        steps=steps,
        order_key=lambda event: event.payload,
        concurrency=concurrency,
        retry=RETRY,
        queue_depth=depth,
        overflow=overflow,
        timeout_s=2,
    )
    admitted = 0
    for payloads, at in lives:
        if payloads:
            await offer_quietly(around, one, payloads)
            admitted += len(payloads)
        await live(one, actor, at)
    while one.in_flight:
        await live(one, actor, 10**9)

    assert one.counts["admitted"] == admitted
    assert list(around.outcomes()) == list(range(1, admitted + 1))
    assert around.bus.status()["open_events"] == 0


@given(
    lives=st.lists(st.tuples(st.lists(KINDS, max_size=12), st.integers(1, 120)), max_size=6),
    concurrency=st.sampled_from([1, 2, 5]),
    overflow=st.sampled_from(["drop_oldest", "dead_letter", "block"]),
    depth=st.integers(1, 8),
    unreadable=st.sets(st.integers(1, 40), max_size=3),
)
@settings(max_examples=300, deadline=None)
@pytest.mark.slow
def test_all_that_was_admitted_is_accounted_for(lives: Any, **how: Any) -> None:
    """Whatever events come, however often the actor's life is cut short: at every observation, and at the end."""
    trio.run(partial(random_run, lives, **how), clock=MockClock(autojump_threshold=0))
