"""
Notices of the past: those of the ring, and behind them those of the log file, newest first.

    cursor = <timestamp>~<how many of that moment were shown>

A cursor needs nothing kept for it, and holds over a rotation of the file, which is read backwards, within a bound.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import attrs
import msgspec

from orgloop.http.app.given import Logs
from orgloop.http.app.problems import bad
from orgloop.http.app.ring import plain_of_notice, wants
from orgloop.sdk import Notice

MOST_BYTES = 16 * 1024 * 1024
"""How much of the file is read for one question."""

BLOCK_BYTES = 64 * 1024

LONGEST_LINE = 1024 * 1024
"""A longer line is none of ours, and passed over."""

_CURSOR = re.compile(r"([0-9T:.+Z-]{1,40})~([0-9]{1,9})")


@attrs.define
class Bound:
    """How much may still be read; ``was_reached`` once there was more."""

    left_bytes: int = MOST_BYTES
    was_reached: bool = False


@attrs.frozen
class Found:
    """A page: notices as plain data, newest first."""

    items: list[dict[str, Any]]
    next: str | None
    is_complete: bool


@attrs.frozen
class Kept:
    """What a ring had at one moment; ``is_whole`` if nothing had left it."""

    notices: Sequence[Notice]
    """Newest first."""
    is_whole: bool


def look_back(kept: Kept, file: Path | None, query: Logs, *, bound: Bound | None = None) -> Found:
    """A page of what is wanted; reads a file, so it is for a thread."""
    bound = bound or Bound()
    since, until = (None if text is None else instant(text, name) for name, text in _named_times(query))
    before, shown = (None, 0) if query.after is None else read_cursor(query.after)
    items: list[dict[str, Any]] = []
    at, same = before, shown
    for one in _all(kept, file, bound):
        found = str(one.get("timestamp", ""))
        if since is not None and found < since:
            break
        if (until is not None and found > until) or (before is not None and found > before) or not wants(query, one):
            continue
        if found == before and shown:
            shown -= 1
            continue
        if len(items) == query.limit:
            return Found(items, f"{at}~{same}", is_complete=True)
        items.append(one)
        at, same = found, same + 1 if found == at else 1
    return Found(items, None, is_complete=not bound.was_reached)


def _named_times(query: Logs) -> tuple[tuple[str, str | None], tuple[str, str | None]]:
    return ("since", query.since), ("until", query.until)


def read_cursor(cursor: str) -> tuple[str, int]:
    """A moment, and how many of it were shown; :class:`Refused` if it is no cursor."""
    found = _CURSOR.fullmatch(cursor)
    if found is None:
        raise bad("This is not a cursor", where="after", next_="Give what `next` of the page before says.")
    return found[1], int(found[2])


def instant(text: str, where: str) -> str:
    """
    A time as the log writes it, in UTC to the millisecond, so that texts compare as times do.

    >>> instant("2026-03-01T10:00:00+01:00", "since")
    '2026-03-01T09:00:00.000Z'
    """
    try:
        at = datetime.fromisoformat(text)
        at = (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError) as exc:
        raise bad(
            f"{where}: {text!r} is not a time", where=where, next_="Write it as in 2026-03-01T09:00:00Z."
        ) from exc
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03d}Z"


def _all(kept: Kept, file: Path | None, bound: Bound) -> Iterator[dict[str, Any]]:
    """
    What the ring has, then what the file has of the time before; none twice.

    The oldest moment of a ring that has lost something may have lost it too: that moment is the file's.
    """
    oldest = kept.notices[-1].timestamp if kept.notices else None
    is_shared = file is not None and not kept.is_whole
    yield from (plain_of_notice(one) for one in kept.notices if not is_shared or one.timestamp != oldest)
    if file is None:
        return
    for one in lines_backwards(file, bound):
        at = str(one.get("timestamp", ""))
        if oldest is None or at < oldest or (is_shared and at == oldest):
            yield one


def lines_backwards(file: Path, bound: Bound) -> Iterator[dict[str, Any]]:
    """The entries of a log file, the last first; none if it is not there. What is no entry is passed over."""
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        return
    with os.fdopen(descriptor, "rb") as stream:
        for line in _lines_backwards(stream.fileno(), bound):
            try:
                entry = msgspec.json.decode(line)
            except msgspec.DecodeError:
                continue
            if isinstance(entry, dict):
                yield entry


def _lines_backwards(descriptor: int, bound: Bound) -> Iterator[bytes]:
    end = os.fstat(descriptor).st_size
    rest = b""
    is_skipping = False
    while end > 0:
        if bound.left_bytes <= 0:
            bound.was_reached = True
            return
        size = min(BLOCK_BYTES, end)
        end -= size
        bound.left_bytes -= size
        first, *lines = (os.pread(descriptor, size, end) + rest).split(b"\n")
        if is_skipping and lines:
            lines.pop()  # the beginning of a line that is too long
            is_skipping = False
        yield from (line for line in reversed(lines) if line)
        rest = b"" if is_skipping else first
        if len(rest) > LONGEST_LINE:
            rest, is_skipping = b"", True
    if rest and not is_skipping:
        yield rest
