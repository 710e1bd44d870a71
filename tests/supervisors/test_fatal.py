"""Ctrl-C, SystemExit and their like: never restarted; everything is stopped in order, and then they come out bare."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import trio

from orgloop_supervisors import (
    ChildSpec,
    EventKind,
    Restart,
    RestartIntensityExceeded,
    StartError,
    Strategy,
    Supervisor,
)
from tests.supervisors.harness import every_schedule
from tests.supervisors.stage import Act, Stage, crash_after, fail_to_start, idle, refused, slow_cleanup

PACKAGE = Path(__file__).parents[2] / "supervisors"


class Doom(BaseException):
    """Neither an Exception, nor known to anybody."""


def crash_with(*errors: BaseException) -> Act:
    """Be ready, and after 1 s raise a group, as a nursery would."""
    return crash_after(1, BaseExceptionGroup("of a nursery", errors))


async def wait_long(*children: ChildSpec[Any], stage: Stage, **spec: Any) -> None:
    """Run a supervisor around a block that only waits."""
    async with stage.open(*children, **spec):
        await trio.sleep(1000)


# -- one fatal exception ---------------------------------------------------------------------------------------------


@every_schedule
async def test_a_fatal_exception_stops_everything_in_order_and_comes_out_bare() -> None:
    """The very exception, whichever it is, from a child whose restart would have been forgiven."""
    for error in (KeyboardInterrupt(), SystemExit(3), Doom()):
        stage = Stage()

        with pytest.raises(type(error)) as caught:
            await stage.spec(stage.child("a"), stage.child("b", crash_after(1, error)), stage.child("c")).run()

        assert caught.value is error
        assert stage.order() == ["a up", "b up", "c up", "b down", "c down", "a down"]


@every_schedule
async def test_open_supervisor_raises_a_fatal_exception_bare() -> None:
    """The block is cancelled, and SystemExit(3) is SystemExit(3)."""
    stage = Stage()

    with pytest.raises(SystemExit, match="3"):
        await wait_long(stage.child("a"), stage.child("b", crash_after(1, SystemExit(3))), stage=stage)

    assert trio.current_time() == 1


@every_schedule
async def test_no_restart_type_forgives_a_fatal_exception() -> None:
    """A temporary or transient child can end the program as well as a permanent one."""
    for restart in Restart:
        stage = Stage()

        with pytest.raises(SystemExit):
            await stage.spec(stage.child("a", crash_after(1, SystemExit(3)), restart=restart)).run()

        assert stage.kinds("a") == [EventKind.STARTED, EventKind.READY, EventKind.CRASHED]


@every_schedule
async def test_a_fatal_exception_that_a_nursery_of_the_child_wrapped_comes_out_bare() -> None:
    """Whom nothing else was raised with is taken out of the group."""
    stage = Stage()

    with pytest.raises(SystemExit, match="3"):
        await stage.spec(stage.child("a", crash_with(SystemExit(3)))).run()


@every_schedule
async def test_a_fatal_exception_before_the_child_is_ready_is_no_start_error() -> None:
    """Those already started are stopped, those behind are not started."""
    stage = Stage()
    failing = stage.child("b", fail_to_start(SystemExit(3)), notify=True)

    with pytest.raises(SystemExit, match="3"):
        await stage.spec(stage.child("a"), failing, stage.child("c")).run()

    assert stage.order() == ["a up", "b up", "b down", "a down"]


@every_schedule
async def test_a_fatal_exception_in_cleanup_comes_out_bare() -> None:
    """At the ordered stop, the rest of which goes on."""
    stage = Stage()

    with pytest.raises(SystemExit, match="3"), trio.move_on_after(1):
        await stage.spec(stage.child("a"), stage.child("b", slow_cleanup(1, SystemExit(3)))).run()

    assert stage.downs() == [(2, "b"), (2, "a")]


@every_schedule
async def test_a_fatal_exception_of_a_child_being_terminated_ends_the_supervisor() -> None:
    """Whoever terminated it has an answer, and then the end comes for all."""
    stage = Stage()

    async def terminate() -> None:
        async with stage.open(stage.child("a", slow_cleanup(1, SystemExit(3)))) as supervisor:
            await supervisor.terminate_child("a")
            await trio.sleep(1000)

    with pytest.raises(SystemExit, match="3"):
        await terminate()

    assert trio.current_time() == 1


@every_schedule
async def test_a_fatal_exception_of_a_child_being_started_ends_the_supervisor() -> None:
    """Whoever started it is told that the supervisor has stopped."""
    stage = Stage()

    async def start(supervisor: Supervisor) -> None:
        with refused("stopped"):
            await supervisor.start_child(stage.child("a", fail_to_start(SystemExit(3)), notify=True))

    async def start_from_outside() -> None:
        async with trio.open_nursery() as callers, stage.open() as supervisor:
            callers.start_soon(start, supervisor)
            await trio.sleep(1000)

    with pytest.RaisesGroup(SystemExit):
        await start_from_outside()


@every_schedule
async def test_a_fatal_exception_of_a_child_whose_group_restarts_ends_the_restart() -> None:
    """Nobody is started again; what asked for the restart has been told."""
    stage = Stage()
    children = stage.child("a", crash_after(1)), stage.child("b", slow_cleanup(1, SystemExit(3)))

    with pytest.raises(SystemExit, match="3"):
        await stage.spec(*children, strategy=Strategy.ONE_FOR_ALL).run()

    assert stage.order() == ["a up", "b up", "a down", "b down"]
    assert EventKind.CRASHED in stage.kinds("a")


@every_schedule
async def test_a_fatal_exception_at_a_restart_ends_the_restart() -> None:
    """Those behind it are not started any more."""
    stage = Stage()
    children = stage.child("a", crash_after(1), fail_to_start(SystemExit(3)), notify=True), stage.child("b")

    with pytest.raises(SystemExit, match="3"):
        await stage.spec(*children, strategy=Strategy.ONE_FOR_ALL).run()

    assert stage.order() == ["a up", "b up", "a down", "b down", "a up", "a down"]


@every_schedule
async def test_a_fatal_exception_passes_two_supervisors_bare() -> None:
    """Each stops its children, and tells of the one that brought it."""
    stage = Stage()
    low = stage.spec(stage.child("a", crash_after(1, SystemExit(3))), stage.child("b"), name="low")
    middle = stage.spec(low.as_child(), stage.child("c"), name="middle")

    with pytest.raises(SystemExit, match="3"):
        await stage.spec(middle.as_child(), stage.child("d")).run()

    assert stage.downs() == [(1, "a"), (1, "b"), (1, "c"), (1, "d")]
    assert [event.path[-1] for event in stage.events if event.kind is EventKind.CRASHED] == ["a", "low", "middle"]


# -- not alone -------------------------------------------------------------------------------------------------------


@every_schedule
async def test_what_was_raised_beside_a_fatal_exception_is_not_lost() -> None:
    """except Exception would have missed the whole group; both come out, and nothing is restarted."""
    stage = Stage()
    mixed = stage.child("a", crash_with(ValueError(), SystemExit(3)))

    with pytest.RaisesGroup(SystemExit, pytest.RaisesGroup(ValueError)):
        await stage.spec(mixed).run()

    assert stage.ups() == [(0, "a")]


@every_schedule
async def test_what_is_raised_while_a_fatal_exception_stops_the_others_is_not_lost() -> None:
    """Both come out."""
    stage = Stage()
    children = stage.child("a", slow_cleanup(0, ValueError())), stage.child("b", crash_after(1, SystemExit(3)))

    with pytest.RaisesGroup(SystemExit, ValueError):
        await stage.spec(*children).run()


@every_schedule
async def test_a_start_that_failed_is_not_lost_beside_a_fatal_exception() -> None:
    """Both come out."""
    stage = Stage()
    children = stage.child("a", slow_cleanup(0, SystemExit(3))), stage.child("b", fail_to_start(), notify=True)

    with pytest.RaisesGroup(SystemExit, StartError):
        await stage.spec(*children).run()


@every_schedule
async def test_a_mixed_group_passes_two_supervisors_without_loss() -> None:
    """The fatal one stands at the top, what was raised beside it below."""
    stage = Stage()
    low = stage.spec(stage.child("a", crash_with(ValueError(), SystemExit(3))), name="low")
    middle = stage.spec(low.as_child(), name="middle")

    with pytest.RaisesGroup(SystemExit, ValueError, flatten_subgroups=True) as caught:
        await stage.spec(middle.as_child()).run()

    assert [type(error) for error in caught.value.exceptions] == [SystemExit, ExceptionGroup]


@every_schedule
async def test_two_different_fatal_exceptions_both_come_out() -> None:
    """One when the tree stops for the other."""
    stage = Stage()
    children = (
        stage.child("a", slow_cleanup(0, SystemExit(4))),
        stage.child("b", crash_after(1, KeyboardInterrupt())),
    )

    with pytest.RaisesGroup(KeyboardInterrupt, SystemExit):
        await stage.spec(*children).run()


@every_schedule
async def test_two_interrupts_are_one() -> None:
    """Pressing Ctrl-C twice says no more than once, and a group around it would change the exit status."""
    stage = Stage()
    children = (
        stage.child("a", slow_cleanup(0, KeyboardInterrupt())),
        stage.child("b", crash_after(1, KeyboardInterrupt())),
    )

    with pytest.raises(KeyboardInterrupt):
        await stage.spec(*children).run()


@every_schedule
async def test_two_interrupts_are_one_around_a_block_too() -> None:
    """The first met the block, the second a child that was cleaning up."""
    stage = Stage()

    async def interrupted() -> None:
        async with stage.open(stage.child("a", slow_cleanup(1, KeyboardInterrupt()))):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await interrupted()


@every_schedule
async def test_an_interrupt_of_the_block_comes_out_bare() -> None:
    """After the ordered stop."""
    stage = Stage()

    async def interrupted() -> None:
        async with stage.open(stage.child("a", slow_cleanup(1)), stage.child("b", slow_cleanup(1))):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await interrupted()

    assert stage.downs() == [(1, "b"), (2, "a")]


# -- a group that is only called so ----------------------------------------------------------------------------------


class OwnGroup(BaseExceptionGroup[BaseException]):
    """Not an Exception by its class, though nothing in it is fatal."""


@every_schedule
async def test_a_group_in_which_nothing_is_fatal_is_an_ordinary_failure() -> None:
    """What counts is what is in it."""
    stage = Stage()

    async with stage.open(stage.child("a", crash_after(1, OwnGroup("own", [ValueError()])), idle)):
        await trio.sleep(2)

    assert stage.ups() == [(0, "a"), (1, "a")]


@every_schedule
async def test_a_group_in_which_nothing_is_fatal_may_be_the_cause_of_giving_up() -> None:
    """It is told like any other failure."""
    stage = Stage()

    with pytest.raises(RestartIntensityExceeded):
        await stage.spec(stage.child("a", crash_after(1, OwnGroup("own", [ValueError()]))), intensity=0).run()


# -- real processes, real signals ------------------------------------------------------------------------------------

PROLOGUE = """
import os, signal, sys, trio
from trio.lowlevel import enable_ki_protection  # here: so that a signal meets a child only where it computes
from orgloop_supervisors import ChildSpec, SupervisorSpec, open_supervisor

