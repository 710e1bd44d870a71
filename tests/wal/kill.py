"""
Kill a process that writes a log, again and again, and hold the log to what it had said: ``python -m tests.wal.kill``.

The writer is forked, appends and settles as fast as it can, and tells its parent through a pipe what was acknowledged.
It is killed with SIGKILL after 10 to 70 ms, wherever it is: recovery, rotation, compaction. The parent holds the
ledger, opens the log itself after every kill, and compares. With ``--bug`` the writer has a known fault, which must be
found: then it is a success to fail.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import attrs
import trio

from orgloop.event import Event
from orgloop.sdk import Settlement
from orgloop.wal import RealDisk, Wal, WalLimits, open_wal
from orgloop.wal.findings import Segment
from orgloop.wal.store import Store
from tests.wal.stage import event

T = TypeVar("T")

LIMITS = WalLimits(segment_bytes=64 * 1024)
WRITERS, KEEP_ONE_IN = 4, 50


@attrs.define
class Ledger:
    """What the writers have said, in the memory of another process."""

    acknowledged: dict[int, int] = attrs.field(factory=dict)
    """Numbers of events, by sequence; those that may have been settled are gone from it."""
    gone: set[int] = attrs.field(factory=set)
    """Settled and flushed."""
    said: int = 0

    def hear(self, line: bytes) -> None:
        """``a 7:1 8:2`` acknowledged, ``s 7`` about to be settled, ``g 7`` settled for good."""
        kind, *parts = line.split()
        if kind == b"a":
            self.said += len(parts)
            self.acknowledged.update(
                (int(sequence), int(number)) for sequence, number in (p.split(b":") for p in parts)
            )
        elif kind == b"s":
            for sequence in map(int, parts):
                self.acknowledged.pop(sequence, None)
        else:
            self.gone.update(map(int, parts))


# -- the writer --------------------------------------------------------------------------------------------------------


class Voice:
    """A pipe to the parent; a line is written at once, and whole."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def say(self, kind: str, *parts: object) -> None:
        os.write(self._descriptor, (" ".join([kind, *map(str, parts)]) + "\n").encode())


async def write(directory: Path, voice: Voice, seed: int) -> None:
    """Append and settle until killed."""
    async with open_wal(RealDisk(directory), limits=LIMITS) as wal, trio.open_nursery() as nursery:
        for writer in range(WRITERS):
            nursery.start_soon(_write, wal, voice, random.Random(seed * WRITERS + writer))


async def _write(wal: Wal, voice: Voice, chance: random.Random) -> None:
    while True:
        numbers = [chance.randrange(10**9) for _ in range(chance.randint(1, 8))]
        pad = "x" * chance.choice([0, 100, 2000])
        sequences = await wal.append([event(number, pad=pad) for number in numbers])
        voice.say("a", *(f"{sequence}:{number}" for sequence, number in zip(sequences, numbers, strict=True)))
        done = [sequence for sequence in sequences if chance.randrange(KEEP_ONE_IN)]
        voice.say("s", *done)
        wal.settle([Settlement(outcome="delivered", sequences=done, module="m", route="r")])
        if chance.random() < 0.2:
            await wal.flush()
            voice.say("g", *done)


def plant(bug: str) -> None:
    """Make the writer a build with that fault."""
    commit, finish, remove = Wal._commit, Store._finish_compaction, Store._remove

    async def early(self: Wal) -> None:
        self._batch.done.set()
        await trio.sleep(0.001)
        await commit(self)

    def eager(self: Store, done: list[Segment], moved: dict[int, int]) -> None:
        remove(self, done)
        time.sleep(0.001)
        finish(self, done, moved)

    if bug == "early":
        Wal._commit = early  # type: ignore[method-assign]
    elif bug == "remove":
        Store._remove = lambda self, done: None  # type: ignore[method-assign]
        Store._finish_compaction = eager  # type: ignore[method-assign]


