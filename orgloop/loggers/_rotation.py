"""
Rotated log files beside the one that is written: their names, their compression, their end.

    orgloop.log                                 being written
    orgloop.log.2026-01-31T23-59-59-250Z        when it was put aside, in UTC
    orgloop.log.2026-01-31T23-59-59-250Z-2.gz   the second of that millisecond, compressed

Law: only names of exactly this form are ours. Whatever else lies there is neither read, nor counted, nor deleted. All
calls block, and raise ``OSError``.
"""

from __future__ import annotations

import contextlib
import gzip
import os
import re
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import attrs

from orgloop.event import timestamp_of

_PART = ".gz.part"
_STAMP = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}-[0-9]{2}-[0-9]{2}-[0-9]{3}Z"


@attrs.frozen
class Rotated:
    """A file that was put aside: when, as the how-manieth of that millisecond, and how it is stored."""

    at_s: float
    number: int
    name: str
    ending: str
    """Empty, ``.gz``, or that of a compression that did not come to its end."""


def put_aside(path: Path, *, now_s: float) -> Path:
    """Rename the file to a name that is free; gives that name."""
    stamp = re.sub("[:.]", "-", timestamp_of(now_s))
    taken = {rotated.number for rotated in rotated_files(path) if f".{stamp}" in rotated.name}
    number = max(taken, default=0) + 1
    target = path.with_name(f"{path.name}.{stamp}" + (f"-{number}" if number > 1 else ""))
    path.rename(target)
    return target


def tidy(path: Path, *, now_s: float, compress: bool, max_files: int, max_age_s: float) -> None:
    """Compress what is not, then delete what is too old, and the oldest of what is too many."""
    for rotated in rotated_files(path):
        if rotated.ending == _PART:
            path.with_name(rotated.name).unlink()
    if compress:
        for rotated in rotated_files(path):
            if not rotated.ending:
                _compress(path.with_name(rotated.name))
    for place, rotated in enumerate(sorted(rotated_files(path), key=lambda file: (file.at_s, file.number))[::-1]):
        if place >= max_files or now_s - rotated.at_s > max_age_s:
            path.with_name(rotated.name).unlink()


def rotated_files(path: Path) -> Iterator[Rotated]:
    """What was put aside of this file, in no order."""
    form = re.compile(rf"{re.escape(path.name)}\.({_STAMP})(?:-([0-9]{{1,6}}))?(\.gz|\.gz\.part|)")
    with os.scandir(path.parent) as entries:
        found = [(form.fullmatch(entry.name), entry.is_file(follow_symlinks=False)) for entry in entries]
    for match, is_file in found:
        if match is None or not is_file:
            continue
        with contextlib.suppress(ValueError):  # 2026-99-99 is no day, and so no name of ours
            at = datetime.strptime(match[1], "%Y-%m-%dT%H-%M-%S-%fZ").replace(tzinfo=UTC)
            yield Rotated(at.timestamp(), int(match[2] or 1), match[0], match[3])


def _compress(path: Path) -> None:
    part = path.with_name(f"{path.name}{_PART}")
    try:
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with (
            open(descriptor, "wb") as target,
            gzip.GzipFile(path.name, "wb", compresslevel=6, fileobj=target) as packed,
            path.open("rb") as source,
        ):
            shutil.copyfileobj(source, packed, 256 * 1024)
            packed.close()
            target.flush()
            os.fsync(descriptor)
    except OSError:
        part.unlink(missing_ok=True)
        raise
    part.rename(path.with_name(f"{path.name}.gz"))
    path.unlink()
