"""What was found in a log: its segments, what is open in them, and what is wrong with them."""

from __future__ import annotations

from typing import Any

import attrs

from orgloop.wal.segment import SegmentName


@attrs.frozen
class Damage:
    """Something that was acknowledged and is not as it was written."""

    segment: str
    start: int
    end: int
    """Bytes; equal where nothing is there that should be."""
    first: int
    last: int
    """Sequence numbers that may be affected; none if last < first."""
    text: str


@attrs.define
class Segment:
    """One segment as the log knows it."""

    name: SegmentName
    first: int
    bytes: int
    next: int = 0
    """The sequence number after its last event."""
    events: int = 0
    open: int = 0
    """How many of its events still have an obligation."""
    open_bytes: int = 0
    """How long their lines are."""


@attrs.define
class Findings:
    """All that is in a log."""

    log: str | None = None
    segments: list[Segment] = attrs.field(factory=list)
    next_sequence: int = 1
    places: dict[int, int] = attrs.field(factory=dict)
    """Where each event is that still has an obligation, by sequence."""
    settled: dict[int, set[tuple[str, str]]] = attrs.field(factory=dict)
    """The obligations (module, route) that have ended of events that have others left."""
    notes: dict[tuple[str, str], tuple[Any, int]] = attrs.field(factory=dict)
    """Value, and the number of the segment it stands in, by kind and key."""
    damages: list[Damage] = attrs.field(factory=list)
    doubtful: bool = False
    """Whether the last batch is."""
    torn: tuple[str, int, int] | None = None
    """Segment, and from where to where it is to be cut off."""
    beginnings: list[str] = attrs.field(factory=list)
    """Torn as a whole."""
    superseded: list[str] = attrs.field(factory=list)
    foreign: list[str] = attrs.field(factory=list)
    ignored_settlements: int = 0

    def compacted(self) -> int:
        """The number of the last segment that compaction has made superfluous."""
        value, _ = self.notes.get(("log", "compacted"), (0, 0))
        return int(value)
