"""
Stop a daemon: ask, wait for the home to be free, and only with force do more than ask.

Nothing here sleeps for a length that was guessed: the kernel tells when the process has ended.
"""

from __future__ import annotations

import signal
import time

import attrs

from orgloop.daemon.home import Home
from orgloop.daemon.identity import Identity, pin
from orgloop.daemon.owner import LOOK_EVERY_S, Owner, find_owner, is_free

STOP_S = 15.0
"""How long a stop may take: the daemon gives what is under way 10 s, and itself 2 s."""


@attrs.frozen
class Stopped:
    """The home is free."""

    pid: int
    took_s: float
    was_killed: bool = False


@attrs.frozen
class NotStopped:
    """The daemon still runs, and why."""

    pid: int
    reason: str


def stop_owner(home: Home, owner: Owner, *, force: bool = False, timeout_s: float = STOP_S) -> Stopped | NotStopped:
    """
    Have the owner of a home end: SIGTERM, then ``timeout_s`` to stop sources, drain and write what is left.

    With ``force`` what then still runs is killed, by which nothing that was admitted is lost. The signal goes to the
    very process that was found, or to nobody.
    """
    began_s = time.monotonic()
    pid = owner.process.pid
    try:
        if _ask(home, owner.process, timeout_s):
            return Stopped(pid, time.monotonic() - began_s)
        if force and _kill(home, timeout_s):
            return Stopped(pid, time.monotonic() - began_s, was_killed=True)
    except PermissionError:
        return NotStopped(pid, f"process {pid} belongs to another user; ask over HTTP, or stop it as that user")
    waited = "it was killed, and still holds the home" if force else "kill it with: orgloop stop --force"
    return NotStopped(pid, f"process {pid} has not ended within {timeout_s:g} s; {waited}")


def _ask(home: Home, process: Identity, timeout_s: float) -> bool:
    until_s = time.monotonic() + timeout_s
    with pin(process) as pinned:
        if pinned is not None and pinned.signal(signal.SIGTERM):
            pinned.wait(until_s - time.monotonic())
    return _wait_until_free(home, until_s)


def _kill(home: Home, timeout_s: float) -> bool:
    """The supervising process first: it would restart the runtime."""
    found = find_owner(home)  # the runtime may be another than at the beginning
    until_s = time.monotonic() + timeout_s
    for process in (found.process, found.runtime) if isinstance(found, Owner) else ():
        if process is not None:
            with pin(process) as pinned:
                if pinned is not None and pinned.signal(signal.SIGKILL):
                    pinned.wait(until_s - time.monotonic())
    return _wait_until_free(home, until_s)


def _wait_until_free(home: Home, until_s: float) -> bool:
    """A runtime may outlive its supervising process for the moment that its own stop takes."""
    while not is_free(home):
        if time.monotonic() >= until_s:
            return False
        time.sleep(LOOK_EVERY_S)
    return True
