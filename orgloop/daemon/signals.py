"""
What signals ask of a runtime: a first SIGTERM or SIGINT to end, SIGHUP to read its configuration again.

After the first of the ending kind, both have the kernel's own effect again: the second ends the process at once, even
if the event loop hangs. So it is our own handler, and not a task, that takes the first. SIGUSR1 writes where every
thread is to stderr, by itself, without the event loop. What is asked often before it is heard is heard once.
"""

from __future__ import annotations

import contextlib
import faulthandler
import io
import signal
import sys
from collections.abc import Iterator
from types import FrameType

import attrs
import trio

ENDING = (signal.SIGTERM, signal.SIGINT)


@attrs.define(eq=False)
class Signals:
    """The signals that have come; :func:`open_signals` makes one."""

    _token: trio.lowlevel.TrioToken
    _come: list[int] = attrs.field(factory=list)
    _something: trio.Event = attrs.field(factory=trio.Event)

    async def next(self) -> int:
        """Wait for a signal; its number."""
        await self._something.wait()
        number = self._come.pop(0)
        if not self._come:
            self._something = trio.Event()
        return number

    def _take(self, number: int, _frame: FrameType | None) -> None:
        if number in ENDING:
            for ending in ENDING:
                signal.signal(ending, signal.SIG_DFL)
        with contextlib.suppress(trio.RunFinishedError):
            self._token.run_sync_soon(self._add, number)

    def _add(self, number: int) -> None:
        if number not in self._come:
            self._come.append(number)
            self._something.set()


@contextlib.contextmanager
def open_signals() -> Iterator[Signals]:
    """Take the signals of this process while the block runs; in the main thread, below ``trio.run``."""
    signals = Signals(trio.lowlevel.current_trio_token())
    before = {number: signal.signal(number, signals._take) for number in (*ENDING, signal.SIGHUP)}
    with contextlib.suppress(
        AttributeError, RuntimeError, ValueError, io.UnsupportedOperation
    ):  # there is no stderr to write to
        faulthandler.register(signal.SIGUSR1, file=sys.stderr, all_threads=True)
    try:
        yield signals
    finally:
        faulthandler.unregister(signal.SIGUSR1)
        for number, handler in before.items():
            signal.signal(number, handler)
