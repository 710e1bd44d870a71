"""
What is durable: the segments, what is open in them, and the one that is being written.

All that touches the disk blocks and raises ``OSError``; it is for a worker thread, one call at a time, but for
:meth:`Store.read`, which may run beside any other.
"""

from __future__ import annotations

import errno
import secrets
from collections.abc import Callable, Container, Iterable, Iterator
from contextlib import suppress
from operator import itemgetter

import attrs

from orgloop.errors import EventError
from orgloop.event import Event, decode, timestamp_of
from orgloop.sdk import Note, Settlement
from orgloop.wal.batch import Batch, Entry, entry_of
from orgloop.wal.compaction import COMPACTED, choose, open_lines, settled_lines
from orgloop.wal.disk import Disk, Handle
from orgloop.wal.findings import Damage, Findings, Segment
from orgloop.wal.frame import event_of, is_whole, line_of, note_lines, sequence_of
from orgloop.wal.segment import Header, SegmentName, length_of, pack, unpack


@attrs.frozen(kw_only=True)
class WalLimits:
    """When a segment is full, and how much may wait to be written."""

    segment_bytes: int = 64 * 1024 * 1024
    segment_age_s: float = 24 * 3600.0
    kept_bytes: int = 0
    """So much of the newest stays when all of it is settled, for whoever asks what has happened."""
    waiting_bytes: int = 32 * 1024 * 1024
    heal_every_s: float = 1.0
    """How often a failed log tries to begin a new segment."""


DEFAULT_LIMITS = WalLimits()

GAP_BYTES = 16 * 1024
"""How much between two events is read for nothing rather than to read twice."""


Outlived = Callable[[Iterable[Note], Container[int]], Iterable[tuple[str, str]]]
"""
Which of the notes that count, newest first, have outlived their use: their kinds and keys; the second is what is open.

Called in a worker thread, and not to raise.
"""


