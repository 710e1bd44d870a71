"""When sources have their turns."""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial

import attrs
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock, wait_all_tasks_blocked

from orgloop.errors import Closed
from orgloop.runtime.schedule import first_due_s, next_due_s
from orgloop.runtime.scheduler import PATIENCE_S, PRECISION_S, Scheduler

INTERVALS = st.floats(0.001, 1e6)
TIMES = st.floats(0, 1e9)


@pytest.fixture
def scheduler() -> Scheduler:
    return Scheduler(chance=lambda: 0.0)


@attrs.define
class Log:
    """Who had a turn when, counted from the beginning."""

    scheduler: Scheduler
    turns: list[tuple[str, float]] = attrs.field(factory=list)
    began_s: float = attrs.field(factory=trio.current_time)

    async def take_turns(self, key: str, interval_s: float = 10.0, *, takes_s: float = 0.0) -> None:
        ticket = self.scheduler.register(key, interval_s)
        while True:
            async with ticket.turn():
                self.turns.append((key, round(trio.current_time() - self.began_s, 6)))
                await trio.sleep(takes_s)

    def of(self, key: str) -> list[float]:
        return [at_s for who, at_s in self.turns if who == key]


@asynccontextmanager
async def running(scheduler: Scheduler) -> AsyncGenerator[tuple[trio.Nursery, Log]]:
    async with trio.open_nursery() as nursery:
        await nursery.start(scheduler.run)
        yield nursery, Log(scheduler)
        nursery.cancel_scope.cancel("seen enough")


# -- when (pure) -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("begun_s", "next_s"),
    [
        pytest.param(100.0, 110.0, id="on time"),
        pytest.param(100.4, 110.0, id="a little late does not drift"),
        pytest.param(110.0, 120.0, id="the turn that is due just now is this one"),
        pytest.param(119.9, 120.0, id="one missed"),
        pytest.param(28_900.0, 28_910.0, id="eight hours missed"),
        pytest.param(99.0, 110.0, id="early, as nothing should be"),
    ],
)
def test_the_next_turn_stands_on_the_grid(begun_s: float, next_s: float) -> None:
    """A turn that was due at 100 s, every 10 s."""
    assert next_due_s(100.0, 10.0, begun_s=begun_s) == next_s


@given(due_s=TIMES, interval_s=INTERVALS, late_s=st.floats(0, 1e6))
def test_the_next_turn_is_ahead_by_an_interval_at_most(due_s: float, interval_s: float, late_s: float) -> None:
    """Never in the past, so no burst; never further than an interval, so none is left out."""
    begun_s = due_s + late_s
    next_s = next_due_s(due_s, interval_s, begun_s=begun_s)
    assert begun_s < next_s <= begun_s + interval_s + 1e-6


@given(due_s=TIMES, interval_s=st.floats(0.1, 1e5), late_s=st.floats(0, 1e6))
def test_turns_do_not_drift(due_s: float, interval_s: float, late_s: float) -> None:
    """However late one was, the next is a whole number of intervals after it was due."""
    intervals = (next_due_s(due_s, interval_s, begun_s=due_s + late_s) - due_s) / interval_s
    assert math.isclose(intervals, round(intervals), abs_tol=1e-5)


@given(interval_s=INTERVALS, chance=st.floats(0, 1, exclude_max=True))
def test_the_first_turn_is_within_an_interval_and_five_seconds(interval_s: float, chance: float) -> None:
    """A chance of it, so that those registered together do not stay together."""
    assert 0 <= first_due_s(interval_s, now_s=0.0, chance=chance) <= min(interval_s, 5.0)


# -- turns -------------------------------------------------------------------------------------------------------------


async def test_turns_come_at_a_fixed_rate(autojump_clock: MockClock, scheduler: Scheduler) -> None:
    """How long a turn takes does not move the next one."""
    async with running(scheduler) as (nursery, log):
        nursery.start_soon(partial(log.take_turns, "a", takes_s=3))
        await trio.sleep(35)
    assert log.turns == [("a", 0), ("a", 10), ("a", 20), ("a", 30)]


