"""What a program outside made of an event, taken back in: checked as any event from outside is."""

from __future__ import annotations

from typing import Any

import attrs
import msgspec

from orgloop.errors import EventError
from orgloop.event import Event, faults_of
from orgloop.sdk import TransformFailed

KEPT = ("id", "trace_id", "module", "ancestors", "only_for")
"""What a program may write, and what stays as it was all the same."""

_FIELDS = [field.name for field in attrs.fields(Event)]
_NEEDED = ("source", "type", "provenance", "payload")


def rewritten(event: Event, text: bytes) -> Event:
    """
    The event that the JSON in ``text`` says, with the identity of the one it was made from.

    ``timestamp`` may be left out. Raises :class:`TransformFailed`, naming every fault, if the text is no such event.
    """
    try:
        written: Any = msgspec.json.decode(text)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as exc:
        raise TransformFailed(f"what came back is not JSON ({exc}): {_beginning(text)}") from exc
    if not isinstance(written, dict):
        raise TransformFailed(f"what came back is not an event: {_beginning(text)}")
    faults = [f"{field} is missing" for field in _NEEDED if field not in written]
    faults += [f"an event has no {field!r}: put it into payload" for field in written if field not in _FIELDS]
    if not faults:
        try:
            changed = attrs.evolve(event, **{field: written[field] for field in written if field not in KEPT})
            faults = faults_of(changed)
        except EventError as exc:
            faults = [str(exc)]
        else:
            if not faults:
                return changed
    raise TransformFailed(f"what came back is not an event: {'; '.join(faults)}")


def _beginning(text: bytes) -> str:
    return repr(text[:80].decode("utf-8", "replace"))
