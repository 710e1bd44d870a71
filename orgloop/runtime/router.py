"""
The router: takes admitted events from the bus and offers each to the lanes of the routes that want it.

It never waits for an actor. Its table is swapped in one step, so each event is handled by exactly one generation of a
module: the one whose routes it found.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import attrs
import trio

from orgloop.delivery.lane import Lane
from orgloop.delivery.settler import Settler
from orgloop.event import MAX_HOPS
from orgloop.routing import Route, RouteIndex
from orgloop.runtime.parking import Parking
from orgloop.sdk import Admitted, EventBus

NO_MODULE = ""
"""Where events are counted that belong to no module."""


@attrs.frozen
class Table:
    """Which routes there are, and the lane of each, by module and name."""

    index: RouteIndex = attrs.field(factory=RouteIndex)
    lanes: Mapping[tuple[str, str], Lane] = attrs.field(factory=dict)

    def with_module(self, name: str, routes: Mapping[Route, Lane]) -> Table:
        """The table with these as all the routes of a module."""
        others = {key: lane for key, lane in self.lanes.items() if key[0] != name}
        own = {(name, route.name): lane for route, lane in routes.items()}
        return Table(self.index.with_module(name, routes), {**others, **own})

    def without_module(self, name: str) -> Table:
        """The table without a module."""
        lanes = {key: lane for key, lane in self.lanes.items() if key[0] != name}
        return Table(self.index.without_module(name), lanes)


@attrs.define(eq=False)
class Router:
    """Sorts events into lanes."""

    _bus: EventBus
    _settler: Settler
    _tell: Callable[..., None]
    _give_up: Callable[[Admitted, str], None]
    """Takes an event whose chain is too long; waits for nothing."""
    parking: Parking = attrs.field(factory=Parking)
    """Where events wait whose module is not loaded."""
    modules: set[str] = attrs.field(factory=set)
    """Those that are loaded."""
    table: Table = attrs.field(factory=Table)
    received: int = 0
    """Events of this run that have come from the bus."""
    admitted: Counter[str] = attrs.field(factory=Counter)
    """Events seen, by module."""
    unrouted: Counter[str] = attrs.field(factory=Counter)
    """Of these, those that no route wanted."""
    looped: Counter[str] = attrs.field(factory=Counter)
    """Of these, those that were taken for a loop."""

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Route until cancelled."""
        task_status.started()
        while True:
            for admitted in await self._bus.receive():
                self.received += not admitted.recovered
                self.route(admitted)

    def route(self, admitted: Admitted) -> None:
        """Offer one event to all that want it and have not had it."""
        event = admitted.event
        module = event.module or NO_MODULE
        if module not in self.modules:
            self.parking.park(module, admitted.sequence, ended=admitted.settled, recovered=admitted.recovered)
            return
        self.admitted[module] += 1
        self._tell("source.emit", event)
        if len(event.ancestors) > MAX_HOPS:
            self.looped[module] += 1
            self._give_up(admitted, "loop")
            return
        lanes = self._lanes_for(admitted, module)
        if not lanes:
            self.unrouted[module] += 1
            self._tell("route.no_match", event)
            self._settler.end(admitted.sequence, "no_route")
            return
        self._settler.expect(admitted.sequence, len(lanes))
        for lane in lanes:
            self._tell("route.match", event, route=lane.spec.route, target=lane.spec.actor)
            lane.offer(admitted)

    def _lanes_for(self, admitted: Admitted, module: str) -> list[Lane]:
        table = self.table
        routes: Iterable[Route] = table.index.match(module, admitted.event)
        lanes = [table.lanes[route.module, route.name] for route in routes]
        if admitted.settled:
            lanes = [lane for lane in lanes if (lane.spec.module, lane.spec.route) not in admitted.settled]
        return lanes


def snapshot(router: Router) -> dict[str, Any]:
    """The router's own part of the statistics."""
    return {"admitted": dict(router.admitted), "no_route": dict(router.unrouted), "loop": dict(router.looped)}
