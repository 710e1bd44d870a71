"""What takes events, hands them on, and keeps each until all that is owed for it has ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import attrs
import msgspec
from attrs.validators import ge, le, optional

from orgloop.event import Event

Note = tuple[str, str, Any]
"""Kind, key and value (JSON; None removes it). The last one of a kind and key counts: a checkpoint, a mark."""


class Settlement(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    omit_defaults=True,
    rename={"outcome": "settle", "sequences": "events"},
):
    """
    Obligations of one route that have ended alike; an obligation is an event owed to a route.

    ``outcome`` is ``delivered``, ``no_route``, ``dropped(<transform>)``, ``dead_letter(<reason>)`` or ``expired``;
    ``module`` and ``route`` are None for ``no_route``, and for what a bus itself gives up as unreadable. An event
    comes back after a crash until it is settled without being among ``still_open``. Encoded, it is as it is written
    down: with many routes there is one for nearly every event.
    """

    outcome: str
    module: str | None = None
    route: str | None = None
    sequences: Sequence[int]
    still_open: Sequence[int] = msgspec.field(default_factory=list)
    """Those of the events that have other obligations left."""

    def record(self) -> dict[str, Any]:
        """As it is written down."""
        record: dict[str, Any] = msgspec.to_builtins(self, enc_hook=list)
        return record


@attrs.define
class Admitted:
    """
    An event that was published, and the number it was admitted under.

    Not to be changed, but not frozen: one is made for every event, and that would cost three times as much.
    """

    sequence: int
    event: Event
    settled: frozenset[tuple[str, str]] = frozenset()
    """The obligations (module, route) that had ended before a restart."""
    recovered: bool = False
    """Admitted by an earlier run, which may have tried to deliver it."""
    size_bytes: int = 0
    """What it takes where the bus keeps it; 0 if that is memory, and nothing is saved by letting go of it."""


MAX_FOUND = 1000
"""How many events of the past are found in one go."""

MAX_FOUND_BYTES = 16 * 1024 * 1024
"""How long they may be together, unless a single one is longer."""


@attrs.frozen(kw_only=True)
class Query:
    """Which events of the past are meant: those for which all that is said here is true."""

    id: str | None = None
    trace_id: str | None = None
    module: str | None = None
    """The one whose source emitted it."""
    source: str | None = None
    route: str | None = None
    """One at which an obligation of it has ended."""
    since: str | None = None
    until: str | None = None
    """Its timestamp, compared as text: in UTC, to the millisecond, ``2026-01-31T12:00:00.000Z``."""
    before: int | None = attrs.field(default=None, validator=optional(ge(0)))
    """It was admitted before this sequence number."""
    limit: int = attrs.field(default=100, validator=[ge(1), le(MAX_FOUND)])

    def wants(self, event: Event) -> bool:
        """Whether it is meant, as far as the event alone can tell."""
        return (
            (self.id is None or event.id == self.id)
            and (self.trace_id is None or event.trace_id == self.trace_id)
            and (self.module is None or event.module == self.module)
            and (self.source is None or event.source == self.source)
            and (self.since is None or event.timestamp >= self.since)
            and (self.until is None or event.timestamp <= self.until)
        )


@attrs.frozen
class End:
    """
    The end of an obligation: ``outcome`` is that of a :class:`Settlement`.

    Or ``carried``: it ended so long ago that nothing is left but that it did.
    """

    module: str | None
    route: str | None
    outcome: str


@attrs.frozen
class Recorded:
    """An event of the past, and what has become of it by now."""

    sequence: int
    event: Event
    ends: tuple[End, ...] = ()
    """In the order in which they came."""
    is_open: bool = False
    """Whether it is not settled: an obligation is left, or nobody has looked yet whether it has any."""


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
        """
        Unsettled events, again, in the order asked for; those that are settled, or cannot be read any more, are left
        out. It may end early, so that they fit into memory: what comes behind the last one given is to be asked for
        again. If none is given, there is none.
        """
        ...

    async def history(self, query: Query) -> list[Recorded]:
        """
        Events of the past, newest first, as far back as the bus remembers: at least all that is not settled.

        It may end early, so that they fit into memory: what comes behind the last one given is to be asked for again,
        with ``before``. If none is given, there is none.
        """
        ...

    def note(self, kind: str, key: str) -> Any:
        """The value that was last noted; None if there is none."""
        ...

    def status(self) -> Mapping[str, Any]:
        """How the bus is, for people: at least ``state`` (``ok``, ``degraded`` or ``failed``) and ``durability``."""
        ...


def looked_for(wanted: Sequence[int], found: Sequence[Admitted]) -> Sequence[int]:
    """Of what was asked for, all that a bus has answered for: what is missing among these is not there any more."""
    return wanted[: wanted.index(found[-1].sequence) + 1] if found else wanted
