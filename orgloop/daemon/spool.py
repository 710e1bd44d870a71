"""
Where a hook leaves what it could not hand over: a file for each request, until a daemon takes it in.

    <home>/spool/<when>-<random>.json    {"source": "claude-code", "module": null, "headers": {…}, "body": "{…}"}

Law: a file is there as a whole or not at all, and is removed only when its request was answered; a request that is
refused for what it is goes to ``refused/``, where a person finds it. What is imported here is light.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
import time
from collections.abc import Mapping
from pathlib import Path

import attrs

from orgloop.daemon.home import Home
from orgloop.delivery import _files as disk
from orgloop.errors import HomeError

MOST_FILES = 10_000
"""How many may wait; whoever leaves one more is refused, and hears of it."""

MOST_REFUSED = 1000
"""How many that were refused are kept."""

FILE_BYTES = 4 * 1024 * 1024
"""How large one may be: a body of 1 MiB, written as text."""


@attrs.frozen(kw_only=True)
class Spooled:
    """A request that waits."""

    source: str
    module: str | None = None
    headers: Mapping[str, str] = attrs.field(factory=dict)
    body: bytes = b""


def spool_of(home: Home) -> Path:
    """Where they wait."""
    return home.path / "spool"


def leave(home: Home, spooled: Spooled, *, most_files: int = MOST_FILES) -> Path:
    """Leave a request in a home that is there; durable when it returns. Raises :class:`HomeError` or ``OSError``."""
    folder = spool_of(home)
    folder.mkdir(mode=0o700, exist_ok=True)
    if len(waiting(home)) >= most_files:
        raise HomeError(f"{most_files:,} requests wait in {folder} already; start the daemon: orgloop start --daemon")
    members = {
        "source": spooled.source,
        "module": spooled.module,
        "headers": dict(spooled.headers),
        "body": base64.b64encode(spooled.body).decode(),
    }
    name = f"{time.time_ns():020d}-{secrets.token_hex(4)}.json"
    disk.write_atomic(folder, name, json.dumps(members).encode() + b"\n")
    return folder / name


def waiting(home: Home) -> list[Path]:
    """The files that wait, oldest first."""
    try:
        names = sorted(name for name in os.listdir(spool_of(home)) if name.endswith(".json") and name[0] != ".")
    except (FileNotFoundError, NotADirectoryError):
        return []
    return [spool_of(home) / name for name in names]


def read(path: Path) -> Spooled:
    """What waits in a file; ``ValueError`` if that is no request, ``OSError`` if it cannot be read."""
    try:
        members = json.loads(disk.read(path.parent, path.name, limit_bytes=FILE_BYTES))
        return Spooled(
            source=str(members["source"]),
            module=None if members["module"] is None else str(members["module"]),
            headers={str(name): str(value) for name, value in members["headers"].items()},
            body=base64.b64decode(members["body"], validate=True),
        )
    except (KeyError, TypeError, AttributeError, RecursionError) as exc:
        raise ValueError(f"{path.name} is no request that a hook has left") from exc


def forget(path: Path) -> None:
    """It was answered."""
    disk.remove(path.parent, path.name)


def put_aside(path: Path) -> Path:
    """It was refused for what it is, and would be again: keep it for a person, at the cost of the oldest of those."""
    folder = path.parent / "refused"
    folder.mkdir(mode=0o700, exist_ok=True)
    for name in sorted(os.listdir(folder))[: -MOST_REFUSED + 1]:
        (folder / name).unlink(missing_ok=True)
    return path.rename(folder / path.name)
