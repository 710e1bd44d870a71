"""
Looking back: the events that are still in the log, newest first, and how their obligations ended.

    segment 7     seq 40 … seq 41 … settle 38, 41 … seq 12 …      from its last line to its first
    segment 6     seq 37 … seq 38 …                               then the one before

What settles an event stands behind it, so whoever reads backwards knows its ends before it. An event that compaction
has carried forward (12) has a lower number than all that were admitted into its segment; so when as many are found as
are wanted, nothing that is further back is newer.

In memory are only the places of what is found, and the numbers of what is settled: an eighth of the bytes they take in
the log. Lines that are not whole say nothing. What is read grows no more than compaction lets the log grow.
"""

from __future__ import annotations

from array import array
from bisect import insort
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import attrs
import msgspec

from orgloop.errors import EventError
from orgloop.event import Event, decode
from orgloop.sdk import End, Query, Recorded
from orgloop.sdk.bus import MAX_FOUND_BYTES
from orgloop.wal.disk import Disk
from orgloop.wal.findings import Segment
from orgloop.wal.frame import MAX_LINE_BYTES, event_of, is_whole, members, sequence_of
from orgloop.wal.segment import SegmentName

STEP_BYTES = 8 * 1024 * 1024
"""How much is read before others may have their turn, and whoever asked may have gone."""

BLOCK_BYTES = 1024 * 1024

_CARRIED = "carried"
"""The outcome of what had ended when its event was carried forward; how, may still stand elsewhere."""


@attrs.frozen(order=True)
class _Place:
    """Where an event was found."""

    sequence: int
    segment: SegmentName = attrs.field(order=False)
    start: int
    length: int


@attrs.frozen
class Extent:
    """So much of a segment."""

    name: SegmentName
    first: int
    """The lowest number that was admitted into it."""
    bytes: int

    @classmethod
    def of(cls, segment: Segment) -> Extent:
        """All that is durable now."""
        return cls(segment.name, segment.first, segment.bytes)


