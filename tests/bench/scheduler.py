"""
What polling costs: 2,000 sources that find nothing, each once a second, and 2,000 that find one event each.

``python tests/bench/scheduler.py``. Every run is a process of its own, and CPU time is of the whole process, without
the start. The busy run publishes to the memory bus: what a log costs is another bench's. Budgets are printed, not
enforced.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from functools import partial
from statistics import median, quantiles

import attrs
import trio

from orgloop.bus import MemoryBus
from orgloop.event import Event
from orgloop.runtime.checkpoints import BusPlace
from orgloop.runtime.scheduler import Scheduler
from orgloop.runtime.sources import SourceSpec, Standing, Surroundings, serve_source
from orgloop.sdk import Note, Polled, Settlement

SOURCES, INTERVAL_S, WARM_UP_S = 2_000, 1.0, 7.0
Figures = dict[str, float]


def tell(phase: str, **fields: object) -> None:
    """Have nobody listen."""


@attrs.define
class Source:
    """Finds something, or nothing, and notes how many polls there were."""

    finds: bool
    polls: int = 0

    async def poll(self, checkpoint: str | None) -> Polled:
        """Look."""
        self.polls += 1
        if not self.finds:
            return Polled()
        event = Event("bench", "resource.changed", {"platform": "bench"}, {"number": self.polls})
        return Polled([event], str(self.polls))


def returned(source: Source) -> Source:
    """The source itself."""
    return source


async def turns_only(ticket_of: Scheduler, key: str, late_s: list[float]) -> None:
    """Take turns, and do nothing in them."""
    ticket = ticket_of.register(key, INTERVAL_S)
    while True:
        async with ticket.turn() as late:
            late_s.append(late)


async def measure(kind: str, seconds: float) -> Figures:
    """CPU and lateness of so many seconds, after a warm-up."""
    scheduler, bus, late_s = Scheduler(), MemoryBus(), list[float]()
    sources = [Source(kind == "busy") for _ in range(SOURCES)]

    async def publish(events: Sequence[Event], *, notes: Sequence[Note] = ()) -> list[int]:
        sequences = await bus.publish(events, notes=notes)
        bus.settle([Settlement(outcome="no_route", sequences=sequences)])
        await bus.receive()
        return sequences

    async with trio.open_nursery() as nursery:
        await nursery.start(scheduler.run)
        for number, source in enumerate(sources):
            if kind == "turns":
                nursery.start_soon(turns_only, scheduler, f"m/{number}", late_s)
                continue
            name = f"source-{number}"
            place = BusPlace(module="m", source=name, fingerprint="f", note=bus.note, tell=tell)
            spec = SourceSpec(module="m", id=name, make=partial(returned, source), interval_s=INTERVAL_S)
            around = Surroundings(scheduler=scheduler, publish=publish, place=place, tell=tell)
            nursery.start_soon(serve_source, spec, Standing(), around)
        await trio.sleep(WARM_UP_S)
        late_s.clear()
        polls, cpu_s, began_s = sum(source.polls for source in sources), time.process_time(), time.monotonic()
        await trio.sleep(seconds)
        took_s, cpu_s = time.monotonic() - began_s, time.process_time() - cpu_s
        turns = len(late_s) or sum(source.polls for source in sources) - polls
        nursery.cancel_scope.cancel("enough")
    figures = {"cpu_percent": 100 * cpu_s / took_s, "turn_us": 1e6 * cpu_s / turns, "turns_per_s": turns / took_s}
    if late_s:
        percentiles = quantiles(late_s, n=100)
        figures |= {"late_p50_ms": 1e3 * percentiles[49], "late_p99_ms": 1e3 * percentiles[98]}
    return figures


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description="What polling costs.")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--part", choices=("turns", "idle", "busy"), help=argparse.SUPPRESS)
    wanted = parser.parse_args()
    if wanted.part:
        print(json.dumps(trio.run(measure, wanted.part, wanted.seconds)))
        return
    print(
        f"Python {sys.version.split()[0]}, Trio {trio.__version__}, {os.cpu_count()} CPUs, {SOURCES:,} sources at 1 s"
    )
    for part, budget in (("turns", "-"), ("idle", "<= 6 % of a core"), ("busy", "-")):
        command = [sys.executable, __file__, "--part", part, "--seconds", str(wanted.seconds)]
        printed = [subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True) for _ in range(wanted.runs)]
        runs = [json.loads(run.stdout) for run in printed]
        cells = [f"{key} {median(run[key] for run in runs):,.1f}" for key in runs[0]]
        print(f"{part:<6} {'  '.join(cells)}  budget {budget}")


if __name__ == "__main__":
    main()
