"""Memory: what has ended is let go, however often; real time, because what leaks is what really runs."""

from __future__ import annotations

import gc
import math
import weakref
from collections.abc import Awaitable, Callable

import attrs
import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from orgloop_supervisors import (
    Backoff,
    ChildSpec,
    ChildStatus,
    Event,
    Restart,
    StartError,
    Strategy,
    Supervisor,
    SupervisorSpec,
    open_supervisor,
)
from tests.supervisors.memory import rss_bytes, tracked_objects

WARM_UP = 10_000
ALLOWED_BYTES = 1024 * 1024
"""Noise of the allocator; the smallest object, leaked once in each of 90,000 restarts, is more."""
ALLOWED_OBJECTS = 50


@attrs.define
class Growth:
    """What the memory was when a run was warm, and by how much it grew until the end."""

    warm_bytes: int
    warm_objects: int
    bytes: int = 0
    objects: int = 0

    def over(self, rounds: int) -> str:
        """Say the figures."""
        return (
            f"after {WARM_UP:,} rounds {self.warm_bytes / 2**20:.2f} MiB and {self.warm_objects:,} objects; "
            f"{rounds - WARM_UP:,} rounds later {self.bytes / 1024:+,.0f} KiB and {self.objects:+,} objects"
        )


def silent(children: list[ChildSpec[None]], strategy: Strategy = Strategy.ONE_FOR_ONE) -> SupervisorSpec:
    """A supervisor that never gives up and tells nobody."""
    return SupervisorSpec(
        name="top", children=children, strategy=strategy, intensity=math.inf, on_event=lambda event: None
    )


async def crashes(rounds: int, bystanders: int, strategy: Strategy) -> Growth:
    """Let one child, among others that idle, crash so many times."""
    lives, done, growth = 0, trio.Event(), Growth(0, 0)

    async def crash() -> None:
        nonlocal lives, growth
        lives += 1
        await trio.lowlevel.checkpoint()
        if lives == WARM_UP:
            growth = Growth(rss_bytes(), tracked_objects())
        if lives == rounds:
            growth.bytes, growth.objects = rss_bytes() - growth.warm_bytes, tracked_objects() - growth.warm_objects
            done.set()
            await trio.sleep_forever()
        raise OSError("crash")

    children: list[ChildSpec[None]] = [ChildSpec(id="crasher", run=crash)]
    children += [ChildSpec(id=f"idle-{number}", run=trio.sleep_forever) for number in range(bystanders)]
    async with open_supervisor(silent(children, strategy)):
        await done.wait()
    return growth


async def cycles(rounds: int, watchdog: float) -> Growth:
    """Start, terminate and delete a child so many times."""
    growth = Growth(0, 0)
    async with open_supervisor(silent([])) as supervisor:
        for number in range(rounds):
            if number == WARM_UP:
                growth = Growth(rss_bytes(), tracked_objects())
            await supervisor.start_child(ChildSpec(id="guest", run=trio.sleep_forever, watchdog=watchdog))
            await supervisor.terminate_child("guest")
            await supervisor.delete_child("guest")
        growth.bytes, growth.objects = rss_bytes() - growth.warm_bytes, tracked_objects() - growth.warm_objects
    return growth


def assert_flat(growth: Growth, rounds: int) -> None:
    """Judge a run, and say its figures either way (``pytest -rP`` shows them)."""
    print(growth.over(rounds))
    assert growth.bytes < ALLOWED_BYTES, growth.over(rounds)
    assert growth.objects < ALLOWED_OBJECTS, growth.over(rounds)


@pytest.mark.slow
def test_memory_stays_flat_over_100_000_restarts() -> None:
    """A child that crashes all day costs nothing but time."""
    assert_flat(trio.run(crashes, 100_000, 0, Strategy.ONE_FOR_ONE), 100_000)


@pytest.mark.slow
def test_memory_stays_flat_over_20_000_group_restarts() -> None:
    """Nor do the two others that one_for_all stops and starts with it."""
    assert_flat(trio.run(crashes, 20_000, 2, Strategy.ONE_FOR_ALL), 20_000)


@pytest.mark.slow
def test_memory_stays_flat_over_20_000_children_that_come_and_go() -> None:
    """A supervisor that hosts short-lived children for a year does not grow."""
    assert_flat(trio.run(cycles, 20_000, math.inf), 20_000)


@pytest.mark.slow
def test_memory_stays_flat_over_20_000_watched_children_that_come_and_go() -> None:
    """Also if each had a watchdog that would have looked at it in an hour."""
    assert_flat(trio.run(cycles, 20_000, 3600.0), 20_000)


