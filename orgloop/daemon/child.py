"""
One life of the runtime, as its supervising process sees it: how it is started, heard, ended, and buried.

Law: it is not waited for, and its process id is not given back before what it left behind is ended; until then the
number cannot mean anybody else.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
from collections.abc import Mapping, Sequence

import attrs

from orgloop.daemon.owner import Lock
from orgloop.daemon.report import LOCK_FD, PARENT_FD, Word, Words


@attrs.define
class Child:
    """A runtime from its start to its death; :func:`start_child` makes one."""

    process: subprocess.Popen[bytes]
    ear: socket.socket
    """What it says; closed at its end, by which the runtime would know that we are gone."""
    began_s: float
    silent_s: float = 0.0
    has_spoken: bool = False
    """Its first word comes after it has learnt to obey signals."""
    reason: str | None = None
    """Why it did not start, in its own words."""
    kill_at_s: float | None = None
    was_wedged: bool = False
    _words: Words = attrs.field(factory=Words)

    @property
    def pid(self) -> int:
        """Its process id; no other process has it before :meth:`bury`."""
        return self.process.pid

    def hear(self) -> list[Word]:
        """What it has said since it was last heard."""
        with contextlib.suppress(BlockingIOError, ConnectionResetError):
            words = list(self._words.feed(self.ear.recv(65536)))
            if words:
                self.silent_s, self.has_spoken = 0.0, True
            return words
        return []

    def signal(self, number: int) -> None:
        """Send it a signal, and nobody else."""
        os.kill(self.pid, number)

    def kill(self) -> None:
        """End it, and all that it started and did not set free."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)

    def has_ended(self) -> bool:
        """Whether it is dead; it is not buried by that."""
        if not hasattr(os, "waitid"):
            return self.process.poll() is not None
        return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def bury(self) -> int:
        """Give back what a dead one holds; its exit code, negative if a signal has ended it."""
        if hasattr(os, "waitid"):
            end = os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
            if end is not None and end.si_status != 0:
                self.kill()  # a delivery that is tried again must not meet itself
        self.ear.close()
        return self.process.wait()


def start_child(command: Sequence[str], environ: Mapping[str, str], lock: Lock, *, now_s: float) -> Child:
    """
    Start a runtime that shares our lock and talks to us; raises ``OSError`` if the command cannot be run.

    It has a session of its own: a Ctrl-C at the terminal is for us alone to hear, and to hand on.
    """
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    down = {
        **environ,
        "ORGLOOP_HOME": str(lock.home.path),
        LOCK_FD: str(lock.descriptor),
        PARENT_FD: str(theirs.fileno()),
    }
    with theirs:
        try:
            process = subprocess.Popen(
                command,
                env=down,
                stdin=subprocess.DEVNULL,
                pass_fds=(lock.descriptor, theirs.fileno()),
                start_new_session=True,
            )
        except OSError:
            ours.close()
            raise
    return Child(process, ours, now_s)
