"""
The sign of life: told to the supervising process and to systemd every few seconds, and to everybody every 30 s, in a
file.

    {"pid": 42, "timestamp": "2026-01-31T09:00:00.000Z", "uptime_ms": 30012, "modules": 3}

Law: it is given only by the event loop itself, and only if the runtime says that it gets on. A runtime that hangs, or
turns without getting anywhere, falls silent.
"""

from __future__ import annotations

import json
import os
from collections.abc import Awaitable, Callable, Mapping

import attrs
import trio

from orgloop.event import timestamp_of

FILE_S = 30.0
"""How often the file is written."""

DISK_S = 3.0
"""How long a beat waits for the disk; after that the file is late, and we are not."""


@attrs.define
class Heartbeat:
    """What is asked, what is told, and how often."""

    is_progressing: Callable[[], bool]
    """Whether the runtime gets on, or has nothing to do."""
    tell: Callable[[], None]
    """Tells whoever supervises."""
    write: Callable[[], Awaitable[None]]
    """Writes the file."""
    beat_s: float
    """How often whoever supervises hears of us."""

    async def run(self) -> None:
        """Beat until cancelled."""
        file_due_s = trio.current_time()
        while True:
            if self.is_progressing():
                self.tell()
                if trio.current_time() >= file_due_s:
                    file_due_s = trio.current_time() + FILE_S
                    with trio.move_on_after(DISK_S):
                        await self.write()
            await trio.sleep(self.beat_s)


def encode_heartbeat(*, uptime_s: float, now_s: float, about: Mapping[str, object]) -> bytes:
    """The content of the file; ``now_s`` is Unix seconds."""
    members = {"pid": os.getpid(), "timestamp": timestamp_of(now_s), "uptime_ms": int(uptime_s * 1000)}
    return json.dumps({**members, **about}).encode() + b"\n"
