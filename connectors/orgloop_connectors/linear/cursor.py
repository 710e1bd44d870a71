"""
Where the source is in what has happened. Pure.

    floor ──── what happened since then counts ────▶ since ──── not asked for yet ────▶

Law: what happened at or after ``floor`` (less :data:`OVERLAP_MS`, because Linear may show things late) and is not among
``seen`` is new. While a sweep through many pages is not over, ``floor`` stays where it was: an issue that comes late in
it may have changed early.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, TypeGuard

import attrs

OVERLAP_MS = 120_000
"""How late Linear may show what has happened."""

KEPT_MS = 3_600_000
"""For how long what was seen is remembered: Linear writes into the last entry of a history for a while."""

MAX_SEEN = 8000
"""How many of those that were seen are remembered; beyond, the oldest are forgotten."""

MAX_TIME_MS = 253_402_300_799_000


@attrs.frozen
class Cursor:
    """A place in one kind of thing; times are Linear's, in Unix milliseconds."""

    floor_ms: int
    since_ms: int
    seen: Mapping[str, int] = attrs.field(factory=dict)
    """When each that is remembered happened, by a digest of what it is."""

    @property
    def asks_from_ms(self) -> int:
        """From when on to ask; a sweep that is not over goes on where it was."""
        return self.since_ms if self.since_ms > self.floor_ms else self.counts_from_ms

    @property
    def counts_from_ms(self) -> int:
        """From when on something may be new."""
        return self.floor_ms - OVERLAP_MS


@attrs.define
class Sweep:
    """What one poll sees, from a cursor to the next."""

    cursor: Cursor
    _seen: dict[str, int] = attrs.field(init=False)
    _newest_ms: int = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._seen, self._newest_ms = dict(self.cursor.seen), self.cursor.since_ms

    def is_new(self, what: str, at_ms: int) -> bool:
        """Whether this has not been told yet; from now on it has."""
        key = hashlib.blake2b(what.encode(), digest_size=8).hexdigest()
        is_new = at_ms >= self.cursor.counts_from_ms and key not in self._seen
        if is_new or key in self._seen:
            self._seen[key] = max(at_ms, self._seen.get(key, 0))
        return is_new

    def reached(self, at_ms: int) -> None:
        """All that was last touched before that has been looked at."""
        self._newest_ms = max(self._newest_ms, at_ms)

    def end(self, *, is_over: bool) -> Cursor:
        """The next cursor; ``is_over``: nothing was left to ask for."""
        floor_ms = self._newest_ms if is_over else self.cursor.floor_ms
        kept = {key: at_ms for key, at_ms in self._seen.items() if at_ms >= floor_ms - KEPT_MS}
        if len(kept) > MAX_SEEN:
            kept = dict(sorted(kept.items(), key=lambda pair: pair[1])[-MAX_SEEN:])
        return Cursor(floor_ms, self._newest_ms, kept)


# -- the checkpoint ----------------------------------------------------------------------------------------------------


def written(of: str, cursors: Mapping[str, Cursor]) -> str:
    """The checkpoint; ``of`` is what it is about."""
    places = {
        kind: {"floor": cursor.floor_ms, "since": cursor.since_ms, "seen": dict(cursor.seen)}
        for kind, cursor in cursors.items()
    }
    return json.dumps({"of": of, **places}, separators=(",", ":"))


def read(checkpoint: str | None, *, of: str, begin_ms: int) -> dict[str, Cursor]:
    """
    The cursors for issues and comments of a checkpoint; beginnings at ``begin_ms`` where there is none.

    The original's, which is a time, is gone on from. One that is about another team, or cannot be read, is none.
    """
    found: Any = None
    if checkpoint is not None:
        try:
            found = json.loads(checkpoint)
        except (ValueError, RecursionError):
            begin_ms = _time_ms(checkpoint) or begin_ms
    places = found if isinstance(found, dict) and found.get("of") == of else {}
    return {kind: _cursor(places.get(kind)) or Cursor(begin_ms, begin_ms) for kind in ("issues", "comments")}


def _cursor(place: Any) -> Cursor | None:
    if not isinstance(place, dict):
        return None
    floor_ms, since_ms, seen = place.get("floor"), place.get("since"), place.get("seen")
    if not _is_time(floor_ms) or not _is_time(since_ms) or not isinstance(seen, dict):
        return None
    return Cursor(floor_ms, since_ms, seen) if all(_is_time(at_ms) for at_ms in seen.values()) else None


def _is_time(value: object) -> TypeGuard[int]:
    return type(value) is int and 0 <= value <= MAX_TIME_MS


def _time_ms(text: str) -> int | None:
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        return None
    at_ms = round(when.timestamp() * 1000) if when.tzinfo is not None else -1
    return at_ms if _is_time(at_ms) else None
