"""
One command, run to its end: an argument vector, never a shell; its input, the last of its output, and nothing left.

Law: whichever way :func:`run` is left (an end, a deadline of the caller, a cancel), the command's process group has
been killed and the command itself reaped. Only what has moved to a session of its own escapes.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from subprocess import PIPE

import attrs
import trio

KEEP_BYTES = 64 * 1024
"""How much of the end of each of its outputs is kept; what comes before is read, and forgotten."""

GRACE_S = 5.0
"""How long a command that was told to end (SIGTERM) is waited for, before its group is killed."""

LINGER_S = 0.1
"""How long output is waited for that others hold open when the command has ended."""

MIN_SECRET_CHARS = 4
"""A shorter text is no secret, and blotting it out would spoil every sentence."""


@attrs.frozen
class Output:
    """What came out of one pipe."""

    kept: bytes
    """The last of it."""
    whole: bool
    """Whether that is all of it."""

    def text(self, secrets: Sequence[str] = ()) -> str:
        """As text, without secrets and without what a terminal obeys."""
        said = self.kept.decode("utf-8", "replace")
        hidden = sorted((secret for secret in secrets if len(secret) >= MIN_SECRET_CHARS), key=len, reverse=True)
        if not self.whole:
            said = _without_end_of(hidden, said)
        for secret in hidden:
            said = said.replace(secret, "***")
        said = said.replace("\r\n", "\n").replace("\r", "\n")
        return "".join(c if c.isprintable() or c in "\n\t" else "\ufffd" for c in said).strip()


@attrs.frozen
class Ended:
    """How a command ended."""

    status: int
    """As a shell has it: 128 and the number of a signal, if one has ended it."""
    signal: str | None
    """The name of that signal."""
    stdout: Output
    stderr: Output


def _without_end_of(secrets: Sequence[str], said: str) -> str:
    """
    What is left of a text whose beginning is lost, if it was cut within a secret.

    >>> _without_end_of(["planted-key"], "ted-key, and more")
    ', and more'
    """
    said = said.lstrip("\ufffd")  # what is left of a character that was cut
    ends = (secret[at:] for secret in secrets for at in range(1, len(secret) - MIN_SECRET_CHARS + 1))
    return said.removeprefix(max((end for end in ends if said.startswith(end)), key=len, default=""))


def environment(more: Mapping[str, str]) -> dict[str, str]:
    """What a command sees: where programs and its home are, its language, and ``more``; no other variable of ours."""
    ours = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return {"PATH": os.defpath, **ours, **more}


async def run(
    argv: Sequence[str],
    *,
    stdin: bytes = b"",
    env: Mapping[str, str],
    cwd: str,
    keep_bytes: int = KEEP_BYTES,
    grace_s: float = GRACE_S,
    hear: Callable[[bytes], None] | None = None,
) -> Ended:
    """
    Run a command, and wait for its end: the command's own, not that of what it left behind.

    Whoever calls sets the deadline. A command need not read its input. ``hear`` is given its standard output, piece by
    piece, as it comes. Raises OSError or ValueError if it cannot be started.
    """
    process = await trio.lowlevel.open_process(
        argv, stdin=PIPE, stdout=PIPE, stderr=PIPE, env=dict(env), cwd=cwd, start_new_session=True
    )
    try:
        async with trio.open_nursery() as nursery:
            pipes = [_Pipe(process.stdout, keep_bytes, hear), _Pipe(process.stderr, keep_bytes)]
            nursery.start_soon(_feed, process.stdin, stdin)
            for pipe in pipes:
                nursery.start_soon(pipe.read)
            await process.wait()
            with trio.move_on_after(LINGER_S):
                for pipe in pipes:
                    await pipe.ended.wait()
            nursery.cancel_scope.cancel("the command has ended")
        for pipe in pipes:
            pipe.drain()
    finally:
        await _end(process, grace_s)
    status = process.returncode
    assert status is not None
    out, err = (Output(bytes(pipe.kept), not pipe.forgot) for pipe in pipes)
    return Ended(status, None, out, err) if status >= 0 else Ended(128 - status, _name_of(-status), out, err)


def _name_of(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


class _Pipe:
    """Reads all that comes out of a pipe, and keeps the last of it."""

    def __init__(self, stream: object, keep_bytes: int, hear: Callable[[bytes], None] | None = None) -> None:
        assert isinstance(stream, trio.lowlevel.FdStream)
        self.kept = bytearray()
        self.forgot = False
        self.ended = trio.Event()
        self._stream, self._keep_bytes, self._hear = stream, keep_bytes, hear

    async def read(self) -> None:
        """Read until the last writer closes."""
        while piece := await self._stream.receive_some():
            self._keep(piece)
        self.ended.set()

    def drain(self) -> None:
        """Take what lies in the pipe, but no more than is kept: who holds it open may write for ever."""
        with suppress(BlockingIOError):
            for _ in range(1 + self._keep_bytes // 65536):
                if not (piece := os.read(self._stream.fileno(), 65536)):
                    return
                self._keep(piece)

    def _keep(self, piece: bytes | bytearray) -> None:
        if self._hear is not None:
            self._hear(bytes(piece))
        self.kept += piece
        if len(self.kept) > self._keep_bytes:
            self.forgot = True
            del self.kept[: -self._keep_bytes]


async def _feed(stream: trio.abc.SendStream | None, text: bytes) -> None:
    assert stream is not None
    # A command may end, or close its input, without reading it.
    with suppress(trio.BrokenResourceError):
        await stream.send_all(text)
    await stream.aclose()


async def _end(process: trio.Process, grace_s: float) -> None:
    try:
        with trio.CancelScope(shield=True):
            if process.returncode is None:
                _signal_group(process, signal.SIGTERM)
                with trio.move_on_after(grace_s):
                    await process.wait()
            # Its children too, when it has ended itself: its number names the group while one of them lives.
            _signal_group(process, signal.SIGKILL)
            # Bounded: nothing but the kernel outlives SIGKILL, and that is nobody's to wait for.
            with trio.move_on_after(grace_s):
                await process.wait()
    finally:
        for stream in (process.stdin, process.stdout, process.stderr):
            if isinstance(stream, trio.lowlevel.FdStream):
                stream.close()


def _signal_group(process: trio.Process, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)
