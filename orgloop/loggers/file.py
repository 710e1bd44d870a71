"""
Notices for machines: JSON, one line each, in a file that is rotated by size and by age.

A disk that is full costs lines, which are counted; once there is room again the file says how many. Lines are held
back until there are ``buffer.size`` of them, or ``buffer.flush_interval`` has passed since the last were written; a
notice after a quiet time is written at once. All calls block: the runtime makes them outside its event loop.
"""

from __future__ import annotations

import contextlib
import errno
import os
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Literal

import attrs
import trio
from attrs.validators import ge, gt

from orgloop.errors import ConfigError
from orgloop.event import timestamp_of
from orgloop.loggers._escape import json_line
from orgloop.loggers._rotation import put_aside, tidy
from orgloop.loggers._target import Target
from orgloop.sdk import Notice

CLOSE_S = 5.0
"""How long closing may wait for the medium."""

ROTATE_AGAIN_S = 60.0
"""After a rotation that failed, the next is tried no sooner."""

# Neither time nor room heals these: the operator has to.
_LASTING = {errno.EACCES, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.ENOTDIR, errno.EPERM}


@attrs.frozen(kw_only=True)
class Rotation:
    """When the file is put aside, and what is kept of those that were."""

    max_size_bytes: int = attrs.field(
        default=100 * 2**20, validator=gt(0), metadata={"yaml": "max_size", "unit": "size"}
    )
    max_age_s: float = attrs.field(
        default=7 * 86400.0, validator=gt(0), metadata={"yaml": "max_age", "unit": "duration"}
    )
    """Of the first line, to put the file aside; since then, to delete it."""
    max_files: int = attrs.field(default=10, validator=ge(0))
    compress: bool = True


@attrs.frozen(kw_only=True)
class Buffer:
    """How long lines may be held back."""

    size: int = attrs.field(default=100, validator=ge(1))
    flush_interval_s: float = attrs.field(
        default=1.0, validator=ge(0), metadata={"yaml": "flush_interval", "unit": "duration"}
    )


@attrs.frozen(kw_only=True)
class FileConfig:
    """Where to write, and how."""

    path: str = attrs.field(default="~/.orgloop/logs/orgloop.log", metadata={"path": True})
    """Below ``/dev/``, and where there is no regular file, nothing is rotated."""
    format: Literal["jsonl"] = "jsonl"
    rotation: Rotation = attrs.field(factory=Rotation, metadata={"aliases": ("rotate",)})
    buffer: Buffer = attrs.field(factory=Buffer)


class File:
    """
    Writes to one file, which no other may write to; an async context manager.

    ``lost`` counts the lines that could not be written, ``failed_rotations`` what its name says, ``last_error`` is the
    last reason for either. ``clock`` gives Unix seconds.
    """

    def __init__(self, config: FileConfig | None = None, *, clock: Callable[[], float] = time.time) -> None:
        self.lost = 0
        self.failed_rotations = 0
        self.last_error: str | None = None
        self._config = config or FileConfig()
        self._path = Path(os.path.abspath(os.path.expanduser(self._config.path)))
        self._clock = clock
        self._lines: list[bytes] = []
        self._flushed_s = -float("inf")
        self._target: Target | None = None
        self._told_of = 0
        self._rotate_from_s = -float("inf")
        self._closed = False

    async def __aenter__(self) -> File:
        """Open the file; ConfigError if only the operator can make that possible."""
        await trio.to_thread.run_sync(self._open)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Write what is held back, and see it onto the medium."""
        with trio.move_on_after(CLOSE_S, shield=True):
            await trio.to_thread.run_sync(self._close, abandon_on_cancel=True)

    def log(self, notice: Notice) -> None:
        """Take a notice; it is in the file after the next flush."""
        if self._closed:
            self.lost += 1
            return
        self._lines.append(json_line(notice))
        # A clock that was set back counts as time that has passed.
        if (
            len(self._lines) >= self._config.buffer.size
            or not 0 <= self._clock() - self._flushed_s < self._config.buffer.flush_interval_s
        ):
            self.flush()

    def flush(self) -> None:
        """Write what is held back, and rotate if it is time; for when no more notices are waiting."""
        lines, self._lines = self._lines, []
        now_s = self._flushed_s = self._clock()
        if not lines:
            return
        told = [self._confession(now_s)] if self.lost > self._told_of else []
        try:
            target = self._target = self._follow(now_s)
        except OSError as exc:
            self._lose(len(lines), exc)
            return
        written, reason = target.write(told + lines)
        if reason is not None:
            self._lose(len(lines) - max(0, written - len(told)), reason)
            return
        self._told_of = self.lost
        self._rotate_if_due(target, now_s)

    def _lose(self, count: int, reason: OSError) -> None:
        self.lost += count
        self.last_error = str(reason)

    def _confession(self, now_s: float) -> bytes:
        text = f"{self.lost} log lines have been lost so far, last because of: {self.last_error}"
        return json_line(Notice(timestamp=timestamp_of(now_s), phase="system.error", error=text))

    def _open(self) -> None:
        now_s = self._clock()
        try:
            self._target = self._follow(now_s)
        except OSError as exc:
            self.last_error = str(exc)
            if exc.errno in _LASTING:
                raise ConfigError(f"{self._path}: cannot be opened for logging: {exc.strerror}") from exc
            return
        if self._target.is_regular:
            self._trying_to_rotate(now_s, lambda: self._tidy(now_s))

    def _close(self) -> None:
        self.flush()
        self._closed = True
        if self._target is not None:
            self._target.close()

    def _follow(self, now_s: float) -> Target:
        """The file under our name: somebody may have moved or removed the one that we hold."""
        old = self._target
        if old is not None and old.is_at(self._path):
            return old
        try:
            new = Target.open(self._path, now_s=now_s)
        except OSError:
            if old is None or old.is_removed():
                raise
            return old
        if old is not None:
            old.close()
        return new

    def _rotate_if_due(self, target: Target, now_s: float) -> None:
        rotation = self._config.rotation
        full = target.size_bytes() >= rotation.max_size_bytes
        old = now_s - target.begun_s >= rotation.max_age_s
        if not target.is_regular or not (full or old) or 0 < self._rotate_from_s - now_s <= ROTATE_AGAIN_S:
            return
        self._trying_to_rotate(now_s, lambda: self._rotate(target, now_s))

    def _trying_to_rotate(self, now_s: float, step: Callable[[], None]) -> None:
        try:
            step()
        except OSError as exc:
            self.failed_rotations += 1
            self.last_error = str(exc)
            self._rotate_from_s = now_s + ROTATE_AGAIN_S

    def _rotate(self, target: Target, now_s: float) -> None:
        aside = put_aside(self._path, now_s=now_s)
        try:
            self._target = Target.open(self._path, now_s=now_s)
        except OSError:
            with contextlib.suppress(OSError):
                aside.rename(self._path)
            raise
        target.close()
        self._tidy(now_s)

    def _tidy(self, now_s: float) -> None:
        rotation = self._config.rotation
        tidy(
            self._path,
            now_s=now_s,
            compress=rotation.compress,
            max_files=rotation.max_files,
            max_age_s=rotation.max_age_s,
        )
