"""Limits of one life: the start limit, the watchdog, the report on what will not end, and time to clean up."""

from __future__ import annotations

import math
from typing import Any

import pytest
import trio

from orgloop_supervisors import (
    ChildStatus,
    EventKind,
    Restart,
    Shutdown,
    StartError,
    StartTimeout,
    WatchdogTimeout,
)
from tests.supervisors.harness import every_schedule
from tests.supervisors.stage import (
    Act,
    Stage,
    crash_after,
    give_up,
    hang_in_start,
    idle,
    ready,
    ready_after,
    states,
)


def beat_until(last_s: float, *, every_s: float = 1.5) -> Act:
    """Be ready at once and beat regularly until a time, the last time then; go on without."""

    async def act(status: ChildStatus[Any] | None) -> None:
        assert status is not None
        status.started()
        while trio.current_time() < last_s:
            await trio.sleep(every_s)
            status.beat()
        await trio.sleep(math.inf)

    return act


def deaf_until(end_s: float, *, says_started: bool = True) -> Act:
    """Hear no cancellation before a time."""

    async def act(status: ChildStatus[Any] | None) -> None:
        if says_started:
            await ready(status)
        with trio.CancelScope(shield=True):
            await trio.sleep_until(end_s)
        await trio.sleep(math.inf)

    return act


def tidy(cleanup_s: float, *, says_started: bool = True) -> Act:
    """Run until cancelled, then take as long to clean up as it needs and is given."""

    async def act(status: ChildStatus[Any] | None) -> None:
        assert status is not None
        if says_started:
            status.started()
        try:
            await trio.sleep(math.inf)
        finally:
            with status.cleanup():
                await trio.sleep(cleanup_s)

    return act


def two_tasks(error: BaseException) -> Act:
    """Run two tasks in a nursery until cancelled; one of them raises in cleanup."""

    async def raise_in_cleanup() -> None:
        try:
            await trio.sleep(math.inf)
        finally:
            raise error

    async def act(status: ChildStatus[Any] | None) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(raise_in_cleanup)
            nursery.start_soon(trio.sleep_forever)

    return act


# -- the start limit -------------------------------------------------------------------------------------------------


@every_schedule
async def test_the_start_limit_is_over_when_the_child_is_ready() -> None:
    """Ready at 2 of 3 s, the child is left alone from then on."""
    stage = Stage()

    async with stage.open(stage.child("a", ready_after(2), notify=True, start_timeout=3)):
        await trio.sleep(1000)
        assert stage.downs() == []


@every_schedule
async def test_a_child_without_notify_has_no_start_limit() -> None:
    """It is ready just before its first step, so there is nothing to wait for."""
    stage = Stage()

    async with stage.open(stage.child("a", start_timeout=3)):
        await trio.sleep(1000)
        assert stage.downs() == []


@every_schedule
async def test_a_restart_that_hangs_meets_the_start_limit_too() -> None:
    """Every life has a limit of its own; the one that hangs from 1 to 4 is a failure like another."""
    stage = Stage()
    child = stage.child("a", crash_after(1), hang_in_start, idle, notify=True, start_timeout=3)

    async with stage.open(child) as supervisor:
        await trio.sleep(10)
        [info] = supervisor.which_children()

    assert stage.ups() == [(0, "a"), (1, "a"), (4, "a")]
    assert isinstance(info.last_error, StartTimeout)


@every_schedule
async def test_a_child_deaf_to_its_start_limit_is_reported_stuck() -> None:
    """It should be gone 5 s of grace after 1; it is reported, waited for, and then has failed to start."""
    stage = Stage()
    child = stage.child("a", deaf_until(20, says_started=False), notify=True, start_timeout=1)

    with pytest.raises(StartError) as caught:
        await stage.spec(child).run()

    [stuck] = stage.told(EventKind.STUCK)
    assert stuck.time == pytest.approx(6, abs=0.5)
    assert stuck.stack is not None
    assert "sleep_until" in stuck.stack
    assert trio.current_time() == 20
    assert isinstance(caught.value.__cause__, StartTimeout)


# -- the watchdog ----------------------------------------------------------------------------------------------------


