"""
Start a daemon in the background, and come back when it is ready, or with the reason why it is not.

The daemon has a session of its own, nothing to read from, and two log files to print to. It says over a pipe how its
start went; if it dies without a word, the last lines of its log are the reason.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import time
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import attrs

from orgloop.daemon.home import Home, prepare_home
from orgloop.daemon.logs import open_log, tail_of
from orgloop.daemon.report import READY_FD, Word, Words
from orgloop.errors import HomeError

START_S = 120.0
"""How long to wait for a daemon; to read a log of 1 GiB takes it up to 60 s."""

BURY_S = 5.0
"""How long to wait for the exit code of a daemon that has closed its end of the pipe."""


@attrs.frozen
class Started:
    """It is ready; ``pid`` is whom to signal, the supervising process if there is one."""

    pid: int
    port: int | None


@attrs.frozen
class NotStarted:
    """It is not ready, and why."""

    reason: str


def start_in_background(
    command: Sequence[str], home: Home, *, environ: Mapping[str, str] = os.environ, timeout_s: float = START_S
) -> Started | NotStarted:
    """Start ``command``, which calls ``run_daemon`` or ``supervise`` on this home, and wait until it is ready."""
    try:
        prepare_home(home)
        with contextlib.ExitStack() as stack:
            ends = zip(os.pipe(), ("rb", "wb"), strict=True)
            reader, writer = [stack.enter_context(open(end, mode, buffering=0)) for end, mode in ends]
            out, err = (_opened(stack, path) for path in (home.stdout_log, home.stderr_log))
            down = {**environ, "ORGLOOP_HOME": str(home.path), READY_FD: str(writer.fileno())}
            start = os.fstat(err).st_size
            process = subprocess.Popen(
                command,
                env=down,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                pass_fds=(writer.fileno(),),
                start_new_session=True,
            )
            writer.close()  # from here on, its end is the daemon's
            word = _wait_for_word(reader.fileno(), timeout_s)
    except HomeError as exc:
        return NotStarted(str(exc))
    except OSError as exc:
        return NotStarted(f"{exc.filename or command[0]}: {exc.strerror}")
    found = _verdict(word, process, home.stderr_log, start=start, timeout_s=timeout_s)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # that it goes on running is what we are for
        del process
    return found


def _verdict(
    word: Word | None, process: subprocess.Popen[bytes], log: Path, *, start: int, timeout_s: float
) -> Started | NotStarted:
    if word is not None and word.word == "ready":
        return Started(word.pid or process.pid, word.port)
    if word is not None and word.word == "failed":
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(BURY_S)
        return NotStarted(word.reason or f"it gave no reason; see {log}")
    if word is not None:
        waited = f"process {process.pid} is not ready after {timeout_s:g} s, and goes on trying"
        return NotStarted(f"{waited}; see: orgloop status, {log}")
    try:
        code = process.wait(BURY_S)
    except subprocess.TimeoutExpired:
        return NotStarted(f"process {process.pid} does not say how its start went; see {log}")
    how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
    said = tail_of(log, start=start)
    return NotStarted(f"process {process.pid} {how} before it was ready" + (f":\n{said}" if said else f"; see {log}"))


def _wait_for_word(reader: int, timeout_s: float) -> Word | None:
    """``ready`` or ``failed``; None if its end of the pipe was closed without; ``late`` if nothing has come in time."""
    words, until_s = Words(), time.monotonic() + timeout_s
    poll = select.poll()
    poll.register(reader, select.POLLIN)
    while poll.poll(max(0.0, until_s - time.monotonic()) * 1000):
        received = os.read(reader, 65536)
        if not received:
            return None
        for word in words.feed(received):
            return word
    return Word("late")


def _opened(stack: contextlib.ExitStack, path: Path) -> int:
    descriptor = open_log(path)
    stack.callback(os.close, descriptor)
    return descriptor
