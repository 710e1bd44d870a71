"""How figures and lists are shown to people: durations, ages, tables. Pure functions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime

_UNITS = ((86400, "d"), (3600, "h"), (60, "m"), (1, "s"))
_LONGEST_CELL = 48


def duration(seconds: float) -> str:
    """
    The two largest units of a duration.

    >>> duration(300), duration(93784), duration(0.25)
    ('5m', '1d 2h', '250ms')
    """
    if 0 < seconds < 1:
        return f"{seconds * 1000:.0f}ms"
    whole, parts = int(seconds), []
    for size, unit in _UNITS:
        count, whole = divmod(whole, size)
        if count:
            parts.append(f"{count}{unit}")
    return " ".join(parts[:2]) or "0s"


def age(timestamp: str | None, *, now_s: float) -> str:
    """
    How long ago a moment was.

    >>> age("2026-01-31T09:00:00.000Z", now_s=1769850300.0)
    '5m ago'
    """
    if not timestamp:
        return "—"
    try:
        at = datetime.fromisoformat(timestamp)
    except ValueError:
        return timestamp
    passed_s = now_s - (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
    return "now" if passed_s < 1 else f"{duration(passed_s)} ago"


def clock(timestamp: str) -> str:
    """
    The time of day of a moment in UTC, as it stands in it.

    >>> clock("2026-01-31T09:00:07.250Z")
    '09:00:07'
    """
    _, t, time = timestamp.partition("T")
    return time[:8] if t else timestamp


def count(number: int, noun: str) -> str:
    """
    A number of things.

    >>> count(1, "module"), count(2, "module")
    ('1 module', '2 modules')
    """
    return f"{number} {noun}{'' if number == 1 else 's'}"


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> Iterator[str]:
    """
    Lines of a table, whose last column may be of any width.

    >>> print("\\n".join(table(["ID", "N"], [["github", 3], ["cron", 12]])))
    ID      N
    github  3
    cron    12
    """
    cells = [[_cell(cell) for cell in row[:-1]] + [str(row[-1])] for row in rows]
    widths = [max(map(len, column)) for column in zip(list(head), *cells, strict=True)]
    for line in (list(head), *cells):
        yield "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()


def _cell(value: object) -> str:
    text = "—" if value is None else str(value)
    return text if len(text) <= _LONGEST_CELL else f"{text[: _LONGEST_CELL - 1]}…"
