"""
Every budget of the design, measured in one run beside the limits of the machine: ``python -m tests.bench.budgets``.

Each figure comes from processes of its own, one after the other; of several runs the median counts. A limit is what the
same machine does in the same minutes without us: batches synced to the same disk, lists handed from task to task, an
interpreter that imports Trio. Budgets are for one quiet core; ratios are what can be compared.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from itertools import pairwise
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import attrs
import trio

from orgloop.event import Event
from orgloop.runtime.runtime import open_runtime
from orgloop.sdk import Polled
from tests.bench import path, scheduler, supervisors
from tests.bench.wal import RECOVERY, fill

Figures = dict[str, float]

EVENT_BYTES, COMMIT, HOP = 590, 256, 64
SOURCES, POLL_S = 2_000, 1.0


# -- the limits of the machine -----------------------------------------------------------------------------------------


async def limits() -> Figures:
    """Events a second to the disk and between two tasks, and what it takes to import Trio."""
    return {"disk": _synced_per_s(), "hops": await _handed_on_per_s(), "import_s": _import_s()}


def _synced_per_s(seconds: float = 1.0) -> float:
    batch = os.urandom(EVENT_BYTES) * COMMIT
    with tempfile.NamedTemporaryFile() as file:
        began_s, events = time.perf_counter(), 0
        while time.perf_counter() - began_s < seconds:
            os.write(file.fileno(), batch)
            os.fdatasync(file.fileno())
            events += COMMIT
        return events / (time.perf_counter() - began_s)


async def _handed_on_per_s(lists: int = 20_000) -> float:
    send, receive = trio.open_memory_channel[list[int]](16)
    handed = list(range(HOP))

    async def give() -> None:
        async with send:
            for _ in range(lists):
                await send.send(handed)

    began_s, events = time.perf_counter(), 0
    async with trio.open_nursery() as nursery:
        nursery.start_soon(give)
        async for some in receive:
            events += len(some)
    return events / (time.perf_counter() - began_s)


def _import_s() -> float:
    took_s = []
    for _ in range(5):
        began_s = time.perf_counter()
        subprocess.run([sys.executable, "-c", "import trio"], check=True)
        took_s.append(time.perf_counter() - began_s)
    return median(took_s)


# -- what is ours ------------------------------------------------------------------------------------------------------


async def way(routes: int = 1, sources: int = 1, events: int = 51_200) -> Figures:
    """Events a second through everything, and the processor's time for each."""
    gc.set_threshold(50_000, 20, 20)  # as the daemon has it
    runs: list[path.Run] = []
    await path.through_the_runtime(routes, sources, events // path.BATCH, runs)
    return {"events_per_s": runs[0].events_per_s, "cpu_us": runs[0].cpu_us}


async def wide_way() -> Figures:
    """The same with very many routes."""
    return await way(10_000, 2_000)


async def latency() -> Figures:
    """How long an event takes from its due time to its actor, at a steady rate."""
    gc.set_threshold(50_000, 20, 20)
    late_s = await path.on_time(path.RATE_PER_S, 4.0)
    return {"p50_ms": 1e3 * late_s[len(late_s) // 2], "p99_ms": 1e3 * late_s[int(0.99 * (len(late_s) - 1))]}


async def idle() -> Figures:
    """What two thousand sources cost that find nothing."""
    return await scheduler.measure("idle", 5.0)


@attrs.define
class Busy:
    """A source that finds something each time, and notes when it was asked."""

    asked_s: list[float] = attrs.field(factory=list)

    async def poll(self, checkpoint: str | None) -> Polled:
        """Find the next."""
        self.asked_s.append(time.perf_counter())
        number = len(self.asked_s)
        return Polled([Event("s", "resource.changed", {"platform": "bench"}, {"number": number})], str(number))


async def busy() -> Figures:
    """How late two thousand sources are polled whose events and checkpoints are all made durable."""
    gc.set_threshold(50_000, 20, 20)
    sources = {f"s{number}": Busy() for number in range(SOURCES)}
    config: dict[str, Any] = {
        "metadata": {"name": "m"},
        "sources": [{"id": id_, "connector": "given", "poll": {"interval": f"{POLL_S:g}s"}} for id_ in sources],
    }
    with tempfile.TemporaryDirectory() as home:
        async with open_runtime(home=home) as runtime:
            await runtime.load_module(config, sources=sources)
            await trio.sleep(3)
            polls = {id_: len(source.asked_s) for id_, source in sources.items()}
            cpu_s = time.process_time()
            await trio.sleep(6)
            cpu_s = time.process_time() - cpu_s
            asked_s = [source.asked_s[polls[id_] :] for id_, source in sources.items()]
            late_s = [abs(b - a - POLL_S) for times in asked_s for a, b in pairwise(times)]
    events_per_s = sum(map(len, asked_s)) / 6
    return {"late_p99_ms": 1e3 * quantiles(late_s, n=100)[98], "events_per_s": events_per_s, "cpu": 100 * cpu_s / 6}


async def restart() -> Figures:
    """What a crashed child costs until its next life runs, beside a fresh nursery and task."""
    ours = await supervisors.supervised_crashes("crash", notify=False, hook=supervisors.ignore)
    return ours | await supervisors.bare_crashes("bare", notify=False)


async def start() -> Figures:
    """How long a daemon takes until it is ready, and what it then holds."""
    return await trio.to_thread.run_sync(_started)


def _started() -> Figures:
    with tempfile.TemporaryDirectory() as directory:
        home = Path(directory) / "home"
        environment = os.environ | {"ORGLOOP_HOME": str(home), "ORGLOOP_PORT": "0"}
        began_s = time.perf_counter()
        daemon = subprocess.Popen(
            [sys.executable, "-m", "orgloop", "serve"], env=environment, stdout=subprocess.DEVNULL
        )
        try:
            while not (home / "orgloop.pid").exists():
                assert daemon.poll() is None, f"the daemon ended with {daemon.returncode}"
                time.sleep(0.002)
            ready_s = time.perf_counter() - began_s
            time.sleep(1)
            status = Path(f"/proc/{daemon.pid}/status").read_text()
            rss_kb = float(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1])
        finally:
            daemon.send_signal(signal.SIGTERM)
            daemon.wait(20)
    return {"ready_s": ready_s, "rss_mb": rss_kb / 1000}


async def recovery() -> Figures:
    """What it takes to open a log of a gibibyte, all of it unsettled."""
    with tempfile.TemporaryDirectory() as directory:
        await fill(Path(directory), 1_050_000)
        told = await trio.run_process([sys.executable, "-c", RECOVERY, directory], capture_stdout=True)
        took_s, _, _, peak_kb = map(float, told.stdout.split())
    return {"took_s": took_s, "peak_mib": peak_kb / 1024}


PARTS: dict[str, Callable[[], Awaitable[Figures]]] = {
    part.__name__: part for part in (limits, way, wide_way, latency, idle, busy, restart, start, recovery)
}


# -- the table ---------------------------------------------------------------------------------------------------------


@attrs.frozen
class Row:
    """One line: what it is, what it should be, what it was, and how that compares with a limit of the machine."""

    what: str
    budget: str
    value: str
    ratio: str
    is_met: bool


def rows(found: dict[str, Figures]) -> Iterator[Row]:
    """All budgets."""
    limit, one, many = found["limits"], found["way"], found["wide_way"]
    per_s, share = one["events_per_s"], many["events_per_s"] / one["events_per_s"]
    of_disk, of_hops = per_s / limit["disk"], per_s / limit["hops"]
    beside = f"{of_disk:.2f} of the disk, {of_hops:.4f} of bare lists"
    yield Row(
        "durable events/s, 1 route", ">= 60,000", f"{per_s:,.0f} ({one['cpu_us']:.1f} us CPU)", beside, per_s >= 6e4
    )
    value = f"{share:.0%} ({many['cpu_us']:.1f} us CPU)"
    yield Row("the same, 10,000 routes", ">= 90 % of that", value, f"{share:.2f} of 1 route", share >= 0.9)
    p50, p99 = found["latency"]["p50_ms"], found["latency"]["p99_ms"]
    yield Row("latency p50 / p99 at 5,000/s", "<= 2 / 10 ms", f"{p50:.2f} / {p99:.2f} ms", "-", p50 <= 2 and p99 <= 10)
    cpu = found["idle"]["cpu_percent"]
    yield Row("2,000 idle polled sources", "<= 6 % of a core", f"{cpu:.1f} %", "-", cpu <= 6)
    late, rate = found["busy"]["late_p99_ms"], found["busy"]["events_per_s"]
    value = f"{late:.0f} ms, {rate:,.0f} events/s"
    yield Row(
        "2,000 busy ones, p99 lateness", "<= 250 ms", value, f"{found['busy']['cpu']:.0f} % of a core", late <= 250
    )
    ours, bare = found["restart"]["crash_p50"], found["restart"]["bare_p50"]
    yield Row(
        "restart of a crashed child", "<= 60 us", f"{ours:.1f} us", f"{ours / bare:.2f} of a fresh nursery", ours <= 60
    )
    ready_s, rss_mb = found["start"]["ready_s"], found["start"]["rss_mb"]
    beside = f"{ready_s / limit['import_s']:.1f} of `import trio`"
    yield Row("start to ready", "<= 0.6 s", f"{ready_s:.2f} s", beside, ready_s <= 0.6)
    yield Row("idle RSS", "<= 70 MB", f"{rss_mb:.0f} MB", "-", rss_mb <= 70)
    if "recovery" in found:
        took_s, peak_mib = found["recovery"]["took_s"], found["recovery"]["peak_mib"]
        is_met = took_s <= 60 and peak_mib <= 256
        yield Row("recovery of a 1 GiB log", "<= 60 s, 256 MiB", f"{took_s:.1f} s, {peak_mib:.0f} MiB", "-", is_met)


def measured(part: str, runs: int) -> Figures:
    """The median of each figure of a part."""
    found: list[Figures] = []
    for _ in range(runs):
        command = [sys.executable, "-m", "tests.bench.budgets", "--part", part]
        printed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        found.append(json.loads(printed.stdout.splitlines()[-1]))
    return {name: median(one[name] for one in found) for name in found[0]}


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description="Every budget of the design, in one run")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="one run, and no log of a gibibyte")
    parser.add_argument("--part", choices=PARTS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.part:
        print(json.dumps(trio.run(PARTS[options.part])))
        return
    runs = 1 if options.quick else options.runs
    parts = [part for part in PARTS if not (options.quick and part == "recovery")]
    found = {part: measured(part, 1 if part == "recovery" else runs) for part in parts}
    limit = found["limits"]
    print(f"Python {platform.python_version()}, {os.cpu_count()} CPUs; the machine without us:")
    print(
        f"  {limit['disk']:,.0f} events/s synced, {COMMIT} at a time; {limit['hops']:,.0f} events/s handed on in lists"
    )
    layout = "{:<32} {:<18} {:<28} {:<44} {}"
    print(layout.format("what", "budget", "measured", "beside the limit", "verdict"))
    for row in rows(found):
        print(layout.format(row.what, row.budget, row.value, row.ratio, "met" if row.is_met else "MISSED").rstrip())


if __name__ == "__main__":
    main()
