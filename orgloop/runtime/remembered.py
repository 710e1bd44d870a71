"""
Which projects are loaded, written down so that the next run of the daemon can load them again.

    {"modules": [{"name": "engineering", "sourceDir": "/srv/eng", "configPath": "/srv/eng/orgloop.yaml",
                  "loadedAt": "2026-01-31T09:00:00.000Z", "workspace": "default"}]}

The names are those of the original. A file that cannot be read is put aside, and said so; nobody is loaded by guessing.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import attrs
import msgspec

from orgloop.delivery import _files as disk
from orgloop.event import timestamp_of

FILE = "modules.json"

LIMIT_BYTES = 4 * 1024 * 1024
"""What is longer was not written by us."""


@attrs.frozen(kw_only=True)
class Entry:
    """One project that was loaded."""

    name: str
    sourceDir: str  # noqa: N815 - the original's word, as are the next two
    configPath: str  # noqa: N815
    loadedAt: str  # noqa: N815
    workspace: str = "default"


@attrs.frozen
class _File:
    modules: list[Entry]


class Unreadable(Exception):
    """What stands in the file cannot be read; where it is now, and why."""


def remember(home: Path, entries: Sequence[Entry]) -> None:
    """Write down what is loaded; ``OSError`` if that cannot be."""
    disk.write_atomic(home, FILE, msgspec.json.format(msgspec.json.encode(_File(list(entries)))) + b"\n")


def recall(home: Path, *, now_s: float) -> list[Entry]:
    """What was loaded; :class:`Unreadable`, and then the file is put aside."""
    try:
        return msgspec.json.decode(disk.read(home, FILE, limit_bytes=LIMIT_BYTES), type=_File).modules
    except FileNotFoundError:
        return []
    except (OSError, msgspec.MsgspecError, UnicodeError, RecursionError) as exc:
        aside = home / f"{FILE}.unreadable-{timestamp_of(now_s).replace(':', '')}"
        os.replace(home / FILE, aside)
        raise Unreadable(f"{home / FILE} cannot be read, and is now {aside}: {exc}") from exc
