"""
The end of an event that no lane is to have: its chain is too long, or the route it was replayed to is gone.

It becomes a dead letter; one of a loop has no route, and its ancestors as its path.
"""

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
    _waiting: deque[tuple[Admitted, str]] = attrs.field(factory=deque)
    _doorbell: trio.lowlevel.ParkingLot = attrs.field(factory=trio.lowlevel.ParkingLot)

    def put(self, admitted: Admitted, reason: str) -> None:
        """Take an event; waits for nothing."""
        phase = "loop.circuit_broken" if reason == "loop" else "deliver.failure"
        self._services.notices.tell(phase, admitted.event, error=f"given up: {reason}")
        self._waiting.append((admitted, reason))
        self._doorbell.unpark()

    async def bury_all(self) -> None:
        """Bury what comes, until cancelled; a disk that refuses is asked again."""
        while True:
            while not self._waiting:
                await self._doorbell.park()
            admitted, reason = self._waiting[0]
            try:
                await self._services.bury(self._letter(admitted, reason))
            except OSError as exc:
                self._services.notices.tell("system.error", error=f"the dead letter cannot be written: {exc}")
                await trio.sleep(BURY_AGAIN_S)
                continue
            self._waiting.popleft()
            self._services.settler.end(admitted.sequence, f"dead_letter({reason})")

    def _letter(self, admitted: Admitted, reason: str) -> DeadLetter:
        event = admitted.event
        module, route = event.only_for or (event.module or NO_ROUTE, NO_ROUTE)
        path = f"follows from {len(event.ancestors)} events: {' > '.join(event.ancestors)}"
        return DeadLetter(
            reason=reason,
            module=module,
            route=route,
            actor=NO_ROUTE,
            sequence=admitted.sequence,
            attempts=0,
            last_error=path if reason == "loop" else f"there is no route {route!r} any more",
            at=timestamp_of(self._services.now_s()),
            event=event,
        )
