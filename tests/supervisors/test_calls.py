"""Calls: served one at a time, refused with a reason, answered with what the child said, and never left hanging."""

from __future__ import annotations

import math
import time
from contextvars import ContextVar
from typing import Any

import pytest
import trio

from orgloop_supervisors import (
    Backoff,
    ChildStatus,
    Event,
    Restart,
    RestartIntensityExceeded,
    StartError,
    Supervisor,
)
from tests.supervisors.harness import every_schedule, run_virtual
from tests.supervisors.stage import (
    Stage,
    crash_after,
    fail_to_start,
    hang_in_start,
    idle,
    ready_after,
    refused,
    slow_cleanup,
    states,
)

visitor: ContextVar[str] = ContextVar("visitor", default="nobody")

# -- what is refused -------------------------------------------------------------------------------------------------


@every_schedule
async def test_starting_a_running_child_again_is_refused_as_already_started() -> None:
    """The id is taken by a living child."""
    stage = Stage()

    async with stage.open(stage.child("a")) as supervisor:
        with refused("already_started"):
            await supervisor.start_child(stage.child("a"))

    assert stage.ups() == [(0, "a")]


@every_schedule
async def test_starting_a_stopped_child_again_is_refused_as_already_present() -> None:
    """The spec is kept, so the way back is restart_child, or delete_child first."""
    stage = Stage()

    async with stage.open(stage.child("a")) as supervisor:
        await supervisor.terminate_child("a")
        with refused("already_present"):
            await supervisor.start_child(stage.child("a"))
        await supervisor.delete_child("a")
        await supervisor.start_child(stage.child("a"))

    assert stage.order() == ["a up", "a down"] * 2


@every_schedule
async def test_starting_a_child_that_waits_for_its_restart_is_refused_as_already_present() -> None:
    """A child in its back-off has no life, and still has its place."""
    stage = Stage()
    crashing = stage.child("a", crash_after(1), backoff=Backoff(initial=10))

    async with stage.open(crashing, intensity=math.inf) as supervisor:
        await trio.sleep(2)
        with refused("already_present"):
            await supervisor.start_child(crashing)


@every_schedule
async def test_a_call_about_an_unknown_child_is_refused_as_not_found() -> None:
    """Every call that names a child says so."""
    stage = Stage()

    async with stage.open(stage.child("a")) as supervisor:
        for call in (supervisor.terminate_child, supervisor.restart_child, supervisor.delete_child):
            with refused("not_found"):
                await call("b")


@every_schedule
async def test_a_running_child_can_neither_be_restarted_nor_deleted() -> None:
    """It has to be terminated first, and the refusal says so."""
    stage = Stage()

    async with stage.open(stage.child("a")) as supervisor:
        with refused("running"):
            await supervisor.restart_child("a")
        with refused("running"):
            await supervisor.delete_child("a")

        assert states(supervisor) == {"a": "running"}


@every_schedule
async def test_a_supervisor_holds_no_more_than_max_children() -> None:
    """A stopped child counts, because its spec is kept; a deleted one does not."""
    stage = Stage()

    async with stage.open(stage.child("a"), max_children=2) as supervisor:
        await supervisor.start_child(stage.child("b"))
        await supervisor.terminate_child("b")
        with refused("max_children"):
            await supervisor.start_child(stage.child("c"))
        await supervisor.delete_child("b")
        await supervisor.start_child(stage.child("c"))

        assert list(states(supervisor)) == ["a", "c"]


# -- what is done ----------------------------------------------------------------------------------------------------


@every_schedule
async def test_start_child_and_restart_child_return_what_the_child_passed_to_started() -> None:
    """The value is that of the very life which the call began."""
    stage = Stage()
    server = stage.child("a", ready_after(1, "first"), ready_after(2, "second"), notify=True)

    async with stage.open() as supervisor:
        assert await supervisor.start_child(server) == "first"
        await supervisor.terminate_child("a")
        assert await supervisor.restart_child("a") == "second"

        assert trio.current_time() == 3


