"""
Which segments are superfluous, and what of them must be carried forward.

Only the oldest go, in order: whatever settles an event stands in its segment or a later one. A segment goes when all
its events are settled; or, while the log takes more room than what lives and one segment, together with the one that is
being written two, when its open events have been written again under their old numbers. What is carried is durable,
together with a note of the last segment that it makes superfluous, before anything is removed.

No more is carried at a time than fits into a segment: where very much lives, it goes round and round, and the log takes
up to twice the room.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from orgloop.wal.disk import Disk
from orgloop.wal.findings import Segment
from orgloop.wal.frame import event_line, event_of, line_of, sequence_of
from orgloop.wal.segment import pack, read_pieces

COMPACTED = ("log", "compacted")
"""Kind and key of the note that says up to which segment the log has been compacted."""


def choose(segments: Sequence[Segment], *, segment_bytes: int, kept_bytes: int = 0) -> list[Segment]:
    """
    The oldest segments that can go; never the last one, which is being written.

    What is all settled stays, for whoever asks what has happened, for as long as it and what is younger fit into
    ``kept_bytes``.
    """
    chosen: list[Segment] = []
    carried_bytes = 0
    left_bytes = sum(segment.bytes for segment in segments)
    excess_bytes = sum(segment.bytes - segment.open_bytes for segment in segments) - segment_bytes
    for segment in segments[:-1]:
        if left_bytes <= kept_bytes:
            break
        left_bytes -= segment.bytes
        carried_bytes += segment.open_bytes
        if segment.open and (excess_bytes <= 0 or (chosen and carried_bytes > segment_bytes)):
            break
        chosen.append(segment)
        excess_bytes -= segment.bytes - segment.open_bytes
    return chosen


def open_lines(disk: Disk, segment: Segment, places: Mapping[int, int], *, salt: int) -> dict[int, bytes]:
    """The events of a segment that are open, by sequence, as lines under another salt."""
    lines: dict[int, bytes] = {}
    for piece in read_pieces(disk, segment.name, until=segment.bytes) if segment.open else ():
        sequence = None if piece.line is None else sequence_of(piece.line)
        if piece.line is None or sequence is None:
            continue
        if places.get(sequence) == pack(segment.name.number, piece.start, len(piece.line)):
            lines[sequence] = event_line(sequence, event_of(piece.line), salt)
    return lines


def settled_lines(sequence: int, settled: Mapping[int, set[tuple[str, str]]], *, salt: int) -> Iterator[bytes]:
    """What says again which obligations of an open event have ended."""
    for module, route in sorted(settled.get(sequence, ())):
        record = {"settle": "carried", "module": module, "route": route, "events": [sequence], "still_open": [sequence]}
        yield line_of(record, salt)
