"""Calls that would wait for their own caller: refused at once, with a reason, where OTP hangs."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from orgloop_supervisors import (
    ChildStatus,
    EventKind,
    Restart,
    Shutdown,
    StartError,
    Strategy,
    Supervisor,
    SupervisorError,
)
from tests.supervisors.harness import every_schedule
from tests.supervisors.stage import (
    Act,
    Stage,
    crash_after,
    finish_in,
    hang_in_start,
    idle,
    ready_after,
    slow_cleanup,
    states,
)

Ask = Callable[[], Awaitable[object]]


async def answer_to(ask: Ask) -> object:
    """What a call gave, or the reason for which it was refused."""
    try:
        return await ask()
    except SupervisorError as error:
        return error.reason


async def answers_to(*asks: Ask) -> list[object]:
    """What each of these calls gave, one after the other."""
    return [await answer_to(ask) for ask in asks]


def ask_before_started(ask: Ask, answers: list[object]) -> Act:
    """Make a call before being ready, then run until cancelled."""

    async def act(status: ChildStatus[Any] | None) -> None:
        answers.append(await answer_to(ask))
        await idle(status)

    return act


def ask_in_drain(ask: Ask, answers: list[object]) -> Act:
    """Run until asked to finish up, make a call, and return."""

    async def act(status: ChildStatus[Any] | None) -> None:
        await finish_in(0)(status)
        answers.append(await answer_to(ask))

    return act


def ask_at(at_s: float, ask: Ask, answers: list[object]) -> Act:
    """Be ready, make a call at that time, and finish when asked to; a call without an answer is left after 100 s."""

    async def act(status: ChildStatus[Any] | None) -> None:
        assert status is not None
        status.started()
        await trio.sleep_until(at_s)
        with trio.move_on_after(100):
            answers.append(await answer_to(ask))
        await status.draining.wait()

    return act


# -- before started() ------------------------------------------------------------------------------------------------


@every_schedule
async def test_no_call_is_open_to_a_child_that_has_not_started() -> None:
    """The supervisor waits for the child, so it could not answer; wait_running for itself is no better."""
    stage = Stage()

    async with stage.open(stage.child("b")) as supervisor:
        answers: list[object] = []
        wait = supervisor.wait_running

        async def ask_everything(status: ChildStatus[Any] | None) -> None:
            calls = supervisor.terminate_child, supervisor.restart_child, supervisor.delete_child
            answers.extend(await answers_to(*(partial(call, "b") for call in calls)))
            answers.extend(await answers_to(*(partial(call, child) for call in (supervisor.start_child, wait))))
            await idle(status)

        child = stage.child("a", ask_everything, notify=True)
        await supervisor.start_child(child)

    assert answers == ["deadlock"] * 5


@every_schedule
async def test_a_refused_call_is_an_error_like_any_other() -> None:
    """A child that does not catch it has failed to start, and the cause says what to do."""
    stage = Stage()

    async with stage.open() as supervisor:

        async def ask(status: ChildStatus[Any] | None) -> None:
            await supervisor.delete_child("b")

        with pytest.raises(StartError) as caught:
            await supervisor.start_child(stage.child("a", ask, notify=True))

    assert "call started() first" in str(caught.value.__cause__)


@every_schedule
async def test_a_child_of_a_supervisor_that_is_starting_may_not_call_the_one_above() -> None:
    """The one above waits for the one below, which waits for the child."""
    stage = Stage()
    answers: list[object] = []

    async with stage.open(stage.child("a")) as top:
        asking = stage.child("b", ask_before_started(lambda: top.terminate_child("a"), answers), notify=True)
        await top.start_child(stage.spec(asking, name="inner").as_child())

    assert answers == ["deadlock"]


@every_schedule
async def test_a_ready_child_of_a_supervisor_that_is_starting_may_not_call_the_one_above_either() -> None:
    """Its sibling is not ready yet, so neither is its supervisor."""
    stage = Stage()
    answers: list[object] = []

    async with stage.open(stage.child("a")) as top:
        children = (
            stage.child("b", ask_at(1, lambda: top.terminate_child("a"), answers), notify=True),
            stage.child("c", ready_after(2), notify=True),
        )
        await top.start_child(stage.spec(*children, name="inner").as_child())

    assert answers == ["deadlock"]


@every_schedule
async def test_a_child_that_starts_below_may_call_a_supervisor_that_has_started_above() -> None:
    """The one above waits for nobody: the one below has long been ready."""
    stage = Stage()
    answers: list[object] = []

    async with stage.open(stage.child("a"), stage.spec(name="inner").as_child()) as top:
        inner = top.which_children()[1].value
        assert isinstance(inner, Supervisor)
        asking = ask_before_started(lambda: top.terminate_child("a"), answers)
        await inner.start_child(stage.child("b", asking, notify=True))

        assert states(top) == {"a": "stopped", "inner": "running"}

    assert answers == [None]


@every_schedule
async def test_a_task_below_a_starting_child_may_not_call_either() -> None:
    """Whom the child waits for asks in its name."""
    stage = Stage()
    answers: list[object] = []

    async with stage.open(stage.child("b")) as supervisor:

        async def ask_in_a_nursery(status: ChildStatus[Any] | None) -> None:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(ask_before_started(lambda: supervisor.terminate_child("b"), answers), None)
                await wait_all_tasks_blocked()
                nursery.cancel_scope.cancel("answered")
            await idle(status)

        await supervisor.start_child(stage.child("a", ask_in_a_nursery, notify=True))

    assert answers == ["deadlock"]


@every_schedule
async def test_a_starting_child_may_wait_for_an_earlier_sibling_and_not_for_a_later_one() -> None:
    """The earlier one runs already; the later one will not be started before this one is ready."""
    stage = Stage()
    answers: list[object] = []
    earlier, later = stage.child("a", ready_after(1, "earlier"), notify=True), stage.child("c")

    async def wait_for_both(status: ChildStatus[Any] | None) -> None:
        answers.append(await answer_to(lambda: supervisor.wait_running(earlier)))
        answers.append(await answer_to(lambda: supervisor.wait_running(later)))
        await idle(status)

    waiting = stage.child("b", crash_after(1), wait_for_both, notify=True)
    async with stage.open(earlier, waiting, later, strategy=Strategy.ONE_FOR_ALL) as supervisor:
        await trio.sleep(5)

    assert answers == ["earlier", "deadlock"]


# -- after started() -------------------------------------------------------------------------------------------------


@every_schedule
async def test_a_child_that_has_started_may_call() -> None:
    """Nobody waits for it any more."""
    stage = Stage()
    answers: list[object] = []

    async with stage.open() as supervisor:
        value_of_b = stage.child("b", ready_after(1, "the value of b"), notify=True)
        asking = ask_at(1, lambda: supervisor.start_child(value_of_b), answers)
        await supervisor.start_child(stage.child("a", asking, notify=True))
        await trio.sleep(3)

        assert states(supervisor) == {"a": "running", "b": "running"}

    assert answers == ["the value of b"]


@every_schedule
async def test_what_a_child_leaves_behind_when_it_ends_may_call() -> None:
    """A task that a child started in a nursery of its host is nobody's child once the child has ended."""
    stage = Stage()
    answers: list[object] = []

    async with trio.open_nursery() as host, stage.open(stage.child("b")) as supervisor:

        async def ask_later() -> None:
            await trio.sleep(1)
            answers.append(await answer_to(lambda: supervisor.terminate_child("b")))

        async def leave_a_task_behind(status: ChildStatus[Any] | None) -> None:
            host.start_soon(ask_later)

        await supervisor.start_child(stage.child("a", leave_a_task_behind, restart=Restart.TEMPORARY))
        await trio.sleep(2)

    assert answers == [None]