async def test_the_first_turn_is_put_off_by_chance(autojump_clock: MockClock) -> None:
    """Half a chance of five seconds."""
    async with running(Scheduler(chance=lambda: 0.5)) as (nursery, log):
        nursery.start_soon(log.take_turns, "a", 60.0)
        await trio.sleep(10)
    assert log.turns == [("a", 2.5)]


async def test_missed_turns_become_one(autojump_clock: MockClock, scheduler: Scheduler) -> None:
    """A turn of 35 s is followed at once by one for the three that it has outlasted, and then by the grid."""
    log = Log(scheduler)

    async def slow_once() -> None:
        ticket = scheduler.register("a", 10.0)
        for takes_s in (35.0, 0.0, 0.0):
            async with ticket.turn():
                log.turns.append(("a", trio.current_time() - log.began_s))
                await trio.sleep(takes_s)

    async with running(scheduler) as (nursery, _):
        nursery.start_soon(slow_once)
        await trio.sleep(45)
    assert [round(at_s, 1) for at_s in log.of("a")] == [0, 35, 40]


async def test_a_stall_of_hours_is_one_turn(mock_clock: MockClock, scheduler: Scheduler) -> None:
    """As after a suspend, on a clock that goes on meanwhile."""
    async with running(scheduler) as (nursery, log):
        nursery.start_soon(log.take_turns, "a")
        await wait_all_tasks_blocked()
        mock_clock.jump(8 * 3600.0 + 5)
        await wait_all_tasks_blocked()
        assert log.of("a") == [0, 28_805]
        mock_clock.jump(5.0)
        await wait_all_tasks_blocked()
    assert log.of("a") == [0, 28_805, 28_810]


async def test_a_turn_says_how_late_it_is(mock_clock: MockClock, scheduler: Scheduler) -> None:
    """By the scheduler's own measure, for who keeps statistics."""
    async with running(scheduler):
        ticket = scheduler.register("a", 10.0)
        mock_clock.jump(3.0)
        async with ticket.turn() as late_s:
            assert late_s == 3.0


async def test_turns_that_are_due_together_share_a_wake_up(autojump_clock: MockClock, scheduler: Scheduler) -> None:
    """What is due within the precision of the one before waits for the same look at the clock."""
    async with running(scheduler) as (nursery, log):
        for first_s in (3.5, 3.51, 3.52):
            scheduler.chance = partial(float, first_s / 5)
            nursery.start_soon(log.take_turns, str(first_s))
            await wait_all_tasks_blocked()
        await trio.sleep(5)
    together_s = 3.5 + PRECISION_S
    assert sorted(log.turns) == [("3.5", 3.5), ("3.51", together_s), ("3.52", together_s)]


async def test_a_source_registered_twice_is_refused(scheduler: Scheduler) -> None:
    """Two would share a key that is to mean one."""
    scheduler.register("a", 1.0)
    with pytest.raises(ValueError, match="a is registered already"):
        scheduler.register("a", 1.0)


@pytest.mark.parametrize("interval_s", [0.0, -1.0, math.inf, math.nan])
async def test_an_interval_that_cannot_be_is_refused(scheduler: Scheduler, interval_s: float) -> None:
    """The message names the source."""
    with pytest.raises(ValueError, match="the interval of a must be finite"):
        scheduler.register("a", interval_s)


def test_a_scheduler_without_places_is_refused() -> None:
    """It would never poll."""
    with pytest.raises(ValueError, match="max_polls"):
        Scheduler(max_polls=0)


