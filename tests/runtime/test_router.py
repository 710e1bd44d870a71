"""The router: who is offered what, what nobody wants, and what runs in circles."""

from __future__ import annotations

from typing import Any

import attrs
import trio
from trio.testing import MockClock

from orgloop.bus import MemoryBus
from orgloop.delivery.lane import Lane, LaneSpec
from orgloop.errors import WalFailed
from orgloop.event import MAX_HOPS, follow
from orgloop.routing import Route
from orgloop.runtime.router import Router, Table
from orgloop.sdk import Admitted
from orgloop.testing import event
from tests.delivery.stage import Around


@attrs.define(eq=False)
class Office:
    """A router on a bus in memory, with one lane for each route, on which nobody works."""

    around: Around = attrs.field(factory=Around)
    given_up: list[tuple[int, str]] = attrs.field(factory=list)
    lanes: dict[str, Lane] = attrs.field(factory=dict)
    router: Router = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        around = self.around
        self.router = Router(around.bus, around.settler, around, self._give_up)

    def _give_up(self, admitted: Admitted, reason: str) -> None:
        self.given_up.append((admitted.sequence, reason))

    def load(self, module: str, *, exports: tuple[str, ...] = (), **sources: str) -> None:
        """Load a module with a route, by name, for each source."""
        routes = {}
        for name, source in sources.items():
            route = Route(module=module, name=name, source=source, events=["resource.changed"], actor="a")
            self.lanes[name] = Lane(LaneSpec(module=module, route=name, actor="a"), self.around)
            routes[route] = self.lanes[name]
        self.router.table = self.router.table.with_module(module, routes, exports=exports)
        self.router.modules.add(module)

    async def route(self, *payloads: Any, module: str = "m", **fields: Any) -> None:
        """Publish an event for each payload, and route all that the bus has."""
        await self.around.bus.publish([event(payload, module=module, **fields) for payload in payloads])
        for admitted in await self.around.bus.receive():
            self.router.route(admitted)

    def waiting(self) -> dict[str, int]:
        """How many obligations each lane has."""
        return {name: lane.in_flight for name, lane in self.lanes.items()}


async def test_an_event_goes_to_every_route_that_wants_it(autojump_clock: MockClock) -> None:
    """There is no first match, and a route for another source gets nothing."""
    office = Office()
    office.load("m", one="github", two="github", three="linear")
    await office.route("x")

    assert office.waiting() == {"one": 1, "two": 1, "three": 0}


async def test_routes_are_those_of_the_events_own_module(autojump_clock: MockClock) -> None:
    """Two modules may have sources of one name."""
    office = Office()
    office.load("m", mine="github")
    office.load("n", theirs="github")
    await office.route("x", module="n")

    assert office.waiting() == {"mine": 0, "theirs": 1}


async def test_an_event_that_no_route_wants_ends_as_that(autojump_clock: MockClock) -> None:
    """Visibly: settled, counted and noticed."""
    office = Office()
    office.load("m", one="linear")
    await office.route("x")

    assert office.around.outcomes() == {1: "no_route"}
    assert office.router.unrouted == {"m": 1}
    assert len(office.around.phases("route.no_match")) == 1


async def test_an_event_is_closed_by_the_last_of_its_routes(autojump_clock: MockClock) -> None:
    """The first to end leaves it open."""
    office = Office()
    office.load("m", one="github", two="github")
    await office.route("x")
    settler = office.around.settler
    settler.end(1, "delivered", module="m", route="one")
    settler.hand_over()
    assert [list(settled.still_open) for settled in office.around.settled] == [[1]]

    settler.end(1, "delivered", module="m", route="two")
    settler.hand_over()
    assert list(office.around.settled[-1].still_open) == []


async def test_what_had_ended_before_a_restart_is_not_owed_again(autojump_clock: MockClock) -> None:
    """Only the obligations that are left are offered."""
    office = Office()
    office.load("m", one="github", two="github")
    await office.around.bus.publish([event(module="m")])
    (admitted,) = await office.around.bus.receive()
    office.router.route(attrs.evolve(admitted, settled=frozenset({("m", "one")}), recovered=True))

    assert office.waiting() == {"one": 0, "two": 1}


async def test_a_chain_that_is_too_long_is_given_up_as_a_loop(autojump_clock: MockClock) -> None:
    """Sixteen ancestors pass, the next event does not, and its ancestors are its path."""
    office = Office()
    office.load("m", one="github")
    last = event(module="m")
    for _ in range(MAX_HOPS):
        last = follow(event(module="m"), last)
    await office.around.bus.publish([last, follow(event(module="m"), last)])
    for admitted in await office.around.bus.receive():
        office.router.route(admitted)

    assert office.waiting() == {"one": 1}
    assert office.given_up == [(2, "loop")]


