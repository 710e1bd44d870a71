"""The route index: it gives exactly what asking every route would, in order, and a change makes another index."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orgloop.event import TYPES, Event
from orgloop.routing import Route, RouteIndex, matches
from orgloop.routing.bucket import MAX_KEYS, MAX_READY

# -- the definition, written once more and plainly ---------------------------------------------------------------------


def wants(route: Route, event: Event) -> bool:
    """Whether a route wants an event: what the reference says, word by word."""
    module, _, source = route.source.rpartition(":")
    return (
        event.module == (module or route.module)
        and event.source == source
        and event.type in route.events
        and all(is_match(wanted, look(event, path)) for path, wanted in route.filter.items())
    )


def look(event: Event, path: str) -> Any:
    """What is at a path; a set, which equals nothing, if nothing is."""
    value: Any = attrs.asdict(event, recurse=False)
    for segment in path.split("."):
        try:
            value = value[int(segment)] if isinstance(value, list) else value[segment]
        except (LookupError, TypeError, ValueError):
            return set()
    return value


def is_match(wanted: Any, found: Any) -> bool:
    """Any of a wanted list, any of a found list."""
    return any(
        same(one, other)
        for one in (wanted if isinstance(wanted, list) else [wanted])
        for other in (found if isinstance(found, list) else [found])
    )


def same(wanted: Any, found: Any) -> bool:
    """Scalars of one JSON type, and equal."""
    types = [
        next((kind for kind in (bool, (int, float), str, type(None)) if isinstance(value, kind)), None)
        for value in (wanted, found)
    ]
    return types[0] is not None and types[0] == types[1] and bool(wanted == found)


def asked_one_by_one(routes: Iterable[Route], event: Event) -> list[Route]:
    """The routes that want an event, the modules in order of appearance."""
    routes = list(routes)
    modules = dict.fromkeys(route.module for route in routes)
    return [route for module in modules for route in routes if route.module == module and wants(route, event)]


# -- few values, so that they meet -------------------------------------------------------------------------------------

SCALARS = st.sampled_from([None, True, False, 0, 1, 1.0, 2.5, "", "1", "a", "true", "null", float("nan"), 2**70])
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["a", "b", "0"]), inner, max_size=3),
    max_leaves=6,
)
WIDE: list[Any] = [*range(-MAX_KEYS, 2), "a", True]
WANTED = VALUES | st.just(WIDE)
PATHS = st.sampled_from(
    ["payload", "payload.a", "payload.b", "payload.a.0", "payload.a.b", "provenance.x", "type", "module", "no.such"]
)
MODULES = ["m", "n", "o"]
ROUTES = st.builds(
    Route,
    module=st.sampled_from(MODULES),
    name=st.sampled_from(["r1", "r2", "r3"]),
    source=st.sampled_from(["s", "t", "n:s", "m:s"]),
    events=st.lists(st.sampled_from(TYPES), max_size=3),
    filter=st.dictionaries(PATHS, WANTED, max_size=3),
    actor=st.just("a"),
)
EVENTS = st.builds(
    Event,
    source=st.sampled_from(["s", "t"]),
    type=st.sampled_from(TYPES),
    provenance=st.builds(lambda x: {"platform": "p", "x": x}, VALUES),
    payload=st.builds(lambda a, b: {"a": a, "b": b}, VALUES, VALUES) | VALUES,
    module=st.sampled_from(MODULES),
)


@given(st.lists(ROUTES, max_size=30), st.lists(EVENTS, min_size=1, max_size=5))
@settings(deadline=None, max_examples=50)
def test_the_index_gives_what_asking_every_route_gives(routes: list[Route], events: list[Event]) -> None:
    """Over routes and events of all JSON types, wide lists, lists in events, and other modules' sources."""
    index = RouteIndex.of(routes)

    for event in events:
        expected = asked_one_by_one(routes, event)
        assert list(index.match(event.module or "", event)) == expected
        assert [route for route in routes if matches(route, event)] == [r for r in routes if wants(r, event)]


@given(st.lists(st.builds(attrs.evolve, ROUTES, source=st.just("m:s"), events=st.just(TYPES)), max_size=40), EVENTS)
@settings(deadline=None, max_examples=50)
def test_a_crowded_bucket_gives_what_asking_every_route_gives(routes: list[Route], event: Event) -> None:
    """All routes listen to one source, so that groups, plain routes and modules meet in one bucket."""
    event = attrs.evolve(event, module="m", source="s")

    assert list(RouteIndex.of(routes).match("m", event)) == asked_one_by_one(routes, event)


CHANGES = st.lists(st.tuples(st.sampled_from(MODULES), st.lists(ROUTES, max_size=6)), max_size=6)


@given(CHANGES, st.lists(EVENTS, min_size=1, max_size=4))
@settings(deadline=None, max_examples=50)
def test_a_changed_index_is_as_if_it_were_made_so(changes: list[tuple[str, list[Route]]], events: list[Event]) -> None:
    """Modules come, are replaced in their place, and go; each index on the way stays what it was."""
    index, modules = RouteIndex(), dict[str, list[Route]]()
    history = []
    for name, routes in changes:
        modules[name] = [attrs.evolve(route, module=name) for route in routes]
        index = index.with_module(name, modules[name]) if routes else index.without_module(name)
        modules = {name: routes for name, routes in modules.items() if routes}
        history.append((index, [route for routes in modules.values() for route in routes]))

    for index, standing in history:
        for event in events:
            assert list(index.match(event.module or "", event)) == asked_one_by_one(standing, event)


