"""The bus of tests and of programs that embed us without a home: everything but durability."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

import attrs
import msgspec
import trio

from orgloop.bus._outlet import Outlet
from orgloop.errors import BusFull, EventError
from orgloop.event import Event, encode
from orgloop.sdk import Admitted, End, Note, Query, Recorded, Settlement
from orgloop.sdk.bus import MAX_FOUND

REMEMBERED = MAX_FOUND
"""How many events are remembered beyond those that are not settled: the last to be admitted."""


@attrs.define
class _Past:
    """What has become of an event."""

    event: Event
    ends: list[End] = attrs.field(factory=list)


class MemoryBus:
    """Keeps events in memory until they are settled, at most ``max_events`` of them."""

    durability = "none"

    def __init__(self, *, max_events: int = 1_000_000) -> None:
        self._max_events = max_events
        self._numbers = itertools.count(1)
        self._unsettled: dict[int, Admitted] = {}
        self._notes: dict[tuple[str, str], Any] = {}
        self._past: dict[int, _Past] = {}
        """By sequence, oldest first."""
        self._last: deque[int] = deque()
        self._outlet = Outlet()

    async def publish(self, events: Sequence[Event], *, notes: Sequence[Note] = ()) -> list[int]:
        """
        Admit events, all or none; the sequence of each.

        Raises :class:`EventError` for what could not be written as JSON, as a durable bus would, and
        :class:`BusFull` rather than wait: the actors that would make room may be the ones that publish.
        """
        _refuse_unsound(notes)
        for event in events:
            encode(event)
        await trio.lowlevel.checkpoint()
        if len(self._unsettled) + len(events) > self._max_events:
            raise BusFull(f"{len(self._unsettled):,} events are not settled, the limit is {self._max_events:,}")
        batch = [Admitted(next(self._numbers), event) for event in events]
        self._unsettled.update((admitted.sequence, admitted) for admitted in batch)
        self._remember(batch)
        self._take_notes(notes)
        if batch:
            self._outlet.put(batch)
        return [admitted.sequence for admitted in batch]

    async def receive(self) -> list[Admitted]:
        """The events that were admitted since the last call."""
        return await self._outlet.take()

    def settle(self, settlements: Sequence[Settlement], *, notes: Sequence[Note] = ()) -> None:
        """Forget the events that have no obligation left."""
        for settlement in settlements:
            still_open = set(settlement.still_open)
            end = End(settlement.module, settlement.route, settlement.outcome)
            for sequence in settlement.sequences:
                if (past := self._past.get(sequence)) is not None:
                    past.ends.append(end)
                if sequence not in still_open:
                    self._unsettled.pop(sequence, None)
                    if sequence < self._last[0]:
                        self._past.pop(sequence, None)
        self._take_notes(notes)

    async def flush(self) -> None:
        """Nothing becomes durable here."""
        await trio.lowlevel.checkpoint()

    async def read(self, sequences: Sequence[int]) -> list[Admitted]:
        """Unsettled events, again."""
        await trio.lowlevel.checkpoint()
        return [self._unsettled[sequence] for sequence in sequences if sequence in self._unsettled]

    async def history(self, query: Query) -> list[Recorded]:
        """Events that are not settled, and the last that are."""
        await trio.lowlevel.checkpoint()
        found = (
            Recorded(sequence, past.event, tuple(past.ends), sequence in self._unsettled)
            for sequence, past in reversed(self._past.items())
            if (query.before is None or sequence < query.before)
            and (query.route is None or any(end.route == query.route for end in past.ends))
            and query.wants(past.event)
        )
        return list(itertools.islice(found, query.limit))

    def _remember(self, batch: Sequence[Admitted]) -> None:
        for admitted in batch:
            self._past[admitted.sequence] = _Past(admitted.event)
            self._last.append(admitted.sequence)
        while len(self._last) > REMEMBERED:
            sequence = self._last.popleft()
            if sequence not in self._unsettled:
                self._past.pop(sequence, None)

    def note(self, kind: str, key: str) -> Any:
        """The value that was last noted."""
        return self._notes.get((kind, key))

    def status(self) -> Mapping[str, Any]:
        """How full it is."""
        return {"state": "ok", "durability": self.durability, "open_events": len(self._unsettled)}

    def _take_notes(self, notes: Sequence[Note]) -> None:
        for kind, key, value in notes:
            if value is None:
                self._notes.pop((kind, key), None)
            else:
                self._notes[kind, key] = value


def _refuse_unsound(notes: Sequence[Note]) -> None:
    for kind, key, value in notes:
        try:
            msgspec.json.encode((kind, key, value))
        except (TypeError, ValueError, RecursionError) as exc:
            raise EventError(f"note {kind} {key!r} cannot be written as JSON: {exc}") from exc
