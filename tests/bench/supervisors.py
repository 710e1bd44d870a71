"""
What supervision costs, beside bare Trio in the same run: ``make bench-supervisors``.

Every run is a fresh process; a value is the median over the runs, in brackets the least and the most. ``ratio`` is how
many times what bare Trio takes for the nearest thing it has: the median of the ratios within each run, which is what to
compare between machines. Budgets are printed, not enforced: the exit code is always 0, the verdict column is the truth.
"""

from __future__ import annotations

import argparse
import gc
import json
import logging
import math
import os
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from statistics import median, quantiles
from typing import Any

import attrs
import trio
from trio.testing import wait_all_tasks_blocked

from orgloop_supervisors import ChildSpec, ChildStatus, Event, Restart, Supervisor, SupervisorSpec, open_supervisor
from tests.supervisors.memory import rss_bytes

Figures = dict[str, float]

MANY, FEW = 10_000, 1_000
CRASHES = 3_000
BEATS = 50_000
LONG_RUN, WARM_UP = 100_000, 10_000


@attrs.frozen
class Row:
    """One line of the table: what is measured, the key of its figure, what it is compared to, and its budget."""

    name: str
    unit: str
    ours: str
    bare: str | None = None
    at_most: float = math.inf
    at_least: float = 0.0
    ratio_at_most: float = math.inf


ROWS = [
    Row("crash to re-entry, median", "us", "crash_p50", "bare_crash_p50", at_most=60, ratio_at_most=2.5),
    Row("crash to re-entry, p99", "us", "crash_p99", "bare_crash_p99"),
    Row("  default hook, logger off, median", "us", "log_p50", "bare_crash_p50", at_most=60, ratio_at_most=2.5),
    Row("  default hook, logger off, p99", "us", "log_p99", "bare_crash_p99"),
    Row("  notify, median", "us", "notify_p50", "bare_notify_p50", at_most=60, ratio_at_most=2.5),
    Row("  notify, p99", "us", "notify_p99", "bare_notify_p99"),
    Row(f"start_child, to {MANY:,}; start_soon", "/s", "start_rate", "bare_soon_rate", at_least=12_000),
    Row("  notify; nursery.start", "/s", "notify_rate", "bare_start_rate", at_least=12_000),
    Row(f"  per call at {MANY:,} / at {FEW:,}", "x", "start_flatness", "bare_start_flatness", at_most=3),
    Row(f"terminate_child, from {MANY:,}; cancel", "/s", "stop_rate", "bare_stop_rate"),
    Row(f"  per call at {MANY:,} / at {FEW:,}", "x", "stop_flatness", "bare_stop_flatness", at_most=3),
    Row("memory per idle child; task", "kB", "child_kb", "task_kb", at_most=5),
    Row("  the same; task with scope", "kB", "child_kb", "scoped_kb", at_most=5),
    Row("beat(); move a deadline", "us", "beat_us", "bare_beat_us", at_most=3),
    Row(f"{LONG_RUN:,} restarts, growth", "KiB", "growth_kib", at_most=1024),
]
"""A ``;`` in a name parts what is ours from what bare Trio does. How flat is flat: three times, as case 42 says."""


def ignore(event: Event) -> None:
    """Be the hook that does nothing."""


def spec(*children: ChildSpec[Any], hook: Callable[[Event], None] | None = ignore) -> SupervisorSpec:
    """A supervisor that never gives up."""
    return SupervisorSpec(name="bench", children=children, intensity=math.inf, on_event=hook)


# -- crash to re-entry -------------------------------------------------------------------------------------------------


