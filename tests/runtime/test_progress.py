"""Whether a runtime gets on, as seen by whoever would kill it if it does not."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import trio
from trio.testing import MockClock

from orgloop.bus import MemoryBus
from orgloop.delivery.settler import Settler
from orgloop.errors import WalFailed
from orgloop.runtime.notices import Notices
from orgloop.runtime.progress import LATE_S, Loop, Progress
from orgloop.runtime.router import Router
from orgloop.runtime.runtime import Runtime, open_runtime
from orgloop.runtime.scheduler import Scheduler
from orgloop.runtime.services import MemoryGraveyard, Services
from orgloop.sdk import Admitted
from orgloop.testing import FakeActor, FakePolledSource
from tests.runtime.test_runtime import CHANGE, config


class DeafBus(MemoryBus):
    """A bus that takes everything, and from which nothing comes, or only a fault."""

    def __init__(self, fault: Exception | None = None) -> None:
        super().__init__()
        self.fault = fault

    async def receive(self) -> list[Admitted]:
        if self.fault is not None:
            raise self.fault
        await trio.sleep_forever()
        raise AssertionError("forever is over")


@asynccontextmanager
async def at_work(*, bus: MemoryBus | None = None, takes_s: float = 0.0) -> AsyncGenerator[Runtime]:
    """A runtime with one event for an actor that takes its time."""
    actor = FakeActor(takes_s)
    async with open_runtime(bus=bus) as runtime:
        await runtime.load_module(config(), sources={"github": FakePolledSource()}, actors={"agent": actor})
        await runtime.inject(CHANGE)
        yield runtime


async def looks(runtime: Runtime) -> list[bool]:
    """What is said of it, every five seconds of a minute."""
    said = []
    for _ in range(12):
        await trio.sleep(5.0)
        said.append(runtime.is_progressing())
    return said


def test_a_loop_is_stuck_if_it_had_work_and_did_not_turn() -> None:
    """Work that has come since the last look is not held against it."""
    loop = Loop()

    assert loop.gets_on(1, has_work=False)
    assert loop.gets_on(1, has_work=True)
    assert loop.gets_on(2, has_work=True)
    assert not loop.gets_on(2, has_work=True)
    assert loop.gets_on(2, has_work=False)


async def test_a_runtime_gets_on_while_its_actor_takes_its_time(autojump_clock: MockClock) -> None:
    """Who waits for others is not stuck, and who is idle neither."""
    async with at_work(takes_s=20.0) as runtime:
        assert await looks(runtime) == [True] * 12


async def test_a_router_that_hangs_is_seen(autojump_clock: MockClock) -> None:
    """What was published is not received, look after look."""
    async with at_work(bus=DeafBus()) as runtime:
        assert await looks(runtime) == [True] + [False] * 11


async def test_a_disk_that_fails_is_no_reason_to_be_killed(autojump_clock: MockClock) -> None:
    """The router asks again by itself, and says so; a restart would find the same disk."""
    async with at_work(bus=DeafBus(WalFailed("no such luck"))) as runtime:
        assert await looks(runtime) == [True] * 12


async def test_a_scheduler_that_hangs_is_seen(autojump_clock: MockClock) -> None:
    """A source is due, and nobody gives it its turn."""
    scheduler = Scheduler(chance=lambda: 0.5)  # which nobody runs
    bus = MemoryBus()
    notices = Notices(trio.current_time)
    settler = Settler(lambda settlements, notes: bus.settle(settlements, notes=notes))
    services = Services(bus, settler, notices, MemoryGraveyard(), trio.current_time)
    progress = Progress(services, Router(bus, settler, notices, lambda *_: None), scheduler)

    async def wait() -> None:
        async with scheduler.register("m/github", 1.0).turn():
            pass

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait)
        await trio.testing.wait_all_tasks_blocked()
        before = progress.look()
        await trio.sleep(1.1 + LATE_S)
        after = progress.look()
        nursery.cancel_scope.cancel("seen enough")

    assert (before, after) == (True, False)
