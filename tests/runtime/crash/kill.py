"""
Kill a whole runtime, again and again, and hold it to what it had said: ``python -m tests.runtime.crash.kill``.

A victim is forked, opens the runtime on the home of those before it, injects and polls and delivers as fast as it can,
and tells its parent through a pipe what was promised and what was delivered. It is killed with SIGKILL: after some
time, or the moment it has said its n-th word. The parent holds the ledger and reads the disk after every kill; at the
end a last victim may finish. With ``--bug`` the victims have a known fault, which must be found.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import select
import signal
import sys
import tempfile
import time
import traceback
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import trio

from orgloop.runtime.runtime import Runtime, open_runtime
from orgloop.wal import RealDisk
from tests.runtime.crash import stage
from tests.runtime.crash.bugs import PLANTED, open_bus
from tests.runtime.crash.ledger import Ledger, letters_in
from tests.runtime.crash.log import Log

START_S, WORK_S = 0.06, 0.25
"""A victim is killed within so many seconds of its birth, or of its first word."""

BIRTH_S = 30.0
"""How long the first word may take, on a machine that has much else to do."""

FINISH_S, FAULTY_FINISH_S = 60.0, 5.0
"""How long the last victim may take for what is left."""

OPEN_AT_MOST = 200
"""So many obligations may be open before a victim injects more."""


# -- the victim --------------------------------------------------------------------------------------------------------


@attrs.frozen
class Voice:
    """A pipe to the parent; a word is written at once, and whole."""

    descriptor: int

    def say(self, *word: Any) -> None:
        """Say one word."""
        line = json.dumps(word, separators=(",", ":")).encode() + b"\n"
        assert len(line) <= select.PIPE_BUF, "a longer one could be cut by the kill"
        os.write(self.descriptor, line)


async def live(home: Path, say: stage.Say, *, number: int, bug: str, finish: bool) -> None:
    """One life: until killed, or until all is done."""
    within_s = (FAULTY_FINISH_S if bug else FINISH_S) if finish else None
    if bug:
        async with open_bus(RealDisk(home / "data" / "wal"), bug) as bus, open_runtime(home=home, bus=bus) as runtime:
            await _work(runtime, say, home, number=number, within_s=within_s)
    else:
        async with open_runtime(home=home) as runtime:
            await _work(runtime, say, home, number=number, within_s=within_s)


async def _work(runtime: Runtime, say: stage.Say, home: Path, *, number: int, within_s: float | None) -> None:
    await stage.load(runtime, say, until=math.inf if within_s is None else 0, base=home)
    if within_s is not None:
        await stage.finish(runtime, say, within_s=within_s)
        return
    chance = random.Random(number)
    while True:
        await runtime.wait_until_fewer(OPEN_AT_MOST)
        kinds = chance.choices(stage.INJECTED, k=chance.randint(1, 12))
        await stage.inject(runtime, say, stage.batch_of(kinds, chance, life=number))
        if chance.random() < 0.3:
            await trio.sleep(chance.uniform(0, 0.004))


@attrs.define
class Ear:
    """The other end of it."""

    descriptor: int
    _lines: deque[bytes] = attrs.field(factory=deque)
    _rest: bytes = b""

    def next(self, until_s: float) -> list[Any] | None:
        """The next word, if it comes in time; None also when nothing more can come."""
        while not self._lines:
            wait_s = max(0.0, until_s - time.monotonic())
            if self.descriptor < 0 or not select.select([self.descriptor], [], [], wait_s)[0]:
                return None
            read = os.read(self.descriptor, 65536)
            if not read:
                os.close(self.descriptor)
                self.descriptor = -1
            *lines, self._rest = (self._rest + read).split(b"\n")
            self._lines.extend(lines)
        word: list[Any] = json.loads(self._lines.popleft())
        return word


def fork(live_: Callable[[stage.Say], Any]) -> tuple[int, Ear]:
    """A process that lives such a life: its id, and the pipe to hear it by."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(reader)
            trio.run(live_, Voice(writer).say)
            os._exit(0)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(70)
    os.close(writer)
    return child, Ear(reader)


# -- the parent --------------------------------------------------------------------------------------------------------