@every_schedule
async def test_terminating_a_stopped_child_changes_nothing() -> None:
    """No error, and no event."""
    stage = Stage()

    async with stage.open(stage.child("a")) as supervisor:
        await supervisor.terminate_child("a")
        told = len(stage.events)
        await supervisor.terminate_child("a")

        assert states(supervisor) == {"a": "stopped"}
        assert len(stage.events) == told


@every_schedule
async def test_terminating_a_temporary_child_forgets_it() -> None:
    """A temporary spec never outlives its child."""
    stage = Stage()

    async with stage.open(stage.child("a", restart=Restart.TEMPORARY)) as supervisor:
        await supervisor.terminate_child("a")

        assert supervisor.which_children() == ()


@every_schedule
async def test_a_child_that_fails_in_start_child_is_discarded() -> None:
    """The caller gets the cause, the supervisor goes on, and no budget is used."""
    stage = Stage()
    failing = stage.child("b", fail_to_start(KeyError("no start")), notify=True)

    async with stage.open(stage.child("a"), intensity=0) as supervisor:
        with pytest.raises(StartError) as caught:
            await supervisor.start_child(failing)

        assert isinstance(caught.value.__cause__, KeyError)
        assert states(supervisor) == {"a": "running"}


@every_schedule
async def test_a_child_that_fails_in_restart_child_is_kept() -> None:
    """It is stopped as before, and no budget is used."""
    stage = Stage()
    failing = stage.child("a", idle, fail_to_start(KeyError("no start")), notify=True)

    async with stage.open(failing, intensity=0) as supervisor:
        await supervisor.terminate_child("a")
        with pytest.raises(StartError) as caught:
            await supervisor.restart_child("a")

        assert isinstance(caught.value.__cause__, KeyError)
        assert states(supervisor) == {"a": "stopped"}


@every_schedule
async def test_a_child_may_terminate_itself() -> None:
    """The cancellation arrives in the call that asked for it, and nobody waits for an answer."""
    stage = Stage()

    async with stage.open() as supervisor:

        async def leave(status: ChildStatus[Any] | None) -> None:
            await supervisor.terminate_child("a")

        await supervisor.start_child(stage.child("a", leave))
        await trio.sleep(1)

        assert states(supervisor) == {"a": "stopped"}
        assert stage.log == [(0, "a", "up"), (0, "a", "down")]


@every_schedule
async def test_a_termination_that_waited_for_a_failing_attempt_ends_the_attempts() -> None:
    """It came before the next attempt, so there is none."""
    stage = Stage()

    async def start_slowly_in_vain(status: ChildStatus[Any] | None) -> None:
        await trio.sleep(2)
        raise OSError("no start")

    async with stage.open(stage.child("a", crash_after(1), start_slowly_in_vain, notify=True)) as supervisor:
        await trio.sleep(2)
        assert states(supervisor) == {"a": "starting"}
        await supervisor.terminate_child("a")
        await trio.sleep(10)

        assert states(supervisor) == {"a": "stopped"}
    assert stage.ups() == [(0, "a"), (1, "a")]


@every_schedule
async def test_calls_are_served_one_at_a_time() -> None:
    """While a child takes 3 s to stop, a start waits."""
    stage = Stage()

    async with stage.open(stage.child("a", slow_cleanup(3))) as supervisor:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(supervisor.terminate_child, "a")
            await trio.sleep(1)
            await supervisor.start_child(stage.child("b"))

        assert stage.ups("b") == [(3, "b")]


# -- waiting for a child ---------------------------------------------------------------------------------------------


