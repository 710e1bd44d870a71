"""Restart policy: which end brings a child back, what is kept of one that stays away, and what costs nothing."""

from __future__ import annotations

import math
from typing import Any

import trio

from orgloop_supervisors import Backoff, ChildState, ChildStatus, EventKind, Restart, Shutdown, Strategy
from tests.supervisors.harness import every_schedule
from tests.supervisors.stage import (
    Act,
    Stage,
    crash_after,
    idle,
    ready,
    return_after,
    slow_cleanup,
    states,
)

TEN_SECONDS = Backoff(initial=10)


def serve(value: str, *, for_s: float) -> Act:
    """Be ready with a value at once, and crash after a while."""

    async def act(status: ChildStatus[Any] | None) -> None:
        await ready(status, value)
        await trio.sleep(for_s)
        raise OSError(value)

    return act


async def finish_when_asked(status: ChildStatus[Any] | None) -> None:
    """Return 2 s after being asked to; only for a child with ``notify``."""
    assert status is not None
    status.started()
    await status.draining.wait()
    await trio.sleep(2)


@every_schedule
async def test_a_permanent_child_comes_back_whether_it_returned_or_raised() -> None:
    """A permanent child is meant to run for ever: either end begins its next incarnation, at once."""
    stage = Stage()

    async with stage.open(stage.child("a", return_after(1), crash_after(1), idle)) as supervisor:
        await trio.sleep(3)
        [info] = supervisor.which_children()

    assert stage.ups() == [(0, "a"), (1, "a"), (2, "a")]
    assert (info.state, info.incarnation, info.restarts, info.since) == (ChildState.RUNNING, 3, 2, 2)


@every_schedule
async def test_a_transient_child_that_returned_stays_down_and_is_kept() -> None:
    """Its work is done; the spec waits for somebody to ask for it again."""
    stage = Stage()

    async with stage.open(stage.child("a", return_after(1), idle, restart=Restart.TRANSIENT)) as supervisor:
        await trio.sleep(10)
        assert states(supervisor) == {"a": "stopped"}
        await supervisor.restart_child("a")
        assert states(supervisor) == {"a": "running"}

    assert stage.ups() == [(0, "a"), (10, "a")]


@every_schedule
async def test_a_transient_child_that_raised_comes_back() -> None:
    """Its work is not done."""
    stage = Stage()

    async with stage.open(stage.child("a", crash_after(1), idle, restart=Restart.TRANSIENT)) as supervisor:
        await trio.sleep(2)
        assert states(supervisor) == {"a": "running"}

    assert stage.ups() == [(0, "a"), (1, "a")]


@every_schedule
async def test_a_temporary_child_that_returned_is_forgotten() -> None:
    """It leaves no spec behind, so its id can be used again."""
    stage = Stage()

    async with stage.open(stage.child("a", return_after(1), restart=Restart.TEMPORARY)) as supervisor:
        await trio.sleep(2)
        assert supervisor.which_children() == ()
        await supervisor.start_child(stage.child("a"))
        assert states(supervisor) == {"a": "running"}


@every_schedule
async def test_a_temporary_child_that_raised_is_only_an_event() -> None:
    """Nothing is restarted, counted or raised, and the id can be used again; but what it raised is told."""
    stage = Stage()
    error = OSError("not worth a restart")

    async with stage.open(
        stage.child("a", crash_after(1, error), restart=Restart.TEMPORARY), intensity=0
    ) as supervisor:
        await trio.sleep(2)
        assert supervisor.which_children() == ()
        assert stage.kinds("a") == ["started", "ready", "crashed"]
        assert stage.events[-1].error is error
        await supervisor.start_child(stage.child("a"))


@every_schedule
async def test_a_temporary_child_is_forgotten_when_a_sibling_ended_it() -> None:
    """A group restart stops it as it stops the others, and does not bring it back."""
    stage = Stage()
    children = [stage.child("a", crash_after(1), idle), stage.child("b", restart=Restart.TEMPORARY), stage.child("c")]

    async with stage.open(*children, strategy=Strategy.ONE_FOR_ALL) as supervisor:
        await trio.sleep(2)
        assert states(supervisor) == {"a": "running", "c": "running"}
        assert stage.ups("b") == [(0, "b")]
        assert stage.downs("b") == [(1, "b")]