@attrs.define(eq=False)
class Look:
    """One look back; blocks, and is for a worker thread."""

    _disk: Disk
    _query: Query
    _extents: tuple[Extent, ...]
    """Oldest first."""
    has_moved: bool = False
    """Whether a segment was compacted meanwhile: what was open in it is now where this look does not look."""
    _found: list[_Place] = attrs.field(factory=list)
    """The newest, in order."""
    _ends: list[tuple[End, array[int]]] = attrs.field(factory=list)
    """Newest first."""
    _at_route: set[int] = attrs.field(factory=set)
    """What has ended at the route that is asked for."""
    _needles: tuple[bytes, ...] = attrs.field(init=False)
    """What is in the lines of all that are meant: most of the others need not be looked at."""
    _is_over: bool = False
    _steps: Iterator[int] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        """Begin with the newest."""
        wanted = {name: getattr(self._query, name) for name in ("id", "trace_id", "module", "source")}
        encode = msgspec.json.encode
        self._needles = tuple(
            b'"%b":%b' % (name.encode(), encode(value)) for name, value in wanted.items() if value is not None
        )
        self._steps = self._read_all()

    def step(self) -> bool:
        """Read some more; whether that was all."""
        left_bytes = STEP_BYTES
        for read_bytes in self._steps:
            left_bytes -= read_bytes
            if left_bytes <= 0:
                return False
        return True

    def _read_all(self) -> Iterator[int]:
        for extent in reversed(self._extents):
            try:
                for lines, read_bytes in _blocks(self._disk, str(extent.name), 0, extent.bytes):
                    for start, line in lines:
                        if line.startswith(b'{"seq":'):
                            self._take_event(extent, start, line)
                            if self._is_over:
                                return
                        elif line.startswith(b'{"settle":'):
                            self._take_ends(extent.name, line)
                    yield read_bytes
            except FileNotFoundError:
                self.has_moved = True

    def _take_event(self, extent: Extent, start: int, line: bytes) -> None:
        query, found = self._query, self._found
        is_full = len(found) == query.limit
        is_meant = all(needle in line for needle in self._needles)
        if not (is_full or is_meant) or not is_whole(line, extent.name.salt):
            return
        sequence = sequence_of(line) or 0
        if is_full and sequence <= found[0].sequence:
            self._is_over = sequence >= extent.first
            return
        if not is_meant or (query.before is not None and sequence >= query.before):
            return
        if query.route is not None and sequence not in self._at_route:
            return
        event = _event_in(line)
        if event is None or not query.wants(event) or any(one.sequence == sequence for one in found):
            return
        insort(found, _Place(sequence, extent.name, start, len(line)))
        if len(found) > query.limit:
            del found[0]

    def _take_ends(self, name: SegmentName, line: bytes) -> None:
        if not is_whole(line, name.salt):
            return
        try:
            record: dict[str, Any] = members(line)
            end = End(record.get("module"), record.get("route"), record["settle"])
            sequences = array("Q", record["events"])
        except (LookupError, TypeError, ValueError, OverflowError):
            return  # whole, and not understood: recovery has reported it
        self._ends.append((end, sequences))
        if end.route is not None and end.route == self._query.route:
            self._at_route.update(sequences)

    # -- what came of it -----------------------------------------------------------------------------------------------

    def recorded(self, now: Iterable[Extent], is_open: Mapping[int, bool]) -> list[Recorded]:
        """
        What was found, newest first; as many as may be in memory at once.

        ``is_open`` is as of a moment at which the log was as long as it is ``now``: what was written since this look
        began is read too, for the ends in it.
        """
        self._catch_up(now)
        ends = self._ends_of({place.sequence for place in self._found})
        recorded, left_bytes = list[Recorded](), MAX_FOUND_BYTES
        for place in reversed(self._found):
            left_bytes -= place.length
            if recorded and left_bytes < 0:
                break
            event = self._read(place)
            if event is not None:
                sequence = place.sequence
                recorded.append(Recorded(sequence, event, tuple(ends[sequence]), is_open[sequence]))
        return recorded

    @property
    def sequences(self) -> list[int]:
        """Those of all that was found."""
        return [place.sequence for place in self._found]

    def _catch_up(self, now: Iterable[Extent]) -> None:
        seen = {extent.name: extent.bytes for extent in self._extents}
        self._ends.reverse()  # from here on oldest first
        for extent in now:
            start, newer = seen.get(extent.name, 0), len(self._ends)
            try:
                for lines, _ in _blocks(self._disk, str(extent.name), start, extent.bytes):
                    for _, line in lines:
                        if line.startswith(b'{"settle":'):
                            self._take_ends(extent.name, line)
            except FileNotFoundError:
                continue
            self._ends[newer:] = reversed(self._ends[newer:])

    def _ends_of(self, wanted: set[int]) -> dict[int, list[End]]:
        ends: dict[int, list[End]] = {sequence: [] for sequence in wanted}
        for end, sequences in self._ends:
            for sequence in wanted.intersection(sequences):
                known = ends[sequence]
                if end.outcome == _CARRIED and any(
                    one.module == end.module and one.route == end.route for one in known
                ):
                    continue
                if end not in known:
                    known.append(end)
        return ends

    def _read(self, place: _Place) -> Event | None:
        try:
            line = self._disk.read(str(place.segment), place.start, place.length)
        except FileNotFoundError:
            self.has_moved = True
            return None
        return _event_in(line) if is_whole(line, place.segment.salt) else None


def _event_in(line: bytes) -> Event | None:
    try:
        return decode(event_of(line))
    except (EventError, ValueError):
        return None


def _blocks(disk: Disk, name: str, start: int, end: int) -> Iterator[tuple[list[tuple[int, bytes]], int]]:
    """The lines of a part of a file, and where each begins, last first; a block at a time, with the bytes it took."""
    parts: list[bytes] = []
    """Of a line that begins in a block before, last first."""
    while end > start:
        at = max(start, end - BLOCK_BYTES)
        first, *lines = disk.read(name, at, end - at).split(b"\n")
        places, place = list[int](), at + len(first) + 1
        for line in lines:
            places.append(place)
            place += len(line) + 1
        if lines:
            lines[-1] = b"".join([lines[-1], *reversed(parts)])
            parts = []
        parts.append(first)
        if sum(map(len, parts)) > MAX_LINE_BYTES:
            parts = []  # it is none of ours, and what is left of it is not whole
        yield list(zip(reversed(places), reversed(lines), strict=True)), end - at
        end = at
    yield [(start, b"".join(reversed(parts)))], 0
