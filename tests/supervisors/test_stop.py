"""Stopping: last first, one after the other, each gone before the next; asked, cancelled, reported, and waited for."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from orgloop_supervisors import (
    Backoff,
    ChildSpec,
    ChildStatus,
    EventKind,
    Restart,
    Shutdown,
    StartError,
    Strategy,
    Supervisor,
)
from tests.supervisors.harness import every_schedule, first_in_line, run_virtual
from tests.supervisors.stage import Act, Stage, crash_after, finish_in, hang_in_start, idle, slow_cleanup, states

Body = Callable[[Supervisor], Awaitable[None]]


async def stop_at_once(supervisor: Supervisor) -> None:
    """Leave the block, whose end is the ordered stop."""


async def play(body: Body, *children: ChildSpec[Any], stage: Stage, **spec: Any) -> None:
    """Run a supervisor around a body."""
    async with stage.open(*children, **spec) as supervisor:
        await body(supervisor)


def raises(error: BaseException) -> Body:
    """Make a body that raises."""

    async def body(supervisor: Supervisor) -> None:
        raise error

    return body


def deaf_for(deaf_s: float) -> Act:
    """Run for so long, whatever is asked and whoever cancels."""

    async def hang_on(status: ChildStatus[Any] | None) -> None:
        with trio.CancelScope(shield=True):
            await trio.sleep(deaf_s)

    return hang_on


# -- order -----------------------------------------------------------------------------------------------------------


@every_schedule
async def test_an_outer_cancellation_stops_the_children_one_by_one() -> None:
    """Each needs 1 s to clean up; the last goes first, and only the outer scope sees the cancellation."""
    stage = Stage()
    children = [stage.child(id_, slow_cleanup(1)) for id_ in "abc"]

    with trio.move_on_at(1) as scope:
        await stage.spec(*children).run()

    assert scope.cancelled_caught
    assert stage.downs() == [(2, "c"), (3, "b"), (4, "a")]


@every_schedule
async def test_leaving_the_block_stops_in_the_same_order() -> None:
    """A child added later goes before those that were listed."""
    stage = Stage()

    async with stage.open(stage.child("a", slow_cleanup(1)), stage.child("b", slow_cleanup(1))) as supervisor:
        await supervisor.start_child(stage.child("c", slow_cleanup(1)))

    assert stage.downs() == [(1, "c"), (2, "b"), (3, "a")]


@every_schedule
async def test_a_tree_is_stopped_leaf_by_leaf_in_reverse() -> None:
    """Three supervisors deep, the leaves go in exactly the reverse of the order in which they came."""
    stage = Stage()
    low = stage.spec(stage.child("c", slow_cleanup(1)), stage.child("d", slow_cleanup(1)), name="low")
    middle = stage.spec(stage.child("b"), low.as_child(), stage.child("e"), name="middle")

    async with stage.open(stage.child("a"), middle.as_child(), stage.child("f")):
        pass

    assert [id_ for _, id_ in stage.ups()] == ["a", "b", "c", "d", "e", "f"]
    assert stage.downs() == [(0, "f"), (0, "e"), (1, "d"), (2, "c"), (2, "b"), (2, "a")]


def test_without_order_all_children_are_stopped_at_once() -> None:
    """A hundred children that need 1 s each need 1 s together."""
    stage = Stage()
    children = [stage.child(str(number), slow_cleanup(1)) for number in range(100)]

    run_virtual(lambda: play(stop_at_once, *children, stage=stage, ordered=False))

    assert {at_s for at_s, _ in stage.downs()} == {1}


# -- drain -----------------------------------------------------------------------------------------------------------


@every_schedule
async def test_a_child_that_finishes_up_in_its_drain_is_not_cancelled() -> None:
    """It has 10 s and needs 2."""
    stage = Stage()
    through = []

    async def finish_up(status: ChildStatus[Any] | None) -> None:
        await finish_in(2)(status)
        through.append(trio.current_effective_deadline())

    await play(stop_at_once, stage.child("a", finish_up, notify=True, shutdown=Shutdown(drain=10)), stage=stage)

    assert through == [math.inf]
    assert stage.downs() == [(2, "a")]


@every_schedule
async def test_a_child_that_ignores_its_drain_is_cancelled_at_its_end() -> None:
    """It has 3 s."""
    stage = Stage()

    await play(stop_at_once, stage.child("a", shutdown=Shutdown(drain=3)), stage=stage)

    assert stage.downs() == [(3, "a")]


@every_schedule
async def test_a_child_that_has_not_started_is_not_asked_to_finish_up() -> None:
    """There is nothing that it could finish."""
    stage = Stage()
    starting = stage.child("a", hang_in_start, notify=True, shutdown=Shutdown(drain=10))

    with trio.move_on_at(1):
        await stage.spec(starting).run()

    assert stage.downs() == [(1, "a")]


# -- stop while something is under way -------------------------------------------------------------------------------


@every_schedule
async def test_a_stop_does_not_wait_for_a_restart() -> None:
    """A child in its back-off is not started any more."""
    stage = Stage()
    waiting = stage.child("a", crash_after(1), backoff=Backoff(initial=100, maximum=100))

    async with stage.open(waiting, intensity=math.inf) as supervisor:
        await trio.sleep(2)
        assert states(supervisor) == {"a": "restarting"}

    assert trio.current_time() == 2
    assert stage.ups() == [(0, "a")]


@every_schedule
async def test_a_stop_ends_a_start_that_hangs() -> None:
    """The starting child goes first, and those that stand behind it are not started any more."""
    stage = Stage()
    restarted = stage.child("b", crash_after(1), hang_in_start, notify=True)
    children = stage.child("a"), restarted, stage.child("c")

    async with stage.open(*children, strategy=Strategy.REST_FOR_ONE) as supervisor:
        await trio.sleep(2)
        assert states(supervisor) == {"a": "running", "b": "starting", "c": "restarting"}

    assert trio.current_time() == 2
    assert stage.order()[3:] == ["b down", "c down", "b up", "b down", "a down"]


@every_schedule
async def test_a_stop_lets_a_termination_finish() -> None:
    """A child that is being terminated is stopped once, and the next one only after it."""
    stage = Stage()

    children = stage.child("a"), stage.child("b", slow_cleanup(3))

    async with trio.open_nursery() as callers, stage.open(*children) as supervisor:
        callers.start_soon(supervisor.terminate_child, "b")
        await trio.sleep(1)

    assert stage.downs() == [(3, "b"), (3, "a")]
    assert stage.kinds("b").count(EventKind.STOPPING) == 1


# -- what children raise while they are stopped ----------------------------------------------------------------------


@every_schedule
async def test_what_permanent_children_raise_while_they_are_stopped_is_raised() -> None:
    """In a group, in the order in which they went; nobody is restarted."""
    stage = Stage()
    errors = [ValueError("a"), ValueError("b")]
    children = [stage.child(str(error), slow_cleanup(0, error)) for error in errors]

    with pytest.RaisesGroup(ValueError, ValueError) as caught:
        await play(stop_at_once, *children, stage=stage)

    assert list(caught.value.exceptions) == errors[::-1]
    assert stage.ups() == [(0, "a"), (0, "b")]


@every_schedule
async def test_a_single_child_that_raises_while_it_is_stopped_is_raised_in_a_group_too() -> None:
    """Whoever catches these need not know how many there are; stop() itself just returns."""
    stage = Stage()

    with pytest.RaisesGroup(ValueError):
        await play(Supervisor.stop, stage.child("a", slow_cleanup(1, ValueError())), stage=stage)


@every_schedule
async def test_what_a_temporary_child_raises_while_it_is_stopped_is_only_told() -> None:
    """It is an event, and no more."""
    stage = Stage()
    error = ValueError("a")

    await play(stop_at_once, stage.child("a", slow_cleanup(0, error), restart=Restart.TEMPORARY), stage=stage)

    assert [event.error for event in stage.events if event.kind is EventKind.CRASHED] == [error]


@every_schedule
async def test_what_children_raise_while_a_cancellation_stops_them_is_raised() -> None:
    """The outer scope was cancelled, and still the failure comes out."""
    stage = Stage()

    with pytest.RaisesGroup(ValueError), trio.move_on_at(1):
        await stage.spec(stage.child("a", slow_cleanup(1, ValueError()))).run()


@every_schedule
async def test_what_the_children_of_a_nested_supervisor_raise_comes_out_at_the_top() -> None:
    """A group for each supervisor that it passes."""
    stage = Stage()
    inner = stage.spec(stage.child("a", slow_cleanup(0, ValueError())), name="inner")

    with pytest.RaisesGroup(pytest.RaisesGroup(ValueError)):
        await play(stop_at_once, inner.as_child(), stage=stage)


# -- what the body raises --------------------------------------------------------------------------------------------


@every_schedule
async def test_what_the_body_raises_comes_out_as_it_is() -> None:
    """The very exception, in no group, after an ordered stop."""
    stage = Stage()
    error = KeyError("body")

    with pytest.raises(KeyError) as caught:
        await play(raises(error), *(stage.child(id_, slow_cleanup(1)) for id_ in "ab"), stage=stage)

    assert caught.value is error
    assert stage.downs() == [(1, "b"), (2, "a")]


@every_schedule
async def test_a_group_that_the_body_raises_comes_out_as_it_is() -> None:
    """It is the group of somebody else, so nothing is unpacked; Trio may copy it, not what is in it."""
    error = KeyError("body")

    with pytest.RaisesGroup(KeyError, match="of the body") as caught:
        await play(raises(ExceptionGroup("of the body", [error])), stage=Stage())

    assert caught.value.exceptions[0] is error


@every_schedule
async def test_what_the_body_raises_comes_with_what_the_children_raise_after_it() -> None:
    """Neither hides the other."""
    stage = Stage()
    children = stage.child("a", slow_cleanup(0, ValueError()))

    with pytest.RaisesGroup(KeyError, pytest.RaisesGroup(ValueError)):
        await play(raises(KeyError("body")), children, stage=stage)


# -- children that do not go -----------------------------------------------------------------------------------------


@every_schedule
async def test_a_child_that_outlives_its_grace_is_reported_once_and_waited_for() -> None:
    """Soon after its 5 s of grace, with the function in which it hangs; it is gone at 20 s, and only then the next."""
    stage = Stage()

    await play(stop_at_once, stage.child("a"), stage.child("b", deaf_for(20)), stage=stage)

    [stuck] = [event for event in stage.events if event.kind is EventKind.STUCK]
    assert stuck.path == ("top", "b")
    assert stuck.time == pytest.approx(5.1)
    assert stuck.stack is not None
    assert "in hang_on" in stuck.stack
    assert stage.downs() == [(20, "b"), (20, "a")]


@every_schedule
async def test_a_stuck_child_is_reported_with_the_tasks_below_it() -> None:
    """It is often one of those that hangs."""
    stage = Stage()

    async def wait_for_others(status: ChildStatus[Any] | None) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(deaf_for(20), None)

    await play(stop_at_once, stage.child("a", wait_for_others), stage=stage)

    [stack] = [event.stack for event in stage.events if event.stack is not None]
    assert "in wait_for_others" in stack
    assert "in hang_on" in stack


@every_schedule
async def test_a_stuck_child_is_stopping_until_it_is_gone() -> None:
    """Its state does not hide that it is still there."""
    stage = Stage()

    async with stage.open(stage.child("a", deaf_for(20))) as supervisor, trio.open_nursery() as nursery:
        nursery.start_soon(supervisor.terminate_child, "a")
        await trio.sleep(10)
        assert states(supervisor) == {"a": "stopping"}
        await trio.sleep(11)
        assert states(supervisor) == {"a": "stopped"}


@every_schedule
async def test_a_child_that_goes_at_once_needs_no_grace() -> None:
    """A grace of 0 makes nobody stuck who ends when cancelled."""
    stage = Stage()

    await play(stop_at_once, stage.child("a", shutdown=Shutdown(grace=0)), stage=stage)

    assert stage.kinds("a") == [EventKind.STARTED, EventKind.READY, EventKind.STOPPING, EventKind.STOPPED]


@every_schedule
async def test_a_child_without_grace_that_stays_is_reported_almost_at_once() -> None:
    """As soon as it had a moment to unwind."""
    stage = Stage()

    await play(stop_at_once, stage.child("a", deaf_for(20), shutdown=Shutdown(grace=0)), stage=stage)

    [stuck] = [event for event in stage.events if event.kind is EventKind.STUCK]
    assert stuck.time == pytest.approx(0.1)


@every_schedule
async def test_an_infinite_grace_is_never_over() -> None:
    """A child that has all the time in the world is not stuck."""
    stage = Stage()

    await play(stop_at_once, stage.child("a", slow_cleanup(1e6), shutdown=Shutdown(grace=math.inf)), stage=stage)

    assert EventKind.STUCK not in stage.kinds("a")
    assert trio.current_time() == 1e6


@every_schedule
async def test_a_child_that_had_no_turn_before_the_machine_slept_is_reported_as_not_yet_running() -> None:
    """Its start limit and its grace were over before its first step."""
    first_in_line("top")
    stage = Stage()
    child = stage.child("a", idle, notify=True, start_timeout=1, shutdown=Shutdown(grace=0))

    async def sleep_of_the_machine() -> None:
        while not stage.events:
            await trio.lowlevel.checkpoint()
        clock = trio.lowlevel.current_clock()
        assert isinstance(clock, MockClock)
        clock.jump(100)

    async with stage.open() as supervisor, trio.open_nursery() as nursery:
        nursery.start_soon(sleep_of_the_machine)
        with pytest.raises(StartError):
            await supervisor.start_child(child)

    assert [event.stack for event in stage.events if event.kind is EventKind.STUCK] == ["not yet running"]