@every_schedule
async def test_a_temporary_child_that_crashes_beside_a_sibling_is_forgotten_too() -> None:
    """Whoever of the two is noticed first: its crash is told once, and it does not come back."""
    stage = Stage()
    children = [stage.child("a", crash_after(1), idle), stage.child("b", crash_after(1), restart=Restart.TEMPORARY)]

    async with stage.open(*children, strategy=Strategy.ONE_FOR_ALL, intensity=1) as supervisor:
        await trio.sleep(2)
        assert states(supervisor) == {"a": "running"}
        assert stage.kinds("b") == ["started", "ready", "crashed"]


@every_schedule
async def test_a_child_that_finishes_in_its_drain_is_stopped_and_not_restarted() -> None:
    """It ended because it was asked to, which is no failure: an intensity of 0 survives it."""
    stage = Stage()
    child = stage.child("a", finish_when_asked, notify=True, shutdown=Shutdown(drain=10))

    async with stage.open(child, intensity=0) as supervisor:
        await supervisor.terminate_child("a")
        assert trio.current_time() == 2
        await trio.sleep(10)
        assert states(supervisor) == {"a": "stopped"}

    assert stage.kinds("a") == ["started", "ready", "stopping", "stopped"]


@every_schedule
async def test_what_a_child_raises_while_it_is_terminated_is_told_and_costs_nothing() -> None:
    """It was to go, and it went; the error is an event and the child's last_error."""
    stage = Stage()
    error = OSError("in cleanup")

    async with stage.open(stage.child("a", slow_cleanup(1, error)), intensity=0) as supervisor:
        await supervisor.terminate_child("a")
        await trio.sleep(10)
        [info] = supervisor.which_children()

    assert (info.state, info.incarnation, info.last_error) == (ChildState.STOPPED, 1, error)
    assert [event.error for event in stage.events if event.kind is EventKind.CRASHED] == [error]


@every_schedule
async def test_raising_right_after_started_is_a_crash() -> None:
    """The line between failing to start and crashing is the call itself, not the moment it is noticed."""
    stage = Stage()

    async def crash_at_once(status: ChildStatus[Any] | None) -> None:
        await ready(status)
        raise OSError("at once")

    async with stage.open(stage.child("a", crash_at_once, idle, notify=True)) as supervisor:
        await trio.sleep(1)
        assert states(supervisor) == {"a": "running"}

    assert stage.kinds("a")[:3] == ["started", "ready", "crashed"]


@every_schedule
async def test_wait_running_waits_for_a_restarting_child_and_gives_its_new_value() -> None:
    """Asked at 2, in the middle of a wait of 10 s, it answers at 11; the value of the life before is of no use."""
    stage = Stage()
    child = stage.child("a", serve("first", for_s=1), serve("second", for_s=1000), notify=True, backoff=TEN_SECONDS)

    async with stage.open(child, intensity=math.inf) as supervisor:
        assert await supervisor.wait_running(child) == "first"
        await trio.sleep(2)
        assert await supervisor.wait_running(child) == "second"
        assert trio.current_time() == 11


@every_schedule
async def test_the_group_that_a_nursery_of_a_child_raises_is_one_failure() -> None:
    """It costs one unit, and is kept whole: the very object that the child raised."""
    stage = Stage()
    raised: list[BaseException] = []

    async def crash_in_two_places(status: ChildStatus[Any] | None) -> None:
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(crash_after(0, OSError("here")), None)
                nursery.start_soon(crash_after(0, ValueError("there")), None)
        except ExceptionGroup as group:
            raised.append(group)
            raise

    async with stage.open(stage.child("a", crash_in_two_places, idle), intensity=1) as supervisor:
        await trio.sleep(1)
        [info] = supervisor.which_children()

    assert (info.incarnation, [info.last_error]) == (2, raised)
