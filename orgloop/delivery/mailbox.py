"""
An actor's mailbox: the lanes of all routes that end at it. It outlives the actor's lives, and so does what waits in it.

A lane has a task only while it has something to do: ten thousand quiet routes cost their records and nothing else.
"""

from __future__ import annotations

from collections import deque

import attrs
import trio

from orgloop.delivery.lane import Lane
from orgloop.sdk import Actor


@attrs.define(eq=False)
class Mailbox:
    """The lanes of one actor, by route."""

    lanes: dict[str, Lane] = attrs.field(factory=dict)
    _ready: deque[Lane] = attrs.field(factory=deque)
    _busy: dict[Lane, trio.CancelScope] = attrs.field(factory=dict)
    _changed: trio.lowlevel.ParkingLot = attrs.field(factory=trio.lowlevel.ParkingLot)

    def add(self, lane: Lane) -> None:
        """Take a lane in; what it holds already is worked on."""
        self.lanes[lane.spec.route] = lane
        lane.ready = self._is_ready
        if lane.in_flight:
            self._is_ready(lane)

    async def remove(self, route: str) -> Lane:
        """Stop working on a lane, wherever it is, and give it back with what has not ended."""
        lane = self.lanes.pop(route)
        lane.ready = None
        scope = self._busy.get(lane)
        if scope is not None:
            scope.cancel(f"route {route!r} is leaving")
            while lane in self._busy:
                await self._changed.park()
        return lane

    async def serve(self, actor: Actor) -> None:
        """Work on all lanes until cancelled; what the actor raises ends this, and every lane keeps what it had."""
        self._ready = deque(lane for lane in self.lanes.values() if lane.in_flight)
        async with trio.open_nursery() as nursery:
            while True:
                while not self._ready:
                    await self._changed.park()
                lane = self._ready.popleft()
                if lane.spec.route in self.lanes and lane not in self._busy:
                    self._busy[lane] = trio.CancelScope()
                    nursery.start_soon(self._work, lane, actor, name=f"lane {lane.spec.route}")

    async def _work(self, lane: Lane, actor: Actor) -> None:
        try:
            with self._busy[lane]:
                await lane.work_off(actor)
        finally:
            del self._busy[lane]
            self._changed.unpark_all()
        if lane.in_flight:
            self._is_ready(lane)

    def _is_ready(self, lane: Lane) -> None:
        if lane not in self._busy:
            self._ready.append(lane)
            self._changed.unpark_all()
