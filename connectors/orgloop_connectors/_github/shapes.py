"""
Reading what GitHub says without trusting its shape. Pure.

Law: what an event cannot be made without is asked for with :func:`need`, and its absence is a :class:`Drift`, never a
guess; everything else may be missing, null or of another kind, and is then empty.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any

Thing = Mapping[str, Any]
"""A JSON object of GitHub's."""


class Drift(ValueError):
    """What GitHub says is not of the shape that it was."""


def need(thing: object, *path: str) -> Any:
    """What lies at a path; :class:`Drift` if nothing does."""
    found = thing
    for step in path:
        if not isinstance(found, Mapping) or found.get(step) is None:
            raise Drift(f"{'.'.join(path)} is missing")
        found = found[step]
    return found


def number_at(thing: object, *path: str) -> int:
    """The whole number at a path; :class:`Drift` if there is none."""
    found = need(thing, *path)
    if not isinstance(found, int) or isinstance(found, bool):
        raise Drift(f"{'.'.join(path)} is {str(found)[:40]!r}, not a whole number")
    return found


def thing_at(thing: object, *path: str) -> Thing:
    """The object at a path; an empty one if there is none."""
    found = thing
    for step in path:
        found = found.get(step) if isinstance(found, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def things(found: object) -> list[Thing]:
    """The objects of a list; none if it is no list."""
    return [one for one in found if isinstance(one, Mapping)] if isinstance(found, list) else []


def text_at(thing: object, *path: str) -> str:
    """The text at a path; an empty one if there is none."""
    found = thing_at(thing, *path[:-1]).get(path[-1])
    return found if isinstance(found, str) else ""


def time_at(thing: object, *path: str) -> float:
    """
    The time at a path, in Unix seconds; :class:`Drift` if there is none.

    >>> time_at({"created_at": "2023-11-14T22:13:20Z"}, "created_at")
    1700000000.0
    """
    found = need(thing, *path)
    seconds = seconds_of(found) if isinstance(found, str) else None
    if seconds is None:
        raise Drift(f"{'.'.join(path)} is {str(found)[:40]!r}, not a time")
    return seconds


def seconds_of(text: str) -> float | None:
    """Unix seconds of a time in ISO 8601 with a zone; None if it is none."""
    try:
        moment = datetime.fromisoformat(text[:40])
    except ValueError:
        return None
    return moment.timestamp() if moment.tzinfo is not None else None


def date_s(header: str) -> float | None:
    """Unix seconds of a Date header; None if it is none."""
    try:
        return parsedate_to_datetime(header[:60]).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None
