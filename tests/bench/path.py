"""
The way of an event, measured: publish, route, filter and dedup, deliver to an actor that does nothing, settle.

Throughput: events that have been made before are injected in batches of 256 by four publishers, who wait while more
than ``IN_FLIGHT`` obligations are open; from the first publish to the last settlement on disk. Latency: events are made
and injected at their times, whatever has become of those before (open loop), from the time at which an event was due
until its actor has it; what was due by the time the publisher looks again goes in one batch.

Beside it, in the same run, the log alone: the same events, appended and settled in batches of 256, one after the other.
Runs take turns, so that a neighbour who comes and goes slows all of them down alike. CPU is that of the whole process,
and says what a core could carry when others have a share in it.
"""

from __future__ import annotations

import argparse
import gc
import statistics
import tempfile
import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import attrs
import trio

from orgloop.event import Event
from orgloop.runtime.runtime import Runtime, open_runtime
from orgloop.sdk import Actor, Delivered, Delivery, Outcome, Received, Request, Settlement
from orgloop.wal import RealDisk, open_wal

BATCH = 256
PUBLISHERS = 4
IN_FLIGHT = 2048
RATE_PER_S = 5_000
LOOK_AGAIN_S = 0.0005
DONE = Delivered()


class Idle:
    """An actor that has always done its work."""

    async def deliver(self, delivery: Delivery) -> Outcome:
        """Say so."""
        return DONE


class Silent:
    """A source that waits to be told something, and never is."""

    async def receive(self, request: Request) -> Received:
        """Find nothing in it."""
        return Received()