# -- while being stopped ---------------------------------------------------------------------------------------------


@every_schedule
async def test_a_child_may_not_call_while_it_is_being_stopped() -> None:
    """The supervisor waits for its drain to end."""
    stage = Stage()
    answers: list[object] = []

    async with stage.open(stage.child("b")) as supervisor:
        asking = ask_in_drain(lambda: supervisor.restart_child("b"), answers)
        await supervisor.start_child(stage.child("a", asking, notify=True, shutdown=Shutdown(drain=10)))
        await supervisor.terminate_child("a")

    assert answers == ["deadlock"]


@every_schedule
async def test_a_child_may_not_call_above_while_its_supervisor_is_being_stopped() -> None:
    """The one above waits for the one below, which waits for the drain."""
    stage = Stage()
    answers: list[object] = []

    async with stage.open(stage.child("a")) as top:
        asking = ask_in_drain(lambda: top.delete_child("a"), answers)
        child = stage.child("b", asking, notify=True, shutdown=Shutdown(drain=10))
        await top.start_child(stage.spec(child, name="inner").as_child())
        await top.terminate_child("inner")

    assert answers == ["deadlock"]


@every_schedule
async def test_a_call_that_waits_is_refused_when_its_caller_is_to_be_drained() -> None:
    """The supervisor was busy, and its next task is to stop the very child that has asked something."""
    stage = Stage()
    answers: list[object] = []

    async with stage.open(stage.child("c", slow_cleanup(3))) as supervisor, trio.open_nursery() as nursery:
        asking = ask_at(2, lambda: supervisor.delete_child("c"), answers)
        await supervisor.start_child(stage.child("a", asking, notify=True, shutdown=Shutdown(drain=math.inf)))
        nursery.start_soon(supervisor.terminate_child, "c")
        await trio.sleep(1)
        await supervisor.terminate_child("a")

        assert answers == ["deadlock"]
        assert trio.current_time() == 3


