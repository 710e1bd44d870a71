"""
The router: takes admitted events from the bus and offers each to the lanes of the routes that want it.

It never waits for an actor. Its table is swapped in one step, so each event is handled by exactly one generation of a
module: the one whose routes it found.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import aclosing
from typing import Any, Protocol

import attrs
import trio

from orgloop.delivery.lane import Lane
from orgloop.delivery.settler import Settler
from orgloop.errors import OrgLoopError
from orgloop.event import MAX_HOPS, Event
from orgloop.routing import Route, RouteIndex
from orgloop.runtime.parking import Parked, Parking
from orgloop.sdk import Admitted, EventBus

RECEIVE_AGAIN_S, RECEIVE_AGAIN_MAX_S = 0.5, 30.0
"""How long to wait when the bus cannot be read; each time twice as long, up to the second."""

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
        for lane in lanes:
            if lane.spec.module != module and event.source not in self.exports.get(module, ()):
                return [lane for lane in lanes if lane.spec.module == module]
        return lanes


class Notices(Protocol):
    """Who is told what becomes of an event."""

    @property
    def silent(self) -> bool:
        """Whether nobody hears it."""
        ...

    def tell(self, phase: str, event: Event | None = None, **fields: Any) -> None:
        """Notice something about an event."""
        ...


@attrs.define(eq=False)
class Router:
    """Sorts events into lanes."""

    _bus: EventBus
    _settler: Settler
    _notices: Notices
    _give_up: Callable[[Admitted, str], None]
    """Takes an event whose chain is too long; waits for nothing."""
    parking: Parking = attrs.field(factory=Parking)
    """Where events wait whose module is not loaded."""
    modules: set[str] = attrs.field(factory=set)
    """Those that are at work; the events of others wait."""
    table: Table = attrs.field(factory=Table)
    received: int = 0
    """Events of this run that have come from the bus."""
    next_sequence: int = 0
    """The number behind all that have come."""
    is_refused: bool = False
    """Whether the bus cannot say just now what there is; it is asked again."""
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
            batch = await self._receive()
            self.next_sequence = max(self.next_sequence, batch[-1].sequence + 1)
            for admitted in batch:
                self.received += not admitted.recovered
                self.route(admitted)

    async def _receive(self) -> list[Admitted]:
        """What has come, however long it takes until the bus can say: a disk that fails is nobody's crash."""
        wait_s = RECEIVE_AGAIN_S
        while True:
            try:
                received = await self._bus.receive()
            except OrgLoopError as exc:
                self.is_refused = True
                self._notices.tell("system.error", error=f"events of an earlier run cannot be read back: {exc}")
                await trio.sleep(wait_s)
                wait_s = min(2 * wait_s, RECEIVE_AGAIN_MAX_S)
            else:
                self.is_refused = False
                return received

    def route(self, admitted: Admitted) -> None:
        """Offer one event to all that want it, or keep its place until its module is there."""
        event = admitted.event
        module = event.only_for[0] if event.only_for else event.module or NO_MODULE
        if module in self.modules:
            self.offer(admitted)
        else:
            self.parking.park(module, admitted.sequence, Parked.of(admitted, is_for_it_alone=False))

    def offer(self, admitted: Admitted, *, owed_to: str | None = None) -> None:
        """
        Offer one event to all that want it and have not had it, whether its module is at work or not.

        ``owed_to`` is the one module that still has a claim on it, if the others have had theirs.
        """
        event = admitted.event
        module = event.module or NO_MODULE
        self.admitted[module] += 1
        tell = None if self._notices.silent else self._notices.tell
        if tell is not None:
            tell("source.emit", event)
        if len(event.ancestors) > MAX_HOPS:
            self.looped[module] += 1
            self._give_up(admitted, "loop")
            return
        lanes = self.table.lanes_for(event)
        if owed_to is not None:
            lanes = [lane for lane in lanes if lane.spec.module == owed_to]
        if admitted.settled:
            lanes = [lane for lane in lanes if (lane.spec.module, lane.spec.route) not in admitted.settled]
        if not lanes:
            self._end_unrouted(admitted, module)
            return
        self._settler.expect(admitted.sequence, len(lanes))
        for lane in lanes:
            if tell is not None:
                tell("route.match", event, route=lane.spec.route, target=lane.spec.actor)
            lane.offer(admitted)

    async def release(self, module: str) -> None:
        """Route a module's events from now on, after those that have waited for it."""
        while self.parking.count(module):
            async with aclosing(self.parking.fetch(module, self._bus.read)) as waiting:
                async for admitted, owed_to in waiting:
                    self.offer(admitted, owed_to=owed_to)
        self.modules.add(module)

    def hold(self, module: str) -> None:
        """Let a module's events wait, from now on."""
        self.modules.discard(module)

    def _end_unrouted(self, admitted: Admitted, module: str) -> None:
        if admitted.event.only_for is not None:
            self._give_up(admitted, "route_removed")  # somebody has asked for that route, and shall be told
            return
        self.unrouted[module] += 1
        if not self._notices.silent:
            self._notices.tell("route.no_match", admitted.event)
        self._settler.end(admitted.sequence, "no_route")


def snapshot(router: Router) -> dict[str, Any]:
    """The router's own part of the statistics."""
    return {"admitted": dict(router.admitted), "no_route": dict(router.unrouted), "loop": dict(router.looped)}
