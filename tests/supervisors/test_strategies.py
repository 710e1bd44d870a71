"""Strategies: who is stopped and started with a failed child, in which order, and at what price."""

from __future__ import annotations

from typing import Any

import trio

from orgloop_supervisors import ChildState, EventKind, Restart, Strategy
from tests.supervisors.harness import every_schedule
from tests.supervisors.stage import Stage, crash_after, fail_to_start, give_up, idle, return_after, slow_cleanup, states

ALL: dict[str, Any] = {"strategy": Strategy.ONE_FOR_ALL}
REST: dict[str, Any] = {"strategy": Strategy.REST_FOR_ONE}


@every_schedule
async def test_one_for_all_stops_the_others_in_reverse_and_starts_everybody_in_order() -> None:
    """b crashes at 1: c and then a are stopped; a, b, c are started."""
    stage = Stage()

    async with stage.open(stage.child("a"), stage.child("b", crash_after(1), idle), stage.child("c"), **ALL):
        await trio.sleep(2)
        assert stage.order()[3:] == ["b down", "c down", "a down", "a up", "b up", "c up"]


@every_schedule
async def test_rest_for_one_takes_those_after_the_failed_child() -> None:
    """b of a, b, c, d crashes: d and then c are stopped; b, c, d are started; a is left alone."""
    stage = Stage()
    children = [stage.child(name, *([crash_after(1), idle] if name == "b" else [])) for name in "abcd"]

    async with stage.open(*children, **REST):
        await trio.sleep(2)
        assert stage.order()[4:] == ["b down", "d down", "c down", "b up", "c up", "d up"]


@every_schedule
async def test_each_of_a_group_is_gone_before_the_next_is_stopped() -> None:
    """c takes 2 s and a takes 1 s to clean up, so b, which crashed at 1, is back at 4."""
    stage = Stage()
    children = [stage.child("a", slow_cleanup(1)), stage.child("b", crash_after(1), idle)]

    async with stage.open(*children, stage.child("c", slow_cleanup(2)), **ALL):
        await trio.sleep(5)
        assert stage.downs() == [(1, "b"), (3, "c"), (4, "a")]
        assert stage.ups()[3:] == [(4, "a"), (4, "b"), (4, "c")]


@every_schedule
async def test_rest_for_one_goes_on_at_the_child_that_failed_to_start() -> None:
    """c fails once while b's group is restarted: b, c, then c, d are started, b just once."""
    stage = Stage()
    children = [
        stage.child("a"),
        stage.child("b", crash_after(1), idle),
        stage.child("c", idle, fail_to_start(), idle, notify=True),
        stage.child("d"),
    ]

    async with stage.open(*children, **REST):
        await trio.sleep(2)
        assert [name for _, name in stage.ups()[4:]] == ["b", "c", "c", "d"]
        assert stage.downs("b") == [(1, "b")]


@every_schedule
async def test_one_for_all_begins_again_when_a_child_fails_to_start() -> None:
    """b fails once after c's crash: a, which was started before it, is stopped, and all three are started."""
    stage = Stage()
    children = [
        stage.child("a"),
        stage.child("b", idle, fail_to_start(), idle, notify=True),
        stage.child("c", crash_after(1), idle),
    ]

    async with stage.open(*children, **ALL):
        await trio.sleep(2)
        assert stage.order()[3:6] == ["c down", "b down", "a down"]
        assert stage.order()[6:] == ["a up", "b up", "b down", "a down", "a up", "b up", "c up"]


@every_schedule
async def test_a_failed_start_within_a_group_costs_one_more() -> None:
    """The crash of b and the failure of c are two, whatever the group; an intensity of 1 gives up."""
    stage = Stage()
    children = [
        stage.child("b", crash_after(1), idle),
        stage.child("c", idle, fail_to_start(KeyError("c")), notify=True),
        stage.child("d"),
    ]

    error = await give_up(stage.spec(*children, intensity=1, **REST))

    assert [type(failure) for failure in error.failures] == [OSError, KeyError]


@every_schedule
async def test_a_group_restart_costs_one_however_large_the_group() -> None:
    """Three children are restarted; an intensity of 1 forgives it."""
    stage = Stage()
    children = [stage.child(name) for name in "ab"]

    async with stage.open(*children, stage.child("c", crash_after(1), idle), intensity=1, **ALL) as supervisor:
        await trio.sleep(2)
        assert [info.restarts for info in supervisor.which_children()] == [1, 1, 1]


