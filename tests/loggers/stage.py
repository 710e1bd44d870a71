"""Notices, a clock that a test sets, a log file, and a process that may not have more."""

from __future__ import annotations

import contextlib
import json
import resource
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs

from orgloop.loggers import File, FileConfig
from orgloop.loggers.file import Buffer, Rotation
from orgloop.sdk import Notice

AT = "2023-11-14T22:13:20.250Z"
AT_S = 1_700_000_000.25


def notice(phase: str = "source.emit", **fields: Any) -> Notice:
    return Notice(**{"timestamp": AT, "phase": phase, **fields})


@attrs.define
class Clock:
    """Unix seconds."""

    now_s: float = AT_S

    def __call__(self) -> float:
        return self.now_s


def file(path: Path, clock: Clock | None = None, *, size: int = 1, interval_s: float = 1, **rotation: Any) -> File:
    """A logger that holds nothing back unless it is told to."""
    config = FileConfig(
        path=str(path),
        buffer=Buffer(size=size, flush_interval_s=interval_s),
        rotation=Rotation(**rotation),
    )
    return File(config, clock=clock or Clock())


def errors(path: Path) -> list[str]:
    """What the lines of a file say."""
    return [json.loads(line).get("error") for line in path.read_text().splitlines()]


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@contextlib.contextmanager
def limited(kind: int, soft: int) -> Iterator[None]:
    """A process that may not have more of something."""
    before = resource.getrlimit(kind)
    resource.setrlimit(kind, (soft, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(kind, before)


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())
