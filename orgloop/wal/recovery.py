"""
What a directory of segments amounts to. Nothing is changed by reading it: the findings say what is to be changed.

The cases, by name:

    clean           every line is whole, the last line is a commit
    uncommitted     whole lines after the last commit: not acknowledged, but kept: a damaged commit then loses nothing
    torn            broken bytes after the last commit of the last segment, and all after them: never acknowledged; put
                    aside and cut off. Also a file without a whole line: the beginning of a segment
    damaged         broken bytes anywhere else: were acknowledged; copied aside, reported, passed over
    doubtful        broken bytes in the last batch, which may never have been acknowledged: as damaged, but its notes do
                    not count, for a checkpoint must not be ahead of events that are missing. The header of the next
                    segment says so for good
    missing         a segment, or the end of one, or events, that should be there: reported
    superseded      a segment that compaction has carried forward and not yet removed: to be removed. Also a second
                    beginning of a segment: a first attempt that failed
    foreign         a segment of another log, or under the name of another: reported, put aside
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import islice, pairwise, zip_longest

from orgloop.wal.disk import Disk
from orgloop.wal.findings import Damage, Findings, Segment
from orgloop.wal.reading import Reading
from orgloop.wal.segment import Header, SegmentName, parse_header, parse_name, read_pieces, unpack


def examine(disk: Disk) -> Findings:
    """Read a whole log; blocks, streams, and holds in memory only what is still open."""
    findings = Findings()
    ours = _ours(findings, disk)
    for (name, header), following in zip_longest(ours, ours[1:]):
        after = following[1] if following is not None and following[0].number == name.number + 1 else None
        Reading(disk, findings, name, header, after, last=following is None).run()
    _settle_accounts(findings)
    return findings


def examine_segment(disk: Disk, name: SegmentName) -> Findings:
    """Read one segment as if it were a log: whatever it says about events of others is ignored, and counted."""
    findings = Findings()
    size = disk.size(str(name))
    header = _header_of(disk, name, size)
    findings.log = header.log if header is not None else None
    if header is not None and header.number != name.number:
        _put_aside(findings, name, f"is segment {header.number}")
    if _whole_lines(disk, name, size, most=1):
        Reading(disk, findings, name, header, None, last=True).run()
    else:
        findings.beginnings.append(str(name))
    _count_open(findings)
    return findings


# -- which files are the log -------------------------------------------------------------------------------------------


def _ours(findings: Findings, disk: Disk) -> list[tuple[SegmentName, Header | None]]:
    """The segments of this log in order, one for each number."""
    names = sorted(filter(None, map(parse_name, disk.names())), key=lambda name: (name.number, name.salt))
    sizes = {name: disk.size(str(name)) for name in names}
    headers = {name: _header_of(disk, name, sizes[name]) for name in names}
    findings.log = _log_of(headers, sizes)
    chosen: dict[int, SegmentName] = {}
    for name, header in headers.items():
        if header is not None and (header.log != findings.log or header.number != name.number):
            _put_aside(findings, name, f"is segment {header.number} of log {header.log}")
        elif not _whole_lines(disk, name, sizes[name], most=1):
            findings.beginnings.append(str(name))
        else:
            rival = chosen.get(name.number, name)
            chosen[name.number], loser = (name, rival) if sizes[name] > sizes[rival] else (rival, name)
            if rival == name:
                continue
            if _whole_lines(disk, loser, sizes[loser], most=2) == 1:
                findings.superseded.append(str(loser))
            else:
                _put_aside(findings, loser, f"is a second segment {loser.number}")
    return [(name, headers[name]) for name in chosen.values()]


def _header_of(disk: Disk, name: SegmentName, size: int) -> Header | None:
    first = next(read_pieces(disk, name, until=min(size, 4096)), None)
    try:
        return parse_header(name, first.line) if first is not None and first.line is not None else None
    except (LookupError, TypeError, ValueError):
        return None


def _log_of(headers: dict[SegmentName, Header | None], sizes: dict[SegmentName, int]) -> str | None:
    """The log that most of the segments are of; of equals, that which fills more."""
    segments: Counter[str] = Counter()
    filled: Counter[str] = Counter()
    for name, header in headers.items():
        if header is not None:
            segments[header.log] += 1
            filled[header.log] += sizes[name]
    return max(segments, key=lambda log: (segments[log], filled[log]), default=None)


def _put_aside(findings: Findings, name: SegmentName, text: str) -> None:
    findings.foreign.append(str(name))
    findings.damages.append(Damage(str(name), 0, 0, 1, 0, text))


def _whole_lines(disk: Disk, name: SegmentName, size: int, *, most: int) -> int:
    """How many whole lines there are, up to ``most``; a segment without a durable header never held any that counts."""
    whole = (piece for piece in read_pieces(disk, name, until=size) if piece.line is not None)
    return sum(1 for _ in islice(whole, most))


# -- the log as a whole ------------------------------------------------------------------------------------------------


def _settle_accounts(findings: Findings) -> None:
    """Set apart what compaction has made superfluous, look for what is missing, count what is open."""
    compacted = findings.compacted()
    gone = {str(segment.name) for segment in findings.segments if segment.name.number <= compacted}
    if gone:
        findings.superseded.extend(sorted(gone))
        findings.segments = [segment for segment in findings.segments if segment.name.number > compacted]
        findings.damages = [damage for damage in findings.damages if damage.segment not in gone]
        findings.places = {at: place for at, place in findings.places.items() if unpack(place)[0] > compacted}
        findings.settled = {at: ended for at, ended in findings.settled.items() if at in findings.places}
    findings.damages.extend(_gaps(findings.segments, compacted))
    findings.damages.sort(key=lambda damage: (damage.segment, damage.start))
    _count_open(findings)


def _count_open(findings: Findings) -> None:
    by_number = {segment.name.number: segment for segment in findings.segments}
    for place in findings.places.values():
        number, _, length = unpack(place)
        by_number[number].open += 1
        by_number[number].open_bytes += length


def _gaps(segments: list[Segment], compacted: int) -> Iterator[Damage]:
    """Whole segments that are missing, and ends of segments."""
    if segments and segments[0].name.number > compacted + 1:
        first = segments[0]
        text = f"the segments {compacted + 1} to {first.name.number - 1} are missing"
        yield Damage(str(first.name), 0, 0, 1, first.first - 1, text)
    for before, segment in pairwise(segments):
        if segment.name.number > before.name.number + 1:
            text = f"the segments {before.name.number + 1} to {segment.name.number - 1} are missing"
        elif segment.first > before.next:
            text = f"events {before.next} to {segment.first - 1} are missing"
        else:
            continue
        yield Damage(str(segment.name), 0, 0, before.next, segment.first - 1, text)
