"""What is to become durable together. Events and notes are JSON by now: nothing here can still fail, or be changed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import attrs
import msgspec
import trio

from orgloop.errors import EventError
from orgloop.event import Event, encode
from orgloop.sdk import Note, Settlement
from orgloop.wal.frame import MAX_LINE_BYTES, event_line, note_lines, seal
from orgloop.wal.segment import SegmentName, pack

MAX_EVENT_BYTES = MAX_LINE_BYTES // 2
"""No event is longer, and no note."""
_MOST_SEQUENCES = 500_000
"""In one line."""

_encode = msgspec.json.Encoder().encode
_encode_end = msgspec.json.Encoder(enc_hook=list).encode  # its sequences need not be a list
_decode = msgspec.json.Decoder().decode


@attrs.frozen
class Entry:
    """A note as it is written: ``[kind, key, value]``."""

    kind: str
    key: str
    json: bytes
    removes: bool = False
    with_events: bool = False
    """Whether it is refused when the events of its batch are."""

    def value(self) -> Any:
        """A copy of what was noted."""
        return _decode(self.json)[2]


def entry_of(note: Note, *, with_events: bool = False) -> Entry:
    """A note, written down; :class:`EventError` if it cannot be."""
    kind, key, value = note
    if not all(isinstance(name, str) for name in (kind, key)):
        raise EventError(f"a note needs strings for kind and key, got {kind!r} and {key!r}")
    try:
        json = _encode(note)
        _decode(json)
    except (TypeError, ValueError, RecursionError, msgspec.MsgspecError) as exc:
        raise EventError(f"note {kind} {key!r} cannot be written as JSON: {exc}") from exc
    return Entry(kind, key, _limited("a note", json), removes=value is None, with_events=with_events)


def json_of(event: Event) -> bytes:
    """An event, written down; :class:`EventError` if it cannot be."""
    return _limited("an event", encode(event))


def _limited(what: str, json: bytes) -> bytes:
    if len(json) > MAX_EVENT_BYTES:
        raise EventError(f"{what} of {len(json):,} bytes is too large; the limit is {MAX_EVENT_BYTES:,}")
    return json


@attrs.define(eq=False)
class Batch:
    """What is written with one commit."""

    events: list[tuple[int, bytes]] = attrs.field(factory=list)
    notes: list[Entry] = attrs.field(factory=list)
    settlements: list[Settlement] = attrs.field(factory=list)
    waiting_bytes: int = 0
    done: trio.Event = attrs.field(factory=trio.Event)
    error: BaseException | None = None

    def __bool__(self) -> bool:
        return bool(self.events or self.notes or self.settlements)

    def note(self, entries: list[Entry]) -> None:
        """Add notes behind those that wait."""
        self.notes.extend(entries)
        self.waiting_bytes += sum(len(entry.json) for entry in entries)

    def left_by(self, failed: Batch) -> Batch:
        """What is to be tried again after this batch and the one before it have failed: ends, and notes of ends."""
        again = Batch(settlements=failed.settlements + self.settlements)
        again.note([entry for entry in failed.notes + self.notes if not entry.with_events])
        return again

    def lines(self, name: SegmentName, start: int) -> tuple[list[bytes], list[int]]:
        """All of it as lines of a segment that has ``start`` bytes, and the places of the events."""
        lines, places = [], []
        for sequence, json in self.events:
            line = event_line(sequence, json, name.salt)
            lines.append(line)
            places.append(pack(name.number, start, len(line) - 1))
            start += len(line)
        # In this order, for the end may be lost: checkpoints behind their events, ends behind the marks they leave.
        lines.extend(note_lines((entry.json for entry in self.notes), name.salt))
        for settlement in self.settlements:
            if len(settlement.sequences) <= _MOST_SEQUENCES:
                lines.append(seal(_encode_end(settlement)[:-1], name.salt))
            else:
                lines.extend(seal(_encode_end(part)[:-1], name.salt) for part in _parts(settlement))
        return lines, places


def _parts(settlement: Settlement) -> Iterator[Settlement]:
    still_open = set(settlement.still_open)
    for start in range(0, len(settlement.sequences), _MOST_SEQUENCES):
        some = settlement.sequences[start : start + _MOST_SEQUENCES]
        open_ = [one for one in some if one in still_open]
        yield msgspec.structs.replace(settlement, sequences=some, still_open=open_)
