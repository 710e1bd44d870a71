"""Restart intensity: how many restarts are forgiven, which ones count, and what is raised when there were too many."""

from __future__ import annotations

import gc
import math
import weakref
from typing import Any

import pytest
import trio

from orgloop_supervisors import (
    ChildExited,
    ChildStatus,
    EventKind,
    Restart,
    RestartIntensityExceeded,
    Strategy,
)
from tests.supervisors.harness import every_schedule, run_virtual
from tests.supervisors.stage import Stage, crash_after, fail_to_start, give_up, idle, return_after, states


@every_schedule
async def test_the_failure_after_the_last_one_forgiven_ends_everything() -> None:
    """An intensity of 2 forgives two crashes at once; at the third the others are stopped in reverse order."""
    stage = Stage()
    children = [stage.child("a"), stage.child("b", crash_after(0)), stage.child("c")]

    error = await give_up(stage.spec(*children, intensity=2))

    assert stage.ups("b") == [(0, "b")] * 3
    assert stage.order()[-2:] == ["c down", "a down"]
    assert str(error) == "supervisor 'top' gave up: 3 failures within 5 s, its intensity is 2"


@every_schedule
async def test_giving_up_tells_every_failure_in_order() -> None:
    """failures holds the very exceptions, oldest first; the cause is a group of the same, for the traceback."""
    stage = Stage()
    errors = [OSError(1), ValueError(2), KeyError(3)]

    error = await give_up(stage.spec(stage.child("a", *(crash_after(1, each) for each in errors)), intensity=2))

    assert error.failures == tuple(errors)
    assert isinstance(error.__cause__, ExceptionGroup)
    assert error.__cause__.exceptions == error.failures


@every_schedule
async def test_giving_up_is_an_event_of_the_supervisor() -> None:
    """It has the path of the supervisor, no incarnation, and the error that is raised."""
    stage = Stage()

    error = await give_up(stage.spec(stage.child("a", crash_after(1)), intensity=0))

    [event] = stage.told(EventKind.GAVE_UP)
    assert (event.time, event.path, event.incarnation, event.error) == (1, ("top",), 0, error)


@every_schedule
async def test_giving_up_is_not_swallowed_by_those_who_expect_its_causes() -> None:
    """Were it a group of OSErrors, this handler, far away, would take an escalation for a failed read."""
    stage = Stage()

    async def expect_failed_reads() -> None:
        try:
            await stage.spec(stage.child("a", crash_after(1)), intensity=0).run()
        except* OSError:
            pytest.fail("an escalation is not an OSError")

    with pytest.raises(RestartIntensityExceeded) as caught:
        await expect_failed_reads()

    assert not isinstance(caught.value, BaseExceptionGroup)


@every_schedule
async def test_an_intensity_of_zero_forgives_nothing() -> None:
    """The first crash is the last."""
    stage = Stage()

    error = await give_up(stage.spec(stage.child("a", crash_after(1)), intensity=0))

    assert len(error.failures) == 1
    assert stage.log == [(0, "a", "up"), (1, "a", "down")]


@every_schedule
async def test_crashes_exactly_a_period_apart_count_together() -> None:
    """The window is closed: a crash at 1 and one at 6 are both within 5 s."""
    stage = Stage()

    error = await give_up(stage.spec(stage.child("a", crash_after(1), crash_after(5)), intensity=1, period=5))

    assert len(error.failures) == 2
    assert stage.downs() == [(1, "a"), (6, "a")]


@every_schedule
async def test_crashes_a_millisecond_more_than_a_period_apart_do_not() -> None:
    """A crash at 6.001 finds the one at 1 forgotten; the window does not depend on where a second begins."""
    stage = Stage()

    async with stage.open(stage.child("a", crash_after(1), crash_after(5.001), idle), intensity=1) as supervisor:
        await trio.sleep(10)
        assert states(supervisor) == {"a": "running"}


def test_crashes_that_are_far_enough_apart_are_forgiven_for_ever() -> None:
    """One crash per 5.1 s, a thousand times, against an intensity of 1 in 5 s."""
    stage = Stage()

    async def story() -> None:
        async with stage.open(stage.child("a", crash_after(5.1)), intensity=1) as supervisor:
            await trio.sleep(5.1 * 1000 + 1)
            assert states(supervisor) == {"a": "running"}

    run_virtual(story)
    assert len(stage.ups()) == 1001


@every_schedule
async def test_every_failed_attempt_to_restart_costs_one_more() -> None:
    """A child that never starts again has, with an intensity of 3, exactly three attempts."""
    stage = Stage()
    child = stage.child("a", crash_after(1), fail_to_start(), notify=True)

    error = await give_up(stage.spec(child, intensity=3))

    assert stage.ups() == [(0, "a")] + [(1, "a")] * 3
    assert [type(failure) for failure in error.failures] == [OSError, KeyError, KeyError, KeyError]


