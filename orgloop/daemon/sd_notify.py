"""
Tell systemd how it goes, as sd_notify(3) does: one datagram to the socket that ``NOTIFY_SOCKET`` names.
"""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Mapping, MutableMapping

import attrs


@attrs.frozen
class Notifier:
    """Where to tell it, and how often the watchdog wants to hear of us; both None if it is not systemd that asks."""

    address: str | None = None
    watchdog_s: float | None = None

    def tell(self, *lines: str) -> None:
        """``READY=1``, ``WATCHDOG=1``, ``STOPPING=1`` …; a service manager that does not listen holds nobody up."""
        if self.address is not None:
            with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
                out.setblocking(False)
                out.sendto("\n".join(lines).encode(), self.address)

    def reloading(self) -> None:
        """What ``Type=notify-reload`` waits for: since when, on the clock that both know."""
        self.tell("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")


def take_notifier(environ: MutableMapping[str, str]) -> Notifier:
    """Take the socket out of the environment, so that nothing that is started later speaks for us."""
    found = notifier_of(environ)
    for name in ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"):
        environ.pop(name, None)
    return found


def notifier_of(environ: Mapping[str, str], *, pid: int | None = None) -> Notifier:
    """
    What the environment says; an address that begins with ``@`` is an abstract socket.

    >>> notifier_of({"NOTIFY_SOCKET": "@orgloop", "WATCHDOG_USEC": "30000000"})
    Notifier(address='\\x00orgloop', watchdog_s=30.0)
    """
    named, every_us = environ.get("NOTIFY_SOCKET", ""), environ.get("WATCHDOG_USEC", "")
    if not named.startswith(("/", "@")):
        return Notifier()
    is_ours = environ.get("WATCHDOG_PID", str(pid or os.getpid())) == str(pid or os.getpid())
    watchdog_s = int(every_us) / 1e6 if is_ours and every_us.isdigit() and int(every_us) else None
    return Notifier("\0" + named[1:] if named.startswith("@") else named, watchdog_s)