@every_schedule
async def test_wait_running_gives_the_value_of_the_life_that_is_up() -> None:
    """While the child waits for its restart, so does the call; then it has the new value."""
    stage = Stage()

    async def serve_for_a_second(status: ChildStatus[Any] | None) -> None:
        assert status is not None
        status.started(f"life {status.incarnation}")
        await trio.sleep(1)
        raise OSError("crash")

    server = stage.child("a", serve_for_a_second, notify=True, backoff=Backoff(initial=2))
    async with stage.open(server, intensity=math.inf) as supervisor:
        assert await supervisor.wait_running(server) == "life 1"
        await trio.sleep(2)
        assert await supervisor.wait_running(server) == "life 2"
        assert trio.current_time() == 3


@every_schedule
async def test_wait_running_waits_for_a_stopped_child() -> None:
    """Until somebody restarts it."""
    stage = Stage()
    server = stage.child("a", idle, ready_after(2, "back"), notify=True)

    async with stage.open(server) as supervisor, trio.open_nursery() as nursery:
        await supervisor.terminate_child("a")
        nursery.start_soon(supervisor.restart_child, "a")

        assert await supervisor.wait_running(server) == "back"
        assert trio.current_time() == 2


@every_schedule
async def test_wait_running_knows_a_child_by_its_whole_spec() -> None:
    """An unknown id is not found, and neither is another spec under a known one."""
    stage = Stage()

    async with stage.open(stage.child("a")) as supervisor:
        for other in (stage.child("b"), stage.child("a")):
            with refused("not_found"):
                await supervisor.wait_running(other)


@every_schedule
async def test_wait_running_ends_when_the_child_is_deleted() -> None:
    """Nobody is left waiting for a child that is no more."""
    stage = Stage()
    server = stage.child("a")

    async with stage.open(server) as supervisor, trio.open_nursery() as nursery:
        await supervisor.terminate_child("a")

        async def delete_later() -> None:
            await trio.sleep(1)
            await supervisor.delete_child("a")

        nursery.start_soon(delete_later)
        with refused("not_found"):
            await supervisor.wait_running(server)


@every_schedule
async def test_wait_running_ends_when_the_supervisor_does() -> None:
    """A call that waits for a stopped child is answered at the end."""
    stage = Stage()
    server = stage.child("a")

    async def wait(supervisor: Supervisor) -> None:
        with refused("stopped"):
            await supervisor.wait_running(server)

    async with trio.open_nursery() as nursery, stage.open(server) as supervisor:
        await supervisor.terminate_child("a")
        nursery.start_soon(wait, supervisor)
        await trio.sleep(1)


@every_schedule
async def test_wait_running_answers_all_who_wait() -> None:
    """Two wait for the same child."""
    stage = Stage()
    server = stage.child("a", idle, ready_after(2, "back"), notify=True)
    answers = []

    async with stage.open(server) as supervisor:
        await supervisor.terminate_child("a")

        async def wait() -> None:
            answers.append(await supervisor.wait_running(server))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(wait)
            nursery.start_soon(wait)
            nursery.start_soon(supervisor.restart_child, "a")

    assert answers == ["back", "back"]


# -- callers that leave ----------------------------------------------------------------------------------------------


@every_schedule
async def test_a_cancelled_caller_withdraws_a_call_that_has_not_begun() -> None:
    """The supervisor was busy for 3 s, the caller left after 1."""
    stage = Stage()

    async with stage.open(stage.child("a", slow_cleanup(3))) as supervisor, trio.open_nursery() as nursery:
        nursery.start_soon(supervisor.terminate_child, "a")
        await trio.testing.wait_all_tasks_blocked()
        with trio.move_on_after(1):
            await supervisor.start_child(stage.child("b"))
        await trio.sleep(5)

        assert states(supervisor) == {"a": "stopped"}


@every_schedule
async def test_a_call_in_service_goes_on_without_its_caller() -> None:
    """What has begun is finished: the child that takes 3 s to start is there."""
    stage = Stage()

    async with stage.open() as supervisor:
        with trio.move_on_after(1):
            await supervisor.start_child(stage.child("a", ready_after(3), notify=True))
        assert states(supervisor) == {"a": "starting"}
        await trio.sleep(3)
        assert states(supervisor) == {"a": "running"}