@every_schedule
async def test_the_order_is_that_of_the_list_not_of_the_last_start() -> None:
    """a, though restarted after b, still stands before it: a crash of b does not touch a."""
    stage = Stage()
    children = [stage.child("a"), stage.child("b", crash_after(2), idle), stage.child("c")]

    async with stage.open(*children, **REST) as supervisor:
        await trio.sleep(1)
        await supervisor.terminate_child("a")
        await supervisor.restart_child("a")
        await trio.sleep(2)
        assert stage.order()[5:] == ["b down", "c down", "b up", "c up"]


@every_schedule
async def test_a_child_added_later_belongs_to_the_rest_of_every_earlier_one() -> None:
    """d was started last, so it is stopped first and started last."""
    stage = Stage()

    async with stage.open(stage.child("a", crash_after(1), idle), stage.child("b"), **REST) as supervisor:
        await supervisor.start_child(stage.child("d"))
        await trio.sleep(2)
        assert stage.order()[3:] == ["a down", "d down", "b down", "a up", "b up", "d up"]


@every_schedule
async def test_a_group_restart_brings_back_who_had_finished_and_who_was_terminated() -> None:
    """Everything in the group that is not temporary is started, as OTP does, so that a group is whole again."""
    stage = Stage()
    children = [
        stage.child("finished", return_after(1), idle, restart=Restart.TRANSIENT),
        stage.child("terminated"),
        stage.child("failing", crash_after(3), idle),
        stage.child("temporary", restart=Restart.TEMPORARY),
    ]

    async with stage.open(*children, **ALL) as supervisor:
        await supervisor.terminate_child("terminated")
        await trio.sleep(2)
        assert list(states(supervisor).values()) == ["stopped", "stopped", "running", "running"]
        await trio.sleep(2)
        assert states(supervisor) == {"finished": "running", "terminated": "running", "failing": "running"}


@every_schedule
async def test_an_end_that_asks_for_no_restart_leaves_the_group_alone() -> None:
    """A transient child that returns and a temporary one that crashes are nobody else's business."""
    stage = Stage()
    children = [
        stage.child("a"),
        stage.child("b", return_after(1), restart=Restart.TRANSIENT),
        stage.child("c", crash_after(1), restart=Restart.TEMPORARY),
    ]

    async with stage.open(*children, **ALL) as supervisor:
        await trio.sleep(2)
        [a, _] = supervisor.which_children()

    assert (a.state, a.incarnation) == (ChildState.RUNNING, 1)


@every_schedule
async def test_a_child_that_raises_while_its_group_is_stopped_is_told_and_not_counted() -> None:
    """c raises in its cleanup: an event, but no second unit and no second restart."""
    stage = Stage()
    error = ValueError("in cleanup")
    children = [stage.child("a", crash_after(1), idle), stage.child("c", slow_cleanup(1, error), idle)]

    async with stage.open(*children, intensity=1, **ALL):
        await trio.sleep(3)
        assert stage.told(EventKind.CRASHED)[1].error is error
        assert stage.ups("c") == [(0, "c"), (2, "c")]

    assert len(stage.told(EventKind.RESTARTING)) == 1


@every_schedule
async def test_a_child_that_crashes_while_its_group_waits_for_another_is_not_counted_either() -> None:
    """b crashes at 2, by itself, while c takes from 1 to 4 to stop: both come back, once."""
    stage = Stage()
    children = [stage.child("a", crash_after(1), idle), stage.child("b", crash_after(2), idle)]

    async with stage.open(*children, stage.child("c", slow_cleanup(3)), intensity=1, **ALL):
        await trio.sleep(10)
        assert stage.kinds("b") == ["started", "ready", "crashed", "started", "ready"]
        assert stage.ups()[3:] == [(4, "a"), (4, "b"), (4, "c")]


@every_schedule
async def test_one_thing_happens_at_a_time() -> None:
    """b crashes at 1 while a is being terminated until 3: b is back at 3, not before."""
    stage = Stage()

    async with stage.open(stage.child("a", slow_cleanup(3)), stage.child("b", crash_after(1), idle)) as supervisor:
        await supervisor.terminate_child("a")
        await trio.sleep(1)
        assert stage.ups("b") == [(0, "b"), (3, "b")]


@every_schedule
async def test_without_order_a_group_is_stopped_at_once() -> None:
    """Two children that take 1 s each to clean up are gone 1 s after the crash, and everybody is up again."""
    stage = Stage()
    children = [stage.child(name, slow_cleanup(1)) for name in "ab"]

    async with stage.open(*children, stage.child("c", crash_after(1), idle), ordered=False, **ALL):
        await trio.sleep(3)
        assert sorted(stage.downs()) == [(1, "c"), (2, "a"), (2, "b")]
        assert sorted(stage.ups()[3:]) == [(2, "a"), (2, "b"), (2, "c")]
