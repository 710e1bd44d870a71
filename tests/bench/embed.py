"""
What embedding costs: the same program on Trio and on asyncio, where Trio is a guest, and one call across.

``python -m tests.bench.embed``. Four publishers inject batches of 256; the actor does nothing. A call across is an
``await`` on asyncio of a function of Trio that returns at once; the way back is that of an actor written for asyncio.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Literal

import anyio
import trio

from orgloop.embed import OrgLoop, on_host
from orgloop.embed._guest import open_bridge
from orgloop.embed._host import on_loop
from orgloop.event import Event
from orgloop.sdk import Delivered, Delivery, Outcome, Polled

BATCH, PUBLISHERS = 256, 4
CALLS = 2_000
DONE = Delivered()


class Idle:
    """An actor that has always done its work."""

    async def deliver(self, delivery: Delivery) -> Outcome:
        """Say so."""
        return DONE


class Silent:
    """A source that never finds anything."""

    async def poll(self, checkpoint: str | None) -> Polled:
        """Nothing."""
        return Polled()


ORGANISATION: dict[str, Any] = {
    "sources": [{"id": "s", "connector": "given"}],
    "actors": [{"id": "a", "connector": "given"}],
    "routes": [
        {
            "name": "r",
            "when": {"source": "s", "events": ["resource.changed"]},
            "then": {"actor": "a", "delivery": {"overflow": "block"}},
        }
    ],
}


async def events_per_s(
    bus: Literal["memory", "file"], events: int, *, listening: bool = False, hosted: bool = False
) -> float:
    """From the first inject to the end of the last obligation."""
    actor = on_host(Idle()) if hosted else Idle()
    with tempfile.TemporaryDirectory() as home:
        loop = OrgLoop(ORGANISATION, sources={"s": Silent()}, actors={"a": actor}, bus=bus, home=home)
        if listening:
            loop.on("delivery", lambda _: None)
        async with loop:
            gc.collect()
            gc.freeze()
            began_s = time.perf_counter()
            async with anyio.create_task_group() as group:
                for _ in range(PUBLISHERS):
                    group.start_soon(publish, loop, events // BATCH // PUBLISHERS)
            assert await loop.drain(timeout_s=60)
            return events / (time.perf_counter() - began_s)


async def publish(loop: OrgLoop, batches: int) -> None:
    """One publisher's share."""
    for _ in range(batches):
        await loop.inject(
            [Event("s", "resource.changed", {"platform": "x"}, {"text": "x" * 200}) for _ in range(BATCH)]
        )


async def across_us() -> float:
    """Microseconds of one call from asyncio into Trio and back."""
    async with open_bridge() as bridge:
        return await _each_us(lambda: bridge.run(trio.lowlevel.checkpoint))


async def back_us() -> float:
    """Microseconds of one call from Trio to asyncio and back."""
    async with open_bridge() as bridge:
        return await bridge.run(_each_us, lambda: on_loop(asyncio.sleep, 0))


async def _each_us(call: Callable[[], Awaitable[object]]) -> float:
    began_s = time.perf_counter()
    for _ in range(CALLS):
        await call()
    return (time.perf_counter() - began_s) / CALLS * 1e6


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description="Measure what embedding costs")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--events", type=int, default=51_200)
    options = parser.parse_args()
    gc.set_threshold(50_000, 20, 20)
    print(f"{'events/s':<34}{'Trio':>12}{'asyncio':>12}{'ratio':>8}")
    for name, program in (
        ("in memory", partial(events_per_s, "memory", options.events)),
        ("in memory, told of deliveries", partial(events_per_s, "memory", options.events, listening=True)),
        ("durable", partial(events_per_s, "file", options.events)),
    ):
        on = {"trio": list[float](), "asyncio": list[float]()}
        for _ in range(options.runs):
            for backend, rates in on.items():
                rates.append(anyio.run(program, backend=backend))
        one, other = (statistics.median(rates) for rates in on.values())
        print(f"{name:<34}{one:>12,.0f}{other:>12,.0f}{other / one:>8.2f}")
    hosted = statistics.median(
        asyncio.run(events_per_s("memory", options.events // 10, hosted=True)) for _ in range(options.runs)
    )
    print(f"{'in memory, actor on the host':<34}{'':>12}{hosted:>12,.0f}")
    print(
        f"asyncio to Trio and back: {statistics.median(asyncio.run(across_us()) for _ in range(options.runs)):.0f} us"
    )
    print(f"Trio to asyncio and back: {statistics.median(asyncio.run(back_us()) for _ in range(options.runs)):.0f} us")


if __name__ == "__main__":
    main()
