"""
Dot paths over an event, read and written without changing it: plain functions over values.

``payload.pull_request.labels.0.name``: the first step is a field of the event, the others are keys, or places in a
list. There is no escaping, so a key that holds a dot cannot be reached.
"""

from __future__ import annotations

import enum
import json
from collections.abc import Sequence
from typing import Any, Final

import attrs

from orgloop.errors import EventError
from orgloop.event import Event
from orgloop.sdk import TransformFailed

Path = tuple[str, ...]
"""The steps of a path."""


class _Missing(enum.Enum):
    MISSING = enum.auto()


MISSING: Final = _Missing.MISSING
"""What :func:`get` finds where nothing is; null is something."""

READABLE = tuple(field.name for field in attrs.fields(Event))
WRITABLE = ("payload", "provenance")
"""Below these, that is: the identity and the place of an event are not a transform's to change."""


def readable(path: str, *, at: str) -> Path:
    """The steps of a path to read; ValueError, beginning with ``at``, for one that no event can have."""
    steps = _split(path, at)
    if steps[0] not in READABLE:
        raise ValueError(
            f"{at}: {path!r} is not in an event, whose fields are {', '.join(READABLE)}; write 'payload.{path}'?"
        )
    return steps


def writable(path: str, *, at: str) -> Path:
    """The steps of a path to write; ValueError, beginning with ``at``, for what a transform may not write."""
    steps = _split(path, at)
    if steps[0] not in WRITABLE or len(steps) == 1:
        raise ValueError(
            f"{at}: {path!r} cannot be written, only what is inside payload and provenance; write 'payload.{steps[-1]}'"
        )
    return steps


def _split(path: object, at: str) -> Path:
    if not isinstance(path, str) or not all(steps := tuple(path.split("."))):
        raise ValueError(f"{at}: {path!r} is not a path; write steps with dots between them, as in 'payload.pr.title'")
    return steps


def get(event: Event, path: Path) -> Any:
    """What stands at the path, or :data:`MISSING`."""
    value: Any = getattr(event, path[0])
    for step in path[1:]:
        if isinstance(value, dict):
            value = value.get(step, MISSING)
        elif isinstance(value, list | tuple) and (place := _place(step, value)) is not None:
            value = value[place]
        else:
            return MISSING
    return value


def put(event: Event, path: Path, value: object) -> Event:
    """
    An event that has the value at the path, with maps made on the way where there is nothing or null.

    Only what lies along the path is copied. :class:`TransformFailed` if something that is neither a map nor a list
    with that place stands in the way, or if what comes out is not an event.
    """
    root, *steps = path
    try:
        return attrs.evolve(event, **{root: _with(getattr(event, root), steps, value, root)})
    except EventError as exc:
        raise TransformFailed(f"{'.'.join(path)} cannot become {value!r}: {exc}") from exc


def _with(holder: Any, steps: Sequence[str], value: object, at: str) -> Any:
    if not steps:
        return value
    step, *rest = steps
    if holder is None or holder is MISSING:
        holder = {}
    if isinstance(holder, dict):
        return {**holder, step: _with(holder.get(step, MISSING), rest, value, f"{at}.{step}")}
    if isinstance(holder, list | tuple) and (place := _place(step, holder)) is not None:
        return [*holder[:place], _with(holder[place], rest, value, f"{at}.{step}"), *holder[place + 1 :]]
    raise TransformFailed(f"{at} is {_kind(holder)}, so {at}.{step} cannot be set")


def _place(step: str, holder: Sequence[object]) -> int | None:
    # As JavaScript counts: "01" and "-1" are no places.
    if not (step.isascii() and step.isdigit() and len(step) < 10):
        return None
    place = int(step)
    return place if str(place) == step and place < len(holder) else None


def _kind(value: object) -> str:
    return f"a list of {len(value)}" if isinstance(value, list | tuple) else f"of type {type(value).__name__}"


def text_of(value: object) -> str:
    """
    A value as JavaScript's ``String()`` writes it, which is what patterns and expressions were written against.

    >>> text_of(MISSING), text_of(None), text_of(True), text_of(2.0), text_of(["a", None, 1])
    ('undefined', 'null', 'true', '2', 'a,,1')
    """
    if isinstance(value, str):
        return value
    if value is MISSING:
        return "undefined"
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e21:
        return str(int(value))
    if isinstance(value, list | tuple):
        return ",".join("" if member is None else text_of(member) for member in value)
    return "[object Object]" if isinstance(value, dict) else json.dumps(value)


def refuse(faults: Sequence[str]) -> None:
    """Raise all that is wrong with a configuration as one ValueError, a line each; nothing if nothing is."""
    if faults:
        raise ValueError("\n".join(faults))