# -- single facts ------------------------------------------------------------------------------------------------------


def route(name: str, module: str = "m", source: str = "s", **wanted: object) -> Route:
    """A route that wants these members of the payload."""
    filter = {f"payload.{key}": value for key, value in wanted.items()}
    return Route(module=module, name=name, source=source, events=["resource.changed"], filter=filter, actor="a")


def event(**payload: object) -> Event:
    """An event with these members of the payload."""
    return Event("s", "resource.changed", {"platform": "p"}, payload, module="m")


def names(index: RouteIndex, event: Event, module: str = "m") -> str:
    """The names of the routes that an index gives."""
    return " ".join(route.name for route in index.match(module, event))


def test_an_empty_index_gives_nothing() -> None:
    """No routes, no match."""
    assert RouteIndex().match("m", event()) == ()


def test_routes_come_in_the_order_of_the_configuration() -> None:
    """Whatever they filter on."""
    index = RouteIndex.of([route("b", v=1), route("a"), route("d", w=2), route("c", v=1, w=2), route("e")])

    assert names(index, event(v=1, w=2)) == "b a d c e"


@pytest.mark.parametrize("plain", [1, MAX_READY, MAX_READY + 1])
def test_few_and_many_routes_without_a_filter_keep_their_places(plain: int) -> None:
    """Ready answers hold the plain routes too; a long list of those is put in when asked."""
    index = RouteIndex.of([route("first", v=1), *[route("p")] * plain, route("last", v=1)])

    assert names(index, event(v=1)) == " ".join(["first", *["p"] * plain, "last"])
    assert names(index, event(v=2)) == " ".join(["p"] * plain)


def test_a_type_that_is_named_twice_counts_once() -> None:
    """A route matches an event or does not."""
    twice = attrs.evolve(route("r"), events=("resource.changed", "resource.changed"))

    assert names(RouteIndex.of([twice]), event()) == "r"


def test_a_route_that_matches_in_two_ways_is_given_once() -> None:
    """Two wanted values, and an event that has both."""
    assert names(RouteIndex.of([route("r", v=["a", "b"])]), event(v=["b", "a", "b"])) == "r"


def test_another_modules_source_is_found_by_that_modules_events() -> None:
    """Listeners of other modules stand beside the module's own, in order of the modules."""
    index = RouteIndex.of([route("x", module="x", source="m:s"), route("own"), route("elsewhere", module="x")])

    assert names(index, event()) == "x own"
    assert names(index, event(), module="x") == "elsewhere"


def test_lists_too_wide_for_keys_are_still_looked_at() -> None:
    """Three lists of a hundred would make a million keys."""
    hundred = list(range(100))
    index = RouteIndex.of([route("r", a=hundred, b=hundred, c=hundred)])

    assert names(index, event(a=1, b=2, c=3)) == "r"
    assert names(index, event(a=1, b=2, c=100)) == ""


def test_long_lists_in_an_event_do_not_multiply() -> None:
    """Two lists of five thousand make 25 million pairs; the five thousand routes are fewer."""
    index = RouteIndex.of([route("r", a=number, b=number) for number in range(5_000)])
    everything = event(a=list(range(5_000)), b=list(range(5_000)))
    began_s = time.process_time()

    assert len(index.match("m", everything)) == 5_000
    assert time.process_time() - began_s < 0.5


def test_numbers_chosen_to_collide_are_only_looked_up() -> None:
    """A sender cannot fill a table of ours."""
    modulus = 2**61 - 1
    index = RouteIndex.of([route("r", v=0), route("s", v=1)])
    began_s = time.process_time()

    assert names(index, event(v=[number * modulus for number in range(1, 100_000)])) == ""
    assert time.process_time() - began_s < 1


def test_a_replaced_module_keeps_its_place() -> None:
    """The order of modules does not depend on who was reloaded last."""
    index = RouteIndex.of([route("x", module="x", source="m:s"), route("m")])

    assert names(index.with_module("x", [route("x2", module="x", source="m:s")]), event()) == "x2 m"


def test_a_change_leaves_the_index_it_was_made_from() -> None:
    """Who still holds the old one goes on by the old routes."""
    before = RouteIndex.of([route("old")])
    after = before.with_module("m", [route("new")])

    assert (names(before, event()), names(after, event())) == ("old", "new")
    assert names(after.without_module("m"), event()) == ""


def test_a_change_does_not_touch_what_others_listen_to() -> None:
    """The buckets of other modules are the same objects, so a swap costs what it swaps."""
    before = RouteIndex.of([route("m"), route("x", module="x")])
    after = before.with_module("x", [route("x2", module="x")])

    assert after._buckets["m", "s", "resource.changed"] is before._buckets["m", "s", "resource.changed"]


def test_a_module_that_is_not_there_can_be_taken_out() -> None:
    """Nothing happens."""
    index = RouteIndex.of([route("m")])

    assert index.without_module("x") == index


def test_routes_of_another_module_are_refused() -> None:
    """They would be taken out with a module that is not theirs."""
    with pytest.raises(ValueError, match=r"^not routes of module x: r1, r2$"):
        RouteIndex().with_module("x", [route("r1"), route("r2")])
