"""What the files of a log say, by ``docs/wal-format.md`` alone: this shares no code with what it judges."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import attrs
import google_crc32c

from tests.runtime.crash.stage import NO_ROUTE

CHECKPOINT = ("checkpoint", "m/counter")
SEAL_BYTES = 18
SEAL = re.compile(rb',"crc":"[0-9a-f]{8}"\}\n')
BEGINNING = re.compile(rb'\{"(?:segment|seq|settle|notes|commit)":')

Record = dict[str, Any]
"""A line of the log."""


@attrs.define
class Log:
    """What the lines of a log say, one after the other."""

    kinds: dict[str, str] = attrs.field(factory=dict)
    """Of every event in it, by id."""
    ids: dict[int, str] = attrs.field(factory=dict)
    open: set[str] = attrs.field(factory=set)
    ended: defaultdict[str, set[str]] = attrs.field(factory=lambda: defaultdict(set))
    """Routes whose obligations have ended of events that are open."""
    settled: list[tuple[str, str, str]] = attrs.field(factory=list)
    """Every settlement that was written: id, route, outcome."""
    place: int = 0
    """The checkpoint of the counter."""

    @classmethod
    def of(cls, contents: Mapping[str, bytes]) -> Log:
        """Read the files of a log directory."""
        log = cls()
        read = (_records(name, content) for name, content in sorted(contents.items()) if not name.startswith("."))
        segments = [records for records in read if any(records)]  # without a whole line it never was one
        for number, records in enumerate(segments):
            for record in _that_count(records, segments[number + 1] if number + 1 < len(segments) else None):
                log._take(record)
        return log

    def _take(self, record: dict[str, Any]) -> None:
        if "seq" in record:
            event = record["event"]
            self.ids[record["seq"]] = event["id"]
            self.kinds[event["id"]] = event["payload"]["kind"]
            self.open.add(event["id"])
        elif "settle" in record:
            self._settle(record)
        for kind, key, value in record.get("notes", ()):
            if (kind, key) == CHECKPOINT:
                self.place = int(value["checkpoint"])

    def _settle(self, record: dict[str, Any]) -> None:
        route = record.get("route", NO_ROUTE)
        for sequence in record["events"]:
            id_ = self.ids.get(sequence)
            if id_ is None:
                continue  # its event went with a segment that was compacted
            if record["settle"] != "carried":
                self.settled.append((id_, route, record["settle"]))
            if sequence in record.get("still_open", ()):
                self.ended[id_].add(route)
            else:
                self.open.discard(id_)


def _records(name: str, content: bytes) -> list[Record | None]:
    """Line for line; None for broken bytes before, between or behind those that are whole."""
    found: list[Record | None] = []
    salt, at = int(name[11:19], 16), 0
    for seal in SEAL.finditer(content):
        record, begin = _record(content[at : seal.end()], salt)
        if begin != 0:
            found.append(None)
        if record is not None:
            found.append(record)
        at = seal.end()
    return found if at == len(content) else [*found, None]


def _record(piece: bytes, salt: int) -> tuple[Record | None, int]:
    """The line that ends here, wherever it begins, and where that is; -1 if there is none."""
    for begin in BEGINNING.finditer(piece):
        line = piece[begin.start() : -1]
        if line[-10:-2] == b"%08x" % google_crc32c.extend(salt, line[:-SEAL_BYTES]):
            return json.loads(line), begin.start()
    return None, -1


def _that_count(records: Sequence[Record | None], following: Sequence[Record | None] | None) -> Iterator[Record]:
    """What counts of a segment by ``docs/wal-format.md``: not what is torn, nor the notes of a doubtful last batch."""
    commits = [number for number, record in enumerate(records) if record is not None and "commit" in record]
    end = commits[-1] + 1 if commits else 0
    begin = commits[-2] + 1 if len(commits) > 1 else 0
    header = following[0] if following else None
    doubtful = None in records[begin:end] and (following is None or bool(header and header["doubts_previous"]))
    for number, record in enumerate(records):
        if record is None and number >= end and following is None:
            return
        if record is not None:
            yield {**record, "notes": ()} if doubtful and begin <= number < end else record
