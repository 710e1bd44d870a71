"""
Events read and written without changing them: dot paths, and walks through all that is in a payload.

Law: what is not changed is shared with the event that came; what is, is copied along its path only. A walk visits a
bounded number of values, or says that there are more.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import attrs

from orgloop.sdk import Event, EventError, TransformFailed

Path = tuple[str, ...]

MAX_VALUES = 100_000
"""How many values of an event a walk visits."""

MAX_DEPTH = 64
"""How deeply an event is nested at most."""

ROOTS = ("provenance", "payload")
"""The fields of an event that hold what others have said."""

READABLE = tuple(field.name for field in attrs.fields(Event))


class _Missing:
    """Nothing."""


MISSING: Final = _Missing()
"""What :func:`get` finds where nothing is; null is something."""


def readable(path: str, *, at: str) -> Path:
    """The steps of a path to read; ValueError, beginning with ``at``, for one that no event can have."""
    steps = tuple(path.split("."))
    if not all(steps) or steps[0] not in READABLE:
        raise ValueError(
            f"{at}: {path!r} is not in an event, whose fields are {', '.join(READABLE)}; write 'payload.…'"
        )
    return steps


def writable(path: str, *, at: str) -> Path:
    """The steps of a path to write, below provenance unless it says payload; ValueError for what may not be written."""
    steps = tuple(path.split("."))
    if steps[0] not in ROOTS:
        steps = ("provenance", *steps)
    if not all(steps) or len(steps) == 1 or steps == ("provenance", "platform"):
        raise ValueError(f"{at}: {path!r} cannot be written; write a name, as in 'team', or 'payload.…'")
    return steps


def get(event: Event, path: Path) -> Any:
    """What stands at the path, or :data:`MISSING`."""
    value: Any = getattr(event, path[0])
    for step in path[1:]:
        if isinstance(value, dict):
            value = value.get(step, MISSING)
        elif isinstance(value, list) and step.isascii() and step.isdecimal() and len(step) < 10:
            value = value[int(step)] if int(step) < len(value) else MISSING
        else:
            return MISSING
    return value


def put(event: Event, path: Path, value: object) -> Event:
    """An event that has the value at the path, with maps made on the way; TransformFailed if there is no place."""
    root, *steps = path
    value = _with(getattr(event, root), steps, value, root)
    if root == "payload":
        return written(event, payload=value, provenance=event.provenance)
    return written(event, payload=event.payload, provenance=value)


def written(event: Event, *, payload: Any, provenance: Any) -> Event:
    """An event with these; itself, if it has them. TransformFailed if that would be none."""
    if payload is event.payload and provenance is event.provenance:
        return event
    try:
        return attrs.evolve(event, payload=payload, provenance=provenance)
    except EventError as exc:
        raise TransformFailed(f"what came of it is not an event: {exc}") from exc


def _with(holder: Any, steps: Sequence[str], value: object, at: str) -> Any:
    if not steps:
        return value
    step, *rest = steps
    if holder is None:
        holder = {}
    if not isinstance(holder, dict):
        raise TransformFailed(f"{at} is of type {type(holder).__name__}, so {at}.{step} cannot be set")
    return {**holder, step: _with(holder.get(step), rest, value, f"{at}.{step}")}


Change = Callable[[str, Any], Any]
"""Given a path and the value there, the value that is to stand there: the same object if nothing changes."""


def changed(value: Any, change: Change, *, at: str) -> Any:
    """
    A value with everything in it changed, from the outside inwards; what is replaced is not looked into.

    TransformFailed if there is more in it than a walk visits.
    """
    return _Walk(change).of(value, at, 0)


@attrs.define(eq=False)
class _Walk:
    change: Change
    left: int = MAX_VALUES

    def of(self, value: Any, at: str, depth: int) -> Any:
        self.left -= 1
        if self.left < 0 or depth > MAX_DEPTH:
            raise TransformFailed(
                f"there are more than {MAX_VALUES} values in the event, or more than {MAX_DEPTH} levels"
            )
        new = self.change(at, value)
        if new is not value:
            return new
        if isinstance(value, dict):
            members = {key: self.of(member, f"{at}.{key}", depth + 1) for key, member in value.items()}
            return members if any(members[key] is not member for key, member in value.items()) else value
        if isinstance(value, list):
            items = [self.of(member, f"{at}.{place}", depth + 1) for place, member in enumerate(value)]
            return items if any(new is not old for new, old in zip(items, value, strict=True)) else value
        return value


def refuse(faults: Sequence[str]) -> None:
    """Raise all that is wrong with a configuration as one ValueError, a line each; nothing if nothing is."""
    if faults:
        raise ValueError("\n".join(faults))
