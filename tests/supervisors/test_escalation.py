"""Trees: a supervisor is a child like any other; when it gives up, its causes go up with it, and its events always."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from typing import Any

import pytest
import trio

from orgloop_supervisors import (
    AutoShutdown,
    Backoff,
    ChildSpec,
    ChildStatus,
    Event,
    EventKind,
    Restart,
    RestartIntensityExceeded,
    StartError,
    Strategy,
    Supervisor,
    SupervisorError,
    SupervisorSpec,
    open_supervisor,
)
from tests.supervisors.harness import every_schedule
from tests.supervisors.stage import (
    Stage,
    crash_after,
    fail_to_start,
    idle,
    return_after,
    slow_cleanup,
    states,
)

ANY = AutoShutdown.ANY_SIGNIFICANT
SIGNIFICANT: dict[str, Any] = {"restart": Restart.TRANSIENT, "significant": True}


def handle_of(supervisor: Supervisor, id_: str) -> Supervisor:
    """The handle of a nested supervisor."""
    [info] = [info for info in supervisor.which_children() if info.id == id_]
    assert isinstance(info.value, Supervisor)
    return info.value


# -- nesting ---------------------------------------------------------------------------------------------------------


@every_schedule
async def test_a_restarted_supervisor_has_its_static_children_and_not_its_dynamic_ones() -> None:
    """Its recipe is the spec; what was added while it ran is gone, as in OTP."""
    stage = Stage()
    crashing = stage.child("a", crash_after(2), idle)

    async with stage.open(stage.spec(crashing, name="inner", intensity=0).as_child()) as top:
        await handle_of(top, "inner").start_child(stage.child("b"))
        await trio.sleep(3)

        assert states(handle_of(top, "inner")) == {"a": "running"}

    assert stage.ups() == [(0, "a"), (0, "b"), (2, "a")]


@every_schedule
async def test_wait_running_gives_the_handle_of_the_live_supervisor() -> None:
    """The one before the restart is over."""
    stage = Stage()
    inner = stage.spec(stage.child("a", crash_after(1), idle), name="inner", intensity=0).as_child()

    async with stage.open(inner) as top:
        before = await top.wait_running(inner)
        await trio.sleep(2)
        after = await top.wait_running(inner)

        assert (repr(before), repr(after)) == (
            "<Supervisor 'top/inner' over, 1 children>",
            "<Supervisor 'top/inner' running, 1 children>",
        )


@every_schedule
async def test_a_start_that_fails_below_fails_above_with_both_causes() -> None:
    """StartError from StartError from the error."""
    stage = Stage()
    failing = stage.child("a", fail_to_start(OSError("no start")), notify=True)

    with pytest.raises(StartError) as caught:
        await stage.spec(stage.spec(failing, name="inner").as_child()).run()

    assert isinstance(caught.value.__cause__, StartError)
    assert isinstance(caught.value.__cause__.__cause__, OSError)


# -- giving up -------------------------------------------------------------------------------------------------------


@every_schedule
async def test_budgets_multiply_and_causes_nest_down_to_the_first_error() -> None:
    """Inner forgives one of its child, outer one of inner: four lives, and every failure is in the traceback."""
    stage = Stage()
    errors = [OSError(number) for number in range(4)]
    child = stage.child("a", *(crash_after(0.1, error) for error in errors))
    inner = stage.spec(child, name="inner", intensity=1, period=5).as_child(restart=Restart.TRANSIENT)

    with pytest.raises(RestartIntensityExceeded, match="'top' gave up") as caught:
        await stage.spec(inner, intensity=1, period=60).run()

    assert [leaves(failure) for failure in caught.value.failures] == [errors[:2], errors[2:]]
    assert leaves(caught.value) == errors
    assert all(isinstance(failure, RestartIntensityExceeded) for failure in caught.value.failures)


def leaves(error: BaseException) -> list[BaseException]:
    """The errors at the bottom of a chain of causes and groups."""
    if isinstance(error, BaseExceptionGroup):
        return [leaf for member in error.exceptions for leaf in leaves(member)]
    return [error] if error.__cause__ is None else leaves(error.__cause__)


@every_schedule
async def test_a_transient_supervisor_that_gives_up_is_restarted() -> None:
    """Unlike in OTP, where giving up looks like a normal end: here it is a failure, with its cause."""
    stage = Stage()
    inner = stage.spec(stage.child("a", crash_after(1), idle), name="inner", intensity=0)

    async with stage.open(inner.as_child(restart=Restart.TRANSIENT)) as top:
        await trio.sleep(2)
        [info] = top.which_children()

    assert info.incarnation == 2
    assert isinstance(info.last_error, RestartIntensityExceeded)


@every_schedule
async def test_a_supervisor_that_gives_up_first_stops_the_others_in_order() -> None:
    """Nothing of it is left when its error goes up."""
    stage = Stage()
    children = [*(stage.child(id_, slow_cleanup(1)) for id_ in "ab"), stage.child("c", crash_after(1))]

    with pytest.raises(RestartIntensityExceeded):
        await stage.spec(*children, intensity=0).run()

    assert stage.downs() == [(1, "c"), (2, "b"), (3, "a")]


@every_schedule
async def test_giving_up_comes_in_a_group_with_what_was_raised_while_stopping() -> None:
    """Neither hides the other."""
    stage = Stage()
    children = stage.child("a", slow_cleanup(0, ValueError())), stage.child("b", crash_after(1))

    with pytest.RaisesGroup(RestartIntensityExceeded, ValueError):
        await stage.spec(*children, intensity=0).run()


@every_schedule
async def test_a_start_that_fails_comes_in_a_group_with_what_was_raised_while_stopping() -> None:
    """Neither hides the other here either."""
    stage = Stage()
    children = stage.child("a", slow_cleanup(0, ValueError())), stage.child("b", fail_to_start(), notify=True)

    with pytest.RaisesGroup(StartError, ValueError):
        await stage.spec(*children).run()


# -- automatic shutdown ----------------------------------------------------------------------------------------------


def any_significant(stage: Stage, *children: ChildSpec[Any], **spec: Any) -> SupervisorSpec:
    """Make a supervisor that ends with the first of its significant children."""
    return stage.spec(*children, auto_shutdown=ANY, **spec)


@every_schedule
async def test_the_clean_end_of_a_significant_child_ends_the_supervisor() -> None:
    """As if it had been stopped: the others go, and run() returns."""
    stage = Stage()
    significant = stage.child("b", return_after(1), restart=Restart.TRANSIENT, significant=True)

    await any_significant(stage, stage.child("a"), significant, stage.child("c")).run()

    assert stage.downs() == [(1, "b"), (1, "c"), (1, "a")]


@every_schedule
async def test_the_crash_of_a_significant_transient_child_does_not_end_the_supervisor() -> None:
    """It is restarted."""
    stage = Stage()
    significant = stage.child("a", crash_after(1), idle, restart=Restart.TRANSIENT, significant=True)

    async with open_supervisor(any_significant(stage, significant)) as supervisor:
        await trio.sleep(2)
        assert states(supervisor) == {"a": "running"}


@every_schedule
async def test_the_crash_of_a_significant_temporary_child_ends_the_supervisor() -> None:
    """It is not restarted, so it has ended for good; as in OTP, however it ended."""
    stage = Stage()
    significant = stage.child("a", crash_after(1), restart=Restart.TEMPORARY, significant=True)

    await any_significant(stage, significant, stage.child("b")).run()

    assert stage.downs() == [(1, "a"), (1, "b")]


@every_schedule
async def test_terminating_a_significant_child_does_not_end_the_supervisor() -> None:
    """Only an end of its own does."""
    stage = Stage()
    significant = stage.child("a", restart=Restart.TRANSIENT, significant=True)

    async with open_supervisor(any_significant(stage, significant)) as supervisor:
        await supervisor.terminate_child("a")
        await trio.sleep(1)
        assert states(supervisor) == {"a": "stopped"}


@every_schedule
async def test_a_sibling_that_takes_a_significant_child_along_does_not_end_the_supervisor() -> None:
    """A temporary one of the group is stopped and forgotten, and that was not its own end."""
    stage = Stage()
    significant = stage.child("a", restart=Restart.TEMPORARY, significant=True)
    spec = any_significant(stage, significant, stage.child("b", crash_after(1), idle), strategy=Strategy.ONE_FOR_ALL)

    async with open_supervisor(spec) as supervisor:
        await trio.sleep(2)
        assert states(supervisor) == {"b": "running"}


@every_schedule
async def test_the_last_of_all_significant_children_ends_the_supervisor() -> None:
    """One that waits for its restart counts as alive, so the end of the other is not the last."""
    stage = Stage()
    waiting = stage.child("a", crash_after(1), return_after(1), backoff=Backoff(initial=10), **SIGNIFICANT)
    children = waiting, stage.child("b", return_after(2), **SIGNIFICANT)

    await stage.spec(*children, intensity=math.inf, auto_shutdown=AutoShutdown.ALL_SIGNIFICANT).run()

    assert stage.downs() == [(1, "a"), (2, "b"), (12, "a")]


@every_schedule
async def test_a_supervisor_that_shuts_itself_down_has_ended_normally() -> None:
    """A transient one stays down, a permanent one comes back."""
    for restart, state in ((Restart.TRANSIENT, "stopped"), (Restart.PERMANENT, "running")):
        stage = Stage()
        significant = stage.child("a", return_after(1), idle, **SIGNIFICANT)
        inner = any_significant(stage, significant, name="inner").as_child(restart=restart)

        async with stage.open(inner) as top:
            await trio.sleep(2)
            assert states(top) == {"inner": state}


@every_schedule
async def test_a_significant_supervisor_may_end_the_one_above() -> None:
    """as_child() says so."""
    stage = Stage()
    significant = stage.child("a", return_after(1), **SIGNIFICANT)
    inner = any_significant(stage, significant, name="inner")

    await any_significant(stage, stage.child("b"), inner.as_child(**SIGNIFICANT)).run()

    assert stage.downs() == [(1, "a"), (1, "b")]


# -- events of a tree ------------------------------------------------------------------------------------------------


def paths(events: Sequence[Event]) -> set[tuple[str, ...]]:
    """Whom these events are about."""
    return {event.path for event in events}


@every_schedule
async def test_events_of_a_nested_supervisor_go_to_the_hook_above_with_their_whole_path() -> None:
    """Two levels down, a supervisor that has no hook of its own; giving up is told under its own name."""
    stage = Stage()
    low = SupervisorSpec(name="low", children=[stage.child("a", crash_after(1), idle)], intensity=0)
    middle = SupervisorSpec(name="middle", children=[low.as_child()])

    async with stage.open(middle.as_child()):
        await trio.sleep(2)

    assert paths(stage.events) == {("top", "middle", "low", "a"), ("top", "middle", "low"), ("top", "middle")}
    [gave_up] = [event for event in stage.events if event.kind is EventKind.GAVE_UP]
    assert (gave_up.path, gave_up.incarnation) == (("top", "middle", "low"), 0)


@every_schedule
async def test_a_nested_supervisor_may_have_a_hook_of_its_own() -> None:
    """Then the one above hears of it as of any child, and nothing from inside."""
    above, below = Stage(), Stage()

    async with above.open(below.spec(below.child("a"), name="inner").as_child()):
        pass

    assert paths(above.events) == {("top", "inner")}
    assert paths(below.events) == {("top", "inner", "a")}


@every_schedule
async def test_a_supervisor_run_deep_inside_a_child_adds_its_name_to_the_path() -> None:
    """A child that opens one for itself, in whatever task, is its parent in events and tree."""
    stage = Stage()
    inner = SupervisorSpec(name="inner", children=[stage.child("a")])

    async def run_one(status: ChildStatus[Any] | None) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(inner.run)

    async with stage.open(stage.child("b", run_one)) as top:
        await trio.sleep(1)
        assert "(inner  one_for_one, 3 in 5 s)" in top.tree()

    assert paths(stage.events) == {("top", "b"), ("top", "b", "inner", "a")}


@every_schedule
async def test_a_supervisor_left_behind_by_a_child_that_has_ended_is_a_root() -> None:
    """It belongs to the nursery in which it runs, and to nobody's path."""
    stage = Stage()

    async with trio.open_nursery() as host, stage.open() as top:
        orphan = stage.spec(stage.child("a", return_after(1), **SIGNIFICANT), name="orphan", auto_shutdown=ANY)

        async def run_later() -> None:
            await trio.sleep(1)
            await orphan.run()

        async def leave_it_behind(status: ChildStatus[Any] | None) -> None:
            host.start_soon(run_later)

        await top.start_child(stage.child("b", leave_it_behind, restart=Restart.TEMPORARY))
        await trio.sleep(1)

    assert paths(stage.events) == {("top", "b"), ("orphan", "a")}


