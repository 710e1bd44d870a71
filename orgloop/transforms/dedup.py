"""Dedup: lets the first event of a kind through, and drops those like it for a while."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence

import attrs
import msgspec

from orgloop.event import Event
from orgloop.sdk import Context
from orgloop.transforms._fields import MISSING, get, readable, refuse

STORES = ("memory",)


@attrs.frozen
class DedupConfig:
    """
    Which events are alike, and for how long.

    ``key`` names what makes them so. ``window_s`` counts from the first event and does not slide. ``store`` and
    ``track_delivery`` are read, and change nothing: marks are durable, kept per route and transform, and set with the
    settlement of the event, so one that is delivered again is no repetition of itself.
    """

    key: Sequence[str] = attrs.field(
        default=("source", "type", "id"), metadata={"yaml": "key", "aliases": ("fields", "key_fields")}
    )
    window_s: float = attrs.field(default=300.0, metadata={"yaml": "window", "unit": "duration"})
    store: str = "memory"
    track_delivery: bool = False


class Dedup:
    """
    Drops what another event, with the same values at every path of the key, has shown within the window.

    Values are compared with their types (1 is not "1"), maps whatever the order of their keys; missing and null are
    one. An event that has nothing but these at *all* paths is like no other: it passes, without a mark, and
    ``counts["unkeyed"]`` says how often that was so. A count that rises means that the key is not the right one.
    """

    def __init__(self, config: DedupConfig) -> None:
        """ValueError, a line for each fault."""
        faults = []
        if isinstance(config.key, str) or not config.key:
            faults.append(f"key: {config.key!r} is not a list of paths; write one, as in [source, payload.pr_number]")
        if not config.window_s > 0:
            faults.append(f"window: {config.window_s!r} s is no time; write one above 0, as in 5m")
        if config.store not in STORES:
            faults.append(f"store: {config.store!r} is not known; write 'memory' or leave it out, marks are durable")
        self._paths = []
        for place, path in enumerate(config.key if not faults else ()):
            try:
                self._paths.append(readable(path, at=f"key.{place}"))
            except ValueError as exc:
                faults.append(str(exc))
        refuse(faults)
        self._window_s = config.window_s
        self.counts: Counter[str] = Counter()

    def apply(self, event: Event, context: Context) -> Event | None:
        """The event, or None if there was one like it."""
        values = [None if (value := get(event, path)) is MISSING else value for path in self._paths]
        if values.count(None) == len(values):
            self.counts["unkeyed"] += 1
            return event
        key = hashlib.blake2b(msgspec.json.encode(values, order="deterministic"), digest_size=16).hexdigest()
        return event if context.marks.is_first(key, window_s=self._window_s) else None
