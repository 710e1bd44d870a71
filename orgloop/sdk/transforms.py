"""What changes events on their way along a route, or drops them."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Protocol

import msgspec

from orgloop.event import Event


class Marks(Protocol):
    """What a transform may remember from one event to the next: kept per route and transform, and durable."""

    def is_first(self, key: str, *, window_s: float) -> bool:
        """
        Whether no *other* event has shown this key within the window; if so, it is this event's from now on.

        The mark becomes durable with the settlement of the event, so an event that is delivered again is still first.
        """
        ...


class Context(msgspec.Struct, frozen=True):
    """What a transform is told about the place in which it stands; one is made for each transform of each event."""

    module: str
    route: str
    source: str
    target: str
    """The actor that the event is for."""
    event_type: str
    now_s: float
    """Unix seconds."""
    marks: Marks


class Transform(Protocol):
    """Changes events, or drops them, on their way along one route."""

    def apply(self, event: Event, context: Context) -> Event | Awaitable[Event | None] | None:
        """
        The event to go on with, or None to drop it here. May be a coroutine function.

        MUST NOT change the event it was given, nor anything inside it: other routes have the same one. SHOULD raise
        :class:`TransformFailed` for what may happen to any event; whatever else it raises is a crash.
        """
        ...


class TransformFailed(Exception):
    """
    The transform could not do its work on this event, and it is nobody's crash: the route's ``on_error`` decides.

    The event is unchanged, so it may go on, be dropped or be kept for a person; nothing is restarted.
    """
