"""What brings events in: by looking for itself, or by being told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import attrs

from orgloop.event import Event


@attrs.frozen
class Polled:
    """What a poll found, and where the next one begins; the two become durable together, or not at all."""

    events: Sequence[Event] = ()
    checkpoint: str | None = None
    """None: the place has not moved."""
    next_in_s: float | None = None
    """When to look again, in seconds, if not after the interval as usual: the outside has said so, or a clock."""


class PolledSource(Protocol):
    """A source that looks for itself, from time to time."""

    async def poll(self, checkpoint: str | None) -> Polled:
        """
        Look once, from where the last durable poll ended (None: there was none).

        MUST give the same or later events again when asked again from the same checkpoint. SHOULD return within its
        interval. An outside that does not answer is raised as any exception; it counts as a failed poll, not a crash,
        if it is a :class:`PollFailed`.
        """
        ...


class PollFailed(Exception):
    """The outside did not answer as it should: the checkpoint stays, health and back-off follow, no restart."""

    def __init__(self, reason: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(reason)
        self.retry_after_s = retry_after_s


@attrs.frozen
class Request:
    """What was sent to a pushed source: the bytes as they came, header names in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    query: Mapping[str, str] = attrs.field(factory=dict)


@attrs.frozen
class Response:
    """What a pushed source answers; a 2xx is sent only when the events are durable."""

    status: int = 200
    body: Any = attrs.field(factory=lambda: {"ok": True})
    """Any JSON value."""
    headers: Mapping[str, str] = attrs.field(factory=dict)


@attrs.frozen
class Received:
    """The events of one request, and the answer to it."""

    events: Sequence[Event] = ()
    response: Response = Response()
    delivery_id: str | None = None
    """The sender's own id for this delivery; one that was admitted before is answered, and not admitted again."""


JSON_TYPE, FORM_TYPE = "application/json", "application/x-www-form-urlencoded"


@attrs.frozen(kw_only=True)
class Takes:
    """
    What may come through the front door for a pushed source; it has one as ``takes`` if it wants other than the usual.

    Web pages can send forms to anybody, so only a source that authenticates what it is sent may take them.
    """

    media_types: frozenset[str] = frozenset({JSON_TYPE})
    body_bytes: int = 1024 * 1024


class PushedSource(Protocol):
    """A source that is told; it may say what it ``takes``."""

    async def receive(self, request: Request) -> Received:
        """Make events of a request. MUST authenticate it before parsing it. MUST NOT wait for anything outside."""
        ...