@attrs.define
class Crasher:
    """A function that crashes, and notes how long it takes until it is entered again."""

    crashes: int
    done: trio.Event = attrs.field(factory=trio.Event)
    took_s: list[float] = attrs.field(factory=list)
    _crashed_at_s: float = math.nan

    def enter(self) -> None:
        """Stop the watch."""
        self.took_s.append(time.perf_counter() - self._crashed_at_s)

    async def crash(self) -> None:
        """Let the others settle, start the watch, raise."""
        await trio.lowlevel.checkpoint()
        await trio.lowlevel.checkpoint()
        if len(self.took_s) > self.crashes:
            self.done.set()
            return
        self._crashed_at_s = time.perf_counter()
        raise OSError("crash")

    async def plain(self) -> None:
        """Be a child without notify."""
        self.enter()
        await self.crash()

    async def notify(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Be a child with notify, or the target of ``nursery.start``."""
        self.enter()
        task_status.started()
        await self.crash()

    def figures(self, prefix: str) -> Figures:
        """Median and 99th percentile in microseconds; the first entry followed no crash."""
        percentiles = quantiles(self.took_s[1:], n=100)
        return {f"{prefix}_p50": percentiles[49] * 1e6, f"{prefix}_p99": percentiles[98] * 1e6}


async def supervised_crashes(prefix: str, *, notify: bool, hook: Callable[[Event], None] | None) -> Figures:
    """Let a supervised child crash."""
    crasher = Crasher(CRASHES)
    run = crasher.notify if notify else crasher.plain
    async with open_supervisor(
        spec(ChildSpec(id="crasher", run=run, notify=notify, restart=Restart.TRANSIENT), hook=hook)
    ):
        await crasher.done.wait()
    return crasher.figures(prefix)


async def bare_crashes(prefix: str, *, notify: bool) -> Figures:
    """Let the only task of a nursery crash, and open a new nursery each time."""
    crasher = Crasher(CRASHES)
    while not crasher.done.is_set():
        with suppress(ExceptionGroup):
            async with trio.open_nursery() as nursery:
                if notify:
                    await nursery.start(crasher.notify)
                else:
                    nursery.start_soon(crasher.plain)
    return crasher.figures(prefix)


# -- many children -----------------------------------------------------------------------------------------------------


async def wait_for_ever(*, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
    """Idle, and say so."""
    task_status.started()
    await trio.sleep_forever()


async def fill(count: int, *, notify: bool) -> tuple[float, float]:
    """Seconds for each start_child and each terminate_child of so many children, specs included."""
    run: Callable[..., Awaitable[None]] = trio.sleep_forever
    if notify:
        run = wait_for_ever
    gc.collect()
    async with open_supervisor(spec()) as supervisor:
        began_s = time.perf_counter()
        for number in range(count):
            await supervisor.start_child(ChildSpec(id=f"child-{number}", run=run, notify=notify))
        full_s = time.perf_counter()
        for number in range(count):
            await supervisor.terminate_child(f"child-{number}")
        return (full_s - began_s) / count, (time.perf_counter() - full_s) / count


async def bare_soon(count: int) -> float:
    """Seconds for each of so many tasks to be started and to take their first step."""
    gc.collect()
    async with trio.open_nursery() as nursery:
        began_s = time.perf_counter()
        for _ in range(count):
            nursery.start_soon(trio.sleep_forever)
        await trio.lowlevel.checkpoint()
        took_s = time.perf_counter() - began_s
        nursery.cancel_scope.cancel("enough")
    return took_s / count


async def scoped(*, task_status: trio.TaskStatus[tuple[trio.CancelScope, trio.Event]]) -> None:
    """Idle in a scope of one's own."""
    gone = trio.Event()
    with trio.CancelScope() as scope:
        task_status.started((scope, gone))
        await trio.sleep_forever()
    gone.set()


async def bare_fill(count: int) -> tuple[float, float]:
    """Seconds for each nursery.start of so many tasks, and for each to be cancelled and gone."""
    gc.collect()
    async with trio.open_nursery() as nursery:
        began_s = time.perf_counter()
        tasks = [await nursery.start(scoped) for _ in range(count)]
        full_s = time.perf_counter()
        for scope, gone in tasks:
            scope.cancel("enough")
            await gone.wait()
        return (full_s - began_s) / count, (time.perf_counter() - full_s) / count


async def many_children() -> Figures:
    """Start and stop many children, and few."""
    few = [await fill(FEW, notify=False) for _ in range(3)]
    bare_few = [await bare_fill(FEW) for _ in range(3)]
    start_s, stop_s = await fill(MANY, notify=False)
    bare_start_s, bare_stop_s = await bare_fill(MANY)
    return {
        "start_rate": 1 / start_s,
        "bare_soon_rate": 1 / await bare_soon(MANY),
        "notify_rate": 1 / (await fill(MANY, notify=True))[0],
        "bare_start_rate": 1 / bare_start_s,
        "start_flatness": start_s / median(each for each, _ in few),
        "bare_start_flatness": bare_start_s / median(each for each, _ in bare_few),
        "stop_rate": 1 / stop_s,
        "bare_stop_rate": 1 / bare_stop_s,
        "stop_flatness": stop_s / median(each for _, each in few),
        "bare_stop_flatness": bare_stop_s / median(each for _, each in bare_few),
    }


# -- beat() ------------------------------------------------------------------------------------------------------------


async def beats() -> Figures:
    """Push back a watchdog, and the deadline of a bare scope."""
    took_us: list[float] = []
    done = trio.Event()

    async def child(*, task_status: ChildStatus[None]) -> None:
        task_status.started()
        took_us.append(await each_us(task_status.beat))
        done.set()
        await trio.sleep_forever()

    async with open_supervisor(spec(ChildSpec(id="beater", run=child, notify=True, watchdog=60))):
        await done.wait()
    with trio.CancelScope() as scope:

        def move() -> None:
            scope.deadline = trio.current_time() + 60

        took_us.append(await each_us(move))
    return {"beat_us": took_us[0], "bare_beat_us": took_us[1]}


async def each_us(action: Callable[[], None]) -> float:
    """Microseconds that a call takes, a hundred at a time: Trio discards old deadlines only between steps."""
    gc.collect()
    took_s = 0.0
    for _ in range(BEATS // 100):
        began_s = time.perf_counter()
        for _ in range(100):
            action()
        took_s += time.perf_counter() - began_s
        await trio.lowlevel.checkpoint()
    return took_s / BEATS * 1e6


# -- memory ------------------------------------------------------------------------------------------------------------


async def child_memory() -> Figures:
    """Memory of many idle children, their specs included."""
    async with open_supervisor(spec()) as supervisor:
        await add(supervisor, "warm-up", 100)
        before_bytes = rss_bytes()
        await add(supervisor, "child", MANY)
        leave({"child_kb": (rss_bytes() - before_bytes) / MANY / 1000})
    return {}


async def add(supervisor: Supervisor, name: str, count: int) -> None:
    """Start so many idle children."""
    for number in range(count):
        await supervisor.start_child(ChildSpec(id=f"{name}-{number}", run=trio.sleep_forever))


async def task_memory() -> Figures:
    """Memory of many idle tasks."""
    return await bare_memory("task_kb", trio.sleep_forever)


async def scoped_memory() -> Figures:
    """Memory of many idle tasks with a scope each."""

    async def in_scope() -> None:
        with trio.CancelScope():
            await trio.sleep_forever()

    return await bare_memory("scoped_kb", in_scope)


async def bare_memory(key: str, run: Callable[[], Awaitable[None]]) -> Figures:
    """Memory of many tasks in one nursery."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(run)
        await wait_all_tasks_blocked()
        before_bytes = rss_bytes()
        for _ in range(MANY):
            nursery.start_soon(run)
        await wait_all_tasks_blocked()
        leave({key: (rss_bytes() - before_bytes) / MANY / 1000})
    return {}


async def long_run() -> Figures:
    """Crash for a long time; by how much the process grew after the warm-up."""
    warm_bytes, end_bytes, done, lives = 0, 0, trio.Event(), 0

    async def crash() -> None:
        nonlocal lives, warm_bytes, end_bytes
        lives += 1
        await trio.lowlevel.checkpoint()
        if lives == WARM_UP:
            warm_bytes = rss_bytes()
        if lives == LONG_RUN:
            end_bytes = rss_bytes()
            done.set()
            await trio.sleep_forever()
        raise OSError("crash")

    async with open_supervisor(spec(ChildSpec(id="crasher", run=crash))):
        await done.wait()
    return {"growth_kib": (end_bytes - warm_bytes) / 1024}


# -- runs --------------------------------------------------------------------------------------------------------------


async def speed() -> Figures:
    """All that is measured in seconds."""
    logging.getLogger("orgloop_supervisors").setLevel(logging.CRITICAL)  # never to be reached: it does not give up
    return {
        **await bare_crashes("bare_crash", notify=False),
        **await supervised_crashes("crash", notify=False, hook=ignore),
        **await supervised_crashes("log", notify=False, hook=None),
        **await bare_crashes("bare_notify", notify=True),
        **await supervised_crashes("notify", notify=True, hook=ignore),
        **await many_children(),
        **await beats(),
    }


PARTS = {part.__name__: part for part in (speed, child_memory, task_memory, scoped_memory, long_run)}


def leave(figures: Figures) -> None:
    """Print the figures and end the process at once: stopping what was measured would only take time."""
    print(json.dumps(figures), flush=True)
    os._exit(0)


def in_fresh_process(part: str) -> Figures:
    """Measure one part in a process of its own."""
    printed = subprocess.run([sys.executable, __file__, "--part", part], check=True, stdout=subprocess.PIPE, text=True)
    figures: Figures = json.loads(printed.stdout)
    return figures


def measure(runs: int, *, quick: bool) -> list[Figures]:
    """The figures of each run; the long one is made once."""
    parts = [part for part in PARTS if part != long_run.__name__]
    figures = []
    for run in range(runs):
        print(f"\rrun {run + 1} of {runs}", end="", file=sys.stderr, flush=True)
        figures.append({key: value for part in parts for key, value in in_fresh_process(part).items()})
    if not quick:
        figures[0] |= in_fresh_process(long_run.__name__)
    print("\r", end="", file=sys.stderr)
    return figures


# -- the table ---------------------------------------------------------------------------------------------------------


def table(runs: list[Figures]) -> Iterator[str]:
    """The lines of the table."""
    layout = "{:<40} {:>24} {:>24} {:>7}  {:<22} {}"
    yield layout.format("name", "value", "bare Trio", "ratio", "budget", "verdict")
    for row in ROWS:
        ours = [run[row.ours] for run in runs if row.ours in run]
        if ours:
            bare = [run[row.bare] for run in runs] if row.bare else []
            ratio = median(times(row, mine, its) for mine, its in zip(ours, bare, strict=True)) if bare else math.nan
            cells = (text(ours, row.unit), text(bare, row.unit), f"{ratio:.2f}" if bare else "-")
            yield layout.format(row.name, *cells, budget(row), verdict(row, median(ours), ratio)).rstrip()


def times(row: Row, ours: float, bare: float) -> float:
    """How many times the cost of bare Trio."""
    return bare / ours if row.unit == "/s" else ours / bare


def text(values: list[float], unit: str) -> str:
    """The median and the range."""
    if not values:
        return "-"
    digits = 0 if median(values) >= 1000 else 1 if median(values) >= 10 else 2
    middle, least, most = (f"{value:,.{digits}f}" for value in (median(values), min(values), max(values)))
    return f"{middle} {unit} [{least}-{most}]" if len(values) > 1 else f"{middle} {unit} [1 run]"


def budget(row: Row) -> str:
    """What the row may cost."""
    limits = [
        *([f"<= {row.at_most:g} {row.unit}"] if row.at_most < math.inf else []),
        *([f">= {row.at_least:,g} {row.unit}"] if row.at_least else []),
        *([f"<= {row.ratio_at_most:g} x"] if row.ratio_at_most < math.inf else []),
    ]
    return ", ".join(limits) or "-"


def verdict(row: Row, value: float, ratio: float) -> str:
    """Whether it does; nothing without a budget."""
    if budget(row) == "-":
        return ""
    within = row.at_least <= value <= row.at_most and not ratio > row.ratio_at_most
    return "ok" if within else "over"


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description="What supervision costs, beside bare Trio in the same run.")
    parser.add_argument("--runs", type=int, default=5, help="fresh processes for each value (default 5)")
    parser.add_argument("--quick", action="store_true", help="one run, without the long one")
    parser.add_argument("--part", choices=PARTS, help=argparse.SUPPRESS)
    wanted = parser.parse_args()
    if wanted.part:
        print(json.dumps(trio.run(PARTS[wanted.part])))
        return
    runs = 1 if wanted.quick else wanted.runs
    began_s = time.monotonic()
    figures = measure(runs, quick=wanted.quick)
    print(f"Python {sys.version.split()[0]}, Trio {trio.__version__}, {os.cpu_count()} CPUs, {runs} runs\n")
    print("\n".join(table(figures)))
    print(f"\n{time.monotonic() - began_s:.0f} s")


if __name__ == "__main__":
    main()
