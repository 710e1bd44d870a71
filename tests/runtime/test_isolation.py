"""A module that crashes in every way in which an exception can: no other module notices, and everybody can see it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio
from trio.testing import MockClock

from orgloop.runtime.runtime import Runtime, open_runtime
from orgloop.sdk import Delivered, Delivery, Outcome, Polled
from orgloop.testing import FakeActor, FakePolledSource, event
from tests.runtime.crash.ways import WAYS, Way

ROOT = Path(__file__).parents[2]
CHANGE = {"source": "source", "type": "resource.changed"}
MOVES_S = 0.1
"""How much a hostile module may move the latency of another."""

OFTEN = {"max_attempts": 1000, "initial_delay": "1ms", "max_delay": "1ms"}


def config(name: str, *, intensity: int = 10, poll: str = "1s") -> dict[str, Any]:
    """A module with one source, one actor and the route between them."""
    when = {"source": "source", "events": ["resource.changed"]}
    delivery = {"retry": OFTEN, "circuit_breaker": {"failure_threshold": 1000}}
    restarts = {"backoff": {"initial": "1ms", "maximum": "1ms"}}
    return {
        "metadata": {"name": name},
        "sources": [{"id": "source", "connector": "given", "poll": {"interval": poll}, "supervision": restarts}],
        "actors": [{"id": "actor", "connector": "given", "supervision": restarts}],
        "routes": [{"name": "r", "when": when, "then": {"actor": "actor", "delivery": delivery}}],
        "supervision": {"intensity": intensity, "period": "100h"},
    }


class Steady:
    """An actor that knows when it was reached, by the clock of Trio."""

    def __init__(self) -> None:
        self.latencies_s: list[float] = []

    async def deliver(self, delivery: Delivery) -> Outcome:
        self.latencies_s.append(trio.current_time() - delivery.event.payload)
        return Delivered()


@attrs.define
class Hostile:
    """A source, an actor, or both, that misbehaves in one of its places for so many times."""

    way: Way
    place: str
    times: float = 2
    worked: int = 0

    async def __aenter__(self) -> None:
        # The first time is part of loading, which is refused: see test_runtime.py.
        if self.worked:
            await self._misbehave("enter")

    async def __aexit__(self, *_: object) -> None:
        await self._misbehave("leave")

    async def deliver(self, delivery: Delivery) -> Outcome:
        await self._work()
        return Delivered()

    async def poll(self, checkpoint: str | None) -> Polled:
        await self._work()
        return Polled([event("found", source="source")], str(self.worked))

    async def _work(self) -> None:
        self.worked += 1
        if self.place != "work" and self.worked == 1:
            raise OSError("so that it is left, and entered again")
        await self._misbehave("work")

    async def _misbehave(self, place: str) -> None:
        if self.place == place and self.times > 0:
            self.times -= 1
            await self.way()


@asynccontextmanager
async def beside(hostile: Hostile, kind: str, **changes: Any) -> AsyncGenerator[tuple[Runtime, Steady]]:
    """A runtime with a steady module and a hostile one, which has an event to deliver if it is its actor that is."""
    steady = Steady()
    async with open_runtime() as runtime:
        await runtime.load_module(config("steady"), sources={"source": FakePolledSource()}, actors={"actor": steady})
        given: dict[str, Any] = {"source": FakePolledSource(), "actor": FakeActor()}
        given[kind] = hostile
        sources, actors = {"source": given["source"]}, {"actor": given["actor"]}
        await runtime.load_module(config("hostile", **changes), sources=sources, actors=actors)
        if kind == "actor":
            await runtime.inject(CHANGE, module="hostile")
        yield runtime, steady


async def keep_going(runtime: Runtime, *, events: int, every_s: float = 1.0) -> None:
    """Send the steady module an event from time to time."""
    for _ in range(events):
        await runtime.inject({**CHANGE, "payload": trio.current_time()}, module="steady")
        await trio.sleep(every_s)


def states(runtime: Runtime) -> dict[str, str]:
    """The states of all modules."""
    return {module.name: module.state for module in runtime.modules()}


# What only Trio can tell apart inside a nursery of ours does not come to the wall as it was.
SPEECHLESS = {("actor", "work", "speechless")}
CASES = [
    pytest.param(kind, place, way, id=f"{kind}-{place}-{way}")
    for kind in ("actor", "source")
    for place in ("work", "enter", "leave")
    for way in WAYS
    if (kind, place, way) not in SPEECHLESS
]


@pytest.mark.parametrize(("kind", "place", "way"), CASES)
async def test_a_crash_of_any_kind_in_any_place_disturbs_nobody(
    kind: str, place: str, way: str, autojump_clock: MockClock
) -> None:
    """The other module gets all of its events at once, and the hostile one works as soon as it can."""
    hostile = Hostile(WAYS[way], place)
    async with beside(hostile, kind) as (runtime, steady):
        await keep_going(runtime, events=10)
        hostile.times = 0
        worked = hostile.worked
        await trio.sleep(60)
        assert states(runtime) == {"steady": "active", "hostile": "active"}
        (counts,) = runtime.modules()[1].routes.values()

    assert len(steady.latencies_s) == 10
    assert max(steady.latencies_s) <= MOVES_S
    assert counts.delivered >= 1
    assert counts.in_flight == 0
    assert worked >= (3 if place == "work" else 2)


HOPELESS = ["plain", "nested", "exit", "nested-exit", "stray", "asyncio", "nursery"]


@pytest.mark.parametrize("way", HOPELESS)
async def test_a_module_that_crashes_again_and_again_is_failed_and_keeps_what_it_is_owed(
    way: str, autojump_clock: MockClock
) -> None:
    """Listed as failed, with its obligation, and the other module goes on."""
    hostile = Hostile(WAYS[way], "work", times=10**9)
    async with beside(hostile, "actor", intensity=0) as (runtime, steady):
        await keep_going(runtime, events=10, every_s=0.05)
        assert states(runtime) == {"steady": "active", "hostile": "failed"}
        (counts,) = runtime.modules()[1].routes.values()

    assert (counts.admitted, counts.in_flight) == (1, 1)
    assert len(steady.latencies_s) == 10
    assert max(steady.latencies_s) <= MOVES_S


async def test_the_tree_shows_a_failed_module_and_why(autojump_clock: MockClock) -> None:
    """That it waits to be tried again, and that it gave up."""
    hostile = Hostile(WAYS["plain"], "work", times=10**9)
    async with beside(hostile, "actor", intensity=0) as (runtime, _):
        await trio.sleep(0.5)
        tree = runtime.tree()

    (line,) = [line for line in tree.splitlines() if "─ hostile" in line]
    assert "restarting" in line
    assert "gave up" in line
    (line,) = [line for line in tree.splitlines() if "─ steady" in line]
    assert "running" in line
    assert "error" not in line


async def test_a_failed_module_is_listed_with_the_error_that_made_it_fail(autojump_clock: MockClock) -> None:
    """Who looks at the modules need not have listened to the notices before."""
    hostile = Hostile(WAYS["plain"], "work", times=10**9)
    async with beside(hostile, "actor", intensity=0) as (runtime, _):
        await trio.sleep(0.5)
        (cause,) = [module.cause for module in runtime.modules() if module.state == "failed"]

    assert cause is not None
    assert "OSError('plain')" in cause


async def test_a_restarted_child_is_seen_in_the_tree(autojump_clock: MockClock) -> None:
    """Which life it is in, and how the one before ended."""
    async with beside(Hostile(WAYS["exit"], "work", times=2), "source") as (runtime, _):
        await trio.sleep(20)
        tree = runtime.tree()

    (line,) = [line for line in tree.splitlines() if "2 restarts" in line]
    assert "incarnation 3" in line
    assert "SystemExit(3)" in line


SPEECHLESS_ACTOR = """
import trio
from tests.runtime.crash.ways import WAYS
from tests.runtime.test_isolation import Hostile, beside, keep_going

