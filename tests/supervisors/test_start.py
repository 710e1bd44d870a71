"""Starting: one after the other, each ready before the next; a failure undoes what was started."""

from __future__ import annotations

from typing import Any

import pytest
import trio

from orgloop_supervisors import ChildExited, ChildState, ChildStatus, StartError, StartTimeout
from tests.supervisors.harness import every_schedule
from tests.supervisors.stage import Stage, fail_to_start, hang_in_start, idle, ready_after


@every_schedule
async def test_a_child_starts_when_the_one_before_it_is_ready() -> None:
    """Three children that take 1, 2 and 3 s to be ready: b enters at 1, c at 3, and the block at 6."""
    stage = Stage()
    children = [stage.child(id, ready_after(delay_s), notify=True) for id, delay_s in (("a", 1), ("b", 2), ("c", 3))]

    async with stage.open(*children):
        assert trio.current_time() == 6

    assert stage.ups() == [(0, "a"), (1, "b"), (3, "c")]


@every_schedule
async def test_children_without_notify_take_their_first_step_in_list_order() -> None:
    """What a plain child does before its first checkpoint is done before the next one enters."""
    stage = Stage()

    async with stage.open(stage.child("a"), stage.child("b"), stage.child("c")):
        assert stage.order() == ["a up", "b up", "c up"]


@every_schedule
async def test_a_child_that_fails_to_start_takes_back_those_before_it() -> None:
    """c raises before it is ready: b, then a, are stopped, the cause is chained, nothing is restarted."""
    stage = Stage()
    failing = stage.child("c", fail_to_start(KeyError("no start")), notify=True)

    with pytest.raises(StartError, match="'c' of supervisor 'top' failed to start") as caught:
        await stage.spec(stage.child("a"), stage.child("b"), failing).run()

    assert isinstance(caught.value.__cause__, KeyError)
    assert stage.order() == ["a up", "b up", "c up", "c down", "b down", "a down"]


@every_schedule
async def test_returning_before_being_ready_is_a_failure_to_start() -> None:
    """A child with notify that never said started() has not started, however politely it left."""
    stage = Stage()

    async def leave(status: ChildStatus[Any] | None) -> None: ...

    with pytest.raises(StartError) as caught:
        await stage.spec(stage.child("a", leave, notify=True)).run()

    assert isinstance(caught.value.__cause__, ChildExited)


@every_schedule
async def test_a_child_that_is_not_ready_in_time_fails_to_start() -> None:
    """start_timeout is 3: at 3 the child is stopped, and the cause says so."""
    stage = Stage()

    with pytest.raises(StartError) as caught:
        await stage.spec(stage.child("a", hang_in_start, notify=True, start_timeout=3)).run()

    assert isinstance(caught.value.__cause__, StartTimeout)
    assert stage.downs() == [(3, "a")]


@every_schedule
async def test_cancelling_a_start_stops_the_starting_child_first() -> None:
    """The outer scope, and nobody else, sees the cancellation."""
    stage = Stage()

    with trio.move_on_after(2) as scope:
        await stage.spec(
            stage.child("a"), stage.child("b", hang_in_start, notify=True), stage.child("c", idle, notify=True)
        ).run()

    assert scope.cancelled_caught
    assert stage.log == [(0, "a", "up"), (0, "b", "up"), (2, "b", "down"), (2, "a", "down")]


@every_schedule
async def test_a_plain_child_that_raises_at_its_first_step_has_crashed() -> None:
    """It was ready just before, so the restart policy applies, and no StartError."""
    stage = Stage()

    async def raise_at_once(status: ChildStatus[Any] | None) -> None:
        raise OSError("at once")

    async with stage.open(stage.child("a", raise_at_once, idle)) as supervisor:
        await trio.sleep(1)
        [info] = supervisor.which_children()

    assert info.incarnation == 2
    assert stage.kinds("a") == [
        *("started", "ready", "crashed", "restarting"),
        *("started", "ready", "stopping", "stopped"),
    ]


@every_schedule
async def test_a_word_after_the_start_limit_counts_for_nothing() -> None:
    """A child that says started() while its start limit ends it has still not started."""
    stage = Stage()

    async def too_late(status: ChildStatus[Any] | None) -> None:
        assert status is not None
        try:
            await trio.sleep(10)
        finally:
            status.started()

    with pytest.raises(StartError) as caught:
        await stage.spec(stage.child("a", too_late, notify=True, start_timeout=1)).run()

    assert isinstance(caught.value.__cause__, StartTimeout)


@every_schedule
async def test_saying_started_twice_is_a_crash() -> None:
    """As in Trio, the second started() raises, and here that ends the child."""
    stage = Stage()

    async def twice(status: ChildStatus[Any] | None) -> None:
        assert status is not None
        status.started()
        status.started()

    async with stage.open(stage.child("a", twice, idle, notify=True)) as supervisor:
        await trio.sleep(1)
        [info] = supervisor.which_children()

    assert isinstance(info.last_error, RuntimeError)


@every_schedule
async def test_a_word_after_the_end_counts_for_nothing() -> None:
    """Somebody else may say started() for a child that has long failed to start; it stays stopped."""
    stage = Stage()
    kept = []

    async def fail(status: ChildStatus[Any] | None) -> None:
        kept.append(status)
        raise KeyError("no start")

    async with stage.open(stage.child("a", idle, fail, notify=True)) as supervisor:
        await supervisor.terminate_child("a")
        with pytest.raises(StartError):
            await supervisor.restart_child("a")
        [status] = kept
        assert status is not None
        status.started()
        [info] = supervisor.which_children()

    assert (info.state, info.value) == (ChildState.STOPPED, None)
