"""Nothing is lost: over random runs, every exception of a child is in an event or in what comes out; no task stays."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from functools import cache, partial
from typing import Any

import attrs
import pytest
import trio

from orgloop_supervisors import (
    Backoff,
    ChildSpec,
    ChildStatus,
    Event,
    Restart,
    Shutdown,
    Strategy,
    Supervisor,
    SupervisorError,
    SupervisorSpec,
    open_supervisor,
)
from tests.supervisors.harness import SEEDS, run_virtual
from tests.supervisors.stage import Act

RUNS = 4 * SEEDS


@attrs.define
class Trouble:
    """A random tree whose children raise numbered errors whenever they can, and what became of these."""

    dice: random.Random
    raised: list[tuple[str, ValueError]] = attrs.field(factory=list)
    """(the phase of a life in which it was raised, the error)"""
    events: list[Event] = attrs.field(factory=list)
    ending: BaseException | None = None
    tasks_left: int = 0

    def error(self, phase: str) -> Exception:
        """Make an error, to be raised at once; now and then a group of two."""
        self.raised.append((phase, ValueError(len(self.raised))))
        if self.dice.random() < 0.2:
            return ExceptionGroup("of a nursery", [self.raised[-1][1], self.error(phase)])
        return self.raised[-1][1]

    def lost(self) -> list[tuple[str, ValueError]]:
        """The errors that are neither in an event nor in what came out."""
        told = [event.error for event in self.events if event.error is not None]
        found = {id(leaf) for error in (*told, self.ending) for leaf in leaves(error)}
        return [(phase, error) for phase, error in self.raised if id(error) not in found]

    # -- what a child does -------------------------------------------------------------------------------------------

    async def start_badly(self, status: ChildStatus[Any] | None) -> None:
        """Raise before being ready."""
        await trio.sleep(self.dice.random())
        raise self.error("start")

    async def start_late(self, status: ChildStatus[Any] | None) -> None:
        """Not be ready in time, and raise when told so."""
        try:
            await trio.sleep(100)
        finally:
            raise self.error("late start")

    async def crash(self, status: ChildStatus[Any] | None) -> None:
        """Raise after a while."""
        await trio.sleep(0.1 + 2 * self.dice.random())
        raise self.error("run")

    async def leave(self, status: ChildStatus[Any] | None) -> None:
        """Return after a while."""
        await trio.sleep(0.1 + 2 * self.dice.random())

    async def resist(self, status: ChildStatus[Any] | None) -> None:
        """Raise when cancelled, after a while."""
        try:
            await trio.sleep(100)
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(self.dice.choice([0, 1]))
            raise self.error("cleanup")

    async def finish_badly(self, status: ChildStatus[Any] | None) -> None:
        """Raise when asked to finish up."""
        assert status is not None
        await status.draining.wait()
        raise self.error("drain")

    async def crash_together(self, status: ChildStatus[Any] | None) -> None:
        """Run a nursery whose tasks take each other along, each with an error."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.crash, None)
            nursery.start_soon(self.resist, None)

    async def live(self, notify: bool, *, task_status: ChildStatus[Any] | None = None) -> None:
        """Play one life."""
        if task_status is None:
            await self.dice.choice([self.crash, self.leave, self.resist, self.crash_together])(None)
            return
        if self.dice.random() < 0.15:
            await self.dice.choice([self.start_badly, self.start_late])(task_status)
        task_status.started()
        acts: list[Act] = [self.crash, self.leave, self.resist, self.crash_together, self.finish_badly]
        await self.dice.choice(acts)(task_status)

    # -- the tree ----------------------------------------------------------------------------------------------------

    def child(self, name: str) -> ChildSpec[Any]:
        """Make a child that will be trouble."""
        notify = self.dice.random() < 0.6
        return ChildSpec(
            id=name,
            run=self.live,
            args=(notify,),
            notify=notify,
            restart=self.dice.choice(list(Restart)),
            start_timeout=2,
            watchdog=self.dice.choice([3, math.inf]),
            shutdown=Shutdown(drain=self.dice.choice([0, 1])),
            backoff=Backoff(initial=self.dice.choice([0, 0.5]), maximum=0.5),
        )

    def tree(self, name: str, *, depth: int) -> SupervisorSpec:
        """Make a supervisor of up to four children, some of them supervisors."""
        children = [
            self.tree(f"{name}{number}", depth=depth - 1).as_child(restart=self.dice.choice(list(Restart)))
            if depth and self.dice.random() < 0.3
            else self.child(f"{name}{number}")
            for number in range(self.dice.randint(1, 4))
        ]
        ordered = self.dice.random() < 0.7
        return SupervisorSpec(
            name=name,
            children=children,
            strategy=self.dice.choice(list(Strategy) if ordered else [Strategy.ONE_FOR_ONE, Strategy.ONE_FOR_ALL]),
            intensity=self.dice.choice([0, 1, 3, 10, math.inf]),
            ordered=ordered,
            on_event=self.events.append,
        )

    # -- the run -----------------------------------------------------------------------------------------------------

    async def play(self) -> None:
        """Run the tree, with some calls, to one of its ends."""
        before = trio.lowlevel.current_statistics().tasks_living
        try:
            with trio.move_on_after(self.dice.choice([2, 4, 8, math.inf])):
                async with open_supervisor(self.tree("t", depth=2)) as supervisor:
                    await self.call(supervisor)
                    if self.dice.random() < 0.3:
                        raise self.error("body")
        except Exception as error:
            self.ending = error
        self.tasks_left = trio.lowlevel.current_statistics().tasks_living - before

    async def call(self, supervisor: Supervisor) -> None:
        """Ask this and that of the root."""
        for number in range(self.dice.randint(0, 8)):
            await trio.sleep(self.dice.random())
            child = f"t{self.dice.randint(0, 4)}"
            asks: list[Callable[[], Awaitable[object]]] = [
                partial(supervisor.terminate_child, child),
                partial(supervisor.restart_child, child),
                partial(supervisor.delete_child, child),
                partial(supervisor.start_child, self.child(f"new{number}")),
            ]
            with suppress(SupervisorError):
                await self.dice.choice(asks)()


def leaves(error: BaseException | None) -> Iterator[BaseException]:
    """The errors of which this one tells: those in a group, and the causes."""
    if error is None:
        return
    yield error
    yield from leaves(error.__cause__)
    if isinstance(error, BaseExceptionGroup):
        for member in error.exceptions:
            yield from leaves(member)


@cache
def played(number: int) -> Trouble:
    """Play the random run of that number, under a schedule of its own."""
    trouble = Trouble(random.Random(number))
    run_virtual(trouble.play, seed=number)
    return trouble


@pytest.mark.parametrize("number", range(RUNS))
def test_every_error_of_a_child_is_in_an_event_or_comes_out(number: int) -> None:
    """Whatever the phase in which it was raised."""
    assert played(number).lost() == []


@pytest.mark.parametrize("number", range(RUNS))
def test_no_task_outlives_its_supervisor(number: int) -> None:
    """However the run ended."""
    assert played(number).tasks_left == 0


def test_the_runs_raise_in_every_phase_and_end_in_every_way() -> None:
    """Or the two facts above would say little."""
    runs = [played(number) for number in range(RUNS)]
    phases = Counter(phase for trouble in runs for phase, _ in trouble.raised)
    endings = Counter(type(trouble.ending).__name__ for trouble in runs)

    assert min(phases[phase] for phase in ("start", "late start", "run", "cleanup", "drain", "body")) > 10
    assert set(endings) == {"NoneType", "StartError", "RestartIntensityExceeded", "ValueError", "ExceptionGroup"}
