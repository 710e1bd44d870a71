"""What does work with events, and what can come of an attempt."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol

import attrs

from orgloop.event import Event

Emit = Callable[[Sequence[Event]], Awaitable[None]]
"""Takes a batch of events; returns once all of them are durable."""


@attrs.frozen
class Prompt:
    """Instructions of the operator for an actor: never a place for what an event says."""

    text: str
    file: str
    meta: Mapping[str, Any] | None = None
    """The front matter of the file, if it had one."""


@attrs.frozen
class Delivery:
    """One attempt to hand one event to one actor."""

    event: Event
    config: Mapping[str, Any]
    """The route's ``then.config`` with its ``{{…}}`` filled in."""
    prompt: Prompt | None
    attempt: int
    """Counted from 1, over restarts of the daemon too."""
    idempotency_key: str
    """The same for every attempt at this obligation, and for no other."""
    emit: Emit
    """For what follows from this event, such as its own ``actor.stopped``."""


@attrs.frozen
class Delivered:
    """Done."""


@attrs.frozen
class Rejected:
    """Refused for good: to the dead letters at once."""

    reason: str


@attrs.frozen
class Failed:
    """Not done, and worth another attempt; ``retry_after_s`` is what the far side asked for, in seconds."""

    reason: str
    retry_after_s: float | None = None


@attrs.frozen
class Skipped:
    """Not this actor's to do: settled, and said so."""

    reason: str


Outcome = Delivered | Rejected | Failed | Skipped


class Actor(Protocol):
    """Does work with events."""

    async def deliver(self, delivery: Delivery) -> Outcome:
        """
        Hand the event over, and say what came of it.

        MUST expect the same delivery again, with the same ``idempotency_key``. MUST return :class:`Failed` for what may
        pass (no connection, 408, 425, 429, 5xx) and :class:`Rejected` for what will not (other 4xx). SHOULD leave
        deadlines to the runtime, which cancels an attempt that takes longer than the route's ``timeout``.
        """
        ...