# -- the parent --------------------------------------------------------------------------------------------------------


class Inline(RealDisk):
    """Without threads: who forks must have none."""

    async def call(self, work: Callable[[], T]) -> T:
        await trio.lowlevel.checkpoint()
        return work()


def run_and_kill(directory: Path, ledger: Ledger, *, seed: int, after_s: float, bug: str) -> None:
    """Fork a writer, kill it, and hear all that it had said."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(reader)
            plant(bug)
            trio.run(write, directory, Voice(writer), seed)
        finally:
            os._exit(70)  # it never ends by itself
    os.close(writer)
    time.sleep(after_s)
    os.kill(child, signal.SIGKILL)
    with open(reader, "rb") as pipe:
        *lines, _ = pipe.read().split(b"\n")
    _, status = os.waitpid(child, 0)
    if not os.WIFSIGNALED(status):
        raise AssertionError(f"the writer ended by itself, with status {os.waitstatus_to_exitcode(status)}")
    for line in lines:
        ledger.hear(line)


async def read_all(wal: Wal, sequences: list[int]) -> list[tuple[int, Event]]:
    """All of these events that there are; the log gives so much at a time."""
    found: list[tuple[int, Event]] = []
    while some := await wal.read(sequences):
        found += some
        sequences = sequences[sequences.index(some[-1][0]) + 1 :]
    return found


async def compare(directory: Path, ledger: Ledger) -> None:
    """Open the log, and look for what was promised; settle all of it, so that the next round starts from little."""
    async with open_wal(Inline(directory), limits=LIMITS) as wal:
        open_ = [sequence for sequence, _ in wal.unsettled()]
        found = {sequence: one.payload["i"] for sequence, one in await read_all(wal, open_)}
        lost = ledger.acknowledged.items() - found.items()
        assert not lost, f"{len(lost)} events are lost or wrong, such as {sorted(lost)[:3]}"
        assert not ledger.gone & found.keys(), f"came back: {sorted(ledger.gone & found.keys())[:3]}"
        assert wal.status().state == "ok", wal.status()
        surplus = [sequence for sequence in found if sequence not in ledger.acknowledged]
        wal.settle([Settlement(outcome="delivered", sequences=surplus, module="m", route="r")])
        ledger.gone = set(surplus)


def kill_often(directory: Path, *, cycles: int, seed: int, bug: str = "") -> Ledger:
    """So many lives and deaths of one log; raises AssertionError with the first broken promise."""
    ledger, chance = Ledger(), random.Random(seed)
    for cycle in range(cycles):
        try:
            run_and_kill(directory, ledger, seed=chance.randrange(2**32), after_s=chance.uniform(0.01, 0.07), bug=bug)
            trio.run(compare, directory, ledger)
        except BaseException as exc:
            exc.add_note(f"cycle {cycle}, seed {seed}")
            raise
    return ledger


def main() -> int:
    """Kill, and say how it went."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cycles", type=int, default=500)
    parser.add_argument("--seed", type=int, default=random.randrange(2**32))
    parser.add_argument("--bug", choices=["", "early", "remove"], default="", help="a fault that must be found")
    options = parser.parse_args()
    began_s = time.monotonic()
    with tempfile.TemporaryDirectory() as directory:
        try:
            ledger = kill_often(Path(directory) / "wal", cycles=options.cycles, seed=options.seed, bug=options.bug)
        except (AssertionError, ExceptionGroup) as exc:
            print(f"found: {exc!r} {getattr(exc, '__notes__', '')}")
            return 0 if options.bug else 1
    took_s = time.monotonic() - began_s
    rate = f"{took_s:.0f} s, {options.cycles / took_s:.1f} a second"
    print(f"{options.cycles} kills in {rate}; {ledger.said:,} events acknowledged, 0 lost; seed {options.seed}")
    return 1 if options.bug else 0


if __name__ == "__main__":
    sys.exit(main())