async def main():
    errors = []
    async with beside(Hostile(WAYS["speechless"], "work"), "actor") as (runtime, steady):
        runtime.on("system.error", errors.append)
        await keep_going(runtime, events=3, every_s=0.2)
    assert len(steady.latencies_s) == 3
    assert any("PluginError" in notice.error for notice in errors), errors

trio.run(main)
"""


@pytest.mark.slow
def test_an_actor_whose_exception_cannot_say_what_it_is_disturbs_nobody() -> None:
    """Not even the process, so it is a process of its own that tries."""
    command = [sys.executable, "-c", SPEECHLESS_ACTOR]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)

    assert ended.returncode == 0, ended.stderr


# -- in real time ------------------------------------------------------------------------------------------------------


def p99(values: list[float]) -> float:
    """What one in a hundred exceeds."""
    return sorted(values)[int(len(values) * 0.99)]


async def latency_s(hostile: Hostile, kind: str) -> float:
    """The p99 of the steady module over a second."""
    async with beside(hostile, kind, intensity=4000, poll="10ms") as (runtime, steady):
        await keep_going(runtime, events=300, every_s=0.003)
        with trio.fail_after(5):
            while len(steady.latencies_s) < 300:  # noqa: ASYNC110 - the last one is on its way
                await trio.sleep(0.01)
    return p99(steady.latencies_s)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["actor", "source"])
@pytest.mark.parametrize("way", ["plain", "nested-exit", "stray"])
async def test_in_real_time_a_module_that_crashes_all_the_time_moves_nobody(way: str, kind: str) -> None:
    """The p99 of the delivery latency of the other, with it and without."""
    alone_s = await latency_s(Hostile(WAYS["plain"], "nowhere", worked=1), kind)
    beside_s = await latency_s(Hostile(WAYS[way], "work", times=10**9), kind)

    print(f"p99 alone {alone_s * 1000:.2f} ms, beside {beside_s * 1000:.2f} ms")
    assert beside_s - alone_s <= MOVES_S
