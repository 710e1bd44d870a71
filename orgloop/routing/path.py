"""
Dot paths into an event: ``payload.pr.labels.0``. Pure: a path is compiled once and then only looks.

The first segment names a field of the event. Every other is a key if it meets a dict, and an index if it is a number
and meets a list; there is no escaping, no index from the end, and never an attribute of anything but the event itself.
What is not there is :data:`MISSING`, which is not null.
"""

from __future__ import annotations

import enum
import re
from functools import lru_cache
from typing import Any, Final

import attrs

from orgloop.event import MAX_DEPTH, Event

FIELDS = ("provenance", "payload", "type", "source", "id", "timestamp", "trace_id", "module")
"""What a path can begin with; one that begins otherwise finds nothing."""

MAX_PATH_CHARS = 512
"""How long a path may be."""

MAX_SEGMENTS = MAX_DEPTH
"""How many segments a path may have: an event is not nested deeper."""

_INDEX = re.compile(r"0|[1-9][0-9]*")


class Missing(enum.Enum):
    """The type of :data:`MISSING`; an enum, so that there is one of it even after a copy."""

    MISSING = "MISSING"

    def __bool__(self) -> bool:
        return False

    def __repr__(self) -> str:
        return "MISSING"


MISSING: Final = Missing.MISSING
"""What a path finds where nothing is."""


@attrs.frozen
class Path:
    """A compiled path, made by :func:`compile_path`."""

    text: str
    _field: str | None
    _steps: tuple[tuple[str, int | None], ...]
    """The key of each segment after the first, and its index if it can be one."""

    def find(self, event: Event) -> Any:
        """The value at this path, or :data:`MISSING`."""
        if self._field is None:
            return MISSING
        value = getattr(event, self._field)
        for key, index in self._steps:
            if isinstance(value, dict):
                value = value.get(key, MISSING)
            elif index is not None and isinstance(value, list | tuple) and index < len(value):
                value = value[index]
            else:
                return MISSING
        return value


@lru_cache(maxsize=1024)  # equal paths of many routes are one object, which stays in the processor's cache
def compile_path(text: str) -> Path:
    """
    Compile a path; :class:`ValueError` if it is empty, or beyond a limit.

    >>> compile_path("payload.labels.1").find(Event("s", "resource.changed", {"platform": "p"}, {"labels": ["a", "b"]}))
    'b'
    """
    if not text:
        raise ValueError("a path must not be empty")
    if len(text) > MAX_PATH_CHARS:
        raise ValueError(f"path {text[:40]!r}… has {len(text)} characters; at most {MAX_PATH_CHARS} are allowed")
    field, *keys = text.split(".")
    if len(keys) >= MAX_SEGMENTS:
        raise ValueError(f"path {text[:40]!r}… has {len(keys) + 1} segments; at most {MAX_SEGMENTS} are allowed")
    steps = tuple((key, int(key) if _INDEX.fullmatch(key) else None) for key in keys)
    return Path(text, field if field in FIELDS else None, steps)
