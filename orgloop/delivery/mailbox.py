"""
An actor's mailbox: the lanes of all routes that end at it. It outlives the actor's lives, and so does what waits in it.

    a lane has something ──▶ ready ──▶ a worker takes one after the other ──▶ ends when none is ready
                                          │ waits for the actor
                                          ▼
                                       another worker takes the next

Tasks are for lanes whose actor lets them wait: ten thousand quiet routes cost their records, and as many that are
carried at once cost one task.
"""

from __future__ import annotations

import attrs
import trio

from orgloop.delivery.lane import Lane
from orgloop.delivery.turn import Turn
from orgloop.sdk import Actor


@attrs.define(eq=False)
class Mailbox:
    """The lanes of one actor, by route."""

    lanes: dict[str, Lane] = attrs.field(factory=dict)
    _ready: dict[Lane, None] = attrs.field(factory=dict)
    """In the order in which they became so."""
    _busy: dict[Lane, Turn] = attrs.field(factory=dict)
    _changed: trio.lowlevel.ParkingLot = attrs.field(factory=trio.lowlevel.ParkingLot)

    def add(self, lane: Lane) -> None:
        """Take a lane in; what it holds already is worked on."""
        self.lanes[lane.spec.route] = lane
        lane.ready = self._is_ready
        if lane.in_motion:
            self._is_ready(lane)

    async def remove(self, route: str) -> Lane:
        """Stop working on a lane, wherever it is, and give it back with what has not ended."""
        lane = self.lanes.pop(route)
        lane.ready = None
        self._ready.pop(lane, None)
        turn = self._busy.get(lane)
        if turn is not None:
            turn.end(f"route {route!r} is leaving")
            while lane in self._busy:
                await self._changed.park()
        return lane

    async def serve(self, actor: Actor) -> None:
        """Work on all lanes until cancelled; what the actor raises ends this, and every lane keeps what it had."""
        self._ready = {lane: None for lane in self.lanes.values() if lane.in_motion}
        async with trio.open_nursery() as nursery:
            while True:
                while not self._ready:
                    await self._changed.park()
                await self._start_workers(nursery, actor)

    async def _start_workers(self, nursery: trio.Nursery, actor: Actor) -> None:
        """Begin with one, which may be all it takes, and go on with ever more while lanes are left."""
        count = 1
        while self._ready:
            for _ in range(min(count, len(self._ready))):
                nursery.start_soon(self._work, actor, name="worker")
            for _ in range(2):  # the first may be over before they begin
                await trio.lowlevel.checkpoint()
            count *= 2

    async def _work(self, actor: Actor) -> None:
        """Work on what is ready, lane after lane."""
        while self._ready:
            turn = Turn()
            with turn.scope:
                while self._ready and not turn.is_over:
                    lane = next(iter(self._ready))
                    del self._ready[lane]
                    await self._work_on(lane, actor, turn)

    async def _work_on(self, lane: Lane, actor: Actor, turn: Turn) -> None:
        self._busy[lane] = turn
        try:
            await lane.work_off(actor, turn)
        finally:
            del self._busy[lane]
            if self._changed:
                self._changed.unpark_all()
            if lane.ready is not None and not lane.is_still:
                self._is_ready(lane)

    def _is_ready(self, lane: Lane) -> None:
        if lane not in self._busy and lane not in self._ready:
            self._ready[lane] = None
            if self._changed:
                self._changed.unpark_all()