class Trace:
    """Something that a life has and nobody else; a weak reference to it tells whether that life is remembered."""


class Crash(Exception):
    """An error that can be referred to weakly."""


@attrs.define
class Guest:
    """A child of which everything can be traced: its spec, its function, its locals, its value, its error."""

    traces: list[weakref.ref[object]] = attrs.field(factory=list)

    def trace(self, thing: object) -> None:
        """Remember something weakly."""
        self.traces.append(weakref.ref(thing))

    def spec(self, *, crashes: bool = False, ready: bool = True, **spec: object) -> ChildSpec[Trace]:
        """Make the recipe of the child; nobody but its supervisor keeps it."""

        async def visit(*, task_status: ChildStatus[Trace]) -> None:
            luggage, gift = Trace(), Trace()
            self.trace(luggage)
            self.trace(gift)
            if ready:
                task_status.started(gift)
            if crashes:
                error = Crash(luggage)
                self.trace(error)
                try:
                    raise error
                finally:
                    del error
            await trio.sleep_forever()

        made: ChildSpec[Trace] = ChildSpec(id="guest", run=visit, notify=True, **spec)  # type: ignore[arg-type]
        self.trace(visit)
        self.trace(made)
        return made

    def remembered(self) -> list[object]:
        """What of it is still there."""
        gc.collect()
        return [thing for trace in self.traces if (thing := trace()) is not None]


Visit = Callable[[Supervisor, Guest], Awaitable[None]]


async def stay_and_be_deleted(supervisor: Supervisor, guest: Guest) -> None:
    """Run, be terminated, be deleted."""
    await supervisor.start_child(guest.spec())
    await supervisor.terminate_child("guest")
    await supervisor.delete_child("guest")


async def crash_and_be_deleted(supervisor: Supervisor, guest: Guest) -> None:
    """Crash, wait for a restart in an hour, be terminated, be deleted."""
    await supervisor.start_child(guest.spec(crashes=True, backoff=Backoff(initial=3600, maximum=3600)))
    await wait_all_tasks_blocked()
    await supervisor.terminate_child("guest")
    await supervisor.delete_child("guest")


async def be_watched_and_deleted(supervisor: Supervisor, guest: Guest) -> None:
    """Run with a watchdog that would strike in an hour, be terminated, be deleted."""
    await supervisor.start_child(guest.spec(watchdog=3600))
    await supervisor.terminate_child("guest")
    await supervisor.delete_child("guest")


async def crash_and_be_forgotten(supervisor: Supervisor, guest: Guest) -> None:
    """Crash for good."""
    await supervisor.start_child(guest.spec(crashes=True, restart=Restart.TEMPORARY))
    await wait_all_tasks_blocked()


async def fail_to_start(supervisor: Supervisor, guest: Guest) -> None:
    """Crash before being ready."""
    with pytest.raises(StartError):
        await supervisor.start_child(guest.spec(crashes=True, ready=False))


@pytest.mark.parametrize(
    "visit",
    [stay_and_be_deleted, crash_and_be_deleted, be_watched_and_deleted, crash_and_be_forgotten, fail_to_start],
)
def test_a_supervisor_keeps_nothing_of_a_child_that_is_gone(visit: Visit) -> None:
    """Neither its spec nor its function, nor what its life held, gave or raised."""

    async def story() -> None:
        guest = Guest()
        async with open_supervisor(silent([])) as supervisor:
            await visit(supervisor, guest)
            await wait_all_tasks_blocked()
            assert guest.remembered() == []
        assert len(guest.traces) >= 4

    trio.run(story)


def test_a_life_that_crashed_leaves_only_its_error() -> None:
    """A supervisor that never gives up keeps the last error of a child for people to see, and nothing older."""

    async def story() -> None:
        errors: list[weakref.ref[BaseException]] = []
        lives = 0

        def note(event: Event) -> None:
            if event.error is not None:
                errors.append(weakref.ref(event.error))

        async def crash() -> None:
            nonlocal lives
            lives += 1
            if lives == 4:
                await trio.sleep_forever()
            raise Crash(lives)

        spec = SupervisorSpec(name="top", children=[ChildSpec(id="a", run=crash)], intensity=math.inf, on_event=note)
        async with open_supervisor(spec) as supervisor:
            await wait_all_tasks_blocked()
            gc.collect()
            (child,) = supervisor.which_children()
            assert [error() for error in errors] == [None, None, child.last_error]

    trio.run(story)
