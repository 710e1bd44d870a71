"""
Every error raised on purpose, split by whose fault it is.

    OrgLoopError
    ├── EventError          the sender's: this is not an event            (also a ValueError)
    ├── ConfigError         the operator's file: all its faults at once
    ├── ModuleError         the caller's: a module is not there, is there already, or does not start
    │   └── UnknownSource   no loaded module has a source of that name that can be told anything
    ├── PluginError         a plug-in's: it broke its contract
    ├── WalError            our log's
    │   ├── WalFailed       a write or a sync failed; that handle is never used again
    │   ├── WalDamaged      bytes that were acknowledged are not what was written
    │   └── WalVersion      written by a version that this one does not know; left untouched
    ├── HomeError           the operator's: the home directory cannot be used as it is
    │   └── HomeTaken       another daemon runs there
    ├── BusFull             nobody's: more is waiting than may
    ├── Unavailable         nobody's: who was asked is not at work just now
    ├── StaleContinuation   the caller's: what it would acknowledge was not given to it in this run
    └── Closed              the caller's: the thing asked is over

An expected end (a delivery that is rejected, a poll that fails) is a value, not one of these.
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs


class OrgLoopError(Exception):
    """The root: catch it to catch all that OrgLoop raises on purpose."""


class EventError(OrgLoopError, ValueError):
    """What was given is not an event; the message names every fault, by field."""


@attrs.frozen
class Place:
    """Where something stands in a file; line and column are counted from 1."""

    file: str
    line: int
    column: int
    width: int = attrs.field(default=1, eq=False)
    """How many characters of the line are meant."""
    source: str = attrs.field(default="", eq=False)
    """The line itself, with what is secret taken out; empty if the file may not be shown."""

    def __str__(self) -> str:
        """As compilers write it, so that editors can jump to it."""
        return f"{self.file}:{self.line}:{self.column}"


@attrs.frozen
class Fault:
    """One thing that is wrong with what the operator wrote: the keys and list positions that lead there, and what."""

    path: tuple[str | int, ...]
    text: str
    code: str = attrs.field(default="OL1210", eq=False)
    """Stable; ``orgloop.config.codes`` explains it."""
    place: Place | None = attrs.field(default=None, eq=False)
    """None: what is wrong was not read from a file."""
    fix: str | None = attrs.field(default=None, eq=False)
    """What to do about this one, where that can be told."""


class ConfigError(OrgLoopError):
    """The operator wrote what cannot be: one line for each fault, which are also in ``faults``, one by one."""

    def __init__(self, message: str, faults: Sequence[Fault] = ()) -> None:
        super().__init__(message)
        self.faults = tuple(faults)


class ModuleError(OrgLoopError):
    """A module that was named is not there, or is there already, or one of its children does not start."""


class UnknownSource(ModuleError):
    """No loaded module has a source of that name that takes requests."""


class PluginError(OrgLoopError):
    """A source, actor, transform or logger returned or raised what its contract does not allow."""


class WalError(OrgLoopError):
    """Something is wrong with the write-ahead log."""


class WalFailed(WalError):
    """
    A write, a sync or a rename has failed, so nothing more may be acknowledged through this handle.

    The kernel may have dropped the page that it could not write, and a second sync would then succeed on nothing. Open
    the log again: recovery reads what is really there.
    """


class WalDamaged(WalError):
    """The log holds bytes that cannot have been written so; raised only where damage must not be passed over."""


class WalVersion(WalError):
    """The log was written by a version that this one does not know; nothing has been changed."""


class HomeError(OrgLoopError):
    """The home directory cannot be used as it is; the message says what is in the way, and what to do about it."""


class HomeTaken(HomeError):
    """Another daemon runs on this home; nothing has been changed."""


class BusFull(OrgLoopError):
    """Too many events are waiting to be settled; nothing was admitted, try again later."""


class Unavailable(OrgLoopError):
    """Who was asked is not at work just now; nothing was admitted, ask again in ``retry_after_s`` seconds."""

    def __init__(self, message: str, *, retry_after_s: float) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class StaleContinuation(OrgLoopError):
    """What is to be acknowledged was not given in this run, or was given for something else; nothing has changed."""


class Closed(OrgLoopError):
    """A call came after the end of what it was made to."""