@every_schedule
async def test_calls_of_others_wait_while_a_child_is_drained() -> None:
    """Only what the drained child asked is refused."""
    stage = Stage()
    slow = stage.child("b", slow_cleanup(3))
    draining = stage.child("a", finish_in(2), notify=True, shutdown=Shutdown(drain=10))

    async with stage.open(slow, draining) as supervisor, trio.open_nursery() as nursery:
        nursery.start_soon(supervisor.terminate_child, "b")
        await trio.sleep(1)
        nursery.start_soon(supervisor.terminate_child, "a")
        await trio.sleep(1)
        await supervisor.delete_child("b")

        assert trio.current_time() == 5


@every_schedule
async def test_wait_running_is_refused_when_its_caller_is_to_be_drained() -> None:
    """The sibling that it waits for will not come before it has finished up."""
    stage = Stage()
    answers: list[object] = []
    sibling = stage.child("b")

    async with stage.open(sibling) as supervisor:
        await supervisor.terminate_child("b")
        asking = ask_at(1, lambda: supervisor.wait_running(sibling), answers)
        await supervisor.start_child(stage.child("a", asking, notify=True, shutdown=Shutdown(drain=math.inf)))
        await trio.sleep(2)

    assert answers == ["deadlock"]
    assert trio.current_time() == 2


# -- asking for one's own end ----------------------------------------------------------------------------------------


@every_schedule
async def test_a_child_with_an_endless_drain_may_not_ask_for_its_own_end() -> None:
    """It would be asked to finish up, and wait for that in the call."""
    stage = Stage()
    answers: list[object] = []

    async with stage.open() as supervisor:
        ends = partial(supervisor.terminate_child, "a"), supervisor.stop
        asking = ask_at(1, partial(answers_to, *ends), answers)
        await supervisor.start_child(stage.child("a", asking, notify=True, shutdown=Shutdown(drain=math.inf)))
        await trio.sleep(2)

    assert answers == [["deadlock", "deadlock"]]


@every_schedule
async def test_a_child_with_an_endless_drain_may_end_another() -> None:
    """Only its own end is out of its reach."""
    stage = Stage()
    answers: list[object] = []

    async with stage.open(stage.child("b")) as supervisor:
        asking = ask_at(1, lambda: supervisor.terminate_child("b"), answers)
        await supervisor.start_child(stage.child("a", asking, notify=True, shutdown=Shutdown(drain=math.inf)))
        await trio.sleep(2)

        assert states(supervisor) == {"b": "stopped", "a": "running"}


