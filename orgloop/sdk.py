"""
All that the author of a source, an actor, a transform, a logger or a bus imports.

A plug-in is a plain object with the one method of its kind. One that holds something open is an async context manager
too: the runtime enters it before first use and leaves it after the last, in a task of its own under a supervisor. What
is expected to happen is returned as a value; whatever is raised is a crash, and the supervisor's business.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol

import attrs

from orgloop.event import Event

Emit = Callable[[Sequence[Event]], Awaitable[None]]
"""Takes a batch of events; returns once all of them are durable."""

# -- sources -----------------------------------------------------------------------------------------------------------


@attrs.frozen
class Polled:
    """What a poll found, and where the next one begins; the two become durable together, or not at all."""

    events: Sequence[Event] = ()
    checkpoint: str | None = None
    """None: the place has not moved."""


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


class PushedSource(Protocol):
    """A source that is told."""

    async def receive(self, request: Request) -> Received:
        """Make events of a request. MUST authenticate it before parsing it. MUST NOT wait for anything outside."""
        ...


# -- actors ------------------------------------------------------------------------------------------------------------


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


# -- transforms --------------------------------------------------------------------------------------------------------


class Marks(Protocol):
    """What a transform may remember from one event to the next: kept per route and transform, and durable."""

    def is_first(self, key: str, *, window_s: float) -> bool:
        """
        Whether no *other* event has shown this key within the window; if so, it is this event's from now on.

        The mark becomes durable with the settlement of the event, so an event that is delivered again is still first.
        """
        ...


@attrs.frozen
class Context:
    """What a transform is told about the place in which it stands."""

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


# -- the bus -----------------------------------------------------------------------------------------------------------

Note = tuple[str, str, Any]
"""Kind, key and value (JSON; None removes it). The last one of a kind and key counts: a checkpoint, a mark."""


@attrs.frozen(kw_only=True)
class Settlement:
    """
    Obligations of one route that have ended alike; an obligation is an event owed to a route.

    ``outcome`` is ``delivered``, ``no_route``, ``dropped(<transform>)``, ``dead_letter(<reason>)`` or ``expired``;
    ``module`` and ``route`` are None for ``no_route``, and for what a bus itself gives up as unreadable. An event
    comes back after a crash until it is settled without being among ``still_open``.
    """

    outcome: str
    sequences: Sequence[int]
    module: str | None = None
    route: str | None = None
    still_open: Sequence[int] = ()
    """Those of the events that have other obligations left."""

    def record(self) -> dict[str, Any]:
        """As it is written down."""
        record: dict[str, Any] = {"settle": self.outcome}
        if self.route is not None:
            record |= {"module": self.module, "route": self.route}
        record["events"] = list(self.sequences)
        if self.still_open:
            record["still_open"] = list(self.still_open)
        return record


@attrs.frozen
class Admitted:
    """An event that was published, and the number it was admitted under."""

    sequence: int
    event: Event
    settled: frozenset[tuple[str, str]] = frozenset()
    """The obligations (module, route) that had ended before a restart."""
    recovered: bool = False
    """Admitted by an earlier run, which may have tried to deliver it."""


class EventBus(Protocol):
    """
    Takes events, hands them to one subscriber, and keeps each until it is settled.

    Sequence numbers are the bus's, rising, and never given twice. Its promises are those of ``durability``.
    """

    @property
    def durability(self) -> str:
        """``durable``, ``reduced`` (a broker that is set to forget) or ``none``."""
        ...

    async def publish(self, events: Sequence[Event], *, notes: Sequence[Note] = ()) -> list[int]:
        """
        Admit events, and the notes that belong to them, all or none; the sequence of each, once they are durable.

        Raises :class:`orgloop.errors.OrgLoopError` if they were not admitted.
        """
        ...

    async def receive(self) -> list[Admitted]:
        """
        The events that were admitted since the last call, in order; waits until there are some.

        The first to come are those that an earlier run has left unsettled. For one subscriber.
        """
        ...

    def settle(self, settlements: Sequence[Settlement], *, notes: Sequence[Note] = ()) -> None:
        """Note ends of obligations; durable with the next commit, and repeated by a delivery if that never comes."""
        ...

    async def flush(self) -> None:
        """Wait until all that was settled and noted is durable."""
        ...

    async def read(self, sequences: Sequence[int]) -> list[Admitted]:
        """Unsettled events, again; those that are settled, or cannot be read any more, are left out."""
        ...

    def note(self, kind: str, key: str) -> Any:
        """The value that was last noted; None if there is none."""
        ...

    def status(self) -> Mapping[str, Any]:
        """How the bus is, for people: at least ``state`` (``ok``, ``degraded`` or ``failed``) and ``durability``."""
        ...


# -- loggers -----------------------------------------------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class Notice:
    """
    A frozen fact about the runtime. Fields that do not apply are None; names are those of the original's log entry.

    ``event_id`` and ``trace_id`` are empty for what concerns no event.
    """

    timestamp: str
    phase: str
    event_id: str = ""
    trace_id: str = ""
    source: str | None = None
    target: str | None = None
    route: str | None = None
    transform: str | None = None
    event_type: str | None = None
    result: str | None = None
    duration_ms: float | None = None
    queue_depth: int | None = None
    error: str | None = None
    metadata: Mapping[str, Any] | None = None
    module: str | None = None


DEBUG, INFO, WARNING, ERROR = range(4)

_SEVERITIES = {
    DEBUG: ("transform.start", "route.no_match", "deliver.attempt", "audit.record"),
    WARNING: (
        *("transform.error", "transform.error_drop", "deliver.retry", "source.circuit_open"),
        *("audit.flag", "loop.detected", "pipeline.backpressure"),
    ),
    ERROR: (
        *("deliver.failure", "transform.error_halt", "system.error", "module.error"),
        *("audit.held", "loop.circuit_broken"),
    ),
}

SEVERITY_OF: Mapping[str, int] = {phase: level for level, phases in _SEVERITIES.items() for phase in phases}
"""How grave a phase is, from DEBUG (0) to ERROR (3); what is not named is INFO."""


class Logger(Protocol):
    """Receives notices."""

    def log(self, notice: Notice) -> None:
        """
        Take one notice. It is called in a task of its own, so it may take its time, but not for ever: what it cannot
        keep up with is dropped and counted. What it raises is counted and changes nothing.
        """
        ...
