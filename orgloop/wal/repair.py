"""
Doing to the files what the findings ask for, so that the next start finds nothing to do.

Nothing that may ever have been acknowledged is deleted, but put aside under a name that is no segment's:

    .torn-<segment>-<start>      what was cut off, or was the beginning of a segment
    .damaged-<segment>-<start>   a copy of what is damaged, which stays where it is until compaction
    .foreign-<segment>           a segment of another log

Every step can be done again: a crash in the middle costs nothing.
"""

from __future__ import annotations

from orgloop.wal.disk import Disk
from orgloop.wal.findings import Findings


def repair(disk: Disk, findings: Findings) -> int:
    """Put aside, cut off, remove; how many bytes were torn."""
    for damage in findings.damages:
        if damage.end > damage.start:
            _copy_aside(disk, f".damaged-{damage.segment}-{damage.start}", damage.segment, damage.start, damage.end)
    torn_bytes = 0
    if findings.torn is not None:
        segment, start, end = findings.torn
        _copy_aside(disk, f".torn-{segment}-{start}", segment, start, end)
        torn_bytes = end - start
    if findings.segments:
        # Also where nothing is cut: what was read here may be in the cache of the kernel only.
        disk.truncate(str(findings.segments[-1].name), findings.segments[-1].bytes)
    for name in findings.beginnings:
        size = disk.size(name)
        torn_bytes += size
        if size:
            disk.rename(name, f".torn-{name}-0")
        else:
            disk.remove(name)
    for name in findings.foreign:
        disk.rename(name, f".foreign-{name}")
    for name in findings.superseded:
        disk.remove(name)
    disk.sync_directory()
    return torn_bytes


def _copy_aside(disk: Disk, name: str, segment: str, start: int, end: int) -> None:
    content = disk.read(segment, start, end - start)
    if name in disk.names():
        if disk.size(name) == len(content) and disk.read(name, 0, len(content)) == content:
            return
        disk.remove(name)  # written in part, by a start that was cut short
    disk.write_new(name, content)
