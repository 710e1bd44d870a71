"""Looking at the clock."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import trio

from orgloop.sdk import Checked, Event, Place, Polled, faults_of, timestamp_of
from orgloop_connectors.cron.config import CronConfig, Schedule, faults_in
from orgloop_connectors.cron.due import Due, Every, Timing, due_of, timing_of, zone_of

MAX_NAP_S = 60.0
"""How long it does not look at the clock, which may be set at any time."""


class CronSource:
    """Fires each schedule when it is due, by the wall clock."""

    def __init__(self, config: CronConfig, place: Place, *, now_s: Callable[[], float] = time.time) -> None:
        """ValueError, a line for each fault; ``now_s`` gives Unix seconds."""
        if faults := list(faults_in(config)):
            raise ValueError("\n".join(faults))
        self._config, self._place, self._now_s = config, place, now_s
        self._schedules = [(one, timing_of(one.cron, zone_of(one.timezone))) for one in config.all()]
        for one, timing in self._schedules:
            if faults := faults_of(self._event(one, timing, Due(0.0))):
                raise ValueError("\n".join(f"schedules.{one.name}.payload: {fault}" for fault in faults))

    async def poll(self, checkpoint: str | None) -> Polled:
        """What has become due since the checkpoint, and when the next will be."""
        await trio.lowlevel.checkpoint()
        now_s = self._now_s()
        known = _places_in(checkpoint)
        places: dict[str, Any] = {}
        events: list[Event] = []
        naps_s = [MAX_NAP_S]
        for one, timing in self._schedules:
            last_s = known.get((one.name, _definition(one)), known.get((one.name, None), now_s))
            fired, last_s = due_of(
                timing,
                last_s,
                now_s,
                missed=one.missed or self._config.missed,
                max_missed=self._config.max_missed,
                grace_s=self._config.grace_s,
            )
            events += [self._event(one, timing, due) for due in fired]
            places[one.name] = {"at": timestamp_of(last_s), "of": _definition(one)}
            if (next_s := timing.after(max(last_s, now_s) if not isinstance(timing, Every) else last_s)) is not None:
                naps_s.append(max(0.0, next_s - now_s))
        events.sort(key=lambda event: str(event.provenance["scheduled_at"]))
        written = json.dumps(places, ensure_ascii=False, separators=(",", ":"))
        return Polled(events, None if written == checkpoint else written, next_in_s=min(naps_s))

    def _event(self, one: Schedule, timing: Timing, due: Due) -> Event:
        every_s = timing.interval_s if isinstance(timing, Every) else None
        return event_of(self._place.id, one.name, due, payload=one.payload, every_s=every_s)


def event_of(
    source: str, name: str, due: Due, *, payload: Mapping[str, Any] | None = None, every_s: float | None = None
) -> Event:
    """The event that an occurrence is; the schedule's own payload has the last word, as in the original."""
    at = timestamp_of(due.at_s)
    provenance: dict[str, Any] = {
        "platform": "cron",
        "platform_event": f"schedule.{name}",
        "author_type": "system",
        "resource_id": f"{name}@{at}",
        "scheduled_at": at,
        "missed": due.missed,
    }
    said = {"schedule": name} | ({} if every_s is None else {"interval_ms": round(every_s * 1000)})
    return Event(source, "resource.changed", provenance, said | dict(payload or {}))


async def check_source(config: CronConfig, _: Place) -> list[Checked]:
    """When each schedule is due next; nothing is asked of anybody."""
    now_s = time.time()
    checked: list[Checked] = []
    for one in config.all():
        zone = zone_of(one.timezone)
        next_s = timing_of(one.cron, zone).after(now_s)
        due = "never" if next_s is None else datetime.fromtimestamp(next_s, zone).isoformat(sep=" ", timespec="seconds")
        checked.append(Checked(name=one.name, ok=True, detail=f"next at {due} ({zone})"))
    return checked


# -- the checkpoint ----------------------------------------------------------------------------------------------------


def _definition(one: Schedule) -> str:
    """What a place in time belongs to: a schedule that now means something else begins anew."""
    return one.cron if one.timezone is None else f"{one.cron} {one.timezone}"


def _places_in(checkpoint: str | None) -> dict[tuple[str, str | None], float]:
    """
    When each schedule, by name and definition, was last due; nothing of what cannot be read.

    The original's ``{name: time}`` is read too, for whatever definition.
    """
    try:
        found = json.loads(checkpoint or "{}")
    except (ValueError, RecursionError):
        return {}
    places: dict[tuple[str, str | None], float] = {}
    for name, place in found.items() if isinstance(found, dict) else ():
        at, of = (place.get("at"), place.get("of")) if isinstance(place, dict) else (place, None)
        at_s = _seconds(at)
        if at_s is not None and isinstance(of, str | None):
            places[name, of] = at_s
    return places


def _seconds(at: object) -> float | None:
    try:
        when = datetime.fromisoformat(at) if isinstance(at, str) else None
        at_s = when.timestamp() if when is not None and when.tzinfo is not None else math.nan
    except (ValueError, OverflowError):
        return None
    return at_s if math.isfinite(at_s) else None