signal.signal(signal.SIGINT, signal.default_int_handler)  # whatever the process that started us ignores

def say(word):
    print(word, flush=True)

@enable_ki_protection
async def idle(name):
    say(f"{name} up")
    try:
        await trio.sleep_forever()
    finally:
        say(f"{name} down")

@enable_ki_protection
async def leave_slowly(name):
    try:
        await idle(name)
    finally:
        with trio.CancelScope(shield=True):
            await trio.lowlevel.wait_readable(0)  # until told to go on
            os.read(0, 100)
        say(f"{name} gone")

async def exit_with_3(name):
    await trio.lowlevel.checkpoint()
    raise SystemExit(3)

async def compute(name):
    await trio.lowlevel.checkpoint()
    say("busy")
    while True:
        pass

def spec_of(*children):
    children = [ChildSpec(id=name, run=act, args=(name,)) for act, name in children]
    return SupervisorSpec(name="top", children=children, on_event=lambda event: None)

def run(*children):
    trio.run(spec_of(*children).run)

def run_around_a_block(*children):
    async def main():
        async with open_supervisor(spec_of(*children)):
            await trio.sleep_forever()

    trio.run(main)
"""


@contextmanager
def program(source: str) -> Iterator[subprocess.Popen[str]]:
    """Run a small program; it is gone at the end of the block."""
    pipes: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    command = [sys.executable, "-c", PROLOGUE + source]
    with subprocess.Popen(command, text=True, env={**os.environ, "PYTHONPATH": str(PACKAGE)}, **pipes) as process:
        try:
            yield process
        finally:
            process.kill()


def wait_for(process: subprocess.Popen[str], line: str) -> None:
    """Read what the program says up to this line."""
    assert process.stdout is not None
    while (said := process.stdout.readline()) != f"{line}\n":
        assert said, f"the program ended without saying {line!r}"


def rest_of(process: subprocess.Popen[str], told: str = "") -> tuple[list[str], str, int]:
    """Let the program run to its end: what it still says, what its last error is, and its exit status."""
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdin.write(told)
    process.stdin.close()
    said, errors = process.stdout.read(), process.stderr.read()
    return said.splitlines(), errors.strip().split("\n")[-1], process.wait()


def test_the_exit_status_is_that_of_the_system_exit_of_a_child() -> None:
    """A group around it would have made it 1."""
    with program("run((idle, 'a'), (exit_with_3, 'b'))") as process:
        assert rest_of(process) == (["a up", "a down"], "", 3)


def test_ctrl_c_while_all_are_idle_stops_them_in_order() -> None:
    """Trio throws it into the main task, which waits for the loop."""
    with program("run((idle, 'a'), (idle, 'b'), (idle, 'c'))") as process:
        wait_for(process, "c up")
        process.send_signal(signal.SIGINT)
        assert rest_of(process) == (["c down", "b down", "a down"], "KeyboardInterrupt", -signal.SIGINT)


def test_ctrl_c_while_a_child_computes_stops_the_others_in_order() -> None:
    """It interrupts the child where it is."""
    with program("run((idle, 'a'), (idle, 'b'), (compute, 'c'))") as process:
        wait_for(process, "busy")
        process.send_signal(signal.SIGINT)
        assert rest_of(process) == (["b down", "a down"], "KeyboardInterrupt", -signal.SIGINT)


def test_ctrl_c_pressed_again_during_a_slow_stop_does_not_break_it() -> None:
    """The child finishes its cleanup, the next one is stopped, and one interrupt comes out."""
    with program("run((idle, 'a'), (leave_slowly, 'b'))") as process:
        wait_for(process, "b up")
        process.send_signal(signal.SIGINT)
        wait_for(process, "b down")
        process.send_signal(signal.SIGINT)
        assert rest_of(process, "go on") == (["b gone", "a down"], "KeyboardInterrupt", -signal.SIGINT)


def test_ctrl_c_pressed_again_during_a_slow_stop_around_a_block_does_not_break_it() -> None:
    """The same with open_supervisor."""
    with program("run_around_a_block((idle, 'a'), (leave_slowly, 'b'))") as process:
        wait_for(process, "b up")
        process.send_signal(signal.SIGINT)
        wait_for(process, "b down")
        process.send_signal(signal.SIGINT)
        assert rest_of(process, "go on") == (["b gone", "a down"], "KeyboardInterrupt", -signal.SIGINT)