async def test_one_turn_at_a_time(autojump_clock: MockClock, scheduler: Scheduler) -> None:
    """A second task that wants a turn of the same source is told that it is wrong."""
    async with running(scheduler):
        ticket = scheduler.register("a", 1.0)
        async with ticket.turn():
            with pytest.raises(RuntimeError, match="one turn at a time"):
                async with ticket.turn():
                    pass


# -- places ------------------------------------------------------------------------------------------------------------


async def test_no_more_than_so_many_poll_at_once(autojump_clock: MockClock) -> None:
    """Those that are due without a place are counted."""
    scheduler = Scheduler(max_polls=2, chance=lambda: 0.0)
    async with running(scheduler) as (nursery, log):
        for key in "abc":
            nursery.start_soon(partial(log.take_turns, key, takes_s=3))
        await trio.sleep(1)
        status = scheduler.status()
    assert (status.sources, status.polling, status.queued) == (3, 2, 1)


async def test_places_are_given_in_the_order_in_which_turns_fell_due(autojump_clock: MockClock) -> None:
    """Whoever has just had a turn goes behind those that wait."""
    scheduler = Scheduler(max_polls=1, chance=lambda: 0.0)
    async with running(scheduler) as (nursery, log):
        for key in "abc":
            nursery.start_soon(partial(log.take_turns, key, 1.0, takes_s=2))
            await wait_all_tasks_blocked()
        await trio.sleep(11)
    assert "".join(key for key, _ in log.turns) == "abcabc"


async def test_a_source_that_hangs_keeps_its_place_for_a_while_only(autojump_clock: MockClock) -> None:
    """Or a dead far side would stop the sources of every other."""
    scheduler = Scheduler(max_polls=1, chance=lambda: 0.0)
    async with running(scheduler) as (nursery, log):
        nursery.start_soon(partial(log.take_turns, "hangs", takes_s=math.inf))
        await wait_all_tasks_blocked()
        nursery.start_soon(log.take_turns, "b")
        await trio.sleep(25)
    assert log.of("b") == [PATIENCE_S, 10, 20]


async def test_a_cancelled_wait_for_a_place_is_forgotten(autojump_clock: MockClock) -> None:
    """The place goes to the next."""
    scheduler = Scheduler(max_polls=1, chance=lambda: 0.0)
    async with running(scheduler) as (nursery, log):
        nursery.start_soon(partial(log.take_turns, "a", takes_s=3))
        await wait_all_tasks_blocked()
        with trio.move_on_after(1):
            await log.take_turns("b")
        assert scheduler.status().queued == 0
        nursery.start_soon(log.take_turns, "c")
        await trio.sleep(4)
    assert log.turns == [("a", 0), ("c", 3)]


async def test_a_cancelled_turn_gives_its_place_back(autojump_clock: MockClock) -> None:
    """Whatever ends it."""
    scheduler = Scheduler(max_polls=1, chance=lambda: 0.0)
    async with running(scheduler) as (_, log):
        with trio.move_on_after(1):
            await log.take_turns("a", takes_s=math.inf)
        assert scheduler.status().polling == 0


# -- orders ------------------------------------------------------------------------------------------------------------


async def test_poll_now_makes_a_source_due(autojump_clock: MockClock, scheduler: Scheduler) -> None:
    """And the grid goes on from there."""
    async with running(scheduler) as (nursery, log):
        nursery.start_soon(log.take_turns, "a")
        await trio.sleep(3)
        assert scheduler.poll_now("a")
        await trio.sleep(12)
    assert log.of("a") == [0, 3, 13]


async def test_poll_now_during_a_turn_is_for_another_one(autojump_clock: MockClock, scheduler: Scheduler) -> None:
    """What is asked for may have happened after this one had looked."""
    async with running(scheduler) as (nursery, log):
        nursery.start_soon(partial(log.take_turns, "a", takes_s=2))
        await trio.sleep(1)
        scheduler.poll_now("a")
        await trio.sleep(2)
    assert log.of("a") == [0, 2]