@every_schedule
async def test_a_child_that_starts_at_the_last_attempt_is_alive() -> None:
    """A crash and two failed attempts are three units; an intensity of 3 has just that."""
    stage = Stage()
    child = stage.child("a", crash_after(1), fail_to_start(), fail_to_start(), idle, notify=True)

    async with stage.open(child, intensity=3) as supervisor:
        await trio.sleep(2)
        [info] = supervisor.which_children()

    assert (info.state.value, info.incarnation) == ("running", 4)


@every_schedule
async def test_attempts_that_failed_count_with_the_crash_that_follows_them() -> None:
    """The fourth unit, spent by a child that had come up after all, is one too many for an intensity of 3."""
    stage = Stage()
    child = stage.child("a", crash_after(1), fail_to_start(), fail_to_start(), crash_after(1), notify=True)

    error = await give_up(stage.spec(child, intensity=3))

    assert trio.current_time() == 2
    assert [type(failure) for failure in error.failures] == [OSError, KeyError, KeyError, OSError]


@every_schedule
async def test_a_permanent_child_that_returns_has_failed() -> None:
    """Four polite ends within 5 s are too many for an intensity of 3; the failures say what happened."""
    stage = Stage()

    error = await give_up(stage.spec(stage.child("a", return_after(1)), intensity=3))

    assert trio.current_time() == 4
    assert [type(failure) for failure in error.failures] == [ChildExited] * 4
    assert "child 'a' is permanent and returned" in str(error.failures[0])


@every_schedule
async def test_two_crashes_in_one_tick_are_two_failures_under_one_for_one() -> None:
    """Each asks for a restart of its own, and an intensity of 1 forgives one."""
    stage = Stage()
    errors = {OSError("a"), OSError("b")}
    children = [stage.child(str(error), crash_after(1, error)) for error in errors]

    error = await give_up(stage.spec(*children, intensity=1))

    assert set(error.failures) == errors


@every_schedule
async def test_two_crashes_in_one_tick_are_one_failure_under_one_for_all() -> None:
    """Whichever is noticed first restarts both; the other has nothing left to ask for."""
    stage = Stage()
    children = [stage.child(name, crash_after(1), idle) for name in "ab"]

    async with stage.open(*children, strategy=Strategy.ONE_FOR_ALL, intensity=1) as supervisor:
        await trio.sleep(2)
        assert [info.restarts for info in supervisor.which_children()] == [1, 1]

    assert len(stage.told(EventKind.CRASHED)) == 2
    assert len(stage.told(EventKind.RESTARTING)) == 1


def test_what_is_asked_for_costs_nothing() -> None:
    """A hundred terminate_child() and restart_child() leave an intensity of 0 untouched."""
    stage = Stage()

    async def story() -> None:
        async with stage.open(stage.child("a"), intensity=0) as supervisor:
            for _ in range(100):
                await supervisor.terminate_child("a")
                await supervisor.restart_child("a")
            assert states(supervisor) == {"a": "running"}

    run_virtual(story)
    assert len(stage.ups()) == 101


@every_schedule
async def test_ends_that_ask_for_no_restart_cost_nothing() -> None:
    """A transient child that returns, and temporary ones however they end, are no failures."""
    stage = Stage()
    children = [
        stage.child("a", return_after(1), restart=Restart.TRANSIENT),
        stage.child("b", return_after(1), restart=Restart.TEMPORARY),
        stage.child("c", crash_after(1), restart=Restart.TEMPORARY),
    ]

    async with stage.open(*children, intensity=0) as supervisor:
        await trio.sleep(2)
        assert states(supervisor) == {"a": "stopped"}


@every_schedule
async def test_a_restart_asked_for_that_fails_costs_nothing() -> None:
    """restart_child() answers its caller with the error; no budget is used, as in OTP."""
    stage = Stage()
    child = stage.child("a", idle, fail_to_start(), idle, notify=True)

    async with stage.open(child, intensity=0) as supervisor:
        await supervisor.terminate_child("a")
        with pytest.raises(Exception, match="'a' of supervisor 'top' failed to start"):
            await supervisor.restart_child("a")
        await supervisor.restart_child("a")
        assert states(supervisor) == {"a": "running"}


@every_schedule
async def test_an_infinite_intensity_never_gives_up() -> None:
    """It says so on purpose: ten crashes in one instant are forgiven."""
    stage = Stage()

    async with stage.open(stage.child("a", *[crash_after(0)] * 10, idle), intensity=math.inf) as supervisor:
        await trio.sleep(1)
        [info] = supervisor.which_children()

    assert info.incarnation == 11


def test_an_infinite_intensity_keeps_no_failures() -> None:
    """There will be no story to tell, so nothing is held but the last error of the child."""

    class CrashError(Exception):
        """Unlike a builtin exception, it can be watched going away."""

    crashes: weakref.WeakSet[CrashError] = weakref.WeakSet()

    async def crash(status: ChildStatus[Any] | None) -> None:
        crashes.add(error := CrashError())
        raise error

    async def story() -> None:
        child = Stage().child("a", *[crash] * 10, idle)
        async with Stage().open(child, intensity=math.inf, on_event=lambda _: None) as supervisor:
            await trio.sleep(1)
            gc.collect()
            assert list(crashes) == [info.last_error for info in supervisor.which_children()]

    run_virtual(story)
