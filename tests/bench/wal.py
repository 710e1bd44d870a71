"""
What durability costs, and what it takes to come back: ``python tests/bench/wal.py [--quick]``.

Each row appends events and settles them, a batch at a time, and waits for the disk every time; ``bare`` is one
``write`` and one ``fdatasync`` of as many bytes, in turn with it, so that a busy disk slows both alike. Recovery opens
a log of events that are all open, in a process of its own. Budgets are printed, not enforced.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import attrs
import trio

from orgloop.event import Event
from orgloop.sdk import Settlement
from orgloop.wal import RealDisk, Wal, open_wal

ROUNDS, ROUND_S = 8, 0.5
RECORD_BYTES = 1024
RECOVERY = """
import sys, time, trio
from pathlib import Path
from orgloop.wal import RealDisk, open_wal

async def main():
    began_s = time.perf_counter()
    async with open_wal(RealDisk(Path(sys.argv[1]))) as wal:
        took_s = time.perf_counter() - began_s
        status = wal.status()
    peak_kb = next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1]
    print(took_s, status.open_events, status.bytes, peak_kb)

trio.run(main)
"""


@attrs.frozen
class Round:
    """What was done in half a second."""

    events: int
    commits: int
    bytes: int
    took_s: float
    waits_s: list[float]


def events(count: int, *, text: str = "x" * 250) -> list[Event]:
    """Events of about half a kilobyte as lines."""
    return [Event("s", "resource.changed", {"platform": "bench"}, {"number": n, "text": text}) for n in range(count)]


async def durable(wal: Wal, batch: int) -> Round:
    """Append and settle for a while."""
    made = events(batch)
    waits_s = []
    before_bytes, began_s = wal.status().bytes, time.perf_counter()
    while (now_s := time.perf_counter()) < began_s + ROUND_S:
        sequences = await wal.append(made)
        waits_s.append(time.perf_counter() - now_s)
        wal.settle([Settlement(outcome="delivered", sequences=sequences, module="m", route="r")])
    await wal.flush()
    took_s = time.perf_counter() - began_s
    commits = len(waits_s)
    return Round(commits * batch, commits, wal.status().bytes - before_bytes, took_s, waits_s)


def bare(descriptor: int, like: Round) -> float:
    """Write and sync as many bytes as often; seconds."""
    content = b"x" * max(1, like.bytes // like.commits)
    began_s = time.perf_counter()
    for _ in range(like.commits):
        os.write(descriptor, content)
        os.fdatasync(descriptor)
    return time.perf_counter() - began_s


async def throughput(directory: Path, batch: int) -> tuple[float, float, list[float]]:
    """Events a second, the same for the bare disk, and how long each append waited."""
    ours, theirs, waits_s = [], [], list[float]()
    descriptor = os.open(directory / f"bare-{batch}", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    async with open_wal(RealDisk(directory / f"wal-{batch}")) as wal:
        for _ in range(ROUNDS):
            done = await durable(wal, batch)
            ours.append(done.events / done.took_s)
            theirs.append(done.events / bare(descriptor, done))
            waits_s += done.waits_s
    os.close(descriptor)
    return median(ours), median(theirs), sorted(waits_s)


async def fill(directory: Path, records: int) -> None:
    """A log of so many events, none of them settled."""
    made = events(1000, text="x" * (RECORD_BYTES - 260))
    async with open_wal(RealDisk(directory)) as wal:
        for _ in range(records // len(made)):
            await wal.append(made)


def recovery(directory: Path, records: int) -> Iterator[str]:
    """Fill a log, open it elsewhere, and say how that went."""
    began_s = time.perf_counter()
    trio.run(fill, directory, records)
    yield f"{'filled with open events':<38} {time.perf_counter() - began_s:>8.1f} s"
    told = subprocess.run(
        [sys.executable, "-c", RECOVERY, directory], capture_output=True, text=True, check=True
    ).stdout
    took_s, open_events, size, peak_kb = map(float, told.split())
    full = records >= 1_000_000
    size_mib, peak_mib = size / 2**20, peak_kb / 1024
    yield f"{'recovery':<38} {took_s:>8.1f} s   of {open_events:,.0f} open events in {size_mib:,.0f} MiB"
    yield f"{'  budget for 1 GiB or 1 M events':<38} {60:>8} s   {_verdict(took_s <= 60, full=full)}"
    yield f"{'  peak memory':<38} {peak_mib:>8.0f} MiB"
    yield f"{'  budget':<38} {256:>8} MiB {_verdict(peak_mib <= 256, full=full)}"


def _verdict(met: bool, *, full: bool) -> str:
    return ("" if full else "not asked of so little") if met else "MISSED"


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="recover 64 MiB instead of 1 GiB")
    records = 65_000 if parser.parse_args().quick else 1_050_000
    with tempfile.TemporaryDirectory(prefix="orgloop-bench-") as directory:
        print(f"{'batch':<10} {'events/s':>12} {'bare disk':>12} {'share':>7} {'p50 ms':>8} {'p99 ms':>8}")
        for batch in (1, 16, 256):
            ours, theirs, waits_s = trio.run(throughput, Path(directory), batch)
            p50, p99 = (waits_s[int(len(waits_s) * part)] * 1000 for part in (0.5, 0.99))
            print(f"{batch:<10} {ours:>12,.0f} {theirs:>12,.0f} {ours / theirs:>7.0%} {p50:>8.2f} {p99:>8.2f}")
        print()
        for line in recovery(Path(directory) / "recovery", records):
            print(line, flush=True)


if __name__ == "__main__":
    main()
