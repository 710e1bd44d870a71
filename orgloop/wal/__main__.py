"""
Look at a log without touching it: ``python -m orgloop.wal PATH [--json] [--events]``.

PATH is the directory of a log, or one of its segments. Exit status: 0 all is whole (a torn tail is), 1 there is damage,
2 it could not be looked at. With ``--json`` the first line is the report, and each one after it an event.

It may be asked about a log that is being written: what was written last then looks torn.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import attrs

from orgloop.errors import WalError
from orgloop.wal.disk import Disk, RealDisk
from orgloop.wal.findings import Damage, Findings, Segment
from orgloop.wal.frame import is_whole, members
from orgloop.wal.recovery import examine, examine_segment
from orgloop.wal.segment import SegmentName, parse_name, unpack

PUT_ASIDE = (".torn-", ".damaged-", ".foreign-")


def main(arguments: list[str] | None = None) -> int:
    """Look, tell, and say by the exit status whether all is well."""
    parser = argparse.ArgumentParser("python -m orgloop.wal", description="List, check and explain a write-ahead log.")
    parser.add_argument("path", type=Path, help="the directory of a log, or one of its segments")
    parser.add_argument("--json", action="store_true", help="one line of JSON for the report, and one for each event")
    parser.add_argument("--events", action="store_true", help="the events that are open, too")
    options = parser.parse_args(arguments)
    try:
        disk, findings = _look(options.path)
        aside = {name: disk.size(name) for name in sorted(disk.names()) if name.startswith(PUT_ASIDE)}
        lines = _as_json(findings, aside) if options.json else _as_text(findings, aside)
        _tell(lines)
        if options.events:
            _tell(_events_as_json(disk, findings) if options.json else _events_as_text(disk, findings))
    except (OSError, WalError) as exc:
        parser.exit(2, f"{parser.prog}: {exc}\n")
    return 1 if findings.damages else 0


def _look(path: Path) -> tuple[Disk, Findings]:
    if path.is_dir():  # or asking would make it
        disk = RealDisk(path)
        return disk, examine(disk)
    name = parse_name(path.name)
    if name is None or not path.exists():
        raise WalError(f"{path} is neither a directory nor a segment, such as {SegmentName(7, 0x9F3A12CD)}")
    disk = RealDisk(path.parent)
    return disk, examine_segment(disk, name)


def _tell(lines: Iterable[str]) -> None:
    for line in lines:
        sys.stdout.write(line + "\n")


# -- for programs ------------------------------------------------------------------------------------------------------


def _as_json(findings: Findings, aside: dict[str, int]) -> Iterator[str]:
    torn = findings.torn
    report = {
        "state": "damaged" if findings.damages else "whole",
        "log": findings.log,
        "next_sequence": findings.next_sequence,
        "open_events": len(findings.places),
        "segments": [_segment(segment) for segment in findings.segments],
        "damages": [attrs.asdict(damage) for damage in findings.damages],
        "torn": None if torn is None else {"segment": torn[0], "start": torn[1], "end": torn[2]},
        "beginnings": findings.beginnings,
        "superseded": findings.superseded,
        "foreign": findings.foreign,
        "put_aside": [{"name": name, "bytes": size} for name, size in aside.items()],
        "ignored_settlements": findings.ignored_settlements,
        "notes": [
            {"kind": kind, "key": key, "value": value, "segment": number}
            for (kind, key), (value, number) in sorted(findings.notes.items())
        ],
    }
    yield json.dumps(report)


def _segment(segment: Segment) -> dict[str, Any]:
    return {
        "name": str(segment.name),
        "bytes": segment.bytes,
        "first": segment.first,
        "last": segment.next - 1,
        "events": segment.events,
        "open": segment.open,
        "open_bytes": segment.open_bytes,
    }


def _events_as_json(disk: Disk, findings: Findings) -> Iterator[str]:
    for sequence, event, settled in _open_events(disk, findings):
        yield json.dumps({"sequence": sequence, "settled": settled, "event": event})


# -- for people --------------------------------------------------------------------------------------------------------


def _as_text(findings: Findings, aside: dict[str, int]) -> Iterator[str]:
    yield f"log {findings.log or '?'}, next sequence {findings.next_sequence:,}, open events {len(findings.places):,}"
    if findings.segments:
        yield f"{'segment':<25} {'bytes':>13} {'sequences':>23} {'events':>11} {'open':>11}"
    for segment in findings.segments:
        span = f"{segment.first:,} to {segment.next - 1:,}" if segment.next > segment.first else "none"
        yield f"{segment.name} {segment.bytes:>13,} {span:>23} {segment.events:>11,} {segment.open:>11,}"
    for (kind, key), (value, number) in sorted(findings.notes.items()):
        yield f"note {json.dumps(kind)} {json.dumps(key)} in segment {number}: {_short(value)}"
    yield from _what_a_start_would_do(findings)
    for name, size in aside.items():
        yield f"put aside earlier: {name}, {size:,} bytes"
    yield from map(_damage, findings.damages)
    yield f"damages: {len(findings.damages)}" if findings.damages else "all is whole"


def _what_a_start_would_do(findings: Findings) -> Iterator[str]:
    if findings.torn is not None:
        segment, start, end = findings.torn
        yield f"torn: {segment} from byte {start:,} to {end:,}, never acknowledged; a start would put it aside"
    for name in findings.beginnings:
        yield f"torn: {name} as a whole, the beginning of a segment; a start would put it aside"
    for name in findings.superseded:
        yield f"superseded: {name}; a start would remove it"
    for name in findings.foreign:
        yield f"foreign: {name}; a start would put it aside"
    if findings.ignored_settlements:
        yield f"settlements of events that are not open: {findings.ignored_settlements:,}, ignored"


def _damage(damage: Damage) -> str:
    place = f" from byte {damage.start:,} to {damage.end:,}" if damage.end > damage.start else ""
    events = f", events {damage.first:,} to {damage.last:,}" if damage.first <= damage.last else ""
    return f"damaged: {damage.segment}{place}{events}: {damage.text}"


def _events_as_text(disk: Disk, findings: Findings) -> Iterator[str]:
    for sequence, event, settled in _open_events(disk, findings):
        ended = "".join(f", settled for {json.dumps(route)} of {json.dumps(module)}" for module, route in settled)
        what = f"{_short(event.get('type'))} of {_short(event.get('source'))}, {_short(event.get('id'))}"
        yield f"event {sequence:,}: {what}{ended}"


def _short(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _open_events(disk: Disk, findings: Findings) -> Iterator[tuple[int, dict[str, Any], list[tuple[str, str]]]]:
    names = {segment.name.number: segment.name for segment in findings.segments}
    for sequence in sorted(findings.places):
        number, start, length = unpack(findings.places[sequence])
        line = disk.read(str(names[number]), start, length)
        if is_whole(line, names[number].salt):
            yield sequence, members(line)["event"], sorted(findings.settled.get(sequence, ()))


if __name__ == "__main__":
    sys.exit(main())