# -- the end ---------------------------------------------------------------------------------------------------------


@every_schedule
async def test_a_call_that_waits_while_the_supervisor_gives_up_is_refused_as_stopped() -> None:
    """The inbox holds a crash and then a call; the crash is the end, and the call learns of it."""
    stage = Stage()
    children = stage.child("a", slow_cleanup(3)), stage.child("b", crash_after(1))

    async def ask(supervisor: Supervisor) -> None:
        await trio.sleep(2)
        with refused("stopped"):
            await supervisor.start_child(stage.child("c"))
        assert trio.current_time() == 3

    async def give_up(callers: trio.Nursery) -> None:
        async with stage.open(*children, intensity=0) as supervisor:
            callers.start_soon(ask, supervisor)
            await supervisor.terminate_child("a")
            await trio.sleep(10)

    async with trio.open_nursery() as callers:
        with pytest.raises(RestartIntensityExceeded):
            await give_up(callers)


@every_schedule
async def test_a_call_in_service_when_the_supervisor_is_stopped_is_refused_as_stopped() -> None:
    """The child that hangs in its start is taken back, and the caller is told."""
    stage = Stage()

    async def ask(supervisor: Supervisor) -> None:
        with refused("stopped"):
            await supervisor.start_child(stage.child("a", hang_in_start, notify=True))

    async with trio.open_nursery() as callers, stage.open() as supervisor:
        callers.start_soon(ask, supervisor)
        await trio.sleep(1)

    assert stage.log == [(0, "a", "up"), (1, "a", "down")]


@every_schedule
async def test_calls_after_the_end_are_refused_as_stopped() -> None:
    """Whatever is asked of a supervisor that is over."""
    stage = Stage()
    server = stage.child("a")
    async with stage.open(server) as supervisor:
        pass

    for call in (supervisor.terminate_child, supervisor.restart_child, supervisor.delete_child):
        with refused("stopped"):
            await call("a")
    for start_or_wait in (supervisor.start_child, supervisor.wait_running):
        with refused("stopped"):
            await start_or_wait(server)


@every_schedule
async def test_calls_during_the_stop_are_refused_as_stopped() -> None:
    """While a child takes its time to clean up, nothing new begins."""
    stage = Stage()

    async def ask(supervisor: Supervisor) -> None:
        await trio.sleep(1)
        with refused("stopped"):
            await supervisor.start_child(stage.child("b"))
        assert trio.current_time() == 1

    async with trio.open_nursery() as callers, stage.open(stage.child("a", slow_cleanup(3))) as supervisor:
        callers.start_soon(ask, supervisor)


@every_schedule
async def test_stop_may_be_called_by_many_and_again() -> None:
    """All who called return when the supervisor is over, and a later call returns at once."""
    stage = Stage()

    async with stage.open(stage.child("a", slow_cleanup(3))) as supervisor:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(supervisor.stop)
            nursery.start_soon(supervisor.stop)
        assert trio.current_time() == 3
        await supervisor.stop()

    assert trio.current_time() == 3


@every_schedule
async def test_a_child_may_stop_its_supervisor() -> None:
    """It is stopped in its turn like the others, and run() returns."""
    stage = Stage()

    async with trio.open_nursery() as host:
        handle = trio.Event()

        async def end_it_all(status: ChildStatus[Any] | None) -> None:
            await handle.wait()
            await supervisor.stop()

        children = stage.child("a"), stage.child("b", end_it_all), stage.child("c")
        supervisor: Supervisor = await host.start(stage.spec(*children).run)
        handle.set()

    assert stage.order()[3:] == ["c down", "b down", "a down"]


# -- contexts --------------------------------------------------------------------------------------------------------


