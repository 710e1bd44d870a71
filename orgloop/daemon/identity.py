"""
Which process is meant: a process id is used again, so it is held together with the time at which the process began.

Law: a signal goes only to a process whose beginning has been compared after it was pinned. Between the two the kernel
may give the number to somebody else, but a pinned process (a pidfd, where the kernel has them) stays what it was.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import attrs

LOOK_EVERY_S = 0.01
"""How often to look whether a process is gone, where the kernel cannot tell."""

PROC = Path("/proc")


@attrs.frozen
class Identity:
    """One process, and no other that ever had or will have its number."""

    pid: int
    started: str
    """When it began, in words that only :func:`identity_of` understands."""


def identity_of(pid: int, *, proc: Path = PROC) -> Identity | None:
    """Who has this process id now; None if nobody, or one that has ended and waits to be buried."""
    if pid < 1:
        return None  # to signal these would mean a group, or everybody
    if (proc / "self" / "stat").exists():
        return _from_proc(pid, proc)
    return _from_ps(pid)


def _from_proc(pid: int, proc: Path) -> Identity | None:
    try:
        stat = (proc / str(pid) / "stat").read_text(errors="replace")
        boot = (proc / "sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return None
    # The second field is the command in parentheses, and may hold anything, parentheses as well.
    state, *fields = stat.rpartition(")")[2].split()
    return None if state in "ZX" else Identity(pid, f"{boot}/{fields[18]}")


def _from_ps(pid: int) -> Identity | None:
    """Where there is no /proc: to the second, which is enough beside a number that is not used again so soon."""
    command = ["ps", "-o", "stat=,lstart=", "-p", str(pid)]
    found = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=5, env={**os.environ, "LC_ALL": "C"}
    )
    state, _, started = found.stdout.strip().partition(" ")
    return Identity(pid, " ".join(started.split())) if started and not state.startswith("Z") else None


def is_alive(identity: Identity) -> bool:
    """Whether that very process still runs."""
    return identity_of(identity.pid) == identity


@attrs.define
class Pinned:
    """A process that cannot be mistaken for another while this is open; :func:`pin` makes one."""

    identity: Identity
    _descriptor: int | None

    def signal(self, number: int) -> bool:
        """Send a signal; False if the process is gone. Raises ``PermissionError`` if it is another user's."""
        try:
            if self._descriptor is not None:
                signal.pidfd_send_signal(self._descriptor, number)
                return True
            if not is_alive(self.identity):
                return False
            os.kill(self.identity.pid, number)
        except ProcessLookupError:
            return False
        return True

    def wait(self, timeout_s: float) -> bool:
        """Wait for its end, but no longer; whether it has ended."""
        if self._descriptor is not None:
            waiting = select.poll()
            waiting.register(self._descriptor, select.POLLIN)
            return bool(waiting.poll(max(0.0, timeout_s) * 1000))
        until_s = time.monotonic() + timeout_s
        while is_alive(self.identity):
            if time.monotonic() >= until_s:
                return False
            time.sleep(LOOK_EVERY_S)
        return True


@contextlib.contextmanager
def pin(identity: Identity) -> Iterator[Pinned | None]:
    """Hold on to that process, if it still runs."""
    descriptor = _pidfd(identity.pid)
    try:
        # Compared after it was opened: what is open now is what is compared.
        yield Pinned(identity, descriptor) if is_alive(identity) else None
    finally:
        if descriptor is not None:
            os.close(descriptor)


def _pidfd(pid: int) -> int | None:
    """None where the kernel has no such thing, or the process is gone."""
    if not hasattr(os, "pidfd_open"):
        return None
    with contextlib.suppress(OSError):
        return os.pidfd_open(pid)
    return None
