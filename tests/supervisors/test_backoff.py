"""Back-off: how long a restart waits, what goes on meanwhile, and what ends the wait early."""

from __future__ import annotations

import math
from typing import Any

import pytest
import trio

from orgloop_supervisors import (
    Backoff,
    ChildSpec,
    ChildStatus,
    EventKind,
    Strategy,
    SupervisorError,
)
from tests.supervisors.harness import every_schedule
from tests.supervisors.stage import Stage, crash_after, fail_to_start, idle, states

NEVER_GIVE_UP: dict[str, Any] = {"intensity": math.inf}
REST: dict[str, Any] = {"intensity": math.inf, "strategy": Strategy.REST_FOR_ONE}
DOUBLING = Backoff(initial=1, maximum=8)


def waits(stage: Stage) -> list[float | None]:
    """The delays that were announced, in order."""
    return [event.delay for event in stage.told(EventKind.RESTARTING)]


def waiting(stage: Stage, name: str = "a", *, wait_s: float = 1000, crash_at_s: float = 0) -> ChildSpec[Any]:
    """A child that crashes once and is then to wait."""
    return stage.child(name, crash_after(crash_at_s), idle, backoff=Backoff(initial=wait_s, maximum=wait_s))


@every_schedule
async def test_each_failure_in_a_row_doubles_the_wait_up_to_the_maximum() -> None:
    """A child that lives for 0.5 s waits 1, 2, 4, 8 and then always 8 s."""
    stage = Stage()

    async with stage.open(stage.child("a", crash_after(0.5), backoff=DOUBLING), **NEVER_GIVE_UP):
        await trio.sleep(25.75)
        assert [at_s for at_s, _ in stage.ups()] == [0, 1.5, 4, 8.5, 17, 25.5]
        assert waits(stage) == [1, 2, 4, 8, 8]


@every_schedule
async def test_a_failed_attempt_lengthens_the_wait_as_a_crash_does() -> None:
    """Failing to start, twice, is two more failures in the same row."""
    stage = Stage()
    acts = [crash_after(0.5), fail_to_start(), fail_to_start(), idle]

    async with stage.open(stage.child("a", *acts, notify=True, backoff=DOUBLING), **NEVER_GIVE_UP):
        await trio.sleep(100)
        assert [at_s for at_s, _ in stage.ups()] == [0, 1.5, 3.5, 7.5]


@every_schedule
async def test_a_life_of_reset_after_breaks_the_row() -> None:
    """Having been ready for exactly 60 s, the child waits 1 s as if it had never failed."""
    stage = Stage()
    child = stage.child("a", crash_after(0.5), crash_after(0.5), crash_after(60), idle, backoff=DOUBLING)

    async with stage.open(child, **NEVER_GIVE_UP):
        await trio.sleep(100)
        assert waits(stage) == [1, 2, 1]


@every_schedule
async def test_the_time_that_a_start_takes_does_not_break_the_row() -> None:
    """What counts is how long the child was ready, not how long it was up."""
    stage = Stage()

    async def crash_when_ready(status: ChildStatus[Any] | None) -> None:
        assert status is not None
        await trio.sleep(50)
        status.started()
        await trio.sleep(50)
        raise OSError

    child = stage.child("a", crash_when_ready, notify=True, backoff=DOUBLING)
    async with stage.open(child, **NEVER_GIVE_UP):
        await trio.sleep(350)
        assert waits(stage) == [1, 2, 4]


@every_schedule
async def test_jitter_only_shortens() -> None:
    """The announced waits lie between a half and the whole of the curve, so maximum is what it says."""
    stage = Stage()
    child = stage.child("a", crash_after(0), backoff=Backoff(initial=1, maximum=8, jitter=0.5))

    async with stage.open(child, **NEVER_GIVE_UP):
        await trio.sleep(15)

    for wait_s, curve_s in zip(waits(stage), [1, 2, 4] + [8] * 100, strict=False):
        assert wait_s is not None
        assert curve_s / 2 < wait_s <= curve_s


@every_schedule
async def test_a_restarting_child_is_neither_to_be_started_nor_restarted_nor_deleted() -> None:
    """In a wait of 1000 s it is shown as restarting, and whoever wants something else must terminate it first."""
    stage = Stage()
    reasons = []

    async with stage.open(waiting(stage), **NEVER_GIVE_UP) as supervisor:
        await trio.sleep(1)
        for call in (
            supervisor.restart_child("a"),
            supervisor.delete_child("a"),
            supervisor.start_child(waiting(stage)),
        ):
            with pytest.raises(SupervisorError) as caught:
                await call
            reasons.append(caught.value.reason)
        assert states(supervisor) == {"a": "restarting"}

    assert reasons == ["restarting", "restarting", "already_present"]


@every_schedule
async def test_terminating_a_restarting_child_ends_its_wait() -> None:
    """terminate_child() at 1 returns at 1, and the child never comes back."""
    stage = Stage()

    async with stage.open(waiting(stage), **NEVER_GIVE_UP) as supervisor:
        await trio.sleep(1)
        await supervisor.terminate_child("a")
        assert trio.current_time() == 1
        await trio.sleep(5000)
        assert states(supervisor) == {"a": "stopped"}

    assert stage.ups() == [(0, "a")]


