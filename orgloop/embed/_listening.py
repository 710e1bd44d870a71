"""
A bus with an ear at it: what is admitted and what becomes of it all passes here, and nowhere else.

    receive ──▶ on_event        once for each event that this run admits
    settle ──▶ on_settled       once for each obligation that ends

Whoever listens for the second has the events under way kept in memory: all of them if the bus does so itself, else
:data:`REMEMBERED`.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from orgloop.delivery.tries import ATTEMPTS
from orgloop.embed._callbacks import Listeners, Settled
from orgloop.event import Event
from orgloop.sdk import Admitted, EventBus, Note, Query, Recorded, Settlement

REMEMBERED = 65_536
"""How many unsettled events of a durable bus are remembered; what came of older ones is told as an error."""

_ASKED = ("delivered", "dropped(skipped)")
"""Outcomes with an attempt that is in no note, because it is over."""


class ListeningBus:
    """The bus that it is given, overheard."""

    def __init__(
        self,
        bus: EventBus,
        *,
        on_event: Listeners[Event],
        on_settled: Listeners[Settled],
        actor_of: Callable[[str, str], str],
        forgotten: Callable[[str], None],
        remembered: int = REMEMBERED,
    ) -> None:
        self._bus = bus
        self._on_event = on_event
        self._on_settled = on_settled
        self._actor_of = actor_of
        self._forgotten = forgotten
        self._events: dict[int, Event] = {}
        self._most = remembered if bus.durability != "none" else math.inf
        self._first: float = math.inf
        self._last_forgotten = 0

    @property
    def durability(self) -> str:
        """That of the bus."""
        return self._bus.durability

    async def publish(self, events: Sequence[Event], *, notes: Sequence[Note] = ()) -> list[int]:
        """As the bus does."""
        return await self._bus.publish(events, notes=notes)

    async def receive(self) -> list[Admitted]:
        """As the bus does; what comes from here was admitted, whatever became of who published it."""
        received = await self._bus.receive()
        if self._on_settled:
            self._remember(received)
        if self._on_event:
            for admitted in received:
                if not admitted.recovered:
                    self._on_event.tell(admitted.event)
        return received

    def settle(self, settlements: Sequence[Settlement], *, notes: Sequence[Note] = ()) -> None:
        """As the bus does."""
        if self._on_settled or self._events:
            tried = {key: value for kind, key, value in notes if kind == ATTEMPTS and value is not None}
            forgotten = sum(self._tell(settlement, tried) for settlement in settlements)
            if forgotten:
                self._forgotten(f"{forgotten} obligations have ended that are not told of: too many were under way")
        self._bus.settle(settlements, notes=notes)

    async def flush(self) -> None:
        """As the bus does."""
        await self._bus.flush()

    async def history(self, query: Query) -> list[Recorded]:
        """As the bus does."""
        return await self._bus.history(query)

    async def read(self, sequences: Sequence[int]) -> list[Admitted]:
        """As the bus does."""
        found = await self._bus.read(sequences)
        if self._on_settled:
            self._remember(found)
        return found

    def note(self, kind: str, key: str) -> Any:
        """As the bus does."""
        return self._bus.note(kind, key)

    def status(self) -> Mapping[str, Any]:
        """As the bus does."""
        return self._bus.status()

    def _remember(self, found: Sequence[Admitted]) -> None:
        events = self._events
        for admitted in found:
            self._first = min(self._first, admitted.sequence)
            events.pop(admitted.sequence, None)
            events[admitted.sequence] = admitted.event
        while len(events) > self._most:
            oldest = next(iter(events))
            del events[oldest]
            self._last_forgotten = max(self._last_forgotten, oldest)

    def _tell(self, settlement: Settlement, tried: Mapping[str, Any]) -> int:
        """Tell of all that it ends; of how many that is not possible."""
        still_open = set(settlement.still_open)
        module, route, forgotten = settlement.module, settlement.route, 0
        for sequence in settlement.sequences:
            event = self._events.get(sequence) if sequence in still_open else self._events.pop(sequence, None)
            if module is None or route is None:
                continue  # nobody was owed anything
            if event is not None:
                self._on_settled.tell(self._settled(event, sequence, module, route, settlement.outcome, tried))
            elif self._first <= sequence <= self._last_forgotten:
                forgotten += 1
        return forgotten

    def _settled(
        self, event: Event, sequence: int, module: str, route: str, outcome: str, tried: Mapping[str, Any]
    ) -> Settled:
        prefix = hashlib.blake2b(
            f"{module}\0{route}".encode(), digest_size=8
        ).hexdigest()  # as the lane's notes have it
        key = f"{prefix}-{sequence}"
        failed, lost, _first, last_error, *_rest = tried.get(key) or self._bus.note(ATTEMPTS, key) or (0, 0, "", "")
        return Settled(
            event=event,
            module=module,
            route=route,
            actor=self._actor_of(module, route),
            outcome=outcome,
            attempts=failed + lost + (outcome in _ASKED),
            error=last_error or None if outcome.startswith("dead_letter") else None,
        )


@lru_cache(maxsize=10_000)
def _prefix_of(module: str, route: str) -> str:
    """Of the keys of a lane's notes, as the lane has it."""
    return hashlib.blake2b(f"{module}\0{route}".encode(), digest_size=8).hexdigest()
