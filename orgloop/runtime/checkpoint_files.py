"""
Copies of checkpoints, one small file for each source: readable by a person, by us, and by the original.

    {"checkpoint": "2026-01-31T09:00:00Z", "updated_at": "2026-01-31T09:00:04.123Z",
     "module": "engineering", "source": "github", "fingerprint": "5f0c…", "check": "9b1d…"}

The original writes the first two members, which are all that is needed. ``check`` is a hash of the others, so that a
damaged file is not taken for another place. A file that is not all this is passed over, with a notice, for the next
older one: what the original left in a directory ``checkpoints`` inside this one, which is where its real default is.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import attrs
import trio

from orgloop.delivery import _files as disk
from orgloop.event import timestamp_of

EVERY_S = 5.0
"""A source's copy is written no more often."""

PER_PASS = 250
"""How many copies are written in one go, so that thousands of busy sources do not keep the disk from the log."""

CLOSE_S = 4.0
"""How long writing what is left may take at the end; what is not written then is still on the bus."""

LIMIT_BYTES = 8 * 1024 * 1024
"""What is longer is no checkpoint."""

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_MEMBERS = {"checkpoint", "updated_at", "module", "source", "fingerprint", "check"}

InThread = Callable[[Callable[[], Any]], Awaitable[Any]]


@attrs.frozen
class Copy:
    """What a file says; the last three are None in one of the original's."""

    checkpoint: str
    module: str | None = None
    source: str | None = None
    fingerprint: str | None = None


# -- content (pure) ----------------------------------------------------------------------------------------------------


def file_name(source: str) -> str:
    """
    The name of a source's file: no id leads out of the directory, nor to the file of another.

    >>> file_name("github")
    'github.json'
    """
    if _ID.fullmatch(source):
        return f"{source}.json"
    return f"_{hashlib.sha256(source.encode('utf-8', 'surrogatepass')).hexdigest()[:32]}.json"


def encode_copy(copy: Copy, *, now_s: float) -> bytes:
    """The content of a file; ``now_s`` is Unix seconds."""
    members = {
        "checkpoint": copy.checkpoint,
        "updated_at": timestamp_of(now_s),
        "module": copy.module,
        "source": copy.source,
        "fingerprint": copy.fingerprint,
    }
    return json.dumps({**members, "check": _check(members)}, ensure_ascii=False, indent=2).encode() + b"\n"


def decode_copy(content: bytes) -> Copy:
    """What a file says; ``ValueError`` with the reason if it is none of ours and none of the original's."""
    try:
        found = json.loads(content.decode(), object_pairs_hook=_members, parse_constant=_refuse_constant)
    except RecursionError as exc:
        raise ValueError("nested too deeply") from exc
    if not isinstance(found, dict) or not found.keys() <= _MEMBERS:
        raise ValueError("not the members of a checkpoint file")
    check = found.pop("check", None)
    if check is not None and check != _check(found):
        raise ValueError(
            "its check does not fit: it was damaged, or changed by hand; remove the member to have it read"
        )
    if not isinstance(found.get("checkpoint"), str):
        raise ValueError("no checkpoint in it")
    if not all(isinstance(value, str) for value in found.values()):
        raise ValueError("a member is not a string")
    return Copy(found["checkpoint"], found.get("module"), found.get("source"), found.get("fingerprint"))


def _check(members: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(members, sort_keys=True).encode()).hexdigest()[:16]


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(members := dict(pairs)) < len(pairs):
        raise ValueError("a member stands there twice")
    return members


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


# -- files -------------------------------------------------------------------------------------------------------------


@attrs.define(eq=False)
class CheckpointFiles:
    """
    The copies of the sources of a module, in one directory; written while :meth:`run` runs.

    Stop it after the sources, so that it sees their last checkpoints. A disk that fails holds nobody up: that is told
    once, and tried again.
    """

    directory: Path
    _tell: Callable[..., None]
    _in_thread: InThread = trio.to_thread.run_sync
    _now_s: Callable[[], float] = time.time
    _to_write: dict[str, Copy] = attrs.field(factory=dict, init=False)
    _something: trio.Event = attrs.field(factory=trio.Event, init=False)
    _has_failed: bool = attrs.field(default=False, init=False)
    _ready_s: float = attrs.field(default=-math.inf, init=False)

    async def read(self, module: str, source: str) -> Copy | None:
        """The newest sound copy of a source's checkpoint; what had to be passed over is told."""
        for directory in (self.directory, self.directory / "checkpoints"):
            name = file_name(source)
            try:
                content = await self._in_thread(partial(disk.read, directory, name, limit_bytes=LIMIT_BYTES))
                copy = decode_copy(content)
            except FileNotFoundError:
                continue
            except (OSError, ValueError) as exc:
                self._alarm(f"{directory / name} is passed over: {exc}", module, source)
                continue
            if (copy.module or module, copy.source or source) == (module, source):
                return copy
            self._alarm(f"{directory / name} is passed over: it is {copy.module}/{copy.source}'s", module, source)
        return None

    def put(self, copy: Copy) -> None:
        """Have a copy written, in place of one that still waits."""
        self._to_write[copy.source or ""] = copy
        self._something.set()

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Write until cancelled, then write what is left."""
        task_status.started()
        try:
            while True:
                await trio.sleep_until(self._ready_s)
                await self._something.wait()
                await self._write(PER_PASS)
                self._ready_s = trio.current_time() + EVERY_S
        finally:
            with trio.move_on_after(CLOSE_S, shield=True):
                await self._write(len(self._to_write))

    async def _write(self, count: int) -> None:
        """Write those that have waited for longest."""
        for source, copy in list(self._to_write.items())[:count]:
            content = encode_copy(copy, now_s=self._now_s())
            try:
                await self._in_thread(partial(disk.write_atomic, self.directory, file_name(source), content))
            except OSError as exc:
                self._to_write[source] = self._to_write.pop(source)  # behind the others
                if not self._has_failed:
                    self._alarm(f"{self.directory / file_name(source)} cannot be written: {exc}", copy.module, source)
                self._has_failed = True
                continue
            self._has_failed = False
            if self._to_write[source] is copy:  # else a newer one has come meanwhile
                del self._to_write[source]
        if not self._to_write:
            self._something = trio.Event()

    def _alarm(self, error: str, module: str | None, source: str) -> None:
        self._tell("system.error", module=module, source=source, error=error)