@attrs.define
class Parent:
    """Kills, and keeps the ledger."""

    home: Path
    chance: random.Random
    bug: str = ""
    ledger: Ledger = attrs.field(factory=Ledger)
    _known_letters: set[str] = attrs.field(factory=set)
    words: int = 0

    def kill_one(self) -> None:
        """One life, and its death: while it begins, at some moment of its work, or at a word."""
        child, ear = self._begin(finish=False)
        try:
            match self.chance.choice(["start", "moment", "moment", "word", "word"]):
                case "start":
                    self._hear(ear, within_s=self.chance.uniform(0, START_S))
                case "moment":
                    self._hear(ear, within_s=BIRTH_S, words=1)
                    self._hear(ear, within_s=self.chance.uniform(0, WORK_S))
                case "word":
                    self._hear(ear, within_s=BIRTH_S, words=1)
                    self._hear(ear, within_s=WORK_S, words=self.chance.choice([10, 100, 400]) * self.chance.random())
        finally:
            os.kill(child, signal.SIGKILL)
            _, status = os.waitpid(child, 0)
        assert os.WIFSIGNALED(status), f"it ended by itself, with status {os.waitstatus_to_exitcode(status)}"
        self._hear(ear)
        self.compare()

    def finish(self) -> None:
        """A last life that may do all that is left, and the last look."""
        child, ear = self._begin(finish=True)
        try:
            self._hear(ear, within_s=BIRTH_S + FINISH_S)
        finally:
            os.kill(child, signal.SIGKILL)
            _, status = os.waitpid(child, 0)
        self._hear(ear)
        self.compare()
        self.ledger.close(self._log())
        assert status == 0, f"the last one was to end by itself, not with {status}"

    def compare(self) -> None:
        """Look at the disk."""
        letters = letters_in(self.home / "data" / "dead-letters", self._known_letters)
        self.ledger.compare(self._log(), letters)

    def _log(self) -> Log:
        segments = (self.home / "data" / "wal").glob("*.jsonl")
        return Log.of({path.name: path.read_bytes() for path in segments})

    def _begin(self, *, finish: bool) -> tuple[int, Ear]:
        number = self.ledger.life

        async def live_(say: stage.Say) -> None:
            await live(self.home, say, number=number, bug=self.bug, finish=finish)

        return fork(live_)

    def _hear(self, ear: Ear, *, within_s: float = BIRTH_S, words: float = math.inf) -> None:
        """Hear what is said until then, until that many words, or until nothing more can come."""
        until_s, heard = time.monotonic() + within_s, 0
        while heard < words and (word := ear.next(until_s)) is not None:
            self.ledger.hear(*word)
            heard += 1
        self.words += heard


def kill_often(home: Path, *, cycles: int, seed: int, bug: str = "") -> Parent:
    """So many lives and deaths on one home; raises AssertionError with the first broken promise."""
    parent = Parent(home, random.Random(seed), bug)
    for cycle in range(cycles):
        try:
            parent.kill_one()
        except BaseException as exc:
            exc.add_note(f"life {cycle} of seed {seed}")
            raise
    parent.finish()
    return parent


def main() -> int:
    """Kill, and say how it went."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cycles", type=int, default=250)
    parser.add_argument("--seed", type=int, default=random.randrange(2**32))
    parser.add_argument("--bug", choices=PLANTED, default="", help="a fault that must be found")
    options = parser.parse_args()
    began_s = time.monotonic()
    with tempfile.TemporaryDirectory() as directory:
        try:
            parent = kill_often(Path(directory) / "home", cycles=options.cycles, seed=options.seed, bug=options.bug)
        except AssertionError as exc:
            print(f"found: {exc} {getattr(exc, '__notes__', '')}")
            return 0 if options.bug else 1
    took_s = time.monotonic() - began_s
    print(f"{options.cycles} kills in {took_s:.0f} s, {options.cycles / took_s:.1f} a second; seed {options.seed}")
    print(f"{parent.words:,} words, {dict(parent.ledger.tally())}, 0 lost, 0 acknowledged in vain, all in order")
    ledger = parent.ledger
    print(f"{ledger.duplicates} delivered again, {ledger.unrisen} of them under no higher number of attempt")
    return 1 if options.bug else 0


if __name__ == "__main__":
    sys.exit(main())