@every_schedule
async def test_a_child_that_stops_beating_is_restarted() -> None:
    """Beats at 1.5, 3, 4.5, 6 and 7.5 against a watchdog of 2: it strikes at 9.5."""
    stage = Stage()

    async with stage.open(stage.child("a", beat_until(7.5), idle, notify=True, watchdog=2)) as supervisor:
        await trio.sleep(10)
        [info] = supervisor.which_children()
        assert stage.ups() == [(0, "a"), (9.5, "a")]
        assert isinstance(info.last_error, WatchdogTimeout)
        assert str(info.last_error) == "child 'a' did not beat() for 2 s"


@every_schedule
async def test_what_the_watchdog_ended_has_failed() -> None:
    """It costs a unit, and a transient child is restarted for it: an intensity of 0 gives up at 2."""
    stage = Stage()

    error = await give_up(stage.spec(stage.child("a", watchdog=2, restart=Restart.TRANSIENT), intensity=0))

    assert trio.current_time() == 2
    assert [type(failure) for failure in error.failures] == [WatchdogTimeout]


@every_schedule
async def test_without_notify_the_watchdog_bounds_the_run() -> None:
    """There is nothing to beat with, so 3 s is all the child has."""
    stage = Stage()

    async with stage.open(stage.child("a", watchdog=3)):
        await trio.sleep(7)
        assert stage.log == [(0, "a", "up"), (3, "a", "down"), (3, "a", "up"), (6, "a", "down"), (6, "a", "up")]


@every_schedule
async def test_a_beat_before_ready_does_not_lengthen_the_start() -> None:
    """The start limit of 3 s is over at 3, whatever was said at 2."""
    stage = Stage()

    async def beat_and_hang(status: ChildStatus[Any] | None) -> None:
        assert status is not None
        await trio.sleep(2)
        status.beat()
        await trio.sleep(math.inf)

    with pytest.raises(StartError):
        await stage.spec(stage.child("a", beat_and_hang, notify=True, start_timeout=3, watchdog=100)).run()

    assert stage.downs() == [(3, "a")]


@every_schedule
async def test_a_beat_before_ready_does_not_shorten_the_start() -> None:
    """A watchdog of 1 s begins when the child is ready, at 2, and strikes at 3."""
    stage = Stage()

    async def beat_and_be_ready(status: ChildStatus[Any] | None) -> None:
        assert status is not None
        status.beat()
        await trio.sleep(2)
        await idle(status)

    async with stage.open(stage.child("a", beat_and_be_ready, idle, notify=True, watchdog=1)):
        await trio.sleep(1.5)
        assert stage.downs() == [(3, "a")]


@every_schedule
async def test_a_child_that_is_stopping_need_not_beat() -> None:
    """Asked to finish up at 1, it beats once more and then no more until 6: it is neither cancelled nor a failure."""
    stage = Stage()

    async def beat_and_finish_up(status: ChildStatus[Any] | None) -> None:
        assert status is not None
        status.started()
        await status.draining.wait()
        status.beat()
        await trio.sleep(5)

    child = stage.child("a", beat_and_finish_up, notify=True, watchdog=2, shutdown=Shutdown(drain=10))
    async with stage.open(child) as supervisor:
        await trio.sleep(1)
        await supervisor.terminate_child("a")
        assert stage.kinds("a") == ["started", "ready", "stopping", "stopped"]
        assert stage.downs() == [(6, "a")]


@every_schedule
async def test_what_a_child_raises_beside_its_watchdog_is_the_cause() -> None:
    """Its nursery was cancelled by the watchdog, and one of its tasks raised in cleanup: both are told."""
    stage = Stage()
    error = ValueError("in cleanup")

    async with stage.open(stage.child("a", two_tasks(error), idle, watchdog=2)) as supervisor:
        await trio.sleep(3)
        [info] = supervisor.which_children()

    assert isinstance(info.last_error, WatchdogTimeout)
    assert isinstance(info.last_error.__cause__, ExceptionGroup)
    assert info.last_error.__cause__.exceptions == (error,)


@every_schedule
async def test_what_is_fatal_is_fatal_also_beside_a_watchdog() -> None:
    """A SystemExit raised while the watchdog ends the child ends the supervisor, bare or in a group."""
    stage = Stage()

    with trio.move_on_after(3), pytest.raises((SystemExit, BaseExceptionGroup)) as caught:
        await stage.spec(stage.child("a", two_tasks(SystemExit(3)), idle, watchdog=2)).run()

    assert "SystemExit(3)" in repr(caught.value)
    assert stage.log == [(0, "a", "up"), (2, "a", "down")]


