"""
One segment, line by line: what it says is added to the findings, and so is what is broken in it.

The cases have their names in recovery.py.
"""

from __future__ import annotations

from itertools import takewhile
from typing import Any

import attrs

from orgloop.wal.disk import Disk
from orgloop.wal.findings import Damage, Findings, Segment
from orgloop.wal.frame import members, sequence_of
from orgloop.wal.segment import Header, Piece, SegmentName, pack, read_pieces

MANY = 100
"""Damages of one segment that are told apart; what comes behind is one."""


class Reading:
    """One segment being read."""

    def __init__(
        self,
        disk: Disk,
        findings: Findings,
        name: SegmentName,
        header: Header | None,
        following: Header | None,
        *,
        last: bool,
    ) -> None:
        self.disk, self.findings, self.name, self.last = disk, findings, name, last
        self.size = disk.size(str(name))
        self.until = self.size if following is None else min(self.size, following.previous_bytes)
        self.promised = 0 if following is None else following.previous_bytes
        self.doubted = following is not None and following.doubts_previous
        self.segment = Segment(name, header.first if header else findings.next_sequence, self.until)
        self.has_header = header is not None
        self.knows_first = self.has_header or bool(findings.segments)
        self.before = len(findings.damages)

    def run(self) -> None:
        """Take every line into the findings, batch by batch; the last batch but one was synced before the last."""
        self.findings.next_sequence = max(self.findings.next_sequence, self.segment.first)
        closed: list[Piece] = []
        batch: list[Piece] = []
        for piece in read_pieces(self.disk, self.name, until=self.until):
            batch.append(piece)
            if piece.line is not None and piece.line.startswith(b'{"commit":'):
                self._take(closed)
                closed, batch = batch, []
        if self.last and not batch and any(piece.line is None for piece in closed):
            self.doubted = self.findings.doubtful = True
        self._take(closed, doubt=", in a last batch, which may never have been acknowledged" if self.doubted else "")
        self._take(self._whole_prefix(batch) if self.last else batch)
        if self.until < self.promised:
            self._damage(self.until, self.until, f"{self.promised - self.until} bytes are missing at the end")
        if self.segment.bytes:
            self.segment.next = self.findings.next_sequence
            self.findings.segments.append(self.segment)

    def _whole_prefix(self, pieces: list[Piece]) -> list[Piece]:
        """Of what follows the last commit of the log, the whole lines before any broken bytes; the rest is torn."""
        whole = list(takewhile(lambda piece: piece.line is not None, pieces))
        if len(whole) < len(pieces):
            self.segment.bytes = pieces[len(whole)].start
            if self.segment.bytes:
                self.findings.torn = (str(self.name), self.segment.bytes, self.size)
            else:
                self.findings.beginnings.append(str(self.name))
        return whole

    def _take(self, pieces: list[Piece], *, doubt: str = "") -> None:
        for piece in pieces:
            if piece.line is None:
                what = "the header is damaged" if piece.start == 0 else f"{piece.end - piece.start} bytes are damaged"
                self._damage(piece.start, piece.end, what + doubt)
                continue
            try:
                self._take_line(piece.line, piece.start, notes=not doubt)
            except (LookupError, TypeError, ValueError):
                self._damage(piece.start, piece.end, "a line that is whole, and not understood")

    def _take_line(self, line: bytes, start: int, *, notes: bool) -> None:
        sequence = sequence_of(line)
        if sequence is not None:
            self._take_event(sequence, start, len(line))
            return
        record = members(line)
        if "settle" in record:
            self._take_settlement(record)
        elif "commit" in record:
            self._expect(record["commit"] + 1)
        elif "notes" in record:
            self._take_notes(record["notes"] if notes else [])
        elif "segment" not in record or start > 0 or not self.has_header:
            raise ValueError("of no kind that is known here")

    def _take_event(self, sequence: int, start: int, length: int) -> None:
        carried = sequence < self.segment.first
        if not carried:
            self._expect(sequence)
            if sequence < self.findings.next_sequence:
                self._damage(start, start + length, f"event {sequence} is here once more")
                return
            self.findings.next_sequence = sequence + 1
        self.segment.events += 1
        self.findings.places[sequence] = pack(self.name.number, start, length)

    def _take_settlement(self, record: dict[str, Any]) -> None:
        still_open = set(record.get("still_open", ()))
        for sequence in record["events"]:
            if sequence not in self.findings.places:
                self.findings.ignored_settlements += 1
            elif sequence in still_open:
                obligation = (record.get("module") or "", record.get("route") or "")
                self.findings.settled.setdefault(sequence, set()).add(obligation)
            else:
                del self.findings.places[sequence]
                self.findings.settled.pop(sequence, None)

    def _take_notes(self, notes: list[tuple[object, object, object]]) -> None:
        for kind, key, value in notes:
            if not isinstance(kind, str) or not isinstance(key, str):
                raise TypeError("kind and key are strings")
            if value is None:
                self.findings.notes.pop((kind, key), None)
            else:
                self.findings.notes[kind, key] = (value, self.name.number)

    # -- what is wrong with it

    def _expect(self, sequence: int) -> None:
        """What is between the last event and this one is missing: by the damage right before it, or for no cause."""
        first, last = self.findings.next_sequence, sequence - 1
        if last < first:
            return
        self.findings.next_sequence = sequence
        damages = self.findings.damages
        blamed = len(damages)
        while blamed > self.before and damages[blamed - 1].first == first and damages[blamed - 1].last < first:
            blamed -= 1
            damages[blamed] = attrs.evolve(damages[blamed], last=last)
        if blamed == len(damages) and self.knows_first:
            self._report(Damage(str(self.name), 0, 0, first, last, f"events {first} to {last} are missing"))

    def _damage(self, start: int, end: int, text: str) -> None:
        at = self.findings.next_sequence
        self._report(Damage(str(self.name), start, end, at, at - 1, text))

    def _report(self, damage: Damage) -> None:
        damages = self.findings.damages
        if len(damages) - self.before >= MANY:
            earlier = damages.pop()
            start, end = min(earlier.start, damage.start), max(earlier.end, damage.end)
            first, last = min(earlier.first, damage.first), max(earlier.last, damage.last)
            damage = Damage(str(self.name), start, end, first, last, "much is damaged from here on")
        damages.append(damage)
