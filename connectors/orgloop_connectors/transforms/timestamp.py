"""Timestamps: every time in a payload in one zone, and what a filter may want to know of when an event happened."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

import attrs

from orgloop.sdk import Context, Event, Offer, Place, TransformFailed, timestamp_of
from orgloop_connectors.transforms._values import changed, put, refuse, written

FIELDS: Mapping[str, Callable[[datetime], object]] = {
    "date": lambda at: at.strftime("%Y-%m-%d"),
    "hour": lambda at: at.hour,
    "weekday": lambda at: at.strftime("%A").lower(),
    "unix": lambda at: int(at.timestamp()),
    "unix_ms": lambda at: round(at.timestamp() * 1000),
}
"""What is made of the time of an event, by name."""

PROCESSED_AT = "processed_at"
NAMES = (*FIELDS, PROCESSED_AT)

_WHEN = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(\.\d{1,12})?([Zz]|[+-]\d\d:\d\d)",
    re.ASCII,
)
_MAX_CHARS = 48


@attrs.frozen(kw_only=True)
class TimestampConfig:
    """
    What is written, and by which clock.

    ``normalize_to`` is a time zone (``UTC``, ``Europe/Berlin``): every text in the payload that is a date and a time
    with an offset, and nothing else, is written in it. ``add_fields`` names what goes to ``provenance.time``, of the
    event's own timestamp and in that zone (UTC without one): ``date``, ``hour``, ``weekday``, ``unix``, ``unix_ms``;
    and ``processed_at``, which is now.
    """

    normalize_to: str | None = None
    add_fields: Sequence[str] = ()


class Timestamp:
    """
    Pure. The instant stays what it was, to the last digit of a second; a text that is no time stays as it is.

    The timestamp of the event itself is always in UTC, and stays so.
    """

    def __init__(self, config: TimestampConfig, place: Place) -> None:  # noqa: ARG002
        """ValueError, a line for each fault."""
        faults = [
            f"add_fields.{number}: there is no {name!r}; write one of {', '.join(NAMES)}"
            for number, name in enumerate(config.add_fields)
            if name not in NAMES
        ]
        self._zone: tzinfo = UTC
        try:
            self._zone = _zone(config.normalize_to or "UTC")
        except ValueError as exc:
            faults.append(f"normalize_to: {exc}")
        if config.normalize_to is None and not config.add_fields:
            faults.append("normalize_to: nothing is to be done; write a time zone, as in UTC, or add_fields")
        refuse(faults)
        self._config = config

    def apply(self, event: Event, context: Context) -> Event:
        """The event by that clock."""
        if self._config.normalize_to is not None:
            payload = changed(event.payload, self._in_zone, at="payload")
            event = written(event, payload=payload, provenance=event.provenance)
        for name in self._config.add_fields:
            event = put(event, ("provenance", "time", name), self._field(name, event, context))
        return event

    def _field(self, name: str, event: Event, context: Context) -> object:
        if name == PROCESSED_AT:
            return timestamp_of(context.now_s)
        try:
            at = datetime.fromisoformat(event.timestamp)
            return FIELDS[name]((at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(self._zone))
        except (ValueError, OverflowError) as exc:
            raise TransformFailed(f"the event's timestamp {event.timestamp[:40]!r} is no time: {exc}") from exc

    def _in_zone(self, _: str, value: Any) -> Any:
        if not isinstance(value, str) or not 20 <= len(value) <= _MAX_CHARS:
            return value
        when = _WHEN.fullmatch(value)
        return value if when is None else _moved(value, when, self._zone)


def _moved(text: str, when: re.Match[str], zone: tzinfo) -> str:
    """A time in another zone; as it was, where it is none (the 30th of February), or the offset has seconds."""
    day, clock, fraction, offset = when[1], when[2], when[3] or "", when[4]
    try:
        at = datetime.fromisoformat(f"{day}T{clock}{offset.upper()}").astimezone(zone)
    except (ValueError, OverflowError):
        return text
    shift = at.utcoffset() or timedelta()
    if shift % timedelta(minutes=1):
        return text
    # The fraction does not move with the zone; Python would cut it at six digits.
    ending = "Z" if not shift else at.isoformat()[19:]
    moved = f"{at.replace(tzinfo=None).isoformat()}{fraction}{ending}"
    return text if moved == text else moved


def _zone(name: str) -> tzinfo:
    from zoneinfo import ZoneInfo

    if name.upper() in ("UTC", "Z"):
        return UTC
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, LookupError) as exc:
        raise ValueError(f"there is no time zone {name[:60]!r}; write UTC, or a name as in Europe/Berlin") from exc


OFFER = Offer(config=TimestampConfig, make=Timestamp)
