"""
When a schedule is due. Pure: times go in as Unix seconds, and come out so.

Law: an occurrence belongs to the interval (last fired, now]. What is due is the newest of them, oldest first, up to a
limit; nothing is fired twice, whatever the clocks of a country or of a machine do.

    clocks go forward    a fixed time that does not exist that day is due at once after the gap
    clocks go back       a fixed time that exists twice is due the first time; ``*`` in minute or hour goes on counting
"""

from __future__ import annotations

import math
import os
import re
from collections import deque
from contextlib import suppress
from datetime import UTC, datetime, tzinfo
from typing import Protocol

import attrs

MAX_EXPRESSION_CHARS = 256

MAX_MISSED = 10_000
"""How many occurrences may be caught up with at a time."""

MIN_INTERVAL_S = 1.0

MAX_AHEAD_S = 3600.0
"""A last firing that is further ahead of the clock than this is taken for a clock that was set back."""

_EVERY = re.compile(r"(?:every\s+)?([0-9]{1,9})(ms|s|m|h|d)", re.IGNORECASE)
_UNIT_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_FIRST_SPAN_S = 3600.0


@attrs.frozen
class Due:
    """One occurrence, and how many before it were not fired."""

    at_s: float
    missed: int = 0


class Timing(Protocol):
    """When something is due."""

    def after(self, at_s: float) -> float | None:
        """The first occurrence after a time; None if there is none for fifty years."""
        ...

    def between(self, after_s: float, until_s: float, *, limit: int) -> list[float]:
        """The occurrences in (after, until], the newest ``limit`` of them, oldest first."""
        ...


def timing_of(expression: str, zone: tzinfo) -> Timing:
    """What an expression means; ValueError, in one sentence, if it means nothing."""
    if len(expression) > MAX_EXPRESSION_CHARS:
        raise ValueError(f"has {len(expression)} characters; at most {MAX_EXPRESSION_CHARS} are allowed")
    if every := _EVERY.fullmatch(expression.strip()):
        interval_s = int(every[1]) * _UNIT_S[every[2].lower()]
        if not MIN_INTERVAL_S <= interval_s <= 366 * 86_400:
            raise ValueError(f'"{expression}": an interval is from 1s to 366d')
        return Every(interval_s)
    _refuse_unless_sound(expression)
    return Cron(expression, zone)


def _refuse_unless_sound(expression: str) -> None:
    from cronsim import CronSim, CronSimError

    try:
        next(CronSim(expression, datetime(2024, 1, 1, tzinfo=UTC)))
    except CronSimError as exc:
        why = "" if str(exc) == "Wrong number of fields" else f" {exc}."
        raise ValueError(
            f'Invalid cron expression: "{expression}".{why} Expected 5 fields (minute hour dom month dow),'
            " 6 with seconds first, or an interval, as in every 30m"
        ) from exc
    except StopIteration as exc:
        raise ValueError(f'"{expression}" never fires') from exc


def due_of(
    timing: Timing, last_s: float, now_s: float, *, missed: str, max_missed: int, grace_s: float
) -> tuple[list[Due], float]:
    """
    What to fire now, oldest first, and the time from which to go on.

    ``missed`` is ``skip``, ``one`` or ``all``; ``last_s`` is the last occurrence that was dealt with.
    """
    if last_s > now_s + MAX_AHEAD_S:
        return [], now_s
    times = timing.between(last_s, now_s, limit=max_missed)
    if not times:
        return [], last_s
    match missed:
        case "all":
            fired = [Due(at_s) for at_s in times]
        case "one":
            fired = [Due(times[-1], missed=len(times) - 1)]
        case _:
            fired = [Due(at_s) for at_s in times if now_s - at_s <= grace_s]
    return fired, times[-1]


# -- the two kinds of timing -------------------------------------------------------------------------------------------


@attrs.frozen
class Every:
    """Due each so many seconds, counted from the last time."""

    interval_s: float

    def after(self, at_s: float) -> float:
        return at_s + self.interval_s

    def between(self, after_s: float, until_s: float, *, limit: int) -> list[float]:
        count = math.floor((until_s - after_s) / self.interval_s)
        return [after_s + number * self.interval_s for number in range(max(1, count - limit + 1), count + 1)]


@attrs.frozen
class Cron:
    """Due as a cron expression says, as Debian's cron understands it."""

    expression: str
    zone: tzinfo

    def after(self, at_s: float) -> float | None:
        return next(iter(self._from(at_s)), None)

    def between(self, after_s: float, until_s: float, *, limit: int) -> list[float]:
        # From near to far, so that a long absence is not gone through second by second.
        span_s = _FIRST_SPAN_S
        while True:
            begin_s = max(after_s, until_s - span_s)
            found: deque[float] = deque(maxlen=limit)
            for due_s in self._from(begin_s):
                if due_s > until_s:
                    break
                found.append(due_s)
            if begin_s == after_s or len(found) == limit:
                return list(found)
            span_s *= 4

    def _from(self, after_s: float) -> _Occurrences:
        return _Occurrences(self.expression, self.zone, after_s)


class _Occurrences:
    """The occurrences after a time, one by one."""

    def __init__(self, expression: str, zone: tzinfo, after_s: float) -> None:
        from cronsim import CronSim

        self._sim = CronSim(expression, datetime.fromtimestamp(math.floor(after_s), zone))
        self._last_s = after_s

    def __iter__(self) -> _Occurrences:
        return self

    def __next__(self) -> float:
        # In the hour that a clock goes through twice, the second time begins again with the first.
        while (due_s := next(self._sim).timestamp()) <= self._last_s:
            pass
        self._last_s = due_s
        return due_s


# -- time zones --------------------------------------------------------------------------------------------------------


def zone_of(name: str | None) -> tzinfo:
    """A time zone by name, or the machine's own; ValueError if there is none of that name."""
    from zoneinfo import ZoneInfo

    if name is None:
        return _local_zone()
    if name == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as exc:
        raise ValueError(
            f"no time zone is called {name[:60]!r}; write one of the tz database, as in Europe/Berlin"
        ) from exc


def _local_zone() -> tzinfo:
    from zoneinfo import ZoneInfo

    names = [os.environ.get("TZ", "").removeprefix(":")]
    with suppress(OSError):
        names.append(os.readlink("/etc/localtime").partition("zoneinfo/")[2])
    for name in filter(None, names):
        try:
            return ZoneInfo(name)
        except (KeyError, ValueError, OSError):
            continue
    return UTC
