"""The end of an event whose chain is too long: a dead letter of no route, with its ancestors as its path."""

from __future__ import annotations

from collections import deque

import attrs
import trio

from orgloop.delivery.dead_letters import DeadLetter
from orgloop.event import timestamp_of
from orgloop.runtime.services import Services
from orgloop.sdk import Admitted

BURY_AGAIN_S = 5.0
NO_ROUTE = "-"
"""What a dead letter has for a route and an actor when it never had one."""


@attrs.define(eq=False)
class Loops:
    """Takes what the router will not route, and buries it in a task of its own."""

    _services: Services
    _waiting: deque[Admitted] = attrs.field(factory=deque)
    _doorbell: trio.lowlevel.ParkingLot = attrs.field(factory=trio.lowlevel.ParkingLot)

    def put(self, admitted: Admitted, reason: str) -> None:
        """Take an event; waits for nothing."""
        self._services.notices.tell("loop.circuit_broken", admitted.event, error=f"given up: {reason}")
        self._waiting.append(admitted)
        self._doorbell.unpark()

    async def bury_all(self) -> None:
        """Bury what comes, until cancelled; a disk that refuses is asked again."""
        while True:
            while not self._waiting:
                await self._doorbell.park()
            try:
                await self._services.bury(self._letter(self._waiting[0]))
            except OSError as exc:
                self._services.notices.tell("system.error", error=f"the dead letter cannot be written: {exc}")
                await trio.sleep(BURY_AGAIN_S)
                continue
            self._services.settler.end(self._waiting.popleft().sequence, "dead_letter(loop)")

    def _letter(self, admitted: Admitted) -> DeadLetter:
        event = admitted.event
        return DeadLetter(
            reason="loop",
            module=event.module or NO_ROUTE,
            route=NO_ROUTE,
            actor=NO_ROUTE,
            sequence=admitted.sequence,
            attempts=0,
            last_error=f"follows from {len(event.ancestors)} events: {' > '.join(event.ancestors)}",
            at=timestamp_of(self._services.now_s()),
            event=event,
        )
