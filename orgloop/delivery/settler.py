"""
Ends of obligations, gathered: one line in the log for all of a route that ended alike since the last time.

An event is closed when the last of its obligations ends; how many it has, the router says when it has matched it.

Law: what closes an event is handed over behind everything that leaves it open, whichever of its routes that was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import attrs
import trio

from orgloop.sdk import Note, Settlement

Settle = Callable[[Sequence[Settlement], Sequence[Note]], None]
_Ended = dict[tuple[str | None, str | None, str], list[int]]
"""Sequences by module, route and outcome."""


@attrs.define(eq=False)
class Settler:
    """Shared by all lanes of a bus."""

    _settle: Settle
    open: int = 0
    """How many obligations of routes have not ended, but for those that a lane keeps for somebody (see kept.py)."""
    rounds: int = 0
    """How often something was handed over."""
    _left: dict[int, int] = attrs.field(factory=dict)
    """How many obligations an event has left, for those with more than one."""
    _still_open: _Ended = attrs.field(factory=dict)
    _closed: _Ended = attrs.field(factory=dict)
    _notes: list[Note] = attrs.field(factory=list)
    _gathering: list[Callable[[], Iterable[Note]]] = attrs.field(factory=list)
    _doorbell: trio.lowlevel.ParkingLot = attrs.field(factory=trio.lowlevel.ParkingLot)
    _watchers: trio.lowlevel.ParkingLot = attrs.field(factory=trio.lowlevel.ParkingLot)

    def expect(self, sequence: int, obligations: int) -> None:
        """
        Say how many obligations an event has; to be said before the first of them ends, unless it is one.

        An event that nothing is known of has one: whoever routes it owes it an end. That one becomes these.
        """
        self.open += obligations
        if obligations != 1:
            self._set(sequence, self._left.get(sequence, 1) - 1 + obligations)

    def set_aside(self, sequence: int, obligations: int) -> None:
        """Let so many obligations of an event leave their lanes: they become the one of routing it again."""
        self.open -= obligations
        self._set(sequence, self._left.get(sequence, 1) - obligations + 1)

    def _set(self, sequence: int, left: int) -> None:
        if left > 1:
            self._left[sequence] = left
        else:
            self._left.pop(sequence, None)

    def end(self, sequence: int, outcome: str, *, module: str | None = None, route: str | None = None) -> None:
        """Note the end of one obligation."""
        if route is not None:
            self.open -= 1
        left = self._left.pop(sequence, 1)
        if left > 1:
            self._left[sequence] = left - 1
            ended = self._still_open
        else:
            ended = self._closed
        key = module, route, outcome
        alike = ended.get(key)
        if alike is None:
            ended[key] = [sequence]
            self._wake()
        else:
            alike.append(sequence)

    def note(self, kind: str, key: str, value: object) -> None:
        """Note a value together with the ends."""
        self._notes.append((kind, key, value))
        self._wake()

    def note_later(self, gather: Callable[[], Iterable[Note]]) -> None:
        """Ask for notes when all that has ended until then is handed over; once for each call."""
        self._gathering.append(gather)
        self._wake()

    def _wake(self) -> None:
        if self._doorbell:
            self._doorbell.unpark()

    def hand_over(self) -> None:
        """Give everything that was gathered to the bus."""
        if self.is_idle:
            return
        self.rounds += 1
        still_open, self._still_open = self._still_open, {}
        closed, self._closed = self._closed, {}
        gathering, self._gathering = self._gathering, []
        for gather in gathering:
            self._notes.extend(gather())
        notes, self._notes = self._notes, []
        settlements = [
            Settlement(outcome=outcome, sequences=sequences, module=module, route=route, still_open=sequences)
            for (module, route, outcome), sequences in still_open.items()
        ]
        settlements += [
            Settlement(outcome=outcome, sequences=sequences, module=module, route=route)
            for (module, route, outcome), sequences in closed.items()
        ]
        self._settle(settlements, notes)
        self._watchers.unpark_all()

    async def wait_for_ends(self) -> None:
        """Wait until something has been handed over."""
        await self._watchers.park()

    @property
    def is_idle(self) -> bool:
        """Whether there is nothing to hand over."""
        return not (self._closed or self._still_open or self._notes or self._gathering)

    async def run(self) -> None:
        """Hand over whenever there is something, after all that run now have had their turn; until cancelled."""
        try:
            while True:
                if self.is_idle:
                    await self._doorbell.park()
                await trio.lowlevel.checkpoint()
                self.hand_over()
        finally:
            self.hand_over()
