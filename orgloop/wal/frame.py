"""
One line of the log: JSON that a person can read, and that shows by itself whether it is what was written.

    {"seq":1202,"event":{…}        ,"crc":"9a0364b9"}\\n
    ╰── the record, still open ──╯ ╰─ the seal, 18 bytes ─╯

The CRC-32C is of the bytes before the seal and starts from the salt of the segment, which is in the segment's name: a
line of another segment never fits. Nor does a copy of a line inside a payload, not even one of this segment: what looks
like a seal in there is written with a blank in it, so that no record holds one.

Kinds of lines, by their first member:

    segment     the header: format, id of the log, first sequence, length of the segment before
    seq         an event, and the sequence number that it was admitted under; one that is lower than the first of its
                segment was carried forward by compaction
    settle      obligations that have ended, and how
    notes       values by kind and key, the last one counts: checkpoints, marks, what compaction has removed
    commit      closes a batch that was made durable in one go, with the last sequence in it
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

import google_crc32c
import msgspec

SEAL_BYTES = 18
MAX_LINE_BYTES = 64 * 1024 * 1024
"""No line is longer; what is, is damage. An event may fill at most half of it."""

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode
_SEAL = re.compile(rb',"crc":"([0-9a-f]{8})"\}')
_START = re.compile(rb'\{"(?:segment|seq|settle|notes|commit)":')
_NOTES_BYTES = 4 * 1024 * 1024
_TRIED_BYTES = 16 * MAX_LINE_BYTES
"""How much is looked through for lines in one stretch of broken bytes: a payload may be full of what looks like one."""


def seal(record: bytes, salt: int) -> bytes:
    """Close a record that lacks its last brace: its seal, and the newline."""
    record = record.replace(b',"crc":"', b', "crc":"')  # between members always: in a string, the quotes are escaped
    return b'%b,"crc":"%08x"}\n' % (record, google_crc32c.extend(salt, record))


def line_of(record: dict[str, Any], salt: int) -> bytes:
    """A line of any kind, from its members in order."""
    return seal(_encode(record)[:-1], salt)


def event_line(sequence: int, event: bytes, salt: int) -> bytes:
    """The line of an event that is JSON already."""
    return seal(b'{"seq":%d,"event":%b' % (sequence, event), salt)


def note_lines(entries: Iterable[bytes], salt: int) -> Iterator[bytes]:
    """The lines of notes that are JSON already, ``[kind, key, value]``: as many as it takes to keep each short."""
    some: list[bytes] = []
    left_bytes = _NOTES_BYTES
    for entry in entries:
        if some and len(entry) > left_bytes:
            yield seal(b'{"notes":[%b]' % b",".join(some), salt)
            some, left_bytes = [], _NOTES_BYTES
        some.append(entry)
        left_bytes -= len(entry)
    if some:
        yield seal(b'{"notes":[%b]' % b",".join(some), salt)


def is_whole(line: bytes, salt: int) -> bool:
    """Whether a line, without its newline, is as it was written into a segment of this salt."""
    record = line[:-SEAL_BYTES]
    sealed = _SEAL.fullmatch(line, len(record))
    return sealed is not None and google_crc32c.extend(salt, record) == int(sealed[1], 16)


def members(line: bytes) -> dict[str, Any]:
    """The members of a whole line."""
    record: dict[str, Any] = _decode(line)
    return record


def sequence_of(line: bytes) -> int | None:
    """The sequence number of a whole line that is an event's; found without reading the event."""
    return int(line[7 : line.index(b",", 7)]) if line.startswith(b'{"seq":') else None


def event_of(line: bytes) -> bytes:
    """The event in a whole line that is an event's, as JSON."""
    return line[line.index(b',"event":') + 9 : -SEAL_BYTES]


def salvage(damaged: bytes, salt: int) -> Iterator[tuple[int, int]]:
    """
    Find the whole lines in bytes that are not one: a flipped newline joins two lines that are both as written.

    Gives where each begins and ends. A line ends at the first seal behind its start; what looks like a start may be
    inside a payload, but that seal then does not fit.
    """
    behind, left_bytes = 0, _TRIED_BYTES
    for sealed in _SEAL.finditer(damaged):
        for start in (found.start() for found in _START.finditer(damaged, behind, sealed.start())):
            left_bytes -= sealed.end() - start
            if left_bytes < 0:
                return
            if is_whole(damaged[start : sealed.end()], salt):
                yield start, sealed.end()
                break
        behind = sealed.end()
