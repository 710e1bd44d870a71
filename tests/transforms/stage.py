"""Events and a place for a transform to stand in: the fixtures of the transforms' stories."""

from __future__ import annotations

import stat
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import attrs
import trio

from orgloop.event import Event
from orgloop.sdk import Context, Transform


@attrs.define
class FakeMarks:
    """Marks in memory, for one event after another, at a time that a test sets."""

    now_s: float = 0.0
    seen: dict[str, float] = attrs.field(factory=dict)

    def is_first(self, key: str, *, window_s: float) -> bool:
        if key in self.seen and self.now_s < self.seen[key] + window_s:
            return False
        self.seen[key] = self.now_s
        return True


def event(payload: Any = None, **provenance: Any) -> Event:
    return Event(
        "github",
        "resource.changed",
        {"platform": "github", **provenance},
        {} if payload is None else payload,
        id="evt_1",
        timestamp="2023-11-14T22:13:20.000Z",
        trace_id="trc_1",
        module="engineering",
        ancestors=("evt_0",),
    )


def context(marks: FakeMarks | None = None, now_s: float = 1_700_000_000.0) -> Context:
    return Context(
        module="engineering",
        route="reviews",
        source="github",
        target="reviewer",
        event_type="resource.changed",
        now_s=now_s,
        marks=marks or FakeMarks(),
    )


def applied(transform: Transform, to: Event, at: Context | None = None) -> Event | None:
    """What a transform that does not wait makes of an event."""
    made = transform.apply(to, at or context())
    assert not isinstance(made, Awaitable)
    return made


async def awaited(transform: Transform, to: Event) -> Event | None:
    """What a transform that waits makes of an event."""
    made = transform.apply(to, context())
    assert isinstance(made, Awaitable)
    return await made


async def appeared(path: Path) -> str:
    """Wait until a file has a line; the line."""
    return await _until(lambda: path.read_text().strip() if path.exists() else "")


async def gone(pid: int) -> None:
    """Wait until there is no such process, or it is a zombie of somebody else's."""
    await _until(lambda: "" if _alive(pid) else "gone")


async def _until(found: Callable[[], str]) -> str:
    with trio.fail_after(5):
        while not (text := found()):  # noqa: ASYNC110 - other processes set no events
            await trio.sleep(0.005)
    return text


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def executable(path: Path, text: str, interpreter: str = "/bin/sh") -> str:
    """Write a script that can be run; its path."""
    path.write_text(f"#!{interpreter}\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)