# -- the log ---------------------------------------------------------------------------------------------------------


def written(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    """Level and message of each record, without the stack of a stuck child."""
    return [(record.levelname, record.message.split("\n")[0]) for record in caplog.records]


def test_a_tree_without_a_hook_writes_to_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """What calls for attention at its level, with the error and its traceback; the usual course only for debugging."""
    caplog.set_level(logging.DEBUG, logger="orgloop_supervisors")

    @every_schedule
    async def story() -> None:
        caplog.clear()
        stage = Stage()
        with pytest.raises(RestartIntensityExceeded) as caught:
            await stage.spec(stage.child("a", crash_after(1)), intensity=1, on_event=None).run()

        assert written(caplog) == [
            *(("DEBUG", "top/a started, incarnation 1"), ("DEBUG", "top/a ready, incarnation 1")),
            ("ERROR", "top/a crashed, incarnation 1, OSError('crash')"),
            ("WARNING", "top/a restarting, incarnation 1, in 0 s"),
            *(("DEBUG", "top/a started, incarnation 2"), ("DEBUG", "top/a ready, incarnation 2")),
            ("ERROR", "top/a crashed, incarnation 2, OSError('crash')"),
            ("CRITICAL", f"top gave_up, incarnation 0, {caught.value!r}"),
        ]
        assert [record.exc_info is not None for record in caplog.records].count(True) == 3

    story()


def test_a_stuck_child_is_an_error_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """With the stack; and what the level of the logger leaves out is not written."""
    caplog.set_level(logging.WARNING, logger="orgloop_supervisors")

    @every_schedule
    async def story() -> None:
        caplog.clear()
        stage = Stage()
        async with stage.open(stage.child("a", slow_cleanup(20)), on_event=None):
            pass

        assert written(caplog) == [("ERROR", "top/a stuck, incarnation 1, at")]
        assert "in act" in caplog.records[0].message

    story()


@every_schedule
async def test_a_block_that_was_asking_when_its_supervisor_gave_up_learns_why_it_gave_up() -> None:
    """That the call was not answered only follows from it, and does not make it a group."""
    stage = Stage()
    sibling = stage.child("b")

    async def ask() -> None:
        async with stage.open(sibling, stage.child("a", crash_after(1)), intensity=0) as supervisor:
            await supervisor.terminate_child("b")
            await supervisor.wait_running(sibling)

    with pytest.raises(RestartIntensityExceeded):
        await ask()


@every_schedule
async def test_a_block_that_asks_another_supervisor_that_has_ended_raises_both() -> None:
    """Only what follows from the failure itself yields to it."""
    stage = Stage()
    async with stage.open() as other:
        pass

    async def ask_the_other() -> None:
        async with stage.open():
            await other.start_child(stage.child("a"))

    with pytest.raises(SupervisorError, match="has stopped"):
        await ask_the_other()