@every_schedule
async def test_a_child_with_a_drain_that_ends_may_ask_for_its_own_end() -> None:
    """It is cancelled, in that call, when its drain is over."""
    stage = Stage()

    async with stage.open() as supervisor:
        asking = ask_at(1, lambda: supervisor.terminate_child("a"), [])
        await supervisor.start_child(stage.child("a", asking, notify=True, shutdown=Shutdown(drain=10)))
        await trio.sleep(20)

    assert stage.downs() == [(11, "a")]


@every_schedule
async def test_a_child_with_an_endless_drain_may_not_end_the_supervisors_above() -> None:
    """Its own supervisor would be stopped with the others, and wait for the drain."""
    stage = Stage()
    answers: list[object] = []

    async with stage.open() as top:
        ends = partial(top.terminate_child, "inner"), top.stop
        asking = ask_at(1, partial(answers_to, *ends), answers)
        child = stage.child("a", asking, notify=True, shutdown=Shutdown(drain=math.inf))
        await top.start_child(stage.spec(child, name="inner").as_child())
        await trio.sleep(2)

    assert answers == [["deadlock", "deadlock"]]


# -- at the end ------------------------------------------------------------------------------------------------------


@every_schedule
async def test_a_child_without_drain_that_waits_for_an_answer_at_the_end_is_cancelled() -> None:
    """It is about to be, so it is not made to crash first by a refusal."""
    stage = Stage()

    async with stage.open() as supervisor:
        hanging = stage.child("b", hang_in_start, notify=True)
        asking = ask_at(1, lambda: supervisor.start_child(hanging), [])
        await supervisor.start_child(stage.child("a", asking, notify=True))
        await trio.sleep(2)

    assert stage.downs() == [(2, "b"), (2, "a")]
    assert EventKind.CRASHED not in stage.kinds("a")


@every_schedule
async def test_a_child_with_drain_that_waits_for_an_answer_at_the_end_is_refused() -> None:
    """The answer would not come before it has finished up."""
    stage = Stage()
    answers: list[object] = []

    async with stage.open() as supervisor:
        hanging = stage.child("b", hang_in_start, notify=True)
        asking = ask_at(1, lambda: supervisor.start_child(hanging), answers)
        await supervisor.start_child(stage.child("a", asking, notify=True, shutdown=Shutdown(drain=10)))
        await trio.sleep(2)

    assert answers == ["stopped"]
    assert trio.current_time() == 2


@every_schedule
async def test_a_task_that_a_child_started_elsewhere_is_refused_at_the_end() -> None:
    """Nobody will cancel it: it lives in a nursery of the host, though the child began it."""
    stage = Stage()
    answers: list[object] = []

    async with trio.open_nursery() as host, stage.open() as supervisor:
        hanging = stage.child("b", hang_in_start, notify=True)

        async def ask() -> None:
            with trio.move_on_after(100):
                answers.append(await answer_to(lambda: supervisor.start_child(hanging)))

        async def start_elsewhere(status: ChildStatus[Any] | None) -> None:
            host.start_soon(ask)
            await idle(status)

        await supervisor.start_child(stage.child("a", start_elsewhere))
        await trio.sleep(1)

    assert answers == ["stopped"]


@every_schedule
async def test_a_shielded_call_of_a_child_is_refused_at_the_end() -> None:
    """No cancellation can reach it, and the supervisor would wait for it for ever."""
    stage = Stage()
    answers: list[object] = []

    async with stage.open() as supervisor:
        hanging = stage.child("b", hang_in_start, notify=True)

        async def ask_shielded(status: ChildStatus[Any] | None) -> None:
            with trio.move_on_after(100, shield=True):
                answers.append(await answer_to(lambda: supervisor.start_child(hanging)))

        await supervisor.start_child(stage.child("a", ask_shielded))
        await trio.sleep(1)

    assert answers == ["stopped"]
