"""What the source can be told, and what can be wrong with it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import attrs

from orgloop_connectors.cron.due import MAX_MISSED, timing_of, zone_of

MAX_SCHEDULES = 1000
"""How many schedules one source may have."""

MAX_NAME_CHARS = 200

Missed = Literal["skip", "one", "all"]
"""What becomes of occurrences that were missed: nothing, one event for all of them, or an event for each."""


@attrs.frozen(kw_only=True)
class Schedule:
    """When to fire, and what to say."""

    name: str
    cron: str
    """Five fields, or six with seconds first, or ``every 30m``."""
    payload: Mapping[str, Any] = attrs.field(factory=dict)
    timezone: str | None = None
    missed: Missed | None = None


@attrs.frozen(kw_only=True)
class CronConfig:
    """Which schedules, in which time zone, and what becomes of what was missed."""

    schedules: Sequence[Schedule] = ()
    schedule: str | None = None
    """One schedule, called ``default``, for those who need no more."""
    timezone: str | None = None
    """As in the tz database; the machine's own unless given."""
    missed: Missed = "one"
    max_missed: int = 100
    """How many missed occurrences of a schedule are fired, or counted, at most: the newest."""
    grace_s: float = attrs.field(default=60.0, metadata={"yaml": "grace", "unit": "duration"})
    """How late an occurrence may be noticed without being missed, for ``skip``."""

    def all(self) -> list[Schedule]:
        """Every schedule, with what holds for all of them filled in."""
        alone = [] if self.schedule is None else [Schedule(name="default", cron=self.schedule)]
        return [
            attrs.evolve(one, timezone=one.timezone or self.timezone, missed=one.missed or self.missed)
            for one in (*self.schedules, *alone)
        ]


def faults_in(config: CronConfig) -> Iterator[str]:
    """What is wrong with a config, a sentence for each fault."""
    schedules = config.all()
    if not schedules:
        yield 'schedules: Cron connector requires at least one schedule, as in [{name: daily, cron: "0 9 * * *"}]'
    if len(schedules) > MAX_SCHEDULES:
        yield f"schedules: has {len(schedules)}; at most {MAX_SCHEDULES} are allowed in one source"
    if not 0 < config.max_missed <= MAX_MISSED:
        yield f"max_missed: must be from 1 to {MAX_MISSED}"
    if not 0 <= config.grace_s <= 86_400:
        yield "grace: must be at most 1d"
    names: set[str] = set()
    for index, one in enumerate(schedules):
        where = "schedule" if index >= len(config.schedules) else f"schedules.{index}"
        yield from _schedule_faults(one, where)
        if one.name in names:
            yield f"{where}: a second schedule is called {one.name!r}; its checkpoint would be the other's"
        names.add(one.name)


def _schedule_faults(one: Schedule, where: str) -> Iterator[str]:
    if not 0 < len(one.name) <= MAX_NAME_CHARS:
        yield f"{where}.name: must have from 1 to {MAX_NAME_CHARS} characters"
    key = where if where == "schedule" else f"{where}.cron"
    try:
        zone = zone_of(one.timezone)
    except ValueError as exc:
        yield f"{where}.timezone: {exc}"
        return
    try:
        timing_of(one.cron, zone)
    except ValueError as exc:
        yield f"{key}: {exc}"