async def test_poll_now_of_nobody_says_so(scheduler: Scheduler) -> None:
    """So that a caller can answer that there is no such source."""
    assert not scheduler.poll_now("a")


async def test_retry_in_overrides_the_grid(autojump_clock: MockClock, scheduler: Scheduler) -> None:
    """In a turn, for the next one; after that the interval counts again."""
    async with running(scheduler) as (_, log):
        ticket = scheduler.register("a", 10.0)
        with trio.move_on_after(40):
            for number in range(9):
                async with ticket.turn():
                    log.turns.append(("a", trio.current_time() - log.began_s))
                    if number == 0:
                        ticket.retry_in(25)
    assert log.of("a") == [0, 25, 35]


async def test_retry_in_puts_off_a_turn_that_is_waited_for(autojump_clock: MockClock, scheduler: Scheduler) -> None:
    """From outside, by key."""
    async with running(scheduler) as (nursery, log):
        nursery.start_soon(log.take_turns, "a")
        await trio.sleep(5)
        assert scheduler.retry_in("a", 20)
        await trio.sleep(21)
    assert log.of("a") == [0, 25]


async def test_retry_in_takes_a_source_out_of_the_queue(autojump_clock: MockClock) -> None:
    """It is not due any more."""
    scheduler = Scheduler(max_polls=1, chance=lambda: 0.0)
    async with running(scheduler) as (nursery, log):
        nursery.start_soon(partial(log.take_turns, "a", takes_s=3))
        await wait_all_tasks_blocked()
        nursery.start_soon(log.take_turns, "b")
        await trio.sleep(1)
        scheduler.retry_in("b", 6)
        await trio.sleep(7)
    assert log.of("b") == [7]


async def test_many_orders_do_not_pile_up(autojump_clock: MockClock, scheduler: Scheduler) -> None:
    """Each leaves an entry behind that counts no more; they are swept."""
    async with running(scheduler) as (nursery, log):
        nursery.start_soon(log.take_turns, "a")
        await trio.sleep(1)
        for _ in range(1000):
            scheduler.retry_in("a", 50)
        assert len(scheduler._heap) <= 67
        await trio.sleep(51)
    assert log.of("a") == [0, 51]


# -- ends --------------------------------------------------------------------------------------------------------------


async def test_an_unregistered_source_leaves_nothing(autojump_clock: MockClock, scheduler: Scheduler) -> None:
    """And may be registered again."""
    async with running(scheduler):
        scheduler.register("a", 10.0)
        scheduler.unregister("a")
        scheduler.register("a", 10.0)
        assert scheduler.status().sources == 1


async def test_waiting_for_a_turn_that_will_not_come_is_refused(
    autojump_clock: MockClock, scheduler: Scheduler
) -> None:
    """Before it, and while it is waited for."""
    async with running(scheduler) as (nursery, _):
        await trio.sleep(1)
        ticket = scheduler.register("a", 10.0)
        ticket.retry_in(5)
        nursery.start_soon(_unregister_after, scheduler, "a", 1.0)
        with pytest.raises(Closed, match="a is not registered"):
            async with ticket.turn():
                pass
        with pytest.raises(Closed, match="a is not registered"):
            async with ticket.turn():
                pass


async def _unregister_after(scheduler: Scheduler, key: str, seconds: float) -> None:
    await trio.sleep(seconds)
    scheduler.unregister(key)


async def test_tickets_survive_the_scheduler(autojump_clock: MockClock, scheduler: Scheduler) -> None:
    """A source that waits while the scheduler is down has its turn when it is back."""
    async with trio.open_nursery() as nursery:
        log = Log(scheduler)
        with trio.move_on_after(5):
            nursery.start_soon(log.take_turns, "a")
            await scheduler.run()
        await trio.sleep(20)
        nursery.start_soon(scheduler.run)
        await trio.sleep(10)
        nursery.cancel_scope.cancel("seen enough")
    assert log.of("a") == [0, 25, 30]