class Store:
    """The log on its disk."""

    def __init__(
        self,
        disk: Disk,
        limits: WalLimits,
        findings: Findings,
        now_s: Callable[[], float],
        outlived: Outlived | None = None,
    ) -> None:
        self._disk, self._limits, self._now_s, self._outlived = disk, limits, now_s, outlived
        self._log = findings.log or secrets.token_hex(8)
        self._segments = {segment.name.number: segment for segment in findings.segments}
        self.durable = findings.next_sequence
        """The sequence number that the next event gets."""
        self.places, self.settled = findings.places, findings.settled
        self.notes: dict[tuple[str, str], tuple[Entry, int]] = {
            at: (entry_of((*at, value)), number) for at, (value, number) in findings.notes.items()
        }
        self.damages = findings.damages
        self._doubts_previous = findings.doubtful
        self._handle: Handle | None = None
        self._written = 0
        self._carried_bytes = 0
        self._began_at_s = 0.0

    @property
    def segments(self) -> list[Segment]:
        """Oldest first; the last one is being written."""
        return list(self._segments.values())

    # -- writing, in a worker thread -----------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin the first segment of a run; nothing is left open if that fails."""
        try:
            self.begin()
            self._forget()
            if not self.damages:  # what is damaged stays in sight until it is in the way
                self.compact()
        except OSError:
            self.let_go()
            raise

    def is_full(self) -> bool:
        """Whether the next batch belongs into a new segment."""
        active = self.segments[-1]
        too_old = self._now_s() - self._began_at_s > self._limits.segment_age_s
        return active.bytes - self._carried_bytes >= self._limits.segment_bytes or (too_old and active.events > 0)

    def is_crowded(self) -> bool:
        """Whether the log takes more room than it may, and compaction would put that right at one go."""
        excess_bytes = sum(one.bytes - one.open_bytes for one in self.segments) - 2 * self._limits.segment_bytes
        if excess_bytes <= 0:
            return False
        chosen = choose(self.segments, segment_bytes=self._limits.segment_bytes, kept_bytes=self._limits.kept_bytes)
        return sum(one.bytes - one.open_bytes for one in chosen) >= excess_bytes

    def rotate(self) -> None:
        """Begin a segment, and remove those that it makes superfluous."""
        self.begin()
        self._forget()
        self.compact()

    def begin(self) -> None:
        """Make the next file of the log, durable with its name before anything in it counts."""
        self.let_go()
        previous = self.segments[-1] if self._segments else None
        number = previous.name.number + 1 if previous else 1
        name = SegmentName(number, secrets.randbits(32))
        at_s = self._now_s()
        header = Header(
            number=number,
            log=self._log,
            first=self.durable,
            previous_bytes=previous.bytes if previous else 0,
            doubts_previous=self._doubts_previous,
            at=timestamp_of(at_s),
        )
        line = header.line(name.salt)
        handle = self._disk.create(str(name))
        try:
            _write_all(handle, line)
            handle.sync()
            self._disk.sync_directory()
        except OSError:
            with suppress(OSError):
                handle.close()
                self._disk.remove(str(name))
            raise
        self._handle, self._began_at_s = handle, at_s
        self._written, self._carried_bytes = len(line), 0
        self._segments[number] = Segment(name, self.durable, len(line), next=self.durable)
        self._doubts_previous = False

    def write(self, batch: Batch) -> list[int]:
        """Write and sync a batch; the places of its events."""
        active = self.segments[-1]
        lines, places = batch.lines(active.name, active.bytes)
        last = batch.events[-1][0] if batch.events else self.durable - 1
        self._put([*lines, line_of({"commit": last}, active.name.salt)])
        self._sync()
        self.durable = last + 1
        return places

    def let_go(self) -> None:
        """Close the file that is being written: all that counts in it has been synced."""
        handle, self._handle = self._handle, None
        if handle is not None:
            with suppress(OSError):
                handle.close()

    def _put(self, lines: Iterable[bytes]) -> None:
        if self._handle is None:
            raise OSError(errno.EIO, "no segment is open")
        content = b"".join(lines)
        try:
            _write_all(self._handle, content)
        except OSError:
            self.let_go()
            raise
        self._written += len(content)

    def _sync(self) -> None:
        active = self.segments[-1]
        try:
            if self._handle is not None:
                self._handle.sync()
            if self._disk.size(str(active.name)) != self._written:
                raise OSError(errno.EIO, f"{active.name} was changed, or replaced, by somebody else")
        except OSError:
            self.let_go()
            raise
        active.bytes = self._written

    # -- compaction ----------------------------------------------------------------------------------------------------

    def compact(self) -> None:
        """Carry forward what lives in the oldest segments, and remove them once that is durable."""
        active, done = self.segments[-1], list[Segment]()
        moved: dict[int, int] = {}
        for segment in choose(
            self.segments, segment_bytes=self._limits.segment_bytes, kept_bytes=self._limits.kept_bytes
        ):
            found = self._open_lines(segment, salt=active.name.salt)
            if found is None:
                break
            lines, start = [], self._written
            for sequence, line in found.items():
                moved[sequence] = pack(active.name.number, start, len(line) - 1)
                some = [line, *settled_lines(sequence, self.settled, salt=active.name.salt)]
                start += sum(map(len, some))
                lines += some
            self._put(lines)
            done.append(segment)
        if done:
            self._finish_compaction(done, moved)

    def _open_lines(self, segment: Segment, *, salt: int) -> dict[int, bytes] | None:
        """None, and the segment stays, if not everything that is open in it can be read."""
        text = "not all of its open events can be read: it is kept"
        try:
            found = open_lines(self._disk, segment, self.places, salt=salt)
        except OSError as exc:
            found, text = {}, f"{text}: {exc}"
        if len(found) == segment.open:
            return found
        self._report(Damage(str(segment.name), 0, segment.bytes, segment.first, segment.next - 1, text))
        return None

    def _finish_compaction(self, done: list[Segment], moved: dict[int, int]) -> None:
        active, last = self.segments[-1], done[-1].name.number
        entries = [entry for at, (entry, number) in self.notes.items() if number <= last and at != COMPACTED]
        entries.append(entry_of((*COMPACTED, last)))  # behind all that is carried, and whole only if that is
        lines = note_lines((entry.json for entry in entries), active.name.salt)
        self._put([*lines, line_of({"commit": self.durable - 1}, active.name.salt)])
        before_bytes = active.bytes
        self._sync()
        self._carried_bytes += self._written - before_bytes
        self.places.update(moved)
        active.events += len(moved)
        active.open += len(moved)
        active.open_bytes += sum(map(length_of, moved.values()))
        self._take_notes(entries)
        self._remove(done)

    def _remove(self, done: list[Segment]) -> None:
        for segment in done:
            del self._segments[segment.name.number]
        for segment in done:
            self._disk.remove(str(segment.name))
        self._disk.sync_directory()

    # -- what is open, in memory ---------------------------------------------------------------------------------------

    def take(self, batch: Batch, places: list[int]) -> None:
        """A batch that is durable now."""
        active = self.segments[-1]
        for (sequence, _), place in zip(batch.events, places, strict=True):
            self.places[sequence] = place
            active.open_bytes += length_of(place)
        active.events += len(places)
        active.open += len(places)
        active.next = self.durable
        self._take_notes(batch.notes)
        for settlement in batch.settlements:
            self._settle(settlement)

    def _take_notes(self, entries: list[Entry]) -> None:
        number = self.segments[-1].name.number
        for entry in entries:
            if entry.removes:
                self.notes.pop((entry.kind, entry.key), None)
            else:
                self.notes[entry.kind, entry.key] = (entry, number)

    def _forget(self) -> None:
        """
        Let go of notes that have outlived their use.

        Nothing is written for it: where they stand they are forgotten again by the next start, until compaction does
        not carry them forward.
        """
        if self._outlived is not None:
            notes = ((*at, entry.value()) for at, (entry, _) in reversed(self.notes.items()))
            for at in list(self._outlived(notes, self.places)):
                self.notes.pop(at, None)

    def _settle(self, settlement: Settlement) -> None:
        still_open = set(settlement.still_open) if settlement.still_open else ()
        for sequence in settlement.sequences:
            if sequence not in self.places:
                continue
            if sequence in still_open:
                obligation = (settlement.module or "", settlement.route or "")
                self.settled.setdefault(sequence, set()).add(obligation)
                continue
            self.settled.pop(sequence, None)
            number, _, length = unpack(self.places.pop(sequence))
            self._segments[number].open -= 1
            self._segments[number].open_bytes -= length

    # -- reading -------------------------------------------------------------------------------------------------------

    def read(self, places: dict[int, int]) -> dict[int, Event]:
        """The events at some places, by sequence; those that are not whole, or were moved meanwhile, are left out."""
        found: dict[int, Event] = {}
        for stretch in _stretches(places):
            number, first, _ = unpack(stretch[0][1])
            segment = self._segments.get(number)
            if segment is None:
                continue
            _, start, length = unpack(stretch[-1][1])
            try:
                content = self._disk.read(str(segment.name), first, start + length - first)
            except FileNotFoundError:
                if number in self._segments:  # or compaction has removed it a moment ago
                    raise
                continue
            for sequence, place in stretch:
                _, start, length = unpack(place)
                line = content[start - first : start - first + length]
                if is_whole(line, segment.name.salt) and sequence_of(line) == sequence:
                    with suppress(EventError):
                        found[sequence] = decode(event_of(line))
        return found

    def lose(self, sequence: int, place: int) -> None:
        """Report an event that could not be read."""
        number, start, length = unpack(place)
        segment = self._segments.get(number)
        if segment is not None:
            text = f"event {sequence} cannot be read any more"
            self._report(Damage(str(segment.name), start, start + length, sequence, sequence, text))

    def _report(self, damage: Damage) -> None:
        if damage not in self.damages:
            self.damages.append(damage)


def _stretches(places: dict[int, int]) -> Iterator[list[tuple[int, int]]]:
    """Sequences and places, in the order of the log: those that are read in one go stand together."""
    stretch: list[tuple[int, int]] = []
    segment = end = -1
    for sequence, place in sorted(places.items(), key=itemgetter(1)):
        number, start, length = unpack(place)
        if stretch and (number != segment or start - end > GAP_BYTES):
            yield stretch
            stretch = []
        stretch.append((sequence, place))
        segment, end = number, start + length
    if stretch:
        yield stretch


def _write_all(handle: Handle, content: bytes) -> None:
    rest = memoryview(content)
    while rest:
        taken = handle.write(bytes(rest) if len(rest) < len(content) else content)
        if taken <= 0:
            raise OSError(errno.EIO, "the disk takes nothing and gives no reason")
        rest = rest[taken:]