async def test_a_swap_of_the_table_touches_no_other_module(autojump_clock: MockClock) -> None:
    """One module leaves; the other's lanes are the same objects."""
    office = Office()
    office.load("m", mine="github")
    office.load("n", theirs="github")
    office.router.table = office.router.table.without_module("m")
    await office.route("x", module="n")
    await office.route("y", module="m")

    assert office.waiting() == {"mine": 0, "theirs": 1}
    assert office.router.table.lanes == {("n", "theirs"): office.lanes["theirs"]}


async def test_the_router_routes_until_cancelled(autojump_clock: MockClock) -> None:
    """It reports readiness, and takes what comes."""
    office = Office()
    office.load("m", one="github")
    async with trio.open_nursery() as nursery:
        await nursery.start(office.router.run)
        await office.around.bus.publish([event(module="m"), event(module="m")])
        await trio.sleep(1)
        nursery.cancel_scope.cancel("seen")

    assert office.waiting() == {"one": 2}
    assert office.router.admitted == {"m": 2}


async def test_an_event_of_a_module_that_is_not_loaded_waits_for_it(autojump_clock: MockClock) -> None:
    """It is not settled as unwanted, and comes with its module."""
    office = Office()
    await office.route("x", "y")
    assert office.around.outcomes() == {}
    assert office.router.parking.counts() == {"m": 2}

    office.load("m", one="github")
    await office.router.release("m")
    assert office.waiting() == {"one": 2}
    assert office.router.parking.counts() == {}


def test_an_empty_table_has_no_routes() -> None:
    """That is what a runtime begins with."""
    assert Table().lanes == {}


# -- between modules ---------------------------------------------------------------------------------------------------


async def test_a_module_may_listen_to_what_another_exports(autojump_clock: MockClock) -> None:
    """Beside the other's own routes."""
    office = Office()
    office.load("n", exports=("github",), own="github")
    office.load("m", other="n:github")
    await office.route("x", module="n")

    assert office.waiting() == {"own": 1, "other": 1}


async def test_what_is_not_exported_is_not_heard(autojump_clock: MockClock) -> None:
    """Listening is by leave only."""
    office = Office()
    office.load("n", exports=("linear",), own="github")
    office.load("m", other="n:github")
    await office.route("x", module="n")

    assert office.waiting() == {"own": 1, "other": 0}


async def test_what_one_module_is_still_owed_is_offered_to_it_alone(autojump_clock: MockClock) -> None:
    """The others have had theirs, or have it now."""
    office = Office()
    office.load("n", exports=("github",), own="github")
    office.load("m", other="n:github")
    await office.around.bus.publish([event(module="n")])
    (admitted,) = await office.around.bus.receive()
    office.router.offer(admitted, owed_to="m")

    assert office.waiting() == {"own": 0, "other": 1}


async def test_a_replayed_event_goes_to_its_one_route(autojump_clock: MockClock) -> None:
    """Whatever others would want it, and whatever the route wants by now."""
    office = Office()
    office.load("m", one="github", two="linear")
    await office.route("x", only_for=("m", "two"))

    assert office.waiting() == {"one": 0, "two": 1}


async def test_a_replayed_event_whose_route_is_gone_is_given_up(autojump_clock: MockClock) -> None:
    """Somebody has asked for it, so it does not end in silence."""
    office = Office()
    office.load("m", one="github")
    await office.route("x", only_for=("m", "two"))

    assert office.given_up == [(1, "route_removed")]


async def test_a_replayed_event_waits_for_the_module_of_its_route(autojump_clock: MockClock) -> None:
    """Which may be another than its own."""
    office = Office()
    office.load("m", one="github")
    await office.route("x", module="m", only_for=("n", "r"))

    assert office.router.parking.counts() == {"n": 1}


class Unreadable(MemoryBus):
    """A bus that cannot be read for a while."""

    refusals = 3

    async def receive(self) -> list[Admitted]:
        if self.refusals:
            self.refusals -= 1
            raise WalFailed("the log cannot be read at present")
        return await super().receive()


async def test_a_bus_that_cannot_be_read_is_asked_again(autojump_clock: MockClock) -> None:
    """It is told each time, and is no crash of the router."""
    office = Office(Around(bus=Unreadable()))
    office.load("m", one="github")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(office.router.run)
        await office.around.bus.publish([event(module="m")])
        await trio.sleep(4)
        nursery.cancel_scope.cancel("seen")

    assert office.waiting() == {"one": 1}
    assert len(office.around.phases("system.error")) == 3
