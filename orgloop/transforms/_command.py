"""
One command, run to its end: its input, its output, and nothing left of it afterwards.

Law: whichever way :func:`run` is left (an end, too much output, a deadline of the caller, a cancel), the command's
process group has been killed and the command itself reaped. Only what has moved to a session of its own escapes.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from subprocess import PIPE

import attrs
import trio

LIMIT_BYTES = 10 * 1024 * 1024
"""How much a command may write to its standard output."""

TAIL_BYTES = 4096
"""How much of the end of its standard error is kept."""

GRACE_S = 2.0
"""How long a command that was told to end (SIGTERM) is waited for, before its group is killed."""

LINGER_S = 0.1
"""How long output is waited for that others hold open when the command has ended."""


@attrs.frozen
class Ended:
    """How a command ended."""

    status: int
    """The exit status; below zero, the number of the signal that ended it."""
    stdout: bytes
    stderr: str
    """The last of it."""
    overflowed: bool = False
    """It wrote more than it may, and was ended for that."""


def environment(more: Mapping[str, str]) -> dict[str, str]:
    """What a command sees: where programs and its home are, its language, and ``more``; no other variable of ours."""
    ours = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return {"PATH": os.defpath, **ours, **more}


async def run(
    argv: Sequence[str],
    *,
    stdin: bytes,
    env: Mapping[str, str],
    cwd: str | None = None,
    limit_bytes: int = LIMIT_BYTES,
    grace_s: float = GRACE_S,
) -> Ended:
    """
    Run a command without a shell, and wait for its end: the command's own, not that of what it left behind.

    Whoever calls sets the deadline. A command need not read its input. Raises OSError or ValueError if it cannot be
    started.
    """
    process = await trio.lowlevel.open_process(
        argv, stdin=PIPE, stdout=PIPE, stderr=PIPE, env=dict(env), cwd=cwd, start_new_session=True
    )
    try:
        async with trio.open_nursery() as nursery:
            stdout = _Pipe(process.stdout, limit_bytes, overflow=nursery.cancel_scope.cancel)
            stderr = _Pipe(process.stderr, TAIL_BYTES)
            nursery.start_soon(_feed, process.stdin, stdin)
            nursery.start_soon(stdout.read)
            nursery.start_soon(stderr.read)
            await process.wait()
            with trio.move_on_after(LINGER_S):
                await stdout.ended.wait()
            nursery.cancel_scope.cancel("the command has ended")
        stdout.drain()
        stderr.drain()
    finally:
        await _end(process, grace_s)
    status = process.returncode
    return Ended(
        -signal.SIGKILL if status is None else status,
        bytes(stdout.kept),
        stderr.kept.decode("utf-8", "replace").strip(),
        stdout.overflowed,
    )


class _Pipe:
    """What comes out of a pipe: all of it up to a limit, or the last of it where nobody minds an overflow."""

    def __init__(self, stream: object, limit_bytes: int, *, overflow: Callable[[str], None] | None = None) -> None:
        assert isinstance(stream, trio.lowlevel.FdStream)
        self.kept = bytearray()
        self.overflowed = False
        self.ended = trio.Event()
        self._stream, self._limit_bytes, self._overflow = stream, limit_bytes, overflow

    async def read(self) -> None:
        """Read until the last writer closes."""
        while piece := await self._stream.receive_some():
            self._keep(piece)
        self.ended.set()

    def drain(self) -> None:
        """Take what lies in the pipe, so that nothing a command wrote before its end is lost, however late we are."""
        with suppress(BlockingIOError):
            while not self.overflowed and (piece := os.read(self._stream.fileno(), 65536)):
                self._keep(piece)

    def _keep(self, piece: bytes) -> None:
        self.kept += piece
        if len(self.kept) <= self._limit_bytes:
            return
        if self._overflow is None:
            del self.kept[: -self._limit_bytes]
        else:
            self.overflowed = True
            self._overflow("too much output")


async def _feed(stream: trio.abc.SendStream | None, text: bytes) -> None:
    assert stream is not None
    # A command may end, or close its input, without reading it.
    with suppress(trio.BrokenResourceError):
        await stream.send_all(text)
    await stream.aclose()


async def _end(process: trio.Process, grace_s: float) -> None:
    try:
        with trio.move_on_after(2 * grace_s, shield=True):
            if process.returncode is None:
                _signal_group(process, signal.SIGTERM)
                with trio.move_on_after(grace_s):
                    await process.wait()
            # Its children too, when it has ended itself: its number names the group while one of them lives.
            _signal_group(process, signal.SIGKILL)
            await process.wait()
    finally:
        for stream in (process.stdin, process.stdout, process.stderr):
            if isinstance(stream, trio.lowlevel.FdStream):
                stream.close()


def _signal_group(process: trio.Process, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)