# -- stuck -----------------------------------------------------------------------------------------------------------


@every_schedule
async def test_a_child_deaf_to_its_watchdog_is_reported_stuck_where_it_hangs() -> None:
    """Struck at 1, it should be gone 5 s of grace later; its stack says why it is not."""
    stage = Stage()

    async with stage.open(stage.child("a", deaf_until(20), idle, watchdog=1)) as supervisor:
        await trio.sleep(10)
        [stuck] = stage.told(EventKind.STUCK)
        assert stuck.time == pytest.approx(6, abs=0.5)
        assert stuck.stack is not None
        assert "sleep_until" in stuck.stack
        assert states(supervisor) == {"a": "stopping"}


@every_schedule
async def test_a_stuck_child_is_restarted_when_it_finally_ends() -> None:
    """Abandoning it would break structure, so its next life waits until 20; it is reported once."""
    stage = Stage()

    async with stage.open(stage.child("a", deaf_until(20), idle, watchdog=1)) as supervisor:
        await trio.sleep(20.5)
        assert stage.log == [(0, "a", "up"), (20, "a", "down"), (20, "a", "up")]
        assert states(supervisor) == {"a": "running"}
        assert stage.kinds("a")[2:4] == ["stuck", "crashed"]


@every_schedule
async def test_each_life_that_is_stuck_is_reported() -> None:
    """The second life, as deaf as the first, is reported 5 s of grace after its own watchdog."""
    stage = Stage()
    child = stage.child("a", deaf_until(20), deaf_until(40), idle, watchdog=1)

    async with stage.open(child):
        await trio.sleep(40.5)
        assert [round(event.time) for event in stage.told(EventKind.STUCK)] == [6, 26]
        assert [event.incarnation for event in stage.told(EventKind.STUCK)] == [1, 2]


@every_schedule
async def test_a_child_that_has_beaten_is_stuck_only_after_its_whole_grace() -> None:
    """Struck at 9.5 and gone at 13.5, after 4 of its 5 s, it has done all that was asked of it."""
    stage = Stage()

    async def beat_then_clean_up(status: ChildStatus[Any] | None) -> None:
        assert status is not None
        try:
            await beat_until(7.5)(status)
        finally:
            with status.cleanup():
                await trio.sleep(4)

    async with stage.open(stage.child("a", beat_then_clean_up, idle, notify=True, watchdog=2)):
        await trio.sleep(14)
        assert stage.downs() == [(13.5, "a")]
        assert stage.told(EventKind.STUCK) == []


# -- cleanup() -------------------------------------------------------------------------------------------------------


@every_schedule
async def test_a_cleanup_scope_outlives_the_cancellation() -> None:
    """It takes 3 of its 5 s of grace, undisturbed."""
    stage = Stage()

    async with stage.open(stage.child("a", tidy(3), notify=True)) as supervisor:
        await supervisor.terminate_child("a")

    assert stage.downs() == [(3, "a")]
    assert stage.kinds("a") == ["started", "ready", "stopping", "stopped"]


@every_schedule
async def test_a_cleanup_scope_ends_with_the_grace() -> None:
    """What would take for ever is over after 5 s, and in time not to be called stuck."""
    stage = Stage()

    async with stage.open(stage.child("a", tidy(math.inf), notify=True)) as supervisor:
        await supervisor.terminate_child("a")

    assert stage.downs() == [(5, "a")]
    assert stage.kinds("a") == ["started", "ready", "stopping", "stopped"]


@every_schedule
async def test_cleanup_scopes_opened_before_the_stop_end_with_the_grace_too() -> None:
    """The child was inside two of them when it was told to go, at 1."""
    stage = Stage()

    async def clean_all_the_time(status: ChildStatus[Any] | None) -> None:
        assert status is not None
        status.started()
        with status.cleanup():
            with status.cleanup():
                await trio.sleep(math.inf)
            await trio.sleep(math.inf)

    async with stage.open(stage.child("a", clean_all_the_time, notify=True)) as supervisor:
        await trio.sleep(1)
        await supervisor.terminate_child("a")

    assert stage.downs() == [(6, "a")]