def organisation(routes: int, sources: int) -> dict[str, Any]:
    """One module; each route wants one of its source's numbers."""
    return {
        "metadata": {"name": "m"},
        "sources": [{"id": f"s{number}", "connector": "given"} for number in range(sources)],
        "actors": [{"id": "a", "connector": "given"}],
        "transforms": [
            {"name": "opened", "type": "filter", "config": {"match": {"payload.action": "opened"}}},
            {"name": "once", "type": "dedup", "config": {"key": ["id"], "window": "5m"}},
        ],
        "routes": [
            {
                "name": f"r{number}",
                "when": {
                    "source": f"s{number % sources}",
                    "events": ["resource.changed"],
                    "filter": {"payload.n": number // sources},
                },
                "transforms": ["opened", "once"],
                "then": {"actor": "a", "delivery": {"overflow": "block"}},
            }
            for number in range(routes)
        ],
    }


def event(place: int, routes: int, sources: int, *, due_s: float = 0.0) -> Event:
    """An event for one route; those in a row are for all routes in turn."""
    return Event(
        f"s{place % sources}",
        "resource.changed",
        {"platform": "github", "repo": "o/r", "author": "x"},
        {"action": "opened", "n": place // sources % (routes // sources), "text": "x" * 200, "due_s": due_s},
    )


def batch(number: int, routes: int, sources: int) -> list[Event]:
    """Events for one route each, spread over all of them."""
    return [event(place, routes, sources) for place in range(number * BATCH, (number + 1) * BATCH)]


@attrs.frozen
class Run:
    """What one run has shown."""

    events_per_s: float
    cpu_us: float
    """Per event."""


@contextmanager
def measured(events: int, runs: list[Run]) -> Iterator[None]:
    """Add to ``runs`` what the block has shown; what was there before is none of the garbage collector's business."""
    gc.collect()
    gc.freeze()
    wall_s, cpu_s = time.perf_counter(), time.process_time()
    yield
    wall_s, cpu_s = time.perf_counter() - wall_s, time.process_time() - cpu_s
    runs.append(Run(events / wall_s, cpu_s / events * 1e6))
    gc.unfreeze()


@asynccontextmanager
async def organised(routes: int, sources: int, actor: Actor) -> AsyncGenerator[Runtime]:
    """A runtime at work, its log in a new directory."""
    with tempfile.TemporaryDirectory() as home:
        async with open_runtime(home=home) as runtime:
            given = {f"s{number}": Silent() for number in range(sources)}
            await runtime.load_module(organisation(routes, sources), sources=given, actors={"a": actor})
            yield runtime


async def through_the_runtime(routes: int, sources: int, batches: int, runs: list[Run]) -> None:
    """Measure the whole way."""
    made = [batch(number, routes, sources) for number in range(batches)]
    async with organised(routes, sources, Idle()) as runtime:
        with measured(batches * BATCH, runs):
            async with trio.open_nursery() as nursery:
                for publisher in range(PUBLISHERS):
                    nursery.start_soon(publish, runtime, made[publisher::PUBLISHERS])
            await runtime.drain()


async def publish(runtime: Runtime, made: list[list[Event]]) -> None:
    """One publisher's share."""
    for events in made:
        await runtime.inject(events)
        await runtime.wait_until_fewer(IN_FLIGHT)


async def through_the_log(batches: int, runs: list[Run]) -> None:
    """Measure the log alone."""
    made = [batch(number, 1, 1) for number in range(batches)]
    with tempfile.TemporaryDirectory() as home:
        async with open_wal(RealDisk(Path(home))) as wal:
            with measured(batches * BATCH, runs):
                for events in made:
                    sequences = await wal.append(events)
                    wal.settle([Settlement(outcome="delivered", sequences=sequences, module="m", route="r0")])
                await wal.flush()


@attrs.define
class Clock:
    """An actor that notes how late each event is; its ``due_s`` is in the payload."""

    late_s: list[float] = attrs.field(factory=list)

    async def deliver(self, delivery: Delivery) -> Outcome:
        """Look at the clock."""
        self.late_s.append(time.perf_counter() - delivery.event.payload["due_s"])
        return DONE


async def on_time(events_per_s: int, seconds: float) -> list[float]:
    """Publish at a rate; how late each event was, in order."""
    clock = Clock()
    async with organised(10_000, 2_000, clock) as runtime, trio.open_nursery() as nursery:
        gc.collect()
        gc.freeze()
        began_s, published, count = time.perf_counter(), 0, int(events_per_s * seconds)
        while published < count:
            due = min(count, int((time.perf_counter() - began_s) * events_per_s))
            events = [
                event(place, 10_000, 2_000, due_s=began_s + place / events_per_s) for place in range(published, due)
            ]
            if events:
                nursery.start_soon(runtime.inject, events)
            published = max(published, due)
            await trio.sleep(LOOK_AGAIN_S)
    gc.unfreeze()
    return sorted(clock.late_s)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="Measure the way of an event")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--events", type=int, default=51_200)
    parser.add_argument("--seconds", type=float, default=5.0, help="how long latency is measured")
    options = parser.parse_args()
    gc.set_threshold(50_000, 20, 20)
    log, one, many = list[Run](), list[Run](), list[Run]()
    for _ in range(options.runs):
        trio.run(through_the_log, options.events // BATCH, log)
        trio.run(through_the_runtime, 1, 1, options.events // BATCH, one)
        trio.run(through_the_runtime, 10_000, 2_000, options.events // BATCH, many)
    print(f"{'way':<34}{'events/s':>12}{'CPU us/event':>14}{'of the log':>12}{'of 1 route':>12}")
    for name, runs in (("the log alone", log), ("1 route, 1 source", one), ("10,000 routes, 2,000 sources", many)):
        rate, cpu_us = median(runs, "events_per_s"), median(runs, "cpu_us")
        of_log, of_one = rate / median(log, "events_per_s"), rate / median(one, "events_per_s")
        print(f"{name:<34}{rate:>12,.0f}{cpu_us:>14.1f}{of_log:>12.2f}{of_one:>12.2f}")
    late_s = trio.run(on_time, RATE_PER_S, options.seconds)
    p50_ms, p99_ms, most_ms = (late_s[int(share * (len(late_s) - 1))] * 1000 for share in (0.5, 0.99, 1))
    print(f"latency at {RATE_PER_S:,}/s: p50 {p50_ms:.2f} ms, p99 {p99_ms:.2f} ms, most {most_ms:.2f} ms")


def median(runs: list[Run], field: str) -> float:
    """The median of one figure."""
    return float(statistics.median(getattr(run, field) for run in runs))


if __name__ == "__main__":
    main()
