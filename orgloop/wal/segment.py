"""
One file of the log: its name, its header, and the reading of what it holds, whole lines and broken ones alike.

    0000000007-9f3a12cd.jsonl       number and salt: both survive a damaged header
    {"segment":7,"format":1,"log":"…","first":1202,"previous_bytes":67108864,"doubts_previous":false,"at":"…","crc":"…"}
    {"seq":1202,"event":{…},"crc":"…"}
    {"settle":"delivered","module":"m","route":"r","events":[1190,1202],"crc":"…"}
    {"commit":1202,"crc":"…"}

``previous_bytes`` is how long the segment before was when it was left: what lies beyond was never acknowledged, what is
missing before it was.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import attrs

from orgloop.errors import WalVersion
from orgloop.wal.disk import Disk
from orgloop.wal.frame import MAX_LINE_BYTES, is_whole, line_of, members, salvage

FORMAT = 1
OFFSET_BITS, LENGTH_BITS = 40, 27
_OFFSET_MASK, _LENGTH_MASK = (1 << OFFSET_BITS) - 1, (1 << LENGTH_BITS) - 1
_CHUNK_BYTES = 1024 * 1024
_NAME = re.compile(r"([0-9]{10})-([0-9a-f]{8})\.jsonl")


@attrs.frozen
class SegmentName:
    """The place of a segment in the log, and the salt of its seals."""

    number: int
    salt: int

    def __str__(self) -> str:
        return f"{self.number:010d}-{self.salt:08x}.jsonl"


def parse_name(name: str) -> SegmentName | None:
    """The segment of that file name; None for any other file."""
    found = _NAME.fullmatch(name)
    return SegmentName(int(found[1]), int(found[2], 16)) if found else None


def pack(number: int, start: int, length: int) -> int:
    """A place in the log, without the newline: segment, offset and length in one int, for there may be a million."""
    return (number << OFFSET_BITS | start) << LENGTH_BITS | length


def unpack(place: int) -> tuple[int, int, int]:
    """Segment, offset and length of a place."""
    start = place >> LENGTH_BITS
    return start >> OFFSET_BITS, start & _OFFSET_MASK, place & _LENGTH_MASK


def length_of(place: int) -> int:
    """The length in a place."""
    return place & _LENGTH_MASK


@attrs.frozen
class Header:
    """The first line of a segment."""

    number: int
    log: str
    """Id of the log, so that a segment of another one is not taken for ours."""
    first: int
    """The sequence number that the next event would get when the segment was begun."""
    previous_bytes: int
    doubts_previous: bool
    """Whether the last batch of the segment before was found broken: see ``doubtful`` in recovery.py."""
    at: str

    def line(self, salt: int) -> bytes:
        """As it is written."""
        record = {
            "segment": self.number,
            "format": FORMAT,
            "log": self.log,
            "first": self.first,
            "previous_bytes": self.previous_bytes,
            "doubts_previous": self.doubts_previous,
            "at": self.at,
        }
        return line_of(record, salt)


def parse_header(name: SegmentName, line: bytes) -> Header | None:
    """
    The header in a whole line; None if the line is none.

    Raises :class:`WalVersion` if it was written by a version that this one does not know: of every format, the header
    is a line like this one.
    """
    record: dict[str, Any] = members(line)
    if "segment" not in record:
        return None
    if record.get("format") != FORMAT:
        raise WalVersion(
            f"{name} has format {record.get('format')}, this version knows {FORMAT}; "
            "nothing was changed: start the version that wrote it, or move the log away"
        )
    return Header(
        number=record["segment"],
        log=record["log"],
        first=record["first"],
        previous_bytes=record["previous_bytes"],
        doubts_previous=record["doubts_previous"],
        at=record["at"],
    )


@attrs.frozen
class Piece:
    """Some bytes of a segment: a whole line, or what is not one."""

    start: int
    end: int
    line: bytes | None
    """Without its newline; None if the bytes are broken."""


def read_pieces(disk: Disk, name: SegmentName, *, until: int) -> Iterator[Piece]:
    """Everything in the first ``until`` bytes of a segment, in order, with bounded memory."""
    for start, content, closed in _between_newlines(disk, str(name), until):
        end = start + len(content) + closed
        if closed and is_whole(content, name.salt):
            yield Piece(start, end, content)
        elif content:
            yield from _look_inside(name.salt, start, content, end)
        else:
            yield Piece(start, end, None)
        del content  # before the next one is put together: it may be the longest that there is


def _look_inside(salt: int, start: int, content: bytes, end: int) -> Iterator[Piece]:
    """Part broken bytes into the whole lines among them and the rest."""
    at = 0
    for line_start, line_end in salvage(content, salt):
        if line_start > at:
            yield Piece(start + at, start + line_start, None)
        yield Piece(start + line_start, start + line_end, content[line_start:line_end])
        at = line_end
    if start + at < end:
        yield Piece(start + at, end, None)


def _between_newlines(disk: Disk, name: str, until: int) -> Iterator[tuple[int, bytes, bool]]:
    """Where each line begins, its bytes, and whether a newline ends it; an endless one is given in parts."""
    start, at = 0, 0
    parts: list[bytes] = []
    while at < until and (chunk := disk.read(name, at, min(_CHUNK_BYTES, until - at))):
        *lines, rest = chunk.split(b"\n")
        for line in lines:
            parts.append(line)
            end = start + sum(map(len, parts))
            yield start, _joined(parts), True
            start = end + 1
        parts.append(rest)
        at += len(chunk)
        if at - start > MAX_LINE_BYTES:
            yield start, _joined(parts), False
            start = at
    if start < at:
        yield start, _joined(parts), False


def _joined(parts: list[bytes]) -> bytes:
    whole = b"".join(parts)
    parts.clear()
    return whole
