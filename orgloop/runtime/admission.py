"""
Events that are injected, as values or as plain fields: made, checked in full, and stamped with their module. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs
import msgspec

from orgloop.errors import EventError
from orgloop.event import Event, faults_of, in_module


def event_of(given: Event | Mapping[str, Any], module: str) -> Event:
    """An event of a module, from one or from its fields; EventError with every fault."""
    if not isinstance(given, Event):
        given = _from_fields({"provenance": {"platform": "api"}, **given})
    event = in_module(given, module)
    faults = faults_of(event)
    if faults:
        raise EventError(f"not an event: {'; '.join(faults)}")
    return event


def _from_fields(fields: Mapping[str, Any]) -> Event:
    unknown = set(fields) - {field.name for field in attrs.fields(Event)}
    if unknown:
        raise EventError(f"not an event: unknown fields {', '.join(sorted(map(str, unknown)))}; put them into payload")
    missing = {"source", "type"} - set(fields)
    if missing:
        raise EventError(f"not an event: {', '.join(sorted(missing))} is missing")
    try:
        return msgspec.convert(fields, Event)
    except (msgspec.ValidationError, TypeError) as exc:
        raise EventError(f"not an event: {exc}") from exc
