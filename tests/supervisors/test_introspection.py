"""Looking: states, counts, the live tree with its stacks, and the events, which no hook can disturb."""

from __future__ import annotations

import logging
import math
from typing import Any

import pytest
import trio

from orgloop_supervisors import (
    Backoff,
    ChildInfo,
    ChildSpec,
    ChildState,
    ChildStatus,
    Event,
    EventKind,
    Restart,
    Strategy,
    Supervisor,
    SupervisorSpec,
    open_supervisor,
)
from tests.supervisors.harness import every_schedule
from tests.supervisors.stage import (
    Stage,
    crash_after,
    hang_in_start,
    idle,
    ready_after,
    return_after,
    slow_cleanup,
    states,
)


async def contemplate(status: ChildStatus[Any] | None) -> None:
    """Run until cancelled, in a function that is known by its name."""
    await trio.sleep_forever()


async def many_tasks(status: ChildStatus[Any] | None) -> None:
    """Run twenty tasks below one child."""
    async with trio.open_nursery() as nursery:
        for _ in range(20):
            nursery.start_soon(contemplate, None)


def lines(tree: str) -> list[str]:
    """The lines of a tree without those of stacks."""
    return [line for line in tree.split("\n") if " at " not in line]


# -- which_children and count_children -------------------------------------------------------------------------------


@every_schedule
async def test_children_are_listed_in_start_order_with_all_that_is_known() -> None:
    """Whoever was restarted keeps its place in the list."""
    stage = Stage()
    error = OSError("crash")
    children = stage.child("a", crash_after(1, error), ready_after(1, "back"), notify=True), stage.child("b")

    async with stage.open(*children) as supervisor:
        await trio.sleep(5)

        assert supervisor.which_children() == (
            ChildInfo("a", ChildState.RUNNING, incarnation=2, restarts=1, since=2, last_error=error, value="back"),
            ChildInfo("b", ChildState.RUNNING, incarnation=1, restarts=0, since=0, last_error=None, value=None),
        )


@every_schedule
async def test_each_state_of_a_child_can_be_seen_and_since_when() -> None:
    """One child in each, for a different time."""
    stage = Stage()
    children = (
        stage.child("running"),
        stage.child("restarting", crash_after(1), backoff=Backoff(initial=100, maximum=100)),
        stage.child("stopped", return_after(2), restart=Restart.TRANSIENT),
    )

    async with stage.open(*children, intensity=math.inf) as supervisor, trio.open_nursery() as nursery:
        nursery.start_soon(trio.sleep, 10)
        await trio.sleep(3)

        assert [(info.id, info.state.value, info.since) for info in supervisor.which_children()] == [
            ("running", "running", 0),
            ("restarting", "restarting", 1),
            ("stopped", "stopped", 2),
        ]


@every_schedule
async def test_a_child_that_takes_its_time_is_starting_and_later_stopping() -> None:
    """And has no value before it has said started()."""
    stage = Stage()

    async def take_time(status: ChildStatus[Any] | None) -> None:
        await trio.sleep(2)
        await slow_cleanup(2)(status)

    async with stage.open() as supervisor, trio.open_nursery() as nursery:
        nursery.start_soon(supervisor.start_child, stage.child("a", take_time, notify=True))
        await trio.sleep(1)
        [starting] = supervisor.which_children()
        await trio.sleep(2)
        nursery.start_soon(supervisor.terminate_child, "a")
        await trio.sleep(1)
        [stopping] = supervisor.which_children()

    assert (starting.state, starting.since, starting.value) == (ChildState.STARTING, 0, None)
    assert (stopping.state, stopping.since) == (ChildState.STOPPING, 3)


@every_schedule
async def test_restarts_count_what_the_supervisor_did_and_incarnations_every_life() -> None:
    """One crash, and one restart that was asked for."""
    stage = Stage()

    async with stage.open(stage.child("a", crash_after(1), idle)) as supervisor:
        await trio.sleep(2)
        await supervisor.terminate_child("a")
        await supervisor.restart_child("a")
        [info] = supervisor.which_children()

    assert (info.restarts, info.incarnation) == (1, 3)