@every_schedule
async def test_every_life_of_a_child_sees_the_context_of_the_supervisor() -> None:
    """Not that of whoever called start_child, nor what an earlier life or an event hook has set."""
    stage = Stage()
    seen = []

    async def look(status: ChildStatus[Any] | None) -> None:
        seen.append(visitor.get())
        visitor.set("an earlier life")
        await trio.sleep(1)
        raise OSError("crash")

    async with stage.open(intensity=math.inf) as supervisor:
        visitor.set("the caller")
        await supervisor.start_child(stage.child("a", look))
        await trio.sleep(4.5)

    assert seen == ["nobody"] * 5


@every_schedule
async def test_what_an_event_hook_sets_is_not_seen_by_later_lives() -> None:
    """A hook never touches the tree, and every incarnation gets the same context."""
    stage = Stage()
    seen = []

    def hook(_: Event) -> None:
        visitor.set("the hook")

    async def look(status: ChildStatus[Any] | None) -> None:
        seen.append(visitor.get())
        await trio.sleep(1)
        raise OSError("crash")

    async with stage.open(stage.child("a", look), intensity=math.inf, on_event=hook):
        await trio.sleep(4.5)

    assert seen == ["nobody"] * 5


# -- many ------------------------------------------------------------------------------------------------------------


async def seconds_per_call(children: int) -> float:
    """Real seconds that one start_child or terminate_child takes, on average, with so many children."""
    stage = Stage()
    async with stage.open(on_event=lambda _: None) as supervisor:
        began_s = time.perf_counter()
        for number in range(children):
            await supervisor.start_child(stage.child(str(number)))
        for number in range(children):
            await supervisor.terminate_child(str(number))
        return (time.perf_counter() - began_s) / (2 * children)


@pytest.mark.slow
def test_ten_thousand_children_are_as_cheap_each_as_one_thousand() -> None:
    """Starting and terminating one costs at most three times as much: no call looks through all the others."""
    few_s = min(run_virtual(seconds_per_call, 1_000) for _ in range(3))
    many_s = run_virtual(seconds_per_call, 10_000)

    assert many_s < 3 * few_s


async def seconds_per_stop(children: int) -> float:
    """Real seconds that the stop of one child takes, on average, when a supervisor of so many ends."""
    stage = Stage()
    async with stage.open(on_event=lambda _: None) as supervisor:
        for number in range(children):
            await supervisor.start_child(stage.child(str(number)))
        began_s = time.perf_counter()
    return (time.perf_counter() - began_s) / children


@pytest.mark.slow
def test_a_supervisor_of_ten_thousand_children_ends_as_cheaply_for_each_as_one_of_one_thousand() -> None:
    """Stopping one costs at most three times as much."""
    few_s = min(run_virtual(seconds_per_stop, 1_000) for _ in range(3))
    many_s = run_virtual(seconds_per_stop, 10_000)

    assert many_s < 3 * few_s


def test_terminating_many_that_wait_for_a_restart_leaves_the_last_its_time() -> None:
    """A hundred timers are set, and all but one are cancelled."""
    stage = Stage()
    waits = Backoff(initial=1000, maximum=1000)
    children = [stage.child(str(number), crash_after(1), idle, backoff=waits) for number in range(100)]

    async def terminate_all_but_one() -> None:
        async with stage.open(*children, intensity=math.inf) as supervisor:
            await trio.sleep(2)
            for number in range(99):
                await supervisor.terminate_child(str(number))
            await trio.sleep(2000)

    run_virtual(terminate_all_but_one)

    assert stage.ups()[100:] == [(1001, "99")]


@every_schedule
async def test_wait_running_gives_the_value_that_it_found_even_if_that_life_ends_meanwhile() -> None:
    """The child may crash in the very step in which the caller lets others run."""
    stage = Stage()
    child = stage.child("a", crash_after(1), notify=True)

    async with stage.open(child, intensity=math.inf) as supervisor:
        await trio.sleep(1)
        assert await supervisor.wait_running(child) is None
        await trio.sleep(0.5)
