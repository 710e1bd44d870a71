"""
The way of an event, measured: publish, route, filter and dedup, deliver to an actor that does nothing, settle.

Events are injected in batches of 256 by four publishers, who wait while more than ``IN_FLIGHT`` obligations are open.
Beside it, in the same run, the log alone: what the same events cost to append and settle.
"""

from __future__ import annotations

import argparse
import gc
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import trio

from orgloop.event import Event
from orgloop.runtime.runtime import Runtime, open_runtime
from orgloop.sdk import Delivered, Delivery, Outcome, Settlement
from orgloop.wal import RealDisk, open_wal

BATCH = 256
PUBLISHERS = 4
IN_FLIGHT = 2048
DONE = Delivered()


class Idle:
    """An actor that has always done its work."""

    async def deliver(self, delivery: Delivery) -> Outcome:
        """Say so."""
        return DONE


class Silent:
    """A source that is never asked."""


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


def batch(number: int, routes: int, sources: int) -> list[Event]:
    """Events for one route each, spread over all of them."""
    first, per_source = number * BATCH, routes // sources
    return [
        Event(
            f"s{place % sources}",
            "resource.changed",
            {"platform": "github", "repo": "o/r", "author": "x"},
            {"action": "opened", "n": place // sources % per_source, "text": "x" * 200},
        )
        for place in range(first, first + BATCH)
    ]


async def through_the_runtime(routes: int, sources: int, events: int) -> float:
    """Events per second, from the first publish to the last settlement on disk."""
    with tempfile.TemporaryDirectory() as home:
        async with open_runtime(home=home) as runtime:
            given = {f"s{number}": Silent() for number in range(sources)}
            await runtime.load_module(organisation(routes, sources), sources=given, actors={"a": Idle()})
            gc.collect()
            gc.freeze()
            began_s = time.perf_counter()
            async with trio.open_nursery() as nursery:
                for publisher in range(PUBLISHERS):
                    nursery.start_soon(publish, runtime, publisher, routes, sources, events)
            await runtime.drain()
            return events / (time.perf_counter() - began_s)


async def publish(runtime: Runtime, publisher: int, routes: int, sources: int, events: int) -> None:
    """One publisher's share."""
    for number in range(publisher, events // BATCH, PUBLISHERS):
        await runtime.inject(batch(number, routes, sources))
        await runtime.wait_until_fewer(IN_FLIGHT)


async def through_the_log(events: int) -> float:
    """Events per second of the log alone."""
    with tempfile.TemporaryDirectory() as home:
        async with open_wal(RealDisk(Path(home))) as wal:
            began_s = time.perf_counter()
            for number in range(events // BATCH):
                sequences = await wal.append(batch(number, 1, 1))
                wal.settle([Settlement(outcome="delivered", sequences=sequences, module="m", route="r0")])
            await wal.flush()
            return events / (time.perf_counter() - began_s)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="Measure the way of an event")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--events", type=int, default=51_200)
    options = parser.parse_args()
    gc.set_threshold(50_000, 20, 20)
    log = statistics.median(trio.run(through_the_log, options.events) for _ in range(options.runs))
    print(f"{'way':<34}{'events/s':>12}{'of the log alone':>20}")
    print(f"{'the log alone':<34}{log:>12,.0f}{1:>20.2f}")
    for routes, sources in ((1, 1), (10_000, 2_000)):
        runs = [trio.run(through_the_runtime, routes, sources, options.events) for _ in range(options.runs)]
        rate = statistics.median(runs)
        print(f"{f'{routes:,} routes, {sources:,} sources':<34}{rate:>12,.0f}{rate / log:>20.2f}")


if __name__ == "__main__":
    main()
