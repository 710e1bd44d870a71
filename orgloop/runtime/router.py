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
from orgloop.event import MAX_HOPS, Event
from orgloop.routing import Route, RouteIndex
from orgloop.runtime.parking import Parked, Parking
from orgloop.sdk import Admitted, EventBus

NO_MODULE = ""
"""Where events are counted that belong to no module."""


@attrs.frozen
class Table:
    """Which routes there are, and the lane of each, by module and name."""

    index: RouteIndex = attrs.field(factory=RouteIndex)
    lanes: Mapping[tuple[str, str], Lane] = attrs.field(factory=dict)
    exports: Mapping[str, frozenset[str]] = attrs.field(factory=dict)
    """The sources of each module that others may listen to."""

    def with_module(self, name: str, routes: Mapping[Route, Lane], *, exports: Iterable[str] = ()) -> Table:
        """The table with these as all the routes of a module, and all that it exports."""
        others = {key: lane for key, lane in self.lanes.items() if key[0] != name}
        own = {(name, route.name): lane for route, lane in routes.items()}
        exported = {**self.exports, name: frozenset(exports)}
        return Table(self.index.with_module(name, routes), {**others, **own}, exported)

    def without_module(self, name: str) -> Table:
        """The table without a module."""
        lanes = {key: lane for key, lane in self.lanes.items() if key[0] != name}
        exports = {module: sources for module, sources in self.exports.items() if module != name}
        return Table(self.index.without_module(name), lanes, exports)

    def lanes_for(self, event: Event) -> list[Lane]:
        """The lanes of all routes that want an event, and may have it."""
        if event.only_for is not None:
            lane = self.lanes.get(event.only_for)
            return [] if lane is None else [lane]
        module = event.module or NO_MODULE
        lanes = [self.lanes[route.module, route.name] for route in self.index.match(module, event)]
        if any(lane.spec.module != module for lane in lanes) and event.source not in self.exports.get(module, ()):
            return [lane for lane in lanes if lane.spec.module == module]
        return lanes


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

    def route(self, admitted: Admitted, *, owed_to: str | None = None) -> None:
        """
        Offer one event to all that want it and have not had it.

        ``owed_to`` is the one module that still has a claim on it, if the others have had theirs.
        """
        event = admitted.event
        module = owed_to or (event.only_for[0] if event.only_for else event.module or NO_MODULE)
        if module not in self.modules:
            self.parking.park(module, admitted.sequence, Parked.of(admitted, is_for_it_alone=owed_to is not None))
            return
        self.admitted[module] += 1
        self._tell("source.emit", event)
        if len(event.ancestors) > MAX_HOPS:
            self.looped[module] += 1
            self._give_up(admitted, "loop")
            return
        lanes = [lane for lane in self.table.lanes_for(event) if owed_to is None or lane.spec.module == owed_to]
        if admitted.settled:
            lanes = [lane for lane in lanes if (lane.spec.module, lane.spec.route) not in admitted.settled]
        if not lanes:
            self._end_unrouted(admitted, module)
            return
        self._settler.expect(admitted.sequence, len(lanes))
        for lane in lanes:
            self._tell("route.match", event, route=lane.spec.route, target=lane.spec.actor)
            lane.offer(admitted)

    def _end_unrouted(self, admitted: Admitted, module: str) -> None:
        if admitted.event.only_for is not None:
            self._give_up(admitted, "route_removed")  # somebody has asked for that route, and shall be told
            return
        self.unrouted[module] += 1
        self._tell("route.no_match", admitted.event)
        self._settler.end(admitted.sequence, "no_route")


def snapshot(router: Router) -> dict[str, Any]:
    """The router's own part of the statistics."""
    return {"admitted": dict(router.admitted), "no_route": dict(router.unrouted), "loop": dict(router.looped)}
