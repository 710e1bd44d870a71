"""
Which session a session key has: one JSON file for each actor, because Codex chooses the ids of its sessions itself.

Law: a file is written beside, flushed and renamed, so there is always a whole one. Keys are kept as digests: what an
event says becomes neither a name nor a line of a file.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

MAX_KEYS = 10_000
"""How many keys are kept; those that were used longest ago are let go first."""

MAX_FILE_BYTES = 4 * 1024 * 1024


def known_to(file: Path, key: str) -> str | None:
    """The session of a key; ValueError if the file cannot be what was written."""
    return _read(file).get(_digest(key))


def keep(file: Path, key: str, session_id: str) -> None:
    """Keep the session of a key, as the one that was used last."""
    sessions = _read(file)
    sessions.pop(_digest(key), None)
    sessions[_digest(key)] = session_id
    newest = dict(list(sessions.items())[-MAX_KEYS:])
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    beside = file.with_name(f"{file.name}.{os.getpid()}.tmp")
    with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600), "w") as out:
        json.dump(newest, out, indent=0)
        out.flush()
        os.fsync(out.fileno())
    beside.replace(file)


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def _read(file: Path) -> dict[str, str]:
    try:
        text = file.read_bytes()
    except FileNotFoundError:
        return {}
    except OSError as exc:
        raise ValueError(f"{file} cannot be read ({exc.strerror}); which session a key has is not known") from exc
    try:
        if len(text) > MAX_FILE_BYTES:
            raise ValueError(f"more than {MAX_FILE_BYTES} bytes")
        known = json.loads(text)
        if not isinstance(known, dict) or not all(isinstance(id_, str) for id_ in known.values()):
            raise ValueError("not a mapping of texts")
    except (ValueError, RecursionError) as exc:
        raise ValueError(
            f"{file} cannot be read ({exc}); move it away, and the conversations of all session keys begin anew"
        ) from exc
    return known