@every_schedule
async def test_counts_tell_supervisors_from_workers_and_the_living_from_the_rest() -> None:
    """As in OTP."""
    stage = Stage()
    children = stage.child("a"), stage.child("b"), stage.spec(stage.child("c"), name="inner").as_child()

    async with stage.open(*children) as supervisor:
        await supervisor.terminate_child("b")

        assert supervisor.count_children() == {"specs": 3, "active": 2, "supervisors": 1, "workers": 2}


# -- the tree --------------------------------------------------------------------------------------------------------


@every_schedule
async def test_the_tree_shows_every_child_on_every_level() -> None:
    """Its state, for how long, how often it was restarted, and what it last died of."""
    stage = Stage()
    low = stage.spec(stage.child("c", return_after(2), restart=Restart.TRANSIENT), name="low", intensity=math.inf)
    waiting = stage.child("b", crash_after(1), backoff=Backoff(initial=9.5))

    async with stage.open(low.as_child(), stage.child("a", crash_after(2), idle), waiting, intensity=math.inf) as top:
        await trio.sleep(5)

        assert lines(top.tree()) == [
            "top  one_for_one, never gives up",
            "├── low  running  for 5 s  incarnation 1",
            "│   (low  one_for_one, never gives up)",
            "│   └── c  stopped  for 3 s  incarnation 1",
            "├── a  running  for 3 s  incarnation 2  1 restarts  last error OSError('crash')",
            "└── b  restarting  in 5.5 s  incarnation 1  last error OSError('crash')",
        ]


@every_schedule
async def test_the_tree_shows_where_a_child_waits() -> None:
    """File, line and function of its own code, without the machinery below and above it."""
    stage = Stage()

    async with stage.open(stage.child("a", contemplate)) as supervisor:
        *_, innermost = supervisor.tree().split("\n")

    assert "test_introspection.py:" in innermost
    assert innermost.endswith("in contemplate")


@every_schedule
async def test_the_tree_shows_where_a_child_waits_that_is_all_trio() -> None:
    """A function of Trio's has no code of its own to show, so all frames are shown."""
    async with Stage().open(ChildSpec(id="a", run=trio.sleep_forever)) as supervisor:
        assert "in sleep_forever" in supervisor.tree()


@every_schedule
async def test_the_tree_shows_only_some_of_many_tasks() -> None:
    """A child with twenty tasks does not fill the screen."""
    stage = Stage()

    async with stage.open(stage.child("a", many_tasks)) as supervisor:
        await trio.sleep(1)
        tree = supervisor.tree()

    assert 1 < tree.count("in contemplate") < 10


@every_schedule
async def test_the_tree_shortens_a_long_error_to_one_line() -> None:
    """A message of pages stays readable."""
    stage = Stage()

    async with stage.open(stage.child("a", crash_after(1, OSError("long\n" * 100)), idle)) as supervisor:
        await trio.sleep(2)
        [_, line] = lines(supervisor.tree())

    assert line.endswith("...")
    assert len(line) < 200


@every_schedule
async def test_the_tree_of_a_child_that_is_starting_shows_where_it_hangs() -> None:
    """That is when one looks."""
    stage = Stage()

    async with trio.open_nursery() as nursery, stage.open() as supervisor:
        nursery.start_soon(supervisor.start_child, stage.child("a", hang_in_start, notify=True))
        await trio.sleep(1)
        assert "in hang_in_start" in supervisor.tree()
        nursery.cancel_scope.cancel("seen")


# -- after the end ---------------------------------------------------------------------------------------------------


@every_schedule
async def test_a_supervisor_that_is_over_can_still_be_looked_at() -> None:
    """It shows how everything ended."""
    stage = Stage()
    waiting = stage.child("b", crash_after(1), backoff=Backoff(initial=9))

    async with stage.open(stage.child("a"), waiting, intensity=math.inf) as supervisor:
        await trio.sleep(2)

    assert states(supervisor) == {"a": "stopped", "b": "stopped"}
    assert supervisor.count_children()["active"] == 0
    assert lines(supervisor.tree())[1:] == [
        "├── a  stopped  for 0 s  incarnation 1",
        "└── b  stopped  for 0 s  incarnation 1  last error OSError('crash')",
    ]


