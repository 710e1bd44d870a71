"""
A small program in the place of the runtime: ``python -m tests.daemon.standin serve|supervise|fail|…``.

It keeps a ledger of its lives below the home: one line when it is ready, one when it has cleaned up.
"""

from __future__ import annotations

import itertools
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import trio

from orgloop.daemon import Home, Limits, Policy, Serving, home_of, supervise
from orgloop.daemon.run import run_daemon
from orgloop.errors import ConfigError
from orgloop.wal import RealDisk, open_wal
from tests.wal.stage import event

ROOT = Path(__file__).parents[2]


def command(*words: str) -> list[str]:
    """The command line of this program."""
    return [sys.executable, "-m", "tests.daemon.standin", *words]


def environ(home: Home) -> dict[str, str]:
    """The environment in which it is started."""
    return {**os.environ, "ORGLOOP_HOME": str(home.path), "PYTHONPATH": str(ROOT)}


def ledger(home: Home) -> list[str]:
    """What its lives have written down."""
    path = home.path / "ledger"
    return path.read_text().split() if path.exists() else []


def _note(home: Home, word: str) -> None:
    with (home.path / "ledger").open("a") as file:
        file.write(f"{word}\n")


async def serve(home: Home, *, task_status: trio.TaskStatus[Serving]) -> None:
    """Ready at once; returns when asked."""
    asked = trio.Event()

    async def reload() -> None:
        _note(home, "reload")

    task_status.started(Serving(port=4711, stop=asked.set, reload=reload, about=lambda: {"modules": 1}))
    _note(home, "ready")
    await asked.wait()
    _note(home, "clean")


async def record(home: Home, *, task_status: trio.TaskStatus[Serving]) -> None:
    """It appends to a real log without end, and notes down each number once it was told that it is durable."""
    async with open_wal(RealDisk(home.data / "wal")) as wal:
        task_status.started(Serving())
        _note(home, "ready")
        for number in itertools.count(time.monotonic_ns()):
            await wal.append([event(number)])
            _note(home, f"{number}")


async def stubborn(home: Home, *, task_status: trio.TaskStatus[Serving]) -> None:
    """Ready, and deaf to what it is asked."""
    task_status.started(Serving(stop=lambda: None))
    _note(home, "ready")
    await trio.sleep_forever()


async def hang(home: Home, *, task_status: trio.TaskStatus[Serving]) -> None:
    """Ready, and then the event loop stands still, once."""
    task_status.started(Serving())
    await trio.sleep(0.2)  # until it was announced
    _note(home, "ready")
    while ledger(home).count("ready") == 1:
        time.sleep(0.01)  # noqa: ASYNC251  # this is the fault
    await trio.sleep_forever()


async def refuse(home: Home, *, task_status: trio.TaskStatus[Serving]) -> None:
    """It says why it cannot start."""
    raise ConfigError("orgloop.yaml:3:1: unknown key 'sorces'; did you mean 'sources'?")


async def vanish(home: Home, *, task_status: trio.TaskStatus[Serving]) -> None:
    """It dies without a word, but for one on stderr."""
    print("the library has had enough", file=sys.stderr, flush=True)
    os._exit(3)


async def collapse(home: Home, *, task_status: trio.TaskStatus[Serving]) -> None:
    """Ready, and then an error that nobody expected."""
    task_status.started(Serving())
    try:
        await trio.sleep(0.01)
        raise ZeroDivisionError("no such luck")
    finally:
        _note(home, "clean")


def main(words: Sequence[str]) -> int:
    """Play the part that is named."""
    home = home_of(os.environ)
    part, *rest = words
    if part == "supervise":
        wedged_s = float(os.environ.get("WEDGED_S", "30"))
        return supervise(command(*rest), home, policy=Policy(wedged_s=wedged_s))
    parts = {one.__name__: one for one in (serve, record, stubborn, hang, refuse, vanish, collapse)}
    return run_daemon(parts[part], home, limits=Limits(stop_s=1.0, close_s=0.5, beat_s=0.1))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