@every_schedule
async def test_an_old_wait_starts_nobody_twice() -> None:
    """Terminated and restarted by hand at 1, the child is left alone at 1000, when its wait would have ended."""
    stage = Stage()

    async with stage.open(waiting(stage), **NEVER_GIVE_UP) as supervisor:
        await trio.sleep(1)
        await supervisor.terminate_child("a")
        await supervisor.restart_child("a")
        await trio.sleep(5000)
        assert stage.log == [(0, "a", "up"), (0, "a", "down"), (1, "a", "up")]


@every_schedule
async def test_calls_are_served_during_a_wait() -> None:
    """The wait is a message to come, not a sleep of the supervisor."""
    stage = Stage()

    async with stage.open(waiting(stage), stage.child("b"), **NEVER_GIVE_UP) as supervisor:
        await trio.sleep(1)
        await supervisor.start_child(stage.child("c"))
        await supervisor.terminate_child("b")
        assert trio.current_time() == 1
        assert states(supervisor) == {"a": "restarting", "b": "stopped", "c": "running"}


@every_schedule
async def test_waits_end_in_the_order_in_which_they_are_due() -> None:
    """The child that failed first, but waits longer, is back last."""
    stage = Stage()

    async with stage.open(waiting(stage, "a", wait_s=20), waiting(stage, "b", wait_s=10), **NEVER_GIVE_UP):
        await trio.sleep(100)
        assert stage.ups()[2:] == [(10, "b"), (20, "a")]


@every_schedule
async def test_the_end_of_the_supervisor_does_not_wait() -> None:
    """Left at 1, the block is over at 1, and nothing is started afterwards."""
    stage = Stage()

    async with stage.open(waiting(stage), **NEVER_GIVE_UP):
        await trio.sleep(1)

    assert trio.current_time() == 1
    await trio.sleep(5000)
    assert stage.ups() == [(0, "a")]


@every_schedule
async def test_a_group_restart_takes_over_a_child_that_waits() -> None:
    """c waits from 1 until 11 when a crashes at 2: one restart of all, at 11, and nothing more from c's own wait."""
    stage = Stage()
    children = [stage.child("a", crash_after(2), idle), stage.child("b"), waiting(stage, "c", wait_s=10, crash_at_s=1)]

    async with stage.open(*children, **REST):
        await trio.sleep(100)
        assert stage.ups()[3:] == [(11, "a"), (11, "b"), (11, "c")]
        assert waits(stage) == [10, 9]


@every_schedule
async def test_a_group_that_waits_longer_than_its_member_would_have_is_not_hurried() -> None:
    """a has to wait until 22, c only until 11: both come at 22."""
    stage = Stage()
    children = [waiting(stage, "a", wait_s=20, crash_at_s=2), waiting(stage, "c", wait_s=10, crash_at_s=1)]

    async with stage.open(*children, **REST):
        await trio.sleep(100)
        assert stage.ups()[2:] == [(22, "a"), (22, "c")]


@every_schedule
async def test_those_who_wait_with_a_failed_child_are_restarting_too() -> None:
    """The group is stopped at once and started at the end of the wait."""
    stage = Stage()

    async with stage.open(waiting(stage, wait_s=10), stage.child("b"), **REST) as supervisor:
        await trio.sleep(1)
        assert states(supervisor) == {"a": "restarting", "b": "restarting"}
        assert stage.downs() == [(0, "a"), (0, "b")]
        await trio.sleep(100)
        assert stage.ups()[2:] == [(10, "a"), (10, "b")]


@every_schedule
async def test_terminating_the_child_that_a_group_waits_for_leaves_the_others_their_time() -> None:
    """a, whose wait it was, stays down; b and c come when it would have come."""
    stage = Stage()

    async with stage.open(waiting(stage, wait_s=10), stage.child("b"), stage.child("c"), **REST) as supervisor:
        await trio.sleep(1)
        await supervisor.terminate_child("a")
        await trio.sleep(100)
        assert stage.ups()[3:] == [(10, "b"), (10, "c")]
        assert states(supervisor) == {"a": "stopped", "b": "running", "c": "running"}


@every_schedule
async def test_terminating_one_that_waits_for_another_takes_out_that_one() -> None:
    """b stays down; a, whose wait it was, and c come on time."""
    stage = Stage()

    async with stage.open(waiting(stage, wait_s=10), stage.child("b"), stage.child("c"), **REST) as supervisor:
        await trio.sleep(1)
        await supervisor.terminate_child("b")
        await trio.sleep(100)
        assert stage.ups()[3:] == [(10, "a"), (10, "c")]


@every_schedule
async def test_terminating_a_child_whose_attempt_has_just_failed_leaves_the_others_their_turn() -> None:
    """The call comes while a is trying to start, and is served before the next attempt, which is then b's."""
    stage = Stage()

    async def fail_slowly(status: ChildStatus[Any] | None) -> None:
        await trio.sleep(2)
        raise OSError

    children = [stage.child("a", crash_after(1), fail_slowly, notify=True), stage.child("b")]
    async with stage.open(*children, **REST) as supervisor:
        await trio.sleep(2)
        await supervisor.terminate_child("a")
        await trio.sleep(1)
        assert states(supervisor) == {"a": "stopped", "b": "running"}
        assert stage.ups()[2:] == [(1, "a"), (3, "b")]
