"""
Where a reading of one of GitHub's lists stands, and what is new in it. Pure; times are GitHub's own, in Unix seconds.

    ───────────── floor ───────────────── read ────────── settling ────────── now ──▶
     not ours       │ given unless seen     │ is read again with every poll    │

Law: a fact is given if it is of the floor or later and its key has not been seen, and each is given once. The floor
rises only to a time before which everything has been read, ``settling`` ago: what GitHub shows a little later than
it is dated is still found. Reading again what has been read costs a page; skipping what has not loses it for good.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import attrs

from orgloop.sdk import timestamp_of
from orgloop_connectors._github.shapes import Thing, seconds_of

MAX_SEEN = 20_000
"""How many keys a cursor remembers; beyond, the oldest go, and may be given again: rather twice than never."""

REFRESH_S = 600.0
"""A cursor that found nothing stays as it is for so long: its ETag stays good, and nothing has to be written."""

VERSION = 1


@attrs.frozen
class Fact:
    """Something that has happened, as far as a list says."""

    kind: str
    """Its name among the events."""
    key: str
    """The same whenever it is met again, and for nothing else."""
    at_s: float
    item: Thing
    number: int | None = None
    """Of the issue or pull request that it is about, if ``item`` says too little of it."""


@attrs.frozen(kw_only=True)
class Cursor:
    """How far one list has been read."""

    floor_s: float
    read_s: float
    seen: Mapping[str, float] = attrs.field(factory=dict)
    below: str | None = None
    """Where a reading goes on that goes from the newest down, and was too long for one poll."""
    top_s: float | None = None
    """When that reading began."""

    def fresh(self, facts: Iterable[Fact]) -> list[Fact]:
        """Those that have not been given yet, each once."""
        found = {fact.key: fact for fact in facts if fact.at_s >= self.floor_s and fact.key not in self.seen}
        return list(found.values())

    def given(self, facts: Sequence[Fact]) -> Cursor:
        """The cursor when these have been given."""
        if not facts:
            return self
        return attrs.evolve(self, seen={**self.seen, **{fact.key: fact.at_s for fact in facts}})

    def read_through(self, until_s: float | None, *, settled: bool, quiet: bool) -> Cursor:
        """
        The cursor when everything that changed before ``until_s`` has been read.

        ``settled``: what was read is all there was, so that the floor may rise too. ``quiet``: nothing was new.
        """
        if until_s is None or (quiet and self.below is None and until_s < self.read_s + REFRESH_S):
            return attrs.evolve(self, below=None, top_s=None)
        read_s = max(self.read_s, until_s)
        floor_s = read_s if settled else self.floor_s
        seen = {key: at_s for key, at_s in self.seen.items() if at_s >= floor_s}
        if len(seen) > MAX_SEEN:
            seen = dict(sorted(seen.items(), key=lambda pair: pair[1])[-MAX_SEEN:])
        return Cursor(floor_s=floor_s, read_s=read_s, seen=seen)

    def paused(self, below: str, top_s: float | None) -> Cursor:
        """The cursor when a reading from the newest down goes on at ``below`` next time."""
        return attrs.evolve(self, below=below, top_s=top_s)


# -- as a checkpoint ---------------------------------------------------------------------------------------------------


def write(cursors: Mapping[str, Cursor]) -> str:
    """The checkpoint of a source."""
    feeds = {
        name: {
            "floor": timestamp_of(cursor.floor_s),
            "read": timestamp_of(cursor.read_s),
            "seen": {key: int(at_s) if at_s.is_integer() else at_s for key, at_s in cursor.seen.items()},
        }
        | ({"below": cursor.below, "top": cursor.top_s} if cursor.below is not None else {})
        for name, cursor in cursors.items()
    }
    return json.dumps({"version": VERSION, "feeds": feeds}, separators=(",", ":"))


def read(checkpoint: str | None, names: Sequence[str], *, lookback_s: float, now_s: float) -> dict[str, Cursor]:
    """
    The cursors of a checkpoint: ours, or a time, as the original wrote it.

    What is no checkpoint, or of the future, is as none: it begins ``lookback_s`` ago, and never with now. A list that
    is asked for anew begins where the others are.
    """
    start_s = now_s - lookback_s
    since_s = seconds_of(checkpoint) if checkpoint else None
    if since_s is not None:
        # The original wrote the epoch for "never".
        start_s = since_s if 86_400 < since_s <= now_s else start_s
        return {name: Cursor(floor_s=start_s, read_s=start_s) for name in names}
    known = {name: cursor for name, cursor in _known(checkpoint).items() if cursor.read_s <= now_s + 86_400}
    others_s = max((cursor.floor_s for cursor in known.values()), default=start_s)
    return {name: known.get(name) or Cursor(floor_s=others_s, read_s=others_s) for name in names}


def _known(checkpoint: str | None) -> dict[str, Cursor]:
    try:
        said = json.loads(checkpoint or "null")
        feeds = said["feeds"] if said["version"] == VERSION else {}
        return {name: _cursor(feed) for name, feed in feeds.items()}
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return {}


def _cursor(feed: Mapping[str, Any]) -> Cursor:
    floor_s, read_s = seconds_of(feed["floor"]), seconds_of(feed["read"])
    seen = {str(key): float(at_s) for key, at_s in feed["seen"].items()}
    below, top_s = feed.get("below"), feed.get("top")
    if floor_s is None or read_s is None or not all(map(math.isfinite, seen.values())):
        raise ValueError("no times")
    return Cursor(
        floor_s=floor_s,
        read_s=read_s,
        seen=seen,
        below=None if below is None else str(below),
        top_s=None if top_s is None else float(top_s),
    )