@every_schedule
async def test_a_cleanup_scope_is_not_limited_while_the_child_drains() -> None:
    """The grace begins after the drain of 10 s: told at 0 and cancelled at 10, it is gone at 15."""
    stage = Stage()

    async def clean_from_the_first_word(status: ChildStatus[Any] | None) -> None:
        assert status is not None
        status.started()
        await status.draining.wait()
        with status.cleanup():
            await trio.sleep(math.inf)

    child = stage.child("a", clean_from_the_first_word, notify=True, watchdog=2, shutdown=Shutdown(drain=10))
    async with stage.open(child) as supervisor:
        await supervisor.terminate_child("a")

    assert stage.downs() == [(15, "a")]


@every_schedule
async def test_cleanup_scopes_share_one_grace() -> None:
    """The second, opened when 4 of the 5 s have gone, has the last of them."""
    stage = Stage()

    async def clean_up_twice(status: ChildStatus[Any] | None) -> None:
        assert status is not None
        try:
            await tidy(4)(status)
        finally:
            with status.cleanup():
                await trio.sleep(math.inf)

    async with stage.open(stage.child("a", clean_up_twice, notify=True)) as supervisor:
        await supervisor.terminate_child("a")

    assert stage.downs() == [(5, "a")]


@every_schedule
async def test_without_grace_there_is_no_time_to_clean_up() -> None:
    """OTP's brutal_kill: a cleanup scope is cancelled with its child."""
    stage = Stage()

    async with stage.open(stage.child("a", tidy(1), notify=True, shutdown=Shutdown(grace=0))) as supervisor:
        await supervisor.terminate_child("a")

    assert stage.downs() == [(0, "a")]


@every_schedule
async def test_a_child_that_the_watchdog_ended_may_clean_up() -> None:
    """Struck at 2, it has taken its 3 s and is restarted at 5."""
    stage = Stage()

    async with stage.open(stage.child("a", tidy(3), idle, notify=True, watchdog=2)) as supervisor:
        await trio.sleep(6)
        [info] = supervisor.which_children()
        assert stage.log == [(0, "a", "up"), (5, "a", "down"), (5, "a", "up")]
        assert isinstance(info.last_error, WatchdogTimeout)


@every_schedule
async def test_cleaning_up_after_the_watchdog_ends_with_the_grace() -> None:
    """Struck at 2, it is gone at 7, and in time not to be called stuck."""
    stage = Stage()

    async with stage.open(stage.child("a", tidy(math.inf), idle, notify=True, watchdog=2)):
        await trio.sleep(8)
        assert stage.log == [(0, "a", "up"), (7, "a", "down"), (7, "a", "up")]
        assert stage.told(EventKind.STUCK) == []


@every_schedule
async def test_a_child_that_the_start_limit_ended_may_clean_up() -> None:
    """Struck at 2, it has 5 s of grace and then has failed to start."""
    stage = Stage()
    child = stage.child("a", tidy(math.inf, says_started=False), notify=True, start_timeout=2)

    with pytest.raises(StartError) as caught:
        await stage.spec(child).run()

    assert stage.downs() == [(7, "a")]
    assert isinstance(caught.value.__cause__, StartTimeout)
    assert stage.told(EventKind.STUCK) == []


@every_schedule
async def test_a_beat_moves_open_cleanup_scopes_along() -> None:
    """Opened at 0, the scope would end at 2 + 5; the last beat, at 7.5, has made it 9.5 + 5."""
    stage = Stage()

    async def beat_in_a_cleanup_scope(status: ChildStatus[Any] | None) -> None:
        assert status is not None
        with status.cleanup():
            await beat_until(7.5)(status)

    async with stage.open(stage.child("a", beat_in_a_cleanup_scope, idle, notify=True, watchdog=2)):
        await trio.sleep(15)
        assert stage.downs() == [(14.5, "a")]


@every_schedule
async def test_being_ready_moves_open_cleanup_scopes_along() -> None:
    """Opened under a start limit of 3 s, the scope does not end once that limit is over."""
    stage = Stage()

    async def start_in_a_cleanup_scope(status: ChildStatus[Any] | None) -> None:
        assert status is not None
        with status.cleanup():
            await ready_after(2)(status)

    async with stage.open(stage.child("a", start_in_a_cleanup_scope, notify=True, start_timeout=3)) as supervisor:
        await trio.sleep(100)
        assert states(supervisor) == {"a": "running"}