def test_a_supervisor_can_be_looked_at_when_trio_has_ended_too() -> None:
    """In a post-mortem, say."""
    handles: list[Supervisor] = []

    async def main() -> None:
        async with open_supervisor(SupervisorSpec(name="top", children=[Stage().child("a")])) as supervisor:
            handles.append(supervisor)

    trio.run(main)

    assert states(handles[0]) == {"a": "stopped"}
    assert "a  stopped" in handles[0].tree()


@every_schedule
async def test_a_handle_says_whose_it_is_and_whether_it_runs() -> None:
    """With its path, and how many children it has."""
    stage = Stage()

    async with stage.open(stage.child("a"), name="top") as supervisor:
        assert repr(supervisor) == "<Supervisor 'top' running, 1 children>"

    assert repr(supervisor) == "<Supervisor 'top' over, 1 children>"


# -- events ----------------------------------------------------------------------------------------------------------


@every_schedule
async def test_the_events_of_a_run_come_in_exactly_this_order() -> None:
    """Start, crash and restart of a group, an exit, a call, and the stop."""
    stage = Stage()
    children = (
        stage.child("a", crash_after(1, OSError()), idle),
        stage.child("b", slow_cleanup(1), return_after(2), restart=Restart.TRANSIENT),
    )

    async with stage.open(*children, strategy=Strategy.ONE_FOR_ALL) as supervisor:
        await trio.sleep(5)
        await supervisor.restart_child("b")

    assert [(event.time, event.path[-1], event.kind.value, event.incarnation) for event in stage.events] == [
        *((0, "a", "started", 1), (0, "a", "ready", 1), (0, "b", "started", 1), (0, "b", "ready", 1)),
        *((1, "a", "crashed", 1), (1, "b", "stopping", 1), (2, "b", "stopped", 1), (2, "a", "restarting", 1)),
        *((2, "a", "started", 2), (2, "a", "ready", 2), (2, "b", "started", 2), (2, "b", "ready", 2)),
        *((4, "b", "exited", 2), (5, "b", "started", 3), (5, "b", "ready", 3)),
        *((5, "b", "stopping", 3), (5, "b", "stopped", 3), (5, "a", "stopping", 2), (5, "a", "stopped", 2)),
    ]


@every_schedule
async def test_an_event_of_a_restart_tells_the_wait_and_the_one_of_a_crash_the_error() -> None:
    """And the others neither."""
    stage = Stage()
    error = OSError("crash")

    async with stage.open(stage.child("a", crash_after(1, error), backoff=Backoff(initial=9)), intensity=math.inf):
        await trio.sleep(2)

    assert [(event.kind.value, event.error, event.delay) for event in stage.events] == [
        *(("started", None, None), ("ready", None, None)),
        *(("crashed", error, None), ("restarting", None, 9)),
    ]


@pytest.mark.parametrize("error", [ValueError, SystemExit])
def test_a_hook_that_raises_is_logged_and_changes_nothing(
    error: type[BaseException], caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever it raises, the tree does what it would have done."""

    def hook(event: Event) -> None:
        raise error(event.kind)

    @every_schedule
    async def story() -> None:
        caplog.clear()
        stage = Stage()
        async with stage.open(stage.child("a", crash_after(1), idle), on_event=hook) as supervisor:
            await trio.sleep(2)
            assert states(supervisor) == {"a": "running"}

        assert stage.order() == ["a up", "a down", "a up", "a down"]
        assert [record.levelno for record in caplog.records] == [logging.ERROR] * 8

    story()


@every_schedule
async def test_a_hook_may_look_at_the_supervisor() -> None:
    """What it sees is the state that the event tells of."""
    seen: list[tuple[EventKind, str]] = []
    handles: list[Supervisor] = []

    def look(event: Event) -> None:
        seen.extend((event.kind, states(supervisor)["a"]) for supervisor in handles)

    stage = Stage()
    async with stage.open(stage.child("a", crash_after(1), idle), on_event=look) as supervisor:
        handles.append(supervisor)
        await trio.sleep(2)

    assert [f"{kind}: {state}" for kind, state in seen] == [
        *("crashed: stopped", "restarting: restarting", "started: starting", "ready: running"),
        *("stopping: stopping", "stopped: stopped"),
    ]
